//! What a report is about: `TYPE:VALUE`, read by one parser.

use std::fmt;
use std::str::FromStr;

use super::pasted;
use crate::ids::TokenId;
use crate::project::ProjectName;

/// Longest value of a subject, in bytes.
pub const SUBJECT_LIMIT: usize = 500;

/// A repository on a forge, in lower case: `github.com/owner/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName {
    host: String,
    owner: String,
    name: String,
}

impl RepositoryName {
    /// Reads `HOST/OWNER/NAME`, the same as a web or clone URL over https, or `github:OWNER/NAME`.
    ///
    /// # Errors
    /// Where it is none of these, or holds what no forge has in a name.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        let wrong = || SubjectError::Value {
            kind: "repository",
            expected: "HOST/OWNER/NAME, such as github.com/owner/name",
        };
        let text = text.trim().to_ascii_lowercase();
        let text = match text.strip_prefix("github:") {
            Some(rest) => format!("github.com/{rest}"),
            None => text.strip_prefix("https://").unwrap_or(&text).to_owned(),
        };
        let text = text.trim_end_matches('/');
        let text = text.strip_suffix(".git").unwrap_or(text);
        let mut parts = text.split('/');
        let (Some(host), Some(owner), Some(name), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let word = |text: &str| {
            !text.is_empty()
                && text.len() <= 100
                && !text.starts_with(['.', '-'])
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        if !(word(host) && host.contains('.') && word(owner) && word(name)) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), owner: owner.to_owned(), name: name.to_owned() })
    }

    /// The forge: `github.com`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Who owns it there.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Its name there.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.host, self.owner, self.name)
    }
}

/// What a report is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A project, by its normalised name (PEP 503).
    Project(String),
    /// A release of a project.
    Release {
        /// The project's normalised name.
        project: String,
        /// The version as it was written.
        version: String,
    },
    /// A file, by its name.
    File(String),
    /// A repository.
    Repository(RepositoryName),
    /// An account, by its name.
    Account(String),
    /// A token, by the identifier inside it. Never the token itself.
    Token(TokenId),
    /// Whatever has no form of its own.
    Text(String),
}

/// What is wrong with a subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// It has no known type.
    #[error(
        "a subject is TYPE:VALUE; TYPE is one of project, release, file, repository, account, token, text"
    )]
    Type,
    /// Its value has not the form of its type.
    #[error("the value of a subject of type {kind} must be {expected}")]
    Value {
        /// Which type.
        kind: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// Somebody sent the secret itself.
    #[error(
        "a subject names a token by its identifier (a UUID), never by the token itself; that token must now be \
         taken as leaked"
    )]
    Secret,
}

fn project_name(text: &str, kind: &'static str) -> Result<String, SubjectError> {
    text.trim()
        .parse::<ProjectName>()
        .map(|name| name.normalised())
        .map_err(|_| SubjectError::Value { kind, expected: "a project's name, such as requests" })
}

fn plain(text: &str, kind: &'static str, expected: &'static str) -> Result<String, SubjectError> {
    let text = text.trim();
    if text.is_empty() || text.len() > SUBJECT_LIMIT || text.chars().any(char::is_control) {
        return Err(SubjectError::Value { kind, expected });
    }
    Ok(text.to_owned())
}

impl Subject {
    /// Reads `TYPE:VALUE`.
    ///
    /// # Errors
    /// Where the type is unknown or the value has not its form.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        let (kind, value) = text.trim().split_once(':').ok_or(SubjectError::Type)?;
        if value.trim_start().starts_with("pypi-") && !matches!(kind, "project" | "release") {
            return Err(SubjectError::Secret);
        }
        // A project may be called like a token; nothing else is kept with one in it.
        let cut = pasted::without_tokens(value);
        let value = if kind == "project" { value } else { cut.as_str() };
        match kind {
            "project" => project_name(value, "project").map(Self::Project),
            "release" => {
                let wrong = SubjectError::Value { kind: "release", expected: "NAME==VERSION" };
                let (project, version) = value.split_once("==").ok_or_else(|| wrong.clone())?;
                let version = plain(version, "release", "NAME==VERSION")?;
                pep440_rs::Version::from_str(&version).map_err(|_| wrong)?;
                Ok(Self::Release { project: project_name(project, "release")?, version })
            }
            "file" => {
                let name = plain(value, "file", "a file's name, without folders")?;
                if name.contains(['/', '\\']) {
                    return Err(SubjectError::Value {
                        kind: "file",
                        expected: "a file's name, without folders",
                    });
                }
                Ok(Self::File(name))
            }
            "repository" => RepositoryName::parse(value).map(Self::Repository),
            "account" => plain(value, "account", "an account's name").map(Self::Account),
            "token" => value
                .trim()
                .parse()
                .map(Self::Token)
                .map_err(|_| SubjectError::Value { kind: "token", expected: "a token's identifier, a UUID" }),
            "text" => plain(value, "text", "one line of text, up to 500 bytes").map(Self::Text),
            _ => Err(SubjectError::Type),
        }
    }

    /// The word before the colon.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Project(_) => "project",
            Self::Release { .. } => "release",
            Self::File(_) => "file",
            Self::Repository(_) => "repository",
            Self::Account(_) => "account",
            Self::Token(_) => "token",
            Self::Text(_) => "text",
        }
    }

    /// What stands after the colon, in its one spelling.
    #[must_use]
    pub fn value(&self) -> String {
        match self {
            Self::Project(name) | Self::File(name) | Self::Account(name) | Self::Text(name) => name.clone(),
            Self::Release { project, version } => format!("{project}=={version}"),
            Self::Repository(name) => name.to_string(),
            Self::Token(id) => id.to_string(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.kind(), self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_as_it_is_shown() {
        for (given, shown) in [
            ("project:Foo_Bar", "project:foo-bar"),
            ("release:Foo==1.0", "release:foo==1.0"),
            ("file:foo-1.0.tar.gz", "file:foo-1.0.tar.gz"),
            ("repository:GitHub.com/Owner/Name", "repository:github.com/owner/name"),
            ("repository:https://github.com/Owner/Name.git", "repository:github.com/owner/name"),
            ("repository:github:Owner/Name", "repository:github.com/owner/name"),
            ("account:mara", "account:mara"),
            ("token:5f2f8a2e-4b0a-4f7e-9f5b-0d6a3f0c9e11", "token:5f2f8a2e-4b0a-4f7e-9f5b-0d6a3f0c9e11"),
            ("text: somebody called ", "text:somebody called"),
        ] {
            let subject = Subject::parse(given).unwrap();
            assert_eq!(subject.to_string(), shown);
            assert_eq!(Subject::parse(shown).unwrap(), subject);
        }
    }

    #[test]
    fn what_has_no_form_is_refused() {
        for given in [
            "",
            "lanternfish",
            "planet:mars",
            "project:",
            "project:-",
            "release:foo",
            "release:foo==not a version",
            "file:../etc/passwd",
            "repository:github.com/owner",
            "repository:github.com/owner/name/more",
            "repository:localhost/owner/name",
            "repository:github.com/--upload-pack=x/name",
            "repository:github.com/ow ner/name",
            "token:me",
            "text:two\nlines",
        ] {
            assert!(Subject::parse(given).is_err(), "{given:?} was accepted");
        }
        assert!(Subject::parse(&format!("text:{}", "x".repeat(SUBJECT_LIMIT))).is_ok());
        assert!(Subject::parse(&format!("text:{}", "x".repeat(SUBJECT_LIMIT + 1))).is_err());
    }

    #[test]
    fn a_secret_is_not_taken_and_not_repeated() {
        let error = Subject::parse("token:pypi-AgEIcHlwaS5vcmc").unwrap_err();
        assert_eq!(error, SubjectError::Secret);
        assert!(!error.to_string().contains("AgEI"));
        let token = format!("portcullis-{}", "A".repeat(43));
        assert_eq!(
            Subject::parse(&format!("text:see {token} there")).unwrap().value(),
            "see portcullis-[token removed] there"
        );
        for given in ["account:", "file:", "release:x==1.0+", "token:", "repository:github.com/o/"] {
            let parsed = Subject::parse(&format!("{given}{token}"));
            assert!(!format!("{parsed:?}").contains("AAAA"), "{parsed:?}");
        }
    }
}
