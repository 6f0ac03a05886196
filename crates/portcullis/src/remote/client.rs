//! Requests to forges: to whom, with which token, how often and how long.
//!
//! https, or http to this machine itself. No private address unless the operator says so, no redirect to another host. A
//! server that asks to be left alone is waited for, within a bound for the whole run.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_index::outgoing::{PublicAddresses, causes, is_public, same_host};
use portcullis_index::settings::is_loopback;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::SecretString;
use url::{Host, Url};

use super::error::RemoteError;

/// How long making a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// How long a server may be silent within an answer.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
/// How often a request is sent again because the server or the way to it has a fault.
const REPEAT_LIMIT: u32 = 3;
/// The first pause before a request is sent again; it doubles each time.
const REPEAT_PAUSE: Duration = Duration::from_millis(500);
/// How long GitHub wants to be left alone where it doesn't say how long (its documentation of secondary limits).
const UNSAID_PAUSE: Duration = Duration::from_secs(60);
/// How much of a refusal is read to see whether it speaks of a limit, in bytes.
const REFUSAL_LIMIT: usize = 16 * 1024;

/// How requests are made.
pub(crate) struct Client {
    public: reqwest::Client,
    own: reqwest::Client,
    private_hosts: bool,
    tokens: BTreeMap<String, SecretString>,
    patience: Mutex<Duration>,
}

impl Client {
    /// With what the operator allows: private addresses or not, tokens by host, and how long may be waited altogether.
    ///
    /// # Errors
    /// Where no TLS client can be made.
    pub(crate) fn new(
        private_hosts: bool,
        tokens: BTreeMap<String, SecretString>,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let client = || {
            reqwest::Client::builder()
                .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_LIMIT)
                .read_timeout(SILENCE_LIMIT)
                .redirect(same_host())
        };
        let mut public = client().https_only(true);
        // A proxy resolves the names itself, and is private as a rule: where one is set, it decides who is reached.
        if !has_proxy() {
            public = public.dns_resolver(PublicAddresses);
        }
        let own = client();
        Ok(Self {
            public: public.build()?,
            own: if private_hosts { own } else { own.no_proxy() }.build()?,
            private_hosts,
            tokens,
            patience: Mutex::new(patience),
        })
    }

    /// The token for a host, where there is one.
    pub(crate) fn token(&self, url: &Url) -> Option<&SecretString> {
        self.tokens.get(&authority(url))
    }

    /// What may ask this address.
    pub(crate) fn of(&self, url: &Url) -> Result<&reqwest::Client, RemoteError> {
        let host = url.host_str().unwrap_or_default();
        if is_loopback(url) && matches!(url.scheme(), "http" | "https") {
            return Ok(&self.own);
        }
        if url.scheme() != "https" {
            return Err(RemoteError::Refused(format!("{host} is not asked: only https is spoken")));
        }
        if self.private_hosts {
            return Ok(&self.own);
        }
        if literal_address(url).is_some_and(|address| !is_public(address)) {
            return Err(RemoteError::Refused(format!(
                "{host} is not asked: it is a private address (`--private-hosts` allows them)"
            )));
        }
        Ok(&self.public)
    }

    /// Sends a request, again where the server or the way to it has a passing fault, and later where the server asks for
    /// that. The answer has a status of success.
    pub(crate) async fn send(
        &self,
        url: &Url,
        request: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, RemoteError> {
        let client = self.of(url)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut repeats = 0;
        loop {
            let pause = REPEAT_PAUSE * 2_u32.pow(repeats);
            let answer = match request(client).send().await {
                Ok(answer) => answer,
                Err(error) => {
                    let passing = error.is_connect() || error.is_timeout() || error.is_request();
                    if passing
                        && !error.is_redirect()
                        && repeats < REPEAT_LIMIT
                        && self.wait(pause).await.is_ok()
                    {
                        repeats += 1;
                        continue;
                    }
                    return Err(RemoteError::Connection { host, cause: causes(&error) });
                }
            };
            let status = answer.status();
            if status.is_success() {
                return Ok(answer);
            }
            let headers = answer.headers().clone();
            if is_passing(status) && repeats < REPEAT_LIMIT {
                repeats += 1;
                self.pause(&host, asked_pause(&headers).unwrap_or(pause)).await?;
                continue;
            }
            if matches!(status.as_u16(), 403 | 429) {
                let limited = limit(&headers).or_else(|| (status.as_u16() == 429).then_some(UNSAID_PAUSE));
                let limited = match limited {
                    None if speaks_of_limit(answer).await => Some(UNSAID_PAUSE),
                    limited => limited,
                };
                if let Some(wanted) = limited {
                    self.pause(&host, wanted).await?;
                    continue;
                }
            }
            return Err(RemoteError::Status { host, status: status.as_u16(), advice: advice(status) });
        }
    }

    async fn pause(&self, host: &str, wanted: Duration) -> Result<(), RemoteError> {
        self.wait(wanted).await.map_err(|left| RemoteError::RateLimited {
            host: host.to_owned(),
            seconds: wanted.as_secs(),
            left: left.as_secs(),
        })
    }

    /// Waits, if so much may still be waited; else says how much may be.
    async fn wait(&self, wanted: Duration) -> Result<(), Duration> {
        {
            let mut left = self.patience.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            // Zero would be asked again without an end.
            let cost = wanted.max(Duration::from_millis(100));
            *left = left.checked_sub(cost).ok_or(*left)?;
        }
        tokio::time::sleep(wanted).await;
        Ok(())
    }
}

/// Host and port: what a token belongs to.
pub(crate) fn authority(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

fn has_proxy() -> bool {
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn literal_address(url: &Url) -> Option<std::net::IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    number(headers, RETRY_AFTER.as_str()).map(Duration::from_secs)
}

/// How long to wait by what GitHub documents: `retry-after`, else until `x-ratelimit-reset` where nothing remains.
fn limit(headers: &HeaderMap) -> Option<Duration> {
    asked_pause(headers).or_else(|| {
        let spent = number(headers, "x-ratelimit-remaining") == Some(0);
        let reset = number(headers, "x-ratelimit-reset").filter(|_| spent)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        // A second more: the clocks of two machines never agree.
        Some(Duration::from_secs(reset.saturating_sub(now).saturating_add(1)))
    })
}

/// GitHub says so in the text alone where a secondary limit has no `retry-after`.
async fn speaks_of_limit(mut answer: Response) -> bool {
    let mut text = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        text.extend_from_slice(&chunk);
        if text.len() > REFUSAL_LIMIT {
            return false;
        }
    }
    let text = String::from_utf8_lossy(&text).to_ascii_lowercase();
    text.contains("rate limit") || text.contains("abuse detection")
}

fn advice(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 => ": it wants a token, or one that may read this (GITHUB_TOKEN, GITLAB_TOKEN)",
        404 => ": nothing is there, or it is private and wants a token that may read it",
        300..=399 => ": it leads somewhere else, which is not followed",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(private_hosts: bool) -> Client {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Client::new(private_hosts, BTreeMap::new(), Duration::from_secs(1)).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<HeaderMap>()
    }

    #[test]
    fn private_addresses_are_asked_only_where_the_operator_allows_them() {
        for text in ["https://10.0.0.1/o/n", "https://169.254.169.254/o/n", "https://[fd00::1]/o/n"] {
            let url = text.parse().unwrap();
            let refused = client(false).of(&url).unwrap_err();
            assert_eq!(refused.kind(), "refused");
            assert!(client(true).of(&url).is_ok(), "{text}");
        }
        for private in [false, true] {
            assert!(client(private).of(&"http://10.0.0.1/o/n".parse().unwrap()).is_err());
            assert!(client(private).of(&"http://127.0.0.1:1/o/n".parse().unwrap()).is_ok());
        }
    }

    #[tokio::test]
    async fn a_name_of_a_private_address_is_not_connected_to() {
        if !has_proxy() {
            let error = client(false).public.get("https://localhost:1/o/n").send().await.unwrap_err();
            assert!(causes(&error).contains("no public address"), "{error:?}");
        }
    }

    #[test]
    fn limits_are_read_as_github_documents_them() {
        assert_eq!(limit(&headers(&[("retry-after", "7")])), Some(Duration::from_secs(7)));
        assert_eq!(limit(&headers(&[("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "1")])), None);
        let past = headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")]);
        assert_eq!(limit(&past), Some(Duration::from_secs(1)));
        assert_eq!(limit(&headers(&[])), None);
    }

    #[tokio::test]
    async fn what_may_be_waited_is_waited_and_no_more() {
        let client = client(false);
        *client.patience.lock().unwrap() = Duration::from_millis(250);
        assert_eq!(client.wait(Duration::from_millis(250)).await, Ok(()));
        assert_eq!(client.wait(Duration::from_millis(1)).await, Err(Duration::ZERO));
    }

    #[test]
    fn a_token_belongs_to_a_host_and_its_port() {
        let mut client = client(false);
        client.tokens.insert(String::from("forge.example:443"), SecretString::from("t"));
        assert!(client.token(&"https://forge.example/o/n".parse().unwrap()).is_some());
        for other in
            ["https://forge.example:8443/o/n", "https://forge.example.test/o/n", "http://forge.example/o/n"]
        {
            assert!(client.token(&other.parse().unwrap()).is_none(), "{other}");
        }
    }
}
