//! Calls: to functions of the program itself, to those that send, encode, run or write, and to everything else.

use crate::syntax::Node;

use super::Program;
use super::literal::ITEMS_MAX;
use super::names::is_or_ends_with;
use super::send::{SENDERS, address, host_in};
use crate::flow::command::Language;
use crate::flow::script::Script;
use crate::flow::trace::{Channel, ObservationKind, Role};
use crate::flow::value::{HopKind, Part, Value};
use crate::span::Bytes;

/// How often a function is run within itself.
const REENTRIES_MAX: usize = 1;

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
        if let Some(value) = self.program_call(&name, node, bytes) {
            return value;
        }
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
            None if matches!(
                function.kind(),
                "call" | "call_expression" | "new_expression" | "parenthesized_expression"
            ) =>
            {
                self.eval(function)
            }
            None => Value::empty(),
        };
        let iterates = [".forEach", ".map", ".flatMap", ".filter"].iter().any(|end| name.ends_with(end));
        if let Some(receiver) = receiver.filter(|_| iterates) {
            self.callback_items = self.elements_of(receiver);
        }
        let arguments = self.arguments(node, &receiver_value);
        self.callback_items = None;
        if self.language == Language::Python {
            if let Some(line) = self.joined_words(&name, &receiver_value, node) {
                return line;
            }
            self.handed = self.lists_handed(node);
        }
        self.grow(&name, receiver, &arguments);
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

    /// `headers.update(…)`, `list.append(…)`, `data.set(…)`: the variable holds it from now on.
    fn grow(&mut self, name: &str, receiver: Option<Node<'_>>, arguments: &[Value]) {
        let grows = [
            "update",
            "append",
            "extend",
            "insert",
            "add",
            "push",
            "set",
            "setdefault",
            "setHeader",
            "putHeader",
            "add_header",
            "unshift",
            // Messages of mail, and archives.
            "add_attachment",
            "add_alternative",
            "set_content",
            "set_payload",
            "attach",
            "writestr",
        ];
        let last = name.rsplit('.').next().unwrap_or("");
        if !grows.contains(&last) || !arguments.iter().any(Value::carries) {
            return;
        }
        let mut root = receiver;
        while let Some(next) = root.and_then(|node| node.child_by_field_name("object")) {
            root = Some(next);
        }
        if let Some(root) = root.filter(|root| matches!(root.kind(), "identifier" | "this")) {
            let name = self.text(root).to_owned();
            match (last, self.lists.get_mut(&name), arguments) {
                ("append", Some(items), [argument]) if items.len() < ITEMS_MAX => {
                    items.push(argument.clone())
                }
                _ => {
                    self.lists.remove(&name);
                }
            }
            let kept = self.variables.entry(name).or_default();
            for argument in arguments {
                kept.push_text(" ");
                kept.append(argument.clone());
            }
        }
    }

    /// Programs that are started with their words in a list, and what is written to their input.
    fn program_call(&mut self, name: &str, node: Node<'_>, bytes: Bytes) -> Option<Value> {
        let last = name.rsplit('.').next().unwrap_or(name);
        let arguments = node.child_by_field_name("arguments")?;
        let children: Vec<Node<'_>> = arguments.named_children().collect();
        if matches!(last, "communicate" | "write" | "end") {
            let variable = name.split('.').next()?.to_owned();
            let words = self.started.get(&variable).cloned()?;
            let input = children.first().map(|first| self.eval(*first)).unwrap_or_default();
            return Some(self.run_words_with(words, input, bytes));
        }
        let runs = name.starts_with("subprocess.")
            || matches!(
                last,
                "spawn" | "spawnSync" | "execFile" | "execFileSync" | "execvp" | "execv" | "execlp"
            );
        if !runs || self.functions.contains_key(name) {
            return None;
        }
        let first = children.first()?;
        let mut words = match first.kind() {
            "list" | "tuple" | "array" | "identifier" => self.elements_of(*first)?,
            _ => Vec::new(),
        };
        if words.is_empty() {
            // `spawn('curl', ['-d', …])`.
            let second = children.get(1)?;
            match second.kind() {
                "array" | "list" => {
                    words.push(self.eval(*first));
                    words.extend(self.elements_of(*second)?);
                }
                // `execFileSync('git', list)`: no shell reads it, whatever is in the list. `spawn(line, options)` is no such call.
                "identifier" => {
                    let program = self.eval(*first);
                    let is_name = program.literal().is_some_and(|name| !name.contains(char::is_whitespace));
                    let rest = self.eval(*second);
                    if !is_name || rest.template().contains("shell") {
                        return None;
                    }
                    words.push(program);
                    let list = self.elements_of(*second);
                    words.extend(list.unwrap_or_else(|| crate::flow::command::words(&rest)));
                }
                _ => return None,
            }
        }
        let mut input = Value::empty();
        for child in &children {
            let is_input = child.kind() == "keyword_argument"
                && child.child_by_field_name("name").is_some_and(|name| self.text(name) == "input");
            if let Some(value) = child.child_by_field_name("value").filter(|_| is_input) {
                input = self.eval(value);
            }
            if child.kind() == "object" && self.text(*child).contains("input") {
                input = self.eval(*child).only_carried();
            }
        }
        let holder =
            node.parent().filter(|parent| matches!(parent.kind(), "assignment" | "variable_declarator"));
        let variable = holder.and_then(|holder| {
            holder.child_by_field_name("left").or_else(|| holder.child_by_field_name("name"))
        });
        if let Some(variable) = variable.filter(|_| matches!(last, "Popen" | "spawn")) {
            self.started.insert(self.text(variable).to_owned(), words.clone());
        }
        Some(self.run_words_with(words, input, bytes))
    }

    fn run_words_with(&mut self, words: Vec<Value>, input: Value, bytes: Bytes) -> Value {
        if self.depth > 60 {
            return Value::unknown();
        }
        let words = words.into_iter().map(|value| crate::flow::shell::Argument { value, bytes }).collect();
        let place = Script::from_value(Value::empty(), self.script.file, bytes);
        let depth = self.depth / 2 + 5;
        let output = crate::flow::shell::run_program(
            self.tracer,
            self.state,
            self.environment,
            place,
            words,
            input,
            depth,
        );
        self.print(&output, bytes);
        output
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
        let arguments = node.child_by_field_name("arguments")?;
        let argument = match arguments.kind() {
            "generator_expression" => Some(arguments),
            _ => arguments.named_child(0),
        };
        let (list, separator) = match receiver? {
            list if list.kind() == "array"
                || matches!(list.kind(), "identifier" | "call_expression")
                    && self.language == Language::JavaScript =>
            {
                (list, argument)
            }
            separator => (argument?, Some(separator)),
        };
        let may_be_list = [
            "array",
            "list",
            "tuple",
            "identifier",
            "call",
            "call_expression",
            "generator_expression",
            "list_comprehension",
        ];
        if !may_be_list.contains(&list.kind()) {
            return None;
        }
        let separator = match separator {
            Some(separator) => self.eval(separator).literal().unwrap_or("").to_owned(),
            None => ",".to_owned(),
        };
        let mut pieces = Vec::new();
        for item in self.elements_of(list)? {
            pieces.push(item.literal()?.to_owned());
        }
        let joined = pieces.join(&separator);
        // Nobody takes a host apart at its dots, or a word into its characters, to make it easier to read.
        let apart = separator.contains('.') || pieces.iter().all(|piece| piece.chars().count() <= 2);
        if apart && pieces.len() > 2 {
            self.tracer.reveals(&joined);
        }
        (!pieces.is_empty()).then_some(joined)
    }

    /// `" ".join(command)`: the words of a command line, which begins with the name of a program. Nothing in it is taken apart.
    fn joined_words(&mut self, name: &str, separator: &Value, node: Node<'_>) -> Option<Value> {
        let argument =
            node.child_by_field_name("arguments")?.named_child(0).filter(|_| name.ends_with(".join"))?;
        let words = self.elements_of(argument).filter(|_| argument.kind() == "identifier")?;
        let program = words.first()?.literal()?.len() > 1;
        let mut line = Value::empty();
        for (at, word) in words.into_iter().enumerate().filter(|_| program) {
            if at > 0 {
                line.append(separator.clone());
            }
            line.append(word);
        }
        program.then_some(line)
    }

    /// The arguments of a call that are lists whose elements are known; those that are put together by calls are not looked at twice.
    fn lists_handed(&mut self, node: Node<'_>) -> Vec<Option<Vec<Value>>> {
        let Some(arguments) = node.child_by_field_name("arguments") else { return Vec::new() };
        let children = arguments.named_children().filter(|child| child.kind() != "comment");
        let children: Vec<Node<'_>> = children.collect();
        let is_plain = |program: &Self, child: &Node<'_>| {
            matches!(child.kind(), "identifier" | "list" | "tuple") && !program.text(*child).contains('(')
        };
        children
            .into_iter()
            .map(|child| is_plain(self, &child).then(|| self.elements_of(child)).flatten())
            .collect()
    }

    /// `const s = connect(…, () => s.write(x))`: the callback runs when the variable holds what the call came to.
    pub(super) fn call_back(&mut self, name: Node<'_>, value: Node<'_>) {
        let Some(arguments) = value.child_by_field_name("arguments").filter(|_| name.kind() == "identifier")
        else {
            return;
        };
        let name = self.text(name).to_owned();
        for child in arguments.named_children().collect::<Vec<_>>() {
            let is_callback = matches!(child.kind(), "arrow_function" | "function_expression");
            if is_callback && self.text(child).contains(&format!("{name}.")) {
                self.eval(child);
            }
        }
    }

    fn arguments(&mut self, node: Node<'_>, receiver: &Value) -> Vec<Value> {
        let Some(list) = node.child_by_field_name("arguments") else { return Vec::new() };
        if list.kind() == "generator_expression" || list.kind() == "template_string" {
            return vec![self.eval(list)];
        }
        let mut values = Vec::new();
        for child in list.named_children().collect::<Vec<_>>() {
            match child.kind() {
                "arrow_function" | "function_expression" | "lambda" if self.callback_items.is_some() => {
                    let items = self.callback_items.take().unwrap_or_default();
                    let parameters = child
                        .child_by_field_name("parameters")
                        .or_else(|| child.child_by_field_name("parameter"));
                    let mut value = Value::empty();
                    for item in items {
                        if let Some(parameters) = parameters {
                            let first = parameters.named_child(0).unwrap_or(parameters);
                            self.bind(first, &item, false);
                        }
                        value.append(self.eval(child));
                    }
                    values.push(value);
                }
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
                | "os.environb.get"
                | "os.environ.setdefault"
                | "os.environ.__getitem__"
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
            _ => Some(self.some_variables(&key, bytes)),
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
        let handed = std::mem::take(&mut self.handed);
        let method = name.rfind('.').and_then(|dot| self.functions.get(name.get(dot..)?)).cloned();
        if let Some((body, parameters)) = self.functions.get(name).cloned().or(method) {
            return self.call_own(body, &parameters, receiver, arguments, handed);
        }
        if name == "range" {
            return Value::unknown();
        }
        if name == "Deno.env.toObject" {
            return self.dump(bytes);
        }
        if let Some(value) = self.string_call(&last, name, &receiver, &arguments) {
            return value;
        }
        // A request that is made and not sent yet is its address, body and headers; the module that makes it is no part of it.
        let is_made = last == "Request" && !receiver.carries();
        let mut all = if is_made { Value::empty() } else { receiver.clone() };
        for argument in &arguments {
            all.append(argument.clone());
            all.push_text(" ");
        }
        let sends = SENDERS.iter().any(|sender| match sender.strip_prefix('.') {
            Some(method) => last == method && !receiver.is_empty(),
            None => is_or_ends_with(name, sender),
        });
        // An open connection knows its host; a file that is written to knows none.
        let is_connected = || {
            receiver.parts.iter().any(|part| match part {
                Part::Text(text) => {
                    text.contains("://")
                        || host_in(text).is_some_and(|host| {
                            let is_path = name.ends_with(".write") && text.trim() == host;
                            !is_path && !host.ends_with(".txt") && !host.ends_with(".json")
                        })
                }
                Part::Remote(_) => true,
                _ => false,
            })
        };
        let http = super::send::is_http(name);
        // What is written to an open request later goes where its head went.
        let opens = is_or_ends_with(name, "http.request") || is_or_ends_with(name, "https.request");
        if sends && all.carries() && is_connected() && self.send(name, &receiver, &arguments, bytes) {
            return Value::unknown().followed_by(if opens { all } else { receiver });
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
        if RESOLVERS.iter().any(|resolver| last == *resolver || name.ends_with(resolver)) {
            let file = self.script.file;
            let asked = arguments.first().cloned().unwrap_or_default();
            let answer = Value::part(Part::Remote(asked.template()));
            self.tracer.deliver(asked.clone(), Channel::Dns, Role::Address, asked, name, file, bytes);
            return answer;
        }
        if http
            && let Some(target) = super::send::designated(&arguments)
            && let Some(token) =
                crate::flow::command::exchanged(self.tracer, &target, &all, self.script.file, bytes)
        {
            self.send(name, &receiver, &arguments, bytes);
            return token;
        }
        // What is written goes where it is written to: an address in the text itself is none.
        let only_writes = matches!(last.as_str(), "write" | "end") && !is_connected();
        if sends && !only_writes && all.carries() && self.send(name, &receiver, &arguments, bytes) {
            let from = address(&all).map(|target| target.template()).unwrap_or_default();
            return Value::part(Part::Remote(from)).followed_by(if opens { all } else { receiver });
        }
        if http && let Some(target) = super::send::designated(&arguments) {
            return super::super::command::answer(self.tracer, &target, self.script.file, bytes);
        }
        if matches!(name, "json.loads" | "json.load" | "JSON.parse" | "yaml.safe_load") && all.carries() {
            let hop = self.hop(HopKind::Carry, "taken apart as JSON", bytes);
            return all.field(&hop);
        }
        if let Some(encoding) = self.encoder(name, &last, &receiver, &arguments) {
            let hop = self.hop(HopKind::Encode, &format!("through {last}"), bytes);
            return all.encoded(encoding, &hop);
        }
        all
    }

    /// Runs a function of the program. One that calls itself is run within itself once: since every branch is taken anyway,
    /// going further shows nothing new, and a visitor that calls itself in eight places would take the whole budget.
    fn call_own(
        &mut self,
        body: std::ops::Range<usize>,
        parameters: &[String],
        receiver: Value,
        arguments: Vec<Value>,
        handed: Vec<Option<Vec<Value>>>,
    ) -> Value {
        let tree = self.tree;
        let Some(body) = tree.root_node().descendant_for_byte_range(body.start, body.end) else {
            return Value::unknown();
        };
        if self.depth > 60 {
            return Value::unknown();
        }
        if self.active.iter().filter(|start| **start == body.start_byte()).count() > REENTRIES_MAX {
            let mut all = receiver;
            for argument in arguments {
                all.append(argument);
                all.push_text(" ");
            }
            return all;
        }
        let own =
            parameters.first().filter(|first| matches!(first.as_str(), "self" | "cls" | "this")).cloned();
        if let Some(own) = &own {
            self.variables.insert(own.clone(), receiver);
        }
        let named = |value: &Value| {
            let (name, _) = value.prefix().split_once('=')?;
            parameters.iter().find(|parameter| *parameter == name).cloned()
        };
        let mut free = parameters.iter().skip(usize::from(own.is_some()));
        let mut handed = handed.into_iter();
        for argument in arguments {
            let list = handed.next().flatten();
            match named(&argument) {
                Some(name) => {
                    let value = crate::flow::command::after(&argument, name.len() + 1);
                    self.variables.insert(name, value);
                }
                None => {
                    if let Some(parameter) = free.next() {
                        match list {
                            Some(items) => self.lists.insert(parameter.clone(), items),
                            None => self.lists.remove(parameter),
                        };
                        self.variables.insert(parameter.clone(), argument);
                    }
                }
            }
        }
        let returned = std::mem::take(&mut self.returned);
        self.depth += 10;
        self.active.push(body.start_byte());
        self.note_call(body);
        self.eval(body);
        self.active.pop();
        self.depth -= 10;
        let mut value = Value::empty();
        let returned = std::mem::replace(&mut self.returned, returned);
        let is_constructor = returned.is_empty();
        for one in returned {
            value.append(one);
        }
        if let Some(own) = own.filter(|_| is_constructor)
            && let Some(object) = self.variables.get(&own)
        {
            // What a constructor puts into its object.
            value.append(object.clone());
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
