//! Operators: `-f`, `-join`, `-replace`, `+`, ranges, casts, indexes. Addresses are put together with these.

use crate::syntax::Node;

use super::{Items, children, joined, literal, unwrapped};
use crate::flow::code::Program;
use crate::flow::value::{Encoding, HopKind, Part, Value};

/// Most characters or numbers that an operator may spread out.
const SPREAD_MAX: usize = 4_096;

impl Program<'_, '_, '_> {
    /// The operator of a node with two sides, and both sides.
    fn sides<'n>(&self, node: Node<'n>) -> Option<(Node<'n>, String, Node<'n>)> {
        let named = children(node);
        let (first, last) = (*named.first()?, *named.last()?);
        let between = self.script.slice(first.end_byte()..last.start_byte());
        Some((first, between.trim().to_ascii_lowercase(), last))
    }

    pub(super) fn comparison(&mut self, node: Node<'_>) -> Items {
        let Some((left, operator, right)) = self.sides(node) else { return Items::new() };
        let bytes = self.bytes(node);
        let left = self.items(left);
        let right = self.items(right);
        match operator.as_str() {
            "-join" => vec![self.join(left, &joined(right, " "), bytes)],
            "-replace" | "-creplace" | "-ireplace" => {
                let from = right.first().cloned().unwrap_or_default();
                let to = right.get(1).cloned().unwrap_or_default();
                left.into_iter().map(|item| self.replaced(item, &from, &to, true, bytes)).collect()
            }
            "-split" | "-csplit" | "-isplit" => {
                let separator = joined(right, " ");
                left.iter().flat_map(|item| split(item, literal(&separator).unwrap_or(""))).collect()
            }
            "-match" | "-imatch" | "-cmatch" => {
                self.set_items("matches", left);
                vec![Value::unknown()]
            }
            "-as" => left,
            _ => vec![Value::unknown()],
        }
    }

    /// `-join`: characters of a secret come together again, or apart with something between them.
    pub(super) fn join(&mut self, items: Items, separator: &Value, bytes: crate::span::Bytes) -> Value {
        let text = literal(separator).unwrap_or("").to_owned();
        let hop = self.hop(HopKind::Encode, "joined", bytes);
        let mut value = joined(items, &text);
        for part in &mut value.parts {
            if let Part::Carried(carried) = part
                && carried.encodings.last() == Some(&Encoding::Split)
            {
                carried.encodings.pop();
                if !text.is_empty() {
                    carried.encodings.push(Encoding::Spaced);
                    carried.trail = carried.trail.then(hop.clone());
                }
            }
        }
        value
    }

    /// `-replace` and `.Replace`; patterns that are more than text leave what is known unknown.
    pub(super) fn replaced(
        &mut self,
        value: Value,
        from: &Value,
        to: &Value,
        pattern: bool,
        bytes: crate::span::Bytes,
    ) -> Value {
        let (Some(from), Some(to)) = (literal(from), to.literal()) else { return value };
        if let Some(text) = literal(&value) {
            let changed = if pattern {
                match regex::RegexBuilder::new(from).case_insensitive(true).size_limit(1 << 16).build() {
                    Ok(regex) => regex.replace_all(text, to).into_owned(),
                    Err(_) => return Value::unknown(),
                }
            } else {
                text.replace(from, to)
            };
            if changed != text {
                self.tracer.decoded.insert(changed.trim().to_owned());
            }
            return Value::text(changed);
        }
        let spaces = pattern && from.contains('.') && !from.contains('\\') && !to.is_empty();
        if value.carries() && spaces {
            let hop = self.hop(HopKind::Encode, "replaced", bytes);
            return value.encoded(Encoding::Spaced, &hop);
        }
        value
    }

    pub(super) fn format_operator(&mut self, node: Node<'_>) -> Items {
        let Some((left, operator, right)) = self.sides(node) else { return Items::new() };
        let template = self.one(left);
        let arguments = self.items(right);
        if operator != "-f" {
            return arguments;
        }
        vec![formatted(&template, &arguments)]
    }

    pub(super) fn addition(&mut self, node: Node<'_>) -> Items {
        let Some((left, operator, right)) = self.sides(node) else { return Items::new() };
        let mut left = self.items(left);
        let right = self.items(right);
        if let (Some(a), Some(b)) = (number(&left), number(&right)) {
            let sum = if operator == "-" { a.checked_sub(b) } else { a.checked_add(b) };
            return vec![sum.map_or_else(Value::unknown, |sum| Value::text(sum.to_string()))];
        }
        if left.len() > 1 {
            left.extend(right);
            return left;
        }
        vec![joined(left.into_iter().chain(right).collect(), "")]
    }

    pub(super) fn multiplication(&mut self, node: Node<'_>) -> Items {
        let Some((left, operator, right)) = self.sides(node) else { return Items::new() };
        let (left, right) = (self.items(left), self.items(right));
        let (Some(a), Some(b)) = (number(&left), number(&right)) else {
            return left.into_iter().chain(right).collect();
        };
        let product = match operator.as_str() {
            "*" => a.checked_mul(b),
            "/" => a.checked_div(b),
            "%" => a.checked_rem(b),
            _ => None,
        };
        vec![product.map_or_else(Value::unknown, |product| Value::text(product.to_string()))]
    }

    pub(super) fn bitwise(&mut self, node: Node<'_>) -> Items {
        let Some((left, operator, right)) = self.sides(node) else { return Items::new() };
        let (left, right) = (self.items(left), self.items(right));
        match (number(&left), number(&right), operator.as_str()) {
            (Some(a), Some(b), "-bxor") => vec![Value::text((a ^ b).to_string())],
            (Some(a), Some(b), "-band") => vec![Value::text((a & b).to_string())],
            (Some(a), Some(b), "-bor") => vec![Value::text((a | b).to_string())],
            _ => left.into_iter().filter(Value::carries).collect(),
        }
    }

    pub(super) fn range(&mut self, node: Node<'_>) -> Items {
        let Some((left, _, right)) = self.sides(node) else { return Items::new() };
        let (left, right) = (self.items(left), self.items(right));
        match (number(&left), number(&right)) {
            (Some(from), Some(to)) => numbers(from, to),
            _ => vec![Value::unknown()],
        }
    }

    pub(super) fn cast(&mut self, node: Node<'_>) -> Items {
        let kind = node.named_child(0).map(|kind| self.text(kind).to_ascii_lowercase()).unwrap_or_default();
        let Some(inner) = children(node).into_iter().last() else { return Items::new() };
        let items = self.items(inner);
        let character = |item: &Value| {
            let code = number(std::slice::from_ref(item))?;
            char::from_u32(u32::try_from(code).ok()?).map(|character| Value::text(character.to_string()))
        };
        match kind.trim_matches(['[', ']']) {
            "char" | "system.char" => {
                items.iter().map(|item| character(item).unwrap_or_else(|| item.clone())).collect()
            }
            "char[" | "system.char[" if items.len() > 1 => {
                items.iter().map(|item| character(item).unwrap_or_else(|| item.clone())).collect()
            }
            "char[" | "system.char[" => {
                let bytes = self.bytes(node);
                self.characters(joined(items, ""), bytes)
            }
            "int" | "byte" | "int32" => items
                .into_iter()
                .map(|item| match literal(&item).map(|text| text.chars().collect::<Vec<_>>()) {
                    Some(text) if text.len() == 1 && !text.iter().all(char::is_ascii_digit) => {
                        text.first().map_or_else(Value::unknown, |c| Value::text((*c as u32).to_string()))
                    }
                    _ => item,
                })
                .collect(),
            "void" => Items::new(),
            "string" => vec![joined(items, " ")],
            _ => items,
        }
    }

    /// The characters of a text one by one; of a secret, itself in pieces.
    pub(super) fn characters(&mut self, value: Value, bytes: crate::span::Bytes) -> Items {
        match literal(&value) {
            Some(text) => text.chars().take(SPREAD_MAX).map(|c| Value::text(c.to_string())).collect(),
            None => {
                let hop = self.hop(HopKind::Encode, "as characters", bytes);
                vec![value.encoded(Encoding::Split, &hop)]
            }
        }
    }

    pub(super) fn unary(&mut self, node: Node<'_>) -> Items {
        let Some(inner) = children(node).into_iter().last() else { return Items::new() };
        let operator = self.script.slice(node.start_byte()..inner.start_byte()).trim().to_ascii_lowercase();
        let bytes = self.bytes(node);
        let items = self.items(inner);
        match operator.as_str() {
            "-join" => vec![self.join(items, &Value::empty(), bytes)],
            "-split" => items.iter().flat_map(|item| split(item, "")).collect(),
            "-" => match number(&items) {
                Some(number) => vec![Value::text((-number).to_string())],
                None => items,
            },
            "!" | "-not" => vec![Value::unknown()],
            _ => items,
        }
    }

    pub(super) fn element(&mut self, node: Node<'_>) -> Items {
        let named = children(node);
        let (Some(object), Some(index)) = (named.first(), named.get(1)) else { return Items::new() };
        let bytes = self.bytes(node);
        let key = self.items(*index);
        let object = unwrapped(*object);
        if object.kind() == "variable"
            && let Some(name) = key.first().and_then(literal)
            && let Some(value) = self.entry(object, name)
        {
            return vec![value];
        }
        let items = self.items(object);
        let Some(indices) =
            key.iter().map(|one| number(std::slice::from_ref(one))).collect::<Option<Vec<_>>>()
        else {
            return items;
        };
        if items.len() > 1 {
            return indices.iter().filter_map(|index| at(&items, *index).cloned()).collect();
        }
        match items.first() {
            Some(item) if literal(item).is_some() => {
                let characters = self.characters(item.clone(), bytes);
                indices.iter().filter_map(|index| at(&characters, *index).cloned()).collect()
            }
            Some(item) if item.is_identity() && indices == [1] && splits_at_dots(self.text(object)) => {
                // The claims of an identity token.
                vec![Value::unknown()]
            }
            Some(item) if item.carries() && indices != [0] => {
                let backwards = indices.first() == Some(&-1) && indices.len() > 1;
                let encoding = if backwards { Encoding::Reversed } else { Encoding::Partial };
                let hop = self.hop(HopKind::Encode, "by index", bytes);
                vec![item.clone().encoded(encoding, &hop)]
            }
            _ => items,
        }
    }

    /// An entry of a table that is in a variable.
    pub(super) fn entry(&self, variable: Node<'_>, key: &str) -> Option<Value> {
        let table = self.memory.tables.get(&super::plain_name(self.text(variable)))?;
        table.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.clone())
    }
}

/// `-split '\.'`, `.Split('.')`.
fn splits_at_dots(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.contains("split") && ["'\\.'", "\"\\.\"", "'.'", "\".\""].iter().any(|dot| lower.contains(dot))
}

fn at(items: &[Value], index: i64) -> Option<&Value> {
    let length = i64::try_from(items.len()).ok()?;
    let index = if index < 0 { length + index } else { index };
    items.get(usize::try_from(index).ok()?)
}

/// The single number that items are.
fn number(items: &[Value]) -> Option<i64> {
    match items {
        [one] => literal(one)?.trim().parse().ok(),
        _ => None,
    }
}

/// `a..b`, either way round.
pub(super) fn numbers(from: i64, to: i64) -> Items {
    let count = from.abs_diff(to).min(SPREAD_MAX as u64) as i64;
    let step = if to < from { -1 } else { 1 };
    (0..=count).map(|at| Value::text((from + at * step).to_string())).collect()
}

fn split(item: &Value, separator: &str) -> Items {
    match literal(item) {
        Some(text) if separator.trim().is_empty() => text.split_whitespace().map(Value::text).collect(),
        Some(text) => {
            text.split(separator.trim_start_matches('\\')).take(SPREAD_MAX).map(Value::text).collect()
        }
        None => vec![item.clone()],
    }
}

/// `'{0}://{1}' -f 'https', 'host'`.
pub(super) fn formatted(template: &Value, arguments: &[Value]) -> Value {
    let mut out = Value::empty();
    for part in &template.parts {
        let Part::Text(text) = part else {
            out.push(part.clone());
            continue;
        };
        let mut rest = text.as_str();
        while let Some(open) = rest.find('{') {
            out.push_text(rest.get(..open).unwrap_or(""));
            let tail = rest.get(open + 1..).unwrap_or("");
            let (inside, after) = tail.split_once('}').unwrap_or((tail, ""));
            let index = inside.split([',', ':']).next().unwrap_or("").trim().parse::<usize>();
            match index.ok().and_then(|index| arguments.get(index)) {
                Some(argument) => out.append(argument.clone()),
                None => out.push_text(rest.get(open..open + 1 + inside.len() + 1).unwrap_or("")),
            }
            rest = after;
        }
        out.push_text(rest);
    }
    out
}
