//! Every word that a scan can print has an explanation.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod victim;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use victim::{complaint, json, portcullis};

fn explained(id: &str) -> String {
    let output = portcullis(&["explain", id], Path::new("."));
    assert_eq!(output.status.code(), Some(0), "{id}: {}", complaint(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The list is the one that `explain` gives itself: rules with what to do, signals with an example and a reason.
#[test]
fn rules_and_signals_are_explained_one_by_one() {
    let list = String::from_utf8(portcullis(&["explain"], Path::new(".")).stdout).unwrap();
    let mut heading = "";
    let mut counts = [0; 3];
    for line in list.lines() {
        let Some(id) = line.strip_prefix("  ").and_then(|line| line.split_whitespace().next()) else {
            heading = line;
            continue;
        };
        let text = explained(id);
        assert!(text.starts_with(id) && text.len() > id.len() + 40, "{id}: {text}");
        match heading {
            "Rules:" => {
                counts[0] += 1;
                assert!(text.contains("What to do: "), "{id}: {text}");
            }
            "Signals:" => {
                counts[1] += 1;
                assert!(
                    text.contains("Example:\n\n    ") && text.contains("Why it matters: "),
                    "{id}: {text}"
                );
            }
            _ => counts[2] += 1,
        }
    }
    assert!(counts[0] >= 16 && counts[1] >= 50 && counts[2] >= 30, "{counts:?}");
    assert!(list.contains("unanalysed-workflow"));
    let output = portcullis(&["explain", "no-such-rule\u{1b}"], Path::new("."));
    assert_eq!(output.status.code(), Some(2));
    assert!(!complaint(&output).contains('\u{1b}'));
}

/// What scans of our own corpus print: rules, signals, verdicts, standings, classes and kinds of problems.
#[test]
fn every_word_of_a_real_scan_is_explained() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let folder = tempfile::tempdir().unwrap();
    let workflows = folder.path().join(".github/workflows");
    std::fs::create_dir_all(&workflows).unwrap();
    let mut open = vec![corpus];
    let mut copied = 0;
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                open.push(entry);
            } else if entry.extension().is_some_and(|kind| kind == "yml" || kind == "yaml") {
                copied += 1;
                std::fs::copy(&entry, workflows.join(format!("{copied}.yml"))).unwrap();
            }
        }
    }
    assert!(copied >= 10, "the corpus has {copied} workflows");
    std::fs::write(workflows.join("broken.yml"), "on: [push\njobs: }\n").unwrap();
    std::fs::write(workflows.join("bytes.yml"), b"on: push\njobs: {a: {name: \"\xff\"}}\n").unwrap();
    std::fs::write(workflows.join("deep.yml"), format!("x: {}{}\n", "[".repeat(90), "]".repeat(90))).unwrap();
    std::fs::write(workflows.join("large.yml"), "#".repeat((1 << 20) + 1)).unwrap();
    let document = json(&portcullis(&["scan", "--format", "json", "--min-verdict", "advice"], folder.path()));
    let mut words = BTreeSet::new();
    let mut word = |value: &Value| words.extend(value.as_str().map(str::to_owned));
    for finding in document["findings"].as_array().unwrap() {
        word(&finding["rule"]);
        word(&finding["verdict"]);
        word(&finding["standing"]);
        finding["signals"].as_array().unwrap().iter().for_each(&mut word);
        finding["destinations"].as_array().unwrap().iter().for_each(|place| word(&place["class"]));
    }
    document["problems"].as_array().unwrap().iter().for_each(|problem| word(&problem["kind"]));
    for expected in
        ["unanalysed-workflow", "secret-to-host", "invalid-yaml", "invalid-utf8", "over-limit", "too-large"]
    {
        assert!(words.contains(expected), "{expected} is not among {words:?}");
    }
    for word in words {
        explained(&word);
    }
}

/// The kinds of problems as they stand in the sources, wherever one is made.
#[test]
fn every_kind_of_problem_is_explained() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut open = vec![crates.join("portcullis-scan/src"), crates.join("portcullis/src")];
    let mut kinds = BTreeSet::new();
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                open.push(entry);
                continue;
            }
            let text = std::fs::read_to_string(&entry).unwrap();
            for (at, mark) in text.match_indices("kind: \"").chain(text.match_indices("problem(")) {
                let after = text.get(at + mark.len()..).unwrap();
                // The kind is the first literal of a call, before its own brackets close.
                let literal = if mark.starts_with("kind") {
                    Some(after)
                } else {
                    after
                        .split_once('"')
                        .filter(|(before, _)| !before.contains([';', '{']))
                        .map(|(_, rest)| rest)
                };
                let Some((kind, _)) = literal.and_then(|rest| rest.split_once('"')) else { continue };
                if kind.contains('-')
                    && kind.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit())
                {
                    kinds.insert(kind.to_owned());
                }
            }
        }
    }
    assert!(kinds.len() >= 8, "{kinds:?}");
    for kind in kinds {
        explained(&kind);
    }
}
