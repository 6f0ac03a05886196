//! A folder that vanishes, also where the scan is interrupted: what was fetched of other people's repositories stays nowhere.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Runtime;

/// How often removing is tried while somebody still writes to it.
const TRIES: usize = 10;

/// The folder. It goes when this goes, or the program is asked to end.
pub(crate) struct Vanishing {
    folder: Arc<tempfile::TempDir>,
}

impl Vanishing {
    /// A new one, below the system's folder for such things (`TMPDIR`).
    pub(crate) fn new(runtime: &Runtime) -> std::io::Result<Self> {
        let folder = Arc::new(tempfile::Builder::new().prefix("portcullis-").tempdir()?);
        let watched = Arc::clone(&folder);
        let _within = runtime.enter();
        let signals = Signals::new()?;
        runtime.spawn(async move {
            let code = signals.wait().await;
            for _ in 0..TRIES {
                if std::fs::remove_dir_all(watched.path()).is_ok() {
                    break;
                }
            }
            std::process::exit(code);
        });
        Ok(Self { folder })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Vanishing {
    fn drop(&mut self) {
        // The task that waits for signals holds the folder, too.
        let _ = std::fs::remove_dir_all(self.folder.path());
    }
}

#[cfg(unix)]
struct Signals {
    interrupted: tokio::signal::unix::Signal,
    ended: tokio::signal::unix::Signal,
    hung_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupted: signal(SignalKind::interrupt())?,
            ended: signal(SignalKind::terminate())?,
            hung_up: signal(SignalKind::hangup())?,
        })
    }

    /// The exit code that shells give to a program that a signal ended.
    async fn wait(mut self) -> i32 {
        tokio::select! {
            _ = self.interrupted.recv() => 130,
            _ = self.ended.recv() => 143,
            _ = self.hung_up.recv() => 129,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn wait(self) -> i32 {
        let _ = tokio::signal::ctrl_c().await;
        130
    }
}
