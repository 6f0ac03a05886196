//! The rows of the security history: events, personal fields, checkpoints, signing keys.
//!
//! There is no statement here that deletes an event or changes one that has a position.

use super::{Columns, Result, Tx, statement, stored_enum};
use crate::clock::Instant;
use crate::ids::{AccountId, CaseId, EventId, PersonalId, ProjectId, TokenId};

/// A row of `events`. Texts are kept exactly as stored: the chain covers them byte by byte.
#[derive(Debug, Clone)]
pub struct EventRow {
    /// Its id.
    pub id: EventId,
    /// Its place in the history; none until it is sealed.
    pub position: Option<i64>,
    /// What happened: colon-separated words, PyPI's where PyPI has one.
    pub tag: String,
    /// When.
    pub at: Instant,
    /// The account it concerns.
    pub account_id: Option<AccountId>,
    /// The project it concerns.
    pub project_id: Option<ProjectId>,
    /// The case it belongs to.
    pub case_id: Option<CaseId>,
    /// The token it concerns.
    pub token_id: Option<TokenId>,
    /// Who did it (JSON).
    pub actor: String,
    /// What exactly (JSON).
    pub details: String,
    /// Whether what the index shows of the project changed: such events carry serials.
    pub journal: bool,
    /// The personal fields beside it.
    pub personal_id: Option<PersonalId>,
    /// Their salted digest, which the chain covers.
    pub personal_digest: Option<String>,
    /// The chain's value at this event, hex; none until it is sealed.
    pub chain: Option<String>,
}

const COLUMNS: &str = "SELECT id, position, tag, at, account_id, project_id, case_id, token_id, actor, details, journal, \
     personal_id, personal_digest, chain FROM events";

fn event(row: &sqlx::any::AnyRow) -> Result<EventRow> {
    let row = Columns(row);
    Ok(EventRow {
        id: row.parsed("id")?,
        position: row.optional_number("position")?,
        tag: row.text("tag")?,
        at: row.time("at")?,
        account_id: row.optional_parsed("account_id")?,
        project_id: row.optional_parsed("project_id")?,
        case_id: row.optional_parsed("case_id")?,
        token_id: row.optional_parsed("token_id")?,
        actor: row.text("actor")?,
        details: row.text("details")?,
        journal: row.flag("journal")?,
        personal_id: row.optional_parsed("personal_id")?,
        personal_digest: row.optional_text("personal_digest")?,
        chain: row.optional_text("chain")?,
    })
}

/// Adds an event without a position.
///
/// # Errors
/// Where the database refuses.
pub async fn insert(tx: &mut Tx, event: &EventRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO events (id, tag, at, account_id, project_id, case_id, token_id, actor, details, journal, \
         personal_id, personal_digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(event.id.to_string())
    .bind(event.tag.as_str())
    .bind(event.at.0)
    .bind(event.account_id.map(|id| id.to_string()))
    .bind(event.project_id.map(|id| id.to_string()))
    .bind(event.case_id.map(|id| id.to_string()))
    .bind(event.token_id.map(|id| id.to_string()))
    .bind(event.actor.as_str())
    .bind(event.details.as_str())
    .bind(i64::from(event.journal))
    .bind(event.personal_id.map(|id| id.to_string()))
    .bind(event.personal_digest.clone())
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Committed events that have no position yet, in order of time, at most `limit`.
///
/// # Errors
/// Where the database refuses.
pub async fn unsealed(tx: &mut Tx, limit: i64) -> Result<Vec<EventRow>> {
    let rows = sqlx::query(statement(&[COLUMNS, " WHERE position IS NULL ORDER BY at, id LIMIT $1"]))
        .bind(limit)
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(event).collect()
}

/// Gives an event its place.
///
/// # Errors
/// Where the database refuses.
pub async fn seal(tx: &mut Tx, id: EventId, position: i64, chain: &str) -> Result<()> {
    sqlx::query("UPDATE events SET position = $1, chain = $2 WHERE id = $3 AND position IS NULL")
        .bind(position)
        .bind(chain)
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Gives a project its serial: the position of the newest event that changed what the index shows of it.
///
/// # Errors
/// Where the database refuses.
pub async fn set_serial(tx: &mut Tx, project: ProjectId, serial: i64) -> Result<()> {
    sqlx::query("UPDATE projects SET serial = $1 WHERE id = $2")
        .bind(serial)
        .bind(project.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// The last sealed event.
///
/// # Errors
/// Where the database refuses.
pub async fn last_sealed(tx: &mut Tx) -> Result<Option<EventRow>> {
    let row =
        sqlx::query(statement(&[COLUMNS, " WHERE position IS NOT NULL ORDER BY position DESC LIMIT 1"]))
            .fetch_optional(tx.connection())
            .await?;
    row.as_ref().map(event).transpose()
}

/// Sealed events after a position, in order, at most `limit`.
///
/// # Errors
/// Where the database refuses.
pub async fn sealed_after(tx: &mut Tx, position: i64, limit: i64) -> Result<Vec<EventRow>> {
    let rows = sqlx::query(statement(&[COLUMNS, " WHERE position > $1 ORDER BY position LIMIT $2"]))
        .bind(position)
        .bind(limit)
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(event).collect()
}

/// Whose history.
#[derive(Debug, Clone, Copy)]
pub enum Subject {
    /// An account's.
    Account(AccountId),
    /// A project's.
    Project(ProjectId),
    /// A case's: its timeline.
    Case(CaseId),
}

/// The newest events of a subject, at most `limit`, skipping `offset`.
///
/// # Errors
/// Where the database refuses.
pub async fn of_subject(tx: &mut Tx, subject: Subject, limit: i64, offset: i64) -> Result<Vec<EventRow>> {
    let (condition, id) = subject.condition();
    let rows = sqlx::query(statement(&[COLUMNS, condition, NEWEST_FIRST]))
        .bind(id)
        .bind(limit)
        .bind(offset)
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(event).collect()
}

const NEWEST_FIRST: &str = " ORDER BY at DESC, id DESC LIMIT $2 OFFSET $3";

impl Subject {
    fn condition(self) -> (&'static str, String) {
        match self {
            Self::Account(id) => (" WHERE account_id = $1", id.to_string()),
            Self::Project(id) => (" WHERE project_id = $1", id.to_string()),
            Self::Case(id) => (" WHERE case_id = $1", id.to_string()),
        }
    }
}

/// The personal fields of the events that [`of_subject`] answers to the same question, in no order.
///
/// # Errors
/// Where the database refuses.
pub async fn personal_of_subject(
    tx: &mut Tx,
    subject: Subject,
    limit: i64,
    offset: i64,
) -> Result<Vec<Personal>> {
    let (condition, id) = subject.condition();
    let rows = sqlx::query(statement(&[
        PERSONAL_COLUMNS,
        " WHERE id IN (SELECT personal_id FROM (SELECT personal_id FROM events",
        condition,
        NEWEST_FIRST,
        ") AS page)",
    ]))
    .bind(id)
    .bind(limit)
    .bind(offset)
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(personal_row).collect()
}

/// A row of `personal`.
#[derive(Debug, Clone)]
pub struct Personal {
    /// Its id.
    pub id: PersonalId,
    /// Whose.
    pub account_id: Option<AccountId>,
    /// What makes the digest unguessable; gone once erased.
    pub salt: Option<Vec<u8>>,
    /// The client's address.
    pub address: Option<String>,
    /// The client's name.
    pub user_agent: Option<String>,
    /// The salted digest.
    pub digest: String,
    /// When it was erased.
    pub erased_at: Option<Instant>,
}

/// Adds personal fields.
///
/// # Errors
/// Where the database refuses.
pub async fn insert_personal(tx: &mut Tx, personal: &Personal, now: Instant) -> Result<()> {
    sqlx::query(
        "INSERT INTO personal (id, account_id, salt, address, user_agent, digest, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(personal.id.to_string())
    .bind(personal.account_id.map(|id| id.to_string()))
    .bind(personal.salt.clone())
    .bind(personal.address.clone())
    .bind(personal.user_agent.clone())
    .bind(personal.digest.as_str())
    .bind(now.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The personal fields of this id.
///
/// # Errors
/// Where the database refuses.
pub async fn personal(tx: &mut Tx, id: PersonalId) -> Result<Option<Personal>> {
    let row = sqlx::query(statement(&[PERSONAL_COLUMNS, " WHERE id = $1"]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(personal_row).transpose()
}

const PERSONAL_COLUMNS: &str =
    "SELECT id, account_id, salt, address, user_agent, digest, erased_at FROM personal";

fn personal_row(row: &sqlx::any::AnyRow) -> Result<Personal> {
    let row = Columns(row);
    Ok(Personal {
        id: row.parsed("id")?,
        account_id: row.optional_parsed("account_id")?,
        salt: sqlx::Row::try_get(row.0, "salt")?,
        address: row.optional_text("address")?,
        user_agent: row.optional_text("user_agent")?,
        digest: row.text("digest")?,
        erased_at: row.optional_time("erased_at")?,
    })
}

/// From where an account signed in since then, the newest first; at most a hundred.
///
/// # Errors
/// Where the database refuses.
pub async fn addresses_of_sign_ins(
    tx: &mut Tx,
    account: AccountId,
    since: Instant,
) -> Result<Vec<std::net::IpAddr>> {
    let rows = sqlx::query(
        "SELECT p.address FROM events e JOIN personal p ON p.id = e.personal_id \
         WHERE e.account_id = $1 AND e.tag = 'account:login:success' AND e.at >= $2 AND p.address IS NOT NULL \
         ORDER BY e.at DESC LIMIT 100",
    )
    .bind(account.to_string())
    .bind(since.0)
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(|row| Columns(row).parsed("address")).collect()
}

/// Erases the personal fields of an account: addresses, agents, mail. The digests stay. Returns how many rows.
///
/// # Errors
/// Where the database refuses.
pub async fn erase_personal(tx: &mut Tx, account: AccountId, now: Instant) -> Result<u64> {
    let done = sqlx::query(
        "UPDATE personal SET salt = NULL, address = NULL, user_agent = NULL, erased_at = $1 \
         WHERE account_id = $2 AND erased_at IS NULL",
    )
    .bind(now.0)
    .bind(account.to_string())
    .execute(tx.connection())
    .await?;
    sqlx::query(
        "UPDATE emails SET address = NULL, removed_at = COALESCE(removed_at, $1) WHERE account_id = $2",
    )
    .bind(now.0)
    .bind(account.to_string())
    .execute(tx.connection())
    .await?;
    sqlx::query("UPDATE notices SET recipient = NULL WHERE account_id = $1")
        .bind(account.to_string())
        .execute(tx.connection())
        .await?;
    sqlx::query("UPDATE accounts SET erased_at = $1 WHERE id = $2")
        .bind(now.0)
        .bind(account.to_string())
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected())
}

/// A row of `checkpoints`: the sealer's signature over the chain up to a position.
#[derive(Debug, Clone)]
pub struct CheckpointRow {
    /// The first position of its batch.
    pub first_position: i64,
    /// The last position of its batch.
    pub last_position: i64,
    /// The chain's value there, hex.
    pub chain: String,
    /// When it was signed.
    pub at: Instant,
    /// With which key.
    pub key_id: String,
    /// The signature, hex.
    pub signature: String,
}

/// Adds a checkpoint.
///
/// # Errors
/// Where the database refuses.
pub async fn insert_checkpoint(tx: &mut Tx, checkpoint: &CheckpointRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO checkpoints (last_position, first_position, chain, at, key_id, signature) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(checkpoint.last_position)
    .bind(checkpoint.first_position)
    .bind(checkpoint.chain.as_str())
    .bind(checkpoint.at.0)
    .bind(checkpoint.key_id.as_str())
    .bind(checkpoint.signature.as_str())
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// All checkpoints in order.
///
/// # Errors
/// Where the database refuses.
pub async fn checkpoints(tx: &mut Tx) -> Result<Vec<CheckpointRow>> {
    let rows = sqlx::query(
        "SELECT last_position, first_position, chain, at, key_id, signature FROM checkpoints ORDER BY last_position",
    )
    .fetch_all(tx.connection())
    .await?;
    rows.iter()
        .map(|row| {
            let row = Columns(row);
            Ok(CheckpointRow {
                first_position: row.number("first_position")?,
                last_position: row.number("last_position")?,
                chain: row.text("chain")?,
                at: row.time("at")?,
                key_id: row.text("key_id")?,
                signature: row.text("signature")?,
            })
        })
        .collect()
}

stored_enum! {
    /// What a signing key signs.
    SigningPurpose {
        /// Checkpoints of the history.
        Checkpoint = "checkpoint",
        /// Receipts of reports.
        Receipt = "receipt",
    }
}

/// A row of `signing_keys`.
#[derive(Debug, Clone)]
pub struct SigningKey {
    /// The first 16 hex digits of SHA-256 over the public key.
    pub id: String,
    /// What it signs.
    pub purpose: SigningPurpose,
    /// Ed25519 public key, hex.
    pub public_key: String,
    /// The seed under the server key.
    pub sealed_seed: Vec<u8>,
}

/// Adds a signing key, unless the purpose has a live one already.
///
/// # Errors
/// Where the database refuses.
pub async fn insert_signing_key(tx: &mut Tx, key: &SigningKey, now: Instant) -> Result<()> {
    sqlx::query(
        "INSERT INTO signing_keys (id, purpose, public_key, sealed_seed, created_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(key.id.as_str())
    .bind(key.purpose.word())
    .bind(key.public_key.as_str())
    .bind(key.sealed_seed.clone())
    .bind(now.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// All signing keys of a purpose, the newest last; retired ones too, since old signatures must still verify.
///
/// # Errors
/// Where the database refuses.
pub async fn signing_keys(tx: &mut Tx, purpose: SigningPurpose) -> Result<Vec<SigningKey>> {
    let rows = sqlx::query(
        "SELECT id, purpose, public_key, sealed_seed FROM signing_keys WHERE purpose = $1 ORDER BY created_at",
    )
    .bind(purpose.word())
    .fetch_all(tx.connection())
    .await?;
    rows.iter()
        .map(|row| {
            let row = Columns(row);
            Ok(SigningKey {
                id: row.text("id")?,
                purpose: row.parsed("purpose")?,
                public_key: row.text("public_key")?,
                sealed_seed: row.bytes("sealed_seed")?,
            })
        })
        .collect()
}
