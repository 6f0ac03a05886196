//! What is done outside requests: examinations and the delivery of notices, leased, tried again, safe to repeat.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::app::App;
use crate::clock::Instant;
use crate::desk::{clock, examination};
use crate::history::{Actor, Event, record};
use crate::ids::{ExaminationId, ReportId};
use crate::notices::mail::{self, Delivery};
use crate::store::jobs::{self, Job, Places};
use crate::store::notices::{self, Notice, NoticeChannel, NoticeState};
use crate::store::{self, Store};
use crate::visible::visible;

/// How many jobs one node works on at the same time.
const CONCURRENCY: usize = 4;

/// How many of them at most are looks that strangers asked for.
const STRANGERS: i64 = 2;

/// How long a job may be worked on before another node takes it, in seconds. Longer than the longest look may last.
const LEASE_SECONDS: i64 = 600;

/// How long the worker waits for something to do before it looks at what became due.
const PAUSE: Duration = Duration::from_millis(500);

/// How long after the signal to end the work in hand may go on.
const GRACE: Duration = Duration::from_secs(5);

/// Seconds until a notice that failed is sent again, one entry a try. After the last it is given up.
pub const NOTICE_BACK_OFF_SECONDS: &[i64] = &[5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800];

/// Works until `shutdown` turns true: takes what is due, wakes when something was committed.
pub async fn run(app: App, mut shutdown: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(CONCURRENCY));
    let mut working = JoinSet::new();
    while !*shutdown.borrow() {
        while working.try_join_next().is_some() {}
        if let Err(error) = take(&app, &slots, &mut working).await {
            tracing::warn!(%error, "the job runner could not take jobs; it tries again");
        }
        tokio::select! {
            () = app.jobs_wake.notified() => {}
            () = tokio::time::sleep(PAUSE) => {}
            Some(_) = working.join_next() => {}
            _ = shutdown.changed() => break,
        }
    }
    let finish = async { while working.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finish).await.is_err() {
        working.abort_all();
        while working.join_next().await.is_some() {}
    }
    // What was cut off is free at once for the next node, not only when its lease ends.
    if let Err(error) = give_back(&app.store, &app.node, app.now()).await {
        tracing::warn!(%error, "jobs in hand stay leased until their lease ends");
    }
}

async fn give_back(store: &Store, node: &str, now: Instant) -> store::Result<()> {
    let mut tx = store.write().await?;
    jobs::give_back(&mut tx, node, now).await?;
    tx.commit().await
}

async fn take(app: &App, slots: &Arc<Semaphore>, working: &mut JoinSet<()>) -> store::Result<()> {
    let now = app.now();
    let free = slots.available_permits();
    if free == 0 || !anything_due(app, now).await? {
        return Ok(());
    }
    let limit = i64::try_from(free).unwrap_or(1);
    let lease = now.plus_seconds(LEASE_SECONDS);
    let mut tx = app.store.write().await?;
    let due = jobs::take(&mut tx, &app.node, Places { all: limit, strangers: STRANGERS }, lease, now).await?;
    let left = limit - i64::try_from(due.len()).unwrap_or(limit);
    let outgoing = if left > 0 { notices::take(&mut tx, left, lease, now).await? } else { Vec::new() };
    tx.commit().await?;
    for job in due {
        let (app, slots) = (app.clone(), slots.clone());
        working.spawn(async move {
            let _slot = slots.acquire_owned().await;
            work(&app, job).await;
        });
    }
    for notice in outgoing {
        let (app, slots) = (app.clone(), slots.clone());
        working.spawn(async move {
            let _slot = slots.acquire_owned().await;
            send(&app, notice).await;
        });
    }
    Ok(())
}

/// Looks without SQLite's write lock, so that an idle worker stands in nobody's way.
async fn anything_due(app: &App, now: Instant) -> store::Result<bool> {
    let mut tx = app.store.read().await?;
    Ok(jobs::due(&mut tx, now).await? || notices::due(&mut tx, now).await?)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Payload {
    Examine { examination: ExaminationId },
    Escalate { report: ReportId, round: i64 },
}

/// How long a job that is not an examination waits after a failure, in seconds: the database could not be reached.
const AGAIN_SECONDS: i64 = 60;

async fn work(app: &App, job: Job) {
    let tries = usize::try_from(job.attempts).unwrap_or(usize::MAX);
    let mut back_off = examination::BACK_OFF_SECONDS.get(tries.saturating_sub(1)).copied();
    let outcome = match (job.kind.as_str(), serde_json::from_str(&job.payload)) {
        (examination::JOB, Ok(Payload::Examine { examination })) => {
            examination::carry_out(app, examination, back_off.is_none()).await
        }
        (clock::JOB, Ok(Payload::Escalate { report, round })) => {
            back_off = Some(AGAIN_SECONDS);
            clock::escalate(app, report, round).await.map_err(|error| error.to_string())
        }
        (kind, _) => Err(format!("no job of the kind {kind:?} is known, or its payload is unreadable")),
    };
    let noted = note(app, &job, outcome, back_off).await;
    if let Err(error) = noted {
        tracing::warn!(job = %job.id, %error, "the outcome of a job could not be noted; it is repeated after its lease");
    }
}

async fn note(app: &App, job: &Job, outcome: Result<(), String>, back_off: Option<i64>) -> store::Result<()> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    match outcome {
        Ok(()) => jobs::finish(&mut tx, job.id, now).await?,
        Err(problem) => {
            let problem = visible(&problem, 1_000);
            tracing::warn!(job = %job.id, kind = job.kind, attempts = job.attempts, problem, "a job failed");
            let again = back_off.map(|seconds| now.plus_seconds(seconds));
            jobs::fail(&mut tx, job.id, &problem, again, now).await?;
        }
    }
    tx.commit().await
}

/// Sends one notice and notes how that went, with its event on the case's timeline.
async fn send(app: &App, notice: Notice) {
    let delivery = match (&app.settings.mail, notice.channel) {
        (Some(setting), NoticeChannel::Mail) => mail::deliver(app, setting, &notice).await,
        _ => Delivery::Failed(String::from("no mail server is configured")),
    };
    if let Err(error) = note_delivery(app, &notice, delivery).await {
        tracing::warn!(notice = %notice.id, %error, "the delivery of a notice could not be noted");
    }
}

async fn note_delivery(app: &App, notice: &Notice, delivery: Delivery) -> store::Result<()> {
    let now = app.now();
    let tries = usize::try_from(notice.attempts).unwrap_or(usize::MAX);
    let back_off = NOTICE_BACK_OFF_SECONDS.get(tries.saturating_sub(1)).copied();
    let (state, error, again) = match delivery {
        Delivery::Delivered => (NoticeState::Delivered, None, None),
        Delivery::Bounced(error) => (NoticeState::Bounced, Some(error), None),
        Delivery::Failed(error) => match back_off {
            Some(seconds) => (NoticeState::Waiting, Some(error), Some(now.plus_seconds(seconds))),
            None => (NoticeState::GivenUp, Some(error), None),
        },
    };
    let error = error.map(|error| visible(&error, 500));
    let mut tx = app.store.write().await?;
    notices::set_state(&mut tx, notice.id, state, error.as_deref(), again, now).await?;
    let tag = match state {
        NoticeState::Delivered => Some("desk:notice:delivered"),
        NoticeState::Bounced => Some("desk:notice:bounced"),
        NoticeState::GivenUp => Some("desk:notice:given_up"),
        _ => None,
    };
    if let Some(tag) = tag {
        let mut event = Event::new(tag, Actor::System { part: String::from("desk") });
        event.case = notice.case_id;
        event.account = notice.account_id;
        event.details =
            serde_json::json!({"notice": notice.id, "kind": notice.kind, "attempts": notice.attempts});
        record(&mut tx, now, event).await?;
    }
    tx.commit().await?;
    app.committed();
    Ok(())
}

/// Works off everything that is due now, one after the other, and returns how much that was. For tests and `drill`.
///
/// # Errors
/// Where the database refuses.
pub async fn work_off(app: &App) -> store::Result<usize> {
    let mut done: HashSet<String> = HashSet::new();
    loop {
        let now = app.now();
        let lease = now.plus_seconds(LEASE_SECONDS);
        let mut tx = app.store.write().await?;
        let due =
            jobs::take(&mut tx, &app.node, Places { all: 10, strangers: STRANGERS }, lease, now).await?;
        let outgoing = notices::take(&mut tx, 10, lease, now).await?;
        tx.commit().await?;
        if due.is_empty() && outgoing.is_empty() {
            return Ok(done.len());
        }
        for job in due {
            done.insert(job.id.to_string());
            work(app, job).await;
        }
        for notice in outgoing {
            done.insert(notice.id.to_string());
            send(app, notice).await;
        }
    }
}
