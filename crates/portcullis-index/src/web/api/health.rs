//! Whether the server lives, and whether it can work.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::app::App;

/// `/health/live` and `/health/ready`.
pub fn routes() -> Router<App> {
    Router::new().route("/health/live", get(async || "live\n")).route("/health/ready", get(ready))
}

async fn ready(State(app): State<App>) -> Result<&'static str, (StatusCode, &'static str)> {
    match app.store.read().await {
        Ok(_) => Ok("ready\n"),
        Err(error) => {
            tracing::error!(%error, "the database can't be reached");
            Err((StatusCode::SERVICE_UNAVAILABLE, "the database can't be reached\n"))
        }
    }
}
