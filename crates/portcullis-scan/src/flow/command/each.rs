//! Programs that run a command for each of something: `find -exec`, `xargs`, `parallel`.

use super::Call;
use crate::flow::shell::{Argument, Shell};
use crate::flow::value::{Part, Value};

/// Most things that a command is run for.
const RUNS_MAX: usize = 256;
const TOO_OFTEN: &str = "a command that runs for too many things";

/// `find … -exec COMMAND {} ;`: the command runs for what the names match.
pub(super) fn find_and_run(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let texts = call.texts();
    let name = call.option(&["-name", "-iname", "-path", "-wholename"]);
    let path = credentials_sought(&texts)
        .map(Value::text)
        .or(name)
        .or_else(|| call.operands().first().map(|operand| operand.value.clone()))
        .unwrap_or_else(|| Value::text("."));
    let mut output = path.clone();
    for (at, text) in texts.iter().enumerate() {
        if !matches!(text.as_str(), "-exec" | "-execdir" | "-ok" | "-x") {
            continue;
        }
        let words = call.arguments.get(at + 1..).unwrap_or(&[]);
        let end = words
            .iter()
            .position(|word| matches!(word.value.template().as_str(), ";" | "+"))
            .unwrap_or(words.len());
        let mut words = words.get(..end).unwrap_or(&[]).to_vec();
        for word in &mut words {
            word.value = replace(&word.value, "{}", &path);
        }
        output = shell.invoke(words, call.bytes);
    }
    output
}

/// A file of credentials that is looked for: `find / -path '*/.git/config'`, `find ~ -name .npmrc`.
fn credentials_sought(texts: &[String]) -> Option<String> {
    texts.iter().enumerate().find_map(|(at, text)| {
        let before = at.checked_sub(1).and_then(|before| texts.get(before));
        let not = at.checked_sub(2).and_then(|before| texts.get(before));
        let sought = before.is_some_and(|before| {
            matches!(before.as_str(), "-name" | "-iname" | "-path" | "-wholename" | "-ipath")
        }) && !not.is_some_and(|not| matches!(not.as_str(), "!" | "-not"));
        let plain = text.trim_start_matches(['*', '/']);
        let places = [text.clone(), format!("~/{plain}"), format!("~/.ssh/{plain}")];
        sought.then_some(places).into_iter().flatten().find(|path| super::credential_file(path).is_some())
    })
}

/// `xargs COMMAND …`: the input becomes arguments, at the place that `-I` names or at the end.
pub(super) fn xargs(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let mut at = 0;
    let mut place = None;
    while let Some(argument) = call.arguments.get(at) {
        let text = argument.value.template();
        match text.as_str() {
            "-I" | "-J" | "--replace" => {
                place = call.arguments.get(at + 1).map(|next| next.value.template());
                at += 2;
            }
            "-n" | "-P" | "-L" | "-d" | "-s" | "-a" | "-E" | "--max-args" | "--max-procs" | "--delimiter" => {
                at += 2
            }
            _ if text.starts_with("-I") => {
                place = text.get(2..).map(str::to_owned);
                at += 1;
            }
            _ if text.starts_with('-') => at += 1,
            _ => break,
        }
    }
    let mut words = call.arguments.get(at..).unwrap_or(&[]).to_vec();
    if words.is_empty() {
        return call.stdin.clone();
    }
    let mut input = call.stdin.clone();
    if let Some(Part::Text(text)) = input.parts.last_mut() {
        let length = text.trim_end().len();
        text.to_mut().truncate(length);
    }
    let words_with_braces = words.iter().any(|word| word.value.template().contains("{}"));
    let place = place
        .filter(|place| !place.is_empty())
        .or_else(|| (call.name == "parallel" && words_with_braces).then(|| "{}".to_owned()));
    let Some(place) = place else {
        words.push(Argument { value: input, bytes: call.bytes });
        return run_words(shell, words, call);
    };
    // One run for each line.
    let mut output = Value::empty();
    for line in shell.tracer.cut(crate::flow::lines(&input), RUNS_MAX, TOO_OFTEN) {
        let words = words
            .iter()
            .map(|word| Argument { value: replace(&word.value, &place, &line), bytes: word.bytes })
            .collect();
        output.append(run_words(shell, words, call));
    }
    output
}

/// `parallel COMMAND {} ::: A B`.
pub(super) fn parallel(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let end = call.arguments.iter().position(|word| word.value.prefix().starts_with(":::"));
    let (command, items) = call.arguments.split_at_checked(end.unwrap_or(0)).unwrap_or((&[], &[]));
    let skip = command.iter().take_while(|word| word.value.prefix().starts_with('-')).count();
    let command = command.get(skip..).unwrap_or(&[]);
    let mut output = Value::empty();
    let items: Vec<&Argument> = items.iter().filter(|item| !item.value.prefix().starts_with(":::")).collect();
    for item in shell.tracer.cut(items, RUNS_MAX, TOO_OFTEN) {
        let placed = command.iter().any(|word| word.value.template().contains("{}"));
        let mut words: Vec<Argument> = command
            .iter()
            .map(|word| Argument { value: replace(&word.value, "{}", &item.value), bytes: word.bytes })
            .collect();
        if !placed {
            words.push(item.clone());
        }
        output.append(run_words(shell, words, call));
    }
    output
}

/// A command in words, or in one that holds a whole line.
fn run_words(shell: &mut Shell<'_, '_>, words: Vec<Argument>, call: &Call<'_>) -> Value {
    match words.as_slice() {
        [line] if call.name == "parallel" && line.value.prefix().contains(char::is_whitespace) => {
            super::run_text(shell, super::Language::Shell, line.value.clone(), Vec::new(), call.bytes)
        }
        _ => shell.invoke(words, call.bytes),
    }
}

pub(super) fn replace(value: &Value, place: &str, with: &Value) -> Value {
    let mut out = Value::empty();
    for part in &value.parts {
        let Part::Text(text) = part else {
            out.push(part.clone());
            continue;
        };
        for (at, piece) in text.split(place).enumerate() {
            if at > 0 {
                out.append(with.clone());
            }
            out.push_text(piece);
        }
    }
    out
}
