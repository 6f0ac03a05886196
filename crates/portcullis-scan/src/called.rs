//! Where the files that workflows call stand at each commit. A folder is read once for all commits that share it, and
//! the top folders were when the history was: the cost grows with distinct folders, not with commits times workflows.

mod across;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use gix::ObjectId;

use crate::flow::LocalFile;
use crate::history::{Entry, Roots};
use crate::objects::{ObjectError, Objects};
use across::Across;
pub(crate) use across::Table;

/// Most parts of a path that is looked up.
const PARTS_MAX: usize = 64;
/// Most links followed on the way to one file.
const LINKS_MAX: usize = 8;
/// Largest file of a repository that a workflow may call and that is read.
pub(crate) const CALLED_MAX: usize = 1024 * 1024;
/// Most bytes of called files that are kept: the versions of a workflow call the same files over and over.
const TEXTS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Locks that the known entries are spread over, so that threads rarely wait for each other.
const SHARDS: usize = 64;

type Shard = HashMap<(ObjectId, String), Entry>;

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
    tops: Arc<Roots>,
    missing: Mutex<BTreeSet<ObjectId>>,
    across: Across,
    texts: Mutex<Texts>,
}

/// Contents of the called files that were read last.
#[derive(Default)]
struct Texts {
    known: HashMap<ObjectId, LocalFile>,
    bytes: usize,
}

impl CalledPaths {
    /// Nothing known yet but the top folders of a history.
    pub(crate) fn new(tops: Arc<Roots>) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            tops,
            missing: Mutex::default(),
            across: Across::default(),
            texts: Mutex::default(),
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

    /// What a called file holds.
    pub(crate) fn text(&self, objects: &Objects, id: ObjectId) -> LocalFile {
        if let Some(known) = self.texts.lock().ok().and_then(|texts| texts.known.get(&id).cloned()) {
            return known;
        }
        let read = match objects.blob(id).inspect_err(|error| self.note(error)) {
            Ok(bytes) => LocalFile::of_bytes(&bytes, CALLED_MAX),
            Err(error) => return error.into(),
        };
        if let Ok(mut texts) = self.texts.lock() {
            let size = if let LocalFile::Text(text) = &read { 256 + text.len() } else { 256 };
            if texts.bytes + size > TEXTS_BYTES_MAX {
                *texts = Texts::default();
            }
            texts.bytes += size;
            texts.known.insert(id, read.clone());
        }
        read
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
            let Some(&folder) = at.last() else {
                if links > 0 {
                    return Place::Astray;
                }
                // `../NAME/x.sh` may be the repository's own: it is checked out in a folder of whatever name.
                at.push(tree);
                continue;
            };
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
            match self.entry(objects, folder, &name) {
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

    fn entry(&self, objects: &Objects, folder: ObjectId, name: &str) -> Entry {
        if let Some(entry) = self.tops.entry(folder, name) {
            return entry;
        }
        let key = (folder, name.to_owned());
        let shard = self.shards.get(usize::from(folder.as_slice().first().copied().unwrap_or(0)) % SHARDS);
        let known = shard.and_then(|shard| shard.lock().ok()?.get(&key).copied());
        if let Some(entry) = known {
            return entry;
        }
        // What could not be read is a problem of the history already.
        let found = objects
            .entries(folder, |found| found == name.as_bytes())
            .inspect_err(|error| self.note(error))
            .unwrap_or_default();
        let entry = found.last().map_or(Entry::Nothing, Entry::of);
        if let Some(mut shard) = shard.and_then(|shard| shard.lock().ok()) {
            shard.insert(key, entry);
        }
        entry
    }
}
