//! `portcullis explain ID`: what a rule or a signal means, from the same text that its code stands under.

mod words;

use std::io::Write;

use anyhow::bail;
use portcullis_scan::{signal, techniques};

use crate::Outcome;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  portcullis explain secret-to-host      a rule: what happens, what it looks like, what to do
  portcullis explain unrelated-secrets   a signal: what it says, an example, why it matters
  portcullis explain history-incomplete  a kind of problem; also verdicts, standings and kinds of places")]
pub(crate) struct Arguments {
    /// A rule, a signal, or another word of a scan; without one all are listed
    id: Option<String>,
}

/// Prints the explanation.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let mut out = anstream::stdout().lock();
    let Some(id) = &arguments.id else {
        return list(&mut out);
    };
    // Some words are two things: `remote-code` is a rule and a signal.
    let explanations: Vec<String> = [rule(id), of_signal(id), word(id)].into_iter().flatten().collect();
    if explanations.is_empty() {
        bail!(
            "explaining {id:?}: no rule, signal or other word of that name; `portcullis explain` lists them"
        );
    }
    write!(out, "{}", explanations.join("\n"))?;
    Ok(Outcome::Done)
}

fn rule(id: &str) -> Option<String> {
    let technique = techniques::ALL.iter().find(|technique| technique.id() == id)?;
    Some(format!("{id} (rule)\n\n{}\n\nWhat to do: {}.\n", technique.explanation(), technique.remedy()))
}

fn of_signal(id: &str) -> Option<String> {
    let signal = signal::ALL.iter().find(|signal| signal.id() == id)?;
    let weight = signal.weight();
    let mut text =
        format!("{id} (signal, {}: {})\n\n{}\n", weight.meaning(), weight.explanation(), signal.meaning());
    if let Some(example) = signal::example::of(id) {
        text.push_str(&format!("\nExample:\n\n    {}\n\nWhy it matters: {}\n", example.shows, example.why));
    }
    Some(text)
}

fn word(id: &str) -> Option<String> {
    let (_, kind, meaning) = words::WORDS.iter().find(|(word, ..)| *word == id)?;
    Some(format!("{id} ({kind})\n\n{meaning}\n"))
}

/// Everything that can be explained.
fn list(out: &mut impl Write) -> anyhow::Result<Outcome> {
    writeln!(out, "Rules:")?;
    for technique in techniques::ALL {
        let explanation = technique.explanation();
        writeln!(out, "  {:<27} {}", technique.id(), explanation.lines().next().unwrap_or_default())?;
    }
    writeln!(out, "\nSignals:")?;
    for signal in signal::ALL {
        writeln!(out, "  {:<27} {}", signal.id(), signal.weight().meaning())?;
    }
    writeln!(out, "\nOther words:")?;
    for (word, kind, _) in words::WORDS {
        writeln!(out, "  {word:<27} {kind}")?;
    }
    Ok(Outcome::Done)
}
