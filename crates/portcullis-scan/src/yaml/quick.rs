//! The YAML that nearly all workflows are written in, read in one pass: block mappings and sequences, scalars on one line,
//! `|` blocks, short `[…]` and `{…}`. Whatever else stands in a text (anchors, tags, folded or escaped scalars, several
//! documents, tabs) makes it give up, and the full parser reads the text instead. Where it doesn't give up its tree is
//! the full parser's, byte for byte; tests compare the two.

use std::borrow::Cow;
use std::sync::Arc;

use saphyr_parser::ScalarStyle;

use super::{Content, NODES_MAX, Node, scalar};
use crate::span::Bytes;

/// Deeper nesting is left to the full parser, which has the limit.
const DEPTH_MAX: usize = 32;
/// Longest key; YAML's own limit for a key without `?` is 1,024 characters.
const KEY_MAX: usize = 512;

/// The tree of a text, or `None` where the full parser must read it.
pub(super) fn parse(text: &str) -> Option<Arc<Node>> {
    if !is_ordinary(text) {
        return None;
    }
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, line: 0, nodes: 0 };
    reader.next_token()?;
    if reader.at != reader.line || reader.peek(0).is_none() {
        return None;
    }
    let root = reader.block(0)?;
    (reader.peek(0).is_none() && matches!(root.content, Content::Mapping(_))).then_some(root)
}

/// Whether a text is free of characters that mean something special anywhere, and of further documents.
fn is_ordinary(text: &str) -> bool {
    let controls = text.bytes().any(|byte| matches!(byte, 0..=8 | 11..=31 | 127));
    let breaks = !text.is_ascii() && text.contains(['\u{85}', '\u{2028}', '\u{2029}', '\u{feff}']);
    let marker = |line: &str| line.starts_with("---") || line.starts_with("...") || line.starts_with('%');
    !controls && !breaks && !text.lines().any(marker)
}

struct Reader<'s> {
    text: &'s str,
    bytes: &'s [u8],
    /// Where the next token begins.
    at: usize,
    /// Where its line begins.
    line: usize,
    nodes: usize,
}

impl<'s> Reader<'s> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn column(&self) -> usize {
        self.at - self.line
    }

    /// Goes over white space and comments; whether to another line or the end.
    fn next_token(&mut self) -> Option<bool> {
        let mut crossed = false;
        loop {
            match self.peek(0) {
                Some(b' ') => self.at += 1,
                Some(b'\n') => {
                    self.at += 1;
                    self.line = self.at;
                    crossed = true;
                }
                Some(b'#') => {
                    // Part of a word where no space stands before it.
                    let before = self.at.checked_sub(1).and_then(|at| self.bytes.get(at));
                    if !matches!(before, None | Some(b' ' | b'\n')) {
                        return None;
                    }
                    let rest = self.bytes.get(self.at..)?;
                    self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                }
                Some(b'\t') => return None,
                Some(_) => return Some(crossed),
                None => return Some(true),
            }
        }
    }

    fn is_entry(&self) -> bool {
        self.peek(0) == Some(b'-') && matches!(self.peek(1), None | Some(b' ' | b'\n'))
    }

    fn node(&mut self, content: Content, bytes: Bytes) -> Option<Arc<Node>> {
        self.nodes += 1;
        (self.nodes <= NODES_MAX).then(|| Arc::new(Node { content, bytes }))
    }

    fn scalar(
        &mut self,
        value: Cow<'s, str>,
        style: ScalarStyle,
        from: usize,
        to: usize,
    ) -> Option<Arc<Node>> {
        let bytes = Bytes::new(from..to);
        let scalar = scalar(self.text, value, style, bytes);
        self.node(Content::Scalar(scalar), bytes)
    }

    fn collection(&mut self, content: Content, start: usize, end: usize) -> Option<Arc<Node>> {
        self.node(content, Bytes::new(start..end))
    }

    /// A mapping or a sequence whose first token is the next.
    fn block(&mut self, depth: usize) -> Option<Arc<Node>> {
        if depth > DEPTH_MAX {
            return None;
        }
        if self.is_entry() { self.sequence(self.at, depth) } else { self.mapping(depth) }
    }

    fn mapping(&mut self, depth: usize) -> Option<Arc<Node>> {
        let (start, column) = (self.at, self.column());
        let mut pairs = Vec::new();
        loop {
            let key = self.key()?;
            let colon = self.at;
            self.at += 1;
            let value = if self.next_token()? {
                match self.column() {
                    _ if self.peek(0).is_none() => {
                        self.scalar(Cow::Borrowed(""), ScalarStyle::Plain, colon, colon)?
                    }
                    at if at > column => self.block(depth + 1)?,
                    at if at == column && self.is_entry() => {
                        // Its dashes stand in the mapping's own column; it begins after the first.
                        let start = self.after_dash()?;
                        self.sequence(start, depth + 1)?
                    }
                    _ => self.scalar(Cow::Borrowed(""), ScalarStyle::Plain, colon, colon)?,
                }
            } else {
                self.inline(column)?
            };
            pairs.push((key, value));
            if self.peek(0).is_none() || self.column() < column {
                break;
            }
            if self.column() > column || self.is_entry() {
                return None;
            }
        }
        let last = pairs.last().map_or(start, |(_, value)| value.bytes.end as usize);
        self.collection(Content::Mapping(pairs), start, last.max(self.at))
    }

    /// Where the first token after a dash begins, on its line.
    fn after_dash(&self) -> Option<usize> {
        let rest = self.bytes.get(self.at + 1..)?;
        let spaces = rest.iter().position(|byte| *byte != b' ')?;
        (!matches!(rest.get(spaces), Some(b'#' | b'\n'))).then_some(self.at + 1 + spaces)
    }

    fn sequence(&mut self, start: usize, depth: usize) -> Option<Arc<Node>> {
        let column = self.column();
        let mut items = Vec::new();
        loop {
            self.at += 1;
            let crossed = self.next_token()?;
            if self.peek(0).is_none() || crossed && self.column() <= column {
                return None;
            }
            let item = if crossed || self.is_entry() || self.has_key() {
                self.block(depth + 1)?
            } else {
                self.inline(column)?
            };
            items.push(item);
            if self.peek(0).is_none() || self.column() < column || self.column() == column && !self.is_entry()
            {
                break;
            }
            if self.column() > column {
                return None;
            }
        }
        let last = items.last().map_or(start, |item| item.bytes.end as usize);
        self.collection(Content::Sequence(items), start, last.max(self.at))
    }

    /// Whether a key stands next, and not a value.
    fn has_key(&mut self) -> bool {
        let (at, nodes) = (self.at, self.nodes);
        let found = self.key().is_some();
        (self.at, self.nodes) = (at, nodes);
        found
    }

    /// A key; its colon is the next token then.
    fn key(&mut self) -> Option<Arc<Node>> {
        let from = self.at;
        let key = match self.peek(0)? {
            b'"' | b'\'' => self.quoted()?,
            first if begins_plain(first) => {
                let rest = self.bytes.get(from..)?;
                let end = rest.iter().take(KEY_MAX).enumerate().find(|(at, byte)| match byte {
                    b':' => matches!(rest.get(at + 1), None | Some(b' ' | b'\n')),
                    b'\n' | b'\t' => true,
                    b'#' => rest.get(at.wrapping_sub(1)) == Some(&b' '),
                    _ => false,
                });
                let (length, _) = end.filter(|(_, byte)| **byte == b':')?;
                if rest.get(length.checked_sub(1)?) == Some(&b' ') {
                    return None;
                }
                self.at += length;
                let value = self.text.get(from..self.at)?;
                self.scalar(Cow::Borrowed(value), ScalarStyle::Plain, from, self.at)?
            }
            _ => return None,
        };
        let ends = self.peek(0) == Some(b':') && matches!(self.peek(1), None | Some(b' ' | b'\n'));
        ends.then_some(key)
    }

    /// A value on the line of its key or dash, whose column is `parent`, with all that follows up to the next token.
    fn inline(&mut self, parent: usize) -> Option<Arc<Node>> {
        let value = match self.peek(0)? {
            b'|' => return self.literal(parent),
            b'"' | b'\'' => self.quoted()?,
            b'[' | b'{' => self.flow(0)?,
            b'-' if !self.is_entry() => self.plain()?,
            first if begins_plain(first) => self.plain()?,
            _ => return None,
        };
        let crossed = self.next_token()?;
        // What stands further in goes on with the value.
        let goes_on = self.peek(0).is_some() && self.column() > parent;
        (crossed && !goes_on).then_some(value)
    }

    fn plain(&mut self) -> Option<Arc<Node>> {
        let from = self.at;
        let rest = self.bytes.get(from..)?;
        let mut end = rest.len();
        for (at, byte) in rest.iter().enumerate() {
            match byte {
                b'\n' => {
                    end = at;
                    break;
                }
                b'#' if rest.get(at.wrapping_sub(1)) == Some(&b' ') => {
                    end = at;
                    break;
                }
                b'\t' => return None,
                b':' if matches!(rest.get(at + 1), None | Some(b' ' | b'\n')) => return None,
                _ => {}
            }
        }
        let value = self.text.get(from..from + end)?.trim_end_matches(' ');
        self.at = from + value.len();
        self.scalar(Cow::Borrowed(value), ScalarStyle::Plain, from, self.at)
    }

    fn quoted(&mut self) -> Option<Arc<Node>> {
        let (from, quote) = (self.at, self.peek(0)?);
        let mut at = from + 1;
        let mut doubled = false;
        loop {
            match *self.bytes.get(at)? {
                b'\\' if quote == b'"' => return None,
                b'\n' | b'\t' => return None,
                byte if byte == quote => {
                    if quote != b'\'' || self.bytes.get(at + 1) != Some(&b'\'') {
                        break;
                    }
                    doubled = true;
                    at += 2;
                }
                _ => at += 1,
            }
        }
        let value = self.text.get(from + 1..at)?;
        let value = if doubled { Cow::Owned(value.replace("''", "'")) } else { Cow::Borrowed(value) };
        self.at = at + 1;
        // The full parser counts the spaces behind a quoted scalar as its own, and a comment there.
        self.spaces();
        if self.peek(0) == Some(b'#') && self.bytes.get(self.at - 1) == Some(&b' ') {
            let rest = self.bytes.get(self.at..)?;
            self.at += rest.iter().position(|byte| *byte == b'\n')?;
        }
        let style = if quote == b'"' { ScalarStyle::DoubleQuoted } else { ScalarStyle::SingleQuoted };
        self.scalar(value, style, from, self.at)
    }

    /// A collection in brackets, on one line.
    fn flow(&mut self, depth: usize) -> Option<Arc<Node>> {
        let (start, is_mapping) = (self.at, self.peek(0)? == b'{');
        let close = if is_mapping { b'}' } else { b']' };
        if depth > 8 {
            return None;
        }
        self.at += 1;
        let (mut items, mut pairs) = (Vec::new(), Vec::new());
        let mut last = None;
        self.spaces();
        if self.peek(0)? != close {
            loop {
                let item = self.flow_value(depth)?;
                if is_mapping {
                    if self.peek(0)? != b':'
                        || self.peek(1)? != b' '
                        || !matches!(item.content, Content::Scalar(_))
                    {
                        return None;
                    }
                    self.at += 1;
                    self.spaces();
                    let value = self.flow_value(depth)?;
                    last = Some(value.bytes.end as usize);
                    pairs.push((item, value));
                } else {
                    last = Some(item.bytes.end as usize);
                    items.push(item);
                }
                self.spaces();
                match self.peek(0)? {
                    b',' => self.at += 1,
                    byte if byte == close => break,
                    _ => return None,
                }
                self.spaces();
            }
        }
        let end = last.map_or(self.at, |last| last.max(self.at));
        self.at += 1;
        let content = if is_mapping { Content::Mapping(pairs) } else { Content::Sequence(items) };
        self.collection(content, start, end)
    }

    fn spaces(&mut self) {
        while self.peek(0) == Some(b' ') {
            self.at += 1;
        }
    }

    fn flow_value(&mut self, depth: usize) -> Option<Arc<Node>> {
        match self.peek(0)? {
            b'"' | b'\'' => self.quoted(),
            b'[' | b'{' => self.flow(depth + 1),
            first if first.is_ascii_alphanumeric() || matches!(first, b'.' | b'/' | b'_' | b'$') => {
                let from = self.at;
                let rest = self.bytes.get(from..)?;
                let is_plain = |byte: &u8| {
                    byte.is_ascii_alphanumeric()
                        || matches!(
                            byte,
                            b' ' | b'.'
                                | b'/'
                                | b'_'
                                | b'-'
                                | b'+'
                                | b'='
                                | b'*'
                                | b'<'
                                | b'>'
                                | b'~'
                                | b'^'
                                | b'@'
                                | b'$'
                                | b'('
                                | b')'
                        )
                };
                let length = rest.iter().position(|byte| !is_plain(byte))?;
                let value = self.text.get(from..from + length)?.trim_end_matches(' ');
                self.at = from + value.len();
                self.scalar(Cow::Borrowed(value), ScalarStyle::Plain, from, self.at)
            }
            _ => None,
        }
    }

    /// A `|` block below a key or dash in the column `parent`.
    fn literal(&mut self, parent: usize) -> Option<Arc<Node>> {
        self.at += 1;
        let chomping = self.peek(0).filter(|byte| matches!(byte, b'-' | b'+'));
        self.at += usize::from(chomping.is_some());
        self.spaces();
        if self.peek(0)? != b'\n' {
            return None;
        }
        self.at += 1;
        self.line = self.at;
        self.spaces();
        let (from, indent) = (self.at, self.column());
        if indent <= parent || matches!(self.peek(0), None | Some(b'\n' | b'\t')) {
            return None;
        }
        let mut value = String::new();
        // Line breaks that belong to the value only where another line follows, or all are kept.
        let mut breaks = 0;
        loop {
            let rest = self.bytes.get(self.at..)?;
            // The last line of the file must end as every other.
            let length = rest.iter().position(|byte| *byte == b'\n')?;
            for _ in 0..breaks {
                value.push('\n');
            }
            value.push_str(self.text.get(self.at..self.at + length)?);
            breaks = 1;
            self.at += length + 1;
            self.line = self.at;
            // Blank lines; one with more spaces than the block's indentation is a line of it.
            loop {
                let spaces =
                    self.bytes.get(self.at..)?.iter().take(indent).take_while(|byte| **byte == b' ').count();
                self.at += spaces;
                if self.peek(0) != Some(b'\n') {
                    break;
                }
                breaks += 1;
                self.at += 1;
                self.line = self.at;
            }
            if self.peek(0).is_none() || self.column() < indent {
                break;
            }
        }
        match chomping {
            Some(b'-') => {}
            Some(_) => (0..breaks).for_each(|_| value.push('\n')),
            None => value.push('\n'),
        }
        if self.peek(0) == Some(b'\t') {
            return None;
        }
        let node = self.scalar(Cow::Owned(value), ScalarStyle::Literal, from, self.at)?;
        self.next_token()?;
        let goes_on = self.peek(0).is_some() && self.column() > parent;
        (!goes_on).then_some(node)
    }
}

/// Whether a byte may begin a plain scalar whatever follows it.
fn begins_plain(byte: u8) -> bool {
    !matches!(
        byte,
        b' ' | b'\n'
            | b'\t'
            | b'-'
            | b'?'
            | b':'
            | b','
            | b'['
            | b']'
            | b'{'
            | b'}'
            | b'#'
            | b'&'
            | b'*'
            | b'!'
            | b'|'
            | b'>'
            | b'\''
            | b'"'
            | b'%'
            | b'@'
            | b'`'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml::parse_fully;

    fn shown(node: &Node, out: &mut String) {
        out.push_str(&format!("{:?} ", node.bytes));
        match &node.content {
            Content::Scalar(scalar) => out.push_str(&format!("{scalar:?}\n")),
            Content::Sequence(items) => {
                out.push_str("sequence\n");
                items.iter().for_each(|item| shown(item, out));
                out.push_str("end\n");
            }
            Content::Mapping(pairs) => {
                out.push_str("mapping\n");
                pairs.iter().flat_map(|(key, value)| [key, value]).for_each(|node| shown(node, out));
                out.push_str("end\n");
            }
        }
    }

    /// Whether the text was read; where it was, as the full parser reads it.
    fn agrees(text: &str) -> bool {
        let Some(quick) = parse(text) else { return false };
        let full = parse_fully(text).unwrap_or_else(|error| panic!("{text:?} is read, and yet {error}"));
        let (mut one, mut other) = (String::new(), String::new());
        shown(&quick, &mut one);
        shown(&full, &mut other);
        assert_eq!(one, other, "{text:?}");
        true
    }

    const WORKFLOW: &str = "# Über\nname: a b # c\non:\n  push:\n    branches: [main, 'x y', \"z\" ]\n  pull_request:\n\
        env: {A: 1, B: [x, {c: d}], C: {}}\n\njobs:\n  one:\n    runs-on: \"ubuntu\"  # d\n    steps:\n    - uses: a/b@v1\n\
        \x20   - run: |\n        x\n\n          y\n    # e\n    - name: z\n      run: |-\n        last\n\n      with:\n\
        \x20       q: 'it''s'\n  two:\n    steps:\n      - - nested\n        - run: echo\n      -\n        run: a # f\n\
        \x20     - run: |+\n          kept\n\n\n";

    #[test]
    fn ordinary_workflows_are_read_as_the_full_parser_does() {
        assert!(agrees(WORKFLOW));
        assert!(agrees("a: b"));
        assert!(agrees("a:"));
        assert!(agrees("a:\n- b\n- c: d\n  e: f\ng:\n"));
        assert!(agrees("a:\n-  b: c\n- # d\n  e: f\n"));
    }

    #[test]
    fn what_is_not_ordinary_is_left_to_the_full_parser() {
        for text in [
            "",
            "a",
            "- a\n",
            " a: b\n",
            "a: &b c\n",
            "a: *b\n",
            "a: !t b\n",
            "a: b\n  c\n",
            "a: b: c\n",
            "a:\n  b\n",
            "a: >\n  b\n",
            "a: \"\\n\"\n",
            "a:\tb\n",
            "a: |2\n   b\n",
            "--- \na: b\n",
            "a: b\n---\nc: d\n",
            "? a\n: b\n",
            "a: [b,\n c]\n",
            "a: \"b\n c\"\n",
            "a: b\r\n",
            "a: |\n\n  b\n",
            "a: |\n  b",
            "a: 'b'c\n",
            "\u{feff}a: b\n",
            "a:\n    b: c\n  d: e\n",
            "a: [b]c\n",
            "a: @b\n",
            "a: -",
            "a:\n- # b\n  c: d\n",
            "a:\n-\n  b: c\n",
        ] {
            assert!(parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn nesting_beyond_its_bound_is_left_to_the_full_parser() {
        let nested =
            |depth: usize| (0..depth).map(|at| format!("{}a:\n", " ".repeat(at))).collect::<String>();
        assert!(agrees(&nested(DEPTH_MAX + 1)));
        assert!(parse(&nested(DEPTH_MAX + 2)).is_none());
        let keyed = |length: usize| format!("{}: b\n", "a".repeat(length));
        assert!(agrees(&keyed(KEY_MAX - 1)));
        assert!(parse(&keyed(KEY_MAX)).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn changed_workflows_are_read_as_the_full_parser_does(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..5, 0_usize..34), 0..5),
        ) {
            const PIECES: [&str; 34] = [
                " ", "  ", "\n", "\n\n", "'", "\"", "#", " #", ":", ": ", "- ", "-", "|", "|-", ">", "[", "]", "{", "}",
                ",", "&a", "*a", "!", "%", "?", "\t", "\\", "é", "🦀", "<<: ", "\n  ", "\n    - ", "''", "---\n",
            ];
            let mut text = WORKFLOW.to_owned();
            for (place, length, piece) in changes {
                let mut from = place.index(text.len() + 1);
                while !text.is_char_boundary(from) { from -= 1; }
                let mut to = (from + length).min(text.len());
                while !text.is_char_boundary(to) { to += 1; }
                text.replace_range(from..to, PIECES[piece]);
            }
            agrees(&text);
        }
    }
}
