//! Passwords: argon2id with the parameters that OWASP's cheat sheet recommends (19 MiB, two passes, one lane).

use argon2::password_hash::{self, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};

use super::SignInGuard;

/// Shortest password, in characters (NIST SP 800-63B asks for 8 with and 15 without a second factor).
pub const SHORTEST: usize = 12;
/// Longest password, in bytes: bounds what a stranger can make the server hash.
pub const LONGEST: usize = 1024;

/// Why a password can't be one.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too short.
    #[error("a password has at least {SHORTEST} characters; a few random words are easy to remember")]
    TooShort,
    /// Too long.
    #[error("a password has at most {LONGEST} bytes")]
    TooLong,
    /// Too many others wait for theirs.
    #[error("too many people sign in at this moment")]
    Busy,
    /// The hash could not be made or read.
    #[error("the password could not be hashed: {0}")]
    Hash(String),
}

/// A password that keeps to the rules for new ones.
#[derive(Debug)]
pub struct Password(SecretString);

impl Password {
    /// Checks a newly chosen password.
    ///
    /// # Errors
    /// Where it is too short or too long.
    pub fn choose(text: SecretString) -> Result<Self, PasswordError> {
        if text.expose_secret().chars().count() < SHORTEST {
            return Err(PasswordError::TooShort);
        }
        if text.expose_secret().len() > LONGEST {
            return Err(PasswordError::TooLong);
        }
        Ok(Self(text))
    }
}

/// Memory in KiB, passes, lanes. Lowering them makes every stolen hash cheaper to guess; hashes made before keep theirs,
/// since each stands in its own PHC string.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).map_err(failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn failed(error: impl std::fmt::Display) -> PasswordError {
    PasswordError::Hash(error.to_string())
}

impl SignInGuard {
    /// The PHC string of a password.
    ///
    /// # Errors
    /// Where the library refuses.
    pub async fn hash(&self, password: Password) -> Result<String, PasswordError> {
        self.one_of_few(move || {
            let salt: [u8; 16] = rand::random();
            let hash = argon2()?
                .hash_password_with_salt(password.0.expose_secret().as_bytes(), &salt)
                .map_err(failed)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether a password is the one that was hashed. Without a hash (no such account, or none set yet) the same work is
    /// done for nothing, so that the time tells nothing.
    ///
    /// # Errors
    /// Where the hash is unreadable.
    pub async fn verify(&self, hash: Option<String>, password: SecretString) -> Result<bool, PasswordError> {
        self.one_of_few(move || {
            let password = password.expose_secret().as_bytes();
            if password.len() > LONGEST {
                return Ok(false);
            }
            let argon2 = argon2()?;
            let Some(hash) = hash else {
                argon2.hash_password_with_salt(password, &[0; 16]).map_err(failed)?;
                return Ok(false);
            };
            match argon2.verify_password(password, hash.as_str()) {
                Ok(()) => Ok(true),
                Err(password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(failed(error)),
            }
        })
        .await
    }

    async fn one_of_few<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let _place = self.waiting.try_acquire().map_err(|_| PasswordError::Busy)?;
        let _permit = self.hashing.acquire().await.map_err(failed)?;
        tokio::task::spawn_blocking(work).await.map_err(failed)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(text: &str) -> Result<Password, PasswordError> {
        Password::choose(SecretString::from(text))
    }

    #[test]
    fn the_limits_hold_and_one_past_them_is_refused() {
        assert!(choose(&"ü".repeat(SHORTEST)).is_ok());
        assert!(matches!(choose(&"ü".repeat(SHORTEST - 1)), Err(PasswordError::TooShort)));
        assert!(choose(&"x".repeat(LONGEST)).is_ok());
        assert!(matches!(choose(&"x".repeat(LONGEST + 1)), Err(PasswordError::TooLong)));
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let guard = SignInGuard::default();
        let held = guard
            .waiting
            .acquire_many(u32::try_from(crate::account::WAITING_AT_ONCE - 1).unwrap())
            .await
            .unwrap();
        assert!(guard.verify(None, SecretString::from("x")).await.is_ok());
        let last = guard.waiting.acquire().await.unwrap();
        assert!(matches!(guard.verify(None, SecretString::from("x")).await, Err(PasswordError::Busy)));
        drop((held, last));
        assert!(guard.verify(None, SecretString::from("x")).await.is_ok());
    }

    #[tokio::test]
    async fn only_the_password_itself_verifies() {
        let guard = SignInGuard::default();
        let hash = guard.hash(choose("correct horse battery").unwrap()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        for (hash, text, right) in [
            (Some(hash.clone()), "correct horse battery", true),
            (Some(hash.clone()), "correct horse batterY", false),
            (Some(hash), "", false),
            (None, "correct horse battery", false),
        ] {
            assert_eq!(guard.verify(hash, SecretString::from(text)).await.unwrap(), right, "{text}");
        }
    }
}
