//! What is made from the declaration of the arguments: completions and the manual.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::Write;
use std::process::{Command, Stdio};

fn portcullis(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that help names.
fn commands() -> Vec<String> {
    let help = portcullis(&["--help"]);
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let named = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// Gives a program text on its standard input; whether it is content, and what it says.
fn fed(program: &str, arguments: &[&str], text: &str) -> Option<(bool, String)> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_owned();
    let feed = std::thread::spawn(move || {
        let _ = stdin.write_all(text.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn bash_loads_its_completions_and_completes_commands_options_and_values() {
    let script = portcullis(&["completions", "bash"]);
    let complete = |words: &[&str]| {
        let asked = format!(
            "{script}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_portcullis portcullis '{}' '{}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            words.join(" "),
            words.len() - 1,
            words[words.len() - 1],
            words[words.len() - 2],
        );
        let (good, said) = fed("bash", &["--norc", "--noprofile", "-u"], &asked).unwrap();
        assert!(good, "{said}");
        said.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete(&["portcullis", "sc"]), ["scan"]);
    assert_eq!(complete(&["portcullis", "scan", "--resu"]), ["--resume"]);
    assert_eq!(complete(&["portcullis", "scan", "--min-verdict", "mal"]), ["malicious"]);
}

#[test]
fn every_shells_script_knows_every_command_and_loads_where_the_shell_is_there() {
    let commands = commands();
    assert!(commands.len() >= 12, "{commands:?}");
    for (shell, program, check) in [
        ("bash", "bash", ["-n", "/dev/stdin"].as_slice()),
        ("zsh", "zsh", ["-n", "/dev/stdin"].as_slice()),
        ("fish", "fish", ["--no-config", "--no-execute", "/dev/stdin"].as_slice()),
        ("elvish", "elvish", ["-compileonly", "/dev/stdin"].as_slice()),
        (
            "powershell",
            "pwsh",
            ["-NoProfile", "-Command", "[scriptblock]::Create([Console]::In.ReadToEnd()) | Out-Null"]
                .as_slice(),
        ),
    ] {
        let script = portcullis(&["completions", shell]);
        for command in &commands {
            assert!(script.contains(command.as_str()), "{shell} does not know {command}");
        }
        for option in ["github-api", "min-verdict", "resume"] {
            assert!(script.contains(option), "{shell} does not know --{option}");
        }
        if let Some((good, said)) = fed(program, check, &script) {
            assert!(good, "{shell}: {said}");
        }
    }
}

#[test]
fn the_manual_has_a_page_for_the_program_and_each_command() {
    let folder = tempfile::tempdir().unwrap();
    portcullis(&["man", "--output", folder.path().to_str().unwrap()]);
    let main = std::fs::read_to_string(folder.path().join("portcullis.1")).unwrap();
    assert_eq!(main, portcullis(&["man"]));
    for command in commands().iter().filter(|command| *command != "help") {
        assert!(main.contains(&format!("portcullis\\-{command}(1)")), "the program's page names {command}");
        let page = std::fs::read_to_string(folder.path().join(format!("portcullis-{command}.1"))).unwrap();
        assert_eq!(page, portcullis(&["man", command]), "{command}");
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
    }
    let scan = portcullis(&["man", "scan"]);
    for words in [r"\-\-min\-verdict", r"\-\-github\-api", "Exit code 0"] {
        assert!(scan.contains(words), "{words}");
    }
    assert!(folder.path().join("portcullis-admin-account-add.1").exists());
    if let Some((good, said)) = fed("groff", &["-man", "-Tutf8", "-ww", "-z"], &scan) {
        assert!(good && said.is_empty(), "{said}");
    }
}

#[test]
fn a_page_that_is_not_there_is_refused() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_portcullis")).args(["man", "admin", "nothing"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("admin nothing"));
}

/// A page is not written through a link that lies in the folder.
#[cfg(unix)]
#[test]
fn the_manual_follows_no_link() {
    let folder = tempfile::tempdir().unwrap();
    let (pages, outside) = (folder.path().join("man"), folder.path().join("outside"));
    let output = |pages: &std::path::Path| {
        Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["man", "--output", pages.to_str().unwrap()])
            .output()
            .unwrap()
    };
    assert!(output(&pages).status.success());
    assert!(std::fs::read_to_string(pages.join("portcullis-scan.1")).unwrap().contains("portcullis"));
    std::fs::remove_file(pages.join("portcullis.1")).unwrap();
    std::os::unix::fs::symlink(&outside, pages.join("portcullis.1")).unwrap();
    assert_eq!(output(&pages).status.code(), Some(2));
    assert!(!outside.exists());
}
