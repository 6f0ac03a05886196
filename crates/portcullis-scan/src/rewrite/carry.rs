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
    if !script.contains("GITHUB_ENV") {
        return Vec::new();
    }
    let mut names = Vec::new();
    for (at, _) in script.match_indices('=') {
        let before = script.get(..at).unwrap_or("");
        let name: String =
            before.chars().rev().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let name: String = name.chars().rev().collect();
        let starts = before.get(..before.len() - name.len()).and_then(|rest| rest.chars().next_back());
        let begins = starts.is_none_or(|c| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '(' | '{'));
        if begins
            && name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && !names.contains(&name)
        {
            names.push(name);
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
        assert_eq!(
            set_for_later("V=1\necho \"VERSION=${GITHUB_REF#refs/tags/}\" >> $GITHUB_ENV\necho \"a-B=c\""),
            ["V", "VERSION"]
        );
        assert!(set_for_later("A=1").is_empty());
        assert!(has_word("x $VERSION y", "VERSION") && !has_word("MY_VERSION", "VERSION"));
    }
}
