//! Words for people: names of services and places, lists that stay short, lines that break.

use portcullis_scan::report::{Class, Destination};
use portcullis_scan::text::{Lines, escape};

/// Columns that a line may fill, in a terminal as in a log.
pub(super) const WIDTH: usize = 80;
/// Where the text after `exposed:` and its like begins.
pub(super) const HANGING: usize = 12;

/// A text that is at most so many characters long.
pub(super) fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Breaks a text into lines between words; what has no space stays whole, so that it can be copied.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// `a`, `a and b`, `a, b and c`, `a, b and 7 more`: at most `most` by name.
pub(super) fn list(names: &[String], most: usize) -> String {
    // A number in the place of one name saves nothing.
    let most = if names.len() == most.saturating_add(1) { names.len() } else { most.max(1) };
    let (shown, rest) = names.split_at_checked(most).unwrap_or((names, &[]));
    match (shown, rest.len()) {
        ([], _) => String::new(),
        ([one], 0) => one.clone(),
        ([head @ .., last], 0) => format!("{} and {last}", head.join(", ")),
        (shown, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `1 commit`, `2 commits`.
pub(super) fn count(number: usize, one: &str) -> String {
    match (number, one.strip_suffix('y')) {
        (1, _) => format!("1 {one}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {one}s"),
    }
}

/// The name that people know a service by.
pub(super) fn service(id: &str) -> &str {
    match id {
        "pypi" => "PyPI",
        "testpypi" => "TestPyPI",
        "crates" => "crates.io",
        "rubygems" => "RubyGems",
        "nuget" => "NuGet",
        "maven" => "Maven Central",
        "docker-hub" => "Docker Hub",
        "ghcr" => "GitHub's container registry",
        "quay" => "Quay",
        "github" => "GitHub",
        "github-app" => "a GitHub app",
        "gitlab" => "GitLab",
        "aws" => "AWS",
        "gcp" => "Google Cloud",
        "azure" => "Azure",
        "cloudflare" => "Cloudflare",
        "vercel" => "Vercel",
        "netlify" => "Netlify",
        "slack" => "Slack",
        "discord" => "Discord",
        "telegram" => "Telegram",
        "codecov" => "Codecov",
        "sentry" => "Sentry",
        "ssh" => "machines, by SSH",
        "gpg" => "a signing key",
        "database" => "a database",
        other => other,
    }
}

/// A place as a person would call it.
pub(super) fn place(destination: &Destination) -> String {
    let name = destination.name.as_ref().map(|name| clip(&name.for_terminal(), 48));
    let host = destination.host.as_ref().map(|host| clip(&host.for_terminal(), 60));
    match (destination.class, host, name) {
        (Class::Repository, _, Some(name)) => format!("`{}`", name.trim_start_matches("github.com/")),
        (Class::Repository, Some(host), None) => {
            // `https://user:password@host/owner/name.git`: who owns it matters, who logs in doesn't.
            let url = destination.url.as_ref().map(|url| clip(&url.for_terminal(), 200)).unwrap_or_default();
            let path = url.split_once(&host).map_or("", |(_, path)| path);
            format!("{host}{}", clip(path.split(['?', '#', ' ']).next().unwrap_or_default(), 60))
        }
        (Class::Configured, None, Some(name)) => format!("the address in `{name}`"),
        (_, Some(host), _) => host,
        (Class::Log, ..) => "the job's log".to_owned(),
        (Class::Service, None, Some(name)) => service(&name).to_owned(),
        (Class::Artifact, None, Some(name)) => format!("the artifact or cache `{name}`"),
        (Class::Disk, None, Some(name)) => format!("`{name}`"),
        (Class::Unknown, None, _) => "an address that only the run knows".to_owned(),
        (class, None, Some(name)) => format!("{} `{name}`", class.name()),
        (class, None, None) => class.name().to_owned(),
    }
}

/// The same from the key of a place, `CLASS:NAME` or a host.
pub(super) fn place_of_key(key: &str) -> String {
    let key = escape(key, Lines::One);
    match key.split_once(':') {
        Some(("repository", name)) => name.trim_start_matches("github.com/").to_owned(),
        Some(("service", name)) => service(name).to_owned(),
        Some(("configured", name)) => format!("the address in `{name}`"),
        Some(("artifact" | "disk", name)) => format!("`{name}`"),
        None if key == "workflow-log" => "the job's log".to_owned(),
        _ => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_stay_short() {
        let names: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        assert_eq!(list(&names, 9), "a, b, c and d");
        assert_eq!(list(&names, 3), "a, b, c and d");
        assert_eq!(list(&names, 2), "a, b and 2 more");
        assert_eq!(list(&names, 1), "a and 3 more");
        assert_eq!((list(names.get(..1).unwrap(), 3), list(&[], 3)), ("a".to_owned(), String::new()));
    }

    #[test]
    fn lines_break_between_words_only() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("https://collector.example/in x", 8), ["https://collector.example/in", "x"]);
    }

    #[test]
    fn numbers_and_their_nouns() {
        assert_eq!(
            (count(1, "repository"), count(2, "repository"), count(0, "commit")),
            ("1 repository".to_owned(), "2 repositories".to_owned(), "0 commits".to_owned())
        );
    }
}
