//! What strangers send to the desk, push to a fork or leave behind: it steers nothing, hides nothing and gets nothing closed.

use portcullis_index::clock::Instant;
use portcullis_index::store::accounts::AccountRole;
use portcullis_index::store::files::FileState;
use portcullis_index::store::projects::{self, ProjectRole, RepositoryBasis, RepositoryLink};
use portcullis_index::store::tokens::TokenState;
use serde_json::{Value, json};

use crate::desk::{about_repository, contained, incident, opened, planned, types};
use crate::incident::{REPOSITORY, Scanned, Scene, scenes};

#[tokio::test]
async fn a_pasted_token_reaches_no_row_no_event_and_no_receipt() {
    for scene in scenes().await {
        for prefix in ["pypi-", "portcullis-"] {
            let token = format!("{prefix}{}", "AgEIc0".repeat(10));
            let escaped = token.replacen('p', "\\u0070", 1);
            let document = format!(
                r#"{{"schema": "portcullis.scan/1", "findings": [], "problems": [{{"what": "curl {escaped}"}}]}}"#
            );
            let body = json!({
                "kind": "stolen-credential", "subject": format!("text:found {token} in a log"),
                "text": format!("it was {token}"), "scan": serde_json::from_str::<Value>(&document).unwrap(),
            });
            let answer = scene.stage.post_json("/api/v1/reports", None, &body).await;
            assert_eq!(answer.status, 201, "{}", answer.text());
            assert!(!answer.text().contains("AgEIc0"), "{}", answer.text());
            let subject = format!("text:found {prefix}[token removed] in a log");
            assert!(answer.json()["receipt"]["document"].as_str().unwrap().contains(&subject));
        }
        for (table, columns) in [
            ("reports", "subject || text || COALESCE(scan_document, '')"),
            ("events", "details"),
            ("jobs", "payload"),
        ] {
            let found = format!("SELECT COUNT(*) FROM {table} WHERE {columns} LIKE '%AgEIc0%'");
            assert_eq!(scene.count(&found).await, 0, "{table}");
        }
        assert_eq!(scene.count("SELECT COUNT(*) FROM reports WHERE scan_document LIKE '%curl p%'").await, 2);
    }
}

#[tokio::test]
async fn a_receipt_names_what_was_sent_and_what_was_kept() {
    use sha2::{Digest, Sha256};
    for scene in scenes().await {
        let text = format!("it was pypi-{}", "A".repeat(60));
        let sent = json!({"schema": "portcullis.scan/1", "problems": [], "findings": [], "complete": true});
        let body = json!({"kind": "other", "subject": "project:x", "text": text, "scan": sent});
        let answer = scene.stage.post_json("/api/v1/reports", None, &body).await.json();
        let document = answer["receipt"]["document"].as_str().unwrap().to_owned();
        let sorted = r#"{"complete":true,"findings":[],"problems":[],"schema":"portcullis.scan/1"}"#;
        let digest = |text: &str| hex::encode(Sha256::digest(format!("{text}\0{sorted}")));
        assert!(document.contains(&format!("\ncontent: sha256:{}\n", digest(&text))), "{document}");
        let kept = digest("it was pypi-[token removed]");
        assert!(document.ends_with(&format!("\nkept: sha256:{kept}\n")), "{document}");
    }
}

/// The repository's own finding sends away the Docker Hub token; somebody's pull request names the PyPI token and a project.
fn with_a_pull_request(introduced: Instant, package: &str) -> Value {
    let mut own = Scanned { introduced, ..Scanned::default() }.document();
    let mut foreign = Scanned { introduced, standing: "foreign", package, ..Scanned::default() }.document();
    let only = |finding: &mut Value, secret: &str| {
        for part in ["secrets", "exposures"] {
            let kept = finding[part].as_array().unwrap().iter();
            let kept = kept.filter(|one| one["name"] == secret || one["secret"] == secret).cloned();
            finding[part] = kept.collect();
        }
    };
    only(&mut own["findings"][0], "DOCKERHUB_TOKEN");
    let mut finding = foreign["findings"][0].take();
    only(&mut finding, "PYPI_API_TOKEN");
    finding["id"] = json!("fedcba9876543210");
    finding["all_secrets"] = json!(true);
    own["findings"].as_array_mut().unwrap().push(finding);
    own
}

#[tokio::test]
async fn a_pull_request_to_an_exposed_repository_accuses_nobody() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        let olu = scene.account("olu", AccountRole::User).await;
        let bystander = scene.project("Seahorse", &olu).await;
        let token = scene.token(&olu, None).await;
        scene.upload(token, bystander, "1.0", "127.0.0.1", incident.pushed.plus_seconds(-60)).await;
        let mut sight = Scanned { introduced: incident.pushed, ..Scanned::default() }.sight();
        sight.document = with_a_pull_request(incident.pushed, "seahorse").to_string();
        scene.sees(Ok(sight));
        let (_, secret) = scene.responder("rosa").await;
        let case = opened(&scene, &secret).await;
        let radius = scene.get(&format!("/api/v1/cases/{case}/radius"), &secret).await.json();
        // It is shown and warned of; what follows from it is nothing.
        assert_eq!(radius["exposures"].as_array().unwrap().len(), 2, "{radius}");
        assert!(radius["warnings"].to_string().contains("not its own"));
        assert!(!radius["projects"].to_string().contains("Seahorse"), "{radius}");
        assert_eq!(radius["tokens"][0]["rank"], "unlikely", "{radius}");
        let plan = planned(&scene, &secret, &case).await;
        assert_eq!(types(&plan), ["close-gate"], "{plan}");
        contained(&scene, &secret, &case).await;
        assert_eq!(scene.token_state(token).await, TokenState::Live);
        assert_eq!(scene.token_state(incident.token).await, TokenState::Live);
    }
}

#[tokio::test]
async fn a_pull_requests_run_makes_no_upload_a_thiefs() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        let mut sight = Scanned { introduced: incident.pushed, ..Scanned::default() }.sight();
        let runs = &mut sight.runs.as_mut().unwrap().list;
        // Somebody copied the workflow into a pull request: its run is of the malicious blob, at a commit of a fork.
        let mut copied = runs[1].clone();
        copied.id = 3;
        copied.commit = "d".repeat(40);
        copied.event = String::from("pull_request");
        copied.from = incident.pushed.plus_seconds(1_000).0;
        copied.until = Some(incident.pushed.plus_seconds(2_000).0);
        let mut clean = runs[0].clone();
        (clean.id, clean.from, clean.until) = (4, copied.from, copied.until);
        runs.extend([copied, clean]);
        scene.sees(Ok(sight));
        let late = incident.pushed.plus_seconds(1_500);
        let released = scene.upload(incident.token, incident.project, "2.0", "127.0.0.1", late).await;
        let (_, secret) = scene.responder("rosa").await;
        let case = opened(&scene, &secret).await;
        let radius = scene.get(&format!("/api/v1/cases/{case}/radius"), &secret).await.json();
        let uses = radius["tokens"][0]["evidence"]["uses"].as_array().unwrap();
        assert_eq!(uses[1]["verdict"], "owner's", "{uses:?}");
        contained(&scene, &secret, &case).await;
        assert_eq!(scene.file_state(released.file).await, FileState::Offered);
    }
}

#[tokio::test]
async fn the_label_of_somebody_who_does_not_own_the_project_proves_nothing() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        let owners = scene.token(&incident.mara, None).await;
        // Mallory once helped, kept a token, and says that it lives in a repository of Mallory's.
        let mallory = scene.account("mallory", AccountRole::User).await;
        let mut tx = scene.tx().await;
        let now = scene.app().now();
        projects::insert_role(&mut tx, incident.project, mallory.id, ProjectRole::Maintainer, now)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let trap = "github.com/mallory/trap";
        let mallorys = scene.token(&mallory, Some(&format!("{trap}#PYPI_API_TOKEN"))).await;
        scene.upload(mallorys, incident.project, "0.9", "127.0.0.1", incident.pushed.plus_seconds(-60)).await;
        scene.stage.tamper("UPDATE roles SET removed_at = 1 WHERE role = 'maintainer'").await;
        let scanned =
            Scanned { repository: trap, introduced: incident.pushed, package: "other", ..Scanned::default() };
        scene.sees(Ok(scanned.sight()));
        let (_, secret) = scene.responder("rosa").await;
        let case = scene.post("/api/v1/cases", &secret, json!({"repository": trap})).await.json();
        let case = case["id"].as_str().unwrap().to_owned();
        scene.work().await;
        let radius = scene.get(&format!("/api/v1/cases/{case}/radius"), &secret).await.json();
        let project = &radius["projects"][0];
        assert_eq!(
            (&project["strength"], &project["contested"]),
            (&json!("claimed"), &json!(true)),
            "{project}"
        );
        let plan = planned(&scene, &secret, &case).await;
        assert_eq!(types(&plan), ["suspend-token", "close-gate"], "{plan}");
        contained(&scene, &secret, &case).await;
        assert_eq!(scene.token_state(mallorys).await, TokenState::Suspended);
        assert_eq!(scene.token_state(owners).await, TokenState::Live);
        assert_eq!(scene.token_state(incident.token).await, TokenState::Live);
    }
}

#[tokio::test]
async fn what_one_repository_of_a_case_proves_another_one_cannot_use() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        // Proved for the first repository, where nothing that could be a token of this index left.
        let mut tx = scene.tx().await;
        let link = RepositoryLink {
            project_id: incident.project,
            repository: REPOSITORY.to_owned(),
            basis: RepositoryBasis::OwnerConfirmed,
            first_seen_at: Instant(0),
            token_id: None,
        };
        projects::insert_repository(&mut tx, &link).await.unwrap();
        tx.commit().await.unwrap();
        let owners = scene.token(&incident.mara, None).await;
        let mut sight = Scanned { introduced: incident.pushed, ..Scanned::default() }.sight();
        sight.document = with_a_pull_request(incident.pushed, "none").to_string();
        scene.sees(Ok(sight));
        let (_, secret) = scene.responder("rosa").await;
        let case = opened(&scene, &secret).await;
        // A stranger's repository that claims the project comes into the same case, by a report that names both.
        let trap = "github.com/stranger/trap";
        let mut tx = scene.tx().await;
        let repository = portcullis_index::desk::subject::RepositoryName::parse(trap).unwrap();
        let asked = portcullis_index::desk::examination::Asked {
            case: Some(case.parse().unwrap()),
            ..Default::default()
        };
        let now = scene.app().now();
        portcullis_index::desk::examination::queue(&mut tx, now, &repository, asked).await.unwrap();
        tx.commit().await.unwrap();
        scene.sees(Ok(
            Scanned { repository: trap, introduced: incident.pushed, ..Scanned::default() }.sight()
        ));
        scene.work().await;
        let plan = planned(&scene, &secret, &case).await;
        assert_eq!(types(&plan), ["close-gate", "close-gate"], "{plan}");
        assert_eq!(scene.token_state(owners).await, TokenState::Live);
    }
}

async fn report_states(scene: &Scene, secret: &str) -> Vec<(String, bool)> {
    let listed = scene.get("/api/v1/reports", secret).await.json();
    let listed = listed["reports"].as_array().unwrap().iter();
    let mut states: Vec<(String, bool)> =
        listed.map(|one| (one["state"].as_str().unwrap().to_owned(), one["case"].is_null())).collect();
    states.sort();
    states
}

#[tokio::test]
async fn a_report_that_nobody_saw_is_neither_acted_on_nor_closed_with_its_case() {
    for scene in scenes().await {
        incident(&scene).await;
        let (_, secret) = scene.responder("rosa").await;
        let case = opened(&scene, &secret).await;
        let second = scene.report(about_repository()).await;
        let both =
            |first: &str, alone: bool| vec![(String::from("received"), alone), (first.to_owned(), false)];
        let sorted = |mut states: Vec<(String, bool)>| {
            states.sort();
            states
        };
        contained(&scene, &secret, &case).await;
        assert_eq!(report_states(&scene, &secret).await, sorted(both("acted", false)));
        scene.stage.clock.pass_seconds(600);
        scene.work().await;
        let closed =
            scene.post(&format!("/api/v1/cases/{case}/close"), &secret, json!({"reason": "done"})).await;
        assert_eq!(closed.status, 200, "{}", closed.text());
        assert_eq!(report_states(&scene, &secret).await, sorted(both("closed", true)));
        // It can still be taken, and dismissed.
        let path = format!("/api/v1/reports/{second}/dismiss");
        let dismissed = scene.post(&path, &secret, json!({"reason": "the same once more"})).await;
        assert_eq!(dismissed.status, 204, "{}", dismissed.text());
    }
}

#[tokio::test]
async fn a_look_that_ends_after_its_case_was_closed_opens_the_next_case() {
    for scene in scenes().await {
        incident(&scene).await;
        let (_, secret) = scene.responder("rosa").await;
        let case = opened(&scene, &secret).await;
        let mut body = about_repository();
        let mut cited = Scanned::default().document();
        cited["findings"][0]["exposures"][0]["introduced"]["commit"] = json!("e".repeat(40));
        body["scan"] = cited;
        scene.report(body).await;
        let path = format!("/api/v1/cases/{case}/close");
        let refused = scene.post(&path, &secret, json!({})).await;
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert!(refused.text().contains("looked at once more"), "{}", refused.text());
        assert_eq!(scene.post(&path, &secret, json!({"reason": "done"})).await.status, 200);
        scene.work().await;
        let cases = scene.get("/api/v1/cases", &secret).await.json();
        assert_eq!(cases["cases"].as_array().unwrap().len(), 2, "{cases}");
        let open = &cases["cases"][0];
        assert_eq!(open["state"], "open");
        let listed = scene.get("/api/v1/reports", &secret).await.json();
        let waiting = &listed["reports"][0];
        assert_eq!((&waiting["state"], &waiting["case"]), (&json!("received"), &open["id"]), "{waiting}");
    }
}

/// The order in which the forge was asked.
fn asked(scene: &Scene) -> Vec<String> {
    scene.forge.asked.lock().unwrap().iter().map(|look| look.repository.to_string()).collect()
}

async fn report_about(scene: &Scene, repository: &str, cited: Option<&str>) {
    let mut body = json!({"kind": "compromised-workflow", "subject": format!("repository:{repository}")});
    if let Some(commit) = cited {
        let mut document = Scanned { repository, ..Scanned::default() }.document();
        for exposure in document["findings"][0]["exposures"].as_array_mut().unwrap() {
            exposure["introduced"]["commit"] = json!(commit.repeat(40));
            exposure["refs"] = json!([]);
        }
        body["scan"] = document;
    }
    scene.report(body).await;
}

#[tokio::test]
async fn a_flood_of_strangers_keeps_no_person_waiting_and_loses_no_report() {
    for scene in scenes().await {
        let clean = json!({"schema": "portcullis.scan/1", "complete": true, "findings": [], "problems": []});
        let mut sight = Scanned::default().sight();
        sight.document = clean.to_string();
        scene.sees(Ok(sight));
        for number in 0..25 {
            report_about(&scene, &format!("github.com/flood/r{number:02}"), None).await;
        }
        // Somebody elsewhere has not had their share; somebody who said who they are comes before both.
        scene.stage.tamper("UPDATE personal SET address = '198.51.100.7'").await;
        report_about(&scene, "github.com/example-org/elsewhere", None).await;
        let urgent =
            |number: i64| format!("SELECT COUNT(*) FROM jobs WHERE kind = 'examine' AND urgency = {number}");
        assert_eq!((scene.count(&urgent(1)).await, scene.count(&urgent(2)).await), (21, 5));
        let (_, secret) = scene.responder("rosa").await;
        let body =
            json!({"kind": "compromised-workflow", "subject": "repository:github.com/example-org/urgent"});
        assert_eq!(scene.post("/api/v1/reports", &secret, body).await.status, 201);
        // A person opens a case for one of the last: it comes to the front.
        let listed =
            scene.post("/api/v1/cases", &secret, json!({"repository": "github.com/flood/r24"})).await;
        assert_eq!(listed.status, 201);
        scene.work().await;
        let order = asked(&scene);
        let first: std::collections::BTreeSet<&str> = order[..2].iter().map(String::as_str).collect();
        let expected = ["github.com/example-org/urgent", "github.com/flood/r24"];
        assert_eq!(first, expected.into_iter().collect(), "{order:?}");
        let place = |name: &str| order.iter().position(|one| one == name).unwrap();
        assert!(place("github.com/example-org/elsewhere") < place("github.com/flood/r20"), "{order:?}");
        assert_eq!(order.len(), 27);
        assert_eq!(scene.count("SELECT COUNT(*) FROM reports").await, 27);
    }
}

#[tokio::test]
async fn past_the_limit_a_strangers_look_is_put_off_until_a_person_opens_the_case() {
    for scene in scenes().await {
        incident(&scene).await;
        report_about(&scene, "github.com/flood/first", None).await;
        // As if so many waited already.
        let limit = portcullis_index::desk::report::STRANGERS_LIMIT;
        let mut tx = scene.tx().await;
        let report: String = scene.stage.look("SELECT id FROM reports").await;
        for _ in 1..limit - 1 {
            let name =
                portcullis_index::desk::subject::RepositoryName::parse("github.com/flood/first").unwrap();
            let waiting = portcullis_index::store::examinations::Examination {
                id: portcullis_index::ids::ExaminationId::new(),
                case_id: None,
                report_id: Some(report.parse().unwrap()),
                repository: name.to_string(),
                state: portcullis_index::store::examinations::ExaminationState::Waiting,
                cited: Vec::new(),
                requested_at: scene.app().now(),
                examined_at: None,
                document: None,
                pushes: None,
                runs: None,
                problem: None,
            };
            portcullis_index::store::examinations::insert(&mut tx, &waiting).await.unwrap();
        }
        tx.commit().await.unwrap();
        let looks = format!("SELECT COUNT(*) FROM examinations WHERE repository = '{REPOSITORY}'");
        report_about(&scene, "github.com/flood/last", None).await;
        let last = "SELECT COUNT(*) FROM examinations WHERE repository = 'github.com/flood/last'";
        assert_eq!(scene.count(last).await, 1);
        let put_off = scene.report(about_repository()).await;
        assert_eq!(scene.count(&looks).await, 0);
        assert_eq!(
            scene.count("SELECT COUNT(*) FROM events WHERE details LIKE '%\"looks_put_off\":1%'").await,
            1
        );
        let (_, secret) = scene.responder("rosa").await;
        assert_eq!(scene.post("/api/v1/cases", &secret, json!({"report": put_off})).await.status, 201);
        assert_eq!(scene.count(&looks).await, 1);
    }
}

#[tokio::test]
async fn looks_are_joined_while_they_wait_and_come_later_but_always_come() {
    for scene in scenes().await {
        incident(&scene).await;
        report_about(&scene, REPOSITORY, Some("a")).await;
        report_about(&scene, REPOSITORY, Some("b")).await;
        scene.work().await;
        let cited = |look: usize| scene.forge.asked.lock().unwrap()[look].cited.clone();
        assert_eq!(cited(0), ["a".repeat(40), "b".repeat(40)]);
        assert_eq!(scene.count("SELECT COUNT(*) FROM reports WHERE level = 'E3'").await, 2);
        // What was fetched just now is looked at again later, what was not is looked at at once.
        report_about(&scene, REPOSITORY, Some("b")).await;
        scene.work().await;
        assert_eq!(asked(&scene).len(), 1);
        report_about(&scene, REPOSITORY, Some("c")).await;
        scene.work().await;
        assert_eq!(cited(1), ["b".repeat(40), "c".repeat(40)]);
        report_about(&scene, REPOSITORY, Some("b")).await;
        scene.work().await;
        assert_eq!(asked(&scene).len(), 2);
        scene.stage.clock.pass_seconds(600);
        scene.work().await;
        assert_eq!(asked(&scene).len(), 3);
        assert_eq!(scene.count("SELECT COUNT(*) FROM reports WHERE level = 'E3'").await, 5);
    }
}

#[tokio::test]
async fn a_repository_that_says_too_much_is_contained_all_the_same() {
    for scene in scenes().await {
        let incident = incident(&scene).await;
        let mut sight = Scanned { introduced: incident.pushed, stands: false, ..Scanned::default() }.sight();
        let mut document: Value = serde_json::from_str(&sight.document).unwrap();
        // The malicious commit was tagged once more than anybody reads, and decoys stand around it.
        let mut decoy = document["findings"][0].clone();
        let removed = json!({"commit": "c".repeat(40)});
        let tag = |number: usize| json!({"ref": format!("refs/tags/t{number}"), "removed": removed});
        let tags: Vec<Value> = (0..=2_000).map(tag).collect();
        document["findings"][0]["exposures"][0]["refs"] = tags.into();
        decoy["verdict"] = json!("suspicious");
        decoy["exposures"] = json!([]);
        let decoys = std::iter::repeat_n(decoy, 10_000);
        let findings = document["findings"].as_array_mut().unwrap();
        *findings = decoys.chain(std::mem::take(findings)).collect();
        sight.document = document.to_string();
        scene.sees(Ok(sight));
        let (_, secret) = scene.responder("rosa").await;
        let case = opened(&scene, &secret).await;
        let plan = planned(&scene, &secret, &case).await;
        assert_eq!(types(&plan), ["suspend-token", "hold-file", "hold-release"], "{plan}");
        let radius = scene.get(&format!("/api/v1/cases/{case}/radius"), &secret).await.json();
        assert!(radius["repositories"][0]["problem"].as_str().unwrap().contains("truncated"), "{radius}");
    }
}
