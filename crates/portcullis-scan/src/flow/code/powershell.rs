//! PowerShell: commands with pipelines, methods of .NET, and `$env:`.

use tree_sitter::Node;

use super::Program;
use crate::flow::command::Language;
use crate::flow::trace::{Channel, ObservationKind, Role};
use crate::flow::value::{Encoding, HopKind, Part, Value};

impl Program<'_, '_, '_> {
    pub(super) fn eval_powershell(&mut self, node: Node<'_>) -> Value {
        match node.kind() {
            "variable" => self.powershell_variable(node),
            "verbatim_string_characters" | "verbatim_here_string_characters" => {
                let range = node.byte_range();
                let skip = if node.kind().starts_with("verbatim_here") { 2 } else { 1 };
                let inner = (range.start + skip)..range.end.saturating_sub(skip).max(range.start + skip);
                self.script.value(inner, |text| text.replace("''", "'"))
            }
            "expandable_string_literal" | "expandable_here_string_literal" => self.expandable(node),
            "assignment_expression" => {
                let value =
                    node.child_by_field_name("value").map_or_else(Value::empty, |value| self.eval(value));
                let target = node.named_child(0);
                if let Some(target) = target {
                    let name = self.text(target).trim().trim_start_matches('$').to_ascii_lowercase();
                    let hop = self.hop(
                        HopKind::Carry,
                        &format!("variable {}", crate::flow::shell::shown(&name)),
                        self.bytes(target),
                    );
                    self.variables.insert(name, value.hop(&hop));
                }
                Value::empty()
            }
            "pipeline" => {
                let mut cursor = node.walk();
                let mut output = Value::empty();
                for child in node.named_children(&mut cursor).collect::<Vec<_>>() {
                    output.append(self.eval(child));
                }
                // A statement of its own prints; inside an expression the value is taken.
                let printed = matches!(
                    node.parent().map(|parent| parent.kind()),
                    Some("statement_list" | "program" | "statement_block")
                ) && node
                    .parent()
                    .and_then(|parent| parent.parent())
                    .is_none_or(|outer| outer.kind() != "sub_expression");
                if printed {
                    let bytes = self.bytes(node);
                    self.print(&output, bytes);
                }
                output
            }
            "pipeline_chain" => {
                let mut cursor = node.walk();
                let mut flowing = Value::empty();
                for child in node.named_children(&mut cursor).collect::<Vec<_>>() {
                    self.variables.insert("_".to_owned(), flowing.clone());
                    self.variables.insert("|".to_owned(), flowing);
                    flowing = self.eval(child);
                }
                self.variables.remove("|");
                flowing
            }
            "command" => self.powershell_command(node),
            "invokation_expression" => self.invocation(node),
            "hash_entry" => {
                let mut value = Value::empty();
                let mut cursor = node.walk();
                for child in node.named_children(&mut cursor).collect::<Vec<_>>() {
                    if child.kind() == "key_expression" {
                        value.push_text(&format!("{}=", self.text(child)));
                    } else {
                        value.append(self.eval(child));
                    }
                }
                value
            }
            "generic_token" | "simple_name" | "integer_literal" | "decimal_integer_literal" => {
                self.script.value(node.byte_range(), str::to_owned)
            }
            "comment" | "type_literal" | "command_argument_sep" | "command_parameter" => Value::empty(),
            "foreach_statement" => {
                let mut cursor = node.walk();
                let children = node.named_children(&mut cursor).collect::<Vec<_>>();
                let mut name = None;
                for child in children {
                    if child.kind() == "variable" && name.is_none() {
                        name = Some(self.text(child).trim_start_matches('$').to_ascii_lowercase());
                    } else {
                        let value = self.eval(child);
                        if let Some(name) = name.clone().filter(|_| child.kind() == "pipeline") {
                            self.variables.insert(name, value);
                        }
                    }
                }
                Value::empty()
            }
            _ if node.named_child_count() == 0 => self.script.value(node.byte_range(), |_| String::new()),
            _ => {
                let mut value = Value::empty();
                self.eval_all(node, &mut value);
                value
            }
        }
    }

    fn powershell_variable(&mut self, node: Node<'_>) -> Value {
        let text = self.text(node).trim_start_matches('$').trim_matches(['{', '}']).to_owned();
        let lower = text.to_ascii_lowercase();
        if let Some(name) = lower.strip_prefix("env:") {
            let found = self.environment.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();
            let name = found.unwrap_or_else(|| text.get(4..).unwrap_or("").to_ascii_uppercase());
            return self.environment_variable(&name, self.bytes(node));
        }
        self.variables.get(&lower).cloned().unwrap_or_else(Value::unknown)
    }

    fn expandable(&mut self, node: Node<'_>) -> Value {
        let range = node.byte_range();
        let skip = if node.kind().starts_with("expandable_here") { 2 } else { 1 };
        let mut value = Value::empty();
        let mut at = range.start + skip;
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor).collect::<Vec<_>>() {
            value.append(self.script.value(at..child.start_byte().max(at), unescape));
            value.append(self.eval(child));
            at = child.end_byte().max(at);
        }
        value.append(self.script.value(at..range.end.saturating_sub(skip).max(at), unescape));
        value
    }

    fn powershell_command(&mut self, node: Node<'_>) -> Value {
        let name_node = node.child_by_field_name("command_name");
        let name = name_node.map(|name| self.text(name).to_ascii_lowercase()).unwrap_or_default();
        // `C:\\tools\\curl.exe`: the program by its name.
        let name = name.rsplit(['\\', '/']).next().unwrap_or("").to_owned();
        let bytes = self.bytes(node);
        let piped = self.variables.get("|").cloned().unwrap_or_default();
        let mut arguments: Vec<(String, Value)> = Vec::new();
        let mut parameter = String::new();
        if let Some(elements) = node.child_by_field_name("command_elements") {
            let mut cursor = elements.walk();
            for child in elements.named_children(&mut cursor).collect::<Vec<_>>() {
                match child.kind() {
                    "command_argument_sep" => {}
                    "command_parameter" => {
                        parameter = self
                            .text(child)
                            .trim_start_matches('-')
                            .trim_end_matches(':')
                            .to_ascii_lowercase()
                    }
                    _ => {
                        let value = self.eval(child);
                        arguments.push((std::mem::take(&mut parameter), value));
                    }
                }
            }
        }
        let mut all = piped.clone();
        for (_, value) in &arguments {
            all.append(value.clone());
            all.push_text(" ");
        }
        let file = self.script.file;
        match name.as_str() {
            "invoke-webrequest" | "invoke-restmethod" | "iwr" | "irm" | "curl" | "wget" | "curl.exe"
            | "start-bitstransfer" | "send-mailmessage" => {
                let named = arguments
                    .iter()
                    .find(|(name, _)| name == "uri" || name == "destination" || name == "smtpserver")
                    .map(|(_, value)| value.clone());
                let target = named
                    .or_else(|| super::calls::address(&all))
                    .or_else(|| arguments.first().map(|(_, value)| value.clone()));
                let mut content = all.clone();
                if let Some((_, path)) = arguments.iter().find(|(name, _)| name == "infile")
                    && let Some(written) = self.state.read(&path.template())
                {
                    content.append(written);
                }
                let target = target.unwrap_or_else(Value::unknown);
                self.tracer.deliver(
                    content,
                    Channel::Network,
                    Role::Payload,
                    target.clone(),
                    &name,
                    file,
                    bytes,
                );
                return Value::part(Part::Remote(target.template()));
            }
            "write-host" | "write-output" | "echo" | "write-information" | "write-warning"
            | "write-error" | "out-host" | "out-string" => {
                if name == "write-output" || name == "echo" || name == "out-string" {
                    return all;
                }
                self.print(&all, bytes);
                return Value::empty();
            }
            "get-childitem" | "gci" | "dir" | "ls" | "get-item" | "gi"
                if all.template().to_ascii_lowercase().contains("env:") =>
            {
                return self.dump(bytes);
            }
            "out-null" => return Value::empty(),
            "out-file" | "set-content" | "add-content" | "tee-object" => {
                let path = arguments
                    .iter()
                    .find(|(name, _)| matches!(name.as_str(), "path" | "filepath" | "literalpath" | ""));
                if let Some((_, path)) = path {
                    let path = path.template();
                    let path = path
                        .strip_prefix("${")
                        .and_then(|path| path.strip_suffix('}'))
                        .map_or(path.clone(), |name| format!("${name}"));
                    self.state.write(&path, all, name == "add-content" || name == "out-file");
                }
                return Value::empty();
            }
            "get-content" | "gc" | "cat" | "type" => {
                let path = arguments.first().map(|(_, value)| value.template()).unwrap_or_default();
                return self.state.read(&path).unwrap_or_else(Value::unknown);
            }
            "invoke-expression" | "iex" => return self.run_same(all, bytes),
            "convertto-json" | "format-list" | "format-table" | "select-object" | "where-object"
            | "foreach-object" | "%" | "?" | "sort-object" => return all,
            "test-connection" | "resolve-dnsname" | "nslookup" => {
                self.tracer.deliver(all.clone(), Channel::Dns, Role::Address, all, &name, file, bytes);
                return Value::unknown();
            }
            "new-object" => return all,
            _ => {}
        }
        if name.is_empty() {
            // `.\tool.exe --token $t`: a program of the job's own, which prints what it likes; `& (…)` is anybody's.
            let own = self.text(node).trim_start().starts_with(['.', '\\', '/']);
            if own {
                self.tracer.works();
            }
            return if own { Value::unknown() } else { all };
        }
        // Any other program: as the shell would run it.
        let mut line = Value::text(format!("{name} "));
        for (parameter, value) in arguments {
            if !parameter.is_empty() {
                line.push_text(&format!("-{parameter} "));
            }
            line.append(value);
            line.push_text(" ");
        }
        let encoded =
            matches!(self.language, Language::PowerShell) && matches!(name.as_str(), "powershell" | "pwsh");
        if encoded {
            self.tracer.observe(ObservationKind::RunsTree, Value::text(name), file, bytes);
        }
        self.run_command(&[line], bytes)
    }

    fn invocation(&mut self, node: Node<'_>) -> Value {
        let name = node
            .named_child(1)
            .filter(|child| child.kind() == "member_name")
            .map(|child| self.text(child).to_owned())
            .unwrap_or_default();
        let bytes = self.bytes(node);
        let mut all = Value::empty();
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor).collect::<Vec<_>>() {
            if child.kind() != "member_name" {
                all.append(self.eval(child));
                all.push_text(" ");
            }
        }
        let whole = self.text(node).to_ascii_lowercase();
        let encoding = match name.to_ascii_lowercase().as_str() {
            "tobase64string" => Some(Encoding::Base64),
            "tohexstring" => Some(Encoding::Hex),
            "reverse" => Some(Encoding::Reversed),
            _ => None,
        };
        if let Some(encoding) = encoding {
            let hop = self.hop(HopKind::Encode, &format!("through {name}"), bytes);
            return all.encoded(encoding, &hop);
        }
        if name.eq_ignore_ascii_case("frombase64string")
            && let Some(text) = all.literal()
            && let Some(decoded) = crate::flow::command::decode_base64(text)
        {
            let zeroes = decoded.iter().filter(|byte| **byte == 0).count();
            let text = if zeroes * 3 > decoded.len() {
                crate::flow::command::decode_utf16_base64(text).unwrap_or_default()
            } else {
                String::from_utf8_lossy(&decoded).into_owned()
            };
            self.tracer.decoded.insert(text.trim().to_owned());
            return Value::text(text);
        }
        if name.eq_ignore_ascii_case("getenvironmentvariable") {
            let variable = all.template().trim().to_owned();
            return self.environment_variable(&variable, bytes);
        }
        if name.eq_ignore_ascii_case("getenvironmentvariables") {
            return self.dump(bytes);
        }
        let sends = ["upload", "download", "postasync", "getasync", "sendasync", "gethost", "send"]
            .iter()
            .any(|verb| name.to_ascii_lowercase().starts_with(verb));
        if sends && all.carries() {
            let target = super::calls::address(&all).unwrap_or_else(Value::unknown);
            let channel = if whole.contains("dns]") { Channel::Dns } else { Channel::Network };
            let file = self.script.file;
            self.tracer.deliver(all.clone(), channel, Role::Payload, target, &name, file, bytes);
        }
        trimmed(all)
    }
}

fn trimmed(mut value: Value) -> Value {
    if let Some(Part::Text(text)) = value.parts.last_mut() {
        let length = text.trim_end().len();
        text.truncate(length);
    }
    value
}

/// PowerShell's escape character is the backtick.
fn unescape(text: &str) -> String {
    text.replace("`n", "\n").replace("`t", "\t").replace("`\"", "\"").replace("``", "`").replace("`$", "$")
}
