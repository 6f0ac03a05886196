//! PowerShell: statements and expressions as the streams of items that they put out.
//!
//! Everything in PowerShell yields a list, so everything here does: what a pipeline hands on, what a block puts out, the
//! elements of an array. Hash tables and script blocks are kept by the name of their variable, for splatting and `&`.

mod assignment;
mod cmdlet;
mod command;
mod expression;
mod file;
mod method;
mod operator;
mod web;

use std::collections::HashMap;
use std::ops::Range;

use crate::syntax::Node;

use super::Program;
use crate::flow::value::{Part, Value};

/// What a statement puts out, one value an item.
pub(super) type Items = Vec<Value>;

/// Most items of a list that are looked at one by one; the rest are joined in the last.
const ITEMS_MAX: usize = 64;

/// What PowerShell keeps beside plain values, by lower-case variable name.
#[derive(Debug, Default)]
pub(super) struct Memory {
    lists: HashMap<String, Items>,
    tables: HashMap<String, Vec<(String, Value)>>,
    blocks: HashMap<String, Range<usize>>,
    aliases: HashMap<String, String>,
}

impl Program<'_, '_, '_> {
    /// Runs a whole script; what its statements put out is printed.
    pub(super) fn run_powershell(&mut self, root: Node<'_>) {
        self.declare_powershell(root, 0);
        // Where the grammar lost its way (`tool .\a\ --token $x`), an argument looks like a value that stands by itself. Whether it
        // is printed can't be told; as it is, the mask covers it.
        let lost = root.has_error();
        self.print_statements(root, lost, 0);
    }

    fn print_statements(&mut self, node: Node<'_>, lost: bool, depth: usize) {
        for child in children(node) {
            if matches!(
                child.kind(),
                "statement_list" | "script_block_body" | "named_block" | "named_block_list"
            ) && depth < 8
            {
                self.print_statements(child, lost, depth + 1);
                continue;
            }
            let bytes = self.bytes(child);
            for item in self.statement(child) {
                let plain = item.carried().all(|carried| carried.encodings.is_empty());
                if !(lost && plain) {
                    self.print(&item, bytes);
                }
            }
        }
    }

    /// Finds the functions first: they may be called above their definition.
    fn declare_powershell(&mut self, node: Node<'_>, depth: usize) {
        if depth > 40 {
            return;
        }
        for child in children(node) {
            if child.kind() == "function_statement" {
                let parts = children(child);
                let name = parts.iter().find(|part| part.kind() == "function_name");
                let body = parts.iter().find(|part| part.kind() == "script_block");
                if let (Some(name), Some(body)) = (name, body) {
                    let name = self.text(*name).to_ascii_lowercase();
                    let parameters = self.parameters_of(child);
                    self.functions.insert(name, (body.byte_range(), parameters));
                }
            }
            self.declare_powershell(child, depth + 1);
        }
    }

    /// Names of the parameters that a function or block declares, in either of the two places.
    fn parameters_of(&self, node: Node<'_>) -> Vec<String> {
        let mut names = Vec::new();
        let mut waiting = children(node);
        waiting.reverse();
        while let Some(next) = waiting.pop() {
            match next.kind() {
                "script_parameter" => {
                    let variable = children(next).into_iter().find(|child| child.kind() == "variable");
                    names.extend(variable.map(|variable| plain_name(self.text(variable))));
                }
                "function_parameter_declaration" | "parameter_list" | "param_block" => {
                    waiting.extend(children(next).into_iter().rev());
                }
                // `function f { param(…) }`: the block stands one deeper.
                "script_block" | "script_block_expression" if next.parent() == Some(node) => {
                    waiting.extend(children(next).into_iter().filter(|child| child.kind() == "param_block"));
                }
                _ => {}
            }
        }
        names
    }

    /// Runs a statement or a group of them; returns what it puts out.
    pub(super) fn statement(&mut self, node: Node<'_>) -> Items {
        self.depth += 1;
        let items = if self.depth > super::DEPTH_MAX {
            self.tracer.incomplete("a script nested too deeply");
            Items::new()
        } else if !self.tracer.spend() {
            Items::new()
        } else {
            self.statement_within(node)
        };
        self.depth -= 1;
        items
    }

    fn statement_within(&mut self, node: Node<'_>) -> Items {
        match node.kind() {
            "pipeline" => {
                let mut items = Items::new();
                for child in children(node) {
                    items.extend(match child.kind() {
                        "assignment_expression" => self.assign_powershell(child),
                        "pipeline_chain" => self.chain(child),
                        _ => self.items(child),
                    });
                }
                items
            }
            "pipeline_chain" => self.chain(node),
            "function_statement" | "comment" | "param_block" | "class_statement" | "enum_statement" => {
                Items::new()
            }
            "foreach_statement" => self.for_each_statement(node),
            "if_statement" | "while_statement" | "do_statement" | "for_statement" | "switch_statement"
            | "elseif_clause" | "elseif_clauses" | "switch_clause" => {
                let mut items = Items::new();
                for child in node.named_children() {
                    let decides = child.field_name() == "condition"
                        || ["condition", "initializer", "iterator"]
                            .iter()
                            .any(|end| child.kind().ends_with(end));
                    let output = self.statement(child);
                    if !decides {
                        items.extend(output);
                    }
                }
                items
            }
            "statement_list"
            | "statement_block"
            | "script_block"
            | "script_block_body"
            | "named_block"
            | "named_block_list"
            | "try_statement"
            | "catch_clauses"
            | "catch_clause"
            | "finally_clause"
            | "else_clause"
            | "while_condition"
            | "for_initializer"
            | "for_condition"
            | "for_iterator"
            | "switch_condition"
            | "switch_body"
            | "switch_clauses"
            | "switch_clause_condition"
            | "trap_statement"
            | "flow_control_statement"
            | "labeled_statement"
            | "parallel_statement"
            | "sequence_statement"
            | "ERROR" => children(node).into_iter().flat_map(|child| self.statement(child)).collect(),
            _ => self.items(node),
        }
    }

    fn for_each_statement(&mut self, node: Node<'_>) -> Items {
        let mut name = None;
        let mut over = Items::new();
        let mut items = Items::new();
        for child in children(node) {
            match child.kind() {
                "variable" if name.is_none() => name = Some(plain_name(self.text(child))),
                "statement_block" => {
                    if over.is_empty() {
                        over.push(Value::unknown());
                    }
                    for item in std::mem::take(&mut over) {
                        if let Some(name) = &name {
                            self.set_item(name, item);
                        }
                        items.extend(self.statement(child));
                    }
                }
                _ => over = bounded(self.statement(child)),
            }
        }
        items
    }

    /// `a | b | c > file`.
    fn chain(&mut self, node: Node<'_>) -> Items {
        let mut flowing: Option<Items> = None;
        for child in children(node) {
            match child.kind() {
                "command" => flowing = Some(self.powershell_command(child, flowing.take())),
                "redirections" => {
                    for redirection in children(child) {
                        flowing = self.redirect_powershell(redirection, flowing.take());
                    }
                }
                _ => {
                    let items = self.items(child);
                    flowing.get_or_insert_default().extend(items);
                }
            }
        }
        flowing.unwrap_or_default()
    }

    /// The program's statements in a script block, with its parameters bound and `$args` for the rest.
    pub(super) fn run_block(&mut self, body: &Range<usize>, given: Vec<(String, Items)>) -> Items {
        let tree = self.tree;
        let Some(node) = tree.root_node().descendant_for_byte_range(body.start, body.end) else {
            return Items::new();
        };
        if self.depth + 6 > super::DEPTH_MAX {
            self.tracer.incomplete("a script nested too deeply");
            return Items::new();
        }
        let parameters = self.parameters_of(node);
        self.bind_parameters(&parameters, given);
        self.depth += 5;
        let items = children(node).into_iter().flat_map(|child| self.statement(child)).collect();
        self.depth -= 5;
        items
    }

    /// Calls a function of the script.
    fn call_function(&mut self, name: &str, given: Vec<(String, Items)>) -> Option<Items> {
        let (body, parameters) = self.functions.get(name).cloned()?;
        self.bind_parameters(&parameters, given);
        Some(self.run_block(&body, Vec::new()))
    }

    fn bind_parameters(&mut self, parameters: &[String], given: Vec<(String, Items)>) {
        let mut rest = Items::new();
        let mut free = parameters
            .iter()
            .filter(|parameter| {
                !given.iter().any(|(name, _)| !name.is_empty() && parameter.starts_with(name.as_str()))
            })
            .cloned()
            .collect::<Vec<_>>()
            .into_iter();
        if given.is_empty() {
            return;
        }
        for (name, items) in given {
            let named = parameters.iter().find(|parameter| !name.is_empty() && parameter.starts_with(&name));
            match named.cloned().or_else(|| if name.is_empty() { free.next() } else { None }) {
                Some(parameter) => self.set_items(&parameter, items),
                None => rest.extend(items),
            }
        }
        self.set_items("args", rest);
    }
}

/// The named children, comments left out.
pub(super) fn children(node: Node<'_>) -> Vec<Node<'_>> {
    node.named_children().filter(|child| child.kind() != "comment").collect()
}

/// What stands inside of nodes that only hold one other: the grammar has a level for each strength of operator.
pub(super) fn unwrapped(mut node: Node<'_>) -> Node<'_> {
    while node.named_child_count() == 1
        && (node.kind().ends_with("_expression")
            && !matches!(
                node.kind(),
                "expression_with_unary_operator"
                    | "hash_literal_expression"
                    | "script_block_expression"
                    | "cast_expression"
                    | "invokation_expression"
            )
            || matches!(node.kind(), "pipeline" | "pipeline_chain" | "string_literal" | "integer_literal"))
        && let Some(inner) = node.named_child(0)
        && inner.kind() != "command"
        && inner.kind() != "assignment_expression"
    {
        node = inner;
    }
    node
}

fn has_variable(node: Node<'_>) -> bool {
    node.named_child_count() > 0
}

/// A variable's name: no sigil, no braces, no scope, lower case.
pub(super) fn plain_name(text: &str) -> String {
    let text = text.trim().trim_start_matches(['$', '@']).trim_matches(['{', '}']).to_ascii_lowercase();
    let text = text.trim_end_matches(':');
    for scope in ["script:", "global:", "local:", "private:", "using:", "variable:"] {
        if let Some(rest) = text.strip_prefix(scope) {
            return rest.to_owned();
        }
    }
    text.to_owned()
}

/// Items as one value.
pub(super) fn joined(items: Items, separator: &str) -> Value {
    let mut value = Value::empty();
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            value.push_text(separator);
        }
        value.append(item);
    }
    value
}

/// A table as one value: `key=value key=value`.
fn flat(table: &[(String, Value)]) -> Value {
    let mut value = Value::empty();
    for (key, content) in table {
        value.push_text(&format!("{key}="));
        value.append(content.clone());
        value.push_text(" ");
    }
    value
}

/// At most [`ITEMS_MAX`] items; what lies beyond is joined to the last.
fn bounded(mut items: Items) -> Items {
    if items.len() > ITEMS_MAX {
        let rest = items.split_off(ITEMS_MAX);
        if let Some(last) = items.last_mut() {
            last.append(joined(rest, " "));
        }
    }
    items
}

/// The literal text of a value, if that is all it is; text from another machine is none.
fn literal(value: &Value) -> Option<&str> {
    match value.parts.as_slice() {
        [Part::Text(text)] => Some(text),
        _ => None,
    }
}

/// PowerShell's escape character is the backtick.
pub(super) fn unescape(text: &str) -> String {
    if !text.contains('`') {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        out.extend(match character {
            '`' => match characters.next() {
                Some('n') => Some('\n'),
                Some('t') => Some('\t'),
                Some('r') => Some('\r'),
                Some('0') => Some('\0'),
                other => other,
            },
            other => Some(other),
        });
    }
    out
}
