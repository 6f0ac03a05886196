//! Ruby, Perl, PHP: no grammar, so their string literals and the variables they name stand for the program.
//!
//! Together they say: this program names these secrets, and these addresses, and it can send. That is coarse; it
//! never calls a program clean that names both.

use std::collections::HashMap;

use crate::flow::Tracer;
use crate::flow::script::Script;
use crate::flow::trace::{Channel, Role};
use crate::flow::value::Value;

/// Words by which these languages send.
const CLIENTS: &[&str] = &[
    "Net::HTTP",
    "URI(",
    "open-uri",
    "RestClient",
    "HTTParty",
    "Faraday",
    "LWP",
    "HTTP::Tiny",
    "TCPSocket",
    "IO::Socket",
    "curl_",
    "file_get_contents",
    "fsockopen",
    "stream_context",
    "post_form",
    "http.",
];

pub(super) fn run(tracer: &mut Tracer<'_>, environment: &HashMap<String, Value>, script: &Script) -> Value {
    let whole = 0..script.text.len();
    let text = script.slice(whole.clone());
    let mut content = Value::empty();
    for (_, part) in script.placeholders_in(&whole) {
        content.push(part.clone());
    }
    let mut names = environment.keys().collect::<Vec<_>>();
    names.sort();
    for name in names {
        let named = text.match_indices(name.as_str()).any(|(at, found)| {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let after = text.get(at + found.len()..).and_then(|after| after.chars().next());
            let word =
                |character: Option<char>| character.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
            !word(before) && !word(after)
        });
        if let (true, Some(value)) = (named, environment.get(name)) {
            content.append(value.only_carried());
        }
    }
    let dumps = [
        "ENV.to_h",
        "ENV.each",
        "ENV.map",
        "ENV.to_a",
        "%ENV",
        "getenv()",
        "$_ENV",
        "ENV.inspect",
        "ENV.select",
    ];
    if dumps.iter().any(|dump| text.contains(dump)) {
        for value in environment.values() {
            content.append(value.only_carried());
        }
    }
    let bytes = script.bytes(whole.clone());
    let sends = CLIENTS.iter().any(|client| text.contains(client));
    if sends && content.carries() {
        let value = script.value(whole, str::to_owned);
        let target = super::send::address(&value).unwrap_or_else(Value::unknown);
        tracer.deliver(content, Channel::Network, Role::Payload, target, "program", script.file, bytes);
    } else if !sends {
        tracer.works();
    }
    Value::empty()
}
