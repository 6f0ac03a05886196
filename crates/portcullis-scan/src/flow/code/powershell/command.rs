//! Commands: their words by parameter, what the name stands for, and programs that are no cmdlets.

use std::ops::Range;

use crate::syntax::Node;

use super::{Items, children, joined, literal, unwrapped};
use crate::flow::code::Program;
use crate::flow::script::Script;
use crate::flow::shell::Argument;
use crate::flow::value::{Part, Value};
use crate::span::Bytes;

/// One word of a command.
pub(super) struct Word {
    /// The parameter it follows, in lower case; empty for one that stands by itself.
    pub(super) parameter: String,
    /// The parameter as it is written, for programs.
    written: String,
    /// What it is.
    pub(super) items: Items,
    /// A script block, not run yet.
    pub(super) block: Option<Range<usize>>,
    bytes: Bytes,
}

/// A command's words with what is piped into it.
pub(super) struct Words {
    pub(super) words: Vec<Word>,
    pub(super) piped: Option<Items>,
    pub(super) bytes: Bytes,
}

/// Parameters that take no value.
const SWITCHES: &[&str] = &[
    "usebasicparsing",
    "append",
    "nonewline",
    "raw",
    "force",
    "recurse",
    "wait",
    "nonewwindow",
    "passthru",
    "asjob",
    "noclobber",
    "verbose",
    "skipcertificatecheck",
    "noprofile",
    "noninteractive",
    "asplaintext",
    "compress",
    "noproxy",
    "usessl",
    "array",
    "stream",
    "quiet",
    "noexit",
    "nologo",
    "nop",
    "noni",
    "allowunencryptedauthentication",
    "usedefaultcredentials",
    "asbytestream",
    "skiphttperrorcheck",
    "asarray",
    "hidden",
    "name",
    "unique",
];

impl Words {
    /// The value of a parameter, by its name or the beginning of it, as PowerShell takes them.
    pub(super) fn named(&self, names: &[&str]) -> Option<Value> {
        let exact = self.words.iter().find(|word| names.contains(&word.parameter.as_str()));
        let found = exact.or_else(|| {
            self.words.iter().find(|word| {
                word.parameter.len() >= 2
                    && names.iter().any(|name| name.starts_with(word.parameter.as_str()))
            })
        });
        found.map(|word| joined(word.items.clone(), " "))
    }

    /// The words that follow no parameter.
    pub(super) fn plain(&self) -> impl Iterator<Item = &Word> {
        self.words.iter().filter(|word| word.parameter.is_empty())
    }

    /// A parameter, or the word at a place among those that follow none.
    pub(super) fn at(&self, names: &[&str], place: usize) -> Option<Value> {
        self.named(names).or_else(|| self.plain().nth(place).map(|word| joined(word.items.clone(), " ")))
    }

    /// Everything, what is piped in first.
    pub(super) fn all(&self) -> Value {
        let mut all = joined(self.piped.clone().unwrap_or_default(), "\n");
        for word in &self.words {
            if !all.is_empty() {
                all.push_text(" ");
            }
            all.append(joined(word.items.clone(), " "));
        }
        all
    }

    /// What is piped in, or the words themselves.
    pub(super) fn input(&self) -> Items {
        match &self.piped {
            Some(items) => items.clone(),
            None => self.words.iter().flat_map(|word| word.items.iter().cloned()).collect(),
        }
    }

    /// The first script block.
    pub(super) fn block(&self) -> Option<Range<usize>> {
        self.words.iter().find_map(|word| word.block.clone())
    }

    /// The words as a call of a function or block has them.
    fn given(&self) -> Vec<(String, Items)> {
        self.words.iter().map(|word| (word.parameter.clone(), word.items.clone())).collect()
    }
}

impl Program<'_, '_, '_> {
    /// Runs one command of a pipeline; returns what it puts out.
    pub(super) fn powershell_command(&mut self, node: Node<'_>, piped: Option<Items>) -> Items {
        let bytes = self.bytes(node);
        let mut redirections = Vec::new();
        let mut words = Words { words: Vec::new(), piped, bytes };
        if let Some(elements) = node.child_by_field_name("command_elements") {
            let mut end = 0;
            for child in children(elements) {
                // `$a$b`: the grammar sees two words where no space stands between them.
                let touches = child.start_byte() == end
                    && child.kind() != "command_argument_sep"
                    && !self.text(child).starts_with('(');
                end = if child.kind() == "command_parameter" || child.kind() == "command_argument_sep" {
                    0
                } else {
                    child.end_byte()
                };
                match (child.kind(), words.words.last_mut()) {
                    ("redirection" | "redirections", _) => redirections.push(child),
                    (_, Some(last)) if touches && !last.items.is_empty() => {
                        let mut more = self.items(child).into_iter();
                        if let (Some(before), Some(next)) = (last.items.last_mut(), more.next()) {
                            before.append(next);
                        }
                        last.items.extend(more);
                    }
                    _ => self.push_word(child, &mut words.words),
                }
            }
        }
        let Some(name_node) = node.child_by_field_name("command_name") else {
            return words.piped.unwrap_or_default();
        };
        let mut output = Some(self.call_named(name_node, words));
        for redirection in redirections {
            output = self.redirect_powershell(redirection, output.take());
        }
        output.unwrap_or_default()
    }

    fn push_word(&mut self, child: Node<'_>, words: &mut Vec<Word>) {
        let bytes = self.bytes(child);
        if child.kind() == "command_argument_sep" {
            return;
        }
        if child.kind() == "command_parameter" {
            let written = self.text(child).trim_end_matches(':').to_owned();
            let parameter = written.trim_start_matches('-').to_ascii_lowercase();
            words.push(Word { parameter, written, items: Items::new(), block: None, bytes });
            return;
        }
        let inner = unwrapped(child);
        let block = (inner.kind() == "script_block_expression").then(|| inner.byte_range());
        let stored = (inner.kind() == "variable")
            .then(|| self.memory.blocks.get(&super::plain_name(self.text(inner))).cloned())
            .flatten();
        let splat = inner.kind() == "variable" && self.text(inner).starts_with('@');
        if splat {
            let name = super::plain_name(self.text(inner));
            if let Some(table) = self.memory.tables.get(&name).cloned() {
                words.extend(table.into_iter().map(|(key, value)| Word {
                    written: format!("-{key}"),
                    parameter: key.to_ascii_lowercase(),
                    items: vec![value],
                    block: None,
                    bytes,
                }));
                return;
            }
            for item in self.items(inner) {
                words.push(Word {
                    parameter: String::new(),
                    written: String::new(),
                    items: vec![item],
                    block: None,
                    bytes,
                });
            }
            return;
        }
        let block = block.or(stored);
        let items = if block.is_some() { Items::new() } else { self.items(child) };
        match words.last_mut() {
            Some(last)
                if last.items.is_empty()
                    && last.block.is_none()
                    && !last.parameter.is_empty()
                    && !SWITCHES.contains(&last.parameter.as_str()) =>
            {
                last.items = items;
                last.block = block;
            }
            _ => words.push(Word { parameter: String::new(), written: String::new(), items, block, bytes }),
        }
    }

    fn call_named(&mut self, name_node: Node<'_>, words: Words) -> Items {
        let target = unwrapped(name_node);
        let target = if target.kind() == "command_name_expr" {
            target.named_child(0).map_or(target, unwrapped)
        } else {
            target
        };
        if target.kind() == "script_block_expression" {
            return self.run_block(&target.byte_range(), words.given());
        }
        let text = self.text(target).to_owned();
        if text.starts_with('$')
            && let Some(block) = self.memory.blocks.get(&super::plain_name(&text)).cloned()
        {
            return self.run_block(&block, words.given());
        }
        let named = match target.kind() {
            "command_name" => self.script.value(target.byte_range(), super::unescape),
            "path_command_name" => self.expanded_token(target),
            _ => joined(self.items(name_node), ""),
        };
        if text.to_ascii_lowercase().contains("scriptblock]") {
            let bytes = words.bytes;
            return vec![self.run_same(named, bytes)];
        }
        self.call_by_name(named, words)
    }

    /// A command by a name that may have been put together.
    pub(super) fn call_by_name(&mut self, named: Value, words: Words) -> Items {
        // `$env:BIN\\tool.exe`: the folder is unknown, the program is not.
        let end = match named.parts.as_slice() {
            [_, .., Part::Text(end)] => end.rsplit_once(['\\', '/']).map(|(_, base)| Value::text(base)),
            _ => None,
        };
        let named = end.unwrap_or(named);
        let Some(written) = literal(&named).map(str::trim) else {
            return self.unknown_program(named, words);
        };
        if let Some((from, to)) = written.split_once("..")
            && let (Ok(from), Ok(to)) = (from.parse(), to.parse())
        {
            return super::operator::numbers(from, to);
        }
        let lower = written.to_ascii_lowercase();
        if let Some(items) = self.call_function(&lower, words.given()) {
            return items;
        }
        let alias = self.memory.aliases.get(&lower).cloned();
        let lower = alias.unwrap_or(lower);
        // `C:\tools\curl.exe`: the program by its name.
        let base = lower.rsplit(['\\', '/']).next().unwrap_or("").to_owned();
        let plain = base.strip_suffix(".exe").unwrap_or(&base).to_owned();
        if let Some(items) = self.web_cmdlet(&base, &words) {
            return items;
        }
        if let Some(items) = self.file_cmdlet(&base, &words) {
            return items;
        }
        if let Some(items) = self.cmdlet(&base, &words) {
            return items;
        }
        if base.ends_with(".ps1") {
            self.tracer.works();
            return self.script_file(written, &words);
        }
        let is_cmdlet =
            plain.split_once('-').is_some_and(|(verb, _)| VERBS.split(' ').any(|known| known == verb));
        if is_cmdlet {
            self.tracer.works();
            // A module's own command: it does its work with what it gets, and hands on an answer.
            return vec![Value::unknown()];
        }
        if base.ends_with(".exe") && self.state.read(written.trim_start_matches(['.', '\\', '/'])).is_some() {
            // A tool that was downloaded before: it does its work.
            self.tracer.works();
            return vec![Value::unknown()];
        }
        let own = written.starts_with(['.', '\\', '/']) || base.contains('.') && !base.ends_with(".exe");
        let name = if own { written.replace('\\', "/") } else { plain };
        self.program(Value::text(name), &words)
    }

    /// A program whose name is only known when it runs: what it is told may still name an address.
    fn unknown_program(&mut self, named: Value, words: Words) -> Items {
        if named.parts.iter().any(|part| matches!(part, Part::Remote(_))) {
            let bytes = words.bytes;
            return vec![self.run_same(named, bytes)];
        }
        self.program(named, &words)
    }

    /// A program as the shell would run it, with these words.
    pub(super) fn program(&mut self, name: Value, words: &Words) -> Items {
        let mut line = vec![Argument { value: name, bytes: words.bytes }];
        for word in &words.words {
            if !word.written.is_empty() {
                line.push(Argument { value: Value::text(word.written.clone()), bytes: word.bytes });
            }
            line.extend(word.items.iter().map(|item| Argument { value: item.clone(), bytes: word.bytes }));
        }
        let stdin = words.piped.clone().map(|items| joined(items, "\n")).unwrap_or_default();
        self.run_words(line, stdin, words.bytes)
    }

    /// Runs a program with the environment as the script has changed it; what it prints comes back.
    pub(super) fn run_words(&mut self, line: Vec<Argument>, stdin: Value, bytes: Bytes) -> Items {
        if self.depth > 100 {
            return Items::new();
        }
        let mut environment = self.environment.clone();
        for (name, value) in &self.variables {
            if let Some(name) = name.strip_prefix("env:") {
                let known = environment.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();
                environment.insert(known.unwrap_or_else(|| name.to_ascii_uppercase()), value.clone());
            }
        }
        let place = Script::from_value(Value::empty(), self.script.file, bytes);
        let depth = self.depth / 2 + 5;
        let output =
            crate::flow::shell::run_program(self.tracer, self.state, &environment, place, line, stdin, depth);
        vec![output]
    }

    fn script_file(&mut self, path: &str, words: &Words) -> Items {
        let path = path.replace('\\', "/");
        let Some(content) = self.state.read(&path) else {
            return self.program(Value::text(path), words);
        };
        vec![self.run_same(content, words.bytes)]
    }
}

/// Verbs of cmdlets (Microsoft, "Approved Verbs for PowerShell Commands"), those that modules use most.
const VERBS: &str = "add clear close copy enter exit find format get hide join lock move new open pop push redo remove \
    rename reset resize search select set show skip split step switch undo unlock watch backup \
    checkpoint compare compress convert convertfrom convertto dismount edit expand export group import \
    initialize limit merge mount out publish restore save sync unpublish update debug measure ping \
    repair resolve test trace connect disconnect read receive send write block grant protect revoke \
    unblock unprotect use approve assert build complete confirm deny deploy disable enable install \
    invoke register request restart resume start stop submit suspend uninstall unregister wait";
