//! The statements of a script, one by one: which of them upload, which only make the upload ready, and what joins them.

use std::ops::Range;

use crate::syntax::Node;

use super::tool::{Role, Sending, launcher, prepares, role};
use crate::rewrite::variables::is_credential;

/// Most nodes of one script that are looked at.
const NODES_MAX: usize = 20_000;

/// What is left of a statement.
pub(super) enum Left {
    /// It has nothing to do with the upload.
    All,
    /// Some of it; the edits are noted.
    Some,
    /// Nothing: the caller takes it out, with what joins it to its neighbours.
    Nothing,
}

pub(super) struct Reader<'s> {
    /// Without expressions, for the grammar.
    text: &'s str,
    /// As it is.
    real: &'s str,
    /// Whether uploads are taken out too, and not only what stores their credential.
    uploads: bool,
    pub(super) edits: Vec<(Range<usize>, String)>,
    pub(super) sendings: Vec<Sending>,
    pub(super) directory: Option<String>,
    nodes: usize,
    /// Whether something is left that does more than prepare the upload.
    pub(super) works: bool,
    /// Whether some of that came after an upload.
    pub(super) goes_on: bool,
}

impl<'s> Reader<'s> {
    pub(super) fn new(text: &'s str, real: &'s str, uploads: bool) -> Self {
        Self {
            text,
            real,
            uploads,
            edits: Vec::new(),
            sendings: Vec::new(),
            directory: None,
            nodes: 0,
            works: false,
            goes_on: false,
        }
    }

    /// A list of statements, one after the other.
    pub(super) fn statements(&mut self, node: Node<'_>) -> Result<Left, String> {
        let children: Vec<Node<'_>> =
            node.named_children().filter(|child| child.kind() != "comment").collect();
        let (mut gone, mut changed) = (Vec::new(), false);
        for child in &children {
            match self.statement(*child)? {
                Left::All => {}
                Left::Some => changed = true,
                Left::Nothing => gone.push(child.byte_range()),
            }
        }
        if !children.is_empty() && gone.len() == children.len() {
            return Ok(Left::Nothing);
        }
        for range in &gone {
            let range = self.with_separator(range.clone());
            self.edits.push((range, String::new()));
        }
        Ok(if gone.is_empty() && !changed { Left::All } else { Left::Some })
    }

    /// `; ` after a statement goes with it, else the one before it.
    fn with_separator(&self, range: Range<usize>) -> Range<usize> {
        let space = |c: char| c == ' ' || c == '\t';
        let after = self.text.get(range.end..).unwrap_or("");
        if let Some(rest) = after.trim_start_matches(space).strip_prefix(';') {
            let end = self.text.len() - rest.trim_start_matches(space).len();
            return range.start..end;
        }
        let before = self.text.get(..range.start).unwrap_or("").trim_end_matches(space);
        match before.strip_suffix(';') {
            Some(kept) => kept.len()..range.end,
            None => range,
        }
    }

    fn statement(&mut self, node: Node<'_>) -> Result<Left, String> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err("the script is too long".to_owned());
        }
        match node.kind() {
            "list" => self.list(node),
            "command" => self.command(node),
            "redirected_statement" => self.redirected(node),
            "pipeline" => {
                if self.uploads_within(node) {
                    self.note_all(node);
                    Ok(Left::Nothing)
                } else {
                    Ok(self.stays())
                }
            }
            "variable_assignment" | "variable_assignments" | "declaration_command" => Ok(self.assignment(node)),
            "compound_statement" | "subshell" => self.statements(node),
            "for_statement" => self.loops(node),
            "if_statement" | "case_statement" if self.uploads_within(node) => self.asks(node),
            _ if self.uploads_within(node) => Err(
                "the upload hangs on a condition of the script, which can't become one of a job with certainty: write it as `if:` of a step first"
                    .to_owned(),
            ),
            _ => Ok(self.stays()),
        }
    }

    fn stays(&mut self) -> Left {
        self.works = true;
        self.goes_on |= !self.sendings.is_empty();
        Left::All
    }

    /// `if …; then twine upload; fi`: the script keeps its question, and tells the answer by an output.
    fn asks(&mut self, node: Node<'_>) -> Result<Left, String> {
        let mut open = vec![node];
        while let Some(at) = open.pop() {
            self.nodes += 1;
            if self.nodes > NODES_MAX {
                return Err("the script is too long".to_owned());
            }
            let words = if at.kind() == "command" { self.words(at) } else { Vec::new() };
            let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            let start = launcher(&texts);
            let tail = texts.get(start..).unwrap_or_default();
            let (mut sending, built) = match role(tail) {
                Some(Role::Uploads(sending)) => (sending, None),
                Some(Role::Builds(sending, left)) => (sending, Some(left.join(" "))),
                Some(Role::Credential) => {
                    self.edits.push((at.byte_range(), ":".to_owned()));
                    continue;
                }
                None => {
                    let plain = matches!(
                        at.kind(),
                        "if_statement"
                            | "elif_clause"
                            | "else_clause"
                            | "case_statement"
                            | "case_item"
                            | "list"
                            | "compound_statement"
                    );
                    if !plain && self.uploads_within(at) {
                        return Err(
                            "the upload stands inside another command: move it into a step of its own first"
                                .to_owned(),
                        );
                    }
                    open.extend(at.named_children().filter(|_| plain));
                    continue;
                }
            };
            let output =
                sending.registry.map_or_else(|| "upload".to_owned(), |registry| format!("upload-{registry}"));
            let tells = format!("echo '{output}=true' >> \"$GITHUB_OUTPUT\"");
            let kept = tail.iter().position(|word| word.ends_with("setup.py")).map_or(1, |at| at + 1);
            let verb = words.get(start + kept).map_or(at.end_byte(), |word| word.range.start);
            self.edits.push(match built {
                Some(built) => (verb..at.end_byte(), format!("{built} && {tells}")),
                None => (at.byte_range(), tells),
            });
            sending.output = Some(output);
            self.sendings.push(sending);
        }
        self.works = true;
        Ok(Left::Some)
    }

    /// A loop that does nothing but upload.
    fn loops(&mut self, node: Node<'_>) -> Result<Left, String> {
        let (edits, works, sendings) = (self.edits.len(), self.works, self.sendings.len());
        let Some(body) = node.child_by_field_name("body").filter(|_| self.uploads_within(node)) else {
            return Ok(self.stays());
        };
        if matches!(self.statements(body)?, Left::Nothing) {
            // `for f in dist/*; do twine upload $f; done`: the files are those that the loop goes over.
            let name = node.child_by_field_name("variable").map(|name| self.word(name)).unwrap_or_default();
            let values: Vec<String> =
                node.children_by_field_name("value").map(|value| self.word(value)).collect();
            let variable = [format!("${name}"), format!("${{{name}}}")];
            for sending in self.sendings.iter_mut().skip(sendings) {
                if sending.patterns.iter().any(|pattern| variable.contains(pattern)) {
                    sending.patterns.retain(|pattern| !variable.contains(pattern));
                    sending.patterns.extend(values.iter().cloned());
                }
            }
            return Ok(Left::Nothing);
        }
        self.edits.truncate(edits);
        self.sendings.truncate(sendings);
        self.works = works;
        Err("the upload stands in a loop with other commands: move it out first".to_owned())
    }

    /// `a && b`, `a || b`.
    fn list(&mut self, node: Node<'_>) -> Result<Left, String> {
        let (Some(left), Some(right)) = (node.named_child(0), node.named_child(1)) else {
            return Ok(self.stays());
        };
        let between = self.text.get(left.end_byte()..right.start_byte()).unwrap_or("");
        let (is_or, before, sent) = (between.contains("||"), self.works, self.sendings.len());
        let first = self.statement(left)?;
        if is_or && matches!(first, Left::Nothing) {
            // `twine upload … || true`: what answers its failure goes with it.
            self.works = before;
            self.sendings.iter_mut().skip(sent).for_each(|sending| sending.may_fail = true);
            return Ok(Left::Nothing);
        }
        let second = self.statement(right)?;
        match (first, second) {
            (Left::Nothing, Left::Nothing) => Ok(Left::Nothing),
            (Left::Nothing, _) => {
                self.edits.push((left.start_byte()..right.start_byte(), String::new()));
                Ok(Left::Some)
            }
            (_, Left::Nothing) if is_or => {
                Err("the upload answers the failure of another command: move it into a step of its own first"
                    .to_owned())
            }
            (_, Left::Nothing) => {
                self.edits.push((left.end_byte()..right.end_byte(), String::new()));
                Ok(Left::Some)
            }
            (Left::All, Left::All) => Ok(Left::All),
            _ => Ok(Left::Some),
        }
    }

    /// `export TWINE_PASSWORD=…`.
    fn assignment(&mut self, node: Node<'_>) -> Left {
        let name_of = |node: Node<'_>| {
            let name = node.child_by_field_name("name")?;
            self.text.get(name.byte_range()).map(str::to_owned)
        };
        let names: Vec<Option<String>> = if node.kind() == "variable_assignment" {
            vec![name_of(node)]
        } else {
            node.named_children().map(name_of).collect()
        };
        let all = !names.is_empty() && names.iter().all(|name| name.as_deref().is_some_and(is_credential));
        if all { Left::Nothing } else { self.stays() }
    }

    /// `cat > ~/.pypirc <<EOF …`, `echo "TWINE_PASSWORD=…" >> $GITHUB_ENV`: files that only the upload reads.
    fn redirected(&mut self, node: Node<'_>) -> Result<Left, String> {
        let into = node
            .children_by_field_name("redirect")
            .filter_map(|redirect| redirect.child_by_field_name("destination"))
            .map(|destination| self.word(destination))
            .find(|path| is_pypirc(path) || path.ends_with("GITHUB_ENV") || path.ends_with("GITHUB_ENV}"));
        let Some(body) = node.child_by_field_name("body") else {
            return Ok(if into.is_some_and(|path| is_pypirc(&path)) { Left::Nothing } else { self.stays() });
        };
        let text = self.real.get(node.byte_range()).unwrap_or("");
        match into {
            Some(path) if is_pypirc(&path) => return Ok(Left::Nothing),
            Some(_) => {
                let names = crate::rewrite::carry::set_for_later(text);
                if !names.is_empty() && names.iter().all(|name| is_credential(name)) {
                    return Ok(Left::Nothing);
                }
            }
            None => {}
        }
        self.statement(body)
    }

    fn command(&mut self, node: Node<'_>) -> Result<Left, String> {
        let words = self.words(node);
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        let start = launcher(&texts);
        let tail = texts.get(start..).unwrap_or_default();
        match role(tail) {
            Some(Role::Credential) => return Ok(Left::Nothing),
            Some(_) if !self.uploads => {}
            Some(Role::Uploads(sending)) => {
                self.sendings.push(sending);
                return Ok(Left::Nothing);
            }
            Some(Role::Builds(sending, left)) => {
                self.sendings.push(sending);
                // `python setup.py` and `./setup.py` keep their first words.
                let kept = tail.iter().position(|word| word.ends_with("setup.py")).map_or(1, |at| at + 1);
                let verb = words.get(start + kept).map_or(node.end_byte(), |word| word.range.start);
                self.edits.push((verb..node.end_byte(), left.join(" ")));
                self.works = true;
                return Ok(Left::Some);
            }
            None => {}
        }
        let about_pypirc = matches!(texts.first(), Some(&("chmod" | "rm" | "cat" | "touch")))
            && texts.iter().any(|word| is_pypirc(word));
        match texts.as_slice() {
            _ if about_pypirc => Ok(Left::Nothing),
            _ if self.uploads && self.uploads_within(node) => {
                Err("the upload stands inside another command: move it into a step of its own first"
                    .to_owned())
            }
            ["cd", to] if self.sendings.is_empty() => {
                let from = self.directory.take();
                self.directory = Some(from.map_or((*to).to_owned(), |from| format!("{from}/{to}")));
                Ok(Left::All)
            }
            _ if prepares(tail) => Ok(Left::All),
            _ => Ok(self.stays()),
        }
    }

    /// The words of a command as the shell would see them, quotes taken off.
    fn words(&self, node: Node<'_>) -> Vec<Word> {
        node.named_children()
            .filter(|child| child.kind() != "variable_assignment" && !child.kind().ends_with("redirect"))
            .map(|child| Word { text: self.word(child), range: child.byte_range() })
            .collect()
    }

    fn word(&self, node: Node<'_>) -> String {
        self.real.get(node.byte_range()).unwrap_or("").trim_matches(['"', '\'']).to_owned()
    }

    /// Whether a command in here uploads.
    fn uploads_within(&self, node: Node<'_>) -> bool {
        self.uploads && !self.sendings_of(node).is_empty()
    }

    fn note_all(&mut self, node: Node<'_>) {
        let found = self.sendings_of(node);
        self.sendings.extend(found);
    }

    fn sendings_of(&self, node: Node<'_>) -> Vec<Sending> {
        let mut open = vec![node];
        let mut found = Vec::new();
        let mut seen = 0;
        while let Some(node) = open.pop() {
            seen += 1;
            if seen > NODES_MAX {
                break;
            }
            if node.kind() == "command" {
                let words = self.words(node);
                let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
                let tail = texts.get(launcher(&texts)..).unwrap_or_default();
                if let Some(Role::Uploads(sending) | Role::Builds(sending, _)) = role(tail) {
                    found.push(sending);
                }
            }
            open.extend(node.named_children());
        }
        found
    }
}

fn is_pypirc(path: &str) -> bool {
    path.rsplit('/').next() == Some(".pypirc")
}

struct Word {
    text: String,
    range: Range<usize>,
}
