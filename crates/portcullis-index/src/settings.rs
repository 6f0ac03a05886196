//! The server's settings: what was said (a TOML file, `PORTCULLIS_SECTION__KEY`, flags) and what it means.
//!
//! Two stages: [`Said`] only records; [`Settings`] is what is in force, with defaults filled in and contradictions refused.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use url::Url;

/// What is wrong with the settings. Every message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file can't be read.
    #[error("can't read the settings file {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file, or a variable, is not what we know.
    #[error("the settings can't be understood: {0}")]
    Syntax(String),
    /// A value makes no sense.
    #[error("the setting {key} {problem}")]
    Value {
        /// Which.
        key: &'static str,
        /// What is wrong, and what was expected.
        problem: String,
    },
}

fn wrong(key: &'static str, problem: impl Into<String>) -> SettingsError {
    SettingsError::Value { key, problem: problem.into() }
}

/// What was said. Every field may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the keys are documented in docs/operator.md, one by one")]
pub struct Said {
    pub data: Option<PathBuf>,
    pub listen: Option<String>,
    pub url: Option<String>,
    pub contact: Option<String>,
    pub http: SaidHttp,
    pub tls: Option<SaidTls>,
    pub database: SaidUrl,
    pub blobs: SaidUrl,
    pub keys: SaidKeys,
    pub access: SaidAccess,
    pub trusted_publishing: SaidTrustedPublishing,
    pub issuer: Vec<SaidIssuer>,
    pub github: SaidGithub,
    pub mail: SaidMail,
    pub limits: SaidLimits,
    pub gitlab: toml::Table,
    pub forgejo: toml::Table,
    pub disclosure: toml::Table,
    pub lmtp: toml::Table,
    pub watch: toml::Table,
    pub policy: toml::Table,
    pub on_call: toml::Table,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "as above")]
pub struct SaidHttp {
    pub trusted_proxies: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "as above")]
pub struct SaidTls {
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub self_signed: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "as above")]
pub struct SaidUrl {
    pub url: Option<SecretString>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "as above")]
pub struct SaidKeys {
    pub file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "as above")]
pub struct SaidAccess {
    pub read: Option<String>,
    pub registration: Option<String>,
    pub two_factor: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "as above")]
pub struct SaidTrustedPublishing {
    pub audience: Option<String>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "as above")]
pub struct SaidIssuer {
    pub provider: String,
    pub url: String,
    pub ca: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "as above")]
pub struct SaidGithub {
    pub api: Option<String>,
    pub git: Option<String>,
    pub token_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "as above")]
pub struct SaidMail {
    pub smtp: Option<String>,
    pub from: Option<String>,
    pub credentials_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "as above")]
pub struct SaidLimits {
    pub file: Option<u64>,
    pub project: Option<u64>,
    pub body: Option<u64>,
}

impl Said {
    /// Reads a settings file, if one is named, and lays the environment over it: `PORTCULLIS_DATABASE__URL` is
    /// `[database] url`. `PORTCULLIS_SERVE__URL`, `…__LISTEN` and `…__DATA` are the keys of the top level.
    ///
    /// # Errors
    /// Where the file can't be read, or holds a key that we don't know.
    pub fn read(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut table = match file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|source| SettingsError::File { path: path.to_owned(), source })?
                .parse::<toml::Table>()
                .map_err(|error| SettingsError::Syntax(format!("{}: {error}", path.display())))?,
            None => toml::Table::new(),
        };
        for (name, value) in environment {
            if let Some((section, key)) =
                name.strip_prefix("PORTCULLIS_").and_then(|rest| rest.split_once("__"))
            {
                overlay(&mut table, &section.to_lowercase(), &key.to_lowercase(), &value);
            }
        }
        Said::deserialize(toml::Value::Table(table)).map_err(|error| SettingsError::Syntax(error.to_string()))
    }
}

/// Sets one key. A value that reads as TOML (`true`, `5`, `["a"]`) is that, anything else is text.
fn overlay(table: &mut toml::Table, section: &str, key: &str, value: &str) {
    let parsed = format!("value = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut parsed| parsed.remove("value"))
        .filter(|parsed| !matches!(parsed, toml::Value::Datetime(_) | toml::Value::Float(_)));
    let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
    if section == "serve" {
        table.insert(key.to_owned(), value);
        return;
    }
    let entry = table.entry(section.to_owned()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if let toml::Value::Table(section) = entry {
        section.insert(key.to_owned(), value);
    }
}

/// Who may read the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadAccess {
    /// Anyone.
    Anyone,
    /// Whoever signs in, with a token that may read.
    SignedIn,
}

/// Who needs a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TwoFactor {
    /// Responders and administrators.
    Optional,
    /// Everybody.
    Required,
}

/// How the listener speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
    Off,
    /// With the operator's certificate (PEM files).
    Certificate {
        /// The chain.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// With one of our own authority's, in this folder: for trying out.
    SelfSigned {
        /// Where `ca.pem` lies.
        folder: PathBuf,
    },
}

/// An issuer beside the providers' public ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSetting {
    /// Which provider's rules apply.
    pub provider: String,
    /// The `iss` of its tokens, exactly.
    pub url: String,
    /// An extra root certificate for its discovery (PEM file).
    pub ca: Option<PathBuf>,
}

/// How notices go out.
#[derive(Debug, Clone)]
pub struct MailSetting {
    /// `smtp://HOST:PORT` or `smtps://…`.
    pub smtp: Url,
    /// The sender.
    pub from: String,
    /// A file with `user:password`.
    pub credentials_file: Option<PathBuf>,
}

/// Sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// One file.
    pub file: u64,
    /// All files of a project.
    pub project: u64,
    /// Any request body but an upload's.
    pub body: u64,
}

/// What is in force.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data folder.
    pub data: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// How clients reach the server; none until the port is known, where it was not said.
    pub url: Option<Url>,
    /// Whom a refused person may ask.
    pub contact: Option<String>,
    /// Networks whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<Network>,
    /// How the listener speaks TLS.
    pub tls: Tls,
    /// The database.
    pub database: SecretString,
    /// The folder of file contents.
    pub blobs: PathBuf,
    /// The server key's file.
    pub key_file: PathBuf,
    /// Who may read.
    pub read: ReadAccess,
    /// Who needs a second factor.
    pub two_factor: TwoFactor,
    /// What tokens must be made for; none: `portcullis:` and the url's host.
    pub audience: Option<String>,
    /// Issuers beside the public ones.
    pub issuers: Vec<IssuerSetting>,
    /// GitHub's API.
    pub github_api: Url,
    /// Where GitHub's repositories are cloned from.
    pub github_git: Url,
    /// A file with a token for GitHub's API.
    pub github_token_file: Option<PathBuf>,
    /// How notices go out; none: they stand at the top of the desk.
    pub mail: Option<MailSetting>,
    /// Sizes.
    pub limits: Limits,
    /// Sections that are known and that nothing reads in this release: `serve` says so at its start.
    pub without_effect: Vec<&'static str>,
}

/// An address range (CIDR, RFC 4632).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `ADDRESS/PREFIX`, or a single address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse::<IpAddr>().ok()?, Some(prefix.parse::<u8>().ok()?)),
            None => (text.parse::<IpAddr>().ok()?, None),
        };
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        (prefix <= longest).then_some(Self { address, prefix })
    }

    /// Whether an address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                u32::from(network) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                u128::from(network) & mask == u128::from(address) & mask
            }
            _ => false,
        }
    }
}

/// 100 MiB, as PyPI.
const FILE_LIMIT: u64 = 100 * 1024 * 1024;
/// 10 GiB, as PyPI.
const PROJECT_LIMIT: u64 = 10 * 1024 * 1024 * 1024;
/// 8 MiB: a scan document of a large repository fits.
const BODY_LIMIT: u64 = 8 * 1024 * 1024;

impl Settings {
    /// Fills in the defaults and refuses contradictions.
    ///
    /// # Errors
    /// [`SettingsError::Value`] names the key and what was expected.
    pub fn resolve(said: Said) -> Result<Self, SettingsError> {
        let data = said.data.unwrap_or_else(|| PathBuf::from("portcullis-data"));
        let listen = said.listen.as_deref().unwrap_or("127.0.0.1:8080");
        let listen = listen.parse().map_err(|_| {
            wrong("listen", format!("is {listen:?}; expected ADDRESS:PORT, for example 127.0.0.1:8080"))
        })?;
        let tls = resolve_tls(said.tls, &data)?;
        if said.access.registration.as_deref().is_some_and(|said| said != "closed") {
            return Err(wrong(
                "access.registration",
                "must be \"closed\": accounts are made with `portcullis admin account add`, there is no page to register",
            ));
        }
        let url = said.url.as_deref().map(|text| resolve_base("url", text, false)).transpose()?;
        let database = said.database.url.unwrap_or_else(|| {
            SecretString::from(format!("sqlite:{}", data.join("portcullis.db").display()))
        });
        let postgres = database.expose_secret().starts_with("postgres");
        if postgres && said.keys.file.is_none() {
            return Err(wrong(
                "keys.file",
                "must be set with a postgres:// database: every node needs the same server key",
            ));
        }
        let github_api =
            resolve_base("github.api", said.github.api.as_deref().unwrap_or("https://api.github.com"), true)?;
        let github_git = match said.github.git.as_deref() {
            Some(text) => resolve_base("github.git", text, true)?,
            None => git_base(&github_api)?,
        };
        let sections = [
            ("gitlab", &said.gitlab),
            ("forgejo", &said.forgejo),
            ("disclosure", &said.disclosure),
            ("lmtp", &said.lmtp),
            ("watch", &said.watch),
            ("policy", &said.policy),
            ("on_call", &said.on_call),
        ];
        let without_effect =
            sections.iter().filter(|(_, table)| !table.is_empty()).map(|(name, _)| *name).collect();
        if said.policy.get("automatic").and_then(toml::Value::as_bool) == Some(true) {
            return Err(wrong(
                "policy.automatic",
                "must be false: in this release a person decides every containment",
            ));
        }
        Ok(Self {
            without_effect,
            listen,
            url,
            contact: said.contact,
            trusted_proxies: said
                .http
                .trusted_proxies
                .iter()
                .map(|text| {
                    Network::parse(text).ok_or_else(|| {
                        wrong(
                            "http.trusted_proxies",
                            format!("has {text:?}; expected a CIDR such as 192.0.2.0/24"),
                        )
                    })
                })
                .collect::<Result<_, _>>()?,
            tls,
            blobs: resolve_blobs(said.blobs.url.as_ref(), &data)?,
            key_file: said.keys.file.unwrap_or_else(|| data.join("keys")),
            database,
            read: word(
                "access.read",
                said.access.read.as_deref(),
                &[("anyone", ReadAccess::Anyone), ("signed-in", ReadAccess::SignedIn)],
            )?,
            two_factor: word(
                "access.two_factor",
                said.access.two_factor.as_deref(),
                &[("optional", TwoFactor::Optional), ("required", TwoFactor::Required)],
            )?,
            audience: said.trusted_publishing.audience,
            issuers: said.issuer.into_iter().map(resolve_issuer).collect::<Result<_, _>>()?,
            github_api,
            github_git,
            github_token_file: said.github.token_file,
            mail: resolve_mail(said.mail)?,
            limits: Limits {
                file: said.limits.file.unwrap_or(FILE_LIMIT),
                project: said.limits.project.unwrap_or(PROJECT_LIMIT),
                body: said.limits.body.unwrap_or(BODY_LIMIT),
            },
            data,
        })
    }

    /// What is in force, for `serve --check`: secrets are left out.
    #[must_use]
    pub fn summary(&self) -> String {
        // What can't be taken apart is not shown at all: a password could be anywhere in it.
        let database = match Url::parse(self.database.expose_secret()) {
            Ok(url) if url.scheme() == "sqlite" => format!("sqlite:{}", url.path()),
            Ok(url) => format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or("(socket)"), url.path()),
            Err(_) => String::from("(set)"),
        };
        [
            format!("data = {:?}", self.data.display()),
            format!("listen = {:?}", self.listen.to_string()),
            format!("url = {:?}", self.url.as_ref().map_or("from listen", Url::as_str)),
            format!("tls = {:?}", self.tls),
            format!("database.url = {database:?}"),
            format!("blobs.url = {:?}", format!("file:{}", self.blobs.display())),
            format!("keys.file = {:?}", self.key_file.display()),
            format!("access.read = {:?}", self.read),
            format!("access.two_factor = {:?}", self.two_factor),
            format!(
                "trusted_publishing.audience = {:?}",
                self.audience.as_deref().unwrap_or("portcullis: and the host of url")
            ),
            format!(
                "issuer = {:?}",
                self.issuers.iter().map(|issuer| issuer.url.as_str()).collect::<Vec<_>>()
            ),
            format!("github.api = {:?}", self.github_api.as_str()),
            format!("github.git = {:?}", self.github_git.as_str()),
            format!("mail.smtp = {:?}", self.mail.as_ref().map_or("none", |mail| mail.smtp.as_str())),
            format!("limits = {:?}", self.limits),
            format!("# without effect in this release: {:?}", self.without_effect),
        ]
        .join("\n")
    }
}

fn word<T: Copy>(key: &'static str, said: Option<&str>, words: &[(&str, T)]) -> Result<T, SettingsError> {
    let default = words.first().map(|(word, _)| *word).unwrap_or_default();
    let said = said.unwrap_or(default);
    words.iter().find(|(word, _)| *word == said).map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        wrong(key, format!("is {said:?}; expected one of {known:?}"))
    })
}

fn resolve_tls(said: Option<SaidTls>, data: &Path) -> Result<Tls, SettingsError> {
    match said {
        None => Ok(Tls::Off),
        Some(SaidTls { cert: None, key: None, self_signed: true }) => {
            Ok(Tls::SelfSigned { folder: data.join("tls") })
        }
        Some(SaidTls { cert: Some(cert), key: Some(key), self_signed: false }) => {
            Ok(Tls::Certificate { cert, key })
        }
        Some(SaidTls { cert: None, key: None, self_signed: false }) => Ok(Tls::Off),
        Some(_) => Err(wrong("tls", "needs either cert and key, or self_signed = true")),
    }
}

/// An address that we are reached at or speak to: https, or http on loopback only.
fn resolve_base(key: &'static str, text: &str, outgoing: bool) -> Result<Url, SettingsError> {
    let url =
        Url::parse(text).map_err(|error| wrong(key, format!("is no URL: {error}; expected https://HOST")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(key, "must not hold credentials: they would stand in logs and process lists"));
    }
    let loopback = is_loopback(&url);
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback || !outgoing => Ok(url),
        _ => Err(wrong(key, format!("is {text:?}; expected https, or http on loopback"))),
    }
}

/// Whether a URL's host is this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// GitHub's own API lives on another host than its repositories; an Enterprise Server's lives below the same one.
fn git_base(api: &Url) -> Result<Url, SettingsError> {
    let text = if api.host_str() == Some("api.github.com") {
        String::from("https://github.com")
    } else {
        let origin = api.origin();
        origin.ascii_serialization()
    };
    resolve_base("github.git", &text, true)
}

fn resolve_blobs(said: Option<&SecretString>, data: &Path) -> Result<PathBuf, SettingsError> {
    match said.map(ExposeSecret::expose_secret) {
        None => Ok(data.join("blobs")),
        Some(text) => match text.strip_prefix("file:") {
            Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
            _ => Err(wrong(
                "blobs.url",
                "must be file:PATH; this release keeps file contents in a local folder",
            )),
        },
    }
}

fn resolve_issuer(said: SaidIssuer) -> Result<IssuerSetting, SettingsError> {
    resolve_base("issuer.url", &said.url, true)?;
    let known: Vec<&str> = portcullis_trust::providers::ALL.iter().map(|provider| provider.name()).collect();
    if !known.contains(&said.provider.as_str()) {
        return Err(wrong("issuer.provider", format!("is {:?}; expected one of {known:?}", said.provider)));
    }
    // The text is kept as it was said: `iss` is compared byte by byte.
    Ok(IssuerSetting { provider: said.provider, url: said.url, ca: said.ca })
}

fn resolve_mail(said: SaidMail) -> Result<Option<MailSetting>, SettingsError> {
    let Some(smtp) = said.smtp else { return Ok(None) };
    let smtp = Url::parse(&smtp)
        .ok()
        .filter(|url| matches!(url.scheme(), "smtp" | "smtps") && url.host().is_some())
        .ok_or_else(|| wrong("mail.smtp", "must be smtp://HOST:PORT or smtps://HOST:PORT"))?;
    if smtp.username() != "" || smtp.password().is_some() {
        return Err(wrong(
            "mail.smtp",
            "must not hold credentials; put user:password into mail.credentials_file",
        ));
    }
    let from = said.from.ok_or_else(|| wrong("mail.from", "must be set where mail.smtp is"))?;
    Ok(Some(MailSetting { smtp, from, credentials_file: said.credentials_file }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(file: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Settings::resolve(Said::read(Some(&path), environment)?)
    }

    #[test]
    fn nothing_said_means_the_embedded_defaults() {
        let settings = resolve("", &[]).unwrap();
        assert_eq!(settings.database.expose_secret(), "sqlite:portcullis-data/portcullis.db");
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.github_git.as_str(), "https://github.com/");
        assert_eq!(settings.key_file, PathBuf::from("portcullis-data/keys"));
    }

    #[test]
    fn the_environment_lies_over_the_file() {
        let settings = resolve(
            "url = \"https://a.example\"\n[github]\napi = \"https://ghes.example/api/v3\"\n",
            &[("PORTCULLIS_SERVE__URL", "https://b.example"), ("PORTCULLIS_TLS__SELF_SIGNED", "true")],
        )
        .unwrap();
        assert_eq!(settings.url.unwrap().as_str(), "https://b.example/");
        assert_eq!(settings.github_git.as_str(), "https://ghes.example/");
        assert!(matches!(settings.tls, Tls::SelfSigned { .. }));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (file, key) in [
            ("listen = \"here\"", "listen"),
            ("[access]\nread = \"nobody\"", "access.read"),
            ("[database]\nurl = \"postgres://db.example/x\"", "keys.file"),
            ("[[issuer]]\nprovider = \"github\"\nurl = \"http://issuer.example\"", "issuer.url"),
            ("[[issuer]]\nprovider = \"gitbub\"\nurl = \"https://issuer.example\"", "issuer.provider"),
            ("[mail]\nsmtp = \"smtp://127.0.0.1:2525\"", "mail.from"),
            ("[mail]\nsmtp = \"smtp://a:b@127.0.0.1:2525\"\nfrom = \"a@b.example\"", "mail.smtp"),
            ("unknown = 1", "unknown"),
            ("[access]\nregistration = \"open\"", "access.registration"),
            ("[policy]\nautomatic = true", "policy.automatic"),
            ("[github]\ngit = \"https://bot:word@forge.example\"", "github.git"),
        ] {
            let error = resolve(file, &[]).unwrap_err().to_string();
            assert!(error.contains(key), "{file}: {error}");
        }
    }

    #[test]
    fn a_check_shows_no_password_wherever_it_stands() {
        for url in [
            "postgres://u:hunter2@db.example/x",
            "postgres://u:s3cr#hunter2@db.example/x",
            "postgres://u@db.example/x?password=hunter2",
            "postgres://%zz:hunter2@/x",
        ] {
            let settings =
                resolve(&format!("[database]\nurl = {url:?}\n[keys]\nfile = \"keys\"\n"), &[]).unwrap();
            assert!(!settings.summary().contains("hunter2"), "{}", settings.summary());
        }
        let error =
            resolve("[github]\ngit = \"https://bot:hunter2@forge.example\"", &[]).unwrap_err().to_string();
        assert!(!error.contains("hunter2"));
    }

    #[test]
    fn sections_that_a_later_release_reads_do_not_stop_this_one() {
        let settings = resolve("[policy]\nautomatic = false\n[watch]\ninterval = 60\n", &[]).unwrap();
        assert_eq!(settings.without_effect, ["watch", "policy"]);
    }

    #[test]
    fn networks_contain_what_their_prefix_says() {
        let network = Network::parse("192.0.2.0/24").unwrap();
        assert!(network.contains("192.0.2.255".parse().unwrap()));
        assert!(!network.contains("192.0.3.0".parse().unwrap()));
        assert!(Network::parse("0.0.0.0/0").unwrap().contains("198.51.100.1".parse().unwrap()));
        assert!(Network::parse("2001:db8::/32").unwrap().contains("2001:db8::1".parse().unwrap()));
        assert!(Network::parse("192.0.2.0/33").is_none());
    }
}
