//! Steps that came after the upload: a release, a notification. They must not run before the files are published, and not
//! beside the right to publish, so they get a job that waits.

use std::ops::Range;
use std::sync::Arc;

use super::artifacts::Artifact;
use super::carry::{Carry, has_word, set_for_later};
use super::condition::{self, scalar};
use super::moving::{Moving, moving, staying};
use super::permissions::{Need, lowered, need};
use super::place::Place;
use super::workspace::workspace;
use crate::edit::Edit;
use crate::workflow::Step;
use crate::yaml::{Content, Node};

/// The job that waits.
pub(super) struct After {
    pub(super) id: String,
    /// The job's lines.
    pub(super) text: String,
    /// Takes the steps out of where they stood.
    pub(super) edits: Vec<Edit>,
    /// What to say about it.
    pub(super) note: String,
    /// Whether the last line of the building job went, with its line break or without.
    pub(super) ends: bool,
}

/// Whether every step after the upload waits for it in a job of its own.
pub(super) fn all_move(place: &Place<'_>) -> bool {
    let later = place.job.steps.len().saturating_sub(place.at + 1);
    moving(place).len() == later
}

/// The ranges of the steps that move, with the comments before them.
pub(super) fn ranges(place: &Place<'_>) -> Vec<Range<usize>> {
    moving(place).into_iter().map(|(_, _, range)| range).collect()
}

/// Writes the job. `waits_for` publishes; `conditional` says whether it may be skipped.
pub(super) fn write(
    place: &Place<'_>,
    artifacts: &[Artifact],
    waits_for: &str,
    conditional: bool,
    carry: &mut Carry,
) -> Result<Option<After>, String> {
    let moving = moving(place);
    if moving.is_empty() {
        return Ok(None);
    }
    let layout = place.layout();
    let (newline, keys, unit, dash) = (place.newline(), place.keys(), place.unit(), place.dash()?);
    let id = place.new_id(&format!("after-{waits_for}"), &[]);
    let text: String = moving.iter().filter_map(|(_, _, range)| layout.text.get(range.clone())).collect();
    let asks_status =
        moving.iter().any(|(step, ..)| step.condition.as_deref().is_some_and(condition::asks_status));
    let moves = |step: &Step| moving.iter().any(|(other, ..)| other.bytes == step.bytes);
    let earlier: Vec<&str> =
        place.job.steps.iter().filter(|step| !moves(step)).filter_map(|step| step.id.as_deref()).collect();
    let in_place = waits_for == place.job.id;
    let mut carried = Carry::new(&place.job.id);
    let mut steps = String::new();
    for (step, node, range) in &moving {
        let moved = conditions(place, step, node, range, asks_status)?;
        let moved = published(&moved, place, waits_for);
        let moved = carried.steps(&moved, &earlier);
        steps.push_str(&moved);
        if !steps.ends_with('\n') {
            steps.push_str(newline);
        }
    }
    let variables = variables(place, &text, &mut carried);
    let needs_build = !in_place && (asks_status || conditional || !carried.is_empty());
    carry.take(carried);
    let mut needs = vec![waits_for.to_owned()];
    if needs_build {
        needs.insert(0, place.job.id.clone());
    }
    let known: Vec<&str> = needs.iter().map(String::as_str).collect();
    let read = condition::read_jobs(&steps, &known);
    needs.extend(read);
    let needs = if needs.len() == 1 { needs.concat() } else { format!("[{}]", needs.join(", ")) };
    let mut job = format!("{}{id}:{newline}{keys}needs: {needs}{newline}", place.outer());
    if asks_status {
        let begun = format!("always() && needs.{}.result != 'skipped'", place.job.id);
        job.push_str(&format!("{keys}if: {begun}{newline}"));
    } else if conditional && !in_place {
        job.push_str(&format!("{keys}if: {}{newline}", condition::patient(&place.job.id, None)));
    }
    job.push_str(&runs_on(place));
    for key in ["container", "defaults"] {
        job.push_str(&copied(place, key));
    }
    job.push_str(&permissions(place, &moving));
    if text.contains("secrets.") || text.contains("vars.") {
        job.push_str(&copied(place, "environment"));
    }
    if !variables.is_empty() {
        job.push_str(&format!("{keys}env:{newline}"));
        variables.iter().for_each(|line| job.push_str(&format!("{keys}{unit}{line}{newline}")));
    }
    job.push_str(&format!("{keys}steps:{newline}"));
    job.push_str(&workspace(place, &moving, &text, &dash)?);
    for artifact in artifacts.iter().filter(|artifact| has_word(&text, artifact.files.last_part())) {
        job.push_str(&artifact.download(&dash, &unit, newline, &artifact.files.portable_folder()));
    }
    job.push_str(&steps);
    let names: Vec<String> = moving.iter().map(|(step, ..)| named(step)).collect();
    let note = format!(
        "{} came after the upload, and run in the job `{id}` now, once it went through; what earlier steps of `{}` installed or wrote is not there, so look it through",
        names.join(", "),
        place.job.id
    );
    let last = moving.last().map_or(0, |(_, _, range)| range.end);
    let end = layout.line_end(layout.content_end(place.job_node));
    let edits = moving.iter().map(|(_, _, range)| Edit::remove(range.clone())).collect();
    Ok(Some(After { id, text: job, edits, note, ends: last == end }))
}

/// The step's lines, its condition as the new job must ask it.
fn conditions(
    place: &Place<'_>,
    step: &Step,
    node: &Arc<Node>,
    range: &Range<usize>,
    asks_status: bool,
) -> Result<String, String> {
    let layout = place.layout();
    let slice = layout.text.get(range.clone()).ok_or("the step's lines are not there")?;
    let slice =
        slice.replace("job.status", "(contains(needs.*.result, 'failure') && 'failure' || job.status)");
    let own = step.condition.as_deref().and_then(condition::bare);
    let went_well = "!contains(needs.*.result, 'failure') && !contains(needs.*.result, 'cancelled')";
    let wanted = match own {
        None if asks_status => Some(went_well.to_owned()),
        Some(own) if place.is_matrix() && own.contains("matrix.") => {
            let mut unused = Carry::new("");
            Some(condition::for_a_job(own, "", true, &mut unused).unwrap_or_else(|| "success()".to_owned()))
        }
        Some(own) if condition::asks_status(own) => Some(
            own.replace("failure()", "(failure() || contains(needs.*.result, 'failure'))")
                .replace("success()", &format!("(success() && {went_well})")),
        ),
        Some(own) if asks_status => Some(format!("{went_well} && ({own})")),
        _ => None,
    };
    let Some(wanted) = wanted else { return Ok(slice) };
    let braced = format!("${{{{ {wanted} }}}}");
    match layout.entry(node, "if") {
        Some((_, value)) => {
            let (start, end) =
                (value.bytes.range().start - range.start, layout.content_end(value) - range.start);
            // `job.status` may have moved what follows it, never what stands before a condition of the same step.
            let original = layout.text.get(range.clone()).ok_or("the step's lines are not there")?;
            let (before, after) = (original.get(..start), original.get(end..));
            let (before, after) = (before.ok_or("no condition")?, after.ok_or("no condition")?);
            let after = after
                .replace("job.status", "(contains(needs.*.result, 'failure') && 'failure' || job.status)");
            Ok(format!("{before}{}{after}", scalar(&braced)))
        }
        None if layout.is_flow(node) => {
            Err("a step after the upload is written in one line: write it out first".to_owned())
        }
        None => {
            let Content::Mapping(pairs) = &node.content else { return Ok(slice) };
            let first = pairs.first().map_or(range.start, |(key, _)| key.bytes.range().start);
            let column = " ".repeat(layout.column(first));
            let at = first - range.start;
            let (before, after) = (slice.get(..at), slice.get(at..));
            let (before, after) = (before.ok_or("no step")?, after.ok_or("no step")?);
            Ok(format!("{before}if: {braced}{}{column}{after}", place.newline()))
        }
    }
}

/// What a step asks about the upload's step, asked about the job that it is now.
fn published(text: &str, place: &Place<'_>, job: &str) -> String {
    let Some(id) = place.step.id.as_deref() else { return text.to_owned() };
    text.replace(&format!("steps.{id}.outcome"), &format!("needs.{job}.result"))
        .replace(&format!("steps.{id}.conclusion"), &format!("needs.{job}.result"))
}

/// Entries for `env:` of a job that takes steps over: the job's own that they name, and what earlier steps set.
pub(super) fn variables(place: &Place<'_>, text: &str, carry: &mut Carry) -> Vec<String> {
    let layout = place.layout();
    let mut lines = Vec::new();
    if let Some((_, env)) = layout.entry(place.job_node, "env")
        && let Content::Mapping(pairs) = &env.content
    {
        for (key, value) in pairs {
            let named = key.text().is_some_and(|name| has_word(text, name));
            let entry = layout.text.get(key.bytes.range().start..layout.content_end(value));
            lines.extend(entry.filter(|entry| named && !entry.contains('\n')).map(str::to_owned));
        }
    }
    if !place.is_matrix() {
        let scripts = place.job.steps.iter().take(place.at).filter_map(|step| step.run.as_ref()?.text());
        for name in scripts.flat_map(set_for_later) {
            let known = lines.iter().any(|line| line.starts_with(&format!("{name}:")));
            if has_word(text, &name) && !known && !super::variables::is_credential(&name) {
                let read = carry.output(&name, &format!("env.{name}"));
                lines.push(format!("{name}: ${{{{ {read} }}}}"));
            }
        }
    }
    lines
}

fn runs_on(place: &Place<'_>) -> String {
    let text = copied(place, "runs-on");
    if text.is_empty() || text.contains("matrix.") {
        return format!("{}runs-on: ubuntu-latest{}", place.keys(), place.newline());
    }
    text
}

/// A key of the job with its value, line by line.
fn copied(place: &Place<'_>, name: &str) -> String {
    let layout = place.layout();
    let Some((key, value)) = layout.entry(place.job_node, name) else { return String::new() };
    let mut text = layout.text.get(layout.lines(key, value)).unwrap_or("").to_owned();
    if !text.ends_with('\n') {
        text.push_str(place.newline());
    }
    if text.contains("matrix.") && name != "runs-on" { String::new() } else { text }
}

fn permissions(place: &Place<'_>, moving: &[Moving<'_>]) -> String {
    let layout = place.layout();
    let (keys, unit, newline) = (place.keys(), place.unit(), place.newline());
    let written = |entries: &[String]| match entries {
        [] => format!("{keys}permissions: {{}}{newline}"),
        entries => {
            let lines: String = entries.iter().map(|entry| format!("{keys}{unit}{entry}{newline}")).collect();
            format!("{keys}permissions:{newline}{lines}")
        }
    };
    if let Some((_, value)) = layout.entry(place.job_node, "permissions") {
        let Content::Mapping(pairs) = &value.content else { return copied(place, "permissions") };
        let kept: Vec<String> = pairs
            .iter()
            .filter(|(key, _)| key.text() != Some("id-token"))
            .filter_map(|(key, value)| layout.text.get(key.bytes.range().start..layout.entry_end(key, value)))
            .map(str::to_owned)
            .collect();
        return written(&kept);
    }
    let steps: Vec<(&Step, &Node)> = moving.iter().map(|(step, node, _)| (*step, node.as_ref())).collect();
    let need = need(place, &steps);
    match (lowered(place), need) {
        (Some(_), Need::Reads) => String::new(),
        (Some((_, entries)), _) => written(&entries),
        (None, _) if layout.entry(place.subject.root, "permissions").is_some() => String::new(),
        (None, Need::Reads) => written(&["contents: read".to_owned()]),
        (None, Need::WritesContents) => written(&["contents: write".to_owned()]),
        (None, Need::Unknown) => String::new(),
    }
}

/// What to say about steps that could not wait.
pub(super) fn left_before(place: &Place<'_>) -> Option<String> {
    let names: Vec<String> = staying(place).iter().map(|step| named(step)).collect();
    (!names.is_empty()).then(|| {
        format!(
            "{} came after the upload, and run before it now: what earlier steps of `{}` installed or built is only there",
            names.join(", "),
            place.job.id
        )
    })
}

fn named(step: &Step) -> String {
    let script = step.run.as_ref().and_then(|run| run.text()).and_then(|text| text.lines().next());
    let uses = step.uses.as_ref().and_then(|uses| uses.text());
    let name = step.name.as_deref().or(uses).or(script).unwrap_or("a step");
    format!("`{}`", name.chars().take(80).collect::<String>())
}
