//! Running a shell script without running it: every command's words are computed as values, and what leaves is noted.
//!
//! All branches are taken one after the other, loops once per known item, functions at their calls. That
//! over-approximates what can happen, never the other way round: an `if` hides nothing.

mod list;
mod word;

pub use word::decode_ansi_c as decode_escapes;

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use tree_sitter::{Node, ParseOptions, Parser, Tree};

use crate::flow::command;
use crate::flow::script::{SCRIPT_MAX, Script};
use crate::flow::trace::{Channel, ObservationKind, Role};
use crate::flow::value::{Hop, HopKind, Value};
use crate::flow::{JobState, Tracer};
use crate::span::Bytes;
use crate::text::RepositoryText;

/// Deepest nesting of syntax, calls and decoded scripts together.
const DEPTH_MAX: usize = 120;
/// Most items of a `for` list that are tried one by one.
const ITEMS_MAX: usize = 256;
/// How often the parser may report progress; it does so every few hundred steps, so this bounds its work.
const PARSER_REPORTS_MAX: u32 = 20_000;

struct Parsed {
    script: Script,
    tree: Tree,
}

#[derive(Clone)]
struct Function {
    parsed: Arc<Parsed>,
    body: std::ops::Range<usize>,
}

/// One shell process.
pub struct Shell<'t, 'a> {
    /// Where findings go.
    pub tracer: &'t mut Tracer<'a>,
    /// What outlives the step.
    pub state: &'t mut JobState,
    /// Variables, the environment's included.
    pub variables: HashMap<String, Value>,
    /// Names that child processes see.
    pub exported: std::collections::BTreeSet<String>,
    functions: HashMap<String, Function>,
    /// Other names of commands, as `alias` gave them.
    pub aliases: HashMap<String, Value>,
    /// Elements of arrays; `variables` has them in one.
    arrays: HashMap<String, Vec<Value>>,
    /// Arguments of the script or function.
    pub positional: Vec<Value>,
    /// Commands that read what is written to a `>(…)`, by its path.
    readers: HashMap<String, Function>,
    /// Where `exec > …` sent the rest of the script's output.
    output_target: Option<Value>,
    descriptors: HashMap<String, Value>,
    depth: usize,
    parsed: Arc<Parsed>,
    /// Set while the output of a command is wanted by somebody and does not go to the log.
    stdin: Value,
}

/// A word of a command line with its place.
#[derive(Clone, Debug)]
pub struct Argument {
    /// What it may be.
    pub value: Value,
    /// Where it stands.
    pub bytes: Bytes,
}

/// Runs a script in an environment. What it prints goes to the log, unless `captured`.
pub fn run(
    tracer: &mut Tracer<'_>,
    state: &mut JobState,
    environment: &HashMap<String, Value>,
    script: Script,
    positional: Vec<Value>,
    depth: usize,
) -> Value {
    let Some(parsed) = parse(tracer, script) else { return Value::unknown() };
    let mut shell = Shell::new(tracer, state, environment, Arc::clone(&parsed), depth);
    shell.positional = positional;
    if shell.depth > DEPTH_MAX {
        shell.tracer.incomplete("commands nested too deeply");
        return Value::unknown();
    }
    shell.statement(parsed.tree.root_node())
}

/// Runs one command whose words no shell has touched, standing where the (empty) script does. What it prints goes to the
/// log.
pub fn run_words(
    tracer: &mut Tracer<'_>,
    state: &mut JobState,
    environment: &HashMap<String, Value>,
    place: Script,
    words: Vec<Argument>,
    depth: usize,
) {
    let (file, bytes) = (place.file, place.bytes(0..0));
    let output = run_program(tracer, state, environment, place, words, Value::empty(), depth);
    tracer.log(&output, file, bytes);
}

/// As [`run_words`], with something on its input; returns what it prints.
pub fn run_program(
    tracer: &mut Tracer<'_>,
    state: &mut JobState,
    environment: &HashMap<String, Value>,
    place: Script,
    words: Vec<Argument>,
    stdin: Value,
    depth: usize,
) -> Value {
    let bytes = place.bytes(0..0);
    let Some(parsed) = parse(tracer, place) else { return Value::unknown() };
    let mut shell = Shell::new(tracer, state, environment, parsed, depth);
    shell.stdin = stdin;
    shell.invoke(words, bytes)
}

fn parse(tracer: &mut Tracer<'_>, script: Script) -> Option<Arc<Parsed>> {
    if script.text.len() > SCRIPT_MAX {
        tracer.incomplete("a script that is too long");
        return None;
    }
    let tree = parse_tree(&ascii(&script.text), &tree_sitter_bash::LANGUAGE.into());
    if tree.is_none() {
        tracer.incomplete("a script that can't be parsed in reasonable time");
    }
    Some(Arc::new(Parsed { script, tree: tree? }))
}

/// The text as the grammar may see it: every byte that is not ASCII is a letter, so that all places stay the same.
///
/// The grammar's scanner (tree-sitter-bash 0.25.1, `scanner.c`, `BRACE_START`) asks C's `isdigit` about the character after
/// `{`, which reads outside of its table for anything above U+00FF: `{🦀` ended the process. To a shell these are letters
/// of a word as any other; the words themselves are cut from the true text.
fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    text.bytes().map(|byte| if byte.is_ascii() { char::from(byte) } else { 'x' }).collect::<String>().into()
}

/// Most bytes of scripts whose trees one thread keeps. A tree takes some ten times its text.
const KEPT_BYTES_MAX: usize = 512 * 1024;
/// Longest script whose tree is kept.
const KEPT_SCRIPT_MAX: usize = 64 * 1024;

/// Trees of the scripts parsed last. The versions of a workflow share most of their scripts, and parsing is the dearest
/// step of an analysis.
#[derive(Default)]
struct Kept {
    trees: HashMap<(tree_sitter::Language, String), Option<Tree>>,
    bytes: usize,
}

thread_local! {
    static KEPT: std::cell::RefCell<Kept> = std::cell::RefCell::default();
}

/// Parses with a bound on the parser's work, counted and not timed, so that the same text gives the same answer.
pub fn parse_tree(text: &str, language: &tree_sitter::Language) -> Option<Tree> {
    if text.len() > KEPT_SCRIPT_MAX {
        return parse_anew(text, language);
    }
    let key = (language.clone(), text.to_owned());
    if let Some(tree) = KEPT.with_borrow(|kept| kept.trees.get(&key).cloned()) {
        return tree;
    }
    let tree = parse_anew(text, language);
    KEPT.with_borrow_mut(|kept| {
        if kept.bytes + text.len() > KEPT_BYTES_MAX {
            *kept = Kept::default();
        }
        kept.bytes += text.len() + 64;
        kept.trees.insert(key, tree.clone());
    });
    tree
}

fn parse_anew(text: &str, language: &tree_sitter::Language) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(language).ok()?;
    let mut reports = 0;
    let mut watch = |_: &tree_sitter::ParseState| {
        reports += 1;
        if reports > PARSER_REPORTS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut watch);
    parser.parse_with_options(&mut |at, _| text.as_bytes().get(at..).unwrap_or(&[]), None, Some(options))
}

impl<'t, 'a> Shell<'t, 'a> {
    fn new(
        tracer: &'t mut Tracer<'a>,
        state: &'t mut JobState,
        environment: &HashMap<String, Value>,
        parsed: Arc<Parsed>,
        depth: usize,
    ) -> Self {
        Shell {
            tracer,
            state,
            variables: environment.clone(),
            exported: environment.keys().cloned().collect(),
            functions: HashMap::new(),
            aliases: HashMap::new(),
            arrays: HashMap::new(),
            positional: Vec::new(),
            readers: HashMap::new(),
            output_target: None,
            descriptors: HashMap::new(),
            depth: depth + 1,
            parsed,
            stdin: Value::empty(),
        }
    }

    /// Where a node stands in its file.
    pub fn bytes(&self, node: Node<'_>) -> Bytes {
        self.parsed.script.bytes(node.byte_range())
    }

    /// Which file the script stands in.
    pub fn file(&self) -> usize {
        self.parsed.script.file
    }

    /// A hop at some place.
    pub fn hop(&self, kind: HopKind, what: &str, bytes: Bytes) -> Hop {
        Hop { kind, what: RepositoryText::new(what), file: self.file(), bytes }
    }

    /// Environment of a child process.
    pub fn environment(&self) -> HashMap<String, Value> {
        self.variables
            .iter()
            .filter(|(name, _)| self.exported.contains(*name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Runs code that was put together at run time, as `eval` or `bash -c` would. Returns what it prints.
    pub fn run_code(&mut self, code: Value, bytes: Bytes, positional: Vec<Value>) -> Value {
        let script = Script::from_value(code, self.file(), bytes);
        self.run_script(script, positional)
    }

    /// Runs another script in this shell's environment and with its variables.
    pub fn run_script(&mut self, script: Script, positional: Vec<Value>) -> Value {
        if self.depth >= DEPTH_MAX {
            self.tracer.incomplete("commands nested too deeply");
            return Value::unknown();
        }
        let Some(parsed) = parse(self.tracer, script) else { return Value::unknown() };
        let outer = std::mem::replace(&mut self.parsed, Arc::clone(&parsed));
        let outer_positional = std::mem::replace(&mut self.positional, positional);
        let outer_target = self.output_target.take();
        self.depth += 1;
        let output = self.statement(parsed.tree.root_node());
        self.depth -= 1;
        self.output_target = outer_target;
        self.positional = outer_positional;
        self.parsed = outer;
        output
    }

    fn statements(&mut self, node: Node<'_>) -> Value {
        let mut output = Value::empty();
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor).collect::<Vec<_>>() {
            output.append(self.statement(child));
        }
        output
    }

    /// A whole script, whose output `exec > …` may send elsewhere on the way.
    fn program(&mut self, node: Node<'_>) -> Value {
        let mut output = Value::empty();
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor).collect::<Vec<_>>() {
            let printed = self.statement(child);
            match self.output_target.clone() {
                Some(target) => self.write_to(&target, printed, true, self.bytes(child)),
                None => output.append(printed),
            }
        }
        output
    }

    /// Runs a statement; returns what it prints.
    pub fn statement(&mut self, node: Node<'_>) -> Value {
        self.depth += 1;
        let output = if self.depth > DEPTH_MAX {
            self.tracer.incomplete("commands nested too deeply");
            Value::unknown()
        } else if !self.tracer.spend() {
            Value::unknown()
        } else {
            self.statement_within(node)
        };
        self.depth -= 1;
        output
    }

    fn statement_within(&mut self, node: Node<'_>) -> Value {
        match node.kind() {
            "program" => self.program(node),
            "command" => self.command(node),
            "pipeline" => {
                let mut cursor = node.walk();
                let stages = node.named_children(&mut cursor).collect::<Vec<_>>();
                self.pipe(&stages, None)
            }
            "redirected_statement" => self.redirected(node),
            "variable_assignment" => {
                self.assign(node);
                Value::empty()
            }
            "variable_assignments" => self.statements(node),
            "declaration_command" => self.declaration(node),
            "function_definition" => {
                self.define(node);
                Value::empty()
            }
            "for_statement" => self.for_each(node),
            "subshell" => {
                let outer = self.variables.clone();
                let output = self.statements(node);
                self.variables = outer;
                output
            }
            "test_command" | "unset_command" => {
                self.substitutions(node);
                Value::empty()
            }
            "comment" | "heredoc_end" | "heredoc_start" | "variable_name" => Value::empty(),
            "command_substitution"
            | "string"
            | "word"
            | "concatenation"
            | "raw_string"
            | "simple_expansion"
            | "expansion" => {
                self.word(node);
                Value::empty()
            }
            _ => self.statements(node),
        }
    }

    /// Command substitutions inside a node that prints nothing itself.
    fn substitutions(&mut self, node: Node<'_>) {
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor).collect::<Vec<_>>() {
            if matches!(child.kind(), "command_substitution" | "string" | "concatenation") {
                self.word(child);
            }
        }
    }

    fn pipe(&mut self, stages: &[Node<'_>], first: Option<Value>) -> Value {
        let mut flowing = first;
        for stage in stages {
            let input = flowing.take();
            let outer = match input {
                Some(input) => Some(std::mem::replace(&mut self.stdin, input)),
                None => None,
            };
            let output = self.statement(*stage);
            if let Some(outer) = outer {
                self.stdin = outer;
            }
            flowing = Some(output);
        }
        flowing.unwrap_or_default()
    }

    fn redirected(&mut self, node: Node<'_>) -> Value {
        let body = node.child_by_field_name("body");
        let mut cursor = node.walk();
        let redirects = node
            .named_children(&mut cursor)
            .filter(|child| child.kind().ends_with("_redirect"))
            .collect::<Vec<_>>();
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
                let mut inner = statement.walk();
                let stages = match statement.kind() {
                    "pipeline" => statement.named_children(&mut inner).collect::<Vec<_>>(),
                    _ => vec![statement],
                };
                output = self.pipe(&stages, Some(output));
            } else {
                output.append(self.statement(statement));
            }
        }
        output
    }

    fn redirect<'n>(&mut self, node: Node<'n>, plan: &mut Redirects<'n>) {
        match node.kind() {
            "heredoc_redirect" => {
                let mut cursor = node.walk();
                let mut connector = "";
                for child in node.children(&mut cursor).collect::<Vec<_>>() {
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
                let mut cursor = node.walk();
                let word = node.named_children(&mut cursor).find(|child| child.kind() != "file_descriptor");
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
                    if descriptor.is_none() && operator.starts_with(">&") && to_device {
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

    fn heredoc(&mut self, body: Node<'_>, redirect: Node<'_>) -> Value {
        let mut cursor = redirect.walk();
        let start = redirect.named_children(&mut cursor).find(|child| child.kind() == "heredoc_start");
        let quoted = start
            .is_some_and(|start| self.parsed.script.slice(start.byte_range()).contains(['\'', '"', '\\']));
        let hop = self.hop(HopKind::Carry, "here-document", self.bytes(body));
        if quoted {
            return self.parsed.script.value(body.byte_range(), str::to_owned).hop(&hop);
        }
        self.with_expansions(body, word::unescape_heredoc).hop(&hop)
    }

    /// Writes to a file, a device, or one of the files by which steps talk to the runner.
    pub fn write_to(&mut self, target: &Value, content: Value, append: bool, bytes: Bytes) {
        let path = target.template();
        if path == "/dev/null" {
            return;
        }
        if matches!(path.as_str(), "/dev/stdout" | "/dev/stderr" | "1" | "2" | "/dev/tty") {
            self.print(content, bytes);
            return;
        }
        if let Some(address) = path.strip_prefix("/dev/tcp/").or_else(|| path.strip_prefix("/dev/udp/")) {
            let host = address.replace('/', ":");
            let value = content.only_carried();
            self.tracer.deliver(
                value,
                Channel::Network,
                Role::Payload,
                Value::text(host),
                "/dev/tcp",
                self.file(),
                bytes,
            );
            return;
        }
        if let Some(reader) = self.readers.remove(&path) {
            self.feed(&reader, content, bytes);
            self.readers.insert(path, reader);
            return;
        }
        let hop = self.hop(HopKind::Carry, &format!("written to {}", shown(&path)), bytes);
        self.state.write(&path, content.hop(&hop), append);
    }

    /// Reads a file: one that a step wrote, one of the runner's credentials, or nothing known.
    pub fn read_file(&mut self, path: &Value, bytes: Bytes) -> Value {
        let name = path.template();
        let written = self.state.read(&name).filter(Value::carries);
        if let (None, Some(source)) = (written, command::credential_file(&name)) {
            return self.tracer.enter(source, &format!("read from {}", shown(&name)), self.file(), bytes);
        }
        if name.starts_with("/proc/") && name.ends_with("/environ") {
            return self.dump_environment(bytes);
        }
        match self.state.read(&name) {
            Some(content) => {
                let hop = self.hop(HopKind::Carry, &format!("read from {}", shown(&name)), bytes);
                content.hop(&hop)
            }
            None => Value::unknown(),
        }
    }

    /// Everything that a child process would see in its environment.
    pub fn dump_environment(&mut self, bytes: Bytes) -> Value {
        let mut dump = self.tracer.enter(
            crate::flow::value::Source::Environment,
            "the whole environment",
            self.file(),
            bytes,
        );
        let hop = self.hop(HopKind::Carry, "the whole environment", bytes);
        for (name, value) in sorted(&self.environment()) {
            if value.carries() && !crate::flow::is_runner_variable(name) {
                dump.push_text(&format!("{name}="));
                dump.append(value.clone().hop(&hop));
                dump.push_text("\n");
            }
        }
        dump
    }

    /// Output that nobody takes: the log.
    pub fn print(&mut self, content: Value, bytes: Bytes) {
        self.tracer.log(&content, self.file(), bytes);
    }

    fn assign(&mut self, node: Node<'_>) -> Option<String> {
        self.assign_with(node, &[])
    }

    /// An assignment; the grammar sees the end of some values as words of their own.
    fn assign_with(&mut self, node: Node<'_>, rest: &[Node<'_>]) -> Option<String> {
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

    fn declaration(&mut self, node: Node<'_>) -> Value {
        let keyword = node.child(0).map(|child| child.kind().to_owned()).unwrap_or_default();
        let mut names = Vec::new();
        let mut prints = false;
        let mut exports = keyword == "export";
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor).collect::<Vec<_>>() {
            match child.kind() {
                "variable_assignment" => names.extend(self.assign(child)),
                "variable_name" => names.push(self.parsed.script.slice(child.byte_range()).to_owned()),
                _ => {
                    let word = self.word(child);
                    let text = word.template();
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
        if exports {
            self.exported.extend(names);
        }
        Value::empty()
    }

    fn define(&mut self, node: Node<'_>) {
        let (Some(name), Some(body)) = (node.child_by_field_name("name"), node.child_by_field_name("body"))
        else {
            return;
        };
        let name = self.parsed.script.slice(name.byte_range()).to_owned();
        self.functions.insert(name, Function { parsed: Arc::clone(&self.parsed), body: body.byte_range() });
    }

    fn for_each(&mut self, node: Node<'_>) -> Value {
        let variable = node
            .child_by_field_name("variable")
            .map(|name| self.parsed.script.slice(name.byte_range()).to_owned());
        let mut cursor = node.walk();
        let values = node.children_by_field_name("value", &mut cursor).collect::<Vec<_>>();
        let mut items = Vec::new();
        for value in values {
            let word = self.word(value);
            match word.literal() {
                Some(text) if value.kind() != "string" && value.kind() != "raw_string" => {
                    items.extend(text.split_whitespace().map(Value::text));
                }
                _ => items.push(word),
            }
        }
        let (Some(variable), Some(body)) = (variable, node.child_by_field_name("body")) else {
            return Value::empty();
        };
        let mut output = Value::empty();
        if items.len() > ITEMS_MAX {
            self.tracer.incomplete("a loop over too many words");
        }
        items.truncate(ITEMS_MAX);
        if items.is_empty() {
            items.push(Value::unknown());
        }
        for item in items {
            self.variables.insert(variable.clone(), item);
            output.append(self.statement(body));
        }
        output
    }

    fn command(&mut self, node: Node<'_>) -> Value {
        let mut cursor = node.walk();
        let mut arguments: Vec<Argument> = Vec::new();
        let mut assigned = Vec::new();
        let mut plan = Redirects::default();
        for words in touching(node.named_children(&mut cursor).collect()) {
            let Some((child, rest)) = words.split_first() else { continue };
            let child = *child;
            match child.kind() {
                "variable_assignment" => {
                    let before = child.child_by_field_name("name").map(|name| {
                        let name = self.parsed.script.slice(name.byte_range()).to_owned();
                        let old = self.variables.get(&name).cloned();
                        let was = self.exported.contains(&name);
                        (name, old, was)
                    });
                    self.assign_with(child, rest);
                    assigned.extend(before);
                }
                _ if !rest.is_empty() => {
                    let value = self.joined(&words);
                    let end = words.last().map_or(child.end_byte(), |last| last.end_byte());
                    let bytes = self.parsed.script.bytes(child.start_byte()..end);
                    arguments.push(Argument { value, bytes });
                }
                "command_name" => {
                    let Some(word) = child.named_child(0) else { continue };
                    self.push_argument(word, &mut arguments);
                }
                kind if kind.ends_with("_redirect") => self.redirect(child, &mut plan),
                _ => self.push_argument(child, &mut arguments),
            }
        }
        if !arguments.is_empty() {
            self.exported.extend(assigned.iter().map(|(name, _, _)| name.clone()));
        }
        let outer = plan.stdin.take().map(|input| std::mem::replace(&mut self.stdin, input));
        let bytes = self.bytes(node);
        if arguments.is_empty() {
            // No command after all: the assignments stay.
            assigned.clear();
        }
        let mut output = self.invoke(arguments, bytes);
        if let Some(outer) = outer {
            self.stdin = outer;
        }
        if let Some(target) = plan.stdout {
            self.write_to(&target, output, plan.append, bytes);
            output = Value::empty();
        }
        // `NAME=value command` sets the variable for that command alone.
        for (name, old, was) in assigned.into_iter().rev() {
            match old {
                Some(old) => self.variables.insert(name.clone(), old),
                None => self.variables.remove(&name),
            };
            if !was {
                self.exported.remove(&name);
            }
        }
        output
    }

    fn push_argument(&mut self, node: Node<'_>, arguments: &mut Vec<Argument>) {
        let bytes = self.bytes(node);
        if let Some(elements) = self.elements(node) {
            arguments.extend(elements.into_iter().map(|value| Argument { value, bytes }));
            return;
        }
        let value = self.word(node);
        let splits = matches!(node.kind(), "simple_expansion" | "expansion" | "command_substitution");
        match value.literal() {
            // An unquoted expansion is split into words; an empty one is no word at all.
            Some(text) if splits => {
                arguments
                    .extend(text.split_whitespace().map(|word| Argument { value: Value::text(word), bytes }));
            }
            _ if splits && value.prefix().contains(char::is_whitespace) => {
                arguments.extend(word::split(&value).into_iter().map(|value| Argument { value, bytes }));
            }
            _ => arguments.push(Argument { value, bytes }),
        }
    }

    /// Runs a command whose words are known: a function of the script, or a program.
    pub fn invoke(&mut self, mut arguments: Vec<Argument>, bytes: Bytes) -> Value {
        if arguments.is_empty() || !self.tracer.spend() {
            return Value::empty();
        }
        if let Some(output) = self.expand_alias(&arguments, bytes) {
            return output;
        }
        let first = arguments.remove(0);
        let name = first.value.template();
        if let Some(function) = self.functions.get(&name).cloned() {
            return self.call(&function, arguments);
        }
        let stdin = self.stdin.clone();
        command::run(self, &name, &first, arguments, stdin, bytes)
    }

    fn call(&mut self, function: &Function, arguments: Vec<Argument>) -> Value {
        if self.depth >= DEPTH_MAX {
            self.tracer.incomplete("functions nested too deeply");
            return Value::unknown();
        }
        let Some(body) = function
            .parsed
            .tree
            .root_node()
            .descendant_for_byte_range(function.body.start, function.body.end)
        else {
            return Value::empty();
        };
        let values = arguments.into_iter().map(|argument| argument.value).collect();
        let outer = std::mem::replace(&mut self.parsed, Arc::clone(&function.parsed));
        let outer_positional = std::mem::replace(&mut self.positional, values);
        self.depth += 1;
        let output = self.statement(body);
        self.depth -= 1;
        self.positional = outer_positional;
        self.parsed = outer;
        output
    }

    /// Notes something that means something by itself.
    pub fn observe(&mut self, kind: ObservationKind, detail: Value, bytes: Bytes) {
        let file = self.file();
        self.tracer.observe(kind, detail, file, bytes);
    }

    /// Nesting so far, for whoever starts another interpreter.
    pub fn depth(&self) -> usize {
        self.depth
    }
}

/// Words that stand without a space between them are one: the grammar takes `@<(…)` and `$A.$B.c` apart.
fn touching(nodes: Vec<Node<'_>>) -> Vec<Vec<Node<'_>>> {
    let mut groups: Vec<Vec<Node<'_>>> = Vec::new();
    let is_redirect = |node: &Node<'_>| node.kind().ends_with("_redirect");
    for node in nodes {
        match groups.last_mut() {
            Some(group)
                if !is_redirect(&node)
                    && group
                        .last()
                        .is_some_and(|last| !is_redirect(last) && last.end_byte() == node.start_byte()) =>
            {
                group.push(node);
            }
            _ => groups.push(vec![node]),
        }
    }
    groups
}

#[derive(Default)]
struct Redirects<'n> {
    stdin: Option<Value>,
    stdout: Option<Value>,
    append: bool,
    descriptors: Vec<(String, Value)>,
    tail: Vec<(&'static str, Node<'n>)>,
}

/// A name as it is shown in a hop: short.
pub fn shown(name: &str) -> String {
    let mut short: String = name.chars().take(80).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    format!("`{short}`")
}

fn sorted(environment: &HashMap<String, Value>) -> Vec<(&String, &Value)> {
    let mut all = environment.iter().collect::<Vec<_>>();
    all.sort_by(|a, b| a.0.cmp(b.0));
    all
}
