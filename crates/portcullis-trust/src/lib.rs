//! Who is this, and what may this token do.
//!
//! A small kernel without clock, network, database or randomness: time and random bytes are arguments, so the same
//! input always gives the same answer and all of it can be tested with values alone.
//!
//! - [`jwt`] and [`keys`] turn a CI job's identity token into [`jwt::VerifiedClaims`]; nothing else makes one.
//! - [`provider`] states what a CI identity provider is, [`providers`] lists them all.
//! - [`publisher`] is what a project trusts, and compares it with verified claims.
//! - [`macaroon`], [`caveat`] and [`token`] are API tokens: their bytes, their restrictions, their verification.

pub mod caveat;
pub mod jwt;
pub mod keys;
pub mod macaroon;
pub mod provider;
pub mod providers;
pub mod publisher;
pub mod secret;
pub mod token;

#[cfg(test)]
mod test_issuer;
