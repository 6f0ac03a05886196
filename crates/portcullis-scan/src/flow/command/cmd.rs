//! `shell: cmd`: a batch script as the shell script that does the same.
//!
//! There is no grammar for it here, and its language is small: variables between percent signs, `set`, `for /f`,
//! carets that mean nothing. What a line does is the business of the programs in it, which are the same everywhere.

use crate::flow::value::{Part, Text, Value};

/// The script in the words of a shell.
pub fn translated(script: Value) -> Value {
    let mut out = Value::empty();
    let mut quoted = false;
    for line in crate::flow::lines(&script) {
        let mut line = line;
        for part in &mut line.parts {
            if let Part::Text(text) = part {
                *text = Text::new(words(text, &mut quoted));
            }
        }
        quoted = false;
        out.append(statement(line));
        out.push_text("\n");
    }
    out
}

/// Characters that a shell would read otherwise, and variables.
fn words(text: &str, quoted: &mut bool) -> String {
    let mut out = String::new();
    let mut rest = text.trim_end_matches('\r');
    while let Some(character) = rest.chars().next() {
        let tail = rest.get(character.len_utf8()..).unwrap_or("");
        rest = tail;
        match character {
            '"' => {
                *quoted = !*quoted;
                out.push('"');
            }
            '^' if !*quoted => {
                let next = tail.chars().next();
                out.extend(next.filter(|next| !next.is_whitespace()));
                rest = tail.get(next.map_or(0, char::len_utf8)..).unwrap_or("");
            }
            '%' if tail.starts_with('%') => {
                // `%%i` in a file: the variable of a loop.
                let name = tail.get(1..).unwrap_or("").trim_start_matches(['~', 'f', 'n', 'x']);
                let length = name.chars().next().filter(char::is_ascii_alphabetic).map_or(0, char::len_utf8);
                out.push_str(&format!("${{{}}}", name.get(..length).unwrap_or("")));
                rest = name.get(length..).unwrap_or("");
            }
            '%' | '!' => match tail.split_once(character) {
                Some((name, after)) if is_variable(name) => {
                    out.push_str(&expansion(name));
                    rest = after;
                }
                _ => out.push(character),
            },
            '$' | '`' => out.extend(['\\', character]),
            '\'' if !*quoted => out.push_str("\\'"),
            '\\' => out.push('/'),
            '&' if !*quoted && !tail.starts_with('&') && !out.ends_with('&') && !out.ends_with('>') => {
                out.push(';')
            }
            other => out.push(other),
        }
    }
    out
}

fn is_variable(name: &str) -> bool {
    let plain = name.split(':').next().unwrap_or("");
    !plain.is_empty() && plain.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `NAME`, `NAME:~0,5` and `NAME:a=b`.
fn expansion(name: &str) -> String {
    let Some((name, change)) = name.split_once(':') else { return format!("${{{name}}}") };
    if let Some(range) = change.strip_prefix('~') {
        return format!("${{{name}:{}}}", range.replace(',', ":"));
    }
    match change.split_once('=') {
        Some((from, to)) => format!("${{{name}//{from}/{to}}}"),
        None => format!("${{{name}}}"),
    }
}

/// A line whose first word is one of cmd's own.
fn statement(line: Value) -> Value {
    let prefix = line.prefix().trim_start().trim_start_matches('@').to_owned();
    let skipped = line.prefix().len() - prefix.len();
    let lower = prefix.to_ascii_lowercase();
    let word = lower.split(|c: char| c.is_whitespace() || c == '.').next().unwrap_or("");
    let body = |count: usize| super::after(&line, skipped + count);
    match word {
        "rem" | "setlocal" | "endlocal" | "title" | "color" | "cls" => Value::empty(),
        _ if prefix.starts_with(':') => Value::empty(),
        "echo" if matches!(lower.trim(), "echo off" | "echo on" | "echo.") => Value::empty(),
        "call" | "start" => body(word.len()),
        "set" if prefix.len() > 3 => assignment(body(3)),
        "for" => for_each(&prefix, &line, skipped),
        "type" => {
            let mut out = Value::text("cat");
            out.append(body(4));
            out
        }
        _ => without_nul(super::after(&line, skipped)),
    }
}

/// `set NAME=text to the end`, `set "NAME=text"`, `set /p NAME=<file`.
fn assignment(body: Value) -> Value {
    let text = body.prefix().trim_start().to_owned();
    let skipped = body.prefix().len() - text.len();
    let (text, skipped) = match text.strip_prefix("/p ").or_else(|| text.strip_prefix("/a ")) {
        Some(rest) => (rest.to_owned(), skipped + 3),
        None => (text, skipped),
    };
    let open = usize::from(text.starts_with('"'));
    let Some((name, rest)) = text.get(open..).unwrap_or("").split_once('=') else {
        // `set` with the beginning of a name lists all of them; what comes out may go on.
        let mut out = Value::text("env ");
        if text.starts_with(['>', '|']) {
            out.append(super::after(&body, skipped));
        }
        return out;
    };
    if let Some(path) = rest.strip_prefix('<') {
        return Value::text(format!("read {} < {path}", name.trim()));
    }
    let mut out = Value::text(format!("export {}=\"", name.trim()));
    let mut value = super::after(&body, skipped + open + name.len() + 1);
    if let Some(Part::Text(last)) = value.parts.last_mut() {
        let length = last.trim_end().trim_end_matches('"').len();
        last.to_mut().truncate(length);
    }
    for part in value.parts {
        match part {
            Part::Text(text) => out.push_text(&text.replace('"', "\\\"")),
            other => out.push(other),
        }
    }
    out.push_text("\"");
    out
}

/// `for /f "…" %%i in ('command') do …`, `for %%i in (a b) do …`.
fn for_each(prefix: &str, line: &Value, skipped: usize) -> Value {
    let parts = (|| {
        let open = prefix.find(" in (").or_else(|| prefix.find(" IN ("))?;
        let close = prefix.find(") do ").or_else(|| prefix.find(") DO "))?;
        let name = prefix.get(..open)?.rsplit("${").next()?.trim_end_matches('}').trim().to_owned();
        Some((name, prefix.get(open + 5..close)?.trim().to_owned(), close + 5))
    })();
    let Some((name, list, body)) = parts else { return line.clone() };
    let command = list.trim_matches(['\\', '\'', '`']);
    let is_command = list.starts_with("\\'") || list.starts_with("\\`");
    let over = if is_command { format!("$({})", command.trim_end_matches('\\')) } else { list };
    let mut out = Value::text(format!("for {name} in {over}; do "));
    out.append(super::after(line, skipped + body));
    out.push_text("; done");
    out
}

fn without_nul(mut line: Value) -> Value {
    for part in &mut line.parts {
        if let Part::Text(text) = part
            && text.to_ascii_lowercase().contains(">nul")
        {
            *text = Text::new(text.replace(">nul", ">/dev/null").replace(">NUL", ">/dev/null"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_translated() {
        let of = |text: &str| translated(Value::text(text)).template().trim_end().to_owned();
        assert_eq!(of("@echo off\r"), "");
        assert_eq!(of("set U=https://x.example/\r"), "export U=\"https://x.example/\"");
        assert_eq!(of("c^u^rl -d \"%A%-!B!\" %U% >nul"), "curl -d \"${A}-${B}\" ${U} >/dev/null");
        assert_eq!(of("for /f %%i in ('echo %A%') do curl %%i"), "for i in $(echo ${A}); do curl ${i}; done");
        assert_eq!(of("echo %A:~0,5% costs $5"), "echo ${A:0:5} costs \\$5");
    }
}
