//! Clients of databases, queues, directories and logs: a host among their options, and a message or statement.

use super::Call;
use crate::flow::shell::Shell;
use crate::flow::trace::{Channel, Role};
use crate::flow::value::Value;

/// A client: its name, the options that name the host, those whose value only opens the door, and whether the first
/// word that is no option is the host.
struct Client {
    name: &'static str,
    host: &'static [&'static str],
    login: &'static [&'static str],
    first: bool,
}

const CLIENTS: &[Client] = &[
    Client {
        name: "psql",
        host: &["-h", "--host", "-d", "--dbname"],
        login: &["-U", "-W", "--username"],
        first: true,
    },
    Client {
        name: "mysql",
        host: &["-h", "--host"],
        login: &["-u", "-p", "--user", "--password"],
        first: false,
    },
    Client {
        name: "mariadb",
        host: &["-h", "--host"],
        login: &["-u", "-p", "--user", "--password"],
        first: false,
    },
    Client { name: "redis-cli", host: &["-h", "-u"], login: &["-a", "--user", "--pass"], first: false },
    Client {
        name: "mongosh",
        host: &["--host"],
        login: &["-u", "-p", "--username", "--password"],
        first: true,
    },
    Client {
        name: "mongo",
        host: &["--host"],
        login: &["-u", "-p", "--username", "--password"],
        first: true,
    },
    Client { name: "sqlcmd", host: &["-S"], login: &["-U", "-P"], first: false },
    Client {
        name: "clickhouse-client",
        host: &["-h", "--host"],
        login: &["--user", "--password"],
        first: false,
    },
    Client { name: "influx", host: &["--host"], login: &["--token", "-t"], first: false },
    Client { name: "mosquitto_pub", host: &["-h", "--host", "-L"], login: &["-u", "-P"], first: false },
    Client { name: "kcat", host: &["-b"], login: &["-X"], first: false },
    Client { name: "kafkacat", host: &["-b"], login: &["-X"], first: false },
    Client {
        name: "nats",
        host: &["-s", "--server"],
        login: &["--user", "--password", "--creds"],
        first: false,
    },
    Client {
        name: "kubectl",
        host: &["-s", "--server"],
        login: &["--token", "--username", "--password"],
        first: false,
    },
    Client { name: "logger", host: &["-n", "--server"], login: &[], first: false },
    Client { name: "snmptrap", host: &[], login: &["-c", "-u"], first: true },
    Client { name: "snmpset", host: &[], login: &["-c", "-u"], first: true },
    Client { name: "ldapadd", host: &["-H", "-h"], login: &["-D", "-w"], first: false },
    Client { name: "ldapmodify", host: &["-H", "-h"], login: &["-D", "-w"], first: false },
    Client { name: "smbclient", host: &["-I"], login: &["-U"], first: true },
    Client { name: "websocat", host: &[], login: &["-H"], first: true },
    Client { name: "wscat", host: &["-c", "--connect"], login: &["-H"], first: false },
    Client { name: "grpcurl", host: &[], login: &["-H"], first: true },
    Client { name: "aria2c", host: &[], login: &["--http-user", "--http-passwd"], first: true },
    Client { name: "lynx", host: &[], login: &["-auth"], first: true },
    Client { name: "w3m", host: &[], login: &[], first: true },
    Client { name: "axel", host: &[], login: &[], first: true },
    Client { name: "hping3", host: &[], login: &[], first: true },
    Client { name: "nping", host: &[], login: &[], first: true },
    Client { name: "ntfy", host: &[], login: &[], first: true },
    Client { name: "apprise", host: &[], login: &[], first: true },
    Client { name: "ncftpput", host: &[], login: &["-u", "-p"], first: true },
    Client { name: "lpr", host: &["-H"], login: &[], first: false },
    Client { name: "etcdctl", host: &["--endpoints"], login: &["--user"], first: false },
    Client { name: "consul", host: &["-http-addr"], login: &["-token"], first: false },
];

/// Runs one of them; `None` if this is none.
pub(super) fn run(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Option<Value> {
    let client = CLIENTS.iter().find(|client| client.name == call.name)?;
    shell.tracer.works();
    let attached = |names: &[&str]| {
        call.arguments.iter().find_map(|argument| {
            let prefix = argument.value.prefix();
            let name = names.iter().find(|name| {
                name.len() == 2 && prefix.starts_with(**name) && prefix.len() > 2
                    || name.starts_with("--")
                        && prefix.strip_prefix(**name).is_some_and(|rest| rest.starts_with('='))
            })?;
            Some(super::after(&argument.value, name.len() + usize::from(name.starts_with("--"))))
        })
    };
    let first = || {
        let word = call.operands().into_iter().find(|operand| {
            let text = operand.value.template();
            client.first
                && (matches!(operand.value.parts.first(), Some(crate::flow::value::Part::Carried(_)))
                    || text.contains("://")
                    || text.contains('.')
                    || text.starts_with("//")
                    || text.contains("${…}"))
        });
        word.map(|word| word.value.clone())
    };
    let host = call.option(client.host).or_else(|| attached(client.host)).or_else(first)?;
    let mut login = host.only_carried();
    let mut payload = call.stdin.clone();
    let mut arguments = call.arguments.iter().peekable();
    while let Some(argument) = arguments.next() {
        let text = argument.value.template();
        if client.login.contains(&text.as_str()) {
            login.append(arguments.next().map(|next| next.value.only_carried()).unwrap_or_default());
        } else if client.login.iter().any(|name| {
            name.len() == 2 && text.starts_with(name)
                || text.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))
        }) {
            login.append(argument.value.only_carried());
        } else if client.host.contains(&text.as_str()) {
            arguments.next();
        } else if argument.value.prefix().contains(' ') && argument.value.literal().is_some() {
            // A script of the client's own names files: `put FILE`.
            for word in text.split([' ', ';']).filter(|word| !word.is_empty()) {
                if shell.state.read(word).is_some() {
                    payload.append(shell.read_file(&Value::text(word), argument.bytes));
                }
            }
        } else if text != host.template() {
            let path = text.trim_start_matches("@");
            let written = !text.starts_with('-') && shell.state.read(path).is_some();
            payload.append(if written {
                shell.read_file(&Value::text(path), argument.bytes)
            } else {
                argument.value.only_carried()
            });
        }
    }
    let host = address(&host);
    let file = shell.file();
    for (content, role) in [(payload, Role::Payload), (login, Role::Authentication)] {
        shell.tracer.deliver(content, Channel::Network, role, host.clone(), call.name, file, call.bytes);
    }
    Some(Value::unknown())
}

/// The host of a share (`//host/share`), of settings (`host=… user=…`), or what is an address already.
fn address(value: &Value) -> Value {
    let text = value.prefix();
    if let Some(rest) = text.strip_prefix("//") {
        return Value::text(rest.split('/').next().unwrap_or("").to_owned());
    }
    match text.split_once("host=") {
        Some((_, rest)) => Value::text(rest.split([' ', '\'', '"']).next().unwrap_or("").to_owned()),
        None => value.clone(),
    }
}
