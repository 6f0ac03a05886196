//! Reading the whole history again: what was changed, taken, moved or cut, and what the sealer never signed.
//!
//! A row counts only under a checkpoint, and a checkpoint only under a key whose seed opens with the server key: whoever can
//! write the database but does not hold that key can recompute the chain, and can't sign it. The evidence of use, which lies
//! in a table of its own, is compared with the events that tell of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::Serialize;

use super::{
    Chain, Checkpoint, HistoryError, checkpoint, checkpoint_message, key_id, key_place, next_chain,
    parse_chain, personal_digest,
};
use crate::clock::{Instant, SECOND};
use crate::ids::{AccountId, EventId, PersonalId, UseId};
use crate::server_key::ServerKey;
use crate::store::events::{self, CheckpointRow, EventRow, Personal, SigningPurpose};
use crate::store::{Store, Tx, token_uses};

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
    /// Sealed rows stand under no checkpoint: the sealer always signs what it seals.
    Unsigned {
        /// The first of them.
        position: i64,
    },
    /// A signing key in the database is not one that this server made.
    ForeignKey {
        /// Its id.
        key: String,
    },
    /// Personal fields are not those that the event was recorded with.
    Personal {
        /// The event's position.
        position: i64,
    },
    /// A recorded use of a token and the event that tells of it differ, or one of them is gone.
    Use {
        /// The use.
        use_id: UseId,
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
            Self::Cut { last, covered } => {
                write!(
                    formatter,
                    "the history was cut: it ends at event {last}, a checkpoint covers event {covered}"
                )
            }
            Self::Checkpoint { position } => {
                write!(formatter, "the checkpoint at event {position} does not fit the history")
            }
            Self::Unsigned { position } => {
                write!(
                    formatter,
                    "event {position} and what follows stand under no checkpoint: the chain was made anew"
                )
            }
            Self::ForeignKey { key } => {
                write!(formatter, "the signing key {key} is not one that was made with this server key")
            }
            Self::Personal { position } => {
                write!(
                    formatter,
                    "the personal fields of event {position} were changed or taken without an erasure"
                )
            }
            Self::Use { use_id } => {
                write!(
                    formatter,
                    "the use {use_id} of a token and the event that tells of it differ, or one is gone"
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
        match (self.faults.len(), self.outside) {
            (0, Some(position)) => {
                format!("consistent; the outside checkpoint at event {position} is included")
            }
            (0, None) => {
                String::from("consistent; a cut after the last outside checkpoint can't be excluded")
            }
            (faults, _) => {
                format!("NOT consistent; {faults} faults, the first of them the cause of others perhaps")
            }
        }
    }

    /// What was read, as a person reads it.
    #[must_use]
    pub fn extent(&self) -> String {
        match self.erased {
            0 => format!("{} events", self.events),
            erased => format!("{} events, the personal fields of {erased} erased", self.events),
        }
    }
}

/// Most faults that a verification lists: after the first, later ones often only follow from it.
const FAULT_LIMIT: usize = 100;

/// How long an event may wait for the sealer before that is a fault, in seconds.
const UNSEALED_SECONDS: i64 = 60;

/// Reads the whole history and finds what was changed, taken, moved or cut.
///
/// # Errors
/// Where the database refuses.
pub async fn verify(
    store: &Store,
    server_key: &ServerKey,
    outside: Option<&Checkpoint>,
    now: Instant,
) -> Result<Verification, HistoryError> {
    // The sealer goes on meanwhile: what it seals after the checkpoints were read would stand under none of them.
    let mut tx = store.snapshot().await?;
    let keys = Keys::load(&mut tx, server_key).await?;
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
    walk.end();
    walk.unsealed(&mut tx, now).await?;
    walk.uses(&mut tx).await?;
    let newest =
        checkpoints.last().and_then(|row| Some(checkpoint(row, keys.known.get(&row.key_id)?.clone())));
    Ok(Verification {
        events: walk.events,
        erased: walk.erased,
        faults: walk.faults,
        outside: outside.map(|checkpoint| checkpoint.position),
        newest,
    })
}

/// The public keys (hex) of the signing keys that this server made, by id.
struct Keys {
    known: HashMap<String, String>,
    foreign: Vec<String>,
}

impl Keys {
    async fn load(tx: &mut Tx, server_key: &ServerKey) -> Result<Self, HistoryError> {
        let mut keys = Self { known: HashMap::new(), foreign: Vec::new() };
        for row in events::signing_keys(tx, SigningPurpose::Checkpoint).await? {
            let seed = server_key.open(&key_place(&row.id), &row.sealed_seed).ok();
            let pair = seed.and_then(|seed| Ed25519KeyPair::from_seed_unchecked(&seed).ok());
            match pair {
                Some(pair)
                    if key_id(pair.public_key().as_ref()) == row.id
                        && hex::encode(pair.public_key().as_ref()) == row.public_key =>
                {
                    keys.known.insert(row.id, row.public_key);
                }
                _ => keys.foreign.push(row.id),
            }
        }
        Ok(keys)
    }

    fn signed(&self, row: &CheckpointRow) -> bool {
        let message = checkpoint_message(row.last_position, &row.chain, row.at.0);
        self.known.get(&row.key_id).is_some_and(|key| signature_holds(key, &message, &row.signature))
    }
}

fn signature_holds(public_key: &str, message: &str, signature: &str) -> bool {
    let (Ok(public_key), Ok(signature)) = (hex::decode(public_key), hex::decode(signature)) else {
        return false;
    };
    UnparsedPublicKey::new(&ED25519, public_key).verify(message.as_bytes(), &signature).is_ok()
}

struct Walk<'a> {
    checkpoints: BTreeMap<i64, &'a CheckpointRow>,
    keys: &'a Keys,
    outside: Option<&'a Checkpoint>,
    chain: Chain,
    seen: i64,
    last: i64,
    /// The last position that stands under a checkpoint.
    signed: i64,
    events: i64,
    erased: i64,
    /// Fields that say of themselves that they were erased: whose, when, and at which event.
    erasures_claimed: Vec<(Option<AccountId>, Instant, i64)>,
    erasures: HashSet<(AccountId, i64)>,
    uses: HashMap<UseId, ToldUse>,
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

/// What an event tells of a use.
#[derive(Debug, PartialEq, Eq)]
struct ToldUse {
    token: Option<String>,
    at: i64,
    filename: Option<String>,
    sha256: Option<String>,
    personal: Option<PersonalId>,
}

/// Most misfits that are told apart: the comparison grows with their cube.
const MISFIT_LIMIT: usize = 30;

impl<'a> Walk<'a> {
    fn new(checkpoints: &'a [CheckpointRow], keys: &'a Keys, outside: Option<&'a Checkpoint>) -> Self {
        let mut walk = Self {
            checkpoints: checkpoints.iter().map(|row| (row.last_position, row)).collect(),
            keys,
            outside,
            chain: [0; 32],
            seen: 0,
            last: 0,
            signed: 0,
            events: 0,
            erased: 0,
            erasures_claimed: Vec::new(),
            erasures: HashSet::new(),
            uses: HashMap::new(),
            misfits: Vec::new(),
            faults: Vec::new(),
        };
        for key in &keys.foreign {
            walk.fault(Fault::ForeignKey { key: key.clone() });
        }
        walk
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
        if let (true, Some(account)) = (row.tag == "account:erase", row.account_id) {
            self.erasures.insert((account, row.at.0));
        }
        self.note_use(row);
    }

    fn note_use(&mut self, row: &EventRow) {
        let Ok(details) = serde_json::from_str::<serde_json::Value>(&row.details) else { return };
        let text = |key: &str| details.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
        let Some(use_id) = text("use_id").and_then(|id| id.parse().ok()) else { return };
        let told = ToldUse {
            token: row.token_id.map(|id| id.to_string()),
            at: row.at.0,
            filename: text("filename"),
            sha256: text("sha256"),
            personal: row.personal_id,
        };
        self.uses.insert(use_id, told);
    }

    fn check(&mut self, position: i64) {
        let chain = hex::encode(self.chain);
        if let Some(row) = self.checkpoints.remove(&position) {
            if !self.keys.signed(row) || row.chain != chain {
                self.fault(Fault::Checkpoint { position });
            }
            // Batches tile the history: each begins where the one before it ended.
            if row.first_position != self.signed + 1 {
                self.fault(Fault::Unsigned { position: self.signed + 1 });
            }
            self.signed = position;
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
            Some(Personal { erased_at: Some(at), digest: kept, account_id, .. }) if kept == digest => {
                self.erased += 1;
                self.erasures_claimed.push((account_id, at, position));
            }
            Some(Personal { salt: Some(salt), address: Some(address), user_agent: Some(agent), .. })
                if personal_digest(&salt, &address, &agent) == digest => {}
            _ => self.fault(Fault::Personal { position }),
        }
        Ok(())
    }

    fn end(&mut self) {
        self.classify();
        let inside = self.checkpoints.keys().next_back().copied().unwrap_or(0);
        let outside = self.outside.map_or(0, |checkpoint| checkpoint.position);
        if inside.max(outside) > self.last {
            self.fault(Fault::Cut { last: self.last, covered: inside.max(outside) });
        } else if self.last > self.signed {
            self.fault(Fault::Unsigned { position: self.signed + 1 });
        }
        if let Some(outside) = self.outside.filter(|outside| outside.position < 1) {
            self.fault(Fault::Checkpoint { position: outside.position });
        }
        // The erasure's own event comes later than what it erased.
        for (account, at, position) in std::mem::take(&mut self.erasures_claimed) {
            if !account.is_some_and(|account| self.erasures.contains(&(account, at.0))) {
                self.fault(Fault::Personal { position });
            }
        }
    }

    async fn unsealed(&mut self, tx: &mut Tx, now: Instant) -> Result<(), HistoryError> {
        for event in events::unsealed(tx, 10_000).await? {
            if event.at.0 + UNSEALED_SECONDS * SECOND < now.0 {
                self.fault(Fault::Unsealed { id: event.id });
            }
            self.note_use(&event);
        }
        Ok(())
    }

    /// Every recorded use must be told by an event, and the other way round.
    async fn uses(&mut self, tx: &mut Tx) -> Result<(), HistoryError> {
        let mut after = None;
        loop {
            let page = token_uses::page(tx, after, 1_000).await?;
            let Some(last) = page.last().map(|(one, _)| one.id) else { break };
            for (one, personal) in page {
                let recorded = ToldUse {
                    token: Some(one.token_id.to_string()),
                    at: one.at.0,
                    filename: one.filename,
                    sha256: one.file_sha256,
                    personal,
                };
                if self.uses.remove(&one.id) != Some(recorded) {
                    self.fault(Fault::Use { use_id: one.id });
                }
            }
            after = Some(last);
        }
        let gone: Vec<UseId> = self.uses.keys().copied().collect();
        for use_id in gone {
            self.fault(Fault::Use { use_id });
        }
        Ok(())
    }

    /// Tells rows that stand in another's place from rows that were changed. A row that fits its own place once its
    /// neighbour's value is right is neither.
    fn classify(&mut self) {
        let misfits = std::mem::take(&mut self.misfits);
        let befores: Vec<Chain> =
            misfits.iter().flat_map(|misfit| [Some(misfit.before), misfit.stored]).flatten().collect();
        let sealed: HashSet<Chain> = misfits.iter().filter_map(|misfit| misfit.stored).collect();
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
}
