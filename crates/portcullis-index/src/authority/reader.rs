//! Who may read the index where reading is signed in: a token with the read permission.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use portcullis_trust::caveat::{self, Permission};
use portcullis_trust::token::PresentedToken;

use super::uploader::{Refused, open_key, presented_text};
use crate::app::App;
use crate::ids::TokenId;
use crate::settings::ReadAccess;
use crate::store::accounts::{self, AccountState};
use crate::store::projects;
use crate::store::tokens::{self, TokenState};

/// Proof that the index may be read.
#[derive(Debug, Clone, Copy)]
pub struct Reader(());

/// Whether this request may read; `project` is the normalised name of what it reads.
///
/// # Errors
/// The neutral text, or the texts of the caveats that fail.
pub async fn reader(app: &App, headers: &HeaderMap, project: Option<&str>) -> Result<Reader, Refused> {
    if app.settings.read == ReadAccess::Anyone {
        return Ok(Reader(()));
    }
    let help = app.url("/help/");
    let none = || Refused::NoIdentity { help: help.clone() };
    let text = presented_text(headers.get(AUTHORIZATION), &help)?;
    let presented = PresentedToken::parse(&text).map_err(|_| none())?;
    let id = TokenId(presented.identifier().ok_or_else(none)?);
    let mut tx = app.store.read().await?;
    let token = tokens::by_id(&mut tx, id).await?.ok_or_else(none)?;
    let account = token.account_id.ok_or_else(none)?;
    let account = accounts::by_id(&mut tx, account).await?;
    let account = account.filter(|account| account.state == AccountState::Active).ok_or_else(none)?;
    let found = match project {
        Some(name) => projects::by_name(&mut tx, name).await?,
        None => None,
    };
    let request = caveat::Request {
        now: app.now().unix_seconds(),
        identity: caveat::Identity::Account(account.id.0),
        permission: Permission::Read,
        target: project.map(|name| caveat::Target {
            id: found.as_ref().map(|project| project.id.0),
            name,
            name_normalised: name,
        }),
        version: None,
        file_sha256: None,
    };
    presented
        .verify(&open_key(app, &token)?, &token.caveats, &request)
        .map_err(|refusal| Refused::Token(refusal.to_string()))?;
    match token.state {
        TokenState::Live => Ok(Reader(())),
        TokenState::Suspended | TokenState::Revoked => Err(none()),
    }
}
