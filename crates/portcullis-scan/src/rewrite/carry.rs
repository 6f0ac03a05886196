//! What a job hands to a later one: outputs of its steps, and variables that it set for what followed.

use std::collections::BTreeMap;

/// Outputs that the building job needs, and where later jobs find them.
pub(super) struct Carry {
    build: String,
    outputs: BTreeMap<String, String>,
}

impl Carry {
    pub(super) fn new(build: &str) -> Self {
        Self { build: build.to_owned(), outputs: BTreeMap::new() }
    }

    /// Has an expression of the building job handed over; gives the expression that later jobs read it with.
    pub(super) fn output(&mut self, name: &str, expression: &str) -> String {
        let name: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' })
            .collect();
        self.outputs.insert(name.clone(), expression.to_owned());
        format!("needs.{}.outputs.{name}", self.build)
    }

    pub(super) fn outputs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.outputs.iter().map(|(name, expression)| (name.as_str(), expression.as_str()))
    }

    /// Hands over what another would.
    pub(super) fn take(&mut self, other: Self) {
        self.outputs.extend(other.outputs);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    /// A text with `steps.ID.…` of these steps read from the building job's outputs instead.
    pub(super) fn steps(&mut self, text: &str, ids: &[&str]) -> String {
        let mut changed = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("steps.") {
            let (before, from) = rest.split_at(at);
            changed.push_str(before);
            let inside = before.chars().next_back().or_else(|| changed.chars().next_back());
            let is_word = !inside.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
            let path: String = from
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
                .collect();
            let id = path.split('.').nth(1).unwrap_or("");
            if is_word && path.matches('.').count() >= 2 && ids.contains(&id) {
                let name = path.trim_start_matches("steps.").replace(".outputs.", "-").replace('.', "-");
                let read = self.output(&name, &path);
                changed.push_str(&read);
                rest = from.get(path.len()..).unwrap_or("");
            } else {
                changed.push_str("steps.");
                rest = from.get("steps.".len()..).unwrap_or("");
            }
        }
        changed.push_str(rest);
        changed
    }
}

/// Names of variables that a script sets for the steps after it, where they can be read.
pub(super) fn set_for_later(script: &str) -> Vec<String> {
    let mut names = Vec::new();
    let of_lines = |names: &mut Vec<String>, wanted: &dyn Fn(&str) -> bool| {
        for line in script.lines().filter(|line| wanted(line)) {
            names.extend(assigned(line).into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>());
        }
    };
    of_lines(&mut names, &|line| line.contains("GITHUB_ENV"));
    // `{ echo A=1; echo B=2; } >> $GITHUB_ENV`: the names stand on the lines before.
    let by_block = script.lines().any(|line| line.contains("GITHUB_ENV") && assigned(line).is_empty());
    if by_block {
        of_lines(&mut names, &|line| !line.contains("GITHUB_OUTPUT"));
    }
    names
}

/// Names before an equals sign, each the beginning of a word.
fn assigned(line: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in line.match_indices('=') {
        let before = line.get(..at).unwrap_or("");
        let start = before.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(0, |at| {
            at + before.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
        });
        let name = before.get(start..).unwrap_or("");
        let begins = before
            .get(..start)
            .and_then(|rest| rest.chars().next_back())
            .is_none_or(|c| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '(' | '{'));
        if begins && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            names.push(name.to_owned());
        }
    }
    names
}

/// Whether a word stands in a text by itself.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_of_steps_become_outputs_of_the_job() {
        let mut carry = Carry::new("b");
        let text =
            "x ${{ steps.v.outputs.tag }} ${{ steps.own.outputs.y }} mysteps.v.z ${{ steps.v.outcome }}";
        assert_eq!(
            carry.steps(text, &["v"]),
            "x ${{ needs.b.outputs.v-tag }} ${{ steps.own.outputs.y }} mysteps.v.z ${{ needs.b.outputs.v-outcome }}"
        );
        let all: Vec<_> = carry.outputs().collect();
        assert_eq!(all, [("v-outcome", "steps.v.outcome"), ("v-tag", "steps.v.outputs.tag")]);
    }

    #[test]
    fn variables_for_later_steps() {
        for (script, names) in [
            (
                "V=1\necho \"VERSION=${GITHUB_REF#refs/tags/}\" >> $GITHUB_ENV\necho \"a-B=c\"",
                &["VERSION"][..],
            ),
            ("echo v=1 >> $GITHUB_OUTPUT\necho 'NEXT=2' >> \"$GITHUB_ENV\"", &["NEXT"]),
            ("{\n  echo A=1\n  echo B=2\n} >> $GITHUB_ENV\necho o=1 >> $GITHUB_OUTPUT", &["A", "B"]),
        ] {
            assert_eq!(set_for_later(script), names, "{script}");
        }
        assert!(set_for_later("A=1").is_empty());
        assert!(has_word("x $VERSION y", "VERSION") && !has_word("MY_VERSION", "VERSION"));
    }
}
