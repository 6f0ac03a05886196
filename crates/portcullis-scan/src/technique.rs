//! What a technique is: one way of stealing, with its explanation, its code and its tests in one file.

use std::collections::BTreeSet;

use crate::destination::Place;
use crate::flow::trace::{Channel, Delivery, Trace};
use crate::flow::value::{Carried, Encoding, Source};
use crate::services::{self, Service};
use crate::signal::Signal;
use crate::workflow::Workflow;

/// One workflow version with everything that was found in it.
pub struct Evidence<'e> {
    /// Its path in the repository.
    pub path: &'e str,
    /// The model.
    pub workflow: &'e Workflow,
    /// What flows where.
    pub trace: &'e Trace,
    /// The place of each delivery, in the same order.
    pub places: &'e [Place],
    /// `host/owner/name`, where it is known.
    pub identity: Option<&'e str>,
}

/// Something seen: deliveries (by index) that belong together, and what speaks for and against.
#[derive(Debug, Default)]
pub struct Sighting {
    /// Indices into the trace's deliveries.
    pub deliveries: Vec<usize>,
    /// Indices into the trace's observations.
    pub observations: Vec<usize>,
    /// Indices into the trace's publishings.
    pub publishings: Vec<usize>,
    /// The facts.
    pub signals: BTreeSet<Signal>,
}

/// One way of stealing.
pub trait Technique: Sync {
    /// The rule's identifier: the file's name in kebab case.
    fn id(&self) -> &'static str;
    /// What happened, in one line; `{secrets}` and `{places}` are filled in.
    fn headline(&self) -> &'static str;
    /// What to do about it.
    fn remedy(&self) -> &'static str;
    /// The file's own text, whose module documentation is the explanation.
    fn source(&self) -> &'static str;
    /// Looks at one version.
    fn look(&self, evidence: &Evidence<'_>) -> Vec<Sighting>;

    /// The explanation for people: the module documentation.
    fn explanation(&self) -> String {
        let lines = self.source().lines().take_while(|line| line.starts_with("//!"));
        lines
            .map(|line| line.trim_start_matches("//!").strip_prefix(' ').unwrap_or(""))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Evidence<'_> {
    /// A delivery with its place.
    pub fn delivery(&self, at: usize) -> Option<(&Delivery, &Place)> {
        Some((self.trace.deliveries.get(at)?, self.places.get(at)?))
    }

    /// Deliveries that match, grouped by the key of their place, in the order of the file.
    pub fn grouped(&self, matches: impl Fn(&Delivery, &Place) -> bool) -> Vec<Vec<usize>> {
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        for (at, (delivery, place)) in self.trace.deliveries.iter().zip(self.places).enumerate() {
            if place.local || !matches(delivery, place) {
                continue;
            }
            let key = place.key();
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, group)) => group.push(at),
                None => groups.push((key, vec![at])),
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }

    /// Everything that the deliveries of a group carry; what the runner drops on the way only where it is all there is.
    pub fn carried(&self, group: &[usize]) -> Vec<&Carried> {
        let deliveries = group.iter().filter_map(|at| self.trace.deliveries.get(*at));
        let all: Vec<&Carried> = deliveries.flat_map(|delivery| &delivery.carried).collect();
        let arriving: Vec<&Carried> = all.iter().copied().filter(|one| !one.dropped).collect();
        if arriving.is_empty() { all } else { arriving }
    }

    /// Facts about what leaves, whatever the road.
    pub fn cargo_signals(&self, group: &[usize]) -> BTreeSet<Signal> {
        let mut signals = BTreeSet::new();
        let carried = self.carried(group);
        let names = named_secrets(&carried);
        if !carried.is_empty() && carried.iter().all(|one| one.dropped) {
            signals.insert(Signal::DroppedByRunner);
        }
        for one in &carried {
            match &one.source {
                Source::AllSecrets => {
                    signals.insert(Signal::AllSecrets);
                }
                // Of an environment without secrets nothing is taken that cannot be read in the log; sent to a host, it is
                // still somebody who wants to have it.
                Source::Environment
                    if !names.is_empty() || self.single_purpose(group) && self.leaves(group) =>
                {
                    signals.insert(Signal::EnvironmentDump);
                }
                Source::IdentityToken
                | Source::MintedToken
                | Source::RuntimeToken
                | Source::CheckoutCredentials
                | Source::CredentialFile(_)
                | Source::CloudMetadata
                | Source::Session(_) => {
                    signals.insert(Signal::RunnerCredentials);
                }
                Source::RunnerMemory => {
                    signals.insert(Signal::MemoryRead);
                }
                Source::Secret(_) if is_left_login(one) => {
                    signals.insert(Signal::RunnerCredentials);
                }
                _ => {}
            }
            if evades_mask(&one.encodings) {
                signals.insert(Signal::MaskEvasion);
            } else if one
                .encodings
                .iter()
                .any(|encoding| !matches!(encoding, Encoding::Escaped | Encoding::Field))
            {
                signals.insert(Signal::Encoded);
            }
        }
        if names.len() >= 3 {
            signals.insert(Signal::ManySecrets);
        }
        if group.iter().filter_map(|at| self.trace.deliveries.get(*at)).any(|delivery| delivery.concealed) {
            signals.insert(Signal::AssembledCommand);
        }
        let labelled =
            group.iter().filter_map(|at| self.trace.deliveries.get(*at)).any(|delivery| delivery.labelled);
        // One label may be the receiver's own parameter; from a job that does nothing else it is none.
        if labelled && (names.len() >= 2 || self.single_purpose(group)) {
            signals.insert(Signal::LabelledSecrets);
        }
        if self.single_purpose(group) {
            signals.insert(Signal::SinglePurpose);
        }
        if self.masquerades() {
            signals.insert(Signal::Masquerade);
        }
        let jobs = self.job_numbers(group);
        for observation in
            self.trace.observations.iter().filter(|observation| jobs.contains(&observation.job))
        {
            match observation.kind {
                crate::flow::trace::ObservationKind::DecodedCommand => {
                    signals.insert(Signal::DecodedCommand);
                }
                crate::flow::trace::ObservationKind::CoversTracks => {
                    signals.insert(Signal::CoversTracks);
                }
                _ => {}
            }
        }
        signals
    }

    /// Whether it goes over the network, and not to a place of the run itself.
    fn leaves(&self, group: &[usize]) -> bool {
        let mut channels =
            group.iter().filter_map(|at| self.trace.deliveries.get(*at)).map(|delivery| delivery.channel);
        channels.any(|channel| matches!(channel, Channel::Network | Channel::Dns | Channel::Repository))
    }

    /// Whether a secret is among what is carried; an environment alone is none.
    pub fn carries_secrets(&self, group: &[usize]) -> bool {
        self.carried(group).iter().any(|one| one.source != Source::Environment)
    }

    fn job_numbers(&self, group: &[usize]) -> BTreeSet<usize> {
        group.iter().filter_map(|at| self.trace.deliveries.get(*at)).map(|delivery| delivery.job).collect()
    }

    /// The jobs from which a group of deliveries goes out, each once.
    pub fn jobs_of(&self, group: &[usize]) -> impl Iterator<Item = &crate::workflow::Job> {
        self.job_numbers(group).into_iter().filter_map(|job| self.workflow.jobs.get(job))
    }

    /// Whether a job may ask for identity tokens.
    pub fn may_mint(&self, job: &crate::workflow::Job) -> bool {
        let permissions = job.permissions.as_ref().or(self.workflow.permissions.as_ref());
        permissions.is_some_and(|permissions| {
            permissions.text() == Some("write-all")
                || permissions.get("id-token").and_then(|right| right.text()) == Some("write")
        })
    }

    /// Whether the job of a delivery has a key or password for machines among its secrets, by which it logs in to one.
    pub fn holds_machine_key(&self, group: &[usize]) -> bool {
        const KEYS: &[&str] = &["SSH", "RSA", "ED25519", "PEM", "SSHPASS"];
        // Where `ssh` looks for its key, by its own programs.
        const HOLDERS: &[&str] =
            &["ssh-add", "sshpass", "/.ssh/", "ssh -i", "scp -i", "rsync -e \"ssh -i", "rsync -e 'ssh -i"];
        let of_jobs = || self.jobs_of(group);
        // A machine of the owner's own may have a key on its disk.
        if of_jobs().any(crate::workflow::Job::is_self_hosted) {
            return true;
        }
        // What is sent is not the key by which it is sent.
        let sent = named_secrets(&self.carried(group));
        let is_other = |name: &String| !sent.contains(name);
        let of_variables = of_jobs()
            .flat_map(|job| job.env.iter().chain(job.steps.iter().flat_map(|step| &step.env)))
            .filter(|entry| {
                entry.node.text().is_some_and(|text| crate::analysis::names_in(text).iter().any(is_other))
            })
            .map(|entry| format!("${}", entry.name))
            .collect::<BTreeSet<String>>();
        let texts = of_jobs().flat_map(|job| self.texts_of(job));
        texts.flat_map(str::lines).any(|line| {
            let names = crate::analysis::names_in(line);
            let held = HOLDERS.iter().any(|holder| line.contains(holder));
            let plain = line.replace('{', "");
            held && (names.iter().any(is_other)
                || of_variables.iter().any(|name| plain.contains(name.as_str())))
                || names.iter().filter(|name| is_other(name)).any(|name| {
                    services::of_secret(name).is_some_and(|service| service.name == "ssh")
                        || services::words(name).iter().any(|word| KEYS.contains(&word.as_str()))
                })
        })
    }

    /// Whether the jobs of a group may have a login to a machine of the owner's own: any secret beside those that are sent, an
    /// identity token, or a machine of the owner's own, which may hold a key.
    pub fn may_log_in(&self, group: &[usize], sent: &BTreeSet<String>) -> bool {
        let named = |text: &str| crate::analysis::names_in(text).iter().any(|name| !sent.contains(name));
        let everywhere = self.workflow.env.iter().filter_map(|entry| entry.node.text()).any(named);
        everywhere
            || self.jobs_of(group).any(|job| {
                job.is_self_hosted() || self.may_mint(job) || self.texts_of(job).into_iter().any(named)
            })
    }

    /// Whether a key of a cloud stands in the jobs of a group as it is.
    pub fn names_key_in_text(&self, group: &[usize]) -> bool {
        self.jobs_of(group).flat_map(|job| self.texts_of(job)).any(holds_key_of_aws)
    }

    /// The texts of a job in which secrets can be named: its variables, scripts and inputs.
    pub fn texts_of<'w>(&self, job: &'w crate::workflow::Job) -> Vec<&'w str> {
        let of_steps = job.steps.iter().flat_map(|step| {
            let entries = step.with.iter().chain(&step.env).filter_map(|entry| entry.node.text());
            step.run.as_ref().and_then(|run| run.text()).into_iter().chain(entries)
        });
        job.env.iter().filter_map(|entry| entry.node.text()).chain(of_steps).collect()
    }

    /// Whether all that is carried was written into files of settings on the way: what an application reads at run time.
    pub fn only_settings_files(&self, group: &[usize]) -> bool {
        let is_settings = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or(path);
            name.starts_with(".env")
                || name.ends_with(".env")
                || name == ".npmrc"
                || name.contains("config")
                || [".properties", ".tfvars", ".json", ".toml", ".ini"].iter().any(|end| name.ends_with(end))
        };
        let carried = self.carried(group);
        !carried.is_empty()
            && carried.iter().all(|one| {
                one.encodings.iter().all(|encoding| {
                    matches!(encoding, Encoding::Escaped | Encoding::Field | Encoding::Compressed)
                }) && one.trail.hops().iter().any(|hop| {
                    let path = hop.what.unescaped().strip_prefix("written to `");
                    path.is_some_and(|path| is_settings(path.trim_end_matches('`')))
                })
            })
    }

    fn single_purpose(&self, group: &[usize]) -> bool {
        let mut jobs =
            group.iter().filter_map(|at| self.trace.deliveries.get(*at)).map(|delivery| delivery.job);
        jobs.all(|job| self.trace.other_work.get(job) == Some(&0)) && !self.workflow.is_action
    }

    fn masquerades(&self) -> bool {
        const MASKS: &[&str] = &[
            "security",
            "audit",
            "lint",
            "codeql",
            "dependabot",
            "format",
            "health",
            "cache",
            "sanity",
            "check",
        ];
        let name = self.workflow.name.as_deref().unwrap_or("").to_ascii_lowercase();
        MASKS.iter().any(|mask| name.contains(mask))
    }
}

/// Whether the id of a key of AWS stands in a text (AWS IAM, "Unique identifiers": `AKIA` and `ASIA` begin those of keys, and
/// capitals and digits follow, at least twelve).
pub fn holds_key_of_aws(text: &str) -> bool {
    ["AKIA", "ASIA"].iter().flat_map(|start| text.split(start).skip(1)).any(|rest| {
        rest.bytes().take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()).count() >= 12
    })
}

/// Whether it was read from the file in which an action had left it as a login.
fn is_left_login(one: &Carried) -> bool {
    one.trail.hops().iter().any(|hop| hop.what.unescaped().starts_with(crate::flow::LEFT_LOGIN))
}

/// Whether the encodings get a secret past the mask: the runner masks plain, singly base64-encoded and escaped forms.
pub fn evades_mask(encodings: &[Encoding]) -> bool {
    let strong =
        encodings.iter().filter(|encoding| !matches!(encoding, Encoding::Escaped | Encoding::Field)).count();
    strong >= 2
        || encodings.iter().any(|encoding| {
            matches!(
                encoding,
                Encoding::OtherBase
                    | Encoding::Hex
                    | Encoding::Reversed
                    | Encoding::Spaced
                    | Encoding::Split
                    | Encoding::Substituted
            )
        })
}

/// Whether a secret with these encodings is readable in a log.
pub fn readable_in_log(carried: &Carried) -> bool {
    let unregistered = matches!(
        carried.source,
        Source::RunnerMemory | Source::CredentialFile(_) | Source::CloudMetadata | Source::MintedToken
    );
    let wrapped = carried
        .encodings
        .iter()
        .any(|encoding| matches!(encoding, Encoding::Base64Wrapped | Encoding::Field));
    let packed = carried.encodings.contains(&Encoding::Compressed);
    let readable = unregistered || wrapped || packed || evades_mask(&carried.encodings);
    readable && !carried.encodings.contains(&Encoding::Encrypted)
}

/// Names of the repository's own secrets among what is carried.
pub fn named_secrets(carried: &[&Carried]) -> BTreeSet<String> {
    carried
        .iter()
        .filter_map(|one| match &one.source {
            Source::Secret(name) => Some(name.clone()),
            _ => None,
        })
        .collect()
}

/// The services that named secrets open, without those whose secrets open something of the owner's own anywhere.
fn kinds(names: &BTreeSet<String>) -> Vec<&'static Service> {
    let mut kinds: Vec<&Service> = names.iter().filter_map(|name| services::of_secret(name)).collect();
    kinds.retain(|service| !service.anywhere);
    kinds.sort_by_key(|service| &service.name);
    kinds.dedup_by_key(|service| &service.name);
    kinds
}

/// Whether secrets do not belong to a place: a fact of greed.
///
/// A name that says what it opens (`PYPI_API_TOKEN`) does not belong to any other place. Names that say nothing
/// (`TOKEN`) are taken to belong anywhere. `service` is the one behind the place, if any; a product that people run
/// themselves belongs to `login_host`, the host that they are the login to.
pub fn unrelated(names: &BTreeSet<String>, service: Option<&str>, login_host: Option<&str>) -> bool {
    let strangers = kinds(names).into_iter().filter(|kind| {
        let own = kind.self_hosted && login_host.is_some();
        Some(kind.name.as_str()) != service && !own
    });
    strangers.count() >= if service.is_some() { 2 } else { 1 }
}

/// Whether secrets have nothing to do with each other.
pub fn unrelated_to_each_other(names: &BTreeSet<String>) -> bool {
    kinds(names).len() >= 2
}

/// Whether names say that they open nothing: addresses, accounts, identifiers that people keep among their secrets. What
/// an address with a password in it is called (`DATABASE_URL`, `WEBHOOK_URL`) says so too.
pub fn only_settings(names: &BTreeSet<String>) -> bool {
    const SETTINGS: &[&str] = &[
        "ID",
        "URL",
        "URI",
        "HOST",
        "HOSTNAME",
        "IP",
        "ADDRESS",
        "PORT",
        "USER",
        "USERNAME",
        "EMAIL",
        "REGION",
        "ENV",
        "ENVIRONMENT",
        "NAME",
        "DOMAIN",
        "ORIGINS",
        "ORG",
        "ORGANIZATION",
        "PROJECT",
        "ZONE",
        "BUCKET",
        "SERVER",
        "ENDPOINT",
        "TEAM",
        "CHANNEL",
        "REF",
        "UUID",
        "SLUG",
        "TABLE",
        "LOCATION",
        "ENVIRONMENTS",
    ];
    const OPENS: &[&str] = &[
        "KEY",
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "PASS",
        "PAT",
        "DATABASE",
        "DB",
        "REDIS",
        "MONGO",
        "MONGODB",
        "POSTGRES",
        "AMQP",
        "WEBHOOK",
        "HOOK",
        "CREDENTIALS",
        "PRIVATE",
        "CERT",
        "SLACK",
        "DISCORD",
    ];
    // For which of the owner's stages it is.
    const STAGES: &[&str] = &[
        "PROD",
        "PRODUCTION",
        "STAGING",
        "STAGE",
        "DEV",
        "DEVELOPMENT",
        "TEST",
        "QA",
        "UAT",
        "LIVE",
        "PREVIEW",
    ];
    // What a bundler puts into the pages that everybody loads (Vite, Next.js, Create React App, Gatsby, Nuxt, Expo).
    const PUBLISHED: &[&str] = &[
        "VITE_",
        "NEXT_PUBLIC_",
        "REACT_APP_",
        "GATSBY_",
        "NUXT_PUBLIC_",
        "EXPO_PUBLIC_",
        "VUE_APP_",
        "PUBLIC_",
    ];
    !names.is_empty()
        && names.iter().all(|name| {
            let upper = name.to_ascii_uppercase();
            if PUBLISHED.iter().any(|prefix| upper.starts_with(prefix)) {
                return true;
            }
            let words: Vec<&str> = upper.split(['_', '-']).collect();
            let mut from_last = words.iter().rev().skip_while(|word| STAGES.contains(word));
            from_last.next().is_some_and(|last| SETTINGS.contains(last))
                && !words.iter().any(|word| OPENS.contains(word))
        })
}

/// Whether a secret shares a word with the name of a host, or with the protocol it is spoken to in: `ARGO_TOKEN` at
/// `argo-dev.widgets.example`, `SMTP_PASSWORD` at `smtps://mail.widgets.example`. Looser than [`is_namesake`], and so it excuses
/// no more than a login.
pub fn resembles(name: &str, host: &str, scheme: &str) -> bool {
    let host = host.to_ascii_uppercase();
    let labels: Vec<&str> = host.split(['.', '-']).filter(|label| label.len() >= 4).collect();
    let upper = name.to_ascii_uppercase();
    upper.split(['_', '-']).filter(|word| word.len() >= 4 && !EVERYWHERE.contains(word)).any(|word| {
        scheme.to_ascii_uppercase().starts_with(word)
            || labels.iter().any(|label| label.starts_with(word) || word.starts_with(label))
    })
}

/// Words that every credential's or host's name may have.
const EVERYWHERE: &[&str] = &[
    "TOKEN", "SECRET", "PASSWORD", "PASS", "USER", "USERNAME", "AUTH", "ACCESS", "ACCOUNT", "HOST", "HTTP",
    "HTTPS", "EXAMPLE",
];

/// Whether a secret is named after the owner of a host: `DEVIN_API_KEY` at `api.devin.example`. Says nothing for
/// secrets of known services, which have hosts of their own; `PAT` and the like name no service but a kind of token.
pub fn is_namesake(name: &str, host: &str) -> bool {
    const KINDS_OF_TOKEN: &[&[&str]] = &[&["PAT"], &["PERSONAL", "ACCESS"], &["GIT", "TOKEN"]];
    let domain = crate::destination::registrable(host);
    let label = domain.split('.').next().unwrap_or("").to_ascii_uppercase().replace('-', "");
    let says_nothing = services::said_by(name).is_none_or(|(words, _)| KINDS_OF_TOKEN.contains(&words));
    let words = services::words(name);
    let named = words.contains(&label) || words.windows(2).any(|pair| pair.concat() == label);
    label.len() >= 4 && says_nothing && named && !EVERYWHERE.contains(&label.as_str())
}

/// Names that share no word but those that every credential has: nothing ties them together.
pub fn several_purposes(names: &BTreeSet<String>) -> bool {
    names.len() >= 3 && names.iter().map(|name| stem(name)).collect::<BTreeSet<_>>().len() >= 3
}

/// Whether all names belong to one login: the parts of their names that tell things apart are the same
/// (`DEPLOY_USER` and `DEPLOY_PASSWORD`).
pub fn one_login(names: &BTreeSet<String>) -> bool {
    let stems: BTreeSet<String> =
        names.iter().map(|name| stem(name)).filter(|stem| !stem.is_empty()).collect();
    !names.is_empty() && names.len() <= 4 && stems.len() <= 1
}

/// The first word of a name that other credentials do not have as well; empty where there is none.
pub fn stem(name: &str) -> String {
    const COMMON: &[&str] = &[
        "TOKEN", "KEY", "SECRET", "PASSWORD", "PASS", "API", "ID", "USER", "USERNAME", "URL", "HOST", "AUTH",
        "ACCESS",
    ];
    let upper = name.to_ascii_uppercase();
    upper.split('_').find(|word| !COMMON.contains(word)).unwrap_or("").to_owned()
}

/// Whether what secrets open is spoken to in this way: a key for `ssh` is no login by HTTP, and a product that people run
/// themselves stands at a host whose name tells so.
pub fn fits_login(names: &BTreeSet<String>, host: &str, scheme: &str) -> bool {
    names.iter().filter_map(|name| services::of_secret(name)).all(|service| match service.name.as_str() {
        "ssh" | "database" | "gpg" | "homebrew" | "maven" => {
            !scheme.is_empty() && !scheme.starts_with("http")
        }
        "smtp" => scheme.starts_with("smtp") || host.contains("mail") || host.contains("smtp"),
        "ftp" => scheme.contains("ftp") || host.contains("ftp"),
        _ if service.anywhere => true,
        kind => {
            // What people call the host of such a product where they don't call it by its name.
            const CALLED: &[(&str, &[&str])] = &[
                ("api", &["supabase", "hasura", "appwrite", "strapi"]),
                ("cms", &["strapi", "ghost"]),
                ("chat", &["mattermost", "rocketchat", "zulip"]),
                ("search", &["meilisearch", "typesense", "elastic"]),
                ("code", &["gitlab", "gitea", "sourcegraph"]),
                ("logs", &["splunk", "elastic", "grafana"]),
                ("metrics", &["grafana", "influxdb"]),
                ("registry", &["harbor", "nexus"]),
                ("secrets", &["infisical", "vault"]),
                ("translate", &["weblate"]),
                ("translations", &["weblate"]),
                ("i18n", &["weblate"]),
                ("l10n", &["weblate"]),
                ("sso", &["keycloak", "authentik", "zitadel"]),
                ("auth", &["keycloak", "authentik", "zitadel"]),
                ("login", &["keycloak", "authentik", "zitadel"]),
            ];
            let mut labels = host.split(['.', '-']).filter(|label| label.len() >= 3);
            let called = |label: &str| {
                kind.starts_with(label)
                    || CALLED.iter().any(|(name, kinds)| *name == label && kinds.contains(&kind))
            };
            service.self_hosted && (host.contains(kind) || labels.any(called))
        }
    })
}
