//! The blast radius: everything that a case's exposures open, and why.
//!
//! exposures → repositories → (proved and claimed edges) → projects → accounts → tokens → files. Whoever owns a repository can
//! claim any project's name in it: a claim that the project itself contradicts is contested, and then it is only shown.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::evidence::{self, Evidence, Known, Verdict};
use super::forge::Runs;
use super::scan_document::CITED_LIMIT;
use super::subject::RepositoryName;
use super::{DeskError, Result, case, examination};
use crate::app::App;
use crate::authority::Responder;
use crate::clock::{Instant, SECOND};
use crate::ids::{AccountId, CaseId, ExposureId, FileId, ProjectId, PublisherId, ReleaseId, TokenId};
use crate::project::ProjectName;
use crate::store::examinations::{self, Examination, ExaminationState};
use crate::store::exposures::{self, Basis, Exposure, Standing, UsedFor};
use crate::store::files::{self, FileState, ReleaseState};
use crate::store::projects::{self, Project, ProjectRole, RepositoryBasis};
use crate::store::publishers::{self, PublisherState};
use crate::store::reports::Level;
use crate::store::token_uses::{self, TokenUse, UseKind};
use crate::store::tokens::{self, Token, TokenKind, TokenScope, TokenState};
use crate::store::{Tx, accounts, containments, events, stored_enum};

stored_enum! {
    /// How sure an edge is.
    Strength {
        /// Somebody who owns only the repository can say so.
        Claimed = "claimed",
        /// An owner of the project, or a mint, says so.
        Proved = "proved",
    }
}

stored_enum! {
    /// How likely a token is the stolen one.
    Rank {
        /// What is known speaks against it.
        Unlikely = "unlikely",
        /// It could be.
        Possible = "possible",
        /// It is labelled for the secret, or was used in the repository's runs.
        Certain = "certain",
    }
}

/// One end of an edge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Node {
    /// `repository`, `project`, `account`, `token`, `publisher`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its id, or a repository's name.
    pub id: String,
    /// As a person reads it.
    pub label: String,
}

/// Why one thing opens another.
#[derive(Debug, Clone, Serialize)]
pub struct Edge {
    /// From what.
    pub from: Node,
    /// To what.
    pub to: Node,
    /// How sure it is.
    pub strength: Strength,
    /// Whether something the project itself said speaks against it.
    pub contested: bool,
    /// Why it is there.
    pub reason: String,
}

/// A repository of the case.
#[derive(Debug, Clone, Serialize)]
pub struct RadiusRepository {
    /// Its name.
    pub repository: String,
    /// When it was last looked at, RFC 3339.
    pub examined_at: String,
    /// What is known.
    pub level: Level,
    /// Whether the forge tells of its pushes.
    pub pushes_known: bool,
    /// Whether the forge tells of its runs.
    pub runs_known: bool,
    /// Whether the malicious workflow stands on one of its branches or tags.
    pub stands: bool,
    /// What could not be had.
    pub problem: Option<String>,
}

/// A bound of a span.
#[derive(Debug, Clone, Serialize)]
pub struct Bound {
    /// When, RFC 3339.
    pub time: String,
    /// What that rests on.
    pub basis: Basis,
}

/// An exposure.
#[derive(Debug, Clone, Serialize)]
pub struct RadiusExposure {
    /// Its id.
    pub id: ExposureId,
    /// Of which repository.
    pub repository: String,
    /// The scanner's finding.
    pub finding: String,
    /// The workflow.
    pub path: String,
    /// The secret's name.
    pub secret: String,
    /// What kind of secret.
    pub kind: String,
    /// Where to.
    pub destination: String,
    /// What is known.
    pub level: Level,
    /// Whose version it is.
    pub standing: Standing,
    /// Since when.
    pub from: Bound,
    /// Until when; none while it stands.
    pub until: Option<Bound>,
    /// On which refs it stood or stands.
    pub refs: Vec<exposures::StoodOn>,
    /// What the secret opens, as the repository says.
    pub used_for: Vec<UsedFor>,
}

/// A project.
#[derive(Debug, Clone, Serialize)]
pub struct RadiusProject {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// How sure it is that the repository publishes it.
    pub strength: Strength,
    /// Whether that is contested.
    pub contested: bool,
    /// Why.
    pub reasons: Vec<String>,
    /// Who owns it.
    pub owners: Vec<String>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RadiusAccount {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
}

/// A publisher of one of the repositories.
#[derive(Debug, Clone, Serialize)]
pub struct RadiusPublisher {
    /// Its id.
    pub id: PublisherId,
    /// Its repository.
    pub repository: String,
    /// Whether it may mint.
    pub state: PublisherState,
    /// The projects that trust it.
    pub projects: Vec<NamedProject>,
}

/// A project by id and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NamedProject {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
}

/// A token that could be the stolen one.
#[derive(Debug, Clone, Serialize)]
pub struct RadiusToken {
    /// The identifier inside it.
    pub id: TokenId,
    /// `long-lived` or `minted`.
    pub kind: TokenKind,
    /// What its maker called it.
    pub description: String,
    /// Whose it is; none for minted ones.
    pub account: Option<RadiusAccount>,
    /// How far it reaches.
    pub scope: TokenScope,
    /// Whether it may be used.
    pub state: TokenState,
    /// How likely it is the stolen one.
    pub rank: Rank,
    /// How sure the best way is that leads to it: rank, strength and this are of one way.
    pub strength: Strength,
    /// Whether that way is contested: then there is no better one.
    pub contested: bool,
    /// Why.
    pub reasons: Vec<String>,
    /// The projects through which it was found.
    pub projects: Vec<NamedProject>,
    /// The secret that it would be.
    pub secret: Option<String>,
    /// The repository of that secret.
    pub repository: String,
    /// What is known of its use.
    pub evidence: Evidence,
}

/// A file that was made with one of the tokens since the exposure began.
#[derive(Debug, Clone, Serialize)]
pub struct RadiusFile {
    /// Its id.
    pub id: FileId,
    /// Its name.
    pub filename: String,
    /// SHA-256, hex.
    pub sha256: String,
    /// Its project.
    pub project: NamedProject,
    /// Its release.
    pub release_id: ReleaseId,
    /// Its version.
    pub version: String,
    /// Whether it is offered.
    pub state: FileState,
    /// When it came, RFC 3339.
    pub uploaded_at: String,
    /// With which token.
    pub token: TokenId,
    /// Whose it is.
    pub verdict: Verdict,
    /// Why.
    pub why: String,
}

/// A release with a file of a thief.
#[derive(Debug, Clone, Serialize)]
pub struct RadiusRelease {
    /// Its id.
    pub id: ReleaseId,
    /// Its project.
    pub project: NamedProject,
    /// Its version.
    pub version: String,
    /// Whether it is offered.
    pub state: ReleaseState,
    /// Whether all its files are the thief's.
    pub wholly_thiefs: bool,
}

/// Everything that a case's exposures open.
#[derive(Debug, Clone, Serialize)]
pub struct Radius {
    /// The case.
    pub case: CaseId,
    /// The highest evidence level.
    pub level: Level,
    /// The repositories that were looked at.
    pub repositories: Vec<RadiusRepository>,
    /// What left, where to, since when.
    pub exposures: Vec<RadiusExposure>,
    /// Why one thing opens another.
    pub edges: Vec<Edge>,
    /// The projects.
    pub projects: Vec<RadiusProject>,
    /// Who owns them.
    pub accounts: Vec<RadiusAccount>,
    /// The publishers of the repositories.
    pub publishers: Vec<RadiusPublisher>,
    /// The tokens that could be the stolen ones, the likeliest first.
    pub tokens: Vec<RadiusToken>,
    /// Files made with them since the exposure began.
    pub files: Vec<RadiusFile>,
    /// Releases with a file of a thief.
    pub releases: Vec<RadiusRelease>,
    /// The last sealed position of the security history that this rests on.
    pub checkpoint: i64,
    /// What a reader must know about gaps.
    pub warnings: Vec<String>,
    /// Repositories whose tokens were used since the last look at them.
    pub outdated: BTreeSet<String>,
}

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

/// A repository of the case with what was seen there.
struct Ground {
    repository: String,
    /// The repository's own. What a pull request or a fork holds is anybody's: no edge, rank or run follows from it.
    exposures: Vec<Exposure>,
    /// Whether something was found that is not its own.
    foreign: bool,
    examined_at: Instant,
    runs: Option<Runs>,
    malicious_runs: BTreeSet<i64>,
    /// Since when the secrets were out: as observed where a push tells, else as claimed.
    since: (Instant, bool),
}

impl Ground {
    fn secret_names(&self) -> BTreeSet<&str> {
        self.exposures.iter().map(|exposure| exposure.secret.as_str()).collect()
    }

    fn all_secrets(&self) -> bool {
        self.exposures.iter().any(|exposure| exposure.details.all_secrets)
    }

    /// The secrets that may be tokens of this index.
    fn token_secrets(&self) -> Vec<&Exposure> {
        self.exposures.iter().filter(|exposure| may_be_token(exposure)).collect()
    }

    fn node(&self) -> Node {
        Node { kind: "repository", id: self.repository.clone(), label: self.repository.clone() }
    }

    fn known(&self) -> Known {
        let mut known = Known::default();
        known.add(&self.repository, self.since, self.runs.as_ref(), self.examined_at, &self.malicious_runs);
        known
    }
}

/// Whether a secret may be an upload token: by what it is used for, else by what kind it is, else by its name. The job's own
/// `GITHUB_TOKEN` never is.
fn may_be_token(exposure: &Exposure) -> bool {
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
    let mut search = Search {
        grounds: &grounds,
        projects: BTreeMap::new(),
        tokens: BTreeMap::new(),
        uses: BTreeMap::new(),
    };
    for ground in &grounds {
        search.repository(tx, ground, &mut radius).await?;
    }
    search.finish(tx, &mut radius).await?;
    Ok(radius)
}

/// While a first look is under way nothing can be said. Later ones do not hold anybody up: a report from anyone starts one.
fn under_way(looks: &[Examination]) -> Result<()> {
    let waiting = looks.iter().find(|look| look.state == ExaminationState::Waiting);
    match waiting {
        Some(look) if looks.iter().all(|look| look.state == ExaminationState::Waiting) => {
            Err(DeskError::ExaminationUnderWay { repository: look.repository.clone() })
        }
        _ => Ok(()),
    }
}

/// The newest look at each repository that succeeded.
fn newest(looks: &[Examination]) -> BTreeMap<&str, &Examination> {
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

fn grounds(looks: &[Examination], exposures: &[Exposure]) -> Vec<Ground> {
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

fn repositories(looks: &[Examination], grounds: &[Ground]) -> Vec<RadiusRepository> {
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

fn exposure_view(exposure: &Exposure) -> RadiusExposure {
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

fn warnings(looks: &[Examination], grounds: &[Ground]) -> Vec<String> {
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

/// What is found of one project.
struct FoundProject {
    project: Project,
    /// What each repository has to do with it. One repository's proof is none for another.
    edges: BTreeMap<usize, ProjectEdges>,
}

/// Why one repository opens one project.
#[derive(Default)]
struct ProjectEdges {
    proved: Vec<String>,
    claimed: Vec<String>,
    /// Whether one of the claims is not contested.
    uncontested: bool,
}

impl ProjectEdges {
    fn strength(&self) -> Strength {
        if self.proved.is_empty() { Strength::Claimed } else { Strength::Proved }
    }

    /// Whether all there is are claims that something speaks against.
    fn contested(&self) -> bool {
        self.proved.is_empty() && !self.uncontested
    }
}

/// Why a project is found.
struct Found {
    strength: Strength,
    reason: String,
    /// What speaks against it, beside what the project itself said.
    contested: Option<String>,
}

impl Found {
    fn new(strength: Strength, reason: impl Into<String>) -> Self {
        Self { strength, reason: reason.into(), contested: None }
    }
}

/// What is found of one token.
struct FoundToken {
    token: Token,
    rank: Rank,
    strength: Strength,
    contested: bool,
    reasons: Vec<String>,
    projects: BTreeSet<ProjectId>,
    secret: Option<String>,
    grounds: BTreeSet<usize>,
    /// Those with a proved way: where there is one, only their runs are witnesses.
    proved_grounds: BTreeSet<usize>,
}

/// How much the best way to a token weighs: what is contested never strengthens what is not.
fn weight(rank: Rank, strength: Strength, contested: bool) -> (bool, Rank, Strength) {
    (rank > Rank::Unlikely && !contested, rank, strength)
}

/// One way that leads to a token.
struct Way {
    rank: Rank,
    strength: Strength,
    contested: bool,
    reason: String,
    project: Option<ProjectId>,
    secret: Option<String>,
}

struct Search<'a> {
    grounds: &'a [Ground],
    projects: BTreeMap<ProjectId, FoundProject>,
    tokens: BTreeMap<TokenId, FoundToken>,
    uses: BTreeMap<TokenId, Vec<TokenUse>>,
}

impl Search<'_> {
    fn index(&self, ground: &Ground) -> usize {
        self.grounds.iter().position(|other| other.repository == ground.repository).unwrap_or(0)
    }

    async fn uses(&mut self, tx: &mut Tx, token: TokenId) -> Result<Vec<TokenUse>> {
        if let Some(uses) = self.uses.get(&token) {
            return Ok(uses.clone());
        }
        let uses = token_uses::of_token(tx, token).await?;
        self.uses.insert(token, uses.clone());
        Ok(uses)
    }

    /// Follows every edge that leaves one repository.
    async fn repository(&mut self, tx: &mut Tx, ground: &Ground, radius: &mut Radius) -> Result<()> {
        if ground.exposures.is_empty() {
            return Ok(());
        }
        self.publishers(tx, ground, radius).await?;
        for link in projects::links_of_repository(tx, &ground.repository).await? {
            let (strength, reason) = match link.basis {
                RepositoryBasis::OwnerConfirmed => {
                    (Strength::Proved, "an owner confirmed that it comes from this repository")
                }
                RepositoryBasis::MetadataUrl => {
                    (Strength::Claimed, "the metadata of an upload names this repository")
                }
            };
            self.project(tx, ground, link.project_id, Found::new(strength, reason), radius).await?;
        }
        let labelled = tokens::living_in(tx, &ground.repository).await?;
        for token in &labelled {
            self.projects_of_label(tx, ground, token, radius).await?;
        }
        let claims: BTreeSet<String> = ground
            .exposures
            .iter()
            .flat_map(|exposure| &exposure.used_for)
            .filter(|used| used.registry == "pypi")
            .filter_map(|used| used.package.as_deref())
            .filter_map(|name| name.parse::<ProjectName>().ok())
            .map(|name| name.normalised())
            .collect();
        for name in claims {
            if let Some(project) = projects::by_name(tx, &name).await? {
                let reason = format!(
                    "a workflow of the repository publishes {name} with an exposed secret, as the repository says"
                );
                self.project(tx, ground, project.id, Found::new(Strength::Claimed, reason), radius).await?;
            }
        }
        for token in labelled {
            self.labelled_token(ground, token, radius);
        }
        let found: Vec<ProjectId> = self.projects.keys().copied().collect();
        for project in found {
            self.tokens_of_project(tx, ground, project, radius).await?;
        }
        Ok(())
    }

    async fn publishers(&mut self, tx: &mut Tx, ground: &Ground, radius: &mut Radius) -> Result<()> {
        for publisher in publishers::of_repository(tx, &ground.repository).await? {
            let mut named = Vec::new();
            for project in publishers::projects_of(tx, publisher.id).await? {
                let reason = "an owner registered a publisher of this repository for it";
                self.project(tx, ground, project, Found::new(Strength::Proved, reason), radius).await?;
                if let Some(found) = self.projects.get(&project) {
                    named.push(NamedProject { id: project, name: found.project.name.clone() });
                }
            }
            for minted in containments::minted_since(tx, publisher.id, ground.since.0).await? {
                if let Some(token) = tokens::by_id(tx, minted).await? {
                    self.minted_token(ground, token);
                }
            }
            radius.publishers.push(RadiusPublisher {
                id: publisher.id,
                repository: ground.repository.clone(),
                state: publisher.state,
                projects: named,
            });
        }
        Ok(())
    }

    /// The projects that a token opens which its owner says lives in the repository. That proves it where the token's owner
    /// owns the project too: whoever once could upload to it could otherwise point at it from a repository of their own.
    async fn projects_of_label(
        &mut self,
        tx: &mut Tx,
        ground: &Ground,
        token: &Token,
        radius: &mut Radius,
    ) -> Result<()> {
        let mut opened: BTreeSet<ProjectId> = tokens::projects_of(tx, token.id).await?.into_iter().collect();
        let uses = self.uses(tx, token.id).await?;
        opened.extend(uses.iter().filter(|one| one.kind == UseKind::Upload).filter_map(|one| one.project_id));
        for project in opened {
            let members = projects::members(tx, project).await?;
            let owns = members
                .iter()
                .any(|(account, _, role)| *role == ProjectRole::Owner && token.account_id == Some(*account));
            let reason = format!(
                "a token that its owner says lives in this repository uploads to it ({})",
                token.description
            );
            let found = if owns {
                Found::new(Strength::Proved, reason)
            } else {
                let contested = String::from("whoever made that token does not own the project");
                Found { strength: Strength::Claimed, reason, contested: Some(contested) }
            };
            self.project(tx, ground, project, found, radius).await?;
        }
        Ok(())
    }

    async fn project(
        &mut self,
        tx: &mut Tx,
        ground: &Ground,
        id: ProjectId,
        why: Found,
        radius: &mut Radius,
    ) -> Result<()> {
        let Found { strength, reason, contested } = why;
        let index = self.index(ground);
        if let std::collections::btree_map::Entry::Vacant(vacant) = self.projects.entry(id) {
            let Some(project) = projects::by_id(tx, id).await? else { return Ok(()) };
            vacant.insert(FoundProject { project, edges: BTreeMap::new() });
        }
        let contested = match (strength, contested) {
            (Strength::Proved, _) => None,
            (Strength::Claimed, Some(contested)) => Some(contested),
            (Strength::Claimed, None) => contradiction(tx, id, ground).await?,
        };
        let Some(found) = self.projects.get_mut(&id) else { return Ok(()) };
        let edges = found.edges.entry(index).or_default();
        radius.edges.push(Edge {
            from: ground.node(),
            to: Node { kind: "project", id: id.to_string(), label: found.project.name.clone() },
            strength,
            contested: contested.is_some(),
            reason: match &contested {
                Some(contradiction) => format!("{reason}; contested: {contradiction}"),
                None => reason.clone(),
            },
        });
        match strength {
            Strength::Proved => edges.proved.push(reason),
            Strength::Claimed => {
                edges.claimed.push(reason);
                edges.uncontested |= contested.is_none();
            }
        }
        Ok(())
    }

    fn way(&mut self, ground: &Ground, token: &Token, way: Way) {
        let index = self.index(ground);
        let found = self.tokens.entry(token.id).or_insert_with(|| FoundToken {
            token: token.clone(),
            rank: way.rank,
            strength: way.strength,
            contested: way.contested,
            reasons: Vec::new(),
            projects: BTreeSet::new(),
            secret: None,
            grounds: BTreeSet::new(),
            proved_grounds: BTreeSet::new(),
        });
        if weight(way.rank, way.strength, way.contested) > weight(found.rank, found.strength, found.contested)
        {
            (found.rank, found.strength, found.contested) = (way.rank, way.strength, way.contested);
        }
        found.grounds.insert(index);
        if way.strength == Strength::Proved {
            found.proved_grounds.insert(index);
        }
        found.projects.extend(way.project);
        found.secret = found.secret.take().or(way.secret);
        if !found.reasons.contains(&way.reason) {
            found.reasons.push(way.reason);
        }
    }

    fn labelled_token(&mut self, ground: &Ground, token: Token, radius: &mut Radius) {
        let label = token.lives_in_secret.clone();
        let exposed = label.as_deref().is_some_and(|name| {
            ground.all_secrets()
                || ground.secret_names().iter().any(|secret| secret.eq_ignore_ascii_case(name))
        });
        let (rank, reason) = match (&label, exposed) {
            (Some(name), true) => (
                Rank::Certain,
                format!(
                    "its owner says that it is the secret {name} of {}, which was sent away",
                    ground.repository
                ),
            ),
            (Some(name), false) => (
                Rank::Unlikely,
                format!(
                    "its owner says that it is the secret {name} of {}, which was not sent away",
                    ground.repository
                ),
            ),
            (None, _) => (
                Rank::Possible,
                format!("its owner says that it lives in the secrets of {}", ground.repository),
            ),
        };
        radius.edges.push(Edge {
            from: ground.node(),
            to: Node { kind: "token", id: token.id.to_string(), label: token.description.clone() },
            strength: Strength::Proved,
            contested: false,
            reason: reason.clone(),
        });
        let secret = label.filter(|_| exposed);
        self.way(
            ground,
            &token,
            Way { rank, strength: Strength::Proved, contested: false, reason, project: None, secret },
        );
    }

    fn minted_token(&mut self, ground: &Ground, token: Token) {
        let commit = token
            .minted_from
            .as_deref()
            .and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok())
            .and_then(|claims| claims.get("sha").and_then(|sha| sha.as_str()).map(str::to_owned));
        let malicious = commit.as_deref().is_some_and(|commit| {
            ground
                .exposures
                .iter()
                .any(|exposure| exposure.details.commits.iter().any(|known| known == commit))
        });
        let (rank, reason) = if malicious {
            (
                Rank::Certain,
                format!("it was minted for a job at the malicious commit of {}", ground.repository),
            )
        } else {
            (Rank::Unlikely, format!("it was minted for a job of {} at another commit", ground.repository))
        };
        self.way(
            ground,
            &token,
            Way { rank, strength: Strength::Proved, contested: false, reason, project: None, secret: None },
        );
    }

    async fn tokens_of_project(
        &mut self,
        tx: &mut Tx,
        ground: &Ground,
        id: ProjectId,
        radius: &mut Radius,
    ) -> Result<()> {
        let secrets = ground.token_secrets();
        let index = self.index(ground);
        let Some(found) = self.projects.get(&id) else { return Ok(()) };
        let Some(edges) = found.edges.get(&index).filter(|_| !secrets.is_empty()) else { return Ok(()) };
        let (strength, contested) = (edges.strength(), edges.contested());
        let project = found.project.clone();
        let secret = match secrets.as_slice() {
            [only] => Some(only.secret.clone()),
            _ => None,
        };
        for token in tokens::reaching_project(tx, id).await? {
            if token.lives_in.as_deref() == Some(ground.repository.as_str()) {
                // Its label decided already; what it opens is named all the same.
                if let Some(found) = self.tokens.get_mut(&token.id) {
                    found.projects.insert(id);
                }
                continue;
            }
            let uses = self.uses(tx, token.id).await?;
            let (rank, reason) = rank(&token, &uses, &project, ground);
            radius.edges.push(Edge {
                from: Node { kind: "project", id: id.to_string(), label: project.name.clone() },
                to: Node { kind: "token", id: token.id.to_string(), label: token.description.clone() },
                strength,
                contested,
                reason: reason.clone(),
            });
            let secret = secret.clone();
            self.way(ground, &token, Way { rank, strength, contested, reason, project: Some(id), secret });
        }
        Ok(())
    }

    /// Turns what was found into what is shown.
    async fn finish(mut self, tx: &mut Tx, radius: &mut Radius) -> Result<()> {
        let mut accounts_found: BTreeSet<RadiusAccount> = BTreeSet::new();
        for found in self.projects.values() {
            let mut owners = Vec::new();
            for (account, name, role) in projects::members(tx, found.project.id).await? {
                if role == ProjectRole::Owner {
                    radius.edges.push(Edge {
                        from: Node {
                            kind: "project",
                            id: found.project.id.to_string(),
                            label: found.project.name.clone(),
                        },
                        to: Node { kind: "account", id: account.to_string(), label: name.clone() },
                        strength: Strength::Proved,
                        contested: false,
                        reason: String::from("owns it"),
                    });
                    owners.push(name.clone());
                    accounts_found.insert(RadiusAccount { id: account, name });
                }
            }
            let edges = || found.edges.values();
            let reasons = || edges().flat_map(|one| &one.proved).chain(edges().flat_map(|one| &one.claimed));
            radius.projects.push(RadiusProject {
                id: found.project.id,
                name: found.project.name.clone(),
                strength: edges().map(ProjectEdges::strength).max().unwrap_or(Strength::Claimed),
                contested: edges().all(ProjectEdges::contested),
                reasons: reasons().cloned().collect(),
                owners,
            });
        }
        let found_tokens = std::mem::take(&mut self.tokens);
        for found in found_tokens.into_values() {
            self.finish_token(tx, found, &mut accounts_found, radius).await?;
        }
        radius.tokens.sort_by_key(|token| (std::cmp::Reverse(token.rank), token.id));
        radius.accounts = accounts_found.into_iter().collect();
        releases(tx, radius).await
    }

    async fn finish_token(
        &mut self,
        tx: &mut Tx,
        found: FoundToken,
        accounts_found: &mut BTreeSet<RadiusAccount>,
        radius: &mut Radius,
    ) -> Result<()> {
        let mut known: Option<Known> = None;
        let proved = found.strength == Strength::Proved;
        let witnesses = if proved { &found.proved_grounds } else { &found.grounds };
        for ground in witnesses.iter().filter_map(|index| self.grounds.get(*index)) {
            match &mut known {
                Some(known) => {
                    known.add(
                        &ground.repository,
                        ground.since,
                        ground.runs.as_ref(),
                        ground.examined_at,
                        &ground.malicious_runs,
                    );
                }
                None => known = Some(ground.known()),
            }
        }
        let mut known = known.unwrap_or_default();
        known.proved = proved;
        let uses = self.uses(tx, found.token.id).await?;
        let mut evidence = evidence::judge(&uses, &known, radius.checkpoint);
        if found.token.kind == TokenKind::LongLived && found.rank > Rank::Unlikely {
            self.note_outdated(&found, &uses, radius);
        }
        if found.token.kind == TokenKind::Minted {
            minted_evidence(&mut evidence, found.rank == Rank::Certain);
        }
        let thief =
            found.rank > Rank::Unlikely && evidence.uses.iter().any(|one| one.verdict == Verdict::Thiefs);
        if thief && !found.contested {
            radius.level = radius.level.max(Level::E4);
        }
        let account = match found.token.account_id {
            Some(id) => {
                accounts::by_id(tx, id).await?.map(|account| RadiusAccount { id, name: account.name })
            }
            None => None,
        };
        accounts_found.extend(account.clone().filter(|_| found.rank > Rank::Unlikely));
        if found.rank > Rank::Unlikely {
            self.files(tx, &found, &evidence, known.since, radius).await?;
        }
        let named = |id: &ProjectId| {
            let project = self.projects.get(id)?;
            Some(NamedProject { id: *id, name: project.project.name.clone() })
        };
        let repository = witnesses.iter().filter_map(|index| self.grounds.get(*index)).next();
        radius.tokens.push(RadiusToken {
            id: found.token.id,
            kind: found.token.kind,
            description: found.token.description.clone(),
            account,
            scope: found.token.scope,
            state: found.token.state,
            rank: found.rank,
            strength: found.strength,
            contested: found.contested,
            reasons: found.reasons,
            projects: found.projects.iter().filter_map(named).collect(),
            secret: found.secret,
            repository: repository.map(|ground| ground.repository.clone()).unwrap_or_default(),
            evidence,
        });
        Ok(())
    }

    /// A use after the last look, where the forge tells of runs: another look would tell more.
    fn note_outdated(&self, found: &FoundToken, uses: &[TokenUse], radius: &mut Radius) {
        for ground in found.grounds.iter().filter_map(|index| self.grounds.get(*index)) {
            if ground.runs.is_none() || uses.iter().all(|one| one.at <= ground.examined_at) {
                continue;
            }
            if radius.outdated.insert(ground.repository.clone()) {
                radius.warnings.push(format!(
                    "Tokens were used after the last look at {} ({}): its runs since then are not known yet, so those uses \
                     are judged by networks alone.",
                    ground.repository,
                    ground.examined_at.for_people()
                ));
            }
        }
    }

    async fn files(
        &self,
        tx: &mut Tx,
        found: &FoundToken,
        evidence: &Evidence,
        since: Option<Instant>,
        radius: &mut Radius,
    ) -> Result<()> {
        for file in files::of_token(tx, found.token.id).await? {
            if since.is_none_or(|since| file.uploaded_at < since) {
                continue;
            }
            let judged = evidence.uses.iter().find(|one| one.id == file.use_id);
            let (verdict, why) = match judged {
                Some(one) => (one.verdict, one.why.clone()),
                None => (Verdict::Unexplained, String::from("the use that brought it is not recorded")),
            };
            let Some(project) = projects::by_id(tx, file.project_id).await? else { continue };
            let version = files::releases_of_project(tx, file.project_id)
                .await?
                .into_iter()
                .find(|release| release.id == file.release_id)
                .map(|release| release.version)
                .unwrap_or_default();
            radius.files.push(RadiusFile {
                id: file.id,
                filename: file.filename,
                sha256: file.sha256,
                project: NamedProject { id: project.id, name: project.name },
                release_id: file.release_id,
                version,
                state: file.state,
                uploaded_at: file.uploaded_at.rfc3339(),
                token: found.token.id,
                verdict,
                why,
            });
        }
        Ok(())
    }
}

/// A minted token carries its commit: that decides, not the time of its use.
fn minted_evidence(evidence: &mut Evidence, malicious: bool) {
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
async fn contradiction(tx: &mut Tx, project: ProjectId, ground: &Ground) -> Result<Option<String>> {
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
fn rank(token: &Token, uses: &[TokenUse], project: &Project, ground: &Ground) -> (Rank, String) {
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
async fn releases(tx: &mut Tx, radius: &mut Radius) -> Result<()> {
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
