//! What containment would do, each action with its reason, before anything happens.
//!
//! The digest covers the rules and the actions, not the evidence: what a responder confirms is what is done.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::evidence::Verdict;
use super::radius::{NamedProject, Radius, RadiusAccount, RadiusToken, Rank, Strength};
use super::{Result, radius};
use crate::app::App;
use crate::authority::Responder;
use crate::clock::Instant;
use crate::ids::{AccountId, CaseId, ProjectId};
use crate::store::containments::{self, ActionState, ActionType, ShownPlan};
use crate::store::files::{FileState, ReleaseState};
use crate::store::projects::{self, ProjectRole};
use crate::store::publishers::PublisherState;
use crate::store::reports::Level;
use crate::store::tokens::{TokenKind, TokenState};
use crate::store::{Tx, exposures};

/// The version of the rules below: a plan made by other rules has another digest.
pub const RULES: &str = "portcullis.plan/1";

/// One thing that containment does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlannedAction {
    /// Short and stable: names the action on the command line.
    pub id: String,
    /// What it does.
    #[serde(rename = "type")]
    pub action: ActionType,
    /// To what, in the form of a report's subject: `token:ID`, `file:NAME`, `repository:…`.
    pub target: String,
    /// To what, as a person reads it.
    pub label: String,
    /// Why.
    pub reason: String,
    /// Whether it can be taken back. All can.
    pub reversible: bool,
    /// `planned`, or `applied` where this case did it already.
    pub state: PlanState,
    /// The id of the target's row.
    pub target_id: String,
    /// Whose accounts it touches.
    pub accounts: Vec<AccountRef>,
    /// Which projects it touches.
    pub projects: Vec<ProjectRef>,
    /// Because of which repositories.
    pub repositories: Vec<String>,
    /// What is known of a token's use, in one sentence.
    pub evidence: Option<String>,
}

/// Whether a planned action was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanState {
    /// Not yet.
    Planned,
    /// By this case.
    Applied,
}

/// An account by id and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountRef {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
}

/// A project by id and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProjectRef {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
}

impl From<&RadiusAccount> for AccountRef {
    fn from(account: &RadiusAccount) -> Self {
        Self { id: account.id, name: account.name.clone() }
    }
}

impl From<&NamedProject> for ProjectRef {
    fn from(project: &NamedProject) -> Self {
        Self { id: project.id, name: project.name.clone() }
    }
}

/// Everything that containment would do, or did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// The case.
    pub case: CaseId,
    /// What a responder confirms: SHA-256 over the rules and the actions, hex.
    pub digest: String,
    /// The version of the rules.
    pub rules: String,
    /// Whether contested claims are in it.
    pub include_claimed: bool,
    /// What is known.
    pub level: Level,
    /// What is done.
    pub actions: Vec<PlannedAction>,
    /// What a responder must know before.
    pub warnings: Vec<String>,
    /// When it was applied, RFC 3339; none for a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<String>,
    /// Actions that the confirmed plan did not list yet: matches made since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added_since_plan: Option<Vec<String>>,
}

impl Plan {
    /// The accounts that the plan touches.
    #[must_use]
    pub fn accounts(&self) -> BTreeSet<AccountId> {
        self.actions.iter().flat_map(|action| &action.accounts).map(|account| account.id).collect()
    }

    /// The projects that the plan touches.
    #[must_use]
    pub fn projects(&self) -> BTreeSet<ProjectId> {
        self.actions.iter().flat_map(|action| &action.projects).map(|project| project.id).collect()
    }
}

/// The short name of an action: what it does to what decides it.
#[must_use]
pub fn action_id(action: ActionType, target_id: &str) -> String {
    let digest = Sha256::digest(format!("{}\0{target_id}", action.word()));
    hex::encode(digest).chars().take(12).collect()
}

/// The dry run: what containment would do now. It is kept, so that applying can tell what was shown.
///
/// # Errors
/// [`super::DeskError::ExaminationUnderWay`] until a repository of the case was looked at.
pub async fn dry_run(app: &App, _by: &Responder, case: CaseId, include_claimed: bool) -> Result<Plan> {
    let mut tx = app.store.write().await?;
    let plan = evaluate(&mut tx, case, include_claimed).await?;
    keep(&mut tx, &plan, app.now()).await?;
    tx.commit().await?;
    Ok(plan)
}

/// The dry run after another look where one would tell more ([`radius::up_to_date`]).
///
/// # Errors
/// [`super::DeskError::ExaminationUnderWay`] while a look is under way that this is worth waiting for.
pub async fn up_to_date(app: &App, by: &Responder, case: CaseId, include_claimed: bool) -> Result<Plan> {
    radius::up_to_date(app, by, case).await?;
    dry_run(app, by, case, include_claimed).await
}

/// Keeps a plan that somebody is shown.
pub(super) async fn keep(tx: &mut Tx, plan: &Plan, now: Instant) -> Result<()> {
    let text = serde_json::to_string(plan).unwrap_or_default();
    let shown = ShownPlan { include_claimed: plan.include_claimed, plan: text };
    containments::keep_plan(tx, plan.case, &plan.digest, &shown, now).await?;
    Ok(())
}

/// The rules.
pub(super) async fn evaluate(tx: &mut Tx, case: CaseId, include_claimed: bool) -> Result<Plan> {
    let radius = radius::compute(tx, case).await?;
    let mut draft =
        Draft { radius: &radius, include_claimed, actions: Vec::new(), warnings: radius.warnings.clone() };
    if radius.level >= Level::E1 {
        draft.gates(tx).await?;
        draft.publishers();
        draft.tokens();
        draft.files();
    } else {
        draft.warnings.push(String::from(
            "Our own scan confirms nothing that is the repository's own (level E0): there is nothing to contain.",
        ));
    }
    let Draft { mut actions, warnings, .. } = draft;
    // The same target may be found in several ways; the first reason stays.
    let mut seen = BTreeSet::new();
    actions.retain(|action| seen.insert((action.action, action.target_id.clone())));
    let applied: BTreeSet<(ActionType, String)> = containments::actions_of_case(tx, case)
        .await?
        .into_iter()
        .filter(|action| action.state == ActionState::Applied)
        .map(|action| (action.action, action.target_id))
        .collect();
    for action in &mut actions {
        if applied.contains(&(action.action, action.target_id.clone())) {
            action.state = PlanState::Applied;
        }
        name_owners(tx, action).await?;
    }
    actions.sort_by(|a, b| (a.action, &a.target).cmp(&(b.action, &b.target)));
    Ok(Plan {
        digest: digest(case, include_claimed, &actions),
        case,
        rules: String::from(RULES),
        include_claimed,
        level: radius.level,
        actions,
        warnings,
        applied_at: None,
        added_since_plan: None,
    })
}

fn digest(case: CaseId, include_claimed: bool, actions: &[PlannedAction]) -> String {
    let mut lines: Vec<String> =
        actions.iter().map(|action| format!("{} {}\n", action.action, action.target)).collect();
    lines.sort();
    let mut hash = Sha256::new();
    hash.update(format!("{RULES}\ncase {case}\ninclude-claimed {include_claimed}\n"));
    for line in lines {
        hash.update(line);
    }
    hex::encode(hash.finalize())
}

/// Whoever owns a touched project is touched too: they are named, and told.
pub(super) async fn name_owners(tx: &mut Tx, action: &mut PlannedAction) -> Result<()> {
    let mut accounts: BTreeSet<AccountRef> = action.accounts.drain(..).collect();
    if action.action != ActionType::SuspendToken {
        for project in &action.projects {
            for (id, name, role) in projects::members(tx, project.id).await? {
                if role == ProjectRole::Owner {
                    accounts.insert(AccountRef { id, name });
                }
            }
        }
    }
    action.accounts = accounts.into_iter().collect();
    Ok(())
}

struct Draft<'a> {
    radius: &'a Radius,
    include_claimed: bool,
    actions: Vec<PlannedAction>,
    warnings: Vec<String>,
}

/// What an action is about.
struct Target<'a> {
    kind: &'static str,
    value: &'a str,
    id: String,
    label: String,
    repository: &'a str,
    evidence: Option<String>,
}

impl Draft<'_> {
    fn add(
        &mut self,
        action: ActionType,
        target: Target<'_>,
        reason: String,
        accounts: Vec<AccountRef>,
        projects: Vec<ProjectRef>,
    ) {
        self.actions.push(PlannedAction {
            id: action_id(action, &target.id),
            action,
            target: format!("{}:{}", target.kind, target.value),
            label: target.label,
            reason,
            reversible: true,
            state: PlanState::Planned,
            target_id: target.id,
            accounts,
            projects,
            repositories: vec![target.repository.to_owned()],
            evidence: target.evidence,
        });
    }

    /// While the malicious workflow stands on a branch or tag nothing is minted for its repository. Once it is gone the gate
    /// need not close: the owner shall be able to register a publisher and release.
    async fn gates(&mut self, tx: &mut Tx) -> Result<()> {
        let stored = exposures::of_case(tx, self.radius.case).await?;
        for repository in &self.radius.repositories {
            let own = stored.iter().filter(|exposure| {
                exposure.repository == repository.repository
                    && exposure.standing != exposures::Standing::Foreign
                    && exposure.until_at.is_none()
            });
            let Some(exposure) = own.max_by_key(|exposure| exposure.level) else { continue };
            let reason = format!(
                "{} stands on one of its branches or tags ({}): a job of it could be given a token",
                exposure.details.path, exposure.level
            );
            let name = repository.repository.as_str();
            let target = Target {
                kind: "repository",
                value: name,
                id: name.to_owned(),
                label: name.to_owned(),
                repository: name,
                evidence: None,
            };
            self.add(ActionType::CloseGate, target, reason, Vec::new(), Vec::new());
        }
        Ok(())
    }

    fn publishers(&mut self) {
        for publisher in &self.radius.publishers {
            if publisher.state == PublisherState::Removed {
                continue;
            }
            let id = publisher.id.to_string();
            let names: Vec<&str> = publisher.projects.iter().map(|project| project.name.as_str()).collect();
            let target = Target {
                kind: "publisher",
                value: &id,
                id: id.clone(),
                label: format!("publisher of {} for {}", publisher.repository, names.join(", ")),
                repository: &publisher.repository,
                evidence: None,
            };
            let reason = format!(
                "it trusts {}, to which somebody else could push a workflow; its live minted tokens die with it",
                publisher.repository
            );
            let projects = publisher.projects.iter().map(ProjectRef::from).collect();
            self.add(ActionType::PausePublisher, target, reason, Vec::new(), projects);
        }
    }

    /// Whether what leads to a token lets it be acted on.
    fn acts_on(&self, token: &RadiusToken) -> bool {
        token.rank > Rank::Unlikely
            && (token.strength == Strength::Proved || !token.contested || self.include_claimed)
    }

    fn tokens(&mut self) {
        let radius = self.radius;
        for token in radius.tokens.iter().filter(|token| token.kind == TokenKind::LongLived) {
            let whose = token.account.as_ref().map_or("nobody", |account| account.name.as_str());
            let label = format!("token {:?} of {whose}", token.description);
            if token.state == TokenState::Revoked {
                continue;
            }
            if !self.acts_on(token) {
                let because = token.reasons.first().map(String::as_str).unwrap_or_default();
                self.warnings.push(if token.rank == Rank::Unlikely {
                    format!("{label} is left alone, it is unlikely to be the stolen one: {because}.")
                } else {
                    format!(
                        "{label} is left alone: only a claim of the repository leads to it, and the project contradicts it. \
                         Include contested claims to suspend it ({because})."
                    )
                });
                continue;
            }
            let id = token.id.to_string();
            let reason = format!(
                "{} ({}, {}): {}",
                token.rank,
                token.strength,
                radius.level,
                token.reasons.join("; ")
            );
            let target = Target {
                kind: "token",
                value: &id,
                id: id.clone(),
                label,
                repository: &token.repository,
                evidence: Some(token.evidence.sentence.clone()),
            };
            let accounts = token.account.iter().map(AccountRef::from).collect();
            let projects = token.projects.iter().map(ProjectRef::from).collect();
            self.add(ActionType::SuspendToken, target, reason, accounts, projects);
        }
    }

    fn files(&mut self) {
        let radius = self.radius;
        let acted: BTreeSet<_> =
            radius.tokens.iter().filter(|token| self.acts_on(token)).map(|token| token.id).collect();
        let repository_of = |id| {
            let token = radius.tokens.iter().find(|token| token.id == id);
            token.map_or("", |token| token.repository.as_str())
        };
        for file in radius.files.iter().filter(|file| acted.contains(&file.token)) {
            match file.verdict {
                Verdict::Thiefs if file.state != FileState::Removed => {
                    let target = Target {
                        kind: "file",
                        value: &file.filename,
                        id: file.id.to_string(),
                        label: file.filename.clone(),
                        repository: repository_of(file.token),
                        evidence: None,
                    };
                    let reason = format!("a thief uploaded it at {}: {}", file.uploaded_at, file.why);
                    let projects = vec![ProjectRef::from(&file.project)];
                    self.add(ActionType::HoldFile, target, reason, Vec::new(), projects);
                }
                Verdict::Unexplained => self.warnings.push(format!(
                    "{} stays offered: whose it is can't be told ({}). Ask its owner.",
                    file.filename, file.why
                )),
                _ => {}
            }
        }
        let held: BTreeSet<_> = radius
            .files
            .iter()
            .filter(|file| acted.contains(&file.token) && file.verdict == Verdict::Thiefs)
            .map(|file| file.release_id)
            .collect();
        for release in &radius.releases {
            if !(release.wholly_thiefs && held.contains(&release.id))
                || release.state == ReleaseState::Removed
            {
                continue;
            }
            let name = format!("{}=={}", release.project.name, release.version);
            let made_with =
                radius.files.iter().find(|file| file.release_id == release.id).map(|file| file.token);
            let target = Target {
                kind: "release",
                value: &name,
                id: release.id.to_string(),
                label: name.clone(),
                repository: made_with.map_or("", repository_of),
                evidence: None,
            };
            let reason = String::from("all its files are a thief's");
            let projects = vec![ProjectRef::from(&release.project)];
            self.add(ActionType::HoldRelease, target, reason, Vec::new(), projects);
        }
    }
}
