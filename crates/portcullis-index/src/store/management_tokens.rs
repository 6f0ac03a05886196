//! Tokens of the management API: only the SHA-256 of each lies here.

use super::{Columns, Result, Tx, statement};
use crate::clock::Instant;
use crate::ids::{AccountId, ManagementTokenId};
use crate::store::tokens::TokenState;

/// A row of `management_tokens`.
#[derive(Debug, Clone)]
pub struct ManagementToken {
    /// Its id.
    pub id: ManagementTokenId,
    /// Whose.
    pub account_id: AccountId,
    /// What it may do: `report`, `desk`, `manage`, `admin`.
    pub scopes: Vec<String>,
    /// What its maker called it.
    pub description: String,
    /// Whether it may be used.
    pub state: TokenState,
    /// When it was made.
    pub created_at: Instant,
    /// When it ends.
    pub expires_at: Instant,
}

fn management_token(row: &sqlx::any::AnyRow) -> Result<ManagementToken> {
    let row = Columns(row);
    Ok(ManagementToken {
        id: row.parsed("id")?,
        account_id: row.parsed("account_id")?,
        scopes: row.json("scopes")?,
        description: row.text("description")?,
        state: row.parsed("state")?,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
    })
}

const COLUMNS: &str =
    "SELECT id, account_id, scopes, description, state, created_at, expires_at FROM management_tokens";

/// Adds a management token by the hash of its secret.
///
/// # Errors
/// Where the database refuses.
pub async fn insert(tx: &mut Tx, token: &ManagementToken, secret_hash: &str) -> Result<()> {
    sqlx::query(
        "INSERT INTO management_tokens (id, secret_hash, account_id, scopes, description, state, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(token.id.to_string())
    .bind(secret_hash)
    .bind(token.account_id.to_string())
    .bind(super::tokens::caveats_text(&token.scopes))
    .bind(token.description.as_str())
    .bind(token.state.word())
    .bind(token.created_at.0)
    .bind(token.expires_at.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The token whose secret has this hash.
///
/// # Errors
/// Where the database refuses.
pub async fn by_secret_hash(tx: &mut Tx, secret_hash: &str) -> Result<Option<ManagementToken>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE secret_hash = $1"]))
        .bind(secret_hash)
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(management_token).transpose()
}

/// The management token of this id.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id(tx: &mut Tx, id: ManagementTokenId) -> Result<Option<ManagementToken>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE id = $1"]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(management_token).transpose()
}

/// The management token of this id, locked so that nobody ends it before this transaction ends.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id_locked(tx: &mut Tx, id: ManagementTokenId) -> Result<Option<ManagementToken>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE id = $1", tx.share_lock()]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(management_token).transpose()
}

/// The management tokens of an account, the newest first.
///
/// # Errors
/// Where the database refuses.
pub async fn of_account(tx: &mut Tx, account: AccountId) -> Result<Vec<ManagementToken>> {
    let rows = sqlx::query(statement(&[COLUMNS, " WHERE account_id = $1 ORDER BY created_at DESC, id"]))
        .bind(account.to_string())
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(management_token).collect()
}

/// Ends a management token for ever.
///
/// # Errors
/// Where the database refuses.
pub async fn revoke(tx: &mut Tx, id: ManagementTokenId, cause: &str) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE management_tokens SET state = 'revoked', state_cause = $1 WHERE id = $2 AND state <> 'revoked'",
    )
    .bind(cause)
    .bind(id.to_string())
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}
