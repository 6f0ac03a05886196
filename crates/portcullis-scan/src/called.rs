//! Where the files that workflows call stand at each commit. A folder is read once for all commits that share it, and
//! a commit's own tree once for all paths: the cost grows with distinct folders, not with commits times workflows.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use gix::ObjectId;

use crate::objects::Objects;

/// Most parts of a path that is looked up.
const PARTS_MAX: usize = 64;
/// Most names of the top folder that are looked for together.
const TOGETHER_MAX: usize = 256;
/// Locks that the known entries are spread over, so that threads rarely wait for each other.
const SHARDS: usize = 64;

type Shard = HashMap<(ObjectId, String), Entry>;

/// What a name is in a folder.
#[derive(Clone, Copy)]
enum Entry {
    Nothing,
    File(ObjectId),
    Folder(ObjectId),
}

/// Known entries of folders, shared by all threads of one repository.
pub(crate) struct CalledPaths {
    shards: Vec<Mutex<Shard>>,
    tops: Mutex<BTreeSet<String>>,
}

impl CalledPaths {
    /// Nothing known yet.
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), tops: Mutex::default() }
    }

    /// The object of a regular file by its path below a commit's tree.
    pub(crate) fn file(&self, objects: &Objects, tree: ObjectId, path: &str) -> Option<ObjectId> {
        let mut at = tree;
        let mut parts = path.split('/').take(PARTS_MAX).enumerate().peekable();
        while let Some((depth, name)) = parts.next() {
            match (self.entry(objects, at, name, depth == 0), parts.peek()) {
                (Entry::Folder(id), Some(_)) => at = id,
                (Entry::File(id), None) => return Some(id),
                _ => return None,
            }
        }
        None
    }

    fn entry(&self, objects: &Objects, folder: ObjectId, name: &str, is_top: bool) -> Entry {
        let key = (folder, name.to_owned());
        let shard = self.shards.get(usize::from(folder.as_slice().first().copied().unwrap_or(0)) % SHARDS);
        let known = shard.and_then(|shard| shard.lock().ok()?.get(&key).copied());
        if let Some(entry) = known {
            return entry;
        }
        let mut wanted = BTreeSet::from([key.1]);
        if is_top && let Ok(mut tops) = self.tops.lock() {
            if tops.len() < TOGETHER_MAX {
                tops.insert(name.to_owned());
            }
            wanted.extend(tops.iter().cloned());
        }
        let is_wanted = |name: &[u8]| wanted.iter().any(|wanted| wanted.as_bytes() == name);
        // What could not be read is a problem of the history already.
        let found = objects.entries(folder, is_wanted).unwrap_or_default();
        let mut entries: HashMap<String, Entry> =
            wanted.into_iter().map(|name| (name, Entry::Nothing)).collect();
        for entry in found {
            let what = match (entry.is_tree, entry.is_file) {
                (true, _) => Entry::Folder(entry.id),
                (_, true) => Entry::File(entry.id),
                _ => Entry::Nothing,
            };
            entries.insert(entry.name, what);
        }
        let answer = entries.get(name).copied().unwrap_or(Entry::Nothing);
        if let Some(mut shard) = shard.and_then(|shard| shard.lock().ok()) {
            shard.extend(entries.into_iter().map(|(name, entry)| ((folder, name), entry)));
        }
        answer
    }
}
