//! What holds several words: arrays, positional parameters, aliases, and words that the grammar takes apart.

use std::collections::HashMap;
use std::sync::Arc;

use crate::syntax::Node;

use super::{Argument, Function, Shell, word};
use crate::flow::value::{HopKind, Value};
use crate::span::Bytes;

/// Most elements of one array.
const ELEMENTS_MAX: usize = 1_024;
const TOO_MANY: &str = "a list of too many elements";

impl Shell<'_, '_> {
    /// The elements of `(…)`.
    pub(super) fn array(&mut self, node: Node<'_>) -> Vec<Value> {
        let mut items = Vec::new();
        for words in super::touching(node.named_children().collect()) {
            match words.as_slice() {
                [single] => self.push_argument(*single, &mut items),
                several => {
                    let value = self.joined(several);
                    items.push(Argument { value, bytes: self.bytes(node) });
                }
            }
        }
        let items = self.tracer.cut(items, ELEMENTS_MAX, TOO_MANY);
        items.into_iter().map(|item| item.value).collect()
    }

    /// Sets an array or adds to it; returns the new elements in one.
    pub fn set_array(&mut self, name: &str, items: Vec<Value>, adds: bool) -> Value {
        let mut all = Value::empty();
        if adds {
            all.push_text(" ");
        }
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                all.push_text(" ");
            }
            all.append(item.clone());
        }
        let array = self.arrays.entry(name.to_owned()).or_default();
        if !adds {
            array.clear();
        }
        array.extend(items);
        if array.len() > ELEMENTS_MAX {
            self.tracer.incomplete(TOO_MANY);
            array.truncate(ELEMENTS_MAX);
        }
        all
    }

    /// `NAME[INDEX]=…`; an index that can't be known is the next one.
    pub(super) fn set_element(&mut self, name: &str, index: &str, value: Value) {
        let array = self.arrays.entry(name.to_owned()).or_default();
        let at = index.trim().parse().unwrap_or(array.len());
        if at >= ELEMENTS_MAX {
            self.tracer.incomplete(TOO_MANY);
            return;
        }
        if array.len() <= at {
            array.resize(at + 1, Value::empty());
        }
        if let Some(element) = array.get_mut(at) {
            *element = value;
        }
    }

    /// One element, where name and index are known.
    pub(super) fn element(&self, name: &str, index: &str) -> Option<Value> {
        self.arrays.get(name)?.get(index.trim().parse::<usize>().ok()?).cloned()
    }

    /// `${NAME[*]}`: the elements with the first character of `IFS` between them (POSIX, XCU 2.5.2).
    pub(super) fn joined_elements(&self, name: &str) -> Option<Value> {
        let separator = self.variables.get("IFS")?.literal()?.chars().next()?.to_string();
        let mut all = Value::empty();
        for (at, element) in self.arrays.get(name)?.iter().enumerate() {
            if at > 0 {
                all.push_text(&separator);
            }
            all.append(element.clone());
        }
        Some(all)
    }

    /// The words of `"${NAME[@]}"`, `$@` and their slices; `None` for any other word.
    pub(super) fn elements(&mut self, node: Node<'_>) -> Option<Vec<Value>> {
        if !matches!(node.kind(), "string" | "expansion" | "simple_expansion") {
            return None;
        }
        let text = self.parsed.script.slice(node.byte_range()).trim_start();
        let text =
            text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).trim_start();
        // In quotes `*` makes one word of all, `@` one of each (POSIX, XCU 2.5.2).
        if node.kind() == "string" && (text == "$*" || text == "${*}" || text.ends_with("[*]}")) {
            return None;
        }
        let inner = match text.strip_prefix("${") {
            Some(rest) => rest.strip_suffix('}')?,
            None => text.strip_prefix('$')?,
        };
        let (name, slice) = match inner.strip_prefix(['@', '*']) {
            Some(slice) => ("@", slice),
            None => {
                let (name, rest) = inner.split_once('[')?;
                (name, rest.strip_prefix("@]").or_else(|| rest.strip_prefix("*]"))?)
            }
        };
        let name_is_plain = name == "@"
            || name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
        let (from, count) = match slice.strip_prefix(':') {
            Some(range) => {
                let (from, count) = range.split_once(':').map_or((range, None), |(a, b)| (a, Some(b)));
                let count = count.map(|count| count.trim().parse::<usize>()).transpose().ok()?;
                (from.trim().parse::<usize>().ok()?, count)
            }
            None if slice.is_empty() => (0, None),
            None => return None,
        };
        if !name_is_plain {
            return None;
        }
        let (all, from) = match name {
            // `$@` counts from one.
            "@" => (self.positional.clone(), from.saturating_sub(1)),
            _ => match self.arrays.get(name) {
                Some(array) => (array.clone(), from),
                None => (word::split(self.variables.get(name)?), from),
            },
        };
        self.tracer.charge_all(&all);
        Some(all.into_iter().skip(from).take(count.unwrap_or(usize::MAX)).collect())
    }

    /// Runs a command line inside a container, which sees only these variables.
    pub fn inside(&mut self, variables: HashMap<String, Value>, words: Vec<Argument>, bytes: Bytes) -> Value {
        let exported = variables.keys().cloned().collect();
        let outer_variables = std::mem::replace(&mut self.variables, variables);
        let outer_exported = std::mem::replace(&mut self.exported, exported);
        let outer_functions = std::mem::take(&mut self.functions);
        let outer_aliases = std::mem::take(&mut self.aliases);
        let output = self.invoke(words, bytes);
        self.variables = outer_variables;
        self.exported = outer_exported;
        self.functions = outer_functions;
        self.aliases = outer_aliases;
        output
    }

    /// Nodes without space between them as one word.
    pub(super) fn joined(&mut self, nodes: &[Node<'_>]) -> Value {
        if let [single] = nodes {
            return self.word(*single);
        }
        let mut pieces: Vec<Node<'_>> = Vec::new();
        for node in nodes {
            let node = match node.kind() {
                "command_name" => node.named_child(0).unwrap_or(*node),
                _ => *node,
            };
            match node.kind() {
                "concatenation" => {
                    pieces.extend(node.children());
                }
                _ => pieces.push(node),
            }
        }
        let mut value = Value::empty();
        let mut after_dollar = false;
        for piece in pieces {
            let range = piece.byte_range();
            if piece.kind() == "$" {
                after_dollar = true;
                continue;
            }
            if std::mem::take(&mut after_dollar) {
                // `$A.$B.c`: the grammar sees `$A.$` and `B.c`.
                let text = self.parsed.script.slice(range.clone());
                let length = text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').count();
                if piece.kind() == "word" && length > 0 {
                    let name = text.chars().take(length).collect::<String>();
                    value.append(self.variable(&name));
                    value.append(self.literal((range.start + length)..range.end));
                    continue;
                }
                value.push_text("$");
            }
            value.append(self.word(piece));
        }
        value
    }

    /// Another name of a command, if the first word is one.
    pub(super) fn expand_alias(&mut self, arguments: &[Argument], bytes: Bytes) -> Option<Value> {
        let (first, rest) = arguments.split_first()?;
        let name = first.value.literal()?.to_owned();
        // Taken away while it runs: an alias inside its own text is the command itself.
        let alias = self.aliases.remove(&name)?;
        let hop = self.hop(HopKind::Carry, "alias", bytes);
        let is_list = alias.prefix().contains(['|', ';', '&', '<', '>', '(', '`', '\n']);
        let output = if is_list {
            let mut code = alias.clone();
            for argument in rest {
                code.push_text(" ");
                code.append(argument.value.clone());
            }
            self.run_code(code.hop(&hop), bytes, Vec::new())
        } else {
            let mut words: Vec<Argument> = word::split(&alias)
                .into_iter()
                .map(|value| Argument { value: value.hop(&hop), bytes: first.bytes })
                .collect();
            words.extend(rest.iter().cloned());
            self.invoke(words, bytes)
        };
        self.aliases.insert(name, alias);
        Some(output)
    }

    /// Notes the commands of a `>(…)`, which run when something is written to its path.
    pub(super) fn note_reader(&mut self, path: &str, node: Node<'_>) {
        let reader = Function { parsed: Arc::clone(&self.parsed), body: node.byte_range() };
        self.readers.insert(path.to_owned(), reader);
    }

    /// Runs the commands of a `>(…)` on what was written to it.
    pub(super) fn feed(&mut self, reader: &Function, content: Value, bytes: Bytes) {
        let root = reader.parsed.tree.root_node();
        let Some(node) = root.descendant_for_byte_range(reader.body.start, reader.body.end) else { return };
        let outer = std::mem::replace(&mut self.parsed, Arc::clone(&reader.parsed));
        let outer_input = std::mem::replace(&mut self.stdin, content);
        let output = self.captured(node);
        self.stdin = outer_input;
        self.parsed = outer;
        self.print(output, bytes);
    }
}
