//! Which jobs used an action in a time: real repositories, with what came before, during and after it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod repository;

use portcullis_scan::Report;
use portcullis_scan::reach::permissions::Level;
use portcullis_scan::reach::{Question, reach_each};
use portcullis_scan::report::{Certainty, Finding, Standing};
use repository::Repository;

const FLOW: &str = ".github/workflows/ci.yml";
const HOUR: i64 = 3_600;
const START: i64 = 1_756_800_000;

fn asked(repository: &Repository, action: &str, between: Option<(i64, i64)>) -> Report {
    asked_of(&[repository], action, between)
}

fn asked_of(repositories: &[&Repository], action: &str, between: Option<(i64, i64)>) -> Report {
    let question = Question {
        paths: repositories.iter().map(|repository| repository.path().to_owned()).collect(),
        action: action.parse().unwrap(),
        between,
        jobs: 1,
    };
    let mut parts = Vec::new();
    let totals = reach_each(&question, &mut |part| parts.push(part));
    Report::new(parts, totals)
}

fn found(repository: &Repository, action: &str, between: Option<(i64, i64)>) -> Vec<Finding> {
    let report = asked(repository, action, between);
    assert!(report.document.complete, "{:?}", report.document.problems);
    report.document.findings
}

fn using(reference: &str) -> String {
    format!(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: {reference}\n        with: {{k: '${{{{ secrets.KEY }}}}'}}\n"
    )
}

fn secrets(finding: &Finding) -> Vec<(&str, Certainty)> {
    finding.secrets.iter().map(|secret| (secret.name.unescaped(), secret.certainty)).collect()
}

#[test]
fn only_what_stood_in_the_time_counts() {
    let repository = Repository::new();
    repository.write("README", "x");
    repository.commit("Begin"); // hour 1
    repository.write(FLOW, &using("Owner/Act@v1"));
    repository.commit("Use it"); // hour 2
    repository.remove(FLOW);
    repository.commit("Take it out"); // hour 3
    repository.write(FLOW, &using("owner/act@v2"));
    repository.commit("Use it again"); // hour 4
    let at = |from: i64, until: i64| Some((START + from * HOUR + 60, START + until * HOUR + 60));
    for (from, until, expected) in [(0, 1, 0), (1, 2, 1), (2, 2, 1), (3, 3, 0), (3, 4, 1), (9, 10, 1)] {
        assert_eq!(found(&repository, "owner/act", at(from, until)).len(), expected, "{from} to {until}");
    }
    assert_eq!(found(&repository, "owner/act@v1", at(9, 10)).len(), 0);
    assert_eq!(found(&repository, "owner/act@v1", None).len(), 1);
    let finding = &found(&repository, "owner/act", at(9, 10))[0];
    assert_eq!(finding.standing, Standing::CouldRun);
    assert_eq!(secrets(finding), [("KEY", Certainty::Certain)]);
    let job = finding.job.as_ref().unwrap();
    assert_eq!((job.id.unescaped(), job.references[0].uses.unescaped()), ("a", "owner/act@v2"));
    assert_eq!(job.references[0].span.start.line, 6);
}

#[test]
fn a_branch_that_never_took_it_out_still_has_it() {
    let repository = Repository::new();
    repository.write(FLOW, &using("owner/act@v1"));
    repository.commit("Use it");
    repository.git(&["branch", "dev"]);
    repository.remove(FLOW);
    repository.commit("Take it out");
    let findings = found(&repository, "owner/act", Some((START + 50 * HOUR, START + 60 * HOUR)));
    assert_eq!(findings.len(), 1);
    let standing: Vec<&str> = findings[0].exposures[0]
        .refs
        .iter()
        .filter(|span| span.removed.is_none())
        .map(|span| span.name.unescaped())
        .collect();
    assert_eq!(standing, ["refs/heads/dev"]);
}

#[test]
fn a_pull_request_is_foreign() {
    let repository = Repository::new();
    repository.write("README", "x");
    repository.commit("Begin");
    repository.git(&["checkout", "-q", "-b", "theirs"]);
    repository.write(FLOW, &using("owner/act@v1"));
    repository.commit("Use it");
    repository.git(&["update-ref", "refs/pull/1/head", "HEAD"]);
    repository.git(&["checkout", "-q", "main"]);
    repository.git(&["branch", "-q", "-D", "theirs"]);
    std::fs::remove_dir_all(repository.path().join(".git/logs")).unwrap();
    let findings = found(&repository, "owner/act", None);
    assert_eq!(findings[0].standing, Standing::Foreign);
}

#[test]
fn a_full_commit_id_is_reached_only_by_its_name() {
    let id = "0123456789abcdef0123456789abcdef01234567";
    let repository = Repository::new();
    repository.write(FLOW, &using(&format!("owner/act@{id}")));
    repository.commit("Pin it");
    assert_eq!(found(&repository, "owner/act", None).len(), 0);
    assert_eq!(found(&repository, &format!("owner/act@{id}"), None).len(), 1);
}

#[test]
fn through_actions_and_workflows_of_the_same_commit() {
    let repository = Repository::new();
    repository.write(
        "tools/setup/action.yml",
        "runs:\n  using: composite\n  steps:\n    - uses: owner/act/sub@main\n",
    );
    repository.write(
        ".github/workflows/called.yml",
        "on: {workflow_call: {secrets: {INNER: {}}}}\njobs:\n  inner:\n    runs-on: x\n    permissions: {contents: write, id-token: write}\n    steps:\n      - uses: ./tools/setup\n      - run: make\n        env: {T: '${{ secrets.INNER }}', U: '${{ secrets.NOT_HANDED }}'}\n",
    );
    repository.write(
        FLOW,
        "on: push\npermissions: {contents: read, id-token: write}\njobs:\n  call:\n    uses: ./.github/workflows/called.yml\n    secrets: {INNER: '${{ secrets.OUTER }}'}\n",
    );
    repository.commit("Use it");
    repository.write("tools/setup/action.yml", "runs:\n  using: composite\n  steps:\n    - run: true\n");
    repository.commit("No longer");
    assert_eq!(found(&repository, "owner/act", Some((START + 9 * HOUR, START + 10 * HOUR))).len(), 0);
    let findings = found(&repository, "owner/act", Some((START, START + 90 * 60)));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let job = findings[0].job.as_ref().unwrap();
    assert_eq!(job.id.unescaped(), "call / inner");
    assert_eq!(job.references[0].path.unescaped(), "tools/setup/action.yml");
    assert_eq!(secrets(&findings[0]), [("OUTER", Certainty::Possible)]);
    assert!(job.id_token);
    assert_eq!(job.token.permissions.level("contents"), Level::Read);
}

#[test]
fn everything_that_a_job_holds_is_listed() {
    let repository = Repository::new();
    repository.write("pyproject.toml", "[project]\nname = \"widgets\"\n");
    repository.write(
        FLOW,
        "on: push
env: {W: '${{ secrets.OF_WORKFLOW }}'}
jobs:
  a:
    runs-on: ubuntu-latest
    environment: {name: release}
    env: {J: '${{ secrets.OF_JOB }}'}
    permissions: write-all
    steps:
      - uses: actions/checkout@v4
      - run: echo \"X=${{ secrets.BY_FILE }}\" >> \"$GITHUB_ENV\"
      - uses: owner/act@v1
        with: {k: \"${{ secrets['OF_INPUT'] }}\"}
        env: {S: '${{ secrets.OF_STEP }}'}
      - uses: pypa/gh-action-pypi-publish@release/v1
        with: {password: '${{ secrets.LATER }}'}
  other:
    runs-on: ubuntu-latest
    steps: [{run: 'echo ${{ secrets.ELSEWHERE }}'}]
  whole:
    uses: owner/act/.github/workflows/x.yml@v1
    secrets: inherit
",
    );
    repository.commit("Use it");
    let findings = found(&repository, "owner/act", None);
    assert_eq!(findings.len(), 2);
    let of = |id: &str| {
        findings.iter().find(|finding| finding.job.as_ref().unwrap().id.unescaped() == id).unwrap()
    };
    let first = of("a");
    assert_eq!(
        secrets(first),
        [
            ("BY_FILE", Certainty::Certain),
            ("LATER", Certainty::Possible),
            ("OF_INPUT", Certainty::Certain),
            ("OF_JOB", Certainty::Certain),
            ("OF_STEP", Certainty::Certain),
            ("OF_WORKFLOW", Certainty::Certain),
        ]
    );
    let later = &first.secrets[1];
    assert_eq!(later.kind, "pypi");
    assert_eq!(later.used_for[0].package.as_ref().map(|name| name.unescaped()), Some("widgets"));
    let job = first.job.as_ref().unwrap();
    assert_eq!(job.environment.as_ref().map(|name| name.unescaped()), Some("release"));
    assert!(job.token.persisted && job.id_token && !first.all_secrets);
    let whole = of("whole");
    assert!(whole.all_secrets);
    assert!(secrets(whole).contains(&("ELSEWHERE", Certainty::Possible)));
    assert!(!whole.job.as_ref().unwrap().id_token);
}

#[test]
fn what_can_t_be_read_is_not_called_clean() {
    let repository = Repository::new();
    repository.write(FLOW, "on: push\njobs: [\n  - uses: owner/act@v1\n");
    repository.commit("Break it");
    let report = asked(&repository, "owner/act", None);
    assert!(!report.document.complete);
    assert_eq!(report.document.problems.len(), 1);
}

/// A workflow on a tag runs when the tag is pushed: that it is still there says nothing.
#[test]
fn an_old_tag_counts_when_it_was_made() {
    let repository = Repository::new();
    repository.write("README", "x");
    repository.commit("Begin"); // hour 1
    repository.write(FLOW, &using("owner/act@v1"));
    repository.commit("Use it"); // hour 2
    repository.git(&["tag", "light"]);
    repository.remove(FLOW);
    repository.commit("Take it out"); // hour 3
    let at = |from: i64, until: i64| Some((START + from * HOUR - 60, START + until * HOUR + 60));
    assert_eq!(found(&repository, "owner/act", at(2, 2)).len(), 1);
    assert_eq!(found(&repository, "owner/act", at(5, 9)).len(), 0, "the tag merely exists");
    // A tag that was put on the old commit later.
    repository.set_clock(START + 7 * HOUR);
    repository.git(&["tag", "-a", "-m", "late", "late", "light"]);
    assert_eq!(found(&repository, "owner/act", at(5, 9)).len(), 1);
    assert_eq!(found(&repository, "owner/act", at(8, 9)).len(), 0);
    // Of a release that no branch goes on from, only the tag is left.
    let other = Repository::new();
    other.write("README", "x");
    other.commit("Begin"); // hour 1
    other.git(&["checkout", "-q", "-b", "release"]);
    other.write(FLOW, &using("owner/act@v1"));
    other.commit("Use it"); // hour 2
    other.git(&["tag", "v1"]);
    other.git(&["checkout", "-q", "main"]);
    other.git(&["branch", "-q", "-D", "release"]);
    std::fs::remove_dir_all(other.path().join(".git/logs")).unwrap();
    assert_eq!(found(&other, "owner/act", at(2, 2)).len(), 1);
    assert_eq!(found(&other, "owner/act", at(5, 9)).len(), 0);
}

/// Through a composite action and a reusable workflow of repositories that were given too, as they were in that time.
#[test]
fn through_repositories_that_were_given() {
    let inner = Repository::new();
    inner.git(&["remote", "add", "origin", "https://github.com/Example-Org/Setup.git"]);
    inner.write(
        "tools/action.yml",
        "runs:\n  using: composite\n  steps:\n    - uses: owner/act@v1\n      with: {k: '${{ inputs.k }}'}\n",
    );
    inner.commit("Use it"); // hour 1
    let first = inner.git(&["rev-parse", "HEAD"]);
    inner.write("tools/action.yml", "runs:\n  using: composite\n  steps:\n    - run: true\n");
    inner.commit("No longer"); // hour 2
    let middle = Repository::new();
    middle.git(&["remote", "add", "origin", "git@github.com:example-org/flows.git"]);
    middle.write(
        ".github/workflows/build.yml",
        "on: {workflow_call: {secrets: {INNER: {}}}}\njobs:\n  inner:\n    runs-on: x\n    permissions: {contents: write, id-token: write}\n    steps:\n      - uses: example-org/setup/tools@main\n      - run: make\n        env: {T: '${{ secrets.INNER }}'}\n",
    );
    middle.commit("Build");
    let outer = Repository::new();
    let call = |reference: &str| {
        format!(
            "on: push\npermissions: {{contents: read, id-token: write}}\njobs:\n  call:\n    uses: Example-Org/Flows/.github/workflows/build.yml@{reference}\n    secrets: {{INNER: '${{{{ secrets.OUTER }}}}'}}\n"
        )
    };
    outer.write(FLOW, &call("main"));
    outer.commit("Call it");
    let all = [&inner, &middle, &outer];
    let of_outer = |between| -> Vec<Finding> {
        let report = asked_of(&all, "owner/act", between);
        let path = outer.path().display().to_string();
        report.document.findings.into_iter().filter(|finding| finding.repository.given == path).collect()
    };
    let findings = of_outer(Some((START + HOUR, START + HOUR + 60)));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let job = findings[0].job.as_ref().unwrap();
    assert_eq!(job.id.unescaped(), "call / inner");
    assert_eq!(job.references[0].path.unescaped(), "example-org/setup/tools/action.yml@main");
    assert_eq!(secrets(&findings[0]), [("OUTER", Certainty::Possible)]);
    assert!(job.id_token);
    assert_eq!(job.token.permissions.level("contents"), Level::Read);
    // Later the action of `main` used it no more.
    assert_eq!(of_outer(Some((START + 5 * HOUR, START + 6 * HOUR))).len(), 0);
    // Without the repositories in between there is nothing to follow.
    assert!(asked(&outer, "owner/act", None).document.findings.is_empty());
    // A commit that is named is that commit, at any time.
    let pinned = Repository::new();
    pinned.write(FLOW, &using(&format!("example-org/setup/tools@{}", first.trim())));
    pinned.commit("Pin it");
    let report = asked_of(&[&inner, &pinned], "owner/act", Some((START + 5 * HOUR, START + 6 * HOUR)));
    assert_eq!(report.document.findings.len(), 1, "{:#?}", report.document.findings);
    assert_eq!(secrets(&report.document.findings[0]), [("KEY", Certainty::Certain)]);
}

/// Files that call each other make no endless run, and hide nothing that stands beside them.
#[test]
fn calls_in_a_circle_come_to_an_end() {
    let repository = Repository::new();
    repository.git(&["remote", "add", "origin", "https://github.com/example/circle.git"]);
    let around: String = ["./a", "./b", "example/circle/a@main", "example/circle/b@main"]
        .iter()
        .cycle()
        .take(40)
        .map(|uses| format!("    - uses: {uses}\n"))
        .collect();
    for name in ["a", "b"] {
        repository
            .write(&format!("{name}/action.yml"), &format!("runs:\n  using: composite\n  steps:\n{around}"));
    }
    let steps: String = around.lines().map(|line| format!("  {line}\n")).collect();
    repository.write(
        FLOW,
        &format!("on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: owner/act@v1\n{steps}"),
    );
    repository.commit("Go around");
    let report = asked(&repository, "owner/act", None);
    assert_eq!(report.document.findings.len(), 1);
    assert!(report.document.problems.iter().any(|problem| problem.kind == "over-limit"));
    assert!(!report.document.complete);
}
