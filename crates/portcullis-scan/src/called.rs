//! Where the files that workflows call stand at each commit. A folder is read once for all commits that share it, and
//! a commit's own tree once for all paths: the cost grows with distinct folders, not with commits times workflows.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Mutex;

use gix::ObjectId;

use crate::objects::{ObjectError, Objects};

/// Most parts of a path that is looked up.
const PARTS_MAX: usize = 64;
/// Most links followed on the way to one file.
const LINKS_MAX: usize = 8;
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
    Link(ObjectId),
}

/// Where a path leads.
pub(crate) enum Place {
    /// To no file of the repository.
    Nowhere,
    /// To a regular file.
    File(ObjectId),
    /// Through more links than are followed, or out of the repository.
    Astray,
}

impl Place {
    /// The object that tells this place from others at the same path; all that lead astray are alike.
    pub(crate) fn id(&self, hash: gix::hash::Kind) -> Option<ObjectId> {
        match self {
            Self::Nowhere => None,
            Self::File(id) => Some(*id),
            Self::Astray => Some(hash.null()),
        }
    }

    /// The file, where it leads to one.
    pub(crate) fn file(&self) -> Option<ObjectId> {
        if let Self::File(id) = self { Some(*id) } else { None }
    }
}

/// Known entries of folders, shared by all threads of one repository.
pub(crate) struct CalledPaths {
    shards: Vec<Mutex<Shard>>,
    tops: Mutex<BTreeSet<String>>,
    missing: Mutex<BTreeSet<ObjectId>>,
}

impl CalledPaths {
    /// Nothing known yet.
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            tops: Mutex::default(),
            missing: Mutex::default(),
        }
    }

    /// Notes an object that is not here, so that whoever fetches in parts knows what else to fetch.
    pub(crate) fn note(&self, error: &ObjectError) {
        if let (ObjectError::Missing(id), Ok(mut missing)) = (error, self.missing.lock()) {
            missing.insert(*id);
        }
    }

    /// What was noted.
    pub(crate) fn missing(self) -> BTreeSet<ObjectId> {
        self.missing.into_inner().unwrap_or_default()
    }

    /// The object of a regular file by its path below a commit's tree. Links are followed within the tree: they are
    /// text in the object database, and a runner follows them too.
    pub(crate) fn file(&self, objects: &Objects, tree: ObjectId, path: &str) -> Place {
        let mut left: VecDeque<String> = path.split('/').map(str::to_owned).collect();
        let mut at = vec![tree];
        let mut links = 0;
        let mut visited = 0;
        while let Some(name) = left.pop_front() {
            visited += 1;
            let Some(&folder) = at.last() else { return Place::Astray };
            if visited > PARTS_MAX {
                return Place::Astray;
            }
            match name.as_str() {
                "" | "." => continue,
                ".." => {
                    at.pop();
                    continue;
                }
                _ => {}
            }
            match self.entry(objects, folder, &name, at.len() == 1) {
                Entry::Folder(id) => at.push(id),
                Entry::File(id) if left.is_empty() => return Place::File(id),
                Entry::Link(id) => {
                    links += 1;
                    let target = objects
                        .blob(id)
                        .inspect_err(|error| self.note(error))
                        .ok()
                        .and_then(|bytes| String::from_utf8(bytes).ok());
                    let Some(target) = target.filter(|target| links <= LINKS_MAX && !target.starts_with('/'))
                    else {
                        return Place::Astray;
                    };
                    for part in target.split('/').rev().take(PARTS_MAX) {
                        left.push_front(part.to_owned());
                    }
                }
                Entry::File(_) | Entry::Nothing => return Place::Nowhere,
            }
        }
        Place::Nowhere
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
        let found =
            objects.entries(folder, is_wanted).inspect_err(|error| self.note(error)).unwrap_or_default();
        let mut entries: HashMap<String, Entry> =
            wanted.into_iter().map(|name| (name, Entry::Nothing)).collect();
        for entry in found {
            let what = match (entry.is_tree, entry.is_file) {
                (true, _) => Entry::Folder(entry.id),
                (_, true) => Entry::File(entry.id),
                _ if entry.is_link => Entry::Link(entry.id),
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
