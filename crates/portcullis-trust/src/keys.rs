//! The public keys of an issuer: its discovery document and its JSON Web Key Set, read under limits.
//!
//! Fetching them is the index's work; here are bytes only.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use serde_json::Value;

use crate::jwt::SignatureAlgorithm;

/// The largest discovery document or key set that is read, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// The most keys that are looked at in one set.
pub const KEYS_MAX: usize = 100;
/// The longest key id, in bytes.
pub const KEY_ID_BYTES_MAX: usize = 256;
/// The smallest RSA modulus that is accepted, in bytes (2048 bits; NIST SP 800-131A).
const RSA_MODULUS_BYTES_MIN: usize = 256;

/// One public key that signatures can be checked with.
#[derive(Clone)]
pub struct VerificationKey {
    id: String,
    algorithm: SignatureAlgorithm,
    key: DecodingKey,
}

impl VerificationKey {
    /// The `kid` that tokens name it by.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The one algorithm that this key is for.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    pub(crate) fn decoding_key(&self) -> &DecodingKey {
        &self.key
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// The usable keys of one issuer.
#[derive(Debug, Clone)]
pub struct KeySet {
    keys: Vec<VerificationKey>,
}

/// Why a document of an issuer is of no use. The keys that are already known then stay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Larger than [`DOCUMENT_BYTES_MAX`].
    #[error("the document is larger than {DOCUMENT_BYTES_MAX} bytes")]
    TooLarge,
    /// Not a JSON object.
    #[error("the document is not a JSON object")]
    NotJson,
    /// The discovery document has no `jwks_uri`.
    #[error("the discovery document names no `jwks_uri`")]
    NoKeysAddress,
    /// The discovery document is another issuer's (OpenID Connect Discovery 1.0 §4.3).
    #[error("the discovery document is of the issuer {0}")]
    OtherIssuer(String),
    /// More than [`KEYS_MAX`] keys.
    #[error("the set has more than {KEYS_MAX} keys")]
    TooManyKeys,
    /// Two keys with one id, so that it is open which one a token means.
    #[error("the set has two keys with one id")]
    DuplicateKeyId,
    /// No key that signatures can be checked with.
    #[error("the set has no usable key")]
    NoKeys,
}

/// The address of the key set in an issuer's `.well-known/openid-configuration`.
///
/// # Errors
/// [`KeysError`]. Whether the address may be asked is the caller's question.
pub fn keys_address(document: &[u8], issuer: &str) -> Result<String, KeysError> {
    let document = json(document)?;
    // OpenID Connect demands the field; an issuer that leaves it out is taken at the address it was found by.
    if let Some(named) = document.get("issuer")
        && named.as_str() != Some(issuer)
    {
        let named: String = named.to_string().chars().take(200).collect();
        return Err(KeysError::OtherIssuer(named));
    }
    let address = document.get("jwks_uri").and_then(Value::as_str).ok_or(KeysError::NoKeysAddress)?;
    Ok(address.to_owned())
}

impl KeySet {
    /// Reads a JWK Set (RFC 7517 §5). Keys of kinds that we do not use, keys for encryption, weak ones and ones without
    /// an id are passed over, as the RFC wants it.
    ///
    /// # Errors
    /// [`KeysError`], also where no key is left.
    pub fn parse(document: &[u8]) -> Result<KeySet, KeysError> {
        let document = json(document)?;
        let listed = document.get("keys").and_then(Value::as_array).ok_or(KeysError::NoKeys)?;
        if listed.len() > KEYS_MAX {
            return Err(KeysError::TooManyKeys);
        }
        let mut keys: Vec<VerificationKey> = Vec::new();
        for key in listed.iter().filter_map(usable_key) {
            if keys.iter().any(|known| known.id == key.id) {
                return Err(KeysError::DuplicateKeyId);
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeysError::NoKeys) } else { Ok(KeySet { keys }) }
    }

    /// The key that a token names.
    pub fn find(&self, key_id: &str) -> Option<&VerificationKey> {
        self.keys.iter().find(|key| key.id == key_id)
    }
}

fn json(document: &[u8]) -> Result<serde_json::Map<String, Value>, KeysError> {
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err(KeysError::TooLarge);
    }
    serde_json::from_slice(document).map_err(|_| KeysError::NotJson)
}

fn usable_key(value: &Value) -> Option<VerificationKey> {
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    let id = jwk.common.key_id.clone().filter(|id| !id.is_empty() && id.len() <= KEY_ID_BYTES_MAX)?;
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    if let Some(operations) = &jwk.common.key_operations
        && !operations.contains(&KeyOperations::Verify)
    {
        return None;
    }
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => {
            let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).ok()?;
            let significant = modulus.iter().skip_while(|byte| **byte == 0).count();
            if significant < RSA_MODULUS_BYTES_MIN {
                return None;
            }
            (SignatureAlgorithm::Rs256, KeyAlgorithm::RS256)
        }
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            (SignatureAlgorithm::Es256, KeyAlgorithm::ES256)
        }
        _ => return None,
    };
    // A key that its issuer meant for another algorithm is not used for ours.
    if jwk.common.key_algorithm.is_some_and(|algorithm| algorithm != named) {
        return None;
    }
    Some(VerificationKey { id, algorithm, key: DecodingKey::from_jwk(&jwk).ok()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::test_issuer::{EC, ISSUER, RSA, ec_jwk, encode, rsa_jwk};

    fn parse(keys: &[Value]) -> Result<KeySet, KeysError> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    /// The RSA key with one field replaced.
    fn changed(name: &str, value: Value) -> Value {
        let mut key = rsa_jwk(&RSA, "main");
        key[name] = value;
        key
    }

    #[test]
    fn keys_are_found_by_their_id() {
        let set = parse(&[rsa_jwk(&RSA, "a"), ec_jwk(&EC, "b")]).unwrap();
        assert_eq!(set.find("a").map(VerificationKey::algorithm), Some(SignatureAlgorithm::Rs256));
        assert_eq!(set.find("b").map(VerificationKey::algorithm), Some(SignatureAlgorithm::Es256));
        assert!(set.find("A").is_none());
        assert!(set.find("").is_none());
    }

    #[test]
    fn unusable_keys_are_passed_over() {
        let unusable = [
            json!(7),
            json!({ "kty": "oct", "kid": "main", "k": encode(b"secret"), "alg": "HS256" }),
            json!({ "kty": "OKP", "kid": "main", "crv": "Ed25519", "x": encode([1; 32]) }),
            json!({ "kty": "future", "kid": "main" }),
            changed("kid", json!(null)),
            changed("kid", json!("")),
            changed("kid", json!("k".repeat(KEY_ID_BYTES_MAX + 1))),
            changed("use", json!("enc")),
            changed("key_ops", json!(["encrypt"])),
            changed("alg", json!("RS512")),
            changed("alg", json!("HS256")),
            changed("n", json!("not base64!")),
            // 2040 bits, and the same with zeros in front.
            changed("n", json!(encode([0xff; 255]))),
            changed("n", json!(encode([&[0u8; 8][..], &[0xff; 255]].concat()))),
        ];
        for key in &unusable {
            assert_eq!(parse(std::slice::from_ref(key)).err(), Some(KeysError::NoKeys), "{key}");
        }
        let mut all = unusable.to_vec();
        all.push(rsa_jwk(&RSA, "main"));
        assert!(parse(&all).unwrap().find("main").is_some());
    }

    #[test]
    fn fields_that_say_nothing_against_it_do_not_matter() {
        let mut key = changed("key_ops", json!(["verify"]));
        key.as_object_mut().unwrap().remove("alg");
        key.as_object_mut().unwrap().remove("use");
        key["x5t"] = json!("anything");
        assert!(parse(&[key]).is_ok());
        assert!(parse(&[changed("kid", json!("k".repeat(KEY_ID_BYTES_MAX)))]).is_ok());
    }

    #[test]
    fn two_keys_with_one_id_are_refused() {
        let keys = [rsa_jwk(&RSA, "main"), ec_jwk(&EC, "main")];
        assert_eq!(parse(&keys).err(), Some(KeysError::DuplicateKeyId));
    }

    #[test]
    fn a_set_may_have_100_keys_and_no_more() {
        let keys = |count: usize| -> Vec<Value> {
            (0..count).map(|index| rsa_jwk(&RSA, &format!("key-{index}"))).collect()
        };
        assert!(parse(&keys(KEYS_MAX)).is_ok());
        assert_eq!(parse(&keys(KEYS_MAX + 1)).err(), Some(KeysError::TooManyKeys));
    }

    #[test]
    fn a_document_may_have_256_kibibytes_and_no_more() {
        let set = json!({ "keys": [rsa_jwk(&RSA, "main")] }).to_string();
        let filled = |size: usize| format!("{set}{}", " ".repeat(size - set.len()));
        assert!(KeySet::parse(filled(DOCUMENT_BYTES_MAX).as_bytes()).is_ok());
        let beyond = filled(DOCUMENT_BYTES_MAX + 1);
        assert_eq!(KeySet::parse(beyond.as_bytes()).err(), Some(KeysError::TooLarge));
        assert_eq!(keys_address(beyond.as_bytes(), ISSUER), Err(KeysError::TooLarge));
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        for (document, error) in [
            ("", KeysError::NotJson),
            ("[]", KeysError::NotJson),
            ("{}", KeysError::NoKeys),
            (r#"{"keys":[]}"#, KeysError::NoKeys),
            (r#"{"keys":{}}"#, KeysError::NoKeys),
        ] {
            assert_eq!(KeySet::parse(document.as_bytes()).err(), Some(error), "{document}");
        }
    }

    #[test]
    fn a_discovery_document_names_its_keys() {
        let document = |issuer: Value| {
            json!({ "issuer": issuer, "jwks_uri": "https://issuer.example/jwks" }).to_string()
        };
        let address = |text: &str| keys_address(text.as_bytes(), ISSUER);
        assert_eq!(address(&document(json!(ISSUER))).as_deref(), Ok("https://issuer.example/jwks"));
        assert!(address(r#"{"jwks_uri":"https://issuer.example/jwks"}"#).is_ok());
        assert!(matches!(address(&document(json!(format!("{ISSUER}/")))), Err(KeysError::OtherIssuer(_))));
        assert!(matches!(address(&document(json!(7))), Err(KeysError::OtherIssuer(_))));
        assert_eq!(address("{}"), Err(KeysError::NoKeysAddress));
        assert_eq!(address(r#"{"jwks_uri":7}"#), Err(KeysError::NoKeysAddress));
        assert_eq!(address("<html>"), Err(KeysError::NotJson));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), n in "[A-Za-z0-9_-]{0,400}", e in "[A-Za-z0-9_-]{0,8}") {
            let _ = KeySet::parse(&bytes);
            let _ = keys_address(&bytes, ISSUER);
            let mut key = changed("n", json!(n));
            key["e"] = json!(e);
            let _ = parse(&[key]);
        }
    }
}
