//! What a repository says it is called as a package: read out of its metadata, always a claim.

use crate::flow::LocalFiles;

/// Longest package name taken over.
const NAME_MAX: usize = 200;

/// The name of the package that a publish step in `directory` would publish to `registry`.
pub fn package(registry: &str, directory: Option<&str>, local: &dyn LocalFiles) -> Option<String> {
    let folders = directory
        .map(|path| path.trim_start_matches("./").trim_matches('/').to_owned())
        .filter(|path| !path.is_empty() && path != "." && !path.contains("${"))
        .into_iter()
        .chain([String::new()]);
    let read = |folder: &str, name: &str| {
        let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        local.read(&path).text()
    };
    let name = folders.into_iter().find_map(|folder| match registry {
        "pypi" | "testpypi" => read(&folder, "pyproject.toml")
            .and_then(|text| from_pyproject(&text))
            .or_else(|| read(&folder, "setup.cfg").and_then(|text| from_setup_cfg(&text)))
            .or_else(|| read(&folder, "setup.py").and_then(|text| from_setup_py(&text))),
        "npm" => read(&folder, "package.json").and_then(|text| {
            let value: serde_json::Value = serde_json::from_str(&text).ok()?;
            Some(value.get("name")?.as_str()?.to_owned())
        }),
        "crates.io" => read(&folder, "Cargo.toml").and_then(|text| {
            let table: toml::Table = toml::from_str(&text).ok()?;
            Some(table.get("package")?.get("name")?.as_str()?.to_owned())
        }),
        _ => None,
    })?;
    let name = name.trim().to_owned();
    (!name.is_empty() && name.len() <= NAME_MAX).then_some(name)
}

/// `[project] name` (PEP 621), else Poetry's and Flit's own tables.
fn from_pyproject(text: &str) -> Option<String> {
    let table: toml::Table = toml::from_str(text).ok()?;
    let in_tool = |tool: &str, path: &[&str]| {
        let mut value = table.get("tool")?.get(tool)?;
        for key in path {
            value = value.get(key)?;
        }
        value.as_str().map(str::to_owned)
    };
    let project = table.get("project").and_then(|project| project.get("name")?.as_str().map(str::to_owned));
    project
        .or_else(|| in_tool("poetry", &["name"]))
        .or_else(|| in_tool("flit", &["metadata", "dist-name"]))
        .or_else(|| in_tool("flit", &["metadata", "module"]))
}

/// `[metadata] name = …`.
fn from_setup_cfg(text: &str) -> Option<String> {
    let mut section = "";
    for line in text.lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        } else if section == "metadata"
            && let Some((key, value)) = line.split_once(['=', ':'])
            && key.trim() == "name"
        {
            return Some(value.trim().to_owned());
        }
    }
    None
}

/// `setup(name="…")` by Python's grammar; a computed name can't be known without running it.
fn from_setup_py(text: &str) -> Option<String> {
    if text.len() > 256 * 1024 {
        return None;
    }
    let tree = crate::flow::shell::parse_tree(text, &tree_sitter_python::LANGUAGE.into())?;
    let mut open = vec![tree.root_node()];
    let mut visited = 0;
    while let Some(node) = open.pop() {
        visited += 1;
        if visited > 50_000 {
            return None;
        }
        if node.kind() == "call" {
            let function =
                node.child_by_field_name("function").and_then(|f| text.get(f.byte_range())).unwrap_or("");
            if (function == "setup" || function.ends_with(".setup"))
                && let Some(arguments) = node.child_by_field_name("arguments")
            {
                for argument in arguments.named_children() {
                    let key = argument.child_by_field_name("name").and_then(|n| text.get(n.byte_range()));
                    let value = argument.child_by_field_name("value");
                    if let (Some("name"), Some(value)) = (key, value) {
                        return literal(value, text, tree.root_node());
                    }
                }
            }
        }
        open.extend(node.named_children());
    }
    None
}

fn literal(value: crate::syntax::Node<'_>, text: &str, root: crate::syntax::Node<'_>) -> Option<String> {
    match value.kind() {
        "string" => {
            let content = value.named_children().find(|child| child.kind() == "string_content")?;
            text.get(content.byte_range()).map(str::to_owned)
        }
        // `NAME = "x"` at the top of the file.
        "identifier" => {
            let name = text.get(value.byte_range())?;
            root.named_children()
                .filter_map(|statement| statement.named_child(0).filter(|child| child.kind() == "assignment"))
                .find(|assignment| {
                    assignment.child_by_field_name("left").and_then(|left| text.get(left.byte_range()))
                        == Some(name)
                })
                .and_then(|assignment| assignment.child_by_field_name("right"))
                .filter(|right| right.kind() == "string")
                .and_then(|right| literal(right, text, root))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::LocalFile;

    struct One(&'static str, &'static str);
    impl LocalFiles for One {
        fn read(&self, path: &str) -> LocalFile {
            if path == self.0 { LocalFile::Text(self.1.into()) } else { LocalFile::Absent }
        }
    }

    #[test]
    fn names_are_read_where_tools_read_them() {
        for (path, text) in [
            ("pyproject.toml", "[project]\nname = \"widgets\"\n"),
            ("pyproject.toml", "[tool.poetry]\nname = \"widgets\"\n"),
            ("setup.cfg", "[options]\nname = no\n[metadata]\nname = widgets\n"),
            ("setup.py", "from setuptools import setup\nsetup(\n  name='widgets',\n)\n"),
            ("setup.py", "import setuptools\nN = 'widgets'\nsetuptools.setup(name=N)\n"),
        ] {
            assert_eq!(package("pypi", None, &One(path, text)).as_deref(), Some("widgets"), "{text}");
        }
        assert_eq!(package("pypi", None, &One("setup.py", "setup(name=compute())")), None);
        assert_eq!(
            package("pypi", Some("./py/"), &One("py/pyproject.toml", "[project]\nname='widgets'")).as_deref(),
            Some("widgets")
        );
        assert_eq!(
            package("npm", None, &One("package.json", "{\"name\":\"@a/b\"}")).as_deref(),
            Some("@a/b")
        );
    }
}
