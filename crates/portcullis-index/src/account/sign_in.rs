//! The first step of a sign-in: name and password.

use secrecy::SecretString;
use serde_json::json;

use super::session::{self, works_at_desk};
use super::{AccountError, AccountName, actor, second_factor, throttle};
use crate::app::App;
use crate::clock::Instant;
use crate::history::{self, Actor, Event, Origin};
use crate::store::accounts::{self, AccountState};
use crate::store::events;
use crate::store::sessions::SessionStage;

/// What comes after the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: signed in.
    Done,
    /// A code of the second factor.
    Code,
    /// A second factor has to be set up.
    Enrol,
}

/// A session that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The cookie's value.
    pub cookie: SecretString,
    /// What comes next.
    pub next: Next,
    /// Whether the account works at the desk.
    pub works_at_desk: bool,
}

/// Why a sign-in was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No account has this name and password. It is not said which of the two is wrong.
    #[error("name or password is not right")]
    Wrong,
    /// The password is right and the account may not act.
    #[error("this account is frozen; ask {0}")]
    Frozen(String),
    /// Anything else.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<crate::store::StoreError> for SignInError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Account(error.into())
    }
}

/// How long a network counts as known after somebody signed in from it, in seconds.
const KNOWN_SECONDS: i64 = 90 * 86_400;

/// Whether the account signed in from this network before. Asked only of somebody who would have to wait: strangers' attempts
/// from everywhere must not keep a responder out in the middle of an incident.
async fn knows_network(
    app: &App,
    name_normalised: &str,
    address: std::net::IpAddr,
    now: Instant,
) -> Result<bool, SignInError> {
    let mut tx = app.store.read().await?;
    let Some(account) = accounts::by_name(&mut tx, name_normalised).await? else { return Ok(false) };
    let since = now.plus_seconds(-KNOWN_SECONDS);
    let known = events::addresses_of_sign_ins(&mut tx, account.id, since).await?;
    let network = throttle::network(address);
    Ok(known.into_iter().any(|known| throttle::network(known) == network))
}

/// Signs in by name and password. An unknown name takes the same time as a wrong password: the same hashing, and an event
/// either way.
///
/// # Errors
/// [`SignInError::Wrong`], [`SignInError::Frozen`], or [`AccountError::TooManyAttempts`] with the time to try again.
pub async fn with_password(
    app: &App,
    name: &str,
    password: SecretString,
    origin: Origin,
) -> Result<Opened, SignInError> {
    let now = app.now();
    // What is no name is nobody's: all such attempts count as one account's.
    let normalised = name.trim().parse::<AccountName>().map(|name| name.normalised()).unwrap_or_default();
    let keys = throttle::keys_of_sign_in(&normalised, origin.address);
    let attempt = match app.sign_in.throttle.attempt(&keys, now) {
        Ok(attempt) => attempt,
        Err(_) if knows_network(app, &normalised, origin.address, now).await? => {
            let keys = throttle::keys_of_known_network(&normalised, origin.address);
            app.sign_in.throttle.attempt(&keys, now).map_err(AccountError::TooManyAttempts)?
        }
        Err(until) => return Err(AccountError::TooManyAttempts(until).into()),
    };
    let mut tx = app.store.read().await?;
    let found = accounts::by_name(&mut tx, &normalised).await?;
    drop(tx);
    let hash = found.as_ref().and_then(|account| account.password_hash.clone());
    let right = match app.sign_in.verify(hash.clone(), password).await {
        Ok(right) => right,
        Err(error) => {
            // Nothing was tried: the server is too busy, or at fault itself.
            attempt.succeeded();
            return Err(AccountError::Password(error).into());
        }
    };

    let mut tx = app.store.write().await?;
    let mut event = Event::new("account:login:failure", Actor::Anonymous);
    event.origin = Some(origin);
    // The name that was tried is not recorded: people type passwords into the wrong field.
    event.details = json!({ "reason": "invalid_password" });
    event.account = found.as_ref().map(|account| account.id);
    let current = match (&found, right) {
        (Some(found), true) => accounts::by_id_for_update(&mut tx, found.id).await?,
        _ => None,
    };
    // The password may have been changed while this one was being hashed.
    let Some(account) = current.filter(|account| account.password_hash == hash) else {
        history::record(&mut tx, now, event).await?;
        tx.commit().await?;
        app.committed();
        return Err(SignInError::Wrong);
    };
    if account.state == AccountState::Frozen {
        event.details = json!({ "reason": "account_frozen" });
        history::record(&mut tx, now, event).await?;
        tx.commit().await?;
        app.committed();
        return Err(SignInError::Frozen(app.contact().to_owned()));
    }
    let next = if second_factor::confirmed(&mut tx, account.id).await?.is_some() {
        Next::Code
    } else if second_factor::required_of(app, account.role) {
        Next::Enrol
    } else {
        Next::Done
    };
    let stage = if next == Next::Done { SessionStage::Complete } else { SessionStage::Password };
    let cookie = session::open(&mut tx, now, account.id, stage).await?;
    if next == Next::Done {
        let mut event = Event { tag: "account:login:success", actor: actor(&account), ..event };
        event.details = json!({ "two_factor_method": null });
        history::record(&mut tx, now, event).await?;
    }
    tx.commit().await?;
    app.committed();
    attempt.succeeded();
    Ok(Opened { cookie, next, works_at_desk: works_at_desk(account.role) })
}
