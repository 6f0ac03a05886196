//! Containment: one decision, applied at once in one transaction, and taken back as easily.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::pasted::without_tokens;
use super::plan::{self, Plan, PlanState, PlannedAction};
use super::{DeskError, Result, case};
use crate::app::App;
use crate::authority::Responder;
use crate::clock::Instant;
use crate::history::{Event, record};
use crate::ids::{ActionId, CaseId, FileId, ProjectId, PublisherId, ReleaseId, TokenId};
use crate::notice::{self, Change};
use crate::store::cases::{self, CaseState};
use crate::store::containments::{self, Action, ActionState, ActionType};
use crate::store::files::{self, FileState, ReleaseState};
use crate::store::mint_gates::{self, GateState};
use crate::store::projects;
use crate::store::publishers::{self, PublisherState};
use crate::store::reports;
use crate::store::tokens::{self, StateChange, TokenState};
use crate::store::{Tx, accounts};

/// How often the rules are evaluated again because locking showed more: each round only adds what committed meanwhile.
const ROUND_LIMIT: usize = 4;

/// What a target was before, so that release can restore it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Before {
    state: String,
    cause: Option<String>,
    case: Option<CaseId>,
}

impl Before {
    /// Whether it was in this state already, and not because of a case.
    fn by_nobody(&self, state: &str) -> bool {
        self.state == state && self.case.is_none()
    }
}

/// Applies the plan with this digest. Matches made since it was shown are included and named.
///
/// # Errors
/// [`DeskError::StalePlan`], with the new plan, where the digest is of no plan that was shown, or an account or project would
/// be touched that it did not name. Then nothing is done.
pub async fn apply(app: &App, by: &Responder, case_id: CaseId, digest: &str) -> Result<Plan> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    by.confirm(&mut tx, now).await?;
    let case = case::by_id_locked(&mut tx, case_id).await?;
    if case.state == CaseState::Closed {
        return Err(DeskError::Conflict(format!("case {case_id} is closed; open a new one")));
    }
    let shown = containments::shown_plan(&mut tx, case_id, digest).await?;
    let include_claimed = shown.as_ref().is_some_and(|shown| shown.include_claimed);
    let mut plan = evaluate_locked(&mut tx, case_id, include_claimed, now).await?;
    let shown: Option<Plan> = shown.and_then(|shown| serde_json::from_str(&shown.plan).ok());
    let stale = match &shown {
        None => Some(String::from("the digest is of no plan that this case was shown")),
        Some(shown) => names_more(shown, &plan),
    };
    if let Some(reason) = stale {
        plan::keep(&mut tx, &plan, now).await?;
        tx.commit().await?;
        return Err(DeskError::StalePlan { reason, plan: Box::new(plan) });
    }
    let confirmed: BTreeSet<String> =
        shown.iter().flat_map(|shown| &shown.actions).map(|action| action.id.clone()).collect();
    let added = plan.actions.iter().map(|action| action.id.clone()).filter(|id| !confirmed.contains(id));
    plan.added_since_plan = Some(added.collect());
    let todo: Vec<PlannedAction> =
        plan.actions.iter().filter(|action| action.state == PlanState::Planned).cloned().collect();
    for action in &todo {
        carry_out(&mut tx, app, by, &plan, action, now).await?;
    }
    if !todo.is_empty() {
        let mut event = Event::new("desk:containment:applied", by.actor());
        event.case = Some(case_id);
        event.details = serde_json::json!({
            "digest": digest, "applied_digest": plan.digest, "rules": plan.rules, "level": plan.level,
            "actions": todo.iter().map(|action| &action.id).collect::<Vec<_>>(),
            "added_since_plan": plan.added_since_plan,
        });
        record(&mut tx, now, event).await?;
        cases::set_state(&mut tx, case_id, CaseState::Contained).await?;
        reports::case_acted(&mut tx, case_id).await?;
        notice::enqueue(&mut tx, app, case_id, Change::Contained { plan: &plan, actions: &todo, at: now })
            .await?;
    }
    let first = containments::actions_of_case(&mut tx, case_id).await?;
    let applied = first.iter().filter(|action| action.state == ActionState::Applied);
    plan.applied_at = applied.map(|action| action.applied_at).max().or(Some(now)).map(Instant::rfc3339);
    for action in &mut plan.actions {
        action.state = PlanState::Applied;
    }
    plan::keep(&mut tx, &plan, now).await?;
    tx.commit().await?;
    app.committed();
    Ok(plan)
}

/// Evaluates the rules with every row locked that they name. An upload or mint that holds such a row commits first, and the
/// next round sees what it brought; one that comes later waits, and is refused.
///
/// Tokens first, then accounts, gates, publishers: uploads take token before account and publisher, mints take gate before
/// publisher.
async fn evaluate_locked(tx: &mut Tx, case: CaseId, include_claimed: bool, now: Instant) -> Result<Plan> {
    let mut locked: BTreeSet<(ActionType, String)> = BTreeSet::new();
    let mut plan = plan::evaluate(tx, case, include_claimed).await?;
    for _ in 0..ROUND_LIMIT {
        let mut fresh: Vec<(ActionType, String)> = plan
            .actions
            .iter()
            .map(|action| (action.action, action.target_id.clone()))
            .filter(|target| !locked.contains(target))
            .collect();
        if fresh.is_empty() {
            break;
        }
        fresh.sort_by(|a, b| (lock_order(a.0), &a.1).cmp(&(lock_order(b.0), &b.1)));
        let (of_tokens, others): (Vec<_>, Vec<_>) =
            fresh.into_iter().partition(|(action, _)| *action == ActionType::SuspendToken);
        for (action, id) in of_tokens {
            lock(tx, action, &id, now).await?;
            locked.insert((action, id));
        }
        // Whoever makes a token locks its account: it has committed and the next round sees it, or it comes later and is born
        // suspended.
        for account in plan.accounts() {
            accounts::by_id_for_update(tx, account).await?;
        }
        for (action, id) in others {
            lock(tx, action, &id, now).await?;
            locked.insert((action, id));
        }
        plan = plan::evaluate(tx, case, include_claimed).await?;
    }
    Ok(plan)
}

/// In which order the targets of actions are locked, by containment and release alike: as uploads and mints take them.
fn lock_order(action: ActionType) -> u8 {
    match action {
        ActionType::SuspendToken => 0,
        ActionType::CloseGate => 1,
        ActionType::PausePublisher => 2,
        ActionType::HoldRelease => 3,
        ActionType::HoldFile => 4,
    }
}

async fn lock(tx: &mut Tx, action: ActionType, id: &str, now: Instant) -> Result<()> {
    match action {
        ActionType::SuspendToken => {
            tokens::by_id_locked(tx, target(id)?).await?;
        }
        ActionType::CloseGate => {
            mint_gates::locked(tx, id, now).await?;
        }
        ActionType::PausePublisher => {
            publishers::by_id_for_update(tx, target(id)?).await?;
        }
        ActionType::HoldFile | ActionType::HoldRelease => {}
    }
    Ok(())
}

fn target<T: std::str::FromStr>(id: &str) -> Result<T> {
    id.parse().map_err(|_| DeskError::Unknown { what: format!("target {id}") })
}

/// What the new plan would touch that the shown one did not name.
fn names_more(shown: &Plan, now: &Plan) -> Option<String> {
    let (accounts, projects) = (shown.accounts(), shown.projects());
    let more_accounts = now.accounts().difference(&accounts).count();
    let more_projects = now.projects().difference(&projects).count();
    (more_accounts + more_projects > 0).then(|| {
        format!(
            "since that plan was shown, {more_accounts} more accounts and {more_projects} more projects would be touched: its \
             digest is stale"
        )
    })
}

/// Why a token is suspended, as its holder reads it in the refusal: short, Latin-1, without the host it went to.
fn cause_of(action: &PlannedAction) -> String {
    let plain = |text: &str| -> String {
        text.chars().filter(|character| character.is_ascii_graphic() || *character == ' ').take(300).collect()
    };
    match action.action {
        ActionType::SuspendToken => plain(&action.reason_for_holder()),
        _ => plain(&action.reason),
    }
}

impl PlannedAction {
    fn reason_for_holder(&self) -> String {
        let ranks = self.reason.split_once(": ").map_or(self.reason.as_str(), |(_, reasons)| reasons);
        let first = ranks.split("; ").next().unwrap_or(ranks);
        format!("a workflow that sends secrets away may have taken it: {first}")
    }
}

async fn carry_out(
    tx: &mut Tx,
    app: &App,
    by: &Responder,
    plan: &Plan,
    action: &PlannedAction,
    now: Instant,
) -> Result<()> {
    let cause = cause_of(action);
    let before = change(tx, by, plan.case, action, &cause, now).await?;
    let row = Action {
        id: ActionId::new(),
        case_id: plan.case,
        action: action.action,
        target_type: action.target.split(':').next().unwrap_or_default().to_owned(),
        target_id: action.target_id.clone(),
        reason: action.reason.clone(),
        plan_digest: plan.digest.clone(),
        before: serde_json::to_string(&before).unwrap_or_default(),
        state: ActionState::Applied,
        applied_at: now,
        applied_by: by.account().name.clone(),
        released_at: None,
        released_by: None,
        release_reason: None,
    };
    containments::insert_action(tx, &row).await?;
    tracing::info!(case = %plan.case, action = %action.action, id = action.id, node = app.node, "containment acted");
    Ok(())
}

/// Changes the target and writes its event on every account and project concerned. Returns what was there before.
async fn change(
    tx: &mut Tx,
    by: &Responder,
    case: CaseId,
    action: &PlannedAction,
    cause: &str,
    now: Instant,
) -> Result<Before> {
    let id = action.target_id.as_str();
    let details = serde_json::json!({
        "action": action.id, "target": action.target, "label": action.label, "reason": action.reason,
    });
    match action.action {
        ActionType::SuspendToken => {
            let token_id: TokenId = target(id)?;
            let token = tokens::by_id(tx, token_id).await?.ok_or_else(|| unknown(action))?;
            let suspended = StateChange {
                state: TokenState::Suspended,
                cause: Some(cause),
                case_id: Some(case),
                at: now,
            };
            tokens::set_state(tx, token_id, &suspended).await?;
            let event =
                Happened { tag: "account:api_token:suspended", token: Some(token_id), journal: false };
            tell(tx, by, case, action, event, details, now).await?;
            Ok(Before { state: token.state.to_string(), cause: token.state_cause, case: token.state_case_id })
        }
        ActionType::PausePublisher => {
            let publisher_id: PublisherId = target(id)?;
            let publisher = publishers::by_id(tx, publisher_id).await?.ok_or_else(|| unknown(action))?;
            publishers::set_state(tx, publisher_id, PublisherState::Paused, Some(cause), now).await?;
            let event = Happened { tag: "project:oidc:publisher-paused", token: None, journal: false };
            tell(tx, by, case, action, event, details, now).await?;
            Ok(Before { state: publisher.state.to_string(), cause: publisher.state_cause, case: None })
        }
        ActionType::CloseGate => {
            let gate = mint_gates::locked(tx, id, now).await?;
            mint_gates::set(tx, id, GateState::Closed, Some(cause), Some(case), now).await?;
            let event = Happened { tag: "desk:mint_gate:closed", token: None, journal: false };
            tell(tx, by, case, action, event, details, now).await?;
            Ok(Before { state: gate.state.to_string(), cause: gate.state_cause, case: gate.case_id })
        }
        ActionType::HoldFile => {
            let file_id: FileId = target(id)?;
            let file = files::by_id(tx, file_id).await?.ok_or_else(|| unknown(action))?;
            files::set_file_state(tx, file_id, FileState::Held, Some(cause), Some(case)).await?;
            let event = Happened { tag: "file:hold", token: Some(file.token_id), journal: true };
            tell(tx, by, case, action, event, details, now).await?;
            Ok(Before { state: file.state.to_string(), cause: file.state_cause, case: file.state_case_id })
        }
        ActionType::HoldRelease => {
            let release_id: ReleaseId = target(id)?;
            let release = release_of(tx, action, release_id).await?;
            files::set_release_state(tx, release_id, ReleaseState::Quarantined, Some(cause), Some(case))
                .await?;
            let event = Happened { tag: "project:release:quarantine:enter", token: None, journal: true };
            tell(tx, by, case, action, event, details, now).await?;
            Ok(Before { state: release.state.to_string(), cause: release.state_cause, case: None })
        }
    }
}

async fn release_of(tx: &mut Tx, action: &PlannedAction, id: ReleaseId) -> Result<files::Release> {
    for project in &action.projects {
        let found =
            files::releases_of_project(tx, project.id).await?.into_iter().find(|release| release.id == id);
        if let Some(release) = found {
            return Ok(release);
        }
    }
    Err(unknown(action))
}

fn unknown(action: &PlannedAction) -> DeskError {
    DeskError::Unknown { what: action.target.clone() }
}

struct Happened {
    tag: &'static str,
    token: Option<TokenId>,
    journal: bool,
}

/// Writes one event for every account and project that an action touches, so that each page shows it; all on the case's
/// timeline. An account's own tokens concern the account, the rest concerns projects.
async fn tell(
    tx: &mut Tx,
    by: &Responder,
    case: CaseId,
    action: &PlannedAction,
    happened: Happened,
    details: serde_json::Value,
    now: Instant,
) -> Result<()> {
    let event = || {
        let mut event = Event::new(happened.tag, by.actor());
        event.case = Some(case);
        event.token = happened.token;
        event.details = details.clone();
        event
    };
    let accounts: Vec<_> = action.accounts.iter().map(|account| account.id).collect();
    let projects: Vec<ProjectId> = action.projects.iter().map(|project| project.id).collect();
    // Pairs share one event where both exist; what is left over on either side gets its own.
    let rows = accounts.len().max(projects.len()).max(1);
    for index in 0..rows {
        let mut one = event();
        one.account = accounts.get(index).copied();
        one.project = projects.get(index).copied();
        one.journal = happened.journal && one.project.is_some();
        record(tx, now, one).await?;
    }
    Ok(())
}

/// Notes that a token was suspended by a case as it was made. Released, it is live.
pub(super) async fn begin_suspended(
    tx: &mut Tx,
    now: Instant,
    token: TokenId,
    case: CaseId,
    cause: &str,
    plan_digest: &str,
) -> Result<()> {
    let before = Before { state: TokenState::Live.to_string(), cause: None, case: None };
    let row = Action {
        id: ActionId::new(),
        case_id: case,
        action: ActionType::SuspendToken,
        target_type: String::from("token"),
        target_id: token.to_string(),
        reason: cause.to_owned(),
        plan_digest: plan_digest.to_owned(),
        before: serde_json::to_string(&before).unwrap_or_default(),
        state: ActionState::Applied,
        applied_at: now,
        applied_by: String::from("the server"),
        released_at: None,
        released_by: None,
        release_reason: None,
    };
    containments::insert_action(tx, &row).await?;
    Ok(())
}

/// What release did.
#[derive(Debug, Clone, Serialize)]
pub struct Released {
    /// The case.
    pub case: CaseId,
    /// The actions that were taken back.
    pub released: Vec<String>,
    /// When, RFC 3339.
    pub released_at: String,
}

/// Takes back all actions of a case, or the named ones, and restores what was there before.
///
/// # Errors
/// [`DeskError::NotYours`] where one of them touches the responder's own account; [`DeskError::Unknown`] for an id that names no
/// action in force.
pub async fn release(
    app: &App,
    by: &Responder,
    case_id: CaseId,
    chosen: &[String],
    reason: &str,
) -> Result<Released> {
    let reason = without_tokens(reason.trim());
    let reason = reason.as_str();
    if reason.is_empty() {
        return Err(DeskError::Invalid(String::from(
            "taking containment back needs a reason, which the history keeps",
        )));
    }
    let now = app.now();
    let mut tx = app.store.write().await?;
    by.confirm(&mut tx, now).await?;
    let case = case::by_id_locked(&mut tx, case_id).await?;
    let in_force: Vec<Action> = containments::actions_of_case(&mut tx, case_id)
        .await?
        .into_iter()
        .filter(|action| action.state == ActionState::Applied)
        .collect();
    let mut rows = Vec::new();
    for id in chosen {
        let found = in_force.iter().find(|action| {
            plan::action_id(action.action, &action.target_id) == *id || action.id.to_string() == *id
        });
        rows.push(found.ok_or_else(|| DeskError::Unknown { what: format!("action {id} in force") })?.clone());
    }
    if chosen.is_empty() {
        rows = in_force.clone();
    }
    let mut planned = Vec::new();
    for row in &rows {
        planned.push(as_planned(&mut tx, row).await?);
    }
    // The whole containment counts: a gate names no account, and its owner must not open it by choosing it alone.
    let mut own = false;
    for action in &in_force {
        let accounts = as_planned(&mut tx, action).await?.accounts;
        own |= accounts.iter().any(|account| account.id == by.account().id);
    }
    if own {
        return Err(DeskError::NotYours(String::from(
            "this containment names your own account: another responder must release it",
        )));
    }
    let mut pairs: Vec<(&Action, &PlannedAction)> = rows.iter().zip(&planned).collect();
    pairs.sort_by_key(|(row, _)| (lock_order(row.action), row.target_id.clone()));
    for (row, _) in &pairs {
        lock(&mut tx, row.action, &row.target_id, now).await?;
    }
    for (row, action) in pairs {
        restore(&mut tx, by, row, action, reason, now).await?;
        containments::release(&mut tx, row.id, &by.account().name, reason, now).await?;
    }
    if !rows.is_empty() {
        let mut event = Event::new("desk:containment:released", by.actor());
        event.case = Some(case_id);
        event.details = serde_json::json!({
            "reason": reason, "actions": planned.iter().map(|action| &action.id).collect::<Vec<_>>(),
        });
        record(&mut tx, now, event).await?;
        notice::enqueue(&mut tx, app, case_id, Change::Released { actions: &planned, reason, at: now })
            .await?;
        if rows.len() == in_force.len() && case.state == CaseState::Contained {
            cases::set_state(&mut tx, case_id, CaseState::Open).await?;
        }
    }
    tx.commit().await?;
    app.committed();
    Ok(Released {
        case: case_id,
        released: planned.into_iter().map(|action| action.id).collect(),
        released_at: now.rfc3339(),
    })
}

/// An applied action as the plan would show it, with whom it touches.
pub(super) async fn as_planned(tx: &mut Tx, row: &Action) -> Result<PlannedAction> {
    let mut accounts_touched = Vec::new();
    let mut projects_touched = Vec::new();
    let mut label = row.target_id.clone();
    let mut value = row.target_id.clone();
    match row.action {
        ActionType::SuspendToken => {
            let token = tokens::by_id(tx, target(&row.target_id)?).await?;
            if let Some(token) = token {
                label = format!("token {:?}", token.description);
                if let Some(id) = token.account_id
                    && let Some(account) = accounts::by_id(tx, id).await?
                {
                    accounts_touched.push(plan::AccountRef { id, name: account.name });
                }
                projects_touched.extend(tokens::projects_of(tx, token.id).await?);
            }
        }
        ActionType::PausePublisher => {
            projects_touched.extend(publishers::projects_of(tx, target(&row.target_id)?).await?);
        }
        ActionType::CloseGate => {}
        ActionType::HoldFile => {
            if let Some(file) = files::by_id(tx, target(&row.target_id)?).await? {
                value = file.filename.clone();
                label = file.filename;
                projects_touched.push(file.project_id);
            }
        }
        ActionType::HoldRelease => {
            if let Some(release) = files::release_by_id(tx, target(&row.target_id)?).await? {
                let project = projects::by_id(tx, release.project_id).await?;
                let name = project.map(|project| project.name).unwrap_or_default();
                value = format!("{name}=={}", release.version);
                label = value.clone();
                projects_touched.push(release.project_id);
            }
        }
    }
    let mut named = Vec::new();
    for id in projects_touched {
        if let Some(project) = projects::by_id(tx, id).await? {
            named.push(plan::ProjectRef { id, name: project.name });
        }
    }
    let mut action = PlannedAction {
        id: plan::action_id(row.action, &row.target_id),
        action: row.action,
        target: format!("{}:{value}", row.target_type),
        label,
        reason: row.reason.clone(),
        reversible: true,
        state: PlanState::Applied,
        target_id: row.target_id.clone(),
        accounts: accounts_touched,
        projects: named,
        repositories: Vec::new(),
        evidence: None,
    };
    plan::name_owners(tx, &mut action).await?;
    Ok(action)
}

/// Restores what was there before, unless another case still holds the target: then it passes to that case.
async fn restore(
    tx: &mut Tx,
    by: &Responder,
    row: &Action,
    action: &PlannedAction,
    reason: &str,
    now: Instant,
) -> Result<()> {
    let other = containments::held_by_another(tx, row.case_id, row.action, &row.target_id).await?;
    let before: Before = match &other {
        Some(other) => Before {
            state: String::new(),
            cause: Some(cause_of(&as_planned(tx, other).await?)),
            case: Some(other.case_id),
        },
        None => serde_json::from_str(&row.before).map_err(|_| crate::store::StoreError::Corrupt {
            what: String::from("containment_actions.before"),
        })?,
    };
    let id = row.target_id.as_str();
    let cause = before.cause.as_deref();
    let details = serde_json::json!({
        "action": action.id, "target": action.target, "label": action.label, "reason": reason,
        "still_held_by": other.as_ref().map(|other| other.case_id),
    });
    let event = match row.action {
        ActionType::SuspendToken => {
            let held = other.is_some() || before.by_nobody(TokenState::Suspended.word());
            let state = if held { TokenState::Suspended } else { TokenState::Live };
            let change = StateChange {
                state,
                cause: cause.filter(|_| held),
                case_id: before.case.filter(|_| held),
                at: now,
            };
            tokens::set_state(tx, target(id)?, &change).await?;
            Happened { tag: "account:api_token:released", token: Some(target(id)?), journal: false }
        }
        ActionType::PausePublisher => {
            let paused = other.is_some();
            let state = if paused { PublisherState::Paused } else { PublisherState::Active };
            let removed = publishers::by_id(tx, target(id)?).await?;
            if removed.is_some_and(|publisher| publisher.state == PublisherState::Paused) {
                publishers::set_state(tx, target(id)?, state, cause.filter(|_| paused), now).await?;
            }
            Happened { tag: "project:oidc:publisher-resumed", token: None, journal: false }
        }
        ActionType::CloseGate => {
            let closed = other.is_some() || before.by_nobody(GateState::Closed.word());
            let state = if closed { GateState::Closed } else { GateState::Open };
            mint_gates::set(tx, id, state, cause.filter(|_| closed), before.case.filter(|_| closed), now)
                .await?;
            Happened { tag: "desk:mint_gate:opened", token: None, journal: false }
        }
        ActionType::HoldFile => {
            let file = files::by_id(tx, target(id)?).await?.ok_or_else(|| unknown(action))?;
            if file.state == FileState::Held {
                let held = other.is_some() || before.by_nobody(FileState::Held.word());
                let state = if held { FileState::Held } else { FileState::Offered };
                files::set_file_state(
                    tx,
                    file.id,
                    state,
                    cause.filter(|_| held),
                    before.case.filter(|_| held),
                )
                .await?;
            }
            Happened { tag: "file:release", token: Some(file.token_id), journal: true }
        }
        ActionType::HoldRelease => {
            let release = release_of(tx, action, target(id)?).await?;
            if release.state == ReleaseState::Quarantined {
                let held = other.is_some();
                let state = if held { ReleaseState::Quarantined } else { ReleaseState::Active };
                files::set_release_state(
                    tx,
                    release.id,
                    state,
                    cause.filter(|_| held),
                    before.case.filter(|_| held),
                )
                .await?;
            }
            Happened { tag: "project:release:quarantine:exit", token: None, journal: true }
        }
    };
    tell(tx, by, row.case_id, action, event, details, now).await
}
