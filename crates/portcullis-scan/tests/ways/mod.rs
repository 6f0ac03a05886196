//! Ways of sending, as rows: the workflow around each is the same, so that only the script matters.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    dead_code,
    reason = "shared by tests, which fail by panicking"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;

use portcullis_scan::analysis::{Analysis, analyse};
use portcullis_scan::flow::NoFiles;
use portcullis_scan::report::Verdict;
use portcullis_scan::verdict::weigh;

/// One way of sending secrets somewhere.
pub(crate) struct Way {
    /// What it is.
    pub(crate) name: &'static str,
    /// The step's `shell:`.
    pub(crate) shell: &'static str,
    /// The step's script, with the secrets in the variables `A` and `B`.
    pub(crate) script: &'static str,
    /// Further steps, as YAML.
    pub(crate) later: &'static str,
    /// Which secrets arrive; none named: whichever.
    pub(crate) secrets: &'static [&'static str],
    /// Where; nothing: wherever.
    pub(crate) place: &'static str,
    /// The least that is said.
    pub(crate) verdict: Verdict,
}

/// Both secrets of the workflow.
pub(crate) const BOTH: &[&str] = &["NPM_TOKEN", "PYPI_API_TOKEN"];
/// Whichever secrets.
pub(crate) const ANY: &[&str] = &[];

fn workflow(shell: &str, script: &str, later: &str) -> String {
    let mut text = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env:\n      A: ${{ secrets.PYPI_API_TOKEN }}\n      B: ${{ secrets.NPM_TOKEN }}\n    steps:\n      - uses: actions/checkout@v4\n      - run: make build\n      - run: |\n".to_owned();
    for line in script.lines() {
        writeln!(text, "          {line}").unwrap();
    }
    writeln!(text, "        shell: {shell}").unwrap();
    text.push_str(later);
    text
}

fn worst(analysis: &Analysis) -> Option<Verdict> {
    analysis.seen.iter().map(|seen| weigh(seen.rule, &seen.signals)).max()
}

/// One whole workflow.
pub(crate) struct Whole {
    /// What it is.
    pub(crate) name: &'static str,
    /// Its text.
    pub(crate) workflow: &'static str,
    /// Which secrets arrive; none named: whichever.
    pub(crate) secrets: &'static [&'static str],
    /// Where; nothing: wherever.
    pub(crate) place: &'static str,
    /// The least that is said.
    pub(crate) verdict: Verdict,
}

/// Exactly these secrets are said to reach exactly this place, and no less is said of it.
pub(crate) fn found(way: &Way) {
    let text = workflow(way.shell, way.script, way.later);
    said(way.name, &text, way.secrets, way.place, way.verdict);
}

/// As [`found`], of a whole workflow.
pub(crate) fn found_in(whole: &Whole) {
    said(whole.name, whole.workflow, whole.secrets, whole.place, whole.verdict);
}

fn said(name: &str, text: &str, wanted: &[&str], place: &str, verdict: Verdict) {
    let analysis = analyse(".github/workflows/w.yml", text.as_bytes(), &NoFiles, None);
    let worst = worst(&analysis);
    assert!(worst >= Some(verdict), "{name}: {worst:?} in\n{text}\n{:#?}", analysis.seen);
    let of_worst = || analysis.seen.iter().filter(|seen| Some(weigh(seen.rule, &seen.signals)) == worst);
    let pairs: BTreeSet<&(String, String)> = of_worst().flat_map(|seen| &seen.pairs).collect();
    let secrets: BTreeSet<&str> = pairs.iter().map(|(secret, _)| secret.as_str()).collect();
    let places: BTreeSet<&str> = pairs.iter().map(|(_, place)| place.as_str()).collect();
    if !wanted.is_empty() {
        assert_eq!(secrets, wanted.iter().copied().collect(), "{name}: secrets in\n{text}");
    }
    if !place.is_empty() {
        assert_eq!(places, [place].into(), "{name}: places in\n{text}");
    }
}

/// Nobody is accused.
pub(crate) fn at_most_exposed(name: &str, shell: &str, script: &str) {
    workflow_at_most_exposed(name, &workflow(shell, script, ""));
}

/// Nobody is accused by a whole workflow.
pub(crate) fn workflow_at_most_exposed(name: &str, text: &str) {
    let analysis = analyse(".github/workflows/w.yml", text.as_bytes(), &NoFiles, None);
    let worst = worst(&analysis);
    assert!(worst <= Some(Verdict::Exposed), "{name}: {worst:?} in\n{text}\n{:#?}", analysis.seen);
}
