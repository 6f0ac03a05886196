//! All CI identity providers.

use crate::provider::Provider;

pub mod github;

/// The list. To add a provider, write its file beside this one and name it here.
pub const ALL: &[&dyn Provider] = &[&github::GitHub];
