//! The desk's pages: a report on top, a case with its radius and evidence, containment by a confirmed plan.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{StatusCode, header};
use portcullis_index::clock::{Instant, SECOND};
use portcullis_index::desk::examination;
use portcullis_index::desk::forge::{Forge, ForgeError, Look, Push, Run, Runs, Sight};
use portcullis_index::history::{Origin, keep_personal};
use portcullis_index::ids::{FileId, ProjectId, ReleaseId, TokenId, UseId};
use portcullis_index::store::accounts::{Account, AccountRole};
use portcullis_index::store::files::{self, File, FileState, PackageType, Release, ReleaseState};
use portcullis_index::store::projects::{self, Project, ProjectRole, ProjectState};
use portcullis_index::store::token_uses::{self, TokenUse, UseKind};
use portcullis_index::store::tokens::{self, Token, TokenKind, TokenScope, TokenState};
use serde_json::json;

use crate::pages::{Browser, person};
use crate::support::{Stage, stages};

const REPOSITORY: &str = "github.com/example-org/lanternfish";

/// A forge whose one repository got the malicious workflow in a push, and a run of it.
pub(crate) struct StruckForge {
    pushed: Instant,
}

fn commit() -> String {
    "a".repeat(40)
}

#[async_trait]
impl Forge for StruckForge {
    async fn look(&self, look: &Look) -> Result<Sight, ForgeError> {
        assert_eq!(look.repository.to_string(), REPOSITORY);
        let exposure = json!({
            "secret": "PYPI_API_TOKEN", "destination": "192.0.2.66", "reachable": true,
            "introduced": { "commit": commit(), "time": self.pushed.rfc3339() },
            "refs": [{ "ref": "refs/heads/main", "introduced": commit(), "removed": null }],
            "versions": ["b".repeat(40)],
        });
        let used_for = json!([{ "registry": "pypi", "package": "lanternfish" }]);
        let finding = json!({
            "id": "0123456789abcdef", "rule": "http-exfiltration", "verdict": "malicious", "standing": "could-run",
            "repository": { "identity": REPOSITORY }, "path": ".github/workflows/<b>\u{202e}sync.yml",
            "blob": "b".repeat(40), "secrets": [{ "name": "PYPI_API_TOKEN", "kind": "pypi", "used_for": used_for }],
            "exposures": [exposure],
        });
        let push = Push {
            name: String::from("refs/heads/main"),
            before: "c".repeat(40),
            after: commit(),
            at: self.pushed.0,
            commits: vec![commit()],
        };
        let run = Run {
            id: 90_000,
            commit: commit(),
            path: String::from(".github/workflows/sync.yml"),
            event: String::from("push"),
            from: self.pushed.0 + 5 * SECOND,
            until: Some(self.pushed.0 + 30 * SECOND),
            workflow_blob: Some("b".repeat(40)),
        };
        Ok(Sight {
            document: json!({ "schema": "portcullis.scan/1", "complete": true, "findings": [finding] })
                .to_string(),
            pushes: Some(vec![push]),
            runs: Some(Runs { complete_since: None, list: vec![run] }),
            problems: Vec::new(),
        })
    }
}

/// What was struck.
pub(crate) struct Struck {
    pub owner: Account,
    pub token: TokenId,
}

/// A project that its owner published with a token; then the push, and a use of the token by a thief.
pub(crate) async fn struck(stage: &mut Stage) -> Struck {
    let owner = person(stage, "mara", AccountRole::User).await;
    let app = stage.app.clone();
    let project = Project {
        id: ProjectId::new(),
        name: String::from("Lanternfish"),
        name_normalised: String::from("lanternfish"),
        state: ProjectState::Active,
        state_cause: None,
        created_at: app.now(),
        serial: 0,
    };
    let token = Token {
        id: TokenId::new(),
        kind: TokenKind::LongLived,
        account_id: Some(owner.id),
        publisher_id: None,
        description: String::from("release <i>"),
        location: String::from("packages.example"),
        sealed_key: vec![1],
        caveats: Vec::new(),
        scope: TokenScope::Account,
        lives_in: Some(String::from(REPOSITORY)),
        lives_in_secret: Some(String::from("PYPI_API_TOKEN")),
        minted_from: None,
        state: TokenState::Live,
        state_cause: None,
        state_case_id: None,
        state_since: None,
        created_at: app.now(),
        expires_at: None,
        first_used_at: None,
        last_used_at: None,
        use_count: 0,
    };
    let mut tx = app.store.write().await.unwrap();
    projects::insert(&mut tx, &project, "1anternf1sh").await.unwrap();
    projects::insert_role(&mut tx, project.id, owner.id, ProjectRole::Owner, app.now()).await.unwrap();
    tokens::insert(&mut tx, &token, &[]).await.unwrap();
    tx.commit().await.unwrap();
    uploaded(stage, &project, &token, "1.0", "192.0.2.10").await;
    stage.clock.pass_seconds(3_600);
    let pushed = Instant(app.now().0 / SECOND * SECOND);
    stage.clock.pass_seconds(120);
    uploaded(stage, &project, &token, "1.1", "198.51.100.9").await;
    stage.clock.pass_seconds(600);
    stage.app = app.with_forge(Arc::new(StruckForge { pushed }));
    Struck { owner, token: token.id }
}

async fn uploaded(stage: &Stage, project: &Project, token: &Token, version: &str, address: &str) {
    let app = &stage.app;
    let now = app.now();
    let filename = format!("lanternfish-{version}-py3-none-any.whl");
    let sha256 = hex::encode([version.as_bytes()[2]; 32]);
    stage
        .tamper(&format!("INSERT INTO blobs (sha256, size, created_at) VALUES ('{sha256}', 1500, {})", now.0))
        .await;
    let metadata =
        json!({ "summary": "Finds light", "description": "<script>alert(1)</script>\n\u{202e}txt" });
    let release = Release {
        id: ReleaseId::new(),
        project_id: project.id,
        version: version.to_owned(),
        version_canonical: version.to_owned(),
        metadata: metadata.to_string(),
        state: ReleaseState::Active,
        state_cause: None,
        created_at: now,
    };
    let one = TokenUse {
        id: UseId::new(),
        token_id: token.id,
        kind: UseKind::Upload,
        outcome: String::from("accepted"),
        at: now,
        project_id: Some(project.id),
        filename: Some(filename.clone()),
        file_sha256: Some(sha256.clone()),
        address: None,
        user_agent: None,
    };
    let file = File {
        id: FileId::new(),
        project_id: project.id,
        release_id: release.id,
        filename,
        packagetype: PackageType::Wheel,
        python_version: String::from("py3"),
        requires_python: None,
        size: 1_500,
        blake2_256: sha256.clone(),
        md5: String::new(),
        sha256,
        metadata_sha256: None,
        state: FileState::Offered,
        state_cause: None,
        state_case_id: None,
        uploaded_at: now,
        token_id: token.id,
        use_id: one.id,
        publisher_url: None,
    };
    let mut tx = app.store.write().await.unwrap();
    let origin = Origin { address: address.parse().unwrap(), user_agent: String::from("twine/6.2.0") };
    let personal = keep_personal(&mut tx, now, token.account_id, &origin).await.unwrap();
    files::insert_release(&mut tx, &release).await.unwrap();
    token_uses::insert(&mut tx, &one, Some(personal.id)).await.unwrap();
    tokens::count_use(&mut tx, token.id, now).await.unwrap();
    files::insert_file(&mut tx, &file).await.unwrap();
    tx.commit().await.unwrap();
}

/// Reports the repository on the page, opens a case for it at the desk, and has the server look.
pub(crate) async fn case_of(stage: &Stage, browser: &mut Browser<'_>) -> String {
    let report = [
        ("kind", "compromised-workflow"),
        ("subject_type", "repository"),
        ("subject", REPOSITORY),
        ("text", "see <script>alert(1)</script>\nits workflow"),
    ];
    let sent = Browser::new(stage).submit("/report", "/report", &report).await;
    assert_eq!(sent.status, StatusCode::CREATED, "{}", sent.text());
    let opened = browser.submit("/desk", "/desk/cases", &[]).await;
    assert_eq!(opened.status, StatusCode::SEE_OTHER, "{}", opened.text());
    let path = opened.headers[header::LOCATION].to_str().unwrap().to_owned();
    let waiting = browser.get(&path).await;
    assert!(waiting.text().contains("under way"), "{}", waiting.text());
    let id = stage.look("SELECT id FROM examinations").await;
    examination::carry_out(&stage.app, id.parse().unwrap(), true).await.unwrap();
    path
}

#[tokio::test]
async fn a_case_is_contained_by_its_plan_and_taken_back() {
    for mut stage in stages().await {
        let struck = struck(&mut stage).await;
        person(&stage, "rosa", AccountRole::Responder).await;
        let mut browser = Browser::new(&stage);
        browser.sign_in("rosa").await;
        let path = case_of(&stage, &mut browser).await;

        let shown = browser.get(&path).await;
        assert_eq!(shown.status, StatusCode::OK, "{}", shown.text());
        let html = shown.text();
        for part in [
            "PYPI_API_TOKEN",
            "192.0.2.66",
            "Lanternfish",
            "mara",
            "certain",
            "outside every run",
            "thief&#39;s",
        ] {
            assert!(html.contains(part), "{part} is not on the page:\n{html}");
        }
        assert!(
            html.contains("&#60;b&#62;\\u{202e}sync.yml"),
            "a repository's path is not made harmless:\n{html}"
        );
        assert!(!html.contains("<script") && !html.contains("release <i>"), "{html}");
        assert!(html.matches("<ul").count() == html.matches("</ul>").count(), "the tree is no tree");
        assert!(html.matches("<li>").count() == html.matches("</li>").count(), "the tree is no tree");

        let plan = browser.submit(&path, &format!("{path}/plan"), &[]).await;
        assert_eq!(plan.status, StatusCode::OK, "{}", plan.text());
        assert!(plan.text().contains("Suspend the token"), "{}", plan.text());
        let live = stage.look("SELECT state FROM tokens").await;
        assert_eq!(live, "live", "looking at a plan did something");
        let contained = browser.fill_in(&plan, &format!("{path}/contain"), &[]).await;
        assert_eq!(contained.status, StatusCode::SEE_OTHER, "{}", contained.text());
        assert_eq!(stage.look("SELECT state FROM tokens").await, "suspended");
        let after = browser.get(&format!("{path}?done=contained")).await.text();
        assert!(after.contains("contained") && after.contains("action-"), "{after}");

        // The owner reads on their page what was done, and why.
        let mut owner = Browser::new(&stage);
        owner.sign_in("mara").await;
        let own = owner.get("/account").await.text();
        assert!(own.contains("API token suspended"), "{own}");
        assert_eq!(owner.get(&path).await.status, StatusCode::FORBIDDEN, "an owner looks into the desk");
        assert_eq!(struck.owner.name, "mara");

        let unsaid = browser.submit(&path, &format!("{path}/release"), &[("reason", " ")]).await;
        assert_eq!(unsaid.status, StatusCode::UNPROCESSABLE_ENTITY);
        let released = browser.submit(&path, &format!("{path}/release"), &[("reason", "rotated")]).await;
        assert_eq!(released.status, StatusCode::SEE_OTHER, "{}", released.text());
        assert_eq!(
            stage.look(&format!("SELECT state FROM tokens WHERE id = '{}'", struck.token)).await,
            "live"
        );
    }
}

#[tokio::test]
async fn a_stale_digest_shows_the_plan_anew_and_does_nothing() {
    for mut stage in stages().await {
        struck(&mut stage).await;
        person(&stage, "rosa", AccountRole::Responder).await;
        let mut browser = Browser::new(&stage);
        browser.sign_in("rosa").await;
        let path = case_of(&stage, &mut browser).await;
        let plan = browser.submit(&path, &format!("{path}/plan"), &[]).await;
        let stale = plan.text().replace("name=\"digest\" value=\"", "name=\"digest\" value=\"0000");
        let plan = crate::support::Answer { body: stale.into_bytes(), ..plan };
        let refused = browser.fill_in(&plan, &format!("{path}/contain"), &[]).await;
        assert_eq!(refused.status, StatusCode::CONFLICT);
        assert!(refused.text().contains("Nothing was done"), "{}", refused.text());
        assert_eq!(stage.look("SELECT state FROM tokens").await, "live");
        let again = browser.fill_in(&refused, &format!("{path}/contain"), &[]).await;
        assert_eq!(again.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test]
async fn the_oldest_unseen_report_stands_on_top_until_somebody_takes_it() {
    for stage in stages().await {
        person(&stage, "rosa", AccountRole::Responder).await;
        let mut browser = Browser::new(&stage);
        browser.sign_in("rosa").await;
        assert!(browser.get("/desk").await.text().contains("Every report has been seen"));
        let report = [
            ("kind", "malware"),
            ("subject_type", "project"),
            ("subject", "lanternfish"),
            ("text", "it steals"),
        ];
        let sent = Browser::new(&stage).submit("/report", "/report", &report).await;
        assert!(!sent.text().contains("it steals"), "the receipt repeats the report");
        let status =
            sent.text().split("href=\"/reports/").nth(1).unwrap().split('"').next().unwrap().to_owned();
        stage.clock.pass_seconds(5 * 3_600);
        let desk = browser.get("/desk").await.text();
        assert!(desk.contains("5 h 0 min ago") && desk.contains("overdue by 1 h 0 min"), "{desk}");
        let mut anybody = Browser::new(&stage);
        let shown = anybody.get(&format!("/reports/{status}")).await;
        assert!(shown.text().contains("received") && !shown.text().contains("it steals"), "{}", shown.text());
        let action = format!("/desk/reports/{status}/dismiss");
        let unsaid = browser.submit("/desk", &action, &[("reason", "")]).await;
        assert_eq!(unsaid.status, StatusCode::UNPROCESSABLE_ENTITY);
        let dismissed = browser.submit("/desk", &action, &[("reason", "a joke")]).await;
        assert_eq!(dismissed.status, StatusCode::SEE_OTHER, "{}", dismissed.text());
        assert!(anybody.get(&format!("/reports/{status}")).await.text().contains("dismissed"));
        assert_eq!(anybody.get("/reports/no-id").await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_report_that_is_too_large_or_holds_a_token_is_refused_kindly() {
    for stage in stages().await {
        let mut browser = Browser::new(&stage);
        let about = |subject_type: &'static str, subject: String, text: String| {
            [
                ("kind", String::from("malware")),
                ("subject_type", subject_type.to_owned()),
                ("subject", subject),
                ("text", text),
            ]
        };
        let long = "x".repeat(100_000);
        for (what, fields, expected) in [
            ("at the limit", about("text", String::from("t"), long.clone()), StatusCode::CREATED),
            (
                "one past it",
                about("text", String::from("t"), format!("{long}x")),
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            (
                "a secret",
                about("token", format!("pypi-{}", "A".repeat(60)), String::new()),
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
        ] {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = browser.submit("/report", "/report", &fields).await;
            assert_eq!(answer.status, expected, "{what}");
        }
        assert_eq!(stage.look("SELECT CAST(COUNT(*) AS TEXT) FROM reports").await, "1");
    }
}
