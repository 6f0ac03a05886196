//! What each program does with the words and the input it is given.
//!
//! A program falls into one of these: it prints what it got (`echo`), changes it (`base64`), reads files (`cat`), sends
//! (`curl`), runs other code (`bash -c`), publishes (`twine`), or does work that is none of the scanner's business.

pub mod action;
mod curl;
mod filter;
mod grant;
mod image;
pub use curl::answer;
pub use filter::{decode_base64, decode_utf16_base64};
pub use image::words;
mod network;
mod tool;

use std::collections::HashMap;

use crate::flow::script::Script;
use crate::flow::shell::{self, Argument, Shell};
use crate::flow::trace::{Channel, ObservationKind, Role};
use crate::flow::value::{HopKind, Part, Source, Value};
use crate::flow::{JobState, Tracer};
use crate::span::Bytes;

/// One command with everything it got.
pub struct Call<'c> {
    /// Its name without a folder.
    pub name: &'c str,
    /// Its arguments.
    pub arguments: &'c [Argument],
    /// Its input.
    pub stdin: Value,
    /// Where the command stands.
    pub bytes: Bytes,
}

impl Call<'_> {
    /// The arguments as templates.
    pub fn texts(&self) -> Vec<String> {
        self.arguments.iter().map(|argument| argument.value.template()).collect()
    }

    /// The value after the first of these options, also in the form `--option=value`.
    pub fn option(&self, names: &[&str]) -> Option<Value> {
        let mut arguments = self.arguments.iter();
        while let Some(argument) = arguments.next() {
            let text = argument.value.template();
            if names.contains(&text.as_str()) {
                return arguments.next().map(|next| next.value.clone());
            }
            for name in names.iter().filter(|name| name.starts_with("--")) {
                if text.strip_prefix(*name).is_some_and(|rest| rest.starts_with('=')) {
                    return Some(after(&argument.value, name.len() + 1));
                }
            }
        }
        None
    }

    /// Whether one of these flags is given, alone or in a cluster of short ones.
    pub fn has(&self, names: &[&str]) -> bool {
        self.arguments.iter().any(|argument| {
            let text = argument.value.template();
            names.iter().any(|name| {
                text == **name
                    || (name.len() == 2
                        && text.starts_with('-')
                        && !text.starts_with("--")
                        && name.chars().nth(1).is_some_and(|flag| text.contains(flag)))
            })
        })
    }

    /// The arguments that are no options.
    pub fn operands(&self) -> Vec<&Argument> {
        self.arguments.iter().filter(|argument| !argument.value.prefix().starts_with('-')).collect()
    }

    /// All arguments in one value.
    pub fn joined(&self) -> Value {
        let mut all = Value::empty();
        for (at, argument) in self.arguments.iter().enumerate() {
            if at > 0 {
                all.push_text(" ");
            }
            all.append(argument.value.clone());
        }
        all
    }
}

/// A value without its first `count` bytes of literal text.
pub fn after(value: &Value, count: usize) -> Value {
    let mut rest = Value::empty();
    for (at, part) in value.parts.iter().enumerate() {
        match part {
            Part::Text(text) if at == 0 => rest.push_text(text.get(count..).unwrap_or("")),
            other => rest.push(other.clone()),
        }
    }
    rest
}

/// The client of a delivery to code from an address that runs with secrets in its environment.
pub const REMOTE_CODE: &str = "remote code";

/// Commands that do nothing by themselves that would make a workflow useful: a job of only these and of sending has
/// no other purpose than to send.
const IDLE: &[&str] = &[
    "true", "false", ":", "sleep", "exit", "return", "wait", "cd", "pwd", "ls", "date", "whoami", "hostname",
    "id", "uname", "which", "type", "trap", "shift", "local", "unset", "set", "shopt", "mkdir", "touch",
    "chmod", "rm", "break", "continue", "test", "[", "[[", "ulimit", "umask", "alias", "hash", "kill",
    "disown", "clear", "tty", "stat", "df", "free", "ps", "ip", "ifconfig",
];

/// Programs that only start another one.
const WRAPPERS: &[&str] = &[
    "sudo", "command", "builtin", "exec", "nohup", "time", "nice", "stdbuf", "timeout", "env", "busybox",
    "setsid", "unbuffer", "ionice", "retry", "doas", "sshpass",
];

/// Runs a command; returns what it prints.
pub fn run(
    shell: &mut Shell<'_, '_>,
    name: &str,
    first: &Argument,
    arguments: Vec<Argument>,
    stdin: Value,
    bytes: Bytes,
) -> Value {
    let base = name.rsplit(['/', '\\']).next().unwrap_or(name).trim_end_matches(".exe").to_owned();
    if first.value.literal().is_none_or(str::is_empty) && !first.value.carries() && base.contains("${") {
        // A command that can't be known (`$RUNNER_TOOL …`): work, and whoever gets the secrets among its words.
        hand_to_unknown(shell, name, &arguments, &stdin, bytes);
        shell.tracer.works();
        return Value::unknown();
    }
    // `$z -s …` where z holds several words was split already; `"$z"` with spaces is one word.
    if WRAPPERS.contains(&base.as_str()) {
        return wrapped(shell, &base, arguments, bytes);
    }
    let call = Call { name: &base, arguments: &arguments, stdin, bytes };
    grant::runner_setup(shell, &call);
    if let Some(output) = filter::run(shell, &call) {
        return output;
    }
    if let Some(output) = network::run(shell, &call) {
        return output;
    }
    if let Some(output) = code(shell, name, &call) {
        return output;
    }
    if let Some(output) = tool::run(shell, &call) {
        return output;
    }
    match base.as_str() {
        "alias" => {
            for argument in &arguments {
                if let Some((alias, _)) = argument.value.prefix().split_once('=') {
                    shell.aliases.insert(alias.to_owned(), after(&argument.value, alias.len() + 1));
                }
            }
        }
        "set" => {
            if let Some(end) = arguments.iter().position(|argument| argument.value.literal() == Some("--")) {
                shell.positional =
                    arguments.iter().skip(end + 1).map(|argument| argument.value.clone()).collect();
            }
        }
        "shift" if !shell.positional.is_empty() => {
            shell.positional.remove(0);
        }
        _ => {}
    }
    if base == "rm" {
        for operand in call.operands() {
            shell.state.remove(&operand.value.template());
        }
    }
    if !IDLE.contains(&base.as_str()) {
        shell.tracer.works();
    }
    Value::unknown()
}

/// Notes that a command whose name can't be known gets secrets; where to, if an address is among its words.
fn hand_to_unknown(
    shell: &mut Shell<'_, '_>,
    name: &str,
    arguments: &[Argument],
    stdin: &Value,
    bytes: Bytes,
) {
    let mut handed = stdin.only_carried();
    for argument in arguments {
        handed.append(argument.value.only_carried());
    }
    let address = arguments.iter().find(|argument| argument.value.prefix().contains("://"));
    let target = address.map_or_else(|| Value::text(name), |argument| argument.value.clone());
    let file = shell.file();
    shell.tracer.deliver(handed, Channel::Program, Role::Payload, target, "unknown command", file, bytes);
}

fn wrapped(shell: &mut Shell<'_, '_>, name: &str, arguments: Vec<Argument>, bytes: Bytes) -> Value {
    if name == "command"
        && let [flag, program, ..] = arguments.as_slice()
        && matches!(flag.value.literal(), Some("-v" | "-V"))
    {
        // Tells where a program is, and doesn't run it.
        return program.value.clone();
    }
    let mut added = Vec::new();
    let mut at = 0;
    let takes_value = |text: &str| match name {
        "sudo" => matches!(text, "-u" | "-g" | "-C" | "-h" | "-p" | "-U"),
        "env" => matches!(text, "-u" | "-C" | "--unset" | "--chdir"),
        "timeout" => matches!(text, "-s" | "-k" | "--signal" | "--kill-after"),
        "nice" | "ionice" => matches!(text, "-n" | "-c"),
        "stdbuf" => matches!(text, "-i" | "-o" | "-e"),
        "exec" => matches!(text, "-a"),
        "sshpass" => matches!(text, "-p" | "-f" | "-d"),
        _ => false,
    };
    let mut duration = name == "timeout";
    while let Some(argument) = arguments.get(at) {
        let text = argument.value.template();
        if takes_value(&text) {
            at += 2;
        } else if text.starts_with('-') {
            at += 1;
        } else if duration {
            duration = false;
            at += 1;
        } else if matches!(name, "env" | "sudo")
            && let Some((variable, _)) = argument.value.prefix().split_once('=')
        {
            added.push((variable.to_owned(), after(&argument.value, variable.len() + 1)));
            at += 1;
        } else {
            break;
        }
    }
    let rest = arguments.get(at..).unwrap_or(&[]).to_vec();
    if rest.is_empty() {
        return if name == "env" { shell.dump_environment(bytes) } else { Value::empty() };
    }
    let outer = shell.variables.clone();
    let exported = shell.exported.clone();
    for (variable, value) in added {
        shell.exported.insert(variable.clone());
        shell.variables.insert(variable, value);
    }
    let output = shell.invoke(rest, bytes);
    shell.variables = outer;
    shell.exported = exported;
    output
}

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
        "ruby" | "perl" | "php" | "lua" => Some(Language::Other),
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
        "rb" | "pl" | "php" => Some(Language::Other),
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
    let interpreter = shell_name.split_whitespace().next().unwrap_or("bash");
    let mut environment = environment.clone();
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
    let output = match language(interpreter).unwrap_or(Language::Shell) {
        Language::Shell => shell::run(tracer, state, &environment, script, Vec::new(), depth),
        language => crate::flow::code::run(tracer, state, &environment, language, &script, depth),
    };
    tracer.log(&output, file, bytes);
}

/// Interpreters, `eval`, `source`, and scripts of the repository.
fn code(shell: &mut Shell<'_, '_>, name: &str, call: &Call<'_>) -> Option<Value> {
    match call.name {
        "eval" => {
            let code = call.joined();
            return Some(run_text(shell, Language::Shell, code, Vec::new(), call.bytes));
        }
        "source" | "." => {
            let path = call.arguments.first()?;
            return Some(run_path(shell, Some(Language::Shell), &path.value, Vec::new(), call.bytes));
        }
        "xargs" | "parallel" => return Some(xargs(shell, call)),
        "trap" => {
            let code =
                call.operands().first().map(|operand| operand.value.clone()).filter(|code| !code.is_empty());
            return Some(code.map_or_else(Value::empty, |code| {
                run_text(shell, Language::Shell, code, Vec::new(), call.bytes)
            }));
        }
        "find" | "fd" => return Some(find_and_run(shell, call)),
        "npx" | "make" | "npm" | "yarn" | "pnpm"
            if !matches!(call.texts().first().map(String::as_str), Some("publish" | "config")) =>
        {
            shell.tracer.works();
            shell.observe(ObservationKind::RunsTree, Value::text(call.name), call.bytes);
            return Some(Value::unknown());
        }
        _ => {}
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

fn interpreter(shell: &mut Shell<'_, '_>, language: Language, call: &Call<'_>) -> Value {
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
                positional.remove(0);
            }
            return run_text(shell, language, code.value.clone(), positional, code.bytes);
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
            let decoded = code.value.literal().and_then(filter::decode_utf16_base64);
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
                        "twine" | "flit" | "poetry" | "hatch" | "maturin" | "uv" | "build" | "pip"
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
        if !text.starts_with('-') {
            let positional =
                call.arguments.iter().skip(at + 1).map(|argument| argument.value.clone()).collect();
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
    filter::note_decoded(shell, &code, bytes);
    if shell.depth() > 60 {
        shell.tracer.incomplete("code that unfolds too often");
        return Value::unknown();
    }
    match language {
        Language::Shell => shell.run_code(code, bytes, positional),
        other => {
            let script = Script::from_value(code, shell.file(), bytes);
            let environment = shell.environment();
            let depth = shell.depth();
            crate::flow::code::run(shell.tracer, shell.state, &environment, other, &script, depth)
        }
    }
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
            let environment = shell.environment();
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

/// `find … -exec COMMAND {} ;`: the command runs for what the names match.
fn find_and_run(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let texts = call.texts();
    let name = call.option(&["-name", "-iname", "-path", "-wholename"]);
    let path = name
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

/// `xargs COMMAND …`: the input becomes arguments, at the place that `-I` names or at the end.
fn xargs(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
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
        text.truncate(length);
    }
    match place.filter(|place| !place.is_empty()) {
        Some(place) => {
            for word in &mut words {
                word.value = replace(&word.value, &place, &input);
            }
        }
        None => words.push(Argument { value: input, bytes: call.bytes }),
    }
    shell.invoke(words, call.bytes)
}

fn replace(value: &Value, place: &str, with: &Value) -> Value {
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

/// Credential files of the runner's user, and what stands for them as a source.
pub fn credential_file(path: &str) -> Option<Source> {
    let path = path.trim_matches(['"', '\'']);
    let home = path
        .strip_prefix("~/")
        .or_else(|| path.strip_prefix("/home/runner/"))
        .or_else(|| path.strip_prefix("/root/"))
        .or_else(|| path.strip_prefix("${HOME}/"));
    const FILES: &[&str] = &[
        ".pypirc",
        ".npmrc",
        ".netrc",
        ".git-credentials",
        ".docker/config.json",
        ".aws/credentials",
        ".aws/config",
        ".kube/config",
        ".vault-token",
        ".config/gh/hosts.yml",
        ".config/gcloud/application_default_credentials.json",
        ".config/gcloud/credentials.db",
        ".azure/accessTokens.json",
        ".azure/msal_token_cache.json",
        ".gem/credentials",
        ".cargo/credentials.toml",
        ".cargo/credentials",
        ".m2/settings.xml",
        ".terraform.d/credentials.tfrc.json",
    ];
    if let Some(home) = home
        && (FILES.contains(&home)
            || home.starts_with(".ssh/id_")
            || matches!(home, ".ssh" | ".aws" | ".docker" | ".ssh/*"))
    {
        return Some(Source::CredentialFile(format!("~/{home}")));
    }
    if path == ".git/config" || path.ends_with("/.git/config") {
        return Some(Source::CheckoutCredentials);
    }
    let memory = path.strip_prefix("/proc/").is_some_and(|rest| rest.ends_with("/mem"));
    memory.then_some(Source::RunnerMemory)
}
