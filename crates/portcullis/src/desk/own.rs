//! One's own tokens and publishers from a terminal: `token …`, `publisher …`, over the server's management API.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::{Connection, Who, exchange, show};
use crate::Outcome;

/// `portcullis token`
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  portcullis token list --server https://packages.example.org\n  \
                        PORTCULLIS_TOKEN=pypi-… portcullis token burn --server https://packages.example.org")]
pub(crate) struct TokenArguments {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand, Debug)]
enum TokenCommand {
    /// List your account's tokens, of both kinds, also those that have ended
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// End the token that is given (PORTCULLIS_TOKEN, --token-file), of either kind; with an ID, another one of yours
    Burn {
        #[command(flatten)]
        connection: Connection,
        /// A token of your account, as `token list` shows it
        id: Option<uuid::Uuid>,
    },
}

/// `portcullis publisher`
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  portcullis publisher add demo github owner=example repository=demo workflow=release.yml\n  \
                  portcullis publisher list demo"
)]
pub(crate) struct PublisherArguments {
    #[command(subcommand)]
    command: PublisherCommand,
}

#[derive(Subcommand, Debug)]
enum PublisherCommand {
    /// List the publishers of a project of yours; with --pending, those that wait to create theirs
    List {
        #[command(flatten)]
        connection: Connection,
        /// The project
        #[arg(required_unless_present = "pending")]
        project: Option<String>,
        /// Those that wait to create their project
        #[arg(long, conflicts_with = "project")]
        pending: bool,
    },
    /// Let a project of yours trust a CI identity
    Add {
        #[command(flatten)]
        connection: Connection,
        /// The project
        project: String,
        /// The provider, for example github
        provider: String,
        /// The provider's fields, for example owner=example repository=demo workflow=release.yml
        #[arg(value_name = "KEY=VALUE")]
        fields: Vec<String>,
        /// The project does not exist yet: the publisher's first job creates it
        #[arg(long)]
        pending: bool,
    },
    /// End a project's trust in a publisher
    Remove {
        #[command(flatten)]
        connection: Connection,
        /// The project
        #[arg(required_unless_present = "pending")]
        project: Option<String>,
        /// The publisher, as `publisher list` shows it
        #[arg(long, value_name = "ID")]
        id: uuid::Uuid,
        /// It is one that waits to create its project
        #[arg(long, conflicts_with = "project")]
        pending: bool,
    },
}

/// Carries out a `token` command.
pub(crate) fn token(arguments: &TokenArguments) -> anyhow::Result<Outcome> {
    match &arguments.command {
        TokenCommand::List { connection } => {
            exchange(connection, Who::Owner, |server| server.get("/api/v1/tokens"), show::tokens)
        }
        TokenCommand::Burn { connection, id: None } => {
            exchange(connection, Who::Bearer, |server| server.delete("/api/v1/tokens"), |_| ended())
        }
        TokenCommand::Burn { connection, id: Some(id) } => {
            let path = format!("/api/v1/tokens/{id}");
            exchange(connection, Who::Owner, |server| server.delete(&path), |_| ended())
        }
    }
}

fn ended() -> String {
    String::from("the token has ended for ever\n")
}

/// Carries out a `publisher` command.
pub(crate) fn publisher(arguments: &PublisherArguments) -> anyhow::Result<Outcome> {
    match &arguments.command {
        PublisherCommand::List { connection, project, .. } => {
            let path = match project {
                Some(project) => format!("/api/v1/publishers?{}", query(project)),
                None => String::from("/api/v1/publishers/pending"),
            };
            exchange(connection, Who::Owner, |server| server.get(&path), show::publishers)
        }
        PublisherCommand::Add { connection, project, provider, fields, pending } => {
            let body = form(project, provider, fields, *pending)?;
            let add = |server: &super::Server| server.post("/api/v1/publishers", &body);
            exchange(connection, Who::Owner, add, show::publisher_added)
        }
        PublisherCommand::Remove { connection, project, id, .. } => {
            let path = match project {
                Some(project) => format!("/api/v1/publishers/{id}?{}", query(project)),
                None => format!("/api/v1/publishers/pending/{id}"),
            };
            let removed = |_: &Value| String::from("the publisher is removed\n");
            exchange(connection, Who::Owner, |server| server.delete(&path), removed)
        }
    }
}

fn query(project: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("project", project).finish()
}

fn form(project: &str, provider: &str, fields: &[String], pending: bool) -> anyhow::Result<Value> {
    let mut body = Map::new();
    for field in fields {
        let (key, value) = field.split_once('=').with_context(|| format!("{field:?} is no KEY=VALUE"))?;
        if matches!(key, "project" | "provider" | "pending") || body.contains_key(key) {
            bail!("{key}= is no field of a publisher, or stands twice");
        }
        body.insert(key.to_owned(), Value::from(value));
    }
    body.insert(String::from("project"), Value::from(project));
    body.insert(String::from("provider"), Value::from(provider));
    body.insert(String::from("pending"), Value::from(pending));
    Ok(Value::Object(body))
}
