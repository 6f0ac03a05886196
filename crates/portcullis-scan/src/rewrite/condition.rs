//! Conditions: what a step asks with `if:`, asked by the job that takes the step over.

use super::carry::Carry;

/// What only a step can ask; a job's `if` does not know these contexts.
const STEP_ONLY: &[&str] =
    &["steps.", "matrix.", "env.", "runner.", "strategy.", "job.", "secrets.", "steps[", "env[", "matrix["];
/// What asks how the job went so far; a job asks that about the jobs it needs.
const STATUS: &[&str] = &["always()", "failure()", "cancelled()"];

/// A condition without its braces; `None` where it is text with expressions in it, which is always true.
pub(super) fn bare(condition: &str) -> Option<&str> {
    let inner = condition.trim();
    let inner = inner.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(inner).trim();
    (!inner.contains("${{") && !inner.contains("}}") && !inner.is_empty()).then_some(inner)
}

/// Whether it asks for the outcome of what went before, so that it is not skipped after a failure.
pub(super) fn asks_status(condition: &str) -> bool {
    STATUS.iter().any(|call| condition.replace(' ', "").contains(call))
}

/// The same question as a job may ask it. What only steps know is answered by the job before, as an output; in a matrix,
/// where each run of that job answers for itself, such a part is left out.
pub(super) fn for_a_job(condition: &str, id: &str, matrix: bool, carry: &mut Carry) -> Option<String> {
    let inner = bare(condition)?;
    let mut kept: Vec<String> = Vec::new();
    let mut carried: Vec<&str> = Vec::new();
    for part in conjuncts(inner) {
        if asks_status(part) {
            continue;
        }
        if !mentions(part, STEP_ONLY) && !part.contains("hashFiles") {
            kept.push(part.to_owned());
        } else if !matrix && !part.contains("hashFiles") && !part.contains("matrix.") {
            carried.push(part);
        }
    }
    if !carried.is_empty() {
        let asked = carried.join(" && ");
        // What is no comparison may be any text, and `'false'` is true.
        let compares = |part: &&str| (part.contains("==") || part.contains("!=")) && !part.contains("||");
        let asked = if carried.iter().all(compares) { asked } else { format!("({asked}) && true || false") };
        kept.push(format!("{} == 'true'", carry.output(&format!("run-{id}"), &asked)));
    }
    (!kept.is_empty()).then(|| kept.join(" && "))
}

/// A condition of a job that needs jobs which may have been skipped, and runs all the same: only failure stops it.
pub(super) fn patient(build: &str, condition: Option<&str>) -> String {
    let own = match condition.and_then(bare) {
        Some(own) if own.contains("||") => format!(" && ({own})"),
        Some(own) => format!(" && {own}"),
        None => String::new(),
    };
    format!("${{{{ !failure() && !cancelled() && needs.{build}.result == 'success'{own} }}}}")
}

/// The parts that `&&` joins at the outermost level; one part if `||` stands there too.
fn conjuncts(inner: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0_i32, false);
    let bytes = inner.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\'' => quoted = !quoted,
            _ if quoted => {}
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'|' if depth == 0 => return vec![inner],
            b'&' if depth == 0 && bytes.get(at + 1) == Some(&b'&') => {
                parts.push(inner.get(start..at).unwrap_or("").trim());
                start = at + 2;
            }
            _ => {}
        }
    }
    parts.push(inner.get(start..).unwrap_or("").trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// Whether a context is named, as a word of its own.
fn mentions(text: &str, contexts: &[&str]) -> bool {
    contexts.iter().any(|context| {
        text.match_indices(context).any(|(at, _)| {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            !before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        })
    })
}

/// The jobs that a text reads outputs or results of, besides those that are needed anyway.
pub(super) fn read_jobs(text: &str, known: &[&str]) -> Vec<String> {
    let mut jobs: Vec<String> = Vec::new();
    for (at, word) in text.match_indices("needs.") {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let inside = before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let rest = text.get(at + word.len()..).unwrap_or("");
        let name: String =
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect();
        if !inside && !name.is_empty() && !known.contains(&name.as_str()) && !jobs.contains(&name) {
            jobs.push(name);
        }
    }
    jobs
}

/// A text as a YAML scalar: plain where that is safe.
pub(super) fn scalar(text: &str) -> String {
    let plain = !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
        && !text
            .starts_with(['!', '&', '*', '\'', '"', '{', '[', '|', '>', '@', '`', '%', '-', '?', '#', ' '])
        && !text.contains('\n')
        && !text.is_empty();
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "''").replace('\n', " ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_answer_what_a_job_can_not_ask() {
        for (condition, matrix, expected, output) in [
            ("startsWith(github.ref, 'refs/tags')", false, Some("startsWith(github.ref, 'refs/tags')"), None),
            (
                "${{ success() && github.ref == 'a && b' }}",
                false,
                Some("success() && github.ref == 'a && b'"),
                None,
            ),
            (
                "github.event_name == 'push' && matrix.os == 'x'",
                true,
                Some("github.event_name == 'push'"),
                None,
            ),
            ("matrix.os == 'x'", true, None, None),
            ("always() && github.ref == 'x'", false, Some("github.ref == 'x'"), None),
            (
                "github.ref == 'x' && steps.new.outputs.is == 'yes'",
                false,
                Some("github.ref == 'x' && needs.build.outputs.run-p == 'true'"),
                Some("steps.new.outputs.is == 'yes'"),
            ),
            (
                "env.A || github.actor == 'x'",
                false,
                Some("needs.build.outputs.run-p == 'true'"),
                Some("(env.A || github.actor == 'x') && true || false"),
            ),
            ("x ${{ github.ref }}", false, None, None),
        ] {
            let mut carry = Carry::new("build");
            assert_eq!(for_a_job(condition, "p", matrix, &mut carry).as_deref(), expected, "{condition}");
            let asked = carry.outputs().next().map(|(_, expression)| expression.to_owned());
            assert_eq!(asked.as_deref(), output, "{condition}");
        }
    }

    #[test]
    fn a_scalar_is_read_back_as_it_was() {
        for text in ["a == 'b'", "!x", "a: b", "'a' == b", "x # y", "it's", "- a", "a:"] {
            let root = crate::yaml::parse(&format!("if: {}\n", scalar(text))).unwrap();
            assert_eq!(root.get("if").unwrap().text(), Some(text));
        }
    }
}
