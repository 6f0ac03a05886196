//! What each program does with the words and the input it is given.
//!
//! A program falls into one of these: it prints what it got (`echo`), changes it (`base64`), reads files (`cat`), sends
//! (`curl`), runs other code (`bash -c`), publishes (`twine`), or does work that is none of the scanner's business.

pub mod action;
mod client;
mod cmd;
mod compose;
mod credential;
mod curl;
mod described;
mod dockerfile;
mod each;
mod edit;
mod encode;
mod environment;
mod filter;
mod forge;
mod git;
mod grant;
mod image;
mod interpreter;
mod jq;
pub use cmd::translated;
pub use credential::credential_file;
pub use curl::{MINTED, answer, exchanged};
pub use encode::{LOCKED, decode_base64, decode_utf16_base64};
pub use image::{RUN_BY_COMMAND, words};
pub use interpreter::{Language, language, run_in, run_text};
pub(super) use jq::SETTINGS;
mod network;
mod patch;
mod project;
mod publish;
mod store;
mod text;
mod tool;
mod wrapper;
mod written;

use crate::flow::shell::{Argument, Shell};
use crate::flow::trace::{Channel, Role};
use crate::flow::value::{Part, Value};
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

/// A value with literal text before it.
pub fn prefixed(text: &str, value: &Value) -> Value {
    let mut out = Value::text(text);
    out.append(value.clone());
    out
}

/// The client of a delivery to code from an address that runs with secrets in its environment.
pub const REMOTE_CODE: &str = "remote code";

/// Commands that do nothing by themselves that would make a workflow useful: a job of only these and of sending has
/// no other purpose than to send.
const IDLE: &[&str] = &[
    "true", "false", ":", "sleep", "exit", "return", "wait", "cd", "pwd", "ls", "date", "whoami", "hostname",
    "id", "uname", "which", "type", "trap", "shift", "local", "unset", "set", "shopt", "mkdir", "touch",
    "chmod", "rm", "break", "continue", "test", "[", "[[", "ulimit", "umask", "mkfifo", "alias", "hash",
    "kill", "disown", "clear", "tty", "stat", "df", "free", "ps", "ip", "ifconfig",
];

/// Of those the ones that print nothing, so that a line of the log begins with what comes after them.
const SILENT: &[&str] = &[
    "true", "false", ":", "sleep", "exit", "return", "wait", "cd", "shift", "local", "unset", "set", "shopt",
    "mkdir", "touch", "chmod", "rm", "break", "continue", "test", "[", "[[", "umask", "mkfifo", "disown",
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
    // `/usr/bin/cur?`: the pattern stands for the program that it matches.
    let base = matched(&base).map_or(base, str::to_owned);
    if let Some(output) = interpreter::in_path(shell, name, &arguments, bytes) {
        return output;
    }
    // `$z -s …` where z holds several words was split already; `"$z"` with spaces is one word.
    if wrapper::WRAPPERS.contains(&base.as_str()) {
        return wrapper::wrapped(shell, &base, arguments, bytes);
    }
    if let Some(started) = environment::command(&base, &arguments) {
        return shell.invoke(started, bytes);
    }
    let call = Call { name: &base, arguments: &arguments, stdin, bytes };
    grant::runner_setup(shell, &call);
    credential::leave_login(shell, &call);
    if let Some(output) = filter::run(shell, &call) {
        return output;
    }
    if let Some(output) = network::run(shell, &call) {
        return output;
    }
    if let Some(output) = client::run(shell, &call) {
        return output;
    }
    if let Some(output) = store::run(shell, &call) {
        return output;
    }
    written::loaded_by(shell, &call);
    described::run(shell, &call);
    match call.name {
        "pip" | "pip3" | "uv" | "pipx" => publish::ask_index(shell, &call),
        "npm" | "yarn" | "pnpm" if written::set_script(shell, &call) => return Value::empty(),
        "npm" | "yarn" | "pnpm" => publish::ask_registry(shell, &call),
        _ => {}
    }
    if let Some(output) = interpreter::code(shell, name, &call) {
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
        "coproc" => return shell.coprocess(arguments.clone(), bytes),
        "set" => {
            if let Some(end) = arguments.iter().position(|argument| argument.value.literal() == Some("--")) {
                shell.positional =
                    arguments.iter().skip(end + 1).map(|argument| argument.value.clone()).collect();
            }
        }
        "cd" | "pushd" => {
            // Inside a clone, `origin` is where it came from.
            let folder = call.operands().first().map(|folder| folder.value.template()).unwrap_or_default();
            let folder = folder.trim_end_matches('/').trim_start_matches("./").to_owned();
            let before = shell.state.folder.clone();
            if base == "pushd" || folder != "-" {
                shell.state.folders.push(before);
                if shell.state.folders.len() > 32 {
                    shell.state.folders.remove(0);
                }
            }
            shell.state.enter(&folder);
            if let Some(url) = shell.state.remotes.get(&format!("clone:{folder}")).cloned() {
                shell.state.remotes.insert("origin".to_owned(), url);
            }
        }
        "patch" => patch::apply(shell, &call),
        "popd" => shell.state.folder = shell.state.folders.pop().unwrap_or_default(),
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
    if SILENT.contains(&base.as_str()) { Value::empty() } else { Value::unknown() }
}

/// The program that a pattern is made to match.
fn matched(name: &str) -> Option<&'static str> {
    const PROGRAMS: &[&str] = &[
        "curl", "wget", "nc", "ncat", "netcat", "socat", "bash", "sh", "python3", "python", "node",
        "openssl", "base64", "ssh", "scp", "dig", "nslookup", "perl", "ruby",
    ];
    if !name.contains(['?', '*', '[']) || name.len() < 2 {
        return None;
    }
    let pattern =
        regex::escape(name).replace("\\?", ".").replace("\\*", ".*").replace("\\[", "[").replace("\\]", "]");
    let pattern = regex::RegexBuilder::new(&format!("^{pattern}$")).size_limit(1 << 15).build().ok()?;
    PROGRAMS.iter().copied().find(|program| pattern.is_match(program))
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
