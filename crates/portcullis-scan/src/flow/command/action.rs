//! Actions: which publish, which keep artifacts, which run code, and who gets a secret as an input.

use std::collections::HashMap;

use super::Language;
use crate::flow::script::Script;
use crate::flow::trace::{Channel, ObservationKind, Role};
use crate::flow::value::{Part, Value};
use crate::flow::{JobState, Tracer};
use crate::span::Bytes;
use crate::workflow::{Entry, Step};

/// One `uses:` with all that it gets.
pub struct Use<'u> {
    /// `owner/name@ref`, or `docker://image`.
    pub reference: &'u str,
    /// Inputs by lower-case name.
    pub inputs: &'u HashMap<String, Value>,
    /// `env:` of the step itself.
    pub own_environment: &'u HashMap<String, Value>,
    /// The environment around the step.
    pub inherited: &'u HashMap<String, Value>,
    /// Inputs with their places.
    pub with: &'u [Entry],
    /// The step.
    pub step: &'u Step,
    /// Which of the trace's files it stands in.
    pub file: usize,
    /// Where the reference stands.
    pub bytes: Bytes,
    /// Calls so far.
    pub depth: usize,
}

impl Use<'_> {
    fn input(&self, name: &str) -> Value {
        self.inputs.get(name).cloned().unwrap_or_default()
    }

    fn everything(&self) -> Value {
        let mut all = Value::empty();
        let mut names: Vec<&String> = self.inputs.keys().collect();
        names.sort();
        for name in names {
            if let Some(value) = self.inputs.get(name) {
                all.push_text(&format!("{name}: "));
                all.append(value.clone());
                all.push_text("\n");
            }
        }
        for value in crate::flow::job::in_order(self.own_environment) {
            all.append(value.only_carried());
        }
        all
    }
}

/// Follows one `uses:` of an action that is not of this repository.
pub fn run(
    tracer: &mut Tracer<'_>,
    state: &mut JobState,
    action: &Use<'_>,
    environment: &HashMap<String, Value>,
) {
    let name = action.reference.split('@').next().unwrap_or("").to_ascii_lowercase();
    if let Some(image) = action.reference.strip_prefix("docker://") {
        let arguments = super::image::words(&action.input("args"));
        let entrypoint = action.inputs.get("entrypoint").cloned();
        let words = super::image::command_line(image, entrypoint, arguments, action.bytes);
        if words.is_empty() {
            tracer.works();
        } else {
            let script = Script::from_value(Value::empty(), action.file, action.bytes);
            crate::flow::shell::run_words(tracer, state, environment, script, words, action.depth);
        }
        let target = Value::text(image);
        tracer.deliver(
            action.everything(),
            Channel::Image,
            Role::Payload,
            target,
            "docker",
            action.file,
            action.bytes,
        );
        return;
    }
    match name.as_str() {
        "actions/checkout" => {
            let reference = action.input("ref").template();
            if reference.contains("pull_request.head")
                || reference.contains("head_ref")
                || reference.contains("refs/pull")
            {
                tracer.observe(
                    ObservationKind::UntrustedCheckout,
                    Value::text(reference),
                    action.file,
                    action.bytes,
                );
            }
            return;
        }
        "actions/upload-artifact"
        | "actions/upload-pages-artifact"
        | "actions/cache"
        | "actions/cache/save" => {
            keep(tracer, state, action, &name);
            return;
        }
        "actions/github-script" => {
            if let Some(entry) = action.with.iter().find(|entry| entry.name.eq_ignore_ascii_case("script")) {
                let value = action.input("script");
                for part in &value.parts {
                    if let Part::Untrusted(path) = part {
                        tracer.observe(
                            ObservationKind::UntrustedInScript,
                            Value::text(path.clone()),
                            action.file,
                            entry.node.bytes,
                        );
                    }
                }
                let script = Script::from_input(&entry.node, action.file, value);
                let mut environment = environment.clone();
                let token = action.input("github-token");
                if token.carries() {
                    environment.insert("PORTCULLIS_GITHUB_TOKEN".to_owned(), token);
                }
                let output = crate::flow::code::run(
                    tracer,
                    state,
                    &environment,
                    Language::JavaScript,
                    &script,
                    action.depth,
                );
                tracer.log(&output, action.file, action.bytes);
            }
            return;
        }
        _ => {}
    }
    tracer.works();
    if name == "pypa/gh-action-pypi-publish" {
        let url =
            action.inputs.get("repository-url").or_else(|| action.inputs.get("repository_url")).cloned();
        let mut credential = action.input("password").only_carried();
        credential.append(action.input("user").only_carried());
        let directory = action.inputs.get("packages-dir").map(Value::template);
        let directory =
            directory.and_then(|path| Some(path.trim_end_matches('/').rsplit_once('/')?.0.to_owned()));
        tracer.publish_to(
            "pypi",
            url,
            &credential,
            directory,
            "pypa/gh-action-pypi-publish",
            action.file,
            action.bytes,
        );
        return;
    }
    publish_by_input(tracer, action, &name);
    if name == "aws-actions/configure-aws-credentials" {
        for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            let source = crate::flow::value::Source::Session(variable.to_owned());
            let session = tracer.enter(source, "a cloud session", action.file, action.bytes);
            state.added.insert(variable.to_owned(), session);
        }
    }
    leave_login(tracer, state, action, &name);
    let target = Value::text(action.reference);
    tracer.deliver(
        action.everything(),
        Channel::Action,
        Role::Payload,
        target,
        "action",
        action.file,
        action.bytes,
    );
}

/// Files in which actions leave the login that they got, until the job is over.
fn leave_login(tracer: &Tracer<'_>, state: &mut JobState, action: &Use<'_>, name: &str) {
    const LEFT: &[(&str, &str, &str)] = &[
        ("docker/login-action", "password", "~/.docker/config.json"),
        ("google-github-actions/auth", "credentials_json", "/runner/temp/gha-creds.json"),
        ("azure/docker-login", "password", "~/.docker/config.json"),
    ];
    // On a machine of the owner's own these actions take their file away at the end.
    for (action_name, input, path) in LEFT.iter().filter(|_| !tracer.self_hosted) {
        let value = action.input(input).only_carried();
        if name != *action_name || !value.carries() {
            continue;
        }
        let hop = crate::flow::Hop {
            kind: crate::flow::value::HopKind::Carry,
            what: crate::text::RepositoryText::new(format!("{}{path}", crate::flow::LEFT_LOGIN)),
            file: action.file,
            bytes: action.bytes,
        };
        state.write(path, value.hop(&hop), true);
        if *action_name == "google-github-actions/auth" {
            state.added.insert("GOOGLE_APPLICATION_CREDENTIALS".to_owned(), Value::text(*path));
        }
    }
}

/// Other actions that publish, and the input by which they get the credential.
fn publish_by_input(tracer: &mut Tracer<'_>, action: &Use<'_>, name: &str) {
    const PUBLISHERS: &[(&str, &str, &str)] = &[
        ("js-devtools/npm-publish", "token", "npm"),
        ("katyo/publish-crates", "registry-token", "crates.io"),
        ("pyo3/maturin-action", "MATURIN_PYPI_TOKEN", "pypi"),
        ("messense/maturin-action", "MATURIN_PYPI_TOKEN", "pypi"),
        ("joeloeggo/upload-python-package", "password", "pypi"),
        ("jrubics/poetry-publish", "pypi_token", "pypi"),
        ("etils-actions/pypi-auto-publish", "pypi-token", "pypi"),
        ("actions/setup-node", "NODE_AUTH_TOKEN", "npm"),
        ("python-semantic-release/python-semantic-release", "pypi_token", "pypi"),
        ("relekang/python-semantic-release", "pypi_token", "pypi"),
        ("casperdcl/deploy-pypi", "password", "pypi"),
        ("mariamrf/py-package-publish-action", "TWINE_PASSWORD", "pypi"),
        ("dawidd6/action-publish-gem", "api_key", "rubygems"),
    ];
    for (publisher, input, registry) in PUBLISHERS {
        if name == *publisher {
            let value = action
                .inputs
                .get(&input.to_ascii_lowercase())
                .or_else(|| action.own_environment.get(*input))
                .or_else(|| action.inherited.get(*input));
            if let Some(value) = value {
                tracer.publishes(registry, &value.only_carried(), None, action.file, action.bytes);
            }
        }
    }
}

/// Artifacts and caches: what their paths hold.
fn keep(tracer: &mut Tracer<'_>, state: &JobState, action: &Use<'_>, name: &str) {
    let mut paths = action.input("path");
    if paths.is_empty() && name == "actions/upload-pages-artifact" {
        paths = Value::text("_site/");
    }
    let mut content = Value::empty();
    for line in crate::flow::lines(&paths) {
        let path = line.template().trim().to_owned();
        if path.is_empty() || path.starts_with('!') {
            continue;
        }
        if let Some(source) = super::credential_file(&path) {
            content.append(tracer.enter(source, "kept as an artifact", action.file, action.bytes));
        }
        content.append(state.read(&path).unwrap_or_default());
    }
    let channel = if name.starts_with("actions/cache") { Channel::Cache } else { Channel::Artifact };
    let mut target = Value::text(action.inputs.get("name").map_or("artifact".to_owned(), Value::template));
    if channel == Channel::Cache {
        target = Value::text("cache");
    }
    tracer.deliver(content, channel, Role::Payload, target, name, action.file, action.bytes);
}
