//! The blast radius: everything that a case's exposures open, and why.
//!
//! exposures → repositories → (proved and claimed edges) → projects → accounts → tokens → files. Whoever owns a repository can
//! claim any project's name in it: a claim that the project itself contradicts is contested, and then it is only shown.

mod ground;
mod search;
mod view;
mod weighing;

use ground::{exposure_view, grounds, repositories, under_way, warnings};
use search::Search;
pub use view::{
    Bound, Edge, NamedProject, Node, Radius, RadiusAccount, RadiusExposure, RadiusFile, RadiusProject,
    RadiusPublisher, RadiusRelease, RadiusRepository, RadiusToken, Rank, Strength,
};

use std::collections::BTreeSet;

use crate::app::App;
use crate::authority::Responder;
use crate::clock::SECOND;
use crate::desk::scan_document::CITED_LIMIT;
use crate::desk::subject::RepositoryName;
use crate::desk::{DeskError, Result, case, examination};
use crate::ids::CaseId;
use crate::store::examinations::{self, Examination, ExaminationState};
use crate::store::exposures;
use crate::store::reports::Level;
use crate::store::{Tx, events};

/// The blast radius of a case.
///
/// # Errors
/// [`DeskError::ExaminationUnderWay`] until a repository of it was looked at.
pub async fn of_case(app: &App, _by: &Responder, id: CaseId) -> Result<Radius> {
    let mut tx = app.store.read().await?;
    compute(&mut tx, id).await
}

/// How long a look is waited for that would tell of uses since the last one, in seconds.
const LOOK_PATIENCE_SECONDS: i64 = 60;

/// How soon another look may follow, in seconds: a thief who keeps trying must not keep the desk waiting.
const LOOK_AGAIN_SECONDS: i64 = 10;

/// The blast radius of a case, after another look at repositories whose tokens were used since the last one: only a new
/// look tells of the runs since then.
///
/// # Errors
/// [`DeskError::ExaminationUnderWay`] while a look is under way that this is worth waiting for.
pub async fn up_to_date(app: &App, by: &Responder, id: CaseId) -> Result<Radius> {
    let now = app.now();
    let mut tx = app.store.read().await?;
    let looks = examinations::of_case(&mut tx, id).await?;
    drop(tx);
    let radius = of_case(app, by, id).await?;
    for repository in &radius.outdated {
        let newest =
            looks.iter().filter(|look| look.repository == *repository).max_by_key(|look| look.requested_at);
        let age = newest.map_or(i64::MAX, |look| (now.0 - look.requested_at.0) / SECOND);
        let waiting = newest.is_some_and(|look| look.state == ExaminationState::Waiting);
        // Its first failure ends the waiting: the decision shall not hang on the forge.
        let failing = newest.is_some_and(|look| waiting && look.problem.is_some());
        match (waiting, age) {
            (true, ..LOOK_PATIENCE_SECONDS) if !failing => {}
            (true, _) | (false, ..LOOK_AGAIN_SECONDS) => continue,
            (false, _) => look_again(app, id, repository, &looks).await?,
        }
        return Err(DeskError::ExaminationUnderWay { repository: repository.clone() });
    }
    Ok(radius)
}

async fn look_again(app: &App, id: CaseId, repository: &str, looks: &[Examination]) -> Result<()> {
    let Ok(name) = RepositoryName::parse(repository) else { return Ok(()) };
    let cited: BTreeSet<String> = looks
        .iter()
        .filter(|look| look.repository == repository)
        .flat_map(|look| look.cited.iter().cloned())
        .collect();
    let cited = cited.into_iter().take(CITED_LIMIT).collect();
    let mut tx = app.store.write().await?;
    examination::queue(
        &mut tx,
        app.now(),
        &name,
        examination::Asked { case: Some(id), report: None, cited, urgency: None },
    )
    .await?;
    tx.commit().await?;
    app.committed();
    Ok(())
}

/// Computes the radius inside a transaction; containment does it again inside its own.
pub(super) async fn compute(tx: &mut Tx, id: CaseId) -> Result<Radius> {
    case::by_id_shared(tx, id).await?;
    let looks = examinations::of_case(tx, id).await?;
    under_way(&looks)?;
    let exposures = exposures::of_case(tx, id).await?;
    let grounds = grounds(&looks, &exposures);
    let mut radius = Radius {
        case: id,
        level: grounds
            .iter()
            .flat_map(|ground| &ground.exposures)
            .map(|exposure| exposure.level)
            .max()
            .unwrap_or(Level::E0),
        repositories: repositories(&looks, &grounds),
        exposures: exposures.iter().map(exposure_view).collect(),
        edges: Vec::new(),
        projects: Vec::new(),
        accounts: Vec::new(),
        publishers: Vec::new(),
        tokens: Vec::new(),
        files: Vec::new(),
        releases: Vec::new(),
        checkpoint: events::last_sealed(tx).await?.and_then(|event| event.position).unwrap_or(0),
        warnings: warnings(&looks, &grounds),
        outdated: BTreeSet::new(),
    };
    let mut search = Search::new(&grounds);
    for ground in &grounds {
        search.repository(tx, ground, &mut radius).await?;
    }
    search.finish(tx, &mut radius).await?;
    Ok(radius)
}
