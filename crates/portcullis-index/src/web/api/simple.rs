//! `/simple/` and `/packages/`: what pip, uv and the others read.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use tokio_util::io::ReaderStream;

use super::negotiate::prefer;
use crate::app::App;
use crate::authority::reader::reader;
use crate::authority::uploader::Refused;
use crate::project::normalise;
use crate::settings::ReadAccess;
use crate::simple::{self, Asked};
use crate::web::error::Problem;
use crate::web::extract::Client;

const HTML: &str = "text/html";
const HTML_V1: &str = "application/vnd.pypi.simple.v1+html";
const JSON_V1: &str = "application/vnd.pypi.simple.v1+json";

/// The read side of the index.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/simple", get(async || redirect("/simple/")))
        .route("/simple/", get(list))
        .route("/simple/{name}", get(async |Path(name): Path<String>| to_page(&name)))
        .route("/simple/{name}/", get(page))
        .route("/packages/{first}/{second}/{rest}/{filename}", get(file))
}

fn redirect(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/simple/"));
    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, location)]).into_response()
}

/// A name that has no valid spelling is of no project: it is not echoed into a header.
fn to_page(name: &str) -> Response {
    match name.parse::<crate::project::ProjectName>() {
        Ok(name) => redirect(&format!("/simple/{}/", name.normalised())),
        Err(_) => not_found(),
    }
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "404 Not Found").into_response()
}

async fn list(
    State(app): State<App>,
    Client(origin): Client,
    headers: HeaderMap,
) -> Result<Response, Response> {
    reader(&app, &headers, None, &origin).await.map_err(refused)?;
    let list = simple::list(&app).await.map_err(|error| Problem::from(error).into_response())?;
    Ok(answer(&app, &headers, list.last_serial(), || list.json(), || list.html()))
}

async fn page(
    State(app): State<App>,
    Client(origin): Client,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    if normalise(&name) != name {
        return Ok(to_page(&name));
    }
    reader(&app, &headers, Some(&name), &origin).await.map_err(refused)?;
    let page = simple::page(&app, &name).await.map_err(|error| Problem::from(error).into_response())?;
    Ok(match page {
        Some(page) => answer(&app, &headers, page.last_serial(), || page.json(), || page.html()),
        None => not_found(),
    })
}

/// JSON or HTML as the client prefers, with an ETag, so that a quarantine is seen at once and nothing is sent twice.
fn answer(
    app: &App,
    headers: &HeaderMap,
    serial: i64,
    json: impl Fn() -> String,
    html: impl Fn() -> String,
) -> Response {
    let accept: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let kind = prefer(&accept.join(","), &[HTML, HTML_V1, JSON_V1]);
    let body = if kind == JSON_V1 { json() } else { html() };
    let digest = hex::encode(Sha256::digest(body.as_bytes()));
    let etag = format!("\"{}\"", digest.get(..32).unwrap_or(&digest));
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let unchanged = known.flat_map(|value| value.split(',')).any(|known| {
        let known = known.trim();
        known == "*" || known.trim_start_matches("W/") == etag
    });
    let mut response =
        if unchanged { StatusCode::NOT_MODIFIED.into_response() } else { body.into_response() };
    let signed_in = app.settings.read == ReadAccess::SignedIn;
    let fields = [
        (
            header::CONTENT_TYPE,
            if kind == HTML { String::from("text/html; charset=utf-8") } else { kind.to_owned() },
        ),
        (header::ETAG, etag),
        (header::CACHE_CONTROL, String::from(if signed_in { "private, no-cache" } else { "no-cache" })),
        (header::VARY, String::from(if signed_in { "Accept, Authorization" } else { "Accept" })),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, String::from("*")),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, String::from("X-PyPI-Last-Serial")),
        (header::HeaderName::from_static("x-pypi-last-serial"), serial.to_string()),
    ];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn refused(error: Refused) -> Response {
    match error {
        Refused::Store(error) => Problem::from(error).into_response(),
        Refused::Key(error) => Problem::unavailable(&error).into_response(),
        error => {
            let mut response = (StatusCode::UNAUTHORIZED, error.to_string()).into_response();
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"portcullis\""));
            response
        }
    }
}

async fn file(
    State(app): State<App>,
    Client(origin): Client,
    Path((first, second, rest, filename)): Path<(String, String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let (name, is_metadata) = match filename.strip_suffix(".metadata") {
        Some(name) => (name, true),
        None => (filename.as_str(), false),
    };
    let project = name.split('-').next().map(normalise);
    reader(&app, &headers, project.as_deref(), &origin).await.map_err(refused)?;
    let blake2_256 = format!("{first}{second}{rest}");
    let asked =
        simple::file(&app, &blake2_256, name).await.map_err(|error| Problem::from(error).into_response())?;
    let file = match asked {
        Asked::Unknown => return Ok(not_found()),
        Asked::Withheld(cause) => {
            let body = format!("403 {cause}. Contact {}.\n", app.contact());
            return Ok((StatusCode::FORBIDDEN, [(header::CACHE_CONTROL, "no-cache")], body).into_response());
        }
        Asked::Offered(file) => file,
    };
    let (sha256, size) = match (is_metadata, file.metadata_sha256) {
        (true, Some(sha256)) => (sha256, None),
        (true, None) => return Ok(not_found()),
        (false, _) => (file.sha256, Some(file.size)),
    };
    let opened =
        app.blobs.read(&sha256).await.map_err(|error| Problem::unavailable(&error).into_response())?;
    let mut response = Body::from_stream(ReaderStream::with_capacity(opened, 64 * 1024)).into_response();
    let fields = response.headers_mut();
    if let Some(size) = size {
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    }
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    // A file may be held later: it is asked for again each time, and answered from the cache where it is unchanged.
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{sha256}\"")) {
        fields.insert(header::ETAG, etag);
    }
    Ok(response)
}
