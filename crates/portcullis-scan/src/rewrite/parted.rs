//! A job that builds and publishes, parted: it keeps what it built, a new job publishes it, and what came after waits.

use super::artifacts::Artifact;
use super::carry::Carry;
use super::condition::{self, scalar};
use super::place::Place;
use super::script::{Script, Sending};
use super::{
    Change, Publisher, action, after, chain, credentials, environments, files, permissions, uploading,
};
use crate::edit::Edit;
use crate::workflow::Step;
use crate::yaml::Node;

/// One publishing of the parted job.
struct Publishing<'s> {
    registry: String,
    /// What a script sent; `None` for the action, which moves as it stands.
    sending: Option<&'s Sending>,
    /// Which of the artifacts.
    artifacts: Vec<usize>,
}

/// Parts the job at the upload; `script` is what uploaded, where it was no publish action.
pub(super) fn change(place: &Place<'_>, script: Option<&Script>) -> Result<Change, String> {
    let layout = place.layout();
    let (newline, unit, dash) = (place.newline(), place.unit(), place.dash()?);
    let step = place.lines(place.step_node);
    let stays = script.is_some_and(|script| script.edits.is_some());
    let (artifacts, publishings) = sent(place, script)?;

    let mut gone = after::ranges(place);
    match script.and_then(|script| script.edits.as_ref()) {
        Some(edits) => gone.extend(edits.iter().map(|edit| edit.start..edit.end)),
        None => gone.push(step.clone()),
    }
    let moved_away = after::ranges(place);
    let read_here: Vec<_> = gone.iter().filter(|range| !moved_away.contains(range)).cloned().collect();
    let mut edits = credentials::taken_out(place, &read_here, stays);
    edits.retain(|edit| !moved_away.iter().any(|range| edit.start >= range.start && edit.end <= range.end));

    let own = place.layout().entry(place.step_node, "if").and_then(|(_, node)| node.text());
    let told = script.map(|script| told(place, script)).transpose()?.flatten();
    let asked: Vec<String> = publishings.iter().filter_map(|one| told.as_ref()?.asks(one.sending)).collect();
    let kept = if asked.is_empty() { own.map(scalar) } else { Some(scalar(&asked.join(" || "))) };
    edits.extend(told.as_ref().and_then(|told| told.edit.clone()));
    let upload: String =
        artifacts.iter().map(|artifact| artifact.upload(&dash, &unit, newline, kept.as_deref())).collect();
    match script.and_then(|script| script.edits.clone()) {
        Some(script) => {
            edits.extend(script);
            edits.push(Edit::insert(
                step.end,
                if ends_line(place, step.end) { upload } else { format!("{newline}{upload}") },
            ));
        }
        None => {
            let comments = if script.is_some() { layout.comments(step.clone()) } else { String::new() };
            edits.push(Edit::replace(step.clone(), format!("{comments}{upload}")));
        }
    }

    let left: Vec<(&Step, &Node)> = place
        .steps()
        .into_iter()
        .filter(|(_, node)| !gone.iter().any(|range| range.contains(&node.bytes.range().start)))
        .map(|(step, node)| (step, node.as_ref()))
        .collect();
    let left_text: String = left.iter().filter_map(|(_, node)| layout.text.get(place.lines(node))).collect();
    let mut carry = Carry::new(&place.job.id);
    let mut jobs = String::new();
    let mut publishers = Vec::new();
    let (mut head, mut tail): (Option<String>, String) = (None, place.job.id.clone());
    let conditional = own.is_some() || !asked.is_empty();
    for publishing in &publishings {
        let environment = environments::moved(place, &publishing.registry, &left_text, &mut carry);
        let taken: Vec<String> = head.iter().cloned().collect();
        let id = place.new_id(&wanted_id(place, publishing, &artifacts), &taken);
        let before = (tail != place.job.id).then_some(tail.as_str());
        jobs.push_str(newline);
        jobs.push_str(&job(
            place,
            publishing,
            &artifacts,
            &id,
            before,
            &environment.text,
            &Condition { own, told: told.as_ref().and_then(|told| told.asks(publishing.sending)) },
            &mut carry,
        )?);
        publishers.push(Publisher::new(place.subject, place.found, &publishing.registry, &environment.name));
        if head.is_none() {
            edits.extend(environment.edit);
            head = Some(id.clone());
        }
        tail = id;
    }
    let mut ends = step.end == layout.line_end(layout.content_end(place.job_node)) && !stays;
    let mut notes = Vec::new();
    if let Some(after) = after::write(place, &artifacts, &tail, conditional, &mut carry)? {
        jobs.push_str(newline);
        jobs.push_str(&after.text);
        edits.extend(after.edits);
        notes.push(after.note);
        ends |= after.ends;
        tail = after.id;
    }
    // `at_end` begins with the empty line that the first job's text has already.
    let jobs = jobs.strip_prefix(newline).unwrap_or(&jobs);
    edits.push(chain::at_end(place, jobs, ends || stays));
    edits.extend(chain::outputs(place, &carry)?);
    edits.extend(match &place.found.head {
        Some(known) => chain::waits(place, known, &tail, conditional),
        None => chain::dependents(place, &tail, conditional),
    });
    edits.extend(permissions::builds_only(place, &left));
    edits.extend(permissions::lowered(place).into_iter().flat_map(|(edits, _)| edits));
    if script.is_some_and(|script| script.goes_on) {
        notes.push(format!(
            "the script that uploaded in `{}` goes on afterwards, and that runs before the publishing now: if it must not, put it into a step of its own behind it and run this again",
            place.job.id
        ));
    }
    notes.extend(after::left_before(place));
    let (for_all, note) = permissions::not_for_all(place);
    edits.extend(for_all);
    notes.extend(note);
    notes.extend(environments::chosen_by_run(place));
    notes.extend(action::too_old(place));
    notes.extend(super::notes(place));
    Ok(Change { edits: merged(edits), publishers, notes, head })
}

/// When something is published: as the step asks, or as its script tells.
struct Condition<'c> {
    own: Option<&'c str>,
    told: Option<String>,
}

/// The step's id, by which others read what its script tells.
struct Told {
    id: String,
    /// Gives the step an id, where it has none.
    edit: Option<Edit>,
}

impl Told {
    fn asks(&self, sending: Option<&Sending>) -> Option<String> {
        let output = sending?.output.as_ref()?;
        Some(format!("steps.{}.outputs.{output} == 'true'", self.id))
    }
}

/// `None` where the script tells nothing.
fn told(place: &Place<'_>, script: &Script) -> Result<Option<Told>, String> {
    if script.sendings.iter().all(|sending| sending.output.is_none()) {
        return Ok(None);
    }
    if place.is_powershell() {
        return Err(
            "the upload hangs on a condition of a PowerShell script: write it as `if:` of a step first"
                .to_owned(),
        );
    }
    if let Some(id) = &place.step.id {
        return Ok(Some(Told { id: id.clone(), edit: None }));
    }
    let layout = place.layout();
    if layout.is_flow(place.step_node) {
        return Err("the step is written in one line: write it out first".to_owned());
    }
    let taken = |id: &str| place.job.steps.iter().any(|step| step.id.as_deref() == Some(id));
    let candidates =
        std::iter::once("upload".to_owned()).chain((2..).map(|number| format!("upload-{number}")));
    let id = candidates.take(1_000).find(|id| !taken(id)).ok_or("the job has too many steps")?;
    let (run, _) = layout.entry(place.step_node, "run").ok_or("the step runs nothing")?;
    let start = run.bytes.range().start;
    let text = format!("id: {id}{}{}", layout.newline, " ".repeat(layout.column(start)));
    Ok(Some(Told { id, edit: Some(Edit::insert(start, text)) }))
}

/// `publish-to-pypi`; where a job publishes several packages, with the folder that each comes from.
fn wanted_id(place: &Place<'_>, publishing: &Publishing<'_>, artifacts: &[Artifact]) -> String {
    let package = publishing
        .artifacts
        .first()
        .and_then(|at| artifacts.get(*at))
        .and_then(|artifact| artifact.files.package())
        .filter(|_| place.found.others_of_job > 0 || place.found.head.is_some());
    match package {
        Some(package) => format!("publish-{package}-to-{}", publishing.registry),
        None => format!("publish-to-{}", publishing.registry),
    }
}

fn ends_line(place: &Place<'_>, at: usize) -> bool {
    place.layout().text.get(..at).is_some_and(|text| text.ends_with('\n'))
}

/// What goes from job to job, and what is published of it in which order.
fn sent<'s>(
    place: &Place<'_>,
    script: Option<&'s Script>,
) -> Result<(Vec<Artifact>, Vec<Publishing<'s>>), String> {
    let mut artifacts: Vec<Artifact> = Vec::new();
    let mut publishings = Vec::new();
    let mut add = |files: files::Files, registry: &str| {
        if let Some(known) = artifacts.iter().position(|artifact| artifact.files == files) {
            return known;
        }
        let names: Vec<String> = artifacts.iter().map(|artifact| artifact.name.clone()).collect();
        let name = files::artifact(place, registry, &names);
        artifacts.push(Artifact { files, name, of_matrix: place.is_matrix() });
        artifacts.len() - 1
    };
    match script {
        None => {
            let registry = place.found.registry.clone();
            let at = add(files::of_action(place)?, &registry);
            publishings.push(Publishing { registry, sending: None, artifacts: vec![at] });
        }
        Some(script) => {
            let registries = || script.sendings.iter().map(|sending| uploading::registry(place, sending));
            let names = if registries().any(|registry| registry == "pypi") { "pypi" } else { "testpypi" };
            for sending in &script.sendings {
                let registry = uploading::registry(place, sending);
                let found = files::of(place, script, sending)?;
                let artifacts: Vec<usize> = found.into_iter().map(|files| add(files, names)).collect();
                // `twine upload a/*` and `twine upload b/*`, one after the other, are one publishing of two folders.
                let same =
                    publishings.iter_mut().find(|known: &&mut Publishing<'_>| known.registry == registry);
                match same {
                    Some(known) => known.artifacts.extend(artifacts),
                    None => publishings.push(Publishing { registry, sending: Some(sending), artifacts }),
                }
            }
        }
    }
    for publishing in &mut publishings {
        publishing.artifacts.sort_unstable();
        publishing.artifacts.dedup();
    }
    Ok((artifacts, publishings))
}

#[expect(clippy::too_many_arguments, reason = "the facts of one job, each from another place")]
fn job(
    place: &Place<'_>,
    publishing: &Publishing<'_>,
    artifacts: &[Artifact],
    id: &str,
    before: Option<&str>,
    environment: &str,
    asks: &Condition<'_>,
    carry: &mut Carry,
) -> Result<String, String> {
    let (newline, keys, unit, dash) = (place.newline(), place.keys(), place.unit(), place.dash()?);
    let build = &place.job.id;
    let mut text = String::new();
    let condition = match &asks.told {
        Some(told) => Some(format!("{} == 'true'", carry.output(&format!("run-{id}"), told))),
        None => asks.own.and_then(|own| condition::for_a_job(own, id, place.is_matrix(), carry)),
    };
    if let Some(condition) = &condition {
        text.push_str(&format!("{keys}if: {}{newline}", scalar(condition)));
    }
    text.push_str(&format!("{keys}runs-on: ubuntu-latest{newline}{environment}"));
    text.push_str(&format!("{keys}permissions:{newline}{keys}{unit}id-token: write{newline}"));
    let mine: Vec<&Artifact> = publishing.artifacts.iter().filter_map(|at| artifacts.get(*at)).collect();
    let folder = match mine.as_slice() {
        // The action's own input names the folder.
        [one] if publishing.sending.is_none() => one.files.portable_folder(),
        _ => "dist".to_owned(),
    };
    let step = match publishing.sending {
        None => {
            let elsewhere = mine.first().is_some_and(|artifact| artifact.files.folder != folder);
            action::moved(place, elsewhere)?
        }
        Some(sending) => new_step(place, sending, &folder, &dash),
    };
    let ids: Vec<&str> = place.job.steps.iter().filter_map(|step| step.id.as_deref()).collect();
    let step = carry.steps(&step, &ids);
    let variables = after::variables(place, &step, carry);
    if !variables.is_empty() {
        text.push_str(&format!("{keys}env:{newline}"));
        variables.iter().for_each(|line| text.push_str(&format!("{keys}{unit}{line}{newline}")));
    }
    text.push_str(&format!("{keys}steps:{newline}"));
    mine.iter().for_each(|artifact| text.push_str(&artifact.download(&dash, &unit, newline, &folder)));
    text.push_str(&step);
    let mut needs: Vec<&str> = vec![build];
    needs.extend(before);
    let read = condition::read_jobs(&text, &needs);
    let needs = match (needs.as_slice(), read.as_slice()) {
        ([only], []) => (*only).to_owned(),
        _ => format!(
            "[{}]",
            needs.iter().copied().chain(read.iter().map(String::as_str)).collect::<Vec<_>>().join(", ")
        ),
    };
    Ok(format!("{}{id}:{newline}{keys}needs: {needs}{newline}{text}", place.outer()))
}

/// The publish action's step, with the name and the tolerance of the step that it takes the place of.
fn new_step(place: &Place<'_>, sending: &Sending, folder: &str, dash: &str) -> String {
    let (layout, newline) = (place.layout(), place.newline());
    let said = |name: &str| {
        let (key, value) = layout.entry(place.step_node, name)?;
        let text = layout.text.get(key.bytes.range().start..layout.entry_end(key, value))?;
        (!text.contains('\n')).then_some(text)
    };
    let mut keys: Vec<String> = Vec::new();
    // A step that builds too has its name for both.
    if script_is_whole(place) {
        keys.extend(said("name").map(str::to_owned));
    }
    keys.push(uploading::action(place, sending, folder, dash.len() + 2));
    if !sending.may_fail {
        keys.extend(said("continue-on-error").map(str::to_owned));
    }
    format!("{dash}- {}{newline}", keys.join(&format!("{newline}{dash}  ")))
}

/// Whether the step does nothing but upload.
fn script_is_whole(place: &Place<'_>) -> bool {
    uploading::read(place).is_some_and(|script| script.is_ok_and(|script| script.edits.is_none()))
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
