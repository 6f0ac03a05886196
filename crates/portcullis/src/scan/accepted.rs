//! What the operator accepts: findings by their id, and places of their own. Accepted findings stay listed.

use std::collections::BTreeSet;

use anyhow::bail;
use portcullis_scan::report::{AcceptedBy, Destination, Finding};
use portcullis_scan::text::RepositoryText;

/// One finding that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Acceptance {
    id: String,
    reason: String,
    /// `host/owner/name`, or the path that was given; any repository where there is none.
    repository: Option<String>,
}

impl Acceptance {
    /// Checks that the id can be one and that there is a reason.
    pub(super) fn new(id: &str, reason: &str, repository: Option<&str>) -> anyhow::Result<Self> {
        let (id, reason) = (id.trim().to_ascii_lowercase(), reason.trim());
        if id.len() != 16 || !id.chars().all(|c| c.is_ascii_hexdigit()) {
            bail!("`{id}` is no finding's id: expected its 16 hexadecimal digits");
        }
        if reason.is_empty() {
            bail!("finding {id} is accepted without a reason: say why it is");
        }
        Ok(Self { id, reason: reason.to_owned(), repository: repository.map(str::to_owned) })
    }

    /// Reads `ID=REASON`.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let Some((id, reason)) = text.split_once('=') else {
            bail!("`{text}`: expected ID=REASON, the finding's 16-digit id and why it is accepted");
        };
        Self::new(id, reason, None)
    }

    fn covers(&self, finding: &Finding) -> bool {
        let here = |wanted: &String| {
            finding.repository.identity.as_ref().is_some_and(|identity| identity.eq_ignore_ascii_case(wanted))
                || finding.repository.given == *wanted
        };
        self.id == finding.id && self.repository.as_ref().is_none_or(here)
    }
}

/// Everything that the operator accepts.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    /// The first that covers a finding says why.
    pub(super) findings: Vec<Acceptance>,
    pub(super) hosts: BTreeSet<String>,
    pub(super) owners: BTreeSet<String>,
}

impl Accepted {
    /// Marks a finding that the operator accepts.
    pub(super) fn mark(&self, finding: &mut Finding) {
        let by_id = self.findings.iter().find(|accepted| accepted.covers(finding));
        let reason = by_id.map(|accepted| accepted.reason.clone()).or_else(|| self.trusted(finding));
        if let Some(reason) = reason {
            finding.accepted = Some(RepositoryText::new(reason));
            finding.accepted_by = Some(AcceptedBy::Operator);
        }
    }

    /// Why all the places that a finding names are the operator's own.
    fn trusted(&self, finding: &Finding) -> Option<String> {
        let places: Vec<String> =
            finding.destinations.iter().map(|place| self.trusted_place(place)).collect::<Option<_>>()?;
        let names: BTreeSet<String> = places.into_iter().collect();
        (!names.is_empty())
            .then(|| format!("the settings trust {}", names.into_iter().collect::<Vec<_>>().join(", ")))
    }

    fn trusted_place(&self, place: &Destination) -> Option<String> {
        let host = place.host.as_ref()?.unescaped().to_ascii_lowercase();
        let above =
            std::iter::successors(Some(host.as_str()), |name| name.split_once('.').map(|(_, rest)| rest));
        if let Some(known) = above.into_iter().find(|name| self.hosts.contains(*name)) {
            return Some(known.to_owned());
        }
        // `https://github.com/owner/name`: the owner is the first part of the path.
        let url = place.url.as_ref()?.unescaped();
        let path = url.strip_prefix("https://")?.strip_prefix(host.as_str())?.strip_prefix('/')?;
        let owner = path.split(['/', '@', '?', '#']).next().filter(|owner| !owner.is_empty())?;
        let owner = format!("{host}/{}", owner.to_ascii_lowercase());
        self.owners.contains(&owner).then_some(owner)
    }
}
