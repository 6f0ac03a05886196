//! Caveats: the restrictions inside a token, and whether a request satisfies them.
//!
//! A caveat is a JSON array `[tag, field, …]`. **Tags are on the wire for ever**: a tag is never given away twice, fields
//! are only appended and then have a default, and a changed meaning is a new tag. Tags below 1001 are PyPI's
//! (`warehouse/macaroons/caveats`), ours start at 1001. A tag that nobody knows is a restriction that nobody can check,
//! so it refuses.

use std::fmt;

use serde_json::Value;
use uuid::Uuid;

/// One restriction of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caveat {
    /// Tag 0. Valid while `not_before <= now < expires_at`, in unix seconds. On the wire the expiry comes first.
    Expiration {
        /// The first second at which the token is no longer valid.
        expires_at: i64,
        /// The first second at which the token is valid; may lie in the future.
        not_before: i64,
    },
    /// Tag 1. Only for projects of these normalised names.
    ProjectNames(Vec<String>),
    /// Tag 2. Only for projects of these ids: a project that is deleted and created again is another one.
    ProjectIds(Vec<Uuid>),
    /// Tag 3. Only while it identifies this account.
    RequestUser(Uuid),
    /// Tag 4. Only while it identifies this publisher, and only for projects that the publisher is attached to now.
    Publisher(Uuid),
    /// `{"version":1,"permissions":"user"}`, read from old tokens, never issued: PyPI adapts it to tag 3 with whoever
    /// the request's account is, so it says no more than that there is one.
    AnyUser,
    /// Tag 1001. Only for uploads of these versions, compared as text: write them normalised as PEP 440 has it.
    Versions(Vec<String>),
    /// Tag 1002. Only for uploads of files with these SHA-256 digests (hexadecimal).
    FileSha256(Vec<String>),
    /// Tag 1003. Only for these permissions.
    Permissions(Vec<Permission>),
    /// Tag 1004. Not for these projects. The server adds it to a stored token to take one project out of its reach.
    ExcludedProjects(Vec<Uuid>),
}

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Uploading files, `"upload"`.
    Upload,
    /// Reading pages and files of an index that does not show them to everyone, `"read"`.
    Read,
}

impl Permission {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Permission::Upload => "upload",
            Permission::Read => "read",
        }
    }

    fn from_word(word: &str) -> Option<Permission> {
        match word {
            "upload" => Some(Permission::Upload),
            "read" => Some(Permission::Read),
            _ => None,
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What somebody asks for with a token: everything that a caveat may look at.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The time, in unix seconds.
    pub now: i64,
    /// Whom the token's row identifies.
    pub identity: Identity<'a>,
    /// What is to be done.
    pub permission: Permission,
    /// The project that it is to be done to; `None` where the request concerns no single project.
    pub target: Option<Target<'a>>,
    /// The version to be uploaded, normalised as PEP 440 has it.
    pub version: Option<&'a str>,
    /// The SHA-256 digest of the file to be uploaded, hexadecimal.
    pub file_sha256: Option<&'a str>,
}

/// Whom a token identifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity<'a> {
    /// A person's account.
    Account(Uuid),
    /// A Trusted Publisher, with the ids of the projects that it is attached to now.
    Publisher {
        /// The publisher's id.
        id: Uuid,
        /// The projects that trust it at this moment, not when the token was minted.
        projects: &'a [Uuid],
    },
}

/// The project that a request concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// `None` while the project does not exist yet.
    pub id: Option<Uuid>,
    /// The name as its owner spells it.
    pub name: &'a str,
    /// The name as PEP 503 normalises it.
    pub name_normalised: &'a str,
}

/// Why bytes are not a caveat. The texts are PyPI's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaveatError {
    /// Not JSON at all; PyPI answers so to every exception that it did not foresee.
    #[error("unknown error")]
    NotJson,
    /// JSON, but neither an array nor one of the old mappings.
    #[error("caveat must be an array")]
    NotAnArray,
    /// `[]`.
    #[error("caveat array cannot be empty")]
    Empty,
    /// A tag that this index does not know, shown shortened.
    #[error("caveat has unknown tag: {0}")]
    UnknownTag(String),
    /// A field without a default is missing.
    #[error("Not enough values")]
    NotEnoughValues,
    /// A field has another type than its caveat demands.
    #[error("invalid values for fields")]
    InvalidValues,
}

impl Caveat {
    /// The tag on the wire.
    pub fn tag(&self) -> u16 {
        match self {
            Caveat::Expiration { .. } => 0,
            Caveat::ProjectNames(_) => 1,
            Caveat::ProjectIds(_) => 2,
            Caveat::RequestUser(_) | Caveat::AnyUser => 3,
            Caveat::Publisher(_) => 4,
            Caveat::Versions(_) => 1001,
            Caveat::FileSha256(_) => 1002,
            Caveat::Permissions(_) => 1003,
            Caveat::ExcludedProjects(_) => 1004,
        }
    }

    /// The JSON text as it is issued: compact, without spaces.
    pub fn to_json(&self) -> String {
        let tag = self.tag();
        match self {
            Caveat::Expiration { expires_at, not_before } => {
                serde_json::json!([tag, expires_at, not_before])
            }
            Caveat::ProjectNames(names) => serde_json::json!([tag, names]),
            Caveat::ProjectIds(ids) | Caveat::ExcludedProjects(ids) => serde_json::json!([tag, ids]),
            Caveat::RequestUser(account) => serde_json::json!([tag, account]),
            // PyPI serialises the deprecated claims field too.
            Caveat::Publisher(publisher) => serde_json::json!([tag, publisher, null]),
            Caveat::AnyUser => serde_json::json!({"permissions": "user", "version": 1}),
            Caveat::Versions(values) | Caveat::FileSha256(values) => serde_json::json!([tag, values]),
            Caveat::Permissions(permissions) => {
                let words: Vec<&str> = permissions.iter().map(|permission| permission.as_str()).collect();
                serde_json::json!([tag, words])
            }
        }
        .to_string()
    }

    /// Reads one caveat. Any JSON white space is accepted, types are strict, fields after the known ones are ignored.
    ///
    /// # Errors
    /// [`CaveatError`], whose texts are PyPI's.
    pub fn parse(bytes: &[u8]) -> Result<Caveat, CaveatError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|_| CaveatError::NotJson)?;
        match value {
            Value::Array(items) => from_array(&items),
            Value::Object(mapping) => from_legacy_mapping(&mapping),
            _ => Err(CaveatError::NotAnArray),
        }
    }

    /// Whether the request satisfies this caveat.
    ///
    /// # Errors
    /// [`Unsatisfied`], whose text is PyPI's for PyPI's caveats.
    pub fn satisfied_by(&self, request: &Request<'_>) -> Result<(), Unsatisfied> {
        match self {
            Caveat::Expiration { expires_at, not_before } => {
                if *not_before <= request.now && request.now < *expires_at {
                    Ok(())
                } else {
                    Err(Unsatisfied::Expired)
                }
            }
            Caveat::ProjectNames(names) => {
                let target = request.target.ok_or(Unsatisfied::NoProject)?;
                names
                    .iter()
                    .any(|name| name == target.name_normalised)
                    .then_some(())
                    .ok_or_else(|| Unsatisfied::OtherProject(target.name.to_owned()))
            }
            Caveat::ProjectIds(ids) => {
                let target = request.target.ok_or(Unsatisfied::NoProject)?;
                target
                    .id
                    .is_some_and(|id| ids.contains(&id))
                    .then_some(())
                    .ok_or_else(|| Unsatisfied::OtherProject(target.name.to_owned()))
            }
            Caveat::RequestUser(account) => match request.identity {
                Identity::Account(id) if id == *account => Ok(()),
                Identity::Account(_) => Err(Unsatisfied::OtherUser),
                Identity::Publisher { .. } => Err(Unsatisfied::NoUser),
            },
            // PyPI has no request user to adapt this mapping with, and then reports it as if it were no caveat.
            Caveat::AnyUser => match request.identity {
                Identity::Account(_) => Ok(()),
                Identity::Publisher { .. } => Err(Unsatisfied::LegacyWithoutUser),
            },
            Caveat::Publisher(publisher) => satisfies_publisher(*publisher, request),
            Caveat::Versions(versions) => match request.version {
                None => Err(Unsatisfied::NoVersion),
                Some(version) if versions.iter().any(|listed| listed == version) => Ok(()),
                Some(version) => Err(Unsatisfied::OtherVersion(version.to_owned())),
            },
            Caveat::FileSha256(digests) => match request.file_sha256 {
                None => Err(Unsatisfied::NoFile),
                Some(digest) if digests.iter().any(|listed| listed.eq_ignore_ascii_case(digest)) => Ok(()),
                Some(_) => Err(Unsatisfied::OtherFile),
            },
            Caveat::Permissions(permissions) => permissions
                .contains(&request.permission)
                .then_some(())
                .ok_or(Unsatisfied::Permission(request.permission)),
            Caveat::ExcludedProjects(ids) => match request.target {
                Some(Target { id: Some(id), name, .. }) if ids.contains(&id) => {
                    Err(Unsatisfied::ExcludedProject(name.to_owned()))
                }
                _ => Ok(()),
            },
        }
    }
}

fn satisfies_publisher(publisher: Uuid, request: &Request<'_>) -> Result<(), Unsatisfied> {
    let Identity::Publisher { id, projects } = request.identity else {
        return Err(Unsatisfied::NoPublisher);
    };
    if id != publisher {
        return Err(Unsatisfied::OtherPublisher);
    }
    let target = request.target.ok_or(Unsatisfied::PublisherNoProject)?;
    target
        .id
        .is_some_and(|project| projects.contains(&project))
        .then_some(())
        .ok_or_else(|| Unsatisfied::PublisherOtherProject(target.name.to_owned()))
}

/// Why a request does not satisfy a caveat. The texts of tags 0 to 4 are PyPI's, letter by letter: clients match them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's text says what it means")]
pub enum Unsatisfied {
    #[error("token is expired")]
    Expired,
    #[error("project-scoped token used outside of a project context")]
    NoProject,
    #[error("project-scoped token is not valid for project: '{0}'")]
    OtherProject(String),
    #[error("token with user restriction without a user")]
    NoUser,
    #[error("current user does not match user restriction in token")]
    OtherUser,
    #[error("caveat must be an array")]
    LegacyWithoutUser,
    #[error("OIDC scoped token used outside of an OIDC identified request")]
    NoPublisher,
    #[error("current OIDC publisher does not match publisher restriction in token")]
    OtherPublisher,
    #[error("OIDC scoped token used outside of a project context")]
    PublisherNoProject,
    #[error("OIDC scoped token is not valid for project '{0}'")]
    PublisherOtherProject(String),
    #[error("version-scoped token used without a version")]
    NoVersion,
    #[error("version-scoped token is not valid for version '{0}'")]
    OtherVersion(String),
    #[error("file-scoped token used without a file")]
    NoFile,
    #[error("file-scoped token is not valid for this file's SHA-256 digest")]
    OtherFile,
    #[error("token is not valid for permission: {0}")]
    Permission(Permission),
    #[error("token is excluded from project: '{0}'")]
    ExcludedProject(String),
}

fn from_array(items: &[Value]) -> Result<Caveat, CaveatError> {
    let (tag, fields) = items.split_first().ok_or(CaveatError::Empty)?;
    let field = |index: usize| fields.get(index).ok_or(CaveatError::NotEnoughValues);
    match tag.as_u64() {
        Some(0) => {
            let (expires_at, not_before) = (field(0)?, field(1)?);
            Ok(Caveat::Expiration { expires_at: seconds(expires_at)?, not_before: seconds(not_before)? })
        }
        Some(1) => Ok(Caveat::ProjectNames(texts(field(0)?)?)),
        Some(2) => Ok(Caveat::ProjectIds(named_ids(field(0)?)?)),
        Some(3) => Ok(Caveat::RequestUser(named_id(field(0)?)?)),
        Some(4) => {
            let publisher = named_id(field(0)?)?;
            match fields.get(1) {
                None | Some(Value::Null | Value::Object(_)) => Ok(Caveat::Publisher(publisher)),
                Some(_) => Err(CaveatError::InvalidValues),
            }
        }
        Some(1001) => Ok(Caveat::Versions(texts(field(0)?)?)),
        Some(1002) => Ok(Caveat::FileSha256(texts(field(0)?)?)),
        Some(1003) => texts(field(0)?)?
            .iter()
            .map(|word| Permission::from_word(word).ok_or(CaveatError::InvalidValues))
            .collect::<Result<_, _>>()
            .map(Caveat::Permissions),
        Some(1004) => Ok(Caveat::ExcludedProjects(ids(field(0)?)?)),
        _ => Err(CaveatError::UnknownTag(shown(tag))),
    }
}

/// PyPI's caveats before they were arrays (`warehouse/macaroons/caveats/_legacy.py`): tokens that carry them still exist.
fn from_legacy_mapping(mapping: &serde_json::Map<String, Value>) -> Result<Caveat, CaveatError> {
    if mapping.get("version").and_then(Value::as_u64) == Some(1) {
        return match mapping.get("permissions") {
            Some(Value::String(permissions)) if permissions == "user" => Ok(Caveat::AnyUser),
            Some(Value::Object(permissions)) => {
                let names = permissions.get("projects").ok_or(CaveatError::NotAnArray)?;
                Ok(Caveat::ProjectNames(texts(names)?))
            }
            _ => Err(CaveatError::NotAnArray),
        };
    }
    if let (Some(expires_at), Some(not_before)) = (mapping.get("exp"), mapping.get("nbf")) {
        return Ok(Caveat::Expiration { expires_at: seconds(expires_at)?, not_before: seconds(not_before)? });
    }
    match mapping.get("project_ids") {
        Some(value) => Ok(Caveat::ProjectIds(named_ids(value)?)),
        None => Err(CaveatError::NotAnArray),
    }
}

/// A strict integer: neither a string of digits nor `1.0` nor `true`.
fn seconds(value: &Value) -> Result<i64, CaveatError> {
    value.as_i64().ok_or(CaveatError::InvalidValues)
}

fn text(value: &Value) -> Result<&str, CaveatError> {
    value.as_str().ok_or(CaveatError::InvalidValues)
}

/// Stands for whatever a text that is no id names: nobody. No id of ours is ever this one.
const NOBODY: Uuid = Uuid::max();

/// An id that a request must have. PyPI takes any text here, and one that is no id then names nobody: the caveat is sound and
/// nothing satisfies it.
fn named_id(value: &Value) -> Result<Uuid, CaveatError> {
    Ok(Uuid::try_parse(text(value)?).unwrap_or(NOBODY))
}

fn named_ids(value: &Value) -> Result<Vec<Uuid>, CaveatError> {
    let items = value.as_array().ok_or(CaveatError::InvalidValues)?;
    items.iter().map(named_id).collect()
}

/// An id that a request must not have: one that is none must not exclude nothing.
fn id(value: &Value) -> Result<Uuid, CaveatError> {
    Uuid::try_parse(text(value)?).map_err(|_| CaveatError::InvalidValues)
}

fn texts(value: &Value) -> Result<Vec<String>, CaveatError> {
    let items = value.as_array().ok_or(CaveatError::InvalidValues)?;
    items.iter().map(|item| text(item).map(str::to_owned)).collect()
}

fn ids(value: &Value) -> Result<Vec<Uuid>, CaveatError> {
    let items = value.as_array().ok_or(CaveatError::InvalidValues)?;
    items.iter().map(id).collect()
}

/// The holder writes the tag, so it is shortened and kept printable before it stands in an answer.
fn shown(tag: &Value) -> String {
    const SHOWN_CHARACTERS_MAX: usize = 40;
    let text = match tag {
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => "(not a number)".to_owned(),
        other => other.to_string(),
    };
    text.chars().filter(|character| !character.is_control()).take(SHOWN_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ACCOUNT: Uuid = Uuid::from_u128(1);
    const PROJECT: Uuid = Uuid::from_u128(0x10);
    const PUBLISHER: Uuid = Uuid::from_u128(0x20);
    const OTHER: Uuid = Uuid::from_u128(0xff);

    const TARGET: Target<'static> =
        Target { id: Some(PROJECT), name: "Sample.Project", name_normalised: "sample-project" };

    fn by_account() -> Request<'static> {
        Request {
            now: 100,
            identity: Identity::Account(ACCOUNT),
            permission: Permission::Upload,
            target: Some(TARGET),
            version: Some("1.0"),
            file_sha256: Some("ab12"),
        }
    }

    fn by_publisher() -> Request<'static> {
        Request { identity: Identity::Publisher { id: PUBLISHER, projects: &[PROJECT] }, ..by_account() }
    }

    /// Parses `json` and asks it about `request`: `Ok` or the text that a client would read.
    fn judged(json: &str, request: &Request<'_>) -> Result<(), String> {
        let caveat = Caveat::parse(json.as_bytes()).map_err(|error| error.to_string())?;
        caveat.satisfied_by(request).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn satisfied(json: &str, request: &Request<'_>) {
        assert_eq!(judged(json, request), Ok(()), "{json}");
    }

    #[track_caller]
    fn refused(json: &str, request: &Request<'_>, text: &str) {
        assert_eq!(judged(json, request), Err(text.to_owned()), "{json}");
    }

    #[test]
    fn issued_texts_are_compact_and_in_pypis_field_order() {
        let uuid = "00000000-0000-0000-0000-000000000001";
        for (caveat, text) in [
            (Caveat::Expiration { expires_at: 50, not_before: 10 }, "[0,50,10]".to_owned()),
            (Caveat::ProjectNames(vec!["a".into(), "b".into()]), r#"[1,["a","b"]]"#.to_owned()),
            (Caveat::ProjectIds(vec![ACCOUNT]), format!(r#"[2,["{uuid}"]]"#)),
            (Caveat::RequestUser(ACCOUNT), format!(r#"[3,"{uuid}"]"#)),
            (Caveat::Publisher(ACCOUNT), format!(r#"[4,"{uuid}",null]"#)),
            (Caveat::Versions(vec!["1.0".into()]), r#"[1001,["1.0"]]"#.to_owned()),
            (Caveat::FileSha256(vec!["ab".into()]), r#"[1002,["ab"]]"#.to_owned()),
            (
                Caveat::Permissions(vec![Permission::Upload, Permission::Read]),
                r#"[1003,["upload","read"]]"#.to_owned(),
            ),
            (Caveat::ExcludedProjects(vec![ACCOUNT]), format!(r#"[1004,["{uuid}"]]"#)),
        ] {
            assert_eq!(caveat.to_json(), text);
            assert_eq!(Caveat::parse(text.as_bytes()), Ok(caveat));
        }
    }

    #[test]
    fn an_expiration_holds_from_not_before_until_just_before_expiry() {
        satisfied("[0,101,100]", &by_account());
        refused("[0,100,0]", &by_account(), "token is expired");
        refused("[0,200,101]", &by_account(), "token is expired");
    }

    #[test]
    fn project_caveats_name_the_project_that_they_are_not_for() {
        let other = "project-scoped token is not valid for project: 'Sample.Project'";
        let outside = "project-scoped token used outside of a project context";
        let no_target = Request { target: None, ..by_account() };
        let new_project = Request { target: Some(Target { id: None, ..TARGET }), ..by_account() };
        let ours = format!(r#"[2,["{OTHER}","{PROJECT}"]]"#);

        satisfied(r#"[1,["x","sample-project"]]"#, &by_account());
        satisfied(r#"[1,["sample-project"]]"#, &new_project);
        refused(r#"[1,["Sample.Project"]]"#, &by_account(), other);
        refused("[1,[]]", &by_account(), other);
        refused(r#"[1,["sample-project"]]"#, &no_target, outside);
        satisfied(&ours, &by_account());
        refused(&format!(r#"[2,["{OTHER}"]]"#), &by_account(), other);
        refused(&ours, &new_project, other);
        refused(&ours, &no_target, outside);
    }

    #[test]
    fn a_user_caveat_wants_exactly_its_account() {
        satisfied(&format!(r#"[3,"{ACCOUNT}"]"#), &by_account());
        refused(
            &format!(r#"[3,"{OTHER}"]"#),
            &by_account(),
            "current user does not match user restriction in token",
        );
        refused(
            &format!(r#"[3,"{ACCOUNT}"]"#),
            &by_publisher(),
            "token with user restriction without a user",
        );
    }

    #[test]
    fn a_text_that_is_no_id_names_nobody() {
        refused(
            r#"[2,["not-a-uuid"]]"#,
            &by_account(),
            "project-scoped token is not valid for project: 'Sample.Project'",
        );
        refused(r#"[3,"user"]"#, &by_account(), "current user does not match user restriction in token");
        refused(
            r#"[4,"publisher",null]"#,
            &by_publisher(),
            "current OIDC publisher does not match publisher restriction in token",
        );
    }

    #[test]
    fn a_publisher_caveat_asks_again_which_projects_the_publisher_has() {
        let caveat = format!(r#"[4,"{PUBLISHER}",null]"#);
        let detached =
            Request { identity: Identity::Publisher { id: PUBLISHER, projects: &[OTHER] }, ..by_account() };
        satisfied(&caveat, &by_publisher());
        refused(&caveat, &by_account(), "OIDC scoped token used outside of an OIDC identified request");
        refused(
            &format!(r#"[4,"{OTHER}",null]"#),
            &by_publisher(),
            "current OIDC publisher does not match publisher restriction in token",
        );
        refused(
            &caveat,
            &Request { target: None, ..by_publisher() },
            "OIDC scoped token used outside of a project context",
        );
        refused(&caveat, &detached, "OIDC scoped token is not valid for project 'Sample.Project'");
        refused(
            &caveat,
            &Request { target: Some(Target { id: None, ..TARGET }), ..by_publisher() },
            "OIDC scoped token is not valid for project 'Sample.Project'",
        );
    }

    #[test]
    fn our_caveats_refuse_what_they_cannot_see() {
        satisfied(r#"[1001,["0.9","1.0"]]"#, &by_account());
        refused(r#"[1001,["2.0"]]"#, &by_account(), "version-scoped token is not valid for version '1.0'");
        refused(
            r#"[1001,["1.0"]]"#,
            &Request { version: None, ..by_account() },
            "version-scoped token used without a version",
        );
        satisfied(r#"[1002,["AB12"]]"#, &by_account());
        refused(
            r#"[1002,["ab13"]]"#,
            &by_account(),
            "file-scoped token is not valid for this file's SHA-256 digest",
        );
        refused(
            r#"[1002,["ab12"]]"#,
            &Request { file_sha256: None, ..by_account() },
            "file-scoped token used without a file",
        );
        satisfied(r#"[1003,["upload"]]"#, &by_account());
        refused(r#"[1003,["read"]]"#, &by_account(), "token is not valid for permission: upload");
        refused("[1003,[]]", &by_account(), "token is not valid for permission: upload");
        satisfied(&format!(r#"[1004,["{OTHER}"]]"#), &by_account());
        refused(
            &format!(r#"[1004,["{OTHER}","{PROJECT}"]]"#),
            &by_account(),
            "token is excluded from project: 'Sample.Project'",
        );
    }

    #[test]
    fn legacy_mappings_become_their_successors() {
        satisfied(r#"{"version":1,"permissions":"user"}"#, &by_account());
        refused(r#"{"version":1,"permissions":"user"}"#, &by_publisher(), "caveat must be an array");
        for (legacy, successor) in [
            (
                r#"{"version":1,"permissions":{"projects":["a","b"]}}"#,
                Caveat::ProjectNames(vec!["a".into(), "b".into()]),
            ),
            (r#"{"exp":50,"nbf":10}"#, Caveat::Expiration { expires_at: 50, not_before: 10 }),
            (
                r#"{"project_ids":["00000000-0000-0000-0000-000000000010"]}"#,
                Caveat::ProjectIds(vec![PROJECT]),
            ),
        ] {
            assert_eq!(Caveat::parse(legacy.as_bytes()), Ok(successor), "{legacy}");
        }
        for legacy in [
            "{}",
            r#"{"exp":50}"#,
            r#"{"nbf":50}"#,
            r#"{"version":2,"permissions":"user"}"#,
            r#"{"version":1}"#,
            r#"{"version":1,"permissions":"admin"}"#,
            r#"{"version":1,"permissions":{}}"#,
            r#"{"version":1,"permissions":["user"]}"#,
        ] {
            refused(legacy, &by_account(), "caveat must be an array");
        }
        refused(r#"{"exp":"50","nbf":10}"#, &by_account(), "invalid values for fields");
        refused(
            r#"{"version":1,"permissions":{"projects":"a"}}"#,
            &by_account(),
            "invalid values for fields",
        );
    }

    #[test]
    fn white_space_and_further_fields_are_accepted() {
        satisfied("[0, 200, 10]", &by_account());
        satisfied(" [ 0 ,\n200\t,\r10 , \"later\" ] ", &by_account());
        satisfied(&format!(r#"[3,"{ACCOUNT}",1,{{}}]"#), &by_account());
    }

    #[test]
    fn the_publisher_caveats_claims_field_has_a_default() {
        satisfied(&format!(r#"[4,"{PUBLISHER}"]"#), &by_publisher());
        satisfied(&format!(r#"[4,"{PUBLISHER}",{{"ref":"x"}}]"#), &by_publisher());
        refused(&format!(r#"[4,"{PUBLISHER}",7]"#), &by_publisher(), "invalid values for fields");
    }

    #[test]
    fn what_is_no_caveat_says_why() {
        for (json, text) in [
            ("7", "caveat must be an array"),
            ("null", "caveat must be an array"),
            (r#""[0,1,2]""#, "caveat must be an array"),
            ("[]", "caveat array cannot be empty"),
            ("[5]", "caveat has unknown tag: 5"),
            ("[1000,[]]", "caveat has unknown tag: 1000"),
            ("[1005,[]]", "caveat has unknown tag: 1005"),
            ("[-1]", "caveat has unknown tag: -1"),
            (r#"["0",200,10]"#, "caveat has unknown tag: 0"),
            ("[0.0,200,10]", "caveat has unknown tag: 0.0"),
            ("[true,200,10]", "caveat has unknown tag: true"),
            ("[[0],200,10]", "caveat has unknown tag: (not a number)"),
            ("[0]", "Not enough values"),
            ("[0,200]", "Not enough values"),
            ("[1]", "Not enough values"),
            ("[2]", "Not enough values"),
            ("[3]", "Not enough values"),
            ("[4]", "Not enough values"),
            ("[1001]", "Not enough values"),
            ("[1002]", "Not enough values"),
            ("[1003]", "Not enough values"),
            ("[1004]", "Not enough values"),
            (r#"[0,"200",10]"#, "invalid values for fields"),
            (r#"[0,200,"10"]"#, "invalid values for fields"),
            ("[0,200.0,10]", "invalid values for fields"),
            ("[0,true,10]", "invalid values for fields"),
            ("[0,null,10]", "invalid values for fields"),
            ("[0,9223372036854775808,10]", "invalid values for fields"),
            (r#"[1,"sample-project"]"#, "invalid values for fields"),
            (r#"[1,["sample-project",7]]"#, "invalid values for fields"),
            ("[2,[7]]", "invalid values for fields"),
            (r#"[1004,["not-a-uuid"]]"#, "invalid values for fields"),
            ("[1004,[7]]", "invalid values for fields"),
            ("[3,1]", "invalid values for fields"),
            (r#"[3,["00000000-0000-0000-0000-000000000001"]]"#, "invalid values for fields"),
            ("[4,null]", "invalid values for fields"),
            ("[1001,[1.0]]", "invalid values for fields"),
            (r#"[1003,["delete"]]"#, "invalid values for fields"),
            (r#"[1003,"upload"]"#, "invalid values for fields"),
            ("", "unknown error"),
            ("[0,200,10", "unknown error"),
            ("[0,200,10]x", "unknown error"),
            ("account = alice", "unknown error"),
        ] {
            refused(json, &by_account(), text);
        }
        assert_eq!(Caveat::parse(b"[0,\xff,1]"), Err(CaveatError::NotJson));
    }

    #[test]
    fn a_tag_written_by_the_holder_is_shortened_and_printable() {
        let text = Caveat::parse(format!(r#"["\u0007\n{}"]"#, "x".repeat(9000)).as_bytes()).unwrap_err();
        assert_eq!(text.to_string(), format!("caveat has unknown tag: {}", "x".repeat(40)));
    }

    #[test]
    fn the_last_second_that_a_number_holds_can_be_an_expiry() {
        satisfied("[0,9223372036854775807,-9223372036854775808]", &by_account());
    }

    #[test]
    fn nesting_beyond_the_parsers_depth_is_refused() {
        let nested = |depth: usize| format!("[0,200,10,{}{}]", "[".repeat(depth), "]".repeat(depth));
        satisfied(&nested(126), &by_account());
        refused(&nested(127), &by_account(), "unknown error");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Caveat::parse(&bytes);
        }

        #[test]
        fn judging_arbitrary_arrays_never_panics(tag in -1i64..1010, rest in "[\\[\\]0-9a-z\",{}:. ]{0,60}") {
            let _ = judged(&format!("[{tag},{rest}]"), &by_account());
        }

        #[test]
        fn names_survive_writing_and_reading(names in proptest::collection::vec(".*", 0..5)) {
            let caveat = Caveat::ProjectNames(names);
            prop_assert_eq!(Caveat::parse(caveat.to_json().as_bytes()), Ok(caveat));
        }
    }
}
