//! What a build of an image runs: the commands of a Dockerfile that a step wrote.

use std::collections::HashMap;

use super::{Call, after};
use crate::flow::shell::{Argument, Shell};
use crate::flow::value::Value;

/// Most lines of one Dockerfile that are followed.
const LINES_MAX: usize = 256;
/// Deepest that commands may unfold.
const DEPTH_MAX: usize = 60;

/// What a build is given beside its folder.
#[derive(Default)]
pub(super) struct Given {
    /// `--build-arg NAME=VALUE`.
    pub(super) arguments: HashMap<String, Value>,
    /// `--secret id=NAME,…`, each with what it holds.
    pub(super) secrets: Vec<Value>,
    /// `-f FILE`.
    pub(super) file: Option<Value>,
    /// The folder, or `-` for a Dockerfile on the input.
    pub(super) folder: String,
}

/// Runs the commands of the Dockerfile that a build reads, where a step wrote it.
pub(super) fn run(shell: &mut Shell<'_, '_>, call: &Call<'_>, given: &Given) {
    let named = given.file.as_ref().map(Value::template);
    let below = format!("{}/Dockerfile", given.folder.trim_end_matches('/'));
    let text = match named.as_deref() {
        Some("-") => Some(call.stdin.clone()),
        Some(path) => shell.state.written(path),
        None if given.folder == "-" => Some(call.stdin.clone()),
        None => shell.state.written(&below).or_else(|| shell.state.written("Dockerfile")),
    };
    let Some(text) = text.filter(|_| shell.depth() < DEPTH_MAX) else { return };
    for secret in &given.secrets {
        mount(shell, secret);
    }
    let mut prelude = Value::empty();
    for line in shell.tracer.cut(joined_lines(&text), LINES_MAX, "a Dockerfile of too many lines") {
        let prefix = line.prefix();
        let start = prefix.len() - prefix.trim_start().len();
        let Some((keyword, rest)) = prefix.trim_start().split_once(char::is_whitespace) else { continue };
        let code = after(&line, start + keyword.len() + 1);
        match keyword.to_ascii_uppercase().as_str() {
            // One with a default, where none was given.
            "ARG" => {
                let name = rest.split('=').next().unwrap_or("").trim();
                if rest.contains('=') && !given.arguments.contains_key(name) {
                    add(&mut prelude, "export ", &code);
                }
            }
            "ENV" if rest.contains('=') => add(&mut prelude, "export ", &code),
            "RUN" => {
                let flags = rest.split_whitespace().take_while(|word| word.starts_with("--"));
                let skip: usize = flags.map(|flag| flag.len() + 1).sum();
                let mut all = prelude.clone();
                all.append(after(&code, skip.min(rest.len())));
                let words = ["sh", "-c"].map(|word| Argument { value: Value::text(word), bytes: call.bytes });
                let words = words.into_iter().chain([Argument { value: all, bytes: call.bytes }]).collect();
                shell.inside(given.arguments.clone(), words, call.bytes);
            }
            _ => {}
        }
    }
}

fn add(prelude: &mut Value, word: &str, line: &Value) {
    prelude.push_text(word);
    prelude.append(line.clone());
    prelude.push_text("\n");
}

/// `id=NAME,env=VARIABLE`, `id=NAME,src=FILE`: readable below `/run/secrets` while the build runs.
fn mount(shell: &mut Shell<'_, '_>, secret: &Value) {
    let text = secret.template();
    let field = |names: &[&str]| {
        text.split(',').find_map(|field| {
            let (name, value) = field.split_once('=')?;
            names.contains(&name).then(|| value.to_owned())
        })
    };
    let Some(id) = field(&["id"]) else { return };
    let content = match (field(&["env"]), field(&["src", "source"])) {
        (Some(variable), _) => shell.variable(&variable),
        (None, Some(path)) => shell.state.written(&path).unwrap_or_default(),
        (None, None) => shell.variable(&id),
    };
    shell.state.write(&format!("/run/secrets/{id}"), content, false);
}

/// Lines, those that end with a backslash together with the next, and here-documents together with their command.
fn joined_lines(text: &Value) -> Vec<Value> {
    let mut joined: Vec<Value> = Vec::new();
    let mut goes_on = false;
    let mut until: Option<String> = None;
    for line in crate::flow::lines(text) {
        let shown = line.template();
        let inside = goes_on || until.is_some();
        goes_on = until.is_none() && shown.trim_end().ends_with('\\');
        if until.as_deref() == Some(shown.trim()) {
            until = None;
        } else if !inside && let Some((_, mark)) = shown.split_once("<<") {
            let mark = mark.trim_start_matches('-').trim_matches(['"', '\'']);
            until = Some(mark.split_whitespace().next().unwrap_or("").trim_matches(['"', '\'']).to_owned());
        }
        match joined.last_mut().filter(|_| inside) {
            Some(last) => {
                last.push_text("\n");
                last.append(line);
            }
            None => joined.push(line),
        }
    }
    joined
}
