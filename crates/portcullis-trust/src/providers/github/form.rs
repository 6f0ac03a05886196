//! What a person typed to configure a publisher of GitHub, validated. The messages are PyPI's
//! (`warehouse/oidc/forms/github.py`) where PyPI has one.

use super::{Configuration, EVENTS_FORBIDDEN, GitHub, is_id, is_workflow_name};
use crate::provider::Provider;
use crate::publisher::FieldError;

const NAME_BYTES_MAX: usize = 100;
const WORKFLOW_BYTES_MAX: usize = 255;
const ENVIRONMENT_CHARACTERS_MAX: usize = 255;
pub(super) const LIST_ITEMS_MAX: usize = 20;
pub(super) const LIST_ITEM_BYTES_MAX: usize = 255;

/// The configuration that the values make, or everything that is wrong with them.
pub(super) fn read(values: &[(String, String)]) -> Result<Configuration, Vec<FieldError>> {
    let mut form = Form { values, errors: Vec::new() };
    let configuration = form.configuration();
    if form.errors.is_empty() { Ok(configuration) } else { Err(form.errors) }
}

/// What was typed, and what is wrong with it so far.
struct Form<'a> {
    values: &'a [(String, String)],
    errors: Vec<FieldError>,
}

impl<'a> Form<'a> {
    fn configuration(&mut self) -> Configuration {
        self.check_names();
        let mut refs = self.list("refs");
        let mut events = self.list("events");
        refs.sort();
        refs.dedup();
        events.sort();
        events.dedup();
        self.check_refs(&refs);
        self.check_events(&events);
        let configuration = Configuration {
            owner: self.value("owner").to_owned(),
            owner_id: self.id("owner_id"),
            repository: self.value("repository").to_owned(),
            repository_id: self.id("repository_id"),
            workflow: self.workflow().to_owned(),
            environment: self.environment(),
            refs,
            events,
            runner_environment: self.runner_environment(),
            ref_protected: self.ref_protected(),
        };
        self.check_owner(&configuration.owner);
        self.check_repository(&configuration.repository);
        self.check_workflow(&configuration.workflow);
        configuration
    }

    fn wrong(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError { field: field.to_owned(), message: message.into() });
    }

    /// The value of a field, or nothing.
    fn value(&self, name: &str) -> &'a str {
        let given = self.values.iter().find(|(field, _)| field == name);
        given.map_or("", |(_, value)| value.as_str())
    }

    fn check_names(&mut self) {
        let known: Vec<&str> = GitHub.fields().iter().map(|field| field.name).collect();
        let mut seen: Vec<&str> = Vec::new();
        for (name, _) in self.values {
            // PyPI's form calls it so.
            let name = if name == "workflow_filename" { "workflow" } else { name.as_str() };
            if !known.contains(&name) {
                let name: String = name.chars().take(NAME_BYTES_MAX).collect();
                self.wrong(&name, format!("Unknown field; GitHub publishers have {}", known.join(", ")));
            } else if seen.contains(&name) {
                self.wrong(name, "Given twice");
            } else {
                seen.push(name);
            }
        }
    }

    fn check_owner(&mut self, owner: &str) {
        let valid = owner.starts_with(|first: char| first.is_ascii_alphanumeric())
            && owner.chars().all(|character| character.is_ascii_alphanumeric() || character == '-');
        if owner.is_empty() {
            self.wrong("owner", "Specify GitHub repository owner (username or organization)");
        } else if !valid || owner.len() > NAME_BYTES_MAX {
            self.wrong("owner", "Invalid GitHub user or organization name.");
        }
    }

    fn check_repository(&mut self, repository: &str) {
        let valid = repository
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.'));
        if repository.is_empty() {
            self.wrong("repository", "Specify repository name");
        } else if !valid || repository.len() > NAME_BYTES_MAX {
            self.wrong("repository", "Invalid repository name");
        }
    }

    fn workflow(&self) -> &'a str {
        let workflow = self.value("workflow");
        let workflow = if workflow.is_empty() { self.value("workflow_filename") } else { workflow };
        workflow.trim()
    }

    fn check_workflow(&mut self, workflow: &str) {
        if workflow.is_empty() {
            self.wrong("workflow", "Specify workflow filename");
        } else if !workflow.ends_with(".yml") && !workflow.ends_with(".yaml") {
            self.wrong("workflow", "Workflow name must end with .yml or .yaml");
        } else if workflow.contains('/') {
            self.wrong("workflow", "Workflow filename must be a filename only, without directories");
        } else if !is_workflow_name(workflow) || workflow.chars().any(char::is_control) {
            // PyPI takes these and then never matches them.
            self.wrong("workflow", "Invalid workflow filename");
        } else if workflow.len() > WORKFLOW_BYTES_MAX {
            self.wrong(
                "workflow",
                format!("Workflow filename must have at most {WORKFLOW_BYTES_MAX} characters"),
            );
        }
    }

    /// Lower-cased, since GitHub's environments ignore case. Nothing but white space means none.
    fn environment(&mut self) -> String {
        let environment = self.value("environment");
        if environment.trim().is_empty() {
            return String::new();
        }
        let forbidden = |character: char| {
            character.is_ascii_control() || matches!(character, '\'' | '"' | '`' | ',' | ';' | '\\')
        };
        if environment.chars().count() > ENVIRONMENT_CHARACTERS_MAX {
            self.wrong("environment", "Environment name is too long");
        } else if environment.starts_with(' ') {
            self.wrong("environment", "Environment name may not start with whitespace");
        } else if environment.ends_with(' ') {
            self.wrong("environment", "Environment name may not end with whitespace");
        } else if environment.chars().any(forbidden) {
            self.wrong(
                "environment",
                "Environment name must not contain non-printable characters or the characters ' \" ` , ; \\",
            );
        }
        environment.to_lowercase()
    }

    fn list(&mut self, name: &'static str) -> Vec<String> {
        let value = self.value(name);
        let separated = value.split(|character: char| character == ',' || character.is_ascii_whitespace());
        let items: Vec<String> = separated.filter(|item| !item.is_empty()).map(str::to_owned).collect();
        if items.len() > LIST_ITEMS_MAX {
            self.wrong(name, format!("At most {LIST_ITEMS_MAX} can be listed"));
        } else if items.iter().any(|item| item.len() > LIST_ITEM_BYTES_MAX) {
            self.wrong(name, format!("Each must have at most {LIST_ITEM_BYTES_MAX} characters"));
        }
        items
    }

    fn check_refs(&mut self, refs: &[String]) {
        if refs.iter().any(|pattern| !pattern.starts_with("refs/") || pattern.chars().any(char::is_control)) {
            self.wrong("refs", "Write refs in full, for example refs/tags/v* or refs/heads/main");
        }
    }

    fn check_events(&mut self, events: &[String]) {
        let named = |event: &str| event.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if let Some(event) = events.iter().find(|event| EVENTS_FORBIDDEN.contains(&event.as_str())) {
            let message = format!(
                "Publishing from a workflow invoked via '{event}' is not supported: strangers can trigger it"
            );
            self.wrong("events", message);
        } else if events.iter().any(|event| !named(event)) {
            self.wrong("events", "Write events as GitHub does, for example push, release, workflow_dispatch");
        }
    }

    fn id(&mut self, name: &'static str) -> Option<String> {
        let value = self.value(name).trim();
        if value.is_empty() {
            return None;
        }
        if !is_id(value) {
            self.wrong(name, "Write GitHub's number, digits only");
        }
        Some(value.to_owned())
    }

    fn runner_environment(&mut self) -> Option<String> {
        match self.value("runner_environment") {
            "" => None,
            value @ ("github-hosted" | "self-hosted") => Some(value.to_owned()),
            _ => {
                self.wrong("runner_environment", "Write github-hosted or self-hosted");
                None
            }
        }
    }

    fn ref_protected(&mut self) -> bool {
        match self.value("ref_protected") {
            "" | "false" => false,
            "true" => true,
            _ => {
                self.wrong("ref_protected", "Write true or false");
                false
            }
        }
    }
}
