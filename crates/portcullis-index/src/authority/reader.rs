//! Who may read the index where reading is signed in: a token with the read permission.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use portcullis_trust::caveat::{self, Permission};
use portcullis_trust::token::PresentedToken;

use super::uploader::{Refused, open_key, presented_text, suspended};
use crate::app::App;
use crate::clock::{Instant, SECOND};
use crate::history::{Actor, Event, Origin, keep_personal, record};
use crate::ids::{TokenId, UseId};
use crate::settings::ReadAccess;
use crate::store::accounts::{self, Account, AccountState};
use crate::store::projects;
use crate::store::token_uses::{self, TokenUse, UseKind};
use crate::store::tokens::{self, TokenState};

/// Proof that the index may be read.
#[derive(Debug, Clone, Copy)]
pub struct Reader(());

/// Whether this request may read; `project` is the normalised name of what it reads.
///
/// # Errors
/// The neutral text, or the texts of the caveats that fail.
pub async fn reader(
    app: &App,
    headers: &HeaderMap,
    project: Option<&str>,
    origin: &Origin,
) -> Result<Reader, Refused> {
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
    let key = open_key(app, &token)?;
    // The caveats' texts, the stored ones' too, are for whoever holds the token.
    if !presented.chain_holds(&key) {
        return Err(none());
    }
    presented
        .verify(&key, &token.caveats, &request)
        .map_err(|refusal| Refused::Token(refusal.to_string()))?;
    match token.state {
        TokenState::Live => {}
        TokenState::Suspended => return Err(suspended(&token, app.contact())),
        TokenState::Revoked => return Err(none()),
    }
    let now = app.now();
    let hour = Instant(now.0 - now.0.rem_euclid(3_600 * SECOND));
    let known = token_uses::has_read_since(&mut tx, id, &origin.address.to_string(), hour).await?;
    drop(tx);
    if !known {
        record_read(app, id, &account, origin, now).await?;
    }
    Ok(Reader(()))
}

/// Records the first read of an hour from an address: evidence of use, without a row for every page that pip fetches.
async fn record_read(
    app: &App,
    token: TokenId,
    account: &Account,
    origin: &Origin,
    now: Instant,
) -> Result<(), Refused> {
    let mut tx = app.store.write().await?;
    let actor = Actor::Account { id: account.id, name: account.name.clone() };
    let mut event = Event::new("token:read", actor);
    event.account = Some(account.id);
    event.token = Some(token);
    let personal = keep_personal(&mut tx, now, Some(account.id), origin).await?;
    let token_use = TokenUse {
        id: UseId::new(),
        token_id: token,
        kind: UseKind::Read,
        outcome: String::from("accepted"),
        at: now,
        project_id: None,
        filename: None,
        file_sha256: None,
        address: None,
        user_agent: None,
    };
    token_uses::insert(&mut tx, &token_use, Some(personal.id)).await?;
    tokens::count_use(&mut tx, token, now).await?;
    event.details = serde_json::json!({ "macaroon_id": token, "use_id": token_use.id });
    event.personal = Some(personal);
    record(&mut tx, now, event).await?;
    tx.commit().await?;
    app.committed();
    Ok(())
}
