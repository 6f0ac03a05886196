//! The other kind of theft: the workflow is benign, and an action that it used was taken over. Which jobs of which
//! repositories used it by a reference that its owner can move, in that time, and what could each of them reach?
//!
//! Same documents as a scan gives, with one finding a job. Times are those of pushes where they are known, else those that
//! commits claim; a version stood from its commit until the last commit that replaced it on some own branch.

pub mod action;
mod job;
mod names;
pub mod permissions;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use gix::ObjectId;
use rayon::prelude::*;

use self::action::Action;
use self::job::{Reached, Reading};
use self::names::Names;
use self::permissions::Permissions;
use crate::called::CalledPaths;
use crate::exposure::{self, Bound, Outline};
use crate::flow::{LocalFile, LocalFiles, NoFiles};
use crate::history::{self, Extra, History};
use crate::objects::{self, BLOB_MAX, Objects};
use crate::report::{
    Basis, Certainty, Class, Destination, Exposure, Finding, FlowHop, JobToken, Problem, ReachedJob,
    RepositoryName, Secret, Standing, Stats, UsedFor, Verdict, finding_id,
};
use crate::scan::{Part, Totals};
use crate::signal::Signal;
use crate::source::{self, Source};
use crate::text::RepositoryText;
use crate::{analysis, services};

/// The rule of its findings.
pub const RULE: &str = "compromised-action";
/// Largest called file that is read.
const CALLED_MAX: usize = 1024 * 1024;
/// Stack of the reading threads, as a scan's.
const STACK_BYTES: usize = 32 * 1024 * 1024;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Work trees, repositories, workflow files, or folders of these.
    pub paths: Vec<PathBuf>,
    /// The action that was taken over.
    pub action: Action,
    /// From when until when, both included, in seconds since 1970; all times where it is not known.
    pub between: Option<(i64, i64)>,
    /// Threads; 0 is one for each core.
    pub jobs: usize,
}

/// Answers, one part a repository, as they come.
pub fn reach_each(question: &Question, take: &mut (dyn FnMut(Part) + Send)) -> Totals {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(question.jobs).stack_size(STACK_BYTES).build();
    match pool {
        Ok(pool) => pool.install(|| reach_within(question, take)),
        // No threads to be had: this one will do.
        Err(_) => reach_within(question, take),
    }
}

fn reach_within(question: &Question, take: &mut (dyn FnMut(Part) + Send)) -> Totals {
    let started = Instant::now();
    let mut totals = Totals { complete: true, stats: Stats::default(), paths_read: 0, repositories_read: 0 };
    for path in &question.paths {
        let sources = match source::find(path) {
            Ok(source::Found { sources, problems }) => {
                for what in problems {
                    let mut asked = Asked::new(question, path, None);
                    asked.problem(None, "over-limit", what);
                    asked.hand_over(&mut totals, take);
                }
                sources
            }
            Err(error) => {
                let mut asked = Asked::new(question, path, None);
                asked.problem(None, "unreadable", error.to_string());
                asked.hand_over(&mut totals, take);
                continue;
            }
        };
        totals.paths_read += 1;
        // Some at a time, so that memory does not grow with the number of repositories.
        for some in sources.chunks(64) {
            let answers: Vec<Asked<'_>> =
                some.par_iter().map(|source| Asked::source(question, path, source)).collect();
            for answer in answers {
                answer.hand_over(&mut totals, take);
            }
        }
    }
    totals.stats.seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    totals
}

struct Asked<'q> {
    question: &'q Question,
    part: Part,
    stats: Stats,
    complete: bool,
}

/// A version of a file as it is called at some commits.
struct Version {
    reading: Reading,
    called: Vec<(String, Option<ObjectId>)>,
    holders: Vec<usize>,
}

/// A job over all versions that used the action.
#[derive(Default)]
struct Group {
    /// Commits that have such a version, and those of them that stood in the time.
    holders: BTreeSet<usize>,
    in_time: BTreeSet<usize>,
    blobs: BTreeSet<String>,
    triggers: Vec<crate::workflow::Trigger>,
    is_action: bool,
    /// The newest of those in time, and the rights of all.
    newest: Option<(usize, ObjectId, Reached)>,
    handed: Names,
    held: Names,
    id_token: bool,
    persisted: bool,
}

impl<'q> Asked<'q> {
    fn new(question: &'q Question, path: &Path, identity: Option<String>) -> Self {
        let repository = RepositoryName { given: path.display().to_string(), identity };
        let part = Part { repository, ..Part::default() };
        Self { question, part, stats: Stats::default(), complete: true }
    }

    fn source(question: &'q Question, given: &Path, source: &Source) -> Self {
        match source {
            Source::File(path) => {
                let mut asked = Self::new(question, given, None);
                asked.stats.repositories = 1;
                asked.file(given, path);
                asked
            }
            // Its commits are read with its repository.
            Source::WorkTree(work_tree) => Self::new(question, work_tree, None),
            Source::Refused { work_tree, why } => {
                let mut asked = Self::new(question, work_tree, None);
                asked.stats.repositories = 1;
                asked.problem(None, "refused", why.clone());
                asked
            }
            Source::Repository { git, work_tree } => {
                let shown = work_tree.as_deref().unwrap_or(git);
                match objects::open(git) {
                    Ok(objects) => {
                        let mut asked = Self::new(question, shown, objects.identity());
                        asked.stats.repositories = 1;
                        asked.part.read = true;
                        asked.repository(&objects);
                        asked
                    }
                    Err(error) => {
                        let mut asked = Self::new(question, shown, None);
                        asked.stats.repositories = 1;
                        asked.problem(None, "refused", error.to_string());
                        asked
                    }
                }
            }
        }
    }

    fn problem(&mut self, path: Option<&str>, kind: &str, what: String) {
        self.complete = false;
        self.part.problems.push(Problem {
            repository: self.part.repository.clone(),
            path: path.map(RepositoryText::new),
            kind: kind.to_owned(),
            what,
        });
    }

    fn hand_over(self, totals: &mut Totals, take: &mut (dyn FnMut(Part) + Send)) {
        totals.complete &= self.complete;
        totals.stats.repositories += self.stats.repositories;
        totals.stats.commits += self.stats.commits;
        totals.stats.workflow_versions += self.stats.workflow_versions;
        totals.stats.files_failed += self.stats.files_failed;
        totals.repositories_read += usize::from(self.part.read);
        take(self.part);
    }

    /// A file outside any repository: nobody knows since when it stands, so it stood.
    fn file(&mut self, given: &Path, path: &Path) {
        let shown = path.strip_prefix(given).ok().filter(|below| !below.as_os_str().is_empty());
        let shown = shown.unwrap_or(path).display().to_string();
        match source::read_file(path, BLOB_MAX) {
            Ok(bytes) => {
                self.part.read = true;
                self.stats.workflow_versions += 1;
                let text = String::from_utf8_lossy(&bytes);
                let reading = job::read(&shown, &text, &self.question.action, &NoFiles);
                if let Some(what) = reading.problem {
                    self.stats.files_failed += 1;
                    self.problem(Some(&shown), "invalid-yaml", what);
                }
                let blob = ObjectId::null(gix::hash::Kind::Sha1);
                for reached in reading.jobs {
                    let mut group = Group { triggers: reading.triggers.clone(), ..Group::default() };
                    group.add(0, blob, &reached);
                    let finding = self.finding(&shown, &group, None, &BTreeMap::new());
                    self.part.findings.extend(finding);
                }
            }
            Err(what) => self.problem(Some(&shown), "unreadable", what),
        }
    }

    fn repository(&mut self, objects: &Objects) {
        let history = history::read(objects, &Extra::default());
        self.stats.commits += history.commits.len();
        for problem in &history.problems {
            let complete = self.complete;
            self.problem(problem.path.as_deref(), problem.kind, problem.what.clone());
            self.complete = complete && !history.incomplete;
        }
        let stood = stood(&history, self.question.between);
        let mut holders: BTreeMap<(&str, ObjectId), Vec<usize>> = BTreeMap::new();
        for (at, commit) in history.commits.iter().enumerate() {
            for (path, blob) in commit.files.iter() {
                holders.entry((path.as_str(), *blob)).or_default().push(at);
            }
        }
        // Only what stood in the time can answer, and only what names the action or calls something that might.
        holders.retain(|_, holders| holders.iter().any(|at| stood.get(*at).copied().unwrap_or(false)));
        self.stats.workflow_versions += holders.len();
        let called = CalledPaths::new();
        let needle = self.question.action.repository().to_owned();
        let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
        let mut called_here: BTreeSet<String> = BTreeSet::new();
        for ((path, blob), holders) in holders {
            let bytes = match objects.blob(blob) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.stats.files_failed += 1;
                    self.problem(Some(path), "unreadable", error.to_string());
                    continue;
                }
            };
            let text = String::from_utf8_lossy(&bytes);
            let names_it = text.to_ascii_lowercase().contains(&needle);
            if !names_it && !text.contains("./") {
                continue;
            }
            for version in self.versions(objects, &history, &called, path, &text, &holders) {
                if let Some(what) = &version.reading.problem {
                    if names_it {
                        self.stats.files_failed += 1;
                        self.problem(Some(path), "invalid-yaml", what.clone());
                    }
                    continue;
                }
                let in_time = version.holders.iter().any(|at| stood.get(*at).copied().unwrap_or(false));
                for reached in version.reading.jobs.iter().filter(|_| in_time) {
                    let group = groups.entry((path.to_owned(), reached.job.clone())).or_default();
                    group.triggers.extend(version.reading.triggers.iter().cloned());
                    group.is_action |= version.reading.is_action;
                    for at in &version.holders {
                        group.holders.insert(*at);
                        if stood.get(*at).copied().unwrap_or(false) {
                            group.in_time.insert(*at);
                            group.add(*at, blob, reached);
                        }
                    }
                    called_here.extend(version.reading.called.iter().cloned());
                }
            }
        }
        if groups.is_empty() {
            return;
        }
        let uses = Uses::read(objects, &history);
        let known = uses.known.clone();
        // What only others start is told where it is called; by itself only where nothing here calls it.
        groups.retain(|(path, _), group| {
            let callable =
                group.is_action || group.triggers.iter().all(|trigger| trigger.event == "workflow_call");
            !callable || !called_here.contains(path)
        });
        for ((path, _), group) in &groups {
            if let Some((_, blob, _)) = &group.newest
                && let Ok(bytes) = objects.blob(*blob)
            {
                self.part.texts.insert(blob.to_string(), RepositoryText::from_bytes(&bytes));
            }
            let finding = self.finding(path, group, Some((&history, &known)), &uses.of);
            self.part.findings.extend(finding);
        }
    }

    /// A text once for each combination with what it calls.
    fn versions(
        &self,
        objects: &Objects,
        history: &History,
        paths: &CalledPaths,
        path: &str,
        text: &str,
        holders: &[usize],
    ) -> Vec<Version> {
        let mut versions: Vec<Version> = Vec::new();
        for at in holders.iter().rev() {
            let Some(commit) = history.commits.get(*at) else { continue };
            let find = |path: &str| match commit.files.get(path) {
                Some(id) => Some(*id),
                None => paths.file(objects, commit.text.tree, path).file(),
            };
            let same =
                versions.iter_mut().find(|version| version.called.iter().all(|(path, id)| find(path) == *id));
            if let Some(version) = same {
                version.holders.push(*at);
                continue;
            }
            let local = AtCommit { objects, find: &find, asked: RefCell::default() };
            let reading = job::read(path, text, &self.question.action, &local);
            let called = local.asked.into_inner().into_iter().collect();
            versions.push(Version { reading, called, holders: vec![*at] });
        }
        versions
    }

    fn finding(
        &self,
        path: &str,
        group: &Group,
        repository: Option<(&History, &BTreeSet<String>)>,
        uses: &BTreeMap<String, Vec<UsedFor>>,
    ) -> Option<Finding> {
        let (_, blob, newest) = group.newest.as_ref()?;
        let all = group.handed.all || group.held.all;
        let mut names: BTreeMap<String, (String, Certainty)> = BTreeMap::new();
        let mut add = |name: &str, certainty| {
            names.entry(name.to_ascii_uppercase()).or_insert_with(|| (name.to_owned(), certainty));
        };
        group.handed.iter().for_each(|name| add(name, Certainty::Certain));
        group.held.iter().for_each(|name| add(name, Certainty::Possible));
        if let (true, Some((_, known))) = (all, repository) {
            known.iter().for_each(|name| add(name, Certainty::Possible));
        }
        let secrets: Vec<Secret> =
            names.values().map(|(name, certainty)| secret(name, *certainty, uses)).collect();
        let action = &self.question.action;
        let key = format!("repository:{}", action.name());
        let mut signals = BTreeSet::from([Signal::MutableReference]);
        if all {
            signals.insert(Signal::AllSecrets);
        }
        let exposed = repository.map(|(history, _)| exposed(history, path, group));
        let (refs, reachable, standing, introduced) = match exposed {
            Some(found) => found,
            None => (Vec::new(), true, Standing::CouldRun, None),
        };
        let triggers: BTreeSet<&str> = group.triggers.iter().map(|trigger| trigger.event.as_str()).collect();
        let mut leaving: Vec<String> = names.values().map(|(name, _)| name.clone()).collect();
        if leaving.is_empty() {
            leaving.push("GITHUB_TOKEN".to_owned());
        }
        let exposures = leaving
            .iter()
            .map(|name| Exposure {
                secret: RepositoryText::new(name.clone()),
                destination: RepositoryText::new(key.clone()),
                reachable,
                triggers: triggers.iter().map(|event| RepositoryText::new(*event)).collect(),
                introduced: introduced.clone(),
                refs: refs.clone(),
                versions: group.blobs.iter().cloned().collect(),
            })
            .collect();
        let first = newest.references.first()?;
        let flow = newest
            .references
            .iter()
            .map(|reference| FlowHop {
                hop: "sink".to_owned(),
                what: RepositoryText::new(format!("used here: {}", reference.uses.unescaped())),
                path: reference.path.clone(),
                span: reference.span,
            })
            .collect();
        Some(Finding {
            id: finding_id(RULE, &format!("{path}#{}", newest.job), &leaving, &[key]),
            rule: RULE.to_owned(),
            verdict: Verdict::Exposed,
            standing,
            signals: signals.iter().map(|signal| signal.id().to_owned()).collect(),
            repository: self.part.repository.clone(),
            path: RepositoryText::new(path),
            blob: blob.to_string(),
            skeleton: String::new(),
            span: first.span,
            secrets,
            all_secrets: all,
            destinations: vec![Destination {
                host: None,
                url: Some(RepositoryText::new(format!("https://github.com/{}", action.repository()))),
                class: Class::Repository,
                name: Some(RepositoryText::new(action.name())),
            }],
            flow,
            exposures,
            accepted: None,
            accepted_by: None,
            comment_refused: None,
            job: Some(ReachedJob {
                id: RepositoryText::new(newest.job.clone()),
                references: newest.references.clone(),
                environment: newest.environment.clone().map(RepositoryText::new),
                token: JobToken { permissions: newest.permissions.clone(), persisted: group.persisted },
                id_token: group.id_token,
            }),
        })
    }
}

impl Group {
    /// Takes over what a version's job could reach at a commit.
    fn add(&mut self, at: usize, blob: ObjectId, reached: &Reached) {
        self.blobs.insert(blob.to_string());
        self.handed.add(&reached.handed);
        self.held.add(&reached.held);
        self.id_token |= reached.id_token();
        self.persisted |= reached.persisted;
        if self.newest.as_ref().is_none_or(|(newest, ..)| *newest <= at) {
            self.newest = Some((at, blob, reached.clone()));
        }
    }
}

/// Files at a commit, noting which were asked for.
struct AtCommit<'a> {
    objects: &'a Objects,
    find: &'a dyn Fn(&str) -> Option<ObjectId>,
    asked: RefCell<BTreeMap<String, Option<ObjectId>>>,
}

impl LocalFiles for AtCommit<'_> {
    fn read(&self, path: &str) -> LocalFile {
        let id = (self.find)(path);
        self.asked.borrow_mut().insert(path.to_owned(), id);
        match id.map(|id| self.objects.blob(id)) {
            Some(Ok(bytes)) => LocalFile::of_bytes(&bytes, CALLED_MAX),
            Some(Err(error)) => error.into(),
            None => LocalFile::Absent,
        }
    }
}

/// Which commits stood on some reference in the time.
fn stood(history: &History, between: Option<(i64, i64)>) -> Vec<bool> {
    let count = history.commits.len();
    let Some((from, until)) = between else { return vec![true; count] };
    // Nothing can have stood later than what was built on it, whatever its own time claims.
    let mut since: Vec<i64> = history
        .commits
        .iter()
        .map(|commit| commit.first_pushed.map_or(commit.text.time, |pushed| pushed.min(commit.text.time)))
        .collect();
    for (at, commit) in history.commits.iter().enumerate().rev() {
        let mine = since.get(at).copied().unwrap_or(i64::MAX);
        for parent in &commit.parents {
            if let Some(time) = since.get_mut(*parent) {
                *time = mine.min(*time);
            }
        }
    }
    let mut replaced: Vec<Option<i64>> = vec![None; count];
    for commit in &history.commits {
        let time = commit.first_pushed.map_or(commit.text.time, |pushed| pushed.max(commit.text.time));
        for parent in &commit.parents {
            // A stranger's commit replaces nothing on the repository's own branches.
            let counts = commit.own || history.commits.get(*parent).is_some_and(|parent| !parent.own);
            if let (true, Some(slot)) = (counts, replaced.get_mut(*parent)) {
                *slot = Some(slot.map_or(time, |known| known.max(time)));
            }
        }
    }
    // What a reference still holds was not replaced at all.
    for head in &history.heads {
        let is_own = history.commits.get(head.commit).is_some_and(|commit| commit.own);
        if let (true, Some(slot)) = (head.own || !is_own, replaced.get_mut(head.commit)) {
            *slot = None;
        }
    }
    since
        .iter()
        .zip(&replaced)
        .map(|(since, replaced)| *since <= until && replaced.is_none_or(|replaced| replaced > from))
        .collect()
}

type Span = (Vec<crate::report::RefSpan>, bool, Standing, Option<crate::report::Moment>);

/// On which references, since when, and whether it can have run in the time.
fn exposed(history: &History, path: &str, group: &Group) -> Span {
    let holders: [Vec<usize>; 2] = [&group.holders, &group.in_time].map(|set| set.iter().copied().collect());
    let outline = Outline::new(history, holders.iter().map(Vec::as_slice));
    let follow =
        |which| exposure::follow(history, &outline, &[which], &group.triggers, group.is_action, path);
    let (whole, in_time) = (follow(0), follow(1));
    let introduced = whole
        .introduced
        .and_then(|at| history.commits.get(at))
        .map(|commit| exposure::moment(commit, Bound::From));
    (whole.refs, in_time.reachable, in_time.standing.unwrap_or(Standing::Foreign), introduced)
}

/// What the repository's workflows publish with which secret, and every secret that they name.
#[derive(Default)]
struct Uses {
    of: BTreeMap<String, Vec<UsedFor>>,
    known: BTreeSet<String>,
}

/// Names of secrets that a version mentions, and what each is used for.
type NamesAndUses = (BTreeSet<String>, Vec<(String, UsedFor)>);

impl Uses {
    fn read(objects: &Objects, history: &History) -> Self {
        let mut newest: BTreeMap<(&str, ObjectId), usize> = BTreeMap::new();
        for (at, commit) in history.commits.iter().enumerate() {
            for (path, blob) in commit.files.iter() {
                newest.insert((path.as_str(), *blob), at);
            }
        }
        let handle = objects.handle();
        let read: Vec<NamesAndUses> = newest
            .into_par_iter()
            .map_init(&handle, |objects, ((path, blob), at)| one_file(objects, history, path, blob, at))
            .collect();
        let mut uses = Self::default();
        for (names, found) in read {
            uses.known.extend(names);
            for (secret, used) in found {
                let list = uses.of.entry(secret.to_ascii_uppercase()).or_default();
                let same = |other: &UsedFor| {
                    (&other.registry, &other.package, &other.path)
                        == (&used.registry, &used.package, &used.path)
                };
                if !list.iter().any(same) {
                    list.push(used);
                }
            }
        }
        uses
    }
}

fn one_file(
    objects: &Objects,
    history: &History,
    path: &str,
    blob: ObjectId,
    at: usize,
) -> (BTreeSet<String>, Vec<(String, UsedFor)>) {
    let (Ok(bytes), Some(commit)) = (objects.blob(blob), history.commits.get(at)) else {
        return Default::default();
    };
    let names = analysis::names_in(&String::from_utf8_lossy(&bytes));
    if names.is_empty() {
        return Default::default();
    }
    let paths = CalledPaths::new();
    let find = |path: &str| paths.file(objects, commit.text.tree, path).file();
    let local = AtCommit { objects, find: &find, asked: RefCell::default() };
    let analysis = analysis::analyse(path, &bytes, &local, None);
    let uses = analysis.uses.iter().map(|used| {
        let package = crate::publishing::package(&used.registry, used.directory.as_deref(), &local);
        let used_for = UsedFor {
            registry: used.registry.clone(),
            package: package.map(RepositoryText::new),
            basis: Basis::Claimed,
            path: RepositoryText::new(used.path.clone()),
            line: used.line,
            commit: commit.id.to_string(),
        };
        (used.secret.clone(), used_for)
    });
    (names, uses.collect())
}

fn secret(name: &str, certainty: Certainty, uses: &BTreeMap<String, Vec<UsedFor>>) -> Secret {
    let used_for = uses.get(&name.to_ascii_uppercase()).cloned().unwrap_or_default();
    let by_use =
        used_for.first().map(|used| if used.registry == "testpypi" { "pypi" } else { &used.registry });
    let kind = by_use
        .map(str::to_owned)
        .or_else(|| services::of_secret(name).map(|service| service.name.clone()))
        .unwrap_or_else(|| "unknown".to_owned());
    let rotate = services::named(&kind).map(|service| service.rotate.clone()).unwrap_or_default();
    Secret { name: RepositoryText::new(name), kind, certainty, used_for, rotate }
}

/// Rights as people read them.
pub fn rights(permissions: &Permissions) -> String {
    use self::permissions::Whole;
    match permissions {
        Permissions::Whole(Whole::ReadAll) => "reads everything".to_owned(),
        Permissions::Whole(Whole::WriteAll) => "writes everything".to_owned(),
        Permissions::Whole(Whole::Default) | Permissions::Unset => {
            "what the repository's settings give; that may be to write".to_owned()
        }
        Permissions::Scopes(scopes) if scopes.is_empty() => "nothing".to_owned(),
        Permissions::Scopes(scopes) => {
            let each = scopes.iter().map(|(scope, level)| match level {
                permissions::Level::Write => format!("writes {scope}"),
                permissions::Level::Read => format!("reads {scope}"),
                permissions::Level::None => format!("no {scope}"),
            });
            each.collect::<Vec<_>>().join(", ")
        }
    }
}
