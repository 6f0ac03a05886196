//! The files of the repository that a workflow calls, as whoever follows it asks for them.

use std::sync::Arc;

/// What stands at a path that a workflow calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalFile {
    /// No file.
    Absent,
    /// Its text, with bytes that are not UTF-8 replaced: a shell runs such a script all the same.
    Text(Arc<str>),
    /// A file that is there and is not read, and why. What it does is unknown, so nobody may call its caller analysed.
    Unread(&'static str),
}

impl LocalFile {
    /// The contents of a file, of which no more than `limit` bytes are looked at.
    pub fn of_bytes(bytes: &[u8], limit: usize) -> Self {
        if bytes.len() > limit {
            return Self::TOO_LARGE;
        }
        Self::Text(crate::text::lossy(bytes).into())
    }

    /// Larger than what is read.
    pub const TOO_LARGE: Self = Self::Unread("a file that it calls is too large");

    /// The text, where there is one.
    pub fn text(self) -> Option<Arc<str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Unread(_) => None,
        }
    }
}

/// Files of the repository at the version that is being looked at.
pub trait LocalFiles {
    /// The file at a path from the root.
    fn read(&self, path: &str) -> LocalFile;

    /// What tells the file at a path from others, where that is known without reading it: wherever it is the same,
    /// `read` answers the same.
    fn hash(&self, _path: &str) -> Option<[u8; 32]> {
        None
    }
}

/// No repository around: a workflow file alone.
pub struct NoFiles;

impl LocalFiles for NoFiles {
    fn read(&self, _: &str) -> LocalFile {
        LocalFile::Absent
    }
}
