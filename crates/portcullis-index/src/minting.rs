//! Minting: a CI job's identity token becomes an upload token that lives 15 minutes.
//!
//! Outside of any transaction the token is verified ([`portcullis_trust::jwt`]). Then one transaction finds the publisher,
//! locks it with its gate and projects, claims the token's id, and writes the new token with its events. A refused exchange
//! leaves nothing of that: no id is used up, no project is made. What it leaves is an event on the projects concerned, in a
//! transaction of its own.

use portcullis_trust::caveat::Caveat;
use portcullis_trust::jwt::{Expected, JwtError, UnverifiedJwt, VerifiedClaims};
use portcullis_trust::provider::{Lookup, Provider};
use portcullis_trust::publisher::{
    Candidate, Match, Mismatch, Publisher as Configured, Remark, differences_text,
};
use portcullis_trust::secret::SecretString;
use portcullis_trust::token::{self, MINTED_LIFETIME_S, TokenKey};
use serde_json::json;

use crate::api_token::key_place;
use crate::app::App;
use crate::clock::{Instant, SECOND};
use crate::history::{Actor, Event, Origin, record};
use crate::ids::{AccountId, PendingPublisherId, ProjectId, PublisherId, TokenId};
use crate::project::{self, ProjectError, ProjectName};
use crate::publisher::{self, Change, PENDING_LIFETIME_S, Told, label};
use crate::server_key::ServerKeyError;
use crate::store::accounts::{self, AccountState};
use crate::store::mint_gates::{self, Gate, GateState};
use crate::store::pending_publishers::{self, PendingPublisher, PendingState};
use crate::store::projects::{self, Project, ProjectState};
use crate::store::publishers::{self, Publisher, PublisherState};
use crate::store::tokens::{self, Token, TokenKind, TokenScope, TokenState};
use crate::store::{StoreError, Tx, used_jti};

/// What a job gets.
#[derive(Debug)]
pub struct Minted {
    /// The upload token, the only time that it is seen.
    pub token: SecretString,
    /// When it ends, in unix seconds.
    pub expires_at: i64,
}

/// Why a job gets no token. The texts are what the job's client prints; PyPI's where PyPI has one.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// Not a JWT, or one without an issuer.
    #[error("malformed JWT")]
    Malformed,
    /// From an issuer that nobody configured.
    #[error("unknown trusted publishing issuer")]
    UnknownIssuer,
    /// The token does not hold, for a reason that goes to the log only.
    #[error("malformed or invalid token")]
    Invalid(#[from] JwtError),
    /// The token was exchanged before.
    #[error("invalid token: already used")]
    Reused,
    /// A pending publisher matches, and somebody was faster to create its project.
    #[error("valid token, but project already exists")]
    PendingProjectExists,
    /// A pending publisher matches, but its project can't be created.
    #[error("{0}")]
    PendingRefused(String),
    /// No publisher matches.
    #[error("valid token, but no corresponding publisher ({detail}){further}")]
    NoPublisher {
        /// The reference's text.
        detail: String,
        /// What differs, where that may be said.
        further: String,
    },
    /// The publisher, or the gate of its repository, was closed by the desk.
    #[error("valid token, but its publisher is paused since {}: {cause}. Ask {contact}.", .since.for_people())]
    Paused {
        /// Since when.
        since: Instant,
        /// Why.
        cause: String,
        /// Whom to ask.
        contact: String,
    },
    /// Every project of the publisher takes no uploads now.
    #[error("valid token, but project '{project}' is {state}: {cause}. Ask {contact}.")]
    ProjectClosed {
        /// One of them; the job knows it, since it is its own.
        project: String,
        /// `quarantined` or `archived`.
        state: ProjectState,
        /// Why.
        cause: String,
        /// Whom to ask.
        contact: String,
    },
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server key refused.
    #[error(transparent)]
    Key(#[from] ServerKeyError),
}

impl From<Mismatch> for MintError {
    fn from(mismatch: Mismatch) -> Self {
        match mismatch {
            Mismatch::AlreadyUsed => Self::Reused,
            Mismatch::Claims { detail, differences } => {
                Self::NoPublisher { detail, further: differences_text(&differences) }
            }
        }
    }
}

/// Exchanges an identity token.
///
/// # Errors
/// [`MintError`] says why not; then nothing was stored but an event of the refusal.
pub async fn mint(app: &App, jwt: &str, origin: &Origin) -> Result<Minted, MintError> {
    let now = app.now();
    let (provider, claims) = verify(app, jwt, now).await?;
    let mut exchange = Exchange { app, provider, claims, origin, now, concerned: Vec::new(), lost: None };
    let mut tx = app.store.write().await?;
    match exchange.run(&mut tx).await {
        Ok(minted) => {
            tx.commit().await?;
            app.committed();
            Ok(minted)
        }
        Err(error) => {
            drop(tx);
            exchange.record_refusal(&error).await?;
            Err(error)
        }
    }
}

/// From text to verified claims: issuer, provider, key, signature, registered claims.
async fn verify(
    app: &App,
    jwt: &str,
    now: Instant,
) -> Result<(&'static dyn Provider, VerifiedClaims), MintError> {
    let unverified = UnverifiedJwt::parse(jwt).map_err(|_| MintError::Malformed)?;
    let issuer = app.issuer_keys.find(unverified.issuer()).ok_or(MintError::UnknownIssuer)?;
    let provider = issuer.provider();
    let audience = app.audience();
    let expected = Expected { issuer: issuer.url(), audience: &audience, algorithms: provider.algorithms() };
    let verified = match unverified.key_id() {
        Ok(key_id) => match issuer.key(key_id, now).await {
            Some(key) => unverified.verify(&key, &expected, now.unix_seconds()),
            None => Err(JwtError::NoKeyId),
        },
        Err(error) => Err(error),
    };
    match verified {
        Ok(claims) => Ok((provider, claims)),
        Err(error) => {
            tracing::info!(issuer = issuer.url(), %error, "an identity token was refused");
            Err(error.into())
        }
    }
}

/// One exchange, from verified claims on.
struct Exchange<'a> {
    app: &'a App,
    provider: &'static dyn Provider,
    claims: VerifiedClaims,
    origin: &'a Origin,
    now: Instant,
    /// The projects of publishers of this repository: whose owners read about a refusal.
    concerned: Vec<ProjectId>,
    /// The pending publisher whose project somebody else has created.
    lost: Option<(PendingPublisherId, AccountId)>,
}

impl Exchange<'_> {
    async fn run(&mut self, tx: &mut Tx) -> Result<Minted, MintError> {
        let Lookup { key: lookup_key, repository } = self.provider.lookup(&self.claims)?;
        // Locks are taken in the order gate, pending publishers, publishers, projects; containment takes its in the same.
        let gate = match &repository {
            Some(repository) => Some(mint_gates::locked(tx, repository, self.now).await?),
            None => None,
        };
        // Pending publishers are locked first: of two jobs that reify one, the second then finds the real publisher.
        let used = self.reify(tx, &lookup_key).await?;
        let rows = publishers::candidates_locked(tx, self.provider.name(), self.claims.issuer(), &lookup_key)
            .await?;
        for row in &rows {
            for project in publishers::projects_of(tx, row.id).await? {
                if !self.concerned.contains(&project) {
                    self.concerned.push(project);
                }
            }
        }
        let candidates: Vec<Candidate> = rows
            .iter()
            .map(|row| Candidate { id: row.id.0, configuration: row.configuration.clone() })
            .collect();
        let found = self.provider.find(&self.claims, &candidates, used)?;
        let row = rows.into_iter().find(|row| row.id.0 == found.id);
        let row = row.ok_or_else(|| {
            MintError::from(Mismatch::plain("Publisher with matching claims was not found"))
        })?;
        self.check_open(&row, gate)?;
        let projects = self.open_projects(tx, row.id).await?;
        self.write(tx, &row, &found, &projects).await
    }

    async fn is_used(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        match self.claims.text("jti") {
            Some(jti) => used_jti::is_used(tx, self.claims.issuer(), jti).await,
            None => Ok(false),
        }
    }

    /// Turns a pending publisher that matches into a real one with its project. Returns whether the token was used before.
    async fn reify(&mut self, tx: &mut Tx, lookup_key: &str) -> Result<bool, MintError> {
        let since = self.now.plus_seconds(-PENDING_LIFETIME_S);
        let (provider, issuer) = (self.provider.name(), self.claims.issuer());
        let mut waiting = Vec::new();
        for pending in pending_publishers::waiting_locked(tx, provider, issuer, lookup_key, since).await? {
            // A frozen account gets no project.
            let account = accounts::by_id_locked(tx, pending.account_id).await?;
            if account.is_some_and(|account| account.state == AccountState::Active) {
                waiting.push(pending);
            }
        }
        let used = self.is_used(tx).await?;
        let candidates: Vec<Candidate> = waiting
            .iter()
            .map(|pending| Candidate { id: pending.id.0, configuration: pending.configuration.clone() })
            .collect();
        let found = match self.provider.find(&self.claims, &candidates, used) {
            Ok(found) => found,
            Err(Mismatch::AlreadyUsed) => return Err(MintError::Reused),
            Err(Mismatch::Claims { .. }) => return Ok(used),
        };
        let Some(pending) = waiting.into_iter().find(|pending| pending.id.0 == found.id) else {
            return Ok(used);
        };
        if projects::by_name(tx, &pending.project_name_normalised).await?.is_some() {
            self.lost = Some((pending.id, pending.account_id));
            return Err(MintError::PendingProjectExists);
        }
        self.create(tx, &pending).await?;
        Ok(used)
    }

    async fn create(&self, tx: &mut Tx, pending: &PendingPublisher) -> Result<(), MintError> {
        let configured = publisher::read(&pending.provider, &pending.issuer, &pending.configuration)
            .map_err(|error| MintError::PendingRefused(error.to_string()))?;
        let id = publisher::ensure(tx, &configured, self.now).await?;
        let actor = Actor::Publisher { id, label: label(&configured) };
        let name: ProjectName = pending
            .project_name
            .parse()
            .map_err(|error: project::ProjectNameError| MintError::PendingRefused(error.to_string()))?;
        let origin = Some(self.origin);
        let created = project::create(tx, self.now, &name, pending.account_id, actor.clone(), origin).await;
        let project = created.map_err(|error| match error {
            ProjectError::Store(error) => MintError::Store(error),
            refused => MintError::PendingRefused(refused.to_string()),
        })?;
        publishers::attach(tx, id, project.id, Some(pending.account_id), self.now).await?;
        pending_publishers::end(tx, pending.id, PendingState::Reified, self.now).await?;
        let mut event =
            publisher::event("project:oidc:publisher-added", actor, &configured, id, Some(self.origin));
        event.project = Some(project.id);
        if let Some(details) = event.details.as_object_mut() {
            details.insert("submitted_by".to_owned(), json!("OpenID created token"));
            details.insert("reified_from_pending_publisher".to_owned(), json!(true));
        }
        let event_id = record(tx, self.now, event).await?;
        let by = "its first job";
        let told =
            Told { change: Change::Reified, project: &project, configured: &configured, by, event: event_id };
        told.to_members(tx, self.app).await?;
        Ok(())
    }

    /// Refuses where the desk has paused the publisher or closed the gate of its repository.
    fn check_open(&self, row: &Publisher, gate: Option<Gate>) -> Result<(), MintError> {
        let paused = |since: Instant, cause: Option<String>| MintError::Paused {
            since,
            cause: cause.unwrap_or_else(|| String::from("an incident is being handled")),
            contact: self.app.contact().to_owned(),
        };
        if row.state != PublisherState::Active {
            return Err(paused(row.state_since.unwrap_or(self.now), row.state_cause.clone()));
        }
        match gate {
            Some(gate) if gate.state == GateState::Closed => Err(paused(gate.state_since, gate.state_cause)),
            _ => Ok(()),
        }
    }

    /// The publisher's projects that take uploads, each locked.
    async fn open_projects(&self, tx: &mut Tx, id: PublisherId) -> Result<Vec<Project>, MintError> {
        let mut open = Vec::new();
        let mut closed = None;
        for project in publishers::projects_of(tx, id).await? {
            match projects::by_id_locked(tx, project).await? {
                Some(project) if project.state == ProjectState::Active => open.push(project),
                Some(project) => closed = closed.or(Some(project)),
                None => {}
            }
        }
        match (open.is_empty(), closed) {
            (false, _) => Ok(open),
            (true, Some(project)) => Err(MintError::ProjectClosed {
                project: project.name,
                state: project.state,
                cause: project.state_cause.unwrap_or_else(|| String::from("no reason was given")),
                contact: self.app.contact().to_owned(),
            }),
            (true, None) => Err(Mismatch::plain("Publisher with matching claims was not found").into()),
        }
    }

    /// Claims the token's id, and writes the new token, what was learned, and the events.
    async fn write(
        &self,
        tx: &mut Tx,
        row: &Publisher,
        found: &Match,
        projects: &[Project],
    ) -> Result<Minted, MintError> {
        let id = TokenId::new();
        let unreadable = |_| MintError::from(Mismatch::plain("Publisher with matching claims was not found"));
        let configured =
            publisher::read(&row.provider, &row.issuer, found.pinned.as_ref().unwrap_or(&row.configuration))
                .map_err(unreadable)?;
        if let Some(jti) = self.claims.text("jti") {
            let until = Instant(self.claims.remember_until().saturating_mul(SECOND));
            let claimed = used_jti::claim(tx, self.claims.issuer(), jti, id, until, self.now).await;
            // The constraint decides: somebody else has exchanged the same token at the same time.
            claimed.map_err(
                |error| if error.is_unique_violation() { MintError::Reused } else { error.into() },
            )?;
        }
        let not_before = self.now.unix_seconds();
        let expires_at = not_before + MINTED_LIFETIME_S;
        let caveats = [
            Caveat::Publisher(row.id.0),
            Caveat::ProjectIds(projects.iter().map(|project| project.id.0).collect()),
            Caveat::Expiration { expires_at, not_before },
        ];
        let key = TokenKey::from_bytes(rand::random());
        let text = token::mint(&key, self.app.host(), id.0, &caveats);
        let minted = Token {
            id,
            kind: TokenKind::Minted,
            account_id: None,
            publisher_id: Some(row.id),
            description: format!("OpenID token: {} ({})", label(&configured), self.now.rfc3339()),
            location: self.app.host().to_owned(),
            sealed_key: self.app.server_key.seal(&key_place(id), key.expose())?,
            caveats: caveats.iter().map(Caveat::to_json).collect(),
            scope: TokenScope::Projects,
            lives_in: None,
            lives_in_secret: None,
            minted_from: Some(self.minted_from(found)),
            state: TokenState::Live,
            state_cause: None,
            state_case_id: None,
            state_since: None,
            created_at: self.now,
            expires_at: Some(Instant(expires_at.saturating_mul(SECOND))),
            first_used_at: None,
            last_used_at: None,
            use_count: 0,
        };
        let ids: Vec<ProjectId> = projects.iter().map(|project| project.id).collect();
        tokens::insert(tx, &minted, &ids).await?;
        if let Some(pinned) = &found.pinned {
            publishers::set_configuration(tx, row.id, pinned).await?;
        }
        publishers::note_use(tx, row.id, self.now).await?;
        for project in ids {
            record(tx, self.now, self.minted_event(id, project, row.id, &configured, found, expires_at))
                .await?;
        }
        if let [project] = projects
            && found.remarks.contains(&Remark::EnvironmentNotPinned)
        {
            let environment = self.claims.text("environment").unwrap_or_default();
            publisher::suggest_environment(tx, self.app, project, row.id, &configured, environment).await?;
        }
        Ok(Minted { token: text, expires_at })
    }

    /// What is kept of the claims: enough to find the run again.
    fn minted_from(&self, found: &Match) -> String {
        let mut kept = found.minted_from.clone();
        if let Some(kept) = kept.as_object_mut() {
            kept.insert("issuer".to_owned(), json!(self.claims.issuer()));
            if let Some(jti) = self.claims.text("jti") {
                kept.insert("jti".to_owned(), json!(jti));
            }
        }
        kept.to_string()
    }

    fn minted_event(
        &self,
        token: TokenId,
        project: ProjectId,
        id: PublisherId,
        configured: &Configured,
        found: &Match,
        expires_at: i64,
    ) -> Event {
        let actor = Actor::Publisher { id, label: label(configured) };
        let mut event = Event::new("account:short_lived_api_token:added", actor);
        event.project = Some(project);
        event.token = Some(token);
        event.origin = Some(self.origin.clone());
        event.details = json!({
            "expires": expires_at,
            "publisher_name": self.provider.title(),
            "publisher_url": configured.url,
            "reusable_workflow_used": found.remarks.contains(&Remark::ReusableWorkflow),
            "environment_not_pinned": found.remarks.contains(&Remark::EnvironmentNotPinned),
            "claims": found.minted_from,
        });
        event
    }

    /// Writes what a refusal leaves: an event on every project whose publishers are of this very repository. Others hear
    /// nothing: anybody can make his own CI ask.
    async fn record_refusal(&self, error: &MintError) -> Result<(), StoreError> {
        if matches!(error, MintError::Store(_) | MintError::Key(_)) {
            return Ok(());
        }
        tracing::info!(issuer = self.claims.issuer(), reason = %error, "an exchange was refused");
        if self.concerned.is_empty() && self.lost.is_none() {
            return Ok(());
        }
        let mut tx = self.app.store.write().await?;
        for project in &self.concerned {
            let mut event = Event::new("project:oidc:mint-refused", Actor::Anonymous);
            event.project = Some(*project);
            event.origin = Some(self.origin.clone());
            event.details = json!({
                "publisher_name": self.provider.title(),
                "reason": error.to_string(),
                "claims": self.told_claims(),
            });
            record(&mut tx, self.now, event).await?;
        }
        if let Some((pending, account)) = self.lost {
            pending_publishers::end(&mut tx, pending, PendingState::Lost, self.now).await?;
            let actor = Actor::System { part: String::from("minting") };
            let mut event = Event::new("account:oidc:pending-publisher-removed", actor);
            event.account = Some(account);
            event.details = json!({ "id": pending, "submitted_by": "system:project-exists" });
            record(&mut tx, self.now, event).await?;
        }
        tx.commit().await?;
        self.app.committed();
        Ok(())
    }

    /// The claims that tell an owner who tried: signed, so true, but a stranger's; shortened.
    fn told_claims(&self) -> serde_json::Value {
        const TOLD: [&str; 9] = [
            "repository",
            "repository_owner_id",
            "job_workflow_ref",
            "ref",
            "sha",
            "event_name",
            "run_id",
            "actor",
            "environment",
        ];
        let told = TOLD.iter().filter_map(|name| {
            let text: String = self.claims.text(name)?.chars().take(200).collect();
            Some(((*name).to_owned(), json!(text)))
        });
        serde_json::Value::Object(told.collect())
    }
}
