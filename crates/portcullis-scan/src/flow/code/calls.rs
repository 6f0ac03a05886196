//! Calls: to functions of the program itself, to those that send, encode, run or write, and to everything else.

use tree_sitter::Node;

use super::Program;
use super::send::{SENDERS, address, host_in};
use crate::flow::command::Language;
use crate::flow::script::Script;
use crate::flow::trace::{Channel, ObservationKind, Role};
use crate::flow::value::{HopKind, Part, Value};
use crate::span::Bytes;

/// Functions that look a name up, which carries it to whoever serves the zone.
const RESOLVERS: &[&str] = &[
    "gethostbyname",
    "getaddrinfo",
    "dns.lookup",
    "dns.resolve",
    "resolver.resolve",
    "resolve4",
    "resolve6",
    "resolveTxt",
    "lookup",
];

/// Functions that run a command line.
const RUNNERS: &[&str] = &[
    "os.system",
    "os.popen",
    "subprocess.run",
    "subprocess.call",
    "subprocess.check_output",
    "subprocess.check_call",
    "subprocess.Popen",
    "subprocess.getoutput",
    "exec",
    "execSync",
    "spawn",
    "spawnSync",
    "execFile",
    "execFileSync",
    "child_process.exec",
    "exec.exec",
    "exec.getExecOutput",
];

impl Program<'_, '_, '_> {
    pub(super) fn call(&mut self, node: Node<'_>) -> Value {
        let function =
            node.child_by_field_name("function").or_else(|| node.child_by_field_name("constructor"));
        let Some(function) = function else { return Value::unknown() };
        let name = self.path(function);
        let bytes = self.bytes(node);
        let receiver = match function.kind() {
            "attribute" | "member_expression" => function.child_by_field_name("object"),
            _ => None,
        };
        if let Some(value) = self.environment_call(&name, node, bytes) {
            return value;
        }
        if let Some(joined) = self.joined_literals(function, receiver, node) {
            return Value::text(joined);
        }
        let receiver_value = match receiver {
            Some(receiver) => self.eval(receiver),
            None if matches!(function.kind(), "call" | "call_expression" | "parenthesized_expression") => {
                self.eval(function)
            }
            None => Value::empty(),
        };
        let arguments = self.arguments(node, &receiver_value);
        // `s.connect((host, port))`: what is sent on `s` later goes there.
        if name.ends_with(".connect")
            && let Some(receiver) = receiver.filter(|receiver| receiver.kind() == "identifier")
        {
            let variable = self.text(receiver).to_owned();
            for argument in &arguments {
                self.variables.entry(variable.clone()).or_default().append(argument.clone());
            }
        }
        self.apply(&name, receiver_value, arguments, bytes)
    }

    /// `".".join(["a", "b"])` and `["a", "b"].join(".")`, where all of it is literal: an address in pieces.
    fn joined_literals(
        &mut self,
        function: Node<'_>,
        receiver: Option<Node<'_>>,
        node: Node<'_>,
    ) -> Option<String> {
        let method =
            function.child_by_field_name("attribute").or_else(|| function.child_by_field_name("property"))?;
        if self.text(method) != "join" {
            return None;
        }
        let argument = node.child_by_field_name("arguments")?.named_child(0);
        let (list, separator) = match receiver? {
            list if list.kind() == "array" => (list, argument),
            separator => (argument?, Some(separator)),
        };
        if !matches!(list.kind(), "array" | "list" | "tuple") {
            return None;
        }
        let separator = match separator {
            Some(separator) => self.eval(separator).literal().unwrap_or("").to_owned(),
            None => ",".to_owned(),
        };
        let mut cursor = list.walk();
        let mut pieces = Vec::new();
        for child in list.named_children(&mut cursor).collect::<Vec<_>>() {
            pieces.push(self.eval(child).literal()?.to_owned());
        }
        (!pieces.is_empty()).then(|| pieces.join(&separator))
    }

    fn arguments(&mut self, node: Node<'_>, receiver: &Value) -> Vec<Value> {
        let Some(list) = node.child_by_field_name("arguments") else { return Vec::new() };
        if list.kind() == "generator_expression" || list.kind() == "template_string" {
            return vec![self.eval(list)];
        }
        let mut cursor = list.walk();
        let mut values = Vec::new();
        for child in list.named_children(&mut cursor).collect::<Vec<_>>() {
            match child.kind() {
                "arrow_function" | "function_expression" | "lambda" => {
                    // A callback gets what it is called on: `.map(([k, v]) => …)`, `.then(r => …)`.
                    let parameters = child
                        .child_by_field_name("parameters")
                        .or_else(|| child.child_by_field_name("parameter"));
                    if let Some(parameters) = parameters {
                        self.bind(parameters, receiver, false);
                    }
                    values.push(self.eval(child));
                }
                "keyword_argument" => {
                    let mut value = match child.child_by_field_name("name") {
                        Some(name) => Value::text(format!("{}=", self.text(name))),
                        None => Value::empty(),
                    };
                    if let Some(inner) = child.child_by_field_name("value") {
                        let inner = self.eval(inner);
                        // An address as a keyword is still an address.
                        if inner.prefix().contains("://") {
                            value = Value::empty();
                        }
                        value.append(inner);
                    }
                    values.push(value);
                }
                "comment" => {}
                _ => values.push(self.eval(child)),
            }
        }
        values
    }

    /// Calls that read the environment, before their receiver is taken for a dump.
    fn environment_call(&mut self, name: &str, node: Node<'_>, bytes: Bytes) -> Option<Value> {
        let reads_one = matches!(
            name,
            "os.getenv"
                | "os.environ.get"
                | "environ.get"
                | "getenv"
                | "os.environ.pop"
                | "core.getInput"
                | "Deno.env.get"
                | "Bun.env.get"
        );
        if !reads_one {
            return None;
        }
        let key = self.arguments(node, &Value::empty()).into_iter().next().unwrap_or_default();
        match key.literal() {
            Some(variable) if name == "core.getInput" => {
                let variable = format!("INPUT_{}", variable.to_ascii_uppercase());
                Some(self.environment_variable(&variable, bytes))
            }
            Some(variable)
                if self.environment.contains_key(variable) || !variable.contains(char::is_whitespace) =>
            {
                let variable = variable.to_owned();
                Some(self.environment_variable(&variable, bytes))
            }
            _ => Some(self.dump(bytes)),
        }
    }

    /// What a call of this name does with its receiver and arguments.
    pub(super) fn apply(
        &mut self,
        name: &str,
        receiver: Value,
        arguments: Vec<Value>,
        bytes: Bytes,
    ) -> Value {
        let last = name.rsplit('.').next().unwrap_or(name).to_owned();
        if let Some((body, parameters)) = self.functions.get(name).cloned() {
            return self.call_own(body, &parameters, arguments);
        }
        let mut all = receiver.clone();
        for argument in &arguments {
            all.append(argument.clone());
            all.push_text(" ");
        }
        let sends = SENDERS.iter().any(|sender| match sender.strip_prefix('.') {
            Some(method) => last == method && !receiver.is_empty(),
            None => name == *sender || name.ends_with(&format!(".{sender}")),
        });
        // An open connection knows its host; a file that is written to knows none.
        let connected = receiver.parts.iter().any(|part| match part {
            Part::Text(text) => {
                text.contains("://")
                    || host_in(text).is_some_and(|host| !host.ends_with(".txt") && !host.ends_with(".json"))
            }
            Part::Remote(_) => true,
            _ => false,
        });
        if sends && connected && all.carries() && self.send(name, &receiver, &arguments, bytes) {
            return Value::unknown().followed_by(receiver);
        }
        if let Some(value) = self.special(name, &last, &receiver, &arguments, &all, bytes) {
            return value;
        }
        if RUNNERS.contains(&name)
            || RUNNERS.iter().any(|runner| runner.contains('.') && name.ends_with(runner))
            || matches!(last.as_str(), "execSync" | "spawnSync" | "execFileSync")
        {
            return self.run_command(&arguments, bytes);
        }
        if RESOLVERS.iter().any(|resolver| last == *resolver || name.ends_with(resolver)) && all.carries() {
            let file = self.script.file;
            self.tracer.deliver(all.clone(), Channel::Dns, Role::Address, all, name, file, bytes);
            return Value::unknown();
        }
        if sends && all.carries() && self.send(name, &receiver, &arguments, bytes) {
            return Value::part(Part::Remote(
                address(&all).map(|target| target.template()).unwrap_or_default(),
            ))
            .followed_by(receiver);
        }
        if let Some(encoding) = self.encoder(name, &last, &receiver, &arguments) {
            let hop = self.hop(HopKind::Encode, &format!("through {last}"), bytes);
            return all.encoded(encoding, &hop);
        }
        all
    }

    fn call_own(
        &mut self,
        body: std::ops::Range<usize>,
        parameters: &[String],
        arguments: Vec<Value>,
    ) -> Value {
        let tree = self.tree;
        let Some(body) = tree.root_node().descendant_for_byte_range(body.start, body.end) else {
            return Value::unknown();
        };
        if self.depth > 60 {
            return Value::unknown();
        }
        for (parameter, argument) in parameters.iter().zip(arguments) {
            self.variables.insert(parameter.clone(), argument);
        }
        let returned = std::mem::take(&mut self.returned);
        self.depth += 10;
        self.eval(body);
        self.depth -= 10;
        let mut value = Value::empty();
        for one in std::mem::replace(&mut self.returned, returned) {
            value.append(one);
        }
        value
    }

    pub(super) fn run_same(&mut self, code: Value, bytes: Bytes) -> Value {
        if code.is_empty() || self.depth > 60 {
            return Value::unknown();
        }
        let text = code.prefix().trim().to_owned();
        if !text.is_empty() && self.tracer.decoded.contains(&text) {
            self.tracer.observe(
                ObservationKind::DecodedCommand,
                Value::text("encoded"),
                self.script.file,
                bytes,
            );
        }
        if let Some(Part::Remote(from)) = code.parts.iter().find(|part| matches!(part, Part::Remote(_))) {
            self.tracer.observe(
                ObservationKind::RemoteCode,
                Value::text(from.clone()),
                self.script.file,
                bytes,
            );
        }
        let script = Script::from_value(code, self.script.file, bytes);
        {
            let mut variables = std::mem::take(&mut self.variables);
            let output = super::run_within(
                self.tracer,
                self.state,
                self.environment,
                self.language,
                &script,
                self.depth + 10,
                &mut variables,
            );
            self.variables = variables;
            if self.language != Language::PowerShell {
                self.print(&output, bytes);
            }
            output
        }
    }

    /// A command line, as one string or as a list of words.
    pub(super) fn run_command(&mut self, arguments: &[Value], bytes: Bytes) -> Value {
        let mut line = Value::empty();
        for (at, argument) in arguments.iter().take(2).enumerate() {
            let keyword = at > 0
                && argument
                    .prefix()
                    .split_once('=')
                    .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
            if !keyword {
                line.append(argument.clone());
                line.push_text(" ");
            }
        }
        if self.depth > 60 {
            return Value::unknown();
        }
        let script = Script::from_value(line, self.script.file, bytes);
        let output = crate::flow::shell::run(
            self.tracer,
            self.state,
            self.environment,
            script,
            Vec::new(),
            self.depth / 2 + 5,
        );
        self.print(&output, bytes);
        output
    }
}

impl Value {
    /// This value with the secrets of another behind it: an open connection stays usable after a request.
    fn followed_by(mut self, other: Value) -> Value {
        for part in other.parts {
            if !matches!(part, Part::Carried(_)) {
                self.push(part);
            }
        }
        self
    }
}
