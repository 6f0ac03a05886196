//! The linear search that stands in for an analysis.

use std::collections::BTreeSet;

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
    let text = String::from_utf8_lossy(bytes);
    let names = names_in(&text);
    let lower = text.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let source = !names.is_empty()
        || any(&[
            "secrets.",
            "secrets[",
            "tojson(secrets",
            "secrets: inherit",
            "printenv",
            "/environ",
            "os.environ",
            "process.env",
            "github.token",
        ]);
    let sink = unread
        || any(&[
            "curl",
            "wget",
            "nc ",
            "ncat",
            "/dev/tcp",
            "invoke-webrequest",
            "invoke-restmethod",
            "requests.",
            "urllib",
            "fetch(",
            "http://",
            "https://",
            "base64",
            "upload-artifact",
            "nslookup",
            "dig ",
            "gh gist",
            "git push",
            "xxd",
            "openssl",
            "scp ",
            "sftp",
            "ssh ",
            "socat",
            "telnet",
            "rsync",
            "ftp ",
            "rclone",
            "aws s3",
            "gsutil",
            "aria2c",
            "httpx",
            "aiohttp",
            "axios",
            "websocat",
            "webclient",
            "restmethod",
            "net::http",
            "swaks",
            "sendmail",
            "ping ",
            "gh api",
            "gh issue",
            "gh release",
            "docker push",
            "npx ",
            "eval ",
        ]);
    let mut signals = BTreeSet::from([Signal::Unanalysed]);
    if source && sink {
        signals.insert(Signal::Encoded);
    }
    let lines = LineIndex::new(&text);
    let at = lower.find("secrets").unwrap_or(0);
    let span = lines.span(Bytes::new(at..at));
    let secrets = if source && sink {
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
