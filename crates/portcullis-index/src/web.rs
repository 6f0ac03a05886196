//! HTTP: the router is the table of contents, grouped by who calls.
//!
//! A handler parses the request, calls one domain function and renders the answer. Status codes stand only in here.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::app::App;

pub mod api;
pub mod error;
pub mod extract;
pub mod pages;
pub mod server;
pub mod session;

/// How long a request that is no upload or download may take, its body included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Every route of the server.
pub fn router(app: App) -> Router {
    let body_limit = usize::try_from(app.settings.limits.body).unwrap_or(usize::MAX);
    // What pip, twine, uv and the others speak, where PyPI has it.
    // Uploads and downloads take as long as their bytes; they have limits of their own.
    let streams = Router::new().merge(api::simple::routes()).merge(api::legacy::routes());
    let clients = Router::new().merge(api::oidc::routes());
    // `/api/v1`: the management API.
    let management = Router::new()
        .merge(api::publishers::routes())
        .merge(api::reports::routes())
        .merge(api::cases::routes())
        .merge(api::notices::routes())
        .merge(api::tokens::routes())
        .method_not_allowed_fallback(error::method_not_allowed);
    // For people in a browser.
    let pages = pages::routes();
    Router::new()
        .merge(clients)
        .merge(management)
        .merge(pages)
        .merge(api::health::routes())
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_TIMEOUT))
        .merge(streams)
        .fallback(pages::nothing_here)
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(from_fn_with_state(app.clone(), protect))
        .layer(CatchPanicLayer::custom(error::after_panic))
        .with_state(app)
}

/// No external resource, no script, no frame: what a page may do at most. A page that needs less may say so itself.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'";

/// Headers that every answer carries, and one log line per request. The line names the route, never the path: a path
/// can hold a one-time secret.
async fn protect(
    axum::extract::State(app): axum::extract::State<App>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<axum::extract::MatchedPath>()
        .map_or_else(|| String::from("(none)"), |path| path.as_str().to_owned());
    let mut response = next.run(request).await;
    tracing::info!(%method, route, status = response.status().as_u16(), "request answered");
    let headers = response.headers_mut();
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if app.base_url.scheme() == "https" {
        headers
            .entry(header::STRICT_TRANSPORT_SECURITY)
            .or_insert(HeaderValue::from_static("max-age=31536000"));
    }
    response
}
