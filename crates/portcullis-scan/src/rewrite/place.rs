//! Where an upload stands: its job and its step, and how the file around it is laid out.

use std::ops::Range;
use std::sync::Arc;

use super::layout::Layout;
use super::{Found, Subject};
use crate::workflow::{Job, Step};
use crate::yaml::{Content, Node};

/// An upload with its surroundings.
pub(super) struct Place<'p> {
    pub(super) subject: &'p Subject<'p>,
    pub(super) found: &'p Found,
    pub(super) job: &'p Job,
    pub(super) job_key: &'p Node,
    pub(super) job_node: &'p Arc<Node>,
    pub(super) step: &'p Step,
    pub(super) step_node: &'p Arc<Node>,
    /// The index of the step.
    pub(super) at: usize,
}

impl<'p> Place<'p> {
    /// Finds it in the file.
    ///
    /// # Errors
    /// Why nothing there can be changed.
    pub(super) fn find(subject: &'p Subject<'p>, found: &'p Found) -> Result<Self, String> {
        let (job_at, at) = found.at;
        let job = subject.workflow.jobs.get(job_at).ok_or("the job is gone")?;
        let step = job.steps.get(at).ok_or(
            "what publishes stands in another file (a script, a local action or a reusable workflow): move the upload into a step of this job first",
        )?;
        let jobs = subject.root.get("jobs").ok_or("no jobs")?;
        let (job_key, job_node) =
            subject.layout.entry(jobs, &job.id).ok_or("the job is merged in from elsewhere")?;
        if subject.layout.is_flow(job_node) {
            return Err("the job is written in one line: write it out first".to_owned());
        }
        if merges(subject.layout, jobs, job_key) {
            return Err("the job takes keys from elsewhere (`<<:`): write it out first".to_owned());
        }
        let step_node = node_of(job_node, step)
            .filter(|node| {
                let (start, end) = (job_node.bytes.range().start, subject.layout.content_end(job_node));
                node.bytes.range().start >= start
                    && node.bytes.range().end <= end.max(job_node.bytes.range().end)
            })
            .ok_or("the step is an alias of one elsewhere (YAML anchors): write it out first")?;
        Ok(Self { subject, found, job, job_key, job_node, step, step_node, at })
    }

    pub(super) fn layout(&self) -> &'p Layout<'p> {
        self.subject.layout
    }

    pub(super) fn newline(&self) -> &'static str {
        self.subject.layout.newline
    }

    /// Indentation of a job's id.
    pub(super) fn outer(&self) -> String {
        " ".repeat(self.layout().column(self.job_key.bytes.range().start))
    }

    /// Indentation of a job's keys.
    pub(super) fn keys(&self) -> String {
        let first = match &self.job_node.content {
            Content::Mapping(pairs) => pairs.first().map(|(key, _)| key.bytes.range().start),
            _ => None,
        };
        first.map_or_else(|| self.outer() + "  ", |at| " ".repeat(self.layout().column(at)))
    }

    /// One level of indentation, as the job has it.
    pub(super) fn unit(&self) -> String {
        let (outer, inner) = (self.outer().len(), self.keys().len());
        " ".repeat(inner.saturating_sub(outer).clamp(1, 8))
    }

    /// Indentation of the dash before a step.
    ///
    /// # Errors
    /// If the step does not begin its line.
    pub(super) fn dash(&self) -> Result<String, String> {
        let layout = self.layout();
        let start = self.first_line(self.step_node);
        let line = layout.text.get(start..).unwrap_or("");
        let indent = line.len() - line.trim_start_matches(' ').len();
        let begins = layout.text.get(start + indent..).is_some_and(|rest| rest.starts_with('-'));
        let before = self.step_node.bytes.range().start;
        let plain = layout.text.get(start + indent..before).unwrap_or("").trim_matches([' ', '-']).is_empty();
        if begins && (plain || layout.line_start(before) != start) {
            Ok(" ".repeat(indent))
        } else {
            Err("a step does not begin on a line of its own: write the steps out first".to_owned())
        }
    }

    /// The lines of a step, from its dash to its last key.
    pub(super) fn lines(&self, step: &Node) -> Range<usize> {
        let layout = self.layout();
        self.first_line(step)..layout.line_end(layout.content_end(step))
    }

    /// Where the line with a step's dash begins: that of its first key, or one before it with nothing but the dash.
    fn first_line(&self, step: &Node) -> usize {
        let layout = self.layout();
        let own = layout.line_start(step.bytes.range().start);
        let before_key = layout.text.get(own..step.bytes.range().start).unwrap_or("");
        if !before_key.trim().is_empty() {
            return own;
        }
        let mut at = own;
        while at > 0 {
            let previous = layout.line_start(at - 1);
            let line = layout.text.get(previous..at).unwrap_or("").trim();
            if line == "-" || line.starts_with("- #") {
                return previous;
            }
            if !line.is_empty() && !line.starts_with('#') {
                return own;
            }
            at = previous;
        }
        own
    }

    /// The steps with their nodes, in order.
    pub(super) fn steps(&self) -> Vec<(&'p Step, &'p Arc<Node>)> {
        self.job
            .steps
            .iter()
            .filter_map(|step| node_of(self.job_node, step).map(|node| (step, node)))
            .collect()
    }

    /// Where the `steps` key's line begins, and its indentation: new keys of the job go before it.
    pub(super) fn before_steps(&self) -> Result<(usize, String), String> {
        let layout = self.layout();
        let steps = layout.entry(self.job_node, "steps").ok_or("the job has no steps")?.0;
        let start = steps.bytes.range().start;
        Ok((layout.line_start(start), " ".repeat(layout.column(start))))
    }

    /// Whether the upload's script is PowerShell's, where a path has backslashes.
    pub(super) fn is_powershell(&self) -> bool {
        let shell = self.step.shell.as_deref().or(self.job.shell.as_deref());
        match shell {
            Some(shell) => shell.contains("pwsh") || shell.contains("powershell"),
            None => self.job.runs_on.iter().any(|label| label.to_ascii_lowercase().contains("windows")),
        }
    }

    /// Whether the job runs once for each of several values.
    pub(super) fn is_matrix(&self) -> bool {
        self.job_node.get("strategy").is_some_and(|strategy| strategy.get("matrix").is_some())
    }

    /// An id that no job has: `wanted`, else with a number.
    pub(super) fn new_id(&self, wanted: &str, also: &[String]) -> String {
        let taken = |id: &str| {
            self.subject.workflow.jobs.iter().any(|job| job.id.eq_ignore_ascii_case(id))
                || also.iter().any(|other| other == id)
        };
        if !taken(wanted) {
            return wanted.to_owned();
        }
        (2..).map(|number| format!("{wanted}-{number}")).find(|id| !taken(id)).unwrap_or_default()
    }
}

/// What an action step uses, in lower case; empty for others.
pub(super) fn uses(step: &Step) -> String {
    step.uses.as_ref().and_then(|uses| uses.text()).unwrap_or("").to_ascii_lowercase()
}

fn node_of<'n>(job: &'n Arc<Node>, step: &Step) -> Option<&'n Arc<Node>> {
    let Content::Sequence(items) = &job.get("steps")?.content else { return None };
    items.iter().find(|item| item.bytes == step.bytes)
}

/// Whether a job takes keys over with `<<:`.
fn merges(layout: &Layout<'_>, jobs: &Node, job: &Node) -> bool {
    let start = job.bytes.range().start;
    let Content::Mapping(pairs) = &jobs.content else { return false };
    let next = pairs.iter().map(|(key, _)| key.bytes.range().start).filter(|at| *at > start).min();
    let text = layout.text.get(start..next.unwrap_or(layout.text.len())).unwrap_or("");
    text.lines().any(|line| line.trim_start().trim_start_matches("- ").starts_with("<<:"))
}
