//! Strings and lists that are known: an address put together from pieces, characters or numbers.

use std::io::Read;

use crate::syntax::Node;

use super::Program;
use crate::flow::command::Language;
use crate::flow::value::{Part, Value};

/// Most elements of a list that are looked at one by one.
pub(super) const ITEMS_MAX: usize = 256;
/// Most bytes that compressed text may unfold to.
const UNPACKED_MAX: u64 = 256 * 1024;

impl Program<'_, '_, '_> {
    /// The elements of a list that is written out, or held by a variable.
    pub(super) fn elements_of(&mut self, node: Node<'_>) -> Option<Vec<Value>> {
        match node.kind() {
            "list" | "tuple" | "set" | "array" => {
                let children =
                    node.named_children().filter(|child| child.kind() != "comment").collect::<Vec<_>>();
                if children.len() > ITEMS_MAX
                    || children
                        .iter()
                        .any(|child| child.kind().contains("spread") || child.kind().contains("splat"))
                {
                    return None;
                }
                Some(children.into_iter().map(|child| self.eval(child)).collect())
            }
            "identifier" => {
                let name = self.text(node).to_owned();
                self.lists.get(&name).cloned()
            }
            "parenthesized_expression" => {
                let inner = node.named_child(0)?;
                self.elements_of(inner)
            }
            "string" => {
                let value = self.eval(node);
                let text = value.literal()?;
                (text.chars().count() <= ITEMS_MAX)
                    .then(|| text.chars().map(|character| Value::text(character.to_string())).collect())
            }
            "call" | "call_expression" => {
                let function = node.child_by_field_name("function")?;
                let path = self.path(function);
                if path == "range" {
                    let arguments = node.child_by_field_name("arguments")?;
                    let mut bounds = Vec::new();
                    for child in arguments.named_children().collect::<Vec<_>>() {
                        bounds.push(self.eval(child).literal()?.parse::<i64>().ok()?);
                    }
                    let (from, to, step) = match bounds.as_slice() {
                        [to] => (0, *to, 1),
                        [from, to] => (*from, *to, 1),
                        [from, to, step] => {
                            (*from, *to, usize::try_from(*step).ok().filter(|step| *step > 0)?)
                        }
                        _ => return None,
                    };
                    let numbers = (from..to).step_by(step).take(ITEMS_MAX);
                    return Some(numbers.map(|number| Value::text(number.to_string())).collect());
                }
                if let Some(items) = self.mapped(node, function, &path) {
                    return Some(items);
                }
                if path.ends_with(".split") {
                    let object = function.child_by_field_name("object")?;
                    let text = self.eval(object);
                    let text = text.literal()?.to_owned();
                    let argument = node.child_by_field_name("arguments").and_then(|list| list.named_child(0));
                    let separator = argument.map(|argument| self.eval(argument)).unwrap_or_default();
                    let separator = separator.literal()?;
                    return Some(match separator.is_empty() {
                        true if self.language == Language::JavaScript => {
                            text.chars().take(ITEMS_MAX).map(|c| Value::text(c.to_string())).collect()
                        }
                        true => text.split_whitespace().take(ITEMS_MAX).map(Value::text).collect(),
                        false => text.split(separator).take(ITEMS_MAX).map(Value::text).collect(),
                    });
                }
                None
            }
            "generator_expression" | "list_comprehension" => self.comprehended(node),
            _ => None,
        }
    }

    /// `map(str, (1, 2))`, `list(…)`, `reversed(…)`, `[1, 2].map(String)`: a list out of another.
    fn mapped(&mut self, node: Node<'_>, function: Node<'_>, path: &str) -> Option<Vec<Value>> {
        let arguments = node.child_by_field_name("arguments")?;
        let (first, second) = (arguments.named_child(0)?, arguments.named_child(1));
        if let Some(object) = function.child_by_field_name("object").filter(|_| path.ends_with(".map")) {
            let items = self.elements_of(object)?;
            return items.into_iter().map(|item| self.changed(first, item)).collect();
        }
        match (path, second) {
            ("map", Some(list)) => {
                let items = self.elements_of(list)?;
                items.into_iter().map(|item| self.changed(first, item)).collect()
            }
            ("list" | "tuple" | "iter", None) => self.elements_of(first),
            ("reversed", None) => {
                let mut items = self.elements_of(first)?;
                items.reverse();
                Some(items)
            }
            _ => None,
        }
    }

    /// What a function makes of one element.
    fn changed(&mut self, function: Node<'_>, item: Value) -> Option<Value> {
        let path = self.path(function);
        match path.as_str() {
            "str" | "String" | "int" | "Number" => Some(item),
            "chr" | "String.fromCharCode" | "String.fromCodePoint" => {
                let code = item.literal()?.trim().parse::<u32>().ok()?;
                char::from_u32(code).map(|character| Value::text(character.to_string()))
            }
            _ if matches!(function.kind(), "lambda" | "arrow_function") => {
                let parameters = function
                    .child_by_field_name("parameters")
                    .or_else(|| function.child_by_field_name("parameter"))?;
                self.bind(parameters.named_child(0).unwrap_or(parameters), &item, false);
                let body = function.child_by_field_name("body")?;
                (body.kind() != "statement_block").then(|| self.eval(body))
            }
            _ => None,
        }
    }

    /// `(str(x) for x in (1, 2))`: element by element, where nothing is left out.
    fn comprehended(&mut self, node: Node<'_>) -> Option<Vec<Value>> {
        let children: Vec<Node<'_>> = node.named_children().collect();
        let [body, clause] = children.as_slice() else { return None };
        let (left, right) = (clause.child_by_field_name("left")?, clause.child_by_field_name("right")?);
        let items = self.elements_of(right).filter(|_| clause.kind() == "for_in_clause")?;
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            self.bind(left, &item, false);
            values.push(self.eval(*body));
        }
        Some(values)
    }

    /// `'%s' % x`: the template with its arguments in order.
    pub(super) fn percent(&mut self, node: Node<'_>) -> Option<Value> {
        let operator = node.child_by_field_name("operator")?;
        if self.text(operator) != "%" || self.language != Language::Python {
            return None;
        }
        let left = node.child_by_field_name("left").filter(|left| left.kind() == "string")?;
        let right = node.child_by_field_name("right")?;
        let template = self.eval(left);
        let arguments = match self.elements_of(right).filter(|_| right.kind() == "tuple") {
            Some(arguments) => arguments,
            None => vec![self.eval(right)],
        };
        let mut arguments = arguments.into_iter();
        let mut out = Value::empty();
        for part in template.parts {
            let Part::Text(text) = part else {
                out.push(part);
                continue;
            };
            let mut rest = text.as_str();
            while let Some(at) = rest.find('%') {
                out.push_text(rest.get(..at).unwrap_or(""));
                let tail = rest.get(at + 1..).unwrap_or("");
                let length = tail
                    .find(|c: char| c.is_ascii_alphabetic() || c == '%')
                    .map_or(tail.len(), |end| end + 1);
                if tail.starts_with('%') {
                    out.push_text("%");
                } else {
                    out.append(arguments.next().unwrap_or_default());
                }
                rest = tail.get(length..).unwrap_or("");
            }
            out.push_text(rest);
        }
        for left_over in arguments {
            out.append(left_over.only_carried());
        }
        Some(out)
    }

    /// Methods of strings, where receiver and arguments are known.
    pub(super) fn string_call(
        &mut self,
        last: &str,
        name: &str,
        receiver: &Value,
        arguments: &[Value],
    ) -> Option<Value> {
        let argument = |at: usize| arguments.get(at).and_then(Value::literal);
        let numbers = || -> Option<Vec<u32>> {
            let texts = arguments.iter().flat_map(|value| value.literal().unwrap_or("?").split_whitespace());
            texts.map(|text| text.trim_matches(',').parse::<u32>().ok()).collect()
        };
        let number = |at: usize| argument(at).and_then(|text| text.trim().parse::<usize>().ok());
        let text = match last {
            "str" | "String" if name == last && arguments.len() == 1 => return arguments.first().cloned(),
            "slice" | "substring" | "substr"
                if receiver.literal().is_some_and(|text| !text.is_empty()) && number(0).is_some() =>
            {
                let end = if last == "substr" {
                    number(1)
                } else {
                    number(1).map(|end| end.saturating_sub(number(0).unwrap_or(0)))
                };
                let rest = receiver.literal()?.chars().skip(number(0)?);
                if arguments.len() > 1 && end.is_none() {
                    return None;
                }
                rest.take(end.unwrap_or(usize::MAX)).collect()
            }
            "chr" | "fromCharCode" | "fromCodePoint" | "bytes" | "bytearray" if !arguments.is_empty() => {
                let numbers = numbers().filter(|numbers| !numbers.is_empty())?;
                numbers.into_iter().map(char::from_u32).collect::<Option<String>>()?
            }
            "format" if self.language == Language::Python => {
                return Some(formatted(receiver, arguments));
            }
            "replace" | "replaceAll" => {
                let (from, to) = (argument(0)?, argument(1)?);
                match receiver.literal() {
                    Some(text) if last == "replace" && self.language == Language::JavaScript => {
                        text.replacen(from, to, 1)
                    }
                    Some(text) => text.replace(from, to),
                    None => return None,
                }
            }
            "lower" | "toLowerCase" | "casefold" => receiver.literal()?.to_lowercase(),
            "upper" | "toUpperCase" => receiver.literal()?.to_uppercase(),
            "split" if argument(0) == Some("") => receiver.literal()?.to_owned(),
            "reverse" | "reversed"
                if receiver.literal().is_some_and(|text| !text.is_empty()) && arguments.is_empty() =>
            {
                receiver.literal()?.chars().rev().collect()
            }
            "reversed" => argument(0)?.chars().rev().collect(),
            "join" if argument(0) == Some("") && receiver.literal().is_some_and(|text| !text.is_empty()) => {
                receiver.literal()?.to_owned()
            }
            "join" if receiver.is_empty() && self.language == Language::Python => argument(0)?.to_owned(),
            "concat" => {
                let mut all = receiver.clone();
                for argument in arguments {
                    all.append(argument.clone());
                }
                return Some(all);
            }
            "decode" | "encode"
                if argument(0).is_some_and(|how| how.contains("rot"))
                    || argument(1).is_some_and(|how| how.contains("rot")) =>
            {
                let text = receiver.literal().filter(|text| !text.is_empty()).or(argument(0))?;
                let turned = |c: char| match c {
                    'a'..='z' => char::from((c as u8 - b'a' + 13) % 26 + b'a'),
                    'A'..='Z' => char::from((c as u8 - b'A' + 13) % 26 + b'A'),
                    other => other,
                };
                text.chars().map(turned).collect()
            }
            "decompress" | "inflateSync" | "gunzipSync" | "unzipSync" | "inflateRawSync" => {
                unpacked(argument(0)?)?
            }
            _ => return None,
        };
        let _ = name;
        match last {
            // `''.join(chr(c) for c in …)`: what is joined with nothing between stood apart in the file.
            "join" if receiver.is_empty() => self.tracer.reveals(&text),
            "replace" | "replaceAll" | "lower" | "toLowerCase" | "casefold" | "upper" | "toUpperCase"
            | "split" | "join" => {
                self.tracer.decoded.insert(text.trim().to_owned());
            }
            _ => self.tracer.reveals(&text),
        }
        Some(Value::text(text))
    }
}

/// `'{}://{host}'.format(…)`.
fn formatted(template: &Value, arguments: &[Value]) -> Value {
    let mut out = Value::empty();
    let mut next = 0;
    for part in &template.parts {
        let Part::Text(text) = part else {
            out.push(part.clone());
            continue;
        };
        let mut rest = text.as_str();
        while let Some(open) = rest.find('{') {
            out.push_text(rest.get(..open).unwrap_or(""));
            let (inside, after) = rest.get(open + 1..).unwrap_or("").split_once('}').unwrap_or(("", ""));
            let key = inside.split(['!', ':', '.', '[']).next().unwrap_or("");
            let named = arguments.iter().find(|value| {
                !key.is_empty() && value.prefix().strip_prefix(key).is_some_and(|rest| rest.starts_with('='))
            });
            match (key.parse::<usize>(), named) {
                (_, Some(value)) => out.append(crate::flow::command::after(value, key.len() + 1)),
                (Ok(index), _) => out.append(arguments.get(index).cloned().unwrap_or_default()),
                _ => {
                    out.append(arguments.get(next).cloned().unwrap_or_default());
                    next += 1;
                }
            }
            rest = after;
        }
        out.push_text(rest);
    }
    out
}

/// Compressed text as it was, where its bytes stand as characters.
pub(in crate::flow) fn unpacked(text: &str) -> Option<String> {
    let bytes = text.chars().map(|c| u8::try_from(c as u32).ok()).collect::<Option<Vec<u8>>>()?;
    let mut out = Vec::new();
    let done = match bytes.as_slice() {
        [0x1f, 0x8b, ..] => {
            flate2::read::GzDecoder::new(bytes.as_slice()).take(UNPACKED_MAX).read_to_end(&mut out)
        }
        [0x78, ..] => {
            flate2::read::ZlibDecoder::new(bytes.as_slice()).take(UNPACKED_MAX).read_to_end(&mut out)
        }
        _ => flate2::read::DeflateDecoder::new(bytes.as_slice()).take(UNPACKED_MAX).read_to_end(&mut out),
    };
    done.ok()?;
    String::from_utf8(out).ok()
}

/// Bytes as text; those that are none stand as one character each, so that they can be taken apart again.
pub(in crate::flow) fn as_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect())
}
