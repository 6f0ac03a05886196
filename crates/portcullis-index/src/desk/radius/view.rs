//! What the blast radius shows: the shapes of the API, of the pages and of plans. Nothing is decided here.

use serde::Serialize;

use std::collections::BTreeSet;

use crate::desk::evidence::{Evidence, Verdict};
use crate::ids::{AccountId, CaseId, ExposureId, FileId, ProjectId, PublisherId, ReleaseId, TokenId};
use crate::store::exposures::{self, Basis, Standing, UsedFor};
use crate::store::files::{FileState, ReleaseState};
use crate::store::publishers::PublisherState;
use crate::store::reports::Level;
use crate::store::stored_enum;
use crate::store::tokens::{TokenKind, TokenScope, TokenState};

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
