//! Programs that scripts run, and the steps that do nothing but install some: those can be repeated in another job.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::carry::has_word;
use super::place::{Place, uses};
use super::script::without_expressions;
use crate::flow::shell::parse_tree;
use crate::workflow::Step;
use crate::yaml::Node;

/// Most nodes of a script that are looked at.
const NODES_MAX: usize = 20_000;

/// On every hosted runner.
const THERE: &[&str] = &[
    "git",
    "gh",
    "curl",
    "wget",
    "echo",
    "printf",
    "sleep",
    "jq",
    "yq",
    "sed",
    "awk",
    "grep",
    "cat",
    "tee",
    "date",
    "export",
    "set",
    "cd",
    "test",
    "[",
    "[[",
    "true",
    "false",
    ":",
    "exit",
    "return",
    "python",
    "python3",
    "pip",
    "pip3",
    "pipx",
    "node",
    "npm",
    "npx",
    "bash",
    "sh",
    "source",
    ".",
    "read",
    "local",
    "env",
    "rsync",
    "ssh",
    "scp",
    "aws",
    "az",
    "gcloud",
    "zip",
    "unzip",
    "tar",
    "mkdir",
    "cp",
    "mv",
    "rm",
    "ls",
    "find",
    "chmod",
    "head",
    "tail",
    "cut",
    "tr",
    "sort",
    "uniq",
    "wc",
    "xargs",
    "basename",
    "dirname",
    "shift",
    "break",
    "continue",
    "trap",
    "wait",
    "kill",
    "openssl",
    "base64",
    "sudo",
    "apt",
    "apt-get",
    "ssh-keyscan",
    "ssh-add",
    "ssh-agent",
    "eval",
    "declare",
    "mktemp",
    "touch",
    "pwd",
    "uname",
    "seq",
    "expr",
];

/// Modules that come with Python.
const MODULES: &[&str] =
    &["pip", "venv", "json", "http", "json.tool", "http.server", "zipfile", "tarfile", "ensurepip"];

/// Actions that install a tool.
const INSTALLERS: &[&str] = &[
    "astral-sh/setup-uv",
    "snok/install-poetry",
    "abatilo/actions-poetry",
    "pdm-project/setup-pdm",
    "pypa/hatch",
    "extractions/setup-just",
    "prefix-dev/setup-pixi",
    "dtolnay/rust-toolchain",
    "oven-sh/setup-bun",
];

/// What the installing actions of Python's tools install: `pipx` can do it without one more action to trust.
const BY_PIPX: &[(&str, &str)] = &[
    ("astral-sh/setup-uv", "uv"),
    ("snok/install-poetry", "poetry"),
    ("abatilo/actions-poetry", "poetry"),
    ("pdm-project/setup-pdm", "pdm"),
    ("pypa/hatch", "hatch"),
];

/// What can be installed again.
pub(super) struct Tools<'p> {
    /// The steps that install it, and their text.
    pub(super) steps: Vec<(&'p Arc<Node>, String)>,
}

impl Tools<'_> {
    /// Whether a tool is there, or can be had again.
    pub(super) fn has(&self, tool: &str) -> bool {
        if is_there(tool) {
            return true;
        }
        let whatever = |text: &str| {
            ["-r ", "-e .", ".[", " . ", "uv sync", "npm ci"].iter().any(|sign| text.contains(sign))
        };
        self.steps.iter().any(|(_, text)| match tool {
            // These run in what was installed from the project.
            "poetry run" => text.contains("poetry install"),
            "pdm run" => text.contains("pdm install") || text.contains("pdm sync"),
            tool => has_word(text, tool) || whatever(text),
        })
    }
}

/// Whether a tool is on every runner, or lies in the tree.
pub(super) fn is_there(tool: &str) -> bool {
    THERE.contains(&tool) || tool.contains('/')
}

/// Whether a step installs nothing but what builds and uploads.
pub(super) fn only_for_building(step: &str) -> bool {
    const BUILDS: &[&str] = &[
        "build",
        "twine",
        "wheel",
        "setuptools",
        "pip",
        "hatch",
        "flit",
        "poetry",
        "uv",
        "maturin",
        "cibuildwheel",
    ];
    let packages =
        step.split("install").skip(1).flat_map(|rest| rest.lines().next().unwrap_or("").split_whitespace());
    let mut packages = packages
        .filter(|word| !word.starts_with('-') && !matches!(*word, "&&" | ";" | "python" | "pip3" | "#"));
    packages.all(|word| {
        let name =
            word.trim_matches(['"', '\'', ';']).split(['=', '<', '>', '~', '[']).next().unwrap_or(word);
        BUILDS.contains(&name)
    })
}

/// The steps before the upload that do nothing but install.
pub(super) fn installed<'p>(place: &Place<'p>) -> Tools<'p> {
    let steps = place.steps();
    let before = steps.into_iter().take(place.at).filter(|(step, _)| installs(step));
    let steps = before.map(|(step, node)| {
        let lines = place.layout().text.get(place.lines(node)).unwrap_or("");
        let tool = BY_PIPX.iter().find(|(action, _)| uses(step).starts_with(action));
        let lines = match (tool, place.dash()) {
            (Some((_, tool)), Ok(dash)) => format!("{dash}- run: pipx install {tool}{}", place.newline()),
            _ => lines.to_owned(),
        };
        (node, lines)
    });
    Tools { steps: steps.collect() }
}

fn installs(step: &Step) -> bool {
    let Some(script) = step.run.as_ref().and_then(|run| run.text()) else {
        return INSTALLERS.iter().any(|known| uses(step).starts_with(known));
    };
    let commands = commands(script);
    let installs = |words: &Vec<String>| {
        let has = |word: &str| words.iter().any(|known| known == word);
        match words.first().map(String::as_str) {
            Some("pip" | "pip3" | "pipx" | "apt" | "apt-get" | "npm" | "brew") => {
                has("install") || has("update") || has("ci") || has("inject") || has("ensurepath")
            }
            Some("python" | "python3") => has("pip") && has("install"),
            Some("sudo") => has("install") || has("update"),
            Some("poetry" | "pdm") => has("install") || has("sync") || has("config"),
            Some("uv") => has("sync") || has("install") || has("venv"),
            Some("set" | "cd" | "echo") => true,
            _ => false,
        }
    };
    !commands.is_empty() && commands.iter().all(installs) && !script.contains("secrets.")
}

/// The programs that a script runs, modules of Python included.
pub(super) fn used(script: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for words in commands(script) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["python" | "python3", "-m", module, ..] if !MODULES.contains(module) => {
                used.insert((*module).to_owned());
            }
            [tool @ ("poetry" | "pdm"), "run", ..] => {
                used.insert(format!("{tool} run"));
            }
            [name, ..] if !name.contains('$') => {
                used.insert((*name).to_owned());
            }
            _ => {}
        }
    }
    used
}

/// The commands of a script, each by its words; nothing where it can't be read.
fn commands(script: &str) -> Vec<Vec<String>> {
    let text = without_expressions(script);
    let Some(tree) = parse_tree(&text, &tree_sitter_bash::LANGUAGE.into()) else { return Vec::new() };
    let (mut commands, mut functions) = (Vec::new(), BTreeSet::new());
    let mut open = vec![tree.root_node()];
    let mut seen = 0;
    while let Some(node) = open.pop() {
        seen += 1;
        if seen > NODES_MAX {
            break;
        }
        if node.kind() == "function_definition"
            && let Some(name) = node.child_by_field_name("name")
        {
            functions.insert(text.get(name.byte_range()).unwrap_or("").to_owned());
        }
        if node.kind() == "command" {
            let words = node
                .named_children()
                .filter(|child| child.kind() != "variable_assignment" && !child.kind().ends_with("redirect"))
                .map(|child| text.get(child.byte_range()).unwrap_or("").trim_matches(['"', '\'']).to_owned())
                .collect();
            commands.push(words);
        }
        open.extend(node.named_children());
    }
    commands.retain(|words: &Vec<String>| words.first().is_some_and(|name| !functions.contains(name)));
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_a_script() {
        let script = "set -e\nsay() { echo \"$1\"; }\nsay hi && git tag v1\nif gh release view; then poetry run mkdocs; fi\npython -m mike deploy\npython -m json.tool x | jq .\n./scripts/x.sh";
        let used = used(script);
        let names: Vec<&str> = used.iter().map(String::as_str).collect();
        assert_eq!(
            names,
            ["./scripts/x.sh", "echo", "gh", "git", "jq", "mike", "poetry run", "python", "set"]
        );
    }
}
