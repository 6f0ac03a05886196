//! What names mean: imports under other names, modules loaded by a call, clients in variables, classes and their methods.

use crate::syntax::Node;

use super::Program;

/// Classes whose objects send what they are given, as clients of HTTP.
const CLIENTS: &[&str] = &[
    "Session",
    "Client",
    "AsyncClient",
    "ClientSession",
    "PoolManager",
    "session",
    "axios.create",
    "got.extend",
];

/// Whether a dotted name is this one, or ends with it as whole names.
pub(super) fn is_or_ends_with(name: &str, end: &str) -> bool {
    name.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

impl Program<'_, '_, '_> {
    /// Notes imports, and the classes whose methods may be called above their definition.
    pub(super) fn declare_names(&mut self, node: Node<'_>, depth: usize) {
        // Most nodes are leaves, and walking costs something even where nothing is below.
        if depth > 40 || node.child_count() == 0 {
            return;
        }
        for child in node.named_children() {
            match child.kind() {
                "import_statement" | "import_from_statement" => self.import(child),
                "class_definition" | "class_declaration" => self.declare_class(child),
                "variable_declarator" => self.declare_required(child),
                _ => {}
            }
            self.declare_names(child, depth + 1);
        }
    }

    fn import(&mut self, node: Node<'_>) {
        let module = node.child_by_field_name("module_name").map(|module| self.text(module).to_owned());
        let source = node.child_by_field_name("source").map(|source| module_name(self.text(source)));
        let mut waiting = vec![node];
        while let Some(next) = waiting.pop() {
            for child in next.named_children().collect::<Vec<_>>() {
                let name = child.child_by_field_name("name").map(|name| self.text(name).to_owned());
                let alias = child.child_by_field_name("alias").map(|alias| self.text(alias).to_owned());
                match (child.kind(), name, alias, &module, &source) {
                    // `import os as o`, `from os import environ as e`.
                    ("aliased_import", Some(name), Some(alias), module, _) => {
                        let full = module.as_ref().map_or(name.clone(), |module| format!("{module}.{name}"));
                        self.names.insert(alias, full);
                    }
                    ("dotted_name", _, _, Some(module), _)
                        if node.child_by_field_name("module_name") != Some(child) =>
                    {
                        let name = self.text(child).to_owned();
                        self.names.insert(name.clone(), format!("{module}.{name}"));
                    }
                    ("import_specifier", Some(name), alias, _, Some(source)) => {
                        self.names.insert(alias.unwrap_or_else(|| name.clone()), format!("{source}.{name}"));
                    }
                    ("identifier", _, _, _, Some(source)) => {
                        self.names.insert(self.text(child).to_owned(), source.clone());
                    }
                    ("namespace_import", _, _, _, Some(source)) => {
                        let inner = child.named_child(0).map(|inner| self.text(inner).to_owned());
                        self.names.extend(inner.map(|name| (name, source.clone())));
                    }
                    ("import_clause" | "named_imports", ..) => waiting.push(child),
                    _ => {}
                }
            }
        }
    }

    /// `const r = require('https')`, `const { execSync: e } = require('child_process')`.
    fn declare_required(&mut self, node: Node<'_>) {
        let (Some(name), Some(value)) = (node.child_by_field_name("name"), node.child_by_field_name("value"))
        else {
            return;
        };
        if !matches!(value.kind(), "call_expression" | "await_expression" | "member_expression") {
            return;
        }
        let text = self.text(value);
        if !text.contains("require(") && !text.contains("import(") {
            return;
        }
        let Some(module) = self.loaded(value) else { return };
        if name.kind() == "identifier" {
            self.names.insert(self.text(name).to_owned(), module);
            return;
        }
        for child in name.named_children().collect::<Vec<_>>() {
            let key = child.child_by_field_name("key").unwrap_or(child);
            let own = child.child_by_field_name("value").unwrap_or(child);
            let full = format!("{module}.{}", self.text(key));
            self.names.insert(self.text(own).to_owned(), full);
        }
    }

    /// Methods by `.name`, and the constructor by the name of the class.
    fn declare_class(&mut self, node: Node<'_>) {
        let (Some(name), Some(body)) = (node.child_by_field_name("name"), node.child_by_field_name("body"))
        else {
            return;
        };
        let class = self.text(name).to_owned();
        for child in body.named_children().collect::<Vec<_>>() {
            let child = match child.kind() {
                "decorated_definition" => child.child_by_field_name("definition").unwrap_or(child),
                _ => child,
            };
            let (Some(name), Some(inner)) =
                (child.child_by_field_name("name"), child.child_by_field_name("body"))
            else {
                continue;
            };
            let mut parameters = child
                .child_by_field_name("parameters")
                .map(|list| self.parameter_names(list))
                .unwrap_or_default();
            if child.kind() == "method_definition" {
                parameters.insert(0, "this".to_owned());
            }
            let name = self.text(name).to_owned();
            let key = if matches!(name.as_str(), "__init__" | "constructor") {
                class.clone()
            } else {
                format!(".{name}")
            };
            self.functions.insert(key, (inner.byte_range(), parameters));
        }
    }

    /// A variable that holds a client from now on.
    pub(super) fn note_client(&mut self, target: Node<'_>, value: Node<'_>) {
        let is_member = matches!(
            value.kind(),
            "attribute" | "member_expression" | "subscript" | "subscript_expression" | "identifier"
        );
        if target.kind() == "identifier" && is_member {
            // `e = __import__('os').environ`, `go = globalThis['fetch']`: the same under another name.
            let path = self.path(value);
            if matches!(path.as_str(), "os.environ" | "process.env") || super::send::is_http(&path) {
                let name = self.text(target).to_owned();
                self.names.insert(name, path);
            }
            return;
        }
        if target.kind() != "identifier"
            || !matches!(value.kind(), "call" | "call_expression" | "new_expression" | "await_expression")
        {
            return;
        }
        if value.child_by_field_name("function").is_some_and(|function| self.text(function) == "getattr") {
            let path = self.path(value);
            let name = self.text(target).to_owned();
            self.names.insert(name, path);
            return;
        }
        let path = self.path(value);
        let name = self.text(target).to_owned();
        let made = path.strip_suffix("()").unwrap_or(&path);
        if CLIENTS.iter().any(|client| is_or_ends_with(made, client)) {
            self.names.insert(name, "client".to_owned());
        } else if let Some(module) = self.loaded(value) {
            self.names.insert(name, module);
        }
    }

    /// The module that a call loads: `require('x')`, `__import__('x')`, `importlib.import_module('x')`.
    fn loaded(&mut self, node: Node<'_>) -> Option<String> {
        let node = match node.kind() {
            "await_expression" | "parenthesized_expression" => node.named_child(0)?,
            _ => node,
        };
        if node.kind() == "member_expression" {
            let object = self.loaded(node.child_by_field_name("object")?)?;
            return Some(format!("{object}.{}", self.text(node.child_by_field_name("property")?)));
        }
        let function = node.child_by_field_name("function")?;
        let loads =
            matches!(
                self.text(function),
                "require"
                    | "import"
                    | "__import__"
                    | "importlib.import_module"
                    | "import_module"
                    | "process.getBuiltinModule"
            ) || self.names.get(self.text(function)).is_some_and(|name| name == "importlib.import_module");
        let arguments = node.child_by_field_name("arguments").filter(|_| loads)?;
        let value = self.eval(arguments.named_child(0)?);
        value.literal().map(module_name)
    }

    /// A dotted path with names as they were before they were changed: `os.environ`, `process.env`.
    pub(super) fn path(&mut self, node: Node<'_>) -> String {
        self.path_within(node, 0)
    }

    fn path_within(&mut self, node: Node<'_>, depth: usize) -> String {
        if depth > 16 {
            return String::new();
        }
        match node.kind() {
            "identifier" => {
                let name = self.text(node);
                self.names.get(name).cloned().unwrap_or_else(|| name.to_owned())
            }
            "attribute" | "member_expression" => {
                let object = node.child_by_field_name("object");
                let member =
                    node.child_by_field_name("attribute").or_else(|| node.child_by_field_name("property"));
                let mut path = object.map(|object| self.path_within(object, depth + 1)).unwrap_or_default();
                path.push('.');
                path.push_str(member.map_or("", |member| self.text(member)));
                path
            }
            "subscript" | "subscript_expression" => {
                let object = node.child_by_field_name("object").or_else(|| node.child_by_field_name("value"));
                let index =
                    node.child_by_field_name("index").or_else(|| node.child_by_field_name("subscript"));
                let mut path = object.map(|object| self.path_within(object, depth + 1)).unwrap_or_default();
                if let Some(index) = index.filter(|index| {
                    matches!(index.kind(), "string" | "binary_expression" | "binary_operator")
                }) && let Some(key) = self.eval(index).literal()
                {
                    path.push('.');
                    path.push_str(key);
                }
                path
            }
            "call" | "call_expression" | "new_expression" => {
                if let Some(module) = self.loaded(node) {
                    return module;
                }
                let function =
                    node.child_by_field_name("function").or_else(|| node.child_by_field_name("constructor"));
                let Some(function) = function else { return String::new() };
                if self.text(function) == "getattr" {
                    let arguments = node.child_by_field_name("arguments");
                    let object = arguments.and_then(|list| list.named_child(0));
                    let member = arguments.and_then(|list| list.named_child(1));
                    let mut path =
                        object.map(|object| self.path_within(object, depth + 1)).unwrap_or_default();
                    let member = member.map(|member| self.eval(member)).unwrap_or_default();
                    path.push('.');
                    path.push_str(member.literal().unwrap_or(""));
                    return path;
                }
                let path = self.path_within(function, depth + 1);
                match CLIENTS.iter().any(|client| is_or_ends_with(&path, client)) {
                    true if depth > 0 => "client".to_owned(),
                    _ => format!("{path}()"),
                }
            }
            "parenthesized_expression" | "await_expression" | "await" | "non_null_expression" => {
                node.named_child(0).map(|inner| self.path_within(inner, depth + 1)).unwrap_or_default()
            }
            _ => self.text(node).chars().filter(|c| !c.is_whitespace() && *c != '?').take(200).collect(),
        }
    }
}

/// A module's name: no quotes, no `node:`.
fn module_name(text: &str) -> String {
    let plain = text.trim().trim_matches(['"', '\'', '`']);
    plain.strip_prefix("node:").unwrap_or(plain).replace('/', ".")
}
