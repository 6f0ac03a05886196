//! What only the upload needed: variables with its token, files that hold it. They go with it, unless something else reads them.

use std::ops::Range;

use super::place::{Place, uses};
use super::script::{self, Preparation};
use super::variables::{is_credential, is_setting};
use crate::edit::Edit;
use crate::yaml::Node;

/// Edits that take credentials out. `gone` are the ranges that leave the file anyway, `stays` whether the upload's step does.
pub(super) fn taken_out(place: &Place<'_>, gone: &[Range<usize>], stays: bool) -> Vec<Edit> {
    let mut gone = gone.to_vec();
    let mut edits = Vec::new();
    if place.found.others_of_job == 0 {
        edits.extend(preparations(place));
        gone.extend(edits.iter().map(|edit| edit.start..edit.end));
    }
    let layout = place.layout();
    let owners = [
        (stays.then_some(place.step_node), place.lines(place.step_node), 0),
        (Some(place.job_node), place.job_node.bytes.range(), place.found.others_of_job),
        (Some(place.subject.root), 0..layout.text.len(), place.found.others_of_workflow),
    ];
    for (owner, range, others) in owners {
        let Some((key, value)) = owner.and_then(|owner| layout.entry(owner, "env")) else { continue };
        let left = blanked(layout.text, &range, &gone);
        // An upload to another index reads the same variables.
        let uploads = script::is_upload(&left);
        let unused = |name: &str, value: &Node| {
            let is_its = (is_credential(name) || is_setting(name)) && !uploads || holds_token(place, value);
            is_its && others == 0 && mentions(&left, name) <= 1
        };
        edits.extend(layout.without(key, value, &unused));
    }
    edits
}

/// How often a variable is named in a text; a secret of the same name is something else.
fn mentions(text: &str, name: &str) -> usize {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(name)
        .filter(|(at, _)| {
            let before = text.get(..*at).unwrap_or("");
            let after = text.get(at + name.len()..).and_then(|after| after.chars().next());
            let secret =
                ["secrets.", "secrets['", "secrets[\""].iter().any(|context| before.ends_with(context));
            !secret && !before.chars().next_back().is_some_and(is_part) && !after.is_some_and(is_part)
        })
        .count()
}

/// Whether a value is a secret that the upload uses.
fn holds_token(place: &Place<'_>, value: &Node) -> bool {
    let names = value.text().map(crate::analysis::names_in).unwrap_or_default();
    !names.is_empty()
        && names.iter().all(|name| place.found.secrets.iter().any(|secret| secret.eq_ignore_ascii_case(name)))
}

/// A range of the text, with what goes blanked.
fn blanked(text: &str, range: &Range<usize>, gone: &[Range<usize>]) -> String {
    text.get(range.clone())
        .unwrap_or("")
        .char_indices()
        .map(|(at, c)| if gone.iter().any(|gone| gone.contains(&(range.start + at))) { ' ' } else { c })
        .collect()
}

/// Steps, and parts of steps, that only store the credential for the upload.
fn preparations(place: &Place<'_>) -> Vec<Edit> {
    let layout = place.layout();
    let mut edits = Vec::new();
    for (step, node) in place.steps() {
        if step.bytes == place.step.bytes {
            continue;
        }
        let lines = place.lines(node);
        // An action that does nothing but write `~/.pypirc`.
        if uses(step).contains("pypirc") {
            edits.push(Edit::replace(lines.clone(), layout.comments(lines)));
            continue;
        }
        let Some(scalar) = layout.entry(node, "run").and_then(|(_, run)| run.scalar()) else { continue };
        match script::preparation(layout, scalar) {
            Preparation::None => {}
            Preparation::Whole => edits.push(Edit::replace(lines.clone(), layout.comments(lines))),
            Preparation::Parts(parts) => edits.extend(parts),
        }
    }
    edits
}
