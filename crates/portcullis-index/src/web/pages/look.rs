//! The style sheet and the icon.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

pub(super) const STYLE_PATH: &str = "/static/style.css";
pub(super) const ICON_PATH: &str = "/static/icon.svg";

const STYLE: &str = include_str!("../../../templates/style.css");
const ICON: &str = include_str!("../../../templates/icon.svg");

static STYLE_TAG: LazyLock<String> = LazyLock::new(|| tag(STYLE));
static ICON_TAG: LazyLock<String> = LazyLock::new(|| tag(ICON));

fn tag(text: &str) -> String {
    hex::encode(Sha256::digest(text)).chars().take(16).collect()
}

/// Where pages find the style sheet; another one has another address, so that no old copy is used.
pub(super) fn style_address() -> String {
    format!("{STYLE_PATH}?v={}", *STYLE_TAG)
}

pub(super) async fn style(headers: HeaderMap) -> Response {
    unchanging(&headers, "text/css; charset=utf-8", STYLE, &STYLE_TAG)
}

pub(super) async fn icon(headers: HeaderMap) -> Response {
    unchanging(&headers, "image/svg+xml", ICON, &ICON_TAG)
}

fn unchanging(asked: &HeaderMap, kind: &'static str, text: &'static str, tag: &str) -> Response {
    let tag = format!("\"{tag}\"");
    let known = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = if known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        text.into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}
