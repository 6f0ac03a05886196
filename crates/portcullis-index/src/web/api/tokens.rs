//! `/api/v1/tokens`: the API tokens of one's account, and the end of whatever token asks for its own.

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::account::recent;
use crate::account::session::SignedIn;
use crate::api_token::{self, ApiTokenError, Listed, NewToken, SecretPlace};
use crate::app::App;
use crate::authority::{Holder, MANAGEMENT_PREFIX, Requester};
use crate::burning::{self, BurnError};
use crate::clock::Instant;
use crate::ids::{ManagementTokenId, TokenId};
use crate::management_token::{self, ManagementTokenError};
use crate::store::management_tokens::ManagementToken;
use crate::store::tokens::TokenScope;
use crate::web::error::Problem;
use crate::web::extract::{Client, JsonBody, PathId, bearer};

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/tokens", get(list).post(make).delete(burn))
        .route("/api/v1/tokens/{id}", delete(revoke))
}

async fn list(State(app): State<App>, requester: Requester) -> Result<Json<Value>, Problem> {
    let holder = requester.holder()?;
    let tokens = api_token::of_account(&app, holder.account()).await.map_err(problem)?;
    let management = management_token::of_account(&app, holder.account()).await?;
    let management: Vec<Value> = management.iter().map(shown_management).collect();
    let tokens: Vec<Value> = tokens.iter().map(shown).collect();
    Ok(Json(json!({ "tokens": tokens, "management_tokens": management })))
}

/// Who makes a token: the holder of a management token, or somebody signed in who proved lately who they are.
enum Maker {
    Holder(Holder),
    SignedIn(SignedIn),
}

impl FromRequestParts<App> for Maker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        // The right first, whatever it rests on.
        let holder = Requester::from_request_parts(parts, app).await?.holder()?;
        if bearer(parts).is_some() {
            return Ok(Self::Holder(holder));
        }
        let signed_in = SignedIn::from_request_parts(parts, app).await;
        signed_in.map(Self::SignedIn).map_err(|_| crate::authority::AuthorityError::Unknown.into())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBody {
    #[serde(default)]
    description: String,
    #[serde(default)]
    projects: Vec<String>,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    expires_at: Option<String>,
    /// `github:OWNER/REPO#SECRET`
    #[serde(default, rename = "for")]
    lives_in: Option<String>,
}

impl NewBody {
    fn checked(self) -> Result<NewToken, Problem> {
        let place = |text: String| text.parse::<SecretPlace>();
        let lives_in = self.lives_in.map(place).transpose();
        let lives_in = lives_in.map_err(|error| Problem::unprocessable(format!("`for`: {error}.")))?;
        let time = |text: String| {
            Instant::parse(&text)
                .ok_or_else(|| Problem::unprocessable("`expires_at` must be a time in RFC 3339."))
        };
        Ok(NewToken {
            description: self.description,
            projects: self.projects,
            read_only: self.read_only,
            expires_at: self.expires_at.map(time).transpose()?,
            lives_in,
        })
    }
}

/// Makes an API token; its text stands in this one answer.
async fn make(
    State(app): State<App>,
    maker: Maker,
    Client(origin): Client,
    JsonBody(body): JsonBody<NewBody>,
) -> Result<Response, Problem> {
    let new = body.checked()?;
    let (account, made) = match &maker {
        Maker::Holder(holder) => {
            (holder.account(), api_token::create_by_holder(&app, holder, new, origin).await)
        }
        Maker::SignedIn(signed_in) => {
            let proved = recent::fresh(&app, signed_in).ok_or_else(stale_session)?;
            (signed_in.account(), api_token::create_signed_in(&app, &proved, new, origin).await)
        }
    };
    let (token, text) = made.map_err(problem)?;
    let listed = api_token::of_account(&app, account).await.map_err(problem)?;
    let mut document =
        listed.iter().find(|listed| listed.token.id == token.id).map(shown).unwrap_or_default();
    if let Value::Object(members) = &mut document {
        members.insert(String::from("token"), Value::from(text.expose_secret()));
    }
    Ok((StatusCode::CREATED, [("cache-control", "no-store")], Json(document)).into_response())
}

fn stale_session() -> Problem {
    let detail = "It is a while since this session was signed in, and a token outlives it. Sign in again, or use a management token.";
    Problem::new(StatusCode::FORBIDDEN, "Forbidden", detail).with("code", Value::from("sign-in-again"))
}

/// Ends one of the account's tokens, of either kind.
async fn revoke(
    State(app): State<App>,
    requester: Requester,
    Client(origin): Client,
    PathId(id): PathId<Uuid>,
) -> Result<StatusCode, Problem> {
    let holder = requester.holder()?;
    match api_token::revoke(&app, &holder, TokenId(id), Some(origin.clone())).await {
        Err(ApiTokenError::Unknown) => {
            let ended = management_token::revoke(&app, &holder, ManagementTokenId(id), origin).await;
            ended.map_err(management_problem)?;
        }
        ended => ended.map_err(problem)?,
    }
    Ok(StatusCode::NO_CONTENT)
}

/// What a request wants to end: the token that it carries.
struct Carried(String);

impl FromRequestParts<App> for Carried {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        bearer(parts).map(Self).ok_or_else(|| crate::authority::AuthorityError::Unknown.into())
    }
}

/// Ends the token that asks, whichever kind it is: who holds a token may always give it back.
async fn burn(
    State(app): State<App>,
    Carried(secret): Carried,
    Client(origin): Client,
) -> Result<StatusCode, Problem> {
    if secret.starts_with(MANAGEMENT_PREFIX) {
        management_token::burn(&app, &secret, origin).await.map_err(management_problem)?;
        return Ok(StatusCode::NO_CONTENT);
    }
    match burning::burn(&app, &secret, &origin).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(BurnError::Store(error)) => Err(error.into()),
        Err(BurnError::Key(error)) => Err(Problem::unavailable(&error)),
        Err(BurnError::Malformed | BurnError::Unknown) => {
            Err(crate::authority::AuthorityError::Unknown.into())
        }
    }
}

fn shown(listed: &Listed) -> Value {
    let token = &listed.token;
    json!({
        "id": token.id, "description": token.description, "state": token.state, "state_cause": token.state_cause,
        "case": token.state_case_id, "scope": token.scope,
        "projects": (token.scope == TokenScope::Projects).then_some(&listed.projects),
        "lives_in": token.lives_in, "lives_in_secret": token.lives_in_secret,
        "created_at": token.created_at.rfc3339(), "expires_at": token.expires_at.map(Instant::rfc3339),
        "last_used_at": token.last_used_at.map(Instant::rfc3339), "use_count": token.use_count,
    })
}

fn shown_management(token: &ManagementToken) -> Value {
    json!({
        "id": token.id, "description": token.description, "state": token.state, "scopes": token.scopes,
        "created_at": token.created_at.rfc3339(), "expires_at": token.expires_at.rfc3339(),
    })
}

fn problem(error: ApiTokenError) -> Problem {
    let detail = format!("{}.", error.to_string().trim_end_matches('.'));
    match error {
        ApiTokenError::Authority(error) => error.into(),
        ApiTokenError::Desk(error) => error.into(),
        ApiTokenError::Store(error) => error.into(),
        ApiTokenError::Key(error) => Problem::unavailable(&error),
        ApiTokenError::Unknown => Problem::not_found("You have no such token."),
        ApiTokenError::Frozen => crate::authority::AuthorityError::Frozen.into(),
        ApiTokenError::DescriptionInUse => Problem::conflict(detail),
        ApiTokenError::Description
        | ApiTokenError::UnknownProject(_)
        | ApiTokenError::TooManyProjects
        | ApiTokenError::AlreadyExpired => Problem::unprocessable(detail),
    }
}

fn management_problem(error: ManagementTokenError) -> Problem {
    match error {
        ManagementTokenError::Store(error) => error.into(),
        ManagementTokenError::Authority(error) => error.into(),
        _ => Problem::not_found("You have no such token."),
    }
}
