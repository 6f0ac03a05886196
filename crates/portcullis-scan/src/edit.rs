//! Changes to a text by byte ranges, so that everything outside of them stays as it was.

use std::ops::Range;

use serde::Serialize;

/// Replaces a range of the original text; an empty range inserts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// What stands there afterwards.
    pub text: String,
}

impl Edit {
    /// Puts a text in place of a range.
    pub fn replace(range: Range<usize>, text: impl Into<String>) -> Self {
        Self { start: range.start, end: range.end, text: text.into() }
    }

    /// Takes a range out.
    pub fn remove(range: Range<usize>) -> Self {
        Self::replace(range, "")
    }

    /// Puts a text before a byte.
    pub fn insert(at: usize, text: impl Into<String>) -> Self {
        Self::replace(at..at, text)
    }
}

/// The text with all edits made. `None` if two of them overlap, or one lies outside or inside a character: a
/// half-made change is worse than none.
pub fn apply(text: &str, edits: &[Edit]) -> Option<String> {
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    sorted.sort_by_key(|edit| (edit.start, edit.end));
    let mut changed = String::with_capacity(text.len() + 1_024);
    let mut at = 0;
    for edit in sorted {
        changed.push_str(text.get(at..edit.start)?);
        text.get(edit.start..edit.end)?;
        changed.push_str(&edit.text);
        at = edit.end;
    }
    changed.push_str(text.get(at..)?);
    Some(changed)
}

/// A text that is changed in several rounds, each seeing what the one before left: the edits of all of them together, as
/// ranges of the text that was there first.
#[derive(Clone, Debug)]
pub struct Changes {
    pieces: Vec<Piece>,
}

/// A part of the changed text.
#[derive(Clone, Debug)]
enum Piece {
    /// A range of the first text.
    Kept(Range<usize>),
    New(String),
}

impl Piece {
    fn len(&self) -> usize {
        match self {
            Self::Kept(range) => range.len(),
            Self::New(text) => text.len(),
        }
    }

    /// Its first bytes, and the rest.
    fn split(self, at: usize) -> (Self, Self) {
        match self {
            Self::Kept(range) => {
                let middle = range.start.saturating_add(at).min(range.end);
                (Self::Kept(range.start..middle), Self::Kept(middle..range.end))
            }
            Self::New(mut text) => {
                let rest = text.split_off(at.min(text.len()));
                (Self::New(text), Self::New(rest))
            }
        }
    }
}

impl Changes {
    /// No change yet of a text of this many bytes.
    pub fn none(length: usize) -> Self {
        Self { pieces: vec![Piece::Kept(0..length)] }
    }

    /// Adds edits of the text as it is after those before; they must be such that [`apply`] makes them.
    pub fn then(&mut self, edits: &[Edit]) {
        let mut sorted: Vec<&Edit> = edits.iter().collect();
        sorted.sort_by_key(|edit| (edit.start, edit.end));
        let mut rest: std::collections::VecDeque<Piece> = std::mem::take(&mut self.pieces).into();
        let mut at = 0;
        // Moves on to a byte of the changed text, keeping or dropping what lies before it.
        let mut move_to = |to: usize, pieces: &mut Vec<Piece>, keep: bool| {
            while at < to
                && let Some(piece) = rest.pop_front()
            {
                let (before, after) = piece.split(to - at);
                at += before.len();
                if after.len() > 0 {
                    rest.push_front(after);
                }
                if keep && before.len() > 0 {
                    pieces.push(before);
                }
            }
        };
        let mut pieces = Vec::new();
        for edit in sorted {
            move_to(edit.start, &mut pieces, true);
            pieces.push(Piece::New(edit.text.clone()));
            move_to(edit.end, &mut pieces, false);
        }
        move_to(usize::MAX, &mut pieces, true);
        self.pieces = pieces;
    }

    /// All changes as edits of the first text, in its order; `length` is its own.
    pub fn edits(&self, length: usize) -> Vec<Edit> {
        let mut edits: Vec<Edit> = Vec::new();
        let (mut at, mut text) = (0, String::new());
        let end = Piece::Kept(length..length);
        for piece in self.pieces.iter().chain([&end]) {
            match piece {
                Piece::New(new) => text.push_str(new),
                Piece::Kept(range) => {
                    if range.start > at || !text.is_empty() {
                        edits.push(Edit::replace(at..range.start, std::mem::take(&mut text)));
                    }
                    at = range.end;
                }
            }
        }
        edits
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Rounds of edits, put together, make the same text.
        #[test]
        fn rounds_are_one_change(
            rounds in proptest::collection::vec(
                proptest::collection::vec((0..40_usize, 0..6_usize, "[a-c]{0,4}"), 0..4),
                0..4,
            ),
        ) {
            let first = "abcdefghijklmnopqrstuvwxyz";
            let mut text = first.to_owned();
            let mut changes = Changes::none(first.len());
            for round in rounds {
                let mut at = 0;
                let mut edits = Vec::new();
                for (skip, length, new) in round {
                    let start = at + skip % 7;
                    edits.push(Edit::replace(start..start + length, new));
                    at = start + length + 1;
                }
                if let Some(changed) = apply(&text, &edits) {
                    changes.then(&edits);
                    text = changed;
                }
            }
            prop_assert_eq!(apply(first, &changes.edits(first.len())), Some(text));
        }
    }

    #[test]
    fn edits_keep_what_is_outside() {
        let edits = [Edit::replace(8..13, "sky"), Edit::insert(8, "big "), Edit::remove(0..2)];
        assert_eq!(apply("a hello world", &edits).as_deref(), Some("hello big sky"));
    }

    #[test]
    fn overlapping_and_outlying_edits_are_refused() {
        assert_eq!(apply("abcdef", &[Edit::remove(0..3), Edit::remove(2..4)]), None);
        assert_eq!(apply("abc", &[Edit::remove(2..9)]), None);
        assert_eq!(apply("é", &[Edit::insert(1, "x")]), None);
    }
}
