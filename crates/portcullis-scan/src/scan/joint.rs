//! The versions of one repository, joined into findings: what stood where since when, and what only the other versions and
//! the commits tell.

use std::collections::{BTreeMap, BTreeSet};

use gix::ObjectId;

use super::version::Version;
use crate::analysis::Seen;
use crate::exposure::{self, Exposed, Outline};
use crate::history::{self, History};
use crate::objects::Objects;
use crate::report::{
    AcceptedBy, Basis, Certainty, Exposure, Finding, RepositoryName, Secret, Standing, UsedFor, finding_id,
};
use crate::services;
use crate::signal::Signal;
use crate::silence;
use crate::text::RepositoryText;
use crate::verdict::weigh;

/// How long a login must have been seen to stand for it to be an excuse.
const ESTABLISHED_SECONDS: i64 = 30 * 24 * 3600;

/// What makes sightings of several versions one finding: path, rule, and which secret at which destination.
type GroupKey<'g> = (&'g str, &'g str, Vec<&'g (String, String)>);

/// All versions of one repository, for questions that go over several of them.
pub(super) struct Joint<'j> {
    pub(super) name: &'j RepositoryName,
    pub(super) history: &'j History,
    pub(super) outline: Outline,
    pub(super) objects: Option<&'j Objects>,
    pub(super) versions: &'j [Version],
    pub(super) indicators: &'j BTreeSet<String>,
}

impl Joint<'_> {
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut groups: BTreeMap<GroupKey<'_>, Vec<(usize, &Seen)>> = BTreeMap::new();
        for (at, version) in self.versions.iter().enumerate() {
            for seen in &version.analysis.seen {
                groups
                    .entry((&version.path, seen.rule, seen.pairs.iter().collect()))
                    .or_default()
                    .push((at, seen));
            }
        }
        groups.into_values().filter_map(|group| self.finding(group)).collect()
    }

    fn finding(&self, mut group: Vec<(usize, &Seen)>) -> Option<Finding> {
        let last_commit = |at: &usize| {
            self.versions.get(*at).map(|version| version.commits.last().map_or(usize::MAX, |commit| *commit))
        };
        let alone = |seen: &Seen| weigh(seen.rule, &seen.signals);
        // A second, milder sighting in the same version takes nothing away from the first.
        group.sort_by_key(|(at, seen)| (last_commit(at), alone(seen)));
        let (newest, seen) = group.last().copied()?;
        let version = self.versions.get(newest)?;
        let held: Vec<&Version> = group.iter().filter_map(|(at, _)| self.versions.get(*at)).collect();
        let places: Vec<usize> = group.iter().map(|(at, _)| *at).collect();
        let exposed = self.exposed(version, &held, &places);
        let mut signals = self.signals(version, seen, &exposed);
        let mut verdict = weigh(seen.rule, &signals);
        // What an earlier version did is done: a later one that looks better does not undo it.
        let (worst_at, worst) = group.iter().copied().max_by_key(|(_, seen)| alone(seen))?;
        if alone(worst) > alone(seen)
            && let Some(version) = self.versions.get(worst_at)
        {
            let before = self.signals(version, worst, &exposed);
            let verdict_before = weigh(worst.rule, &before);
            if verdict_before > verdict {
                (signals, verdict) = (before, verdict_before);
            }
        }
        let (accepted, comment_refused) = self.accepted(&group, &exposed).map_or((None, None), |said| {
            said.map_or_else(|why| (None, Some(why)), |reason| (Some(reason), None))
        });
        let names: Vec<String> = seen.pairs.iter().map(|(secret, _)| secret.clone()).collect();
        let keys: Vec<String> = seen.destinations.iter().map(|(key, _)| key.clone()).collect();
        let mut destinations: Vec<_> =
            seen.destinations.iter().map(|(_, destination)| destination.clone()).collect();
        destinations.sort();
        destinations.dedup();
        Some(Finding {
            id: finding_id(seen.rule, &version.path, &names, &keys),
            rule: seen.rule.to_owned(),
            verdict,
            standing: exposed.standing.unwrap_or(Standing::CouldRun),
            signals: signals.iter().map(|signal| signal.id().to_owned()).collect(),
            repository: self.name.clone(),
            path: RepositoryText::new(version.path.clone()),
            blob: version.blob.clone(),
            skeleton: version.analysis.skeleton.clone(),
            span: seen.span,
            secrets: self.secrets(&version.path, seen),
            all_secrets: seen.all_secrets,
            destinations,
            flow: seen.flow.clone(),
            exposures: self.exposures(version, seen, &held, &exposed),
            accepted_by: accepted.is_some().then_some(AcceptedBy::Comment),
            accepted,
            comment_refused: comment_refused.map(RepositoryText::new),
            job: None,
        })
    }

    /// What comments say about a finding: the reason for which they accept it, or why they don't.
    ///
    /// A comment speaks for the version that holds it. So each version that stands on a branch must have one, and no
    /// version, past ones included, may be worse than a comment can accept.
    fn accepted(
        &self,
        group: &[(usize, &Seen)],
        exposed: &Exposed,
    ) -> Option<Result<RepositoryText, String>> {
        // Anybody can open a pull request with a comment in it.
        let is_own = |version: &Version| {
            let commits = &self.history.commits;
            let mut held = version.commits.iter().filter_map(|at| commits.get(*at));
            version.commits.is_empty() || held.any(|commit| commit.own)
        };
        let own = |(at, _): &&(usize, &Seen)| self.versions.get(*at).is_some_and(is_own);
        let (_, newest) = group.iter().rev().find(own)?;
        let said = newest.said.as_ref()?;
        let reason = match &said.reason {
            Ok(reason) => reason.clone(),
            Err(why) => return Some(Err(why.clone())),
        };
        for (at, seen) in group {
            let version = self.versions.get(*at)?;
            let verdict = weigh(seen.rule, &self.signals(version, seen, exposed));
            if let Some(why) = silence::refused(verdict, said) {
                return Some(Err(why));
            }
            let speaks = seen.said.as_ref().is_some_and(|said| said.reason.is_ok());
            if !speaks && let Some(place) = self.stands_on(version) {
                let short: String = version.blob.chars().take(7).collect();
                return Some(Err(format!(
                    "the comment in line {} is for its own version of the file; version {short}, which stands {place}, has none",
                    said.line
                )));
            }
        }
        Some(Ok(reason))
    }

    /// Where a version stands now, of the places that its owner can change. Tags and pull requests keep theirs for ever.
    fn stands_on(&self, version: &Version) -> Option<String> {
        if version.commits.is_empty() {
            return Some("in the work tree".to_owned());
        }
        let is_branch = |name: &str| name.starts_with("refs/heads/") || name.starts_with("refs/remotes/");
        let mut branches = self.history.heads.iter().filter(|head| head.own && is_branch(&head.name));
        let head = branches.find(|head| version.commits.binary_search(&head.commit).is_ok())?;
        Some(format!("on `{}`", head.name))
    }

    fn exposed(&self, newest: &Version, held: &[&Version], places: &[usize]) -> Exposed {
        if held.iter().all(|version| version.commits.is_empty()) {
            // A file outside any commit: the owner pointed at it, so it is his.
            let reachable = newest.analysis.is_action
                || !newest.analysis.triggers.is_empty()
                || newest.analysis.problem.is_some();
            return Exposed { reachable, standing: Some(Standing::CouldRun), ..Exposed::default() };
        }
        let mut triggers = Vec::new();
        for version in held {
            triggers.extend(version.analysis.triggers.iter().cloned());
        }
        if triggers.is_empty() && newest.analysis.problem.is_some() {
            // Nothing is known about what starts it: take it that a push does.
            triggers.push(crate::workflow::Trigger { event: "push".to_owned(), ..Default::default() });
        }
        let mut exposed = exposure::follow(
            self.history,
            &self.outline,
            places,
            &triggers,
            newest.analysis.is_action,
            &newest.path,
        );
        if held.iter().any(|version| version.commits.is_empty()) {
            exposed.standing = Some(Standing::CouldRun);
        }
        exposed
    }

    fn exposures(
        &self,
        newest: &Version,
        seen: &Seen,
        held: &[&Version],
        exposed: &Exposed,
    ) -> Vec<Exposure> {
        let introduced = exposed
            .introduced
            .and_then(|at| self.history.commits.get(at))
            .map(|commit| exposure::moment(commit, exposure::Bound::From));
        let triggers: BTreeSet<&str> = held
            .iter()
            .flat_map(|version| &version.analysis.triggers)
            .map(|trigger| trigger.event.as_str())
            .collect();
        let versions: BTreeSet<&String> = held.iter().map(|version| &version.blob).collect();
        let _ = newest;
        seen.pairs
            .iter()
            .map(|(secret, destination)| Exposure {
                secret: RepositoryText::new(secret.clone()),
                destination: RepositoryText::new(destination.clone()),
                reachable: exposed.reachable,
                triggers: triggers.iter().map(|event| RepositoryText::new(*event)).collect(),
                introduced: introduced.clone(),
                refs: exposed.refs.clone(),
                versions: versions.iter().map(|blob| (*blob).clone()).collect(),
            })
            .collect()
    }

    fn secrets(&self, path: &str, seen: &Seen) -> Vec<Secret> {
        let mut names: BTreeMap<&str, Certainty> =
            seen.secrets.iter().map(|(name, certainty)| (name.as_str(), *certainty)).collect();
        for (name, certainty) in &mut names {
            if !seen.environment && self.is_of_environment(path, name) {
                *certainty = Certainty::Possible;
            }
        }
        if seen.all_secrets {
            for name in self.versions.iter().flat_map(|version| &version.analysis.names) {
                names.entry(name).or_insert(Certainty::Possible);
            }
        }
        names.into_iter().map(|(name, certainty)| self.secret(name, certainty)).collect()
    }

    /// Whether all that is known of a secret is that other workflows use it in jobs with an `environment`: a job without one
    /// does not get what belongs to that environment alone.
    fn is_of_environment(&self, path: &str, name: &str) -> bool {
        let others = || self.versions.iter().filter(|version| version.path != path);
        let inside = |version: &Version| version.analysis.environment_names.contains(name);
        others().any(inside)
            && !others().any(|version| version.analysis.names.contains(name) && !inside(version))
    }

    fn secret(&self, name: &str, certainty: Certainty) -> Secret {
        Secret::new(name, certainty, self.used_for(name))
    }

    /// What the workflows of the repository, at all versions, publish with a secret.
    fn used_for(&self, name: &str) -> Vec<UsedFor> {
        let mut found: BTreeMap<(String, Option<String>, String), (usize, UsedFor)> = BTreeMap::new();
        for version in self.versions {
            for (used, package) in version.analysis.uses.iter().zip(&version.packages) {
                if !used.secret.eq_ignore_ascii_case(name) {
                    continue;
                }
                let newest = version.commits.last().copied();
                let commit = newest
                    .and_then(|at| self.history.commits.get(at))
                    .map(|commit| commit.id.to_string())
                    .unwrap_or_default();
                let key = (used.registry.clone(), package.clone(), used.path.clone());
                let entry = UsedFor {
                    registry: used.registry.clone(),
                    package: package.clone().map(RepositoryText::new),
                    basis: Basis::Claimed,
                    path: RepositoryText::new(used.path.clone()),
                    line: used.line,
                    commit,
                };
                let rank = newest.map_or(usize::MAX, |at| at);
                match found.get(&key) {
                    Some((known, _)) if *known >= rank => {}
                    _ => {
                        found.insert(key, (rank, entry));
                    }
                }
            }
        }
        found.into_values().map(|(_, used)| used).collect()
    }

    /// The facts of the file, with those that only history and the other workflows tell.
    fn signals(&self, version: &Version, seen: &Seen, exposed: &Exposed) -> BTreeSet<Signal> {
        let mut signals = seen.signals.clone();
        let marked = |host: &str| {
            let mut rest = Some(host);
            while let Some(name) = rest {
                if self.indicators.contains(name) {
                    return true;
                }
                rest = name.split_once('.').map(|(_, below)| below);
            }
            false
        };
        let hosts = seen.destinations.iter().filter_map(|(_, destination)| destination.host.as_ref());
        if hosts.into_iter().any(|host| marked(host.unescaped())) {
            signals.insert(Signal::KnownIndicator);
        }
        if signals.contains(&Signal::UnneededSecret) {
            let owner = seen.destinations.iter().filter_map(|(key, _)| key.strip_prefix("repository:"));
            let owner = owner.filter_map(|name| name.split('/').next()).next().unwrap_or("");
            let elsewhere =
                |other: &Version| other.path != version.path && other.analysis.owners.contains(owner);
            if self.versions.iter().any(elsewhere) {
                signals.remove(&Signal::UnneededSecret);
            }
        }
        if self.is_established(version, seen) {
            signals.insert(Signal::AuthenticatesElsewhere);
        }
        let others = self.versions.iter().filter(|other| other.path != version.path);
        let named: BTreeSet<&String> = others.flat_map(|other| &other.analysis.names).collect();
        let harvested: BTreeSet<&str> = seen
            .secrets
            .iter()
            .map(|(name, _)| name)
            .filter(|name| named.contains(name))
            .filter_map(|name| services::of_secret(name))
            .map(|service| service.name.as_str())
            .collect();
        if harvested.len() >= 2 {
            signals.insert(Signal::HarvestedNames);
        }
        if let Some((at, commit)) =
            exposed.introduced.and_then(|at| Some((at, self.history.commits.get(at)?)))
        {
            if exposure::dates_conflict(self.history, commit) {
                signals.insert(Signal::DateConflict);
            }
            if is_mask(&commit.text.message) {
                signals.insert(Signal::MaskingMessage);
            }
            if !commit.text.signed && self.is_signed_before(at) {
                signals.insert(Signal::MissingSignature);
            }
            if self.touches_nothing_else(commit, &version.path) {
                signals.insert(Signal::SingleFileCommit);
            }
        }
        signals
    }

    /// Whether a commit changed this file and nothing else.
    fn touches_nothing_else(&self, commit: &history::Commit, path: &str) -> bool {
        let Some(parent) = commit.parents.first().and_then(|at| self.history.commits.get(*at)) else {
            return false;
        };
        let Some(objects) = self.objects else { return false };
        let (mut before, mut after) = (parent.text.tree, commit.text.tree);
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let (Ok(old), Ok(new)) = (objects.tree(before), objects.tree(after)) else { return false };
            let old: BTreeMap<&str, ObjectId> =
                old.iter().map(|entry| (entry.name.as_str(), entry.id)).collect();
            let changed: Vec<_> =
                new.iter().filter(|entry| old.get(entry.name.as_str()) != Some(&entry.id)).collect();
            let gone = old.keys().any(|name| !new.iter().any(|entry| entry.name == *name));
            match (changed.as_slice(), old.get(part)) {
                ([only], _) if only.name != part || gone => return false,
                // A folder that is new: it must hold nothing but the file.
                ([only], None) => return holds_only(objects, only.id, parts),
                ([only], Some(id)) if parts.peek().is_some() => (before, after) = (*id, only.id),
                ([_], Some(_)) => return true,
                _ => return false,
            }
        }
        false
    }

    /// Whether nearly all of the repository's own commits before one are signed.
    fn is_signed_before(&self, at: usize) -> bool {
        let before = self.history.commits.get(..at).unwrap_or(&[]).iter().rev();
        let (mut signed, mut all) = (0, 0);
        for commit in before.filter(|commit| commit.own).take(SIGNED_LOOK) {
            signed += usize::from(commit.text.signed);
            all += 1;
        }
        all >= SIGNED_LEAST && signed * 10 >= all * 9
    }

    /// Whether each secret already was the login to its destination in another workflow, standing for long enough
    /// before. Only pushes that the forge saw count: the time in a commit is the pusher's word, and two forged ones would excuse
    /// any theft.
    fn is_established(&self, version: &Version, seen: &Seen) -> bool {
        let first_seen = |version: &Version| {
            let commits = version.commits.iter().filter_map(|at| self.history.commits.get(*at));
            commits.filter(|commit| commit.own).filter_map(|commit| commit.first_pushed).min()
        };
        let Some(begun) = first_seen(version) else { return false };
        !seen.pairs.is_empty()
            && seen.pairs.iter().all(|(secret, host)| {
                self.versions.iter().filter(|other| other.path != version.path).any(|other| {
                    let stood = first_seen(other).map_or(0, |first| begun.saturating_sub(first));
                    stood >= ESTABLISHED_SECONDS
                        && other.analysis.logins.contains(&(host.clone(), secret.clone()))
                })
            })
    }
}

/// How many of the commits before are asked whether they are signed.
const SIGNED_LOOK: usize = 50;
/// How few commits say nothing about a habit.
const SIGNED_LEAST: usize = 5;

/// Whether a file is all that a folder holds, at any depth.
fn holds_only<'p>(objects: &Objects, mut at: ObjectId, parts: impl Iterator<Item = &'p str>) -> bool {
    for part in parts {
        match objects.tree(at).as_deref() {
            Ok([only]) if only.name == part => at = only.id,
            _ => return false,
        }
    }
    true
}

/// Whether a commit's message speaks of what nobody looks at twice.
fn is_mask(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let begins =
        ["add", "create", "update", "enable", "set up", "setup", "improve", "fix", "chore", "ci", "build"];
    begins.iter().any(|word| message.starts_with(word))
        && any(&[
            "security",
            "codeql",
            "code scan",
            "dependabot",
            "vulnerab",
            "audit",
            "hardening",
            "lint",
            "format",
            "cache",
            "maintenance",
            "compliance",
        ])
}
