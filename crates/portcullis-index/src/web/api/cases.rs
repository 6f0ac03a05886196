//! `/api/v1/cases`: open, look at, contain, release, close. Only for the desk's people.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::authority::Responder;
use crate::clock::Instant;
use crate::desk::case::{self, Opening, Whole};
use crate::desk::containment::{self, Released};
use crate::desk::plan::{self, Plan};
use crate::desk::radius::{self, Radius};
use crate::ids::{CaseId, ReportId};
use crate::store::cases::Case;
use crate::store::containments::Action;
use crate::store::events::EventRow;
use crate::store::examinations::Examination;
use crate::web::api::{notices, reports};
use crate::web::error::Problem;
use crate::web::extract::{JsonBody, PathId};

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/cases", get(list).post(open))
        .route("/api/v1/cases/{id}", get(show))
        .route("/api/v1/cases/{id}/radius", get(blast_radius))
        .route("/api/v1/cases/{id}/plan", post(make_plan))
        .route("/api/v1/cases/{id}/contain", post(contain))
        .route("/api/v1/cases/{id}/release", post(release))
        .route("/api/v1/cases/{id}/close", post(close))
}

async fn list(State(app): State<App>, responder: Responder) -> Result<Json<Value>, Problem> {
    let oldest = case::oldest_unseen_report(&app, &responder).await?;
    let cases: Vec<Value> = case::list(&app, &responder).await?.iter().map(shown).collect();
    Ok(Json(json!({ "oldest_unseen_report": oldest.map(Instant::rfc3339), "cases": cases })))
}

#[derive(Deserialize)]
struct OpenBody {
    #[serde(default)]
    report: Option<ReportId>,
    #[serde(default)]
    repository: Option<String>,
    #[serde(default)]
    title: Option<String>,
}

async fn open(
    State(app): State<App>,
    responder: Responder,
    JsonBody(body): JsonBody<OpenBody>,
) -> Result<Response, Problem> {
    let opening = Opening { report: body.report, repository: body.repository, title: body.title };
    let case = case::open(&app, &responder, opening).await?;
    Ok((StatusCode::CREATED, Json(shown(&case))).into_response())
}

async fn show(
    State(app): State<App>,
    responder: Responder,
    PathId(id): PathId<CaseId>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(whole(&case::whole(&app, &responder, id).await?)))
}

async fn blast_radius(
    State(app): State<App>,
    responder: Responder,
    PathId(id): PathId<CaseId>,
) -> Result<Json<Radius>, Problem> {
    Ok(Json(radius::up_to_date(&app, &responder, id).await?))
}

#[derive(Deserialize)]
struct PlanBody {
    #[serde(default)]
    include_claimed: bool,
}

async fn make_plan(
    State(app): State<App>,
    responder: Responder,
    PathId(id): PathId<CaseId>,
    JsonBody(body): JsonBody<PlanBody>,
) -> Result<Json<Plan>, Problem> {
    Ok(Json(plan::up_to_date(&app, &responder, id, body.include_claimed).await?))
}

#[derive(Deserialize)]
struct ContainBody {
    digest: String,
}

async fn contain(
    State(app): State<App>,
    responder: Responder,
    PathId(id): PathId<CaseId>,
    JsonBody(body): JsonBody<ContainBody>,
) -> Result<Json<Plan>, Problem> {
    Ok(Json(containment::apply(&app, &responder, id, &body.digest).await?))
}

#[derive(Deserialize)]
struct ReleaseBody {
    #[serde(default)]
    actions: Vec<String>,
    #[serde(default = "no_reason")]
    reason: String,
}

/// What the history says where a responder said nothing.
fn no_reason() -> String {
    String::from("no reason was given")
}

async fn release(
    State(app): State<App>,
    responder: Responder,
    PathId(id): PathId<CaseId>,
    JsonBody(body): JsonBody<ReleaseBody>,
) -> Result<Json<Released>, Problem> {
    Ok(Json(containment::release(&app, &responder, id, &body.actions, &body.reason).await?))
}

#[derive(Deserialize)]
struct CloseBody {
    #[serde(default)]
    reason: Option<String>,
}

async fn close(
    State(app): State<App>,
    responder: Responder,
    PathId(id): PathId<CaseId>,
    JsonBody(body): JsonBody<CloseBody>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(shown(&case::close(&app, &responder, id, body.reason.as_deref()).await?)))
}

fn shown(case: &Case) -> Value {
    json!({
        "id": case.id, "title": case.title, "state": case.state, "opened_at": case.opened_at.rfc3339(),
        "opened_by": case.opened_by, "closed_at": case.closed_at.map(Instant::rfc3339),
        "closed_reason": case.closed_reason,
    })
}

fn whole(whole: &Whole) -> Value {
    let mut document = shown(&whole.case);
    let parts = [
        ("reports", whole.reports.iter().map(reports::shown).collect()),
        ("examinations", whole.examinations.iter().map(examination).collect()),
        ("actions", whole.actions.iter().map(action).collect()),
        ("notices", whole.notices.iter().map(notices::shown).collect()),
        ("timeline", whole.timeline.iter().rev().map(event).collect::<Vec<Value>>()),
    ];
    if let Value::Object(members) = &mut document {
        members.extend(parts.map(|(name, part)| (name.to_owned(), Value::Array(part))));
    }
    document
}

fn examination(examination: &Examination) -> Value {
    json!({
        "id": examination.id, "repository": examination.repository, "state": examination.state,
        "requested_at": examination.requested_at.rfc3339(),
        "examined_at": examination.examined_at.map(Instant::rfc3339), "problem": examination.problem,
        "pushes_known": examination.pushes.is_some(), "runs_known": examination.runs.is_some(),
    })
}

fn action(action: &Action) -> Value {
    json!({
        "id": plan::action_id(action.action, &action.target_id), "type": action.action,
        "target_type": action.target_type, "target_id": action.target_id, "reason": action.reason,
        "state": action.state, "applied_at": action.applied_at.rfc3339(), "applied_by": action.applied_by,
        "released_at": action.released_at.map(Instant::rfc3339), "released_by": action.released_by,
        "release_reason": action.release_reason,
    })
}

fn event(event: &EventRow) -> Value {
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    json!({
        "at": event.at.rfc3339(), "tag": event.tag, "position": event.position, "account": event.account_id,
        "project": event.project_id, "token": event.token_id, "actor": json(&event.actor),
        "details": json(&event.details),
    })
}
