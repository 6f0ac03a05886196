//! Notices by SMTP (RFC 5321), through the server in the `[mail]` settings.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use crate::app::App;
use crate::settings::MailSetting;
use crate::store::notices::Notice;

/// How a delivery went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The receiving server took it.
    Delivered,
    /// It may work later.
    Failed(String),
    /// The receiving server refused it for good, or it can't be written.
    Bounced(String),
}

/// How long one delivery may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends one notice.
pub async fn deliver(app: &App, setting: &MailSetting, notice: &Notice) -> Delivery {
    let message = match message(app, setting, notice) {
        Ok(message) => message,
        Err(problem) => return Delivery::Bounced(problem),
    };
    let transport = match transport(setting) {
        Ok(transport) => transport,
        Err(problem) => return Delivery::Failed(problem),
    };
    match tokio::time::timeout(PATIENCE, transport.send(message)).await {
        Ok(Ok(_)) => Delivery::Delivered,
        Ok(Err(error)) if error.is_permanent() => Delivery::Bounced(error.to_string()),
        Ok(Err(error)) => Delivery::Failed(error.to_string()),
        Err(_) => Delivery::Failed(String::from("the mail server did not answer in time")),
    }
}

fn message(app: &App, setting: &MailSetting, notice: &Notice) -> Result<Message, String> {
    let mailbox =
        |text: &str| text.parse::<Mailbox>().map_err(|error| format!("not a mail address: {error}"));
    let recipient = notice.recipient.as_deref().ok_or("the address was erased")?;
    Message::builder()
        .from(mailbox(&setting.from)?)
        .to(mailbox(recipient)?)
        .subject(notice.subject.as_str())
        // The same id at every try: a receiver that got it twice can tell.
        .message_id(Some(format!("<{}@{}>", notice.id, app.host())))
        .header(ContentType::TEXT_PLAIN)
        .body(notice.body.clone())
        .map_err(|error| format!("the message can't be written: {error}"))
}

fn transport(setting: &MailSetting) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let host = setting.smtp.host_str().ok_or("the setting mail.smtp names no host")?;
    let loopback = match setting.smtp.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let credentials = setting.credentials_file.as_deref().map(credentials).transpose()?;
    let parameters = || TlsParameters::new(host.to_owned()).map_err(|error| error.to_string());
    let (tls, port) = match setting.smtp.scheme() {
        "smtps" => (Tls::Wrapper(parameters()?), 465),
        _ if loopback => (Tls::None, 25),
        // A password never goes out in the clear.
        _ if credentials.is_some() => (Tls::Required(parameters()?), 587),
        _ => (Tls::Opportunistic(parameters()?), 25),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(setting.smtp.port().unwrap_or(port))
        .tls(tls)
        .timeout(Some(PATIENCE));
    if let Some(credentials) = credentials {
        builder = builder.credentials(credentials);
    }
    Ok(builder.build())
}

/// Reads `user:password` from the operator's file.
fn credentials(path: &std::path::Path) -> Result<Credentials, String> {
    let text = zeroize::Zeroizing::new(
        std::fs::read_to_string(path)
            .map_err(|error| format!("can't read the credentials of the mail server: {error}"))?,
    );
    let (user, password) = text
        .trim()
        .split_once(':')
        .ok_or("the credentials file of the mail server must hold user:password")?;
    Ok(Credentials::new(user.to_owned(), password.to_owned()))
}
