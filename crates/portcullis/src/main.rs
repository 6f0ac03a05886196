//! `portcullis`: the program. It reads arguments, calls one library, prints, and decides the exit code;
//! everything that can be right or wrong about workflows, tokens or cases is decided in the libraries.
//!
//! One module per command. To add one: a module with `Arguments` (a `clap::Args`) and
//! `run(Arguments) -> anyhow::Result<Outcome>`, a variant of [`Command`], and a line in [`dispatch`].

mod admin;
mod completions;
mod desk;
mod explain;
mod fix;
mod forge;
mod man;
mod output;
mod reach;
mod remote;
mod scan;
mod serve;
mod server;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keeps package publishing out of a thief's hands.
#[derive(Parser)]
#[command(name = "portcullis", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find workflows that carry secrets away: now, and in history
    Scan(scan::Arguments),
    /// Rewrite workflows that publish with a token to Trusted Publishing
    Fix(fix::Arguments),
    /// Find jobs that used an action which was taken over, and what they could reach
    Reach(reach::Arguments),
    /// Print what a rule or a signal means
    Explain(explain::Arguments),
    /// Run the index, Trusted Publishing and the incident desk
    Serve(serve::Arguments),
    /// Administer the server's database directly
    Admin(admin::Arguments),
    /// Tell a server's incident desk what you saw
    Report(desk::ReportArguments),
    /// Work on the cases of a server's incident desk
    Case(desk::CaseArguments),
    /// See what a server's incident desk told to whom
    Notice(desk::NoticeArguments),
    /// See and end your own tokens on a server
    Token(desk::TokenArguments),
    /// See, add and remove the Trusted Publishers of your projects on a server
    Publisher(desk::PublisherArguments),
    /// Print a completion script for a shell
    Completions(completions::Arguments),
    /// Print a page of the manual
    Man(man::Arguments),
}

/// How a command ended, when it could run at all. [`main`] alone turns it into an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing was found, or everything asked for is done: exit code 0.
    Done,
    /// Something was found, or was refused: exit code 1.
    Found,
}

/// How a command prints what it has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TextFormat {
    /// For people.
    Human,
    /// One JSON document.
    Json,
}

/// Log lines of a server go to stderr: `RUST_LOG` chooses which, warnings and the server's own by default.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,portcullis=info,portcullis_index=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}

fn main() -> ExitCode {
    // Whoever speaks TLS below uses this one provider; a second one compiled in would make the choice ambiguous.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match dispatch(Arguments::parse().command) {
        Ok(Outcome::Done) => ExitCode::from(0),
        Ok(Outcome::Found) => ExitCode::from(1),
        // The reader of a pipe went away (`portcullis scan | head`): nobody is left to tell, and it is no failure.
        Err(error) if is_closed_pipe(&error) => ExitCode::from(0),
        Err(error) => {
            complain(&error);
            ExitCode::from(2)
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Scan(arguments) => scan::run(&arguments),
        Command::Fix(arguments) => fix::run(&arguments),
        Command::Reach(arguments) => reach::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Admin(arguments) => admin::run(&arguments),
        Command::Report(arguments) => desk::report(&arguments),
        Command::Case(arguments) => desk::case(&arguments),
        Command::Notice(arguments) => desk::notice(&arguments),
        Command::Token(arguments) => desk::tokens(&arguments),
        Command::Publisher(arguments) => desk::publisher(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
    }
}

/// `error: what was being done: what went wrong`, causes from the outside in; to stderr, which may be gone too.
fn complain(error: &anyhow::Error) {
    use portcullis_scan::text::{Lines, escape};
    use std::io::Write;
    let text = escape(&format!("error: {error:#}"), Lines::Many);
    let _ = writeln!(output::actions::stderr(), "{text}");
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_declaration_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
