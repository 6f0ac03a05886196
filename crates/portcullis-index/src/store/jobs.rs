//! What is to be done outside requests: leased, repeated until done, safe to repeat.

use super::{Columns, Result, Tx, statement};
use crate::clock::Instant;
use crate::ids::JobId;

/// A job that was taken.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What is to be done.
    pub kind: String,
    /// With what (JSON).
    pub payload: String,
    /// How often it was tried, this time included.
    pub attempts: i64,
}

/// In which order due jobs are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Somebody who said who they are waits for it.
    Person = 0,
    /// Somebody who did not.
    Stranger = 1,
    /// The same, and they have had their share.
    Flood = 2,
}

impl Urgency {
    fn number(self) -> i64 {
        self as i64
    }
}

/// How many jobs may be taken.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// Altogether.
    pub all: i64,
    /// How many of strangers one node may work on at the same time: people and notices find room beside them.
    pub strangers: i64,
}

/// Adds a job that becomes due at `run_at`. One of the same `dedupe_key` that is not done yet stays as it is.
///
/// # Errors
/// Where the database refuses.
pub async fn insert(
    tx: &mut Tx,
    kind: &str,
    payload: &str,
    dedupe_key: Option<&str>,
    urgency: Urgency,
    run_at: Instant,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO jobs (id, kind, payload, dedupe_key, urgency, state, run_at, attempts, created_at) \
         VALUES ($1, $2, $3, $4, $5, 'waiting', $6, 0, $7) ON CONFLICT (dedupe_key) DO NOTHING",
    )
    .bind(JobId::new().to_string())
    .bind(kind)
    .bind(payload)
    .bind(dedupe_key.map(str::to_owned))
    .bind(urgency.number())
    .bind(run_at.0)
    .bind(run_at.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Keeps a job from being taken until this transaction ends, where nobody has begun with it; makes it as urgent and as early
/// as given where it is less. Returns whether it waits.
///
/// # Errors
/// Where the database refuses.
pub async fn hold_waiting(tx: &mut Tx, dedupe_key: &str, urgency: Urgency, run_at: Instant) -> Result<bool> {
    let held = sqlx::query(statement(&[
        "SELECT id FROM jobs WHERE dedupe_key = $1 AND state = 'waiting'",
        tx.update_lock(),
    ]))
    .bind(dedupe_key)
    .fetch_optional(tx.connection())
    .await?;
    let Some(row) = held else { return Ok(false) };
    sqlx::query(
        "UPDATE jobs SET urgency = CASE WHEN urgency < $1 THEN urgency ELSE $2 END, \
         run_at = CASE WHEN run_at < $3 THEN run_at ELSE $4 END WHERE id = $5",
    )
    .bind(urgency.number())
    .bind(urgency.number())
    .bind(run_at.0)
    .bind(run_at.0)
    .bind(Columns(&row).text("id")?)
    .execute(tx.connection())
    .await?;
    Ok(true)
}

/// Takes due jobs, the most urgent first, also those whose holder let the lease run out.
///
/// # Errors
/// Where the database refuses.
pub async fn take(
    tx: &mut Tx,
    holder: &str,
    places: Places,
    lease_until: Instant,
    now: Instant,
) -> Result<Vec<Job>> {
    let mut taken =
        take_between(tx, holder, Urgency::Person, Urgency::Person, places.all, lease_until, now).await?;
    let running = sqlx::query(
        "SELECT CAST(COUNT(*) AS BIGINT) AS number FROM jobs \
         WHERE state = 'running' AND holder = $1 AND lease_until > $2 AND urgency > 0",
    )
    .bind(holder)
    .bind(now.0)
    .fetch_one(tx.connection())
    .await?;
    let room = places.strangers - Columns(&running).number("number")?;
    let left = places.all - i64::try_from(taken.len()).unwrap_or(places.all);
    if room.min(left) > 0 {
        let (least, most) = (Urgency::Stranger, Urgency::Flood);
        taken.extend(take_between(tx, holder, least, most, room.min(left), lease_until, now).await?);
    }
    Ok(taken)
}

async fn take_between(
    tx: &mut Tx,
    holder: &str,
    least: Urgency,
    most: Urgency,
    limit: i64,
    lease_until: Instant,
    now: Instant,
) -> Result<Vec<Job>> {
    let due = sqlx::query(statement(&[
        "SELECT id, kind, payload, attempts FROM jobs WHERE urgency >= $1 AND urgency <= $2 AND \
         ((state = 'waiting' AND run_at <= $3) OR (state = 'running' AND lease_until <= $4)) \
         ORDER BY urgency, run_at, id LIMIT $5",
        tx.skip_locked(),
    ]))
    .bind(least.number())
    .bind(most.number())
    .bind(now.0)
    .bind(now.0)
    .bind(limit)
    .fetch_all(tx.connection())
    .await?;
    let mut taken = Vec::with_capacity(due.len());
    for row in &due {
        let row = Columns(row);
        let job = Job {
            id: row.parsed("id")?,
            kind: row.text("kind")?,
            payload: row.text("payload")?,
            attempts: row.number("attempts")? + 1,
        };
        sqlx::query(
            "UPDATE jobs SET state = 'running', holder = $1, lease_until = $2, attempts = $3 WHERE id = $4",
        )
        .bind(holder)
        .bind(lease_until.0)
        .bind(job.attempts)
        .bind(job.id.to_string())
        .execute(tx.connection())
        .await?;
        taken.push(job);
    }
    Ok(taken)
}

/// Notes that a job is done. Its dedupe key becomes free.
///
/// # Errors
/// Where the database refuses.
pub async fn finish(tx: &mut Tx, id: JobId, now: Instant) -> Result<()> {
    sqlx::query("UPDATE jobs SET state = 'done', finished_at = $1, dedupe_key = NULL WHERE id = $2")
        .bind(now.0)
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Notes that a job failed: it is tried again at `again`, or given up where that is none.
///
/// # Errors
/// Where the database refuses.
pub async fn fail(tx: &mut Tx, id: JobId, error: &str, again: Option<Instant>, now: Instant) -> Result<()> {
    let statement = match again {
        Some(_) => "UPDATE jobs SET state = 'waiting', last_error = $1, run_at = $2 WHERE id = $3",
        None => {
            "UPDATE jobs SET state = 'dead', last_error = $1, finished_at = $2, dedupe_key = NULL WHERE id = $3"
        }
    };
    sqlx::query(statement)
        .bind(error)
        .bind(again.unwrap_or(now).0)
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Whether anything is due.
///
/// # Errors
/// Where the database refuses.
pub async fn due(tx: &mut Tx, now: Instant) -> Result<bool> {
    let row = sqlx::query(
        "SELECT id FROM jobs WHERE (state = 'waiting' AND run_at <= $1) OR (state = 'running' AND lease_until <= $2) LIMIT 1",
    )
    .bind(now.0)
    .bind(now.0)
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.is_some())
}

/// Frees the jobs that a node still holds: it ends, and another shall take them at once.
///
/// # Errors
/// Where the database refuses.
pub async fn give_back(tx: &mut Tx, holder: &str, now: Instant) -> Result<()> {
    sqlx::query("UPDATE jobs SET state = 'waiting', run_at = $1 WHERE state = 'running' AND holder = $2")
        .bind(now.0)
        .bind(holder)
        .execute(tx.connection())
        .await?;
    Ok(())
}
