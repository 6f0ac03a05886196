//! `portcullis explain ID`: what a rule or a signal means, from the same text that its code stands under.

use std::io::Write;

use anyhow::bail;
use portcullis_scan::{signal, techniques};

use crate::Outcome;

#[derive(clap::Args)]
#[command(after_help = "Example: portcullis explain secret-to-host")]
pub(crate) struct Arguments {
    /// A rule (secret-to-host) or a signal (unrelated-secrets)
    id: String,
}

/// Prints the explanation.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let mut out = anstream::stdout().lock();
    if let Some(technique) = techniques::ALL.iter().find(|technique| technique.id() == arguments.id) {
        writeln!(
            out,
            "{}\n\n{}\n\nWhat to do: {}.",
            technique.id(),
            technique.explanation(),
            technique.remedy()
        )?;
        return Ok(Outcome::Done);
    }
    if let Some(signal) = signal::ALL.iter().find(|signal| signal.id() == arguments.id) {
        writeln!(out, "{} ({})\n\n{}", signal.id(), signal.weight().meaning(), signal.meaning())?;
        return Ok(Outcome::Done);
    }
    let rules = techniques::ALL.iter().map(|technique| technique.id()).collect::<Vec<_>>().join(", ");
    let signals = signal::ALL.iter().map(|signal| signal.id()).collect::<Vec<_>>().join(", ");
    bail!(
        "explaining `{}`: no rule or signal of that name.\nrules: {rules}\nsignals: {signals}",
        arguments.id
    )
}
