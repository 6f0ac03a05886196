//! Programs that run code: interpreters with their text, scripts by their path, `eval` and `source`.

use std::collections::HashMap;

use super::{Call, REMOTE_CODE, each, encode, project, written};
use crate::flow::script::Script;
use crate::flow::shell::{self, Argument, Shell};
use crate::flow::trace::ObservationKind;
use crate::flow::value::{HopKind, Part, Text, Value};
use crate::flow::{JobState, Tracer};
use crate::span::Bytes;

/// Most lines of a table of commands that are followed.
const SCHEDULED_MAX: usize = 64;

/// Languages that a script may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// sh, bash, zsh, dash.
    Shell,
    /// Python.
    Python,
    /// Node, Deno, Bun.
    JavaScript,
    /// PowerShell.
    PowerShell,
    /// Ruby, Perl, PHP: no grammar here; literals and names only.
    Other,
}

/// The language of an interpreter by its name.
pub fn language(interpreter: &str) -> Option<Language> {
    let base = interpreter.rsplit(['/', '\\']).next().unwrap_or("").trim_end_matches(".exe");
    let plain = base.trim_end_matches(|character: char| character.is_ascii_digit() || character == '.');
    match plain {
        "sh" | "bash" | "zsh" | "dash" | "ash" | "ksh" => Some(Language::Shell),
        "python" | "pypy" => Some(Language::Python),
        "node" | "nodejs" | "deno" | "bun" | "tsx" | "ts-node" => Some(Language::JavaScript),
        "pwsh" | "powershell" => Some(Language::PowerShell),
        "ruby" | "perl" | "php" | "lua" | "luajit" | "Rscript" | "julia" | "elixir" | "groovy" | "tclsh" => {
            Some(Language::Other)
        }
        _ => None,
    }
}

/// The language of a file by its name and first line.
fn language_of_file(path: &str, text: &str) -> Option<Language> {
    if let Some(line) = text.lines().next().and_then(|line| line.strip_prefix("#!")) {
        let interpreter =
            line.split_whitespace().find(|word| !word.ends_with("/env") && !word.starts_with('-'))?;
        return language(interpreter);
    }
    match path.rsplit_once('.')?.1 {
        "sh" | "bash" => Some(Language::Shell),
        "py" => Some(Language::Python),
        "js" | "mjs" | "cjs" | "ts" => Some(Language::JavaScript),
        "ps1" => Some(Language::PowerShell),
        "rb" | "pl" | "php" | "lua" | "go" | "rs" | "c" | "cc" | "cpp" | "java" | "kt" | "swift" | "cs"
        | "jl" | "R" => Some(Language::Other),
        _ => None,
    }
}

/// A `run` step in the shell that it names.
pub fn run_in(
    tracer: &mut Tracer<'_>,
    state: &mut JobState,
    environment: &HashMap<String, Value>,
    shell_name: &str,
    script: Script,
    directory: Option<String>,
    depth: usize,
) {
    let (file, bytes) = (script.file, script.bytes(0..script.text.len()));
    let output = run_step(tracer, state, environment, shell_name, script, directory, depth);
    state.folder = String::new();
    note_commands(state, &output);
    tracer.log(&output, file, bytes);
}

/// `::set-output name=NAME::VALUE` and `::set-env name=NAME::VALUE`, by which steps set values before there were files.
fn note_commands(state: &mut JobState, output: &Value) {
    for line in crate::flow::lines(output) {
        let prefix = line.prefix().trim_start();
        let path = match prefix {
            _ if prefix.starts_with("::set-output name=") => "$GITHUB_OUTPUT",
            _ if prefix.starts_with("::set-env name=") => "$GITHUB_ENV",
            _ => continue,
        };
        let skipped = line.prefix().len() - prefix.len() + prefix.find('=').map_or(0, |at| at + 1);
        let mut rest = super::after(&line, skipped);
        if let Some(Part::Text(text)) = rest.parts.first_mut() {
            *text = Text::new(text.replacen("::", "=", 1));
        }
        rest.push_text("\n");
        state.write(path, rest, true);
    }
}

fn run_step(
    tracer: &mut Tracer<'_>,
    state: &mut JobState,
    environment: &HashMap<String, Value>,
    shell_name: &str,
    script: Script,
    directory: Option<String>,
    depth: usize,
) -> Value {
    let interpreter = shell_name.split_whitespace().next().unwrap_or("bash");
    let mut environment = environment.clone();
    state.folder = String::new();
    state.folders = Vec::new();
    if let Some(directory) = &directory {
        state.enter(directory);
    }
    if let Some(directory) = directory {
        environment.insert("PORTCULLIS_DIRECTORY".to_owned(), Value::text(directory));
    }
    // Whatever `BASH_ENV` names runs before every script.
    let (file, bytes) = (script.file, script.bytes(0..script.text.len()));
    let startup = environment.get("BASH_ENV").map(Value::template).and_then(|path| state.read(&path));
    if let Some(code) = startup.filter(|_| language(interpreter) == Some(Language::Shell)) {
        let script = Script::from_value(code, file, bytes);
        let output = shell::run(tracer, state, &environment, script, Vec::new(), depth);
        tracer.log(&output, file, bytes);
    }
    let words: Vec<&str> = shell_name.split_whitespace().collect();
    // `sudo -E bash {0}`, `/usr/bin/env bash {0}`: the first word that is an interpreter.
    let interpreter = words.iter().copied().find(|word| language(word).is_some()).unwrap_or(interpreter);
    if matches!(words.first(), Some(&("cmd" | "cmd.exe"))) {
        let text = script.value(0..script.text.len(), str::to_owned);
        let script = Script::from_value(super::translated(text), file, bytes);
        return shell::run(tracer, state, &environment, script, Vec::new(), depth);
    }
    let sends_file = words.len() > 2 && shell_name.contains("{0}") && shell_name.contains("http");
    if sends_file {
        // A shell that is itself a command on the file that holds the script.
        state.write("/runner/temp/script", script.value(0..script.text.len(), str::to_owned), false);
        let code = shell_name.replace("{0}", "/runner/temp/script");
        let code = Script::from_value(Value::text(code), file, bytes);
        let output = shell::run(tracer, state, &environment, code, Vec::new(), depth);
        tracer.log(&output, file, bytes);
    }
    match language(interpreter).unwrap_or(Language::Shell) {
        Language::Shell => shell::run(tracer, state, &environment, script, Vec::new(), depth),
        language => crate::flow::code::run(tracer, state, &environment, language, &script, depth),
    }
}

/// Interpreters, `eval`, `source`, and scripts of the repository.
pub(super) fn code(shell: &mut Shell<'_, '_>, name: &str, call: &Call<'_>) -> Option<Value> {
    match call.name {
        "eval" => {
            let code = call.joined();
            return Some(run_text(shell, Language::Shell, code, Vec::new(), call.bytes));
        }
        "source" | "." => {
            let path = call.arguments.first()?;
            return Some(run_path(shell, Some(Language::Shell), &path.value, Vec::new(), call.bytes));
        }
        "parallel" if call.texts().iter().any(|text| text.starts_with(":::")) => {
            return Some(each::parallel(shell, call));
        }
        "xargs" | "parallel" => return Some(each::xargs(shell, call)),
        "trap" => {
            let code =
                call.operands().first().map(|operand| operand.value.clone()).filter(|code| !code.is_empty());
            return Some(code.map_or_else(Value::empty, |code| {
                run_text(shell, Language::Shell, code, Vec::new(), call.bytes)
            }));
        }
        "crontab" => {
            scheduled(shell, call);
            return Some(Value::unknown());
        }
        "find" | "fd" => return Some(each::find_and_run(shell, call)),
        "npx" | "bunx" | "pnpx" if call.has(&["-c", "--call"]) => {
            let code = call.option(&["-c", "--call"]).unwrap_or_default();
            return Some(run_text(shell, Language::Shell, code, Vec::new(), call.bytes));
        }
        "npx" | "bunx" | "pnpx"
            if call.operands().first().is_some_and(|first| language(&first.value.template()).is_some()) =>
        {
            let skip = call.arguments.iter().take_while(|word| word.value.prefix().starts_with('-')).count();
            let words = call.arguments.get(skip..).unwrap_or(&[]).to_vec();
            return Some(shell.invoke(words, call.bytes));
        }
        "go" | "rustc" | "gcc" | "cc" | "clang" | "g++" | "javac" | "java" | "kotlinc" | "swiftc"
        | "swift" | "tcc" | "csc" | "dotnet-script" | "cargo" => {
            if let Some(output) = compiled(shell, call) {
                return Some(output);
            }
        }
        "npx" | "make" | "npm" | "yarn" | "pnpm"
            if !matches!(call.texts().first().map(String::as_str), Some("publish" | "config")) =>
        {
            shell.tracer.works();
            shell.observe(ObservationKind::RunsTree, Value::text(call.name), call.bytes);
            written::run(shell, call);
            return Some(Value::unknown());
        }
        "vim" | "vi" | "nvim" | "ex" | "view" => {
            for word in call.texts() {
                let command = word.trim_start_matches(['+', ':']);
                if let Some(code) = command.strip_prefix('!') {
                    run_text(shell, Language::Shell, Value::text(code), Vec::new(), call.bytes);
                }
            }
        }
        "just" | "composer" | "bun" | "gmake" | "lerna" | "nx" | "turbo" => written::run(shell, call),
        _ => {}
    }
    if matches!(call.name, "cmd" | "cmd.exe")
        && let Some(at) =
            call.texts().iter().position(|text| matches!(text.to_ascii_lowercase().as_str(), "/c" | "/k"))
    {
        let mut code = Value::empty();
        for word in call.arguments.get(at + 1..).unwrap_or(&[]) {
            code.append(word.value.clone());
            code.push_text(" ");
        }
        return Some(run_text(shell, Language::Shell, super::translated(code), Vec::new(), call.bytes));
    }
    if let Some(language) = language(call.name) {
        return Some(interpreter(shell, language, call));
    }
    // `./scripts/x.sh`, or a file that a step wrote and made executable.
    if name.contains('/') || shell.state.read(name).is_some() {
        let path = Value::text(name);
        let positional = call.arguments.iter().map(|argument| argument.value.clone()).collect();
        return Some(run_path(shell, None, &path, positional, call.bytes));
    }
    None
}

/// `crontab FILE`, `crontab -`: the commands behind the five fields of each line.
fn scheduled(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let table = match call.operands().first() {
        Some(file) => shell.read_file(&file.value, file.bytes),
        None => call.stdin.clone(),
    };
    if shell.depth() > 60 {
        return;
    }
    let lines = shell.tracer.cut(crate::flow::lines(&table), SCHEDULED_MAX, "a table of too many commands");
    for line in lines {
        let prefix = line.prefix();
        let fields = if prefix.starts_with('@') { 1 } else { 5 };
        let mut rest = prefix.trim_start();
        for _ in 0..fields {
            rest = rest.split_once([' ', '\t']).map_or("", |(_, rest)| rest.trim_start());
        }
        if !rest.is_empty() {
            let code = super::after(&line, prefix.len() - rest.len());
            run_text(shell, Language::Shell, code, Vec::new(), call.bytes);
        }
    }
}

fn interpreter(shell: &mut Shell<'_, '_>, language: Language, call: &Call<'_>) -> Value {
    if language == Language::Shell && shell.depth() < 60 {
        for code in written::before_script(shell, call) {
            let output = run_text(shell, Language::Shell, code, Vec::new(), call.bytes);
            shell.print(output, call.bytes);
        }
    }
    let mut arguments = call.arguments.iter().enumerate();
    while let Some((at, argument)) = arguments.next() {
        let text = argument.value.template();
        let inline = match language {
            Language::Shell => text.starts_with('-') && !text.starts_with("--") && text.contains('c'),
            Language::Python => text.starts_with('-') && !text.starts_with("--") && text.ends_with('c'),
            Language::JavaScript => {
                matches!(text.as_str(), "-e" | "-p" | "--eval" | "--print" | "-pe" | "eval")
            }
            Language::PowerShell => is_parameter(&text, "-command"),
            Language::Other => matches!(text.as_str(), "-e" | "-r" | "-ne" | "-pe" | "-E" | "-le"),
        };
        let positional = || -> Vec<Value> {
            call.arguments.iter().skip(at + 2).map(|argument| argument.value.clone()).collect()
        };
        if inline {
            let Some((_, code)) = arguments.next() else { break };
            let mut positional = positional();
            if language == Language::Shell && !positional.is_empty() {
                let name = positional.remove(0);
                shell.set("0", name, false);
            }
            let mut code_text = code.value.clone();
            if language == Language::JavaScript && matches!(text.as_str(), "-p" | "--print" | "-pe") {
                // The value of the program is printed.
                code_text = Value::text("console.log(");
                code_text.append(code.value.clone());
                code_text.push_text(")");
            }
            return run_text(shell, language, code_text, positional, code.bytes);
        }
        let encoded = is_parameter(&text, "-encodedcommand") || text.eq_ignore_ascii_case("-ec");
        let takes_value =
            ["-windowstyle", "-executionpolicy", "-version", "-workingdirectory", "-inputformat"]
                .iter()
                .any(|name| is_parameter(&text, name))
                || ["-ep", "-ex"].iter().any(|name| text.eq_ignore_ascii_case(name));
        if language == Language::PowerShell && !encoded && takes_value {
            arguments.next();
            continue;
        }
        if language == Language::PowerShell && encoded {
            let Some((_, code)) = arguments.next() else { break };
            let decoded = code.value.literal().and_then(encode::decode_utf16_base64);
            if let Some(decoded) = decoded {
                shell.observe(ObservationKind::DecodedCommand, Value::text("base64"), code.bytes);
                return run_text(shell, language, Value::text(decoded), Vec::new(), code.bytes);
            }
            break;
        }
        if language == Language::Python && text == "-m" {
            let module = arguments.next().map(|(_, module)| module.clone());
            let rest: Vec<Argument> = call.arguments.get(at + 2..).unwrap_or(&[]).to_vec();
            return match module {
                Some(module)
                    if matches!(
                        module.value.template().as_str(),
                        "twine"
                            | "flit"
                            | "poetry"
                            | "hatch"
                            | "maturin"
                            | "uv"
                            | "build"
                            | "pip"
                            | "pytest"
                            | "tox"
                    ) =>
                {
                    let mut words = vec![module];
                    words.extend(rest);
                    shell.invoke(words, call.bytes)
                }
                _ => {
                    shell.tracer.works();
                    Value::unknown()
                }
            };
        }
        if text == "-" || (text == "-s" && language == Language::Shell) {
            break;
        }
        if language == Language::JavaScript && at == 0 && text == "run" {
            // `deno run FILE`, `bun run FILE`.
            continue;
        }
        if !text.starts_with('-') {
            let positional: Vec<Value> =
                call.arguments.iter().skip(at + 1).map(|argument| argument.value.clone()).collect();
            // `python setup.py sdist upload`: distutils' own way to publish.
            let uploads = positional.iter().any(|word| word.literal() == Some("upload"));
            if language == Language::Python && uploads && text.trim_start_matches("./") == "setup.py" {
                return shell.invoke(call.arguments.get(at..).unwrap_or(&[]).to_vec(), call.bytes);
            }
            return run_path(shell, Some(language), &argument.value, positional, argument.bytes);
        }
    }
    if call.stdin.is_empty() {
        shell.tracer.works();
        return Value::unknown();
    }
    run_text(shell, language, call.stdin.clone(), Vec::new(), call.bytes)
}

/// Whether a word is a parameter of PowerShell's own command line, which may be cut short: `-enc`.
fn is_parameter(word: &str, name: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    lower.len() >= 2 && lower.starts_with('-') && name.starts_with(&lower)
}

/// Code as a value: literal code is analysed, code from an address is noted.
pub fn run_text(
    shell: &mut Shell<'_, '_>,
    language: Language,
    code: Value,
    positional: Vec<Value>,
    bytes: Bytes,
) -> Value {
    for part in &code.parts {
        if let Part::Remote(address) = part {
            shell.observe(ObservationKind::RemoteCode, Value::text(address.clone()), bytes);
            let mut handed = Value::empty();
            let environment = shell.environment();
            for name in crate::flow::carrying_names(&environment) {
                if let Some(value) = environment.get(name) {
                    handed.append(value.only_carried());
                }
            }
            let file = shell.file();
            let hop = shell.hop(HopKind::Carry, "environment of code from an address", bytes);
            shell.tracer.deliver(
                handed.hop(&hop),
                crate::flow::trace::Channel::Network,
                crate::flow::trace::Role::Payload,
                Value::text(address.clone()),
                REMOTE_CODE,
                file,
                bytes,
            );
        }
    }
    encode::note_decoded(shell, &code, bytes);
    if shell.depth() > 60 {
        shell.tracer.incomplete("code that unfolds too often");
        return Value::unknown();
    }
    match language {
        Language::Shell => shell.run_code(code, bytes, positional),
        other => {
            let script = Script::from_value(code, shell.file(), bytes);
            let environment = with_words(shell, &positional);
            let depth = shell.depth();
            crate::flow::code::run(shell.tracer, shell.state, &environment, other, &script, depth)
        }
    }
}

/// Source files that steps wrote and that are compiled or run now.
fn compiled(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Option<Value> {
    let mut paths: Vec<String> = call.operands().iter().map(|operand| operand.value.template()).collect();
    if matches!(call.name, "cargo") {
        paths = vec!["src/main.rs".to_owned(), "build.rs".to_owned()];
    }
    if call.name == "go" && paths.first().is_some_and(|verb| verb == "generate") {
        written::generate(shell, call);
    }
    if call.name == "go" && !paths.iter().any(|path| path.ends_with(".go")) {
        paths = vec!["main.go".to_owned()];
    }
    let written: Vec<String> = paths.into_iter().filter(|path| shell.state.has(path)).collect();
    if written.is_empty() {
        let output = project::compiled(shell, call);
        if output.is_some() {
            shell.tracer.works();
        }
        return output.filter(|_| call.name != "cargo");
    }
    let mut output = Value::empty();
    for path in &written {
        let code = shell.state.read(path)?;
        output.append(run_text(shell, Language::Other, code, Vec::new(), call.bytes));
    }
    Some(output)
}

/// The environment of a program, with its arguments and its input.
fn with_words(shell: &Shell<'_, '_>, positional: &[Value]) -> HashMap<String, Value> {
    let mut environment = shell.environment();
    for (at, value) in positional.iter().enumerate().take(32) {
        environment.insert(format!("{}{}", crate::flow::code::ARGUMENT, at + 1), value.clone());
    }
    if !shell.stdin.is_empty() {
        environment.insert(crate::flow::code::INPUT.to_owned(), shell.stdin.clone());
    }
    environment
}

/// A program in a folder that the job itself put on the path, under the name of a known one.
pub(super) fn in_path(
    shell: &mut Shell<'_, '_>,
    name: &str,
    arguments: &[Argument],
    bytes: Bytes,
) -> Option<Value> {
    if name.contains('/') || shell.state.path.is_empty() || shell.depth() > 60 {
        return None;
    }
    let found = shell.state.path.iter().map(|folder| format!("{}/{name}", folder.trim_end_matches('/')));
    let path = found.clone().find(|path| shell.state.has(path))?;
    let positional = arguments.iter().map(|argument| argument.value.clone()).collect();
    // Inside of it the name means the true program.
    let outer = std::mem::take(&mut shell.state.path);
    let output = run_path(shell, None, &Value::text(path), positional, bytes);
    shell.state.path = outer;
    Some(output)
}

/// A script by its path: one that a step wrote, or one of the repository.
fn run_path(
    shell: &mut Shell<'_, '_>,
    language: Option<Language>,
    path: &Value,
    positional: Vec<Value>,
    bytes: Bytes,
) -> Value {
    let name = path.template();
    if let Some(content) = written::inserted(shell, &name).filter(|_| shell.depth() < 60) {
        let language =
            language.or_else(|| language_of_file(&name, content.prefix())).unwrap_or(Language::Shell);
        run_text(shell, language, content, positional.clone(), bytes);
    }
    let written = shell.state.read(&name);
    if let Some(content) = written {
        let language =
            language.or_else(|| language_of_file(&name, content.prefix())).unwrap_or(Language::Shell);
        return run_text(shell, language, content, positional, bytes);
    }
    if let Some(Part::Remote(_)) = path.parts.first() {
        return run_text(shell, Language::Shell, path.clone(), positional, bytes);
    }
    if name.starts_with("/dev/fd/") || name.contains("${") {
        shell.tracer.works();
        return Value::unknown();
    }
    let directory = shell.variables.get("PORTCULLIS_DIRECTORY").map(Value::template);
    let in_directory = directory
        .map(|directory| format!("{}/{}", directory.trim_end_matches('/'), name.trim_start_matches("./")));
    let found = in_directory
        .iter()
        .chain([&name])
        .find_map(|path| shell.tracer.open(path).map(|(file, text)| (path.clone(), file, text)));
    let Some((path, file, text)) = found else {
        shell.tracer.works();
        return Value::unknown();
    };
    let script = Script::from_file(&text, file);
    match language.or_else(|| language_of_file(&path, &text)) {
        Some(Language::Shell) => shell.run_script(script, positional),
        Some(other) => {
            let environment = with_words(shell, &positional);
            let depth = shell.depth();
            if depth > 60 {
                return Value::unknown();
            }
            crate::flow::code::run(shell.tracer, shell.state, &environment, other, &script, depth)
        }
        None => {
            shell.tracer.works();
            Value::unknown()
        }
    }
}
