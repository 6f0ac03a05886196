//! `portcullis admin token`: makes tokens (the token alone goes to standard output), lists and revokes them.

use std::io::Write;

use anyhow::{Context, bail};
use portcullis_index::account;
use portcullis_index::api_token::{self, ApiTokenError, Listed, NewToken, SecretPlace};
use portcullis_index::app::App;
use portcullis_index::authority::{self, Scope};
use portcullis_index::clock::Instant;
use portcullis_index::history::Actor;
use portcullis_index::ids::{ManagementTokenId, TokenId};
use portcullis_index::management_token;
use portcullis_index::visible::visible;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Outcome;

/// How long a management token lives where nothing else is said, in days.
const MANAGEMENT_DAYS: i64 = 30;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make an API token, or with --api a management token, for an account
    #[command(
        after_help = "Examples:\n  portcullis admin token add alice --project demo --for github:example/demo#PYPI_API_TOKEN\n  \
                            portcullis admin token add dora --api desk --expires 2030-01-01"
    )]
    Add {
        /// The account's name
        account: String,
        /// A project that it is for; repeatable; without, every project of the account
        #[arg(long = "project", value_name = "PROJECT")]
        projects: Vec<String>,
        /// It may only read the index
        #[arg(long)]
        read_only: bool,
        /// When it ends: a date (2030-01-01) or a time (RFC 3339)
        #[arg(long, value_name = "DATE")]
        expires: Option<String>,
        /// What it is called
        #[arg(long, default_value = "")]
        description: String,
        /// Where it lies: github:OWNER/REPO#SECRET
        #[arg(long = "for", value_name = "PLACE")]
        lives_in: Option<SecretPlace>,
        /// Make a management token with this scope instead: report, desk, manage or admin; repeatable
        #[arg(long = "api", value_name = "SCOPE")]
        scopes: Vec<Scope>,
    },
    /// List the tokens of an account, of both kinds, also those that have ended
    #[command(after_help = "Example: portcullis admin token list alice")]
    List {
        /// The account's name
        account: String,
        /// How the list is printed: human or json
        #[arg(long, value_enum, default_value = "human")]
        format: crate::TextFormat,
    },
    /// End a token of either kind for ever
    #[command(after_help = "Example: portcullis admin token revoke 01234567-89ab-cdef-0123-456789abcdef\n\
                            `portcullis admin token list ACCOUNT` shows the ids.")]
    Revoke {
        /// The token's id
        id: Uuid,
    },
}

pub(crate) async fn run(app: &App, command: &Command) -> anyhow::Result<Outcome> {
    let Command::Add { account, projects, read_only, expires, description, lives_in, scopes } = command
    else {
        return manage(app, command).await;
    };
    let account = account::by_name(app, account).await?;
    let expires_at = expires.as_deref().map(parse_end).transpose()?;
    let text = if scopes.is_empty() {
        let new = NewToken {
            description: description.clone(),
            projects: projects.clone(),
            read_only: *read_only,
            expires_at,
            lives_in: lives_in.clone(),
        };
        api_token::create(app, &account, new, Actor::Operator, None).await.context("making the token")?.1
    } else {
        if !projects.is_empty() || *read_only || lives_in.is_some() {
            bail!("--api makes a management token; it takes no --project, --read-only or --for");
        }
        let expires_at = expires_at.unwrap_or_else(|| app.now().plus_seconds(MANAGEMENT_DAYS * 86_400));
        if expires_at <= app.now() {
            bail!("--expires must lie in the future");
        }
        authority::issue_management_token(app, &account, scopes, description, expires_at, Actor::Operator)
            .await
            .context("making the management token")?
    };
    writeln!(std::io::stdout(), "{}", text.expose_secret())?;
    Ok(Outcome::Done)
}

async fn manage(app: &App, command: &Command) -> anyhow::Result<Outcome> {
    match command {
        Command::List { account, format } => list(app, account, *format).await,
        Command::Revoke { id } => revoke(app, *id).await,
        Command::Add { .. } => Ok(Outcome::Done),
    }
}

async fn list(app: &App, account: &str, format: crate::TextFormat) -> anyhow::Result<Outcome> {
    let account = account::by_name(app, account).await?;
    let tokens = api_token::of_account(app, &account).await?;
    let management = management_token::of_account(app, &account).await?;
    let tokens: Vec<Value> = tokens
        .iter()
        .map(|Listed { token, projects }| {
            json!({
                "id": token.id, "kind": "api", "description": token.description, "state": token.state,
                "state_cause": token.state_cause, "may": token.scope, "projects": projects, "lives_in": token.lives_in,
                "created_at": token.created_at.rfc3339(), "expires_at": token.expires_at.map(Instant::rfc3339),
                "last_used_at": token.last_used_at.map(Instant::rfc3339),
            })
        })
        .chain(management.iter().map(|token| {
            json!({
                "id": token.id, "kind": "management", "description": token.description, "state": token.state,
                "may": token.scopes.join(", "), "created_at": token.created_at.rfc3339(),
                "expires_at": token.expires_at.rfc3339(),
            })
        }))
        .collect();
    let mut out = std::io::stdout();
    match format {
        crate::TextFormat::Json => writeln!(out, "{}", json!({ "account": account.name, "tokens": tokens }))?,
        crate::TextFormat::Human => {
            for token in &tokens {
                let text = |name: &str| match token.get(name) {
                    Some(Value::String(text)) => visible(text, 200),
                    _ => String::new(),
                };
                let (id, kind, state) = (text("id"), text("kind"), text("state"));
                let until = Some(text("expires_at")).filter(|end| !end.is_empty());
                let until = until.map(|end| format!(", until {end}")).unwrap_or_default();
                writeln!(
                    out,
                    "{id}  {kind:<10}  {state:<9}  {}{until}  {}",
                    text("may"),
                    text("description")
                )?;
            }
            if tokens.is_empty() {
                writeln!(out, "{} has no tokens", account.name)?;
            }
        }
    }
    Ok(Outcome::Done)
}

/// Ends the token of this id, whichever kind it is of: the two never share one.
async fn revoke(app: &App, id: Uuid) -> anyhow::Result<Outcome> {
    let kind = match api_token::revoke_by_operator(app, TokenId(id)).await {
        Ok(()) => "token",
        Err(ApiTokenError::Unknown) => {
            let ended = management_token::revoke_by_operator(app, ManagementTokenId(id)).await;
            ended.with_context(|| format!("revoking {id}: no live token of either kind has this id"))?;
            "management token"
        }
        Err(error) => return Err(error).with_context(|| format!("revoking the token {id}")),
    };
    writeln!(std::io::stdout(), "{kind} {id} revoked")?;
    Ok(Outcome::Done)
}

/// The end of a life: a time, or the first moment of a day (UTC).
fn parse_end(text: &str) -> anyhow::Result<Instant> {
    Instant::parse(text).or_else(|| Instant::parse(&format!("{text}T00:00:00Z"))).with_context(|| {
        format!("--expires is {text:?}; expected a date such as 2030-01-01, or a time in RFC 3339")
    })
}
