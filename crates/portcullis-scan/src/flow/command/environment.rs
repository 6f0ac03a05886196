//! Programs that run another one in an environment of packages: `uv run twine upload`, `pipx run twine upload`.

use crate::flow::shell::Argument;

/// Options that have a value.
const TAKES_VALUE: &[&str] = &[
    "--with",
    "--from",
    "--python",
    "-p",
    "--spec",
    "-e",
    "--env",
    "-n",
    "--extra",
    "--group",
    "--project",
    "--directory",
];

/// The command that is run, if this runs one.
pub(super) fn command(name: &str, arguments: &[Argument]) -> Option<Vec<Argument>> {
    let word = |at: usize| arguments.get(at).and_then(|argument| argument.value.literal()).unwrap_or("");
    let mut at = match (name, word(0), word(1)) {
        (
            "uv" | "pipx" | "poetry" | "pdm" | "hatch" | "rye" | "pipenv" | "pixi" | "conda" | "micromamba",
            "run",
            _,
        ) => 1,
        ("uv", "tool", "run") => 2,
        ("uvx", ..) => 0,
        ("bundle" | "mise" | "rtx" | "rbenv" | "pyenv" | "nodenv" | "asdf" | "opam" | "rvm", "exec", _) => 1,
        ("npm" | "pnpm" | "yarn", "exec", next) if !matches!(next, "-c" | "--call") => 1,
        _ => return None,
    };
    while word(at).starts_with('-') {
        let takes = TAKES_VALUE.contains(&word(at));
        at += if takes { 2 } else { 1 };
    }
    if word(0) == "exec"
        && let Some(end) = arguments.iter().position(|argument| argument.value.literal() == Some("--"))
    {
        // `mise exec python@3 -- make`.
        at = end + 1;
    }
    let rest = arguments.get(at..)?;
    (!rest.is_empty()).then(|| rest.to_vec())
}
