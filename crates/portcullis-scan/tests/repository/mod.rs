//! A git repository in a folder that vanishes. Times are fixed, one hour apart, so that commits have the same ids on
//! every run.

#[allow(dead_code, reason = "each test binary uses a part of it")]
pub(crate) mod pack;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) struct Repository {
    path: PathBuf,
    clock: Cell<i64>,
    _folder: Option<tempfile::TempDir>,
}

#[allow(dead_code, reason = "each test binary uses a part of it")]
impl Repository {
    pub(crate) fn new() -> Self {
        Self::made(&["init", "-q", "-b", "main"])
    }

    pub(crate) fn bare() -> Self {
        Self::made(&["init", "-q", "-b", "main", "--bare"])
    }

    /// With SHA-256 for its object ids.
    pub(crate) fn sha256() -> Self {
        Self::made(&["init", "-q", "-b", "main", "--object-format=sha256"])
    }

    pub(crate) fn at(path: &Path) -> Self {
        std::fs::create_dir_all(path).unwrap();
        let repository = Self { path: path.to_owned(), clock: Cell::new(1_756_800_000), _folder: None };
        repository.git(&["init", "-q", "-b", "main"]);
        repository
    }

    fn made(init: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        std::fs::create_dir(&path).unwrap();
        let repository = Self { path, clock: Cell::new(1_756_800_000), _folder: Some(folder) };
        repository.git(init);
        repository
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        self.write_bytes(path, text.as_bytes());
    }

    pub(crate) fn write_bytes(&self, path: &str, bytes: &[u8]) {
        let path = self.path.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        std::fs::remove_file(self.path.join(path)).unwrap();
    }

    /// Commits everything; returns the id.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.clock.set(self.clock.get() + 3_600);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Takes the clock to another time.
    pub(crate) fn set_clock(&self, seconds: i64) {
        self.clock.set(seconds);
    }

    /// Adds commits on `main` by `git fast-import`, each with other contents of one file; much faster than `commit`.
    pub(crate) fn commit_versions(&self, path: &str, contents: impl Iterator<Item = String>) {
        use std::io::Write;
        let mut child = Command::new("git")
            .args(["fast-import", "--quiet", "--force"])
            .current_dir(&self.path)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = std::io::BufWriter::new(child.stdin.take().unwrap());
        let mut from = "from refs/heads/main^0\n";
        for content in contents {
            self.clock.set(self.clock.get() + 3_600);
            write!(
                input,
                "commit refs/heads/main\ncommitter Test <test@example.test> {} +0000\ndata 1\nx\n{from}M 100644 inline {path}\ndata {}\n{content}\n",
                self.clock.get(),
                content.len(),
            )
            .unwrap();
            from = "";
        }
        input.flush().unwrap();
        drop(input);
        assert!(child.wait().unwrap().success());
        self.git(&["reset", "-q", "--hard"]);
    }

    /// Runs git without anybody's configuration.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let time = format!("{} +0000", self.clock.get());
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=Test",
                "-c",
                "user.email=test@example.test",
                "-c",
                "gc.auto=0",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(arguments)
            .current_dir(&self.path)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_AUTHOR_DATE", &time)
            .env("GIT_COMMITTER_DATE", &time)
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
