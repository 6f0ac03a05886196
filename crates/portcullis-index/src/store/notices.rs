//! The outbox: notices to people, each told once and tracked until it is delivered.

use super::{Columns, Result, Tx, statement, stored_enum};
use crate::clock::Instant;
use crate::ids::{AccountId, CaseId, NoticeId};

stored_enum! {
    /// How a notice travels.
    NoticeChannel {
        /// By SMTP.
        Mail = "mail",
        /// No way is configured: it stands at the top of the desk.
        None = "none",
    }
}

stored_enum! {
    /// How far a notice has come.
    NoticeState {
        /// Not sent yet.
        Waiting = "waiting",
        /// A node is sending it.
        Sending = "sending",
        /// The receiving server took it.
        Delivered = "delivered",
        /// The receiving server refused it for good.
        Bounced = "bounced",
        /// It was tried too often.
        GivenUp = "given-up",
        /// There is no way to send it.
        NoChannel = "no-channel",
    }
}

/// A row of `notices`.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Its id.
    pub id: NoticeId,
    /// The case it is about.
    pub case_id: Option<CaseId>,
    /// Whom it tells.
    pub account_id: Option<AccountId>,
    /// What it tells of: `containment`, `release`, `pending-publisher-reified`, …
    pub kind: String,
    /// How it travels.
    pub channel: NoticeChannel,
    /// To which address; none once erased.
    pub recipient: Option<String>,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// What must not be told twice.
    pub dedupe_key: String,
    /// How far it has come.
    pub state: NoticeState,
    /// How often it was tried.
    pub attempts: i64,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was written.
    pub created_at: Instant,
    /// When it was delivered.
    pub delivered_at: Option<Instant>,
}

const COLUMNS: &str = "SELECT id, case_id, account_id, kind, channel, recipient, subject, body, dedupe_key, state, \
     attempts, last_error, created_at, delivered_at FROM notices";

fn notice(row: &sqlx::any::AnyRow) -> Result<Notice> {
    let row = Columns(row);
    Ok(Notice {
        id: row.parsed("id")?,
        case_id: row.optional_parsed("case_id")?,
        account_id: row.optional_parsed("account_id")?,
        kind: row.text("kind")?,
        channel: row.parsed("channel")?,
        recipient: row.optional_text("recipient")?,
        subject: row.text("subject")?,
        body: row.text("body")?,
        dedupe_key: row.text("dedupe_key")?,
        state: row.parsed("state")?,
        attempts: row.number("attempts")?,
        last_error: row.optional_text("last_error")?,
        created_at: row.time("created_at")?,
        delivered_at: row.optional_time("delivered_at")?,
    })
}

/// Adds a notice; one of the same `dedupe_key` stays as it is, and then this is false.
///
/// # Errors
/// Where the database refuses.
pub async fn insert(tx: &mut Tx, notice: &Notice) -> Result<bool> {
    let done = sqlx::query(
        "INSERT INTO notices (id, case_id, account_id, kind, channel, recipient, subject, body, dedupe_key, state, \
         attempts, run_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $12) \
         ON CONFLICT (dedupe_key) DO NOTHING",
    )
    .bind(notice.id.to_string())
    .bind(notice.case_id.map(|id| id.to_string()))
    .bind(notice.account_id.map(|id| id.to_string()))
    .bind(notice.kind.as_str())
    .bind(notice.channel.word())
    .bind(notice.recipient.clone())
    .bind(notice.subject.as_str())
    .bind(notice.body.as_str())
    .bind(notice.dedupe_key.as_str())
    .bind(notice.state.word())
    .bind(notice.created_at.0)
    .bind(notice.created_at.0)
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes up to `limit` notices that are due, also those whose sender let the lease run out.
///
/// # Errors
/// Where the database refuses.
pub async fn take(tx: &mut Tx, limit: i64, lease_until: Instant, now: Instant) -> Result<Vec<Notice>> {
    let due = sqlx::query(statement(&[
        COLUMNS,
        " WHERE (state = 'waiting' AND run_at <= $1) OR (state = 'sending' AND lease_until <= $2) \
         ORDER BY run_at, id LIMIT $3",
        tx.skip_locked(),
    ]))
    .bind(now.0)
    .bind(now.0)
    .bind(limit)
    .fetch_all(tx.connection())
    .await?;
    let mut taken = Vec::with_capacity(due.len());
    for row in &due {
        let mut row = notice(row)?;
        row.attempts += 1;
        sqlx::query("UPDATE notices SET state = 'sending', lease_until = $1, attempts = $2 WHERE id = $3")
            .bind(lease_until.0)
            .bind(row.attempts)
            .bind(row.id.to_string())
            .execute(tx.connection())
            .await?;
        taken.push(row);
    }
    Ok(taken)
}

/// Whether anything is due.
///
/// # Errors
/// Where the database refuses.
pub async fn due(tx: &mut Tx, now: Instant) -> Result<bool> {
    let row = sqlx::query(
        "SELECT id FROM notices WHERE (state = 'waiting' AND run_at <= $1) OR (state = 'sending' AND lease_until <= $2) LIMIT 1",
    )
    .bind(now.0)
    .bind(now.0)
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.is_some())
}

/// Notes how a delivery went; `again` is when it is tried next.
///
/// # Errors
/// Where the database refuses.
pub async fn set_state(
    tx: &mut Tx,
    id: NoticeId,
    state: NoticeState,
    error: Option<&str>,
    again: Option<Instant>,
    now: Instant,
) -> Result<()> {
    let delivered = (state == NoticeState::Delivered).then_some(now.0);
    sqlx::query(
        "UPDATE notices SET state = $1, last_error = $2, run_at = COALESCE($3, run_at), delivered_at = $4, \
         lease_until = NULL WHERE id = $5",
    )
    .bind(state.word())
    .bind(error.map(str::to_owned))
    .bind(again.map(|time| time.0))
    .bind(delivered)
    .bind(id.to_string())
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The notices of a case, in order of time.
///
/// # Errors
/// Where the database refuses.
pub async fn of_case(tx: &mut Tx, case: CaseId) -> Result<Vec<Notice>> {
    let rows = sqlx::query(statement(&[COLUMNS, " WHERE case_id = $1 ORDER BY created_at, id"]))
        .bind(case.to_string())
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(notice).collect()
}

/// The notices to an account, the newest first.
///
/// # Errors
/// Where the database refuses.
pub async fn of_account(tx: &mut Tx, account: AccountId) -> Result<Vec<Notice>> {
    let rows =
        sqlx::query(statement(&[COLUMNS, " WHERE account_id = $1 ORDER BY created_at DESC, id LIMIT 100"]))
            .bind(account.to_string())
            .fetch_all(tx.connection())
            .await?;
    rows.iter().map(notice).collect()
}

/// The newest notices of all, at most `limit`.
///
/// # Errors
/// Where the database refuses.
pub async fn newest(tx: &mut Tx, limit: i64) -> Result<Vec<Notice>> {
    let rows = sqlx::query(statement(&[COLUMNS, " ORDER BY created_at DESC, id DESC LIMIT $1"]))
        .bind(limit)
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(notice).collect()
}
