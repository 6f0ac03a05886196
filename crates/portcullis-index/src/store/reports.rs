//! Reports to the desk. A row never goes away: it changes `state`.

use super::{Columns, Result, Tx, statement, stored_enum};
use crate::clock::Instant;
use crate::ids::{AccountId, CaseId, PersonalId, ReportId};

stored_enum! {
    /// What a report is about.
    ReportKind {
        /// A file or release does harm.
        Malware = "malware",
        /// A secret is in the wrong hands.
        StolenCredential = "stolen-credential",
        /// A workflow carries secrets away.
        CompromisedWorkflow = "compromised-workflow",
        /// Somebody else acts as an account.
        AccountTakeover = "account-takeover",
        /// Anything else.
        Other = "other",
    }
}

stored_enum! {
    /// How far the desk is with a report.
    ReportState {
        /// Nobody has looked yet: its clock runs.
        Received = "received",
        /// A person took it.
        Seen = "seen",
        /// Something was done because of it.
        Acted = "acted",
        /// A person found nothing in it.
        Dismissed = "dismissed",
        /// Its case is closed.
        Closed = "closed",
    }
}

stored_enum! {
    /// In which order reports are looked at.
    Lane {
        /// As they come.
        Ordinary = "ordinary",
        /// First: our own scan confirms it.
        Confirmed = "confirmed",
    }
}

stored_enum! {
    /// What is known, and so what may act.
    Level {
        /// Somebody said so.
        E0 = "E0",
        /// Our own scan of what we fetched says `malicious`.
        E1 = "E1",
        /// E1, on the repository's own branch or tag or in a push to it, and it could run with the secret.
        E2 = "E2",
        /// E2, and it ran.
        E3 = "E3",
        /// A thief used a token.
        E4 = "E4",
    }
}

/// A row of `reports`.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its id.
    pub id: ReportId,
    /// What it is about.
    pub kind: ReportKind,
    /// Which kind of thing it names: `repository`, `project`, …
    pub subject_type: String,
    /// Which one.
    pub subject: String,
    /// What the reporter wrote.
    pub text: String,
    /// The scan document that was sent with it: a pointer, never proof.
    pub scan_document: Option<String>,
    /// Who says so, as it is shown at the desk.
    pub reporter: String,
    /// The reporter's account, where they said who they are.
    pub account_id: Option<AccountId>,
    /// How far the desk is with it.
    pub state: ReportState,
    /// When it is looked at.
    pub lane: Lane,
    /// What our own examination found.
    pub level: Level,
    /// The case it belongs to.
    pub case_id: Option<CaseId>,
    /// When it came.
    pub received_at: Instant,
    /// When somebody must have looked.
    pub due_at: Instant,
    /// When somebody did.
    pub seen_at: Option<Instant>,
    /// Who.
    pub seen_by: Option<String>,
    /// When it was closed or dismissed.
    pub closed_at: Option<Instant>,
}

const COLUMNS: &str = "SELECT id, kind, subject_type, subject, text, scan_document, reporter, account_id, state, lane, \
     level, case_id, received_at, due_at, seen_at, seen_by, closed_at FROM reports";

fn report(row: &sqlx::any::AnyRow) -> Result<Report> {
    let row = Columns(row);
    Ok(Report {
        id: row.parsed("id")?,
        kind: row.parsed("kind")?,
        subject_type: row.text("subject_type")?,
        subject: row.text("subject")?,
        text: row.text("text")?,
        scan_document: row.optional_text("scan_document")?,
        reporter: row.text("reporter")?,
        account_id: row.optional_parsed("account_id")?,
        state: row.parsed("state")?,
        lane: row.parsed("lane")?,
        level: row.parsed("level")?,
        case_id: row.optional_parsed("case_id")?,
        received_at: row.time("received_at")?,
        due_at: row.time("due_at")?,
        seen_at: row.optional_time("seen_at")?,
        seen_by: row.optional_text("seen_by")?,
        closed_at: row.optional_time("closed_at")?,
    })
}

/// Adds a report. The reporter's personal fields were stored before, under `personal`.
///
/// # Errors
/// Where the database refuses.
pub async fn insert(tx: &mut Tx, report: &Report, personal: Option<PersonalId>) -> Result<()> {
    sqlx::query(
        "INSERT INTO reports (id, kind, subject_type, subject, text, scan_document, reporter, account_id, personal_id, \
         state, lane, level, received_at, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(report.id.to_string())
    .bind(report.kind.word())
    .bind(report.subject_type.as_str())
    .bind(report.subject.as_str())
    .bind(report.text.as_str())
    .bind(report.scan_document.clone())
    .bind(report.reporter.as_str())
    .bind(report.account_id.map(|id| id.to_string()))
    .bind(personal.map(|id| id.to_string()))
    .bind(report.state.word())
    .bind(report.lane.word())
    .bind(report.level.word())
    .bind(report.received_at.0)
    .bind(report.due_at.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The report of this id.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id(tx: &mut Tx, id: ReportId) -> Result<Option<Report>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE id = $1"]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(report).transpose()
}

/// The report of this id, locked until this transaction ends.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id_locked(tx: &mut Tx, id: ReportId) -> Result<Option<Report>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE id = $1", tx.update_lock()]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(report).transpose()
}

/// Reports for the desk's list: those that our own scan confirms first, then those nobody has seen, the oldest of
/// them first, then the rest from the newest; at most `limit`.
///
/// # Errors
/// Where the database refuses.
pub async fn for_desk(tx: &mut Tx, limit: i64) -> Result<Vec<Report>> {
    let rows = sqlx::query(statement(&[
        COLUMNS,
        " ORDER BY CASE WHEN state = 'received' AND lane = 'confirmed' THEN 0 WHEN state = 'received' THEN 1 ELSE 2 END, \
         CASE WHEN state = 'received' THEN received_at ELSE -received_at END, id LIMIT $1",
    ]))
    .bind(limit)
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(report).collect()
}

/// The reports of a case, the oldest first.
///
/// # Errors
/// Where the database refuses.
pub async fn of_case(tx: &mut Tx, case: CaseId) -> Result<Vec<Report>> {
    let rows = sqlx::query(statement(&[COLUMNS, " WHERE case_id = $1 ORDER BY received_at, id"]))
        .bind(case.to_string())
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(report).collect()
}

/// When the oldest report came that nobody has seen.
///
/// # Errors
/// Where the database refuses.
pub async fn oldest_unseen(tx: &mut Tx) -> Result<Option<Instant>> {
    let row = sqlx::query("SELECT MIN(received_at) AS received_at FROM reports WHERE state = 'received'")
        .fetch_one(tx.connection())
        .await?;
    Columns(&row).optional_time("received_at")
}

/// Joins a report to a case.
///
/// # Errors
/// Where the database refuses.
pub async fn set_case(tx: &mut Tx, id: ReportId, case: CaseId) -> Result<()> {
    sqlx::query("UPDATE reports SET case_id = $1 WHERE id = $2")
        .bind(case.to_string())
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Notes what our own examination found.
///
/// # Errors
/// Where the database refuses.
pub async fn set_level(tx: &mut Tx, id: ReportId, level: Level, lane: Lane) -> Result<()> {
    sqlx::query("UPDATE reports SET level = $1, lane = $2 WHERE id = $3")
        .bind(level.word())
        .bind(lane.word())
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Notes that a person took it; the first one stays.
///
/// # Errors
/// Where the database refuses.
pub async fn set_seen(tx: &mut Tx, id: ReportId, by: &str, now: Instant) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE reports SET state = 'seen', seen_at = $1, seen_by = $2 WHERE id = $3 AND state = 'received'",
    )
    .bind(now.0)
    .bind(by)
    .bind(id.to_string())
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Dismisses a report with a reason.
///
/// # Errors
/// Where the database refuses.
pub async fn dismiss(tx: &mut Tx, id: ReportId, reason: &str, now: Instant) -> Result<()> {
    sqlx::query("UPDATE reports SET state = 'dismissed', closed_at = $1, closed_reason = $2 WHERE id = $3")
        .bind(now.0)
        .bind(reason)
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// All reports of a case that a person has looked at become `acted`. What nobody has seen stays in the queue.
///
/// # Errors
/// Where the database refuses.
pub async fn case_acted(tx: &mut Tx, case: CaseId) -> Result<()> {
    sqlx::query("UPDATE reports SET state = 'acted' WHERE case_id = $1 AND state = 'seen'")
        .bind(case.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// All reports of a case that a person has looked at are closed with it. One that nobody has seen leaves the case and stays
/// in the queue; returns how many did.
///
/// # Errors
/// Where the database refuses.
pub async fn case_closed(tx: &mut Tx, case: CaseId, reason: &str, now: Instant) -> Result<u64> {
    sqlx::query(
        "UPDATE reports SET state = 'closed', closed_at = $1, closed_reason = $2 \
         WHERE case_id = $3 AND state IN ('seen', 'acted')",
    )
    .bind(now.0)
    .bind(reason)
    .bind(case.to_string())
    .execute(tx.connection())
    .await?;
    let unseen = sqlx::query("UPDATE reports SET case_id = NULL WHERE case_id = $1 AND state = 'received'")
        .bind(case.to_string())
        .execute(tx.connection())
        .await?;
    Ok(unseen.rows_affected())
}
