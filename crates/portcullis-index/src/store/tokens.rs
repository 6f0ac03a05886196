//! API tokens: long-lived, minted, canary and release pass.

use super::{Columns, Result, Tx, statement, stored_enum};
use crate::clock::Instant;
use crate::ids::{AccountId, CaseId, ProjectId, PublisherId, TokenId};

stored_enum! {
    /// Where a token comes from.
    TokenKind {
        /// A person made it.
        LongLived = "long-lived",
        /// A publisher's job got it; it lives 15 minutes.
        Minted = "minted",
        /// It is never valid: one presentation proves theft.
        Canary = "canary",
        /// Bound to the digests of a clean release.
        ReleasePass = "release-pass",
    }
}

stored_enum! {
    /// Whether a token may still be used.
    TokenState {
        /// It may.
        Live = "live",
        /// It may not, until a responder releases it.
        Suspended = "suspended",
        /// Never again.
        Revoked = "revoked",
    }
}

stored_enum! {
    /// How far a long-lived token reaches.
    TokenScope {
        /// Every project of its account.
        Account = "account",
        /// The projects it names.
        Projects = "projects",
    }
}

/// A row of `tokens`.
#[derive(Debug, Clone)]
pub struct Token {
    /// The identifier inside the macaroon.
    pub id: TokenId,
    /// Where it comes from.
    pub kind: TokenKind,
    /// Whose it is; none for minted ones.
    pub account_id: Option<AccountId>,
    /// The publisher whose job got it; none for people's.
    pub publisher_id: Option<PublisherId>,
    /// What its maker called it.
    pub description: String,
    /// The host name inside the macaroon.
    pub location: String,
    /// The macaroon's key under the server key.
    pub sealed_key: Vec<u8>,
    /// Texts of the issued caveats, then of those that the server added later.
    pub caveats: Vec<String>,
    /// How far it reaches.
    pub scope: TokenScope,
    /// The repository whose secret it is, as its owner said (`github.com/owner/name`).
    pub lives_in: Option<String>,
    /// The name of that secret.
    pub lives_in_secret: Option<String>,
    /// For a minted one, the claims it was minted from (JSON).
    pub minted_from: Option<String>,
    /// Whether it may be used.
    pub state: TokenState,
    /// Why not.
    pub state_cause: Option<String>,
    /// By which case.
    pub state_case_id: Option<CaseId>,
    /// Since when.
    pub state_since: Option<Instant>,
    /// When it was made.
    pub created_at: Instant,
    /// When it ends by itself.
    pub expires_at: Option<Instant>,
    /// Its first accepted use.
    pub first_used_at: Option<Instant>,
    /// Its last accepted use.
    pub last_used_at: Option<Instant>,
    /// How often it was accepted.
    pub use_count: i64,
}

const COLUMNS: &str = "SELECT t.id, t.kind, t.account_id, t.publisher_id, t.description, t.location, t.sealed_key, \
     t.caveats, t.scope, t.lives_in, t.lives_in_secret, t.minted_from, t.state, t.state_cause, t.state_case_id, \
     t.state_since, t.created_at, t.expires_at, t.first_used_at, t.last_used_at, t.use_count FROM tokens t";

fn token(row: &sqlx::any::AnyRow) -> Result<Token> {
    let row = Columns(row);
    Ok(Token {
        id: row.parsed("id")?,
        kind: row.parsed("kind")?,
        account_id: row.optional_parsed("account_id")?,
        publisher_id: row.optional_parsed("publisher_id")?,
        description: row.text("description")?,
        location: row.text("location")?,
        sealed_key: row.bytes("sealed_key")?,
        caveats: row.json("caveats")?,
        scope: row.parsed("scope")?,
        lives_in: row.optional_text("lives_in")?,
        lives_in_secret: row.optional_text("lives_in_secret")?,
        minted_from: row.optional_text("minted_from")?,
        state: row.parsed("state")?,
        state_cause: row.optional_text("state_cause")?,
        state_case_id: row.optional_parsed("state_case_id")?,
        state_since: row.optional_time("state_since")?,
        created_at: row.time("created_at")?,
        expires_at: row.optional_time("expires_at")?,
        first_used_at: row.optional_time("first_used_at")?,
        last_used_at: row.optional_time("last_used_at")?,
        use_count: row.number("use_count")?,
    })
}

/// The texts of caveats as they are stored: a JSON array.
pub(crate) fn caveats_text(caveats: &[String]) -> String {
    serde_json::Value::from(caveats.to_vec()).to_string()
}

/// Adds a token and the projects that it names.
///
/// # Errors
/// Where the database refuses.
pub async fn insert(tx: &mut Tx, token: &Token, projects: &[ProjectId]) -> Result<()> {
    sqlx::query(
        "INSERT INTO tokens (id, kind, account_id, publisher_id, description, location, sealed_key, caveats, scope, \
         lives_in, lives_in_secret, minted_from, state, state_cause, state_case_id, state_since, created_at, expires_at, use_count) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 0)",
    )
    .bind(token.id.to_string())
    .bind(token.kind.word())
    .bind(token.account_id.map(|id| id.to_string()))
    .bind(token.publisher_id.map(|id| id.to_string()))
    .bind(token.description.as_str())
    .bind(token.location.as_str())
    .bind(token.sealed_key.clone())
    .bind(caveats_text(&token.caveats))
    .bind(token.scope.word())
    .bind(token.lives_in.clone())
    .bind(token.lives_in_secret.clone())
    .bind(token.minted_from.clone())
    .bind(token.state.word())
    .bind(token.state_cause.clone())
    .bind(token.state_case_id.map(|id| id.to_string()))
    .bind(token.state_since.map(|time| time.0))
    .bind(token.created_at.0)
    .bind(token.expires_at.map(|time| time.0))
    .execute(tx.connection())
    .await?;
    for project in projects {
        sqlx::query(
            "INSERT INTO token_projects (token_id, project_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(token.id.to_string())
        .bind(project.to_string())
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

/// The token of this identifier.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id(tx: &mut Tx, id: TokenId) -> Result<Option<Token>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE t.id = $1"]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(token).transpose()
}

/// The token of this identifier, locked so that no containment can commit before this transaction ends.
/// `FOR UPDATE`, since its use is counted in the same transaction.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id_locked(tx: &mut Tx, id: TokenId) -> Result<Option<Token>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE t.id = $1", tx.update_lock()]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(token).transpose()
}

/// The tokens of an account, the newest first.
///
/// # Errors
/// Where the database refuses.
pub async fn of_account(tx: &mut Tx, account: AccountId) -> Result<Vec<Token>> {
    let rows =
        sqlx::query(statement(&[COLUMNS, " WHERE t.account_id = $1 ORDER BY t.created_at DESC, t.id"]))
            .bind(account.to_string())
            .fetch_all(tx.connection())
            .await?;
    rows.iter().map(token).collect()
}

/// The tokens minted for a publisher that have not expired.
///
/// # Errors
/// Where the database refuses.
pub async fn live_of_publisher(tx: &mut Tx, publisher: PublisherId, now: Instant) -> Result<Vec<Token>> {
    let rows = sqlx::query(statement(&[
        COLUMNS,
        " WHERE t.publisher_id = $1 AND t.state = 'live' AND t.expires_at > $2 ORDER BY t.id",
    ]))
    .bind(publisher.to_string())
    .bind(now.0)
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(token).collect()
}

/// The tokens whose owner says that they lie in this repository's secrets.
///
/// # Errors
/// Where the database refuses.
pub async fn living_in(tx: &mut Tx, repository: &str) -> Result<Vec<Token>> {
    let rows = sqlx::query(statement(&[COLUMNS, " WHERE t.lives_in = $1 ORDER BY t.id"]))
        .bind(repository)
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(token).collect()
}

/// People's tokens that could upload to a project: those that name it, and the account-scoped ones of its members.
///
/// # Errors
/// Where the database refuses.
pub async fn reaching_project(tx: &mut Tx, project: ProjectId) -> Result<Vec<Token>> {
    let rows = sqlx::query(statement(&[
        COLUMNS,
        " WHERE t.kind = 'long-lived' AND (t.id IN (SELECT token_id FROM token_projects WHERE project_id = $1) \
         OR (t.scope = 'account' AND t.account_id IN \
         (SELECT account_id FROM roles WHERE project_id = $2 AND removed_at IS NULL))) ORDER BY t.id",
    ]))
    .bind(project.to_string())
    .bind(project.to_string())
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(token).collect()
}

/// The projects that a token names.
///
/// # Errors
/// Where the database refuses.
pub async fn projects_of(tx: &mut Tx, id: TokenId) -> Result<Vec<ProjectId>> {
    let rows = sqlx::query("SELECT project_id FROM token_projects WHERE token_id = $1 ORDER BY project_id")
        .bind(id.to_string())
        .fetch_all(tx.connection())
        .await?;
    rows.iter().map(|row| Columns(row).parsed("project_id")).collect()
}

/// Counts an accepted use.
///
/// # Errors
/// Where the database refuses.
pub async fn count_use(tx: &mut Tx, id: TokenId, now: Instant) -> Result<()> {
    sqlx::query(
        "UPDATE tokens SET use_count = use_count + 1, last_used_at = $1, first_used_at = COALESCE(first_used_at, $2) \
         WHERE id = $3",
    )
    .bind(now.0)
    .bind(now.0)
    .bind(id.to_string())
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// What a token's state becomes, and why.
#[derive(Debug, Clone)]
pub struct StateChange<'a> {
    /// The new state.
    pub state: TokenState,
    /// Why; a person reads it.
    pub cause: Option<&'a str>,
    /// The case that decided it.
    pub case_id: Option<CaseId>,
    /// When.
    pub at: Instant,
}

/// Changes a token's state. A revoked token stays revoked: then false.
///
/// # Errors
/// Where the database refuses.
pub async fn set_state(tx: &mut Tx, id: TokenId, change: &StateChange<'_>) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE tokens SET state = $1, state_cause = $2, state_case_id = $3, state_since = $4 \
         WHERE id = $5 AND state <> 'revoked'",
    )
    .bind(change.state.word())
    .bind(change.cause.map(str::to_owned))
    .bind(change.case_id.map(|id| id.to_string()))
    .bind(change.at.0)
    .bind(id.to_string())
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Replaces the stored caveats: what the server enforces beside what the token carries.
///
/// # Errors
/// Where the database refuses.
pub async fn set_caveats(tx: &mut Tx, id: TokenId, caveats: &[String]) -> Result<()> {
    sqlx::query("UPDATE tokens SET caveats = $1 WHERE id = $2")
        .bind(caveats_text(caveats))
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}
