//! What the scan visits against what git itself lists, over repositories made from seeds: branches, merges, workflows
//! that come with a merge only, renames, removals and returns, other refs, force-pushed and packed objects.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod repository;

use std::collections::BTreeSet;

use portcullis_scan::{Options, scan};
use repository::Repository;

/// A small generator of numbers (SplitMix64), so that a seed says everything.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

const PATHS: &[&str] = &[
    ".github/workflows/a.yml",
    ".github/workflows/b.yaml",
    ".github/workflows/A.yml",
    ".github/workflows/notes.md",
    ".github/workflows/deep/c.yml",
    ".github/actions/x/action.yml",
    "action.yml",
    "src/ci.yml",
];

fn change(repository: &Repository, numbers: &mut Numbers) {
    let path = PATHS[numbers.below(PATHS.len() as u64) as usize];
    let exists = repository.path().join(path).exists();
    match numbers.below(4) {
        0 if exists => repository.remove(path),
        1 if exists => {
            let text = std::fs::read_to_string(repository.path().join(path)).unwrap();
            repository.remove(path);
            repository.write(PATHS[numbers.below(PATHS.len() as u64) as usize], &text);
        }
        // Few texts, so that one returns and stands under several paths.
        _ => repository.write(path, &format!("on: push\njobs: {{j{}: {{runs-on: x}}}}\n", numbers.below(12))),
    }
    if numbers.below(3) == 0 {
        repository.write("src/code", &numbers.below(1_000).to_string());
    }
}

fn make(repository: &Repository, seed: u64) {
    let mut numbers = Numbers(seed);
    repository.write("src/code", "0");
    repository.commit("first");
    for step in 0..30 {
        match numbers.below(12) {
            0 => drop(repository.git(&["branch", &format!("b{step}")])),
            1 => drop(repository.git(&["update-ref", &format!("refs/pull/{step}/head"), "HEAD"])),
            2 => {
                // A merge that brings what neither parent has.
                let tree = {
                    change(repository, &mut numbers);
                    repository.git(&["add", "-A"]);
                    repository.git(&["write-tree"])
                };
                let tree = tree.trim();
                let other = repository.git(&["rev-list", "--max-count=4", "HEAD"]);
                let other = other.lines().last().unwrap();
                let merge = repository.git(&[
                    "commit-tree",
                    tree,
                    "-p",
                    "HEAD",
                    "-p",
                    other,
                    "-m",
                    &format!("m{step}"),
                ]);
                repository.git(&["reset", "-q", "--hard", merge.trim()]);
            }
            3 if step > 4 => {
                // A force-push: what was on top is reached by nothing.
                change(repository, &mut numbers);
                repository.commit("gone");
                repository.git(&["reset", "-q", "--hard", "HEAD~1"]);
            }
            4 => drop(repository.git(&["tag", "-a", "-m", "t", &format!("t{step}")])),
            5 => drop(repository.git(&["repack", "-q", "-a", "-d", "-k"])),
            _ => {
                change(repository, &mut numbers);
                repository.commit(&format!("c{step}"));
            }
        }
    }
    repository.git(&["reflog", "expire", "--expire=now", "--all"]);
}

/// All (path, blob) of workflows and actions in all commits that the object database holds, as git lists them.
fn listed(repository: &Repository) -> (usize, BTreeSet<(String, String)>) {
    let objects = repository.git(&[
        "cat-file",
        "--batch-all-objects",
        "--unordered",
        "--batch-check=%(objecttype) %(objectname)",
    ]);
    let commits: Vec<&str> = objects.lines().filter_map(|line| line.strip_prefix("commit ")).collect();
    let mut found = BTreeSet::new();
    for commit in &commits {
        for line in repository.git(&["ls-tree", "-r", commit]).lines() {
            let (about, path) = line.split_once('\t').unwrap();
            let is_workflow = path.strip_prefix(".github/workflows/").is_some_and(|name| {
                !name.contains('/') && (name.ends_with(".yml") || name.ends_with(".yaml"))
            });
            let is_action = path == "action.yml" || path == ".github/actions/x/action.yml";
            if is_workflow || is_action {
                found.insert((path.to_owned(), about.split(' ').nth(2).unwrap().to_owned()));
            }
        }
    }
    (commits.len(), found)
}

fn agrees(repository: &Repository, seed: u64) {
    make(repository, seed);
    let (commits, versions) = listed(repository);
    let report = scan(&Options { paths: vec![repository.path().to_owned()], ..Options::default() });
    assert!(report.document.complete, "seed {seed}: {:?}", report.document.problems);
    assert!(versions.len() > 3, "seed {seed} makes too little");
    assert_eq!(
        (report.document.stats.commits, report.document.stats.workflow_versions),
        (commits, versions.len()),
        "seed {seed}: {versions:#?}"
    );
}

#[test]
fn every_version_that_git_lists_is_visited() {
    for seed in 0..12 {
        agrees(&Repository::new(), seed);
    }
}

#[test]
fn repositories_with_long_hashes_too() {
    for seed in 100..103 {
        agrees(&Repository::sha256(), seed);
    }
}
