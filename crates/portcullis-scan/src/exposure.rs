//! Findings of all versions → exposures: since when, until when, on which references, and whether it can have run.

pub mod filter;

use std::collections::BTreeSet;

use self::filter::Filter;
pub use self::filter::Pattern;
use crate::history::{Commit, Head, History};
use crate::report::{Basis, Moment, RefSpan, Standing};
use crate::text::RepositoryText;
use crate::workflow::Trigger;

/// The span of one group of versions over a history.
#[derive(Debug, Default)]
pub struct Exposed {
    /// The commit that brought it first.
    pub introduced: Option<usize>,
    /// Per reference.
    pub refs: Vec<RefSpan>,
    /// Whether a run with secrets can have reached it.
    pub reachable: bool,
    /// Whose it is.
    pub standing: Option<Standing>,
}

#[derive(Clone, Copy)]
struct State {
    introduced: usize,
    removed: Option<usize>,
}

/// Follows a property of commits (`holds`: the path has one of the versions) over the history.
pub fn follow(
    history: &History,
    holds: &[bool],
    triggers: &[Trigger],
    is_action: bool,
    path: &str,
) -> Exposed {
    let mut states: Vec<Option<State>> = Vec::with_capacity(history.commits.len());
    let mut introductions = Vec::new();
    for (at, commit) in history.commits.iter().enumerate() {
        let here = holds.get(at).copied().unwrap_or(false);
        let parents: Vec<State> =
            commit.parents.iter().filter_map(|parent| states.get(*parent).copied().flatten()).collect();
        let inherited = parents.iter().map(|state| state.introduced).min();
        let parent_holds = commit.parents.iter().any(|parent| holds.get(*parent).copied().unwrap_or(false));
        if here && !parent_holds {
            introductions.push(at);
        }
        let state = match (here, inherited) {
            (true, inherited) => Some(State { introduced: inherited.unwrap_or(at), removed: None }),
            (false, None) => None,
            (false, Some(introduced)) => {
                let removed = if parent_holds {
                    Some(at)
                } else {
                    parents.iter().filter_map(|state| state.removed).max()
                };
                Some(State { introduced, removed })
            }
        };
        states.push(state);
    }
    let own = |at: &usize| history.commits.get(*at).is_some_and(|commit| commit.own);
    let introduced =
        introductions.iter().copied().find(|at| own(at)).or_else(|| introductions.first().copied());
    let default_has_path = default_head(history).is_none_or(|head| {
        history.commits.get(head.commit).is_some_and(|commit| commit.files.contains_key(path))
    });
    let distinct: BTreeSet<&Trigger> = triggers.iter().collect();
    let starters: Vec<Starter> = distinct.into_iter().map(Starter::new).collect();
    let mut exposed = Exposed { introduced, ..Exposed::default() };
    let mut reached = BTreeSet::new();
    for head in &history.heads {
        let Some(state) = states.get(head.commit).copied().flatten() else { continue };
        reached.insert(state.introduced);
        let can_run = head.own
            && (is_action
                || starters.iter().any(|starter| {
                    starter.fires(&head.name, history.default_branch.as_deref(), default_has_path)
                }));
        exposed.reachable |= can_run;
        exposed.refs.push(RefSpan {
            name: RepositoryText::new(head.name.clone()),
            introduced: history
                .commits
                .get(state.introduced)
                .map(|commit| commit.id.to_string())
                .unwrap_or_default(),
            removed: state
                .removed
                .and_then(|at| history.commits.get(at))
                .map(|commit| moment(commit, Bound::Until)),
        });
    }
    // Own commits that no reference leads to any more: a known push, or a reflog of an own branch.
    let hidden = introductions.iter().any(|at| own(at) && !reached.contains(at));
    exposed.reachable |= hidden && (is_action || !triggers.is_empty());
    let any_own = holds.iter().enumerate().any(|(at, here)| *here && own(&at));
    exposed.standing =
        Some(if any_own && exposed.reachable { Standing::CouldRun } else { Standing::Foreign });
    exposed
}

fn default_head(history: &History) -> Option<&Head> {
    let name = history.default_branch.as_deref()?;
    history.heads.iter().find(|head| head.name == name)
}

/// Which end of a span a commit bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Since when.
    From,
    /// Until when.
    Until,
}

/// A commit as a bound in time. Its own time is the pusher's word (`claimed`), the forge's of its push is `observed`;
/// where both are known the one that makes the span wider counts, so that a claim never narrows it.
pub fn moment(commit: &Commit, bound: Bound) -> Moment {
    let claimed = commit.text.time;
    let (seconds, basis) = match (commit.first_pushed, bound) {
        (Some(pushed), Bound::From) if pushed <= claimed => (pushed, Basis::Observed),
        (Some(pushed), Bound::Until) if pushed >= claimed => (pushed, Basis::Observed),
        _ => (claimed, Basis::Claimed),
    };
    let with_person = bound == Bound::From;
    Moment {
        commit: commit.id.to_string(),
        time: jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string(),
        basis,
        author: with_person.then(|| RepositoryText::new(commit.text.author.clone())),
        message: with_person.then(|| RepositoryText::new(commit.text.message.clone())),
    }
}

/// Whether a commit's own time and the forge's disagree by more than a day; without the forge's, whether its two own
/// times do and the author's is the later one, which no rebase makes.
pub fn dates_conflict(commit: &Commit) -> bool {
    const DAY_SECONDS: i64 = 24 * 3_600;
    match commit.first_pushed {
        Some(pushed) => pushed.saturating_sub(commit.text.time).saturating_abs() > DAY_SECONDS,
        None => commit.text.author_time.saturating_sub(commit.text.time) > DAY_SECONDS,
    }
}

/// Events for which GitHub runs only the default branch's version of a workflow
/// (GitHub, "Events that trigger workflows").
const DEFAULT_ONLY: &[&str] = &[
    "schedule",
    "issues",
    "issue_comment",
    "discussion",
    "discussion_comment",
    "workflow_run",
    "watch",
    "fork",
    "gollum",
    "label",
    "milestone",
    "page_build",
    "project",
    "project_card",
    "project_column",
    "public",
    "branch_protection_rule",
    "check_run",
    "check_suite",
    "repository_dispatch",
    "pull_request_target",
    "registry_package",
    "status",
];

/// A trigger with its filters read, for many references.
#[derive(Debug)]
pub struct Starter {
    event: String,
    branches: Option<Filter>,
    branches_ignore: Option<Filter>,
    tags: Option<Filter>,
    tags_ignore: Option<Filter>,
}

impl Starter {
    /// Reads the filters of a trigger.
    pub fn new(trigger: &Trigger) -> Self {
        let filter = |patterns: &Option<Vec<String>>| patterns.as_deref().map(Filter::new);
        Self {
            event: trigger.event.clone(),
            branches: filter(&trigger.branches),
            branches_ignore: filter(&trigger.branches_ignore),
            tags: filter(&trigger.tags),
            tags_ignore: filter(&trigger.tags_ignore),
        }
    }

    /// Whether the event can start the version of a workflow that stands at a reference.
    pub fn fires(&self, reference: &str, default_branch: Option<&str>, default_has_path: bool) -> bool {
        let is_tag = reference.starts_with("refs/tags/");
        let name = short(reference);
        let is_default = default_branch.is_none_or(|default| !is_tag && short(default) == name);
        match self.event.as_str() {
            "push" => {
                let by_branch = self.branches.is_some() || self.branches_ignore.is_some();
                let by_tag = self.tags.is_some() || self.tags_ignore.is_some();
                let (only, except, given, other) = match is_tag {
                    true => (&self.tags, &self.tags_ignore, by_tag, by_branch),
                    false => (&self.branches, &self.branches_ignore, by_branch, by_tag),
                };
                if !given {
                    // Filters for tags alone leave branches out, and the other way round.
                    return !other;
                }
                let included = only.as_ref().is_none_or(|filter| filter.may_include(name));
                let excluded = except.as_ref().is_some_and(|filter| filter.surely_excludes(name));
                included && !excluded
            }
            "workflow_dispatch" => default_has_path || is_default,
            event if DEFAULT_ONLY.contains(&event) => is_default,
            _ => true,
        }
    }
}

/// The name of a branch or tag as filters see it.
fn short(name: &str) -> &str {
    name.strip_prefix("refs/heads/")
        .or_else(|| name.strip_prefix("refs/tags/"))
        // refs/remotes/REMOTE/BRANCH
        .or_else(|| Some(name.strip_prefix("refs/remotes/")?.split_once('/')?.1))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(branches: Option<&[&str]>, tags: Option<&[&str]>) -> Trigger {
        let owned =
            |list: Option<&[&str]>| list.map(|list| list.iter().map(|item| (*item).to_owned()).collect());
        Trigger {
            event: "push".to_owned(),
            branches: owned(branches),
            tags: owned(tags),
            ..Trigger::default()
        }
    }

    #[test]
    fn push_filters_decide_by_reference() {
        for (trigger, reference, fires_there) in [
            (push(None, None), "refs/heads/any", true),
            (push(None, None), "refs/tags/v1", true),
            (push(Some(&["main"]), None), "refs/heads/main", true),
            (push(Some(&["main"]), None), "refs/heads/dev", false),
            (push(Some(&["main"]), None), "refs/tags/v1", false),
            (push(Some(&["rel/**"]), None), "refs/remotes/origin/rel/a/b", true),
            (push(Some(&["*"]), None), "refs/heads/a/b", false),
            (push(Some(&["**", "!dev"]), None), "refs/heads/dev", false),
            (push(None, Some(&["v*"])), "refs/tags/v1", true),
            (push(None, Some(&["v*"])), "refs/heads/main", false),
        ] {
            assert_eq!(
                Starter::new(&trigger).fires(reference, Some("refs/heads/main"), true),
                fires_there,
                "{trigger:?} {reference}"
            );
        }
    }

    #[test]
    fn some_events_run_the_default_branch_only() {
        let schedule = Starter::new(&Trigger { event: "schedule".to_owned(), ..Trigger::default() });
        assert!(schedule.fires("refs/heads/main", Some("refs/heads/main"), true));
        assert!(schedule.fires("refs/remotes/origin/main", Some("refs/remotes/origin/main"), true));
        assert!(!schedule.fires("refs/heads/dev", Some("refs/heads/main"), true));
    }
}
