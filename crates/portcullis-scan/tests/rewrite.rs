//! Workflows that publish in the ways people do, and what becomes of them. `NAME.yml` is rewritten to `NAME.fixed.yml`;
//! with `PORTCULLIS_ACCEPT=1` the tests write the second anew, to be read before it is committed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};

use portcullis_scan::analysis::analyse;
use portcullis_scan::flow::NoFiles;
use portcullis_scan::rewrite::{Options, Rewritten, rewrite, rewrite_all};
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
fn each_sample_has_something_to_change() {
    for (name, text) in samples() {
        assert!(advice(&text) > 0, "{name} has nothing to change");
        let fixed = rewritten(&text);
        assert!(!fixed.publishers.is_empty(), "{name}: {:?}", fixed.notes);
        assert!(rewritten(&fixed.text).publishers.is_empty(), "{name}");
    }
}

/// A job that may prove who it is runs no script of the repository.
#[test]
fn no_job_builds_and_publishes() {
    for (name, text) in samples() {
        let fixed = rewritten(&text);
        let root = yaml::parse(&fixed.text).unwrap();
        for job in &Workflow::read(&root).jobs {
            let publishes = job.steps.iter().any(|step| {
                let uses = step.uses.as_ref().and_then(|uses| uses.text());
                uses.is_some_and(|uses| uses.starts_with("pypa/gh-action-pypi-publish@"))
            });
            let builds = job.steps.iter().any(|step| step.run.is_some());
            assert!(!(publishes && builds), "{name}, job {} builds and publishes:\n{}", job.id, fixed.text);
        }
    }
}

/// The old and the new text without what the edits took out and put in: the same, byte for byte.
fn outside_of_edits(old: &str, fixed: &Rewritten) -> (String, String) {
    let (mut kept, mut left) = (String::new(), String::new());
    let (mut at, mut now) = (0, 0);
    for edit in fixed.edits() {
        kept.push_str(&old[at..edit.start]);
        let unchanged = edit.start - at;
        left.push_str(&fixed.text[now..now + unchanged]);
        now += unchanged;
        assert_eq!(&fixed.text[now..now + edit.text.len()], edit.text);
        now += edit.text.len();
        at = edit.end;
    }
    kept.push_str(&old[at..]);
    left.push_str(&fixed.text[now..]);
    (kept, left)
}

/// The lines of each job that neither publishes nor waits for one that does; nothing of them may change.
fn untouched_jobs(text: &str) -> Vec<String> {
    let root = yaml::parse(text).unwrap();
    let workflow = Workflow::read(&root);
    let trace = portcullis_scan::flow::job::trace(&workflow, PATH, &text.into(), &NoFiles);
    let publishing: Vec<&str> =
        trace.publishings.iter().map(|one| workflow.jobs[one.job].id.as_str()).collect();
    workflow
        .jobs
        .iter()
        .filter(|job| !publishing.contains(&job.id.as_str()))
        .filter(|job| !job.needs.iter().any(|need| publishing.contains(&need.as_str())))
        .map(|job| text[job.bytes.range()].trim().to_owned())
        .collect()
}

/// The promises of `fix` about one text that publishes with a token.
fn keeps_its_promises(name: &str, text: &str) {
    let fixed = rewritten(text);
    let says = || format!("{name}: {:?}\n{text}\n=>\n{}", fixed.notes, fixed.text);
    let (kept, left) = outside_of_edits(text, &fixed);
    assert_eq!(kept, left, "{}", says());
    for job in untouched_jobs(text) {
        assert!(fixed.text.contains(&job), "a job that does not publish has changed:\n{job}\n{}", says());
    }
    let root = yaml::parse(&fixed.text).unwrap_or_else(|error| panic!("{error}: {}", says()));
    assert_eq!(advice(&fixed.text), 0, "{}", says());
    assert_eq!(rewritten(&fixed.text).text, fixed.text, "changes again: {}", says());
    let workflow = Workflow::read(&root);
    let old = Workflow::read(&yaml::parse(text).unwrap());
    for job in &workflow.jobs {
        let publishes = job.steps.iter().any(|step| {
            let uses = step.uses.as_ref().and_then(|uses| uses.text());
            uses.is_some_and(|uses| uses.starts_with("pypa/gh-action-pypi-publish@"))
        });
        let level = job.permissions.as_ref().and_then(|all| all.get("id-token")?.text());
        assert_eq!(level == Some("write"), publishes, "job {}: {}", job.id, says());
        assert!(job.permissions.as_ref().and_then(|all| all.text()) != Some("write-all"), "{}", says());
        for need in &job.needs {
            let was = old.jobs.iter().any(|other| other.needs.contains(need));
            assert!(was || workflow.jobs.iter().any(|other| other.id == *need), "needs {need}: {}", says());
        }
        let mut ids: Vec<&str> = job.steps.iter().filter_map(|step| step.id.as_deref()).collect();
        ids.sort_unstable();
        ids.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1], "{}", says()));
        // What a job reads of another is there.
        let body = &fixed.text[job.bytes.range()];
        for (at, _) in body.match_indices("needs.") {
            let path: Vec<&str> = body[at..]
                .split(|c: char| !(c.is_ascii_alphanumeric() || "-_.*".contains(c)))
                .next()
                .unwrap()
                .split('.')
                .collect();
            if let ["needs", from, "outputs", output] = path.as_slice() {
                assert!(job.needs.iter().any(|need| need == from), "{path:?}: {}", says());
                let other = workflow.jobs.iter().find(|other| other.id == *from).unwrap();
                assert!(other.outputs.iter().any(|known| known.name == *output), "{path:?}: {}", says());
            }
        }
    }
    // No right that was not there for the whole workflow.
    if let Some(all) = &workflow.permissions {
        let before = old.permissions.as_ref().unwrap_or_else(|| panic!("rights for all: {}", says()));
        for (scope, level) in all.entries() {
            let had = before.get(scope.text().unwrap()).and_then(|level| level.text());
            let level = level.text().unwrap();
            assert!(
                before.text() == Some("write-all") || had == Some("write") || had == Some(level),
                "{}",
                says()
            );
        }
    }
    for line in text.lines().filter(|line| line.trim_start().starts_with('#')) {
        // The line before it, which held the dash of its step, may have moved away.
        let is_kept = |kept: &str| kept.trim().trim_start_matches(['-', ' ']) == line.trim();
        assert!(fixed.text.lines().any(is_kept), "lost {line:?}: {}", says());
    }
    let returns = |text: &str| (text.matches("\r\n").count(), text.matches('\n').count());
    if returns(text).0 > 0 {
        assert_eq!(returns(&fixed.text).0, returns(&fixed.text).1, "line ends are mixed: {}", says());
    } else {
        assert_eq!(returns(&fixed.text).0, 0, "{}", says());
    }
}

#[test]
fn each_sample_keeps_the_promises() {
    for (name, text) in samples() {
        keeps_its_promises(&name, &text);
    }
}

#[test]
fn what_cant_be_changed_is_said() {
    for (text, word) in [
        (
            "on: push\njobs:\n  b:\n    runs-on: x\n    steps:\n      - run: true\n      - &up\n        run: twine upload dist/* -p ${{ secrets.T }}\n  a:\n    runs-on: x\n    steps:\n      - run: python -m build\n      - *up\n",
            "a: the step is an alias",
        ),
        (
            "on: push\njobs:\n  a: {runs-on: x, steps: [{run: 'twine upload dist/* -p ${{ secrets.T }}'}]}\n",
            "one line",
        ),
        (
            "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: python -m build\n      - run: twine upload $WHERE -p ${{ secrets.T }}\n",
            "known to the run only",
        ),
        (
            "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: make upload\n        env: {TWINE_PASSWORD: '${{ secrets.T }}'}\n",
            "`TWINE_PASSWORD` to `make upload`",
        ),
    ] {
        let fixed = rewritten(text);
        assert_eq!(fixed.text, text);
        assert!(fixed.notes.iter().any(|note| note.contains(word)), "{word}: {:?}", fixed.notes);
    }
}

/// What another upload reads stays, though it has the name of a credential.
#[test]
fn an_upload_to_another_index_keeps_what_it_reads() {
    let inside = "      - run: twine upload --repository-url https://packages.widgets.example/legacy/ dist/*\n        env: {TWINE_PASSWORD: '${{ secrets.INSIDE }}'}\n";
    let outside = "      - run: twine upload dist/*\n        env: {TWINE_PASSWORD: '${{ secrets.PYPI }}'}\n";
    let head = "on: push\njobs:\n  a:\n    runs-on: x\n    env:\n      TWINE_USERNAME: __token__\n    steps:\n      - run: python -m build\n";
    let fixed = rewritten(&format!("{head}{inside}{outside}"));
    assert!(fixed.text.contains(inside) && fixed.text.contains("TWINE_USERNAME"), "{}", fixed.text);
    assert!(!fixed.text.contains("secrets.PYPI"), "{}", fixed.text);
}

/// A called workflow has no more rights than the job that calls it, so that job gets them, and says again what it had.
#[test]
fn callers_grant_what_the_called_workflow_needs() {
    let called = "on:\n  workflow_call:\n    secrets:\n      TOKEN: {required: true}\njobs:\n  up:\n    runs-on: x\n    steps:\n      - uses: actions/checkout@v4\n      - run: python -m build\n      - uses: pypa/gh-action-pypi-publish@v1\n        with:\n          password: ${{ secrets.TOKEN }}\n";
    let between = "on: {workflow_call: {}}\njobs:\n    middle:\n        uses: ./.github/workflows/called.yml\n        secrets: inherit\n";
    let outer = "# outer\non: push\npermissions:\n  packages: write   # images\njobs:\n  lint:\n    runs-on: x\n    steps: [{run: make}]\n  call: # here\n    needs: lint\n    uses: ./.github/workflows/between.yml # and there\n    secrets: inherit\n";
    let other = "on: push\njobs:\n  own:\n    permissions: {contents: read}\n    uses: ./.github/workflows/called.yml\n    secrets: {TOKEN: '${{ secrets.PYPI }}'}\n";
    let stranger = "on: push\njobs:\n  a:\n    uses: example/flows/.github/workflows/called.yml@v1\n";
    let files: Vec<(String, String)> = [
        ("outer", outer),
        ("other", other),
        ("stranger", stranger),
        ("called", called),
        ("between", between),
    ]
    .iter()
    .map(|(name, text)| (format!(".github/workflows/{name}.yml"), (*text).to_owned()))
    .collect();
    let fixed = rewrite_all(&files, &NoFiles, &Options::default());
    let text = |at: usize| fixed[at].as_ref().unwrap().text.as_str();
    assert_eq!(
        text(0),
        outer.replace(
            "    uses: ./.github/workflows/between.yml",
            "    permissions:\n      contents: read\n      id-token: write\n      packages: write\n    uses: ./.github/workflows/between.yml"
        )
    );
    assert_eq!(text(1), other.replace("{contents: read}", "{contents: read, id-token: write}"));
    assert_eq!(text(2), stranger);
    assert!(text(3).contains("attestations: false") && !text(3).contains("password"), "{}", text(3));
    assert_eq!(
        text(4),
        between.replace(
            "        uses:",
            "        permissions:\n            contents: read\n            id-token: write\n        uses:"
        )
    );
    let again: Vec<(String, String)> =
        files.iter().enumerate().map(|(at, (path, _))| (path.clone(), text(at).to_owned())).collect();
    for (at, answer) in rewrite_all(&again, &NoFiles, &Options::default()).iter().enumerate() {
        assert_eq!(answer.as_ref().unwrap().text, text(at));
    }
}

/// Before v1.8.0 the action knows no identity: a commit whose comment says so moves, one without a comment is spoken of.
#[test]
fn a_pinned_action_must_know_trusted_publishing() {
    let id = "0123456789abcdef0123456789abcdef01234567";
    let publish = |comment: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: x\n    environment: ${{{{ inputs.where }}}}\n    steps:\n      - uses: actions/download-artifact@v4\n      - uses: pypa/gh-action-pypi-publish@{id}{comment}\n        with: {{password: '${{{{ secrets.T }}}}'}}\n"
        )
    };
    for (comment, stays, spoken_of) in [
        (" # v1.8.14", true, false),
        (" # v1.6.4", false, false),
        ("", true, true),
        (" # release/v1", true, true),
    ] {
        let fixed = rewritten(&publish(comment));
        assert_eq!(fixed.text.contains(id), stays, "{comment}: {}", fixed.text);
        assert!(stays || !fixed.text.contains(comment), "{}", fixed.text);
        assert_eq!(fixed.notes.iter().any(|note| note.contains("v1.8.0")), spoken_of, "{comment}");
        // The run chooses the environment: there is no one to register.
        assert_eq!(fixed.publishers[0].environment, "");
        assert!(fixed.notes.iter().any(|note| note.contains("an expression chooses")), "{:?}", fixed.notes);
    }
}

/// What a script does after its upload can't be taken apart with certainty, so it is said that it comes before it now.
#[test]
fn what_a_script_does_afterwards_is_said() {
    let script = |last: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: |\n          python -m build\n          twine upload dist/*\n          {last}\n        env: {{TWINE_PASSWORD: '${{{{ secrets.T }}}}'}}\n"
        )
    };
    let says = |text: &str| rewritten(text).notes.iter().any(|note| note.contains("goes on afterwards"));
    assert!(says(&script("git push --tags")));
    assert!(!says(&script("echo done")));
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

/// The same workflow as another hand would write it.
fn laid_out(
    text: &str,
    places: &[(prop::sample::Index, usize)],
    width: usize,
    returns: bool,
    cut: bool,
) -> String {
    let mut lines: Vec<String> = text.replace("\r\n", "\n").lines().map(str::to_owned).collect();
    for (number, (at, kind)) in places.iter().enumerate() {
        let at = at.index(lines.len());
        let line = lines[at].clone();
        let name = line.trim_start().trim_start_matches("- ").split_once(':').map_or("", |(key, _)| key);
        // Only beside keys of a workflow: inside a script it would be a line of it.
        let keys = [
            "uses",
            "name",
            "run",
            "with",
            "env",
            "steps",
            "needs",
            "runs-on",
            "jobs",
            "on",
            "if",
            "permissions",
            "environment",
        ];
        let begins = line.trim_start().starts_with("- ") || at == 0 || !line.trim_start().starts_with("- ");
        if !keys.contains(&name) || !begins {
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        match kind {
            0 => lines.insert(at, String::new()),
            1 => lines.insert(at, format!("{indent}# note {number}")),
            2 if !line.ends_with(['|', '>', '-', '+']) && !line.contains('#') => {
                lines[at] = format!("{line}   # beside {number}");
            }
            _ => lines.insert(at, format!("{indent}# note {number}\n\n{indent}# and {number}")),
        }
    }
    let mut changed: String = lines
        .iter()
        .flat_map(|line| line.split('\n'))
        .map(|line| {
            let body = line.trim_start_matches(' ');
            let indent = " ".repeat((line.len() - body.len()) * width);
            // Every level gets wider by the same, so the keys after a dash do too.
            let key = body.strip_prefix("- ").map(|rest| rest.trim_start_matches(' '));
            match key.filter(|key| !key.is_empty()) {
                Some(key) => {
                    format!("{indent}-{}{key}\n", " ".repeat((body.len() - key.len()) * width - 1))
                }
                None => format!("{indent}{body}\n"),
            }
        })
        .collect();
    if cut {
        changed.truncate(changed.trim_end().len());
    }
    if returns { changed.replace('\n', "\r\n") } else { changed }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Comments, blank lines, deeper indentation and other line ends change nothing of what is done, and stay.
    #[test]
    fn however_it_is_laid_out(
        index in any::<prop::sample::Index>(),
        places in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_usize), 0..8),
        width in 1..=3_usize,
        returns in any::<bool>(),
        cut in any::<bool>(),
    ) {
        thread_local!(static SAMPLES: Vec<(String, String)> = samples());
        let (name, text) = SAMPLES.with(|samples| index.get(samples).clone());
        let changed = laid_out(&text, &places, width, returns, cut);
        prop_assume!(yaml::parse(&changed).is_ok() && advice(&changed) == advice(&text) && advice(&text) > 0);
        keeps_its_promises(&name, &changed);
    }

    #[test]
    fn any_text_is_survived(text in "[a-z:\\-\\n {}\\[\\]#'\"|>&*]{0,200}") {
        let _ = rewrite(PATH, &text, &NoFiles, &Options::default());
    }
}
