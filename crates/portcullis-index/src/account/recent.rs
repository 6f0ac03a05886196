//! Proving again who one is, before something is made that outlives the session.
//!
//! A session that somebody stole or found open must not be enough for a token that works for a year: what makes one takes
//! [`Proved`], which only [`prove`] makes.

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::session::SignedIn;
use super::{AccountError, actor, second_factor, throttle};
use crate::app::App;
use crate::authority::{AuthorityError, Requester};
use crate::clock::Instant;
use crate::history::{self, Event, Origin};
use crate::store::accounts::{self, Account, AccountState};
use crate::store::{self, Tx, sessions};

/// How long a proof of who one is counts, in seconds.
pub const FRESH_SECONDS: i64 = 10 * 60;

/// Somebody who is signed in and proved lately who they are.
#[derive(Debug, Clone)]
pub struct Proved<'a>(&'a SignedIn);

impl Proved<'_> {
    /// Who.
    #[must_use]
    pub fn account(&self) -> &Account {
        self.0.account()
    }

    /// Reads and locks again what the proof rests on; the first thing in the transaction that acts on it.
    ///
    /// # Errors
    /// [`AuthorityError::Unknown`] where the session has ended meanwhile, [`AuthorityError::Frozen`].
    pub(crate) async fn confirm(&self, tx: &mut Tx, now: Instant) -> Result<(), AuthorityError> {
        Requester::of_session(self.0).confirm(tx, now).await.map(|_| ())
    }
}

/// What somebody gives to prove who they are; empty where they give nothing.
#[derive(Debug)]
pub struct Given {
    /// The password.
    pub password: SecretString,
    /// A code of the second factor, or a recovery code.
    pub code: String,
}

/// What has to be asked for first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The password.
    pub password: bool,
    /// A code beside it.
    pub code: bool,
}

fn is_fresh(by: &SignedIn, now: Instant) -> bool {
    by.authenticated_at().plus_seconds(FRESH_SECONDS) > now
}

/// What a form for such a thing has to ask for.
///
/// # Errors
/// Where the database refuses.
pub async fn asked(app: &App, by: &SignedIn) -> store::Result<Asked> {
    if is_fresh(by, app.now()) {
        return Ok(Asked { password: false, code: false });
    }
    let mut tx = app.store.read().await?;
    let code = second_factor::confirmed(&mut tx, by.account().id).await?.is_some();
    Ok(Asked { password: true, code })
}

/// The proof of a session that is fresh as it is; for programs, which are not asked.
#[must_use]
pub fn fresh<'a>(app: &App, by: &'a SignedIn) -> Option<Proved<'a>> {
    is_fresh(by, app.now()).then_some(Proved(by))
}

/// Takes a session whose owner proved lately who they are, or takes the proof now: the password, and a code where there is a
/// second factor. It counts for the next ten minutes.
///
/// # Errors
/// [`AccountError::ProveAgain`] where nothing is given; [`AccountError::WrongPassword`]; [`AccountError::WrongCode`];
/// [`AccountError::TooManyAttempts`].
pub async fn prove<'a>(
    app: &App,
    by: &'a SignedIn,
    given: Given,
    origin: &Origin,
) -> Result<Proved<'a>, AccountError> {
    let now = app.now();
    if is_fresh(by, now) {
        return Ok(Proved(by));
    }
    if given.password.expose_secret().is_empty() {
        return Err(AccountError::ProveAgain);
    }
    let account = by.account();
    let attempt = app.sign_in.throttle.attempt(&throttle::keys_of_account(account.id), now);
    let attempt = attempt.map_err(AccountError::TooManyAttempts)?;
    let right = app.sign_in.verify(account.password_hash.clone(), given.password).await?;
    let mut tx = app.store.write().await?;
    let current = accounts::by_id_for_update(&mut tx, account.id).await?;
    let current = current.filter(|current| current.state == AccountState::Active);
    let current = current.ok_or(AccountError::Frozen)?;
    let refusal = if !right || current.password_hash != account.password_hash {
        Some(("invalid_password", AccountError::WrongPassword))
    } else if second_factor::confirmed(&mut tx, account.id).await?.is_some()
        && second_factor::take_code(app, &mut tx, account, &given.code, now).await?.is_none()
    {
        Some(("invalid_code", AccountError::WrongCode))
    } else {
        None
    };
    if let Some((reason, error)) = refusal {
        let mut event = Event::new("account:reauthenticate:failure", actor(account));
        event.account = Some(account.id);
        event.details = json!({ "reason": reason });
        event.origin = Some(origin.clone());
        history::record(&mut tx, now, event).await?;
        tx.commit().await?;
        app.committed();
        return Err(error);
    }
    sessions::set_authenticated(&mut tx, by.session(), now).await?;
    tx.commit().await?;
    attempt.succeeded();
    Ok(Proved(by))
}
