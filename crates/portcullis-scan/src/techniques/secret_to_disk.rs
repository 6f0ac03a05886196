//! Secrets are left on the disk of a self-hosted runner.
//!
//! A machine of GitHub's is thrown away after the job; one of the owner's own stays, and with it whatever a job wrote and
//! didn't remove. The next job on it, or whoever has an account there, finds it.
//!
//! ```yaml
//! runs-on: self-hosted
//! steps:
//!   - run: printf 'A=%s\nB=%s\n' "${{ secrets.A }}" "${{ secrets.B }}" > /var/tmp/out
//! ```

use crate::flow::trace::Channel;
use crate::signal::Signal;
use crate::technique::{
    Evidence, Sighting, Technique, named_secrets, several_purposes, unrelated_to_each_other,
};

/// See the module's documentation.
pub(super) struct SecretToDisk;

impl Technique for SecretToDisk {
    fn id(&self) -> &'static str {
        "secret-to-disk"
    }
    fn headline(&self) -> &'static str {
        "{secrets} left on the disk of a self-hosted runner ({places})"
    }
    fn remedy(&self) -> &'static str {
        "remove the file in the same step, or hand the value over without one"
    }
    fn source(&self) -> &'static str {
        include_str!("secret_to_disk.rs")
    }

    fn look(&self, evidence: &Evidence<'_>) -> Vec<Sighting> {
        evidence
            .grouped(|delivery, _| delivery.channel == Channel::Disk)
            .into_iter()
            .map(|group| {
                let mut signals = evidence.cargo_signals(&group);
                let names = named_secrets(&evidence.carried(&group));
                if unrelated_to_each_other(&names)
                    || several_purposes(&names) && signals.contains(&Signal::Encoded)
                {
                    signals.insert(Signal::UnrelatedSecrets);
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

    fn job(runs_on: &str, run: &str) -> String {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: {runs_on}\n    steps:\n      - run: |\n          {run}\n"
        )
    }

    #[test]
    fn a_collection_in_a_file() {
        let run =
            "echo \"NPM_TOKEN=${{ secrets.NPM_TOKEN }} PYPI_TOKEN=${{ secrets.PYPI_TOKEN }}\" > /var/tmp/out";
        check(
            "secret-to-disk",
            &job("[self-hosted, linux]", run),
            Verdict::Malicious,
            &["NPM_TOKEN", "PYPI_TOKEN"],
            &["disk:/var/tmp/out"],
        );
    }

    #[test]
    fn one_key_is_exposed_and_a_removed_one_is_not() {
        let run = "echo \"${{ secrets.KEY }}\" > key; make";
        check("secret-to-disk", &job("self-hosted", run), Verdict::Exposed, &["KEY"], &["disk:key"]);
        silent(&job("self-hosted", "echo \"${{ secrets.KEY }}\" > key; make; rm -f key"));
        silent(&job("ubuntu-latest", run));
    }
}
