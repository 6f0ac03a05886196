//! Which of the steps after an upload wait for it in a job of their own, and which stay where the build is.
//!
//! A release, a tag, a message must not come before the files are published. What needs tools or files that the build left,
//! and can't get them anew, stays, and that is said: in a fresh job it would fail.

use std::ops::Range;
use std::sync::Arc;

use super::layout::Layout;
use super::place::{Place, uses};
use super::tools::{self, Tools};
use crate::workflow::Step;
use crate::yaml::Node;

/// A step that moves, with its lines and the comments before them.
pub(super) type Moving<'p> = (&'p Step, &'p Arc<Node>, Range<usize>);

/// Actions that keep something of the build: they belong to it.
const KEEPS: &[&str] = &[
    "actions/upload-artifact",
    "actions/cache",
    "actions/upload-pages-artifact",
    "codecov/",
    "actions/attest",
];

/// Words in the names of actions that tell others what happened.
const TELLS: &[&str] = &[
    "release",
    "slack",
    "discord",
    "telegram",
    "mail",
    "notif",
    "dispatch",
    "github-script",
    "tag",
    "tweet",
    "mastodon",
    "matrix-message",
    "teams",
    "issue",
    "comment",
    "milestone",
    "homebrew",
    "toot",
    "webhook",
];

/// The steps after the upload that need it to have happened.
pub(super) fn moving<'p>(place: &Place<'p>) -> Vec<Moving<'p>> {
    sorted(place).0
}

/// Those that could not move, although they came after the upload.
pub(super) fn staying<'p>(place: &Place<'p>) -> Vec<&'p Step> {
    sorted(place).1
}

fn sorted<'p>(place: &Place<'p>) -> (Vec<Moving<'p>>, Vec<&'p Step>) {
    let layout = place.layout();
    let steps = place.steps();
    let is_kept = |step: &Step| uses(step).starts_with("actions/upload-artifact");
    let last_kept = steps.iter().rposition(|(step, _)| is_kept(step)).unwrap_or(0);
    let tools = tools::installed(place);
    let (mut moving, mut staying) = (Vec::new(), Vec::new());
    for (at, pair) in steps.windows(2).enumerate() {
        let [(_, previous), (step, node)] = pair else { continue };
        let at = at + 1;
        let lines = place.lines(node);
        let text = layout.text.get(lines.clone()).unwrap_or("");
        if at <= place.at
            || KEEPS.iter().any(|known| uses(step).starts_with(known))
            || text.contains(".pypirc")
        {
            continue;
        }
        // What is built for a later upload stays; what tries the one before it does not.
        let tries = ["pypi.org", "testpypi", "pip install", "pip download", "sleep "]
            .iter()
            .any(|word| text.contains(word));
        if at < last_kept && !tries {
            continue;
        }
        if cleans_up(step, text) {
            continue;
        }
        let of_matrix = place.is_matrix() && {
            let body = without_condition(layout, node, &lines);
            ["matrix.", "runner.", "strategy."].iter().any(|context| body.contains(context))
        };
        if of_matrix || !travels(step, &tools) {
            staying.push(*step);
        } else {
            moving.push((*step, *node, place.lines(previous).end..lines.end));
        }
    }
    (moving, staying)
}

/// Whether a step is there to end what the build began, whatever became of it; it tells nobody.
fn cleans_up(step: &Step, text: &str) -> bool {
    let always =
        step.condition.as_deref().is_some_and(|condition| condition.replace(' ', "").contains("always()"));
    let tells = ["curl", "gh ", "webhook", "job.status", "mail"].iter().any(|word| text.contains(word));
    always && step.run.is_some() && !tells
}

/// Whether a step finds what it needs in a fresh job.
fn travels(step: &Step, tools: &Tools<'_>) -> bool {
    if let Some(script) = step.run.as_ref().and_then(|run| run.text()) {
        return tools::used(script).iter().all(|tool| tools.has(tool));
    }
    let name = uses(step);
    let tells = TELLS.iter().any(|word| name.contains(word));
    let takes_files = step.with.iter().any(|entry| {
        let input = entry.name.to_ascii_lowercase();
        ["dir", "folder", "path", "file"].iter().any(|word| input.contains(word))
    });
    tells || !takes_files
}

fn without_condition(layout: &Layout<'_>, node: &Node, lines: &Range<usize>) -> String {
    let text = layout.text.get(lines.clone()).unwrap_or("");
    match layout.entry(node, "if") {
        Some((key, value)) => {
            let (start, end) = (key.bytes.range().start, layout.content_end(value));
            let (start, end) = (start - lines.start, end.max(start) - lines.start);
            format!("{}{}", text.get(..start).unwrap_or(""), text.get(end..).unwrap_or(""))
        }
        None => text.to_owned(),
    }
}
