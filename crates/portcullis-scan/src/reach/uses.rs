//! What the repository's workflows publish with which secret, at all versions.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use gix::ObjectId;
use rayon::prelude::*;

use super::at_commit::AtCommit;
use crate::analysis;
use crate::called::CalledPaths;
use crate::history::History;
use crate::objects::Objects;
use crate::report::{Basis, UsedFor};
use crate::text::RepositoryText;

/// What the repository's workflows publish with which secret, and every secret that they name.
#[derive(Default)]
pub(super) struct Uses {
    pub(super) of: BTreeMap<String, Vec<UsedFor>>,
    pub(super) known: BTreeSet<String>,
}

/// Names of secrets that a version mentions, and what each is used for.
type NamesAndUses = (BTreeSet<String>, Vec<(String, UsedFor)>);

impl Uses {
    pub(super) fn read(objects: &Objects, history: &History) -> Self {
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
    let names = analysis::names_in(&crate::text::lossy(&bytes));
    if names.is_empty() {
        return Default::default();
    }
    let paths = CalledPaths::new(std::sync::Arc::clone(&history.tops));
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
