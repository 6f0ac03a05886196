//! What GitHub's API tells of a repository: its default branch, pushes, events and runs.

use portcullis_index::clock::Instant;
use portcullis_index::desk::forge::Run;
use portcullis_index::desk::scan_document::is_object_id;
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct About {
    #[serde(default)]
    pub(crate) default_branch: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Activity {
    #[serde(rename = "ref")]
    pub(crate) name: String,
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) timestamp: String,
}

/// How many pushes the forge tells at a time. Where it tells so many, older ones are not known.
pub(crate) const PUSHES_MAX: usize = 100;

impl Activity {
    /// The ids before and after, and when, where the repository's own branch or tag was pushed: `refs/pull/…` is anybody's.
    pub(crate) fn own(&self) -> Option<(String, String, Instant)> {
        let own = self.name.starts_with("refs/heads/") || self.name.starts_with("refs/tags/");
        let known = is_object_id(&self.before) && is_object_id(&self.after);
        let at = Instant::parse(&self.timestamp)?;
        (own && known).then(|| (self.before.to_ascii_lowercase(), self.after.to_ascii_lowercase(), at))
    }
}

/// An event of a repository, as `GET /repos/OWNER/NAME/events` tells it.
#[derive(Deserialize)]
pub(crate) struct Happened {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    created_at: String,
    #[serde(default)]
    payload: serde_json::Value,
}

impl Happened {
    /// The push, where it is one.
    pub(crate) fn push(self) -> Option<Activity> {
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
pub(crate) struct RunPage {
    #[serde(default)]
    pub(crate) total_count: usize,
    pub(crate) workflow_runs: Vec<WorkflowRun>,
}

#[derive(Deserialize)]
pub(crate) struct WorkflowRun {
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

pub(crate) fn run(run: WorkflowRun) -> Option<Run> {
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
