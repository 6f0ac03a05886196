//! Object stores and containers; git, forges and publishing tools have files of their own.

use super::Call;
use super::forge::forge;
use super::git::git;
use super::publish::{publish, publish_other};
use crate::flow::shell::Shell;
use crate::flow::trace::{Channel, Role};
use crate::flow::value::{Part, Value};

/// Runs one of these tools; `None` if it is none of them.
pub(super) fn run(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Option<Value> {
    let output = match call.name {
        "git" => git(shell, call),
        "gh" | "hub" | "glab" => forge(shell, call),
        "docker" | "podman" | "skopeo" | "crane" | "oras" => container(shell, call),
        "aws" | "gsutil" | "rclone" => object_store(shell, call),
        "twine" | "uv" | "flit" | "poetry" | "hatch" | "maturin" | "pdm" | "setup.py" => publish(shell, call),
        "npm" | "yarn" | "pnpm" | "cargo" | "gem" | "dotnet" | "nuget" | "mvn" | "gradle" => {
            publish_other(shell, call)
        }
        _ => return None,
    };
    Some(output)
}

/// Copies to an object store: `aws s3 cp FILE s3://BUCKET/…`.
fn object_store(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    shell.tracer.works();
    let operands = call.operands();
    let is_remote = |text: &str| text.starts_with("s3://") || text.starts_with("gs://");
    let Some(target) = operands.iter().find(|operand| is_remote(operand.value.prefix())) else {
        return Value::unknown();
    };
    let mut content = Value::empty();
    for operand in &operands {
        let name = operand.value.template();
        if name == "-" {
            content.append(call.stdin.clone());
        } else if !is_remote(&name) && shell.state.read(&name).is_some() {
            content.append(shell.read_file(&operand.value, operand.bytes));
        }
    }
    let bucket = target.value.template();
    let (scheme, rest) = bucket.split_once("://").unwrap_or(("s3", ""));
    let name = rest.split('/').next().unwrap_or("");
    let host = if scheme == "gs" {
        format!("{name}.storage.googleapis.com")
    } else {
        format!("{name}.s3.amazonaws.com")
    };
    // A bucket that is a variable is the owner's own setting.
    let address =
        if name.contains("${") { target.value.clone() } else { Value::text(format!("https://{host}/")) };
    let file = shell.file();
    shell.tracer.deliver(content, Channel::Network, Role::Payload, address, call.name, file, call.bytes);
    Value::unknown()
}

fn container(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    shell.tracer.works();
    if matches!(call.name, "docker" | "podman") && call.texts().iter().any(|text| text == "run") {
        return super::image::run(shell, call);
    }
    let words = call.operands().iter().map(|operand| operand.value.clone()).collect::<Vec<_>>();
    let verb = words.first().map(Value::template).unwrap_or_default();
    let file = shell.file();
    if verb == "run" {
        let mut handed = Value::empty();
        let mut at = 0;
        let mut image = None;
        let takes = [
            "-v",
            "--volume",
            "--name",
            "-w",
            "--workdir",
            "-p",
            "--network",
            "-u",
            "--user",
            "--entrypoint",
            "-e",
            "--env",
            "--env-file",
            "--mount",
            "--platform",
            "-l",
            "--label",
        ];
        // The operands after `run`: options with their values, then the image.
        let rest = call
            .arguments
            .iter()
            .skip_while(|argument| argument.value.literal() != Some("run"))
            .skip(1)
            .collect::<Vec<_>>();
        while let Some(argument) = rest.get(at) {
            let text = argument.value.template();
            if !text.starts_with('-') {
                image = Some(argument.value.clone());
                break;
            }
            let value = if takes.contains(&text.as_str()) {
                rest.get(at + 1).map(|next| next.value.clone())
            } else {
                None
            };
            at += if value.is_some() { 2 } else { 1 };
            match (text.as_str(), value) {
                ("-e" | "--env", Some(value)) => match value.literal().filter(|name| !name.contains('=')) {
                    Some(name) => handed.append(shell.variable(name).only_carried()),
                    None => handed.append(value.only_carried()),
                },
                ("--env-file", Some(path)) => {
                    handed.append(shell.read_file(&path, call.bytes).only_carried())
                }
                _ => {}
            }
        }
        if let Some(image) = image {
            shell.tracer.deliver(
                handed,
                Channel::Image,
                Role::Payload,
                image,
                "docker run",
                file,
                call.bytes,
            );
        }
    }
    if verb == "login" {
        let mut content = call.joined();
        if call.has(&["--password-stdin"]) {
            content.append(call.stdin.clone());
        }
        // The registry is the last operand that looks like a host; the default is Docker Hub.
        let registry = words.iter().skip(1).rev().find(|word| {
            let text = word.template();
            text.contains('.') && !text.contains(char::is_whitespace) && !word.carries()
                || matches!(word.parts.first(), Some(Part::Configured(_)))
        });
        let registry = registry.cloned().unwrap_or_else(|| Value::text("docker.io"));
        shell.tracer.deliver(
            content.only_carried(),
            Channel::Registry,
            Role::Authentication,
            registry,
            "docker login",
            file,
            call.bytes,
        );
    }
    Value::unknown()
}
