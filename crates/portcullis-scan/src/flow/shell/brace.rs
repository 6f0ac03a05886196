//! Brace expansion: `{a,b}` and `{1..3}` make several words of one.

use super::Argument;
use crate::flow::value::{Part, Value};

/// Most words that one may become.
pub(super) const WORDS_MAX: usize = 1_024;

/// A piece of a word: a character of its literal text, or something else, by its number among the word's parts.
#[derive(Clone, Copy)]
enum Piece {
    Character(char),
    Other(u32),
}

/// The words that a word with braces becomes; itself, if it has none that mean anything.
pub(super) fn expanded(argument: Argument) -> Vec<Argument> {
    if !may_have_alternatives(&argument.value) {
        return vec![argument];
    }
    let mut pieces = Vec::new();
    for (number, part) in (0..).zip(&argument.value.parts) {
        match part {
            Part::Text(text) => pieces.extend(text.chars().map(Piece::Character)),
            _ => pieces.push(Piece::Other(number)),
        }
    }
    if pieces.len() > 4_096 {
        return vec![argument];
    }
    let bytes = argument.bytes;
    let words = alternatives(&pieces);
    if words.len() < 2 {
        return vec![argument];
    }
    words
        .into_iter()
        .map(|pieces| Argument { value: whole(&pieces, &argument.value), bytes })
        .filter(|word| !word.value.is_empty())
        .collect()
}

/// Whether there is a brace that opens, and a comma or a range: most words with a brace have neither.
fn may_have_alternatives(word: &Value) -> bool {
    let has = |sought: &str| {
        word.parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains(sought)))
    };
    has("{") && has("}") && (has(",") || has(".."))
}

fn whole(pieces: &[Piece], word: &Value) -> Value {
    let mut value = Value::empty();
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Character(character) => text.push(*character),
            Piece::Other(number) => {
                value.push_text(&text);
                text.clear();
                if let Some(part) = word.parts.get(*number as usize) {
                    value.push(part.clone());
                }
            }
        }
    }
    value.push_text(&text);
    value
}

fn alternatives(pieces: &[Piece]) -> Vec<Vec<Piece>> {
    for (open, piece) in pieces.iter().enumerate() {
        if !matches!(piece, Piece::Character('{')) {
            continue;
        }
        let Some((close, choices)) = choices(pieces, open) else { continue };
        let before = pieces.get(..open).unwrap_or(&[]);
        let rest = alternatives(pieces.get(close + 1..).unwrap_or(&[]));
        let mut words = Vec::new();
        for choice in choices {
            for inner in alternatives(&choice) {
                for tail in &rest {
                    if words.len() < WORDS_MAX {
                        words.push([before, &inner, tail].concat());
                    }
                }
            }
        }
        return words;
    }
    vec![pieces.to_vec()]
}

/// What stands between the commas of a group, or the numbers of a range, and where the group ends.
fn choices(pieces: &[Piece], open: usize) -> Option<(usize, Vec<Vec<Piece>>)> {
    let mut found = vec![Vec::new()];
    let mut depth = 0;
    for (at, piece) in pieces.iter().enumerate().skip(open + 1) {
        match piece {
            Piece::Character('{') => depth += 1,
            Piece::Character('}') if depth == 0 => {
                if found.len() == 1 {
                    let text: String = found
                        .first()?
                        .iter()
                        .map(|piece| if let Piece::Character(c) = piece { *c } else { '\u{fffc}' })
                        .collect();
                    return range(&text).map(|range| (at, range));
                }
                return Some((at, found));
            }
            Piece::Character('}') => depth -= 1,
            Piece::Character(',') if depth == 0 => {
                found.push(Vec::new());
                continue;
            }
            _ => {}
        }
        found.last_mut()?.push(*piece);
    }
    None
}

fn range(text: &str) -> Option<Vec<Vec<Piece>>> {
    let (from, to) = text.split_once("..")?;
    let (from, to) = match (from.parse::<i64>(), to.parse::<i64>()) {
        (Ok(from), Ok(to)) => (from, to),
        _ => {
            let letter = |text: &str| text.parse::<char>().ok().filter(char::is_ascii_alphabetic);
            let letters = letter(from)?..=letter(to)?;
            return Some(letters.take(WORDS_MAX).map(|letter| vec![Piece::Character(letter)]).collect());
        }
    };
    let last = to.min(from.saturating_add(WORDS_MAX as i64 - 1));
    Some((from..=last).map(|number| number.to_string().chars().map(Piece::Character).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Bytes;

    #[test]
    fn words_come_apart() {
        let words = |text: &str| -> Vec<String> {
            let argument = Argument { value: Value::text(text), bytes: Bytes::new(0..0) };
            expanded(argument).iter().map(|word| word.value.template()).collect()
        };
        assert_eq!(words("a{b,c{d,e}}f"), ["abf", "acdf", "acef"]);
        assert_eq!(words("{1..3}"), ["1", "2", "3"]);
        assert_eq!(words("{cu,}rl"), ["curl", "rl"]);
        assert_eq!(words("{\"a\":1}"), ["{\"a\":1}"]);
        assert_eq!(words("{}"), ["{}"]);
    }
}
