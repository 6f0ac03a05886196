//! What sends, and which of its words are an address.

use super::Program;
use crate::flow::trace::{Channel, Role};
use crate::flow::value::{Part, Value};
use crate::span::Bytes;

/// Functions that send what they are given to a host, by the end of their dotted name.
pub(super) const SENDERS: &[&str] = &[
    "requests.get",
    "requests.post",
    "requests.put",
    "requests.request",
    "requests.patch",
    "requests.head",
    "requests.delete",
    "session.post",
    "session.get",
    "session.put",
    "urlopen",
    "urlretrieve",
    "httpx.get",
    "httpx.post",
    "httpx.put",
    "httpx.request",
    "httpx.stream",
    "aiohttp.request",
    ".request",
    "fetch",
    "axios",
    "axios.get",
    "axios.post",
    "axios.put",
    "axios.request",
    "got",
    "got.post",
    "needle",
    "superagent.post",
    "https.get",
    "http.get",
    "sendBeacon",
    "socket.connect",
    ".connect",
    ".sendall",
    ".send",
    ".sendto",
    ".write",
    ".end",
    "createConnection",
    "create_connection",
    "WebSocket",
    "urllib3.request",
    "smtplib.SMTP",
    ".sendmail",
    ".send_message",
    ".storbinary",
    ".put_object",
    ".upload_file",
    ".upload_fileobj",
];

impl Program<'_, '_, '_> {
    /// Sends to the address among receiver and arguments; false if none is there.
    pub(super) fn send(&mut self, name: &str, receiver: &Value, arguments: &[Value], bytes: Bytes) -> bool {
        let mut candidates = vec![receiver.clone()];
        candidates.extend(arguments.iter().cloned());
        let target = candidates.iter().find_map(address).or_else(|| {
            // A host alone: the first literal that looks like a name with a dot.
            let all = candidates.iter().flat_map(|value| value.parts.iter());
            all.filter_map(|part| match part {
                Part::Text(text) => host_in(text),
                _ => None,
            })
            .next()
            .map(Value::text)
        });
        let configured = || {
            candidates
                .iter()
                .find(|value| matches!(value.parts.first(), Some(Part::Carried(_) | Part::Configured(_))))
        };
        let Some(target) = target.or_else(|| configured().cloned()) else { return false };
        let mut content = Value::empty();
        for value in &candidates {
            content.append(value.clone());
        }
        let file = self.script.file;
        self.tracer.deliver(content, Channel::Network, Role::Payload, target, name, file, bytes);
        true
    }
}

/// The address in a value, from its scheme on.
pub(super) fn address(value: &Value) -> Option<Value> {
    let at = value.parts.iter().position(|part| matches!(part, Part::Text(text) if text.contains("://")))?;
    let Some(Part::Text(text)) = value.parts.get(at) else { return None };
    let start = text.find("://")?;
    let scheme =
        text.get(..start)?.rfind(|character: char| !character.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
    let rest = text.get(scheme..)?;
    let end = rest
        .find(|character: char| {
            character.is_whitespace() || matches!(character, '"' | '\'' | '`' | ')' | '>')
        })
        .unwrap_or(rest.len());
    let mut found = Value::text(rest.get(..end)?.to_owned());
    if end == rest.len() {
        for part in value.parts.iter().skip(at + 1).take(8) {
            match part {
                Part::Text(text) => {
                    let end = text
                        .find(|character: char| character.is_whitespace() || matches!(character, '"' | '\''))
                        .unwrap_or(text.len());
                    found.push_text(text.get(..end)?);
                    if end < text.len() {
                        break;
                    }
                }
                other => found.push(other.clone()),
            }
        }
    }
    Some(found)
}

/// The first bare host name or address in the literal text of a value.
pub(super) fn host(value: &Value) -> Option<Value> {
    let texts = value.parts.iter().filter_map(|part| match part {
        Part::Text(text) => host_in(text),
        _ => None,
    });
    texts.map(Value::text).next()
}

/// A bare host name or address in a literal.
pub(super) fn host_in(text: &str) -> Option<String> {
    text.split(|character: char| !(character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | ':')))
        .find(|word| {
            let host = word.split(':').next().unwrap_or("");
            let labels = host.split('.').collect::<Vec<_>>();
            labels.len() >= 2
                && labels.iter().all(|label| !label.is_empty())
                && (labels
                    .last()
                    .is_some_and(|last| last.len() >= 2 && last.chars().all(|c| c.is_ascii_alphabetic()))
                    || labels.len() == 4 && labels.iter().all(|label| label.parse::<u8>().is_ok()))
        })
        .map(str::to_owned)
}
