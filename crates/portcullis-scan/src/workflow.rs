//! A workflow (or a composite action) as this crate sees it: jobs and steps with their places in the file.
//!
//! The model is lenient on purpose. GitHub refuses files that are slightly wrong, but a thief's file that can't run
//! today is one fix away from running, so everything that can be understood is searched.

pub mod expression;
pub mod refusal;

use std::sync::Arc;

use crate::span::Bytes;
use crate::yaml::{Content, Node};

/// Most jobs and steps read of one file; more is not a workflow that a person wrote.
pub const JOBS_MAX: usize = 256;
/// Most steps read of one job.
pub const STEPS_MAX: usize = 1_000;

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key as written.
    pub name: String,
    /// Where the key stands.
    pub name_bytes: Bytes,
    /// The value.
    pub node: Arc<Node>,
}

/// One CI definition file.
#[derive(Debug, Default)]
pub struct Workflow {
    /// `name:`.
    pub name: Option<String>,
    /// `on:`; empty where it is missing, and always for actions.
    pub triggers: Vec<Trigger>,
    /// `env:`.
    pub env: Vec<Entry>,
    /// Its jobs. A composite action has one, without a name.
    pub jobs: Vec<Job>,
    /// Whether this is an `action.yml` with `runs.using: composite`.
    pub is_action: bool,
    /// Inputs of an action or of a callable workflow.
    pub inputs: Vec<Entry>,
    /// `permissions:`, where given.
    pub permissions: Option<Arc<Node>>,
    /// Whether jobs or steps past the limits were left out.
    pub is_cut: bool,
}

/// One event that starts a workflow, with its filters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trigger {
    /// `push`, `schedule`, …
    pub event: String,
    /// `branches:`; `None` where there is no such filter.
    pub branches: Option<Vec<String>>,
    /// `branches-ignore:`.
    pub branches_ignore: Option<Vec<String>>,
    /// `tags:`.
    pub tags: Option<Vec<String>>,
    /// `tags-ignore:`.
    pub tags_ignore: Option<Vec<String>>,
}

/// One job.
#[derive(Debug, Default)]
pub struct Job {
    /// Its key.
    pub id: String,
    /// Where the job stands.
    pub bytes: Bytes,
    /// Labels of `runs-on`.
    pub runs_on: Vec<String>,
    /// Whether it names an `environment`.
    pub environment: bool,
    /// `env:`.
    pub env: Vec<Entry>,
    /// `outputs:`.
    pub outputs: Vec<Entry>,
    /// `needs:`.
    pub needs: Vec<String>,
    /// `strategy.matrix`: each axis with its values.
    pub matrix: Vec<(String, Vec<Arc<Node>>)>,
    /// A reusable workflow instead of steps.
    pub uses: Option<Arc<Node>>,
    /// Inputs for it.
    pub with: Vec<Entry>,
    /// Secrets for it.
    pub secrets: HandedSecrets,
    /// The steps.
    pub steps: Vec<Step>,
    /// `if:`.
    pub condition: Option<String>,
    /// `container:` image, and images of `services:`.
    pub images: Vec<Arc<Node>>,
    /// Environment of `container:` and `services:`.
    pub container_env: Vec<Entry>,
    /// Images with the `credentials:` by which the runner fetches them.
    pub image_logins: Vec<(Arc<Node>, Vec<Entry>)>,
    /// `defaults.run.shell` of the job or the workflow.
    pub shell: Option<String>,
    /// `permissions:`.
    pub permissions: Option<Arc<Node>>,
}

impl Job {
    /// Whether it asks for a machine of the owner's own.
    pub fn is_self_hosted(&self) -> bool {
        self.runs_on.iter().any(|label| label.eq_ignore_ascii_case("self-hosted"))
    }
}

/// What a job hands to a reusable workflow.
#[derive(Debug, Default)]
pub enum HandedSecrets {
    /// Nothing.
    #[default]
    None,
    /// `secrets: inherit`, and where it says so.
    Inherit(Bytes),
    /// By name.
    Named(Vec<Entry>),
}

/// One step.
#[derive(Debug, Default)]
pub struct Step {
    /// `id:`.
    pub id: Option<String>,
    /// `name:`.
    pub name: Option<String>,
    /// Where the step stands.
    pub bytes: Bytes,
    /// `uses:`.
    pub uses: Option<Arc<Node>>,
    /// `with:`.
    pub with: Vec<Entry>,
    /// `run:`.
    pub run: Option<Arc<Node>>,
    /// `if:`.
    pub condition: Option<String>,
    /// `shell:`.
    pub shell: Option<String>,
    /// `env:`.
    pub env: Vec<Entry>,
    /// `working-directory:`.
    pub working_directory: Option<String>,
}

impl Workflow {
    /// Reads the model out of a tree. What isn't there or has another shape is left empty.
    pub fn read(root: &Arc<Node>) -> Self {
        let mut workflow = Self {
            name: text_of(root, "name"),
            env: entries(root.get("env")),
            permissions: root.get("permissions").cloned(),
            ..Self::default()
        };
        if let Some(runs) = root.get("runs") {
            workflow.is_action = true;
            workflow.inputs = entries(root.get("inputs"));
            workflow.jobs.push(Job { steps: steps(runs), bytes: runs.bytes, ..Job::default() });
            workflow.is_cut = has_more_steps(runs);
            return workflow;
        }
        // YAML 1.1 readers turn the key `on` into `true`; ours keeps the text, both are accepted.
        workflow.triggers = root.get("on").or_else(|| root.get("true")).map(triggers).unwrap_or_default();
        for event in ["workflow_call", "workflow_dispatch"] {
            let on = root.get("on").or_else(|| root.get("true"));
            workflow.inputs.extend(entries(on.and_then(|on| on.get(event)?.get("inputs"))));
        }
        let shell = default_shell(root);
        if let Some(jobs) = root.get("jobs") {
            for (key, node) in jobs.entries().into_iter().take(JOBS_MAX) {
                workflow.jobs.push(job(key.text().unwrap_or(""), node, shell.clone()));
                workflow.is_cut |= has_more_steps(node);
            }
            workflow.is_cut |= jobs.entries().len() > JOBS_MAX;
        }
        workflow
    }

    /// Whether the file is a workflow or a composite action at all, and not some other YAML.
    pub fn is_one(&self) -> bool {
        !self.jobs.is_empty() || !self.triggers.is_empty()
    }
}

fn job(id: &str, node: &Arc<Node>, shell: Option<String>) -> Job {
    let mut images = Vec::new();
    let mut container_env = Vec::new();
    let mut image_logins = Vec::new();
    let services =
        node.get("services").map(|all| all.entries().into_iter().map(|(_, one)| one).collect::<Vec<_>>());
    for container in node.get("container").into_iter().chain(services.into_iter().flatten()) {
        match &container.content {
            Content::Scalar(_) => images.push(Arc::clone(container)),
            _ => {
                images.extend(container.get("image").cloned());
                container_env.extend(entries(container.get("env")));
                if let (Some(image), Some(login)) = (container.get("image"), container.get("credentials")) {
                    image_logins.push((Arc::clone(image), entries(Some(login))));
                }
            }
        }
    }
    let secrets = match node.get("secrets") {
        Some(secrets) if secrets.text().is_some_and(|text| text.trim() == "inherit") => {
            HandedSecrets::Inherit(secrets.bytes)
        }
        Some(secrets) => HandedSecrets::Named(entries(Some(secrets))),
        None => HandedSecrets::None,
    };
    Job {
        id: id.to_owned(),
        bytes: node.bytes,
        runs_on: node.get("runs-on").map(labels).unwrap_or_default(),
        environment: node.get("environment").is_some(),
        env: entries(node.get("env")),
        outputs: entries(node.get("outputs")),
        needs: texts(node.get("needs")),
        matrix: node
            .get("strategy")
            .and_then(|strategy| strategy.get("matrix"))
            .map(matrix)
            .unwrap_or_default(),
        uses: node.get("uses").cloned(),
        with: entries(node.get("with")),
        secrets,
        steps: steps(node),
        condition: text_of(node, "if"),
        images,
        container_env,
        image_logins,
        shell: default_shell(node).or(shell),
        permissions: node.get("permissions").cloned(),
    }
}

fn has_more_steps(node: &Arc<Node>) -> bool {
    node.get("steps")
        .is_some_and(|steps| matches!(&steps.content, Content::Sequence(items) if items.len() > STEPS_MAX))
}

fn steps(node: &Arc<Node>) -> Vec<Step> {
    let Some(steps) = node.get("steps") else { return Vec::new() };
    let Content::Sequence(items) = &steps.content else { return Vec::new() };
    items
        .iter()
        .take(STEPS_MAX)
        .map(|item| Step {
            id: text_of(item, "id"),
            name: text_of(item, "name"),
            bytes: item.bytes,
            uses: item.get("uses").cloned(),
            with: entries(item.get("with")),
            run: item.get("run").cloned(),
            condition: text_of(item, "if"),
            shell: text_of(item, "shell"),
            env: entries(item.get("env")),
            working_directory: text_of(item, "working-directory"),
        })
        .collect()
}

fn triggers(on: &Arc<Node>) -> Vec<Trigger> {
    if let Content::Mapping(_) = &on.content {
        return on
            .entries()
            .into_iter()
            .filter_map(|(key, filters)| {
                let list = |name| filters.get(name).map(|list| texts(Some(list)));
                Some(Trigger {
                    event: key.text()?.to_ascii_lowercase(),
                    branches: list("branches"),
                    branches_ignore: list("branches-ignore"),
                    tags: list("tags"),
                    tags_ignore: list("tags-ignore"),
                })
            })
            .collect();
    }
    texts(Some(on))
        .into_iter()
        .map(|event| Trigger { event: event.to_ascii_lowercase(), ..Trigger::default() })
        .collect()
}

fn matrix(node: &Arc<Node>) -> Vec<(String, Vec<Arc<Node>>)> {
    let mut axes: Vec<(String, Vec<Arc<Node>>)> = Vec::new();
    let mut add = |name: &str, value: &Arc<Node>| match axes.iter_mut().find(|(axis, _)| axis == name) {
        Some((_, values)) => values.push(Arc::clone(value)),
        None => axes.push((name.to_owned(), vec![Arc::clone(value)])),
    };
    for (key, values) in node.entries() {
        let Some(name) = key.text() else { continue };
        for value in values.items().into_iter().take(256) {
            if name == "include" {
                for (axis, value) in value.entries() {
                    add(axis.text().unwrap_or(""), value);
                }
            } else {
                add(name, value);
            }
        }
    }
    axes
}

fn default_shell(node: &Arc<Node>) -> Option<String> {
    node.get("defaults")?.get("run")?.get("shell")?.text().map(str::to_owned)
}

/// Labels of `runs-on`, which is a word, a list, or a mapping with `group` and `labels`.
fn labels(node: &Arc<Node>) -> Vec<String> {
    match &node.content {
        Content::Mapping(_) => texts(node.get("labels")),
        _ => texts(Some(node)),
    }
}

/// Keys and values of a mapping.
pub fn entries(node: Option<&Arc<Node>>) -> Vec<Entry> {
    node.map(|node| node.entries())
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(key, value)| {
            Some(Entry { name: key.text()?.to_owned(), name_bytes: key.bytes, node: Arc::clone(value) })
        })
        .collect()
}

fn texts(node: Option<&Arc<Node>>) -> Vec<String> {
    node.map(|node| node.items())
        .unwrap_or_default()
        .into_iter()
        .filter_map(|item| item.text().map(str::to_owned))
        .collect()
}

fn text_of(node: &Arc<Node>, key: &str) -> Option<String> {
    node.get(key)?.text().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Workflow {
        Workflow::read(&crate::yaml::parse(source).unwrap())
    }

    #[test]
    fn triggers_come_in_three_shapes() {
        for source in ["on: push", "on: [push]", "on:\n  push:\n"] {
            let workflow = read(source);
            assert_eq!(workflow.triggers.first().unwrap().event, "push", "{source}");
        }
        let filtered = read("on:\n  push:\n    branches: [main, 'rel/**']\n");
        assert_eq!(
            filtered.triggers[0].branches.as_deref(),
            Some(&["main".to_owned(), "rel/**".to_owned()][..])
        );
    }

    #[test]
    fn jobs_steps_and_matrix_are_read() {
        let workflow = read(
            "on: push\njobs:\n  a:\n    runs-on: [self-hosted, x]\n    strategy: {matrix: {h: [one, two], include: [{h: three}]}}\n    \
             secrets: inherit\n    steps:\n      - run: true\n      - uses: a/b@v1\n        with: {k: v}\n",
        );
        let job = &workflow.jobs[0];
        assert_eq!(job.runs_on, ["self-hosted", "x"]);
        assert_eq!(job.matrix[0].1.len(), 3);
        assert_eq!(job.steps.len(), 2);
        assert_eq!(job.steps[1].with[0].name, "k");
        assert!(matches!(job.secrets, HandedSecrets::Inherit(_)));
    }

    #[test]
    fn a_composite_action_has_one_nameless_job() {
        let action =
            read("name: x\nruns:\n  using: composite\n  steps:\n    - run: echo\n      shell: bash\n");
        assert!(action.is_action);
        assert_eq!(action.jobs[0].steps.len(), 1);
    }
}
