//! Packs as git writes them, and as it never would.

use std::fs;
use std::io::Write;

use crate::repository::Repository;

/// A blob in the pack git's type number.
pub(crate) const BLOB: u8 = 3;
const OFS_DELTA: u8 = 6;

/// A pack under construction.
pub(crate) struct Pack {
    bytes: Vec<u8>,
    count: u32,
    last: usize,
}

impl Pack {
    pub(crate) fn new() -> Self {
        Self { bytes: b"PACK\0\0\0\x02\0\0\0\0".to_vec(), count: 0, last: 0 }
    }

    /// An object as it is.
    pub(crate) fn whole(&mut self, kind: u8, data: &[u8]) {
        self.last = self.bytes.len();
        self.entry(kind, data.len(), &[], data);
    }

    /// An object as instructions on the one before it.
    pub(crate) fn delta(&mut self, instructions: &[u8]) {
        let at = self.bytes.len();
        let mut back = at - self.last;
        // How far back the base begins, in git's offset encoding.
        let mut reference = vec![(back & 127) as u8];
        while back > 127 {
            back = (back >> 7) - 1;
            reference.insert(0, (back & 127) as u8 | 0x80);
        }
        self.last = at;
        self.entry(OFS_DELTA, instructions.len(), &reference, instructions);
    }

    /// An entry: type, size as git packs it, what a delta refers to, and the compressed data.
    fn entry(&mut self, kind: u8, size: usize, reference: &[u8], data: &[u8]) {
        self.bytes.push(kind << 4 | (size & 15) as u8);
        let mut rest = size >> 4;
        while rest > 0 {
            *self.bytes.last_mut().unwrap() |= 0x80;
            self.bytes.push((rest & 127) as u8);
            rest >>= 7;
        }
        self.bytes.extend(reference);
        let mut encoder =
            flate2::write::ZlibEncoder::new(std::mem::take(&mut self.bytes), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        self.bytes = encoder.finish().unwrap();
        self.count += 1;
    }

    /// Puts it among a repository's packs, with the index that git makes of it.
    pub(crate) fn store(mut self, repository: &Repository) {
        let count = self.count.to_be_bytes();
        self.bytes.splice(8..12, count);
        let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
        hasher.update(&self.bytes);
        self.bytes.extend(hasher.try_finalize().unwrap().as_slice());
        let path = repository.path().join(".git/objects/pack/pack-x.pack");
        fs::write(&path, self.bytes).unwrap();
        repository.git(&["index-pack", &path.display().to_string()]);
    }
}

/// Instructions that make `target` out of a base of so many bytes, copying none of it.
pub(crate) fn instead_of(base: usize, target: &[u8]) -> Vec<u8> {
    let mut delta = Vec::new();
    for mut size in [base, target.len()] {
        while size > 127 {
            delta.push((size & 127) as u8 | 0x80);
            size >>= 7;
        }
        delta.push(size as u8);
    }
    for piece in target.chunks(127) {
        delta.push(piece.len() as u8);
        delta.extend(piece);
    }
    delta
}

/// Commits a file whose object lies in a pack already.
pub(crate) fn commit_object(repository: &Repository, path: &str, contents: &[u8]) {
    let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::object::Kind::Blob, contents).unwrap();
    repository.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{id},{path}")]);
    repository.git(&["commit", "-q", "-m", "x"]);
}
