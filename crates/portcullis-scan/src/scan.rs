//! From paths to a report.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use gix::ObjectId;
use rayon::prelude::*;

use crate::analysis::{Analysis, Seen, analyse};
use crate::called::{CalledPaths, Place};
use crate::exposure::{self, Exposed, Outline};
use crate::flow::known::KnownSteps;
use crate::flow::{LocalFile, LocalFiles, NoFiles};
use crate::history::{self, Extra, History};
use crate::objects::{self, BLOB_MAX, Objects};
use crate::report::{
    AcceptedBy, Basis, Certainty, Document, Exposure, Finding, Problem, RepositoryName, SCHEMA, Secret,
    Standing, Stats, UsedFor, finding_id,
};
use crate::services;
use crate::signal::Signal;
use crate::silence;
use crate::source::{self, Source};
use crate::text::RepositoryText;
use crate::verdict::weigh;

/// Largest file of a repository that a workflow may call and that is read.
const CALLED_MAX: usize = 1024 * 1024;
/// How long a login must have been seen to stand for it to be an excuse.
const ESTABLISHED_SECONDS: i64 = 30 * 24 * 3600;
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
    let known = KnownSteps::new();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.jobs)
        .stack_size(STACK_BYTES)
        .start_handler(move |_| Arc::clone(&known).use_in_this_thread())
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

/// One version of one workflow: where it stands and what it shows.
struct Version {
    path: String,
    blob: String,
    /// Indices of the commits that hold it; none for a file outside any commit.
    commits: Vec<usize>,
    text: String,
    analysis: Analysis,
    /// Names of the packages that its publish steps publish, in the order of its uses.
    packages: Vec<Option<String>>,
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
                        version(&shown, &bytes, &Folder(root.clone()), self.options.identity.as_deref())
                    }
                    None => version(&shown, &bytes, &NoFiles, self.options.identity.as_deref()),
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
        let called = CalledPaths::new();
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
                        versions.push(version(
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
                self.texts
                    .entry(finding.blob.clone())
                    .or_insert_with(|| RepositoryText::new(version.text.clone()));
            }
        }
        self.findings.extend(findings);
    }
}

/// Which commits stood at or after a time: those made or pushed since, all that build on one of them whatever time they
/// claim, those that one of these replaced, and those that nothing replaced. A claimed time hides nothing this way.
fn stood_since(history: &History, since: i64) -> Vec<bool> {
    let mut fresh: Vec<bool> = Vec::with_capacity(history.commits.len());
    let mut has_child = vec![false; history.commits.len()];
    for commit in &history.commits {
        let is_fresh = commit.text.time >= since
            || commit.first_pushed.is_some_and(|pushed| pushed >= since)
            || commit.parents.iter().any(|parent| fresh.get(*parent).copied().unwrap_or(false));
        fresh.push(is_fresh);
        for parent in &commit.parents {
            if let Some(mark) = has_child.get_mut(*parent) {
                *mark = true;
            }
        }
    }
    let mut stood: Vec<bool> =
        fresh.iter().zip(&has_child).map(|(fresh, has_child)| *fresh || !has_child).collect();
    let heads = history.heads.iter().map(|head| head.commit);
    let replaced = history.commits.iter().zip(&fresh).filter(|(_, fresh)| **fresh);
    for at in heads.chain(replaced.flat_map(|(commit, _)| commit.parents.iter().copied())) {
        if let Some(mark) = stood.get_mut(at) {
            *mark = true;
        }
    }
    stood
}

/// Versions that stand at a chosen commit, each with all the commits that hold it: what a choice leaves out still tells
/// since when a version stands.
fn holders(history: &History, chosen: &[bool]) -> Vec<((String, ObjectId), Vec<usize>)> {
    #[derive(Default)]
    struct Held {
        commits: Vec<usize>,
        chosen: bool,
    }
    let mut places: BTreeMap<(&str, ObjectId), usize> = BTreeMap::new();
    let mut held: Vec<Held> = Vec::new();
    // Commits that share all their files share them in memory, too.
    let mut shared: HashMap<usize, Vec<usize>> = HashMap::new();
    for (at, commit) in history.commits.iter().enumerate() {
        let versions = shared.entry(Arc::as_ptr(&commit.files).addr()).or_default();
        if versions.is_empty() {
            for (path, blob) in commit.files.iter() {
                versions.push(*places.entry((path.as_str(), *blob)).or_insert_with(|| {
                    held.push(Held::default());
                    held.len() - 1
                }));
            }
        }
        let is_chosen = chosen.get(at).copied().unwrap_or(true);
        for version in versions.iter() {
            if let Some(held) = held.get_mut(*version) {
                held.commits.push(at);
                held.chosen |= is_chosen;
            }
        }
    }
    places
        .into_iter()
        .filter_map(|((path, blob), at)| {
            let held = held.get_mut(at).filter(|held| held.chosen)?;
            Some(((path.to_owned(), blob), std::mem::take(&mut held.commits)))
        })
        .collect()
}

/// What makes sightings of several versions one finding: path, rule, and which secret at which destination.
type GroupKey<'g> = (&'g str, &'g str, Vec<&'g (String, String)>);

/// All versions of one repository, for questions that go over several of them.
struct Joint<'j> {
    name: &'j RepositoryName,
    history: &'j History,
    outline: Outline,
    objects: Option<&'j Objects>,
    versions: &'j [Version],
    indicators: &'j BTreeSet<String>,
}

impl Joint<'_> {
    fn findings(&self) -> Vec<Finding> {
        let mut groups: BTreeMap<GroupKey<'_>, Vec<(usize, &Seen)>> = BTreeMap::new();
        for (at, version) in self.versions.iter().enumerate() {
            for seen in &version.analysis.seen {
                groups
                    .entry((&version.path, seen.rule, seen.pairs.iter().collect()))
                    .or_default()
                    .push((at, seen));
            }
        }
        groups.into_values().filter_map(|group| self.finding(group)).collect()
    }

    fn finding(&self, mut group: Vec<(usize, &Seen)>) -> Option<Finding> {
        let last_commit = |at: &usize| {
            self.versions.get(*at).map(|version| version.commits.last().map_or(usize::MAX, |commit| *commit))
        };
        group.sort_by_key(|(at, _)| last_commit(at));
        let (newest, seen) = group.last().copied()?;
        let version = self.versions.get(newest)?;
        let held: Vec<&Version> = group.iter().filter_map(|(at, _)| self.versions.get(*at)).collect();
        let places: Vec<usize> = group.iter().map(|(at, _)| *at).collect();
        let exposed = self.exposed(version, &held, &places);
        let signals = self.signals(version, seen, &exposed);
        let verdict = weigh(seen.rule, &signals);
        let (accepted, comment_refused) = self.accepted(&group, &exposed).map_or((None, None), |said| {
            said.map_or_else(|why| (None, Some(why)), |reason| (Some(reason), None))
        });
        let names: Vec<String> = seen.pairs.iter().map(|(secret, _)| secret.clone()).collect();
        let keys: Vec<String> = seen.destinations.iter().map(|(key, _)| key.clone()).collect();
        let mut destinations: Vec<_> =
            seen.destinations.iter().map(|(_, destination)| destination.clone()).collect();
        destinations.sort();
        destinations.dedup();
        Some(Finding {
            id: finding_id(seen.rule, &version.path, &names, &keys),
            rule: seen.rule.to_owned(),
            verdict,
            standing: exposed.standing.unwrap_or(Standing::CouldRun),
            signals: signals.iter().map(|signal| signal.id().to_owned()).collect(),
            repository: self.name.clone(),
            path: RepositoryText::new(version.path.clone()),
            blob: version.blob.clone(),
            skeleton: version.analysis.skeleton.clone(),
            span: seen.span,
            secrets: self.secrets(&version.path, seen),
            all_secrets: seen.all_secrets,
            destinations,
            flow: seen.flow.clone(),
            exposures: self.exposures(version, seen, &held, &exposed),
            accepted_by: accepted.is_some().then_some(AcceptedBy::Comment),
            accepted,
            comment_refused: comment_refused.map(RepositoryText::new),
            job: None,
        })
    }

    /// What comments say about a finding: the reason for which they accept it, or why they don't.
    ///
    /// A comment speaks for the version that holds it. So each version that stands on a branch must have one, and no
    /// version, past ones included, may be worse than a comment can accept.
    fn accepted(
        &self,
        group: &[(usize, &Seen)],
        exposed: &Exposed,
    ) -> Option<Result<RepositoryText, String>> {
        // Anybody can open a pull request with a comment in it.
        let is_own = |version: &Version| {
            let commits = &self.history.commits;
            let mut held = version.commits.iter().filter_map(|at| commits.get(*at));
            version.commits.is_empty() || held.any(|commit| commit.own)
        };
        let own = |(at, _): &&(usize, &Seen)| self.versions.get(*at).is_some_and(is_own);
        let (_, newest) = group.iter().rev().find(own)?;
        let said = newest.said.as_ref()?;
        let reason = match &said.reason {
            Ok(reason) => reason.clone(),
            Err(why) => return Some(Err(why.clone())),
        };
        for (at, seen) in group {
            let version = self.versions.get(*at)?;
            let verdict = weigh(seen.rule, &self.signals(version, seen, exposed));
            if let Some(why) = silence::refused(verdict, said) {
                return Some(Err(why));
            }
            let speaks = seen.said.as_ref().is_some_and(|said| said.reason.is_ok());
            if !speaks && let Some(place) = self.stands_on(version) {
                let short: String = version.blob.chars().take(7).collect();
                return Some(Err(format!(
                    "the comment in line {} is for its own version of the file; version {short}, which stands {place}, has none",
                    said.line
                )));
            }
        }
        Some(Ok(reason))
    }

    /// Where a version stands now, of the places that its owner can change. Tags and pull requests keep theirs for ever.
    fn stands_on(&self, version: &Version) -> Option<String> {
        if version.commits.is_empty() {
            return Some("in the work tree".to_owned());
        }
        let is_branch = |name: &str| name.starts_with("refs/heads/") || name.starts_with("refs/remotes/");
        let mut branches = self.history.heads.iter().filter(|head| head.own && is_branch(&head.name));
        let head = branches.find(|head| version.commits.binary_search(&head.commit).is_ok())?;
        Some(format!("on `{}`", head.name))
    }

    fn exposed(&self, newest: &Version, held: &[&Version], places: &[usize]) -> Exposed {
        if held.iter().all(|version| version.commits.is_empty()) {
            // A file outside any commit: the owner pointed at it, so it is his.
            let reachable = newest.analysis.is_action
                || !newest.analysis.triggers.is_empty()
                || newest.analysis.problem.is_some();
            return Exposed { reachable, standing: Some(Standing::CouldRun), ..Exposed::default() };
        }
        let mut triggers = Vec::new();
        for version in held {
            triggers.extend(version.analysis.triggers.iter().cloned());
        }
        if triggers.is_empty() && newest.analysis.problem.is_some() {
            // Nothing is known about what starts it: take it that a push does.
            triggers.push(crate::workflow::Trigger { event: "push".to_owned(), ..Default::default() });
        }
        let mut exposed = exposure::follow(
            self.history,
            &self.outline,
            places,
            &triggers,
            newest.analysis.is_action,
            &newest.path,
        );
        if held.iter().any(|version| version.commits.is_empty()) {
            exposed.standing = Some(Standing::CouldRun);
        }
        exposed
    }

    fn exposures(
        &self,
        newest: &Version,
        seen: &Seen,
        held: &[&Version],
        exposed: &Exposed,
    ) -> Vec<Exposure> {
        let introduced = exposed
            .introduced
            .and_then(|at| self.history.commits.get(at))
            .map(|commit| exposure::moment(commit, exposure::Bound::From));
        let triggers: BTreeSet<&str> = held
            .iter()
            .flat_map(|version| &version.analysis.triggers)
            .map(|trigger| trigger.event.as_str())
            .collect();
        let versions: BTreeSet<&String> = held.iter().map(|version| &version.blob).collect();
        let _ = newest;
        seen.pairs
            .iter()
            .map(|(secret, destination)| Exposure {
                secret: RepositoryText::new(secret.clone()),
                destination: RepositoryText::new(destination.clone()),
                reachable: exposed.reachable,
                triggers: triggers.iter().map(|event| RepositoryText::new(*event)).collect(),
                introduced: introduced.clone(),
                refs: exposed.refs.clone(),
                versions: versions.iter().map(|blob| (*blob).clone()).collect(),
            })
            .collect()
    }

    fn secrets(&self, path: &str, seen: &Seen) -> Vec<Secret> {
        let mut names: BTreeMap<&str, Certainty> =
            seen.secrets.iter().map(|(name, certainty)| (name.as_str(), *certainty)).collect();
        for (name, certainty) in &mut names {
            if !seen.environment && self.is_of_environment(path, name) {
                *certainty = Certainty::Possible;
            }
        }
        if seen.all_secrets {
            for name in self.versions.iter().flat_map(|version| &version.analysis.names) {
                names.entry(name).or_insert(Certainty::Possible);
            }
        }
        names.into_iter().map(|(name, certainty)| self.secret(name, certainty)).collect()
    }

    /// Whether all that is known of a secret is that other workflows use it in jobs with an `environment`: a job without one
    /// does not get what belongs to that environment alone.
    fn is_of_environment(&self, path: &str, name: &str) -> bool {
        let others = || self.versions.iter().filter(|version| version.path != path);
        let inside = |version: &Version| version.analysis.environment_names.contains(name);
        others().any(inside)
            && !others().any(|version| version.analysis.names.contains(name) && !inside(version))
    }

    fn secret(&self, name: &str, certainty: Certainty) -> Secret {
        Secret::new(name, certainty, self.used_for(name))
    }

    /// What the workflows of the repository, at all versions, publish with a secret.
    fn used_for(&self, name: &str) -> Vec<UsedFor> {
        let mut found: BTreeMap<(String, Option<String>, String), (usize, UsedFor)> = BTreeMap::new();
        for version in self.versions {
            for (used, package) in version.analysis.uses.iter().zip(&version.packages) {
                if !used.secret.eq_ignore_ascii_case(name) {
                    continue;
                }
                let newest = version.commits.last().copied();
                let commit = newest
                    .and_then(|at| self.history.commits.get(at))
                    .map(|commit| commit.id.to_string())
                    .unwrap_or_default();
                let key = (used.registry.clone(), package.clone(), used.path.clone());
                let entry = UsedFor {
                    registry: used.registry.clone(),
                    package: package.clone().map(RepositoryText::new),
                    basis: Basis::Claimed,
                    path: RepositoryText::new(used.path.clone()),
                    line: used.line,
                    commit,
                };
                let rank = newest.map_or(usize::MAX, |at| at);
                match found.get(&key) {
                    Some((known, _)) if *known >= rank => {}
                    _ => {
                        found.insert(key, (rank, entry));
                    }
                }
            }
        }
        found.into_values().map(|(_, used)| used).collect()
    }

    /// The facts of the file, with those that only history and the other workflows tell.
    fn signals(&self, version: &Version, seen: &Seen, exposed: &Exposed) -> BTreeSet<Signal> {
        let mut signals = seen.signals.clone();
        let marked = |host: &str| {
            let mut rest = Some(host);
            while let Some(name) = rest {
                if self.indicators.contains(name) {
                    return true;
                }
                rest = name.split_once('.').map(|(_, below)| below);
            }
            false
        };
        let hosts = seen.destinations.iter().filter_map(|(_, destination)| destination.host.as_ref());
        if hosts.into_iter().any(|host| marked(host.unescaped())) {
            signals.insert(Signal::KnownIndicator);
        }
        if signals.contains(&Signal::UnneededSecret) {
            let owner = seen.destinations.iter().filter_map(|(key, _)| key.strip_prefix("repository:"));
            let owner = owner.filter_map(|name| name.split('/').next()).next().unwrap_or("");
            let elsewhere =
                |other: &Version| other.path != version.path && other.analysis.owners.contains(owner);
            if self.versions.iter().any(elsewhere) {
                signals.remove(&Signal::UnneededSecret);
            }
        }
        if self.is_established(version, seen) {
            signals.insert(Signal::AuthenticatesElsewhere);
        }
        let others = self.versions.iter().filter(|other| other.path != version.path);
        let named: BTreeSet<&String> = others.flat_map(|other| &other.analysis.names).collect();
        let harvested: BTreeSet<&str> = seen
            .secrets
            .iter()
            .map(|(name, _)| name)
            .filter(|name| named.contains(name))
            .filter_map(|name| services::of_secret(name))
            .map(|service| service.name.as_str())
            .collect();
        if harvested.len() >= 2 {
            signals.insert(Signal::HarvestedNames);
        }
        if let Some((at, commit)) =
            exposed.introduced.and_then(|at| Some((at, self.history.commits.get(at)?)))
        {
            if exposure::dates_conflict(self.history, commit) {
                signals.insert(Signal::DateConflict);
            }
            if is_mask(&commit.text.message) {
                signals.insert(Signal::MaskingMessage);
            }
            if !commit.text.signed && self.is_signed_before(at) {
                signals.insert(Signal::MissingSignature);
            }
            if self.touches_nothing_else(commit, &version.path) {
                signals.insert(Signal::SingleFileCommit);
            }
        }
        signals
    }

    /// Whether a commit changed this file and nothing else.
    fn touches_nothing_else(&self, commit: &history::Commit, path: &str) -> bool {
        let Some(parent) = commit.parents.first().and_then(|at| self.history.commits.get(*at)) else {
            return false;
        };
        let Some(objects) = self.objects else { return false };
        let (mut before, mut after) = (parent.text.tree, commit.text.tree);
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let (Ok(old), Ok(new)) = (objects.tree(before), objects.tree(after)) else { return false };
            let old: BTreeMap<&str, ObjectId> =
                old.iter().map(|entry| (entry.name.as_str(), entry.id)).collect();
            let changed: Vec<_> =
                new.iter().filter(|entry| old.get(entry.name.as_str()) != Some(&entry.id)).collect();
            let gone = old.keys().any(|name| !new.iter().any(|entry| entry.name == *name));
            match (changed.as_slice(), old.get(part)) {
                ([only], _) if only.name != part || gone => return false,
                // A folder that is new: it must hold nothing but the file.
                ([only], None) => return holds_only(objects, only.id, parts),
                ([only], Some(id)) if parts.peek().is_some() => (before, after) = (*id, only.id),
                ([_], Some(_)) => return true,
                _ => return false,
            }
        }
        false
    }

    /// Whether nearly all of the repository's own commits before one are signed.
    fn is_signed_before(&self, at: usize) -> bool {
        let before = self.history.commits.get(..at).unwrap_or(&[]).iter().rev();
        let (mut signed, mut all) = (0, 0);
        for commit in before.filter(|commit| commit.own).take(SIGNED_LOOK) {
            signed += usize::from(commit.text.signed);
            all += 1;
        }
        all >= SIGNED_LEAST && signed * 10 >= all * 9
    }

    /// Whether each secret already was the login to its destination in another workflow, standing for long enough
    /// before. Only pushes that the forge saw count: the time in a commit is the pusher's word, and two forged ones would excuse
    /// any theft.
    fn is_established(&self, version: &Version, seen: &Seen) -> bool {
        let first_seen = |version: &Version| {
            let commits = version.commits.iter().filter_map(|at| self.history.commits.get(*at));
            commits.filter(|commit| commit.own).filter_map(|commit| commit.first_pushed).min()
        };
        let Some(begun) = first_seen(version) else { return false };
        !seen.pairs.is_empty()
            && seen.pairs.iter().all(|(secret, host)| {
                self.versions.iter().filter(|other| other.path != version.path).any(|other| {
                    let stood = first_seen(other).map_or(0, |first| begun.saturating_sub(first));
                    stood >= ESTABLISHED_SECONDS
                        && other.analysis.logins.contains(&(host.clone(), secret.clone()))
                })
            })
    }
}

/// How many of the commits before are asked whether they are signed.
const SIGNED_LOOK: usize = 50;
/// How few commits say nothing about a habit.
const SIGNED_LEAST: usize = 5;

/// Whether a file is all that a folder holds, at any depth.
fn holds_only<'p>(objects: &Objects, mut at: ObjectId, parts: impl Iterator<Item = &'p str>) -> bool {
    for part in parts {
        match objects.tree(at).as_deref() {
            Ok([only]) if only.name == part => at = only.id,
            _ => return false,
        }
    }
    true
}

/// Whether a commit's message speaks of what nobody looks at twice.
fn is_mask(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let begins =
        ["add", "create", "update", "enable", "set up", "setup", "improve", "fix", "chore", "ci", "build"];
    begins.iter().any(|word| message.starts_with(word))
        && any(&[
            "security",
            "codeql",
            "code scan",
            "dependabot",
            "vulnerab",
            "audit",
            "hardening",
            "lint",
            "format",
            "cache",
            "maintenance",
            "compliance",
        ])
}

/// Most combinations of a workflow's text with the scripts it calls that are analysed.
const VARIANTS_MAX: usize = 2_000;
/// Most bytes of called files that are searched where combinations are too many.
const CUT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What it takes to read the versions of one repository.
struct Reader<'r> {
    objects: &'r Objects,
    history: &'r History,
    called: &'r CalledPaths,
    identity: Option<&'r str>,
}

impl Reader<'_> {
    fn file_at(&self, commit: usize, path: &str) -> Option<ObjectId> {
        let tree = self.history.commits.get(commit)?.text.tree;
        self.called.file(self.objects, tree, path).id(tree.kind())
    }

    /// A workflow's text once for each combination with what it calls, which may change while the text stays.
    fn variants(&self, path: &str, blob: ObjectId, bytes: &[u8], commits: Vec<usize>) -> Vec<Version> {
        let Self { objects, history, called, identity } = *self;
        let mut done: Vec<Version> = Vec::new();
        // Commits that may differ in what is called, by the newest, with the paths in which they are known to agree: what
        // one version of a script calls, another may not.
        let mut open: BTreeMap<Option<usize>, (Vec<usize>, BTreeSet<String>)> =
            BTreeMap::from([(commits.last().copied(), (commits, BTreeSet::new()))]);
        while done.len() < VARIANTS_MAX
            && let Some((newest, (commits, mut agreed))) = open.pop_last()
        {
            let mut version = match newest.and_then(|at| history.commits.get(at)) {
                Some(commit) => {
                    version(path, bytes, &AtCommit { objects, called, tree: commit.text.tree }, identity)
                }
                None => version(path, bytes, &NoFiles, identity),
            };
            version.blob = blob.to_string();
            let fresh: Vec<&String> =
                version.analysis.called.iter().filter(|path| !agreed.contains(*path)).collect();
            let mut groups: BTreeMap<Vec<Option<ObjectId>>, Vec<usize>> = BTreeMap::new();
            for at in commits {
                groups.entry(fresh.iter().map(|path| self.file_at(at, path)).collect()).or_default().push(at);
            }
            agreed.extend(fresh.into_iter().cloned());
            for group in groups.into_values() {
                if group.last().copied() == newest {
                    version.commits = group;
                } else {
                    open.insert(group.last().copied(), (group, agreed.clone()));
                }
            }
            done.push(version);
        }
        if !open.is_empty() {
            let rest: Vec<(usize, BTreeSet<String>)> = open
                .into_values()
                .flat_map(|(commits, called)| commits.into_iter().map(move |at| (at, called.clone())))
                .collect();
            let triggers = done.first().map(|version| version.analysis.triggers.clone()).unwrap_or_default();
            let mut cut = self.cut_variants(path, bytes, &rest);
            cut.blob = blob.to_string();
            cut.analysis.triggers = triggers;
            done.push(cut);
        }
        done
    }

    /// Combinations that are too many to be analysed, as one version that is searched coarsely.
    fn cut_variants(&self, path: &str, bytes: &[u8], rest: &[(usize, BTreeSet<String>)]) -> Version {
        let mut called: BTreeSet<ObjectId> = BTreeSet::new();
        for (at, paths) in rest {
            called.extend(paths.iter().filter_map(|path| self.file_at(*at, path)));
        }
        let mut text = bytes.get(..crate::analysis::WORKFLOW_MAX).unwrap_or(bytes).to_vec();
        for id in called {
            if let Ok(content) = self.objects.blob(id).inspect_err(|error| self.called.note(error))
                && text.len() + content.len() <= CUT_BYTES_MAX
            {
                text.push(b'\n');
                text.extend(content);
            }
        }
        let what = format!(
            "more than {VARIANTS_MAX} combinations with the files that it calls; those of the {} oldest commits were only \
         searched for secrets and network clients",
            rest.len()
        );
        let mut commits: Vec<usize> = rest.iter().map(|(at, _)| *at).collect();
        commits.sort_unstable();
        Version {
            path: path.to_owned(),
            blob: String::new(),
            commits,
            text: String::from_utf8_lossy(bytes.get(..crate::analysis::WORKFLOW_MAX).unwrap_or(bytes))
                .into_owned(),
            analysis: crate::analysis::coarse(&text, crate::analysis::Failure { kind: "over-limit", what }),
            packages: Vec::new(),
        }
    }
}

/// A version that is too large to be read: a problem, and a finding of its own.
fn unread(path: &str, blob: &str, what: String) -> Version {
    Version {
        path: path.to_owned(),
        blob: blob.to_owned(),
        commits: Vec::new(),
        text: String::new(),
        analysis: crate::analysis::coarse(b"", crate::analysis::Failure { kind: "too-large", what }),
        packages: Vec::new(),
    }
}

fn version(path: &str, bytes: &[u8], local: &dyn LocalFiles, identity: Option<&str>) -> Version {
    let analysis = analyse(path, bytes, local, identity);
    let packages = analysis
        .uses
        .iter()
        .map(|used| crate::publishing::package(&used.registry, used.directory.as_deref(), local))
        .collect();
    Version {
        path: path.to_owned(),
        blob: blob_id(gix::hash::Kind::Sha1, bytes),
        commits: Vec::new(),
        text: String::from_utf8_lossy(bytes.get(..crate::analysis::WORKFLOW_MAX).unwrap_or(bytes))
            .into_owned(),
        analysis,
        packages,
    }
}

/// The id that a file has, or would have, in a repository with this hash.
fn blob_id(hash: gix::hash::Kind, bytes: &[u8]) -> String {
    gix::objs::compute_hash(hash, gix::object::Kind::Blob, bytes).map(|id| id.to_string()).unwrap_or_default()
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

/// Files of a tree in the object database.
struct AtCommit<'o> {
    objects: &'o Objects,
    called: &'o CalledPaths,
    tree: ObjectId,
}

impl LocalFiles for AtCommit<'_> {
    fn read(&self, path: &str) -> LocalFile {
        let id = match self.called.file(self.objects, self.tree, path) {
            Place::File(id) => id,
            Place::Nowhere => return LocalFile::Absent,
            Place::Astray => return LINKED,
        };
        match self.objects.blob(id).inspect_err(|error| self.called.note(error)) {
            Ok(bytes) => LocalFile::of_bytes(&bytes, CALLED_MAX),
            Err(error) => error.into(),
        }
    }
}

/// Files below a folder. A link on the way is not followed: it may lead out of the tree, or back into it forever.
pub struct Folder(pub PathBuf);

impl LocalFiles for Folder {
    fn read(&self, path: &str) -> LocalFile {
        let mut at = self.0.clone();
        for part in path.split('/') {
            if matches!(part, "" | "." | "..") {
                return LocalFile::Absent;
            }
            at.push(part);
            match std::fs::symlink_metadata(&at) {
                Ok(metadata) if metadata.is_symlink() => return LINKED,
                Ok(_) => {}
                Err(_) => return LocalFile::Absent,
            }
        }
        match std::fs::metadata(&at) {
            Ok(metadata) if metadata.is_dir() => return LocalFile::Absent,
            Ok(metadata) if metadata.len() > CALLED_MAX as u64 => return LocalFile::TOO_LARGE,
            _ => {}
        }
        match source::read_file(&at, CALLED_MAX as u64) {
            Ok(bytes) => LocalFile::of_bytes(&bytes, CALLED_MAX),
            Err(_) => LocalFile::Unread("a file that it calls can't be read"),
        }
    }
}

/// A link instead of a file.
const LINKED: LocalFile = LocalFile::Unread("a file that it calls is a link, which is not followed");
