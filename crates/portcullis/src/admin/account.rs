//! `portcullis admin account`: makes accounts, resets their passwords, stops them.

use std::io::{Read, Write};

use anyhow::Context;
use portcullis_index::account::{self, NewAccount, one_time_link};
use portcullis_index::app::App;
use portcullis_index::history::Actor;
use portcullis_index::store::accounts::AccountRole;
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::Outcome;

/// Longest password that is read from standard input, in bytes.
const PASSWORD_LIMIT: u64 = 1_024;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make an account; its mail address counts as verified
    #[command(
        after_help = "Example: portcullis admin account add alice --email alice@example.org --role responder"
    )]
    Add {
        /// The account's name
        name: String,
        /// Its mail address
        #[arg(long)]
        email: String,
        /// What it may do: user, observer, responder or admin
        #[arg(long, default_value = "user")]
        role: AccountRole,
        /// Read its password from standard input; without, a one-time link that sets one is printed
        #[arg(long)]
        password_stdin: bool,
    },
    /// Stop an account: it can't sign in, its sessions end, and none of its tokens is taken
    #[command(
        after_help = "Example: portcullis admin account freeze alice --reason \"taken over, case 01234567\""
    )]
    Freeze {
        /// The account's name
        name: String,
        /// Why; it stands in the history
        #[arg(long)]
        reason: String,
    },
    /// Let a frozen account act again; its sessions stay ended, its tokens are what they were
    #[command(
        after_help = "Example: portcullis admin account unfreeze alice --reason \"back with its owner\""
    )]
    Unfreeze {
        /// The account's name
        name: String,
        /// Why; it stands in the history
        #[arg(long)]
        reason: String,
    },
    /// Print a one-time link with which an account sets a new password; its management tokens end now
    Reset {
        /// The account's name
        name: String,
    },
}

pub(crate) async fn run(app: &App, command: &Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Add { name, email, role, password_stdin } => {
            let password = if *password_stdin { Some(read_password()?) } else { None };
            let has_password = password.is_some();
            let new = NewAccount { name: name.clone(), email: email.clone(), role: *role, password };
            let account = account::add(app, new, Actor::Operator).await.context("making the account")?;
            if has_password {
                writeln!(std::io::stdout(), "account {} made", account.name)?;
            } else {
                let link = one_time_link::reset_link(app, &account.name, Actor::Operator).await?;
                writeln!(
                    std::io::stdout(),
                    "account {} made; within the hour, set its password at {link}",
                    account.name
                )?;
            }
        }
        Command::Freeze { name, reason } => {
            let found = account::by_name(app, name).await?;
            account::freeze(app, &found, reason, Actor::Operator).await.context("freezing the account")?;
            writeln!(std::io::stdout(), "account {} frozen; its sessions have ended", found.name)?;
        }
        Command::Unfreeze { name, reason } => {
            let found = account::by_name(app, name).await?;
            account::unfreeze(app, &found, reason, Actor::Operator).await.context("thawing the account")?;
            writeln!(std::io::stdout(), "account {} may act again", found.name)?;
        }
        Command::Reset { name } => {
            let link = one_time_link::reset_link(app, name, Actor::Operator)
                .await
                .context("making a one-time link")?;
            writeln!(std::io::stdout(), "{link}")?;
        }
    }
    Ok(Outcome::Done)
}

/// A password as one line: the line end is not part of it.
fn read_password() -> anyhow::Result<SecretString> {
    let mut text = Zeroizing::new(String::new());
    std::io::stdin()
        .take(PASSWORD_LIMIT + 2)
        .read_to_string(&mut text)
        .context("reading the password from standard input")?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    Ok(SecretString::from(password.strip_suffix('\r').unwrap_or(password).to_owned()))
}
