//! Programs that only start another one.

use super::after;
use crate::flow::shell::{Argument, Shell};
use crate::flow::value::Value;
use crate::span::Bytes;

/// Programs that only start another one.
pub(super) const WRAPPERS: &[&str] = &[
    "sudo",
    "command",
    "builtin",
    "exec",
    "nohup",
    "time",
    "nice",
    "stdbuf",
    "timeout",
    "env",
    "busybox",
    "setsid",
    "unbuffer",
    "ionice",
    "retry",
    "doas",
    "sshpass",
    "flock",
    "chroot",
    "taskset",
    "gosu",
    "su-exec",
    "unshare",
    "nsenter",
    "firejail",
    "strace",
    "ltrace",
    "xvfb-run",
    "systemd-run",
    "chronic",
    "torsocks",
    "torify",
    "proxychains",
    "proxychains4",
    "tsocks",
    "script",
    "watch",
    "su",
    "runuser",
    "sg",
    "at",
    "batch",
    "fakeroot",
    "toybox",
];

pub(super) fn wrapped(
    shell: &mut Shell<'_, '_>,
    name: &str,
    arguments: Vec<Argument>,
    bytes: Bytes,
) -> Value {
    if name == "command"
        && let [flag, program, ..] = arguments.as_slice()
        && matches!(flag.value.literal(), Some("-v" | "-V"))
    {
        // Tells where a program is, and doesn't run it.
        return program.value.clone();
    }
    if let Some(output) = code_of(shell, name, &arguments, bytes) {
        return output;
    }
    let mut added = Vec::new();
    let mut at = 0;
    let takes_value = |text: &str| match name {
        "unshare" | "nsenter" => matches!(text, "-t"),
        "flock" => matches!(text, "-w" | "-E" | "--timeout"),
        "xvfb-run" => matches!(text, "-s" | "-n" | "--server-args"),
        "sudo" => matches!(text, "-u" | "-g" | "-C" | "-h" | "-p" | "-U"),
        "env" => matches!(text, "-u" | "-C" | "--unset" | "--chdir"),
        "timeout" => matches!(text, "-s" | "-k" | "--signal" | "--kill-after"),
        "nice" | "ionice" => matches!(text, "-n" | "-c"),
        "stdbuf" => matches!(text, "-i" | "-o" | "-e"),
        "exec" => matches!(text, "-a"),
        "sshpass" => matches!(text, "-p" | "-f" | "-d"),
        _ => false,
    };
    // A time, a file to lock, a folder, a user: one word before the command.
    let mut duration = matches!(name, "timeout" | "flock" | "chroot" | "taskset" | "gosu" | "su-exec");
    while let Some(argument) = arguments.get(at) {
        let text = argument.value.template();
        if takes_value(&text) {
            at += 2;
        } else if text.starts_with('-') {
            at += 1;
        } else if duration {
            duration = false;
            at += 1;
        } else if matches!(name, "env" | "sudo")
            && let Some((variable, _)) = argument.value.prefix().split_once('=')
        {
            added.push((variable.to_owned(), after(&argument.value, variable.len() + 1)));
            at += 1;
        } else {
            break;
        }
    }
    let rest = arguments.get(at..).unwrap_or(&[]).to_vec();
    if rest.is_empty() {
        return if name == "env" { shell.dump_environment(bytes) } else { Value::empty() };
    }
    let outer = shell.variables.clone();
    let exported = shell.exported.clone();
    for (variable, value) in added {
        shell.exported.insert(variable.clone());
        shell.variables.insert(variable, value);
    }
    let output = shell.invoke(rest, bytes);
    shell.variables = outer;
    shell.exported = exported;
    output
}

/// Programs that take a command line in one word, or read it: `script -c`, `su -c`, `watch`, `at`.
fn code_of(shell: &mut Shell<'_, '_>, name: &str, arguments: &[Argument], bytes: Bytes) -> Option<Value> {
    let code = match name {
        "at" | "batch" => shell.stdin.clone(),
        "watch" => {
            let mut code = Value::empty();
            let mut words = arguments.iter().peekable();
            while let Some(word) = words.next_if(|word| word.value.prefix().starts_with('-')) {
                if matches!(word.value.literal(), Some("-n" | "--interval")) {
                    words.next();
                }
            }
            for word in words {
                code.append(word.value.clone());
                code.push_text(" ");
            }
            code
        }
        "script" | "su" | "runuser" | "sg" | "flock" => {
            let takes = |word: &Argument| {
                let text = word.value.template();
                text == "--command" || text.starts_with('-') && !text.starts_with("--") && text.ends_with('c')
            };
            let at = arguments.iter().position(takes)?;
            arguments.get(at + 1)?.value.clone()
        }
        _ => return None,
    };
    Some(super::run_text(shell, super::Language::Shell, code, Vec::new(), bytes))
}
