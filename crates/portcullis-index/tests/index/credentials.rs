//! Credentials end when they must, outlive nothing that ended them, and are not made by whoever found a session.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use portcullis_index::account;
use portcullis_index::account::one_time_link;
use portcullis_index::api_token;
use portcullis_index::authority::{self, AuthorityError, Requester, Scope, issue_management_token};
use portcullis_index::clock::Instant;
use portcullis_index::desk::{DeskError, containment, plan};
use portcullis_index::history::{Actor, Origin};
use portcullis_index::ids::{CaseId, TokenId};
use portcullis_index::publisher::{self, Form, PublisherError};
use portcullis_index::store::accounts::{self, Account, AccountRole};
use portcullis_index::store::projects;
use portcullis_index::store::tokens::{self, TokenState};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::incident::{REPOSITORY, Scanned, Scene, scenes};
use crate::pages::{Browser, PASSWORD, person};
use crate::support::{Answer, Stage, stages};

async fn management_token(stage: &Stage, account: &Account, scope: Scope) -> String {
    let end = stage.app.now().plus_seconds(86_400);
    let secret = issue_management_token(&stage.app, account, &[scope], "script", end, Actor::Operator).await;
    secret.unwrap().expose_secret().to_owned()
}

async fn ask(stage: &Stage, method: Method, path: &str, token: &str, body: &Value) -> Answer {
    let request = axum::http::Request::builder().method(method).uri(path);
    let request = request.header("authorization", format!("Bearer {token}"));
    stage.send(request.body(axum::body::Body::from(body.to_string())).unwrap()).await
}

async fn tokens_of(stage: &Stage, secret: &str) -> Answer {
    ask(stage, Method::GET, "/api/v1/tokens", secret, &json!({})).await
}

#[tokio::test]
async fn a_frozen_account_has_neither_session_nor_token_until_it_is_thawed() {
    for stage in stages().await {
        let ada = person(&stage, "ada", AccountRole::User).await;
        let secret = management_token(&stage, &ada, Scope::Manage).await;
        let mut browser = Browser::new(&stage);
        browser.sign_in("ada").await;
        assert_eq!(browser.get("/account").await.status, StatusCode::OK);
        assert!(
            account::freeze(&stage.app, &ada, " ", Actor::Operator).await.is_err(),
            "frozen without a reason"
        );
        account::freeze(&stage.app, &ada, "taken over", Actor::Operator).await.unwrap();
        assert_eq!(browser.get("/account").await.status, StatusCode::SEE_OTHER);
        assert_eq!(tokens_of(&stage, &secret).await.status, StatusCode::FORBIDDEN);
        account::unfreeze(&stage.app, &ada, "hers again", Actor::Operator).await.unwrap();
        assert_eq!(tokens_of(&stage, &secret).await.status, StatusCode::OK);
        assert_eq!(browser.get("/account").await.status, StatusCode::SEE_OTHER, "a session came back");
        let told = stage.look("SELECT details FROM events WHERE tag = 'account:freeze'").await;
        assert!(told.contains("taken over"), "{told}");
    }
}

#[tokio::test]
async fn a_new_password_and_a_reset_end_management_tokens() {
    for stage in stages().await {
        let ada = person(&stage, "ada", AccountRole::User).await;
        let first = management_token(&stage, &ada, Scope::Manage).await;
        let mut browser = Browser::new(&stage);
        browser.sign_in("ada").await;
        let fields = [("present", PASSWORD), ("new", "another long password")];
        let changed = browser.submit("/account", "/account/password", &fields).await;
        assert_eq!(changed.status, StatusCode::SEE_OTHER, "{}", changed.text());
        assert_eq!(
            tokens_of(&stage, &first).await.status,
            StatusCode::UNAUTHORIZED,
            "it outlived the password"
        );
        let second = management_token(&stage, &ada, Scope::Manage).await;
        let link = one_time_link::reset_link(&stage.app, "ada", Actor::Operator).await.unwrap();
        assert_eq!(
            tokens_of(&stage, &second).await.status,
            StatusCode::UNAUTHORIZED,
            "it outlived the reset"
        );
        let third = management_token(&stage, &ada, Scope::Manage).await;
        let link = link.split("/welcome/").nth(1).unwrap();
        let origin = Origin { address: "192.0.2.1".parse().unwrap(), user_agent: String::new() };
        one_time_link::accept_reset(&stage.app, link, "a third long password".into(), origin).await.unwrap();
        assert_eq!(tokens_of(&stage, &third).await.status, StatusCode::UNAUTHORIZED, "it outlived the link");
        let ended =
            "SELECT CAST(COUNT(*) AS TEXT) FROM events WHERE tag = 'account:management_token:removed'";
        assert_eq!(stage.look(ended).await, "3");
    }
}

#[tokio::test]
async fn an_old_session_alone_makes_no_token() {
    for stage in stages().await {
        person(&stage, "rosa", AccountRole::Responder).await;
        let mut browser = Browser::new(&stage);
        let telephone = browser.sign_in("rosa").await.unwrap();
        let management = "/account/management-tokens";
        let phone = [("description", "phone"), ("scope", "desk"), ("days", "1")];
        assert_eq!(browser.submit("/account", management, &phone).await.status, StatusCode::CREATED);
        stage.clock.pass_seconds(600);
        let shown = browser.get("/account").await;
        assert!(shown.text().contains("name=\"proof_code\""), "nothing is asked for");
        let token = browser.token().await;
        let headers = [("origin", "https://packages.example"), ("x-portcullis-form-token", token.as_str())];
        let refused = browser.post_json("/api/v1/tokens", "{}", &headers).await;
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (StatusCode::FORBIDDEN, &json!("sign-in-again"))
        );
        let code = telephone.code(&stage);
        for (what, password, code) in [
            ("nothing", "", ""),
            ("a wrong password", "wrong horse battery staple", code.as_str()),
            ("no code", PASSWORD, ""),
        ] {
            let proof = [("proof_password", password), ("proof_code", code)];
            let fields = [&[("description", "ci")][..], &proof].concat();
            let refused = browser.submit("/account", "/account/tokens", &fields).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{what}: {}", refused.text());
            let refused = browser.submit("/account", management, &[&phone[..], &proof].concat()).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{what}: {}", refused.text());
        }
        assert_eq!(stage.look("SELECT CAST(COUNT(*) AS TEXT) FROM tokens").await, "0");
        stage.clock.pass_seconds(900);
        let code = telephone.code(&stage);
        let fields = [("description", "ci"), ("proof_password", PASSWORD), ("proof_code", code.as_str())];
        let made = browser.submit("/account", "/account/tokens", &fields).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        // The proof counts for what follows at once.
        assert_eq!(browser.submit("/account", management, &phone).await.status, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn tokens_are_listed_made_and_ended_over_the_api() {
    for stage in stages().await {
        let ada = person(&stage, "ada", AccountRole::User).await;
        let eve = person(&stage, "eve", AccountRole::User).await;
        let secret = management_token(&stage, &ada, Scope::Manage).await;
        let others = management_token(&stage, &eve, Scope::Manage).await;
        let reporter = management_token(&stage, &ada, Scope::Report).await;
        let path = "/api/v1/tokens";
        let body = json!({"description": "ci", "for": "github:example/demo#PYPI_API_TOKEN", "expires_at": "2026-03-01T00:00:00Z"});
        assert_eq!(ask(&stage, Method::POST, path, &reporter, &body).await.status, StatusCode::FORBIDDEN);
        let made = ask(&stage, Method::POST, path, &secret, &body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        let made = made.json();
        let upload = made["token"].as_str().unwrap();
        assert!(upload.starts_with("pypi-") && made["lives_in"] == "github.com/example/demo");
        for (body, status) in [
            (&body, 409),
            (&json!({"description": "x", "projects": ["not-hers"]}), 422),
            (&json!({"for": "nowhere"}), 422),
            (&json!({"expires_at": "soon"}), 422),
            (&json!({"surprise": 1}), 422),
        ] {
            let refused = ask(&stage, Method::POST, path, &secret, body).await;
            assert_eq!(refused.status, status, "{body}: {}", refused.text());
            assert_eq!(refused.headers["content-type"], "application/problem+json");
        }
        let listed = tokens_of(&stage, &secret).await;
        assert!(!listed.text().contains(upload) && !listed.text().contains(&secret));
        assert_eq!(listed.json()["tokens"][0]["id"], made["id"]);
        assert_eq!(listed.json()["management_tokens"].as_array().unwrap().len(), 2);
        // Somebody else ends neither; its holder ends it with the token alone.
        let one = format!("{path}/{}", made["id"].as_str().unwrap());
        assert_eq!(
            ask(&stage, Method::DELETE, &one, &others, &json!({})).await.status,
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            ask(&stage, Method::DELETE, path, upload, &json!({})).await.status,
            StatusCode::NO_CONTENT
        );
        let state = "SELECT state FROM tokens WHERE description = 'ci'";
        assert_eq!(stage.look(state).await, "revoked");
        let second = ask(&stage, Method::POST, path, &secret, &json!({})).await.json();
        let one = format!("{path}/{}", second["id"].as_str().unwrap());
        assert_eq!(
            ask(&stage, Method::DELETE, &one, &secret, &json!({})).await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            ask(&stage, Method::DELETE, &one, &secret, &json!({})).await.status,
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            ask(&stage, Method::DELETE, path, &secret, &json!({})).await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(tokens_of(&stage, &secret).await.status, StatusCode::UNAUTHORIZED);
        // A session may, shortly after it was signed in, with its form token.
        let mut browser = Browser::new(&stage);
        browser.sign_in("eve").await;
        let token = browser.token().await;
        let headers = [("origin", "https://packages.example"), ("x-portcullis-form-token", token.as_str())];
        assert_eq!(browser.post_json(path, "{}", &headers[..1]).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(browser.post_json(path, "{}", &headers).await.status, StatusCode::CREATED);
        assert_eq!(browser.get(path).await.json()["tokens"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_method_that_a_resource_lacks_is_a_problem_document() {
    for stage in stages().await {
        for path in ["/api/v1/reports", "/api/v1/tokens", "/api/v1/cases"] {
            let answer = ask(&stage, Method::PUT, path, "x", &json!({})).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(answer.headers["content-type"], "application/problem+json");
            assert_eq!(answer.json()["status"], 405);
            assert!(answer.headers["allow"].to_str().unwrap().contains("GET"));
        }
    }
}

#[tokio::test]
async fn strangers_keep_nobody_out_who_signs_in_from_where_they_did_before() {
    for stage in stages().await {
        person(&stage, "ada", AccountRole::User).await;
        let mut home = Browser::at(&stage, "198.51.100.7");
        home.sign_in("ada").await;
        let wrong = [("username", "ada"), ("password", "not her password")];
        for number in 1..=60 {
            Browser::at(&stage, &format!("203.0.113.{number}")).submit("/sign-in", "/sign-in", &wrong).await;
        }
        let right = [("username", "ada"), ("password", PASSWORD)];
        let elsewhere = Browser::at(&stage, "192.0.2.77").submit("/sign-in", "/sign-in", &right).await;
        assert_eq!(elsewhere.status, StatusCode::TOO_MANY_REQUESTS);
        let again = Browser::at(&stage, "198.51.100.7").submit("/sign-in", "/sign-in", &right).await;
        assert_eq!(again.status, StatusCode::SEE_OTHER, "{}", again.text());
    }
}

/// mara's repository holds the malicious workflow still, and the responder has opened the case.
async fn exposed(scene: &Scene, secret: &str, mara: &Account) -> CaseId {
    let begin = scene.app().now();
    let project = scene.project("Lanternfish", mara).await;
    let token = scene.token(mara, Some("github.com/example-org/lanternfish#PYPI_API_TOKEN")).await;
    let pushed = Instant(begin.0 - begin.0 % 1_000_000).plus_seconds(7_200);
    scene.upload(token, project, "1.0", "127.0.0.1", pushed.plus_seconds(-3_550)).await;
    scene.stage.clock.pass_seconds(7_400);
    scene.sees(Ok(Scanned { introduced: pushed, stands: true, ..Scanned::default() }.sight()));
    let subject = format!("repository:{REPOSITORY}");
    let report = scene.report(json!({"kind": "compromised-workflow", "subject": subject})).await;
    scene.work().await;
    let opened = scene.post("/api/v1/cases", secret, json!({"report": report})).await;
    assert_eq!(opened.status, 201, "{}", opened.text());
    scene.work().await;
    opened.json()["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_token_made_while_the_workflow_stands_is_born_suspended() {
    for scene in scenes().await {
        let (responder, secret) = scene.responder("rosa").await;
        let mara = scene.account("mara", AccountRole::User).await;
        let bob = scene.account("bob", AccountRole::User).await;
        let case = exposed(&scene, &secret, &mara).await;
        let maras = management_token(&scene.stage, &mara, Scope::Manage).await;
        let bobs = management_token(&scene.stage, &bob, Scope::Manage).await;
        let make = async |secret: &str| {
            let made = scene.post("/api/v1/tokens", secret, json!({})).await;
            assert_eq!(made.status, 201, "{}", made.text());
            made.json()
        };
        assert_eq!(make(&maras).await["state"], "live", "the case is not contained yet");
        let shown = plan::dry_run(scene.app(), &responder, case, false).await.unwrap();
        containment::apply(scene.app(), &responder, case, &shown.digest).await.unwrap();
        let fresh = make(&maras).await;
        assert_eq!(
            (&fresh["state"], &fresh["case"]),
            (&json!("suspended"), &json!(case)),
            "{}",
            scene.stage.name
        );
        assert_eq!(make(&bobs).await["state"], "live", "a bystander's token is suspended");
        containment::release(scene.app(), &responder, case, &[], "clean").await.unwrap();
        let id: TokenId = fresh["id"].as_str().unwrap().parse().unwrap();
        assert_eq!(scene.token_state(id).await, TokenState::Live);
        assert_eq!(make(&maras).await["state"], "live", "nothing is contained any more");
    }
}

#[tokio::test]
async fn a_token_in_the_making_is_waited_for_and_contained() {
    for scene in scenes().await {
        let (responder, secret) = scene.responder("rosa").await;
        let mara = scene.account("mara", AccountRole::User).await;
        let case = exposed(&scene, &secret, &mara).await;
        let shown = plan::dry_run(scene.app(), &responder, case, false).await.unwrap();
        // Somebody is about to commit a token like the stolen one; they hold the account as `api_token` does.
        let mut making = scene.tx().await;
        accounts::by_id_locked(&mut making, mara.id).await.unwrap();
        let like = tokens::of_account(&mut making, mara.id).await.unwrap().remove(0);
        let new = tokens::Token { id: TokenId::new(), created_at: scene.app().now(), ..like };
        tokens::insert(&mut making, &new, &[]).await.unwrap();
        let app = scene.app().clone();
        let decision =
            tokio::spawn(async move { containment::apply(&app, &responder, case, &shown.digest).await });
        let early = tokio::time::timeout(Duration::from_millis(300), async {
            while !decision.is_finished() {
                tokio::task::yield_now().await;
            }
        });
        assert!(early.await.is_err(), "{}: decided without the token in the making", scene.stage.name);
        making.commit().await.unwrap();
        decision.await.unwrap().unwrap();
        assert_eq!(scene.token_state(new.id).await, TokenState::Suspended, "{}", scene.stage.name);
    }
}

#[tokio::test]
async fn a_right_that_ended_since_the_request_began_decides_nothing() {
    for scene in scenes().await {
        let stage = &scene.stage;
        let (responder, secret) = scene.responder("rosa").await;
        let mara = scene.account("mara", AccountRole::User).await;
        let case = exposed(&scene, &secret, &mara).await;
        let shown = plan::dry_run(scene.app(), &responder, case, false).await.unwrap();
        let maras = management_token(stage, &mara, Scope::Manage).await;
        let requester: Requester = authority::of_management_token(&stage.app, &maras).await.unwrap();
        let holder = requester.holder().unwrap();
        let mut tx = scene.tx().await;
        let project = projects::by_name(&mut tx, "lanternfish").await.unwrap().unwrap();
        let owner = requester.owner(&mut tx, &project).await.unwrap();
        drop(tx);
        let token = api_token::list(&stage.app, &holder).await.unwrap()[0].id;
        let origin = Origin { address: "192.0.2.1".parse().unwrap(), user_agent: String::new() };
        for (end, undo) in [
            (
                "UPDATE accounts SET role = 'user' WHERE name = 'rosa'",
                "UPDATE accounts SET role = 'responder' WHERE name = 'rosa'",
            ),
            ("UPDATE accounts SET state = 'frozen'", "UPDATE accounts SET state = 'active'"),
            ("UPDATE management_tokens SET state = 'revoked'", "UPDATE management_tokens SET state = 'live'"),
        ] {
            stage.tamper(end).await;
            let refused = containment::apply(&stage.app, &responder, case, &shown.digest).await;
            assert!(matches!(refused, Err(DeskError::Authority(_))), "{end}: {refused:?}");
            let refused = containment::release(&stage.app, &responder, case, &[], "x").await;
            assert!(matches!(refused, Err(DeskError::Authority(_))), "{end}: {refused:?}");
            let refused = portcullis_index::desk::case::close(&stage.app, &responder, case, Some("x")).await;
            assert!(matches!(refused, Err(DeskError::Authority(_))), "{end}: {refused:?}");
            stage.tamper(undo).await;
        }
        let fields =
            [("owner", "octo"), ("owner_id", "1"), ("repository", "widget"), ("workflow", "release.yml")];
        let form = Form::new("github", fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
        stage.tamper("UPDATE roles SET removed_at = 1").await;
        let refused = publisher::add(&stage.app, &owner, &form, &origin).await;
        assert!(
            matches!(refused, Err(PublisherError::Authority(AuthorityError::NotAllowed { .. }))),
            "{refused:?}"
        );
        stage.tamper("UPDATE roles SET removed_at = NULL").await;
        stage.tamper("UPDATE accounts SET state = 'frozen' WHERE name = 'mara'").await;
        let refused = publisher::add_pending(&stage.app, &holder, "new-name", &form, &origin).await;
        assert!(matches!(refused, Err(PublisherError::Authority(AuthorityError::Frozen))), "{refused:?}");
        let refused = api_token::revoke(&stage.app, &holder, token, None).await;
        assert!(refused.is_err(), "a frozen account revoked a token");
        assert_eq!(scene.count("SELECT COUNT(*) FROM publishers").await, 0);
        assert_eq!(scene.token_state(token).await, TokenState::Live);
    }
}
