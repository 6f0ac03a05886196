//! Releases and their files.

use super::{Columns, Result, Tx, statement, stored_enum};
use crate::clock::Instant;
use crate::ids::{CaseId, FileId, ProjectId, ReleaseId, TokenId, UseId};

stored_enum! {
    /// Whether a release is offered.
    ReleaseState {
        /// It is.
        Active = "active",
        /// Its files are held.
        Quarantined = "quarantined",
        /// It was taken away; its file names stay reserved.
        Removed = "removed",
    }
}

stored_enum! {
    /// Whether a file is offered.
    FileState {
        /// It is.
        Offered = "offered",
        /// Containment holds it back.
        Held = "held",
        /// It was taken away; its name stays reserved.
        Removed = "removed",
    }
}

stored_enum! {
    /// What a file is.
    PackageType {
        /// A source distribution.
        Sdist = "sdist",
        /// A wheel.
        Wheel = "bdist_wheel",
    }
}

/// A row of `releases`.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// Of which project.
    pub project_id: ProjectId,
    /// The version as the first upload wrote it, normalised (PEP 440).
    pub version: String,
    /// What makes two spellings the same release (`1.0` and `1.0.0`).
    pub version_canonical: String,
    /// Core metadata of its first file (JSON).
    pub metadata: String,
    /// Whether it is offered.
    pub state: ReleaseState,
    /// Why not.
    pub state_cause: Option<String>,
    /// When it was made: the 14-day rule counts from here.
    pub created_at: Instant,
}

/// A row of `files`.
#[derive(Debug, Clone)]
pub struct File {
    /// Its id.
    pub id: FileId,
    /// Of which project.
    pub project_id: ProjectId,
    /// Of which release.
    pub release_id: ReleaseId,
    /// Its name, unique in the index for ever.
    pub filename: String,
    /// What it is.
    pub packagetype: PackageType,
    /// `py3`, `cp311`, …; `source` for an sdist.
    pub python_version: String,
    /// `Requires-Python`, where it has one.
    pub requires_python: Option<String>,
    /// Bytes.
    pub size: i64,
    /// SHA-256, hex: the name of its blob.
    pub sha256: String,
    /// BLAKE2b-256, hex: part of its URL.
    pub blake2_256: String,
    /// MD5, hex.
    pub md5: String,
    /// SHA-256 of its METADATA file, where it is a wheel.
    pub metadata_sha256: Option<String>,
    /// Whether it is offered.
    pub state: FileState,
    /// Why not.
    pub state_cause: Option<String>,
    /// By which case.
    pub state_case_id: Option<CaseId>,
    /// When it came.
    pub uploaded_at: Instant,
    /// With which token.
    pub token_id: TokenId,
    /// In which use of it.
    pub use_id: UseId,
    /// For a minted token, the commit it was built from.
    pub publisher_url: Option<String>,
}

const RELEASE_COLUMNS: &str = "SELECT id, project_id, version, version_canonical, metadata, state, state_cause, created_at FROM releases";

const FILE_COLUMNS: &str = "SELECT id, project_id, release_id, filename, packagetype, python_version, requires_python, \
     size, sha256, blake2_256, md5, metadata_sha256, state, state_cause, state_case_id, uploaded_at, token_id, use_id, \
     publisher_url FROM files";

fn release(row: &sqlx::any::AnyRow) -> Result<Release> {
    let row = Columns(row);
    Ok(Release {
        id: row.parsed("id")?,
        project_id: row.parsed("project_id")?,
        version: row.text("version")?,
        version_canonical: row.text("version_canonical")?,
        metadata: row.text("metadata")?,
        state: row.parsed("state")?,
        state_cause: row.optional_text("state_cause")?,
        created_at: row.time("created_at")?,
    })
}

fn file(row: &sqlx::any::AnyRow) -> Result<File> {
    let row = Columns(row);
    Ok(File {
        id: row.parsed("id")?,
        project_id: row.parsed("project_id")?,
        release_id: row.parsed("release_id")?,
        filename: row.text("filename")?,
        packagetype: row.parsed("packagetype")?,
        python_version: row.text("python_version")?,
        requires_python: row.optional_text("requires_python")?,
        size: row.number("size")?,
        sha256: row.text("sha256")?,
        blake2_256: row.text("blake2_256")?,
        md5: row.text("md5")?,
        metadata_sha256: row.optional_text("metadata_sha256")?,
        state: row.parsed("state")?,
        state_cause: row.optional_text("state_cause")?,
        state_case_id: row.optional_parsed("state_case_id")?,
        uploaded_at: row.time("uploaded_at")?,
        token_id: row.parsed("token_id")?,
        use_id: row.parsed("use_id")?,
        publisher_url: row.optional_text("publisher_url")?,
    })
}

/// Adds a release.
///
/// # Errors
/// Where the database refuses; a unique violation means that another upload has just made it.
pub async fn insert_release(tx: &mut Tx, release: &Release) -> Result<()> {
    sqlx::query(
        "INSERT INTO releases (id, project_id, version, version_canonical, metadata, state, yanked, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7) ON CONFLICT (project_id, version_canonical) DO NOTHING",
    )
    .bind(release.id.to_string())
    .bind(release.project_id.to_string())
    .bind(release.version.as_str())
    .bind(release.version_canonical.as_str())
    .bind(release.metadata.as_str())
    .bind(release.state.word())
    .bind(release.created_at.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The release of this canonical version, locked against changes.
///
/// # Errors
/// Where the database refuses.
pub async fn release_locked(
    tx: &mut Tx,
    project: ProjectId,
    version_canonical: &str,
) -> Result<Option<Release>> {
    let row = sqlx::query(statement(&[
        RELEASE_COLUMNS,
        " WHERE project_id = $1 AND version_canonical = $2",
        tx.update_lock(),
    ]))
    .bind(project.to_string())
    .bind(version_canonical)
    .fetch_optional(tx.connection())
    .await?;
    row.as_ref().map(release).transpose()
}

/// All releases of a project, in no order.
///
/// # Errors
/// Where the database refuses.
pub async fn releases_of_project(tx: &mut Tx, project: ProjectId) -> Result<Vec<Release>> {
    let rows = sqlx::query(statement(&[RELEASE_COLUMNS, " WHERE project_id = $1"]))
        .bind(project.to_string())
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(release).collect()
}

/// Changes whether a release is offered.
///
/// # Errors
/// Where the database refuses.
pub async fn set_release_state(
    tx: &mut Tx,
    id: ReleaseId,
    state: ReleaseState,
    cause: Option<&str>,
    case_id: Option<CaseId>,
) -> Result<()> {
    sqlx::query("UPDATE releases SET state = $1, state_cause = $2, state_case_id = $3 WHERE id = $4")
        .bind(state.word())
        .bind(cause.map(str::to_owned))
        .bind(case_id.map(|id| id.to_string()))
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Adds a file.
///
/// # Errors
/// Where the database refuses; a unique violation means that its name or content is in the index already.
pub async fn insert_file(tx: &mut Tx, file: &File) -> Result<()> {
    sqlx::query(
        "INSERT INTO files (id, project_id, release_id, filename, packagetype, python_version, requires_python, size, \
         sha256, blake2_256, md5, metadata_sha256, state, uploaded_at, token_id, use_id, publisher_url) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    )
    .bind(file.id.to_string())
    .bind(file.project_id.to_string())
    .bind(file.release_id.to_string())
    .bind(file.filename.as_str())
    .bind(file.packagetype.word())
    .bind(file.python_version.as_str())
    .bind(file.requires_python.clone())
    .bind(file.size)
    .bind(file.sha256.as_str())
    .bind(file.blake2_256.as_str())
    .bind(file.md5.as_str())
    .bind(file.metadata_sha256.clone())
    .bind(file.state.word())
    .bind(file.uploaded_at.0)
    .bind(file.token_id.to_string())
    .bind(file.use_id.to_string())
    .bind(file.publisher_url.clone())
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The file of this name.
///
/// # Errors
/// Where the database refuses.
pub async fn by_filename(tx: &mut Tx, filename: &str) -> Result<Option<File>> {
    let row = sqlx::query(statement(&[FILE_COLUMNS, " WHERE filename = $1"]))
        .bind(filename)
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(file).transpose()
}

/// The file of this id.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id(tx: &mut Tx, id: FileId) -> Result<Option<File>> {
    let row = sqlx::query(statement(&[FILE_COLUMNS, " WHERE id = $1"]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(file).transpose()
}

/// The file with this content.
///
/// # Errors
/// Where the database refuses.
pub async fn by_content(tx: &mut Tx, blake2_256: &str) -> Result<Option<File>> {
    let row = sqlx::query(statement(&[FILE_COLUMNS, " WHERE blake2_256 = $1"]))
        .bind(blake2_256)
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(file).transpose()
}

/// All files of a project, in no order.
///
/// # Errors
/// Where the database refuses.
pub async fn of_project(tx: &mut Tx, project: ProjectId) -> Result<Vec<File>> {
    let rows = sqlx::query(statement(&[FILE_COLUMNS, " WHERE project_id = $1"]))
        .bind(project.to_string())
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(file).collect()
}

/// All files that were uploaded with a token, in order of time.
///
/// # Errors
/// Where the database refuses.
pub async fn of_token(tx: &mut Tx, token: TokenId) -> Result<Vec<File>> {
    let rows = sqlx::query(statement(&[FILE_COLUMNS, " WHERE token_id = $1 ORDER BY uploaded_at, id"]))
        .bind(token.to_string())
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(file).collect()
}

/// Bytes of all files of a project.
///
/// # Errors
/// Where the database refuses.
pub async fn size_of_project(tx: &mut Tx, project: ProjectId) -> Result<i64> {
    let row =
        sqlx::query("SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) AS size FROM files WHERE project_id = $1")
            .bind(project.to_string())
            .fetch_one(tx.connection())
            .await?;
    Columns(&row).number("size")
}

/// The release of this id.
///
/// # Errors
/// Where the database refuses.
pub async fn release_by_id(tx: &mut Tx, id: ReleaseId) -> Result<Option<Release>> {
    let row = sqlx::query(statement(&[RELEASE_COLUMNS, " WHERE id = $1"]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(release).transpose()
}

/// Changes whether a file is offered.
///
/// # Errors
/// Where the database refuses.
pub async fn set_file_state(
    tx: &mut Tx,
    id: FileId,
    state: FileState,
    cause: Option<&str>,
    case_id: Option<CaseId>,
) -> Result<()> {
    sqlx::query("UPDATE files SET state = $1, state_cause = $2, state_case_id = $3 WHERE id = $4")
        .bind(state.word())
        .bind(cause.map(str::to_owned))
        .bind(case_id.map(|id| id.to_string()))
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}
