//! Which commits a look must have beside branches and tags.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_index::clock::SECOND;
use portcullis_index::desk::forge::{Look, Push, Runs};
use portcullis_index::desk::scan_document::is_object_id;

/// The commits to have beside branches and tags.
pub(crate) struct Heads {
    /// Pushed to the repository itself, as the forge observed.
    pub(crate) pushed: BTreeSet<String>,
    /// When it saw them, in seconds since 1970.
    pub(crate) times: BTreeMap<String, i64>,
    /// Named by somebody.
    pub(crate) cited: BTreeSet<String>,
}

impl Heads {
    /// Of what was pushed, what ran, and what was named.
    pub(crate) fn new(look: &Look, pushes: Option<&[Push]>, runs: Option<&Runs>) -> Self {
        let zero = |id: &String| id.bytes().all(|byte| byte == b'0');
        let pushes = pushes.unwrap_or_default();
        let mut times = BTreeMap::new();
        for push in pushes.iter().filter(|push| !zero(&push.after)) {
            let at = push.at.div_euclid(SECOND);
            let first = times.entry(push.after.clone()).or_insert(at);
            *first = at.min(*first);
        }
        let mut pushed: BTreeSet<String> = pushes
            .iter()
            .flat_map(|push| [push.after.clone(), push.before.clone()])
            .filter(|id| !zero(id))
            .collect();
        // A run that a push started is of a commit that was pushed here; a pull request's is anybody's.
        let runs = runs.map(|runs| runs.list.as_slice()).unwrap_or_default();
        pushed.extend(runs.iter().filter(|run| run.event == "push").map(|run| run.commit.clone()));
        let cited =
            look.cited.iter().filter(|id| is_object_id(id) && !pushed.contains(*id)).cloned().collect();
        Self { pushed, times, cited }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<String> {
        self.cited.iter().chain(&self.pushed).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use portcullis_index::desk::forge::Run;
    use portcullis_index::desk::subject::RepositoryName;

    use super::*;

    #[test]
    fn a_pull_requests_run_makes_no_commit_the_repositorys_own() {
        let run = |event: &str, digit: &str| Run {
            id: 1,
            commit: digit.repeat(40),
            path: String::new(),
            event: event.to_owned(),
            from: 0,
            until: None,
            workflow_blob: None,
        };
        let runs = Runs { complete_since: None, list: vec![run("push", "a"), run("pull_request", "b")] };
        let look = Look {
            repository: RepositoryName::parse("github.com/example-org/fish").unwrap(),
            cited: vec!["c".repeat(40), String::from("--upload-pack=x")],
        };
        let heads = Heads::new(&look, None, Some(&runs));
        assert_eq!(heads.pushed.into_iter().collect::<Vec<_>>(), ["a".repeat(40)]);
        assert_eq!(heads.cited.into_iter().collect::<Vec<_>>(), ["c".repeat(40)]);
    }
}
