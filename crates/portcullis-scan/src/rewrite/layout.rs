//! Where keys and lines of a workflow stand: what an edit has to know so that it takes whole lines, and puts new ones at
//! the indentation that the file uses.

use std::ops::Range;
use std::sync::Arc;

use crate::edit::Edit;
use crate::yaml::{Content, Node};

/// A text with the questions that edits ask of it.
pub(super) struct Layout<'t> {
    pub(super) text: &'t str,
    /// `\n` or `\r\n`, as the file has it.
    pub(super) newline: &'static str,
}

impl<'t> Layout<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, newline: if text.contains("\r\n") { "\r\n" } else { "\n" } }
    }

    /// Where the line that holds a byte begins.
    pub(super) fn line_start(&self, at: usize) -> usize {
        self.text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
    }

    /// One past the line break of the line that holds a byte.
    pub(super) fn line_end(&self, at: usize) -> usize {
        self.text
            .get(at..)
            .and_then(|rest| rest.find('\n'))
            .map_or(self.text.len(), |newline| at + newline + 1)
    }

    /// The column of a byte, in bytes; indentation is ASCII.
    pub(super) fn column(&self, at: usize) -> usize {
        at - self.line_start(at)
    }

    /// The end of a node without the white space and comments that its span may take in.
    pub(super) fn content_end(&self, node: &Node) -> usize {
        match &node.content {
            Content::Mapping(entries) if !self.is_flow(node) => {
                entries.last().map_or(node.bytes.range().end, |(key, value)| self.entry_end(key, value))
            }
            Content::Sequence(items) if !self.is_flow(node) => {
                items.last().map_or(node.bytes.range().end, |item| self.content_end(item))
            }
            Content::Mapping(_) | Content::Sequence(_) => self.flow_end(node),
            Content::Scalar(_) => {
                let range = node.bytes.range();
                let slice = self.text.get(range.clone()).unwrap_or("");
                range.start + slice.trim_end().len()
            }
        }
    }

    /// The end of a key with its value. An alias stands in for a value that is written elsewhere.
    pub(super) fn entry_end(&self, key: &Node, value: &Node) -> usize {
        let key_end = key.bytes.range().end;
        if value.bytes.range().start >= key_end {
            return self.content_end(value).max(key_end);
        }
        let line = self.text.get(key_end..self.line_end(key_end)).unwrap_or("");
        let Some(star) = line.find('*') else { return key_end };
        let name = line.get(star + 1..).unwrap_or("");
        let length =
            name.find(|c: char| c.is_whitespace() || matches!(c, ',' | '}' | ']')).unwrap_or(name.len());
        key_end + star + 1 + length
    }

    /// One past the closing brace or bracket, which the span of the tree leaves out.
    fn flow_end(&self, node: &Node) -> usize {
        let end = node.bytes.range().end;
        let rest = self.text.get(end..).unwrap_or("");
        let space = rest.len() - rest.trim_start().len();
        if rest.trim_start().starts_with(['}', ']']) { end + space + 1 } else { end }
    }

    /// Whether a collection is written with braces or brackets.
    pub(super) fn is_flow(&self, node: &Node) -> bool {
        let start = node.bytes.range().start;
        self.text.get(start..).is_some_and(|rest| rest.starts_with(['{', '[']))
    }

    /// A key of a mapping with its value.
    pub(super) fn entry<'n>(&self, mapping: &'n Node, name: &str) -> Option<(&'n Arc<Node>, &'n Arc<Node>)> {
        let Content::Mapping(pairs) = &mapping.content else { return None };
        pairs
            .iter()
            .find(|(key, _)| key.text().is_some_and(|text| text.eq_ignore_ascii_case(name)))
            .map(|(k, v)| (k, v))
    }

    /// The whole lines of an entry of a block mapping.
    pub(super) fn lines(&self, key: &Node, value: &Node) -> Range<usize> {
        let end = self.entry_end(key, value);
        self.line_start(key.bytes.range().start)..self.line_end(end)
    }

    /// Whether nothing but an entry, a comment after it and the dash before it stand on its lines.
    fn stands_alone(&self, key: &Node, value: &Node) -> bool {
        let start = key.bytes.range().start;
        let end = self.entry_end(key, value);
        let before = self.text.get(self.line_start(start)..start).unwrap_or("").trim();
        let after = self.text.get(end..self.line_end(end)).unwrap_or("").trim();
        before.is_empty() && (after.is_empty() || after.starts_with('#'))
    }

    /// An entry of a mapping in braces, with the comma before it, else the one after it.
    pub(super) fn in_flow(&self, key: &Node, value: &Node) -> Range<usize> {
        let (start, end) = (key.bytes.range().start, self.entry_end(key, value));
        let before = self.text.get(..start).unwrap_or("").trim_end();
        if let Some(kept) = before.strip_suffix(',') {
            return kept.len()..end;
        }
        let after = self.text.get(end..).unwrap_or("");
        match after.trim_start().strip_prefix(',') {
            Some(rest) => start..self.text.len() - rest.trim_start_matches(' ').len(),
            None => start..end,
        }
    }

    /// Comments of lines that go as a whole; what people wrote down stays.
    pub(super) fn comments(&self, lines: Range<usize>) -> String {
        let text = self.text.get(lines).unwrap_or("");
        text.split_inclusive('\n').filter(|line| line.trim_start().starts_with('#')).collect()
    }

    /// Takes entries out of a mapping, by name; the mapping's own key too when nothing else is in it. `owner` is that key.
    pub(super) fn without(
        &self,
        owner: &Node,
        mapping: &Node,
        names: &dyn Fn(&str, &Node) -> bool,
    ) -> Vec<Edit> {
        let Content::Mapping(pairs) = &mapping.content else { return Vec::new() };
        let gone = |(key, value): &&(Arc<Node>, Arc<Node>)| key.text().is_some_and(|name| names(name, value));
        let count = pairs.iter().filter(gone).count();
        if count == 0 {
            return Vec::new();
        }
        if count == pairs.len() {
            let lines = self.lines(owner, mapping);
            if !self.stands_alone(owner, mapping) {
                return vec![Edit::remove(self.in_flow(owner, mapping))];
            }
            return vec![Edit::replace(lines.clone(), self.comments(lines))];
        }
        if !self.is_flow(mapping) {
            return pairs
                .iter()
                .filter(gone)
                .map(|(key, value)| Edit::remove(self.lines(key, value)))
                .collect();
        }
        let kept: Vec<&str> = pairs
            .iter()
            .filter(|pair| !gone(pair))
            .filter_map(|(key, value)| self.text.get(key.bytes.range().start..self.entry_end(key, value)))
            .collect();
        vec![Edit::replace(
            mapping.bytes.range().start..self.flow_end(mapping),
            format!("{{{}}}", kept.join(", ")),
        )]
    }
}
