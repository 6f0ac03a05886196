//! `${{ … }}`: finding expressions in a text, and evaluating them to what they may hold.
//!
//! The parser is `github-actions-expressions`; nothing outside this module names it. An expression that it can't
//! read still yields the secrets that its text names, for GitHub's own parser may be more lenient.

use std::ops::Range;

use github_actions_expressions::call::Function;
use github_actions_expressions::context::Context;
use github_actions_expressions::literal::Literal;
use github_actions_expressions::op::BinOp;
use github_actions_expressions::{Expr, SpannedExpr};

use crate::flow::value::{Carried, Encoding, Hop, HopKind, Part, Source, Trail, Value};
use crate::span::Bytes;
use crate::text::RepositoryText;

/// Longest expression that is parsed. GitHub's own limit for one expression is 21,000 characters.
pub const EXPRESSION_MAX: usize = 21_000;

/// What an expression can look up.
pub trait Contexts {
    /// The value of a path such as `env.NAME` or `steps.build.outputs.url`, in lower case but for `env`; several
    /// where it depends on the matrix.
    fn look_up(&self, head: &str, rest: &[&str]) -> Option<Vec<Value>>;
}

/// A text in pieces: literal stretches and expressions.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Literal text, by its range.
    Text(Range<usize>),
    /// An expression: the range of all of `${{ … }}`, and that of what stands inside.
    Expression(Range<usize>, Range<usize>),
}

/// Splits a text at its expressions. A `}}` inside a string literal doesn't end one; an unfinished one is text.
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while let Some(start) = text.get(from..).and_then(|rest| rest.find("${{")).map(|at| from + at) {
        let inner = start + 3;
        let Some(end) = text.get(inner..).and_then(end_of_expression).map(|at| inner + at) else { break };
        if start > from {
            pieces.push(Piece::Text(from..start));
        }
        pieces.push(Piece::Expression(start..end + 2, inner..end));
        from = end + 2;
    }
    if from < text.len() {
        pieces.push(Piece::Text(from..text.len()));
    }
    pieces
}

fn end_of_expression(text: &str) -> Option<usize> {
    let mut quoted = false;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\'' => quoted = !quoted,
            b'}' if !quoted && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
    }
    // An odd quote: take the first `}}` as GitHub's template reader would report it.
    if quoted { text.find("}}") } else { None }
}

/// Evaluates the inside of one expression. `bytes` is where it stands, for the hops of secrets that enter here.
pub fn evaluate(inner: &str, contexts: &dyn Contexts, file: usize, bytes: Bytes) -> Value {
    let evaluation = Evaluation { contexts, file, bytes };
    if inner.len() > EXPRESSION_MAX {
        return evaluation.named_in(inner);
    }
    match Expr::parse(inner.trim()) {
        Ok(expression) => evaluation.value(&expression, 0),
        Err(_) => evaluation.named_in(inner),
    }
}

struct Evaluation<'a> {
    contexts: &'a dyn Contexts,
    file: usize,
    bytes: Bytes,
}

/// Deepest recursion; the parser has a limit of its own, this one holds whatever that becomes.
const DEPTH_MAX: usize = 64;

/// Most names that one index is followed to.
const NAMES_MAX: usize = 64;

impl Evaluation<'_> {
    fn enter(&self, source: Source, what: &str) -> Value {
        let hop = Hop {
            kind: HopKind::Source,
            what: RepositoryText::new(what),
            file: self.file,
            bytes: self.bytes,
        };
        Value::part(Part::Carried(Carried {
            source,
            encodings: Vec::new(),
            trail: Trail::default().then(hop),
            dropped: false,
        }))
    }

    fn value(&self, expression: &SpannedExpr<'_>, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return self.named_in(expression.origin.raw);
        }
        if depth == 0
            && !expression.is_literal()
            && let Some(constant) = expression.consteval()
        {
            return Value::text(constant.sema().to_string());
        }
        match &expression.inner {
            Expr::Literal(Literal::String(text)) => Value::text(text.as_ref()),
            Expr::Literal(literal) => Value::text(literal.as_str().into_owned()),
            Expr::Context(context) => self.context(context, depth),
            Expr::Call(call) => {
                let arguments =
                    || call.args.iter().map(|argument| self.value(argument, depth + 1)).collect::<Vec<_>>();
                match call.func {
                    Function::Format => format(&arguments()),
                    Function::Join => joined(arguments()),
                    Function::ToJSON => {
                        let value = joined(arguments());
                        let hop = self.hop("as JSON");
                        if value.carries() {
                            value.only_carried().encoded(Encoding::Escaped, &hop)
                        } else {
                            value
                        }
                    }
                    Function::FromJSON => joined(arguments()),
                    Function::Case => {
                        let last = call.args.len().saturating_sub(1);
                        let chosen =
                            call.args.iter().enumerate().filter(|(at, _)| at % 2 == 1 || *at == last);
                        either(chosen.map(|(_, argument)| self.value(argument, depth + 1)).collect())
                    }
                    _ => Value::unknown(),
                }
            }
            Expr::BinExpr(binary) => match binary.op {
                BinOp::And => self.value(&binary.rhs, depth + 1),
                BinOp::Or => {
                    either(vec![self.value(&binary.lhs, depth + 1), self.value(&binary.rhs, depth + 1)])
                }
                _ => Value::unknown(),
            },
            _ => Value::unknown(),
        }
    }

    fn hop(&self, what: &str) -> Hop {
        Hop { kind: HopKind::Encode, what: RepositoryText::new(what), file: self.file, bytes: self.bytes }
    }

    fn context(&self, context: &Context<'_>, depth: usize) -> Value {
        let mut parts = context.parts.iter();
        let head = match parts.next().map(|part| &part.inner) {
            Some(Expr::Identifier(name)) => name.as_str().to_ascii_lowercase(),
            // `fromJSON(…).field`: whatever the call yields may be in the field.
            Some(Expr::Call(_)) => {
                let value =
                    context.parts.first().map_or_else(Value::unknown, |call| self.value(call, depth + 1));
                // `fromJSON(toJSON(secrets)).NAME` is that one secret.
                if let (Some(Expr::Identifier(name)), [Part::Carried(carried)]) =
                    (context.parts.get(1).map(|part| &part.inner), value.parts.as_slice())
                    && carried.source == Source::AllSecrets
                {
                    return self.secret(name.as_str());
                }
                return value;
            }
            _ => return Value::unknown(),
        };
        // Each step of the path may have several values (a computed index over the matrix).
        let mut paths: Vec<Vec<String>> = vec![Vec::new()];
        for part in parts {
            let names = match &part.inner {
                Expr::Identifier(name) => vec![name.as_str().to_owned()],
                Expr::Star => vec!["*".to_owned()],
                Expr::Index(index) => self.index(index, depth),
                _ => vec!["*".to_owned()],
            };
            paths = paths
                .iter()
                .flat_map(|path| {
                    names.iter().map(|name| path.iter().cloned().chain([name.clone()]).collect())
                })
                .take(64)
                .collect();
        }
        let mut values: Vec<Value> = paths
            .iter()
            .flat_map(|path| self.path(&head, &path.iter().map(String::as_str).collect::<Vec<_>>()))
            .collect();
        if head == "secrets" && values.len() > 1 {
            joined(values)
        } else if values.len() == 1 {
            values.remove(0)
        } else {
            either(values)
        }
    }

    /// The names an index may have; `*` where they can't be known.
    fn index(&self, index: &SpannedExpr<'_>, depth: usize) -> Vec<String> {
        if let Expr::Context(context) = &index.inner
            && let Some(Expr::Identifier(head)) = context.parts.first().map(|part| &part.inner)
            && let Some(tail) = context.single_tail()
            && let Some(values) = self.contexts.look_up(&head.as_str().to_ascii_lowercase(), &[tail])
            && !values.is_empty()
            && let Some(names) =
                values.iter().map(|value| value.literal().map(str::to_owned)).collect::<Option<Vec<_>>>()
        {
            return names;
        }
        if let Some(names) = self.formatted(index, depth) {
            return names;
        }
        let value = self.value(index, depth + 1);
        match value.literal() {
            Some(name) => vec![name.to_owned()],
            None => vec![family(&value).unwrap_or_else(|| "*".to_owned())],
        }
    }

    /// `format('{0}_TOKEN', matrix.registry)`: all the names that come of it, where every value that it can get is written out.
    fn formatted(&self, index: &SpannedExpr<'_>, depth: usize) -> Option<Vec<String>> {
        let Expr::Call(call) = &index.inner else { return None };
        if call.func != Function::Format || depth > DEPTH_MAX {
            return None;
        }
        let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
        for argument in &call.args {
            let several = match &argument.inner {
                Expr::Context(context) => self.written_out(context),
                _ => None,
            };
            let choices = several.unwrap_or_else(|| vec![self.value(argument, depth + 1)]);
            rows = rows
                .iter()
                .flat_map(|row| choices.iter().map(|one| row.iter().cloned().chain([one.clone()]).collect()))
                .take(NAMES_MAX + 1)
                .collect();
        }
        if rows.len() > NAMES_MAX {
            return None;
        }
        rows.iter().map(|row| format(row).literal().map(str::to_owned)).collect()
    }

    /// Every value of `matrix.axis`.
    fn written_out(&self, context: &Context<'_>) -> Option<Vec<Value>> {
        let Some(Expr::Identifier(head)) = context.parts.first().map(|part| &part.inner) else { return None };
        let values = self.contexts.look_up(&head.as_str().to_ascii_lowercase(), &[context.single_tail()?])?;
        (!values.is_empty()).then_some(values)
    }

    fn path(&self, head: &str, rest: &[&str]) -> Vec<Value> {
        let first = rest.first().copied().unwrap_or("");
        let raw = std::iter::once(head).chain(rest.iter().copied()).collect::<Vec<_>>().join(".");
        match head {
            "secrets" => vec![match first {
                "" | "*" => self.secrets(),
                // Which of a family a called workflow was handed is for its callers to say.
                name if name.contains('*') && self.contexts.look_up("secrets", &[]).is_some() => {
                    self.secrets()
                }
                name => self.secret(name),
            }],
            "github" if first.eq_ignore_ascii_case("token") => {
                vec![self.enter(Source::JobToken, "github.token")]
            }
            "github" if first.is_empty() => {
                vec![self.enter(Source::JobToken, "the github context with its token")]
            }
            "github" | "runner" | "job" | "strategy" => vec![Value::part(match is_untrusted(&raw) {
                true => Part::Untrusted(raw),
                false => Part::Run(raw),
            })],
            "vars" => vec![Value::part(Part::Configured(raw))],
            _ => self.contexts.look_up(head, rest).unwrap_or_else(|| {
                vec![Value::part(if head == "inputs" { Part::Configured(raw) } else { Part::Unknown })]
            }),
        }
    }

    fn secrets(&self) -> Value {
        match self.contexts.look_up("secrets", &[]) {
            // A called workflow knows only what it was handed.
            Some(values) => joined(values),
            None => self.enter(Source::AllSecrets, "all secrets"),
        }
    }

    fn secret(&self, name: &str) -> Value {
        if let Some(values) = self.contexts.look_up("secrets", &[name]) {
            return either(values);
        }
        match name.eq_ignore_ascii_case("GITHUB_TOKEN") {
            true => self.enter(Source::JobToken, "secrets.GITHUB_TOKEN"),
            false => self.enter(Source::Secret(name.to_owned()), &format!("secrets.{name}")),
        }
    }

    /// The secrets that a text names, for expressions that can't be parsed.
    fn named_in(&self, text: &str) -> Value {
        let mut value = Value::empty();
        let lower = text.to_ascii_lowercase();
        let mut from = 0;
        while let Some(at) = lower.get(from..).and_then(|rest| rest.find("secrets")).map(|at| from + at) {
            from = at + "secrets".len();
            let rest = text.get(from..).unwrap_or("").trim_start_matches([' ', '.', '[', '\'', '"']);
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            value.append(if name.is_empty() { self.secrets() } else { self.secret(&name) });
        }
        if value.is_empty() { Value::unknown() } else { value }
    }
}

/// `secrets[format('SIGNING_KEY_{0}', matrix.platform)]`: one of a family, by what stands in the file of its name. It is taken for
/// a secret of that name, and so judged by it: a family that is called after a registry is a registry's credential. Of an end
/// alone (`{0}_TOKEN`) any secret may be the beginning, unless the end says what it opens.
fn family(value: &Value) -> Option<String> {
    let begins = value.prefix();
    let words = crate::services::words(begins);
    let says = words.iter().any(|word| word.len() >= 4 && !matches!(word.as_str(), "SECRET" | "TOKEN"));
    let name = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if begins.ends_with('_') && says && name(begins) {
        return Some(format!("{begins}*"));
    }
    let Some(Part::Text(end)) = value.parts.last() else { return None };
    let known = crate::services::of_secret(end).is_some();
    (begins.is_empty() && end.starts_with('_') && known && name(end)).then(|| format!("*{}", &**end))
}

/// Context values that somebody without write access can choose
/// (GitHub, "Security hardening: understanding the risk of script injections").
fn is_untrusted(path: &str) -> bool {
    const UNTRUSTED: &[&str] = &[
        "github.event.issue.title",
        "github.event.issue.body",
        "github.event.pull_request.title",
        "github.event.pull_request.body",
        "github.event.pull_request.head.ref",
        "github.event.pull_request.head.label",
        "github.event.pull_request.head.repo.default_branch",
        "github.event.comment.body",
        "github.event.review.body",
        "github.event.review_comment.body",
        "github.event.discussion.title",
        "github.event.discussion.body",
        "github.event.pages.*.page_name",
        "github.event.commits.*.message",
        "github.event.commits.*.author.email",
        "github.event.commits.*.author.name",
        "github.event.head_commit.message",
        "github.event.head_commit.author.email",
        "github.event.head_commit.author.name",
        "github.event.workflow_run.head_branch",
        "github.event.workflow_run.head_commit.message",
        "github.event.workflow_run.display_title",
        "github.head_ref",
    ];
    UNTRUSTED.iter().any(|untrusted| path.eq_ignore_ascii_case(untrusted))
}

/// `format('…{0}…', a)`: the template with its arguments.
fn format(arguments: &[Value]) -> Value {
    let Some((template, rest)) = arguments.split_first() else { return Value::unknown() };
    let Some(text) = template.literal() else { return joined(arguments.to_vec()) };
    let mut value = Value::empty();
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|tail| tail.find(['{', '}'])).map(|found| at + found) {
        value.push_text(text.get(at..found).unwrap_or(""));
        let tail = text.get(found..).unwrap_or("");
        if let Some(escaped) = ["{{", "}}"].iter().find(|escaped| tail.starts_with(**escaped)) {
            value.push_text(escaped.get(..1).unwrap_or(""));
            at = found + 2;
        } else if let Some((number, _)) = tail.strip_prefix('{').and_then(|tail| tail.split_once('}')) {
            let argument = number.trim().parse::<usize>().ok().and_then(|number| rest.get(number));
            value.append(argument.cloned().unwrap_or_else(Value::unknown));
            at = found + number.len() + 2;
        } else {
            value.push_text(tail.get(..1).unwrap_or(""));
            at = found + 1;
        }
    }
    value.push_text(text.get(at..).unwrap_or(""));
    value
}

fn joined(values: Vec<Value>) -> Value {
    let mut all = Value::empty();
    for value in values {
        all.append(value);
    }
    all
}

/// One of several values: the first that has anything literal to say, with the secrets of all of them.
pub fn either(values: Vec<Value>) -> Value {
    let chosen = values
        .iter()
        .position(|value| value.carries())
        .or_else(|| values.iter().position(|value| value.literal().is_some_and(|text| !text.is_empty())))
        .unwrap_or(0);
    let mut result = values.get(chosen).cloned().unwrap_or_else(Value::unknown);
    for (at, value) in values.into_iter().enumerate() {
        if at != chosen && value.carries() {
            result.append(value.only_carried());
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;
    impl Contexts for Nothing {
        fn look_up(&self, head: &str, rest: &[&str]) -> Option<Vec<Value>> {
            (head == "matrix" && rest == ["name"]).then(|| vec![Value::text("ONE"), Value::text("TWO")])
        }
    }

    fn template(expression: &str) -> String {
        evaluate(expression, &Nothing, 0, Bytes::default()).template()
    }

    #[test]
    fn secrets_are_found_however_they_are_written() {
        for (expression, expected) in [
            (" secrets.A ", "${A}"),
            ("secrets['A']", "${A}"),
            ("SECRETS.A", "${A}"),
            ("secrets.GITHUB_TOKEN", "${GITHUB_TOKEN}"),
            ("github.token", "${GITHUB_TOKEN}"),
            ("toJSON(secrets)", "${*}"),
            ("secrets.*", "${*}"),
            ("secrets[github.event.inputs.x]", "${*}"),
            ("secrets[format('{0}_{1}', 'A', 'B')]", "${A_B}"),
            ("secrets[matrix.name]", "${ONE}${TWO}"),
            ("format('https://h.example/{0}', secrets.A)", "https://h.example/${A}"),
            ("github.ref == 'x' && secrets.A || secrets.B", "${A}${B}"),
            ("secrets.A != ''", "${…}"),
            ("join(secrets.*, ',')", "${*},"),
            ("secrets.A ?? broken(", "${A}"),
            ("vars.HOST", "${vars.HOST}"),
        ] {
            assert_eq!(template(expression), expected, "{expression}");
        }
    }

    #[test]
    fn a_closing_brace_in_a_string_does_not_end_an_expression() {
        let text = "a ${{ format('}}{0}', secrets.A) }} b";
        let found = pieces(text);
        assert_eq!(found.len(), 3);
        assert!(
            matches!(&found[1], Piece::Expression(all, _) if text.get(all.clone()).unwrap().ends_with("A) }}"))
        );
    }

    #[test]
    fn an_expression_past_the_limit_still_names_its_secrets() {
        let padding = " ".repeat(EXPRESSION_MAX);
        assert_eq!(template(&format!("secrets.A || {padding} secrets.B")), "${A}${B}");
    }
}
