//! `portcullis admin verify-history`: reads the whole security history and says what was changed, taken, moved or cut.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use portcullis_index::app::App;
use portcullis_index::history::{self, Checkpoint};

use crate::Outcome;

/// Largest checkpoint file that is read, in bytes.
const CHECKPOINT_LIMIT: u64 = 64 * 1024;

#[derive(clap::Args)]
#[command(after_help = "Example: portcullis admin verify-history --checkpoint kept-elsewhere.json\n\
                        The newest checkpoint is in checkpoints/newest.json of the data folder; keep copies elsewhere.")]
pub(crate) struct Arguments {
    /// A checkpoint that was kept outside: only with one is a cut at the end excluded
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// How the result is printed: human or json
    #[arg(long, value_enum, default_value = "human")]
    format: crate::TextFormat,
}

pub(crate) async fn run(app: &App, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let outside = arguments.checkpoint.as_ref().map(read_checkpoint).transpose()?;
    // What a command recorded just before is sealed here, where no server does it.
    portcullis_index::sealing::seal_all(app, 0).await;
    let found = history::verify(&app.store, &app.server_key, outside.as_ref(), app.now()).await?;
    let mut out = std::io::stdout();
    match arguments.format {
        crate::TextFormat::Json => {
            let mut document = serde_json::to_value(&found)?;
            if let Some(document) = document.as_object_mut() {
                document.insert(String::from("consistent"), found.faults.is_empty().into());
                document.insert(String::from("sentence"), found.sentence().into());
            }
            writeln!(out, "{document}")?;
        }
        crate::TextFormat::Human => {
            for fault in &found.faults {
                writeln!(out, "fault: {fault}")?;
            }
            writeln!(out, "{}", found.sentence())?;
            writeln!(out, "read: {}", found.extent())?;
            if let Some(newest) = &found.newest {
                writeln!(
                    out,
                    "newest checkpoint: event {}, chain {}, key {}",
                    newest.position, newest.chain, newest.key
                )?;
            }
        }
    }
    Ok(if found.faults.is_empty() { Outcome::Done } else { Outcome::Found })
}

fn read_checkpoint(path: &PathBuf) -> anyhow::Result<Checkpoint> {
    let doing = || format!("reading the checkpoint {}", path.display());
    ensure!(
        std::fs::metadata(path).with_context(doing)?.len() <= CHECKPOINT_LIMIT,
        "the checkpoint {} is larger than {CHECKPOINT_LIMIT} bytes; expected a copy of checkpoints/newest.json",
        path.display()
    );
    let text = std::fs::read_to_string(path).with_context(doing)?;
    serde_json::from_str(&text)
        .with_context(|| format!("{}; expected a copy of checkpoints/newest.json", doing()))
}
