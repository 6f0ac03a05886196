//! Environment variables that publishing tools read credentials from.

/// Whole names.
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

/// Whether a variable is nothing but the credential of an upload.
pub(super) fn is_credential(name: &str) -> bool {
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
