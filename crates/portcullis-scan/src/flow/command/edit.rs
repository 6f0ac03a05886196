//! sed, awk and perl as they edit what flows through them.

use super::Call;
use super::filter::{input, narrowed};
use crate::flow::shell::Shell;
use crate::flow::value::{Encoding, HopKind, Value};

/// Whether perl runs its program once for each line.
pub(super) fn edits(call: &Call<'_>) -> bool {
    call.texts().iter().any(|text| ["-p", "-n", "-i", "-lp", "-ln"].iter().any(|flag| text.starts_with(flag)))
}

/// Commands that an awk program runs: `system("…" ENVIRON["NAME"] …)`.
pub(super) fn awk_commands(shell: &mut Shell<'_, '_>, program: &str, bytes: crate::span::Bytes) {
    for (at, found) in program.match_indices("system(").take(8) {
        let mut rest = program.get(at + found.len()..).unwrap_or("");
        let mut code = Value::empty();
        while let Some(first) = rest.chars().next() {
            if first == ')' {
                break;
            } else if first == '"' {
                let text = rest.get(1..).unwrap_or("");
                let end = text.find('"').unwrap_or(text.len());
                code.push_text(text.get(..end).unwrap_or(""));
                rest = text.get(end + 1..).unwrap_or("");
            } else if let Some(inner) = rest.strip_prefix("ENVIRON[") {
                let (name, after) = inner.split_once(']').unwrap_or((inner, ""));
                let value = shell.variable(name.trim_matches(['"', '\'', ' ']));
                code.append(value);
                rest = after;
            } else {
                rest = rest.get(first.len_utf8()..).unwrap_or("");
            }
        }
        if !code.is_empty() && shell.depth() < 60 {
            shell.run_code(code, bytes, Vec::new());
        }
    }
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

/// sed, awk: what they print comes from what they read, and a program that takes single characters spaces them out.
pub(super) fn edit(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let mut content = input(shell, call);
    let program = call.joined();
    content.append(program.only_carried());
    if call.name.ends_with("awk") {
        let text = program.template();
        awk_commands(shell, &text, call.bytes);
    }
    let known = if call.name == "sed" { super::text::sed(call, &content) } else { None };
    let known =
        known.or_else(|| if call.name.ends_with("awk") { super::text::awk(call, &content) } else { None });
    let in_place = call.texts().iter().any(|text| text.starts_with("-i") || text == "--in-place");
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
    if program.template().contains("ENVIRON") {
        content.append(shell.dump_environment(call.bytes));
    }
    let no_separator = call.arguments.windows(2).any(
        |pair| matches!(pair, [flag, value] if flag.value.literal() == Some("-F") && value.value.is_empty()),
    );
    let spaces = is_spacing(&program.template()) || no_separator && call.name.ends_with("awk");
    let hop = shell.hop(HopKind::Encode, &format!("through {}", call.name), call.bytes);
    let output = if let Some(output) = known {
        output
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
