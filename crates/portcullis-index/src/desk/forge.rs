//! What the desk needs from a code forge. The program implements it: only it fetches repositories and runs the scanner.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::subject::RepositoryName;

/// What to look at.
#[derive(Debug, Clone)]
pub struct Look {
    /// Which repository.
    pub repository: RepositoryName,
    /// Commits to fetch beside the branches and tags: what a force-push may have hidden.
    pub cited: Vec<String>,
}

/// What was seen.
#[derive(Debug, Clone)]
pub struct Sight {
    /// The scan document (`portcullis.scan/1`) of what was fetched.
    pub document: String,
    /// The pushes to the repository's own branches and tags, the newest first; none where the forge does not tell.
    pub pushes: Option<Vec<Push>>,
    /// The workflow runs; none where the forge does not tell.
    pub runs: Option<Runs>,
    /// What could not be had: a commit that the forge does not hand out, a list that was cut.
    pub problems: Vec<String>,
}

/// A push that the forge observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// To which ref (`refs/heads/main`).
    #[serde(rename = "ref")]
    pub name: String,
    /// What the ref was before; zeroes where it was made.
    pub before: String,
    /// What it was after; zeroes where it was deleted.
    pub after: String,
    /// When, in microseconds since 1970. Forges tell whole seconds.
    pub at: i64,
    /// The commits that it brought, as far as they could be fetched.
    #[serde(default)]
    pub commits: Vec<String>,
}

/// The workflow runs of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs {
    /// Since when the list is complete, in microseconds since 1970; none where it holds all.
    #[serde(default)]
    pub complete_since: Option<i64>,
    /// The runs.
    pub list: Vec<Run>,
}

/// One run of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The forge's id.
    pub id: i64,
    /// The commit it ran at.
    pub commit: String,
    /// The workflow's path.
    pub path: String,
    /// What started it: `push`, `schedule`, …
    #[serde(default)]
    pub event: String,
    /// When it began, in microseconds since 1970. Forges tell whole seconds.
    pub from: i64,
    /// When it ended; none while it runs.
    #[serde(default)]
    pub until: Option<i64>,
    /// The blob of the workflow at that commit, where the commit could be fetched.
    #[serde(default)]
    pub workflow_blob: Option<String>,
}

/// Why a repository could not be looked at.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ForgeError {
    /// It may work later.
    #[error("{0}")]
    Failed(String),
    /// It will not work later either: no configured forge has this repository.
    #[error("{0}")]
    Impossible(String),
}

/// A code forge that the operator configured.
#[async_trait]
pub trait Forge: Send + Sync {
    /// Fetches the repository, scans it, and asks the forge for its pushes and runs. Bounded in time and size.
    async fn look(&self, look: &Look) -> Result<Sight, ForgeError>;
}

/// No forge at all: every examination fails with a sentence that says so.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoForge;

#[async_trait]
impl Forge for NoForge {
    async fn look(&self, look: &Look) -> Result<Sight, ForgeError> {
        Err(ForgeError::Impossible(format!(
            "{} can't be fetched: this server has no forge configured",
            look.repository
        )))
    }
}
