//! Uploads through the router: what is taken, what is refused and in which words, and that a refusal leaves nothing.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures::SinkExt;
use portcullis_index::account::{self, NewAccount};
use portcullis_index::api_token::{self, NewToken};
use portcullis_index::blobs;
use portcullis_index::clock::Clock;
use portcullis_index::history::Actor;
use portcullis_index::ids::TokenId;
use portcullis_index::store::accounts::{self, Account, AccountRole, AccountState};
use portcullis_index::store::files::{self, FileState};
use portcullis_index::store::projects;
use portcullis_index::store::token_uses::{self, UseKind};
use portcullis_index::store::tokens::{self, StateChange, TokenState};
use portcullis_trust::caveat::Caveat;
use portcullis_trust::token::PresentedToken;
use secrecy::ExposeSecret;

use crate::distribution::{BOUNDARY, Upload, request, wheel, wheel_name, wheel_with, zip};
use crate::support::{Answer, Stage, stages, stages_with};

struct Person {
    account: Account,
    token_id: TokenId,
    token: String,
}

async fn person(stage: &Stage, name: &str, projects: &[&str]) -> Person {
    let new = NewAccount {
        name: name.to_owned(),
        email: format!("{name}@people.example"),
        role: AccountRole::User,
        password: None,
    };
    let account = match account::by_name(&stage.app, name).await {
        Ok(account) => account,
        Err(_) => account::add(&stage.app, new, Actor::Operator).await.unwrap(),
    };
    let new = NewToken {
        projects: projects.iter().map(|name| (*name).to_owned()).collect(),
        ..NewToken::default()
    };
    let (token, text) = api_token::create(&stage.app, &account, new, Actor::Operator, None).await.unwrap();
    Person { account, token_id: token.id, token: text.expose_secret().to_owned() }
}

async fn json_page(stage: &Stage) -> serde_json::Value {
    let request = Request::get("/simple/demo-pkg/").header("accept", "application/vnd.pypi.simple.v1+json");
    stage.send(request.body(Body::empty()).unwrap()).await.json()
}

fn refused(answer: &Answer, status: StatusCode, text: &str) {
    let reason = answer.reason.clone().unwrap_or_default();
    assert_eq!(answer.status, status, "{reason}");
    assert!(reason.contains(text), "reason {reason:?} lacks {text:?}");
    assert!(answer.text().contains(&reason.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")));
}

/// Nothing of a refused upload stays: no project, no file, no content that a sweep would not take.
async fn nothing_stored(stage: &Stage) {
    assert_eq!(stage.get("/simple/demo-pkg/").await.status, StatusCode::NOT_FOUND);
    blobs::sweep(&stage.app.store, &stage.app.blobs, stage.clock.now()).await.unwrap();
    let folder = &stage.app.settings.blobs;
    let left = std::fs::read_dir(folder).unwrap().flatten().filter(|entry| {
        entry.file_name() != "incoming"
            && std::fs::read_dir(entry.path())
                .unwrap()
                .flatten()
                .any(|entry| entry.path().read_dir().unwrap().next().is_some())
    });
    assert_eq!(left.count(), 0, "{}", stage.name);
    assert_eq!(std::fs::read_dir(folder.join("incoming")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_wheel_is_taken_shown_and_served_as_it_was_sent() {
    for stage in stages().await {
        let alice = person(&stage, "alice", &[]).await;
        let content = wheel_with("1.0", "", &["Requires-Python: >=3.8", "Requires-Dist: other>=1"]).await;
        let upload = Upload::of_wheel("1.0", content.clone())
            .with("requires_python", ">=3.8")
            .with("requires_dist", "other >= 1")
            .with("project_urls", "Source, https://github.com/Example/Demo");
        let answer = stage.send(upload.request(&alice.token)).await;
        assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0), "{:?}", answer.reason);
        stage.seal().await;
        let page = json_page(&stage).await;
        assert_eq!(page["versions"], serde_json::json!(["1.0"]));
        assert_eq!(page["files"][0]["requires-python"], ">=3.8");
        assert!(page["meta"]["_last-serial"].as_i64().unwrap() > 0);
        let path = page["files"][0]["url"]
            .as_str()
            .unwrap()
            .strip_prefix("https://packages.example")
            .unwrap()
            .to_owned();
        assert_eq!(stage.get(&path).await.body, content);
        let metadata = stage.get(&format!("{path}.metadata")).await;
        assert!(metadata.text().starts_with("Metadata-Version: 2.3\nName: Demo.Pkg\n"));
        // Who made it owns it, and the repository that its metadata names is remembered as a claim.
        let mut tx = stage.app.store.read().await.unwrap();
        let project = projects::by_name(&mut tx, "demo-pkg").await.unwrap().unwrap();
        assert_eq!(projects::members(&mut tx, project.id).await.unwrap()[0].0, alice.account.id);
        let links = projects::links_of_project(&mut tx, project.id).await.unwrap();
        assert_eq!(links[0].repository, "github.com/example/demo");
        let uses = token_uses::of_token(&mut tx, alice.token_id).await.unwrap();
        assert_eq!(
            (uses.len(), uses[0].kind, uses[0].address.as_deref()),
            (1, UseKind::Upload, Some("127.0.0.1"))
        );
    }
}

#[tokio::test]
async fn the_same_file_again_changes_nothing_and_other_bytes_are_refused() {
    for stage in stages().await {
        let alice = person(&stage, "alice", &[]).await;
        let upload = Upload::of_wheel("1.0", wheel("1.0", "one").await);
        assert_eq!(stage.send(upload.request(&alice.token)).await.status, StatusCode::OK);
        stage.seal().await;
        let before = json_page(&stage).await["meta"]["_last-serial"].clone();
        assert_eq!(stage.send(upload.request(&alice.token)).await.status, StatusCode::OK);
        stage.seal().await;
        let serial = json_page(&stage).await["meta"]["_last-serial"].clone();
        assert_eq!(serial, before, "the same file again changes nothing of the index");
        // But whoever tries a stolen token with a file that is there already has used it, and that is recorded.
        let mut tx = stage.app.store.read().await.unwrap();
        let uses = token_uses::of_token(&mut tx, alice.token_id).await.unwrap();
        assert_eq!(
            uses.iter().map(|one| one.outcome.as_str()).collect::<Vec<_>>(),
            ["accepted", "accepted: nothing new"]
        );
        drop(tx);
        let other = Upload::of_wheel("1.0", wheel("1.0", "two").await);
        refused(
            &stage.send(other.request(&alice.token)).await,
            StatusCode::BAD_REQUEST,
            "File already exists ('demo_pkg-1.0-py3-none-any.whl', with blake2_256 hash '",
        );
        let mut renamed = Upload::of_wheel("1.0", upload.content.clone());
        renamed.filename = String::from("demo_pkg-1.0-1-py3-none-any.whl");
        refused(
            &stage.send(renamed.request(&alice.token)).await,
            StatusCode::BAD_REQUEST,
            "File already exists",
        );
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_in_pypis_words_and_leaves_nothing() {
    let good = wheel("1.0", "").await;
    let upload = || Upload::of_wheel("1.0", good.clone());
    let no_wheel = zip(&[("demo_pkg/__init__.py", "")]).await;
    let escaping = zip(&[("../x", "")]).await;
    let bad = [
        (
            upload().with("sha256_digest", &"0".repeat(64)),
            "The digest supplied does not match a digest calculated from the uploaded file.",
        ),
        (Upload::of_wheel("1.0", b"not a zip".to_vec()), "Invalid distribution file. File is not a zipfile"),
        (Upload::of_wheel("1.0", Vec::new()), "Invalid distribution file. File is not a zipfile"),
        (
            Upload::of_wheel("1.0", good[..good.len() - 9].to_vec()),
            "Invalid distribution file. ZIP archive not accepted",
        ),
        (
            Upload::of_wheel("1.0", [b"PK\x03\x04".as_slice(), &good].concat()),
            "Invalid distribution file. ZIP archive not accepted",
        ),
        (Upload::of_wheel("1.0", no_wheel), "WHEEL not found at demo_pkg-1.0.dist-info/WHEEL"),
        (Upload::of_wheel("1.0", escaping), "ZIP archive not accepted: Invalid character in filename"),
        (upload().with("version", "1.1"), "Version in filename should be '1.1' not '1.0'."),
        (
            upload().with("requires_python", ">=3.9"),
            "Metadata field 'requires-python' of the form differs from the file's.",
        ),
        (
            upload().with("requires_dist", "evil"),
            "Metadata field 'requires-dist' of the form differs from the file's.",
        ),
        (upload().with("name", "http"), "isn't allowed (conflict with Python Standard Library module name)"),
        (upload().with("name", ""), "'' is an invalid value for Name."),
        (upload().with("attestations", "[]"), "Invalid attestations supplied during upload"),
        (upload().named("demo_pkg-1.0-py3-none-any.exe"), "Invalid file extension"),
    ];
    for stage in stages().await {
        let alice = person(&stage, "alice", &[]).await;
        for (upload, text) in &bad {
            // A name that is a module's is refused when the project would be made, so its file must fit it first.
            let upload = match upload.fields.iter().any(|(_, value)| value == "http") {
                true => http_wheel().await,
                false => Upload {
                    fields: upload.fields.clone(),
                    filename: upload.filename.clone(),
                    content: upload.content.clone(),
                },
            };
            refused(&stage.send(upload.request(&alice.token)).await, StatusCode::BAD_REQUEST, text);
        }
        nothing_stored(&stage).await;
        let mut tx = stage.app.store.read().await.unwrap();
        let uses = token_uses::of_token(&mut tx, alice.token_id).await.unwrap();
        assert_eq!(uses.iter().filter(|one| one.kind == UseKind::RefusedUpload).count(), bad.len());
    }
}

async fn http_wheel() -> Upload {
    let metadata = "Metadata-Version: 2.3\nName: http\nVersion: 1.0\n";
    let content = zip(&[
        ("http-1.0.dist-info/METADATA", metadata),
        ("http-1.0.dist-info/WHEEL", ""),
        ("http-1.0.dist-info/RECORD", ""),
    ])
    .await;
    Upload::of_wheel("1.0", content).with("name", "http").named("http-1.0-py3-none-any.whl")
}

#[tokio::test]
async fn a_field_at_the_limit_is_taken_and_one_past_it_refused() {
    let content = wheel("1.0", "").await;
    for stage in stages().await {
        let alice = person(&stage, "alice", &[]).await;
        let past = Upload::of_wheel("1.0", content.clone()).with("description", &"x".repeat(1024 * 1024 + 1));
        refused(
            &stage.send(past.request(&alice.token)).await,
            StatusCode::PAYLOAD_TOO_LARGE,
            "The form field 'description' is too large.",
        );
        let ten = Upload::of_wheel("1.0", content.clone()).with("description", &"x".repeat(10 * 1024 * 1024));
        refused(
            &stage.send(ten.request(&alice.token)).await,
            StatusCode::PAYLOAD_TOO_LARGE,
            "The form field 'description' is too large.",
        );
        nothing_stored(&stage).await;
        let at = Upload::of_wheel("1.0", content.clone()).with("description", &"x".repeat(1024 * 1024));
        assert_eq!(stage.send(at.request(&alice.token)).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_file_at_the_limit_is_taken_and_one_past_it_refused() {
    let content = wheel("1.0", "").await;
    for (spare, taken) in [(0, true), (-1, false)] {
        let limit = content.len() as i64 + spare;
        for stage in stages_with(&format!("[limits]\nfile = {limit}\n")).await {
            let alice = person(&stage, "alice", &[]).await;
            let answer = stage.send(Upload::of_wheel("1.0", content.clone()).request(&alice.token)).await;
            if taken {
                assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.reason);
            } else {
                refused(
                    &answer,
                    StatusCode::BAD_REQUEST,
                    "File too large. Limit for project 'Demo.Pkg' is 0 MB.",
                );
                nothing_stored(&stage).await;
            }
        }
    }
}

#[tokio::test]
async fn who_is_nobody_reads_one_neutral_text() {
    for stage in stages().await {
        let alice = person(&stage, "alice", &[]).await;
        let upload = Upload::of_wheel("1.0", wheel("1.0", "").await);
        let neutral = "Invalid or non-existent authentication information.";
        let mut other_stage_token = alice.token.clone();
        other_stage_token.truncate(alice.token.len() - 60);
        for token in ["", "pypi-", "pypi-AgEIcHlwaS5vcmc", "nothing", &other_stage_token] {
            refused(&stage.send(upload.request(token)).await, StatusCode::FORBIDDEN, neutral);
        }
        let password = Request::post("/legacy/")
            .header("authorization", "Basic YWxpY2U6c2VjcmV0")
            .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
            .body(Body::from(upload.body()))
            .unwrap();
        refused(
            &stage.send(password).await,
            StatusCode::FORBIDDEN,
            "Username/Password authentication is no longer supported.",
        );
        let mut tx = stage.app.store.write().await.unwrap();
        accounts::set_state(&mut tx, alice.account.id, AccountState::Frozen, None).await.unwrap();
        tx.commit().await.unwrap();
        refused(&stage.send(upload.request(&alice.token)).await, StatusCode::FORBIDDEN, neutral);
        nothing_stored(&stage).await;
    }
}

#[tokio::test]
async fn a_cut_caveat_a_foreign_project_and_a_stranger_are_refused() {
    for stage in stages().await {
        let alice = person(&stage, "alice", &[]).await;
        let upload = Upload::of_wheel("1.0", wheel("1.0", "").await);
        assert_eq!(stage.send(upload.request(&alice.token)).await.status, StatusCode::OK);
        let next = Upload::of_wheel("1.1", wheel("1.1", "").await);

        // Attenuated by its holder to another project; then that caveat cut off again, its signature kept.
        let narrowed = PresentedToken::parse(&alice.token)
            .unwrap()
            .attenuated(&Caveat::ProjectNames(vec![String::from("other")]));
        let narrowed = narrowed.expose_secret().to_owned();
        refused(
            &stage.send(next.request(&narrowed)).await,
            StatusCode::FORBIDDEN,
            "Invalid API Token: project-scoped token is not valid for project: 'Demo.Pkg'",
        );
        refused(
            &stage.send(next.request(&cut_last_caveat(&narrowed, "other"))).await,
            StatusCode::FORBIDDEN,
            "Invalid API Token: signatures do not match",
        );

        let scoped = person(&stage, "alice", &["demo-pkg"]).await;
        assert_eq!(stage.send(next.request(&scoped.token)).await.status, StatusCode::OK);
        let bob = person(&stage, "bob", &[]).await;
        let third = Upload::of_wheel("1.2", wheel("1.2", "").await);
        refused(
            &stage.send(third.request(&bob.token)).await,
            StatusCode::FORBIDDEN,
            "The user 'bob' isn't allowed to upload to project 'Demo.Pkg'.",
        );
    }
}

/// The macaroon with its last caveat taken out (v2: `02 LENGTH BYTES 00` before the closing `00 06 20 SIGNATURE`).
fn cut_last_caveat(token: &str, project: &str) -> String {
    use base64::Engine;
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut bytes = engine.decode(token.strip_prefix("pypi-").unwrap()).unwrap();
    let caveat = Caveat::ProjectNames(vec![project.to_owned()]).to_json();
    let packet = [&[2, u8::try_from(caveat.len()).unwrap()], caveat.as_bytes(), &[0]].concat();
    let at = bytes.windows(packet.len()).rposition(|window| window == packet).unwrap();
    bytes.drain(at..at + packet.len());
    format!("pypi-{}", engine.encode(bytes))
}

async fn suspend(stage: &Stage, id: TokenId) {
    let mut tx = stage.app.store.write().await.unwrap();
    tokens::by_id_locked(&mut tx, id).await.unwrap();
    let change = StateChange {
        state: TokenState::Suspended,
        cause: Some("it was stolen"),
        case_id: None,
        at: stage.clock.now(),
    };
    assert!(tokens::set_state(&mut tx, id, &change).await.unwrap());
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_suspended_while_the_body_streams_is_refused_at_the_end() {
    for stage in stages_with("contact = \"security@packages.example\"\n").await {
        let alice = person(&stage, "alice", &[]).await;
        let upload = Upload::of_wheel("1.0", wheel("1.0", "").await);
        let body = upload.body();
        let (first, rest) = body.split_at(body.len() / 2);
        let (mut sender, receiver) = futures::channel::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
        let answer = stage.send(request(&alice.token, Body::from_stream(receiver)));
        let decide = async {
            sender.send(Ok(first.to_vec())).await.unwrap();
            // The token was accepted and half of the body is here: now the decision falls.
            suspend(&stage, alice.token_id).await;
            sender.send(Ok(rest.to_vec())).await.unwrap();
            drop(sender);
        };
        let (answer, ()) = tokio::join!(answer, decide);
        refused(&answer, StatusCode::FORBIDDEN, "Invalid API Token: token was suspended on 2026-01-01");
        refused(&answer, StatusCode::FORBIDDEN, "because it was stolen; contact security@packages.example");
        nothing_stored(&stage).await;
        // Who can't prove to hold it learns nothing.
        let narrowed = PresentedToken::parse(&alice.token)
            .unwrap()
            .attenuated(&Caveat::ProjectNames(vec![String::from("x")]));
        let forged = cut_last_caveat(narrowed.expose_secret(), "x");
        let answer = stage.send(upload.request(&forged)).await;
        assert!(!answer.reason.unwrap().contains("suspended"));
    }
}

#[tokio::test]
async fn an_upload_waits_for_a_decision_that_is_just_being_committed() {
    for stage in stages().await {
        let alice = person(&stage, "alice", &[]).await;
        let upload = Upload::of_wheel("1.0", wheel("1.0", "").await);
        // The decision is written but not committed: whoever reads without a lock still sees a live token.
        let mut tx = stage.app.store.write().await.unwrap();
        let change = StateChange {
            state: TokenState::Suspended,
            cause: Some("it was stolen"),
            case_id: None,
            at: stage.clock.now(),
        };
        tokens::set_state(&mut tx, alice.token_id, &change).await.unwrap();
        let answer = stage.send(upload.request(&alice.token));
        tokio::pin!(answer);
        let early = tokio::time::timeout(std::time::Duration::from_millis(400), &mut answer).await;
        assert!(early.is_err(), "{}: an upload was answered before the decision fell", stage.name);
        tx.commit().await.unwrap();
        refused(&answer.await, StatusCode::FORBIDDEN, "token was suspended");
        nothing_stored(&stage).await;
    }
}

#[tokio::test]
async fn every_use_is_recorded_and_verification_compares_it_with_its_event() {
    for stage in stages().await {
        let alice = person(&stage, "alice", &[]).await;
        let upload = Upload::of_wheel("1.0", wheel("1.0", "").await);
        stage.send(upload.request(&alice.token)).await;
        stage.send(upload.request(&alice.token)).await;
        // Refused before anything of it was understood: no form at all, and another action.
        let plain = Request::post("/legacy/")
            .header("authorization", format!("Bearer {}", alice.token))
            .body(Body::empty());
        assert_eq!(stage.send(plain.unwrap()).await.status, StatusCode::BAD_REQUEST);
        let submit = Upload::of_wheel("1.1", wheel("1.1", "").await).with(":action", "submit");
        assert_eq!(stage.send(submit.request(&alice.token)).await.status, StatusCode::GONE);
        // Presented after its end.
        let mut tx = stage.app.store.write().await.unwrap();
        let change =
            StateChange { state: TokenState::Revoked, cause: None, case_id: None, at: stage.clock.now() };
        tokens::set_state(&mut tx, alice.token_id, &change).await.unwrap();
        tx.commit().await.unwrap();
        refused(
            &stage.send(upload.request(&alice.token)).await,
            StatusCode::FORBIDDEN,
            "Invalid or non-existent authentication information.",
        );
        stage.seal().await;
        let mut tx = stage.app.store.read().await.unwrap();
        assert_eq!(token_uses::of_token(&mut tx, alice.token_id).await.unwrap().len(), 5, "{}", stage.name);
        drop(tx);
        let faults = async || {
            portcullis_index::history::verify(
                &stage.app.store,
                &stage.app.server_key,
                None,
                stage.clock.now(),
            )
            .await
            .unwrap()
            .faults
        };
        assert_eq!(faults().await, vec![]);
        stage.tamper("UPDATE token_uses SET filename = 'other.whl' WHERE kind = 'refused-upload'").await;
        assert!(!faults().await.is_empty());
        stage.tamper("DELETE FROM token_uses").await;
        assert_eq!(faults().await.len(), 5);
    }
}

/// A wheel whose METADATA unpacks to more than its headers announce.
async fn lying_wheel() -> Vec<u8> {
    let filler = "x".repeat(4 * 1024 * 1024);
    let mut bytes = wheel_with("1.0", "", &[&filler]).await;
    let size = u32::try_from(filler.len()).unwrap();
    // The size stands in the local and in the central header, little-endian; it is the only number that large.
    let positions: Vec<usize> = (0..bytes.len() - 4)
        .filter(|at| {
            u32::from_le_bytes(bytes[*at..at + 4].try_into().unwrap())
                .checked_sub(size)
                .is_some_and(|more| more < 200)
        })
        .collect();
    assert!(positions.len() >= 2);
    for at in positions {
        bytes[at..at + 4].copy_from_slice(&100_u32.to_le_bytes());
    }
    bytes
}

#[tokio::test]
async fn metadata_that_unpacks_to_more_than_announced_is_stopped() {
    let bomb = lying_wheel().await;
    for stage in stages().await {
        let alice = person(&stage, "alice", &[]).await;
        let answer = stage.send(Upload::of_wheel("1.0", bomb.clone()).request(&alice.token)).await;
        refused(&answer, StatusCode::BAD_REQUEST, "ZIP archive not accepted: Mis-matched file size");
        nothing_stored(&stage).await;
    }
}

#[tokio::test]
async fn a_held_file_is_not_offered_and_says_why_by_its_address() {
    for stage in stages().await {
        let alice = person(&stage, "alice", &[]).await;
        stage.send(Upload::of_wheel("1.0", wheel("1.0", "").await).request(&alice.token)).await;
        let page = json_page(&stage).await;
        let path = page["files"][0]["url"]
            .as_str()
            .unwrap()
            .strip_prefix("https://packages.example")
            .unwrap()
            .to_owned();
        let etag = stage.get("/simple/demo-pkg/").await.headers["etag"].clone();
        let known = Request::get("/simple/demo-pkg/")
            .header("if-none-match", etag.clone())
            .body(Body::empty())
            .unwrap();
        assert_eq!(stage.send(known).await.status, StatusCode::NOT_MODIFIED);
        let mut tx = stage.app.store.write().await.unwrap();
        let file = files::by_filename(&mut tx, &wheel_name("1.0")).await.unwrap().unwrap();
        files::set_file_state(&mut tx, file.id, FileState::Held, Some("a thief uploaded it"), None)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let known =
            Request::get("/simple/demo-pkg/").header("if-none-match", etag).body(Body::empty()).unwrap();
        let page = stage.send(known).await;
        assert_eq!(page.status, StatusCode::OK, "a quarantine is seen at the next request");
        assert!(!page.text().contains(&wheel_name("1.0")));
        for path in [path.clone(), format!("{path}.metadata")] {
            let answer = stage.get(&path).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
            assert!(answer.text().contains("the file is held: a thief uploaded it"));
        }
    }
}

#[tokio::test]
async fn a_release_takes_new_files_for_fourteen_days() {
    for (seconds, taken) in [(14 * 86_400 - 60, true), (14 * 86_400 + 1, false)] {
        for stage in stages().await {
            let alice = person(&stage, "alice", &[]).await;
            let first = Upload::of_wheel("1.0", wheel("1.0", "").await);
            stage.send(first.request(&alice.token)).await;
            stage.clock.pass_seconds(seconds);
            let second =
                Upload::of_wheel("1.0", wheel("1.0", "other").await).named("demo_pkg-1.0-1-py3-none-any.whl");
            let answer = stage.send(second.request(&alice.token)).await;
            if taken {
                assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.reason);
            } else {
                refused(
                    &answer,
                    StatusCode::BAD_REQUEST,
                    "Uploading new files to releases older than 14 days is not allowed.",
                );
                assert_eq!(stage.send(first.request(&alice.token)).await.status, StatusCode::OK);
            }
        }
    }
}

#[tokio::test]
async fn two_identical_uploads_at_once_store_one_file() {
    for stage in stages().await {
        let alice = person(&stage, "alice", &[]).await;
        let upload = Upload::of_wheel("1.0", wheel("1.0", "").await);
        let (one, two) =
            tokio::join!(stage.send(upload.request(&alice.token)), stage.send(upload.request(&alice.token)));
        for answer in [&one, &two] {
            assert!(
                matches!(answer.status, StatusCode::OK | StatusCode::BAD_REQUEST | StatusCode::CONFLICT),
                "{:?}",
                answer.reason
            );
        }
        assert!(one.status == StatusCode::OK || two.status == StatusCode::OK);
        assert_eq!(json_page(&stage).await["files"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_stores_nothing_and_reserves_no_name() {
    for stage in stages().await {
        let alice = person(&stage, "alice", &[]).await;
        let upload = Upload::of_wheel("1.0", wheel("1.0", "").await);
        let body = upload.body();
        let half = body[..body.len() / 2].to_vec();
        let answer = stage.send(request(&alice.token, Body::from(half))).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        nothing_stored(&stage).await;
        assert_eq!(stage.send(upload.request(&alice.token)).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn reading_can_be_for_those_who_sign_in() {
    for stage in stages_with("[access]\nread = \"signed-in\"\n").await {
        let alice = person(&stage, "alice", &[]).await;
        stage.send(Upload::of_wheel("1.0", wheel("1.0", "").await).request(&alice.token)).await;
        let anonymous = stage.get("/simple/demo-pkg/").await;
        assert_eq!(anonymous.status, StatusCode::UNAUTHORIZED);
        assert!(anonymous.headers.contains_key("www-authenticate"));
        let read = |token: &str| {
            Request::get("/simple/demo-pkg/")
                .header("authorization", format!("Bearer {token}"))
                .body(Body::empty())
                .unwrap()
        };
        assert_eq!(
            stage.send(read(&alice.token)).await.status,
            StatusCode::UNAUTHORIZED,
            "an upload token may not read"
        );
        let new = NewToken { read_only: true, ..NewToken::default() };
        let (_, reader) =
            api_token::create(&stage.app, &alice.account, new, Actor::Operator, None).await.unwrap();
        let answer = stage.send(read(reader.expose_secret())).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["cache-control"], "private, no-cache");
        let upload = Upload::of_wheel("1.1", wheel("1.1", "").await);
        assert_eq!(
            stage.send(upload.request(reader.expose_secret())).await.status,
            StatusCode::FORBIDDEN,
            "a read token may not upload"
        );
    }
}

#[tokio::test]
async fn names_are_redirected_to_their_normalised_form() {
    for stage in stages().await {
        for path in ["/simple/Demo_Pkg/", "/simple/demo-pkg", "/simple/DEMO.PKG"] {
            let answer = stage.get(path).await;
            assert_eq!(
                (answer.status, &answer.headers["location"]),
                (StatusCode::MOVED_PERMANENTLY, &"/simple/demo-pkg/".parse().unwrap()),
                "{path}"
            );
        }
        assert_eq!(stage.get("/simple/%2f%2fevil.example/").await.status, StatusCode::NOT_FOUND);
        let no_slash = stage.send(Request::post("/legacy").body(Body::empty()).unwrap()).await;
        assert_eq!(no_slash.status, StatusCode::PERMANENT_REDIRECT);
        assert_eq!(no_slash.headers["location"], "https://packages.example/legacy/");
    }
}
