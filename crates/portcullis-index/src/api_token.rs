//! People's API tokens: PyPI's macaroons, with a scope, and where their owner says that they lie.

use portcullis_trust::caveat::{Caveat, Permission};
use portcullis_trust::token::{self as macaroon_token, TokenKey};
use secrecy::SecretString;
use serde_json::json;
use std::str::FromStr;
use zeroize::Zeroizing;

use crate::app::App;
use crate::authority::Holder;
use crate::clock::Instant;
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
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key can't be sealed.
    #[error(transparent)]
    Key(#[from] ServerKeyError),
}

/// Makes a token; its text is seen this one time.
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
        state: TokenState::Live,
        state_cause: None,
        state_case_id: None,
        state_since: None,
        created_at: now,
        expires_at: new.expires_at,
        first_used_at: None,
        last_used_at: None,
        use_count: 0,
    };
    let ids: Vec<_> = named.iter().map(|project| project.id).collect();
    tokens::insert(&mut tx, &token, &ids).await?;
    record_made(&mut tx, now, &token, &named, &actor, origin).await?;
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
    let change = StateChange {
        state: TokenState::Revoked,
        cause: Some("revoked by its owner"),
        case_id: token.state_case_id,
        at: now,
    };
    if !tokens::set_state(&mut tx, id, &change).await? {
        return Err(ApiTokenError::Unknown);
    }
    let mut event = Event::new("account:api_token:removed", holder.actor());
    event.account = token.account_id;
    event.token = Some(id);
    event.details = json!({ "macaroon_id": id, "description": token.description });
    event.origin = origin.clone();
    record(&mut tx, now, event).await?;
    for project in tokens::projects_of(&mut tx, id).await? {
        let mut event = Event::new("project:api_token:removed", holder.actor());
        event.project = Some(project);
        event.token = Some(id);
        event.details = json!({ "description": token.description, "user": holder.account().name });
        event.origin = origin.clone();
        record(&mut tx, now, event).await?;
    }
    tx.commit().await?;
    app.committed();
    Ok(())
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
