//! How a report is printed. One file per form; each has one escaper, for all text of a repository is hostile.

pub(crate) mod actions;
mod destination;
mod human;
pub(crate) mod json;
mod sarif;

pub(crate) use destination::Destination;
pub(crate) use json::escaped;

use std::io::{self, Write};

use portcullis_scan::Report;

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// For people: excerpts and what to do
    Human,
    /// One document, `portcullis.scan/1`
    Json,
    /// One object a line
    Jsonl,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// Prints a report. [`Format::Jsonl`] is printed part by part instead, by [`json::part`] and [`json::totals`].
///
/// `log`: whether it goes into the log of a GitHub Actions job.
pub(crate) fn write(
    out: &mut impl Write,
    format: Format,
    report: &Report,
    explain: bool,
    log: bool,
) -> io::Result<()> {
    match format {
        Format::Human => actions::marked(out, log, |mut out| human::write(&mut out, report, explain)),
        Format::Json | Format::Jsonl => json::document(out, report),
        Format::Sarif => sarif::write(out, report),
    }
}
