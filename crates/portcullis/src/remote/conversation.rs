//! Git's protocol version 2 over HTTP (gitprotocol-v2, gitprotocol-http), as far as fetching needs it: no `git` is run, and no
//! configuration, hook or filter of anybody is read.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use gix::ObjectId;
use portcullis_scan::text::{Lines, escape};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::ExposeSecret;
use tokio::io::AsyncWriteExt;
use url::Url;

use super::client::Client;
use super::error::RemoteError;
use super::packet::{self, Packet, Packets};

/// Most references of one repository.
const REFERENCE_LIMIT: usize = 1_000_000;
/// Most bytes of a list of capabilities.
const GREETING_LIMIT: u64 = 64 * 1024;
/// Most bytes of a list of references.
const LIST_LIMIT: u64 = 256 << 20;
/// Longest name of a reference, in bytes.
const NAME_LIMIT: usize = 4_096;
/// How many references the server is told to have been got.
const HAVE_LIMIT: usize = 256;

/// References of a remote.
#[derive(Clone, Debug, Default)]
pub(crate) struct References {
    /// Full names with what they name.
    pub(crate) list: BTreeMap<String, ObjectId>,
    /// The branch that `HEAD` stands for.
    pub(crate) head: Option<String>,
    /// What `HEAD` names where it is on no branch.
    pub(crate) detached: Option<ObjectId>,
    /// Names that git itself would not take, escaped.
    pub(crate) odd: Vec<String>,
}

/// What a fetch brought besides its objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrived {
    /// Bytes of the pack.
    pub(crate) bytes: u64,
    /// Commits whose parents the server itself doesn't have.
    pub(crate) shallow: Vec<ObjectId>,
}

/// A conversation with one remote.
pub(crate) struct Conversation {
    base: Url,
    host: String,
    authorization: Option<HeaderValue>,
    /// How the repository names its objects.
    pub(crate) hash: gix::hash::Kind,
    /// Whether the server leaves out what it is told to.
    pub(crate) knows_filters: bool,
    /// Whether it can cut a history off.
    pub(crate) knows_depth: bool,
}

impl Conversation {
    /// Greets the server.
    pub(crate) async fn open(client: &Client, url: &Url) -> Result<Self, RemoteError> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let authorization = client.token(url).and_then(basic);
        let asked = below(url, "info/refs?service=git-upload-pack");
        let answer = client
            .send(&asked, |client| {
                let request = client.get(asked.clone()).header("Git-Protocol", "version=2");
                with(
                    request.header(ACCEPT, "application/x-git-upload-pack-advertisement"),
                    authorization.as_ref(),
                )
            })
            .await?;
        // A renamed repository answers from its new place on the same host.
        let mut base = answer.url().clone();
        base.set_query(None);
        let path = base.path().trim_end_matches("/info/refs").to_owned();
        base.set_path(&path);
        let is_git = answer
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-git-upload-pack-advertisement"));
        if !is_git {
            return Err(RemoteError::answer(&host, "there is no git repository at this address"));
        }
        let mut lines = Packets::new(answer, &host, GREETING_LIMIT);
        let mut capabilities = BTreeMap::new();
        let mut version = String::new();
        while let Some(packet) = lines.next().await? {
            let Packet::Line(line) = packet else {
                // The first flush may only end the line that names the service.
                if version.is_empty() && capabilities.is_empty() { continue } else { break }
            };
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if let Some(said) = text.strip_prefix("ERR ") {
                return Err(RemoteError::said(&host, said.as_bytes()));
            }
            if text.starts_with("# service=") {
                continue;
            }
            match text.split_once('=') {
                _ if version.is_empty() => version = text,
                Some((name, values)) => {
                    capabilities.insert(name.to_owned(), values.to_owned());
                }
                None => {
                    capabilities.insert(text, String::new());
                }
            }
        }
        if version != "version 2" {
            return Err(RemoteError::answer(&host, "it doesn't speak version 2 of git's protocol"));
        }
        let hash = match capabilities.get("object-format").map(String::as_str) {
            None | Some("sha1") => gix::hash::Kind::Sha1,
            Some("sha256") => gix::hash::Kind::Sha256,
            Some(_) => return Err(RemoteError::answer(&host, "its objects have an unknown kind of name")),
        };
        let fetch = capabilities.get("fetch").map(String::as_str).unwrap_or_default();
        let knows = |wanted: &str| fetch.split(' ').any(|feature| feature == wanted);
        let (knows_filters, knows_depth) = (knows("filter"), knows("shallow"));
        Ok(Self { base, host, authorization, hash, knows_filters, knows_depth })
    }

    /// All references that the server shows, also those of pull and merge requests.
    pub(crate) async fn references(&self, client: &Client) -> Result<References, RemoteError> {
        let mut body = self.command("ls-refs");
        packet::line(&mut body, "symrefs");
        body.extend(packet::FLUSH);
        let mut lines = Packets::new(self.post(client, body).await?, &self.host, LIST_LIMIT);
        let mut found = References::default();
        while let Some(Packet::Line(line)) = lines.next().await? {
            self.complaint(&line)?;
            self.add_reference(&mut found, &line, REFERENCE_LIMIT)?;
        }
        Ok(found)
    }

    fn add_reference(&self, found: &mut References, line: &[u8], limit: usize) -> Result<(), RemoteError> {
        let text = String::from_utf8_lossy(line);
        let mut words = text.trim_end_matches('\n').split(' ');
        let (Some(id), Some(name)) = (words.next(), words.next()) else { return Ok(()) };
        let Some(id) = self.object_id(id) else { return Ok(()) };
        let target = words.find_map(|word| word.strip_prefix("symref-target:"));
        if name == "HEAD" {
            found.head = target.filter(|target| is_reference_name(target)).map(str::to_owned);
            found.detached = Some(id).filter(|_| found.head.is_none());
        } else if is_reference_name(name) {
            found.list.insert(name.to_owned(), id);
        } else {
            found.odd.push(escape(&shortened(name), Lines::One));
        }
        let count = found.list.len() + found.odd.len();
        if count > limit {
            return Err(RemoteError::TooLarge { what: "references", limit: limit as u64 });
        }
        Ok(())
    }

    /// Fetches objects by id into a pack, of at most `limit` bytes: commits and what they lead to (without file contents where
    /// the server knows how), or files alone. What leads from `haves` is not sent again. With `tips_only`, no commit before those
    /// that are wanted.
    pub(crate) async fn fetch(
        &self,
        client: &Client,
        wants: &[ObjectId],
        haves: &[ObjectId],
        tips_only: bool,
        pack: &Path,
        limit: u64,
    ) -> Result<Arrived, RemoteError> {
        let mut body = self.command("fetch");
        for text in ["no-progress", "ofs-delta"] {
            packet::line(&mut body, text);
        }
        if self.knows_filters {
            packet::line(&mut body, "filter blob:none");
        }
        if tips_only {
            packet::line(&mut body, "deepen 1");
        }
        let distinct: HashSet<&ObjectId> = wants.iter().collect();
        for id in distinct {
            packet::line(&mut body, &format!("want {id}"));
        }
        for id in haves.iter().take(HAVE_LIMIT) {
            packet::line(&mut body, &format!("have {id}"));
        }
        packet::line(&mut body, "done");
        body.extend(packet::FLUSH);
        // The lines around the pack's bytes are not counted as the pack's.
        let mut lines =
            Packets::new(self.post(client, body).await?, &self.host, limit.saturating_mul(2).max(1 << 16));
        self.receive(&mut lines, pack, limit).await
    }

    async fn receive(&self, lines: &mut Packets, pack: &Path, limit: u64) -> Result<Arrived, RemoteError> {
        let mut arrived = Arrived::default();
        let mut file =
            tokio::io::BufWriter::new(tokio::fs::File::create(pack).await.map_err(RemoteError::disk)?);
        let mut section = String::new();
        while let Some(packet) = lines.next().await? {
            let line = match packet {
                Packet::Line(line) => line,
                Packet::Delimiter => {
                    section.clear();
                    continue;
                }
                Packet::Flush => break,
            };
            if section.is_empty() {
                self.complaint(&line)?;
                section = String::from_utf8_lossy(&line).trim_end().to_owned();
                continue;
            }
            match (section.as_str(), line.split_first()) {
                ("packfile", Some((1, data))) => {
                    arrived.bytes += data.len() as u64;
                    if arrived.bytes > limit {
                        return Err(RemoteError::TooLarge { what: "the bytes of a repository", limit });
                    }
                    file.write_all(data).await.map_err(RemoteError::disk)?;
                }
                ("packfile", Some((3, said))) => return Err(RemoteError::said(&self.host, said)),
                ("shallow-info", _) => {
                    let text = String::from_utf8_lossy(&line);
                    let id = text.trim_end().strip_prefix("shallow ").and_then(|id| self.object_id(id));
                    arrived.shallow.extend(id);
                }
                _ => {}
            }
        }
        file.flush().await.map_err(RemoteError::disk)?;
        if section != "packfile" {
            return Err(RemoteError::answer(&self.host, "it holds no pack"));
        }
        Ok(arrived)
    }

    fn object_id(&self, text: &str) -> Option<ObjectId> {
        ObjectId::from_hex(text.as_bytes()).ok().filter(|id| id.kind() == self.hash)
    }

    fn complaint(&self, line: &[u8]) -> Result<(), RemoteError> {
        line.strip_prefix(b"ERR ").map_or(Ok(()), |said| Err(RemoteError::said(&self.host, said)))
    }

    fn command(&self, name: &str) -> Vec<u8> {
        let mut body = Vec::new();
        packet::line(&mut body, &format!("command={name}"));
        packet::line(&mut body, concat!("agent=portcullis/", env!("CARGO_PKG_VERSION")));
        packet::line(&mut body, &format!("object-format={}", self.hash));
        body.extend(packet::DELIMITER);
        body
    }

    async fn post(&self, client: &Client, body: Vec<u8>) -> Result<reqwest::Response, RemoteError> {
        let url = below(&self.base, "git-upload-pack");
        client
            .send(&url, |client| {
                let request = client
                    .post(url.clone())
                    .header("Git-Protocol", "version=2")
                    .header(CONTENT_TYPE, "application/x-git-upload-pack-request")
                    .header(ACCEPT, "application/x-git-upload-pack-result")
                    .body(body.clone());
                with(request, self.authorization.as_ref())
            })
            .await
    }
}

/// GitHub and GitLab take a token as the password of any user.
fn basic(token: &secrecy::SecretString) -> Option<HeaderValue> {
    use base64::Engine;
    let login = format!("x-access-token:{}", token.expose_secret());
    let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn with(request: reqwest::RequestBuilder, authorization: Option<&HeaderValue>) -> reqwest::RequestBuilder {
    match authorization {
        Some(value) => request.header(AUTHORIZATION, value.clone()),
        None => request,
    }
}

fn below(base: &Url, rest: &str) -> Url {
    let mut url = base.clone();
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    url
}

fn shortened(name: &str) -> String {
    name.chars().take(100).collect()
}

/// git-check-ref-format's rules, as far as a line of `packed-refs` must rely on them.
fn is_reference_name(name: &str) -> bool {
    name.starts_with("refs/")
        && name.len() <= NAME_LIMIT
        && !name.ends_with(['/', '.'])
        && !name.contains("..")
        && !name.contains("//")
        && !name.contains("@{")
        && !name.bytes().any(|byte| byte <= b' ' || byte == 0x7f || b"~^:?*[\\".contains(&byte))
}

/// A conversation that nobody began.
#[cfg(test)]
pub(crate) fn conversation() -> Conversation {
    Conversation {
        base: "https://forge.invalid/o/n.git".parse().unwrap(),
        host: String::from("forge.invalid"),
        authorization: None,
        hash: gix::hash::Kind::Sha1,
        knows_filters: true,
        knows_depth: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_references_are_checked() {
        for name in ["refs/heads/main", "refs/pull/1/head", "refs/merge-requests/7/merge", "refs/heads/ä/b"]
        {
            assert!(is_reference_name(name), "{name}");
        }
        for name in [
            "HEAD",
            "main",
            "refs/heads/a\nb",
            "refs/heads/../x",
            "refs/heads/a b",
            "refs//x",
            "/refs/x",
            "refs/x/",
        ] {
            assert!(!is_reference_name(name), "{name}");
        }
        let longest = format!("refs/{}", "a".repeat(NAME_LIMIT - 5));
        assert!(is_reference_name(&longest) && !is_reference_name(&format!("{longest}a")));
    }

    #[test]
    fn as_many_references_as_may_be_are_read_and_one_more_is_too_many() {
        let mut found = References::default();
        let id = "1".repeat(40);
        let lines =
            ["HEAD symref-target:refs/heads/a", "refs/heads/a", "refs/pull/1/head", "refs/heads/a\u{1b}b"];
        for line in lines {
            conversation().add_reference(&mut found, format!("{id} {line}\n").as_bytes(), 3).unwrap();
        }
        assert_eq!((found.list.len(), found.head.as_deref()), (2, Some("refs/heads/a")));
        assert_eq!(found.odd, ["refs/heads/a\\u{1b}b"], "an odd name hides no other reference");
        let one_more = format!("{id} refs/heads/c\n");
        assert!(conversation().add_reference(&mut found, one_more.as_bytes(), 3).is_err());
    }

    #[test]
    fn paths_are_put_below_the_repositorys() {
        let base: Url = "https://forge.example/o/n.git".parse().unwrap();
        let asked = below(&base, "info/refs?service=git-upload-pack");
        assert_eq!(asked.as_str(), "https://forge.example/o/n.git/info/refs?service=git-upload-pack");
    }

    #[test]
    fn a_token_is_no_text_that_debug_prints() {
        let value = basic(&secrecy::SecretString::from("hunter2")).unwrap();
        assert!(!format!("{value:?}").contains("hunter2") && value.is_sensitive());
    }
}
