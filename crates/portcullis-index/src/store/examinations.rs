//! Our own looks at repositories: what was fetched, scanned and asked of the forge.

use super::{Columns, Result, Tx, statement, stored_enum};
use crate::clock::Instant;
use crate::ids::{CaseId, ExaminationId, ReportId};

stored_enum! {
    /// How an examination went.
    ExaminationState {
        /// Not done yet.
        Waiting = "waiting",
        /// The repository was fetched and scanned.
        Done = "done",
        /// It could not be, after several tries.
        Failed = "failed",
    }
}

/// A row of `examinations`.
#[derive(Debug, Clone)]
pub struct Examination {
    /// Its id.
    pub id: ExaminationId,
    /// The case it is for; none while it is only a report's.
    pub case_id: Option<CaseId>,
    /// The report that asked for it.
    pub report_id: Option<ReportId>,
    /// Which repository (`github.com/owner/name`).
    pub repository: String,
    /// How it went.
    pub state: ExaminationState,
    /// Commits that a report cites, to be fetched beside the branches and tags.
    pub cited: Vec<String>,
    /// When it was asked for.
    pub requested_at: Instant,
    /// When it was done.
    pub examined_at: Option<Instant>,
    /// The scan document (JSON).
    pub document: Option<String>,
    /// The pushes that the forge tells of (JSON); none where it does not.
    pub pushes: Option<String>,
    /// The runs that the forge tells of (JSON); none where it does not.
    pub runs: Option<String>,
    /// What went wrong, or what is incomplete.
    pub problem: Option<String>,
}

const COLUMNS: &str = "SELECT id, case_id, report_id, repository, state, cited, requested_at, examined_at, document, \
     pushes, runs, problem FROM examinations";

fn examination(row: &sqlx::any::AnyRow) -> Result<Examination> {
    let row = Columns(row);
    Ok(Examination {
        id: row.parsed("id")?,
        case_id: row.optional_parsed("case_id")?,
        report_id: row.optional_parsed("report_id")?,
        repository: row.text("repository")?,
        state: row.parsed("state")?,
        cited: row.json("cited")?,
        requested_at: row.time("requested_at")?,
        examined_at: row.optional_time("examined_at")?,
        document: row.optional_text("document")?,
        pushes: row.optional_text("pushes")?,
        runs: row.optional_text("runs")?,
        problem: row.optional_text("problem")?,
    })
}

/// Adds an examination that waits to be done.
///
/// # Errors
/// Where the database refuses.
pub async fn insert(tx: &mut Tx, examination: &Examination) -> Result<()> {
    sqlx::query(
        "INSERT INTO examinations (id, case_id, report_id, repository, state, cited, requested_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(examination.id.to_string())
    .bind(examination.case_id.map(|id| id.to_string()))
    .bind(examination.report_id.map(|id| id.to_string()))
    .bind(examination.repository.as_str())
    .bind(examination.state.word())
    .bind(serde_json::Value::from(examination.cited.clone()).to_string())
    .bind(examination.requested_at.0)
    .execute(tx.connection())
    .await?;
    match examination.report_id {
        Some(report) => join(tx, examination.id, report).await,
        None => Ok(()),
    }
}

/// The examination of this id.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id(tx: &mut Tx, id: ExaminationId) -> Result<Option<Examination>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE id = $1"]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(examination).transpose()
}

/// The examinations of a case, the oldest first.
///
/// # Errors
/// Where the database refuses.
pub async fn of_case(tx: &mut Tx, case: CaseId) -> Result<Vec<Examination>> {
    let rows = sqlx::query(statement(&[COLUMNS, " WHERE case_id = $1 ORDER BY requested_at, id"]))
        .bind(case.to_string())
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(examination).collect()
}

/// The examinations that are made for a report, the oldest first.
///
/// # Errors
/// Where the database refuses.
pub async fn of_report(tx: &mut Tx, report: ReportId) -> Result<Vec<Examination>> {
    let rows = sqlx::query(statement(&[
        COLUMNS,
        " WHERE id IN (SELECT examination_id FROM examination_reports WHERE report_id = $1) ORDER BY requested_at, id",
    ]))
        .bind(report.to_string())
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(examination).collect()
}

/// Gives an examination to a case.
///
/// # Errors
/// Where the database refuses.
pub async fn set_case(tx: &mut Tx, id: ExaminationId, case: CaseId) -> Result<()> {
    sqlx::query("UPDATE examinations SET case_id = $1 WHERE id = $2")
        .bind(case.to_string())
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// The looks at a repository that are not done, the oldest first.
///
/// # Errors
/// Where the database refuses.
pub async fn waiting_of(tx: &mut Tx, repository: &str) -> Result<Vec<Examination>> {
    let rows = sqlx::query(statement(&[
        COLUMNS,
        " WHERE repository = $1 AND state = 'waiting' ORDER BY requested_at, id LIMIT 100",
    ]))
    .bind(repository)
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(examination).collect()
}

/// The newest look at a repository that ended.
///
/// # Errors
/// Where the database refuses.
pub async fn last_ended(tx: &mut Tx, repository: &str) -> Result<Option<Examination>> {
    let row = sqlx::query(statement(&[
        COLUMNS,
        " WHERE repository = $1 AND state <> 'waiting' ORDER BY examined_at DESC, id DESC LIMIT 1",
    ]))
    .bind(repository)
    .fetch_optional(tx.connection())
    .await?;
    row.as_ref().map(examination).transpose()
}

/// A look is made for a report too.
///
/// # Errors
/// Where the database refuses.
pub async fn join(tx: &mut Tx, id: ExaminationId, report: ReportId) -> Result<()> {
    sqlx::query(
        "INSERT INTO examination_reports (examination_id, report_id) VALUES ($1, $2) \
         ON CONFLICT (examination_id, report_id) DO NOTHING",
    )
    .bind(id.to_string())
    .bind(report.to_string())
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The reports that a look is made for.
///
/// # Errors
/// Where the database refuses.
pub async fn reports_of(tx: &mut Tx, id: ExaminationId) -> Result<Vec<ReportId>> {
    let rows =
        sqlx::query("SELECT report_id FROM examination_reports WHERE examination_id = $1 ORDER BY report_id")
            .bind(id.to_string())
            .fetch_all(tx.connection())
            .await?;
    rows.iter().map(|row| Columns(row).parsed("report_id")).collect()
}

/// Widens what a look that has not begun fetches.
///
/// # Errors
/// Where the database refuses.
pub async fn set_cited(tx: &mut Tx, id: ExaminationId, cited: &[String]) -> Result<()> {
    sqlx::query("UPDATE examinations SET cited = $1 WHERE id = $2 AND state = 'waiting'")
        .bind(serde_json::Value::from(cited.to_vec()).to_string())
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// The addresses from which nameless reports came whose looks are not done, one a look; at most `limit`. An address that was
/// erased counts as an empty one.
///
/// # Errors
/// Where the database refuses.
pub async fn strangers_waiting(tx: &mut Tx, limit: i64) -> Result<Vec<String>> {
    let rows = sqlx::query(
        "SELECT COALESCE(p.address, '') AS address FROM examinations e JOIN reports r ON r.id = e.report_id \
         LEFT JOIN personal p ON p.id = r.personal_id WHERE e.state = 'waiting' AND r.account_id IS NULL LIMIT $1",
    )
    .bind(limit)
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(|row| Columns(row).text("address")).collect()
}

/// What an examination found.
#[derive(Debug, Clone)]
pub struct Findings<'a> {
    /// The scan document (JSON).
    pub document: &'a str,
    /// The forge's pushes (JSON).
    pub pushes: Option<String>,
    /// The forge's runs (JSON).
    pub runs: Option<String>,
    /// What is incomplete.
    pub problem: Option<String>,
}

/// Notes that an examination is done; false where it was before, so that a repeated job changes nothing.
///
/// # Errors
/// Where the database refuses.
pub async fn finish(tx: &mut Tx, id: ExaminationId, found: &Findings<'_>, now: Instant) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE examinations SET state = 'done', examined_at = $1, document = $2, pushes = $3, runs = $4, problem = $5 \
         WHERE id = $6 AND state = 'waiting'",
    )
    .bind(now.0)
    .bind(found.document)
    .bind(found.pushes.clone())
    .bind(found.runs.clone())
    .bind(found.problem.clone())
    .bind(id.to_string())
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes what went wrong; `given_up` when it is not tried again.
///
/// # Errors
/// Where the database refuses.
pub async fn fail(tx: &mut Tx, id: ExaminationId, problem: &str, given_up: bool, now: Instant) -> Result<()> {
    let state = if given_up { ExaminationState::Failed } else { ExaminationState::Waiting };
    sqlx::query(
        "UPDATE examinations SET problem = $1, state = $2, examined_at = $3 WHERE id = $4 AND state = 'waiting'",
    )
    .bind(problem)
    .bind(state.word())
    .bind(given_up.then_some(now.0))
    .bind(id.to_string())
    .execute(tx.connection())
    .await?;
    Ok(())
}
