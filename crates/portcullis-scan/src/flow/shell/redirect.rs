//! Redirections and here-documents.

use crate::syntax::Node;

use super::{Shell, word};
use crate::flow::trace::ObservationKind;
use crate::flow::value::{HopKind, Value};

impl Shell<'_, '_> {
    pub(super) fn redirected(&mut self, node: Node<'_>) -> Value {
        let body = node.child_by_field_name("body");
        let redirects =
            node.named_children().filter(|child| child.kind().ends_with("_redirect")).collect::<Vec<_>>();
        let mut plan = Redirects::default();
        for redirect in redirects {
            self.redirect(redirect, &mut plan);
        }
        let outer = plan.stdin.take().map(|input| std::mem::replace(&mut self.stdin, input));
        if let (Some(body), Some(target)) = (body, &plan.stdout) {
            let command = self.parsed.script.slice(body.byte_range()).to_owned();
            let interactive = ["bash -i", "sh -i", "bash -li", "zsh -i"]
                .iter()
                .any(|shell| command.trim_start().starts_with(shell));
            if interactive && target.prefix().starts_with("/dev/tcp/") {
                let bytes = self.bytes(node);
                self.observe(ObservationKind::ReverseShell, target.clone(), bytes);
            }
        }
        let mut output = match body {
            Some(body) => self.statement(body),
            None => Value::empty(),
        };
        if let Some(outer) = outer {
            self.stdin = outer;
        }
        // `exec 3<>/dev/tcp/…` names a descriptor for later.
        for (descriptor, target) in &plan.descriptors {
            self.descriptors.insert(descriptor.clone(), target.clone());
        }
        if let Some(target) = plan.stdout {
            if body.is_some_and(|body| self.parsed.script.slice(body.byte_range()).trim() == "exec") {
                self.output_target = Some(target);
                return output;
            }
            let bytes = self.bytes(node);
            self.write_to(&target, output, plan.append, bytes);
            output = Value::empty();
        }
        for (connector, statement) in plan.tail {
            if connector == "|" {
                let stages = match statement.kind() {
                    "pipeline" => statement.named_children().collect::<Vec<_>>(),
                    _ => vec![statement],
                };
                output = self.pipe(&stages, Some(output));
            } else {
                output.append(self.statement(statement));
            }
        }
        output
    }

    pub(super) fn redirect<'n>(&mut self, node: Node<'n>, plan: &mut Redirects<'n>) {
        match node.kind() {
            "heredoc_redirect" => {
                let mut connector = "";
                for child in node.children().collect::<Vec<_>>() {
                    match child.kind() {
                        "heredoc_body" => plan.stdin = Some(self.heredoc(child, node)),
                        "heredoc_start" | "heredoc_end" | "<<" | "<<-" => {}
                        "&&" | "||" | ";" => connector = "&&",
                        "|" | "|&" => connector = "|",
                        kind if kind.ends_with("_redirect") => self.redirect(child, plan),
                        "pipeline" => plan.tail.push(("|", child)),
                        _ if child.is_named() => {
                            plan.tail.push((if connector == "|" { "|" } else { "&&" }, child));
                        }
                        _ => {}
                    }
                }
            }
            "herestring_redirect" => {
                let word = node.named_children().find(|child| child.kind() != "file_descriptor");
                plan.stdin = word.map(|word| self.word(word));
            }
            _ => {
                let operator = self
                    .parsed
                    .script
                    .slice(node.byte_range())
                    .trim_start_matches(char::is_numeric)
                    .to_owned();
                let descriptor = node
                    .child_by_field_name("descriptor")
                    .map(|d| self.parsed.script.slice(d.byte_range()).to_owned());
                let Some(destination) = node.child_by_field_name("destination") else { return };
                let target = self.word(destination);
                let text = target.template();
                let to_device = text.starts_with("/dev/tcp/") || text.starts_with("/dev/udp/");
                if operator.starts_with("<&") || operator.starts_with(">&") {
                    if let Some(named) = self.descriptors.get(&text).cloned() {
                        match operator.starts_with('<') {
                            true => plan.stdin = Some(Value::unknown()),
                            false => plan.stdout = Some(named),
                        }
                    }
                    let to_process = text.starts_with("/dev/coprocess/");
                    if descriptor.is_none() && operator.starts_with(">&") && (to_device || to_process) {
                        plan.stdout = Some(target);
                    }
                } else if operator.starts_with("<>") {
                    let name = descriptor.unwrap_or_else(|| "0".to_owned());
                    plan.descriptors.push((name, target));
                } else if operator.starts_with('<') {
                    plan.stdin = Some(self.read_file(&target, self.bytes(destination)));
                } else if descriptor.as_deref() == Some("2") {
                    // Error output: nothing that is traced goes there.
                } else {
                    match descriptor {
                        Some(name) if name != "1" => plan.descriptors.push((name, target)),
                        _ => {
                            plan.append = operator.starts_with(">>") || operator.starts_with("&>>");
                            plan.stdout = Some(target);
                        }
                    }
                }
            }
        }
    }

    pub(super) fn heredoc(&mut self, body: Node<'_>, redirect: Node<'_>) -> Value {
        let start = redirect.named_children().find(|child| child.kind() == "heredoc_start");
        let quoted = start
            .is_some_and(|start| self.parsed.script.slice(start.byte_range()).contains(['\'', '"', '\\']));
        let hop = self.hop(HopKind::Carry, "here-document", self.bytes(body));
        if quoted {
            return self.parsed.script.value(body.byte_range(), str::to_owned).hop(&hop);
        }
        self.expanded_heredoc(body, start).hop(&hop)
    }

    /// A here-document with its expansions. The grammar (tree-sitter-bash 0.25.1) leaves out what stands before the first
    /// of them on an indented line, and knows no backquotes there: such stretches are read as a string in quotes.
    fn expanded_heredoc(&mut self, body: Node<'_>, start: Option<Node<'_>>) -> Value {
        let script = &self.parsed.script;
        let first_line = start.and_then(|start| {
            let line_end = script.slice(start.end_byte()..body.start_byte()).find('\n')?;
            let rest_of_line = script.slice(start.end_byte()..start.end_byte() + line_end);
            (!rest_of_line.contains("<<")).then_some(start.end_byte() + line_end + 1)
        });
        let from = first_line.unwrap_or(body.start_byte());
        let children: Vec<Node<'_>> =
            body.named_children().filter(|child| child.kind() != "heredoc_content").collect();
        let mut value = Value::empty();
        let mut at = from;
        for child in children {
            value.append(self.heredoc_text(at..child.start_byte().max(at)));
            value.append(self.word(child));
            at = child.end_byte().max(at);
        }
        value.append(self.heredoc_text(at..body.end_byte().max(at)));
        value
    }

    fn heredoc_text(&mut self, range: std::ops::Range<usize>) -> Value {
        let text = self.parsed.script.slice(range.clone());
        let mut before = ' ';
        let expands = text.char_indices().any(|(at, character)| {
            let escaped = std::mem::replace(&mut before, character) == '\\';
            let next = text.get(at + 1..).and_then(|rest| rest.chars().next());
            !escaped
                && (character == '`'
                    || character == '$' && next.is_some_and(|c| c.is_ascii_alphabetic() || "_{(".contains(c)))
        });
        if !expands || self.depth > 60 {
            return self.parsed.script.value(range, word::unescape_heredoc);
        }
        let mut code = Value::text("\"");
        code.append(self.parsed.script.value(range.clone(), |text| text.replace('"', "\\\"")));
        code.push_text("\"");
        let bytes = self.parsed.script.bytes(range);
        self.word_of(code, bytes)
    }
}

#[derive(Default)]
pub(super) struct Redirects<'n> {
    pub(super) stdin: Option<Value>,
    pub(super) stdout: Option<Value>,
    pub(super) append: bool,
    pub(super) descriptors: Vec<(String, Value)>,
    pub(super) tail: Vec<(&'static str, Node<'n>)>,
}
