//! Steps that were followed before. The versions of a workflow share nearly all of their steps, and so do its
//! combinations with the scripts that it calls: what a step does is followed once for each distinct text of it, each
//! distinct state that it meets and each content of what it calls, and put back wherever the same stands again.
//!
//! What following a step depends on is all in its key, or asked for again: its own text, the environment, what earlier steps and
//! jobs left, and the files of the repository that it opened. Only the way by which a secret came is left out of the
//! key but for its last hop and those in other files, for the rest decides nothing; it is continued from where the secret comes from here. A step for which that does not hold
//! (YAML anchors, a limit of the whole workflow that was hit) is followed anew each time.

mod key;
mod moved;
mod program;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use super::job::Called;
use super::trace::{Delivery, Observation, Publishing};
use super::value::{Carried, Trail, Value};
use super::{DELIVERIES_MAX, FILES_MAX, JobState, LocalFile, Tracer, share_of, sorted};
use crate::span::Bytes;
use crate::workflow::Job;
pub(super) use key::may_have_anchors;
use key::{Key, Ways, add, add_value, add_values, digest, stretch_of};
use moved::{Moved, changes};
pub(super) use program::Run;

/// Most bytes that the known steps of one scan take, as far as they can be told.
const KNOWN_BYTES_MAX: usize = 48 * 1024 * 1024;
/// Locks that they are spread over, so that threads rarely wait for each other.
const SHARDS: usize = 16;
/// Most bytes that earlier steps may have left: reading them through for each step would cost more than following it.
const STATE_BYTES_MAX: usize = 1024 * 1024;
/// Most contents of called files that are told apart for one step.
const CONTENTS_MAX: usize = 1_024;

/// The steps that one scan has followed.
pub(crate) struct KnownSteps {
    shards: Vec<Mutex<Shard>>,
}

#[derive(Default)]
struct Shard {
    steps: HashMap<Key, Vec<Arc<Followed>>>,
    bytes: usize,
}

thread_local! {
    static OF_THIS_SCAN: std::cell::RefCell<Option<Arc<KnownSteps>>> = const { std::cell::RefCell::new(None) };
}

impl KnownSteps {
    /// None yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() })
    }

    /// Has this thread look here before it follows a step. Without it every step is followed.
    pub(crate) fn use_in_this_thread(self: Arc<Self>) {
        OF_THIS_SCAN.set(Some(self));
    }

    fn shard(&self, key: &Key) -> Option<&Mutex<Shard>> {
        self.shards.get(usize::from(key.first().copied().unwrap_or(0)) % SHARDS)
    }

    fn find(&self, key: &Key, fits: impl FnMut(&&Arc<Followed>) -> bool) -> Option<Arc<Followed>> {
        let shard = self.shard(key)?.lock().ok()?;
        shard.steps.get(key)?.iter().find(fits).cloned()
    }

    /// Puts back what the same was followed to before, and says what a program prints; `None` if it was not followed.
    fn put_back(&self, tracer: &mut Tracer<'_>, state: &mut JobState, met: &Met) -> Option<Value> {
        let mut contents = Contents::default();
        let followed = self.find(&met.key, |followed| followed.fits(tracer, met, &mut contents))?;
        Some(followed.put_back(tracer, state, met))
    }

    fn keep(&self, key: Key, followed: Followed) {
        let Some(mut shard) = self.shard(&key).and_then(|shard| shard.lock().ok()) else { return };
        let size = followed.size();
        if size > KNOWN_BYTES_MAX / SHARDS / 2 {
            return;
        }
        if shard.bytes + size > KNOWN_BYTES_MAX / SHARDS {
            *shard = Shard::default();
        }
        let same = shard.steps.entry(key).or_default();
        if same.len() < CONTENTS_MAX {
            same.push(Arc::new(followed));
            shard.bytes += size;
        }
    }
}

/// What following a step led to, at the place where it was followed.
struct Followed {
    /// Which of the trace's files the step stood in, and where its text began.
    home: usize,
    start: u32,
    /// The ways by which the secrets that it met had come.
    met: Vec<Trail>,
    /// Files of the repository that it asked for, in this order, with what was in them.
    opened: Vec<(String, Content)>,
    /// Paths of the files that its places speak of, by their number then.
    files: BTreeMap<usize, String>,
    deliveries: Vec<Delivery>,
    observations: Vec<Observation>,
    publishings: Vec<Publishing>,
    decoded: Vec<String>,
    other_work: usize,
    share: u32,
    spent: u32,
    /// Whether programs that it ran took shares of its own.
    parted: bool,
    /// Whether it took all of its share, and was followed no further.
    exhausted: bool,
    /// Why it was not followed whole.
    incomplete: Option<&'static str>,
    /// Whether that leaves a file of the repository out.
    unread: bool,
    left: Left,
    /// What a program printed.
    output: Value,
}

/// What a step changed of what its job's steps leave for each other; `None` is what it removed.
#[derive(Default)]
struct Left {
    files: Vec<(String, Option<Value>)>,
    added: Vec<(String, Option<Value>)>,
    outputs: Vec<((String, String), Option<Value>)>,
    remotes: Vec<(String, Option<Value>)>,
    folders: Option<Folders>,
}

/// Where the script stands, where `pushd` came from, and what stands before all else on the path.
#[derive(Clone, PartialEq, Eq)]
struct Folders {
    here: String,
    before: Vec<String>,
    path: Vec<String>,
}

impl Folders {
    fn of(state: &JobState) -> Self {
        Self { here: state.folder.clone(), before: state.folders.clone(), path: state.path.clone() }
    }
}

/// What all steps of a job meet alike.
pub(super) struct Known {
    steps: Arc<KnownSteps>,
    /// Which of the trace's files the job stands in.
    home: usize,
    hash: Sha256,
    met: Ways,
    /// Where the text of the last step ended: steps that share a line are not told apart.
    end: u32,
}

/// What a step meets.
pub(super) struct Met {
    key: Key,
    /// How much work it may take.
    share: u32,
    home: usize,
    own: Range<u32>,
    met: Vec<Trail>,
}

/// A step that is being followed, to be kept afterwards.
pub(super) struct Begun {
    met: Met,
    before: JobState,
    decoded: BTreeSet<String>,
    deliveries: usize,
    observations: usize,
    publishings: usize,
    other_work: usize,
    /// Why what came before is not whole.
    incomplete: Option<&'static str>,
    /// Whether a file was left out before.
    unread: bool,
}

impl Known {
    /// For the steps of one job; `None` where a step's text does not say all about it.
    pub(super) fn new(
        tracer: &Tracer<'_>,
        job: &Job,
        shell: &str,
        called: &Called,
        environment: &HashMap<String, Value>,
        jobs: &HashMap<String, HashMap<String, Value>>,
        matrix: &HashMap<String, Vec<Value>>,
    ) -> Option<Self> {
        let steps = OF_THIS_SCAN.with_borrow(Clone::clone)?;
        let home = called.file;
        let has_anchors = match home {
            0 => tracer.has_anchors,
            _ => may_have_anchors(&tracer.trace.files.get(home)?.text),
        };
        if job.steps.is_empty() || has_anchors {
            return None;
        }
        let mut known = Self {
            steps,
            home,
            hash: Sha256::new(),
            met: Ways::through(tracer, &called.callers, home),
            end: 0,
        };
        add(&mut known.hash, shell.as_bytes());
        known.hash.update([u8::from(tracer.self_hosted)]);
        known.hash.update((called.depth as u64).to_le_bytes());
        let (hash, met) = (&mut known.hash, &mut known.met);
        for handed in [&called.inputs, &called.secrets] {
            hash.update([u8::from(handed.is_some())]);
            if let Some(handed) = handed {
                add_values(hash, met, handed)?;
            }
        }
        add_values(hash, met, environment)?;
        for (id, outputs) in sorted(jobs) {
            add(hash, id.as_bytes());
            add_values(hash, met, outputs)?;
        }
        hash.update([u8::MAX; 16]);
        for (axis, values) in sorted(matrix) {
            add(hash, axis.as_bytes());
            hash.update((values.len() as u64).to_le_bytes());
            for value in values {
                add_value(hash, met, value)?;
            }
        }
        Some(known)
    }

    /// What a step that stands at these bytes meets.
    pub(super) fn met(&mut self, tracer: &Tracer<'_>, state: &JobState, step: Bytes) -> Option<Met> {
        let text = &tracer.trace.files.get(self.home)?.text;
        let own = stretch_of(text, step);
        let follows = self.end <= own.start;
        self.end = own.end;
        if !follows {
            return None;
        }
        self.met.note_files(tracer);
        let (mut hash, mut met) = (self.hash.clone(), self.met.clone());
        add(&mut hash, text.get(own.start as usize..own.end as usize)?.as_bytes());
        // The same line means something else where a quote is open already: which of it is the step is not in its text.
        hash.update((step.start - own.start).to_le_bytes());
        hash.update((step.end - own.start).to_le_bytes());
        // All of them, whatever others there will be.
        let JobState { files, added, outputs, remotes, path, folder, folders, is_full } = state;
        let size = |values: &HashMap<String, Value>| values.values().map(Value::size).sum::<usize>();
        if *is_full || size(files) + size(added) + size(remotes) > STATE_BYTES_MAX {
            return None;
        }
        for values in [files, added, remotes] {
            add_values(&mut hash, &mut met, values)?;
        }
        add(&mut hash, folder.as_bytes());
        for folders in [path, folders] {
            hash.update((folders.len() as u64).to_le_bytes());
            for folder in folders {
                add(&mut hash, folder.as_bytes());
            }
        }
        for ((step, name), value) in sorted(outputs) {
            add(&mut hash, step.as_bytes());
            add(&mut hash, name.as_bytes());
            add_value(&mut hash, &mut met, value)?;
        }
        hash.update([u8::MAX; 16]);
        for text in &tracer.decoded {
            add(&mut hash, text.as_bytes());
        }
        let share = share_of(tracer.budget);
        Some(Met { key: hash.finalize().into(), share, home: self.home, own, met: met.trails })
    }

    /// Puts back what the same step was followed to before; `false` if it was not.
    pub(super) fn recall(&self, tracer: &mut Tracer<'_>, state: &mut JobState, met: &Met) -> bool {
        self.steps.put_back(tracer, state, met).is_some()
    }

    /// After the step was followed.
    pub(super) fn keep(&self, tracer: &mut Tracer<'_>, state: &JobState, begun: Begun) {
        begun.keep(&self.steps, tracer, state, Value::empty());
    }
}

impl Begun {
    /// Before a step is followed.
    pub(super) fn with(tracer: &mut Tracer<'_>, state: &JobState, met: Met) -> Begun {
        tracer.opened.clear();
        tracer.lacked_room = false;
        tracer.parted = false;
        let incomplete = tracer.trace.incomplete.take();
        let unread = std::mem::take(&mut tracer.trace.unread);
        let trace = &tracer.trace;
        Begun {
            met,
            incomplete,
            unread,
            before: state.clone(),
            decoded: tracer.decoded.clone(),
            deliveries: trace.deliveries.len(),
            observations: trace.observations.len(),
            publishings: trace.publishings.len(),
            other_work: trace.other_work.get(tracer.job).copied().unwrap_or(0),
        }
    }

    /// Gives back what was put aside; what following it met comes beside it.
    fn end(&self, tracer: &mut Tracer<'_>) {
        tracer.trace.incomplete = self.incomplete.or(tracer.trace.incomplete);
        tracer.trace.unread |= self.unread;
    }

    /// After it was followed: keeps what that led to, if nothing but its key and what it opened led there.
    fn keep(self, steps: &KnownSteps, tracer: &mut Tracer<'_>, state: &JobState, output: Value) {
        let (incomplete, unread) = (tracer.trace.incomplete, tracer.trace.unread);
        self.end(tracer);
        let begun = self;
        let (tracer, trace) = (&*tracer, &tracer.trace);
        let full = [trace.deliveries.len(), trace.observations.len(), trace.publishings.len()]
            .iter()
            .any(|length| *length >= DELIVERIES_MAX);
        let own_files = [trace.files.first(), trace.files.get(begun.met.home)];
        // With as much it will get no further anywhere.
        let exhausted = tracer.budget == 0;
        // What another limit cut off here may find room elsewhere.
        if full
            || tracer.lacked_room
            || state.is_full
            || tracer.opened.iter().any(|path| own_files.iter().flatten().any(|file| file.path == *path))
        {
            return;
        }
        let mut contents = Contents::default();
        let opened = tracer.opened.iter().map(|path| (path.clone(), contents.of(tracer, path)));
        let (before, Met { key, share, home, own, met }) = (&begun.before, begun.met);
        let work = trace.other_work.get(tracer.job).copied().unwrap_or(0);
        let followed = Followed {
            home,
            start: own.start,
            met,
            opened: opened.collect(),
            files: trace.files.iter().map(|file| file.path.clone()).enumerate().skip(1).collect(),
            deliveries: trace.deliveries.get(begun.deliveries..).unwrap_or(&[]).to_vec(),
            observations: trace.observations.get(begun.observations..).unwrap_or(&[]).to_vec(),
            publishings: trace.publishings.get(begun.publishings..).unwrap_or(&[]).to_vec(),
            decoded: tracer.decoded.difference(&begun.decoded).cloned().collect(),
            other_work: work.saturating_sub(begun.other_work),
            share,
            spent: share.saturating_sub(tracer.budget),
            parted: tracer.parted,
            exhausted,
            incomplete,
            unread,
            left: Left {
                files: changes(&before.files, &state.files),
                added: changes(&before.added, &state.added),
                outputs: changes(&before.outputs, &state.outputs),
                remotes: changes(&before.remotes, &state.remotes),
                folders: Some(Folders::of(state)).filter(|folders| *folders != Folders::of(before)),
            },
            output,
        };
        if followed.stays_within(&own) {
            steps.keep(key, followed);
        }
    }
}

/// What is in the files that known steps opened, read once for all that are compared.
#[derive(Default)]
struct Contents(HashMap<String, Content>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Absent,
    Text(Key),
    Unread(&'static str),
}

impl Contents {
    fn of(&mut self, tracer: &Tracer<'_>, path: &str) -> Content {
        if let Some(known) = self.0.get(path) {
            return *known;
        }
        if let Some(hash) = tracer.local.hash(path) {
            self.0.insert(path.to_owned(), Content::Text(hash));
            return Content::Text(hash);
        }
        let open = tracer.trace.files.iter().skip(1).find(|file| file.path == path);
        let read = || match tracer.local.read(path) {
            LocalFile::Text(text) => Content::Text(digest(&text)),
            LocalFile::Absent => Content::Absent,
            LocalFile::Unread(why) => Content::Unread(why),
        };
        let content = open.map_or_else(read, |file| Content::Text(digest(&file.text)));
        self.0.insert(path.to_owned(), content);
        content
    }
}

impl Followed {
    /// Roughly the memory that it takes.
    fn size(&self) -> usize {
        const HOP: usize = 160;
        let carried =
            |all: &[Carried]| all.iter().map(|one| HOP * (1 + one.trail.hops().len())).sum::<usize>();
        let value = |value: &Value| {
            value.size() + value.carried().map(|one| HOP * one.trail.hops().len()).sum::<usize>()
        };
        let left = |name: usize, one: &Option<Value>| 128 + name + one.as_ref().map_or(0, value);
        let named = [&self.left.files, &self.left.added, &self.left.remotes];
        512 + value(&self.output)
            + self.met.iter().map(|trail| HOP * trail.hops().len()).sum::<usize>()
            + self
                .deliveries
                .iter()
                .map(|one| 256 + value(&one.target) + carried(&one.carried))
                .sum::<usize>()
            + self.observations.iter().map(|one| 128 + value(&one.detail)).sum::<usize>()
            + self.publishings.iter().map(|one| 192 + carried(&one.carried)).sum::<usize>()
            + named.into_iter().flatten().map(|(name, one)| left(name.len(), one)).sum::<usize>()
            + self
                .left
                .outputs
                .iter()
                .map(|((id, name), one)| left(id.len() + name.len(), one))
                .sum::<usize>()
            + self.opened.iter().map(|(path, _)| 128 + path.len()).sum::<usize>()
            + self.files.values().map(|path| 64 + path.len()).sum::<usize>()
            + self.decoded.iter().map(|text| 64 + text.len()).sum::<usize>()
    }

    /// Whether following the step here would lead to the same: its files are the same, and no limit is near.
    fn fits(&self, tracer: &Tracer<'_>, met: &Met, contents: &mut Contents) -> bool {
        let trace = &tracer.trace;
        let own = trace.files.get(met.home).map_or("", |file| &file.path);
        let main = trace.files.first().map_or("", |file| &file.path);
        trace.deliveries.len() + self.deliveries.len() < DELIVERIES_MAX
            && trace.observations.len() + self.observations.len() < DELIVERIES_MAX
            && trace.publishings.len() + self.publishings.len() < DELIVERIES_MAX
            && trace.files.len() + self.opened.len() < FILES_MAX
            && (self.share == met.share || !self.exhausted && !self.parted && self.spent < met.share)
            && self
                .opened
                .iter()
                .all(|(path, content)| path != main && path != own && contents.of(tracer, path) == *content)
    }

    /// Whether all places that it noted itself lie in the step or in other files: then they can be found again.
    fn stays_within(&self, own: &Range<u32>) -> bool {
        let mut stays = true;
        let mut look = |file: usize, bytes: Bytes| {
            let inside = own.start <= bytes.start && bytes.end <= own.end;
            stays &= if file == self.home { inside } else { self.files.contains_key(&file) };
            (file, bytes)
        };
        let mut moved = Moved { from: &self.met, onto: &self.met, place: &mut look };
        for one in &self.deliveries {
            drop(moved.delivery(one));
        }
        for one in &self.observations {
            drop(moved.observation(one));
        }
        for one in &self.publishings {
            drop(moved.publishing(one));
        }
        let Left { files, added, outputs, remotes, folders: _ } = &self.left;
        let named = [files, added, remotes].into_iter().flatten().map(|(_, value)| value);
        for value in named.chain(outputs.iter().map(|(_, value)| value)).flatten().chain([&self.output]) {
            drop(moved.value(value));
        }
        stays
    }

    fn put_back(&self, tracer: &mut Tracer<'_>, state: &mut JobState, met: &Met) -> Value {
        if let Some(why) = self.incomplete {
            tracer.incomplete(why);
        }
        tracer.trace.unread |= self.unread;
        for (path, _) in &self.opened {
            tracer.open(path);
        }
        let files = &tracer.trace.files;
        let number = |file: &usize| {
            let path = self.files.get(file)?;
            files.iter().position(|file| file.path == *path)
        };
        let (home, start) = (met.home, met.own.start);
        let mut place = |file: usize, bytes: Bytes| {
            if file == self.home {
                let moved = |at: u32| at - self.start + start;
                return (home, Bytes { start: moved(bytes.start), end: moved(bytes.end) });
            }
            (number(&file).unwrap_or(file), bytes)
        };
        let mut moved = Moved { from: &self.met, onto: &met.met, place: &mut place };
        let deliveries: Vec<Delivery> = self.deliveries.iter().map(|one| moved.delivery(one)).collect();
        let observations: Vec<Observation> =
            self.observations.iter().map(|one| moved.observation(one)).collect();
        let publishings: Vec<Publishing> = self.publishings.iter().map(|one| moved.publishing(one)).collect();
        let output = moved.value(&self.output);
        moved.put(&self.left.files, &mut state.files);
        moved.put(&self.left.added, &mut state.added);
        moved.put(&self.left.outputs, &mut state.outputs);
        moved.put(&self.left.remotes, &mut state.remotes);
        if let Some(Folders { here, before, path }) = self.left.folders.clone() {
            (state.folder, state.folders, state.path) = (here, before, path);
        }
        let (job, step) = (tracer.job, tracer.step);
        let trace = &mut tracer.trace;
        trace.deliveries.extend(deliveries.into_iter().map(|one| Delivery { job, step, ..one }));
        trace.observations.extend(observations.into_iter().map(|one| Observation { job, step, ..one }));
        trace.publishings.extend(publishings.into_iter().map(|one| Publishing { job, ..one }));
        if let Some(count) = trace.other_work.get_mut(job) {
            *count += self.other_work;
        }
        tracer.decoded.extend(self.decoded.iter().cloned());
        tracer.budget = tracer.budget.saturating_sub(self.spent);
        output
    }
}

#[cfg(test)]
mod program_tests;
#[cfg(test)]
mod tests;
