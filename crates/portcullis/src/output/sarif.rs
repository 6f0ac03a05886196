//! SARIF 2.1.0, for code scanning: rules with their help, places, and the flow of each secret hop by hop.

use std::io::{self, Write};

use portcullis_scan::Report;
use portcullis_scan::report::{AcceptedBy, Certainty, Finding, Verdict};
use portcullis_scan::span::Span;
use portcullis_scan::techniques;
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
    let notifications: Vec<Value> = report
        .document
        .problems
        .iter()
        .map(|problem| json!({ "level": "warning", "descriptor": { "id": problem.kind }, "message": { "text": problem.what } }))
        .collect();
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
    let names: Vec<&str> = finding
        .secrets
        .iter()
        .filter(|secret| secret.certainty == Certainty::Certain)
        .map(|secret| secret.name.unescaped())
        .collect();
    let places: Vec<&str> =
        finding.exposures.iter().map(|exposure| exposure.destination.unescaped()).collect();
    let mut places: Vec<&str> = places;
    places.dedup();
    let message = format!(
        "{}: {} → {}",
        finding.verdict.name(),
        if finding.all_secrets { "all secrets".to_owned() } else { names.join(", ") },
        places.join(", ")
    );
    let hops: Vec<Value> = finding
        .flow
        .iter()
        .map(|hop| json!({ "location": place(hop.path.unescaped(), hop.span, Some(hop.what.unescaped())) }))
        .collect();
    let mut result = json!({
        "ruleId": finding.rule,
        "level": level,
        "message": { "text": message },
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
    if let Some(reason) = &finding.accepted {
        // SARIF 2.1.0, 3.35.2: `inSource` is a comment in the code, `external` what the operator keeps.
        let kind = if finding.accepted_by == Some(AcceptedBy::Comment) { "inSource" } else { "external" };
        insert(
            &mut result,
            "suppressions",
            json!([{ "kind": kind, "status": "accepted", "justification": reason.unescaped() }]),
        );
    }
    result
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = object {
        map.insert(key.to_owned(), value);
    }
}

fn place(path: &str, span: Span, message: Option<&str>) -> Value {
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
        insert(&mut place, "message", json!({ "text": message }));
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
