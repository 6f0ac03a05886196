//! Actions and reusable workflows of the other repositories that were given: a chain is followed through them, at the commits
//! that their reference named in that time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use gix::ObjectId;

use super::stood::stood;
use crate::called::CalledPaths;
use crate::history::{self, Extra, History};
use crate::objects::{self, Objects};
use crate::source::Source;

/// Most files of other repositories that are kept; each is a few kilobytes, and none is larger than [`FILE_MAX`].
const KEPT_MAX: usize = 4_096;
/// Largest file that is read.
const FILE_MAX: usize = 256 * 1024;
/// Most versions of one file in the time.
const VERSIONS_MAX: usize = 64;

/// A file of another repository, as a `uses:` names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Named {
    /// `owner/name` in lower case.
    repository: String,
    reference: String,
    path: String,
}

/// The given repositories by their identity.
pub(super) struct Elsewhere {
    places: BTreeMap<String, PathBuf>,
    between: Option<(i64, i64)>,
    kept: Mutex<HashMap<Named, Arc<Vec<String>>>>,
}

impl Elsewhere {
    /// Learns where each repository lies. Only the way to it is kept, so that thousands cost little.
    pub(super) fn new(between: Option<(i64, i64)>) -> Self {
        Self { places: BTreeMap::new(), between, kept: Mutex::default() }
    }

    /// Adds those of some sources.
    pub(super) fn add(&mut self, sources: &[Source]) {
        for source in sources {
            let Source::Repository { git, .. } = source else { continue };
            let identity = objects::open(git).ok().and_then(|objects| objects.identity());
            let name = identity.as_deref().and_then(|identity| identity.strip_prefix("github.com/"));
            if let Some(name) = name {
                self.places.entry(name.to_ascii_lowercase()).or_insert_with(|| git.clone());
            }
        }
    }

    /// Whether a text uses something of a given repository, so that it may lead further.
    pub(super) fn is_used_in(&self, text: &str) -> bool {
        !self.places.is_empty()
            && text.match_indices("uses").any(|(at, word)| {
                let rest = text.get(at + word.len()..).unwrap_or("");
                let value = rest.trim_start_matches(['"', '\'', ':', ' ', '\t']);
                let end = value
                    .find(|c: char| c.is_whitespace() || matches!(c, '@' | '"' | '\''))
                    .unwrap_or(value.len());
                repository_of(value.get(..end).unwrap_or(""))
                    .is_some_and(|(name, _)| self.places.contains_key(&name))
            })
    }

    /// The versions in the time of an action that a step uses.
    pub(super) fn action(&self, uses: &str) -> Vec<(String, String)> {
        let found = self.versions(uses, |folder| {
            let inside =
                |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            vec![inside("action.yml"), inside("action.yaml")]
        });
        found.unwrap_or_default()
    }

    /// The versions in the time of a workflow that a job calls.
    pub(super) fn workflow(&self, uses: &str) -> Vec<(String, String)> {
        self.versions(uses, |path| vec![path.to_owned()]).unwrap_or_default()
    }

    /// Name and text of each version.
    fn versions(&self, uses: &str, paths: impl Fn(&str) -> Vec<String>) -> Option<Vec<(String, String)>> {
        let (name, reference) = uses.trim().split_once('@')?;
        let (repository, folder) = repository_of(name)?;
        let git = self.places.get(&repository)?;
        for path in paths(folder.trim_end_matches('/')) {
            let named = Named { repository: repository.clone(), reference: reference.to_owned(), path };
            let shown = format!("{}/{}@{}", named.repository, named.path, named.reference);
            let known = self.kept.lock().ok()?.get(&named).cloned();
            let texts = match known {
                Some(texts) => texts,
                None => {
                    let texts = Arc::new(self.read(git, &named));
                    let mut kept = self.kept.lock().ok()?;
                    if kept.len() >= KEPT_MAX {
                        kept.clear();
                    }
                    kept.insert(named, Arc::clone(&texts));
                    texts
                }
            };
            if !texts.is_empty() {
                return Some(texts.iter().map(|text| (shown.clone(), text.clone())).collect());
            }
        }
        None
    }

    fn read(&self, git: &std::path::Path, named: &Named) -> Vec<String> {
        let Ok(objects) = objects::open(git) else { return Vec::new() };
        let called = CalledPaths::new(std::sync::Arc::default());
        let commits = commits_of(&objects, &named.reference, self.between);
        let blobs: BTreeSet<ObjectId> = commits
            .into_iter()
            .filter_map(|commit| called.file(&objects, objects.commit(commit).ok()?.tree, &named.path).file())
            .collect();
        blobs
            .into_iter()
            .take(VERSIONS_MAX)
            .filter_map(|blob| objects.blob(blob).ok().filter(|bytes| bytes.len() <= FILE_MAX))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }
}

/// The commits that a reference named in the time: itself, if it is a full id; what a tag names, for where it pointed before is
/// not recorded; for a branch, those of its commits that stood.
fn commits_of(objects: &Objects, reference: &str, between: Option<(i64, i64)>) -> Vec<ObjectId> {
    if matches!(reference.len(), 40 | 64)
        && let Ok(id) = ObjectId::from_hex(reference.as_bytes())
    {
        return objects.commit(id).map(|_| vec![id]).unwrap_or_default();
    }
    let (references, _) = objects.references();
    let short = reference.trim_start_matches("refs/tags/").trim_start_matches("refs/heads/");
    let at = |name: String| references.iter().find(|known| known.name == name).map(|known| known.id);
    if let Some(tag) = at(format!("refs/tags/{short}")) {
        return objects.peel(tag, &HashSet::new()).ok().flatten().into_iter().collect();
    }
    let remote = objects.own_remote();
    let branch = at(format!("refs/remotes/{remote}/{short}")).or_else(|| at(format!("refs/heads/{short}")));
    let Some(tip) = branch else { return Vec::new() };
    let history = history::read(objects, &Extra::default());
    let stood = stood(objects, &history, between);
    let of_branch = reachable(&history, tip);
    let ids = history.commits.iter().zip(stood).zip(of_branch);
    ids.filter(|((_, stood), of)| *stood && *of).map(|((commit, _), _)| commit.id).collect()
}

/// Which commits a branch leads to.
fn reachable(history: &History, tip: ObjectId) -> Vec<bool> {
    let mut reached = vec![false; history.commits.len()];
    // Commits stand after their parents, so one pass from the end is enough.
    for (at, commit) in history.commits.iter().enumerate().rev() {
        let is_reached = commit.id == tip || reached.get(at).copied().unwrap_or(false);
        if is_reached {
            for index in commit.parents.iter().copied().chain([at]) {
                if let Some(slot) = reached.get_mut(index) {
                    *slot = true;
                }
            }
        }
    }
    reached
}

/// `owner/name` in lower case and the path below it.
fn repository_of(name: &str) -> Option<(String, &str)> {
    let name = name.trim();
    if name.starts_with("./") || name.contains("://") {
        return None;
    }
    let mut parts = name.splitn(3, '/');
    let (owner, repository) = (parts.next()?, parts.next()?);
    let plain =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    (plain(owner) && plain(repository))
        .then(|| (format!("{owner}/{repository}").to_ascii_lowercase(), parts.next().unwrap_or("")))
}
