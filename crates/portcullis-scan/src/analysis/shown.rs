//! Sightings with everything that a report needs, free of the trace.

use std::collections::BTreeSet;

use super::{HOPS_MAX, PublishUse, Seen};
use crate::destination::{self, Place};
use crate::flow::trace::{Channel, Delivery, Observation, ObservationKind, Role, Trace};
use crate::flow::value::{Carried, Hop, HopKind, Source};
use crate::report::{Certainty, Class, Destination, FlowHop};
use crate::services;
use crate::silence::Comments;
use crate::span::{Bytes, LineIndex, Span};
use crate::technique::{Evidence, Sighting};
use crate::text::RepositoryText;

/// Whether a step runs for Dependabot alone, which gets secrets of its own and none of the repository's (GitHub, "Troubleshooting
/// Dependabot on GitHub Actions").
fn is_for_dependabot(job: &crate::workflow::Job, step: usize) -> bool {
    let of_step = job.steps.get(step).and_then(|step| step.condition.as_deref());
    job.condition.as_deref().into_iter().chain(of_step).any(|condition| {
        let plain: String = condition.chars().filter(|c| !c.is_whitespace()).collect();
        let asks = |actor: &str| plain.contains(&format!("{actor}=='dependabot[bot]'"));
        (asks("github.actor") || asks("github.triggering_actor")) && !plain.contains("||")
    })
}

/// A trace with the lines of its files.
pub(super) struct Shown<'t> {
    trace: &'t Trace,
    comments: &'t Comments,
    lines: Vec<LineIndex<'t>>,
}

impl<'t> Shown<'t> {
    pub(super) fn new(trace: &'t Trace, comments: &'t Comments) -> Self {
        Self { trace, comments, lines: trace.files.iter().map(|file| LineIndex::new(&file.text)).collect() }
    }

    fn span(&self, file: usize, bytes: Bytes) -> Span {
        self.lines.get(file).map(|lines| lines.span(bytes)).unwrap_or_default()
    }

    fn path(&self, file: usize) -> &str {
        self.trace.files.get(file).map_or("", |file| &file.path)
    }

    fn hop(&self, hop: &Hop) -> FlowHop {
        let name = match hop.kind {
            HopKind::Source => "source",
            HopKind::Carry => "carry",
            HopKind::Encode => "encode",
            HopKind::Sink => "sink",
        };
        FlowHop {
            hop: name.to_owned(),
            what: hop.what.clone(),
            path: RepositoryText::new(self.path(hop.file)),
            span: self.span(hop.file, hop.bytes),
        }
    }

    pub(super) fn seen(&self, rule: &'static str, sighting: Sighting, evidence: &Evidence<'_>) -> Seen {
        let mut seen = Seen {
            rule,
            signals: sighting.signals,
            secrets: Vec::new(),
            all_secrets: false,
            destinations: Vec::new(),
            pairs: BTreeSet::new(),
            span: Span::default(),
            flow: Vec::new(),
            environment: false,
            said: None,
        };
        let (mut first, mut file) = (true, None);
        for at in &sighting.deliveries {
            let Some((delivery, place)) = evidence.delivery(*at) else { continue };
            if first {
                // Where it leaves, in the workflow itself; a sink in a called script is where that is called from.
                seen.span = self.span(delivery.file, delivery.bytes);
                file = Some(delivery.file);
                first = false;
            }
            seen.environment |= evidence.workflow.jobs.get(delivery.job).is_some_and(|job| job.environment);
            let for_dependabot = evidence
                .workflow
                .jobs
                .get(delivery.job)
                .is_some_and(|job| is_for_dependabot(job, delivery.step));
            self.add(&mut seen, delivery, place, for_dependabot);
        }
        for at in &sighting.publishings {
            let Some(publishing) = self.trace.publishings.get(*at) else { continue };
            seen.span = self.span(publishing.file, publishing.bytes);
            file = Some(publishing.file);
            let key = format!("service:{}", publishing.registry);
            let name = Some(RepositoryText::new(publishing.registry.clone()));
            seen.destinations
                .push((key.clone(), Destination { host: None, url: None, class: Class::Service, name }));
            for carried in &publishing.carried {
                let name = carried.source.name();
                seen.pairs.insert((name.clone(), key.clone()));
                seen.secrets.push((name, Certainty::Certain));
                seen.flow.extend(carried.trail.hops().iter().map(|hop| self.hop(hop)));
            }
        }
        for at in &sighting.observations {
            let Some(observation) = self.trace.observations.get(*at) else { continue };
            if seen.span == Span::default() {
                seen.span = self.span(observation.file, observation.bytes);
                file = Some(observation.file);
            }
            if observation.kind == ObservationKind::RemoteCode {
                self.receives_all(&mut seen, observation);
            }
            seen.flow.push(FlowHop {
                hop: "sink".to_owned(),
                what: RepositoryText::new(observation.detail.template()),
                path: RepositoryText::new(self.path(observation.file)),
                span: self.span(observation.file, observation.bytes),
            });
        }
        seen.secrets.sort();
        seen.secrets.dedup_by(|a, b| a.0 == b.0);
        seen.flow.truncate(HOPS_MAX);
        // The first file is the workflow; what it calls has no say.
        seen.said = (file == Some(0)).then(|| self.comments.beside(rule, seen.span.start)).flatten();
        seen
    }

    /// Whoever's code runs on the runner can read its memory, where all secrets of the job stand.
    fn receives_all(&self, seen: &mut Seen, observation: &Observation) {
        let place = destination::of_address(&observation.detail);
        let Some(host) = place.host.clone() else { return };
        let destination = Destination {
            host: Some(RepositoryText::new(host)),
            url: place.url.clone(),
            class: place.class,
            name: None,
        };
        seen.all_secrets = true;
        seen.pairs.insert(("*".to_owned(), place.key()));
        seen.destinations.push((place.key(), destination));
    }

    fn add(&self, seen: &mut Seen, delivery: &Delivery, place: &Place, for_dependabot: bool) {
        let key = place.key();
        let (host, url) = match place.class {
            Class::Repository if place.host.is_none() => forge_address(delivery.channel, &place.name),
            _ => (place.host.clone(), place.url.clone()),
        };
        let destination = Destination {
            host: host.map(RepositoryText::new),
            url,
            class: place.class,
            name: place.host.is_none().then(|| RepositoryText::new(place.name.clone())),
        };
        let entry = (key.clone(), destination);
        if !seen.destinations.contains(&entry) && seen.destinations.len() < 64 {
            seen.destinations.push(entry);
        }
        for carried in &delivery.carried {
            if let Source::Environment = carried.source {
                if delivery.carried.len() == 1 {
                    seen.pairs.insert(("environment".to_owned(), key.clone()));
                }
            } else if let Source::AllSecrets | Source::RunnerMemory = carried.source {
                seen.all_secrets = true;
                seen.pairs.insert(("*".to_owned(), key.clone()));
            } else {
                let name = carried.source.name();
                seen.pairs.insert((name.clone(), key.clone()));
                // What an action's caller hands it is not known from the action alone.
                // Nor whether a file of credentials is there at all, nor a cloud that answers for the machine.
                // Nor which of the repository's secrets Dependabot has as well.
                let possible = name.starts_with("inputs.")
                    || matches!(carried.source, Source::CredentialFile(_) | Source::CloudMetadata)
                    || for_dependabot && matches!(carried.source, Source::Secret(_));
                let certainty = if possible { Certainty::Possible } else { Certainty::Certain };
                seen.secrets.push((name, certainty));
            }
            if seen.flow.len() < HOPS_MAX {
                for hop in carried.trail.hops() {
                    let hop = self.hop(&hop);
                    let known =
                        seen.flow.iter().any(|known| known.span == hop.span && known.what == hop.what);
                    if !known {
                        seen.flow.push(hop);
                    }
                }
            }
        }
        let what = format!("{} to {}", delivery.client, key);
        let span = self.span(delivery.file, delivery.bytes);
        let sink = FlowHop {
            hop: "sink".to_owned(),
            what: RepositoryText::new(what),
            path: RepositoryText::new(self.path(delivery.file)),
            span,
        };
        let known = seen
            .flow
            .iter()
            .any(|known| known.hop == "sink" && known.span == span && known.what == sink.what);
        if !known && seen.flow.len() < HOPS_MAX {
            seen.flow.push(sink);
        }
    }

    /// What secrets are used for: to publish a package, to log in to a known service, by an action that takes a credential of one
    /// service alone.
    pub(super) fn uses(&self, places: &[Place]) -> Vec<PublishUse> {
        let mut uses = self.publishings();
        for (delivery, place) in self.trace.deliveries.iter().zip(places) {
            let service = match delivery.channel {
                Channel::Network | Channel::Repository if delivery.role == Role::Authentication => {
                    place.service
                }
                Channel::Action => services::of_action(&place.name),
                _ => None,
            };
            let Some(service) = service else { continue };
            let line = |carried: &Carried| {
                carried.trail.hops().first().map_or(0, |hop| self.span(hop.file, hop.bytes).start.line)
            };
            for carried in &delivery.carried {
                // The address of a room or the name of an account is no credential.
                if let Source::Secret(secret) = &carried.source
                    && !crate::technique::only_settings(&BTreeSet::from([secret.clone()]))
                {
                    uses.push(PublishUse {
                        secret: secret.clone(),
                        registry: service.name.clone(),
                        path: self.path(delivery.file).to_owned(),
                        line: line(carried),
                        directory: None,
                    });
                }
            }
        }
        uses
    }

    fn publishings(&self) -> Vec<PublishUse> {
        let mut uses = Vec::new();
        for publishing in &self.trace.publishings {
            for carried in &publishing.carried {
                if let Source::Secret(secret) = &carried.source {
                    uses.push(PublishUse {
                        secret: secret.clone(),
                        registry: publishing.registry.clone(),
                        path: self.path(publishing.file).to_owned(),
                        // The line that names the secret says more than the one that publishes.
                        line: carried
                            .trail
                            .hops()
                            .first()
                            .map_or(0, |hop| self.span(hop.file, hop.bytes).start.line),
                        directory: publishing.directory.clone(),
                    });
                }
            }
        }
        uses
    }
}

/// Host and address of a repository, an action or an image, which workflows name without one. Docker Hub and GitHub are the
/// defaults of GitHub's runner.
fn forge_address(channel: Channel, name: &str) -> (Option<String>, Option<RepositoryText>) {
    let address = |host: &str, path: &str| {
        let path = path.trim_start_matches('/');
        let url = (!path.is_empty()).then(|| RepositoryText::new(format!("https://{host}/{path}")));
        (Some(host.to_owned()), url)
    };
    match channel {
        Channel::Image => match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) => address(host, path),
            _ => address("docker.io", name),
        },
        Channel::Action if name.starts_with("docker://") => {
            forge_address(Channel::Image, name.trim_start_matches("docker://"))
        }
        // A local action that isn't there, or a name that only the run knows: nothing can be said.
        _ if name.starts_with(['.', '$']) => (None, None),
        _ if name == "api.github.com" || name == "github.com" => address(name, ""),
        _ if name == "origin" => address("github.com", ""),
        _ => address("github.com", name.trim_start_matches("github.com/")),
    }
}
