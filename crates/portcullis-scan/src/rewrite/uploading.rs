//! Uploads by a command or by the maturin action: what is uploaded from where, and the step that takes the place of one
//! in a job that does nothing else.

use super::part::{Place, scalar, unit};
use super::pins;
use super::script::{self, Script};
use crate::edit::Edit;
use crate::workflow::{Job, Step};
use crate::yaml::{Content, Node};

/// Actions that run maturin, under its two owners.
const MATURIN: &[&str] = &["pyo3/maturin-action", "messense/maturin-action"];

/// What uploads: a script, or maturin's action. `None` for other actions.
pub(super) fn read(place: &Place<'_>) -> Option<Result<Script, String>> {
    let layout = place.subject.layout;
    if let Some((_, run)) = layout.entry(place.step_node, "run") {
        let run = run.scalar().ok_or_else(|| "the script is no text".to_owned());
        return Some(run.and_then(|run| script::without_upload(layout, run)));
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
        "upload" => Some(script::folder_of_upload(&words).map(|folder| Script {
            edits: None,
            folder,
            directory: None,
        })),
        "publish" => {
            let (mut kept, folder) = script::build_instead_of_publish(&words);
            let mut edits =
                vec![Edit::replace(command.bytes.range().start..layout.content_end(command), "build")];
            if folder.is_none() {
                kept.extend(["--out", "dist"]);
            }
            let text = std::iter::once("--release").chain(kept).collect::<Vec<_>>().join(" ");
            match arguments {
                Some(value) => {
                    edits.push(Edit::replace(
                        value.bytes.range().start..layout.content_end(value),
                        scalar(&text),
                    ));
                }
                None if layout.is_flow(with) => {
                    edits.push(Edit::insert(
                        layout.content_end(command),
                        format!(", args: {}", scalar(&text)),
                    ));
                }
                None => {
                    let indent = " ".repeat(layout.column(command_key.bytes.range().start));
                    let at = layout.line_start(command_key.bytes.range().start);
                    edits
                        .push(Edit::insert(at, format!("{indent}args: {}{}", scalar(&text), layout.newline)));
                }
            }
            let folder = folder.map(str::to_owned).or_else(|| Some("dist".to_owned()));
            Some(Ok(Script { edits: Some(edits), folder, directory: None }))
        }
        _ => None,
    }
}

fn uses(step: &Step) -> String {
    step.uses.as_ref().and_then(|uses| uses.text()).unwrap_or("").to_ascii_lowercase()
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
    let layout = place.subject.layout;
    let Content::Mapping(pairs) = &place.step_node.content else { return None };
    if layout.is_flow(place.step_node) || script.edits.is_some() || script.directory.is_some() {
        return None;
    }
    let mut edits = Vec::new();
    let folder = script.folder.as_deref().unwrap_or("dist");
    let folder = match place.step.working_directory.as_deref() {
        None => folder.to_owned(),
        Some(_) => return None,
    };
    let given = if folder.contains('*') {
        edits.push(gathered(place, &folder)?);
        "dist".to_owned()
    } else {
        folder
    };
    let (mut replaced, first) = (false, pairs.first()?.0.bytes.range().start);
    for (key, value) in pairs {
        let start = key.bytes.range().start;
        match key.text()?.to_ascii_lowercase().as_str() {
            "name" | "if" | "id" | "continue-on-error" | "timeout-minutes" => {}
            "run" | "uses" if !replaced => {
                replaced = true;
                let end = layout.content_end(value);
                edits.push(Edit::replace(start..end, action(place, &given, layout.column(start))));
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

/// `uses:` and `with:` of the publish action; the first line stands where the old key stood.
fn action(place: &Place<'_>, folder: &str, column: usize) -> String {
    let (newline, indent) = (place.subject.layout.newline, " ".repeat(column));
    let mut with = Vec::new();
    if place.found.registry == "testpypi" {
        with.push("repository-url: https://test.pypi.org/legacy/".to_owned());
    }
    if folder.trim_end_matches('/') != "dist" {
        with.push(format!("packages-dir: {}/", folder.trim_end_matches('/')));
    }
    let mut text = format!("uses: {}", pins::PUBLISH.reference());
    if !with.is_empty() {
        text.push_str(&format!("{newline}{indent}with:"));
        let unit = unit(place);
        for line in with {
            text.push_str(&format!("{newline}{indent}{unit}{line}"));
        }
    }
    text
}

/// `wheels-*/*`: each artifact came into a folder of its own, and the publish action takes one. So they are gathered.
fn gathered(place: &Place<'_>, pattern: &str) -> Option<Edit> {
    let layout = place.subject.layout;
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
        (layout.newline, " ".repeat(layout.column(key.bytes.range().start)), unit(place));
    let at = layout.line_end(layout.content_end(value));
    let lines = ["path: dist/", "merge-multiple: true"];
    let lines: String = lines.iter().map(|line| format!("{indent}{unit}{line}{newline}")).collect();
    Some(Edit::insert(
        at,
        format!("{indent}with:{newline}{indent}{unit}pattern: '{pattern}'{newline}{lines}"),
    ))
}

/// Whether a folder is one, and not a pattern.
pub(super) fn one_folder(script: &Script) -> Result<(), String> {
    match &script.folder {
        Some(folder) if folder.contains(['*', '?', '[', '{']) => {
            Err("the upload takes files of many folders: write the publishing job by hand".to_owned())
        }
        _ => Ok(()),
    }
}
