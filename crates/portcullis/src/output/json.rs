//! `portcullis.scan/1` as one document, or as one object a line.

use std::io::{self, Write};

use portcullis_scan::Report;
use portcullis_scan::text::is_deceptive;
use serde::Serialize;

/// The whole document.
pub(super) fn document(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(out, "{}", escaped(&serde_json::to_string_pretty(&report.document)?))
}

/// `finding`, `problem` and `repository` objects, and `stats` last.
pub(super) fn lines(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let document = &report.document;
    let mut repositories: Vec<_> = document
        .findings
        .iter()
        .map(|finding| &finding.repository)
        .chain(document.problems.iter().map(|problem| &problem.repository))
        .collect();
    repositories.sort();
    repositories.dedup();
    for repository in repositories {
        line(out, "repository", repository)?;
    }
    for finding in &document.findings {
        line(out, "finding", finding)?;
    }
    for problem in &document.problems {
        line(out, "problem", problem)?;
    }
    #[derive(Serialize)]
    struct Last<'d> {
        schema: &'d str,
        complete: bool,
        #[serde(flatten)]
        stats: &'d portcullis_scan::report::Stats,
    }
    line(
        out,
        "stats",
        &Last { schema: &document.schema, complete: document.complete, stats: &document.stats },
    )
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
pub(super) fn escaped(json: &str) -> String {
    if json.is_ascii() && !json.contains('\u{7f}') {
        return json.to_owned();
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
