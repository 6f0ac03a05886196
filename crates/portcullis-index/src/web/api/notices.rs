//! `/api/v1/notices`: what was told to whom, and whether it arrived.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::app::App;
use crate::authority::Responder;
use crate::clock::Instant;
use crate::notice;
use crate::store::notices::Notice;
use crate::web::error::Problem;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/v1/notices", get(list))
}

async fn list(State(app): State<App>, responder: Responder) -> Result<Json<Value>, Problem> {
    let notices: Vec<Value> = notice::list(&app, &responder).await?.iter().map(shown).collect();
    Ok(Json(json!({ "notices": notices })))
}

/// A notice as the desk's people see it.
pub(super) fn shown(notice: &Notice) -> Value {
    json!({
        "id": notice.id, "case": notice.case_id, "account": notice.account_id, "kind": notice.kind,
        "channel": notice.channel, "recipient": notice.recipient, "subject": notice.subject, "state": notice.state,
        "attempts": notice.attempts, "last_error": notice.last_error, "created_at": notice.created_at.rfc3339(),
        "delivered_at": notice.delivered_at.map(Instant::rfc3339),
    })
}
