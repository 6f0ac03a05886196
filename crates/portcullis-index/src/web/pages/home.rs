//! The start page: what this is, and a search of projects by name.

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::{Layout, PageError, page};
use crate::app::App;
use crate::search;
use crate::store::projects::Project;
use crate::web::session::Reader;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/", get(show))
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    q: String,
}

struct Found {
    path: String,
    name: String,
    state: &'static str,
}

impl From<Project> for Found {
    fn from(project: Project) -> Self {
        Self { path: project.name_normalised, name: project.name, state: project.state.word() }
    }
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    layout: Layout,
    query: String,
    asked: bool,
    found: Vec<Found>,
    more: bool,
    index_url: String,
    upload_url: String,
}

async fn show(
    State(app): State<App>,
    Reader(visitor): Reader,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let hits = search::by_name(&app, &asked.q).await?;
    let home = Home {
        layout: Layout::of(&app, &visitor),
        asked: !asked.q.trim().is_empty(),
        query: crate::visible::visible(asked.q.trim(), search::QUERY_LIMIT),
        found: hits.projects.into_iter().map(Found::from).collect(),
        more: hits.more,
        index_url: app.url("/simple/"),
        upload_url: app.url("/legacy/"),
    };
    Ok(page(StatusCode::OK, &home))
}
