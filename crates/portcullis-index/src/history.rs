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

use std::net::IpAddr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::{Instant, SECOND};
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
        }
    }
}

/// Writes an event in the transaction of what it tells.
///
/// # Errors
/// Where the database refuses.
pub async fn record(tx: &mut Tx, now: Instant, event: Event) -> store::Result<EventId> {
    let personal = match &event.origin {
        Some(origin) => Some(keep_personal(tx, now, event.account, origin).await?),
        None => None,
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
        let place = |id: &str| format!("signing_keys:{id}");
        if let Some(key) = events::signing_keys(&mut tx, purpose).await?.pop() {
            let seed = server_key.open(&place(&key.id), &key.sealed_seed)?;
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
            sealed_seed: server_key.seal(&place(&id), seed.as_slice())?,
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

fn signature_holds(public_key: &str, message: &str, signature: &str) -> bool {
    let (Ok(public_key), Ok(signature)) = (hex::decode(public_key), hex::decode(signature)) else {
        return false;
    };
    UnparsedPublicKey::new(&ED25519, public_key).verify(message.as_bytes(), &signature).is_ok()
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
    for event in &batch {
        position += 1;
        chain = next_chain(&chain, position, event);
        events::seal(&mut tx, event.id, position, &hex::encode(chain)).await?;
        if let (true, Some(project)) = (event.journal, event.project_id) {
            events::set_serial(&mut tx, project, position).await?;
        }
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

/// What is wrong at one place of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum Fault {
    /// The row, or one before it, is not what was sealed.
    Changed {
        /// Where the chain first disagrees.
        position: i64,
    },
    /// No row has this position.
    Missing {
        /// Which.
        position: i64,
    },
    /// A row that belongs elsewhere has this position.
    Reordered {
        /// Which.
        position: i64,
    },
    /// Rows at the end are gone: a checkpoint covers more than there is.
    Cut {
        /// The last position that is there.
        last: i64,
        /// The position that the checkpoint covers.
        covered: i64,
    },
    /// A checkpoint's signature does not hold, or its chain is not the history's.
    Checkpoint {
        /// The position that it covers.
        position: i64,
    },
    /// Personal fields are not those that the event was recorded with.
    Personal {
        /// The event's position.
        position: i64,
    },
    /// An event waits to be sealed for longer than a running sealer leaves it.
    Unsealed {
        /// Which.
        id: EventId,
    },
}

impl std::fmt::Display for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Changed { position } => {
                write!(formatter, "event {position} was changed after it was sealed")
            }
            Self::Missing { position } => write!(formatter, "event {position} is missing"),
            Self::Reordered { position } => {
                write!(formatter, "event {position} is out of order: another event stands in its place")
            }
            Self::Cut { last, covered } => write!(
                formatter,
                "the history was cut: it ends at event {last}, a checkpoint covers event {covered}"
            ),
            Self::Checkpoint { position } => {
                write!(formatter, "the checkpoint at event {position} does not fit the history")
            }
            Self::Personal { position } => {
                write!(
                    formatter,
                    "the personal fields of event {position} were changed or taken without an erasure"
                )
            }
            Self::Unsealed { id } => write!(formatter, "event {id} was never sealed; is a server running?"),
        }
    }
}

/// The result of a verification.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    /// How many sealed events were read.
    pub events: i64,
    /// How many of them have had their personal fields erased.
    pub erased: i64,
    /// What is wrong; empty where nothing is.
    pub faults: Vec<Fault>,
    /// The position that the outside checkpoint covers, where one was given.
    pub outside: Option<i64>,
    /// The newest checkpoint, to be kept elsewhere.
    pub newest: Option<Checkpoint>,
}

impl Verification {
    /// The one sentence that tells how far the result reaches.
    #[must_use]
    pub fn sentence(&self) -> String {
        let erased = if self.erased > 0 {
            format!(", the personal fields of {} erased", self.erased)
        } else {
            String::new()
        };
        match (self.faults.len(), self.outside) {
            (0, Some(position)) => {
                format!(
                    "consistent: {} events{erased}; the outside checkpoint at event {position} is included",
                    self.events
                )
            }
            (0, None) => format!(
                "consistent; a cut after the last outside checkpoint can't be excluded ({} events{erased})",
                self.events
            ),
            (faults, _) => format!("NOT consistent: {faults} faults in {} events{erased}", self.events),
        }
    }
}

/// Most faults that a verification lists: after the first, later ones often only follow from it.
const FAULT_LIMIT: usize = 100;

/// Reads the whole history and finds what was changed, taken, moved or cut.
///
/// # Errors
/// Where the database refuses.
pub async fn verify(
    store: &Store,
    outside: Option<&Checkpoint>,
    now: Instant,
) -> Result<Verification, HistoryError> {
    let mut tx = store.read().await?;
    let keys = events::signing_keys(&mut tx, SigningPurpose::Checkpoint).await?;
    let checkpoints = events::checkpoints(&mut tx).await?;
    let mut walk = Walk::new(&checkpoints, &keys, outside);
    loop {
        let rows = events::sealed_after(&mut tx, walk.seen, 1_000).await?;
        let Some(last) = rows.last().and_then(|row| row.position) else { break };
        for row in &rows {
            walk.step(row);
            walk.personal(&mut tx, row).await?;
        }
        walk.seen = last;
    }
    walk.end(outside);
    for event in events::unsealed(&mut tx, 10).await? {
        if event.at.0 + 60 * SECOND < now.0 {
            walk.faults.push(Fault::Unsealed { id: event.id });
        }
    }
    let newest = checkpoints.last().and_then(|row| {
        let key = keys.iter().find(|key| key.id == row.key_id)?;
        Some(checkpoint(row, key.public_key.clone()))
    });
    Ok(Verification {
        events: walk.events,
        erased: walk.erased,
        faults: walk.faults,
        outside: outside.map(|checkpoint| checkpoint.position),
        newest,
    })
}

struct Walk<'a> {
    checkpoints: std::collections::BTreeMap<i64, &'a CheckpointRow>,
    keys: &'a [SigningKey],
    outside: Option<&'a Checkpoint>,
    chain: Chain,
    seen: i64,
    last: i64,
    events: i64,
    erased: i64,
    misfits: Vec<Misfit>,
    faults: Vec<Fault>,
}

/// A row whose stored value does not follow from the one before it.
struct Misfit {
    position: i64,
    before: Chain,
    stored: Option<Chain>,
    row: EventRow,
}

/// Most misfits that are told apart: the comparison grows with their cube.
const MISFIT_LIMIT: usize = 30;

impl<'a> Walk<'a> {
    fn new(
        checkpoints: &'a [CheckpointRow],
        keys: &'a [SigningKey],
        outside: Option<&'a Checkpoint>,
    ) -> Self {
        Self {
            checkpoints: checkpoints.iter().map(|row| (row.last_position, row)).collect(),
            keys,
            outside,
            chain: [0; 32],
            seen: 0,
            last: 0,
            events: 0,
            erased: 0,
            misfits: Vec::new(),
            faults: Vec::new(),
        }
    }

    fn fault(&mut self, fault: Fault) {
        if self.faults.len() < FAULT_LIMIT && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    fn step(&mut self, row: &EventRow) {
        let position = row.position.unwrap_or(0);
        for missing in self.last + 1..position.min(self.last + 1 + FAULT_LIMIT as i64) {
            self.fault(Fault::Missing { position: missing });
        }
        let stored = row.chain.as_deref().and_then(parse_chain);
        let expected = next_chain(&self.chain, position, row);
        if position == self.last + 1 && stored != Some(expected) && self.misfits.len() < MISFIT_LIMIT {
            self.misfits.push(Misfit { position, before: self.chain, stored, row: row.clone() });
        }
        // Going on from the stored value confines a fault to its place; the checkpoints still bind the stored values.
        self.chain = stored.unwrap_or(expected);
        self.check(position);
        self.last = position;
        self.events += 1;
    }

    /// Tells rows that stand in another's place from rows that were changed. A row that fits its own place once its
    /// neighbour's value is right is neither.
    fn classify(&mut self) {
        let misfits = std::mem::take(&mut self.misfits);
        let befores: Vec<Chain> =
            misfits.iter().flat_map(|misfit| [Some(misfit.before), misfit.stored]).flatten().collect();
        let sealed: std::collections::HashSet<Chain> =
            misfits.iter().filter_map(|misfit| misfit.stored).collect();
        let places: Vec<i64> = misfits.iter().map(|misfit| misfit.position).collect();
        let fits = |misfit: &Misfit, place: i64| {
            befores.iter().any(|before| sealed.contains(&next_chain(before, place, &misfit.row)))
        };
        let mut found = false;
        for misfit in &misfits {
            let position = misfit.position;
            if fits(misfit, position) {
                continue;
            }
            found = true;
            let moved = places.iter().any(|place| *place != position && fits(misfit, *place));
            self.fault(if moved { Fault::Reordered { position } } else { Fault::Changed { position } });
        }
        if let (false, Some(first)) = (found, misfits.first()) {
            self.fault(Fault::Changed { position: first.position });
        }
    }

    fn check(&mut self, position: i64) {
        let chain = hex::encode(self.chain);
        if let Some(row) = self.checkpoints.remove(&position) {
            let message = checkpoint_message(row.last_position, &row.chain, row.at.0);
            let key = self.keys.iter().find(|key| key.id == row.key_id);
            let holds = key.is_some_and(|key| signature_holds(&key.public_key, &message, &row.signature));
            if !holds || row.chain != chain {
                self.fault(Fault::Checkpoint { position });
            }
        }
        if let Some(outside) = self.outside.filter(|outside| outside.position == position) {
            let message = checkpoint_message(outside.position, &outside.chain, outside.at);
            if outside.chain != chain || !signature_holds(&outside.public_key, &message, &outside.signature) {
                self.fault(Fault::Checkpoint { position });
            }
        }
    }

    async fn personal(&mut self, tx: &mut Tx, row: &EventRow) -> Result<(), HistoryError> {
        let (Some(id), Some(digest)) = (row.personal_id, row.personal_digest.as_deref()) else {
            return Ok(());
        };
        let position = row.position.unwrap_or(0);
        match events::personal(tx, id).await? {
            Some(personal) if personal.erased_at.is_some() && personal.digest == digest => self.erased += 1,
            Some(Personal { salt: Some(salt), address: Some(address), user_agent: Some(agent), .. })
                if personal_digest(&salt, &address, &agent) == digest => {}
            _ => self.fault(Fault::Personal { position }),
        }
        Ok(())
    }

    fn end(&mut self, outside: Option<&Checkpoint>) {
        self.classify();
        let inside = self.checkpoints.keys().next_back().copied().unwrap_or(0);
        let covered = inside.max(outside.map_or(0, |checkpoint| checkpoint.position));
        if covered > self.last {
            self.fault(Fault::Cut { last: self.last, covered });
        }
    }
}
