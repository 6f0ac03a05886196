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
//! Printing a secret as it is, is a mistake without a consequence as long as the mask holds: `exposed` in a job that does other work,
//! `suspicious` where it is all that the job does, where there are many, or where one is encoded.

use crate::flow::trace::Channel;
use crate::flow::value::{Carried, Encoding, HopKind, Source};
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
                if only_settings(&named_secrets(&evidence.carried(&group))) {
                    signals.insert(Signal::SettingsOnly);
                }
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
            // A program that says the beginning of something, or a field of it, has not made it readable elsewhere.
            let is_piece = |encoding: &Encoding| {
                matches!(encoding, Encoding::Partial | Encoding::Escaped | Encoding::Field)
            };
            if evidence.carried(&group).iter().all(|one| one.encodings.iter().all(is_piece)) {
                signals.remove(&Signal::Encoded);
            }
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
    !matches!(carried.source, Source::Environment)
        && readable_in_log(carried)
        && !is_part_of_a_program(carried)
}

/// A program of the repository that has the job's token among its options cuts and joins many things before it prints some of them,
/// and which of them can't be told apart. That token dies with the job, so that is not enough for an accusation; who means to read
/// it encodes it, or writes so into the workflow, and both still count.
fn is_part_of_a_program(carried: &Carried) -> bool {
    let weak = |encoding: &Encoding| {
        matches!(
            encoding,
            Encoding::Split
                | Encoding::Spaced
                | Encoding::Substituted
                | Encoding::Escaped
                | Encoding::Partial
                | Encoding::Field
        )
    };
    carried.source == Source::JobToken
        && carried.encodings.iter().all(weak)
        && carried.trail.hops().iter().any(|hop| hop.kind == HopKind::Encode && hop.file != 0)
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

    struct Program(&'static str);

    impl crate::flow::LocalFiles for Program {
        fn read(&self, _path: &str) -> crate::flow::LocalFile {
            crate::flow::LocalFile::Text(self.0.into())
        }
    }

    /// Near miss: a program that cuts what it prints and has the job's token among its options.
    #[test]
    fn a_program_that_has_the_jobs_token() {
        let log = |secret: &str, program: &'static str| {
            let text = format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: node tell.js\n        env: {{T: '${{{{ {secret} }}}}'}}\n"
            );
            let path = ".github/workflows/a.yml";
            let analysis = crate::analysis::analyse(path, text.as_bytes(), &Program(program), None);
            let of_log = analysis.seen.iter().filter(|seen| seen.rule == "secret-to-log");
            of_log.map(|seen| crate::verdict::weigh(seen.rule, &seen.signals)).max()
        };
        let cut = "const t = process.env.T;\nconsole.log(t.split('').join(' '));\n";
        assert_eq!(log("github.token", cut), None);
        // Evasion: another secret, or a form that is for reading it.
        assert_eq!(log("secrets.KEY", cut), Some(Verdict::Malicious));
        let encoded = "console.log(Buffer.from(process.env.T).toString('hex'));\n";
        assert_eq!(log("github.token", encoded), Some(Verdict::Malicious));
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

    /// Near miss: said by the way, in a job that does other work.
    #[test]
    fn a_masked_form_beside_other_work_is_a_mistake() {
        let beside = |run: &str| {
            format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - run: {run}\n"
            )
        };
        let said = beside("'echo \"linked to ${{ secrets.KEY }}\"'");
        check("secret-to-log", &said, Verdict::Exposed, &["KEY"], &["workflow-log"]);
        // Evasion: many, another form, or all there are.
        let many = beside("echo ${{ secrets.KEY }} ${{ secrets.OTHER }} ${{ secrets.THIRD }}");
        check("secret-to-log", &many, Verdict::Suspicious, &["KEY", "OTHER", "THIRD"], &["workflow-log"]);
        let encoded = beside("echo -n ${{ secrets.KEY }} | base64 -w0");
        check("secret-to-log", &encoded, Verdict::Suspicious, &["KEY"], &["workflow-log"]);
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
