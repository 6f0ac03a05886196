//! Parsing with bounds, and remembering the trees parsed last.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard};

use tree_sitter::{ParseOptions, Parser};

use super::Parsed;
use crate::flow::Tracer;
use crate::flow::script::{SCRIPT_MAX, Script};
use crate::syntax::Tree;

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
/// of a word as any other; the words themselves are cut from the true text. So is the word `-`, which the grammar does not take
/// before a redirection: of `curl -K - <<END` nothing was left.
pub(super) fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() && !text.contains(" - <") {
        return Cow::Borrowed(text);
    }
    let plain = |byte: u8| if byte.is_ascii() { char::from(byte) } else { 'x' };
    text.bytes().map(plain).collect::<String>().replace(" - <", " x <").into()
}

/// Most bytes of scripts and trees that one scan keeps.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Locks that they are spread over, so that threads rarely wait for each other.
const SHARDS: usize = 16;

/// Trees of the scripts parsed last. The versions of a workflow share most of their scripts, and parsing is the dearest
/// step of an analysis.
pub(crate) struct KnownTrees(Vec<Mutex<Shard>>);

#[derive(Default)]
struct Shard {
    trees: HashMap<(tree_sitter::Language, String), Option<Tree>>,
    bytes: usize,
}

thread_local! {
    static OF_THIS_SCAN: RefCell<Arc<KnownTrees>> = RefCell::new(KnownTrees::new());
}

impl KnownTrees {
    /// None yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self((0..SHARDS).map(|_| Mutex::default()).collect()))
    }

    /// Has this thread share them with the others of a scan. Without it each thread keeps its own.
    pub(crate) fn use_in_this_thread(self: Arc<Self>) {
        OF_THIS_SCAN.set(self);
    }

    fn shard(&self, text: &str) -> Option<MutexGuard<'_, Shard>> {
        // Scripts that begin alike are as long as they are different.
        self.0.get(text.len() % SHARDS)?.lock().ok()
    }
}

/// Parses with a bound on the parser's work, counted and not timed, so that the same text gives the same answer.
pub fn parse_tree(text: &str, language: &tree_sitter::Language) -> Option<Tree> {
    let known = OF_THIS_SCAN.with_borrow(Arc::clone);
    let key = (language.clone(), text.to_owned());
    if let Some(tree) = known.shard(text).and_then(|shard| shard.trees.get(&key).cloned()) {
        return tree;
    }
    let tree = parse_anew(text, language);
    if let Some(mut shard) = known.shard(text) {
        let size = text.len() + 64 + tree.as_ref().map_or(0, Tree::size);
        if size > KEPT_BYTES_MAX / SHARDS / 2 {
            return tree;
        }
        if shard.bytes + size > KEPT_BYTES_MAX / SHARDS {
            *shard = Shard::default();
        }
        shard.bytes += size;
        shard.trees.insert(key, tree.clone());
    }
    tree
}

thread_local! {
    /// What a parser has taken of memory serves for the next script.
    static PARSER: RefCell<Parser> = RefCell::new(Parser::new());
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
    let mut read = |at: usize, _: tree_sitter::Point| text.as_bytes().get(at..).unwrap_or(&[]);
    let tree = parser.parse_with_options(&mut read, None, Some(options))?;
    Some(Tree::of(&tree, language))
}
