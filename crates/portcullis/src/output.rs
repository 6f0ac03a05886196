//! How a report is printed. One file per form; each has one escaper, for all text of a repository is hostile.

pub(crate) mod actions;
mod destination;
mod human;
pub(crate) mod json;
mod sarif;

pub(crate) use destination::{Destination, refuse_link};
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

/// How people want it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// Whether each signal is explained.
    pub(crate) explain: bool,
    /// Whether it goes into the log of a GitHub Actions job.
    pub(crate) log: bool,
    /// How many findings were left out, for they are milder than asked for.
    pub(crate) hidden: usize,
}

/// Prints a report. [`Format::Jsonl`] is printed part by part instead, by [`json::part`] and [`json::totals`].
pub(crate) fn write(out: &mut impl Write, format: Format, report: &Report, manner: Manner) -> io::Result<()> {
    match format {
        Format::Human => actions::marked(out, manner.log, |mut out| {
            human::write(&mut out, report, manner.explain, manner.hidden)
        }),
        Format::Json | Format::Jsonl => json::document(out, report),
        Format::Sarif => sarif::write(out, report),
    }
}
