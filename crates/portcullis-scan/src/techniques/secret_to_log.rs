//! Secrets are printed to the job's log in a form that the mask does not cover.
//!
//! The runner replaces secrets in the log by `***`: plain, singly base64-encoded and escaped. Whoever wants to read
//! them changes them first: twice through base64, reversed, with a space after each character, in hexadecimal. The log
//! of a public repository can be read by everybody.
//!
//! ```yaml
//! - run: echo "${{ secrets.DEPLOY_KEY }}" | sed 's/./& /g'
//! ```
//!
//! Printing a secret as it is, is a mistake without a consequence as long as the mask holds: `suspicious`.

use crate::flow::trace::Channel;
use crate::flow::value::{Carried, Source};
use crate::signal::Signal;
use crate::technique::{Evidence, Sighting, Technique, named_secrets, only_settings, readable_in_log};

/// See the module's documentation.
pub(super) struct SecretToLog;

impl Technique for SecretToLog {
    fn id(&self) -> &'static str {
        "secret-to-log"
    }
    fn headline(&self) -> &'static str {
        "{secrets} printed to the workflow's log"
    }
    fn remedy(&self) -> &'static str {
        "delete the logs of its runs, invalidate every secret listed, and take the workflow out"
    }
    fn source(&self) -> &'static str {
        include_str!("secret_to_log.rs")
    }

    fn look(&self, evidence: &Evidence<'_>) -> Vec<Sighting> {
        let readable = evidence.grouped(|delivery, _| {
            delivery.channel == Channel::Log && delivery.carried.iter().any(readable_leak)
        });
        let mut found: Vec<Sighting> = readable
            .into_iter()
            .map(|group| {
                let mut signals = evidence.cargo_signals(&group);
                signals.insert(Signal::ReadableLog);
                Sighting { deliveries: group, signals, ..Sighting::default() }
            })
            .collect();
        let masked = evidence.grouped(|delivery, _| {
            delivery.channel == Channel::Log
                && delivery.carried.iter().any(|carried| leaks(&carried.source))
                && !delivery.carried.iter().any(readable_leak)
        });
        for group in masked {
            let mut signals = evidence.cargo_signals(&group);
            let dump_only =
                evidence.carried(&group).iter().any(|carried| carried.source == Source::Environment);
            if dump_only {
                // `env` for debugging prints masked values.
                continue;
            }
            signals.insert(Signal::MaskedLog);
            if only_settings(&named_secrets(&evidence.carried(&group))) {
                signals.insert(Signal::SettingsOnly);
            }
            found.push(Sighting { deliveries: group, signals, ..Sighting::default() });
        }
        found
    }
}

/// The job's token dies with the job, and yet nobody reverses it for a reason of his own.
fn readable_leak(carried: &Carried) -> bool {
    !matches!(carried.source, Source::Environment) && readable_in_log(carried)
}

/// The job's token dies with the job; an environment without secrets in it shows none.
fn leaks(source: &Source) -> bool {
    !matches!(source, Source::JobToken | Source::Environment | Source::CheckoutCredentials)
}

#[cfg(test)]
mod tests {
    use crate::report::Verdict;
    use crate::testing::{check, silent};

    fn step(run: &str) -> String {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          {run}\n"
        )
    }

    #[test]
    fn forms_that_the_mask_does_not_know() {
        for run in [
            "echo ${{ secrets.KEY }} | base64 -w0 | base64 -w0",
            "echo ${{ secrets.KEY }} | base64",
            "echo ${{ secrets.KEY }} | rev",
            "echo ${{ secrets.KEY }} | sed 's/./& /g'",
            "echo -n ${{ secrets.KEY }} | xxd -p",
        ] {
            check("secret-to-log", &step(run), Verdict::Malicious, &["KEY"], &["workflow-log"]);
        }
    }

    #[test]
    fn a_masked_form_is_an_attempt() {
        check(
            "secret-to-log",
            &step("echo ${{ secrets.KEY }}"),
            Verdict::Suspicious,
            &["KEY"],
            &["workflow-log"],
        );
    }

    #[test]
    fn output_that_goes_elsewhere_is_no_log() {
        for run in [
            "echo ${{ secrets.KEY }} > key.txt",
            "echo ${{ secrets.KEY }} | docker login -u x --password-stdin",
            "echo ${{ secrets.KEY }} | wc -c",
            "echo \"::add-mask::${{ secrets.KEY }}\"",
            "test -n \"${{ secrets.KEY }}\" && echo yes",
        ] {
            silent(&step(run));
        }
    }
}
