//! Cases: one incident each.

use super::{Columns, Result, Tx, statement, stored_enum};
use crate::clock::Instant;
use crate::ids::CaseId;

stored_enum! {
    /// How far a case has come.
    CaseState {
        /// Being looked into.
        Open = "open",
        /// Its plan was applied.
        Contained = "contained",
        /// Done.
        Closed = "closed",
    }
}

/// A row of `cases`.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its id.
    pub id: CaseId,
    /// One line.
    pub title: String,
    /// How far it has come.
    pub state: CaseState,
    /// When it was opened.
    pub opened_at: Instant,
    /// By whom, as people read it.
    pub opened_by: String,
    /// When it was closed.
    pub closed_at: Option<Instant>,
    /// Why.
    pub closed_reason: Option<String>,
}

const COLUMNS: &str =
    "SELECT c.id, c.title, c.state, c.opened_at, c.opened_by, c.closed_at, c.closed_reason FROM cases c";

fn case(row: &sqlx::any::AnyRow) -> Result<Case> {
    let row = Columns(row);
    Ok(Case {
        id: row.parsed("id")?,
        title: row.text("title")?,
        state: row.parsed("state")?,
        opened_at: row.time("opened_at")?,
        opened_by: row.text("opened_by")?,
        closed_at: row.optional_time("closed_at")?,
        closed_reason: row.optional_text("closed_reason")?,
    })
}

/// Adds a case.
///
/// # Errors
/// Where the database refuses.
pub async fn insert(tx: &mut Tx, case: &Case) -> Result<()> {
    sqlx::query(
        "INSERT INTO cases (id, title, state, quiet, opened_at, opened_by) VALUES ($1, $2, $3, 0, $4, $5)",
    )
    .bind(case.id.to_string())
    .bind(case.title.as_str())
    .bind(case.state.word())
    .bind(case.opened_at.0)
    .bind(case.opened_by.as_str())
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The case of this id.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id(tx: &mut Tx, id: CaseId) -> Result<Option<Case>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE c.id = $1"]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(case).transpose()
}

/// The case of this id, locked: whoever decides about it next waits for this transaction.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id_locked(tx: &mut Tx, id: CaseId) -> Result<Option<Case>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE c.id = $1", tx.update_lock()]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(case).transpose()
}

/// The newest cases, those that are not closed first; at most `limit`.
///
/// # Errors
/// Where the database refuses.
pub async fn newest(tx: &mut Tx, limit: i64) -> Result<Vec<Case>> {
    let rows = sqlx::query(statement(&[
        COLUMNS,
        " ORDER BY CASE WHEN c.state = 'closed' THEN 1 ELSE 0 END, c.opened_at DESC, c.id LIMIT $1",
    ]))
    .bind(limit)
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(case).collect()
}

/// The contained cases, the oldest first.
///
/// # Errors
/// Where the database refuses.
pub async fn contained(tx: &mut Tx) -> Result<Vec<Case>> {
    let rows = sqlx::query(statement(&[COLUMNS, " WHERE c.state = 'contained' ORDER BY c.opened_at, c.id"]))
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(case).collect()
}

/// The case about a repository that is not closed; there is at most one.
///
/// # Errors
/// Where the database refuses.
pub async fn unclosed_of_repository(tx: &mut Tx, repository: &str) -> Result<Option<Case>> {
    let row = sqlx::query(statement(&[
        COLUMNS,
        " WHERE c.state <> 'closed' AND c.id IN (SELECT case_id FROM examinations WHERE repository = $1) \
         ORDER BY c.opened_at, c.id LIMIT 1",
    ]))
    .bind(repository)
    .fetch_optional(tx.connection())
    .await?;
    row.as_ref().map(case).transpose()
}

/// Changes how far a case has come.
///
/// # Errors
/// Where the database refuses.
pub async fn set_state(tx: &mut Tx, id: CaseId, state: CaseState) -> Result<()> {
    sqlx::query("UPDATE cases SET state = $1 WHERE id = $2")
        .bind(state.word())
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Closes a case.
///
/// # Errors
/// Where the database refuses.
pub async fn close(tx: &mut Tx, id: CaseId, reason: &str, now: Instant) -> Result<()> {
    sqlx::query("UPDATE cases SET state = 'closed', closed_at = $1, closed_reason = $2 WHERE id = $3")
        .bind(now.0)
        .bind(reason)
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}
