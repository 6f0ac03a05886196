//! Why something of a remote can't be had.

use portcullis_scan::text::{Lines, escape};

/// How much of what a server says is repeated, in characters.
const SAID_LIMIT: usize = 200;

/// Why something of a remote can't be had. What a server says is hostile text and is escaped when it is put in here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RemoteError {
    /// An address that is not asked.
    #[error("{0}")]
    Refused(String),
    /// No connection, or none that lasted.
    #[error("{host} could not be asked: {cause}")]
    Connection {
        /// Whom.
        host: String,
        /// What went wrong.
        cause: String,
    },
    /// Another HTTP status than success.
    #[error("{host} answered {status}{advice}")]
    Status {
        /// Whom.
        host: String,
        /// The status.
        status: u16,
        /// What may help.
        advice: &'static str,
    },
    /// It wants to be left alone for longer than may be waited.
    #[error("{host} asks to wait for {seconds} s, and no more than {left} s may still be waited (`--wait`)")]
    RateLimited {
        /// Whom.
        host: String,
        /// How long.
        seconds: u64,
        /// How long could still be waited.
        left: u64,
    },
    /// An answer that is none.
    #[error("the answer of {host} can't be used: {what}")]
    Answer {
        /// Whom.
        host: String,
        /// What is wrong with it.
        what: String,
    },
    /// The server's own words.
    #[error("{host} refuses: {said}")]
    Said {
        /// Who.
        host: String,
        /// What it says, escaped.
        said: String,
    },
    /// More than is fetched.
    #[error("{what}: more than the {limit} that are fetched")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How much it may be.
        limit: u64,
    },
    /// It took too long.
    #[error("fetching took longer than {0} s")]
    TimedOut(u64),
    /// The place where it is kept.
    #[error("what was fetched can't be kept: {0}")]
    Disk(String),
}

impl RemoteError {
    /// The stable identifier of the problem that it makes.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Connection { .. } | Self::Status { .. } | Self::Said { .. } | Self::TimedOut(_) => {
                "unreachable"
            }
            Self::RateLimited { .. } => "rate-limited",
            Self::Answer { .. } => "broken-answer",
            Self::TooLarge { .. } => "over-limit",
            Self::Disk(_) => "unreadable",
        }
    }

    /// A server's own words.
    pub(crate) fn said(host: &str, text: &[u8]) -> Self {
        let text: String = String::from_utf8_lossy(text).trim().chars().take(SAID_LIMIT).collect();
        Self::Said { host: host.to_owned(), said: escape(&text, Lines::One) }
    }

    /// Something that makes an answer useless.
    pub(crate) fn answer(host: &str, what: impl Into<String>) -> Self {
        Self::Answer { host: host.to_owned(), what: what.into() }
    }

    /// A failure of the file system.
    pub(crate) fn disk(error: impl std::fmt::Display) -> Self {
        Self::Disk(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_escaped_and_cut() {
        let said = RemoteError::said("forge.example", b"no\x1b[31m\n").to_string();
        assert_eq!(said, "forge.example refuses: no\\u{1b}[31m");
        let long = RemoteError::said("forge.example", &[b'z'; SAID_LIMIT + 1]).to_string();
        assert_eq!(long.matches('z').count(), SAID_LIMIT);
        let fits = RemoteError::said("forge.example", &[b'z'; SAID_LIMIT]).to_string();
        assert_eq!(fits.matches('z').count(), SAID_LIMIT);
    }
}
