//! Sessions of the pages: what a cookie proves.
//!
//! The cookie holds 256 random bits; the database holds their SHA-256. The form token is derived from the cookie, so that
//! every page can carry it and nobody who reads the database can make it. Every step of a sign-in gets a new session, so
//! that an id somebody planted in a browser never becomes a signed-in one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::second_factor;
use crate::app::App;
use crate::clock::Instant;
use crate::ids::AccountId;
use crate::store::accounts::{self, Account, AccountRole, AccountState};
use crate::store::sessions::{self, Session, SessionStage};
use crate::store::{self, Tx};

/// A session ends this many seconds after it began, whatever happens.
pub const ABSOLUTE_SECONDS: i64 = 7 * 24 * 60 * 60;
/// A session ends after so many seconds without a request.
pub const IDLE_SECONDS: i64 = 8 * 60 * 60;
/// How long the second factor may take after the password, in seconds.
pub const HALF_WAY_SECONDS: i64 = 15 * 60;
/// How exactly it is known when a session was last used, in seconds: each page must not be a write.
const SEEN_STEP_SECONDS: i64 = 60;

/// A random secret of 256 bits as text: a session's cookie, a one-time link.
pub(crate) fn random_secret() -> SecretString {
    let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
    SecretString::from(URL_SAFE_NO_PAD.encode(bytes.as_slice()))
}

/// What lies in the database of such a secret. It has 256 bits, so one plain hash is enough.
pub(crate) fn secret_hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// The token that every form of this session carries.
fn form_token(cookie: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"portcullis form token\0");
    hash.update(cookie.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// Opens a session and returns the cookie's value.
pub(crate) async fn open(
    tx: &mut Tx,
    now: Instant,
    account: AccountId,
    stage: SessionStage,
) -> store::Result<SecretString> {
    let cookie = random_secret();
    let lifetime = match stage {
        SessionStage::Password => HALF_WAY_SECONDS,
        SessionStage::Complete => ABSOLUTE_SECONDS,
    };
    let session = Session {
        id_hash: secret_hash(cookie.expose_secret()),
        account_id: account,
        csrf_hash: secret_hash(&form_token(cookie.expose_secret())),
        stage,
        seen_at: now,
        expires_at: now.plus_seconds(lifetime),
        authenticated_at: now,
    };
    sessions::insert(tx, &session, now).await?;
    Ok(cookie)
}

/// What a live session shows of its account, before it is decided what that is enough for.
#[derive(Debug, Clone)]
struct Presented {
    account: Account,
    id_hash: String,
    form_token: SecretString,
    authenticated_at: Instant,
}

/// Somebody who signed in, with the second factor where one is needed. Only [`authenticate`] makes one.
#[derive(Debug, Clone)]
pub struct SignedIn(Presented);

/// Somebody whose password was right and whose second factor is still to come. Only [`authenticate`] makes one.
#[derive(Debug, Clone)]
pub struct HalfSignedIn {
    presented: Presented,
    /// Whether they have no second factor yet, and must set one up.
    pub must_enrol: bool,
}

impl SignedIn {
    /// Who.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.0.account
    }

    /// The token that each form carries.
    #[must_use]
    pub fn form_token(&self) -> &str {
        self.0.form_token.expose_secret()
    }

    /// Whether this is the token of this session's forms; in constant time.
    #[must_use]
    pub fn owns_form(&self, token: &str) -> bool {
        same(self.form_token(), token)
    }

    /// Names the session in the database.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.0.id_hash
    }

    /// When the person last proved who they are.
    #[must_use]
    pub fn authenticated_at(&self) -> Instant {
        self.0.authenticated_at
    }
}

impl HalfSignedIn {
    /// Who.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.presented.account
    }

    /// The token that each form carries.
    #[must_use]
    pub fn form_token(&self) -> &str {
        self.presented.form_token.expose_secret()
    }

    /// Whether this is the token of this session's forms; in constant time.
    #[must_use]
    pub fn owns_form(&self, token: &str) -> bool {
        same(self.form_token(), token)
    }

    /// Names the session in the database.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.presented.id_hash
    }
}

/// Whether a role works at the desk.
#[must_use]
pub fn works_at_desk(role: AccountRole) -> bool {
    matches!(role, AccountRole::Responder | AccountRole::Admin)
}

fn same(expected: &str, given: &str) -> bool {
    expected.as_bytes().ct_eq(given.as_bytes()).into()
}

/// What a cookie proves.
#[derive(Debug, Clone)]
pub enum Visitor {
    /// Nothing.
    Anonymous,
    /// The password was right.
    Half(HalfSignedIn),
    /// Everything that is asked for.
    SignedIn(SignedIn),
}

impl Visitor {
    /// Who is signed in.
    #[must_use]
    pub fn signed_in(&self) -> Option<&SignedIn> {
        match self {
            Self::SignedIn(signed_in) => Some(signed_in),
            _ => None,
        }
    }
}

/// Looks a session up. A frozen account has none, whatever its cookies say; and where a second factor has come to be
/// needed (a new role, a new setting) and there is none, the session is half-way again.
///
/// # Errors
/// Where the database refuses.
pub async fn authenticate(app: &App, cookie: &str) -> store::Result<Visitor> {
    let now = app.now();
    let mut tx = app.store.read().await?;
    let Some(session) = sessions::live(&mut tx, &secret_hash(cookie), now).await? else {
        return Ok(Visitor::Anonymous);
    };
    if session.seen_at.plus_seconds(IDLE_SECONDS) <= now {
        return Ok(Visitor::Anonymous);
    }
    let Some(account) = accounts::by_id(&mut tx, session.account_id).await? else {
        return Ok(Visitor::Anonymous);
    };
    if account.state == AccountState::Frozen {
        return Ok(Visitor::Anonymous);
    }
    let has_factor = second_factor::confirmed(&mut tx, account.id).await?.is_some();
    drop(tx);
    if session.seen_at.plus_seconds(SEEN_STEP_SECONDS) <= now {
        let mut tx = app.store.write().await?;
        sessions::touch(&mut tx, &session.id_hash, now).await?;
        tx.commit().await?;
    }
    let must_enrol = !has_factor && second_factor::required_of(app, account.role);
    let presented = Presented {
        account,
        id_hash: session.id_hash,
        form_token: SecretString::from(form_token(cookie)),
        authenticated_at: session.authenticated_at,
    };
    Ok(match session.stage {
        SessionStage::Complete if !must_enrol => Visitor::SignedIn(SignedIn(presented)),
        _ => Visitor::Half(HalfSignedIn { presented, must_enrol }),
    })
}

/// Ends a session. Its cookie is dead wherever it is.
///
/// # Errors
/// Where the database refuses.
pub async fn sign_out(app: &App, session: &str) -> store::Result<()> {
    let mut tx = app.store.write().await?;
    sessions::end(&mut tx, session, app.now()).await?;
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_tokens_belong_to_one_cookie() {
        let (first, second) = (random_secret(), random_secret());
        assert_eq!(first.expose_secret().len(), 43);
        assert_eq!(form_token(first.expose_secret()), form_token(first.expose_secret()));
        assert_ne!(form_token(first.expose_secret()), form_token(second.expose_secret()));
        assert!(same("abc", "abc"));
        assert!(!same("abc", "abd"));
        assert!(!same("abc", ""));
    }
}
