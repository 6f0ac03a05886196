//! Requirement lines (PEP 508), read within bounds.

use pep508_rs::{Requirement, VerbatimUrl};

/// Longest requirement, in bytes.
pub const LENGTH_LIMIT: usize = 4_096;
/// Deepest nesting of a marker's parentheses: the parser calls itself for each, and a stack that overflows takes the whole
/// server with it.
pub const DEPTH_LIMIT: usize = 32;

/// The requirement in a line; none where it is none, or passes a limit.
#[must_use]
pub fn parse(text: &str) -> Option<Requirement<VerbatimUrl>> {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for byte in text.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    (text.len() <= LENGTH_LIMIT && deepest <= DEPTH_LIMIT).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("x ; {}python_version > \"3\"{}", "(".repeat(depth), ")".repeat(depth))
    }

    #[test]
    fn nesting_is_bounded() {
        assert!(parse(&nested(DEPTH_LIMIT)).is_some());
        assert!(parse(&nested(DEPTH_LIMIT + 1)).is_none());
        assert!(parse(&nested(100_000)).is_none());
    }

    #[test]
    fn length_is_bounded() {
        let long = |length: usize| format!("{}>=1", "x".repeat(length - 3));
        assert!(parse(&long(LENGTH_LIMIT)).is_some());
        assert!(parse(&long(LENGTH_LIMIT + 1)).is_none());
    }
}
