//! Lines that a step puts into a file whose other lines are the repository's: `sed -i '/^test:/a …'`, `patch`.

use super::{Call, after, written};
use crate::flow::shell::Shell;
use crate::flow::value::{Part, Text, Value};

/// Most lines of one patch that are kept.
const LINES_MAX: usize = 4_096;

/// Keeps what an editor in place puts into the files that it names.
pub(super) fn edited(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let named = |text: &str| {
        (text.contains(['/', '.']) || text.ends_with("file")) && !text.contains(char::is_whitespace)
    };
    let mut programs = Vec::new();
    let mut files = Vec::new();
    let mut words = call.arguments.iter();
    while let Some(word) = words.next() {
        let text = word.value.template();
        if matches!(text.as_str(), "-e" | "--expression") || text.starts_with('-') && text.ends_with('e') {
            programs.extend(words.next().map(|program| program.value.clone()));
        } else if !text.starts_with('-') && programs.is_empty() {
            programs.push(word.value.clone());
        } else if named(&text) {
            files.push(text);
        }
    }
    let lines: Vec<Value> = programs.iter().filter_map(lines_of).collect();
    for file in files {
        for line in &lines {
            let mut line = line.clone();
            line.push_text("\n");
            written::insert(shell, &file, line);
        }
    }
}

/// The lines that one command of an editor adds: `/address/a TEXT`, `1i\TEXT`, `s/…/…\n…/` (GNU sed, "Commands").
fn lines_of(program: &Value) -> Option<Value> {
    let text = program.prefix();
    let start = command_at(text)?;
    let command = text.get(start..)?;
    let mut characters = command.chars();
    match characters.next()? {
        'a' | 'i' | 'c' => {
            let rest = characters.as_str();
            let text_at = match rest.trim_start_matches([' ', '\t']).strip_prefix('\\') {
                Some(kept) => kept.strip_prefix('\n').unwrap_or(kept),
                None => rest.trim_start(),
            };
            Some(after(program, text.len() - text_at.len()))
        }
        's' => {
            let mark = characters.next().filter(|mark| !mark.is_alphanumeric() && *mark != '\\')?;
            let body = characters.as_str();
            let pattern = body.find(mark)?;
            let replacement = after(program, text.len() - body.len() + pattern + mark.len_utf8());
            let is_code = |part: &Part| matches!(part, Part::Text(text) if text.contains("\\n") || text.contains([';', '|', '\n']) || text.contains("&&"));
            replacement.parts.iter().any(is_code).then(|| as_lines(replacement, mark))
        }
        _ => None,
    }
}

/// Where the command begins behind its address: a number, `$`, a pattern, or two of them.
fn command_at(text: &str) -> Option<usize> {
    let mut rest = text.trim_start();
    for _ in 0..2 {
        rest = if let Some(pattern) = rest.strip_prefix('/') {
            let mut escaped = false;
            let end = pattern.char_indices().find(|(_, character)| {
                let found = *character == '/' && !escaped;
                escaped = *character == '\\' && !escaped;
                found
            })?;
            pattern.get(end.0 + 1..)?
        } else {
            rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '$')
        };
        match rest.strip_prefix(',') {
            Some(second) => rest = second,
            None => break,
        }
    }
    Some(text.len() - rest.trim_start_matches([' ', '!', '{']).len())
}

/// The replacement of a substitution up to its mark, with its line ends.
fn as_lines(mut replacement: Value, mark: char) -> Value {
    if let Some(Part::Text(last)) = replacement.parts.last_mut() {
        let end = last.rfind(mark).unwrap_or(last.len());
        last.to_mut().truncate(end);
    }
    for part in &mut replacement.parts {
        if let Part::Text(text) = part {
            let plain = text.replace("\\n", "\n").replace("\\t", "\t").replace("\\&", "\u{1}");
            *text = Text::new(
                plain.replace("&&", "\u{2}").replace('&', "\n").replace('\u{1}', "&").replace('\u{2}', "&&"),
            );
        }
    }
    replacement
}

/// `patch -p1 < FILE`, `git apply FILE`: the added lines, by the file that they are added to.
pub(super) fn apply(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let mut text = call.stdin.clone();
    for operand in call.operands() {
        text.append(shell.state.written(&operand.value.template()).unwrap_or_default());
    }
    if let Some(path) = call.option(&["-i", "--input"]) {
        text.append(shell.state.written(&path.template()).unwrap_or_default());
    }
    let mut file = None;
    for line in shell.tracer.cut(crate::flow::lines(&text), LINES_MAX, "a patch of too many lines") {
        let prefix = line.prefix();
        if let Some(path) = prefix.strip_prefix("+++ ") {
            let path = path.split('\t').next().unwrap_or("").trim();
            file = Some(path.strip_prefix("b/").unwrap_or(path).to_owned());
        } else if let (Some(file), true) = (&file, prefix.starts_with('+')) {
            let mut added = after(&line, 1);
            added.push_text("\n");
            written::insert(shell, file, added);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(program: &str) -> Option<String> {
        lines_of(&Value::text(program)).map(|lines| lines.template())
    }

    #[test]
    fn lines_are_found_behind_addresses() {
        assert_eq!(added("/^a:/a\\\tone").as_deref(), Some("\tone"));
        assert_eq!(added("/a\\/b/,$i two").as_deref(), Some("two"));
        assert_eq!(added("3c\\\nthree").as_deref(), Some("three"));
        assert_eq!(added("s/^all:/&\\n\\tfour/").as_deref(), Some("\n\n\tfour"));
        assert_eq!(added("s/a/b/g"), None);
        assert_eq!(added("/x/d"), None);
    }
}
