//! Plans that were shown, actions that were applied, and what the plans' rules look up.

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
