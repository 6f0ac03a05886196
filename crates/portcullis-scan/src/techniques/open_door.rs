//! A job is set up so that outsiders get at what it holds.
//!
//! No step of it sends anything. A machine of the owner's own takes jobs that strangers start; a comment is a command and nobody asks
//! who wrote it; a program that acts by itself reads what strangers write, beside secrets; a job that publishes restores a cache that
//! other jobs may fill; a job with secrets runs what a fork's build left behind.
//!
//! ```yaml
//! on: issue_comment
//! jobs:
//!   deploy:
//!     if: startsWith(github.event.comment.body, '/deploy')
//! ```
//!
//! Asking who it was closes the first ones: `github.event.comment.author_association == 'MEMBER'`.

use std::collections::BTreeMap;

use crate::flow::trace::ObservationKind;
use crate::signal::Signal;
use crate::technique::{Evidence, Sighting, Technique};

/// See the module's documentation.
pub(super) struct OpenDoor;

impl Technique for OpenDoor {
    fn id(&self) -> &'static str {
        "open-door"
    }
    fn headline(&self) -> &'static str {
        "the job is set up so that outsiders get at what it holds"
    }
    fn remedy(&self) -> &'static str {
        "ask who started it before anything else runs, and keep caches, strangers' text and own machines away from secrets"
    }
    fn source(&self) -> &'static str {
        include_str!("open_door.rs")
    }

    fn look(&self, evidence: &Evidence<'_>) -> Vec<Sighting> {
        let mut found: BTreeMap<Signal, Vec<usize>> = BTreeMap::new();
        for (at, observation) in evidence.trace.observations.iter().enumerate() {
            let signal = match observation.kind {
                ObservationKind::OwnRunner => Signal::OwnRunner,
                ObservationKind::CommentCommand => Signal::UncheckedCommand,
                ObservationKind::AgentReads => Signal::AgentReads,
                ObservationKind::RestoresCache => Signal::RestoredCache,
                ObservationKind::RunsArtifact => Signal::UntrustedCode,
                _ => continue,
            };
            found.entry(signal).or_default().push(at);
        }
        if found.is_empty() {
            return Vec::new();
        }
        let signals = found.keys().copied().collect();
        let observations = found.into_values().flatten().collect();
        vec![Sighting { observations, signals, ..Sighting::default() }]
    }
}

#[cfg(test)]
mod tests {
    use crate::report::Verdict;
    use crate::testing::{check, silent};

    fn door(workflow: &str) {
        check("open-door", workflow, Verdict::Exposed, &[], &[]);
    }

    fn job(event: &str, job: &str, steps: &str) -> String {
        format!("on: {event}\njobs:\n  a:\n{job}    steps:\n{steps}")
    }

    const HOSTED: &str = "    runs-on: ubuntu-latest\n";
    const DEPLOY: &str = "      - run: make deploy\n        env: {T: '${{ secrets.DEPLOY_TOKEN }}'}\n";

    #[test]
    fn a_comment_is_a_command() {
        let commanded =
            "    runs-on: ubuntu-latest\n    if: startsWith(github.event.comment.body, '/deploy')\n";
        door(&job("issue_comment", commanded, DEPLOY));
        let checked = "    runs-on: ubuntu-latest\n    if: contains(github.event.comment.body, '/d') && github.event.comment.author_association == 'MEMBER'\n";
        silent(&job("issue_comment", checked, DEPLOY));
        silent(&job("issue_comment", commanded, "      - run: make\n"));
    }

    #[test]
    fn an_own_machine_on_public_triggers() {
        let own = "    runs-on: [self-hosted, linux]\n";
        door(&job("pull_request", own, "      - run: make\n"));
        silent(&job("push", own, "      - run: make\n"));
        silent(&job("pull_request", HOSTED, "      - run: make\n"));
        let same = "    runs-on: self-hosted\n    if: github.event.pull_request.head.repo.full_name == github.repository\n";
        silent(&job("pull_request", same, "      - run: make\n"));
    }

    #[test]
    fn an_agent_beside_secrets() {
        let agent = "      - uses: anthropics/claude-code-action@v1\n        with: {anthropic_api_key: '${{ secrets.ANTHROPIC_API_KEY }}'}\n";
        door(&job("issues", HOSTED, agent));
        silent(&job("push", HOSTED, agent));
    }

    #[test]
    fn a_cache_in_a_job_that_publishes() {
        let publish = "      - uses: pypa/gh-action-pypi-publish@release/v1\n";
        let cache = "      - uses: actions/setup-python@v5\n        with: {cache: pip}\n";
        door(&job("push", HOSTED, &format!("{cache}{publish}")));
        silent(&job("push", HOSTED, publish));
        silent(&job("push", HOSTED, cache));
        silent(&job("push", HOSTED, &format!("      - uses: actions/setup-python@v5\n{publish}")));
    }

    #[test]
    fn what_a_fork_built_is_run() {
        let download = "      - uses: actions/download-artifact@v4\n        with: {run-id: '${{ github.event.workflow_run.id }}'}\n";
        door(&job("workflow_run", HOSTED, &format!("{download}      - run: bash ./out/run.sh\n")));
        silent(&job("workflow_run", HOSTED, &format!("{download}      - run: cat out/number\n")));
        silent(&job("push", HOSTED, &format!("{download}      - run: bash ./out/run.sh\n")));
    }
}
