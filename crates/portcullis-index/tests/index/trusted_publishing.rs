//! Trusted Publishing from the job's request to the rows it leaves: refusals more than successes.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use portcullis_index::api_token::key_place;
use portcullis_index::authority::{self, Scope};
use portcullis_index::clock::{Clock, Instant};
use portcullis_index::history::Actor;
use portcullis_index::ids::{AccountId, PublisherId};
use portcullis_index::project::{self, ProjectName};
use portcullis_index::publisher::{self, Form};
use portcullis_index::store::accounts::{self, Account, AccountRole, AccountState};
use portcullis_index::store::mint_gates::{self, GateState};
use portcullis_index::store::projects::{self, Project, ProjectState};
use portcullis_index::store::publishers::{self, PublisherState};
use portcullis_index::store::tokens::{self, Token, TokenKind, TokenState};
use portcullis_trust::caveat::{Caveat, Identity, Permission, Request as Asked, Target};
use portcullis_trust::token::{PresentedToken, TokenKey};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::ci_issuer::{CiIssuer, Signed};
use crate::support::{Answer, Stage, stages_with};

/// An issuer, and a stage on each database that trusts it.
async fn with_issuer() -> (CiIssuer, Vec<Stage>) {
    let issuer = CiIssuer::start().await;
    let stages = stages_with(&issuer.settings()).await;
    (issuer, stages)
}

const FIELDS: &[(&str, &str)] = &[("owner", "octo"), ("repository", "widget"), ("workflow", "release.yml")];

fn form(issuer: &CiIssuer, further: &[(&str, &str)]) -> Form {
    let mut fields: Vec<(String, String)> = vec![("issuer".to_owned(), issuer.url.clone())];
    let kept = FIELDS.iter().filter(|(name, _)| !further.iter().any(|(other, _)| other == name));
    fields.extend(kept.chain(further).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Form::new("github", fields)
}

async fn account(stage: &Stage, name: &str) -> Account {
    let account = Account {
        id: AccountId::new(),
        name: name.to_owned(),
        role: AccountRole::User,
        state: AccountState::Active,
        password_hash: None,
        created_at: stage.clock.now(),
    };
    let mut tx = stage.app.store.write().await.unwrap();
    accounts::insert(&mut tx, &account, name).await.unwrap();
    tx.commit().await.unwrap();
    account
}

async fn project(stage: &Stage, owner: &Account, name: &str) -> Project {
    let name: ProjectName = name.parse().unwrap();
    let mut tx = stage.app.store.write().await.unwrap();
    let now = stage.clock.now();
    let project = project::create(&mut tx, now, &name, owner.id, Actor::Operator, None).await.unwrap();
    tx.commit().await.unwrap();
    project
}

/// The account `mara` with the project `Widget`, which trusts `release.yml` of `octo/widget`.
async fn published(stage: &Stage, issuer: &CiIssuer) -> (Account, Project, PublisherId) {
    let mara = account(stage, "mara").await;
    let project = project(stage, &mara, "Widget").await;
    let id = publisher::add_by_operator(&stage.app, &project, &form(issuer, &[])).await.unwrap();
    (mara, project, id)
}

fn claims(stage: &Stage, issuer: &CiIssuer, jti: &str, changes: &[(&str, Value)]) -> Value {
    let mut claims = issuer.claims(stage.clock.now().unix_seconds(), jti);
    for (name, value) in changes {
        claims[*name] = value.clone();
    }
    claims
}

async fn exchange(stage: &Stage, token: &str) -> Answer {
    stage.post_json("/_/oidc/mint-token", None, &json!({ "token": token })).await
}

/// Mints with a job's token and returns the upload token.
async fn minted(stage: &Stage, issuer: &CiIssuer, jti: &str) -> String {
    let answer = exchange(stage, &issuer.sign(&claims(stage, issuer, jti, &[]))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}: {}", stage.name, answer.text());
    answer.json()["token"].as_str().unwrap().to_owned()
}

/// Asserts a refusal of PyPI's shape with exactly this code and description.
#[track_caller]
fn refused(stage: &Stage, answer: &Answer, code: &str, description: &str) {
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}: {}", stage.name, answer.text());
    assert_eq!(
        answer.json(),
        json!({ "message": "Token request failed", "errors": [{ "code": code, "description": description }] }),
        "{}",
        stage.name
    );
}

async fn count(stage: &Stage, of: &str) -> i64 {
    stage.look(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM {of}")).await.parse().unwrap()
}

#[track_caller]
fn assert_count(stage: &Stage, found: i64, expected: i64, what: &str) {
    assert_eq!(found, expected, "{}: {what}", stage.name);
}

async fn nothing_minted(stage: &Stage) {
    for table in ["tokens", "used_jti", "token_projects"] {
        assert_count(stage, count(stage, table).await, 0, table);
    }
}

async fn stored(stage: &Stage, text: &str) -> (Token, TokenKey) {
    let id = PresentedToken::parse(text).unwrap().identifier().unwrap();
    let mut tx = stage.app.store.read().await.unwrap();
    let token = tokens::by_id(&mut tx, portcullis_index::ids::TokenId(id)).await.unwrap().unwrap();
    let key = stage.app.server_key.open(&key_place(token.id), &token.sealed_key).unwrap();
    (token, TokenKey::from_bytes(key.as_slice().try_into().unwrap()))
}

#[tokio::test]
async fn the_audience_is_this_indexs_own() {
    let (_issuer, stages) = with_issuer().await;
    for stage in stages {
        let answer = stage.get("/_/oidc/audience").await;
        assert_eq!(answer.json(), json!({ "audience": "portcullis:packages.example" }));
    }
}

#[tokio::test]
async fn the_endpoints_take_one_method() {
    let (_issuer, stages) = with_issuer().await;
    for stage in stages {
        for path in ["/_/oidc/mint-token", "/_/oidc/github/mint-token", "/_/oidc/burn-token"] {
            let answer = stage.get(path).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(answer.headers["allow"], "POST");
        }
        let answer = stage.post_json("/_/oidc/audience", None, &json!({})).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        for method in ["HEAD", "OPTIONS"] {
            let request = Request::builder().method(method).uri("/_/oidc/audience");
            let answer = stage.send(request.body(Body::empty()).unwrap()).await;
            assert!(answer.status.is_success(), "{method}");
        }
    }
}

#[tokio::test]
async fn a_job_gets_a_token_for_its_project_for_fifteen_minutes() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let (_, project, publisher_id) = published(&stage, &issuer).await;
        let answer = exchange(&stage, &issuer.sign(&claims(&stage, &issuer, "j-1", &[]))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.headers["cache-control"], "no-store");
        let body = answer.json();
        let now = stage.clock.now().unix_seconds();
        assert_eq!((&body["success"], body["expires"].as_i64()), (&json!(true), Some(now + 900)));

        let text = body["token"].as_str().unwrap();
        let (token, key) = stored(&stage, text).await;
        assert_eq!((token.kind, token.state), (TokenKind::Minted, TokenState::Live));
        assert_eq!((token.account_id, token.publisher_id), (None, Some(publisher_id)));
        assert_eq!(token.location, "packages.example");
        assert_eq!(
            token.caveats,
            [
                format!("[4,\"{publisher_id}\",null]"),
                format!("[2,[\"{}\"]]", project.id),
                format!("[0,{},{now}]", now + 900),
            ]
        );
        let kept: Value = serde_json::from_str(token.minted_from.as_deref().unwrap()).unwrap();
        assert_eq!(
            (&kept["run_id"], &kept["jti"], &kept["issuer"]),
            (&json!("77"), &json!("j-1"), &json!(issuer.url))
        );
        assert!(
            token.description.starts_with("OpenID token: github.com/octo/widget release.yml (2026-01-01T")
        );

        let projects = [project.id.0];
        let asked = |now: i64| Asked {
            now,
            identity: Identity::Publisher { id: publisher_id.0, projects: &projects },
            permission: Permission::Upload,
            target: Some(Target { id: Some(project.id.0), name: "Widget", name_normalised: "widget" }),
            version: None,
            file_sha256: None,
        };
        let presented = PresentedToken::parse(text).unwrap();
        assert!(presented.verify(&key, &token.caveats, &asked(now + 899)).is_ok());
        assert!(presented.verify(&key, &token.caveats, &asked(now + 900)).is_err());

        assert_count(&stage, count(&stage, "used_jti").await, 1, "used_jti");
        let event = stage
            .look("SELECT details FROM events WHERE tag = 'account:short_lived_api_token:added' AND token_id IS NOT NULL")
            .await;
        let event: Value = serde_json::from_str(&event).unwrap();
        assert_eq!(event["expires"], now + 900);
        assert_eq!(event["publisher_name"], "GitHub");
        assert_eq!(event["publisher_url"], "https://github.com/octo/widget");
        assert!(!event.to_string().contains(text), "an event never holds a token");
        let holds_key = token.sealed_key.windows(32).any(|window| window == key.expose());
        assert!(!holds_key, "the key lies encrypted");
    }
}

#[tokio::test]
async fn the_old_path_is_the_same_endpoint() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        published(&stage, &issuer).await;
        let token = issuer.sign(&claims(&stage, &issuer, "j-1", &[]));
        let answer = stage.post_json("/_/oidc/github/mint-token", None, &json!({ "token": token })).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn what_is_no_request_says_so() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        published(&stage, &issuer).await;
        for body in [
            "",
            "{",
            "[]",
            "null",
            "\"x\"",
            "{}",
            r#"{"token":7}"#,
            r#"{"token":null}"#,
            r#"{"token":["a"]}"#,
        ] {
            let answer =
                stage.send(Request::post("/_/oidc/mint-token").body(Body::from(body)).unwrap()).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
            assert_eq!(answer.json()["errors"][0]["code"], "invalid-payload", "{body}");
            assert!(!answer.json()["errors"][0]["description"].as_str().unwrap().is_empty());
        }
        let at_limit = |size: usize| {
            let frame = r#"{"token":""}"#.len();
            format!(r#"{{"token":"{}"}}"#, "A".repeat(size - frame))
        };
        for (size, description) in
            [(256 * 1024, "malformed JWT"), (256 * 1024 + 1, "the request body is larger than 262144 bytes")]
        {
            let request = Request::post("/_/oidc/mint-token").body(Body::from(at_limit(size))).unwrap();
            refused(&stage, &stage.send(request).await, "invalid-payload", description);
        }
        for token in ["", "x", "a.b.c", "..", "é.é.é"] {
            refused(&stage, &exchange(&stage, token).await, "invalid-payload", "malformed JWT");
        }
        nothing_minted(&stage).await;
    }
}

#[tokio::test]
async fn members_beside_the_token_are_ignored() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        published(&stage, &issuer).await;
        let token = issuer.sign(&claims(&stage, &issuer, "j-1", &[]));
        let body = json!({ "token": token, "further": 7 });
        assert_eq!(stage.post_json("/_/oidc/mint-token", None, &body).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn every_forged_or_stale_identity_is_refused_and_leaves_nothing() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        published(&stage, &issuer).await;
        let events = count(&stage, "events").await;
        let now = stage.clock.now().unix_seconds();
        let header = json!({ "alg": "RS256", "kid": "main" });
        let as_signed =
            |header: &Value, how: Signed| issuer.sign_as(header, &claims(&stage, &issuer, "j", &[]), how);
        let with = |name: &str, value: Value| issuer.sign(&claims(&stage, &issuer, "j", &[(name, value)]));
        let changed = {
            let token = as_signed(&header, Signed::Rs256);
            let other = with("ref", json!("refs/heads/evil"));
            let (parts, others): (Vec<&str>, Vec<&str>) =
                (token.split('.').collect(), other.split('.').collect());
            format!("{}.{}.{}", parts[0], others[1], parts[2])
        };
        for (name, token) in [
            ("none", as_signed(&json!({ "alg": "none", "kid": "main" }), Signed::Not)),
            ("hs256", as_signed(&json!({ "alg": "HS256", "kid": "main" }), Signed::Hs256WithThePublicKey)),
            ("rs512", as_signed(&json!({ "alg": "RS512", "kid": "main" }), Signed::Rs512)),
            ("a stranger's key", as_signed(&header, Signed::ByAStranger)),
            ("no signature", as_signed(&header, Signed::Not)),
            ("changed claims", changed),
            ("an unknown key", as_signed(&json!({ "alg": "RS256", "kid": "other" }), Signed::Rs256)),
            ("no key", as_signed(&json!({ "alg": "RS256" }), Signed::Rs256)),
            (
                "critical",
                as_signed(&json!({ "alg": "RS256", "kid": "main", "crit": ["x"], "x": 1 }), Signed::Rs256),
            ),
            ("expired", with("exp", json!(now - 30))),
            ("not yet", with("nbf", json!(now + 31))),
            ("made in the future", with("iat", json!(now + 31))),
            ("PyPI's audience", with("aud", json!("pypi"))),
            ("a list", with("aud", json!(["portcullis:packages.example"]))),
            ("no expiry", with("exp", json!(null))),
            ("a number as its id", with("jti", json!(7))),
        ] {
            let answer = exchange(&stage, &token).await;
            assert_eq!(answer.json()["errors"][0]["code"], "invalid-token", "{name}: {}", answer.text());
            refused(&stage, &answer, "invalid-token", "malformed or invalid token");
        }
        for iss in ["https://issuer.example", "https://token.actions.githubusercontent.com/"] {
            let answer = exchange(&stage, &with("iss", json!(iss))).await;
            refused(&stage, &answer, "invalid-payload", "unknown trusted publishing issuer");
        }
        nothing_minted(&stage).await;
        assert_count(&stage, count(&stage, "events").await, events, "events");
        assert_eq!(exchange(&stage, &with("exp", json!(now - 28))).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_token_is_exchanged_once() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        published(&stage, &issuer).await;
        let token = issuer.sign(&claims(&stage, &issuer, "j-1", &[]));
        assert_eq!(exchange(&stage, &token).await.status, StatusCode::OK);
        for _ in 0..2 {
            let again = exchange(&stage, &token).await;
            refused(&stage, &again, "invalid-reuse-token", "invalid token: already used");
        }
        // The id counts, not the text.
        let same_id = issuer.sign(&claims(&stage, &issuer, "j-1", &[("run_id", json!("78"))]));
        refused(
            &stage,
            &exchange(&stage, &same_id).await,
            "invalid-reuse-token",
            "invalid token: already used",
        );
        assert_count(&stage, count(&stage, "tokens").await, 1, "tokens");
        // For as long as the leeway lets it live.
        stage.clock.pass_seconds(329);
        let again = exchange(&stage, &token).await;
        refused(&stage, &again, "invalid-reuse-token", "invalid token: already used");
        stage.clock.pass_seconds(1);
        refused(&stage, &exchange(&stage, &token).await, "invalid-token", "malformed or invalid token");
    }
}

#[tokio::test]
async fn of_many_exchanges_at_once_one_wins() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        published(&stage, &issuer).await;
        let token = issuer.sign(&claims(&stage, &issuer, "j-1", &[]));
        let answers = futures_of(&stage, &vec![token; 6]).await;
        let won = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
        assert_eq!(won, 1, "{}", stage.name);
        for answer in answers.iter().filter(|answer| answer.status != StatusCode::OK) {
            refused(&stage, answer, "invalid-reuse-token", "invalid token: already used");
        }
        assert_count(&stage, count(&stage, "tokens").await, 1, "tokens");
        assert_count(&stage, count(&stage, "used_jti").await, 1, "used_jti");
    }
}

/// Exchanges tokens at the same time.
async fn futures_of(stage: &Stage, tokens: &[String]) -> Vec<Answer> {
    let mut running = Vec::new();
    for token in tokens {
        running.push(exchange(stage, token));
    }
    futures::future::join_all(running).await
}

#[tokio::test]
async fn a_refusal_says_what_differs_uses_nothing_up_and_is_an_event_of_the_project() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let (mara, project, _) = published(&stage, &issuer).await;
        let path = "octo/widget/.github/workflows/docs.yml@refs/tags/v1.0";
        let token = issuer.sign(&claims(&stage, &issuer, "j-1", &[("job_workflow_ref", json!(path))]));
        refused(
            &stage,
            &exchange(&stage, &token).await,
            "invalid-publisher",
            "valid token, but no corresponding publisher (Publisher with matching claims was not found); workflow: \
             expected release.yml, got docs.yml",
        );
        nothing_minted(&stage).await;
        let event = stage.look("SELECT details FROM events WHERE tag = 'project:oidc:mint-refused'").await;
        let event: Value = serde_json::from_str(&event).unwrap();
        assert_eq!(event["claims"]["actor"], "alice");
        assert!(event["reason"].as_str().unwrap().contains("got docs.yml"));

        publisher::add_by_operator(&stage.app, &project, &form(&issuer, &[("workflow", "docs.yml")]))
            .await
            .unwrap();
        assert_eq!(exchange(&stage, &token).await.status, StatusCode::OK);
        drop(mara);
    }
}

#[tokio::test]
async fn the_references_texts_come_through_unchanged() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        published(&stage, &issuer).await;
        for (changes, detail, further) in [
            (vec![("ref", json!(null))], "Missing claim 'ref'", ""),
            (
                vec![("event_name", json!("pull_request_target"))],
                "Publishing from a workflow invoked via 'pull_request_target' is not supported.",
                "; events: expected push or release or workflow_dispatch or schedule, got pull_request_target",
            ),
            (
                vec![("job_workflow_ref", json!("x"))],
                "Could not job extract workflow filename from OIDC claims",
                "",
            ),
            (vec![("repository", json!("octo/gadget"))], "Publisher with matching claims was not found", ""),
        ] {
            let answer = exchange(&stage, &issuer.sign(&claims(&stage, &issuer, "j", &changes))).await;
            let description = format!("valid token, but no corresponding publisher ({detail}){further}");
            refused(&stage, &answer, "invalid-publisher", &description);
        }
        nothing_minted(&stage).await;
    }
}

#[tokio::test]
async fn strangers_learn_nothing_and_leave_nothing() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        published(&stage, &issuer).await;
        let events = count(&stage, "events").await;
        let strangers = [
            ("repository", json!("stranger/widget")),
            ("repository_owner", json!("stranger")),
            ("repository_owner_id", json!("9")),
        ];
        let answer = exchange(&stage, &issuer.sign(&claims(&stage, &issuer, "j", &strangers))).await;
        refused(
            &stage,
            &answer,
            "invalid-publisher",
            "valid token, but no corresponding publisher (Publisher with matching claims was not found)",
        );
        assert_count(&stage, count(&stage, "events").await, events, "events");
    }
}

#[tokio::test]
async fn ids_are_pinned_at_the_first_mint() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let (_, _, id) = published(&stage, &issuer).await;
        minted(&stage, &issuer, "j-1").await;
        let mut tx = stage.app.store.read().await.unwrap();
        let row = publishers::by_id(&mut tx, id).await.unwrap().unwrap();
        drop(tx);
        let configuration: Value = serde_json::from_str(&row.configuration).unwrap();
        assert_eq!(
            (&configuration["owner_id"], &configuration["repository_id"]),
            (&json!("1001"), &json!("2002"))
        );
        assert!(row.last_used_at.is_some());
        let taken_over = [("repository_owner_id", json!("9"))];
        let answer = exchange(&stage, &issuer.sign(&claims(&stage, &issuer, "j-2", &taken_over))).await;
        assert!(answer.text().contains("; owner_id: expected 1001, got 9"), "{}", answer.text());
        let created_again = [("repository_id", json!("9"))];
        let answer = exchange(&stage, &issuer.sign(&claims(&stage, &issuer, "j-3", &created_again))).await;
        assert!(answer.text().contains("; repository_id: expected 2002, got 9"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_publisher_of_several_projects_mints_for_all_of_them() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let (mara, first, id) = published(&stage, &issuer).await;
        let second = project(&stage, &mara, "Gadget").await;
        assert_eq!(publisher::add_by_operator(&stage.app, &second, &form(&issuer, &[])).await.unwrap(), id);
        let (token, _) = stored(&stage, &minted(&stage, &issuer, "j-1").await).await;
        let mut both = [first.id.to_string(), second.id.to_string()];
        both.sort();
        assert_eq!(token.caveats[1], format!("[2,{}]", json!(both)));
        let events = "events WHERE tag = 'account:short_lived_api_token:added'";
        assert_count(&stage, count(&stage, events).await, 2, "one event a project");

        // One of them is quarantined: the token is for the other.
        let mut tx = stage.app.store.write().await.unwrap();
        projects::set_state(&mut tx, second.id, ProjectState::Quarantined, Some("malware")).await.unwrap();
        tx.commit().await.unwrap();
        let (token, _) = stored(&stage, &minted(&stage, &issuer, "j-2").await).await;
        assert_eq!(token.caveats[1], format!("[2,[\"{}\"]]", first.id));
    }
}

#[tokio::test]
async fn closed_projects_get_no_token_and_the_job_reads_why() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let (_, project, _) = published(&stage, &issuer).await;
        for (state, word) in
            [(ProjectState::Quarantined, "quarantined"), (ProjectState::Archived, "archived")]
        {
            let mut tx = stage.app.store.write().await.unwrap();
            projects::set_state(&mut tx, project.id, state, Some("an incident")).await.unwrap();
            tx.commit().await.unwrap();
            let answer = exchange(&stage, &issuer.sign(&claims(&stage, &issuer, "j-1", &[]))).await;
            refused(
                &stage,
                &answer,
                "invalid-publisher",
                &format!(
                    "valid token, but project 'Widget' is {word}: an incident. Ask the operator of this index."
                ),
            );
            nothing_minted(&stage).await;
        }
    }
}

#[tokio::test]
async fn a_paused_publisher_mints_nothing_until_it_is_released() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let (_, _, id) = published(&stage, &issuer).await;
        pause(&stage, id, PublisherState::Paused, Some("case 7")).await;
        let token = issuer.sign(&claims(&stage, &issuer, "j-1", &[]));
        let answer = exchange(&stage, &token).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        let error = answer.json()["errors"][0].clone();
        assert_eq!(error["code"], "publisher-paused");
        let description = error["description"].as_str().unwrap();
        assert!(
            description.starts_with("valid token, but its publisher is paused since 2026-01-01 "),
            "{description}"
        );
        assert!(description.ends_with(": case 7. Ask the operator of this index."), "{description}");
        nothing_minted(&stage).await;
        pause(&stage, id, PublisherState::Active, None).await;
        assert_eq!(exchange(&stage, &token).await.status, StatusCode::OK, "a refused exchange uses no id up");
    }
}

async fn pause(stage: &Stage, id: PublisherId, state: PublisherState, cause: Option<&str>) {
    let mut tx = stage.app.store.write().await.unwrap();
    publishers::set_state(&mut tx, id, state, cause, stage.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_closed_gate_stops_every_publisher_of_its_repository() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        published(&stage, &issuer).await;
        let gate = async |repository: &str, state: GateState| {
            let mut tx = stage.app.store.write().await.unwrap();
            mint_gates::set(&mut tx, repository, state, Some("case 7"), None, stage.clock.now())
                .await
                .unwrap();
            tx.commit().await.unwrap();
        };
        gate("github.com/octo/other", GateState::Closed).await;
        minted(&stage, &issuer, "j-1").await;
        gate("github.com/octo/widget", GateState::Closed).await;
        let answer = exchange(&stage, &issuer.sign(&claims(&stage, &issuer, "j-2", &[]))).await;
        assert_eq!(answer.json()["errors"][0]["code"], "publisher-paused");
        gate("github.com/octo/widget", GateState::Open).await;
        minted(&stage, &issuer, "j-2").await;
    }
}

#[tokio::test]
async fn a_mint_in_flight_when_the_publisher_is_paused_is_refused() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let (_, _, id) = published(&stage, &issuer).await;
        let token = issuer.sign(&claims(&stage, &issuer, "j-1", &[]));
        // The keys are there, so that the exchange meets nothing but the lock.
        minted(&stage, &issuer, "j-0").await;
        let mut tx = stage.app.store.write().await.unwrap();
        publishers::set_state(&mut tx, id, PublisherState::Paused, Some("case 7"), stage.clock.now())
            .await
            .unwrap();
        let decide = async {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            tx.commit().await.unwrap();
        };
        let (answer, ()) = futures::future::join(exchange(&stage, &token), decide).await;
        assert_eq!(answer.json()["errors"][0]["code"], "publisher-paused", "{}", stage.name);
        assert_count(&stage, count(&stage, "used_jti").await, 1, "only the first exchange's");
    }
}

#[tokio::test]
async fn a_pending_publisher_creates_its_project_with_the_first_job() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let mara = account(&stage, "mara").await;
        publisher::add_pending_by_operator(&stage.app, &mara, "New.Widget", &form(&issuer, &[]))
            .await
            .unwrap();
        let (token, _) = stored(&stage, &minted(&stage, &issuer, "j-1").await).await;
        let mut tx = stage.app.store.read().await.unwrap();
        let project = projects::by_name(&mut tx, "new-widget").await.unwrap().unwrap();
        assert_eq!(project.name, "New.Widget");
        assert_eq!(projects::members(&mut tx, project.id).await.unwrap()[0].0, mara.id);
        let found = publisher::of_project(&mut tx, project.id).await.unwrap();
        assert_eq!(token.publisher_id, Some(found[0].id));
        drop(tx);
        assert_eq!(stage.look("SELECT state FROM pending_publishers").await, "reified");
        let added = stage.look("SELECT details FROM events WHERE tag = 'project:oidc:publisher-added'").await;
        let added: Value = serde_json::from_str(&added).unwrap();
        assert_eq!(added["reified_from_pending_publisher"], true);
        assert_eq!(added["submitted_by"], "OpenID created token");
        assert_count(&stage, count(&stage, "events WHERE tag = 'project:create'").await, 1, "created");

        let (second, _) = stored(&stage, &minted(&stage, &issuer, "j-2").await).await;
        assert_eq!(second.publisher_id, token.publisher_id);
        assert_count(&stage, count(&stage, "projects").await, 1, "projects");
    }
}

#[tokio::test]
async fn two_first_jobs_at_once_create_one_project() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let mara = account(&stage, "mara").await;
        publisher::add_pending_by_operator(&stage.app, &mara, "Widget", &form(&issuer, &[])).await.unwrap();
        let tokens: Vec<String> =
            (0..4).map(|n| issuer.sign(&claims(&stage, &issuer, &format!("j-{n}"), &[]))).collect();
        for answer in futures_of(&stage, &tokens).await {
            assert_eq!(answer.status, StatusCode::OK, "{}: {}", stage.name, answer.text());
        }
        for (table, expected) in [("projects", 1), ("publishers", 1), ("tokens", 4)] {
            assert_count(&stage, count(&stage, table).await, expected, table);
        }
    }
}

#[tokio::test]
async fn a_refused_first_job_creates_nothing() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let mara = account(&stage, "mara").await;
        publisher::add_pending_by_operator(&stage.app, &mara, "Widget", &form(&issuer, &[])).await.unwrap();
        let mut tx = stage.app.store.write().await.unwrap();
        let now = stage.clock.now();
        mint_gates::set(&mut tx, "github.com/octo/widget", GateState::Closed, None, None, now).await.unwrap();
        tx.commit().await.unwrap();
        let answer = exchange(&stage, &issuer.sign(&claims(&stage, &issuer, "j-1", &[]))).await;
        assert_eq!(answer.json()["errors"][0]["code"], "publisher-paused");
        nothing_minted(&stage).await;
        for table in ["projects", "publishers", "roles"] {
            assert_count(&stage, count(&stage, table).await, 0, table);
        }
        assert_eq!(stage.look("SELECT state FROM pending_publishers").await, "waiting");
    }
}

#[tokio::test]
async fn a_pending_publisher_loses_a_name_that_is_taken() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let mara = account(&stage, "mara").await;
        let other = account(&stage, "other").await;
        publisher::add_pending_by_operator(&stage.app, &mara, "Widget", &form(&issuer, &[])).await.unwrap();
        // Her own upload creates it: the pending one stays until its job comes.
        project(&stage, &mara, "widget").await;
        let answer = exchange(&stage, &issuer.sign(&claims(&stage, &issuer, "j-1", &[]))).await;
        refused(&stage, &answer, "invalid-pending-publisher", "valid token, but project already exists");
        assert_eq!(stage.look("SELECT state FROM pending_publishers").await, "lost");
        nothing_minted(&stage).await;

        // Somebody else creates one that looks the same: it is lost at once.
        publisher::add_pending_by_operator(&stage.app, &mara, "Ga-dget", &form(&issuer, &[])).await.unwrap();
        project(&stage, &other, "GADGET").await;
        assert_count(&stage, count(&stage, "pending_publishers WHERE state = 'lost'").await, 2, "lost");
        let removed = "events WHERE tag = 'account:oidc:pending-publisher-removed'";
        assert_count(&stage, count(&stage, removed).await, 2, "told");
    }
}

#[tokio::test]
async fn a_pending_publisher_of_a_frozen_account_or_an_old_one_creates_nothing() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let mara = account(&stage, "mara").await;
        publisher::add_pending_by_operator(&stage.app, &mara, "Widget", &form(&issuer, &[])).await.unwrap();
        let state = async |state: AccountState| {
            let mut tx = stage.app.store.write().await.unwrap();
            accounts::set_state(&mut tx, mara.id, state, None).await.unwrap();
            tx.commit().await.unwrap();
        };
        state(AccountState::Frozen).await;
        let answer = exchange(&stage, &issuer.sign(&claims(&stage, &issuer, "j-1", &[]))).await;
        assert_eq!(answer.json()["errors"][0]["code"], "invalid-publisher");
        state(AccountState::Active).await;
        stage.clock.pass_seconds(30 * 86_400);
        let answer = exchange(&stage, &issuer.sign(&claims(&stage, &issuer, "j-2", &[]))).await;
        assert_eq!(answer.json()["errors"][0]["code"], "invalid-publisher");
        assert_count(&stage, count(&stage, "projects").await, 0, "projects");
        // It holds the identity no longer.
        publisher::add_pending_by_operator(&stage.app, &mara, "Widget", &form(&issuer, &[])).await.unwrap();
        minted(&stage, &issuer, "j-3").await;
    }
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_is_an_invalid_token_and_no_failure_of_ours() {
    let (issuer, stages) = with_issuer().await;
    let mut tokens = Vec::new();
    for stage in &stages {
        published(stage, &issuer).await;
        tokens.push(issuer.sign(&claims(stage, &issuer, "j-1", &[])));
    }
    drop(issuer);
    for (stage, token) in stages.iter().zip(&tokens) {
        refused(stage, &exchange(stage, token).await, "invalid-token", "malformed or invalid token");
    }
}

#[tokio::test]
async fn everybody_in_a_project_is_told_who_may_publish_it() {
    let issuer = CiIssuer::start().await;
    let mail = "[mail]\nsmtp = \"smtp://127.0.0.1:2525\"\nfrom = \"security@packages.example\"\n";
    for stage in stages_with(&format!("{}{mail}", issuer.settings())).await {
        let (mara, widget, _) = published(&stage, &issuer).await;
        assert_count(&stage, count(&stage, "notices WHERE state = 'no-channel'").await, 1, "no address yet");
        let mut tx = stage.app.store.write().await.unwrap();
        let now = stage.clock.now();
        accounts::insert_email(&mut tx, mara.id, "mara@example.org", true, Some(now), now).await.unwrap();
        tx.commit().await.unwrap();
        let further = form(&issuer, &[("workflow", "docs.yml")]);
        publisher::add_by_operator(&stage.app, &widget, &further).await.unwrap();
        let body = stage.look("SELECT body FROM notices WHERE recipient = 'mara@example.org'").await;
        for part in
            ["Hello mara", "project:    Widget", "github.com/octo/widget docs.yml", "by:         operator"]
        {
            assert!(body.contains(part), "{part}: {body}");
        }
        for jti in ["e-1", "e-2"] {
            let in_environment = claims(&stage, &issuer, jti, &[("environment", json!("Release"))]);
            assert_eq!(exchange(&stage, &issuer.sign(&in_environment)).await.status, StatusCode::OK);
        }
        let suggested = "notices WHERE kind = 'environment-ignored-in-trusted-publisher'";
        assert_count(&stage, count(&stage, suggested).await, 1, "suggested once");
        let body = stage.look("SELECT body FROM notices WHERE kind LIKE 'environment-ignored%'").await;
        assert!(body.contains("from the deployment environment Release."), "{body}");
        publisher::add_pending_by_operator(
            &stage.app,
            &mara,
            "Gadget",
            &form(&issuer, &[("workflow", "g.yml")]),
        )
        .await
        .unwrap();
        let path = "octo/widget/.github/workflows/g.yml@refs/tags/v1.0";
        let token = issuer.sign(&claims(&stage, &issuer, "j-1", &[("job_workflow_ref", json!(path))]));
        assert_eq!(exchange(&stage, &token).await.status, StatusCode::OK);
        let reified = "notices WHERE kind = 'pending-trusted-publisher-reified' AND state = 'waiting'";
        assert_count(&stage, count(&stage, reified).await, 1, "told of the project");
    }
}

async fn burn(stage: &Stage, token: &str) -> Answer {
    stage.post_json("/_/oidc/burn-token", None, &json!({ "token": token })).await
}

#[tokio::test]
async fn a_token_that_is_given_back_is_dead() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        published(&stage, &issuer).await;
        let text = minted(&stage, &issuer, "j-1").await;
        for _ in 0..2 {
            assert_eq!(burn(&stage, &text).await.status, StatusCode::ACCEPTED, "{}", stage.name);
        }
        assert_eq!(stored(&stage, &text).await.0.state, TokenState::Revoked);
        let burned = "events WHERE tag = 'account:short_lived_api_token:burned'";
        assert_count(&stage, count(&stage, burned).await, 1, "burned once");

        // A narrowed copy that has expired is still this token.
        let text = minted(&stage, &issuer, "j-2").await;
        stage.clock.pass_seconds(1_000);
        let narrowed = PresentedToken::parse(&text).unwrap().attenuated(&Caveat::ProjectNames(vec![]));
        assert_eq!(burn(&stage, narrowed.expose_secret()).await.status, StatusCode::ACCEPTED);
        assert_eq!(stored(&stage, &text).await.0.state, TokenState::Revoked);
    }
}

#[tokio::test]
async fn only_the_whole_chain_burns() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        published(&stage, &issuer).await;
        let text = minted(&stage, &issuer, "j-1").await;
        let (token, _) = stored(&stage, &text).await;
        let wrong_key = TokenKey::from_bytes([7; 32]);
        let cut = portcullis_trust::token::mint(&wrong_key, "packages.example", token.id.0, &[]);
        let unknown =
            portcullis_trust::token::mint(&wrong_key, "packages.example", uuid::Uuid::from_u128(7), &[]);
        let mut answers = Vec::new();
        for text in [cut, unknown] {
            let answer = burn(&stage, text.expose_secret()).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
            answers.push(answer.json());
        }
        assert_eq!(answers[0], answers[1], "nobody learns which identifiers exist");
        assert_eq!(answers[0]["errors"][0]["code"], "invalid-token");
        for text in ["", "pypi-", "x"] {
            assert_eq!(burn(&stage, text).await.json()["errors"][0]["code"], "invalid-payload", "{text}");
        }
        let body = stage.send(Request::post("/_/oidc/burn-token").body(Body::from("{}")).unwrap()).await;
        assert_eq!(body.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(stored(&stage, &text).await.0.state, TokenState::Live);
    }
}

/// A management token with the scope `manage`.
async fn manager(stage: &Stage, account: &Account) -> String {
    let until = Instant(stage.clock.now().0).plus_seconds(86_400);
    let token = authority::issue_management_token(
        &stage.app,
        account,
        &[Scope::Manage],
        "test",
        until,
        Actor::Operator,
    );
    token.await.unwrap().expose_secret().to_owned()
}

async fn delete(stage: &Stage, path: &str, token: &str) -> Answer {
    let request = Request::delete(path).header("authorization", format!("Bearer {token}"));
    stage.send(request.body(Body::empty()).unwrap()).await
}

async fn listed(stage: &Stage, path: &str, token: &str) -> Answer {
    let request = Request::get(path).header("authorization", format!("Bearer {token}"));
    stage.send(request.body(Body::empty()).unwrap()).await
}

fn registration(issuer: &CiIssuer) -> Value {
    json!({
        "project": "Widget", "provider": "github", "issuer": issuer.url, "owner": "octo", "owner_id": 1001,
        "repository": "widget", "workflow": "release.yml", "refs": ["refs/tags/v*"],
    })
}

#[tokio::test]
async fn an_owner_registers_lists_and_removes_publishers() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let mara = account(&stage, "mara").await;
        project(&stage, &mara, "Widget").await;
        let token = manager(&stage, &mara).await;
        let added = stage.post_json("/api/v1/publishers", Some(&token), &registration(&issuer)).await;
        assert_eq!(added.status, StatusCode::CREATED, "{}: {}", stage.name, added.text());
        let id = added.json()["id"].as_str().unwrap().to_owned();

        let found = listed(&stage, "/api/v1/publishers?project=widget", &token).await.json();
        let [one] = found["publishers"].as_array().unwrap().as_slice() else { panic!("{found}") };
        assert_eq!((&one["id"], &one["state"], &one["open"]), (&json!(id), &json!("active"), &json!(false)));
        assert_eq!(one["configuration"]["refs"], "refs/tags/v*");
        let twice = stage.post_json("/api/v1/publishers", Some(&token), &registration(&issuer)).await;
        assert_eq!(twice.status, StatusCode::CONFLICT);

        let upload_token = minted(&stage, &issuer, "j-1").await;
        let path = format!("/api/v1/publishers/{id}?project=Widget");
        assert_eq!(delete(&stage, &path, &token).await.status, StatusCode::NO_CONTENT);
        assert_eq!(
            stored(&stage, &upload_token).await.0.state,
            TokenState::Revoked,
            "its tokens end with it"
        );
        assert_eq!(delete(&stage, &path, &token).await.status, StatusCode::NOT_FOUND);
        let answer = exchange(&stage, &issuer.sign(&claims(&stage, &issuer, "j-2", &[]))).await;
        assert_eq!(answer.json()["errors"][0]["code"], "invalid-publisher");
        for tag in ["project:oidc:publisher-added", "project:oidc:publisher-removed"] {
            assert_count(&stage, count(&stage, &format!("events WHERE tag = '{tag}'")).await, 1, tag);
        }

        // Registered anew it is active again, with what is asked for now.
        let again = stage.post_json("/api/v1/publishers", Some(&token), &registration(&issuer)).await;
        assert_eq!(again.json()["id"], json!(id));
        minted(&stage, &issuer, "j-3").await;
    }
}

#[tokio::test]
async fn removing_and_registering_takes_no_pause_back() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let mara = account(&stage, "mara").await;
        project(&stage, &mara, "Widget").await;
        let token = manager(&stage, &mara).await;
        let added = stage.post_json("/api/v1/publishers", Some(&token), &registration(&issuer)).await.json();
        let id = added["id"].as_str().unwrap().to_owned();
        pause(&stage, id.parse().unwrap(), PublisherState::Paused, Some("case 7")).await;
        delete(&stage, &format!("/api/v1/publishers/{id}?project=Widget"), &token).await;
        stage.post_json("/api/v1/publishers", Some(&token), &registration(&issuer)).await;
        let answer = exchange(&stage, &issuer.sign(&claims(&stage, &issuer, "j-1", &[]))).await;
        assert_eq!(answer.json()["errors"][0]["code"], "publisher-paused");
    }
}

#[tokio::test]
async fn only_owners_manage_publishers() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let (_, _, id) = published(&stage, &issuer).await;
        let other = account(&stage, "other").await;
        let token = manager(&stage, &other).await;
        let post = async |token: Option<&str>| {
            stage.post_json("/api/v1/publishers", token, &registration(&issuer)).await
        };
        assert_eq!(post(None).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(post(Some(&token)).await.status, StatusCode::FORBIDDEN);
        let upload_token = minted(&stage, &issuer, "j-1").await;
        assert_eq!(post(Some(&upload_token)).await.status, StatusCode::FORBIDDEN);
        let path = format!("/api/v1/publishers/{id}?project=Widget");
        assert_eq!(delete(&stage, &path, &token).await.status, StatusCode::FORBIDDEN);
        let path = "/api/v1/publishers?project=Widget";
        assert_eq!(listed(&stage, path, &token).await.status, StatusCode::FORBIDDEN);
        let path = "/api/v1/publishers?project=Nothing";
        assert_eq!(listed(&stage, path, &token).await.status, StatusCode::NOT_FOUND);
        for (answer, status) in [
            (listed(&stage, "/api/v1/publishers", &token).await, StatusCode::BAD_REQUEST),
            (delete(&stage, "/api/v1/publishers/x?project=Widget", &token).await, StatusCode::NOT_FOUND),
            (
                stage.post_json("/api/v1/publishers", Some(&token), &json!([])).await,
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
        ] {
            assert_eq!(answer.status, status, "{}", answer.text());
            assert_eq!(answer.headers["content-type"], "application/problem+json");
        }
        assert_count(&stage, count(&stage, "publishers").await, 1, "publishers");
    }
}

#[tokio::test]
async fn a_form_that_is_wrong_says_where() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let mara = account(&stage, "mara").await;
        let widget = project(&stage, &mara, "Widget").await;
        let token = manager(&stage, &mara).await;
        let post = async |name: &str, value: Value| {
            let mut body = registration(&issuer);
            body[name] = value;
            stage.post_json("/api/v1/publishers", Some(&token), &body).await
        };
        for (name, value, field, message) in [
            ("owner", json!("-"), "owner", "Invalid GitHub user or organization name."),
            ("workflow", json!("release"), "workflow", "Workflow name must end with .yml or .yaml"),
            (
                "events",
                json!(["workflow_run"]),
                "events",
                "Publishing from a workflow invoked via 'workflow_run'",
            ),
            ("issuer", json!("https://issuer.example"), "issuer", "Not an issuer of this index"),
            ("colour", json!("red"), "colour", "Unknown field"),
        ] {
            let answer = post(name, value).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
            assert_eq!(answer.headers["content-type"], "application/problem+json");
            let error = answer.json()["errors"][0].clone();
            assert_eq!(error["field"], field);
            assert!(error["message"].as_str().unwrap().starts_with(message), "{error}");
        }
        for (name, value) in [
            ("provider", json!("gitbub")),
            ("provider", json!(7)),
            ("project", json!(null)),
            ("pending", json!("yes")),
            ("owner", json!({})),
        ] {
            assert_eq!(post(name, value).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        }
        assert_count(&stage, count(&stage, "publishers").await, 0, "publishers");

        let mut tx = stage.app.store.write().await.unwrap();
        projects::set_state(&mut tx, widget.id, ProjectState::Quarantined, None).await.unwrap();
        tx.commit().await.unwrap();
        let answer = stage.post_json("/api/v1/publishers", Some(&token), &registration(&issuer)).await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
    }
}

#[tokio::test]
async fn pending_publishers_are_registered_listed_and_taken_back() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let mara = account(&stage, "mara").await;
        let other = account(&stage, "other").await;
        project(&stage, &other, "Toasting").await;
        let (token, others) = (manager(&stage, &mara).await, manager(&stage, &other).await);
        let post = async |project: &str, workflow: &str| {
            let mut body = registration(&issuer);
            (body["project"], body["workflow"], body["pending"]) =
                (json!(project), json!(workflow), json!(true));
            stage.post_json("/api/v1/publishers", Some(&token), &body).await
        };
        for (project, status) in [
            ("toasting", StatusCode::CONFLICT),
            ("t0ast-1ng", StatusCode::UNPROCESSABLE_ENTITY),
            ("json", StatusCode::UNPROCESSABLE_ENTITY),
            ("requirements.txt", StatusCode::UNPROCESSABLE_ENTITY),
            ("-x", StatusCode::UNPROCESSABLE_ENTITY),
        ] {
            let answer = post(project, "a.yml").await;
            assert_eq!(answer.status, status, "{project}: {}", answer.text());
        }
        for (index, status) in
            [StatusCode::CREATED, StatusCode::CREATED, StatusCode::CREATED, StatusCode::CONFLICT]
                .into_iter()
                .enumerate()
        {
            let answer = post(&format!("pending-{index}"), &format!("{index}.yml")).await;
            assert_eq!(answer.status, status, "{index}: {}", answer.text());
        }
        let found = listed(&stage, "/api/v1/publishers/pending", &token).await.json();
        assert_eq!(found["publishers"].as_array().unwrap().len(), 3);
        assert_eq!(
            found["publishers"][0]["expires_at"].as_str().unwrap().split('T').next(),
            Some("2026-01-31")
        );
        let id = found["publishers"][0]["id"].as_str().unwrap();
        let path = format!("/api/v1/publishers/pending/{id}");
        assert_eq!(delete(&stage, &path, &others).await.status, StatusCode::NOT_FOUND);
        assert_eq!(delete(&stage, &path, &token).await.status, StatusCode::NO_CONTENT);
        assert_eq!(delete(&stage, &path, &token).await.status, StatusCode::NOT_FOUND);
        // Two can't wait with one identity, whatever the project.
        assert_eq!(post("another", "1.yml").await.status, StatusCode::CONFLICT);
    }
}

/// The form of an upload of an empty source distribution.
fn upload_form(name: &str, version: &str) -> (String, Vec<u8>) {
    use sha2::{Digest, Sha256};

    let folder = format!("{}-{version}", name.to_lowercase());
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    let packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(packed);
    for (file, content) in [("PKG-INFO", metadata.as_str()), ("pyproject.toml", "[project]\n")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("{folder}/{file}"), content.as_bytes()).unwrap();
    }
    let content = archive.into_inner().unwrap().finish().unwrap();
    let digest = hex::encode(Sha256::digest(&content));
    let boundary = "frontier";
    let mut form = Vec::new();
    for (field, value) in [
        (":action", "file_upload"),
        ("protocol_version", "1"),
        ("metadata_version", "2.1"),
        ("name", name),
        ("version", version),
        ("filetype", "sdist"),
        ("pyversion", "source"),
        ("sha256_digest", &digest),
    ] {
        form.extend(
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n")
                .bytes(),
        );
    }
    form.extend(
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{folder}.tar.gz\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        )
        .bytes(),
    );
    form.extend(content);
    form.extend(format!("\r\n--{boundary}--\r\n").bytes());
    (format!("multipart/form-data; boundary={boundary}"), form)
}

async fn upload(stage: &Stage, token: &str, name: &str, version: &str) -> Answer {
    use base64::Engine;

    let (content_type, form) = upload_form(name, version);
    let credentials = base64::engine::general_purpose::STANDARD.encode(format!("__token__:{token}"));
    let request = Request::post("/legacy/")
        .header("content-type", content_type)
        .header("content-length", form.len())
        .header("authorization", format!("Basic {credentials}"));
    stage.send(request.body(Body::from(form)).unwrap()).await
}

#[tokio::test]
async fn a_minted_token_uploads_to_its_project_until_it_ends() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        let (mara, _, id) = published(&stage, &issuer).await;
        project(&stage, &mara, "Other").await;
        let token = minted(&stage, &issuer, "j-1").await;
        let done = upload(&stage, &token, "Widget", "1.0").await;
        assert_eq!(done.status, StatusCode::OK, "{}: {}", stage.name, done.text());

        let other = upload(&stage, &token, "Other", "1.0").await;
        assert_eq!(other.status, StatusCode::FORBIDDEN);
        assert!(
            other.text().contains("OIDC scoped token is not valid for project 'Other'"),
            "{}",
            other.text()
        );

        pause(&stage, id, PublisherState::Paused, Some("case 7")).await;
        let paused = upload(&stage, &token, "Widget", "1.1").await;
        assert_eq!(paused.status, StatusCode::FORBIDDEN, "a paused publisher's live tokens are dead");
        pause(&stage, id, PublisherState::Active, None).await;

        stage.clock.pass_seconds(900);
        let expired = upload(&stage, &token, "Widget", "1.1").await;
        assert_eq!(expired.status, StatusCode::FORBIDDEN);
        assert!(expired.text().contains("token is expired, token is expired"), "{}", expired.text());

        let burnt = minted(&stage, &issuer, "j-2").await;
        burn(&stage, &burnt).await;
        assert_eq!(upload(&stage, &burnt, "Widget", "1.1").await.status, StatusCode::FORBIDDEN);
        assert_count(&stage, count(&stage, "files").await, 1, "files");
    }
}

#[tokio::test]
async fn uploads_and_mints_of_one_repository_do_not_wait_for_each_other_forever() {
    let (issuer, stages) = with_issuer().await;
    for stage in stages {
        published(&stage, &issuer).await;
        let token = minted(&stage, &issuer, "j-0").await;
        let tokens: Vec<String> =
            (1..6).map(|n| issuer.sign(&claims(&stage, &issuer, &format!("j-{n}"), &[]))).collect();
        let versions: Vec<String> = (1..6).map(|n| format!("1.{n}")).collect();
        let uploads = futures::future::join_all(
            versions.iter().map(|version| upload(&stage, &token, "Widget", version)),
        );
        let (uploads, mints) = futures::future::join(uploads, futures_of(&stage, &tokens)).await;
        for answer in uploads.iter().chain(&mints) {
            assert_eq!(answer.status, StatusCode::OK, "{}: {}", stage.name, answer.text());
        }
    }
}
