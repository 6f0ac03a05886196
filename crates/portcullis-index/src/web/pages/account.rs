//! An account's own page: its projects, tokens, pending publishers, notices, password and security history.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::publishers::{self, PublisherForm};
use super::{Layout, PageError, again, page, see_other};
use crate::account::recent::{self, Asked};
use crate::account::second_factor::{self, Standing};
use crate::account::session::SignedIn;
use crate::account::{self, AccountError};
use crate::app::App;
use crate::authority::{Holder, MANAGEMENT_DAYS_LIMIT, Requester, Scope};
use crate::clock::Instant;
use crate::history::lines::{self, Line};
use crate::management_token;
use crate::publisher::{self, PublisherError, Waiting};
use crate::store::projects::{self, Project};
use crate::store::tokens::{self as stored_tokens, Token, TokenScope, TokenState};
use crate::store::{Tx, notices};
use crate::web::extract::Client;
use crate::web::session::{Fields, Form, clear_cookie};

mod tokens;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/account", get(show))
        .route("/account/password", post(change_password))
        .merge(tokens::routes())
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
    /// What a form that makes a token asks for first.
    proof: Asked,
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
    for token in stored_tokens::of_account(&mut tx, account.id).await? {
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
        proof: recent::asked(app, signed_in).await?,
        lines: history.lines,
        more: history.more,
    })
}

async fn token_view(tx: &mut Tx, token: Token) -> Result<TokenView, PageError> {
    let scope = match token.scope {
        TokenScope::Account => String::from("entire account"),
        TokenScope::Projects => {
            let mut names = Vec::new();
            for id in stored_tokens::projects_of(tx, token.id).await? {
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
    Ok(Requester::of_session(signed_in).holder()?)
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
