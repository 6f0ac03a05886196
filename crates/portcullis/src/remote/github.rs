//! GitHub's API: which repositories an owner has, and what was pushed to them.

use std::collections::BTreeSet;

use reqwest::header::{ACCEPT, LINK};
use serde::de::DeserializeOwned;
use url::Url;

use portcullis_index::clock::{Instant, SECOND};
use portcullis_index::settings::is_loopback;
use serde::Deserialize;

use super::address::is_name;
use super::client::{Client, authority};
use super::copy::{Gap, Heads};
use super::error::RemoteError;
use crate::forge::told::{Activity, Happened, PUSHES_MAX};

/// Most bytes of one answer.
const ANSWER_LIMIT: usize = 16 << 20;
/// Most pages of one list, 100 repositories each.
const PAGE_LIMIT: usize = 1_000;

/// GitHub, or what the operator put in its place.
pub(crate) struct Github {
    /// How it is asked.
    pub(crate) client: Client,
    /// Its API.
    pub(crate) api: Url,
    /// Where its repositories are cloned from.
    pub(crate) server: Url,
}

/// A repository as the API tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repository {
    /// Its owner.
    pub(crate) owner: String,
    /// Its name.
    pub(crate) name: String,
    /// Where it is cloned from.
    pub(crate) clone: Url,
    /// Whether it is a fork.
    pub(crate) fork: bool,
    /// Whether it is archived.
    pub(crate) archived: bool,
    /// When something was last pushed to it.
    pub(crate) pushed_at: Option<String>,
}

/// An owner's repositories, as far as they could be listed.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// In the API's order.
    pub(crate) repositories: Vec<Repository>,
    /// What kept others from being listed.
    pub(crate) problems: Vec<RemoteError>,
}

#[derive(Deserialize)]
struct Told {
    full_name: String,
    #[serde(default)]
    clone_url: Option<String>,
    #[serde(default)]
    fork: bool,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    pushed_at: Option<String>,
}

#[derive(Deserialize)]
struct Account {
    login: String,
}

impl Github {
    /// All repositories of an organisation or a person.
    pub(crate) async fn list(&self, owner: &str) -> Listing {
        let mut listing = Listing::default();
        let organisation =
            self.pages(&format!("orgs/{owner}/repos?per_page=100&type=all"), &mut listing).await;
        if !matches!(organisation, Err(RemoteError::Status { status: 404, .. })) {
            listing.problems.extend(organisation.err());
            return listing;
        }
        let is_own = match self.client.token(&self.api) {
            // Private repositories of a person are shown to that person alone, and there alone.
            Some(_) => match self.get::<Account>("user").await {
                Ok((account, _)) => account.login.eq_ignore_ascii_case(owner),
                Err(_) => false,
            },
            None => false,
        };
        let path = if is_own {
            String::from("user/repos?per_page=100&affiliation=owner")
        } else {
            format!("users/{owner}/repos?per_page=100&type=owner")
        };
        let person = self.pages(&path, &mut listing).await;
        listing.problems.extend(person.err());
        listing
    }

    /// One repository.
    pub(crate) async fn one(&self, owner: &str, name: &str) -> Result<Repository, RemoteError> {
        let (told, _) = self.get::<Told>(&format!("repos/{owner}/{name}")).await?;
        self.repository(told)
    }

    /// Adds what the forge saw pushed, also what nothing leads to any more; and says what it did not tell.
    pub(crate) async fn pushes(
        &self,
        owner: &str,
        name: &str,
        heads: &mut Heads,
    ) -> Result<Option<Gap>, RemoteError> {
        let gap = |since: String, why: &str| {
            let what =
                format!("history-incomplete since {since}: {why}, so what a force-push hid may be missing");
            Gap { kind: "history-incomplete", what }
        };
        let told =
            match self.told::<Vec<Activity>>(&format!("repos/{owner}/{name}/activity?per_page=100")).await {
                // Older Enterprise Servers have no list of activity; the events of the last 90 days tell of pushes too.
                Ok(None) => {
                    let events = self
                        .told::<Vec<Happened>>(&format!("repos/{owner}/{name}/events?per_page=100"))
                        .await;
                    events.map(|events| {
                        events
                            .unwrap_or_default()
                            .into_iter()
                            .filter_map(Happened::push)
                            .collect::<Vec<Activity>>()
                    })
                }
                other => other.map(Option::unwrap_or_default),
            };
        let activity = match told {
            Ok(activity) => activity,
            Err(error @ RemoteError::RateLimited { .. }) => return Err(error),
            Err(error) => {
                let why = format!("asking for the pushes failed ({error})");
                return Ok(Some(gap("the beginning".to_owned(), &why)));
            }
        };
        let oldest = activity.iter().filter_map(|push| Some(push.own()?.2)).min();
        for (before, after, at) in activity.iter().filter_map(Activity::own) {
            let seconds = at.0.div_euclid(SECOND);
            for id in [after, before] {
                if id.bytes().all(|byte| byte == b'0') {
                    continue;
                }
                let first = heads.pushed.entry(id.clone()).or_insert(seconds);
                *first = seconds.min(*first);
                heads.seen.entry(id).or_insert_with(|| shown(at));
            }
        }
        let is_full = activity.len() >= PUSHES_MAX;
        Ok(is_full.then(|| {
            let since = oldest.map_or_else(|| "the beginning".to_owned(), shown);
            gap(since, "GitHub tells the newest 100 pushes, and there were more before")
        }))
    }

    /// What the API tells, where there is such a thing.
    async fn told<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, RemoteError> {
        match self.get(path).await {
            Ok((told, _)) => Ok(Some(told)),
            Err(RemoteError::Status { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Follows a list page by page.
    async fn pages(&self, path: &str, listing: &mut Listing) -> Result<(), RemoteError> {
        let mut known: BTreeSet<String> = BTreeSet::new();
        let mut next = Some(self.address(path)?);
        let mut pages = 0;
        while let Some(url) = next {
            pages += 1;
            if pages > PAGE_LIMIT {
                return Err(RemoteError::TooLarge {
                    what: "pages of repositories",
                    limit: PAGE_LIMIT as u64,
                });
            }
            let (told, link) = self.get_url::<Vec<Told>>(&url).await?;
            for told in told {
                let name = told.full_name.to_ascii_lowercase();
                // A repository that was made or renamed meanwhile moves the others over the pages.
                if known.insert(name) {
                    match self.repository(told) {
                        Ok(repository) => listing.repositories.push(repository),
                        Err(error) => listing.problems.push(error),
                    }
                }
            }
            next = link.map(|link| self.same(&url, &link)).transpose()?;
        }
        Ok(())
    }

    fn repository(&self, told: Told) -> Result<Repository, RemoteError> {
        let wrong = || RemoteError::answer(&self.host(), "a repository has no name that can be one");
        let (owner, name) = told.full_name.split_once('/').ok_or_else(wrong)?;
        if !(is_name(owner) && is_name(name)) {
            return Err(wrong());
        }
        let built = format!("{}/{owner}/{name}.git", self.server.as_str().trim_end_matches('/'));
        // What an answer names is only asked where it is on the server that the operator named.
        let said = told.clone_url.and_then(|text| text.parse::<Url>().ok()).filter(|url| {
            (url.host() == self.server.host() || is_loopback(url) && is_loopback(&self.server))
                && (url.scheme() == "https" || is_loopback(url))
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
        });
        let clone = match said {
            Some(url) => url,
            None => built.parse().map_err(|_| wrong())?,
        };
        Ok(Repository {
            owner: owner.to_owned(),
            name: name.to_owned(),
            clone,
            fork: told.fork,
            archived: told.archived,
            pushed_at: told.pushed_at,
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<(T, Option<String>), RemoteError> {
        self.get_url(&self.address(path)?).await
    }

    /// An answer, and where the next page is.
    async fn get_url<T: DeserializeOwned>(&self, url: &Url) -> Result<(T, Option<String>), RemoteError> {
        use secrecy::ExposeSecret;
        let host = self.host();
        let mut answer = self
            .client
            .send(url, |client| {
                let request = client
                    .get(url.clone())
                    .header(ACCEPT, "application/vnd.github+json")
                    .header("X-GitHub-Api-Version", "2022-11-28");
                match self.client.token(url) {
                    Some(token) => request.bearer_auth(token.expose_secret()),
                    None => request,
                }
            })
            .await?;
        let next =
            answer.headers().get_all(LINK).iter().filter_map(|link| link.to_str().ok()).find_map(next_page);
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| RemoteError::Connection {
            host: host.clone(),
            cause: portcullis_index::outgoing::causes(&error),
        })? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(RemoteError::TooLarge {
                    what: "the bytes of an answer",
                    limit: ANSWER_LIMIT as u64,
                });
            }
            body.extend_from_slice(&chunk);
        }
        let answer = serde_json::from_slice(&body).map_err(|error| {
            RemoteError::answer(&host, format!("it is not what GitHub's API answers: {error}"))
        })?;
        Ok((answer, next))
    }

    fn address(&self, path: &str) -> Result<Url, RemoteError> {
        format!("{}/{path}", self.api.as_str().trim_end_matches('/'))
            .parse()
            .map_err(|_| RemoteError::answer(&self.host(), "it has no address"))
    }

    /// The next page must be on the API's own server: the token goes with it.
    fn same(&self, page: &Url, link: &str) -> Result<Url, RemoteError> {
        page.join(link)
            .ok()
            .filter(|url| authority(url) == authority(&self.api) && url.scheme() == self.api.scheme())
            .ok_or_else(|| RemoteError::answer(&self.host(), "its next page is on another server"))
    }

    fn host(&self) -> String {
        self.api.host_str().unwrap_or_default().to_owned()
    }
}

/// Where the repositories are: GitHub's own API lives on another host, an Enterprise Server's below the same one.
pub(crate) fn server_of(api: &Url) -> Url {
    let mut server = api.clone();
    if api.host_str() == Some("api.github.com") {
        let _ = server.set_host(Some("github.com"));
    }
    server.set_path("/");
    server
}

/// The address with `rel="next"` of a `Link` header (RFC 8288).
fn next_page(link: &str) -> Option<String> {
    link.split(',').find_map(|part| {
        let (address, parameters) = part.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            parameter.trim().split_once('=').is_some_and(|(name, value)| {
                name.trim() == "rel"
                    && value.trim().trim_matches('"').split(' ').any(|relation| relation == "next")
            })
        });
        is_next.then(|| address.to_owned())
    })
}

/// A time to the second, as GitHub writes it.
fn shown(at: Instant) -> String {
    jiff::Timestamp::from_second(at.0.div_euclid(SECOND)).map(|at| at.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    fn github() -> Github {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Github {
            client: Client::new(false, BTreeMap::new(), Duration::ZERO).unwrap(),
            api: "https://api.github.com/".parse().unwrap(),
            server: "https://github.com/".parse().unwrap(),
        }
    }

    fn told(name: &str, clone: Option<&str>) -> Told {
        serde_json::from_value(serde_json::json!({ "full_name": name, "clone_url": clone })).unwrap()
    }

    #[test]
    fn the_next_page_is_found_among_the_links() {
        let link = r#"<https://a.example/?page=1>; rel="prev", <https://a.example/?page=3>; rel="next", <https://a.example/?page=9>; rel="last""#;
        assert_eq!(next_page(link).as_deref(), Some("https://a.example/?page=3"));
        assert_eq!(next_page(r#"<https://a.example/?page=9>; rel="last""#), None);
        assert_eq!(next_page("nonsense"), None);
    }

    #[test]
    fn the_next_page_is_not_followed_to_another_server() {
        let page = "https://api.github.com/orgs/o/repos".parse().unwrap();
        assert!(github().same(&page, "?page=2").is_ok());
        assert!(github().same(&page, "https://api.github.com/organizations/1/repos?page=2").is_ok());
        for other in [
            "https://api.github.com.example/",
            "http://api.github.com/",
            "https://api.github.com:8443/",
            "//elsewhere.example/x",
        ] {
            assert!(github().same(&page, other).is_err(), "{other}");
        }
    }

    #[test]
    fn repositories_are_cloned_from_the_operators_server() {
        let clone = |told| github().repository(told).unwrap().clone.to_string();
        assert_eq!(clone(told("o/n", Some("https://github.com/o/n.git"))), "https://github.com/o/n.git");
        for other in [
            "https://elsewhere.example/o/n.git",
            "http://github.com/o/n.git",
            "https://a:b@github.com/o/n.git",
            "ssh://git@github.com/o/n.git",
        ] {
            assert_eq!(clone(told("o/n", Some(other))), "https://github.com/o/n.git", "{other}");
        }
        for wrong in ["o", "o/../x", "o/n/x", "/n", "o/n\u{202e}"] {
            assert!(github().repository(told(wrong, None)).is_err(), "{wrong}");
        }
    }
}
