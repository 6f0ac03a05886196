//! Core metadata inside the file, compared with the form: where they differ in what installers act on, the upload is refused.

use std::collections::BTreeSet;

use crate::project::normalise;
use crate::upload::form::Form;
use crate::upload::{UploadError, requirement};

/// The headers of a METADATA or PKG-INFO file.
#[derive(Debug, Clone)]
pub struct Metadata {
    headers: Vec<(String, String)>,
}

impl Metadata {
    /// Reads the headers (RFC 822-like, as core metadata is written).
    ///
    /// # Errors
    /// Where they can't be read or are not UTF-8.
    pub fn parse(content: &[u8]) -> Result<Self, UploadError> {
        let unreadable = || {
            UploadError::invalid(
                "Invalid distribution file. Its metadata can't be read: expected UTF-8 headers",
            )
        };
        let text = std::str::from_utf8(content).map_err(|_| unreadable())?;
        let (headers, _) = mailparse::parse_headers(text.as_bytes()).map_err(|_| unreadable())?;
        Ok(Self {
            headers: headers
                .iter()
                .map(|header| (header.get_key().to_lowercase(), header.get_value()))
                .collect(),
        })
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn one<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next().filter(|value| !matches!(value.trim(), "" | "UNKNOWN"))
    }

    /// Compares name, version, requires-python, requires-dist and provides-extra with the form, as parsed.
    ///
    /// # Errors
    /// Names the first field that differs.
    pub fn compare(&self, form: &Form) -> Result<(), UploadError> {
        if self.one("name").map(normalise).as_deref() != Some(form.name.normalised().as_str()) {
            return Err(differs("name"));
        }
        let version = self.one("version").and_then(|text| text.trim().parse::<pep440_rs::Version>().ok());
        if version.as_ref() != Some(&form.version) {
            return Err(differs("version"));
        }
        if specifiers(self.one("requires-python")) != specifiers(form.single("requires_python")) {
            return Err(differs("requires-python"));
        }
        let requirements =
            |values: Vec<&str>| values.into_iter().map(requirement).collect::<BTreeSet<String>>();
        if requirements(self.all("requires-dist").collect()) != requirements(form.list("requires_dist")) {
            return Err(differs("requires-dist"));
        }
        let extras = |values: Vec<&str>| values.into_iter().map(normalise).collect::<BTreeSet<String>>();
        // Old clients do not send the field at all: what they leave out is taken from the file.
        let sent = form.list("provides_extra");
        if !sent.is_empty() && extras(self.all("provides-extra").collect()) != extras(sent) {
            return Err(differs("provides-extra"));
        }
        Ok(())
    }
}

fn differs(field: &str) -> UploadError {
    UploadError::invalid(format!(
        "Metadata field '{field}' of the form differs from the file's. Build the distribution anew and upload what was \
         built; see https://packaging.python.org/specifications/core-metadata for more information."
    ))
}

fn specifiers(text: Option<&str>) -> Option<BTreeSet<String>> {
    let text = text?;
    let parsed = text.parse::<pep440_rs::VersionSpecifiers>();
    Some(match parsed {
        Ok(specifiers) => specifiers.iter().map(ToString::to_string).collect(),
        Err(_) => BTreeSet::from([text.trim().to_owned()]),
    })
}

fn requirement(text: &str) -> String {
    requirement::parse(text).map_or_else(|| text.trim().to_owned(), |requirement| requirement.to_string())
}
