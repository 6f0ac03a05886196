//! git, forges' and clouds' command lines, and the tools that publish packages.

use super::Call;
use crate::flow::shell::Shell;
use crate::flow::trace::{Channel, ObservationKind, Role};
use crate::flow::value::{Part, Source, Value};

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

fn git(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let texts = call.texts();
    let mut at = 0;
    while let Some(text) = texts.get(at) {
        match text.as_str() {
            "-c" | "-C" | "--git-dir" | "--work-tree" => at += 2,
            _ if text.starts_with('-') => at += 1,
            _ => break,
        }
    }
    let verb = texts.get(at).cloned().unwrap_or_default();
    let rest = call.arguments.get(at + 1..).unwrap_or(&[]);
    let operands: Vec<&Value> = rest
        .iter()
        .map(|argument| &argument.value)
        .filter(|value| !value.prefix().starts_with('-'))
        .collect();
    let file = shell.file();
    match verb.as_str() {
        "config" => return git_config(shell, call, &operands),
        "credential" => {
            return shell.tracer.enter(
                Source::CheckoutCredentials,
                "git's stored credentials",
                file,
                call.bytes,
            );
        }
        "remote" => {
            if let [action, name, url, ..] = operands.as_slice()
                && matches!(action.template().as_str(), "add" | "set-url")
            {
                shell.state.remotes.insert(name.template(), (*url).clone());
            }
        }
        "add" | "stage" => {
            for operand in &operands {
                if let Some(content) = shell.state.read(&operand.template()) {
                    shell.state.write("$git-index", content, true);
                }
                if operand.template().contains(".github/workflows") {
                    shell.observe(ObservationKind::WritesWorkflow, (*operand).clone(), call.bytes);
                }
            }
            let everything = operands.is_empty()
                || operands.iter().any(|operand| matches!(operand.template().as_str(), "." | "-A"))
                || call.has(&["-A", "--all"]);
            if let (true, Some(content)) = (everything, shell.state.read(".")) {
                shell.state.write("$git-index", content, true);
            }
        }
        "push" => {
            let target = operands.first().map(|target| {
                let name = target.template();
                shell.state.remotes.get(&name).cloned().unwrap_or_else(|| (*target).clone())
            });
            let target = target.unwrap_or_else(|| Value::text("origin"));
            if operands.iter().any(|operand| operand.template().starts_with(':')) || call.has(&["--delete"]) {
                shell.observe(ObservationKind::CoversTracks, Value::text("git push --delete"), call.bytes);
            }
            let content = shell.state.read("$git-index").unwrap_or_default();
            shell.tracer.deliver(
                content,
                Channel::Repository,
                Role::Payload,
                target.clone(),
                "git push",
                file,
                call.bytes,
            );
            shell.tracer.deliver(
                target.clone(),
                Channel::Network,
                Role::Authentication,
                target,
                "git push",
                file,
                call.bytes,
            );
        }
        "commit" => {
            if let Some(message) = call.option(&["-m", "--message"]) {
                shell.state.write("$git-index", message.only_carried(), true);
            }
        }
        "clone" | "fetch" | "pull" | "ls-remote" | "submodule" => {
            shell.tracer.works();
            for operand in &operands {
                shell.tracer.deliver(
                    (*operand).clone(),
                    Channel::Network,
                    Role::Authentication,
                    (*operand).clone(),
                    "git",
                    file,
                    call.bytes,
                );
            }
            if verb == "submodule" || verb == "fetch" || verb == "pull" {
                return Value::unknown();
            }
        }
        "checkout" | "switch" | "reset" | "log" | "status" | "branch" | "rm" | "init" | "rev-parse"
        | "diff" | "tag" => {}
        _ => shell.tracer.works(),
    }
    Value::unknown()
}

fn git_config(shell: &mut Shell<'_, '_>, call: &Call<'_>, operands: &[&Value]) -> Value {
    let file = shell.file();
    let words = operands.iter().map(|operand| operand.template()).collect::<Vec<_>>();
    let reads = call.has(&["--list", "--get-regexp", "--get", "--get-all", "--get-urlmatch"])
        || call.texts().iter().any(|text| text == "-l")
        || words.len() == 1;
    if reads {
        let asks = call.has(&["--list", "-l"])
            || words.iter().any(|word| {
                let word = word.to_ascii_lowercase();
                word.contains("extraheader") || word.contains("credential") || word == "http" || word == "."
            });
        if asks {
            return shell.tracer.enter(
                Source::CheckoutCredentials,
                "what the checkout left in git's configuration",
                file,
                call.bytes,
            );
        }
        return Value::unknown();
    }
    // `url.HOST.insteadOf https://github.com/`: every later fetch goes, with its credentials, to HOST.
    if let [key, value, ..] = operands {
        let text = key.template();
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("url.") && (lower.ends_with(".insteadof") || lower.ends_with(".pushinsteadof")) {
            let mut url = super::after(key, 4);
            if let Some(Part::Text(last)) = url.parts.last_mut()
                && let Some(end) = last
                    .to_ascii_lowercase()
                    .rfind(".insteadof")
                    .or_else(|| last.to_ascii_lowercase().rfind(".pushinsteadof"))
            {
                last.truncate(end);
            }
            shell.tracer.deliver(
                url.clone(),
                Channel::Network,
                Role::Authentication,
                url,
                "git",
                file,
                call.bytes,
            );
        } else if lower.ends_with(".extraheader") && value.carries() {
            let url =
                text.split_once('.').map_or("", |(_, rest)| rest).trim_end_matches(".extraheader").to_owned();
            shell.tracer.deliver(
                (*value).clone(),
                Channel::Network,
                Role::Authentication,
                Value::text(url),
                "git",
                file,
                call.bytes,
            );
        }
    }
    Value::empty()
}

fn forge(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
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
                true,
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
            shell.tracer.works();
            let target = call.option(&["-R", "--repo"]).unwrap_or(host);
            let client = format!("gh {}", word(0));
            shell.tracer.deliver(
                content.only_body(),
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
            super::grant::api_call(shell, &method, &path, &content.template(), call.bytes);
            let consumed = path.contains("/dispatches") || path.contains("/secrets/");
            shell.tracer.works();
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

impl Value {
    /// A command line's text with its secrets; options that only name things are still in it, which does no harm.
    fn only_body(self) -> Value {
        self
    }
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

/// Tools that publish Python packages, with the variables and options by which they get their credential.
fn publish(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    shell.tracer.works();
    let words = call.operands().iter().map(|operand| operand.value.template()).collect::<Vec<_>>();
    let verb = words.first().map(String::as_str).unwrap_or("");
    if call.name == "poetry" && verb == "config" {
        // `poetry config pypi-token.pypi TOKEN`
        let key = words.get(1).cloned().unwrap_or_default();
        if key.starts_with("pypi-token.") || key.starts_with("http-basic.") {
            shell.variables.insert(format!("POETRY:{key}"), call.joined().only_carried());
        }
        return Value::empty();
    }
    let publishes = matches!((call.name, verb), ("twine", "upload") | ("maturin", "publish" | "upload"))
        || matches!(call.name, "uv" | "flit" | "poetry" | "hatch" | "pdm") && verb == "publish";
    if !publishes {
        return Value::unknown();
    }
    let variables: &[&str] = match call.name {
        "twine" => &["TWINE_PASSWORD"],
        "uv" => &["UV_PUBLISH_TOKEN", "UV_PUBLISH_PASSWORD"],
        "flit" => &["FLIT_PASSWORD"],
        "poetry" => &[
            "POETRY_PYPI_TOKEN_PYPI",
            "POETRY_HTTP_BASIC_PYPI_PASSWORD",
            "POETRY:pypi-token.pypi",
            "POETRY:http-basic.pypi",
        ],
        "hatch" => &["HATCH_INDEX_AUTH"],
        "pdm" => &["PDM_PUBLISH_PASSWORD"],
        _ => &["MATURIN_PYPI_TOKEN", "MATURIN_PASSWORD"],
    };
    let mut credential = Value::empty();
    for name in variables {
        if let Some(value) = shell.variables.get(*name) {
            credential.append(value.only_carried());
        }
    }
    for option in ["-p", "--password", "-t", "--token", "-a", "--auth"] {
        if let Some(value) = call.option(&[option]) {
            credential.append(value.only_carried());
        }
    }
    for path in ["~/.pypirc", ".pypirc"] {
        if let Some(content) = shell.state.read(path) {
            credential.append(content.only_carried());
        }
    }
    let repository = call
        .option(&[
            "--repository-url",
            "--publish-url",
            "--index-url",
            "--repository",
            "-r",
            "--repo",
            "--index",
        ])
        .or_else(|| shell.variables.get("TWINE_REPOSITORY_URL").cloned())
        .or_else(|| shell.variables.get("UV_PUBLISH_URL").cloned())
        .or_else(|| shell.variables.get("HATCH_INDEX_REPO").cloned())
        .or_else(|| shell.variables.get("MATURIN_REPOSITORY_URL").cloned())
        .or_else(|| shell.variables.get("FLIT_INDEX_URL").cloned());
    let file = shell.file();
    let directory = shell.variables.get("PORTCULLIS_DIRECTORY").map(Value::template);
    shell.tracer.publish_to("pypi", repository, &credential, directory, call.name, file, call.bytes);
    Value::unknown()
}

fn publish_other(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    shell.tracer.works();
    let words = call.operands().iter().map(|operand| operand.value.template()).collect::<Vec<_>>();
    let word = |at: usize| words.get(at).map(String::as_str).unwrap_or("");
    let (registry, variables): (&str, &[&str]) = match (call.name, word(0), word(1)) {
        ("npm" | "yarn" | "pnpm", "publish", _) | ("yarn", "npm", "publish") => {
            ("npm", &["NODE_AUTH_TOKEN", "NPM_TOKEN", "YARN_NPM_AUTH_TOKEN", "NPM_CONFIG_TOKEN"])
        }
        ("cargo", "publish", _) => ("crates.io", &["CARGO_REGISTRY_TOKEN"]),
        ("gem", "push", _) => ("rubygems", &["GEM_HOST_API_KEY", "RUBYGEMS_API_KEY"]),
        ("dotnet", "nuget", "push") | ("nuget", "push", _) => {
            ("nuget", &["NUGET_API_KEY", "NUGET_AUTH_TOKEN"])
        }
        ("mvn", "deploy", _) | ("gradle", "publish", _) => {
            ("maven", &["MAVEN_PASSWORD", "ORG_GRADLE_PROJECT_mavenCentralPassword", "OSSRH_PASSWORD"])
        }
        _ => return Value::unknown(),
    };
    let mut credential = call.joined().only_carried();
    for name in variables {
        if let Some(value) = shell.variables.get(*name) {
            credential.append(value.only_carried());
        }
    }
    for path in ["~/.npmrc", ".npmrc"] {
        if let (true, Some(content)) = (registry == "npm", shell.state.read(path)) {
            credential.append(content.only_carried());
        }
    }
    let repository =
        call.option(&["--registry", "--source", "-s", "--host"]).filter(|value| value.literal().is_some());
    let file = shell.file();
    let directory = shell.variables.get("PORTCULLIS_DIRECTORY").map(Value::template);
    shell.tracer.publish_to(registry, repository, &credential, directory, call.name, file, call.bytes);
    Value::unknown()
}
