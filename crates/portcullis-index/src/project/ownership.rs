//! What an owner decides about a project beside publishing: who else has a role on it, and which repository it comes from.

use serde_json::json;

use crate::account::AccountName;
use crate::app::App;
use crate::authority::Owner;
use crate::clock::Instant;
use crate::history::{Event, Origin, record};
use crate::ids::AccountId;
use crate::store::accounts::{self, AccountState};
use crate::store::projects::{self, Project, ProjectRole, ProjectState, RepositoryBasis, RepositoryLink};
use crate::store::{StoreError, Tx};
use crate::visible::visible;

/// Most members of one project.
pub const MEMBERS_LIMIT: usize = 100;

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    /// Nobody has the name.
    #[error("there is no account named {0}")]
    UnknownAccount(String),
    /// The account has a role already.
    #[error("{0} is a member already; remove them first to give another role")]
    AlreadyMember(String),
    /// The project has too many.
    #[error("a project has at most {MEMBERS_LIMIT} members")]
    TooMany,
    /// The account has no role.
    #[error("this account is no member of the project")]
    NotMember,
    /// Nobody would own the project.
    #[error("the last owner can't be removed; add another one first")]
    LastOwner,
    /// Who asks owns the project no longer.
    #[error("you are no owner of this project any more")]
    NotOwner,
    /// The project is quarantined: its owners change nothing until that is decided.
    #[error("the project is quarantined; its members can't be changed meanwhile")]
    Quarantined,
    /// No upload named this repository.
    #[error("no upload of this project named that repository")]
    UnknownRepository,
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads and locks again what the right rests on: the account, the project, the role. Two changes of members at once meet at
/// the project's row.
async fn confirm(tx: &mut Tx, owner: &Owner) -> Result<Project, OwnershipError> {
    let account = accounts::by_id_locked(tx, owner.account().id).await?;
    let project =
        projects::by_id_for_update(tx, owner.project().id).await?.ok_or(OwnershipError::NotOwner)?;
    let role = projects::role(tx, project.id, owner.account().id).await?;
    let active = account.is_some_and(|account| account.state == AccountState::Active);
    if !active || role != Some(ProjectRole::Owner) {
        return Err(OwnershipError::NotOwner);
    }
    if project.state == ProjectState::Quarantined {
        return Err(OwnershipError::Quarantined);
    }
    Ok(project)
}

fn event(
    tag: &'static str,
    owner: &Owner,
    project: &Project,
    origin: &Origin,
    details: serde_json::Value,
) -> Event {
    let mut event = Event::new(tag, owner.actor());
    event.project = Some(project.id);
    event.details = details;
    event.origin = Some(origin.clone());
    event
}

/// Gives an account a role on the owner's project.
///
/// # Errors
/// Where there is no such account, or it has a role already.
pub async fn add_member(
    app: &App,
    owner: &Owner,
    name: &str,
    role: ProjectRole,
    origin: &Origin,
) -> Result<(), OwnershipError> {
    let unknown = || OwnershipError::UnknownAccount(visible(name, crate::account::NAME_LIMIT));
    let name: AccountName = name.parse().map_err(|_| unknown())?;
    let now = app.now();
    let mut tx = app.store.write().await?;
    let project = confirm(&mut tx, owner).await?;
    let member = accounts::by_name(&mut tx, &name.normalised()).await?.ok_or_else(unknown)?;
    if projects::role(&mut tx, project.id, member.id).await?.is_some() {
        return Err(OwnershipError::AlreadyMember(member.name));
    }
    if projects::members(&mut tx, project.id).await?.len() >= MEMBERS_LIMIT {
        return Err(OwnershipError::TooMany);
    }
    projects::insert_role(&mut tx, project.id, member.id, role, now).await?;
    let details = json!({
        "project": project.name, "role_name": role, "target_user": member.name, "submitted_by": owner.actor().label(),
    });
    let mut event = event("project:role:add", owner, &project, origin, details);
    event.account = Some(member.id);
    record(&mut tx, now, event).await?;
    tx.commit().await?;
    app.committed();
    Ok(())
}

/// Takes an account's role on the owner's project. The row stays, with its end.
///
/// # Errors
/// [`OwnershipError::LastOwner`], or where the account has no role.
pub async fn remove_member(
    app: &App,
    owner: &Owner,
    account: AccountId,
    origin: &Origin,
) -> Result<(), OwnershipError> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    let project = confirm(&mut tx, owner).await?;
    let members = projects::members(&mut tx, project.id).await?;
    let (_, name, role) = members.iter().find(|(id, ..)| *id == account).ok_or(OwnershipError::NotMember)?;
    let owners = members.iter().filter(|(.., role)| *role == ProjectRole::Owner).count();
    if *role == ProjectRole::Owner && owners == 1 {
        return Err(OwnershipError::LastOwner);
    }
    projects::end_role(&mut tx, project.id, account, now).await?;
    let details = json!({
        "project": project.name, "role_name": role, "target_user": name, "submitted_by": owner.actor().label(),
    });
    let mut event = event("project:role:remove", owner, &project, origin, details);
    event.account = Some(account);
    record(&mut tx, now, event).await?;
    tx.commit().await?;
    app.committed();
    Ok(())
}

/// Confirms that the project comes from a repository that one of its uploads named. What was a claim becomes proved, and the
/// desk may act on it.
///
/// # Errors
/// [`OwnershipError::UnknownRepository`] where no upload named it.
pub async fn confirm_repository(
    app: &App,
    owner: &Owner,
    repository: &str,
    origin: &Origin,
) -> Result<(), OwnershipError> {
    let now: Instant = app.now();
    let mut tx = app.store.write().await?;
    let project = confirm(&mut tx, owner).await?;
    let links = projects::links_of_project(&mut tx, project.id).await?;
    if !links.iter().any(|link| link.repository == repository) {
        return Err(OwnershipError::UnknownRepository);
    }
    let link = RepositoryLink {
        project_id: project.id,
        repository: repository.to_owned(),
        basis: RepositoryBasis::OwnerConfirmed,
        first_seen_at: now,
        token_id: None,
    };
    projects::insert_repository(&mut tx, &link).await?;
    let details = json!({ "repository": repository, "submitted_by": owner.actor().label() });
    record(&mut tx, now, event("project:repository:confirmed", owner, &project, origin, details)).await?;
    tx.commit().await?;
    app.committed();
    Ok(())
}
