//! File contents by digest, in a local folder.
//!
//! A content is durable (written, fsynced, renamed, its folder fsynced) before the row that names it exists, and a lease in
//! `pending_blobs` is committed before its first byte, so that [`sweep`] never takes what somebody is about to name.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::clock::Instant;
use crate::store::{Store, StoreError, Tx, blobs as rows};

/// What goes wrong with file contents.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The folder can't be written or read.
    #[error("file contents can't be kept: {0}")]
    Io(#[from] std::io::Error),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lease ran out while the content was still coming.
    #[error("the content took longer to come than its lease")]
    LeaseLost,
}

/// How long a content may take to come, in seconds.
pub const LEASE_SECONDS: i64 = 3_600;

/// The folder of file contents.
#[derive(Debug, Clone)]
pub struct Blobs {
    folder: PathBuf,
}

/// A content that is being written.
#[derive(Debug)]
pub struct Incoming {
    id: Uuid,
    path: PathBuf,
    file: File,
    hash: Sha256,
    size: u64,
}

/// A content that is durable in its place, under a lease that the naming transaction ends.
#[derive(Debug, Clone)]
pub struct Durable {
    /// The lease.
    pub lease: Uuid,
    /// SHA-256, hex.
    pub sha256: String,
    /// Bytes.
    pub size: i64,
}

impl Blobs {
    /// Opens the folder, making it where there is none.
    ///
    /// # Errors
    /// Where it can't be made.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder.join("incoming"))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where a content lies.
    #[must_use]
    pub fn path(&self, sha256: &str) -> PathBuf {
        let (first, rest) = sha256.split_at_checked(2).unwrap_or(("", sha256));
        let (second, _) = rest.split_at_checked(2).unwrap_or(("", rest));
        self.folder.join(first).join(second).join(sha256)
    }

    fn incoming(&self, id: Uuid) -> PathBuf {
        self.folder.join("incoming").join(id.to_string())
    }

    /// Begins a content: its lease commits before this returns.
    ///
    /// # Errors
    /// Where the database or the folder refuses.
    pub async fn begin(&self, store: &Store, now: Instant) -> Result<Incoming, BlobError> {
        let id = Uuid::now_v7();
        let mut tx = store.write().await?;
        rows::insert_pending(&mut tx, id, now.plus_seconds(LEASE_SECONDS), now).await?;
        tx.commit().await?;
        let path = self.incoming(id);
        let file = File::options().write(true).create_new(true).open(&path).await?;
        Ok(Incoming { id, path, file, hash: Sha256::new(), size: 0 })
    }

    /// Makes a finished content durable in its place.
    ///
    /// # Errors
    /// Where the database or the folder refuses, or the lease was lost.
    pub async fn finish(
        &self,
        store: &Store,
        incoming: Incoming,
        now: Instant,
    ) -> Result<Durable, BlobError> {
        let Incoming { id, path, mut file, hash, size } = incoming;
        file.flush().await?;
        file.sync_all().await?;
        drop(file);
        let sha256 = hex::encode(hash.finalize());
        let mut tx = store.write().await?;
        if !rows::name_pending(&mut tx, id, &sha256, now.plus_seconds(LEASE_SECONDS)).await? {
            return Err(BlobError::LeaseLost);
        }
        tx.commit().await?;
        let place = self.path(&sha256);
        let folder = place.parent().map_or_else(|| self.folder.clone(), Path::to_owned);
        tokio::fs::create_dir_all(&folder).await?;
        tokio::fs::rename(&path, &place).await?;
        for folder in [folder.as_path(), folder.parent().unwrap_or(&self.folder), &self.folder] {
            File::open(folder).await?.sync_all().await?;
        }
        Ok(Durable { lease: id, sha256, size: i64::try_from(size).unwrap_or(i64::MAX) })
    }

    /// Stores a small content at once.
    ///
    /// # Errors
    /// As [`begin`](Self::begin) and [`finish`](Self::finish).
    pub async fn put(&self, store: &Store, content: &[u8], now: Instant) -> Result<Durable, BlobError> {
        let mut incoming = self.begin(store, now).await?;
        incoming.write(content).await?;
        self.finish(store, incoming, now).await
    }

    /// Names a durable content in the transaction that stores the row for it, and ends its lease. The row lock that
    /// [`sweep`] takes too decides who was first; where it was the sweep, the bytes are gone and the upload must come again.
    ///
    /// # Errors
    /// [`BlobError::LeaseLost`] where the content was swept away.
    pub async fn name(&self, tx: &mut Tx, durable: &Durable, now: Instant) -> Result<(), BlobError> {
        rows::keep(tx, &durable.sha256, durable.size, now).await?;
        let leased = rows::end_pending(tx, durable.lease).await?;
        if leased && tokio::fs::try_exists(self.path(&durable.sha256)).await? {
            return Ok(());
        }
        Err(BlobError::LeaseLost)
    }

    /// Gives up a content that was begun.
    pub async fn abandon(&self, store: &Store, incoming: Incoming) {
        let _ = tokio::fs::remove_file(&incoming.path).await;
        end_lease(store, incoming.id).await;
    }

    /// Gives up a durable content that no row came to name. Its bytes stay for `sweep`: another upload may share them.
    pub async fn release(&self, store: &Store, durable: &Durable) {
        end_lease(store, durable.lease).await;
    }

    /// Opens a content for reading.
    ///
    /// # Errors
    /// Where it is not there.
    pub async fn read(&self, sha256: &str) -> std::io::Result<File> {
        File::open(self.path(sha256)).await
    }

    /// Where an incoming content lies while it is checked.
    #[must_use]
    pub fn incoming_path(incoming: &Incoming) -> &Path {
        &incoming.path
    }
}

async fn end_lease(store: &Store, lease: Uuid) {
    let ended = async {
        let mut tx = store.write().await?;
        rows::end_pending(&mut tx, lease).await?;
        tx.commit().await
    };
    if let Err(error) = ended.await {
        // The lease runs out by itself; until then `sweep` leaves the bytes alone.
        tracing::warn!(%error, "a lease on a file content could not be ended");
    }
}

impl Incoming {
    /// Writes the next bytes.
    ///
    /// # Errors
    /// Where the folder refuses.
    pub async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes).await
    }

    /// Hands the bytes to the operating system, so that another reader sees them.
    ///
    /// # Errors
    /// Where the folder refuses.
    pub async fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush().await
    }

    /// Bytes so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// What a sweep took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Contents that no file named.
    pub contents: u64,
    /// Uploads that never ended.
    pub unfinished: u64,
}

/// Takes away contents that neither a file nor a live lease names, and what broken uploads left.
///
/// # Errors
/// Where the database or the folder refuses.
pub async fn sweep(store: &Store, blobs: &Blobs, now: Instant) -> Result<Swept, BlobError> {
    let mut swept = Swept::default();
    let mut tx = store.write().await?;
    rows::take_expired(&mut tx, now).await?;
    tx.commit().await?;
    let mut incoming = tokio::fs::read_dir(blobs.folder.join("incoming")).await?;
    while let Some(entry) = incoming.next_entry().await? {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<Uuid>().ok()) else {
            continue;
        };
        let mut tx = store.read().await?;
        if !rows::is_pending(&mut tx, id).await? {
            tokio::fs::remove_file(entry.path()).await?;
            swept.unfinished += 1;
        }
    }
    for sha256 in stored_digests(&blobs.folder).await? {
        let mut tx = store.write().await?;
        if rows::take_orphan(&mut tx, &sha256, now).await? {
            tokio::fs::remove_file(blobs.path(&sha256)).await?;
            tx.commit().await?;
            swept.contents += 1;
        }
    }
    Ok(swept)
}

async fn stored_digests(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut digests = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let mut entries = tokio::fs::read_dir(&folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name().to_string_lossy().into_owned();
            if depth < 2 && name.len() == 2 {
                folders.push((entry.path(), depth + 1));
            } else if depth == 2 && name.len() == 64 {
                digests.push(name);
            }
        }
    }
    Ok(digests)
}
