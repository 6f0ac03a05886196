//! One type per kind of id, so that an account's id can't be handed to what wants a project's.

use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id, ordered by the time it was made (UUID version 7, RFC 9562).
            #[must_use]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// An account.
    AccountId,
    /// A project.
    ProjectId,
    /// A release of a project.
    ReleaseId,
    /// A file of a release.
    FileId,
    /// An API token: the identifier inside the macaroon.
    TokenId,
    /// A management token.
    ManagementTokenId,
    /// One use of a token, allowed or refused.
    UseId,
    /// A Trusted Publisher.
    PublisherId,
    /// A publisher that waits for its project.
    PendingPublisherId,
    /// An event of the security history.
    EventId,
    /// The personal fields that belong to an event or a use.
    PersonalId,
    /// A report to the desk.
    ReportId,
    /// A case of the desk.
    CaseId,
    /// One look at a repository by our own scanner.
    ExaminationId,
    /// An exposure in a case.
    ExposureId,
    /// One action of a containment.
    ActionId,
    /// A notice.
    NoticeId,
    /// A job.
    JobId,
}
