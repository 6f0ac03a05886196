//! Running a shell script without running it: every command's words are computed as values, and what leaves is noted.
//!
//! All branches are taken one after the other, loops once per known item, functions at their calls. That
//! over-approximates what can happen, never the other way round: an `if` hides nothing.

mod assign;
mod brace;
mod file;
mod list;
mod parse;
mod process;
mod redirect;
mod word;

pub(crate) use parse::KnownTrees;
use parse::parse;
pub use parse::parse_tree;
use redirect::Redirects;
pub use word::decode_ansi_c as decode_escapes;

use std::collections::HashMap;
use std::sync::Arc;

use crate::syntax::{Node, Tree};

use crate::flow::command;
use crate::flow::script::Script;
use crate::flow::trace::ObservationKind;
use crate::flow::value::{Hop, HopKind, Value};
use crate::flow::{JobState, Tracer};
use crate::span::Bytes;
use crate::text::RepositoryText;

/// Deepest nesting of syntax, calls and decoded scripts together.
const DEPTH_MAX: usize = 120;
/// Most items of a `for` list that are tried one by one.
const ITEMS_MAX: usize = 256;
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
    /// Commands of `coproc`, by the path that stands for their input.
    coprocesses: HashMap<String, Vec<Argument>>,
    /// Whether a named pipe was made: its reader may stand before its writer.
    pub has_pipes: bool,
    /// Where `exec > …` sent the rest of the script's output.
    output_target: Option<Value>,
    descriptors: HashMap<String, Value>,
    depth: usize,
    parsed: Arc<Parsed>,
    /// What the next command reads.
    pub stdin: Value,
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
            coprocesses: HashMap::new(),
            has_pipes: false,
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
        for child in node.named_children().collect::<Vec<_>>() {
            output.append(self.statement(child));
        }
        output
    }

    /// A whole script, whose output `exec > …` may send elsewhere on the way.
    fn program(&mut self, node: Node<'_>) -> Value {
        let mut output = Value::empty();
        for child in node.named_children().collect::<Vec<_>>() {
            let printed = self.statement(child);
            match self.output_target.clone() {
                Some(target) => self.write_to(&target, printed, true, self.bytes(child)),
                None => output.append(printed),
            }
        }
        if std::mem::take(&mut self.has_pipes) {
            // Who reads a named pipe waits for who writes it, wherever each stands.
            self.statements(node);
            self.has_pipes = false;
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
                let stages = node.named_children().collect::<Vec<_>>();
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
            "compound_statement" if self.is_braced_word(node) => self.braced_command(node),
            "subshell" => {
                let outer = self.variables.clone();
                let folder = self.state.folder.clone();
                let output = self.statements(node);
                self.state.folder = folder;
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
        for child in node.named_children().collect::<Vec<_>>() {
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
        let values = node.children_by_field_name("value").collect::<Vec<_>>();
        let mut items = Vec::new();
        for value in values {
            if self.parsed.script.slice(value.byte_range()).contains('{') && value.kind() != "string" {
                let mut words = Vec::new();
                self.push_argument(value, &mut words);
                items.extend(words.into_iter().map(|word| word.value));
                continue;
            }
            if let Some(elements) = self.elements(value) {
                items.extend(elements);
                continue;
            }
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
        let mut items = self.tracer.cut(items, ITEMS_MAX, "a loop over too many words");
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
        let mut arguments: Vec<Argument> = Vec::new();
        let mut assigned = Vec::new();
        let mut plan = Redirects::default();
        for words in touching(node.named_children().collect()) {
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
            _ if self.has_braces(node) => {
                let words = brace::expanded(Argument { value, bytes });
                if words.len() >= brace::WORDS_MAX {
                    self.tracer.incomplete("braces that give too many words");
                }
                arguments.extend(words);
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

/// A name as it is shown in a hop: short.
pub fn shown(name: &str) -> String {
    let mut short: String = name.chars().take(80).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    format!("`{short}`")
}
