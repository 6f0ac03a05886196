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
    // The name is only half of a login, and the registry's own gets it every day; another's gets both halves.
    if repository.as_ref().is_some_and(|address| address.prefix().contains("://")) {
        credential.append(user_name(shell, call));
    }
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
    if repository.is_none() {
        packed(shell, call, "pypi");
    }
    shell.tracer.publish_to("pypi", repository, &credential, directory, call.name, file, call.bytes);
    Value::unknown()
}

/// The name by which a tool for Python packages logs in.
fn user_name(shell: &Shell<'_, '_>, call: &Call<'_>) -> Value {
    const VARIABLES: &[(&str, &str)] = &[
        ("twine", "TWINE_USERNAME"),
        ("uv", "UV_PUBLISH_USERNAME"),
        ("flit", "FLIT_USERNAME"),
        ("hatch", "HATCH_INDEX_USER"),
        ("pdm", "PDM_PUBLISH_USERNAME"),
        ("maturin", "MATURIN_USERNAME"),
    ];
    let given = call.option(&["-u", "--username", "--user"]);
    let variable = VARIABLES.iter().find(|(tool, _)| *tool == call.name);
    let set = || variable.and_then(|(_, name)| shell.variables.get(*name).cloned());
    given.or_else(set).unwrap_or_default().only_carried()
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
    if registry == "npm" {
        super::project::package(shell, call);
    }
    let mut credential = call.joined().only_carried();
    for name in variables {
        if let Some(value) = shell.variables.get(*name) {
            credential.append(value.only_carried());
        }
    }
    let repository = call
        .option(&["--registry", "--source", "-s", "--host", "--index"])
        .filter(|value| value.literal().is_some());
    for path in ["~/.npmrc", ".npmrc"] {
        if let (true, Some(content)) = (registry == "npm", shell.state.read(path)) {
            for line in crate::flow::lines(&content).iter().filter(|line| is_sent(line, repository.as_ref()))
            {
                credential.append(line.only_carried());
            }
        }
    }
    let file = shell.file();
    if let Some(address) = &repository
        && address.template().contains("://")
        && crate::destination::of_address(address).service.is_none()
    {
        // What was written into the package goes there too.
        let content = shell.state.read_but(".", NEVER_PACKED).unwrap_or_default().only_carried();
        let target = address.clone();
        shell.tracer.deliver(content, Channel::Network, Role::Payload, target, call.name, file, call.bytes);
    }
    let directory = shell.variables.get("PORTCULLIS_DIRECTORY").map(Value::template);
    if repository.is_none() {
        packed(shell, call, registry);
    }
    shell.tracer.publish_to(registry, repository, &credential, directory, call.name, file, call.bytes);
    Value::unknown()
}

/// Secrets that steps wrote into the files of a package: whoever installs it has them.
fn packed(shell: &mut Shell<'_, '_>, call: &Call<'_>, registry: &str) {
    // Settings lie beside the sources and stay at home: `.npmrc`, `.env`, keys for signing.
    const SOURCES: &[&str] = &["js", "mjs", "cjs", "ts", "md", "txt", "py", "rb", "rs", "html", "css", "map"];
    let is_packed = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        let ends =
            name.rsplit_once('.').is_some_and(|(stem, end)| !stem.is_empty() && SOURCES.contains(&end));
        !path.starts_with(['/', '~', '$'])
            && (ends
                || name == "package.json"
                || ["dist/", "lib/", "src/"].iter().any(|dir| path.starts_with(dir)))
            && !name.starts_with('.')
    };
    let host = match registry {
        "npm" => "registry.npmjs.org",
        "pypi" => "upload.pypi.org",
        "rubygems" => "rubygems.org",
        "crates.io" => "crates.io",
        _ => return,
    };
    let mut content = Value::empty();
    for (path, written) in shell.state.left() {
        if is_packed(&path) {
            content.append(written.only_carried());
        }
    }
    let (file, target) = (shell.file(), Value::text(format!("https://{host}/")));
    shell.tracer.deliver(content, Channel::Repository, Role::Payload, target, call.name, file, call.bytes);
}

/// What no package holds, whatever its list of files says (npm, "package.json", on `files`).
const NEVER_PACKED: &[&str] = &[".npmrc", ".git/", "node_modules/"];

/// Whether npm sends the credential of a line of its settings to a registry: `//HOST/:_authToken=` is for that host alone (npm,
/// ".npmrc", on the scope of credentials). What names no host, or one that only the run knows, is sent.
fn is_sent(line: &Value, registry: Option<&Value>) -> bool {
    let text = line.prefix().trim_start();
    let Some((host, _)) = text.strip_prefix("//").and_then(|rest| rest.split_once('/')) else { return true };
    let asked = registry.and_then(|address| crate::destination::of_address(address).host);
    let own = |name: &str| name.split(':').next().unwrap_or("").to_ascii_lowercase();
    asked.is_none_or(|asked| host.contains('$') || own(host) == asked)
}

/// The address that an installer is told to ask, with the login in it: `pip install --index-url https://user:TOKEN@host/`.
pub(super) fn ask_index(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let told = call.option(&[
        "--index-url",
        "-i",
        "--extra-index-url",
        "--index",
        "--default-index",
        "--find-links",
    ]);
    let variables =
        ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL"];
    let set = variables.iter().find_map(|name| shell.variables.get(*name).cloned());
    let Some(address) = told.or(set).filter(|address| address.carries() && address.prefix().contains("://"))
    else {
        return;
    };
    let file = shell.file();
    let login = address.clone();
    shell.tracer.deliver(login, Channel::Network, Role::Authentication, address, call.name, file, call.bytes);
}

/// `npm config set //HOST/:_authToken TOKEN`, and the lines of `.npmrc` that say the same: every request to the host
/// carries it.
pub(super) fn ask_registry(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let words: Vec<Value> = call.operands().into_iter().map(|operand| operand.value.clone()).collect();
    if let [verb, action, key, value] = words.as_slice()
        && verb.literal() == Some("config")
        && action.literal() == Some("set")
    {
        let mut line = key.clone();
        line.push_text("=");
        line.append(value.clone());
        line.push_text("\n");
        shell.state.write("~/.npmrc", line, true);
        return;
    }
    let asks =
        ["install", "i", "ci", "publish", "whoami", "ping", "view", "pack", "add", "update", "test", "run"];
    if !words.first().is_some_and(|verb| verb.literal().is_some_and(|verb| asks.contains(&verb))) {
        return;
    }
    for path in ["~/.npmrc", ".npmrc"] {
        let Some(settings) = shell.state.read(path) else { continue };
        for line in crate::flow::lines(&settings) {
            let text = line.prefix().trim_start().to_owned();
            let Some((host, key)) = text.strip_prefix("//").and_then(|rest| rest.split_once('/')) else {
                continue;
            };
            if line.carries() && (key.contains("_auth") || key.contains("_password")) {
                let file = shell.file();
                let target = Value::text(format!("https://{host}/"));
                // A registry of the owner's own looks like any other host; one that is made to be taken for a known one,
                // or that has no name, is nobody's.
                if crate::destination::of_address(&target).class == crate::report::Class::Unknown {
                    continue;
                }
                let login = line.only_carried();
                shell.tracer.deliver(
                    login,
                    Channel::Registry,
                    Role::Authentication,
                    target,
                    call.name,
                    file,
                    call.bytes,
                );
            }
        }
    }
}
