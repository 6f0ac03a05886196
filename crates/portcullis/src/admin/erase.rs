//! `portcullis admin erase`: takes the personal fields of an account away. The history stays, verifies, and says so.

use std::io::Write;

use portcullis_index::account;
use portcullis_index::app::App;
use portcullis_index::history::Actor;

use crate::Outcome;

#[derive(clap::Args)]
#[command(after_help = "Example: portcullis admin erase alice --reason \"asked for by mail of 2026-01-02\"")]
pub(crate) struct Arguments {
    /// The account's name
    account: String,
    /// Why; it stands in the history
    #[arg(long)]
    reason: String,
}

pub(crate) async fn run(app: &App, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let found = account::by_name(app, &arguments.account).await?;
    let rows = account::erase(app, &found, &arguments.reason, Actor::Operator).await?;
    writeln!(
        std::io::stdout(),
        "erased: addresses, clients and mail of {} in {rows} rows; the events stay",
        found.name
    )?;
    Ok(Outcome::Done)
}
