//! Projects, who owns them, and which repository each is said to come from.

use super::{Columns, Result, Tx, statement, stored_enum};
use crate::clock::Instant;
use crate::ids::{AccountId, ProjectId, TokenId};
use uuid::Uuid;

stored_enum! {
    /// A project's status marker (PEP 792).
    ProjectState {
        /// Nothing special.
        Active = "active",
        /// Its files are not offered.
        Quarantined = "quarantined",
        /// It takes no uploads.
        Archived = "archived",
    }
}

stored_enum! {
    /// What an account may do with a project.
    ProjectRole {
        /// Everything.
        Owner = "owner",
        /// Uploads.
        Maintainer = "maintainer",
    }
}

stored_enum! {
    /// How a project and a repository are tied, where no publisher or token says so.
    RepositoryBasis {
        /// An owner confirmed it: proved.
        OwnerConfirmed = "owner-confirmed",
        /// A URL in the metadata of an upload: claimed.
        MetadataUrl = "metadata-url",
    }
}

/// A row of `projects`.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// The name as the newest upload spells it.
    pub name: String,
    /// The normalised name (PEP 503).
    pub name_normalised: String,
    /// Its status marker.
    pub state: ProjectState,
    /// Why it has that state.
    pub state_cause: Option<String>,
    /// When it was made.
    pub created_at: Instant,
    /// Position of the newest sealed event that changed what the index shows of it.
    pub serial: i64,
}

const COLUMNS: &str =
    "SELECT p.id, p.name, p.name_normalised, p.state, p.state_cause, p.created_at, p.serial FROM projects p";

fn project(row: &sqlx::any::AnyRow) -> Result<Project> {
    let row = Columns(row);
    Ok(Project {
        id: row.parsed("id")?,
        name: row.text("name")?,
        name_normalised: row.text("name_normalised")?,
        state: row.parsed("state")?,
        state_cause: row.optional_text("state_cause")?,
        created_at: row.time("created_at")?,
        serial: row.number("serial")?,
    })
}

/// Adds a project; a unique violation means that the name, or one too similar, is taken.
///
/// # Errors
/// Where the database refuses.
pub async fn insert(tx: &mut Tx, project: &Project, name_ultranormalised: &str) -> Result<()> {
    sqlx::query(
        "INSERT INTO projects (id, name, name_normalised, name_ultranormalised, state, created_at, serial) \
         VALUES ($1, $2, $3, $4, $5, $6, 0)",
    )
    .bind(project.id.to_string())
    .bind(project.name.as_str())
    .bind(project.name_normalised.as_str())
    .bind(name_ultranormalised)
    .bind(project.state.word())
    .bind(project.created_at.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The project of this id.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id(tx: &mut Tx, id: ProjectId) -> Result<Option<Project>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE p.id = $1"]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(project).transpose()
}

/// The project of this normalised name.
///
/// # Errors
/// Where the database refuses.
pub async fn by_name(tx: &mut Tx, name_normalised: &str) -> Result<Option<Project>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE p.name_normalised = $1"]))
        .bind(name_normalised)
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(project).transpose()
}

/// The project of this normalised name, locked against changes until this transaction ends.
///
/// # Errors
/// Where the database refuses.
pub async fn by_name_locked(tx: &mut Tx, name_normalised: &str) -> Result<Option<Project>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE p.name_normalised = $1", tx.share_lock()]))
        .bind(name_normalised)
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(project).transpose()
}

/// The project of this id, locked against changes until this transaction ends.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id_locked(tx: &mut Tx, id: ProjectId) -> Result<Option<Project>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE p.id = $1", tx.share_lock()]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(project).transpose()
}

/// The project of this id, locked so that nobody else locks or changes it before this transaction ends.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id_for_update(tx: &mut Tx, id: ProjectId) -> Result<Option<Project>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE p.id = $1", tx.update_lock()]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(project).transpose()
}

/// The project of this normalised name, locked for changing it.
///
/// # Errors
/// Where the database refuses.
pub async fn by_name_for_update(tx: &mut Tx, name_normalised: &str) -> Result<Option<Project>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE p.name_normalised = $1", tx.update_lock()]))
        .bind(name_normalised)
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(project).transpose()
}

/// The normalised name of a project whose name looks the same.
///
/// # Errors
/// Where the database refuses.
pub async fn similar(tx: &mut Tx, name_ultranormalised: &str) -> Result<Option<String>> {
    let row = sqlx::query("SELECT name_normalised FROM projects WHERE name_ultranormalised = $1")
        .bind(name_ultranormalised)
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(|row| Columns(row).text("name_normalised")).transpose()
}

/// All projects by normalised name.
///
/// # Errors
/// Where the database refuses.
pub async fn all(tx: &mut Tx) -> Result<Vec<Project>> {
    let rows =
        sqlx::query(statement(&[COLUMNS, " ORDER BY p.name_normalised"])).fetch_all(tx.connection()).await?;
    rows.iter().map(project).collect()
}

/// The projects with a text in their normalised name, by name, at most `limit`.
///
/// # Errors
/// Where the database refuses.
pub async fn named_like(tx: &mut Tx, part: &str, limit: i64) -> Result<Vec<Project>> {
    let literal = part.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let rows = sqlx::query(statement(&[
        COLUMNS,
        " WHERE p.name_normalised LIKE $1 ESCAPE '\\' ORDER BY p.name_normalised LIMIT $2",
    ]))
    .bind(format!("%{literal}%"))
    .bind(limit)
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(project).collect()
}

/// The highest serial of any project.
///
/// # Errors
/// Where the database refuses.
pub async fn last_serial(tx: &mut Tx) -> Result<i64> {
    let row = sqlx::query("SELECT COALESCE(MAX(serial), 0) AS serial FROM projects")
        .fetch_one(tx.connection())
        .await?;
    Columns(&row).number("serial")
}

/// Remembers how the newest upload spells the name.
///
/// # Errors
/// Where the database refuses.
pub async fn set_display_name(tx: &mut Tx, id: ProjectId, name: &str) -> Result<()> {
    sqlx::query("UPDATE projects SET name = $1 WHERE id = $2 AND name <> $3")
        .bind(name)
        .bind(id.to_string())
        .bind(name)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Sets the status marker.
///
/// # Errors
/// Where the database refuses.
pub async fn set_state(tx: &mut Tx, id: ProjectId, state: ProjectState, cause: Option<&str>) -> Result<()> {
    sqlx::query("UPDATE projects SET state = $1, state_cause = $2 WHERE id = $3")
        .bind(state.word())
        .bind(cause.map(str::to_owned))
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Gives an account a role on a project.
///
/// # Errors
/// Where the database refuses.
pub async fn insert_role(
    tx: &mut Tx,
    project: ProjectId,
    account: AccountId,
    role: ProjectRole,
    now: Instant,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO roles (id, project_id, account_id, role, created_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(project.to_string())
    .bind(account.to_string())
    .bind(role.word())
    .bind(now.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Ends what an account may do with a project.
///
/// # Errors
/// Where the database refuses.
pub async fn end_role(tx: &mut Tx, project: ProjectId, account: AccountId, now: Instant) -> Result<()> {
    sqlx::query(
        "UPDATE roles SET removed_at = $1 WHERE project_id = $2 AND account_id = $3 AND removed_at IS NULL",
    )
    .bind(now.0)
    .bind(project.to_string())
    .bind(account.to_string())
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// What an account may do with a project; the stronger role where it has two.
///
/// # Errors
/// Where the database refuses.
pub async fn role(tx: &mut Tx, project: ProjectId, account: AccountId) -> Result<Option<ProjectRole>> {
    let row = sqlx::query(
        "SELECT role FROM roles WHERE project_id = $1 AND account_id = $2 AND removed_at IS NULL ORDER BY role DESC",
    )
    .bind(project.to_string())
    .bind(account.to_string())
    .fetch_optional(tx.connection())
    .await?;
    row.as_ref().map(|row| Columns(row).parsed("role")).transpose()
}

/// Who has which role on a project, by account name.
///
/// # Errors
/// Where the database refuses.
pub async fn members(tx: &mut Tx, project: ProjectId) -> Result<Vec<(AccountId, String, ProjectRole)>> {
    let rows = sqlx::query(
        "SELECT a.id, a.name, r.role FROM roles r JOIN accounts a ON a.id = r.account_id \
         WHERE r.project_id = $1 AND r.removed_at IS NULL ORDER BY a.name_normalised",
    )
    .bind(project.to_string())
    .fetch_all(tx.connection())
    .await?;
    rows.iter()
        .map(|row| {
            let row = Columns(row);
            Ok((row.parsed("id")?, row.text("name")?, row.parsed("role")?))
        })
        .collect()
}

/// The projects on which an account has a role.
///
/// # Errors
/// Where the database refuses.
pub async fn of_account(tx: &mut Tx, account: AccountId) -> Result<Vec<Project>> {
    let rows = sqlx::query(statement(&[
        COLUMNS,
        " WHERE p.id IN (SELECT project_id FROM roles WHERE account_id = $1 AND removed_at IS NULL) \
         ORDER BY p.name_normalised",
    ]))
    .bind(account.to_string())
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(project).collect()
}

/// A tie between a project and a repository (`github.com/owner/name`, lower case).
#[derive(Debug, Clone)]
pub struct RepositoryLink {
    /// Which project.
    pub project_id: ProjectId,
    /// Which repository.
    pub repository: String,
    /// What the tie rests on.
    pub basis: RepositoryBasis,
    /// When it was first said.
    pub first_seen_at: Instant,
    /// The token whose upload said so.
    pub token_id: Option<TokenId>,
}

/// Remembers a tie; an earlier one of the same basis stays as it is.
///
/// # Errors
/// Where the database refuses.
pub async fn insert_repository(tx: &mut Tx, link: &RepositoryLink) -> Result<()> {
    sqlx::query(
        "INSERT INTO project_repositories (project_id, repository, basis, first_seen_at, token_id) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (project_id, repository, basis) DO NOTHING",
    )
    .bind(link.project_id.to_string())
    .bind(link.repository.as_str())
    .bind(link.basis.word())
    .bind(link.first_seen_at.0)
    .bind(link.token_id.map(|id| id.to_string()))
    .execute(tx.connection())
    .await?;
    Ok(())
}

fn link(row: &sqlx::any::AnyRow) -> Result<RepositoryLink> {
    let row = Columns(row);
    Ok(RepositoryLink {
        project_id: row.parsed("project_id")?,
        repository: row.text("repository")?,
        basis: row.parsed("basis")?,
        first_seen_at: row.time("first_seen_at")?,
        token_id: row.optional_parsed("token_id")?,
    })
}

const LINKS: &str = "SELECT project_id, repository, basis, first_seen_at, token_id FROM project_repositories";

/// The projects that are tied to a repository.
///
/// # Errors
/// Where the database refuses.
pub async fn links_of_repository(tx: &mut Tx, repository: &str) -> Result<Vec<RepositoryLink>> {
    let rows = sqlx::query(statement(&[LINKS, " WHERE repository = $1 ORDER BY first_seen_at"]))
        .bind(repository)
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(link).collect()
}

/// The repositories that a project is tied to.
///
/// # Errors
/// Where the database refuses.
pub async fn links_of_project(tx: &mut Tx, project: ProjectId) -> Result<Vec<RepositoryLink>> {
    let rows = sqlx::query(statement(&[LINKS, " WHERE project_id = $1 ORDER BY first_seen_at"]))
        .bind(project.to_string())
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(link).collect()
}
