//! `docker compose`: the services of a file that a step wrote.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Call, image};
use crate::flow::shell::Shell;
use crate::flow::value::{Part, Value};
use crate::yaml::Node;

/// Most services of one file that are followed.
const SERVICES_MAX: usize = 64;
/// Where compose looks for its file (Docker, "Compose file").
const FILES: &[&str] = &[
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    "docker-compose.override.yml",
];

/// Runs every service of the file.
pub(super) fn run(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let text = match call.option(&["-f", "--file"]).map(|file| file.template()) {
        Some(path) if path == "-" => Some(call.stdin.clone()),
        Some(path) => shell.state.written(&path),
        None => FILES.iter().find_map(|path| shell.state.written(path)),
    };
    let Some(text) = text.filter(|_| shell.depth() < 60) else { return };
    let Ok(root) = crate::yaml::parse(&text.template()) else { return };
    let mut known = shell.variables.clone();
    // A secret that stands in the file was shown as a variable of its name.
    for one in text.carried() {
        known.entry(one.source.name()).or_insert_with(|| Value::part(Part::Carried(one.clone())));
    }
    let services = root.get("services").map(|services| services.entries()).unwrap_or_default();
    for (_, service) in shell.tracer.cut(services, SERVICES_MAX, "a file of too many services") {
        let list = |name: &str| words_of(service.get(name), &known);
        let variables = environment(service, &known);
        let image = service.get("image").and_then(|image| image.text()).unwrap_or("").to_owned();
        image::hand_over(shell, call, &image, &variables);
        let mut entrypoint = list("entrypoint").into_iter();
        let first = entrypoint.next();
        let arguments = entrypoint.chain(list("command")).collect();
        let words = image::command_line(&image, first, arguments, call.bytes);
        shell.inside(variables, words, call.bytes);
    }
}

/// A command in one line, or word by word.
fn words_of(node: Option<&Arc<Node>>, known: &HashMap<String, Value>) -> Vec<Value> {
    let Some(node) = node else { return Vec::new() };
    match node.text() {
        Some(line) => image::words(&interpolated(line, known)),
        None => node.items().into_iter().map(|word| interpolated(word.text().unwrap_or(""), known)).collect(),
    }
}

/// `environment:` as a list or a mapping; a name without a value is taken from around.
fn environment(service: &Arc<Node>, known: &HashMap<String, Value>) -> HashMap<String, Value> {
    let mut variables = HashMap::new();
    let Some(node) = service.get("environment") else { return variables };
    for (name, value) in node.entries() {
        let value = interpolated(value.text().unwrap_or(""), known);
        variables.insert(name.text().unwrap_or("").to_owned(), value);
    }
    for item in node.items() {
        let Some(text) = item.text() else { continue };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, interpolated(value, known)),
            None => (text, known.get(text).cloned().unwrap_or_default()),
        };
        variables.insert(name.to_owned(), value);
    }
    variables
}

/// `$NAME` and `${NAME}` from around, `$$` as a dollar.
fn interpolated(text: &str, known: &HashMap<String, Value>) -> Value {
    let mut value = Value::empty();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        value.push_text(rest.get(..at).unwrap_or(""));
        let tail = rest.get(at + 1..).unwrap_or("");
        if let Some(after) = tail.strip_prefix('$') {
            value.push_text("$");
            rest = after;
            continue;
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, after) = match tail.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((inner, after)) => (inner.split(|c| !is_name(c)).next().unwrap_or(""), after),
            None => tail.split_at(tail.find(|c| !is_name(c)).unwrap_or(tail.len())),
        };
        value.append(known.get(name).cloned().unwrap_or_else(Value::unknown));
        rest = after;
    }
    value.push_text(rest);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_and_dollars_stay() {
        let known = HashMap::from([("A".to_owned(), Value::text("x"))]);
        assert_eq!(interpolated("$A-${A:-y} $$A ${B}", &known).template(), "x-x $A ${…}");
    }
}
