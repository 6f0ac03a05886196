//! Exposures: a secret of a repository, at a destination, over a span of time, as our own scan confirmed it.

use serde::{Deserialize, Serialize};

use super::reports::Level;
use super::{Columns, Result, Tx, statement, stored_enum};
use crate::clock::Instant;
use crate::ids::{CaseId, ExposureId};

stored_enum! {
    /// What a bound of a span rests on.
    Basis {
        /// A commit's time, which the pusher chooses.
        Claimed = "claimed",
        /// A push event, or our own sight.
        Observed = "observed",
    }
}

stored_enum! {
    /// Whose a finding's version is, and whether it ran.
    Standing {
        /// A run, a mint or a push event proves that it ran.
        Ran = "ran",
        /// The repository's own branch or tag holds it, with a matching trigger.
        CouldRun = "could-run",
        /// Only a pull request, a fork or an unreachable object without a push holds it: shown, never acted on.
        Foreign = "foreign",
    }
}

/// What a secret opens, as the repository's workflows say: always a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedFor {
    /// `pypi`, `npm`, …
    pub registry: String,
    /// The package, as the repository names it.
    #[serde(default)]
    pub package: Option<String>,
}

/// What else is known of an exposure.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Details {
    /// The workflow's path.
    #[serde(default)]
    pub path: String,
    /// The rule that found it.
    #[serde(default)]
    pub rule: String,
    /// What kind of secret it is: `pypi`, …
    #[serde(default)]
    pub secret_kind: String,
    /// Whether every secret of the repository left.
    #[serde(default)]
    pub all_secrets: bool,
    /// Whether the secret reaches the job.
    #[serde(default)]
    pub reachable: bool,
    /// The blobs of the workflow's malicious versions.
    #[serde(default)]
    pub versions: Vec<String>,
    /// The commits that brought one of them in.
    #[serde(default)]
    pub commits: Vec<String>,
    /// On which of the repository's own refs it stood, and whether it stands there still.
    #[serde(default)]
    pub refs: Vec<StoodOn>,
    /// When a push first brought it, where the forge tells.
    #[serde(default)]
    pub observed_from: Option<i64>,
    /// Runs of the malicious version that the forge tells of.
    #[serde(default)]
    pub runs: Vec<i64>,
}

/// One ref that held a malicious version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoodOn {
    /// `refs/heads/main`.
    #[serde(rename = "ref")]
    pub name: String,
    /// Whether it stands there still.
    pub stands: bool,
}

/// A row of `exposures`.
#[derive(Debug, Clone)]
pub struct Exposure {
    /// Its id.
    pub id: ExposureId,
    /// In which case.
    pub case_id: CaseId,
    /// Of which repository.
    pub repository: String,
    /// The scanner's finding.
    pub finding_id: String,
    /// The name of the secret.
    pub secret: String,
    /// Where to.
    pub destination: String,
    /// What is known.
    pub level: Level,
    /// Whose version it is.
    pub standing: Standing,
    /// Since when.
    pub from_at: Instant,
    /// What that rests on.
    pub from_basis: Basis,
    /// Until when; none while it stands.
    pub until_at: Option<Instant>,
    /// What that rests on.
    pub until_basis: Option<Basis>,
    /// What the secret opens.
    pub used_for: Vec<UsedFor>,
    /// What else is known.
    pub details: Details,
    /// When it was first stored.
    pub created_at: Instant,
}

const COLUMNS: &str = "SELECT id, case_id, repository, finding_id, secret, destination, level, standing, from_at, \
     from_basis, until_at, until_basis, used_for, details, created_at FROM exposures";

fn exposure(row: &sqlx::any::AnyRow) -> Result<Exposure> {
    let row = Columns(row);
    Ok(Exposure {
        id: row.parsed("id")?,
        case_id: row.parsed("case_id")?,
        repository: row.text("repository")?,
        finding_id: row.text("finding_id")?,
        secret: row.text("secret")?,
        destination: row.text("destination")?,
        level: row.parsed("level")?,
        standing: row.parsed("standing")?,
        from_at: row.time("from_at")?,
        from_basis: row.parsed("from_basis")?,
        until_at: row.optional_time("until_at")?,
        until_basis: row.optional_parsed("until_basis")?,
        used_for: row.json("used_for")?,
        details: row.json("details")?,
        created_at: row.time("created_at")?,
    })
}

/// The exposures of a case, by repository, secret and destination.
///
/// # Errors
/// Where the database refuses.
pub async fn of_case(tx: &mut Tx, case: CaseId) -> Result<Vec<Exposure>> {
    let rows = sqlx::query(statement(&[
        COLUMNS,
        " WHERE case_id = $1 ORDER BY repository, secret, destination, finding_id",
    ]))
    .bind(case.to_string())
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(exposure).collect()
}

/// Stores an exposure; one of the same case, repository, finding, secret and destination is brought up to date and
/// keeps its id. Returns whether it is new.
///
/// # Errors
/// Where the database refuses.
pub async fn store(tx: &mut Tx, exposure: &Exposure) -> Result<bool> {
    let used_for = serde_json::to_string(&exposure.used_for).unwrap_or_else(|_| String::from("[]"));
    let details = serde_json::to_string(&exposure.details).unwrap_or_else(|_| String::from("{}"));
    let done = sqlx::query(
        "INSERT INTO exposures (id, case_id, repository, finding_id, secret, destination, level, standing, from_at, \
         from_basis, until_at, until_basis, used_for, details, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
         ON CONFLICT (case_id, repository, finding_id, secret, destination) DO NOTHING",
    )
    .bind(exposure.id.to_string())
    .bind(exposure.case_id.to_string())
    .bind(exposure.repository.as_str())
    .bind(exposure.finding_id.as_str())
    .bind(exposure.secret.as_str())
    .bind(exposure.destination.as_str())
    .bind(exposure.level.word())
    .bind(exposure.standing.word())
    .bind(exposure.from_at.0)
    .bind(exposure.from_basis.word())
    .bind(exposure.until_at.map(|time| time.0))
    .bind(exposure.until_basis.map(Basis::word))
    .bind(used_for.as_str())
    .bind(details.as_str())
    .bind(exposure.created_at.0)
    .execute(tx.connection())
    .await?;
    if done.rows_affected() == 1 {
        return Ok(true);
    }
    sqlx::query(
        "UPDATE exposures SET level = $1, standing = $2, from_at = $3, from_basis = $4, until_at = $5, until_basis = $6, \
         used_for = $7, details = $8 \
         WHERE case_id = $9 AND repository = $10 AND finding_id = $11 AND secret = $12 AND destination = $13",
    )
    .bind(exposure.level.word())
    .bind(exposure.standing.word())
    .bind(exposure.from_at.0)
    .bind(exposure.from_basis.word())
    .bind(exposure.until_at.map(|time| time.0))
    .bind(exposure.until_basis.map(Basis::word))
    .bind(used_for.as_str())
    .bind(details.as_str())
    .bind(exposure.case_id.to_string())
    .bind(exposure.repository.as_str())
    .bind(exposure.finding_id.as_str())
    .bind(exposure.secret.as_str())
    .bind(exposure.destination.as_str())
    .execute(tx.connection())
    .await?;
    Ok(false)
}
