//! `/legacy/`: where upload clients post. The body is streamed and hashed as it comes; nothing of a file is held in memory.
//!
//! Errors stand in the HTTP/1 reason phrase, where twine and others read them, and again in the body.

use axum::Router;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};
use std::time::Duration;

use crate::app::App;
use crate::authority::uploader::{Refused, uploader};
use crate::blobs::Incoming;
use crate::history::Origin;
use crate::upload::filename::LENGTH_LIMIT;
use crate::upload::form::{FIELD_BYTES_LIMIT, FORM_BYTES_LIMIT, Fields};
use crate::upload::{self, Received, Shown, UploadError};
use crate::web::extract::Client;

/// How long a client may be silent in the middle of a body.
const SILENCE: Duration = Duration::from_secs(60);

/// `/legacy/`, and what stands beside it.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/legacy/", post(receive).get(help_page).layer(DefaultBodyLimit::disable()))
        .route("/legacy", post(without_slash).get(without_slash))
        .route("/help/", get(help))
}

async fn help() -> &'static str {
    include_str!("../../../templates/help.txt")
}

async fn help_page(State(app): State<App>) -> String {
    format!(
        "This is where distributions are uploaded: twine upload --repository-url {}\nSee {}\n",
        app.url("/legacy/"),
        app.url("/help/")
    )
}

async fn without_slash(State(app): State<App>) -> Response {
    let url = app.url("/legacy/");
    let text =
        format!("An upload was attempted to {} but the expected upload URL is {url}", app.url("/legacy"));
    let mut response = with_reason(StatusCode::PERMANENT_REDIRECT, &text);
    if let Ok(location) = HeaderValue::from_str(&url) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

#[derive(serde::Deserialize)]
struct Action {
    #[serde(rename = ":action")]
    action: Option<String>,
}

async fn receive(
    State(app): State<App>,
    Client(origin): Client,
    Query(query): Query<Action>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let accept = headers.clone();
    // In a task of its own: a client that hangs up in the middle must not keep its use from being recorded.
    let received = tokio::spawn(async move { take(&app, &origin, query, &headers, request).await });
    match received.await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => refusal(&error, &accept),
        Err(panicked) => {
            tracing::error!(error = %panicked, "an upload ended in a panic");
            unavailable()
        }
    }
}

async fn take(
    app: &App,
    origin: &Origin,
    query: Action,
    headers: &HeaderMap,
    request: Request,
) -> Result<Response, UploadError> {
    let uploader = uploader(app, headers).await;
    let multipart = Multipart::from_request(request, app).await.map_err(|_| {
        UploadError::invalid(
            "The request has no multipart/form-data body. Upload with twine, uv or another client.",
        )
    });
    // Who nobody knows sends nothing to our disk; but the body is read to its end, or the client never hears why.
    let uploader = match uploader {
        Ok(uploader) => uploader,
        Err(refused) => {
            if let Ok(mut multipart) = multipart {
                drain(app, &mut multipart).await;
            }
            return Err(UploadError::from(refused));
        }
    };
    let mut form = Form::default();
    let read = match multipart {
        Ok(mut multipart) => match form.read(app, &mut multipart).await {
            Ok(()) => Ok(()),
            Err(error) => {
                drain(app, &mut multipart).await;
                Err(error)
            }
        },
        Err(error) => Err(error),
    };
    let action = query.action.or_else(|| form.fields.all(":action").next().map(str::to_owned));
    if read.is_ok() && action.as_deref() == Some("file_upload") {
        let received = form.finish(app).await?;
        upload::accept(app, &uploader, &form.fields, received, origin).await?;
        return Ok(StatusCode::OK.into_response());
    }
    form.give_up(app).await;
    let (result, error) = match read {
        Err(error) => (None, error),
        Ok(()) => (
            Some(other_action(app, action.as_deref())),
            UploadError::invalid("the form's :action is no upload"),
        ),
    };
    let shown = Shown { filename: form.filename, ..Shown::of(&form.fields, None) };
    upload::record_refusal(app, &uploader, &shown, &error, origin).await;
    result.ok_or(error)
}

/// What old clients ask for besides uploading a file.
fn other_action(app: &App, action: Option<&str>) -> Response {
    match action {
        Some("submit" | "submit_pkg_info") => with_reason(
            StatusCode::GONE,
            "Project pre-registration is no longer required or supported, upload your files instead.",
        ),
        Some("doc_upload") => with_reason(
            StatusCode::GONE,
            "Uploading documentation is no longer supported, we recommend using https://readthedocs.org/.",
        ),
        _ => with_reason(
            StatusCode::METHOD_NOT_ALLOWED,
            &format!(
                "The form has no :action that is known; expected file_upload. See {}",
                app.url("/help/")
            ),
        ),
    }
}

/// The form while it is being read.
#[derive(Default)]
struct Form {
    fields: Fields,
    /// The name of the file, for the record of a refusal.
    filename: Option<String>,
    content: Option<Content>,
}

/// The file while it is being read: written and hashed chunk by chunk.
struct Content {
    filename: String,
    content_type: Option<String>,
    incoming: Incoming,
    md5: md5::Md5,
    blake2: Blake2b<U32>,
}

fn broken(error: &MultipartError) -> UploadError {
    UploadError::invalid(format!("The multipart body can't be read: {}", error.body_text()))
}

fn silent(_: tokio::time::error::Elapsed) -> UploadError {
    UploadError::invalid("The upload stopped in the middle of its body. Nothing was stored. Try again.")
}

impl Form {
    async fn read(&mut self, app: &App, multipart: &mut Multipart) -> Result<(), UploadError> {
        while let Some(field) = tokio::time::timeout(SILENCE, multipart.next_field())
            .await
            .map_err(silent)?
            .map_err(|error| broken(&error))?
        {
            let name = field.name().unwrap_or_default().to_owned();
            if name == "content" {
                self.read_content(app, field).await?;
            } else if field.file_name().is_some() && name != "gpg_signature" {
                return Err(UploadError::invalid(format!(
                    "{}: Should not be a tuple.",
                    crate::visible::visible(&name, 100)
                )));
            } else {
                let value = read_text(&name, field).await?;
                self.fields.add(&name, value)?;
            }
        }
        Ok(())
    }

    async fn read_content(&mut self, app: &App, mut field: Field<'_>) -> Result<(), UploadError> {
        if self.content.is_some() {
            return Err(UploadError::invalid("content: given more than once; expected one file."));
        }
        let Some(filename) = field.file_name().map(str::to_owned) else {
            return Err(UploadError::invalid("Upload payload does not have a file."));
        };
        self.filename = Some(crate::visible::visible(&filename, LENGTH_LIMIT));
        let content_type = field.content_type().map(str::to_owned);
        let incoming = app.blobs.begin(&app.store, app.now()).await?;
        let content = self.content.insert(Content {
            filename,
            content_type,
            incoming,
            md5: md5::Md5::new(),
            blake2: Blake2b::new(),
        });
        let limit = app.settings.limits.file;
        while let Some(chunk) = tokio::time::timeout(SILENCE, field.chunk())
            .await
            .map_err(silent)?
            .map_err(|error| broken(&error))?
        {
            if content.incoming.size() + chunk.len() as u64 > limit {
                let project = self.fields.all("name").next().unwrap_or_default();
                return Err(UploadError::invalid(format!(
                    "File too large. Limit for project '{}' is {} MB. See {}#file-size-limit for more information.",
                    crate::visible::visible(project, 200),
                    limit / (1024 * 1024),
                    app.url("/help/")
                )));
            }
            content.md5.update(&chunk);
            content.blake2.update(&chunk);
            content.incoming.write(&chunk).await.map_err(UploadError::storage)?;
        }
        Ok(())
    }

    async fn finish(&mut self, app: &App) -> Result<Option<Received>, UploadError> {
        let Some(content) = self.content.take() else { return Ok(None) };
        Ok(Some(Received {
            filename: content.filename,
            content_type: content.content_type,
            content: app.blobs.finish(&app.store, content.incoming, app.now()).await?,
            md5: hex::encode(content.md5.finalize()),
            blake2_256: hex::encode(content.blake2.finalize()),
        }))
    }

    async fn give_up(&mut self, app: &App) {
        if let Some(content) = self.content.take() {
            app.blobs.abandon(&app.store, content.incoming).await;
        }
    }
}

async fn read_text(name: &str, mut field: Field<'_>) -> Result<String, UploadError> {
    let mut bytes = Vec::new();
    while let Some(chunk) =
        tokio::time::timeout(SILENCE, field.chunk()).await.map_err(silent)?.map_err(|error| broken(&error))?
    {
        if bytes.len() + chunk.len() > FIELD_BYTES_LIMIT {
            return Err(UploadError::too_large(format!(
                "The form field '{}' is too large. A field may have {} MB.",
                crate::visible::visible(name, 100),
                FIELD_BYTES_LIMIT / (1024 * 1024)
            )));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| {
        UploadError::invalid(format!("The form field '{}' is not UTF-8.", crate::visible::visible(name, 100)))
    })
}

/// Reads what is left of a body and throws it away, up to what an upload may be: a client that is still sending does not
/// read our answer, and would report a broken connection instead of the reason.
async fn drain(app: &App, multipart: &mut Multipart) {
    let limit = app.settings.limits.file.saturating_add(FORM_BYTES_LIMIT as u64);
    let mut seen: u64 = 0;
    let read = async {
        while let Ok(Some(mut field)) = multipart.next_field().await {
            while let Ok(Some(chunk)) = field.chunk().await {
                seen = seen.saturating_add(chunk.len() as u64);
                if seen > limit {
                    return;
                }
            }
        }
    };
    let _ = tokio::time::timeout(SILENCE, read).await;
}

fn refusal(error: &UploadError, headers: &HeaderMap) -> Response {
    let status = match error {
        UploadError::Refused(Refused::PublisherCannotCreate { .. }) | UploadError::Invalid(_) => {
            StatusCode::BAD_REQUEST
        }
        UploadError::Refused(Refused::Store(cause)) => {
            tracing::error!(error = %cause, "an upload failed");
            return unavailable();
        }
        UploadError::Refused(Refused::Key(cause)) => {
            tracing::error!(error = %cause, "an upload failed");
            return unavailable();
        }
        UploadError::Refused(_) => StatusCode::FORBIDDEN,
        UploadError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        UploadError::NameTaken(_) => StatusCode::CONFLICT,
        UploadError::Unavailable { cause } => {
            tracing::error!(error = %cause, "an upload failed");
            return unavailable();
        }
    };
    with_reason_for(status, &error.to_string(), headers)
}

fn unavailable() -> Response {
    let mut response = with_reason(
        StatusCode::SERVICE_UNAVAILABLE,
        "The upload could not be stored. Nothing was changed. Try again in a moment.",
    );
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

fn with_reason(status: StatusCode, text: &str) -> Response {
    with_reason_for(status, text, &HeaderMap::new())
}

/// Longest reason phrase, in bytes.
const REASON_LIMIT: usize = 1_000;

/// The text in the HTTP/1 reason phrase (Latin-1, no control characters, bounded) and in the body, as JSON, plain text or
/// HTML, whichever the client prefers.
fn with_reason_for(status: StatusCode, text: &str, headers: &HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let line = format!("{} {text}", status.as_u16());
    let title = status.canonical_reason().unwrap_or("Error");
    let preferred = super::negotiate::prefer(accept, &["text/html", "application/json", "text/plain"]);
    let (kind, body) = match preferred {
        "application/json" => {
            let message = format!("{title}\n\n\n{text}\n\n");
            (
                "application/json",
                serde_json::json!({ "message": message, "code": line, "title": title }).to_string(),
            )
        }
        "text/plain" => ("text/plain; charset=utf-8", format!("{line}\n\n{text}\n")),
        _ => {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let line = format!("{} {escaped}", status.as_u16());
            (
                "text/html; charset=utf-8",
                format!(
                    "<html>\n <head>\n  <title>{line}</title>\n </head>\n <body>\n  <h1>{line}</h1>\n  {title}<br/><br/>\n{escaped}\n\n </body>\n</html>\n"
                ),
            )
        }
    };
    let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept, Authorization"));
    let reason: Vec<u8> = text
        .chars()
        .map(|character| match u32::from(character) {
            byte @ (0x20..=0x7e | 0xa0..=0xff) => u8::try_from(byte).unwrap_or(b'?'),
            _ => b'?',
        })
        .take(REASON_LIMIT)
        .collect();
    if let Ok(reason) = hyper::ext::ReasonPhrase::try_from(reason) {
        response.extensions_mut().insert(reason);
    }
    response
}
