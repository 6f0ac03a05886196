//! Which jobs of one workflow version use the action, and what each of them holds.
//!
//! An action runs as its job does: it gets its inputs and its environment, and it can read the memory of the runner, where
//! every secret of the job stands. The first are certain, the others possible.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::action::Action;
use super::elsewhere::Elsewhere;
use super::names::{Handed, Names};
use super::permissions::{Level, Permissions};
use crate::flow::{CALLS_MAX, LocalFiles};
use crate::report::ActionReference;
use crate::span::LineIndex;
use crate::text::RepositoryText;
use crate::workflow::{HandedSecrets, Job, Step, Trigger, Workflow};
use crate::yaml::Node;

/// Most files read for one workflow.
const FILES_MAX: usize = 64;
/// Most calls followed for one workflow: files that call each other could make more of them than anybody waits for.
pub(super) const FOLLOWED_MAX: usize = 2_000;

/// A job that uses the action.
#[derive(Clone, Debug)]
pub(super) struct Reached {
    /// `caller / called` where it is a job of a reusable workflow; empty for an action.
    pub(super) job: String,
    /// Where it says so.
    pub(super) references: Vec<ActionReference>,
    /// What the action is handed.
    pub(super) handed: Names,
    /// What the job holds besides.
    pub(super) held: Names,
    /// Rights of its token.
    pub(super) permissions: Permissions,
    /// Whether a checkout left the token on disk.
    pub(super) persisted: bool,
    /// Its environment.
    pub(super) environment: Option<String>,
}

impl Reached {
    /// Whether it can have an OIDC token made.
    pub(super) fn id_token(&self) -> bool {
        self.permissions.level("id-token") == Level::Write
    }
}

/// What one version says.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    pub(super) jobs: Vec<Reached>,
    pub(super) triggers: Vec<Trigger>,
    pub(super) is_action: bool,
    /// Why it could not be read, where it could not.
    pub(super) problem: Option<String>,
    /// Files that it calls, there or not.
    pub(super) called: BTreeSet<String>,
    /// Whether it calls more than is followed.
    pub(super) is_cut: bool,
}

/// Reads one version.
pub(super) fn read(
    path: &str,
    text: &str,
    action: &Action,
    local: &dyn LocalFiles,
    elsewhere: &Elsewhere,
) -> Reading {
    let root = match crate::yaml::parse(text) {
        Ok(root) => root,
        Err(error) => return Reading { problem: Some(error.to_string()), ..Reading::default() },
    };
    let workflow = Workflow::read(&root);
    let reader = Reader { action, local, elsewhere, called: RefCell::default(), followed: Cell::new(0) };
    let mut reading =
        Reading { triggers: workflow.triggers.clone(), is_action: workflow.is_action, ..Reading::default() };
    let file = File { path: path.to_owned(), text: text.into(), root, workflow };
    if reading.is_action {
        let references = reader.steps_of_action(&file, 0);
        if !references.is_empty() {
            reading.jobs.push(Reached {
                job: String::new(),
                references,
                handed: Names::default(),
                held: Names::default(),
                permissions: Permissions::read(None),
                persisted: false,
                environment: None,
            });
        }
    } else {
        reader.workflow(&file, &Handed::Own, None, "", 0, &mut reading.jobs);
    }
    reading.is_cut = reader.followed.get() > FOLLOWED_MAX;
    reading.called = reader.called.into_inner();
    reading
}

struct File {
    path: String,
    text: Arc<str>,
    root: Arc<Node>,
    workflow: Workflow,
}

struct Reader<'r> {
    action: &'r Action,
    local: &'r dyn LocalFiles,
    elsewhere: &'r Elsewhere,
    called: RefCell<BTreeSet<String>>,
    followed: Cell<usize>,
}

impl Reader<'_> {
    /// A file of the same repository at the same commit.
    fn open(&self, path: &str) -> Option<File> {
        self.follows().then_some(())?;
        let mut called = self.called.borrow_mut();
        if called.len() >= FILES_MAX && !called.contains(path) {
            return None;
        }
        called.insert(path.to_owned());
        let text = self.local.read(path).text()?;
        let root = crate::yaml::parse(&text).ok()?;
        let workflow = Workflow::read(&root);
        Some(File { path: path.to_owned(), text, root, workflow })
    }

    /// Whether one more call may be followed.
    fn follows(&self) -> bool {
        let followed = self.followed.get();
        self.followed.set(followed + 1);
        followed < FOLLOWED_MAX
    }

    /// A file of another repository.
    fn open_elsewhere(&self, (path, text): (String, String)) -> Option<File> {
        self.follows().then_some(())?;
        let root = crate::yaml::parse(&text).ok()?;
        let workflow = Workflow::read(&root);
        Some(File { path, text: text.into(), root, workflow })
    }

    fn workflow(
        &self,
        file: &File,
        secrets: &Handed,
        caller: Option<&Permissions>,
        prefix: &str,
        depth: usize,
        found: &mut Vec<Reached>,
    ) {
        for job in &file.workflow.jobs {
            self.job(file, job, secrets, caller, prefix, depth, found);
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a caller hands to a called job, each a fact of its own"
    )]
    fn job(
        &self,
        file: &File,
        job: &Job,
        secrets: &Handed,
        caller: Option<&Permissions>,
        prefix: &str,
        depth: usize,
        found: &mut Vec<Reached>,
    ) {
        let name = format!("{prefix}{}", job.id);
        let written = job.permissions.as_ref().or(file.workflow.permissions.as_ref());
        let permissions = Permissions::read(written.map(Arc::as_ref));
        let permissions = caller.map_or_else(|| permissions.clone(), |caller| permissions.within(caller));
        let mut reached = Reached {
            job: name.clone(),
            references: Vec::new(),
            handed: Names::of(&file.workflow.env),
            held: self.all_of(file, job),
            permissions,
            persisted: false,
            environment: environment(file, job),
        };
        reached.handed.add(&Names::of(&job.env));
        if let Some(uses) = &job.uses {
            let text = uses.text().unwrap_or_default();
            if let Some(path) = text.strip_prefix("./") {
                if depth < CALLS_MAX
                    && let Some(called) = self.open(path)
                {
                    let handed = handed(job, secrets);
                    let prefix = format!("{name} / ");
                    let rights = Some(&reached.permissions);
                    self.workflow(&called, &handed, rights, &prefix, depth + 1, found);
                }
            } else if self.action.is_used_by(text) {
                reached.references.push(reference(file, uses));
                // The called workflow gets what is handed to it, never its caller's environment.
                reached.handed = Names::of(&job.with);
                match &job.secrets {
                    HandedSecrets::None => {}
                    HandedSecrets::Inherit(_) => match secrets {
                        Handed::Own => reached.handed.all = true,
                        Handed::Named(named) => named.values().for_each(|names| reached.handed.add(names)),
                    },
                    HandedSecrets::Named(entries) => reached.handed.add(&Names::of(entries)),
                }
            } else if depth < CALLS_MAX {
                let versions = self.elsewhere.workflow(text);
                for called in versions.into_iter().filter_map(|version| self.open_elsewhere(version)) {
                    let handed = handed(job, secrets);
                    let rights = Some(&reached.permissions);
                    self.workflow(&called, &handed, rights, &format!("{name} / "), depth + 1, found);
                }
            }
        }
        // `GITHUB_ENV` of earlier steps.
        let mut added = Names::default();
        for step in &job.steps {
            let own = step_names(step);
            let references = self.step(file, step, depth);
            if !references.is_empty() {
                reached.references.extend(references);
                reached.handed.add(&own);
                reached.handed.add(&added);
            }
            if step.run.as_ref().and_then(|run| run.text()).is_some_and(|run| run.contains("GITHUB_ENV")) {
                added.add(&own);
                added.add(&step.run.as_ref().map(Names::below).unwrap_or_default());
            }
            reached.persisted |= persists(step);
        }
        if !reached.references.is_empty() {
            reached.handed = secrets.origin(&reached.handed);
            reached.held = secrets.origin(&reached.held);
            found.push(reached);
        }
    }

    /// Every secret that the job names: the runner is sent all of them.
    fn all_of(&self, file: &File, job: &Job) -> Names {
        let jobs = file.root.get("jobs").map(|jobs| jobs.entries()).unwrap_or_default();
        let node = jobs.into_iter().find(|(key, _)| key.text() == Some(job.id.as_str()));
        let mut names = node.map(|(_, node)| Names::below(node)).unwrap_or_default();
        names.add(&Names::of(&file.workflow.env));
        names
    }

    /// Where a step uses the action, itself or through a composite action of the repository.
    fn step(&self, file: &File, step: &Step, depth: usize) -> Vec<ActionReference> {
        let Some(uses) = &step.uses else { return Vec::new() };
        let text = uses.text().unwrap_or_default().trim();
        if self.action.is_used_by(text) {
            return vec![reference(file, uses)];
        }
        if depth >= CALLS_MAX {
            return Vec::new();
        }
        let Some(folder) = text.strip_prefix("./") else {
            let versions = self.elsewhere.action(text);
            let called = versions.into_iter().filter_map(|version| self.open_elsewhere(version));
            let mut references: Vec<ActionReference> =
                called.flat_map(|called| self.steps_of_action(&called, depth + 1)).collect();
            references.dedup();
            return references;
        };
        let folder = folder.trim_end_matches('/');
        let called = ["action.yml", "action.yaml"].into_iter().find_map(|name| {
            self.open(&if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") })
        });
        called.map(|called| self.steps_of_action(&called, depth + 1)).unwrap_or_default()
    }

    fn steps_of_action(&self, file: &File, depth: usize) -> Vec<ActionReference> {
        let steps = file.workflow.jobs.iter().flat_map(|job| &job.steps);
        steps.flat_map(|step| self.step(file, step, depth)).collect()
    }
}

fn step_names(step: &Step) -> Names {
    let mut names = Names::of(&step.with);
    names.add(&Names::of(&step.env));
    names
}

/// What a called workflow of the repository gets.
fn handed(job: &Job, secrets: &Handed) -> Handed {
    match &job.secrets {
        HandedSecrets::None => Handed::Named(BTreeMap::new()),
        HandedSecrets::Inherit(_) => secrets.clone(),
        HandedSecrets::Named(entries) => Handed::Named(
            entries
                .iter()
                .map(|entry| (entry.name.clone(), secrets.origin(&Names::below(&entry.node))))
                .collect(),
        ),
    }
}

/// `actions/checkout` leaves its token where later steps find it, unless told not to.
fn persists(step: &Step) -> bool {
    let uses = step.uses.as_ref().and_then(|uses| uses.text()).unwrap_or_default().to_ascii_lowercase();
    let told_not_to = step.with.iter().any(|entry| {
        entry.name.eq_ignore_ascii_case("persist-credentials")
            && entry.node.text().is_some_and(|text| text.trim().eq_ignore_ascii_case("false"))
    });
    uses.split('@').next() == Some("actions/checkout") && !told_not_to
}

fn environment(file: &File, job: &Job) -> Option<String> {
    let jobs = file.root.get("jobs")?.entries();
    let (_, node) = jobs.into_iter().find(|(key, _)| key.text() == Some(job.id.as_str()))?;
    let environment = node.get("environment")?;
    environment.text().or_else(|| environment.get("name")?.text()).map(str::to_owned)
}

fn reference(file: &File, uses: &Node) -> ActionReference {
    ActionReference {
        uses: RepositoryText::new(uses.text().unwrap_or_default()),
        path: RepositoryText::new(file.path.clone()),
        span: LineIndex::new(&file.text).span(uses.bytes),
    }
}
