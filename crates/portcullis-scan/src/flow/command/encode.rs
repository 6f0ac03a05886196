//! Programs that change the form of what they get: base64, hexadecimal, encryption, archives, other letters.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::Call;
use super::filter::{encode, input, narrowed};
use crate::flow::shell::{Argument, Shell};
use crate::flow::trace::{Channel, ObservationKind, Role};
use crate::flow::value::{Encoding, HopKind, Part, Value};

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

pub(super) fn base64(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let content = input(shell, call);
    if call.has(&["-d", "-D", "--decode"]) || call.has(&["--d"]) {
        // macOS: `-o FILE`.
        if let Some(path) = call.option(&["-o", "--output"]) {
            let mut content = call
                .option(&["-i", "--input"])
                .map(|from| shell.read_file(&from, call.bytes))
                .unwrap_or(content);
            content = undone(content, &[Encoding::Base64, Encoding::Base64Wrapped]);
            shell.write_to(&path, content, false, call.bytes);
            return Value::empty();
        }
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
pub(super) fn decoded_text(shell: &mut Shell<'_, '_>, call: &Call<'_>, bytes: &[u8]) -> Value {
    // Bytes that are no text stand as one character each, so that they can be unpacked.
    let text = crate::flow::code::as_text(bytes.to_vec());
    shell.tracer.reveals(&text);
    let _ = call;
    Value::text(text)
}

/// What compressed bytes of the file unfold to; anything else stays what it is.
pub(super) fn unpacked(shell: &mut Shell<'_, '_>, content: Value) -> Value {
    // The first bytes of gzip (RFC 1952) and zlib (RFC 1950).
    let literal = content.literal().filter(|text| text.starts_with("\u{1f}\u{8b}") || text.starts_with('x'));
    match literal.and_then(crate::flow::code::unpacked) {
        Some(text) => {
            shell.tracer.reveals(&text);
            Value::text(text)
        }
        None => content,
    }
}

pub(super) fn undone(value: Value, encodings: &[Encoding]) -> Value {
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

pub(super) fn hex(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
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

pub(super) fn openssl(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
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

pub(super) fn encrypting(shell: &mut Shell<'_, '_>, call: &Call<'_>, output_options: &[&str]) -> Value {
    let mut content = match call.option(&["-in"]) {
        Some(path) => shell.read_file(&path, call.bytes),
        // What comes in first is the passphrase (gpg, `--passphrase-fd 0`): it locks or signs the file, and is not in it.
        None if call.option(&["--passphrase-fd"]).is_some_and(|from| from.template() == "0")
            && call.operands().iter().any(|operand| operand.value.template() != "0") =>
        {
            let operands = call.operands();
            let file = operands.last().map(|operand| operand.value.clone()).unwrap_or_default();
            shell.read_file(&file, call.bytes)
        }
        None => input(shell, call),
    };
    if !content.carries() {
        content = narrowed(content);
    }
    // The key the data is locked with does not leave with it.
    let sealed = encode(shell, call, content, Encoding::Encrypted);
    match call.option(output_options).filter(|path| !matches!(path.template().as_str(), "-" | "/dev/stdout"))
    {
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

pub(super) fn archive(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let operands = files(call);
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
    let folder = call.option(&["-C", "--directory"]).map(|folder| folder.template());
    for operand in &operands {
        let name = operand.value.template();
        let inside = folder.as_ref().filter(|folder| **folder != name && !name.starts_with(['/', '~']));
        let inside = inside.map(|folder| format!("{}/{name}", folder.trim_end_matches('/')));
        let known =
            |name: &String| shell.state.read(name).is_some() || super::credential_file(name).is_some();
        if let Some(path) = inside.into_iter().chain([name]).find(known) {
            content.append(shell.read_file(&Value::text(path), operand.bytes));
        }
    }
    let packed = match has_password_in_file(call) {
        true => {
            let hop = shell.hop(HopKind::Encode, LOCKED, call.bytes);
            content.encoded(Encoding::Encrypted, &hop)
        }
        false => encode(shell, call, content, Encoding::Compressed),
    };
    let target = operands.iter().map(|operand| operand.value.template()).find(|name| {
        [".tar", ".tgz", ".gz", ".zip", ".7z", ".xz", ".bz2", ".zst"]
            .iter()
            .any(|suffix| name.ends_with(suffix))
    });
    match target.or_else(|| named_archive(call)) {
        Some(name) => {
            shell.state.write(&name, packed, false);
            Value::empty()
        }
        None => packed,
    }
}

/// The words that are no options, without the password that zip takes as a word of its own.
fn files<'c>(call: &'c Call<'_>) -> Vec<&'c Argument> {
    let password = if call.name == "zip" { call.option(&["-P", "--password"]) } else { None };
    let password = password.map(|password| password.template());
    let mut operands = call.operands();
    operands.retain(|operand| Some(operand.value.template()) != password);
    operands
}

/// What a hop says of an archive whose password stands in the file: it keeps nobody out who has read the workflow.
pub const LOCKED: &str = "an archive with a password that stands in the file";

/// `zip -P PASSWORD`, `7z -pPASSWORD`, where it is written out.
fn has_password_in_file(call: &Call<'_>) -> bool {
    let written = |value: &Value| value.literal().is_some_and(|text| !text.is_empty());
    match call.name {
        "zip" => call.option(&["-P", "--password"]).is_some_and(|password| written(&password)),
        "7z" | "7za" => call
            .arguments
            .iter()
            .any(|word| word.value.prefix().starts_with("-p") && written(&super::after(&word.value, 2))),
        _ => false,
    }
}

/// The archive that zip and 7z are told to write, however it is called: the first name, behind 7z's verb. They print it only where it
/// is called `-`, or by `-so`.
fn named_archive(call: &Call<'_>) -> Option<String> {
    if call.name == "tar" || call.texts().iter().any(|text| text == "-" || text == "-so") {
        return None;
    }
    let behind = if call.name == "zip" { 0 } else { 1 };
    let name = files(call).get(behind)?.value.template();
    (!name.is_empty()).then_some(name)
}

pub(super) fn translate(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
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
                shell.tracer.reveals(&replaced);
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
pub(super) fn character_set(text: &str) -> Vec<char> {
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

/// Notes a command that stood encoded in the file, where it is run.
pub(super) fn note_decoded(shell: &mut Shell<'_, '_>, code: &Value, bytes: crate::span::Bytes) {
    let text = code.prefix().trim().to_owned();
    if !text.is_empty() && shell.tracer.decoded.contains(&text) {
        shell.observe(ObservationKind::DecodedCommand, Value::text("encoded"), bytes);
    }
}
