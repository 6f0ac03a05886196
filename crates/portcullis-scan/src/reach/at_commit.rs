//! Files of the repository at a commit.

use std::cell::RefCell;
use std::collections::BTreeMap;

use gix::ObjectId;

use crate::flow::{LocalFile, LocalFiles};
use crate::objects::Objects;

/// Largest called file that is read.
const CALLED_MAX: usize = 1024 * 1024;

/// Files at a commit, noting which were asked for.
pub(super) struct AtCommit<'a> {
    pub(super) objects: &'a Objects,
    pub(super) find: &'a dyn Fn(&str) -> Option<ObjectId>,
    pub(super) asked: RefCell<BTreeMap<String, Option<ObjectId>>>,
}

impl LocalFiles for AtCommit<'_> {
    fn read(&self, path: &str) -> LocalFile {
        let id = (self.find)(path);
        self.asked.borrow_mut().insert(path.to_owned(), id);
        match id.map(|id| self.objects.blob(id)) {
            Some(Ok(bytes)) => LocalFile::of_bytes(&bytes, CALLED_MAX),
            Some(Err(error)) => error.into(),
            None => LocalFile::Absent,
        }
    }
}
