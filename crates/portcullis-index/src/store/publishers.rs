//! Trusted Publishers and the projects that trust them.

use portcullis_trust::publisher::Publisher as Configured;
use uuid::Uuid;

use super::{Columns, Result, Tx, statement, stored_enum};
use crate::clock::Instant;
use crate::ids::{AccountId, ProjectId, PublisherId};

stored_enum! {
    /// Whether a publisher may mint.
    PublisherState {
        /// It may.
        Active = "active",
        /// It may not, until a responder releases it. Its minted tokens are dead meanwhile.
        Paused = "paused",
        /// No project trusts it any more.
        Removed = "removed",
    }
}

/// A row of `publishers`.
#[derive(Debug, Clone)]
pub struct Publisher {
    /// Its id.
    pub id: PublisherId,
    /// The provider's name.
    pub provider: String,
    /// The issuer whose tokens it trusts.
    pub issuer: String,
    /// The repository (`github.com/owner/name`).
    pub repository: Option<String>,
    /// What exactly it trusts; only its provider reads it.
    pub configuration: String,
    /// Whether it may mint.
    pub state: PublisherState,
    /// Why not.
    pub state_cause: Option<String>,
    /// Since when.
    pub state_since: Option<Instant>,
    /// When it was made.
    pub created_at: Instant,
    /// Its last mint.
    pub last_used_at: Option<Instant>,
}

const COLUMNS: &str = "SELECT p.id, p.provider, p.issuer, p.repository, p.configuration, p.state, p.state_cause, \
     p.state_since, p.created_at, p.last_used_at FROM publishers p";

fn publisher(row: &sqlx::any::AnyRow) -> Result<Publisher> {
    let row = Columns(row);
    Ok(Publisher {
        id: row.parsed("id")?,
        provider: row.text("provider")?,
        issuer: row.text("issuer")?,
        repository: row.optional_text("repository")?,
        configuration: row.text("configuration")?,
        state: row.parsed("state")?,
        state_cause: row.optional_text("state_cause")?,
        state_since: row.optional_time("state_since")?,
        created_at: row.time("created_at")?,
        last_used_at: row.optional_time("last_used_at")?,
    })
}

/// Adds a publisher; a unique violation means that the identity is there already, perhaps as a removed one.
///
/// # Errors
/// Where the database refuses.
pub async fn insert(tx: &mut Tx, id: PublisherId, configured: &Configured, now: Instant) -> Result<()> {
    sqlx::query(
        "INSERT INTO publishers (id, provider, issuer, identity_key, lookup_key, repository, configuration, state, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'active', $8)",
    )
    .bind(id.to_string())
    .bind(configured.provider)
    .bind(configured.issuer.as_str())
    .bind(configured.identity_key.as_str())
    .bind(configured.lookup_key.as_str())
    .bind(configured.repository.clone())
    .bind(configured.configuration.as_str())
    .bind(now.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The publisher of this id.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id(tx: &mut Tx, id: PublisherId) -> Result<Option<Publisher>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE p.id = $1"]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(publisher).transpose()
}

/// The publisher of this id, locked against changes until this transaction ends: what the transaction that commits an
/// upload with a minted token asks.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id_locked(tx: &mut Tx, id: PublisherId) -> Result<Option<Publisher>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE p.id = $1", tx.share_lock()]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(publisher).transpose()
}

/// The publisher of this id, locked for changing it.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id_for_update(tx: &mut Tx, id: PublisherId) -> Result<Option<Publisher>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE p.id = $1", tx.update_lock()]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(publisher).transpose()
}

/// The publisher of exactly this identity, removed ones too, locked for changing it.
///
/// # Errors
/// Where the database refuses.
pub async fn by_identity_locked(tx: &mut Tx, configured: &Configured) -> Result<Option<Publisher>> {
    let row = sqlx::query(statement(&[
        COLUMNS,
        " WHERE p.provider = $1 AND p.issuer = $2 AND p.identity_key = $3",
        tx.update_lock(),
    ]))
    .bind(configured.provider)
    .bind(configured.issuer.as_str())
    .bind(configured.identity_key.as_str())
    .fetch_optional(tx.connection())
    .await?;
    row.as_ref().map(publisher).transpose()
}

/// The publishers that a token's lookup key leads to, paused ones too, the oldest first, locked for changing them: a
/// containment waits for the mint, or the mint for the containment.
///
/// # Errors
/// Where the database refuses.
pub async fn candidates_locked(
    tx: &mut Tx,
    provider: &str,
    issuer: &str,
    lookup_key: &str,
) -> Result<Vec<Publisher>> {
    let rows = sqlx::query(statement(&[
        COLUMNS,
        " WHERE p.provider = $1 AND p.issuer = $2 AND p.lookup_key = $3 AND p.state <> 'removed' ORDER BY p.id",
        tx.update_lock(),
    ]))
    .bind(provider)
    .bind(issuer)
    .bind(lookup_key)
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(publisher).collect()
}

/// The publishers of a repository (`github.com/owner/name`) that were not removed.
///
/// # Errors
/// Where the database refuses.
pub async fn of_repository(tx: &mut Tx, repository: &str) -> Result<Vec<Publisher>> {
    let rows =
        sqlx::query(statement(&[COLUMNS, " WHERE p.repository = $1 AND p.state <> 'removed' ORDER BY p.id"]))
            .bind(repository)
            .fetch_all(tx.connection())
            .await?;
    rows.iter().map(publisher).collect()
}

/// The publishers that a project trusts, the oldest first.
///
/// # Errors
/// Where the database refuses.
pub async fn of_project(tx: &mut Tx, project: ProjectId) -> Result<Vec<Publisher>> {
    let rows = sqlx::query(statement(&[
        COLUMNS,
        " WHERE p.id IN (SELECT publisher_id FROM publisher_projects WHERE project_id = $1 AND removed_at IS NULL) \
         ORDER BY p.created_at, p.id",
    ]))
    .bind(project.to_string())
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(publisher).collect()
}

/// The projects that trust a publisher now.
///
/// # Errors
/// Where the database refuses.
pub async fn projects_of(tx: &mut Tx, id: PublisherId) -> Result<Vec<ProjectId>> {
    let rows = sqlx::query(
        "SELECT project_id FROM publisher_projects WHERE publisher_id = $1 AND removed_at IS NULL ORDER BY project_id",
    )
    .bind(id.to_string())
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(|row| Columns(row).parsed("project_id")).collect()
}

/// Lets a project trust a publisher; false where it does already.
///
/// # Errors
/// Where the database refuses.
pub async fn attach(
    tx: &mut Tx,
    id: PublisherId,
    project: ProjectId,
    added_by: Option<AccountId>,
    now: Instant,
) -> Result<bool> {
    let done = sqlx::query(
        "INSERT INTO publisher_projects (id, publisher_id, project_id, added_by, added_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (publisher_id, project_id) WHERE removed_at IS NULL DO NOTHING",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(id.to_string())
    .bind(project.to_string())
    .bind(added_by.map(|account| account.to_string()))
    .bind(now.0)
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a project's trust in a publisher; false where there was none. The row stays.
///
/// # Errors
/// Where the database refuses.
pub async fn detach(tx: &mut Tx, id: PublisherId, project: ProjectId, now: Instant) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE publisher_projects SET removed_at = $1 \
         WHERE publisher_id = $2 AND project_id = $3 AND removed_at IS NULL",
    )
    .bind(now.0)
    .bind(id.to_string())
    .bind(project.to_string())
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Changes whether a publisher may mint.
///
/// # Errors
/// Where the database refuses.
pub async fn set_state(
    tx: &mut Tx,
    id: PublisherId,
    state: PublisherState,
    cause: Option<&str>,
    now: Instant,
) -> Result<()> {
    sqlx::query("UPDATE publishers SET state = $1, state_cause = $2, state_since = $3 WHERE id = $4")
        .bind(state.word())
        .bind(cause.map(str::to_owned))
        .bind(now.0)
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Replaces the configuration: ids that were learned, or a removed publisher that is registered anew.
///
/// # Errors
/// Where the database refuses.
pub async fn set_configuration(tx: &mut Tx, id: PublisherId, configuration: &str) -> Result<()> {
    sqlx::query("UPDATE publishers SET configuration = $1 WHERE id = $2")
        .bind(configuration)
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Notes a mint.
///
/// # Errors
/// Where the database refuses.
pub async fn note_use(tx: &mut Tx, id: PublisherId, now: Instant) -> Result<()> {
    sqlx::query("UPDATE publishers SET last_used_at = $1 WHERE id = $2")
        .bind(now.0)
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}
