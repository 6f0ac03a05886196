//! The files that a workflow calls: in the tree of a commit, or below a folder.

use std::path::PathBuf;

use gix::ObjectId;

use crate::called::{CALLED_MAX, CalledPaths, Place};
use crate::flow::{LocalFile, LocalFiles};
use crate::objects::Objects;
use crate::source;

/// Files of a tree in the object database.
pub(super) struct AtCommit<'o> {
    pub(super) objects: &'o Objects,
    pub(super) called: &'o CalledPaths,
    pub(super) tree: ObjectId,
}

impl LocalFiles for AtCommit<'_> {
    fn read(&self, path: &str) -> LocalFile {
        match self.called.file(self.objects, self.tree, path) {
            Place::File(id) => self.called.text(self.objects, id),
            Place::Nowhere => LocalFile::Absent,
            Place::Astray => LINKED,
        }
    }

    fn hash(&self, path: &str) -> Option<[u8; 32]> {
        let id = self.called.file(self.objects, self.tree, path).file()?;
        // One that is missing or broken here may be whole in another repository.
        if !matches!(self.called.text(self.objects, id), LocalFile::Text(_) | LocalFile::TOO_LARGE) {
            return None;
        }
        let mut hash = [0; 32];
        for (to, from) in hash.iter_mut().zip(id.as_slice()) {
            *to = *from;
        }
        Some(hash)
    }
}

/// Files below a folder. A link on the way is not followed: it may lead out of the tree, or back into it forever.
pub struct Folder(pub PathBuf);

impl LocalFiles for Folder {
    fn read(&self, path: &str) -> LocalFile {
        // `../NAME/x.sh` may be the repository's own, as in the object database.
        let own = path.strip_prefix("../").and_then(|beside| beside.split_once('/'));
        let path = own.map_or(path, |(_, own)| own);
        let mut at = self.0.clone();
        for part in path.split('/') {
            if matches!(part, "" | "." | "..") {
                return LocalFile::Absent;
            }
            at.push(part);
            match std::fs::symlink_metadata(&at) {
                Ok(metadata) if metadata.is_symlink() => return LINKED,
                Ok(_) => {}
                Err(_) => return LocalFile::Absent,
            }
        }
        match std::fs::metadata(&at) {
            Ok(metadata) if metadata.is_dir() => return LocalFile::Absent,
            Ok(metadata) if metadata.len() > CALLED_MAX as u64 => return LocalFile::TOO_LARGE,
            _ => {}
        }
        match source::read_file(&at, CALLED_MAX as u64) {
            Ok(bytes) => LocalFile::of_bytes(&bytes, CALLED_MAX),
            Err(_) => LocalFile::Unread("a file that it calls can't be read"),
        }
    }
}

/// A link instead of a file.
const LINKED: LocalFile = LocalFile::Unread("a file that it calls is a link, which is not followed");
