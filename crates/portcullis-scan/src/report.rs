//! `portcullis.scan/1`: the document that a scan gives out. Its shape is a contract; fields are only ever added.

use serde::{Deserialize, Serialize};

use crate::reach::permissions::Permissions;
use crate::services;
use crate::span::Span;
use crate::text::RepositoryText;

/// Value of the document's `schema`.
pub const SCHEMA: &str = "portcullis.scan/1";

/// The whole document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document {
    /// [`SCHEMA`].
    pub schema: String,
    /// Whether everything that was asked for could be looked at. While false, nothing may be called clean.
    pub complete: bool,
    /// Counts.
    pub stats: Stats,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub problems: Vec<Problem>,
}

/// Counts of one scan.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Repositories and loose workflow files.
    pub repositories: usize,
    /// Commits read.
    pub commits: usize,
    /// Distinct versions of workflows analysed.
    pub workflow_versions: usize,
    /// Versions that could not be analysed.
    pub files_failed: usize,
    /// Wall time.
    pub seconds: f64,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A habit to change.
    Advice,
    /// Handed to somebody who could take it, or a door for outsiders.
    Exposed,
    /// Reaches a place without a known reason to have it: a person must look.
    Suspicious,
    /// Nobody does this for themselves.
    Malicious,
}

impl Verdict {
    /// Its name in documents and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Advice => "advice",
            Verdict::Exposed => "exposed",
            Verdict::Suspicious => "suspicious",
            Verdict::Malicious => "malicious",
        }
    }
}

/// Whose the version is, and whether it can have run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A run, mint or push event proves it.
    Ran,
    /// Held by this repository's own branch or tag with a matching trigger, or known to have been pushed to it.
    CouldRun,
    /// Anybody can have made it: a pull request, a fork, an unreachable object.
    Foreign,
}

/// How sure a bound in time, a name or a commit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Written by whoever made the commit.
    Claimed,
    /// Seen by somebody who is not its author.
    Observed,
}

/// Whether a secret surely leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// The flow names it.
    Certain,
    /// It depends on what the environment holds.
    Possible,
}

/// What kind of place a destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// An IP address.
    RawAddress,
    /// A service that shows whoever asks what was sent to it.
    RequestBin,
    /// A tunnel to anybody's machine.
    Tunnel,
    /// A paste or file drop.
    Paste,
    /// A chat service.
    Chat,
    /// A host under a name that anybody gets for free.
    FreeHosting,
    /// A name made to be taken for a known one.
    LookAlike,
    /// A literal host that nothing is known about.
    Unknown,
    /// A known service.
    Service,
    /// Set by the owner outside the file.
    Configured,
    /// A repository, action or image.
    Repository,
    /// A build artifact or cache.
    Artifact,
    /// The job's log.
    Log,
    /// The disk of a self-hosted runner.
    Disk,
    /// A name server's zone.
    Dns,
}

impl Class {
    /// Its name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Class::RawAddress => "raw-address",
            Class::RequestBin => "request-bin",
            Class::Tunnel => "tunnel",
            Class::Paste => "paste",
            Class::Chat => "chat",
            Class::FreeHosting => "free-hosting",
            Class::LookAlike => "look-alike",
            Class::Unknown => "unknown",
            Class::Service => "service",
            Class::Configured => "configured",
            Class::Repository => "repository",
            Class::Artifact => "artifact",
            Class::Log => "log",
            Class::Disk => "disk",
            Class::Dns => "dns",
        }
    }
}

/// One finding: repository × path × rule × set of (secret, destination).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// See [`finding_id`].
    pub id: String,
    /// The technique.
    pub rule: String,
    /// How bad it is.
    pub verdict: Verdict,
    /// Whose it is.
    pub standing: Standing,
    /// Why, by stable identifiers.
    pub signals: Vec<String>,
    /// Which repository.
    pub repository: RepositoryName,
    /// The workflow's path.
    pub path: RepositoryText,
    /// Object id of the newest version that has it; of a loose file the id it would have.
    pub blob: String,
    /// Hash of the workflow's shape, the same over the waves of one campaign.
    pub skeleton: String,
    /// Where it leaves, in the newest version.
    pub span: Span,
    /// What leaves; with `all_secrets` those that the repository is known to have.
    pub secrets: Vec<Secret>,
    /// Whether all secrets leave.
    pub all_secrets: bool,
    /// Where to.
    pub destinations: Vec<Destination>,
    /// Hop by hop, in the newest version.
    pub flow: Vec<FlowHop>,
    /// Since when, until when, on which refs.
    pub exposures: Vec<Exposure>,
    /// Why it is accepted, where it is: the operator's words, or those of a comment beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<RepositoryText>,
    /// Who accepts it. A comment in the repository accepts nothing worse than `exposed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_by: Option<AcceptedBy>,
    /// Why a comment beside it that means to accept it doesn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment_refused: Option<RepositoryText>,
    /// The job that used an action which was taken over; `reach` alone sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<ReachedJob>,
}

/// Who accepts a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AcceptedBy {
    /// Whoever runs the scan, from outside the repository.
    Operator,
    /// A comment in the workflow itself.
    Comment,
}

/// A job that used an action, and what it could reach besides the finding's secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReachedJob {
    /// Its key; `caller / called` for a job of a reusable workflow; empty for an action.
    pub id: RepositoryText,
    /// Where the action is named.
    pub references: Vec<ActionReference>,
    /// The environment whose secrets it also gets.
    pub environment: Option<RepositoryText>,
    /// Its `GITHUB_TOKEN`.
    pub token: JobToken,
    /// Whether it could have OIDC tokens made (`id-token: write`).
    pub id_token: bool,
}

/// A place that names an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionReference {
    /// As written: `owner/name@ref`.
    pub uses: RepositoryText,
    /// In which file.
    pub path: RepositoryText,
    /// Where.
    pub span: Span,
}

/// A job's `GITHUB_TOKEN`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobToken {
    /// What it may do, by the `permissions:` that are in force.
    pub permissions: Permissions,
    /// Whether `actions/checkout` left it on the disk.
    pub persisted: bool,
}

/// A repository by the name it was given and by what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RepositoryName {
    /// The path that was asked for.
    pub given: String,
    /// `host/owner/name` in lower case.
    pub identity: Option<String>,
}

/// A secret of a finding.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Secret {
    /// Its name in the workflow.
    pub name: RepositoryText,
    /// What it opens by its use or its name: a service's identifier, or `unknown`.
    pub kind: String,
    /// Whether it surely leaves.
    pub certainty: Certainty,
    /// What other workflows do with it.
    pub used_for: Vec<UsedFor>,
    /// Where to rotate it; empty where that depends on the owner.
    pub rotate: String,
    /// How urgent that is.
    #[serde(default)]
    pub urgency: Urgency,
    /// What takes its place and lives for minutes, where there is such a thing.
    #[serde(default)]
    pub replacement: Option<String>,
}

/// How urgent it is to rotate a secret, by what it opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Urgency {
    /// It publishes packages: whoever has it reaches everybody who installs them.
    Publishes,
    /// It writes source code or workflows: whoever has it can come back.
    WritesCode,
    /// It opens something else.
    #[default]
    Opens,
    /// It is dead: the job's own token.
    None,
}

impl Secret {
    /// A secret by its name and by what is known of its uses. A use to publish says more than a name, a name that says what it
    /// opens more than a login somewhere.
    pub fn new(name: &str, certainty: Certainty, used_for: Vec<UsedFor>) -> Self {
        const JOB_TOKEN: &str = "github-job-token";
        let publishes = |used: &&UsedFor| {
            used.registry == "testpypi"
                || services::named(&used.registry).is_some_and(|service| service.publishes)
        };
        let by_use = used_for.iter().find(publishes).map(|used| used.registry.as_str());
        let by_login = used_for.first().map(|used| used.registry.as_str());
        let said = services::said_by(name);
        // `PAT` says what kind of token it is, and not whose.
        let by_name = said.filter(|(words, _)| *words != ["PAT"] || by_login.is_none());
        let kind = match name {
            "GITHUB_TOKEN" => JOB_TOKEN,
            _ => by_use
                .or_else(|| by_name.map(|(_, service)| service.name.as_str()))
                .or(by_login)
                .unwrap_or("unknown"),
        };
        let kind = if kind == "testpypi" { "pypi" } else { kind }.to_owned();
        let service = services::named(&kind);
        let urgency = match service {
            _ if kind == JOB_TOKEN => Urgency::None,
            Some(service) if service.publishes => Urgency::Publishes,
            Some(service) if service.writes_code => Urgency::WritesCode,
            _ => Urgency::Opens,
        };
        let replacement = service.map(|service| service.replacement.clone()).filter(|text| !text.is_empty());
        let rotate = service.map(|service| service.rotate.clone()).unwrap_or_default();
        Self { name: RepositoryText::new(name), kind, certainty, used_for, rotate, urgency, replacement }
    }
}

/// A use of a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UsedFor {
    /// `pypi`, `npm`, …
    pub registry: String,
    /// The package's name as the repository writes it.
    pub package: Option<RepositoryText>,
    /// Always claimed: whoever owns a repository can write any name there.
    pub basis: Basis,
    /// The workflow that uses it.
    pub path: RepositoryText,
    /// In which line.
    pub line: u32,
    /// At which commit; empty for a loose file.
    pub commit: String,
}

/// A destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Destination {
    /// Host in lower case, where there is one.
    pub host: Option<RepositoryText>,
    /// Address as written, variables as `${NAME}`.
    pub url: Option<RepositoryText>,
    /// What kind of place.
    pub class: Class,
    /// Name of an artifact, action or repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<RepositoryText>,
}

/// A step of the flow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FlowHop {
    /// `source`, `carry`, `encode`, `sink`.
    pub hop: String,
    /// What happens.
    pub what: RepositoryText,
    /// In which file.
    pub path: RepositoryText,
    /// Where.
    pub span: Span,
}

/// A commit as a bound of an exposure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Commit id.
    pub commit: String,
    /// RFC 3339.
    pub time: String,
    /// How sure the time is.
    pub basis: Basis,
    /// Author as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<RepositoryText>,
    /// First line of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<RepositoryText>,
}

/// A secret at a destination over a span of time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exposure {
    /// Name of the secret.
    pub secret: RepositoryText,
    /// Host, or class and name.
    pub destination: RepositoryText,
    /// Whether a run with secrets can have reached it.
    pub reachable: bool,
    /// The events that start it.
    pub triggers: Vec<RepositoryText>,
    /// The first commit with it; null for a file outside any history.
    pub introduced: Option<Moment>,
    /// Per ref.
    pub refs: Vec<RefSpan>,
    /// Object ids of the versions that have it.
    pub versions: Vec<String>,
}

/// The span on one ref.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefSpan {
    /// Full name.
    #[serde(rename = "ref")]
    pub name: RepositoryText,
    /// Commit that brought it to this ref's history.
    pub introduced: String,
    /// Commit that took it out; null while it stands.
    pub removed: Option<Moment>,
}

/// Something that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Which repository.
    pub repository: RepositoryName,
    /// Which file or object.
    pub path: Option<RepositoryText>,
    /// Stable identifier.
    pub kind: String,
    /// For people.
    pub what: String,
}

/// The identifier of a finding: the first 16 hexadecimal digits of SHA-256 over its rule, path, secrets and destinations.
///
/// Stored and named for ever, so the bytes are fixed: the 20 ASCII bytes `portcullis.finding/1`, then rule, path,
/// number of secrets, each secret, number of destinations, each destination. A text is its length in bytes as a
/// 32-bit big-endian number and its UTF-8 bytes; a count is such a number alone. Secrets and destinations are sorted
/// by their bytes and without duplicates. A secret is its name, `*` for all; a destination is its host in lower
/// case, else `workflow-log`, else `configured:NAME` or `CLASS:NAME`.
pub fn finding_id(rule: &str, path: &str, secrets: &[String], destinations: &[String]) -> String {
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    hash.update(b"portcullis.finding/1");
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes();
    let text = |hash: &mut sha2::Sha256, text: &str| {
        hash.update(number(text.len()));
        hash.update(text.as_bytes());
    };
    text(&mut hash, rule);
    text(&mut hash, path);
    for list in [secrets, destinations] {
        let sorted: std::collections::BTreeSet<&String> = list.iter().collect();
        hash.update(number(sorted.len()));
        for item in sorted {
            text(&mut hash, item);
        }
    }
    let digest = hash.finalize();
    hex::encode(digest).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by hand with another program from the layout above. If this fails, ids stored by others are lost.
    #[test]
    fn the_id_of_a_finding_never_changes() {
        let id = finding_id(
            "secret-to-host",
            "w.yml",
            &["B".to_owned(), "A".to_owned()],
            &["collector.example".to_owned()],
        );
        let same = finding_id(
            "secret-to-host",
            "w.yml",
            &["A".to_owned(), "B".to_owned(), "A".to_owned()],
            &["collector.example".to_owned()],
        );
        assert_eq!(id, same);
        assert_eq!(id, "d80912153ca3d747");
    }

    #[test]
    fn moving_text_between_fields_changes_the_id() {
        let one = finding_id("ab", "c", &[], &[]);
        let other = finding_id("a", "bc", &[], &[]);
        assert_ne!(one, other);
    }
}
