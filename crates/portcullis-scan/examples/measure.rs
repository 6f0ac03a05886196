//! Scans the given paths and prints the counts: for profiling the library without the program around it.

#![allow(clippy::print_stdout, reason = "a tool for developers")]

fn main() {
    let paths = std::env::args_os().skip(1).map(std::path::PathBuf::from).collect();
    let report = portcullis_scan::scan(&portcullis_scan::Options { paths, ..Default::default() });
    println!(
        "{:?}, {} findings, {} problems",
        report.document.stats,
        report.document.findings.len(),
        report.document.problems.len()
    );
}
