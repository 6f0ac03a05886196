//! `portcullis man`: the pages of the manual, from the same declaration as parser and help.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::CommandFactory;

use crate::Outcome;
use crate::output::Destination;

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
        program.build();
        write_pages(&program, folder)?;
        return Ok(Outcome::Done);
    }
    // Gives each command the names that stand before it.
    program.build();
    let mut command = &program;
    for name in &arguments.command {
        match command.find_subcommand(name) {
            Some(found) => command = found,
            None => {
                bail!(
                    "printing a page of the manual: there is no command `{}`; `portcullis --help` lists them",
                    arguments.command.join(" ")
                )
            }
        }
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    std::io::stdout().write_all(&page)?;
    Ok(Outcome::Done)
}

/// The page of a command, and those of its own commands.
fn write_pages(command: &clap::Command, folder: &Path) -> anyhow::Result<()> {
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        write_pages(command, folder)?;
    }
    let page = clap_mangen::Man::new(command.clone());
    let mut file = Destination::new(Some(&folder.join(page.get_filename())))?;
    page.render(&mut file)?;
    file.finish()
}
