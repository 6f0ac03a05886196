//! Doors that a job leaves open by how it is set up, whatever its steps send: who starts it, where it runs, what it takes in.

use super::Tracer;
use super::trace::{Channel, ObservationKind, Role};
use super::value::Value;
use crate::span::Bytes;
use crate::workflow::{Job, Step, Workflow};
use crate::yaml::{Content, Node};

/// Events that people without write access cause.
pub(crate) const OUTSIDERS: &[&str] = &[
    "issues",
    "issue_comment",
    "discussion",
    "discussion_comment",
    "pull_request_target",
    "pull_request_review",
    "pull_request_review_comment",
    "fork",
    "watch",
    "gollum",
];

/// Programs that read what stands in an issue or a change and act on it by themselves.
const AGENTS: &[&str] = &[
    "anthropics/claude-code-action",
    "anthropics/claude-code-base-action",
    "google-github-actions/run-gemini-cli",
    "google-gemini/gemini-cli-action",
    "openai/codex-action",
    "sst/opencode/github",
    "anomalyco/opencode/github",
    "warpdotdev/oz-agent-action",
    "augmentcode/augment-agent",
    "continuedev/continue",
    "all-hands-ai/openhands",
    "qodo-ai/pr-agent",
    "codium-ai/pr-agent",
];

/// The same as programs of a command line: the words that start them, and what lets them act without a question.
const AGENT_COMMANDS: &[&str] = &[
    "gemini -p",
    "gemini --prompt",
    "gemini --yolo",
    "gemini-cli",
    "claude -p",
    "claude --print",
    "claude --dangerously",
    "claude-code",
    "codex exec",
    "codex -q",
    "@openai/codex",
    "opencode run",
    "aider --",
    "goose run",
    "cursor-agent",
    "copilot -p",
    "amp -x",
    "auggie -p",
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
    note_foreign_checkout(tracer, workflow, job, file);
    note_self_deletion(tracer, workflow, job, file);
    note_grants(tracer, job, file);
    let mut see = |kind, what: &str, bytes: Bytes| tracer.observe(kind, Value::text(what), file, bytes);
    if job.is_self_hosted()
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
        let is_agent = |step: &&Step| {
            let run = step.run.as_ref().and_then(|run| run.text()).unwrap_or("");
            AGENTS.contains(&name(step).as_str())
                || AGENT_COMMANDS.iter().any(|command| run.contains(command))
        };
        if let Some(step) = job.steps.iter().find(is_agent) {
            let what = Some(name(step)).filter(|name| !name.is_empty());
            see(ObservationKind::AgentReads, what.as_deref().unwrap_or("an agent"), step.bytes);
        }
    }
    note_cache(tracer, job, file);
}

/// Where a pull request's own code is fetched by other ways than an input of `actions/checkout` that names it: by a command, or
/// by the commit of the run that this one follows. Asking which repository that was, or whether it was a push, closes it.
fn note_foreign_checkout(tracer: &mut Tracer<'_>, workflow: &Workflow, job: &Job, file: usize) {
    const BY_COMMAND: &[&str] = &[
        "gh pr checkout",
        "hub pr checkout",
        "git fetch origin pull/",
        "git fetch origin refs/pull/",
        "git pull origin pull/",
    ];
    let after_a_run = workflow.triggers.iter().any(|trigger| trigger.event == "workflow_run");
    let asks_whose = conditions(job).any(|condition| {
        condition.contains("head_repository")
            || condition.contains("workflow_run.event == 'push'")
            || asks_who(condition)
    });
    if asks_whose {
        return;
    }
    for step in &job.steps {
        let run = step.run.as_ref().and_then(|run| run.text()).unwrap_or("");
        let by_command = BY_COMMAND.iter().find(|command| run.contains(**command));
        let by_run = name(step) == "actions/checkout"
            && after_a_run
            && step.with.iter().any(|entry| {
                let text = entry.node.text().unwrap_or("");
                text.contains("workflow_run.head_") || text.contains("workflow_run.pull_requests")
            });
        if by_run || by_command.is_some() {
            let what = by_command.copied().unwrap_or("workflow_run.head_sha");
            tracer.observe(ObservationKind::UntrustedCheckout, Value::text(what), file, step.bytes);
        }
    }
}

/// Where a job uploads something and then takes away the run, the branch or the file that did it.
fn note_self_deletion(tracer: &mut Tracer<'_>, workflow: &Workflow, job: &Job, file: usize) {
    // A branch that goes when its pull request is closed is everyday work.
    let pushed = workflow.triggers.iter().any(|trigger| matches!(trigger.event.as_str(), "push" | "create"));
    let own_path = tracer.trace.files.first().map(|file| file.path.clone()).unwrap_or_default();
    let own_file = own_path.rsplit('/').next().unwrap_or("").to_owned();
    let index = tracer.job;
    let uploads = |step: &Step| {
        let run = step.run.as_ref().and_then(|run| run.text()).unwrap_or("");
        name(step).starts_with("actions/upload-artifact") || UPLOADS.iter().any(|word| run.contains(word))
    };
    let sent = tracer.trace.deliveries.iter().any(|delivery| {
        let road = matches!(
            delivery.channel,
            Channel::Network | Channel::Dns | Channel::Artifact | Channel::Repository
        );
        delivery.job == index && road && delivery.role == Role::Payload
    });
    let Some(from) = job.steps.iter().position(|step| sent || uploads(step)) else { return };
    for step in job.steps.iter().skip(from) {
        let run = step.run.as_ref().and_then(|run| run.text()).unwrap_or("");
        let script =
            step.with.iter().find(|entry| entry.name == "script").and_then(|entry| entry.node.text());
        if let Some(what) =
            [run, script.unwrap_or("")].iter().find_map(|text| deletes_itself(text, &own_file, pushed))
        {
            tracer.observe(ObservationKind::UploadsAndDeletes, Value::text(what), file, step.bytes);
            return;
        }
    }
}

/// Calls of `github-script` that give somebody a way in (octokit/rest.js).
const GRANTS: &[(&str, ObservationKind)] = &[
    (".addCollaborator(", ObservationKind::GrantsAccess),
    (".createDeployKey(", ObservationKind::GrantsAccess),
    (".createRegistrationTokenForRepo(", ObservationKind::RegistersRunner),
    (".createRegistrationTokenForOrg(", ObservationKind::RegistersRunner),
];

/// Where a script of `github-script` gives somebody a way in, makes the repository public or writes a workflow.
fn note_grants(tracer: &mut Tracer<'_>, job: &Job, file: usize) {
    for step in job.steps.iter().filter(|step| name(step) == "actions/github-script") {
        let script = step.with.iter().find(|entry| entry.name.eq_ignore_ascii_case("script"));
        let text = script.and_then(|entry| entry.node.text()).unwrap_or("");
        let code: String = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .flat_map(str::chars)
            .filter(|c| !c.is_whitespace())
            .collect();
        let granted = GRANTS.iter().find(|(call, _)| code.contains(call)).copied();
        let public = code.contains(".repos.update(")
            && ["private:false", "visibility:'public'", "visibility:\"public\""]
                .iter()
                .any(|word| code.contains(word));
        let writes = code.contains(".createOrUpdateFileContents(") && code.contains(".github/workflows");
        let (what, kind) = match granted {
            Some((call, kind)) => (call, kind),
            None if public => ("repos.update", ObservationKind::GrantsAccess),
            None if writes => ("repos/contents/.github/workflows", ObservationKind::WritesWorkflow),
            None => continue,
        };
        tracer.observe(kind, Value::text(what), file, step.bytes);
    }
}

/// Words of scripts that upload.
const UPLOADS: &[&str] = &[
    "curl -F",
    "curl -T",
    "--data-binary",
    "--upload-file",
    "--post-file",
    "gh release upload",
    "gh gist create",
    "gh release create",
];

/// What of itself a script takes away: its run, the branch it runs on, its own file.
fn deletes_itself(script: &str, own_file: &str, pushed: bool) -> Option<&'static str> {
    let lines = || script.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let any = |line: &str, words: &[&str]| words.iter().any(|word| line.contains(word));
    const OWN_RUN: &[&str] = &["GITHUB_RUN_ID", "github.run_id", "context.runId"];
    const OWN_BRANCH: &[&str] = &[
        "GITHUB_REF",
        "GITHUB_HEAD_REF",
        "github.ref",
        "github.head_ref",
        "git branch --show-current",
        "--abbrev-ref HEAD",
    ];
    let joined = script.replace("\\\n", " ");
    let mut lines_joined = joined.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let takes = |line: &str| {
        if any(line, OWN_RUN)
            && any(line, &["DELETE", "gh run delete", "deleteWorkflowRun", "deleteWorkflowRunLogs"])
        {
            return Some("its own run");
        }
        let pushes = line.contains("git push") && any(line, &["--delete", " -d ", " :", "\":", "':"]);
        if pushed
            && any(line, OWN_BRANCH)
            && (pushes || line.contains("DELETE") && line.contains("/git/refs"))
        {
            return Some("its own branch");
        }
        None
    };
    if let Some(what) = lines_joined.find_map(takes) {
        return Some(what);
    }
    let removes = lines().any(|line| {
        any(line, &["git rm ", "rm -f ", "rm -rf ", "rm "])
            && line.contains(".github/workflows")
            && line.contains(own_file)
    });
    (!own_file.is_empty() && removes && lines().any(|line| line.contains("git push")))
        .then_some("its own file")
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
