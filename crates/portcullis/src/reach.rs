//! `portcullis reach`: which jobs used an action that was taken over, and what each of them could reach.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use portcullis_scan::Report;
use portcullis_scan::reach::action::Action;
use portcullis_scan::reach::{Question, reach_each};
use portcullis_scan::text::{Lines, escape};

use crate::Outcome;
use crate::output::{self, Destination, Format, Manner};
use crate::scan::{progress, seconds};

/// Seconds of a day; times are UTC, which has no others.
const DAY: i64 = 86_400;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  portcullis reach --action owner/changed-files ~/src
  portcullis reach --action owner/changed-files@v45 --between 2025-03-14 2025-03-16 ~/src --format json

Dates are whole days, UTC, the last one included. A version on a branch counts while it was the newest there; one on a tag,
when the tag was made. Actions and workflows of other repositories are followed where those are among the paths.
Exit code 0: no job used it; 1: some did; 2: nothing could be read.")]
pub(crate) struct Arguments {
    /// The action that was taken over; with a tag or branch only that, with a full commit id also those who pinned it
    #[arg(long, value_name = "OWNER/REPO[@REF]")]
    action: Action,
    /// From when until when it was in wrong hands: two dates or times (RFC 3339)
    #[arg(long, num_args = 2, value_names = ["T1", "T2"])]
    between: Option<Vec<String>>,
    /// Work trees, bare repositories, workflow files, or folders that hold any of these
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to print what is found
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Number of threads; one for each core if not given
    #[arg(long, value_name = "N", default_value_t = 0)]
    jobs: usize,
}

/// Looks and prints.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let question = question(arguments)?;
    let mut out = Destination::new(arguments.output.as_deref())?;
    let streams = arguments.format == Format::Jsonl;
    let progress = progress();
    let (mut failed, mut parts, mut found) = (None, Vec::new(), false);
    let mut first_problem = None;
    let totals = reach_each(&question, &mut |part| {
        progress.inc(1);
        found |= !part.findings.is_empty();
        first_problem = first_problem
            .take()
            .or_else(|| part.problems.first().map(|problem| escape(&problem.what, Lines::One)));
        if streams && failed.is_none() {
            failed =
                progress.suspend(|| output::json::part(&mut out, &part).and_then(|()| out.flush())).err();
        }
        if !streams {
            parts.push(part);
        }
    });
    progress.finish_and_clear();
    if let Some(error) = failed {
        return Err(error).context("writing what was found");
    }
    if streams {
        output::json::totals(&mut out, &totals)?;
    } else {
        let log = arguments.output.is_none() && output::actions::is_log();
        output::write(
            &mut out,
            arguments.format,
            &Report::new(parts, totals.clone()),
            Manner { log, ..Manner::default() },
        )?;
    }
    out.flush()?;
    if totals.repositories_read == 0 {
        bail!(
            "looking for {}: nothing could be read ({})",
            arguments.action.name(),
            first_problem.unwrap_or_else(|| "no repository and no workflow file there".to_owned())
        );
    }
    out.finish()?;
    Ok(if found { Outcome::Found } else { Outcome::Done })
}

fn question(arguments: &Arguments) -> anyhow::Result<Question> {
    let between = match arguments.between.as_deref() {
        Some([from, until]) => {
            let whole_day =
                until.parse::<jiff::civil::Date>().is_ok() && until.parse::<jiff::Timestamp>().is_err();
            let (from, until) = (
                seconds("--between", from, "a date or a time")?,
                seconds("--between", until, "a date or a time")?,
            );
            // A date as the end is that day to its last second.
            let until = if whole_day { until + DAY - 1 } else { until };
            if until < from {
                bail!("reading --between: the second time is before the first");
            }
            Some((from, until))
        }
        _ => None,
    };
    let paths = if arguments.paths.is_empty() { vec![PathBuf::from(".")] } else { arguments.paths.clone() };
    Ok(Question { paths, action: arguments.action.clone(), between, jobs: arguments.jobs })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn between(from: &str, until: &str) -> anyhow::Result<Option<(i64, i64)>> {
        let line = ["reach", "--action", "owner/act", "--between", from, until];
        Ok(question(&Line::parse_from(line).arguments)?.between)
    }

    #[test]
    fn a_date_as_the_end_is_that_whole_day() {
        let midnight = 1_741_910_400;
        assert_eq!(between("2025-03-14", "2025-03-14").unwrap(), Some((midnight, midnight + 86_399)));
        assert_eq!(
            between("2025-03-14", "2025-03-15T00:00:00Z").unwrap(),
            Some((midnight, midnight + 86_400))
        );
        assert_eq!(
            between("2025-03-14T12:00:00Z", "2025-03-14").unwrap(),
            Some((midnight + 43_200, midnight + 86_399))
        );
        assert!(between("2025-03-15", "2025-03-14").is_err());
        assert!(between("yesterday", "2025-03-14").is_err());
    }
}
