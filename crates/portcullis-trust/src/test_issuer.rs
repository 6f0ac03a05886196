//! An issuer for the tests: it signs what it is told to, the bad tokens too.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::jwt::{Expected, SignatureAlgorithm, UnverifiedJwt, VerifiedClaims};
use crate::keys::KeySet;

pub(crate) const ISSUER: &str = "https://token.actions.githubusercontent.com";
pub(crate) const AUDIENCE: &str = "portcullis:packages.example.org";
pub(crate) const NOW: i64 = 1_790_000_000;

/// RSA keys take long to make, so all tests share two.
pub(crate) static RSA: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
pub(crate) static OTHER_RSA: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
pub(crate) static EC: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());

/// Base64url, as JWTs and JWKs have it.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn rsa_jwk(key: &RsaKeyPair, id: &str) -> Value {
    json!({
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": id,
        "n": encode(key.public_key().modulus().big_endian_without_leading_zero()),
        "e": encode(key.public_key().exponent().big_endian_without_leading_zero()),
    })
}

pub(crate) fn ec_jwk(key: &EcdsaKeyPair, id: &str) -> Value {
    let point = key.public_key().as_ref();
    json!({ "kty": "EC", "crv": "P-256", "kid": id, "x": encode(&point[1..33]), "y": encode(&point[33..]) })
}

/// The key set with the RSA key `main` and the elliptic one `curve`.
pub(crate) fn keys() -> KeySet {
    let set = json!({ "keys": [rsa_jwk(&RSA, "main"), ec_jwk(&EC, "curve")] });
    KeySet::parse(set.to_string().as_bytes()).unwrap()
}

/// The public key in the DER and PEM forms that an attacker would use as an HMAC secret.
pub(crate) fn public_key_der() -> Vec<u8> {
    let der: PublicKeyX509Der<'_> = RSA.public_key().as_der().unwrap();
    der.as_ref().to_vec()
}

pub(crate) enum Signer<'a> {
    Rs256(&'a RsaKeyPair),
    Rs512(&'a RsaKeyPair),
    Es256,
    Hs256(&'a [u8]),
    Nothing,
}

/// A JWT with exactly this header and these claims.
pub(crate) fn sign(header: &Value, claims: &Value, signer: &Signer<'_>) -> String {
    sign_bytes(header.to_string().as_bytes(), claims.to_string().as_bytes(), signer)
}

pub(crate) fn sign_bytes(header: &[u8], claims: &[u8], signer: &Signer<'_>) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let random = SystemRandom::new();
    let rsa = |key: &RsaKeyPair, encoding: &'static dyn signature::RsaEncoding| {
        let mut signed = vec![0; key.public_modulus_len()];
        key.sign(encoding, &random, message.as_bytes(), &mut signed).unwrap();
        signed
    };
    let signed = match signer {
        Signer::Rs256(key) => rsa(key, &signature::RSA_PKCS1_SHA256),
        Signer::Rs512(key) => rsa(key, &signature::RSA_PKCS1_SHA512),
        Signer::Es256 => EC.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
        Signer::Hs256(secret) => {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
            aws_lc_rs::hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
        }
        Signer::Nothing => Vec::new(),
    };
    format!("{message}.{}", encode(signed))
}

/// Claims that every check accepts: issuer, audience, times.
pub(crate) fn registered() -> Value {
    json!({ "iss": ISSUER, "aud": AUDIENCE, "iat": NOW, "nbf": NOW, "exp": NOW + 300, "sub": "job", "jti": "j-1" })
}

pub(crate) fn expected(algorithms: &[SignatureAlgorithm]) -> Expected<'_> {
    Expected { issuer: ISSUER, audience: AUDIENCE, algorithms }
}

/// Signs the claims over [`registered`] ones and verifies them, as the index does.
pub(crate) fn verified(claims: &Value) -> VerifiedClaims {
    let mut all = registered();
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let text = sign(&json!({ "alg": "RS256", "kid": "main" }), &all, &Signer::Rs256(&RSA));
    let keys = keys();
    let key = keys.find("main").unwrap();
    UnverifiedJwt::parse(&text).unwrap().verify(key, &expected(&[SignatureAlgorithm::Rs256]), NOW).unwrap()
}
