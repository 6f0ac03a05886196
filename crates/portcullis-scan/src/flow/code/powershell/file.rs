//! Cmdlets and redirections that read and write files, the runner's own among them.

use crate::syntax::Node;

use super::command::Words;
use super::{Items, children, joined};
use crate::flow::code::Program;
use crate::flow::value::{Encoding, HopKind, Value};
use crate::span::Bytes;

impl Program<'_, '_, '_> {
    /// `> file`, `>> file`; what goes to the error stream or nowhere is dropped.
    pub(super) fn redirect_powershell(&mut self, node: Node<'_>, output: Option<Items>) -> Option<Items> {
        let parts = children(node);
        let operator = parts.iter().find(|part| part.kind() == "file_redirection_operator");
        let Some(operator) = operator.map(|operator| self.text(*operator).to_owned()) else { return output };
        let Some(target) = parts.iter().find(|part| part.kind() == "redirected_file_name") else {
            return output;
        };
        let path = self.one(*target);
        if operator.starts_with('2') || operator.starts_with('3') {
            return output;
        }
        let bytes = self.bytes(node);
        if !path.is_empty() {
            self.write_powershell(&path, output.unwrap_or_default(), operator.contains(">>"), bytes);
        }
        Some(Items::new())
    }

    pub(super) fn write_powershell(&mut self, path: &Value, items: Items, append: bool, bytes: Bytes) {
        let mut content = joined(items, "\n");
        content.push_text("\n");
        let path = path.template().replace('\\', "/");
        let hop =
            self.hop(HopKind::Carry, &format!("written to {}", crate::flow::shell::shown(&path)), bytes);
        self.state.write(&path, content.hop(&hop), append);
    }

    pub(super) fn read_powershell(&mut self, path: &str, bytes: Bytes) -> Value {
        let path = path.replace('\\', "/");
        self.file(&path, &Value::unknown(), bytes)
    }

    pub(super) fn file_cmdlet(&mut self, name: &str, words: &Words) -> Option<Items> {
        let path = || words.at(&["path", "literalpath", "filepath"], 0).unwrap_or_default();
        match name {
            "set-content" | "sc" | "add-content" | "ac" | "out-file" | "tee-object" | "tee" => {
                let path = path();
                let mut items = words.piped.clone().unwrap_or_default();
                let value = words.named(&["value", "inputobject"]);
                items.extend(value.or_else(|| {
                    match name {
                        "out-file" | "tee-object" | "tee" => None,
                        _ => words
                            .plain()
                            .nth(usize::from(words.named(&["path"]).is_none()))
                            .map(|word| joined(word.items.clone(), " ")),
                    }
                }));
                let append = matches!(name, "add-content" | "ac")
                    || words.words.iter().any(|word| word.parameter == "append");
                let passes = name.starts_with("tee");
                self.write_powershell(&path, items.clone(), append, words.bytes);
                Some(if passes { items } else { Items::new() })
            }
            "get-content" | "gc" | "cat" | "type" | "import-csv" | "import-clixml" => {
                let path = path().template();
                if let Some(variable) = path.to_ascii_lowercase().strip_prefix("env:") {
                    return Some(vec![
                        self.environment_named(variable.trim_start_matches(['\\', '/']), words.bytes),
                    ]);
                }
                Some(vec![self.read_powershell(&path, words.bytes)])
            }
            "copy-item" | "cp" | "copy" | "cpi" | "move-item" | "mv" | "move" => {
                let source = path().template();
                let target = words.at(&["destination"], 1).unwrap_or_default().template();
                let content = self.read_powershell(&source, words.bytes);
                if content.carries() {
                    self.state.write(&target.replace('\\', "/"), content, false);
                }
                Some(Items::new())
            }
            "compress-archive" => {
                let source = path().template();
                let target = words.at(&["destinationpath"], 1).unwrap_or_default().template();
                let content = self.read_powershell(&source, words.bytes);
                let hop = self.hop(HopKind::Encode, "through compress-archive", words.bytes);
                if content.carries() {
                    self.state.write(&target, content.encoded(Encoding::Compressed, &hop), false);
                }
                Some(Items::new())
            }
            "remove-item" | "rm" | "del" | "ri" => {
                self.state.remove(&path().template().replace('\\', "/"));
                Some(Items::new())
            }
            "new-item" | "ni" => {
                let value = words.named(&["value"]).unwrap_or_default();
                if value.carries() {
                    self.write_powershell(&path(), vec![value], false, words.bytes);
                }
                Some(Items::new())
            }
            "export-csv" | "export-clixml" => {
                self.write_powershell(&path(), words.piped.clone().unwrap_or_default(), false, words.bytes);
                Some(Items::new())
            }
            _ => None,
        }
    }
}
