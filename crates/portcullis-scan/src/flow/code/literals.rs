//! Ruby, Perl, PHP, Lua, Go, Rust, C, Java: no grammar, so their string literals and the variables they name stand for
//! the program.
//!
//! Together they say: this program names these secrets, and these addresses, and it can send. That is coarse; it
//! never calls a program clean that names both. Command lines in it are followed as any other.

use std::collections::HashMap;

use super::send;
use crate::flow::script::Script;
use crate::flow::shell;
use crate::flow::trace::{Channel, Role};
use crate::flow::value::{Encoding, Hop, HopKind, Value};
use crate::flow::{JobState, Tracer};
use crate::span::Bytes;
use crate::text::RepositoryText;

/// Words by which these languages send.
const CLIENTS: &[&str] = &[
    "Net::HTTP",
    "URI(",
    "open-uri",
    "RestClient",
    "HTTParty",
    "Faraday",
    "LWP",
    "HTTP::Tiny",
    "TCPSocket",
    "UDPSocket",
    "IO::Socket",
    "curl_",
    "file_get_contents",
    "fsockopen",
    "stream_context",
    "post_form",
    "http.",
    "http::",
    "net.Dial",
    "net/http",
    "TcpStream",
    "UdpSocket",
    "reqwest",
    "ureq",
    "HttpClient",
    "HttpURLConnection",
    "java.net",
    "socket.",
    "socket(",
    "WebClient",
    "Mojo::UserAgent",
    "libcurl",
    "Resolv",
    "gethostbyname",
    "new URL(",
    "openConnection",
    "download.file",
    "httr::",
];

/// Words that stand before a command line.
const RUNNERS: &[&str] = &[
    "system(",
    "system ",
    "exec(",
    "exec ",
    "popen(",
    "os.execute(",
    "io.popen(",
    "shell_exec(",
    "passthru(",
    "proc_open(",
    "Open3.capture2(",
    "Open3.capture3(",
    "IO.popen(",
    "spawn(",
    "exec.Command(",
    "Command::new(",
    "%x(",
    "%x{",
    "qx(",
    "qx{",
    "Runtime.getRuntime().exec(",
    "ProcessBuilder(",
    "system2(",
];

/// Ways to name the environment as a whole.
const DUMPS: &[&str] = &[
    "ENV.to_h",
    "ENV.each",
    "ENV.map",
    "ENV.to_a",
    "%ENV",
    "getenv()",
    "$_ENV)",
    "$_ENV,",
    "ENV.inspect",
    "ENV.select",
    "ENV.collect",
    "ENV.to_json",
    "os.Environ()",
    "env::vars()",
    "System.getenv())",
    "System.getenv().",
    "environ[",
    "Sys.getenv()",
];

/// Calls that print.
const PRINTERS: &[&str] = &[
    "puts",
    "print",
    "say",
    "echo",
    "p ",
    "printf",
    "fmt.Print",
    "println!",
    "System.out.print",
    "io.write",
    "var_dump",
];

/// One stretch of the program's text: a string, or what stands between two.
enum Token<'t> {
    Text(&'t str),
    Literal(std::ops::Range<usize>, char),
}

/// Follows a program by its literals; returns what it prints.
pub(super) fn run(
    tracer: &mut Tracer<'_>,
    state: &mut JobState,
    environment: &HashMap<String, Value>,
    script: &Script,
    depth: usize,
) -> Value {
    let whole = 0..script.text.len();
    let text = script.slice(whole.clone());
    let bytes = script.bytes(whole.clone());
    let mut content = Value::empty();
    for (_, part) in script.placeholders_in(&whole) {
        content.push(part.clone());
    }
    for name in named_variables(text, environment) {
        content.append(environment.get(name).map(Value::only_carried).unwrap_or_default());
    }
    content.append(files_read(tracer, state, script, bytes));
    if DUMPS.iter().any(|dump| text.contains(dump)) {
        let source = crate::flow::value::Source::Environment;
        content.append(tracer.enter(source, "the whole environment", script.file, bytes));
        let all = crate::flow::sorted(environment).into_iter();
        for (_, value) in all.filter(|(name, _)| !crate::flow::is_runner_variable(name)) {
            content.append(value.only_carried());
        }
    }
    let commands = run_commands(tracer, state, environment, script, bytes, depth);
    let sends = CLIENTS.iter().any(|client| text.contains(client));
    if sends && content.carries() {
        let value = script.value(whole, str::to_owned);
        let target = send::address(&value).or_else(|| host_among_literals(script));
        let target = target.unwrap_or_else(Value::unknown);
        tracer.deliver(content, Channel::Network, Role::Payload, target, "program", script.file, bytes);
        return Value::empty();
    }
    if !sends && !commands {
        tracer.works();
    }
    if !sends && PRINTERS.iter().any(|printer| text.contains(printer)) {
        return printed(content, text, script, bytes);
    }
    Value::empty()
}

/// Words by which these languages read a file.
const READERS: &[&str] = &[
    "file_get_contents",
    "readfile",
    "fopen",
    "file(",
    "CURLFile",
    "File.",
    "IO.read",
    "IO.binread",
    "open(",
    "open my",
    "slurp",
    "path(",
    "ReadFile",
    "read_to_string",
    "fs::read",
    "Files.read",
    "io.open",
    "io.lines",
    "readLines",
    "readChar",
];

/// Files that steps wrote, or that hold credentials, and that the program names as a whole literal.
fn files_read(tracer: &Tracer<'_>, state: &JobState, script: &Script, bytes: Bytes) -> Value {
    let text = script.slice(0..script.text.len());
    let mut content = Value::empty();
    if !READERS.iter().any(|reader| text.contains(reader)) {
        return content;
    }
    for token in tokens(text) {
        let Token::Literal(range, _) = token else { continue };
        let path = script.slice(range);
        if path.is_empty() || path.len() > 256 || path.contains(char::is_whitespace) {
            continue;
        }
        if let Some(written) = state.written(path).filter(Value::carries) {
            content.append(written.only_carried());
        } else if let Some(source) = crate::flow::command::credential_file(path) {
            content.append(tracer.enter(source, "read by a program", script.file, bytes));
        }
    }
    content
}

/// Variables that the program names: as a word, or where the name is short, as a whole literal or key.
fn named_variables<'e>(text: &str, environment: &'e HashMap<String, Value>) -> Vec<&'e String> {
    let mut names: Vec<&String> = environment
        .keys()
        .filter(|name| {
            text.match_indices(name.as_str()).any(|(at, found)| {
                let before = text.get(..at).and_then(|before| before.chars().next_back());
                let after = text.get(at + found.len()..).and_then(|after| after.chars().next());
                let word = |character: Option<char>| {
                    character.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
                };
                let marked = before.is_some_and(|c| "\"'{[$:`".contains(c));
                !word(before) && !word(after) && (name.len() >= 4 || marked)
            })
        })
        .collect();
    names.sort();
    names
}

/// The host that a literal is: `"collector.example:443"`.
fn host_among_literals(script: &Script) -> Option<Value> {
    let text = script.slice(0..script.text.len());
    tokens(text).into_iter().find_map(|token| match token {
        Token::Literal(range, _) => {
            let inside = text.get(range)?;
            let host = inside.split(':').next().unwrap_or("");
            let is_host = host.contains('.')
                && !host.ends_with(['.', '/'])
                && !inside.contains(['/', ' ', '\n', '%'])
                && host.rsplit('.').next().is_some_and(|last| last.len() >= 2);
            let is_file = ["rb", "pl", "php", "txt", "json", "go", "rs", "java", "Println", "Getenv"]
                .iter()
                .any(|end| host.ends_with(end));
            (is_host && !is_file).then(|| Value::text(inside.to_owned()))
        }
        Token::Text(_) => None,
    })
}

/// Splits a program at its strings; `` ` `` too, which runs a command in most of these languages.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut from = 0;
    let mut at = 0;
    while let Some(open) = text.get(at..).and_then(|rest| rest.find(['"', '\'', '`'])).map(|open| at + open) {
        let quote = text.get(open..).and_then(|rest| rest.chars().next()).unwrap_or('"');
        let mut escaped = false;
        let mut inner = 0;
        let mut before = ' ';
        let close = text.get(open + 1..).unwrap_or("").char_indices().find(|(_, c)| {
            // `"#{ENV["A"]}"`: quotes inside of what is put in are its own.
            match c {
                '{' if before == '#' => inner += 1,
                '}' if inner > 0 => inner -= 1,
                _ => {}
            }
            before = *c;
            let found = *c == quote && !escaped && inner == 0;
            escaped = *c == '\\' && !escaped;
            found
        });
        let Some((length, _)) = close else { break };
        tokens.push(Token::Text(text.get(from..open).unwrap_or("")));
        tokens.push(Token::Literal(open + 1..open + 1 + length, quote));
        from = open + length + 2;
        at = from;
        if tokens.len() > 4_000 {
            break;
        }
    }
    tokens.push(Token::Text(text.get(from..).unwrap_or("")));
    tokens
}

/// Follows the command lines of a program; whether there were any.
fn run_commands(
    tracer: &mut Tracer<'_>,
    state: &mut JobState,
    environment: &HashMap<String, Value>,
    script: &Script,
    bytes: Bytes,
    depth: usize,
) -> bool {
    let text = script.slice(0..script.text.len()).to_owned();
    let mut ran = false;
    let mut line: Option<Value> = None;
    let mut words = 0;
    for token in tokens(&text) {
        match token {
            Token::Text(between) => {
                if let Some(code) = &mut line {
                    // What is put beside the literals: variables, or the next argument.
                    let end = between.find([';', '\n']).unwrap_or(between.len());
                    let inner = between.get(..end).unwrap_or("");
                    for name in named_variables(inner, environment) {
                        code.append(environment.get(name).cloned().unwrap_or_default());
                    }
                    if inner.contains(',') || inner.contains(").arg") {
                        code.push_text(" ");
                    }
                    let ends = end < between.len() || inner.trim_end().ends_with(')') && !inner.contains("(");
                    if ends && ran_now(tracer, state, environment, script, code, bytes, depth) {
                        ran = true;
                        line = None;
                    }
                }
                let trimmed = between.trim_end_matches(['&', '[', ' ', '\t']);
                if line.is_none()
                    && RUNNERS
                        .iter()
                        .any(|runner| between.ends_with(runner) || trimmed.ends_with(runner.trim_end()))
                {
                    line = Some(Value::empty());
                    words = 0;
                }
            }
            Token::Literal(range, quote) => {
                let inside = text.get(range.clone()).unwrap_or("");
                if quote == '`' && line.is_none() {
                    let mut code = interpolated(inside, script, range, environment);
                    ran |= ran_now(tracer, state, environment, script, &mut code, bytes, depth);
                    continue;
                }
                let Some(code) = &mut line else { continue };
                let value = interpolated(inside, script, range, environment);
                let is_word = inside.contains(' ') && words > 0 && code.prefix().trim_end().ends_with("-c");
                if is_word {
                    // `sh -c "…"`: one word of the line.
                    code.push_text("'");
                    code.append(value);
                    code.push_text("'");
                } else if environment.contains_key(inside) && quote != '`' {
                    // The name of a variable that is asked for: `ENV["A"]`.
                    code.append(environment.get(inside).cloned().unwrap_or_default());
                } else {
                    code.append(value);
                }
                words += 1;
            }
        }
    }
    if let Some(mut code) = line {
        ran |= ran_now(tracer, state, environment, script, &mut code, bytes, depth);
    }
    ran
}

fn ran_now(
    tracer: &mut Tracer<'_>,
    state: &mut JobState,
    environment: &HashMap<String, Value>,
    script: &Script,
    code: &mut Value,
    bytes: Bytes,
    depth: usize,
) -> bool {
    let code = std::mem::take(code);
    if code.is_empty() || depth > 60 {
        return false;
    }
    let inner = Script::from_value(code, script.file, bytes);
    let output = shell::run(tracer, state, environment, inner, Vec::new(), depth + 5);
    tracer.log(&output, script.file, bytes);
    true
}

/// A literal with `#{ENV["A"]}` and `$ENV{A}` in it, escapes undone.
fn interpolated(
    inside: &str,
    script: &Script,
    range: std::ops::Range<usize>,
    environment: &HashMap<String, Value>,
) -> Value {
    let plain = |text: &str| {
        text.replace("\\\"", "\"").replace("\\$", "$").replace("\\n", "\n").replace("\\\\", "\\")
    };
    let mut out = Value::empty();
    let mut rest = inside;
    let mut at = range.start;
    while let Some((open, mark, end)) = ["#{", "$ENV{", "${ENV"]
        .iter()
        .filter_map(|mark| {
            let open = rest.find(mark)?;
            let length = rest.get(open..)?.find('}')?;
            Some((open, *mark, open + length + 1))
        })
        .min_by_key(|(open, ..)| *open)
    {
        out.append(script.value(at..at + open, plain));
        let expression = rest.get(open + mark.len()..end - 1).unwrap_or("");
        let name = expression
            .trim_start_matches("ENV")
            .trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let name =
            name.trim_start_matches("fetch").trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        out.append(environment.get(name).cloned().unwrap_or_else(Value::unknown));
        rest = rest.get(end..).unwrap_or("");
        at += end;
    }
    out.append(script.value(at..range.end.max(at), plain));
    out
}

/// What a program prints of the secrets that it names, changed as its words say.
fn printed(content: Value, text: &str, script: &Script, bytes: Bytes) -> Value {
    let changes: &[(&[&str], Encoding)] = &[
        (&["reverse", "strrev"], Encoding::Reversed),
        (&["unpack", "hex", "ord"], Encoding::Hex),
        (&["chars", "split", "each_char"], Encoding::Spaced),
    ];
    let mut value = content;
    if !value.carries() {
        return literal_output(text, script);
    }
    for (words, encoding) in changes {
        if words.iter().any(|word| text.contains(word)) {
            let hop = Hop {
                kind: HopKind::Encode,
                what: RepositoryText::new("changed by a program"),
                file: script.file,
                bytes,
            };
            return value.encoded(*encoding, &hop);
        }
    }
    value.push_text("\n");
    value
}

/// The one literal that a program without secrets prints, reversed where it says so.
fn literal_output(text: &str, script: &Script) -> Value {
    let literals: Vec<String> = tokens(text)
        .into_iter()
        .filter_map(|token| match token {
            Token::Literal(range, quote) if quote != '`' => Some(script.slice(range).to_owned()),
            _ => None,
        })
        .collect();
    match literals.as_slice() {
        [one] if text.contains("reverse") || text.contains("strrev") => {
            Value::text(one.chars().rev().collect::<String>())
        }
        [one] if !text.contains(['+', '.', '$']) => Value::text(one.clone()),
        _ => Value::unknown(),
    }
}
