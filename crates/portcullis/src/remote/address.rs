//! What of the given paths is an address, and which addresses are asked.

use portcullis_index::settings::is_loopback;
use url::Url;

use super::error::RemoteError;

/// Longest name of an owner or a repository.
const NAME_LIMIT: usize = 100;

/// Something to scan that is not on this disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A repository by its clone URL, without credentials.
    Repository(Url),
    /// All repositories of an owner at the configured GitHub.
    Owner(String),
    /// One repository there.
    Named {
        /// Its owner.
        owner: String,
        /// Its name.
        name: String,
    },
}

impl Address {
    /// Reads a path as an address. `None` is a path on this disk.
    ///
    /// # Errors
    /// Where it is an address and not one that is asked. The message never repeats the credentials in it.
    pub(crate) fn parse(text: &str) -> Option<Result<Self, RemoteError>> {
        if let Some(rest) = text.strip_prefix("github:") {
            return Some(named(rest));
        }
        if text.contains("://") {
            return Some(repository(text));
        }
        is_scp_like(text).then(|| {
            Err(RemoteError::Refused(String::from(
                "addresses of the form `user@host:path` are not fetched; give the repository's https address",
            )))
        })
    }

    /// As it is shown: without credentials.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Repository(url) => url.to_string(),
            Self::Owner(owner) => format!("github:{owner}"),
            Self::Named { owner, name } => format!("github:{owner}/{name}"),
        }
    }
}

fn named(rest: &str) -> Result<Address, RemoteError> {
    let parts: Vec<&str> = rest.split('/').collect();
    match parts.as_slice() {
        [owner] if is_name(owner) => Ok(Address::Owner((*owner).to_owned())),
        [owner, name] if is_name(owner) && is_name(name.trim_end_matches(".git")) => {
            Ok(Address::Named { owner: (*owner).to_owned(), name: name.trim_end_matches(".git").to_owned() })
        }
        _ => Err(RemoteError::Refused(String::from("expected github:OWNER or github:OWNER/REPO"))),
    }
}

/// Whether text can be an owner's or a repository's name: GitHub's letters.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=NAME_LIMIT).contains(&text.len())
        && !matches!(text, "." | "..")
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn repository(text: &str) -> Result<Address, RemoteError> {
    let refused = |what: &str| Err(RemoteError::Refused(what.to_owned()));
    // An address that can't be read may hold a password anywhere: no part of it is repeated.
    let Ok(mut url) = Url::parse(text) else { return refused("this address can't be read as a URL") };
    if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url)) {
        return refused("only https is spoken, and http to this machine itself");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refused("the address of a repository has no `?` and no `#`");
    }
    if url.host_str().is_none_or(str::is_empty) || url.path().trim_matches('/').is_empty() {
        return refused("the address names no repository; expected https://HOST/OWNER/NAME.git");
    }
    // Whoever can read the list of processes reads arguments; tokens come from the environment alone.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(Address::Repository(url))
}

/// `git@forge.example:owner/name.git`: ssh, which is not spoken. What is there as a path is a path.
fn is_scp_like(text: &str) -> bool {
    let Some((user, rest)) = text.split_once('@') else { return false };
    let Some((host, path)) = rest.split_once(':') else { return false };
    is_name(user) && is_name(host) && !path.is_empty() && !std::path::Path::new(text).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Address::parse(text).unwrap().unwrap().shown()
    }

    #[test]
    fn addresses_are_told_from_paths() {
        for path in [".", "src/github", "./github:example", "a@b", "a:b", "C:/x"] {
            assert_eq!(Address::parse(path), None, "{path}");
        }
        assert_eq!(shown("github:example-org"), "github:example-org");
        assert_eq!(shown("github:example-org/fish.git"), "github:example-org/fish");
        assert_eq!(shown("https://Forge.example/o/n.git/"), "https://forge.example/o/n.git");
        assert_eq!(shown("http://127.0.0.1:8080/o/n.git"), "http://127.0.0.1:8080/o/n.git");
    }

    #[test]
    fn credentials_in_an_address_are_taken_out_of_it() {
        assert_eq!(shown("https://mara:hunter2@forge.example/o/n.git"), "https://forge.example/o/n.git");
        for text in [
            "ssh://mara:hunter2@forge.example/o/n.git",
            "https://mara:hunter2@forge.example/o/n.git?private_token=hunter2",
            "https://mara:hunter2@forge.example:port/o/n",
            "https://mara:hunter2@",
        ] {
            let refused = Address::parse(text).unwrap().unwrap_err().to_string();
            assert!(!refused.contains("hunter2") && !refused.contains("mara"), "{refused}");
        }
    }

    #[test]
    fn only_https_and_loopback_are_spoken_to() {
        for text in [
            "http://forge.example/o/n.git",
            "http://192.0.2.1/o/n.git",
            "http://127.0.0.1.forge.example/o/n.git",
            "git://forge.example/o/n.git",
            "ssh://forge.example/o/n.git",
            "file:///srv/git/n.git",
            "ext::sh -c true://",
            "https://forge.example",
            "git@forge.example:o/n.git",
            "github:",
            "github:a/b/c",
            "github:../x",
        ] {
            assert!(Address::parse(text).unwrap().is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_has_a_length() {
        assert!(is_name(&"a".repeat(NAME_LIMIT)));
        assert!(!is_name(&"a".repeat(NAME_LIMIT + 1)));
    }
}
