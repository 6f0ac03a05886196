//! Management tokens (`portcullis-…`) as people make and end them on their account's page. What one proves stands in
//! [`crate::authority`].

use secrecy::SecretString;
use serde_json::json;

use crate::account::recent::Proved;
use crate::api_token::DESCRIPTION_LIMIT;
use crate::app::App;
use crate::authority::{self, AuthorityError, Holder, MANAGEMENT_DAYS_LIMIT, Scope};
use crate::clock::Instant;
use crate::history::{Actor, Event, Origin, record};
use crate::ids::{AccountId, ManagementTokenId};
use crate::store::accounts::{Account, AccountRole};
use crate::store::management_tokens::{self, ManagementToken};
use crate::store::{self, StoreError, Tx};

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

/// Makes a management token for somebody who is signed in and has proved so lately; a token can't make another one. Its text
/// is seen this one time.
///
/// # Errors
/// Where a rule is broken.
pub async fn create(
    app: &App,
    by: &Proved<'_>,
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
    let mut tx = app.store.write().await?;
    by.confirm(&mut tx, now).await?;
    let others = management_tokens::of_account(&mut tx, by.account().id).await?;
    if others.iter().filter(|token| is_live(token, now)).count() >= PER_ACCOUNT_MAX {
        return Err(ManagementTokenError::TooMany);
    }
    let ends = now.plus_seconds(new.days * 86_400);
    let actor = crate::account::actor(by.account());
    let secret =
        authority::issue_within(&mut tx, now, by.account(), &new.scopes, description, ends, actor).await?;
    tx.commit().await?;
    app.committed();
    Ok(secret)
}

fn is_live(token: &ManagementToken, now: Instant) -> bool {
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
    holder.confirm(&mut tx, now).await?;
    let own = management_tokens::of_account(&mut tx, holder.account().id).await?;
    let token = own.into_iter().find(|token| token.id == id).ok_or(ManagementTokenError::Unknown)?;
    let cause = "revoked by its owner";
    if !management_tokens::revoke(&mut tx, id, cause).await? {
        return Err(ManagementTokenError::Unknown);
    }
    record_end(&mut tx, now, &token, cause, holder.actor(), Some(&origin)).await?;
    tx.commit().await?;
    app.committed();
    Ok(())
}

/// Ends every management token of an account, each with its event: whoever has one of a taken-over account must not outlive
/// its password. Returns how many there were. Call it after the account's row is locked.
///
/// # Errors
/// Where the database refuses.
pub(crate) async fn end_all(
    tx: &mut Tx,
    now: Instant,
    account: AccountId,
    cause: &str,
    actor: &Actor,
    origin: Option<&Origin>,
) -> store::Result<usize> {
    let mut ended = 0;
    for token in management_tokens::of_account(tx, account).await? {
        if is_live(&token, now) && management_tokens::revoke(tx, token.id, cause).await? {
            record_end(tx, now, &token, cause, actor.clone(), origin).await?;
            ended += 1;
        }
    }
    Ok(ended)
}

async fn record_end(
    tx: &mut Tx,
    now: Instant,
    token: &ManagementToken,
    cause: &str,
    actor: Actor,
    origin: Option<&Origin>,
) -> store::Result<()> {
    let mut event = Event::new("account:management_token:removed", actor);
    event.account = Some(token.account_id);
    event.details =
        json!({ "management_token_id": token.id, "description": token.description, "reason": cause });
    event.origin = origin.cloned();
    record(tx, now, event).await.map(|_| ())
}

/// Ends any management token, on behalf of the operator.
///
/// # Errors
/// [`ManagementTokenError::Unknown`] where there is no such token, or it was revoked already.
pub async fn revoke_by_operator(app: &App, id: ManagementTokenId) -> Result<(), ManagementTokenError> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    let token = management_tokens::by_id(&mut tx, id).await?.ok_or(ManagementTokenError::Unknown)?;
    let cause = "revoked by the operator";
    if !management_tokens::revoke(&mut tx, id, cause).await? {
        return Err(ManagementTokenError::Unknown);
    }
    record_end(&mut tx, now, &token, cause, Actor::Operator, None).await?;
    tx.commit().await?;
    app.committed();
    Ok(())
}

/// Ends the management token that is presented, whatever its scopes: whoever holds one may give it back.
///
/// # Errors
/// [`AuthorityError::Unknown`] where it is of no live token.
pub async fn burn(app: &App, secret: &str, origin: Origin) -> Result<(), ManagementTokenError> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    let hash = authority::secret_hash(secret);
    let token = management_tokens::by_secret_hash(&mut tx, &hash).await?.filter(|token| is_live(token, now));
    let token = token.ok_or(AuthorityError::Unknown)?;
    let cause = "its holder gave it back";
    if !management_tokens::revoke(&mut tx, token.id, cause).await? {
        return Err(AuthorityError::Unknown.into());
    }
    record_end(&mut tx, now, &token, cause, Actor::Anonymous, Some(&origin)).await?;
    tx.commit().await?;
    app.committed();
    Ok(())
}

/// Every management token of an account, also those that have ended, the newest first.
///
/// # Errors
/// Where the database refuses.
pub async fn of_account(app: &App, account: &Account) -> store::Result<Vec<ManagementToken>> {
    let mut tx = app.store.read().await?;
    management_tokens::of_account(&mut tx, account.id).await
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
