//! The issuers whose tokens are accepted, and their public keys.
//!
//! Keys are fetched when a token names one that is not known, at most once a minute per issuer, also where the fetch
//! failed: neither unknown keys nor a broken issuer can be used to make this server send requests. A set that was got
//! once stays until a newer one replaces it, so an issuer's outage stops nobody. All of it is this node's own memory; what
//! decides trust, the settings, is the same on every node.

use std::path::PathBuf;
use std::sync::Arc;

use portcullis_trust::keys::{DOCUMENT_BYTES_MAX, KeySet, KeysError, VerificationKey, keys_address};
use portcullis_trust::provider::Provider;
use portcullis_trust::providers;
use tokio::sync::{Mutex, RwLock};
use url::Url;

use crate::clock::Instant;
use crate::outgoing::{self, OutgoingError, Source};
use crate::settings::IssuerSetting;

/// The least time between two fetches of one issuer's keys, in seconds, as with PyPI.
pub const COOL_DOWN_S: i64 = 60;

/// All issuers that tokens are accepted from: the providers' public ones and the operator's.
#[derive(Debug)]
pub struct IssuerKeys {
    issuers: Vec<Arc<Issuer>>,
}

/// One issuer.
pub struct Issuer {
    url: String,
    provider: &'static dyn Provider,
    configured: Option<Configured>,
    keys: RwLock<Option<Arc<KeySet>>>,
    /// When the next fetch is allowed. Whoever holds the lock fetches, and the others wait for what it brings.
    next_fetch: Mutex<Option<Instant>>,
}

/// What the operator said about an issuer.
struct Configured {
    root: Option<PathBuf>,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Issuer({} of {})", self.url, self.provider.name())
    }
}

/// Why an issuer's keys could not be renewed. For the operator's log: clients read that their token is invalid.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("its address is not a URL")]
    Address,
    #[error("the extra root certificate {path} can't be read: {cause}")]
    Root { path: PathBuf, cause: std::io::Error },
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    #[error(transparent)]
    Keys(#[from] KeysError),
}

impl IssuerKeys {
    /// The providers' public issuers and the operator's further ones. One that the operator names again, to give it another
    /// root certificate, counts as the operator's.
    #[must_use]
    pub fn new(settings: &[IssuerSetting]) -> Self {
        let configured = settings.iter().filter_map(|setting| {
            let provider = providers::ALL.iter().find(|provider| provider.name() == setting.provider)?;
            let configured = Configured { root: setting.ca.clone() };
            Some(Arc::new(Issuer::new(&setting.url, *provider, Some(configured))))
        });
        let mut issuers: Vec<Arc<Issuer>> = configured.collect();
        for provider in providers::ALL {
            if !issuers.iter().any(|issuer| issuer.url == provider.issuer()) {
                issuers.push(Arc::new(Issuer::new(provider.issuer(), *provider, None)));
            }
        }
        Self { issuers }
    }

    /// The issuer that a token names, compared as text: no slash and no case is normalised.
    #[must_use]
    pub fn find(&self, url: &str) -> Option<&Arc<Issuer>> {
        self.issuers.iter().find(|issuer| issuer.url == url)
    }

    /// The issuers of a provider, the operator's first.
    pub fn of_provider(&self, provider: &str) -> impl Iterator<Item = &Arc<Issuer>> {
        self.issuers.iter().filter(move |issuer| issuer.provider.name() == provider)
    }
}

impl Issuer {
    fn new(url: &str, provider: &'static dyn Provider, configured: Option<Configured>) -> Self {
        Self {
            url: url.to_owned(),
            provider,
            configured,
            keys: RwLock::new(None),
            next_fetch: Mutex::new(None),
        }
    }

    /// What its tokens name it by.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whose rules its tokens follow.
    #[must_use]
    pub fn provider(&self) -> &'static dyn Provider {
        self.provider
    }

    /// The key of this id; `None` where the issuer has none, or could not be asked for it now.
    pub async fn key(self: &Arc<Self>, key_id: &str, now: Instant) -> Option<VerificationKey> {
        if let Some(key) = self.known(key_id).await {
            return Some(key);
        }
        // A task of its own: a client that hangs up must not break off the fetch that the cool-down counts.
        let (issuer, wanted) = (Arc::clone(self), key_id.to_owned());
        if tokio::spawn(async move { issuer.renew(&wanted, now).await }).await.is_err() {
            tracing::error!(issuer = self.url, "renewing an issuer's keys ended early");
        }
        self.known(key_id).await
    }

    async fn renew(&self, key_id: &str, now: Instant) {
        let mut next_fetch = self.next_fetch.lock().await;
        // Somebody may have brought it while we waited for the lock.
        if self.known(key_id).await.is_some() || next_fetch.is_some_and(|next| now < next) {
            return;
        }
        *next_fetch = Some(now.plus_seconds(COOL_DOWN_S));
        match self.fetch().await {
            Ok(keys) => *self.keys.write().await = Some(Arc::new(keys)),
            Err(error) => {
                tracing::warn!(issuer = self.url, %error, "an issuer's keys could not be renewed; those known stay");
            }
        }
    }

    async fn known(&self, key_id: &str) -> Option<VerificationKey> {
        self.keys.read().await.as_ref()?.find(key_id).cloned()
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        let root = match self.configured.as_ref().and_then(|configured| configured.root.as_ref()) {
            Some(path) => Some(
                tokio::fs::read(path)
                    .await
                    .map_err(|cause| FetchError::Root { path: path.clone(), cause })?,
            ),
            None => None,
        };
        let issuer = Url::parse(&self.url).map_err(|_| FetchError::Address)?;
        let discovery = format!("{}/.well-known/openid-configuration", self.url.trim_end_matches('/'));
        let discovery = Url::parse(&discovery).map_err(|_| FetchError::Address)?;
        let document =
            outgoing::get(&discovery, self.source(&issuer, &discovery, root.as_deref()), DOCUMENT_BYTES_MAX);
        let address = keys_address(&document.await?, &self.url)?;
        let address = Url::parse(&address).map_err(|_| FetchError::Address)?;
        let document =
            outgoing::get(&address, self.source(&issuer, &address, root.as_deref()), DOCUMENT_BYTES_MAX);
        Ok(KeySet::parse(&document.await?)?)
    }

    /// The operator vouches for the issuer's own host, not for any other that its discovery document names.
    fn source<'a>(&self, issuer: &Url, asked: &Url, root: Option<&'a [u8]>) -> Source<'a> {
        if self.configured.is_some() && issuer.host() == asked.host() {
            Source::Operator { root }
        } else {
            Source::Foreign
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::{StatusCode, header};
    use axum::response::{IntoResponse, Response};
    use axum::routing::get;
    use serde_json::{Value, json};

    use super::*;

    const NOW: Instant = Instant(1_790_000_000_000_000);

    /// An issuer on loopback whose two documents a test decides on, and a count of the requests for keys.
    struct Loopback {
        url: String,
        asked: Arc<AtomicUsize>,
        keys: Arc<std::sync::Mutex<Value>>,
        server: tokio::task::JoinHandle<()>,
    }

    impl Drop for Loopback {
        fn drop(&mut self) {
            self.server.abort();
        }
    }

    fn key(id: &str) -> Value {
        // Any odd number of 2048 bits: nothing is verified with it here.
        use base64::Engine;
        let modulus = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([0xff; 256]);
        json!({ "kty": "RSA", "kid": id, "n": modulus, "e": "AQAB", "alg": "RS256", "use": "sig" })
    }

    async fn loopback(discovery: impl Fn(&str) -> Response + Clone + Send + Sync + 'static) -> Loopback {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let keys = Arc::new(std::sync::Mutex::new(json!({ "keys": [key("one")] })));
        let (own_url, own_asked, own_keys) = (url.clone(), Arc::clone(&asked), Arc::clone(&keys));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(async move || discovery(&own_url)))
            .route(
                "/jwks",
                get(async move || {
                    own_asked.fetch_add(1, Ordering::SeqCst);
                    own_keys.lock().unwrap().to_string()
                }),
            );
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Loopback { url, asked, keys, server }
    }

    async fn good() -> Loopback {
        loopback(|url| {
            json!({ "issuer": url, "jwks_uri": format!("{url}/jwks") }).to_string().into_response()
        })
        .await
    }

    fn issuer_keys(loopback: &Loopback) -> IssuerKeys {
        IssuerKeys::new(&[IssuerSetting { provider: "github".into(), url: loopback.url.clone(), ca: None }])
    }

    async fn knows(keys: &IssuerKeys, loopback: &Loopback, id: &str, now: Instant) -> bool {
        keys.find(&loopback.url).unwrap().key(id, now).await.is_some()
    }

    #[tokio::test]
    async fn keys_are_fetched_once_and_kept() {
        let server = good().await;
        let keys = issuer_keys(&server);
        for _ in 0..3 {
            assert!(knows(&keys, &server, "one", NOW).await);
        }
        assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn unknown_keys_are_asked_for_once_a_minute() {
        let server = good().await;
        let keys = issuer_keys(&server);
        for _ in 0..3 {
            assert!(!knows(&keys, &server, "two", NOW).await);
        }
        assert_eq!(server.asked.load(Ordering::SeqCst), 1);
        *server.keys.lock().unwrap() = json!({ "keys": [key("two")] });
        assert!(!knows(&keys, &server, "two", NOW.plus_seconds(COOL_DOWN_S - 1)).await);
        assert!(knows(&keys, &server, "two", NOW.plus_seconds(COOL_DOWN_S)).await);
        assert!(
            !knows(&keys, &server, "one", NOW.plus_seconds(COOL_DOWN_S)).await,
            "the set was replaced as a whole"
        );
        assert_eq!(server.asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_failed_fetch_keeps_the_set_and_counts_for_the_cool_down() {
        let server = good().await;
        let keys = issuer_keys(&server);
        assert!(knows(&keys, &server, "one", NOW).await);
        for broken in [json!({}), json!({ "keys": [] }), json!("<html>")] {
            *server.keys.lock().unwrap() = broken;
            let before = server.asked.load(Ordering::SeqCst);
            let later = NOW.plus_seconds(COOL_DOWN_S * (1 + before as i64));
            assert!(!knows(&keys, &server, "two", later).await);
            assert!(!knows(&keys, &server, "two", later).await);
            assert_eq!(server.asked.load(Ordering::SeqCst), before + 1);
            assert!(knows(&keys, &server, "one", later).await);
        }
    }

    #[tokio::test]
    async fn many_at_once_fetch_once() {
        let server = good().await;
        let keys = Arc::new(issuer_keys(&server));
        let mut waiting = Vec::new();
        for _ in 0..20 {
            let (keys, url) = (Arc::clone(&keys), server.url.clone());
            waiting
                .push(tokio::spawn(async move { keys.find(&url).unwrap().key("one", NOW).await.is_some() }));
        }
        for one in waiting {
            assert!(one.await.unwrap());
        }
        assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn discovery_that_leads_elsewhere_or_is_too_large_brings_no_keys() {
        let redirect = |to: &str| (StatusCode::FOUND, [(header::LOCATION, to.to_owned())]).into_response();
        let elsewhere = good().await;
        let elsewhere_url = elsewhere.url.clone();
        let large = |url: &str, size: usize| {
            let document = json!({ "issuer": url, "jwks_uri": format!("{url}/jwks") }).to_string();
            format!("{document}{}", " ".repeat(size - document.len())).into_response()
        };
        type Discovery = Box<dyn Fn(&str) -> Response + Send + Sync>;
        let cases: Vec<(&str, Discovery, bool)> = vec![
            (
                "another issuer's",
                Box::new(|_| {
                    json!({ "issuer": "https://x.example", "jwks_uri": "/" }).to_string().into_response()
                }),
                false,
            ),
            (
                "no address of keys",
                Box::new(|url| json!({ "issuer": url }).to_string().into_response()),
                false,
            ),
            ("not found", Box::new(|_| StatusCode::NOT_FOUND.into_response()), false),
            (
                "a redirect to another host",
                Box::new(move |_| redirect(&format!("{elsewhere_url}/.well-known/openid-configuration"))),
                false,
            ),
            (
                "keys on a private host",
                Box::new(|url| {
                    json!({ "issuer": url, "jwks_uri": "http://localhost:1/jwks" })
                        .to_string()
                        .into_response()
                }),
                false,
            ),
            (
                "keys in a file",
                Box::new(|url| {
                    json!({ "issuer": url, "jwks_uri": "file:///etc/hosts" }).to_string().into_response()
                }),
                false,
            ),
            ("as large as it may be", Box::new(move |url| large(url, DOCUMENT_BYTES_MAX)), true),
            ("one byte larger", Box::new(move |url| large(url, DOCUMENT_BYTES_MAX + 1)), false),
        ];
        for (name, discovery, works) in cases {
            let discovery = Arc::new(discovery);
            let server = loopback(move |url| discovery(url)).await;
            assert_eq!(knows(&issuer_keys(&server), &server, "one", NOW).await, works, "{name}");
        }
        assert_eq!(elsewhere.asked.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_root_certificate_that_is_not_there_brings_no_keys() {
        let server = good().await;
        let keys = IssuerKeys::new(&[IssuerSetting {
            provider: "github".into(),
            url: server.url.clone(),
            ca: Some(PathBuf::from("does-not-exist.pem")),
        }]);
        assert!(!knows(&keys, &server, "one", NOW).await);
    }

    #[tokio::test]
    async fn an_issuer_with_an_authority_of_its_own_needs_its_root() {
        use hyper_util::rt::{TokioExecutor, TokioIo};
        use hyper_util::service::TowerToHyperService;

        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (ours, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (leaf, leaf_key) = crate::tls::self_signed(ours.path(), "localhost").unwrap();
        crate::tls::self_signed(others.path(), "localhost").unwrap();
        let acceptor = crate::tls::acceptor(&leaf, &leaf_key).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let discovery = json!({ "issuer": url, "jwks_uri": format!("{url}/jwks") }).to_string();
        let keys = json!({ "keys": [key("one")] }).to_string();
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(async move || discovery))
            .route("/jwks", get(async move || keys));
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that does not know the authority breaks off here.
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let service = TowerToHyperService::new(router.clone());
                tokio::spawn(async move {
                    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        for (root, known) in [(Some(ours.path()), true), (Some(others.path()), false), (None, false)] {
            let ca = root.map(|folder| folder.join("ca.pem"));
            let keys = IssuerKeys::new(&[IssuerSetting { provider: "github".into(), url: url.clone(), ca }]);
            assert_eq!(keys.find(&url).unwrap().key("one", NOW).await.is_some(), known, "{root:?}");
        }
        server.abort();
    }

    #[test]
    fn issuers_are_found_by_their_exact_text() {
        let keys = IssuerKeys::new(&[]);
        let public = "https://token.actions.githubusercontent.com";
        assert!(keys.find(public).is_some());
        for other in [format!("{public}/"), public.to_uppercase(), String::new()] {
            assert!(keys.find(&other).is_none(), "{other}");
        }
        assert_eq!(keys.of_provider("github").count(), 1);
    }
}
