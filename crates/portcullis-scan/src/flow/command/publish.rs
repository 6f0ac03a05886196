//! Tools that publish packages, and where each gets its credential.

use super::Call;
use crate::flow::shell::Shell;
use crate::flow::trace::{Channel, Role};
use crate::flow::value::Value;

/// Tools that publish Python packages, with the variables and options by which they get their credential.
pub(super) fn publish(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
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
        || matches!(call.name, "uv" | "flit" | "poetry" | "hatch" | "pdm") && verb == "publish"
        || call.name == "setup.py" && words.iter().any(|word| word == "upload");
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
    // `-r NAME`: a section of the settings file.
    let repository = repository.map(|value| {
        let name = value.template();
        let settings = shell.state.read("~/.pypirc").or_else(|| shell.state.read(".pypirc"));
        let text = settings
            .map(|settings| settings.template())
            .filter(|_| !name.contains("://"))
            .unwrap_or_default();
        let section = text
            .split_once(&format!("[{name}]"))
            .map(|(_, rest)| rest.split("\n[").next().unwrap_or("").to_owned());
        let line =
            section.as_deref().unwrap_or("").lines().find(|line| line.trim_start().starts_with("repository"));
        let address =
            line.and_then(|line| line.split_once(['=', ':'])).map(|(_, address)| address.trim().to_owned());
        address.map_or(value, Value::text)
    });
    let directory = shell.variables.get("PORTCULLIS_DIRECTORY").map(Value::template);
    shell.tracer.publish_to("pypi", repository, &credential, directory, call.name, file, call.bytes);
    Value::unknown()
}

pub(super) fn publish_other(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
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
    let repository = call
        .option(&["--registry", "--source", "-s", "--host", "--index"])
        .filter(|value| value.literal().is_some());
    let file = shell.file();
    if let Some(address) = &repository
        && address.template().contains("://")
        && crate::destination::of_address(address).service.is_none()
    {
        // What was written into the package goes there too.
        let content = shell.state.read(".").unwrap_or_default().only_carried();
        let target = address.clone();
        shell.tracer.deliver(content, Channel::Network, Role::Payload, target, call.name, file, call.bytes);
    }
    let directory = shell.variables.get("PORTCULLIS_DIRECTORY").map(Value::template);
    shell.tracer.publish_to(registry, repository, &credential, directory, call.name, file, call.bytes);
    Value::unknown()
}
