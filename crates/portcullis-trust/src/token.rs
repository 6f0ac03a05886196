//! API tokens: `pypi-…` text, what it says, and whether a request may use it.
//!
//! [`PresentedToken`] is what somebody sent: it names a key and claims restrictions. Only [`PresentedToken::verify`]
//! makes a [`VerifiedToken`], and only with the key and the caveats that the index stored for it.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use uuid::Uuid;

use crate::caveat::{Caveat, CaveatError, Permission, Request, Unsatisfied};
use crate::macaroon::Macaroon;
use crate::secret::SecretString;
pub use crate::secret::TokenKey;

/// The longest token text that is read, in bytes: PyPI's upload server takes header fields up to this size.
pub const TEXT_BYTES_MAX: usize = 32_760;

/// How long a minted token lives, in seconds. Clients that renew (twine 7) read the expiry from the answer.
pub const MINTED_LIFETIME_S: i64 = 900;

const PREFIX: &str = "pypi";

/// Issues no padding. Reads padded text and stray trailing bits, as PyPI's decoder does: tokens get copied by hand.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A token's text that was parsed. Nothing is verified yet: it says who it claims to be, no more.
#[derive(Clone)]
pub struct PresentedToken {
    macaroon: Macaroon,
}

impl std::fmt::Debug for PresentedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PresentedToken").field("identifier", &self.identifier()).finish_non_exhaustive()
    }
}

/// Why a text is not a token. The texts are PyPI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenTextError {
    /// No `pypi-` at the front, nothing behind it, or longer than [`TEXT_BYTES_MAX`].
    #[error("malformed or nonexistent macaroon")]
    Prefix,
    /// The rest is not base64 of a macaroon.
    #[error("malformed macaroon")]
    Macaroon,
}

/// A token whose signature chain and whose every caveat hold for one request. Only [`PresentedToken::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    identifier: Uuid,
    permission: Permission,
}

impl VerifiedToken {
    /// The token's id, which is the primary key of its row.
    pub fn identifier(&self) -> Uuid {
        self.identifier
    }

    /// The permission that was asked for and is granted.
    pub fn permission(&self) -> Permission {
        self.permission
    }
}

/// Why a token may not be used for a request. `Display` joins PyPI's texts with `, `, embedded caveats first, then the
/// stored copies: a restriction that was issued and fails is reported twice, one that the holder added once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    reasons: Vec<Reason>,
}

/// One reason of a [`Refusal`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A caveat that the request does not satisfy.
    #[error(transparent)]
    Unsatisfied(#[from] Unsatisfied),
    /// A caveat that could not be read.
    #[error(transparent)]
    Unreadable(#[from] CaveatError),
    /// Every caveat is satisfied, but the chain was not made with the token's key.
    #[error("signatures do not match")]
    Signature,
}

impl Refusal {
    /// The single reasons, in the order in which they were found.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, reason) in self.reasons.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{reason}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

impl PresentedToken {
    /// Reads `pypi-` and a macaroon. White space around it is dropped: secrets of CI services often end in a newline.
    ///
    /// # Errors
    /// [`TokenTextError`], with PyPI's texts.
    pub fn parse(text: &str) -> Result<PresentedToken, TokenTextError> {
        let text = text.trim();
        if text.len() > TEXT_BYTES_MAX {
            return Err(TokenTextError::Prefix);
        }
        let (prefix, rest) = text.split_once('-').ok_or(TokenTextError::Prefix)?;
        if prefix != PREFIX || rest.is_empty() {
            return Err(TokenTextError::Prefix);
        }
        // PyPI's decoder skips what is outside the alphabet, and so accepts a token that was wrapped on its way.
        let letters: String = rest
            .chars()
            .filter(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '='))
            .collect();
        let bytes = BASE64.decode(letters).map_err(|_| TokenTextError::Macaroon)?;
        let macaroon = Macaroon::parse(&bytes).map_err(|_| TokenTextError::Macaroon)?;
        Ok(PresentedToken { macaroon })
    }

    /// The id that the token claims. `None` where it is no UUID; such a token is as unknown as one whose id has no row.
    pub fn identifier(&self) -> Option<Uuid> {
        let text = str::from_utf8(&self.macaroon.identifier).ok()?;
        // Only the form with hyphens was ever issued; the others that a UUID can be written in are not ours.
        (text.len() == uuid::fmt::Hyphenated::LENGTH).then(|| Uuid::try_parse(text).ok()).flatten()
    }

    /// Whether the chain over the presented caveats was made with `key`, satisfied or not. So a copy that its holder
    /// narrowed, or one that has expired, is still recognised as this token, while one with a caveat cut off is not.
    pub fn chain_holds(&self, key: &TokenKey) -> bool {
        self.macaroon.chain_holds(key)
    }

    /// Whether this token may be used for `request`: every caveat, the embedded ones and then the `stored` ones, is
    /// evaluated, and the chain must hold.
    ///
    /// `stored` are the texts of the caveats that were issued, plus those that the server added since. A token reads only
    /// where a *stored* caveat grants reading: without one it uploads only, and a holder must not be able to widen it by
    /// adding a permission caveat of his own.
    ///
    /// # Errors
    /// [`Refusal`]. As with PyPI, a failing caveat hides a wrong signature, so its text proves nothing about the holder.
    pub fn verify(
        &self,
        key: &TokenKey,
        stored: &[String],
        request: &Request<'_>,
    ) -> Result<VerifiedToken, Refusal> {
        let mut reasons = Vec::new();
        for caveat in &self.macaroon.caveats {
            let judged = match &caveat.verification_id {
                // Third-party: nobody here could ever discharge it.
                Some(_) => Err(CaveatError::NotJson.into()),
                None => judge(&caveat.content, request).map(|_| ()),
            };
            reasons.extend(judged.err());
        }
        let mut grants_permissions = false;
        for text in stored {
            match judge(text.as_bytes(), request) {
                Ok(caveat) => grants_permissions |= matches!(caveat, Caveat::Permissions(_)),
                Err(reason) => reasons.push(reason),
            }
        }
        if reasons.is_empty() && !grants_permissions && request.permission != Permission::Upload {
            reasons.push(Unsatisfied::Permission(request.permission).into());
        }
        let identifier = match self.identifier() {
            Some(identifier) if self.chain_holds(key) => Some(identifier),
            _ => None,
        };
        match identifier {
            Some(identifier) if reasons.is_empty() => {
                Ok(VerifiedToken { identifier, permission: request.permission })
            }
            _ => Err(Refusal::of(reasons)),
        }
    }

    /// The presented caveats as text, for showing what a token claims. Bytes that are no UTF-8 are replaced.
    pub fn caveat_texts(&self) -> Vec<String> {
        let texts = self.macaroon.caveats.iter();
        texts.map(|caveat| String::from_utf8_lossy(&caveat.content).into_owned()).collect()
    }

    /// The same token with one more restriction, as any holder can make it without the key.
    pub fn attenuated(&self, caveat: &Caveat) -> SecretString {
        let mut macaroon = self.macaroon.clone();
        macaroon.attenuate(caveat.to_json().as_bytes());
        to_text(&macaroon)
    }
}

impl Refusal {
    /// PyPI says "signatures do not match" only where no caveat failed, and "unknown error" only where no caveat failed
    /// with a reason of its own.
    fn of(mut reasons: Vec<Reason>) -> Refusal {
        let unknown = Reason::Unreadable(CaveatError::NotJson);
        if reasons.iter().any(|reason| *reason != unknown) {
            reasons.retain(|reason| *reason != unknown);
        } else if reasons.is_empty() {
            reasons.push(Reason::Signature);
        } else {
            reasons.truncate(1);
        }
        Refusal { reasons }
    }
}

fn judge(content: &[u8], request: &Request<'_>) -> Result<Caveat, Reason> {
    let caveat = Caveat::parse(content)?;
    caveat.satisfied_by(request)?;
    Ok(caveat)
}

/// A new token, `pypi-` and the macaroon of format v2 without padding. `location` is the host that clients reach the
/// index by; it is a hint and is not signed.
pub fn mint(key: &TokenKey, location: &str, identifier: Uuid, caveats: &[Caveat]) -> SecretString {
    let texts: Vec<String> = caveats.iter().map(Caveat::to_json).collect();
    to_text(&Macaroon::issue(key, location, &identifier.to_string(), &texts))
}

fn to_text(macaroon: &Macaroon) -> SecretString {
    SecretString::from(format!("{PREFIX}-{}", BASE64.encode(macaroon.to_bytes())))
}
