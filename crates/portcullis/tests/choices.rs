//! What an option chooses decides what is printed and how the program ends; a choice of nothing is never a clean result.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod victim;

use std::path::Path;

use serde_json::Value;
use victim::{PUBLISH, STEAL, commit, complaint, git, json, portcullis, repository, victim};

const HANDED: &str = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - uses: somebody/deploy@v1\n        with: {token: '${{ secrets.DEPLOY_TOKEN }}'}\n";
const ODD: &str = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - run: $(cat name) \"${{ secrets.DEPLOY_TOKEN }}\"\n";

fn scan(folder: &Path, arguments: &[&str]) -> (i32, Value) {
    let output = portcullis(&[&["scan", "--format", "json"], arguments].concat(), folder);
    (output.status.code().unwrap(), json(&output))
}

fn verdicts(document: &Value) -> Vec<&str> {
    document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["verdict"].as_str().unwrap())
        .collect()
}

/// One repository with a finding of each verdict, and what is left of it and of the exit code at each mildest one.
#[test]
fn the_mildest_verdict_decides_what_is_printed_and_the_exit_code() {
    let path = |name: &str| format!(".github/workflows/{name}.yml");
    let tree = repository(&[(
        &path("publish"),
        &PUBLISH.replace("@release/v1", "@ed0c53931b1dc9bd32cbe73a98c7f6766f8a527e"),
    )]);
    let (code, document) = scan(tree.path(), &[]);
    assert_eq!((code, verdicts(&document)), (0, vec![]), "advice does not count by itself");
    let (code, document) = scan(tree.path(), &["--min-verdict", "advice"]);
    assert_eq!((code, verdicts(&document)), (1, vec!["advice"]));
    commit(tree.path(), &[(&path("handed"), HANDED)], "x");
    assert_eq!(scan(tree.path(), &[]).0, 1);
    assert_eq!(scan(tree.path(), &["--min-verdict", "suspicious"]).0, 0);
    commit(tree.path(), &[(&path("odd"), ODD)], "x");
    assert_eq!(scan(tree.path(), &["--min-verdict", "suspicious"]).0, 1);
    assert_eq!(scan(tree.path(), &["--min-verdict", "malicious"]).0, 0);
    commit(tree.path(), &[(&path("steal"), STEAL)], "x");
    for (mildest, left) in [
        ("advice", vec!["malicious", "suspicious", "exposed", "advice"]),
        ("exposed", vec!["malicious", "suspicious", "exposed"]),
        ("suspicious", vec!["malicious", "suspicious"]),
        ("malicious", vec!["malicious"]),
    ] {
        let (code, document) = scan(tree.path(), &["--min-verdict", mildest]);
        assert_eq!((code, verdicts(&document)), (1, left), "{mildest}");
        let lines = portcullis(&["scan", "--format", "jsonl", "--min-verdict", mildest], tree.path());
        let printed = String::from_utf8(lines.stdout).unwrap();
        let found = printed.lines().filter(|line| line.starts_with("{\"type\":\"finding\"")).count();
        assert_eq!((lines.status.code(), found), (Some(1), verdicts(&document).len()), "{mildest}");
    }
    assert_eq!(portcullis(&["scan", "--min-verdict", "bad"], tree.path()).status.code(), Some(2));
}

#[test]
fn references_that_match_choose_and_those_that_match_nothing_are_an_error() {
    let victim = victim();
    let path = victim.path();
    git(path, &["branch", "clean", "HEAD~2"]);
    assert_eq!(scan(path, &["--refs", "refs/heads/dev"]).0, 1);
    assert_eq!(scan(path, &["--refs", "dev"]).0, 1);
    let (code, document) = scan(path, &["--refs", "clean"]);
    assert_eq!(
        (code, document["complete"].as_bool(), document["problems"].as_array().unwrap().len()),
        (0, Some(true), 0)
    );
    for pattern in ["no-such-branch", "refs/heads/no-*", "refs/tags/*"] {
        let output = portcullis(&["scan", "--refs", pattern], path);
        assert_eq!(output.status.code(), Some(2), "{pattern}");
        assert!(complaint(&output).contains(pattern), "{}", complaint(&output));
    }
    // Among several repositories it is a problem of those where nothing matches.
    let other = repository(&[("README.md", "x")]);
    let folders = [".", other.path().to_str().unwrap()];
    let (code, document) = scan(path, &[&["--refs", "dev"], &folders[..]].concat());
    assert_eq!((code, document["complete"].as_bool()), (1, Some(false)));
    assert_eq!(document["problems"][0]["kind"], "nothing-chosen");
    assert_eq!(document["problems"][0]["repository"]["given"], folders[1]);
    let strict = portcullis(&[&["scan", "--refs", "dev", "--strict"], &folders[..]].concat(), path);
    assert_eq!(strict.status.code(), Some(2));
}

#[test]
fn a_commit_that_is_not_there_leaves_nothing_out() {
    let victim = victim();
    let path = victim.path();
    let last = git(path, &["rev-parse", "HEAD"]);
    let (code, document) = scan(path, &["--since", &last]);
    assert_eq!((code, verdicts(&document).len(), document["complete"].as_bool()), (0, 0, Some(true)));
    let (code, document) = scan(path, &["--since", "0123456789abcdef0123456789abcdef01234567"]);
    assert_eq!((code, document["complete"].as_bool()), (1, Some(false)));
    assert_eq!(document["problems"][0]["kind"], "unknown-commit");
    assert!(document["problems"][0]["what"].as_str().unwrap().contains("0123456789abcdef"));
    assert!(verdicts(&document).contains(&"malicious"));
    for wrong in ["yesterday", "2025-13-01", "HEAD~1"] {
        let output = portcullis(&["scan", "--since", wrong], path);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(complaint(&output).contains("expected a date"), "{}", complaint(&output));
    }
}

/// Strict: the document is written, for it says what could not be read, and the program ends with 2.
#[test]
fn a_strict_scan_accepts_no_problem() {
    let tree = repository(&[(".github/workflows/broken.yml", "on: [push\n")]);
    let (code, document) = scan(tree.path(), &["--min-verdict", "suspicious"]);
    assert_eq!((code, document["problems"][0]["kind"].as_str()), (0, Some("invalid-yaml")));
    let (code, document) = scan(tree.path(), &["--min-verdict", "suspicious", "--strict"]);
    assert_eq!((code, document["problems"][0]["kind"].as_str()), (2, Some("invalid-yaml")));
    let clean = repository(&[("README.md", "x")]);
    assert_eq!(scan(clean.path(), &["--strict"]).0, 0);
}
