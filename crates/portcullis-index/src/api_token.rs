//! People's API tokens: PyPI's macaroons, with a scope, and where their owner says that they lie.

use portcullis_trust::caveat::{Caveat, Permission};
use portcullis_trust::token::{self as macaroon_token, TokenKey};
use secrecy::SecretString;
use serde_json::json;
use std::str::FromStr;
use zeroize::Zeroizing;

use crate::account::recent::Proved;
use crate::app::App;
use crate::authority::{AuthorityError, Holder};
use crate::clock::Instant;
use crate::desk::{DeskError, standing};
use crate::history::{Actor, Event, Origin, record};
use crate::ids::TokenId;
use crate::server_key::ServerKeyError;
use crate::store::accounts::{self, Account, AccountState};
use crate::store::projects::{self, Project};
use crate::store::tokens::{self, StateChange, Token, TokenKind, TokenScope, TokenState};
use crate::store::{StoreError, Tx};

/// Longest description, in characters (PyPI's limit).
pub const DESCRIPTION_LIMIT: usize = 100;
/// Most projects that one token names.
pub const PROJECTS_LIMIT: usize = 100;

/// Where a token lies: a secret of a repository, as its owner says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretPlace {
    /// `github.com/owner/name`, lower case.
    pub repository: String,
    /// The secret's name.
    pub secret: String,
}

/// Why a text names no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected github:OWNER/REPO#SECRET, for example github:example/demo#PYPI_API_TOKEN")]
pub struct SecretPlaceError;

impl FromStr for SecretPlace {
    type Err = SecretPlaceError;

    fn from_str(text: &str) -> Result<Self, SecretPlaceError> {
        let rest = text.strip_prefix("github:").ok_or(SecretPlaceError)?;
        let (repository, secret) = rest.split_once('#').ok_or(SecretPlaceError)?;
        let (owner, name) = repository.split_once('/').ok_or(SecretPlaceError)?;
        let part = |text: &str| {
            !text.is_empty()
                && text.len() <= 100
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        };
        let named = |text: &str| {
            !text.is_empty()
                && text.len() <= 255
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !part(owner) || !part(name) || !named(secret) {
            return Err(SecretPlaceError);
        }
        Ok(Self {
            repository: format!("github.com/{}/{}", owner.to_ascii_lowercase(), name.to_ascii_lowercase()),
            secret: secret.to_owned(),
        })
    }
}

/// A token to be made.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// What its owner calls it; empty: the server finds a name.
    pub description: String,
    /// The normalised names of the projects that it is for; empty: every project of the account.
    pub projects: Vec<String>,
    /// Whether it may only read the index, not upload.
    pub read_only: bool,
    /// When it ends; none: never.
    pub expires_at: Option<Instant>,
    /// Where it lies.
    pub lives_in: Option<SecretPlace>,
}

/// Why a token can't be made or ended.
#[derive(Debug, thiserror::Error)]
pub enum ApiTokenError {
    /// The description breaks a rule.
    #[error("Description must be {DESCRIPTION_LIMIT} characters or less")]
    Description,
    /// Another live token of the account has this description.
    #[error("API token name already in use")]
    DescriptionInUse,
    /// The account has no role on such a project.
    #[error("Unknown or invalid project name: {0}")]
    UnknownProject(String),
    /// Too many projects.
    #[error("a token names at most {PROJECTS_LIMIT} projects; make an account-scoped token or several")]
    TooManyProjects,
    /// The end lies in the past.
    #[error("the expiry must lie in the future")]
    AlreadyExpired,
    /// The account may not act.
    #[error("the account is frozen; ask the operator of this index")]
    Frozen,
    /// The account has no such token.
    #[error("API Token does not exist.")]
    Unknown,
    /// Who asks may no longer.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// What a case holds could not be read.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key can't be sealed.
    #[error(transparent)]
    Key(#[from] ServerKeyError),
}

/// On whose behalf a token is made.
enum Maker<'a> {
    Operator(Actor),
    Proved(&'a Proved<'a>),
    Holder(&'a Holder),
}

impl Maker<'_> {
    async fn confirm(&self, tx: &mut Tx, now: Instant) -> Result<(), AuthorityError> {
        match self {
            Self::Operator(_) => Ok(()),
            Self::Proved(proved) => proved.confirm(tx, now).await,
            Self::Holder(holder) => holder.confirm(tx, now).await,
        }
    }

    fn actor(&self) -> Actor {
        match self {
            Self::Operator(actor) => actor.clone(),
            Self::Proved(proved) => crate::account::actor(proved.account()),
            Self::Holder(holder) => holder.actor(),
        }
    }
}

/// Makes a token, on behalf of the operator or of a part of the server; its text is seen this one time.
///
/// # Errors
/// Where a rule is broken.
pub async fn create(
    app: &App,
    account: &Account,
    new: NewToken,
    actor: Actor,
    origin: Option<Origin>,
) -> Result<(Token, SecretString), ApiTokenError> {
    make(app, account, new, Maker::Operator(actor), origin).await
}

/// Makes a token for somebody who is signed in and has proved so lately.
///
/// # Errors
/// Where a rule is broken.
pub async fn create_signed_in(
    app: &App,
    by: &Proved<'_>,
    new: NewToken,
    origin: Origin,
) -> Result<(Token, SecretString), ApiTokenError> {
    make(app, by.account(), new, Maker::Proved(by), Some(origin)).await
}

/// Makes a token for the holder of a management token.
///
/// # Errors
/// Where a rule is broken.
pub async fn create_by_holder(
    app: &App,
    by: &Holder,
    new: NewToken,
    origin: Origin,
) -> Result<(Token, SecretString), ApiTokenError> {
    make(app, by.account(), new, Maker::Holder(by), Some(origin)).await
}

async fn make(
    app: &App,
    account: &Account,
    new: NewToken,
    by: Maker<'_>,
    origin: Option<Origin>,
) -> Result<(Token, SecretString), ApiTokenError> {
    if new.description.chars().count() > DESCRIPTION_LIMIT {
        return Err(ApiTokenError::Description);
    }
    if new.projects.len() > PROJECTS_LIMIT {
        return Err(ApiTokenError::TooManyProjects);
    }
    let now = app.now();
    if new.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(ApiTokenError::AlreadyExpired);
    }
    let mut tx = app.store.write().await?;
    by.confirm(&mut tx, now).await?;
    let current = accounts::by_id_locked(&mut tx, account.id).await?.ok_or(ApiTokenError::Unknown)?;
    if current.state == AccountState::Frozen {
        return Err(ApiTokenError::Frozen);
    }
    let named = named_projects(&mut tx, account, &new.projects).await?;
    let description = free_description(&mut tx, account, new.description.trim()).await?;
    let caveats = caveats(account, &named, &new, now);
    let id = TokenId::new();
    let key: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
    let text = macaroon_token::mint(&TokenKey::from_bytes(*key), app.host(), id.0, &caveats);
    let ids: Vec<_> = named.iter().map(|project| project.id).collect();
    // Containment locks the accounts that it touches: it has committed, or it will see this token.
    let held = standing::holding(&mut tx, account.id, &ids).await?;
    let token = Token {
        id,
        kind: TokenKind::LongLived,
        account_id: Some(account.id),
        publisher_id: None,
        description,
        location: app.host().to_owned(),
        sealed_key: app.server_key.seal(&key_place(id), key.as_slice())?,
        caveats: caveats.iter().map(Caveat::to_json).collect(),
        scope: if named.is_empty() { TokenScope::Account } else { TokenScope::Projects },
        lives_in: new.lives_in.as_ref().map(|place| place.repository.clone()),
        lives_in_secret: new.lives_in.as_ref().map(|place| place.secret.clone()),
        minted_from: None,
        state: if held.is_some() { TokenState::Suspended } else { TokenState::Live },
        state_cause: held.as_ref().map(|held| held.cause.clone()),
        state_case_id: held.as_ref().map(|held| held.case),
        state_since: held.as_ref().map(|_| now),
        created_at: now,
        expires_at: new.expires_at,
        first_used_at: None,
        last_used_at: None,
        use_count: 0,
    };
    tokens::insert(&mut tx, &token, &ids).await?;
    record_made(&mut tx, now, &token, &named, &by.actor(), origin).await?;
    if let Some(held) = &held {
        standing::suspend_new(&mut tx, now, &token, held).await?;
    }
    tx.commit().await?;
    app.committed();
    Ok((token, text))
}

/// Where a token's key is sealed for: it opens in no other row.
#[must_use]
pub fn key_place(id: TokenId) -> String {
    format!("tokens:{id}")
}

async fn named_projects(
    tx: &mut Tx,
    account: &Account,
    names: &[String],
) -> Result<Vec<Project>, ApiTokenError> {
    let mut named: Vec<Project> = Vec::with_capacity(names.len());
    for name in names {
        let unknown = || ApiTokenError::UnknownProject(crate::visible::visible(name, 100));
        let project = projects::by_name(tx, &crate::project::normalise(name)).await?.ok_or_else(unknown)?;
        projects::role(tx, project.id, account.id).await?.ok_or_else(unknown)?;
        if !named.iter().any(|known| known.id == project.id) {
            named.push(project);
        }
    }
    Ok(named)
}

async fn free_description(tx: &mut Tx, account: &Account, wanted: &str) -> Result<String, ApiTokenError> {
    let taken: Vec<String> = tokens::of_account(tx, account.id)
        .await?
        .into_iter()
        .filter(|token| token.state != TokenState::Revoked)
        .map(|token| token.description)
        .collect();
    if wanted.is_empty() {
        let free = (1..).map(|number| format!("token {number}")).find(|name| !taken.contains(name));
        return Ok(free.unwrap_or_default());
    }
    if taken.iter().any(|name| name == wanted) {
        return Err(ApiTokenError::DescriptionInUse);
    }
    Ok(wanted.to_owned())
}

fn caveats(account: &Account, named: &[Project], new: &NewToken, now: Instant) -> Vec<Caveat> {
    let mut caveats = if named.is_empty() {
        vec![Caveat::RequestUser(account.id.0)]
    } else {
        vec![
            Caveat::ProjectNames(named.iter().map(|project| project.name_normalised.clone()).collect()),
            Caveat::ProjectIds(named.iter().map(|project| project.id.0).collect()),
        ]
    };
    if let Some(expires_at) = new.expires_at {
        let expires_at = expires_at.unix_seconds();
        caveats.push(Caveat::Expiration { expires_at, not_before: now.unix_seconds() });
    }
    if new.read_only {
        caveats.push(Caveat::Permissions(vec![Permission::Read]));
    }
    caveats
}

async fn record_made(
    tx: &mut Tx,
    now: Instant,
    token: &Token,
    named: &[Project],
    actor: &Actor,
    origin: Option<Origin>,
) -> Result<(), StoreError> {
    let names: Vec<&str> = named.iter().map(|project| project.name.as_str()).collect();
    let mut event = Event::new("account:api_token:added", actor.clone());
    event.account = token.account_id;
    event.token = Some(token.id);
    event.details = json!({
        "macaroon_id": token.id, "description": token.description, "scope": token.scope, "projects": names,
        "expires": token.expires_at.map(Instant::rfc3339), "lives_in": token.lives_in,
    });
    event.origin = origin.clone();
    record(tx, now, event).await?;
    for project in named {
        let mut event = Event::new("project:api_token:added", actor.clone());
        event.project = Some(project.id);
        event.token = Some(token.id);
        event.details =
            json!({ "macaroon_id": token.id, "description": token.description, "user": actor.label() });
        event.origin = origin.clone();
        record(tx, now, event).await?;
    }
    Ok(())
}

/// Ends one of the holder's tokens for ever. The row stays.
///
/// # Errors
/// [`ApiTokenError::Unknown`] where the holder has no such token, or it was revoked already.
pub async fn revoke(
    app: &App,
    holder: &Holder,
    id: TokenId,
    origin: Option<Origin>,
) -> Result<(), ApiTokenError> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    let token = tokens::by_id_locked(&mut tx, id)
        .await?
        .filter(|token| token.account_id == Some(holder.account().id))
        .ok_or(ApiTokenError::Unknown)?;
    holder.confirm(&mut tx, now).await?;
    end(&mut tx, now, &token, "revoked by its owner", &holder.actor(), origin).await?;
    tx.commit().await?;
    app.committed();
    Ok(())
}

/// Ends any token for ever, on behalf of the operator.
///
/// # Errors
/// [`ApiTokenError::Unknown`] where there is no such token, or it was revoked already.
pub async fn revoke_by_operator(app: &App, id: TokenId) -> Result<(), ApiTokenError> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    let token = tokens::by_id_locked(&mut tx, id).await?.ok_or(ApiTokenError::Unknown)?;
    end(&mut tx, now, &token, "revoked by the operator", &Actor::Operator, None).await?;
    tx.commit().await?;
    app.committed();
    Ok(())
}

async fn end(
    tx: &mut Tx,
    now: Instant,
    token: &Token,
    cause: &str,
    actor: &Actor,
    origin: Option<Origin>,
) -> Result<(), ApiTokenError> {
    let change =
        StateChange { state: TokenState::Revoked, cause: Some(cause), case_id: token.state_case_id, at: now };
    if !tokens::set_state(tx, token.id, &change).await? {
        return Err(ApiTokenError::Unknown);
    }
    if let Some(account) = token.account_id {
        let mut event = Event::new("account:api_token:removed", actor.clone());
        event.account = Some(account);
        event.token = Some(token.id);
        event.details = json!({ "macaroon_id": token.id, "description": token.description, "reason": cause });
        event.origin = origin.clone();
        record(tx, now, event).await?;
    }
    for project in tokens::projects_of(tx, token.id).await? {
        let mut event = Event::new("project:api_token:removed", actor.clone());
        event.project = Some(project);
        event.token = Some(token.id);
        event.details = json!({ "description": token.description, "user": actor.label() });
        event.origin = origin.clone();
        record(tx, now, event).await?;
    }
    Ok(())
}

/// A token with the names of the projects that it is for.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The token.
    pub token: Token,
    /// The projects' names; none: every project of the account.
    pub projects: Vec<String>,
}

/// The tokens of an account with what they are for, the newest first.
///
/// # Errors
/// Where the database refuses.
pub async fn of_account(app: &App, account: &Account) -> Result<Vec<Listed>, ApiTokenError> {
    let mut tx = app.store.read().await?;
    let mut listed = Vec::new();
    for token in tokens::of_account(&mut tx, account.id).await? {
        let mut names = Vec::new();
        for id in tokens::projects_of(&mut tx, token.id).await? {
            names.extend(projects::by_id(&mut tx, id).await?.map(|project| project.name));
        }
        listed.push(Listed { token, projects: names });
    }
    Ok(listed)
}

/// The holder's tokens, the newest first.
///
/// # Errors
/// Where the database refuses.
pub async fn list(app: &App, holder: &Holder) -> Result<Vec<Token>, ApiTokenError> {
    let mut tx = app.store.read().await?;
    Ok(tokens::of_account(&mut tx, holder.account().id).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_repository_and_the_name_of_a_secret() {
        let place: SecretPlace = "github:Example/Demo#PYPI_API_TOKEN".parse().unwrap();
        assert_eq!(place.repository, "github.com/example/demo");
        assert_eq!(place.secret, "PYPI_API_TOKEN");
        for wrong in [
            "Example/Demo#X",
            "github:Example#X",
            "github:Example/Demo",
            "github:Example/Demo#",
            "github:/Demo#X",
            "github:a/b#PYPI-TOKEN",
            "github:a b/c#X",
            "github:a/b/c#X",
        ] {
            assert!(wrong.parse::<SecretPlace>().is_err(), "{wrong}");
        }
    }
}
