//! Programs that print what they are given, changed or not: `echo`, `cat`, `base64`, `tr`, archives, encryption.

use super::edit::{edit, edits};
use super::encode::{archive, base64, encrypting, hex, openssl, translate, unpacked};
use super::{Call, after, jq};
use crate::flow::shell::Shell;
use crate::flow::value::{Encoding, HopKind, Part, Source, Value};

/// Runs a filter; `None` if this isn't one.
pub(super) fn run(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Option<Value> {
    let output = match call.name {
        "echo" => echo(call),
        "printf" => match call.arguments {
            [flag, name, rest @ ..] if flag.value.literal() == Some("-v") => {
                let value = printf(&Call {
                    name: call.name,
                    arguments: rest,
                    stdin: Value::empty(),
                    bytes: call.bytes,
                });
                let name = name.value.template();
                shell.set(&name, value, false);
                Value::empty()
            }
            _ => printf(call),
        },
        "type" if call.has(&["-p", "-P"]) => match call.operands().first() {
            Some(program) => program.value.clone(),
            None => Value::empty(),
        },
        "zcat" | "gzcat" => {
            let content = concatenate(shell, call);
            unpacked(shell, content)
        }
        "zlib-flate" if call.has(&["-uncompress"]) => unpacked(shell, call.stdin.clone()),
        "cat" | "bat" | "tac" | "strings" | "type" => concatenate(shell, call),
        "printenv" | "env" | "compgen" => match call.operands().first() {
            Some(_) if call.name == "printenv" => {
                let mut all = Value::empty();
                for name in call.operands() {
                    all.append(shell.variable(&name.value.template()));
                    all.push_text("\n");
                }
                all
            }
            _ => shell.dump_environment(call.bytes),
        },
        "set" if call.arguments.is_empty() => shell.dump_environment(call.bytes),
        "which" | "whence" => match call.operands().first() {
            Some(program) => program.value.clone(),
            None => Value::empty(),
        },
        "read" | "mapfile" | "readarray" => {
            if call.name == "read" {
                read(shell, call)
            } else {
                read_array(shell, call)
            }
            Value::empty()
        }
        "base64" | "base32" | "basenc" => base64(shell, call),
        "xxd" | "hexdump" | "od" | "hd" => hex(shell, call),
        "openssl" => openssl(shell, call),
        "gpg" | "gpg2" | "age" => {
            if call.has(&["--import", "--export-ownertrust", "--list-keys"]) {
                shell.tracer.works();
                return Some(Value::empty());
            }
            encrypting(shell, call, &["-o", "--output"])
        }
        "gzip" | "bzip2" | "xz" | "zstd" | "pigz" | "brotli" | "lz4" => {
            pack(shell, call, call.has(&["-d", "--decompress", "-dc", "-cd"]))
        }
        "gunzip" | "unxz" | "bunzip2" | "unzstd" => pack(shell, call, true),
        "tar" | "zip" | "7z" | "7za" => archive(shell, call),
        "rev" => {
            let content = input(shell, call);
            match content.literal() {
                Some(text) => {
                    let reversed = text
                        .lines()
                        .map(|line| line.chars().rev().collect::<String>())
                        .collect::<Vec<_>>()
                        .join("\n");
                    shell.tracer.reveals(&reversed);
                    Value::text(reversed)
                }
                None => encode(shell, call, content, Encoding::Reversed),
            }
        }
        "tr" => translate(shell, call),
        "sed" | "awk" | "gawk" | "mawk" | "perl" if call.name != "perl" || edits(call) => edit(shell, call),
        "fold" => {
            let content = input(shell, call);
            encode(shell, call, content, Encoding::Spaced)
        }
        "cut" | "head" | "tail" => {
            let content = input(shell, call);
            let partial = call
                .texts()
                .iter()
                .any(|text| text.starts_with("-c") || text.starts_with("-b") || text.starts_with("--bytes"));
            let chosen = match call.name {
                _ if partial => None,
                "cut" => super::text::cut(call, &content),
                _ => super::text::ends(call, &content),
            };
            if let Some(chosen) = chosen {
                return Some(chosen);
            }
            if partial && content.carries() {
                let encoding = if takes_beginning(call) { Encoding::Partial } else { Encoding::Split };
                encode(shell, call, content, encoding)
            } else if call.name != "cut" && !partial && content.literal().is_some_and(is_one_line) {
                content
            } else {
                narrowed(content)
            }
        }
        "grep" | "egrep" | "rg" | "ag" if searches_memory(call) => shell.tracer.enter(
            Source::RunnerMemory,
            "the runner's memory, searched for its secrets",
            shell.file(),
            call.bytes,
        ),
        "grep" | "egrep" | "rg" | "ag" if searches_credentials(call) => shell.tracer.enter(
            Source::CheckoutCredentials,
            "what the checkout left",
            shell.file(),
            call.bytes,
        ),
        "grep" | "egrep" | "rg" | "ag" => {
            let content = input(shell, call);
            if call.has(&["-q", "-c", "--quiet", "--count"]) {
                return Some(Value::empty());
            }
            if let Some(chosen) = super::text::grep(call, &content) {
                return Some(chosen);
            }
            let single = call.has(&["-o"]) && call.texts().iter().any(|text| text == ".");
            if single { encode(shell, call, content, Encoding::Spaced) } else { narrowed(content) }
        }
        "split" | "csplit" => {
            // The pieces are files; nothing is printed.
            let content = input(shell, call);
            let operands = call.operands();
            let prefix = operands.iter().rev().map(|operand| operand.value.template()).find(|name| {
                shell.state.read(name).is_none() && name != "-" && !name.chars().all(|c| c.is_ascii_digit())
            });
            let pieces = encode(shell, call, content, Encoding::Partial);
            shell.state.write(&format!("{}aa", prefix.unwrap_or_else(|| "x".to_owned())), pieces, false);
            Value::empty()
        }
        "sort" | "uniq" | "paste" | "column" | "nl" | "expand" | "unexpand" | "pr" | "fmt" | "iconv"
        | "dos2unix" | "shuf" => {
            let content = input(shell, call);
            if content.literal().is_some() { content } else { narrowed(content) }
        }
        "jq" | "yq" | "xq" => jq::run(shell, call),
        "envsubst" => substitute(shell, call),
        "tee" => {
            for operand in call.operands() {
                let append = call.has(&["-a", "--append"]);
                shell.write_to(&operand.value, call.stdin.clone(), append, operand.bytes);
            }
            // What is shown of it is what was just put into a file: a deployment that did not silence it.
            let hop = shell.hop(HopKind::Carry, crate::flow::COPIED, call.bytes);
            let copied = !call.operands().is_empty();
            if copied { call.stdin.clone().hop(&hop) } else { call.stdin.clone() }
        }
        "cp" | "mv" | "ln" | "install" => {
            copy(shell, call);
            Value::empty()
        }
        "dd" => {
            let source = call.arguments.iter().find_map(|argument| {
                argument.value.prefix().strip_prefix("if=").map(|_| after(&argument.value, 3))
            });
            let content = match source {
                Some(path) => shell.read_file(&path, call.bytes),
                None => call.stdin.clone(),
            };
            let target = call.arguments.iter().find_map(|argument| {
                argument.value.prefix().strip_prefix("of=").map(|_| after(&argument.value, 3))
            });
            match target {
                Some(path) => {
                    shell.write_to(&path, content, false, call.bytes);
                    Value::empty()
                }
                None => content,
            }
        }
        // `ps auxe` shows the environment of every process.
        "ps" if call.texts().iter().any(|text| {
            let plain = text.trim_start_matches('-');
            plain.contains('e') && plain.contains(['u', 'w', 'x']) && plain.len() < 8
        }) && call.texts().iter().any(|text| !text.starts_with('-')) =>
        {
            shell.dump_environment(call.bytes)
        }
        "gcore" if call.option(&["-o"]).is_some() => {
            let memory =
                shell.tracer.enter(Source::RunnerMemory, "a dump of a process", shell.file(), call.bytes);
            let path = call.option(&["-o"]).unwrap_or_default().template();
            shell.state.write(&path, memory.clone(), false);
            shell.state.write(&format!("{path}.1"), memory, false);
            Value::empty()
        }
        "gcore" | "procdump" => {
            shell.tracer.enter(Source::RunnerMemory, "a dump of a process", shell.file(), call.bytes)
        }
        "sha256sum" | "sha1sum" | "md5sum" | "sha512sum" | "shasum" | "cksum" | "wc" | "diff" | "cmp" => {
            Value::unknown()
        }
        "mkfifo" => {
            shell.has_pipes = true;
            Value::empty()
        }
        "certutil" => {
            certutil(shell, call);
            Value::empty()
        }
        "expr" | "seq" | "basename" | "dirname" | "realpath" | "readlink" | "mktemp" => computed(shell, call),
        _ => return None,
    };
    Some(output)
}

/// Whether `cut -c1-4` and `head -c 4` show the beginning only; by other numbers the rest comes out piece by piece.
fn takes_beginning(call: &Call<'_>) -> bool {
    let range = call.option(&["-c", "-b", "--bytes"]).map(|range| range.template());
    let joined = call.texts().into_iter().find_map(|text| {
        let rest = text.strip_prefix("-c").or_else(|| text.strip_prefix("-b"))?.to_owned();
        (!rest.is_empty()).then_some(rest)
    });
    let range = joined.or(range).unwrap_or_default();
    let literal = range.chars().all(|c| c.is_ascii_digit() || c == '-');
    literal
        && match call.name {
            "cut" => range.starts_with("1-") && range.len() > 2 || range == "1",
            "head" => !range.starts_with('-'),
            _ => false,
        }
}

/// Windows' `certutil -encode FROM TO`, `-encodehex`, `-decode`.
fn certutil(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let operands = call.operands();
    let (Some(from), Some(to)) = (operands.first(), operands.get(1)) else { return };
    let content = shell.read_file(&from.value, from.bytes);
    let content = match call.texts().first().map(|verb| verb.to_ascii_lowercase()).as_deref() {
        Some("-encode") => encode(shell, call, content, Encoding::Base64Wrapped),
        Some("-encodehex") => encode(shell, call, content, Encoding::Hex),
        _ => content,
    };
    let path = to.value.clone();
    shell.write_to(&path, content, false, call.bytes);
}

/// Whether something is searched for the form in which the runner's process holds secrets.
fn searches_memory(call: &Call<'_>) -> bool {
    call.joined().template().contains("isSecret")
        && call.operands().len() < 2
        && call.stdin.literal().is_none_or(str::is_empty)
}

/// `grep -r extraheader "$RUNNER_TEMP"`: the files in which the checkout keeps its token.
fn searches_credentials(call: &Call<'_>) -> bool {
    let text = call.joined().template().to_ascii_lowercase();
    let folder = ["/runner/temp", "${runner.temp}", "_temp", ".git/", ".git "]
        .iter()
        .any(|folder| format!("{text} ").contains(folder));
    folder
        && call.has(&["-r", "-R", "--recursive"])
        && ["extraheader", "authorization", "basic", "token"].iter().any(|word| text.contains(word))
}

/// Whether `head` and `tail` leave it as it is.
fn is_one_line(text: &str) -> bool {
    !text.trim_end_matches('\n').contains('\n')
}

fn computed(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    match (call.name, call.operands().first()) {
        ("mktemp", _) => Value::text(format!("/tmp/{}", call.bytes.start)),
        ("seq", Some(_)) => {
            let last = call
                .operands()
                .last()
                .and_then(|last| last.value.literal()?.parse::<usize>().ok())
                .unwrap_or(1);
            Value::text((1..=last.min(4)).map(|number| number.to_string()).collect::<Vec<_>>().join("\n"))
        }
        ("realpath" | "readlink", Some(path)) => path.value.clone(),
        _ => {
            let _ = shell;
            Value::unknown()
        }
    }
}

/// What a filter reads: the files it names, or its input.
pub(super) fn input(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let mut found = None;
    for operand in call.operands() {
        let name = operand.value.template();
        let known = shell.state.read(&name).is_some()
            || super::credential_file(&name).is_some()
            || (name.starts_with("/proc/") && name.ends_with("environ"));
        if known {
            let content = shell.read_file(&operand.value, operand.bytes);
            found.get_or_insert_with(Value::empty).append(content);
        }
    }
    found.unwrap_or_else(|| call.stdin.clone())
}

/// A selection of something: what is literal in it can't be known any more, secrets may still be there.
pub(super) fn narrowed(value: Value) -> Value {
    let mut out = Value::empty();
    for part in value.parts {
        out.push(match part {
            Part::Text(_) => Part::Unknown,
            other => other,
        });
    }
    out
}

pub(super) fn encode(
    shell: &mut Shell<'_, '_>,
    call: &Call<'_>,
    content: Value,
    encoding: Encoding,
) -> Value {
    let hop = shell.hop(HopKind::Encode, &format!("through {}", call.name), call.bytes);
    content.encoded(encoding, &hop)
}

fn echo(call: &Call<'_>) -> Value {
    let mut flags = true;
    let (mut newline, mut escapes) = (true, false);
    let mut out = Value::empty();
    let mut first = true;
    for argument in call.arguments {
        let text = argument.value.template();
        let is_flag =
            text.len() > 1 && text.starts_with('-') && text.chars().skip(1).all(|flag| "neE".contains(flag));
        if flags && is_flag && argument.value.literal().is_some() {
            newline &= !text.contains('n');
            escapes |= text.contains('e');
            continue;
        }
        flags = false;
        if !first {
            out.push_text(" ");
        }
        first = false;
        out.append(argument.value.clone());
    }
    if escapes {
        out = map_text(out, crate::flow::shell::decode_escapes);
    }
    if newline {
        out.push_text("\n");
    }
    out
}

fn map_text(value: Value, change: impl Fn(&str) -> String) -> Value {
    let mut out = Value::empty();
    for part in value.parts {
        match part {
            Part::Text(text) => out.push_text(&change(&text)),
            other => out.push(other),
        }
    }
    out
}

fn printf(call: &Call<'_>) -> Value {
    let mut arguments = call.arguments.iter().peekable();
    if arguments.peek().is_some_and(|argument| argument.value.literal() == Some("--")) {
        arguments.next();
    }
    let Some(format) = arguments.next() else { return Value::empty() };
    let format = map_text(format.value.clone(), crate::flow::shell::decode_escapes);
    let mut out = Value::empty();
    // The format is used again while arguments are left (POSIX); bounded, since hostile formats may take none.
    for _ in 0..64 {
        let before = arguments.len();
        for part in &format.parts {
            let Part::Text(text) = part else {
                out.push(part.clone());
                continue;
            };
            let mut rest = text.as_str();
            while let Some(at) = rest.find('%') {
                out.push_text(rest.get(..at).unwrap_or(""));
                rest = rest.get(at + 1..).unwrap_or("");
                if let Some(tail) = rest.strip_prefix('%') {
                    out.push_text("%");
                    rest = tail;
                    continue;
                }
                let end = rest
                    .find(|character: char| character.is_ascii_alphabetic())
                    .map_or(rest.len(), |end| end + 1);
                let kind = rest.get(..end).unwrap_or("");
                if let Some(argument) = arguments.next() {
                    let value = argument.value.clone();
                    out.append(if kind.ends_with('b') {
                        map_text(value, crate::flow::shell::decode_escapes)
                    } else {
                        value
                    });
                }
                rest = rest.get(end..).unwrap_or("");
            }
            out.push_text(rest);
        }
        if arguments.len() == 0 || arguments.len() == before {
            break;
        }
    }
    // `printf "$SECRET"`: leftovers are printed by nothing, but a secret in them may still be seen in error text.
    out
}

fn concatenate(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let operands = call.operands();
    if operands.is_empty() {
        return call.stdin.clone();
    }
    let mut out = Value::empty();
    for operand in operands {
        out.append(shell.read_file(&operand.value, operand.bytes));
    }
    out
}

/// `mapfile -t NAME`: a line becomes an element.
fn read_array(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let hop = shell.hop(HopKind::Carry, "read into an array", call.bytes);
    let name = call.operands().last().map_or_else(|| "MAPFILE".to_owned(), |name| name.value.template());
    let mut lines: Vec<Value> =
        crate::flow::lines(&call.stdin).into_iter().map(|line| line.hop(&hop)).collect();
    if lines.last().is_some_and(Value::is_empty) {
        lines.pop();
    }
    let all = shell.set_array(&name, lines, false);
    shell.set(&name, all, false);
}

fn read(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let mut names = Vec::new();
    let mut skip = false;
    for text in call.texts() {
        if skip {
            skip = false;
        } else if matches!(text.as_str(), "-p" | "-d" | "-n" | "-t" | "-u" | "-N" | "-i") {
            skip = true;
        } else if !text.starts_with('-') {
            names.push(text);
        }
    }
    let hop = shell.hop(HopKind::Carry, "read into a variable", call.bytes);
    if let (Some(text), true) = (call.stdin.literal(), names.len() > 1) {
        let separators = shell.variables.get("IFS").map(Value::template).unwrap_or_default() + " \t\n";
        let mut words = text.split(|c| separators.contains(c)).filter(|word| !word.is_empty());
        let words: Vec<String> = words.by_ref().map(str::to_owned).collect();
        for (at, name) in names.iter().enumerate() {
            let value = if at + 1 == names.len() {
                words.get(at..).unwrap_or(&[]).join(" ")
            } else {
                words.get(at).cloned().unwrap_or_default()
            };
            shell.set(name, Value::text(value), false);
        }
        return;
    }
    // `read -n1`, in a loop: character by character.
    let count = call.option(&["-n", "-N"]).map(|count| count.template());
    let few = |count: &str| count.parse::<usize>().is_ok_and(|count| count < 8);
    let apart = call.texts().iter().any(|text| {
        let joined = text.strip_prefix("-rn").or_else(|| text.strip_prefix("-n"));
        joined.or_else(|| text.strip_prefix("-N")).is_some_and(few)
    });
    let stdin = if apart || count.as_deref().is_some_and(few) {
        encode(shell, call, call.stdin.clone(), Encoding::Split)
    } else {
        call.stdin.clone()
    };
    for name in names {
        let mut value = stdin.clone().hop(&hop);
        if let Some(Part::Text(last)) = value.parts.last_mut() {
            // A line is read without its end.
            let length = last.trim_end_matches(['\n', '\r']).len();
            last.to_mut().truncate(length);
        }
        shell.set(&name, value, false);
    }
}

/// Programs that send or run code, whatever they are renamed to.
const PROGRAMS: &[&str] = &[
    "curl", "wget", "nc", "ncat", "socat", "bash", "sh", "python3", "python", "node", "ssh", "scp", "openssl",
];

fn copy(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let operands = call.operands();
    let Some((target, sources)) = operands.split_last() else { return };
    for source in sources {
        let name = source.value.template();
        let credential = super::credential_file(&name).is_some();
        // A copy of a program under another name.
        let program = name.rsplit('/').next().unwrap_or("").to_owned();
        if name.contains("bin/")
            || source.value.literal() == Some(program.as_str()) && PROGRAMS.contains(&program.as_str())
        {
            let path = target.value.template();
            let own = path.rsplit('/').next().unwrap_or("").to_owned();
            for alias in [path.clone(), own.clone(), format!("./{own}")] {
                if PROGRAMS.contains(&program.as_str()) && alias != program {
                    shell.aliases.insert(alias, Value::text(program.clone()));
                }
            }
        }
        if shell.state.read(&name).is_none() && !credential {
            continue;
        }
        let content = shell.read_file(&source.value, source.bytes);
        let mut path = target.value.template();
        let mut append = false;
        if path.ends_with('/') || path == "." || sources.len() > 1 || call.has(&["--parents"]) {
            let own = match call.has(&["--parents"]) {
                true => name.trim_start_matches(['~', '/', '.']),
                false => name.rsplit('/').next().unwrap_or("file"),
            };
            path = format!("{}/{own}", path.trim_end_matches('/'));
            // Of two files of one name, either may be the last.
            append = shell.state.has(&path);
        }
        shell.state.write(&path, content, append);
    }
}

/// `gzip FILE` puts another file in its place and prints nothing; with `-c`, or without a file, it prints.
fn pack(shell: &mut Shell<'_, '_>, call: &Call<'_>, unpacks: bool) -> Value {
    const ENDS: &[&str] = &[".gz", ".bz2", ".xz", ".zst", ".lz4", ".br"];
    let prints = call.texts().iter().any(|text| {
        text == "--stdout"
            || text == "--to-stdout"
            || text.starts_with('-') && !text.starts_with("--") && text.contains('c')
    });
    let operands = call.operands();
    if prints || operands.iter().all(|operand| operand.value.template() == "-") {
        let content = input(shell, call);
        return match unpacks {
            true => unpacked(shell, content),
            false => encode(shell, call, content, Encoding::Compressed),
        };
    }
    for operand in operands {
        let content = shell.read_file(&operand.value, operand.bytes);
        let name = operand.value.template();
        let (content, name) = if unpacks {
            let end = ENDS.iter().find(|end| name.ends_with(*end)).copied().unwrap_or("");
            (unpacked(shell, content), name.strip_suffix(end).unwrap_or(&name).to_owned())
        } else {
            (encode(shell, call, content, Encoding::Compressed), format!("{name}.gz"))
        };
        // What a pattern covers stays where it is.
        if (content.carries() || unpacks && content.literal().is_some_and(|text| !text.is_empty()))
            && !name.contains('*')
        {
            shell.state.write(&name, content, false);
        }
    }
    Value::empty()
}

/// Puts variables into a text: those that the text names, of them only those that the argument lists. A text that nobody can know
/// may name each of them, and it is no dump of an environment for all that: it says by name what it takes.
fn substitute(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let mut content = call.stdin.clone();
    let listed = call.operands().first().map(|operand| operand.value.template());
    let text = call.stdin.template();
    let known = content.parts.iter().all(|part| matches!(part, Part::Text(_) | Part::Carried(_)));
    let names = match &listed {
        Some(listed) => Some(variables_in(listed)),
        None if known && !content.is_empty() => Some(variables_in(&text)),
        None => None,
    };
    let hop = shell.hop(HopKind::Carry, "put into a text", call.bytes);
    for (name, value) in crate::flow::sorted(&shell.environment()) {
        let taken = names.as_ref().is_none_or(|names| names.contains(name));
        if taken && value.carries() && !crate::flow::is_runner_variable(name) {
            content.append(value.only_carried().hop(&hop));
        }
    }
    content
}

/// Names after `$` or in `${…}`.
fn variables_in(text: &str) -> std::collections::BTreeSet<String> {
    text.split('$')
        .skip(1)
        .map(|rest| {
            let rest = rest.strip_prefix('{').unwrap_or(rest);
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>()
        })
        .filter(|name| !name.is_empty())
        .collect()
}
