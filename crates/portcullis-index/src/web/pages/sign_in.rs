//! Signing in by name and password, and signing out.

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::{Again, Layout, PageError, again, page, see_other, sentence};
use crate::account::AccountError;
use crate::account::session::{self, Visitor};
use crate::account::sign_in::{self, Next, SignInError};
use crate::app::App;
use crate::web::extract::Client;
use crate::web::session::{Form, clear_cookie, set_cookie};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/sign-in", get(show).post(submit)).route("/sign-out", post(sign_out))
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    pub next: String,
    #[serde(default)]
    done: String,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    layout: Layout,
    message: Option<String>,
    notice: Option<&'static str>,
    next: String,
    name: String,
}

async fn show(State(app): State<App>, visitor: Visitor, Query(asked): Query<Asked>) -> Response {
    let notice = match asked.done.as_str() {
        "signed-out" => Some("You are signed out."),
        "welcome" => Some("The account is made. Sign in with it."),
        "password" => Some("The password is set, and all sessions have ended. Sign in with it."),
        "factor-removed" => Some("The second factor is off, and all sessions have ended."),
        _ => None,
    };
    let form = SignIn {
        layout: Layout::of(&app, &visitor),
        message: None,
        notice,
        next: asked.next,
        name: String::new(),
    };
    page(StatusCode::OK, &form)
}

async fn submit(
    State(app): State<App>,
    Client(origin): Client,
    Form { by, fields }: Form<Visitor>,
) -> Result<Response, PageError> {
    let name = fields.text("username");
    let next = fields.text("next");
    let outcome = sign_in::with_password(&app, name, fields.secret("password"), origin).await;
    // Whatever was signed in here before ends: the browser gets another cookie, and the old one must not live on in a log.
    let wrong = match outcome {
        Ok(opened) => {
            if let Some(old) = session_of(&by) {
                session::sign_out(&app, old).await?;
            }
            let to = match opened.next {
                Next::Done => destination(next, opened.works_at_desk),
                Next::Code => onward("/second-factor", next),
                Next::Enrol => onward("/second-factor/enrol", next),
            };
            return Ok(
                ([(header::SET_COOKIE, set_cookie(&app, &opened.cookie))], see_other(&to)).into_response()
            );
        }
        Err(SignInError::Account(AccountError::TooManyAttempts(until))) => {
            return Err(PageError::TooManyAttempts(until, app.now().unix_seconds()));
        }
        Err(SignInError::Account(error)) => again(error)?,
        Err(error @ SignInError::Wrong) => refused(StatusCode::UNPROCESSABLE_ENTITY, &error),
        Err(error @ SignInError::Frozen(_)) => refused(StatusCode::FORBIDDEN, &error),
    };
    let form = SignIn {
        layout: Layout::of(&app, &by),
        message: Some(wrong.message),
        notice: None,
        next: next.to_owned(),
        name: name.chars().take(50).collect(),
    };
    Ok(page(wrong.status, &form))
}

fn refused(status: StatusCode, error: &SignInError) -> Again {
    Again { status, message: sentence(&error.to_string()) }
}

fn session_of(visitor: &Visitor) -> Option<&str> {
    match visitor {
        Visitor::Anonymous => None,
        Visitor::Half(half) => Some(half.session()),
        Visitor::SignedIn(signed_in) => Some(signed_in.session()),
    }
}

/// Where a sign-in leads: to the page that was asked for, if it is one of ours.
pub(super) fn destination(next: &str, works_at_desk: bool) -> String {
    if is_own_path(next) {
        return next.to_owned();
    }
    String::from(if works_at_desk { "/desk" } else { "/account" })
}

/// A path here, that no browser takes for another host (`//host`, `/\host`).
fn is_own_path(next: &str) -> bool {
    let mut bytes = next.bytes();
    bytes.next() == Some(b'/')
        && !matches!(bytes.next(), Some(b'/' | b'\\'))
        && next.len() <= 500
        && next.bytes().all(|byte| byte.is_ascii_graphic())
}

fn onward(path: &str, next: &str) -> String {
    if !is_own_path(next) {
        return path.to_owned();
    }
    let query: String =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("{path}?{query}")
}

async fn sign_out(State(app): State<App>, Form { by, .. }: Form<Visitor>) -> Result<Response, PageError> {
    if let Some(session) = session_of(&by) {
        session::sign_out(&app, session).await?;
    }
    Ok(([(header::SET_COOKIE, clear_cookie(&app))], see_other("/sign-in?done=signed-out")).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_never_leads_to_another_site() {
        for (next, to) in [
            ("/desk/cases/1?x=y", "/desk/cases/1?x=y"),
            ("", "/account"),
            ("//evil.example", "/account"),
            ("/\\evil.example", "/account"),
            ("https://evil.example", "/account"),
            ("/a\r\nSet-Cookie: x=y", "/account"),
            ("javascript:alert(1)", "/account"),
        ] {
            assert_eq!(destination(next, false), to, "{next}");
        }
        assert_eq!(destination("", true), "/desk");
    }
}
