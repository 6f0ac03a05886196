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
    Evidence, Sighting, Technique, named_secrets, only_settings, several_purposes, unrelated_to_each_other,
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
                // A build keeps its settings beside what it built, and a careless path takes them along.
                let build = evidence.only_settings_files(&group) && !signals.contains(&Signal::SinglePurpose);
                if build {
                    signals.remove(&Signal::LabelledSecrets);
                } else if unrelated_to_each_other(&names)
                    || several_purposes(&names) && is_locked_by_the_file(evidence, &group)
                {
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

/// Whether secrets lie in an archive whose password stands in the workflow: it keeps those out who don't know what is in there, and
/// not those who wrote it.
fn is_locked_by_the_file(evidence: &Evidence<'_>, group: &[usize]) -> bool {
    evidence
        .carried(group)
        .iter()
        .any(|one| one.trail.hops().iter().any(|hop| hop.what.unescaped() == crate::flow::command::LOCKED))
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

    fn built(write: &str, more: &str) -> String {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n{more}      - run: |\n          echo 'STRIPE_KEY=${{{{ secrets.STRIPE_KEY }}}}' > {write}\n          echo 'NPM_TOKEN=${{{{ secrets.NPM_TOKEN }}}}' >> {write}\n      - uses: actions/upload-artifact@v4\n        with: {{name: app, path: .}}\n"
        )
    }

    /// Near miss: settings that an application is built with lie beside what was built, and the artifact takes all of it.
    #[test]
    fn settings_beside_a_build_are_for_a_person_to_look_at() {
        let work = "      - uses: actions/checkout@v4\n      - run: npm run build\n";
        let (names, places) = (&["NPM_TOKEN", "STRIPE_KEY"], &["artifact:app"]);
        check("secret-to-artifact", &built(".env", work), Verdict::Suspicious, names, places);
        // Evasion: no build at all, or a file that nothing reads as settings.
        check("secret-to-artifact", &built(".env", ""), Verdict::Malicious, names, places);
        check("secret-to-artifact", &built("out.txt", work), Verdict::Malicious, names, places);
    }

    /// Near miss: what a bundler writes into pages that everybody loads is no secret, wherever its owner keeps it.
    #[test]
    fn what_is_published_anyway_is_a_setting() {
        check(
            "secret-to-artifact",
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: npm run build\n      - run: echo '${{ secrets.VITE_MAPS_KEY }}' > dist/k.js\n      - uses: actions/upload-artifact@v4\n        with: {name: app, path: dist}\n",
            Verdict::Exposed,
            &["VITE_MAPS_KEY"],
            &["artifact:app"],
        );
    }
}
