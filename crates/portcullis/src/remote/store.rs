//! A bare repository in a folder that vanishes: what was fetched, and nothing of the remote's settings.

use std::fs;
use std::path::{Path, PathBuf};

use gix::ObjectId;

use super::conversation::References;
use super::error::RemoteError;
use super::pack;

/// A bare repository of our own making.
pub(crate) struct Store {
    folder: tempfile::TempDir,
    hash: gix::hash::Kind,
}

impl Store {
    /// An empty one below a folder.
    pub(crate) fn new(below: &Path, hash: gix::hash::Kind) -> Result<Self, RemoteError> {
        let folder =
            tempfile::Builder::new().prefix("repository-").tempdir_in(below).map_err(RemoteError::disk)?;
        let at = folder.path();
        for inner in ["objects/pack", "objects/info", "refs"] {
            fs::create_dir_all(at.join(inner)).map_err(RemoteError::disk)?;
        }
        let config = match hash {
            gix::hash::Kind::Sha256 => {
                "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
            }
            _ => "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
        };
        fs::write(at.join("config"), config).map_err(RemoteError::disk)?;
        fs::write(at.join("HEAD"), "ref: refs/heads/main\n").map_err(RemoteError::disk)?;
        Ok(Self { folder, hash })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the next pack is received.
    pub(crate) fn incoming(&self) -> PathBuf {
        self.folder.path().join("incoming")
    }

    /// Takes over the pack that was received. Blocking.
    pub(crate) fn keep(&self, host: &str) -> Result<(), RemoteError> {
        let kept = pack::keep(&self.incoming(), &self.folder.path().join("objects/pack"), self.hash, host);
        let _ = fs::remove_file(self.incoming());
        kept
    }

    /// Writes the remote's references under the names that they have there. Their names are lines of one file, never paths.
    pub(crate) fn name(&self, references: &References) -> Result<(), RemoteError> {
        let mut lines = String::from("# pack-refs with: peeled fully-peeled sorted \n");
        for (name, id) in &references.list {
            lines.push_str(&format!("{id} {name}\n"));
        }
        let at = self.folder.path();
        fs::write(at.join("packed-refs"), lines).map_err(RemoteError::disk)?;
        let head = match (&references.head, references.detached) {
            (Some(branch), _) => format!("ref: {branch}\n"),
            (None, Some(id)) => format!("{id}\n"),
            (None, None) => return Ok(()),
        };
        fs::write(at.join("HEAD"), head).map_err(RemoteError::disk)
    }

    /// Marks commits whose parents the server itself does not have.
    pub(crate) fn cut_off(&self, shallow: &[ObjectId]) -> Result<(), RemoteError> {
        if shallow.is_empty() {
            return Ok(());
        }
        let lines: String = shallow.iter().map(|id| format!("{id}\n")).collect();
        fs::write(self.folder.path().join("shallow"), lines).map_err(RemoteError::disk)
    }
}
