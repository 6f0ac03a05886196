//! Who asks, and what they may do: every right is a value that only a check here can make.
//!
//! [`Requester`] comes from a session or a management token; [`Responder`], [`Administrator`] and [`Owner`] from a requester. A function
//! that needs a right takes the value, so that a forgotten check does not compile.

pub mod reader;
pub mod uploader;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::clock::Instant;
use crate::history::{Actor, Event, Origin, record};
use crate::ids::ManagementTokenId;
use crate::store::accounts::{self, Account, AccountRole, AccountState};
use crate::store::management_tokens::{self, ManagementToken};
use crate::store::projects::{self, Project, ProjectRole};
use crate::store::tokens::TokenState;
use crate::store::{StoreError, Tx, stored_enum};

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

/// How far a requester's credentials reach.
#[derive(Debug, Clone)]
enum Reach {
    /// A complete session: whatever the account may do.
    Session,
    /// A management token: these scopes.
    Scopes(Vec<Scope>),
}

/// Proof of who asks.
#[derive(Debug, Clone)]
pub struct Requester {
    account: Account,
    reach: Reach,
}

impl Requester {
    /// Of a session that is complete: only `web/session.rs` calls it, after the second factor where one is due.
    pub(crate) fn of_session(account: Account) -> Self {
        Self { account, reach: Reach::Session }
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
            Reach::Session => true,
            Reach::Scopes(scopes) => scopes.contains(&scope) || scopes.contains(&Scope::Admin),
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
        match self.account.role {
            AccountRole::Responder | AccountRole::Admin => Ok(Responder { account: self.account.clone() }),
            _ => Err(AuthorityError::NotAllowed { needed: String::from("the role responder") }),
        }
    }

    /// The right to administer the server.
    ///
    /// # Errors
    /// [`AuthorityError::NotAllowed`] without the role or the scope.
    pub fn administrator(&self) -> Result<Administrator, AuthorityError> {
        self.need(Scope::Admin)?;
        match self.account.role {
            AccountRole::Admin => Ok(Administrator { account: self.account.clone() }),
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
            Some(ProjectRole::Owner) => Ok(Owner { account: self.account.clone(), project: project.clone() }),
            _ => Err(AuthorityError::NotAllowed { needed: format!("an owner of {}", project.name) }),
        }
    }

    /// The right to manage the account itself: its tokens and pending publishers.
    ///
    /// # Errors
    /// [`AuthorityError::NotAllowed`] without the scope.
    pub fn holder(&self) -> Result<Holder, AuthorityError> {
        self.need(Scope::Manage)?;
        Ok(Holder { account: self.account.clone() })
    }
}

/// Proof of the right to work at the desk.
#[derive(Debug, Clone)]
pub struct Responder {
    account: Account,
}

/// Proof of the right to administer the server.
#[derive(Debug, Clone)]
pub struct Administrator {
    account: Account,
}

/// Proof of owning a project.
#[derive(Debug, Clone)]
pub struct Owner {
    account: Account,
    project: Project,
}

/// Proof of being an account's holder.
#[derive(Debug, Clone)]
pub struct Holder {
    account: Account,
}

macro_rules! acts {
    ($($proof:ident),*) => {$(
        impl $proof {
            /// The account that has the right.
            #[must_use]
            pub fn account(&self) -> &Account {
                &self.account
            }

            /// As an actor of events.
            #[must_use]
            pub fn actor(&self) -> Actor {
                Actor::Account { id: self.account.id, name: self.account.name.clone() }
            }
        }
    )*};
}
acts!(Responder, Administrator, Owner, Holder);

impl Owner {
    /// The project that is owned.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.project
    }
}

/// What every management token begins with.
pub const MANAGEMENT_PREFIX: &str = "portcullis-";

/// Longest life of a management token, in days.
pub const MANAGEMENT_DAYS_LIMIT: i64 = 366;

fn secret_hash(secret: &str) -> String {
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
    use base64::Engine;
    let bytes: zeroize::Zeroizing<[u8; 32]> = zeroize::Zeroizing::new(rand::random());
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes.as_slice());
    let secret = SecretString::from(format!("{MANAGEMENT_PREFIX}{text}"));
    let now = app.now();
    let token = ManagementToken {
        id: ManagementTokenId::new(),
        account_id: account.id,
        scopes: scopes.iter().map(|scope| scope.word().to_owned()).collect(),
        description: description.to_owned(),
        state: TokenState::Live,
        created_at: now,
        expires_at: expires_at.min(now.plus_seconds(MANAGEMENT_DAYS_LIMIT * 86_400)),
    };
    let mut tx = app.store.write().await?;
    management_tokens::insert(&mut tx, &token, &secret_hash(secret.expose_secret())).await?;
    let mut event = Event::new("account:management_token:added", actor);
    event.account = Some(account.id);
    event.details = serde_json::json!({
        "management_token_id": token.id, "description": token.description, "scopes": token.scopes,
        "expires": token.expires_at.rfc3339(),
    });
    record(&mut tx, now, event).await?;
    tx.commit().await?;
    app.committed();
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
    Ok(Requester { account, reach: Reach::Scopes(scopes) })
}

/// An event that a requester caused from somewhere.
#[must_use]
pub fn event_of(tag: &'static str, actor: Actor, origin: &Origin) -> Event {
    let mut event = Event::new(tag, actor);
    event.origin = Some(origin.clone());
    event
}
