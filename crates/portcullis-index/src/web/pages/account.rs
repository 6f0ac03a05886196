//! An account's own page: its projects, tokens, pending publishers, notices, password and security history.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use secrecy::ExposeSecret;

use super::publishers::{self, PublisherForm};
use super::{Layout, PageError, again, page, see_other, sentence};
use crate::account::second_factor::{self, Standing};
use crate::account::session::SignedIn;
use crate::account::{self, AccountError};
use crate::api_token::{self, ApiTokenError, NewToken};
use crate::app::App;
use crate::authority::{Holder, MANAGEMENT_DAYS_LIMIT, Requester, Scope};
use crate::clock::Instant;
use crate::history::lines::{self, Line};
use crate::management_token::{self, ManagementTokenError, NewManagementToken};
use crate::publisher::{self, PublisherError, Waiting};
use crate::store::projects::{self, Project};
use crate::store::tokens::{self, Token, TokenScope, TokenState};
use crate::store::{Tx, notices};
use crate::web::extract::Client;
use crate::web::session::{Fields, Form, clear_cookie};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/account", get(show))
        .route("/account/password", post(change_password))
        .route("/account/tokens", post(make_token))
        .route("/account/tokens/revoke", post(revoke_token))
        .route("/account/management-tokens", post(make_management_token))
        .route("/account/management-tokens/revoke", post(revoke_management_token))
        .route("/account/publishers", post(add_pending))
        .route("/account/publishers/remove", post(remove_pending))
}

struct NoticeView {
    subject: String,
    at: String,
    body: String,
}

struct ProjectView {
    path: String,
    name: String,
    state: &'static str,
}

impl From<Project> for ProjectView {
    fn from(project: Project) -> Self {
        Self { path: project.name_normalised, name: project.name, state: project.state.word() }
    }
}

struct TokenView {
    id: String,
    description: String,
    scope: String,
    lives_in: Option<String>,
    created: String,
    expires: Option<String>,
    last_used: Option<String>,
    use_count: i64,
    state: &'static str,
    cause: Option<String>,
}

struct ManagementTokenView {
    id: String,
    description: String,
    scopes: String,
    expires: String,
}

struct ScopeView {
    word: &'static str,
    says: &'static str,
}

impl From<&Scope> for ScopeView {
    fn from(scope: &Scope) -> Self {
        let says = match scope {
            Scope::Report => "send reports in your name",
            Scope::Manage => "manage your projects, tokens and publishers",
            Scope::Desk => "work at the desk",
            Scope::Admin => "everything",
        };
        Self { word: scope.word(), says }
    }
}

struct WaitingView {
    id: String,
    project: String,
    label: String,
    shown: Vec<(String, String)>,
    expires: String,
}

impl From<Waiting> for WaitingView {
    fn from(waiting: Waiting) -> Self {
        let shown = waiting.configured.shown.iter();
        Self {
            id: waiting.id.to_string(),
            project: waiting.project_name,
            label: publisher::label(&waiting.configured),
            shown: shown.map(|(name, value)| (name.replace('_', " "), value.clone())).collect(),
            expires: waiting.expires_at.for_people(),
        }
    }
}

/// What was typed into a form that is shown again.
#[derive(Default)]
struct Typed {
    description: String,
    projects: Vec<String>,
    repository: String,
    secret: String,
    expires: String,
    read_only: bool,
    project: String,
}

impl Typed {
    fn of(fields: &Fields) -> Self {
        let text = |name| fields.text(name).to_owned();
        Self {
            description: text("description"),
            projects: fields.all("project").into_iter().map(str::to_owned).collect(),
            repository: text("repository"),
            secret: text("secret"),
            expires: text("expires"),
            read_only: fields.optional("read_only").is_some(),
            project: text("project"),
        }
    }
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    layout: Layout,
    message: Option<String>,
    /// The form that the message is about.
    open_form: &'static str,
    typed: Typed,
    name: String,
    role: &'static str,
    notices: Vec<NoticeView>,
    projects: Vec<ProjectView>,
    tokens: Vec<TokenView>,
    management_tokens: Vec<ManagementTokenView>,
    scopes: Vec<ScopeView>,
    days_limit: i64,
    pending: Vec<WaitingView>,
    forms: Vec<PublisherForm>,
    factor: Standing,
    lines: Vec<Line>,
    more: bool,
}

async fn show(State(app): State<App>, signed_in: SignedIn) -> Result<Response, PageError> {
    Ok(page(StatusCode::OK, &content(&app, &signed_in).await?))
}

async fn content(app: &App, signed_in: &SignedIn) -> Result<AccountPage, PageError> {
    let account = signed_in.account();
    let mut tx = app.store.read().await?;
    let history = lines::of_account(&mut tx, account.id, app.now()).await?;
    let told = notices::of_account(&mut tx, account.id).await?;
    let pending = publisher::pending_of_account(&mut tx, account.id, app.now()).await?;
    let own = projects::of_account(&mut tx, account.id).await?;
    let mut shown = Vec::new();
    for token in tokens::of_account(&mut tx, account.id).await? {
        shown.push(token_view(&mut tx, token).await?);
    }
    drop(tx);
    let management = management_token::live(app, &holder(signed_in)?).await?;
    Ok(AccountPage {
        layout: Layout::signed_in(app, signed_in),
        message: None,
        open_form: "",
        typed: Typed::default(),
        name: account.name.clone(),
        role: account.role.word(),
        notices: told
            .into_iter()
            .map(|notice| NoticeView {
                subject: notice.subject,
                at: notice.created_at.for_people(),
                body: notice.body,
            })
            .collect(),
        projects: own.into_iter().map(ProjectView::from).collect(),
        tokens: shown,
        management_tokens: management
            .into_iter()
            .map(|token| ManagementTokenView {
                id: token.id.to_string(),
                description: token.description,
                scopes: token.scopes.join(", "),
                expires: token.expires_at.for_people(),
            })
            .collect(),
        scopes: management_token::scopes_of(account.role).iter().map(ScopeView::from).collect(),
        days_limit: MANAGEMENT_DAYS_LIMIT,
        pending: pending.into_iter().map(WaitingView::from).collect(),
        forms: PublisherForm::all(app),
        factor: second_factor::standing(app, account).await?,
        lines: history.lines,
        more: history.more,
    })
}

async fn token_view(tx: &mut Tx, token: Token) -> Result<TokenView, PageError> {
    let scope = match token.scope {
        TokenScope::Account => String::from("entire account"),
        TokenScope::Projects => {
            let mut names = Vec::new();
            for id in tokens::projects_of(tx, token.id).await? {
                names.extend(projects::by_id(tx, id).await?.map(|project| project.name));
            }
            names.join(", ")
        }
    };
    let secret = token.lives_in_secret.unwrap_or_default();
    Ok(TokenView {
        id: token.id.to_string(),
        description: token.description,
        scope,
        lives_in: token.lives_in.map(|repository| format!("{repository} as {secret}")),
        created: token.created_at.for_people(),
        expires: token.expires_at.map(Instant::for_people),
        last_used: token.last_used_at.map(Instant::for_people),
        use_count: token.use_count,
        state: token.state.word(),
        cause: token.state_cause.filter(|_| token.state != TokenState::Live),
    })
}

fn holder(signed_in: &SignedIn) -> Result<Holder, PageError> {
    Ok(Requester::of_session(signed_in.account().clone()).holder()?)
}

/// The page once more, with what is wrong and what was typed.
async fn once_more(
    app: &App,
    by: &SignedIn,
    open_form: &'static str,
    message: String,
    typed: Typed,
) -> Result<AccountPage, PageError> {
    Ok(AccountPage { message: Some(message), open_form, typed, ..content(app, by).await? })
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
            let shown = once_more(&app, &by, "password", wrong.message, Typed::default()).await?;
            Ok(page(wrong.status, &shown))
        }
    }
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
    let made = api_token::create(&app, by.account(), new, account::actor(by.account()), Some(origin)).await;
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
        Err(error @ (ApiTokenError::Store(_) | ApiTokenError::Key(_))) => {
            Err(PageError::Unavailable(Box::new(error)))
        }
        Err(error) => refused_token(&app, &by, &fields, sentence(&error.to_string())).await,
    }
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
    Form { by, fields }: Form<SignedIn>,
) -> Result<Response, PageError> {
    let scopes = fields.all("scope").into_iter().map(str::parse::<Scope>).collect::<Result<_, _>>();
    let new = NewManagementToken {
        description: fields.text("description").to_owned(),
        scopes: scopes.map_err(|_| PageError::BadForm("there is no such scope"))?,
        days: fields.text("days").parse().unwrap_or(0),
    };
    match management_token::create(&app, &by, new).await {
        Ok(secret) => {
            let shown = ManagementTokenMade {
                layout: Layout::signed_in(&app, &by),
                description: fields.text("description").to_owned(),
                token: secret.expose_secret().to_owned(),
                url: app.url(""),
            };
            Ok(page(StatusCode::CREATED, &shown))
        }
        Err(error @ (ManagementTokenError::Store(_) | ManagementTokenError::Authority(_))) => {
            Err(PageError::Unavailable(Box::new(error)))
        }
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
        Err(error) => Err(PageError::Unavailable(Box::new(error))),
    }
}

async fn add_pending(
    State(app): State<App>,
    Client(origin): Client,
    Form { by, fields }: Form<SignedIn>,
) -> Result<Response, PageError> {
    let form = publishers::form(&fields);
    match publisher::add_pending(&app, &holder(&by)?, fields.text("project"), &form, &origin).await {
        Ok(_) => Ok(see_other("/account#pending")),
        Err(error) => {
            let message = publishers::refusal(error)?;
            let mut shown = once_more(&app, &by, "publisher", message, Typed::of(&fields)).await?;
            shown.forms = PublisherForm::filled_in(&app, &fields);
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &shown))
        }
    }
}

async fn remove_pending(
    State(app): State<App>,
    Client(origin): Client,
    Form { by, fields }: Form<SignedIn>,
) -> Result<Response, PageError> {
    let unknown = PageError::not_found("you have no such pending publisher");
    let Ok(id) = fields.text("publisher").parse() else { return Err(unknown) };
    match publisher::remove_pending(&app, &holder(&by)?, id, &origin).await {
        Ok(()) => Ok(see_other("/account#pending")),
        Err(PublisherError::Unknown) => Err(unknown),
        Err(error) => Err(PageError::Refused(publishers::refusal(error)?)),
    }
}
