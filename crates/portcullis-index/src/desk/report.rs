//! Reports: durable before they are answered, and pointers only.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::pasted::{document_without_tokens, without_tokens};
use super::scan_document::{DOCUMENT_LIMIT, ScanDocument, ScanDocumentError};
use super::subject::{RepositoryName, Subject};
use super::{DeskError, Result, clock, evidence, examination};
use crate::app::App;
use crate::authority::Responder;
use crate::history::{Actor, Event, Origin, keep_personal, record};
use crate::ids::ReportId;
use crate::store::accounts::Account;
use crate::store::cases::{self, CaseState};
use crate::store::jobs::Urgency;
use crate::store::reports::{self, Lane, Level, Report, ReportKind, ReportState};
use crate::store::{Tx, examinations};

/// Longest text of a report, in bytes.
pub const TEXT_LIMIT: usize = 100_000;

/// Who reports.
#[derive(Debug, Clone)]
pub enum Reporter {
    /// Somebody who said who they are.
    Account(Account),
    /// Somebody who did not.
    Anonymous,
}

impl Reporter {
    fn actor(&self) -> Actor {
        match self {
            Self::Account(account) => Actor::Account { id: account.id, name: account.name.clone() },
            Self::Anonymous => Actor::Anonymous,
        }
    }
}

/// What somebody tells the desk.
#[derive(Debug, Clone)]
pub struct Submission {
    /// What it is about.
    pub kind: ReportKind,
    /// Which thing: `TYPE:VALUE`.
    pub subject: String,
    /// In their words.
    pub text: String,
    /// A scan document (JSON).
    pub scan: Option<String>,
}

/// What the sender gets: proof that the report lies here.
#[derive(Debug, Clone, Serialize)]
pub struct Accepted {
    /// The report's id.
    pub id: ReportId,
    /// The signed statement.
    pub receipt: Receipt,
    /// Where anyone who has the address can see what became of it.
    pub status_url: String,
}

/// A signed statement that a report was received.
#[derive(Debug, Clone, Serialize)]
pub struct Receipt {
    /// What is signed, byte by byte.
    pub document: String,
    /// The id of the key.
    pub key: String,
    /// The key (Ed25519, RFC 8032), hex.
    pub public_key: String,
    /// The signature over `document`, hex.
    pub signature: String,
}

/// Takes a report in. When this returns, it is on disk.
///
/// # Errors
/// [`DeskError::Invalid`] for what can't be understood, [`DeskError::TooLarge`] for what is past a limit.
pub async fn submit(
    app: &App,
    reporter: &Reporter,
    origin: &Origin,
    submission: Submission,
) -> Result<Accepted> {
    let subject =
        Subject::parse(&submission.subject).map_err(|error| DeskError::Invalid(error.to_string()))?;
    if submission.text.len() > TEXT_LIMIT {
        return Err(DeskError::TooLarge { what: "the text", limit: TEXT_LIMIT });
    }
    let document = submission.scan.as_deref().map(read_document).transpose()?;
    let scan = submission.scan.as_deref().map(one_spelling).transpose()?;
    let sent = digest_of(&submission.text, scan.as_ref());
    let now = app.now();
    let report = Report {
        id: ReportId::new(),
        kind: submission.kind,
        subject_type: subject.kind().to_owned(),
        subject: subject.value(),
        text: without_tokens(&submission.text),
        scan_document: scan.map(|scan| document_without_tokens(scan).to_string()),
        reporter: reporter.actor().label(),
        account_id: match reporter {
            Reporter::Account(account) => Some(account.id),
            Reporter::Anonymous => None,
        },
        state: ReportState::Received,
        lane: Lane::Ordinary,
        level: Level::E0,
        case_id: None,
        received_at: now,
        due_at: clock::due(submission.kind, now),
        seen_at: None,
        seen_by: None,
        closed_at: None,
    };
    let mut tx = app.store.write().await?;
    let personal = keep_personal(&mut tx, now, report.account_id, origin).await?;
    reports::insert(&mut tx, &report, Some(personal.id)).await?;
    let named = repositories(&subject, document.as_ref());
    let shares = shares(&mut tx, reporter, origin, named.len()).await?;
    let mut event = Event::new("desk:report:received", reporter.actor());
    event.details = serde_json::json!({
        "report": report.id, "kind": report.kind, "subject": subject.to_string(), "scan_document": document.is_some(),
        "looks_put_off": named.len() - shares.len(),
    });
    record(&mut tx, now, event).await?;
    clock::start(&mut tx, report.id, report.due_at).await?;
    for (number, repository) in named.iter().enumerate() {
        let urgency = shares.get(number).copied();
        queue_examination(&mut tx, app, &report, repository, document.as_ref(), urgency).await?;
    }
    tx.commit().await?;
    app.committed();
    Ok(Accepted {
        id: report.id,
        receipt: receipt(app, &report, &sent),
        status_url: app.url(&format!("/reports/{}", report.id)),
    })
}

fn read_document(text: &str) -> Result<ScanDocument> {
    ScanDocument::read(text).map_err(|error| match error {
        ScanDocumentError::TooLarge => {
            DeskError::TooLarge { what: "the scan document", limit: DOCUMENT_LIMIT }
        }
        other => DeskError::Invalid(other.to_string()),
    })
}

/// The repositories that a report names, by its subject or in its document.
fn repositories(subject: &Subject, document: Option<&ScanDocument>) -> Vec<RepositoryName> {
    let mut names = document.map(ScanDocument::repositories).unwrap_or_default();
    if let Subject::Repository(name) = subject
        && !names.contains(name)
    {
        names.push(name.clone());
    }
    // Everybody takes the cases of several repositories in this order.
    names.sort();
    names
}

/// The repositories that a stored report names.
pub(super) fn repositories_of(report: &Report) -> Vec<RepositoryName> {
    let subject = Subject::parse(&format!("{}:{}", report.subject_type, report.subject));
    subject.map(|subject| repositories(&subject, stored_document(report).as_ref())).unwrap_or_default()
}

/// The commits of a repository that a stored report cites.
pub(super) fn cited_by(report: &Report, repository: &RepositoryName) -> Vec<String> {
    stored_document(report).map(|document| document.cited(repository)).unwrap_or_default()
}

fn stored_document(report: &Report) -> Option<ScanDocument> {
    report.scan_document.as_deref().and_then(|text| ScanDocument::read(text).ok())
}

/// How many looks of one network's nameless reports may wait before further ones come after everybody else's.
pub const SHARE_LIMIT: usize = 20;

/// How many looks of nameless reports may wait altogether. Past that a report is stored and its look is put off until a person
/// opens a case for it.
pub const STRANGERS_LIMIT: usize = 1_000;

/// How urgent the looks of one report are; fewer than there are repositories where looks are put off.
async fn shares(tx: &mut Tx, reporter: &Reporter, origin: &Origin, looks: usize) -> Result<Vec<Urgency>> {
    if looks == 0 || matches!(reporter, Reporter::Account(_)) {
        return Ok(vec![Urgency::Person; looks]);
    }
    let limit = i64::try_from(STRANGERS_LIMIT).unwrap_or(i64::MAX);
    let waiting = examinations::strangers_waiting(tx, limit).await?;
    let network = evidence::network_of(origin.address);
    let same =
        |address: &&String| address.parse().is_ok_and(|address| evidence::network_of(address) == network);
    let mine = waiting.iter().filter(same).count();
    let urgency = |number: usize| {
        if mine + number < SHARE_LIMIT { Urgency::Stranger } else { Urgency::Flood }
    };
    Ok((0..looks.min(STRANGERS_LIMIT - waiting.len())).map(urgency).collect())
}

/// A report about a repository with an unclosed case joins that case; either way the server looks for itself.
async fn queue_examination(
    tx: &mut Tx,
    app: &App,
    report: &Report,
    repository: &RepositoryName,
    document: Option<&ScanDocument>,
    urgency: Option<Urgency>,
) -> Result<()> {
    let now = app.now();
    let case = match cases::unclosed_of_repository(tx, &repository.to_string()).await? {
        // It may be closed at this moment.
        Some(case) => cases::by_id_locked(tx, case.id).await?.filter(|case| case.state != CaseState::Closed),
        None => None,
    };
    let case = case.map(|case| case.id);
    if let Some(case) = case {
        reports::set_case(tx, report.id, case).await?;
        let mut event = Event::new("desk:report:joined", Actor::System { part: String::from("desk") });
        event.case = Some(case);
        event.details = serde_json::json!({"report": report.id, "repository": repository.to_string()});
        record(tx, now, event).await?;
    }
    let cited = document.map(|document| document.cited(repository)).unwrap_or_default();
    if urgency.is_some() {
        let asked = examination::Asked { case, report: Some(report.id), cited, urgency };
        examination::queue(tx, now, repository, asked).await?;
    }
    Ok(())
}

/// A document with the members of every object in the order of their names: its sender can write the same.
fn one_spelling(text: &str) -> Result<Value> {
    fn sorted(value: Value) -> Value {
        match value {
            Value::Object(members) => {
                let members: BTreeMap<String, Value> = members.into_iter().collect();
                Value::Object(members.into_iter().map(|(name, value)| (name, sorted(value))).collect())
            }
            Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
            other => other,
        }
    }
    serde_json::from_str(text).map(sorted).map_err(|error| DeskError::Invalid(error.to_string()))
}

/// SHA-256 over the text, a zero byte, and the scan document in its one spelling, hex.
fn digest_of(text: &str, scan: Option<&Value>) -> String {
    let mut content = Sha256::new();
    content.update(text.as_bytes());
    content.update([0]);
    content.update(scan.map(Value::to_string).unwrap_or_default().as_bytes());
    hex::encode(content.finalize())
}

/// `sent` is the digest of what the sender sent; what was kept may be less, and its digest says so.
fn receipt(app: &App, report: &Report, sent: &str) -> Receipt {
    let mut kept = Sha256::new();
    kept.update(report.text.as_bytes());
    kept.update([0]);
    kept.update(report.scan_document.as_deref().unwrap_or_default().as_bytes());
    let document = format!(
        "portcullis.receipt/1\nserver: {}\nreport: {}\nreceived: {}\nkind: {}\nsubject: {}:{}\nlook by: {}\ncontent: sha256:{}\nkept: sha256:{}\n",
        app.base_url.as_str().trim_end_matches('/'),
        report.id,
        report.received_at.rfc3339(),
        report.kind,
        report.subject_type,
        report.subject,
        report.due_at.rfc3339(),
        sent,
        hex::encode(kept.finalize()),
    );
    Receipt {
        signature: app.receipt_signer.sign(document.as_bytes()),
        key: app.receipt_signer.id.clone(),
        public_key: app.receipt_signer.public_key(),
        document,
    }
}

/// What the public page of a report tells: how far it is, to the hour, and nothing of what it says.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The report's id.
    pub id: ReportId,
    /// How far the desk is with it.
    pub state: ReportState,
    /// When it came, to the hour.
    pub received: String,
    /// When somebody looked, to the hour.
    pub seen: Option<String>,
    /// When it was closed or dismissed, to the hour.
    pub closed: Option<String>,
}

/// The status of a report.
///
/// # Errors
/// [`DeskError::Unknown`] where there is none with this id.
pub async fn status(app: &App, id: ReportId) -> Result<Status> {
    let mut tx = app.store.read().await?;
    let report = reports::by_id(&mut tx, id).await?;
    let report = report.ok_or_else(|| DeskError::Unknown { what: format!("report {id}") })?;
    let hour = |time| clock::hour_of(time).for_people();
    Ok(Status {
        id,
        state: report.state,
        received: hour(report.received_at),
        seen: report.seen_at.map(hour),
        closed: report.closed_at.map(hour),
    })
}

/// How many reports the desk's list shows.
const LIST_LIMIT: i64 = 200;

/// The desk's list: confirmed ones first, then the oldest unseen.
///
/// # Errors
/// Where the database refuses.
pub async fn list(app: &App, _by: &Responder) -> Result<Vec<Report>> {
    let mut tx = app.store.read().await?;
    Ok(reports::for_desk(&mut tx, LIST_LIMIT).await?)
}

/// Dismisses a report with a reason: a person looked and found nothing in it.
///
/// # Errors
/// [`DeskError::Conflict`] where it belongs to a case, or without a reason.
pub async fn dismiss(app: &App, by: &Responder, id: ReportId, reason: &str) -> Result<()> {
    let reason = without_tokens(reason.trim());
    if reason.is_empty() {
        return Err(DeskError::Invalid(String::from("dismissing a report needs a reason")));
    }
    let now = app.now();
    let mut tx = app.store.write().await?;
    by.confirm(&mut tx, now).await?;
    let report = reports::by_id_locked(&mut tx, id).await?;
    let report = report.ok_or_else(|| DeskError::Unknown { what: format!("report {id}") })?;
    if report.case_id.is_some() || matches!(report.state, ReportState::Closed | ReportState::Dismissed) {
        return Err(DeskError::Conflict(String::from(
            "the report belongs to a case or is closed; close the case instead",
        )));
    }
    reports::set_seen(&mut tx, id, &by.account().name, now).await?;
    reports::dismiss(&mut tx, id, &reason, now).await?;
    let mut event = Event::new("desk:report:dismissed", by.actor());
    event.details = serde_json::json!({"report": id, "reason": reason});
    record(&mut tx, now, event).await?;
    tx.commit().await?;
    app.committed();
    Ok(())
}
