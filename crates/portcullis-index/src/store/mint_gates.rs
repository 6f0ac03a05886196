//! The gate of each repository: while it is closed nothing is minted for it.

use super::{Columns, Result, Tx, statement, stored_enum};
use crate::clock::Instant;
use crate::ids::CaseId;

stored_enum! {
    /// Whether jobs of a repository may mint.
    GateState {
        /// They may.
        Open = "open",
        /// They may not, until a responder opens it.
        Closed = "closed",
    }
}

/// A row of `mint_gates`.
#[derive(Debug, Clone)]
pub struct Gate {
    /// The repository (`github.com/owner/name`).
    pub repository: String,
    /// Whether its jobs may mint.
    pub state: GateState,
    /// Why not.
    pub state_cause: Option<String>,
    /// By which case.
    pub case_id: Option<CaseId>,
    /// Since when.
    pub state_since: Instant,
}

/// The gate of a repository, made open where there is none yet, and locked for changing it: a row that is not there can't
/// be locked, and a gate that closes at this moment would be overlooked. A shared lock would not do: mint and containment
/// would each hold one, and neither could go on.
///
/// # Errors
/// Where the database refuses.
pub async fn locked(tx: &mut Tx, repository: &str, now: Instant) -> Result<Gate> {
    sqlx::query(
        "INSERT INTO mint_gates (repository, state, state_since) VALUES ($1, 'open', $2) \
         ON CONFLICT (repository) DO NOTHING",
    )
    .bind(repository)
    .bind(now.0)
    .execute(tx.connection())
    .await?;
    let row = sqlx::query(statement(&[
        "SELECT repository, state, state_cause, case_id, state_since FROM mint_gates WHERE repository = $1",
        tx.update_lock(),
    ]))
    .bind(repository)
    .fetch_one(tx.connection())
    .await?;
    let row = Columns(&row);
    Ok(Gate {
        repository: row.text("repository")?,
        state: row.parsed("state")?,
        state_cause: row.optional_text("state_cause")?,
        case_id: row.optional_parsed("case_id")?,
        state_since: row.time("state_since")?,
    })
}

/// Opens or closes the gate of a repository.
///
/// # Errors
/// Where the database refuses.
pub async fn set(
    tx: &mut Tx,
    repository: &str,
    state: GateState,
    cause: Option<&str>,
    case: Option<CaseId>,
    now: Instant,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO mint_gates (repository, state, state_cause, case_id, state_since) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (repository) DO UPDATE SET state = EXCLUDED.state, state_cause = EXCLUDED.state_cause, \
         case_id = EXCLUDED.case_id, state_since = EXCLUDED.state_since",
    )
    .bind(repository)
    .bind(state.word())
    .bind(cause.map(str::to_owned))
    .bind(case.map(|id| id.to_string()))
    .bind(now.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}
