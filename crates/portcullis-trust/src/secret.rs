//! Secrets that no log line, error or `Debug` output can show, and that are wiped when they are dropped.

use std::fmt;

pub use secrecy::{ExposeSecret, SecretString};
use zeroize::ZeroizeOnDrop;

/// The 32 random bytes that sign one token's macaroon. Whoever holds them can forge that token, so the index stores
/// them encrypted only, and this type shows them to nobody who does not call [`TokenKey::expose`].
#[derive(Clone, ZeroizeOnDrop)]
pub struct TokenKey {
    bytes: [u8; 32],
}

impl TokenKey {
    /// Takes the key's bytes: fresh from the caller's random source, or decrypted from the token's row.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        TokenKey { bytes }
    }

    /// The bytes themselves, for sealing them into a row. The word is easy to search for in review.
    pub fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::TokenKey;

    #[test]
    fn debug_output_shows_no_byte_of_a_key() {
        let shown = format!("{:?}", TokenKey::from_bytes([0xab; 32]));
        assert_eq!(shown, "TokenKey(…)");
    }
}
