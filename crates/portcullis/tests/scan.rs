//! `portcullis scan` as people run it: the built program, real repositories, exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod victim;

use std::process::Command;

use victim::{git, json, portcullis, victim};

#[test]
fn people_read_what_left_where_to_since_when_and_what_it_opens() {
    let victim = victim();
    let output = portcullis(&["scan"], victim.path());
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "malicious[secret-to-host]: `NPM_TOKEN` and `PYPI_API_TOKEN` sent to",
        ".github/workflows/security.yml",
        "secret PYPI_API_TOKEN",
        "to collector.example",
        "exposed:  since ",
        "still on branch `dev`",
        "on branch `main`, taken out by",
        "it could run (on push)",
        "`PYPI_API_TOKEN`: publishes `widgets` on PyPI (claimed;",
        "rotate `PYPI_API_TOKEN` at https://pypi.org/",
        "portcullis fix --remove-malicious",
        "do:       invalidate every secret listed",
        r"\u{1b}[31mworkflow\u{202e}",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
    }
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "escape sequences reach a pipe");
}

#[test]
fn scripts_read_the_document() {
    let victim = victim();
    let output = portcullis(&["scan", "--format", "json"], victim.path());
    assert_eq!(output.status.code(), Some(1));
    let document = json(&output);
    assert_eq!(document["schema"], "portcullis.scan/1");
    assert_eq!(document["complete"], true);
    let finding = &document["findings"][0];
    for key in [
        "id",
        "rule",
        "verdict",
        "standing",
        "signals",
        "repository",
        "path",
        "blob",
        "skeleton",
        "span",
        "secrets",
        "all_secrets",
        "destinations",
        "flow",
        "exposures",
    ] {
        assert!(!finding[key].is_null(), "{key}");
    }
    assert_eq!(finding["repository"]["identity"], "github.example/owner/widgets");
    assert_eq!(finding["secrets"][1]["used_for"][0]["package"], "widgets");
    assert_eq!(finding["exposures"][0]["refs"][0]["removed"], serde_json::Value::Null);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("user:secret") && !text.contains('\u{202e}'));
    let lines = portcullis(&["scan", "--format", "jsonl"], victim.path());
    let kinds: Vec<String> = String::from_utf8(lines.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].as_str().unwrap().to_owned()
        })
        .collect();
    assert!(kinds.contains(&"finding".to_owned()));
    assert_eq!(kinds.last().map(String::as_str), Some("stats"));
}

/// Each repository has its line, before what was found in it and also where nothing was; what can't be read is a problem
/// beside the others, and with `--strict` an error.
#[test]
fn many_repositories_come_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    std::fs::create_dir(&clean).unwrap();
    git(&clean, &["init", "-q", "-b", "main"]);
    git(&clean, &["commit", "-q", "--allow-empty", "-m", "x"]);
    let victim = victim();
    let list = folder.path().join("list.txt");
    let listed = format!("# ours\n{}\n\n{}\nno-such-folder\n", clean.display(), victim.path().display());
    std::fs::write(&list, listed).unwrap();
    let arguments = ["scan", "--format", "jsonl", "--repositories", "list.txt"];
    let output = portcullis(&arguments, folder.path());
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(&kinds[..2], ["repository", "repository"]);
    assert!(kinds[2..kinds.len() - 2].iter().all(|kind| *kind == "finding"), "{kinds:?}");
    assert_eq!(&kinds[kinds.len() - 2..], ["problem", "stats"]);
    assert_eq!(lines[0]["given"], clean.display().to_string());
    assert_eq!(lines.last().unwrap()["repositories"], 2);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let strict =
        portcullis(&["scan", "--format", "jsonl", "--repositories", "list.txt", "--strict"], folder.path());
    assert_eq!(strict.status.code(), Some(2));
}

#[test]
fn code_scanning_reads_sarif() {
    let victim = victim();
    let document = json(&portcullis(&["scan", "--format", "sarif"], victim.path()));
    assert_eq!(document["version"], "2.1.0");
    let result = &document["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "secret-to-host");
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 8);
    assert!(result["codeFlows"][0]["threadFlows"][0]["locations"].as_array().unwrap().len() >= 3);
    assert_eq!(result["partialFingerprints"]["portcullis/1"].as_str().unwrap().len(), 16);
}

#[test]
fn exit_codes() {
    let victim = victim();
    let path = victim.path();
    assert_eq!(portcullis(&["scan", "--no-history"], path).status.code(), Some(0));
    assert_eq!(portcullis(&["scan", "no-such-folder"], path).status.code(), Some(2));
    assert_eq!(portcullis(&["scan", "--no-such-option"], path).status.code(), Some(2));
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(portcullis(&["scan"], empty.path()).status.code(), Some(2));
    // One that fails among others is a problem.
    let both = portcullis(&["scan", "--format", "json", "no-such-folder", "."], path);
    assert_eq!(both.status.code(), Some(1));
    assert_eq!(json(&both)["problems"][0]["kind"], "unreadable");
    assert_eq!(portcullis(&["scan", "--strict", "no-such-folder", "."], path).status.code(), Some(2));
    // An accepted finding is listed and doesn't count.
    let document = json(&portcullis(&["scan", "--format", "json"], path));
    let id = document["findings"][0]["id"].as_str().unwrap();
    let accepted = portcullis(&["scan", "--format", "json", "--accept", &format!("{id}=a drill")], path);
    assert_eq!(accepted.status.code(), Some(0));
    assert_eq!(json(&accepted)["findings"][0]["accepted"], "a drill");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let victim = victim();
    let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["scan", "--format", "json"])
        .current_dir(victim.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
