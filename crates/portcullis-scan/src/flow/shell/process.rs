//! Processes beside the script: `coproc`, and words in braces that are a command.

use crate::syntax::Node;

use super::{Argument, Shell, brace};
use crate::flow::value::Value;
use crate::span::Bytes;

/// Stands for the input of a coprocess, by its name.
const INPUT: &str = "/dev/coprocess/";

impl Shell<'_, '_> {
    /// `coproc [NAME] COMMAND`: the command runs on what is written to `${NAME[1]}` later.
    pub fn coprocess(&mut self, mut words: Vec<Argument>, _bytes: Bytes) -> Value {
        let text = |at: usize, words: &[Argument]| {
            words.get(at).map(|word| word.value.template()).unwrap_or_default()
        };
        let mut name = "COPROC".to_owned();
        if text(1, &words) == "{" {
            name = text(0, &words);
            words.remove(0);
        }
        words.retain(|word| !matches!(word.value.literal(), Some("{" | "}" | ";")));
        let path = format!("{INPUT}{name}");
        let all = self.set_array(&name, vec![Value::unknown(), Value::text(path.clone())], false);
        self.set(&name, all, false);
        if self.coprocesses.len() < 16 {
            self.coprocesses.insert(path, words);
        }
        Value::empty()
    }

    /// Runs a coprocess on what is written to it; false if the path is none.
    pub(super) fn feed_coprocess(&mut self, path: &str, content: &Value, bytes: Bytes) -> bool {
        let Some(words) = self.coprocesses.remove(path) else { return false };
        let outer = std::mem::replace(&mut self.stdin, content.clone());
        let output = self.invoke(words.clone(), bytes);
        self.stdin = outer;
        self.print(output, bytes);
        self.coprocesses.insert(path.to_owned(), words);
        true
    }

    /// Whether a word has braces that stand outside quotes, and none inside.
    pub(super) fn has_braces(&self, node: Node<'_>) -> bool {
        let text = |node: Node<'_>| self.parsed.script.slice(node.byte_range());
        match node.kind() {
            "word" | "brace_expression" => text(node).contains('{'),
            "concatenation" => {
                let (mut bare, mut quoted) = (false, false);
                for child in node.children() {
                    let found = text(child).contains(['{', ',']);
                    match child.kind() {
                        "string" | "raw_string" | "ansi_c_string" | "command_substitution" => quoted |= found,
                        "expansion" | "simple_expansion" => {}
                        _ => bare |= found,
                    }
                }
                bare && !quoted
            }
            _ => false,
        }
    }

    /// `{curl,-d,x,URL}`: one word in braces, which the grammar takes for a group of commands.
    pub(super) fn is_braced_word(&self, node: Node<'_>) -> bool {
        let text = self.parsed.script.slice(node.byte_range());
        let mut characters = text.chars().skip(1);
        characters
            .next()
            .is_some_and(|next| next.is_ascii_alphanumeric() || matches!(next, '"' | '\'' | '/' | '$'))
            && text.split_whitespace().next().is_some_and(|word| word.contains(','))
    }

    pub(super) fn braced_command(&mut self, node: Node<'_>) -> Value {
        let mut output = Value::empty();
        for (at, child) in node.named_children().collect::<Vec<_>>().into_iter().enumerate() {
            if at > 0 || child.kind() != "command" {
                output.append(self.statement(child));
                continue;
            }
            let bytes = self.bytes(child);
            let mut value = Value::text("{");
            if let Some(name) = child.child_by_field_name("name") {
                value.append(self.word(name));
            }
            let mut words = brace::expanded(Argument { value, bytes });
            for argument in child.children_by_field_name("argument").collect::<Vec<_>>() {
                self.push_argument(argument, &mut words);
            }
            output.append(self.invoke(words, bytes));
        }
        output
    }
}
