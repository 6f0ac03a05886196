//! Development commands; nothing ships from here.
//!
//! `cargo xtask score DIR [--list]` measures the scanner against a folder of labelled workflows (`manifest.jsonl`
//! beside the files it names). The files are hostile text: they are read, never run. Exit code 1: a mark was missed.
//!
//! `cargo xtask techniques` writes `docs/techniques.md`.

mod score;
mod techniques;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["score", folder] => score::run(Path::new(folder), false),
        ["score", folder, "--list"] => score::run(Path::new(folder), true),
        ["techniques"] => techniques::write(Path::new(".")).map(|()| true),
        _ => Err(anyhow::anyhow!("usage: cargo xtask score DIR [--list] | techniques")),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}
