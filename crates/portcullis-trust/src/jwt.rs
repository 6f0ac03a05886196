//! Identity tokens of CI jobs (JWTs, RFC 7519), from text to [`VerifiedClaims`].
//!
//! Before verification only the issuer and the key id can be read, to find the key with. The signature is jsonwebtoken's
//! work; its checks of time and audience are not used, because they read the system clock, let a token pass that expired
//! exactly at the leeway, and accept a list for `aud`. Ours follow PyPI's rules against the `now` that they are given.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use crate::keys::VerificationKey;

/// The longest JWT that is read, in bytes. GitHub's have about 2,000.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// By how many seconds the issuer's clock and ours may differ, as with PyPI. Whoever raises it must raise
/// [`REPLAY_MEMORY_S`] with it: a token that is still accepted but no longer remembered can be used again.
pub const LEEWAY_S: i64 = 30;

/// How long after its `exp` a used token must be remembered, in seconds: the leeway, and a margin.
pub const REPLAY_MEMORY_S: i64 = LEEWAY_S + 5;

/// A signature algorithm that a provider may allow (RFC 7518). Symmetric ones and `none` can't be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, what GitHub signs with.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl SignatureAlgorithm {
    /// The name in a JWT's header.
    fn name(self) -> &'static str {
        match self {
            SignatureAlgorithm::Rs256 => "RS256",
            SignatureAlgorithm::Es256 => "ES256",
        }
    }

    fn for_jsonwebtoken(self) -> Algorithm {
        match self {
            SignatureAlgorithm::Rs256 => Algorithm::RS256,
            SignatureAlgorithm::Es256 => Algorithm::ES256,
        }
    }
}

/// A JWT of which nothing is verified. It shows only what is needed to find the key: the claims stay inside.
pub struct UnverifiedJwt<'a> {
    text: &'a str,
    issuer: String,
    key_id: Option<String>,
    algorithm: Option<String>,
    has_critical_header: bool,
    claims: Map<String, Value>,
}

/// What a token must say to be meant for this index.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The issuer, compared as text: no normalisation of slashes or case.
    pub issuer: &'a str,
    /// The index's own audience.
    pub audience: &'a str,
    /// The provider's algorithms. Never taken from the token, whose header is the attacker's to write.
    pub algorithms: &'a [SignatureAlgorithm],
}

/// The claims of a token whose signature, issuer, audience and times were checked. Only [`UnverifiedJwt::verify`] makes
/// one.
#[derive(Debug, Clone)]
pub struct VerifiedClaims {
    issuer: String,
    issued_at: i64,
    expires_at: i64,
    claims: Map<String, Value>,
}

/// Why a token is refused before anybody looks at its claims. Clients read one of two texts for all of these; the
/// variants are for tests and for the operator's log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not three parts of base64url with JSON objects, or too long.
    #[error("the text is not a JWT")]
    Malformed,
    /// No `iss`, or one that is not a string.
    #[error("the token names no issuer")]
    NoIssuer,
    /// No `kid` in the header: no key can be looked up.
    #[error("the token names no key")]
    NoKeyId,
    /// A `crit` header. We understand no extension, and RFC 7515 §4.1.11 then demands refusal.
    #[error("the token's header has critical extensions")]
    CriticalHeader,
    /// The key's algorithm is not the provider's, or the header's is not the key's.
    #[error("the token's algorithm is not its provider's")]
    Algorithm,
    /// The signature was not made with the key.
    #[error("the signature does not match")]
    Signature,
    /// A claim that every token must have is missing or null.
    #[error("the claim `{0}` is missing")]
    MissingClaim(&'static str),
    /// A registered claim has the wrong JSON type.
    #[error("the claim `{0}` has the wrong type")]
    WrongType(&'static str),
    /// From another issuer than expected.
    #[error("the issuer is not the expected one")]
    Issuer,
    /// Meant for another index.
    #[error("the audience is not this index's")]
    Audience,
    /// `exp` lies [`LEEWAY_S`] or more in the past.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies more than [`LEEWAY_S`] in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
}

impl<'a> UnverifiedJwt<'a> {
    /// Reads the issuer and the key id.
    ///
    /// # Errors
    /// [`JwtError::Malformed`] or [`JwtError::NoIssuer`]; PyPI calls both "malformed JWT".
    pub fn parse(text: &'a str) -> Result<UnverifiedJwt<'a>, JwtError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(JwtError::Malformed);
        }
        let parts: Vec<&str> = text.splitn(4, '.').collect();
        let [header, payload, signature] = parts.as_slice() else { return Err(JwtError::Malformed) };
        let header = json_object(header)?;
        let payload = json_object(payload)?;
        URL_SAFE_NO_PAD.decode(signature).map_err(|_| JwtError::Malformed)?;
        let key_id = match header.get("kid") {
            None | Some(Value::Null) => None,
            Some(Value::String(key_id)) => Some(key_id.clone()),
            Some(_) => return Err(JwtError::Malformed),
        };
        let issuer = payload.get("iss").and_then(Value::as_str).ok_or(JwtError::NoIssuer)?.to_owned();
        Ok(UnverifiedJwt {
            text,
            issuer,
            key_id,
            algorithm: header.get("alg").and_then(Value::as_str).map(str::to_owned),
            has_critical_header: header.contains_key("crit"),
            claims: payload,
        })
    }

    /// Who the token says that it is from. Good for looking up who that would be, and for nothing else.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Which of the issuer's keys the token says that it is signed with.
    ///
    /// # Errors
    /// [`JwtError::NoKeyId`] where it names none.
    pub fn key_id(&self) -> Result<&str, JwtError> {
        self.key_id.as_deref().ok_or(JwtError::NoKeyId)
    }

    /// Checks signature, algorithm, issuer, audience and times.
    ///
    /// `now` is in unix seconds. The algorithm is the key's, and the key's must be among the provider's; what the token's
    /// header says can only make it fail.
    ///
    /// # Errors
    /// [`JwtError`]; PyPI calls all of them "malformed or invalid token".
    pub fn verify(
        &self,
        key: &VerificationKey,
        expected: &Expected<'_>,
        now: i64,
    ) -> Result<VerifiedClaims, JwtError> {
        if self.key_id()? != key.id() {
            return Err(JwtError::NoKeyId);
        }
        if self.has_critical_header {
            return Err(JwtError::CriticalHeader);
        }
        if !expected.algorithms.contains(&key.algorithm()) {
            return Err(JwtError::Algorithm);
        }
        let claims = self.signed_claims(key)?;
        check_registered(claims, expected, now)
    }

    /// The claims, if the header names the key's algorithm and the signature is the key's.
    fn signed_claims(&self, key: &VerificationKey) -> Result<Map<String, Value>, JwtError> {
        if self.algorithm.as_deref() != Some(key.algorithm().name()) {
            return Err(JwtError::Algorithm);
        }
        let (message, signature) = self.text.rsplit_once('.').ok_or(JwtError::Malformed)?;
        let algorithm = key.algorithm().for_jsonwebtoken();
        match jsonwebtoken::crypto::verify(signature, message.as_bytes(), key.decoding_key(), algorithm) {
            Ok(true) => Ok(self.claims.clone()),
            Ok(false) | Err(_) => Err(JwtError::Signature),
        }
    }
}

impl VerifiedClaims {
    /// The issuer, which is one that the index trusts.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `iat` in unix seconds.
    pub fn issued_at(&self) -> i64 {
        self.issued_at
    }

    /// `exp` in unix seconds.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// Until when this token must be remembered as used, in unix seconds: longer than it could still be accepted.
    pub fn remember_until(&self) -> i64 {
        self.expires_at.saturating_add(REPLAY_MEMORY_S)
    }

    /// One claim. A claim that is null is as good as missing.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name).filter(|value| !value.is_null())
    }

    /// One claim that is text. A claim of another type is `None`, as is a missing one: nothing is converted.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claim(name).and_then(Value::as_str)
    }
}

fn json_object(part: &str) -> Result<Map<String, Value>, JwtError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| JwtError::Malformed)
}

/// PyPI's rules for the registered claims (`warehouse/oidc/services.py`), with a leeway in both directions.
fn check_registered(
    claims: Map<String, Value>,
    expected: &Expected<'_>,
    now: i64,
) -> Result<VerifiedClaims, JwtError> {
    let issuer = required_text(&claims, "iss")?;
    if issuer != expected.issuer {
        return Err(JwtError::Issuer);
    }
    // A list is refused even if it holds only our audience: such a token was made for several places.
    if required_text(&claims, "aud")? != expected.audience {
        return Err(JwtError::Audience);
    }
    let issued_at = seconds(&claims, "iat")?.ok_or(JwtError::MissingClaim("iat"))?;
    let expires_at = seconds(&claims, "exp")?.ok_or(JwtError::MissingClaim("exp"))?;
    let not_before = seconds(&claims, "nbf")?;
    if expires_at <= now.saturating_sub(LEEWAY_S) {
        return Err(JwtError::Expired);
    }
    let latest_start = now.saturating_add(LEEWAY_S);
    if issued_at > latest_start || not_before.is_some_and(|start| start > latest_start) {
        return Err(JwtError::NotYetValid);
    }
    for name in ["sub", "jti"] {
        match claims.get(name) {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(_) => return Err(JwtError::WrongType(name)),
        }
    }
    Ok(VerifiedClaims { issuer: issuer.to_owned(), issued_at, expires_at, claims })
}

fn required_text<'c>(claims: &'c Map<String, Value>, name: &'static str) -> Result<&'c str, JwtError> {
    match claims.get(name) {
        None | Some(Value::Null) => Err(JwtError::MissingClaim(name)),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(JwtError::WrongType(name)),
    }
}

/// A NumericDate (RFC 7519 §2), which may have a fraction; it is cut off, as PyPI's library does.
fn seconds(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, JwtError> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            let whole = number.as_i64().or_else(|| {
                // `as` saturates, so that a date beyond any clock stays far away instead of wrapping round.
                number.as_f64().map(|fraction| fraction as i64)
            });
            whole.map(Some).ok_or(JwtError::WrongType(name))
        }
        Some(_) => Err(JwtError::WrongType(name)),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::KeyPair;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::test_issuer::{
        AUDIENCE, EC, ISSUER, NOW, OTHER_RSA, RSA, Signer, ec_jwk, encode, expected, keys, public_key_der,
        registered, sign, sign_bytes,
    };

    const RS256_ONLY: &[SignatureAlgorithm] = &[SignatureAlgorithm::Rs256];

    /// What the index does with a token: issuer, key, verification.
    fn accepted_at(text: &str, now: i64) -> Result<VerifiedClaims, JwtError> {
        let token = UnverifiedJwt::parse(text)?;
        let keys = keys();
        let key = keys.find(token.key_id()?).ok_or(JwtError::NoKeyId)?;
        token.verify(key, &expected(RS256_ONLY), now)
    }

    fn refusal(header: &Value, claims: &Value, signer: &Signer<'_>) -> JwtError {
        accepted_at(&sign(header, claims, signer), NOW).unwrap_err()
    }

    fn header() -> Value {
        json!({ "alg": "RS256", "typ": "JWT", "kid": "main" })
    }

    fn signed(claims: &Value) -> String {
        sign(&header(), claims, &Signer::Rs256(&RSA))
    }

    /// The registered claims with one of them replaced, or taken away.
    fn with(name: &str, value: Option<Value>) -> Value {
        let mut claims = registered();
        match value {
            Some(value) => claims[name] = value,
            None => {
                claims.as_object_mut().unwrap().remove(name);
            }
        }
        claims
    }

    #[track_caller]
    fn claims_refused(claims: &Value, error: JwtError) {
        assert_eq!(accepted_at(&signed(claims), NOW).unwrap_err(), error, "{claims}");
    }

    #[test]
    fn a_good_token_gives_its_claims() {
        let claims = accepted_at(&signed(&registered()), NOW).unwrap();
        assert_eq!((claims.issuer(), claims.issued_at(), claims.expires_at()), (ISSUER, NOW, NOW + 300));
        assert_eq!(claims.text("jti"), Some("j-1"));
        assert_eq!(claims.text("exp"), None, "a number is no text");
        assert_eq!(claims.claim("missing"), None);
    }

    #[test]
    fn before_verification_only_issuer_and_key_id_can_be_read() {
        let text = sign(&json!({ "alg": "none", "kid": "k" }), &json!({ "iss": "x" }), &Signer::Nothing);
        let token = UnverifiedJwt::parse(&text).unwrap();
        assert_eq!((token.issuer(), token.key_id()), ("x", Ok("k")));
    }

    #[test]
    fn what_is_no_jwt_is_malformed() {
        let good = signed(&registered());
        let (head, signature) = good.rsplit_once('.').unwrap();
        for text in [
            "".to_owned(),
            "a.b".to_owned(),
            "..".to_owned(),
            head.to_owned(),
            format!("{good}.{signature}"),
            format!("{good}="),
            format!(" {good}"),
            format!("{head}.!!"),
            sign_bytes(b"[]", registered().to_string().as_bytes(), &Signer::Nothing),
            sign_bytes(b"{\"alg\"", registered().to_string().as_bytes(), &Signer::Nothing),
            sign_bytes(header().to_string().as_bytes(), b"7", &Signer::Nothing),
            sign(&json!({ "alg": "RS256", "kid": 7 }), &registered(), &Signer::Nothing),
        ] {
            assert_eq!(UnverifiedJwt::parse(&text).err(), Some(JwtError::Malformed), "{text}");
        }
        for issuer in [None, Some(json!(null)), Some(json!(7)), Some(json!([ISSUER]))] {
            let text = signed(&with("iss", issuer));
            assert_eq!(UnverifiedJwt::parse(&text).err(), Some(JwtError::NoIssuer));
        }
    }

    #[test]
    fn a_token_may_have_16_kibibytes_and_no_more() {
        // Filled up in the signature, which is whole base64 if its length is a multiple of four.
        let of_size = |size: usize| {
            (0..4)
                .map(|spaces| {
                    let claims = format!("{}{{\"iss\":\"x\"}}", " ".repeat(spaces));
                    sign_bytes(b"{}", claims.as_bytes(), &Signer::Nothing)
                })
                .find(|head| (size - head.len()).is_multiple_of(4))
                .map(|head| format!("{head}{}", "A".repeat(size - head.len())))
                .unwrap()
        };
        assert_eq!(UnverifiedJwt::parse(&of_size(TEXT_BYTES_MAX)).unwrap().issuer(), "x");
        assert_eq!(UnverifiedJwt::parse(&of_size(TEXT_BYTES_MAX + 1)).err(), Some(JwtError::Malformed));
    }

    #[test]
    fn without_a_key_id_or_with_another_keys_there_is_no_key() {
        let claims = registered();
        for id in [json!(null), json!("unknown"), json!("")] {
            let header = json!({ "alg": "RS256", "kid": id });
            assert_eq!(refusal(&header, &claims, &Signer::Rs256(&RSA)), JwtError::NoKeyId);
        }
        assert_eq!(refusal(&json!({ "alg": "RS256" }), &claims, &Signer::Rs256(&RSA)), JwtError::NoKeyId);
        // A key that the caller looked up under another id is not used.
        let keys = keys();
        let text = signed(&claims);
        let token = UnverifiedJwt::parse(&text).unwrap();
        let other = token.verify(keys.find("curve").unwrap(), &expected(RS256_ONLY), NOW);
        assert_eq!(other.unwrap_err(), JwtError::NoKeyId);
    }

    #[test]
    fn alg_none_is_refused() {
        for alg in ["none", "None", "NONE", ""] {
            let header = json!({ "alg": alg, "kid": "main" });
            assert_eq!(refusal(&header, &registered(), &Signer::Nothing), JwtError::Algorithm, "{alg}");
        }
    }

    #[test]
    fn hs256_with_the_public_key_as_its_secret_is_refused() {
        let der = public_key_der();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            base64::engine::general_purpose::STANDARD.encode(&der)
        );
        let modulus = RSA.public_key().modulus().big_endian_without_leading_zero().to_vec();
        for secret in [der.as_slice(), pem.as_bytes(), &modulus] {
            let header = json!({ "alg": "HS256", "kid": "main" });
            assert_eq!(refusal(&header, &registered(), &Signer::Hs256(secret)), JwtError::Algorithm);
        }
    }

    #[test]
    fn only_the_keys_own_algorithm_counts() {
        let claims = registered();
        let rs512 = json!({ "alg": "RS512", "kid": "main" });
        assert_eq!(refusal(&rs512, &claims, &Signer::Rs512(&RSA)), JwtError::Algorithm);
        // Signed with SHA-512, but the header says RS256.
        assert_eq!(refusal(&header(), &claims, &Signer::Rs512(&RSA)), JwtError::Signature);
        let es256_on_rsa = json!({ "alg": "ES256", "kid": "main" });
        assert_eq!(refusal(&es256_on_rsa, &claims, &Signer::Es256), JwtError::Algorithm);
        // GitHub may not sign with a curve, even with a key that its set lists; another provider may.
        let es256 = json!({ "alg": "ES256", "kid": "curve" });
        assert_eq!(refusal(&es256, &claims, &Signer::Es256), JwtError::Algorithm);
        let keys = keys();
        let text = sign(&es256, &claims, &Signer::Es256);
        let token = UnverifiedJwt::parse(&text).unwrap();
        let curve = keys.find("curve").unwrap();
        assert!(token.verify(curve, &expected(&[SignatureAlgorithm::Es256]), NOW).is_ok());
        assert_eq!(ec_jwk(&EC, "curve")["kty"], "EC");
    }

    #[test]
    fn another_keys_signature_and_changed_claims_are_refused() {
        assert_eq!(refusal(&header(), &registered(), &Signer::Rs256(&OTHER_RSA)), JwtError::Signature);
        let good = signed(&registered());
        let parts: Vec<&str> = good.split('.').collect();
        let claims = encode(with("jti", Some(json!("j-2"))).to_string());
        let changed = format!("{}.{claims}.{}", parts[0], parts[2]);
        assert_eq!(accepted_at(&changed, NOW).unwrap_err(), JwtError::Signature);
        let unsigned = format!("{}.{}.", parts[0], parts[1]);
        assert_eq!(accepted_at(&unsigned, NOW).unwrap_err(), JwtError::Signature);
    }

    #[test]
    fn critical_headers_are_refused_whatever_they_hold() {
        for critical in [json!(["exp"]), json!([]), json!(null), json!("exp")] {
            let header = json!({ "alg": "RS256", "kid": "main", "crit": critical });
            assert_eq!(refusal(&header, &registered(), &Signer::Rs256(&RSA)), JwtError::CriticalHeader);
        }
    }

    #[test]
    fn a_key_in_the_tokens_own_header_is_not_used() {
        let header = json!({
            "alg": "RS256", "kid": "main",
            "jwk": crate::test_issuer::rsa_jwk(&OTHER_RSA, "main"),
            "jku": "https://attacker.example/keys",
        });
        assert_eq!(refusal(&header, &registered(), &Signer::Rs256(&OTHER_RSA)), JwtError::Signature);
    }

    #[test]
    fn the_issuer_is_compared_as_text() {
        for issuer in [format!("{ISSUER}/"), ISSUER.to_uppercase(), "https://issuer.example".to_owned()] {
            claims_refused(&with("iss", Some(json!(issuer))), JwtError::Issuer);
        }
    }

    #[test]
    fn the_audience_is_one_text_and_ours() {
        claims_refused(&with("aud", Some(json!("pypi"))), JwtError::Audience);
        claims_refused(&with("aud", Some(json!(format!("{AUDIENCE}/")))), JwtError::Audience);
        claims_refused(&with("aud", Some(json!([AUDIENCE]))), JwtError::WrongType("aud"));
        claims_refused(&with("aud", Some(json!([AUDIENCE, "pypi"]))), JwtError::WrongType("aud"));
        claims_refused(&with("aud", Some(json!(7))), JwtError::WrongType("aud"));
        claims_refused(&with("aud", Some(json!(null))), JwtError::MissingClaim("aud"));
        claims_refused(&with("aud", None), JwtError::MissingClaim("aud"));
    }

    #[test]
    fn times_must_be_there_and_be_numbers() {
        for name in ["iat", "exp"] {
            claims_refused(&with(name, None), JwtError::MissingClaim(name));
            claims_refused(&with(name, Some(json!(null))), JwtError::MissingClaim(name));
            claims_refused(&with(name, Some(json!(NOW.to_string()))), JwtError::WrongType(name));
            claims_refused(&with(name, Some(json!([NOW]))), JwtError::WrongType(name));
            claims_refused(&with(name, Some(json!(true))), JwtError::WrongType(name));
        }
        claims_refused(&with("nbf", Some(json!("now"))), JwtError::WrongType("nbf"));
        assert!(accepted_at(&signed(&with("nbf", None)), NOW).is_ok(), "nbf may be left out");
        assert!(accepted_at(&signed(&with("exp", Some(json!(NOW as f64 + 0.5)))), NOW).is_ok());
        claims_refused(&with("exp", Some(json!(-1e300))), JwtError::Expired);
        claims_refused(&with("iat", Some(json!(1e300))), JwtError::NotYetValid);
        claims_refused(&with("iat", Some(json!(u64::MAX))), JwtError::NotYetValid);
    }

    #[test]
    fn a_token_expires_thirty_seconds_after_its_time() {
        let text = signed(&with("exp", Some(json!(NOW))));
        assert!(accepted_at(&text, NOW + 29).is_ok());
        assert_eq!(accepted_at(&text, NOW + 30).unwrap_err(), JwtError::Expired);
        assert_eq!(accepted_at(&text, i64::MAX).unwrap_err(), JwtError::Expired);
    }

    #[test]
    fn a_token_begins_thirty_seconds_before_its_time() {
        for name in ["iat", "nbf"] {
            let text = signed(&with(name, Some(json!(NOW + 30))));
            assert!(accepted_at(&text, NOW).is_ok(), "{name}");
            assert_eq!(accepted_at(&text, NOW - 1).unwrap_err(), JwtError::NotYetValid, "{name}");
        }
    }

    #[test]
    fn subject_and_token_id_are_text_where_they_are() {
        for name in ["sub", "jti"] {
            for value in [json!(7), json!(["x"]), json!({}), json!(true)] {
                claims_refused(&with(name, Some(value)), JwtError::WrongType(name));
            }
            assert!(accepted_at(&signed(&with(name, None)), NOW).is_ok());
        }
    }

    #[test]
    fn a_used_token_is_remembered_for_longer_than_it_is_accepted() {
        let claims = accepted_at(&signed(&registered()), NOW).unwrap();
        let last_accepted = claims.expires_at() + LEEWAY_S - 1;
        assert!(claims.remember_until() > last_accepted);
        assert_eq!(claims.remember_until(), claims.expires_at() + 35);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,200}", parts in "[A-Za-z0-9_=-]{0,40}\\.[A-Za-z0-9_=-]{0,40}\\.[A-Za-z0-9_-]{0,40}") {
            let _ = UnverifiedJwt::parse(&text);
            let _ = UnverifiedJwt::parse(&parts);
        }

        #[test]
        fn arbitrary_claims_never_panic(claims in ".{0,100}", number in any::<f64>()) {
            let _ = accepted_at(&sign_bytes(b"{\"alg\":\"RS256\",\"kid\":\"main\"}", claims.as_bytes(), &Signer::Nothing), NOW);
            let mut with_number = registered();
            with_number["exp"] = json!(number);
            let _ = check_registered(with_number.as_object().unwrap().clone(), &expected(RS256_ONLY), NOW);
        }
    }
}
