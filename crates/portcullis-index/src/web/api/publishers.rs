//! `/api/v1/publishers`: the Trusted Publishers of one's projects, and those that wait for theirs.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use portcullis_trust::publisher::{Openness, Publisher as Configured};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::authority::{Owner, Requester};
use crate::ids::{PendingPublisherId, PublisherId};
use crate::project::{ProjectError, ProjectName};
use crate::publisher::{self, Form, PublisherError, Registered, Waiting};
use crate::store::projects;
use crate::web::error::Problem;
use crate::web::extract::{Client, JsonBody, PathId};

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/publishers", get(list).post(add))
        .route("/api/v1/publishers/{id}", delete(remove))
        .route("/api/v1/publishers/pending", get(list_pending))
        .route("/api/v1/publishers/pending/{id}", delete(remove_pending))
}

/// Which project.
#[derive(Debug, Deserialize)]
struct OfProject {
    project: String,
}

fn of_project(of: Result<Query<OfProject>, QueryRejection>) -> Result<String, Problem> {
    of.map(|Query(of)| of.project).map_err(|_| Problem::bad_request("Name the project: ?project=NAME."))
}

async fn list(
    State(app): State<App>,
    requester: Requester,
    of: Result<Query<OfProject>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let owner = owner(&app, &requester, &of_project(of)?).await?;
    let mut tx = app.store.read().await?;
    let found = publisher::of_project(&mut tx, owner.project().id).await?;
    let shown: Vec<Value> = found.iter().map(shown).collect();
    Ok(Json(json!({ "project": owner.project().name, "publishers": shown })))
}

/// Registers `{"project", "provider", …fields}`; with `"pending": true` for a project that the first job will create.
async fn add(
    State(app): State<App>,
    requester: Requester,
    Client(origin): Client,
    JsonBody(mut body): JsonBody<Map<String, Value>>,
) -> Result<Response, Problem> {
    let project = text(&mut body, "project")?;
    let provider = text(&mut body, "provider")?;
    let pending = match body.remove("pending") {
        None | Some(Value::Bool(false)) => false,
        Some(Value::Bool(true)) => true,
        Some(_) => return Err(Problem::unprocessable("`pending` must be true or false.")),
    };
    let form = Form { unattended: true, ..Form::new(&provider, fields(body)?) };
    let created = if pending {
        let holder = requester.holder()?;
        let id = publisher::add_pending(&app, &holder, &project, &form, &origin).await.map_err(problem)?;
        json!({ "id": id, "pending": true, "project": project })
    } else {
        let owner = owner(&app, &requester, &project).await?;
        let id = publisher::add(&app, &owner, &form, &origin).await.map_err(problem)?;
        json!({ "id": id, "pending": false, "project": owner.project().name })
    };
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

async fn remove(
    State(app): State<App>,
    requester: Requester,
    Client(origin): Client,
    PathId(id): PathId<PublisherId>,
    of: Result<Query<OfProject>, QueryRejection>,
) -> Result<StatusCode, Problem> {
    let owner = owner(&app, &requester, &of_project(of)?).await?;
    publisher::remove(&app, &owner, id, &origin).await.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_pending(State(app): State<App>, requester: Requester) -> Result<Json<Value>, Problem> {
    let holder = requester.holder()?;
    let mut tx = app.store.read().await?;
    let found = publisher::pending_of_account(&mut tx, holder.account().id, app.now()).await?;
    let shown: Vec<Value> = found.iter().map(shown_pending).collect();
    Ok(Json(json!({ "publishers": shown })))
}

async fn remove_pending(
    State(app): State<App>,
    requester: Requester,
    Client(origin): Client,
    PathId(id): PathId<PendingPublisherId>,
) -> Result<StatusCode, Problem> {
    publisher::remove_pending(&app, &requester.holder()?, id, &origin).await.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn owner(app: &App, requester: &Requester, project: &str) -> Result<Owner, Problem> {
    let unknown = || Problem::not_found("There is no such project.");
    let name: ProjectName = project.parse().map_err(|_| unknown())?;
    let mut tx = app.store.read().await?;
    let project = projects::by_name(&mut tx, &name.normalised()).await?.ok_or_else(unknown)?;
    Ok(requester.owner(&mut tx, &project).await?)
}

fn text(body: &mut Map<String, Value>, name: &str) -> Result<String, Problem> {
    match body.remove(name) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Problem::unprocessable(format!("`{name}` must be text."))),
    }
}

/// The provider's fields. Numbers, truth values and lists of text are taken as a form would write them.
fn fields(body: Map<String, Value>) -> Result<Vec<(String, String)>, Problem> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    body.into_iter()
        .map(|(name, value)| {
            let text = match &value {
                Value::Null => Some(String::new()),
                Value::Array(items) => {
                    items.iter().map(one).collect::<Option<Vec<_>>>().map(|items| items.join(" "))
                }
                other => one(other),
            };
            let text =
                text.ok_or_else(|| Problem::unprocessable(format!("`{name}` must be text or a list.")))?;
            Ok((name, text))
        })
        .collect()
}

fn configuration(configured: &Configured) -> Map<String, Value> {
    let mut shown: Map<String, Value> =
        configured.shown.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    shown.insert("issuer".to_owned(), json!(configured.issuer));
    shown
}

fn shown(registered: &Registered) -> Value {
    json!({
        "id": registered.id,
        "provider": registered.configured.provider,
        "state": registered.state,
        "state_cause": registered.state_cause,
        "open": registered.configured.openness == Openness::Open,
        "url": registered.configured.url,
        "configuration": configuration(&registered.configured),
        "created_at": registered.created_at.rfc3339(),
        "last_used_at": registered.last_used_at.map(|time| time.rfc3339()),
    })
}

fn shown_pending(waiting: &Waiting) -> Value {
    json!({
        "id": waiting.id,
        "project": waiting.project_name,
        "provider": waiting.configured.provider,
        "url": waiting.configured.url,
        "configuration": configuration(&waiting.configured),
        "created_at": waiting.created_at.rfc3339(),
        "expires_at": waiting.expires_at.rfc3339(),
    })
}

fn problem(error: PublisherError) -> Problem {
    match error {
        PublisherError::Store(error) | PublisherError::Project(ProjectError::Store(error)) => error.into(),
        PublisherError::Authority(error) => error.into(),
        PublisherError::Configuration(error) => Problem::unavailable(&error),
        PublisherError::Unknown => Problem::not_found("There is no such trusted publisher."),
        PublisherError::Fields(errors) => {
            let listed: Vec<Value> = errors
                .iter()
                .map(|error| json!({ "field": error.field, "message": error.message }))
                .collect();
            Problem::unprocessable(PublisherError::Fields(errors).to_string()).with("errors", listed.into())
        }
        refused @ (PublisherError::AlreadyRegistered(_)
        | PublisherError::AlreadyPending
        | PublisherError::TooManyPending
        | PublisherError::TooMany
        | PublisherError::Quarantined(_)
        | PublisherError::OpenCase(_)
        | PublisherError::ProjectExists) => Problem::conflict(refused.to_string()),
        refused @ (PublisherError::UnknownProvider(..) | PublisherError::Project(_)) => {
            Problem::unprocessable(refused.to_string())
        }
    }
}
