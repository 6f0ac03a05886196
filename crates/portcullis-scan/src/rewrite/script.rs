//! The upload taken out of a step's script, by the shell's grammar: what else the script does stays byte for byte.

use std::ops::Range;

use tree_sitter::Node;

use super::layout::Layout;
use super::variables::is_credential;
use crate::edit::Edit;
use crate::flow::shell::parse_tree;
use crate::yaml::Scalar;

/// Most nodes of one script that are looked at.
const NODES_MAX: usize = 20_000;

/// A script without its upload.
pub(super) struct Script {
    /// Edits of the file; `None` if nothing that matters is left, and the whole step can go.
    pub(super) edits: Option<Vec<Edit>>,
    /// The folder that the upload named, as the script has it.
    pub(super) folder: Option<String>,
    /// Where `cd` went to before it.
    pub(super) directory: Option<String>,
}

/// Takes the upload out of a script.
///
/// # Errors
/// A sentence that says why it can't be done with certainty.
pub(super) fn without_upload(layout: &Layout<'_>, scalar: &Scalar) -> Result<Script, String> {
    let text = without_expressions(&scalar.text);
    let tree = parse_tree(&text, &tree_sitter_bash::LANGUAGE.into())
        .filter(|tree| !tree.root_node().has_error())
        .ok_or("the script can't be read as shell: move the upload into a step of its own first")?;
    let mut reader = Reader {
        text: &text,
        real: &scalar.text,
        edits: Vec::new(),
        folders: Vec::new(),
        directory: None,
        nodes: 0,
        works: false,
    };
    let left = reader.statements(tree.root_node())?;
    if reader.edits.is_empty() && !matches!(left, Left::Nothing) {
        return Err("the upload is not a command of the script itself: move it into a step of its own first"
            .to_owned());
    }
    reader.folders.dedup();
    if reader.folders.len() > 1 {
        return Err("the script uploads from several folders: make each a step of its own first".to_owned());
    }
    let folder = reader.folders.pop();
    let directory = reader.directory.take();
    if matches!(left, Left::Nothing) || !reader.works {
        return Ok(Script { edits: None, folder, directory });
    }
    let edits = reader.edits.into_iter().map(|(range, text)| in_file(layout, scalar, range, text)).collect();
    Ok(Script { edits: Some(edits), folder, directory })
}

/// GitHub puts values in place of `${{ … }}` before the shell reads the script; a word of the same length stands for them.
fn without_expressions(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${{") {
        let (before, from) = rest.split_at(start);
        masked.push_str(before);
        let end = from.find("}}").map_or(from.len(), |end| end + 2);
        let (expression, after) = from.split_at(end);
        masked.extend(std::iter::repeat_n('x', expression.len()));
        rest = after;
    }
    masked.push_str(rest);
    masked
}

/// A range of the script as an edit of the file: whole lines where nothing else stands on them.
fn in_file(layout: &Layout<'_>, scalar: &Scalar, range: Range<usize>, text: String) -> Edit {
    let bytes = scalar.bytes_of(range).range();
    let is_blank = |range: Range<usize>| layout.text.get(range).is_some_and(|text| text.trim().is_empty());
    let (start, end) = (layout.line_start(bytes.start), layout.line_end(bytes.end));
    if text.is_empty() && is_blank(start..bytes.start) && is_blank(bytes.end..end) {
        return Edit::remove(start..end);
    }
    Edit::replace(bytes, text)
}

/// What is left of a statement.
enum Left {
    /// It has nothing to do with the upload.
    All,
    /// Some of it; the edits are noted.
    Some,
    /// Nothing: the caller takes it out, with what joins it to its neighbours.
    Nothing,
}

struct Reader<'s> {
    /// Without expressions, for the grammar.
    text: &'s str,
    /// As it is.
    real: &'s str,
    edits: Vec<(Range<usize>, String)>,
    folders: Vec<String>,
    directory: Option<String>,
    nodes: usize,
    /// Whether something is left that does more than prepare the upload.
    works: bool,
}

impl Reader<'_> {
    /// A list of statements, one after the other.
    fn statements(&mut self, node: Node<'_>) -> Result<Left, String> {
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> =
            node.named_children(&mut cursor).filter(|child| child.kind() != "comment").collect();
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
            "redirected_statement" => match node.child_by_field_name("body") {
                Some(body) => self.statement(body),
                None => Ok(self.stays()),
            },
            "pipeline" => {
                if self.uploads_within(node) { Ok(Left::Nothing) } else { Ok(self.stays()) }
            }
            "variable_assignment" | "declaration_command" => Ok(self.assignment(node)),
            "compound_statement" | "subshell" => self.statements(node),
            "for_statement" => {
                let before = (self.edits.len(), self.works);
                let left = match node.child_by_field_name("body") {
                    Some(body) if self.uploads_within(node) => self.statements(body)?,
                    _ => return Ok(self.stays()),
                };
                if matches!(left, Left::Nothing) {
                    return Ok(Left::Nothing);
                }
                self.edits.truncate(before.0);
                self.works = before.1;
                Err("the upload stands in a loop with other commands: move it out first".to_owned())
            }
            _ if self.uploads_within(node) => Err(
                "the upload hangs on a condition of the script, which can't become one of a job with certainty: write it as `if:` of a step first"
                    .to_owned(),
            ),
            _ => Ok(self.stays()),
        }
    }

    fn stays(&mut self) -> Left {
        self.works = true;
        Left::All
    }

    /// `a && b`, `a || b`.
    fn list(&mut self, node: Node<'_>) -> Result<Left, String> {
        let (Some(left), Some(right)) = (node.named_child(0), node.named_child(1)) else {
            return Ok(self.stays());
        };
        let between = self.text.get(left.end_byte()..right.start_byte()).unwrap_or("");
        let (is_or, before) = (between.contains("||"), self.works);
        let first = self.statement(left)?;
        if is_or && matches!(first, Left::Nothing) {
            // `twine upload … || true`: what answers its failure goes with it.
            self.works = before;
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
        let mut cursor = node.walk();
        let names: Vec<Option<String>> = if node.kind() == "variable_assignment" {
            vec![name_of(node)]
        } else {
            node.named_children(&mut cursor).map(name_of).collect()
        };
        let all = !names.is_empty() && names.iter().all(|name| name.as_deref().is_some_and(is_credential));
        if all { Left::Nothing } else { self.stays() }
    }

    fn command(&mut self, node: Node<'_>) -> Result<Left, String> {
        let words = self.words(node);
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        let start = launcher(&texts);
        let tail = texts.get(start..).unwrap_or_default();
        let arguments = tail.get(2..).unwrap_or_default();
        match what(tail) {
            Some(Upload::Gone { takes_value }) => {
                self.folder_of(arguments, takes_value)?;
                Ok(Left::Nothing)
            }
            Some(Upload::Credential) => Ok(Left::Nothing),
            Some(Upload::Instead { command, takes_value, drops }) => {
                let verb = words.get(start + 1).map_or(node.start_byte(), |word| word.range.start);
                let kept = without_options(arguments, takes_value, drops);
                let text = std::iter::once(command).chain(kept).collect::<Vec<_>>().join(" ");
                self.edits.push((verb..node.end_byte(), text));
                self.works = true;
                Ok(Left::Some)
            }
            None if self.uploads_within(node) => {
                Err("the upload stands inside another command: move it into a step of its own first"
                    .to_owned())
            }
            None if matches!(texts.as_slice(), ["cd", _]) && self.edits.is_empty() => {
                let to = texts.get(1).copied().unwrap_or_default();
                self.directory =
                    Some(self.directory.take().map_or(to.to_owned(), |from| format!("{from}/{to}")));
                Ok(Left::All)
            }
            None if prepares(&texts) => Ok(Left::All),
            None => Ok(self.stays()),
        }
    }

    /// The words of a command as the shell would see them, quotes taken off.
    fn words(&self, node: Node<'_>) -> Vec<Word> {
        let mut cursor = node.walk();
        node.named_children(&mut cursor)
            .filter(|child| child.kind() != "variable_assignment" && !child.kind().ends_with("redirect"))
            .map(|child| {
                let range = child.byte_range();
                let text = self.real.get(range.clone()).unwrap_or("").trim_matches(['"', '\'']).to_owned();
                Word { text, range }
            })
            .collect()
    }

    /// Whether a command in here uploads.
    fn uploads_within(&self, node: Node<'_>) -> bool {
        let mut open = vec![node];
        let mut seen = 0;
        while let Some(node) = open.pop() {
            seen += 1;
            if seen > NODES_MAX {
                return true;
            }
            if node.kind() == "command" {
                let words = self.words(node);
                let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
                let tail = texts.get(launcher(&texts)..).unwrap_or_default();
                if what(tail).is_some_and(|upload| !matches!(upload, Upload::Credential)) {
                    return true;
                }
            }
            let mut cursor = node.walk();
            open.extend(node.named_children(&mut cursor));
        }
        false
    }

    /// The folder that file arguments name.
    fn folder_of(&mut self, arguments: &[&str], takes_value: &[&str]) -> Result<(), String> {
        let mut skip = false;
        for word in arguments {
            if std::mem::take(&mut skip) {
                continue;
            }
            if word.starts_with('-') {
                skip = takes_value.contains(word);
                continue;
            }
            if word.contains('$') {
                return Err(
                    "which files are uploaded is known to the run only: write the publishing job by hand"
                        .to_owned(),
                );
            }
            let folder = word.rsplit_once('/').map_or(".", |(folder, _)| folder);
            if !self.folders.iter().any(|known| known == folder) {
                self.folders.push(folder.to_owned());
            }
        }
        Ok(())
    }
}

struct Word {
    text: String,
    range: Range<usize>,
}

/// The folder that the arguments of `maturin upload` name.
pub(super) fn folder_of_upload(words: &[&str]) -> Result<Option<String>, String> {
    let mut reader = Reader {
        text: "",
        real: "",
        edits: Vec::new(),
        folders: Vec::new(),
        directory: None,
        nodes: 0,
        works: false,
    };
    reader.folder_of(words, OTHERS)?;
    if reader.folders.len() > 1 {
        return Err("the step uploads from several folders: make each a step of its own first".to_owned());
    }
    Ok(reader.folders.pop())
}

/// Arguments of `maturin publish` as `maturin build` takes them, and the folder they name.
pub(super) fn build_instead_of_publish<'w>(words: &[&'w str]) -> (Vec<&'w str>, Option<&'w str>) {
    let kept = without_options(words, MATURIN, MATURIN_DROPS);
    let folder = kept.iter().enumerate().find_map(|(at, word)| match *word {
        "--out" | "-o" => kept.get(at + 1).copied(),
        word => word.strip_prefix("--out="),
    });
    (kept, folder)
}

/// What a command has to do with the upload.
enum Upload {
    /// It does nothing else.
    Gone { takes_value: &'static [&'static str] },
    /// It stores the upload's credential.
    Credential,
    /// It also builds; `command` is what is left, without the options that are about the upload.
    Instead { command: &'static str, takes_value: &'static [&'static str], drops: &'static [&'static str] },
}

const TWINE: &[&str] = &[
    "-r",
    "--repository",
    "--repository-url",
    "-i",
    "--identity",
    "--sign-with",
    "-u",
    "--username",
    "-p",
    "--password",
    "-c",
    "--comment",
    "--config-file",
    "--cert",
    "--client-cert",
];
const UV: &[&str] = &[
    "-t",
    "--token",
    "-u",
    "--username",
    "-p",
    "--password",
    "--index",
    "--publish-url",
    "--check-url",
    "--trusted-publishing",
    "--keyring-provider",
    "--directory",
    "--project",
    "--config-file",
    "--color",
];
const OTHERS: &[&str] = &[
    "-u",
    "--user",
    "--username",
    "-a",
    "--auth",
    "-p",
    "--password",
    "-r",
    "--repo",
    "--repository",
    "--repository-url",
    "--cert",
    "--client-cert",
    "--pypirc",
    "-c",
    "--comment",
    "-i",
    "--identity",
    "--ca-cert",
    "--ca-certs",
    "--client-key",
    "-d",
    "--dest",
    "--dist-dir",
];
/// Options of `maturin publish` without a value that `maturin build` has not, or gets anyway.
const MATURIN_DROPS: &[&str] = &["--skip-existing", "--no-sdist", "--release", "--non-interactive"];
/// Options of `maturin publish` with a value that `maturin build` has not.
const MATURIN: &[&str] = &["-u", "--username", "-p", "--password", "-r", "--repository", "--repository-url"];

fn what(tail: &[&str]) -> Option<Upload> {
    Some(match tail {
        ["twine", "upload", ..] => Upload::Gone { takes_value: TWINE },
        ["uv", "publish", ..] => Upload::Gone { takes_value: UV },
        ["hatch" | "rye", "publish", ..] | ["maturin", "upload", ..] => Upload::Gone { takes_value: OTHERS },
        ["poetry", "config", rest @ ..]
            if rest.iter().any(|key| key.starts_with("pypi-token.") || key.starts_with("http-basic.")) =>
        {
            Upload::Credential
        }
        ["poetry", "publish", rest @ ..] if rest.contains(&"--build") => Upload::Instead {
            command: "build",
            takes_value: OTHERS,
            drops: &["--build", "--skip-existing", "--dry-run"],
        },
        ["poetry", "publish", ..] => Upload::Gone { takes_value: OTHERS },
        ["pdm", "publish", rest @ ..] if rest.contains(&"--no-build") => Upload::Gone { takes_value: OTHERS },
        ["pdm", "publish", ..] => Upload::Instead {
            command: "build",
            takes_value: OTHERS,
            drops: &["--skip-existing", "--sign", "-S"],
        },
        ["flit", "publish", ..] => Upload::Instead { command: "build", takes_value: OTHERS, drops: &[] },
        ["maturin", "publish", ..] => Upload::Instead {
            command: "build --release --out dist",
            takes_value: MATURIN,
            drops: MATURIN_DROPS,
        },
        _ => return None,
    })
}

/// How many words stand before the tool itself: `python -m`, `uv run`, `sudo`.
fn launcher(words: &[&str]) -> usize {
    let mut at = 0;
    loop {
        let rest = words.get(at..).unwrap_or_default();
        let (first, second) = (rest.first().copied().unwrap_or(""), rest.get(1).copied().unwrap_or(""));
        let python = first == "py" || first.rsplit('/').next().is_some_and(|name| name.starts_with("python"));
        at += match (first, second) {
            (_, "-m") if python => 2,
            ("uv" | "poetry" | "pipx" | "hatch" | "pdm" | "rye" | "pipenv", "run") => 2,
            ("uv", "tool") if rest.get(2) == Some(&"run") => 3,
            ("uvx" | "sudo" | "time" | "exec" | "command" | "env", _) => 1,
            _ => return at,
        };
        // Options of the launcher: `uv run --no-project twine`, `python -m` has none.
        while words.get(at).is_some_and(|word| word.starts_with("--") && !word.contains(' ')) {
            at += 1;
        }
        if at >= words.len() {
            return words.len();
        }
    }
}

fn without_options<'w>(words: &[&'w str], takes_value: &[&str], drops: &[&str]) -> Vec<&'w str> {
    let (mut kept, mut skip) = (Vec::new(), false);
    for word in words {
        if std::mem::take(&mut skip) {
            continue;
        }
        let name = word.split('=').next().unwrap_or(word);
        if takes_value.contains(&name) {
            skip = !word.contains('=');
        } else if !drops.contains(&name) {
            kept.push(*word);
        }
    }
    kept
}

/// Commands that make an upload ready and build nothing.
fn prepares(words: &[&str]) -> bool {
    match words {
        ["set" | "cd" | "shopt" | "echo" | "true" | ":", ..] => true,
        _ => {
            let installs = words.iter().position(|word| *word == "install");
            let installer = words.iter().any(|word| matches!(*word, "pip" | "pip3" | "pipx" | "uv"));
            let only = |at: usize| {
                words.get(at + 1..).unwrap_or_default().iter().filter(|word| !word.starts_with('-')).all(
                    |word| {
                        let name = word.split(['=', '<', '>', '~', '!', '[']).next().unwrap_or(word);
                        matches!(name, "twine" | "pip" | "keyring")
                    },
                )
            };
            installer && installs.is_some_and(only)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::apply;

    /// The script that is left, `None` where nothing is.
    fn left(script: &str) -> Result<(Option<String>, Option<String>), String> {
        let indented: String = script.lines().map(|line| format!("  {line}\n")).collect();
        let file = format!("run: |\n{indented}x: y\n");
        let root = crate::yaml::parse(&file).unwrap();
        let layout = Layout::new(&file);
        let node = std::sync::Arc::clone(root.get("run").unwrap());
        let done = without_upload(&layout, node.scalar().unwrap())?;
        let text = done.edits.map(|edits| {
            let changed = apply(&file, &edits).unwrap();
            let root = crate::yaml::parse(&changed).unwrap();
            root.get("run").unwrap().text().unwrap().to_owned()
        });
        Ok((text, done.folder))
    }

    #[test]
    fn uploads_go_and_the_rest_stays() {
        for (script, kept, folder) in [
            ("twine upload dist/*", None, Some("dist")),
            ("set -e\npip install twine\npython -m twine upload out/*.whl out/*.tar.gz", None, Some("out")),
            (
                "python -m build\n# now\ntwine upload \\\n  -u __token__ \\\n  dist/*\n",
                Some("python -m build\n# now\n"),
                Some("dist"),
            ),
            ("python -m build && twine upload dist/*", Some("python -m build\n"), Some("dist")),
            (
                "pip install build twine; python -m build; twine upload -p \"${{ secrets.T }}\" dist/*",
                Some("pip install build twine; python -m build\n"),
                Some("dist"),
            ),
            ("twine upload dist/* || true\nmake docs", Some("make docs\n"), Some("dist")),
            ("export TWINE_PASSWORD=$T\nmake\ntwine upload dist/* > log", Some("make\n"), Some("dist")),
            ("for f in dist/*; do twine upload dist/x; done\nmake", Some("make\n"), Some("dist")),
            (
                "python -m flit publish --setup-py --repository pypi",
                Some("python -m flit build --setup-py\n"),
                None,
            ),
            (
                "poetry config pypi-token.pypi ${{ secrets.T }}\npoetry publish --build -u a -p b",
                Some("poetry build\n"),
                None,
            ),
            ("yes | poetry publish\nmake", Some("make\n"), None),
            ("uv build\nuv publish --token ${{ secrets.T }}", Some("uv build\n"), None),
            (
                "maturin publish --username a --password=b --strip",
                Some("maturin build --release --out dist --strip\n"),
                None,
            ),
        ] {
            let (text, from) = left(script).unwrap();
            assert_eq!((text.as_deref(), from.as_deref()), (kept, folder), "{script}");
        }
    }

    #[test]
    fn what_is_uncertain_is_refused() {
        for script in [
            "if [ \"$X\" = y ]; then\n  twine upload dist/*\nfi",
            "make || twine upload dist/*",
            "echo \"$(twine upload dist/*)\"",
            "twine upload $FILES",
            "twine upload a/* b/*",
            "bash -c 'twine upload dist/*'",
            "if (\nthen",
        ] {
            assert!(left(script).is_err(), "{script}");
        }
    }
}
