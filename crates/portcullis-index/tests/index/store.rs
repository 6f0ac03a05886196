//! The database layer on both databases.

use portcullis_index::clock::{Clock, Instant};
use portcullis_index::store::{Store, StoreError, blobs, jobs, leases};

use crate::support::stages;

#[tokio::test]
async fn a_newer_schema_is_refused() {
    for stage in stages().await {
        stage.tamper("INSERT INTO schema_versions (version, applied_at) VALUES (999, 0)").await;
        let store = Store::open(&stage.database_url).await.unwrap();
        let error = store.migrate(stage.clock.now()).await.unwrap_err();
        assert!(matches!(error, StoreError::NewerSchema { found: 999, .. }), "{}: {error}", stage.name);
    }
}

#[tokio::test]
async fn migrating_twice_changes_nothing_and_many_nodes_may_start_at_once() {
    for stage in stages().await {
        let mut starts = Vec::new();
        for _ in 0..4 {
            let url = stage.database_url.clone();
            let now = stage.clock.now();
            starts.push(tokio::spawn(async move { Store::open(&url).await.unwrap().migrate(now).await }));
        }
        for start in starts {
            start.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn of_two_holders_one_has_the_lease_and_the_fence_grows_with_every_change() {
    for stage in stages().await {
        let now = stage.clock.now();
        let hold = async |holder: &str, at: Instant| {
            let mut tx = stage.app.store.write().await.unwrap();
            let fence = leases::hold(&mut tx, "work", holder, at.plus_seconds(10), at).await.unwrap();
            tx.commit().await.unwrap();
            fence
        };
        assert_eq!(hold("a", now).await, Some(1));
        assert_eq!(hold("b", now).await, None);
        assert_eq!(hold("a", now.plus_seconds(5)).await, Some(1));
        assert_eq!(hold("b", now.plus_seconds(16)).await, Some(2));
        assert_eq!(hold("a", now.plus_seconds(17)).await, None);
    }
}

#[tokio::test]
async fn a_job_is_taken_once_and_again_only_when_its_lease_ran_out() {
    for stage in stages().await {
        let now = stage.clock.now();
        let mut tx = stage.app.store.write().await.unwrap();
        jobs::insert(&mut tx, "look", "{}", Some("one"), jobs::Urgency::Person, now).await.unwrap();
        jobs::insert(&mut tx, "look", "{}", Some("one"), jobs::Urgency::Person, now).await.unwrap();
        tx.commit().await.unwrap();
        let take = async |at: Instant| {
            let mut tx = stage.app.store.write().await.unwrap();
            let taken =
                jobs::take(&mut tx, "node", jobs::Places { all: 10, strangers: 10 }, at.plus_seconds(60), at)
                    .await
                    .unwrap();
            tx.commit().await.unwrap();
            taken
        };
        assert_eq!(take(now).await.len(), 1);
        assert_eq!(take(now.plus_seconds(59)).await.len(), 0);
        let again = take(now.plus_seconds(61)).await;
        assert_eq!(again.first().map(|job| job.attempts), Some(2));
    }
}

#[tokio::test]
async fn a_sweep_leaves_what_is_named_or_being_written_and_takes_the_rest() {
    for stage in stages().await {
        let (app, now) = (&stage.app, stage.clock.now());
        let kept = app.blobs.put(&app.store, b"being named", now).await.unwrap();
        let orphan = app.blobs.put(&app.store, b"given up", now).await.unwrap();
        app.blobs.release(&app.store, &orphan).await;
        let mut unfinished = app.blobs.begin(&app.store, now).await.unwrap();
        unfinished.write(b"half").await.unwrap();
        let swept = portcullis_index::blobs::sweep(&app.store, &app.blobs, now).await.unwrap();
        assert_eq!((swept.contents, swept.unfinished), (1, 0), "{}", stage.name);
        assert!(app.blobs.read(&kept.sha256).await.is_ok());
        assert!(app.blobs.read(&orphan.sha256).await.is_err());
        // Once the leases have run out, nobody is about to name them.
        let later = now.plus_seconds(portcullis_index::blobs::LEASE_SECONDS + 1);
        let swept = portcullis_index::blobs::sweep(&app.store, &app.blobs, later).await.unwrap();
        assert_eq!((swept.contents, swept.unfinished), (1, 1), "{}", stage.name);
    }
}

#[tokio::test]
async fn a_known_content_without_a_file_is_an_orphan() {
    for stage in stages().await {
        let (app, now) = (&stage.app, stage.clock.now());
        let durable = app.blobs.put(&app.store, b"content", now).await.unwrap();
        let mut tx = app.store.write().await.unwrap();
        blobs::keep(&mut tx, &durable.sha256, durable.size, now).await.unwrap();
        blobs::keep(&mut tx, &durable.sha256, durable.size, now).await.unwrap();
        blobs::end_pending(&mut tx, durable.lease).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = app.store.read().await.unwrap();
        assert_eq!(blobs::orphans(&mut tx).await.unwrap(), vec![durable.sha256.clone()]);
        drop(tx);
        assert_eq!(portcullis_index::blobs::sweep(&app.store, &app.blobs, now).await.unwrap().contents, 1);
    }
}

#[tokio::test]
async fn a_content_that_was_swept_away_can_not_be_named() {
    for stage in stages().await {
        let (app, now) = (&stage.app, stage.clock.now());
        let durable = app.blobs.put(&app.store, b"slow", now).await.unwrap();
        let later = now.plus_seconds(portcullis_index::blobs::LEASE_SECONDS + 1);
        assert_eq!(portcullis_index::blobs::sweep(&app.store, &app.blobs, later).await.unwrap().contents, 1);
        let mut tx = app.store.write().await.unwrap();
        assert!(app.blobs.name(&mut tx, &durable, later).await.is_err(), "{}", stage.name);
    }
}

#[tokio::test]
async fn a_sweep_and_an_upload_of_the_same_content_wait_for_each_other() {
    for stage in stages().await {
        let (app, now) = (&stage.app, stage.clock.now());
        let orphan = app.blobs.put(&app.store, b"content", now).await.unwrap();
        app.blobs.release(&app.store, &orphan).await;
        // The same bytes come again and are being named when the sweep comes by.
        let again = app.blobs.put(&app.store, b"content", now).await.unwrap();
        let mut tx = app.store.write().await.unwrap();
        app.blobs.name(&mut tx, &again, now).await.unwrap();
        let sweep = portcullis_index::blobs::sweep(&app.store, &app.blobs, now);
        tokio::pin!(sweep);
        assert!(
            tokio::time::timeout(std::time::Duration::from_millis(300), &mut sweep).await.is_err(),
            "{}",
            stage.name
        );
        drop(tx);
        // Named by nobody after all: now it goes.
        app.blobs.release(&app.store, &again).await;
        sweep.await.unwrap();
        assert_eq!(portcullis_index::blobs::sweep(&app.store, &app.blobs, now).await.unwrap().contents, 0);
    }
}
