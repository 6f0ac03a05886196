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

/// Adds a job that becomes due at `run_at`. One of the same `dedupe_key` that is not done yet stays as it is.
///
/// # Errors
/// Where the database refuses.
pub async fn insert(
    tx: &mut Tx,
    kind: &str,
    payload: &str,
    dedupe_key: Option<&str>,
    run_at: Instant,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO jobs (id, kind, payload, dedupe_key, state, run_at, attempts, created_at) \
         VALUES ($1, $2, $3, $4, 'waiting', $5, 0, $6) ON CONFLICT (dedupe_key) DO NOTHING",
    )
    .bind(JobId::new().to_string())
    .bind(kind)
    .bind(payload)
    .bind(dedupe_key.map(str::to_owned))
    .bind(run_at.0)
    .bind(run_at.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes up to `limit` due jobs, also those whose holder let the lease run out.
///
/// # Errors
/// Where the database refuses.
pub async fn take(
    tx: &mut Tx,
    holder: &str,
    limit: i64,
    lease_until: Instant,
    now: Instant,
) -> Result<Vec<Job>> {
    let due = sqlx::query(statement(&[
        "SELECT id, kind, payload, attempts FROM jobs WHERE (state = 'waiting' AND run_at <= $1) \
         OR (state = 'running' AND lease_until <= $2) ORDER BY run_at, id LIMIT $3",
        tx.skip_locked(),
    ]))
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
