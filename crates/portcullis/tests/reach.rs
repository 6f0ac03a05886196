//! `portcullis reach` as programs read it: which jobs used an action that was taken over, and what they could reach.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod victim;

use std::path::Path;

use serde_json::{Value, json as value};
use victim::{commit, complaint, git, json, portcullis};

const PATH: &str = ".github/workflows/ci.yml";
const USING: &str = "name: CI
on: [push, pull_request]
permissions:
  contents: write
jobs:
  build:
    runs-on: ubuntu-latest
    environment: staging
    permissions:
      contents: read
      id-token: write
    steps:
      - uses: actions/checkout@v4
      - uses: changed/files@v45
      - run: make
        env:
          NPM_TOKEN: ${{ secrets.NPM_TOKEN }}
  docs:
    runs-on: ubuntu-latest
    steps:
      - run: make docs
";

/// A repository that used the action from March to May of 2025, and one that never did.
fn two() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["user", "other"] {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        git(&path, &["init", "-q", "-b", "main"]);
        git(&path, &["remote", "add", "origin", &format!("https://github.example/Owner/{name}")]);
        commit(&path, &[("README.md", "x\n")], "Begin");
    }
    let user = folder.path().join("user");
    at(&user, "2025-03-01T12:00:00Z", &[(PATH, USING)]);
    at(&user, "2025-05-01T12:00:00Z", &[(PATH, &USING.replace("      - uses: changed/files@v45\n", ""))]);
    folder
}

fn at(folder: &Path, time: &str, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    git(folder, &["add", "-A"]);
    let status = std::process::Command::new("git")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.test", "commit", "-q", "-m", "x"])
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_DATE", time)
        .env("GIT_COMMITTER_DATE", time)
        .status();
    assert!(status.unwrap().success());
}

fn reach(folder: &Path, arguments: &[&str]) -> std::process::Output {
    portcullis(&[&["reach", "--action", "changed/files"], arguments].concat(), folder)
}

/// What a document says of the one job: the same in each form.
fn assert_is_the_job(finding: &Value) {
    assert_eq!(finding["rule"], "compromised-action");
    assert_eq!(finding["verdict"], "exposed");
    assert_eq!(finding["path"], PATH);
    assert_eq!(finding["repository"]["identity"], "github.example/owner/user");
    assert_eq!(finding["span"]["start"], value!({"line": 14, "column": 15}));
    let job = &finding["job"];
    assert_eq!((&job["id"], &job["environment"]), (&value!("build"), &value!("staging")));
    assert_eq!(job["id_token"], true);
    assert_eq!(job["references"][0]["uses"], "changed/files@v45");
    assert_eq!(job["references"][0]["path"], PATH);
    assert_eq!(job["token"]["persisted"], true);
    let scopes = job["token"]["permissions"].to_string();
    assert!(
        scopes.contains("contents") && scopes.contains("read") && !scopes.contains("\"contents\":\"write\""),
        "{scopes}"
    );
    let names: Vec<(&str, &str)> = finding["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|secret| (secret["name"].as_str().unwrap(), secret["kind"].as_str().unwrap()))
        .collect();
    assert!(names.contains(&("NPM_TOKEN", "npm")), "{names:?}");
    let exposure = &finding["exposures"][0];
    assert_eq!(exposure["introduced"]["time"], "2025-03-01T12:00:00Z");
    assert_eq!(exposure["refs"][0]["removed"]["time"], "2025-05-01T12:00:00Z");
}

#[test]
fn the_document_names_the_job_and_all_it_could_reach() {
    let folder = two();
    let output = reach(folder.path(), &["--format", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", complaint(&output));
    let document = json(&output);
    assert_eq!(document["schema"], "portcullis.scan/1");
    assert_eq!((&document["complete"], &document["stats"]["repositories"]), (&value!(true), &value!(2)));
    let findings = document["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_is_the_job(&findings[0]);
}

#[test]
fn lines_come_one_object_each_with_the_counts_last() {
    let folder = two();
    let output = reach(folder.path(), &["--format", "jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "repository").count(), 2, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "finding").count(), 1, "{kinds:?}");
    assert_eq!((kinds.last(), &lines.last().unwrap()["repositories"]), (Some(&"stats"), &value!(2)));
    let at = kinds.iter().position(|kind| *kind == "finding").unwrap();
    assert_is_the_job(&lines[at]);
    assert_eq!(
        lines[at - 1]["identity"],
        "github.example/owner/user",
        "the repository stands before what is in it"
    );
}

#[test]
fn code_scanning_reads_where_it_was_used() {
    let folder = two();
    let document = json(&reach(folder.path(), &["--format", "sarif"]));
    let run = &document["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!((document["version"].as_str(), results.len()), (Some("2.1.0"), 1));
    let result = &results[0];
    assert_eq!((&result["ruleId"], &result["level"]), (&value!("compromised-action"), &value!("warning")));
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], PATH);
    assert_eq!((&place["region"]["startLine"], &place["region"]["startColumn"]), (&value!(14), &value!(15)));
    let message = result["message"]["text"].as_str().unwrap();
    assert!(message.contains("changed/files") && message.contains("NPM_TOKEN"), "{message}");
    assert_eq!(result["properties"]["job"]["id"], "build");
    assert_eq!(result["properties"]["job"]["id_token"], true);
    assert_eq!(result["partialFingerprints"]["portcullis/1"].as_str().unwrap().len(), 16);
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let rule = rules.iter().find(|rule| rule["id"] == "compromised-action").unwrap();
    assert!(rule["help"]["text"].as_str().unwrap().len() > 100);
}

#[test]
fn people_read_the_job_and_its_rights() {
    let folder = two();
    let output = reach(folder.path(), &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "exposed[compromised-action]: ",
        "  job:      `build`, environment `staging`",
        "uses changed/files@v45 at .github/workflows/ci.yml:14",
        "  token:    GITHUB_TOKEN: ",
        "OIDC: could have identity tokens made",
        "until 2025-05-01 12:00 UTC",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
    }
}

/// Only jobs that used it in that time count, in every form.
#[test]
fn a_time_without_a_use_finds_nothing() {
    let folder = two();
    for (between, code) in [
        (["2025-04-01", "2025-04-02"], 1),
        (["2025-02-01", "2025-02-02"], 0),
        (["2025-06-01", "2025-06-02"], 0),
    ] {
        for format in ["human", "json", "jsonl", "sarif"] {
            let arguments = ["--between", between[0], between[1], "--format", format];
            assert_eq!(reach(folder.path(), &arguments).status.code(), Some(code), "{between:?} {format}");
        }
    }
    assert_eq!(reach(folder.path(), &["--between", "2025-04-02", "2025-04-01"]).status.code(), Some(2));
    assert_eq!(reach(folder.path(), &["no-such-folder"]).status.code(), Some(2));
    let other = portcullis(&["reach", "--action", "changed/files@v46", "--format", "json"], folder.path());
    assert_eq!(other.status.code(), Some(0), "another tag was used");
}

#[test]
fn the_output_goes_into_a_file_whole() {
    let folder = two();
    let file = folder.path().join("reached.json");
    let output = reach(folder.path(), &["--format", "json", "--output", "reached.json"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let document: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_is_the_job(&document["findings"][0]);
    std::fs::write(&file, "old").unwrap();
    assert_eq!(reach(folder.path(), &["--output", "reached.json", "no-such-folder"]).status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
}
