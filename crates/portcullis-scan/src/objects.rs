//! A local object database, opened so that nothing in it can lead out of it or ask for more than a bounded share of
//! memory: no alternates, no replacements, no promisor, no repository configuration but format and hash.

mod listing;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use gix::ObjectId;
use rayon::prelude::*;

use crate::flow::LocalFile;

/// Largest commit that is read.
const COMMIT_MAX: u64 = 1024 * 1024;
/// Largest tree that is read: about 200,000 entries.
const TREE_MAX: u64 = 8 * 1024 * 1024;
/// Largest file that is read out of a repository.
pub const BLOB_MAX: u64 = 16 * 1024 * 1024;
/// Most memory that decoding one packed object may take: its delta chain's bases and instructions too, which no header
/// tells of beforehand. Four times the largest file, since a chain needs room for source, target and instructions.
const DECODING_MAX: u64 = 4 * BLOB_MAX;
/// Largest text file (packed refs, reflog, configuration) that is read.
const TEXT_MAX: u64 = 64 * 1024 * 1024;

/// Longest chain of deltas that is followed: what `git fast-import` makes at most (`git repack` stops at 4,095). Without
/// it, what a small pack costs grows with the square of its objects.
const CHAIN_MAX: u32 = 8_191;

/// Why an object database can't be read at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It leads out of itself.
    #[error("{0}; its history is not read")]
    Hostile(String),
    /// gix refused it.
    #[error("opening the object database: {0}")]
    Open(String),
}

/// Why one object can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Not there.
    #[error("object {0} is missing")]
    Missing(ObjectId),
    /// There, but broken.
    #[error("object {0} is broken")]
    Broken(ObjectId),
    /// At the end of a chain of deltas that is longer than git makes them.
    #[error("object {0} is made of more than {CHAIN_MAX} deltas on one another, which git never does")]
    TooDeep(ObjectId),
    /// Larger than its limit.
    #[error("object {0} has {1} bytes, more than the {2} that are read")]
    TooLarge(ObjectId, u64, u64),
}

impl From<ObjectError> for LocalFile {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Missing(_) => {
                Self::Unread("a file that it calls is not in the repository's objects")
            }
            ObjectError::Broken(_) => Self::Unread("a file that it calls is broken"),
            ObjectError::TooDeep(_) => Self::Unread("a file that it calls is packed too deeply"),
            ObjectError::TooLarge(..) => Self::TOO_LARGE,
        }
    }
}

/// A commit as far as the scanner needs it.
#[derive(Clone, Debug)]
pub struct CommitText {
    /// Root tree.
    pub tree: ObjectId,
    /// Parents.
    pub parents: Vec<ObjectId>,
    /// Committer's time, seconds since 1970.
    pub time: i64,
    /// Author's time.
    pub author_time: i64,
    /// `Name <mail>`.
    pub author: String,
    /// First line of the message.
    pub message: String,
    /// Whether it carries a signature, good or not.
    pub signed: bool,
}

/// An entry of a tree.
#[derive(Clone, Debug)]
pub struct TreeEntry {
    /// File name.
    pub name: String,
    /// Whether it is a tree.
    pub is_tree: bool,
    /// Whether it is a regular file; links and submodules are neither.
    pub is_file: bool,
    /// Whether it is a symbolic link, whose contents are its target.
    pub is_link: bool,
    /// Its object.
    pub id: ObjectId,
}

impl TreeEntry {
    /// An entry as it is stored; what is not UTF-8 in its name is shown as such.
    pub(crate) fn of(stored: &gix::objs::tree::EntryRef<'_>) -> Self {
        Self {
            name: crate::text::lossy(stored.filename).into_owned(),
            is_tree: stored.mode.is_tree(),
            is_file: stored.mode.is_blob(),
            is_link: stored.mode.is_link(),
            id: stored.oid.to_owned(),
        }
    }
}

/// A reference with what it points to.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Full name.
    pub name: String,
    /// The object.
    pub id: ObjectId,
}

/// An opened object database. Cheap to clone into another thread through [`Objects::handle`].
pub struct Objects {
    pub(crate) repository: gix::Repository,
    git: PathBuf,
    /// Packed objects whose chains are too long; known once the packs were listed.
    deep: Arc<OnceLock<HashSet<ObjectId>>>,
}

/// Opens a git directory after checking that it stays within itself.
pub fn open(git: &Path) -> Result<Objects, OpenError> {
    check_containment(git)?;
    let options = gix::open::Options::isolated()
        .open_path_as_is(true)
        .strict_config(false)
        .lossy_config(true)
        .config_overrides([format!("gitoxide.objects.allocLimit={DECODING_MAX}")]);
    let mut repository =
        options.open(git).map_err(|error| OpenError::Open(error.to_string()))?.to_thread_local();
    repository.objects.ignore_replacements = true;
    Ok(Objects { repository, git: git.to_owned(), deep: Arc::default() })
}

fn check_containment(git: &Path) -> Result<(), OpenError> {
    let hostile = |what: &str| Err(OpenError::Hostile(what.to_owned()));
    for name in ["objects/info/alternates", "objects/info/http-alternates"] {
        if fs::symlink_metadata(git.join(name)).is_ok() {
            return hostile("the repository borrows objects from elsewhere (`objects/info/alternates`)");
        }
    }
    if fs::symlink_metadata(git.join("commondir")).is_ok() {
        return hostile("the repository is a part of another (`commondir`)");
    }
    for name in [
        "objects",
        "objects/pack",
        "objects/info",
        "refs",
        "logs",
        "HEAD",
        "packed-refs",
        "config",
        "shallow",
    ] {
        if let Ok(metadata) = fs::symlink_metadata(git.join(name))
            && !metadata.is_dir()
            && !metadata.is_file()
        {
            return hostile(&format!("`{name}` is a link, pipe or device"));
        }
    }
    let mut open = vec![git.join("refs"), git.join("logs"), git.join("objects")];
    let mut visited = 0_usize;
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            visited += 1;
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                open.push(entry.path());
            } else if !kind.is_file() {
                return hostile("a link, pipe or device lies among its objects or references");
            }
            if visited > 5_000_000 {
                return hostile("it has more than five million loose files");
            }
        }
    }
    Ok(())
}

impl Objects {
    /// Another handle on the same database, for another thread.
    pub fn handle(&self) -> impl Fn() -> Objects + Send + Sync + 'static {
        let shared = self.repository.clone().into_sync();
        let git = self.git.clone();
        let deep = Arc::clone(&self.deep);
        move || {
            let mut repository = shared.to_thread_local();
            repository.objects.ignore_replacements = true;
            Objects { repository, git: git.clone(), deep: Arc::clone(&deep) }
        }
    }

    /// Ids of all commits, packed and loose, reachable or not, and what kept some of them from being listed. In the order
    /// in which they lie in their packs.
    pub fn commits(&self) -> (Vec<ObjectId>, Vec<String>) {
        let folder = self.git.join("objects");
        let hash = self.repository.object_hash();
        let mut listing = listing::packed(&folder, hash);
        // Listed twice, it is the same.
        let _ = self.deep.set(std::mem::take(&mut listing.deep));
        for id in gix::odb::loose::Store::at(folder, hash).iter() {
            match id {
                Ok(id) => listing.untold.push(id),
                Err(error) => listing.problems.push(format!("listing the loose objects: {error}")),
            }
        }
        listing.untold.sort_unstable();
        listing.untold.dedup();
        let handle = self.handle();
        let kinds: Vec<Option<gix::object::Kind>> = listing
            .untold
            .par_iter()
            .with_min_len(256)
            .map_init(&handle, |objects, id| {
                objects.repository.find_header(*id).ok().map(|header| header.kind())
            })
            .collect();
        let known: HashSet<ObjectId> = listing.commits.iter().copied().collect();
        let mut broken = 0;
        for (id, kind) in listing.untold.into_iter().zip(kinds) {
            match kind {
                Some(gix::object::Kind::Commit) if !known.contains(&id) => listing.commits.push(id),
                Some(_) => {}
                None => {
                    broken += 1;
                    if broken <= 20 {
                        listing.problems.push(ObjectError::Broken(id).to_string());
                    }
                }
            }
        }
        if broken > 20 {
            listing.problems.push(format!("{} more objects are broken", broken - 20));
        }
        (listing.commits, listing.problems)
    }

    /// Reads an object; decoding is bounded by [`DECODING_MAX`], so that its header needs no look of its own.
    fn read_with<R>(
        &self,
        id: ObjectId,
        limit: u64,
        use_it: impl FnOnce(gix::object::Kind, &[u8]) -> Result<R, ObjectError>,
    ) -> Result<R, ObjectError> {
        if self.deep.get().is_some_and(|deep| !deep.is_empty() && deep.contains(&id)) {
            return Err(ObjectError::TooDeep(id));
        }
        let object = match self.repository.try_find_object(id) {
            Ok(Some(object)) => object,
            Ok(None) => return Err(ObjectError::Missing(id)),
            // What is too large to be decoded can still say how large it is.
            Err(_) => match self.repository.try_find_header(id) {
                Ok(Some(header)) if header.size() > limit => {
                    return Err(ObjectError::TooLarge(id, header.size(), limit));
                }
                _ => return Err(ObjectError::Broken(id)),
            },
        };
        if object.data.len() as u64 > limit {
            return Err(ObjectError::TooLarge(id, object.data.len() as u64, limit));
        }
        // An object may hold something else than its name says; a name is only a promise.
        let named = gix::objs::compute_hash(id.kind(), object.kind, &object.data)
            .map_err(|_| ObjectError::Broken(id))?;
        if named != id {
            return Err(ObjectError::Broken(id));
        }
        use_it(object.kind, &object.data)
    }

    fn read(&self, id: ObjectId, limit: u64) -> Result<(gix::object::Kind, Vec<u8>), ObjectError> {
        self.read_with(id, limit, |kind, data| Ok((kind, data.to_vec())))
    }

    /// A commit.
    pub fn commit(&self, id: ObjectId) -> Result<CommitText, ObjectError> {
        self.read_with(id, COMMIT_MAX, |kind, data| match kind {
            gix::object::Kind::Commit => commit_text(id, data),
            _ => Err(ObjectError::Broken(id)),
        })
    }

    /// The entries of a tree.
    pub fn tree(&self, id: ObjectId) -> Result<Vec<TreeEntry>, ObjectError> {
        self.entries(id, |_| true)
    }

    /// The entries of a tree whose names are wanted; no other is kept, not even for a moment.
    pub fn entries(
        &self,
        id: ObjectId,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<TreeEntry>, ObjectError> {
        self.with_tree(id, |data| {
            let mut entries = Vec::new();
            for entry in gix::objs::TreeRefIter::from_bytes(data, id.kind()) {
                let entry = entry.map_err(|_| ObjectError::Broken(id))?;
                if wanted(entry.filename) {
                    entries.push(TreeEntry::of(&entry));
                }
            }
            Ok(entries)
        })
    }

    /// A tree's bytes, for as long as they are looked at.
    pub(crate) fn with_tree<R>(
        &self,
        id: ObjectId,
        use_it: impl FnOnce(&[u8]) -> Result<R, ObjectError>,
    ) -> Result<R, ObjectError> {
        self.read_with(id, TREE_MAX, |kind, data| match kind {
            gix::object::Kind::Tree => use_it(data),
            _ => Err(ObjectError::Broken(id)),
        })
    }

    /// A tree as it is stored.
    pub(crate) fn tree_bytes(&self, id: ObjectId) -> Result<Vec<u8>, ObjectError> {
        let (kind, data) = self.read(id, TREE_MAX)?;
        if kind == gix::object::Kind::Tree { Ok(data) } else { Err(ObjectError::Broken(id)) }
    }

    /// The contents of a file.
    pub fn blob(&self, id: ObjectId) -> Result<Vec<u8>, ObjectError> {
        let (kind, data) = self.read(id, BLOB_MAX)?;
        if kind == gix::object::Kind::Blob { Ok(data) } else { Err(ObjectError::Broken(id)) }
    }

    /// The commit behind an object: itself, or what a chain of tags leads to. What is in `commits` is one, and not read.
    pub fn peel(
        &self,
        mut id: ObjectId,
        commits: &HashSet<ObjectId>,
    ) -> Result<Option<ObjectId>, ObjectError> {
        for _ in 0..16 {
            if commits.contains(&id) {
                return Ok(Some(id));
            }
            let (kind, data) = self.read(id, COMMIT_MAX.max(TREE_MAX)).or_else(|error| match error {
                ObjectError::TooLarge(..) => Ok((gix::object::Kind::Blob, Vec::new())),
                other => Err(other),
            })?;
            match kind {
                gix::object::Kind::Commit => return Ok(Some(id)),
                gix::object::Kind::Tag => {
                    id = gix::objs::TagRefIter::from_bytes(&data, id.kind())
                        .target_id()
                        .map_err(|_| ObjectError::Broken(id))?;
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// When a tag object says that it was made, in seconds since 1970; `None` for anything else.
    pub fn tagged_at(&self, id: ObjectId) -> Option<i64> {
        let (kind, data) = self.read(id, COMMIT_MAX).ok()?;
        if kind != gix::object::Kind::Tag {
            return None;
        }
        let tag = gix::objs::TagRef::from_bytes(&data, id.kind()).ok()?;
        tag.tagger().ok()??.time().ok().map(|time| time.seconds)
    }

    /// All references that name an object, loose before packed, without symbolic ones.
    pub fn references(&self) -> (Vec<Reference>, Vec<String>) {
        let mut problems = Vec::new();
        let mut found: HashMap<String, ObjectId> = HashMap::new();
        match self.text("packed-refs") {
            Ok(text) => {
                for line in text.lines().filter(|line| !line.starts_with(['#', '^'])) {
                    if let Some((id, name)) = line.split_once(' ')
                        && let Ok(id) = ObjectId::from_hex(id.as_bytes())
                    {
                        found.insert(name.trim().to_owned(), id);
                    }
                }
            }
            Err(what) if fs::symlink_metadata(self.git.join("packed-refs")).is_ok() => {
                problems.push(format!("`packed-refs` was not read: {what}"));
            }
            Err(_) => {}
        }
        let root = self.git.join("refs");
        let mut open = vec![root];
        while let Some(folder) = open.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let path = entry.path();
                if path.is_dir() {
                    open.push(path);
                    continue;
                }
                let Some(name) = path.strip_prefix(&self.git).ok().and_then(Path::to_str).map(str::to_owned)
                else {
                    continue;
                };
                if name.ends_with(".lock") {
                    continue;
                }
                let text = crate::source::read_file(&path, 4_096).unwrap_or_default();
                let text = crate::text::lossy(&text).trim().to_owned();
                if text.starts_with("ref:") {
                    continue;
                }
                match ObjectId::from_hex(text.as_bytes()) {
                    Ok(id) => {
                        found.insert(name, id);
                    }
                    Err(_) => problems.push(format!(
                        "reference `{}` names no object",
                        crate::text::escape(&name, crate::text::Lines::One)
                    )),
                }
            }
        }
        let mut references: Vec<Reference> =
            found.into_iter().map(|(name, id)| Reference { name, id }).collect();
        references.sort_by(|a, b| a.name.cmp(&b.name));
        (references, problems)
    }

    /// What a symbolic reference points to: `HEAD`, `refs/remotes/origin/HEAD`.
    pub fn symbolic(&self, name: &str) -> Option<String> {
        self.text(name).ok()?.trim().strip_prefix("ref:").map(|target| target.trim().to_owned())
    }

    /// The id in a detached `HEAD`.
    pub fn detached_head(&self) -> Option<ObjectId> {
        ObjectId::from_hex(self.text("HEAD").ok()?.trim().as_bytes()).ok()
    }

    /// Objects that reflogs name, with the reference of each; a stash keeps its older entries only there.
    pub fn reflog_entries(&self) -> Vec<Reference> {
        let logs = self.git.join("logs");
        let mut entries = Vec::new();
        let mut open = vec![logs.clone()];
        while let Some(folder) = open.pop() {
            let Ok(listing) = fs::read_dir(&folder) else { continue };
            for entry in listing.flatten() {
                let path = entry.path();
                if path.is_dir() {
                    open.push(path);
                    continue;
                }
                let Some(name) = path.strip_prefix(&logs).ok().and_then(Path::to_str).map(str::to_owned)
                else {
                    continue;
                };
                let text = crate::source::read_file(&path, TEXT_MAX).unwrap_or_default();
                for line in crate::text::lossy(&text).lines() {
                    for id in line.split(' ').take(2).filter_map(|id| ObjectId::from_hex(id.as_bytes()).ok())
                    {
                        if !id.is_null() {
                            entries.push(Reference { name: name.clone(), id });
                        }
                    }
                }
            }
        }
        entries.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        entries.dedup_by(|a, b| a.name == b.name && a.id == b.id);
        entries
    }

    /// Whether history was cut off when it was fetched.
    pub fn is_shallow(&self) -> bool {
        self.text("shallow").is_ok_and(|text| !text.trim().is_empty())
    }

    /// Whether grafts or replacements pretend another history. They are ignored.
    pub fn pretends(&self) -> bool {
        self.text("info/grafts").is_ok_and(|text| !text.trim().is_empty())
            || fs::read_dir(self.git.join("refs/replace")).is_ok_and(|mut entries| entries.next().is_some())
            || self.text("packed-refs").is_ok_and(|text| text.contains(" refs/replace/"))
    }

    /// `host/owner/name` of a remote, in lower case and without credentials.
    pub fn identity(&self) -> Option<String> {
        self.name_as_written().map(|name| name.to_ascii_lowercase())
    }

    /// The same with the letters' case as the remote's URL has it: PyPI compares a publisher's repository by its case.
    pub fn name_as_written(&self) -> Option<String> {
        let text = self.text("config").ok()?;
        let mut remotes: Vec<(String, String)> = Vec::new();
        let mut section = String::new();
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("[remote \"").and_then(|rest| rest.split('"').next()) {
                section = name.to_owned();
            } else if line.starts_with('[') {
                section.clear();
            } else if let Some((key, value)) = line.split_once('=')
                && key.trim().eq_ignore_ascii_case("url")
                && !section.is_empty()
            {
                remotes.push((section.clone(), value.trim().trim_matches('"').to_owned()));
            }
        }
        let chosen = remotes.iter().find(|(name, _)| name == "origin").or_else(|| remotes.first())?;
        name_of(&chosen.1)
    }

    /// Names of the remotes whose branches are this repository's own: `origin`, or the only one there is.
    pub fn own_remote(&self) -> String {
        let text = self.text("config").unwrap_or_default();
        let names: Vec<&str> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("[remote \"")?.split('"').next())
            .collect();
        match names.as_slice() {
            [only] => (*only).to_owned(),
            _ => "origin".to_owned(),
        }
    }

    fn text(&self, name: &str) -> Result<String, String> {
        let bytes = crate::source::read_file(&self.git.join(name), TEXT_MAX)?;
        Ok(crate::text::lossy(&bytes).into_owned())
    }
}

fn commit_text(id: ObjectId, data: &[u8]) -> Result<CommitText, ObjectError> {
    let commit = gix::objs::CommitRef::from_bytes(data, id.kind()).map_err(|_| ObjectError::Broken(id))?;
    let (author, author_time) = match commit.author() {
        Ok(author) => {
            let name = crate::text::lossy(author.name).trim().to_owned();
            let mail = crate::text::lossy(author.email).trim().to_owned();
            (format!("{name} <{mail}>"), author.seconds())
        }
        Err(_) => (crate::text::lossy(commit.author).into_owned(), 0),
    };
    let time = commit.committer().map(|committer| committer.seconds()).unwrap_or(author_time);
    let message = crate::text::lossy(commit.message);
    let message = message.lines().next().unwrap_or("").chars().take(500).collect();
    Ok(CommitText {
        tree: commit.tree(),
        parents: commit.parents().collect(),
        time,
        author_time,
        author,
        message,
        signed: commit.extra_headers.iter().any(|(name, _)| name.starts_with(b"gpgsig")),
    })
}

/// `host/owner/name` out of a remote's URL (https, ssh, scp-like), in lower case; `None` for paths.
pub fn identity_of(url: &str) -> Option<String> {
    name_of(url).map(|name| name.to_ascii_lowercase())
}

fn name_of(url: &str) -> Option<String> {
    let rest = match url.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => rest.to_owned(),
        None => {
            let (host, path) = url.split_once(':')?;
            if host.contains('/') || host.len() < 3 {
                return None;
            }
            format!("{host}/{path}")
        }
    };
    let (authority, path) = rest.split_once('/')?;
    let host = authority.rsplit('@').next()?.split(':').next()?;
    let path = path.trim_matches('/').trim_end_matches(".git");
    let plain = path.split(['?', '#']).next()?;
    (!host.is_empty() && plain.contains('/')).then(|| format!("{host}/{plain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_carry_no_credentials() {
        for (url, identity) in [
            ("https://user:token@GitHub.com/Owner/Name.git", Some("github.com/owner/name")),
            ("git@github.com:owner/name.git", Some("github.com/owner/name")),
            ("ssh://git@github.com:22/owner/name", Some("github.com/owner/name")),
            ("/srv/git/name.git", None),
            ("file:///srv/git/name.git", None),
            ("../name.git", None),
        ] {
            assert_eq!(identity_of(url).as_deref(), identity, "{url}");
        }
    }
}
