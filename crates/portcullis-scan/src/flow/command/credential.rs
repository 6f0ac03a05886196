//! Credential files of the runner's user.

use super::Call;
use crate::flow::Hop;
use crate::flow::shell::Shell;
use crate::flow::value::{HopKind, Source, Value};
use crate::text::RepositoryText;

/// Files of credentials, below the home directory.
const FILES: &[&str] = &[
    ".pypirc",
    ".npmrc",
    ".netrc",
    ".git-credentials",
    ".docker/config.json",
    ".aws/credentials",
    ".aws/config",
    ".kube/config",
    ".vault-token",
    ".config/gh/hosts.yml",
    ".config/gcloud/application_default_credentials.json",
    ".config/gcloud/credentials.db",
    ".azure/accessTokens.json",
    ".azure/msal_token_cache.json",
    ".gem/credentials",
    ".cargo/credentials.toml",
    ".cargo/credentials",
    ".m2/settings.xml",
    ".terraform.d/credentials.tfrc.json",
    ".config/pypoetry/auth.toml",
    ".cache/huggingface/token",
];

/// Credential files of the runner's user, and what stands for them as a source.
pub fn credential_file(path: &str) -> Option<Source> {
    let path = path.trim_matches(['"', '\'']);
    let home = path
        .strip_prefix("~/")
        .or_else(|| path.strip_prefix("/home/runner/"))
        .or_else(|| path.strip_prefix("/root/"))
        .or_else(|| path.strip_prefix("${HOME}/"));
    if let Some(home) = home
        && (FILES.contains(&home)
            || home.starts_with(".ssh/id_")
            || matches!(home, ".ssh" | ".aws" | ".docker" | ".ssh/*"))
    {
        return Some(Source::CredentialFile(format!("~/{home}")));
    }
    // Since v6 the checkout keeps its token in a file of the runner's own folder.
    let temporary = path.replace("${RUNNER_TEMP}", "/runner/temp").replace("${runner.temp}", "/runner/temp");
    let kept = temporary.strip_prefix("/runner/temp").is_some_and(|rest| {
        rest.starts_with("/git-credentials") || matches!(rest, "/*" | "/*.config" | "/*.gitconfig")
    });
    if kept || temporary.ends_with("/_temp/*") || temporary.contains("/_temp/git-credentials") {
        return Some(Source::CheckoutCredentials);
    }
    if path == ".git/config" || path.ends_with("/.git/config") {
        return Some(Source::CheckoutCredentials);
    }
    let memory = path.strip_prefix("/proc/").is_some_and(|rest| rest.ends_with("/mem"));
    memory.then_some(Source::RunnerMemory)
}

/// Files of credentials that have this name, or end in this path.
pub(super) fn files_named(name: &str) -> Vec<String> {
    let is_named =
        |path: &&&str| **path == name || path.strip_suffix(name).is_some_and(|rest| rest.ends_with('/'));
    FILES.iter().filter(is_named).map(|path| format!("~/{path}")).collect()
}

/// Keeps what a program leaves in a file when it logs in: `aws configure set`, `docker login`, `gh auth login`.
pub(super) fn leave_login(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let words: Vec<String> = call.operands().iter().map(|operand| operand.value.template()).collect();
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let path = match (call.name, word(0), word(1)) {
        ("aws", "configure", "set") => "~/.aws/credentials",
        ("docker" | "podman" | "oras" | "skopeo" | "crane", "login", _) | ("helm", "registry", "login") => {
            "~/.docker/config.json"
        }
        ("gh", "auth", "login") => "~/.config/gh/hosts.yml",
        ("huggingface-cli", "login", _) | ("hf", "auth", "login") => "~/.cache/huggingface/token",
        ("cargo", "login", _) => "~/.cargo/credentials.toml",
        ("kubectl", "config", "set-credentials") => "~/.kube/config",
        ("az", "login", _) => "~/.azure/msal_token_cache.json",
        ("vault", "login", _) => "~/.vault-token",
        ("poetry", "config", key) if key.starts_with("pypi-token.") || key.starts_with("http-basic.") => {
            "~/.config/pypoetry/auth.toml"
        }
        _ => return,
    };
    let mut login = call.joined().only_carried();
    login.append(call.stdin.only_carried());
    // On a machine of the owner's own, who has an account there has a login of his own.
    if shell.tracer.self_hosted || !login.carries() {
        return;
    }
    let what = RepositoryText::new(format!("{}{path}", crate::flow::LEFT_LOGIN));
    let hop = Hop { kind: HopKind::Carry, what, file: shell.file(), bytes: call.bytes };
    let mut line: Value = login.hop(&hop);
    line.push_text("\n");
    shell.state.write(path, line, true);
}
