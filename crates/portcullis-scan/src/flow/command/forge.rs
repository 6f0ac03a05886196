//! Command lines of forges: `gh`, `hub`, `glab`.

use super::Call;
use crate::flow::shell::Shell;
use crate::flow::trace::{Channel, ObservationKind, Role};
use crate::flow::value::Value;

/// Whether a repository is named as the one that the workflow is in.
fn is_own(name: &Value) -> bool {
    matches!(name.template().as_str(), "${GITHUB_REPOSITORY}" | "${github.repository}")
}

pub(super) fn forge(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let words = call.operands().iter().map(|operand| operand.value.template()).collect::<Vec<_>>();
    let word = |at: usize| words.get(at).map(String::as_str).unwrap_or("");
    let file = shell.file();
    let mut content = call.stdin.clone();
    content.append(call.joined());
    for operand in call.operands() {
        let name = operand.value.template();
        if shell.state.read(&name).is_some() {
            content.append(shell.read_file(&operand.value, operand.bytes));
        }
    }
    for option in ["-F", "--body-file", "--notes-file", "--input"] {
        if let Some(path) = call.option(&[option])
            && shell.state.read(&path.template()).is_some()
        {
            content.append(shell.read_file(&path, call.bytes));
        }
    }
    let host = Value::text("github.com");
    match (word(0), word(1)) {
        ("repo", "edit") if content.carries() => {
            // A description can be read by everybody who can read the repository.
            shell.tracer.works();
            shell.tracer.deliver(
                content,
                Channel::Repository,
                Role::Payload,
                host,
                "gh repo",
                file,
                call.bytes,
            );
        }
        ("secret" | "variable", "set") => {
            shell.tracer.works();
            let target = call.option(&["-R", "--repo", "-o", "--org"]).unwrap_or(host);
            shell.tracer.deliver_as(
                content,
                Channel::Repository,
                Role::Payload,
                target,
                "gh secret set",
                file,
                call.bytes,
                // A variable can be read; a secret can't.
                word(0) == "secret",
            );
        }
        ("gist", "create" | "edit") => {
            shell.tracer.deliver(
                content,
                Channel::Repository,
                Role::Payload,
                Value::text("gist.github.com"),
                "gh gist",
                file,
                call.bytes,
            );
        }
        ("issue" | "pr", "create" | "comment" | "edit" | "review")
        | ("release", "create" | "upload" | "edit") => {
            // Who writes something encoded there has no reader in mind but himself.
            if content.carried().all(|one| one.encodings.is_empty()) {
                shell.tracer.works();
            }
            let target = call.option(&["-R", "--repo"]).filter(|name| !is_own(name)).unwrap_or(host);
            let client = format!("gh {}", word(0));
            shell.tracer.deliver(
                content,
                Channel::Repository,
                Role::Payload,
                target,
                &client,
                file,
                call.bytes,
            );
        }
        ("workflow", _) => {
            shell.tracer.works();
            shell.tracer.deliver_as(
                content,
                Channel::Repository,
                Role::Payload,
                host,
                "gh workflow",
                file,
                call.bytes,
                true,
            );
        }
        ("repo", _) => {
            super::grant::repository_command(shell, call, &words);
            shell.tracer.works();
        }
        ("run", "delete") => {
            shell.observe(ObservationKind::CoversTracks, Value::text("gh run delete"), call.bytes)
        }
        ("api", path) => {
            let path =
                words.iter().skip(1).find(|word| word.contains('/')).map_or(path.to_owned(), Clone::clone);
            let deletes = call
                .option(&["-X", "--method"])
                .is_some_and(|method| method.template().eq_ignore_ascii_case("delete"));
            if deletes && (path.contains("/actions/runs") || path.contains("/git/refs")) {
                shell.observe(ObservationKind::CoversTracks, Value::text(path.clone()), call.bytes);
            }
            let fields = call.has(&["-f", "-F", "--field", "--raw-field", "--input"]);
            let method = call.option(&["-X", "--method"]).map_or_else(
                || if fields { "POST".to_owned() } else { "GET".to_owned() },
                |method| method.template(),
            );
            let gives_access = super::grant::api_call(shell, &method, &path, &content.template(), call.bytes);
            let consumed = path.contains("/dispatches") || path.contains("/secrets/");
            if !gives_access {
                shell.tracer.works();
            }
            let mut target = host;
            target.push_text("/");
            target.push_text(&path);
            shell.tracer.deliver_as(
                content,
                Channel::Repository,
                Role::Payload,
                target,
                "gh api",
                file,
                call.bytes,
                consumed,
            );
        }
        ("auth", "token") => {
            let token = shell.variable("GH_TOKEN");
            return if token.carries() { token } else { shell.variable("GITHUB_TOKEN") };
        }
        _ => shell.tracer.works(),
    }
    Value::unknown()
}
