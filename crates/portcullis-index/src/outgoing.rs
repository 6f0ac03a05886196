//! Requests to the outside: small documents, within a time, from where the settings or a provider's definition say.
//!
//! What the operator configured may be private, and http on loopback. Every other address, one that a foreign document
//! names for example, must be public https, which is checked when the connection is made: a name that resolves to a private
//! address is not connected to. Redirects stay on their host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use crate::settings::is_loopback;

/// How long one request may take, with its answer's body. PyPI gives an issuer the same time.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Most redirects that are followed.
const REDIRECTS_MAX: usize = 3;

/// Who said that this address is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// The operator, perhaps with a further root certificate (PEM) for it.
    Operator {
        /// The certificate.
        root: Option<&'a [u8]>,
    },
    /// A provider's definition, or a document that somebody else wrote.
    Foreign,
}

/// Why a document was not got.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    /// The address is one that we don't ask.
    #[error("{host} is not asked: a foreign document may name public https addresses only")]
    NotPublic {
        /// Its host.
        host: String,
    },
    /// The further root certificate can't be read.
    #[error("the extra root certificate can't be used: {0}")]
    Root(reqwest::Error),
    /// No connection, no answer in time, or a redirect to another host.
    #[error("{host} could not be asked: {cause}")]
    Connection {
        /// Its host.
        host: String,
        /// What went wrong.
        cause: String,
        /// Whether it was the time.
        timed_out: bool,
    },
    /// Answered with something else than success.
    #[error("{host} answered {status}")]
    Status {
        /// Its host.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The answer is larger than it may be.
    #[error("the answer of {host} is larger than {limit} bytes")]
    TooLarge {
        /// Its host.
        host: String,
        /// How large it may be.
        limit: usize,
    },
}

/// Gets one document of at most `limit` bytes.
///
/// # Errors
/// [`OutgoingError`] names the host, never the whole address: a path can hold a secret.
pub async fn get(url: &Url, source: Source<'_>, limit: usize) -> Result<Vec<u8>, OutgoingError> {
    get_as(url, source, limit, None).await
}

/// As [`get`], naming ourselves with a bearer token where the operator gave one for this address.
///
/// # Errors
/// As [`get`].
pub async fn get_as(
    url: &Url,
    source: Source<'_>,
    limit: usize,
    token: Option<&SecretString>,
) -> Result<Vec<u8>, OutgoingError> {
    let host = url.host_str().unwrap_or_default().to_owned();
    let client = client(url, source, &host)?;
    let failed = |error: reqwest::Error| OutgoingError::Connection {
        host: host.clone(),
        timed_out: error.is_timeout(),
        cause: causes(&error),
    };
    let mut request = client.get(url.clone()).header(reqwest::header::ACCEPT, "application/json");
    if let Some(token) = token {
        request = request.bearer_auth(token.expose_secret());
    }
    let mut answer = request.send().await.map_err(failed)?;
    if !answer.status().is_success() {
        return Err(OutgoingError::Status { status: answer.status().as_u16(), host });
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > limit {
            return Err(OutgoingError::TooLarge { host, limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn client(url: &Url, source: Source<'_>, host: &str) -> Result<reqwest::Client, OutgoingError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(TIMEOUT)
        .timeout(TIMEOUT)
        .redirect(same_host());
    let allowed = match source {
        Source::Operator { root } => {
            if let Some(pem) = root {
                let roots = reqwest::Certificate::from_pem_bundle(pem).map_err(OutgoingError::Root)?;
                builder = builder.tls_certs_merge(roots);
            }
            url.scheme() == "https" || is_loopback(url)
        }
        Source::Foreign => {
            builder = builder.https_only(true).dns_resolver(PublicAddresses);
            url.scheme() == "https" && literal_address(url).is_none_or(is_public)
        }
    };
    if !allowed {
        return Err(OutgoingError::NotPublic { host: host.to_owned() });
    }
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| OutgoingError::Connection {
        host: host.to_owned(),
        cause: causes(&error),
        timed_out: false,
    })
}

/// Redirects that stay on their host. Another host was not named by anybody we trust, and http after https would be a fall
/// back.
#[must_use]
pub fn same_host() -> Policy {
    Policy::custom(|attempt| {
        let origin = |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port());
        if attempt.previous().len() > REDIRECTS_MAX {
            return attempt.error("too many redirects");
        }
        match attempt.previous().first() {
            Some(first) if origin(first) == origin(attempt.url()) => attempt.follow(),
            _ => attempt.error("a redirect to another host"),
        }
    })
}

/// The error and what lies below it, without the address.
#[must_use]
pub fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    if text.is_empty() { String::from("the request failed") } else { text }
}

fn literal_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
        Host::Domain(_) => None,
    }
}

/// Resolves names, and leaves out every address that is not public.
#[derive(Debug, Clone, Copy, Default)]
pub struct PublicAddresses;

impl Resolve for PublicAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0))
                .await?
                .filter(|found| is_public(found.ip()))
                .collect();
            if found.is_empty() {
                return Err("the name has no public address".into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is reachable from everywhere, by IANA's special-purpose registries (RFC 6890 and its updates).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let special = match (first, second) {
        (0 | 10 | 127, _) | (224..=255, _) => true,
        (100, 64..=127) | (169, 254) | (172, 16..=31) | (192, 168) | (198, 18 | 19) => true,
        (192, 0) => third == 0 || third == 2,
        (192, 88) => third == 99,
        (198, 51) => third == 100,
        (203, 0) => third == 113,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let segments = address.segments();
    let [first, second, ..] = segments;
    // Addresses that carry an IPv4 one: NAT64 and 6to4.
    let embedded = match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    };
    match embedded {
        Some(embedded) => is_public_v4(embedded),
        // Only 2000::/3 is given out; of it, 2001::/23 and 2001:db8::/32 and 3fff::/20 are not for everybody.
        None => {
            first & 0xe000 == 0x2000
                && !(first == 0x2001 && (second < 0x200 || second == 0xdb8))
                && !(first == 0x3fff && second < 0x1000)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_public() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "2606:4700::1",
            "::ffff:1.1.1.1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    async fn refused(url: &str, source: Source<'_>) -> bool {
        let error = get(&url.parse().unwrap(), source, 100).await.unwrap_err();
        matches!(error, OutgoingError::NotPublic { .. })
    }

    #[tokio::test]
    async fn only_the_operator_may_name_private_addresses_and_http_on_loopback() {
        for url in [
            "http://1.1.1.1/",
            "http://localhost:1/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://10.0.0.1/",
        ] {
            assert!(refused(url, Source::Foreign).await, "{url}");
        }
        assert!(refused("http://192.0.2.1/", Source::Operator { root: None }).await);
        let nobody = get(&"http://127.0.0.1:1/".parse().unwrap(), Source::Operator { root: None }, 100).await;
        assert!(matches!(nobody, Err(OutgoingError::Connection { .. })));
    }

    #[tokio::test]
    async fn a_name_of_a_private_address_is_not_connected_to() {
        let error = get(&"https://localhost:1/".parse().unwrap(), Source::Foreign, 100).await.unwrap_err();
        assert!(error.to_string().contains("no public address"), "{error}");
    }
}
