//! Methods and members of .NET: encoders, strings, files, sockets and web clients.

use crate::syntax::Node;

use super::operator::formatted;
use super::{Items, children, joined, literal, unwrapped};
use crate::flow::code::{Program, send};
use crate::flow::trace::Role;
use crate::flow::value::{Encoding, HopKind, Part, Value};
use crate::span::Bytes;

/// One call of a method.
struct Method {
    name: String,
    /// The receiver's text in lower case, for static members: `[convert]::`.
    on: String,
    receiver: Items,
    arguments: Vec<Items>,
    bytes: Bytes,
}

impl Method {
    fn argument(&self, at: usize) -> Value {
        self.arguments.get(at).map(|items| joined(items.clone(), " ")).unwrap_or_default()
    }

    fn receiver(&self) -> Value {
        joined(self.receiver.clone(), " ")
    }

    fn all(&self) -> Value {
        let mut all = self.receiver();
        for argument in &self.arguments {
            if !all.is_empty() {
                all.push_text(" ");
            }
            all.append(joined(argument.clone(), " "));
        }
        all
    }
}

impl Program<'_, '_, '_> {
    pub(super) fn invocation(&mut self, node: Node<'_>) -> Items {
        let parts = children(node);
        let Some(object) = parts.first().copied() else { return Items::new() };
        let name = parts.iter().find(|part| part.kind() == "member_name").copied();
        let name = name.map(|part| self.member_named(part)).unwrap_or_default();
        let bytes = self.bytes(node);
        let mut arguments = Vec::new();
        let lists = parts.iter().filter(|part| part.kind() == "argument_list").copied();
        for list in lists.flat_map(children).flat_map(children) {
            arguments.push(self.items(list));
        }
        let on = self.text(object).to_ascii_lowercase();
        let inner = unwrapped(object);
        if matches!(name.as_str(), "invoke" | "invokereturnasis" | "begininvoke") {
            let block = match inner.kind() {
                "variable" => self.memory.blocks.get(&super::plain_name(self.text(inner))).cloned(),
                "script_block_expression" => Some(inner.byte_range()),
                _ => None,
            };
            if let Some(block) = block {
                return self
                    .run_block(&block, arguments.into_iter().map(|items| (String::new(), items)).collect());
            }
        }
        let receiver = if inner.kind() == "type_literal" { Items::new() } else { self.items(object) };
        let method = Method { name, on, receiver, arguments, bytes };
        if matches!(method.name.as_str(), "add" | "append" | "set_item") && inner.kind() == "variable" {
            return self.add_to(inner, &method);
        }
        if method.name == "reverse" && method.on.contains("array]") {
            self.reverse_list(node, &method);
            return Items::new();
        }
        self.method(method)
    }

    /// The name of a member in lower case; `$client.('Upload' + 'String')` has it put together.
    fn member_named(&mut self, node: Node<'_>) -> String {
        let text = self.text(node).to_owned();
        if !text.starts_with(['(', '$', '"']) {
            return text.trim_matches('\'').to_ascii_lowercase();
        }
        let name = joined(self.items(node), "").template();
        let plain = name.trim_matches('"').to_ascii_lowercase();
        if text.starts_with('(') {
            self.tracer.reveals(&plain);
        }
        plain
    }

    fn method(&mut self, method: Method) -> Items {
        if let Some(items) = self.encoding_method(&method) {
            return items;
        }
        if let Some(items) = self.string_method(&method) {
            return items;
        }
        if let Some(items) = self.file_method(&method) {
            return items;
        }
        if let Some(items) = self.network_method(&method) {
            return items;
        }
        match method.name.as_str() {
            "getenvironmentvariable" => {
                let name = method.argument(0);
                match literal(&name) {
                    Some(name) => vec![self.environment_named(name, method.bytes)],
                    None => vec![self.dump(method.bytes)],
                }
            }
            "getenvironmentvariables" => vec![self.dump(method.bytes)],
            "invokescript" | "addscript" => vec![self.run_same(method.argument(0), method.bytes)],
            "invoke" if method.on.contains("scriptblock]") => {
                vec![self.run_same(method.receiver(), method.bytes)]
            }
            "start" if method.on.contains("process]") => {
                let mut line =
                    vec![crate::flow::shell::Argument { value: method.argument(0), bytes: method.bytes }];
                let words = crate::flow::command::words(&method.argument(1));
                line.extend(
                    words
                        .into_iter()
                        .map(|value| crate::flow::shell::Argument { value, bytes: method.bytes }),
                );
                self.run_words(line, Value::empty(), method.bytes)
            }
            "getresponse" | "getresponsestream" | "getresponseasync" => {
                let target = send::address(&method.receiver());
                target
                    .map(|target| vec![self.answer_from(&target, method.bytes)])
                    .unwrap_or_else(|| method.receiver)
            }
            "computehash" | "hashdata" | "contains" | "startswith" | "endswith" | "equals"
            | "containskey" | "indexof" | "isnullorempty" | "isnullorwhitespace" | "exists" | "compareto" => {
                vec![Value::unknown()]
            }
            _ => vec![method.all()],
        }
    }

    fn encoding_method(&mut self, method: &Method) -> Option<Items> {
        let on = method.on.as_str();
        let encoding = match method.name.as_str() {
            "tobase64string" => Encoding::Base64,
            "tohexstring" => Encoding::Hex,
            "tostring" if on.contains("bitconverter]") => Encoding::Hex,
            // Two bytes a character: no form that the mask knows, once it is base64.
            "getbytes" if on.contains("unicode") || on.contains("utf32") => Encoding::Substituted,
            "getbytes" | "getstring" => return Some(vec![joined(method.arguments.concat(), "")]),
            "urlencode" | "escapedatastring" | "htmlencode" => Encoding::Escaped,
            "frombase64string" => {
                let value = method.argument(0);
                return Some(vec![self.decoded_base64(value)]);
            }
            _ => return None,
        };
        let hop = self.hop(HopKind::Encode, &format!("through {}", method.name), method.bytes);
        Some(vec![joined(method.arguments.concat(), "").encoded(encoding, &hop)])
    }

    fn decoded_base64(&mut self, value: Value) -> Value {
        let Some(text) = literal(&value) else {
            let mut value = value;
            for part in &mut value.parts {
                if let Part::Carried(carried) = part
                    && carried.encodings.last() == Some(&Encoding::Base64)
                {
                    carried.encodings.pop();
                }
            }
            return value;
        };
        let Some(decoded) = crate::flow::command::decode_base64(text) else { return Value::unknown() };
        let zeroes = decoded.iter().filter(|byte| **byte == 0).count();
        let text = if zeroes * 3 > decoded.len() {
            crate::flow::command::decode_utf16_base64(text).unwrap_or_default()
        } else {
            String::from_utf8_lossy(&decoded).into_owned()
        };
        self.tracer.reveals(&text);
        Value::text(text)
    }

    fn string_method(&mut self, method: &Method) -> Option<Items> {
        let receiver = method.receiver();
        let is_static = method.on.ends_with("string]");
        Some(match method.name.as_str() {
            "tochararray" => self.characters(receiver, method.bytes),
            "replace" if !is_static && !method.on.contains("regex]") => {
                vec![self.replaced(receiver, &method.argument(0), &method.argument(1), false, method.bytes)]
            }
            "replace" if method.on.contains("regex]") => {
                vec![self.replaced(
                    method.argument(0),
                    &method.argument(1),
                    &method.argument(2),
                    true,
                    method.bytes,
                )]
            }
            "join" if is_static => {
                let items = method.arguments.iter().skip(1).flatten().cloned().collect();
                vec![self.join(items, &method.argument(0), method.bytes)]
            }
            "concat" if is_static => vec![joined(method.arguments.concat(), "")],
            "format" if is_static => {
                let arguments: Items = method.arguments.iter().skip(1).flatten().cloned().collect();
                vec![formatted(&method.argument(0), &arguments)]
            }
            "tolower" | "tolowerinvariant" => vec![cased(receiver, str::to_lowercase)],
            "toupper" | "toupperinvariant" => vec![cased(receiver, str::to_uppercase)],
            "trim" | "trimend" | "trimstart" | "tostring" | "normalize" => method.receiver.clone(),
            "substring" | "remove" => {
                let number = |at: usize| {
                    literal(&method.argument(at)).and_then(|text| text.trim().parse::<usize>().ok())
                };
                match (literal(&receiver), number(0)) {
                    (Some(text), Some(from)) if method.name == "substring" => {
                        let rest = text.chars().skip(from);
                        vec![Value::text(match number(1) {
                            Some(length) => rest.take(length).collect::<String>(),
                            None => rest.collect(),
                        })]
                    }
                    (None, _) if receiver.carries() => {
                        let hop = self.hop(HopKind::Encode, "a part of it", method.bytes);
                        vec![receiver.encoded(Encoding::Partial, &hop)]
                    }
                    _ => vec![Value::unknown()],
                }
            }
            "split" if !is_static => match (literal(&receiver), literal(&method.argument(0))) {
                (Some(text), Some(separator)) if !separator.is_empty() => {
                    text.split(separator).take(256).map(Value::text).collect()
                }
                _ => method.receiver.clone(),
            },
            _ => return None,
        })
    }

    fn file_method(&mut self, method: &Method) -> Option<Items> {
        let path = method.argument(0);
        Some(match method.name.as_str() {
            "readalltext" | "readalllines" | "readallbytes" | "opentext" | "openread"
                if method.on.contains("file]") =>
            {
                vec![self.read_powershell(&path.template(), method.bytes)]
            }
            "writealltext" | "writealllines" | "writeallbytes" | "appendalltext" => {
                let content = method.arguments.get(1).cloned().unwrap_or_default();
                self.write_powershell(&path, content, method.name.starts_with("append"), method.bytes);
                Items::new()
            }
            _ => return None,
        })
    }

    fn network_method(&mut self, method: &Method) -> Option<Items> {
        let name = method.name.as_str();
        if name == "open" && method.arguments.len() >= 2 {
            // `$request.open('POST', address)` of a COM object's.
            let target = send::address(&method.argument(1))?;
            self.connect_variable(method, &target);
            return Some(Items::new());
        }
        if method.on.contains("dns]") {
            return Some(vec![self.look_up(method.argument(0), None, name, method.bytes)]);
        }
        let verbs = ["upload", "download", "post", "put", "get", "send", "patch", "connect"];
        let client = verbs.iter().any(|verb| name.starts_with(verb))
            && (name.ends_with("async")
                || ["string", "data", "file", "values"].iter().any(|end| name.ends_with(end))
                || matches!(name, "send" | "sendto"));
        let stream =
            matches!(name, "write" | "writeline" | "writeasync" | "writelineasync" | "connect" | "openread");
        if !client && !stream || method.on.contains("console]") {
            return None;
        }
        let receiver = method.receiver();
        let target = send::address(&method.argument(0))
            .or_else(|| send::address(&method.all()))
            .or_else(|| send::host(&method.all()));
        let target = match target {
            Some(target) => target,
            None if client && name != "send" && name != "getstring" => {
                // The first argument is the address; what it is, only the run knows.
                Some(method.argument(0))
                    .filter(|value| value.literal().is_none())
                    .or(Some(receiver.clone()))?
            }
            None => return None,
        };
        self.connect_variable(method, &target);
        let mut content = method.all();
        if name == "uploadfile" {
            let path =
                method.arguments.iter().last().map(|items| joined(items.clone(), "")).unwrap_or_default();
            content.append(self.read_powershell(&path.template(), method.bytes));
        }
        let only_address = method.arguments.len() == 1 && name.starts_with("download");
        let role = if only_address { Role::Address } else { Role::Payload };
        self.send_to(content, role, &target, name, method.bytes);
        Some(vec![if client { self.answer_from(&target, method.bytes) } else { receiver }])
    }

    /// `$client.Connect('host', 1)`: what is sent on it later goes there.
    fn connect_variable(&mut self, method: &Method, target: &Value) {
        let name = super::plain_name(&method.on);
        if matches!(method.name.as_str(), "connect" | "open") && self.variables.contains_key(&name) {
            self.set_items(&name, vec![target.clone()]);
        }
    }

    fn add_to(&mut self, variable: Node<'_>, method: &Method) -> Items {
        let name = super::plain_name(self.text(variable));
        if let [key, value] = method.arguments.as_slice() {
            let entry = (joined(key.clone(), "").template(), joined(value.clone(), " "));
            self.memory.tables.entry(name.clone()).or_default().push(entry.clone());
            let kept = self.variables.entry(name).or_default();
            kept.push_text(&format!("{}=", entry.0));
            kept.append(entry.1);
            kept.push_text(" ");
            return Items::new();
        }
        let separator = if method.name == "append" { "" } else { " " };
        let items = method.arguments.concat();
        match self.memory.lists.get(&name).cloned() {
            Some(mut list) => {
                list.extend(items);
                self.set_items(&name, list);
            }
            None => {
                let kept = self.variables.entry(name).or_default();
                kept.push_text(separator);
                kept.append(joined(items, separator));
            }
        }
        method.receiver.clone()
    }

    /// `[array]::Reverse($list)` changes the list itself.
    fn reverse_list(&mut self, node: Node<'_>, method: &Method) {
        let list = children(node).into_iter().filter(|part| part.kind() == "argument_list");
        let Some(argument) = list.flat_map(children).flat_map(children).next().map(unwrapped) else { return };
        let argument = if argument.kind() == "argument_expression" {
            argument.named_child(0).map_or(argument, unwrapped)
        } else {
            argument
        };
        if argument.kind() != "variable" {
            return;
        }
        let name = super::plain_name(self.text(argument));
        let mut items = self.items(argument);
        items.reverse();
        let hop = self.hop(HopKind::Encode, "reversed", method.bytes);
        for item in &mut items {
            let mut changed = false;
            for part in &mut item.parts {
                if let Part::Carried(carried) = part {
                    if carried.encodings.last() == Some(&Encoding::Split) {
                        carried.encodings.pop();
                    }
                    changed = true;
                }
            }
            if changed {
                *item = std::mem::take(item).encoded(Encoding::Reversed, &hop);
            }
        }
        self.set_items(&name, items);
    }

    pub(super) fn member_access(&mut self, node: Node<'_>) -> Items {
        let parts = children(node);
        let Some(object) = parts.first().copied().map(unwrapped) else { return Items::new() };
        let name = parts
            .iter()
            .find(|part| part.kind() == "member_name")
            .map(|part| self.text(*part).trim_matches(['"', '\'']).to_owned())
            .unwrap_or_default();
        if object.kind() == "type_literal" {
            return match name.to_ascii_lowercase().as_str() {
                "newline" => vec![Value::text("\n")],
                _ => vec![Value::unknown()],
            };
        }
        if object.kind() == "variable"
            && let Some(value) = self.entry(object, &name)
        {
            return vec![value];
        }
        match name.to_ascii_lowercase().as_str() {
            "length" | "count" | "name" | "key" | "keys" | "statuscode" | "exitcode" => {
                self.items(object);
                vec![Value::unknown()]
            }
            _ => self.items(object),
        }
    }
}

fn cased(value: Value, change: fn(&str) -> String) -> Value {
    let mut out = Value::empty();
    for part in value.parts {
        match part {
            Part::Text(text) => out.push_text(&change(&text)),
            other => out.push(other),
        }
    }
    out
}
