//! Files of the repository that a tool runs without being told their names: `Makefile`, `package.json`, `setup.py`, a
//! program that is compiled on the spot.
//!
//! A script that is named in the workflow is always followed. These are followed where the step holds secrets of the
//! repository: without any, whatever they do takes nothing away, and reading them for each commit would cost much.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Call, Language, interpreter};
use crate::flow::script::Script;
use crate::flow::shell::Shell;
use crate::flow::value::{Source, Value};

/// Most commands of one such file that are followed.
const COMMANDS_MAX: usize = 64;
/// Most targets of a Makefile that one call of `make` leads to.
const TARGETS_MAX: usize = 256;
/// Deepest that such files may call each other.
const DEPTH_MAX: usize = 24;
/// Most bytes of a program without a grammar that is followed: in a large one names and addresses have little to do with each other.
const PROGRAM_BYTES_MAX: usize = 16 * 1024;

/// Whether the step holds secrets that its programs get.
fn holds_secrets(shell: &Shell<'_, '_>) -> bool {
    let environment = shell.environment();
    environment
        .values()
        .any(|value| value.carried().any(|one| matches!(one.source, Source::Secret(_) | Source::AllSecrets)))
}

/// A file of the repository, seen from where the script stands.
fn open(shell: &mut Shell<'_, '_>, name: &str) -> Option<(String, usize, Arc<str>)> {
    if !holds_secrets(shell) || name.contains("${") {
        return None;
    }
    let plain = name.trim_start_matches("./");
    let below = |folder: &str| format!("{}/{plain}", folder.trim_end_matches('/').trim_start_matches("./"));
    let folder = Some(shell.state.folder.clone()).filter(|folder| !folder.is_empty());
    let directory = shell.variables.get("PORTCULLIS_DIRECTORY").map(Value::template);
    let path = folder.or(directory).map_or_else(|| plain.to_owned(), |folder| below(&folder));
    let (file, text) = shell.tracer.open(&path)?;
    if shell.depth() > DEPTH_MAX {
        shell.tracer.trace.unread = true;
        shell.tracer.incomplete("files of the repository that run each other too deeply");
        return None;
    }
    Some((path, file, text))
}

/// Runs a Python file of the repository that a tool loads by itself.
pub(super) fn python(shell: &mut Shell<'_, '_>, call: &Call<'_>, name: &str) {
    let of_project = match call.name {
        "pip" | "pip3" | "uv" => call.operands().iter().any(|operand| {
            let text = operand.value.template();
            matches!(text.as_str(), "." | "./" | "build") || text.starts_with(".[")
        }),
        _ => true,
    };
    if !of_project {
        return;
    }
    if let Some((_, file, text)) = open(shell, name) {
        let script = Script::from_file(&text, file);
        let environment = shell.environment();
        let depth = shell.depth() + 5;
        crate::flow::code::run(shell.tracer, shell.state, &environment, Language::Python, &script, depth);
    }
}

/// Runs a program of the repository that is compiled on the spot: `go run ./tools/x`. `None` if there is none to follow.
pub(super) fn compiled(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Option<Value> {
    let operands = call.operands();
    let mut names = Vec::new();
    match (call.name, operands.first().map(|operand| operand.value.template()).as_deref()) {
        ("go", Some("run")) => {
            let name = operands.get(1)?.value.template();
            if name.ends_with(".go") {
                names.push(name);
            } else {
                let folder = name.trim_end_matches('/');
                let last = folder.rsplit('/').next().unwrap_or("");
                names.extend([format!("{folder}/main.go"), format!("{folder}/{last}.go")]);
            }
        }
        ("cargo", Some("run" | "build" | "test" | "publish")) => names.push("build.rs".to_owned()),
        ("java" | "swift" | "dotnet-script", Some(name)) if name.ends_with(".java") || name.contains('.') => {
            names.push(name.to_owned());
        }
        _ => return None,
    }
    let (_, file, text) = names.iter().find_map(|name| open(shell, name))?;
    let hosts: std::collections::BTreeSet<&str> = text
        .split("://")
        .skip(1)
        .filter_map(|rest| rest.split(['/', '"', '\'', '`', ' ', '\n']).next())
        .collect();
    if text.len() > PROGRAM_BYTES_MAX || hosts.len() > 1 {
        return None;
    }
    let script = Script::from_file(&text, file);
    let environment = shell.environment();
    let depth = shell.depth() + 5;
    Some(crate::flow::code::run(shell.tracer, shell.state, &environment, Language::Other, &script, depth))
}

/// The folder of the package that a command of npm's is told to work in.
fn package_folder(call: &Call<'_>) -> Option<String> {
    call.option(&["--prefix", "-C", "--cwd", "--dir"]).map(|folder| folder.template())
}

/// The scripts that a command of npm's, yarn's or pnpm's leads to, in their order.
pub(super) fn scripts_of(call: &Call<'_>) -> Vec<String> {
    let folder = package_folder(call);
    let operands = call.operands().into_iter().map(|operand| operand.value.template());
    let operands: Vec<String> = operands.filter(|word| Some(word) != folder.as_ref()).collect();
    let word = |at: usize| operands.get(at).map(String::as_str).unwrap_or("");
    match (word(0), word(1)) {
        ("install" | "i" | "ci" | "add", _) => {
            ["preinstall", "install", "postinstall", "prepare"].map(str::to_owned).to_vec()
        }
        ("", _) if call.name == "yarn" => {
            ["preinstall", "install", "postinstall", "prepare"].map(str::to_owned).to_vec()
        }
        ("publish" | "pack", _) => {
            ["prepublishOnly", "prepare", "prepack", "postpack", "publish", "postpublish"]
                .map(str::to_owned)
                .to_vec()
        }
        ("run" | "run-script", name) | (name, _) => {
            let name = if name == "t" { "test" } else { name };
            vec![format!("pre{name}"), name.to_owned(), format!("post{name}")]
        }
    }
}

/// Runs the scripts of `package.json` that a command of npm's, yarn's or pnpm's runs.
pub(super) fn package(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let folder = package_folder(call);
    let wanted = scripts_of(call);
    let path = folder.map_or_else(
        || "package.json".to_owned(),
        |folder| format!("{}/package.json", folder.trim_end_matches('/')),
    );
    let Some((_, _, text)) = open(shell, &path) else { return };
    let Ok(document) = serde_json::from_str::<serde_json::Value>(&text) else { return };
    let scripts = document.get("scripts").and_then(serde_json::Value::as_object);
    let lines: Vec<String> =
        wanted.iter().filter_map(|name| Some(scripts?.get(name)?.as_str()?.to_owned())).collect();
    for line in lines {
        interpreter::run_text(shell, Language::Shell, Value::text(line), Vec::new(), call.bytes);
    }
}

/// Runs the recipes of the `Makefile` that the named targets, or the first one, lead to.
pub(super) fn make(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let folder = call.option(&["-C", "--directory"]).map(|folder| folder.template());
    let file = call.option(&["-f", "--file", "--makefile"]).map(|file| file.template());
    let candidates =
        file.map_or_else(|| vec!["Makefile".to_owned(), "makefile".to_owned()], |file| vec![file]);
    let found = candidates.iter().find_map(|name| {
        let path = folder.as_ref().map_or_else(|| name.clone(), |folder| format!("{folder}/{name}"));
        open(shell, &path)
    });
    let Some((_, _, text)) = found else { return };
    let makefile = Makefile::read(&text);
    let taken = [folder.as_deref(), call.option(&["-j", "-f"]).map(|value| value.template()).as_deref()]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let operands: Vec<String> = call.operands().iter().map(|operand| operand.value.template()).collect();
    let mut goals: Vec<String> =
        operands.into_iter().filter(|word| !word.contains('=') && !taken.contains(word)).rev().collect();
    if goals.is_empty() {
        goals.extend(makefile.first.clone());
    }
    for (name, value) in &makefile.variables {
        if !shell.variables.contains_key(name) {
            shell.set(name, Value::text(value.clone()), false);
        }
    }
    let mut done = Vec::new();
    let mut lines = Vec::new();
    while let Some(goal) = goals.pop() {
        if done.contains(&goal) {
            continue;
        }
        if done.len() >= TARGETS_MAX {
            shell.tracer.incomplete("a Makefile with too many targets");
            break;
        }
        if let Some(rule) = makefile.rules.get(&goal) {
            goals.extend(rule.needs.iter().cloned());
            lines.extend(rule.recipe.iter().cloned());
        }
        done.push(goal);
    }
    for line in shell.tracer.cut(lines, COMMANDS_MAX, "a Makefile with too many commands") {
        interpreter::run_text(shell, Language::Shell, Value::text(line), Vec::new(), call.bytes);
    }
}

#[derive(Default)]
struct Rule {
    needs: Vec<String>,
    recipe: Vec<String>,
}

/// A Makefile as far as it decides which commands are run.
#[derive(Default)]
struct Makefile {
    variables: BTreeMap<String, String>,
    rules: BTreeMap<String, Rule>,
    first: Option<String>,
}

impl Makefile {
    fn read(text: &str) -> Self {
        let mut makefile = Self::default();
        let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
        let mut targets: Vec<String> = Vec::new();
        for line in joined.lines() {
            if let Some(command) = line.strip_prefix('\t') {
                let command = as_shell(command.trim_start_matches(['@', '-', '+', ' ']));
                for target in &targets {
                    if let Some(rule) = makefile.rules.get_mut(target) {
                        rule.recipe.push(command.clone());
                    }
                }
                continue;
            }
            let line = line.split(" #").next().unwrap_or("").trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line);
            let assigned = [":::=", "::=", ":=", "?=", "+=", "="]
                .iter()
                .find_map(|sign| line.split_once(sign))
                .filter(|(name, _)| name.trim().chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
            if let Some((name, value)) = assigned {
                makefile.variables.insert(name.trim().to_owned(), value.trim().to_owned());
                continue;
            }
            let Some((names, needs)) = line.split_once(':') else { continue };
            targets = names.split_whitespace().map(str::to_owned).collect();
            let (needs, inline) =
                needs.split_once(';').map_or((needs, None), |(needs, code)| (needs, Some(code)));
            for target in &targets {
                let rule = makefile.rules.entry(target.clone()).or_default();
                rule.needs.extend(needs.trim_start_matches(':').split_whitespace().map(str::to_owned));
                rule.recipe.extend(inline.map(as_shell));
                if makefile.first.is_none() && !target.starts_with('.') {
                    makefile.first = Some(target.clone());
                }
            }
        }
        makefile
    }
}

/// A recipe as the shell gets it: `$$` is a dollar, `$(NAME)` a variable of make's, `$(shell …)` what a command prints.
fn as_shell(recipe: &str) -> String {
    let mut out = String::new();
    let mut rest = recipe;
    while let Some(at) = rest.find('$') {
        out.push_str(rest.get(..at).unwrap_or(""));
        let tail = rest.get(at + 1..).unwrap_or("");
        if let Some(after) = tail.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(code) = tail.strip_prefix("(shell ") {
            out.push_str("$(");
            rest = code;
        } else if let Some(after) = tail.strip_prefix("(MAKE)") {
            out.push_str("make");
            rest = after;
        } else {
            let named = tail
                .strip_prefix('(')
                .and_then(|inner| inner.split_once(')'))
                .or_else(|| tail.strip_prefix('{').and_then(|inner| inner.split_once('}')))
                .filter(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
            match named {
                Some((name, after)) => {
                    out.push_str(&format!("${{{name}}}"));
                    rest = after;
                }
                None => {
                    out.push('$');
                    rest = tail;
                }
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_are_found_by_target() {
        let makefile = Makefile::read(
            "URL := https://x.example\n.PHONY: all\nall: one\n\t@echo all\none two: ; echo $(URL)\nother:\n\techo $$A \\\n\t  $(shell date)\n",
        );
        assert_eq!(makefile.first.as_deref(), Some("all"));
        assert_eq!(makefile.variables.get("URL").map(String::as_str), Some("https://x.example"));
        let recipe =
            |name: &str| makefile.rules.get(name).map(|rule| rule.recipe.join(";")).unwrap_or_default();
        assert_eq!(recipe("all"), "echo all");
        assert_eq!(recipe("one").trim(), "echo ${URL}");
        assert_eq!(recipe("other").split_whitespace().collect::<Vec<_>>().join(" "), "echo $A $(date)");
        assert_eq!(makefile.rules.get("all").map(|rule| rule.needs.join(",")).as_deref(), Some("one"));
    }
}
