//! One-time links: how the first administrator, and whoever lost a password, comes in.
//!
//! The secret has 256 bits and stands in the path `/welcome/SECRET`, since a link must be one. That is bearable only
//! because it works once and for an hour, only its hash is stored, and the log of requests names routes,
//! never paths.

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::password::Password;
use super::session::{random_secret, secret_hash};
use super::{AccountError, AccountName, NewAccount, ReadyAccount, actor, second_factor};
use crate::app::App;
use crate::clock::Instant;
use crate::history::{self, Actor, Event, Origin};
use crate::management_token;
use crate::store::accounts::{self, Account, AccountRole, AccountState};
use crate::store::sessions::{self, LinkPurpose, OneTimeLink};
use crate::store::{self, Tx};

/// How long a link works, in seconds.
pub const LIFETIME_SECONDS: i64 = 60 * 60;

/// Where links lead; the secret follows.
pub const PATH: &str = "/welcome/";

/// A link that makes the first administrator; none once there is an administrator. Earlier ones stop working.
///
/// # Errors
/// Where the database refuses.
pub async fn first_administrator_link(app: &App) -> Result<Option<String>, AccountError> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    if accounts::administrators(&mut tx).await? > 0 {
        return Ok(None);
    }
    let link = OneTimeLink { purpose: LinkPurpose::FirstAdministrator, account_id: None };
    let secret = insert(&mut tx, &link, now).await?;
    tx.commit().await?;
    Ok(Some(url(app, &secret)))
}

/// A link by which the owner of an account sets a new password. It also takes the second factor off, since whoever runs the
/// server gives it to somebody who can't get in. Password and factor stay until it is used; the account's management tokens end
/// at once, since a link is also asked for when somebody else got in.
///
/// # Errors
/// [`AccountError::Unknown`] where nobody has the name.
pub async fn reset_link(app: &App, name: &str, by: Actor) -> Result<String, AccountError> {
    let account = super::by_name(app, name).await?;
    let now = app.now();
    let mut tx = app.store.write().await?;
    let link = OneTimeLink { purpose: LinkPurpose::Reset, account_id: Some(account.id) };
    let secret = insert(&mut tx, &link, now).await?;
    accounts::by_id_for_update(&mut tx, account.id).await?;
    let cause = "a new password was asked for";
    management_token::end_all(&mut tx, now, account.id, cause, &by, None).await?;
    let mut event = Event::new("account:password:reset:request", by);
    event.account = Some(account.id);
    history::record(&mut tx, now, event).await?;
    tx.commit().await?;
    app.committed();
    Ok(url(app, &secret))
}

async fn insert(tx: &mut Tx, link: &OneTimeLink, now: Instant) -> store::Result<SecretString> {
    let secret = random_secret();
    let hash = secret_hash(secret.expose_secret());
    sessions::insert_link(tx, &hash, link, now.plus_seconds(LIFETIME_SECONDS), now).await?;
    Ok(secret)
}

fn url(app: &App, secret: &SecretString) -> String {
    app.url(&format!("{PATH}{}", secret.expose_secret()))
}

/// What a link that still works is for.
#[derive(Debug)]
pub enum Invitation {
    /// To make the first administrator.
    FirstAdministrator,
    /// To set a new password for this account.
    Reset(Account),
}

/// Looks at a link without using it.
///
/// # Errors
/// [`AccountError::LinkDead`] where it no longer works.
pub async fn look(app: &App, secret: &str) -> Result<Invitation, AccountError> {
    let mut tx = app.store.read().await?;
    look_in(&mut tx, secret, app.now()).await
}

async fn look_in(tx: &mut Tx, secret: &str, now: Instant) -> Result<Invitation, AccountError> {
    let link = sessions::live_link(tx, &secret_hash(secret), now).await?.ok_or(AccountError::LinkDead)?;
    match (link.purpose, link.account_id) {
        (LinkPurpose::FirstAdministrator, _) if accounts::administrators(tx).await? == 0 => {
            Ok(Invitation::FirstAdministrator)
        }
        (LinkPurpose::Reset, Some(id)) => match accounts::by_id_for_update(tx, id).await? {
            Some(account) if account.state == AccountState::Active => Ok(Invitation::Reset(account)),
            Some(_) => Err(AccountError::Frozen),
            None => Err(AccountError::LinkDead),
        },
        _ => Err(AccountError::LinkDead),
    }
}

/// Makes the first administrator and uses the link up.
///
/// # Errors
/// [`AccountError::LinkDead`]; or where name, address or password break a rule, and then the link still works.
pub async fn accept_first_administrator(
    app: &App,
    secret: &str,
    name: String,
    email: String,
    password: SecretString,
    origin: Origin,
) -> Result<Account, AccountError> {
    look(app, secret).await?;
    let chosen: AccountName = name.parse()?;
    let new = NewAccount { name, email, role: AccountRole::Admin, password: Some(password) };
    let ready = ReadyAccount::prepare(app, new).await?;
    let now = app.now();
    let mut tx = app.store.write().await?;
    // Used up first: on PostgreSQL the second of two at once waits here, and then finds it used.
    let first = sessions::use_link(&mut tx, &secret_hash(secret), now).await?;
    if !first || accounts::administrators(&mut tx).await? > 0 {
        return Err(AccountError::LinkDead);
    }
    let by = Actor::System { part: format!("one-time link for {chosen}") };
    let account = ready.insert(&mut tx, now, by, Some(origin)).await?;
    tx.commit().await?;
    app.committed();
    Ok(account)
}

/// Sets a new password, takes the second factor off, ends all sessions and management tokens, and uses the link up.
///
/// # Errors
/// [`AccountError::LinkDead`]; or where the password breaks a rule, and then the link still works.
pub async fn accept_reset(
    app: &App,
    secret: &str,
    password: SecretString,
    origin: Origin,
) -> Result<Account, AccountError> {
    look(app, secret).await?;
    let hash = app.sign_in.hash(Password::choose(password)?).await?;
    let now = app.now();
    let mut tx = app.store.write().await?;
    let Invitation::Reset(account) = look_in(&mut tx, secret, now).await? else {
        return Err(AccountError::LinkDead);
    };
    if !sessions::use_link(&mut tx, &secret_hash(secret), now).await? {
        return Err(AccountError::LinkDead);
    }
    accounts::set_password(&mut tx, account.id, &hash).await?;
    sessions::end_all(&mut tx, account.id, now).await?;
    let cause = "the password was set anew";
    management_token::end_all(&mut tx, now, account.id, cause, &actor(&account), Some(&origin)).await?;
    let had_factor = second_factor::forget(&mut tx, account.id, now).await?;
    let mut events = vec![("account:password:reset", json!({}))];
    if had_factor {
        events.push(("account:two_factor:method_removed", json!({ "method": "totp", "reason": "reset" })));
    }
    for (tag, details) in events {
        let mut event = Event::new(tag, actor(&account));
        event.account = Some(account.id);
        event.details = details;
        event.origin = Some(origin.clone());
        history::record(&mut tx, now, event).await?;
    }
    tx.commit().await?;
    app.committed();
    Ok(account)
}
