//! Tokens made while a contained exposure stands: they are born suspended.
//!
//! Whoever holds a stolen session, or a workflow that still sends secrets away, would otherwise have a fresh token the moment
//! after the old one died.

use super::containment::{as_planned, begin_suspended};
use super::{DeskError, Result};
use crate::clock::Instant;
use crate::history::{Actor, Event, record};
use crate::ids::{AccountId, CaseId, ProjectId};
use crate::store::containments::{self, Action, ActionState};
use crate::store::tokens::Token;
use crate::store::{Tx, cases, exposures};

/// The case that holds a new token.
#[derive(Debug, Clone)]
pub struct Held {
    /// The case.
    pub case: CaseId,
    /// Why, as the token's holder reads it: short, without what the case is about.
    pub cause: String,
    /// The plan that was applied last.
    plan_digest: String,
}

/// The contained case, with an exposure that stands, whose containment touches this account or one of these projects. Call it
/// with the account's row locked.
///
/// # Errors
/// Where the database refuses.
pub async fn holding(tx: &mut Tx, account: AccountId, projects: &[ProjectId]) -> Result<Option<Held>> {
    for case in cases::contained(tx).await? {
        let stands = exposures::of_case(tx, case.id)
            .await?
            .iter()
            .any(|exposure| exposure.until_at.is_none() && exposure.standing != exposures::Standing::Foreign);
        if !stands {
            continue;
        }
        for action in containments::actions_of_case(tx, case.id).await? {
            if action.state == ActionState::Applied && touches(tx, &action, account, projects).await? {
                let cause = "it was made while the workflow that sends secrets away still stood; have that taken out first";
                let (cause, plan_digest) = (cause.to_owned(), action.plan_digest);
                return Ok(Some(Held { case: case.id, cause, plan_digest }));
            }
        }
    }
    Ok(None)
}

async fn touches(tx: &mut Tx, action: &Action, account: AccountId, projects: &[ProjectId]) -> Result<bool> {
    let planned = as_planned(tx, action).await?;
    Ok(planned.accounts.iter().any(|touched| touched.id == account)
        || planned.projects.iter().any(|touched| projects.contains(&touched.id)))
}

/// Notes for a token that was just inserted, suspended, which case holds it: an action that release takes back like any other,
/// and an event.
///
/// # Errors
/// Where the database refuses.
pub async fn suspend_new(tx: &mut Tx, now: Instant, token: &Token, held: &Held) -> Result<()> {
    begin_suspended(tx, now, token.id, held.case, &held.cause, &held.plan_digest).await?;
    let mut event = Event::new("account:api_token:suspended", Actor::System { part: String::from("desk") });
    event.account = token.account_id;
    event.case = Some(held.case);
    event.token = Some(token.id);
    event.details = serde_json::json!({ "label": token.description, "reason": held.cause });
    record(tx, now, event).await.map_err(DeskError::from)?;
    Ok(())
}
