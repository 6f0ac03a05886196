//! `/_/oidc/…`: what CI jobs speak. The shapes are PyPI's, letter by letter: PyPA's action, twine and uv print them.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::app::App;
use crate::burning::{self, BurnError};
use crate::minting::{self, MintError};
use crate::web::extract::Client;

/// The largest request, in bytes. An identity token has about 2,000, an upload token at most 32,760.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/_/oidc/audience", get(audience).options(audience_methods))
        .route("/_/oidc/mint-token", post(mint))
        // Kept for old clients; it was never limited to GitHub.
        .route("/_/oidc/github/mint-token", post(mint))
        .route("/_/oidc/burn-token", post(burn))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// Which audience a job must ask its CI for.
async fn audience(State(app): State<App>) -> Json<Value> {
    Json(json!({ "audience": app.audience() }))
}

async fn audience_methods() -> Response {
    (StatusCode::NO_CONTENT, [(header::ALLOW, "GET, HEAD, OPTIONS")]).into_response()
}

/// Exchanges an identity token.
async fn mint(
    State(app): State<App>,
    Client(origin): Client,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    const FAILED: &str = "Token request failed";
    let token = match token_of(body) {
        Ok(token) => token,
        Err(description) => return refusal(FAILED, "invalid-payload", &description),
    };
    match minting::mint(&app, &token, &origin).await {
        Ok(minted) => {
            let token = minted.token.expose_secret();
            let answer = json!({ "success": true, "token": token, "expires": minted.expires_at });
            uncached(Json(answer).into_response())
        }
        Err(MintError::Store(error)) => unavailable(FAILED, &error),
        Err(MintError::Key(error)) => unavailable(FAILED, &error),
        Err(error) => refusal(FAILED, code(&error), &error.to_string()),
    }
}

/// PyPI's codes, and ours for what PyPI does not know.
fn code(error: &MintError) -> &'static str {
    match error {
        MintError::Malformed | MintError::UnknownIssuer | MintError::PendingRefused(_) => "invalid-payload",
        MintError::Invalid(_) => "invalid-token",
        MintError::Reused => "invalid-reuse-token",
        MintError::PendingProjectExists => "invalid-pending-publisher",
        MintError::NoPublisher { .. } | MintError::ProjectClosed { .. } => "invalid-publisher",
        MintError::Paused { .. } => "publisher-paused",
        MintError::Store(_) | MintError::Key(_) => "unavailable",
    }
}

/// Gives a token back.
async fn burn(
    State(app): State<App>,
    Client(origin): Client,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    const FAILED: &str = "Token burn failed";
    let token = match token_of(body) {
        Ok(token) => token,
        Err(description) => return refusal(FAILED, "invalid-payload", &description),
    };
    match burning::burn(&app, &token, &origin).await {
        Ok(()) => uncached((StatusCode::ACCEPTED, Json(json!({ "success": true }))).into_response()),
        Err(BurnError::Store(error)) => unavailable(FAILED, &error),
        Err(BurnError::Key(error)) => unavailable(FAILED, &error),
        Err(error @ BurnError::Malformed) => refusal(FAILED, "invalid-payload", &error.to_string()),
        Err(error @ BurnError::Unknown) => refusal(FAILED, "invalid-token", &error.to_string()),
    }
}

/// The member `token` of the body: text, nothing else. Further members are ignored, the content type is not looked at.
fn token_of(body: Result<Bytes, BytesRejection>) -> Result<String, String> {
    let body = body.map_err(|_| format!("the request body is larger than {BODY_BYTES_MAX} bytes"))?;
    let value: Value = serde_json::from_slice(&body)
        .map_err(|_| String::from("Request body is not JSON; expected {\"token\": \"…\"}"))?;
    let Value::Object(mut members) = value else {
        return Err(String::from("Request body is not a JSON object; expected {\"token\": \"…\"}"));
    };
    match members.remove("token") {
        Some(Value::String(token)) => Ok(token),
        Some(_) => Err(String::from("token: Input should be a valid string")),
        None => Err(String::from("token: Field required")),
    }
}

fn refusal(message: &str, code: &str, description: &str) -> Response {
    answer(StatusCode::UNPROCESSABLE_ENTITY, message, code, description)
}

fn unavailable(message: &str, cause: &dyn std::error::Error) -> Response {
    tracing::error!(error = %cause, "an exchange failed");
    let description = "the index could not do this now, nothing was changed; try again in a moment";
    let mut response = answer(StatusCode::SERVICE_UNAVAILABLE, message, "unavailable", description);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

fn answer(status: StatusCode, message: &str, code: &str, description: &str) -> Response {
    let errors = json!([{ "code": code, "description": description }]);
    uncached((status, Json(json!({ "message": message, "errors": errors }))).into_response())
}

/// An answer with a token, or about one, is nobody else's.
fn uncached(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
