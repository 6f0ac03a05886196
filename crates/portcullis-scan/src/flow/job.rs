//! Jobs, steps, and what calls what: the order in which things happen in a workflow.

use std::collections::HashMap;
use std::sync::Arc;

use super::known::{Begun, Known};
use super::trace::{Channel, ObservationKind, Role, Trace};
use super::value::{Part, Source, Value};
use super::{
    CALLS_MAX, JobState, LocalFiles, Tracer, command, doors, own_action, scalar_script, scalar_value, settle,
    share_of, shell,
};
use crate::workflow::expression::Contexts;
use crate::workflow::{Entry, HandedSecrets, Job, Step, Workflow};
use crate::yaml::{Content, Node};

const CUT: &str = "more jobs or steps than are read";

/// Follows everything in one workflow.
pub fn trace(workflow: &Workflow, path: &str, text: &Arc<str>, local: &dyn LocalFiles) -> Trace {
    let mut tracer = Tracer::new(local, path, text);
    let inputs = workflow.is_action.then(|| credential_inputs(&tracer, workflow));
    let called =
        Called { inputs, secrets: None, environment: HashMap::new(), file: 0, callers: Vec::new(), depth: 0 };
    run_workflow(&mut tracer, workflow, &called);
    tracer.trace
}

/// Inputs of an action looked at by itself: those named like a credential stand for whatever the caller hands in.
fn credential_inputs(tracer: &Tracer<'_>, action: &Workflow) -> HashMap<String, Value> {
    const NAMES: &[&str] = &["token", "password", "secret", "key", "credential", "passwd"];
    let is_credential =
        |name: &str| NAMES.iter().any(|part| name.contains(part)) && !name.contains("cache-key");
    let named = action.inputs.iter().map(|entry| (entry.name.to_ascii_lowercase(), entry));
    named
        .filter(|(name, _)| is_credential(name))
        .map(|(name, entry)| {
            let source = Source::Secret(format!("inputs.{}", entry.name));
            let value =
                tracer.enter(source, &format!("input {}", shell::shown(&entry.name)), 0, entry.name_bytes);
            (name, value)
        })
        .collect()
}

/// How a workflow or action was called.
pub(super) struct Called {
    pub(super) inputs: Option<HashMap<String, Value>>,
    pub(super) secrets: Option<HashMap<String, Value>>,
    environment: HashMap<String, Value>,
    pub(super) file: usize,
    /// Which of the trace's files called each other on the way here, the workflow first.
    pub(super) callers: Vec<usize>,
    pub(super) depth: usize,
}

impl Called {
    fn callers_of_next(&self) -> Vec<usize> {
        let mut callers = self.callers.clone();
        callers.push(self.file);
        callers
    }
}

type JobOutputs = HashMap<String, HashMap<String, Value>>;

struct Scope<'s> {
    called: &'s Called,
    environment: &'s HashMap<String, Value>,
    outputs: &'s HashMap<(String, String), Value>,
    jobs: &'s JobOutputs,
    matrix: &'s HashMap<String, Vec<Value>>,
}

impl Contexts for Scope<'_> {
    fn look_up(&self, head: &str, rest: &[&str]) -> Option<Vec<Value>> {
        let first = rest.first().copied().unwrap_or("");
        match head {
            "env" if first.is_empty() || first == "*" => {
                Some(in_order(self.environment).filter(|value| value.carries()).cloned().collect())
            }
            "env" => {
                let exact = self.environment.get(first);
                exact.or_else(|| find(self.environment, first)).map(|value| vec![value.clone()])
            }
            "steps" => {
                let id = first.to_ascii_lowercase();
                match rest.get(2) {
                    Some(name) if *name != "*" => {
                        self.outputs.get(&(id, name.to_ascii_lowercase())).map(|value| vec![value.clone()])
                    }
                    // `toJSON(steps)`, `steps.ID.outputs`: all of them.
                    _ => {
                        let all = super::sorted(self.outputs).into_iter();
                        let of_step = |step: &str| first.is_empty() || first == "*" || step == id;
                        Some(
                            all.filter(|((step, _), _)| of_step(step))
                                .map(|(_, value)| value.clone())
                                .collect(),
                        )
                    }
                }
            }
            "needs" => {
                let outputs = self.jobs.get(&first.to_ascii_lowercase())?;
                match rest.get(2) {
                    Some(name) => outputs.get(&name.to_ascii_lowercase()).map(|value| vec![value.clone()]),
                    None => Some(in_order(outputs).cloned().collect()),
                }
            }
            "matrix" => self.matrix.get(&first.to_ascii_lowercase()).cloned(),
            "inputs" => {
                let inputs = self.called.inputs.as_ref()?;
                find(inputs, first).map(|value| vec![value.clone()])
            }
            "secrets" => {
                let secrets = self.called.secrets.as_ref()?;
                if first.is_empty() {
                    return Some(in_order(secrets).cloned().collect());
                }
                // What was not handed over is empty; the job's token is always there.
                match find(secrets, first) {
                    Some(value) => Some(vec![value.clone()]),
                    None if first.eq_ignore_ascii_case("GITHUB_TOKEN") => None,
                    None => Some(vec![Value::empty()]),
                }
            }
            _ => None,
        }
    }
}

/// The values of a map by their names.
pub(super) fn in_order(map: &HashMap<String, Value>) -> impl Iterator<Item = &Value> {
    super::sorted(map).into_iter().map(|(_, value)| value)
}

fn find<'m>(map: &'m HashMap<String, Value>, name: &str) -> Option<&'m Value> {
    // Of several that differ in case, always the same one.
    let alike = map.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    alike.min_by_key(|(key, _)| *key).map(|(_, value)| value)
}

fn run_workflow(tracer: &mut Tracer<'_>, workflow: &Workflow, called: &Called) {
    let mut jobs = JobOutputs::new();
    if workflow.is_cut {
        tracer.incomplete(CUT);
    }
    if called.depth == 0 {
        tracer.trace.other_work = vec![0; workflow.jobs.len()];
    }
    for job in ordered(&workflow.jobs) {
        if called.depth == 0 {
            // By its place in the file, which is not the order of running: `needs` may name a later one.
            tracer.job = workflow.jobs.iter().position(|other| std::ptr::eq(other, job)).unwrap_or(0);
        }
        let outputs = run_job(tracer, workflow, job, called, &jobs);
        if called.depth == 0 && !workflow.is_action {
            doors::note(tracer, workflow, job, called.file);
        }
        jobs.insert(job.id.to_ascii_lowercase(), outputs);
    }
}

/// Jobs after those they need; a cycle is broken where it is met.
fn ordered(jobs: &[Job]) -> Vec<&Job> {
    let mut done: Vec<&Job> = Vec::with_capacity(jobs.len());
    let mut waiting: Vec<&Job> = jobs.iter().collect();
    while !waiting.is_empty() {
        let ready = waiting
            .iter()
            .position(|job| {
                job.needs.iter().all(|need| !waiting.iter().any(|other| other.id.eq_ignore_ascii_case(need)))
            })
            .unwrap_or(0);
        done.push(waiting.remove(ready));
    }
    done
}

fn run_job(
    tracer: &mut Tracer<'_>,
    workflow: &Workflow,
    job: &Job,
    called: &Called,
    jobs: &JobOutputs,
) -> HashMap<String, Value> {
    let file = called.file;
    tracer.self_hosted = job.is_self_hosted();
    let mut state = JobState::default();
    let nothing = HashMap::new();
    let mut environment = called.environment.clone();
    let mut matrix = HashMap::new();
    for (axis, values) in &job.matrix {
        let scope =
            Scope { called, environment: &environment, outputs: &state.outputs, jobs, matrix: &nothing };
        let values = values.iter().map(|value| any_value(value, &scope, file, 0)).collect();
        matrix.insert(axis.to_ascii_lowercase(), values);
    }
    for entries in [&workflow.env, &job.env, &job.container_env] {
        extend(&mut environment, entries, called, &state, jobs, &matrix);
    }
    let scope = Scope { called, environment: &environment, outputs: &state.outputs, jobs, matrix: &matrix };
    if let Some(uses) = &job.uses {
        call_workflow(tracer, job, uses, &scope);
    }
    for image in &job.images {
        let mut handed = Value::empty();
        for entry in &job.container_env {
            handed.append(any_value(&entry.node, &scope, file, 0).only_carried());
        }
        let target = scalar_value(image, &scope, file);
        tracer.deliver(handed, Channel::Image, Role::Payload, target, "container", file, image.bytes);
    }
    for (image, login) in &job.image_logins {
        log_in_for_image(tracer, image, login, &scope, file);
    }
    let shell = job.shell.clone().unwrap_or_else(|| default_shell(job));
    let mut known = (!workflow.is_action)
        .then(|| Known::new(tracer, job, &shell, called, &environment, jobs, &matrix))
        .flatten();
    for (at, step) in job.steps.iter().enumerate() {
        if called.depth == 0 {
            tracer.step = at;
        }
        let met = known.as_mut().and_then(|known| known.met(tracer, &state, step.bytes));
        if let (Some(known), Some(met)) = (&known, &met)
            && known.recall(tracer, &mut state, met)
        {
            continue;
        }
        let begun = met.map(|met| Begun::with(tracer, &state, met));
        let rest = tracer.budget - share_of(tracer.budget);
        tracer.budget -= rest;
        run_step(tracer, workflow, job, step, called, &environment, &mut state, jobs, &matrix);
        settle(&mut state, step.id.as_deref());
        // The summary is shown beside the log, to the same readers.
        if let Some(summary) = state.take("$GITHUB_STEP_SUMMARY") {
            tracer.log(&summary, file, step.bytes);
        }
        if let (Some(known), Some(begun)) = (&known, begun) {
            known.keep(tracer, &state, begun);
        }
        tracer.budget += rest;
    }
    if state.is_full {
        tracer.incomplete("a job that writes too many files");
    }
    if tracer.self_hosted && called.depth == 0 {
        // The next job on this machine, whosever it is, finds what this one leaves.
        for (path, content) in state.left() {
            let last = content.carried().next().and_then(|carried| carried.trail.hops().last().cloned());
            let Some(hop) = last else { continue };
            tracer.deliver(
                content,
                Channel::Disk,
                Role::Payload,
                Value::text(path),
                "file",
                hop.file,
                hop.bytes,
            );
        }
    }
    let mut all = environment.clone();
    all.extend(state.added.clone());
    let scope = Scope { called, environment: &all, outputs: &state.outputs, jobs, matrix: &matrix };
    job.outputs
        .iter()
        .map(|entry| {
            let mut value = any_value(&entry.node, &scope, file, 0);
            // The runner drops a job output that holds a secret as it is; only a changed one gets through.
            for part in &mut value.parts {
                if let Part::Carried(carried) = part {
                    carried.dropped |= carried.encodings.is_empty();
                }
            }
            (entry.name.to_ascii_lowercase(), value)
        })
        .collect()
}

fn extend(
    environment: &mut HashMap<String, Value>,
    entries: &[Entry],
    called: &Called,
    state: &JobState,
    jobs: &JobOutputs,
    matrix: &HashMap<String, Vec<Value>>,
) {
    let mut added = Vec::new();
    for entry in entries {
        let scope = Scope { called, environment, outputs: &state.outputs, jobs, matrix };
        let value = any_value(&entry.node, &scope, called.file, 0);
        let what = format!("env {}", shell::shown(&entry.name));
        let hop = super::Hop {
            kind: super::HopKind::Carry,
            what: crate::text::RepositoryText::new(what),
            file: called.file,
            bytes: entry.name_bytes,
        };
        added.push((entry.name.clone(), value.hop(&hop)));
    }
    environment.extend(added);
}

/// The value of a scalar; of a collection, its secrets.
fn any_value(node: &Arc<Node>, contexts: &dyn Contexts, file: usize, depth: usize) -> Value {
    match &node.content {
        Content::Scalar(_) => scalar_value(node, contexts, file),
        _ if depth > 8 => Value::unknown(),
        Content::Sequence(items) => {
            let mut all = Value::empty();
            for item in items {
                all.append(any_value(item, contexts, file, depth + 1));
                all.push_text("\n");
            }
            all
        }
        Content::Mapping(pairs) => {
            let mut all = Value::empty();
            for (_, value) in pairs {
                all.append(any_value(value, contexts, file, depth + 1));
                all.push_text("\n");
            }
            all
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "a step sees all of its job, its workflow and its caller")]
fn run_step(
    tracer: &mut Tracer<'_>,
    workflow: &Workflow,
    job: &Job,
    step: &Step,
    called: &Called,
    job_environment: &HashMap<String, Value>,
    state: &mut JobState,
    jobs: &JobOutputs,
    matrix: &HashMap<String, Vec<Value>>,
) {
    let mut environment = job_environment.clone();
    environment.extend(state.added.clone());
    let before = environment.clone();
    extend(&mut environment, &step.env, called, state, jobs, matrix);
    let outputs = state.outputs.clone();
    let scope = Scope { called, environment: &environment, outputs: &outputs, jobs, matrix };
    if let Some(run) = &step.run {
        for part in scalar_value(run, &scope, called.file).parts {
            if let Part::Untrusted(path) = part {
                tracer.observe(ObservationKind::UntrustedInScript, Value::text(path), called.file, run.bytes);
            }
        }
        let script = scalar_script(run, &scope, called.file);
        let shell_name =
            step.shell.clone().or_else(|| job.shell.clone()).unwrap_or_else(|| default_shell(job));
        let directory = step.working_directory.clone();
        command::run_in(tracer, state, &environment, &shell_name, script, directory, called.depth);
    }
    if let Some(uses) = &step.uses {
        let name = scalar_value(uses, &scope, called.file);
        let inputs: HashMap<String, Value> = step
            .with
            .iter()
            .map(|entry| {
                let value = any_value(&entry.node, &scope, called.file, 0);
                let hop = super::Hop {
                    kind: super::HopKind::Carry,
                    what: crate::text::RepositoryText::new(format!("input {}", shell::shown(&entry.name))),
                    file: called.file,
                    bytes: entry.name_bytes,
                };
                (entry.name.to_ascii_lowercase(), value.hop(&hop))
            })
            .collect();
        let reference = name.template();
        if let Some(path) = reference.strip_prefix("./") {
            call_action(tracer, path, inputs, environment, called, state, step);
        } else {
            let mut own = HashMap::new();
            for entry in &step.env {
                if let Some(value) = environment.get(&entry.name) {
                    own.insert(entry.name.clone(), value.clone());
                }
            }
            let use_of = command::action::Use {
                reference: &reference,
                inputs: &inputs,
                own_environment: &own,
                inherited: &before,
                with: &step.with,
                step,
                file: called.file,
                bytes: uses.bytes,
                depth: called.depth,
            };
            command::action::run(tracer, state, &use_of, &environment);
        }
    }
    let _ = workflow;
}

fn default_shell(job: &Job) -> String {
    let on_windows = |label: &str| label.to_ascii_lowercase().contains("windows");
    // `runs-on: ${{ matrix.os }}` where all of them are Windows.
    let by_matrix = job.runs_on.iter().any(|label| {
        let axis = label.split_once("matrix.").map(|(_, rest)| rest.trim_end_matches(['}', ' ']));
        let values =
            axis.and_then(|axis| job.matrix.iter().find(|(name, _)| name.eq_ignore_ascii_case(axis)));
        values.is_some_and(|(_, values)| {
            !values.is_empty() && values.iter().all(|value| value.text().is_some_and(on_windows))
        })
    });
    let windows = by_matrix || job.runs_on.iter().any(|label| on_windows(label));
    (if windows { "pwsh" } else { "bash" }).to_owned()
}

/// A composite action of the same repository, read at the same version.
fn call_action(
    tracer: &mut Tracer<'_>,
    path: &str,
    inputs: HashMap<String, Value>,
    environment: HashMap<String, Value>,
    called: &Called,
    state: &mut JobState,
    step: &Step,
) {
    if called.depth >= CALLS_MAX {
        tracer.incomplete("local actions that call each other too deeply");
        return;
    }
    let folder = path.trim_end_matches('/');
    let candidates = ["action.yml", "action.yaml"].map(|name| match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    });
    let written = candidates.iter().find_map(|path| state.written(path));
    let place = own_action::OwnPlace { folder, file: called.file, bytes: step.bytes, depth: called.depth };
    if let Some(text) = written
        && own_action::run_written(tracer, state, &place, &text, &inputs, &environment)
    {
        return;
    }
    let Some((file, text)) = candidates.iter().find_map(|path| tracer.open(path)) else {
        tracer.works();
        let mut handed = Value::empty();
        let mut names: Vec<&String> = inputs.keys().collect();
        names.sort();
        for name in names {
            handed.append(inputs.get(name).map(Value::only_carried).unwrap_or_default());
        }
        let target = Value::text(format!("./{path}"));
        tracer.deliver(
            handed,
            Channel::Action,
            Role::Payload,
            target,
            "missing action",
            called.file,
            step.bytes,
        );
        return;
    };
    let Ok(root) = crate::yaml::parse(&text) else {
        tracer.incomplete("a local action that can't be parsed");
        return;
    };
    let action = Workflow::read(&root);
    if action.is_cut {
        tracer.incomplete(CUT);
    }
    let inputs = with_defaults(&action, inputs);
    own_action::run(
        tracer,
        state,
        &own_action::OwnAction { place: &place, root: &root, inputs: &inputs, environment: &environment },
    );
    let inner = Called {
        inputs: Some(inputs),
        // A composite action has no `secrets` context.
        secrets: Some(HashMap::new()),
        environment,
        file,
        callers: called.callers_of_next(),
        depth: called.depth + 1,
    };
    for job in &action.jobs {
        run_called_steps(tracer, &action, job, &inner, state);
    }
}

fn run_called_steps(
    tracer: &mut Tracer<'_>,
    action: &Workflow,
    job: &Job,
    called: &Called,
    state: &mut JobState,
) {
    let (jobs, matrix) = (JobOutputs::new(), HashMap::new());
    if job.steps.is_empty() {
        tracer.works();
    }
    for step in &job.steps {
        run_step(tracer, action, job, step, called, &called.environment, state, &jobs, &matrix);
        settle(state, step.id.as_deref());
    }
}

fn with_defaults(callee: &Workflow, mut inputs: HashMap<String, Value>) -> HashMap<String, Value> {
    for entry in &callee.inputs {
        let name = entry.name.to_ascii_lowercase();
        if let Some(default) = entry.node.get("default").and_then(|default| default.text()) {
            inputs.entry(name).or_insert_with(|| Value::text(default));
        }
    }
    inputs
}

/// `credentials:` of a container: the runner logs in with them to the registry that has the image, and the image never sees them.
fn log_in_for_image(
    tracer: &mut Tracer<'_>,
    image: &Arc<Node>,
    login: &[Entry],
    scope: &Scope<'_>,
    file: usize,
) {
    let mut handed = Value::empty();
    for entry in login {
        handed.append(any_value(&entry.node, scope, file, 0).only_carried());
    }
    let name = scalar_value(image, scope, file);
    let registry = name.prefix().split('/').next().unwrap_or("");
    // Without a host it is Docker's own.
    let is_host = name.prefix().contains('/') && registry.contains(['.', ':']);
    let target = match name.literal() {
        Some(_) if !is_host => Value::text("https://docker.io/"),
        _ => crate::flow::command::prefixed("https://", &name),
    };
    tracer.deliver(handed, Channel::Network, Role::Authentication, target, "docker login", file, image.bytes);
}

fn call_workflow(tracer: &mut Tracer<'_>, job: &Job, uses: &Arc<Node>, scope: &Scope<'_>) {
    let called = scope.called;
    let file = called.file;
    let reference = scalar_value(uses, scope, file);
    let mut inputs = HashMap::new();
    for entry in &job.with {
        inputs.insert(entry.name.to_ascii_lowercase(), any_value(&entry.node, scope, file, 0));
    }
    let secrets = match &job.secrets {
        HandedSecrets::None => Some(HashMap::new()),
        HandedSecrets::Inherit(_) => called.secrets.clone(),
        HandedSecrets::Named(entries) => Some(
            entries
                .iter()
                .map(|entry| (entry.name.clone(), any_value(&entry.node, scope, file, 0)))
                .collect(),
        ),
    };
    let name = reference.template();
    if let Some(path) = name.strip_prefix("./") {
        if called.depth >= CALLS_MAX {
            tracer.incomplete("reusable workflows that call each other too deeply");
            return;
        }
        let Some((file, text)) = tracer.open(path) else {
            tracer.works();
            return;
        };
        let Ok(root) = crate::yaml::parse(&text) else {
            tracer.incomplete("a reusable workflow that can't be parsed");
            return;
        };
        let callee = Workflow::read(&root);
        let inputs = Some(with_defaults(&callee, inputs));
        let callers = called.callers_of_next();
        let depth = called.depth + 1;
        let inner = Called { inputs, secrets, environment: HashMap::new(), file, callers, depth };
        run_workflow(tracer, &callee, &inner);
        return;
    }
    let mut handed = Value::empty();
    for value in in_order(&inputs) {
        handed.append(value.only_carried());
    }
    match (&job.secrets, secrets) {
        (HandedSecrets::Inherit(bytes), None) => {
            handed.append(tracer.enter(Source::AllSecrets, "secrets: inherit", file, *bytes));
        }
        (_, Some(secrets)) => {
            for value in in_order(&secrets) {
                handed.append(value.clone());
            }
        }
        _ => {}
    }
    tracer.works();
    tracer.deliver(
        handed,
        Channel::Reusable,
        Role::Payload,
        reference,
        "reusable workflow",
        file,
        uses.bytes,
    );
}
