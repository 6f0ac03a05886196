//! Within which time somebody must have looked at a report.

use crate::clock::Instant;
use crate::store::reports::ReportKind;

/// Hours within which a person must have looked at a report of this kind.
#[must_use]
pub fn hours(kind: ReportKind) -> i64 {
    match kind {
        ReportKind::StolenCredential | ReportKind::CompromisedWorkflow | ReportKind::AccountTakeover => 1,
        ReportKind::Malware => 4,
        ReportKind::Other => 24,
    }
}

/// When a report that came at `received` must have been looked at.
#[must_use]
pub fn due(kind: ReportKind, received: Instant) -> Instant {
    received.plus_seconds(hours(kind) * 3_600)
}

/// The full hour before: all that the public page of a report tells of a time, so that it betrays no one's rhythm.
#[must_use]
pub fn hour_of(time: Instant) -> Instant {
    let hour = 3_600 * crate::clock::SECOND;
    Instant(time.0.div_euclid(hour) * hour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stolen_credential_is_looked_at_within_the_hour() {
        let received = Instant(1_000_000);
        assert_eq!(due(ReportKind::StolenCredential, received), received.plus_seconds(3_600));
        assert_eq!(due(ReportKind::Malware, received), received.plus_seconds(14_400));
        assert_eq!(due(ReportKind::Other, received), received.plus_seconds(86_400));
    }

    #[test]
    fn times_are_coarsened_to_the_hour() {
        let time = Instant::parse("2026-01-02T03:59:59.9Z").unwrap();
        assert_eq!(hour_of(time).rfc3339(), "2026-01-02T03:00:00.000000Z");
        assert_eq!(hour_of(hour_of(time)), hour_of(time));
    }
}
