//! Notices: one message to one person about a case, written in the transaction of the decision and tracked until it is
//! delivered.
//!
//! They carry no link to sign in and no live address of an attacker: a reader types our address himself.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;

use crate::app::App;
use crate::authority::Responder;
use crate::clock::Instant;
use crate::desk::plan::{Plan, PlannedAction};
use crate::ids::{AccountId, CaseId, NoticeId};
use crate::store::containments::ActionType;
use crate::store::exposures::{self, Exposure, Standing};
use crate::store::notices::{self, Notice, NoticeChannel, NoticeState};
use crate::store::{self, Tx, accounts};
use crate::visible::visible;

/// What a notice tells of.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// A containment was applied.
    Contained {
        /// The plan.
        plan: &'a Plan,
        /// What was done just now.
        actions: &'a [PlannedAction],
        /// When.
        at: Instant,
    },
    /// Actions were taken back.
    Released {
        /// Which.
        actions: &'a [PlannedAction],
        /// Why.
        reason: &'a str,
        /// When.
        at: Instant,
    },
}

impl<'a> Change<'a> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Contained { .. } => "containment",
            Self::Released { .. } => "release",
        }
    }

    fn actions(&self) -> &'a [PlannedAction] {
        match self {
            Self::Contained { actions, .. } | Self::Released { actions, .. } => actions,
        }
    }

    /// What makes this change another one than the last: containment may be taken back and applied again.
    fn key(&self) -> String {
        match self {
            Self::Contained { plan, at, .. } => format!("{}:{}", plan.digest, at.0),
            Self::Released { at, .. } => at.0.to_string(),
        }
    }
}

/// What one action means to the reader, in plain words.
struct Done {
    what: String,
    why: String,
    evidence: Option<String>,
}

fn done(action: &PlannedAction, change: &Change<'_>) -> Done {
    let label = harmless(&action.label);
    let contained = matches!(change, Change::Contained { .. });
    let what = match (action.action, contained) {
        (ActionType::SuspendToken, true) => {
            format!("The {label} was suspended: it uploads nothing any more.")
        }
        (ActionType::SuspendToken, false) => format!("The {label} may be used again."),
        (ActionType::PausePublisher, true) => {
            format!("The {label} was paused: its jobs get no tokens, and those they had are dead.")
        }
        (ActionType::PausePublisher, false) => format!("The {label} may mint again."),
        (ActionType::CloseGate, true) => format!("Nothing is minted for {label}."),
        (ActionType::CloseGate, false) => format!("Tokens are minted for {label} again."),
        (ActionType::HoldFile, true) => format!("The file {label} is no longer offered."),
        (ActionType::HoldFile, false) => format!("The file {label} is offered again."),
        (ActionType::HoldRelease, true) => format!("The release {label} is quarantined."),
        (ActionType::HoldRelease, false) => format!("The release {label} is no longer quarantined."),
    };
    Done { what, why: harmless(&action.reason), evidence: action.evidence.as_deref().map(harmless) }
}

/// Text from elsewhere, on one line, with nothing in it that a mail program would make a link of.
pub(crate) fn harmless(text: &str) -> String {
    visible(text, 500).replace("://", "[:]//")
}

/// A host so that nobody visits it by a click.
fn defanged(host: &str) -> String {
    visible(host, 200).replace("http", "hxxp").replace("://", "[:]//").replace('.', "[.]")
}

/// What was found in one repository.
struct Found {
    repository: String,
    workflows: String,
    secrets: String,
    destinations: String,
    since: String,
    stands: bool,
}

fn found(exposures: &[Exposure], repositories: &BTreeSet<String>) -> Vec<Found> {
    let own = |exposure: &&Exposure| {
        exposure.standing != Standing::Foreign && repositories.contains(&exposure.repository)
    };
    let mut by_repository: BTreeMap<&str, Vec<&Exposure>> = BTreeMap::new();
    for exposure in exposures.iter().filter(own) {
        by_repository.entry(&exposure.repository).or_default().push(exposure);
    }
    let joined = |texts: BTreeSet<String>| texts.into_iter().take(50).collect::<Vec<_>>().join(", ");
    by_repository
        .into_iter()
        .map(|(repository, of_it)| Found {
            repository: harmless(repository),
            workflows: joined(of_it.iter().map(|one| harmless(&one.details.path)).collect()),
            secrets: joined(of_it.iter().map(|one| harmless(&one.secret)).collect()),
            destinations: joined(of_it.iter().map(|one| defanged(&one.destination)).collect()),
            since: of_it.iter().map(|one| one.from_at).min().map(Instant::for_people).unwrap_or_default(),
            stands: of_it.iter().any(|one| one.until_at.is_none()),
        })
        .collect()
}

#[derive(Template)]
#[template(path = "mail/containment.txt")]
struct ContainmentMail<'a> {
    name: &'a str,
    projects: String,
    case: CaseId,
    address: &'a str,
    contact: &'a str,
    found: Vec<Found>,
    done: Vec<Done>,
}

#[derive(Template)]
#[template(path = "mail/release.txt")]
struct ReleaseMail<'a> {
    name: &'a str,
    projects: String,
    case: CaseId,
    address: &'a str,
    contact: &'a str,
    reason: String,
    done: Vec<Done>,
}

/// Writes the notices about a change to everybody it touches: at every verified address, once.
///
/// # Errors
/// Where the database refuses.
pub async fn enqueue(tx: &mut Tx, app: &App, case: CaseId, change: Change<'_>) -> store::Result<()> {
    let mut touched: BTreeMap<AccountId, Vec<&PlannedAction>> = BTreeMap::new();
    for action in change.actions() {
        for account in &action.accounts {
            touched.entry(account.id).or_default().push(action);
        }
    }
    let exposures = exposures::of_case(tx, case).await?;
    for (account, actions) in touched {
        let Some(account) = accounts::by_id(tx, account).await? else { continue };
        let repositories: BTreeSet<String> =
            actions.iter().flat_map(|action| &action.repositories).cloned().collect();
        // A gate has no owner: whoever is told of its repository is told of it.
        let gates = change.actions().iter().filter(|action| {
            action.action == ActionType::CloseGate
                && action.repositories.iter().any(|name| repositories.contains(name))
        });
        let told: Vec<&PlannedAction> = actions.iter().copied().chain(gates).collect();
        let (subject, body) =
            write(app, case, &account.name, &change, &told, found(&exposures, &repositories));
        let draft = Draft {
            case: Some(case),
            account: account.id,
            kind: change.kind(),
            key: change.key(),
            subject,
            body,
        };
        put_out(tx, app, &draft).await?;
    }
    Ok(())
}

fn write(
    app: &App,
    case: CaseId,
    name: &str,
    change: &Change<'_>,
    told: &[&PlannedAction],
    found: Vec<Found>,
) -> (String, String) {
    let projects: BTreeSet<&str> =
        told.iter().flat_map(|action| &action.projects).map(|project| project.name.as_str()).collect();
    let projects = projects.into_iter().take(20).collect::<Vec<_>>().join(", ");
    let done = told.iter().map(|action| done(action, change)).collect();
    // Host and port, not a URL: nothing here is to be clicked.
    let address = app.base_url.authority();
    let contact = app.contact();
    let of = if projects.is_empty() { String::new() } else { format!(" of {projects}") };
    match change {
        Change::Contained { .. } => {
            let mail = ContainmentMail { name, projects, case, address, contact, found, done };
            (
                format!("Suspended: what may publish{of}, since secrets were stolen"),
                mail.render().unwrap_or_default(),
            )
        }
        Change::Released { reason, .. } => {
            let reason = harmless(reason);
            let mail = ReleaseMail { name, projects, case, address, contact, reason, done };
            (format!("Taken back: the suspension{of}"), mail.render().unwrap_or_default())
        }
    }
}

/// A notice before it is known where it goes.
struct Draft {
    case: Option<CaseId>,
    account: AccountId,
    kind: &'static str,
    key: String,
    subject: String,
    body: String,
}

/// A message that belongs to no case.
pub(crate) struct Letter {
    /// What it tells of.
    pub(crate) kind: &'static str,
    /// What must not be told twice.
    pub(crate) key: String,
    /// One line.
    pub(crate) subject: String,
    /// Plain text.
    pub(crate) body: String,
}

/// Writes to an account. Where no mail is configured nobody has to know: it is no matter for the desk.
///
/// # Errors
/// Where the database refuses.
pub(crate) async fn write_to(
    tx: &mut Tx,
    app: &App,
    account: AccountId,
    letter: Letter,
) -> store::Result<()> {
    if app.settings.mail.is_none() {
        return Ok(());
    }
    let Letter { kind, key, subject, body } = letter;
    put_out(tx, app, &Draft { case: None, account, kind, key, subject, body }).await
}

async fn put_out(tx: &mut Tx, app: &App, draft: &Draft) -> store::Result<()> {
    let addresses = accounts::verified_addresses(tx, draft.account).await?;
    let reachable = app.settings.mail.is_some() && !addresses.is_empty();
    let recipients: Vec<Option<String>> =
        if reachable { addresses.into_iter().map(Some).collect() } else { vec![None] };
    for (number, recipient) in recipients.into_iter().enumerate() {
        let notice = Notice {
            id: NoticeId::new(),
            case_id: draft.case,
            account_id: Some(draft.account),
            kind: draft.kind.to_owned(),
            channel: if reachable { NoticeChannel::Mail } else { NoticeChannel::None },
            dedupe_key: match draft.case {
                Some(case) => format!("{}:{case}:{}:{}:{number}", draft.kind, draft.account, draft.key),
                None => format!("{}:{}:{}:{number}", draft.kind, draft.account, draft.key),
            },
            recipient,
            subject: visible(&draft.subject, 200),
            body: draft.body.clone(),
            state: if reachable { NoticeState::Waiting } else { NoticeState::NoChannel },
            attempts: 0,
            last_error: None,
            created_at: app.now(),
            delivered_at: None,
        };
        notices::insert(tx, &notice).await?;
    }
    Ok(())
}

/// How many notices a list shows.
const LIST_LIMIT: i64 = 500;

/// The newest notices.
///
/// # Errors
/// Where the database refuses.
pub async fn list(app: &App, _by: &Responder) -> store::Result<Vec<Notice>> {
    let mut tx = app.store.read().await?;
    notices::newest(&mut tx, LIST_LIMIT).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_notice_can_be_clicked() {
        assert_eq!(defanged("http://evil.example.test/x"), "hxxp[:]//evil[.]example[.]test/x");
        assert_eq!(defanged("192.0.2.66"), "192[.]0[.]2[.]66");
        assert_eq!(harmless("see https://evil.test\nnow"), "see https[:]//evil.test\\u{a}now");
    }
}
