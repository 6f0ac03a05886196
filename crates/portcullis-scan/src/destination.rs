//! What kind of place is this, and does this secret belong there?
//!
//! Three questions (see the scanner's description): is the host a literal of the file or set by the owner elsewhere;
//! does the secret belong to the service behind it; is it used up there. The answers are facts here; what they weigh is
//! decided in `verdict.rs`.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use crate::flow::trace::{Channel, Delivery};
use crate::flow::value::{Part, Value};
use crate::report::Class;
use crate::services::{self, Service};
use crate::text::RepositoryText;

/// What a place is called whose host comes out of a file, a command or another machine's answer.
pub const ONLY_THE_RUN_KNOWS: &str = "unknown";

/// A place that something was delivered to.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its class in the scan document.
    pub class: Class,
    /// The host in lower case, without port and user; `None` for channels without one.
    pub host: Option<String>,
    /// The address as written, with `${NAME}` for what isn't literal.
    pub url: Option<RepositoryText>,
    /// The known service behind it.
    pub service: Option<&'static Service>,
    /// Whether it is this machine itself.
    pub local: bool,
    /// What it is called where it has no host: an artifact, an action, a repository.
    pub name: String,
}

impl Place {
    /// The text by which exposures and finding ids name it: its host, else class and name.
    pub fn key(&self) -> String {
        match &self.host {
            Some(host) => host.clone(),
            None if self.class == Class::Unknown && self.name == ONLY_THE_RUN_KNOWS => self.name.clone(),
            None => match self.class {
                Class::Log => "workflow-log".to_owned(),
                Class::Configured => format!("configured:{}", self.name),
                class => format!("{}:{}", class.name(), self.name),
            },
        }
    }

    /// Whether the place is written in the file and belongs to nobody we know.
    pub fn is_foreign(&self) -> bool {
        matches!(
            self.class,
            Class::RawAddress
                | Class::RequestBin
                | Class::Tunnel
                | Class::Paste
                | Class::Chat
                | Class::FreeHosting
                | Class::LookAlike
                | Class::Unknown
                | Class::Dns
        )
    }

    /// Whether it is an address of a private network (RFC 1918, RFC 4193, RFC 6598), which no outsider is at the other end of, or a
    /// web address with a name of one label: nobody can register such a name, so it is another container's or machine's of the
    /// same network. (`ssh` may know such a name from its settings.)
    pub fn is_private(&self) -> bool {
        let host = self.host.as_deref().unwrap_or("");
        let is_web = self.url.as_ref().is_some_and(|url| url.unescaped().starts_with("http"));
        match url::Host::parse(host) {
            Ok(url::Host::Domain(name)) if is_web => {
                !name.is_empty() && !name.trim_end_matches('.').contains('.')
            }
            Ok(url::Host::Ipv4(address)) => {
                address.is_private() || matches!(address.octets(), [100, second, ..] if second & 0xc0 == 64)
            }
            _ => host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_unique_local()),
        }
    }

    /// Whether anybody can collect there without a name of his own.
    pub fn is_drop_box(&self) -> bool {
        matches!(self.class, Class::RequestBin | Class::Tunnel | Class::Paste)
    }
}

/// The place of a delivery.
pub fn place(delivery: &Delivery) -> Place {
    let named = |class: Class| Place {
        class,
        host: None,
        url: None,
        service: None,
        local: false,
        name: delivery.target.template(),
    };
    match delivery.channel {
        Channel::Log => named(Class::Log),
        Channel::Artifact | Channel::Cache => named(Class::Artifact),
        Channel::Disk => named(Class::Disk),
        Channel::Program => match of_address(&delivery.target) {
            place if place.host.is_some() => place,
            _ => named(Class::Unknown),
        },
        Channel::Action | Channel::Reusable | Channel::Image => {
            let mut place = named(Class::Repository);
            place.name = delivery.target.template().split('@').next().unwrap_or("").to_ascii_lowercase();
            place
        }
        Channel::Repository => {
            let text = delivery.target.template();
            let host = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest);
            let host = host.split(['/', '?', '#']).next().unwrap_or("").rsplit('@').next().unwrap_or("");
            if host.eq_ignore_ascii_case("api.github.com") || host.contains("GITHUB_API_URL") {
                let mut place = named(Class::Repository);
                place.name = "api.github.com".to_owned();
                place.service = services::named("github");
                return place;
            }
            if text.contains("://") || text.contains('@') {
                return of_address(&delivery.target);
            }
            if text == "gist.github.com" {
                return of_address(&Value::text(text));
            }
            let mut place = named(Class::Repository);
            place.service = services::named("github");
            place
        }
        Channel::Dns => {
            let template = delivery.target.template();
            // A name has no spaces: what stands before the last one came along with it.
            let template = template.split_whitespace().next_back().unwrap_or("").to_owned();
            let mut place = match zone(&template) {
                Some(zone) => known_host(zone, template),
                None => of_address(&delivery.target),
            };
            if place.class == Class::Unknown {
                place.class = Class::Dns;
            }
            place
        }
        Channel::Network | Channel::Registry => of_address(&delivery.target),
    }
}

/// The place behind an address or a host.
pub fn of_address(target: &Value) -> Place {
    let template = target.template();
    let configured = |name: String| Place {
        class: Class::Configured,
        host: None,
        url: Some(RepositoryText::new(template.clone())),
        service: None,
        local: false,
        name,
    };
    if matches!(target.parts.first(), Some(Part::Carried(_)))
        && !template.contains(['@', '/'])
        && let Some(zone) = zone(&template)
    {
        // A secret as the name of a host below somebody's zone.
        return known_host(zone, template);
    }
    if let Some(place) = only_the_run_knows(target, &template) {
        return place;
    }
    match target.parts.first() {
        None => return configured("nothing".to_owned()),
        Some(Part::Run(name)) => {
            // `$GITHUB_API_URL/…`: the forge itself.
            let forge = name.to_ascii_lowercase().contains("api_url")
                || name.to_ascii_lowercase().contains("server_url")
                || name.to_ascii_lowercase().contains("graphql_url");
            let mut place = configured(name.clone());
            if forge {
                place = known_host("github.com".to_owned(), template.clone());
            }
            if name.contains("ACTIONS_ID_TOKEN_REQUEST_URL") {
                place.local = true;
            }
            return place;
        }
        Some(Part::Text(_)) => {}
        Some(Part::Carried(carried)) if !template.contains("://") || !after_scheme(target) => {
            return configured(carried.source.name());
        }
        Some(Part::Configured(name) | Part::Untrusted(name)) if !template.contains("://") => {
            return configured(name.clone());
        }
        Some(_) if !template.contains("://") => return configured("unknown".to_owned()),
        Some(_) => {}
    }
    let Some(host) = host_of(&template) else { return configured(template.clone()) };
    if host.contains("${") {
        // `${TOKEN}.collector.example`: what follows the last variable is the zone; nothing behind it: configured.
        let Some(zone) = zone(&host) else {
            return configured(first_variable(&host));
        };
        // One name directly below a platform that gives names away: whoever set the variable chose whose it is.
        let variable = target.parts.iter().find(|part| !matches!(part, Part::Text(_)));
        if matches!(variable, Some(Part::Carried(_) | Part::Configured(_)))
            && host.matches("${").count() == 1
            && host.starts_with("${")
            && is_platform(&zone)
        {
            return configured(first_variable(&host));
        }
        return known_host(zone, template);
    }
    known_host(host, template)
}

/// The name of the variable that a host begins with.
fn first_variable(host: &str) -> String {
    host.trim_start_matches("${").split('}').next().unwrap_or("").to_owned()
}

/// Whether names directly below it belong to one tenant each, and nobody of them sees those of the others.
fn is_platform(zone: &str) -> bool {
    const PLATFORMS: &[&str] = &[
        "supabase.co",
        "functions.supabase.co",
        "vercel.app",
        "netlify.app",
        "herokuapp.com",
        "onrender.com",
        "fly.dev",
        "web.app",
        "firebaseapp.com",
        "azurewebsites.net",
        "pages.dev",
    ];
    PLATFORMS.contains(&zone)
}

/// The place of an address whose host comes out of a file, a command, or the answer of another machine.
fn only_the_run_knows(target: &Value, template: &str) -> Option<Place> {
    let start = match target.parts.first()? {
        Part::Text(text) => match text.split_once("://") {
            Some((_, rest)) if rest.contains(['/', '?', '#']) => return None,
            Some((_, rest)) if !rest.is_empty() && !rest.ends_with('@') => return None,
            Some(_) => 1,
            None => return None,
        },
        _ => 0,
    };
    let part = target.parts.get(start)?;
    // What follows may be the literal end of a name, whose owner is known then.
    let unknown = Place {
        class: Class::Unknown,
        host: None,
        url: Some(RepositoryText::new(template)),
        service: None,
        local: false,
        name: ONLY_THE_RUN_KNOWS.to_owned(),
    };
    match part {
        Part::Remote(from) => {
            // A service says itself where its own secrets go next.
            // Only its interface does: what people keep there is theirs.
            let host = host_of(from).filter(|host| host.starts_with("api.") || host.starts_with("uploads."));
            let service = host.and_then(|host| services::of_host(&host));
            Some(Place { service, ..unknown })
        }
        Part::Unknown if zone(template).is_none() => Some(unknown),
        _ => None,
    }
}

/// The literal end of a host name that begins with something variable: whoever holds it sees every name below it.
fn zone(template: &str) -> Option<String> {
    let host = host_of(template)?;
    let (_, end) = host.rsplit_once('}')?;
    let zone = end.trim_start_matches(['.', '-']).to_ascii_lowercase();
    zone.contains('.').then_some(zone)
}

fn after_scheme(target: &Value) -> bool {
    // A secret first and an address behind it is no address: `${USER}:${PASS}@host` has no scheme.
    target.parts.get(1).is_some_and(|part| matches!(part, Part::Text(text) if text.starts_with("://")))
}

fn known_host(host: String, url: String) -> Place {
    let local = is_local(&host);
    let service = services::of_host(&host);
    let class = if is_address(&host) {
        Class::RawAddress
    } else if let Some(class) = services::class_of_host(&host) {
        class
    } else if service.is_some() {
        Class::Service
    } else if is_look_alike(&host) {
        Class::LookAlike
    } else {
        Class::Unknown
    };
    let service = if class == Class::Service { service } else { None };
    Place { class, name: host.clone(), host: Some(host), url: Some(RepositoryText::new(url)), service, local }
}

/// The host of an address: scheme, user and port taken off. `None` if there is nothing like a host.
fn host_of(template: &str) -> Option<String> {
    let text = template.trim().trim_matches(['"', '\'']);
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    // Two addresses of which one is chosen when it runs, read in a row: no host ends in the name of a scheme.
    let rest = match rest.split_once("://") {
        Some((first, _)) if !first.contains(['/', '?', '#', '@']) => {
            first.strip_suffix("https").or_else(|| first.strip_suffix("http")).unwrap_or(rest)
        }
        _ => rest,
    };
    let authority_end = end_outside_placeholders(rest, &['/', '?', '#', '\\']);
    let authority = rest.get(..authority_end)?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = if let Some(inner) = host.strip_prefix('[') {
        inner.split(']').next()?.to_owned()
    } else {
        let end = end_outside_placeholders(host, &[':']);
        host.get(..end)?.to_owned()
    };
    // A name may be written in any case, with a final dot, and with characters that browsers and curl map to others.
    let host = host.trim_end_matches('.');
    let keeps_case = host.contains("${");
    let host = if keeps_case { host.to_owned() } else { host.to_ascii_lowercase() };
    let host = if host.is_ascii() {
        host
    } else {
        url::Host::parse(&host).map(|host| host.to_string()).unwrap_or(host)
    };
    (!host.is_empty() && !host.contains(char::is_whitespace)).then_some(host)
}

fn end_outside_placeholders(text: &str, ends: &[char]) -> usize {
    let mut inside = 0;
    for (at, character) in text.char_indices() {
        match character {
            '{' => inside += 1,
            '}' if inside > 0 => inside -= 1,
            _ if inside == 0 && ends.contains(&character) => return at,
            _ => {}
        }
    }
    text.len()
}

/// An address in any form that clients take: dotted, a single number, hexadecimal or octal.
fn is_address(host: &str) -> bool {
    host.parse::<Ipv4Addr>().is_ok()
        || host.parse::<Ipv6Addr>().is_ok()
        || matches!(url::Host::parse(host), Ok(url::Host::Ipv4(_)))
}

fn is_local(host: &str) -> bool {
    if host == "localhost" || host.ends_with(".localhost") || host == "host.docker.internal" {
        return true;
    }
    let address = match url::Host::parse(host) {
        Ok(url::Host::Ipv4(address)) => address,
        _ => return host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
    };
    address.is_loopback() || address.is_unspecified() || address.is_link_local()
}

/// A known host, and what look-alikes are compared with.
struct Known {
    host: &'static str,
    domain: String,
    /// Whether names of few letters are compared, too: those of forges and registries, which are worth an imitation.
    short: bool,
}

static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    services::hosts()
        .map(|(host, service)| Known {
            host,
            domain: registrable(host),
            short: service.publishes || service.writes_code,
        })
        .collect()
});

/// A name made to be taken for a known one: one or two letters away from it, or with all of it as a prefix.
fn is_look_alike(host: &str) -> bool {
    let domain = registrable(host);
    KNOWN.iter().any(|known| {
        if domain == known.domain {
            return false;
        }
        let after = |at: usize| host.as_bytes().get(at + known.host.len()) == Some(&b'.');
        let prefix = known.host.contains('.')
            && host
                .match_indices(known.host)
                .any(|(at, _)| after(at) && (at == 0 || host.as_bytes().get(at - 1) == Some(&b'.')));
        prefix || (known.domain.len() >= 7 && domain.len() >= 7 && is_near(&domain, known))
    })
}

/// Distance of at most two between the names, or the same name under another suffix one letter away.
fn is_near(domain: &str, known: &Known) -> bool {
    let (label_a, suffix_a) = domain.split_once('.').unwrap_or((domain, ""));
    let (label_b, suffix_b) = known.domain.split_once('.').unwrap_or((&known.domain, ""));
    let most = if label_b.len() >= 8 { 2 } else { 1 };
    let comparable = suffix_a == suffix_b
        && label_a.len().abs_diff(label_b.len()) <= most
        && label_b.len() >= if known.short { 4 } else { 6 }
        && label_a.chars().next() == label_b.chars().next();
    comparable && (1..=most).contains(&edit_distance(label_a, label_b))
}

/// Edit distance with transpositions, of short names.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut cost =
                (at(&last, j + 1) + 1).min(at(&row, j) + 1).min(at(&last, j) + usize::from(x != y));
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

/// The part of a host that one owner registers: `a.b.co.uk` is `b.co.uk`.
pub fn registrable(host: &str) -> String {
    psl::domain_str(host).unwrap_or(host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::value::{Carried, Source, Trail};

    fn of(text: &str) -> Place {
        of_address(&Value::text(text))
    }

    #[test]
    fn hosts_are_read_out_of_addresses() {
        for (text, host, class) in [
            ("https://Collector.Example/x?y", "collector.example", Class::Unknown),
            ("collector.example:8080/x", "collector.example", Class::Unknown),
            ("https://user:pass@collector.example.", "collector.example", Class::Unknown),
            ("http://192.0.2.7:80/", "192.0.2.7", Class::RawAddress),
            ("http://3221225991/", "3221225991", Class::RawAddress),
            ("https://upload.pypi.org/legacy/", "upload.pypi.org", Class::Service),
            ("https://pypi.org@collector.example/", "collector.example", Class::Unknown),
            ("https://github.com.git-cache.example/", "github.com.git-cache.example", Class::LookAlike),
            ("https://x.webhook.site/1", "x.webhook.site", Class::RequestBin),
            ("drop@collector.example:in/", "collector.example", Class::Unknown),
        ] {
            let place = of(text);
            assert_eq!(place.host.as_deref(), Some(host), "{text}");
            assert_eq!(place.class, class, "{text}");
        }
    }

    #[test]
    fn a_secret_as_address_is_configured_and_one_before_the_zone_is_not() {
        let secret = || {
            Part::Carried(Carried {
                source: Source::Secret("HOOK".to_owned()),
                encodings: Vec::new(),
                trail: Trail::default(),
                dropped: false,
            })
        };
        assert_eq!(of_address(&Value::part(secret())).key(), "configured:HOOK");
        let mut value = Value::text("http://");
        value.push(secret());
        value.push_text(".collector.example/x");
        assert_eq!(of_address(&value).host.as_deref(), Some("collector.example"));
        let mut value = Value::text("https://");
        value.push(secret());
        value.push_text("/hook");
        assert_eq!(of_address(&value).class, Class::Configured);
    }

    #[test]
    fn near_names_are_look_alikes_and_own_subdomains_are_not() {
        assert_eq!(of("https://upload.pypl.org/").class, Class::LookAlike);
        assert_eq!(of("https://githud.com/").class, Class::LookAlike);
        assert_eq!(of("https://docs.github.com/").class, Class::Service);
        assert_eq!(of("https://pyre.org/").class, Class::Unknown);
    }
}
