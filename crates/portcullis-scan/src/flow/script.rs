//! A script's text as the shell or interpreter gets it, and where each of its characters comes from.
//!
//! GitHub replaces `${{ … }}` in the text before any shell sees it. Here a secret becomes a placeholder of fixed
//! shape, so that the grammar can parse the script, and its place says which value it stands for.

use std::ops::Range;
use std::sync::Arc;

use crate::flow::value::{Part, Value};
use crate::span::Bytes;
use crate::yaml::Node;

/// Longest script that is parsed. GitHub allows no longer `run`.
pub const SCRIPT_MAX: usize = 256 * 1024;

/// Stands for a value in a script. A word in every language we parse; only its place counts, never its text.
const PLACEHOLDER: &str = "Q0Q0Q0";

/// A script ready for parsing.
#[derive(Debug)]
pub struct Script {
    /// The text, with placeholders.
    pub text: String,
    /// Which of the trace's files it stands in.
    pub file: usize,
    placeholders: Vec<(Range<usize>, Part)>,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    /// Text of a YAML scalar: `(offset here, offset in the scalar)`.
    Scalar(Arc<Node>, Vec<(usize, usize)>),
    /// A whole file.
    File,
    /// Built while running: everything in it stands where it was built.
    Fixed(Bytes),
}

impl Script {
    /// A script in a YAML scalar. `pieces` are its stretches: offset in the scalar, and value.
    pub fn from_scalar(node: &Arc<Node>, file: usize, pieces: Vec<(usize, Value)>) -> Self {
        let mut script =
            Self { text: String::new(), file, placeholders: Vec::new(), origin: Origin::Fixed(node.bytes) };
        let mut segments = Vec::new();
        for (offset, value) in pieces {
            segments.push((script.text.len(), offset));
            script.append(value);
        }
        script.origin = Origin::Scalar(Arc::clone(node), segments);
        script
    }

    /// A script in an action's input, whose expressions are evaluated already. Places are exact where no expression
    /// stands before them, else the input's as a whole.
    pub fn from_input(node: &Arc<Node>, file: usize, value: Value) -> Self {
        if value.literal().is_some() {
            return Self::from_scalar(node, file, vec![(0, value)]);
        }
        Self::from_value(value, file, node.bytes)
    }

    /// A whole file as a script.
    pub fn from_file(text: &str, file: usize) -> Self {
        Self { text: text.to_owned(), file, placeholders: Vec::new(), origin: Origin::File }
    }

    /// Code that another script put together.
    pub fn from_value(value: Value, file: usize, bytes: Bytes) -> Self {
        let mut script =
            Self { text: String::new(), file, placeholders: Vec::new(), origin: Origin::Fixed(bytes) };
        script.append(value);
        script
    }

    fn append(&mut self, value: Value) {
        for part in value.parts {
            match part {
                Part::Text(text) => self.text.push_str(&text),
                other => {
                    let start = self.text.len();
                    self.text.push_str(PLACEHOLDER);
                    self.placeholders.push((start..self.text.len(), other));
                }
            }
        }
    }

    /// Which of the trace's files it is, where it is a whole one.
    pub fn whole_file(&self) -> Option<usize> {
        matches!(self.origin, Origin::File).then_some(self.file)
    }

    /// Where a range of the script stands in its file.
    pub fn bytes(&self, range: Range<usize>) -> Bytes {
        match &self.origin {
            Origin::Fixed(bytes) => *bytes,
            Origin::File => Bytes::new(range),
            Origin::Scalar(node, segments) => {
                let Some(scalar) = node.scalar() else { return node.bytes };
                let at = |offset: usize| {
                    let after = segments.partition_point(|(here, _)| *here <= offset);
                    let segment = after.checked_sub(1).and_then(|index| segments.get(index));
                    let next = segments.get(after).map_or(usize::MAX, |(_, there)| *there);
                    let (here, there) = segment.copied().unwrap_or((0, 0));
                    // Inside a placeholder the offset may run past the expression it stands for.
                    (there + (offset - here)).min(next.saturating_sub(1))
                };
                let start = at(range.start);
                let end = if range.end > range.start { at(range.end - 1) + 1 } else { start };
                scalar.bytes_of(start..end.max(start))
            }
        }
    }

    /// The placeholders that lie in a range, with their places.
    pub fn placeholders_in(&self, range: &Range<usize>) -> &[(Range<usize>, Part)] {
        let from = self.placeholders.partition_point(|(place, _)| place.end <= range.start);
        let to = self.placeholders.partition_point(|(place, _)| place.start < range.end);
        self.placeholders.get(from..to.max(from)).unwrap_or(&[])
    }

    /// A stretch of the text as a value: placeholders become what they stand for, the rest goes through `unescape`.
    pub fn value(&self, range: Range<usize>, unescape: impl Fn(&str) -> String) -> Value {
        let mut value = Value::empty();
        let mut at = range.start;
        for (place, part) in self.placeholders_in(&range) {
            value.push_text(&unescape(self.slice(at..place.start)));
            value.push(part.clone());
            at = place.end.max(at);
        }
        value.push_text(&unescape(self.slice(at..range.end)));
        value
    }

    /// A stretch of the raw text.
    pub fn slice(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_gives_its_value_back_and_keeps_its_place() {
        let source = "run: |\n  curl ${{ secrets.A }} end\n";
        let root = crate::yaml::parse(source).unwrap();
        let node = root.get("run").unwrap();
        let text = node.text().unwrap();
        let end = text.find("}}").unwrap() + 2;
        let script = Script::from_scalar(
            node,
            0,
            vec![
                (0, Value::text("curl ")),
                (5, Value::part(Part::Configured("x".to_owned()))),
                (end, Value::text(text.get(end..).unwrap().to_owned())),
            ],
        );
        assert_eq!(script.value(0..script.text.len(), str::to_owned).template(), "curl ${x} end\n");
        let at = script.text.find("end").unwrap();
        assert_eq!(script.bytes(at..at + 3).start as usize, source.find("end").unwrap());
    }
}
