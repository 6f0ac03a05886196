//! What a one-time link opens: making the first administrator, or setting a new password.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;

use super::{Layout, PageError, again, page, see_other};
use crate::account::one_time_link::{self, Invitation, PATH};
use crate::app::App;
use crate::web::extract::Client;
use crate::web::session::Form;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/welcome/{secret}", get(show).post(submit))
}

#[derive(Template)]
#[template(path = "first_administrator.html")]
struct FirstAdministrator {
    layout: Layout,
    message: Option<String>,
    action: String,
    name: String,
    email: String,
}

#[derive(Template)]
#[template(path = "reset.html")]
struct Reset {
    layout: Layout,
    message: Option<String>,
    action: String,
    name: String,
}

/// Looking does not use the link up: mail scanners look, too.
async fn show(State(app): State<App>, Path(secret): Path<String>) -> Result<Response, PageError> {
    match one_time_link::look(&app, &secret).await {
        Ok(invitation) => Ok(form(&app, &secret, invitation, StatusCode::OK, None, ("", ""))),
        Err(error) => {
            let dead = again(error)?;
            Err(PageError::Gone(dead.message))
        }
    }
}

fn form(
    app: &App,
    secret: &str,
    invitation: Invitation,
    status: StatusCode,
    message: Option<String>,
    (name, email): (&str, &str),
) -> Response {
    let layout = Layout::plain(app);
    let action = format!("{PATH}{secret}");
    let mut response = match invitation {
        Invitation::FirstAdministrator => {
            let (name, email) = (name.to_owned(), email.to_owned());
            page(status, &FirstAdministrator { layout, message, action, name, email })
        }
        Invitation::Reset(account) => page(status, &Reset { layout, message, action, name: account.name }),
    };
    // This page's address is the secret: not even the style sheet's request may name it.
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

async fn submit(
    State(app): State<App>,
    Client(origin): Client,
    Path(secret): Path<String>,
    Form { fields, .. }: Form<Anybody>,
) -> Result<Response, PageError> {
    let invitation = match one_time_link::look(&app, &secret).await {
        Ok(invitation) => invitation,
        Err(error) => return Err(PageError::Gone(again(error)?.message)),
    };
    let (name, email, password) = (fields.text("username"), fields.text("email"), fields.secret("password"));
    let (done, outcome) = match &invitation {
        Invitation::FirstAdministrator => {
            let (name, email) = (name.to_owned(), email.to_owned());
            let made =
                one_time_link::accept_first_administrator(&app, &secret, name, email, password, origin).await;
            ("welcome", made)
        }
        Invitation::Reset(_) => {
            ("password", one_time_link::accept_reset(&app, &secret, password, origin).await)
        }
    };
    match outcome {
        Ok(_) => Ok(see_other(&format!("/sign-in?done={done}"))),
        Err(error) => {
            let wrong = again(error)?;
            if wrong.status == StatusCode::GONE {
                return Err(PageError::Gone(wrong.message));
            }
            Ok(form(&app, &secret, invitation, wrong.status, Some(wrong.message), (name, email)))
        }
    }
}

/// Whoever has the link: it alone counts, whatever session the browser has.
#[derive(Debug)]
struct Anybody;

impl axum::extract::FromRequestParts<App> for Anybody {
    type Rejection = PageError;

    async fn from_request_parts(_: &mut axum::http::request::Parts, _: &App) -> Result<Self, PageError> {
        Ok(Self)
    }
}

impl crate::web::session::FormOwner for Anybody {
    fn gave_out(&self, _: &str) -> bool {
        true
    }
}
