//! One version of one workflow, from bytes to sightings. Nothing here can fail: what can't be analysed is searched
//! coarsely and says so.

mod coarse;
mod shown;
mod skeleton;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::destination::{self, Place};
use crate::flow::LocalFiles;
use crate::flow::job;
use crate::flow::trace::{Role, Trace};
use crate::report::{Certainty, Destination, FlowHop};
use crate::signal::Signal;
use crate::silence::{Comments, Said};
use crate::span::{Bytes, Span};
use crate::technique::Evidence;
use crate::workflow::{Trigger, Workflow};
use crate::yaml::Node;
pub use coarse::{coarse, names_in};
use shown::Shown;
use skeleton::skeleton;

/// Largest workflow that is parsed. GitHub refuses larger ones too.
pub const WORKFLOW_MAX: usize = 1024 * 1024;
/// Most hops shown of one finding.
const HOPS_MAX: usize = 64;

/// The rule of what the coarse search finds.
pub const UNANALYSED: &str = "unanalysed-workflow";

/// What one version of a workflow shows.
#[derive(Clone, Debug, Default)]
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
    File::read(bytes).analyse(path, local, identity)
}

/// A file that was read, to be analysed once for each combination with what it calls.
pub struct File<'b> {
    bytes: &'b [u8],
    read: Result<Parsed, Failure>,
}

/// What its text alone tells.
struct Parsed {
    text: Arc<str>,
    workflow: Workflow,
    comments: Comments,
    /// What an analysis has of it before anything is followed.
    outline: Analysis,
    /// Why GitHub would refuse it, where its scripts had to be indented to read it at all.
    refused: Option<Failure>,
    could_not_run: bool,
    /// Whether a key is given twice.
    repeats: bool,
}

impl<'b> File<'b> {
    /// Reads a file; what can't be read is searched coarsely when it is analysed.
    pub fn read(bytes: &'b [u8]) -> Self {
        let read = catch_unwind(|| Parsed::of(bytes)).unwrap_or_else(|_| Err(broke_off()));
        Self { bytes, read }
    }

    /// Analyses it beside the files that it calls. A panic inside becomes a problem of this file alone.
    pub fn analyse(&self, path: &str, local: &dyn LocalFiles, identity: Option<&str>) -> Analysis {
        let parsed = match &self.read {
            Ok(parsed) => parsed,
            Err(failure) => return coarse(self.bytes, failure.clone()),
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| parsed.analyse(path, self.bytes, local, identity)));
        outcome.unwrap_or_else(|_| coarse(self.bytes, broke_off()))
    }
}

fn broke_off() -> Failure {
    Failure { kind: "internal-error", what: "the analysis of this file broke off".to_owned() }
}

impl Parsed {
    fn of(bytes: &[u8]) -> Result<Self, Failure> {
        if bytes.len() > WORKFLOW_MAX {
            let what = format!("{} bytes; a workflow may have {WORKFLOW_MAX}", bytes.len());
            return Err(Failure { kind: "too-large", what });
        }
        let text = crate::text::lossy(bytes);
        match crate::yaml::parse(&text) {
            Ok(root) => Ok(Self::new(bytes, &text, &root, None)),
            Err(error @ crate::yaml::YamlError::Limit { .. }) => {
                Err(Failure { kind: "over-limit", what: error.to_string() })
            }
            Err(error) => {
                let failure = Failure { kind: "invalid-yaml", what: error.to_string() };
                match crate::yaml::repair::indented(&text) {
                    Some((mended, root)) => Ok(Self::new(bytes, &mended, &root, Some(failure))),
                    None => Err(failure),
                }
            }
        }
    }

    fn new(bytes: &[u8], text: &str, root: &Arc<Node>, refused: Option<Failure>) -> Self {
        let workflow = Workflow::read(root);
        let mut outline = Analysis {
            triggers: workflow.triggers.clone(),
            is_action: workflow.is_action,
            names: names_in(text),
            environment_names: environment_names(&workflow, text),
            owners: owners(&workflow),
            skeleton: skeleton(root),
            ..Analysis::default()
        };
        if std::str::from_utf8(bytes).is_err() {
            outline.problem = Some(Failure {
                kind: "invalid-utf8",
                what: "not UTF-8; analysed with the broken bytes replaced".to_owned(),
            });
        }
        Self {
            text: text.into(),
            comments: Comments::read(text, root),
            could_not_run: !workflow.is_action && crate::workflow::refusal::refusal(root).is_some(),
            repeats: crate::workflow::refusal::repeats_a_key(root),
            workflow,
            outline,
            refused,
        }
    }

    fn analyse(&self, path: &str, bytes: &[u8], local: &dyn LocalFiles, identity: Option<&str>) -> Analysis {
        let workflow = &self.workflow;
        let trace = job::trace(workflow, path, &self.text, local);
        let places: Vec<Place> = trace.deliveries.iter().map(destination::place).collect();
        let evidence = Evidence { path, workflow, trace: &trace, places: &places, identity };
        let called = trace.asked.iter().cloned().collect();
        let mut analysis = Analysis { called, ..self.outline.clone() };
        let shown = Shown::new(&trace, &self.comments);
        for technique in crate::techniques::ALL {
            for sighting in technique.look(&evidence) {
                analysis.seen.push(shown.seen(technique.id(), sighting, &evidence));
            }
        }
        analysis.uses = shown.uses(&places);
        analysis.logins = logins(&trace, &places);
        if let Some(failure) = self.left_out(&trace) {
            let mut whole = bytes.to_vec();
            for called in trace.files.iter().skip(1) {
                whole.push(b'\n');
                whole.extend_from_slice(called.text.as_bytes());
            }
            let mut rest = coarse::search(&whole, failure, trace.unread);
            analysis.problem = analysis.problem.or(rest.problem.take());
            analysis.seen.append(&mut rest.seen);
        }
        if self.could_not_run || self.repeats || self.refused.is_some() {
            for seen in &mut analysis.seen {
                seen.signals.insert(Signal::CouldNotRun);
            }
        }
        if let Some(failure) = &self.refused {
            let what = format!(
                "{}; GitHub would refuse it, and it was searched with its scripts indented",
                failure.what
            );
            analysis.problem = Some(Failure { what, ..failure.clone() });
        }
        analysis
    }

    /// Why only a part was followed.
    fn left_out(&self, trace: &Trace) -> Option<Failure> {
        match trace.incomplete {
            Some(why) => {
                Some(Failure { kind: "over-limit", what: format!("{why}: only a part was followed") })
            }
            None if self.repeats => {
                let what = "not valid YAML: a key is given twice; only the first of the two was followed";
                Some(Failure { kind: "invalid-yaml", what: what.to_owned() })
            }
            None => None,
        }
    }
}

/// Hosts at which a secret is a login.
fn logins(trace: &Trace, places: &[Place]) -> BTreeSet<(String, String)> {
    let mut logins = BTreeSet::new();
    for (delivery, place) in trace.deliveries.iter().zip(places) {
        if delivery.role == Role::Authentication
            && let Some(host) = &place.host
        {
            for carried in &delivery.carried {
                logins.insert((host.clone(), carried.source.name()));
            }
        }
    }
    logins
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
