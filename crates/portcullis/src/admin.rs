//! `portcullis admin`: acts on the database directly, with the settings of `serve`; the server may be running.

use portcullis_index::app::App;
use portcullis_index::sealing;

use crate::Outcome;
use crate::server::{self, DataFolder, SettingsArguments};

mod account;
mod erase;
mod publisher;
mod sweep;
mod token;
mod verify_history;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Accounts
    #[command(subcommand)]
    Account(account::Command),
    /// API tokens and management tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Trusted Publishers
    #[command(subcommand)]
    Publisher(publisher::Command),
    /// Find out whether the security history was changed, or rows are missing, moved or cut
    VerifyHistory(verify_history::Arguments),
    /// Erase an account's personal fields; the history stays and says so
    Erase(erase::Arguments),
    /// Take away file contents that no file names
    Sweep,
}

/// Runs one command against the database.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let settings = arguments.settings.resolve(|_| {})?;
    let base_url = server::base_url(&settings, settings.listen)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let app = server::open(settings, base_url, DataFolder::MustExist).await?;
        let outcome = dispatch(&app, &arguments.command).await;
        // A running server seals within a second; without one the command's own events are sealed here.
        sealing::seal_all(&app, 0).await;
        app.store.close().await;
        outcome
    })
}

async fn dispatch(app: &App, command: &Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Account(command) => account::run(app, command).await,
        Command::Token(command) => token::run(app, command).await,
        Command::Publisher(command) => publisher::run(app, command).await,
        Command::VerifyHistory(arguments) => verify_history::run(app, arguments).await,
        Command::Erase(arguments) => erase::run(app, arguments).await,
        Command::Sweep => sweep::run(app).await,
    }
}
