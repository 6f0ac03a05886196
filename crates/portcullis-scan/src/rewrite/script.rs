//! The upload taken out of a step's script, by the shell's grammar: what else the script does stays byte for byte.

mod reader;
mod tool;

use std::ops::Range;

use super::layout::Layout;
use crate::edit::Edit;
use crate::flow::shell::parse_tree;
use crate::yaml::Scalar;

use reader::{Left, Reader};
pub(super) use tool::{Sending, of_maturin_publish, of_maturin_upload};

/// A script without its upload.
pub(super) struct Script {
    /// Edits of the file; `None` if nothing that matters is left, and the whole step can go.
    pub(super) edits: Option<Vec<Edit>>,
    /// What it uploaded, in order.
    pub(super) sendings: Vec<Sending>,
    /// Where `cd` went to before it.
    pub(super) directory: Option<String>,
    /// Whether it does something after the upload, which then comes before it.
    pub(super) goes_on: bool,
}

/// Takes the uploads to PyPI out of a script.
///
/// # Errors
/// A sentence that says why it can't be done with certainty.
pub(super) fn without_upload(layout: &Layout<'_>, scalar: &Scalar) -> Result<Script, String> {
    let text = without_expressions(&scalar.text);
    let tree = parse_tree(&text, &tree_sitter_bash::LANGUAGE.into())
        .filter(|tree| !tree.root_node().has_error())
        .ok_or("the script can't be read as shell: move the upload into a step of its own first")?;
    let mut reader = Reader::new(&text, &scalar.text, true);
    let left = reader.statements(tree.root_node())?;
    if reader.sendings.is_empty() {
        return Err("the upload is not a command of the script itself: move it into a step of its own first"
            .to_owned());
    }
    let (sendings, directory, goes_on) = (reader.sendings, reader.directory, reader.goes_on);
    let asked = sendings.iter().filter(|sending| sending.output.is_some()).count();
    if asked > 0 && asked < sendings.len() {
        return Err("one upload hangs on a condition of the script and another does not: make each a step of its own first"
            .to_owned());
    }
    if matches!(left, Left::Nothing) || !reader.works {
        return Ok(Script { edits: None, sendings, directory, goes_on: false });
    }
    let edits = reader.edits.into_iter().map(|(range, text)| in_file(layout, scalar, range, text)).collect();
    Ok(Script { edits: Some(edits), sendings, directory, goes_on })
}

/// What a step that uploads nothing itself does for the upload: `cat > ~/.pypirc`, `poetry config pypi-token.pypi`.
pub(super) enum Preparation {
    /// Nothing of it.
    None,
    /// The whole step.
    Whole,
    /// Parts of its script.
    Parts(Vec<Edit>),
}

/// Finds what only stores the credential of the upload.
pub(super) fn preparation(layout: &Layout<'_>, scalar: &Scalar) -> Preparation {
    let hints = [".pypirc", "pypi-token", "http-basic", "GITHUB_ENV", "publish."];
    if !hints.iter().any(|hint| scalar.text.contains(hint)) {
        return Preparation::None;
    }
    let text = without_expressions(&scalar.text);
    let tree =
        parse_tree(&text, &tree_sitter_bash::LANGUAGE.into()).filter(|tree| !tree.root_node().has_error());
    let Some(tree) = tree else { return Preparation::None };
    let mut reader = Reader::new(&text, &scalar.text, false);
    match reader.statements(tree.root_node()) {
        Ok(Left::Nothing) => Preparation::Whole,
        Ok(Left::Some) if !reader.works => Preparation::Whole,
        Ok(Left::Some) => Preparation::Parts(
            reader.edits.into_iter().map(|(range, text)| in_file(layout, scalar, range, text)).collect(),
        ),
        _ => Preparation::None,
    }
}

/// Whether a script uploads by a command of its own, wherever to.
pub(super) fn is_upload(script: &str) -> bool {
    let joined = script.split_whitespace().collect::<Vec<_>>().join(" ");
    [
        "twine upload",
        "uv publish",
        "poetry publish",
        "flit publish",
        "hatch publish",
        "pdm publish",
        "rye publish",
        "maturin publish",
        "maturin upload",
    ]
    .iter()
    .any(|command| joined.contains(command))
}

/// GitHub puts values in place of `${{ … }}` before the shell reads the script; a word of the same length stands for them.
pub(super) fn without_expressions(text: &str) -> String {
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
    // A comment after a command speaks of it.
    let comment = layout.text.get(bytes.end..end).is_some_and(|rest| {
        rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#') && scalar.text.contains('\n')
    });
    if text.is_empty() && is_blank(start..bytes.start) && (is_blank(bytes.end..end) || comment) {
        return Edit::remove(start..end);
    }
    Edit::replace(bytes, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::apply;

    /// The script that is left, `None` where nothing is.
    fn left(script: &str) -> Result<(Option<String>, String), String> {
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
        Ok((text, done.sendings.iter().map(|one| one.patterns.join(" ")).collect::<Vec<_>>().join("; ")))
    }

    #[test]
    fn uploads_go_and_the_rest_stays() {
        for (script, kept, folder) in [
            ("twine upload dist/*", None, "dist/*"),
            (
                "set -e\npip install twine\npython -m twine upload out/*.whl out/*.tar.gz",
                None,
                "out/*.whl out/*.tar.gz",
            ),
            (
                "python -m build\n# now\ntwine upload \\\n  -u __token__ \\\n  dist/*\n",
                Some("python -m build\n# now\n"),
                "dist/*",
            ),
            ("python -m build && twine upload dist/*", Some("python -m build\n"), "dist/*"),
            (
                "pip install build twine; python -m build; twine upload -p \"${{ secrets.T }}\" dist/*",
                Some("pip install build twine; python -m build\n"),
                "dist/*",
            ),
            ("twine upload dist/* || true\nmake docs", Some("make docs\n"), "dist/*"),
            ("export TWINE_PASSWORD=$T\nmake\ntwine upload dist/* > log", Some("make\n"), "dist/*"),
            ("for f in dist/*; do twine upload \"$f\"; done\nmake", Some("make\n"), "dist/*"),
            (
                "cat > ~/.pypirc <<EOF\n[pypi]\nusername = __token__\npassword = x\nEOF\nmake\ntwine upload d/*",
                Some("make\n"),
                "d/*",
            ),
            (
                "python setup.py sdist bdist_wheel upload -r pypi",
                Some("python setup.py sdist bdist_wheel\n"),
                "",
            ),
            ("twine upload -r testpypi a/*\ntwine upload a/*", None, "a/*; a/*"),
            (
                "make\ntwine upload --repository-url https://own.example/ d/*\ntwine upload d/*",
                Some("make\ntwine upload --repository-url https://own.example/ d/*\n"),
                "d/*",
            ),
            (
                "python -m flit publish --setup-py --repository pypi",
                Some("python -m flit build --setup-py\n"),
                "",
            ),
            (
                "poetry config pypi-token.pypi ${{ secrets.T }}\npoetry publish --build -u a -p b",
                Some("poetry build\n"),
                "",
            ),
            ("yes | poetry publish\nmake", Some("make\n"), ""),
            ("uv build\nuv publish --token ${{ secrets.T }}", Some("uv build\n"), ""),
            (
                "maturin publish --username a --password=b --strip",
                Some("maturin build --release --out dist --strip\n"),
                "",
            ),
        ] {
            let (text, from) = left(script).unwrap();
            assert_eq!((text.as_deref(), from.as_str()), (kept, folder), "{script}");
        }
    }

    #[test]
    fn a_condition_of_the_script_is_told_by_an_output() {
        let tells = "echo 'upload=true' >> \"$GITHUB_OUTPUT\"";
        for (script, kept) in [
            (
                "if [ -n \"$TAG\" ]; then\n  twine upload dist/*\nfi\n",
                format!("if [ -n \"$TAG\" ]; then\n  {tells}\nfi\n"),
            ),
            (
                "case $X in\n  a) make && poetry publish --build -u x ;;\n  *) true ;;\nesac\n",
                format!("case $X in\n  a) make && poetry build && {tells} ;;\n  *) true ;;\nesac\n"),
            ),
            (
                "if a; then poetry config pypi-token.pypi x; twine upload -r testpypi d/*; else twine upload d/*; fi\n",
                format!(
                    "if a; then :; echo 'upload-testpypi=true' >> \"$GITHUB_OUTPUT\"; else {tells}; fi\n"
                ),
            ),
        ] {
            assert_eq!(left(script).unwrap().0, Some(kept), "{script}");
        }
    }

    #[test]
    fn what_is_uncertain_is_refused() {
        for script in [
            "if a; then for f in x y; do make; twine upload dist/*; done; fi",
            "twine upload a/*\nif a; then twine upload b/*; fi",
            "make || twine upload dist/*",
            "echo \"$(twine upload dist/*)\"",
            "bash -c 'twine upload dist/*'",
            "if (\nthen",
        ] {
            assert!(left(script).is_err(), "{script}");
        }
    }
}
