//! What a job's `GITHUB_TOKEN` may do, by the `permissions:` of workflow, job and caller.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::yaml::{Content, Node};

/// The rights of a job's token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, rename_all = "kebab-case")]
pub enum Permissions {
    /// `default` (the repository's settings decide: all but `id-token` may be writable), `read-all`, `write-all`.
    Whole(Whole),
    /// Scope by scope; what is not listed is `none`.
    Scopes(BTreeMap<String, Level>),
    /// Never written.
    #[default]
    #[serde(skip)]
    Unset,
}

/// One word for all scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whole {
    /// No block says anything: the repository's settings decide.
    Default,
    /// Everything is readable.
    ReadAll,
    /// Everything is writable.
    WriteAll,
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Not at all.
    None,
    /// Read.
    Read,
    /// Write.
    Write,
}

impl Permissions {
    /// Reads a `permissions:` node; without one the repository's default.
    pub fn read(node: Option<&Node>) -> Self {
        let Some(node) = node else { return Self::Whole(Whole::Default) };
        match &node.content {
            Content::Scalar(scalar) => match scalar.text.trim() {
                "read-all" => Self::Whole(Whole::ReadAll),
                "write-all" => Self::Whole(Whole::WriteAll),
                _ => Self::Scopes(BTreeMap::new()),
            },
            Content::Mapping(_) => Self::Scopes(
                node.entries()
                    .into_iter()
                    .filter_map(|(key, value)| {
                        let name = key.text()?;
                        let plain =
                            name.len() <= 40 && name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
                        let level = match value.text()?.trim() {
                            "write" => Level::Write,
                            "read" => Level::Read,
                            _ => return None,
                        };
                        plain.then(|| (name.to_owned(), level))
                    })
                    .collect(),
            ),
            Content::Sequence(_) => Self::Scopes(BTreeMap::new()),
        }
    }

    /// The level of a scope.
    pub fn level(&self, scope: &str) -> Level {
        match self {
            // A default never includes it (GitHub, "Permissions for the GITHUB_TOKEN").
            Self::Whole(Whole::Default) | Self::Unset if scope == "id-token" => Level::None,
            Self::Whole(Whole::Default | Whole::WriteAll) | Self::Unset => Level::Write,
            Self::Whole(Whole::ReadAll) => Level::Read,
            Self::Scopes(scopes) => scopes.get(scope).copied().unwrap_or(Level::None),
        }
    }

    /// What is left of the rights that a called workflow asks for: never more than its caller has.
    #[must_use]
    pub fn within(&self, caller: &Self) -> Self {
        match (self, caller) {
            (inner, Self::Whole(Whole::WriteAll)) => inner.clone(),
            (Self::Whole(Whole::Default) | Self::Unset, caller) => caller.clone(),
            (Self::Whole(_), Self::Whole(Whole::ReadAll)) => Self::Whole(Whole::ReadAll),
            (Self::Whole(whole), Self::Whole(_) | Self::Unset) => match whole {
                Whole::WriteAll => Self::Whole(Whole::Default),
                whole => Self::Whole(*whole),
            },
            (Self::Scopes(inner), caller) => {
                let least =
                    |(scope, level): (&String, &Level)| (scope.clone(), (*level).min(caller.level(scope)));
                Self::Scopes(inner.iter().map(least).filter(|(_, level)| *level != Level::None).collect())
            }
            (Self::Whole(_), Self::Scopes(outer)) => {
                let least =
                    |(scope, level): (&String, &Level)| (scope.clone(), (*level).min(self.level(scope)));
                Self::Scopes(outer.iter().map(least).collect())
            }
        }
    }
}

/// Rights as people read them.
pub fn rights(permissions: &Permissions) -> String {
    match permissions {
        Permissions::Whole(Whole::ReadAll) => "reads everything".to_owned(),
        Permissions::Whole(Whole::WriteAll) => "writes everything".to_owned(),
        Permissions::Whole(Whole::Default) | Permissions::Unset => {
            "what the repository's settings give; that may be to write".to_owned()
        }
        Permissions::Scopes(scopes) if scopes.is_empty() => "nothing".to_owned(),
        Permissions::Scopes(scopes) => {
            let each = scopes.iter().map(|(scope, level)| match level {
                Level::Write => format!("writes {scope}"),
                Level::Read => format!("reads {scope}"),
                Level::None => format!("no {scope}"),
            });
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Permissions {
        Permissions::read(Some(&crate::yaml::parse(text).unwrap()))
    }

    #[test]
    fn a_called_workflow_never_gets_more_than_its_caller() {
        let asks = read("{id-token: write, contents: write}");
        assert_eq!(asks.within(&read("write-all")), asks);
        assert_eq!(asks.within(&read("{contents: read}")), read("{contents: read}"));
        assert_eq!(asks.within(&Permissions::read(None)), read("{contents: write}"));
        assert_eq!(read("write-all").within(&read("read-all")), read("read-all"));
        assert_eq!(Permissions::read(None).within(&read("{}")), read("{}"));
        assert_eq!(read("write-all").level("id-token"), Level::Write);
        assert_eq!(Permissions::read(None).level("id-token"), Level::None);
    }
}
