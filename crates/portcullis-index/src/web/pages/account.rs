//! An account's own page.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::{Layout, PageError, again, page, see_other};
use crate::account::second_factor::{self, Standing};
use crate::account::session::SignedIn;
use crate::account::{self, AccountError};
use crate::app::App;
use crate::history::lines::{self, Line};
use crate::web::extract::Client;
use crate::web::session::{Form, clear_cookie};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/account", get(show)).route("/account/password", post(change_password))
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    layout: Layout,
    message: Option<String>,
    name: String,
    role: &'static str,
    factor: Standing,
    open_password: bool,
    lines: Vec<Line>,
    more: bool,
}

async fn show(State(app): State<App>, signed_in: SignedIn) -> Result<Response, PageError> {
    Ok(page(StatusCode::OK, &content(&app, &signed_in, None).await?))
}

async fn content(app: &App, signed_in: &SignedIn, message: Option<String>) -> Result<AccountPage, PageError> {
    let account = signed_in.account();
    let mut tx = app.store.read().await?;
    let history = lines::of_account(&mut tx, account.id, app.now()).await?;
    drop(tx);
    Ok(AccountPage {
        layout: Layout::signed_in(app, signed_in),
        open_password: message.is_some(),
        message,
        name: account.name.clone(),
        role: account.role.word(),
        factor: second_factor::standing(app, account).await?,
        lines: history.lines,
        more: history.more,
    })
}

async fn change_password(
    State(app): State<App>,
    Client(origin): Client,
    Form { by, fields }: Form<SignedIn>,
) -> Result<Response, PageError> {
    let (present, new) = (fields.secret("present"), fields.secret("new"));
    match account::change_password(&app, by.account(), present, new, origin).await {
        Ok(()) => {
            let cookie = [(header::SET_COOKIE, clear_cookie(&app))];
            Ok((cookie, see_other("/sign-in?done=password")).into_response())
        }
        Err(AccountError::TooManyAttempts(until)) => {
            Err(PageError::TooManyAttempts(until, app.now().unix_seconds()))
        }
        Err(error) => {
            let wrong = again(error)?;
            Ok(page(wrong.status, &content(&app, &by, Some(wrong.message)).await?))
        }
    }
}
