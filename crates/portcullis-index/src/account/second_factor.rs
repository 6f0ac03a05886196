//! The second factor: codes that change with time (TOTP, RFC 6238), and recovery codes for the day the telephone is gone.
//!
//! A secret under enrolment lies in no table: it travels sealed in the form, bound to the session, until its first code
//! proves that the person has it. So nobody can prepare one that its owner later confirms.

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use totp_rs::{Algorithm, Builder, Secret, Totp};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::session::{self, HalfSignedIn, SignedIn, secret_hash};
use super::{AccountError, actor, throttle};
use crate::app::App;
use crate::clock::Instant;
use crate::history::{self, Event, Origin};
use crate::ids::AccountId;
use crate::management_token;
use crate::settings::TwoFactor;
use crate::store::accounts::{self, Account, AccountRole, AccountState, SecondFactor};
use crate::store::sessions::{self, SessionStage};
use crate::store::{self, Tx};

/// Seconds that a code stands for, and digits it has: what every authenticator application can do.
const STEP_SECONDS: u64 = 30;
const DIGITS: u8 = 6;
/// Steps before and after the present one whose codes are taken too, for clocks that differ.
const SKEW: u16 = 1;
/// Recovery codes made at once.
const RECOVERY_CODES: usize = 10;

/// Whether an account of this role needs a second factor here.
#[must_use]
pub fn required_of(app: &App, role: AccountRole) -> bool {
    session::works_at_desk(role) || app.settings.two_factor == TwoFactor::Required
}

/// The factor of an account that counts: its first code was given, and it was not removed.
pub(crate) async fn confirmed(tx: &mut Tx, account: AccountId) -> store::Result<Option<SecondFactor>> {
    let factors = accounts::second_factors(tx, account).await?;
    Ok(factors.into_iter().find(|factor| factor.confirmed_at.is_some()))
}

/// What an account has of second factors.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// Since when codes are asked for; none: they aren't.
    pub since: Option<Instant>,
    /// Recovery codes that may still be used.
    pub recovery_codes: i64,
    /// Whether it may not be without.
    pub required: bool,
}

/// What an account has of second factors.
///
/// # Errors
/// Where the database refuses.
pub async fn standing(app: &App, account: &Account) -> store::Result<Standing> {
    let mut tx = app.store.read().await?;
    Ok(Standing {
        since: confirmed(&mut tx, account.id).await?.and_then(|factor| factor.confirmed_at),
        recovery_codes: accounts::recovery_codes_left(&mut tx, account.id).await?,
        required: required_of(app, account.role),
    })
}

/// A secret that is offered to be put into an authenticator application.
#[derive(Debug)]
pub struct Enrolment {
    /// The secret as text, in groups of four.
    pub secret: SecretString,
    /// The same as an `otpauth:` address, which applications on the same device open.
    pub url: SecretString,
    /// The secret under the server key, for the form: only this session can bring it back.
    pub sealed: String,
}

fn totp(app: &App, account: &Account, secret: &[u8]) -> Result<Totp, AccountError> {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(DIGITS)
        .with_skew(SKEW)
        .with_step_duration(STEP_SECONDS)
        .with_secret(Secret::from(secret.to_vec()))
        .with_account_name(account.name.as_str())
        // A colon separates issuer and name in the address, so an IPv6 host loses its own.
        .with_issuer(Some(format!("Portcullis {}", app.host().replace(':', "."))))
        .build()
        .map_err(|error| AccountError::SecondFactor(error.to_string()))
}

fn enrolment_place(session: &str) -> String {
    format!("enrolment:{session}")
}

fn factor_place(id: Uuid) -> String {
    format!("second_factors:{id}")
}

/// Offers a new secret to a session.
///
/// # Errors
/// Where it can't be sealed.
pub fn begin(app: &App, account: &Account, session: &str) -> Result<Enrolment, AccountError> {
    let secret: Zeroizing<[u8; 20]> = Zeroizing::new(rand::random());
    let sealed = app.server_key.seal(&enrolment_place(session), secret.as_slice())?;
    offer(app, account, secret.as_slice(), hex::encode(sealed))
}

/// The same offer once more, after a code that was not right.
///
/// # Errors
/// Where the sealed secret is not this session's.
pub fn resume(app: &App, account: &Account, session: &str, sealed: &str) -> Result<Enrolment, AccountError> {
    let secret = open_enrolment(app, session, sealed)?;
    offer(app, account, &secret, sealed.to_owned())
}

fn offer(app: &App, account: &Account, secret: &[u8], sealed: String) -> Result<Enrolment, AccountError> {
    let totp = totp(app, account, secret)?;
    let url = totp.to_url().map_err(|error| AccountError::SecondFactor(error.to_string()))?;
    Ok(Enrolment {
        secret: SecretString::from(in_groups(&totp.secret().to_base32(), " ")),
        url: SecretString::from(url),
        sealed,
    })
}

fn open_enrolment(app: &App, session: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, AccountError> {
    let sealed = hex::decode(sealed).map_err(|_| AccountError::WrongCode)?;
    Ok(app.server_key.open(&enrolment_place(session), &sealed)?)
}

fn in_groups(text: &str, separator: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(separator)
}

/// A second factor that has just been set up.
#[derive(Debug)]
pub struct Enrolled {
    /// Shown once: only their hashes are kept.
    pub recovery_codes: Vec<SecretString>,
    /// The cookie of the session that takes the place of all earlier ones.
    pub cookie: SecretString,
}

/// Who may set up a second factor: who is signed in, or who was led to it after the password.
#[derive(Debug, Clone, Copy)]
pub enum Enroller<'a> {
    /// By the account page.
    SignedIn(&'a SignedIn),
    /// In the course of signing in.
    Half(&'a HalfSignedIn),
}

impl Enroller<'_> {
    /// Whose factor it becomes.
    #[must_use]
    pub fn account(&self) -> &Account {
        match self {
            Self::SignedIn(signed_in) => signed_in.account(),
            Self::Half(half) => half.account(),
        }
    }

    /// The session that the offer is bound to.
    #[must_use]
    pub fn session(&self) -> &str {
        match self {
            Self::SignedIn(signed_in) => signed_in.session(),
            Self::Half(half) => half.session(),
        }
    }
}

/// Takes the first code of an offered secret: from now on codes are asked for. All sessions end but the new one.
///
/// # Errors
/// [`AccountError::WrongCode`]; [`AccountError::HasSecondFactor`] where there is one already.
pub async fn enrol(
    app: &App,
    enroller: Enroller<'_>,
    sealed: &str,
    code: &str,
    origin: Origin,
) -> Result<Enrolled, AccountError> {
    let account = enroller.account();
    let now = app.now();
    let secret = open_enrolment(app, enroller.session(), sealed)?;
    let attempt = app.sign_in.throttle.attempt(&throttle::keys_of_account(account.id), now);
    let attempt = attempt.map_err(AccountError::TooManyAttempts)?;
    let step = matching_step(&totp(app, account, &secret)?, code, now).ok_or(AccountError::WrongCode)?;
    let id = Uuid::now_v7();
    let kept = app.server_key.seal(&factor_place(id), &secret)?;
    let codes: Vec<SecretString> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
    let hashes: Vec<String> =
        codes.iter().map(|code| recovery_hash(account.id, code.expose_secret())).collect();

    let mut tx = app.store.write().await?;
    // The account's row is what two enrolments at once meet at.
    active(&mut tx, account.id).await?;
    if confirmed(&mut tx, account.id).await?.is_some() {
        return Err(AccountError::HasSecondFactor);
    }
    accounts::insert_second_factor(&mut tx, id, account.id, "authenticator", &kept, now).await?;
    accounts::use_second_factor(&mut tx, id, step, now).await?;
    accounts::end_recovery_codes(&mut tx, account.id, now).await?;
    accounts::insert_recovery_codes(&mut tx, account.id, &hashes, now).await?;
    sessions::end_all(&mut tx, account.id, now).await?;
    let cookie = session::open(&mut tx, now, account.id, SessionStage::Complete).await?;
    let mut events = vec![
        ("account:two_factor:method_added", json!({ "method": "totp", "label": "authenticator" })),
        ("account:recovery_codes:generated", json!({ "number": RECOVERY_CODES })),
    ];
    if matches!(enroller, Enroller::Half(_)) {
        events.push(("account:login:success", json!({ "two_factor_method": "totp" })));
    }
    for (tag, details) in events {
        record(&mut tx, now, account, tag, details, &origin).await?;
    }
    tx.commit().await?;
    app.committed();
    attempt.succeeded();
    Ok(Enrolled { recovery_codes: codes, cookie })
}

/// How a second factor was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Totp,
    RecoveryCode,
}

impl Method {
    fn word(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery-code",
        }
    }
}

/// Completes a sign-in with a code: six digits, or a recovery code. Returns the cookie of the new session.
///
/// # Errors
/// [`AccountError::WrongCode`], also for a code that was used before; [`AccountError::TooManyAttempts`].
pub async fn complete(
    app: &App,
    half: &HalfSignedIn,
    code: &str,
    origin: Origin,
) -> Result<SecretString, AccountError> {
    let account = half.account();
    let now = app.now();
    let attempt = app.sign_in.throttle.attempt(&throttle::keys_of_account(account.id), now);
    let attempt = attempt.map_err(AccountError::TooManyAttempts)?;
    let mut tx = app.store.write().await?;
    active(&mut tx, account.id).await?;
    let Some(method) = take_code(app, &mut tx, account, code, now).await? else {
        let reason = if looks_like_totp(code) { "invalid_totp" } else { "invalid_recovery_code" };
        record(&mut tx, now, account, "account:login:failure", json!({ "reason": reason }), &origin).await?;
        tx.commit().await?;
        app.committed();
        return Err(AccountError::WrongCode);
    };
    sessions::end(&mut tx, half.session(), now).await?;
    let cookie = session::open(&mut tx, now, account.id, SessionStage::Complete).await?;
    if method == Method::RecoveryCode {
        record(&mut tx, now, account, "account:recovery_codes:used", json!({}), &origin).await?;
    }
    let details = json!({ "two_factor_method": method.word() });
    record(&mut tx, now, account, "account:login:success", details, &origin).await?;
    tx.commit().await?;
    app.committed();
    attempt.succeeded();
    Ok(cookie)
}

/// Removes the second factor, against a code of it or a recovery code; needed to move to a new telephone. All sessions
/// end. Where a factor is required the next sign-in leads to setting up another one.
///
/// # Errors
/// [`AccountError::WrongCode`]; [`AccountError::TooManyAttempts`].
pub async fn remove(app: &App, signed_in: &SignedIn, code: &str, origin: Origin) -> Result<(), AccountError> {
    let account = signed_in.account();
    let now = app.now();
    let attempt = app.sign_in.throttle.attempt(&throttle::keys_of_account(account.id), now);
    let attempt = attempt.map_err(AccountError::TooManyAttempts)?;
    let mut tx = app.store.write().await?;
    active(&mut tx, account.id).await?;
    if take_code(app, &mut tx, account, code, now).await?.is_none() {
        return Err(AccountError::WrongCode);
    }
    forget(&mut tx, account.id, now).await?;
    sessions::end_all(&mut tx, account.id, now).await?;
    let cause = "the second factor was taken off";
    management_token::end_all(&mut tx, now, account.id, cause, &actor(account), Some(&origin)).await?;
    let details = json!({ "method": "totp", "label": "authenticator" });
    record(&mut tx, now, account, "account:two_factor:method_removed", details, &origin).await?;
    tx.commit().await?;
    app.committed();
    attempt.succeeded();
    Ok(())
}

/// Retires every factor and recovery code of an account; says whether there was one.
pub(crate) async fn forget(tx: &mut Tx, account: AccountId, now: Instant) -> store::Result<bool> {
    let factors = accounts::second_factors(tx, account).await?;
    for factor in &factors {
        accounts::remove_second_factor(tx, factor.id, now).await?;
    }
    accounts::end_recovery_codes(tx, account, now).await?;
    Ok(!factors.is_empty())
}

async fn active(tx: &mut Tx, account: AccountId) -> Result<(), AccountError> {
    match accounts::by_id_for_update(tx, account).await? {
        Some(account) if account.state == AccountState::Active => Ok(()),
        _ => Err(AccountError::Frozen),
    }
}

async fn record(
    tx: &mut Tx,
    now: Instant,
    account: &Account,
    tag: &'static str,
    details: serde_json::Value,
    origin: &Origin,
) -> store::Result<()> {
    let mut event = Event::new(tag, actor(account));
    event.account = Some(account.id);
    event.details = details;
    event.origin = Some(origin.clone());
    history::record(tx, now, event).await.map(|_| ())
}

/// Checks a code and uses it up in the same transaction: the database decides which of two at once was first.
pub(super) async fn take_code(
    app: &App,
    tx: &mut Tx,
    account: &Account,
    code: &str,
    now: Instant,
) -> Result<Option<Method>, AccountError> {
    if looks_like_totp(code) {
        let Some(factor) = confirmed(tx, account.id).await? else { return Ok(None) };
        let secret = app.server_key.open(&factor_place(factor.id), &factor.sealed)?;
        let Some(step) = matching_step(&totp(app, account, &secret)?, code, now) else { return Ok(None) };
        let fresh = accounts::use_second_factor(tx, factor.id, step, now).await?;
        return Ok(fresh.then_some(Method::Totp));
    }
    let hash = recovery_hash(account.id, code);
    let fresh = accounts::use_recovery_code(tx, account.id, &hash, now).await?;
    Ok(fresh.then_some(Method::RecoveryCode))
}

/// Codes are typed in groups, too.
fn plain(code: &str) -> String {
    code.chars()
        .filter(|character| !matches!(character, ' ' | '-'))
        .take(64)
        .collect::<String>()
        .to_ascii_lowercase()
}

fn looks_like_totp(code: &str) -> bool {
    let code = plain(code);
    code.len() == usize::from(DIGITS) && code.bytes().all(|byte| byte.is_ascii_digit())
}

fn matching_step(totp: &Totp, code: &str, now: Instant) -> Option<i64> {
    let seconds = u64::try_from(now.unix_seconds()).ok()?;
    totp.check(&plain(code), seconds).and_then(|step| i64::try_from(step).ok())
}

/// A recovery code has 80 random bits: far too many to guess, so one plain hash is enough.
fn recovery_code() -> SecretString {
    let bytes: Zeroizing<[u8; 10]> = Zeroizing::new(rand::random());
    let text = Secret::from(bytes.to_vec()).to_base32().to_ascii_lowercase();
    SecretString::from(in_groups(&text, "-"))
}

fn recovery_hash(account: AccountId, code: &str) -> String {
    secret_hash(&format!("recovery code of {account}: {}", plain(code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_codes_read_well_and_are_forgiving() {
        let code = recovery_code();
        let text = code.expose_secret();
        assert_eq!(text.len(), 19);
        assert!(!looks_like_totp(text));
        let account = AccountId::new();
        let shouted = text.to_ascii_uppercase().replace('-', " ");
        assert_eq!(recovery_hash(account, text), recovery_hash(account, &shouted));
        assert_ne!(recovery_hash(account, text), recovery_hash(AccountId::new(), text));
    }

    #[test]
    fn six_digits_are_a_code_however_they_are_grouped() {
        for (code, totp) in
            [("123456", true), ("123 456", true), ("12345", false), ("1234567", false), ("12345a", false)]
        {
            assert_eq!(looks_like_totp(code), totp, "{code}");
        }
    }
}
