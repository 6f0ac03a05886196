//! Text that a scanned repository wrote: branch names, commit messages, paths, script lines.
//!
//! It is hostile until shown otherwise, so the type has no `Display`: whoever prints it must choose the escaper of
//! the place it goes to. JSON's escaper is serde's; [`RepositoryText::for_terminal`] is the terminal's.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Bytes as text; what is not UTF-8 becomes U+FFFD. Nearly all is UTF-8, and telling that is several times cheaper than
/// looking for what is not.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Text out of a scanned repository. No `Display`: it can only be shown through an escaper.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RepositoryText(String);

impl RepositoryText {
    /// Takes text as the repository has it, without a change.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Takes bytes; what is not UTF-8 becomes U+FFFD.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The text itself, for comparing and analysing. Never print this.
    pub fn unescaped(&self) -> &str {
        &self.0
    }

    /// The text for one line of a terminal: control, bidirectional and zero-width characters as `\u{…}`.
    pub fn for_terminal(&self) -> String {
        escape(&self.0, Lines::One)
    }
}

/// Whether line breaks and tabs survive [`escape`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// One line: a line break would forge another line of output, so it is escaped too.
    One,
    /// A source excerpt: line feeds and tabs stay.
    Many,
}

/// Replaces every character that could move the cursor, reorder or hide text by `\u{…}`.
pub fn escape(text: &str, lines: Lines) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        let kept = lines == Lines::Many && matches!(character, '\n' | '\t');
        if !kept && is_deceptive(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// Control characters, bidirectional overrides and isolates, zero-width and other invisible characters
/// (Unicode TR 36 "visual spoofing"; the list of the Trojan Source paper, plus fillers, tags and separators).
pub fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deceptive_characters_are_shown_as_code_points() {
        let text = RepositoryText::new("a\u{1b}[31m\u{202e}b\u{200b}c\nd");
        assert_eq!(text.for_terminal(), r"a\u{1b}[31m\u{202e}b\u{200b}c\u{a}d");
    }

    #[test]
    fn an_excerpt_keeps_its_lines_and_nothing_else() {
        assert_eq!(escape("a\n\tb\r\u{7f}é", Lines::Many), "a\n\tb\\u{d}\\u{7f}é");
    }
}
