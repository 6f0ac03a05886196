//! Which file contents there are, and which are being written.

use super::{Columns, Result, Tx, statement};
use crate::clock::Instant;
use uuid::Uuid;

/// Notes, before any byte is written, that a content is coming; `sweep` leaves it alone until `lease_until`.
///
/// # Errors
/// Where the database refuses.
pub async fn insert_pending(tx: &mut Tx, id: Uuid, lease_until: Instant, now: Instant) -> Result<()> {
    sqlx::query("INSERT INTO pending_blobs (id, lease_until, created_at) VALUES ($1, $2, $3)")
        .bind(id.to_string())
        .bind(lease_until.0)
        .bind(now.0)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Says which digest the content has turned out to have, before it gets its final place, and renews the lease.
/// False where the lease was swept away.
///
/// # Errors
/// Where the database refuses.
pub async fn name_pending(tx: &mut Tx, id: Uuid, sha256: &str, lease_until: Instant) -> Result<bool> {
    let done = sqlx::query("UPDATE pending_blobs SET sha256 = $1, lease_until = $2 WHERE id = $3")
        .bind(sha256)
        .bind(lease_until.0)
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a lease: its content is now named by a row, or was given up.
///
/// # Errors
/// Where the database refuses.
pub async fn end_pending(tx: &mut Tx, id: Uuid) -> Result<bool> {
    let done = sqlx::query("DELETE FROM pending_blobs WHERE id = $1")
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that a content is durable, or locks the row of one that was there already, so that no sweep can take it
/// before this transaction names it.
///
/// # Errors
/// Where the database refuses.
pub async fn keep(tx: &mut Tx, sha256: &str, size: i64, now: Instant) -> Result<()> {
    sqlx::query(
        "INSERT INTO blobs (sha256, size, created_at) VALUES ($1, $2, $3) \
         ON CONFLICT (sha256) DO UPDATE SET reused_at = $4",
    )
    .bind(sha256)
    .bind(size)
    .bind(now.0)
    .bind(now.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Contents that no file names, the oldest first.
///
/// # Errors
/// Where the database refuses.
pub async fn orphans(tx: &mut Tx) -> Result<Vec<String>> {
    let rows = sqlx::query(
        "SELECT b.sha256 FROM blobs b WHERE NOT EXISTS \
         (SELECT 1 FROM files f WHERE f.sha256 = b.sha256 OR f.metadata_sha256 = b.sha256) ORDER BY b.created_at LIMIT 1000",
    )
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(|row| Columns(row).text("sha256")).collect()
}

/// Locks the row of a content, made where there is none so that it can be locked, and takes it away if nothing names the
/// content and nobody is writing it. True where it was taken: the bytes may go before this transaction commits, for whoever
/// names the content waits for the row and then looks for the bytes.
///
/// # Errors
/// Where the database refuses.
pub async fn take_orphan(tx: &mut Tx, sha256: &str, now: Instant) -> Result<bool> {
    sqlx::query(
        "INSERT INTO blobs (sha256, size, created_at) VALUES ($1, 0, $2) ON CONFLICT (sha256) DO NOTHING",
    )
    .bind(sha256)
    .bind(now.0)
    .execute(tx.connection())
    .await?;
    sqlx::query(statement(&["SELECT sha256 FROM blobs WHERE sha256 = $1", tx.update_lock()]))
        .bind(sha256)
        .fetch_one(tx.connection())
        .await?;
    if is_wanted(tx, sha256, now).await? {
        return Ok(false);
    }
    sqlx::query("DELETE FROM blobs WHERE sha256 = $1").bind(sha256).execute(tx.connection()).await?;
    Ok(true)
}

/// Whether a file names a content, or a live lease says that it is being written.
///
/// # Errors
/// Where the database refuses.
pub async fn is_wanted(tx: &mut Tx, sha256: &str, now: Instant) -> Result<bool> {
    let row = sqlx::query(
        "SELECT (SELECT COUNT(*) FROM files WHERE sha256 = $1 OR metadata_sha256 = $2) + \
         (SELECT COUNT(*) FROM pending_blobs WHERE sha256 = $3 AND lease_until > $4) AS number",
    )
    .bind(sha256)
    .bind(sha256)
    .bind(sha256)
    .bind(now.0)
    .fetch_one(tx.connection())
    .await?;
    Ok(Columns(&row).number("number")? > 0)
}

/// Ends the leases that ran out and returns their ids, so that their unfinished bytes can go.
///
/// # Errors
/// Where the database refuses.
pub async fn take_expired(tx: &mut Tx, now: Instant) -> Result<Vec<Uuid>> {
    let rows = sqlx::query("DELETE FROM pending_blobs WHERE lease_until <= $1 RETURNING id")
        .bind(now.0)
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(|row| Columns(row).parsed("id")).collect()
}

/// Whether a lease with this id is known.
///
/// # Errors
/// Where the database refuses.
pub async fn is_pending(tx: &mut Tx, id: Uuid) -> Result<bool> {
    let row = sqlx::query("SELECT COUNT(*) AS number FROM pending_blobs WHERE id = $1")
        .bind(id.to_string())
        .fetch_one(tx.connection())
        .await?;
    Ok(Columns(&row).number("number")? > 0)
}
