//! Which commits, and with them which versions, a scan looks at.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gix::ObjectId;

use crate::history::History;

/// Which commits stood at or after a time: those made or pushed since, all that build on one of them whatever time they
/// claim, those that one of these replaced, and those that nothing replaced. A claimed time hides nothing this way.
pub(super) fn stood_since(history: &History, since: i64) -> Vec<bool> {
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
pub(super) fn holders(history: &History, chosen: &[bool]) -> Vec<((String, ObjectId), Vec<usize>)> {
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
