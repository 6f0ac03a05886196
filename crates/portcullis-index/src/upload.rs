//! Uploads: what a client sends becomes a file of a release, or is refused and leaves nothing but the record of it.
//!
//! The order is PyPI's: form, permission, file name, digests, archive, metadata, then one transaction that confirms the
//! uploader again under locks, names the contents and writes the events.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::app::App;
use crate::authority::uploader::{Confirmed, Refused, UploadTarget, Uploader};
use crate::blobs::{BlobError, Blobs, Durable};
use crate::clock::{Instant, SECOND};
use crate::history::{self, Actor, Event, Origin, keep_personal};
use crate::ids::{AccountId, FileId, ProjectId, ReleaseId, TokenId, UseId};
use crate::project::{self, ProjectError};
use crate::store::events::Personal;
use crate::store::files::{self, File, FileState, PackageType, Release, ReleaseState};
use crate::store::projects::{self, Project, RepositoryBasis, RepositoryLink};
use crate::store::token_uses::{self, TokenUse, UseKind};
use crate::store::{StoreError, Tx, blobs as blob_rows, tokens};

pub mod archive;
pub mod filename;
pub mod form;
pub mod metadata;
pub mod requirement;

use filename::FileName;
use form::{Form, canonical_version};
use metadata::Metadata;

/// After so many seconds a release takes no new files: 14 days, PyPI's rule against stolen tokens.
const RELEASE_OPEN_SECONDS: i64 = 14 * 86_400;

/// Why an upload was refused. `Display` is what the client reads.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// Who asks may not.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// What was sent is not what it must be.
    #[error("{0}")]
    Invalid(String),
    /// What was sent passes a limit of the form.
    #[error("{0}")]
    TooLarge(String),
    /// The name is taken by a project that somebody else made just now.
    #[error("{0}")]
    NameTaken(String),
    /// A failure of our own; the cause is for the log.
    #[error("The upload could not be stored. Nothing was changed. Try again in a moment.")]
    Unavailable {
        /// What failed.
        cause: String,
    },
}

impl UploadError {
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }

    pub(crate) fn too_large(text: impl Into<String>) -> Self {
        Self::TooLarge(text.into())
    }

    pub(crate) fn storage(cause: impl std::fmt::Display) -> Self {
        Self::Unavailable { cause: cause.to_string() }
    }
}

impl From<StoreError> for UploadError {
    fn from(error: StoreError) -> Self {
        Self::storage(error)
    }
}

impl From<BlobError> for UploadError {
    fn from(error: BlobError) -> Self {
        Self::storage(error)
    }
}

/// The file as it came, before anything about it is known to be true.
#[derive(Debug)]
pub struct Received {
    /// The name that the client gave.
    pub filename: String,
    /// The part's content type.
    pub content_type: Option<String>,
    /// The content, durable under a lease.
    pub content: Durable,
    /// MD5, hex.
    pub md5: String,
    /// BLAKE2b-256, hex.
    pub blake2_256: String,
}

/// Everything of an upload that was checked without the database.
struct Checked {
    form: Form,
    filename: FileName,
    received: Received,
    version: String,
    version_canonical: String,
    /// METADATA of a wheel: stored and served beside it.
    metadata: Option<Durable>,
}

/// Takes an upload in, or refuses it. A refusal is recorded as a use of the token.
///
/// # Errors
/// Why it was refused.
pub async fn accept(
    app: &App,
    uploader: &Uploader,
    fields: &form::Fields,
    received: Option<Received>,
    origin: &Origin,
) -> Result<(), UploadError> {
    let lease = received.as_ref().map(|received| received.content.clone());
    let shown = Shown::of(fields, received.as_ref());
    let result = take_in(app, uploader, fields, received, origin).await;
    if let Err(error) = &result {
        if let Some(content) = &lease {
            app.blobs.release(&app.store, content).await;
        }
        record_refusal(app, uploader, &shown, error, origin).await;
    }
    app.committed();
    result
}

async fn take_in(
    app: &App,
    uploader: &Uploader,
    fields: &form::Fields,
    received: Option<Received>,
    origin: &Origin,
) -> Result<(), UploadError> {
    let form = Form::parse(fields)?;
    let received = received.ok_or_else(|| UploadError::invalid("Upload payload does not have a file."))?;
    let checked = {
        let mut tx = app.store.write().await?;
        let normalised = form.name.normalised();
        uploader.confirm(&mut tx, target(&form, &normalised, &received.content.sha256), app.now()).await?;
        drop(tx);
        check_file(app, form, received).await?
    };
    let metadata = checked.metadata.clone();
    let stored = store_file(app, uploader, checked, origin).await;
    if let (Err(_), Some(metadata)) = (&stored, &metadata) {
        app.blobs.release(&app.store, metadata).await;
    }
    stored
}

fn target<'a>(form: &'a Form, name_normalised: &'a str, sha256: &'a str) -> UploadTarget<'a> {
    UploadTarget {
        name: form.name.as_str(),
        name_normalised,
        version: form.single("version"),
        file_sha256: Some(sha256),
    }
}

/// Checks name, digests, archive and metadata.
async fn check_file(app: &App, form: Form, received: Received) -> Result<Checked, UploadError> {
    let filename = FileName::parse(&received.filename, &form.name, &form.version, form.packagetype)?;
    // A part without a type counts as octets, as upstream's form reader has it: uv 0.13 sends none.
    if received.content_type.as_deref().is_some_and(|kind| kind.is_empty() || kind.starts_with("image/")) {
        return Err(UploadError::invalid("Invalid distribution file."));
    }
    let pairs = [
        (&form.md5, &received.md5),
        (&form.sha256, &received.content.sha256),
        (&form.blake2_256, &received.blake2_256),
    ];
    if pairs.iter().any(|(given, real)| given.as_ref().is_some_and(|given| given != *real)) {
        return Err(UploadError::invalid(
            "The digest supplied does not match a digest calculated from the uploaded file.",
        ));
    }
    if form.has_attestations {
        return Err(UploadError::invalid(
            "Invalid attestations supplied during upload: this index does not take attestations; upload without them",
        ));
    }
    let path: PathBuf = app.blobs.path(&received.content.sha256);
    let metadata = match form.packagetype {
        PackageType::Wheel => archive::check_wheel(&path, filename.as_str()).await?,
        PackageType::Sdist => tokio::task::spawn_blocking(move || archive::check_sdist(&path))
            .await
            .map_err(UploadError::storage)??,
    };
    Metadata::parse(&metadata)?.compare(&form)?;
    let metadata = match form.packagetype {
        PackageType::Wheel => Some(app.blobs.put(&app.store, &metadata, app.now()).await?),
        PackageType::Sdist => None,
    };
    let version = form.version.to_string();
    let version_canonical = canonical_version(&form.version);
    Ok(Checked { form, filename, received, version, version_canonical, metadata })
}

/// The one transaction: confirm under locks, name the contents, write release, file, use and events.
async fn store_file(
    app: &App,
    uploader: &Uploader,
    checked: Checked,
    origin: &Origin,
) -> Result<(), UploadError> {
    let now = app.now();
    let mut tx = app.store.write().await?;
    let normalised = checked.form.name.normalised();
    let confirmed = uploader
        .confirm(&mut tx, target(&checked.form, &normalised, &checked.received.content.sha256), now)
        .await?;
    let project = match &confirmed.project {
        Some(project) => project.clone(),
        None => create_project(app, &mut tx, &confirmed, &checked.form, now, origin).await?,
    };
    if is_same_file(app, &mut tx, &checked).await? {
        for content in [Some(&checked.received.content), checked.metadata.as_ref()].into_iter().flatten() {
            blob_rows::end_pending(&mut tx, content.lease).await?;
        }
        // Nothing of the index changes, but whoever tries a token in this way has used it.
        let used = Use {
            tag: "token:use",
            kind: UseKind::Upload,
            outcome: String::from("accepted: nothing new"),
            token: confirmed.token.id,
            account: confirmed.token.account_id,
            project: Some(project.id),
            filename: Some(checked.filename.to_string()),
            sha256: Some(checked.received.content.sha256.clone()),
            actor: confirmed.actor.clone(),
        };
        used.record(&mut tx, now, origin).await?;
        tokens::count_use(&mut tx, confirmed.token.id, now).await?;
        tx.commit().await?;
        return Ok(());
    }
    check_room(app, &mut tx, &project, &checked).await?;
    let (release, is_new) = find_release(&mut tx, &project, &checked, now).await?;
    if !is_new && now.0 - release.created_at.0 > RELEASE_OPEN_SECONDS * SECOND {
        return Err(UploadError::invalid(
            "Uploading new files to releases older than 14 days is not allowed.",
        ));
    }
    let written = Written {
        blobs: &app.blobs,
        project: &project,
        release: &release,
        is_new,
        checked: &checked,
        confirmed: &confirmed,
    };
    written.write(&mut tx, now, origin).await?;
    tx.commit().await?;
    Ok(())
}

async fn create_project(
    app: &App,
    tx: &mut Tx,
    confirmed: &Confirmed,
    form: &Form,
    now: Instant,
    origin: &Origin,
) -> Result<Project, UploadError> {
    let help = format!(" See {}#project-name for more information.", app.url("/help/"));
    let owner = confirmed
        .account
        .as_ref()
        .ok_or_else(|| Refused::PublisherCannotCreate { help: app.url("/help/") })?;
    project::create(tx, now, &form.name, owner.id, confirmed.actor.clone(), Some(origin)).await.map_err(
        |error| match error {
            ProjectError::Store(error) => error.into(),
            ProjectError::Exists(_) => UploadError::NameTaken(format!("{error}{help}")),
            other => UploadError::invalid(format!("{other}{help}")),
        },
    )
}

/// Whether this very file is here already (then nothing is to be done), or its name or content is taken.
async fn is_same_file(app: &App, tx: &mut Tx, checked: &Checked) -> Result<bool, UploadError> {
    let taken = || {
        UploadError::invalid(format!(
            "File already exists ('{}', with blake2_256 hash '{}'). See {}#file-name-reuse for more information.",
            checked.filename,
            checked.received.blake2_256,
            app.url("/help/")
        ))
    };
    match files::by_filename(tx, checked.filename.as_str()).await? {
        Some(file) if file.state == FileState::Removed => Err(UploadError::invalid(format!(
            "This filename was previously used by a file that has since been deleted. Use a different version. See \
             {}#file-name-reuse for more information.",
            app.url("/help/")
        ))),
        Some(file) if file.blake2_256 == checked.received.blake2_256 => Ok(true),
        Some(_) => Err(taken()),
        None => match files::by_content(tx, &checked.received.blake2_256).await? {
            Some(_) => Err(taken()),
            None => Ok(false),
        },
    }
}

async fn check_room(app: &App, tx: &mut Tx, project: &Project, checked: &Checked) -> Result<(), UploadError> {
    let used = files::size_of_project(tx, project.id).await?;
    let limit = i64::try_from(app.settings.limits.project).unwrap_or(i64::MAX);
    if used.saturating_add(checked.received.content.size) > limit {
        return Err(UploadError::invalid(format!(
            "Project size too large. Limit for project '{}' total size is {} GB. See {}#project-size-limit",
            project.name,
            limit / (1024 * 1024 * 1024),
            app.url("/help/")
        )));
    }
    Ok(())
}

async fn find_release(
    tx: &mut Tx,
    project: &Project,
    checked: &Checked,
    now: Instant,
) -> Result<(Release, bool), UploadError> {
    if let Some(release) = files::release_locked(tx, project.id, &checked.version_canonical).await? {
        let sdist_again = checked.form.packagetype == PackageType::Sdist
            && files::of_project(tx, project.id)
                .await?
                .iter()
                .any(|file| file.release_id == release.id && file.packagetype == PackageType::Sdist);
        if sdist_again {
            return Err(UploadError::invalid("Only one sdist may be uploaded per release."));
        }
        return Ok((release, false));
    }
    let release = Release {
        id: ReleaseId::new(),
        project_id: project.id,
        version: checked.version.clone(),
        version_canonical: checked.version_canonical.clone(),
        metadata: Value::Object(checked.form.metadata.clone()).to_string(),
        state: ReleaseState::Active,
        state_cause: None,
        created_at: now,
    };
    files::insert_release(tx, &release).await?;
    // Another upload may have made it between our look and our insert: then that one is the release.
    let found = files::release_locked(tx, project.id, &checked.version_canonical).await?;
    let found = found.ok_or_else(|| UploadError::storage("a release that was just made is gone"))?;
    let is_new = found.id == release.id;
    Ok((found, is_new))
}

struct Written<'a> {
    blobs: &'a Blobs,
    project: &'a Project,
    release: &'a Release,
    is_new: bool,
    checked: &'a Checked,
    confirmed: &'a Confirmed,
}

impl Written<'_> {
    async fn write(&self, tx: &mut Tx, now: Instant, origin: &Origin) -> Result<(), UploadError> {
        let Checked { form, filename, received, metadata, .. } = self.checked;
        let token = &self.confirmed.token;
        for content in [Some(&received.content), metadata.as_ref()].into_iter().flatten() {
            self.blobs.name(tx, content, now).await?;
        }
        let personal = keep_personal(tx, now, token.account_id, origin).await?;
        let token_use = TokenUse {
            id: UseId::new(),
            token_id: token.id,
            kind: UseKind::Upload,
            outcome: String::from("accepted"),
            at: now,
            project_id: Some(self.project.id),
            filename: Some(filename.to_string()),
            file_sha256: Some(received.content.sha256.clone()),
            address: None,
            user_agent: None,
        };
        token_uses::insert(tx, &token_use, Some(personal.id)).await?;
        tokens::count_use(tx, token.id, now).await?;
        let file = File {
            id: FileId::new(),
            project_id: self.project.id,
            release_id: self.release.id,
            filename: filename.to_string(),
            packagetype: form.packagetype,
            python_version: form.python_version.clone(),
            requires_python: form.single("requires_python").map(str::to_owned),
            size: received.content.size,
            sha256: received.content.sha256.clone(),
            blake2_256: received.blake2_256.clone(),
            md5: received.md5.clone(),
            metadata_sha256: metadata.as_ref().map(|metadata| metadata.sha256.clone()),
            state: FileState::Offered,
            state_cause: None,
            state_case_id: None,
            uploaded_at: now,
            token_id: token.id,
            use_id: token_use.id,
            publisher_url: self.publisher_url(),
        };
        files::insert_file(tx, &file).await.map_err(|error| {
            if error.is_unique_violation() {
                UploadError::invalid(format!(
                    "File already exists ('{}', with blake2_256 hash '{}').",
                    file.filename, file.blake2_256
                ))
            } else {
                error.into()
            }
        })?;
        projects::set_display_name(tx, self.project.id, form.name.as_str()).await?;
        self.link_repositories(tx, now).await?;
        self.record(tx, now, &file, &personal).await?;
        Ok(())
    }

    /// The commit that a minted token was built from, as a URL.
    fn publisher_url(&self) -> Option<String> {
        let claims: Value = serde_json::from_str(self.confirmed.token.minted_from.as_deref()?).ok()?;
        let sha = claims.get("sha")?.as_str()?;
        let repository = self.confirmed.publisher.as_ref()?.repository.as_deref()?;
        let plain = !sha.is_empty() && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
        plain.then(|| format!("https://{repository}/commit/{sha}"))
    }

    /// Remembers which repositories the metadata names: claims, which the desk weighs as such.
    async fn link_repositories(&self, tx: &mut Tx, now: Instant) -> Result<(), StoreError> {
        let form = &self.checked.form;
        let urls = form
            .list("project_urls")
            .into_iter()
            .filter_map(|entry| entry.split_once(',').map(|(_, url)| url));
        let urls = urls.chain(form.single("home_page")).chain(form.single("download_url"));
        for repository in urls.filter_map(|url| repository_of_url(url.trim())) {
            let link = RepositoryLink {
                project_id: self.project.id,
                repository,
                basis: RepositoryBasis::MetadataUrl,
                first_seen_at: now,
                token_id: Some(self.confirmed.token.id),
            };
            projects::insert_repository(tx, &link).await?;
        }
        Ok(())
    }

    /// The events stand beside the same personal fields as the use, so that neither can be changed without the other.
    async fn record(
        &self,
        tx: &mut Tx,
        now: Instant,
        file: &File,
        personal: &Personal,
    ) -> Result<(), StoreError> {
        let actor = &self.confirmed.actor;
        let by_publisher = self.confirmed.publisher.is_some();
        let event = |tag: &'static str, details: Value| {
            let mut event = Event::new(tag, actor.clone());
            event.project = Some(self.project.id);
            event.account = self.confirmed.account.as_ref().map(|account| account.id);
            event.token = Some(self.confirmed.token.id);
            event.details = details;
            event.journal = true;
            event.personal = Some(personal.clone());
            event
        };
        if self.is_new {
            let details = json!({
                "submitted_by": actor.label(), "canonical_version": self.release.version_canonical,
                "version": self.release.version, "publisher_url": file.publisher_url,
                "uploaded_via_trusted_publisher": by_publisher,
            });
            history::record(tx, now, event("project:release:add", details)).await?;
        }
        let details = json!({
            "filename": file.filename, "sha256": file.sha256, "size": file.size, "submitted_by": actor.label(),
            "canonical_version": self.release.version_canonical, "publisher_url": file.publisher_url,
            "project_id": self.project.id, "uploaded_via_trusted_publisher": by_publisher,
            "macaroon_id": self.confirmed.token.id, "use_id": file.use_id,
        });
        history::record(tx, now, event("file:add", details)).await?;
        Ok(())
    }
}

/// `github.com/owner/name` of a URL on a forge that we know, in lower case.
#[must_use]
pub fn repository_of_url(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let host = url.host_str()?.to_lowercase();
    let host = host.strip_prefix("www.").unwrap_or(&host);
    if !matches!(host, "github.com" | "gitlab.com" | "codeberg.org") {
        return None;
    }
    let mut parts = url.path_segments()?.filter(|part| !part.is_empty());
    let (owner, name) = (parts.next()?, parts.next()?);
    let name = name.strip_suffix(".git").unwrap_or(name);
    let plain = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    (plain(owner) && plain(name) && !name.is_empty())
        .then(|| format!("{host}/{}/{}", owner.to_lowercase(), name.to_lowercase()))
}

/// What a refused upload said of itself, bounded: for the record only.
#[derive(Debug, Default)]
pub struct Shown {
    /// The project's normalised name.
    pub project: Option<String>,
    /// The file's name.
    pub filename: Option<String>,
    /// The content's SHA-256, where it came whole.
    pub sha256: Option<String>,
}

impl Shown {
    /// Of the fields that came, and the file where it came whole.
    #[must_use]
    pub fn of(fields: &form::Fields, received: Option<&Received>) -> Self {
        Self {
            project: fields
                .all("name")
                .next()
                .map(project::normalise)
                .filter(|name| name.len() <= project::NAME_CHARACTERS_MAX),
            filename: received
                .map(|received| crate::visible::visible(&received.filename, filename::LENGTH_LIMIT)),
            sha256: received.map(|received| received.content.sha256.clone()),
        }
    }
}

/// A use of a token that changes nothing of the index: evidence, told by an event beside the same personal fields.
struct Use {
    tag: &'static str,
    kind: UseKind,
    outcome: String,
    token: TokenId,
    account: Option<AccountId>,
    project: Option<ProjectId>,
    filename: Option<String>,
    sha256: Option<String>,
    actor: Actor,
}

impl Use {
    async fn record(self, tx: &mut Tx, now: Instant, origin: &Origin) -> Result<(), StoreError> {
        let personal = keep_personal(tx, now, self.account, origin).await?;
        let token_use = TokenUse {
            id: UseId::new(),
            token_id: self.token,
            kind: self.kind,
            outcome: self.outcome,
            at: now,
            project_id: self.project,
            filename: self.filename,
            file_sha256: self.sha256,
            address: None,
            user_agent: None,
        };
        token_uses::insert(tx, &token_use, Some(personal.id)).await?;
        let mut event = Event::new(self.tag, self.actor);
        event.account = self.account;
        event.project = self.project;
        event.token = Some(self.token);
        event.details = json!({
            "macaroon_id": self.token, "use_id": token_use.id, "filename": token_use.filename,
            "sha256": token_use.file_sha256, "outcome": token_use.outcome,
        });
        event.personal = Some(personal);
        history::record(tx, now, event).await?;
        Ok(())
    }
}

/// Records a refused use of a token whose chain held, in a transaction of its own. A failure of ours is no refusal.
pub async fn record_refusal(
    app: &App,
    uploader: &Uploader,
    shown: &Shown,
    error: &UploadError,
    origin: &Origin,
) {
    if matches!(error, UploadError::Unavailable { .. }) {
        return;
    }
    let now = app.now();
    let recorded = async {
        let mut tx = app.store.write().await?;
        let project = match &shown.project {
            Some(name) => projects::by_name(&mut tx, name).await?,
            None => None,
        };
        let refused = Use {
            tag: "token:use:refused",
            kind: UseKind::RefusedUpload,
            outcome: crate::visible::visible(&error.to_string(), 500),
            token: uploader.token_id(),
            account: uploader.account_id(),
            project: project.map(|project| project.id),
            filename: shown.filename.clone(),
            sha256: shown.sha256.clone(),
            actor: Actor::Anonymous,
        };
        refused.record(&mut tx, now, origin).await?;
        tx.commit().await
    };
    if let Err(error) = recorded.await {
        tracing::error!(%error, token = %uploader.token_id(), "a refused use of a token could not be recorded");
    }
    app.committed();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_on_known_forges_name_repositories() {
        for (url, repository) in [
            ("https://github.com/Owner/Demo", Some("github.com/owner/demo")),
            ("https://www.github.com/owner/demo.git", Some("github.com/owner/demo")),
            ("https://github.com/owner/demo/issues?q=1", Some("github.com/owner/demo")),
            ("https://github.com/owner", None),
            ("https://github.com.example/owner/demo", None),
            ("https://docs.example/owner/demo", None),
            ("not a url", None),
        ] {
            assert_eq!(repository_of_url(url).as_deref(), repository, "{url}");
        }
    }
}
