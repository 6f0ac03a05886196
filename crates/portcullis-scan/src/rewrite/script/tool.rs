//! Commands that upload Python packages: what they send where, and what is left of those that also build.

/// What an upload sends, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::rewrite) struct Sending {
    /// `pypi` or `testpypi`, where the command says so.
    pub(in crate::rewrite) registry: Option<&'static str>,
    /// Patterns of the files; none where the tool sends its own `dist`.
    pub(in crate::rewrite) patterns: Vec<String>,
    /// Whether files that are there already are no error.
    pub(in crate::rewrite) skip_existing: bool,
    pub(in crate::rewrite) verbose: bool,
    /// Whether the script goes on when it fails.
    pub(in crate::rewrite) may_fail: bool,
    /// The output by which the script tells that it would upload, where that hangs on a condition of the script.
    pub(in crate::rewrite) output: Option<String>,
}

/// What a command has to do with an upload.
pub(super) enum Role {
    /// It does nothing else.
    Uploads(Sending),
    /// It stores the upload's credential.
    Credential,
    /// It also builds: the words after the tool that are left.
    Builds(Sending, Vec<String>),
}

struct Tool {
    /// Options with a value.
    takes_value: &'static [&'static str],
    /// Options that name the index.
    index: &'static [&'static str],
    /// Options that name the folder of the files.
    folder: &'static [&'static str],
}

const TWINE: Tool = Tool {
    takes_value: &[
        "-r",
        "--repository",
        "--repository-url",
        "-i",
        "--identity",
        "--sign-with",
        "-u",
        "--username",
        "-p",
        "--password",
        "-c",
        "--comment",
        "--config-file",
        "--cert",
        "--client-cert",
    ],
    index: &["-r", "--repository", "--repository-url"],
    folder: &[],
};
const UV: Tool = Tool {
    takes_value: &[
        "-t",
        "--token",
        "-u",
        "--username",
        "-p",
        "--password",
        "--index",
        "--publish-url",
        "--check-url",
        "--trusted-publishing",
        "--keyring-provider",
        "--directory",
        "--project",
        "--config-file",
        "--color",
    ],
    index: &["--index", "--publish-url"],
    folder: &[],
};
const MATURIN: Tool = Tool {
    takes_value: &["-u", "--username", "-p", "--password", "-r", "--repository", "--repository-url"],
    index: &["-r", "--repository", "--repository-url"],
    folder: &[],
};
const OTHERS: Tool = Tool {
    takes_value: &[
        "-u",
        "--user",
        "--username",
        "-a",
        "--auth",
        "-p",
        "--password",
        "-r",
        "--repo",
        "--repository",
        "--repository-url",
        "--index-url",
        "--cert",
        "--client-cert",
        "--pypirc",
        "-c",
        "--comment",
        "-i",
        "--identity",
        "--ca-cert",
        "--ca-certs",
        "--client-key",
        "-d",
        "--dest",
        "--dist-dir",
    ],
    index: &["-r", "--repo", "--repository", "--repository-url", "--index-url"],
    folder: &["-d", "--dest", "--dist-dir"],
};
/// Options without a value that are about the upload and not about the build.
const DROPS: &[&str] = &[
    "--skip-existing",
    "--no-sdist",
    "--release",
    "--non-interactive",
    "--build",
    "--dry-run",
    "--sign",
    "-S",
    "--no-interaction",
    "-n",
];

/// Reads a command without what starts it (`python -m`, `uv run`).
pub(super) fn role(words: &[&str]) -> Option<Role> {
    Some(match words {
        ["twine", "upload", rest @ ..] => uploads(&TWINE, rest)?,
        ["uv", "publish", rest @ ..] => uploads(&UV, rest)?,
        ["hatch" | "rye", "publish", rest @ ..] | ["maturin", "upload", rest @ ..] => uploads(&OTHERS, rest)?,
        ["poetry", "config", rest @ ..] if rest.iter().any(|key| is_stored_credential(key)) => {
            Role::Credential
        }
        ["hatch", "config", "set", key, ..] if key.starts_with("publish.") => Role::Credential,
        ["poetry", "publish", rest @ ..] if rest.contains(&"--build") => builds(&OTHERS, rest, &["build"])?,
        ["poetry", "publish", rest @ ..] => uploads(&OTHERS, rest)?,
        ["pdm", "publish", rest @ ..] if rest.contains(&"--no-build") => uploads(&OTHERS, rest)?,
        ["pdm", "publish", rest @ ..] | ["flit", "publish", rest @ ..] => builds(&OTHERS, rest, &["build"])?,
        ["maturin", "publish", rest @ ..] => {
            builds(&MATURIN, rest, &["build", "--release", "--out", "dist"])?
        }
        [python, script, rest @ ..] if is_python(python) && is_setup(script) => setup(rest)?,
        [script, rest @ ..] if is_setup(script) => setup(rest)?,
        _ => return None,
    })
}

fn is_stored_credential(key: &str) -> bool {
    key.starts_with("pypi-token.")
        || key.starts_with("http-basic.")
        || key.starts_with("repositories.testpypi")
}

pub(super) fn is_python(word: &str) -> bool {
    word == "py" || word.rsplit('/').next().is_some_and(|name| name.starts_with("python"))
}

fn is_setup(word: &str) -> bool {
    word.trim_start_matches("./") == "setup.py"
}

fn uploads(tool: &Tool, words: &[&str]) -> Option<Role> {
    let mut sending = sending(tool, words)?;
    // A folder that is named is where the files are.
    if let Some(folder) = value_of(tool.folder, words) {
        sending.patterns = vec![format!("{}/*", folder.trim_end_matches('/'))];
    }
    Some(Role::Uploads(sending))
}

fn builds(tool: &Tool, words: &[&str], command: &[&str]) -> Option<Role> {
    let mut sending = sending(tool, words)?;
    let mut left: Vec<&str> = command.to_vec();
    let mut skip = false;
    for word in words {
        if std::mem::take(&mut skip) {
            continue;
        }
        let name = word.split('=').next().unwrap_or(word);
        if tool.takes_value.contains(&name) && !tool.folder.contains(&name) {
            skip = !word.contains('=');
        } else if !DROPS.contains(&name) {
            left.push(word);
        }
    }
    let outs: &[&str] = &["--out", "-o", "--output", "--dest", "-d", "--dist-dir"];
    let given = value_of(outs, words);
    if given.is_some() && command.contains(&"--out") {
        let at = left.iter().position(|word| *word == "--out")?;
        left.drain(at..at + 2);
    }
    sending.patterns =
        given.map(|folder| vec![format!("{}/*", folder.trim_end_matches('/'))]).unwrap_or_default();
    Some(Role::Builds(sending, left.into_iter().map(str::to_owned).collect()))
}

/// `python setup.py sdist bdist_wheel upload -r pypi`.
fn setup(words: &[&str]) -> Option<Role> {
    let at = words.iter().position(|word| *word == "upload")?;
    let (before, after) = (words.get(..at)?, words.get(at + 1..)?);
    let options: &[&str] = &["-r", "--repository", "-i", "--identity"];
    let flags: &[&str] = &["--show-response", "--sign", "-s"];
    let mut left: Vec<&str> = before.to_vec();
    let mut skip = false;
    for word in after {
        if std::mem::take(&mut skip) {
            continue;
        }
        let name = word.split('=').next().unwrap_or(word);
        if options.contains(&name) {
            skip = !word.contains('=');
        } else if !flags.contains(&name) {
            left.push(word);
        }
    }
    let registry = registry(value_of(&["-r", "--repository"], after))?;
    let sending = Sending { registry, ..Sending::default() };
    let kept = left.iter().any(|word| !word.starts_with('-') && *word != "register");
    left.retain(|word| *word != "register");
    Some(if kept {
        Role::Builds(sending, left.into_iter().map(str::to_owned).collect())
    } else {
        Role::Uploads(sending)
    })
}

/// `None` where another index is named: that upload is none of ours.
fn sending(tool: &Tool, words: &[&str]) -> Option<Sending> {
    let registry = registry(value_of(tool.index, words))?;
    let mut sending = Sending {
        registry,
        skip_existing: words.contains(&"--skip-existing"),
        verbose: words.iter().any(|word| matches!(*word, "--verbose" | "-v" | "-vv" | "-vvv")),
        ..Sending::default()
    };
    let mut skip = false;
    for word in words {
        if std::mem::take(&mut skip) {
            continue;
        }
        if word.starts_with('-') && !word.contains("${{") {
            skip = tool.takes_value.contains(word);
        } else {
            sending.patterns.push((*word).to_owned());
        }
    }
    Some(sending)
}

/// The index that an option's value means; `None` for one that is neither of the two.
#[expect(clippy::option_option, reason = "nothing said, and something else said, are two answers")]
fn registry(value: Option<&str>) -> Option<Option<&'static str>> {
    let Some(value) = value else { return Some(None) };
    let host = value.split_once("://").map(|(_, rest)| rest.split(['/', ':', '?']).next().unwrap_or(rest));
    match (host, value) {
        (Some("test.pypi.org"), _) | (None, "test" | "testpypi" | "test-pypi" | "pypitest" | "test_pypi") => {
            Some(Some("testpypi"))
        }
        (Some("upload.pypi.org" | "pypi.org" | "pypi.python.org"), _) | (None, "pypi" | "main") => {
            Some(Some("pypi"))
        }
        // A variable or an expression: the trace has read it.
        (None, value) if value.contains('$') => Some(None),
        _ => None,
    }
}

fn value_of<'w>(options: &[&str], words: &[&'w str]) -> Option<&'w str> {
    words.iter().enumerate().find_map(|(at, word)| match word.split_once('=') {
        Some((name, value)) if options.contains(&name) => Some(value),
        _ if options.contains(word) => words.get(at + 1).copied(),
        _ => None,
    })
}

/// The files that `maturin upload` is told of by its action.
pub(in crate::rewrite) fn of_maturin_upload(words: &[&str]) -> Option<Sending> {
    match uploads(&OTHERS, words)? {
        Role::Uploads(sending) => Some(sending),
        _ => None,
    }
}

/// What `maturin publish` sends, and the words after `build` that its action is told instead.
pub(in crate::rewrite) fn of_maturin_publish(words: &[&str]) -> Option<(Sending, Vec<String>)> {
    match builds(&MATURIN, words, &["--release", "--out", "dist"])? {
        Role::Builds(sending, left) => Some((sending, left)),
        _ => None,
    }
}

/// How many words stand before the tool itself: `python -m`, `uv run`, `sudo`.
pub(super) fn launcher(words: &[&str]) -> usize {
    let mut at = 0;
    loop {
        let rest = words.get(at..).unwrap_or_default();
        let (first, second) = (rest.first().copied().unwrap_or(""), rest.get(1).copied().unwrap_or(""));
        at += match (first, second) {
            (_, "-m") if is_python(first) => 2,
            ("uv" | "poetry" | "pipx" | "hatch" | "pdm" | "rye" | "pipenv" | "pixi", "run") => 2,
            ("uv", "tool") if rest.get(2) == Some(&"run") => 3,
            ("uvx" | "sudo" | "time" | "exec" | "command" | "env", _) => 1,
            _ => return at,
        };
        // Options of the launcher: `uv run --no-project twine`; `--with NAME` has a value.
        while let Some(word) = words.get(at).filter(|word| word.starts_with('-') && !word.contains(' ')) {
            at += if matches!(*word, "--with" | "--from" | "--python" | "-p" | "--spec" | "-e") {
                2
            } else {
                1
            };
        }
        if at >= words.len() {
            return words.len();
        }
    }
}

/// Commands that make an upload ready and build nothing.
pub(super) fn prepares(words: &[&str]) -> bool {
    match words {
        ["set" | "cd" | "shopt" | "echo" | "true" | ":", ..] => true,
        _ => {
            let installs = words.iter().position(|word| *word == "install");
            let installer = words.iter().any(|word| matches!(*word, "pip" | "pip3" | "pipx" | "uv"));
            let only = |at: usize| {
                words.get(at + 1..).unwrap_or_default().iter().filter(|word| !word.starts_with('-')).all(
                    |word| {
                        let name = word.split(['=', '<', '>', '~', '!', '[']).next().unwrap_or(word);
                        matches!(name, "twine" | "pip" | "keyring")
                    },
                )
            };
            installer && installs.is_some_and(only)
        }
    }
}
