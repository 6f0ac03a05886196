//! What the people of a project read when who may publish it changes. PyPI tells everybody who has a role, since a thief
//! who can change it is one of them.

use askama::Template;
use portcullis_trust::publisher::Publisher as Configured;

use crate::app::App;
use crate::ids::{EventId, PublisherId};
use crate::notice::{self, Letter, harmless};
use crate::store::projects::{self, Project, ProjectRole};
use crate::store::{self, Tx};

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The project trusts a publisher.
    Added,
    /// It no longer does.
    Removed,
    /// A pending publisher has created it.
    Reified,
}

impl Change {
    fn kind(self) -> &'static str {
        match self {
            Self::Added => "trusted-publisher-added",
            Self::Removed => "trusted-publisher-removed",
            Self::Reified => "pending-trusted-publisher-reified",
        }
    }

    fn subject(self, project: &str) -> String {
        match self {
            Self::Added => format!("Trusted publisher added to {project}"),
            Self::Removed => format!("Trusted publisher removed from {project}"),
            Self::Reified => format!("Your pending trusted publisher has created {project}"),
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Added => "A trusted publisher was added to a project in which you have a role.",
            Self::Removed => "A trusted publisher was removed from a project in which you have a role.",
            Self::Reified => "The first job of a pending trusted publisher of yours has created its project.",
        }
    }
}

/// One change, to be told.
pub(crate) struct Told<'a> {
    /// What changed.
    pub(crate) change: Change,
    /// Of which project.
    pub(crate) project: &'a Project,
    /// Which publisher.
    pub(crate) configured: &'a Configured,
    /// Who did it.
    pub(crate) by: &'a str,
    /// The event that records it; so nobody is told twice.
    pub(crate) event: EventId,
}

#[derive(Template)]
#[template(path = "mail/publisher.txt")]
struct PublisherMail<'a> {
    name: &'a str,
    what: &'a str,
    project: &'a str,
    publisher: String,
    fields: Vec<(String, String)>,
    by: String,
    address: &'a str,
    contact: &'a str,
}

impl Told<'_> {
    /// Writes to everybody who has a role in the project.
    ///
    /// # Errors
    /// Where the database refuses.
    pub(crate) async fn to_members(&self, tx: &mut Tx, app: &App) -> store::Result<()> {
        let fields: Vec<(String, String)> = self
            .configured
            .shown
            .iter()
            .map(|(name, value)| (format!("{name:<11}"), harmless(value)))
            .collect();
        for (account, name, _) in projects::members(tx, self.project.id).await? {
            let mail = PublisherMail {
                name: &name,
                what: self.change.what(),
                project: &self.project.name,
                publisher: harmless(&super::label(self.configured)),
                fields: fields.clone(),
                by: harmless(self.by),
                address: app.base_url.authority(),
                contact: app.contact(),
            };
            let letter = Letter {
                kind: self.change.kind(),
                key: self.event.to_string(),
                subject: self.change.subject(&self.project.name),
                body: mail.render().unwrap_or_default(),
            };
            notice::write_to(tx, app, account, letter).await?;
        }
        Ok(())
    }
}

#[derive(Template)]
#[template(path = "mail/environment.txt")]
struct EnvironmentMail<'a> {
    name: &'a str,
    publisher: String,
    project: &'a str,
    environment: String,
    address: &'a str,
    contact: &'a str,
}

/// Suggests to the owners of a project that they bind its publisher to the environment that its jobs use already. PyPI
/// writes so at every mint; once is enough.
///
/// # Errors
/// Where the database refuses.
pub(crate) async fn suggest_environment(
    tx: &mut Tx,
    app: &App,
    project: &Project,
    publisher: PublisherId,
    configured: &Configured,
    environment: &str,
) -> store::Result<()> {
    for (account, name, role) in projects::members(tx, project.id).await? {
        if role != ProjectRole::Owner {
            continue;
        }
        let mail = EnvironmentMail {
            name: &name,
            publisher: harmless(&super::label(configured)),
            project: &project.name,
            environment: harmless(environment),
            address: app.base_url.authority(),
            contact: app.contact(),
        };
        let letter = Letter {
            kind: "environment-ignored-in-trusted-publisher",
            key: publisher.to_string(),
            subject: format!("Bind the trusted publisher of {} to its environment", project.name),
            body: mail.render().unwrap_or_default(),
        };
        notice::write_to(tx, app, account, letter).await?;
    }
    Ok(())
}
