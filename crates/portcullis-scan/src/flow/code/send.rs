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
    "client.get",
    "client.post",
    "client.put",
    "client.patch",
    "client.delete",
    "client.request",
    "client.stream",
    "client.send",
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
    "axios.patch",
    "axios.default.post",
    "undici.request",
    "undici.fetch",
    "undici.stream",
    "node-fetch",
    "node-fetch.default",
    "cross-fetch",
    "ky",
    "ky.post",
    "ky.put",
    "phin",
    "wretch",
    "needle.post",
    "superagent.put",
    ".exec_command",
    ".putfo",
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
    ".sendMail",
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
        // Where a function takes the address first, nothing else can be it.
        let first = if is_http(name) { designated(arguments) } else { None };
        let only_known_later = first.filter(|value| {
            matches!(value.parts.first(), Some(Part::Unknown | Part::Remote(_)))
                && address(value).is_none()
                && candidates.first().is_none_or(|receiver| address(receiver).is_none())
        });
        // A variable that is the beginning of the address: the rest is a path, and no host.
        let begins = if is_http(name) { designated(arguments) } else { None }.filter(|value| {
            matches!(value.parts.first(), Some(Part::Carried(_) | Part::Configured(_) | Part::Unset))
                && address(value).is_none()
        });
        // A connection knows its host, whatever addresses the message speaks of.
        let connected = || host(receiver).filter(|_| is_connection(name) && address(receiver).is_none());
        let target = only_known_later
            .or_else(connected)
            .or(begins)
            .or_else(|| candidates.iter().find_map(address))
            .or_else(|| {
                // A host alone: the first literal that looks like a name with a dot.
                candidates.iter().find_map(host)
            });
        let target = target.or_else(|| bucket(name, arguments));
        let configured = || {
            candidates
                .iter()
                .find(|value| matches!(value.parts.first(), Some(Part::Carried(_) | Part::Configured(_))))
        };
        let Some(target) = target.or_else(|| configured().cloned()) else { return false };
        let (mut payload, mut login, mut within) = (Value::empty(), Value::empty(), Value::empty());
        let in_address = target.carried().count();
        for (at, value) in candidates.iter().enumerate() {
            if at == 0 && !value.carries() {
                // The connection itself is no part of the message.
                continue;
            }
            if at == 0 && name.ends_with(".sendMail") {
                // What a transport is made with: the host, and the login to it.
                login.append(value.only_carried());
                continue;
            }
            let is_address = address(value).is_some_and(|found| found.template() == target.template());
            if is_address && in_address > 0 && value.carried().count() == in_address {
                within.append(target.clone());
            } else {
                share_out(value, &mut payload, &mut login);
            }
        }
        let file = self.script.file;
        for (content, role) in
            [(payload, Role::Payload), (login, Role::Authentication), (within, Role::Address)]
        {
            self.tracer.deliver(content, Channel::Network, role, target.clone(), name, file, bytes);
        }
        true
    }
}

/// Parts of a request by what they are to the receiver: a login opens the door.
fn share_out(value: &Value, payload: &mut Value, login: &mut Value) {
    let mut before = "";
    for part in &value.parts {
        let opens = matches!(part, Part::Carried(_)) && is_login(before);
        if opens {
            login.push(part.clone())
        } else {
            payload.push(part.clone())
        }
        before = if let Part::Text(text) = part { text } else { "" };
    }
    payload.push_text(" ");
}

/// Whether what stands before a secret says that it is a login: `auth=`, `Authorization=Bearer `, `X-Api-Key=`.
fn is_login(before: &str) -> bool {
    let trimmed = before.trim_end_matches(['"', '\'', ' ']);
    let scheme = ["Bearer", "Basic", "Token", "token", "bearer", "apikey", "Authorization=Bot"]
        .iter()
        .any(|scheme| trimmed.ends_with(scheme));
    let label = trimmed.strip_suffix(['=', ':']).unwrap_or("").trim_end_matches(['"', '\'', ' ']);
    let label = label.rsplit([' ', ',', '{', '=', '"', '\'']).next().unwrap_or("").to_ascii_lowercase();
    let in_header = label.contains('-') || label.starts_with("auth");
    scheme
        || label == "auth"
        || in_header
            && ["authorization", "api-key", "apikey", "token", "auth"].iter().any(|word| label.contains(word))
}

/// The bucket that a client of S3 puts something into.
fn bucket(name: &str, arguments: &[Value]) -> Option<Value> {
    let named = arguments.iter().find_map(|value| value.literal()?.strip_prefix("Bucket="));
    let second = || arguments.get(1).and_then(Value::literal).filter(|text| !text.contains('='));
    let bucket = match name.rsplit('.').next()? {
        "put_object" => named?,
        "upload_file" | "upload_fileobj" => named.or_else(second)?,
        _ => return None,
    };
    Some(Value::text(format!("https://{bucket}.s3.amazonaws.com/")))
}

/// Whether a method sends on a connection that was opened before.
fn is_connection(name: &str) -> bool {
    const METHODS: &[&str] = &[
        ".sendall",
        ".send",
        ".sendto",
        ".sendmail",
        ".send_message",
        ".sendMail",
        ".storbinary",
        ".write",
        ".end",
    ];
    METHODS.iter().any(|method| name.ends_with(method))
}

/// Functions of HTTP clients that take the address first.
pub(super) fn is_http(name: &str) -> bool {
    const MODULES: &[&str] = &[
        "requests",
        "httpx",
        "client",
        "axios",
        "got",
        "needle",
        "superagent",
        "http",
        "https",
        "urllib3",
        "session",
        "undici",
        "ky",
    ];
    const VERBS: &[&str] = &["get", "post", "put", "patch", "delete", "head", "request", "stream"];
    if matches!(
        name,
        "fetch"
            | "axios"
            | "got"
            | "needle"
            | "urlopen"
            | "urllib.request.urlopen"
            | "globalThis.fetch"
            | "window.fetch"
    ) {
        return true;
    }
    let mut steps = name.rsplit('.');
    let (Some(verb), Some(module)) = (steps.next(), steps.next()) else { return false };
    // `https.request(…)` only makes a request, which is written to later.
    let opens = verb == "request" && matches!(module, "http" | "https");
    MODULES.contains(&module) && VERBS.contains(&verb) && !opens || verb == "urlopen"
}

/// The argument that is the address: the first one, or that named `url`; behind a method's name it is the second.
pub(super) fn designated(arguments: &[Value]) -> Option<Value> {
    let named = arguments.iter().find(|value| value.prefix().starts_with("url="));
    if let Some(named) = named {
        return Some(crate::flow::command::after(named, 4));
    }
    let first = arguments.first()?;
    let is_verb =
        first.literal().is_some_and(|text| !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase()));
    if is_verb { arguments.get(1).cloned() } else { Some(first.clone()) }
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

/// Ends of files' names under which nobody can register a host.
const FILES: &[&str] = &[
    "json",
    "jsonl",
    "yml",
    "yaml",
    "toml",
    "csv",
    "tsv",
    "txt",
    "log",
    "xml",
    "html",
    "htm",
    "js",
    "ts",
    "pdf",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "tar",
    "gz",
    "tgz",
    "bz2",
    "xz",
    "whl",
    "apk",
    "aab",
    "ipa",
    "deb",
    "rpm",
    "exe",
    "dll",
    "dmg",
    "parquet",
    "sql",
    "lock",
    "plist",
    "pem",
    "env",
    "cfg",
    "ini",
    "conf",
    "properties",
    "tfvars",
    "gradle",
    "xcconfig",
    "p12",
    "pfx",
];

/// A bare host name or address in a literal.
pub(super) fn host_in(text: &str) -> Option<String> {
    text.split(|character: char| !(character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | ':')))
        .find(|word| {
            let host = word.split(':').next().unwrap_or("");
            let labels = host.split('.').collect::<Vec<_>>();
            labels.len() >= 2
                && !labels.last().is_some_and(|last| FILES.contains(&last.to_ascii_lowercase().as_str()))
                && labels.iter().all(|label| !label.is_empty())
                && (labels
                    .last()
                    .is_some_and(|last| last.len() >= 2 && last.chars().all(|c| c.is_ascii_alphabetic()))
                    || labels.len() == 4 && labels.iter().all(|label| label.parse::<u8>().is_ok()))
        })
        .map(str::to_owned)
}
