//! Uploads that stand in another file: a Makefile, nox, tox, a release tool. Their step only hands the token over; what they do
//! with it is not this program's to change, and is said.

use super::script::is_upload;
use super::variables::is_credential;
use crate::workflow::{Entry, Workflow};
use crate::yaml;

/// A note for each job that hands a publishing tool's credential to something that isn't known to upload.
pub(super) fn uploads(text: &str) -> Vec<String> {
    let Ok(root) = yaml::parse(text) else { return Vec::new() };
    let workflow = Workflow::read(&root);
    let holds = |entries: &[Entry]| {
        entries
            .iter()
            .find(|entry| {
                is_credential(&entry.name)
                    && !entry.name.ends_with("USERNAME")
                    && entry.node.text().is_some_and(|value| value.contains("secrets."))
            })
            .map(|entry| entry.name.clone())
    };
    let of_workflow = holds(&workflow.env);
    let mut notes = Vec::new();
    for job in &workflow.jobs {
        let of_job = holds(&job.env).or_else(|| of_workflow.clone());
        let by_action = job.steps.iter().find_map(|step| {
            let told = step.with.iter().filter_map(|entry| entry.node.text()).any(is_upload);
            step.uses.as_ref()?.text().filter(|_| told)
        });
        if let Some(action) = by_action {
            notes.push(format!(
                "{}: has `{action}` run the upload: let a step of its own run it first",
                job.id
            ));
            continue;
        }
        let scripts: Vec<_> =
            job.steps.iter().filter_map(|step| Some((step, step.run.as_ref()?.text()?))).collect();
        if scripts.iter().any(|(_, script)| is_upload(script)) {
            continue;
        }
        let calls = [
            "make",
            "nox",
            "tox",
            "invoke",
            "just",
            "task",
            "./",
            "bash ",
            "sh ",
            "python ",
            "semantic-release",
            "hatch run",
            "poetry run",
            "uv run",
            "pdm run",
        ];
        let found = scripts.iter().find_map(|(step, script)| {
            let name = holds(&step.env).or_else(|| of_job.clone())?;
            let line =
                script.lines().map(str::trim).find(|line| calls.iter().any(|call| line.starts_with(call)))?;
            Some((name, line.chars().take(80).collect::<String>()))
        });
        if let Some((name, line)) = found {
            notes.push(format!(
                "{}: hands `{name}` to `{line}`, and the upload stands there: let it only build, and upload in a step of its own with pypa/gh-action-pypi-publish",
                job.id
            ));
        }
    }
    notes
}
