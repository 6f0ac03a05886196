//! `portcullis.scan/1` as one document, or as one object a line.

use std::io::{self, Write};

use portcullis_scan::text::is_deceptive;
use portcullis_scan::{Part, Report, Totals};
use serde::Serialize;

/// The whole document.
pub(super) fn document(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(out, "{}", escaped(&serde_json::to_string_pretty(&report.document)?))
}

/// What one repository shows: itself, then its findings and problems.
pub(crate) fn part(out: &mut impl Write, part: &Part) -> io::Result<()> {
    if part.read {
        line(out, "repository", &part.repository)?;
    }
    for finding in &part.findings {
        line(out, "finding", finding)?;
    }
    for problem in &part.problems {
        line(out, "problem", problem)?;
    }
    Ok(())
}

/// The counts, which stand last and say that nothing follows.
pub(crate) fn totals(out: &mut impl Write, totals: &Totals) -> io::Result<()> {
    #[derive(Serialize)]
    struct Last<'d> {
        schema: &'d str,
        complete: bool,
        #[serde(flatten)]
        stats: &'d portcullis_scan::report::Stats,
    }
    let last =
        Last { schema: portcullis_scan::report::SCHEMA, complete: totals.complete, stats: &totals.stats };
    line(out, "stats", &last)
}

fn line(out: &mut impl Write, kind: &str, object: &impl Serialize) -> io::Result<()> {
    #[derive(Serialize)]
    struct Typed<'o, T> {
        r#type: &'o str,
        #[serde(flatten)]
        object: &'o T,
    }
    writeln!(out, "{}", escaped(&serde_json::to_string(&Typed { r#type: kind, object })?))
}

/// Escapes what serde leaves as it is: beyond ASCII, characters that deceive the eye stand only inside strings, where
/// JSON's `\u` means the same.
///
/// `##[` goes too: in the log of a GitHub Actions job it would be a command wherever in a line it stands.
pub(crate) fn escaped(json: &str) -> String {
    let json = json.replace("##[", "##\\u005b");
    if json.is_ascii() && !json.contains('\u{7f}') {
        return json;
    }
    let mut out = String::with_capacity(json.len());
    let mut units = [0; 2];
    for character in json.chars() {
        if character > '\u{7e}' && is_deceptive(character) {
            for unit in character.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deceptive_characters_are_escaped_and_mean_the_same() {
        let text = "a\u{202e}b\u{200b}é\u{e0041}";
        let json = serde_json::to_string(text).unwrap();
        let escaped = escaped(&json);
        assert_eq!(escaped, "\"a\\u202eb\\u200bé\\udb40\\udc41\"");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }
}
