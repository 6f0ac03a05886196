//! Which secrets a part of a workflow names, and what they are called where they come from.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::workflow::Entry;
use crate::workflow::expression::{Piece, pieces};
use crate::yaml::{Content, Node};

/// Most nodes looked at; aliases share nodes, so that a walk could be longer than its file.
const NODES_MAX: usize = 100_000;

/// Names of secrets, which GitHub compares without case, as first written.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    named: BTreeMap<String, String>,
    /// Whether it is all of them: `toJSON(secrets)`, an index that only the run knows, `secrets: inherit`.
    pub(super) all: bool,
}

impl Names {
    /// Those that stand below a node.
    pub(super) fn below(node: &Arc<Node>) -> Self {
        let mut names = Self::default();
        let mut open = vec![(node, false)];
        let mut visited = 0;
        while let Some((node, is_expression)) = open.pop() {
            visited += 1;
            if visited > NODES_MAX {
                names.all = true;
                break;
            }
            match &node.content {
                Content::Scalar(scalar) if is_expression && !scalar.text.contains("${{") => {
                    names.read(&scalar.text);
                }
                Content::Scalar(scalar) => {
                    for piece in pieces(&scalar.text) {
                        if let Piece::Expression(_, inner) = piece {
                            names.read(scalar.text.get(inner).unwrap_or_default());
                        }
                    }
                }
                Content::Sequence(items) => open.extend(items.iter().map(|item| (item, false))),
                // A condition is an expression without its braces.
                Content::Mapping(pairs) => {
                    open.extend(pairs.iter().map(|(key, value)| (value, key.text() == Some("if"))));
                }
            }
        }
        names
    }

    /// Those that stand in the values of entries.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut names = Self::default();
        for entry in entries {
            names.add(&Self::below(&entry.node));
        }
        names
    }

    /// Takes others over.
    pub(super) fn add(&mut self, others: &Self) {
        self.all |= others.all;
        for (key, name) in &others.named {
            self.named.entry(key.clone()).or_insert_with(|| name.clone());
        }
    }

    /// Takes one over.
    pub(super) fn insert(&mut self, name: &str) {
        if !name.eq_ignore_ascii_case("GITHUB_TOKEN") {
            self.named.entry(name.to_ascii_uppercase()).or_insert_with(|| name.to_owned());
        }
    }

    /// Whether it is among them.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.named.contains_key(&name.to_ascii_uppercase())
    }

    /// Their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.named.values().map(String::as_str)
    }

    /// Reads an expression.
    fn read(&mut self, expression: &str) {
        let mut rest = expression;
        let mut before = ' ';
        while let Some(first) = rest.chars().next() {
            if first == '\'' {
                let text = rest.get(1..).unwrap_or_default();
                rest = text.find('\'').and_then(|end| text.get(end + 1..)).unwrap_or_default();
                before = '\'';
                continue;
            }
            let word: String =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect();
            if word.is_empty() {
                before = first;
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
                continue;
            }
            rest = rest.get(word.len()..).unwrap_or_default();
            if word.eq_ignore_ascii_case("secrets") && before != '.' {
                self.member(rest.trim_start());
            }
            before = 'a';
        }
    }

    /// What follows the word `secrets`.
    fn member(&mut self, rest: &str) {
        let name = if let Some(rest) = rest.strip_prefix('.') {
            let rest = rest.trim_start();
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect()
        } else if let Some(rest) = rest.strip_prefix('[') {
            let literal = rest.trim_start().strip_prefix('\'').and_then(|text| text.split_once('\''));
            literal
                .filter(|(_, after)| after.trim_start().starts_with(']'))
                .map(|(name, _)| name.to_owned())
                .unwrap_or_default()
        } else {
            String::new()
        };
        if name.is_empty() { self.all = true } else { self.insert(&name) }
    }
}

/// What a called workflow's secrets are at its caller.
#[derive(Clone, Debug)]
pub(super) enum Handed {
    /// The repository's own, by their own names.
    Own,
    /// Those that the caller names, by the names of the called.
    Named(BTreeMap<String, Names>),
}

impl Handed {
    /// The repository's secrets behind names.
    pub(super) fn origin(&self, names: &Names) -> Names {
        match self {
            Self::Own => names.clone(),
            Self::Named(handed) => {
                let mut origin = Names::default();
                for (name, behind) in handed {
                    if names.all || names.contains(name) {
                        origin.add(behind);
                    }
                }
                origin
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_every_form() {
        for (text, expected, all) in [
            ("${{ secrets.A }}${{ Secrets['b'] }}", &["A", "b"][..], false),
            ("{if: \"secrets.C != ''\"}", &["C"], false),
            ("${{ toJSON(secrets) }}", &[], true),
            ("${{ secrets[matrix.name] }}", &[], true),
            ("${{ secrets.* }}", &[], true),
            ("${{ github.secrets.D }} ${{ 'secrets.E' }} secrets.F", &[], false),
            ("${{ secrets.GITHUB_TOKEN }}", &[], false),
            ("${{ secrets[format('{0}', 'X')] }}", &[], true),
        ] {
            let names = Names::below(&crate::yaml::parse(&format!("x: {text}")).unwrap());
            assert_eq!(names.iter().collect::<Vec<_>>(), expected, "{text}");
            assert_eq!(names.all, all, "{text}");
        }
    }
}
