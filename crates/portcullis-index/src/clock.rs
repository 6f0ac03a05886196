//! The time, as a value that tests can turn. The shipped binary knows only [`SystemClock`].

use jiff::Timestamp;
use std::sync::Arc;

/// A point in time as it is stored: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub i64);

/// A second, in the unit of [`Instant`].
pub const SECOND: i64 = 1_000_000;

impl Instant {
    /// Seconds since 1970, rounded down: the unit of JWTs and macaroons.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(SECOND)
    }

    /// This many seconds later.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(SECOND)))
    }

    /// As RFC 3339 in UTC with microseconds (`2026-01-02T03:04:05.000006Z`).
    #[must_use]
    pub fn rfc3339(self) -> String {
        Timestamp::from_microsecond(self.0)
            .map(|time| time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string())
            .unwrap_or_else(|_| String::from("out-of-range"))
    }

    /// As a person reads it: `2026-01-02 03:04:05 UTC`.
    #[must_use]
    pub fn for_people(self) -> String {
        Timestamp::from_microsecond(self.0)
            .map(|time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
            .unwrap_or_else(|_| String::from("out of range"))
    }

    /// From RFC 3339 text; `None` where it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<Timestamp>().ok().map(|time| Self(time.as_microsecond()))
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Instant;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant(Timestamp::now().as_microsecond())
    }
}

/// A clock as the application shares it.
pub type SharedClock = Arc<dyn Clock>;
