//! One request to the server's management API, bounded in time and size.

use std::time::Duration;

use anyhow::{Context, bail};
use portcullis_index::settings::is_loopback;
use reqwest::header::RETRY_AFTER;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

/// Most bytes of an answer.
const ANSWER_LIMIT: usize = 64 << 20;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server and who asks it.
pub(super) struct Server {
    url: Url,
    token: Option<SecretString>,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

/// What a server answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) retry_after: Option<Duration>,
}

impl Answer {
    /// Whether the server still looks at a repository.
    pub(super) fn is_under_way(&self) -> bool {
        self.status == 409 && self.body.get("code").and_then(Value::as_str) == Some("examination-under-way")
    }

    /// The sentence of a problem document (RFC 9457).
    pub(super) fn problem(&self) -> String {
        let member = |name| self.body.get(name).and_then(Value::as_str);
        let sentence = member("detail").or_else(|| member("title")).unwrap_or("no reason was given");
        portcullis_index::visible::visible(sentence, 2_000)
    }
}

impl Server {
    /// # Errors
    /// Where the address is none, or would carry the token in the clear.
    pub(super) fn new(url: &str, token: Option<SecretString>) -> anyhow::Result<Self> {
        let url: Url = url.parse().with_context(|| format!("{url:?} is no address of a server"))?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) || token.is_none() => {}
            "http" => bail!("the token is not sent to {url} over plain http; use https"),
            other => bail!("{other}:// is no address of a server; expected https://…"),
        }
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
            .timeout(PATIENCE)
            // A token is for the server that was named, and for no other.
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        Ok(Self {
            url,
            token,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            client: builder.build().context("preparing the connection")?,
        })
    }

    /// # Errors
    /// Where the server can't be reached.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.client.get(self.address(path)?))
    }

    /// # Errors
    /// Where the server can't be reached.
    pub(super) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(self.client.post(self.address(path)?).json(body))
    }

    /// # Errors
    /// Where the server can't be reached.
    pub(super) fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.client.delete(self.address(path)?))
    }

    fn address(&self, path: &str) -> anyhow::Result<Url> {
        let base = self.url.as_str().trim_end_matches('/');
        format!("{base}{path}").parse().context("putting the address together")
    }

    fn send(&self, mut request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let doing = || format!("asking {}", self.url.as_str().trim_end_matches('/'));
        self.runtime.block_on(async {
            let mut answer = request.send().await.map_err(reqwest::Error::without_url).with_context(doing)?;
            let status = answer.status().as_u16();
            let retry_after = answer
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok())
                .map(Duration::from_secs);
            let mut body = Vec::new();
            while let Some(chunk) =
                answer.chunk().await.map_err(reqwest::Error::without_url).with_context(doing)?
            {
                if body.len() + chunk.len() > ANSWER_LIMIT {
                    bail!("the answer is larger than {ANSWER_LIMIT} bytes");
                }
                body.extend_from_slice(&chunk);
            }
            let body = match (serde_json::from_slice(&body), status) {
                (Ok(body), _) => body,
                (Err(_), 200..=299) if body.is_empty() => Value::Null,
                (Err(error), 200..=299) => {
                    return Err(error).context("reading the answer: this seems to be no Portcullis server");
                }
                (Err(_), _) => Value::Null,
            };
            Ok(Answer { status, body, retry_after })
        })
    }
}
