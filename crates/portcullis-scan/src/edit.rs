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

#[cfg(test)]
mod tests {
    use super::*;

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
