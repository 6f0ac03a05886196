//! Where something stands in a file: byte ranges inside the crate, lines and columns outside.

use std::cell::OnceCell;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A place in a file. Both numbers start at 1; columns count characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// A range in a file; `end` is exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// First character.
    pub start: Position,
    /// One past the last character.
    pub end: Position,
}

/// Bytes of a file, end exclusive. Small on purpose: every hop of every flow carries one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bytes {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Bytes {
    /// From a range; files beyond 4 GiB never get here (the size limit of a workflow is 1 MiB).
    pub fn new(range: Range<usize>) -> Self {
        let clamp = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Self { start: clamp(range.start), end: clamp(range.end.max(range.start)) }
    }

    /// As a range for slicing.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The starts of a text's lines, for turning bytes into lines and columns.
#[derive(Debug)]
pub struct LineIndex<'text> {
    text: &'text str,
    starts: OnceCell<Vec<usize>>,
}

impl<'text> LineIndex<'text> {
    /// Reads the text once, when the first place in it is asked for.
    pub fn new(text: &'text str) -> Self {
        Self { text, starts: OnceCell::new() }
    }

    fn starts(&self) -> &[usize] {
        let read = || std::iter::once(0).chain(self.text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        self.starts.get_or_init(read)
    }

    /// The position of a byte; past the end, the end.
    pub fn position(&self, byte: usize) -> Position {
        let byte = byte.min(self.text.len());
        let line = self.starts().partition_point(|start| *start <= byte);
        let start = self.starts().get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(start..byte).unwrap_or("");
        Position { line: line as u32, column: before.chars().count() as u32 + 1 }
    }

    /// The lines and columns of a byte range.
    pub fn span(&self, bytes: Bytes) -> Span {
        Span { start: self.position(bytes.start as usize), end: self.position(bytes.end as usize) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let index = LineIndex::new("añb\ncd");
        assert_eq!(index.position(0), Position { line: 1, column: 1 });
        assert_eq!(index.position(3), Position { line: 1, column: 3 });
        assert_eq!(index.position(5), Position { line: 2, column: 1 });
        assert_eq!(index.position(99), Position { line: 2, column: 3 });
    }
}
