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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::caveat::{Identity, Target};
    use crate::macaroon::CaveatBytes;

    const ISSUED: &str = "pypi-AgEIcHlwaS5vcmcCJDVmMmY4YTJlLTRiMGEtNGY3ZS05ZjViLTBkNmEzZjBjOWUxMQACKlszLCIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDEiXQAABiCtIfTezSGpoYEjlXLTSC82ka_Tz3IPBvd28Voidzw0eQ";
    const ATTENUATED: &str = "pypi-AgEIcHlwaS5vcmcCJDVmMmY4YTJlLTRiMGEtNGY3ZS05ZjViLTBkNmEzZjBjOWUxMQACKlszLCIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDEiXQACCVswLDUwLDEwXQAABiCNIMAQW6hnYw6tkuBur9OUJnOQeG5_fmvDo43BJBbfgw";
    const IDENTIFIER: Uuid = Uuid::from_u128(0x5f2f8a2e_4b0a_4f7e_9f5b_0d6a3f0c9e11);
    const ACCOUNT: Uuid = Uuid::from_u128(1);
    const PROJECT: Uuid = Uuid::from_u128(0x10);
    const PUBLISHER: Uuid = Uuid::from_u128(0x20);

    fn key() -> TokenKey {
        TokenKey::from_bytes(std::array::from_fn(|index| index as u8))
    }

    fn upload() -> Request<'static> {
        Request {
            now: 20,
            identity: Identity::Account(ACCOUNT),
            permission: Permission::Upload,
            target: Some(Target { id: Some(PROJECT), name: "Sample", name_normalised: "sample" }),
            version: None,
            file_sha256: None,
        }
    }

    /// A presented token that `key` signed over these texts, whatever they say.
    fn presented(texts: &[&str]) -> PresentedToken {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        PresentedToken { macaroon: Macaroon::issue(&key(), "pypi.org", &IDENTIFIER.to_string(), &texts) }
    }

    fn verified(embedded: &[&str], stored: &[&str], request: &Request<'_>) -> Result<Uuid, String> {
        let stored: Vec<String> = stored.iter().map(|text| (*text).to_owned()).collect();
        let outcome = presented(embedded).verify(&key(), &stored, request);
        outcome.map(|token| token.identifier()).map_err(|refusal| refusal.to_string())
    }

    #[track_caller]
    fn refused(embedded: &[&str], stored: &[&str], request: &Request<'_>, text: &str) {
        assert_eq!(verified(embedded, stored, request), Err(text.to_owned()));
    }

    #[test]
    fn minting_gives_pymacaroons_text() {
        let text = mint(&key(), "pypi.org", IDENTIFIER, &[Caveat::RequestUser(ACCOUNT)]);
        assert_eq!(text.expose_secret(), ISSUED);
        let narrowed = PresentedToken::parse(ISSUED)
            .unwrap()
            .attenuated(&Caveat::Expiration { expires_at: 50, not_before: 10 });
        assert_eq!(narrowed.expose_secret(), ATTENUATED);
    }

    #[test]
    fn pymacaroons_tokens_are_read_and_verified() {
        for text in [ISSUED, ATTENUATED] {
            let token = PresentedToken::parse(text).unwrap();
            assert_eq!(token.identifier(), Some(IDENTIFIER));
            assert!(token.chain_holds(&key()));
            let stored = [Caveat::RequestUser(ACCOUNT).to_json()];
            assert_eq!(token.verify(&key(), &stored, &upload()).unwrap().identifier(), IDENTIFIER);
        }
        let texts = PresentedToken::parse(ATTENUATED).unwrap().caveat_texts();
        assert_eq!(texts, [r#"[3,"00000000-0000-0000-0000-000000000001"]"#, "[0,50,10]"]);
    }

    #[test]
    fn issued_tokens_have_the_documented_lengths() {
        let user = mint(&key(), "pypi.org", IDENTIFIER, &[Caveat::RequestUser(ACCOUNT)]);
        assert_eq!(user.expose_secret().len(), 179);
        let minted = mint(
            &key(),
            "pypi.org",
            IDENTIFIER,
            &[
                Caveat::Publisher(PUBLISHER),
                Caveat::ProjectIds(vec![PROJECT]),
                Caveat::Expiration { expires_at: 1_790_000_900, not_before: 1_790_000_000 },
            ],
        );
        assert!((280..=290).contains(&minted.expose_secret().len()), "{}", minted.expose_secret().len());
        assert!(!minted.expose_secret().contains('='));
    }

    #[test]
    fn white_space_padding_and_foreign_characters_are_tolerated() {
        let (front, back) = ISSUED.split_at(60);
        for text in [format!("  {ISSUED}\r\n"), format!("{ISSUED}=="), format!("{front}\n {back}")] {
            assert!(PresentedToken::parse(&text).unwrap().chain_holds(&key()), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_token_says_so_as_pypi_does() {
        for text in ["", "pypi", "pypi-", "PYPI-AgEI", "test-AgEI", "AgEIcHlwaS5vcmc", "portcullis-AgEI"] {
            assert_eq!(PresentedToken::parse(text).unwrap_err(), TokenTextError::Prefix, "{text}");
        }
        for text in ["pypi-A", "pypi-AgEI", "pypi-AAAA", "pypi-====", "pypi-!!", ISSUED.split_at(100).0] {
            assert_eq!(PresentedToken::parse(text).unwrap_err(), TokenTextError::Macaroon, "{text}");
        }
        assert_eq!(TokenTextError::Prefix.to_string(), "malformed or nonexistent macaroon");
        assert_eq!(TokenTextError::Macaroon.to_string(), "malformed macaroon");
    }

    #[test]
    fn a_token_may_be_as_long_as_a_header_field_and_no_longer() {
        let padded = |length: usize| format!("{ISSUED}{}", "=".repeat(length - ISSUED.len()));
        // More padding than base64 has room for is malformed, but it was read.
        assert_eq!(PresentedToken::parse(&padded(TEXT_BYTES_MAX)).unwrap_err(), TokenTextError::Macaroon);
        assert_eq!(PresentedToken::parse(&padded(TEXT_BYTES_MAX + 1)).unwrap_err(), TokenTextError::Prefix);
        // White space around a token is no part of it.
        assert!(PresentedToken::parse(&format!("{ISSUED}{}", "\n".repeat(TEXT_BYTES_MAX))).is_ok());
    }

    #[test]
    fn an_identifier_that_is_no_uuid_is_unknown_and_never_verifies() {
        for identifier in
            ["", "alice", "5f2f8a2e4b0a4f7e9f5b0d6a3f0c9e11", "{5f2f8a2e-4b0a-4f7e-9f5b-0d6a3f0c9e11}"]
        {
            let token = PresentedToken { macaroon: Macaroon::issue(&key(), "pypi.org", identifier, &[]) };
            assert_eq!(token.identifier(), None, "{identifier}");
            let refusal = token.verify(&key(), &[], &upload()).unwrap_err();
            assert_eq!(refusal.to_string(), "signatures do not match");
        }
    }

    #[test]
    fn an_issued_caveat_that_fails_is_reported_twice_and_an_added_one_once() {
        refused(&["[0,20,0]"], &["[0,20,0]"], &upload(), "token is expired, token is expired");
        refused(&["[0,20,0]"], &[], &upload(), "token is expired");
        let other = "project-scoped token is not valid for project: 'Sample'";
        refused(
            &[r#"[1,["other"]]"#, "[0,20,0]"],
            &[r#"[1,["other"]]"#],
            &upload(),
            &format!("{other}, token is expired, {other}"),
        );
    }

    #[test]
    fn a_detached_publishers_token_gives_both_texts_twice() {
        let caveats = [format!(r#"[4,"{PUBLISHER}",null]"#), format!(r#"[2,["{PUBLISHER}"]]"#)];
        let caveats: Vec<&str> = caveats.iter().map(String::as_str).collect();
        let request = Request { identity: Identity::Publisher { id: PUBLISHER, projects: &[] }, ..upload() };
        refused(
            &caveats,
            &caveats,
            &request,
            "OIDC scoped token is not valid for project 'Sample', project-scoped token is not valid for project: \
             'Sample', OIDC scoped token is not valid for project 'Sample', project-scoped token is not valid for \
             project: 'Sample'",
        );
    }

    #[test]
    fn a_restriction_that_only_the_server_stored_counts() {
        assert_eq!(verified(&[], &[], &upload()), Ok(IDENTIFIER));
        refused(&[], &["[0,20,0]"], &upload(), "token is expired");
        refused(
            &[],
            &[&format!(r#"[1004,["{PROJECT}"]]"#)],
            &upload(),
            "token is excluded from project: 'Sample'",
        );
    }

    #[test]
    fn unknown_tags_and_unreadable_caveats_fail_closed() {
        refused(&["[99]"], &[], &upload(), "caveat has unknown tag: 99");
        refused(&[], &["[99]"], &upload(), "caveat has unknown tag: 99");
        refused(&["not json"], &[], &upload(), "unknown error");
        refused(&["not json", "also not"], &["nor this"], &upload(), "unknown error");
        refused(&["not json", "[0,20,0]"], &[], &upload(), "token is expired");

        let mut third_party = presented(&[]);
        third_party
            .macaroon
            .caveats
            .push(CaveatBytes { content: b"c".to_vec(), verification_id: Some(b"v".to_vec()) });
        assert_eq!(third_party.verify(&key(), &[], &upload()).unwrap_err().to_string(), "unknown error");
    }

    #[test]
    fn a_wrong_signature_shows_only_where_no_caveat_fails() {
        let wrong = TokenKey::from_bytes([9; 32]);
        let refusal = |texts: &[&str]| presented(texts).verify(&wrong, &[], &upload()).unwrap_err();
        assert_eq!(refusal(&[]).to_string(), "signatures do not match");
        assert_eq!(refusal(&["[0,20,0]"]).to_string(), "token is expired");
        assert_eq!(refusal(&["[0,21,0]"]).reasons(), [Reason::Signature]);
    }

    #[test]
    fn a_token_with_a_caveat_cut_off_is_refused() {
        let mut token = presented(&["[0,21,0]", "[0,20,0]"]);
        token.macaroon.caveats.pop();
        assert!(!token.chain_holds(&key()));
        let refusal = token.verify(&key(), &["[0,21,0]".to_owned()], &upload()).unwrap_err();
        assert_eq!(refusal.to_string(), "signatures do not match");
    }

    #[test]
    fn an_expired_or_narrowed_copy_still_holds_its_chain() {
        assert!(presented(&["[0,1,0]"]).chain_holds(&key()));
        let narrowed = presented(&["[0,1,0]"]).attenuated(&Caveat::ProjectNames(vec![]));
        assert!(PresentedToken::parse(narrowed.expose_secret()).unwrap().chain_holds(&key()));
    }

    #[test]
    fn reading_needs_a_permission_that_was_issued() {
        let read = Request { permission: Permission::Read, target: None, ..upload() };
        let not_granted = "token is not valid for permission: read";
        let both = r#"[1003,["upload","read"]]"#;
        refused(&[], &[], &read, not_granted);
        // The holder adds it: that must not widen what was issued.
        refused(&[both], &[], &read, not_granted);
        assert_eq!(verified(&[both], &[both], &read), Ok(IDENTIFIER));
        assert_eq!(verified(&[both], &[both], &upload()), Ok(IDENTIFIER));
        refused(&[both, r#"[1003,["upload"]]"#], &[both], &read, not_granted);
        refused(
            &[r#"[1003,["read"]]"#],
            &[r#"[1003,["read"]]"#],
            &upload(),
            "token is not valid for permission: upload, token is not valid for permission: upload",
        );
    }

    #[test]
    fn debug_output_shows_no_signature() {
        let shown = format!("{:?}", PresentedToken::parse(ISSUED).unwrap());
        assert_eq!(shown, format!("PresentedToken {{ identifier: Some({IDENTIFIER}), .. }}"));
    }

    /// Any caveat that a holder might add, sensible or not.
    fn added() -> impl Strategy<Value = Caveat> {
        prop_oneof![
            (any::<i64>(), any::<i64>())
                .prop_map(|(expires_at, not_before)| Caveat::Expiration { expires_at, not_before }),
            proptest::collection::vec("sample|other", 0..3).prop_map(Caveat::ProjectNames),
            Just(Caveat::ProjectIds(vec![PROJECT])),
            Just(Caveat::RequestUser(ACCOUNT)),
            Just(Caveat::Publisher(PUBLISHER)),
            Just(Caveat::AnyUser),
            Just(Caveat::Versions(vec!["1.0".into()])),
            Just(Caveat::Permissions(vec![Permission::Upload, Permission::Read])),
            Just(Caveat::Permissions(vec![Permission::Read])),
            Just(Caveat::ExcludedProjects(vec![])),
        ]
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,300}") {
            let _ = PresentedToken::parse(&text);
            let _ = PresentedToken::parse(&format!("pypi-{text}"));
        }

        #[test]
        fn attenuation_only_narrows(
            issued in proptest::collection::vec(added(), 0..3),
            further in added(),
            read in any::<bool>(), by_publisher in any::<bool>(), now in any::<i64>(), in_project in any::<bool>(),
        ) {
            let request = Request {
                now,
                permission: if read { Permission::Read } else { Permission::Upload },
                identity: if by_publisher {
                    Identity::Publisher { id: PUBLISHER, projects: &[PROJECT] }
                } else {
                    Identity::Account(ACCOUNT)
                },
                target: if in_project { upload().target } else { None },
                version: Some("1.0"),
                ..upload()
            };
            let stored: Vec<String> = issued.iter().map(Caveat::to_json).collect();
            let original = PresentedToken::parse(mint(&key(), "h", IDENTIFIER, &issued).expose_secret()).unwrap();
            let narrowed = PresentedToken::parse(original.attenuated(&further).expose_secret()).unwrap();
            if narrowed.verify(&key(), &stored, &request).is_ok() {
                prop_assert!(original.verify(&key(), &stored, &request).is_ok());
            }
        }
    }
}
