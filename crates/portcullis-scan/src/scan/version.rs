//! The versions of a workflow, read and analysed: its text once for each combination with what it calls.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use gix::ObjectId;

use super::files::AtCommit;
use crate::analysis::{Analysis, File};
use crate::called::{CalledPaths, Table};
use crate::flow::{LocalFiles, NoFiles};
use crate::history::History;
use crate::objects::Objects;

/// One version of one workflow: where it stands and what it shows.
pub(super) struct Version {
    pub(super) path: String,
    pub(super) blob: String,
    /// Indices of the commits that hold it; none for a file outside any commit.
    pub(super) commits: Vec<usize>,
    pub(super) text: Arc<str>,
    pub(super) analysis: Analysis,
    /// Names of the packages that its publish steps publish, in the order of its uses.
    pub(super) packages: Vec<Option<String>>,
}

/// Most combinations of a workflow's text with the scripts it calls that are analysed.
const VARIANTS_MAX: usize = 2_000;
/// Most bytes of called files that are searched where combinations are too many.
const CUT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Fewer commits than this are looked up one by one.
const FEW_COMMITS: usize = 64;

/// Where one path leads, by commit.
enum Column {
    Numbered(Arc<Table>),
    /// Looked up in each tree, and numbered as found.
    Looked(Vec<Option<ObjectId>>),
}

fn number_of(seen: &mut Vec<Option<ObjectId>>, id: Option<ObjectId>) -> u32 {
    let number = seen.iter().rposition(|other| *other == id).unwrap_or_else(|| {
        seen.push(id);
        seen.len() - 1
    });
    number as u32
}

/// What it takes to read the versions of one repository.
pub(super) struct Reader<'r> {
    pub(super) objects: &'r Objects,
    pub(super) history: &'r History,
    pub(super) called: &'r CalledPaths,
    pub(super) identity: Option<&'r str>,
}

impl Reader<'_> {
    fn file_at(&self, commit: usize, path: &str) -> Option<ObjectId> {
        let tree = self.history.commits.get(commit)?.text.tree;
        self.called.file(self.objects, tree, path).id(tree.kind())
    }

    /// A workflow's text once for each combination with what it calls, which may change while the text stays.
    pub(super) fn variants(
        &self,
        path: &str,
        blob: ObjectId,
        bytes: &[u8],
        commits: Vec<usize>,
    ) -> Vec<Version> {
        let Self { objects, history, called, identity } = *self;
        let mut done: Vec<Version> = Vec::new();
        let (text, file) = (shown_of(bytes), File::read(bytes));
        // Commits that may differ in what is called, by the newest, with the paths in which they are known to agree: what
        // one version of a script calls, another may not.
        let mut open: BTreeMap<Option<usize>, (Vec<usize>, BTreeSet<String>)> =
            BTreeMap::from([(commits.last().copied(), (commits, BTreeSet::new()))]);
        while done.len() < VARIANTS_MAX
            && let Some((newest, (commits, mut agreed))) = open.pop_last()
        {
            let mut version = match newest.and_then(|at| history.commits.get(at)) {
                Some(commit) => {
                    let local = AtCommit { objects, called, tree: commit.text.tree };
                    self::version(path, blob.to_string(), &file, &text, &local, identity)
                }
                None => self::version(path, blob.to_string(), &file, &text, &NoFiles, identity),
            };
            let fresh: Vec<&String> =
                version.analysis.called.iter().filter(|path| !agreed.contains(*path)).collect();
            let groups = self.alike(commits, &fresh);
            agreed.extend(fresh.into_iter().cloned());
            for group in groups {
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

    /// Commits in groups for which all of these paths lead to the same files.
    fn alike(&self, commits: Vec<usize>, paths: &[&String]) -> Vec<Vec<usize>> {
        if paths.is_empty() {
            return vec![commits];
        }
        let few = commits.len() < FEW_COMMITS;
        let mut columns: Vec<Column> = paths
            .iter()
            .map(|path| {
                let table = (!few).then(|| self.called.across(self.objects, self.history, path)).flatten();
                table.map_or_else(|| Column::Looked(Vec::new()), Column::Numbered)
            })
            .collect();
        let mut places: HashMap<Vec<u32>, usize> = HashMap::new();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let (mut row, mut before) = (Vec::with_capacity(paths.len()), (Vec::new(), 0));
        for at in commits {
            row.clear();
            row.extend(columns.iter_mut().zip(paths).map(|(column, path)| match column {
                Column::Numbered(table) => table.number(at),
                Column::Looked(seen) => number_of(seen, self.file_at(at, path)),
            }));
            if groups.is_empty() || row != before.0 {
                let group = match places.get(&row) {
                    Some(group) => *group,
                    None => {
                        places.insert(row.clone(), groups.len());
                        groups.push(Vec::new());
                        groups.len() - 1
                    }
                };
                before = (row.clone(), group);
            }
            if let Some(group) = groups.get_mut(before.1) {
                group.push(at);
            }
        }
        groups
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
            text: shown_of(bytes),
            analysis: crate::analysis::coarse(&text, crate::analysis::Failure { kind: "over-limit", what }),
            packages: Vec::new(),
        }
    }
}

/// A version that is too large to be read: a problem, and a finding of its own.
pub(super) fn unread(path: &str, blob: &str, what: String) -> Version {
    Version {
        path: path.to_owned(),
        blob: blob.to_owned(),
        commits: Vec::new(),
        text: "".into(),
        analysis: crate::analysis::coarse(b"", crate::analysis::Failure { kind: "too-large", what }),
        packages: Vec::new(),
    }
}

/// As much of a workflow's text as is analysed, for excerpts.
pub(super) fn shown_of(bytes: &[u8]) -> Arc<str> {
    crate::text::lossy(bytes.get(..crate::analysis::WORKFLOW_MAX).unwrap_or(bytes)).into()
}

/// A file outside any commit.
pub(super) fn loose(path: &str, bytes: &[u8], local: &dyn LocalFiles, identity: Option<&str>) -> Version {
    let blob = blob_id(gix::hash::Kind::Sha1, bytes);
    version(path, blob, &File::read(bytes), &shown_of(bytes), local, identity)
}

fn version(
    path: &str,
    blob: String,
    file: &File<'_>,
    text: &Arc<str>,
    local: &dyn LocalFiles,
    identity: Option<&str>,
) -> Version {
    let analysis = file.analyse(path, local, identity);
    let packages = analysis
        .uses
        .iter()
        .map(|used| crate::publishing::package(&used.registry, used.directory.as_deref(), local))
        .collect();
    Version { path: path.to_owned(), blob, commits: Vec::new(), text: Arc::clone(text), analysis, packages }
}

/// The id that a file has, or would have, in a repository with this hash.
pub(super) fn blob_id(hash: gix::hash::Kind, bytes: &[u8]) -> String {
    gix::objs::compute_hash(hash, gix::object::Kind::Blob, bytes).map(|id| id.to_string()).unwrap_or_default()
}
