//! A clone by a child `git` that can do nothing else: no hook, filter, submodule or configuration of anybody is looked at.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use portcullis_index::desk::forge::{ForgeError, Push, Runs};
use portcullis_index::desk::scan_document::is_object_id;
use portcullis_index::settings::is_loopback;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use url::Url;

/// How long one `git` may take.
const GIT_LIMIT: Duration = Duration::from_secs(120);

/// How many bytes a fetched repository may have on disk.
const SIZE_LIMIT: u64 = 1 << 30;

/// Files above this size are not fetched, nor above the second one where the repository is too large with the first: workflows
/// are small, and whoever may push could make a repository too large to be looked at with one file. A server that knows no
/// filters sends everything.
pub(super) const FILE_LIMITS: &[&str] = &["blob:limit=4m", "blob:limit=64k"];

/// How often the size of what is being fetched is looked at.
const SIZE_PAUSE: Duration = Duration::from_millis(200);

/// How many commits are fetched one by one, beside branches and tags.
const COMMIT_LIMIT: usize = 60;

/// How many commits of one push are listed.
const PUSH_COMMIT_LIMIT: usize = 1_000;

/// How much of what `git` complains of is kept, in bytes.
const COMPLAINT_LIMIT: usize = 2_000;

/// How much `git` may print, in bytes.
const OUTPUT_LIMIT: usize = 8 << 20;

/// A bare repository in a folder that vanishes.
pub(crate) struct Clone<'a> {
    folder: &'a Path,
    url: Url,
    /// Which files are fetched.
    filter: &'static str,
}

impl<'a> Clone<'a> {
    pub(crate) fn new(folder: &'a Path, url: Url) -> Self {
        Self { folder, url, filter: FILE_LIMITS.first().copied().unwrap_or("blob:none") }
    }

    /// `git` with an environment of its own: no configuration of the machine or the user, no helper, no prompt, no hook, and
    /// https only — or http where the operator configured loopback.
    fn command(&self) -> Command {
        let mut command = Command::new("git");
        command.env_clear().current_dir(self.folder).kill_on_drop(true);
        for name in
            ["PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"]
        {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(authorities) = std::env::var_os("SSL_CERT_FILE") {
            command.env("GIT_SSL_CAINFO", authorities);
        }
        let empty = self.folder.join("no-such-home");
        command.env("HOME", &empty).env("XDG_CONFIG_HOME", &empty).env("LC_ALL", "C");
        for (name, value) in [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ASKPASS", "/bin/false"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_OPTIONAL_LOCKS", "0"),
        ] {
            command.env(name, value);
        }
        let http = if self.url.scheme() == "http" && is_loopback(&self.url) { "always" } else { "never" };
        for setting in [
            "protocol.allow=never",
            "protocol.https.allow=always",
            &format!("protocol.http.allow={http}"),
            "http.followRedirects=false",
            "http.lowSpeedLimit=1000",
            "http.lowSpeedTime=30",
            "credential.helper=",
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "core.attributesFile=/dev/null",
            "fetch.recurseSubmodules=false",
            "fetch.unpackLimit=1",
            "gc.auto=0",
            "maintenance.auto=false",
        ] {
            command.arg("-c").arg(setting);
        }
        command.arg("--git-dir").arg(self.folder);
        command
    }

    /// Runs `git` under the bounds; its output where it succeeds, what it complains of where it does not.
    pub(crate) async fn git(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("git could not be started: {error}"))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // It may end before it has read all: then its status says why.
                let _ = stdin.write_all(input).await;
            }
        };
        let work = async {
            let (status, output, complaint, ()) =
                tokio::join!(child.wait(), read(stdout, OUTPUT_LIMIT), read(stderr, COMPLAINT_LIMIT), feed);
            (status, output, complaint)
        };
        let (status, output, complaint) = tokio::select! {
            done = work => done,
            () = tokio::time::sleep(GIT_LIMIT) => {
                return Err(format!("git took longer than {} s and was ended", GIT_LIMIT.as_secs()));
            }
            size = self.too_large() => {
                return Err(format!("more than {SIZE_LIMIT} bytes arrived ({size}); the fetch was ended"));
            }
        };
        let status = status.map_err(|error| format!("git could not be waited for: {error}"))?;
        if status.success() {
            return Ok(output);
        }
        let complaint = String::from_utf8_lossy(&complaint);
        Err(format!("git ended with {status}: {}", complaint.trim()))
    }

    /// Comes back only when the folder has grown past its limit.
    async fn too_large(&self) -> u64 {
        loop {
            tokio::time::sleep(SIZE_PAUSE).await;
            let folder = self.folder.to_owned();
            let size = tokio::task::spawn_blocking(move || size_of(&folder, 0)).await.unwrap_or(0);
            if size > SIZE_LIMIT {
                return size;
            }
        }
    }

    /// Fetches branches and tags; what a reader must know about gaps.
    pub(crate) async fn fetch_all(&mut self) -> Result<Option<String>, String> {
        let refs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
        let mut failed = String::new();
        for (number, filter) in FILE_LIMITS.iter().enumerate() {
            self.filter = filter;
            self.git(&["init", "--quiet", "--bare", "--template="], b"").await?;
            match self.fetch(&refs).await {
                Ok(()) if number == 0 => return Ok(None),
                Ok(()) => {
                    return Ok(Some(format!("truncated: only files up to {filter} were fetched ({failed})")));
                }
                Err(error) if size_of(self.folder, 0) > SIZE_LIMIT => failed = error,
                Err(error) => return Err(error),
            }
            self.empty().map_err(|error| format!("{failed}; and what arrived can't be removed: {error}"))?;
        }
        Err(failed)
    }

    fn empty(&self) -> std::io::Result<()> {
        for entry in std::fs::read_dir(self.folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(entry.path())?;
            } else {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    async fn fetch(&self, what: &[&str]) -> Result<(), String> {
        let filter = format!("--filter={}", self.filter);
        let mut arguments = vec![
            "fetch",
            filter.as_str(),
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--no-write-fetch-head",
            "--end-of-options",
            self.url.as_str(),
        ];
        arguments.extend(what);
        self.git(&arguments, b"").await.map(|_| ())
    }

    /// Which of these objects are here, by `git cat-file --batch-check`: names come by standard input, never as options.
    async fn objects(&self, names: &[String]) -> Result<Vec<Option<String>>, ForgeError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let input = names.iter().fold(String::new(), |input, name| input + name + "\n");
        let output = self
            .git(&["cat-file", "--batch-check=%(objectname)"], input.as_bytes())
            .await
            .map_err(|error| ForgeError::Failed(format!("looking for commits: {error}")))?;
        let output = String::from_utf8_lossy(&output).into_owned();
        Ok(output
            .lines()
            .map(|line| Some(line.trim().to_owned()).filter(|line| is_object_id(line)))
            .collect())
    }

    /// Fetches the commits that are missing, one by one: a forge may hand out one and not another.
    pub(crate) async fn fetch_commits(&self, ids: &[String]) -> Result<Vec<String>, ForgeError> {
        let here = self.objects(ids).await?;
        let missing: Vec<&String> =
            ids.iter().zip(here.iter()).filter(|(_, found)| found.is_none()).map(|(id, _)| id).collect();
        let mut problems = Vec::new();
        for id in missing.iter().take(COMMIT_LIMIT) {
            if let Err(error) = self.fetch(&[id.as_str()]).await {
                problems
                    .push(format!("history-incomplete: the forge does not hand out commit {id}: {error}"));
            }
        }
        if missing.len() > COMMIT_LIMIT {
            problems.push(format!(
                "history-incomplete: {} further commits were not fetched",
                missing.len() - COMMIT_LIMIT
            ));
        }
        Ok(problems)
    }

    /// The commits that a push brought, as far as they are here.
    pub(crate) async fn commits_of(&self, push: &Push) -> Result<Vec<String>, ForgeError> {
        let zero = |id: &str| id.bytes().all(|byte| byte == b'0');
        if zero(&push.after) {
            return Ok(Vec::new());
        }
        let here = self.objects(&[push.after.clone(), push.before.clone()]).await?;
        let [Some(after), before] = here.as_slice() else { return Ok(Vec::new()) };
        let limit = format!("--max-count={PUSH_COMMIT_LIMIT}");
        let mut arguments = vec!["rev-list".to_owned(), limit, after.clone()];
        arguments.extend(before.iter().filter(|id| !zero(id)).map(|id| format!("^{id}")));
        arguments.push(String::from("--"));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        // A broken object ends the list: less is known, nothing is wrong.
        let listed = self.git(&arguments, b"").await.unwrap_or_default();
        Ok(String::from_utf8_lossy(&listed).lines().map(str::to_owned).collect())
    }

    /// Gives each run the blob of its workflow at its commit.
    pub(crate) async fn name_blobs(&self, runs: &mut Runs) -> Result<(), ForgeError> {
        let plain = |path: &str| {
            path.starts_with(".github/workflows/") && path.len() < 500 && !path.chars().any(char::is_control)
        };
        let names: BTreeSet<String> = runs
            .list
            .iter()
            .filter(|run| plain(&run.path))
            .map(|run| format!("{}:{}", run.commit, run.path))
            .collect();
        let names: Vec<String> = names.into_iter().collect();
        let blobs: HashMap<String, Option<String>> =
            names.iter().cloned().zip(self.objects(&names).await?).collect();
        for run in &mut runs.list {
            run.workflow_blob = blobs.get(&format!("{}:{}", run.commit, run.path)).cloned().flatten();
        }
        Ok(())
    }
}

/// Reads all there is and keeps at most `limit` bytes.
async fn read(stream: Option<impl tokio::io::AsyncRead + Unpin>, limit: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    let mut buffer = vec![0; 8_192];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let room = limit.saturating_sub(kept.len());
        kept.extend(buffer.iter().take(count.min(room)));
    }
    kept
}

/// Bytes below a folder. Links are not followed; what vanishes meanwhile counts nothing.
fn size_of(folder: &Path, depth: usize) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() && depth < 16 => size_of(&entry.path(), depth + 1),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fetch_from(url: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let mut clone = Clone::new(folder.path(), url.parse().unwrap());
        clone.fetch_all().await.unwrap_err()
    }

    #[tokio::test]
    async fn only_https_and_configured_loopback_are_spoken_to() {
        let folder = tempfile::tempdir().unwrap();
        let other = Clone::new(folder.path(), "https://forge.invalid/o/n.git".parse().unwrap());
        other.git(&["init", "--quiet", "--bare", "--template="], b"").await.unwrap();
        for url in [
            format!("file://{}", folder.path().display()),
            String::from("ssh://forge.invalid/o/n.git"),
            String::from("git://forge.invalid/o/n.git"),
            String::from("http://192.0.2.1/o/n.git"),
            String::from("ext::sh -c touch% /dev/null"),
        ] {
            let problem = fetch_from(&url).await;
            assert!(problem.contains("not allowed"), "{url}: {problem}");
        }
    }

    #[tokio::test]
    async fn the_environment_and_configuration_of_the_machine_do_not_reach_git() {
        let folder = tempfile::tempdir().unwrap();
        let clone = Clone::new(folder.path(), "https://forge.invalid/o/n.git".parse().unwrap());
        clone.git(&["init", "--quiet", "--bare", "--template="], b"").await.unwrap();
        let seen = clone.git(&["config", "--show-scope", "--list"], b"").await.unwrap();
        let seen = String::from_utf8(seen).unwrap();
        assert!(!seen.contains("system") && !seen.contains("global\t"), "{seen}");
        assert!(seen.contains("protocol.allow=never") && seen.contains("core.hookspath=/dev/null"), "{seen}");
    }

    #[tokio::test]
    async fn output_is_read_to_its_end_and_kept_to_its_limit() {
        assert_eq!(read(Some([7; 100].as_slice()), 100).await.len(), 100);
        assert_eq!(read(Some([7; 101].as_slice()), 100).await.len(), 100);
    }

    #[test]
    fn sizes_are_counted_without_following_links() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("objects")).unwrap();
        std::fs::write(folder.path().join("objects").join("pack"), [0; 1_000]).unwrap();
        let before = size_of(folder.path(), 0);
        std::os::unix::fs::symlink("/usr", folder.path().join("link")).unwrap();
        assert!(before >= 1_000 && size_of(folder.path(), 0) < before + 1_000);
    }
}
