//! Takes files out of the branches on which they stand: one commit a branch, written as objects.
//!
//! Nothing is checked out, so no hook, filter or attribute of the repository runs, and no work tree is touched. A branch
//! moves only if it still is where it was when the file was seen on it.

use std::collections::{BTreeMap, BTreeSet};

use gix::ObjectId;
use gix::actor::SignatureRef;
use gix::objs::{Kind, Write};
use gix::refs::Target;
use gix::refs::transaction::{PreviousValue, RefEdit};

use crate::objects::{ObjectError, Objects};

/// Longest name of an author, with the mail.
const AUTHOR_MAX: usize = 500;
/// Most commits looked at to learn whether a local branch goes on from its remote's.
const ANCESTORS_MAX: usize = 200_000;
const HEADS: &str = "refs/heads/";
const REMOTES: &str = "refs/remotes/";

/// A branch with the files to take out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Full name: `refs/heads/main`, `refs/remotes/origin/main`.
    pub name: String,
    /// The commit it points to.
    pub tip: ObjectId,
    /// Path and object of each file.
    pub files: Vec<(String, ObjectId)>,
}

/// Why nothing was taken out. The branch is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    /// An object on the way is missing or broken.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The file is not on the branch any more, or the tree isn't one.
    #[error("`{0}` does not stand there any more")]
    Gone(String),
    /// The author can't stand in a commit.
    #[error("the author must be `Name <mail>` on one line, at most {AUTHOR_MAX} bytes")]
    Author,
    /// The database or the reference could not be written.
    #[error("writing to the repository: {0}")]
    Write(String),
}

impl Branch {
    /// The remote's branch that this is the last sight of: `main` in `refs/remotes/origin/main`.
    pub fn of_remote(&self) -> Option<&str> {
        self.name.strip_prefix(REMOTES)?.split_once('/').map(|(_, name)| name)
    }
}

/// The repository's own branches that hold one of these versions (hexadecimal object ids) at its path: local ones, and those
/// that its remote had when it was last asked. A remote's branch is left out where the local one of that name goes on from it,
/// for that one is pushed in its place.
pub fn standing(objects: &Objects, versions: &BTreeMap<String, BTreeSet<String>>) -> Vec<Branch> {
    let (references, _) = objects.references();
    let remote = format!("{REMOTES}{}/", objects.own_remote());
    let locals: BTreeMap<String, ObjectId> = references
        .iter()
        .filter_map(|reference| Some((reference.name.strip_prefix(HEADS)?.to_owned(), reference.id)))
        .collect();
    references
        .into_iter()
        .filter(|reference| match reference.name.strip_prefix(&remote) {
            Some(name) => !locals.get(name).is_some_and(|local| goes_on(objects, *local, reference.id)),
            None => reference.name.starts_with(HEADS),
        })
        .filter_map(|reference| {
            let tree = objects.commit(reference.id).ok()?.tree;
            let files: Vec<(String, ObjectId)> = versions
                .iter()
                .filter_map(|(path, blobs)| {
                    let found = file(objects, tree, path)?;
                    blobs.contains(&found.to_string()).then(|| (path.clone(), found))
                })
                .collect();
            (!files.is_empty()).then_some(Branch { name: reference.name, tip: reference.id, files })
        })
        .collect()
}

/// Whether a commit is another one, or was built on it.
fn goes_on(objects: &Objects, from: ObjectId, to: ObjectId) -> bool {
    let (mut open, mut seen) = (vec![from], BTreeSet::from([from]));
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if seen.len() > ANCESTORS_MAX {
            return false;
        }
        let parents = objects.commit(at).map(|commit| commit.parents).unwrap_or_default();
        open.extend(parents.into_iter().filter(|parent| seen.insert(*parent)));
    }
    false
}

/// The file at a path of a tree, where one is there.
fn file(objects: &Objects, mut tree: ObjectId, path: &str) -> Option<ObjectId> {
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        let entry = objects.tree(tree).ok()?.into_iter().find(|entry| entry.name == part)?;
        match parts.peek() {
            Some(_) if entry.is_tree => tree = entry.id,
            None if entry.is_file => return Some(entry.id),
            _ => return None,
        }
    }
    None
}

/// Commits the removal and moves the branch to it; for a remote's branch, to a new local branch of that name, which is not
/// there yet: what a remote has, only a push changes. `author` is `Name <mail>`, `seconds` the time since 1970.
///
/// # Errors
/// [`RemovalError`]; objects that were written by then are unreachable and do no harm.
pub fn remove(
    objects: &Objects,
    branch: &Branch,
    author: &str,
    message: &str,
    seconds: i64,
) -> Result<ObjectId, RemovalError> {
    let plain = author.contains(" <") && author.ends_with('>') && !author.contains(['\n', '\r', '\0']);
    if !plain || author.len() > AUTHOR_MAX || author.matches(['<', '>']).count() != 2 {
        return Err(RemovalError::Author);
    }
    let mut tree = objects.commit(branch.tip)?.tree;
    for (path, _) in &branch.files {
        let parts: Vec<&str> = path.split('/').collect();
        tree = match without(objects, tree, &parts)? {
            Some(tree) => tree,
            None => write(objects, Kind::Tree, &[])?,
        };
    }
    let commit = format!(
        "tree {tree}\nparent {}\nauthor {author} {seconds} +0000\ncommitter {author} {seconds} +0000\n\n{}\n",
        branch.tip,
        message.trim_end()
    );
    let commit = write(objects, Kind::Commit, commit.as_bytes())?;
    let (name, expected) = match branch.of_remote() {
        Some(name) => (format!("{HEADS}{name}"), PreviousValue::MustNotExist),
        None => (branch.name.clone(), PreviousValue::MustExistAndMatch(Target::Object(branch.tip))),
    };
    let name = name.as_str().try_into().map_err(|_| RemovalError::Gone(branch.name.clone()))?;
    let edit = RefEdit::update(name, commit, expected, "portcullis fix: take a malicious workflow out");
    let signature = format!("{author} {seconds} +0000");
    let signature = SignatureRef::from_bytes(signature.as_bytes()).map_err(|_| RemovalError::Author)?;
    objects
        .repository
        .edit_references_as([edit], Some(signature))
        .map_err(|error| RemovalError::Write(error.to_string()))?;
    Ok(commit)
}

/// Whether a file with these bytes is that object.
pub fn is_blob(bytes: &[u8], id: ObjectId) -> bool {
    gix::objs::compute_hash(id.kind(), Kind::Blob, bytes).is_ok_and(|found| found == id)
}

fn write(objects: &Objects, kind: Kind, bytes: &[u8]) -> Result<ObjectId, RemovalError> {
    objects.repository.objects.write_buf(kind, bytes).map_err(|error| RemovalError::Write(error.to_string()))
}

/// The tree without one path; `None` if nothing is left in it, for git keeps no empty folders. The other entries stay byte
/// for byte, whatever modes they have.
fn without(objects: &Objects, tree: ObjectId, path: &[&str]) -> Result<Option<ObjectId>, RemovalError> {
    let gone = || RemovalError::Gone(path.join("/"));
    let (name, rest) = path.split_first().ok_or_else(gone)?;
    let bytes = objects.tree_bytes(tree)?;
    let width = tree.as_bytes().len();
    let mut at = 0;
    while let Some(entry) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let zero = entry.iter().position(|byte| *byte == 0).ok_or_else(gone)?;
        let end = at + zero + 1 + width;
        let head = entry.get(..zero).ok_or_else(gone)?;
        let space = head.iter().position(|byte| *byte == b' ').ok_or_else(gone)?;
        if head.get(space + 1..) != Some(name.as_bytes()) {
            at = end;
            continue;
        }
        let mut changed = bytes.get(..at).unwrap_or_default().to_vec();
        if !rest.is_empty() {
            let id = bytes.get(end - width..end).ok_or_else(gone)?;
            let id = ObjectId::try_from(id).map_err(|_| gone())?;
            if let Some(inner) = without(objects, id, rest)? {
                changed.extend_from_slice(bytes.get(at..end - width).unwrap_or_default());
                changed.extend_from_slice(inner.as_bytes());
            }
        }
        changed.extend_from_slice(bytes.get(end..).ok_or_else(gone)?);
        return if changed.is_empty() { Ok(None) } else { write(objects, Kind::Tree, &changed).map(Some) };
    }
    Err(gone())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn git(folder: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", folder);
        command.env("GIT_CONFIG_NOSYSTEM", "1").current_dir(folder);
        command.args(["-c", "user.name=a", "-c", "user.email=a@example.test"]).args(arguments);
        let done = command.output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn a_file_goes_from_every_branch_and_nothing_else_changes() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        git(at, &["init", "--quiet", "--initial-branch=main"]);
        std::fs::create_dir_all(at.join(".github/workflows")).unwrap();
        std::fs::write(at.join("README"), "x").unwrap();
        git(at, &["add", "."]);
        git(at, &["commit", "--quiet", "--message=a"]);
        git(at, &["branch", "clean"]);
        std::fs::write(at.join(".github/workflows/x.yml"), "on: push\n").unwrap();
        git(at, &["add", "."]);
        git(at, &["commit", "--quiet", "--message=b"]);
        git(at, &["branch", "dev"]);
        git(at, &["checkout", "--quiet", "--detach"]);
        let blob = git(at, &["rev-parse", "HEAD:.github/workflows/x.yml"]);
        let clean = git(at, &["rev-parse", "clean"]);

        let objects = crate::objects::open(&at.join(".git")).unwrap();
        let path = ".github/workflows/x.yml".to_owned();
        let versions = BTreeMap::from([(path.clone(), BTreeSet::from([blob]))]);
        let branches = standing(&objects, &versions);
        let names: Vec<&str> = branches.iter().map(|branch| branch.name.as_str()).collect();
        assert_eq!(names, ["refs/heads/dev", "refs/heads/main"]);
        for branch in &branches {
            remove(&objects, branch, "A <a@example.test>", "Take it out", 1_700_000_000).unwrap();
            assert_eq!(
                git(at, &["diff-tree", "-r", "--name-status", &format!("{0}~", branch.name), &branch.name]),
                "D\t.github/workflows/x.yml"
            );
            assert_eq!(git(at, &["ls-tree", "-r", "--name-only", &branch.name]), "README");
            // It has moved since.
            assert!(matches!(
                remove(&objects, branch, "A <a@example.test>", "Again", 1_700_000_000),
                Err(RemovalError::Write(_))
            ));
        }
        assert_eq!(git(at, &["rev-parse", "clean"]), clean);
        git(at, &["fsck", "--strict", "--no-dangling"]);
        let objects = crate::objects::open(&at.join(".git")).unwrap();
        assert_eq!(standing(&objects, &versions), []);
    }

    #[test]
    fn an_author_can_not_forge_a_commit() {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["init", "--quiet"]);
        let objects = crate::objects::open(&folder.path().join(".git")).unwrap();
        let id = ObjectId::null(gix::hash::Kind::Sha1);
        let branch = Branch { name: "refs/heads/main".to_owned(), tip: id, files: Vec::new() };
        for author in ["a", "a <b>\nparent 0", "<a> <b>", &format!("{} <b>", "a".repeat(AUTHOR_MAX))] {
            assert!(
                matches!(remove(&objects, &branch, author, "m", 0), Err(RemovalError::Author)),
                "{author}"
            );
        }
    }
}
