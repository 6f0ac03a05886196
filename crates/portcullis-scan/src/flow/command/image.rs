//! Container images: which program one runs, and with which words.

use std::collections::HashMap;

use super::Call;
use crate::flow::shell::{Argument, Shell};
use crate::flow::trace::{Channel, Role};
use crate::flow::value::{Part, Value};
use crate::span::Bytes;

/// Programs that images are named after and start.
const PROGRAMS: &[&str] =
    &["curl", "wget", "httpie", "netcat", "socat", "bash", "python", "node", "ruby", "perl", "pwsh"];

/// Options of `docker run` that take no value (Docker 27, `docker run --help`).
const FLAGS: &[&str] = &[
    "--rm",
    "--init",
    "--privileged",
    "--interactive",
    "--tty",
    "--detach",
    "--read-only",
    "--no-healthcheck",
    "--oom-kill-disable",
    "--publish-all",
    "--quiet",
    "--sig-proxy",
];

/// The command line of a container: its entry point, if one is given or the image is named after it, and the arguments.
pub(super) fn command_line(
    image: &str,
    entrypoint: Option<Value>,
    arguments: Vec<Value>,
    bytes: Bytes,
) -> Vec<Argument> {
    let mut words: Vec<Value> = entrypoint.filter(|value| !value.is_empty()).into_iter().collect();
    let first = arguments.first().map(Value::template).unwrap_or_default();
    if words.is_empty()
        && let Some(program) = program(image)
        && program != first
        && (program == "curl" && !is_program(&first) || first.starts_with('-'))
    {
        words.push(Value::text(program));
    }
    words.extend(arguments);
    words.into_iter().map(|value| Argument { value, bytes }).collect()
}

/// The program that an image is named after: `curlimages/curl:8`, `alpine-curl`.
fn program(image: &str) -> Option<&'static str> {
    let name = image.split('@').next()?.rsplit('/').next()?.split(':').next()?;
    let named = PROGRAMS.iter().find(|program| name.split(['-', '_']).any(|part| part == **program))?;
    Some(match *named {
        "httpie" => "http",
        named => named,
    })
}

/// Whether the first argument is a program itself, which the entry points of such images run then.
fn is_program(word: &str) -> bool {
    super::language(word).is_some() || PROGRAMS.contains(&word) || word.starts_with("/bin/") || word == "env"
}

/// Splits `args:` of an action as the runner does: at spaces outside quotes; nothing is expanded.
pub fn words(value: &Value) -> Vec<Value> {
    let mut words = Vec::new();
    let mut word = Value::empty();
    let mut begun = false;
    let mut quote = None;
    for part in &value.parts {
        let Part::Text(text) = part else {
            word.push(part.clone());
            begun = true;
            continue;
        };
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let literal = match (quote, character) {
                (Some(open), close) if open == close => {
                    quote = None;
                    None
                }
                (None, '"' | '\'') => {
                    quote = Some(character);
                    begun = true;
                    None
                }
                (None, character) if character.is_whitespace() => {
                    if begun {
                        words.push(std::mem::take(&mut word));
                    }
                    begun = false;
                    None
                }
                (None | Some('"'), '\\') => characters.next(),
                (_, character) => Some(character),
            };
            if let Some(literal) = literal {
                word.push_text(literal.encode_utf8(&mut [0; 4]));
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// `docker run`: the command inside, with the variables that are handed in.
pub(super) fn run(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let mut variables = HashMap::new();
    let mut entrypoint = None;
    let mut arguments = call.arguments.iter().skip_while(|argument| argument.value.literal() != Some("run"));
    arguments.next();
    let mut image = None;
    let mut container = None;
    while let Some(argument) = arguments.next() {
        let text = argument.value.template();
        if !text.starts_with('-') {
            image = Some(text);
            break;
        }
        let is_cluster = !text.starts_with("--") && text.chars().skip(1).all(|flag| "itdPq".contains(flag));
        if is_cluster || FLAGS.contains(&text.as_str()) {
            continue;
        }
        let (name, value) = match text.split_once('=').filter(|(name, _)| name.starts_with("--")) {
            Some((name, _)) => (name.to_owned(), super::after(&argument.value, name.len() + 1)),
            None => (text, arguments.next().map(|next| next.value.clone()).unwrap_or_default()),
        };
        match name.as_str() {
            "--entrypoint" => entrypoint = Some(value),
            "--name" => container = Some(value.template()),
            "-e" | "--env" => match value.prefix().split_once('=') {
                Some((name, _)) => {
                    let name = name.to_owned();
                    let content = super::after(&value, name.len() + 1);
                    variables.insert(name, content);
                }
                None => {
                    let name = value.template();
                    if let Some(content) = shell.variables.get(&name) {
                        variables.insert(name, content.clone());
                    }
                }
            },
            _ => {}
        }
    }
    let Some(image) = image else { return Value::unknown() };
    hand_over(shell, call, &image, &variables);
    if let Some(name) = container {
        // What `docker commit` keeps of it.
        let mut held = call.joined().only_carried();
        for (_, value) in crate::flow::sorted(&variables) {
            held.append(value.only_carried());
        }
        shell.state.write(&super::tool::image_path(&format!("container:{name}")), held, false);
    }
    let rest = arguments.map(|argument| argument.value.clone()).collect();
    let words = command_line(&image, entrypoint, rest, call.bytes);
    shell.inside(variables, words, call.bytes)
}

/// The client of a delivery to an image that a command runs.
pub const RUN_BY_COMMAND: &str = "docker run";

/// Whoever makes the image gets the variables that it runs with; one that the job built itself is the owner's.
pub(super) fn hand_over(
    shell: &mut Shell<'_, '_>,
    call: &Call<'_>,
    image: &str,
    variables: &HashMap<String, Value>,
) {
    let built = shell.state.written(&super::tool::image_path(image)).is_some();
    if built || image.contains("${") || program(image).is_some() {
        return;
    }
    let mut handed = Value::empty();
    for (_, value) in crate::flow::sorted(variables) {
        handed.append(value.only_carried());
    }
    let file = shell.file();
    let target = Value::text(image);
    shell.tracer.deliver(handed, Channel::Image, Role::Payload, target, RUN_BY_COMMAND, file, call.bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_split_and_nothing_is_expanded() {
        let value = Value::text("-d \"a 'b' $C\" 'd \\e' f\\ g \"\" ");
        let found: Vec<String> = words(&value).iter().map(Value::template).collect();
        assert_eq!(found, ["-d", "a 'b' $C", "d \\e", "f g", ""]);
    }
}
