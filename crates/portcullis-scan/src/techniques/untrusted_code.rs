//! Code of a pull request runs where secrets are.
//!
//! `pull_request_target` and `workflow_run` run with the secrets of the repository, for changes that come from outside. Where
//! such a job checks out the change itself and then runs something of it (`npm install`, `make`, a script), whoever opened the
//! pull request runs code beside the secrets.
//!
//! ```yaml
//! on: pull_request_target
//! - uses: actions/checkout@v4
//!   with: { ref: "${{ github.event.pull_request.head.sha }}" }
//! - run: npm install
//! ```

use std::collections::BTreeSet;

use crate::flow::trace::ObservationKind;
use crate::signal::Signal;
use crate::technique::{Evidence, Sighting, Technique};

/// See the module's documentation.
pub(super) struct UntrustedCode;

impl Technique for UntrustedCode {
    fn id(&self) -> &'static str {
        "untrusted-code"
    }
    fn headline(&self) -> &'static str {
        "code of a pull request runs where secrets are"
    }
    fn remedy(&self) -> &'static str {
        "run the change under `pull_request`, without secrets, and act on its result in a second workflow"
    }
    fn source(&self) -> &'static str {
        include_str!("untrusted_code.rs")
    }

    fn look(&self, evidence: &Evidence<'_>) -> Vec<Sighting> {
        let with_secrets = evidence.workflow.triggers.iter().any(|trigger| {
            matches!(trigger.event.as_str(), "pull_request_target" | "workflow_run" | "issue_comment")
        });
        if !with_secrets {
            return Vec::new();
        }
        let observations = || evidence.trace.observations.iter().enumerate();
        let jobs: BTreeSet<usize> = observations()
            .filter(|(_, observation)| observation.kind == ObservationKind::UntrustedCheckout)
            .map(|(_, observation)| observation.job)
            .collect();
        // After the checkout, in the same job, something of the tree runs: known runners of it, or work of any kind.
        let runs = |job: &usize| evidence.trace.other_work.get(*job).is_some_and(|count| *count > 0);
        let found: Vec<usize> = observations()
            .filter(|(_, observation)| {
                matches!(observation.kind, ObservationKind::UntrustedCheckout | ObservationKind::RunsTree)
                    && jobs.contains(&observation.job)
            })
            .filter(|(_, observation)| runs(&observation.job))
            .map(|(at, _)| at)
            .collect();
        if found.is_empty() {
            return Vec::new();
        }
        vec![Sighting { observations: found, signals: [Signal::UntrustedCode].into(), ..Sighting::default() }]
    }
}

#[cfg(test)]
mod tests {
    use crate::report::Verdict;
    use crate::testing::{check, silent};

    fn workflow(event: &str, reference: &str) -> String {
        format!(
            "on: {event}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n        with: {{ref: '{reference}'}}\n      - run: npm install\n"
        )
    }

    #[test]
    fn the_change_itself_under_pull_request_target() {
        let text = workflow("pull_request_target", "${{ github.event.pull_request.head.sha }}");
        check("untrusted-code", &text, Verdict::Exposed, &[], &[]);
    }

    #[test]
    fn the_base_or_without_secrets() {
        silent(&workflow("pull_request_target", "main"));
        silent(&workflow("pull_request", "${{ github.event.pull_request.head.sha }}"));
    }
}
