//! Sessions of the pages and one-time links: only hashes of their secrets lie here.

use super::{Columns, Result, Tx, statement, stored_enum};
use crate::clock::Instant;
use crate::ids::AccountId;

stored_enum! {
    /// How far a sign-in has come.
    SessionStage {
        /// The password was right; the second factor is still to come.
        Password = "password",
        /// Signed in.
        Complete = "complete",
    }
}

/// A row of `sessions`.
#[derive(Debug, Clone)]
pub struct Session {
    /// SHA-256 of the session id, in hex.
    pub id_hash: String,
    /// Whose.
    pub account_id: AccountId,
    /// SHA-256 of the form token, in hex.
    pub csrf_hash: String,
    /// How far the sign-in has come.
    pub stage: SessionStage,
    /// When it was last used, to the minute.
    pub seen_at: Instant,
    /// When it ends by itself.
    pub expires_at: Instant,
    /// When the person last proved who they are.
    pub authenticated_at: Instant,
}

/// Adds a session.
///
/// # Errors
/// Where the database refuses.
pub async fn insert(tx: &mut Tx, session: &Session, now: Instant) -> Result<()> {
    sqlx::query(
        "INSERT INTO sessions (id_hash, account_id, csrf_hash, stage, created_at, seen_at, expires_at, authenticated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(session.id_hash.as_str())
    .bind(session.account_id.to_string())
    .bind(session.csrf_hash.as_str())
    .bind(session.stage.word())
    .bind(now.0)
    .bind(session.seen_at.0)
    .bind(session.expires_at.0)
    .bind(session.authenticated_at.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The session of this hash, if it has neither ended nor expired.
///
/// # Errors
/// Where the database refuses.
pub async fn live(tx: &mut Tx, id_hash: &str, now: Instant) -> Result<Option<Session>> {
    let row = sqlx::query(
        "SELECT id_hash, account_id, csrf_hash, stage, seen_at, expires_at, authenticated_at FROM sessions \
         WHERE id_hash = $1 AND ended_at IS NULL AND expires_at > $2",
    )
    .bind(id_hash)
    .bind(now.0)
    .fetch_optional(tx.connection())
    .await?;
    row.as_ref()
        .map(|row| {
            let row = Columns(row);
            Ok(Session {
                id_hash: row.text("id_hash")?,
                account_id: row.parsed("account_id")?,
                csrf_hash: row.text("csrf_hash")?,
                stage: row.parsed("stage")?,
                seen_at: row.time("seen_at")?,
                expires_at: row.time("expires_at")?,
                authenticated_at: row.time("authenticated_at")?,
            })
        })
        .transpose()
}

/// Notes that a session is in use.
///
/// # Errors
/// Where the database refuses.
pub async fn touch(tx: &mut Tx, id_hash: &str, now: Instant) -> Result<()> {
    sqlx::query("UPDATE sessions SET seen_at = $1 WHERE id_hash = $2 AND ended_at IS NULL")
        .bind(now.0)
        .bind(id_hash)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// The session of this hash, as [`live`], locked so that nobody ends it before this transaction ends.
///
/// # Errors
/// Where the database refuses.
pub async fn is_live_locked(tx: &mut Tx, id_hash: &str, now: Instant) -> Result<bool> {
    let row = sqlx::query(statement(&[
        "SELECT id_hash FROM sessions WHERE id_hash = $1 AND stage = 'complete' AND ended_at IS NULL AND expires_at > $2",
        tx.share_lock(),
    ]))
    .bind(id_hash)
    .bind(now.0)
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.is_some())
}

/// Notes that the person proved again who they are.
///
/// # Errors
/// Where the database refuses.
pub async fn set_authenticated(tx: &mut Tx, id_hash: &str, now: Instant) -> Result<()> {
    sqlx::query("UPDATE sessions SET authenticated_at = $1 WHERE id_hash = $2 AND ended_at IS NULL")
        .bind(now.0)
        .bind(id_hash)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Ends one session.
///
/// # Errors
/// Where the database refuses.
pub async fn end(tx: &mut Tx, id_hash: &str, now: Instant) -> Result<()> {
    sqlx::query("UPDATE sessions SET ended_at = $1 WHERE id_hash = $2 AND ended_at IS NULL")
        .bind(now.0)
        .bind(id_hash)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Ends every session of an account.
///
/// # Errors
/// Where the database refuses.
pub async fn end_all(tx: &mut Tx, account: AccountId, now: Instant) -> Result<()> {
    sqlx::query("UPDATE sessions SET ended_at = $1 WHERE account_id = $2 AND ended_at IS NULL")
        .bind(now.0)
        .bind(account.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

stored_enum! {
    /// What a one-time link is for.
    LinkPurpose {
        /// To make the first administrator.
        FirstAdministrator = "first-administrator",
        /// To set a new password.
        Reset = "reset",
    }
}

/// A row of `one_time_links`.
#[derive(Debug, Clone)]
pub struct OneTimeLink {
    /// What it is for.
    pub purpose: LinkPurpose,
    /// Whose password it sets.
    pub account_id: Option<AccountId>,
}

/// Adds a one-time link; earlier unused ones for the same purpose and account end now.
///
/// # Errors
/// Where the database refuses.
pub async fn insert_link(
    tx: &mut Tx,
    secret_hash: &str,
    link: &OneTimeLink,
    expires_at: Instant,
    now: Instant,
) -> Result<()> {
    sqlx::query(
        "UPDATE one_time_links SET expires_at = $1 WHERE purpose = $2 AND used_at IS NULL AND expires_at > $3 \
         AND COALESCE(account_id, '') = $4",
    )
    .bind(now.0)
    .bind(link.purpose.word())
    .bind(now.0)
    .bind(link.account_id.map(|id| id.to_string()).unwrap_or_default())
    .execute(tx.connection())
    .await?;
    sqlx::query(
        "INSERT INTO one_time_links (secret_hash, purpose, account_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(secret_hash)
    .bind(link.purpose.word())
    .bind(link.account_id.map(|id| id.to_string()))
    .bind(now.0)
    .bind(expires_at.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The link of this hash, if it may still be used.
///
/// # Errors
/// Where the database refuses.
pub async fn live_link(tx: &mut Tx, secret_hash: &str, now: Instant) -> Result<Option<OneTimeLink>> {
    let row = sqlx::query(
        "SELECT purpose, account_id FROM one_time_links WHERE secret_hash = $1 AND used_at IS NULL AND expires_at > $2",
    )
    .bind(secret_hash)
    .bind(now.0)
    .fetch_optional(tx.connection())
    .await?;
    row.as_ref()
        .map(|row| {
            let row = Columns(row);
            Ok(OneTimeLink {
                purpose: row.parsed("purpose")?,
                account_id: row.optional_parsed("account_id")?,
            })
        })
        .transpose()
}

/// Uses a link up; false where somebody else was first.
///
/// # Errors
/// Where the database refuses.
pub async fn use_link(tx: &mut Tx, secret_hash: &str, now: Instant) -> Result<bool> {
    let done =
        sqlx::query("UPDATE one_time_links SET used_at = $1 WHERE secret_hash = $2 AND used_at IS NULL")
            .bind(now.0)
            .bind(secret_hash)
            .execute(tx.connection())
            .await?;
    Ok(done.rows_affected() == 1)
}
