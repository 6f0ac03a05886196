//! `portcullis admin token`: makes tokens. The token alone goes to standard output.

use std::io::Write;

use anyhow::{Context, bail};
use portcullis_index::account;
use portcullis_index::api_token::{self, NewToken, SecretPlace};
use portcullis_index::app::App;
use portcullis_index::authority::{self, Scope};
use portcullis_index::clock::Instant;
use portcullis_index::history::Actor;
use secrecy::ExposeSecret;

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
}

pub(crate) async fn run(app: &App, command: &Command) -> anyhow::Result<Outcome> {
    let Command::Add { account, projects, read_only, expires, description, lives_in, scopes } = command;
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

/// The end of a life: a time, or the first moment of a day (UTC).
fn parse_end(text: &str) -> anyhow::Result<Instant> {
    Instant::parse(text).or_else(|| Instant::parse(&format!("{text}T00:00:00Z"))).with_context(|| {
        format!("--expires is {text:?}; expected a date such as 2030-01-01, or a time in RFC 3339")
    })
}
