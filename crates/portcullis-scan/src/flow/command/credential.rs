//! Credential files of the runner's user.

use crate::flow::value::Source;

/// Credential files of the runner's user, and what stands for them as a source.
pub fn credential_file(path: &str) -> Option<Source> {
    let path = path.trim_matches(['"', '\'']);
    let home = path
        .strip_prefix("~/")
        .or_else(|| path.strip_prefix("/home/runner/"))
        .or_else(|| path.strip_prefix("/root/"))
        .or_else(|| path.strip_prefix("${HOME}/"));
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
    ];
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
