//! The desk from a terminal: `report`, `case …`, `notice …`, over the server's management API.
//!
//! Exit code 1 is the server's refusal (a stale digest, say): it understood and said no. Everything else that goes wrong is 2.

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::Outcome;
use client::{Answer, Server};

mod client;
mod own;
mod show;

pub(crate) use own::{PublisherArguments, TokenArguments, publisher, token as tokens};

/// Where the server is and who asks.
#[derive(Args, Clone, Debug)]
pub(crate) struct Connection {
    /// The server's address
    #[arg(long, env = "PORTCULLIS_URL", value_name = "URL")]
    server: String,
    /// A file with the management token, instead of the environment's PORTCULLIS_TOKEN
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Human,
    /// One document
    Json,
}

/// `portcullis report`
#[derive(Args, Debug)]
#[command(
    after_help = "Example: portcullis report --server https://packages.example.org --kind compromised-workflow \\\n    --subject repository:github.com/owner/name --scan scan.json --text -"
)]
pub(crate) struct ReportArguments {
    #[command(flatten)]
    connection: Connection,
    /// What it is about [default: compromised-workflow with --scan, else other]
    #[arg(long, value_parser = ["malware", "stolen-credential", "compromised-workflow", "account-takeover", "other"])]
    kind: Option<String>,
    /// Which thing: project:NAME, release:NAME==VERSION, file:NAME, repository:HOST/OWNER/NAME, account:NAME, token:ID, text:…
    #[arg(long, value_name = "TYPE:VALUE")]
    subject: Option<String>,
    /// A document of `portcullis scan --format json`
    #[arg(long, value_name = "FILE")]
    scan: Option<PathBuf>,
    /// What you have to say; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
}

/// `portcullis case`
#[derive(Args, Debug)]
#[command(
    after_help = "Example: portcullis case open --report ID && portcullis case contain ID && portcullis case contain ID --apply DIGEST"
)]
pub(crate) struct CaseArguments {
    #[command(subcommand)]
    command: CaseCommand,
}

#[derive(Subcommand, Debug)]
enum CaseCommand {
    /// List the cases, open ones first
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Show everything about a case
    Show {
        #[command(flatten)]
        connection: Connection,
        /// The case
        id: String,
    },
    /// Open a case, or join the open one about the same repository
    Open {
        #[command(flatten)]
        connection: Connection,
        /// For a report
        #[arg(long, value_name = "ID")]
        report: Option<String>,
        /// For a repository
        #[arg(long, value_name = "HOST/OWNER/NAME")]
        repository: Option<String>,
        /// One line
        #[arg(long)]
        title: Option<String>,
    },
    /// Show what a case's exposures open, and the evidence of use
    Radius {
        #[command(flatten)]
        connection: Connection,
        /// The case
        id: String,
    },
    /// Show what containment would do; with --apply, do it
    Contain {
        #[command(flatten)]
        connection: Connection,
        /// The case
        id: String,
        /// The digest of the plan that you have looked at
        #[arg(long, value_name = "DIGEST")]
        apply: Option<String>,
        /// Also act on claims that a project contradicts
        #[arg(long, conflicts_with = "apply")]
        include_claimed: bool,
    },
    /// Take containment back, all of it or the named actions
    Release {
        #[command(flatten)]
        connection: Connection,
        /// The case
        id: String,
        /// Ids of actions, as `case contain` lists them
        actions: Vec<String>,
        /// Why; the history keeps it
        #[arg(long, default_value = "no reason was given")]
        reason: String,
    },
    /// Close a case
    Close {
        #[command(flatten)]
        connection: Connection,
        /// The case
        id: String,
        /// Why, needed while something malicious still stands
        #[arg(long)]
        reason: Option<String>,
    },
}

/// `portcullis notice`
#[derive(Args, Debug)]
#[command(after_help = "Example: portcullis notice list --format json")]
pub(crate) struct NoticeArguments {
    #[command(subcommand)]
    command: NoticeCommand,
}

#[derive(Subcommand, Debug)]
enum NoticeCommand {
    /// List what was told to whom, and whether it arrived
    List {
        #[command(flatten)]
        connection: Connection,
    },
}

/// Most bytes of a file that a report takes along.
const FILE_LIMIT: u64 = 8 << 20;

/// How long a command waits for an examination that is under way.
const PATIENCE: Duration = Duration::from_secs(180);

/// Reports what a scan found to a server (`scan --report`): says on stderr what became of it, since stdout holds the document.
pub(crate) fn report_scan(server: &str, document: &Value) -> anyhow::Result<()> {
    let connection = Connection { server: server.to_owned(), token_file: None, format: Format::Human };
    let body = json!({
        "kind": "compromised-workflow", "subject": subject_of(Some(document)), "text": "", "scan": document,
    });
    let size = body.to_string().len() as u64;
    if size > FILE_LIMIT {
        bail!(
            "reporting to {server}: the document has {size} bytes, and a report takes {FILE_LIMIT}; scan less at a time"
        );
    }
    let answer = Server::new(server, token(&connection, Who::Anybody)?)?.post("/api/v1/reports", &body)?;
    if !matches!(answer.status, 200..=299) {
        bail!("reporting to {server}: it answered {}: {}", answer.status, answer.problem());
    }
    let member = |name| answer.body.get(name).and_then(Value::as_str).unwrap_or_default();
    let (id, status) = (member("id"), member("status_url"));
    let visible = |text| portcullis_index::visible::visible(text, 500);
    writeln!(anstream::stderr(), "reported as {}; its status: {}", visible(id), visible(status))?;
    Ok(())
}

/// Registers a Trusted Publisher by the management token of an owner; the project must exist, or waits to be created with `pending`.
pub(crate) fn register_publisher(
    server: &str,
    token_file: Option<PathBuf>,
    body: &Value,
) -> anyhow::Result<Value> {
    let connection = Connection { server: server.to_owned(), token_file, format: Format::Human };
    let answer = Server::new(server, token(&connection, Who::Owner)?)?.post("/api/v1/publishers", body)?;
    if !matches!(answer.status, 200..=299) {
        bail!("registering the publisher with {server}: it answered {}: {}", answer.status, answer.problem());
    }
    Ok(answer.body)
}

/// Sends a report and prints the receipt.
pub(crate) fn report(arguments: &ReportArguments) -> anyhow::Result<Outcome> {
    let scan: Option<Value> = match &arguments.scan {
        Some(path) => {
            let text = read_file(path)?;
            let document = serde_json::from_slice(&text);
            Some(document.with_context(|| format!("reading the scan document {}", path.display()))?)
        }
        None => None,
    };
    let text = match &arguments.text {
        Some(path) if path.as_os_str() == "-" => {
            let mut text = Vec::new();
            std::io::stdin().take(FILE_LIMIT).read_to_end(&mut text).context("reading standard input")?;
            text
        }
        Some(path) => read_file(path)?,
        None => Vec::new(),
    };
    if arguments.subject.is_none() && scan.is_none() && text.is_empty() {
        bail!("a report needs at least one of --subject, --scan and --text");
    }
    let kind =
        arguments.kind.as_deref().unwrap_or(if scan.is_some() { "compromised-workflow" } else { "other" });
    let subject = arguments.subject.clone().unwrap_or_else(|| subject_of(scan.as_ref()));
    let body = json!({
        "kind": kind, "subject": subject, "text": String::from_utf8_lossy(&text), "scan": scan,
    });
    exchange(
        &arguments.connection,
        Who::Anybody,
        |server| server.post("/api/v1/reports", &body),
        show::receipt,
    )
}

/// The one repository that a scan document is about, where it is one.
fn subject_of(scan: Option<&Value>) -> String {
    let findings = scan.and_then(|scan| scan.get("findings")).and_then(Value::as_array);
    let mut identities: Vec<&str> = findings
        .into_iter()
        .flatten()
        .filter_map(|finding| finding.pointer("/repository/identity").and_then(Value::as_str))
        .collect();
    identities.sort_unstable();
    identities.dedup();
    match identities.as_slice() {
        [only] => format!("repository:{only}"),
        _ => String::from("text:see what is attached"),
    }
}

fn read_file(path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    let file = std::fs::File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut content = Vec::new();
    file.take(FILE_LIMIT + 1)
        .read_to_end(&mut content)
        .with_context(|| format!("reading {}", path.display()))?;
    if content.len() as u64 > FILE_LIMIT {
        bail!("{} is larger than {FILE_LIMIT} bytes; send less of it", path.display());
    }
    Ok(content)
}

/// Carries out a `case` command.
pub(crate) fn case(arguments: &CaseArguments) -> anyhow::Result<Outcome> {
    let responder = Who::Responder;
    match &arguments.command {
        CaseCommand::List { connection } => {
            exchange(connection, responder, |server| server.get("/api/v1/cases"), show::cases)
        }
        CaseCommand::Show { connection, id } => {
            let path = of_case(id, "")?;
            exchange(connection, responder, |server| server.get(&path), show::case)
        }
        CaseCommand::Open { connection, report, repository, title } => {
            let body = json!({"report": report, "repository": repository, "title": title});
            exchange(connection, responder, |server| server.post("/api/v1/cases", &body), show::opened)
        }
        CaseCommand::Radius { connection, id } => {
            let path = of_case(id, "/radius")?;
            exchange(connection, responder, |server| server.get(&path), show::radius)
        }
        CaseCommand::Contain { connection, id, apply: Some(digest), .. } => {
            let path = of_case(id, "/contain")?;
            let body = json!({"digest": digest});
            exchange(connection, responder, |server| server.post(&path, &body), show::plan)
        }
        CaseCommand::Contain { connection, id, apply: None, include_claimed } => {
            let path = of_case(id, "/plan")?;
            let body = json!({"include_claimed": include_claimed});
            exchange(connection, responder, |server| server.post(&path, &body), show::plan)
        }
        CaseCommand::Release { connection, id, actions, reason } => {
            let path = of_case(id, "/release")?;
            let body = json!({"actions": actions, "reason": reason});
            exchange(connection, responder, |server| server.post(&path, &body), show::released)
        }
        CaseCommand::Close { connection, id, reason } => {
            let path = of_case(id, "/close")?;
            let body = json!({"reason": reason});
            exchange(connection, responder, |server| server.post(&path, &body), show::opened)
        }
    }
}

/// Carries out a `notice` command.
pub(crate) fn notice(arguments: &NoticeArguments) -> anyhow::Result<Outcome> {
    match &arguments.command {
        NoticeCommand::List { connection } => {
            exchange(connection, Who::Responder, |server| server.get("/api/v1/notices"), show::notices)
        }
    }
}

/// The address of a case's part. An id is a UUID: nothing else gets into a path.
fn of_case(id: &str, part: &str) -> anyhow::Result<String> {
    let id: uuid::Uuid = id.parse().with_context(|| format!("{id:?} is no id of a case"))?;
    Ok(format!("/api/v1/cases/{id}{part}"))
}

/// Whether a command needs a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Anybody,
    Responder,
    /// Whoever manages their own projects and tokens.
    Owner,
    /// Whoever holds a token of either kind.
    Bearer,
}

/// Asks the server, waits while it is still looking at a repository, and prints what it says.
fn exchange(
    connection: &Connection,
    who: Who,
    ask: impl Fn(&Server) -> anyhow::Result<Answer>,
    human: fn(&Value) -> String,
) -> anyhow::Result<Outcome> {
    let server = Server::new(&connection.server, token(connection, who)?)?;
    let began = Instant::now();
    let mut answer = ask(&server)?;
    while answer.is_under_way() && began.elapsed() < PATIENCE {
        progress("the server is looking at the repository …");
        std::thread::sleep(answer.retry_after.unwrap_or(Duration::from_secs(1)).min(Duration::from_secs(10)));
        answer = ask(&server)?;
    }
    match answer.status {
        200..=299 => {
            print(connection.format, &answer.body, human)?;
            Ok(Outcome::Done)
        }
        status => {
            let refused = matches!(status, 403 | 409);
            let sentence = answer.problem();
            if !refused {
                bail!("{} answered {status}: {sentence}", connection.server);
            }
            writeln!(anstream::stderr(), "refused: {sentence}")?;
            if let Some(plan) = answer.body.get("plan") {
                print(connection.format, plan, show::plan)?;
            }
            Ok(Outcome::Found)
        }
    }
}

fn print(format: Format, document: &Value, human: fn(&Value) -> String) -> anyhow::Result<()> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(document)? + "\n",
        Format::Human => human(document),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// On a terminal only, and never on stdout.
fn progress(sentence: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = writeln!(stderr, "{sentence}");
    }
}

/// The token from its file or the environment. It never stands on a command line, where others can read it.
fn token(connection: &Connection, who: Who) -> anyhow::Result<Option<secrecy::SecretString>> {
    let text = match &connection.token_file {
        Some(path) => Some(
            std::fs::read_to_string(path)
                .with_context(|| format!("reading the management token from {}", path.display()))?,
        ),
        None => std::env::var("PORTCULLIS_TOKEN").ok(),
    };
    let token = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let scope = match who {
        Who::Responder => Some("desk"),
        Who::Owner => Some("manage"),
        Who::Anybody | Who::Bearer => None,
    };
    if let (None, Some(scope)) = (&token, scope) {
        bail!(
            "this needs a management token: make one on your account's page, or with `portcullis admin token add ACCOUNT --api \
             {scope}`, and give it in PORTCULLIS_TOKEN or by --token-file"
        );
    }
    if token.is_none() && who == Who::Bearer {
        bail!("this needs the token itself: give it in PORTCULLIS_TOKEN or by --token-file");
    }
    Ok(token.map(Into::into))
}
