//! Every way of stealing that the scanner knows. One file each; this list is all that a new one touches.

use crate::technique::Technique;

mod backdoor;
mod compromised_action;
mod long_lived_token;
mod open_door;
mod remote_code;
mod reverse_shell;
mod script_injection;
mod secret_to_action;
mod secret_to_artifact;
mod secret_to_disk;
mod secret_to_host;
mod secret_to_log;
mod secret_to_repository;
mod secret_to_unknown_command;
mod unanalysed_workflow;
mod untrusted_code;

/// All of them.
pub const ALL: &[&dyn Technique] = &[
    &secret_to_host::SecretToHost,
    &secret_to_log::SecretToLog,
    &secret_to_artifact::SecretToArtifact,
    &secret_to_repository::SecretToRepository,
    &secret_to_disk::SecretToDisk,
    &secret_to_unknown_command::SecretToUnknownCommand,
    &secret_to_action::SecretToAction,
    &reverse_shell::ReverseShell,
    &backdoor::Backdoor,
    &untrusted_code::UntrustedCode,
    &open_door::OpenDoor,
    &script_injection::ScriptInjection,
    &remote_code::RemoteCode,
    &long_lived_token::LongLivedToken,
    &compromised_action::CompromisedAction,
    &unanalysed_workflow::UnanalysedWorkflow,
];
