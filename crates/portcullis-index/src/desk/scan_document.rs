//! The scanner's document, `portcullis.scan/1`, as the desk reads it: anybody's, so bounded and never believed.
//!
//! The desk does not know the scanner; this is its own reading of the format (the scanner's documentation, "Output").

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::subject::RepositoryName;
use crate::clock::Instant;
use crate::store::exposures::{Standing, UsedFor};

/// Largest document that a report may carry, in bytes.
pub const DOCUMENT_LIMIT: usize = 4 << 20;

/// Most findings that are read.
pub const FINDING_LIMIT: usize = 10_000;

/// Most exposures, secrets, refs or versions inside one finding.
pub const PART_LIMIT: usize = 2_000;

/// Most exposures that our own look keeps.
pub const EXPOSURE_LIMIT: usize = 5_000;

/// Most refs and versions, of all exposures together, that our own look keeps.
pub const DETAIL_LIMIT: usize = 100_000;

/// Most repositories of one document that the desk looks at.
pub const REPOSITORY_LIMIT: usize = 20;

/// Most commits that the desk fetches because a document cites them.
pub const CITED_LIMIT: usize = 50;

/// A document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScanDocument {
    schema: String,
    /// Whether everything could be looked at.
    #[serde(default)]
    pub complete: bool,
    /// What was found.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    #[serde(default)]
    pub problems: Vec<Problem>,
}

/// A flow that was judged.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    /// The scanner's id of it.
    pub id: String,
    /// The rule that found it.
    #[serde(default)]
    pub rule: String,
    /// `malicious`, `suspicious`, `exposed`, `advice`.
    pub verdict: String,
    /// `ran`, `could-run`, `foreign`.
    #[serde(default)]
    pub standing: Option<String>,
    /// Where it was found.
    pub repository: Repository,
    /// The workflow.
    pub path: String,
    /// The newest version's blob.
    #[serde(default)]
    pub blob: Option<String>,
    /// The secrets that leave.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// Whether all of them do.
    #[serde(default)]
    pub all_secrets: bool,
    /// Where, when and where it stands.
    #[serde(default)]
    pub exposures: Vec<FoundExposure>,
}

/// A repository as the scanner names it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Repository {
    /// `github.com/owner/name`, where it is known.
    #[serde(default)]
    pub identity: Option<String>,
}

/// A secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Secret {
    /// Its name in the workflow.
    pub name: String,
    /// What kind it is.
    #[serde(default)]
    pub kind: Option<String>,
    /// What it opens.
    #[serde(default)]
    pub used_for: Vec<UsedFor>,
}

/// An exposure as the scanner found it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FoundExposure {
    /// The secret.
    pub secret: String,
    /// Where to.
    pub destination: String,
    /// Whether the secret reaches the job.
    #[serde(default)]
    pub reachable: bool,
    /// The commit that brought it in.
    #[serde(default)]
    pub introduced: Option<Change>,
    /// Where it stood.
    #[serde(default)]
    pub refs: Vec<FoundRef>,
    /// The blobs of its versions.
    #[serde(default)]
    pub versions: Vec<String>,
}

/// A commit that brought something in or took it out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Change {
    /// Its id.
    #[serde(default)]
    pub commit: Option<String>,
    /// Its time, which the pusher chose.
    #[serde(default)]
    pub time: Option<String>,
}

impl Change {
    /// Its time, where it is one.
    #[must_use]
    pub fn at(&self) -> Option<Instant> {
        self.time.as_deref().and_then(Instant::parse)
    }
}

/// One ref that holds or held it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FoundRef {
    /// `refs/heads/main`.
    #[serde(rename = "ref")]
    pub name: String,
    /// The commit that brought it there.
    #[serde(default)]
    pub introduced: Option<String>,
    /// What took it out; none while it stands.
    #[serde(default)]
    pub removed: Option<Change>,
}

impl FoundRef {
    /// A branch or tag is the repository's own; `refs/pull/…` is anybody's.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.name.starts_with("refs/heads/") || self.name.starts_with("refs/tags/")
    }
}

/// Cuts a list to a limit, and tells whether something went.
fn shorten<T>(list: &mut Vec<T>, limit: usize) -> bool {
    let longer = list.len() > limit;
    list.truncate(limit);
    longer
}

/// What could not be looked at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Problem {
    /// What went wrong.
    #[serde(default)]
    pub what: String,
}

/// What is wrong with a document.
#[derive(Debug, thiserror::Error)]
pub enum ScanDocumentError {
    /// It is too large.
    #[error("the scan document is larger than {DOCUMENT_LIMIT} bytes")]
    TooLarge,
    /// It is not of the format.
    #[error("the scan document can't be read: {0}; expected the output of `portcullis scan --format json`")]
    Format(String),
    /// It holds too much.
    #[error("the scan document holds more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are read.
        limit: usize,
    },
}

/// A commit or blob id, as git writes it: 40 or 64 hex digits.
#[must_use]
pub fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl ScanDocument {
    /// Reads a document under its bounds.
    ///
    /// # Errors
    /// Where it is too large, of another format, or holds too much.
    pub fn read(text: &str) -> Result<Self, ScanDocumentError> {
        if text.len() > DOCUMENT_LIMIT {
            return Err(ScanDocumentError::TooLarge);
        }
        let document: Self =
            serde_json::from_str(text).map_err(|error| ScanDocumentError::Format(error.to_string()))?;
        if document.schema != "portcullis.scan/1" {
            return Err(ScanDocumentError::Format(String::from("its schema is not portcullis.scan/1")));
        }
        if document.findings.len() > FINDING_LIMIT {
            return Err(ScanDocumentError::TooMany { what: "findings", limit: FINDING_LIMIT });
        }
        for finding in &document.findings {
            let exposures = finding.exposures.iter();
            let longest = exposures.map(|exposure| exposure.refs.len().max(exposure.versions.len())).max();
            let longest = longest.unwrap_or(0).max(finding.secrets.len()).max(finding.exposures.len());
            if longest > PART_LIMIT {
                return Err(ScanDocumentError::TooMany { what: "parts in one finding", limit: PART_LIMIT });
            }
        }
        Ok(document)
    }

    /// Reads what our own scan wrote. Whoever may push to a repository can make it large; past a limit it is cut, since a refusal
    /// would leave them untouched. What weighs most stays: malicious before suspicious, the repository's own before what is
    /// foreign, what may be a token of this index before other secrets, the refs where it stands before those where it stood.
    /// Returns with it whether something was cut.
    ///
    /// # Errors
    /// [`ScanDocumentError::Format`] where it is no `portcullis.scan/1`.
    pub fn read_own(text: &str) -> Result<(Self, bool), ScanDocumentError> {
        let mut document: Self =
            serde_json::from_str(text).map_err(|error| ScanDocumentError::Format(error.to_string()))?;
        if document.schema != "portcullis.scan/1" {
            return Err(ScanDocumentError::Format(String::from("its schema is not portcullis.scan/1")));
        }
        let mut cut = false;
        let findings = &mut document.findings;
        let own =
            |finding: &Finding| finding.verdict == "malicious" && finding.standing() != Standing::Foreign;
        findings.sort_by_key(|finding| {
            let opens_packages = finding.secrets.iter().any(Secret::opens_packages);
            (finding.verdict != "malicious", finding.standing() == Standing::Foreign, !opens_packages)
        });
        let mut own_cut = findings.get(FINDING_LIMIT).is_some_and(own);
        cut |= shorten(findings, FINDING_LIMIT);
        let (mut exposures, mut details) = (EXPOSURE_LIMIT, DETAIL_LIMIT);
        for finding in findings.iter_mut() {
            finding.secrets.sort_by_key(|secret| !secret.opens_packages());
            let mut fewer = shorten(&mut finding.secrets, PART_LIMIT);
            let first: BTreeSet<&str> = finding
                .secrets
                .iter()
                .filter(|secret| secret.opens_packages())
                .map(|secret| &*secret.name)
                .collect();
            finding
                .exposures
                .sort_by_key(|exposure| (!first.contains(&*exposure.secret), !exposure.reachable));
            fewer |= shorten(&mut finding.exposures, PART_LIMIT.min(exposures));
            exposures -= finding.exposures.len();
            cut |= fewer;
            own_cut |= fewer && own(finding);
            for exposure in &mut finding.exposures {
                exposure.refs.sort_by_key(|found| (!found.is_own(), found.removed.is_some()));
                cut |= shorten(&mut exposure.refs, PART_LIMIT.min(details));
                details -= exposure.refs.len();
                cut |= shorten(&mut exposure.versions, PART_LIMIT.min(details));
                details -= exposure.versions.len();
            }
        }
        // Which secrets left is not known any more: then all of them did.
        for finding in findings.iter_mut().filter(|finding| own_cut && own(finding)) {
            finding.all_secrets = true;
        }
        Ok((document, cut))
    }

    /// The findings with the verdict `malicious`.
    pub fn malicious(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.verdict == "malicious")
    }

    /// The repositories that it accuses, at most [`REPOSITORY_LIMIT`].
    #[must_use]
    pub fn repositories(&self) -> Vec<RepositoryName> {
        let accused =
            self.findings.iter().filter(|finding| matches!(&*finding.verdict, "malicious" | "suspicious"));
        let names: BTreeSet<RepositoryName> = accused
            .filter_map(|finding| finding.repository.identity.as_deref())
            .filter_map(|identity| RepositoryName::parse(identity).ok())
            .collect();
        names.into_iter().take(REPOSITORY_LIMIT).collect()
    }

    /// The commits that it cites for a repository, at most [`CITED_LIMIT`]: what a force-push may have hidden.
    /// Findings without an identity count for every repository.
    #[must_use]
    pub fn cited(&self, repository: &RepositoryName) -> Vec<String> {
        let name = repository.to_string();
        let of_it = self.findings.iter().filter(|finding| {
            matches!(&*finding.verdict, "malicious" | "suspicious")
                && finding
                    .repository
                    .identity
                    .as_deref()
                    .is_none_or(|identity| identity.eq_ignore_ascii_case(&name))
        });
        let mut cited = BTreeSet::new();
        for exposure in of_it.flat_map(|finding| &finding.exposures) {
            let introduced = exposure.introduced.iter().filter_map(|change| change.commit.as_deref());
            let on_refs = exposure.refs.iter().filter_map(|found| found.introduced.as_deref());
            cited
                .extend(introduced.chain(on_refs).filter(|id| is_object_id(id)).map(str::to_ascii_lowercase));
        }
        cited.into_iter().take(CITED_LIMIT).collect()
    }
}

impl Secret {
    fn opens_packages(&self) -> bool {
        self.kind.as_deref() == Some("pypi") || self.used_for.iter().any(|used| used.registry == "pypi")
    }
}

impl Finding {
    /// Whose version it is. What the scanner does not say is taken as foreign.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing.as_deref().and_then(|word| word.parse().ok()).unwrap_or(Standing::Foreign)
    }

    /// The secret of this name.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.iter().find(|secret| secret.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(findings: &str) -> String {
        format!(
            r#"{{"schema": "portcullis.scan/1", "complete": true, "findings": {findings}, "problems": []}}"#
        )
    }

    fn finding(verdict: &str, commit: &str) -> String {
        format!(
            r#"{{"id": "0", "verdict": "{verdict}", "repository": {{"identity": "github.com/Example-Org/fish"}},
                "path": ".github/workflows/x.yml", "exposures": [{{"secret": "A", "destination": "x.test",
                "introduced": {{"commit": "{commit}"}}}}]}}"#
        )
    }

    #[test]
    fn it_points_at_repositories_and_commits() {
        let text =
            document(&format!("[{}, {}]", finding("malicious", &"a".repeat(40)), finding("exposed", "b")));
        let read = ScanDocument::read(&text).unwrap();
        let repository = RepositoryName::parse("github.com/example-org/fish").unwrap();
        assert_eq!(read.repositories(), std::slice::from_ref(&repository));
        assert_eq!(read.cited(&repository), ["a".repeat(40)]);
        assert_eq!(read.malicious().next().unwrap().standing(), Standing::Foreign);
    }

    #[test]
    fn our_own_document_is_cut_to_what_weighs_most() {
        let finding = |number: usize, verdict: &str, standing: &str| {
            serde_json::json!({
                "id": number.to_string(), "verdict": verdict, "standing": standing, "path": "p",
                "repository": {"identity": "github.com/example-org/fish"},
            })
        };
        let mut decoys: Vec<serde_json::Value> =
            (0..FINDING_LIMIT).map(|number| finding(number, "suspicious", "could-run")).collect();
        let mut own = finding(FINDING_LIMIT, "malicious", "could-run");
        let tags = (0..=PART_LIMIT).map(|tag| {
            let removed = (tag < PART_LIMIT).then(|| serde_json::json!({"commit": "b"}));
            serde_json::json!({"ref": format!("refs/tags/{tag}"), "introduced": "a", "removed": removed})
        });
        let refs: Vec<serde_json::Value> = tags.collect();
        let decoy =
            |number: usize| serde_json::json!({"secret": format!("S{number}"), "destination": "x.test"});
        let mut exposures: Vec<serde_json::Value> = (0..PART_LIMIT).map(decoy).collect();
        exposures.push(
            serde_json::json!({"secret": "TOKEN", "destination": "x.test", "reachable": true, "refs": refs}),
        );
        own["exposures"] = exposures.into();
        own["secrets"] = serde_json::json!([{"name": "S1"}, {"name": "TOKEN", "kind": "pypi"}]);
        decoys.push(finding(FINDING_LIMIT + 1, "malicious", "foreign"));
        decoys.push(own);
        let text = document(&serde_json::Value::from(decoys).to_string());
        assert!(ScanDocument::read(&text).is_err());
        let (read, cut) = ScanDocument::read_own(&text).unwrap();
        assert!(cut);
        assert_eq!(read.findings.len(), FINDING_LIMIT);
        let first = &read.findings[0];
        assert_eq!((first.id.as_str(), first.exposures.len()), ("10000", PART_LIMIT));
        assert_eq!(first.exposures[0].secret, "TOKEN");
        assert_eq!(first.exposures[0].refs.len(), PART_LIMIT);
        // The one tag where it still stands is there.
        assert!(first.exposures[0].refs[0].removed.is_none());
        // A secret that did not fit is not a secret that stayed.
        assert!(first.all_secrets && read.findings.iter().filter(|finding| finding.all_secrets).count() == 1);
        // What was cut once is read as it is.
        let again = serde_json::to_string(&read).unwrap();
        assert!(!ScanDocument::read_own(&again).unwrap().1);
        assert!(!ScanDocument::read_own(&document("[]")).unwrap().1);
    }

    #[test]
    fn what_is_no_commit_is_not_fetched() {
        for commit in ["--upload-pack=touch", "HEAD", "a", "refs/heads/main"] {
            let read = ScanDocument::read(&document(&format!("[{}]", finding("malicious", commit)))).unwrap();
            let repository = RepositoryName::parse("github.com/example-org/fish").unwrap();
            assert!(read.cited(&repository).is_empty(), "{commit}");
        }
    }

    #[test]
    fn other_formats_and_bombs_are_refused() {
        assert!(matches!(ScanDocument::read("{"), Err(ScanDocumentError::Format(_))));
        assert!(matches!(
            ScanDocument::read(r#"{"schema": "portcullis.scan/9", "findings": []}"#),
            Err(ScanDocumentError::Format(_))
        ));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(ScanDocument::read(&document(&deep)), Err(ScanDocumentError::Format(_))));
        let padded = |size: usize| {
            let empty = document("[]");
            format!("{empty}{}", " ".repeat(size - empty.len()))
        };
        assert!(ScanDocument::read(&padded(DOCUMENT_LIMIT)).is_ok());
        assert!(matches!(ScanDocument::read(&padded(DOCUMENT_LIMIT + 1)), Err(ScanDocumentError::TooLarge)));
        let small = r#"{"id":"","verdict":"","repository":{},"path":""}"#;
        let many = |count: usize| document(&format!("[{}]", vec![small; count].join(",")));
        assert!(ScanDocument::read(&many(FINDING_LIMIT)).is_ok());
        assert!(matches!(
            ScanDocument::read(&many(FINDING_LIMIT + 1)),
            Err(ScanDocumentError::TooMany { .. })
        ));
    }
}
