//! Where a program gets values from: members, subscripts, arguments, input, environment.

use crate::syntax::Node;

use super::{ARGUMENT, INPUT, Program};
use crate::flow::shell::shown;
use crate::flow::value::{Encoding, HopKind, Part, Value};
use crate::span::Bytes;

/// Fewest bytes of a name's beginning that say which variables are meant.
const PREFIX_MIN: usize = 4;

/// Whether a field out of a secret that is JSON is no secret itself.
fn is_setting(value: &Value, key: &str) -> bool {
    value.carries()
        && crate::flow::command::SETTINGS.contains(&key)
        && value.carried().all(|one| one.encodings.last() == Some(&Encoding::Field))
}

impl Program<'_, '_, '_> {
    pub(super) fn member(&mut self, node: Node<'_>) -> Value {
        let path = self.path(node);
        if let Some(name) = path.strip_prefix("process.env.") {
            return self.environment_variable(name, self.bytes(node));
        }
        if matches!(
            path.as_str(),
            "os.environ" | "process.env" | "os.environb" | "Bun.env" | "import.meta.env"
        ) {
            return self.dump(self.bytes(node));
        }
        for environment in ["Bun.env.", "import.meta.env."] {
            if let Some(name) = path.strip_prefix(environment) {
                return self.environment_variable(name, self.bytes(node));
            }
        }
        if matches!(path.as_str(), "sys.argv" | "process.argv") {
            return self.argument(None);
        }
        if path == "sys.stdin" || path == "process.stdin" {
            return self.input();
        }
        if let Some(rest) = path.strip_prefix("context.payload.") {
            return Value::part(Part::Untrusted(format!("github.event.{rest}")));
        }
        let value = match node.child_by_field_name("object") {
            Some(object) => self.eval(object),
            None => Value::unknown(),
        };
        match path.rsplit('.').next() {
            Some(key) if is_setting(&value, key) => Value::unknown(),
            // How long something is says nothing of it.
            Some("length" | "byteLength")
                if self.language == crate::flow::command::Language::JavaScript && value.carries() =>
            {
                Value::unknown()
            }
            _ => value,
        }
    }

    pub(super) fn subscript(&mut self, node: Node<'_>) -> Value {
        let object = node.child_by_field_name("object").or_else(|| node.child_by_field_name("value"));
        let index = node.child_by_field_name("index").or_else(|| node.child_by_field_name("subscript"));
        let Some(object) = object else { return Value::unknown() };
        let path = self.path(object);
        if matches!(path.as_str(), "sys.argv" | "process.argv") {
            let index = index
                .and_then(|index| self.eval(index).literal().and_then(|text| text.parse::<usize>().ok()));
            let shift = if path == "sys.argv" { 0 } else { 1 };
            return self.argument(index.map(|index| index.saturating_sub(shift)));
        }
        if matches!(path.as_str(), "os.environ" | "process.env" | "environ" | "Bun.env") {
            let key = index.map_or_else(Value::unknown, |index| self.eval(index));
            return match key.literal() {
                Some(name)
                    if !name.is_empty()
                        && !name.contains(char::is_whitespace)
                        && self.environment.contains_key(name) =>
                {
                    let name = name.to_owned();
                    self.environment_variable(&name, self.bytes(node))
                }
                Some(name)
                    if index.is_some_and(|index| index.kind() == "string")
                        || self.tracer.runner_secret(name).is_some() =>
                {
                    let name = name.to_owned();
                    self.environment_variable(&name, self.bytes(node))
                }
                _ => self.some_variables(&key, self.bytes(node)),
            };
        }
        let number = index.filter(|index| matches!(index.kind(), "integer" | "number"));
        if let Some(items) = number.and_then(|_| self.elements_of(object))
            && let Some(at) = number
                .and_then(|index| self.eval(index).literal().and_then(|text| text.parse::<usize>().ok()))
            && let Some(item) = items.get(at)
        {
            return item.clone();
        }
        let value = self.eval(object);
        if number.is_some_and(|index| matches!(self.text(index), "0" | "1"))
            && path.ends_with(".split()")
            && value.is_identity()
            && ["'.'", "\".\""].iter().any(|dot| self.text(object).contains(dot))
        {
            // The header or the claims of an identity token.
            return Value::unknown();
        }
        if let Some(index) = index.filter(|index| index.kind() == "string" && value.carries())
            && let Some(key) = self.eval(index).literal()
            && is_setting(&value, key)
        {
            return Value::unknown();
        }
        if let Some(text) = index.and_then(|index| self.sliced(index, value.literal()?)) {
            return Value::text(text);
        }
        let reversed = index.is_some_and(|index| self.path(index) == "::-1");
        if reversed {
            if let Some(text) = value.literal() {
                let text: String = text.chars().rev().collect();
                self.tracer.reveals(&text);
                return Value::text(text);
            }
            let hop = self.hop(HopKind::Encode, "reversed", self.bytes(node));
            return value.encoded(crate::flow::value::Encoding::Reversed, &hop);
        }
        if index.is_some_and(|index| {
            index.kind() == "slice"
                && (self.text(index).starts_with(|c: char| c.is_ascii_digit() && c != '0')
                    || is_piece(self.text(index)))
        }) && value.carries()
        {
            // All but the beginning, or piece by piece.
            let hop = self.hop(HopKind::Encode, "a part of it", self.bytes(node));
            return value.encoded(crate::flow::value::Encoding::Split, &hop);
        }
        if index.is_some_and(|index| index.kind() == "slice") && value.carries() {
            let hop = self.hop(HopKind::Encode, "a part of it", self.bytes(node));
            return value.encoded(crate::flow::value::Encoding::Partial, &hop);
        }
        value
    }

    /// `text[2:5]`, where all of it is known.
    fn sliced(&self, index: Node<'_>, text: &str) -> Option<String> {
        let bounds = self.text(index);
        if index.kind() != "slice" || bounds.matches(':').count() != 1 {
            return None;
        }
        let (from, to) = bounds.split_once(':')?;
        let bound = |text: &str, none: usize| match text.trim() {
            "" => Some(none),
            number => number.parse::<usize>().ok(),
        };
        let (from, to) = (bound(from, 0)?, bound(to, usize::MAX)?);
        Some(text.chars().skip(from).take(to.saturating_sub(from)).collect())
    }

    /// An argument of the program, or all of them.
    pub(super) fn argument(&self, at: Option<usize>) -> Value {
        let named = |at: usize| self.environment.get(&format!("{ARGUMENT}{at}")).cloned();
        match at {
            Some(at) => named(at).unwrap_or_else(Value::unknown),
            None => {
                let mut all = Value::empty();
                for value in (1..32).map_while(named) {
                    all.append(value);
                    all.push_text(" ");
                }
                if all.is_empty() { Value::unknown() } else { all }
            }
        }
    }

    /// What the program reads.
    pub(super) fn input(&self) -> Value {
        self.environment.get(INPUT).cloned().unwrap_or_else(Value::unknown)
    }

    pub(super) fn environment_variable(&mut self, name: &str, bytes: Bytes) -> Value {
        let hop = self.hop(HopKind::Carry, &format!("variable {}", shown(name)), bytes);
        if let Some(value) = self.environment.get(name) {
            return value.clone().hop(&hop);
        }
        if let Some(source) = self.tracer.runner_secret(name) {
            return self.tracer.enter(source, &format!("variable {}", shown(name)), self.script.file, bytes);
        }
        crate::flow::runner_variable(name).unwrap_or_else(|| Value::part(Part::Unset))
    }

    /// The variable of a name that is only known when it runs: those that begin as its literal part does (`INPUT_${name}`), or else the
    /// whole environment.
    pub(super) fn some_variables(&mut self, key: &Value, bytes: Bytes) -> Value {
        let prefix = key.prefix().rsplit_once('_').map_or("", |(before, _)| before);
        let prefix = format!("{prefix}_");
        let named =
            prefix.len() >= PREFIX_MIN && prefix.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !named {
            return self.dump(bytes);
        }
        let hop = self.hop(HopKind::Carry, &format!("variables {}", shown(&format!("{prefix}*"))), bytes);
        let mut all = Value::unknown();
        for name in crate::flow::carrying_names(self.environment) {
            if name.starts_with(&prefix)
                && let Some(value) = self.environment.get(name)
            {
                all.append(value.clone().hop(&hop));
                all.push(Part::Unknown);
            }
        }
        all
    }

    /// The whole environment of the process.
    pub(super) fn dump(&mut self, bytes: Bytes) -> Value {
        let source = crate::flow::value::Source::Environment;
        let mut dump = self.tracer.enter(source, "the whole environment", self.script.file, bytes);
        let hop = self.hop(HopKind::Carry, "the whole environment", bytes);
        for name in crate::flow::carrying_names(self.environment) {
            if let Some(value) = self
                .environment
                .get(name)
                .filter(|_| !crate::flow::is_runner_variable(name) && !name.starts_with("PORTCULLIS_"))
            {
                dump.push_text(&format!("{name}="));
                dump.append(value.clone().hop(&hop));
                dump.push_text("\n");
            }
        }
        dump
    }
}

/// Whether a slice is one piece of many, `at:at + 4`, as a loop over all of it takes them.
fn is_piece(slice: &str) -> bool {
    let Some((from, to)) = slice.split_once(':') else { return false };
    let is_name =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let added =
        to.trim().strip_prefix(from.trim()).map(str::trim_start).and_then(|rest| rest.strip_prefix('+'));
    is_name(from.trim()) && added.is_some()
}
