//! What installers read: the Simple API (PEP 503, 691, 700, 714, 792), and the files behind it.
//!
//! Held and quarantined files are not offered, and by their address answer why.

use std::collections::{BTreeMap, HashMap};

use pep440_rs::Version;
use serde::Serialize;

use crate::app::App;
use crate::ids::ReleaseId;
use crate::store::StoreError;
use crate::store::files::{self, File, FileState, Release, ReleaseState};
use crate::store::projects::{self, Project, ProjectState};

/// The version of the Simple API that is answered.
pub const API_VERSION: &str = "1.4";

// The fields of these stand in alphabetical order: PyPI emits sorted keys.

/// The list of projects.
#[derive(Debug, Serialize)]
pub struct List {
    meta: Meta,
    projects: Vec<Listed>,
}

#[derive(Debug, Serialize)]
struct Meta {
    #[serde(rename = "_last-serial")]
    last_serial: i64,
    #[serde(rename = "api-version")]
    api_version: &'static str,
}

#[derive(Debug, Serialize)]
struct Listed {
    #[serde(rename = "_last-serial")]
    last_serial: i64,
    name: String,
    #[serde(skip)]
    name_normalised: String,
}

/// A project's page.
#[derive(Debug, Serialize)]
pub struct Page {
    files: Vec<Link>,
    meta: Meta,
    name: String,
    #[serde(rename = "project-status")]
    project_status: Status,
    versions: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    status: &'static str,
}

#[derive(Debug, Serialize)]
struct Link {
    #[serde(rename = "core-metadata")]
    core_metadata: MetadataLink,
    #[serde(rename = "data-dist-info-metadata")]
    data_dist_info_metadata: MetadataLink,
    filename: String,
    hashes: BTreeMap<&'static str, String>,
    provenance: Option<String>,
    #[serde(rename = "requires-python")]
    requires_python: Option<String>,
    size: i64,
    #[serde(rename = "upload-time")]
    upload_time: String,
    url: String,
    yanked: bool,
}

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum MetadataLink {
    None(bool),
    Hash { sha256: String },
}

impl List {
    /// The newest serial of the index.
    #[must_use]
    pub fn last_serial(&self) -> i64 {
        self.meta.last_serial
    }

    /// As JSON, compact, with sorted keys.
    #[must_use]
    pub fn json(&self) -> String {
        json(self)
    }

    /// As HTML, in the form that PyPI has frozen.
    #[must_use]
    pub fn html(&self) -> String {
        let mut html = head("Simple index", &[]);
        for project in &self.projects {
            html += &format!(
                "    <a href=\"/simple/{}/\">{}</a>\n",
                project.name_normalised,
                escape(&project.name)
            );
        }
        html + "  </body>\n</html>\n"
    }
}

impl Page {
    /// The project's serial.
    #[must_use]
    pub fn last_serial(&self) -> i64 {
        self.meta.last_serial
    }

    /// As JSON, compact, with sorted keys.
    #[must_use]
    pub fn json(&self) -> String {
        json(self)
    }

    /// As HTML, in the form that PyPI has frozen.
    #[must_use]
    pub fn html(&self) -> String {
        let title = format!("Links for {}", self.name);
        let mut html = head(&title, &[("pypi:project-status", self.project_status.status)]);
        html += &format!("    <h1>{title}</h1>\n");
        for link in &self.files {
            html += &link.html();
        }
        html + &format!("  </body>\n</html>\n<!--SERIAL {}-->\n", self.meta.last_serial)
    }
}

impl Link {
    fn html(&self) -> String {
        // Blanks stand where PyPI's frozen form has them: after `href`, and after a requires-python.
        let mut attributes = String::from(" ");
        if let Some(requires_python) = &self.requires_python {
            attributes += &format!("data-requires-python=\"{}\" ", escape(requires_python));
        }
        if let MetadataLink::Hash { sha256 } = &self.core_metadata {
            attributes += &format!(
                "data-dist-info-metadata=\"sha256={sha256}\" data-core-metadata=\"sha256={sha256}\""
            );
        }
        let sha256 = self.hashes.get("sha256").map(String::as_str).unwrap_or_default();
        format!(
            "    <a href=\"{}#sha256={sha256}\"{attributes}>{}</a><br />\n",
            escape(&self.url),
            escape(&self.filename)
        )
    }
}

fn json(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    text
}

fn head(title: &str, metas: &[(&str, &str)]) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n  <head>\n    <meta name=\"pypi:repository-version\" content=\"{API_VERSION}\">\n"
    );
    for (name, content) in metas {
        html += &format!("    <meta name=\"{name}\" content=\"{content}\">\n");
    }
    html + &format!("    <title>{}</title>\n  </head>\n  <body>\n", escape(title))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The list of projects that are offered, by normalised name.
///
/// # Errors
/// Where the database refuses.
pub async fn list(app: &App) -> Result<List, StoreError> {
    let mut tx = app.store.read().await?;
    let last_serial = projects::last_serial(&mut tx).await?;
    let projects = projects::all(&mut tx)
        .await?
        .into_iter()
        .filter(|project| project.state != ProjectState::Quarantined)
        .map(|project| Listed {
            last_serial: project.serial,
            name: project.name,
            name_normalised: project.name_normalised,
        })
        .collect();
    Ok(List { meta: Meta { last_serial, api_version: API_VERSION }, projects })
}

/// A project's page; none where there is no such project.
///
/// # Errors
/// Where the database refuses.
pub async fn page(app: &App, name_normalised: &str) -> Result<Option<Page>, StoreError> {
    let mut tx = app.store.read().await?;
    let Some(project) = projects::by_name(&mut tx, name_normalised).await? else { return Ok(None) };
    let releases: HashMap<ReleaseId, Release> = files::releases_of_project(&mut tx, project.id)
        .await?
        .into_iter()
        .map(|release| (release.id, release))
        .collect();
    let mut offered: Vec<(Version, File)> = files::of_project(&mut tx, project.id)
        .await?
        .into_iter()
        .filter_map(|file| {
            let release = releases.get(&file.release_id)?;
            let version = release.version.parse().ok()?;
            why_not_offered(&project, release, &file).is_none().then_some((version, file))
        })
        .collect();
    offered.sort_by(|one, other| one.0.cmp(&other.0).then_with(|| one.1.filename.cmp(&other.1.filename)));
    let mut versions: Vec<String> = offered.iter().map(|(version, _)| version.to_string()).collect();
    versions.dedup();
    Ok(Some(Page {
        files: offered.into_iter().map(|(_, file)| link(app, file)).collect(),
        meta: Meta { last_serial: project.serial, api_version: API_VERSION },
        name: project.name_normalised,
        project_status: Status { reason: project.state_cause, status: project.state.word() },
        versions,
    }))
}

fn link(app: &App, file: File) -> Link {
    let core_metadata = file
        .metadata_sha256
        .clone()
        .map_or(MetadataLink::None(false), |sha256| MetadataLink::Hash { sha256 });
    Link {
        url: app.url(&file_path(&file)),
        data_dist_info_metadata: core_metadata.clone(),
        core_metadata,
        filename: file.filename,
        hashes: BTreeMap::from([("sha256", file.sha256)]),
        provenance: None,
        requires_python: file.requires_python,
        size: file.size,
        upload_time: file.uploaded_at.rfc3339(),
        yanked: false,
    }
}

/// The path of a file: its BLAKE2b-256 split 2/2/60, then its name, as on PyPI.
#[must_use]
pub fn file_path(file: &File) -> String {
    let (first, rest) = file.blake2_256.split_at_checked(2).unwrap_or_default();
    let (second, rest) = rest.split_at_checked(2).unwrap_or_default();
    format!("/packages/{first}/{second}/{rest}/{}", file.filename)
}

/// Why a file is not offered; none where it is.
#[must_use]
pub fn why_not_offered(project: &Project, release: &Release, file: &File) -> Option<String> {
    let cause = |what: &str, cause: &Option<String>| match cause {
        Some(cause) => format!("{what}: {cause}"),
        None => what.to_owned(),
    };
    if project.state == ProjectState::Quarantined {
        return Some(cause("the project is quarantined", &project.state_cause));
    }
    match release.state {
        ReleaseState::Active => {}
        ReleaseState::Quarantined => return Some(cause("the release is quarantined", &release.state_cause)),
        ReleaseState::Removed => return Some(cause("the release was removed", &release.state_cause)),
    }
    match file.state {
        FileState::Offered => None,
        FileState::Held => Some(cause("the file is held", &file.state_cause)),
        FileState::Removed => Some(cause("the file was removed", &file.state_cause)),
    }
}

/// A file that was asked for by its address.
#[derive(Debug)]
pub enum Asked {
    /// It is offered: its row.
    Offered(Box<File>),
    /// It is not, and why.
    Withheld(String),
    /// There is none.
    Unknown,
}

/// The file with this content and name.
///
/// # Errors
/// Where the database refuses.
pub async fn file(app: &App, blake2_256: &str, filename: &str) -> Result<Asked, StoreError> {
    let mut tx = app.store.read().await?;
    let found = files::by_content(&mut tx, blake2_256).await?.filter(|file| file.filename == filename);
    let Some(file) = found else { return Ok(Asked::Unknown) };
    let project = projects::by_id(&mut tx, file.project_id).await?;
    let release = files::releases_of_project(&mut tx, file.project_id)
        .await?
        .into_iter()
        .find(|release| release.id == file.release_id);
    let (Some(project), Some(release)) = (project, release) else { return Ok(Asked::Unknown) };
    Ok(match why_not_offered(&project, &release, &file) {
        Some(cause) => Asked::Withheld(cause),
        None => Asked::Offered(Box::new(file)),
    })
}
