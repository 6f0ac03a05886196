//! The sealer of a running server: it seals what was committed, at most a second later, and carries the newest checkpoint
//! outside the database.

use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::App;
use crate::history::{self, Checkpoint, SEALER_LEASE_SECONDS};

/// Another process (an `admin` command, another node) does not wake us: so often we look by ourselves.
const INTERVAL: Duration = Duration::from_millis(500);

/// Seals until `stop` turns true, and once more then.
pub async fn run(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        let ending = *stop.borrow();
        // At the end the lease is given back, so that an `admin` command that follows can seal what it records.
        seal_all(&app, if ending { 0 } else { SEALER_LEASE_SECONDS }).await;
        if ending {
            return;
        }
        tokio::select! {
            () = app.sealer_wake.notified() => {}
            () = tokio::time::sleep(INTERVAL) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Seals everything that is committed now, unless another node holds the lease: then that one does.
pub async fn seal_all(app: &App, lease_seconds: i64) {
    loop {
        match history::seal(&app.store, &app.checkpoint_signer, &app.node, lease_seconds, app.now()).await {
            Ok(Some(checkpoint)) => carry_outside(app, &checkpoint),
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "the security history could not be sealed; it is tried again");
                return;
            }
        }
    }
}

/// Writes the newest checkpoint beside the database: the operator copies it elsewhere, and `admin verify-history
/// --checkpoint` takes it. Whole or not at all.
fn carry_outside(app: &App, checkpoint: &Checkpoint) {
    let folder = app.settings.data.join("checkpoints");
    let written = serde_json::to_vec_pretty(checkpoint)
        .map_err(std::io::Error::other)
        .and_then(|content| write_whole(&folder, &content));
    if let Err(error) = written {
        tracing::error!(%error, "the newest checkpoint could not be written to {}", folder.display());
    }
}

fn write_whole(folder: &Path, content: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let temporary = folder.join(format!("newest.{}.new", std::process::id()));
    std::fs::write(&temporary, content)?;
    std::fs::rename(&temporary, folder.join("newest.json"))
}
