//! The upload form: which fields there are, and what they must be (Warehouse's `forklift`, checks 5 to 12).

use pep440_rs::Version;
use serde_json::{Map, Value};
use std::str::FromStr;

use crate::project::ProjectName;
use crate::store::files::PackageType;
use crate::upload::{UploadError, requirement};

/// Most fields of one form, the file not counted.
pub const FIELDS_LIMIT: usize = 5_000;
/// Longest text field, in bytes: a description may be a whole book chapter, not a library.
pub const FIELD_BYTES_LIMIT: usize = 1024 * 1024;
/// All text fields together, in bytes.
pub const FORM_BYTES_LIMIT: usize = 4 * 1024 * 1024;

/// Fields that may be given more than once, by their form names.
const REPEATABLE: &[&str] = &[
    "license_file",
    "classifiers",
    "platform",
    "supported_platform",
    "requires_dist",
    "provides_dist",
    "obsoletes_dist",
    "requires_external",
    "project_urls",
    "provides_extra",
    "dynamic",
    "import_name",
    "import_namespace",
    "requires",
    "provides",
    "obsoletes",
];

/// Core metadata fields that are kept, given once.
const SINGLE: &[&str] = &[
    "metadata_version",
    "summary",
    "description",
    "description_content_type",
    "keywords",
    "home_page",
    "download_url",
    "author",
    "author_email",
    "maintainer",
    "maintainer_email",
    "license",
    "license_expression",
    "requires_python",
];

/// The text fields as they came, in order.
#[derive(Debug, Default)]
pub struct Fields {
    fields: Vec<(String, String)>,
    bytes: usize,
}

impl Fields {
    /// Adds a field. `UNKNOWN` and the empty text count as absent, as on PyPI.
    ///
    /// # Errors
    /// Where a limit is passed.
    pub fn add(&mut self, name: &str, value: String) -> Result<(), UploadError> {
        self.bytes += name.len() + value.len();
        if self.fields.len() >= FIELDS_LIMIT || self.bytes > FORM_BYTES_LIMIT {
            return Err(UploadError::too_large(format!(
                "The form is too large. It may have {FIELDS_LIMIT} fields of {} MB together.",
                FORM_BYTES_LIMIT / (1024 * 1024)
            )));
        }
        if !matches!(value.trim(), "" | "UNKNOWN") {
            self.fields.push((name.to_owned(), value.replace('\0', "\\x00")));
        }
        Ok(())
    }

    /// The value of a field that may be given once.
    ///
    /// # Errors
    /// Where it was given twice.
    pub fn one<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, UploadError> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            Some(_) => {
                Err(UploadError::invalid(format!("{name}: given more than once; expected one value.")))
            }
            None => Ok(first),
        }
    }

    /// All values of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// A form whose fields are what they must be.
#[derive(Debug, Clone)]
pub struct Form {
    /// The project.
    pub name: ProjectName,
    /// The version, parsed.
    pub version: Version,
    /// What the file is.
    pub packagetype: PackageType,
    /// `py3`, …; `source` for an sdist.
    pub python_version: String,
    /// Digests that were given, lower case: MD5, SHA-256, BLAKE2b-256.
    pub md5: Option<String>,
    /// See `md5`.
    pub sha256: Option<String>,
    /// See `md5`.
    pub blake2_256: Option<String>,
    /// Whether attestations came along.
    pub has_attestations: bool,
    /// Core metadata as given: texts, and lists for what may be repeated.
    pub metadata: Map<String, Value>,
}

const SPECIFICATION: &str =
    "See https://packaging.python.org/specifications/core-metadata for more information.";

fn metadata_error(message: impl std::fmt::Display) -> UploadError {
    UploadError::invalid(format!("{message}. {SPECIFICATION}"))
}

/// The version's canonical text: normalised, trailing zeros of the release dropped (`1.0` and `1.0.0` are one release).
#[must_use]
pub fn canonical_version(version: &Version) -> String {
    let text = version.to_string();
    let (epoch, rest) = match text.split_once('!') {
        Some((epoch, rest)) => (format!("{epoch}!"), rest.to_owned()),
        None => (String::new(), text),
    };
    let end =
        rest.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(rest.len());
    let (release, suffix) = rest.split_at_checked(end).unwrap_or((&rest, ""));
    // `1.0.dev1` keeps the dot that belongs to its suffix.
    let (release, dot) = match release.strip_suffix('.') {
        Some(release) => (release, "."),
        None => (release, ""),
    };
    let mut release = release;
    while let Some(shorter) = release.strip_suffix(".0") {
        release = shorter;
    }
    format!("{epoch}{release}{dot}{suffix}")
}

impl Form {
    /// Checks the fields in PyPI's order; the first that is wrong is reported.
    ///
    /// # Errors
    /// PyPI's sentence for it.
    pub fn parse(fields: &Fields) -> Result<Self, UploadError> {
        if fields.one("protocol_version")?.is_some_and(|version| version != "1") {
            return Err(UploadError::invalid("Unknown protocol version."));
        }
        let name = parse_name(fields.one("name")?)?;
        let packagetype = parse_filetype(fields.one("filetype")?)?;
        let sha256 = parse_digest(fields, "sha256_digest", "SHA256", 64)?;
        let blake2_256 = parse_digest(fields, "blake2_256_digest", "BLAKE2_256", 64)?;
        let md5 = fields.one("md5_digest")?.map(str::to_lowercase);
        let python_version = parse_python_version(fields.one("pyversion")?, packagetype)?;
        if md5.is_none() && sha256.is_none() && blake2_256.is_none() {
            return Err(UploadError::invalid("Error: Include at least one message digest."));
        }
        let version = parse_metadata(fields)?;
        Ok(Self {
            name,
            version,
            packagetype,
            python_version,
            md5,
            sha256,
            blake2_256,
            has_attestations: fields.one("attestations")?.is_some(),
            metadata: kept_metadata(fields)?,
        })
    }

    /// A kept metadata field that is given once.
    #[must_use]
    pub fn single(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).and_then(Value::as_str)
    }

    /// A kept metadata field that may be repeated.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        let values = self.metadata.get(name).and_then(Value::as_array);
        values.map(|values| values.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
    }
}

fn parse_name(value: Option<&str>) -> Result<ProjectName, UploadError> {
    let wrong = |error: &str| {
        let value = value.unwrap_or_default();
        UploadError::invalid(format!(
            "'{}' is an invalid value for Name. Error: {error} {SPECIFICATION}",
            quoted(value)
        ))
    };
    match value {
        None => Err(wrong("This field is required.")),
        Some(text) => text.parse::<ProjectName>().map_err(|_| {
            wrong(
                "Start and end with a letter or numeral containing only ASCII numeric and '.', '_' and '-'.",
            )
        }),
    }
}

/// A value of the form inside a message: bounded, and without what would end a line.
fn quoted(value: &str) -> String {
    crate::visible::visible(value, 200)
}

fn parse_filetype(value: Option<&str>) -> Result<PackageType, UploadError> {
    let value = value
        .ok_or_else(|| UploadError::invalid("Invalid value for filetype. Error: This field is required."))?;
    PackageType::from_str(value)
        .map_err(|_| UploadError::invalid("Invalid value for filetype. Error: Use a known file type."))
}

fn parse_digest(
    fields: &Fields,
    field: &'static str,
    label: &str,
    digits: usize,
) -> Result<Option<String>, UploadError> {
    let Some(value) = fields.one(field)? else { return Ok(None) };
    if value.len() == digits && value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Some(value.to_lowercase()));
    }
    Err(UploadError::invalid(format!(
        "Invalid value for {field}. Error: Use a valid, hex-encoded, {label} message digest."
    )))
}

fn parse_python_version(value: Option<&str>, packagetype: PackageType) -> Result<String, UploadError> {
    match (packagetype, value) {
        (PackageType::Wheel, None) => Err(UploadError::invalid(
            "Invalid value for pyversion. Error: Python version is required for binary distribution uploads.",
        )),
        (PackageType::Wheel, Some(value)) => Ok(quoted(value)),
        (PackageType::Sdist, None | Some("source")) => Ok(String::from("source")),
        (PackageType::Sdist, Some(_)) => Err(UploadError::invalid(
            "Invalid value for pyversion. Error: Use 'source' as Python version for an sdist.",
        )),
    }
}

const METADATA_VERSIONS: &[&str] = &["1.0", "1.1", "1.2", "2.1", "2.2", "2.3", "2.4", "2.5"];

fn parse_metadata(fields: &Fields) -> Result<Version, UploadError> {
    match fields.one("metadata_version")? {
        None => return Err(metadata_error("None is not a valid metadata version")),
        Some(version) if !METADATA_VERSIONS.contains(&version) => {
            return Err(metadata_error(format!("'{}' is not a valid metadata version", quoted(version))));
        }
        Some(_) => {}
    }
    let text = fields.one("version")?.ok_or_else(|| metadata_error("'version' is a required field"))?;
    let version = text
        .parse::<Version>()
        .map_err(|_| metadata_error(format!("'{}' is invalid for 'version'", quoted(text))))?;
    if version.is_local() {
        return Err(UploadError::invalid(format!(
            "The use of local versions in '{version}' is not allowed. See \
             https://packaging.python.org/en/latest/specifications/version-specifiers/#local-version-identifiers \
             for more information."
        )));
    }
    if let Some(summary) = fields.one("summary")? {
        if summary.contains(['\n', '\r']) {
            return Err(metadata_error("'summary' must be a single line"));
        }
        if summary.chars().count() > 512 {
            return Err(metadata_error("'summary' field must be 512 characters or less."));
        }
    }
    if let Some(kind) = fields.one("description_content_type")? {
        let kind = kind.split(';').next().unwrap_or_default().trim().to_lowercase();
        if !matches!(kind.as_str(), "text/plain" | "text/x-rst" | "text/markdown") {
            return Err(metadata_error(format!(
                "'{}' is invalid for 'description-content-type'",
                quoted(&kind)
            )));
        }
    }
    check_requirements(fields)?;
    check_urls(fields)?;
    Ok(version)
}

fn check_requirements(fields: &Fields) -> Result<(), UploadError> {
    for field in ["requires_dist", "provides_dist", "obsoletes_dist"] {
        for value in fields.all(field) {
            let requirement = requirement::parse(value).ok_or_else(|| {
                metadata_error(format!("'{}' is invalid for '{}'", quoted(value), field.replace('_', "-")))
            })?;
            if matches!(requirement.version_or_url, Some(pep508_rs::VersionOrUrl::Url(_))) {
                return Err(metadata_error(format!("Can't have direct dependency: {}", quoted(value))));
            }
        }
    }
    if let Some(text) = fields.one("requires_python")? {
        text.parse::<pep440_rs::VersionSpecifiers>()
            .ok()
            .filter(|_| text.len() <= requirement::LENGTH_LIMIT)
            .ok_or_else(|| metadata_error(format!("'{}' is invalid for 'requires-python'", quoted(text))))?;
    }
    Ok(())
}

fn check_urls(fields: &Fields) -> Result<(), UploadError> {
    let valid =
        |text: &str| url::Url::parse(text.trim()).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    for field in ["home_page", "download_url"] {
        if let Some(value) = fields.one(field)?.filter(|value| !valid(value)) {
            return Err(metadata_error(format!("'{}' is not a valid url.", quoted(value))));
        }
    }
    for value in fields.all("project_urls") {
        let fits = value.split_once(',').is_some_and(|(label, url)| {
            let label = label.trim();
            !label.is_empty() && label.chars().count() <= 32 && valid(url)
        });
        if !fits {
            return Err(metadata_error("'project_urls' has invalid data"));
        }
    }
    Ok(())
}

fn kept_metadata(fields: &Fields) -> Result<Map<String, Value>, UploadError> {
    let mut metadata = Map::new();
    for name in SINGLE {
        if let Some(value) = fields.one(name)? {
            metadata.insert((*name).to_owned(), Value::from(value));
        }
    }
    for name in REPEATABLE {
        let values: Vec<&str> = fields.all(name).collect();
        if !values.is_empty() {
            metadata.insert((*name).to_owned(), Value::from(values));
        }
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(given: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::default();
        let usual = [
            ("name", "Demo.Pkg"),
            ("version", "1.0"),
            ("metadata_version", "2.3"),
            ("filetype", "bdist_wheel"),
            ("pyversion", "py3"),
            ("md5_digest", "00"),
        ];
        for (name, value) in usual {
            if !given.iter().any(|(field, _)| *field == name) {
                fields.add(name, value.to_owned()).unwrap();
            }
        }
        for (name, value) in given {
            fields.add(name, (*value).to_owned()).unwrap();
        }
        fields
    }

    #[test]
    fn what_is_wrong_is_said_in_pypis_words() {
        for (given, expected) in [
            (("name", ""), "'' is an invalid value for Name. Error: This field is required."),
            (
                ("name", "-x"),
                "'-x' is an invalid value for Name. Error: Start and end with a letter or numeral",
            ),
            (("filetype", ""), "Invalid value for filetype. Error: This field is required."),
            (("filetype", "bdist_egg"), "Invalid value for filetype. Error: Use a known file type."),
            (("pyversion", ""), "Python version is required for binary distribution uploads."),
            (("md5_digest", ""), "Error: Include at least one message digest."),
            (
                ("sha256_digest", "zz"),
                "Invalid value for sha256_digest. Error: Use a valid, hex-encoded, SHA256 message digest.",
            ),
            (("metadata_version", "3.0"), "'3.0' is not a valid metadata version."),
            (("metadata_version", "UNKNOWN"), "None is not a valid metadata version."),
            (("version", "one"), "'one' is invalid for 'version'."),
            (("version", "1.0+local"), "The use of local versions in '1.0+local' is not allowed."),
            (("summary", "a\nb"), "'summary' must be a single line."),
            (("protocol_version", "2"), "Unknown protocol version."),
            (("requires_dist", "x @ https://x.example/x.whl"), "Can't have direct dependency"),
            (("home_page", "javascript:x"), "'javascript:x' is not a valid url."),
            (("project_urls", "no comma"), "'project_urls' has invalid data"),
        ] {
            let error = Form::parse(&fields(&[given])).unwrap_err().to_string();
            assert!(error.contains(expected), "{given:?}: {error}");
        }
        assert!(Form::parse(&fields(&[])).is_ok());
        assert!(Form::parse(&fields(&[("name", "a"), ("name", "b")])).is_err());
    }

    #[test]
    fn spellings_of_one_version_have_one_canonical_text() {
        for (text, canonical) in [
            ("1.0", "1"),
            ("1.0.0", "1"),
            ("1.10", "1.10"),
            ("0", "0"),
            ("0.0", "0"),
            ("1.0.dev1", "1.dev1"),
            ("1.0rc1", "1rc1"),
            ("1!2.0.0.post3", "1!2.post3"),
            ("v1.0-1", "1.post1"),
        ] {
            assert_eq!(canonical_version(&text.parse().unwrap()), canonical, "{text}");
        }
    }

    #[test]
    fn the_form_is_bounded() {
        let mut fields = Fields::default();
        for number in 0..FIELDS_LIMIT {
            fields.add("classifiers", number.to_string()).unwrap();
        }
        assert!(fields.add("classifiers", String::from("x")).is_err());
        let mut fields = Fields::default();
        assert!(fields.add("description", "x".repeat(FORM_BYTES_LIMIT - 11)).is_ok());
        assert!(fields.add("d", String::from("x")).is_err());
    }
}
