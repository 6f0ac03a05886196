//! Who uploads: a token whose chain holds, checked once when the request comes and again, under locks, in the
//! transaction that commits the upload. What was decided while the body still streamed counts.

use http::HeaderValue;
use http::header::AUTHORIZATION;
use portcullis_trust::caveat::{self, Permission};
use portcullis_trust::token::{PresentedToken, TokenKey};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::api_token::key_place;
use crate::app::App;
use crate::clock::Instant;
use crate::history::Actor;
use crate::ids::{AccountId, ProjectId, TokenId};
use crate::server_key::ServerKeyError;
use crate::store::accounts::{self, Account, AccountState};
use crate::store::mint_gates::{self, Gate, GateState};
use crate::store::projects::{self, Project, ProjectState};
use crate::store::publishers::{self, Publisher, PublisherState};
use crate::store::tokens::{self, Token, TokenState};
use crate::store::{StoreError, Tx};

/// Why an upload may not be. `Display` is what the client reads.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// No, an unknown, malformed, revoked or forged token, or a frozen account: one text, so that tokens can't be probed.
    #[error(
        "Invalid or non-existent authentication information. See {help}#invalid-auth for more information."
    )]
    NoIdentity {
        /// The help page.
        help: String,
    },
    /// A user name other than `__token__`.
    #[error(
        "Username/Password authentication is no longer supported. Migrate to API Tokens or Trusted Publishers instead. \
         See {help}#apitoken and {help}#trusted-publishers"
    )]
    Password {
        /// The help page.
        help: String,
    },
    /// A caveat or the chain fails, the token is suspended, or its publisher is paused.
    #[error("Invalid API Token: {0}")]
    Token(String),
    /// The token holds, its account has no role on the project.
    #[error(
        "The user '{user}' isn't allowed to upload to project '{project}'. See {help}#project-name for more information."
    )]
    NotMember {
        /// The account's name.
        user: String,
        /// The project's name.
        project: String,
        /// The help page.
        help: String,
    },
    /// The project takes no uploads now.
    #[error(
        "The project '{project}' is {state}{cause}. It takes no uploads. See {help}#project-name for more information."
    )]
    ProjectClosed {
        /// The project's name.
        project: String,
        /// `archived` or `quarantined`.
        state: ProjectState,
        /// `: ` and why, or nothing.
        cause: String,
        /// The help page.
        help: String,
    },
    /// A minted token for a project that does not exist.
    #[error(
        "Non-user identities cannot create new projects. This was probably caused by successfully using a pending \
         publisher but specifying the project name incorrectly (either in the publisher or in your project's metadata). \
         Please ensure that both match. See: {help}#trusted-publishers"
    )]
    PublisherCannotCreate {
        /// The help page.
        help: String,
    },
    /// The account has no verified mail address.
    #[error(
        "User '{user}', associated with the API token used, does not have a verified primary email address. Please add a \
         verified primary email before attempting to upload to PyPI. See {help}#verified-email for more information."
    )]
    NoVerifiedEmail {
        /// The account's name.
        user: String,
        /// The help page.
        help: String,
    },
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The token's key does not open.
    #[error(transparent)]
    Key(#[from] ServerKeyError),
}

/// Whose job or person the token is.
#[derive(Debug, Clone)]
enum Identity {
    Account(AccountId),
    Publisher(crate::ids::PublisherId),
}

/// Proof that a token was presented whose chain holds. It does not prove that the token may still act: [`Uploader::confirm`] does,
/// in the committing transaction.
pub struct Uploader {
    token_id: TokenId,
    presented: PresentedToken,
    key: TokenKey,
    identity: Identity,
    help: String,
    contact: String,
}

impl std::fmt::Debug for Uploader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Uploader(token {})", self.token_id)
    }
}

/// What an upload is about to change.
#[derive(Debug, Clone, Copy)]
pub struct UploadTarget<'a> {
    /// The project's name as the upload spells it.
    pub name: &'a str,
    /// Its normalised name.
    pub name_normalised: &'a str,
    /// The version, as far as it is known.
    pub version: Option<&'a str>,
    /// The file's SHA-256, once it has been read.
    pub file_sha256: Option<&'a str>,
}

/// Proof that an upload may commit: made under locks that last until the transaction ends.
#[derive(Debug, Clone)]
pub struct Confirmed {
    /// The token's row.
    pub token: Token,
    /// Who acts.
    pub actor: Actor,
    /// The account, where a person's token acts.
    pub account: Option<Account>,
    /// The publisher, where a minted one does.
    pub publisher: Option<Publisher>,
    /// The project, where it exists.
    pub project: Option<Project>,
}

fn help(app: &App) -> String {
    app.url("/help/")
}

/// The token inside an `Authorization` header: Basic with the user `__token__`, or the schemes `token` and `Bearer`.
pub(super) fn presented_text(value: Option<&HeaderValue>, help: &str) -> Result<Zeroizing<String>, Refused> {
    use base64::Engine;
    let none = || Refused::NoIdentity { help: help.to_owned() };
    let text = value.and_then(|value| value.to_str().ok()).ok_or_else(none)?;
    let (scheme, rest) = text.split_once(' ').ok_or_else(none)?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = base64::engine::general_purpose::STANDARD.decode(rest).map_err(|_| none())?;
        let decoded = Zeroizing::new(String::from_utf8(decoded).map_err(|_| none())?);
        let (user, password) = decoded.split_once(':').ok_or_else(none)?;
        if user != "__token__" {
            return Err(Refused::Password { help: help.to_owned() });
        }
        return Ok(Zeroizing::new(password.trim().to_owned()));
    }
    if scheme.eq_ignore_ascii_case("token") || scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Zeroizing::new(rest.to_owned()));
    }
    Err(none())
}

/// Who presents this request's token.
///
/// # Errors
/// The neutral text for whatever is not a token of ours whose chain holds.
pub async fn uploader(app: &App, headers: &http::HeaderMap) -> Result<Uploader, Refused> {
    let help = help(app);
    let none = || Refused::NoIdentity { help: help.clone() };
    let text = presented_text(headers.get(AUTHORIZATION), &help)?;
    let presented = PresentedToken::parse(&text).map_err(|_| none())?;
    let id = TokenId(presented.identifier().ok_or_else(none)?);
    let mut tx = app.store.read().await?;
    let token = tokens::by_id(&mut tx, id).await?.ok_or_else(none)?;
    let key = open_key(app, &token)?;
    let identity = match (token.account_id, token.publisher_id) {
        (Some(account), _) => Identity::Account(account),
        (None, Some(publisher)) => Identity::Publisher(publisher),
        (None, None) => return Err(none()),
    };
    let uploader = Uploader {
        token_id: id,
        presented,
        key,
        identity,
        help: help.clone(),
        contact: app.contact().to_owned(),
    };
    // A chain that does not hold is no token of ours; the caveats' texts are for those who hold one.
    if !uploader.presented.chain_holds(&uploader.key) {
        return Err(Refused::Token(String::from("signatures do not match")));
    }
    // A revoked one goes on too, as far as the refusal: that somebody still presents it is evidence.
    Ok(uploader)
}

/// Only who holds the token, its chain and caveats verified, reads that it is suspended, since when, why and whom to ask.
pub(super) fn suspended(token: &Token, contact: &str) -> Refused {
    let since = token.state_since.map_or_else(|| String::from("an unknown date"), Instant::for_people);
    let case = token.state_case_id.map_or_else(String::new, |case| format!(" in case {case}"));
    let cause = token.state_cause.as_deref().unwrap_or("no reason was recorded");
    Refused::Token(format!("token was suspended on {since}{case} because {cause}; contact {contact}"))
}

/// Whoever is going to spell the project's name anew takes the stronger lock at once: two that hold the weaker one and both want
/// the stronger wait for each other for ever.
async fn lock_project(tx: &mut Tx, target: UploadTarget<'_>) -> Result<Option<Project>, StoreError> {
    let respelled = projects::by_name(tx, target.name_normalised)
        .await?
        .is_some_and(|project| project.name != target.name);
    if respelled {
        projects::by_name_for_update(tx, target.name_normalised).await
    } else {
        projects::by_name_locked(tx, target.name_normalised).await
    }
}

/// The key of a token's macaroon.
///
/// # Errors
/// Where it does not open with this server key.
pub fn open_key(app: &App, token: &Token) -> Result<TokenKey, ServerKeyError> {
    let bytes = app.server_key.open(&key_place(token.id), &token.sealed_key)?;
    let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| ServerKeyError::DoesNotOpen)?;
    Ok(TokenKey::from_bytes(bytes))
}

impl Uploader {
    /// The presented token's id: its chain holds, so it is the holder's.
    #[must_use]
    pub fn token_id(&self) -> TokenId {
        self.token_id
    }

    /// The account of a person's token.
    #[must_use]
    pub fn account_id(&self) -> Option<AccountId> {
        match self.identity {
            Identity::Account(id) => Some(id),
            Identity::Publisher(_) => None,
        }
    }

    /// Reads and locks token, account or publisher, gate and project, and decides on what it reads. Call it in the
    /// transaction that commits the upload: nothing that it read can change before that ends.
    ///
    /// # Errors
    /// Why the upload may not be.
    pub async fn confirm(
        &self,
        tx: &mut Tx,
        target: UploadTarget<'_>,
        now: Instant,
    ) -> Result<Confirmed, Refused> {
        let token = tokens::by_id_locked(tx, self.token_id).await?;
        let token =
            token.filter(|token| token.state != TokenState::Revoked).ok_or_else(|| self.no_identity())?;
        let gate = self.lock_gate(tx, now).await?;
        let (account, publisher, attached) = self.lock_identity(tx).await?;
        let project = lock_project(tx, target).await?;
        if project.is_none() && publisher.is_some() {
            return Err(Refused::PublisherCannotCreate { help: self.help.clone() });
        }
        self.check_caveats(&token, &attached, project.as_ref(), target, now)?;
        if token.state == TokenState::Suspended {
            return Err(suspended(&token, &self.contact));
        }
        self.check_gate(gate)?;
        if let Some(publisher) =
            publisher.as_ref().filter(|publisher| publisher.state != PublisherState::Active)
        {
            return Err(self.paused(publisher));
        }
        if let Some(account) = &account {
            self.check_account(tx, account, project.as_ref()).await?;
        }
        if let Some(project) = &project {
            self.check_project(project)?;
        }
        let actor = match (&account, &publisher) {
            (Some(account), _) => Actor::Account { id: account.id, name: account.name.clone() },
            (None, Some(publisher)) => Actor::Publisher {
                id: publisher.id,
                label: publisher.repository.clone().unwrap_or_else(|| publisher.provider.clone()),
            },
            (None, None) => return Err(self.no_identity()),
        };
        Ok(Confirmed { token, actor, account, publisher, project })
    }

    fn no_identity(&self) -> Refused {
        Refused::NoIdentity { help: self.help.clone() }
    }

    async fn lock_identity(
        &self,
        tx: &mut Tx,
    ) -> Result<(Option<Account>, Option<Publisher>, Vec<Uuid>), Refused> {
        match self.identity {
            Identity::Account(id) => {
                let account = accounts::by_id_locked(tx, id).await?;
                let account = account.filter(|account| account.state == AccountState::Active);
                Ok((Some(account.ok_or_else(|| self.no_identity())?), None, Vec::new()))
            }
            Identity::Publisher(id) => {
                let publisher = publishers::by_id_locked(tx, id).await?.ok_or_else(|| self.no_identity())?;
                let attached: Vec<ProjectId> = publishers::projects_of(tx, id).await?;
                Ok((None, Some(publisher), attached.into_iter().map(|id| id.0).collect()))
            }
        }
    }

    fn check_caveats(
        &self,
        token: &Token,
        attached: &[Uuid],
        project: Option<&Project>,
        target: UploadTarget<'_>,
        now: Instant,
    ) -> Result<(), Refused> {
        let identity = match self.identity {
            Identity::Account(id) => caveat::Identity::Account(id.0),
            Identity::Publisher(id) => caveat::Identity::Publisher { id: id.0, projects: attached },
        };
        let request = caveat::Request {
            now: now.unix_seconds(),
            identity,
            permission: Permission::Upload,
            target: Some(caveat::Target {
                id: project.map(|project| project.id.0),
                name: project.map_or(target.name, |project| project.name.as_str()),
                name_normalised: target.name_normalised,
            }),
            version: target.version,
            file_sha256: target.file_sha256,
        };
        self.presented
            .verify(&self.key, &token.caveats, &request)
            .map(drop)
            .map_err(|refusal| Refused::Token(refusal.to_string()))
    }

    fn paused(&self, publisher: &Publisher) -> Refused {
        let cause = publisher.state_cause.as_deref().unwrap_or("no reason was recorded");
        Refused::Token(format!(
            "the publisher of this token is {} because {cause}; contact {}",
            publisher.state, self.contact
        ))
    }

    /// The gate of a publisher's repository, locked before the publisher, as mints and containments do: the other way round
    /// they could wait for each other. A publisher's repository never changes, so it can be read without a lock.
    async fn lock_gate(&self, tx: &mut Tx, now: Instant) -> Result<Option<Gate>, Refused> {
        let Identity::Publisher(id) = self.identity else { return Ok(None) };
        let publisher = publishers::by_id(tx, id).await?.ok_or_else(|| self.no_identity())?;
        match publisher.repository {
            Some(repository) => Ok(Some(mint_gates::locked(tx, &repository, now).await?)),
            None => Ok(None),
        }
    }

    fn check_gate(&self, gate: Option<Gate>) -> Result<(), Refused> {
        match gate {
            Some(gate) if gate.state == GateState::Closed => {
                let cause = gate.state_cause.unwrap_or_else(|| String::from("no reason was recorded"));
                Err(Refused::Token(format!(
                    "publishing from the repository of this token is closed because {cause}; contact {}",
                    self.contact
                )))
            }
            _ => Ok(()),
        }
    }

    async fn check_account(
        &self,
        tx: &mut Tx,
        account: &Account,
        project: Option<&Project>,
    ) -> Result<(), Refused> {
        if let Some(project) = project
            && projects::role(tx, project.id, account.id).await?.is_none()
        {
            return Err(Refused::NotMember {
                user: account.name.clone(),
                project: project.name.clone(),
                help: self.help.clone(),
            });
        }
        if accounts::verified_addresses(tx, account.id).await?.is_empty() {
            return Err(Refused::NoVerifiedEmail { user: account.name.clone(), help: self.help.clone() });
        }
        Ok(())
    }

    fn check_project(&self, project: &Project) -> Result<(), Refused> {
        if project.state == ProjectState::Active {
            return Ok(());
        }
        Err(Refused::ProjectClosed {
            project: project.name.clone(),
            state: project.state,
            cause: project.state_cause.as_deref().map(|cause| format!(": {cause}")).unwrap_or_default(),
            help: self.help.clone(),
        })
    }
}
