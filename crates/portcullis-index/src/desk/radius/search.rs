//! From exposed repositories to projects, accounts, tokens and files, edge by edge.

use std::collections::{BTreeMap, BTreeSet};

use super::ground::Ground;
use super::view::{
    Edge, NamedProject, Node, Radius, RadiusAccount, RadiusFile, RadiusProject, RadiusPublisher, RadiusToken,
    Rank, Strength,
};
use super::weighing::{contradiction, minted_evidence, rank, releases};
use crate::clock::Instant;
use crate::desk::Result;
use crate::desk::evidence::{self, Evidence, Known, Verdict};
use crate::ids::{ProjectId, TokenId};
use crate::project::ProjectName;
use crate::store::files;
use crate::store::projects::{self, Project, ProjectRole, RepositoryBasis};
use crate::store::publishers;
use crate::store::reports::Level;
use crate::store::token_uses::{self, TokenUse, UseKind};
use crate::store::tokens::{self, Token, TokenKind};
use crate::store::{Tx, accounts, containments};
/// What is found of one project.
struct FoundProject {
    project: Project,
    /// What each repository has to do with it. One repository's proof is none for another.
    edges: BTreeMap<usize, ProjectEdges>,
}

/// Why one repository opens one project.
#[derive(Default)]
struct ProjectEdges {
    proved: Vec<String>,
    claimed: Vec<String>,
    /// Whether one of the claims is not contested.
    uncontested: bool,
}

impl ProjectEdges {
    fn strength(&self) -> Strength {
        if self.proved.is_empty() { Strength::Claimed } else { Strength::Proved }
    }

    /// Whether all there is are claims that something speaks against.
    fn contested(&self) -> bool {
        self.proved.is_empty() && !self.uncontested
    }
}

/// Why a project is found.
struct Found {
    strength: Strength,
    reason: String,
    /// What speaks against it, beside what the project itself said.
    contested: Option<String>,
}

impl Found {
    fn new(strength: Strength, reason: impl Into<String>) -> Self {
        Self { strength, reason: reason.into(), contested: None }
    }
}

/// What is found of one token.
struct FoundToken {
    token: Token,
    rank: Rank,
    strength: Strength,
    contested: bool,
    reasons: Vec<String>,
    projects: BTreeSet<ProjectId>,
    secret: Option<String>,
    grounds: BTreeSet<usize>,
    /// Those with a proved way: where there is one, only their runs are witnesses.
    proved_grounds: BTreeSet<usize>,
}

/// How much the best way to a token weighs: what is contested never strengthens what is not.
fn weight(rank: Rank, strength: Strength, contested: bool) -> (bool, Rank, Strength) {
    (rank > Rank::Unlikely && !contested, rank, strength)
}

/// One way that leads to a token.
struct Way {
    rank: Rank,
    strength: Strength,
    contested: bool,
    reason: String,
    project: Option<ProjectId>,
    secret: Option<String>,
}

pub(super) struct Search<'a> {
    grounds: &'a [Ground],
    projects: BTreeMap<ProjectId, FoundProject>,
    tokens: BTreeMap<TokenId, FoundToken>,
    uses: BTreeMap<TokenId, Vec<TokenUse>>,
}

impl<'a> Search<'a> {
    pub(super) fn new(grounds: &'a [Ground]) -> Self {
        Self { grounds, projects: BTreeMap::new(), tokens: BTreeMap::new(), uses: BTreeMap::new() }
    }

    fn index(&self, ground: &Ground) -> usize {
        self.grounds.iter().position(|other| other.repository == ground.repository).unwrap_or(0)
    }

    async fn uses(&mut self, tx: &mut Tx, token: TokenId) -> Result<Vec<TokenUse>> {
        if let Some(uses) = self.uses.get(&token) {
            return Ok(uses.clone());
        }
        let uses = token_uses::of_token(tx, token).await?;
        self.uses.insert(token, uses.clone());
        Ok(uses)
    }

    /// Follows every edge that leaves one repository.
    pub(super) async fn repository(
        &mut self,
        tx: &mut Tx,
        ground: &Ground,
        radius: &mut Radius,
    ) -> Result<()> {
        if ground.exposures.is_empty() {
            return Ok(());
        }
        self.publishers(tx, ground, radius).await?;
        for link in projects::links_of_repository(tx, &ground.repository).await? {
            let (strength, reason) = match link.basis {
                RepositoryBasis::OwnerConfirmed => {
                    (Strength::Proved, "an owner confirmed that it comes from this repository")
                }
                RepositoryBasis::MetadataUrl => {
                    (Strength::Claimed, "the metadata of an upload names this repository")
                }
            };
            self.project(tx, ground, link.project_id, Found::new(strength, reason), radius).await?;
        }
        let labelled = tokens::living_in(tx, &ground.repository).await?;
        for token in &labelled {
            self.projects_of_label(tx, ground, token, radius).await?;
        }
        let claims: BTreeSet<String> = ground
            .exposures
            .iter()
            .flat_map(|exposure| &exposure.used_for)
            .filter(|used| used.registry == "pypi")
            .filter_map(|used| used.package.as_deref())
            .filter_map(|name| name.parse::<ProjectName>().ok())
            .map(|name| name.normalised())
            .collect();
        for name in claims {
            if let Some(project) = projects::by_name(tx, &name).await? {
                let reason = format!(
                    "a workflow of the repository publishes {name} with an exposed secret, as the repository says"
                );
                self.project(tx, ground, project.id, Found::new(Strength::Claimed, reason), radius).await?;
            }
        }
        for token in labelled {
            self.labelled_token(ground, token, radius);
        }
        let found: Vec<ProjectId> = self.projects.keys().copied().collect();
        for project in found {
            self.tokens_of_project(tx, ground, project, radius).await?;
        }
        Ok(())
    }

    async fn publishers(&mut self, tx: &mut Tx, ground: &Ground, radius: &mut Radius) -> Result<()> {
        for publisher in publishers::of_repository(tx, &ground.repository).await? {
            let mut named = Vec::new();
            for project in publishers::projects_of(tx, publisher.id).await? {
                let reason = "an owner registered a publisher of this repository for it";
                self.project(tx, ground, project, Found::new(Strength::Proved, reason), radius).await?;
                if let Some(found) = self.projects.get(&project) {
                    named.push(NamedProject { id: project, name: found.project.name.clone() });
                }
            }
            for minted in containments::minted_since(tx, publisher.id, ground.since.0).await? {
                if let Some(token) = tokens::by_id(tx, minted).await? {
                    self.minted_token(ground, token);
                }
            }
            radius.publishers.push(RadiusPublisher {
                id: publisher.id,
                repository: ground.repository.clone(),
                state: publisher.state,
                projects: named,
            });
        }
        Ok(())
    }

    /// The projects that a token opens which its owner says lives in the repository. That proves it where the token's owner
    /// owns the project too: whoever once could upload to it could otherwise point at it from a repository of their own.
    async fn projects_of_label(
        &mut self,
        tx: &mut Tx,
        ground: &Ground,
        token: &Token,
        radius: &mut Radius,
    ) -> Result<()> {
        let mut opened: BTreeSet<ProjectId> = tokens::projects_of(tx, token.id).await?.into_iter().collect();
        let uses = self.uses(tx, token.id).await?;
        opened.extend(uses.iter().filter(|one| one.kind == UseKind::Upload).filter_map(|one| one.project_id));
        for project in opened {
            let members = projects::members(tx, project).await?;
            let owns = members
                .iter()
                .any(|(account, _, role)| *role == ProjectRole::Owner && token.account_id == Some(*account));
            let reason = format!(
                "a token that its owner says lives in this repository uploads to it ({})",
                token.description
            );
            let found = if owns {
                Found::new(Strength::Proved, reason)
            } else {
                let contested = String::from("whoever made that token does not own the project");
                Found { strength: Strength::Claimed, reason, contested: Some(contested) }
            };
            self.project(tx, ground, project, found, radius).await?;
        }
        Ok(())
    }

    async fn project(
        &mut self,
        tx: &mut Tx,
        ground: &Ground,
        id: ProjectId,
        why: Found,
        radius: &mut Radius,
    ) -> Result<()> {
        let Found { strength, reason, contested } = why;
        let index = self.index(ground);
        if let std::collections::btree_map::Entry::Vacant(vacant) = self.projects.entry(id) {
            let Some(project) = projects::by_id(tx, id).await? else { return Ok(()) };
            vacant.insert(FoundProject { project, edges: BTreeMap::new() });
        }
        let contested = match (strength, contested) {
            (Strength::Proved, _) => None,
            (Strength::Claimed, Some(contested)) => Some(contested),
            (Strength::Claimed, None) => contradiction(tx, id, ground).await?,
        };
        let Some(found) = self.projects.get_mut(&id) else { return Ok(()) };
        let edges = found.edges.entry(index).or_default();
        radius.edges.push(Edge {
            from: ground.node(),
            to: Node { kind: "project", id: id.to_string(), label: found.project.name.clone() },
            strength,
            contested: contested.is_some(),
            reason: match &contested {
                Some(contradiction) => format!("{reason}; contested: {contradiction}"),
                None => reason.clone(),
            },
        });
        match strength {
            Strength::Proved => edges.proved.push(reason),
            Strength::Claimed => {
                edges.claimed.push(reason);
                edges.uncontested |= contested.is_none();
            }
        }
        Ok(())
    }

    fn way(&mut self, ground: &Ground, token: &Token, way: Way) {
        let index = self.index(ground);
        let found = self.tokens.entry(token.id).or_insert_with(|| FoundToken {
            token: token.clone(),
            rank: way.rank,
            strength: way.strength,
            contested: way.contested,
            reasons: Vec::new(),
            projects: BTreeSet::new(),
            secret: None,
            grounds: BTreeSet::new(),
            proved_grounds: BTreeSet::new(),
        });
        if weight(way.rank, way.strength, way.contested) > weight(found.rank, found.strength, found.contested)
        {
            (found.rank, found.strength, found.contested) = (way.rank, way.strength, way.contested);
        }
        found.grounds.insert(index);
        if way.strength == Strength::Proved {
            found.proved_grounds.insert(index);
        }
        found.projects.extend(way.project);
        found.secret = found.secret.take().or(way.secret);
        if !found.reasons.contains(&way.reason) {
            found.reasons.push(way.reason);
        }
    }

    fn labelled_token(&mut self, ground: &Ground, token: Token, radius: &mut Radius) {
        let label = token.lives_in_secret.clone();
        let exposed = label.as_deref().is_some_and(|name| {
            ground.all_secrets()
                || ground.secret_names().iter().any(|secret| secret.eq_ignore_ascii_case(name))
        });
        let (rank, reason) = match (&label, exposed) {
            (Some(name), true) => (
                Rank::Certain,
                format!(
                    "its owner says that it is the secret {name} of {}, which was sent away",
                    ground.repository
                ),
            ),
            (Some(name), false) => (
                Rank::Unlikely,
                format!(
                    "its owner says that it is the secret {name} of {}, which was not sent away",
                    ground.repository
                ),
            ),
            (None, _) => (
                Rank::Possible,
                format!("its owner says that it lives in the secrets of {}", ground.repository),
            ),
        };
        radius.edges.push(Edge {
            from: ground.node(),
            to: Node { kind: "token", id: token.id.to_string(), label: token.description.clone() },
            strength: Strength::Proved,
            contested: false,
            reason: reason.clone(),
        });
        let secret = label.filter(|_| exposed);
        self.way(
            ground,
            &token,
            Way { rank, strength: Strength::Proved, contested: false, reason, project: None, secret },
        );
    }

    fn minted_token(&mut self, ground: &Ground, token: Token) {
        let commit = token
            .minted_from
            .as_deref()
            .and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok())
            .and_then(|claims| claims.get("sha").and_then(|sha| sha.as_str()).map(str::to_owned));
        let malicious = commit.as_deref().is_some_and(|commit| {
            ground
                .exposures
                .iter()
                .any(|exposure| exposure.details.commits.iter().any(|known| known == commit))
        });
        let (rank, reason) = if malicious {
            (
                Rank::Certain,
                format!("it was minted for a job at the malicious commit of {}", ground.repository),
            )
        } else {
            (Rank::Unlikely, format!("it was minted for a job of {} at another commit", ground.repository))
        };
        self.way(
            ground,
            &token,
            Way { rank, strength: Strength::Proved, contested: false, reason, project: None, secret: None },
        );
    }

    async fn tokens_of_project(
        &mut self,
        tx: &mut Tx,
        ground: &Ground,
        id: ProjectId,
        radius: &mut Radius,
    ) -> Result<()> {
        let secrets = ground.token_secrets();
        let index = self.index(ground);
        let Some(found) = self.projects.get(&id) else { return Ok(()) };
        let Some(edges) = found.edges.get(&index).filter(|_| !secrets.is_empty()) else { return Ok(()) };
        let (strength, contested) = (edges.strength(), edges.contested());
        let project = found.project.clone();
        let secret = match secrets.as_slice() {
            [only] => Some(only.secret.clone()),
            _ => None,
        };
        for token in tokens::reaching_project(tx, id).await? {
            if token.lives_in.as_deref() == Some(ground.repository.as_str()) {
                // Its label decided already; what it opens is named all the same.
                if let Some(found) = self.tokens.get_mut(&token.id) {
                    found.projects.insert(id);
                }
                continue;
            }
            let uses = self.uses(tx, token.id).await?;
            let (rank, reason) = rank(&token, &uses, &project, ground);
            radius.edges.push(Edge {
                from: Node { kind: "project", id: id.to_string(), label: project.name.clone() },
                to: Node { kind: "token", id: token.id.to_string(), label: token.description.clone() },
                strength,
                contested,
                reason: reason.clone(),
            });
            let secret = secret.clone();
            self.way(ground, &token, Way { rank, strength, contested, reason, project: Some(id), secret });
        }
        Ok(())
    }

    /// Turns what was found into what is shown.
    pub(super) async fn finish(mut self, tx: &mut Tx, radius: &mut Radius) -> Result<()> {
        let mut accounts_found: BTreeSet<RadiusAccount> = BTreeSet::new();
        for found in self.projects.values() {
            let mut owners = Vec::new();
            for (account, name, role) in projects::members(tx, found.project.id).await? {
                if role == ProjectRole::Owner {
                    radius.edges.push(Edge {
                        from: Node {
                            kind: "project",
                            id: found.project.id.to_string(),
                            label: found.project.name.clone(),
                        },
                        to: Node { kind: "account", id: account.to_string(), label: name.clone() },
                        strength: Strength::Proved,
                        contested: false,
                        reason: String::from("owns it"),
                    });
                    owners.push(name.clone());
                    accounts_found.insert(RadiusAccount { id: account, name });
                }
            }
            let edges = || found.edges.values();
            let reasons = || edges().flat_map(|one| &one.proved).chain(edges().flat_map(|one| &one.claimed));
            radius.projects.push(RadiusProject {
                id: found.project.id,
                name: found.project.name.clone(),
                strength: edges().map(ProjectEdges::strength).max().unwrap_or(Strength::Claimed),
                contested: edges().all(ProjectEdges::contested),
                reasons: reasons().cloned().collect(),
                owners,
            });
        }
        let found_tokens = std::mem::take(&mut self.tokens);
        for found in found_tokens.into_values() {
            self.finish_token(tx, found, &mut accounts_found, radius).await?;
        }
        radius.tokens.sort_by_key(|token| (std::cmp::Reverse(token.rank), token.id));
        radius.accounts = accounts_found.into_iter().collect();
        releases(tx, radius).await
    }

    async fn finish_token(
        &mut self,
        tx: &mut Tx,
        found: FoundToken,
        accounts_found: &mut BTreeSet<RadiusAccount>,
        radius: &mut Radius,
    ) -> Result<()> {
        let mut known: Option<Known> = None;
        let proved = found.strength == Strength::Proved;
        let witnesses = if proved { &found.proved_grounds } else { &found.grounds };
        for ground in witnesses.iter().filter_map(|index| self.grounds.get(*index)) {
            match &mut known {
                Some(known) => {
                    known.add(
                        &ground.repository,
                        ground.since,
                        ground.runs.as_ref(),
                        ground.examined_at,
                        &ground.malicious_runs,
                    );
                }
                None => known = Some(ground.known()),
            }
        }
        let mut known = known.unwrap_or_default();
        known.proved = proved;
        let uses = self.uses(tx, found.token.id).await?;
        let mut evidence = evidence::judge(&uses, &known, radius.checkpoint);
        if found.token.kind == TokenKind::LongLived && found.rank > Rank::Unlikely {
            self.note_outdated(&found, &uses, radius);
        }
        if found.token.kind == TokenKind::Minted {
            minted_evidence(&mut evidence, found.rank == Rank::Certain);
        }
        let thief =
            found.rank > Rank::Unlikely && evidence.uses.iter().any(|one| one.verdict == Verdict::Thiefs);
        if thief && !found.contested {
            radius.level = radius.level.max(Level::E4);
        }
        let account = match found.token.account_id {
            Some(id) => {
                accounts::by_id(tx, id).await?.map(|account| RadiusAccount { id, name: account.name })
            }
            None => None,
        };
        accounts_found.extend(account.clone().filter(|_| found.rank > Rank::Unlikely));
        if found.rank > Rank::Unlikely {
            self.files(tx, &found, &evidence, known.since, radius).await?;
        }
        let named = |id: &ProjectId| {
            let project = self.projects.get(id)?;
            Some(NamedProject { id: *id, name: project.project.name.clone() })
        };
        let repository = witnesses.iter().filter_map(|index| self.grounds.get(*index)).next();
        radius.tokens.push(RadiusToken {
            id: found.token.id,
            kind: found.token.kind,
            description: found.token.description.clone(),
            account,
            scope: found.token.scope,
            state: found.token.state,
            rank: found.rank,
            strength: found.strength,
            contested: found.contested,
            reasons: found.reasons,
            projects: found.projects.iter().filter_map(named).collect(),
            secret: found.secret,
            repository: repository.map(|ground| ground.repository.clone()).unwrap_or_default(),
            evidence,
        });
        Ok(())
    }

    /// A use after the last look, where the forge tells of runs: another look would tell more.
    fn note_outdated(&self, found: &FoundToken, uses: &[TokenUse], radius: &mut Radius) {
        for ground in found.grounds.iter().filter_map(|index| self.grounds.get(*index)) {
            if ground.runs.is_none() || uses.iter().all(|one| one.at <= ground.examined_at) {
                continue;
            }
            if radius.outdated.insert(ground.repository.clone()) {
                radius.warnings.push(format!(
                    "Tokens were used after the last look at {} ({}): its runs since then are not known yet, so those uses \
                     are judged by networks alone.",
                    ground.repository,
                    ground.examined_at.for_people()
                ));
            }
        }
    }

    async fn files(
        &self,
        tx: &mut Tx,
        found: &FoundToken,
        evidence: &Evidence,
        since: Option<Instant>,
        radius: &mut Radius,
    ) -> Result<()> {
        for file in files::of_token(tx, found.token.id).await? {
            if since.is_none_or(|since| file.uploaded_at < since) {
                continue;
            }
            let judged = evidence.uses.iter().find(|one| one.id == file.use_id);
            let (verdict, why) = match judged {
                Some(one) => (one.verdict, one.why.clone()),
                None => (Verdict::Unexplained, String::from("the use that brought it is not recorded")),
            };
            let Some(project) = projects::by_id(tx, file.project_id).await? else { continue };
            let version = files::releases_of_project(tx, file.project_id)
                .await?
                .into_iter()
                .find(|release| release.id == file.release_id)
                .map(|release| release.version)
                .unwrap_or_default();
            radius.files.push(RadiusFile {
                id: file.id,
                filename: file.filename,
                sha256: file.sha256,
                project: NamedProject { id: project.id, name: project.name },
                release_id: file.release_id,
                version,
                state: file.state,
                uploaded_at: file.uploaded_at.rfc3339(),
                token: found.token.id,
                verdict,
                why,
            });
        }
        Ok(())
    }
}
