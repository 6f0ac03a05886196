//! Trusted Publishers: which CI identities a project trusts, and which wait to create one.
//!
//! A publisher is one object however many projects trust it. Registering, removing, listing; what a job does with it
//! stands in [`crate::minting`].

use portcullis_trust::provider::Provider;
use portcullis_trust::providers;
use portcullis_trust::publisher::{ConfigurationError, FieldError, Publisher as Configured};
use serde_json::json;

use crate::app::App;
use crate::authority::{AuthorityError, Holder, Owner};
use crate::clock::Instant;
use crate::history::{Actor, Event, Origin, record};
use crate::ids::{AccountId, PendingPublisherId, ProjectId, PublisherId};
use crate::project::{self, ProjectError, ProjectName};
use crate::store::accounts::{self, Account};
use crate::store::cases;
use crate::store::pending_publishers::{self, PendingPublisher, PendingState};
use crate::store::projects::{self, Project, ProjectState};
use crate::store::publishers::{self, Publisher, PublisherState};
use crate::store::tokens::{self, StateChange, TokenState};
use crate::store::{StoreError, Tx};

mod mail;
mod owner_lookup;

pub(crate) use mail::{Change, Told, suggest_environment};

/// How long a pending publisher waits for its first job, in seconds: 30 days, as with PyPI.
pub const PENDING_LIFETIME_S: i64 = 30 * 86_400;
/// Most pending publishers that one account may have waiting, as with PyPI.
pub const PENDING_MAX: usize = 3;
/// Most publishers that one project may trust.
pub const PER_PROJECT_MAX: usize = 50;

/// What a person typed to register a publisher.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// The provider's name.
    pub provider: String,
    /// The issuer; none for the provider's public one.
    pub issuer: Option<String>,
    /// The provider's own fields.
    pub values: Vec<(String, String)>,
    /// Sent by a program with a management token (`portcullis fix --register`), and not filled in by a person on the
    /// project's page, who sees the open case there.
    pub unattended: bool,
}

impl Form {
    /// A form from fields as a command line, a page or a request gives them: `issuer` is for every provider, the others are
    /// the provider's.
    #[must_use]
    pub fn new(provider: &str, fields: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut form = Self { provider: provider.to_owned(), ..Self::default() };
        for (name, value) in fields {
            if name == "issuer" && form.issuer.is_none() {
                form.issuer = Some(value).filter(|value| !value.is_empty());
            } else {
                form.values.push((name, value));
            }
        }
        form
    }
}

/// Why a publisher was not registered or removed.
#[derive(Debug, thiserror::Error)]
pub enum PublisherError {
    /// No provider has this name.
    #[error("there is no provider {0:?}; known are {1}")]
    UnknownProvider(String, String),
    /// Fields of the form are wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Fields(Vec<FieldError>),
    /// The project trusts it already.
    #[error("{0} is already registered with the project")]
    AlreadyRegistered(String),
    /// Somebody waits with the same identity.
    #[error("this trusted publisher has already been registered as a pending one")]
    AlreadyPending,
    /// The account has too many waiting.
    #[error("you can't register more than {PENDING_MAX} pending trusted publishers at once")]
    TooManyPending,
    /// The project has too many.
    #[error("a project can't have more than {PER_PROJECT_MAX} trusted publishers")]
    TooMany,
    /// The project is quarantined: its owners change nothing until that is decided.
    #[error("the project {0} is quarantined; its trusted publishers can't be changed meanwhile")]
    Quarantined(String),
    /// An incident of the repository is open: whoever holds the repository may be the thief.
    #[error("{0} has an open case; its jobs get no new trust until that is closed")]
    OpenCase(String),
    /// The project of a pending publisher exists.
    #[error("This project already exists.")]
    ProjectExists,
    /// The project can't be created.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The project does not trust such a publisher, or the account has no such pending one.
    #[error("there is no such trusted publisher")]
    Unknown,
    /// A stored configuration is unreadable.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// Who asks may no longer.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A publisher of a project, as people see it.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Its id.
    pub id: PublisherId,
    /// Its configuration.
    pub configured: Configured,
    /// The provider's name for people.
    pub provider_title: &'static str,
    /// Whether it may mint.
    pub state: PublisherState,
    /// Why not.
    pub state_cause: Option<String>,
    /// Since when.
    pub state_since: Option<Instant>,
    /// When it was made.
    pub created_at: Instant,
    /// Its last mint.
    pub last_used_at: Option<Instant>,
}

/// A pending publisher, as its registrant sees it.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its id.
    pub id: PendingPublisherId,
    /// The project that it will create.
    pub project_name: String,
    /// Its configuration.
    pub configured: Configured,
    /// The provider's name for people.
    pub provider_title: &'static str,
    /// When it was registered.
    pub created_at: Instant,
    /// When it ends by itself.
    pub expires_at: Instant,
}

fn provider(name: &str) -> Option<&'static dyn Provider> {
    providers::ALL.iter().find(|provider| provider.name() == name).copied()
}

/// Reads a stored configuration.
///
/// # Errors
/// Where its provider can't: a newer release wrote it.
pub fn read(
    provider_name: &str,
    issuer: &str,
    configuration: &str,
) -> Result<Configured, ConfigurationError> {
    match provider(provider_name) {
        Some(provider) => provider.read(issuer, configuration),
        None => Err(ConfigurationError {
            provider: "an unknown provider",
            cause: format!("this release does not know {provider_name:?}"),
        }),
    }
}

/// As people know a publisher: `github.com/owner/name release.yml`.
#[must_use]
pub fn label(configured: &Configured) -> String {
    let place = configured.repository.as_deref().unwrap_or(&configured.issuer);
    format!("{place} {}", configured.specifier)
}

/// An event about a publisher, with the details that PyPI's have.
pub(crate) fn event(
    tag: &'static str,
    actor: Actor,
    configured: &Configured,
    id: impl serde::Serialize,
    origin: Option<&Origin>,
) -> Event {
    let title = provider(configured.provider).map_or(configured.provider, |provider| provider.title());
    let mut event = Event::new(tag, actor);
    event.origin = origin.cloned();
    event.details = json!({
        "publisher": title, "id": id, "specifier": configured.specifier, "url": configured.url,
        "submitted_by": event.actor.label(), "reified_from_pending_publisher": false,
        "configuration": configured.shown.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<serde_json::Map<_, _>>(),
    });
    event
}

/// Validates a form, and asks GitHub for the owner's number where it was not given.
async fn configure(app: &App, form: &Form, look_up: LookUp) -> Result<Configured, PublisherError> {
    let known = || providers::ALL.iter().map(|provider| provider.name()).collect::<Vec<_>>().join(", ");
    let provider = provider(&form.provider)
        .ok_or_else(|| PublisherError::UnknownProvider(form.provider.clone(), known()))?;
    let issuer = form.issuer.as_deref().unwrap_or_else(|| provider.issuer());
    if !app.issuer_keys.of_provider(provider.name()).any(|known| known.url() == issuer) {
        let known: Vec<&str> =
            app.issuer_keys.of_provider(provider.name()).map(|known| known.url()).collect();
        return Err(PublisherError::Fields(vec![FieldError {
            field: "issuer".to_owned(),
            message: format!("Not an issuer of this index; configured are {}", known.join(", ")),
        }]));
    }
    let configured = provider.configure(issuer, &form.values).map_err(PublisherError::Fields)?;
    let given =
        |name: &str| form.values.iter().any(|(field, value)| field == name && !value.trim().is_empty());
    if look_up == LookUp::Never || provider.name() != "github" || given("owner_id") {
        return Ok(configured);
    }
    let owner = configured.shown.iter().find(|(name, _)| *name == "owner").map(|(_, value)| value.as_str());
    let Some(found) =
        owner_lookup::ask(app, owner.unwrap_or_default()).await.map_err(PublisherError::Fields)?
    else {
        return Ok(configured);
    };
    let mut values: Vec<(String, String)> = form.values.clone();
    values.retain(|(name, _)| name != "owner" && name != "owner_id");
    values.push(("owner".to_owned(), found.login));
    values.push(("owner_id".to_owned(), found.id.to_string()));
    provider.configure(issuer, &values).map_err(PublisherError::Fields)
}

/// Whether to ask the provider whom a name belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LookUp {
    /// Where the number was not given.
    Missing,
    /// Not at all: it is learned from the first token.
    Never,
}

/// Lets a project trust a publisher, on behalf of its owner.
///
/// # Errors
/// [`PublisherError`] says what is wrong with the form or the project.
pub async fn add(
    app: &App,
    owner: &Owner,
    form: &Form,
    origin: &Origin,
) -> Result<PublisherId, PublisherError> {
    let configured = configure(app, form, LookUp::Missing).await?;
    register(app, owner.project().id, &configured, Some(owner), Some(origin), form.unattended).await
}

/// Lets a project trust a publisher, on behalf of the operator. Nothing is asked of the provider: ids that are not given are
/// learned at the first mint.
///
/// # Errors
/// As [`add`].
pub async fn add_by_operator(
    app: &App,
    project: &Project,
    form: &Form,
) -> Result<PublisherId, PublisherError> {
    let configured = configure(app, form, LookUp::Never).await?;
    register(app, project.id, &configured, None, None, false).await
}

async fn register(
    app: &App,
    project: ProjectId,
    configured: &Configured,
    by: Option<&Owner>,
    origin: Option<&Origin>,
    unattended: bool,
) -> Result<PublisherId, PublisherError> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    // Asking the provider took its time: whoever began as an owner may be none any more.
    if let Some(owner) = by {
        owner.confirm(&mut tx, now).await?;
    }
    if unattended {
        without_open_case(&mut tx, configured).await?;
    }
    // The publisher before the project, as uploads and mints lock them.
    let id = ensure(&mut tx, configured, now).await?;
    let project = projects::by_id_locked(&mut tx, project).await?.ok_or(PublisherError::Unknown)?;
    if let Some(owner) = by {
        owner.confirm_role(&mut tx).await?;
    }
    if project.state == ProjectState::Quarantined {
        return Err(PublisherError::Quarantined(project.name));
    }
    if publishers::of_project(&mut tx, project.id).await?.len() >= PER_PROJECT_MAX {
        return Err(PublisherError::TooMany);
    }
    let added_by = by.map(|owner| owner.account().id);
    if !publishers::attach(&mut tx, id, project.id, added_by, now).await? {
        return Err(PublisherError::AlreadyRegistered(label(configured)));
    }
    let actor = by.map_or(Actor::Operator, Owner::actor);
    let mut event = event("project:oidc:publisher-added", actor, configured, id, origin);
    event.project = Some(project.id);
    let by = event.actor.label();
    let event_id = record(&mut tx, now, event).await?;
    let told = Told { change: Change::Added, project: &project, configured, by: &by, event: event_id };
    told.to_members(&mut tx, app).await?;
    tx.commit().await?;
    app.committed();
    Ok(id)
}

/// No program registers a repository's jobs while an incident of that repository is not closed: whoever holds the repository
/// may run it. A person may, who moves to Trusted Publishing as the clean-up asks.
async fn without_open_case(tx: &mut Tx, configured: &Configured) -> Result<(), PublisherError> {
    match &configured.repository {
        Some(repository) if cases::unclosed_of_repository(tx, repository).await?.is_some() => {
            Err(PublisherError::OpenCase(repository.clone()))
        }
        _ => Ok(()),
    }
}

/// The publisher of this identity: the one that is there, or a new one. A removed one comes back with the new
/// configuration; a paused one stays paused.
///
/// # Errors
/// Where the database refuses.
pub(crate) async fn ensure(
    tx: &mut Tx,
    configured: &Configured,
    now: Instant,
) -> Result<PublisherId, StoreError> {
    let Some(row) = publishers::by_identity_locked(tx, configured).await? else {
        let id = PublisherId::new();
        publishers::insert(tx, id, configured, now).await?;
        return Ok(id);
    };
    if row.state == PublisherState::Removed {
        publishers::set_configuration(tx, row.id, &configured.configuration).await?;
        publishers::set_state(tx, row.id, PublisherState::Active, None, now).await?;
        return Ok(row.id);
    }
    Ok(row.id)
}

/// Ends a project's trust in a publisher. With its last project a publisher ends, and its tokens with it.
///
/// # Errors
/// [`PublisherError::Unknown`] where the project does not trust it.
pub async fn remove(
    app: &App,
    owner: &Owner,
    id: PublisherId,
    origin: &Origin,
) -> Result<(), PublisherError> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    owner.confirm(&mut tx, now).await?;
    let row = publishers::by_id_for_update(&mut tx, id).await?.ok_or(PublisherError::Unknown)?;
    let project =
        projects::by_id_locked(&mut tx, owner.project().id).await?.ok_or(PublisherError::Unknown)?;
    owner.confirm_role(&mut tx).await?;
    if project.state == ProjectState::Quarantined {
        return Err(PublisherError::Quarantined(project.name));
    }
    if !publishers::detach(&mut tx, id, project.id, now).await? {
        return Err(PublisherError::Unknown);
    }
    let configured = read(&row.provider, &row.issuer, &row.configuration)?;
    if publishers::projects_of(&mut tx, id).await?.is_empty() {
        end(&mut tx, &row, now).await?;
    }
    let mut event = event("project:oidc:publisher-removed", owner.actor(), &configured, id, Some(origin));
    event.project = Some(project.id);
    let by = event.actor.label();
    let event_id = record(&mut tx, now, event).await?;
    let change = Change::Removed;
    let told = Told { change, project: &project, configured: &configured, by: &by, event: event_id };
    told.to_members(&mut tx, app).await?;
    tx.commit().await?;
    app.committed();
    Ok(())
}

/// Ends a publisher that no project trusts any more. A paused one stays paused, so that registering it anew does not take
/// back what the desk decided.
async fn end(tx: &mut Tx, row: &Publisher, now: Instant) -> Result<(), StoreError> {
    if row.state == PublisherState::Active {
        publishers::set_state(tx, row.id, PublisherState::Removed, None, now).await?;
    }
    let change = StateChange {
        state: TokenState::Revoked,
        cause: Some("its trusted publisher was removed"),
        case_id: None,
        at: now,
    };
    for token in tokens::live_of_publisher(tx, row.id, now).await? {
        tokens::set_state(tx, token.id, &change).await?;
    }
    Ok(())
}

/// The publishers of a project, the oldest first. One whose configuration this release can't read is left out: it can't
/// mint here either.
///
/// # Errors
/// Where the database refuses.
pub async fn of_project(tx: &mut Tx, project: ProjectId) -> Result<Vec<Registered>, StoreError> {
    let rows = publishers::of_project(tx, project).await?;
    Ok(rows.into_iter().filter_map(registered).collect())
}

fn registered(row: Publisher) -> Option<Registered> {
    Some(Registered {
        id: row.id,
        configured: read(&row.provider, &row.issuer, &row.configuration).ok()?,
        provider_title: provider(&row.provider)?.title(),
        state: row.state,
        state_cause: row.state_cause,
        state_since: row.state_since,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
    })
}

/// Registers a publisher that will create a project for this account.
///
/// # Errors
/// [`PublisherError`] says what is wrong with the form, the name or the account.
pub async fn add_pending(
    app: &App,
    holder: &Holder,
    project_name: &str,
    form: &Form,
    origin: &Origin,
) -> Result<PendingPublisherId, PublisherError> {
    let configured = configure(app, form, LookUp::Missing).await?;
    register_pending(
        app,
        holder.account(),
        project_name,
        &configured,
        Some(holder),
        Some(origin),
        form.unattended,
    )
    .await
}

/// As [`add_pending`], by the operator for an account.
///
/// # Errors
/// As [`add_pending`].
pub async fn add_pending_by_operator(
    app: &App,
    account: &Account,
    project_name: &str,
    form: &Form,
) -> Result<PendingPublisherId, PublisherError> {
    let configured = configure(app, form, LookUp::Never).await?;
    register_pending(app, account, project_name, &configured, None, None, false).await
}

async fn register_pending(
    app: &App,
    account: &Account,
    project_name: &str,
    configured: &Configured,
    by: Option<&Holder>,
    origin: Option<&Origin>,
    unattended: bool,
) -> Result<PendingPublisherId, PublisherError> {
    let name: ProjectName = project_name.parse().map_err(ProjectError::from)?;
    let now = app.now();
    let since = now.plus_seconds(-PENDING_LIFETIME_S);
    let mut tx = app.store.write().await?;
    // The lock makes two registrations at once count each other.
    accounts::by_id_for_update(&mut tx, account.id).await?.ok_or(PublisherError::Unknown)?;
    if let Some(holder) = by {
        holder.confirm(&mut tx, now).await?;
    }
    if unattended {
        without_open_case(&mut tx, configured).await?;
    }
    pending_publishers::expire(&mut tx, since, now).await?;
    if pending_publishers::waiting_of_account(&mut tx, account.id, since).await?.len() >= PENDING_MAX {
        return Err(PublisherError::TooManyPending);
    }
    if projects::by_name(&mut tx, &name.normalised()).await?.is_some() {
        return Err(PublisherError::ProjectExists);
    }
    project::check_available(&mut tx, &name).await?;
    let row = PendingPublisher {
        id: PendingPublisherId::new(),
        provider: configured.provider.to_owned(),
        issuer: configured.issuer.clone(),
        configuration: configured.configuration.clone(),
        project_name: name.as_str().to_owned(),
        project_name_normalised: name.normalised(),
        account_id: account.id,
        state: PendingState::Waiting,
        created_at: now,
    };
    pending_publishers::insert(&mut tx, &row, configured).await.map_err(|error| {
        if error.is_unique_violation() { PublisherError::AlreadyPending } else { error.into() }
    })?;
    let actor = by.map_or(Actor::Operator, Holder::actor);
    let mut event = event("account:oidc:pending-publisher-added", actor, configured, row.id, origin);
    event.account = Some(account.id);
    if let Some(details) = event.details.as_object_mut() {
        details.insert("project".to_owned(), json!(row.project_name));
    }
    record(&mut tx, now, event).await?;
    tx.commit().await?;
    app.committed();
    Ok(row.id)
}

/// Takes back a pending publisher of this account.
///
/// # Errors
/// [`PublisherError::Unknown`] where the account has no such one waiting.
pub async fn remove_pending(
    app: &App,
    holder: &Holder,
    id: PendingPublisherId,
    origin: &Origin,
) -> Result<(), PublisherError> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    holder.confirm(&mut tx, now).await?;
    let since = now.plus_seconds(-PENDING_LIFETIME_S);
    let waiting = pending_publishers::waiting_of_account(&mut tx, holder.account().id, since).await?;
    let row = waiting.into_iter().find(|row| row.id == id).ok_or(PublisherError::Unknown)?;
    let configured = read(&row.provider, &row.issuer, &row.configuration)?;
    if !pending_publishers::end(&mut tx, id, PendingState::Removed, now).await? {
        return Err(PublisherError::Unknown);
    }
    let mut event =
        event("account:oidc:pending-publisher-removed", holder.actor(), &configured, id, Some(origin));
    event.account = Some(holder.account().id);
    if let Some(details) = event.details.as_object_mut() {
        details.insert("project".to_owned(), json!(row.project_name));
    }
    record(&mut tx, now, event).await?;
    tx.commit().await?;
    app.committed();
    Ok(())
}

/// The pending publishers of an account, the oldest first.
///
/// # Errors
/// Where the database refuses.
pub async fn pending_of_account(
    tx: &mut Tx,
    account: AccountId,
    now: Instant,
) -> Result<Vec<Waiting>, StoreError> {
    let since = now.plus_seconds(-PENDING_LIFETIME_S);
    let rows = pending_publishers::waiting_of_account(tx, account, since).await?;
    let shown = rows.into_iter().filter_map(|row| {
        Some(Waiting {
            id: row.id,
            configured: read(&row.provider, &row.issuer, &row.configuration).ok()?,
            provider_title: provider(&row.provider)?.title(),
            project_name: row.project_name,
            created_at: row.created_at,
            expires_at: row.created_at.plus_seconds(PENDING_LIFETIME_S),
        })
    });
    Ok(shown.collect())
}
