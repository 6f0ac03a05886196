//! Operators between two values: most put texts together, some only count.

use crate::syntax::Node;

use super::Program;
use crate::flow::value::Value;

/// Operators that come to a number, whatever their sides are. (Python's `/` joins paths, `%` fills a text, `|` joins tables.)
const COUNTS: &[&str] = &["//", "-", "**", "<<", ">>", ">>>"];

impl Program<'_, '_, '_> {
    pub(super) fn operation(&mut self, node: Node<'_>) -> Value {
        if let Some(value) = self.percent(node) {
            return value;
        }
        let mut value = Value::empty();
        self.eval_all(node, &mut value);
        let operator = node.child_by_field_name("operator").map(|operator| self.text(operator));
        if !operator.is_some_and(|operator| COUNTS.contains(&operator)) {
            return value;
        }
        // `i - 1` is no text in which both stand side by side.
        let mut number = value.only_carried();
        number.append(Value::unknown());
        number
    }
}
