//! From paths to a report.

mod chosen;
mod files;
mod joint;
mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use gix::ObjectId;
use rayon::prelude::*;

use chosen::{holders, stood_since};
pub use files::Folder;
use joint::Joint;
use version::{Reader, Version, blob_id, loose, unread};

use crate::called::CalledPaths;
use crate::exposure::{self, Outline};
use crate::flow::NoFiles;
use crate::flow::known::KnownSteps;
use crate::flow::shell::KnownTrees;
use crate::history::{self, Extra, History};
use crate::objects::{self, BLOB_MAX, Objects};
use crate::report::{Document, Finding, Problem, RepositoryName, SCHEMA, Stats};
use crate::source::{self, Source};
use crate::text::RepositoryText;

/// Stack of the analysing threads: syntax trees are walked by recursion, whose depth is bounded to fit in here.
const STACK_BYTES: usize = 32 * 1024 * 1024;

/// What to scan, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Work trees, repositories, workflow files, or folders of these.
    pub paths: Vec<PathBuf>,
    /// Whether to look at all versions, or only at the present files.
    pub history: bool,
    /// `host/owner/name`, instead of what the remote's URL says.
    pub identity: Option<String>,
    /// Commit ids that are known to have been pushed to the repository itself (a forge's push events): what only they
    /// lead to counts as the repository's own.
    pub pushed_heads: Vec<String>,
    /// When the forge saw some of them pushed, in seconds since 1970, by commit id. Without such a time nothing counts as
    /// having stood for long: a commit's own time is the pusher's word.
    pub push_times: BTreeMap<String, i64>,
    /// Further commit ids to look at (`--commits`); whose they are stays open.
    pub heads: Vec<String>,
    /// Only references that match this pattern (`refs/heads/*`, or a short name).
    pub refs: Option<String>,
    /// Only versions that stood at or after this time, in seconds since 1970.
    pub since: Option<i64>,
    /// Only versions in commits that are not ancestors of this one.
    pub since_commit: Option<String>,
    /// Hosts and addresses that are known to mark an attack, in lower case; each covers what lies below it.
    pub indicators: BTreeSet<String>,
    /// Threads; 0 is one for each core.
    pub jobs: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            paths: vec![PathBuf::from(".")],
            history: true,
            identity: None,
            pushed_heads: Vec::new(),
            push_times: BTreeMap::new(),
            heads: Vec::new(),
            refs: None,
            since: None,
            since_commit: None,
            indicators: BTreeSet::new(),
            jobs: 0,
        }
    }
}

/// What a scan found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The document.
    pub document: Document,
    /// Text of each version that a finding names, by object id, for excerpts. Hostile, like all of it.
    pub texts: BTreeMap<String, RepositoryText>,
    /// How many of the given paths could be read at all.
    pub paths_read: usize,
}

/// What one repository (or the loose files of one path) shows.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Which one.
    pub repository: RepositoryName,
    /// What was found in it, the worst first.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub problems: Vec<Problem>,
    /// Text of each version that a finding names, by object id. Hostile.
    pub texts: BTreeMap<String, RepositoryText>,
    /// Whether something of it could be read.
    pub read: bool,
    /// Files that were looked for and are not in the object database, though a tree names them. Whoever fetched it in
    /// parts (`--filter=blob:none`) fetches these and scans again.
    pub missing: BTreeSet<ObjectId>,
}

/// What is known when all parts are done.
#[derive(Clone, Debug)]
pub struct Totals {
    /// Whether everything that was asked for could be looked at.
    pub complete: bool,
    /// Counts.
    pub stats: Stats,
    /// How many of the given paths could be read at all.
    pub paths_read: usize,
    /// How many repositories and loose files could be read at all.
    pub repositories_read: usize,
}

/// Scans. Reads local files only; what fails becomes a problem of the document.
pub fn scan(options: &Options) -> Report {
    let mut parts = Vec::new();
    let totals = scan_each(options, &mut |part| parts.push(part));
    Report::new(parts, totals)
}

impl Report {
    /// Joins the parts of a scan into one document.
    pub fn new(parts: Vec<Part>, totals: Totals) -> Self {
        let (mut findings, mut problems, mut texts) = (Vec::new(), Vec::new(), BTreeMap::new());
        for part in parts {
            findings.extend(part.findings);
            problems.extend(part.problems);
            texts.extend(part.texts);
        }
        sort(&mut findings);
        let Totals { complete, stats, paths_read, .. } = totals;
        let document = Document { schema: SCHEMA.to_owned(), complete, stats, findings, problems };
        Self { document, texts, paths_read }
    }
}

/// Scans, and hands over each repository's part as soon as it is done: what many repositories need in memory is what the
/// largest of them does.
pub fn scan_each(options: &Options, take: &mut (dyn FnMut(Part) + Send)) -> Totals {
    let (known, trees) = (KnownSteps::new(), KnownTrees::new());
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.jobs)
        .stack_size(STACK_BYTES)
        .start_handler(move |_| {
            Arc::clone(&known).use_in_this_thread();
            Arc::clone(&trees).use_in_this_thread();
        })
        .build();
    match pool {
        Ok(pool) => pool.install(|| scan_within(options, take)),
        // No threads to be had: this one will do.
        Err(_) => scan_within(options, take),
    }
}

fn scan_within(options: &Options, take: &mut (dyn FnMut(Part) + Send)) -> Totals {
    let started = Instant::now();
    let mut totals = Totals { complete: true, stats: Stats::default(), paths_read: 0, repositories_read: 0 };
    for path in &options.paths {
        let mut scanned = Scanned::new(options);
        match source::find(path) {
            Ok(source::Found { sources, problems }) => {
                totals.paths_read += 1;
                for what in problems {
                    let given = RepositoryName { given: path.display().to_string(), identity: None };
                    scanned.problem(given, None, "over-limit", what);
                }
                for source in sources {
                    let loose = matches!(source, Source::File(_));
                    // Loose files of one path are one part.
                    if !loose || !scanned.is_loose {
                        scanned.hand_over(&mut totals, take);
                        scanned = Scanned::new(options);
                    }
                    scanned.is_loose = loose;
                    scanned.source(path, &source);
                }
            }
            Err(error) => {
                let given =
                    RepositoryName { given: path.display().to_string(), identity: options.identity.clone() };
                scanned.problem(given, None, "unreadable", error.to_string());
            }
        }
        scanned.hand_over(&mut totals, take);
    }
    totals.stats.seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    totals
}

fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        (b.verdict, &a.repository, &a.path, &a.rule, &a.id).cmp(&(
            a.verdict,
            &b.repository,
            &b.path,
            &b.rule,
            &b.id,
        ))
    });
}

struct Scanned<'o> {
    options: &'o Options,
    stats: Stats,
    findings: Vec<Finding>,
    problems: Vec<Problem>,
    texts: BTreeMap<String, RepositoryText>,
    complete: bool,
    name: Option<RepositoryName>,
    is_loose: bool,
    missing: BTreeSet<ObjectId>,
}

impl<'o> Scanned<'o> {
    fn new(options: &'o Options) -> Self {
        Self {
            options,
            stats: Stats::default(),
            findings: Vec::new(),
            problems: Vec::new(),
            texts: BTreeMap::new(),
            complete: true,
            name: None,
            is_loose: false,
            missing: BTreeSet::new(),
        }
    }

    /// Adds up what was read and hands it over, unless there is nothing.
    fn hand_over(self, totals: &mut Totals, take: &mut (dyn FnMut(Part) + Send)) {
        let Self { stats, mut findings, problems, texts, complete, name, missing, .. } = self;
        if name.is_none() && problems.is_empty() {
            return;
        }
        totals.complete &= complete;
        totals.stats.repositories += stats.repositories;
        totals.stats.commits += stats.commits;
        totals.stats.workflow_versions += stats.workflow_versions;
        totals.stats.files_failed += stats.files_failed;
        sort(&mut findings);
        let barred = problems.iter().any(|problem| matches!(problem.kind.as_str(), "refused" | "unreadable"));
        let read = name.is_some() && (!barred || stats.commits + stats.workflow_versions > 0);
        totals.repositories_read += usize::from(read);
        let repository =
            name.or_else(|| problems.first().map(|problem| problem.repository.clone())).unwrap_or_default();
        take(Part { repository, findings, problems, texts, read, missing });
    }

    fn problem(&mut self, repository: RepositoryName, path: Option<&str>, kind: &str, what: String) {
        self.complete = false;
        self.problems.push(Problem {
            repository,
            path: path.map(RepositoryText::new),
            kind: kind.to_owned(),
            what,
        });
    }

    fn source(&mut self, given: &Path, source: &Source) {
        self.stats.repositories += 1;
        match source {
            Source::File(path) => self.file(given, path),
            Source::WorkTree(work_tree) => {
                let name = self.name(work_tree, None);
                let versions = self.work_tree(work_tree, &name, &BTreeSet::new());
                self.join(&name, None, versions);
            }
            Source::Refused { work_tree, why } => {
                let name = self.name(work_tree, None);
                self.problem(name.clone(), None, "refused", why.clone());
                let versions = self.work_tree(work_tree, &name, &BTreeSet::new());
                self.join(&name, None, versions);
            }
            Source::Repository { git, work_tree } => self.repository(git, work_tree.as_deref()),
        }
    }

    fn name(&mut self, path: &Path, identity: Option<String>) -> RepositoryName {
        let name = RepositoryName {
            given: path.display().to_string(),
            identity: self.options.identity.clone().or(identity),
        };
        self.name = Some(name.clone());
        name
    }

    fn file(&mut self, given: &Path, path: &Path) {
        let name = self.name(given, None);
        let shown = relative(given, path);
        match source::read_file(path, BLOB_MAX) {
            Ok(bytes) => {
                let root = root_of(path);
                let version = match &root {
                    Some(root) => {
                        loose(&shown, &bytes, &Folder(root.clone()), self.options.identity.as_deref())
                    }
                    None => loose(&shown, &bytes, &NoFiles, self.options.identity.as_deref()),
                };
                self.join(&name, None, vec![version]);
            }
            Err(what)
                if std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() > BLOB_MAX) =>
            {
                self.join(&name, None, vec![unread(&shown, "", what)]);
            }
            Err(what) => self.problem(name, Some(&shown), "unreadable", what),
        }
    }

    fn repository(&mut self, git: &Path, work_tree: Option<&Path>) {
        let shown = work_tree.unwrap_or(git);
        let objects = match objects::open(git) {
            Ok(objects) => objects,
            Err(error) => {
                let name = self.name(shown, None);
                self.problem(name.clone(), None, "refused", error.to_string());
                if let Some(work_tree) = work_tree {
                    let versions = self.work_tree(work_tree, &name, &BTreeSet::new());
                    self.join(&name, None, versions);
                }
                return;
            }
        };
        let name = self.name(shown, objects.identity());
        let history = if self.options.history || work_tree.is_none() {
            let extra = Extra {
                pushed: &self.options.pushed_heads,
                push_times: Some(&self.options.push_times),
                heads: &self.options.heads,
                present_only: !self.options.history,
            };
            history::read(&objects, &extra)
        } else {
            History::default()
        };
        self.stats.commits += history.commits.len();
        for problem in &history.problems {
            let complete = self.complete;
            self.problem(name.clone(), problem.path.as_deref(), problem.kind, problem.what.clone());
            self.complete = complete && !history.incomplete;
        }
        let mut versions = self.versions(&objects, &history, &name);
        if let Some(work_tree) = work_tree {
            let known = versions.iter().map(|version| (version.path.clone(), version.blob.clone())).collect();
            versions.extend(self.work_tree(work_tree, &name, &known));
        }
        self.join(&name, Some((&objects, &history)), versions);
    }

    /// Each distinct version in the history, analysed once.
    fn versions(&mut self, objects: &Objects, history: &History, name: &RepositoryName) -> Vec<Version> {
        let chosen = self.chosen(history, name);
        let mut holders = holders(history, &chosen);
        if !self.options.history {
            for (_, commits) in &mut holders {
                commits.retain(|at| chosen.get(*at).copied().unwrap_or(true));
            }
        }
        let handle = objects.handle();
        let identity = name.identity.as_deref();
        let called = CalledPaths::new(Arc::clone(&history.tops));
        let outcomes: Vec<Result<Vec<Version>, (String, objects::ObjectError)>> = holders
            .into_par_iter()
            .map_init(&handle, |objects, ((path, blob), commits)| {
                let bytes = match objects.blob(blob) {
                    Err(error @ objects::ObjectError::TooLarge(..)) => {
                        let mut unread = unread(&path, &blob.to_string(), error.to_string());
                        unread.commits = commits.into_iter().collect();
                        return Ok(vec![unread]);
                    }
                    other => other
                        .inspect_err(|error| called.note(error))
                        .map_err(|error| (path.clone(), error))?,
                };
                let reader = Reader { objects, history, called: &called, identity };
                Ok(reader.variants(&path, blob, &bytes, commits))
            })
            .collect();
        self.missing.extend(called.missing());
        let mut versions = Vec::new();
        for outcome in outcomes {
            match outcome {
                Ok(variants) => versions.extend(variants),
                Err((path, error)) => {
                    self.stats.files_failed += 1;
                    let kind = match error {
                        objects::ObjectError::Missing(_) => "missing-object",
                        objects::ObjectError::Broken(_) => "broken-object",
                        objects::ObjectError::TooDeep(_) => "over-limit",
                        objects::ObjectError::TooLarge(..) => "too-large",
                    };
                    self.problem(name.clone(), Some(&path), kind, error.to_string());
                }
            }
        }
        versions
    }

    /// Which commits count, by `refs`, `since` and `--no-history`.
    fn chosen(&mut self, history: &History, name: &RepositoryName) -> Vec<bool> {
        let options = self.options;
        let mut chosen = vec![true; history.commits.len()];
        let ancestors = |roots: Vec<usize>| {
            let mut seen = vec![false; history.commits.len()];
            let mut open = roots;
            while let Some(at) = open.pop() {
                if let Some(mark) = seen.get_mut(at).filter(|mark| !**mark) {
                    *mark = true;
                    open.extend(
                        history.commits.get(at).map(|commit| commit.parents.clone()).unwrap_or_default(),
                    );
                }
            }
            seen
        };
        let mut keep = |wanted: Vec<bool>| {
            for (mark, wanted) in chosen.iter_mut().zip(wanted) {
                *mark &= wanted;
            }
        };
        if let Some(pattern) = &options.refs {
            // Here `*` goes over `/`: `refs/heads/*` means every branch.
            let matcher = exposure::Pattern::new(&pattern.replace('*', "**"));
            let matches = |name: &str| {
                let short = name.splitn(3, '/').nth(2).unwrap_or(name);
                matcher.as_ref().map_or(name == pattern || short == pattern, |matcher| {
                    let mut unlimited = usize::MAX;
                    [name, short].iter().any(|name| matcher.matches(name, &mut unlimited) == Some(true))
                })
            };
            let heads: Vec<usize> =
                history.heads.iter().filter(|head| matches(&head.name)).map(|head| head.commit).collect();
            if heads.is_empty() {
                let what = format!("no reference matches `{pattern}`, so no commit was looked at");
                self.problem(name.clone(), None, "nothing-chosen", what);
            }
            keep(ancestors(heads));
        }
        if let Some(since) = options.since {
            keep(stood_since(history, since));
        }
        if let Some(id) = &options.since_commit {
            let roots: Vec<usize> = history
                .commits
                .iter()
                .enumerate()
                .filter(|(_, commit)| commit.id.to_string().starts_with(id.as_str()))
                .map(|(at, _)| at)
                .collect();
            if roots.is_empty() {
                let what = format!("there is no commit `{id}` since which to look, so all were looked at");
                self.problem(name.clone(), None, "unknown-commit", what);
            }
            keep(ancestors(roots).into_iter().map(|seen| !seen).collect());
        }
        if !options.history {
            let tips: BTreeSet<usize> = history
                .heads
                .iter()
                .filter(|head| history.default_branch.as_ref().is_none_or(|name| *name == head.name))
                .map(|head| head.commit)
                .collect();
            keep((0..history.commits.len()).map(|at| tips.contains(&at)).collect());
        }
        chosen
    }

    /// Files of a work tree that no commit has in this form.
    fn work_tree(
        &mut self,
        root: &Path,
        name: &RepositoryName,
        known: &BTreeSet<(String, String)>,
    ) -> Vec<Version> {
        let (paths, problems) = source::workflows(root);
        for (kind, path, what) in problems {
            self.problem(name.clone(), Some(&relative(root, &path)), kind, what);
        }
        let mut versions = Vec::new();
        for path in paths {
            let shown = relative(root, &path);
            match source::read_file(&path, BLOB_MAX) {
                Ok(bytes) => {
                    // The known ids tell the repository's hash by their length.
                    let is_long = known.first().is_some_and(|(_, id)| id.len() > 40);
                    let hash = if is_long { gix::hash::Kind::Sha256 } else { gix::hash::Kind::Sha1 };
                    if !known.contains(&(shown.clone(), blob_id(hash, &bytes))) {
                        versions.push(loose(
                            &shown,
                            &bytes,
                            &Folder(root.to_owned()),
                            name.identity.as_deref(),
                        ));
                    }
                }
                Err(what) if std::fs::symlink_metadata(&path).is_ok_and(|file| file.len() > BLOB_MAX) => {
                    versions.push(unread(&shown, "", what));
                }
                Err(what) => self.problem(name.clone(), Some(&shown), "unreadable", what),
            }
        }
        versions
    }

    /// Joins the versions of one repository into findings.
    fn join(&mut self, name: &RepositoryName, source: Option<(&Objects, &History)>, versions: Vec<Version>) {
        let (objects, history) = source.unzip();
        self.stats.workflow_versions += versions.len();
        for version in &versions {
            if let Some(failure) = &version.analysis.problem {
                self.stats.files_failed += 1;
                self.problem(name.clone(), Some(&version.path), failure.kind, failure.what.clone());
            }
        }
        let empty = History::default();
        let history = history.unwrap_or(&empty);
        let joint = Joint {
            name,
            history,
            outline: Outline::new(history, versions.iter().map(|version| version.commits.as_slice())),
            objects,
            versions: &versions,
            indicators: &self.options.indicators,
        };
        let findings = joint.findings();
        for finding in &findings {
            if let Some(version) = versions.iter().find(|version| version.blob == finding.blob) {
                self.texts.entry(finding.blob.clone()).or_insert_with(|| RepositoryText::new(&*version.text));
            }
        }
        self.findings.extend(findings);
    }
}

/// A path below another, with `/`; of a file given by itself, from its `.github` on.
fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).ok().filter(|below| !below.as_os_str().is_empty());
    let parts: Vec<String> = below
        .unwrap_or(path)
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    match below {
        Some(_) => parts.join("/"),
        None => {
            let from =
                parts.iter().rposition(|part| part == ".github").unwrap_or(parts.len().saturating_sub(1));
            parts.get(from..).unwrap_or(&[]).join("/")
        }
    }
}

/// The folder that holds the `.github` of a workflow file.
pub fn root_of(path: &Path) -> Option<PathBuf> {
    let github = path.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == ".github"))?;
    let root = github.parent()?;
    Some(if root.as_os_str().is_empty() { PathBuf::from(".") } else { root.to_owned() })
}
