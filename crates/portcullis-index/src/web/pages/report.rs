//! Reporting something, and what became of a report.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::desk::refusal;
use super::{Layout, PageError, page, sentence};
use crate::account::session::Visitor;
use crate::app::App;
use crate::desk::DeskError;
use crate::desk::clock;
use crate::desk::report::{self, Reporter, Submission};
use crate::ids::ReportId;
use crate::store::reports::{ReportKind, ReportState};
use crate::web::extract::Client;
use crate::web::session::Form;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/report", get(show).post(submit)).route("/reports/{id}", get(status))
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    subject: String,
}

struct Kind {
    word: &'static str,
    says: &'static str,
    hours: i64,
}

fn kinds() -> Vec<Kind> {
    let says = |kind| match kind {
        ReportKind::Malware => "A file or release does harm",
        ReportKind::StolenCredential => "A token or password is in the wrong hands",
        ReportKind::CompromisedWorkflow => "A workflow sends secrets away",
        ReportKind::AccountTakeover => "Somebody else acts as an account",
        ReportKind::Other => "Something else",
    };
    ReportKind::ALL
        .iter()
        .map(|kind| Kind { word: kind.word(), says: says(*kind), hours: clock::hours(*kind) })
        .collect()
}

const SUBJECT_TYPES: &[(&str, &str)] = &[
    ("project", "a project"),
    ("release", "a release"),
    ("file", "a file"),
    ("repository", "a repository"),
    ("account", "an account"),
    ("token", "a token, by its identifier"),
    ("text", "something else"),
];

#[derive(Template)]
#[template(path = "report.html")]
struct ReportForm {
    layout: Layout,
    message: Option<String>,
    kinds: Vec<Kind>,
    chosen_kind: String,
    subject_types: &'static [(&'static str, &'static str)],
    subject_type: String,
    subject: String,
    text: String,
}

async fn show(State(app): State<App>, visitor: Visitor, Query(asked): Query<Asked>) -> Response {
    let (subject_type, subject) = asked.subject.split_once(':').unwrap_or(("project", ""));
    let form = ReportForm {
        layout: Layout::of(&app, &visitor),
        message: None,
        kinds: kinds(),
        chosen_kind: String::new(),
        subject_types: SUBJECT_TYPES,
        subject_type: subject_type.to_owned(),
        subject: subject.to_owned(),
        text: String::new(),
    };
    page(StatusCode::OK, &form)
}

#[derive(Template)]
#[template(path = "report_sent.html")]
struct Sent {
    layout: Layout,
    status_path: String,
    status_url: String,
    document: String,
    public_key: String,
    signature: String,
}

async fn submit(
    State(app): State<App>,
    Client(origin): Client,
    Form { by, fields }: Form<Visitor>,
) -> Result<Response, PageError> {
    let kind = fields.text("kind").parse::<ReportKind>();
    let outcome = match kind {
        Ok(kind) => {
            let reporter = match by.signed_in() {
                Some(signed_in) => Reporter::Account(signed_in.account().clone()),
                None => Reporter::Anonymous,
            };
            let subject = format!("{}:{}", fields.text("subject_type"), fields.text("subject"));
            let text = fields.text("text").to_owned();
            report::submit(&app, &reporter, &origin, Submission { kind, subject, text, scan: None }).await
        }
        Err(_) => Err(DeskError::Invalid(String::from("say what it is"))),
    };
    match outcome {
        Ok(accepted) => Ok(page(
            StatusCode::CREATED,
            &Sent {
                layout: Layout::of(&app, &by),
                status_path: format!("/reports/{}", accepted.id),
                status_url: accepted.status_url,
                document: accepted.receipt.document,
                public_key: accepted.receipt.public_key,
                signature: accepted.receipt.signature,
            },
        )),
        Err(error @ (DeskError::Invalid(_) | DeskError::TooLarge { .. })) => {
            let form = ReportForm {
                layout: Layout::of(&app, &by),
                message: Some(sentence(&error.to_string())),
                kinds: kinds(),
                chosen_kind: fields.text("kind").to_owned(),
                subject_types: SUBJECT_TYPES,
                subject_type: fields.text("subject_type").to_owned(),
                subject: fields.text("subject").to_owned(),
                text: fields.text("text").to_owned(),
            };
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &form))
        }
        Err(error) => Err(refusal(error)),
    }
}

#[derive(Template)]
#[template(path = "report_status.html")]
struct StatusPage {
    layout: Layout,
    id: String,
    state: &'static str,
    state_says: &'static str,
    received: String,
    seen: Option<String>,
    closed: Option<String>,
}

async fn status(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let id: ReportId = id.parse().map_err(|_| PageError::not_found("there is no such report"))?;
    let status = report::status(&app, id).await.map_err(refusal)?;
    let shown = StatusPage {
        layout: Layout::of(&app, &visitor),
        id: status.id.to_string(),
        state: status.state.word(),
        state_says: match status.state {
            ReportState::Received => "nobody has looked yet; its clock runs",
            ReportState::Seen => "somebody is looking into it",
            ReportState::Acted => "something was done because of it",
            ReportState::Dismissed => "somebody looked, and found nothing that the desk can act on",
            ReportState::Closed => "its case is closed",
        },
        received: status.received,
        seen: status.seen,
        closed: status.closed,
    };
    Ok(page(StatusCode::OK, &shown))
}
