//! Code from an address is run with secrets around it.
//!
//! `curl … | bash` runs whatever the host answers at that moment, with everything that the step's environment holds. It is
//! how many tools are installed, and a door: who takes over the host, or answers one run differently, has the secrets.
//!
//! ```yaml
//! - run: curl -sSf https://install.example/get.sh | bash
//!   env: { TOKEN: "${{ secrets.TOKEN }}" }
//! ```

use crate::flow::command::REMOTE_CODE;
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
        groups.into_iter().map(sighting).collect()
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
    fn an_installer_without_secrets() {
        silent(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: curl -sSf https://install.example/get.sh | bash\n",
        );
    }
}
