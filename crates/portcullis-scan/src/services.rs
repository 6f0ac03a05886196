//! Known services and kinds of hosts: the data of `services.toml`, read once.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::report::Class;

/// A service whose hosts and secrets are known.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Identifier, and the `kind` of its secrets.
    pub name: String,
    /// Its hosts; each covers everything below it.
    pub hosts: Vec<String>,
    /// Patterns of its secrets' names.
    pub secrets: Vec<String>,
    /// Where a person rotates the credential; empty where that depends on the owner.
    pub rotate: String,
    /// Whether the credential can publish packages.
    #[serde(default)]
    pub publishes: bool,
    /// Whether the credential can write source code or workflows.
    #[serde(default)]
    pub writes_code: bool,
    /// Whether people also run the product on a host of their own, to which its credential then belongs.
    #[serde(default)]
    pub self_hosted: bool,
    /// Whether what it opens is the owner's own, at any host.
    #[serde(default)]
    pub anywhere: bool,
    /// What takes the place of a credential that lives until somebody revokes it; empty where nothing does.
    #[serde(default)]
    pub replacement: String,
    /// Actions that take a credential of this service and of no other, in lower case.
    #[serde(default)]
    pub actions: Vec<String>,
    /// Programs that talk to this service alone.
    #[serde(default)]
    pub commands: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostClass {
    name: Class,
    hosts: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    service: Vec<Service>,
    class: Vec<HostClass>,
}

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    // The file is part of the program; a test parses it, so the default is never used in a build that passed.
    toml::from_str(include_str!("services.toml")).unwrap_or_default()
});

/// The catalogue by host names and by the words of secrets, for questions that are asked of every delivery.
struct Index {
    services: HashMap<&'static str, &'static Service>,
    classes: HashMap<&'static str, Class>,
    actions: HashMap<&'static str, &'static Service>,
    /// Patterns by their first word.
    patterns: HashMap<&'static str, Vec<Pattern>>,
}

/// Words of secrets' names that say what a secret opens.
struct Pattern {
    words: Vec<&'static str>,
    /// How much it says: the longest one wins.
    length: usize,
    service: &'static Service,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let catalogue: &'static Catalogue = &CATALOGUE;
    let mut index = Index {
        services: HashMap::new(),
        classes: HashMap::new(),
        actions: HashMap::new(),
        patterns: HashMap::new(),
    };
    for service in &catalogue.service {
        for host in &service.hosts {
            index.services.entry(host).or_insert(service);
        }
        for action in &service.actions {
            index.actions.entry(action).or_insert(service);
        }
        for pattern in &service.secrets {
            let words: Vec<&str> = pattern.split(' ').collect();
            if let Some(first) = words.first().copied() {
                let pattern = Pattern { words, length: pattern.len(), service };
                index.patterns.entry(first).or_default().push(pattern);
            }
        }
    }
    for class in &catalogue.class {
        for host in &class.hosts {
            index.classes.entry(host).or_insert(class.name);
        }
    }
    index
});

/// A host and all that it lies below, the longest first.
fn and_above(host: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(host), |name| name.split_once('.').map(|(_, above)| above))
}

/// The service that a host belongs to, unless the host is one that anybody can collect at.
pub fn of_host(host: &str) -> Option<&'static Service> {
    and_above(host).find_map(|name| INDEX.services.get(name).copied())
}

/// The class of a host that anybody can collect at; where a service has the host too, the longer entry decides.
pub fn class_of_host(host: &str) -> Option<Class> {
    let service = and_above(host).find(|name| INDEX.services.contains_key(name)).map_or(0, str::len);
    let (name, class) = and_above(host).find_map(|name| Some((name, *INDEX.classes.get(name)?)))?;
    (name.len() >= service).then_some(class)
}

/// Every known host with its service, for comparing look-alikes.
pub fn hosts() -> impl Iterator<Item = (&'static str, &'static Service)> {
    CATALOGUE
        .service
        .iter()
        .flat_map(|service| service.hosts.iter().map(move |host| (host.as_str(), service)))
}

/// A service by its identifier.
pub fn named(name: &str) -> Option<&'static Service> {
    CATALOGUE.service.iter().find(|service| service.name == name)
}

/// The service that a secret belongs to, judged by its name: the pattern that says most wins.
pub fn of_secret(name: &str) -> Option<&'static Service> {
    Some(said_by(name)?.1)
}

/// The words of a secret's name that say what it opens, and what that is.
pub fn said_by(name: &str) -> Option<(&'static [&'static str], &'static Service)> {
    let index: &'static Index = &INDEX;
    let words = words(name);
    let mut best: Option<&'static Pattern> = None;
    for at in 0..words.len() {
        let rest = words.get(at..).unwrap_or(&[]);
        let Some(first) = rest.first() else { continue };
        for pattern in index.patterns.get(first.as_str()).into_iter().flatten() {
            let fits =
                pattern.words.len() <= rest.len() && pattern.words.iter().zip(rest).all(|(a, b)| a == b);
            if fits && best.is_none_or(|known| pattern.length > known.length) {
                best = Some(pattern);
            }
        }
    }
    best.map(|pattern| (pattern.words.as_slice(), pattern.service))
}

/// The service that a program talks to.
pub fn of_command(name: &str) -> Option<&'static Service> {
    CATALOGUE.service.iter().find(|service| service.commands.iter().any(|command| command == name))
}

/// The service whose credential an action takes, by `owner/name` in lower case.
pub fn of_action(name: &str) -> Option<&'static Service> {
    INDEX.actions.get(name).copied()
}

/// The words of a secret's name in upper case: `npm_token2` is NPM, TOKEN, 2.
pub fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut last_digit = false;
    let mut last_lower = false;
    for character in name.chars() {
        if !character.is_ascii_alphanumeric() {
            words.push(String::new());
            (last_digit, last_lower) = (false, false);
            continue;
        }
        let digit = character.is_ascii_digit();
        let starts = (last_lower && character.is_ascii_uppercase())
            || (last_digit && !digit && words.last().is_some_and(|word| word.len() > 3));
        if starts {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(character.to_ascii_uppercase());
        }
        (last_digit, last_lower) = (digit, character.is_ascii_lowercase());
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_parses_and_names_are_unique() {
        let catalogue: Catalogue = toml::from_str(include_str!("services.toml")).unwrap();
        let mut names: Vec<_> = catalogue.service.iter().map(|service| &service.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), catalogue.service.len());
    }

    #[test]
    fn secrets_are_known_by_their_words() {
        for (name, service) in [
            ("PYPI_API_TOKEN", Some("pypi")),
            ("MY_TWINE_PASSWORD", Some("pypi")),
            ("npmToken", Some("npm")),
            ("AWS_ACCESS_KEY_ID", Some("aws")),
            ("GH_PAT", Some("github")),
            ("AZUREAPPSERVICE_CLIENTID_4090", Some("azure")),
            ("TOKEN", None),
            ("PATH_TO_THING", None),
        ] {
            assert_eq!(of_secret(name).map(|service| service.name.as_str()), service, "{name}");
        }
    }

    /// What a person needs to know of each kind: where to replace it, unless its owner alone knows.
    #[test]
    fn every_kind_says_where_to_rotate() {
        let catalogue: Catalogue = toml::from_str(include_str!("services.toml")).unwrap();
        for service in &catalogue.service {
            let by_owner = service.anywhere || service.self_hosted || service.name == "bintray";
            assert!(service.rotate.starts_with("https://") || by_owner, "{}", service.name);
            for host in &service.hosts {
                let plain =
                    host.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c));
                assert!(plain && host.contains('.'), "{host}");
            }
            for pattern in &service.secrets {
                assert_eq!(*pattern, pattern.to_ascii_uppercase(), "{}", service.name);
            }
            for action in &service.actions {
                assert!(action.contains('/') && *action == action.to_ascii_lowercase(), "{action}");
            }
        }
    }

    #[test]
    fn hosts_are_known_with_everything_below_them_and_nothing_beside() {
        assert_eq!(of_host("upload.pypi.org").map(|service| service.name.as_str()), Some("pypi"));
        assert!(of_host("notpypi.org").is_none());
        assert!(of_host("pypi.org.collector.example").is_none());
        assert_eq!(class_of_host("x.ngrok-free.app"), Some(Class::Tunnel));
        // What anybody rents below the name of a cloud is not the cloud; the door through which it takes deployments is.
        for host in ["x.azurewebsites.net", "x-uc.a.run.app", "x.execute-api.eu-west-1.amazonaws.com"] {
            assert_eq!(class_of_host(host), Some(Class::FreeHosting), "{host}");
        }
        for host in ["x.scm.azurewebsites.net", "lambda.eu-west-1.amazonaws.com", "eu-docker.pkg.dev"] {
            assert_eq!(class_of_host(host), None, "{host}");
        }
    }
}
