//! Reads what GitHub refuses: scripts whose lines leave their block.
//!
//! `run: |` with a heredoc or a quoted program that starts in the first column is the commonest reason why a workflow is not
//! YAML. It can't have run, but what it was meant to do can be told, and a thief's second try is usually the first one
//! mended. Only the indentation is changed, so that all lines keep their numbers; columns of the mended lines are shifted.

use std::sync::Arc;

use super::{Node, parse};

/// Keys that end a script in the first column: those of a workflow and of an action.
const TOP: &[&str] = &[
    "name",
    "run-name",
    "on",
    "true",
    "env",
    "permissions",
    "defaults",
    "concurrency",
    "jobs",
    "inputs",
    "outputs",
    "runs",
    "description",
];

/// The mended text and its tree; `None` where this is not what is wrong with it.
pub fn indented(text: &str) -> Option<(String, Arc<Node>)> {
    let mut mended = String::with_capacity(text.len() + 1_024);
    let mut block: Option<Block> = None;
    let mut changed = false;
    for line in text.split_inclusive('\n') {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        let blank = content.trim().is_empty();
        if let Some(open) = &mut block {
            let within = *open.indent.get_or_insert(indent.max(open.key + 1));
            if blank || indent >= within {
                mended.push_str(line);
                continue;
            }
            if !open.ends_at(content, indent) {
                mended.extend(std::iter::repeat_n(' ', within));
                mended.push_str(line);
                changed = true;
                continue;
            }
        }
        block = Block::opened_by(content, indent);
        mended.push_str(line);
    }
    let root = changed.then(|| parse(&mended))?.ok()?;
    Some((mended, root))
}

/// A block scalar that is open.
struct Block {
    /// Column of its key.
    key: usize,
    /// Column of its content, once a line of it was seen.
    indent: Option<usize>,
}

impl Block {
    fn opened_by(content: &str, indent: usize) -> Option<Self> {
        let header = content.trim_end();
        let indicator = header.rsplit([' ', ':']).next()?;
        let is_block = indicator.starts_with(['|', '>']) && indicator.len() <= 3;
        let dashes = content.len() - content.trim_start_matches(['-', ' ']).len();
        (is_block && key_of(content).is_some()).then_some(Self { key: indent + dashes, indent: None })
    }

    /// Whether a line that leaves the block is the next node of the file, and not a lost line of the script.
    fn ends_at(&self, content: &str, indent: usize) -> bool {
        if indent > self.key {
            return false;
        }
        if content.starts_with('#') && indent > 0 {
            return true;
        }
        match key_of(content) {
            Some(key) if indent == 0 => TOP.contains(&key),
            Some(_) => true,
            None => indent > 0 && content.starts_with("- "),
        }
    }
}

/// The key that a line begins with: `name: x`, `- "run": |`.
fn key_of(content: &str) -> Option<&str> {
    let content = content.trim_start_matches(['-', ' ']);
    let (key, rest) = content.split_once(':')?;
    let key = key.trim_end().trim_matches(['"', '\'']);
    let plain =
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    (plain && (rest.trim().is_empty() || rest.starts_with([' ', '\t']))).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_starts_in_the_first_column() {
        let text = "on: push\njobs:\n  a:\n    steps:\n      - run: |\n          python3 -c \"\nimport os\nfor name in os.environ:\n    print(name)\nelse:\n    pass\n\"\n      - name: next\n        run: true\n";
        assert!(parse(text).is_err());
        let (mended, root) = indented(text).unwrap();
        assert_eq!(mended.lines().count(), text.lines().count());
        let steps = root.get("jobs").unwrap().get("a").unwrap().get("steps").unwrap().clone();
        assert_eq!(steps.items().len(), 2);
        let script = steps.items()[0].get("run").unwrap().text().unwrap().to_owned();
        assert!(script.contains("import os\nfor name in os.environ:\n    print(name)\nelse:\n"), "{script}");
    }

    #[test]
    fn what_is_broken_otherwise_stays_so() {
        for text in ["a: [", "a\nb: c\n", "on: push\njobs\n  a:\n", ""] {
            assert!(indented(text).is_none(), "{text:?}");
        }
        let sound = "a:\n  - run: |\n      x\n    b: c\n";
        assert!(indented(sound).is_none());
    }
}
