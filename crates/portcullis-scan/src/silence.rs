//! Comments that accept a finding: `# portcullis: accept RULE REASON`.
//!
//! Whoever can write to a repository can write one, and so can the thief. So it reaches no further than what an owner
//! may decide for himself: `exposed` and `advice`, in the version of the file that holds it; the finding stays listed with the
//! reason. Only comments of the YAML file itself count. What stands in a `run` block is text of a script, which may print it, fetch
//! it or never see it; of a finding in there the comment stands on the line of `run: |` or above.

use std::collections::HashSet;
use std::sync::Arc;

use crate::report::Verdict;
use crate::span::{LineIndex, Position};
use crate::text::RepositoryText;
use crate::yaml::{Content, Node};

/// Most comments of one file that are read.
pub const COMMENTS_MAX: usize = 1_000;
/// Longest reason, in characters; a longer one is cut.
pub const REASON_MAX: usize = 500;

/// What a comment beside a finding says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its line, from 1.
    pub line: u32,
    /// The reason, or why it accepts nothing.
    pub reason: Result<RepositoryText, String>,
}

/// The comments of one file.
#[derive(Debug, Default)]
pub struct Comments {
    comments: Vec<Comment>,
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Comment {
    line: u32,
    /// Whether nothing else stands on its line.
    alone: bool,
    rule: String,
    reason: String,
}

/// A text of several lines, and the line where it is begun: `run: |`.
#[derive(Debug)]
struct Block {
    first: u32,
    last: u32,
    header: u32,
}

impl Comments {
    /// Finds them. Costs nothing where a file has none.
    pub fn read(text: &str, root: &Arc<Node>) -> Self {
        if !text.contains("portcullis:") {
            return Self::default();
        }
        let lines = LineIndex::new(text);
        let mut scalars = Scalars { text, lines: &lines, inside: Vec::new(), blocks: Vec::new() };
        scalars.walk(root);
        scalars.inside.sort_unstable();
        let mut comments = Vec::new();
        let mut start = 0;
        for (number, line) in text.split('\n').enumerate() {
            if line.contains("portcullis:")
                && comments.len() < COMMENTS_MAX
                && let Some((at, said)) = comment(line, start, &scalars.inside)
                && let Some(comment) = accepting(said, number as u32 + 1, line.get(..at).unwrap_or(""))
            {
                comments.push(comment);
            }
            start += line.len() + 1;
        }
        Self { comments, blocks: scalars.blocks }
    }

    /// What a comment says about a finding of this rule that stands at this place.
    pub fn beside(&self, rule: &str, place: Position) -> Option<Said> {
        let header = self.blocks.iter().find(|block| (block.first..=block.last).contains(&place.line));
        let lines = [Some(place.line), header.map(|block| block.header)];
        let here = lines.into_iter().flatten().flat_map(|line| self.at(line));
        let mut known = None;
        for comment in here {
            if comment.rule == rule {
                return Some(comment.said());
            }
            if known.is_none() && !is_rule(&comment.rule) {
                let what =
                    format!("the comment in line {} names no rule: see `portcullis explain`", comment.line);
                known = Some(Said { line: comment.line, reason: Err(what) });
            }
        }
        known
    }

    /// The comments on a line, and those that stand alone right above it.
    fn at(&self, line: u32) -> impl Iterator<Item = &Comment> {
        let first = (1..line)
            .rev()
            .take_while(|above| self.comments.iter().any(|comment| comment.line == *above && comment.alone))
            .last()
            .unwrap_or(line);
        self.comments.iter().filter(move |comment| {
            comment.line == line || (first..line).contains(&comment.line) && comment.alone
        })
    }
}

impl Comment {
    fn said(&self) -> Said {
        let reason = if self.reason.is_empty() {
            Err(format!(
                "the comment in line {} gives no reason: `# portcullis: accept {} REASON`",
                self.line, self.rule
            ))
        } else {
            Ok(RepositoryText::new(self.reason.chars().take(REASON_MAX).collect::<String>()))
        };
        Said { line: self.line, reason }
    }
}

/// Why no comment accepts findings of this verdict.
pub fn refused(verdict: Verdict, said: &Said) -> Option<String> {
    (verdict >= Verdict::Suspicious).then(|| {
        format!(
            "the comment in line {} accepts nothing: a thief can write one too, so a comment never silences what is `{}`; \
             `--accept` and `--config` do, from outside the repository",
            said.line,
            verdict.name()
        )
    })
}

/// The first `#` of a line that begins a comment, and what follows it.
fn comment<'l>(line: &'l str, start: usize, inside: &[(usize, usize)]) -> Option<(usize, &'l str)> {
    line.match_indices('#').map(|(at, _)| at).find_map(|at| {
        let before = line.get(..at)?;
        let begins = before.is_empty() || before.ends_with([' ', '\t']);
        let after = inside.partition_point(|(from, _)| *from <= start + at);
        let is_text =
            after.checked_sub(1).and_then(|last| inside.get(last)).is_some_and(|(_, to)| start + at < *to);
        (begins && !is_text).then(|| Some((at, line.get(at + 1..)?)))?
    })
}

fn accepting(said: &str, line: u32, before: &str) -> Option<Comment> {
    let rest = said.trim().strip_prefix("portcullis:")?.trim_start();
    let rest = rest.strip_prefix("accept").filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))?;
    let rest = rest.trim();
    let (rule, reason) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let reason = reason.trim().to_owned();
    Some(Comment { line, alone: before.trim().is_empty(), rule: rule.to_owned(), reason })
}

fn is_rule(id: &str) -> bool {
    crate::techniques::ALL.iter().any(|technique| technique.id() == id)
}

/// Where text stands that is no comment, whatever it looks like.
struct Scalars<'t> {
    text: &'t str,
    lines: &'t LineIndex<'t>,
    inside: Vec<(usize, usize)>,
    blocks: Vec<Block>,
}

impl Scalars<'_> {
    /// Each node once: aliases share theirs.
    fn walk(&mut self, root: &Arc<Node>) {
        let mut seen: HashSet<usize> = HashSet::new();
        let mut open: Vec<(&Arc<Node>, Option<&Arc<Node>>)> = vec![(root, None)];
        while let Some((node, key)) = open.pop() {
            if !seen.insert(Arc::as_ptr(node).addr()) {
                continue;
            }
            match &node.content {
                Content::Scalar(_) => self.scalar(node, key),
                Content::Sequence(items) => open.extend(items.iter().map(|item| (item, None))),
                Content::Mapping(pairs) => {
                    open.extend(pairs.iter().flat_map(|(key, value)| [(key, None), (value, Some(key))]));
                }
            }
        }
    }

    fn scalar(&mut self, node: &Node, key: Option<&Arc<Node>>) {
        let Content::Scalar(scalar) = &node.content else { return };
        let range = node.bytes.range();
        let raw = self.text.get(range.clone()).unwrap_or("");
        let content = scalar.bytes_of(0..scalar.text.trim_end().len());
        // The line of `|` is no text, and may end in a comment; nor is what stands below the last line.
        let is_block = !scalar.plain && !raw.starts_with(['"', '\'']);
        let start = match (is_block, raw.starts_with(['|', '>'])) {
            (true, true) => range.start + raw.find('\n').map_or(raw.len(), |at| at + 1),
            _ => range.start,
        };
        let end = if is_block { content.range().end } else { range.end };
        if start >= end {
            return;
        }
        self.inside.push((start, end));
        let line = |byte: usize| self.lines.position(byte).line;
        let header = key.map_or(range.start, |key| key.bytes.range().start);
        if line(header) < line(end) {
            self.blocks.push(Block { first: line(start), last: line(end), header: line(header) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, rule: &str, line: u32) -> Option<Result<String, String>> {
        let comments = Comments::read(text, &crate::yaml::parse(text).unwrap());
        let said = comments.beside(rule, Position { line, column: 1 })?;
        Some(said.reason.map(|reason| reason.unescaped().to_owned()))
    }

    fn reason(text: &str, line: u32) -> Option<String> {
        said(text, "open-door", line).and_then(Result::ok)
    }

    #[test]
    fn beside_the_line_or_right_above_it() {
        assert_eq!(reason("a: 1 # portcullis: accept open-door we know\n", 1).as_deref(), Some("we know"));
        assert_eq!(reason("# portcullis: accept open-door we know\na: 1\n", 2).as_deref(), Some("we know"));
        let two = "# portcullis: accept open-door one\n# portcullis: accept remote-code two\na: 1\n";
        assert_eq!(reason(two, 3).as_deref(), Some("one"));
        assert_eq!(said(two, "remote-code", 3), Some(Ok("two".to_owned())));
        for other in [
            "# portcullis: accept open-door x\n\na: 1\n",
            "# portcullis: accept open-door x\nb: 2\na: 1\n",
            "a: 0 # portcullis: accept open-door x\nb: 2\na: 1\n",
        ] {
            assert_eq!(said(other, "open-door", 3), None, "{other}");
        }
        assert_eq!(said("a: 0 # portcullis: accept open-door x\nb: 1\n", "open-door", 2), None);
        assert_eq!(said("a: 1\n# portcullis: accept open-door below\n", "open-door", 1), None);
    }

    #[test]
    fn the_rule_and_the_reason_must_be_said() {
        assert_eq!(said("a: 1 # portcullis: accept remote-code x\n", "open-door", 1), None);
        for (comment, part) in [
            ("accept open-door", "gives no reason"),
            ("accept open-door  ", "gives no reason"),
            ("accept", "names no rule"),
            ("accept everything please", "names no rule"),
            ("accept * all of it", "names no rule"),
        ] {
            let text = format!("a: 1 # portcullis: {comment}\n");
            let why = said(&text, "open-door", 1).unwrap().unwrap_err();
            assert!(why.contains(part), "{comment}: {why}");
        }
        for text in ["a: 1 # portcullis: acceptopen-door x\n", "a: 1 # see portcullis: accept open-door x\n"]
        {
            assert_eq!(said(text, "open-door", 1), None, "{text}");
        }
        let long = format!("a: 1 # portcullis: accept open-door {}\n", "x".repeat(REASON_MAX + 9));
        assert_eq!(reason(&long, 1).unwrap().len(), REASON_MAX);
    }

    /// What looks like a comment inside a text is none, in any of YAML's ways to write one.
    #[test]
    fn a_scripts_text_is_no_comment() {
        let mark = "# portcullis: accept open-door x";
        for text in [
            format!("run: |\n  one\n  {mark}\n  two\n"),
            format!("run: >\n  one\n  {mark}\n  two\n"),
            format!("run: \"one\n  {mark}\n  two\"\n"),
            format!("run: 'one {mark}\n  {mark}\n  two'\n"),
            format!("- |\n  one\n  {mark}\n  two\n"),
            format!("? |\n  one\n  {mark}\n  two\n: x\n"),
        ] {
            for line in 1..=5 {
                assert_eq!(said(&text, "open-door", line), None, "{text} {line}");
            }
        }
        let at_header = "x: 0\nrun: |  # portcullis: accept open-door we know\n  one\n  two\n";
        assert_eq!(reason(at_header, 4).as_deref(), Some("we know"));
        let above = "x: 0\n# portcullis: accept open-door we know\nrun: |\n  one\n  two\n\nnext: 1\n";
        assert_eq!(reason(above, 4).as_deref(), Some("we know"));
        assert_eq!(reason(above, 5).as_deref(), Some("we know"));
        assert_eq!(reason(above, 7), None);
        // The comment below a block is one, of what follows it.
        let below = "run: |\n  one\n# portcullis: accept open-door next\nnext: 1\n";
        assert_eq!(reason(below, 4).as_deref(), Some("next"));
        assert_eq!(reason(below, 2), None);
    }

    #[test]
    fn characters_of_several_bytes_move_nothing() {
        let text = "run: |\n  héllo “x”\n  two\nnext: é # portcullis: accept open-door we know\n";
        assert_eq!(reason(text, 4).as_deref(), Some("we know"));
    }

    #[test]
    fn their_number_is_limited() {
        let text = |count: usize| "a: # portcullis: accept open-door x\n".repeat(count).replacen('a', "b", 1);
        let comments =
            |count| Comments::read(&text(count), &crate::yaml::parse(&text(count)).unwrap()).comments.len();
        assert_eq!(comments(COMMENTS_MAX), COMMENTS_MAX);
        assert_eq!(comments(COMMENTS_MAX + 1), COMMENTS_MAX);
    }
}
