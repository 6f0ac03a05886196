//! SARIF 2.1.0, for code scanning: rules with their help, places, and the flow of each secret hop by hop.

use std::io::{self, Write};

use portcullis_scan::Report;
use portcullis_scan::report::{AcceptedBy, Finding, Problem, Verdict};
use portcullis_scan::span::Span;
use portcullis_scan::techniques;
use portcullis_scan::text::{Lines, RepositoryText, escape};
use serde_json::{Value, json};

pub(super) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let rules: Vec<Value> = techniques::ALL
        .iter()
        .map(|technique| {
            let explanation = technique.explanation();
            let first = explanation.lines().next().unwrap_or("").to_owned();
            json!({
                "id": technique.id(),
                "shortDescription": { "text": first },
                "fullDescription": { "text": first },
                "help": { "text": explanation, "markdown": explanation },
            })
        })
        .collect();
    let notifications: Vec<Value> = report.document.problems.iter().map(notification).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "portcullis",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": "https://github.com/portcullis/portcullis",
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "invocations": [{ "executionSuccessful": true, "toolExecutionNotifications": notifications }],
            "results": report.document.findings.iter().map(result).collect::<Vec<_>>(),
        }],
    });
    writeln!(out, "{}", super::json::escaped(&serde_json::to_string_pretty(&log)?))
}

fn result(finding: &Finding) -> Value {
    let level = match finding.verdict {
        Verdict::Malicious | Verdict::Suspicious => "error",
        Verdict::Exposed => "warning",
        Verdict::Advice => "note",
    };
    let message = format!("{}: {}", finding.verdict.name(), super::human::headline(finding));
    let hops: Vec<Value> = finding
        .flow
        .iter()
        .map(|hop| json!({ "location": place(hop.path.unescaped(), hop.span, Some(&hop.what)) }))
        .collect();
    let mut result = json!({
        "ruleId": finding.rule,
        "level": level,
        "message": { "text": text(&message) },
        "locations": [place(finding.path.unescaped(), finding.span, None)],
        "partialFingerprints": { "portcullis/1": finding.id },
        "properties": {
            "verdict": finding.verdict.name(),
            "standing": serde_json::to_value(finding.standing).unwrap_or_default(),
            "signals": finding.signals,
            "blob": finding.blob,
            "exposures": serde_json::to_value(&finding.exposures).unwrap_or_default(),
        },
    });
    if !hops.is_empty() {
        insert(&mut result, "codeFlows", json!([{ "threadFlows": [{ "locations": hops }] }]));
    }
    if let (Some(job), Some(properties)) = (&finding.job, result.get_mut("properties")) {
        insert(properties, "job", serde_json::to_value(job).unwrap_or_default());
    }
    if let Some(reason) = &finding.accepted {
        // SARIF 2.1.0, 3.35.2: `inSource` is a comment in the code, `external` what the operator keeps.
        let kind = if finding.accepted_by == Some(AcceptedBy::Comment) { "inSource" } else { "external" };
        insert(
            &mut result,
            "suppressions",
            json!([{ "kind": kind, "status": "accepted", "justification": escape(reason.unescaped(), Lines::One) }]),
        );
    }
    result
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = object {
        map.insert(key.to_owned(), value);
    }
}

/// What could not be looked at, and where.
fn notification(problem: &Problem) -> Value {
    let mut notification = json!({
        "level": "warning", "descriptor": { "id": problem.kind }, "message": { "text": text(&problem.what) },
    });
    if let Some(path) = &problem.path {
        let location =
            json!({ "physicalLocation": { "artifactLocation": { "uri": uri(path.unescaped()) } } });
        insert(&mut notification, "locations", json!([location]));
    }
    notification
}

/// A message's text: SARIF 2.1.0, 3.11.5 and 3.11.6 give `{0}` and `[…](…)` in it a meaning, which a repository must not have
/// for its own; and viewers show what they get.
fn text(message: &str) -> String {
    let shown = escape(message, Lines::One);
    let mut out = String::with_capacity(shown.len());
    let mut rest = shown.as_str();
    while let Some((before, marked)) =
        rest.find(['[', ']', '\\', '{']).and_then(|at| rest.split_at_checked(at))
    {
        out.push_str(before);
        let mut characters = marked.chars();
        let mark = characters.next().unwrap_or_default();
        rest = characters.as_str();
        if mark == '{' {
            let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
            match rest.split_at_checked(end) {
                Some((digits, after)) if end > 0 && after.starts_with('}') => {
                    out.push_str(&format!("{{{{{digits}}}}}"));
                    rest = after.strip_prefix('}').unwrap_or(after);
                }
                _ => out.push(mark),
            }
        } else {
            out.extend(['\\', mark]);
        }
    }
    out.push_str(rest);
    out
}

fn place(path: &str, span: Span, message: Option<&RepositoryText>) -> Value {
    let mut place = json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(path) },
            "region": {
                "startLine": span.start.line.max(1), "startColumn": span.start.column.max(1),
                "endLine": span.end.line.max(1), "endColumn": span.end.column.max(1),
            },
        },
    });
    if let Some(message) = message {
        insert(&mut place, "message", json!({ "text": text(message.unescaped()) }));
    }
    place
}

/// A path as a relative reference: everything but the plain characters percent-encoded.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~') {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_links_nowhere_and_has_no_places_to_fill() {
        assert_eq!(
            text("a [x](https://collector.test/) {0} {name} {12 \\"),
            r"a \[x\](https://collector.test/) {{0}} {name} {12 \\"
        );
        assert_eq!(text("\u{202e}\u{1b}\u{85}"), r"\\u{202e}\\u{1b}\\u{{85}}");
    }
}
