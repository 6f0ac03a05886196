//! People paste secrets into reports. A token's text is cut to its prefix before it is stored, signed or shown anywhere.

use serde_json::Value;

/// What this server's own tokens begin with: upload tokens (PyPI's format) and management tokens.
const PREFIXES: &[&str] = &["pypi-", "portcullis-"];

/// From how many characters on what follows a prefix is taken for a secret. Names such as `pypi-publish` are shorter, and the
/// shortest token is longer.
const SECRET_LENGTH: usize = 40;

/// The text without tokens.
#[must_use]
pub(crate) fn without_tokens(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, prefix, after)) = next(rest) {
        out.push_str(before);
        out.push_str(prefix);
        let secret: usize =
            after.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(byte)).count();
        if secret >= SECRET_LENGTH {
            out.push_str("[token removed]");
            rest = after.get(secret..).unwrap_or_default();
        } else {
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// The text around the first prefix in it.
fn next(text: &str) -> Option<(&str, &'static str, &str)> {
    let found = PREFIXES.iter().filter_map(|prefix| {
        let (before, after) = text.split_once(prefix)?;
        Some((before, *prefix, after))
    });
    found.min_by_key(|(before, ..)| before.len())
}

/// A document without tokens, in its member names too, written anew: an escape inside a string hides nothing.
#[must_use]
pub(crate) fn document_without_tokens(document: Value) -> Value {
    match document {
        Value::String(text) => Value::String(without_tokens(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(document_without_tokens).collect()),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| (without_tokens(&name), document_without_tokens(value)))
                .collect(),
        ),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_token_is_not_kept() {
        for prefix in PREFIXES {
            let token = format!("{prefix}{}", "A".repeat(60));
            assert_eq!(
                without_tokens(&format!("see {token}, and {prefix}publish")),
                format!("see {prefix}[token removed], and {prefix}publish")
            );
            let at_the_limit = "A".repeat(SECRET_LENGTH);
            assert_eq!(
                without_tokens(&format!("{prefix}{at_the_limit}")),
                format!("{prefix}[token removed]")
            );
            let short = format!("{prefix}{}", "A".repeat(SECRET_LENGTH - 1));
            assert_eq!(without_tokens(&short), short);
        }
        assert_eq!(without_tokens("nothing here"), "nothing here");
        let nested = format!("portcullis-pypi-{}", "A".repeat(60));
        assert_eq!(without_tokens(&nested), "portcullis-[token removed]");
    }

    #[test]
    fn a_document_keeps_its_form_and_loses_its_tokens() {
        let token = format!("pypi-{}", "A".repeat(60));
        let document =
            serde_json::json!({"a": [{"excerpt": format!("curl {token}")}, 1, null], token.clone(): true});
        let kept = document_without_tokens(document);
        let expected = serde_json::json!({"a": [{"excerpt": "curl pypi-[token removed]"}, 1, null], "pypi-[token removed]": true});
        assert_eq!(kept, expected);
    }
}
