//! What one job's steps leave for each other: files, variables, outputs, where the script stands.

use std::borrow::Cow;
use std::collections::HashMap;

use super::lines;
use super::value::Value;

/// Most files that one job's steps may write.
const FILES_MAX: usize = 4_096;

/// What one job's steps leave for each other.
#[derive(Clone, Debug, Default)]
pub struct JobState {
    /// Files that steps wrote, by normalised path.
    pub(super) files: HashMap<String, Value>,
    /// What `GITHUB_ENV` added.
    pub added: HashMap<String, Value>,
    /// `steps.ID.outputs.NAME`, in lower case.
    pub outputs: HashMap<(String, String), Value>,
    /// Git remotes and rewritten addresses by name.
    pub remotes: HashMap<String, Value>,
    /// Folders that the job put before all others on the path.
    pub path: Vec<String>,
    /// Where the script stands, below the workspace; empty for the workspace itself.
    pub folder: String,
    /// Where `pushd` came from.
    pub folders: Vec<String>,
    /// Whether more files were written than are kept.
    pub is_full: bool,
}

impl JobState {
    /// Writes or appends to a file.
    pub fn write(&mut self, path: &str, content: Value, append: bool) {
        let path = self.placed(path);
        let has_room = self.files.len() < FILES_MAX;
        match self.files.get_mut(&path) {
            Some(old) if append => old.append(content),
            // `a > f || b > f`: either may have been written, so a secret stays until the file is removed.
            Some(old) if old.carries() && !content.carries() => {
                let kept = old.only_carried();
                *old = content;
                old.append(kept);
            }
            _ if has_room => {
                self.files.insert(path, content);
            }
            _ => self.is_full = true,
        }
    }

    /// Reads a file that a step wrote; a pattern or folder reads all that it covers.
    pub fn read(&self, path: &str) -> Option<Value> {
        if path.is_empty() || self.files.is_empty() {
            return None;
        }
        let placed = self.placed(path);
        match self.read_at(&placed) {
            // It may have been written from another folder. A pattern covers what lies where the script stands, and so does `.`, where
            // it is known to be below.
            None if normalised(path) == "."
                && !self.folder.starts_with('$')
                && !self.folder.contains("..") =>
            {
                self.read_unnamed()
            }
            None if !self.folder.is_empty() && !normalised(path).starts_with('*') => {
                self.read_at(&normalised(path))
            }
            found => found,
        }
    }

    /// Files of which nobody knows what they are called, and so where they lie.
    fn read_unnamed(&self) -> Option<Value> {
        let mut names = self.files.keys().filter(|file| file.starts_with('$')).collect::<Vec<_>>();
        names.sort();
        let contents = names.into_iter().filter_map(|name| self.files.get(name));
        contents.fold(None, |all: Option<Value>, content| {
            let mut all = all.unwrap_or_default();
            all.append(content.clone());
            Some(all)
        })
    }

    /// Reads what a pattern or folder covers, without files and folders of some names in it.
    pub fn read_but(&self, path: &str, except: &[&str]) -> Option<Value> {
        self.read_covered(&self.placed(path), except)
    }

    fn read_at(&self, path: &str) -> Option<Value> {
        self.read_covered(path, &[])
    }

    fn read_covered(&self, path: &str, except: &[&str]) -> Option<Value> {
        if let Some(content) = self.files.get(path) {
            return Some(content.clone());
        }
        let folder = path == "." || path.is_empty();
        let prefix = path.trim_end_matches(['*', '/']);
        let covers = |file: &str| {
            if folder {
                return !file.starts_with(['/', '~', '$']) || file.starts_with("${");
            }
            let whole = path.ends_with('*') || path.contains('*');
            match path.split_once('*') {
                // A pattern that begins here covers nothing of the home directory or the root.
                Some(("", _)) if file.starts_with(['/', '~']) => false,
                Some((before, after)) if whole => {
                    file.starts_with(before) && file.ends_with(after.trim_start_matches(['*', '/']))
                }
                _ => file.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/')),
            }
        };
        let excepted = |file: &str| {
            except.iter().any(|name| match name.strip_suffix('/') {
                Some(folder) => file.split('/').any(|part| part == folder),
                None => file.rsplit('/').next() == Some(name),
            })
        };
        let mut names = self.files.keys().filter(|file| covers(file) && !excepted(file)).collect::<Vec<_>>();
        names.sort();
        let mut all = None;
        for name in names {
            if let Some(content) = self.files.get(name) {
                all.get_or_insert_with(Value::empty).append(content.clone());
            }
        }
        all
    }

    /// What a step wrote into this very file.
    pub fn written(&self, path: &str) -> Option<Value> {
        self.has(path).then(|| self.read(path)).flatten()
    }

    /// What steps wrote into files that have one of these names, or such an end where it begins with a mark.
    pub fn named(&self, names: &[&str]) -> Vec<Value> {
        let fits = |path: &str| {
            let own = path.rsplit(['/', ':']).next().unwrap_or(path);
            names.iter().any(|name| own == *name || name.starts_with(['.', '_']) && own.ends_with(name))
        };
        let mut found: Vec<(&String, &Value)> = self.files.iter().filter(|(path, _)| fits(path)).collect();
        found.sort_by_key(|(path, _)| *path);
        found.into_iter().map(|(_, content)| content.clone()).collect()
    }

    /// Files that hold secrets when the job is over.
    pub fn left(&self) -> Vec<(String, Value)> {
        let mut left: Vec<(String, Value)> = self
            .files
            .iter()
            .filter(|(path, content)| {
                content.carries() && !path.starts_with('$') && !path.starts_with("/dev/")
            })
            .map(|(path, content)| (path.clone(), content.clone()))
            .collect();
        left.sort_by(|a, b| a.0.cmp(&b.0));
        left
    }

    /// Removes a file or a folder.
    pub fn remove(&mut self, path: &str) {
        let path = self.placed(path);
        self.files.retain(|file, _| {
            *file != path && !file.strip_prefix(&path).is_some_and(|rest| rest.starts_with('/'))
        });
    }

    /// Whether a step wrote this very file.
    pub fn has(&self, path: &str) -> bool {
        !self.files.is_empty()
            && (self.files.contains_key(&self.placed(path)) || self.files.contains_key(&normalised(path)))
    }

    /// A path as seen from where the script stands.
    fn placed(&self, path: &str) -> String {
        let plain = path.trim().trim_matches(['"', '\'']);
        let from_root = WORKSPACE.iter().any(|prefix| plain.starts_with(prefix));
        let path = normalised(path);
        if self.folder.is_empty() || from_root || path.starts_with(['/', '~', '$']) {
            return path;
        }
        joined_path(&self.folder, &path)
    }

    /// Goes to another folder, as `cd` does.
    pub fn enter(&mut self, folder: &str) {
        let plain = folder.trim().trim_matches(['"', '\'']).trim_end_matches('/');
        let target = normalised(folder);
        let from_root =
            WORKSPACE.iter().any(|prefix| plain == prefix.trim_end_matches('/') || plain.starts_with(prefix));
        self.folder = match target.as_str() {
            "" | "." if from_root || plain.is_empty() => String::new(),
            "." => return,
            "-" => self.folders.pop().unwrap_or_default(),
            _ if from_root => target,
            _ if target.starts_with(['/', '~', '$']) => target,
            _ => joined_path(&self.folder, &target),
        };
    }

    /// Puts a folder on the path.
    pub fn search(&mut self, folder: &str) {
        let folder = folder.trim();
        if !folder.is_empty() && !folder.starts_with("/usr") && self.path.len() < 16 {
            self.path.push(folder.to_owned());
        }
    }

    /// Takes a file away, for those by which steps talk to the runner.
    pub fn take(&mut self, path: &str) -> Option<Value> {
        self.files.remove(path)
    }
}

/// How the workspace is named at the beginning of a path.
const WORKSPACE: &[&str] = &["${github.workspace}/", "${GITHUB_WORKSPACE}/", "/github/workspace/"];

/// A path below a folder, without `.` and `..`.
fn joined_path(folder: &str, path: &str) -> String {
    let mut steps: Vec<&str> = folder.split('/').filter(|step| !step.is_empty() && *step != ".").collect();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    let absolute = if folder.starts_with('/') { "/" } else { "" };
    if steps.is_empty() { ".".to_owned() } else { format!("{absolute}{}", steps.join("/")) }
}

/// Other spellings of a place, and the one that is kept.
const SAME_PLACES: [(&str, &str); 3] =
    [("/home/runner/", "~/"), ("${HOME}/", "~/"), ("${runner.temp}", "/runner/temp")];

/// One spelling for each path: no `./`, no workspace prefix, `~` for the home directory.
fn normalised(path: &str) -> String {
    let mut path = path.trim().trim_matches(['"', '\'']);
    for prefix in WORKSPACE {
        path = path.strip_prefix(prefix).unwrap_or(path);
    }
    let mut path = Cow::Borrowed(path);
    for (written, meant) in SAME_PLACES {
        if path.contains(written) {
            path = Cow::Owned(path.replace(written, meant));
        }
    }
    match path.trim_end_matches('/') {
        "" | "${github.workspace}" => ".".to_owned(),
        trimmed => collapsed(trimmed),
    }
}

/// A path without `.`, without empty parts, and without `..` where that leads back.
fn collapsed(path: &str) -> String {
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." if steps.last().is_some_and(|last| *last != ".." && !last.starts_with(['~', '$'])) => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    let absolute = if path.starts_with('/') { "/" } else { "" };
    if steps.is_empty() { format!("{absolute}.") } else { format!("{absolute}{}", steps.join("/")) }
}

/// Adds what a step wrote to `GITHUB_ENV` and `GITHUB_OUTPUT` to what later steps see.
pub fn settle(state: &mut JobState, step_id: Option<&str>) {
    if let Some(content) = state.take("$GITHUB_ENV") {
        for (name, value) in assignments(&content) {
            state.added.insert(name, value);
        }
    }
    if let Some(content) = state.take("$GITHUB_PATH") {
        for line in lines(&content) {
            state.search(&line.template());
        }
    }
    // Only the end of the same action reads it, and only for its secrets is it kept.
    if let Some(content) = state.take("$GITHUB_STATE").filter(Value::carries) {
        state.write("$GITHUB_STATE", content.only_carried(), true);
    }
    if let Some(content) = state.take("$GITHUB_OUTPUT") {
        let id = step_id.unwrap_or("").to_ascii_lowercase();
        for (name, value) in assignments(&content) {
            state.outputs.insert((id.clone(), name.to_ascii_lowercase()), value);
        }
    }
}

/// `NAME=value` and `NAME<<END … END` lines (GitHub, "Workflow commands: environment files").
fn assignments(content: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut lines = lines(content).into_iter();
    while let Some(line) = lines.next() {
        let prefix = line.prefix().to_owned();
        let equals = prefix.find('=');
        let heredoc = prefix.find("<<").filter(|at| equals.is_none_or(|equals| *at < equals));
        if let Some(at) = heredoc {
            let name = prefix.get(..at).unwrap_or("").trim().to_owned();
            let end = line.template().get(at + 2..).unwrap_or("").trim().to_owned();
            let mut value = Value::empty();
            for line in lines.by_ref() {
                if line.template().trim() == end {
                    break;
                }
                if !value.is_empty() {
                    value.push_text("\n");
                }
                value.append(line);
            }
            found.push((name, value));
        } else if let Some(at) = equals {
            let name = prefix.get(..at).unwrap_or("").trim().to_owned();
            let mut value = Value::text(prefix.get(at + 1..).unwrap_or("").to_owned());
            for part in line.parts.into_iter().skip(1) {
                value.push(part);
            }
            found.push((name, value));
        } else if line.carries() {
            // A computed name (`echo "$NAME=$VALUE"`): it may be any.
            found.push(("*".to_owned(), line));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::value::Part;
    use super::*;

    #[test]
    fn environment_files_are_read_in_both_forms() {
        let mut content = Value::text("A=1\nB<<END\nx\n");
        content.push(Part::Configured("c".to_owned()));
        content.push_text("\nEND\n");
        let found = assignments(&content);
        assert_eq!(found[0].1.template(), "1");
        assert_eq!((found[1].0.as_str(), found[1].1.template().as_str()), ("B", "x\n${c}"));
    }

    #[test]
    fn files_are_found_by_folder_and_pattern() {
        let mut state = JobState::default();
        state.write("./out/a.txt", Value::text("a"), false);
        state.write("out/b.log", Value::text("b"), false);
        assert_eq!(state.read("out").unwrap().template(), "ab");
        assert_eq!(state.read("out/*.log").unwrap().template(), "b");
        assert_eq!(state.read(".").unwrap().template(), "ab");
        assert!(state.read("other").is_none());
    }
}
