//! The publish action's step: without credentials, pinned, with what else it was told.

use super::pins;
use super::place::Place;
use crate::edit::{Edit, apply};
use crate::yaml::{Content, Node};

/// Whether a step is PyPA's publish action.
pub(super) fn is_it(step: &crate::workflow::Step) -> bool {
    super::place::uses(step).starts_with("pypa/gh-action-pypi-publish")
}

/// The publish action: no credentials, and pinned.
pub(super) fn edits(place: &Place<'_>) -> Result<Vec<Edit>, String> {
    let layout = place.layout();
    let mut edits = Vec::new();
    let gone = |name: &str, _: &Node| matches!(name.to_ascii_lowercase().as_str(), "user" | "password");
    let with = layout.entry(place.step_node, "with");
    let (uses_key, uses) = layout.entry(place.step_node, "uses").ok_or("the step uses nothing")?;
    let attestations = with.is_some_and(|(_, with)| layout.entry(with, "attestations").is_some());
    let added = (place.subject.is_called() && !attestations).then_some("attestations: false");
    if let Some((key, with)) = with {
        let removals = layout.without(key, with, &gone);
        let Content::Mapping(pairs) = &with.content else { return Err("`with` is no mapping".to_owned()) };
        let kept = pairs.iter().find(|(key, value)| !key.text().is_some_and(|name| gone(name, value)));
        match (added, kept) {
            (None, _) => edits.extend(removals),
            (Some(added), Some((first, _))) if !layout.is_flow(with) => {
                edits.extend(removals);
                let at = layout.line_start(first.bytes.range().start);
                let indent = " ".repeat(layout.column(first.bytes.range().start));
                edits.push(Edit::insert(at, format!("{indent}{added}{}", layout.newline)));
            }
            (Some(added), _) => {
                let kept: Vec<&str> = pairs
                    .iter()
                    .filter(|(key, value)| !key.text().is_some_and(|name| gone(name, value)))
                    .filter_map(|(key, value)| {
                        layout.text.get(key.bytes.range().start..layout.content_end(value))
                    })
                    .chain([added])
                    .collect();
                let range = key.bytes.range().start..layout.content_end(with);
                edits.push(Edit::replace(range, format!("with: {{{}}}", kept.join(", "))));
            }
        }
    } else if let Some(added) = added {
        let end = layout.content_end(uses);
        if layout.is_flow(place.step_node) {
            edits.push(Edit::insert(end, format!(", with: {{{added}}}")));
        } else {
            let indent = " ".repeat(layout.column(uses_key.bytes.range().start));
            let text = format!("{indent}with: {{{added}}}{}", layout.newline);
            edits.push(Edit::insert(layout.line_end(end), text));
        }
    }
    let range = uses.bytes.range().start..layout.content_end(uses);
    let line_end = layout.line_end(range.end);
    let rest = layout.text.get(range.end..line_end).unwrap_or("");
    match pinned(uses) {
        // Its comment names the old version.
        true if version(rest).is_some_and(|version| version < FIRST_TRUSTED) => {
            let end = range.end + rest.trim_end().len();
            edits.push(Edit::replace(range.start..end, pins::PUBLISH.reference()));
        }
        true => {}
        false => {
            let text = if rest.trim().is_empty() { pins::PUBLISH.reference() } else { pins::PUBLISH.plain() };
            edits.push(Edit::replace(range, text));
        }
    }
    Ok(edits)
}

/// The first version of the action that publishes with an identity, of April 2023.
const FIRST_TRUSTED: (u32, u32) = (1, 8);

fn pinned(uses: &Node) -> bool {
    let at = uses.text().and_then(|text| text.split_once('@'));
    at.is_some_and(|(_, at)| at.len() == 40 && at.chars().all(|c| c.is_ascii_hexdigit()))
}

/// Major and minor version that a comment begins with: `# v1.8.14`.
fn version(comment: &str) -> Option<(u32, u32)> {
    let mut parts = comment.trim().strip_prefix('#')?.trim().trim_start_matches('v').split(['.', ' ']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// What to say about a commit whose version nobody wrote beside it.
pub(super) fn too_old(place: &Place<'_>) -> Option<String> {
    if !is_it(place.step) {
        return None;
    }
    let layout = place.layout();
    let (_, uses) = layout.entry(place.step_node, "uses")?;
    let end = layout.content_end(uses);
    let unknown = pinned(uses) && version(layout.text.get(end..layout.line_end(end))?).is_none();
    unknown.then(|| {
        "the publish action stays at the commit that it was pinned to: see that this is v1.8.0 or later, the first that publishes with an identity".to_owned()
    })
}

/// The action's step as it stands, without credentials and `if`, for a job of its own, where its files are in `dist` if
/// `elsewhere` says so.
pub(super) fn moved(place: &Place<'_>, elsewhere: bool) -> Result<String, String> {
    let layout = place.layout();
    let lines = place.lines(place.step_node);
    let mut edits = edits(place)?;
    if let Some((key, value)) = layout.entry(place.step_node, "if") {
        let first = layout.line_start(key.bytes.range().start) == lines.start;
        if layout.is_flow(place.step_node) {
            edits.push(Edit::remove(layout.in_flow(key, value)));
        } else if first {
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
    if elsewhere && let Some((_, with)) = layout.entry(place.step_node, "with") {
        let folder = layout.entry(with, "packages-dir").or_else(|| layout.entry(with, "packages_dir"));
        if let Some((_, value)) = folder {
            edits.push(Edit::replace(value.bytes.range().start..layout.content_end(value), "dist/"));
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
