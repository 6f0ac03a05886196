//! Every way of stealing that the scanner knows. One file each; this list is all that a new one touches.

use crate::technique::Technique;

mod long_lived_token;
mod secret_to_action;
mod secret_to_artifact;
mod secret_to_host;
mod secret_to_log;
mod secret_to_repository;

/// All of them.
pub const ALL: &[&dyn Technique] = &[
    &secret_to_host::SecretToHost,
    &secret_to_log::SecretToLog,
    &secret_to_artifact::SecretToArtifact,
    &secret_to_repository::SecretToRepository,
    &secret_to_action::SecretToAction,
    &long_lived_token::LongLivedToken,
];
