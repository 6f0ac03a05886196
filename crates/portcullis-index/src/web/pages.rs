//! The pages: server-rendered, without a script, and everything on them escaped (see [`escape`]).

use askama::Template;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::account::AccountError;
use crate::account::password::PasswordError;
use crate::account::session::{Visitor, works_at_desk};
use crate::app::App;
use crate::authority::AuthorityError;
use crate::clock::Instant;
use crate::store::StoreError;
use crate::web::error::Problem;

pub mod account;
pub mod case;
pub mod desk;
pub mod escape;
pub mod first_administrator;
pub mod home;
pub mod look;
pub mod project;
pub(crate) mod publishers;
pub mod report;
pub mod second_factor;
pub mod sign_in;

/// Every page.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .merge(home::routes())
        .merge(sign_in::routes())
        .merge(second_factor::routes())
        .merge(first_administrator::routes())
        .merge(account::routes())
        .merge(project::routes())
        .merge(report::routes())
        .merge(desk::routes())
        .merge(case::routes())
        .route(look::STYLE_PATH, get(look::style))
        .route(look::ICON_PATH, get(look::icon))
}

/// What every page shows around its content.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The host, as the name of this index.
    pub host: String,
    /// Who is signed in.
    pub name: Option<String>,
    /// Whether they work at the desk.
    pub at_desk: bool,
    /// The token of this session's forms; empty without a session.
    pub form_token: String,
    /// Where the style sheet is.
    pub style: String,
}

impl Layout {
    pub(crate) fn of(app: &App, visitor: &Visitor) -> Self {
        let mut layout = Self::plain(app);
        match visitor {
            Visitor::Anonymous => {}
            Visitor::Half(half) => half.form_token().clone_into(&mut layout.form_token),
            Visitor::SignedIn(signed_in) => {
                layout.name = Some(signed_in.account().name.clone());
                layout.at_desk = works_at_desk(signed_in.account().role);
                signed_in.form_token().clone_into(&mut layout.form_token);
            }
        }
        layout
    }

    /// Of somebody signed in.
    pub(crate) fn signed_in(app: &App, signed_in: &crate::account::session::SignedIn) -> Self {
        Self::of(app, &Visitor::SignedIn(signed_in.clone()))
    }

    /// Of a page that is the same for everybody.
    pub(crate) fn plain(app: &App) -> Self {
        Self {
            host: app.host().to_owned(),
            name: None,
            at_desk: false,
            form_token: String::new(),
            style: look::style_address(),
        }
    }
}

/// A page as an answer. It is stored nowhere on its way: most show what only one person may see.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let mut response = (status, html).into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            // Not `no-referrer`: with that, browsers send their own forms with an opaque origin.
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
            response
        }
        Err(error) => Problem::unavailable(&error).into_response(),
    }
}

/// Leads the browser to a page with GET.
pub(crate) fn see_other(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => {
            (StatusCode::SEE_OTHER, [(header::LOCATION, HeaderValue::from_static("/"))]).into_response()
        }
    }
}

/// Why a page can't be shown or a form not be taken.
#[derive(Debug)]
pub enum PageError {
    /// There is no such thing.
    NotFound(String),
    /// Signing in comes first, and then this page.
    SignInFirst {
        /// The path that was asked for.
        next: Option<String>,
    },
    /// The second factor comes first.
    SecondFactorFirst,
    /// Somewhere else.
    SeeOther(&'static str),
    /// The account may not.
    Forbidden(String),
    /// The form was not given out to this session, or another site sent it.
    ForeignForm,
    /// The form can't be understood.
    BadForm(&'static str),
    /// The form is too large.
    FormTooLarge,
    /// What the form asks for can't be done; nothing was changed.
    Refused(String),
    /// A one-time link that no longer works.
    Gone(String),
    /// Too many attempts: until when, and what time it is now in seconds.
    TooManyAttempts(Instant, i64),
    /// A failure of our own.
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
}

impl PageError {
    pub(crate) fn not_found(what: &str) -> Self {
        Self::NotFound(what.to_owned())
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<AuthorityError> for PageError {
    fn from(error: AuthorityError) -> Self {
        match error {
            AuthorityError::Unknown => Self::SignInFirst { next: None },
            AuthorityError::Frozen | AuthorityError::NotAllowed { .. } => Self::Forbidden(error.to_string()),
            AuthorityError::Store(_) | AuthorityError::Key(_) => Self::Unavailable(Box::new(error)),
        }
    }
}

/// A form that is shown again, with what was wrong.
#[derive(Debug)]
pub(crate) struct Again {
    pub status: StatusCode,
    pub message: String,
}

/// Turns what a person can mend into a message above the form; everything else becomes a page of its own.
pub(crate) fn again(error: AccountError) -> Result<Again, PageError> {
    let status = match &error {
        AccountError::TooManyAttempts(_) => StatusCode::TOO_MANY_REQUESTS,
        AccountError::Store(_) | AccountError::Key(_) | AccountError::SecondFactor(_) => {
            return Err(PageError::Unavailable(Box::new(error)));
        }
        AccountError::Password(PasswordError::Hash(_) | PasswordError::Busy) => {
            return Err(PageError::Unavailable(Box::new(error)));
        }
        AccountError::LinkDead => StatusCode::GONE,
        AccountError::Frozen => StatusCode::FORBIDDEN,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Ok(Again { status, message: sentence(&error.to_string()) })
}

/// An error's text as a sentence of a page.
pub(crate) fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let Some(first) = characters.next() else { return String::new() };
    let mut sentence: String = first.to_uppercase().chain(characters).collect();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    layout: Layout,
    title: &'a str,
    message: &'a str,
    next: &'a str,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, title, message, next) = match self {
            Self::SignInFirst { next: Some(next) } => {
                let query: String =
                    url::form_urlencoded::Serializer::new(String::new()).append_pair("next", &next).finish();
                return see_other(&format!("/sign-in?{query}"));
            }
            Self::SignInFirst { next: None } => return see_other("/sign-in"),
            Self::SecondFactorFirst => return see_other("/second-factor"),
            Self::SeeOther(to) => return see_other(to),
            Self::NotFound(what) => (
                StatusCode::NOT_FOUND,
                "Not found",
                sentence(&what),
                "Check the address, or search from the start page.",
            ),
            Self::Forbidden(why) => (
                StatusCode::FORBIDDEN,
                "Not allowed",
                sentence(&why),
                "Sign in with an account that may, or ask the operator of this index.",
            ),
            Self::ForeignForm => (
                StatusCode::FORBIDDEN,
                "The form was not taken",
                String::from(
                    "It did not come from a page that this session was given, so nothing was changed.",
                ),
                "Open the page again and send the form from there. If you did not send one, another site tried to.",
            ),
            Self::BadForm(why) => (
                StatusCode::BAD_REQUEST,
                "The form can't be read",
                sentence(why),
                "Open the page again and send the form from there.",
            ),
            Self::FormTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "The form is too large",
                String::from("Nothing was changed."),
                "Shorten the text, or send a long report with `portcullis report`.",
            ),
            Self::Refused(why) => (
                StatusCode::CONFLICT,
                "Not done",
                sentence(&why),
                "Nothing was changed. Go back, look at the present state, and try again.",
            ),
            Self::Gone(why) => (
                StatusCode::GONE,
                "This link no longer works",
                why,
                "Whoever runs this index can make another one.",
            ),
            Self::TooManyAttempts(until, now) => {
                let message = format!("Too many attempts. Try again at {}.", until.for_people());
                let mut response = error_page(
                    StatusCode::TOO_MANY_REQUESTS,
                    "Too many attempts",
                    &message,
                    "Wait until then.",
                );
                let seconds = (until.unix_seconds() - now).max(1);
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                return response;
            }
            Self::Unavailable(cause) => {
                tracing::error!(error = %cause, "a page could not be shown");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Not now",
                    String::from("The server could not do this now. Nothing was changed."),
                    "Try again in a moment.",
                )
            }
        };
        error_page(status, title, &message, next)
    }
}

fn error_page(status: StatusCode, title: &str, message: &str, next: &str) -> Response {
    let layout = Layout {
        host: String::new(),
        name: None,
        at_desk: false,
        form_token: String::new(),
        style: look::style_address(),
    };
    page(status, &ErrorPage { layout, title, message, next })
}

/// What no route answers: a page for people, a problem document for programs.
pub(super) async fn nothing_here(request: Request) -> Response {
    let for_people = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if for_people {
        PageError::not_found("there is no such page").into_response()
    } else {
        Problem::not_found("There is nothing at this address.").into_response()
    }
}
