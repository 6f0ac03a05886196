//! The desk: what waits to be looked at, and the cases.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};

use super::{Layout, PageError, page, see_other, sentence};
use crate::app::App;
use crate::clock::{Instant, SECOND};
use crate::desk::case::{self, Opening};
use crate::desk::{DeskError, report};
use crate::notice;
use crate::store::cases::{Case, CaseState};
use crate::store::notices::{Notice, NoticeState};
use crate::store::reports::{Lane, Report, ReportState};
use crate::web::session::{AtDesk, Form};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/desk", get(show))
        .route("/desk/cases", post(open_case))
        .route("/desk/reports/{id}/dismiss", post(dismiss))
}

/// What the desk refuses, as a page.
pub(super) fn refusal(error: DeskError) -> PageError {
    match error {
        DeskError::Unknown { .. } => PageError::NotFound(error.to_string()),
        DeskError::Authority(error) => error.into(),
        DeskError::NotYours(_) => PageError::Forbidden(error.to_string()),
        DeskError::Store(_) | DeskError::History(_) => PageError::Unavailable(Box::new(error)),
        DeskError::TooLarge { .. } => PageError::FormTooLarge,
        DeskError::Invalid(_)
        | DeskError::Conflict(_)
        | DeskError::ExaminationUnderWay { .. }
        | DeskError::StalePlan { .. } => PageError::Refused(error.to_string()),
    }
}

/// A span of time in its two largest units.
pub(super) fn span(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => String::from("less than a minute"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {} min", minutes % 60),
        (1, ..) => format!("1 day {} h", hours % 24),
        _ => format!("{days} days {} h", hours % 24),
    }
}

fn seconds_between(earlier: Instant, later: Instant) -> i64 {
    later.0.saturating_sub(earlier.0).max(0) / SECOND
}

/// A report as the desk shows it.
pub(super) struct ReportView {
    pub id: String,
    pub kind: &'static str,
    pub subject_type: String,
    pub subject: String,
    pub text: String,
    pub reporter: String,
    pub state: &'static str,
    pub confirmed: bool,
    pub level: &'static str,
    pub clock: String,
    pub overdue: bool,
    pub received: String,
    pub has_document: bool,
    pub case: Option<String>,
    pub seen_by: Option<String>,
}

impl ReportView {
    pub(super) fn of(report: Report, now: Instant) -> Self {
        let overdue = report.due_at < now;
        let clock = if overdue {
            format!("overdue by {}", span(seconds_between(report.due_at, now)))
        } else {
            format!("due in {}", span(seconds_between(now, report.due_at)))
        };
        Self {
            id: report.id.to_string(),
            kind: report.kind.word(),
            subject_type: report.subject_type,
            subject: report.subject,
            text: report.text,
            reporter: report.reporter,
            state: report.state.word(),
            confirmed: report.lane == Lane::Confirmed,
            level: report.level.word(),
            clock,
            overdue,
            received: report.received_at.for_people(),
            has_document: report.scan_document.is_some(),
            case: report.case_id.map(|id| id.to_string()),
            seen_by: report.seen_by,
        }
    }
}

pub(super) fn tone_of_case(state: CaseState) -> &'static str {
    match state {
        CaseState::Open => "bad",
        CaseState::Contained => "warn",
        CaseState::Closed => "good",
    }
}

struct CaseView {
    id: String,
    title: String,
    state: &'static str,
    tone: &'static str,
    opened: String,
    by: String,
}

impl From<Case> for CaseView {
    fn from(case: Case) -> Self {
        Self {
            id: case.id.to_string(),
            title: case.title,
            state: case.state.word(),
            tone: tone_of_case(case.state),
            opened: case.opened_at.for_people(),
            by: case.opened_by,
        }
    }
}

struct UntoldView {
    subject: String,
    state: &'static str,
    case: Option<String>,
    error: Option<String>,
}

impl From<Notice> for UntoldView {
    fn from(notice: Notice) -> Self {
        Self {
            subject: notice.subject,
            state: notice.state.word(),
            case: notice.case_id.map(|id| id.to_string()),
            error: notice.last_error,
        }
    }
}

#[derive(Template)]
#[template(path = "desk.html")]
struct Desk {
    layout: Layout,
    message: Option<String>,
    oldest: Option<String>,
    overdue: bool,
    untold: Vec<UntoldView>,
    unseen: Vec<ReportView>,
    seen: Vec<ReportView>,
    cases: Vec<CaseView>,
}

async fn show(State(app): State<App>, by: AtDesk) -> Result<Response, PageError> {
    Ok(page(StatusCode::OK, &content(&app, &by).await?))
}

async fn content(app: &App, by: &AtDesk) -> Result<Desk, PageError> {
    let now = app.now();
    let reports = report::list(app, &by.responder).await.map_err(refusal)?;
    let oldest = case::oldest_unseen_report(app, &by.responder).await.map_err(refusal)?;
    let cases = case::list(app, &by.responder).await.map_err(refusal)?;
    let notices = notice::list(app, &by.responder).await?;
    let (unseen, seen): (Vec<Report>, Vec<Report>) =
        reports.into_iter().partition(|report| report.state == ReportState::Received);
    let untold = |notice: &Notice| {
        matches!(notice.state, NoticeState::NoChannel | NoticeState::Bounced | NoticeState::GivenUp)
    };
    Ok(Desk {
        layout: Layout::signed_in(app, &by.signed_in),
        message: None,
        oldest: oldest.map(|came| span(seconds_between(came, now))),
        overdue: unseen.iter().any(|report| report.due_at < now),
        untold: notices.into_iter().filter(untold).map(UntoldView::from).collect(),
        unseen: unseen.into_iter().map(|report| ReportView::of(report, now)).collect(),
        seen: seen.into_iter().map(|report| ReportView::of(report, now)).collect(),
        cases: cases.into_iter().map(CaseView::from).collect(),
    })
}

async fn open_case(State(app): State<App>, Form { by, fields }: Form<AtDesk>) -> Result<Response, PageError> {
    let report = match fields.optional("report") {
        Some(id) => Some(id.parse().map_err(|_| PageError::not_found("there is no such report"))?),
        None => None,
    };
    let repository = fields.optional("repository").map(str::to_owned);
    match case::open(&app, &by.responder, Opening { report, repository, title: None }).await {
        Ok(case) => Ok(see_other(&format!("/desk/cases/{}", case.id))),
        Err(DeskError::Invalid(message)) => again(&app, &by, &message).await,
        Err(error) => Err(refusal(error)),
    }
}

async fn again(app: &App, by: &AtDesk, message: &str) -> Result<Response, PageError> {
    let content = Desk { message: Some(sentence(message)), ..content(app, by).await? };
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &content))
}

async fn dismiss(
    State(app): State<App>,
    Path(id): Path<String>,
    Form { by, fields }: Form<AtDesk>,
) -> Result<Response, PageError> {
    let id = id.parse().map_err(|_| PageError::not_found("there is no such report"))?;
    match report::dismiss(&app, &by.responder, id, fields.text("reason")).await {
        Ok(()) => Ok(see_other("/desk#reports")),
        Err(DeskError::Invalid(message) | DeskError::Conflict(message)) => again(&app, &by, &message).await,
        Err(error) => Err(refusal(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_well() {
        for (seconds, shown) in [
            (59, "less than a minute"),
            (60, "1 min"),
            (3_599, "59 min"),
            (3_660, "1 h 1 min"),
            (90_000, "1 day 1 h"),
            (13 * 86_400, "13 days 0 h"),
        ] {
            assert_eq!(span(seconds), shown);
        }
    }
}
