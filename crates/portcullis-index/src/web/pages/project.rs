//! A project's page, its publishers, and its security history.

use std::str::FromStr;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value;

use super::publishers::{self, PublisherForm, Shown};
use super::{Layout, PageError, page, see_other, sentence};
use crate::account::session::Visitor;
use crate::app::App;
use crate::history::lines::{self, Line};
use crate::project::ProjectName;
use crate::project::ownership::{self, OwnershipError};
use crate::publisher;
use crate::store::Tx;
use crate::store::files::{self, File, FileState, Release};
use crate::store::projects::{self, Project, ProjectRole, RepositoryBasis, RepositoryLink};
use crate::web::extract::Client;
use crate::web::session::{Fields, Form, OfProject, Reader};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/project/{project}", get(show))
        .route("/project/{project}/", get(show))
        .route("/project/{project}/publishers", post(add_publisher))
        .route("/project/{project}/publishers/remove", post(remove_publisher))
        .route("/project/{project}/members", post(add_member))
        .route("/project/{project}/members/remove", post(remove_member))
        .route("/project/{project}/repositories", post(confirm_repository))
        .route("/project/{project}/history", get(history))
}

struct FileView {
    filename: String,
    url: String,
    size: String,
    sha256: String,
    uploaded: String,
    offered: bool,
    why_not: Option<String>,
    publisher_url: Option<String>,
}

struct MemberView {
    id: String,
    name: String,
    role: &'static str,
}

/// A repository that the project is said, or was confirmed, to come from.
struct RepositoryView {
    name: String,
    confirmed: bool,
}

struct ReleaseView {
    version: String,
    state: &'static str,
    cause: Option<String>,
    files: Vec<FileView>,
}

#[derive(Template)]
#[template(path = "project.html")]
struct ProjectPage {
    layout: Layout,
    message: Option<String>,
    name: String,
    path: String,
    newest: Option<String>,
    state: &'static str,
    state_cause: Option<String>,
    held: usize,
    summary: String,
    description: String,
    facts: Vec<(&'static str, String)>,
    index_url: String,
    publishers: Vec<Shown>,
    members: Vec<MemberView>,
    repositories: Vec<RepositoryView>,
    releases: Vec<ReleaseView>,
    is_owner: bool,
    forms: Vec<PublisherForm>,
}

async fn show(
    State(app): State<App>,
    Reader(visitor): Reader,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let unknown = || PageError::not_found("there is no such project");
    let normalised = name.parse::<ProjectName>().map_err(|_| unknown())?.normalised().to_owned();
    if normalised != name {
        return Ok(see_other(&format!("/project/{normalised}")));
    }
    let mut tx = app.store.read().await?;
    let project = projects::by_name(&mut tx, &normalised).await?.ok_or_else(unknown)?;
    let content = content(&app, &mut tx, &visitor, project, PublisherForm::all(&app)).await?;
    Ok(page(StatusCode::OK, &content))
}

async fn content(
    app: &App,
    tx: &mut Tx,
    visitor: &Visitor,
    project: Project,
    forms: Vec<PublisherForm>,
) -> Result<ProjectPage, PageError> {
    let mut releases = files::releases_of_project(tx, project.id).await?;
    releases.sort_by_cached_key(|release| {
        std::cmp::Reverse(pep440_rs::Version::from_str(&release.version_canonical).ok())
    });
    let all = files::of_project(tx, project.id).await?;
    let metadata = newest_metadata(&releases);
    let members = projects::members(tx, project.id).await?;
    let own = visitor.signed_in().map(|signed_in| signed_in.account().id);
    let is_owner =
        members.iter().any(|(account, _, role)| Some(*account) == own && *role == ProjectRole::Owner);
    let publishers = publisher::of_project(tx, project.id).await?;
    let repositories = projects::links_of_project(tx, project.id).await?;
    Ok(ProjectPage {
        layout: Layout::of(app, visitor),
        message: None,
        newest: releases.first().map(|release| release.version.clone()),
        state: project.state.word(),
        held: all.iter().filter(|file| file.state == FileState::Held).count(),
        summary: metadata_text(&metadata, "summary"),
        description: metadata_text(&metadata, "description"),
        facts: facts(&metadata),
        index_url: app.url("/simple/"),
        publishers: publishers.into_iter().map(Shown::from).collect(),
        members: members
            .into_iter()
            .map(|(id, name, role)| MemberView { id: id.to_string(), name, role: role.word() })
            .collect(),
        repositories: repository_views(&repositories),
        releases: releases.iter().map(|release| release_view(&project, release, &all)).collect(),
        is_owner,
        forms,
        name: project.name,
        path: project.name_normalised,
        state_cause: project.state_cause,
    })
}

fn release_view(project: &Project, release: &Release, all: &[File]) -> ReleaseView {
    let mut own: Vec<&File> = all.iter().filter(|file| file.release_id == release.id).collect();
    own.sort_by(|first, second| first.filename.cmp(&second.filename));
    ReleaseView {
        version: release.version.clone(),
        state: release.state.word(),
        cause: release.state_cause.clone(),
        files: own.into_iter().map(|file| file_view(project, release, file)).collect(),
    }
}

fn repository_views(links: &[RepositoryLink]) -> Vec<RepositoryView> {
    let mut views: Vec<RepositoryView> = Vec::new();
    for link in links {
        let confirmed = link.basis == RepositoryBasis::OwnerConfirmed;
        match views.iter_mut().find(|view| view.name == link.repository) {
            Some(view) => view.confirmed |= confirmed,
            None => views.push(RepositoryView { name: link.repository.clone(), confirmed }),
        }
    }
    views
}

fn file_view(project: &Project, release: &Release, file: &File) -> FileView {
    let why_not = crate::simple::why_not_offered(project, release, file);
    FileView {
        url: crate::simple::file_path(file),
        filename: file.filename.clone(),
        size: size_for_people(file.size),
        sha256: file.sha256.clone(),
        uploaded: file.uploaded_at.for_people(),
        offered: why_not.is_none(),
        why_not,
        // Only an address that a browser opens as a page becomes a link.
        publisher_url: file.publisher_url.clone().filter(|url| url.starts_with("https://")),
    }
}

/// Bytes in the largest unit that leaves a number above 1.
fn size_for_people(bytes: i64) -> String {
    let mut rest = bytes.max(0) as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if rest < 1024.0 || unit == "GiB" {
            return if unit == "B" { format!("{rest:.0} {unit}") } else { format!("{rest:.1} {unit}") };
        }
        rest /= 1024.0;
    }
    String::new()
}

/// The core metadata of the newest release.
fn newest_metadata(releases: &[Release]) -> Value {
    releases.first().and_then(|release| serde_json::from_str(&release.metadata).ok()).unwrap_or(Value::Null)
}

/// Longest description that a page shows, in characters.
const DESCRIPTION_LIMIT: usize = 100_000;

fn metadata_text(metadata: &Value, field: &str) -> String {
    match metadata.get(field) {
        Some(Value::String(text)) => crate::visible::visible_lines(text.trim(), DESCRIPTION_LIMIT),
        Some(Value::Array(items)) => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            crate::visible::visible_lines(&items.join(", "), 2_000)
        }
        _ => String::new(),
    }
}

fn facts(metadata: &Value) -> Vec<(&'static str, String)> {
    [
        ("Author", "author"),
        ("Maintainer", "maintainer"),
        ("Licence", "license_expression"),
        ("Licence", "license"),
        ("Requires Python", "requires_python"),
        ("Requires", "requires_dist"),
        ("Keywords", "keywords"),
        ("Links", "project_urls"),
    ]
    .into_iter()
    .map(|(label, field)| (label, metadata_text(metadata, field)))
    .filter(|(_, value)| !value.is_empty())
    .collect()
}

async fn add_publisher(
    State(app): State<App>,
    Client(origin): Client,
    Form { by, fields }: Form<OfProject>,
) -> Result<Response, PageError> {
    match publisher::add(&app, &by.owner, &publishers::form(&fields), &origin).await {
        Ok(_) => Ok(see_other(&format!("/project/{}#publishers", by.owner.project().name_normalised))),
        Err(error) => refused(&app, by, &fields, publishers::refusal(error)?).await,
    }
}

async fn refused(app: &App, by: OfProject, fields: &Fields, message: String) -> Result<Response, PageError> {
    let mut tx = app.store.read().await?;
    let visitor = Visitor::SignedIn(by.signed_in.clone());
    let forms = PublisherForm::filled_in(app, fields);
    let mut content = content(app, &mut tx, &visitor, by.owner.project().clone(), forms).await?;
    content.message = Some(message);
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &content))
}

async fn remove_publisher(
    State(app): State<App>,
    Client(origin): Client,
    Form { by, fields }: Form<OfProject>,
) -> Result<Response, PageError> {
    let id =
        fields.text("publisher").parse().map_err(|_| PageError::not_found("there is no such publisher"))?;
    match publisher::remove(&app, &by.owner, id, &origin).await {
        Ok(()) => Ok(see_other(&format!("/project/{}#publishers", by.owner.project().name_normalised))),
        Err(error) => Err(PageError::Refused(publishers::refusal(error)?)),
    }
}

/// Back to the project, or the page once more with what is wrong.
async fn decided(
    app: &App,
    by: OfProject,
    fields: &Fields,
    outcome: Result<(), OwnershipError>,
) -> Result<Response, PageError> {
    match outcome {
        Ok(()) => Ok(see_other(&format!("/project/{}#members", by.owner.project().name_normalised))),
        Err(error @ OwnershipError::Store(_)) => Err(PageError::Unavailable(Box::new(error))),
        Err(error @ OwnershipError::NotOwner) => Err(PageError::Forbidden(error.to_string())),
        Err(error) => refused(app, by, fields, sentence(&error.to_string())).await,
    }
}

async fn add_member(
    State(app): State<App>,
    Client(origin): Client,
    Form { by, fields }: Form<OfProject>,
) -> Result<Response, PageError> {
    let role = fields.text("role").parse().map_err(|_| PageError::BadForm("there is no such role"))?;
    let outcome = ownership::add_member(&app, &by.owner, fields.text("member"), role, &origin).await;
    decided(&app, by, &fields, outcome).await
}

async fn remove_member(
    State(app): State<App>,
    Client(origin): Client,
    Form { by, fields }: Form<OfProject>,
) -> Result<Response, PageError> {
    let outcome = match fields.text("member").parse() {
        Ok(id) => ownership::remove_member(&app, &by.owner, id, &origin).await,
        Err(_) => Err(OwnershipError::NotMember),
    };
    decided(&app, by, &fields, outcome).await
}

async fn confirm_repository(
    State(app): State<App>,
    Client(origin): Client,
    Form { by, fields }: Form<OfProject>,
) -> Result<Response, PageError> {
    let outcome = ownership::confirm_repository(&app, &by.owner, fields.text("repository"), &origin).await;
    decided(&app, by, &fields, outcome).await
}

#[derive(Template)]
#[template(path = "project_history.html")]
struct HistoryPage {
    layout: Layout,
    name: String,
    path: String,
    lines: Vec<Line>,
    number: i64,
    more: bool,
}

#[derive(Deserialize)]
struct Numbered {
    #[serde(default = "first_page")]
    page: i64,
}

fn first_page() -> i64 {
    1
}

async fn history(
    State(app): State<App>,
    by: OfProject,
    Query(asked): Query<Numbered>,
) -> Result<Response, PageError> {
    let project = by.owner.project();
    let mut tx = app.store.read().await?;
    let found = lines::of_project(&mut tx, project.id, asked.page).await?;
    if asked.page < 1 || (asked.page > 1 && found.lines.is_empty()) {
        return Err(PageError::not_found("there is no such page of the history"));
    }
    let shown = HistoryPage {
        layout: Layout::signed_in(&app, &by.signed_in),
        name: project.name.clone(),
        path: project.name_normalised.clone(),
        lines: found.lines,
        number: asked.page,
        more: found.more,
    };
    Ok(page(StatusCode::OK, &shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, shown) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (104_857_600, "100.0 MiB")] {
            assert_eq!(size_for_people(bytes), shown);
        }
    }
}
