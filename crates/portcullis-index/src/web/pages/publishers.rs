//! Trusted Publishers on pages: how one is shown, and the form to add one. A provider's fields are the provider's own list,
//! so that one more provider needs no page.

use portcullis_trust::provider::Need;
use portcullis_trust::providers;
use portcullis_trust::publisher::Openness;

use super::{PageError, sentence};
use crate::app::App;
use crate::publisher::{Form, PublisherError, Registered};
use crate::store::publishers::PublisherState;
use crate::web::session::{FORM_TOKEN, Fields};

/// A publisher as a project's page shows it.
pub(super) struct Shown {
    pub id: String,
    pub title: &'static str,
    pub repository: String,
    pub url: Option<String>,
    pub specifier: String,
    pub shown: Vec<(String, String)>,
    pub open: bool,
    pub state: &'static str,
    pub cause: Option<String>,
    pub last_used: Option<String>,
}

impl From<Registered> for Shown {
    fn from(registered: Registered) -> Self {
        let configured = registered.configured;
        Self {
            id: registered.id.to_string(),
            title: registered.provider_title,
            repository: configured.repository.unwrap_or_else(|| configured.issuer.clone()),
            url: configured.url.filter(|url| url.starts_with("https://")),
            specifier: configured.specifier,
            shown: configured.shown.into_iter().map(|(name, value)| (label(name), value)).collect(),
            open: configured.openness == Openness::Open,
            state: registered.state.word(),
            cause: registered.state_cause.filter(|_| registered.state != PublisherState::Active),
            last_used: registered.last_used_at.map(crate::clock::Instant::for_people),
        }
    }
}

/// A field's name as a label.
fn label(name: &str) -> String {
    name.replace('_', " ")
}

/// One field of a form.
pub(super) struct FormField {
    pub name: &'static str,
    pub label: String,
    pub hint: &'static str,
    pub required: bool,
    pub value: String,
}

/// The form to add a publisher of one provider.
pub(super) struct PublisherForm {
    pub provider: &'static str,
    pub title: &'static str,
    pub fields: Vec<FormField>,
    /// The issuers to choose from, the provider's public one first, and whether it is chosen.
    pub issuers: Vec<(String, bool)>,
    /// Whether it stands open.
    pub open: bool,
}

impl PublisherForm {
    /// An empty form for each provider.
    pub(super) fn all(app: &App) -> Vec<Self> {
        Self::with(app, |_, _| String::new(), None)
    }

    /// The same, with what was sent.
    pub(super) fn filled_in(app: &App, fields: &Fields) -> Vec<Self> {
        let sent_to = fields.text("provider").to_owned();
        let value = |provider: &str, name: &str| {
            if provider == sent_to { fields.text(name).to_owned() } else { String::new() }
        };
        Self::with(app, value, Some(&sent_to))
    }

    fn with(app: &App, value: impl Fn(&str, &str) -> String, sent_to: Option<&str>) -> Vec<Self> {
        let form = |provider: &&'static dyn portcullis_trust::provider::Provider| {
            let (name, public) = (provider.name(), provider.issuer());
            let chosen = Some(value(name, "issuer")).filter(|issuer| !issuer.is_empty());
            let chosen = chosen.unwrap_or_else(|| public.to_owned());
            let mut issuers: Vec<String> =
                app.issuer_keys.of_provider(name).map(|issuer| issuer.url().to_owned()).collect();
            issuers.sort_by_key(|issuer| issuer != public);
            Self {
                provider: name,
                title: provider.title(),
                fields: provider
                    .fields()
                    .iter()
                    .map(|field| FormField {
                        name: field.name,
                        label: label(field.name),
                        hint: field.hint,
                        required: field.need == Need::Required,
                        value: value(name, field.name),
                    })
                    .collect(),
                issuers: issuers.into_iter().map(|issuer| (issuer.clone(), issuer == chosen)).collect(),
                open: sent_to == Some(name),
            }
        };
        providers::ALL.iter().map(form).collect()
    }
}

/// What a person typed.
pub(super) fn form(fields: &Fields) -> Form {
    let ours = ["provider", "project", FORM_TOKEN];
    let values = fields.named().filter(|(name, value)| !ours.contains(name) && !value.is_empty());
    let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Form::new(fields.text("provider"), values)
}

/// What a person can mend as a sentence; everything else becomes a page of its own.
pub(super) fn refusal(error: PublisherError) -> Result<String, PageError> {
    match error {
        PublisherError::Authority(error) => Err(error.into()),
        PublisherError::Store(_) | PublisherError::Configuration(_) => {
            Err(PageError::Unavailable(Box::new(error)))
        }
        PublisherError::Project(crate::project::ProjectError::Store(_)) => {
            Err(PageError::Unavailable(Box::new(error)))
        }
        _ => Ok(sentence(&error.to_string())),
    }
}
