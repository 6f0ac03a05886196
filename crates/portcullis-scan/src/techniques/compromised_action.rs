//! An action that a job used was taken over, and could take what the job holds.
//!
//! The workflow is benign: it names an action by a tag or a branch, and in March 2025 one of those was moved to code that
//! printed the memory of the runner into the log. Nothing in the repository changes when that happens. This rule belongs to
//! `portcullis reach --action OWNER/REPO --between T1 T2`, which finds every job that used the action in that time,
//! also through composite actions and reusable workflows of its repository, and lists what it could reach.
//!
//! ```yaml
//! - uses: owner/changed-files@v45   # what is v45 today?
//! ```
//!
//! `certain` are the secrets that the action was handed, by its inputs or its environment; `possible` are the others of the
//! job, which stand in the runner's memory. A full commit id can't be moved and is not listed, unless it is asked for.

use crate::technique::{Evidence, Sighting, Technique};

/// See the module's documentation.
pub(super) struct CompromisedAction;

impl Technique for CompromisedAction {
    fn id(&self) -> &'static str {
        crate::reach::RULE
    }
    fn headline(&self) -> &'static str {
        "{places} ran in this job and could reach {secrets}"
    }
    fn remedy(&self) -> &'static str {
        "look at the runs of that time, invalidate what the job could reach, and pin the action to a full commit id"
    }
    fn source(&self) -> &'static str {
        include_str!("compromised_action.rs")
    }

    /// Nothing: a file alone can't say that somebody else's action was taken over.
    fn look(&self, _: &Evidence<'_>) -> Vec<Sighting> {
        Vec::new()
    }
}
