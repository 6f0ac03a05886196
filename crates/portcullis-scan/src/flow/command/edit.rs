//! sed, awk and perl as they edit what flows through them.

use super::Call;
use super::filter::{input, narrowed};
use crate::flow::shell::Shell;
use crate::flow::trace::{Channel, Role};
use crate::flow::value::{Encoding, HopKind, Value};

/// Whether perl runs its program once for each line.
pub(super) fn edits(call: &Call<'_>) -> bool {
    call.texts().iter().any(|text| ["-p", "-n", "-i", "-lp", "-ln"].iter().any(|flag| text.starts_with(flag)))
}

/// Commands that an awk program runs: `system("…" ENVIRON["NAME"] …)`, `print … | "command"`, `"command" | getline`.
pub(super) fn awk_commands(
    shell: &mut Shell<'_, '_>,
    program: &str,
    input: &Value,
    bytes: crate::span::Bytes,
) {
    for (at, found) in program.match_indices("system(").take(8) {
        let rest = program.get(at + found.len()..).unwrap_or("");
        let code = awk_expression(shell, rest.split(')').next().unwrap_or(""), &[], input);
        run_awk_code(shell, code, Value::empty(), bytes);
    }
    // `name = "…" …`, for the statements behind it.
    let mut variables: Vec<(String, Value)> = Vec::new();
    let body = program.split_once('{').map_or(program, |(_, body)| body);
    for statement in body.split([';', '\n', '}']).take(64) {
        let statement = statement.trim().trim_start_matches('{').trim();
        if let Some((name, value)) = statement.split_once('=')
            && name.trim().chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !value.starts_with('=')
        {
            let value = awk_expression(shell, value, &variables, input);
            variables.push((name.trim().to_owned(), value));
            continue;
        }
        let Some((left, right)) = statement.split_once("|&").or_else(|| statement.split_once('|')) else {
            continue;
        };
        if right.trim_start_matches('|').trim().starts_with("getline") {
            let code = awk_expression(shell, left, &variables, input);
            run_awk_code(shell, code, Value::empty(), bytes);
            continue;
        }
        let Some(printed) = left.trim().strip_prefix("print") else { continue };
        let content = awk_expression(shell, printed.trim_start_matches('f'), &variables, input);
        let target = awk_expression(shell, right, &variables, input);
        let text = target.template();
        let host = text.strip_prefix("/inet/").or_else(|| text.strip_prefix("/inet4/")).map(|rest| {
            let mut fields = rest.split('/').skip(2);
            format!("{}:{}", fields.next().unwrap_or(""), fields.next().unwrap_or(""))
        });
        match host {
            Some(host) => {
                let file = shell.file();
                shell.tracer.deliver(
                    content,
                    Channel::Network,
                    Role::Payload,
                    Value::text(host),
                    "awk",
                    file,
                    bytes,
                );
            }
            None => run_awk_code(shell, target, content, bytes),
        }
    }
}

fn run_awk_code(shell: &mut Shell<'_, '_>, code: Value, input: Value, bytes: crate::span::Bytes) {
    if code.is_empty() || shell.depth() > 60 {
        return;
    }
    let outer = std::mem::replace(&mut shell.stdin, input);
    shell.run_code(code, bytes, Vec::new());
    shell.stdin = outer;
}

/// The variables of the environment that an awk program names: `ENVIRON["TITLE"]`. `None` if it may take any.
fn named_in_awk(program: &str) -> Option<Vec<String>> {
    let named = |rest: &str| {
        let (name, _) = rest.trim_start().strip_prefix('[')?.split_once(']')?;
        let name = name.trim().strip_prefix('"')?.strip_suffix('"')?;
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then(|| name.to_owned())
    };
    program.split("ENVIRON").skip(1).map(named).collect()
}

/// Strings, variables of the environment, fields and variables side by side.
fn awk_expression(
    shell: &mut Shell<'_, '_>,
    text: &str,
    variables: &[(String, Value)],
    input: &Value,
) -> Value {
    let mut value = Value::empty();
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let inner = rest.get(1..).unwrap_or("");
            let mut escaped = false;
            let close = inner.char_indices().find(|(_, character)| {
                let found = *character == '"' && !escaped;
                escaped = *character == '\\' && !escaped;
                found
            });
            let end = close.map_or(inner.len(), |(at, _)| at);
            value.push_text(&crate::flow::shell::decode_escapes(inner.get(..end).unwrap_or("")));
            rest = inner.get(end + 1..).unwrap_or("");
        } else if let Some(inner) = rest.strip_prefix("ENVIRON[") {
            let (name, after) = inner.split_once(']').unwrap_or((inner, ""));
            let found = shell.variable(name.trim_matches(['"', '\'', ' ']));
            value.append(found);
            rest = after;
        } else if let Some(tail) = rest.strip_prefix('$') {
            value.append(input.only_carried());
            rest = tail.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        } else {
            let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let name = rest.get(..length).unwrap_or("");
            if let Some((_, known)) = variables.iter().rev().find(|(known, _)| known == name) {
                value.append(known.clone());
            }
            rest = rest.get(length.max(first.len_utf8())..).unwrap_or("");
        }
    }
    value
}

/// `s#^#text#` and `s#$#text#`: text put before or behind each line.
pub(super) fn affixes(program: &str) -> Option<(String, String)> {
    let rest = program.trim().strip_prefix('s')?;
    let mark = rest.chars().next().filter(|mark| !mark.is_ascii_alphanumeric())?;
    let mut fields = rest.get(mark.len_utf8()..)?.split(mark);
    let (pattern, replacement) = (fields.next()?, fields.next()?);
    match pattern {
        "^" => Some((replacement.to_owned(), String::new())),
        "$" => Some((String::new(), replacement.to_owned())),
        "^.*$" | ".*" | "\\(.*\\)" | "(.*)" => {
            let whole = replacement.replace("\\1", "&");
            let (before, after) = whole.split_once('&')?;
            Some((before.to_owned(), after.to_owned()))
        }
        _ => None,
    }
}

/// `sed -i`, `sed -i.bak`, `perl -pi`.
fn is_in_place(name: &str, option: &str) -> bool {
    option.starts_with("-i")
        || option.starts_with("--in-place")
        || name == "perl" && option.starts_with("-p") && option.contains('i')
}

/// sed, awk: what they print comes from what they read, and a program that takes single characters spaces them out.
pub(super) fn edit(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let mut content = input(shell, call);
    if call.name == "sed"
        && let Some(address) = super::text::address_put_in(call, &content)
    {
        return address;
    }
    let program = call.joined();
    content.append(program.only_carried());
    if call.name.ends_with("awk") {
        let text = program.template();
        let lines = content.clone();
        awk_commands(shell, &text, &lines, call.bytes);
    }
    let known = if call.name == "sed" { super::text::sed(call, &content) } else { None };
    let known =
        known.or_else(|| if call.name.ends_with("awk") { super::text::awk(call, &content) } else { None });
    let in_place = call.texts().iter().any(|text| is_in_place(call.name, text));
    if in_place {
        super::patch::edited(shell, call);
    }
    if let Some(output) = known.clone().filter(|_| !in_place) {
        return output;
    }
    if call.name == "sed"
        && let Some((before, after)) =
            call.operands().first().and_then(|operand| affixes(&operand.value.template()))
    {
        let mut line = Value::text(before);
        line.append(content);
        line.push_text(&after);
        return line;
    }
    match named_in_awk(&program.template()) {
        Some(names) => {
            for name in names {
                let value = shell.variable(&name);
                content.append(value);
            }
        }
        None => content.append(shell.dump_environment(call.bytes)),
    }
    let reverses = call.name == "perl" && program.template().contains("reverse");
    let no_separator = call.arguments.windows(2).any(
        |pair| matches!(pair, [flag, value] if flag.value.literal() == Some("-F") && value.value.is_empty()),
    );
    let spaces = is_spacing(&program.template()) || no_separator && call.name.ends_with("awk");
    let hop = shell.hop(HopKind::Encode, &format!("through {}", call.name), call.bytes);
    let output = if let Some(output) = known {
        output
    } else if content.carries() && reverses {
        content.encoded(Encoding::Reversed, &hop)
    } else if content.carries() && spaces {
        content.encoded(Encoding::Spaced, &hop)
    } else {
        narrowed_unless_literal(content)
    };
    if in_place {
        for operand in call.operands() {
            let name = operand.value.template();
            if output.carries() && (name.contains('/') || name.contains('.')) && !name.contains(' ') {
                shell.write_to(&operand.value, output.clone(), true, operand.bytes);
            }
        }
        return Value::empty();
    }
    output
}

pub(super) fn narrowed_unless_literal(content: Value) -> Value {
    if content.literal().is_some() { Value::unknown() } else { narrowed(content) }
}

/// `s/./& /g`, `s/\(.\)/\1 /g`, `s/.\{3\}/&-/g`, awk with an empty field separator or `substr` of one.
pub(super) fn is_spacing(program: &str) -> bool {
    let compact: String = program.chars().filter(|character| !character.is_whitespace()).collect();
    [
        "s/./",
        "s/\\(.\\)",
        "s/(.)",
        "s|.|",
        "s/\\B",
        "s/.\\{",
        "s/.{",
        "s,.,",
        "FS=\"\"",
        "FS=''",
        "-F''",
        "-F\"\"",
        "substr(",
    ]
    .iter()
    .any(|pattern| compact.contains(pattern))
        && !compact.contains("s/.*")
}
