//! Where paths lead at every commit of a history, as numbers: what a workflow calls is compared over all commits that hold
//! it, and comparing numbers costs nothing beside looking every path up in every tree again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use gix::ObjectId;

use super::{CalledPaths, PARTS_MAX};
use crate::history::{Column, Commit, Entry, History};
use crate::objects::Objects;

/// Most numbers that are kept for one repository; all are made anew beyond it.
const NUMBERS_MAX: usize = 16 * 1024 * 1024;
/// A number that is not known yet.
const UNKNOWN: u32 = u32::MAX;

/// What is kept of one repository's paths.
#[derive(Default)]
pub(super) struct Across {
    tables: Mutex<HashMap<String, Arc<OnceLock<Arc<Table>>>>>,
}

/// Where one path leads at each commit.
pub(crate) struct Table {
    /// By commit: which of the states.
    numbers: Vec<u32>,
    states: Vec<State>,
    /// By state: the first one that is the same file, or none as well.
    files: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    Nothing,
    File(ObjectId),
    Folder(ObjectId),
    /// A link is on the way, so that it depends on the whole tree where it leads.
    Linked(Option<ObjectId>),
}

impl State {
    fn file(self) -> Option<ObjectId> {
        match self {
            Self::File(id) => Some(id),
            Self::Linked(id) => id,
            Self::Nothing | Self::Folder(_) => None,
        }
    }
}

impl Table {
    /// The same number for two commits: the path leads to the same file.
    pub(crate) fn number(&self, commit: usize) -> u32 {
        let state = self.numbers.get(commit).copied().unwrap_or(0);
        self.files.get(state as usize).copied().unwrap_or(UNKNOWN)
    }
}

/// States and the numbers they got.
#[derive(Default)]
struct Numbered {
    states: Vec<State>,
    numbers: HashMap<State, u32>,
}

impl Numbered {
    fn number(&mut self, state: State) -> u32 {
        *self.numbers.entry(state).or_insert_with(|| {
            self.states.push(state);
            self.states.len() as u32 - 1
        })
    }
}

impl CalledPaths {
    /// Where a path leads at each commit; `None` for one that has to be looked up in each tree.
    pub(crate) fn across(&self, objects: &Objects, history: &History, path: &str) -> Option<Arc<Table>> {
        let is_plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        (is_plain && path.split('/').count() <= PARTS_MAX).then(|| self.table(objects, history, path))
    }

    fn table(&self, objects: &Objects, history: &History, path: &str) -> Arc<Table> {
        let cell = match self.across.tables.lock() {
            Ok(mut tables) => {
                if (tables.len() + 1).saturating_mul(history.commits.len()) > NUMBERS_MAX {
                    tables.clear();
                }
                Arc::clone(tables.entry(path.to_owned()).or_default())
            }
            Err(_) => Arc::default(),
        };
        Arc::clone(cell.get_or_init(|| Arc::new(self.build(objects, history, path))))
    }

    fn build(&self, objects: &Objects, history: &History, path: &str) -> Table {
        let (folder, name) = match path.rsplit_once('/') {
            Some((folder, name)) => (Some(self.table(objects, history, folder)), name),
            None => (None, path),
        };
        let mut numbered = Numbered::default();
        let top = match &folder {
            None => Some(self.tops.column(history.commits.iter().map(|commit| commit.text.tree), name)),
            Some(_) => None,
        };
        let is_nowhere = matches!(&top, Some(Column::Nowhere))
            || folder.as_ref().is_some_and(|folder| folder.states == [State::Nothing]);
        if is_nowhere {
            return Table { numbers: Vec::new(), states: vec![State::Nothing], files: vec![0] };
        }
        let top = if let Some(Column::Of(top)) = top { top } else { Vec::new() };
        let mut below: Vec<u32> = vec![UNKNOWN; folder.as_ref().map_or(0, |folder| folder.states.len())];
        let mut numbers: Vec<u32> = Vec::with_capacity(history.commits.len());
        for (at, commit) in history.commits.iter().enumerate() {
            let Some(folder) = &folder else {
                let entry = top.get(at).copied().flatten();
                let entry = entry.unwrap_or_else(|| self.entry(objects, commit.text.tree, name));
                let state = self.state(objects, commit, path, entry);
                numbers.push(numbered.number(state));
                continue;
            };
            let place = folder.numbers.get(at).copied().unwrap_or(0) as usize;
            let known = below.get(place).copied().unwrap_or(UNKNOWN);
            if known != UNKNOWN {
                numbers.push(known);
                continue;
            }
            let state = match folder.states.get(place) {
                Some(State::Folder(id)) => {
                    let entry = self.entry(objects, *id, name);
                    self.state(objects, commit, path, entry)
                }
                Some(State::Linked(_)) => self.linked(objects, commit, path),
                _ => State::Nothing,
            };
            let number = numbered.number(state);
            if let (Some(below), false) = (below.get_mut(place), matches!(state, State::Linked(_))) {
                *below = number;
            }
            numbers.push(number);
        }
        let mut first: HashMap<Option<ObjectId>, u32> = HashMap::new();
        let files = (0..).zip(&numbered.states);
        let files = files.map(|(number, state)| *first.entry(state.file()).or_insert(number)).collect();
        Table { numbers, states: numbered.states, files }
    }

    fn state(&self, objects: &Objects, commit: &Commit, path: &str, entry: Entry) -> State {
        match entry {
            Entry::Nothing => State::Nothing,
            Entry::File(id) => State::File(id),
            Entry::Folder(id) => State::Folder(id),
            Entry::Link(_) => self.linked(objects, commit, path),
        }
    }

    fn linked(&self, objects: &Objects, commit: &Commit, path: &str) -> State {
        let tree = commit.text.tree;
        State::Linked(self.file(objects, tree, path).id(tree.kind()))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::history::{self, Extra};
    use crate::objects;

    /// A history whose files come, go, change, turn into folders and hide behind links.
    fn history_of(folder: &std::path::Path) {
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.arg("-C").arg(folder).args(arguments);
            command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
            command
        };
        assert!(git(&["init", "-q", "--bare"]).status().unwrap().success());
        let mut import = String::new();
        for at in 0..200_usize {
            write!(
                import,
                "commit refs/heads/main\ncommitter a <a@example.test> {} +0000\ndata 1\nx\n",
                1_000 + at
            )
            .unwrap();
            let mut put = |mode: &str, path: &str, text: &str| {
                write!(import, "M {mode} inline {path}\ndata {}\n{text}\n", text.len()).unwrap();
            };
            put("100644", "other.txt", &at.to_string());
            match at % 10 {
                0 => put("100644", "ci/tools/run.sh", &format!("echo {}\n", at / 20)),
                2 => put("100644", "top.sh", "echo top\n"),
                3 => put("120000", "linked", if at % 20 == 3 { "ci" } else { "ci/tools" }),
                5 => import.push_str("D top.sh\n"),
                7 if at > 100 => put("100644", "ci/tools", "a file now\n"),
                8 => import.push_str("D ci/tools\n"),
                _ => {}
            }
        }
        let mut child = git(&["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(import.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn the_numbers_tell_what_looking_up_tells() {
        let folder = tempfile::tempdir().unwrap();
        history_of(folder.path());
        let objects = objects::open(folder.path()).unwrap();
        let history = history::read(&objects, &Extra::default());
        assert_eq!(history.commits.len(), 200);
        let called = CalledPaths::new(Arc::clone(&history.tops));
        let looked = CalledPaths::new(Arc::default());
        let mut files = 0;
        for path in [
            "ci/tools/run.sh",
            "ci/tools",
            "ci",
            "top.sh",
            "linked/run.sh",
            "linked/tools/run.sh",
            "linked",
            "no",
            "no/more",
        ] {
            let table = called.across(&objects, &history, path).unwrap();
            let mut numbers: HashMap<Option<ObjectId>, u32> = HashMap::new();
            for (at, commit) in history.commits.iter().enumerate() {
                let tree = commit.text.tree;
                let id = looked.file(&objects, tree, path).id(tree.kind());
                files += usize::from(id.is_some());
                assert_eq!(
                    *numbers.entry(id).or_insert_with(|| table.number(at)),
                    table.number(at),
                    "{path} at {at}"
                );
            }
            let distinct: std::collections::HashSet<u32> = numbers.values().copied().collect();
            assert_eq!(distinct.len(), numbers.len(), "{path}: two files with one number");
        }
        assert!(files > 200, "{files}");
        assert!(called.across(&objects, &history, "./ci/tools/run.sh").is_none());
        assert!(called.across(&objects, &history, &vec!["a"; PARTS_MAX + 1].join("/")).is_none());
    }
}
