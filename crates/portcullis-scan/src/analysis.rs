//! One version of one workflow, from bytes to sightings. Nothing here can fail: what can't be analysed is searched
//! coarsely and says so.

mod coarse;
mod shown;
mod skeleton;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::destination::{self, Place};
use crate::flow::LocalFiles;
use crate::flow::job;
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
        let mut rest = coarse::search(&whole, failure, trace.unread);
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
