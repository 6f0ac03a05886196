//! GitHub Actions.
//!
//! The rules are PyPI's (`warehouse/oidc/models/github.py`), check by check and text by text, with what PyPI lets through
//! and we don't: a publisher can be pinned to refs, events, a kind of runner and to the repository's id. PyPI matches the
//! workflow at any ref, so whoever may push a branch can edit the workflow there and publish.
//!
//! Claims: <https://docs.github.com/en/actions/reference/security/oidc>.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

mod form;
#[cfg(test)]
mod tests;

use crate::jwt::{SignatureAlgorithm, VerifiedClaims};
use crate::provider::{Field, Lookup, Need, Provider};
use crate::publisher::{
    Candidate, ConfigurationError, Difference, FieldError, Match, Mismatch, Openness, Publisher, Remark,
    glob_matches, python_list, python_text,
};

/// The events that a job may be started by where a publisher does not say: each of them needs write access to the
/// repository.
pub const EVENTS_DEFAULT: &[&str] = &["push", "release", "workflow_dispatch", "schedule"];

/// Events that strangers can trigger while the job runs with the repository's own rights. No publisher can allow them.
pub const EVENTS_FORBIDDEN: &[&str] = &["pull_request_target", "workflow_run", "issue_comment", "discussion"];

const ID_DIGITS_MAX: usize = 20;

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const NOT_FOUND: &str = "Publisher with matching claims was not found";

/// Must be there and text, in the order in which the reference looks at them. An empty text counts as being there.
const REQUIRED_CLAIMS: [&str; 8] = [
    "repository",
    "repository_owner",
    "repository_owner_id",
    "job_workflow_ref",
    "jti",
    "event_name",
    "ref",
    "sha",
];

/// Kept with a minted token: where it came from and which run to look at when something is wrong.
const KEPT_CLAIMS: [&str; 17] = [
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "ref",
    "ref_protected",
    "sha",
    "workflow_ref",
    "job_workflow_ref",
    "run_id",
    "run_attempt",
    "event_name",
    "environment",
    "actor",
    "actor_id",
    "runner_environment",
    "head_ref",
];
const KEPT_CLAIM_BYTES_MAX: usize = 1_000;

/// The provider.
pub struct GitHub;

/// A publisher as it is stored. A field is only ever added with a default that restricts nothing, and its absence in an
/// older release is an error there (`deny_unknown_fields`): a pin must not be ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    owner: String,
    /// `None` until the first token tells it, or GitHub was asked. From then on it protects against a deleted account
    /// whose name somebody else took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner_id: Option<String>,
    repository: String,
    /// As `owner_id`, for a repository that was deleted and created again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repository_id: Option<String>,
    workflow: String,
    /// Lower case; empty for any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    environment: String,
    /// Empty for any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refs: Vec<String>,
    /// Empty for [`EVENTS_DEFAULT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runner_environment: Option<String>,
    /// Whether the ref must be protected.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ref_protected: bool,
}

impl Provider for GitHub {
    fn name(&self) -> &'static str {
        "github"
    }

    fn title(&self) -> &'static str {
        "GitHub"
    }

    fn issuer(&self) -> &'static str {
        ISSUER
    }

    fn algorithms(&self) -> &'static [SignatureAlgorithm] {
        &[SignatureAlgorithm::Rs256]
    }

    fn fields(&self) -> &'static [Field] {
        const fn field(name: &'static str, need: Need, hint: &'static str) -> Field {
            Field { name, hint, need }
        }
        const {
            &[
                field("owner", Need::Required, "The user or organization that owns the repository."),
                field("repository", Need::Required, "The repository's name, without its owner."),
                field("workflow", Need::Required, "The workflow's file name in .github/workflows/."),
                field("environment", Need::Optional, "The deployment environment that the job must use."),
                field(
                    "refs",
                    Need::Optional,
                    "Branches and tags to publish from: refs/tags/v*, refs/heads/main.",
                ),
                field(
                    "events",
                    Need::Optional,
                    "What may start the job; if empty: push, release, workflow_dispatch, schedule.",
                ),
                field("runner_environment", Need::Optional, "github-hosted or self-hosted."),
                field("ref_protected", Need::Optional, "true: only from protected branches and tags."),
                field("owner_id", Need::Optional, "GitHub's number of the owner; else learned at first use."),
                field("repository_id", Need::Optional, "GitHub's number of the repository; else learned."),
            ]
        }
    }

    fn configure(&self, issuer: &str, values: &[(String, String)]) -> Result<Publisher, Vec<FieldError>> {
        let configuration = form::read(values)?;
        publisher(issuer, &configuration)
            .map_err(|error| vec![FieldError { field: "owner".to_owned(), message: error.cause }])
    }

    fn read(&self, issuer: &str, configuration: &str) -> Result<Publisher, ConfigurationError> {
        publisher(issuer, &Configuration::read(configuration)?)
    }

    fn lookup(&self, claims: &VerifiedClaims) -> Result<Lookup, Mismatch> {
        let job = Job::read(claims)?;
        let key = lookup_key(job.owner, job.repository);
        Ok(Lookup { repository: Some(format!("{}/{key}", host_of(claims.issuer()))), key })
    }

    fn find(
        &self,
        claims: &VerifiedClaims,
        candidates: &[Candidate],
        already_used: bool,
    ) -> Result<Match, Mismatch> {
        let job = Job::read(claims)?;
        let chosen = choose(&job, candidates)?;
        let mut first_refusal: Option<String> = None;
        let mut differences = Vec::new();
        for (id, configuration) in chosen {
            match configuration.check(&job, already_used) {
                Ok(()) => return Ok(matched(id, &configuration, &job)),
                Err(Refused::AlreadyUsed) => return Err(Mismatch::AlreadyUsed),
                Err(Refused::Claim { detail, difference }) => {
                    differences.extend(difference);
                    first_refusal.get_or_insert(detail);
                }
            }
        }
        let detail = first_refusal.unwrap_or_else(|| NOT_FOUND.to_owned());
        Err(Mismatch::with_differences(detail, differences))
    }
}

/// The claims of one job that the rules look at, with their types checked.
struct Job<'a> {
    claims: &'a VerifiedClaims,
    /// The parts of the claim `repository`.
    owner: &'a str,
    repository: &'a str,
    /// The file name inside `job_workflow_ref`.
    workflow: &'a str,
}

impl<'a> Job<'a> {
    fn read(claims: &'a VerifiedClaims) -> Result<Job<'a>, Mismatch> {
        for name in REQUIRED_CLAIMS {
            match claims.claim(name) {
                None => return Err(Mismatch::plain(format!("Missing claim '{name}'"))),
                Some(Value::String(_)) => {}
                Some(_) => return Err(Mismatch::plain(failed_required(name))),
            }
        }
        let repository = claims.text("repository").unwrap_or_default();
        let (owner, repository) =
            repository.split_once('/').ok_or_else(|| Mismatch::plain(failed_required("repository")))?;
        let reference = claims.text("job_workflow_ref").unwrap_or_default();
        let workflow = workflow_in(reference).ok_or_else(|| {
            // The reference's word order.
            Mismatch::plain("Could not job extract workflow filename from OIDC claims")
        })?;
        Ok(Job { claims, owner, repository, workflow })
    }

    /// A claim that may be missing; empty if it is.
    fn text(&self, name: &str) -> &'a str {
        self.claims.text(name).unwrap_or_default()
    }
}

/// The workflow's file name: in the first part between slashes that has `.yml@` or `.yaml@` after at least one character,
/// everything before the last such `@`.
fn workflow_in(reference: &str) -> Option<&str> {
    reference.split('/').find_map(|part| {
        let ends = part.match_indices('@').map(|(at, _)| at);
        let mut names = ends.filter_map(|at| part.get(..at));
        names.rfind(|name| is_workflow_name(name))
    })
}

fn is_workflow_name(name: &str) -> bool {
    let stem = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml"));
    stem.is_some_and(|stem| !stem.is_empty())
}

/// GitHub's names are unique whatever their case.
fn lookup_key(owner: &str, repository: &str) -> String {
    format!("{owner}/{repository}").to_ascii_lowercase()
}

fn failed_required(claim: &str) -> String {
    format!("Check failed for required claim '{claim}'")
}

fn failed_optional(claim: &str) -> String {
    format!("Check failed for optional claim '{claim}'")
}

/// The reference's lookup: owner, name, owner id and file name, then the publisher for the job's environment, else one
/// that asks for none. Where several are left, those with more pins come first.
fn choose(job: &Job<'_>, candidates: &[Candidate]) -> Result<Vec<(Uuid, Configuration)>, Mismatch> {
    let key = lookup_key(job.owner, job.repository);
    let mut differences = Vec::new();
    let mut same_workflow = Vec::new();
    for candidate in candidates {
        // One that cannot be read restricts in a way that is not known: it matches nothing.
        let Ok(configuration) = Configuration::read(&candidate.configuration) else { continue };
        if lookup_key(&configuration.owner, &configuration.repository) != key {
            continue;
        }
        let owner_id = job.text("repository_owner_id");
        if configuration.owner_id.as_deref().is_some_and(|id| id != owner_id) {
            let expected = configuration.owner_id.unwrap_or_default();
            differences.push(Difference { field: "owner_id", expected, got: owner_id.to_owned() });
        } else if configuration.workflow != job.workflow {
            let expected = configuration.workflow;
            differences.push(Difference { field: "workflow", expected, got: job.workflow.to_owned() });
        } else {
            same_workflow.push((candidate.id, configuration));
        }
    }
    if same_workflow.is_empty() {
        return Err(Mismatch::with_differences(NOT_FOUND, differences));
    }
    let environment = job.text("environment").to_lowercase();
    let of_environment = |wanted: &str| -> Vec<(Uuid, Configuration)> {
        let fitting = same_workflow.iter().filter(|(_, publisher)| publisher.environment == wanted);
        fitting.cloned().collect()
    };
    let mut chosen = of_environment(&environment);
    if chosen.is_empty() {
        chosen = of_environment("");
    }
    if chosen.is_empty() {
        let differences = same_workflow.into_iter().map(|(_, publisher)| Difference {
            field: "environment",
            expected: publisher.environment,
            got: environment.clone(),
        });
        return Err(Mismatch::with_differences(NOT_FOUND, differences.collect()));
    }
    chosen.sort_by_key(|(_, publisher)| std::cmp::Reverse(publisher.pins()));
    Ok(chosen)
}

/// Why one publisher does not accept a job.
enum Refused {
    AlreadyUsed,
    Claim { detail: String, difference: Option<Difference> },
}

impl Refused {
    fn claim(detail: String, field: &'static str, expected: &str, got: &str) -> Refused {
        let difference = Difference { field, expected: expected.to_owned(), got: got.to_owned() };
        Refused::Claim { detail, difference: Some(difference) }
    }
}

impl Configuration {
    fn read(text: &str) -> Result<Configuration, ConfigurationError> {
        serde_json::from_str(text)
            .map_err(|error| ConfigurationError { provider: "github", cause: error.to_string() })
    }

    /// How much it is pinned down, for trying the strictest first.
    fn pins(&self) -> usize {
        [
            !self.refs.is_empty(),
            !self.events.is_empty(),
            self.runner_environment.is_some(),
            self.ref_protected,
            self.owner_id.is_some(),
            self.repository_id.is_some(),
        ]
        .into_iter()
        .filter(|pinned| *pinned)
        .count()
    }

    /// What a person typed is a spelling only until GitHub has told the id that goes with it; then GitHub's counts.
    fn owner_spelling<'s>(&'s self, job: &'s Job<'_>) -> &'s str {
        if self.owner_id.is_some() { &self.owner } else { job.owner }
    }

    fn repository_spelling<'s>(&'s self, job: &'s Job<'_>) -> &'s str {
        if self.repository_id.is_some() { &self.repository } else { job.repository }
    }

    /// Every check in the reference's order, ours beside those that they extend.
    fn check(&self, job: &Job<'_>, already_used: bool) -> Result<(), Refused> {
        self.check_repository(job)?;
        self.check_workflow(job)?;
        if job.text("jti").is_empty() {
            return Err(Refused::Claim { detail: failed_required("jti"), difference: None });
        }
        if already_used {
            return Err(Refused::AlreadyUsed);
        }
        self.check_event(job)?;
        self.check_ref(job)?;
        self.check_runner(job)?;
        self.check_environment(job)
    }

    fn check_repository(&self, job: &Job<'_>) -> Result<(), Refused> {
        let repository = job.text("repository");
        let ours = format!("{}/{}", self.owner, self.repository);
        if !repository.eq_ignore_ascii_case(&ours) {
            return Err(Refused::Claim { detail: failed_required("repository"), difference: None });
        }
        let owner = job.text("repository_owner");
        if owner != self.owner_spelling(job) {
            let detail = failed_required("repository_owner");
            return Err(Refused::claim(detail, "owner", self.owner_spelling(job), owner));
        }
        let owner_id = job.text("repository_owner_id");
        match self.owner_id.as_deref() {
            Some(pinned) if pinned == owner_id => {}
            // Learned from this token, which therefore must name one.
            None if is_id(owner_id) => {}
            pinned => {
                let detail = failed_required("repository_owner_id");
                return Err(Refused::claim(detail, "owner_id", pinned.unwrap_or("a number"), owner_id));
            }
        }
        if let Some(pinned) = &self.repository_id
            && job.text("repository_id") != pinned
        {
            let detail = failed_required("repository_id");
            return Err(Refused::claim(detail, "repository_id", pinned, job.text("repository_id")));
        }
        Ok(())
    }

    /// The workflow at the very ref or commit that the job runs for: a called workflow of another repository, or of this
    /// one at another ref, is refused.
    fn check_workflow(&self, job: &Job<'_>) -> Result<(), Refused> {
        let got = job.text("job_workflow_ref");
        if got.is_empty() {
            let detail = "The job_workflow_ref claim is empty".to_owned();
            return Err(Refused::Claim { detail, difference: None });
        }
        let owner = self.owner_spelling(job);
        let repository = self.repository_spelling(job);
        let path = format!("{owner}/{repository}/.github/workflows/{}", self.workflow);
        let mut expected: Vec<String> = [job.text("ref"), job.text("sha")]
            .into_iter()
            .filter(|at| !at.is_empty())
            .map(|at| format!("{path}@{at}"))
            .collect();
        expected.sort();
        expected.dedup();
        let Some(first) = expected.first() else {
            let detail = "The ref and sha claims are empty".to_owned();
            return Err(Refused::Claim { detail, difference: None });
        };
        if expected.iter().any(|expected| expected == got) {
            return Ok(());
        }
        let detail = format!(
            "The job_workflow_ref claim does not match, expecting one of {}, got {}",
            python_list(&expected),
            python_text(got)
        );
        Err(Refused::claim(detail, "workflow", first, got))
    }

    fn check_event(&self, job: &Job<'_>) -> Result<(), Refused> {
        let event = job.text("event_name");
        let allowed = || -> String {
            if self.events.is_empty() { EVENTS_DEFAULT.join(" or ") } else { self.events.join(" or ") }
        };
        if event == "pull_request_target" {
            let detail =
                "Publishing from a workflow invoked via 'pull_request_target' is not supported.".to_owned();
            return Err(Refused::claim(detail, "events", &allowed(), event));
        }
        let fits = if self.events.is_empty() {
            EVENTS_DEFAULT.contains(&event)
        } else {
            self.events.iter().any(|allowed| allowed == event)
        };
        // Asked again although no form lets them in: a stored configuration is not trusted to forbid them.
        if !fits || EVENTS_FORBIDDEN.contains(&event) {
            return Err(Refused::claim(failed_required("event_name"), "events", &allowed(), event));
        }
        Ok(())
    }

    fn check_ref(&self, job: &Job<'_>) -> Result<(), Refused> {
        let got = job.text("ref");
        if !self.refs.is_empty() && !self.refs.iter().any(|pattern| glob_matches(pattern, got)) {
            return Err(Refused::claim(failed_required("ref"), "refs", &self.refs.join(" or "), got));
        }
        // GitHub writes the flag as text.
        let protected = job.text("ref_protected");
        if self.ref_protected && protected != "true" {
            return Err(Refused::claim(failed_required("ref_protected"), "ref_protected", "true", protected));
        }
        Ok(())
    }

    fn check_runner(&self, job: &Job<'_>) -> Result<(), Refused> {
        let got = job.text("runner_environment");
        match &self.runner_environment {
            Some(pinned) if pinned != got => {
                let detail = failed_required("runner_environment");
                Err(Refused::claim(detail, "runner_environment", pinned, got))
            }
            _ => Ok(()),
        }
    }

    fn check_environment(&self, job: &Job<'_>) -> Result<(), Refused> {
        let of_another_type =
            job.claims.claim("environment").is_some_and(|environment| !environment.is_string());
        let got = job.text("environment");
        if !of_another_type && (self.environment.is_empty() || self.environment == got.to_lowercase()) {
            return Ok(());
        }
        Err(Refused::claim(failed_optional("environment"), "environment", &self.environment, got))
    }

    /// This configuration with what the job's verified claims tell; `None` where they tell nothing new.
    fn pinned_by(&self, job: &Job<'_>) -> Option<Configuration> {
        let mut pinned = self.clone();
        if pinned.owner_id.is_none() {
            pinned.owner_id = Some(job.text("repository_owner_id").to_owned());
            pinned.owner = job.owner.to_owned();
        }
        let repository_id = job.text("repository_id");
        if pinned.repository_id.is_none() && is_id(repository_id) {
            pinned.repository_id = Some(repository_id.to_owned());
            pinned.repository = job.repository.to_owned();
        }
        (pinned != *self).then_some(pinned)
    }

    fn to_json(&self) -> Result<String, ConfigurationError> {
        serde_json::to_string(self)
            .map_err(|error| ConfigurationError { provider: "github", cause: error.to_string() })
    }
}

fn is_id(text: &str) -> bool {
    (1..=ID_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn matched(id: Uuid, configuration: &Configuration, job: &Job<'_>) -> Match {
    let host = host_of(job.claims.issuer());
    let base = format!("https://{host}/{}/{}", job.owner, job.repository);
    let sha = job.text("sha");
    let is_commit = !sha.is_empty() && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut remarks = Vec::new();
    let called = job.text("workflow_ref");
    if !called.is_empty() && called != job.text("job_workflow_ref") {
        remarks.push(Remark::ReusableWorkflow);
    }
    if configuration.environment.is_empty() && !job.text("environment").is_empty() {
        remarks.push(Remark::EnvironmentNotPinned);
    }
    let kept = KEPT_CLAIMS.iter().filter_map(|name| {
        let text = job.claims.text(name).filter(|text| text.len() <= KEPT_CLAIM_BYTES_MAX)?;
        Some(((*name).to_owned(), Value::String(text.to_owned())))
    });
    Match {
        id,
        pinned: configuration.pinned_by(job).and_then(|pinned| pinned.to_json().ok()),
        url: Some(if is_commit { format!("{base}/commit/{sha}") } else { base }),
        minted_from: Value::Object(kept.collect()),
        remarks,
    }
}

/// The host that an issuer's repositories lie on. Enterprise Server's issuers are `https://HOST/_services/token`, those of
/// GitHub with data residency `https://token.actions.NAME.ghe.com`; every other is github.com's.
fn host_of(issuer: &str) -> String {
    let host = url::Url::parse(issuer).ok().and_then(|url| {
        let host = url.host_str()?;
        if url.path().trim_end_matches('/') == "/_services/token" {
            return Some(host.to_owned());
        }
        let residency = host.strip_prefix("token.actions.")?;
        residency.ends_with(".ghe.com").then(|| residency.to_owned())
    });
    host.unwrap_or_else(|| "github.com".to_owned())
}

fn publisher(issuer: &str, configuration: &Configuration) -> Result<Publisher, ConfigurationError> {
    let host = host_of(issuer);
    let key = lookup_key(&configuration.owner, &configuration.repository);
    // Everything that was asked for. With PyPI the ids and of course our pins are no part of it; there the owner's id is
    // GitHub's word, here it may be a stranger's, who could otherwise take a workflow's identity with a wrong one. Ids that
    // are learned later change the configuration, not the identity it was registered under.
    let identity_key = serde_json::json!([
        key,
        configuration.workflow,
        configuration.environment,
        configuration.refs,
        configuration.events,
        configuration.runner_environment,
        configuration.ref_protected,
        configuration.owner_id,
        configuration.repository_id,
    ])
    .to_string();
    let shown = [
        ("owner", configuration.owner.clone()),
        ("repository", configuration.repository.clone()),
        ("workflow", configuration.workflow.clone()),
        ("environment", configuration.environment.clone()),
        ("refs", configuration.refs.join(" ")),
        ("events", configuration.events.join(" ")),
        ("runner_environment", configuration.runner_environment.clone().unwrap_or_default()),
        ("ref_protected", if configuration.ref_protected { "true".to_owned() } else { String::new() }),
        ("owner_id", configuration.owner_id.clone().unwrap_or_default()),
        ("repository_id", configuration.repository_id.clone().unwrap_or_default()),
    ];
    let open = configuration.environment.is_empty() && configuration.refs.is_empty();
    Ok(Publisher {
        provider: "github",
        issuer: issuer.to_owned(),
        identity_key,
        repository: Some(format!("{host}/{key}")),
        url: Some(format!("https://{host}/{}/{}", configuration.owner, configuration.repository)),
        specifier: configuration.workflow.clone(),
        lookup_key: key,
        configuration: configuration.to_json()?,
        shown: shown.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
        openness: if open && !configuration.ref_protected { Openness::Open } else { Openness::Pinned },
    })
}
