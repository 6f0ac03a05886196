//! Cases: one incident each, on one timeline. There is at most one unclosed case for a repository.

use std::collections::BTreeSet;

use super::pasted::without_tokens;
use super::scan_document::CITED_LIMIT;
use super::subject::{RepositoryName, Subject};
use super::{DeskError, Result, examination, report};
use crate::app::App;
use crate::authority::Responder;
use crate::clock::Instant;
use crate::history::{Actor, Event, record};
use crate::ids::{CaseId, ReportId};
use crate::store::cases::{self, Case, CaseState};
use crate::store::containments::{self, Action};
use crate::store::events::{self, EventRow};
use crate::store::examinations::{self, Examination, ExaminationState};
use crate::store::notices::{self, Notice};
use crate::store::reports::{self, Report};
use crate::store::{Tx, exposures, leases};
use crate::visible::visible;

/// Longest title, in characters.
pub const TITLE_LIMIT: usize = 200;

/// What a case is opened for.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// A report that it takes.
    pub report: Option<ReportId>,
    /// A repository that it is about.
    pub repository: Option<String>,
    /// One line.
    pub title: Option<String>,
}

/// Whoever opens a case for a repository next waits for this transaction.
pub(super) async fn one_at_a_time(tx: &mut Tx, repository: &str, now: Instant) -> Result<()> {
    let name = format!("case:{repository}");
    leases::hold(tx, &name, "open", now, now).await?;
    Ok(())
}

/// Adds a case with its event.
pub(super) async fn insert(tx: &mut Tx, title: &str, by: Actor, now: Instant) -> Result<Case> {
    let case = Case {
        id: CaseId::new(),
        title: visible(without_tokens(title).trim(), TITLE_LIMIT),
        state: CaseState::Open,
        opened_at: now,
        opened_by: by.label(),
        closed_at: None,
        closed_reason: None,
    };
    cases::insert(tx, &case).await?;
    let mut event = Event::new("desk:case:opened", by);
    event.case = Some(case.id);
    event.details = serde_json::json!({"title": case.title});
    record(tx, now, event).await?;
    Ok(case)
}

/// Opens a case for a report or a repository, or joins the unclosed one about the same repository, and has the
/// repository looked at.
///
/// # Errors
/// [`DeskError::Unknown`] for a report that does not exist, [`DeskError::Invalid`] where neither is named.
pub async fn open(app: &App, by: &Responder, opening: Opening) -> Result<Case> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    by.confirm(&mut tx, now).await?;
    let unlocked = report_named(&mut tx, opening.report).await?;
    let named = repository_of(&opening, unlocked.as_ref())?;
    if unlocked.is_none() && named.is_none() && opening.title.is_none() {
        return Err(DeskError::Invalid(String::from(
            "a case is opened for a report (--report ID) or a repository (--repository HOST/OWNER/NAME)",
        )));
    }
    // Everybody who works on cases locks in this order: repositories, case, report.
    let mut repositories: BTreeSet<RepositoryName> = named.iter().cloned().collect();
    repositories.extend(unlocked.iter().flat_map(report::repositories_of));
    for repository in &repositories {
        one_at_a_time(&mut tx, &repository.to_string(), now).await?;
    }
    let case = match existing(&mut tx, unlocked.as_ref(), named.as_ref()).await? {
        Some(case) => by_id_locked(&mut tx, case.id).await?,
        None => {
            let title = title(&opening, unlocked.as_ref(), named.as_ref());
            insert(&mut tx, &title, by.actor(), now).await?
        }
    };
    let report = match opening.report {
        Some(id) => reports::by_id_locked(&mut tx, id).await?,
        None => None,
    };
    if let Some(report) = &report {
        take_report(&mut tx, by, &case, report, now).await?;
    }
    // A look that a stranger's report was put off or waits for is made for this person now.
    for repository in &repositories {
        ensure_examination(&mut tx, &case, report.as_ref(), repository, now).await?;
    }
    tx.commit().await?;
    app.committed();
    Ok(case)
}

async fn report_named(tx: &mut Tx, id: Option<ReportId>) -> Result<Option<Report>> {
    let Some(id) = id else { return Ok(None) };
    let report = reports::by_id(tx, id).await?;
    report.map(Some).ok_or_else(|| DeskError::Unknown { what: format!("report {id}") })
}

fn repository_of(opening: &Opening, report: Option<&Report>) -> Result<Option<RepositoryName>> {
    if let Some(text) = &opening.repository {
        return RepositoryName::parse(text).map(Some).map_err(|error| DeskError::Invalid(error.to_string()));
    }
    let subject = report.map(|report| format!("{}:{}", report.subject_type, report.subject));
    Ok(match subject.as_deref().map(Subject::parse) {
        Some(Ok(Subject::Repository(name))) => Some(name),
        _ => None,
    })
}

fn title(opening: &Opening, report: Option<&Report>, repository: Option<&RepositoryName>) -> String {
    match (&opening.title, repository, report) {
        (Some(title), ..) if !title.trim().is_empty() => title.clone(),
        (_, Some(repository), _) => format!("Secrets sent away from {repository}"),
        (_, None, Some(report)) => format!("{}: {} {}", report.kind, report.subject_type, report.subject),
        (_, None, None) => String::from("An incident"),
    }
}

async fn existing(
    tx: &mut Tx,
    report: Option<&Report>,
    repository: Option<&RepositoryName>,
) -> Result<Option<Case>> {
    if let Some(id) = report.and_then(|report| report.case_id)
        && let Some(case) = cases::by_id(tx, id).await?
        && case.state != CaseState::Closed
    {
        return Ok(Some(case));
    }
    match repository {
        Some(repository) => Ok(cases::unclosed_of_repository(tx, &repository.to_string()).await?),
        None => Ok(None),
    }
}

async fn take_report(tx: &mut Tx, by: &Responder, case: &Case, report: &Report, now: Instant) -> Result<()> {
    reports::set_case(tx, report.id, case.id).await?;
    let first = reports::set_seen(tx, report.id, &by.account().name, now).await?;
    if first || report.case_id != Some(case.id) {
        let mut event = Event::new("desk:report:taken", by.actor());
        event.case = Some(case.id);
        event.details = serde_json::json!({"report": report.id});
        record(tx, now, event).await?;
    }
    for examination in examinations::of_report(tx, report.id).await? {
        if examination.case_id.is_some() {
            continue;
        }
        examinations::set_case(tx, examination.id, case.id).await?;
        let seen = examination::of_stored(&examination);
        examination::store(tx, case.id, &examination.repository, seen, now).await?;
    }
    Ok(())
}

/// A case about a repository has a look at it that is done or under way. A look that failed is tried anew.
async fn ensure_examination(
    tx: &mut Tx,
    case: &Case,
    report: Option<&Report>,
    repository: &RepositoryName,
    now: Instant,
) -> Result<()> {
    let name = repository.to_string();
    let there = examinations::of_case(tx, case.id).await?;
    let mut of_it = there.iter().filter(|examination| examination.repository == name);
    let report_id = report.map(|report| report.id);
    let made_for = match report_id {
        Some(report) => examinations::of_report(tx, report).await?,
        None => Vec::new(),
    };
    let mut enough = false;
    for examination in of_it.clone() {
        let for_it = made_for.iter().any(|look| look.id == examination.id);
        match examination.state {
            ExaminationState::Done => enough |= for_it,
            ExaminationState::Waiting if for_it || report.is_none() => {
                examination::hasten(tx, examination.id, now).await?;
                enough = true;
            }
            ExaminationState::Waiting | ExaminationState::Failed => {}
        }
    }
    if !enough {
        let mut cited: BTreeSet<String> = of_it
            .next_back()
            .map(|examination| examination.cited.iter().cloned().collect())
            .unwrap_or_default();
        cited.extend(report.map(|report| report::cited_by(report, repository)).unwrap_or_default());
        let cited = cited.into_iter().take(CITED_LIMIT).collect();
        let asked = examination::Asked { case: Some(case.id), report: report_id, cited, urgency: None };
        examination::queue(tx, now, repository, asked).await?;
    }
    Ok(())
}

/// Everything about a case.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The case.
    pub case: Case,
    /// What was reported, the oldest first.
    pub reports: Vec<Report>,
    /// Our own looks, the oldest first.
    pub examinations: Vec<Examination>,
    /// What containment did, in order.
    pub actions: Vec<Action>,
    /// What was told to whom, in order.
    pub notices: Vec<Notice>,
    /// Everything that happened, the newest first.
    pub timeline: Vec<EventRow>,
}

/// How many events a timeline shows.
const TIMELINE_LIMIT: i64 = 1_000;

/// Everything about a case.
///
/// # Errors
/// [`DeskError::Unknown`] where there is none with this id.
pub async fn whole(app: &App, _by: &Responder, id: CaseId) -> Result<Whole> {
    let mut tx = app.store.read().await?;
    let case = by_id_shared(&mut tx, id).await?;
    Ok(Whole {
        reports: reports::of_case(&mut tx, id).await?,
        examinations: examinations::of_case(&mut tx, id).await?,
        actions: containments::actions_of_case(&mut tx, id).await?,
        notices: notices::of_case(&mut tx, id).await?,
        timeline: events::of_subject(&mut tx, events::Subject::Case(id), TIMELINE_LIMIT, 0).await?,
        case,
    })
}

pub(super) async fn by_id_shared(tx: &mut Tx, id: CaseId) -> Result<Case> {
    cases::by_id(tx, id).await?.ok_or_else(|| DeskError::Unknown { what: format!("case {id}") })
}

pub(super) async fn by_id_locked(tx: &mut Tx, id: CaseId) -> Result<Case> {
    cases::by_id_locked(tx, id).await?.ok_or_else(|| DeskError::Unknown { what: format!("case {id}") })
}

/// How many cases a list shows.
const LIST_LIMIT: i64 = 500;

/// The cases, unclosed ones first, the newest of them first.
///
/// # Errors
/// Where the database refuses.
pub async fn list(app: &App, _by: &Responder) -> Result<Vec<Case>> {
    let mut tx = app.store.read().await?;
    Ok(cases::newest(&mut tx, LIST_LIMIT).await?)
}

/// When the oldest report came that nobody has seen: what stands at the top of the desk.
///
/// # Errors
/// Where the database refuses.
pub async fn oldest_unseen_report(app: &App, _by: &Responder) -> Result<Option<Instant>> {
    let mut tx = app.store.read().await?;
    Ok(reports::oldest_unseen(&mut tx).await?)
}

/// Closes a case. While an exposure of it stands or a look is under way, that needs a reason: it is waived. What that look
/// confirms opens the next case, and a report that nobody has seen goes back to the queue.
///
/// # Errors
/// [`DeskError::Conflict`] where it is closed already, or something stands or is looked at and no reason is given.
pub async fn close(app: &App, by: &Responder, id: CaseId, reason: Option<&str>) -> Result<Case> {
    let now = app.now();
    let reason = reason.map(|reason| without_tokens(reason.trim())).filter(|reason| !reason.is_empty());
    let mut tx = app.store.write().await?;
    by.confirm(&mut tx, now).await?;
    let case = by_id_locked(&mut tx, id).await?;
    if case.state == CaseState::Closed {
        return Err(DeskError::Conflict(format!("case {id} is closed already")));
    }
    let standing: Vec<String> = exposures::of_case(&mut tx, id)
        .await?
        .into_iter()
        .filter(|exposure| exposure.until_at.is_none() && exposure.standing != exposures::Standing::Foreign)
        .map(|exposure| exposure.secret)
        .collect();
    if !standing.is_empty() && reason.is_none() {
        return Err(DeskError::Conflict(format!(
            "the workflow still stands that sends away {}; have it taken out, or give a reason for closing the case all the same",
            standing.join(", ")
        )));
    }
    let looks = examinations::of_case(&mut tx, id).await?;
    if let Some(look) = looks.iter().find(|look| look.state == ExaminationState::Waiting)
        && reason.is_none()
    {
        return Err(DeskError::Conflict(format!(
            "{} is being looked at once more; wait for that, or give a reason for closing the case all the same",
            look.repository
        )));
    }
    let reason = reason.unwrap_or_else(|| String::from("everything is clean"));
    cases::close(&mut tx, id, &reason, now).await?;
    let unseen = reports::case_closed(&mut tx, id, &reason, now).await?;
    let mut event = Event::new("desk:case:closed", by.actor());
    event.case = Some(id);
    event.details =
        serde_json::json!({"reason": reason, "waived": standing, "reports_back_in_queue": unseen});
    record(&mut tx, now, event).await?;
    let case = by_id_shared(&mut tx, id).await?;
    tx.commit().await?;
    app.committed();
    Ok(case)
}
