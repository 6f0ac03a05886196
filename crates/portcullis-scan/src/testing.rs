//! How techniques are tested: a workflow in, verdict, secrets and destinations out.

use std::collections::BTreeSet;

use crate::analysis::{Seen, analyse};
use crate::flow::NoFiles;
use crate::report::Verdict;
use crate::verdict::weigh;

fn seen(source: &str) -> Vec<Seen> {
    let analysis = analyse(".github/workflows/test.yml", source.as_bytes(), &NoFiles, None);
    assert!(analysis.problem.is_none(), "{:?}", analysis.problem);
    analysis.seen
}

/// One rule finds exactly these secrets at exactly these destinations, and weighs them so.
pub(crate) fn check(rule: &str, source: &str, verdict: Verdict, secrets: &[&str], destinations: &[&str]) {
    let all = seen(source);
    let of_rule: Vec<&Seen> = all.iter().filter(|seen| seen.rule == rule).collect();
    assert!(!of_rule.is_empty(), "{rule} sees nothing in:\n{source}\nothers: {all:#?}");
    let pairs: BTreeSet<&(String, String)> = of_rule.iter().flat_map(|seen| &seen.pairs).collect();
    let found: BTreeSet<&str> = pairs.iter().map(|(secret, _)| secret.as_str()).collect();
    let places: BTreeSet<&str> =
        of_rule.iter().flat_map(|seen| &seen.destinations).map(|(key, _)| key.as_str()).collect();
    assert_eq!(found, secrets.iter().copied().collect(), "secrets of {rule} in:\n{source}");
    assert_eq!(places, destinations.iter().copied().collect(), "destinations of {rule} in:\n{source}");
    let worst = of_rule.iter().map(|seen| weigh(rule, &seen.signals)).max();
    assert_eq!(worst, Some(verdict), "{rule}: {:?} in:\n{source}", of_rule[0].signals);
}

/// The worst that is said.
pub(crate) fn worst(source: &str) -> Option<Verdict> {
    seen(source).iter().map(|seen| weigh(seen.rule, &seen.signals)).max()
}

/// No rule sees anything.
pub(crate) fn silent(source: &str) {
    let all = seen(source);
    assert!(all.is_empty(), "not silent:\n{source}\n{all:#?}");
}
