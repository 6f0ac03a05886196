//! Any bytes as a workflow: read, traced, judged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_scan::analysis::analyse;
use portcullis_scan::flow::NoFiles;

fuzz_target!(|bytes: &[u8]| {
    let analysis = analyse(".github/workflows/w.yml", bytes, &NoFiles, None);
    assert!(analysis.problem.is_none_or(|problem| problem.kind != "internal-error"));
});
