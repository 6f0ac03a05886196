//! From inner errors to what the outside sees: the status, and a sentence that is safe to show.
//!
//! What the operator needs beyond that is logged here, once, and never holds a token, an address or a body.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::authority::AuthorityError;
use crate::desk::DeskError;
use crate::store::StoreError;

/// A problem document (RFC 9457): what every error on `/api/v1` answers.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
    retry_after_seconds: Option<u32>,
    members: Map<String, Value>,
}

impl Problem {
    /// A problem with a status, a short constant title and a sentence about this occurrence.
    #[must_use]
    pub fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into(), retry_after_seconds: None, members: Map::new() }
    }

    /// 400: the request can't be understood.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Bad request", detail)
    }

    /// 404: there is no such thing.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found", detail)
    }

    /// 409: the request does not fit the state of things.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", detail)
    }

    /// 422: the request is well formed, its content is not what is expected.
    #[must_use]
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Unprocessable content", detail)
    }

    /// 503 after a failure of our own: the cause goes to the log only.
    #[must_use]
    pub fn unavailable(cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = %cause, "a request failed");
        let mut problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Temporarily unavailable",
            "The server could not do this now. Nothing was changed. Try again in a moment.",
        );
        problem.retry_after_seconds = Some(5);
        problem
    }

    /// Asks the client to come back after so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// A further member of the document.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }

    /// The sentence about this occurrence.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut document = self.members;
        document.insert(String::from("type"), Value::from("about:blank"));
        document.insert(String::from("title"), Value::from(self.title));
        document.insert(String::from("status"), Value::from(self.status.as_u16()));
        document.insert(String::from("detail"), Value::from(self.detail));
        let mut response = (self.status, Value::Object(document).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"portcullis\""));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::unavailable(&error)
    }
}

impl From<AuthorityError> for Problem {
    fn from(error: AuthorityError) -> Self {
        match error {
            AuthorityError::Unknown => Self::new(
                StatusCode::UNAUTHORIZED,
                "Unauthorized",
                "The management token is unknown, expired or revoked. Make one with `portcullis admin token add ACCOUNT --api SCOPE`.",
            ),
            AuthorityError::Frozen => Self::new(
                StatusCode::FORBIDDEN,
                "Forbidden",
                "The account is frozen. Ask the operator of this index.",
            ),
            AuthorityError::NotAllowed { needed } => {
                Self::new(StatusCode::FORBIDDEN, "Forbidden", format!("This needs {needed}."))
            }
            AuthorityError::Store(error) => error.into(),
            AuthorityError::Key(error) => Self::unavailable(&error),
        }
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        let sentence = |text: String| format!("{}.", text.trim_end_matches('.'));
        let detail = sentence(error.to_string());
        match error {
            DeskError::Unknown { .. } => Self::not_found(detail),
            DeskError::Invalid(_) => Self::unprocessable(detail),
            DeskError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Content too large", detail)
            }
            DeskError::Conflict(_) => Self::conflict(detail),
            DeskError::ExaminationUnderWay { .. } => {
                Self::new(StatusCode::CONFLICT, "Examination under way", detail)
                    .with("code", Value::from("examination-under-way"))
                    .retry_after(1)
            }
            DeskError::StalePlan { plan, .. } => Self::new(StatusCode::CONFLICT, "Stale digest", detail)
                .with("code", Value::from("stale-digest"))
                .with("plan", serde_json::to_value(plan).unwrap_or_default()),
            DeskError::NotYours(_) => Self::new(StatusCode::FORBIDDEN, "Forbidden", detail),
            DeskError::Authority(error) => error.into(),
            DeskError::Store(error) => error.into(),
            DeskError::History(error) => Self::unavailable(&error),
        }
    }
}

/// What a client of `/api/v1` reads that asks a resource for what it does not do. The header `Allow` names what it does.
pub(super) async fn method_not_allowed(method: axum::http::Method) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "Method not allowed",
        format!("{method} is nothing that can be done here; the header Allow lists what can."),
    )
}

/// What a client reads after a panic: the panic itself went to the log. One request fails, the server goes on.
pub(super) fn after_panic(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    tracing::error!("a request handler panicked");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Internal error",
        "The server met a fault of its own. Nothing was changed. Please report it.",
    )
    .into_response()
}
