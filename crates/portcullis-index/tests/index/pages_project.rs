//! A project's page and its owner's forms: publishers, tokens, history.

use axum::http::{StatusCode, header};
use portcullis_index::store::accounts::AccountRole;

use crate::pages::{Browser, person};
use crate::pages_desk::struck;
use crate::support::{Stage, stages, stages_with};

const PROJECT: &str = "/project/lanternfish";
const FORM: &str = "/project/lanternfish/publishers";

fn publisher() -> Vec<(&'static str, &'static str)> {
    vec![
        ("owner", "example-org"),
        ("owner_id", "501"),
        ("repository", "lanternfish"),
        ("workflow", "release.yml"),
    ]
}

async fn count(stage: &Stage, of: &str) -> String {
    stage.look(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM {of}")).await
}

#[tokio::test]
async fn anybody_reads_a_project_and_nothing_on_it_is_live() {
    for mut stage in stages().await {
        struck(&mut stage).await;
        let mut browser = Browser::new(&stage);
        let shown = browser.get(PROJECT).await;
        assert_eq!(shown.status, StatusCode::OK, "{}", shown.text());
        let html = shown.text();
        for part in [
            "Finds light",
            "&#60;script&#62;alert(1)&#60;/script&#62;\n\\u{202e}txt",
            "lanternfish-1.1-py3-none-any.whl",
            &"30".repeat(32),
            "/report?subject=project:lanternfish",
            "Lanternfish <span class=\"quiet\">1.1</span>",
        ] {
            assert!(html.contains(part), "{part} is not on the page:\n{html}");
        }
        for never in ["<script", "form_token", "Security history", "192.0.2.10"] {
            assert!(!html.contains(never), "{never} is on a page for anybody");
        }
        let other_spelling = browser.get("/project/Lantern_Fish").await;
        assert_eq!(other_spelling.headers[header::LOCATION], "/project/lantern-fish");
        for missing in ["/project/lantern-fish", "/project/-", "/project/%3Cscript%3E"] {
            assert_eq!(browser.get(missing).await.status, StatusCode::NOT_FOUND, "{missing}");
        }
        assert!(browser.get("/?q=LANTERN").await.text().contains("href=\"/project/lanternfish\""));
        assert!(browser.get("/?q=%25").await.text().contains("No project has"), "a wildcard is not a letter");
    }
}

#[tokio::test]
async fn its_owner_adds_and_removes_publishers_and_nobody_else_does() {
    for mut stage in stages().await {
        struck(&mut stage).await;
        person(&stage, "eve", AccountRole::User).await;
        let (mut owner, mut eve) = (Browser::new(&stage), Browser::new(&stage));
        owner.sign_in("mara").await;
        eve.sign_in("eve").await;
        let added = owner.submit(PROJECT, FORM, &publisher()).await;
        assert_eq!(added.status, StatusCode::SEE_OTHER, "{}", added.text());
        let html = owner.get(PROJECT).await.text();
        assert!(
            html.contains("github.com/example-org/lanternfish") && html.contains(">open</span>"),
            "{html}"
        );
        assert!(html.contains("Whoever can push to any branch"), "nothing says what `open` means");

        let twice = owner.submit(PROJECT, FORM, &publisher()).await;
        assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(
            twice.text().contains("already registered") && twice.text().contains("value=\"release.yml\"")
        );
        let mut wrong = publisher();
        wrong[3].1 = "../release.sh";
        assert_eq!(owner.submit(PROJECT, FORM, &wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY);

        // Somebody else has no such form, and none that they bring along from another page counts.
        let token = eve.token().await;
        let id = stage.look("SELECT id FROM publishers").await;
        let mut fields = publisher();
        fields.extend([("form_token", token.as_str()), ("provider", "github"), ("publisher", id.as_str())]);
        for path in [FORM.to_owned(), format!("{FORM}/remove")] {
            assert_eq!(eve.post(&path, &fields).await.status, StatusCode::FORBIDDEN, "{path}");
        }
        assert_eq!(eve.get(&format!("{PROJECT}/history")).await.status, StatusCode::FORBIDDEN);

        let removed = owner.submit(PROJECT, &format!("{FORM}/remove"), &[]).await;
        assert_eq!(removed.status, StatusCode::SEE_OTHER, "{}", removed.text());
        assert_eq!(count(&stage, "publisher_projects WHERE removed_at IS NULL").await, "0");
        let history = owner.get(&format!("{PROJECT}/history")).await.text();
        assert!(history.contains("Publisher added") && history.contains("Publisher removed"), "{history}");
        assert_eq!(owner.get(&format!("{PROJECT}/history?page=2")).await.status, StatusCode::NOT_FOUND);
        assert_eq!(owner.get(&format!("{PROJECT}/history?page=x")).await.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_token_is_shown_once_and_revoked_by_its_owner_alone() {
    for mut stage in stages().await {
        struck(&mut stage).await;
        person(&stage, "eve", AccountRole::User).await;
        let (mut owner, mut eve) = (Browser::new(&stage), Browser::new(&stage));
        owner.sign_in("mara").await;
        eve.sign_in("eve").await;
        let fields = [
            ("description", "ci <b>"),
            ("project", "lanternfish"),
            ("repository", "Example-Org/lanternfish"),
            ("secret", "PYPI_API_TOKEN"),
            ("expires", "2026-03-01"),
        ];
        let made = owner.submit("/account", "/account/tokens", &fields).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        assert_eq!(made.headers[header::CACHE_CONTROL], "no-store");
        let secret =
            made.text().split("<pre id=\"token\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
        assert!(secret.starts_with("pypi-"), "{secret}");
        let own = owner.get("/account").await.text();
        assert!(!own.contains(&secret), "a token is shown twice");
        for part in [
            "ci &#60;b&#62;",
            "lives in github.com/example-org/lanternfish",
            "expires 2026-03-01",
            "API token made",
        ] {
            assert!(own.contains(part), "{part} is not on the page:\n{own}");
        }
        for (what, change) in [
            ("another's project", ("project", "somebody-elses")),
            ("a place that is none", ("secret", "NO-SECRET")),
            ("an end in the past", ("expires", "2020-01-01")),
            ("an end that is none", ("expires", "soon")),
            ("a name that is taken", ("description", "ci <b>")),
        ] {
            let mut fields = fields;
            fields[0].1 = "another";
            for field in &mut fields {
                if field.0 == change.0 {
                    field.1 = change.1;
                }
            }
            let refused = owner.submit("/account", "/account/tokens", &fields).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{what}: {}", refused.text());
            assert!(refused.text().contains("role=\"alert\""), "{what}");
        }
        let id = stage.look("SELECT id FROM tokens WHERE description = 'ci <b>'").await;
        let (owners, eves) = (owner.token().await, eve.token().await);
        let strangers = [("form_token", eves.as_str()), ("token", id.as_str())];
        assert_eq!(eve.post("/account/tokens/revoke", &strangers).await.status, StatusCode::NOT_FOUND);
        let own = [("form_token", owners.as_str()), ("token", id.as_str())];
        assert_eq!(owner.post("/account/tokens/revoke", &own).await.status, StatusCode::SEE_OTHER);
        assert_eq!(stage.look(&format!("SELECT state FROM tokens WHERE id = '{id}'")).await, "revoked");
    }
}

#[tokio::test]
async fn a_pending_publisher_waits_on_its_owners_page() {
    for stage in stages().await {
        person(&stage, "ada", AccountRole::User).await;
        let mut ada = Browser::new(&stage);
        ada.sign_in("ada").await;
        let mut fields = publisher();
        fields.push(("project", "anglerfish"));
        let added = ada.submit("/account", "/account/publishers", &fields).await;
        assert_eq!(added.status, StatusCode::SEE_OTHER, "{}", added.text());
        let own = ada.get("/account").await.text();
        assert!(own.contains("<strong>anglerfish</strong>") && own.contains("waits until"), "{own}");
        let twice = ada.submit("/account", "/account/publishers", &fields).await;
        assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY);
        let removed = ada.submit("/account", "/account/publishers/remove", &[]).await;
        assert_eq!(removed.status, StatusCode::SEE_OTHER);
        assert!(!ada.get("/account").await.text().contains("<strong>anglerfish</strong>"));
    }
}

#[tokio::test]
async fn an_owner_gives_and_takes_roles_and_one_owner_stays() {
    for mut stage in stages().await {
        let struck = struck(&mut stage).await;
        person(&stage, "olu", AccountRole::User).await;
        let members = "/project/lanternfish/members";
        let (mut mara, mut olu) = (Browser::at(&stage, "192.0.2.77"), Browser::new(&stage));
        mara.sign_in("mara").await;
        olu.sign_in("olu").await;
        let token = mara.token().await;
        let own = struck.owner.id.to_string();
        let remove = [("form_token", token.as_str()), ("member", own.as_str())];
        let last = mara.post(&format!("{members}/remove"), &remove).await;
        assert_eq!(last.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(last.text().contains("last owner"), "{}", last.text());
        let nobody = mara.submit(PROJECT, members, &[("member", "nobody"), ("role", "owner")]).await;
        assert!(nobody.text().contains("no account named nobody"), "{}", nobody.text());
        let made = mara.submit(PROJECT, members, &[("member", "OLU"), ("role", "maintainer")]).await;
        assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text());
        let twice = mara.submit(PROJECT, members, &[("member", "olu"), ("role", "owner")]).await;
        assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY);
        let told = olu.get("/account").await.text();
        assert!(told.contains("Member added"), "olu is not told of the role");
        assert!(!told.contains("192.0.2.77"), "olu learns the address of who gave the role");
        assert!(mara.get("/project/lanternfish/history").await.text().contains("192.0.2.77"));

        // A maintainer uploads; who else does, an owner decides.
        let eves = olu.token().await;
        let promote = [("form_token", eves.as_str()), ("member", "olu"), ("role", "owner")];
        assert_eq!(olu.post(members, &promote).await.status, StatusCode::FORBIDDEN);
        let taken = mara.submit(PROJECT, &format!("{members}/remove"), &[]).await;
        assert_eq!(taken.status, StatusCode::UNPROCESSABLE_ENTITY, "the first in the list is the last owner");
        let id = stage.look("SELECT id FROM accounts WHERE name = 'olu'").await;
        let remove = [("form_token", token.as_str()), ("member", id.as_str())];
        assert_eq!(mara.post(&format!("{members}/remove"), &remove).await.status, StatusCode::SEE_OTHER);
        assert_eq!(count(&stage, "roles WHERE removed_at IS NULL").await, "1");
        assert_eq!(count(&stage, "events WHERE tag = 'project:role:remove'").await, "1");
    }
}

#[tokio::test]
async fn an_owner_confirms_only_a_repository_that_an_upload_named() {
    for mut stage in stages().await {
        struck(&mut stage).await;
        let project = stage.look("SELECT id FROM projects").await;
        let named = "github.com/example-org/lanternfish";
        stage
            .tamper(&format!(
                "INSERT INTO project_repositories (project_id, repository, basis, first_seen_at) \
                 VALUES ('{project}', '{named}', 'metadata-url', 1)"
            ))
            .await;
        let mut mara = Browser::new(&stage);
        mara.sign_in("mara").await;
        let token = mara.token().await;
        let other = [("form_token", token.as_str()), ("repository", "github.com/eve/trap")];
        let refused = mara.post("/project/lanternfish/repositories", &other).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        let confirmed = mara.submit(PROJECT, "/project/lanternfish/repositories", &[]).await;
        assert_eq!(confirmed.status, StatusCode::SEE_OTHER, "{}", confirmed.text());
        assert!(mara.get(PROJECT).await.text().contains("confirmed by an owner"));
        assert_eq!(count(&stage, "project_repositories WHERE basis = 'owner-confirmed'").await, "1");
    }
}

#[tokio::test]
async fn where_reading_is_signed_in_the_pages_are_too() {
    for mut stage in stages_with("[access]\nread = \"signed-in\"\n").await {
        struck(&mut stage).await;
        let mut browser = Browser::new(&stage);
        for path in ["/", PROJECT] {
            let answer = browser.get(path).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}: {}", answer.text());
        }
        assert_eq!(browser.get("/report").await.status, StatusCode::OK, "reporting needs no account");
        browser.sign_in("mara").await;
        assert!(browser.get("/").await.text().contains("Lanternfish"));
        assert_eq!(browser.get(PROJECT).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_session_reads_the_management_api_and_changes_nothing_without_its_form_token() {
    for stage in stages().await {
        person(&stage, "rosa", AccountRole::Responder).await;
        let mut browser = Browser::new(&stage);
        assert_eq!(browser.get("/api/v1/cases").await.status, StatusCode::UNAUTHORIZED);
        browser.sign_in("rosa").await;
        assert_eq!(browser.get("/api/v1/cases").await.status, StatusCode::OK);
        let body = r#"{"repository":"github.com/example-org/lanternfish"}"#;
        let token = browser.token().await;
        let own = [("origin", "https://packages.example"), ("x-portcullis-form-token", token.as_str())];
        let foreign = [("origin", "https://evil.example"), ("x-portcullis-form-token", token.as_str())];
        for (headers, status) in [
            (&own[..1], StatusCode::UNAUTHORIZED),
            (&foreign[..], StatusCode::UNAUTHORIZED),
            (&own[..], StatusCode::CREATED),
        ] {
            let answer = browser.post_json("/api/v1/cases", body, headers).await;
            assert_eq!(answer.status, status, "{}", answer.text());
        }
        assert_eq!(count(&stage, "cases").await, "1");
    }
}

#[tokio::test]
async fn a_management_token_reaches_no_further_than_its_maker() {
    for stage in stages().await {
        person(&stage, "mara", AccountRole::User).await;
        person(&stage, "rosa", AccountRole::Responder).await;
        let (mut mara, mut rosa) = (Browser::new(&stage), Browser::new(&stage));
        mara.sign_in("mara").await;
        rosa.sign_in("rosa").await;
        let action = "/account/management-tokens";
        let form = |scope, days| [("description", "phone"), ("scope", scope), ("days", days)];
        for (what, fields) in [
            ("the desk", form("desk", "1")),
            ("everything", form("admin", "1")),
            ("no day", form("report", "0")),
            ("more days than there may be", form("report", "367")),
        ] {
            let refused = mara.submit("/account", action, &fields).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{what}");
        }
        let longest = mara.submit("/account", action, &form("report", "366")).await;
        assert_eq!(longest.status, StatusCode::CREATED);
        let made = rosa.submit("/account", action, &form("desk", "1")).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        let secret =
            made.text().split("<pre id=\"token\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
        assert!(secret.starts_with("portcullis-") && !rosa.get("/account").await.text().contains(&secret));
        let ask = async || {
            let request =
                axum::http::Request::get("/api/v1/cases").header("authorization", format!("Bearer {secret}"));
            stage.send(request.body(axum::body::Body::empty()).unwrap()).await.status
        };
        assert_eq!(ask().await, StatusCode::OK);
        let revoked = rosa.submit("/account", &format!("{action}/revoke"), &[]).await;
        assert_eq!(revoked.status, StatusCode::SEE_OTHER);
        assert_eq!(ask().await, StatusCode::UNAUTHORIZED, "a revoked token still works");
        assert!(rosa.get("/account").await.text().contains("Management token revoked"));
    }
}

#[tokio::test]
async fn a_quarantined_project_says_so_and_offers_nothing() {
    for mut stage in stages().await {
        struck(&mut stage).await;
        let mut browser = Browser::new(&stage);
        assert!(browser.get(PROJECT).await.text().contains("href=\"/packages/"));
        stage.tamper("UPDATE projects SET state = 'quarantined', state_cause = 'looked into <b>'").await;
        let html = browser.get(PROJECT).await.text();
        assert!(
            html.contains("This project is quarantined") && html.contains("looked into &#60;b&#62;"),
            "{html}"
        );
        assert!(!html.contains("href=\"/packages/"), "a file is still offered");
        let mut mara = Browser::new(&stage);
        mara.sign_in("mara").await;
        let refused = mara.submit(PROJECT, FORM, &publisher()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "its owner changes who may publish");
    }
}

#[tokio::test]
async fn an_accounts_page_reaches_back_ninety_days_and_no_further() {
    for stage in stages().await {
        person(&stage, "ada", AccountRole::User).await;
        let day = 86_400;
        stage.clock.pass_seconds(90 * day - 60);
        let mut ada = Browser::new(&stage);
        ada.sign_in("ada").await;
        assert!(ada.get("/account").await.text().contains("Account made"));
        stage.clock.pass_seconds(120);
        let later = ada.get("/account").await.text();
        assert!(later.contains("Signed in") && !later.contains("Account made"), "{later}");
    }
}
