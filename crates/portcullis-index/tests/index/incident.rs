//! An incident on a stage: people, projects, tokens and uploads, a forge that says what it is told to say, and a mail server.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use portcullis_index::app::App;
use portcullis_index::authority::{self, Responder, Scope, issue_management_token};
use portcullis_index::clock::Instant;
use portcullis_index::desk::forge::{Forge, ForgeError, Look, Push, Run, Runs, Sight};
use portcullis_index::history::{Actor, Event, Origin, keep_personal, record};
use portcullis_index::ids::{AccountId, FileId, ProjectId, ReleaseId, TokenId, UseId};
use portcullis_index::jobs;
use portcullis_index::store::Tx;
use portcullis_index::store::accounts::{self, Account, AccountRole, AccountState};
use portcullis_index::store::blobs;
use portcullis_index::store::files::{self, File, FileState, PackageType, Release, ReleaseState};
use portcullis_index::store::projects::{self, Project, ProjectRole, ProjectState};
use portcullis_index::store::token_uses::{self, TokenUse, UseKind};
use portcullis_index::store::tokens::{self, Token, TokenKind, TokenScope, TokenState};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Answer, Stage, stages_with};

pub(crate) const REPOSITORY: &str = "github.com/example-org/lanternfish";
pub(crate) const MALICIOUS: &str = ".github/workflows/github_actions_security.yml";
pub(crate) const BLOB: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
pub(crate) const COMMIT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const CLEAN: &str = "cccccccccccccccccccccccccccccccccccccccc";

/// A forge that answers what the test put there.
#[derive(Default)]
pub(crate) struct FakeForge {
    pub(crate) sight: Mutex<Option<Result<Sight, ForgeError>>>,
    pub(crate) asked: Mutex<Vec<Look>>,
}

#[async_trait]
impl Forge for FakeForge {
    async fn look(&self, look: &Look) -> Result<Sight, ForgeError> {
        self.asked.lock().unwrap().push(look.clone());
        let sight = self.sight.lock().unwrap().clone();
        sight.unwrap_or_else(|| Err(ForgeError::Failed(String::from("nobody answers"))))
    }
}

/// What our own scan says. `standing` and `stands` are what matters most.
pub(crate) struct Scanned<'a> {
    pub(crate) repository: &'a str,
    pub(crate) standing: &'a str,
    pub(crate) stands: bool,
    pub(crate) package: &'a str,
    pub(crate) introduced: Instant,
}

impl Default for Scanned<'_> {
    fn default() -> Self {
        Self {
            repository: REPOSITORY,
            standing: "could-run",
            stands: true,
            package: "lanternfish",
            introduced: Instant(1_767_225_600_000_000),
        }
    }
}

impl Scanned<'_> {
    pub(crate) fn document(&self) -> Value {
        let removed =
            if self.stands { Value::Null } else { json!({"commit": CLEAN, "time": "2026-01-01T00:00:00Z"}) };
        let exposure = |secret: &str| {
            json!({
                "secret": secret, "destination": "192.0.2.66", "reachable": true, "triggers": ["push"],
                "introduced": {"commit": COMMIT, "time": self.introduced.rfc3339(), "basis": "claimed"},
                "refs": [{"ref": "refs/heads/main", "introduced": COMMIT, "removed": removed}], "versions": [BLOB],
            })
        };
        json!({
            "schema": "portcullis.scan/1", "complete": true, "problems": [],
            "findings": [{
                "id": "0123456789abcdef", "rule": "http-exfiltration", "verdict": "malicious", "standing": self.standing,
                "repository": {"given": ".", "identity": self.repository}, "path": MALICIOUS, "blob": BLOB,
                "secrets": [
                    {"name": "PYPI_API_TOKEN", "kind": "pypi", "used_for": [{"registry": "pypi", "package": self.package}]},
                    {"name": "DOCKERHUB_TOKEN", "kind": "docker-hub", "used_for": [{"registry": "docker-hub"}]},
                ],
                "exposures": [exposure("PYPI_API_TOKEN"), exposure("DOCKERHUB_TOKEN")],
            }],
        })
    }

    /// What the server itself sees: the push observed at `introduced`, a run of it 1 s long, and a clean run of a
    /// release an hour before.
    pub(crate) fn sight(&self) -> Sight {
        let at = self.introduced.0;
        let second = 1_000_000;
        let run = |id: i64, commit: &str, path: &str, from: i64, until: i64, blob: &str| Run {
            id,
            commit: commit.to_owned(),
            path: path.to_owned(),
            event: String::from("push"),
            from,
            until: Some(until),
            workflow_blob: Some(blob.to_owned()),
        };
        Sight {
            document: self.document().to_string(),
            pushes: Some(vec![Push {
                name: String::from("refs/heads/main"),
                before: CLEAN.to_owned(),
                after: COMMIT.to_owned(),
                at,
                commits: vec![COMMIT.to_owned()],
            }]),
            runs: Some(Runs {
                complete_since: None,
                list: vec![
                    run(
                        1,
                        CLEAN,
                        ".github/workflows/release.yml",
                        at - 3_600 * second,
                        at - 3_500 * second,
                        CLEAN,
                    ),
                    run(2, COMMIT, MALICIOUS, at + second, at + 2 * second, BLOB),
                ],
            }),
            problems: Vec::new(),
        }
    }
}

/// A stage with a forge.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) forge: Arc<FakeForge>,
}

/// A scene on each database.
pub(crate) async fn scenes() -> Vec<Scene> {
    scenes_with("").await
}

/// A scene on each database, with a settings file's text.
pub(crate) async fn scenes_with(settings: &str) -> Vec<Scene> {
    let mut scenes = Vec::new();
    for mut stage in stages_with(settings).await {
        let forge = Arc::new(FakeForge::default());
        stage.app = stage.app.with_forge(forge.clone());
        scenes.push(Scene { stage, forge });
    }
    scenes
}

/// A file that was uploaded.
pub(crate) struct Uploaded {
    pub(crate) file: FileId,
    pub(crate) filename: String,
}

impl Scene {
    pub(crate) fn app(&self) -> &App {
        &self.stage.app
    }

    pub(crate) fn sees(&self, sight: Result<Sight, ForgeError>) {
        *self.forge.sight.lock().unwrap() = Some(sight);
    }

    pub(crate) async fn tx(&self) -> Tx {
        self.app().store.write().await.unwrap()
    }

    /// Adds an account with a verified address.
    pub(crate) async fn account(&self, name: &str, role: AccountRole) -> Account {
        let now = self.app().now();
        let account = Account {
            id: AccountId::new(),
            name: name.to_owned(),
            role,
            state: AccountState::Active,
            password_hash: None,
            created_at: now,
        };
        let mut tx = self.tx().await;
        accounts::insert(&mut tx, &account, name).await.unwrap();
        let address = format!("{name}@example.org");
        accounts::insert_email(&mut tx, account.id, &address, true, Some(now), now).await.unwrap();
        tx.commit().await.unwrap();
        account
    }

    /// A responder with a management token for the API.
    pub(crate) async fn responder(&self, name: &str) -> (Responder, String) {
        let account = self.account(name, AccountRole::Responder).await;
        let end = self.app().now().plus_seconds(86_400);
        let secret =
            issue_management_token(self.app(), &account, &[Scope::Desk], "desk", end, Actor::Operator)
                .await
                .unwrap();
        let requester = authority::of_management_token(self.app(), secret.expose_secret()).await.unwrap();
        (requester.responder().unwrap(), secret.expose_secret().to_owned())
    }

    pub(crate) async fn project(&self, name: &str, owner: &Account) -> ProjectId {
        let now = self.app().now();
        let normalised = name.to_lowercase();
        let project = Project {
            id: ProjectId::new(),
            name: name.to_owned(),
            name_normalised: normalised.clone(),
            state: ProjectState::Active,
            state_cause: None,
            created_at: now,
            serial: 0,
        };
        let mut tx = self.tx().await;
        projects::insert(&mut tx, &project, &normalised).await.unwrap();
        projects::insert_role(&mut tx, project.id, owner.id, ProjectRole::Owner, now).await.unwrap();
        tx.commit().await.unwrap();
        project.id
    }

    /// An account-scoped token; `label` is `REPOSITORY#SECRET`.
    pub(crate) async fn token(&self, owner: &Account, label: Option<&str>) -> TokenId {
        let label = label.and_then(|label| label.split_once('#'));
        let token = Token {
            id: TokenId::new(),
            kind: TokenKind::LongLived,
            account_id: Some(owner.id),
            publisher_id: None,
            description: format!("release of {}", owner.name),
            location: String::from("packages.example"),
            sealed_key: vec![0; 60],
            caveats: Vec::new(),
            scope: TokenScope::Account,
            lives_in: label.map(|(repository, _)| repository.to_owned()),
            lives_in_secret: label.map(|(_, secret)| secret.to_owned()),
            minted_from: None,
            state: TokenState::Live,
            state_cause: None,
            state_case_id: None,
            state_since: None,
            created_at: self.app().now(),
            expires_at: None,
            first_used_at: None,
            last_used_at: None,
            use_count: 0,
        };
        let mut tx = self.tx().await;
        tokens::insert(&mut tx, &token, &[]).await.unwrap();
        tx.commit().await.unwrap();
        token.id
    }

    pub(crate) async fn upload(
        &self,
        token: TokenId,
        project: ProjectId,
        version: &str,
        address: &str,
        at: Instant,
    ) -> Uploaded {
        let mut tx = self.tx().await;
        let uploaded = upload_within(&mut tx, token, project, version, address, at).await;
        tx.commit().await.unwrap();
        uploaded
    }

    /// Works off everything that is due, then what becomes due by back-off.
    pub(crate) async fn work(&self) {
        while jobs::work_off(self.app()).await.unwrap() > 0 {}
    }

    pub(crate) async fn token_state(&self, id: TokenId) -> TokenState {
        let mut tx = self.tx().await;
        tokens::by_id(&mut tx, id).await.unwrap().unwrap().state
    }

    pub(crate) async fn file_state(&self, id: FileId) -> FileState {
        let mut tx = self.tx().await;
        files::by_id(&mut tx, id).await.unwrap().unwrap().state
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.stage.post_json(path, Some(token), &body).await
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        self.stage.send(request.body(Body::empty()).unwrap()).await
    }

    /// Sends a report from anybody; returns its id.
    pub(crate) async fn report(&self, body: Value) -> String {
        let answer = self.stage.post_json("/api/v1/reports", None, &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn count(&self, query: &str) -> i64 {
        let query = query.replacen("COUNT(*)", "CAST(COUNT(*) AS TEXT)", 1);
        self.stage.look(&query).await.parse().unwrap()
    }
}

/// An upload inside a transaction that the test ends when it likes.
pub(crate) async fn upload_within(
    tx: &mut Tx,
    token: TokenId,
    project: ProjectId,
    version: &str,
    address: &str,
    at: Instant,
) -> Uploaded {
    let filename = format!("{project}-{version}.tar.gz");
    let digest = |salt: &str| hex::encode(Sha256::digest(format!("{salt}{filename}")));
    let origin = Origin { address: address.parse().unwrap(), user_agent: String::from("twine/6") };
    let personal = keep_personal(tx, at, None, &origin).await.unwrap();
    let token_use = TokenUse {
        id: UseId::new(),
        token_id: token,
        kind: UseKind::Upload,
        outcome: String::from("accepted"),
        at,
        project_id: Some(project),
        filename: Some(filename.clone()),
        file_sha256: Some(digest("")),
        address: None,
        user_agent: None,
    };
    token_uses::insert(tx, &token_use, Some(personal.id)).await.unwrap();
    tokens::count_use(tx, token, at).await.unwrap();
    let release = Release {
        id: ReleaseId::new(),
        project_id: project,
        version: version.to_owned(),
        version_canonical: version.to_owned(),
        metadata: String::from("{}"),
        state: ReleaseState::Active,
        state_cause: None,
        created_at: at,
    };
    files::insert_release(tx, &release).await.unwrap();
    let release = files::release_locked(tx, project, version).await.unwrap().unwrap();
    blobs::keep(tx, &digest(""), 1, at).await.unwrap();
    let file = File {
        id: FileId::new(),
        project_id: project,
        release_id: release.id,
        filename: filename.clone(),
        packagetype: PackageType::Sdist,
        python_version: String::from("source"),
        requires_python: None,
        size: 1,
        sha256: digest(""),
        blake2_256: digest("blake"),
        md5: String::new(),
        metadata_sha256: None,
        state: FileState::Offered,
        state_cause: None,
        state_case_id: None,
        uploaded_at: at,
        token_id: token,
        use_id: token_use.id,
        publisher_url: None,
    };
    files::insert_file(tx, &file).await.unwrap();
    let mut event = Event::new("file:add", Actor::Operator);
    (event.project, event.token, event.personal) = (Some(project), Some(token), Some(personal));
    event.details = json!({"filename": filename, "sha256": digest(""), "use_id": token_use.id});
    record(tx, at, event).await.unwrap();
    Uploaded { file: file.id, filename }
}
