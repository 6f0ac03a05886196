//! Containers; git, forges, stores and publishing tools have files of their own.

use super::Call;
use super::dockerfile::Given;
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
        "docker" | "podman" | "skopeo" | "crane" | "oras" | "buildah" | "docker-compose" => {
            container(shell, call)
        }
        "twine" | "uv" | "flit" | "poetry" | "hatch" | "maturin" | "pdm" | "setup.py" => publish(shell, call),
        "npm" | "yarn" | "pnpm" | "cargo" | "gem" | "dotnet" | "nuget" | "mvn" | "gradle" => {
            publish_other(shell, call)
        }
        _ => return None,
    };
    Some(output)
}

fn container(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    shell.tracer.works();
    if call.name.ends_with("compose") || call.texts().first().is_some_and(|word| word == "compose") {
        super::compose::run(shell, call);
        return Value::unknown();
    }
    if matches!(call.name, "docker" | "podman") && call.texts().iter().any(|text| text == "run") {
        return super::image::run(shell, call);
    }
    let words = call.operands().iter().map(|operand| operand.value.clone()).collect::<Vec<_>>();
    let verb = words.first().map(Value::template).unwrap_or_default();
    let file = shell.file();
    let texts = call.texts();
    match call.name {
        "docker" | "podman" | "buildah"
            if texts.iter().any(|text| matches!(text.as_str(), "build" | "bud")) =>
        {
            build(shell, call);
        }
        "docker" | "podman" | "buildah" if verb == "tag" => {
            let names: Vec<String> = words.iter().skip(1).map(Value::template).collect();
            if let [from, to] = names.as_slice()
                && let Some(content) = shell.state.read(&image_path(from))
            {
                shell.state.write(&image_path(to), content, false);
            }
        }
        "docker" | "podman" | "buildah" if verb == "push" => {
            let target = words.get(1).cloned().unwrap_or_default();
            push(shell, call, &target);
        }
        "docker" | "podman" if verb == "commit" => {
            if let [from, to, ..] = words.get(1..).unwrap_or(&[])
                && let Some(content) =
                    shell.state.read(&image_path(&format!("container:{}", from.template())))
            {
                shell.state.write(&image_path(&to.template()), content, false);
            }
        }
        "docker" | "podman" if verb == "import" || verb == "load" => {}
        "oras" | "crane" | "skopeo" => {
            // `oras push HOST/NAME FILE`: files as an image.
            let target =
                words.iter().skip(1).find(|word| word.prefix().contains('/')).cloned().unwrap_or_default();
            let mut content = Value::empty();
            for operand in call.operands() {
                let path = operand.value.template();
                let path = path.split(':').next().unwrap_or("").to_owned();
                if shell.state.read(&path).is_some() {
                    content.append(shell.read_file(&Value::text(path), operand.bytes));
                }
            }
            if verb == "push" || verb == "append" {
                shell.state.write(&image_path(&target.template()), content, false);
                push(shell, call, &target);
            }
        }
        _ => {}
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
        note_login(shell, call, &registry);
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

/// The registry of images whose names have no host.
const HUB: &str = "docker.io";

/// Where it is kept that the last login to a registry was by a credential that stands in the file.
fn login_of(registry: &str) -> String {
    format!("login:{registry}")
}

/// Keeps whether a login is by a credential that stands in the file, and is so none of the repository's.
fn note_login(shell: &mut Shell<'_, '_>, call: &Call<'_>, registry: &Value) {
    let password = match call.has(&["--password-stdin"]) {
        true => Some(call.stdin.clone()),
        false => call.option(&["-p", "--password"]),
    };
    let key = login_of(&registry.template());
    match password {
        Some(password) if password.literal().is_some_and(|text| !text.trim().is_empty()) => {
            shell.state.remotes.insert(key, password);
        }
        _ => {
            shell.state.remotes.remove(&key);
        }
    }
}

/// Where what is built into an image is kept until it is pushed.
pub(super) fn image_path(name: &str) -> String {
    format!("$image:{}", name.trim_start_matches("docker://"))
}

/// `docker build --build-arg NAME=… -t IMAGE`: the image holds what it is built with.
fn build(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let mut content = Value::empty();
    let mut names = Vec::new();
    let mut given = Given::default();
    let mut pushes = false;
    let mut arguments = call.arguments.iter();
    while let Some(argument) = arguments.next() {
        let text = argument.value.template();
        let (name, joined) = match text.split_once('=').filter(|(name, _)| name.starts_with("--")) {
            Some((name, _)) => (name.to_owned(), Some(super::after(&argument.value, name.len() + 1))),
            None => (text, None),
        };
        let mut value =
            || joined.clone().or_else(|| arguments.next().map(|next| next.value.clone())).unwrap_or_default();
        match name.as_str() {
            "--build-arg" | "--label" => {
                let value = value();
                let (name, value) = match value.prefix().split_once('=') {
                    Some((name, _)) => (name.to_owned(), super::after(&value, name.len() + 1)),
                    None => (value.template(), shell.variable(&value.template())),
                };
                content.append(value.only_carried());
                given.arguments.insert(name, value);
            }
            "--secret" => given.secrets.push(value()),
            "-f" | "--file" => given.file = Some(value()),
            "-t" | "--tag" => names.push(value()),
            "--push" => pushes = true,
            _ => {}
        }
    }
    // What steps wrote into the folder that is built.
    let folder =
        call.operands().into_iter().rev().map(|operand| operand.value.template()).next().unwrap_or_default();
    if let Some(written) =
        shell.state.read(folder.trim_end_matches('/')).filter(|_| folder.starts_with(['.', '/']))
    {
        content.append(written.only_carried());
    }
    // `- <<E`: the grammar loses a dash that stands before a here-document.
    let on_input =
        !call.stdin.is_empty() || call.arguments.last().is_some_and(|last| last.value.literal() == Some("-"));
    given.folder = if on_input { "-".to_owned() } else { folder };
    super::dockerfile::run(shell, call, &given);
    for name in names {
        shell.state.write(&image_path(&name.template()), content.clone(), false);
        if pushes {
            push(shell, call, &name);
        }
    }
}

/// A pushed image gives whoever may pull it all that it was built with.
fn push(shell: &mut Shell<'_, '_>, call: &Call<'_>, name: &Value) {
    let Some(content) = shell.state.read(&image_path(&name.template())) else { return };
    let text = name.template();
    let host = text.trim_start_matches("docker://").split('/').next().unwrap_or("").to_owned();
    let is_host = text.contains('/') && (host.contains('.') || host.contains(':'));
    let registry = if is_host { host.clone() } else { HUB.to_owned() };
    if shell.state.remotes.contains_key(&login_of(&registry)) {
        let target = if is_host { text } else { format!("{HUB}/{text}") };
        let (file, begun) = (shell.file(), shell.tracer.delivered());
        let target = Value::text(format!("https://{target}"));
        shell.tracer.deliver(
            content,
            Channel::Network,
            Role::Payload,
            target,
            "docker push",
            file,
            call.bytes,
        );
        shell.tracer.opened_by_the_file(begun);
        return;
    }
    // The registries that people publish images to are where their own images go.
    if !is_host
        || host.contains("${")
        || crate::services::of_host(&host).is_some()
        || OWN.iter().any(|own| host.ends_with(own))
    {
        return;
    }
    let file = shell.file();
    let target = Value::text(format!("https://{text}"));
    shell.tracer.deliver(content, Channel::Network, Role::Payload, target, "docker push", file, call.bytes);
}

/// Registries whose addresses have their owner's account in them.
const OWN: &[&str] =
    &[".amazonaws.com", ".azurecr.io", ".pkg.dev", "gcr.io", "ghcr.io", "quay.io", "docker.io", ".jfrog.io"];
