//! Calls that give somebody a way in: runners, deploy keys, collaborators, workflows, a repository made public.
//!
//! They carry no secret away and outlive the clean-up of what made them, so they are observed whatever they send. Paths are
//! those of GitHub's REST API (docs.github.com/rest).

use crate::flow::shell::Shell;
use crate::flow::trace::ObservationKind;
use crate::flow::value::Value;
use crate::span::Bytes;

use super::Call;

/// A call of the forge's API; whether it gives somebody a way in, and so is no work. `body` is what is sent along, as text.
pub(super) fn api_call(
    shell: &mut Shell<'_, '_>,
    method: &str,
    path: &str,
    body: &str,
    bytes: Bytes,
) -> bool {
    let writes = !method.eq_ignore_ascii_case("get") && !method.eq_ignore_ascii_case("delete");
    let path = path.trim_end_matches('/').to_ascii_lowercase();
    let last = path.rsplit('/').next().unwrap_or("");
    let kind = if path.contains("/actions/runners/") && last == "registration-token" {
        ObservationKind::RegistersRunner
    } else if writes && path.contains("/contents/.github/workflows") {
        ObservationKind::WritesWorkflow
    } else if writes && grants(&path, last, body) {
        ObservationKind::GrantsAccess
    } else if method.eq_ignore_ascii_case("delete")
        && (path.contains("/actions/runs") || path.contains("/git/refs"))
    {
        ObservationKind::CoversTracks
    } else {
        return false;
    };
    shell.observe(kind, Value::text(path), bytes);
    true
}

/// A collaborator, a deploy key (`POST /repos/…/keys`), or a repository made public.
fn grants(path: &str, last: &str, body: &str) -> bool {
    path.contains("/collaborators/") || path.contains("repos/") && (last == "keys" || made_public(body))
}

/// `{"private": false}` or `visibility=public`, however it is quoted.
fn made_public(body: &str) -> bool {
    let plain: String = body
        .chars()
        .filter(|c| !matches!(c, '"' | '\'' | ' ' | '\\'))
        .collect::<String>()
        .to_ascii_lowercase();
    ["private:false", "private=false", "visibility:public", "visibility=public"]
        .iter()
        .any(|text| plain.contains(text))
}

/// `gh repo …`, by its words.
pub(super) fn repository_command(shell: &mut Shell<'_, '_>, call: &Call<'_>, words: &[String]) {
    let is = |at: usize, word: &str| words.get(at).is_some_and(|text| text == word);
    let public =
        call.option(&["--visibility"]).is_some_and(|value| value.template().eq_ignore_ascii_case("public"));
    if is(1, "deploy-key") && is(2, "add") || is(1, "edit") && public {
        let what = words.iter().take(3).cloned().collect::<Vec<_>>().join(" ");
        shell.observe(ObservationKind::GrantsAccess, Value::text(format!("gh {what}")), call.bytes);
    }
}

/// The runner's own `config.sh` with an address and a token: this machine becomes a runner of whoever owns the address.
pub(super) fn runner_setup(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    if matches!(call.name, "config.sh" | "config.cmd") && call.has(&["--url"]) && call.has(&["--token"]) {
        let target = call.option(&["--url"]).unwrap_or_default();
        shell.observe(ObservationKind::StartsRunner, Value::text(target.template()), call.bytes);
    }
}
