//! Every use of a token, also the refused ones: what evidence is made of.

use super::{Columns, Result, Tx, statement, stored_enum};
use crate::clock::Instant;
use crate::ids::{PersonalId, ProjectId, TokenId, UseId};

stored_enum! {
    /// What a token was used for.
    UseKind {
        /// An upload that was accepted.
        Upload = "upload",
        /// An upload that was refused.
        RefusedUpload = "refused-upload",
        /// A read where reading is signed in.
        Read = "read",
        /// A canary was presented.
        Canary = "canary",
    }
}

/// A row of `token_uses`, with the personal fields that belong to it.
#[derive(Debug, Clone)]
pub struct TokenUse {
    /// Its id.
    pub id: UseId,
    /// Which token.
    pub token_id: TokenId,
    /// What for.
    pub kind: UseKind,
    /// `accepted`, or the text of the refusal.
    pub outcome: String,
    /// When.
    pub at: Instant,
    /// On which project.
    pub project_id: Option<ProjectId>,
    /// Of which file.
    pub filename: Option<String>,
    /// With which content.
    pub file_sha256: Option<String>,
    /// The client's address; none once erased.
    pub address: Option<String>,
    /// The client's name; none once erased.
    pub user_agent: Option<String>,
}

/// Adds a use. The personal fields were stored before, under `personal`.
///
/// # Errors
/// Where the database refuses.
pub async fn insert(tx: &mut Tx, token_use: &TokenUse, personal: Option<PersonalId>) -> Result<()> {
    sqlx::query(
        "INSERT INTO token_uses (id, token_id, kind, outcome, at, project_id, filename, file_sha256, personal_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(token_use.id.to_string())
    .bind(token_use.token_id.to_string())
    .bind(token_use.kind.word())
    .bind(token_use.outcome.as_str())
    .bind(token_use.at.0)
    .bind(token_use.project_id.map(|id| id.to_string()))
    .bind(token_use.filename.clone())
    .bind(token_use.file_sha256.clone())
    .bind(personal.map(|id| id.to_string()))
    .execute(tx.connection())
    .await?;
    Ok(())
}

const COLUMNS: &str = "SELECT u.id, u.token_id, u.kind, u.outcome, u.at, u.project_id, u.filename, u.file_sha256, \
     p.address, p.user_agent FROM token_uses u LEFT JOIN personal p ON p.id = u.personal_id";

fn token_use(row: &sqlx::any::AnyRow) -> Result<TokenUse> {
    let row = Columns(row);
    Ok(TokenUse {
        id: row.parsed("id")?,
        token_id: row.parsed("token_id")?,
        kind: row.parsed("kind")?,
        outcome: row.text("outcome")?,
        at: row.time("at")?,
        project_id: row.optional_parsed("project_id")?,
        filename: row.optional_text("filename")?,
        file_sha256: row.optional_text("file_sha256")?,
        address: row.optional_text("address")?,
        user_agent: row.optional_text("user_agent")?,
    })
}

/// All uses of a token in order of time.
///
/// # Errors
/// Where the database refuses.
pub async fn of_token(tx: &mut Tx, token: TokenId) -> Result<Vec<TokenUse>> {
    let rows = sqlx::query(statement(&[COLUMNS, " WHERE u.token_id = $1 ORDER BY u.at, u.id"]))
        .bind(token.to_string())
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(token_use).collect()
}

/// Uses in order of their ids after one, at most `limit`, each with the id of its personal fields.
///
/// # Errors
/// Where the database refuses.
pub async fn page(
    tx: &mut Tx,
    after: Option<UseId>,
    limit: i64,
) -> Result<Vec<(TokenUse, Option<PersonalId>)>> {
    let rows = sqlx::query(
        "SELECT u.id, u.token_id, u.kind, u.outcome, u.at, u.project_id, u.filename, u.file_sha256, u.personal_id, \
         p.address, p.user_agent FROM token_uses u LEFT JOIN personal p ON p.id = u.personal_id \
         WHERE u.id > $1 ORDER BY u.id LIMIT $2",
    )
    .bind(after.map(|id| id.to_string()).unwrap_or_default())
    .bind(limit)
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(|row| Ok((token_use(row)?, Columns(row).optional_parsed("personal_id")?))).collect()
}

/// Whether a token has read from this address since a time.
///
/// # Errors
/// Where the database refuses.
pub async fn has_read_since(tx: &mut Tx, token: TokenId, address: &str, since: Instant) -> Result<bool> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS number FROM token_uses u JOIN personal p ON p.id = u.personal_id \
         WHERE u.token_id = $1 AND u.kind = 'read' AND u.at >= $2 AND p.address = $3",
    )
    .bind(token.to_string())
    .bind(since.0)
    .bind(address)
    .fetch_one(tx.connection())
    .await?;
    Ok(Columns(&row).number("number")? > 0)
}
