//! A case: its blast radius, the evidence of use, containment with its plan, and the timeline.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;

use super::desk::{ReportView, refusal, tone_of_case};
use super::{Layout, PageError, page, see_other, sentence};
use crate::app::App;
use crate::desk::plan::{self, Plan, PlanState, PlannedAction};
use crate::desk::{DeskError, case, containment, radius};
use crate::history::lines::{self, Line};
use crate::ids::CaseId;
use crate::store::containments::ActionState;
use crate::web::session::{AtDesk, Form};
use view::{ActionView, NoticeView, PlannedView, RadiusView, TreeStep, counted};

mod view;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/desk/cases/{id}", get(show))
        .route("/desk/cases/{id}/plan", post(show_plan))
        .route("/desk/cases/{id}/contain", post(contain))
        .route("/desk/cases/{id}/release", post(release))
        .route("/desk/cases/{id}/close", post(close))
}

fn case_id(text: &str) -> Result<CaseId, PageError> {
    text.parse().map_err(|_| PageError::not_found("there is no such case"))
}

#[derive(Template)]
#[template(path = "case.html")]
struct CasePage {
    layout: Layout,
    notice: Option<&'static str>,
    message: Option<String>,
    /// Why there is no radius yet.
    waiting: Option<String>,
    id: String,
    title: String,
    state: &'static str,
    tone: &'static str,
    opened: String,
    opened_by: String,
    closed: Option<String>,
    radius: Option<RadiusView>,
    actions: Vec<ActionView>,
    in_force: usize,
    notices: Vec<NoticeView>,
    reports: Vec<ReportView>,
    timeline: Vec<Line>,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    done: String,
}

async fn show(
    State(app): State<App>,
    by: AtDesk,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let mut content = content(&app, &by, case_id(&id)?).await?;
    content.notice = match asked.done.as_str() {
        "contained" => {
            Some("Contained. It holds from the very next request on; the notices are on their way.")
        }
        "released" => Some("Taken back, and told to whom it concerns."),
        "closed" => Some("The case is closed."),
        _ => None,
    };
    Ok(page(StatusCode::OK, &content))
}

/// Most lines of a timeline on the page.
const TIMELINE_LIMIT: i64 = 300;

async fn content(app: &App, by: &AtDesk, id: CaseId) -> Result<CasePage, PageError> {
    let now = app.now();
    let whole = case::whole(app, &by.responder, id).await.map_err(refusal)?;
    let (radius, waiting) = match radius::of_case(app, &by.responder, id).await {
        Ok(radius) => (Some(RadiusView::from(&radius)), None),
        Err(error @ DeskError::ExaminationUnderWay { .. }) => (None, Some(sentence(&error.to_string()))),
        Err(error) => return Err(refusal(error)),
    };
    let mut tx = app.store.read().await?;
    let timeline = lines::of_case(&mut tx, id, TIMELINE_LIMIT).await?.lines;
    drop(tx);
    Ok(CasePage {
        layout: Layout::signed_in(app, &by.signed_in),
        notice: None,
        message: None,
        waiting,
        id: id.to_string(),
        title: whole.case.title,
        state: whole.case.state.word(),
        tone: tone_of_case(whole.case.state),
        opened: whole.case.opened_at.for_people(),
        opened_by: whole.case.opened_by,
        closed: whole.case.closed_at.map(|at| {
            format!("{}: {}", at.for_people(), whole.case.closed_reason.as_deref().unwrap_or_default())
        }),
        radius,
        in_force: whole.actions.iter().filter(|action| action.state == ActionState::Applied).count(),
        actions: whole.actions.iter().map(ActionView::from).collect(),
        notices: whole.notices.iter().map(NoticeView::from).collect(),
        reports: whole.reports.into_iter().map(|report| ReportView::of(report, now)).collect(),
        timeline,
    })
}

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanPage {
    layout: Layout,
    message: Option<String>,
    id: String,
    title: String,
    digest: String,
    says: String,
    warnings: Vec<String>,
    planned: Vec<PlannedView>,
    applied: usize,
}

async fn plan_page(
    app: &App,
    by: &AtDesk,
    plan: &Plan,
    message: Option<String>,
) -> Result<PlanPage, PageError> {
    let whole = case::whole(app, &by.responder, plan.case).await.map_err(refusal)?;
    let (planned, applied): (Vec<&PlannedAction>, Vec<&PlannedAction>) =
        plan.actions.iter().partition(|action| action.state == PlanState::Planned);
    Ok(PlanPage {
        layout: Layout::signed_in(app, &by.signed_in),
        message,
        id: plan.case.to_string(),
        title: whole.case.title,
        digest: plan.digest.clone(),
        says: format!("{}.", counted(planned.len(), "action", "actions")),
        warnings: plan.warnings.clone(),
        planned: planned.into_iter().map(PlannedView::from).collect(),
        applied: applied.len(),
    })
}

async fn show_plan(
    State(app): State<App>,
    Path(id): Path<String>,
    Form { by, fields }: Form<AtDesk>,
) -> Result<Response, PageError> {
    let include_claimed = fields.optional("include_claimed").is_some();
    let plan = plan::dry_run(&app, &by.responder, case_id(&id)?, include_claimed).await.map_err(refusal)?;
    Ok(page(StatusCode::OK, &plan_page(&app, &by, &plan, None).await?))
}

async fn contain(
    State(app): State<App>,
    Path(id): Path<String>,
    Form { by, fields }: Form<AtDesk>,
) -> Result<Response, PageError> {
    let id = case_id(&id)?;
    match containment::apply(&app, &by.responder, id, fields.text("digest")).await {
        Ok(_) => Ok(see_other(&format!("/desk/cases/{id}?done=contained"))),
        Err(DeskError::StalePlan { reason, plan }) => {
            let message = format!("{} Nothing was done. Here is the plan as it is now.", sentence(&reason));
            Ok(page(StatusCode::CONFLICT, &plan_page(&app, &by, &plan, Some(message)).await?))
        }
        Err(error) => Err(refusal(error)),
    }
}

async fn release(
    State(app): State<App>,
    Path(id): Path<String>,
    Form { by, fields }: Form<AtDesk>,
) -> Result<Response, PageError> {
    let id = case_id(&id)?;
    let chosen: Vec<String> = fields.all("action").into_iter().map(str::to_owned).collect();
    match containment::release(&app, &by.responder, id, &chosen, fields.text("reason")).await {
        Ok(_) => Ok(see_other(&format!("/desk/cases/{id}?done=released"))),
        Err(error) => again(&app, &by, id, error).await,
    }
}

async fn close(
    State(app): State<App>,
    Path(id): Path<String>,
    Form { by, fields }: Form<AtDesk>,
) -> Result<Response, PageError> {
    let id = case_id(&id)?;
    match case::close(&app, &by.responder, id, fields.optional("reason")).await {
        Ok(_) => Ok(see_other(&format!("/desk/cases/{id}?done=closed"))),
        Err(error) => again(&app, &by, id, error).await,
    }
}

async fn again(app: &App, by: &AtDesk, id: CaseId, error: DeskError) -> Result<Response, PageError> {
    let status = match &error {
        DeskError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        DeskError::Conflict(_) => StatusCode::CONFLICT,
        DeskError::NotYours(_) => StatusCode::FORBIDDEN,
        _ => return Err(refusal(error)),
    };
    let mut content = content(app, by, id).await?;
    content.message = Some(sentence(&error.to_string()));
    Ok(page(status, &content))
}
