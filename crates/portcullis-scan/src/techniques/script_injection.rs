//! Text that outsiders write is pasted into a script.
//!
//! GitHub replaces `${{ … }}` before the shell sees the script, so the title of an issue or the name of a branch becomes
//! code. It is a door where secrets or a token that can write are in reach.
//!
//! ```yaml
//! on: issues
//! - run: echo "${{ github.event.issue.title }}"
//! ```
//!
//! Through an environment variable the same text stays text.

use crate::flow::trace::ObservationKind;
use crate::signal::Signal;
use crate::technique::{Evidence, Sighting, Technique};

/// See the module's documentation.
pub(super) struct ScriptInjection;

impl Technique for ScriptInjection {
    fn id(&self) -> &'static str {
        "script-injection"
    }
    fn headline(&self) -> &'static str {
        "text that outsiders write becomes part of a script"
    }
    fn remedy(&self) -> &'static str {
        "hand the text over in `env` and use the variable"
    }
    fn source(&self) -> &'static str {
        include_str!("script_injection.rs")
    }

    fn look(&self, evidence: &Evidence<'_>) -> Vec<Sighting> {
        // A pull request from a fork runs without secrets and with a token that can only read.
        let reachable = evidence.workflow.triggers.iter().any(|trigger| trigger.event != "pull_request");
        if !reachable {
            return Vec::new();
        }
        let found: Vec<usize> = evidence
            .trace
            .observations
            .iter()
            .enumerate()
            .filter(|(_, observation)| observation.kind == ObservationKind::UntrustedInScript)
            .map(|(at, _)| at)
            .collect();
        if found.is_empty() {
            return Vec::new();
        }
        vec![Sighting { observations: found, signals: [Signal::UntrustedText].into(), ..Sighting::default() }]
    }
}

#[cfg(test)]
mod tests {
    use crate::report::Verdict;
    use crate::testing::{check, silent};

    #[test]
    fn a_title_in_a_script() {
        check(
            "script-injection",
            "on: issues\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo \"${{ github.event.issue.title }}\"\n",
            Verdict::Exposed,
            &[],
            &[],
        );
    }

    #[test]
    fn in_a_variable_or_without_secrets_it_is_none() {
        silent(
            "on: issues\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo \"$T\"\n        env: {T: '${{ github.event.issue.title }}'}\n",
        );
        silent(
            "on: pull_request\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo \"${{ github.head_ref }}\"\n",
        );
    }
}
