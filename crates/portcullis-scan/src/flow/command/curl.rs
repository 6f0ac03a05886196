//! curl and wget: which of their words are an address, which are sent, and as what.

use super::{Call, after};
use crate::flow::Tracer;
use crate::flow::shell::{Argument, Shell};
use crate::flow::trace::{Channel, Role};
use crate::flow::value::{Carried, Part, Source, Value};
use crate::span::Bytes;

/// A request as far as the words tell.
#[derive(Default)]
struct Request {
    urls: Vec<Value>,
    body: Value,
    authentication: Value,
    proxy: Option<Value>,
    /// Where the request really goes, if it isn't to the host of the URL.
    connects_to: Option<Value>,
    outputs: Vec<Value>,
    /// `-X`; without it a body makes it a POST.
    method: Option<String>,
    /// A file with logins by host.
    netrc: Option<Value>,
}

/// Options of curl that take a value, one letter each (curl 8.11, `curl --help all`).
const CURL_SHORT: &str = "AbcCdDeEFhHKmoPQrtTuUwxXyYz";

/// Long options of curl that take no value and are common. Every other long option is taken to have one, unless its
/// next word starts with `-` or looks like an address.
const CURL_FLAGS: &[&str] = &[
    "silent",
    "show-error",
    "fail",
    "location",
    "insecure",
    "include",
    "head",
    "get",
    "verbose",
    "compressed",
    "globoff",
    "remote-name",
    "fail-with-body",
    "fail-early",
    "no-progress-meter",
    "progress-bar",
    "http1.1",
    "http2",
    "http1.0",
    "ipv4",
    "ipv6",
    "tlsv1.2",
    "tlsv1.3",
    "netrc",
    "no-buffer",
    "path-as-is",
    "post301",
    "post302",
    "post303",
    "retry-all-errors",
    "retry-connrefused",
    "remote-header-name",
    "remote-time",
    "create-dirs",
    "ssl-reqd",
    "basic",
    "digest",
    "negotiate",
    "ntlm",
    "anyauth",
    "next",
    "parallel",
    "no-keepalive",
    "no-sessionid",
    "junk-session-cookies",
    "location-trusted",
    "proxy-insecure",
    "disable",
    "raw",
    "tr-encoding",
    "xattr",
    "styled-output",
    "no-styled-output",
    "ftp-create-dirs",
    "ftp-pasv",
    "ssl",
];

/// Runs curl.
pub(super) fn curl(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let mut request = Request::default();
    read_curl(shell, call, &mut request, 0);
    if !matches!(call.texts().first().map(String::as_str), Some("-q" | "--disable"))
        && let Some(settings) = shell.state.read("~/.curlrc")
    {
        let place = Argument { value: Value::empty(), bytes: call.bytes };
        config(shell, call, &mut request, settings, &place, 1);
    }
    if request.netrc.is_none() && (call.has(&["-n", "--netrc", "--netrc-optional"])) {
        request.netrc = Some(Value::text("~/.netrc"));
    }
    if let Some(path) = request.netrc.take() {
        let host =
            request.urls.first().and_then(|url| crate::destination::of_address(url).host).unwrap_or_default();
        // Only the entry of the host itself is sent; of a file that nothing here wrote it is that host's own login.
        let is_written = shell.state.read(&path.template()).is_some_and(|text| text.carries());
        let content = if is_written { shell.read_file(&path, call.bytes) } else { Value::empty() };
        let others = content.prefix().contains("machine ") && !content.template().contains(&host);
        if !others {
            request.authentication.append(content);
        }
    }
    send(shell, call, request)
}

fn read_curl(shell: &mut Shell<'_, '_>, call: &Call<'_>, request: &mut Request, depth: usize) {
    let mut arguments = call.arguments.iter().peekable();
    while let Some(argument) = arguments.next() {
        let prefix = argument.value.prefix().to_owned();
        if prefix == "--" {
            continue;
        }
        if let Some(long) = prefix.strip_prefix("--") {
            let (name, joined) = match long.split_once('=') {
                Some((name, _)) => (name.to_owned(), Some(after(&argument.value, name.len() + 3))),
                None => (long.to_owned(), None),
            };
            if CURL_FLAGS.contains(&name.as_str()) || name.starts_with("no-") {
                continue;
            }
            let value = match joined {
                Some(value) => Some(value),
                None => {
                    let is_value = arguments.peek().is_some_and(|next| {
                        let text = next.value.template();
                        !text.starts_with("--") && (takes_data(&name) || !text.contains("://"))
                    });
                    if is_value { arguments.next().map(|next| next.value.clone()) } else { None }
                }
            };
            if let Some(value) = value {
                option(shell, call, request, &name, value, argument, depth);
            }
        } else if prefix.len() > 1 && prefix.starts_with('-') {
            // A cluster: `-sSXPOST`, `-sd DATA`.
            for (at, letter) in prefix.char_indices().skip(1) {
                if !CURL_SHORT.contains(letter) {
                    continue;
                }
                let rest = after(&argument.value, at + letter.len_utf8());
                let value = if rest.is_empty() {
                    arguments.next().map(|next| next.value.clone())
                } else {
                    Some(rest)
                };
                if let Some(value) = value {
                    option(shell, call, request, long_name(letter), value, argument, depth);
                }
                break;
            }
        } else if !argument.value.is_empty() {
            request.urls.push(argument.value.clone());
        }
    }
}

fn takes_data(name: &str) -> bool {
    name.starts_with("data")
        || name.starts_with("form")
        || matches!(
            name,
            "url"
                | "json"
                | "header"
                | "user"
                | "proxy"
                | "referer"
                | "user-agent"
                | "url-query"
                | "variable"
        )
}

fn long_name(letter: char) -> &'static str {
    match letter {
        'd' => "data",
        'F' => "form",
        'H' => "header",
        'u' => "user",
        'T' => "upload-file",
        'o' => "output",
        'x' => "proxy",
        'K' => "config",
        'A' => "user-agent",
        'e' => "referer",
        'b' => "cookie",
        'E' => "cert",
        'X' => "request",
        _ => "other",
    }
}

fn option(
    shell: &mut Shell<'_, '_>,
    call: &Call<'_>,
    request: &mut Request,
    name: &str,
    value: Value,
    argument: &Argument,
    depth: usize,
) {
    match name {
        "url" => request.urls.push(value),
        "request" => request.method = Some(value.template()),
        "data" | "data-binary" | "data-ascii" | "json" => {
            let content = from_file(shell, call, &value, '@', argument);
            request.body.append(content);
            request.body.push_text("&");
        }
        "data-raw" | "form-string" => {
            request.body.append(value);
            request.body.push_text("&");
        }
        "data-urlencode" | "form" | "url-query" | "variable" => {
            // `name@file`, `name=@file`, `name=<file`.
            let prefix = value.prefix().to_owned();
            let at = prefix.find(['@', '<', '=']);
            let content = match at {
                Some(at) if !prefix.get(at..).unwrap_or("").starts_with('=') => {
                    from_file(shell, call, &after(&value, at), ' ', argument)
                }
                Some(at) => {
                    let rest = after(&value, at + 1);
                    let mut content = Value::text(prefix.get(..=at).unwrap_or("").to_owned());
                    content.append(from_file(shell, call, &rest, '@', argument));
                    content
                }
                None => value,
            };
            request.body.append(content);
            request.body.push_text("&");
        }
        "upload-file" => {
            let path = value.template();
            let content = if path == "-" || path == "." {
                call.stdin.clone()
            } else {
                shell.read_file(&value, argument.bytes)
            };
            request.body.append(content);
        }
        "header" | "proxy-header" => {
            let content = from_file(shell, call, &value, '@', argument);
            request.authentication.append(content);
            request.authentication.push_text("\n");
        }
        "user" | "oauth2-bearer" | "cookie" | "user-agent" | "referer" | "cert" | "key" | "aws-sigv4"
        | "pass" => {
            request.authentication.append(value);
            request.authentication.push_text("\n");
        }
        "output" => request.outputs.push(value),
        "netrc-file" => request.netrc = Some(value),
        "proxy" | "preproxy" | "socks5" | "socks4" | "socks5-hostname" | "doh-url" => {
            request.proxy = Some(value)
        }
        "resolve" => {
            // host:port:address
            let address = value.template().rsplit(':').next().map(str::to_owned);
            request.connects_to = address.map(Value::text);
        }
        "connect-to" => {
            // host:port:host:port; the first two may be empty
            let text = value.template();
            let target = text.split(':').nth(2).filter(|host| !host.is_empty()).map(str::to_owned);
            request.connects_to = target.map(Value::text);
        }
        "config" if depth < 3 => {
            let content = if value.template() == "-" {
                call.stdin.clone()
            } else {
                shell.read_file(&value, argument.bytes)
            };
            config(shell, call, request, content, argument, depth);
        }
        _ => {}
    }
}

/// A curl configuration file: one option a line, `name = "value"`, `name: value` or `name value`.
fn config(
    shell: &mut Shell<'_, '_>,
    call: &Call<'_>,
    request: &mut Request,
    content: Value,
    argument: &Argument,
    depth: usize,
) {
    for line in crate::flow::lines(&content) {
        let prefix = line.prefix().to_owned();
        let trimmed = prefix.trim_start();
        let indent = prefix.len() - trimmed.len();
        let plain = trimmed.trim_start_matches('-');
        let name: String = plain.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        if name.is_empty() {
            continue;
        }
        let mut skip = indent + (trimmed.len() - plain.len()) + name.len();
        let rest = prefix.get(skip..).unwrap_or("");
        skip += rest.len() - rest.trim_start_matches([' ', '=', ':', '"', '\t']).len();
        let mut value = after(&line, skip);
        if let Some(Part::Text(text)) = value.parts.last_mut() {
            let length = text.trim_end_matches(['"', ' ', '\r']).len();
            text.to_mut().truncate(length);
        }
        let name = match name.chars().next() {
            Some(letter) if name.len() == 1 => long_name(letter).to_owned(),
            _ => name,
        };
        option(shell, call, request, &name, value, argument, depth + 1);
    }
}

/// A value, or the content of the file it names after a sigil (`' '`: any of curl's).
fn from_file(
    shell: &mut Shell<'_, '_>,
    call: &Call<'_>,
    value: &Value,
    sigil: char,
    argument: &Argument,
) -> Value {
    let prefix = value.prefix();
    let is_file = match sigil {
        ' ' => prefix.starts_with(['@', '<']),
        sigil => prefix.starts_with(sigil) || prefix.starts_with('<'),
    };
    if !is_file {
        return value.clone();
    }
    let mut path = after(value, 1);
    if let Some(Part::Text(text)) = path.parts.last_mut()
        && let Some(end) = text.find([';', ','])
    {
        text.to_mut().truncate(end);
    }
    match path.template().as_str() {
        "-" | "/dev/stdin" | ".-" => call.stdin.clone(),
        _ => shell.read_file(&path, argument.bytes),
    }
}

/// Runs wget.
pub(super) fn wget(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let mut request = Request::default();
    let mut arguments = call.arguments.iter();
    let mut to_stdout = false;
    while let Some(argument) = arguments.next() {
        let prefix = argument.value.prefix().to_owned();
        if let Some(long) = prefix.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, _)) => (name.to_owned(), Some(after(&argument.value, name.len() + 3))),
                None => (long.to_owned(), None),
            };
            let known = [
                "post-data",
                "body-data",
                "post-file",
                "body-file",
                "header",
                "user",
                "password",
                "http-user",
                "http-password",
                "output-document",
                "user-agent",
                "referer",
                "method",
                "input-file",
            ];
            if !known.contains(&name.as_str()) {
                continue;
            }
            let Some(value) = value.or_else(|| arguments.next().map(|next| next.value.clone())) else {
                continue;
            };
            match name.as_str() {
                "post-data" | "body-data" => request.body.append(value),
                "post-file" | "body-file" => {
                    let content = match value.template().as_str() {
                        "-" | "/dev/stdin" => call.stdin.clone(),
                        _ => shell.read_file(&value, argument.bytes),
                    };
                    request.body.append(content);
                }
                "output-document" => request.outputs.push(value),
                "input-file" => {
                    let list = shell.read_file(&value, argument.bytes);
                    request
                        .urls
                        .extend(crate::flow::lines(&list).into_iter().filter(|line| !line.is_empty()));
                }
                _ => request.authentication.append(value),
            }
        } else if prefix.len() > 1 && prefix.starts_with('-') {
            let takes = prefix.ends_with(['O', 'o', 'P', 'T', 't', 'U', 'a', 'e', 'i', 'w']);
            let value = if takes { arguments.next() } else { None };
            if prefix.ends_with('i')
                && let Some(path) = value
            {
                let list = shell.read_file(&path.value, argument.bytes);
                request.urls.extend(crate::flow::lines(&list).into_iter().filter(|line| !line.is_empty()));
            }
            if prefix.contains('O') {
                let path = value
                    .map(|value| value.value.clone())
                    .unwrap_or_else(|| Value::text(prefix.rsplit('O').next().unwrap_or("").to_owned()));
                to_stdout |= path.template() == "-";
                request.outputs.push(path);
            }
        } else {
            request.urls.push(argument.value.clone());
        }
    }
    if !to_stdout && request.outputs.is_empty() {
        let name = request.urls.first().map(|url| url.template());
        request.outputs.extend(name.and_then(|url| Some(Value::text(url.rsplit('/').next()?.to_owned()))));
    }
    send(shell, call, request)
}

/// HTTPie: everything after the address is sent.
pub(super) fn httpie(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let mut request = Request { body: call.stdin.clone(), ..Request::default() };
    for operand in call.operands() {
        let text = operand.value.template();
        let is_method = text.len() < 8 && text.chars().all(|letter| letter.is_ascii_uppercase());
        if is_method {
            continue;
        }
        if request.urls.is_empty() {
            request.urls.push(operand.value.clone());
        } else if let Some((_, file)) = text.split_once('@').filter(|(name, _)| !name.contains(['=', ':'])) {
            let content = shell.read_file(&Value::text(file), operand.bytes);
            request.body.append(content);
        } else if operand.value.prefix().contains(':') {
            request.authentication.append(operand.value.clone());
        } else {
            request.body.append(operand.value.clone());
        }
    }
    if let Some(value) = call.option(&["-a", "--auth"]) {
        request.authentication.append(value);
    }
    send(shell, call, request)
}

fn send(shell: &mut Shell<'_, '_>, call: &Call<'_>, request: Request) -> Value {
    let file = shell.file();
    let mut answer = Value::empty();
    for url in &request.urls {
        let named = crate::destination::of_address(url).host.unwrap_or_default();
        let written = shell.state.remotes.get(&format!("host:{named}")).cloned();
        let target = request.connects_to.as_ref().or(written.as_ref()).unwrap_or(url);
        note_api_call(shell, &request, url, call.bytes);
        for (content, role) in [
            (&request.body, Role::Payload),
            (&request.authentication, Role::Authentication),
            (url, Role::Address),
        ] {
            let channel = if role == Role::Payload && writes_to_forge(target) {
                Channel::Repository
            } else {
                Channel::Network
            };
            shell.tracer.deliver(content.clone(), channel, role, target.clone(), call.name, file, call.bytes);
        }
        if let Some(proxy) = &request.proxy {
            for content in [&request.body, &request.authentication, url] {
                shell.tracer.deliver(
                    content.clone(),
                    Channel::Network,
                    Role::Payload,
                    proxy.clone(),
                    call.name,
                    file,
                    call.bytes,
                );
            }
        }
        let mut sent = request.body.clone();
        sent.append(request.authentication.clone());
        answer.append(match exchanged(shell.tracer, url, &sent, file, call.bytes) {
            Some(token) => token,
            None => answer_of(shell, call, url),
        });
    }
    match request.outputs.first() {
        Some(path) if path.template() != "-" => {
            shell.write_to(path, answer, false, call.bytes);
            Value::empty()
        }
        _ => answer,
    }
}

/// A call of the forge's API may give somebody access; see `grant`.
fn note_api_call(shell: &mut Shell<'_, '_>, request: &Request, url: &Value, bytes: Bytes) {
    let text = url.template();
    let path = text.split_once("api.github.com").or_else(|| text.split_once("GITHUB_API_URL}"));
    let Some((_, path)) = path else { return };
    let posts = if request.body.is_empty() { "GET" } else { "POST" };
    let method = request.method.as_deref().unwrap_or(posts).to_owned();
    super::grant::api_call(shell, &method, path, &request.body.template(), bytes);
}

/// Whether an address is one by which text is written where others read it: comments, issues, gists, files.
fn writes_to_forge(target: &Value) -> bool {
    let text = target.template();
    let path = text
        .split_once("api.github.com")
        .map(|(_, path)| path)
        .or_else(|| text.split_once("GITHUB_API_URL}").map(|(_, path)| path));
    path.is_some_and(|path| {
        [
            "/comments",
            "/issues",
            "/gists",
            "/contents/",
            "/releases",
            "/reviews",
            "/statuses/",
            "/check-runs",
            "/pulls",
            "/git/",
        ]
        .iter()
        .any(|part| path.contains(part))
    })
}

/// What comes back: from the cloud's metadata service and the identity service secrets, else whatever the host likes.
fn answer_of(shell: &mut Shell<'_, '_>, call: &Call<'_>, url: &Value) -> Value {
    let file = shell.file();
    answer(shell.tracer, url, file, call.bytes)
}

/// The short-lived credential that a registry or cloud gives for an identity token, which no mask knows (PyPI's
/// `/_/oidc/mint-token`, crates.io's and npm's trusted publishing, AWS's and Google's token services).
pub fn exchanged(tracer: &Tracer<'_>, url: &Value, sent: &Value, file: usize, bytes: Bytes) -> Option<Value> {
    const SERVICES: &[&str] = &[
        "pypi.org",
        "test.pypi.org",
        "crates.io",
        "rubygems.org",
        "registry.npmjs.org",
        "sts.googleapis.com",
        "iamcredentials.googleapis.com",
        "login.microsoftonline.com",
    ];
    let identity = |one: &Carried| matches!(one.source, Source::IdentityToken | Source::MintedToken);
    let host = crate::destination::of_address(url).host.filter(|_| sent.carried().any(identity))?;
    let gives =
        SERVICES.contains(&host.as_str()) || host.starts_with("sts.") && host.ends_with(".amazonaws.com");
    gives.then(|| tracer.enter(Source::MintedToken, "a token got for the job's identity", file, bytes))
}

/// How a minted token is called on its way; ` for HOST` follows where it is meant for a host that the file names.
pub const MINTED: &str = "an OIDC token of this job";

/// The host that a token is asked for (`&audience=https://deploy.example`), where it is written out.
fn audience(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("audience=")?;
    let plain = rest.split(['&', '#']).next()?.replace("%3A", ":").replace("%2F", "/");
    let host = crate::destination::of_address(&Value::text(plain)).host?;
    (host.contains('.') && !host.contains('$')).then_some(host)
}

/// What a request to an address brings back.
pub fn answer(tracer: &Tracer<'_>, url: &Value, file: usize, bytes: Bytes) -> Value {
    let text = url.template();
    if ["169.254.169.254", "metadata.google.internal", "169.254.170.2"].iter().any(|host| text.contains(host))
    {
        return tracer.enter(Source::CloudMetadata, "the cloud's metadata service", file, bytes);
    }
    if text.contains("ACTIONS_ID_TOKEN_REQUEST_URL") {
        let what = match audience(&text) {
            Some(host) => format!("{MINTED} for {host}"),
            None => MINTED.to_owned(),
        };
        return tracer.enter(Source::MintedToken, &what, file, bytes);
    }
    Value::part(Part::Remote(text))
}
