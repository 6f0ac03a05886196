//! The security history as people read it: what happened, when, who did it, and from where.

use std::collections::HashMap;

use serde_json::Value;

use crate::clock::Instant;
use crate::history::Actor;
use crate::ids::PersonalId;
use crate::store::events::{self, EventRow, Personal, Subject};
use crate::store::{self, Tx};

/// How far back an account's own page goes, in days: as PyPI's. Older lines are kept, and an export has them.
pub const ACCOUNT_DAYS: i64 = 90;
/// Most lines of one page of an account's history; bounds what one request reads.
pub const ACCOUNT_LINES: i64 = 500;
/// Lines of one page of a project's history.
pub const PROJECT_LINES: i64 = 25;

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// When.
    pub at: Instant,
    /// The event's tag, as it is sealed.
    pub tag: String,
    /// What happened, in words.
    pub what: String,
    /// The details, in words.
    pub details: Vec<(String, String)>,
    /// Who did it.
    pub who: String,
    /// The client's address; none where there was none or it was erased.
    pub address: Option<String>,
    /// The client's name.
    pub client: Option<String>,
    /// Whether the personal fields were erased.
    pub erased: bool,
    /// Its place in the sealed history; none for about a second after it happened.
    pub position: Option<i64>,
}

/// Lines of one page.
#[derive(Debug)]
pub struct Lines {
    /// The newest first.
    pub lines: Vec<Line>,
    /// Whether there are older ones.
    pub more: bool,
}

/// An account's own history of the last [`ACCOUNT_DAYS`] days.
///
/// # Errors
/// Where the database refuses.
pub async fn of_account(tx: &mut Tx, account: crate::ids::AccountId, now: Instant) -> store::Result<Lines> {
    let oldest = now.plus_seconds(-ACCOUNT_DAYS * 86_400);
    let mut found = lines(tx, Subject::Account(account), ACCOUNT_LINES, 0).await?;
    found.lines.retain(|line| line.at >= oldest);
    Ok(found)
}

/// A page of a project's history; pages count from 1.
///
/// # Errors
/// Where the database refuses.
pub async fn of_project(tx: &mut Tx, project: crate::ids::ProjectId, page: i64) -> store::Result<Lines> {
    lines(tx, Subject::Project(project), PROJECT_LINES, (page.max(1) - 1).saturating_mul(PROJECT_LINES)).await
}

/// Everything on a case, the newest first, at most `limit`.
///
/// # Errors
/// Where the database refuses.
pub async fn of_case(tx: &mut Tx, case: crate::ids::CaseId, limit: i64) -> store::Result<Lines> {
    lines(tx, Subject::Case(case), limit, 0).await
}

async fn lines(tx: &mut Tx, subject: Subject, limit: i64, offset: i64) -> store::Result<Lines> {
    let mut rows = events::of_subject(tx, subject, limit + 1, offset).await?;
    let personal = events::personal_of_subject(tx, subject, limit + 1, offset).await?;
    let personal: HashMap<PersonalId, Personal> = personal.into_iter().map(|one| (one.id, one)).collect();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let lines = rows.into_iter().map(|row| {
        let personal = row.personal_id.and_then(|id| personal.get(&id));
        line(row, personal, subject)
    });
    Ok(Lines { lines: lines.collect(), more })
}

fn line(row: EventRow, personal: Option<&Personal>, subject: Subject) -> Line {
    let actor = serde_json::from_str::<Actor>(&row.actor).ok();
    // From where somebody else acted is theirs: a new member does not learn the address of the owner who added them.
    let personal = personal.filter(|_| match (subject, &actor) {
        (Subject::Account(account), Some(Actor::Account { id, .. })) => *id == account,
        _ => true,
    });
    Line {
        at: row.at,
        what: in_words(&row.tag).to_owned(),
        details: details(&row.details),
        who: actor.map_or_else(|| String::from("unreadable"), |actor| actor.label()),
        tag: row.tag,
        address: personal.and_then(|personal| personal.address.clone()),
        client: personal.and_then(|personal| personal.user_agent.clone()).filter(|client| !client.is_empty()),
        erased: personal.is_some_and(|personal| personal.erased_at.is_some()),
        position: row.position,
    }
}

/// What a tag says. A tag without words of its own is shown as it is: nothing is left out for lack of a phrase.
fn in_words(tag: &str) -> &str {
    match tag {
        "account:create" => "Account made",
        "account:login:success" => "Signed in",
        "account:login:failure" => "Sign-in refused",
        "account:reauthenticate:failure" => "Password or code refused, asked for again",
        "account:freeze" => "Account frozen",
        "account:unfreeze" => "Account may act again",
        "account:password:change" => "Password changed",
        "account:password:reset" => "Password set by a one-time link",
        "account:password:reset:request" => "One-time link for a new password made",
        "account:two_factor:method_added" => "Second factor turned on",
        "account:two_factor:method_removed" => "Second factor taken off",
        "account:recovery_codes:generated" => "Recovery codes made",
        "account:recovery_codes:used" => "Recovery code used",
        "account:api_token:added" => "API token made",
        "account:api_token:removed" => "API token revoked",
        "account:api_token:suspended" => "API token suspended",
        "account:api_token:released" => "API token live again",
        "account:api_token:first_use" => "API token first used from a new network",
        "account:management_token:added" => "Management token made",
        "account:management_token:removed" => "Management token revoked",
        "account:oidc:pending-publisher-added" => "Pending publisher added",
        "account:oidc:pending-publisher-removed" => "Pending publisher removed",
        "account:role:add" => "Role on a project given",
        "account:role:remove" => "Role on a project taken",
        "account:short_lived_api_token:added" => "Token minted for a publisher's job",
        "project:create" => "Project made",
        "project:release:add" => "Release added",
        "project:release:yank" => "Release yanked",
        "project:release:unyank" => "Release no longer yanked",
        "project:release:quarantine:enter" => "Release quarantined",
        "project:release:quarantine:exit" => "Release offered again",
        "project:quarantine:enter" => "Project quarantined",
        "project:quarantine:exit" => "Project offered again",
        "project:api_token:added" => "API token for this project made",
        "project:api_token:removed" => "API token for this project revoked",
        "project:oidc:publisher-added" => "Publisher added",
        "project:oidc:publisher-removed" => "Publisher removed",
        "project:oidc:publisher-paused" => "Publisher paused",
        "project:oidc:publisher-released" => "Publisher active again",
        "project:repository:confirmed" => "Repository confirmed by an owner",
        "project:role:add" => "Member added",
        "project:role:remove" => "Member removed",
        "file:add" => "File uploaded",
        "file:remove" => "File removed",
        "file:hold" => "File held",
        "file:release" => "File offered again",
        "project:oidc:publisher-resumed" => "Publisher active again",
        "desk:report:received" => "Report received",
        "desk:report:joined" => "Report joined the case",
        "desk:report:taken" => "Report taken",
        "desk:report:dismissed" => "Report dismissed",
        "desk:case:opened" => "Case opened",
        "desk:case:closed" => "Case closed",
        "desk:examination:requested" => "Our own scan of the repository asked for",
        "desk:examination:done" => "Our own scan of the repository done",
        "desk:examination:failed" => "The repository could not be looked at",
        "desk:exposure:found" => "Exposure found",
        "desk:containment:applied" => "Contained",
        "desk:containment:released" => "Containment taken back",
        "desk:mint_gate:closed" => "Mint gate closed",
        "desk:mint_gate:opened" => "Mint gate opened",
        "desk:notice:delivered" => "Notice delivered",
        "desk:notice:failed" => "Notice not delivered yet",
        "desk:notice:bounced" => "Notice refused by the receiving server",
        "desk:notice:given_up" => "Notice given up",
        "account:api_token:burned" => "API token burned by whoever held it",
        "account:short_lived_api_token:burned" => "Minted token given back",
        "project:api_token:burned" => "API token for this project burned",
        "project:oidc:mint-refused" => "A job was refused a token",
        "token:use:refused" => "Use of a token refused",
        other => other,
    }
}

/// Longest value of a detail that a page shows, in characters.
const VALUE_LIMIT: usize = 300;

fn details(text: &str) -> Vec<(String, String)> {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(fields)) => fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.replace('_', " "), shown(&value)?)))
            .collect(),
        _ => Vec::new(),
    }
}

fn shown(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) if text.is_empty() => return None,
        Value::String(text) => text.clone(),
        Value::Bool(true) => String::from("yes"),
        Value::Bool(false) => String::from("no"),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    Some(crate::visible::visible(&text, VALUE_LIMIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_read_as_words_and_leave_nothing_out() {
        let shown = details(
            r#"{"two_factor_method":null,"scopes":["desk","report"],"yanked":true,"claims":{"ref":"x"},"n":3}"#,
        );
        let expected =
            [("claims", r#"{"ref":"x"}"#), ("n", "3"), ("scopes", "desk, report"), ("yanked", "yes")];
        let shown: Vec<_> = shown.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(shown, expected);
        assert!(details("null").is_empty());
    }

    #[test]
    fn unknown_tags_are_shown_as_they_are() {
        assert_eq!(in_words("account:create"), "Account made");
        assert_eq!(in_words("something:new"), "something:new");
    }
}
