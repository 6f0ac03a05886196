//! A YAML tree with the byte span of every node, built from `saphyr-parser`'s events.
//!
//! It keeps what a plain deserialiser drops (spans, duplicate keys, order) and shares aliased nodes instead of
//! copying them, so that a file of nested aliases costs its own size and not its expansion. Readers of the tree
//! bound their own walks. Limits are errors, never truncation: the caller then searches the text itself.

mod quick;
pub mod repair;

use std::borrow::Cow;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::span::Bytes;

/// Deepest nesting of collections. GitHub's own schema needs about ten.
pub const DEPTH_MAX: usize = 64;
/// Most nodes of one file.
pub const NODES_MAX: usize = 100_000;
/// Most anchors of one file. Hand-written workflows have a handful.
pub const ANCHORS_MAX: usize = 1_000;

/// One node of the tree.
#[derive(Debug)]
pub struct Node {
    /// What it is.
    pub content: Content,
    /// Where it stands; an aliased node has its anchor's place.
    pub bytes: Bytes,
}

/// The three kinds of YAML nodes.
#[derive(Debug)]
pub enum Content {
    /// A string, number, boolean or null, all as text.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Arc<Node>>),
    /// Keys and values in file order; duplicates are kept.
    Mapping(Vec<(Arc<Node>, Arc<Node>)>),
}

/// A scalar's text, and how its characters map back to the file.
#[derive(Debug)]
pub struct Scalar {
    /// The value after unquoting, unindenting and folding.
    pub text: String,
    /// Whether it stands without quotes, where `true` and `null` are not strings.
    pub plain: bool,
    /// `(offset in text, byte in file)` wherever the difference between the two changes; sorted.
    segments: Vec<(u32, u32)>,
    /// Where the scalar ends in the file. Where value and source can't be matched, counting on must not go past it.
    end: u32,
}

impl Scalar {
    /// The byte in the file that an offset into `text` comes from.
    pub fn byte_of(&self, offset: usize) -> usize {
        let after = self.segments.partition_point(|(text, _)| *text as usize <= offset);
        let (text, file) =
            after.checked_sub(1).and_then(|at| self.segments.get(at)).copied().unwrap_or((0, 0));
        (file as usize + (offset - text as usize)).min(self.end as usize)
    }

    /// The bytes in the file that a range of `text` comes from.
    pub fn bytes_of(&self, range: std::ops::Range<usize>) -> Bytes {
        let start = self.byte_of(range.start);
        let end = if range.end > range.start { self.byte_of(range.end - 1) + 1 } else { start };
        let end = end.min(self.end as usize).max(start);
        Bytes::new(start..end)
    }
}

/// Why a text is not a tree. `at` is the byte where it became clear.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum YamlError {
    /// The parser refused it.
    #[error("not valid YAML: {what} (line {line})")]
    Syntax {
        /// The parser's words; its own, never the file's.
        what: String,
        /// Line, from 1.
        line: usize,
    },
    /// One of this module's limits.
    #[error("more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// No document in it.
    #[error("no YAML document in the file")]
    Empty,
}

impl Node {
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        self.scalar().map(|scalar| scalar.text.as_str())
    }

    /// The scalar.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.content {
            Content::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The entries of a mapping with text keys, merge keys (`<<`) followed one level deep; nothing for other nodes.
    pub fn entries(&self) -> Vec<(&Arc<Node>, &Arc<Node>)> {
        let Content::Mapping(pairs) = &self.content else { return Vec::new() };
        let mut all = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            match (key.text(), &value.content) {
                // GitHub refuses merge keys, other forges' runners accept them; searching both costs nothing.
                (Some("<<"), Content::Mapping(merged)) => all.extend(merged.iter().map(|(k, v)| (k, v))),
                _ => all.push((key, value)),
            }
        }
        all
    }

    /// The value of a key, compared without case, as GitHub does for most of its keys.
    pub fn get(&self, name: &str) -> Option<&Arc<Node>> {
        self.entries()
            .into_iter()
            .find(|(key, _)| key.text().is_some_and(|text| text.eq_ignore_ascii_case(name)))
            .map(|(_, value)| value)
    }

    /// The items of a sequence; a scalar alone counts as one item, as in `on: push`.
    pub fn items(self: &Arc<Node>) -> Vec<&Arc<Node>> {
        match &self.content {
            Content::Sequence(items) => items.iter().collect(),
            Content::Scalar(scalar) if scalar.text.is_empty() => Vec::new(),
            Content::Scalar(_) => vec![self],
            Content::Mapping(_) => Vec::new(),
        }
    }
}

/// Parses the first document of a text.
pub fn parse(source: &str) -> Result<Arc<Node>, YamlError> {
    quick::parse(source).map_or_else(|| parse_fully(source), Ok)
}

fn parse_fully(source: &str) -> Result<Arc<Node>, YamlError> {
    let mut builder = Builder::new(source);
    for event in Parser::new_from_str(source) {
        let (event, span) = event.map_err(|error| YamlError::Syntax {
            what: error.info().to_owned(),
            line: error.marker().line(),
        })?;
        let bytes = Bytes::new(builder.byte(span.start.index())..builder.byte(span.end.index()));
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        builder.take(event, bytes)?;
    }
    builder.root.ok_or(YamlError::Empty)
}

/// Longest run of source characters that is no content: indentation, quotes, a comment's start.
const SKIP_MAX: usize = 512;

struct Open {
    items: Vec<Arc<Node>>,
    mapping: bool,
    anchor: usize,
    start: u32,
}

struct Builder<'source> {
    source: &'source str,
    /// Byte of each character; empty for ASCII, where both are the same.
    characters: Vec<u32>,
    open: Vec<Open>,
    anchors: Vec<(usize, Arc<Node>)>,
    nodes: usize,
    root: Option<Arc<Node>>,
}

impl<'source> Builder<'source> {
    fn new(source: &'source str) -> Self {
        let characters = if source.is_ascii() {
            Vec::new()
        } else {
            source.char_indices().map(|(at, _)| at as u32).collect()
        };
        Self { source, characters, open: Vec::new(), anchors: Vec::new(), nodes: 0, root: None }
    }

    fn byte(&self, character: usize) -> usize {
        if self.characters.is_empty() {
            return character.min(self.source.len());
        }
        self.characters.get(character).map_or(self.source.len(), |byte| *byte as usize)
    }

    fn take(&mut self, event: Event<'_>, bytes: Bytes) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let scalar = scalar(self.source, text, style, bytes);
                self.place(Arc::new(Node { content: Content::Scalar(scalar), bytes }), anchor)
            }
            Event::SequenceStart(anchor, _) => self.open(false, anchor, bytes),
            Event::MappingStart(anchor, _) => self.open(true, anchor, bytes),
            Event::SequenceEnd | Event::MappingEnd => self.close(bytes),
            Event::Alias(anchor) => {
                let found = self.anchors.iter().rev().find(|(id, _)| *id == anchor);
                let node = match found {
                    Some((_, node)) => Arc::clone(node),
                    // An alias inside its own anchor: the node isn't finished. Nothing sensible can stand here.
                    None => Arc::new(Node { content: Content::Sequence(Vec::new()), bytes }),
                };
                self.place(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, mapping: bool, anchor: usize, bytes: Bytes) -> Result<(), YamlError> {
        if self.open.len() >= DEPTH_MAX {
            return Err(YamlError::Limit { what: "levels of nesting", limit: DEPTH_MAX });
        }
        self.open.push(Open { items: Vec::new(), mapping, anchor, start: bytes.start });
        Ok(())
    }

    fn close(&mut self, bytes: Bytes) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let last = open.items.last().map_or(bytes.start, |node| node.bytes.end);
        let end = last.max(bytes.end.min(last.max(bytes.start)));
        let content = if open.mapping {
            let mut pairs = Vec::with_capacity(open.items.len() / 2);
            let mut items = open.items.into_iter();
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                pairs.push((key, value));
            }
            Content::Mapping(pairs)
        } else {
            Content::Sequence(open.items)
        };
        let bytes = Bytes { start: open.start, end: end.max(open.start) };
        self.place(Arc::new(Node { content, bytes }), open.anchor)
    }

    fn place(&mut self, node: Arc<Node>, anchor: usize) -> Result<(), YamlError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(YamlError::Limit { what: "nodes", limit: NODES_MAX });
        }
        if anchor > 0 {
            if self.anchors.len() >= ANCHORS_MAX {
                return Err(YamlError::Limit { what: "anchors", limit: ANCHORS_MAX });
            }
            self.anchors.push((anchor, Arc::clone(&node)));
        }
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.root = self.root.take().or(Some(node)),
        }
        Ok(())
    }
}

fn scalar(source: &str, text: Cow<'_, str>, style: ScalarStyle, bytes: Bytes) -> Scalar {
    let raw = source.get(bytes.range()).unwrap_or("");
    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    // The header line of a block scalar (`|2-`) is not content.
    let skip = if block && raw.starts_with(['|', '>']) { raw.find('\n').map_or(0, |at| at + 1) } else { 0 };
    let segments = align(&text, raw, skip, bytes.start as usize);
    Scalar { text: text.into_owned(), plain: matches!(style, ScalarStyle::Plain), segments, end: bytes.end }
}

/// Walks value and source side by side. Quotes, escapes and indentation exist only in the source and are skipped;
/// a folded line break is a space in the value. Greedy: inside indentation a space may be matched early, which
/// moves no character that isn't a space.
///
/// `SKIP_MAX` keeps it linear: without it, text of nothing but escapes would be searched for to the end each time.
fn align(text: &str, raw: &str, skip: usize, base: usize) -> Vec<(u32, u32)> {
    let mut segments: Vec<(u32, u32)> = Vec::new();
    let mut at = skip;
    let raw_bytes = raw.as_bytes();
    let mut difference = None;
    for (offset, byte) in text.bytes().enumerate() {
        let mut seek = at;
        let found = loop {
            match raw_bytes.get(seek) {
                None => break None,
                Some(&found) if found == byte || (byte == b' ' && found == b'\n') => break Some(seek),
                Some(b'\\') if byte == b'\n' && raw_bytes.get(seek + 1) == Some(&b'n') => {
                    break Some(seek + 1);
                }
                Some(_) if seek - at >= SKIP_MAX => break None,
                Some(_) => seek += 1,
            }
        };
        // Not in the source as such (an escape): stay where we are and go on with the next character.
        let Some(found) = found else { continue };
        let now = (base + found) as i64 - offset as i64;
        if difference != Some(now) {
            segments.push((offset as u32, (base + found) as u32));
            difference = Some(now);
        }
        at = found + 1;
    }
    if segments.is_empty() {
        segments.push((0, (base + skip.min(raw.len())) as u32));
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_of_a_block_scalar_is_found_in_the_file() {
        let source = "a:\n  run: |\n    one\n      two three\n    four\n";
        let root = parse(source).unwrap();
        let scalar_node = root.get("a").unwrap().get("run").unwrap().clone();
        let scalar = scalar_node.scalar().unwrap();
        assert_eq!(scalar.text, "one\n  two three\nfour\n");
        for word in ["one", "two", "three", "four"] {
            let at = scalar.text.find(word).unwrap();
            assert_eq!(scalar.byte_of(at), source.find(word).unwrap(), "{word}");
        }
    }

    #[test]
    fn quoted_and_folded_scalars_map_back() {
        let source = "x: 'it''s here'\ny: >-\n  folded\n  line\nz: \"a\\nb end\"\n";
        let root = parse(source).unwrap();
        for (key, word) in [("x", "here"), ("y", "line"), ("z", "end")] {
            let node = root.get(key).unwrap();
            let scalar = node.scalar().unwrap();
            assert_eq!(scalar.byte_of(scalar.text.find(word).unwrap()), source.find(word).unwrap(), "{key}");
        }
    }

    #[test]
    fn aliases_are_shared_and_merge_keys_followed() {
        let root = parse("base: &b {k: v}\nuse:\n  <<: *b\n  own: w\nagain: *b\n").unwrap();
        assert_eq!(root.get("use").unwrap().get("k").unwrap().text(), Some("v"));
        assert_eq!(root.get("again").unwrap().get("k").unwrap().text(), Some("v"));
    }

    #[test]
    fn nesting_is_limited() {
        let at = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        assert!(parse(&at).is_ok());
        let past = format!("{}{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1));
        assert!(matches!(parse(&past), Err(YamlError::Limit { .. })));
    }

    #[test]
    fn anchors_are_limited() {
        let text = |count: usize| (0..count).map(|at| format!("- &a{at} x\n")).collect::<String>();
        assert!(parse(&text(ANCHORS_MAX)).is_ok());
        assert!(matches!(parse(&text(ANCHORS_MAX + 1)), Err(YamlError::Limit { what: "anchors", .. })));
    }

    #[test]
    fn a_file_of_nested_aliases_costs_its_own_size() {
        let mut text = "a0: &a0 [x, x]\n".to_owned();
        for level in 1..200 {
            text.push_str(&format!("a{level}: &a{level} [*a{0}, *a{0}, *a{0}]\n", level - 1));
        }
        assert!(parse(&text).is_ok());
    }

    #[test]
    fn not_yaml_says_where() {
        assert!(matches!(parse("a: [1, 2\nb: }"), Err(YamlError::Syntax { .. })));
        assert_eq!(parse("").unwrap_err(), YamlError::Empty);
    }
}
