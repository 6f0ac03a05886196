//! Doors that a job leaves open by how it is set up, whatever its steps send: who starts it, where it runs, what it takes in.

use super::Tracer;
use super::trace::ObservationKind;
use super::value::Value;
use crate::span::Bytes;
use crate::workflow::{Job, Step, Workflow};
use crate::yaml::{Content, Node};

/// Events that people without write access cause.
const OUTSIDERS: &[&str] = &[
    "issues",
    "issue_comment",
    "discussion",
    "discussion_comment",
    "pull_request_target",
    "pull_request_review",
    "pull_request_review_comment",
];

/// Programs that read what stands in an issue or a change and act on it by themselves.
const AGENTS: &[&str] = &[
    "anthropics/claude-code-action",
    "anthropics/claude-code-base-action",
    "google-github-actions/run-gemini-cli",
    "google-gemini/gemini-cli-action",
    "openai/codex-action",
    "sst/opencode/github",
];

/// Words in a condition or a script that tell who it was that asked.
const ASKS_WHO: &[&str] = &[
    "author_association",
    "github.actor",
    "triggering_actor",
    "sender.login",
    "user.login",
    "permission",
    "collaborators",
];

/// Actions that restore a cache, and the input by which a setup action does; empty where it always does.
const CACHES: &[(&str, &str)] = &[
    ("actions/cache", ""),
    ("actions/cache/restore", ""),
    ("swatinem/rust-cache", ""),
    ("actions/setup-node", "cache"),
    ("actions/setup-python", "cache"),
    ("actions/setup-java", "cache"),
    ("astral-sh/setup-uv", "enable-cache"),
];

/// Notes the doors of one job, which has been followed already.
pub(super) fn note(tracer: &mut Tracer<'_>, workflow: &Workflow, job: &Job, file: usize) {
    let started_by = |events: &[&str]| {
        workflow.triggers.iter().find(|trigger| events.contains(&trigger.event.as_str())).map(|t| &t.event)
    };
    let mut see = |kind, what: &str, bytes: Bytes| tracer.observe(kind, Value::text(what), file, bytes);
    if job.runs_on.iter().any(|label| label.eq_ignore_ascii_case("self-hosted"))
        && let Some(event) = started_by(&[OUTSIDERS, &["pull_request"]].concat())
        && !conditions(job).any(|condition| condition.contains("head.repo") || asks_who(condition))
    {
        see(ObservationKind::OwnRunner, event, job.bytes);
    }
    let Some(event) = started_by(OUTSIDERS) else {
        if started_by(&["workflow_run"]).is_some()
            && let Some(bytes) = runs_artifact(job)
        {
            see(ObservationKind::RunsArtifact, "workflow_run", bytes);
        }
        note_cache(tracer, job, file);
        return;
    };
    if holds_secrets(job) && !conditions(job).chain(scripts(job)).any(asks_who) {
        let commanded = conditions(job).any(|condition| condition.contains("comment.body"));
        if commanded && event.ends_with("comment") {
            see(ObservationKind::CommentCommand, event, job.bytes);
        }
        let agent = job.steps.iter().find(|step| AGENTS.contains(&name(step).as_str()));
        if let Some(step) = agent {
            see(ObservationKind::AgentReads, &name(step), step.bytes);
        }
    }
    note_cache(tracer, job, file);
}

/// Who can run a job on a branch of the repository can write its caches; a job that publishes runs what is in them.
fn note_cache(tracer: &mut Tracer<'_>, job: &Job, file: usize) {
    let index = tracer.job;
    if !tracer.trace.publishings.iter().any(|publishing| publishing.job == index) {
        return;
    }
    let restores = |step: &&Step| {
        let name = name(step);
        let input = CACHES.iter().find(|(action, _)| *action == name).map(|(_, input)| *input);
        input.is_some_and(|input| {
            let value = step.with.iter().find(|entry| entry.name.eq_ignore_ascii_case(input));
            let text = value.and_then(|entry| entry.node.text()).unwrap_or("");
            input.is_empty() || !matches!(text.trim(), "" | "false")
        })
    };
    if let Some(step) = job.steps.iter().find(restores) {
        tracer.observe(ObservationKind::RestoresCache, Value::text(name(step)), file, step.bytes);
    }
}

/// Where something of a downloaded artifact is run: a program by its path or by an interpreter, after the download.
fn runs_artifact(job: &Job) -> Option<Bytes> {
    let downloads = |step: &Step| {
        let run = step.run.as_ref().and_then(|run| run.text()).unwrap_or("");
        name(step).contains("download-artifact") || run.contains("gh run download")
    };
    let from = job.steps.iter().position(downloads)?;
    let starts = ["./", "bash ", "sh ", "source ", "python ", "python3 ", "node ", "chmod +x", "make"];
    let ran = job.steps.iter().skip(from).find(|step| {
        let text = step.run.as_ref().and_then(|run| run.text()).unwrap_or("");
        text.lines().any(|line| starts.iter().any(|start| line.trim_start().starts_with(start)))
    });
    ran.map(|step| step.bytes)
}

fn asks_who(text: &str) -> bool {
    ASKS_WHO.iter().any(|word| text.contains(word))
}

fn conditions(job: &Job) -> impl Iterator<Item = &str> {
    job.condition
        .iter()
        .chain(job.steps.iter().filter_map(|step| step.condition.as_ref()))
        .map(String::as_str)
}

fn scripts(job: &Job) -> impl Iterator<Item = &str> {
    job.steps.iter().filter_map(|step| step.run.as_ref()?.text())
}

/// The action of a step, in lower case and without its version.
fn name(step: &Step) -> String {
    let text = step.uses.as_ref().and_then(|uses| uses.text()).unwrap_or("");
    text.split('@').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// Whether a secret other than the job's own token is in reach.
fn holds_secrets(job: &Job) -> bool {
    let entries = job.env.iter().chain(job.steps.iter().flat_map(|step| step.env.iter().chain(&step.with)));
    entries.map(|entry| &*entry.node).chain(job.steps.iter().filter_map(|step| step.run.as_deref())).any(
        |node| {
            texts(node)
                .iter()
                .any(|text| !crate::analysis::names_in(text).is_empty() || text.contains("toJSON(secrets"))
        },
    )
}

/// The texts of a value, of a collection one level deep.
fn texts(node: &Node) -> Vec<&str> {
    match &node.content {
        Content::Scalar(scalar) => vec![scalar.text.as_str()],
        Content::Sequence(items) => items.iter().filter_map(|item| item.text()).collect(),
        Content::Mapping(pairs) => pairs.iter().filter_map(|(_, value)| value.text()).collect(),
    }
}
