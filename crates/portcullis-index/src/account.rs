//! Accounts of people: how they are made, how they sign in, and how their history reads.
//!
//! Everything here decides; `web/` only asks. A change and its event are one transaction.

use std::fmt;
use std::str::FromStr;

use secrecy::SecretString;
use serde_json::json;

use crate::app::App;
use crate::clock::Instant;
use crate::history::{self, Actor, Event, Origin};
use crate::ids::AccountId;
use crate::management_token;
use crate::server_key::ServerKeyError;
use crate::store::accounts::{self, Account, AccountRole, AccountState};
use crate::store::{StoreError, Tx, sessions};

pub mod one_time_link;
pub mod password;
pub mod recent;
pub mod second_factor;
pub mod session;
pub mod sign_in;
pub mod throttle;

pub use one_time_link::{first_administrator_link, reset_link};
use password::{Password, PasswordError};
use throttle::Throttle;

/// Why something about an account was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The name breaks the rule.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The mail address is none.
    #[error(transparent)]
    Email(#[from] EmailError),
    /// Somebody has the name.
    #[error("the account name {0} is taken; choose another one")]
    NameTaken(String),
    /// The password can't be one, or could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// No account has the name.
    #[error("there is no account named {0}")]
    Unknown(String),
    /// The account may not act.
    #[error("the account is frozen")]
    Frozen,
    /// The present password, asked for before a change, is not it.
    #[error("the present password is not right; nothing was changed")]
    WrongPassword,
    /// It is a while since they proved who they are.
    #[error(
        "it is a while since you signed in: for this, give your password again, and a code where you have a second factor"
    )]
    ProveAgain,
    /// A reason is missing.
    #[error("say why; the history keeps the reason")]
    NoReason,
    /// The account is in that state already.
    #[error("the account is {0} already")]
    AlreadySo(AccountState),
    /// The link was used, has expired, or never was.
    #[error("this link was used already or has expired; ask for a new one")]
    LinkDead,
    /// A code of the second factor is not right, or was used before.
    #[error("the code is not right or was used before; wait for the next one and enter that")]
    WrongCode,
    /// The account has a second factor already.
    #[error("the account has a second factor already; remove it first")]
    HasSecondFactor,
    /// Too many attempts.
    #[error("too many attempts; try again at {}", .0.for_people())]
    TooManyAttempts(Instant),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sealed value does not open.
    #[error(transparent)]
    Key(#[from] ServerKeyError),
    /// The second factor's secret can't be used.
    #[error("the second factor can't be used: {0}")]
    SecondFactor(String),
}

/// The name of an account: 1 to 50 ASCII letters, digits, `.`, `_` and `-`, as PyPI's, beginning and ending with a
/// letter or digit. Two names that differ in case alone are the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountName(String);

/// Longest account name, in characters.
pub const NAME_LIMIT: usize = 50;

/// Why a name is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "an account name has 1 to {NAME_LIMIT} ASCII letters, digits, `.`, `_` or `-`, and begins and ends with a letter or digit"
)]
pub struct NameError;

impl AccountName {
    /// What two spellings of one name share.
    #[must_use]
    pub fn normalised(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for AccountName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return Err(NameError) };
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        let good = bytes.len() <= NAME_LIMIT
            && bytes.iter().all(allowed)
            && first.is_ascii_alphanumeric()
            && last.is_ascii_alphanumeric();
        if good { Ok(Self(text.to_owned())) } else { Err(NameError) }
    }
}

/// A mail address that a notice can be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress(String);

/// Longest mail address, in bytes (RFC 5321, 4.5.3.1.3: a path of 256 with its brackets).
pub const EMAIL_LIMIT: usize = 254;

/// Why an address is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "that is no mail address that a notice can be sent to; expected NAME@HOST, at most {EMAIL_LIMIT} characters"
)]
pub struct EmailError;

impl EmailAddress {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmailAddress {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        // lettre parses the same way when it sends: what passes here can be written to.
        let plain =
            text.len() <= EMAIL_LIMIT && text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_control());
        if plain && text.parse::<lettre::Address>().is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(EmailError)
        }
    }
}

/// An account to be made.
#[derive(Debug)]
pub struct NewAccount {
    /// Its name.
    pub name: String,
    /// Its mail address; whoever makes the account vouches for it, so it counts as verified.
    pub email: String,
    /// What it may do on the server.
    pub role: AccountRole,
    /// Its password; none: it is set by a one-time link.
    pub password: Option<SecretString>,
}

/// Makes an account.
///
/// # Errors
/// Where name, address or password break a rule, or the name is taken.
pub async fn add(app: &App, new: NewAccount, actor: Actor) -> Result<Account, AccountError> {
    let ready = ReadyAccount::prepare(app, new).await?;
    let mut tx = app.store.write().await?;
    let account = ready.insert(&mut tx, app.now(), actor, None).await?;
    tx.commit().await?;
    app.committed();
    Ok(account)
}

/// An account whose fields were checked and whose password is hashed: what is slow is done before the transaction.
pub(crate) struct ReadyAccount {
    name: AccountName,
    email: EmailAddress,
    role: AccountRole,
    password_hash: Option<String>,
}

impl ReadyAccount {
    pub(crate) async fn prepare(app: &App, new: NewAccount) -> Result<Self, AccountError> {
        let name: AccountName = new.name.parse()?;
        let email: EmailAddress = new.email.parse()?;
        let password_hash = match new.password {
            Some(password) => Some(app.sign_in.hash(Password::choose(password)?).await?),
            None => None,
        };
        Ok(Self { name, email, role: new.role, password_hash })
    }

    pub(crate) async fn insert(
        self,
        tx: &mut Tx,
        now: Instant,
        actor: Actor,
        origin: Option<Origin>,
    ) -> Result<Account, AccountError> {
        let normalised = self.name.normalised();
        if accounts::by_name(tx, &normalised).await?.is_some() {
            return Err(AccountError::NameTaken(normalised));
        }
        let account = Account {
            id: AccountId::new(),
            name: self.name.to_string(),
            role: self.role,
            state: AccountState::Active,
            password_hash: self.password_hash,
            created_at: now,
        };
        accounts::insert(tx, &account, &normalised).await.map_err(|error| {
            if error.is_unique_violation() { AccountError::NameTaken(normalised) } else { error.into() }
        })?;
        accounts::insert_email(tx, account.id, self.email.as_str(), true, Some(now), now).await?;
        let mut event = Event::new("account:create", actor);
        event.account = Some(account.id);
        // The address is personal and stands in its own table; the history can't be erased.
        event.details = json!({ "name": account.name, "role": account.role });
        event.origin = origin;
        history::record(tx, now, event).await?;
        Ok(account)
    }
}

/// The account of this name, however it is spelled.
///
/// # Errors
/// [`AccountError::Unknown`] where there is none.
pub async fn by_name(app: &App, name: &str) -> Result<Account, AccountError> {
    let unknown = || AccountError::Unknown(crate::visible::visible(name, NAME_LIMIT));
    let normalised = name.parse::<AccountName>().map_err(|_| unknown())?.normalised();
    let mut tx = app.store.read().await?;
    accounts::by_name(&mut tx, &normalised).await?.ok_or_else(unknown)
}

/// Erases the personal fields of an account (addresses, clients, mail). The history stays, and says so. Returns how many rows
/// held some.
///
/// # Errors
/// Where the database refuses.
pub async fn erase(app: &App, account: &Account, reason: &str, actor: Actor) -> Result<u64, AccountError> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    let rows = crate::store::events::erase_personal(&mut tx, account.id, now).await?;
    sessions::end_all(&mut tx, account.id, now).await?;
    management_token::end_all(&mut tx, now, account.id, "the account was erased", &actor, None).await?;
    let mut event = Event::new("account:erase", actor);
    event.account = Some(account.id);
    event.details = json!({ "reason": crate::visible::visible(reason, 500), "rows": rows });
    history::record(&mut tx, now, event).await?;
    tx.commit().await?;
    app.committed();
    Ok(rows)
}

/// An account as the actor of what it does.
#[must_use]
pub fn actor(account: &Account) -> Actor {
    Actor::Account { id: account.id, name: account.name.clone() }
}

/// Freezes an account: it can't sign in, its sessions end, and neither its upload tokens nor its management tokens are taken
/// until it is thawed.
///
/// # Errors
/// [`AccountError::NoReason`]; [`AccountError::AlreadySo`] where it is frozen.
pub async fn freeze(app: &App, account: &Account, reason: &str, by: Actor) -> Result<(), AccountError> {
    change_state(app, account, AccountState::Frozen, reason, by).await
}

/// Lets a frozen account act again. Its sessions stay ended; its tokens are what they were.
///
/// # Errors
/// [`AccountError::NoReason`]; [`AccountError::AlreadySo`] where it is not frozen.
pub async fn unfreeze(app: &App, account: &Account, reason: &str, by: Actor) -> Result<(), AccountError> {
    change_state(app, account, AccountState::Active, reason, by).await
}

async fn change_state(
    app: &App,
    account: &Account,
    state: AccountState,
    reason: &str,
    by: Actor,
) -> Result<(), AccountError> {
    let reason = crate::visible::visible(reason.trim(), 500);
    if reason.is_empty() {
        return Err(AccountError::NoReason);
    }
    let now = app.now();
    let mut tx = app.store.write().await?;
    let current = accounts::by_id_for_update(&mut tx, account.id).await?;
    let current = current.ok_or_else(|| AccountError::Unknown(account.name.clone()))?;
    if current.state == state {
        return Err(AccountError::AlreadySo(state));
    }
    let frozen = state == AccountState::Frozen;
    accounts::set_state(&mut tx, account.id, state, frozen.then_some(reason.as_str())).await?;
    if frozen {
        sessions::end_all(&mut tx, account.id, now).await?;
    }
    let mut event = Event::new(if frozen { "account:freeze" } else { "account:unfreeze" }, by);
    event.account = Some(account.id);
    event.details = json!({ "reason": reason });
    history::record(&mut tx, now, event).await?;
    tx.commit().await?;
    app.committed();
    Ok(())
}

/// Replaces a password by its owner, who gives the present one. All sessions and management tokens end.
///
/// # Errors
/// [`AccountError::WrongPassword`], or where the new one breaks a rule.
pub async fn change_password(
    app: &App,
    account: &Account,
    present: SecretString,
    new: SecretString,
    origin: Origin,
) -> Result<(), AccountError> {
    let new = Password::choose(new)?;
    let now = app.now();
    let attempt = app.sign_in.throttle.attempt(&throttle::keys_of_account(account.id), now);
    let attempt = attempt.map_err(AccountError::TooManyAttempts)?;
    if !app.sign_in.verify(account.password_hash.clone(), present).await? {
        return Err(AccountError::WrongPassword);
    }
    attempt.succeeded();
    let hash = app.sign_in.hash(new).await?;
    let mut tx = app.store.write().await?;
    let current = accounts::by_id_for_update(&mut tx, account.id).await?;
    if current.is_none_or(|current| current.state != AccountState::Active) {
        return Err(AccountError::Frozen);
    }
    accounts::set_password(&mut tx, account.id, &hash).await?;
    sessions::end_all(&mut tx, account.id, now).await?;
    let (by, cause) = (actor(account), "the password was changed");
    management_token::end_all(&mut tx, now, account.id, cause, &by, Some(&origin)).await?;
    let mut event = Event::new("account:password:change", by);
    event.account = Some(account.id);
    event.origin = Some(origin);
    history::record(&mut tx, now, event).await?;
    tx.commit().await?;
    app.committed();
    Ok(())
}

/// What sign-in needs beside the database: who tried too often, and at most two passwords hashed at a time.
#[derive(Debug)]
pub struct SignInGuard {
    pub(crate) throttle: Throttle,
    hashing: tokio::sync::Semaphore,
    waiting: tokio::sync::Semaphore,
}

/// Passwords hashed at the same time. Each takes 19 MiB and a core for some 20 ms: without a bound, a flood of sign-ins is
/// a flood of memory.
const HASHING_AT_ONCE: usize = 2;

/// Passwords that may wait for it; whoever comes later is sent away at once, instead of after minutes.
const WAITING_AT_ONCE: usize = 100;

impl Default for SignInGuard {
    fn default() -> Self {
        Self {
            throttle: Throttle::default(),
            hashing: tokio::sync::Semaphore::new(HASHING_AT_ONCE),
            waiting: tokio::sync::Semaphore::new(WAITING_AT_ONCE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_rule_says() {
        for good in ["a", "Ada", "ada.lovelace", "a_b-c.d", "0", &"x".repeat(NAME_LIMIT)] {
            assert!(good.parse::<AccountName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "-ada", "ada_", "a b", "ädä", "a\n", "a/b", &"x".repeat(NAME_LIMIT + 1)] {
            assert!(bad.parse::<AccountName>().is_err(), "{bad:?}");
        }
        assert_eq!("Ada".parse::<AccountName>().unwrap().normalised(), "ada");
    }

    #[test]
    fn addresses_are_those_that_mail_can_be_sent_to() {
        assert!("ada@example.test".parse::<EmailAddress>().is_ok());
        let longest = format!(
            "ada@{}.test",
            ["x".repeat(60), "y".repeat(60), "z".repeat(60), "w".repeat(59)].join(".")
        );
        assert_eq!(longest.len(), 251);
        assert!(longest.parse::<EmailAddress>().is_ok());
        for bad in ["", "ada", "@example.test", "a b@example.test", "a@b\r\nBcc: c@d.test", &"x".repeat(255)]
        {
            assert!(bad.parse::<EmailAddress>().is_err(), "{bad:?}");
        }
    }
}
