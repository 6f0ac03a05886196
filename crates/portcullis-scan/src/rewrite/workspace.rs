//! What steps find in a fresh job: the tree, tools, packages, where they seem to need them.

use std::sync::Arc;

use super::carry::has_word;
use super::layout::Layout;
use super::moving::Moving;
use super::pins;
use super::place::{Place, uses};
use super::tools;
use crate::yaml::{Content, Node};

/// Actions that need no checked-out tree.
const NEEDS_NO_TREE: &[&str] = &[
    "softprops/action-gh-release",
    "ncipollo/release-action",
    "actions/create-release",
    "actions/github-script",
    "actions/download-artifact",
    "slackapi/",
    "8398a7/action-slack",
    "rtcamp/action-slack-notify",
    "peter-evans/repository-dispatch",
    "sarisia/actions-status-discord",
    "ilshidur/action-discord",
    "dawidd6/action-send-mail",
    "appleboy/telegram-action",
];

/// Checkout and tools, where the steps seem to need them.
pub(super) fn workspace(
    place: &Place<'_>,
    moving: &[Moving<'_>],
    text: &str,
    dash: &str,
) -> Result<String, String> {
    let layout = place.layout();
    let needs_tree = moving.iter().any(|(step, ..)| match &step.run {
        Some(run) => {
            let plain = |line: &str| {
                let first = line.split_whitespace().next().unwrap_or("");
                matches!(first, "" | "echo" | "curl" | "sleep" | "true" | "exit")
                    || first.starts_with(['#', '-', '}', '\'', '"'])
            };
            !run.text().unwrap_or("").lines().all(|line| plain(line.trim()))
        }
        None => {
            let named = uses(step);
            !NEEDS_NO_TREE.iter().any(|known| named.starts_with(known))
                || step.with.iter().any(|entry| entry.name.ends_with("path") || entry.name.ends_with("file"))
        }
    });
    let mut steps = String::new();
    for (step, node) in place.steps().into_iter().take(place.at) {
        let name = uses(step);
        let tool = name.strip_prefix("actions/setup-").and_then(|rest| rest.split('@').next());
        let words: &[&str] = match tool {
            Some("python") => &["python", "pip", "mkdocs", "mike", "sphinx-build", "poetry"],
            Some("node") => &["npm", "node", "npx", "yarn"],
            Some("go") => &["go"],
            _ => &[],
        };
        let already =
            moving.iter().any(|(later, ..)| uses(later).split('@').next() == name.split('@').next());
        let is_used = name.starts_with("actions/checkout") || words.iter().any(|word| has_word(text, word));
        let wanted = needs_tree && !already && is_used;
        if !wanted {
            continue;
        }
        let pin = match (name.starts_with("actions/checkout"), tool) {
            (true, _) => Some(pins::CHECKOUT),
            (_, Some("python")) => Some(pins::SETUP_PYTHON),
            _ => None,
        };
        steps.push_str(&again(place, layout, node, pin, dash, text));
    }
    // Steps that do nothing but install what these need.
    let used: Vec<String> =
        moving.iter().filter_map(|(step, ..)| step.run.as_ref()?.text()).flat_map(tools::used).collect();
    let python = used.iter().any(|tool| tool.starts_with("python"));
    let others = used.iter().any(|tool| !tools::is_there(tool));
    for (_, lines) in tools::installed(place).steps {
        let only_builds = lines.contains("install") && !others && tools::only_for_building(&lines);
        if (others || python) && !only_builds {
            let mut lines = lines;
            if !lines.ends_with('\n') {
                lines.push_str(place.newline());
            }
            steps.push_str(&lines);
        }
    }
    Ok(steps)
}

/// A step once more: pinned where the pin is known, and a checkout leaves no token unless something pushes.
fn again(
    place: &Place<'_>,
    layout: &Layout<'_>,
    node: &Arc<Node>,
    pin: Option<pins::Pin>,
    dash: &str,
    text: &str,
) -> String {
    let (newline, unit) = (place.newline(), place.unit());
    let lines = layout.text.get(place.lines(node)).unwrap_or("");
    let pushes = ["git push", "commit", "mike ", "gh-deploy"].iter().any(|word| text.contains(word));
    let uses = layout.entry(node, "uses").and_then(|(_, value)| value.text()).unwrap_or("");
    let (Some(pin), false) = (pin, lines.contains("matrix.")) else { return lines.to_owned() };
    let is_checkout = pin.name.ends_with("/checkout");
    let pinned = uses.split_once('@').is_some_and(|(_, at)| at.len() == 40);
    let mut with: Vec<&str> = Vec::new();
    if let Some((_, value)) = layout.entry(node, "with")
        && let Content::Mapping(pairs) = &value.content
    {
        for (key, value) in pairs {
            let entry = layout.text.get(key.bytes.range().start..layout.content_end(value)).unwrap_or("");
            if entry.contains('\n') {
                return lines.to_owned();
            }
            let restores = key.text().is_some_and(|name| name.starts_with("cache"));
            if key.text() != Some("persist-credentials") && !restores {
                with.push(entry);
            }
        }
    }
    if is_checkout {
        with.push(if pushes { "persist-credentials: true" } else { "persist-credentials: false" });
    }
    let reference = if pinned { uses.to_owned() } else { pin.reference() };
    let mut again = format!("{dash}- uses: {reference}{newline}");
    if !with.is_empty() {
        again.push_str(&format!("{dash}  with:{newline}"));
        with.iter().for_each(|line| again.push_str(&format!("{dash}  {unit}{line}{newline}")));
    }
    again
}
