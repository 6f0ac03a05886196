//! Cmdlets that hand on, change or print what they get, and those that run blocks.

use super::command::Words;
use super::{Items, bounded, joined, literal};
use crate::flow::code::Program;
use crate::flow::shell::Argument;
use crate::flow::value::Value;

impl Program<'_, '_, '_> {
    pub(super) fn cmdlet(&mut self, name: &str, words: &Words) -> Option<Items> {
        Some(match name {
            "write-host" | "write-information" | "write-warning" | "write-error" | "write-verbose"
            | "write-debug" | "out-host" | "out-default" => {
                self.print(&joined(words.input(), " "), words.bytes);
                Items::new()
            }
            "write-output" | "echo" | "write" => words.input(),
            "out-null" => Items::new(),
            "out-string" | "convertto-json" | "convertto-csv" | "convertto-html" | "convertto-xml"
            | "join-string" | "format-list" | "fl" | "format-table" | "ft" => {
                let separator = words.named(&["separator"]);
                let separator = separator.as_ref().and_then(literal).unwrap_or("\n").to_owned();
                let input = match (&words.piped, name) {
                    (None, _) => words.at(&["inputobject"], 0).into_iter().collect(),
                    (Some(items), "join-string") => {
                        return Some(vec![self.join(items.clone(), &Value::text(separator), words.bytes)]);
                    }
                    (Some(items), _) => items.clone(),
                };
                vec![joined(input, &separator)]
            }
            "select-object"
            | "select"
            | "where-object"
            | "where"
            | "?"
            | "sort-object"
            | "sort"
            | "group-object"
            | "measure-object"
            | "get-unique"
            | "convertfrom-json"
            | "convertfrom-csv"
            | "convertfrom-stringdata"
            | "select-string"
            | "sls"
            | "get-member"
            | "convertto-securestring"
            | "convertfrom-securestring" => {
                if let Some(block) = words.block() {
                    self.run_block(&block, Vec::new());
                }
                match &words.piped {
                    Some(items) => items.clone(),
                    None => words.at(&["inputobject", "string"], 0).into_iter().collect(),
                }
            }
            "foreach-object" | "foreach" | "%" => self.for_each_object(words),
            "start-job" | "start-threadjob" | "invoke-command" | "icm" | "measure-command"
            | "start-process" | "saps" | "start"
                if words.block().is_some() =>
            {
                let arguments = words.named(&["argumentlist", "args"]);
                let given = arguments.map(|value| (String::new(), vec![value])).into_iter().collect();
                match words.block() {
                    Some(block) => self.run_block(&block, given),
                    None => Items::new(),
                }
            }
            "start-process" | "saps" | "start" => self.start_process(words),
            "receive-job" | "wait-job" | "remove-job" => words.piped.clone().unwrap_or_default(),
            "invoke-expression" | "iex" => {
                let code = joined(words.input(), "\n");
                vec![self.run_same(code, words.bytes)]
            }
            "get-childitem" | "gci" | "dir" | "ls" | "get-item" | "gi" => self.list(words)?,
            "get-variable" | "gv" => {
                let asked =
                    words.at(&["name"], 0).and_then(|name| literal(&name).map(str::to_ascii_lowercase));
                vec![asked.and_then(|name| self.variables.get(&name).cloned()).unwrap_or_else(Value::unknown)]
            }
            "set-variable" | "sv" | "new-variable" | "nv" => {
                if let (Some(name), Some(value)) = (words.at(&["name"], 0), words.at(&["value"], 1)) {
                    self.set_items(&super::plain_name(&name.template()), vec![value]);
                }
                Items::new()
            }
            "set-item" | "si" => {
                if let (Some(name), Some(value)) = (words.at(&["path"], 0), words.at(&["value"], 1)) {
                    self.set_items(&super::plain_name(&name.template()), vec![value]);
                }
                Items::new()
            }
            "set-alias" | "sal" | "new-alias" | "nal" => {
                let (name, value) = (words.at(&["name"], 0), words.at(&["value"], 1));
                if let (Some(name), Some(value)) = (name, value) {
                    let (name, value) = (name.template(), value.template());
                    self.memory.aliases.insert(name.to_ascii_lowercase(), value.to_ascii_lowercase());
                }
                Items::new()
            }
            "new-object" => {
                let kind = words.at(&["typename"], 0).unwrap_or_default();
                let rest = words.words.iter().filter(|word| word.parameter != "typename");
                let skip = usize::from(words.named(&["typename"]).is_none());
                let arguments: Items = rest.skip(skip).flat_map(|word| word.items.iter().cloned()).collect();
                let _ = kind;
                vec![joined(arguments, " ")]
            }
            "get-date" | "get-random" | "get-location" | "get-host" | "get-process" | "start-sleep"
            | "test-path" | "set-location" | "cd" | "sleep" | "set-strictmode" | "get-culture"
            | "new-guid" => vec![Value::unknown()],
            "add-type" | "import-module" | "using" => Items::new(),
            _ => return None,
        })
    }

    fn for_each_object(&mut self, words: &Words) -> Items {
        let over = bounded(words.piped.clone().unwrap_or_default());
        let blocks: Vec<_> = words.words.iter().filter_map(|word| word.block.clone()).collect();
        if blocks.is_empty() {
            // `| % Value`: a member of each.
            return over;
        }
        let mut output = Items::new();
        for item in over {
            self.set_items("_", vec![item]);
            for block in &blocks {
                output.extend(self.run_block(block, Vec::new()));
            }
        }
        self.variables.remove("_");
        output
    }

    fn start_process(&mut self, words: &Words) -> Items {
        let program = words.at(&["filepath"], 0).unwrap_or_default();
        let skip = usize::from(words.named(&["filepath"]).is_none());
        let named = words.words.iter().filter(|word| {
            !word.parameter.is_empty() && "argumentlist".starts_with(&word.parameter)
                || word.parameter == "args"
        });
        let plain = words.plain().skip(skip);
        let given: Items = named.chain(plain).flat_map(|word| word.items.iter().cloned()).collect();
        let mut line = Value::empty();
        for item in &given {
            line.push_text(" ");
            line.append(item.clone());
        }
        // The list becomes one command line, which the program takes apart at its spaces.
        let mut arguments =
            vec![Argument { value: Value::text(program.template().replace(".exe", "")), bytes: words.bytes }];
        let split = crate::flow::command::words(&line);
        arguments.extend(split.into_iter().map(|value| Argument { value, bytes: words.bytes }));
        if program.literal().is_none()
            && let Some(first) = arguments.first_mut()
        {
            first.value = program;
        }
        self.run_words(arguments, Value::empty(), words.bytes)
    }

    /// `Get-ChildItem env:`, and one variable of it by name.
    fn list(&mut self, words: &Words) -> Option<Items> {
        let path = words.at(&["path", "literalpath"], 0).unwrap_or_default();
        let text = path.template();
        let lower = text.to_ascii_lowercase();
        let Some(rest) = lower.strip_prefix("env:") else {
            return Some(vec![Value::unknown()]);
        };
        let name = rest.trim_start_matches(['\\', '/']);
        let one = !name.is_empty() && !name.contains(['*', '?', '$']);
        Some(vec![if one { self.environment_named(name, words.bytes) } else { self.dump(words.bytes) }])
    }
}
