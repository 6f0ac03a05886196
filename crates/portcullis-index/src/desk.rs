//! The incident desk: turns "somebody saw something" into dead tokens and told people.
//!
//! A report ([`report`]) is durable before it is answered, and only a pointer: the server fetches the repository itself
//! ([`forge`], [`examination`]) and only what that look confirms becomes an exposure of a [`case`]. From the exposures
//! follow the blast [`radius`] and the [`evidence`] of use; a responder confirms the digest of a plan ([`plan`]), and one
//! transaction applies it ([`containment`]).

use crate::authority::AuthorityError;
use crate::history::HistoryError;
use crate::store::StoreError;

pub mod case;
pub mod clock;
pub mod containment;
pub mod evidence;
pub mod examination;
pub mod forge;
pub(crate) mod pasted;
pub mod plan;
pub mod radius;
pub mod report;
pub mod scan_document;
pub mod standing;
pub mod subject;

/// Why the desk did not do something.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// There is no such thing.
    #[error("there is no {what}")]
    Unknown {
        /// What was asked for.
        what: String,
    },
    /// What was sent is not what is expected.
    #[error("{0}")]
    Invalid(String),
    /// What was sent is too large.
    #[error("{what} is larger than {limit} bytes; send less of it")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// In bytes.
        limit: usize,
    },
    /// It does not fit the state of things.
    #[error("{0}")]
    Conflict(String),
    /// The repository is still being looked at.
    #[error("the examination of {repository} is under way; ask again in a moment")]
    ExaminationUnderWay {
        /// Which.
        repository: String,
    },
    /// The digest is of no plan that still holds.
    #[error("{reason}; nothing was done. Look at the new plan and confirm its digest")]
    StalePlan {
        /// What changed.
        reason: String,
        /// The plan as it is now.
        plan: Box<plan::Plan>,
    },
    /// The responder is a party to the case.
    #[error("{0}")]
    NotYours(String),
    /// Who asks may no longer.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The receipt could not be signed, or the history not continued.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// The result of what the desk does.
pub type Result<T> = std::result::Result<T, DeskError>;
