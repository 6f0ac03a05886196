//! Scans as the program does, without the program around it: for profiling the library, for measuring it (`bench/run --binary`),
//! and for comparing two versions of it (`--same`, which leaves the time out).
//!
//!     measure [scan] [--format json|jsonl] [--indicators FILE] [--same] PATH...
//!
//! Without a format it prints the counts.

#![allow(clippy::print_stdout, reason = "a tool for developers")]

use std::path::PathBuf;

use portcullis_scan::{Options, Report, scan_each};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut options = Options { paths: Vec::new(), ..Options::default() };
    let (mut format, mut same) = (String::new(), false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "scan" => {}
            "--same" => same = true,
            "--format" => format = arguments.next().unwrap_or_default(),
            "--indicators" => {
                let listed = std::fs::read_to_string(arguments.next().unwrap_or_default());
                options.indicators.extend(listed.unwrap_or_default().lines().map(str::to_lowercase));
            }
            path => options.paths.push(PathBuf::from(path)),
        }
    }
    let mut parts = Vec::new();
    let mut totals = scan_each(&options, &mut |part| {
        if format == "jsonl" {
            let line = serde_json::json!({"type": "repository", "repository": part.repository});
            println!("{line}");
            for finding in &part.findings {
                println!("{}", serde_json::to_string(finding).unwrap_or_default());
            }
        } else {
            parts.push(part);
        }
    });
    if same {
        totals.stats.seconds = 0.0;
    }
    if format == "json" {
        let document = Report::new(parts, totals).document;
        println!("{}", serde_json::to_string_pretty(&document).unwrap_or_default());
    } else {
        println!("{}", serde_json::to_string(&totals.stats).unwrap_or_default());
    }
}
