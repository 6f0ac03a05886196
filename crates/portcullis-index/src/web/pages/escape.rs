//! How values come into pages: escaped for HTML, and with their unseen characters made visible.

use std::fmt::{self, Write};

use askama::filters::{Escaper, Html};

use crate::visible::is_unseen;

/// The escaper of all templates (named in `askama.toml`). Line feeds and tabs stay: white space is harmless in HTML.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visible;

impl Escaper for Visible {
    fn write_escaped_str<W: Write>(&self, mut dest: W, string: &str) -> fmt::Result {
        let mut rest = string;
        while let Some(index) =
            rest.find(|character| is_unseen(character) && !matches!(character, '\n' | '\t'))
        {
            let (plain, unseen) = rest.split_at(index);
            Html.write_escaped_str(&mut dest, plain)?;
            let mut characters = unseen.chars();
            if let Some(character) = characters.next() {
                write!(dest, "{}", character.escape_unicode())?;
            }
            rest = characters.as_str();
        }
        Html.write_escaped_str(dest, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_can_neither_become_markup_nor_hide() {
        for (value, written) in [
            ("plain", "plain"),
            ("<script>'\"&", "&#60;script&#62;&#39;&#34;&#38;"),
            ("a\u{202e}b\n\tc\u{0}", "a\\u{202e}b\n\tc\\u{0}"),
            ("\u{200b}<", "\\u{200b}&#60;"),
        ] {
            let mut out = String::new();
            Visible.write_escaped_str(&mut out, value).unwrap();
            assert_eq!(out, written);
        }
    }
}
