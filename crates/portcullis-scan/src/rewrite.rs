//! A workflow that publishes to PyPI with a token, rewritten to Trusted Publishing, as edits that leave every other byte.
//!
//! What publishes is read from the trace, as the technique `long-lived-token` reads it, and not from names. A job that does
//! nothing but publish is changed where it stands; one that also builds is parted in two, since whoever can change what a
//! build runs (a dependency, a test) would otherwise have the job's identity. What can't be changed with certainty is
//! left alone, and said.

mod action;
mod after;
mod artifacts;
mod callers;
mod carry;
mod chain;
mod condition;
mod credentials;
mod elsewhere;
mod environments;
mod files;
mod in_place;
mod layout;
mod moving;
mod parted;
mod permissions;
mod pins;
mod place;
mod publisher;
mod script;
mod tools;
mod uploading;
mod variables;
mod workspace;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::edit::{Changes, Edit, apply};
use crate::flow::trace::Publishing;
use crate::flow::value::Source;
use crate::flow::{LocalFiles, job};
use crate::workflow::Workflow;
use crate::yaml::{self, Node};

pub use callers::rewrite_all;
use layout::Layout;
use place::Place;
pub use publisher::Publisher;

/// Most rounds over one file; each changes one job.
const ROUNDS_MAX: usize = 32;

/// What to write.
#[derive(Clone, Debug)]
pub struct Options {
    /// `environment:` of a job that has none yet.
    pub environment: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { environment: "pypi".to_owned() }
    }
}

/// A rewritten workflow.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// The new text; the old one where there is nothing to change.
    pub text: String,
    /// Identities to register, one for each job that publishes now.
    pub publishers: Vec<Publisher>,
    /// What was left alone and why, and what to look after by hand.
    pub notes: Vec<String>,
    /// Bytes of the original text.
    length: usize,
    changes: Changes,
}

impl Rewritten {
    /// A text without changes.
    fn of(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            publishers: Vec::new(),
            notes: Vec::new(),
            length: text.len(),
            changes: Changes::none(text.len()),
        }
    }

    /// The change as edits of the original text, in its order; what lies outside of them is as it was.
    pub fn edits(&self) -> Vec<Edit> {
        self.changes.edits(self.length)
    }

    /// Makes edits of the text as it is now.
    fn take(&mut self, changed: String, edits: &[Edit]) {
        self.changes.then(edits);
        self.text = changed;
    }
}

/// Rewrites one file. `None` if it isn't YAML, or isn't a workflow.
pub fn rewrite(path: &str, text: &str, local: &dyn LocalFiles, options: &Options) -> Option<Rewritten> {
    let mut rewritten = Rewritten::of(text);
    // The first of the jobs that came out of each job, so that what is published earlier goes before it.
    let mut heads: BTreeMap<String, String> = BTreeMap::new();
    for _ in 0..ROUNDS_MAX {
        let root = yaml::parse(&rewritten.text).ok()?;
        let workflow = Workflow::read(&root);
        let Some(mut found) = next(path, &rewritten.text, &workflow, local, &rewritten.notes) else { break };
        found.head = heads.get(&found.job).cloned();
        let before = left(path, &rewritten.text, local).unwrap_or_default();
        let layout = Layout::new(&rewritten.text);
        let subject = Subject { path, layout: &layout, root: &root, workflow: &workflow, options };
        match change(&subject, &found) {
            Ok(change) => {
                let changed = apply(&rewritten.text, &change.edits)
                    .filter(|changed| left(path, changed, local).is_some_and(|after| after < before));
                let Some(changed) = changed else {
                    rewritten.notes.push(format!(
                        "{}: its lines are laid out in a way that can't be changed safely",
                        found.job
                    ));
                    continue;
                };
                rewritten.take(changed, &change.edits);
                for publisher in change.publishers {
                    if !rewritten.publishers.contains(&publisher) {
                        rewritten.publishers.push(publisher);
                    }
                }
                for note in change.notes {
                    if !rewritten.notes.contains(&note) {
                        rewritten.notes.push(note);
                    }
                }
                heads.extend(change.head.map(|head| (found.job.clone(), head)));
            }
            Err(why) => rewritten.notes.push(format!("{}: {why}", found.job)),
        }
    }
    // Jobs are put behind the one they came out of, the last upload's first; people register them as they publish.
    rewritten.publishers.reverse();
    rewritten.notes.extend(elsewhere::uploads(&rewritten.text));
    Some(rewritten)
}

/// The edits that make one publishing a trusted one.
fn change(subject: &Subject<'_>, found: &Found) -> Result<Change, String> {
    let place = Place::find(subject, found)?;
    if action::is_it(place.step) {
        return if in_place::fits(&place) {
            in_place::change(&place, None)
        } else {
            parted::change(&place, None)
        };
    }
    let script = uploading::read(&place)
        .ok_or("another action publishes: replace it by pypa/gh-action-pypi-publish first")??;
    match in_place::by_command(&place, &script) {
        Some(edits) => in_place::change(&place, Some(edits)),
        None => parted::change(&place, Some(&script)),
    }
}

/// How often a text publishes with a token; `None` if it isn't YAML. A change that leaves as many was none.
fn left(path: &str, text: &str, local: &dyn LocalFiles) -> Option<usize> {
    let workflow = Workflow::read(&yaml::parse(text).ok()?);
    let trace = job::trace(&workflow, path, &text.into(), local);
    Some(trace.publishings.iter().filter(|publishing| !secrets_of(publishing).is_empty()).count())
}

/// The file that is being changed.
struct Subject<'s> {
    path: &'s str,
    layout: &'s Layout<'s>,
    root: &'s Arc<Node>,
    workflow: &'s Workflow,
    options: &'s Options,
}

impl Subject<'_> {
    /// Whether other workflows call it.
    fn is_called(&self) -> bool {
        self.workflow.triggers.iter().any(|trigger| trigger.event == "workflow_call")
    }
}

/// A change of one job.
#[derive(Default)]
struct Change {
    edits: Vec<Edit>,
    publishers: Vec<Publisher>,
    notes: Vec<String>,
    /// The first of the jobs that are new.
    head: Option<String>,
}

/// Something that publishes with a token.
struct Found {
    /// Id of the job.
    job: String,
    /// Index of the job and of the step in it.
    at: (usize, usize),
    /// `pypi` or `testpypi`.
    registry: String,
    /// The directory that the package lies in, where one is given.
    directory: Option<String>,
    /// Names of the secrets that are used for it.
    secrets: Vec<String>,
    /// How many others the job publishes to any registry, and the workflow.
    others_of_job: usize,
    others_of_workflow: usize,
    /// The first of the jobs that came out of this one before.
    head: Option<String>,
}

fn secrets_of(publishing: &Publishing) -> Vec<String> {
    publishing
        .carried
        .iter()
        .filter_map(|carried| match &carried.source {
            Source::Secret(name) => Some(name.clone()),
            _ => None,
        })
        .collect()
}

/// A publishing with a token that no note speaks of yet: of the first such job the last, so that what follows an upload is
/// known when the upload is changed.
fn next(
    path: &str,
    text: &str,
    workflow: &Workflow,
    local: &dyn LocalFiles,
    notes: &[String],
) -> Option<Found> {
    if workflow.is_action {
        return None;
    }
    let trace = job::trace(workflow, path, &text.into(), local);
    let candidates = trace.publishings.iter().filter(|publishing| {
        let known = matches!(publishing.registry.as_str(), "pypi" | "testpypi");
        let id = workflow.jobs.get(publishing.job).map(|job| format!("{}: ", job.id));
        known
            && !secrets_of(publishing).is_empty()
            && id.is_some_and(|id| !notes.iter().any(|note| note.starts_with(&id)))
    });
    let first = candidates.clone().map(|publishing| publishing.job).min()?;
    let job = workflow.jobs.get(first)?;
    let step_of = |publishing: &Publishing| {
        let within = |step: &crate::workflow::Step| {
            publishing.file == 0
                && step.bytes.start <= publishing.bytes.start
                && publishing.bytes.start < step.bytes.end
        };
        job.steps.iter().position(within).unwrap_or(usize::MAX)
    };
    let of_job = candidates.filter(|publishing| publishing.job == first);
    let publishing = of_job.max_by_key(|publishing| step_of(publishing))?;
    let step = step_of(publishing);
    let others = trace
        .publishings
        .iter()
        .filter(|other| !secrets_of(other).is_empty() && (other.job != first || step_of(other) != step));
    Some(Found {
        job: job.id.clone(),
        at: (first, step),
        registry: publishing.registry.clone(),
        directory: publishing.directory.clone(),
        secrets: secrets_of(publishing),
        others_of_job: others.clone().filter(|other| other.job == first).count(),
        others_of_workflow: others.count(),
        head: None,
    })
}

/// What to look after by hand.
fn notes(place: &Place<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if place.subject.is_called() {
        notes.push(
            "the workflow is called by others: they must lie in this repository, and their jobs that call it need `permissions: id-token: write`; PyPI takes no attestations from a called workflow, so they are off".to_owned(),
        );
    }
    for secret in &place.found.secrets {
        notes.push(format!("revoke the token in the secret `{secret}` once the first release went through, and delete the secret"));
    }
    notes
}
