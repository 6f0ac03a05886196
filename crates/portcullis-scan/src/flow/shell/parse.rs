//! Parsing with bounds, and remembering the trees parsed last.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use tree_sitter::{ParseOptions, Parser, Tree};

use super::Parsed;
use crate::flow::Tracer;
use crate::flow::script::{SCRIPT_MAX, Script};

/// How often the parser may report progress; it does so every few hundred steps, so this bounds its work.
pub(super) const PARSER_REPORTS_MAX: u32 = 20_000;

pub(super) fn parse(tracer: &mut Tracer<'_>, script: Script) -> Option<Arc<Parsed>> {
    if script.text.len() > SCRIPT_MAX {
        tracer.incomplete("a script that is too long");
        return None;
    }
    let tree = parse_tree(&ascii(&script.text), &tree_sitter_bash::LANGUAGE.into());
    if tree.is_none() {
        tracer.incomplete("a script that can't be parsed in reasonable time");
    }
    Some(Arc::new(Parsed { script, tree: tree? }))
}

/// The text as the grammar may see it: every byte that is not ASCII is a letter, so that all places stay the same.
///
/// The grammar's scanner (tree-sitter-bash 0.25.1, `scanner.c`, `BRACE_START`) asks C's `isdigit` about the character after
/// `{`, which reads outside of its table for anything above U+00FF: `{🦀` ended the process. To a shell these are letters
/// of a word as any other; the words themselves are cut from the true text.
pub(super) fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    text.bytes().map(|byte| if byte.is_ascii() { char::from(byte) } else { 'x' }).collect::<String>().into()
}

/// Most bytes of scripts whose trees one thread keeps. A tree takes some ten times its text.
pub(super) const KEPT_BYTES_MAX: usize = 512 * 1024;

/// Longest script whose tree is kept.
pub(super) const KEPT_SCRIPT_MAX: usize = 64 * 1024;

/// Trees of the scripts parsed last. The versions of a workflow share most of their scripts, and parsing is the dearest
/// step of an analysis.
#[derive(Default)]
pub(super) struct Kept {
    trees: HashMap<(tree_sitter::Language, String), Option<Tree>>,
    bytes: usize,
}

thread_local! {
    static KEPT: std::cell::RefCell<Kept> = std::cell::RefCell::default();
}

/// Parses with a bound on the parser's work, counted and not timed, so that the same text gives the same answer.
pub fn parse_tree(text: &str, language: &tree_sitter::Language) -> Option<Tree> {
    if text.len() > KEPT_SCRIPT_MAX {
        return parse_anew(text, language);
    }
    let key = (language.clone(), text.to_owned());
    if let Some(tree) = KEPT.with_borrow(|kept| kept.trees.get(&key).cloned()) {
        return tree;
    }
    let tree = parse_anew(text, language);
    KEPT.with_borrow_mut(|kept| {
        if kept.bytes + text.len() > KEPT_BYTES_MAX {
            *kept = Kept::default();
        }
        kept.bytes += text.len() + 64;
        kept.trees.insert(key, tree.clone());
    });
    tree
}

thread_local! {
    /// What a parser has taken of memory serves for the next script.
    static PARSER: std::cell::RefCell<Parser> = std::cell::RefCell::new(Parser::new());
}

pub(super) fn parse_anew(text: &str, language: &tree_sitter::Language) -> Option<Tree> {
    PARSER.with_borrow_mut(|parser| parse_with(parser, text, language))
}

fn parse_with(parser: &mut Parser, text: &str, language: &tree_sitter::Language) -> Option<Tree> {
    parser.set_language(language).ok()?;
    // One that was stopped would go on with the script before.
    parser.reset();
    let mut reports = 0;
    let mut watch = |_: &tree_sitter::ParseState| {
        reports += 1;
        if reports > PARSER_REPORTS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut watch);
    parser.parse_with_options(&mut |at, _| text.as_bytes().get(at..).unwrap_or(&[]), None, Some(options))
}
