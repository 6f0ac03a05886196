//! Any text as a script; its first byte chooses the language.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_scan::analysis::analyse;
use portcullis_scan::flow::NoFiles;

const SHELLS: &[&str] = &["bash", "python", "pwsh", "node {0}", "perl {0}", "ruby {0}", "cmd"];

fuzz_target!(|input: (u8, &str)| {
    let (shell, script) = input;
    let shell = SHELLS[usize::from(shell) % SHELLS.len()];
    let mut workflow = format!(
        "on: push\njobs:\n  j:\n    runs-on: x\n    env:\n      A: ${{{{ secrets.A }}}}\n    steps:\n      - shell: {shell}\n        run: |\n"
    );
    for line in script.lines() {
        workflow.push_str("          ");
        workflow.push_str(line);
        workflow.push('\n');
    }
    let analysis = analyse(".github/workflows/w.yml", workflow.as_bytes(), &NoFiles, None);
    assert!(analysis.problem.is_none_or(|problem| problem.kind != "internal-error"));
});
