//! Comments in a workflow accept what its owner may decide, in their own version, and nothing of a thief's.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod victim;

use std::path::Path;

use serde_json::Value;
use victim::{STEAL, commit, git, json, portcullis, repository};

const PATH: &str = ".github/workflows/deploy.yml";
const STEP: &str = "      - uses: somebody/deploy@v1\n";

/// A secret goes to an action that its owner can change: `exposed`. A comment stands beside it.
fn deploy(beside: &str) -> String {
    format!(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - uses: somebody/deploy@v1{beside}\n        with: {{token: '${{{{ secrets.DEPLOY_TOKEN }}}}'}}{beside}\n"
    )
}

fn scan(folder: &Path) -> (i32, Vec<Value>) {
    let output = portcullis(&["scan", "--format", "json"], folder);
    (output.status.code().unwrap(), json(&output)["findings"].as_array().unwrap().clone())
}

#[test]
fn an_exposed_finding_is_accepted_and_stays_listed() {
    let tree = repository(&[(PATH, &deploy(""))]);
    let (code, found) = scan(tree.path());
    assert_eq!(
        (code, found[0]["verdict"].as_str(), found[0]["accepted"].as_str()),
        (1, Some("exposed"), None)
    );
    let comment = " # portcullis: accept secret-to-action our own colleague's action";
    let tree = repository(&[(PATH, &deploy(comment))]);
    let (code, found) = scan(tree.path());
    assert_eq!((code, found.len()), (0, 1));
    assert_eq!(found[0]["accepted"], "our own colleague's action");
    assert_eq!(found[0]["accepted_by"], "comment");
    let human = String::from_utf8(portcullis(&["scan"], tree.path()).stdout).unwrap();
    assert!(
        human.contains("accepted: our own colleague's action (a comment in the workflow says so)"),
        "{human}"
    );
    let sarif = json(&portcullis(&["scan", "--format", "sarif"], tree.path()));
    let suppression = &sarif["runs"][0]["results"][0]["suppressions"][0];
    assert_eq!(
        (&suppression["kind"], &suppression["justification"]),
        (&"inSource".into(), &"our own colleague's action".into())
    );
    // The same in a file that stands in no repository.
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join(".github/workflows")).unwrap();
    std::fs::write(folder.path().join(PATH), deploy(comment)).unwrap();
    assert_eq!(scan(folder.path()).0, 0);
}

#[test]
fn without_a_reason_or_for_another_rule_it_accepts_nothing() {
    for (comment, said) in [
        (" # portcullis: accept secret-to-action", Some("gives no reason")),
        (" # portcullis: accept secret-to-host why", None),
        (" # portcullis: accept all of it", Some("names no rule")),
        (" # portcullis: ignore secret-to-action why", None),
    ] {
        let tree = repository(&[(PATH, &deploy(comment))]);
        let (code, found) = scan(tree.path());
        assert_eq!((code, found[0]["accepted"].as_str()), (1, None), "{comment}");
        let refused = found[0]["comment_refused"].as_str();
        assert_eq!(refused.is_some(), said.is_some(), "{comment}: {refused:?}");
        assert!(said.is_none_or(|said| refused.unwrap().contains(said)), "{comment}: {refused:?}");
    }
}

/// Every way a thief may try: beside the line, above it, for every rule, all over the file, in another file.
#[test]
fn a_thiefs_comment_hides_nothing() {
    let comments: String = ["secret-to-host", "secret-to-log", "unanalysed-workflow", "all", "*"]
        .iter()
        .map(|rule| format!("# portcullis: accept {rule} reviewed by the security team\n"))
        .collect();
    let everywhere: String = STEAL
        .lines()
        .map(|line| match line.starts_with("          ") {
            true => format!("{line} # portcullis: accept secret-to-host reviewed\n"),
            false => format!("{comments}{line} # portcullis: accept secret-to-host reviewed\n"),
        })
        .collect();
    let script = STEAL
        .replace("          curl", "          # portcullis: accept secret-to-host reviewed\n          curl");
    let header = STEAL.replace("run: |", "run: | # portcullis: accept secret-to-host reviewed");
    for text in [format!("{comments}{STEAL}"), everywhere, script, header.clone()] {
        let tree = repository(&[(".github/workflows/security.yml", &text), ("portcullis.yml", &comments)]);
        let (code, found) = scan(tree.path());
        let theft =
            found.iter().find(|finding| finding["verdict"] != "exposed" && finding["verdict"] != "advice");
        let theft = theft.unwrap_or_else(|| panic!("nothing found in\n{text}\n{found:?}"));
        assert_eq!((code, theft["accepted"].as_str()), (1, None), "{text}");
        assert_eq!(
            portcullis(&["scan", "--min-verdict", "malicious"], tree.path()).status.code(),
            Some(1),
            "{text}"
        );
    }
    let tree = repository(&[(".github/workflows/security.yml", &header)]);
    let human = String::from_utf8(portcullis(&["scan"], tree.path()).stdout).unwrap();
    assert!(human.contains("never silences what is `malicious`"), "{human}");
}

/// A theft that is toned down to `exposed` afterwards, with a comment: the past stays what it was.
#[test]
fn a_comment_never_covers_a_worse_version_of_the_past() {
    let login = |scheme: &str, comment: &str| {
        format!(
            "name: x\non: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - run: |{comment}\n          curl -H 'Authorization: Bearer ${{{{ secrets.ARGO_TOKEN }}}}' {scheme}://argo-dev.widgets.test/x\n"
        )
    };
    let later = login("https", " # portcullis: accept secret-to-host nothing to see");
    let alone = repository(&[(PATH, &later)]);
    let (code, found) = scan(alone.path());
    assert_eq!((code, found[0]["verdict"].as_str()), (0, Some("exposed")), "{found:?}");
    let tree = repository(&[(PATH, &login("http", ""))]);
    commit(tree.path(), &[(PATH, &later)], "Tone it down");
    let (code, found) = scan(tree.path());
    assert_eq!((code, found[0]["accepted"].as_str()), (1, None));
    let refused = found[0]["comment_refused"].as_str().unwrap();
    assert!(refused.contains("never silences what is `suspicious`"), "{refused}");
}

#[test]
fn a_comment_speaks_for_its_own_version() {
    let comment = " # portcullis: accept secret-to-action we know them";
    // The newest version has it: what stood before is the same finding, looked at by its owner.
    let tree = repository(&[(PATH, &deploy(""))]);
    commit(tree.path(), &[(PATH, &deploy(comment))], "Accept it");
    assert_eq!(scan(tree.path()).0, 0);
    // Another branch still has the version without it.
    git(tree.path(), &["branch", "dev", "HEAD~1"]);
    let (code, found) = scan(tree.path());
    assert_eq!((code, found[0]["accepted"].as_str()), (1, None));
    let refused = found[0]["comment_refused"].as_str().unwrap();
    assert!(refused.contains("`refs/heads/dev`"), "{refused}");
    git(tree.path(), &["branch", "-q", "-D", "dev"]);
    assert_eq!(scan(tree.path()).0, 0);
    // An old version had it, and the newest has it no more.
    commit(tree.path(), &[(PATH, &deploy(" # changed"))], "Take the comment out");
    assert_eq!(scan(tree.path()).0, 1);
    // The file on the disk, which no commit has, is a version of its own.
    std::fs::write(tree.path().join(PATH), deploy(comment)).unwrap();
    assert_eq!(scan(tree.path()).0, 1, "the version on main has no comment");
}

/// Anybody can open a pull request: what it says of a file that the repository once had is not the owner's word.
#[test]
fn a_strangers_pull_request_accepts_nothing() {
    let comment = " # portcullis: accept secret-to-action we know them";
    let tree = repository(&[("README.md", "x\n"), (PATH, &deploy(""))]);
    git(tree.path(), &["checkout", "-q", "-b", "theirs"]);
    commit(tree.path(), &[(PATH, &deploy(comment))], "Accept it");
    git(tree.path(), &["update-ref", "refs/pull/1/head", "HEAD"]);
    git(tree.path(), &["checkout", "-q", "main"]);
    git(tree.path(), &["branch", "-q", "-D", "theirs"]);
    git(tree.path(), &["rm", "-q", PATH]);
    git(tree.path(), &["commit", "-q", "-m", "Take it out"]);
    std::fs::remove_dir_all(tree.path().join(".git/logs")).unwrap();
    let (code, found) = scan(tree.path());
    assert_eq!((code, found.len(), found[0]["accepted"].as_str()), (1, 1, None), "{found:?}");
    // Merged, it is the owner's.
    git(tree.path(), &["update-ref", "refs/heads/main", "refs/pull/1/head"]);
    git(tree.path(), &["reset", "-q", "--hard"]);
    assert_eq!(scan(tree.path()).0, 0);
}

/// A `#` in a script is text of the script: the comment stands where the script begins.
#[test]
fn inside_a_script_nothing_is_accepted() {
    let script = |header: &str, inside: &str| {
        format!(
            "on: issue_comment\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |{header}\n          make\n{inside}          echo \"${{{{ github.event.comment.body }}}}\"\n"
        )
    };
    let comment = "# portcullis: accept script-injection only we may comment";
    let plain = repository(&[(PATH, &script("", ""))]);
    let (code, found) = scan(plain.path());
    assert_eq!((code, found[0]["rule"].as_str()), (1, Some("script-injection")));
    let inside = repository(&[(PATH, &script("", &format!("          {comment}\n")))]);
    let (code, found) = scan(inside.path());
    assert_eq!((code, found[0]["accepted"].as_str()), (1, None));
    let header = repository(&[(PATH, &script(&format!("  {comment}"), ""))]);
    let (code, found) = scan(header.path());
    assert_eq!((code, found[0]["accepted"].as_str()), (0, Some("only we may comment")), "{found:?}");
}

#[test]
fn a_comment_right_above_the_line_counts() {
    let above = format!("      # portcullis: accept secret-to-action we know them\n{STEP}");
    let tree = repository(&[(PATH, &deploy("").replace(STEP, &above))]);
    assert_eq!(scan(tree.path()).0, 0);
    let further = above.replace("them\n", "them\n\n");
    let tree = repository(&[(PATH, &deploy("").replace(STEP, &further))]);
    assert_eq!(scan(tree.path()).0, 1);
}
