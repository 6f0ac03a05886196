//! A CI provider's issuer on loopback: discovery, key set, and whatever token a test needs, the bad ones too.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self, KeyPair};
use axum::Router;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// RSA keys take long to make: all tests share these.
static KEY: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
static STRANGERS_KEY: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

/// The issuer; it ends when it is dropped.
pub(crate) struct CiIssuer {
    pub(crate) url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for CiIssuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// How a token is signed.
#[derive(Clone, Copy)]
pub(crate) enum Signed {
    Rs256,
    Rs512,
    ByAStranger,
    Hs256WithThePublicKey,
    Not,
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl CiIssuer {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let discovery = json!({ "issuer": url, "jwks_uri": format!("{url}/jwks") }).to_string();
        let public = KEY.public_key();
        let keys = json!({ "keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "main",
            "n": encode(public.modulus().big_endian_without_leading_zero()),
            "e": encode(public.exponent().big_endian_without_leading_zero()),
        }] })
        .to_string();
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(async move || discovery))
            .route("/jwks", get(async move || keys));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, server }
    }

    /// The settings of an index that trusts this issuer.
    pub(crate) fn settings(&self) -> String {
        format!("[[issuer]]\nprovider = \"github\"\nurl = \"{}\"\n", self.url)
    }

    /// The claims of a job of `octo/widget` that runs `release.yml`, made at `now` (unix seconds).
    pub(crate) fn claims(&self, now: i64, jti: &str) -> Value {
        json!({
            "iss": self.url, "aud": "portcullis:packages.example", "iat": now, "nbf": now, "exp": now + 300, "jti": jti,
            "sub": "repo:octo/widget:ref:refs/tags/v1.0",
            "repository": "octo/widget", "repository_id": "2002",
            "repository_owner": "octo", "repository_owner_id": "1001",
            "workflow_ref": "octo/widget/.github/workflows/release.yml@refs/tags/v1.0",
            "job_workflow_ref": "octo/widget/.github/workflows/release.yml@refs/tags/v1.0",
            "event_name": "push", "ref": "refs/tags/v1.0", "ref_protected": "false",
            "sha": "0123456789abcdef0123456789abcdef01234567",
            "runner_environment": "github-hosted", "run_id": "77", "run_attempt": "1", "actor": "alice", "actor_id": "5",
        })
    }

    /// A token with these claims, as the issuer signs it.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({ "alg": "RS256", "typ": "JWT", "kid": "main" }), claims, Signed::Rs256)
    }

    pub(crate) fn sign_as(&self, header: &Value, claims: &Value, how: Signed) -> String {
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let rsa = |key: &RsaKeyPair, encoding: &'static dyn signature::RsaEncoding| {
            let mut signed = vec![0; key.public_modulus_len()];
            key.sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signed).unwrap();
            signed
        };
        let signed = match how {
            Signed::Rs256 => rsa(&KEY, &signature::RSA_PKCS1_SHA256),
            Signed::Rs512 => rsa(&KEY, &signature::RSA_PKCS1_SHA512),
            Signed::ByAStranger => rsa(&STRANGERS_KEY, &signature::RSA_PKCS1_SHA256),
            Signed::Hs256WithThePublicKey => {
                let der: PublicKeyX509Der<'_> = KEY.public_key().as_der().unwrap();
                let body = STANDARD.encode(der.as_ref());
                let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
                let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, pem.as_bytes());
                aws_lc_rs::hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
            Signed::Not => Vec::new(),
        };
        format!("{message}.{}", encode(signed))
    }
}
