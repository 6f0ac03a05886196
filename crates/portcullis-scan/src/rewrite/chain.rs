//! Which job waits for which, once one has become several.

use std::sync::Arc;

use super::carry::Carry;
use super::condition::{bare, patient, scalar};
use super::place::Place;
use crate::edit::Edit;
use crate::yaml::{Content, Node};

/// Puts jobs behind the one that is parted. `ends` says whether the last line of that job goes, so that the new last line ends
/// itself.
pub(super) fn at_end(place: &Place<'_>, jobs: &str, ends: bool) -> Edit {
    let layout = place.layout();
    let end = layout.line_end(layout.content_end(place.job_node));
    let ends_line = layout.text.get(..end).is_some_and(|text| text.ends_with('\n'));
    let before = if ends_line || ends { "" } else { layout.newline };
    Edit::insert(end, format!("{before}{}{jobs}", layout.newline))
}

/// The building job's outputs that other jobs read.
pub(super) fn outputs(place: &Place<'_>, carry: &Carry) -> Result<Option<Edit>, String> {
    if carry.is_empty() {
        return Ok(None);
    }
    let layout = place.layout();
    let (newline, unit) = (place.newline(), place.unit());
    let known: Vec<&str> = place.job.outputs.iter().map(|output| output.name.as_str()).collect();
    let lines: Vec<String> = carry
        .outputs()
        .filter(|(name, _)| !known.contains(name))
        .map(|(name, expression)| format!("{name}: {}", scalar(&format!("${{{{ {expression} }}}}"))))
        .collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let keys = place.keys();
    Ok(Some(match layout.entry(place.job_node, "outputs") {
        Some((_, value)) if layout.is_flow(value) => {
            let at = layout.content_end(value) - 1;
            // Braces end a plain text here.
            let quoted = carry
                .outputs()
                .filter(|(name, _)| !known.contains(name))
                .map(|(name, expression)| format!("{name}: '${{{{ {} }}}}'", expression.replace('\'', "''")));
            Edit::insert(at, format!(", {}", quoted.collect::<Vec<_>>().join(", ")))
        }
        Some((_, value)) => {
            let Content::Mapping(pairs) = &value.content else {
                return Err("the job's outputs are no mapping".into());
            };
            let (first, _) = pairs.first().ok_or("the job's outputs are empty")?;
            let start = first.bytes.range().start;
            let indent = " ".repeat(layout.column(start));
            let text: String = lines.iter().map(|line| format!("{indent}{line}{newline}")).collect();
            Edit::insert(layout.line_start(start), text)
        }
        None => {
            let (at, _) = place.before_steps()?;
            let text: String = lines.iter().map(|line| format!("{keys}{unit}{line}{newline}")).collect();
            Edit::insert(at, format!("{keys}outputs:{newline}{text}"))
        }
    }))
}

/// Jobs that waited for the one that published wait for the publishing now.
pub(super) fn dependents(place: &Place<'_>, tail: &str, conditional: bool) -> Vec<Edit> {
    let ids = place.subject.workflow.jobs.iter().filter(|job| {
        job.needs.iter().any(|need| need.eq_ignore_ascii_case(&place.job.id))
            && !job.needs.iter().any(|need| need.eq_ignore_ascii_case(tail))
    });
    ids.flat_map(|job| waits(place, &job.id, tail, conditional)).collect()
}

/// Lets a job wait for one more; where that one may be skipped, the job runs all the same.
pub(super) fn waits(place: &Place<'_>, id: &str, tail: &str, conditional: bool) -> Vec<Edit> {
    let layout = place.layout();
    let Some((key, node)) = place.subject.root.get("jobs").and_then(|jobs| layout.entry(jobs, id)) else {
        return Vec::new();
    };
    let _ = key;
    let Some((needs_key, needs)) = layout.entry(node, "needs") else { return Vec::new() };
    let mut edits = Vec::new();
    match &needs.content {
        Content::Scalar(scalar) => edits.push(Edit::replace(
            needs.bytes.range().start..layout.content_end(needs),
            format!("[{}, {tail}]", scalar.text.trim()),
        )),
        Content::Sequence(items) if layout.is_flow(needs) => {
            let comma = if items.is_empty() { "" } else { ", " };
            edits.push(Edit::insert(layout.content_end(needs) - 1, format!("{comma}{tail}")));
        }
        Content::Sequence(items) => {
            let Some(last) = items.last() else { return Vec::new() };
            let line = layout.line_start(last.bytes.range().start);
            let indent: String =
                layout.text.get(line..).unwrap_or("").chars().take_while(|c| *c == ' ').collect();
            let at = layout.line_end(layout.content_end(last));
            edits.push(Edit::insert(at, format!("{indent}- {tail}{}", layout.newline)));
        }
        Content::Mapping(_) => return Vec::new(),
    }
    if conditional {
        edits.extend(patience(place, node, needs_key));
    }
    edits
}

fn patience(place: &Place<'_>, node: &Arc<Node>, needs: &Node) -> Option<Edit> {
    let layout = place.layout();
    match layout.entry(node, "if") {
        Some((_, value)) => {
            let condition = value.text().unwrap_or("");
            let asks = ["failure()", "always()", "cancelled()"].iter().any(|call| condition.contains(call));
            if asks || bare(condition).is_none() {
                return None;
            }
            let range = value.bytes.range().start..layout.content_end(value);
            Some(Edit::replace(range, patient(&place.job.id, Some(condition))))
        }
        None if layout.is_flow(node) => None,
        None => {
            let at = needs.bytes.range().start;
            let indent = " ".repeat(layout.column(at));
            Some(Edit::insert(at, format!("if: {}{}{indent}", patient(&place.job.id, None), layout.newline)))
        }
    }
}
