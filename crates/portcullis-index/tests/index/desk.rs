//! The incident desk: what a report may cause, what containment does and takes back, and what nobody can make it do.

use std::time::Duration;

use portcullis_index::clock::Instant;
use portcullis_index::desk::forge::ForgeError;
use portcullis_index::desk::scan_document::DOCUMENT_LIMIT;
use portcullis_index::desk::{DeskError, containment, plan};
use portcullis_index::history;
use portcullis_index::ids::{ProjectId, TokenId};
use portcullis_index::jobs;
use portcullis_index::store::accounts::{Account, AccountRole};
use portcullis_index::store::files::FileState;
use portcullis_index::store::mint_gates;
use portcullis_index::store::projects::{self, RepositoryBasis, RepositoryLink};
use portcullis_index::store::publishers as publisher_rows;
use portcullis_index::store::tokens::{self, TokenState};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::incident::{
    COMMIT, MALICIOUS, REPOSITORY, Scanned, Scene, Uploaded, scenes, scenes_with, upload_within,
};

/// The incident up to the report: mara's token lies in the repository, she released once, the workflow was pushed two hours
/// after the beginning, a thief uploaded once a minute later.
pub(crate) struct Incident {
    pub(crate) mara: Account,
    pub(crate) token: TokenId,
    pub(crate) project: ProjectId,
    pub(crate) owners: Uploaded,
    pub(crate) thiefs: Uploaded,
    pub(crate) pushed: Instant,
}

pub(crate) const LABEL: &str = "github.com/example-org/lanternfish#PYPI_API_TOKEN";

pub(crate) async fn incident(scene: &Scene) -> Incident {
    let begin = scene.app().now();
    let mara = scene.account("mara", AccountRole::User).await;
    let project = scene.project("Lanternfish", &mara).await;
    let token = scene.token(&mara, Some(LABEL)).await;
    // In whole seconds, as a forge tells them.
    let pushed = Instant(begin.0 - begin.0 % 1_000_000).plus_seconds(7_200);
    let owners = scene.upload(token, project, "1.0", "127.0.0.1", pushed.plus_seconds(-3_550)).await;
    let thiefs = scene.upload(token, project, "1.1", "127.0.0.2", pushed.plus_seconds(60)).await;
    scene.stage.clock.pass_seconds(7_400);
    scene.sees(Ok(Scanned { introduced: pushed, stands: false, ..Scanned::default() }.sight()));
    Incident { mara, token, project, owners, thiefs, pushed }
}

pub(crate) fn about_repository() -> Value {
    json!({"kind": "compromised-workflow", "subject": format!("repository:{REPOSITORY}"), "text": "their secrets went out"})
}

/// Reports, lets the server look, opens the case; its id.
pub(crate) async fn opened(scene: &Scene, secret: &str) -> String {
    let report = scene.report(about_repository()).await;
    scene.work().await;
    let answer = scene.post("/api/v1/cases", secret, json!({"report": report})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    scene.work().await;
    answer.json()["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn planned(scene: &Scene, secret: &str, case: &str) -> Value {
    let answer = scene.post(&format!("/api/v1/cases/{case}/plan"), secret, json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

pub(crate) async fn contained(scene: &Scene, secret: &str, case: &str) -> Value {
    let plan = planned(scene, secret, case).await;
    let answer =
        scene.post(&format!("/api/v1/cases/{case}/contain"), secret, json!({"digest": plan["digest"]})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

pub(crate) fn types(plan: &Value) -> Vec<&str> {
    plan["actions"].as_array().unwrap().iter().map(|action| action["type"].as_str().unwrap()).collect()
}

pub(crate) async fn history_holds(scene: &Scene) {
    while scene.stage.seal().await.is_some() {}
    let verified =
        history::verify(&scene.app().store, &scene.app().server_key, None, scene.app().now()).await.unwrap();
    assert!(verified.faults.is_empty(), "{}: {:?}", scene.stage.name, verified.faults);
}

#[tokio::test]
async fn a_report_is_durable_with_its_receipt_and_its_page_tells_nothing() {
    for scene in scenes().await {
        let answer = scene.stage.post_json("/api/v1/reports", None, &about_repository()).await;
        assert_eq!(answer.status, 201);
        let accepted = answer.json();
        let receipt = &accepted["receipt"];
        let key = hex::decode(receipt["public_key"].as_str().unwrap()).unwrap();
        let signature = hex::decode(receipt["signature"].as_str().unwrap()).unwrap();
        aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, key)
            .verify(receipt["document"].as_str().unwrap().as_bytes(), &signature)
            .unwrap();
        assert!(receipt["document"].as_str().unwrap().contains(accepted["id"].as_str().unwrap()));
        let (_, secret) = scene.responder("rosa").await;
        let listed = scene.get("/api/v1/reports", &secret).await.json();
        assert_eq!(listed["reports"][0]["text"], "their secrets went out");
        assert_eq!(listed["reports"][0]["level"], "E0");
        let status = scene.stage.get(&format!("/api/v1/reports/{}", accepted["id"].as_str().unwrap())).await;
        assert_eq!(status.json()["received"], "2026-01-01 00:00:00 UTC");
        assert!(!status.text().contains("went out") && !status.text().contains("lanternfish"));
        assert_eq!(scene.count("SELECT COUNT(*) FROM events WHERE tag = 'desk:report:received'").await, 1);
    }
}

#[tokio::test]
async fn bad_reports_are_problems_and_leave_nothing() {
    for scene in scenes().await {
        let padding = "x".repeat(DOCUMENT_LIMIT);
        let large = json!({"schema": "portcullis.scan/1", "findings": [], "padding": padding});
        for (body, status) in [
            (json!({"kind": "gossip", "subject": "project:x"}), 422),
            (json!({"kind": "malware"}), 422),
            (json!({"kind": "malware", "subject": "planet:mars"}), 422),
            (json!({"kind": "malware", "subject": "token:pypi-AgEIcHlwaS5vcmc"}), 422),
            (json!({"kind": "malware", "subject": "project:x", "scan": {"schema": "other"}}), 422),
            (json!({"kind": "malware", "subject": "project:x", "scan": large}), 413),
            (json!({"kind": "malware", "subject": "project:x", "text": "x".repeat(100_001)}), 413),
            (json!([]), 422),
        ] {
            let answer = scene.stage.post_json("/api/v1/reports", None, &body).await;
            assert_eq!(answer.status, status, "{}", answer.text());
            assert_eq!(answer.headers["content-type"], "application/problem+json");
            assert!(!answer.text().contains("AgEI"));
        }
        assert_eq!(scene.count("SELECT COUNT(*) FROM reports").await, 0);
        assert_eq!(scene.count("SELECT COUNT(*) FROM jobs").await, 0);
    }
}

#[tokio::test]
async fn our_own_look_confirms_and_opens_the_case_by_itself() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        let mut body = about_repository();
        body["scan"] = Scanned::default().document();
        let report = scene.report(body).await;
        scene.work().await;
        assert_eq!(scene.forge.asked.lock().unwrap()[0].cited, [COMMIT]);
        let (_, secret) = scene.responder("rosa").await;
        let reports = scene.get("/api/v1/reports", &secret).await.json();
        assert_eq!(
            (&reports["reports"][0]["level"], &reports["reports"][0]["lane"]),
            (&json!("E3"), &json!("confirmed"))
        );
        let cases = scene.get("/api/v1/cases", &secret).await.json();
        assert_eq!(cases["cases"].as_array().unwrap().len(), 1);
        // Whoever opens one for the report joins it, and does not look again.
        let joined = scene.post("/api/v1/cases", &secret, json!({"report": report})).await.json();
        assert_eq!(joined["id"], cases["cases"][0]["id"]);
        assert_eq!(scene.count("SELECT COUNT(*) FROM examinations").await, 1);
        let case = joined["id"].as_str().unwrap();
        let radius = scene.get(&format!("/api/v1/cases/{case}/radius"), &secret).await.json();
        let exposure = &radius["exposures"][1];
        assert_eq!((&exposure["secret"], &exposure["level"]), (&json!("PYPI_API_TOKEN"), &json!("E3")));
        assert_eq!(exposure["from"], json!({"time": incident.pushed.rfc3339(), "basis": "observed"}));
        assert_eq!(exposure["path"], MALICIOUS);
        history_holds(&scene).await;
    }
}

#[tokio::test]
async fn the_evidence_shows_exactly_the_thiefs_use() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        let (_, secret) = scene.responder("rosa").await;
        let case = opened(&scene, &secret).await;
        let radius = scene.get(&format!("/api/v1/cases/{case}/radius"), &secret).await.json();
        assert_eq!(radius["level"], "E4");
        let [token] = radius["tokens"].as_array().unwrap().as_slice() else { panic!("{radius}") };
        assert_eq!((&token["rank"], &token["strength"]), (&json!("certain"), &json!("proved")));
        let uses = token["evidence"]["uses"].as_array().unwrap();
        assert_eq!(uses.len(), 1);
        assert_eq!((&uses[0]["verdict"], &uses[0]["network"]), (&json!("thief's"), &json!("127.0.0.2")));
        assert_eq!(uses[0]["runs"], "outside every run");
        assert_eq!(uses[0]["filename"], json!(incident.thiefs.filename));
        assert_eq!(token["evidence"]["uses_before"], 1);
        assert!(radius["edges"].as_array().unwrap().iter().all(|edge| edge["reason"] != ""));
    }
}

#[tokio::test]
async fn containment_is_one_decision_and_release_restores() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        let (_, secret) = scene.responder("rosa").await;
        let case = opened(&scene, &secret).await;
        let dry = planned(&scene, &secret, &case).await;
        assert_eq!(types(&dry), ["suspend-token", "hold-file", "hold-release"], "{dry}");
        assert!(dry.get("applied_at").is_none());
        assert_eq!(scene.token_state(incident.token).await, TokenState::Live);

        let applied = contained(&scene, &secret, &case).await;
        assert_eq!(applied["digest"], dry["digest"]);
        assert_eq!(applied["added_since_plan"], json!([]));
        assert_eq!(scene.token_state(incident.token).await, TokenState::Suspended);
        assert_eq!(scene.file_state(incident.thiefs.file).await, FileState::Held);
        assert_eq!(scene.file_state(incident.owners.file).await, FileState::Offered);
        let token = {
            let mut tx = scene.tx().await;
            tokens::by_id(&mut tx, incident.token).await.unwrap().unwrap()
        };
        assert_eq!(token.state_case_id.unwrap().to_string(), case);
        let cause = token.state_cause.unwrap();
        assert!(
            cause.is_ascii() && cause.contains("PYPI_API_TOKEN") && !cause.contains("192.0.2.66"),
            "{cause}"
        );
        for (column, id) in
            [("account_id", incident.mara.id.to_string()), ("project_id", incident.project.to_string())]
        {
            let seen = format!("SELECT COUNT(*) FROM events WHERE {column} = '{id}' AND case_id = '{case}'");
            assert!(scene.count(&seen).await > 0, "{column} saw nothing");
        }

        // Applied twice is applied once.
        let events = scene.count("SELECT COUNT(*) FROM events").await;
        let again = contained(&scene, &secret, &case).await;
        assert_eq!((&again["digest"], &again["applied_at"]), (&applied["digest"], &applied["applied_at"]));
        assert_eq!(scene.count("SELECT COUNT(*) FROM events").await, events);
        assert_eq!(scene.count("SELECT COUNT(*) FROM notices").await, 1);

        let path = format!("/api/v1/cases/{case}/release");
        assert_eq!(scene.post(&path, &secret, json!({"reason": " "})).await.status, 422);
        assert_eq!(
            scene.post(&path, &secret, json!({"reason": "r", "actions": ["nothing"]})).await.status,
            404
        );
        let one = dry["actions"][1]["id"].clone();
        let released = scene.post(&path, &secret, json!({"reason": "it is mine", "actions": [one]})).await;
        assert_eq!(released.json()["released"], json!([one]), "{}", released.text());
        assert_eq!(scene.file_state(incident.thiefs.file).await, FileState::Offered);
        assert_eq!(scene.token_state(incident.token).await, TokenState::Suspended);
        scene.post(&path, &secret, json!({"reason": "rotated"})).await;
        assert_eq!(scene.token_state(incident.token).await, TokenState::Live);
        assert_eq!(scene.count("SELECT COUNT(*) FROM releases WHERE state <> 'active'").await, 0);
        assert_eq!(scene.count("SELECT COUNT(*) FROM containment_actions WHERE state = 'applied'").await, 0);
        history_holds(&scene).await;
    }
}

#[tokio::test]
async fn a_digest_that_no_plan_has_is_refused_with_the_new_plan() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        let (_, secret) = scene.responder("rosa").await;
        let case = opened(&scene, &secret).await;
        let path = format!("/api/v1/cases/{case}/contain");
        let refused = scene.post(&path, &secret, json!({"digest": "0".repeat(64)})).await;
        assert_eq!(refused.status, 409);
        assert_eq!(types(&refused.json()["plan"]), ["suspend-token", "hold-file", "hold-release"]);
        assert_eq!(scene.token_state(incident.token).await, TokenState::Live);
        // The plan that came with the refusal was shown: its digest holds.
        let digest = refused.json()["plan"]["digest"].clone();
        assert_eq!(scene.post(&path, &secret, json!({"digest": digest})).await.status, 200);
    }
}

#[tokio::test]
async fn another_account_since_the_plan_makes_it_stale_and_more_of_the_same_is_included() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        let (responder, secret) = scene.responder("rosa").await;
        let case = opened(&scene, &secret).await;
        let case_id = case.parse().unwrap();
        let shown = plan::dry_run(scene.app(), &responder, case_id, false).await.unwrap();
        // The thief uploads once more: the same account and project, so it is included and named.
        let late = incident.pushed.plus_seconds(90);
        let more = scene.upload(incident.token, incident.project, "1.2", "127.0.0.2", late).await;
        // Somebody else's token turns up: that was not shown.
        let olu = scene.account("olu", AccountRole::User).await;
        let olus = scene.token(&olu, Some(LABEL)).await;
        let refused = containment::apply(scene.app(), &responder, case_id, &shown.digest).await.unwrap_err();
        let DeskError::StalePlan { plan, .. } = refused else { panic!("{refused}") };
        assert_eq!(scene.token_state(incident.token).await, TokenState::Live);
        assert_eq!(scene.file_state(more.file).await, FileState::Offered);
        assert_eq!(scene.count("SELECT COUNT(*) FROM containment_actions").await, 0);
        let applied = containment::apply(scene.app(), &responder, case_id, &plan.digest).await.unwrap();
        assert_eq!(scene.token_state(olus).await, TokenState::Suspended);
        assert_eq!(scene.file_state(more.file).await, FileState::Held);
        assert_eq!(applied.added_since_plan, Some(Vec::new()));
        // And what matches later is included without asking again.
        let last =
            scene.upload(incident.token, incident.project, "1.3", "127.0.0.2", late.plus_seconds(1)).await;
        let applied = containment::apply(scene.app(), &responder, case_id, &plan.digest).await.unwrap();
        assert_eq!(applied.added_since_plan.unwrap().len(), 2);
        assert_eq!(scene.file_state(last.file).await, FileState::Held);
    }
}

#[tokio::test]
async fn what_an_upload_in_flight_commits_is_contained_and_a_later_one_is_refused() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        let (responder, secret) = scene.responder("rosa").await;
        let case: portcullis_index::ids::CaseId = opened(&scene, &secret).await.parse().unwrap();
        let shown = plan::dry_run(scene.app(), &responder, case, false).await.unwrap();
        // An upload has locked its token and is about to commit.
        let mut upload = scene.tx().await;
        tokens::by_id_locked(&mut upload, incident.token).await.unwrap();
        let late = incident.pushed.plus_seconds(95);
        let file =
            upload_within(&mut upload, incident.token, incident.project, "1.9", "127.0.0.2", late).await;
        let app = scene.app().clone();
        let decision =
            tokio::spawn(async move { containment::apply(&app, &responder, case, &shown.digest).await });
        // It waits for the upload: nothing is decided before that one ends.
        assert!(
            tokio::time::timeout(Duration::from_millis(300), async {
                while !decision.is_finished() {
                    tokio::task::yield_now().await
                }
            })
            .await
            .is_err()
        );
        upload.commit().await.unwrap();
        let applied = decision.await.unwrap().unwrap();
        assert_eq!(applied.added_since_plan.unwrap().len(), 2, "{}", scene.stage.name);
        assert_eq!(scene.file_state(file.file).await, FileState::Held);
        // Whoever takes the lock now sees the suspension in the transaction that would commit.
        let mut tx = scene.tx().await;
        let token = tokens::by_id_locked(&mut tx, incident.token).await.unwrap().unwrap();
        assert_eq!(token.state, TokenState::Suspended);
    }
}

#[tokio::test]
async fn a_strangers_repository_that_claims_a_project_touches_nobody() {
    for scene in scenes().await {
        let mara = scene.account("mara", AccountRole::User).await;
        let project = scene.project("Lanternfish", &mara).await;
        let token = scene.token(&mara, None).await;
        let begin = scene.app().now();
        scene.upload(token, project, "1.0", "127.0.0.1", begin).await;
        let mut tx = scene.tx().await;
        let link = RepositoryLink {
            project_id: project,
            repository: String::from("github.com/example-org/lanternfish"),
            basis: RepositoryBasis::MetadataUrl,
            first_seen_at: begin,
            token_id: Some(token),
        };
        projects::insert_repository(&mut tx, &link).await.unwrap();
        tx.commit().await.unwrap();
        scene.stage.clock.pass_seconds(7_400);
        let strangers = "github.com/stranger/trap";
        let pushed = Instant(begin.0 - begin.0 % 1_000_000).plus_seconds(60);
        scene.sees(Ok(Scanned { repository: strangers, introduced: pushed, ..Scanned::default() }.sight()));
        // Meanwhile the owner releases, outside of every run of the stranger's.
        let released = scene.upload(token, project, "1.1", "127.0.0.1", pushed.plus_seconds(500)).await;
        let (_, secret) = scene.responder("rosa").await;
        let case = scene.post("/api/v1/cases", &secret, json!({"repository": strangers})).await.json();
        let case = case["id"].as_str().unwrap().to_owned();
        scene.work().await;
        let plan = planned(&scene, &secret, &case).await;
        assert_eq!(types(&plan), ["close-gate"], "{plan}");
        assert!(plan["warnings"].to_string().contains("contradicts"), "{plan}");
        contained(&scene, &secret, &case).await;
        assert_eq!(scene.token_state(token).await, TokenState::Live);
        assert_eq!(scene.file_state(released.file).await, FileState::Offered);
        assert_eq!(scene.count("SELECT COUNT(*) FROM notices").await, 0);
        // A responder may include it; the digest is another one. Files stay offered: the link is only claimed.
        let path = format!("/api/v1/cases/{case}/plan");
        let included = scene.post(&path, &secret, json!({"include_claimed": true})).await.json();
        assert_eq!(types(&included), ["suspend-token", "close-gate"], "{included}");
        assert_ne!(included["digest"], plan["digest"]);
    }
}

#[tokio::test]
async fn a_forged_document_and_a_foreign_finding_do_nothing() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        let (_, secret) = scene.responder("rosa").await;
        // The document accuses; the repository, as the server sees it, is clean.
        let clean = json!({"schema": "portcullis.scan/1", "complete": true, "findings": [], "problems": []});
        let mut sight = Scanned { introduced: incident.pushed, ..Scanned::default() }.sight();
        sight.document = clean.to_string();
        scene.sees(Ok(sight));
        let mut body = about_repository();
        body["scan"] = Scanned::default().document();
        let report = scene.report(body.clone()).await;
        scene.work().await;
        assert_eq!(scene.count("SELECT COUNT(*) FROM cases").await, 0);
        let case = scene.post("/api/v1/cases", &secret, json!({"report": report})).await.json();
        let case = case["id"].as_str().unwrap().to_owned();
        let plan = planned(&scene, &secret, &case).await;
        assert_eq!((types(&plan), &plan["level"]), (Vec::new(), &json!("E0")));
        // Malicious, but not the repository's own: a pull request, a fork.
        scene.sees(Ok(
            Scanned { standing: "foreign", introduced: incident.pushed, ..Scanned::default() }.sight()
        ));
        scene.report(body).await;
        scene.stage.clock.pass_seconds(600);
        scene.work().await;
        let plan = planned(&scene, &secret, &case).await;
        assert_eq!(types(&plan), Vec::<&str>::new(), "{plan}");
        assert!(plan["warnings"].to_string().contains("not its own"), "{plan}");
        assert_eq!(scene.token_state(incident.token).await, TokenState::Live);
    }
}

#[tokio::test]
async fn a_look_that_fails_is_tried_again_then_shown_and_the_report_is_kept() {
    for scene in scenes().await {
        scene.sees(Err(ForgeError::Failed(String::from("the forge is down"))));
        let (_, secret) = scene.responder("rosa").await;
        let report = scene.report(about_repository()).await;
        let case = scene.post("/api/v1/cases", &secret, json!({"report": report})).await.json();
        let case = case["id"].as_str().unwrap().to_owned();
        let radius = format!("/api/v1/cases/{case}/radius");
        for tries in 1..=4 {
            let waits = scene.get(&radius, &secret).await;
            assert_eq!(waits.status, 409);
            assert_eq!(waits.json()["code"], "examination-under-way");
            assert!(waits.headers.contains_key("retry-after"));
            scene.work().await;
            assert_eq!(scene.forge.asked.lock().unwrap().len(), tries);
            scene.stage.clock.pass_seconds(60);
        }
        let shown = scene.get(&radius, &secret).await.json();
        assert!(shown["warnings"].to_string().contains("the forge is down"), "{shown}");
        let whole = scene.get(&format!("/api/v1/cases/{case}"), &secret).await.json();
        assert_eq!(whole["examinations"][0]["state"], "failed");
        assert_eq!(whole["reports"][0]["id"], json!(report));
        // A person may have it looked at anew.
        let incident = incident(&scene).await;
        scene.post("/api/v1/cases", &secret, json!({"repository": REPOSITORY})).await;
        scene.work().await;
        assert_eq!(
            types(&planned(&scene, &secret, &case).await),
            ["suspend-token", "hold-file", "hold-release"]
        );
        assert_eq!(scene.token_state(incident.token).await, TokenState::Live);
    }
}

#[tokio::test]
async fn only_the_desk_may_ask_and_nobody_releases_his_own() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        scene.sees(Ok(Scanned { introduced: incident.pushed, ..Scanned::default() }.sight()));
        let (_, secret) = scene.responder("rosa").await;
        let case = opened(&scene, &secret).await;
        let applied = contained(&scene, &secret, &case).await;
        // The owner of the token becomes a responder: still not for a case that names him.
        scene.stage.tamper("UPDATE accounts SET role = 'responder' WHERE name = 'mara'").await;
        let end = scene.app().now().plus_seconds(600);
        let scopes = [portcullis_index::authority::Scope::Desk];
        let mut mara = incident.mara.clone();
        mara.role = AccountRole::Responder;
        let actor = portcullis_index::history::Actor::Operator;
        let own =
            portcullis_index::authority::issue_management_token(scene.app(), &mara, &scopes, "", end, actor);
        let own = own.await.unwrap();
        let own = secrecy::ExposeSecret::expose_secret(&own).to_owned();
        let refused =
            scene.post(&format!("/api/v1/cases/{case}/release"), &own, json!({"reason": "mine"})).await;
        assert_eq!(refused.status, 403, "{}", refused.text());
        assert_eq!(scene.token_state(incident.token).await, TokenState::Suspended);
        // Nor the gate of his repository alone, which names no account.
        let actions = applied["actions"].as_array().unwrap();
        let gate = &actions.iter().find(|action| action["type"] == "close-gate").unwrap()["id"];
        let body = json!({"reason": "mine", "actions": [gate]});
        let refused = scene.post(&format!("/api/v1/cases/{case}/release"), &own, body).await;
        assert_eq!(refused.status, 403, "{}", refused.text());
        assert_eq!(scene.count("SELECT COUNT(*) FROM mint_gates WHERE state = 'closed'").await, 1);
        for path in ["/api/v1/cases", "/api/v1/reports", "/api/v1/notices"] {
            assert_eq!(scene.stage.get(path).await.status, 401);
        }
    }
}

#[tokio::test]
async fn a_repository_with_an_open_case_gets_no_new_publisher() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        let (_, secret) = scene.responder("rosa").await;
        let end = scene.app().now().plus_seconds(600);
        let scopes = [portcullis_index::authority::Scope::Manage];
        let actor = portcullis_index::history::Actor::Operator;
        let own = portcullis_index::authority::issue_management_token(
            scene.app(),
            &incident.mara,
            &scopes,
            "",
            end,
            actor,
        );
        let own = secrecy::ExposeSecret::expose_secret(&own.await.unwrap()).to_owned();
        scene.project("driftwood", &incident.mara).await;
        let form = |project: &str, workflow: &str, pending: bool| {
            json!({"project": project, "provider": "github", "owner": "example-org", "owner_id": 501,
                "repository": "lanternfish", "workflow": workflow, "pending": pending})
        };
        let before = scene.post("/api/v1/publishers", &own, form("driftwood", "a.yml", false)).await;
        assert_eq!(before.status, 201, "{}", before.text());
        let case = opened(&scene, &secret).await;
        for (project, pending) in [("driftwood", false), ("not-there-yet", true)] {
            let refused = scene.post("/api/v1/publishers", &own, form(project, "b.yml", pending)).await;
            assert_eq!(refused.status, 409, "{}", refused.text());
            assert!(refused.text().contains("open case"), "{}", refused.text());
        }
        let closed = format!("/api/v1/cases/{case}/close");
        let answer = scene.post(&closed, &secret, json!({"reason": "a false alarm"})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let after = scene.post("/api/v1/publishers", &own, form("driftwood", "b.yml", false)).await;
        assert_eq!(after.status, 201, "{}", after.text());
    }
}

#[tokio::test]
async fn a_case_with_something_standing_is_closed_only_with_a_reason() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        scene.sees(Ok(Scanned { introduced: incident.pushed, ..Scanned::default() }.sight()));
        let (_, secret) = scene.responder("rosa").await;
        let case = opened(&scene, &secret).await;
        let path = format!("/api/v1/cases/{case}/close");
        assert_eq!(scene.post(&path, &secret, json!({})).await.status, 409);
        assert_eq!(scene.post(&path, &secret, json!({"reason": "archived"})).await.json()["state"], "closed");
        // The next report about the repository opens another case.
        scene.report(about_repository()).await;
        scene.stage.clock.pass_seconds(600);
        scene.work().await;
        assert_eq!(scene.count("SELECT COUNT(*) FROM cases").await, 2);
    }
}

/// A mail server that takes `refusals` connections with a temporary error first, then keeps what it gets.
async fn mail_server(refusals: usize) -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((connection, _)) = listener.accept().await else { return };
            let (read, mut write) = connection.into_split();
            let mut lines = BufReader::new(read).lines();
            let greeting: &[u8] = if number < refusals { b"421 later\r\n" } else { b"220 ready\r\n" };
            let _ = write.write_all(greeting).await;
            let mut message: Option<String> = None;
            while let Ok(Some(line)) = lines.next_line().await {
                let answer: &[u8] = match (&mut message, line.as_str()) {
                    (Some(text), ".") => {
                        let _ = sender.send(std::mem::take(text));
                        message = None;
                        b"250 kept\r\n"
                    }
                    (Some(text), line) => {
                        text.push_str(line);
                        text.push('\n');
                        b""
                    }
                    (None, "DATA") => {
                        message = Some(String::new());
                        b"354 go on\r\n"
                    }
                    (None, "QUIT") => b"221 bye\r\n",
                    (None, _) => b"250 fine\r\n",
                };
                let _ = write.write_all(answer).await;
            }
        }
    });
    (port, receiver)
}

#[tokio::test]
async fn the_owner_is_told_once_and_the_notice_is_tracked_until_it_arrived() {
    let (port, mut mails) = mail_server(2).await;
    let settings =
        format!("[mail]\nsmtp = \"smtp://127.0.0.1:{port}\"\nfrom = \"security@packages.example\"\n");
    for (number, scene) in scenes_with(&settings).await.into_iter().enumerate() {
        incident(&scene).await;
        let (_, secret) = scene.responder("rosa").await;
        let case = opened(&scene, &secret).await;
        contained(&scene, &secret, &case).await;
        contained(&scene, &secret, &case).await;
        for _ in 0..4 {
            scene.work().await;
            scene.stage.clock.pass_seconds(600);
        }
        let notices = scene.get("/api/v1/notices", &secret).await.json();
        let [notice] = notices["notices"].as_array().unwrap().as_slice() else { panic!("{notices}") };
        assert_eq!(
            (&notice["state"], &notice["recipient"]),
            (&json!("delivered"), &json!("mara@example.org"))
        );
        // The first two tries met a server that was not ready.
        assert_eq!(notice["attempts"], if number == 0 { 3 } else { 1 });
        let mail = mails.recv().await.unwrap().replace("=\n", "").replace("=3D", "=");
        for said in
            ["Lanternfish", &case, "PYPI_API_TOKEN", "192[.]0[.]2[.]66", "suspended", "Type our address"]
        {
            assert!(mail.contains(said), "{said:?} is missing from:\n{mail}");
        }
        assert!(!mail.contains("http://") && !mail.contains("https://"), "{mail}");
        assert!(mails.try_recv().is_err(), "told twice");
        assert_eq!(scene.count("SELECT COUNT(*) FROM events WHERE tag = 'desk:notice:delivered'").await, 1);
    }
}

#[tokio::test]
async fn a_report_that_nobody_looks_at_is_brought_up_every_hour_until_somebody_does() {
    // Nobody listens there: the notices wait, which is what is looked at.
    let settings = "[mail]\nsmtp = \"smtp://127.0.0.1:1\"\nfrom = \"security@packages.example\"\n";
    for scene in scenes_with(settings).await {
        let (_, secret) = scene.responder("rosa").await;
        scene.account("mara", AccountRole::User).await;
        let report = scene.report(json!({"kind": "account-takeover", "subject": "account:mara"})).await;
        let overdue = "SELECT COUNT(*) FROM notices WHERE kind = 'overdue-report'";
        scene.stage.clock.pass_seconds(3_590);
        scene.work().await;
        assert_eq!(scene.count(overdue).await, 0);
        for round in 1..=3 {
            scene.stage.clock.pass_seconds(3_600);
            scene.work().await;
            assert_eq!(scene.count(overdue).await, round);
        }
        let listed = scene.get("/api/v1/reports", &secret).await.json();
        assert_eq!(listed["reports"][0]["overdue"], true);
        scene.post("/api/v1/cases", &secret, json!({"report": report})).await;
        scene.stage.clock.pass_seconds(7_200);
        scene.work().await;
        assert_eq!(scene.count(overdue).await, 3);
    }
}

#[tokio::test]
async fn a_flood_of_reports_about_one_repository_is_one_look_and_loses_none() {
    for scene in scenes().await {
        incident(&scene).await;
        for _ in 0..20 {
            scene.report(about_repository()).await;
        }
        scene.work().await;
        assert_eq!(scene.forge.asked.lock().unwrap().len(), 1);
        assert_eq!(scene.count("SELECT COUNT(*) FROM cases").await, 1);
        assert_eq!(
            scene.count("SELECT COUNT(*) FROM reports WHERE level = 'E3' AND case_id IS NOT NULL").await,
            20
        );
    }
}

#[tokio::test]
async fn publishers_of_the_repository_are_paused_and_what_a_malicious_commit_minted_is_held() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        // It still stands, and its owner had registered publishers: of this repository, and of another one.
        scene.sees(Ok(Scanned { introduced: incident.pushed, ..Scanned::default() }.sight()));
        let publishers = [("p1", REPOSITORY), ("p2", "github.com/example-org/another")]
            .map(|(key, repository)| (uuid::Uuid::now_v7().to_string(), key, repository));
        for (id, key, repository) in &publishers {
            scene
                .stage
                .tamper(&format!(
                    "INSERT INTO publishers (id, provider, issuer, identity_key, lookup_key, repository, configuration, state, \
                     created_at) VALUES ('{id}', 'github', 'i', '{key}', '{key}', '{repository}', '{{}}', 'active', 0)"
                ))
                .await;
            scene
                .stage
                .tamper(&format!(
                    "INSERT INTO publisher_projects (id, publisher_id, project_id, added_at) VALUES ('{id}', '{id}', '{}', 0)",
                    incident.project
                ))
                .await;
        }
        let bytes = if scene.stage.name == "sqlite" { "X'00'" } else { "'\\x00'" };
        let minted = async |commit: &str| {
            let id = TokenId::new();
            scene
                .stage
                .tamper(&format!(
                    "INSERT INTO tokens (id, kind, publisher_id, description, location, sealed_key, caveats, scope, minted_from, \
                     state, created_at, expires_at, use_count) VALUES ('{id}', 'minted', '{}', 'm', 'l', {bytes}, '[]', \
                     'projects', '{{\"sha\": \"{commit}\"}}', 'live', {}, {}, 0)",
                    publishers[0].0,
                    incident.pushed.plus_seconds(5).0,
                    incident.pushed.plus_seconds(905).0
                ))
                .await;
            id
        };
        let (bad, good) = (minted(COMMIT).await, minted(crate::incident::CLEAN).await);
        let at = incident.pushed.plus_seconds(20);
        let thiefs = scene.upload(bad, incident.project, "2.0", "192.0.2.9", at).await;
        let owners = scene.upload(good, incident.project, "2.1", "192.0.2.9", at).await;

        let (_, secret) = scene.responder("rosa").await;
        let case = opened(&scene, &secret).await;
        let applied = contained(&scene, &secret, &case).await;
        let paused = |key: &str| {
            format!("SELECT COUNT(*) FROM publishers WHERE identity_key = '{key}' AND state = 'paused'")
        };
        assert_eq!(scene.count(&paused("p1")).await, 1, "{applied}");
        assert_eq!(scene.count(&paused("p2")).await, 0, "{applied}");
        assert_eq!(scene.count("SELECT COUNT(*) FROM mint_gates WHERE state = 'closed'").await, 1);
        assert_eq!(scene.file_state(thiefs.file).await, FileState::Held);
        assert_eq!(scene.file_state(owners.file).await, FileState::Offered);

        // A mint holds the gate and wants the publisher: release takes them in the same order and waits for it.
        let mut mint = scene.app().store.write().await.unwrap();
        mint_gates::locked(&mut mint, REPOSITORY, scene.app().now()).await.unwrap();
        let path = format!("/api/v1/cases/{case}/release");
        let release = scene.post(&path, &secret, json!({"reason": "clean again"}));
        tokio::pin!(release);
        let early = tokio::time::timeout(std::time::Duration::from_millis(400), &mut release).await;
        assert!(early.is_err(), "{}", scene.stage.name);
        let wanted = publishers[0].0.parse().unwrap();
        publisher_rows::by_id_for_update(&mut mint, wanted).await.unwrap();
        drop(mint);
        let released = release.await;
        assert_eq!(released.status, 200, "{}", released.text());
        assert_eq!(scene.count(&paused("p1")).await, 0);
        assert_eq!(scene.count("SELECT COUNT(*) FROM mint_gates WHERE state = 'closed'").await, 0);
        assert_eq!(scene.file_state(thiefs.file).await, FileState::Offered);
        history_holds(&scene).await;
    }
}

#[tokio::test]
async fn two_cases_that_hold_one_token_let_it_go_only_together() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        let (_, secret) = scene.responder("rosa").await;
        let first = opened(&scene, &secret).await;
        contained(&scene, &secret, &first).await;
        // The same project is claimed by a second repository of the owner that was hit too, and confirmed.
        let second = "github.com/example-org/lanternfish-docs";
        let mut tx = scene.tx().await;
        let link = RepositoryLink {
            project_id: incident.project,
            repository: second.to_owned(),
            basis: RepositoryBasis::OwnerConfirmed,
            first_seen_at: incident.pushed,
            token_id: None,
        };
        projects::insert_repository(&mut tx, &link).await.unwrap();
        tx.commit().await.unwrap();
        let other = scene.token(&incident.mara, None).await;
        scene.upload(other, incident.project, "3.0", "127.0.0.1", incident.pushed.plus_seconds(-10)).await;
        scene.sees(Ok(
            Scanned { repository: second, introduced: incident.pushed, ..Scanned::default() }.sight()
        ));
        let case = scene.post("/api/v1/cases", &secret, json!({"repository": second})).await.json();
        let case = case["id"].as_str().unwrap().to_owned();
        scene.work().await;
        contained(&scene, &secret, &case).await;
        assert_eq!(scene.token_state(other).await, TokenState::Suspended);
        // The first case names `other` as well once it is planned again: both hold it.
        contained(&scene, &secret, &first).await;
        let release = |case: &str| format!("/api/v1/cases/{case}/release");
        scene.post(&release(&case), &secret, json!({"reason": "r"})).await;
        assert_eq!(scene.token_state(other).await, TokenState::Suspended);
        scene.post(&release(&first), &secret, json!({"reason": "r"})).await;
        assert_eq!(scene.token_state(other).await, TokenState::Live);
    }
}

#[tokio::test]
async fn a_use_after_the_last_look_is_looked_at_again_and_nobody_waits_for_a_forge_that_is_down() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        let (_, secret) = scene.responder("rosa").await;
        let case = opened(&scene, &secret).await;
        let radius = format!("/api/v1/cases/{case}/radius");
        assert_eq!(scene.get(&radius, &secret).await.status, 200);
        scene.stage.clock.pass_seconds(100);
        // From the owner's own network: only the runs tell that it was not the owner.
        let late = scene.app().now();
        scene.upload(incident.token, incident.project, "1.5", "127.0.0.1", late).await;
        assert_eq!(scene.get(&radius, &secret).await.json()["code"], "examination-under-way");
        assert_eq!(scene.get(&radius, &secret).await.status, 409);
        scene.work().await;
        let shown = scene.get(&radius, &secret).await.json();
        let uses = shown["tokens"][0]["evidence"]["uses"].as_array().unwrap();
        assert_eq!((&uses[1]["verdict"], &uses[1]["runs"]), (&json!("thief's"), &json!("outside every run")));
        assert_eq!(scene.count("SELECT COUNT(*) FROM examinations").await, 2);
        // The forge is down, and the thief goes on: one try is waited for, then the plan comes with what is known.
        scene.sees(Err(ForgeError::Failed(String::from("the forge is down"))));
        scene.stage.clock.pass_seconds(100);
        scene.upload(incident.token, incident.project, "1.6", "127.0.0.2", scene.app().now()).await;
        let plan = format!("/api/v1/cases/{case}/plan");
        assert_eq!(scene.post(&plan, &secret, json!({})).await.status, 409);
        jobs::work_off(scene.app()).await.unwrap();
        let planned = scene.post(&plan, &secret, json!({})).await;
        assert_eq!(planned.status, 200, "{}", planned.text());
        assert!(planned.json()["warnings"].to_string().contains("networks alone"));
        // Two files by what is known, and one by its network.
        assert_eq!(types(&planned.json()).iter().filter(|kind| **kind == "hold-file").count(), 3);
    }
}
