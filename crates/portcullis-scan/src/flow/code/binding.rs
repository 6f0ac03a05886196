//! Names of a program: its functions, and what is bound to its variables.

use crate::syntax::Node;

use super::Program;
use crate::flow::shell::shown;
use crate::flow::value::{HopKind, Part, Value};

impl Program<'_, '_, '_> {
    /// Finds the functions first: they may be called above their definition.
    pub(super) fn declare(&mut self, node: Node<'_>, depth: usize) {
        // Most nodes are leaves, and walking costs something even where nothing is below.
        if depth > 40 || node.child_count() == 0 {
            return;
        }
        for child in node.named_children() {
            if matches!(child.kind(), "function_definition" | "function_declaration")
                && let (Some(name), Some(body)) =
                    (child.child_by_field_name("name"), child.child_by_field_name("body"))
            {
                let parameters = child
                    .child_by_field_name("parameters")
                    .map(|list| self.parameter_names(list))
                    .unwrap_or_default();
                let name = self.text(name).to_owned();
                self.functions.insert(name, (body.byte_range(), parameters));
            }
            // `send = lambda a, b: …`
            if child.kind() == "assignment"
                && let (Some(name), Some(value)) =
                    (child.child_by_field_name("left"), child.child_by_field_name("right"))
                && value.kind() == "lambda"
                && let Some(body) = value.child_by_field_name("body")
            {
                let parameters = value.child_by_field_name("parameters");
                let parameters = parameters.map(|list| self.parameter_names(list)).unwrap_or_default();
                let name = self.text(name).to_owned();
                self.functions.insert(name, (body.byte_range(), parameters));
            }
            // `const send = (a, b) => …`
            if child.kind() == "variable_declarator"
                && let (Some(name), Some(value)) =
                    (child.child_by_field_name("name"), child.child_by_field_name("value"))
                && matches!(value.kind(), "arrow_function" | "function_expression")
                && let Some(body) = value.child_by_field_name("body")
            {
                let parameters = value
                    .child_by_field_name("parameters")
                    .or_else(|| value.child_by_field_name("parameter"));
                let parameters = parameters.map(|list| self.parameter_names(list)).unwrap_or_default();
                let name = self.text(name).to_owned();
                self.functions.insert(name, (body.byte_range(), parameters));
            }
            self.declare(child, depth + 1);
        }
    }

    pub(super) fn parameter_names(&self, list: Node<'_>) -> Vec<String> {
        let mut names = Vec::new();
        if list.kind() == "identifier" {
            return vec![self.text(list).to_owned()];
        }
        for child in list.named_children().collect::<Vec<_>>() {
            self.names_in(child, &mut names, 0);
        }
        names
    }

    /// Names that a pattern binds.
    pub(super) fn names_in(&self, node: Node<'_>, names: &mut Vec<String>, depth: usize) {
        if matches!(node.kind(), "identifier" | "shorthand_property_identifier_pattern" | "variable" | "this")
        {
            names.push(self.text(node).trim_start_matches('$').to_owned());
            return;
        }
        if depth > 8 || node.child_count() == 0 {
            return;
        }
        for child in node.named_children() {
            self.names_in(child, names, depth + 1);
        }
    }

    pub(super) fn bind(&mut self, target: Node<'_>, value: &Value, adds: bool) {
        let mut names = Vec::new();
        self.names_in(target, &mut names, 0);
        let many = names.len() > 1;
        for name in names {
            let hop = self.hop(HopKind::Carry, &format!("variable {}", shown(&name)), self.bytes(target));
            let value = value.clone().hop(&hop);
            let is_identifier = target.kind() == "identifier";
            match self.variables.get_mut(&name) {
                // `url += "…"` puts a string together; `lines[at] = lines[at][1:]` says nothing that is not there already.
                Some(old) if (adds || many) && is_identifier => old.append(value),
                Some(old) if adds || many => old.append_new(value),
                _ => {
                    self.variables.insert(name, value);
                }
            }
            // `client.headers = …` changes the first name only.
            if matches!(
                target.kind(),
                "attribute" | "member_expression" | "subscript" | "subscript_expression"
            ) {
                break;
            }
        }
    }

    /// `const { A, B: b } = process.env`.
    pub(super) fn pick(&mut self, pattern: Node<'_>) {
        for child in pattern.named_children().collect::<Vec<_>>() {
            let key = child.child_by_field_name("key").unwrap_or(child);
            let name = child.child_by_field_name("value").unwrap_or(child);
            let (key, name) = (self.text(key).to_owned(), self.text(name).to_owned());
            let value = self.environment_variable(&key, self.bytes(child));
            self.variables.insert(name, value);
        }
    }

    /// Runs a loop once for each element.
    pub(super) fn each(&mut self, node: Node<'_>, left: Node<'_>, items: Vec<Value>) -> Value {
        let mut value = Value::empty();
        for item in items {
            self.bind(left, &item, false);
            if let Some(body) = node.child_by_field_name("body") {
                value.append(self.eval(body));
            }
        }
        value
    }

    /// A secret that is gone through character by character; anything else is itself.
    pub(super) fn characters_of(&mut self, value: Value, node: Node<'_>) -> Value {
        if !matches!(value.parts.as_slice(), [Part::Carried(_)]) {
            return value;
        }
        let hop = self.hop(HopKind::Encode, "character by character", self.bytes(node));
        value.encoded(crate::flow::value::Encoding::Split, &hop)
    }

    pub(super) fn note_list(&mut self, target: Node<'_>, value: Option<Node<'_>>) {
        if target.kind() != "identifier" {
            return;
        }
        let name = self.text(target).to_owned();
        let items = value.filter(|value| matches!(value.kind(), "list" | "tuple" | "set" | "array"));
        match items.and_then(|items| self.elements_of(items)) {
            Some(items) => {
                self.lists.insert(name, items);
            }
            None => {
                self.lists.remove(&name);
            }
        }
    }
}
