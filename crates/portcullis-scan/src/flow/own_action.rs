//! Actions of the repository's own that are a program or an image, and no list of steps.
//!
//! A program that somebody wrote by hand is followed; a bundle of libraries is none, and says nothing about what is done
//! with a secret.

use std::collections::HashMap;
use std::sync::Arc;

use super::command::{Language, words};
use super::script::Script;
use super::shell::{self, Argument};
use super::value::{Part, Source, Value};
use super::{JobState, Tracer, code};
use crate::span::Bytes;
use crate::workflow::expression::{self, Contexts};
use crate::yaml::Node;

/// Most bytes of a program that counts as written by hand.
const PROGRAM_BYTES_MAX: usize = 32 * 1024;
/// Most steps of an action that was written at run time that are followed.
const STEPS_MAX: usize = 64;

/// Where an action of the repository's own is called.
pub(super) struct OwnPlace<'o> {
    /// Its folder in the repository; empty for the repository itself.
    pub(super) folder: &'o str,
    /// Which of the trace's files calls it.
    pub(super) file: usize,
    /// Where it is called.
    pub(super) bytes: Bytes,
    /// Calls so far.
    pub(super) depth: usize,
}

/// An action, and what it gets.
pub(super) struct OwnAction<'o> {
    /// Where it is called.
    pub(super) place: &'o OwnPlace<'o>,
    /// Its `action.yml`.
    pub(super) root: &'o Arc<Node>,
    /// Inputs by lower-case name.
    pub(super) inputs: &'o HashMap<String, Value>,
    /// The environment of the step.
    pub(super) environment: &'o HashMap<String, Value>,
}

/// Follows it, where it is a program or an image and gets secrets; nothing, if it is composite.
pub(super) fn run(tracer: &mut Tracer<'_>, state: &mut JobState, action: &OwnAction<'_>) {
    let Some(runs) = action.root.get("runs") else { return };
    let using = runs.get("using").and_then(|using| using.text()).unwrap_or("").to_ascii_lowercase();
    if using == "composite" || !action.gets_secrets() {
        return;
    }
    let text = |name: &str| runs.get(name).and_then(|node| node.text().map(str::to_owned));
    if using.starts_with("node") {
        for entry in ["pre", "main", "post"] {
            let Some(path) = text(entry) else { continue };
            program(tracer, state, action, &action.path(&path));
        }
    } else if using == "docker" {
        let image = text("image").unwrap_or_default();
        let entrypoint = text("entrypoint").map(|word| vec![word]);
        let words = match entrypoint {
            Some(words) => words,
            None if image.starts_with("docker://") => return,
            None => {
                let Some((_, dockerfile)) = tracer.open(&action.path(&image)) else { return };
                started_by(&dockerfile)
            }
        };
        container(tracer, state, action, words);
    }
}

/// Follows an action that an earlier step wrote; `false` if it can't be read. Its hops stand where it is called, for the
/// file that it is in is none of the repository's.
pub(super) fn run_written(
    tracer: &mut Tracer<'_>,
    state: &mut JobState,
    place: &OwnPlace<'_>,
    text: &Value,
    inputs: &HashMap<String, Value>,
    environment: &HashMap<String, Value>,
) -> bool {
    let Ok(root) = crate::yaml::parse(&text.template()) else { return false };
    let Some(runs) = root.get("runs") else { return false };
    let begun = tracer.delivered();
    let mut environment = environment.clone();
    // A secret that stands in the file was shown as a variable of its name.
    for one in text.carried() {
        environment.insert(one.source.name(), Value::part(Part::Carried(one.clone())));
    }
    run(tracer, state, &OwnAction { place, root: &root, inputs, environment: &environment });
    let steps = runs.get("steps").map(|steps| steps.items()).unwrap_or_default();
    for step in tracer.cut(steps, STEPS_MAX, "an action of too many steps") {
        let scope = Inputs { inputs, environment: &environment };
        let value = |node: &Arc<Node>| scope.value_of(node.text().unwrap_or(""), place);
        let Some(code) = step.get("run").map(value) else { continue };
        let mut own = environment.clone();
        for (name, node) in step.get("env").map(|env| env.entries()).unwrap_or_default() {
            own.insert(name.text().unwrap_or("").to_owned(), value(node));
        }
        let shell = step.get("shell").and_then(|shell| shell.text()).unwrap_or("bash").to_owned();
        let script = Script::from_value(code, place.file, place.bytes);
        super::command::run_in(tracer, state, &own, &shell, script, None, place.depth + 1);
        super::settle(state, None);
    }
    // An action that the workflow writes itself has no use but to be somewhere else than the step that uses it.
    tracer.conceals(begun);
    true
}

/// What an action that was written at run time sees.
struct Inputs<'i> {
    inputs: &'i HashMap<String, Value>,
    environment: &'i HashMap<String, Value>,
}

impl Inputs<'_> {
    /// A text with its expressions evaluated.
    fn value_of(&self, text: &str, place: &OwnPlace<'_>) -> Value {
        let mut value = Value::empty();
        for piece in expression::pieces(text) {
            value.append(match piece {
                expression::Piece::Text(range) => Value::text(text.get(range).unwrap_or("")),
                expression::Piece::Expression(_, inner) => {
                    let inner = text.get(inner).unwrap_or("");
                    expression::evaluate(inner, self, place.file, place.bytes)
                }
            });
        }
        value
    }
}

impl Contexts for Inputs<'_> {
    fn look_up(&self, head: &str, rest: &[&str]) -> Option<Vec<Value>> {
        let of = match head {
            "inputs" => self.inputs,
            "env" => self.environment,
            "secrets" => return Some(vec![Value::empty()]),
            _ => return None,
        };
        let name = rest.first()?;
        let found = of.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        Some(vec![found.map(|(_, value)| value.clone()).unwrap_or_default()])
    }
}

impl OwnAction<'_> {
    fn gets_secrets(&self) -> bool {
        let is_secret = |value: &Value| {
            value.parts.iter().any(|part| {
                matches!(part, Part::Carried(one) if matches!(one.source, Source::Secret(_) | Source::AllSecrets))
            })
        };
        self.inputs.values().chain(self.environment.values()).any(is_secret)
    }

    fn path(&self, name: &str) -> String {
        let name = name.trim_start_matches("./");
        if self.place.folder.is_empty() { name.to_owned() } else { format!("{}/{name}", self.place.folder) }
    }

    /// The environment of the program: inputs are in `INPUT_NAME` (GitHub, "Metadata syntax", `inputs`).
    fn variables(&self) -> HashMap<String, Value> {
        let mut variables = self.environment.clone();
        for (name, value) in self.inputs {
            let name = format!("INPUT_{}", name.to_ascii_uppercase().replace(' ', "_"));
            variables.insert(name, value.clone());
        }
        variables
    }
}

fn program(tracer: &mut Tracer<'_>, state: &mut JobState, action: &OwnAction<'_>, path: &str) {
    let script = match (state.written(path), tracer.open(path)) {
        (Some(code), _) => Script::from_value(code, action.place.file, action.place.bytes),
        (None, Some((file, text))) => Script::from_file(&text, file),
        (None, None) => return,
    };
    if script.text.len() > PROGRAM_BYTES_MAX {
        return;
    }
    let output =
        code::run(tracer, state, &action.variables(), Language::JavaScript, &script, action.place.depth + 1);
    tracer.log(&output, action.place.file, action.place.bytes);
}

/// Runs the command line of an image; a file that was copied into it is the repository's file of that name.
fn container(tracer: &mut Tracer<'_>, state: &mut JobState, action: &OwnAction<'_>, line: Vec<String>) {
    let mut arguments = Vec::new();
    for word in line {
        let name = word.rsplit('/').next().unwrap_or("").to_owned();
        let own = action.path(&name);
        let word = if name.contains('.') && tracer.open(&own).is_some() { format!("./{own}") } else { word };
        arguments.push(Argument { value: Value::text(word), bytes: action.place.bytes });
    }
    if !arguments.is_empty() {
        let place = Script::from_value(Value::empty(), action.place.file, action.place.bytes);
        shell::run_words(tracer, state, &action.variables(), place, arguments, action.place.depth + 1);
    }
}

/// What the image of a Dockerfile starts: `ENTRYPOINT`, else `CMD`, as a list or as a line for the shell.
fn started_by(dockerfile: &str) -> Vec<String> {
    let joined = dockerfile.replace("\\\n", " ");
    let last = |keyword: &str| {
        let lines = joined.lines().map(str::trim);
        lines
            .filter_map(|line| {
                let (first, rest) = line.split_once(char::is_whitespace)?;
                first.eq_ignore_ascii_case(keyword).then(|| rest.trim().to_owned())
            })
            .next_back()
    };
    let Some(line) = last("ENTRYPOINT").or_else(|| last("CMD")) else { return Vec::new() };
    match serde_json::from_str::<Vec<String>>(&line) {
        Ok(list) => list,
        Err(_) => words(&Value::text(line)).iter().map(Value::template).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entry_point_counts() {
        assert_eq!(started_by("FROM a\nCMD [\"x\"]\nENTRYPOINT [\"sh\", \"/e.sh\"]\n"), ["sh", "/e.sh"]);
        assert_eq!(started_by("FROM a\ncmd python \\\n  /app/main.py\n"), ["python", "/app/main.py"]);
        assert!(started_by("FROM a\n").is_empty());
    }
}
