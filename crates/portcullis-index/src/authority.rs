//! Who asks, and what they may do: every right is a value that only a check here can make.
//!
//! [`Requester`] comes from a session or a management token; [`Responder`], [`Administrator`] and [`Owner`] from a requester. A function
//! that needs a right takes the value, so that a forgotten check does not compile.

pub mod reader;
pub mod uploader;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::account::session::SignedIn;
use crate::app::App;
use crate::clock::Instant;
use crate::history::{Actor, Event, Origin, record};
use crate::ids::ManagementTokenId;
use crate::store::accounts::{self, Account, AccountRole, AccountState};
use crate::store::management_tokens::{self, ManagementToken};
use crate::store::projects::{self, Project, ProjectRole};
use crate::store::tokens::TokenState;
use crate::store::{StoreError, Tx, sessions, stored_enum};

stored_enum! {
    /// What a management token may do.
    Scope {
        /// Send and follow reports.
        Report = "report",
        /// Work at the desk.
        Desk = "desk",
        /// Manage the account's own projects, tokens and publishers.
        Manage = "manage",
        /// Everything.
        Admin = "admin",
    }
}

/// Why somebody may not.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The secret is of no live management token or session.
    #[error("the credentials are unknown, expired or revoked")]
    Unknown,
    /// The account may not act.
    #[error("the account is frozen")]
    Frozen,
    /// The credentials do not reach so far.
    #[error("this needs {needed}")]
    NotAllowed {
        /// What would be needed.
        needed: String,
    },
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key does not open.
    #[error(transparent)]
    Key(#[from] crate::server_key::ServerKeyError),
}

/// What a requester came with, and how far it reaches.
#[derive(Debug, Clone)]
enum Reach {
    /// A complete session, by its name in the database: whatever the account may do.
    Session(String),
    /// A management token: these scopes.
    Scopes(ManagementTokenId, Vec<Scope>),
}

/// Proof of who asks.
#[derive(Debug, Clone)]
pub struct Requester {
    account: Account,
    reach: Reach,
}

impl Requester {
    /// Of a session that is complete: only `web/session.rs` calls it, after the second factor where one is due.
    pub(crate) fn of_session(signed_in: &SignedIn) -> Self {
        Self { account: signed_in.account().clone(), reach: Reach::Session(signed_in.session().to_owned()) }
    }

    /// Reads and locks again what every proof rests on: the account, then the credential, the order in which a freeze and a new
    /// password take them. A freeze, a revocation or a sign-out
    /// that committed since the request began is seen here; one that comes later waits for this transaction (invariant 6).
    /// Returns the account as it is now.
    ///
    /// # Errors
    /// [`AuthorityError::Unknown`] where the credential has ended, [`AuthorityError::Frozen`].
    pub(crate) async fn confirm(&self, tx: &mut Tx, now: Instant) -> Result<Account, AuthorityError> {
        let account = accounts::by_id_locked(tx, self.account.id).await?.ok_or(AuthorityError::Unknown)?;
        let lives = match &self.reach {
            Reach::Session(session) => sessions::is_live_locked(tx, session, now).await?,
            Reach::Scopes(id, _) => management_tokens::by_id_locked(tx, *id)
                .await?
                .is_some_and(|token| token.state == TokenState::Live && token.expires_at > now),
        };
        if account.state == AccountState::Frozen {
            return Err(AuthorityError::Frozen);
        }
        if !lives {
            return Err(AuthorityError::Unknown);
        }
        Ok(account)
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// As an actor of events.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::Account { id: self.account.id, name: self.account.name.clone() }
    }

    fn has(&self, scope: Scope) -> bool {
        match &self.reach {
            Reach::Session(_) => true,
            Reach::Scopes(_, scopes) => scopes.contains(&scope) || scopes.contains(&Scope::Admin),
        }
    }

    fn need(&self, scope: Scope) -> Result<(), AuthorityError> {
        if self.has(scope) {
            return Ok(());
        }
        Err(AuthorityError::NotAllowed {
            needed: format!("a management token with the scope {scope:?}", scope = scope.word()),
        })
    }

    /// The right to work at the desk.
    ///
    /// # Errors
    /// [`AuthorityError::NotAllowed`] without the role or the scope.
    pub fn responder(&self) -> Result<Responder, AuthorityError> {
        self.need(Scope::Desk)?;
        works_at_desk(self.account.role)?;
        Ok(Responder { requester: self.clone() })
    }

    /// The right to administer the server.
    ///
    /// # Errors
    /// [`AuthorityError::NotAllowed`] without the role or the scope.
    pub fn administrator(&self) -> Result<Administrator, AuthorityError> {
        self.need(Scope::Admin)?;
        match self.account.role {
            AccountRole::Admin => Ok(Administrator { requester: self.clone() }),
            _ => Err(AuthorityError::NotAllowed { needed: String::from("the role admin") }),
        }
    }

    /// The right to manage a project.
    ///
    /// # Errors
    /// [`AuthorityError::NotAllowed`] where the account does not own the project.
    pub async fn owner(&self, tx: &mut Tx, project: &Project) -> Result<Owner, AuthorityError> {
        self.need(Scope::Manage)?;
        match projects::role(tx, project.id, self.account.id).await? {
            Some(ProjectRole::Owner) => Ok(Owner { requester: self.clone(), project: project.clone() }),
            _ => Err(no_owner(project)),
        }
    }

    /// The right to manage the account itself: its tokens and pending publishers.
    ///
    /// # Errors
    /// [`AuthorityError::NotAllowed`] without the scope.
    pub fn holder(&self) -> Result<Holder, AuthorityError> {
        self.need(Scope::Manage)?;
        Ok(Holder { requester: self.clone() })
    }
}

/// Proof of the right to work at the desk.
#[derive(Debug, Clone)]
pub struct Responder {
    requester: Requester,
}

/// Proof of the right to administer the server.
#[derive(Debug, Clone)]
pub struct Administrator {
    requester: Requester,
}

/// Proof of owning a project.
#[derive(Debug, Clone)]
pub struct Owner {
    requester: Requester,
    project: Project,
}

/// Proof of being an account's holder.
#[derive(Debug, Clone)]
pub struct Holder {
    requester: Requester,
}

macro_rules! acts {
    ($($proof:ident),*) => {$(
        impl $proof {
            /// The account that has the right.
            #[must_use]
            pub fn account(&self) -> &Account {
                self.requester.account()
            }

            /// As an actor of events.
            #[must_use]
            pub fn actor(&self) -> Actor {
                self.requester.actor()
            }
        }
    )*};
}
acts!(Responder, Administrator, Owner, Holder);

fn works_at_desk(role: AccountRole) -> Result<(), AuthorityError> {
    match role {
        AccountRole::Responder | AccountRole::Admin => Ok(()),
        _ => Err(AuthorityError::NotAllowed { needed: String::from("the role responder") }),
    }
}

fn no_owner(project: &Project) -> AuthorityError {
    AuthorityError::NotAllowed { needed: format!("an owner of {}", project.name) }
}

impl Responder {
    /// Reads and locks again what the right rests on: credential, account, role. Called first in every transaction that
    /// decides something.
    ///
    /// # Errors
    /// Where the right has ended since the request began.
    pub(crate) async fn confirm(&self, tx: &mut Tx, now: Instant) -> Result<(), AuthorityError> {
        works_at_desk(self.requester.confirm(tx, now).await?.role)
    }
}

impl Holder {
    /// Reads and locks again what the right rests on: credential and account.
    ///
    /// # Errors
    /// Where the right has ended since the request began.
    pub(crate) async fn confirm(&self, tx: &mut Tx, now: Instant) -> Result<(), AuthorityError> {
        self.requester.confirm(tx, now).await.map(|_| ())
    }
}

impl Owner {
    /// The project that is owned.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Reads and locks again credential and account. The role is the project's: [`Owner::confirm_role`].
    ///
    /// # Errors
    /// Where the right has ended since the request began.
    pub(crate) async fn confirm(&self, tx: &mut Tx, now: Instant) -> Result<(), AuthorityError> {
        self.requester.confirm(tx, now).await.map(|_| ())
    }

    /// Reads the role again. Called once the project's row is locked: whoever takes the role away locks it too.
    ///
    /// # Errors
    /// [`AuthorityError::NotAllowed`] where somebody took it meanwhile.
    pub(crate) async fn confirm_role(&self, tx: &mut Tx) -> Result<(), AuthorityError> {
        match projects::role(tx, self.project.id, self.account().id).await? {
            Some(ProjectRole::Owner) => Ok(()),
            _ => Err(no_owner(&self.project)),
        }
    }
}

/// What every management token begins with.
pub const MANAGEMENT_PREFIX: &str = "portcullis-";

/// Longest life of a management token, in days.
pub const MANAGEMENT_DAYS_LIMIT: i64 = 366;

pub(crate) fn secret_hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// Makes a management token for an account and returns its secret, the only time that it is seen.
///
/// # Errors
/// Where the database refuses.
pub async fn issue_management_token(
    app: &App,
    account: &Account,
    scopes: &[Scope],
    description: &str,
    expires_at: Instant,
    actor: Actor,
) -> Result<SecretString, AuthorityError> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    // A password that is being changed ends the account's management tokens: this one comes before or after, never between.
    accounts::by_id_locked(&mut tx, account.id).await?;
    let secret = issue_within(&mut tx, now, account, scopes, description, expires_at, actor).await?;
    tx.commit().await?;
    app.committed();
    Ok(secret)
}

/// The same within a transaction that has locked the account.
pub(crate) async fn issue_within(
    tx: &mut Tx,
    now: Instant,
    account: &Account,
    scopes: &[Scope],
    description: &str,
    expires_at: Instant,
    actor: Actor,
) -> Result<SecretString, AuthorityError> {
    use base64::Engine;
    let bytes: zeroize::Zeroizing<[u8; 32]> = zeroize::Zeroizing::new(rand::random());
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes.as_slice());
    let secret = SecretString::from(format!("{MANAGEMENT_PREFIX}{text}"));
    let token = ManagementToken {
        id: ManagementTokenId::new(),
        account_id: account.id,
        scopes: scopes.iter().map(|scope| scope.word().to_owned()).collect(),
        description: description.to_owned(),
        state: TokenState::Live,
        created_at: now,
        expires_at: expires_at.min(now.plus_seconds(MANAGEMENT_DAYS_LIMIT * 86_400)),
    };
    management_tokens::insert(tx, &token, &secret_hash(secret.expose_secret())).await?;
    let mut event = Event::new("account:management_token:added", actor);
    event.account = Some(account.id);
    event.details = serde_json::json!({
        "management_token_id": token.id, "description": token.description, "scopes": token.scopes,
        "expires": token.expires_at.rfc3339(),
    });
    record(tx, now, event).await?;
    Ok(secret)
}

/// Who presents this management token.
///
/// # Errors
/// [`AuthorityError::Unknown`] for every secret that is not of a live token, [`AuthorityError::Frozen`] for a live one of a frozen account.
pub async fn of_management_token(app: &App, secret: &str) -> Result<Requester, AuthorityError> {
    let mut tx = app.store.read().await?;
    // Looking up by the hash compares no secret with another: its time tells nothing about the stored ones.
    let token = management_tokens::by_secret_hash(&mut tx, &secret_hash(secret)).await?;
    let token = token
        .filter(|token| token.state == TokenState::Live && token.expires_at > app.now())
        .ok_or(AuthorityError::Unknown)?;
    let account = accounts::by_id(&mut tx, token.account_id).await?.ok_or(AuthorityError::Unknown)?;
    if account.state == AccountState::Frozen {
        return Err(AuthorityError::Frozen);
    }
    let scopes = token.scopes.iter().filter_map(|word| word.parse().ok()).collect();
    Ok(Requester { account, reach: Reach::Scopes(token.id, scopes) })
}

/// An event that a requester caused from somewhere.
#[must_use]
pub fn event_of(tag: &'static str, actor: Actor, origin: &Origin) -> Event {
    let mut event = Event::new(tag, actor);
    event.origin = Some(origin.clone());
    event
}
