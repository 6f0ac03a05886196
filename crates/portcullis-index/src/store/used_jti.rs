//! Which identity tokens of CI jobs were exchanged already. Rows stay: they are evidence of who minted when.

use super::{Columns, Result, Tx};
use crate::clock::Instant;
use crate::ids::TokenId;

/// Whether a token's id was exchanged.
///
/// # Errors
/// Where the database refuses.
pub async fn is_used(tx: &mut Tx, issuer: &str, jti: &str) -> Result<bool> {
    let row = sqlx::query("SELECT COUNT(*) AS number FROM used_jti WHERE issuer = $1 AND jti = $2")
        .bind(issuer)
        .bind(jti)
        .fetch_one(tx.connection())
        .await?;
    Ok(Columns(&row).number("number")? > 0)
}

/// Notes that a token's id is exchanged for `token_id` in this transaction. A unique violation means that somebody else
/// was first. `expires_at` is when the identity token can no longer be accepted.
///
/// # Errors
/// Where the database refuses.
pub async fn claim(
    tx: &mut Tx,
    issuer: &str,
    jti: &str,
    token_id: TokenId,
    expires_at: Instant,
    now: Instant,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO used_jti (issuer, jti, claimed_at, expires_at, token_id) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(issuer)
    .bind(jti)
    .bind(now.0)
    .bind(expires_at.0)
    .bind(token_id.to_string())
    .execute(tx.connection())
    .await?;
    Ok(())
}
