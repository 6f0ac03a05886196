//! Known services and kinds of hosts: the data of `services.toml`, read once.

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

/// The service that a host belongs to, unless the host is one that anybody can collect at.
pub fn of_host(host: &str) -> Option<&'static Service> {
    let longest = |hosts: &[String]| hosts.iter().filter(|known| covers(known, host)).map(String::len).max();
    CATALOGUE
        .service
        .iter()
        .filter_map(|service| Some((longest(&service.hosts)?, service)))
        .max_by_key(|(length, _)| *length)
        .map(|(_, service)| service)
}

/// The class of a host that anybody can collect at; where a service has the host too, the longer entry decides.
pub fn class_of_host(host: &str) -> Option<Class> {
    let of_services = CATALOGUE.service.iter().flat_map(|service| &service.hosts);
    let service = of_services.filter(|known| covers(known, host)).map(String::len).max().unwrap_or(0);
    let found =
        CATALOGUE.class.iter().flat_map(|class| class.hosts.iter().map(move |known| (known, class.name)));
    found
        .filter(|(known, _)| covers(known, host) && known.len() >= service)
        .max_by_key(|(known, _)| known.len())
        .map(|(_, class)| class)
}

/// Every known host, for comparing look-alikes.
pub fn hosts() -> impl Iterator<Item = &'static str> {
    CATALOGUE.service.iter().flat_map(|service| service.hosts.iter().map(String::as_str))
}

fn covers(known: &str, host: &str) -> bool {
    host == known || host.strip_suffix(known).is_some_and(|rest| rest.ends_with('.'))
}

/// A service by its identifier.
pub fn named(name: &str) -> Option<&'static Service> {
    CATALOGUE.service.iter().find(|service| service.name == name)
}

/// The service that a secret belongs to, judged by its name: the pattern that says most wins.
pub fn of_secret(name: &str) -> Option<&'static Service> {
    let words = words(name);
    let matches = |pattern: &String| {
        let wanted: Vec<&str> = pattern.split(' ').collect();
        words
            .windows(wanted.len())
            .any(|window| window.iter().zip(&wanted).all(|(word, wanted)| word == wanted))
            .then_some(pattern.len())
    };
    CATALOGUE
        .service
        .iter()
        .filter_map(|service| Some((service.secrets.iter().filter_map(matches).max()?, service)))
        .max_by_key(|(length, _)| *length)
        .map(|(_, service)| service)
}

/// The service that a program talks to.
pub fn of_command(name: &str) -> Option<&'static Service> {
    CATALOGUE.service.iter().find(|service| service.commands.iter().any(|command| command == name))
}

/// The words of a secret's name in upper case: `npm_token2` is NPM, TOKEN, 2.
fn words(name: &str) -> Vec<String> {
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

    #[test]
    fn hosts_are_known_with_everything_below_them_and_nothing_beside() {
        assert_eq!(of_host("upload.pypi.org").map(|service| service.name.as_str()), Some("pypi"));
        assert!(of_host("notpypi.org").is_none());
        assert!(of_host("pypi.org.collector.example").is_none());
        assert_eq!(class_of_host("x.ngrok-free.app"), Some(Class::Tunnel));
    }
}
