//! Programs that print what they are given, changed or not: `echo`, `cat`, `base64`, `tr`, archives, encryption.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::{Call, after};
use crate::flow::shell::Shell;
use crate::flow::trace::{Channel, ObservationKind, Role};
use crate::flow::value::{Encoding, HopKind, Part, Source, Value};

/// Runs a filter; `None` if this isn't one.
pub(super) fn run(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Option<Value> {
    let output = match call.name {
        "echo" => echo(call),
        "printf" => printf(call),
        "cat" | "bat" | "tac" | "zcat" | "strings" | "type" => concatenate(shell, call),
        "printenv" | "env" | "compgen" => match call.operands().first() {
            Some(name) if call.name == "printenv" => {
                let name = name.value.template();
                shell.variable(&name)
            }
            _ => shell.dump_environment(call.bytes),
        },
        "set" if call.arguments.is_empty() => shell.dump_environment(call.bytes),
        "which" | "whence" => match call.operands().first() {
            Some(program) => program.value.clone(),
            None => Value::empty(),
        },
        "read" | "mapfile" | "readarray" => {
            read(shell, call);
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
            if call.has(&["-d", "--decompress"]) {
                input(shell, call)
            } else {
                let content = input(shell, call);
                for operand in call.operands() {
                    let name = operand.value.template();
                    if shell.state.read(&name).is_some() {
                        let hop = shell.hop(HopKind::Encode, call.name, call.bytes);
                        shell.state.write(
                            &format!("{name}.gz"),
                            content.clone().encoded(Encoding::Compressed, &hop),
                            false,
                        );
                    }
                }
                encode(shell, call, content, Encoding::Compressed)
            }
        }
        "gunzip" | "unxz" | "bunzip2" => input(shell, call),
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
                    shell.tracer.decoded.insert(reversed.trim().to_owned());
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
            if partial && content.carries() {
                encode(shell, call, content, Encoding::Partial)
            } else if call.name != "cut" && !partial && content.literal().is_some_and(is_one_line) {
                content
            } else {
                narrowed(content)
            }
        }
        "grep" | "egrep" | "rg" | "ag" => {
            let content = input(shell, call);
            if call.has(&["-q", "-c", "--quiet", "--count"]) {
                return Some(Value::empty());
            }
            let single = call.has(&["-o"]) && call.texts().iter().any(|text| text == ".");
            if single { encode(shell, call, content, Encoding::Spaced) } else { narrowed(content) }
        }
        "sort" | "uniq" | "paste" | "column" | "nl" | "expand" | "unexpand" | "pr" | "fmt" | "iconv"
        | "dos2unix" | "split" | "csplit" | "shuf" => {
            let content = input(shell, call);
            if content.literal().is_some() { content } else { narrowed(content) }
        }
        "jq" | "yq" | "xq" => {
            let mut content = input(shell, call);
            content.append(call.joined().only_carried());
            let texts = call.texts();
            let named = |at: usize| {
                at.checked_sub(1)
                    .and_then(|before| texts.get(before))
                    .is_some_and(|before| before.starts_with("--arg"))
            };
            let reads_environment = texts.iter().enumerate().any(|(at, text)| {
                text.contains("$ENV")
                    || (!named(at)
                        && (text == "env"
                            || ["env|", "env.", "env "].iter().any(|start| text.starts_with(start))))
            });
            if reads_environment {
                content.append(shell.dump_environment(call.bytes));
            }
            if call.joined().template().contains("@base64") && !call.joined().template().contains("@base64d")
            {
                encode(shell, call, content, Encoding::Base64)
            } else {
                content
            }
        }
        "envsubst" => {
            let mut content = call.stdin.clone();
            content.append(shell.dump_environment(call.bytes));
            content
        }
        "tee" => {
            for operand in call.operands() {
                let append = call.has(&["-a", "--append"]);
                shell.write_to(&operand.value, call.stdin.clone(), append, operand.bytes);
            }
            call.stdin.clone()
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
        "gcore" | "procdump" => {
            shell.tracer.enter(Source::RunnerMemory, "a dump of a process", shell.file(), call.bytes)
        }
        "sha256sum" | "sha1sum" | "md5sum" | "sha512sum" | "shasum" | "cksum" | "wc" | "diff" | "cmp" => {
            Value::unknown()
        }
        "expr" | "seq" | "basename" | "dirname" | "realpath" | "readlink" | "mktemp" => computed(shell, call),
        _ => return None,
    };
    Some(output)
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
fn input(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
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
fn narrowed(value: Value) -> Value {
    let mut out = Value::empty();
    for part in value.parts {
        out.push(match part {
            Part::Text(_) => Part::Unknown,
            other => other,
        });
    }
    out
}

fn encode(shell: &mut Shell<'_, '_>, call: &Call<'_>, content: Value, encoding: Encoding) -> Value {
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
    for name in names {
        let value = call.stdin.clone().hop(&hop);
        shell.set(&name, value, false);
    }
}

/// Decodes base64 text as the command-line tools do: white space ignored, padding optional.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let clean: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    STANDARD.decode(&clean).or_else(|_| STANDARD_NO_PAD.decode(clean.trim_end_matches('='))).ok()
}

/// PowerShell's `-EncodedCommand`: base64 of UTF-16LE.
pub fn decode_utf16_base64(text: &str) -> Option<String> {
    let bytes = decode_base64(text)?;
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .filter_map(|pair| Some(u16::from_le_bytes([*pair.first()?, *pair.get(1)?])))
        .collect();
    Some(String::from_utf16_lossy(&units))
}

fn base64(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let content = input(shell, call);
    if call.has(&["-d", "-D", "--decode"]) || call.has(&["--d"]) {
        if let Some(decoded) = content.literal().filter(|text| !text.is_empty()).and_then(decode_base64) {
            return decoded_text(shell, call, &decoded);
        }
        // What comes out is what went in, if it was a secret: its last base64 is undone.
        return undone(content, &[Encoding::Base64, Encoding::Base64Wrapped]);
    }
    if call.name == "base32" {
        return encode(shell, call, content, Encoding::OtherBase);
    }
    let unwrapped = call.has(&["-w0"])
        || call.option(&["-w", "--wrap"]).is_some_and(|width| width.literal() == Some("0"))
        || call.has(&["--wrap=0"]);
    encode(shell, call, content, if unwrapped { Encoding::Base64 } else { Encoding::Base64Wrapped })
}

/// Text that stood encoded in the file. Remembered by wrapping, so that running it can be noted.
fn decoded_text(shell: &mut Shell<'_, '_>, call: &Call<'_>, bytes: &[u8]) -> Value {
    let text = String::from_utf8_lossy(bytes).into_owned();
    shell.tracer.decoded.insert(text.trim().to_owned());
    let _ = call;
    Value::text(text)
}

fn undone(value: Value, encodings: &[Encoding]) -> Value {
    let mut out = Value::empty();
    for part in value.parts {
        match part {
            Part::Carried(mut carried) => {
                if carried.encodings.last().is_some_and(|last| encodings.contains(last)) {
                    carried.encodings.pop();
                }
                out.push(Part::Carried(carried));
            }
            Part::Text(_) => out.push(Part::Unknown),
            other => out.push(other),
        }
    }
    out
}

fn hex(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let content = input(shell, call);
    if call.name == "xxd" && call.has(&["-r"]) {
        let literal =
            content.literal().map(|text| text.chars().filter(char::is_ascii_hexdigit).collect::<String>());
        if let Some(decoded) = literal.filter(|text| !text.is_empty()).and_then(|text| hex::decode(text).ok())
        {
            return decoded_text(shell, call, &decoded);
        }
        return undone(content, &[Encoding::Hex]);
    }
    encode(shell, call, content, Encoding::Hex)
}

fn openssl(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let verb = call.texts().first().cloned().unwrap_or_default();
    match verb.as_str() {
        "base64" => base64(shell, call),
        "s_client" => {
            let target = call.option(&["-connect"]).unwrap_or_else(Value::unknown);
            let file = shell.file();
            let content = call.stdin.clone();
            shell.tracer.deliver(
                content,
                Channel::Network,
                Role::Payload,
                target,
                "openssl s_client",
                file,
                call.bytes,
            );
            Value::unknown()
        }
        "dgst" | "md5" | "sha256" | "rand" | "version" | "x509" | "verify" => Value::unknown(),
        _ if call.texts().iter().any(|text| text == "-d" || text == "-decrypt") => {
            shell.tracer.works();
            Value::unknown()
        }
        "enc"
            if call.has(&["-base64", "-a"])
                && !call.texts().iter().any(|text| text.contains("aes") || text.contains("des")) =>
        {
            base64(shell, call)
        }
        "enc" | "smime" | "cms" | "rsautl" | "pkeyutl" => encrypting(shell, call, &["-out"]),
        _ => Value::unknown(),
    }
}

fn encrypting(shell: &mut Shell<'_, '_>, call: &Call<'_>, output_options: &[&str]) -> Value {
    let mut content = match call.option(&["-in"]) {
        Some(path) => shell.read_file(&path, call.bytes),
        None => input(shell, call),
    };
    if !content.carries() {
        content = narrowed(content);
    }
    // The key the data is locked with does not leave with it.
    let sealed = encode(shell, call, content, Encoding::Encrypted);
    match call.option(output_options) {
        Some(path) => {
            shell.write_to(&path, sealed, false, call.bytes);
            Value::empty()
        }
        None => {
            for operand in call.operands() {
                let name = operand.value.template();
                if shell.state.read(&name).is_some() {
                    shell.state.write(&format!("{name}.gpg"), sealed.clone(), false);
                }
            }
            sealed
        }
    }
}

fn archive(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let operands = call.operands();
    let texts = call.texts();
    let creates = match call.name {
        "tar" => texts.first().is_some_and(|flags| flags.contains('c')) || call.has(&["-c", "--create"]),
        _ => true,
    };
    if !creates {
        shell.tracer.works();
        return Value::unknown();
    }
    let mut content = Value::empty();
    for operand in &operands {
        let name = operand.value.template();
        if shell.state.read(&name).is_some() || super::credential_file(&name).is_some() {
            content.append(shell.read_file(&operand.value, operand.bytes));
        }
    }
    let packed = encode(shell, call, content, Encoding::Compressed);
    let target = operands.iter().map(|operand| operand.value.template()).find(|name| {
        [".tar", ".tgz", ".gz", ".zip", ".7z", ".xz", ".bz2", ".zst"]
            .iter()
            .any(|suffix| name.ends_with(suffix))
    });
    match target {
        Some(name) => {
            shell.state.write(&name, packed, false);
            Value::empty()
        }
        None => packed,
    }
}

fn translate(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let content = call.stdin.clone();
    let operands = call.operands();
    let deletes = call.has(&["-d", "--delete"]);
    let sets = operands.iter().map(|operand| operand.value.literal().map(character_set)).collect::<Vec<_>>();
    if let Some(text) = content.literal() {
        match (deletes, sets.as_slice()) {
            (true, [Some(set), ..]) => {
                return Value::text(text.chars().filter(|c| !set.contains(c)).collect::<String>());
            }
            (false, [Some(from), Some(to)]) => {
                let replaced =
                    text.chars().map(|character| match from.iter().position(|c| *c == character) {
                        Some(at) => to.get(at).or(to.last()).copied().unwrap_or(character),
                        None => character,
                    });
                let replaced = replaced.collect::<String>();
                shell.tracer.decoded.insert(replaced.trim().to_owned());
                return Value::text(replaced);
            }
            _ => {}
        }
    }
    let letters = sets
        .first()
        .is_some_and(|set| set.as_ref().is_some_and(|set| set.iter().any(|c| c.is_ascii_alphanumeric())));
    let two = sets.len() > 1 && !deletes;
    let changes_case = two && {
        let lower = |set: &Option<Vec<char>>| {
            set.as_ref().is_some_and(|set| set.iter().all(char::is_ascii_lowercase))
        };
        let upper = |set: &Option<Vec<char>>| {
            set.as_ref().is_some_and(|set| set.iter().all(char::is_ascii_uppercase))
        };
        matches!(sets.as_slice(), [a, b] if (lower(a) && upper(b)) || (upper(a) && lower(b)))
    };
    if letters && two && !changes_case {
        encode(shell, call, content, Encoding::Substituted)
    } else {
        content
    }
}

/// `A-Z0-9\n` and `[:upper:]` as the characters they stand for.
fn character_set(text: &str) -> Vec<char> {
    let text = text
        .replace("[:upper:]", "A-Z")
        .replace("[:lower:]", "a-z")
        .replace("[:digit:]", "0-9")
        .replace("[:space:]", " \\t\\n\\r");
    let decoded: Vec<char> = crate::flow::shell::decode_escapes(&text).chars().collect();
    let mut set = Vec::new();
    let mut at = 0;
    while let Some(first) = decoded.get(at) {
        match (decoded.get(at + 1), decoded.get(at + 2)) {
            (Some('-'), Some(last)) if first <= last && (*last as u32 - *first as u32) < 256 => {
                set.extend(*first..=*last);
                at += 3;
            }
            _ => {
                set.push(*first);
                at += 1;
            }
        }
        if set.len() > 1_024 {
            break;
        }
    }
    set
}

/// Whether perl runs its program once for each line.
fn edits(call: &Call<'_>) -> bool {
    call.texts().iter().any(|text| ["-p", "-n", "-i", "-lp", "-ln"].iter().any(|flag| text.starts_with(flag)))
}

/// Commands that an awk program runs: `system("…" ENVIRON["NAME"] …)`.
fn awk_commands(shell: &mut Shell<'_, '_>, program: &str, bytes: crate::span::Bytes) {
    for (at, found) in program.match_indices("system(").take(8) {
        let mut rest = program.get(at + found.len()..).unwrap_or("");
        let mut code = Value::empty();
        while let Some(first) = rest.chars().next() {
            if first == ')' {
                break;
            } else if first == '"' {
                let text = rest.get(1..).unwrap_or("");
                let end = text.find('"').unwrap_or(text.len());
                code.push_text(text.get(..end).unwrap_or(""));
                rest = text.get(end + 1..).unwrap_or("");
            } else if let Some(inner) = rest.strip_prefix("ENVIRON[") {
                let (name, after) = inner.split_once(']').unwrap_or((inner, ""));
                let value = shell.variable(name.trim_matches(['"', '\'', ' ']));
                code.append(value);
                rest = after;
            } else {
                rest = rest.get(first.len_utf8()..).unwrap_or("");
            }
        }
        if !code.is_empty() && shell.depth() < 60 {
            shell.run_code(code, bytes, Vec::new());
        }
    }
}

/// `s#^#text#` and `s#$#text#`: text put before or behind each line.
fn affixes(program: &str) -> Option<(String, String)> {
    let rest = program.trim().strip_prefix('s')?;
    let mark = rest.chars().next().filter(|mark| !mark.is_ascii_alphanumeric())?;
    let mut fields = rest.get(mark.len_utf8()..)?.split(mark);
    let (pattern, replacement) = (fields.next()?, fields.next()?);
    match pattern {
        "^" => Some((replacement.to_owned(), String::new())),
        "$" => Some((String::new(), replacement.to_owned())),
        "^.*$" | ".*" | "\\(.*\\)" | "(.*)" => {
            let whole = replacement.replace("\\1", "&");
            let (before, after) = whole.split_once('&')?;
            Some((before.to_owned(), after.to_owned()))
        }
        _ => None,
    }
}

/// sed, awk: what they print comes from what they read, and a program that takes single characters spaces them out.
fn edit(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let mut content = input(shell, call);
    let program = call.joined();
    content.append(program.only_carried());
    if call.name.ends_with("awk") {
        let text = program.template();
        awk_commands(shell, &text, call.bytes);
    }
    if call.name == "sed"
        && let Some((before, after)) =
            call.operands().first().and_then(|operand| affixes(&operand.value.template()))
    {
        let mut line = Value::text(before);
        line.append(content);
        line.push_text(&after);
        return line;
    }
    if program.template().contains("ENVIRON") {
        content.append(shell.dump_environment(call.bytes));
    }
    let in_place = call.texts().iter().any(|text| text.starts_with("-i") || text == "--in-place");
    let spaces = is_spacing(&program.template());
    let hop = shell.hop(HopKind::Encode, &format!("through {}", call.name), call.bytes);
    let output = if content.carries() && spaces {
        content.encoded(Encoding::Spaced, &hop)
    } else {
        narrowed_unless_literal(content)
    };
    if in_place {
        for operand in call.operands() {
            let name = operand.value.template();
            if output.carries() && (name.contains('/') || name.contains('.')) && !name.contains(' ') {
                shell.write_to(&operand.value, output.clone(), true, operand.bytes);
            }
        }
        return Value::empty();
    }
    output
}

fn narrowed_unless_literal(content: Value) -> Value {
    if content.literal().is_some() { Value::unknown() } else { narrowed(content) }
}

/// `s/./& /g`, `s/\(.\)/\1 /g`, `s/.\{3\}/&-/g`, awk with an empty field separator or `substr` of one.
fn is_spacing(program: &str) -> bool {
    let compact: String = program.chars().filter(|character| !character.is_whitespace()).collect();
    [
        "s/./",
        "s/\\(.\\)",
        "s/(.)",
        "s|.|",
        "s/\\B",
        "s/.\\{",
        "s/.{",
        "s,.,",
        "FS=\"\"",
        "FS=''",
        "-F''",
        "-F\"\"",
        "substr(",
    ]
    .iter()
    .any(|pattern| compact.contains(pattern))
        && !compact.contains("s/.*")
}

fn copy(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let operands = call.operands();
    let Some((target, sources)) = operands.split_last() else { return };
    for source in sources {
        let name = source.value.template();
        let credential = super::credential_file(&name).is_some();
        if shell.state.read(&name).is_none() && !credential {
            continue;
        }
        let content = shell.read_file(&source.value, source.bytes);
        let mut path = target.value.template();
        if path.ends_with('/') || path == "." {
            path = format!("{}/{}", path.trim_end_matches('/'), name.rsplit('/').next().unwrap_or("file"));
        }
        shell.state.write(&path, content, false);
    }
}

/// Notes a command that stood encoded in the file, where it is run.
pub(super) fn note_decoded(shell: &mut Shell<'_, '_>, code: &Value, bytes: crate::span::Bytes) {
    let text = code.prefix().trim().to_owned();
    if !text.is_empty() && shell.tracer.decoded.contains(&text) {
        shell.observe(ObservationKind::DecodedCommand, Value::text("encoded"), bytes);
    }
}
