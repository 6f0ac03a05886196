//! The identity that a job publishes with, in the words of the form that registers it.

use serde::Serialize;

/// What to register at the index; owner, repository and project are known to the caller only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Publisher {
    /// File name of the workflow, without its folder.
    pub workflow: String,
    /// The environment that the job names; empty where only the run knows it.
    pub environment: String,
    /// `pypi` or `testpypi`.
    pub registry: String,
    /// The directory that the package lies in, where one is given.
    pub directory: Option<String>,
    /// The refs that start it, as patterns, and the events: pins that a Portcullis server can hold it to.
    pub events: Vec<String>,
    /// See `events`.
    pub refs: Vec<String>,
}

impl Publisher {
    /// For a job of a workflow.
    pub(super) fn new(
        subject: &super::Subject<'_>,
        found: &super::Found,
        registry: &str,
        environment: &str,
    ) -> Self {
        let triggers = &subject.workflow.triggers;
        let mut refs = Vec::new();
        for trigger in triggers {
            refs.extend(trigger.branches.iter().flatten().map(|name| format!("refs/heads/{name}")));
            refs.extend(trigger.tags.iter().flatten().map(|name| format!("refs/tags/{name}")));
        }
        Self {
            workflow: subject.path.rsplit('/').next().unwrap_or(subject.path).to_owned(),
            // One that an expression chooses is several; none given is any of them.
            environment: if environment.contains("${{") { String::new() } else { environment.to_owned() },
            registry: registry.to_owned(),
            directory: found.directory.clone(),
            events: triggers.iter().map(|trigger| trigger.event.clone()).collect(),
            refs,
        }
    }
}
