//! Trusted Publishers: what is stored of one, and the outcome of comparing one with the claims of a job.

use serde_json::Value;
use uuid::Uuid;

/// The most candidates that a refusal tells about.
pub const DIFFERENCES_MAX: usize = 3;
/// The longest value of a claim or a field that a refusal shows, in characters.
const SHOWN_CHARACTERS_MAX: usize = 200;

/// A publisher's configuration, validated, in the form in which the index stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// The provider's name.
    pub provider: &'static str,
    /// The issuer whose tokens it trusts.
    pub issuer: String,
    /// What no two publishers of one issuer share: two projects that ask for exactly this trust one publisher.
    pub identity_key: String,
    /// What candidates for a token are found by.
    pub lookup_key: String,
    /// The repository in the desk's spelling (`github.com/owner/name`, lower case), where the provider has repositories.
    pub repository: Option<String>,
    /// Where people find the repository.
    pub url: Option<String>,
    /// What in the repository may publish: the workflow's file name.
    pub specifier: String,
    /// The configuration as JSON text. Only its provider reads it.
    pub configuration: String,
    /// The fields as people gave them, in the order of the form; empty ones are left out.
    pub shown: Vec<(&'static str, String)>,
    /// Whether it is bound to an environment or pinned to refs.
    pub openness: Openness,
}

/// Who can publish with a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Openness {
    /// Neither an environment nor a ref is pinned: whoever can push to any branch can change the workflow there and publish.
    Open,
    /// An environment or refs are pinned.
    Pinned,
}

/// A stored publisher that a token's lookup key leads to.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The id of its row.
    pub id: Uuid,
    /// Its configuration as stored.
    pub configuration: String,
}

/// The publisher that a job's claims match.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The candidate's id.
    pub id: Uuid,
    /// The configuration with what this token taught: ids that were not given are pinned at the first mint. `None` where
    /// nothing is new. It must be stored in the minting transaction.
    pub pinned: Option<String>,
    /// The page of the commit that the job runs for.
    pub url: Option<String>,
    /// Claims worth keeping with the minted token: what ran, for whom, from which commit.
    pub minted_from: Value,
    /// Things that are allowed but that an owner may want to know.
    pub remarks: Vec<Remark>,
}

/// Something about a mint that is worth an event's detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remark {
    /// The job ran a reusable workflow.
    ReusableWorkflow,
    /// The job names an environment, the publisher does not ask for one.
    EnvironmentNotPinned,
}

/// Why no publisher matches.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// This token was exchanged before. The reference answers with a code of its own.
    #[error("already used")]
    AlreadyUsed,
    /// The claims differ.
    #[error("{detail}{}", differences_text(.differences))]
    Claims {
        /// The reference's text, unchanged.
        detail: String,
        /// What differs from publishers of this very owner and repository. Empty where owner and repository of the token
        /// are no publisher's: a stranger learns nothing.
        differences: Vec<Difference>,
    },
}

/// One field in which a token differs from a publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field of the configuration.
    pub field: &'static str,
    /// What the publisher wants.
    pub expected: String,
    /// What the token says.
    pub got: String,
}

impl Mismatch {
    /// A refusal with the reference's text alone.
    pub fn plain(detail: impl Into<String>) -> Mismatch {
        Mismatch::Claims { detail: detail.into(), differences: Vec::new() }
    }

    /// A refusal that says what differs from up to [`DIFFERENCES_MAX`] candidates; equal ones are said once.
    pub fn with_differences(detail: impl Into<String>, found: Vec<Difference>) -> Mismatch {
        let mut differences: Vec<Difference> = Vec::new();
        for difference in found {
            if differences.len() < DIFFERENCES_MAX && !differences.contains(&difference) {
                differences.push(difference);
            }
        }
        Mismatch::Claims { detail: detail.into(), differences }
    }
}

/// `; FIELD: expected X, got Y` for each difference: what follows the reference's text in an answer.
pub fn differences_text(differences: &[Difference]) -> String {
    let mut text = String::new();
    for Difference { field, expected, got } in differences {
        text.push_str(&format!("; {field}: expected {}, got {}", shown(expected), shown(got)));
    }
    text
}

/// Values come from a stranger's token and from another person's form: they are shortened and kept to one line.
fn shown(value: &str) -> String {
    if value.is_empty() {
        return "nothing".to_owned();
    }
    let mut text: String =
        value.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect();
    if let Some((cut, _)) = text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

/// What is wrong with one field of a form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// The field's name.
    pub field: String,
    /// What to do about it; PyPI's text where PyPI has one.
    pub message: String,
}

/// A stored configuration that its provider cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading a stored publisher of {provider}: {cause}; was it written by a newer release?")]
pub struct ConfigurationError {
    /// The provider's name.
    pub provider: &'static str,
    /// What the JSON parser said.
    pub cause: String,
}

/// Renders text as Python's `repr` does, since the reference's texts hold such renderings: single quotes, unless the text
/// has some and no double ones.
pub(crate) fn python_text(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if character == quote => {
                out.push('\\');
                out.push(character);
            }
            _ if character.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(character))),
            _ => out.push(character),
        }
    }
    out.push(quote);
    out
}

/// Renders a sorted list as Python's `repr` does.
pub(crate) fn python_list(texts: &[String]) -> String {
    let items: Vec<String> = texts.iter().map(|text| python_text(text)).collect();
    format!("[{}]", items.join(", "))
}

/// Whether `text` matches `pattern`, in which `*` stands for any characters but `/` and `**` for any characters: GitHub's
/// own rule for the names of branches and tags.
pub(crate) fn glob_matches(pattern: &str, text: &str) -> bool {
    // Every position that the pattern so far can end at; so each character costs one pass, and no pattern explodes.
    let text: Vec<char> = text.chars().collect();
    let mut ends = vec![false; text.len() + 1];
    if let Some(first) = ends.first_mut() {
        *first = true;
    }
    let mut rest = pattern;
    while let Some(character) = rest.chars().next() {
        let mut next = vec![false; ends.len()];
        if let Some(after) = rest.strip_prefix("**") {
            let mut reached = false;
            for (end, next) in ends.iter().zip(&mut next) {
                reached |= *end;
                *next = reached;
            }
            rest = after;
        } else if let Some(after) = rest.strip_prefix('*') {
            let mut reached = false;
            for (index, (end, next)) in ends.iter().zip(&mut next).enumerate() {
                let crossed = index.checked_sub(1).and_then(|before| text.get(before)) == Some(&'/');
                reached = *end || (reached && !crossed);
                *next = reached;
            }
            rest = after;
        } else {
            for ((end, next), here) in ends.iter().zip(next.iter_mut().skip(1)).zip(&text) {
                *next = *end && *here == character;
            }
            rest = rest.get(character.len_utf8()..).unwrap_or_default();
        }
        ends = next;
    }
    ends.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn difference(index: usize) -> Difference {
        Difference { field: "workflow", expected: format!("{index}.yml"), got: "x.yml".to_owned() }
    }

    fn differences(mismatch: Mismatch) -> Vec<Difference> {
        let Mismatch::Claims { differences, .. } = mismatch else { panic!("{mismatch}") };
        differences
    }

    #[test]
    fn at_most_three_candidates_are_told_of_and_equal_ones_once() {
        let of = |indices: &[usize]| {
            let found = indices.iter().map(|index| difference(*index)).collect();
            differences(Mismatch::with_differences("text", found))
        };
        assert_eq!(of(&[1, 2, 3]), [difference(1), difference(2), difference(3)]);
        assert_eq!(of(&[1, 2, 3, 4]), [difference(1), difference(2), difference(3)]);
        assert_eq!(of(&[1, 1, 2, 1]), [difference(1), difference(2)]);
    }

    #[test]
    fn a_difference_follows_the_reference_text() {
        let mismatch = Mismatch::with_differences("text", vec![difference(1), difference(2)]);
        assert_eq!(
            mismatch.to_string(),
            "text; workflow: expected 1.yml, got x.yml; workflow: expected 2.yml, got x.yml"
        );
        assert_eq!(Mismatch::plain("text").to_string(), "text");
    }

    #[test]
    fn shown_values_are_one_short_line() {
        let long = "x".repeat(SHOWN_CHARACTERS_MAX);
        assert_eq!(shown(&long), long);
        assert_eq!(shown(&format!("{long}y")), format!("{long}…"));
        assert_eq!(shown("a\r\nb\u{1b}[0m"), "a\u{fffd}\u{fffd}b\u{fffd}[0m");
        assert_eq!(shown(""), "nothing");
    }

    #[test]
    fn texts_are_rendered_as_python_does() {
        for (text, rendered) in [
            ("a", "'a'"),
            ("", "''"),
            ("it's", "\"it's\""),
            ("\"it's\"", "'\"it\\'s\"'"),
            ("a\\b\n\t\u{7f}\u{85}é", "'a\\\\b\\n\\t\\x7f\\x85é'"),
        ] {
            assert_eq!(python_text(text), rendered);
        }
        assert_eq!(python_list(&["a".to_owned(), "b".to_owned()]), "['a', 'b']");
    }

    #[test]
    fn a_star_stops_at_slashes_and_two_do_not() {
        for (pattern, text, fits) in [
            ("refs/heads/main", "refs/heads/main", true),
            ("refs/heads/main", "refs/heads/main2", false),
            ("refs/heads/main", "xrefs/heads/main", false),
            ("refs/tags/v*", "refs/tags/v1.0", true),
            ("refs/tags/v*", "refs/tags/v", true),
            ("refs/tags/v*", "refs/tags/w1", false),
            ("refs/tags/v*", "refs/tags/v1/x", false),
            ("refs/tags/v*", "refs/heads/refs/tags/v1", false),
            ("refs/tags/*/v*", "refs/tags/a/v1", true),
            ("refs/tags/**", "refs/tags/a/b/c", true),
            ("refs/**/v1", "refs/tags/a/v1", true),
            ("refs/tags/*.*", "refs/tags/1.0", true),
            ("refs/tags/*.*", "refs/tags/10", false),
            ("refs/tags/v?", "refs/tags/v1", false),
            ("", "", true),
            ("", "x", false),
            ("*", "", true),
            ("refs/heads/ü*", "refs/heads/über", true),
        ] {
            assert_eq!(glob_matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_ends() {
        let text = "a".repeat(2_000);
        assert!(!glob_matches(&format!("{}b", "*a".repeat(100)), &text));
    }

    proptest! {
        #[test]
        fn patterns_without_stars_match_themselves_only(pattern in "[a-z/]{0,12}", text in "[a-z/]{0,12}") {
            prop_assert!(glob_matches(&pattern, &pattern));
            prop_assert_eq!(glob_matches(&pattern, &text), pattern == text);
        }

        #[test]
        fn a_star_matches_whatever_has_no_slash(before in "[a-z]{0,4}", middle in "[^/]{0,8}", after in "[a-z]{0,4}") {
            let pattern = format!("{before}*{after}");
            let text = format!("{before}{middle}{after}");
            prop_assert!(glob_matches(&pattern, &text));
        }
    }
}
