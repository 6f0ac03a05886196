//! Assignments: to variables, to entries of tables, to several at once; and the tables themselves.

use crate::syntax::Node;

use super::{Items, children, flat, joined, plain_name, unwrapped};
use crate::flow::code::Program;
use crate::flow::shell::shown;
use crate::flow::value::{HopKind, Value};

impl Program<'_, '_, '_> {
    pub(super) fn assign_powershell(&mut self, node: Node<'_>) -> Items {
        let Some(value_node) = node.child_by_field_name("value") else { return Items::new() };
        let inner = unwrapped(value_node);
        let items = match inner.kind() {
            "hash_literal_expression" | "script_block_expression" => Items::new(),
            _ => self.statement(value_node),
        };
        let Some(target) = node.named_child(0) else { return Items::new() };
        let bytes = self.bytes(target);
        let adds = children(node)
            .iter()
            .any(|child| child.kind() == "assignement_operator" && self.text(*child).starts_with('+'));
        let target = unwrapped(target);
        let targets =
            if target.kind() == "array_literal_expression" { children(target) } else { vec![target] };
        for target in targets {
            let target = unwrapped(target);
            let (variable, key) = self.assigned(target);
            let Some(name) = variable else { continue };
            let hop = self.hop(HopKind::Carry, &format!("variable {}", shown(&name)), bytes);
            match inner.kind() {
                "hash_literal_expression" => {
                    let table: Vec<(String, Value)> =
                        self.table(inner).into_iter().map(|(key, value)| (key, value.hop(&hop))).collect();
                    self.variables.insert(name.clone(), flat(&table));
                    self.memory.tables.insert(name, table);
                    continue;
                }
                "script_block_expression" => {
                    self.memory.blocks.insert(name, inner.byte_range());
                    continue;
                }
                _ => {}
            }
            let items: Items = items.iter().cloned().map(|item| item.hop(&hop)).collect();
            match key {
                Some(key) => {
                    let value = joined(items, " ");
                    self.memory.tables.entry(name.clone()).or_default().push((key.clone(), value.clone()));
                    let kept = self.variables.entry(name).or_default();
                    kept.push_text(&format!("{key}="));
                    kept.append(value);
                    kept.push_text(" ");
                }
                None if adds => {
                    let old = self.memory.lists.get(&name).cloned();
                    match old {
                        Some(mut list) => {
                            list.extend(items);
                            self.set_items(&name, list);
                        }
                        None => self.variables.entry(name).or_default().append(joined(items, " ")),
                    }
                }
                None => self.set_items(&name, items),
            }
        }
        Items::new()
    }

    /// The variable that is assigned to, and the key where it is one of its entries.
    fn assigned(&mut self, target: Node<'_>) -> (Option<String>, Option<String>) {
        match target.kind() {
            "variable" | "braced_variable" => (Some(plain_name(self.text(target))), None),
            "cast_expression" => match target.named_child(target.named_child_count().saturating_sub(1)) {
                Some(inner) => self.assigned(unwrapped(inner)),
                None => (None, None),
            },
            "member_access" | "element_access" => {
                let Some(object) = target.named_child(0).map(unwrapped) else { return (None, None) };
                let (name, _) = self.assigned(object);
                let key = match target.named_child(1) {
                    Some(member) if member.kind() == "member_name" => self.text(member).to_ascii_lowercase(),
                    Some(index) => self.one(index).literal().unwrap_or("").to_ascii_lowercase(),
                    None => String::new(),
                };
                (name, Some(key))
            }
            "expression_with_unary_operator" => match target.named_child(0) {
                Some(inner) => self.assigned(unwrapped(inner)),
                None => (None, None),
            },
            _ => (None, None),
        }
    }

    pub(super) fn set_items(&mut self, name: &str, items: Items) {
        self.memory.tables.remove(name);
        self.memory.blocks.remove(name);
        if items.len() == 1 {
            self.memory.lists.remove(name);
        } else {
            self.memory.lists.insert(name.to_owned(), items.clone());
        }
        let value = joined(items, " ");
        self.tracer.charge(&value);
        self.variables.insert(name.to_owned(), value);
    }

    pub(super) fn set_item(&mut self, name: &str, item: Value) {
        self.set_items(name, vec![item]);
    }

    /// The entries of `@{ … }`, keys in lower case.
    pub(super) fn table(&mut self, node: Node<'_>) -> Vec<(String, Value)> {
        let mut table = Vec::new();
        let bodies = children(node).into_iter().filter(|child| child.kind() == "hash_literal_body");
        for entry in bodies.flat_map(children).filter(|child| child.kind() == "hash_entry") {
            let mut key = String::new();
            let mut value = Value::empty();
            for child in children(entry) {
                if child.kind() == "key_expression" {
                    key = self.script.value(child.byte_range(), str::to_owned).template();
                    key = key.trim_matches(['"', '\'']).to_owned();
                } else {
                    value.append(joined(self.statement(child), " "));
                }
            }
            table.push((key, value));
        }
        table
    }
}
