//! Within which time somebody must have looked at a report, and who is told when nobody has.

use askama::Template;

use crate::app::App;
use crate::clock::Instant;
use crate::history::{Actor, Event, record};
use crate::ids::ReportId;
use crate::notice::{self, Letter};
use crate::store::accounts::{self, AccountRole, AccountState};
use crate::store::jobs::{self, Urgency};
use crate::store::reports::{self, Lane, ReportKind, ReportState};
use crate::store::{self, Tx};

/// The kind of the job that looks whether somebody has looked.
pub const JOB: &str = "escalate";

/// How long after one escalation the next one follows, in seconds.
const AGAIN_SECONDS: i64 = 3_600;

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

/// Starts a report's clock, in the transaction that stores the report.
///
/// # Errors
/// Where the database refuses.
pub async fn start(tx: &mut Tx, report: ReportId, due: Instant) -> store::Result<()> {
    queue(tx, report, 1, due).await
}

async fn queue(tx: &mut Tx, report: ReportId, round: i64, at: Instant) -> store::Result<()> {
    let payload = serde_json::json!({"report": report, "round": round}).to_string();
    jobs::insert(tx, JOB, &payload, Some(&format!("{JOB}:{report}:{round}")), Urgency::Person, at).await
}

#[derive(Template)]
#[template(path = "mail/overdue.txt")]
struct OverdueMail<'a> {
    name: &'a str,
    address: &'a str,
    received: String,
    due: String,
    report: ReportId,
    kind: ReportKind,
    confirmed: bool,
}

/// Tells everybody with the role that a report waits past its time, and comes again until a person takes it. Safe to
/// repeat: each round tells each person once.
///
/// # Errors
/// Where the database refuses.
pub async fn escalate(app: &App, id: ReportId, round: i64) -> store::Result<()> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    let Some(report) = reports::by_id_locked(&mut tx, id).await? else { return Ok(()) };
    if report.state != ReportState::Received {
        return Ok(());
    }
    for account in accounts::all(&mut tx).await? {
        let on_duty = matches!(account.role, AccountRole::Responder | AccountRole::Admin);
        if !on_duty || account.state != AccountState::Active {
            continue;
        }
        let mail = OverdueMail {
            name: &account.name,
            address: app.base_url.authority(),
            received: report.received_at.for_people(),
            due: report.due_at.for_people(),
            report: id,
            kind: report.kind,
            confirmed: report.lane == Lane::Confirmed,
        };
        let letter = Letter {
            kind: "overdue-report",
            key: format!("{id}:{round}"),
            subject: String::from("A report waits at the incident desk past its time"),
            body: mail.render().unwrap_or_default(),
        };
        notice::write_to(&mut tx, app, account.id, letter).await?;
    }
    let mut event = Event::new("desk:report:overdue", Actor::System { part: String::from("desk") });
    event.case = report.case_id;
    event.details = serde_json::json!({"report": id, "round": round, "due": report.due_at.rfc3339()});
    record(&mut tx, now, event).await?;
    queue(&mut tx, id, round + 1, now.plus_seconds(AGAIN_SECONDS)).await?;
    tx.commit().await?;
    app.committed();
    Ok(())
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
