//! Any text between `${{` and `}}`, in a command.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_scan::analysis::analyse;
use portcullis_scan::flow::NoFiles;

fuzz_target!(|inside: &str| {
    let command = format!("echo ${{{{ {inside} }}}}");
    let workflow = format!("on: push\njobs:\n  j:\n    runs-on: x\n    steps:\n      - run: {command:?}\n");
    let analysis = analyse(".github/workflows/w.yml", workflow.as_bytes(), &NoFiles, None);
    assert!(analysis.problem.is_none_or(|problem| problem.kind != "internal-error"));
});
