//! `/api/v1/reports`: what somebody tells the desk. Anybody may send one; only responders read them.

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::authority::{Requester, Responder};
use crate::desk::report::{self, Reporter, Submission};
use crate::ids::ReportId;
use crate::store::reports::{Report, ReportKind};
use crate::web::error::Problem;
use crate::web::extract::{Client, JsonBody, PathId, bearer};

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/reports", get(list).post(submit))
        .route("/api/v1/reports/{id}", get(status))
        .route("/api/v1/reports/{id}/dismiss", post(dismiss))
}

/// Who reports. Without credentials, or with an upload token, nobody is asked who they are.
struct Sender(Reporter);

impl FromRequestParts<App> for Sender {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if parts.headers.get(AUTHORIZATION).is_none() {
            // A session counts, where its form token shows that its owner means it; else nobody is asked who they are.
            let by_session = crate::web::session::requester(parts, app).await;
            let account = by_session.map(|requester| Reporter::Account(requester.account().clone()));
            return Ok(Self(account.unwrap_or(Reporter::Anonymous)));
        }
        if bearer(parts).is_some_and(|secret| secret.starts_with("pypi-")) {
            return Ok(Self(Reporter::Anonymous));
        }
        let requester = Requester::from_request_parts(parts, app).await?;
        Ok(Self(Reporter::Account(requester.account().clone())))
    }
}

#[derive(Deserialize)]
struct SubmitBody {
    kind: ReportKind,
    subject: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    scan: Option<Value>,
}

async fn submit(
    State(app): State<App>,
    Sender(reporter): Sender,
    Client(origin): Client,
    JsonBody(body): JsonBody<SubmitBody>,
) -> Result<Response, Problem> {
    let submission = Submission {
        kind: body.kind,
        subject: body.subject,
        text: body.text.unwrap_or_default(),
        scan: body.scan.filter(|scan| !scan.is_null()).map(|scan| scan.to_string()),
    };
    let accepted = report::submit(&app, &reporter, &origin, submission).await?;
    Ok((StatusCode::CREATED, Json(accepted)).into_response())
}

async fn status(
    State(app): State<App>,
    PathId(id): PathId<ReportId>,
) -> Result<Json<report::Status>, Problem> {
    Ok(Json(report::status(&app, id).await?))
}

async fn list(State(app): State<App>, responder: Responder) -> Result<Json<Value>, Problem> {
    let now = app.now();
    let reports = report::list(&app, &responder).await?;
    let shown: Vec<Value> = reports
        .iter()
        .map(|report| {
            let mut shown = shown(report);
            let late = report.seen_at.is_none() && report.due_at < now;
            if let Value::Object(members) = &mut shown {
                members.insert(String::from("overdue"), Value::from(late));
            }
            shown
        })
        .collect();
    Ok(Json(json!({ "reports": shown })))
}

/// A report as the desk's people see it.
pub(super) fn shown(report: &Report) -> Value {
    json!({
        "id": report.id, "kind": report.kind, "subject": format!("{}:{}", report.subject_type, report.subject),
        "text": report.text, "scan_document": report.scan_document.is_some(), "reporter": report.reporter,
        "state": report.state, "lane": report.lane, "level": report.level, "case": report.case_id,
        "received_at": report.received_at.rfc3339(), "due_at": report.due_at.rfc3339(),
        "seen_at": report.seen_at.map(crate::clock::Instant::rfc3339), "seen_by": report.seen_by,
    })
}

#[derive(Deserialize)]
struct DismissBody {
    reason: String,
}

async fn dismiss(
    State(app): State<App>,
    responder: Responder,
    PathId(id): PathId<ReportId>,
    JsonBody(body): JsonBody<DismissBody>,
) -> Result<StatusCode, Problem> {
    report::dismiss(&app, &responder, id, &body.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}
