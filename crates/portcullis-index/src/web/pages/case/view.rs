//! What a case's page shows, in the words and colours of the page.

use std::collections::HashSet;

use crate::clock::Instant;
use crate::desk::evidence::{JudgedUse, Verdict};
use crate::desk::plan::PlannedAction;
use crate::desk::radius::{Edge, Node, Radius, RadiusExposure, RadiusFile, RadiusToken, Rank, Strength};
use crate::store::containments::{Action, ActionState, ActionType};
use crate::store::notices::{Notice, NoticeState};
use crate::store::reports::Level;
use crate::store::tokens::{TokenScope, TokenState};

/// A word beside something, in a colour that says how bad it is.
pub(super) struct Tag {
    pub text: String,
    pub tone: &'static str,
}

/// One thing in the tree of the blast radius.
pub(super) struct TreeItem {
    pub kind: &'static str,
    pub label: String,
    pub link: Option<String>,
    pub tags: Vec<Tag>,
    pub why: Vec<String>,
}

/// The tree, as the marks that a list is written with.
pub(super) enum TreeStep {
    Open(TreeItem),
    Down,
    Up,
    Close,
}

pub(super) struct ExposureView {
    pub secret: String,
    pub destination: String,
    pub repository: String,
    pub path: String,
    pub used_for: String,
    pub from: String,
    pub from_basis: &'static str,
    pub until: Option<String>,
    pub until_basis: &'static str,
    pub refs: Vec<String>,
    pub level: &'static str,
    pub standing: &'static str,
}

impl From<&RadiusExposure> for ExposureView {
    fn from(exposure: &RadiusExposure) -> Self {
        let used = exposure.used_for.iter();
        let used = used.filter_map(|used| Some(format!("{} on {}", used.package.as_deref()?, used.registry)));
        let stood = exposure.refs.iter();
        let stood = stood.map(|stood| {
            format!("{} {}", if stood.stands { "stands on" } else { "was on" }, short_ref(&stood.name))
        });
        Self {
            secret: exposure.secret.clone(),
            destination: exposure.destination.clone(),
            repository: exposure.repository.clone(),
            path: exposure.path.clone(),
            used_for: used.collect::<Vec<_>>().join(", "),
            from: time(&exposure.from.time),
            from_basis: exposure.from.basis.word(),
            until: exposure.until.as_ref().map(|until| time(&until.time)),
            until_basis: exposure.until.as_ref().map_or("", |until| until.basis.word()),
            refs: stood.collect(),
            level: exposure.level.word(),
            standing: exposure.standing.word(),
        }
    }
}

fn short_ref(name: &str) -> &str {
    name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/")).unwrap_or(name)
}

/// A time that the desk's documents tell in RFC 3339.
fn time(rfc3339: &str) -> String {
    Instant::parse(rfc3339).map_or_else(|| rfc3339.to_owned(), Instant::for_people)
}

pub(super) struct UseView {
    pub at: String,
    pub kind: &'static str,
    pub file: Option<String>,
    pub refusal: Option<String>,
    pub network: Option<String>,
    pub client: Option<String>,
    pub runs: String,
    pub verdict: &'static str,
    pub tone: &'static str,
    pub why: String,
}

impl From<&JudgedUse> for UseView {
    fn from(one: &JudgedUse) -> Self {
        Self {
            at: time(&one.at),
            kind: one.kind.word(),
            file: one.filename.clone(),
            refusal: Some(one.outcome.clone()).filter(|outcome| outcome != "accepted"),
            network: one.network.clone(),
            client: one.client.clone(),
            runs: one.runs.clone(),
            verdict: one.verdict.word(),
            tone: tone_of_verdict(one.verdict),
            why: one.why.clone(),
        }
    }
}

fn tone_of_verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Thiefs => "bad",
        Verdict::Unexplained => "warn",
        Verdict::Owners => "good",
        Verdict::Before => "",
    }
}

fn tone_of_rank(rank: Rank) -> &'static str {
    match rank {
        Rank::Certain => "bad",
        Rank::Possible => "warn",
        Rank::Unlikely => "",
    }
}

fn tone_of_token(state: TokenState) -> &'static str {
    if state == TokenState::Live { "warn" } else { "good" }
}

pub(super) struct TokenView {
    pub id: String,
    pub kind: &'static str,
    pub description: String,
    pub account: Option<String>,
    pub scope: String,
    pub secret: Option<String>,
    pub rank: &'static str,
    pub rank_tone: &'static str,
    pub state: &'static str,
    pub state_tone: &'static str,
    pub reasons: Vec<String>,
    pub sentence: String,
    pub uses: Vec<UseView>,
}

impl From<&RadiusToken> for TokenView {
    fn from(token: &RadiusToken) -> Self {
        Self {
            id: token.id.to_string(),
            kind: token.kind.word(),
            description: token.description.clone(),
            account: token.account.as_ref().map(|account| account.name.clone()),
            scope: match token.scope {
                TokenScope::Account => String::from("the entire account"),
                TokenScope::Projects => String::from("chosen projects"),
            },
            secret: token.secret.clone(),
            rank: token.rank.word(),
            rank_tone: tone_of_rank(token.rank),
            state: token.state.word(),
            state_tone: tone_of_token(token.state),
            reasons: token.reasons.clone(),
            sentence: token.evidence.sentence.clone(),
            uses: token.evidence.uses.iter().map(UseView::from).collect(),
        }
    }
}

pub(super) struct FileView {
    pub filename: String,
    pub sha256: String,
    pub project: String,
    pub state: &'static str,
    pub uploaded: String,
    pub verdict: &'static str,
    pub tone: &'static str,
    pub why: String,
}

impl From<&RadiusFile> for FileView {
    fn from(file: &RadiusFile) -> Self {
        Self {
            filename: file.filename.clone(),
            sha256: file.sha256.clone(),
            project: file.project.name.clone(),
            state: file.state.word(),
            uploaded: time(&file.uploaded_at),
            verdict: file.verdict.word(),
            tone: tone_of_verdict(file.verdict),
            why: file.why.clone(),
        }
    }
}

pub(super) struct RadiusView {
    pub level: &'static str,
    pub level_says: &'static str,
    pub counts: String,
    pub warnings: Vec<String>,
    pub exposures: Vec<ExposureView>,
    pub tree: Vec<TreeStep>,
    pub tokens: Vec<TokenView>,
    pub files: Vec<FileView>,
}

impl From<&Radius> for RadiusView {
    fn from(radius: &Radius) -> Self {
        let counts = [
            counted(radius.projects.len(), "project", "projects"),
            counted(radius.accounts.len(), "account", "accounts"),
            counted(radius.tokens.len(), "token", "tokens"),
            counted(radius.files.len(), "file made since", "files made since"),
        ];
        Self {
            level: radius.level.word(),
            level_says: match radius.level {
                Level::E0 => "somebody said so; our own scan has not confirmed it",
                Level::E1 => "our own scan says malicious",
                Level::E2 => "it stands or stood in the repository itself and could run with the secret",
                Level::E3 => "it ran",
                Level::E4 => "a thief used a token",
            },
            counts: counts.join(", "),
            warnings: radius.warnings.clone(),
            exposures: radius.exposures.iter().map(ExposureView::from).collect(),
            tree: tree(radius),
            tokens: radius.tokens.iter().map(TokenView::from).collect(),
            files: radius.files.iter().map(FileView::from).collect(),
        }
    }
}

pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Most lines of the tree; what is beyond stands in the tables, and in the API whole.
const TREE_LIMIT: usize = 2_000;

/// The radius from each repository downwards, along its edges. A thing that two ways lead to stands below each.
fn tree(radius: &Radius) -> Vec<TreeStep> {
    let mut steps = Vec::new();
    for repository in &radius.repositories {
        let root = Node {
            kind: "repository",
            id: repository.repository.clone(),
            label: repository.repository.clone(),
        };
        let mut item = item(radius, &root, &[]);
        item.tags.push(Tag { text: repository.level.word().to_owned(), tone: "bad" });
        if repository.stands {
            item.tags.push(Tag { text: String::from("still stands"), tone: "bad" });
        }
        item.why.push(format!("looked at {}", time(&repository.examined_at)));
        item.why.extend(repository.problem.clone());
        steps.push(TreeStep::Open(item));
        branches(radius, &root, &mut vec![root.clone()], &mut steps);
        steps.push(TreeStep::Close);
    }
    steps
}

fn branches(radius: &Radius, from: &Node, path: &mut Vec<Node>, steps: &mut Vec<TreeStep>) {
    let mut done: HashSet<(&str, &str)> = HashSet::new();
    let mut opened = false;
    for edge in radius.edges.iter().filter(|edge| edge.from == *from) {
        let to = &edge.to;
        if path.contains(to) || steps.len() >= TREE_LIMIT || !done.insert((to.kind, to.id.as_str())) {
            continue;
        }
        if !opened {
            steps.push(TreeStep::Down);
            opened = true;
        }
        let ways: Vec<&Edge> =
            radius.edges.iter().filter(|other| other.from == *from && other.to == *to).collect();
        steps.push(TreeStep::Open(item(radius, to, &ways)));
        path.push(to.clone());
        branches(radius, to, path, steps);
        path.pop();
        steps.push(TreeStep::Close);
    }
    if opened {
        steps.push(TreeStep::Up);
    }
}

fn item(radius: &Radius, node: &Node, ways: &[&Edge]) -> TreeItem {
    let mut tags = Vec::new();
    if let Some(strongest) = ways.iter().map(|edge| edge.strength).max() {
        let tone = if strongest == Strength::Proved { "bad" } else { "" };
        tags.push(Tag { text: strongest.word().to_owned(), tone });
    }
    if !ways.is_empty() && ways.iter().all(|edge| edge.contested) {
        tags.push(Tag { text: String::from("contested"), tone: "warn" });
    }
    let token = radius.tokens.iter().find(|token| node.kind == "token" && token.id.to_string() == node.id);
    if let Some(token) = token {
        tags.push(Tag { text: token.rank.word().to_owned(), tone: tone_of_rank(token.rank) });
        tags.push(Tag { text: token.state.word().to_owned(), tone: tone_of_token(token.state) });
    }
    TreeItem {
        kind: node.kind,
        label: node.label.clone(),
        link: match node.kind {
            "project" => Some(format!("/project/{}", node.label)),
            "token" => Some(format!("#token-{}", node.id)),
            _ => None,
        },
        tags,
        why: ways.iter().map(|edge| edge.reason.clone()).collect(),
    }
}

pub(super) struct ActionView {
    pub id: String,
    pub says: &'static str,
    pub target: String,
    pub reason: String,
    pub state: &'static str,
    pub applied: bool,
    pub when: String,
    pub by: String,
    pub released: Option<String>,
}

impl From<&Action> for ActionView {
    fn from(action: &Action) -> Self {
        let released = action.released_at.map(|at| {
            let by = action.released_by.as_deref().unwrap_or("somebody");
            let why = action.release_reason.as_deref().unwrap_or_default();
            format!("taken back {} by {by}: {why}", at.for_people())
        });
        Self {
            id: action.id.to_string(),
            says: says(action.action),
            target: format!("{}:{}", action.target_type, action.target_id),
            reason: action.reason.clone(),
            state: action.state.word(),
            applied: action.state == ActionState::Applied,
            when: action.applied_at.for_people(),
            by: action.applied_by.clone(),
            released,
        }
    }
}

/// What an action does, in words.
fn says(action: ActionType) -> &'static str {
    match action {
        ActionType::SuspendToken => "Suspend the token",
        ActionType::PausePublisher => "Pause the publisher",
        ActionType::CloseGate => "Mint nothing for the repository",
        ActionType::HoldFile => "Hold the file",
        ActionType::HoldRelease => "Quarantine the release",
    }
}

pub(super) struct NoticeView {
    pub subject: String,
    pub to: String,
    pub state: &'static str,
    pub tone: &'static str,
    pub error: Option<String>,
    pub at: String,
}

impl From<&Notice> for NoticeView {
    fn from(notice: &Notice) -> Self {
        Self {
            subject: notice.subject.clone(),
            to: notice.recipient.clone().unwrap_or_else(|| String::from("no address")),
            state: notice.state.word(),
            tone: match notice.state {
                NoticeState::Delivered => "good",
                NoticeState::Waiting | NoticeState::Sending => "",
                NoticeState::Bounced | NoticeState::GivenUp | NoticeState::NoChannel => "bad",
            },
            error: notice.last_error.clone(),
            at: notice.created_at.for_people(),
        }
    }
}

pub(super) struct PlannedView {
    pub says: &'static str,
    pub label: String,
    pub target: String,
    pub reason: String,
    pub touches: String,
}

impl From<&PlannedAction> for PlannedView {
    fn from(action: &PlannedAction) -> Self {
        let projects = action.projects.iter().map(|project| project.name.as_str());
        let accounts = action.accounts.iter().map(|account| account.name.as_str());
        Self {
            says: says(action.action),
            label: action.label.clone(),
            target: action.target.clone(),
            reason: action.reason.clone(),
            touches: projects.chain(accounts).collect::<Vec<_>>().join(", "),
        }
    }
}
