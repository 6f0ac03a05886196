//! Every distinct version of every workflow in an object database; when, by whom and where it came and went.
//!
//! All commits are read: those on references, in reflogs and stashes, and those that nothing reaches any more, which is
//! where a force-push leaves what it hides.

mod roots;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use gix::ObjectId;

use rayon::prelude::*;

use crate::objects::{CommitText, ObjectError, Objects, TreeEntry};
pub(crate) use roots::{Column, Entry, Roots};

/// Deepest folder below `.github/actions` that is searched for an `action.yml`.
const ACTION_DEPTH_MAX: usize = 5;
/// Most workflow files of one commit.
const FILES_MAX: usize = 2_000;

/// Workflow files of one commit, by path.
pub type Files = Arc<BTreeMap<String, ObjectId>>;

/// A commit in the history.
#[derive(Debug)]
pub struct Commit {
    /// Its id.
    pub id: ObjectId,
    /// Indices of its parents; those that are missing are left out.
    pub parents: Vec<usize>,
    /// What it says.
    pub text: CommitText,
    /// Its workflow files.
    pub files: Files,
    /// Whether one of the repository's own references, or a known push, leads to it.
    pub own: bool,
    /// Whether only a known push does, so that it is an observation that it stood here.
    pub pushed: bool,
    /// When the forge first saw a push that brought it, in seconds since 1970, where that is known.
    pub first_pushed: Option<i64>,
}

/// A reference with its commit.
#[derive(Debug)]
pub struct Head {
    /// Full name.
    pub name: String,
    /// Index of the commit.
    pub commit: usize,
    /// Whether it is the repository's own branch or tag.
    pub own: bool,
}

/// What a history could not show.
#[derive(Debug)]
pub struct HistoryProblem {
    /// Stable identifier.
    pub kind: &'static str,
    /// A path, where it is about a file.
    pub path: Option<String>,
    /// For people.
    pub what: String,
}

/// The history of one repository. Commits stand after their parents.
#[derive(Debug, Default)]
pub struct History {
    /// All commits, parents first.
    pub commits: Vec<Commit>,
    /// All references that lead to a commit.
    pub heads: Vec<Head>,
    /// The default branch's full name, where it can be known.
    pub default_branch: Option<String>,
    /// What could not be read.
    pub problems: Vec<HistoryProblem>,
    /// Whether anything is missing that was asked for.
    pub incomplete: bool,
    /// What stands in the top folders.
    pub(crate) tops: Arc<Roots>,
}

/// What to read besides the references.
#[derive(Clone, Debug, Default)]
pub struct Extra<'e> {
    /// Commits that are known to have been pushed to this repository.
    pub pushed: &'e [String],
    /// When the forge saw commits pushed, in seconds since 1970.
    pub push_times: Option<&'e std::collections::BTreeMap<String, i64>>,
    /// Further commits to look at; that they exist says nothing about whose they are.
    pub heads: &'e [String],
    /// Whether only present files are asked for, so that a shallow clone lacks nothing.
    pub present_only: bool,
}

/// Reads the whole history.
pub fn read(objects: &Objects, extra: &Extra<'_>) -> History {
    let mut reader = Reader {
        objects,
        history: History::default(),
        trees: HashMap::new(),
        roots: HashMap::new(),
        folders: HashMap::new(),
        broken: HashSet::new(),
    };
    reader.read(extra);
    reader.history
}

struct Reader<'o> {
    objects: &'o Objects,
    history: History,
    /// Workflow files by the root tree's interesting entries.
    trees: HashMap<ObjectId, Files>,
    /// What of each root tree can lead to workflows.
    roots: HashMap<ObjectId, Vec<TreeEntry>>,
    folders: HashMap<ObjectId, Arc<Vec<(String, ObjectId)>>>,
    broken: HashSet<ObjectId>,
}

impl Reader<'_> {
    fn problem(&mut self, kind: &'static str, path: Option<String>, what: String) {
        if self.history.problems.len() < 1_000 {
            self.history.problems.push(HistoryProblem { kind, path, what });
        }
        self.history.incomplete = true;
    }

    fn object_problem(&mut self, error: &ObjectError) {
        let (kind, id) = match error {
            ObjectError::Missing(id) => ("missing-object", id),
            ObjectError::Broken(id) => ("broken-object", id),
            ObjectError::TooDeep(id) => ("over-limit", id),
            ObjectError::TooLarge(id, ..) => ("too-large", id),
        };
        if self.broken.insert(*id) {
            self.problem(kind, None, error.to_string());
        }
    }

    fn read(&mut self, extra: &Extra<'_>) {
        let (ids, problems) = self.objects.commits();
        let known: HashSet<ObjectId> = ids.iter().copied().collect();
        for what in problems {
            self.problem("broken-object", None, what);
        }
        let (references, problems) = self.objects.references();
        for what in problems {
            self.problem("broken-reference", None, what);
        }
        let mut heads = Vec::new();
        for reference in references.iter().filter(|reference| !reference.name.starts_with("refs/replace/")) {
            match self.objects.peel(reference.id, &known) {
                Ok(Some(commit)) => heads.push((reference.name.clone(), commit)),
                Ok(None) => {}
                Err(error) => self.object_problem(&error),
            }
        }
        if let Some(id) = self.objects.detached_head() {
            // Somebody stands there; whose commit it is, that doesn't say.
            match self.objects.peel(id, &known) {
                Ok(Some(commit)) => heads.push(("HEAD".to_owned(), commit)),
                Ok(None) => {}
                Err(error) => self.object_problem(&error),
            }
        }
        for id in extra.pushed.iter().chain(extra.heads) {
            match ObjectId::from_hex(id.as_bytes()) {
                Ok(id) if !known.contains(&id) => {
                    self.problem(
                        "history-incomplete",
                        None,
                        format!("commit {id} was asked for and is not in the repository"),
                    );
                }
                Ok(_) => {}
                Err(_) => self.problem(
                    "history-incomplete",
                    None,
                    "a commit was asked for by something that is no object id".to_owned(),
                ),
            }
        }
        if self.objects.is_shallow() && !extra.present_only {
            self.problem(
                "history-incomplete",
                None,
                "the repository is a shallow clone: what came before it is not here".to_owned(),
            );
        }
        if self.objects.pretends() {
            self.history.problems.push(HistoryProblem {
                kind: "ignored-replacements",
                path: None,
                what: "grafts or `refs/replace` pretend another history; they are ignored".to_owned(),
            });
        }
        self.read_commits(&ids, &known);
        let index: HashMap<ObjectId, usize> =
            self.history.commits.iter().enumerate().map(|(at, commit)| (commit.id, at)).collect();
        let remote = format!("refs/remotes/{}/", self.objects.own_remote());
        let own = |name: &str| {
            name.starts_with("refs/heads/") || name.starts_with("refs/tags/") || name.starts_with(&remote)
        };
        for (name, id) in heads {
            if let Some(commit) = index.get(&id) {
                let own = own(&name);
                self.history.heads.push(Head { name, commit: *commit, own });
            }
        }
        let mut roots: Vec<usize> =
            self.history.heads.iter().filter(|head| head.own).map(|head| head.commit).collect();
        // A reflog of an own branch says that the branch stood there.
        roots.extend(
            self.objects
                .reflog_entries()
                .iter()
                .filter(|entry| own(&entry.name))
                .filter_map(|entry| index.get(&entry.id).copied()),
        );
        self.mark(roots, false);
        let pushed = extra
            .pushed
            .iter()
            .filter_map(|id| ObjectId::from_hex(id.as_bytes()).ok())
            .filter_map(|id| index.get(&id).copied())
            .collect();
        self.mark(pushed, true);
        let mut times: Vec<(i64, usize)> = extra
            .push_times
            .into_iter()
            .flatten()
            .filter_map(|(id, time)| Some((*time, *index.get(&ObjectId::from_hex(id.as_bytes()).ok()?)?)))
            .collect();
        times.sort_unstable();
        for (time, head) in times {
            self.note_push(head, time);
        }
        let remote_head = self.objects.symbolic(&format!("{remote}HEAD"));
        self.history.default_branch = remote_head.or_else(|| self.objects.symbolic("HEAD"));
    }

    /// A push brings its commit and all before it that no earlier push brought.
    fn note_push(&mut self, head: usize, time: i64) {
        let mut open = vec![head];
        while let Some(at) = open.pop() {
            let Some(commit) = self.history.commits.get_mut(at) else { continue };
            if commit.first_pushed.is_none() {
                commit.first_pushed = Some(time);
                open.extend(commit.parents.iter().copied());
            }
        }
    }

    /// Marks commits and their ancestors as the repository's own.
    fn mark(&mut self, roots: Vec<usize>, pushed: bool) {
        let mut open = roots;
        while let Some(at) = open.pop() {
            let Some(commit) = self.history.commits.get_mut(at) else { continue };
            if commit.own {
                continue;
            }
            commit.own = true;
            commit.pushed = pushed;
            open.extend(commit.parents.iter().copied());
        }
    }

    /// Reads commits in the order in which they lie in their packs; their trees lie in much the same order, so that most
    /// of what a delta builds on was decoded just before.
    fn read_commits(&mut self, ids: &[ObjectId], known: &HashSet<ObjectId>) {
        let handle = self.objects.handle();
        let read: Vec<_> = ids
            .par_iter()
            .with_min_len(64)
            .map_init(&handle, |objects, id| (*id, objects.commit(*id)))
            .collect();
        let mut texts = Vec::with_capacity(read.len());
        for (id, text) in read {
            match text {
                Ok(text) => texts.push((id, text)),
                Err(error) => self.object_problem(&error),
            }
        }
        let mut seen = HashSet::with_capacity(texts.len());
        let trees: Vec<ObjectId> =
            texts.iter().map(|(_, text)| text.tree).filter(|tree| seen.insert(*tree)).collect();
        let tops = Arc::clone(&self.history.tops);
        let read: Vec<_> = trees
            .into_par_iter()
            .with_min_len(64)
            .map_init(
                || (handle(), tops.reading()),
                |(objects, reading), id| (id, objects.with_tree(id, |tree| reading.keep(id, tree))),
            )
            .collect();
        for (id, roots) in read {
            match roots {
                Ok(roots) => {
                    self.roots.insert(id, roots);
                }
                Err(error) => self.object_problem(&error),
            }
        }
        let shallow = self.objects.is_shallow();
        let mut missing = BTreeSet::new();
        let mut places: HashMap<ObjectId, usize> = HashMap::with_capacity(texts.len());
        let order = parents_first(&texts);
        let mut texts: Vec<Option<(ObjectId, CommitText)>> = texts.into_iter().map(Some).collect();
        for at in order {
            let Some((id, text)) = texts.get_mut(at).and_then(Option::take) else { continue };
            let files = self.files(text.tree);
            let parents = text.parents.iter().filter_map(|parent| places.get(parent).copied()).collect();
            missing.extend(text.parents.iter().filter(|parent| !known.contains(*parent)).copied());
            places.insert(id, self.history.commits.len());
            self.history.commits.push(Commit {
                id,
                parents,
                text,
                files,
                own: false,
                pushed: false,
                first_pushed: None,
            });
        }
        if !shallow {
            for id in missing {
                self.object_problem(&ObjectError::Missing(id));
            }
        }
    }

    /// Workflows and actions of a tree. Trees that could not be read are problems; the rest counts.
    fn files(&mut self, tree: ObjectId) -> Files {
        if let Some(files) = self.trees.get(&tree) {
            return Arc::clone(files);
        }
        let mut files = BTreeMap::new();
        // A root that could not be read is a problem already.
        for entry in self.roots.remove(&tree).unwrap_or_default() {
            if entry.is_file {
                files.insert(entry.name.clone(), entry.id);
                continue;
            }
            for (path, id) in self.folder(entry.id, 0).iter().take(FILES_MAX) {
                let path = format!("{}/{path}", entry.name);
                if crate::source::is_workflow_path(&path) {
                    files.insert(path, *id);
                }
            }
        }
        let files = Arc::new(files);
        self.trees.insert(tree, Arc::clone(&files));
        files
    }

    /// YAML files below a folder.
    fn folder(&mut self, tree: ObjectId, depth: usize) -> Arc<Vec<(String, ObjectId)>> {
        if let Some(known) = self.folders.get(&tree) {
            return Arc::clone(known);
        }
        let mut found = Vec::new();
        match self.objects.tree(tree) {
            Ok(entries) => {
                for entry in entries {
                    if entry.is_file && (entry.name.ends_with(".yml") || entry.name.ends_with(".yaml")) {
                        found.push((entry.name, entry.id));
                    } else if entry.is_tree && depth < ACTION_DEPTH_MAX {
                        let inner = self.folder(entry.id, depth + 1);
                        found.extend(
                            inner
                                .iter()
                                .take(FILES_MAX)
                                .map(|(path, id)| (format!("{}/{path}", entry.name), *id)),
                        );
                    }
                    if found.len() > FILES_MAX {
                        self.problem(
                            "over-limit",
                            None,
                            format!(
                                "a commit has more than {FILES_MAX} workflow files; the rest is left out"
                            ),
                        );
                        break;
                    }
                }
            }
            Err(error) => self.object_problem(&error),
        }
        let found = Arc::new(found);
        self.folders.insert(tree, Arc::clone(&found));
        found
    }
}

/// Indices of the commits, parents before children; by time among equals, so that two scans agree.
fn parents_first(texts: &[(ObjectId, CommitText)]) -> Vec<usize> {
    let places: HashMap<ObjectId, usize> = texts.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
    let mut waiting = vec![0_usize; texts.len()];
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); texts.len()];
    let mut ready: BTreeSet<(i64, ObjectId, usize)> = BTreeSet::new();
    for (at, (id, text)) in texts.iter().enumerate() {
        let mut parents: Vec<usize> =
            text.parents.iter().filter_map(|parent| places.get(parent).copied()).collect();
        parents.sort_unstable();
        parents.dedup();
        if parents.is_empty() {
            ready.insert((text.time, *id, at));
        }
        if let Some(count) = waiting.get_mut(at) {
            *count = parents.len();
        }
        for parent in parents {
            if let Some(children) = children.get_mut(parent) {
                children.push(at);
            }
        }
    }
    let mut order = Vec::with_capacity(texts.len());
    while let Some((_, _, at)) = ready.pop_first() {
        order.push(at);
        for child in children.get_mut(at).map(std::mem::take).unwrap_or_default() {
            let Some(count) = waiting.get_mut(child) else { continue };
            *count -= 1;
            if *count == 0
                && let Some((id, text)) = texts.get(child)
            {
                ready.insert((text.time, *id, child));
            }
        }
    }
    order
}
