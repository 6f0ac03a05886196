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
    let mut paths = found(shell, &texts);
    if paths.is_empty() {
        let name = call.option(&["-name", "-iname", "-path", "-wholename"]);
        let first = name.or_else(|| call.operands().first().map(|operand| operand.value.clone()));
        paths.push(first.unwrap_or_else(|| Value::text(".")));
    }
    let paths = shell.tracer.cut(paths, RUNS_MAX, TOO_OFTEN);
    let mut output = Value::empty();
    for (at, path) in paths.iter().enumerate() {
        if at > 0 {
            output.push_text("\n");
        }
        output.append(path.clone());
    }
    for (at, text) in texts.iter().enumerate() {
        if !matches!(text.as_str(), "-exec" | "-execdir" | "-ok" | "-x") {
            continue;
        }
        let words = call.arguments.get(at + 1..).unwrap_or(&[]);
        let end = words
            .iter()
            .position(|word| matches!(word.value.template().as_str(), ";" | "+"))
            .unwrap_or(words.len());
        let words = words.get(..end).unwrap_or(&[]);
        output = Value::empty();
        for path in &paths {
            output.append(shell.invoke(words_for(words, path, paths.len() > 1), call.bytes));
        }
    }
    output
}

/// The command for one of the things that were found. Where several are copied, the last word is a folder.
fn words_for(words: &[Argument], path: &Value, several: bool) -> Vec<Argument> {
    let mut words = words.to_vec();
    for word in &mut words {
        word.value = replace(&word.value, "{}", path);
    }
    let copies =
        matches!(words.first().and_then(|first| first.value.literal()), Some("cp" | "mv" | "install"));
    if let Some(last) = words.last_mut().filter(|_| copies && several) {
        last.value.push_text("/");
    }
    words
}

/// The names that are looked for; of tests that must hold together, the path says more than the name.
fn names_sought(texts: &[String]) -> Vec<&str> {
    let mut names = Vec::new();
    for tests in texts.split(|text| matches!(text.as_str(), "-o" | "-or")) {
        let wanted = |options: &[&str]| {
            tests.windows(2).enumerate().find_map(|(at, pair)| {
                let [option, name] = pair else { return None };
                let before = at.checked_sub(1).and_then(|before| tests.get(before)).map(String::as_str);
                let is_wanted = options.contains(&option.as_str()) && !matches!(before, Some("!" | "-not"));
                is_wanted.then_some(name.as_str())
            })
        };
        names.extend(wanted(&["-path", "-wholename", "-ipath"]).or_else(|| wanted(&["-name", "-iname"])));
    }
    names
}

/// Whether the search goes through the home directory.
fn searches_home(shell: &Shell<'_, '_>, texts: &[String]) -> bool {
    let roots = texts.iter().take_while(|text| !text.starts_with(['-', '(', '!', '\\']));
    roots.into_iter().any(|root| {
        let here = matches!(root.as_str(), "." | "./") && shell.state.folder.starts_with('~');
        here || root == "/" || ["~", "/home", "/root", "${HOME}"].iter().any(|home| root.starts_with(home))
    })
}

/// Files of credentials, and files in the home directory that steps wrote, which have one of the names: `find / -path
/// '*/.git/config'`, `find ~ -name .npmrc`.
fn found(shell: &Shell<'_, '_>, texts: &[String]) -> Vec<Value> {
    let in_home = searches_home(shell, texts);
    let mut paths = std::collections::BTreeSet::new();
    for name in names_sought(texts) {
        let plain = name.trim_start_matches(['*', '/']);
        let known = super::credential::files_named(plain);
        let written = shell.state.left().into_iter().map(|(path, _)| path);
        let written = written.filter(|path| path.starts_with("~/") && path.rsplit('/').next() == Some(plain));
        paths.extend(known.into_iter().chain(written).filter(|_| in_home));
        let places = [name.to_owned(), format!("~/{plain}"), format!("~/.ssh/{plain}")];
        paths.extend(places.into_iter().find(|path| super::credential_file(path).is_some()));
    }
    paths.into_iter().map(Value::text).collect()
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
        match input.literal() {
            Some(text) => words.extend(
                text.split_whitespace()
                    .take(RUNS_MAX)
                    .map(|word| Argument { value: Value::text(word), bytes: call.bytes }),
            ),
            None => words.push(Argument { value: input, bytes: call.bytes }),
        }
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
