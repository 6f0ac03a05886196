//! What is told of one job: all its versions together, on which references they stand, what it could reach.

use std::collections::{BTreeMap, BTreeSet};

use gix::ObjectId;

use super::RULE;
use super::action::Action;
use super::job::Reached;
use super::names::Names;
use crate::exposure::{self, Bound, Outline};
use crate::history::History;
use crate::report::{
    Certainty, Class, Destination, Exposure, Finding, FlowHop, JobToken, ReachedJob, RepositoryName, Secret,
    Standing, UsedFor, Verdict, finding_id,
};
use crate::signal::Signal;
use crate::text::RepositoryText;

/// A job over all versions that used the action.
#[derive(Default)]
pub(super) struct Group {
    /// Commits that have such a version, and those of them that stood in the time.
    pub(super) holders: BTreeSet<usize>,
    pub(super) in_time: BTreeSet<usize>,
    blobs: BTreeSet<String>,
    pub(super) triggers: Vec<crate::workflow::Trigger>,
    pub(super) is_action: bool,
    /// The newest of those in time, and the rights of all.
    pub(super) newest: Option<(usize, ObjectId, Reached)>,
    handed: Names,
    held: Names,
    id_token: bool,
    persisted: bool,
}

impl Group {
    /// Takes over what a version's job could reach at a commit.
    pub(super) fn add(&mut self, at: usize, blob: ObjectId, reached: &Reached) {
        self.blobs.insert(blob.to_string());
        self.handed.add(&reached.handed);
        self.held.add(&reached.held);
        self.id_token |= reached.id_token();
        self.persisted |= reached.persisted;
        if self.newest.as_ref().is_none_or(|(newest, ..)| *newest <= at) {
            self.newest = Some((at, blob, reached.clone()));
        }
    }
}

/// The finding of one job. `repository` and `uses` are what is known of its repository.
pub(super) fn finding(
    action: &Action,
    of: &RepositoryName,
    path: &str,
    group: &Group,
    repository: Option<(&History, &BTreeSet<String>)>,
    uses: &BTreeMap<String, Vec<UsedFor>>,
) -> Option<Finding> {
    let (_, blob, newest) = group.newest.as_ref()?;
    let all = group.handed.all || group.held.all;
    let mut names: BTreeMap<String, (String, Certainty)> = BTreeMap::new();
    let mut add = |name: &str, certainty| {
        names.entry(name.to_ascii_uppercase()).or_insert_with(|| (name.to_owned(), certainty));
    };
    group.handed.iter().for_each(|name| add(name, Certainty::Certain));
    group.held.iter().for_each(|name| add(name, Certainty::Possible));
    if let (true, Some((_, known))) = (all, repository) {
        known.iter().for_each(|name| add(name, Certainty::Possible));
    }
    let secrets: Vec<Secret> =
        names.values().map(|(name, certainty)| secret(name, *certainty, uses)).collect();
    let key = format!("repository:{}", action.name());
    let mut signals = BTreeSet::from([Signal::MutableReference]);
    if all {
        signals.insert(Signal::AllSecrets);
    }
    let exposed = repository.map(|(history, _)| exposed(history, path, group));
    let (refs, reachable, standing, introduced) = match exposed {
        Some(found) => found,
        None => (Vec::new(), true, Standing::CouldRun, None),
    };
    let triggers: BTreeSet<&str> = group.triggers.iter().map(|trigger| trigger.event.as_str()).collect();
    let mut leaving: Vec<String> = names.values().map(|(name, _)| name.clone()).collect();
    if leaving.is_empty() {
        leaving.push("GITHUB_TOKEN".to_owned());
    }
    let exposures = leaving
        .iter()
        .map(|name| Exposure {
            secret: RepositoryText::new(name.clone()),
            destination: RepositoryText::new(key.clone()),
            reachable,
            triggers: triggers.iter().map(|event| RepositoryText::new(*event)).collect(),
            introduced: introduced.clone(),
            refs: refs.clone(),
            versions: group.blobs.iter().cloned().collect(),
        })
        .collect();
    let first = newest.references.first()?;
    let flow = newest
        .references
        .iter()
        .map(|reference| FlowHop {
            hop: "sink".to_owned(),
            what: RepositoryText::new(format!("used here: {}", reference.uses.unescaped())),
            path: reference.path.clone(),
            span: reference.span,
        })
        .collect();
    Some(Finding {
        id: finding_id(RULE, &format!("{path}#{}", newest.job), &leaving, &[key]),
        rule: RULE.to_owned(),
        verdict: Verdict::Exposed,
        standing,
        signals: signals.iter().map(|signal| signal.id().to_owned()).collect(),
        repository: of.clone(),
        path: RepositoryText::new(path),
        blob: blob.to_string(),
        skeleton: String::new(),
        span: first.span,
        secrets,
        all_secrets: all,
        destinations: vec![Destination {
            host: None,
            url: Some(RepositoryText::new(format!("https://github.com/{}", action.repository()))),
            class: Class::Repository,
            name: Some(RepositoryText::new(action.name())),
        }],
        flow,
        exposures,
        accepted: None,
        accepted_by: None,
        comment_refused: None,
        job: Some(ReachedJob {
            id: RepositoryText::new(newest.job.clone()),
            references: newest.references.clone(),
            environment: newest.environment.clone().map(RepositoryText::new),
            token: JobToken { permissions: newest.permissions.clone(), persisted: group.persisted },
            id_token: group.id_token,
        }),
    })
}

fn secret(name: &str, certainty: Certainty, uses: &BTreeMap<String, Vec<UsedFor>>) -> Secret {
    let used_for = uses.get(&name.to_ascii_uppercase()).cloned().unwrap_or_default();
    Secret::new(name, certainty, used_for)
}

type Span = (Vec<crate::report::RefSpan>, bool, Standing, Option<crate::report::Moment>);

/// On which references, since when, and whether it can have run in the time.
fn exposed(history: &History, path: &str, group: &Group) -> Span {
    let holders: [Vec<usize>; 2] = [&group.holders, &group.in_time].map(|set| set.iter().copied().collect());
    let outline = Outline::new(history, holders.iter().map(Vec::as_slice));
    let follow =
        |which| exposure::follow(history, &outline, &[which], &group.triggers, group.is_action, path);
    let (whole, in_time) = (follow(0), follow(1));
    let introduced = whole
        .introduced
        .and_then(|at| history.commits.get(at))
        .map(|commit| exposure::moment(commit, Bound::From));
    (whole.refs, in_time.reachable, in_time.standing.unwrap_or(Standing::Foreign), introduced)
}
