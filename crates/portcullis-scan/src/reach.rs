//! The other kind of theft: the workflow is benign, and an action that it used was taken over. Which jobs of which
//! repositories used it by a reference that its owner can move, in that time, and what could each of them reach?
//!
//! Same documents as a scan gives, with one finding a job. Times are those of pushes where they are known, else those that
//! commits claim; a version stood from its commit until the last commit that replaced it on some own branch.

pub mod action;
mod at_commit;
mod elsewhere;
mod finding;
mod job;
mod names;
pub mod permissions;
mod stood;
mod uses;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use gix::ObjectId;
use rayon::prelude::*;

use self::action::Action;
use self::at_commit::AtCommit;
use self::elsewhere::Elsewhere;
use self::finding::{Group, finding};
use self::job::Reading;
pub use self::permissions::rights;
use self::stood::stood;
use self::uses::Uses;
use crate::called::CalledPaths;
use crate::flow::NoFiles;
use crate::history::{self, Extra, History};
use crate::objects::{self, BLOB_MAX, Objects};
use crate::report::{Problem, RepositoryName, Stats};
use crate::scan::{Part, Totals};
use crate::source::{self, Source};
use crate::text::RepositoryText;

/// The rule of its findings.
pub const RULE: &str = "compromised-action";
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
    let mut elsewhere = Elsewhere::new(question.between);
    let mut found: Vec<(&Path, Vec<Source>)> = Vec::new();
    let mut refused: Vec<(&Path, &str, String)> = Vec::new();
    for path in &question.paths {
        match source::find(path) {
            Ok(source::Found { sources, problems }) => {
                totals.paths_read += 1;
                refused.extend(problems.into_iter().map(|what| (path.as_path(), "over-limit", what)));
                elsewhere.add(&sources);
                found.push((path, sources));
            }
            Err(error) => refused.push((path, "unreadable", error.to_string())),
        }
    }
    for (path, kind, what) in refused {
        let mut asked = Asked::new(question, &elsewhere, path, None);
        asked.problem(None, kind, what);
        asked.hand_over(&mut totals, take);
    }
    for (path, sources) in found {
        // Some at a time, so that memory does not grow with the number of repositories.
        for some in sources.chunks(64) {
            let answers: Vec<Asked<'_>> =
                some.par_iter().map(|source| Asked::source(question, &elsewhere, path, source)).collect();
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
    elsewhere: &'q Elsewhere,
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

impl<'q> Asked<'q> {
    fn new(question: &'q Question, elsewhere: &'q Elsewhere, path: &Path, identity: Option<String>) -> Self {
        let repository = RepositoryName { given: path.display().to_string(), identity };
        let part = Part { repository, ..Part::default() };
        Self { question, elsewhere, part, stats: Stats::default(), complete: true }
    }

    fn source(question: &'q Question, elsewhere: &'q Elsewhere, given: &Path, source: &Source) -> Self {
        match source {
            Source::File(path) => {
                let mut asked = Self::new(question, elsewhere, given, None);
                asked.stats.repositories = 1;
                asked.file(given, path);
                asked
            }
            // Its commits are read with its repository.
            Source::WorkTree(work_tree) => Self::new(question, elsewhere, work_tree, None),
            Source::Refused { work_tree, why } => {
                let mut asked = Self::new(question, elsewhere, work_tree, None);
                asked.stats.repositories = 1;
                asked.problem(None, "refused", why.clone());
                asked
            }
            Source::Repository { git, work_tree } => {
                let shown = work_tree.as_deref().unwrap_or(git);
                match objects::open(git) {
                    Ok(objects) => {
                        let mut asked = Self::new(question, elsewhere, shown, objects.identity());
                        asked.stats.repositories = 1;
                        asked.part.read = true;
                        asked.repository(&objects);
                        asked
                    }
                    Err(error) => {
                        let mut asked = Self::new(question, elsewhere, shown, None);
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
                let text = crate::text::lossy(&bytes);
                let reading = job::read(&shown, &text, &self.question.action, &NoFiles, self.elsewhere);
                if let Some(what) = reading.problem {
                    self.stats.files_failed += 1;
                    self.problem(Some(&shown), "invalid-yaml", what);
                }
                let blob = ObjectId::null(gix::hash::Kind::Sha1);
                for reached in reading.jobs {
                    let mut group = Group::default();
                    group.triggers.clone_from(&reading.triggers);
                    group.add(0, blob, &reached);
                    let finding = finding(
                        &self.question.action,
                        &self.part.repository,
                        &shown,
                        &group,
                        None,
                        &BTreeMap::new(),
                    );
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
        let stood = stood(objects, &history, self.question.between);
        let mut holders: BTreeMap<(&str, ObjectId), Vec<usize>> = BTreeMap::new();
        for (at, commit) in history.commits.iter().enumerate() {
            for (path, blob) in commit.files.iter() {
                holders.entry((path.as_str(), *blob)).or_default().push(at);
            }
        }
        // Only what stood in the time can answer, and only what names the action or calls something that might.
        holders.retain(|_, holders| holders.iter().any(|at| stood.get(*at).copied().unwrap_or(false)));
        self.stats.workflow_versions += holders.len();
        let called = CalledPaths::new(std::sync::Arc::clone(&history.tops));
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
            let text = crate::text::lossy(&bytes);
            let names_it = text.to_ascii_lowercase().contains(&needle);
            if !names_it && !text.contains("./") && !self.elsewhere.is_used_in(&text) {
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
                if version.reading.is_cut {
                    let what =
                        format!("more than {} calls to follow; those after that are not", job::FOLLOWED_MAX);
                    self.problem(Some(path), "over-limit", what);
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
            let finding = finding(
                &self.question.action,
                &self.part.repository,
                path,
                group,
                Some((&history, &known)),
                &uses.of,
            );
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
            let reading = job::read(path, text, &self.question.action, &local, self.elsewhere);
            let called = local.asked.into_inner().into_iter().collect();
            versions.push(Version { reading, called, holders: vec![*at] });
        }
        versions
    }
}
