//! Burning: whoever holds a token ends it. uv does so after every publish.
//!
//! Holding is proved by the chain over the presented caveats. Whether they are satisfied does not matter: an expired or
//! narrowed copy is still this token. A token whose chain is broken is of no use to a thief, and knowing an identifier must
//! not be enough to end somebody's token.

use portcullis_trust::token::PresentedToken;

use crate::app::App;
use crate::authority::event_of;
use crate::authority::uploader::open_key;
use crate::history::{Actor, Origin, record};
use crate::ids::TokenId;
use crate::server_key::ServerKeyError;
use crate::store::tokens::{self, StateChange, Token, TokenKind, TokenState};
use crate::store::{StoreError, Tx};

/// Why nothing was burnt.
#[derive(Debug, thiserror::Error)]
pub enum BurnError {
    /// Not the text of a token.
    #[error("malformed token")]
    Malformed,
    /// No such token, or its chain is broken: one answer for both, so that nobody learns which identifiers exist.
    #[error("malformed or invalid token")]
    Unknown,
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server key refused.
    #[error(transparent)]
    Key(#[from] ServerKeyError),
}

/// Ends the token that is presented, for ever. One that has ended already stays so.
///
/// # Errors
/// [`BurnError`].
pub async fn burn(app: &App, text: &str, origin: &Origin) -> Result<(), BurnError> {
    let presented = PresentedToken::parse(text).map_err(|_| BurnError::Malformed)?;
    let id = TokenId(presented.identifier().ok_or(BurnError::Unknown)?);
    let now = app.now();
    let mut tx = app.store.write().await?;
    let token = tokens::by_id_locked(&mut tx, id).await?.ok_or(BurnError::Unknown)?;
    // Nobody holds a canary but a thief, whose asking must not end it.
    if token.kind == TokenKind::Canary || !presented.chain_holds(&open_key(app, &token)?) {
        return Err(BurnError::Unknown);
    }
    let change = StateChange {
        state: TokenState::Revoked,
        cause: Some("its holder gave it back"),
        case_id: token.state_case_id,
        at: now,
    };
    if tokens::set_state(&mut tx, id, &change).await? {
        record_end(&mut tx, app, &token, origin).await?;
    }
    tx.commit().await?;
    app.committed();
    Ok(())
}

async fn record_end(tx: &mut Tx, app: &App, token: &Token, origin: &Origin) -> Result<(), StoreError> {
    let event = |tag: &'static str| {
        let mut event = event_of(tag, Actor::Anonymous, origin);
        event.token = Some(token.id);
        event.details = serde_json::json!({
            "macaroon_id": token.id, "description": token.description, "was": token.state,
            "first_used": token.first_used_at.map(|time| time.rfc3339()),
        });
        event
    };
    let now = app.now();
    if let Some(account) = token.account_id {
        let mut event = event("account:api_token:burned");
        event.account = Some(account);
        record(tx, now, event).await?;
    }
    for project in tokens::projects_of(tx, token.id).await? {
        let minted = token.kind == TokenKind::Minted;
        let tag = if minted { "account:short_lived_api_token:burned" } else { "project:api_token:burned" };
        let mut event = event(tag);
        event.project = Some(project);
        record(tx, now, event).await?;
    }
    Ok(())
}
