//! How likely a token is the stolen one, what contradicts a claim, and whose a release is.

use std::collections::BTreeSet;

use super::ground::Ground;
use super::view::{NamedProject, Radius, RadiusRelease, Rank};
use crate::clock::SECOND;
use crate::desk::Result;
use crate::desk::evidence::{Evidence, Verdict};
use crate::ids::{FileId, ProjectId, ReleaseId};
use crate::store::files::{self, FileState};
use crate::store::projects::{self, Project, RepositoryBasis};
use crate::store::publishers;
use crate::store::token_uses::{TokenUse, UseKind};
use crate::store::tokens::{Token, TokenScope};
use crate::store::{Tx, containments};

/// A minted token carries its commit: that decides, not the time of its use.
pub(super) fn minted_evidence(evidence: &mut Evidence, malicious: bool) {
    for one in &mut evidence.uses {
        (one.verdict, one.why) = if malicious {
            (Verdict::Thiefs, String::from("with a token minted for a job at the malicious commit"))
        } else {
            (Verdict::Owners, String::from("with a token minted for a job at another commit"))
        };
    }
    evidence.sentence = match (evidence.uses.len(), malicious) {
        (0, _) => String::from("It was not used."),
        (number, true) => {
            format!("Used by a thief: {number} times, minted for a job at the malicious commit.")
        }
        (number, false) => format!("Used {number} times by a job at another commit."),
    };
}

/// What the project itself said that speaks against a claimed edge: another repository, proved, or named before.
pub(super) async fn contradiction(
    tx: &mut Tx,
    project: ProjectId,
    ground: &Ground,
) -> Result<Option<String>> {
    let other = |repository: &str| repository != ground.repository;
    for publisher in publishers::of_project(tx, project).await? {
        if let Some(repository) = publisher.repository.filter(|repository| other(repository)) {
            return Ok(Some(format!("its owners registered a publisher of {repository}")));
        }
    }
    if let Some(repository) =
        containments::labels_of_uploads(tx, project).await?.into_iter().find(|repository| other(repository))
    {
        return Ok(Some(format!(
            "it is uploaded with a token that lives in {repository}, as its owner says"
        )));
    }
    let links = projects::links_of_project(tx, project).await?;
    let confirmed =
        links.iter().find(|link| link.basis == RepositoryBasis::OwnerConfirmed && other(&link.repository));
    if let Some(link) = confirmed {
        return Ok(Some(format!("an owner confirmed that it comes from {}", link.repository)));
    }
    let before = || {
        links
            .iter()
            .filter(|link| link.basis == RepositoryBasis::MetadataUrl && link.first_seen_at < ground.since.0)
    };
    if before().any(|link| link.repository == ground.repository) {
        return Ok(None);
    }
    Ok(before().next().map(|link| format!("its metadata named {} before", link.repository)))
}

/// How likely a token is the stolen one, and why.
pub(super) fn rank(token: &Token, uses: &[TokenUse], project: &Project, ground: &Ground) -> (Rank, String) {
    let uploads = || uses.iter().filter(|one| one.kind == UseKind::Upload);
    let here = || uploads().filter(|one| one.project_id == Some(project.id));
    let name = &project.name;
    let in_a_run = |one: &TokenUse| {
        let runs = ground.runs.as_ref().map(|runs| runs.list.as_slice()).unwrap_or_default();
        let end =
            |until: Option<i64>| until.map_or(ground.examined_at.0, |until| until.saturating_add(SECOND));
        runs.iter().find(|run| run.from <= one.at.0 && one.at.0 < end(run.until)).map(|run| run.id)
    };
    if let Some(run) = here().find_map(in_a_run) {
        return (Rank::Certain, format!("it uploaded to {name} inside run {run} of {}", ground.repository));
    }
    if let Some(elsewhere) = token.lives_in.as_deref() {
        return (Rank::Unlikely, format!("its owner says that it lives in {elsewhere}"));
    }
    if token.expires_at.is_some_and(|end| end <= ground.since.0) {
        return (Rank::Unlikely, String::from("it had expired before the exposure began"));
    }
    let ended = ground
        .exposures
        .iter()
        .map(|exposure| exposure.until_at)
        .max_by_key(|until| until.map_or(i64::MAX, |at| at.0));
    if let Some(ended) = ended.flatten().filter(|ended| token.created_at > ended.plus_seconds(1)) {
        return (Rank::Unlikely, format!("it was made after the exposure ended ({})", ended.for_people()));
    }
    if here().any(|one| one.at >= ground.since.0) {
        return (Rank::Possible, format!("it uploaded to {name} since the exposure began"));
    }
    if here().next().is_some() {
        return (Rank::Possible, format!("it uploaded to {name} before the exposure"));
    }
    match token.scope {
        TokenScope::Projects => (Rank::Possible, format!("it is made for {name}")),
        TokenScope::Account if uploads().next().is_none() => {
            (Rank::Possible, format!("it reaches {name} and was never used: nothing tells where it lies"))
        }
        TokenScope::Account => (Rank::Unlikely, String::from("it was only ever used for other projects")),
    }
}

/// The releases with a file of a thief; a release all of whose files are the thief's is wholly his.
pub(super) async fn releases(tx: &mut Tx, radius: &mut Radius) -> Result<()> {
    let thiefs: BTreeSet<FileId> =
        radius.files.iter().filter(|file| file.verdict == Verdict::Thiefs).map(|file| file.id).collect();
    let touched: BTreeSet<(ProjectId, ReleaseId)> = radius
        .files
        .iter()
        .filter(|file| file.verdict == Verdict::Thiefs)
        .map(|file| (file.project.id, file.release_id))
        .collect();
    for (project_id, release_id) in touched {
        let Some(project) = projects::by_id(tx, project_id).await? else { continue };
        let all = files::of_project(tx, project_id).await?;
        let wholly_thiefs = all
            .iter()
            .filter(|file| file.release_id == release_id && file.state != FileState::Removed)
            .all(|file| thiefs.contains(&file.id));
        let release = files::releases_of_project(tx, project_id)
            .await?
            .into_iter()
            .find(|release| release.id == release_id);
        if let Some(release) = release {
            radius.releases.push(RadiusRelease {
                id: release.id,
                project: NamedProject { id: project.id, name: project.name },
                version: release.version,
                state: release.state,
                wholly_thiefs,
            });
        }
    }
    Ok(())
}
