//! The action that was taken over, and whether a `uses:` leads to it.

use std::str::FromStr;

/// An action, or a folder or reusable workflow of its repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// `owner/name` in lower case: GitHub compares both without case.
    repository: String,
    /// A path below the repository, where only that one is meant.
    path: Option<String>,
    /// A tag, a branch or a full commit id, where only that one is meant.
    reference: Option<String>,
}

/// Why a text names no action.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` names no action; expected OWNER/REPO or OWNER/REPO@REF, as in example/changed-files@v45")]
pub struct NoAction(String);

impl FromStr for Action {
    type Err = NoAction;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NoAction(text.chars().take(200).collect());
        let (name, reference) = match text.trim().split_once('@') {
            Some((_, "")) => return Err(refused()),
            Some((name, reference)) => (name, Some(short(reference).to_owned())),
            None => (text.trim(), None),
        };
        let (repository, path) = split(name).ok_or_else(refused)?;
        Ok(Self { repository, path, reference })
    }
}

impl Action {
    /// `owner/name` in lower case.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// As it is asked for.
    pub fn name(&self) -> String {
        let path = self.path.as_ref().map(|path| format!("/{path}")).unwrap_or_default();
        let reference = self.reference.as_ref().map(|reference| format!("@{reference}")).unwrap_or_default();
        format!("{}{path}{reference}", self.repository)
    }

    /// Whether a `uses:` could have led to it. A full commit id leads to that commit alone; a tag or branch to whatever its
    /// owner moved it to, so it also leads to a commit that is asked for.
    pub fn is_used_by(&self, uses: &str) -> bool {
        let uses = uses.trim();
        if uses.starts_with("./") || uses.contains("://") {
            return false;
        }
        let (name, reference) = uses.split_once('@').unwrap_or((uses, ""));
        let Some((repository, path)) = split(name) else { return false };
        if repository != self.repository || (self.path.is_some() && path != self.path) {
            return false;
        }
        let reference = short(reference.trim());
        match (&self.reference, is_commit_id(reference)) {
            (Some(asked), true) => asked.eq_ignore_ascii_case(reference),
            (None, true) => false,
            (Some(asked), false) => is_commit_id(asked) || asked == reference,
            (None, false) => true,
        }
    }
}

/// `owner/name` in lower case, and what follows it.
fn split(name: &str) -> Option<(String, Option<String>)> {
    let mut parts = name.splitn(3, '/');
    let (owner, repository) = (parts.next()?, parts.next()?);
    let plain = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let path = parts.next().map(|path| path.trim_matches('/').to_owned()).filter(|path| !path.is_empty());
    (plain(owner) && plain(repository)).then(|| (format!("{owner}/{repository}").to_ascii_lowercase(), path))
}

fn short(reference: &str) -> &str {
    reference
        .strip_prefix("refs/tags/")
        .or_else(|| reference.strip_prefix("refs/heads/"))
        .unwrap_or(reference)
}

/// Whether it is a full commit id, SHA-1 or SHA-256: nothing shorter pins.
fn is_commit_id(reference: &str) -> bool {
    matches!(reference.len(), 40 | 64) && reference.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn references_that_can_be_moved_lead_to_it() {
        let pinned = format!("Owner/Act@{ID}");
        for (asked, uses, is_used) in [
            ("owner/act", "Owner/ACT@v1", true),
            ("owner/act", "owner/act/sub/folder@main", true),
            ("owner/act", "owner/act/.github/workflows/x.yml@refs/heads/main", true),
            ("owner/act", "owner/act@0123456", true),
            ("owner/act", pinned.as_str(), false),
            ("owner/act", "owner/act-two@v1", false),
            ("owner/act", "other/act@v1", false),
            ("owner/act", "./owner/act", false),
            ("owner/act", "docker://owner/act@v1", false),
            ("owner/act@v1", "owner/act@v1", true),
            ("owner/act@v1", "owner/act@refs/tags/v1", true),
            ("owner/act@v1", "owner/act@v2", false),
            ("owner/act@v1", pinned.as_str(), false),
            (pinned.as_str(), pinned.as_str(), true),
            (pinned.as_str(), "owner/act@v1", true),
            ("owner/act/sub", "owner/act/sub@v1", true),
            ("owner/act/sub", "owner/act@v1", false),
        ] {
            assert_eq!(asked.parse::<Action>().unwrap().is_used_by(uses), is_used, "{asked} {uses}");
        }
    }

    #[test]
    fn what_names_no_action_is_refused() {
        for text in ["", "act", "owner/", "/act", "owner/act@", "https://github.com/owner/act", "a b/c"] {
            assert!(text.parse::<Action>().is_err(), "{text}");
        }
    }
}
