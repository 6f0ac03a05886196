//! Publishers that wait for their project: the first job that matches one creates it.

use portcullis_trust::publisher::Publisher as Configured;

use super::{Columns, Result, Tx, statement, stored_enum};
use crate::clock::Instant;
use crate::ids::{AccountId, PendingPublisherId};

stored_enum! {
    /// What became of a pending publisher.
    PendingState {
        /// It waits.
        Waiting = "waiting",
        /// Its project was created by it.
        Reified = "reified",
        /// Its registrant took it back.
        Removed = "removed",
        /// Somebody else created the project.
        Lost = "lost",
        /// It waited for too long.
        Expired = "expired",
    }
}

/// A row of `pending_publishers`.
#[derive(Debug, Clone)]
pub struct PendingPublisher {
    /// Its id.
    pub id: PendingPublisherId,
    /// The provider's name.
    pub provider: String,
    /// The issuer whose tokens it trusts.
    pub issuer: String,
    /// What exactly it trusts; only its provider reads it.
    pub configuration: String,
    /// The project that it will create, as the registrant spells it.
    pub project_name: String,
    /// The same, normalised.
    pub project_name_normalised: String,
    /// Who registered it and will own the project.
    pub account_id: AccountId,
    /// What became of it.
    pub state: PendingState,
    /// When it was registered.
    pub created_at: Instant,
}

const COLUMNS: &str = "SELECT id, provider, issuer, configuration, project_name, project_name_normalised, account_id, \
     state, created_at FROM pending_publishers";

fn pending(row: &sqlx::any::AnyRow) -> Result<PendingPublisher> {
    let row = Columns(row);
    Ok(PendingPublisher {
        id: row.parsed("id")?,
        provider: row.text("provider")?,
        issuer: row.text("issuer")?,
        configuration: row.text("configuration")?,
        project_name: row.text("project_name")?,
        project_name_normalised: row.text("project_name_normalised")?,
        account_id: row.parsed("account_id")?,
        state: row.parsed("state")?,
        created_at: row.time("created_at")?,
    })
}

/// Adds a pending publisher; a unique violation means that one of this identity waits already.
///
/// # Errors
/// Where the database refuses.
pub async fn insert(tx: &mut Tx, row: &PendingPublisher, configured: &Configured) -> Result<()> {
    sqlx::query(
        "INSERT INTO pending_publishers (id, provider, issuer, identity_key, lookup_key, repository, configuration, \
         project_name, project_name_normalised, account_id, state, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(row.id.to_string())
    .bind(row.provider.as_str())
    .bind(row.issuer.as_str())
    .bind(configured.identity_key.as_str())
    .bind(configured.lookup_key.as_str())
    .bind(configured.repository.clone())
    .bind(row.configuration.as_str())
    .bind(row.project_name.as_str())
    .bind(row.project_name_normalised.as_str())
    .bind(row.account_id.to_string())
    .bind(row.state.word())
    .bind(row.created_at.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The waiting ones that a token's lookup key leads to, registered after `since`, the oldest first, locked.
///
/// # Errors
/// Where the database refuses.
pub async fn waiting_locked(
    tx: &mut Tx,
    provider: &str,
    issuer: &str,
    lookup_key: &str,
    since: Instant,
) -> Result<Vec<PendingPublisher>> {
    let rows = sqlx::query(statement(&[
        COLUMNS,
        " WHERE provider = $1 AND issuer = $2 AND lookup_key = $3 AND state = 'waiting' AND created_at > $4 ORDER BY id",
        tx.update_lock(),
    ]))
    .bind(provider)
    .bind(issuer)
    .bind(lookup_key)
    .bind(since.0)
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(pending).collect()
}

/// The waiting ones of an account, registered after `since`, the oldest first.
///
/// # Errors
/// Where the database refuses.
pub async fn waiting_of_account(
    tx: &mut Tx,
    account: AccountId,
    since: Instant,
) -> Result<Vec<PendingPublisher>> {
    let rows = sqlx::query(statement(&[
        COLUMNS,
        " WHERE account_id = $1 AND state = 'waiting' AND created_at > $2 ORDER BY id",
    ]))
    .bind(account.to_string())
    .bind(since.0)
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(pending).collect()
}

/// The waiting ones of everybody but `except` whose project's name looks like this one.
///
/// # Errors
/// Where the database refuses.
pub async fn waiting_for_name(
    tx: &mut Tx,
    name_ultranormalised: &str,
    except: AccountId,
) -> Result<Vec<PendingPublisher>> {
    // A normalised name is lower case and has no separator but the hyphen: this is the rest of the ultranormalisation.
    let rows = sqlx::query(statement(&[
        COLUMNS,
        " WHERE state = 'waiting' AND account_id <> $1 \
         AND REPLACE(REPLACE(REPLACE(REPLACE(project_name_normalised, '-', ''), 'l', '1'), 'i', '1'), 'o', '0') = $2 \
         ORDER BY id",
        tx.update_lock(),
    ]))
    .bind(except.to_string())
    .bind(name_ultranormalised)
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(pending).collect()
}

/// Ends the waiting of those that were registered before `since`; so an identity is free again. Returns how many.
///
/// # Errors
/// Where the database refuses.
pub async fn expire(tx: &mut Tx, since: Instant, now: Instant) -> Result<u64> {
    let done = sqlx::query(
        "UPDATE pending_publishers SET state = 'expired', ended_at = $1 WHERE state = 'waiting' AND created_at <= $2",
    )
    .bind(now.0)
    .bind(since.0)
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}

/// Ends the waiting of one; false where it waits no more.
///
/// # Errors
/// Where the database refuses.
pub async fn end(tx: &mut Tx, id: PendingPublisherId, state: PendingState, now: Instant) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE pending_publishers SET state = $1, ended_at = $2 WHERE id = $3 AND state = 'waiting'",
    )
    .bind(state.word())
    .bind(now.0)
    .bind(id.to_string())
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}
