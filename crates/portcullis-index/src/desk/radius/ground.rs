//! A repository of a case with what was seen there, and what a reader must know about gaps.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{Bound, Node, RadiusExposure, RadiusRepository};
use crate::clock::Instant;
use crate::desk::evidence::Known;
use crate::desk::forge::Runs;
use crate::desk::{DeskError, Result, examination};
use crate::store::examinations::{Examination, ExaminationState};
use crate::store::exposures::{Basis, Exposure, Standing};
use crate::store::reports::Level;
/// A repository of the case with what was seen there.
pub(super) struct Ground {
    pub(super) repository: String,
    /// The repository's own. What a pull request or a fork holds is anybody's: no edge, rank or run follows from it.
    pub(super) exposures: Vec<Exposure>,
    /// Whether something was found that is not its own.
    pub(super) foreign: bool,
    pub(super) examined_at: Instant,
    pub(super) runs: Option<Runs>,
    pub(super) malicious_runs: BTreeSet<i64>,
    /// Since when the secrets were out: as observed where a push tells, else as claimed.
    pub(super) since: (Instant, bool),
}

impl Ground {
    pub(super) fn secret_names(&self) -> BTreeSet<&str> {
        self.exposures.iter().map(|exposure| exposure.secret.as_str()).collect()
    }

    pub(super) fn all_secrets(&self) -> bool {
        self.exposures.iter().any(|exposure| exposure.details.all_secrets)
    }

    /// The secrets that may be tokens of this index.
    pub(super) fn token_secrets(&self) -> Vec<&Exposure> {
        self.exposures.iter().filter(|exposure| may_be_token(exposure)).collect()
    }

    pub(super) fn node(&self) -> Node {
        Node { kind: "repository", id: self.repository.clone(), label: self.repository.clone() }
    }

    pub(super) fn known(&self) -> Known {
        let mut known = Known::default();
        known.add(&self.repository, self.since, self.runs.as_ref(), self.examined_at, &self.malicious_runs);
        known
    }
}

/// Whether a secret may be an upload token: by what it is used for, else by what kind it is, else by its name. The job's own
/// `GITHUB_TOKEN` never is.
pub(super) fn may_be_token(exposure: &Exposure) -> bool {
    if exposure.secret.eq_ignore_ascii_case("GITHUB_TOKEN") {
        return false;
    }
    if !exposure.used_for.is_empty() {
        return exposure.used_for.iter().any(|used| used.registry == "pypi");
    }
    let name = exposure.secret.to_ascii_uppercase();
    let kind = exposure.details.secret_kind.as_str();
    kind == "pypi"
        || exposure.details.all_secrets
        || ["PYPI", "TWINE", "UV_PUBLISH", "FLIT", "POETRY"].iter().any(|word| name.contains(word))
        || (matches!(kind, "" | "unknown" | "generic") && name.contains("TOKEN"))
}

/// While a first look is under way nothing can be said. Later ones do not hold anybody up: a report from anyone starts one.
pub(super) fn under_way(looks: &[Examination]) -> Result<()> {
    let waiting = looks.iter().find(|look| look.state == ExaminationState::Waiting);
    match waiting {
        Some(look) if looks.iter().all(|look| look.state == ExaminationState::Waiting) => {
            Err(DeskError::ExaminationUnderWay { repository: look.repository.clone() })
        }
        _ => Ok(()),
    }
}

/// The newest look at each repository that succeeded.
pub(super) fn newest(looks: &[Examination]) -> BTreeMap<&str, &Examination> {
    let done = looks.iter().filter(|look| look.state == ExaminationState::Done);
    let mut newest: BTreeMap<&str, &Examination> = BTreeMap::new();
    for look in done {
        let slot = newest.entry(look.repository.as_str()).or_insert(look);
        if look.examined_at >= slot.examined_at {
            *slot = look;
        }
    }
    newest
}

pub(super) fn grounds(looks: &[Examination], exposures: &[Exposure]) -> Vec<Ground> {
    let mut grounds = Vec::new();
    for (repository, look) in newest(looks) {
        let of_it = exposures.iter().filter(|exposure| exposure.repository == repository);
        let (own, foreign): (Vec<&Exposure>, Vec<&Exposure>) =
            of_it.partition(|exposure| exposure.standing != Standing::Foreign);
        let since = own
            .iter()
            .map(|exposure| match exposure.details.observed_from {
                Some(observed) => (Instant(observed), true),
                None => (exposure.from_at, exposure.from_basis == Basis::Observed),
            })
            .min();
        let examined_at = look.examined_at.unwrap_or(look.requested_at);
        let malicious_runs = own.iter().flat_map(|exposure| exposure.details.runs.iter().copied()).collect();
        grounds.push(Ground {
            repository: repository.to_owned(),
            since: since.unwrap_or((examined_at, true)),
            runs: examination::runs_of(look),
            examined_at,
            malicious_runs,
            foreign: !foreign.is_empty(),
            exposures: own.into_iter().cloned().collect(),
        });
    }
    grounds
}

pub(super) fn repositories(looks: &[Examination], grounds: &[Ground]) -> Vec<RadiusRepository> {
    let newest = newest(looks);
    let view = |ground: &Ground| {
        let look = newest.get(ground.repository.as_str());
        RadiusRepository {
            repository: ground.repository.clone(),
            examined_at: ground.examined_at.rfc3339(),
            level: ground.exposures.iter().map(|exposure| exposure.level).max().unwrap_or(Level::E0),
            pushes_known: look.is_some_and(|look| look.pushes.is_some()),
            runs_known: ground.runs.is_some(),
            stands: ground.exposures.iter().any(|exposure| exposure.until_at.is_none()),
            problem: look.and_then(|look| look.problem.clone()),
        }
    };
    grounds.iter().map(view).collect()
}

pub(super) fn exposure_view(exposure: &Exposure) -> RadiusExposure {
    RadiusExposure {
        id: exposure.id,
        repository: exposure.repository.clone(),
        finding: exposure.finding_id.clone(),
        path: exposure.details.path.clone(),
        secret: exposure.secret.clone(),
        kind: exposure.details.secret_kind.clone(),
        destination: exposure.destination.clone(),
        level: exposure.level,
        standing: exposure.standing,
        from: Bound { time: exposure.from_at.rfc3339(), basis: exposure.from_basis },
        until: exposure.until_at.map(|time| Bound {
            time: time.rfc3339(),
            basis: exposure.until_basis.unwrap_or(Basis::Observed),
        }),
        refs: exposure.details.refs.clone(),
        used_for: exposure.used_for.clone(),
    }
}

pub(super) fn warnings(looks: &[Examination], grounds: &[Ground]) -> Vec<String> {
    let mut warnings = Vec::new();
    if looks.is_empty() {
        warnings.push(String::from(
            "No repository belongs to this case: nothing was looked at, and nothing can be contained.",
        ));
    }
    for look in looks {
        let repository = &look.repository;
        match look.state {
            ExaminationState::Waiting => {
                warnings.push(format!(
                    "A further examination of {repository} is under way; what it finds is not in here yet."
                ));
            }
            ExaminationState::Failed if !grounds.iter().any(|ground| &ground.repository == repository) => {
                let problem = look.problem.as_deref().unwrap_or("it could not be fetched");
                warnings.push(format!("{repository} could not be looked at: {problem}"));
            }
            _ => {}
        }
    }
    for ground in grounds {
        let repository = &ground.repository;
        if ground.runs.is_none() {
            warnings.push(format!(
                "The forge does not tell of the runs of {repository}: evidence of use rests on networks alone."
            ));
        }
        if ground.foreign {
            warnings.push(format!(
                "Something malicious was found in {repository} that is not its own (a pull request, a fork, or a commit that \
                 nobody pushed to it): it is shown, and nothing is done because of it."
            ));
        }
    }
    warnings
}
