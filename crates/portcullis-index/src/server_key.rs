//! The server key: 32 bytes outside the database, under which token keys, second factors and signing keys lie in it.
//!
//! A copy of the database alone forges nothing. AES-256-GCM (NIST SP 800-38D); the additional data names the table and
//! the row, so that a sealed value moved to another row does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::io::Write;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// First byte of every sealed value: which algorithm and key it is under.
const FORMAT: u8 = 1;

/// What goes wrong with the key or a value under it.
#[derive(Debug, thiserror::Error)]
pub enum ServerKeyError {
    /// The file can't be read or made.
    #[error("the server key file {path} can't be used: {source}; it must be readable by the server alone")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds no key.
    #[error("the server key file {path} must hold 64 hexadecimal digits; restore it from where it was kept")]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
    /// A value does not open.
    #[error(
        "a value in the database can't be decrypted with this server key: the key file is not the one that the \
         database was made with, or the row was tampered with"
    )]
    DoesNotOpen,
    /// The cryptographic library refused.
    #[error("encryption failed")]
    Failed,
}

/// The key that opens what lies encrypted in the database.
pub struct ServerKey(LessSafeKey);

impl std::fmt::Debug for ServerKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ServerKey(…)")
    }
}

impl ServerKey {
    /// From its 32 bytes.
    ///
    /// # Errors
    /// Where the library refuses the key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, ServerKeyError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| ServerKeyError::Failed)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Reads the key from its file, or makes the file, readable by its owner alone, where there is none.
    ///
    /// # Errors
    /// Where the file can't be read or made, or holds no key.
    pub fn load_or_create(path: &Path) -> Result<Self, ServerKeyError> {
        let failed = |source| ServerKeyError::File { path: path.to_owned(), source };
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&Zeroizing::new(text), path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
                let text = Zeroizing::new(format!("{}\n", hex::encode(bytes.as_slice())));
                match create_private(path, text.as_bytes()) {
                    Ok(()) => Self::from_bytes(&bytes),
                    // Another process was first: its key is the key.
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                        Self::parse(&Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?), path)
                    }
                    Err(error) => Err(failed(error)),
                }
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ServerKeyError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(text.trim(), bytes.as_mut_slice())
            .map_err(|_| ServerKeyError::Malformed { path: path.to_owned() })?;
        Self::from_bytes(&bytes)
    }

    /// Encrypts `plain` for the place that `place` names (`tokens:ID`).
    ///
    /// # Errors
    /// Where the library refuses.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, ServerKeyError> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = plain.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| ServerKeyError::Failed)?;
        let mut value = Vec::with_capacity(1 + NONCE_LEN + sealed.len());
        value.push(FORMAT);
        value.extend_from_slice(&nonce);
        value.append(&mut sealed);
        Ok(value)
    }

    /// Decrypts what [`seal`](Self::seal) made for the same place.
    ///
    /// # Errors
    /// Where the value is of another key or place, or was changed.
    pub fn open(&self, place: &str, value: &[u8]) -> Result<Zeroizing<Vec<u8>>, ServerKeyError> {
        let (format, rest) = value.split_first().ok_or(ServerKeyError::DoesNotOpen)?;
        if *format != FORMAT {
            return Err(ServerKeyError::DoesNotOpen);
        }
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).ok_or(ServerKeyError::DoesNotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| ServerKeyError::DoesNotOpen)?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let length = self
            .0
            .open_in_place(nonce, Aad::from(place.as_bytes()), &mut buffer)
            .map_err(|_| ServerKeyError::DoesNotOpen)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }
}

/// Makes a file that only its owner may read, whole or not at all: a second process sees a complete key or none.
fn create_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&temporary, path);
    std::fs::remove_file(&temporary)?;
    linked?;
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_in_its_place_and_unchanged() {
        let key = ServerKey::from_bytes(&[7; 32]).unwrap();
        let sealed = key.seal("tokens:a", b"secret").unwrap();
        assert_eq!(key.open("tokens:a", &sealed).unwrap().as_slice(), b"secret");
        assert!(key.open("tokens:b", &sealed).is_err());
        assert!(ServerKey::from_bytes(&[8; 32]).unwrap().open("tokens:a", &sealed).is_err());
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert!(key.open("tokens:a", &changed).is_err(), "byte {position}");
        }
        assert!(key.open("tokens:a", &[]).is_err());
    }

    #[test]
    fn the_file_is_made_once_and_read_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let sealed = ServerKey::load_or_create(&path).unwrap().seal("x", b"y").unwrap();
        assert_eq!(ServerKey::load_or_create(&path).unwrap().open("x", &sealed).unwrap().as_slice(), b"y");
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(ServerKey::load_or_create(&path), Err(ServerKeyError::Malformed { .. })));
    }
}
