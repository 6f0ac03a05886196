//! A workflow that publishes to PyPI with a token, rewritten to Trusted Publishing, as edits that leave every other byte.
//!
//! What publishes is read from the trace, as the technique `long-lived-token` reads it, and not from names. A job that does
//! nothing but publish is changed where it stands; one that also builds is parted in two, since whoever can change what a
//! build runs (a dependency, a test) would otherwise have the job's identity. What can't be changed with certainty is
//! left alone, and said.

mod layout;
mod part;
mod pins;
mod publisher;
mod script;
mod uploading;
mod variables;

use std::sync::Arc;

use crate::edit::{Edit, apply};
use crate::flow::trace::Publishing;
use crate::flow::value::Source;
use crate::flow::{LocalFiles, job};
use crate::workflow::Workflow;
use crate::yaml::{self, Node};

use layout::Layout;
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
#[derive(Clone, Debug, Default)]
pub struct Rewritten {
    /// The new text; the old one where there is nothing to change.
    pub text: String,
    /// Identities to register, one for each job that publishes now.
    pub publishers: Vec<Publisher>,
    /// What was left alone and why, and what to look after by hand.
    pub notes: Vec<String>,
}

/// Rewrites one file. `None` if it isn't YAML, or isn't a workflow.
pub fn rewrite(path: &str, text: &str, local: &dyn LocalFiles, options: &Options) -> Option<Rewritten> {
    let mut rewritten = Rewritten { text: text.to_owned(), ..Rewritten::default() };
    for _ in 0..ROUNDS_MAX {
        let root = yaml::parse(&rewritten.text).ok()?;
        let workflow = Workflow::read(&root);
        let Some(found) = next(path, &rewritten.text, &workflow, local, &rewritten.notes) else { break };
        let before = left(path, &rewritten.text, local).unwrap_or_default();
        let layout = Layout::new(&rewritten.text);
        let subject = Subject { path, layout: &layout, root: &root, workflow: &workflow, options };
        match part::change(&subject, &found) {
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
                rewritten.text = changed;
                for publisher in change.publishers {
                    if !rewritten.publishers.contains(&publisher) {
                        rewritten.publishers.push(publisher);
                    }
                }
                rewritten.notes.extend(change.notes);
            }
            Err(why) => rewritten.notes.push(format!("{}: {why}", found.job)),
        }
    }
    Some(rewritten)
}

/// How often a text publishes with a token; `None` if it isn't YAML. A change that leaves as many was none.
fn left(path: &str, text: &str, local: &dyn LocalFiles) -> Option<usize> {
    let workflow = Workflow::read(&yaml::parse(text).ok()?);
    let trace = job::trace(&workflow, path, text, local);
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

/// A change of one job.
#[derive(Default)]
struct Change {
    edits: Vec<Edit>,
    publishers: Vec<Publisher>,
    notes: Vec<String>,
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

/// The first publishing with a token that no note speaks of yet.
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
    let trace = job::trace(workflow, path, text, local);
    trace.publishings.iter().find_map(|publishing| {
        let secrets = secrets_of(publishing);
        let known = matches!(publishing.registry.as_str(), "pypi" | "testpypi");
        let job = workflow.jobs.get(publishing.job)?;
        let refused = notes.iter().any(|note| note.starts_with(&format!("{}: ", job.id)));
        if !known || secrets.is_empty() || refused {
            return None;
        }
        let within = |step: &crate::workflow::Step| {
            publishing.file == 0
                && step.bytes.start <= publishing.bytes.start
                && publishing.bytes.start < step.bytes.end
        };
        Some(Found {
            job: job.id.clone(),
            at: (publishing.job, job.steps.iter().position(within).unwrap_or(usize::MAX)),
            registry: publishing.registry.clone(),
            directory: publishing.directory.clone(),
            secrets,
        })
    })
}
