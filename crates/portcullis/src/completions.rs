//! `portcullis completions SHELL`: from the same declaration as parser and help, so they can't disagree.

use std::io::Write;

use clap::CommandFactory;

use crate::Outcome;

#[derive(clap::Args)]
#[command(
    after_help = "Example: portcullis completions bash > ~/.local/share/bash-completion/completions/portcullis"
)]
pub(crate) struct Arguments {
    /// The shell to complete in
    shell: clap_complete::Shell,
}

/// Writes the script to standard output.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::Arguments::command(), "portcullis", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(Outcome::Done)
}
