//! git: remotes, the index, pushes, and the credentials in its configuration.

use super::Call;
use crate::flow::shell::{Argument, Shell};
use crate::flow::trace::{Channel, ObservationKind, Role};
use crate::flow::value::{Part, Source, Value};

pub(super) fn git(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
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
    run_hooks(shell, &verb, call);
    send_header(shell, call, &operands);
    match verb.as_str() {
        "config" => return git_config(shell, call, &operands),
        "credential" => {
            let what = "git's stored credentials";
            let mut stored = shell.tracer.enter(Source::CheckoutCredentials, what, file, call.bytes);
            for path in ["~/.git-credentials", "~/.netrc"] {
                stored.append(shell.state.written(path).unwrap_or_default().only_carried());
            }
            return stored;
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
            if everything && shell.state.read(".github/workflows").is_some() {
                shell.observe(ObservationKind::WritesWorkflow, Value::text(".github/workflows"), call.bytes);
            }
        }
        "push" => {
            let target = operands.first().map(|target| {
                let name = target.template();
                shell.state.remotes.get(&name).cloned().unwrap_or_else(|| (*target).clone())
            });
            let inside = call
                .option(&["-C"])
                .and_then(|folder| shell.state.remotes.get(&format!("clone:{}", folder.template())).cloned());
            let origin =
                || shell.state.remotes.get("origin").cloned().unwrap_or_else(|| Value::text("origin"));
            let target = inside.or(target).unwrap_or_else(origin);
            if operands.iter().any(|operand| operand.template().starts_with(':')) || call.has(&["--delete"]) {
                shell.observe(ObservationKind::CoversTracks, Value::text("git push --delete"), call.bytes);
            }
            let mut content = shell.state.read("$git-index").unwrap_or_default();
            // `HEAD:refs/heads/NAME`: a name says something, too.
            for operand in operands.iter().skip(1) {
                content.append(operand.only_carried());
            }
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
            if verb == "clone"
                && let [url, folder @ ..] = cloned(rest).as_slice()
            {
                let folder = folder.first().map(|folder| folder.template());
                let text = url.template();
                let last = text.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or("");
                let folder = folder.unwrap_or_else(|| last.trim_end_matches(".git").to_owned());
                shell.state.remotes.insert(format!("clone:{folder}"), (*url).clone());
            }
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
        "apply" | "am" => super::patch::apply(shell, call),
        "tag" | "notes" | "branch" | "checkout" | "switch"
            if call.arguments.iter().any(|word| word.value.carries()) =>
        {
            // Names and messages are pushed with what they name.
            shell.state.write("$git-index", call.joined().only_carried(), true);
        }
        "checkout" | "switch" | "reset" | "log" | "status" | "branch" | "rm" | "init" | "rev-parse"
        | "diff" | "tag" => {}
        _ => shell.tracer.works(),
    }
    Value::unknown()
}

/// The address that `git clone` is given, and the folder: words that are neither options nor the values of any
/// (git 2.47, `git help clone`).
fn cloned(words: &[Argument]) -> Vec<&Value> {
    const TAKE_VALUES: &[&str] = &[
        "-b",
        "--branch",
        "--revision",
        "-c",
        "--config",
        "--depth",
        "-j",
        "--jobs",
        "-o",
        "--origin",
        "--filter",
        "--reference",
        "--reference-if-able",
        "--separate-git-dir",
        "--server-option",
        "--shallow-exclude",
        "--shallow-since",
        "--template",
        "-u",
        "--upload-pack",
        "--bundle-uri",
    ];
    let mut operands = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if TAKE_VALUES.contains(&word.value.template().as_str()) {
            words.next();
        } else if !word.value.prefix().starts_with('-') {
            operands.push(&word.value);
        }
    }
    operands
}

pub(super) fn git_config(shell: &mut Shell<'_, '_>, call: &Call<'_>, operands: &[&Value]) -> Value {
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
        if lower == "core.hookspath" {
            shell.state.remotes.insert(lower.clone(), (*value).clone());
        }
        if lower.starts_with("url.") && (lower.ends_with(".insteadof") || lower.ends_with(".pushinsteadof")) {
            let mut url = super::after(key, 4);
            if let Some(Part::Text(last)) = url.parts.last_mut()
                && let Some(end) = last
                    .to_ascii_lowercase()
                    .rfind(".insteadof")
                    .or_else(|| last.to_ascii_lowercase().rfind(".pushinsteadof"))
            {
                last.to_mut().truncate(end);
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

/// Hooks that the job itself wrote run with these verbs (githooks(5)).
fn run_hooks(shell: &mut Shell<'_, '_>, verb: &str, call: &Call<'_>) {
    let hooks: &[&str] = match verb {
        "commit" => &["pre-commit", "prepare-commit-msg", "commit-msg", "post-commit"],
        "push" => &["pre-push"],
        "checkout" | "switch" | "clone" => &["post-checkout"],
        "merge" | "pull" => &["post-merge"],
        "rebase" => &["pre-rebase", "post-rewrite"],
        _ => return,
    };
    let folder = shell.state.remotes.get("core.hookspath").map(Value::template);
    let folder = folder.unwrap_or_else(|| ".git/hooks".to_owned());
    for hook in hooks {
        let path = format!("{}/{hook}", folder.trim_end_matches('/'));
        if shell.state.has(&path)
            && let Some(code) = shell.state.read(&path)
        {
            super::run_text(shell, super::Language::Shell, code, Vec::new(), call.bytes);
        }
    }
}

/// `git -c http.extraHeader="X: …" ls-remote URL`: the header goes to the host of the address.
fn send_header(shell: &mut Shell<'_, '_>, call: &Call<'_>, operands: &[&Value]) {
    let settings = call.arguments.windows(2).filter_map(|pair| match pair {
        [flag, setting] if flag.value.literal() == Some("-c") => Some(&setting.value),
        _ => None,
    });
    let header = settings
        .filter(|setting| setting.prefix().to_ascii_lowercase().contains("extraheader="))
        .find(|setting| setting.carries());
    let address = operands.iter().find(|operand| operand.prefix().contains("://"));
    if let (Some(header), Some(address)) = (header, address) {
        let file = shell.file();
        let (header, address) = (header.clone(), (*address).clone());
        shell.tracer.deliver(
            header,
            Channel::Network,
            Role::Authentication,
            address,
            "git",
            file,
            call.bytes,
        );
    }
}
