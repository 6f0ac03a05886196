//! A workflow that gives somebody a way back in: it registers a runner, or writes another workflow.
//!
//! With a token that may do so, a workflow can register a machine of the thief's as a self-hosted runner (as Shai-Hulud
//! did), or commit further workflows. Neither carries a secret away by itself; both outlive the clean-up of what brought them.
//!
//! ```yaml
//! - run: gh api -X POST repos/$GITHUB_REPOSITORY/actions/runners/registration-token
//! ```

use crate::flow::trace::ObservationKind;
use crate::signal::Signal;
use crate::technique::{Evidence, Sighting, Technique};

/// See the module's documentation.
pub(super) struct Backdoor;

impl Technique for Backdoor {
    fn id(&self) -> &'static str {
        "backdoor"
    }
    fn headline(&self) -> &'static str {
        "the workflow makes itself a way back in"
    }
    fn remedy(&self) -> &'static str {
        "look for runners and workflows that nobody knows, take them out, and invalidate the token it used"
    }
    fn source(&self) -> &'static str {
        include_str!("backdoor.rs")
    }

    fn look(&self, evidence: &Evidence<'_>) -> Vec<Sighting> {
        let mut found = Vec::new();
        for (at, observation) in evidence.trace.observations.iter().enumerate() {
            let signal = match observation.kind {
                ObservationKind::RegistersRunner => Signal::RegistersRunner,
                ObservationKind::WritesWorkflow => Signal::WritesWorkflow,
                _ => continue,
            };
            let mut signals = std::collections::BTreeSet::from([signal]);
            if evidence.trace.other_work.get(observation.job).is_some_and(|count| *count <= 1) {
                signals.insert(Signal::SinglePurpose);
            }
            found.push(Sighting { observations: vec![at], signals, ..Sighting::default() });
        }
        found.truncate(1);
        found
    }
}

#[cfg(test)]
mod tests {
    use crate::report::Verdict;
    use crate::testing::{check, silent};

    #[test]
    fn a_runner_is_registered() {
        check(
            "backdoor",
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: gh api -X POST repos/me/it/actions/runners/registration-token\n        env: {GH_TOKEN: '${{ secrets.PAT }}'}\n",
            Verdict::Suspicious,
            &[],
            &[],
        );
    }

    #[test]
    fn other_calls_are_none() {
        silent(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: gh api repos/me/it/actions/runs\n        env: {GH_TOKEN: '${{ github.token }}'}\n",
        );
    }
}
