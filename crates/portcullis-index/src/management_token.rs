//! Management tokens (`portcullis-…`) as people make and end them on their account's page. What one proves stands in
//! [`crate::authority`].

use secrecy::SecretString;
use serde_json::json;

use crate::account::session::SignedIn;
use crate::api_token::DESCRIPTION_LIMIT;
use crate::app::App;
use crate::authority::{self, AuthorityError, Holder, MANAGEMENT_DAYS_LIMIT, Scope};
use crate::history::{Event, Origin, record};
use crate::ids::ManagementTokenId;
use crate::store::accounts::AccountRole;
use crate::store::management_tokens::{self, ManagementToken};
use crate::store::{self, StoreError};

/// Most live management tokens of one account.
pub const PER_ACCOUNT_MAX: usize = 50;

/// Why a management token was not made or ended.
#[derive(Debug, thiserror::Error)]
pub enum ManagementTokenError {
    /// The description is missing or too long.
    #[error("say in 1 to {DESCRIPTION_LIMIT} characters what the token is for")]
    Description,
    /// It would be good for nothing.
    #[error("choose at least one scope")]
    NoScope,
    /// The account may not do that itself.
    #[error("your role does not reach to the scope {0}")]
    Scope(&'static str),
    /// It would live too long, or not at all.
    #[error("a management token lives 1 to {MANAGEMENT_DAYS_LIMIT} days")]
    Days,
    /// There are too many.
    #[error("you have {PER_ACCOUNT_MAX} management tokens; revoke some first")]
    TooMany,
    /// The holder has no such token.
    #[error("there is no such management token")]
    Unknown,
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// The scopes that somebody of this role may give away.
#[must_use]
pub fn scopes_of(role: AccountRole) -> &'static [Scope] {
    match role {
        AccountRole::User | AccountRole::Observer => &[Scope::Report, Scope::Manage],
        AccountRole::Responder => &[Scope::Report, Scope::Manage, Scope::Desk],
        AccountRole::Admin => &[Scope::Report, Scope::Manage, Scope::Desk, Scope::Admin],
    }
}

/// A management token to be made.
#[derive(Debug, Clone)]
pub struct NewManagementToken {
    /// What its owner calls it.
    pub description: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// How long it lives.
    pub days: i64,
}

/// Makes a management token for somebody who is signed in; a token can't make another one. Its text is seen this one time.
///
/// # Errors
/// Where a rule is broken.
pub async fn create(
    app: &App,
    by: &SignedIn,
    new: NewManagementToken,
) -> Result<SecretString, ManagementTokenError> {
    let description = new.description.trim();
    if description.is_empty() || description.chars().count() > DESCRIPTION_LIMIT {
        return Err(ManagementTokenError::Description);
    }
    if new.scopes.is_empty() {
        return Err(ManagementTokenError::NoScope);
    }
    let own = scopes_of(by.account().role);
    if let Some(beyond) = new.scopes.iter().find(|scope| !own.contains(scope)) {
        return Err(ManagementTokenError::Scope(beyond.word()));
    }
    if !(1..=MANAGEMENT_DAYS_LIMIT).contains(&new.days) {
        return Err(ManagementTokenError::Days);
    }
    let now = app.now();
    let mut tx = app.store.read().await?;
    let others = management_tokens::of_account(&mut tx, by.account().id).await?;
    drop(tx);
    if others.iter().filter(|token| is_live(token, now)).count() >= PER_ACCOUNT_MAX {
        return Err(ManagementTokenError::TooMany);
    }
    let ends = now.plus_seconds(new.days * 86_400);
    let actor = crate::account::actor(by.account());
    Ok(authority::issue_management_token(app, by.account(), &new.scopes, description, ends, actor).await?)
}

fn is_live(token: &ManagementToken, now: crate::clock::Instant) -> bool {
    token.state == store::tokens::TokenState::Live && token.expires_at > now
}

/// Ends one of the holder's management tokens for ever. The row stays.
///
/// # Errors
/// [`ManagementTokenError::Unknown`] where the holder has no such token, or it was revoked already.
pub async fn revoke(
    app: &App,
    holder: &Holder,
    id: ManagementTokenId,
    origin: Origin,
) -> Result<(), ManagementTokenError> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    let own = management_tokens::of_account(&mut tx, holder.account().id).await?;
    let token = own.into_iter().find(|token| token.id == id).ok_or(ManagementTokenError::Unknown)?;
    if !management_tokens::revoke(&mut tx, id, "revoked by its owner").await? {
        return Err(ManagementTokenError::Unknown);
    }
    let mut event = Event::new("account:management_token:removed", holder.actor());
    event.account = Some(holder.account().id);
    event.details = json!({ "management_token_id": id, "description": token.description });
    event.origin = Some(origin);
    record(&mut tx, now, event).await?;
    tx.commit().await?;
    app.committed();
    Ok(())
}

/// The management tokens of an account that still work, the newest first.
///
/// # Errors
/// Where the database refuses.
pub async fn live(app: &App, holder: &Holder) -> store::Result<Vec<ManagementToken>> {
    let mut tx = app.store.read().await?;
    let mut tokens = management_tokens::of_account(&mut tx, holder.account().id).await?;
    tokens.retain(|token| is_live(token, app.now()));
    Ok(tokens)
}
