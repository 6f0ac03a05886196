//! One job: changed where it stands, or parted into one that builds and one that publishes.

use std::sync::Arc;

use super::layout::Layout;
use super::script::Script;
use super::variables::is_credential;
use super::{Change, Found, Publisher, Subject, pins, uploading};
use crate::edit::{Edit, apply};
use crate::workflow::{Job, Step};
use crate::yaml::{Content, Node};

/// The edits that make this publishing a trusted one.
pub(super) fn change(subject: &Subject<'_>, found: &Found) -> Result<Change, String> {
    let (job_at, step_at) = found.at;
    let job = subject.workflow.jobs.get(job_at).ok_or("the job is gone")?;
    let step = job.steps.get(step_at).ok_or(
        "what publishes stands in another file (a script, a local action or a reusable workflow): move the upload into a step of this job first",
    )?;
    let jobs = subject.root.get("jobs").ok_or("no jobs")?;
    let (job_key, job_node) =
        subject.layout.entry(jobs, &job.id).ok_or("the job is merged in from elsewhere")?;
    if subject.layout.is_flow(job_node) || uses_alias(subject.layout, jobs, job_key) {
        return Err("the job is written in one line or with YAML anchors: write it out first".to_owned());
    }
    let place = Place { subject, found, job, job_key, job_node, step, step_node: step_node(job_node, step)? };
    let by_action = step
        .uses
        .as_ref()
        .and_then(|uses| uses.text())
        .is_some_and(|uses| uses.to_ascii_lowercase().starts_with("pypa/gh-action-pypi-publish"));
    if by_action {
        let change = if publishes_only(job, step) { in_place(&place, None) } else { parted(&place, None) };
        return change;
    }
    let script = uploading::read(&place)
        .ok_or("another action publishes: replace it by pypa/gh-action-pypi-publish first")??;
    if uploading::is_all_of(job, step)
        && let Some(edits) = uploading::instead(&place, &script)
    {
        return in_place(&place, Some(edits));
    }
    uploading::one_folder(&script)?;
    parted(&place, Some(script))
}

/// Where the upload stands.
pub(super) struct Place<'p> {
    pub(super) subject: &'p Subject<'p>,
    pub(super) found: &'p Found,
    pub(super) job: &'p Job,
    job_key: &'p Node,
    pub(super) job_node: &'p Arc<Node>,
    pub(super) step: &'p Step,
    pub(super) step_node: &'p Arc<Node>,
}

fn step_node<'n>(job: &'n Arc<Node>, step: &Step) -> Result<&'n Arc<Node>, String> {
    let steps = job.get("steps").ok_or("the job has no steps")?;
    let Content::Sequence(items) = &steps.content else { return Err("the steps are no list".to_owned()) };
    items
        .iter()
        .find(|item| item.bytes == step.bytes)
        .ok_or_else(|| "the step is merged in from elsewhere".to_owned())
}

/// `*name` as a value: what it stands for is written elsewhere, and a change there would change more than this.
fn uses_alias(layout: &Layout<'_>, jobs: &Node, job: &Node) -> bool {
    let start = job.bytes.range().start;
    let Content::Mapping(pairs) = &jobs.content else { return false };
    let next = pairs.iter().map(|(key, _)| key.bytes.range().start).filter(|at| *at > start).min();
    let text = layout.text.get(start..next.unwrap_or(layout.text.len())).unwrap_or("");
    text.lines().any(|line| {
        let value = line
            .split_once(": ")
            .map_or(line.trim_start().trim_start_matches("- "), |(_, value)| value.trim_start());
        value.starts_with('*') && value.len() > 1 && !value.starts_with("**")
            || line.trim_start().starts_with("<<:")
    })
}

/// Whether the job does nothing but fetch what another one built, and publish it.
fn publishes_only(job: &Job, publish: &Step) -> bool {
    let fetches = |step: &Step| {
        step.uses.as_ref().and_then(|uses| uses.text()).is_some_and(|uses| {
            let uses = uses.to_ascii_lowercase();
            ["actions/download-artifact", "actions/checkout", "pypa/gh-action-pypi-publish"]
                .iter()
                .any(|known| uses.starts_with(known))
        })
    };
    let has_built = |step: &Step| {
        step.uses
            .as_ref()
            .and_then(|uses| uses.text())
            .is_some_and(|uses| uses.starts_with("actions/download-artifact"))
    };
    job.steps.iter().all(|step| step.bytes == publish.bytes || fetches(step))
        && job.steps.iter().any(has_built)
}

/// The publish action gets no password any more, and the job the right to prove who it is.
fn in_place(place: &Place<'_>, instead: Option<Vec<Edit>>) -> Result<Change, String> {
    let layout = place.subject.layout;
    let step = step_lines(layout, place.step_node);
    let within = |edit: &Edit| edit.start >= step.start && edit.end <= step.end;
    let mut edits = variables_gone(place, instead.is_none());
    match instead {
        Some(instead) => {
            edits.retain(|edit| !within(edit));
            edits.extend(instead);
        }
        None => edits.extend(action_edits(place)?),
    }
    let steps = layout.entry(place.job_node, "steps").ok_or("the job has no steps")?.0;
    let at = layout.line_start(steps.bytes.range().start);
    let indent = " ".repeat(layout.column(steps.bytes.range().start));
    let unit = unit(place);
    let newline = layout.newline;
    let environment = match layout.entry(place.job_node, "environment") {
        Some((_, value)) => environment_name(value),
        None => {
            let name = environment(place);
            edits.push(Edit::insert(at, format!("{indent}environment: {name}{newline}")));
            name
        }
    };
    match layout.entry(place.job_node, "permissions") {
        None => {
            let checkout = place.job.steps.iter().any(|step| {
                step.uses
                    .as_ref()
                    .and_then(|uses| uses.text())
                    .is_some_and(|uses| uses.starts_with("actions/checkout"))
            });
            let read =
                if checkout { format!("{indent}{unit}contents: read{newline}") } else { String::new() };
            edits.push(Edit::insert(
                at,
                format!("{indent}permissions:{newline}{read}{indent}{unit}id-token: write{newline}"),
            ));
        }
        Some((key, value)) => edits.extend(with_identity(layout, key, value, &indent, &unit)?),
    }
    let publisher = Publisher::new(place.subject, place.found, &environment);
    Ok(Change { edits, publishers: vec![publisher], notes: notes(place) })
}

/// `id-token: write` in permissions that are there already.
fn with_identity(
    layout: &Layout<'_>,
    key: &Node,
    value: &Node,
    indent: &str,
    unit: &str,
) -> Result<Option<Edit>, String> {
    let newline = layout.newline;
    if let Some((_, level)) = layout.entry(value, "id-token") {
        let write = level.text() == Some("write");
        return Ok((!write).then(|| Edit::replace(level.bytes.range(), "write")));
    }
    match &value.content {
        Content::Mapping(pairs) if !layout.is_flow(value) => {
            let (first, _) = pairs.first().ok_or("the permissions are empty")?;
            let at = layout.line_start(first.bytes.range().start);
            let indent = " ".repeat(layout.column(first.bytes.range().start));
            Ok(Some(Edit::insert(at, format!("{indent}id-token: write{newline}"))))
        }
        Content::Mapping(pairs) => {
            let kept: Vec<&str> = pairs
                .iter()
                .filter_map(|(key, value)| {
                    layout.text.get(key.bytes.range().start..layout.content_end(value))
                })
                .chain(["id-token: write"])
                .collect();
            let range = value.bytes.range().start..layout.content_end(value);
            Ok(Some(Edit::replace(range, format!("{{{}}}", kept.join(", ")))))
        }
        Content::Scalar(_) => {
            // `write-all` has it already, and far too much else; `read-all` becomes what a publishing job reads.
            let range = key.bytes.range().start..layout.content_end(value).max(key.bytes.range().end);
            let text = format!(
                "permissions:{newline}{indent}{unit}contents: read{newline}{indent}{unit}id-token: write"
            );
            Ok(Some(Edit::replace(range, text)))
        }
        Content::Sequence(_) => Err("the job's permissions are a list".to_owned()),
    }
}

/// The publish action: no credentials, and pinned.
fn action_edits(place: &Place<'_>) -> Result<Vec<Edit>, String> {
    let layout = place.subject.layout;
    let mut edits = Vec::new();
    if let Some((key, with)) = layout.entry(place.step_node, "with") {
        let gone = |name: &str, _: &Node| matches!(name.to_ascii_lowercase().as_str(), "user" | "password");
        edits.extend(layout.without(key, with, &gone));
    }
    let (_, uses) = layout.entry(place.step_node, "uses").ok_or("the step uses nothing")?;
    let pinned = uses
        .text()
        .and_then(|text| text.split_once('@'))
        .is_some_and(|(_, at)| at.len() == 40 && at.chars().all(|c| c.is_ascii_hexdigit()));
    if !pinned {
        let range = uses.bytes.range().start..layout.content_end(uses);
        let rest = layout.text.get(range.end..layout.line_end(range.end)).unwrap_or("").trim();
        let text = if rest.is_empty() { pins::PUBLISH.reference() } else { pins::PUBLISH.plain() };
        edits.push(Edit::replace(range, text));
    }
    Ok(edits)
}

/// The job keeps what it built, and a new one publishes it.
fn parted(place: &Place<'_>, script: Option<Script>) -> Result<Change, String> {
    let layout = place.subject.layout;
    let newline = layout.newline;
    let by_action = script.is_none();
    let stays = script.as_ref().is_some_and(|script| script.edits.is_some());
    let mut edits = variables_gone(place, stays);
    let dist = dist_folder(place, script.as_ref())?;
    let rest_of_script = script.and_then(|script| script.edits);
    let matrix = place.job_node.get("strategy").is_some_and(|strategy| strategy.get("matrix").is_some());
    let artifact = artifact_name(place);
    let artifact = artifact.as_str();
    let condition = place.step_node.get("if").and_then(|node| node.text().map(str::to_owned));
    let dash = dash_column(layout, place.step_node)?;
    let dash_indent = " ".repeat(dash);
    let unit = unit(place);
    let mut upload = format!("{dash_indent}- uses: {}{newline}", pins::UPLOAD.reference());
    // Keys of a step stand under its first one, wherever the dash is.
    let first = " ".repeat(dash) + "- ";
    let inner_of_new = " ".repeat(first.len());
    if let Some(condition) = &condition {
        upload.push_str(&format!("{inner_of_new}if: {}{newline}", scalar(condition)));
    }
    upload.push_str(&format!("{inner_of_new}with:{newline}"));
    let name = if matrix { format!("{artifact}-${{{{ strategy.job-index }}}}") } else { artifact.to_owned() };
    upload.push_str(&format!(
        "{inner_of_new}{unit}name: {name}{newline}{inner_of_new}{unit}path: {dist}{newline}"
    ));
    let step_lines = step_lines(layout, place.step_node);
    match &rest_of_script {
        Some(kept) => {
            edits.extend(kept.iter().cloned());
            edits.push(Edit::insert(step_lines.end, upload));
        }
        None if by_action => edits.push(Edit::replace(step_lines.clone(), upload)),
        None => {
            let kept = layout.comments(step_lines.clone());
            edits.push(Edit::replace(step_lines.clone(), format!("{kept}{upload}")));
        }
    }
    let publish_step = if by_action { moved_action(place)? } else { new_action(place, dash, &unit, newline) };
    let (job_text, environment) =
        publishing_job(place, artifact, matrix, &dist, condition.as_deref(), &publish_step, by_action)?;
    let end = layout.line_end(layout.content_end(place.job_node));
    let ends_line = layout.text.get(..end).is_some_and(|text| text.ends_with('\n'));
    // The new last line of the job ends itself, where the old one went with its step.
    let ends_itself = rest_of_script.is_none() && step_lines.end == end;
    let before = if ends_line || ends_itself { "" } else { newline };
    // Two edits at one place are made in their order; the last step's own lines may end there too.
    edits.push(Edit::insert(end, format!("{before}{newline}{job_text}")));
    edits.extend(read_only(place));
    let publisher = Publisher::new(place.subject, place.found, &environment);
    Ok(Change { edits: merged(edits), publishers: vec![publisher], notes: notes(place) })
}

/// Owners and actions that build and need no more of the job's token than to read.
const READERS: &[&str] = &[
    "actions/checkout",
    "actions/setup-",
    "actions/cache",
    "actions/upload-artifact",
    "actions/download-artifact",
    "astral-sh/setup-uv",
    "pypa/",
    "snok/install-poetry",
    "abatilo/actions-poetry",
    "pdm-project/setup-pdm",
    "docker/setup-qemu-action",
    "pyo3/maturin-action",
    "messense/maturin-action",
    "dtolnay/rust-toolchain",
];

/// What is left of the job builds, and may do no more than read; where it may use its token for more, it keeps what it has.
fn read_only(place: &Place<'_>) -> Option<Edit> {
    let layout = place.subject.layout;
    let given = layout.entry(place.job_node, "permissions").is_some()
        || layout.entry(place.subject.root, "permissions").is_some();
    let text = layout
        .text
        .get(place.job_node.bytes.range().start..layout.content_end(place.job_node))?
        .to_ascii_lowercase();
    let uses_token =
        ["github_token", "github.token", "gh ", "git push"].iter().any(|word| text.contains(word));
    let others = place.job.steps.iter().filter_map(|step| step.uses.as_ref()?.text()).any(|uses| {
        let uses = uses.to_ascii_lowercase();
        !READERS.iter().any(|known| uses.starts_with(known))
    });
    if given || uses_token || others {
        return None;
    }
    let key = layout.entry(place.job_node, "steps")?.0.bytes.range().start;
    let indent = " ".repeat(layout.column(key));
    let (unit, newline) = (unit(place), layout.newline);
    Some(Edit::insert(
        layout.line_start(key),
        format!("{indent}permissions:{newline}{indent}{unit}contents: read{newline}"),
    ))
}

/// A name that no other job of the workflow keeps something under; artifacts of one run share their names.
fn artifact_name(place: &Place<'_>) -> String {
    let taken = |name: &str| {
        let steps = place.subject.workflow.jobs.iter().flat_map(|job| &job.steps);
        let mut uploads = steps.filter(|step| {
            step.uses
                .as_ref()
                .and_then(|uses| uses.text())
                .is_some_and(|uses| uses.starts_with("actions/upload-artifact"))
        });
        uploads.any(|step| {
            step.with.iter().any(|entry| {
                entry.name == "name" && entry.node.text().is_some_and(|text| text.starts_with(name))
            })
        })
    };
    let wanted = if place.found.registry == "pypi" {
        "dist".to_owned()
    } else {
        format!("dist-{}", place.found.registry)
    };
    if taken(&wanted) { format!("{wanted}-of-{}", place.job.id) } else { wanted }
}

/// Insertions at the end of a replaced range become part of it, so that their order is certain.
fn merged(edits: Vec<Edit>) -> Vec<Edit> {
    let mut merged: Vec<Edit> = Vec::new();
    for edit in edits {
        match merged.iter_mut().find(|other| {
            edit.start == edit.end && other.end == edit.start && other.end > other.start
                || edit.start == edit.end && other.start == other.end && other.start == edit.start
        }) {
            Some(other) => other.text.push_str(&edit.text),
            None => merged.push(edit),
        }
    }
    merged
}

fn publishing_job(
    place: &Place<'_>,
    artifact: &str,
    matrix: bool,
    dist: &str,
    condition: Option<&str>,
    publish_step: &str,
    moved: bool,
) -> Result<(String, String), String> {
    let layout = place.subject.layout;
    let newline = layout.newline;
    let outer = " ".repeat(layout.column(place.job_key.bytes.range().start));
    let first_key = match &place.job_node.content {
        Content::Mapping(pairs) => pairs.first().map(|(key, _)| key.bytes.range().start),
        _ => None,
    };
    let keys = " ".repeat(layout.column(first_key.ok_or("the job is empty")?));
    let unit = unit(place);
    let environment = environment(place);
    let id = new_id(place);
    let mut text = format!("{outer}{id}:{newline}{keys}needs: {}{newline}", place.job.id);
    if let Some(condition) = condition.and_then(for_a_job) {
        text.push_str(&format!("{keys}if: {}{newline}", scalar(&condition)));
    }
    text.push_str(&format!("{keys}runs-on: ubuntu-latest{newline}{keys}environment: {environment}{newline}"));
    text.push_str(&format!(
        "{keys}permissions:{newline}{keys}{unit}id-token: write{newline}{keys}steps:{newline}"
    ));
    let dash = " ".repeat(dash_column(layout, place.step_node)?);
    text.push_str(&format!("{dash}- uses: {}{newline}{dash}  with:{newline}", pins::DOWNLOAD.reference()));
    if matrix {
        text.push_str(&format!(
            "{dash}  {unit}pattern: {artifact}-*{newline}{dash}  {unit}merge-multiple: true{newline}"
        ));
    } else {
        text.push_str(&format!("{dash}  {unit}name: {artifact}{newline}"));
    }
    let into = if moved { dist } else { "dist/" };
    text.push_str(&format!("{dash}  {unit}path: {into}{newline}"));
    text.push_str(publish_step);
    Ok((text, environment))
}

/// The action's step as it stands, without credentials and `if`, in its new job.
fn moved_action(place: &Place<'_>) -> Result<String, String> {
    let layout = place.subject.layout;
    let lines = step_lines(layout, place.step_node);
    let mut edits = action_edits(place)?;
    if let Some((key, value)) = layout.entry(place.step_node, "if") {
        let first = layout.line_start(key.bytes.range().start) == lines.start;
        if first {
            // `- if: …` carries the dash: the key goes, the dash stays.
            let next = layout.line_end(layout.content_end(value));
            let start = key.bytes.range().start;
            let after =
                layout.text.get(next..).map_or(0, |rest| rest.len() - rest.trim_start_matches(' ').len());
            edits.push(Edit::remove(start..next + after));
        } else {
            edits.push(Edit::remove(layout.lines(key, value)));
        }
    }
    let shifted: Vec<Edit> = edits
        .into_iter()
        .filter(|edit| edit.start >= lines.start && edit.end <= lines.end)
        .map(|edit| Edit { start: edit.start - lines.start, end: edit.end - lines.start, ..edit })
        .collect();
    let slice = layout.text.get(lines).ok_or("the step's lines are not there")?;
    let mut text = apply(slice, &shifted).ok_or("the step's lines can't be changed safely")?;
    if !text.ends_with('\n') {
        text.push_str(layout.newline);
    }
    Ok(text)
}

fn new_action(place: &Place<'_>, dash: usize, unit: &str, newline: &str) -> String {
    let dash = " ".repeat(dash);
    let mut text = format!("{dash}- uses: {}{newline}", pins::PUBLISH.reference());
    if place.found.registry == "testpypi" {
        text.push_str(&format!(
            "{dash}  with:{newline}{dash}  {unit}repository-url: https://test.pypi.org/legacy/{newline}"
        ));
    }
    text
}

/// Where the distributions lie after the build, seen from the repository's root.
fn dist_folder(place: &Place<'_>, script: Option<&Script>) -> Result<String, String> {
    let layout = place.subject.layout;
    let Some(script) = script else {
        let with = layout.entry(place.step_node, "with").map(|(_, with)| with);
        let given = with.and_then(|with| with.get("packages-dir").or_else(|| with.get("packages_dir")));
        let folder = given.and_then(|node| node.text()).unwrap_or("dist/");
        return if folder.contains("${{") { Err(BY_EXPRESSION.to_owned()) } else { Ok(folder.to_owned()) };
    };
    let defaults = |node: &Arc<Node>| {
        node.get("defaults")
            .and_then(|all| all.get("run")?.get("working-directory")?.text().map(str::to_owned))
    };
    let given = place.step.working_directory.clone();
    let directory = given.or_else(|| defaults(place.job_node)).or_else(|| defaults(place.subject.root));
    let mut parts: Vec<&str> = Vec::new();
    let folder = script.folder.as_deref().unwrap_or("dist");
    let (directory, changed) = (directory.unwrap_or_default(), script.directory.as_deref().unwrap_or(""));
    if [directory.as_str(), changed, folder].iter().any(|path| path.contains(['$', '~'])) {
        return Err(BY_EXPRESSION.to_owned());
    }
    let absolute = [directory.as_str(), changed, folder].iter().any(|path| path.starts_with('/'));
    for part in [directory.as_str(), changed, folder].iter().flat_map(|path| path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_some() => {}
            ".." => return Err("the packages lie outside of the repository".to_owned()),
            part => parts.push(part),
        }
    }
    if absolute || parts.is_empty() {
        return Err("the packages lie in no folder of their own: build them into `dist` first".to_owned());
    }
    Ok(format!("{}/", parts.join("/")))
}

const BY_EXPRESSION: &str =
    "where the packages lie depends on an expression: write the publishing job by hand";

/// Entries of `env` that only the upload reads: in the step, the job and the workflow.
fn variables_gone(place: &Place<'_>, step_stays: bool) -> Vec<Edit> {
    let layout = place.subject.layout;
    let gone = |name: &str, _: &Node| is_credential(name);
    let owners: [Option<&Arc<Node>>; 3] =
        [step_stays.then_some(place.step_node), Some(place.job_node), Some(place.subject.root)];
    owners
        .into_iter()
        .flatten()
        .filter_map(|owner| layout.entry(owner, "env"))
        .flat_map(|(key, value)| layout.without(key, value, &gone))
        .collect()
}

/// The lines of a step, from its dash to its last key.
fn step_lines(layout: &Layout<'_>, step: &Node) -> std::ops::Range<usize> {
    layout.line_start(step.bytes.range().start)..layout.line_end(layout.content_end(step))
}

/// The column of the dash before a step.
fn dash_column(layout: &Layout<'_>, step: &Node) -> Result<usize, String> {
    let start = step.bytes.range().start;
    let line = layout.text.get(layout.line_start(start)..start).unwrap_or("");
    let plain = line.trim_start_matches(' ').starts_with('-') && line.trim_matches([' ', '-']).is_empty();
    if plain {
        Ok(line.len() - line.trim_start_matches(' ').len())
    } else {
        Err("a step does not begin on a line of its own".to_owned())
    }
}

/// One level of indentation, as the job has it.
pub(super) fn unit(place: &Place<'_>) -> String {
    let layout = place.subject.layout;
    let outer = layout.column(place.job_key.bytes.range().start);
    let inner = match &place.job_node.content {
        Content::Mapping(pairs) => {
            pairs.first().map_or(outer + 2, |(key, _)| layout.column(key.bytes.range().start))
        }
        _ => outer + 2,
    };
    " ".repeat(inner.saturating_sub(outer).clamp(1, 8))
}

fn environment(place: &Place<'_>) -> String {
    if place.found.registry == "pypi" {
        place.subject.options.environment.clone()
    } else {
        place.found.registry.clone()
    }
}

/// `environment: name` or `environment: {name: …}`.
fn environment_name(value: &Arc<Node>) -> String {
    value.text().or_else(|| value.get("name").and_then(|name| name.text())).unwrap_or("").to_owned()
}

/// An id that no job has.
fn new_id(place: &Place<'_>) -> String {
    let wanted = format!("publish-to-{}", place.found.registry);
    let taken = |id: &str| place.subject.workflow.jobs.iter().any(|job| job.id.eq_ignore_ascii_case(id));
    if !taken(&wanted) {
        return wanted;
    }
    (2..).map(|number| format!("{wanted}-{number}")).find(|id| !taken(id)).unwrap_or(wanted)
}

/// The parts of a step's condition that a job may ask; steps, matrix, environment and runner are not known to it.
fn for_a_job(condition: &str) -> Option<String> {
    let inner = condition.trim();
    let inner = inner.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(inner).trim();
    if inner.contains("||") || inner.contains("${{") {
        let unknown = ["steps.", "matrix.", "env.", "runner.", "strategy.", "job."]
            .iter()
            .any(|context| inner.contains(context));
        return (!unknown && !inner.contains("${{")).then(|| inner.to_owned());
    }
    let parts: Vec<&str> = inner
        .split("&&")
        .map(str::trim)
        .filter(|part| {
            !["steps.", "matrix.", "env.", "runner.", "strategy.", "job."]
                .iter()
                .any(|context| part.contains(context))
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(" && "))
}

/// A condition as a YAML scalar: plain where that is safe.
pub(super) fn scalar(text: &str) -> String {
    let plain = !text.contains(": ")
        && !text.contains(" #")
        && !text.starts_with(['!', '&', '*', '\'', '"', '{', '[', '|', '>', '@', '`', '%', '-', '?'])
        && !text.contains('\n');
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "''").replace('\n', " ")) }
}

fn notes(place: &Place<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if place.subject.workflow.triggers.iter().any(|trigger| trigger.event == "workflow_call") {
        notes.push(format!(
            "the workflow is called by others: a job that calls it must have `permissions: id-token: write`, and lies in the same repository (PyPI takes no reusable workflow of another one); job `{}`",
            place.job.id
        ));
    }
    let dependents: Vec<&str> = place
        .subject
        .workflow
        .jobs
        .iter()
        .filter(|job| job.needs.iter().any(|need| need.eq_ignore_ascii_case(&place.job.id)))
        .map(|job| job.id.as_str())
        .collect();
    if !dependents.is_empty() {
        notes.push(format!(
            "`{}` waited for `{}`; let it wait for the job that publishes now, if it should",
            dependents.join("`, `"),
            place.job.id
        ));
    }
    for secret in &place.found.secrets {
        notes.push(format!("revoke the token in the secret `{secret}` once the first release went through, and delete the secret"));
    }
    notes
}
