//! Hostile text made harmless to look at: what a person reads is what is there.
//!
//! Repository paths, file names, reports and client names come from strangers. Escaping for HTML is the templates' duty;
//! this shows the characters that would be invisible, move the cursor or turn the direction of writing (UTS #36, UTS #55)
//! as `\u{…}`, and bounds the length.

/// `text` with its unseen characters shown as `\u{…}`, cut after `limit` characters.
#[must_use]
pub fn visible(text: &str, limit: usize) -> String {
    shown(text, limit, false)
}

/// As [`visible`], for text of several lines: line feeds stay, a carriage return before one is dropped.
#[must_use]
pub fn visible_lines(text: &str, limit: usize) -> String {
    shown(&text.replace("\r\n", "\n"), limit, true)
}

fn shown(text: &str, limit: usize, lines: bool) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for (index, character) in text.chars().enumerate() {
        if index == limit {
            out.push('…');
            break;
        }
        if character == '\n' && lines || !is_unseen(character) {
            out.push(character);
        } else {
            out.extend(character.escape_unicode());
        }
    }
    out
}

/// Control, format, bidirectional and zero-width characters, variation selectors, tags, fillers, and the spaces that are
/// not `U+0020`.
pub(crate) fn is_unseen(character: char) -> bool {
    character.is_control()
        || (character.is_whitespace() && character != ' ')
        || matches!(character,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFC}'
            | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_unseen_is_seen() {
        for (text, shown) in [
            ("plain text", "plain text"),
            ("Grüße 日本", "Grüße 日本"),
            ("a\u{202e}gpj.exe", "a\\u{202e}gpj.exe"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
            ("line\nbreak\t\u{1b}[31m", "line\\u{a}break\\u{9}\\u{1b}[31m"),
            ("no\u{a0}break", "no\\u{a0}break"),
            ("\u{feff}mark", "\\u{feff}mark"),
        ] {
            assert_eq!(visible(text, 100), shown);
        }
        assert_eq!(visible_lines("a\r\nb\u{200d}", 100), "a\nb\\u{200d}");
    }

    #[test]
    fn long_text_is_cut_one_past_the_limit() {
        assert_eq!(visible("abcd", 4), "abcd");
        assert_eq!(visible("abcde", 4), "abcd…");
    }
}
