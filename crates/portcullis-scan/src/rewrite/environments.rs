//! The environment that a publishing job names: the one that was there, else a new one.

use std::sync::Arc;

use super::carry::Carry;
use super::place::Place;
use crate::edit::Edit;
use crate::yaml::Node;

/// The environment for a job that has none.
pub(super) fn wanted(place: &Place<'_>, registry: &str) -> String {
    if registry == "pypi" { place.subject.options.environment.clone() } else { registry.to_owned() }
}

/// `environment: name` or `environment: {name: …}`.
pub(super) fn name(value: &Arc<Node>) -> String {
    value.text().or_else(|| value.get("name").and_then(|name| name.text())).unwrap_or("").to_owned()
}

/// What to say about an environment that an expression chooses.
pub(super) fn chosen_by_run(place: &Place<'_>) -> Option<String> {
    let (_, value) = place.layout().entry(place.job_node, "environment")?;
    name(value).contains("${{").then(|| {
        format!(
            "an expression chooses the environment of `{}`: register a publisher for each that it can be, or one without environment",
            place.job.id
        )
    })
}

/// The environment of a job that is parted: it is there for the publishing, so it goes with it.
pub(super) struct Moved {
    /// The lines of the publishing job.
    pub(super) text: String,
    /// The environment's name.
    pub(super) name: String,
    /// Takes it out of the building job, where nothing there reads its secrets or variables.
    pub(super) edit: Option<Edit>,
}

/// `left` is the text of what stays in the building job.
pub(super) fn moved(place: &Place<'_>, registry: &str, left: &str, carry: &mut Carry) -> Moved {
    let layout = place.layout();
    let keys = place.keys();
    let new = || {
        let name = wanted(place, registry);
        Moved { text: format!("{keys}environment: {name}{}", place.newline()), name, edit: None }
    };
    let Some((key, value)) = layout.entry(place.job_node, "environment") else { return new() };
    let lines = layout.lines(key, value);
    let text = layout.text.get(lines.clone()).unwrap_or("");
    let given = name(value);
    if text.contains("matrix.") || given.is_empty() {
        return new();
    }
    let reads = crate::analysis::names_in(left).iter().any(|name| !name.eq_ignore_ascii_case("GITHUB_TOKEN"))
        || left.contains("vars.");
    let ids: Vec<&str> = place.job.steps.iter().filter_map(|step| step.id.as_deref()).collect();
    let mut text = carry.steps(text, &ids);
    if !text.ends_with('\n') {
        text.push_str(place.newline());
    }
    Moved { text, name: given, edit: (!reads).then(|| Edit::remove(lines)) }
}
