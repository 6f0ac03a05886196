//! Words of a shell: quoting, expansion, substitution.

use crate::syntax::Node;

use super::{Shell, shown};
use crate::flow::value::{Encoding, HopKind, Part, Value};

impl Shell<'_, '_> {
    /// What a word may be after expansion.
    pub fn word(&mut self, node: Node<'_>) -> Value {
        self.depth += 1;
        let value = if self.depth > super::DEPTH_MAX {
            self.tracer.incomplete("words nested too deeply");
            Value::unknown()
        } else if !self.tracer.spend() {
            Value::unknown()
        } else {
            let value = self.word_within(node);
            self.tracer.charge(&value);
            value
        };
        self.depth -= 1;
        value
    }

    /// The value of one quoted word that stands in text of its own.
    pub(super) fn word_of(&mut self, code: Value, bytes: crate::span::Bytes) -> Value {
        let script = crate::flow::script::Script::from_value(code, self.file(), bytes);
        let Some(parsed) = super::parse(self.tracer, script) else { return Value::unknown() };
        let outer = std::mem::replace(&mut self.parsed, std::sync::Arc::clone(&parsed));
        let root = parsed.tree.root_node();
        let string = first_of_kind(root, "string", 0);
        let value = string.map_or_else(Value::unknown, |string| self.word(string));
        self.parsed = outer;
        value
    }

    fn word_within(&mut self, node: Node<'_>) -> Value {
        match node.kind() {
            "string" | "translated_string" => self.with_expansions(node, unescape_quoted),
            "raw_string" => {
                let range = node.byte_range();
                let inner = (range.start + 1)..range.end.saturating_sub(1).max(range.start + 1);
                self.parsed.script.value(inner, str::to_owned)
            }
            "ansi_c_string" => {
                let range = node.byte_range();
                let inner = (range.start + 2)..range.end.saturating_sub(1).max(range.start + 2);
                self.parsed.script.value(inner, decode_ansi_c)
            }
            "concatenation" => {
                let children = node.children().collect::<Vec<_>>();
                self.joined(&children)
            }
            "command_name" => node.named_child(0).map_or_else(Value::empty, |word| self.word(word)),
            "simple_expansion" => {
                let text = self.parsed.script.slice(node.byte_range()).to_owned();
                self.variable(text.trim_start().trim_start_matches('$'))
            }
            "expansion" => self.expansion(node),
            "command_substitution" => {
                let output = self.captured(node);
                trimmed(output)
            }
            "process_substitution" => {
                let writes = self.parsed.script.slice(node.byte_range()).starts_with('>');
                let name = format!("/dev/fd/{}", self.bytes(node).start);
                if writes {
                    self.note_reader(&name, node);
                } else {
                    let output = self.captured(node);
                    self.state.remove(&name);
                    self.state.write(&name, output, false);
                }
                Value::text(name)
            }
            "array" => {
                let mut value = Value::empty();
                for (at, child) in node.named_children().collect::<Vec<_>>().into_iter().enumerate() {
                    if at > 0 {
                        value.push_text(" ");
                    }
                    value.append(self.word(child));
                }
                value
            }
            "arithmetic_expansion" => {
                let range = node.byte_range();
                self.parsed.script.value(range, |_| String::new()).only_carried_or_unknown()
            }
            "word" | "number" | "extglob_pattern" | "regex" | "variable_name" | "string_content"
            | "brace_expression" => self.bare(node),
            "comment" => Value::empty(),
            _ if node.named_child_count() == 0 => self.parsed.script.value(node.byte_range(), str::to_owned),
            _ => {
                let mut value = Value::empty();
                for child in node.named_children().collect::<Vec<_>>() {
                    value.append(self.word(child));
                }
                value
            }
        }
    }

    fn bare(&mut self, node: Node<'_>) -> Value {
        if node.named_child_count() > 0 {
            return self.with_expansions(node, unescape_bare);
        }
        self.literal(node.byte_range())
    }

    /// Text outside quotes.
    pub(super) fn literal(&self, range: std::ops::Range<usize>) -> Value {
        self.parsed.script.value(range, unescape_bare)
    }

    pub(super) fn captured(&mut self, node: Node<'_>) -> Value {
        // `$(< file)` has a redirect and no statement.
        if let Some(redirect) = node.child_by_field_name("redirect")
            && let Some(destination) = redirect.child_by_field_name("destination")
        {
            let path = self.word(destination);
            let bytes = self.bytes(destination);
            return self.read_file(&path, bytes);
        }
        let mut output = Value::empty();
        for child in node.named_children().collect::<Vec<_>>() {
            output.append(self.statement(child));
        }
        output
    }

    /// Text with expansions in it: what lies between the children is literal.
    pub(super) fn with_expansions(&mut self, node: Node<'_>, unescape: fn(&str) -> String) -> Value {
        let mut value = Value::empty();
        let mut range = node.byte_range();
        if node.kind() == "string" {
            range = (range.start + 1)..range.end.saturating_sub(1).max(range.start + 1);
        }
        let mut at = range.start;
        let children = node
            .named_children()
            .filter(|child| !matches!(child.kind(), "string_content" | "heredoc_content"))
            .collect::<Vec<_>>();
        for child in children {
            // The grammar counts space before an expansion as a part of it: `"$A $B"`.
            let text = self.parsed.script.slice(child.byte_range());
            let start = child.start_byte() + (text.len() - text.trim_start().len());
            value.append(self.parsed.script.value(at..start.max(at), unescape));
            value.append(self.word(child));
            at = child.end_byte().max(at);
        }
        value.append(self.parsed.script.value(at..range.end.max(at), unescape));
        value
    }

    /// The value of a variable or parameter.
    pub fn variable(&mut self, name: &str) -> Value {
        match name {
            "@" | "*" => {
                let mut value = Value::empty();
                for (at, argument) in self.positional.clone().into_iter().enumerate() {
                    if at > 0 {
                        value.push_text(" ");
                    }
                    value.append(argument);
                }
                value
            }
            "0" => self.variables.get("0").cloned().unwrap_or_else(|| Value::text("bash")),
            "#" | "?" | "$" | "!" | "-" | "RANDOM" | "SECONDS" | "LINENO" => Value::unknown(),
            _ if name.chars().all(|character| character.is_ascii_digit()) => {
                let at = name.parse::<usize>().unwrap_or(0).saturating_sub(1);
                self.positional.get(at).cloned().unwrap_or_else(Value::unknown)
            }
            _ => match self.variables.get(name) {
                Some(value) => value.clone(),
                None => crate::flow::runner_variable(name).unwrap_or_else(|| {
                    match self.tracer.runner_secret(name) {
                        Some(source) => self.tracer.enter(
                            source,
                            &format!("variable {}", shown(name)),
                            self.parsed.script.file,
                            self.parsed.script.bytes(0..0),
                        ),
                        None => Value::part(Part::Unset),
                    }
                }),
            },
        }
    }

    /// `${…}` in its many forms.
    fn expansion(&mut self, node: Node<'_>) -> Value {
        let mut text = self.parsed.script.slice(node.byte_range()).trim_start().to_owned();
        if !text.ends_with('}') {
            // `${P:$i:1}`: the grammar gives up at the inner variable; the brace that closes it is still there.
            let from = node.end_byte() - text.len();
            let rest: String =
                self.parsed.script.slice(from..self.parsed.script.text.len()).chars().take(200).collect();
            if let Some(end) = rest.find('}') {
                text = rest.get(..=end).unwrap_or("").to_owned();
            }
        }
        let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).unwrap_or("").to_owned();
        let bytes = self.bytes(node);
        if inner.starts_with('#') && inner.len() > 1 {
            return Value::unknown();
        }
        let indirect = inner.starts_with('!');
        let body = inner.trim_start_matches('!');
        let length = body
            .char_indices()
            .find(|(at, character)| {
                !(character.is_ascii_alphanumeric()
                    || *character == '_'
                    || (*at == 0 && "@*?".contains(*character)))
            })
            .map_or(body.len(), |(at, _)| at);
        let (name, rest) = body.split_at_checked(length).unwrap_or((body, ""));
        let (index, rest) = match rest.strip_prefix('[').and_then(|index| index.split_once(']')) {
            Some((index, rest)) => (Some(index), rest),
            None => (None, rest),
        };
        let element = index.and_then(|index| match index {
            "*" => self.joined_elements(name),
            _ => self.element(name, index),
        });
        let mut value = element.unwrap_or_else(|| self.variable(name));
        if indirect {
            value = match value.literal() {
                Some(target) if !rest.starts_with(['*', '@']) => {
                    let target = target.to_owned();
                    self.variable(&target)
                }
                // `${!prefix*}`, or a name that can't be known: any variable.
                _ => self.dump_environment(bytes),
            };
        }
        if let Some(default) =
            [":-", ":=", ":+", "-", "=", "+"].iter().find_map(|operator| rest.strip_prefix(operator))
        {
            let known = !value.is_empty() && !matches!(value.parts.as_slice(), [Part::Unknown | Part::Unset]);
            if known {
                return value;
            }
            // The default is a word of its own; its expansions are children of this node.
            let mut fallback = Value::empty();
            let children = node.named_children().skip(1).collect::<Vec<_>>();
            if children.is_empty() {
                return Value::text(unescape_quoted(default));
            }
            for child in children {
                fallback.append(self.word(child));
            }
            return fallback;
        }
        if rest.is_empty() {
            return value;
        }
        if let Some(text) = value.literal()
            && let Some(changed) = transform_literal(text, rest)
        {
            return Value::text(changed);
        }
        if let Some(cut) = cut_by_pattern(&value, rest) {
            return cut;
        }
        let hop = self.hop(HopKind::Encode, &format!("expansion {}", shown(&text)), bytes);
        let encoding = match rest.as_bytes().first() {
            // One character, in a loop over all of them.
            Some(b':') if rest.ends_with(":1") => Encoding::Split,
            // From a place that is counted, as in a loop over all of it: `${v:$at:2}`, `${v:$((at + 2)):2}`.
            Some(b':') if is_counted(rest) => Encoding::Split,
            // All but the beginning.
            Some(b':')
                if rest
                    .trim_start_matches([':', ' '])
                    .starts_with(|c: char| c.is_ascii_digit() && c != '0')
                    && !rest.trim_start_matches(':').contains(':') =>
            {
                Encoding::Split
            }
            Some(b':') => Encoding::Partial,
            Some(b'/') => Encoding::Spaced,
            _ => return value,
        };
        if value.carries() { value.encoded(encoding, &hop) } else { value }
    }
}

/// Whether a piece begins where a variable says: in `${v:at:2}` and `${v:$at:2}`, and not where a default begins (`${v:-at}`).
fn is_counted(operator: &str) -> bool {
    let begins = operator.trim_start_matches([':', ' ', '(']);
    begins.starts_with(|c: char| c == '$' || c.is_ascii_alphabetic() || c == '_')
}

fn first_of_kind<'n>(node: Node<'n>, kind: &str, depth: usize) -> Option<Node<'n>> {
    if node.kind() == kind {
        return Some(node);
    }
    node.named_children().filter(|_| depth < 8).find_map(|child| first_of_kind(child, kind, depth + 1))
}

impl Value {
    fn only_carried_or_unknown(self) -> Value {
        if self.carries() { self.only_carried() } else { Value::unknown() }
    }
}

/// `${v%%:*}` and `${v#*:}`, where what they cut at stands in the literal text before anything that isn't known: of
/// `NAME:secret` the first is `NAME` and the second the secret.
fn cut_by_pattern(value: &Value, operator: &str) -> Option<Value> {
    let is_plain = |pattern: &str| !pattern.is_empty() && !pattern.contains(['*', '?', '[', '$', '\\', '{']);
    let prefix = value.prefix();
    let suffix_pattern = operator.strip_prefix("%%").and_then(|rest| rest.strip_suffix('*'));
    if let Some(pattern) = suffix_pattern.filter(|pattern| is_plain(pattern)) {
        return prefix.find(pattern).and_then(|at| prefix.get(..at)).map(Value::text);
    }
    let prefix_pattern = operator
        .strip_prefix('#')
        .filter(|rest| !rest.starts_with('#'))
        .and_then(|rest| rest.strip_prefix('*'));
    let pattern = prefix_pattern.filter(|pattern| is_plain(pattern))?;
    prefix.find(pattern).map(|at| crate::flow::command::after(value, at + pattern.len()))
}

/// `${v:1:2}`, `${v/a/b}`, `${v^^}`, `${v,,}` on text that is known.
fn transform_literal(text: &str, operator: &str) -> Option<String> {
    if let Some(range) = operator.strip_prefix(':') {
        let (from, length) =
            range.split_once(':').map_or((range, None), |(from, length)| (from, Some(length)));
        let from = from.trim().parse::<usize>().ok()?;
        let rest = text.chars().skip(from);
        return Some(match length {
            Some(length) => rest.take(length.trim().parse().ok()?).collect(),
            None => rest.collect(),
        });
    }
    match operator {
        "^^" => return Some(text.to_uppercase()),
        ",," => return Some(text.to_lowercase()),
        _ => {}
    }
    let (all, rest) = match operator.strip_prefix("//") {
        Some(rest) => (true, rest),
        None => (false, operator.strip_prefix('/')?),
    };
    let (pattern, replacement) = rest.split_once('/').unwrap_or((rest, ""));
    if pattern.is_empty() || pattern.contains(['*', '?', '[', '$']) || replacement.contains('$') {
        return None;
    }
    Some(if all { text.replace(pattern, replacement) } else { text.replacen(pattern, replacement, 1) })
}

/// Without the line breaks at the end, as command substitution drops them.
fn trimmed(mut value: Value) -> Value {
    if let Some(Part::Text(text)) = value.parts.last_mut() {
        let length = text.trim_end_matches('\n').len();
        text.to_mut().truncate(length);
        if length == 0 {
            value.parts.pop();
        }
    }
    value
}

/// Splits an unquoted expansion at the spaces of its literal parts.
pub(super) fn split(value: &Value) -> Vec<Value> {
    let mut words = vec![Value::empty()];
    for part in &value.parts {
        let Part::Text(text) = part else {
            if let Some(last) = words.last_mut() {
                last.push(part.clone());
            }
            continue;
        };
        for (at, piece) in text.split(char::is_whitespace).enumerate() {
            if at > 0 && words.last().is_some_and(|last| !last.is_empty()) {
                words.push(Value::empty());
            }
            if let Some(last) = words.last_mut() {
                last.push_text(piece);
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn unescape_bare(text: &str) -> String {
    unescape(text, |_| true)
}

/// Inside double quotes a backslash is special only before these (POSIX, XCU 2.2.3).
fn unescape_quoted(text: &str) -> String {
    unescape(text, |next| matches!(next, '$' | '`' | '"' | '\\' | '\n'))
}

pub(super) fn unescape_heredoc(text: &str) -> String {
    unescape(text, |next| matches!(next, '$' | '`' | '\\' | '\n'))
}

fn unescape(text: &str, special: fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('\n') => {}
            Some(next) if special(next) => out.push(next),
            Some(next) => out.extend(['\\', next]),
            None => out.push('\\'),
        }
    }
    out
}

/// `$'…'` and `echo -e`/`printf` escapes: `\xHH`, `\NNN`, `\uHHHH`, `\n` …
pub fn decode_ansi_c(text: &str) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut buffer = [0; 4];
    while let Some(character) = rest.chars().next() {
        rest = rest.get(character.len_utf8()..).unwrap_or("");
        if character != '\\' {
            out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
            continue;
        }
        let Some(kind) = rest.chars().next() else {
            out.push(b'\\');
            break;
        };
        let after = rest.get(kind.len_utf8()..).unwrap_or("");
        match kind {
            'x' => match number(after, 16, 2, &mut rest) {
                Some(value) => out.push(value as u8),
                None => out.extend_from_slice(b"\\"),
            },
            '0'..='7' => match number(rest, 8, if kind == '0' { 4 } else { 3 }, &mut rest) {
                Some(value) => out.push(value as u8),
                None => out.extend_from_slice(b"\\"),
            },
            'u' | 'U' => {
                match number(after, 16, if kind == 'u' { 4 } else { 8 }, &mut rest).and_then(char::from_u32) {
                    Some(value) => out.extend_from_slice(value.encode_utf8(&mut buffer).as_bytes()),
                    None => out.extend_from_slice(b"\\"),
                }
            }
            other => {
                rest = after;
                let plain = match other {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'a' => '\u{7}',
                    'b' => '\u{8}',
                    'e' | 'E' => '\u{1b}',
                    'f' => '\u{c}',
                    'v' => '\u{b}',
                    same => same,
                };
                out.extend_from_slice(plain.encode_utf8(&mut buffer).as_bytes());
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Reads at most `longest` digits and moves `rest` behind them; nothing if there are none.
fn number<'t>(digits: &'t str, radix: u32, longest: usize, rest: &mut &'t str) -> Option<u32> {
    let length = digits.bytes().take(longest).take_while(|byte| (*byte as char).is_digit(radix)).count();
    let value = u32::from_str_radix(digits.get(..length).unwrap_or(""), radix).ok()?;
    *rest = digits.get(length..).unwrap_or("");
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(decode_ansi_c(r"\x63\165\u0072l\n"), "curl\n");
        assert_eq!(decode_ansi_c(r"\"), "\\");
    }

    #[test]
    fn known_text_is_transformed() {
        assert_eq!(transform_literal("abcdef", ":2:3").as_deref(), Some("cde"));
        assert_eq!(transform_literal("a-b-c", "//-/").as_deref(), Some("abc"));
        assert_eq!(transform_literal("abc", "/[x]/y"), None);
    }
}
