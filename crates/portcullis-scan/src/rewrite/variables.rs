//! Environment variables that publishing tools read.

/// Credentials.
const NAMES: &[&str] = &[
    "TWINE_USERNAME",
    "TWINE_PASSWORD",
    "TWINE_API_KEY",
    "UV_PUBLISH_TOKEN",
    "UV_PUBLISH_PASSWORD",
    "UV_PUBLISH_USERNAME",
    "FLIT_USERNAME",
    "FLIT_PASSWORD",
    "HATCH_INDEX_USER",
    "HATCH_INDEX_AUTH",
    "PDM_PUBLISH_USERNAME",
    "PDM_PUBLISH_PASSWORD",
    "MATURIN_PYPI_TOKEN",
    "MATURIN_USERNAME",
    "MATURIN_PASSWORD",
];

/// Poetry has the index's name in its variables.
const PREFIXES: &[&str] = &["POETRY_PYPI_TOKEN_", "POETRY_HTTP_BASIC_"];

/// Which index, and how: nothing reads them but the upload.
const SETTINGS: &[&str] = &[
    "TWINE_REPOSITORY",
    "TWINE_REPOSITORY_URL",
    "TWINE_NON_INTERACTIVE",
    "UV_PUBLISH_URL",
    "HATCH_INDEX_REPO",
    "FLIT_INDEX_URL",
    "PDM_PUBLISH_REPO",
    "MATURIN_REPOSITORY",
    "MATURIN_REPOSITORY_URL",
];

/// Whether a variable is nothing but the credential of an upload.
pub(super) fn is_credential(name: &str) -> bool {
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a variable is nothing but a setting of an upload.
pub(super) fn is_setting(name: &str) -> bool {
    SETTINGS.contains(&name)
}
