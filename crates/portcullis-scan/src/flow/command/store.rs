//! Object stores and data sets: what is copied there, to which bucket.

use super::Call;
use crate::flow::shell::Shell;
use crate::flow::trace::{Channel, Role};
use crate::flow::value::Value;

/// Runs a client of an object store; `None` if this is none.
pub(super) fn run(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Option<Value> {
    let texts = call.texts();
    let uploads = |verbs: &[&str]| texts.iter().any(|text| verbs.contains(&text.as_str()));
    match call.name {
        "aws" | "gsutil" | "s3cmd" | "s5cmd" | "mc" | "gcloud" | "b2" => {
            if call.name == "gcloud" && !uploads(&["storage", "cp", "rsync"]) {
                shell.tracer.works();
                return Some(Value::unknown());
            }
            Some(copy(shell, call))
        }
        "rclone" => Some(rclone(shell, call)),
        "az" if uploads(&["storage"]) => Some(azure(shell, call)),
        "azcopy" => Some(addressed(shell, call)),
        "huggingface-cli" | "hf" if uploads(&["upload", "upload-large-folder"]) => {
            let name = call.operands().get(1).map(|operand| operand.value.template()).unwrap_or_default();
            let target = Value::text(format!("https://huggingface.co/{name}"));
            let content = read_all(shell, call);
            send(shell, call, content, target);
            Some(Value::unknown())
        }
        _ => None,
    }
}

/// Everything that the words name: files that steps wrote, and secrets themselves.
fn read_all(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let mut content = Value::empty();
    for argument in call.arguments {
        let name = argument.value.template();
        let path = name.split_once("://").map_or(name.as_str(), |(kind, path)| match kind {
            "fileb" | "file" => path,
            _ => "",
        });
        if name == "-" || name == "/dev/stdin" {
            content.append(call.stdin.clone());
        } else if !path.is_empty()
            && !path.starts_with('-')
            && (shell.state.read(path).is_some() || super::credential_file(path).is_some())
        {
            content.append(shell.read_file(&Value::text(path), argument.bytes));
        } else if name.contains('=') || !name.contains("://") {
            content.append(argument.value.only_carried());
        }
    }
    content
}

fn send(shell: &mut Shell<'_, '_>, call: &Call<'_>, content: Value, target: Value) {
    let file = shell.file();
    shell.tracer.deliver(content, Channel::Network, Role::Payload, target, call.name, file, call.bytes);
}

/// `aws s3 cp FILE s3://BUCKET/…`, with `--endpoint-url` another host than the cloud's own.
fn copy(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    shell.tracer.works();
    let words: Vec<String> = call.operands().iter().map(|operand| operand.value.template()).collect();
    if let [verb, action, name, url, ..] = words.as_slice()
        && verb == "alias"
        && action == "set"
    {
        shell.state.remotes.insert(format!("alias:{name}"), Value::text(url.clone()));
        return Value::empty();
    }
    let alias = words.iter().rev().find_map(|word| {
        shell.state.remotes.get(&format!("alias:{}", word.split('/').next().unwrap_or(""))).cloned()
    });
    if let Some(target) = alias.filter(|_| call.name == "mc") {
        let mut content = read_all(shell, call);
        if words.first().is_some_and(|verb| verb == "pipe") {
            content.append(call.stdin.clone());
        }
        send(shell, call, content, target);
        return Value::unknown();
    }
    let endpoint =
        call.option(&["--endpoint-url", "--endpoint", "--host", "--api-endpoint-overrides/storage"]);
    let operands = call.operands();
    let remote = operands.iter().find(|operand| {
        ["s3://", "gs://", "b2://"].iter().any(|scheme| operand.value.prefix().starts_with(scheme))
    });
    let bucket_option = call.option(&["--bucket"]);
    let target = match (&endpoint, remote) {
        (Some(endpoint), _) => endpoint.clone(),
        (None, Some(remote)) => bucket_address(&remote.value),
        (None, None) => match bucket_option {
            Some(bucket) => bucket_address(&super::prefixed("s3://", &bucket)),
            None => return service_command(shell, call),
        },
    };
    let is_last = remote.is_none_or(|remote| {
        operands.last().is_some_and(|last| last.value.template() == remote.value.template())
    });
    let content = if is_last { read_all(shell, call) } else { Value::empty() };
    send(shell, call, content, target);
    Value::unknown()
}

/// `aws sqs send-message --queue-url URL --message-body …`, `aws sns publish`, `aws lambda invoke`: another account's
/// queue or function is named by an address.
fn service_command(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let Some(target) = call.option(&["--queue-url", "--endpoint-url", "--url"]) else {
        return Value::unknown();
    };
    let content = read_all(shell, call);
    send(shell, call, content, target);
    Value::unknown()
}

fn bucket_address(target: &Value) -> Value {
    let text = target.template();
    let (scheme, rest) = text.split_once("://").unwrap_or(("s3", ""));
    let name = rest.split('/').next().unwrap_or("");
    // A bucket that is a variable is the owner's own setting.
    if name.contains("${") {
        return super::after(target, scheme.len() + 3);
    }
    Value::text(match scheme {
        "gs" => format!("https://{name}.storage.googleapis.com/"),
        "b2" => format!("https://{name}.backblazeb2.com/"),
        _ => format!("https://{name}.s3.amazonaws.com/"),
    })
}

/// `rclone copy FILE REMOTE:path`; a remote may be written out on the spot (`:webdav,url="https://…":`).
fn rclone(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    shell.tracer.works();
    let operands = call.operands();
    let target = operands.iter().rev().find(|operand| operand.value.prefix().contains(':'));
    let address = call
        .option(&["--webdav-url", "--s3-endpoint", "--ftp-host", "--sftp-host", "--http-url"])
        .or_else(|| target.and_then(|target| written_address(&target.value)))
        .or_else(|| target.and_then(|target| remote_address(shell, call, &target.value)));
    if let Some(address) = address {
        let mut content = read_all(shell, call);
        if operands.first().is_some_and(|verb| verb.value.literal() == Some("rcat")) {
            content.append(call.stdin.clone());
        }
        send(shell, call, content, address);
    }
    Value::unknown()
}

/// The address of a remote by its name: in a settings file that a step wrote, or in `RCLONE_CONFIG_NAME_URL`.
fn remote_address(shell: &Shell<'_, '_>, call: &Call<'_>, target: &Value) -> Option<Value> {
    const KEYS: &[&str] = &["url", "host", "endpoint"];
    let text = target.template();
    let name = text.split(':').next().filter(|name| !name.is_empty())?;
    let variables = KEYS.iter().find_map(|key| {
        let variable = format!("RCLONE_CONFIG_{}_{}", name.to_ascii_uppercase(), key.to_ascii_uppercase());
        shell.variables.get(&variable).cloned()
    });
    let path = call
        .option(&["--config"])
        .map_or_else(|| "~/.config/rclone/rclone.conf".to_owned(), |path| path.template());
    let in_file = || {
        let settings = shell.state.written(&path)?;
        let mut is_own = false;
        for line in crate::flow::lines(&settings) {
            let text = line.prefix().trim();
            if text.starts_with('[') {
                is_own = text.trim_matches(['[', ']']) == name;
            } else if let Some((key, value)) = line.prefix().split_once('=').filter(|_| is_own)
                && KEYS.contains(&key.trim())
            {
                return Some(super::after(&line, line.prefix().len() - value.trim_start().len()));
            }
        }
        None
    };
    variables.or_else(in_file)
}

/// The address within a word.
fn written_address(value: &Value) -> Option<Value> {
    let text = value.template();
    let at =
        ["https://", "http://", "host="].iter().find_map(|mark| text.find(mark).map(|at| (at, *mark)))?;
    let rest = text.get(at.0..)?.trim_start_matches("host=");
    let end = rest.find(['"', '\'', ',']).unwrap_or(rest.len());
    rest.get(..end).map(Value::text)
}

/// `az storage blob upload --account-name NAME --file …`.
fn azure(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    shell.tracer.works();
    let account = call.option(&["--account-name"]);
    let target = call.option(&["--blob-url", "--container-url"]).or_else(|| {
        let account = account?;
        let mut address = super::prefixed("https://", &account);
        address.push_text(".blob.core.windows.net/");
        // An account that is a variable is the owner's own setting.
        Some(if account.literal().is_some() { address } else { account })
    });
    if let Some(target) = target {
        let content = read_all(shell, call);
        send(shell, call, content, target);
    }
    Value::unknown()
}

fn addressed(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    shell.tracer.works();
    let target = call.operands().into_iter().rev().find(|operand| operand.value.prefix().contains("://"));
    if let Some(target) = target.map(|target| target.value.clone()) {
        let content = read_all(shell, call);
        send(shell, call, content, target);
    }
    Value::unknown()
}
