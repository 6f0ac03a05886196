//! Expressions: literals, variables, strings with variables in them.

use crate::syntax::Node;

use super::{Items, children, flat, has_variable, joined, plain_name, unescape, unwrapped};
use crate::flow::code::{DEPTH_MAX, Program};
use crate::flow::value::Value;

impl Program<'_, '_, '_> {
    /// An expression as one string, as PowerShell makes one of a list.
    pub(super) fn one(&mut self, node: Node<'_>) -> Value {
        joined(self.items(node), " ")
    }

    /// What an expression yields.
    pub(super) fn items(&mut self, node: Node<'_>) -> Items {
        let node = unwrapped(node);
        self.depth += 1;
        let items = if self.depth > DEPTH_MAX {
            self.tracer.incomplete("a script nested too deeply");
            Items::new()
        } else if !self.tracer.spend() {
            Items::new()
        } else {
            let items = self.items_within(node);
            for item in &items {
                self.tracer.charge(item);
            }
            items
        };
        self.depth -= 1;
        items
    }

    fn items_within(&mut self, node: Node<'_>) -> Items {
        let kind = node.kind();
        match kind.strip_suffix("_argument_expression").unwrap_or(kind) {
            "variable" | "braced_variable" => self.variable_items(node),
            "verbatim_string_characters" | "verbatim_here_string_characters" => {
                let range = node.byte_range();
                let skip = if kind.starts_with("verbatim_here") { 2 } else { 1 };
                let inner = (range.start + skip)..range.end.saturating_sub(skip).max(range.start + skip);
                vec![self.script.value(inner, |text| text.replace("''", "'"))]
            }
            "expandable_string_literal" | "expandable_here_string_literal" => vec![self.expandable(node)],
            "array_literal_expression"
            | "array_expression"
            | "sub_expression"
            | "parenthesized_expression" => {
                children(node).into_iter().flat_map(|child| self.statement(child)).collect()
            }
            "hash_literal_expression" => vec![flat(&self.table(node))],
            // Handed to something that is not known: it may be called.
            "script_block_expression" => self.run_block(&node.byte_range(), Vec::new()),
            "command" => self.powershell_command(node, None),
            "comparison_expression" | "comparison" => self.comparison(node),
            "format_expression" | "format" => self.format_operator(node),
            "additive_expression" | "additive" => self.addition(node),
            "multiplicative_expression" | "multiplicative" => self.multiplication(node),
            "bitwise_expression" | "bitwise" => self.bitwise(node),
            "range_expression" | "range" => self.range(node),
            "cast_expression" => self.cast(node),
            "expression_with_unary_operator" => self.unary(node),
            "element_access" => self.element(node),
            "member_access" => self.member_access(node),
            "invokation_expression" => self.invocation(node),
            "logical_expression" | "logical" => {
                for child in children(node) {
                    self.items(child);
                }
                vec![Value::unknown()]
            }
            "comment" | "type_literal" | "command_argument_sep" | "command_parameter" => Items::new(),
            "decimal_integer_literal" | "real_literal" => {
                vec![self.script.value(node.byte_range(), str::to_owned)]
            }
            "hexadecimal_integer_literal" => {
                let text = self.text(node).trim_start_matches("0x").trim_start_matches("0X");
                vec![
                    i64::from_str_radix(text, 16)
                        .map_or_else(|_| Value::unknown(), |n| Value::text(n.to_string())),
                ]
            }
            "generic_token" | "simple_name" | "command_name" | "path_command_name" if !has_variable(node) => {
                vec![self.expanded_token(node)]
            }
            _ if node.named_child_count() == 0 => {
                vec![self.script.value(node.byte_range(), |_| String::new())]
            }
            _ => children(node).into_iter().flat_map(|child| self.statement(child)).collect(),
        }
    }

    fn variable_items(&mut self, node: Node<'_>) -> Items {
        let placeholders = self.script.value(node.byte_range(), str::to_owned);
        if placeholders.carries() {
            return vec![placeholders.only_carried()];
        }
        let name = plain_name(self.text(node));
        self.named_items(&name, node)
    }

    fn named_items(&mut self, name: &str, node: Node<'_>) -> Items {
        if let Some(list) = self.memory.lists.get(name) {
            return list.clone();
        }
        vec![self.named(name, node)]
    }

    /// A variable by its lower-case name; `env:NAME` is the environment's.
    pub(super) fn named(&mut self, name: &str, node: Node<'_>) -> Value {
        if let Some(value) = self.variables.get(name) {
            return value.clone();
        }
        if let Some(variable) = name.strip_prefix("env:") {
            let bytes = self.bytes(node);
            return self.environment_named(variable, bytes);
        }
        match name {
            "psitem" => self.variables.get("_").cloned().unwrap_or_else(Value::unknown),
            "null" | "true" | "false" => Value::empty(),
            "home" => Value::text("~"),
            "pwd" => Value::text("."),
            _ => match self.memory.blocks.get(name).cloned() {
                Some(block) => joined(self.run_block(&block, Vec::new()), " "),
                None => Value::unknown(),
            },
        }
    }

    /// `$env:NAME`, whose name may be written in any case.
    pub(super) fn environment_named(&mut self, name: &str, bytes: crate::span::Bytes) -> Value {
        let lower = format!("env:{}", name.to_ascii_lowercase());
        if let Some(value) = self.variables.get(&lower) {
            return value.clone();
        }
        let found = self.environment.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();
        let name = found.unwrap_or_else(|| name.to_ascii_uppercase());
        self.environment_variable(&name, bytes)
    }

    fn expandable(&mut self, node: Node<'_>) -> Value {
        let range = node.byte_range();
        let skip = if node.kind().starts_with("expandable_here") { 2 } else { 1 };
        let mut value = Value::empty();
        let mut at = range.start + skip;
        for child in children(node) {
            value.append(self.script.value(at..child.start_byte().max(at), unescape));
            let (inner, end) = match child.kind() {
                // `"$NAME"` where the text after it can't belong to the name.
                "variable" => {
                    let length = self.text(child).trim_end_matches(':').len();
                    (joined(self.variable_items(child), " "), child.start_byte() + length)
                }
                _ => (self.one(child), child.end_byte()),
            };
            value.append(inner);
            at = end.max(at);
        }
        value.append(self.script.value(at..range.end.saturating_sub(skip).max(at), unescape));
        value
    }

    /// A bare word with variables in it: `https://host/?a=$env:A`.
    pub(super) fn expanded_token(&mut self, node: Node<'_>) -> Value {
        let range = node.byte_range();
        let text = self.text(node).to_owned();
        let mut value = Value::empty();
        let mut from = 0;
        while let Some(at) = text.get(from..).and_then(|rest| rest.find('$')).map(|at| from + at) {
            let rest = text.get(at + 1..).unwrap_or("");
            let braced = rest.starts_with('{');
            let length = if braced {
                rest.find('}').map_or(rest.len(), |end| end + 1)
            } else {
                let scope =
                    if rest.get(..4).is_some_and(|scope| scope.eq_ignore_ascii_case("env:")) { 4 } else { 0 };
                let tail = rest.get(scope..).unwrap_or("");
                scope + tail.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(tail.len())
            };
            if length == 0 {
                from = at + 1;
                value.push_text("$");
                continue;
            }
            value.append(self.script.value(range.start + from..range.start + at, unescape));
            let name = plain_name(rest.get(..length).unwrap_or(""));
            value.append(joined(self.named_items(&name, node), " "));
            from = at + 1 + length;
        }
        value.append(self.script.value(range.start + from..range.end, unescape));
        value
    }
}
