//! One version of one workflow, from bytes to sightings. Nothing here can fail: what can't be analysed is searched
//! coarsely and says so.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sha2::Digest;

use crate::destination::{self, Place};
use crate::flow::LocalFiles;
use crate::flow::job;
use crate::flow::trace::{Channel, Delivery, Observation, ObservationKind, Role, Trace};
use crate::flow::value::{Carried, Hop, HopKind, Source};
use crate::report::{Certainty, Class, Destination, FlowHop};
use crate::services;
use crate::signal::Signal;
use crate::silence::{Comments, Said};
use crate::span::{Bytes, LineIndex, Span};
use crate::technique::{Evidence, Sighting};
use crate::text::RepositoryText;
use crate::workflow::{Trigger, Workflow};
use crate::yaml::{Content, Node};

/// Largest workflow that is parsed. GitHub refuses larger ones too.
pub const WORKFLOW_MAX: usize = 1024 * 1024;
/// Most hops shown of one finding.
const HOPS_MAX: usize = 64;
/// Deepest walk over a tree whose nodes may be shared.
const WALK_MAX: usize = 20_000;

/// The rule of what the coarse search finds.
pub const UNANALYSED: &str = "unanalysed-workflow";

/// What one version of a workflow shows.
#[derive(Debug, Default)]
pub struct Analysis {
    /// The events that start it.
    pub triggers: Vec<Trigger>,
    /// Whether it is an action, which starts with whatever uses it.
    pub is_action: bool,
    /// What the techniques saw.
    pub seen: Vec<Seen>,
    /// Credentials by which packages are published.
    pub uses: Vec<PublishUse>,
    /// Every `secrets.NAME` in its text.
    pub names: BTreeSet<String>,
    /// Names that stand in jobs with an `environment` alone: whether the repository itself has them is open.
    pub environment_names: BTreeSet<String>,
    /// Owners of the actions and workflows that it uses, in lower case.
    pub owners: BTreeSet<String>,
    /// `(host, secret)` pairs where a secret is a login.
    pub logins: BTreeSet<(String, String)>,
    /// Hash of the shape.
    pub skeleton: String,
    /// Why it could not be analysed as a whole.
    pub problem: Option<Failure>,
    /// Paths of the repository that it calls, there or not.
    pub called: Vec<String>,
}

/// Why a file could not be analysed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Stable identifier.
    pub kind: &'static str,
    /// For people; never the file's own text.
    pub what: String,
}

/// One sighting with everything that a report needs, free of the trace.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The technique.
    pub rule: &'static str,
    /// The facts so far; history adds to them.
    pub signals: BTreeSet<Signal>,
    /// Names of what leaves.
    pub secrets: Vec<(String, Certainty)>,
    /// Whether all secrets leave.
    pub all_secrets: bool,
    /// Where to, with the key of each.
    pub destinations: Vec<(String, Destination)>,
    /// Which secret at which destination.
    pub pairs: BTreeSet<(String, String)>,
    /// Where it leaves.
    pub span: Span,
    /// Hop by hop.
    pub flow: Vec<FlowHop>,
    /// Whether a job with an `environment` is concerned, whose secrets the repository does not share.
    pub environment: bool,
    /// What a comment beside it says.
    pub said: Option<Said>,
}

/// A credential that publishes packages.
#[derive(Clone, Debug)]
pub struct PublishUse {
    /// Name of the secret.
    pub secret: String,
    /// `pypi`, `npm`, …
    pub registry: String,
    /// In which file.
    pub path: String,
    /// In which line.
    pub line: u32,
    /// The working directory, where one is given.
    pub directory: Option<String>,
}

/// Analyses a file. A panic inside becomes a problem of this file alone.
pub fn analyse(path: &str, bytes: &[u8], local: &dyn LocalFiles, identity: Option<&str>) -> Analysis {
    let outcome = catch_unwind(AssertUnwindSafe(|| analyse_within(path, bytes, local, identity)));
    outcome.unwrap_or_else(|_| {
        coarse(
            bytes,
            Failure { kind: "internal-error", what: "the analysis of this file broke off".to_owned() },
        )
    })
}

fn analyse_within(path: &str, bytes: &[u8], local: &dyn LocalFiles, identity: Option<&str>) -> Analysis {
    if bytes.len() > WORKFLOW_MAX {
        let what = format!("{} bytes; a workflow may have {WORKFLOW_MAX}", bytes.len());
        return coarse(bytes, Failure { kind: "too-large", what });
    }
    let text = String::from_utf8_lossy(bytes);
    let root = match crate::yaml::parse(&text) {
        Ok(root) => root,
        Err(error @ crate::yaml::YamlError::Limit { .. }) => {
            return coarse(bytes, Failure { kind: "over-limit", what: error.to_string() });
        }
        Err(error) => {
            let failure = Failure { kind: "invalid-yaml", what: error.to_string() };
            return match crate::yaml::repair::indented(&text) {
                Some((mended, root)) => {
                    refused(analyse_tree(path, bytes, &mended, &root, local, identity), failure)
                }
                None => coarse(bytes, failure),
            };
        }
    };
    analyse_tree(path, bytes, &text, &root, local, identity)
}

/// What a file was meant to do that GitHub would refuse to run.
fn refused(mut analysis: Analysis, failure: Failure) -> Analysis {
    for seen in &mut analysis.seen {
        seen.signals.insert(Signal::CouldNotRun);
    }
    let what =
        format!("{}; GitHub would refuse it, and it was searched with its scripts indented", failure.what);
    analysis.problem = Some(Failure { what, ..failure });
    analysis
}

fn analyse_tree(
    path: &str,
    bytes: &[u8],
    text: &str,
    root: &std::sync::Arc<Node>,
    local: &dyn LocalFiles,
    identity: Option<&str>,
) -> Analysis {
    let workflow = Workflow::read(root);
    let trace = job::trace(&workflow, path, text, local);
    let places: Vec<Place> = trace.deliveries.iter().map(destination::place).collect();
    let evidence = Evidence { path, workflow: &workflow, trace: &trace, places: &places, identity };
    let mut analysis = Analysis {
        triggers: workflow.triggers.clone(),
        is_action: workflow.is_action,
        names: names_in(text),
        environment_names: environment_names(&workflow, text),
        owners: owners(&workflow),
        skeleton: skeleton(root),
        called: trace.asked.iter().cloned().collect(),
        ..Analysis::default()
    };
    if std::str::from_utf8(bytes).is_err() {
        analysis.problem = Some(Failure {
            kind: "invalid-utf8",
            what: "not UTF-8; analysed with the broken bytes replaced".to_owned(),
        });
    }
    let could_not_run = !workflow.is_action && crate::workflow::refusal::refusal(root).is_some();
    let repeats = crate::workflow::refusal::repeats_a_key(root);
    let shown = Shown::new(&trace, Comments::read(text, root));
    for technique in crate::techniques::ALL {
        for sighting in technique.look(&evidence) {
            analysis.seen.push(shown.seen(technique.id(), sighting, &evidence));
        }
    }
    analysis.uses = shown.uses(&places);
    for (delivery, place) in trace.deliveries.iter().zip(&places) {
        if delivery.role == crate::flow::trace::Role::Authentication
            && let Some(host) = &place.host
        {
            for carried in &delivery.carried {
                analysis.logins.insert((host.clone(), carried.source.name()));
            }
        }
    }
    let failure = match trace.incomplete {
        Some(why) => Some(Failure { kind: "over-limit", what: format!("{why}: only a part was followed") }),
        None if repeats => {
            let what = "not valid YAML: a key is given twice; only the first of the two was followed";
            Some(Failure { kind: "invalid-yaml", what: what.to_owned() })
        }
        None => None,
    };
    if let Some(failure) = failure {
        let mut whole = bytes.to_vec();
        for called in trace.files.iter().skip(1) {
            whole.push(b'\n');
            whole.extend_from_slice(called.text.as_bytes());
        }
        let mut rest = coarse(&whole, failure);
        analysis.problem = analysis.problem.or(rest.problem.take());
        analysis.seen.append(&mut rest.seen);
    }
    if could_not_run || repeats {
        for seen in &mut analysis.seen {
            seen.signals.insert(Signal::CouldNotRun);
        }
    }
    analysis
}

/// The linear search that stands in for an analysis: does the text name secrets, and can it send?
pub fn coarse(bytes: &[u8], failure: Failure) -> Analysis {
    let text = String::from_utf8_lossy(bytes);
    let names = names_in(&text);
    let lower = text.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let source = !names.is_empty()
        || any(&[
            "secrets.",
            "secrets[",
            "tojson(secrets",
            "secrets: inherit",
            "printenv",
            "/environ",
            "os.environ",
            "process.env",
            "github.token",
        ]);
    let sink = any(&[
        "curl",
        "wget",
        "nc ",
        "ncat",
        "/dev/tcp",
        "invoke-webrequest",
        "invoke-restmethod",
        "requests.",
        "urllib",
        "fetch(",
        "http://",
        "https://",
        "base64",
        "upload-artifact",
        "nslookup",
        "dig ",
        "gh gist",
        "git push",
        "xxd",
        "openssl",
    ]);
    let mut signals = BTreeSet::from([Signal::Unanalysed]);
    if source && sink {
        signals.insert(Signal::Encoded);
    }
    let lines = LineIndex::new(&text);
    let at = lower.find("secrets").unwrap_or(0);
    let span = lines.span(Bytes::new(at..at));
    let secrets = if source && sink {
        names.iter().map(|name| (name.clone(), Certainty::Possible)).collect()
    } else {
        Vec::new()
    };
    let seen = Seen {
        rule: UNANALYSED,
        signals,
        secrets,
        all_secrets: false,
        destinations: Vec::new(),
        pairs: BTreeSet::new(),
        span,
        flow: Vec::new(),
        environment: false,
        said: None,
    };
    let mut hash = sha2::Sha256::new();
    hash.update(b"unanalysed");
    Analysis {
        seen: vec![seen],
        names,
        skeleton: hex::encode(hash.finalize()).chars().take(16).collect(),
        problem: Some(failure),
        ..Analysis::default()
    }
}

/// Names after `secrets.` or in `secrets['…']`, anywhere in a text.
pub fn names_in(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, found) in text.match_indices("secrets") {
        let rest = text.get(at + found.len()..).unwrap_or("");
        let name = if let Some(rest) = rest.strip_prefix('.') {
            rest
        } else if let Some(rest) = rest.strip_prefix("['").or_else(|| rest.strip_prefix("[\"")) {
            rest
        } else {
            continue;
        };
        let name: String =
            name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').take(256).collect();
        if !name.is_empty() && !name.eq_ignore_ascii_case("GITHUB_TOKEN") {
            names.insert(name);
        }
    }
    names
}

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

/// Names that a workflow uses in jobs with an `environment` and nowhere else. Such a secret may be the environment's own, which
/// other jobs do not get (GitHub, "Secrets", on those of an environment).
fn environment_names(workflow: &Workflow, text: &str) -> BTreeSet<String> {
    let part = |bytes: &Bytes| text.get(bytes.start as usize..bytes.end as usize).unwrap_or("");
    if workflow.jobs.iter().all(|job| !job.environment) {
        return BTreeSet::new();
    }
    let mut inside = BTreeSet::new();
    let mut outside = text.to_owned();
    for job in workflow.jobs.iter().filter(|job| job.environment) {
        let job = part(&job.bytes);
        inside.extend(names_in(job));
        if !job.is_empty() {
            outside = outside.replacen(job, "", 1);
        }
    }
    let outside = names_in(&outside);
    inside.retain(|name| !outside.contains(name));
    inside
}

/// Owners of what a workflow uses from elsewhere.
fn owners(workflow: &Workflow) -> BTreeSet<String> {
    let steps = workflow.jobs.iter().flat_map(|job| job.steps.iter().filter_map(|step| step.uses.as_deref()));
    let called = workflow.jobs.iter().filter_map(|job| job.uses.as_deref());
    steps
        .chain(called)
        .filter_map(Node::text)
        .filter_map(|uses| uses.split_once('/'))
        .map(|(owner, _)| owner.trim().to_ascii_lowercase())
        .filter(|owner| !owner.is_empty() && !owner.starts_with('.') && !owner.contains(':'))
        .collect()
}

struct Shown<'t> {
    trace: &'t Trace,
    comments: Comments,
    lines: Vec<LineIndex<'t>>,
}

impl<'t> Shown<'t> {
    fn new(trace: &'t Trace, comments: Comments) -> Self {
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

    fn seen(&self, rule: &'static str, sighting: Sighting, evidence: &Evidence<'_>) -> Seen {
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
                // Nor whether a file of credentials is there at all.
                // Nor which of the repository's secrets Dependabot has as well.
                let possible = name.starts_with("inputs.")
                    || matches!(carried.source, Source::CredentialFile(_))
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
    fn uses(&self, places: &[Place]) -> Vec<PublishUse> {
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

/// A hash of the workflow's shape: keys stay, names of secrets, hosts and other literals go, so that the waves of one
/// campaign have the same over repositories and hosts. A signal and a search key, never a verdict.
fn skeleton(root: &std::sync::Arc<Node>) -> String {
    let mut shape = String::new();
    let mut left = WALK_MAX;
    walk(root, 0, &mut left, &mut shape);
    let digest = sha2::Sha256::digest(shape.as_bytes());
    hex::encode(digest).chars().take(16).collect()
}

fn walk(node: &Node, depth: usize, left: &mut usize, shape: &mut String) {
    *left = left.saturating_sub(1);
    if *left == 0 || depth > crate::yaml::DEPTH_MAX {
        return;
    }
    match &node.content {
        Content::Mapping(pairs) => {
            for (key, value) in pairs {
                let name = key.text().unwrap_or("?");
                // Names of jobs and variables are the author's; keys of the schema say what it does.
                const SCHEMA: &[&str] = &[
                    "on",
                    "push",
                    "jobs",
                    "steps",
                    "run",
                    "uses",
                    "with",
                    "env",
                    "runs-on",
                    "if",
                    "shell",
                    "secrets",
                    "permissions",
                    "pull_request",
                    "pull_request_target",
                    "workflow_dispatch",
                    "schedule",
                    "needs",
                    "outputs",
                    "strategy",
                    "matrix",
                    "branches",
                ];
                shape.push_str(if SCHEMA.contains(&name) { name } else { "k" });
                shape.push('{');
                if name != "name" {
                    walk(value, depth + 1, left, shape);
                }
                shape.push('}');
            }
        }
        Content::Sequence(items) => {
            for item in items {
                shape.push('[');
                walk(item, depth + 1, left, shape);
                shape.push(']');
            }
        }
        Content::Scalar(scalar) => normalise(&scalar.text, shape),
    }
}

/// Words of commands stay; repetitions of `NAME=secret` become one.
fn normalise(text: &str, shape: &mut String) {
    let mut last = String::new();
    for piece in crate::workflow::expression::pieces(text) {
        match piece {
            crate::workflow::expression::Piece::Expression(_, _) => {
                if last != "$" {
                    shape.push('$');
                    last = "$".to_owned();
                }
            }
            crate::workflow::expression::Piece::Text(range) => {
                for word in text.get(range).unwrap_or("").split_whitespace() {
                    let plain = word.len() <= 12
                        && word.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '-' | '|' | '>' | '<'));
                    if plain {
                        shape.push_str(word);
                        shape.push(' ');
                        last = word.to_owned();
                    } else if last != "$" {
                        shape.push('w');
                        last = "$".to_owned();
                    }
                }
            }
        }
    }
}
