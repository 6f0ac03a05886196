//! A job that does nothing but publish what others built: changed where it stands.

use super::after;
use super::carry::Carry;
use super::chain;
use super::permissions;
use super::place::{Place, uses};
use super::{Change, Publisher, action, credentials, environments, uploading};
use crate::edit::Edit;
use crate::workflow::Step;

/// Whether the steps before the upload do nothing but fetch what another job built.
pub(super) fn fits(place: &Place<'_>) -> bool {
    let known = ["actions/download-artifact", "actions/checkout", "pypa/gh-action-pypi-publish"];
    let fetches = |step: &&Step| known.iter().any(|known| uses(step).starts_with(known));
    let before = || place.job.steps.iter().take(place.at);
    let later = place.job.steps.iter().skip(place.at + 1);
    before().all(|step| fetches(&step))
        && before().any(|step| uses(step).starts_with("actions/download-artifact"))
        && (later.into_iter().all(|step| fetches(&step)) || after::all_move(place))
}

/// The publish action gets no password any more, and the job the right to prove who it is. `instead` are the edits that
/// put the action in the place of a command.
pub(super) fn change(place: &Place<'_>, instead: Option<Vec<Edit>>) -> Result<Change, String> {
    let layout = place.layout();
    let step = place.lines(place.step_node);
    let within = |edit: &Edit| edit.start >= step.start && edit.end <= step.end;
    let mut edits = credentials::taken_out(place, std::slice::from_ref(&step), false);
    edits.retain(|edit| !within(edit));
    edits.extend(match instead {
        Some(instead) => instead,
        None => action::edits(place)?,
    });
    let (at, indent) = place.before_steps()?;
    let mut notes = Vec::new();
    let environment = match layout.entry(place.job_node, "environment") {
        Some((_, value)) => environments::name(value),
        None => {
            let name = environments::wanted(place, &place.found.registry);
            edits.push(Edit::insert(at, format!("{indent}environment: {name}{}", place.newline())));
            name
        }
    };
    edits.extend(permissions::may_publish(place)?);
    let mut carry = Carry::new(&place.job.id);
    let conditional = place.step.condition.is_some();
    let after = after::write(place, &[], &place.job.id, conditional, &mut carry)?;
    let mut tail = place.job.id.clone();
    if let Some(after) = after {
        tail.clone_from(&after.id);
        edits.extend(after.edits);
        edits.push(chain::at_end(place, &after.text, after.ends));
        notes.push(after.note);
    }
    edits.extend(chain::outputs(place, &carry)?);
    if tail != place.job.id {
        edits.extend(chain::dependents(place, &tail, false));
    }
    let (for_all, note) = permissions::not_for_all(place);
    edits.extend(for_all);
    notes.extend(note);
    let publisher = Publisher::new(place.subject, place.found, &place.found.registry, &environment);
    notes.extend(environments::chosen_by_run(place));
    notes.extend(action::too_old(place));
    notes.extend(super::notes(place));
    Ok(Change { edits, publishers: vec![publisher], notes, head: None })
}

/// A job that only fetches and uploads by a command: the publish action takes the command's place.
pub(super) fn by_command(place: &Place<'_>, script: &super::script::Script) -> Option<Vec<Edit>> {
    if uploading::is_all_of(place.job, place.step) { uploading::instead(place, script) } else { None }
}
