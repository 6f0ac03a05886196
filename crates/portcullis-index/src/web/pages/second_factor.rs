//! The second factor: asking for a code, setting one up, and taking it off.

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use secrecy::ExposeSecret;

use super::sign_in::{Asked, destination};
use super::{Layout, PageError, again, page, see_other};
use crate::account::AccountError;
use crate::account::second_factor::{self, Enroller, Enrolment};
use crate::account::session::{self, HalfSignedIn, SignedIn, Visitor, works_at_desk};
use crate::app::App;
use crate::web::extract::Client;
use crate::web::session::{Form, clear_cookie, set_cookie};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/second-factor", get(ask).post(submit))
        .route("/second-factor/enrol", get(begin).post(enrol))
        .route("/second-factor/remove", post(remove))
}

#[derive(Template)]
#[template(path = "second_factor.html")]
struct Ask {
    layout: Layout,
    message: Option<String>,
    next: String,
    name: String,
}

async fn ask(State(app): State<App>, half: HalfSignedIn, Query(asked): Query<Asked>) -> Response {
    if half.must_enrol {
        return see_other("/second-factor/enrol");
    }
    let name = half.account().name.clone();
    let layout = Layout::of(&app, &Visitor::Half(half));
    page(StatusCode::OK, &Ask { layout, message: None, next: asked.next, name })
}

async fn submit(
    State(app): State<App>,
    Client(origin): Client,
    Form { by, fields }: Form<HalfSignedIn>,
) -> Result<Response, PageError> {
    let next = fields.text("next");
    match second_factor::complete(&app, &by, fields.text("code"), origin).await {
        Ok(cookie) => {
            let to = destination(next, works_at_desk(by.account().role));
            Ok(([(header::SET_COOKIE, set_cookie(&app, &cookie))], see_other(&to)).into_response())
        }
        Err(error) => {
            let wrong = again_or_wait(&app, error)?;
            let name = by.account().name.clone();
            let layout = Layout::of(&app, &Visitor::Half(by));
            Ok(page(wrong.status, &Ask { layout, message: Some(wrong.message), next: next.to_owned(), name }))
        }
    }
}

fn again_or_wait(app: &App, error: AccountError) -> Result<super::Again, PageError> {
    match error {
        AccountError::TooManyAttempts(until) => {
            Err(PageError::TooManyAttempts(until, app.now().unix_seconds()))
        }
        error => again(error),
    }
}

#[derive(Template)]
#[template(path = "enrol.html")]
struct Enrol {
    layout: Layout,
    message: Option<String>,
    required: bool,
    secret: String,
    url: String,
    sealed: String,
}

impl Enrol {
    fn new(layout: Layout, required: bool, message: Option<String>, offered: &Enrolment) -> Self {
        Self {
            layout,
            message,
            required,
            secret: offered.secret.expose_secret().to_owned(),
            url: offered.url.expose_secret().to_owned(),
            sealed: offered.sealed.clone(),
        }
    }
}

/// Who may set one up: whoever is signed in and has none, or must have one before anything else.
fn enroller(visitor: &Visitor) -> Result<Enroller<'_>, PageError> {
    match visitor {
        Visitor::Anonymous => Err(PageError::SignInFirst { next: None }),
        Visitor::Half(half) if half.must_enrol => Ok(Enroller::Half(half)),
        Visitor::Half(_) => Err(PageError::SecondFactorFirst),
        Visitor::SignedIn(signed_in) => Ok(Enroller::SignedIn(signed_in)),
    }
}

async fn begin(State(app): State<App>, visitor: Visitor) -> Result<Response, PageError> {
    let by = enroller(&visitor)?;
    let offered = second_factor::begin(&app, by.account(), by.session());
    let offered = offered.map_err(|error| PageError::Unavailable(Box::new(error)))?;
    let required = second_factor::required_of(&app, by.account().role);
    Ok(page(StatusCode::OK, &Enrol::new(Layout::of(&app, &visitor), required, None, &offered)))
}

#[derive(Template)]
#[template(path = "recovery_codes.html")]
struct RecoveryCodes {
    layout: Layout,
    codes: Vec<String>,
    next: String,
}

async fn enrol(
    State(app): State<App>,
    Client(origin): Client,
    Form { by: visitor, fields }: Form<Visitor>,
) -> Result<Response, PageError> {
    let by = enroller(&visitor)?;
    let sealed = fields.text("sealed");
    match second_factor::enrol(&app, by, sealed, fields.text("code"), origin).await {
        Ok(enrolled) => {
            // The session that sent the form has ended: the page's own form belongs to the new one.
            let visitor = session::authenticate(&app, enrolled.cookie.expose_secret()).await?;
            let codes = RecoveryCodes {
                layout: Layout::of(&app, &visitor),
                codes: enrolled.recovery_codes.iter().map(|code| code.expose_secret().to_owned()).collect(),
                next: destination("", works_at_desk(by.account().role)),
            };
            let cookie = [(header::SET_COOKIE, set_cookie(&app, &enrolled.cookie))];
            Ok((cookie, page(StatusCode::OK, &codes)).into_response())
        }
        // A secret that was not offered to this session, or one of a session long gone.
        Err(AccountError::Key(_)) => Err(PageError::ForeignForm),
        Err(error) => {
            let wrong = again_or_wait(&app, error)?;
            let required = second_factor::required_of(&app, by.account().role);
            let offered = second_factor::resume(&app, by.account(), by.session(), sealed);
            let offered = offered.map_err(|_| PageError::ForeignForm)?;
            let layout = Layout::of(&app, &visitor);
            Ok(page(wrong.status, &Enrol::new(layout, required, Some(wrong.message), &offered)))
        }
    }
}

async fn remove(
    State(app): State<App>,
    Client(origin): Client,
    Form { by, fields }: Form<SignedIn>,
) -> Result<Response, PageError> {
    match second_factor::remove(&app, &by, fields.text("code"), origin).await {
        Ok(()) => {
            let cookie = [(header::SET_COOKIE, clear_cookie(&app))];
            Ok((cookie, see_other("/sign-in?done=factor-removed")).into_response())
        }
        Err(error) => Err(PageError::Refused(again_or_wait(&app, error)?.message)),
    }
}
