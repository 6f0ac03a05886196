//! Named leases: of all nodes, one at a time does a thing.

use super::{Columns, Result, Tx};
use crate::clock::Instant;

/// Takes or renews a lease for `holder` until `until`. Returns its fence, or none where another node holds it.
/// The row stays locked until this transaction ends, so what is written in the same transaction is fenced by it.
///
/// # Errors
/// Where the database refuses.
pub async fn hold(
    tx: &mut Tx,
    name: &str,
    holder: &str,
    until: Instant,
    now: Instant,
) -> Result<Option<i64>> {
    sqlx::query(
        "INSERT INTO leases (name, holder, fence, lease_until) VALUES ($1, '', 0, 0) ON CONFLICT (name) DO NOTHING",
    )
    .bind(name)
    .execute(tx.connection())
    .await?;
    let row = sqlx::query(
        "UPDATE leases SET fence = CASE WHEN holder = $1 THEN fence ELSE fence + 1 END, holder = $2, lease_until = $3 \
         WHERE name = $4 AND (holder = $5 OR lease_until <= $6) RETURNING fence",
    )
    .bind(holder)
    .bind(holder)
    .bind(until.0)
    .bind(name)
    .bind(holder)
    .bind(now.0)
    .fetch_optional(tx.connection())
    .await?;
    row.as_ref().map(|row| Columns(row).number("fence")).transpose()
}
