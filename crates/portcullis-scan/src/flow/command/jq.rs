//! `jq` and its kin: fields of documents, and what a program does to the form of what it prints.

use super::Call;
use super::filter::{encode, input};
use crate::flow::shell::Shell;
use crate::flow::value::{Encoding, HopKind, Value};

/// What it prints.
pub(super) fn run(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Value {
    let mut content = input(shell, call);
    if content.carries() && names_a_setting(call) {
        return Value::unknown();
    }
    if let Some(found) = literal(call, &content) {
        return found;
    }
    if content.is_identity() && takes_claims(call) {
        return Value::unknown();
    }
    if let Some(scripts) = program(call).and_then(|program| scripts_set(program.literal()?)) {
        return Value::text(scripts);
    }
    if content.carries() && takes_a_field(call) {
        let hop = shell.hop(HopKind::Carry, "a field of it", call.bytes);
        content = content.field(&hop);
    }
    content.append(call.joined().only_carried());
    let texts = call.texts();
    let named = |at: usize| {
        at.checked_sub(1)
            .and_then(|before| texts.get(before))
            .is_some_and(|before| before.starts_with("--arg"))
    };
    // `env.NAME`, `$ENV.NAME`: these and no others.
    let program = program(call).map(Value::template).unwrap_or_default();
    let mut named_in_program: Vec<String> = ["env.", "$ENV."]
        .iter()
        .flat_map(|mark| program.split(mark).skip(1))
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect())
        .filter(|name: &String| !name.is_empty())
        .collect();
    let picked = picked_by(&program);
    let mentions = program.matches("env").count() + program.matches("$ENV").count();
    let whole = mentions > named_in_program.len() + usize::from(picked.is_some());
    named_in_program.extend(picked.into_iter().flatten());
    if !named_in_program.is_empty() && !whole {
        for name in named_in_program {
            content.append(shell.variable(&name));
        }
        return changed_by_program(shell, call, content, &program);
    }
    let reads_environment = texts.iter().enumerate().any(|(at, text)| {
        text.contains("$ENV")
            || (!named(at)
                && (text == "env" || ["env|", "env.", "env "].iter().any(|start| text.starts_with(start))))
    });
    if reads_environment {
        content.append(shell.dump_environment(call.bytes));
    }
    changed_by_program(shell, call, content, &program)
}

/// The program: the first word that is neither an option nor the name or value of a variable (jq 1.7, "Invoking jq").
fn program<'c>(call: &'c Call<'_>) -> Option<&'c Value> {
    let mut words = call.arguments.iter();
    while let Some(word) = words.next() {
        let text = word.value.template();
        let taken = match text.as_str() {
            "--arg" | "--argjson" | "--slurpfile" | "--rawfile" | "--argfile" => 2,
            "--indent" | "-L" => 1,
            _ if text.starts_with('-') => 0,
            _ => return Some(&word.value),
        };
        for _ in 0..taken {
            words.next();
        }
    }
    None
}

/// Fields of a key's document that are no secret: its project, its account.
pub(in crate::flow) const SETTINGS: &[&str] = &[
    "project_id",
    "client_email",
    "client_id",
    "clientId",
    "type",
    "email",
    "name",
    "region",
    "account_id",
    "tenantId",
    "subscriptionId",
    "private_key_id",
    "token_uri",
    "auth_uri",
    "universe_domain",
    "username",
    "url",
    "host",
    "id",
];

/// `$ENV | {A, B: .C}`: the variables that an object takes out of the environment, where nothing else is taken beside it.
fn picked_by(program: &str) -> Option<Vec<String>> {
    let (_, rest) = program.split_once("$ENV").or_else(|| program.split_once("env"))?;
    let (fields, behind) =
        rest.trim_start().strip_prefix('|')?.trim_start().strip_prefix('{')?.split_once('}')?;
    // A comma would take the environment itself as well.
    if !behind.trim_start().is_empty() && !behind.trim_start().starts_with(['|', ')']) {
        return None;
    }
    let name = |field: &str| {
        let name = match field.split_once(':') {
            Some((_, value)) => value.trim().strip_prefix('.')?,
            None => field.trim(),
        };
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        plain.then(|| name.to_owned())
    };
    fields.split(',').map(name).collect()
}

/// Whether a program takes header or claims out of an identity token, and its signature not: `split(".") | .[1] | @base64d`.
fn takes_claims(call: &Call<'_>) -> bool {
    let program = call.joined().template().replace(' ', "");
    let Some((_, behind)) = program.split_once("split(\".\")") else { return false };
    let indices: Vec<&str> = behind.split('[').skip(1).filter_map(|rest| rest.split(']').next()).collect();
    !indices.is_empty() && indices.iter().all(|index| matches!(*index, "0" | "1" | "0,1" | "0:2" | ":2"))
}

/// Whether a program of jq's takes a field out of a document and prints it as it is.
fn takes_a_field(call: &Call<'_>) -> bool {
    let program = program(call).map(Value::template).unwrap_or_default();
    let program = program.trim();
    let path = program.strip_prefix('.').unwrap_or("");
    path.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '[' | '"'))
        && !["@base64", "length", "keys", "type", "has("].iter().any(|word| program.contains(word))
        || program.starts_with("to_entries")
}

/// `.scripts.NAME = "CODE"`: of a package file that is changed so, the one script that is known.
fn scripts_set(program: &str) -> Option<String> {
    let (_, assigned) = program.split_once(".scripts")?;
    let (name, code) = assigned.split_once('=')?;
    let name = name.trim_end_matches(['|', '+', ' ']).trim_matches(['.', '[', ']', '"', ' ']);
    let mut documents = serde_json::Deserializer::from_str(code.trim()).into_iter::<serde_json::Value>();
    let set = match documents.next()?.ok()? {
        serde_json::Value::Object(scripts) if name.is_empty() => serde_json::Value::Object(scripts),
        code @ serde_json::Value::String(_) if !name.is_empty() => serde_json::json!({ name: code }),
        _ => return None,
    };
    Some(serde_json::json!({ "scripts": set }).to_string())
}

/// What a program of jq's does to the form of what it prints.
fn changed_by_program(shell: &mut Shell<'_, '_>, call: &Call<'_>, content: Value, program: &str) -> Value {
    let apart = ["explode", "split(\"\")", "scan(\".\")"];
    if content.carries() && apart.iter().any(|word| program.contains(word)) {
        return encode(shell, call, content, Encoding::Spaced);
    }
    let encoded = program.matches("@base64").count().saturating_sub(2 * program.matches("@base64d").count());
    (0..encoded.min(2)).fold(content, |content, _| encode(shell, call, content, Encoding::Base64))
}

/// Whether jq takes out of a key's document what is no secret in it.
fn names_a_setting(call: &Call<'_>) -> bool {
    let program = program(call).map(Value::template).unwrap_or_default();
    let path = program.trim().strip_prefix('.').unwrap_or("");
    SETTINGS.contains(&path.trim_matches('"'))
}

/// `jq -n '"a" + "b"'`, and a plain path into JSON that is known.
fn literal(call: &Call<'_>, content: &Value) -> Option<Value> {
    let filter = program(call)?.literal()?.trim().to_owned();
    if filter.starts_with('"') {
        let mut out = String::new();
        for piece in filter.split('+') {
            out.push_str(
                piece
                    .trim()
                    .strip_prefix('"')?
                    .strip_suffix('"')
                    .filter(|text| !text.contains(['\\', '"']))?,
            );
        }
        return Some(Value::text(out));
    }
    let path = filter.strip_prefix('.')?;
    let document: serde_json::Value = serde_json::from_str(content.literal()?.trim()).ok()?;
    let mut at = &document;
    for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
        let step = step.trim_matches(['"', '?']);
        at = match step.parse::<usize>() {
            Ok(index) => at.get(index)?,
            Err(_) if step.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') => {
                at.get(step)?
            }
            Err(_) => return None,
        };
    }
    Some(Value::text(match at {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::shell::Argument;
    use crate::span::Bytes;

    fn found(words: &[&str]) -> Option<String> {
        let bytes = Bytes::new(0..0);
        let arguments: Vec<Argument> =
            words.iter().map(|word| Argument { value: Value::text(*word), bytes }).collect();
        let call = Call { name: "jq", arguments: &arguments, stdin: Value::empty(), bytes };
        let content = Value::text(r#"{"a":{"u":["x","y"]}}"#);
        literal(&call, &content).map(|value| value.template().trim_end().to_owned())
    }

    #[test]
    fn json_is_looked_into() {
        assert_eq!(found(&["-r", ".a.u[1]"]).as_deref(), Some("y"));
        assert_eq!(found(&["-r", "--arg", "a", ".b", "--indent", "2", ".a.u[0]"]).as_deref(), Some("x"));
        assert!(found(&[".a | keys"]).is_none());
    }
}
