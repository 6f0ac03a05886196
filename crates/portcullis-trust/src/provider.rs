//! What a CI identity provider is: who signs its tokens, how a publisher of it is configured, and how one is found and
//! compared with the claims of a job.
//!
//! A provider is one file in `providers/` and one line in [`crate::providers`]. The index stores what [`Publisher`] holds
//! and never looks inside its configuration.

use crate::jwt::{SignatureAlgorithm, VerifiedClaims};
use crate::publisher::{Candidate, ConfigurationError, FieldError, Match, Mismatch, Publisher};

/// One CI identity provider.
pub trait Provider: Sync {
    /// The word in the command line, the API and the database (`github`).
    fn name(&self) -> &'static str;

    /// The name that people know (`GitHub`).
    fn title(&self) -> &'static str;

    /// The public issuer. Operators can configure further ones.
    fn issuer(&self) -> &'static str;

    /// The algorithms that its issuers may sign with.
    fn algorithms(&self) -> &'static [SignatureAlgorithm];

    /// The fields that configure a publisher, in the order of a form.
    fn fields(&self) -> &'static [Field];

    /// Validates what a person typed. `issuer` is the issuer that the publisher trusts; empty values count as not given.
    ///
    /// # Errors
    /// One [`FieldError`] for each field that is wrong.
    fn configure(&self, issuer: &str, values: &[(String, String)]) -> Result<Publisher, Vec<FieldError>>;

    /// Reads a configuration that was stored.
    ///
    /// # Errors
    /// [`ConfigurationError`] where it was written by a newer release, or is no configuration of this provider. A pin
    /// that this release does not know must not be ignored, so an unknown field is an error.
    fn read(&self, issuer: &str, configuration: &str) -> Result<Publisher, ConfigurationError>;

    /// Where publishers that could match these claims are found.
    ///
    /// # Errors
    /// [`Mismatch`] where the claims name no such thing, with the reference's text.
    fn lookup(&self, claims: &VerifiedClaims) -> Result<Lookup, Mismatch>;

    /// Finds the publisher among `candidates` whose every rule holds, in the reference's order of checks.
    ///
    /// `already_used` says whether the token's `jti` was exchanged before: the reference asks that in the middle of its
    /// checks, and clients see which one failed first.
    ///
    /// # Errors
    /// [`Mismatch`] with the reference's text, and what differs.
    fn find(
        &self,
        claims: &VerifiedClaims,
        candidates: &[Candidate],
        already_used: bool,
    ) -> Result<Match, Mismatch>;
}

impl std::fmt::Debug for dyn Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Where publishers that could match a token are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// What they are stored under.
    pub key: String,
    /// The job's repository in the desk's spelling, where the provider has repositories.
    pub repository: Option<String>,
}

/// One field of a publisher's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The word in the command line and in forms.
    pub name: &'static str,
    /// What it means, in a sentence that fits beside the field.
    pub hint: &'static str,
    /// Whether a publisher can do without it.
    pub need: Need,
}

/// Whether a field must be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Must be filled in.
    Required,
    /// Left empty, it restricts nothing, or is learned from the first token.
    Optional,
}
