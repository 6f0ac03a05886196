//! The security history: append-only, chained, signed.
//!
//! An event is written in the transaction of what it tells ([`record`]). One leased sealer per database gives committed
//! events their positions and the chain's values ([`seal`]), and signs a checkpoint over each batch. [`verify`] finds what was
//! changed, taken, moved or cut.
//!
//! The chain, for ever: `chain(0)` is 32 zero bytes and
//! `chain(n) = SHA-256("portcullis.history/1" 0x00 chain(n-1) position row)`, where `position` is 8 bytes big-endian and `row`
//! is the sequence id, tag, at, account, project, case, token, actor, details, journal, personal digest, each written as
//! `LENGTH:BYTES,` in decimal (a netstring) or as `-,` where it is absent.

pub mod lines;
mod verification;

pub use verification::{Fault, Verification, verify};

use std::net::IpAddr;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::Instant;
use crate::ids::{AccountId, CaseId, EventId, PersonalId, ProjectId, TokenId};
use crate::server_key::{ServerKey, ServerKeyError};
use crate::store::events::{self, CheckpointRow, EventRow, Personal, SigningKey, SigningPurpose};
use crate::store::{self, Store, StoreError, Tx, leases};

/// Who did something.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Actor {
    /// An account, by session, management token or API token.
    Account {
        /// Its id.
        id: AccountId,
        /// Its name at that time.
        name: String,
    },
    /// A publisher's job.
    Publisher {
        /// The publisher's id.
        id: crate::ids::PublisherId,
        /// As people know it: `github.com/owner/name release.yml`.
        label: String,
    },
    /// Who works on the server itself, with `portcullis admin`.
    Operator,
    /// The server by itself.
    System {
        /// Which part of it.
        part: String,
    },
    /// Somebody who did not say who they are.
    Anonymous,
}

impl Actor {
    /// As a person reads it.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Account { name, .. } => name.clone(),
            Self::Publisher { label, .. } => label.clone(),
            Self::Operator => String::from("operator"),
            Self::System { part } => format!("system: {part}"),
            Self::Anonymous => String::from("somebody"),
        }
    }
}

/// From where a request came. Personal: it stands beside the history, not in it.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The client's address.
    pub address: IpAddr,
    /// The client's `User-Agent`, at most [`USER_AGENT_LIMIT`] bytes.
    pub user_agent: String,
}

/// Longest client name that is kept, in bytes.
pub const USER_AGENT_LIMIT: usize = 512;

/// Something that happened, to be recorded.
#[derive(Debug, Clone)]
pub struct Event {
    /// Colon-separated words, PyPI's where PyPI has one: `account:api_token:added`.
    pub tag: &'static str,
    /// Who did it.
    pub actor: Actor,
    /// The account whose page shows it.
    pub account: Option<AccountId>,
    /// The project whose page shows it.
    pub project: Option<ProjectId>,
    /// The case whose timeline shows it.
    pub case: Option<CaseId>,
    /// The token that it concerns.
    pub token: Option<TokenId>,
    /// What exactly: never a secret, never an address.
    pub details: serde_json::Value,
    /// Whether what the index shows of the project changes.
    pub journal: bool,
    /// From where.
    pub origin: Option<Origin>,
    /// Personal fields that were stored already (a use's): they stand beside this event too, instead of new ones of `origin`.
    pub personal: Option<Personal>,
}

impl Event {
    /// An event with a tag and an actor; the other fields are set by name.
    #[must_use]
    pub fn new(tag: &'static str, actor: Actor) -> Self {
        Self {
            tag,
            actor,
            account: None,
            project: None,
            case: None,
            token: None,
            details: serde_json::Value::Null,
            journal: false,
            origin: None,
            personal: None,
        }
    }
}

/// Writes an event in the transaction of what it tells.
///
/// # Errors
/// Where the database refuses.
pub async fn record(tx: &mut Tx, now: Instant, event: Event) -> store::Result<EventId> {
    let personal = match (event.personal, &event.origin) {
        (Some(personal), _) => Some(personal),
        (None, Some(origin)) => Some(keep_personal(tx, now, event.account, origin).await?),
        (None, None) => None,
    };
    let row = EventRow {
        id: EventId::new(),
        position: None,
        tag: event.tag.to_owned(),
        at: now,
        account_id: event.account,
        project_id: event.project,
        case_id: event.case,
        token_id: event.token,
        actor: serde_json::to_value(&event.actor).unwrap_or_default().to_string(),
        details: event.details.to_string(),
        journal: event.journal,
        personal_id: personal.as_ref().map(|personal| personal.id),
        personal_digest: personal.map(|personal| personal.digest),
        chain: None,
    };
    events::insert(tx, &row).await?;
    Ok(row.id)
}

/// Stores personal fields under a salted digest.
///
/// # Errors
/// Where the database refuses.
pub async fn keep_personal(
    tx: &mut Tx,
    now: Instant,
    account: Option<AccountId>,
    origin: &Origin,
) -> store::Result<Personal> {
    let salt: [u8; 16] = rand::random();
    let address = origin.address.to_string();
    let personal = Personal {
        id: PersonalId::new(),
        account_id: account,
        digest: personal_digest(&salt, &address, &origin.user_agent),
        salt: Some(salt.to_vec()),
        address: Some(address),
        user_agent: Some(origin.user_agent.clone()),
        erased_at: None,
    };
    events::insert_personal(tx, &personal, now).await?;
    Ok(personal)
}

fn personal_digest(salt: &[u8], address: &str, user_agent: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(salt);
    netstring(&mut hash, Some(address.as_bytes()));
    netstring(&mut hash, Some(user_agent.as_bytes()));
    hex::encode(hash.finalize())
}

fn netstring(hash: &mut Sha256, field: Option<&[u8]>) {
    match field {
        Some(bytes) => {
            hash.update(bytes.len().to_string());
            hash.update(b":");
            hash.update(bytes);
            hash.update(b",");
        }
        None => hash.update(b"-,"),
    }
}

type Chain = [u8; 32];

fn next_chain(previous: &Chain, position: i64, row: &EventRow) -> Chain {
    let mut hash = Sha256::new();
    hash.update(b"portcullis.history/1\0");
    hash.update(previous);
    hash.update(position.to_be_bytes());
    let fields = [
        Some(row.id.to_string()),
        Some(row.tag.clone()),
        Some(row.at.0.to_string()),
        row.account_id.map(|id| id.to_string()),
        row.project_id.map(|id| id.to_string()),
        row.case_id.map(|id| id.to_string()),
        row.token_id.map(|id| id.to_string()),
        Some(row.actor.clone()),
        Some(row.details.clone()),
        Some(i64::from(row.journal).to_string()),
        row.personal_digest.clone(),
    ];
    for field in &fields {
        netstring(&mut hash, field.as_deref().map(str::as_bytes));
    }
    hash.finalize().into()
}

fn parse_chain(text: &str) -> Option<Chain> {
    let mut chain = [0; 32];
    hex::decode_to_slice(text, &mut chain).ok()?;
    Some(chain)
}

/// What goes wrong while sealing or verifying.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signing key does not open.
    #[error("the key that signs checkpoints can't be used: {0}")]
    Key(#[from] ServerKeyError),
    /// The signing key or the last sealed row is unreadable.
    #[error("the security history can't be continued: {0}; run `portcullis admin verify-history`")]
    Unreadable(&'static str),
}

/// The Ed25519 key (RFC 8032) that signs for one purpose.
pub struct Signer {
    /// The first 16 hex digits of SHA-256 over the public key.
    pub id: String,
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Signer({})", self.id)
    }
}

impl Signer {
    /// The newest key of a purpose, made where there is none.
    ///
    /// # Errors
    /// Where the database refuses or the key does not open.
    pub async fn load(
        store: &Store,
        server_key: &ServerKey,
        purpose: SigningPurpose,
        now: Instant,
    ) -> Result<Self, HistoryError> {
        let mut tx = store.write().await?;
        // Two nodes that start at once must not both make a key.
        let lease = format!("signing-key:{purpose}");
        leases::hold(&mut tx, &lease, "make", now, now).await?;
        if let Some(key) = events::signing_keys(&mut tx, purpose).await?.pop() {
            let seed = server_key.open(&key_place(&key.id), &key.sealed_seed)?;
            let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
                .map_err(|_| HistoryError::Unreadable("the signing key is not an Ed25519 seed"))?;
            return Ok(Self { id: key.id, pair });
        }
        let seed: zeroize::Zeroizing<[u8; 32]> = zeroize::Zeroizing::new(rand::random());
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
            .map_err(|_| HistoryError::Unreadable("no signing key could be made"))?;
        let id = key_id(pair.public_key().as_ref());
        let key = SigningKey {
            id: id.clone(),
            purpose,
            public_key: hex::encode(pair.public_key().as_ref()),
            sealed_seed: server_key.seal(&key_place(&id), seed.as_slice())?,
        };
        events::insert_signing_key(&mut tx, &key, now).await?;
        tx.commit().await?;
        Ok(Self { id, pair })
    }

    /// The signature of `message`, hex.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> String {
        hex::encode(self.pair.sign(message).as_ref())
    }

    /// The public key, hex.
    #[must_use]
    pub fn public_key(&self) -> String {
        hex::encode(self.pair.public_key().as_ref())
    }
}

/// Where a signing key's seed is sealed for: it opens in no other row.
fn key_place(id: &str) -> String {
    format!("signing_keys:{id}")
}

fn key_id(public_key: &[u8]) -> String {
    hex::encode(Sha256::digest(public_key)).chars().take(16).collect()
}

/// A signed statement that the history had this value at this position: what an operator keeps elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Checkpoint {
    /// Always `portcullis.checkpoint/1`.
    pub schema: String,
    /// The last position that it covers.
    pub position: i64,
    /// The chain's value there, hex.
    pub chain: String,
    /// When it was signed, in microseconds since 1970.
    pub at: i64,
    /// The id of the key.
    pub key: String,
    /// The key itself, hex.
    pub public_key: String,
    /// Ed25519 over [`checkpoint_message`], hex.
    pub signature: String,
}

/// What a checkpoint's signature covers.
#[must_use]
pub fn checkpoint_message(position: i64, chain: &str, at: i64) -> String {
    format!("portcullis.checkpoint/1\n{position}\n{chain}\n{at}\n")
}

/// How long a server's sealer keeps its lease without renewing it, in seconds. Another node takes over after that.
pub const SEALER_LEASE_SECONDS: i64 = 10;

/// Most events that one batch seals: bounds the transaction.
const BATCH_LIMIT: i64 = 2_000;

/// Seals one batch: positions, chain, serials and a signed checkpoint, in one transaction fenced by the sealer's lease.
/// Returns the checkpoint, or none where there was nothing to seal or another node seals. The lease is kept for `lease_seconds`:
/// none for a command that seals once and goes.
///
/// # Errors
/// Where the database refuses or the last sealed row is unreadable.
pub async fn seal(
    store: &Store,
    signer: &Signer,
    holder: &str,
    lease_seconds: i64,
    now: Instant,
) -> Result<Option<Checkpoint>, HistoryError> {
    let mut tx = store.write().await?;
    let until = now.plus_seconds(lease_seconds);
    if leases::hold(&mut tx, "sealer", holder, until, now).await?.is_none() {
        return Ok(None);
    }
    let batch = events::unsealed(&mut tx, BATCH_LIMIT).await?;
    if batch.is_empty() {
        if lease_seconds == 0 {
            // Whoever goes gives the lease back, so that the next one need not wait for its end.
            tx.commit().await?;
        }
        return Ok(None);
    }
    let (mut position, mut chain) = match events::last_sealed(&mut tx).await? {
        Some(last) => {
            let chain = last.chain.as_deref().and_then(parse_chain);
            let chain =
                chain.ok_or(HistoryError::Unreadable("the last sealed event has no readable chain"))?;
            (last.position.unwrap_or(0), chain)
        }
        None => (0, [0; 32]),
    };
    let first_position = position + 1;
    let mut serials = std::collections::BTreeMap::new();
    for event in &batch {
        position += 1;
        chain = next_chain(&chain, position, event);
        events::seal(&mut tx, event.id, position, &hex::encode(chain)).await?;
        if let (true, Some(project)) = (event.journal, event.project_id) {
            serials.insert(project, position);
        }
    }
    // In the order of ids, as mints lock the projects of a publisher.
    for (project, serial) in serials {
        events::set_serial(&mut tx, project, serial).await?;
    }
    let chain = hex::encode(chain);
    let row = CheckpointRow {
        first_position,
        last_position: position,
        at: now,
        key_id: signer.id.clone(),
        signature: signer.sign(checkpoint_message(position, &chain, now.0).as_bytes()),
        chain,
    };
    events::insert_checkpoint(&mut tx, &row).await?;
    tx.commit().await?;
    Ok(Some(checkpoint(&row, signer.public_key())))
}

fn checkpoint(row: &CheckpointRow, public_key: String) -> Checkpoint {
    Checkpoint {
        schema: String::from("portcullis.checkpoint/1"),
        position: row.last_position,
        chain: row.chain.clone(),
        at: row.at.0,
        key: row.key_id.clone(),
        public_key,
        signature: row.signature.clone(),
    }
}
