//! Making and revoking tokens on the account's page: API tokens and management tokens.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use secrecy::ExposeSecret;

use super::super::{Layout, PageError, again, page, see_other, sentence};
use super::{Typed, holder, once_more, token_view};
use crate::account::AccountError;
use crate::account::recent::{self, Given};
use crate::account::session::SignedIn;
use crate::api_token::{self, ApiTokenError, NewToken};
use crate::app::App;
use crate::authority::Scope;
use crate::clock::Instant;
use crate::management_token::{self, ManagementTokenError, NewManagementToken};
use crate::web::extract::Client;
use crate::web::session::{Fields, Form};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/account/tokens", post(make_token))
        .route("/account/tokens/revoke", post(revoke_token))
        .route("/account/management-tokens", post(make_management_token))
        .route("/account/management-tokens/revoke", post(revoke_management_token))
}

#[derive(Template)]
#[template(path = "token_made.html")]
struct TokenMade {
    layout: Layout,
    description: String,
    scope: String,
    token: String,
    upload_url: String,
}

async fn make_token(
    State(app): State<App>,
    Client(origin): Client,
    Form { by, fields }: Form<SignedIn>,
) -> Result<Response, PageError> {
    let new = match new_token(&fields) {
        Ok(new) => new,
        Err(message) => return refused_token(&app, &by, &fields, message).await,
    };
    let proved = match recent::prove(&app, &by, given(&fields), &origin).await {
        Ok(proved) => proved,
        Err(error) => return prove_again(&app, &by, "token", error, Typed::of(&fields)).await,
    };
    let made = api_token::create_signed_in(&app, &proved, new, origin).await;
    match made {
        Ok((token, text)) => {
            let mut tx = app.store.read().await?;
            let view = token_view(&mut tx, token).await?;
            let shown = TokenMade {
                layout: Layout::signed_in(&app, &by),
                description: view.description,
                scope: view.scope,
                token: text.expose_secret().to_owned(),
                upload_url: app.url("/legacy/"),
            };
            Ok(page(StatusCode::CREATED, &shown))
        }
        Err(error @ (ApiTokenError::Store(_) | ApiTokenError::Key(_) | ApiTokenError::Desk(_))) => {
            Err(PageError::Unavailable(Box::new(error)))
        }
        Err(ApiTokenError::Authority(error)) => Err(error.into()),
        Err(error) => refused_token(&app, &by, &fields, sentence(&error.to_string())).await,
    }
}

/// What the form gives to prove who sent it, where it had to ask.
fn given(fields: &Fields) -> Given {
    Given { password: fields.secret("proof_password"), code: fields.text("proof_code").to_owned() }
}

/// The form once more, which asks for password and code now.
async fn prove_again(
    app: &App,
    by: &SignedIn,
    form: &'static str,
    error: AccountError,
    typed: Typed,
) -> Result<Response, PageError> {
    if let AccountError::TooManyAttempts(until) = error {
        return Err(PageError::TooManyAttempts(until, app.now().unix_seconds()));
    }
    let wrong = again(error)?;
    let shown = once_more(app, by, form, wrong.message, typed).await?;
    Ok(page(wrong.status, &shown))
}

/// A token as the form describes it; the end of the chosen day is its expiry.
fn new_token(fields: &Fields) -> Result<NewToken, String> {
    let lives_in = match (fields.optional("repository"), fields.optional("secret")) {
        (None, None) => None,
        (repository, secret) => {
            let repository = repository.unwrap_or_default();
            let repository =
                repository.trim_start_matches("https://github.com/").trim_start_matches("github:");
            let place = format!("github:{repository}#{}", secret.unwrap_or_default());
            Some(place.parse().map_err(|error: api_token::SecretPlaceError| sentence(&error.to_string()))?)
        }
    };
    let expires_at = match fields.optional("expires") {
        None => None,
        Some(day) => Some(
            Instant::parse(&format!("{day}T23:59:59Z"))
                .ok_or_else(|| String::from("The expiry is no day; expected YYYY-MM-DD."))?,
        ),
    };
    Ok(NewToken {
        description: fields.text("description").to_owned(),
        projects: fields.all("project").into_iter().map(str::to_owned).collect(),
        read_only: fields.optional("read_only").is_some(),
        expires_at,
        lives_in,
    })
}

async fn refused_token(
    app: &App,
    by: &SignedIn,
    fields: &Fields,
    message: String,
) -> Result<Response, PageError> {
    let shown = once_more(app, by, "token", message, Typed::of(fields)).await?;
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &shown))
}

async fn revoke_token(
    State(app): State<App>,
    Client(origin): Client,
    Form { by, fields }: Form<SignedIn>,
) -> Result<Response, PageError> {
    let unknown = PageError::not_found("you have no such token");
    let Ok(id) = fields.text("token").parse() else { return Err(unknown) };
    match api_token::revoke(&app, &holder(&by)?, id, Some(origin)).await {
        Ok(()) => Ok(see_other("/account#tokens")),
        Err(ApiTokenError::Unknown) => Err(unknown),
        Err(ApiTokenError::Authority(error)) => Err(error.into()),
        Err(error) => Err(PageError::Unavailable(Box::new(error))),
    }
}

#[derive(Template)]
#[template(path = "management_token_made.html")]
struct ManagementTokenMade {
    layout: Layout,
    description: String,
    token: String,
    url: String,
}

async fn make_management_token(
    State(app): State<App>,
    Client(origin): Client,
    Form { by, fields }: Form<SignedIn>,
) -> Result<Response, PageError> {
    let scopes = fields.all("scope").into_iter().map(str::parse::<Scope>).collect::<Result<_, _>>();
    let new = NewManagementToken {
        description: fields.text("description").to_owned(),
        scopes: scopes.map_err(|_| PageError::BadForm("there is no such scope"))?,
        days: fields.text("days").parse().unwrap_or(0),
    };
    let proved = match recent::prove(&app, &by, given(&fields), &origin).await {
        Ok(proved) => proved,
        Err(error) => return prove_again(&app, &by, "management-token", error, Typed::default()).await,
    };
    match management_token::create(&app, &proved, new).await {
        Ok(secret) => {
            let shown = ManagementTokenMade {
                layout: Layout::signed_in(&app, &by),
                description: fields.text("description").to_owned(),
                token: secret.expose_secret().to_owned(),
                url: app.url(""),
            };
            Ok(page(StatusCode::CREATED, &shown))
        }
        Err(error @ ManagementTokenError::Store(_)) => Err(PageError::Unavailable(Box::new(error))),
        Err(ManagementTokenError::Authority(error)) => Err(error.into()),
        Err(error) => {
            let message = sentence(&error.to_string());
            let shown = once_more(&app, &by, "management-token", message, Typed::default()).await?;
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &shown))
        }
    }
}

async fn revoke_management_token(
    State(app): State<App>,
    Client(origin): Client,
    Form { by, fields }: Form<SignedIn>,
) -> Result<Response, PageError> {
    let unknown = PageError::not_found("you have no such management token");
    let Ok(id) = fields.text("token").parse() else { return Err(unknown) };
    match management_token::revoke(&app, &holder(&by)?, id, origin).await {
        Ok(()) => Ok(see_other("/account#management-tokens")),
        Err(ManagementTokenError::Unknown) => Err(unknown),
        Err(ManagementTokenError::Authority(error)) => Err(error.into()),
        Err(error) => Err(PageError::Unavailable(Box::new(error))),
    }
}
