//! Secrets are kept as a build artifact or in a cache, from where they can be fetched.
//!
//! Nothing is sent anywhere: a step writes the secrets to a file, and another keeps the file. Who can read the
//! repository can download artifacts; who can open a pull request can restore caches.
//!
//! ```yaml
//! - run: echo "${{ toJSON(secrets) }}" > out.txt
//! - uses: actions/upload-artifact@v4
//!   with: { path: out.txt }
//! ```

use crate::flow::trace::Channel;
use crate::signal::Signal;
use crate::technique::{
    Evidence, Sighting, Technique, named_secrets, only_settings, unrelated_to_each_other,
};

/// See the module's documentation.
pub(super) struct SecretToArtifact;

impl Technique for SecretToArtifact {
    fn id(&self) -> &'static str {
        "secret-to-artifact"
    }
    fn headline(&self) -> &'static str {
        "{secrets} kept in {places}"
    }
    fn remedy(&self) -> &'static str {
        "delete the artifacts and caches of its runs, invalidate every secret listed, and take the workflow out"
    }
    fn source(&self) -> &'static str {
        include_str!("secret_to_artifact.rs")
    }

    fn look(&self, evidence: &Evidence<'_>) -> Vec<Sighting> {
        let groups =
            evidence.grouped(|delivery, _| matches!(delivery.channel, Channel::Artifact | Channel::Cache));
        groups
            .into_iter()
            .filter(|group| evidence.carries_secrets(group))
            .map(|group| {
                let mut signals = evidence.cargo_signals(&group);
                signals.insert(Signal::Downloadable);
                let names = named_secrets(&evidence.carried(&group));
                if unrelated_to_each_other(&names) {
                    signals.insert(Signal::UnrelatedSecrets);
                }
                if only_settings(&names) {
                    signals.insert(Signal::SettingsOnly);
                }
                Sighting { deliveries: group, signals, ..Sighting::default() }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::report::Verdict;
    use crate::testing::{check, silent};

    #[test]
    fn all_secrets_in_an_artifact() {
        check(
            "secret-to-artifact",
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo '${{ toJSON(secrets) }}' > out/all.json\n      - uses: actions/upload-artifact@v4\n        with: {name: x, path: out}\n",
            Verdict::Malicious,
            &["*"],
            &["artifact:x"],
        );
    }

    #[test]
    fn an_artifact_of_other_files() {
        silent(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo '${{ secrets.KEY }}' > /tmp/key\n      - uses: actions/upload-artifact@v4\n        with: {name: x, path: dist}\n",
        );
    }
}
