//! The security history: what was changed, taken, moved or cut is found.

use portcullis_index::account::{self, NewAccount};
use portcullis_index::clock::Clock;
use portcullis_index::history::{self, Actor, Checkpoint, Event, Fault, Origin, Verification};
use portcullis_index::ids::AccountId;
use portcullis_index::store::accounts::AccountRole;
use portcullis_index::store::events;

use crate::support::{Stage, stages};

async fn record(stage: &Stage, number: i64) {
    let mut tx = stage.app.store.write().await.unwrap();
    let mut event = Event::new("account:login:success", Actor::Operator);
    event.details = serde_json::json!({ "number": number });
    event.origin = Some(Origin { address: "192.0.2.7".parse().unwrap(), user_agent: String::from("test/1") });
    history::record(&mut tx, stage.clock.now(), event).await.unwrap();
    tx.commit().await.unwrap();
}

/// Twelve events in three batches; returns the last checkpoint.
async fn filled(stage: &Stage) -> Checkpoint {
    let mut newest = None;
    for batch in 0..3 {
        for number in 0..4 {
            record(stage, batch * 4 + number).await;
        }
        newest = stage.seal().await;
    }
    newest.unwrap()
}

async fn verify(stage: &Stage, outside: Option<&Checkpoint>) -> Verification {
    history::verify(&stage.app.store, &stage.app.server_key, outside, stage.clock.now()).await.unwrap()
}

#[tokio::test]
async fn an_untouched_history_is_consistent_and_says_how_far_that_reaches() {
    for stage in stages().await {
        let checkpoint = filled(&stage).await;
        let alone = verify(&stage, None).await;
        assert_eq!(alone.faults, vec![]);
        assert_eq!(alone.events, 12);
        assert!(alone.sentence() == "consistent; a cut after the last outside checkpoint can't be excluded");
        assert_eq!(alone.newest.as_ref(), Some(&checkpoint));
        let with = verify(&stage, Some(&checkpoint)).await;
        assert_eq!(with.faults, vec![]);
        assert!(with.sentence().contains("outside checkpoint at event 12 is included"));
    }
}

/// What is sealed between the reading of the checkpoints and that of the events is no forgery.
#[tokio::test]
async fn a_history_is_verified_while_it_goes_on() {
    for stage in stages().await {
        filled(&stage).await;
        let goes_on = async {
            for number in 0..40 {
                record(&stage, number).await;
                stage.seal().await;
            }
        };
        let is_read = async {
            for _ in 0..40 {
                assert_eq!(verify(&stage, None).await.faults, vec![]);
            }
        };
        tokio::join!(goes_on, is_read);
    }
}

#[tokio::test]
async fn every_changed_column_is_found() {
    for change in [
        "tag = 'account:login:failure'",
        "at = at + 1",
        "details = '{}'",
        "actor = '{\"kind\":\"anonymous\"}'",
        "account_id = 'x'",
        "project_id = 'x'",
        "case_id = 'x'",
        "token_id = 'x'",
        "journal = 1",
        "personal_digest = NULL",
    ] {
        for stage in stages().await {
            filled(&stage).await;
            // An id that does not parse would stop the reading: a real one is put in its place.
            let id = AccountId::new();
            let change = change.replace("'x'", &format!("'{id}'"));
            stage.tamper(&format!("UPDATE events SET {change} WHERE position = 6")).await;
            let found = verify(&stage, None).await;
            assert!(
                found.faults.contains(&Fault::Changed { position: 6 }),
                "{} {change}: {:?}",
                stage.name,
                found.faults
            );
        }
    }
}

#[tokio::test]
async fn a_missing_row_is_found() {
    for stage in stages().await {
        filled(&stage).await;
        stage.tamper("DELETE FROM events WHERE position = 6").await;
        assert!(verify(&stage, None).await.faults.contains(&Fault::Missing { position: 6 }));
    }
}

#[tokio::test]
async fn reordered_rows_are_found_whether_their_chain_values_moved_with_them_or_not() {
    for with_chain in [true, false] {
        for stage in stages().await {
            filled(&stage).await;
            if !with_chain {
                let sixth = stage.look("SELECT chain FROM events WHERE position = 6").await;
                let seventh = stage.look("SELECT chain FROM events WHERE position = 7").await;
                stage.tamper(&format!("UPDATE events SET chain = '{seventh}' WHERE position = 6")).await;
                stage.tamper(&format!("UPDATE events SET chain = '{sixth}' WHERE position = 7")).await;
            }
            stage.tamper("UPDATE events SET position = -1 WHERE position = 6").await;
            stage.tamper("UPDATE events SET position = 6 WHERE position = 7").await;
            stage.tamper("UPDATE events SET position = 7 WHERE position = -1").await;
            let faults = verify(&stage, None).await.faults;
            assert!(
                faults.contains(&Fault::Reordered { position: 6 })
                    || faults.contains(&Fault::Reordered { position: 7 }),
                "{} {with_chain}: {faults:?}",
                stage.name
            );
        }
    }
}

#[tokio::test]
async fn a_cut_is_found_by_a_checkpoint_inside_or_only_by_one_outside() {
    for stage in stages().await {
        let outside = filled(&stage).await;
        stage.tamper("DELETE FROM events WHERE position > 8").await;
        assert!(verify(&stage, None).await.faults.contains(&Fault::Cut { last: 8, covered: 12 }));
        stage.tamper("DELETE FROM checkpoints WHERE last_position > 8").await;
        assert_eq!(verify(&stage, None).await.faults, vec![]);
        let found = verify(&stage, Some(&outside)).await.faults;
        assert_eq!(found, vec![Fault::Cut { last: 8, covered: 12 }]);
    }
}

#[tokio::test]
async fn a_rewritten_chain_is_found_by_its_checkpoints() {
    for stage in stages().await {
        let outside = filled(&stage).await;
        // Somebody who can write the database, but not sign, makes a consistent chain anew.
        stage.tamper("UPDATE events SET details = '{}' WHERE position = 2").await;
        stage.tamper("UPDATE events SET position = NULL, chain = NULL").await;
        stage.tamper("DELETE FROM checkpoints").await;
        while stage.seal().await.is_some() {}
        let found = verify(&stage, Some(&outside)).await.faults;
        assert!(found.contains(&Fault::Checkpoint { position: 12 }), "{found:?}");
    }
}

#[tokio::test]
async fn a_forged_outside_checkpoint_is_refused() {
    for stage in stages().await {
        let mut outside = filled(&stage).await;
        outside.at += 1;
        assert_eq!(verify(&stage, Some(&outside)).await.faults, vec![Fault::Checkpoint { position: 12 }]);
    }
}

/// Recomputes the chain from a position on, as somebody can who has the database and knows the public formula.
async fn make_chain_anew(stage: &Stage) {
    stage.tamper("DELETE FROM checkpoints").await;
    stage.tamper("UPDATE events SET position = NULL, chain = NULL").await;
    let mut tx = stage.app.store.read().await.unwrap();
    let keys = events::signing_keys(&mut tx, events::SigningPurpose::Checkpoint).await.unwrap();
    drop(tx);
    assert_eq!(keys.len(), 1);
    while stage.seal().await.is_some() {}
}

#[tokio::test]
async fn a_chain_that_was_made_anew_without_the_key_stands_under_no_checkpoint() {
    for stage in stages().await {
        filled(&stage).await;
        stage.tamper("UPDATE events SET details = '{}' WHERE position = 6").await;
        make_chain_anew(&stage).await;
        // The forger can't sign: all he can do with the checkpoints that no longer fit is to take them away.
        stage.tamper("DELETE FROM checkpoints").await;
        let faults = verify(&stage, None).await.faults;
        assert_eq!(faults, vec![Fault::Unsigned { position: 1 }], "{}", stage.name);
    }
}

#[tokio::test]
async fn a_checkpoint_in_the_middle_that_is_gone_is_found() {
    for stage in stages().await {
        filled(&stage).await;
        stage.tamper("DELETE FROM checkpoints WHERE last_position = 8").await;
        assert_eq!(verify(&stage, None).await.faults, vec![Fault::Unsigned { position: 5 }]);
    }
}

#[tokio::test]
async fn a_key_that_was_not_made_with_the_server_key_signs_nothing() {
    for stage in stages().await {
        filled(&stage).await;
        // The forger signs with a key of his own and puts it beside the real one.
        let other = crate::support::stages().await.remove(0);
        let key = other.app.checkpoint_signer.public_key();
        let id = other.app.checkpoint_signer.id.clone();
        let sealed = if stage.name == "sqlite" { "x'0102'" } else { "'\\x0102'::bytea" };
        stage
            .tamper(&format!(
                "INSERT INTO signing_keys (id, purpose, public_key, sealed_seed, created_at) \
                 VALUES ('{id}', 'checkpoint', '{key}', {sealed}, 0)"
            ))
            .await;
        let chain = stage.look("SELECT chain FROM checkpoints WHERE last_position = 12").await;
        let signature =
            other.app.checkpoint_signer.sign(history::checkpoint_message(12, &chain, 7).as_bytes());
        stage
            .tamper(&format!(
                "UPDATE checkpoints SET key_id = '{id}', at = 7, signature = '{signature}' WHERE last_position = 12"
            ))
            .await;
        let faults = verify(&stage, None).await.faults;
        assert!(faults.contains(&Fault::ForeignKey { key: id }), "{}: {faults:?}", stage.name);
        assert!(faults.contains(&Fault::Checkpoint { position: 12 }), "{}: {faults:?}", stage.name);
    }
}

#[tokio::test]
async fn personal_fields_can_be_erased_but_not_changed() {
    for stage in stages().await {
        let new = NewAccount {
            name: String::from("alice"),
            email: String::from("alice@people.example"),
            role: AccountRole::User,
            password: None,
        };
        let account = account::add(&stage.app, new, Actor::Operator).await.unwrap();
        let mut tx = stage.app.store.write().await.unwrap();
        let mut event = Event::new("account:login:success", Actor::Operator);
        event.account = Some(account.id);
        event.origin = Some(Origin { address: "192.0.2.7".parse().unwrap(), user_agent: String::from("x") });
        history::record(&mut tx, stage.clock.now(), event).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(account::erase(&stage.app, &account, "asked for", Actor::Operator).await.unwrap(), 1);
        filled(&stage).await;
        let erased = verify(&stage, None).await;
        assert_eq!((erased.faults, erased.erased), (vec![], 1));
        // Wiping another's fields by hand and calling it erased is no erasure: no event tells of it.
        stage
            .tamper("UPDATE personal SET salt = NULL, address = NULL, user_agent = NULL, erased_at = 1 WHERE erased_at IS NULL")
            .await;
        assert!(
            verify(&stage, None).await.faults.iter().any(|fault| matches!(fault, Fault::Personal { .. }))
        );
    }
    for stage in stages().await {
        filled(&stage).await;
        stage.tamper("UPDATE personal SET address = '192.0.2.8'").await;
        assert!(
            verify(&stage, None).await.faults.iter().any(|fault| matches!(fault, Fault::Personal { .. }))
        );
    }
}

#[tokio::test]
async fn whoever_goes_gives_the_lease_back() {
    for stage in stages().await {
        let app = &stage.app;
        record(&stage, 1).await;
        assert!(
            history::seal(&app.store, &app.checkpoint_signer, "server", 10, app.now())
                .await
                .unwrap()
                .is_some()
        );
        history::seal(&app.store, &app.checkpoint_signer, "server", 0, app.now()).await.unwrap();
        record(&stage, 2).await;
        let next = history::seal(&app.store, &app.checkpoint_signer, "admin", 0, app.now()).await.unwrap();
        assert!(next.is_some(), "{}", stage.name);
    }
}

#[tokio::test]
async fn only_one_of_two_nodes_seals_and_every_event_gets_one_position() {
    for stage in stages().await {
        for number in 0..20 {
            record(&stage, number).await;
        }
        let app = &stage.app;
        let (one, two) = tokio::join!(
            history::seal(&app.store, &app.checkpoint_signer, "one", 10, app.now()),
            history::seal(&app.store, &app.checkpoint_signer, "two", 10, app.now()),
        );
        assert_eq!(u8::from(one.unwrap().is_some()) + u8::from(two.unwrap().is_some()), 1);
        let found = verify(&stage, None).await;
        assert_eq!((found.events, found.faults.len()), (20, 0));
    }
}
