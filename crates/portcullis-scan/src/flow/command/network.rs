//! Other programs that talk to other machines: sockets, name servers, remote shells, copies, mail.

use super::{Call, curl};
use crate::flow::shell::{Argument, Shell};
use crate::flow::trace::{Channel, ObservationKind, Role};
use crate::flow::value::{Part, Value};

/// Runs a network client; `None` if this isn't one.
pub(super) fn run(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Option<Value> {
    let output = match call.name {
        "curl" => curl::curl(shell, call),
        "wget" => curl::wget(shell, call),
        "http" | "https" | "xh" => curl::httpie(shell, call),
        "nc" | "ncat" | "netcat" | "nc.openbsd" | "nc.traditional" | "telnet" | "openssl-s_client" => {
            socket(shell, call)
        }
        "socat" => socat(shell, call),
        "dig" | "nslookup" | "host" | "drill" | "ping" | "ping6" | "traceroute" | "resolvectl" | "getent" => {
            name_query(shell, call)
        }
        "ssh" | "scp" | "sftp" | "rsync" | "ftp" | "lftp" | "tftp" | "sshpass" | "mosh" => {
            remote_copy(shell, call)
        }
        "mail" | "mailx" | "sendmail" | "mutt" | "msmtp" | "swaks" => mail(shell, call),
        _ => return None,
    };
    Some(output)
}

fn socket(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let mut words = Vec::new();
    let mut skip = false;
    for argument in call.arguments {
        let text = argument.value.template();
        if skip {
            skip = false;
        } else if text.starts_with('-') {
            // -w 3, -q 0, -p port, -s source, -x proxy
            skip = text.len() == 2
                && matches!(text.chars().nth(1), Some('w' | 'q' | 'p' | 's' | 'x' | 'X' | 'i' | 'T'));
            if matches!(text.as_str(), "-e" | "-c" | "--exec" | "--sh-exec") {
                skip = true;
                let host = call.operands().first().map(|operand| operand.value.clone());
                shell.observe(ObservationKind::ReverseShell, host.unwrap_or_default(), call.bytes);
            }
        } else {
            words.push(argument.value.clone());
        }
    }
    let mut target = words.first().cloned().unwrap_or_else(Value::unknown);
    if let Some(port) = words.get(1) {
        target.push_text(":");
        target.append(port.clone());
    }
    let file = shell.file();
    shell.tracer.deliver(
        call.stdin.clone(),
        Channel::Network,
        Role::Payload,
        target.clone(),
        call.name,
        file,
        call.bytes,
    );
    let mut address = Value::empty();
    for word in &words {
        address.append(word.only_carried());
    }
    shell.tracer.deliver(
        address,
        Channel::Network,
        Role::Address,
        target.clone(),
        call.name,
        file,
        call.bytes,
    );
    Value::part(Part::Remote(target.template()))
}

/// `socat FROM TO`: what one address reads goes to the other.
fn socat(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let is_remote = |text: &str| {
        let lower = text.to_ascii_lowercase();
        !lower.contains("listen")
            && ["tcp", "udp", "openssl", "ssl", "socks", "sctp", "proxy"]
                .iter()
                .any(|kind| lower.starts_with(kind))
    };
    let remote = call.arguments.iter().find(|argument| is_remote(&argument.value.template()));
    let mut content = call.stdin.clone();
    for argument in call.operands() {
        let text = argument.value.template();
        let (kind, rest) = text.split_once(':').unwrap_or(("", ""));
        let path = rest.split(',').next().unwrap_or("");
        match kind.to_ascii_lowercase().as_str() {
            "exec" | "system" => {
                let target = remote.map(|argument| argument.value.clone()).unwrap_or_default();
                if rest
                    .split([',', ' '])
                    .next()
                    .is_some_and(|program| super::language(program) == Some(super::Language::Shell))
                {
                    shell.observe(ObservationKind::ReverseShell, target, call.bytes);
                } else {
                    let skip = kind.len() + 1;
                    let code = super::after(&argument.value, skip);
                    content.append(super::run_text(
                        shell,
                        super::Language::Shell,
                        code,
                        Vec::new(),
                        call.bytes,
                    ));
                }
            }
            "open" | "file" | "gopen" | "pipe" | "rdonly" => {
                content.append(shell.read_file(&Value::text(path), argument.bytes));
            }
            _ => {}
        }
    }
    if let Some(remote) = remote {
        let text = remote.value.template();
        let host =
            text.split_once(':').map_or("", |(_, rest)| rest).split(',').next().unwrap_or("").to_owned();
        let file = shell.file();
        shell.tracer.deliver(
            content,
            Channel::Network,
            Role::Payload,
            Value::text(host),
            "socat",
            file,
            call.bytes,
        );
    }
    Value::unknown()
}

/// A question to a name server: it reaches whoever holds the zone, or the server that is named.
fn name_query(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let mut content = Value::empty();
    let mut asked = None;
    let mut server = None;
    let pattern = if call.name.starts_with("ping") { call.option(&["-p"]) } else { None };
    let mut operands = call.operands();
    if let Some(pattern) = &pattern {
        // `ping -p BYTES HOST`: what fills the packets.
        operands.retain(|operand| operand.value.template() != pattern.template());
        if let Some(host) = operands.last() {
            let file = shell.file();
            let host = host.value.clone();
            shell.tracer.deliver(
                pattern.clone(),
                Channel::Network,
                Role::Payload,
                host,
                call.name,
                file,
                call.bytes,
            );
        }
    }
    for operand in &operands {
        let value = &operand.value;
        if value.prefix().starts_with('@') {
            server = Some(super::after(value, 1));
        } else if value.carries() {
            content.append(value.clone());
            asked = Some(value.clone());
        } else if asked.is_some() && matches!(call.name, "nslookup" | "host") {
            server = Some(value.clone());
        }
    }
    if let Some(asked) = asked {
        // Below a zone that is written out, the zone's owner gets it, whoever is asked first.
        let in_zone =
            matches!(asked.parts.last(), Some(Part::Text(end)) if end.trim_matches('.').contains('.'));
        let target = server.filter(|_| !in_zone).unwrap_or(asked);
        let file = shell.file();
        shell.tracer.deliver(content, Channel::Dns, Role::Address, target, call.name, file, call.bytes);
    }
    // What it answers is for whoever holds the zone to say.
    match operands.iter().find(|operand| !operand.value.prefix().starts_with(['@', '+'])) {
        Some(name) => Value::part(Part::Remote(name.value.template())),
        None => Value::unknown(),
    }
}

fn remote_copy(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    shell.tracer.works();
    let operands = without_option_values(call);
    let address = |value: &Value| {
        let text = value.template();
        text.contains('@')
            || text.contains("://")
            || text.split_once(':').is_some_and(|(host, _)| host.contains('.') || host.contains("${"))
    };
    let named = |value: &Value| {
        let text = value.template();
        matches!(call.name, "ftp" | "tftp" | "lftp" | "sftp") && text.contains('.') && !text.contains('/')
    };
    let target = operands.iter().find(|operand| address(&operand.value));
    let Some(target) = target.or_else(|| operands.iter().find(|operand| named(&operand.value))) else {
        return Value::unknown();
    };
    let mut content = call.stdin.clone();
    // `put FILE` in a script of the client's own.
    let mut script = call.stdin.template();
    // The same in a file: `sftp -b FILE`, `lftp -f FILE`.
    let batch = match call.name {
        "sftp" => call.option(&["-b"]),
        "lftp" => call.option(&["-f"]),
        _ => None,
    };
    if let Some(commands) = batch.and_then(|path| shell.state.read(&path.template())) {
        script.push('\n');
        script.push_str(&commands.template());
        script.push('\n');
    }
    if call.name != "ssh" && call.name != "rsync" {
        for argument in call.arguments {
            script.push(' ');
            script.push_str(argument.value.literal().unwrap_or(""));
        }
    }
    let words: Vec<&str> = script.split([' ', '\n', ';', '\t']).filter(|word| !word.is_empty()).collect();
    for pair in words.windows(2) {
        if let [verb, path] = pair
            && matches!(*verb, "put" | "mput" | "send" | "append" | "mirror" | "-O")
            && shell.state.read(path).is_some()
        {
            content.append(shell.read_file(&Value::text(*path), call.bytes));
        }
    }
    for operand in &operands {
        if operand.value.template() == target.value.template() {
            continue;
        }
        let name = operand.value.template();
        // scp and rsync send files; ssh sends the command itself.
        if matches!(call.name, "scp" | "rsync")
            && (shell.state.read(&name).is_some() || super::credential_file(&name).is_some())
        {
            content.append(shell.read_file(&operand.value, operand.bytes));
        } else if call.name == "ssh" {
            content.append(operand.value.only_carried());
        }
    }
    let file = shell.file();
    let begun = shell.tracer.delivered();
    let by_own_key = logs_in_by_written_key(shell, call);
    shell.tracer.deliver(
        content,
        Channel::Network,
        Role::Payload,
        target.value.clone(),
        call.name,
        file,
        call.bytes,
    );
    if by_own_key {
        shell.tracer.opened_by_the_file(begun);
    }
    let credentials = target.value.only_carried();
    shell.tracer.deliver(
        credentials,
        Channel::Network,
        Role::Authentication,
        target.value.clone(),
        call.name,
        file,
        call.bytes,
    );
    Value::unknown()
}

/// Whether the key by which it logs in stands in the file as it is: `-i FILE`, also among the words of `rsync -e`.
fn logs_in_by_written_key(shell: &Shell<'_, '_>, call: &Call<'_>) -> bool {
    let line = call.joined().template();
    let words: Vec<&str> = line.split([' ', '=', '\'', '"']).filter(|word| !word.is_empty()).collect();
    words.windows(2).any(|pair| {
        let [flag, path] = pair else { return false };
        let content = matches!(*flag, "-i" | "IdentityFile").then(|| shell.state.written(path)).flatten();
        content.is_some_and(|key| key.literal().is_some_and(|key| key.contains("PRIVATE KEY")))
    })
}

/// The words of `ssh` and `scp` that are no options and no values of options: the key by which they log in stays at home.
fn without_option_values<'c>(call: &Call<'c>) -> Vec<&'c Argument> {
    let takes_value = |text: &str| match call.name {
        "ssh" | "scp" | "sftp" => {
            matches!(
                text,
                "-i" | "-o" | "-F" | "-l" | "-c" | "-S" | "-J" | "-P" | "-b" | "-D" | "-L" | "-R" | "-W"
            ) || text == "-p" && call.name == "ssh"
        }
        "rsync" => matches!(text, "-e" | "--rsh" | "-f" | "-T" | "-B"),
        _ => false,
    };
    let mut operands = Vec::new();
    let mut arguments = call.arguments.iter();
    while let Some(argument) = arguments.next() {
        if takes_value(&argument.value.template()) {
            let value = arguments.next().map(|value| value.value.template()).unwrap_or_default();
            // cmd has no single quotes, and rsync reads them itself: `-e 'ssh -i key'` is one value there as well.
            if call.name == "rsync" && value.starts_with('\'') && !(value.len() > 1 && value.ends_with('\''))
            {
                arguments.find(|word| word.value.template().ends_with('\''));
            }
        } else if !argument.value.prefix().starts_with('-') {
            operands.push(argument);
        }
    }
    operands
}

fn mail(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let target = call.operands().into_iter().rev().find(|operand| operand.value.template().contains('@'));
    let target = target.map_or_else(Value::unknown, |operand| operand.value.clone());
    let server = match call.name {
        "swaks" => call.option(&["--server", "-s"]),
        "msmtp" => call.option(&["--host"]),
        _ => None,
    };
    let target = server.unwrap_or(target);
    let mut content = call.stdin.clone();
    content.append(call.joined().only_carried());
    if let Some(path) = call.option(&["-a", "-A", "--attach"]) {
        content.append(shell.read_file(&path, call.bytes));
    }
    let file = shell.file();
    shell.tracer.deliver(content, Channel::Network, Role::Payload, target, call.name, file, call.bytes);
    Value::empty()
}
