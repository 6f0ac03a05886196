//! Files that steps wrote for a tool which runs what stands in them: `Makefile`, `package.json`, `conftest.py`, `Rakefile`.

use super::interpreter::{Language, run_text};
use super::{Call, project};
use crate::flow::shell::Shell;
use crate::flow::value::{Part, Text, Value};

/// Most scripts of one file, and most files of one tool, that are followed.
const SCRIPTS_MAX: usize = 64;
/// Deepest that such files may call each other.
const DEPTH_MAX: usize = 60;

/// Where `npm pkg set scripts.NAME=…` is kept until the script runs.
const SCRIPT: &str = "$script:";

/// Where lines are kept that steps put into a file of the repository, before its path.
const INSERTED: &str = "$inserted:";

/// Keeps lines that a step puts into a file whose other lines are the repository's.
pub(super) fn insert(shell: &mut Shell<'_, '_>, path: &str, lines: Value) {
    shell.state.write(&format!("{INSERTED}{}", path.trim_start_matches("./")), lines, true);
}

/// Lines that steps put into a file of the repository.
pub(super) fn inserted(shell: &Shell<'_, '_>, path: &str) -> Option<Value> {
    shell.state.written(&format!("{INSERTED}{}", path.trim_start_matches("./")))
}

/// Runs what a tool with targets or named scripts is told to run: what steps wrote of it, and what the repository has.
pub(super) fn run(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    if shell.depth() > DEPTH_MAX {
        return;
    }
    match call.name {
        "make" | "gmake" => {
            for path in makefiles(call) {
                let input = (path == "-").then(|| call.stdin.clone());
                for content in
                    [input, shell.state.written(&path), inserted(shell, &path)].into_iter().flatten()
                {
                    recipes(shell, call, &content);
                    for code in computed(&content).into_iter().take(SCRIPTS_MAX) {
                        run_text(shell, Language::Shell, code, Vec::new(), call.bytes);
                    }
                }
            }
            project::make(shell, call);
        }
        "just" => {
            for path in ["justfile", "Justfile", ".justfile"] {
                if let Some(content) = shell.state.written(path) {
                    recipes(shell, call, &content);
                }
            }
        }
        "composer" => {
            scripts(shell, call, "composer.json");
        }
        "npm" | "yarn" | "pnpm" | "npx" | "bun" | "lerna" | "nx" | "turbo" => {
            let has_written = scripts(shell, call, "package.json");
            if !has_written && matches!(call.name, "npm" | "yarn" | "pnpm") {
                project::package(shell, call);
            }
            named_scripts(shell, call);
        }
        _ => {}
    }
}

/// Where the Makefile of a call is looked for (GNU make, "What Name to Give Your Makefile").
fn makefiles(call: &Call<'_>) -> Vec<String> {
    let folder = call.option(&["-C", "--directory"]).map(|folder| folder.template());
    let file = call.option(&["-f", "--file", "--makefile"]).map(|file| file.template());
    // `-f - <<E`: the grammar loses a dash that stands before a here-document.
    let file = file.or_else(|| call.texts().last().filter(|last| *last == "-f").map(|_| "-".to_owned()));
    let names = file.map_or_else(
        || ["GNUmakefile", "makefile", "Makefile"].map(str::to_owned).to_vec(),
        |file| vec![file],
    );
    let below = |name: String| match &folder {
        Some(folder) => format!("{}/{name}", folder.trim_end_matches('/')),
        None => name,
    };
    names.into_iter().map(below).collect()
}

/// Indented lines are commands, whatever target they are of.
fn recipes(shell: &mut Shell<'_, '_>, call: &Call<'_>, content: &Value) {
    let lines = crate::flow::lines(content).into_iter();
    let lines: Vec<Value> = lines.filter(|line| line.prefix().starts_with(['\t', ' '])).collect();
    for line in shell.tracer.cut(lines, SCRIPTS_MAX, "a Makefile with too many commands") {
        let prefix = line.prefix();
        let indent = prefix.len() - prefix.trim_start().trim_start_matches(['@', '-', '+']).len();
        let mut code = super::after(&line, indent);
        if call.name != "just" {
            for part in &mut code.parts {
                if let Part::Text(text) = part {
                    *text = Text::new(text.replace("$$", "$"));
                }
            }
        }
        run_text(shell, Language::Shell, code, Vec::new(), call.bytes);
    }
}

/// `X := $(shell CODE)`, which runs while the file is read.
fn computed(content: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    for line in crate::flow::lines(content) {
        let text = line.prefix();
        let assigned = text.split_once('=').map(|(_, value)| value).unwrap_or(text);
        let Some(code) = assigned.trim_start().strip_prefix("$(shell ").filter(|_| !text.starts_with('\t'))
        else {
            continue;
        };
        let mut code = super::after(&line, text.len() - code.len());
        if let Some(Part::Text(last)) = code.parts.last_mut() {
            let end = last.rfind(')').unwrap_or(last.len());
            last.to_mut().truncate(end);
        }
        for part in &mut code.parts {
            if let Part::Text(text) = part {
                *text = Text::new(text.replace("$$", "$"));
            }
        }
        found.push(code);
    }
    found
}

/// The scripts of a written package file; whether there is one.
fn scripts(shell: &mut Shell<'_, '_>, call: &Call<'_>, path: &str) -> bool {
    let Some(content) = shell.state.written(path) else { return false };
    let Ok(document) = serde_json::from_str::<serde_json::Value>(&content.template()) else { return true };
    let Some(scripts) = document.get("scripts").and_then(serde_json::Value::as_object) else { return true };
    // One of composer's may be a list of lines.
    let lines = scripts.values().flat_map(|script| match script {
        serde_json::Value::Array(lines) => lines.iter().collect(),
        line => vec![line],
    });
    let lines: Vec<&str> = lines.filter_map(serde_json::Value::as_str).collect();
    for code in shell.tracer.cut(lines, SCRIPTS_MAX, "a package with too many scripts") {
        run_text(shell, Language::Shell, Value::text(code), Vec::new(), call.bytes);
    }
    true
}

/// Runs the scripts that a command leads to and that a step set by name.
fn named_scripts(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    for name in project::scripts_of(call) {
        if let Some(code) = shell.state.written(&format!("{SCRIPT}{name}")) {
            run_text(shell, Language::Shell, code, Vec::new(), call.bytes);
        }
    }
}

/// `npm pkg set scripts.NAME=CODE`, `npm set-script NAME CODE`; whether it is one of them.
pub(super) fn set_script(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> bool {
    let operands = call.operands();
    let word = |at: usize| operands.get(at).map(|operand| operand.value.template()).unwrap_or_default();
    let mut set = Vec::new();
    if word(0) == "pkg" && word(1) == "set" {
        for operand in operands.iter().skip(2) {
            let prefix = operand.value.prefix();
            let named = prefix.strip_prefix("scripts.").and_then(|rest| rest.split_once('='));
            if let Some((name, _)) = named {
                let length = "scripts.".len() + name.len() + 1;
                set.push((name.to_owned(), super::after(&operand.value, length)));
            }
        }
    } else if word(0) == "set-script" {
        set.extend(operands.get(2).map(|code| (word(1), code.value.clone())));
    } else {
        return false;
    }
    for (name, code) in set {
        shell.state.write(&format!("{SCRIPT}{name}"), code, false);
    }
    true
}

/// What a tool loads by itself, by the ends of the names that such files have.
struct Loaded {
    tools: &'static [&'static str],
    files: &'static [&'static str],
    language: Language,
}

const LOADED: &[Loaded] = &[
    Loaded {
        tools: &["pytest", "py.test", "tox", "nox"],
        files: &["conftest.py", "noxfile.py"],
        language: Language::Python,
    },
    Loaded {
        tools: &["python", "python3", "pip", "pip3"],
        files: &[".pth", "usercustomize.py"],
        language: Language::Python,
    },
    Loaded { tools: &["go"], files: &["_test.go"], language: Language::Other },
    Loaded { tools: &["invoke", "inv"], files: &["tasks.py"], language: Language::Python },
    Loaded { tools: &["fab"], files: &["fabfile.py"], language: Language::Python },
    Loaded { tools: &["scons"], files: &["SConstruct"], language: Language::Python },
    Loaded { tools: &["mkdocs"], files: &["mkdocs_hooks.py", "hooks.py"], language: Language::Python },
    Loaded { tools: &["sphinx-build"], files: &["conf.py"], language: Language::Python },
    Loaded {
        tools: &["rake"],
        files: &["Rakefile", "rakefile", "Rakefile.rb", ".rake"],
        language: Language::Other,
    },
    Loaded { tools: &["rspec"], files: &["spec_helper.rb", "rails_helper.rb"], language: Language::Other },
    Loaded { tools: &["bundle"], files: &["Gemfile", ".gemspec"], language: Language::Other },
    Loaded { tools: &["gem"], files: &[".gemspec"], language: Language::Other },
    Loaded { tools: &["fastlane"], files: &["Fastfile"], language: Language::Other },
    Loaded { tools: &["pod"], files: &["Podfile"], language: Language::Other },
    Loaded { tools: &["gradle", "gradlew"], files: &[".gradle", ".gradle.kts"], language: Language::Other },
    Loaded { tools: &["sbt"], files: &["build.sbt"], language: Language::Other },
    Loaded { tools: &["mix"], files: &["mix.exs"], language: Language::Other },
    Loaded {
        tools: &[
            "npm",
            "npx",
            "yarn",
            "pnpm",
            "bun",
            "bunx",
            "vite",
            "vitest",
            "jest",
            "webpack",
            "rollup",
            "eslint",
            "next",
            "gulp",
            "grunt",
            "cypress",
            "playwright",
            "mocha",
            "semantic-release",
        ],
        files: &[
            ".config.js",
            ".config.mjs",
            ".config.cjs",
            ".config.ts",
            ".eslintrc.js",
            ".mocharc.js",
            "gulpfile.js",
            "Gruntfile.js",
            ".pnpmfile.cjs",
        ],
        language: Language::JavaScript,
    },
];

/// Files that a step wrote and that a tool loads by itself.
pub(super) fn loaded_by(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let files: Vec<String> = match call.name {
        "pip" | "pip3" | "uv" | "build" | "pipx" => set_up_by(shell, call),
        "pytest" | "tox" | "nox" => {
            let name = if call.name == "nox" { "noxfile.py" } else { "conftest.py" };
            if !shell.state.has(name) {
                project::python(shell, call, name);
            }
            Vec::new()
        }
        "node" | "npm" | "npx" | "yarn" | "pnpm" => {
            required(shell, call);
            Vec::new()
        }
        "python" | "python3" => startup(shell),
        _ => Vec::new(),
    };
    for path in files {
        if let Some(code) = shell.state.written(&path).filter(|_| shell.depth() < DEPTH_MAX) {
            run_text(shell, Language::Python, code, Vec::new(), call.bytes);
        }
    }
    for loaded in LOADED.iter().filter(|loaded| loaded.tools.contains(&call.name)) {
        let found = shell.state.named(loaded.files);
        for code in shell.tracer.cut(found, SCRIPTS_MAX, "a tool that loads too many files") {
            if shell.depth() < DEPTH_MAX {
                run_text(shell, loaded.language, code, Vec::new(), call.bytes);
            }
        }
    }
}

/// The program by which a Python package builds itself, in the folders that are to be installed or built.
fn set_up_by(shell: &mut Shell<'_, '_>, call: &Call<'_>) -> Vec<String> {
    const PROGRAMS: &[&str] = &["setup.py", "hatch_build.py"];
    if !shell.state.has("setup.py") {
        project::python(shell, call, "setup.py");
    }
    let folders = call.operands().into_iter().map(|operand| operand.value.template());
    let folders = folders.filter(|folder| folder.contains(['/', '.']) && !folder.contains("${"));
    let folders =
        folders.map(|folder| folder.split('[').next().unwrap_or("").trim_end_matches('/').to_owned());
    let mut paths: Vec<String> = PROGRAMS.iter().map(|name| (*name).to_owned()).collect();
    paths.extend(folders.flat_map(|folder| PROGRAMS.iter().map(move |name| format!("{folder}/{name}"))));
    paths.dedup();
    paths
}

/// What `NODE_OPTIONS` has every program of Node's load first.
fn required(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    let options = shell.variables.get("NODE_OPTIONS").map(Value::template).unwrap_or_default();
    let paths = options.split([' ', '=']).filter(|word| word.contains('/') || word.ends_with(".js"));
    for path in paths {
        if let Some(code) = shell.state.read(path).filter(|_| shell.depth() < DEPTH_MAX) {
            run_text(shell, Language::JavaScript, code, Vec::new(), call.bytes);
        }
    }
}

/// What Python runs before every program, where `PYTHONPATH` leads.
fn startup(shell: &Shell<'_, '_>) -> Vec<String> {
    let searched = shell.variables.get("PYTHONPATH").map(Value::template).unwrap_or_default();
    let folders = searched.split(':').filter(|folder| !folder.is_empty());
    let mut paths = vec!["sitecustomize.py".to_owned()];
    paths.extend(folders.map(|folder| format!("{}/sitecustomize.py", folder.trim_end_matches('/'))));
    paths
}

/// Files that a shell reads before its script: what `BASH_ENV` names, and those of a login or a terminal.
pub(super) fn before_script(shell: &Shell<'_, '_>, call: &Call<'_>) -> Vec<Value> {
    let mut paths: Vec<String> = shell.variables.get("BASH_ENV").map(Value::template).into_iter().collect();
    let flags = call.texts();
    let flags = || flags.iter().take_while(|word| word.starts_with('-'));
    let short = |letter: char| flags().any(|word| !word.starts_with("--") && word.contains(letter));
    if short('i') {
        paths.extend([".bashrc", ".zshrc"].map(|name| format!("~/{name}")));
    }
    if short('l') || flags().any(|word| word == "--login") {
        paths.extend(
            [".bash_profile", ".bash_login", ".profile", ".zprofile"].map(|name| format!("~/{name}")),
        );
    }
    paths.iter().filter_map(|path| shell.state.written(path)).collect()
}

/// `//go:generate CODE` in the files that steps wrote.
pub(super) fn generate(shell: &mut Shell<'_, '_>, call: &Call<'_>) {
    const MARK: &str = "//go:generate ";
    let texts = shell.state.named(&[".go"]);
    let lines = texts.iter().flat_map(crate::flow::lines).filter(|line| line.prefix().starts_with(MARK));
    let lines: Vec<Value> = lines.collect();
    for line in shell.tracer.cut(lines, SCRIPTS_MAX, "a program with too many generators") {
        let code = super::after(&line, MARK.len());
        run_text(shell, Language::Shell, code, Vec::new(), call.bytes);
    }
}
