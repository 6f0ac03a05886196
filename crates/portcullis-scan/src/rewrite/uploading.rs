//! Uploads by a command or by the maturin action: what is uploaded from where, and the step that takes the place of one
//! in a job that does nothing else.

use super::condition::scalar;
use super::files;
use super::pins;
use super::place::{Place, uses};
use super::script::{self, Script, Sending};
use crate::edit::Edit;
use crate::workflow::{Job, Step};
use crate::yaml::{Content, Node};

/// Actions that run maturin, under its two owners.
const MATURIN: &[&str] = &["pyo3/maturin-action", "messense/maturin-action"];

const NOT_PYPI: &str = "another index is named: its upload stays as it is";

/// What uploads: a script, or maturin's action. `None` for other actions.
pub(super) fn read(place: &Place<'_>) -> Option<Result<Script, String>> {
    let layout = place.layout();
    if let Some((_, run)) = layout.entry(place.step_node, "run") {
        let run = run.scalar().ok_or_else(|| "the script is no text".to_owned());
        return Some(run.and_then(|run| script::without_upload(layout, run)));
    }
    if uses(place.step).starts_with("jrubics/poetry-publish@") {
        return by_poetry(place).map(Ok);
    }
    if !MATURIN.iter().any(|known| uses(place.step).starts_with(known)) {
        return None;
    }
    let (_, with) = layout.entry(place.step_node, "with")?;
    let (command_key, command) = layout.entry(with, "command")?;
    let arguments = layout.entry(with, "args").map(|(_, value)| value);
    let words: Vec<&str> =
        arguments.and_then(|value| value.text()).unwrap_or("").split_whitespace().collect();
    match command.text()?.trim() {
        "upload" => {
            Some(script::of_maturin_upload(&words).ok_or(NOT_PYPI.to_owned()).map(|sending| Script {
                edits: None,
                sendings: vec![sending],
                directory: None,
                goes_on: false,
            }))
        }
        "publish" => {
            let Some((sending, left)) = script::of_maturin_publish(&words) else {
                return Some(Err(NOT_PYPI.to_owned()));
            };
            let mut edits =
                vec![Edit::replace(command.bytes.range().start..layout.content_end(command), "build")];
            let text = scalar(&left.join(" "));
            match arguments {
                Some(value) => {
                    edits.push(Edit::replace(value.bytes.range().start..layout.content_end(value), text));
                }
                None if layout.is_flow(with) => {
                    edits.push(Edit::insert(layout.content_end(command), format!(", args: {text}")));
                }
                None => {
                    let indent = " ".repeat(layout.column(command_key.bytes.range().start));
                    let at = layout.line_start(command_key.bytes.range().start);
                    edits.push(Edit::insert(at, format!("{indent}args: {text}{}", layout.newline)));
                }
            }
            Some(Ok(Script { edits: Some(edits), sendings: vec![sending], directory: None, goes_on: false }))
        }
        _ => None,
    }
}

/// `JRubics/poetry-publish` builds and publishes: the build is left, by the command that the action runs. `None` where it is
/// told more than its token and versions.
fn by_poetry(place: &Place<'_>) -> Option<Script> {
    let layout = place.layout();
    let plain = ["pypi_token", "python_version", "poetry_version"];
    if layout.is_flow(place.step_node)
        || !place.step.with.iter().all(|entry| plain.contains(&entry.name.as_str()))
    {
        return None;
    }
    let (uses_key, uses) = layout.entry(place.step_node, "uses")?;
    let mut edits = vec![Edit::replace(
        uses_key.bytes.range().start..layout.content_end(uses),
        "run: pipx run poetry build",
    )];
    if let Some((key, with)) = layout.entry(place.step_node, "with") {
        let lines = layout.lines(key, with);
        edits.push(Edit::replace(lines.clone(), layout.comments(lines)));
    }
    Some(Script { edits: Some(edits), sendings: vec![Sending::default()], directory: None, goes_on: false })
}

/// Whether the job only fetches what others built, and uploads it.
pub(super) fn is_all_of(job: &Job, upload: &Step) -> bool {
    let known =
        ["actions/download-artifact@", "actions/checkout@", "actions/setup-python@", "astral-sh/setup-uv@"];
    let others = || job.steps.iter().filter(|step| step.bytes != upload.bytes);
    others().all(|step| known.iter().any(|known| uses(step).starts_with(known)))
        && others().filter(|step| uses(step).starts_with("actions/download-artifact@")).count() == 1
}

/// The upload's step becomes the publish action, where it stands. `None` where its keys don't allow that.
pub(super) fn instead(place: &Place<'_>, script: &Script) -> Option<Vec<Edit>> {
    let layout = place.layout();
    let Content::Mapping(pairs) = &place.step_node.content else { return None };
    let [sending] = script.sendings.as_slice() else { return None };
    if layout.is_flow(place.step_node) || script.edits.is_some() {
        return None;
    }
    let mut edits = Vec::new();
    let by_folder =
        sending.patterns.iter().any(|pattern| pattern.rsplit_once('/').is_some_and(|(f, _)| f.contains('*')));
    let folder = if by_folder {
        let [pattern] = sending.patterns.as_slice() else { return None };
        edits.push(gathered(place, pattern.rsplit_once('/')?.0)?);
        "dist".to_owned()
    } else {
        let found = files::of(place, script, sending).ok()?;
        let [one] = found.as_slice() else { return None };
        one.portable_folder()
    };
    let (mut replaced, first) = (false, pairs.first()?.0.bytes.range().start);
    for (key, value) in pairs {
        let start = key.bytes.range().start;
        match key.text()?.to_ascii_lowercase().as_str() {
            "continue-on-error" if sending.may_fail => return None,
            "name" | "if" | "id" | "continue-on-error" | "timeout-minutes" => {}
            "run" | "uses" if !replaced => {
                replaced = true;
                let end = layout.content_end(value);
                edits.push(Edit::replace(start..end, action(place, sending, &folder, layout.column(start))));
            }
            _ if start == first => return None,
            _ => {
                let lines = layout.lines(key, value);
                edits.push(Edit::replace(lines.clone(), layout.comments(lines)));
            }
        }
    }
    replaced.then_some(edits)
}

/// The publish action for an upload; the first line stands where the old key stood.
pub(super) fn action(place: &Place<'_>, sending: &Sending, folder: &str, column: usize) -> String {
    let (newline, indent) = (place.newline(), " ".repeat(column));
    let mut with = Vec::new();
    if registry(place, sending) == "testpypi" {
        with.push("repository-url: https://test.pypi.org/legacy/".to_owned());
    }
    if folder != "dist" {
        with.push(format!("packages-dir: {folder}/"));
    }
    if sending.skip_existing {
        with.push("skip-existing: true".to_owned());
    }
    if sending.verbose {
        with.push("verbose: true".to_owned());
    }
    if place.subject.is_called() {
        with.push("attestations: false".to_owned());
    }
    let mut text = format!("uses: {}", pins::PUBLISH.reference());
    if sending.may_fail {
        text.push_str(&format!("{newline}{indent}continue-on-error: true"));
    }
    if !with.is_empty() {
        text.push_str(&format!("{newline}{indent}with:"));
        let unit = place.unit();
        for line in with {
            text.push_str(&format!("{newline}{indent}{unit}{line}"));
        }
    }
    text
}

/// Which index an upload goes to: as its command says, else as the trace has found.
pub(super) fn registry(place: &Place<'_>, sending: &Sending) -> String {
    sending.registry.map_or_else(|| place.found.registry.clone(), str::to_owned)
}

/// `wheels-*/*`: each artifact came into a folder of its own, and the publish action takes one. So they are gathered.
fn gathered(place: &Place<'_>, pattern: &str) -> Option<Edit> {
    let layout = place.layout();
    if pattern.contains('/') {
        return None;
    }
    let step = place.job.steps.iter().find(|step| uses(step).starts_with("actions/download-artifact@"))?;
    let Content::Sequence(steps) = &place.job_node.get("steps")?.content else { return None };
    let node: &Node = steps.iter().find(|node| node.bytes == step.bytes)?;
    if layout.is_flow(node) || layout.entry(node, "with").is_some() {
        return None;
    }
    let (key, value) = layout.entry(node, "uses")?;
    let (newline, indent, unit) =
        (layout.newline, " ".repeat(layout.column(key.bytes.range().start)), place.unit());
    let at = layout.line_end(layout.content_end(value));
    let lines = ["path: dist/", "merge-multiple: true"];
    let lines: String = lines.iter().map(|line| format!("{indent}{unit}{line}{newline}")).collect();
    Some(Edit::insert(
        at,
        format!("{indent}with:{newline}{indent}{unit}pattern: '{pattern}'{newline}{lines}"),
    ))
}
