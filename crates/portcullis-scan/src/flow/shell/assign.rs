//! Variables: assignments, declarations, what is exported.

use crate::syntax::Node;

use super::{Shell, shown};
use crate::flow::value::{HopKind, Value};

impl Shell<'_, '_> {
    pub(super) fn assign(&mut self, node: Node<'_>) -> Option<String> {
        self.assign_with(node, &[])
    }

    /// An assignment; the grammar sees the end of some values as words of their own.
    pub(super) fn assign_with(&mut self, node: Node<'_>, rest: &[Node<'_>]) -> Option<String> {
        let name_node = node.child_by_field_name("name")?;
        let text = self.parsed.script.slice(name_node.byte_range()).to_owned();
        let (name, index) = match text.split_once('[') {
            Some((name, index)) => (name.to_owned(), Some(index.trim_end_matches(']').to_owned())),
            None => (text, None),
        };
        let hop = self.hop(HopKind::Carry, &format!("variable {}", shown(&name)), self.bytes(node));
        let adds = self.parsed.script.slice(name_node.end_byte()..node.end_byte()).starts_with("+=");
        let value_node = node.child_by_field_name("value");
        let value = match value_node {
            Some(array) if array.kind() == "array" && index.is_none() => {
                let items = self.array(array).into_iter().map(|item| item.hop(&hop)).collect();
                self.set_array(&name, items, adds)
            }
            Some(value) => {
                let nodes: Vec<Node<'_>> = std::iter::once(value).chain(rest.iter().copied()).collect();
                self.joined(&nodes).hop(&hop)
            }
            None => Value::empty(),
        };
        match &index {
            Some(index) => self.set_element(&name, index, value.clone()),
            None if value_node.is_none_or(|value| value.kind() != "array") => {
                self.arrays.remove(&name);
            }
            None => {}
        }
        self.set(&name, value, adds || index.is_some());
        Some(name)
    }

    /// Sets a variable, or adds to it.
    pub fn set(&mut self, name: &str, value: Value, adds: bool) {
        if name == "PATH" {
            self.state.search(value.prefix().split(':').next().unwrap_or(""));
        }
        match self.variables.get_mut(name) {
            Some(old) if adds => old.append(value),
            // The other branch of an `if` may not have run: a secret that was in the variable may still be.
            Some(old) if old.carries() && !value.carries() && self.depth > 3 => {
                let kept = old.only_carried();
                *old = value;
                if old.is_empty() {
                    *old = kept;
                }
            }
            _ => {
                self.variables.insert(name.to_owned(), value);
            }
        }
    }

    pub(super) fn declaration(&mut self, node: Node<'_>) -> Value {
        let keyword = node.child(0).map(|child| child.kind().to_owned()).unwrap_or_default();
        let mut names = Vec::new();
        let mut prints = false;
        let mut refers = false;
        let mut exports = keyword == "export";
        for child in node.named_children().collect::<Vec<_>>() {
            match child.kind() {
                "variable_assignment" => names.extend(self.assign(child)),
                "variable_name" => names.push(self.parsed.script.slice(child.byte_range()).to_owned()),
                _ => {
                    let word = self.word(child);
                    let text = word.template();
                    refers |= text.starts_with('-') && text.contains('n');
                    prints |= text.starts_with('-') && text.contains('p');
                    exports |= text.starts_with('-') && text.contains('x');
                    // `export "$NAME=$VALUE"`: the grammar sees a word where the shell sees an assignment.
                    if let Some((name, _)) = text.split_once('=') {
                        let name = name.to_owned();
                        self.set(&name, word.only_carried(), false);
                        names.push(name);
                    }
                }
            }
        }
        if names.is_empty() && (prints || node.named_child_count() == 0 || exports) {
            return self.dump_environment(self.bytes(node));
        }
        if refers {
            // `declare -n NAME=OTHER`: the value of the other.
            for name in &names {
                let other = self.variables.get(name).and_then(|other| other.literal().map(str::to_owned));
                if let Some(other) = other {
                    let value = self.variable(&other);
                    self.set(name, value, false);
                }
            }
        }
        if exports {
            self.exported.extend(names);
        }
        Value::empty()
    }
}
