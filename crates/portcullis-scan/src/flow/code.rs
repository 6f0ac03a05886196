//! Python, Node and PowerShell by their syntax trees; Ruby, Perl and PHP by their literals.
//!
//! Coarser than the shell: an expression's value is what its parts may hold, a function call passes on what it was
//! given unless it is known to do something else. That finds every straight way and most crooked ones; what it
//! can't know (which key of a dictionary) it takes for all.

mod binding;
mod calls;
mod known;
mod literal;
mod literals;
mod names;
mod operation;
mod powershell;
mod reading;
mod send;

use std::collections::{BTreeMap, HashMap};

use crate::flow::command::Language;
use crate::flow::known::Run;
use crate::flow::script::{SCRIPT_MAX, Script};
use crate::flow::shell::parse_tree;
use crate::flow::value::{HopKind, Part, Value};
use crate::flow::{Hop, JobState, Tracer};
use crate::span::Bytes;
use crate::syntax::{Node, Tree};
use crate::text::RepositoryText;
pub(super) use literal::{as_text, unpacked};

/// Deepest nesting of expressions and calls.
const DEPTH_MAX: usize = 150;

/// Stands before the number of an argument among the variables that a program gets.
pub const ARGUMENT: &str = "PORTCULLIS_ARGUMENT_";
/// What a program gets on its input, among the variables that it gets.
pub const INPUT: &str = "PORTCULLIS_INPUT";

/// One program being followed.
pub struct Program<'t, 'a, 's> {
    tracer: &'t mut Tracer<'a>,
    state: &'t mut JobState,
    environment: &'s HashMap<String, Value>,
    language: Language,
    script: &'s Script,
    variables: HashMap<String, Value>,
    functions: HashMap<String, (std::ops::Range<usize>, Vec<String>)>,
    returned: Vec<Value>,
    printed: Value,
    tree: &'s Tree,
    depth: usize,
    memory: powershell::Memory,
    /// Names that stand for others: imports, and variables that hold a client.
    names: HashMap<String, String>,
    /// Lists in variables, element by element.
    lists: HashMap<String, Vec<Value>>,
    /// The same of the arguments of the call that is about to be followed.
    handed: Vec<Option<Vec<Value>>>,
    /// Programs that were started with an open input, by variable.
    started: HashMap<String, Vec<Value>>,
    /// Elements that the next callback is called with.
    callback_items: Option<Vec<Value>>,
    /// Where the functions begin that are running, the outermost first.
    active: Vec<usize>,
    /// The bodies of the functions by where they begin: where they end, and whether they were called.
    declared: BTreeMap<usize, (usize, bool)>,
}

/// Follows a program; returns what it prints.
pub fn run(
    tracer: &mut Tracer<'_>,
    state: &mut JobState,
    environment: &HashMap<String, Value>,
    language: Language,
    script: &Script,
    depth: usize,
) -> Value {
    let follow = |tracer: &mut Tracer<'_>, state: &mut JobState| {
        run_within(tracer, state, environment, language, script, depth, &mut HashMap::new())
    };
    if script.whole_file().is_none() {
        return follow(tracer, state);
    }
    Run { environment, language, script, depth }.output(tracer, state, follow)
}

/// Follows code that another program runs in itself, with the variables of that program.
fn run_within(
    tracer: &mut Tracer<'_>,
    state: &mut JobState,
    environment: &HashMap<String, Value>,
    language: Language,
    script: &Script,
    depth: usize,
    variables: &mut HashMap<String, Value>,
) -> Value {
    if script.text.len() > SCRIPT_MAX {
        tracer.incomplete("a script that is too long");
        return Value::unknown();
    }
    let grammar: tree_sitter::Language = match language {
        Language::Python => tree_sitter_python::LANGUAGE.into(),
        Language::JavaScript => tree_sitter_javascript::LANGUAGE.into(),
        Language::PowerShell => tree_sitter_powershell::LANGUAGE.into(),
        Language::Other => return literals::run(tracer, state, environment, script, depth),
        Language::Shell => {
            let text = script.value(0..script.text.len(), str::to_owned);
            let script = Script::from_value(text, script.file, script.bytes(0..script.text.len()));
            return crate::flow::shell::run(tracer, state, environment, script, Vec::new(), depth);
        }
    };
    let Some(tree) = parse_tree(&script.text, &grammar) else {
        tracer.incomplete("a script that can't be parsed in reasonable time");
        return Value::unknown();
    };
    let mut program = Program {
        tracer,
        state,
        environment,
        language,
        script,
        variables: HashMap::new(),
        functions: HashMap::new(),
        returned: Vec::new(),
        printed: Value::empty(),
        tree: &tree,
        depth,
        memory: powershell::Memory::default(),
        names: HashMap::new(),
        lists: HashMap::new(),
        handed: Vec::new(),
        started: HashMap::new(),
        callback_items: None,
        active: Vec::new(),
        declared: BTreeMap::new(),
    };
    program.variables = std::mem::take(variables);
    if language == Language::PowerShell {
        program.run_powershell(tree.root_node());
    } else {
        program.declare(tree.root_node(), 0);
        program.declare_names(tree.root_node(), 0);
        let mut output = Value::empty();
        program.declared =
            program.functions.values().map(|(body, _)| (body.start, (body.end, false))).collect();
        program.eval_all(tree.root_node(), &mut output);
        program.eval_uncalled();
    }
    *variables = program.variables;
    program.printed
}

impl Program<'_, '_, '_> {
    /// Notes what goes to standard output, which may be the log or the next program's input.
    fn print(&mut self, content: &Value, bytes: Bytes) {
        let hop = self.hop(HopKind::Carry, "printed", bytes);
        let mut content = content.clone();
        // Arguments come with a space behind each, of which the last is not printed.
        if let Some(Part::Text(text)) = content.parts.last_mut()
            && text.ends_with(' ')
        {
            let length = text.len() - 1;
            text.to_mut().truncate(length);
        }
        self.printed.append(content.hop(&hop));
        self.printed.push_text("\n");
    }

    fn text(&self, node: Node<'_>) -> &str {
        self.script.slice(node.byte_range())
    }

    fn bytes(&self, node: Node<'_>) -> Bytes {
        self.script.bytes(node.byte_range())
    }

    fn hop(&self, kind: HopKind, what: &str, bytes: Bytes) -> Hop {
        Hop { kind, what: RepositoryText::new(what), file: self.script.file, bytes }
    }

    fn eval_all(&mut self, node: Node<'_>, into: &mut Value) {
        if node.child_count() == 0 {
            return;
        }
        for child in node.named_children() {
            into.append(self.eval(child));
        }
    }

    /// What an expression may hold; statements hold what their parts do.
    fn eval(&mut self, node: Node<'_>) -> Value {
        self.depth += 1;
        let value = if self.depth > DEPTH_MAX {
            self.tracer.incomplete("a script nested too deeply");
            Value::unknown()
        } else if !self.tracer.spend() {
            Value::unknown()
        } else {
            let value = self.eval_within(node);
            self.tracer.charge(&value);
            value
        };
        self.depth -= 1;
        value
    }

    fn eval_within(&mut self, node: Node<'_>) -> Value {
        match node.kind() {
            "string" | "template_string" | "concatenated_string" => self.string(node),
            "string_content" | "string_fragment" | "escape_sequence" => {
                self.script.value(node.byte_range(), crate::flow::shell::decode_escapes)
            }
            "interpolation" | "template_substitution" => {
                match node.child_by_field_name("expression").or_else(|| node.named_child(0)) {
                    Some(inner) => self.eval(inner),
                    None => Value::unknown(),
                }
            }
            "identifier" | "shorthand_property_identifier" => {
                let placeholders = self.script.value(node.byte_range(), str::to_owned);
                if placeholders.literal().is_none() {
                    return placeholders;
                }
                self.variables.get(self.text(node)).cloned().unwrap_or_else(Value::unknown)
            }
            "integer" | "float" | "number" => Value::text(self.text(node).to_owned()),
            "comment" | "import_statement" | "import_from_statement" | "string_start" | "string_end" => {
                Value::empty()
            }
            "function_definition" | "function_declaration" => {
                // Taken at its calls, or at the end where there are none. One whose name another has taken since is never found.
                let start = node.child_by_field_name("body").map(|body| body.start_byte());
                if !start.is_some_and(|start| self.declared.contains_key(&start)) {
                    self.body_of(node);
                }
                Value::empty()
            }
            // Nothing uses what a statement came to: handing it on would copy it once for each block around it.
            "expression_statement" | "lexical_declaration" | "variable_declaration" => {
                self.eval_all(node, &mut Value::empty());
                Value::empty()
            }
            "arrow_function" | "function_expression" | "lambda" | "method_definition" => self.body_of(node),
            "assignment"
            | "assignment_expression"
            | "augmented_assignment"
            | "augmented_assignment_expression"
            | "named_expression" => {
                let (left, right) = (
                    node.child_by_field_name("left").or_else(|| node.child_by_field_name("name")),
                    node.child_by_field_name("right").or_else(|| node.child_by_field_name("value")),
                );
                let value = right.map_or_else(Value::empty, |right| self.eval(right));
                if let (Some(left), Some(right)) = (left, right) {
                    self.note_client(left, right);
                }
                if let Some(left) = left {
                    let adds = node.kind().starts_with("augmented") || !matches!(left.kind(), "identifier");
                    self.bind(left, &value, adds);
                    self.note_list(left, right);
                }
                value
            }
            "variable_declarator" => {
                let value =
                    node.child_by_field_name("value").map_or_else(Value::empty, |value| self.eval(value));
                let from_environment =
                    node.child_by_field_name("value").is_some_and(|value| self.path(value) == "process.env");
                match node.child_by_field_name("name") {
                    Some(name) if name.kind() == "object_pattern" && from_environment => self.pick(name),
                    Some(name) => {
                        self.bind(name, &value, false);
                        let right = node.child_by_field_name("value");
                        if let Some(right) = right {
                            self.note_client(name, right);
                            self.call_back(name, right);
                        }
                        self.note_list(name, right);
                    }
                    None => {}
                }
                value
            }
            "for_statement" | "for_in_clause" | "for_in_statement" => {
                if let (Some(left), Some(right)) =
                    (node.child_by_field_name("left"), node.child_by_field_name("right"))
                {
                    if let Some(items) = self.elements_of(right).filter(|_| node.kind() != "for_in_clause") {
                        return self.each(node, left, items);
                    }
                    let value = self.eval(right);
                    let value = self.characters_of(value, right);
                    self.bind(left, &value, false);
                }
                let mut value = Value::empty();
                for field in ["initializer", "condition", "body", "alternative"] {
                    if let Some(part) = node.child_by_field_name(field) {
                        value.append(self.eval(part));
                    }
                }
                value
            }
            "list_comprehension"
            | "dictionary_comprehension"
            | "set_comprehension"
            | "generator_expression" => {
                // The clauses bind the names that the body, standing before them, uses.
                let (mut body, mut clauses) = (Vec::new(), Vec::new());
                for child in node.named_children().collect::<Vec<_>>() {
                    if child.kind() == "for_in_clause" { clauses.push(child) } else { body.push(child) }
                }
                if let [clause] = clauses.as_slice()
                    && let (Some(left), Some(right)) =
                        (clause.child_by_field_name("left"), clause.child_by_field_name("right"))
                    && let Some(items) = self.elements_of(right)
                {
                    let body: Vec<Node<'_>> =
                        body.into_iter().filter(|child| child.kind() != "if_clause").collect();
                    let mut value = Value::empty();
                    for item in items {
                        self.bind(left, &item, false);
                        for child in &body {
                            value.append(self.eval(*child));
                        }
                    }
                    return value;
                }
                for clause in clauses {
                    self.eval(clause);
                }
                let mut value = Value::empty();
                for child in body.into_iter().filter(|child| child.kind() != "if_clause") {
                    value.append(self.eval(child));
                }
                value
            }
            "with_item" | "as_pattern" => {
                let inner = node.child_by_field_name("value").or_else(|| node.named_child(0));
                let value = inner.map_or_else(Value::empty, |inner| self.eval(inner));
                if let Some(alias) = node.child_by_field_name("alias") {
                    if let (Some(inner), Some(name)) = (inner, alias.named_child(0)) {
                        self.note_client(name, inner);
                    }
                    self.bind(alias, &value, false);
                }
                value
            }
            "return_statement" => {
                let mut value = Value::empty();
                self.eval_all(node, &mut value);
                self.returned.push(value.clone());
                value
            }
            "this" => self.variables.get("this").cloned().unwrap_or_else(Value::unknown),
            // What they come to is yes or no.
            "comparison_operator" | "not_operator" => {
                self.eval_all(node, &mut Value::empty());
                Value::unknown()
            }
            "binary_expression" if self.compares(node) => {
                self.eval_all(node, &mut Value::empty());
                Value::unknown()
            }
            "binary_operator" | "binary_expression" => self.operation(node),
            "spread_element" => {
                let inner = node.named_child(0);
                let value = inner.map_or_else(Value::empty, |inner| self.eval(inner));
                inner.map_or_else(Value::empty, |inner| self.characters_of(value, inner))
            }
            "attribute" | "member_expression" => self.member(node),
            "subscript" | "subscript_expression" => self.subscript(node),
            "call" | "call_expression" | "new_expression" => self.call(node),
            "pair" => {
                let mut value = match node.child_by_field_name("key") {
                    Some(key) if matches!(key.kind(), "property_identifier") => {
                        Value::text(self.text(key).to_owned())
                    }
                    Some(key) => self.eval(key),
                    None => Value::empty(),
                };
                value.push_text("=");
                if let Some(inner) = node.child_by_field_name("value") {
                    value.append(self.eval(inner));
                }
                value.push_text(" ");
                value
            }
            "list" | "array" | "tuple" => {
                let mut value = Value::empty();
                for child in node.named_children().collect::<Vec<_>>() {
                    value.append(self.eval(child));
                    value.push_text(" ");
                }
                value
            }
            "conditional_expression" | "ternary_expression" | "boolean_operator" => {
                let mut value = Value::empty();
                self.eval_all(node, &mut value);
                value
            }
            _ => {
                let mut value = Value::empty();
                self.eval_all(node, &mut value);
                if node.named_child_count() == 0 {
                    self.script.value(node.byte_range(), |_| String::new())
                } else {
                    value
                }
            }
        }
    }

    /// Whether an expression of JavaScript's compares its two sides.
    fn compares(&self, node: Node<'_>) -> bool {
        const COMPARISONS: &[&str] = &["==", "===", "!=", "!==", "<", "<=", ">", ">=", "in", "instanceof"];
        node.child_by_field_name("operator").is_some_and(|operator| COMPARISONS.contains(&operator.kind()))
    }

    /// The body of a function is followed, so that it needs no look of its own at the end.
    fn note_call(&mut self, body: Node<'_>) {
        if let Some((_, is_called)) = self.declared.get_mut(&body.start_byte()) {
            *is_called = true;
        }
    }

    /// Functions that nobody called may be callbacks.
    fn eval_uncalled(&mut self) {
        let uncalled = self.declared.iter().filter(|(_, (_, is_called))| !is_called);
        let uncalled: Vec<(usize, usize)> = uncalled.map(|(start, (end, _))| (*start, *end)).collect();
        for (start, end) in uncalled {
            // One that was before it may have called it.
            if self.declared.get(&start).is_some_and(|(_, is_called)| *is_called) {
                continue;
            }
            if let Some(body) = self.tree.root_node().descendant_for_byte_range(start, end) {
                self.eval(body);
            }
        }
    }

    fn body_of(&mut self, node: Node<'_>) -> Value {
        if let Some(body) = node.child_by_field_name("body") {
            self.note_call(body);
        }
        let returned = std::mem::take(&mut self.returned);
        let mut value = node.child_by_field_name("body").map_or_else(Value::empty, |body| self.eval(body));
        for one in std::mem::replace(&mut self.returned, returned) {
            value.append(one.only_carried());
        }
        value
    }

    fn string(&mut self, node: Node<'_>) -> Value {
        let mut value = Value::empty();
        let children = node.named_children().collect::<Vec<_>>();
        let raw = self.text(node).starts_with(['r', 'R']);
        for child in children {
            value.append(match child.kind() {
                "string_content" if raw => self.script.value(child.byte_range(), str::to_owned),
                _ => self.eval(child),
            });
        }
        value
    }
}
