//! Workflows that publish in the ways people do, and what becomes of them. `NAME.yml` is rewritten to `NAME.fixed.yml`;
//! with `PORTCULLIS_ACCEPT=1` the tests write the second anew, to be read before it is committed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use portcullis_scan::analysis::analyse;
use portcullis_scan::flow::NoFiles;
use portcullis_scan::rewrite::{Options, Rewritten, rewrite};
use portcullis_scan::workflow::Workflow;
use portcullis_scan::yaml;
use proptest::prelude::*;

const PATH: &str = ".github/workflows/publish.yml";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/publishing")
}

/// Name and text of every sample.
fn samples() -> Vec<(String, String)> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".yml").map(str::to_owned))
        .filter(|name| !name.ends_with(".fixed"))
        .collect();
    names.sort();
    assert!(names.len() >= 20, "{} samples", names.len());
    names
        .into_iter()
        .map(|name| {
            let text = std::fs::read_to_string(folder().join(format!("{name}.yml"))).unwrap();
            // Every file of this repository ends with a line break; this one is about workflows that don't.
            let ends = if name == "no-final-newline" { text.trim_end() } else { &text };
            let text = ends.to_owned();
            (name, text)
        })
        .collect()
}

fn rewritten(text: &str) -> Rewritten {
    rewrite(PATH, text, &NoFiles, &Options::default()).unwrap()
}

fn advice(text: &str) -> usize {
    analyse(PATH, text.as_bytes(), &NoFiles, None)
        .seen
        .iter()
        .filter(|seen| seen.rule == "long-lived-token")
        .count()
}

#[test]
fn each_sample_becomes_what_was_read_and_accepted() {
    for (name, text) in samples() {
        let fixed = rewritten(&text);
        let path = folder().join(format!("{name}.fixed.yml"));
        if std::env::var_os("PORTCULLIS_ACCEPT").is_some() {
            std::fs::write(&path, &fixed.text).unwrap();
        }
        let wanted = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(fixed.text, wanted, "{name}: {:?}", fixed.notes);
    }
}

#[test]
fn the_result_has_no_long_lived_token_and_stays_as_it_is() {
    for (name, text) in samples() {
        assert!(advice(&text) + usize::from(name == "test") > 0, "{name} has nothing to change");
        let fixed = rewritten(&text);
        assert!(!fixed.publishers.is_empty(), "{name}: {:?}", fixed.notes);
        assert_eq!(advice(&fixed.text), 0, "{name}:\n{}", fixed.text);
        let again = rewritten(&fixed.text);
        assert_eq!(again.text, fixed.text, "{name} changes again");
        assert!(again.publishers.is_empty(), "{name}");
    }
}

/// Only jobs that publish may prove who they are, and each of them must be able to.
#[test]
fn the_identity_is_where_it_is_needed_and_nowhere_else() {
    for (name, text) in samples() {
        let fixed = rewritten(&text);
        let root = yaml::parse(&fixed.text).unwrap();
        let workflow = Workflow::read(&root);
        for job in &workflow.jobs {
            let publishes = job.steps.iter().any(|step| {
                step.uses
                    .as_ref()
                    .and_then(|uses| uses.text())
                    .is_some_and(|uses| uses.starts_with("pypa/gh-action-pypi-publish@"))
            });
            let permission =
                job.permissions.as_ref().and_then(|all| all.get("id-token").and_then(|level| level.text()));
            assert_eq!(permission == Some("write"), publishes, "{name}, job {}:\n{}", job.id, fixed.text);
            let builds = job.steps.iter().any(|step| step.run.is_some());
            assert!(!(publishes && builds), "{name}, job {} builds and publishes:\n{}", job.id, fixed.text);
        }
        let names = root.get("permissions").and_then(|all| all.get("id-token"));
        assert!(names.is_none(), "{name}");
    }
}

/// Every line of the result is one of the original, in the same order, or new; and no comment is lost.
#[test]
fn lines_are_kept() {
    for (name, text) in samples() {
        let fixed = rewritten(&text);
        for line in text.lines().filter(|line| line.trim_start().starts_with('#')) {
            assert!(fixed.text.lines().any(|kept| kept == line), "{name}: lost {line:?} in\n{}", fixed.text);
        }
        let returns = |text: &str| (text.matches("\r\n").count(), text.matches('\n').count());
        if returns(&text).0 > 0 {
            assert_eq!(returns(&fixed.text).0, returns(&fixed.text).1, "{name}: line ends are mixed");
        } else {
            assert_eq!(returns(&fixed.text).0, 0, "{name}");
        }
    }
}

#[test]
fn what_cant_be_changed_is_said() {
    for (text, word) in [
        (
            "on: push\njobs:\n  a:\n    runs-on: x\n    env: &e\n      TWINE_PASSWORD: ${{ secrets.T }}\n    steps:\n      - run: python -m build\n      - run: twine upload dist/*\n        env: *e\n",
            "anchors",
        ),
        (
            "on: push\njobs:\n  a: {runs-on: x, steps: [{run: 'twine upload dist/* -p ${{ secrets.T }}'}]}\n",
            "one line",
        ),
        (
            "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: pypa/gh-action-pypi-publish@v1\n        with:\n          packages-dir: ${{ matrix.d }}/dist\n          password: ${{ secrets.T }}\n",
            "expression",
        ),
    ] {
        let fixed = rewritten(text);
        assert_eq!(fixed.text, text);
        assert!(fixed.notes.iter().any(|note| note.contains(word)), "{word}: {:?}", fixed.notes);
    }
}

#[test]
fn other_registries_and_owners_are_left_alone() {
    for text in [
        "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: pypa/gh-action-pypi-publish@release/v1\n",
        "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: twine upload --repository-url https://packages.widgets.example/legacy/ dist/*\n        env: {TWINE_PASSWORD: '${{ secrets.T }}'}\n",
        "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: npm publish\n        env: {NODE_AUTH_TOKEN: '${{ secrets.T }}'}\n",
    ] {
        assert_eq!(rewritten(text).text, text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Comments and blank lines between the keys of a workflow change nothing of what is done, and stay.
    #[test]
    fn comments_and_blank_lines_stay(index in any::<prop::sample::Index>(), places in proptest::collection::vec((any::<prop::sample::Index>(), 0..3_usize), 0..6)) {
        thread_local!(static SAMPLES: Vec<(String, String)> = samples());
        let (name, text) = SAMPLES.with(|samples| index.get(samples).clone());
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        let mut comments = Vec::new();
        for (at, kind) in places {
            let at = at.index(lines.len());
            let line = lines[at].clone();
            // Not inside a script, where it would be a line of it.
            let key = line.trim_start().split_once(':').is_some_and(|(key, _)| key.trim_start_matches("- ").chars().all(|c| c.is_ascii_lowercase() || c == '-'));
            let in_script = line.trim_start().starts_with(['p', 't', '-']) && !line.contains(": ");
            if !key || in_script || line.trim_start().starts_with("if ") {
                continue;
            }
            let indent: String = line.chars().take_while(|c| *c == ' ').collect();
            match kind {
                0 => lines.insert(at, newline.to_owned()),
                _ => {
                    let comment = format!("{indent}# note {}", comments.len());
                    lines.insert(at, format!("{comment}{newline}"));
                    comments.push(comment);
                }
            }
        }
        let changed = lines.concat();
        if advice(&changed) > 0 {
            let fixed = rewritten(&changed);
            prop_assert_eq!(advice(&fixed.text), 0, "{}:\n{}\n{:?}", name, fixed.text, fixed.notes);
            for comment in comments {
                prop_assert!(fixed.text.lines().any(|line| line == comment), "{}: lost {:?} in\n{}", name, comment, fixed.text);
            }
        }
    }

    #[test]
    fn any_text_is_survived(text in "[a-z:\\-\\n {}\\[\\]#'\"|>&*]{0,200}") {
        let _ = rewrite(PATH, &text, &NoFiles, &Options::default());
    }
}
