//! Our own look at a repository: what a report says becomes known only here.
//!
//! The forge fetches and scans ([`super::forge`]); what that scan calls malicious gets its evidence level and becomes an
//! exposure of a case, opened or joined by itself. What it does not confirm leaves the report where it was: with a person.

use std::collections::{BTreeMap, BTreeSet};

use super::forge::{ForgeError, Look, Push, Run, Runs, Sight};
use super::scan_document::{CITED_LIMIT, Finding, FoundExposure, ScanDocument};
use super::subject::RepositoryName;
use super::{Result, case};
use crate::app::App;
use crate::clock::Instant;
use crate::history::{Actor, Event, record};
use crate::ids::{CaseId, ExaminationId, ExposureId, ReportId};
use crate::store::Tx;
use crate::store::cases::{self, CaseState};
use crate::store::examinations::{self, Examination, ExaminationState, Findings};
use crate::store::exposures::{self, Basis, Details, Exposure, Standing, StoodOn};
use crate::store::jobs::{self, Urgency};
use crate::store::reports::{self, Lane, Level, ReportState};
use crate::visible::visible;

/// The kind of the job that examines.
pub const JOB: &str = "examine";

/// How long a failed look waits before it is tried again, in seconds, one entry a try. After the last it has failed.
pub const BACK_OFF_SECONDS: &[i64] = &[1, 5, 20];

/// Who asks for a look, and at what.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// For which case.
    pub case: Option<CaseId>,
    /// Because of which report.
    pub report: Option<ReportId>,
    /// Commits to fetch beside the branches and tags.
    pub cited: Vec<String>,
    /// Who waits for it; a person where nothing is said.
    pub urgency: Option<Urgency>,
}

/// How soon after a look strangers get another one at the same repository, in seconds, unless they cite commits that were
/// not fetched then. It comes later, never not at all: whoever pushes just after a look hides nothing.
pub const AGAIN_SECONDS: i64 = 600;

/// Queues a look, in the transaction of what asks for it. Where one waits that nobody has begun, it is that one, and fetches
/// what is cited now too: a flood about one repository is one look.
///
/// # Errors
/// Where the database refuses.
pub async fn queue(
    tx: &mut Tx,
    now: Instant,
    repository: &RepositoryName,
    asked: Asked,
) -> crate::store::Result<ExaminationId> {
    let urgency = asked.urgency.unwrap_or(Urgency::Person);
    let name = repository.to_string();
    let mut run_at = now;
    if urgency > Urgency::Person
        && let Some(last) = examinations::last_ended(tx, &name).await?
        && asked.cited.iter().all(|commit| last.cited.contains(commit))
    {
        let ended = last.examined_at.unwrap_or(last.requested_at);
        run_at = now.max(ended.plus_seconds(AGAIN_SECONDS));
    }
    for waiting in examinations::waiting_of(tx, &name).await? {
        let elsewhere = asked.case.is_some() && waiting.case_id.is_some() && asked.case != waiting.case_id;
        let mut cited: BTreeSet<String> = waiting.cited.iter().cloned().collect();
        cited.extend(asked.cited.iter().cloned());
        let fits = !elsewhere && cited.len() <= CITED_LIMIT;
        if fits && jobs::hold_waiting(tx, &job_key(waiting.id), urgency, run_at).await? {
            examinations::set_cited(tx, waiting.id, &cited.into_iter().collect::<Vec<_>>()).await?;
            if let (Some(case), None) = (asked.case, waiting.case_id) {
                examinations::set_case(tx, waiting.id, case).await?;
            }
            if let Some(report) = asked.report {
                examinations::join(tx, waiting.id, report).await?;
            }
            return Ok(waiting.id);
        }
    }
    let examination = Examination {
        id: ExaminationId::new(),
        case_id: asked.case,
        report_id: asked.report,
        repository: repository.to_string(),
        state: ExaminationState::Waiting,
        cited: asked.cited,
        requested_at: now,
        examined_at: None,
        document: None,
        pushes: None,
        runs: None,
        problem: None,
    };
    examinations::insert(tx, &examination).await?;
    let payload = serde_json::json!({"examination": examination.id}).to_string();
    jobs::insert(tx, JOB, &payload, Some(&job_key(examination.id)), urgency, run_at).await?;
    let mut event = Event::new("desk:examination:requested", Actor::System { part: String::from("desk") });
    event.case = examination.case_id;
    event.details = serde_json::json!({
        "examination": examination.id, "repository": examination.repository, "cited": examination.cited,
    });
    record(tx, now, event).await?;
    Ok(examination.id)
}

/// A person waits for this look now.
pub(super) async fn hasten(tx: &mut Tx, id: ExaminationId, now: Instant) -> crate::store::Result<()> {
    jobs::hold_waiting(tx, &job_key(id), Urgency::Person, now).await.map(|_| ())
}

fn job_key(id: ExaminationId) -> String {
    format!("{JOB}:{id}")
}

/// Does one look. `last` tells that a failure is not tried again. Safe to repeat: a look that is done stays as it is.
///
/// # Errors
/// A sentence about what went wrong, where it is worth another try.
pub async fn carry_out(app: &App, id: ExaminationId, last: bool) -> std::result::Result<(), String> {
    let failure = |error: crate::store::StoreError| error.to_string();
    let mut tx = app.store.read().await.map_err(failure)?;
    let examination = examinations::by_id(&mut tx, id).await.map_err(failure)?;
    drop(tx);
    let Some(examination) = examination.filter(|found| found.state == ExaminationState::Waiting) else {
        return Ok(());
    };
    // What the forge is asked after this moment it may not have known: evidence reaches up to here.
    let asked_at = app.now();
    let seen = match RepositoryName::parse(&examination.repository) {
        Ok(repository) => app.forge().look(&Look { repository, cited: examination.cited.clone() }).await,
        Err(error) => Err(ForgeError::Impossible(error.to_string())),
    };
    let read = seen.and_then(|mut sight| match ScanDocument::read_own(&sight.document) {
        Ok((document, cut)) => {
            if cut {
                sight.problems.insert(
                    0,
                    String::from(
                        "truncated: there is more in it than the desk keeps; what weighs most was kept",
                    ),
                );
            }
            Ok((sight, document))
        }
        Err(error) => Err(ForgeError::Failed(format!("the scan of it can't be used: {error}"))),
    });
    match read {
        Ok((sight, document)) => conclude(app, &examination, &sight, &document, asked_at)
            .await
            .map_err(|error| format!("what was found could not be stored: {error}")),
        Err(ForgeError::Failed(problem)) if !last => {
            note_failure(app, &examination, &problem, false).await.map_err(failure)?;
            Err(problem)
        }
        Err(ForgeError::Failed(problem) | ForgeError::Impossible(problem)) => {
            note_failure(app, &examination, &problem, true).await.map_err(failure)
        }
    }
}

async fn note_failure(
    app: &App,
    examination: &Examination,
    problem: &str,
    given_up: bool,
) -> crate::store::Result<()> {
    let now = app.now();
    let problem = visible(problem, 1_000);
    let mut tx = app.store.write().await?;
    examinations::fail(&mut tx, examination.id, &problem, given_up, now).await?;
    if given_up {
        let current = examinations::by_id(&mut tx, examination.id).await?;
        let mut event = Event::new("desk:examination:failed", Actor::System { part: String::from("desk") });
        event.case = current.and_then(|current| current.case_id);
        event.details = serde_json::json!({
            "examination": examination.id, "repository": examination.repository, "problem": problem,
        });
        record(&mut tx, now, event).await?;
    }
    tx.commit().await?;
    app.committed();
    Ok(())
}

/// Stores what was seen and, where it confirms something, opens or joins the case: one transaction.
async fn conclude(
    app: &App,
    examination: &Examination,
    sight: &Sight,
    document: &ScanDocument,
    asked_at: Instant,
) -> Result<()> {
    let now = app.now();
    let mut problems = sight.problems.clone();
    problems.extend(document.problems.iter().map(|problem| problem.what.clone()));
    problems.truncate(20);
    let json = |value: serde_json::Result<String>| value.unwrap_or_else(|_| String::from("null"));
    let kept = json(serde_json::to_string(document));
    let found = Findings {
        document: &kept,
        pushes: sight.pushes.as_ref().map(|pushes| json(serde_json::to_string(pushes))),
        runs: sight.runs.as_ref().map(|runs| json(serde_json::to_string(runs))),
        problem: (!problems.is_empty()).then(|| visible(&problems.join("; "), 2_000)),
    };
    let mut tx = app.store.write().await?;
    case::one_at_a_time(&mut tx, &examination.repository, now).await?;
    if !examinations::finish(&mut tx, examination.id, &found, asked_at).await? {
        return Ok(());
    }
    // A responder may have given it to a case meanwhile.
    let Some(examination) = examinations::by_id(&mut tx, examination.id).await? else { return Ok(()) };
    let derived = derive(document, sight.pushes.as_deref(), sight.runs.as_ref(), asked_at);
    let own = derived.iter().filter(|exposure| exposure.standing != Standing::Foreign);
    let confirmed = own.map(|exposure| exposure.level).max();
    let unclosed = match examination.case_id {
        Some(id) => {
            Some(case::by_id_locked(&mut tx, id).await?).filter(|case| case.state != CaseState::Closed)
        }
        None => None,
    };
    let case = match (unclosed, confirmed) {
        (Some(case), _) => Some(case.id),
        // Its case may have been closed meanwhile: what is found now was seen by nobody.
        (None, Some(_)) => Some(open_by_itself(&mut tx, &examination, now).await?),
        (None, None) => examination.case_id,
    };
    let mut event = Event::new("desk:examination:done", Actor::System { part: String::from("desk") });
    event.case = case;
    event.details = serde_json::json!({
        "examination": examination.id, "repository": examination.repository, "level": confirmed.unwrap_or(Level::E0),
        "malicious": derived.len(), "pushes": sight.pushes.is_some(), "runs": sight.runs.is_some(),
    });
    record(&mut tx, now, event).await?;
    if let Some(case) = case {
        store(&mut tx, case, &examination.repository, derived, now).await?;
    }
    if let (Some(case), Some(level)) = (case, confirmed) {
        for report in examinations::reports_of(&mut tx, examination.id).await? {
            confirm(&mut tx, report, case, level).await?;
        }
    }
    tx.commit().await?;
    app.committed();
    Ok(())
}

/// What our own look confirms goes to the top lane. One report may name several repositories: what one of them confirmed,
/// another does not take away.
async fn confirm(tx: &mut Tx, report: ReportId, case: CaseId, level: Level) -> Result<()> {
    let Some(before) = reports::by_id_locked(tx, report).await? else { return Ok(()) };
    if level > before.level {
        reports::set_level(tx, report, level, Lane::Confirmed).await?;
    }
    let unclosed = match before.case_id {
        Some(id) => cases::by_id(tx, id).await?.is_some_and(|case| case.state != CaseState::Closed),
        None => false,
    };
    if !unclosed && !matches!(before.state, ReportState::Closed | ReportState::Dismissed) {
        reports::set_case(tx, report, case).await?;
    }
    Ok(())
}

async fn open_by_itself(tx: &mut Tx, examination: &Examination, now: Instant) -> Result<CaseId> {
    let case = match cases::unclosed_of_repository(tx, &examination.repository).await? {
        Some(case) => case.id,
        None => {
            let title = format!("Secrets sent away from {}", examination.repository);
            case::insert(tx, &title, Actor::System { part: String::from("desk") }, now).await?.id
        }
    };
    examinations::set_case(tx, examination.id, case).await?;
    Ok(case)
}

/// Stores exposures in a case, each new one with its event.
pub(super) async fn store(
    tx: &mut Tx,
    case: CaseId,
    repository: &str,
    derived: Vec<Derived>,
    now: Instant,
) -> Result<()> {
    let known = exposures::of_case(tx, case).await?;
    for found in derived {
        let mut exposure = Exposure {
            id: ExposureId::new(),
            case_id: case,
            repository: repository.to_owned(),
            finding_id: found.finding_id,
            secret: found.secret,
            destination: found.destination,
            level: found.level,
            standing: found.standing,
            from_at: found.from.0,
            from_basis: found.from.1,
            until_at: found.until.map(|until| until.0),
            until_basis: found.until.map(|until| until.1),
            used_for: found.used_for,
            details: found.details,
            created_at: now,
        };
        if let Some(known) = known.iter().find(|known| is_same(known, &exposure)) {
            keep_known(&mut exposure, known);
        }
        if exposures::store(tx, &exposure).await? {
            let mut event = Event::new("desk:exposure:found", Actor::System { part: String::from("desk") });
            event.case = Some(case);
            event.details = serde_json::json!({
                "exposure": exposure.id, "repository": exposure.repository, "path": exposure.details.path,
                "secret": exposure.secret, "level": exposure.level, "standing": exposure.standing,
                "from": exposure.from_at.rfc3339(), "from_basis": exposure.from_basis,
                "until": exposure.until_at.map(Instant::rfc3339),
            });
            record(tx, now, event).await?;
        }
    }
    Ok(())
}

fn is_same(a: &Exposure, b: &Exposure) -> bool {
    a.repository == b.repository
        && a.finding_id == b.finding_id
        && a.secret == b.secret
        && a.destination == b.destination
}

/// What an earlier look knew stays known: a forge that tells less today takes nothing back.
fn keep_known(exposure: &mut Exposure, known: &Exposure) {
    exposure.level = exposure.level.max(known.level);
    if exposure.standing == Standing::Foreign {
        exposure.standing = known.standing;
    }
    if known.from_at < exposure.from_at {
        (exposure.from_at, exposure.from_basis) = (known.from_at, known.from_basis);
    }
    let (now, before) = (&mut exposure.details, &known.details);
    now.observed_from = match (now.observed_from, before.observed_from) {
        (Some(now), Some(before)) => Some(now.min(before)),
        (now, before) => now.or(before),
    };
    for (now, before) in [(&mut now.versions, &before.versions), (&mut now.commits, &before.commits)] {
        now.extend(before.iter().cloned());
        now.sort();
        now.dedup();
    }
    now.runs.extend(&before.runs);
    now.runs.sort_unstable();
    now.runs.dedup();
}

/// The exposures that a stored look shows.
#[must_use]
pub(super) fn of_stored(examination: &Examination) -> Vec<Derived> {
    let document = examination.document.as_deref().and_then(|text| ScanDocument::read_own(text).ok());
    let (Some((document, _)), Some(examined_at)) = (document, examination.examined_at) else {
        return Vec::new();
    };
    let pushes: Option<Vec<Push>> =
        examination.pushes.as_deref().and_then(|text| serde_json::from_str(text).ok());
    derive(&document, pushes.as_deref(), runs_of(examination).as_ref(), examined_at)
}

/// The runs that a stored look knows.
#[must_use]
pub(super) fn runs_of(examination: &Examination) -> Option<Runs> {
    examination.runs.as_deref().and_then(|text| serde_json::from_str(text).ok())
}

/// One exposure, with what our own look says about it.
#[derive(Debug, Clone)]
pub(super) struct Derived {
    finding_id: String,
    secret: String,
    destination: String,
    level: Level,
    standing: Standing,
    from: (Instant, Basis),
    until: Option<(Instant, Basis)>,
    used_for: Vec<exposures::UsedFor>,
    details: Details,
}

/// The exposures of all malicious findings, one for each finding, secret and destination.
fn derive(
    document: &ScanDocument,
    pushes: Option<&[Push]>,
    runs: Option<&Runs>,
    seen_at: Instant,
) -> Vec<Derived> {
    let pushes: Vec<&Push> = pushes.unwrap_or_default().iter().filter(|push| is_own(&push.name)).collect();
    let runs = runs.map(|runs| runs.list.as_slice()).unwrap_or_default();
    let mut joined: BTreeMap<(String, String, String), Derived> = BTreeMap::new();
    for finding in document.malicious() {
        for exposure in &finding.exposures {
            let derived = derive_one(finding, exposure, &pushes, runs, seen_at);
            let key = (finding.id.clone(), exposure.secret.clone(), exposure.destination.clone());
            match joined.get_mut(&key) {
                Some(earlier) => earlier.widen(derived),
                None => {
                    joined.insert(key, derived);
                }
            }
        }
    }
    joined.into_values().collect()
}

/// A branch or tag is the repository's own; `refs/pull/…` is anybody's.
fn is_own(name: &str) -> bool {
    name.starts_with("refs/heads/") || name.starts_with("refs/tags/")
}

fn derive_one(
    finding: &Finding,
    exposure: &FoundExposure,
    pushes: &[&Push],
    runs: &[Run],
    seen_at: Instant,
) -> Derived {
    let mut commits: BTreeSet<String> =
        exposure.introduced.iter().filter_map(|change| change.commit.clone()).collect();
    let own_refs = || exposure.refs.iter().filter(|found| is_own(&found.name));
    commits.extend(own_refs().filter_map(|found| found.introduced.clone()));
    let mut versions: BTreeSet<String> = exposure.versions.iter().cloned().collect();
    versions.extend(finding.blob.iter().cloned());
    let brought: Vec<&&Push> = pushes
        .iter()
        .filter(|push| {
            commits.contains(&push.after) || push.commits.iter().any(|commit| commits.contains(commit))
        })
        .collect();
    let ran: Vec<i64> = runs
        .iter()
        .filter(|run| is_malicious_run(run, &finding.path, &commits, &versions))
        .filter(|run| is_own_run(run, &commits, pushes))
        .map(|run| run.id)
        .collect();
    let observed_from = brought.iter().map(|push| push.at).min();
    let standing = finding.standing();
    let level = match standing {
        Standing::Foreign => Level::E1,
        _ if !exposure.reachable => Level::E1,
        Standing::CouldRun if ran.is_empty() => Level::E2,
        Standing::CouldRun | Standing::Ran => Level::E3,
    };
    let secret = finding.secret(&exposure.secret);
    Derived {
        finding_id: finding.id.clone(),
        secret: exposure.secret.clone(),
        destination: exposure.destination.clone(),
        level,
        standing,
        from: beginning(exposure, observed_from, seen_at),
        until: end(exposure, &brought, pushes, seen_at),
        used_for: secret.map(|secret| secret.used_for.clone()).unwrap_or_default(),
        details: Details {
            path: finding.path.clone(),
            rule: finding.rule.clone(),
            secret_kind: secret.and_then(|secret| secret.kind.clone()).unwrap_or_default(),
            all_secrets: finding.all_secrets,
            reachable: exposure.reachable,
            versions: versions.into_iter().collect(),
            commits: commits.into_iter().collect(),
            refs: own_refs()
                .map(|found| StoodOn { name: found.name.clone(), stands: found.removed.is_none() })
                .collect(),
            observed_from,
            runs: ran,
        },
    }
}

impl Derived {
    /// The same secret at the same destination in the same finding, over another span.
    fn widen(&mut self, other: Self) {
        self.level = self.level.max(other.level);
        if self.standing == Standing::Foreign {
            self.standing = other.standing;
        }
        self.from = self.from.min_by_time(other.from);
        self.until = match (self.until, other.until) {
            (Some(mine), Some(others)) => Some(if others.0 > mine.0 { others } else { mine }),
            _ => None,
        };
        let details = &mut self.details;
        details.reachable |= other.details.reachable;
        details.versions.extend(other.details.versions);
        details.commits.extend(other.details.commits);
        details.refs.extend(other.details.refs);
        details.runs.extend(other.details.runs);
        details.observed_from = match (details.observed_from, other.details.observed_from) {
            (Some(mine), Some(others)) => Some(mine.min(others)),
            (mine, others) => mine.or(others),
        };
    }
}

trait MinByTime {
    fn min_by_time(self, other: Self) -> Self;
}

impl MinByTime for (Instant, Basis) {
    fn min_by_time(self, other: Self) -> Self {
        if other.0 < self.0 { other } else { self }
    }
}

/// A run of the malicious workflow itself, or any run at the commit that brought it in: whoever pushed that commit
/// started it.
fn is_malicious_run(run: &Run, path: &str, commits: &BTreeSet<String>, versions: &BTreeSet<String>) -> bool {
    let blob_is_malicious = run.workflow_blob.as_ref().is_some_and(|blob| versions.contains(blob));
    commits.contains(&run.commit) || (run.path == path && blob_is_malicious)
}

/// Anybody's pull request starts runs, of any workflow that it copies. Such a run counts where its commit was pushed here.
/// `pull_request_target` runs what the repository itself holds.
fn is_own_run(run: &Run, commits: &BTreeSet<String>, pushes: &[&Push]) -> bool {
    let pushed = |push: &&Push| push.after == run.commit || push.commits.contains(&run.commit);
    run.event != "pull_request" || commits.contains(&run.commit) || pushes.iter().any(pushed)
}

/// How long it may take from making a commit to pushing it, in seconds: within this the push is the better witness.
const COMMIT_TO_PUSH_SECONDS: i64 = 3_600;

/// The pusher chooses a commit's time: it may move the beginning back, and never forward past what was observed.
fn beginning(exposure: &FoundExposure, pushed: Option<i64>, seen_at: Instant) -> (Instant, Basis) {
    let observed = (pushed.map_or(seen_at, Instant), Basis::Observed);
    let claimed = exposure.introduced.as_ref().and_then(super::scan_document::Change::at);
    match (claimed, pushed) {
        (Some(claimed), Some(_)) if claimed.plus_seconds(COMMIT_TO_PUSH_SECONDS) >= observed.0 => observed,
        (Some(claimed), _) => observed.min_by_time((claimed, Basis::Claimed)),
        (None, _) => observed,
    }
}

/// When it was gone from every branch and tag of its own, as observed; none while it stands anywhere. A commit's time
/// does not end an exposure: without the push that took it out, our own look does.
fn end(
    exposure: &FoundExposure,
    brought: &[&&Push],
    pushes: &[&Push],
    seen_at: Instant,
) -> Option<(Instant, Basis)> {
    if exposure.refs.iter().any(|found| is_own(&found.name) && found.removed.is_none()) {
        return None;
    }
    let removals: Vec<&str> = exposure
        .refs
        .iter()
        .filter_map(|found| found.removed.as_ref().and_then(|change| change.commit.as_deref()))
        .collect();
    let began = brought.iter().map(|push| push.at).min();
    let refs: BTreeSet<&str> = brought.iter().map(|push| push.name.as_str()).collect();
    let took_out = |push: &Push| {
        let by_commit = removals.iter().any(|removal| {
            push.after == *removal || push.commits.iter().any(|commit| commit.as_str() == *removal)
        });
        let by_force = removals.is_empty() && refs.contains(push.name.as_str());
        (by_commit || by_force) && began.is_some_and(|began| push.at >= began) && !brought.contains(&&push)
    };
    let ended = pushes.iter().filter(|push| took_out(push)).map(|push| push.at).max();
    Some((ended.map_or(seen_at, Instant), Basis::Observed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposure(introduced: Option<&str>, refs: &[(&str, Option<&str>)]) -> FoundExposure {
        let refs: Vec<serde_json::Value> = refs
            .iter()
            .map(|(name, removed)| serde_json::json!({"ref": name, "introduced": "a", "removed": removed.map(|commit| serde_json::json!({"commit": commit}))}))
            .collect();
        let introduced = introduced.map(|time| serde_json::json!({"commit": "a", "time": time}));
        serde_json::from_value(serde_json::json!({
            "secret": "S", "destination": "d", "reachable": true, "introduced": introduced, "refs": refs,
        }))
        .unwrap()
    }

    fn at(text: &str) -> Instant {
        Instant::parse(text).unwrap()
    }

    fn push(name: &str, after: &str, time: &str) -> Push {
        Push {
            name: name.to_owned(),
            before: String::new(),
            after: after.to_owned(),
            at: at(time).0,
            commits: Vec::new(),
        }
    }

    #[test]
    fn a_claimed_time_widens_and_never_narrows() {
        let seen = at("2026-03-10T00:00:00Z");
        let pushed = Some(at("2026-03-01T12:00:00Z").0);
        let began = |claimed: Option<&str>, pushed| beginning(&exposure(claimed, &[]), pushed, seen);
        // Made just before the push: the push is the better witness.
        assert_eq!(
            began(Some("2026-03-01T11:59:00Z"), pushed),
            (at("2026-03-01T12:00:00Z"), Basis::Observed)
        );
        // Dated back: the span grows.
        assert_eq!(began(Some("2020-01-01T00:00:00Z"), pushed), (at("2020-01-01T00:00:00Z"), Basis::Claimed));
        // Dated ahead: nothing shrinks.
        assert_eq!(
            began(Some("2030-01-01T00:00:00Z"), pushed),
            (at("2026-03-01T12:00:00Z"), Basis::Observed)
        );
        assert_eq!(began(Some("2030-01-01T00:00:00Z"), None), (seen, Basis::Observed));
        assert_eq!(began(Some("2026-03-02T00:00:00Z"), None), (at("2026-03-02T00:00:00Z"), Basis::Claimed));
        assert_eq!(began(None, None), (seen, Basis::Observed));
    }

    #[test]
    fn an_exposure_ends_when_it_was_seen_gone_from_every_own_ref() {
        let seen = at("2026-03-10T00:00:00Z");
        let pushes = [
            push("refs/heads/main", "a", "2026-03-01T12:00:00Z"),
            push("refs/heads/main", "r", "2026-03-02T12:00:00Z"),
            push("refs/heads/main", "x", "2026-03-03T12:00:00Z"),
        ];
        let all: Vec<&Push> = pushes.iter().collect();
        let brought: Vec<&&Push> = all.iter().take(1).collect();
        let ended = |refs: &[(&str, Option<&str>)]| end(&exposure(None, refs), &brought, &all, seen);
        // It stands on one branch: open.
        assert_eq!(ended(&[("refs/heads/main", Some("r")), ("refs/heads/dev", None)]), None);
        // A pull request's ref is not the repository's own.
        let removed = Some((at("2026-03-02T12:00:00Z"), Basis::Observed));
        assert_eq!(ended(&[("refs/heads/main", Some("r")), ("refs/pull/1/head", None)]), removed);
        // A force-push left no commit that removed it: the last push to that branch counts, which is the wider span.
        assert_eq!(ended(&[]), Some((at("2026-03-03T12:00:00Z"), Basis::Observed)));
        // Nobody tells of the push: our own look.
        assert_eq!(end(&exposure(None, &[]), &[], &[], seen), Some((seen, Basis::Observed)));
    }
}
