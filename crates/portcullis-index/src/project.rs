//! Projects: their names, and how one comes to be.

pub mod ownership;

use std::fmt;
use std::str::FromStr;

use serde_json::json;

use crate::app::App;
use crate::clock::Instant;
use crate::history::{Actor, Event, Origin, record};
use crate::ids::{AccountId, ProjectId};
use crate::store::pending_publishers::{self, PendingState};
use crate::store::projects::{self, Project, ProjectRole, ProjectState};
use crate::store::{StoreError, Tx};

/// Longest name of a project, in characters.
pub const NAME_CHARACTERS_MAX: usize = 200;

/// The name of a project: ASCII letters, digits, `.`, `_` and `-`, beginning and ending with a letter or digit
/// (PEP 508). The project is the same whatever the case and the separators ([`ProjectName::normalised`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectName(String);

/// Why a text is no name of a project. The text is PyPI's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The name '{0}' is invalid.")]
pub struct ProjectNameError(String);

impl FromStr for ProjectName {
    type Err = ProjectNameError;

    fn from_str(text: &str) -> Result<Self, ProjectNameError> {
        let outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        let good = bytes.len() <= NAME_CHARACTERS_MAX
            && outer(bytes.first())
            && outer(bytes.last())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            let shown = text.chars().filter(|character| !character.is_control()).take(NAME_CHARACTERS_MAX);
            Err(ProjectNameError(shown.collect()))
        }
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl ProjectName {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Lower case, every run of separators one hyphen (PEP 503): what names one project.
    #[must_use]
    pub fn normalised(&self) -> String {
        normalise(&self.0)
    }

    /// As file names spell it: the normalised name with `_`.
    #[must_use]
    pub fn in_file_names(&self) -> String {
        self.normalised().replace('-', "_")
    }

    /// What looks the same: no separators, `l` and `i` as `1`, `o` as `0`. Two projects may not share it.
    #[must_use]
    pub fn ultranormalised(&self) -> String {
        self.0
            .chars()
            .filter(|character| !matches!(character, '.' | '_' | '-'))
            .map(|character| match character.to_ascii_lowercase() {
                'l' | 'i' => '1',
                'o' => '0',
                other => other,
            })
            .collect()
    }
}

/// The normalised form of any text (PEP 503): lower case, every run of separators one hyphen.
#[must_use]
pub fn normalise(text: &str) -> String {
    let mut normalised = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '.' | '_' | '-' if normalised.ends_with('-') => {}
            '.' | '_' | '-' => normalised.push('-'),
            _ => normalised.push(character.to_ascii_lowercase()),
        }
    }
    normalised
}

/// Why a project can't be created. The texts are PyPI's, without the address of its help page.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// No name.
    #[error(transparent)]
    Name(#[from] ProjectNameError),
    /// A module of Python's standard library is called so.
    #[error("The name '{0}' isn't allowed (conflict with Python Standard Library module name).")]
    StandardLibrary(String),
    /// Names that nobody gets.
    #[error("The name '{0}' isn't allowed.")]
    Prohibited(String),
    /// It exists.
    #[error("The name '{0}' conflicts with an existing project.")]
    Exists(String),
    /// Another one looks the same.
    #[error("The name '{0}' is too similar to an existing project.")]
    TooSimilar(String),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The canonical names of the modules of Python's standard library, of its present and past versions, one a line.
const STANDARD_LIBRARY: &str = include_str!("project/standard_library.txt");

/// Names that a slip of `pip install -r requirements.txt` would install.
const PROHIBITED: &[&str] = &["requirements-txt", "rrequirements-txt", "requirements", "requirement-txt"];

/// Whether somebody may create a project of this name now.
///
/// # Errors
/// [`ProjectError`] says why not.
pub async fn check_available(tx: &mut Tx, name: &ProjectName) -> Result<(), ProjectError> {
    let normalised = name.normalised();
    if STANDARD_LIBRARY.lines().any(|module| module == normalised) {
        return Err(ProjectError::StandardLibrary(name.to_string()));
    }
    if projects::by_name(tx, &normalised).await?.is_some() {
        return Err(ProjectError::Exists(name.to_string()));
    }
    if PROHIBITED.contains(&normalised.as_str()) {
        return Err(ProjectError::Prohibited(name.to_string()));
    }
    if projects::similar(tx, &name.ultranormalised()).await?.is_some() {
        return Err(ProjectError::TooSimilar(name.to_string()));
    }
    Ok(())
}

/// Creates a project with its owner, in the caller's transaction. Pending publishers of other accounts that wait for a name
/// that looks the same have lost it.
///
/// # Errors
/// [`ProjectError`] says why not; also where somebody else creates it at this moment.
pub async fn create(
    tx: &mut Tx,
    now: Instant,
    name: &ProjectName,
    owner: AccountId,
    actor: Actor,
    origin: Option<&Origin>,
) -> Result<Project, ProjectError> {
    check_available(tx, name).await?;
    let project = Project {
        id: ProjectId::new(),
        name: name.to_string(),
        name_normalised: name.normalised(),
        state: ProjectState::Active,
        state_cause: None,
        created_at: now,
        serial: 0,
    };
    projects::insert(tx, &project, &name.ultranormalised()).await.map_err(|error| {
        if error.is_unique_violation() { ProjectError::Exists(name.to_string()) } else { error.into() }
    })?;
    projects::insert_role(tx, project.id, owner, ProjectRole::Owner, now).await?;
    let event = |tag: &'static str, details: serde_json::Value| {
        let mut event = Event::new(tag, actor.clone());
        event.project = Some(project.id);
        event.origin = origin.cloned();
        event.details = details;
        event
    };
    let mut created = event("project:create", json!({ "created_by": actor.label() }));
    created.journal = true;
    record(tx, now, created).await?;
    let role = json!({ "submitted_by": actor.label(), "role_name": "Owner", "target_user": owner });
    record(tx, now, event("project:role:add", role)).await?;
    for pending in pending_publishers::waiting_for_name(tx, &name.ultranormalised(), owner).await? {
        pending_publishers::end(tx, pending.id, PendingState::Lost, now).await?;
        let mut lost = Event::new(
            "account:oidc:pending-publisher-removed",
            Actor::System { part: String::from("project creation") },
        );
        lost.account = Some(pending.account_id);
        lost.details = json!({
            "project": pending.project_name, "id": pending.id, "submitted_by": "system:project-exists",
        });
        record(tx, now, lost).await?;
    }
    Ok(project)
}

/// The project of a name, however it is spelled.
///
/// # Errors
/// Where the database refuses.
pub async fn by_name(app: &App, name: &str) -> Result<Option<Project>, StoreError> {
    let mut tx = app.store.read().await?;
    projects::by_name(&mut tx, &normalise(name)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_pep_508_says() {
        for name in ["a", "A1", "zope.interface", "a-_.b", "0x", &"n".repeat(NAME_CHARACTERS_MAX)] {
            assert!(name.parse::<ProjectName>().is_ok(), "{name}");
        }
        for name in
            ["", "-a", "a-", ".a", "a_", "a b", "ä", "a/b", "a\n", &"n".repeat(NAME_CHARACTERS_MAX + 1)]
        {
            assert!(name.parse::<ProjectName>().is_err(), "{name}");
        }
        let error = "a\u{1b}\nb".parse::<ProjectName>().unwrap_err();
        assert_eq!(error.to_string(), "The name 'ab' is invalid.");
    }

    #[test]
    fn names_that_look_the_same_are_the_same() {
        let name = |text: &str| text.parse::<ProjectName>().unwrap();
        assert_eq!(name("Zope._-Interface").normalised(), "zope-interface");
        for similar in ["toast1ng", "toast-ing", "t0asting", "TOASTlNG"] {
            assert_eq!(name(similar).ultranormalised(), name("toasting").ultranormalised());
        }
        assert_ne!(name("toastung").ultranormalised(), name("toasting").ultranormalised());
    }

    #[test]
    fn modules_of_the_standard_library_are_known_by_their_canonical_names() {
        for module in ["xml-etree", "cgihttpserver", "test", "main", "future", "al", "uu", "json"] {
            assert!(STANDARD_LIBRARY.lines().any(|line| line == module), "{module}");
        }
        assert!(!STANDARD_LIBRARY.lines().any(|line| line == "requests" || line.is_empty()));
    }
}
