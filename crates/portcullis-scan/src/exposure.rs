//! Findings of all versions → exposures: since when, until when, on which references, and whether it can have run.

pub mod filter;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

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

/// Most spans of one group on one reference; what comes and goes more often has its oldest spans joined.
const SPANS_MAX: usize = 16;

/// The history without the commits at which nothing changes: what stands where is followed over these alone, so that it
/// costs as much as there are changes, not as there are commits.
#[derive(Debug, Default)]
pub struct Outline {
    nodes: Vec<Node>,
    /// Node of each commit.
    of: Vec<usize>,
    /// Nodes at which each version stands.
    held: Vec<Vec<usize>>,
}

#[derive(Debug)]
struct Node {
    /// The first commit of it.
    commit: usize,
    parents: Vec<usize>,
    /// What stands there, as one number.
    mark: u64,
}

impl Outline {
    /// Reads a history with the commits at which each version stands.
    pub fn new<'v>(history: &History, versions: impl Iterator<Item = &'v [usize]> + Clone) -> Self {
        // The seed differs with each scan, so that nobody can make two sets of versions look the same.
        let seed = std::collections::hash_map::RandomState::new();
        let mut marks = vec![0_u64; history.commits.len()];
        for (version, commits) in versions.clone().enumerate() {
            let number = std::hash::BuildHasher::hash_one(&seed, version);
            for at in commits {
                if let Some(mark) = marks.get_mut(*at) {
                    *mark = mark.wrapping_add(number);
                }
            }
        }
        let mut outline = Self { of: Vec::with_capacity(history.commits.len()), ..Self::default() };
        for (at, (commit, mark)) in history.commits.iter().zip(marks).enumerate() {
            let mut parents: Vec<usize> =
                commit.parents.iter().filter_map(|parent| outline.of.get(*parent).copied()).collect();
            parents.sort_unstable();
            parents.dedup();
            let same = match parents.as_slice() {
                [only] => outline.nodes.get(*only).is_some_and(|node| node.mark == mark).then_some(*only),
                _ => None,
            };
            outline.of.push(same.unwrap_or(outline.nodes.len()));
            if same.is_none() {
                outline.nodes.push(Node { commit: at, parents, mark });
            }
        }
        for commits in versions {
            let mut nodes: Vec<usize> =
                commits.iter().filter_map(|at| outline.of.get(*at).copied()).collect();
            nodes.sort_unstable();
            nodes.dedup();
            outline.held.push(nodes);
        }
        outline
    }
}

/// From a node until a node, or still.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Span {
    introduced: usize,
    removed: Option<usize>,
}

/// Spans of the parents as one list: what stands for one of them stands; what was brought twice counts from the first.
fn joined<'s>(parents: impl Iterator<Item = &'s Rc<[Span]>>) -> Vec<Span> {
    let mut open: Option<usize> = None;
    let mut closed: BTreeMap<usize, usize> = BTreeMap::new();
    for span in parents.flat_map(|spans| spans.iter()) {
        match span.removed {
            None => open = Some(open.map_or(span.introduced, |known| known.min(span.introduced))),
            Some(removed) => {
                let until = closed.entry(span.introduced).or_insert(removed);
                *until = (*until).max(removed);
            }
        }
    }
    if let Some(introduced) = open {
        closed.remove(&introduced);
    }
    let mut spans: Vec<Span> = closed
        .into_iter()
        .map(|(introduced, removed)| Span { introduced, removed: Some(removed) })
        .chain(open.map(|introduced| Span { introduced, removed: None }))
        .collect();
    while spans.len() > SPANS_MAX {
        let first = spans.remove(0);
        if let Some(second) = spans.first_mut() {
            second.introduced = first.introduced;
        }
    }
    spans
}

/// Follows a group of versions over the history: when it came to each reference, and when it went.
pub fn follow(
    history: &History,
    outline: &Outline,
    versions: &[usize],
    triggers: &[Trigger],
    is_action: bool,
    path: &str,
) -> Exposed {
    let mut holds = vec![false; outline.nodes.len()];
    for at in versions.iter().filter_map(|version| outline.held.get(*version)).flatten() {
        if let Some(mark) = holds.get_mut(*at) {
            *mark = true;
        }
    }
    let held = |at: &usize| holds.get(*at).copied().unwrap_or(false);
    let nothing: Rc<[Span]> = Rc::from([]);
    let mut states: Vec<Rc<[Span]>> = Vec::with_capacity(outline.nodes.len());
    let mut introductions = Vec::new();
    for (at, node) in outline.nodes.iter().enumerate() {
        let parent_holds = node.parents.iter().any(held);
        let here = held(&at);
        if here && !parent_holds {
            introductions.push(at);
        }
        let before = match node.parents.as_slice() {
            [only] => states.get(*only).map_or_else(|| Rc::clone(&nothing), Rc::clone),
            several => Rc::from(joined(several.iter().filter_map(|parent| states.get(*parent)))),
        };
        states.push(if here == parent_holds {
            before
        } else {
            let mut spans = before.to_vec();
            if here {
                spans.push(Span { introduced: at, removed: None });
            } else {
                for span in spans.iter_mut().filter(|span| span.removed.is_none()) {
                    span.removed = Some(at);
                }
            }
            if spans.len() > SPANS_MAX { Rc::from(joined([Rc::from(spans)].iter())) } else { Rc::from(spans) }
        });
    }
    let commit_of = |at: &usize| history.commits.get(outline.nodes.get(*at)?.commit);
    let own = |at: &usize| commit_of(at).is_some_and(|commit| commit.own);
    let introduced =
        introductions.iter().copied().find(|at| own(at)).or_else(|| introductions.first().copied());
    let default_has_path = default_head(history).is_none_or(|head| {
        history.commits.get(head.commit).is_some_and(|commit| commit.files.contains_key(path))
    });
    let distinct: BTreeSet<&Trigger> = triggers.iter().collect();
    let starters: Vec<Starter> = distinct.into_iter().map(Starter::new).collect();
    let mut exposed = Exposed {
        introduced: introduced.and_then(|at| outline.nodes.get(at)).map(|node| node.commit),
        ..Exposed::default()
    };
    let mut reached = BTreeSet::new();
    for head in &history.heads {
        let Some(spans) = outline.of.get(head.commit).and_then(|at| states.get(*at)) else { continue };
        if spans.is_empty() {
            continue;
        }
        // Claimed or seen: the earlier of the two widens.
        let since = spans.iter().filter_map(|span| commit_of(&span.introduced));
        let since = since.flat_map(|commit| [Some(commit.text.time), commit.first_pushed]).flatten().min();
        let base_version = since.is_some_and(|since| since < TARGET_OF_DEFAULT_SECONDS);
        let can_run = head.own
            && (is_action
                || starters.iter().any(|starter| {
                    starter.fires(&head.name, history.default_branch.as_deref(), default_has_path)
                        || base_version && starter.event == "pull_request_target"
                }));
        exposed.reachable |= can_run;
        for span in spans.iter() {
            reached.insert(span.introduced);
            exposed.refs.push(RefSpan {
                name: RepositoryText::new(head.name.clone()),
                introduced: commit_of(&span.introduced)
                    .map(|commit| commit.id.to_string())
                    .unwrap_or_default(),
                removed: span
                    .removed
                    .and_then(|at| commit_of(&at))
                    .map(|commit| moment(commit, Bound::Until)),
            });
        }
    }
    // Own commits that no reference leads to any more: a known push, or a reflog of an own branch.
    let hidden = introductions.iter().any(|at| own(at) && !reached.contains(at));
    exposed.reachable |= hidden && (is_action || !triggers.is_empty());
    let any_own = (0..outline.nodes.len()).any(|at| held(&at) && own(&at));
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

/// Whether a commit's own time and the forge's disagree by more than a day. Without the forge's, whether its two own times do
/// and the author's is the later one, which no rebase makes; or whether it claims to be older than what it builds on.
pub fn dates_conflict(history: &History, commit: &Commit) -> bool {
    const DAY_SECONDS: i64 = 24 * 3_600;
    let own = commit.text.time;
    let parents = commit.parents.iter().filter_map(|at| history.commits.get(*at));
    parents.map(|parent| parent.text.time).any(|parent| parent.saturating_sub(own) > DAY_SECONDS)
        || match commit.first_pushed {
            Some(pushed) => pushed.saturating_sub(own).saturating_abs() > DAY_SECONDS,
            None => commit.text.author_time.saturating_sub(own) > DAY_SECONDS,
        }
}

/// Since when `pull_request_target` runs the default branch's version: 2025-12-08. Before, it was that of the branch that the
/// pull request went to (GitHub Changelog, 2025-11-07).
const TARGET_OF_DEFAULT_SECONDS: i64 = 1_765_152_000;

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
