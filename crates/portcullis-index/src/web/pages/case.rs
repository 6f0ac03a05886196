//! A case: its blast radius, the evidence of use, containment with its plan, and the timeline.

use std::collections::HashSet;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;

use super::desk::{ReportView, refusal, tone_of_case};
use super::{Layout, PageError, page, see_other, sentence};
use crate::app::App;
use crate::clock::Instant;
use crate::desk::evidence::{JudgedUse, Verdict};
use crate::desk::plan::{self, Plan, PlanState, PlannedAction};
use crate::desk::radius::{
    self, Edge, Node, Radius, RadiusExposure, RadiusFile, RadiusToken, Rank, Strength,
};
use crate::desk::{DeskError, case, containment};
use crate::history::lines::{self, Line};
use crate::ids::CaseId;
use crate::store::containments::{Action, ActionState, ActionType};
use crate::store::notices::{Notice, NoticeState};
use crate::store::reports::Level;
use crate::store::tokens::TokenState;
use crate::web::session::{AtDesk, Form};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/desk/cases/{id}", get(show))
        .route("/desk/cases/{id}/plan", post(show_plan))
        .route("/desk/cases/{id}/contain", post(contain))
        .route("/desk/cases/{id}/release", post(release))
        .route("/desk/cases/{id}/close", post(close))
}

fn case_id(text: &str) -> Result<CaseId, PageError> {
    text.parse().map_err(|_| PageError::not_found("there is no such case"))
}

/// A word beside something, in a colour that says how bad it is.
pub(super) struct Tag {
    text: String,
    tone: &'static str,
}

/// One thing in the tree of the blast radius.
pub(super) struct TreeItem {
    kind: &'static str,
    label: String,
    link: Option<String>,
    tags: Vec<Tag>,
    why: Vec<String>,
}

/// The tree, as the marks that a list is written with.
pub(super) enum TreeStep {
    Open(TreeItem),
    Down,
    Up,
    Close,
}

struct ExposureView {
    secret: String,
    destination: String,
    repository: String,
    path: String,
    used_for: String,
    from: String,
    from_basis: &'static str,
    until: Option<String>,
    until_basis: &'static str,
    refs: Vec<String>,
    level: &'static str,
    standing: &'static str,
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

struct UseView {
    at: String,
    kind: &'static str,
    file: Option<String>,
    refusal: Option<String>,
    network: Option<String>,
    client: Option<String>,
    runs: String,
    verdict: &'static str,
    tone: &'static str,
    why: String,
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

struct TokenView {
    id: String,
    kind: &'static str,
    description: String,
    account: Option<String>,
    scope: String,
    secret: Option<String>,
    rank: &'static str,
    rank_tone: &'static str,
    state: &'static str,
    state_tone: &'static str,
    reasons: Vec<String>,
    sentence: String,
    uses: Vec<UseView>,
}

impl From<&RadiusToken> for TokenView {
    fn from(token: &RadiusToken) -> Self {
        Self {
            id: token.id.to_string(),
            kind: token.kind.word(),
            description: token.description.clone(),
            account: token.account.as_ref().map(|account| account.name.clone()),
            scope: match token.scope {
                crate::store::tokens::TokenScope::Account => String::from("the entire account"),
                crate::store::tokens::TokenScope::Projects => String::from("chosen projects"),
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

struct FileView {
    filename: String,
    sha256: String,
    project: String,
    state: &'static str,
    uploaded: String,
    verdict: &'static str,
    tone: &'static str,
    why: String,
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

struct RadiusView {
    level: &'static str,
    level_says: &'static str,
    counts: String,
    warnings: Vec<String>,
    exposures: Vec<ExposureView>,
    tree: Vec<TreeStep>,
    tokens: Vec<TokenView>,
    files: Vec<FileView>,
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

fn counted(number: usize, one: &str, many: &str) -> String {
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

struct ActionView {
    id: String,
    says: &'static str,
    target: String,
    reason: String,
    state: &'static str,
    applied: bool,
    when: String,
    by: String,
    released: Option<String>,
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

struct NoticeView {
    subject: String,
    to: String,
    state: &'static str,
    tone: &'static str,
    error: Option<String>,
    at: String,
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

#[derive(Template)]
#[template(path = "case.html")]
struct CasePage {
    layout: Layout,
    notice: Option<&'static str>,
    message: Option<String>,
    /// Why there is no radius yet.
    waiting: Option<String>,
    id: String,
    title: String,
    state: &'static str,
    tone: &'static str,
    opened: String,
    opened_by: String,
    closed: Option<String>,
    radius: Option<RadiusView>,
    actions: Vec<ActionView>,
    in_force: usize,
    notices: Vec<NoticeView>,
    reports: Vec<ReportView>,
    timeline: Vec<Line>,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    done: String,
}

async fn show(
    State(app): State<App>,
    by: AtDesk,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let mut content = content(&app, &by, case_id(&id)?).await?;
    content.notice = match asked.done.as_str() {
        "contained" => {
            Some("Contained. It holds from the very next request on; the notices are on their way.")
        }
        "released" => Some("Taken back, and told to whom it concerns."),
        "closed" => Some("The case is closed."),
        _ => None,
    };
    Ok(page(StatusCode::OK, &content))
}

/// Most lines of a timeline on the page.
const TIMELINE_LIMIT: i64 = 300;

async fn content(app: &App, by: &AtDesk, id: CaseId) -> Result<CasePage, PageError> {
    let now = app.now();
    let whole = case::whole(app, &by.responder, id).await.map_err(refusal)?;
    let (radius, waiting) = match radius::of_case(app, &by.responder, id).await {
        Ok(radius) => (Some(RadiusView::from(&radius)), None),
        Err(error @ DeskError::ExaminationUnderWay { .. }) => (None, Some(sentence(&error.to_string()))),
        Err(error) => return Err(refusal(error)),
    };
    let mut tx = app.store.read().await?;
    let timeline = lines::of_case(&mut tx, id, TIMELINE_LIMIT).await?.lines;
    drop(tx);
    Ok(CasePage {
        layout: Layout::signed_in(app, &by.signed_in),
        notice: None,
        message: None,
        waiting,
        id: id.to_string(),
        title: whole.case.title,
        state: whole.case.state.word(),
        tone: tone_of_case(whole.case.state),
        opened: whole.case.opened_at.for_people(),
        opened_by: whole.case.opened_by,
        closed: whole.case.closed_at.map(|at| {
            format!("{}: {}", at.for_people(), whole.case.closed_reason.as_deref().unwrap_or_default())
        }),
        radius,
        in_force: whole.actions.iter().filter(|action| action.state == ActionState::Applied).count(),
        actions: whole.actions.iter().map(ActionView::from).collect(),
        notices: whole.notices.iter().map(NoticeView::from).collect(),
        reports: whole.reports.into_iter().map(|report| ReportView::of(report, now)).collect(),
        timeline,
    })
}

struct PlannedView {
    says: &'static str,
    label: String,
    target: String,
    reason: String,
    touches: String,
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

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanPage {
    layout: Layout,
    message: Option<String>,
    id: String,
    title: String,
    digest: String,
    says: String,
    warnings: Vec<String>,
    planned: Vec<PlannedView>,
    applied: usize,
}

async fn plan_page(
    app: &App,
    by: &AtDesk,
    plan: &Plan,
    message: Option<String>,
) -> Result<PlanPage, PageError> {
    let whole = case::whole(app, &by.responder, plan.case).await.map_err(refusal)?;
    let (planned, applied): (Vec<&PlannedAction>, Vec<&PlannedAction>) =
        plan.actions.iter().partition(|action| action.state == PlanState::Planned);
    Ok(PlanPage {
        layout: Layout::signed_in(app, &by.signed_in),
        message,
        id: plan.case.to_string(),
        title: whole.case.title,
        digest: plan.digest.clone(),
        says: format!("{}.", counted(planned.len(), "action", "actions")),
        warnings: plan.warnings.clone(),
        planned: planned.into_iter().map(PlannedView::from).collect(),
        applied: applied.len(),
    })
}

async fn show_plan(
    State(app): State<App>,
    Path(id): Path<String>,
    Form { by, fields }: Form<AtDesk>,
) -> Result<Response, PageError> {
    let include_claimed = fields.optional("include_claimed").is_some();
    let plan = plan::dry_run(&app, &by.responder, case_id(&id)?, include_claimed).await.map_err(refusal)?;
    Ok(page(StatusCode::OK, &plan_page(&app, &by, &plan, None).await?))
}

async fn contain(
    State(app): State<App>,
    Path(id): Path<String>,
    Form { by, fields }: Form<AtDesk>,
) -> Result<Response, PageError> {
    let id = case_id(&id)?;
    match containment::apply(&app, &by.responder, id, fields.text("digest")).await {
        Ok(_) => Ok(see_other(&format!("/desk/cases/{id}?done=contained"))),
        Err(DeskError::StalePlan { reason, plan }) => {
            let message = format!("{} Nothing was done. Here is the plan as it is now.", sentence(&reason));
            Ok(page(StatusCode::CONFLICT, &plan_page(&app, &by, &plan, Some(message)).await?))
        }
        Err(error) => Err(refusal(error)),
    }
}

async fn release(
    State(app): State<App>,
    Path(id): Path<String>,
    Form { by, fields }: Form<AtDesk>,
) -> Result<Response, PageError> {
    let id = case_id(&id)?;
    let chosen: Vec<String> = fields.all("action").into_iter().map(str::to_owned).collect();
    match containment::release(&app, &by.responder, id, &chosen, fields.text("reason")).await {
        Ok(_) => Ok(see_other(&format!("/desk/cases/{id}?done=released"))),
        Err(error) => again(&app, &by, id, error).await,
    }
}

async fn close(
    State(app): State<App>,
    Path(id): Path<String>,
    Form { by, fields }: Form<AtDesk>,
) -> Result<Response, PageError> {
    let id = case_id(&id)?;
    match case::close(&app, &by.responder, id, fields.optional("reason")).await {
        Ok(_) => Ok(see_other(&format!("/desk/cases/{id}?done=closed"))),
        Err(error) => again(&app, &by, id, error).await,
    }
}

async fn again(app: &App, by: &AtDesk, id: CaseId, error: DeskError) -> Result<Response, PageError> {
    let status = match &error {
        DeskError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        DeskError::Conflict(_) => StatusCode::CONFLICT,
        DeskError::NotYours(_) => StatusCode::FORBIDDEN,
        _ => return Err(refusal(error)),
    };
    let mut content = content(app, by, id).await?;
    content.message = Some(sentence(&error.to_string()));
    Ok(page(status, &content))
}
