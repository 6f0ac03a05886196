//! `portcullis man`: the pages of the manual, from the same declaration as parser and help.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::CommandFactory;

use crate::Outcome;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  portcullis man | man -l -                                  the program's page
  portcullis man scan > portcullis-scan.1                    a command's page
  portcullis man --output ~/.local/share/man/man1            all pages")]
pub(crate) struct Arguments {
    /// The command whose page to print; the program's own if none is given
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write all pages to this folder instead
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    output: Option<PathBuf>,
}

/// Prints a page in roff, or writes them all.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let mut program = crate::Arguments::command().disable_help_subcommand(true);
    if let Some(folder) = &arguments.output {
        std::fs::create_dir_all(folder).with_context(|| format!("making `{}`", folder.display()))?;
        clap_mangen::generate_to(program, folder)
            .with_context(|| format!("writing the manual to `{}`", folder.display()))?;
        return Ok(Outcome::Done);
    }
    // Gives each command the names that stand before it.
    program.build();
    let mut command = &program;
    for name in &arguments.command {
        match command.find_subcommand(name) {
            Some(found) => command = found,
            None => {
                bail!("printing a page of the manual: there is no command `{}`", arguments.command.join(" "))
            }
        }
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    std::io::stdout().write_all(&page)?;
    Ok(Outcome::Done)
}
