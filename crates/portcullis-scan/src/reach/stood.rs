//! Which versions stood in a time.
//!
//! A version on a branch stands from its commit until the last commit that replaced it there. A tag is another matter: what
//! it holds runs when the tag is pushed, and then no more, so an old tag that merely exists says nothing about today. When
//! it was pushed is the tag's own time, or its commit's where it has none.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::History;
use crate::objects::Objects;

/// Which commits stood on some reference in the time.
pub(super) fn stood(objects: &Objects, history: &History, between: Option<(i64, i64)>) -> Vec<bool> {
    let count = history.commits.len();
    let Some((from, until)) = between else { return vec![true; count] };
    let since = since(history);
    let replaced = replaced(history);
    let tagged = tagged(objects, history);
    let held: BTreeSet<usize> = branches(history).collect();
    let within = |time: i64| from <= time && time <= until;
    since
        .iter()
        .zip(&replaced)
        .enumerate()
        .map(|(at, (since, replaced))| {
            let tags = tagged.get(&at);
            if tags.is_some_and(|times| times.iter().copied().any(within)) {
                return true;
            }
            // No branch goes on from here, and a tag holds it: it stood when it was made, and when it was tagged.
            if tags.is_some() && replaced.is_none() && !held.contains(&at) {
                return within(*since);
            }
            *since <= until && replaced.is_none_or(|replaced| replaced > from)
        })
        .collect()
}

/// Nothing can have stood later than what was built on it, whatever its own time claims.
fn since(history: &History) -> Vec<i64> {
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
    since
}

/// When the last commit came that took a commit's place; `None` where nothing did.
fn replaced(history: &History) -> Vec<Option<i64>> {
    let mut replaced: Vec<Option<i64>> = vec![None; history.commits.len()];
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
    // What a branch still holds was not replaced at all.
    for at in branches(history) {
        if let Some(slot) = replaced.get_mut(at) {
            *slot = None;
        }
    }
    replaced
}

/// Commits that references other than tags hold.
fn branches(history: &History) -> impl Iterator<Item = usize> {
    history.heads.iter().filter(|head| !head.name.starts_with("refs/tags/")).filter_map(|head| {
        let is_own = history.commits.get(head.commit).is_some_and(|commit| commit.own);
        (head.own || !is_own).then_some(head.commit)
    })
}

/// When tags were put on commits.
fn tagged(objects: &Objects, history: &History) -> BTreeMap<usize, Vec<i64>> {
    let mut tagged: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    let names: Vec<_> = history.heads.iter().filter(|head| head.name.starts_with("refs/tags/")).collect();
    if names.is_empty() {
        return tagged;
    }
    let ids: BTreeMap<String, _> =
        objects.references().0.into_iter().map(|reference| (reference.name, reference.id)).collect();
    for head in names {
        let own = ids.get(&head.name).and_then(|id| objects.tagged_at(*id));
        let Some(commit) = history.commits.get(head.commit) else { continue };
        tagged.entry(head.commit).or_default().push(own.unwrap_or(commit.text.time));
    }
    tagged
}
