//! Lines and fields of text that is known: `cut`, `head`, `grep`, `sed s`, `awk print`.
//!
//! An address hidden in a list, behind a field, or in a template comes out of these; where their program is more than
//! what stands here, or the text is not known, nothing is guessed.

use regex::{Regex, RegexBuilder};

use super::Call;
use crate::flow::lines;
use crate::flow::value::{Carried, Part, Source, Value};

/// Most lines that are looked at one by one.
const LINES_MAX: usize = 2_000;

/// Whether all of it is known, or a secret.
fn is_known(value: &Value) -> bool {
    value.parts.iter().all(|part| matches!(part, Part::Text(_) | Part::Carried(_)))
}

/// The lines of a value, without the empty one that a final line break leaves.
fn known_lines(value: &Value) -> Option<Vec<Value>> {
    let mut all = lines(value);
    if all.last().is_some_and(Value::is_empty) {
        all.pop();
    }
    (is_known(value) && all.len() <= LINES_MAX && !all.is_empty()).then_some(all)
}

fn joined(lines: Vec<Value>) -> Value {
    let mut value = Value::empty();
    for line in lines {
        value.append(line);
        value.push_text("\n");
    }
    value
}

/// The text of a line, with a mark that no pattern matches in place of each secret.
fn visible(line: &Value) -> String {
    let shown = line.parts.iter().map(|part| match part {
        Part::Text(text) => text.as_str(),
        // Stands before the first line of a dump.
        Part::Carried(Carried { source: Source::Environment, .. }) => "",
        _ => "\u{fffc}",
    });
    shown.collect()
}

/// `head` and `tail` by lines.
pub(super) fn ends(call: &Call<'_>, content: &Value) -> Option<Value> {
    let count = call.option(&["-n", "--lines"]).map(|value| value.template());
    let short = call.texts().into_iter().find_map(|text| {
        let digits = text.strip_prefix("-n").or_else(|| text.strip_prefix('-'))?.to_owned();
        (!digits.is_empty() && digits.trim_start_matches('+').chars().all(|c| c.is_ascii_digit()))
            .then_some(digits)
    });
    let count = count.or(short).unwrap_or_else(|| "10".to_owned());
    let all = known_lines(content)?;
    let total = all.len();
    let taken: Vec<Value> = if call.name == "head" {
        match count.strip_prefix('-') {
            Some(but) => all.into_iter().take(total.saturating_sub(but.parse().ok()?)).collect(),
            None => all.into_iter().take(count.parse().ok()?).collect(),
        }
    } else {
        match count.strip_prefix('+') {
            Some(from) => all.into_iter().skip(from.parse::<usize>().ok()?.saturating_sub(1)).collect(),
            None => all
                .into_iter()
                .skip(total.saturating_sub(count.trim_start_matches('-').parse().ok()?))
                .collect(),
        }
    };
    Some(joined(taken))
}

/// The pieces of a line between separators; white space where none is given.
fn fields(line: &Value, separator: Option<&str>) -> Vec<Value> {
    let mut all = vec![Value::empty()];
    let mut begun = false;
    for part in &line.parts {
        let Part::Text(text) = part else {
            if let Some(last) = all.last_mut() {
                last.push(part.clone());
            }
            begun = true;
            continue;
        };
        let pieces: Vec<&str> = match separator {
            Some(separator) if !separator.is_empty() => text.split(separator).collect(),
            _ => text.split(char::is_whitespace).collect(),
        };
        for (at, piece) in pieces.into_iter().enumerate() {
            if at > 0
                && (separator.is_some() || begun)
                && all.last().is_some_and(|last| separator.is_some() || !last.is_empty())
            {
                all.push(Value::empty());
            }
            if !piece.is_empty() {
                begun = true;
            }
            if let Some(last) = all.last_mut() {
                last.push_text(piece);
            }
        }
    }
    all
}

/// `cut -d D -f LIST`.
pub(super) fn cut(call: &Call<'_>, content: &Value) -> Option<Value> {
    let short = |flag: &str| {
        call.texts()
            .into_iter()
            .find_map(|text| text.strip_prefix(flag).filter(|rest| !rest.is_empty()).map(str::to_owned))
    };
    let list = call.option(&["-f", "--fields"]).map(|value| value.template()).or_else(|| short("-f"))?;
    let delimiter = call.option(&["-d", "--delimiter"]).map(|value| value.template()).or_else(|| short("-d"));
    let delimiter = delimiter.unwrap_or_else(|| "\t".to_owned());
    let mut ranges = Vec::new();
    for range in list.split(',') {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let from = if from.is_empty() { 1 } else { from.parse::<usize>().ok()? };
        let to = if to.is_empty() { usize::MAX } else { to.parse::<usize>().ok()? };
        ranges.push(from..=to);
    }
    // The header and the claims of an identity token.
    if delimiter == "." && content.is_identity() && ranges.iter().all(|range| *range.end() <= 2) {
        return Some(Value::unknown());
    }
    let mut out = Vec::new();
    for line in known_lines(content)? {
        let all = fields(&line, Some(&delimiter));
        if all.len() == 1 {
            out.push(line);
            continue;
        }
        let mut cut = Value::empty();
        let chosen = all
            .into_iter()
            .enumerate()
            .filter(|(at, _)| ranges.iter().any(|range| range.contains(&(at + 1))));
        for (at, (_, field)) in chosen.enumerate() {
            if at > 0 {
                cut.push_text(&delimiter);
            }
            cut.append(field);
        }
        out.push(cut);
    }
    Some(joined(out))
}

fn pattern(text: &str, ignore_case: bool) -> Option<Regex> {
    if text.len() > 1_000 {
        return None;
    }
    RegexBuilder::new(text).case_insensitive(ignore_case).size_limit(1 << 17).build().ok()
}

/// A basic regular expression (POSIX) as an extended one: which of the signs are plain is the other way round.
fn extended(basic: &str) -> String {
    let mut out = String::new();
    let mut characters = basic.chars();
    let mut in_set = false;
    while let Some(character) = characters.next() {
        match character {
            '[' => in_set = true,
            ']' => in_set = false,
            _ => {}
        }
        match character {
            '\\' => match characters.next() {
                Some(next @ ('(' | ')' | '{' | '}' | '|' | '+' | '?')) => out.push(next),
                Some(next) => out.extend(['\\', next]),
                None => out.push('\\'),
            },
            '(' | ')' | '{' | '}' | '|' | '+' | '?' if !in_set => out.extend(['\\', character]),
            other => out.push(other),
        }
    }
    out
}

/// `grep PATTERN`: of lines with secrets those whose label matches, if any does.
pub(super) fn grep(call: &Call<'_>, content: &Value) -> Option<Value> {
    let flags: String = call
        .texts()
        .iter()
        .filter(|text| text.starts_with('-') && !text.starts_with("--"))
        .cloned()
        .collect();
    let text = match call.option(&["-e", "--regexp"]) {
        Some(value) => value.literal()?.to_owned(),
        None => call.operands().first()?.value.literal()?.to_owned(),
    };
    let text = match () {
        () if flags.contains('F') => regex::escape(&text),
        () if flags.contains(['E', 'P']) || call.name != "grep" => text,
        () => extended(&text),
    };
    let is_plain = !text.is_empty() && regex::escape(&text) == text;
    let pattern = pattern(&text, flags.contains('i'))?;
    let inverts = flags.contains('v');
    let around = ['v', 'o', 'A', 'B', 'C'].iter().any(|flag| flags.contains(*flag));
    if !is_known(content) && is_plain && !around {
        return matching_or_unknown(content, &pattern);
    }
    let all = known_lines(content)?;
    if flags.contains('o') {
        let literal = content.literal()?;
        let found: Vec<Value> =
            pattern.find_iter(literal).take(LINES_MAX).map(|found| Value::text(found.as_str())).collect();
        return (!found.is_empty()).then(|| joined(found));
    }
    let kept: Vec<Value> =
        all.into_iter().filter(|line| pattern.is_match(&visible(line)) != inverts).collect();
    let carries = content.carries();
    (!kept.is_empty() && (!carries || kept.iter().any(Value::carries))).then(|| joined(kept))
}

/// Of text of which some is not known the lines that a pattern matches, and those that it may match.
fn matching_or_unknown(content: &Value, pattern: &Regex) -> Option<Value> {
    let may_match = |line: &Value| {
        let known = line.parts.iter().all(|part| matches!(part, Part::Text(_) | Part::Carried(_)));
        !known || pattern.is_match(&visible(line))
    };
    let all = lines(content);
    (all.len() > 1 && all.len() <= LINES_MAX).then(|| joined(all.into_iter().filter(may_match).collect()))
}

/// One `s` command of sed.
struct Substitution {
    pattern: Regex,
    with: String,
    all: bool,
}

/// The `s` commands that a sed program is, if it is nothing else.
fn substitutions(call: &Call<'_>) -> Option<Vec<Substitution>> {
    let is_extended = call.has(&["-E", "-r", "--regexp-extended"]);
    let mut programs = Vec::new();
    let mut arguments = call.arguments.iter();
    while let Some(argument) = arguments.next() {
        if matches!(argument.value.template().as_str(), "-e" | "--expression") {
            programs.push(arguments.next()?.value.literal()?.to_owned());
        }
    }
    if programs.is_empty() {
        programs.push(call.operands().first()?.value.literal()?.to_owned());
    }
    let mut found = Vec::new();
    for program in programs {
        let mut rest = program.trim();
        while !rest.is_empty() {
            rest = rest.trim_start_matches([';', ' ', '\n']);
            if rest.is_empty() {
                break;
            }
            let body = rest.strip_prefix('s')?;
            let mark = body.chars().next().filter(|mark| !mark.is_alphanumeric() && *mark != '\\')?;
            let mut parts = [String::new(), String::new()];
            let mut characters = body.char_indices().skip(1);
            let mut end = body.len();
            let mut at = 0;
            while let Some((place, character)) = characters.next() {
                let Some(part) = parts.get_mut(at) else { break };
                if character == mark {
                    at += 1;
                    end = place + mark.len_utf8();
                    if at == 2 {
                        break;
                    }
                } else if character == '\\' {
                    match characters.next() {
                        Some((_, next)) if next == mark => part.push(next),
                        Some((_, next)) => part.extend(['\\', next]),
                        None => part.push('\\'),
                    }
                } else {
                    part.push(character);
                }
            }
            if at < 2 {
                return None;
            }
            let tail = body.get(end..).unwrap_or("");
            let flags = tail.split([';', '\n', ' ']).next().unwrap_or("");
            let [from, to] = parts;
            let from = if is_extended { from } else { extended(&from) };
            let pattern = pattern(&from, flags.contains(['i', 'I']))?;
            found.push(Substitution { pattern, with: replacement(&to), all: flags.contains('g') });
            rest = tail.get(flags.len()..).unwrap_or("");
        }
    }
    Some(found)
}

/// sed's `&` and `\1` as the regex crate writes them.
fn replacement(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '&' => out.push_str("${0}"),
            '$' => out.push_str("$$"),
            '\\' => match characters.next() {
                Some(digit) if digit.is_ascii_digit() => out.push_str(&format!("${{{digit}}}")),
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
    }
    out
}

/// `sed "s|https://forge/|https://user:$TOKEN@forge/|"`: where the secret comes out, it stands in the address that the program puts
/// in. Only an address with the end of its host: what the text goes on with must not become a part of the name.
pub(super) fn address_put_in(call: &Call<'_>, content: &Value) -> Option<Value> {
    let in_place = call.texts().iter().any(|text| text.starts_with("-i") || text == "--in-place");
    let operands = call.operands();
    let [program] = operands.as_slice() else { return None };
    let mark = program.value.prefix().strip_prefix('s')?.chars().next().filter(char::is_ascii_punctuation)?;
    let pieces = fields(&program.value, Some(&mark.to_string()));
    let [_, _, address, _] = pieces.as_slice() else { return None };
    let (_, rest) = address.prefix().split_once("://").filter(|_| !content.carries() && !in_place)?;
    let ends = rest.contains('/') || address.template().rsplit_once('@')?.1.contains('/');
    let mut found = address.clone();
    found.push(Part::Unknown);
    (ends && address.carries()).then_some(found)
}

/// `sed s/a/b/` on what is known. Around a secret only what is found as it is changes.
pub(super) fn sed(call: &Call<'_>, content: &Value) -> Option<Value> {
    let commands = substitutions(call)?;
    let apply = |text: &str| {
        let mut text = text.to_owned();
        for command in &commands {
            text = if command.all {
                command.pattern.replace_all(&text, command.with.as_str()).into_owned()
            } else {
                command.pattern.replace(&text, command.with.as_str()).into_owned()
            };
        }
        text
    };
    if let Some(text) = content.literal() {
        return Some(joined(
            text.trim_end_matches('\n').split('\n').map(|line| Value::text(apply(line))).collect(),
        ));
    }
    let is_plain = |command: &Substitution| {
        !command.pattern.as_str().contains(['^', '$', '.', '*', '[', '(', '\\', '+', '?', '|'])
    };
    if !is_known(content) || !commands.iter().all(is_plain) {
        return None;
    }
    let mut out = Value::empty();
    for part in &content.parts {
        match part {
            Part::Text(text) => out.push_text(&apply(text)),
            other => out.push(other.clone()),
        }
    }
    Some(out)
}

/// `awk '{print $2 "…"}'`, with or without `BEGIN` and a pattern between slashes.
pub(super) fn awk(call: &Call<'_>, content: &Value) -> Option<Value> {
    let mut separator = None;
    let mut variables = Vec::new();
    let mut program = None;
    let mut arguments = call.arguments.iter();
    while let Some(argument) = arguments.next() {
        let text = argument.value.template();
        if text == "-F" {
            separator = arguments.next().map(|next| next.value.template());
        } else if let Some(rest) = text.strip_prefix("-F") {
            separator = Some(rest.to_owned());
        } else if text == "-v" {
            let value = arguments.next()?.value.clone();
            let (name, _) = value.prefix().split_once('=')?;
            let length = name.len() + 1;
            variables.push((name.to_owned(), super::after(&value, length)));
        } else {
            program = Some(argument.value.literal()?.trim().to_owned());
            break;
        }
    }
    let program = program?;
    let (condition, body) = program.split_once('{')?;
    let statement = body.trim().strip_suffix('}')?.trim().trim_end_matches(';').trim();
    let expression =
        statement.strip_prefix("print")?.trim_start_matches(['(', ' ']).trim_end_matches(')').trim();
    let condition = condition.trim();
    if condition == "BEGIN" {
        return printed(expression, &Value::empty(), separator.as_deref(), &variables);
    }
    let only = condition.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    let only = match only {
        Some(text) => Some(pattern(text, false)?),
        None if condition.is_empty() => None,
        None => return None,
    };
    let mut out = Vec::new();
    for line in known_lines(content)? {
        if only.as_ref().is_none_or(|pattern| pattern.is_match(&visible(&line))) {
            out.push(printed(expression, &line, separator.as_deref(), &variables)?);
        }
    }
    (!out.is_empty()).then(|| joined(out))
}

/// What awk's `print` puts together: strings, fields and variables, side by side or with a comma between them.
fn printed(
    expression: &str,
    line: &Value,
    separator: Option<&str>,
    variables: &[(String, Value)],
) -> Option<Value> {
    if expression.is_empty() {
        return Some(line.clone());
    }
    let all = fields(line, separator);
    let mut out = Value::empty();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let inner = rest.get(1..)?;
            let end = inner.find('"')?;
            out.push_text(&crate::flow::shell::decode_escapes(inner.get(..end)?));
            rest = inner.get(end + 1..)?;
        } else if let Some(tail) = rest.strip_prefix('$') {
            let length = tail.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tail.len());
            let field = match tail.get(..length)? {
                "NF" => all.last().cloned(),
                "0" => Some(line.clone()),
                number => all.get(number.parse::<usize>().ok()?.checked_sub(1)?).cloned(),
            };
            out.append(field.unwrap_or_default());
            rest = tail.get(length..)?;
        } else if first.is_whitespace() {
            rest = rest.trim_start();
        } else if first == ',' {
            out.push_text(" ");
            rest = rest.get(1..)?;
        } else {
            let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let name = rest.get(..length).filter(|name| !name.is_empty())?;
            out.append(variables.iter().find(|(known, _)| known == name)?.1.clone());
            rest = rest.get(length..)?;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::shell::Argument;
    use crate::span::Bytes;

    fn with<T>(name: &str, words: &[&str], run: impl Fn(&Call<'_>) -> T) -> T {
        let bytes = Bytes::new(0..0);
        let arguments: Vec<Argument> =
            words.iter().map(|word| Argument { value: Value::text(*word), bytes }).collect();
        run(&Call { name, arguments: &arguments, stdin: Value::empty(), bytes })
    }

    fn text(value: Option<Value>) -> Option<String> {
        value.map(|value| value.template().trim_end().to_owned())
    }

    #[test]
    fn lines_and_fields_are_chosen() {
        let content = Value::text("a=1,x\nb=2,y\n");
        assert_eq!(
            text(with("cut", &["-d=", "-f2"], |call| cut(call, &content))).as_deref(),
            Some("1,x\n2,y")
        );
        assert_eq!(text(with("head", &["-n", "1"], |call| ends(call, &content))).as_deref(), Some("a=1,x"));
        assert_eq!(text(with("tail", &["-1"], |call| ends(call, &content))).as_deref(), Some("b=2,y"));
        assert_eq!(text(with("grep", &["^b"], |call| grep(call, &content))).as_deref(), Some("b=2,y"));
        assert_eq!(
            text(with("awk", &["-F", "=", "/b/{print $2 \"!\"}"], |call| awk(call, &content))).as_deref(),
            Some("2,y!")
        );
    }

    #[test]
    fn substitutions_are_applied() {
        let content = Value::text("https://HOST/in\n");
        for words in
            [&["s#HOST#collector.example#"][..], &["-E", "s/(H)OST/\\1/;s|/H|/collector.example|"][..]]
        {
            let changed = text(with("sed", words, |call| sed(call, &content)));
            assert_eq!(changed.as_deref(), Some("https://collector.example/in"));
        }
        assert!(with("sed", &["1d"], |call| sed(call, &content)).is_none());
    }
}
