//! Accounts, their mail addresses and second factors.

use super::{Columns, Result, Tx, statement, stored_enum};
use crate::clock::Instant;
use crate::ids::AccountId;
use uuid::Uuid;

stored_enum! {
    /// What an account may do on the server, beside what its projects give it.
    AccountRole {
        /// Publishes.
        User = "user",
        /// A trusted reporter.
        Observer = "observer",
        /// Works at the desk.
        Responder = "responder",
        /// Everything.
        Admin = "admin",
    }
}

stored_enum! {
    /// Whether an account may act.
    AccountState {
        /// It may.
        Active = "active",
        /// It may not: no sign-in, and none of its tokens has an identity.
        Frozen = "frozen",
    }
}

/// A row of `accounts`.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name, as it was registered.
    pub name: String,
    /// What it may do on the server.
    pub role: AccountRole,
    /// Whether it may act.
    pub state: AccountState,
    /// PHC string of its password; none where it has none yet.
    pub password_hash: Option<String>,
    /// When it was made.
    pub created_at: Instant,
}

const COLUMNS: &str = "SELECT id, name, role, state, password_hash, created_at FROM accounts";

fn account(row: &sqlx::any::AnyRow) -> Result<Account> {
    let row = Columns(row);
    Ok(Account {
        id: row.parsed("id")?,
        name: row.text("name")?,
        role: row.parsed("role")?,
        state: row.parsed("state")?,
        password_hash: row.optional_text("password_hash")?,
        created_at: row.time("created_at")?,
    })
}

/// Adds an account; a unique violation means that the name is taken.
///
/// # Errors
/// Where the database refuses.
pub async fn insert(tx: &mut Tx, account: &Account, name_normalised: &str) -> Result<()> {
    sqlx::query(
        "INSERT INTO accounts (id, name, name_normalised, role, state, password_hash, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(account.id.to_string())
    .bind(account.name.as_str())
    .bind(name_normalised)
    .bind(account.role.word())
    .bind(account.state.word())
    .bind(account.password_hash.clone())
    .bind(account.created_at.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The account of this id.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id(tx: &mut Tx, id: AccountId) -> Result<Option<Account>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE id = $1"]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(account).transpose()
}

/// The account of this id, locked so that nobody changes it before this transaction ends.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id_locked(tx: &mut Tx, id: AccountId) -> Result<Option<Account>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE id = $1", tx.share_lock()]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(account).transpose()
}

/// The account of this id, locked so that nobody else locks or changes it before this transaction ends.
///
/// # Errors
/// Where the database refuses.
pub async fn by_id_for_update(tx: &mut Tx, id: AccountId) -> Result<Option<Account>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE id = $1", tx.update_lock()]))
        .bind(id.to_string())
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(account).transpose()
}

/// The account of this normalised name.
///
/// # Errors
/// Where the database refuses.
pub async fn by_name(tx: &mut Tx, name_normalised: &str) -> Result<Option<Account>> {
    let row = sqlx::query(statement(&[COLUMNS, " WHERE name_normalised = $1"]))
        .bind(name_normalised)
        .fetch_optional(tx.connection())
        .await?;
    row.as_ref().map(account).transpose()
}

/// All accounts by name.
///
/// # Errors
/// Where the database refuses.
pub async fn all(tx: &mut Tx) -> Result<Vec<Account>> {
    let rows =
        sqlx::query(statement(&[COLUMNS, " ORDER BY name_normalised"])).fetch_all(tx.connection()).await?;
    rows.iter().map(account).collect()
}

/// How many administrators there are.
///
/// # Errors
/// Where the database refuses.
pub async fn administrators(tx: &mut Tx) -> Result<i64> {
    let row =
        sqlx::query("SELECT COUNT(*) AS number FROM accounts WHERE role = 'admin' AND state = 'active'")
            .fetch_one(tx.connection())
            .await?;
    Columns(&row).number("number")
}

/// Sets the password's hash.
///
/// # Errors
/// Where the database refuses.
pub async fn set_password(tx: &mut Tx, id: AccountId, password_hash: &str) -> Result<()> {
    sqlx::query("UPDATE accounts SET password_hash = $1 WHERE id = $2")
        .bind(password_hash)
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Freezes or thaws an account.
///
/// # Errors
/// Where the database refuses.
pub async fn set_state(tx: &mut Tx, id: AccountId, state: AccountState, cause: Option<&str>) -> Result<()> {
    sqlx::query("UPDATE accounts SET state = $1, state_cause = $2 WHERE id = $3")
        .bind(state.word())
        .bind(cause.map(str::to_owned))
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Adds a mail address.
///
/// # Errors
/// Where the database refuses.
pub async fn insert_email(
    tx: &mut Tx,
    id: AccountId,
    address: &str,
    primary: bool,
    verified_at: Option<Instant>,
    now: Instant,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO emails (id, account_id, address, is_primary, verified_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(id.to_string())
    .bind(address)
    .bind(i64::from(primary))
    .bind(verified_at.map(|time| time.0))
    .bind(now.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The verified addresses of an account, the primary one first.
///
/// # Errors
/// Where the database refuses.
pub async fn verified_addresses(tx: &mut Tx, id: AccountId) -> Result<Vec<String>> {
    let rows = sqlx::query(
        "SELECT address FROM emails WHERE account_id = $1 AND verified_at IS NOT NULL AND removed_at IS NULL \
         AND address IS NOT NULL ORDER BY is_primary DESC, created_at",
    )
    .bind(id.to_string())
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(|row| Columns(row).text("address")).collect()
}

/// A row of `second_factors`.
#[derive(Debug, Clone)]
pub struct SecondFactor {
    /// Its id.
    pub id: Uuid,
    /// The secret under the server key.
    pub sealed: Vec<u8>,
    /// The last time step that a code was accepted for.
    pub last_step: i64,
    /// When its first code was given; until then it does not count.
    pub confirmed_at: Option<Instant>,
}

/// Adds a TOTP factor that waits for its first code.
///
/// # Errors
/// Where the database refuses.
pub async fn insert_second_factor(
    tx: &mut Tx,
    id: Uuid,
    account: AccountId,
    label: &str,
    sealed: &[u8],
    now: Instant,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO second_factors (id, account_id, kind, label, sealed, last_step, created_at) \
         VALUES ($1, $2, 'totp', $3, $4, 0, $5)",
    )
    .bind(id.to_string())
    .bind(account.to_string())
    .bind(label)
    .bind(sealed)
    .bind(now.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The factors of an account that were not removed, the newest first.
///
/// # Errors
/// Where the database refuses.
pub async fn second_factors(tx: &mut Tx, account: AccountId) -> Result<Vec<SecondFactor>> {
    let rows = sqlx::query(
        "SELECT id, sealed, last_step, confirmed_at FROM second_factors \
         WHERE account_id = $1 AND removed_at IS NULL ORDER BY created_at DESC",
    )
    .bind(account.to_string())
    .fetch_all(tx.connection())
    .await?;
    rows.iter()
        .map(|row| {
            let row = Columns(row);
            Ok(SecondFactor {
                id: row.parsed("id")?,
                sealed: row.bytes("sealed")?,
                last_step: row.number("last_step")?,
                confirmed_at: row.optional_time("confirmed_at")?,
            })
        })
        .collect()
}

/// Notes that a code of this step was accepted; false where that step or a later one was used already.
///
/// # Errors
/// Where the database refuses.
pub async fn use_second_factor(tx: &mut Tx, id: Uuid, step: i64, now: Instant) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE second_factors SET last_step = $1, confirmed_at = COALESCE(confirmed_at, $2) \
         WHERE id = $3 AND last_step < $4",
    )
    .bind(step)
    .bind(now.0)
    .bind(id.to_string())
    .bind(step)
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Retires a factor. The row stays.
///
/// # Errors
/// Where the database refuses.
pub async fn remove_second_factor(tx: &mut Tx, id: Uuid, now: Instant) -> Result<()> {
    sqlx::query("UPDATE second_factors SET removed_at = $1 WHERE id = $2")
        .bind(now.0)
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Adds hashes of recovery codes.
///
/// # Errors
/// Where the database refuses.
pub async fn insert_recovery_codes(
    tx: &mut Tx,
    account: AccountId,
    hashes: &[String],
    now: Instant,
) -> Result<()> {
    for hash in hashes {
        sqlx::query("INSERT INTO recovery_codes (code_hash, account_id, created_at) VALUES ($1, $2, $3)")
            .bind(hash.as_str())
            .bind(account.to_string())
            .bind(now.0)
            .execute(tx.connection())
            .await?;
    }
    Ok(())
}

/// Uses a recovery code up; false where there is none of this hash, or it was used.
///
/// # Errors
/// Where the database refuses.
pub async fn use_recovery_code(
    tx: &mut Tx,
    account: AccountId,
    code_hash: &str,
    now: Instant,
) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE recovery_codes SET used_at = $1 WHERE code_hash = $2 AND account_id = $3 AND used_at IS NULL",
    )
    .bind(now.0)
    .bind(code_hash)
    .bind(account.to_string())
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends all recovery codes of an account: those that were not used count as used from now on.
///
/// # Errors
/// Where the database refuses.
pub async fn end_recovery_codes(tx: &mut Tx, account: AccountId, now: Instant) -> Result<()> {
    sqlx::query("UPDATE recovery_codes SET used_at = $1 WHERE account_id = $2 AND used_at IS NULL")
        .bind(now.0)
        .bind(account.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// How many recovery codes of an account may still be used.
///
/// # Errors
/// Where the database refuses.
pub async fn recovery_codes_left(tx: &mut Tx, account: AccountId) -> Result<i64> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS number FROM recovery_codes WHERE account_id = $1 AND used_at IS NULL",
    )
    .bind(account.to_string())
    .fetch_one(tx.connection())
    .await?;
    Columns(&row).number("number")
}
