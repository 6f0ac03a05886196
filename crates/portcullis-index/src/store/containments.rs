//! Plans that were shown, actions that were applied, and the publishers and gates that containment changes.

use super::{Columns, Result, Tx, statement, stored_enum};
use crate::clock::Instant;
use crate::ids::{ActionId, CaseId, ProjectId, PublisherId, TokenId};

stored_enum! {
    /// What an action does.
    ActionType {
        /// A token may no longer be used.
        SuspendToken = "suspend-token",
        /// A publisher gets no tokens, and those it has die.
        PausePublisher = "pause-publisher",
        /// Nothing is minted for a repository.
        CloseGate = "close-gate",
        /// A file is no longer offered.
        HoldFile = "hold-file",
        /// A release is quarantined: all its files are the thief's.
        HoldRelease = "hold-release",
    }
}

stored_enum! {
    /// Whether an action is in force.
    ActionState {
        /// It is.
        Applied = "applied",
        /// It was taken back.
        Released = "released",
    }
}

/// A row of `containment_actions`.
#[derive(Debug, Clone)]
pub struct Action {
    /// Its id.
    pub id: ActionId,
    /// The case that decided it.
    pub case_id: CaseId,
    /// What it does.
    pub action: ActionType,
    /// To what kind of thing.
    pub target_type: String,
    /// To which one.
    pub target_id: String,
    /// Why.
    pub reason: String,
    /// The plan that a responder confirmed.
    pub plan_digest: String,
    /// What was there before (JSON): what release restores.
    pub before: String,
    /// Whether it is in force.
    pub state: ActionState,
    /// When it was applied.
    pub applied_at: Instant,
    /// By whom.
    pub applied_by: String,
    /// When it was taken back.
    pub released_at: Option<Instant>,
    /// By whom.
    pub released_by: Option<String>,
    /// Why.
    pub release_reason: Option<String>,
}

const COLUMNS: &str = "SELECT id, case_id, type, target_type, target_id, reason, plan_digest, before, state, applied_at, \
     applied_by, released_at, released_by, release_reason FROM containment_actions";

fn action(row: &sqlx::any::AnyRow) -> Result<Action> {
    let row = Columns(row);
    Ok(Action {
        id: row.parsed("id")?,
        case_id: row.parsed("case_id")?,
        action: row.parsed("type")?,
        target_type: row.text("target_type")?,
        target_id: row.text("target_id")?,
        reason: row.text("reason")?,
        plan_digest: row.text("plan_digest")?,
        before: row.text("before")?,
        state: row.parsed("state")?,
        applied_at: row.time("applied_at")?,
        applied_by: row.text("applied_by")?,
        released_at: row.optional_time("released_at")?,
        released_by: row.optional_text("released_by")?,
        release_reason: row.optional_text("release_reason")?,
    })
}

/// Adds an action that was just applied.
///
/// # Errors
/// Where the database refuses.
pub async fn insert_action(tx: &mut Tx, action: &Action) -> Result<()> {
    sqlx::query(
        "INSERT INTO containment_actions (id, case_id, type, target_type, target_id, reason, plan_digest, before, state, \
         applied_at, applied_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(action.id.to_string())
    .bind(action.case_id.to_string())
    .bind(action.action.word())
    .bind(action.target_type.as_str())
    .bind(action.target_id.as_str())
    .bind(action.reason.as_str())
    .bind(action.plan_digest.as_str())
    .bind(action.before.as_str())
    .bind(action.state.word())
    .bind(action.applied_at.0)
    .bind(action.applied_by.as_str())
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The actions of a case in the order in which they were applied.
///
/// # Errors
/// Where the database refuses.
pub async fn actions_of_case(tx: &mut Tx, case: CaseId) -> Result<Vec<Action>> {
    let rows = sqlx::query(statement(&[COLUMNS, " WHERE case_id = $1 ORDER BY applied_at, id"]))
        .bind(case.to_string())
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(action).collect()
}

/// Another case's action of the same type on the same target that is in force.
///
/// # Errors
/// Where the database refuses.
pub async fn held_by_another(
    tx: &mut Tx,
    case: CaseId,
    action_type: ActionType,
    target_id: &str,
) -> Result<Option<Action>> {
    let row = sqlx::query(statement(&[
        COLUMNS,
        " WHERE type = $1 AND target_id = $2 AND state = 'applied' AND case_id <> $3 ORDER BY applied_at LIMIT 1",
    ]))
    .bind(action_type.word())
    .bind(target_id)
    .bind(case.to_string())
    .fetch_optional(tx.connection())
    .await?;
    row.as_ref().map(action).transpose()
}

/// Notes that an action was taken back.
///
/// # Errors
/// Where the database refuses.
pub async fn release(tx: &mut Tx, id: ActionId, by: &str, reason: &str, now: Instant) -> Result<()> {
    sqlx::query(
        "UPDATE containment_actions SET state = 'released', released_at = $1, released_by = $2, release_reason = $3 \
         WHERE id = $4 AND state = 'applied'",
    )
    .bind(now.0)
    .bind(by)
    .bind(reason)
    .bind(id.to_string())
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A plan as it was shown.
#[derive(Debug, Clone)]
pub struct ShownPlan {
    /// Whether contested claims were asked for.
    pub include_claimed: bool,
    /// The plan (JSON).
    pub plan: String,
}

/// Keeps a plan that is shown; the same one again stays as it is.
///
/// # Errors
/// Where the database refuses.
pub async fn keep_plan(
    tx: &mut Tx,
    case: CaseId,
    digest: &str,
    shown: &ShownPlan,
    now: Instant,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO containment_plans (case_id, digest, include_claimed, plan, made_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (case_id, digest) DO NOTHING",
    )
    .bind(case.to_string())
    .bind(digest)
    .bind(i64::from(shown.include_claimed))
    .bind(shown.plan.as_str())
    .bind(now.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The plan of a case with this digest, where it was ever shown.
///
/// # Errors
/// Where the database refuses.
pub async fn shown_plan(tx: &mut Tx, case: CaseId, digest: &str) -> Result<Option<ShownPlan>> {
    let row =
        sqlx::query("SELECT include_claimed, plan FROM containment_plans WHERE case_id = $1 AND digest = $2")
            .bind(case.to_string())
            .bind(digest)
            .fetch_optional(tx.connection())
            .await?;
    row.as_ref()
        .map(|row| {
            let row = Columns(row);
            Ok(ShownPlan { include_claimed: row.flag("include_claimed")?, plan: row.text("plan")? })
        })
        .transpose()
}

/// A publisher as the desk sees it.
#[derive(Debug, Clone)]
pub struct RepositoryPublisher {
    /// Its id.
    pub id: PublisherId,
    /// Its repository.
    pub repository: String,
    /// What it demands of a job (JSON).
    pub configuration: String,
    /// `active`, `paused`, `removed`.
    pub state: String,
    /// Why.
    pub state_cause: Option<String>,
    /// The projects that trust it.
    pub projects: Vec<ProjectId>,
}

async fn publishers(tx: &mut Tx, rows: Vec<sqlx::any::AnyRow>) -> Result<Vec<RepositoryPublisher>> {
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let row = Columns(row);
        let id: PublisherId = row.parsed("id")?;
        let projects = sqlx::query(
            "SELECT project_id FROM publisher_projects WHERE publisher_id = $1 AND removed_at IS NULL ORDER BY project_id",
        )
        .bind(id.to_string())
        .fetch_all(tx.connection())
        .await?;
        found.push(RepositoryPublisher {
            id,
            repository: row.optional_text("repository")?.unwrap_or_default(),
            configuration: row.text("configuration")?,
            state: row.text("state")?,
            state_cause: row.optional_text("state_cause")?,
            projects: projects.iter().map(|row| Columns(row).parsed("project_id")).collect::<Result<_>>()?,
        });
    }
    Ok(found)
}

/// The publishers of a repository, also removed ones.
///
/// # Errors
/// Where the database refuses.
pub async fn publishers_of_repository(tx: &mut Tx, repository: &str) -> Result<Vec<RepositoryPublisher>> {
    let rows = sqlx::query(
        "SELECT id, repository, configuration, state, state_cause FROM publishers WHERE repository = $1 ORDER BY id",
    )
    .bind(repository)
    .fetch_all(tx.connection())
    .await?;
    publishers(tx, rows).await
}

/// The publishers that a project trusts.
///
/// # Errors
/// Where the database refuses.
pub async fn publishers_of_project(tx: &mut Tx, project: ProjectId) -> Result<Vec<RepositoryPublisher>> {
    let rows = sqlx::query(
        "SELECT id, repository, configuration, state, state_cause FROM publishers WHERE state <> 'removed' AND id IN \
         (SELECT publisher_id FROM publisher_projects WHERE project_id = $1 AND removed_at IS NULL) ORDER BY id",
    )
    .bind(project.to_string())
    .fetch_all(tx.connection())
    .await?;
    publishers(tx, rows).await
}

/// Locks a publisher until this transaction ends: a mint that already holds it commits first.
///
/// # Errors
/// Where the database refuses.
pub async fn lock_publisher(tx: &mut Tx, id: PublisherId) -> Result<()> {
    sqlx::query(statement(&["SELECT id FROM publishers WHERE id = $1", tx.update_lock()]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    Ok(())
}

/// Changes a publisher's state; a removed one stays removed.
///
/// # Errors
/// Where the database refuses.
pub async fn set_publisher_state(
    tx: &mut Tx,
    id: PublisherId,
    state: &str,
    cause: Option<&str>,
    now: Instant,
) -> Result<()> {
    sqlx::query(
        "UPDATE publishers SET state = $1, state_cause = $2, state_since = $3 WHERE id = $4 AND state <> 'removed'",
    )
    .bind(state)
    .bind(cause.map(str::to_owned))
    .bind(now.0)
    .bind(id.to_string())
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The tokens that were ever minted for a publisher since `since`.
///
/// # Errors
/// Where the database refuses.
pub async fn minted_since(tx: &mut Tx, publisher: PublisherId, since: Instant) -> Result<Vec<TokenId>> {
    let rows = sqlx::query("SELECT id FROM tokens WHERE publisher_id = $1 AND created_at >= $2 ORDER BY id")
        .bind(publisher.to_string())
        .bind(since.0)
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(|row| Columns(row).parsed("id")).collect()
}

/// The repositories where owners say that tokens live which have uploaded to a project.
///
/// # Errors
/// Where the database refuses.
pub async fn labels_of_uploads(tx: &mut Tx, project: ProjectId) -> Result<Vec<String>> {
    let rows = sqlx::query(
        "SELECT DISTINCT t.lives_in FROM tokens t JOIN files f ON f.token_id = t.id \
         WHERE f.project_id = $1 AND t.lives_in IS NOT NULL ORDER BY t.lives_in",
    )
    .bind(project.to_string())
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(|row| Columns(row).text("lives_in")).collect()
}

/// A repository's mint gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Whether it is closed.
    pub closed: bool,
    /// Why.
    pub cause: Option<String>,
    /// By which case.
    pub case_id: Option<CaseId>,
}

/// A repository's mint gate; none means that it was never closed.
///
/// # Errors
/// Where the database refuses.
pub async fn gate(tx: &mut Tx, repository: &str) -> Result<Option<Gate>> {
    let row = sqlx::query(statement(&[
        "SELECT state, state_cause, case_id FROM mint_gates WHERE repository = $1",
        tx.update_lock(),
    ]))
    .bind(repository)
    .fetch_optional(tx.connection())
    .await?;
    row.as_ref()
        .map(|row| {
            let row = Columns(row);
            Ok(Gate {
                closed: row.text("state")? == "closed",
                cause: row.optional_text("state_cause")?,
                case_id: row.optional_parsed("case_id")?,
            })
        })
        .transpose()
}

/// Closes or opens a repository's mint gate.
///
/// # Errors
/// Where the database refuses.
pub async fn set_gate(tx: &mut Tx, repository: &str, gate: &Gate, now: Instant) -> Result<()> {
    let state = if gate.closed { "closed" } else { "open" };
    sqlx::query(
        "INSERT INTO mint_gates (repository, state, state_cause, case_id, state_since) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (repository) DO UPDATE SET state = excluded.state, state_cause = excluded.state_cause, \
         case_id = excluded.case_id, state_since = excluded.state_since",
    )
    .bind(repository)
    .bind(state)
    .bind(gate.cause.clone())
    .bind(gate.case_id.map(|id| id.to_string()))
    .bind(now.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}
