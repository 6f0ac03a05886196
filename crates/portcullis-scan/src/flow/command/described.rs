//! Commands in files that describe work: tasks, hooks, playbooks, provisioners. Steps wrote them, and a tool runs them.

use std::sync::Arc;

use super::interpreter::{Language, run_text};
use super::{Call, after};
use crate::flow::shell::Shell;
use crate::flow::value::{Part, Value};
use crate::yaml::{Content, Node};

/// Most commands of one file that are followed.
const COMMANDS_MAX: usize = 64;
/// Deepest nesting of a file that is looked into.
const NESTING_MAX: usize = 16;

/// A tool, the files that it reads, and the keys under which commands stand there.
struct Described {
    tools: &'static [&'static str],
    files: &'static [&'static str],
    keys: &'static [&'static str],
}

const DESCRIBED: &[Described] = &[
    Described {
        tools: &["task", "go-task"],
        files: &["Taskfile.yml", "Taskfile.yaml", "Taskfile.dist.yml"],
        keys: &["cmds", "cmd", "sh"],
    },
    Described { tools: &["pre-commit", "prek"], files: &[".pre-commit-config.yaml"], keys: &["entry"] },
    Described { tools: &["lefthook"], files: &["lefthook.yml", "lefthook.yaml"], keys: &["run"] },
    Described {
        tools: &["ansible-playbook", "ansible"],
        files: &[".yml", ".yaml"],
        keys: &[
            "shell",
            "command",
            "raw",
            "cmd",
            "ansible.builtin.shell",
            "ansible.builtin.command",
            "ansible.builtin.raw",
        ],
    },
];

/// Runs the commands of the files that steps wrote for a tool.
pub(super) fn run(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    if shell.depth() > 60 {
        return;
    }
    for described in DESCRIBED.iter().filter(|described| described.tools.contains(&call.name)) {
        let mut texts = shell.state.named(described.files);
        let named =
            call.operands().into_iter().filter_map(|operand| shell.state.written(&operand.value.template()));
        texts.extend(named);
        for text in texts {
            commands_of(shell, call, &text, described.keys);
        }
    }
    match call.name {
        "tox" => sections(shell, call),
        "terraform" | "tofu" | "terragrunt" | "packer" => provisioners(shell, call),
        "ansible"
            if call
                .option(&["-m", "--module-name"])
                .is_none_or(|module| module.template().contains("shell")) =>
        {
            let code = call.option(&["-a", "--args"]).unwrap_or_default();
            run_text(shell, Language::Shell, code, Vec::new(), call.bytes);
        }
        _ => {}
    }
}

fn commands_of(shell: &mut Shell<'_, '_>, call: &Call<'_>, text: &Value, keys: &[&str]) {
    let Ok(root) = crate::yaml::parse(&text.template()) else { return };
    // A secret that stands in the file was shown as a variable of its name.
    for one in text.carried() {
        let value = Value::part(Part::Carried(one.clone()));
        shell.variables.entry(one.source.name()).or_insert(value);
    }
    let mut lines = Vec::new();
    collect(&root, keys, false, 0, &mut lines);
    for line in shell.tracer.cut(lines, COMMANDS_MAX, "a file of too many commands") {
        run_text(shell, Language::Shell, Value::text(line), Vec::new(), call.bytes);
    }
}

/// The texts below one of the keys.
fn collect(node: &Arc<Node>, keys: &[&str], below: bool, depth: usize, lines: &mut Vec<String>) {
    if depth > NESTING_MAX {
        return;
    }
    match &node.content {
        Content::Scalar(scalar) if below => lines.push(scalar.text.clone()),
        Content::Scalar(_) => {}
        Content::Sequence(items) => {
            for item in items {
                collect(item, keys, below, depth + 1, lines);
            }
        }
        Content::Mapping(_) => {
            for (key, value) in node.entries() {
                let is_key = key.text().is_some_and(|text| keys.contains(&text));
                collect(value, keys, is_key, depth + 1, lines);
            }
        }
    }
}

/// The commands of `tox.ini`: indented lines, with `{env:NAME}` for variables.
fn sections(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let texts = shell.state.named(&["tox.ini"]);
    let lines = texts.iter().flat_map(crate::flow::lines);
    let lines: Vec<Value> = lines
        .filter_map(|line| {
            let text = line.prefix();
            let code =
                text.strip_prefix("commands").and_then(|rest| rest.split_once('=')).map(|(_, code)| code);
            let code = code.or_else(|| text.starts_with([' ', '\t']).then_some(text))?;
            Some(after(&line, text.len() - code.trim_start().len()))
        })
        .filter(|line| !line.is_empty())
        .collect();
    for mut line in shell.tracer.cut(lines, COMMANDS_MAX, "a file of too many commands") {
        for part in &mut line.parts {
            if let Part::Text(text) = part {
                *text = crate::flow::value::Text::new(text.replace("{env:", "${"));
            }
        }
        run_text(shell, Language::Shell, line, Vec::new(), call.bytes);
    }
}

/// `command = "…"` of a provisioner that runs here.
fn provisioners(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let texts = shell.state.named(&[".tf", ".tf.json", ".pkr.hcl"]);
    let lines = texts.iter().flat_map(crate::flow::lines);
    let lines: Vec<Value> = lines
        .filter_map(|line| {
            let text = line.prefix();
            let (name, value) = text.split_once('=')?;
            let value = value.trim_start().strip_prefix('"').filter(|_| name.trim() == "command")?;
            Some(after(&line, text.len() - value.len()))
        })
        .collect();
    for mut line in shell.tracer.cut(lines, COMMANDS_MAX, "a file of too many commands") {
        if let Some(Part::Text(last)) = line.parts.last_mut() {
            let end = last.rfind('"').unwrap_or(last.len());
            last.to_mut().truncate(end);
        }
        for part in &mut line.parts {
            if let Part::Text(text) = part {
                *text = crate::flow::value::Text::new(text.replace("\\\"", "\"").replace("$${", "${"));
            }
        }
        run_text(shell, Language::Shell, line, Vec::new(), call.bytes);
    }
}
