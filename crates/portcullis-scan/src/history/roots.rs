//! What stands in the top folders of a history. Each commit has its own, and they differ in little: an entry is kept once, and
//! a folder is the numbers of its entries.

use std::collections::HashMap;
use std::sync::RwLock;

use gix::ObjectId;
use gix::objs::TreeRefIter;

use crate::objects::{ObjectError, TreeEntry};

/// Most entries of all folders together that are kept.
const KEPT_MAX: usize = 16 * 1024 * 1024;
/// Most of them that differ.
const DISTINCT_MAX: usize = 512 * 1024;

/// What a name is in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Entry {
    /// There is no such name, or only a submodule.
    Nothing,
    /// A regular file.
    File(ObjectId),
    /// A folder.
    Folder(ObjectId),
    /// A symbolic link.
    Link(ObjectId),
}

impl Entry {
    /// What an entry of a tree is.
    pub(crate) fn of(entry: &TreeEntry) -> Self {
        match (entry.is_tree, entry.is_file) {
            (true, _) => Self::Folder(entry.id),
            (_, true) => Self::File(entry.id),
            _ if entry.is_link => Self::Link(entry.id),
            _ => Self::Nothing,
        }
    }
}

/// The top folders that were read.
#[derive(Debug, Default)]
pub(crate) struct Roots(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    names: HashMap<String, u32>,
    entries: Vec<(u32, Entry)>,
    numbers: HashMap<(u32, Entry), u32>,
    folders: HashMap<ObjectId, Box<[u32]>>,
    kept: usize,
    /// Whether there was no room for one.
    is_cut: bool,
}

impl Known {
    fn entry(&self, folder: ObjectId, name: u32) -> Option<Entry> {
        let entries =
            self.folders.get(&folder)?.iter().rev().filter_map(|number| self.entries.get(*number as usize));
        // Of two of the same name, which git makes in no tree, the last counts everywhere.
        Some(entries.into_iter().find(|entry| entry.0 == name).map_or(Entry::Nothing, |entry| entry.1))
    }

    fn number(&mut self, entry: &TreeEntry) -> u32 {
        let next = self.names.len() as u32;
        let name = match self.names.get(&entry.name) {
            Some(name) => *name,
            None => *self.names.entry(entry.name.clone()).or_insert(next),
        };
        let entry = (name, Entry::of(entry));
        let next = self.entries.len() as u32;
        let number = *self.numbers.entry(entry).or_insert(next);
        if number == next {
            self.entries.push(entry);
        }
        number
    }

    /// The number of an entry, as long as there is room for one more.
    fn number_within(&mut self, entry: &TreeEntry) -> Option<u32> {
        (self.entries.len() < DISTINCT_MAX).then(|| self.number(entry))
    }

    fn keep(&mut self, folder: ObjectId, numbers: Option<Box<[u32]>>) {
        match numbers {
            Some(numbers) if self.kept + numbers.len() <= KEPT_MAX => {
                self.kept += numbers.len();
                self.folders.insert(folder, numbers);
            }
            _ => self.is_cut = true,
        }
    }
}

/// Reads folders one after the other. Most entries of one stood in the one before, byte for byte: those are neither decoded
/// nor looked up again.
pub(super) struct Reading<'r> {
    roots: &'r Roots,
    /// The folder before, and where its entries end in it.
    bytes: Vec<u8>,
    entries: Vec<Stored>,
}

/// An entry of the folder before.
#[derive(Clone, Copy)]
struct Stored {
    start: usize,
    end: usize,
    /// Its number, if there was room for it.
    number: Option<u32>,
    leads: bool,
}

impl Reading<'_> {
    /// Keeps what stands in a folder, as long as there is room, and returns what can lead to a workflow or an action.
    pub(super) fn keep(&mut self, folder: ObjectId, tree: &[u8]) -> Result<Vec<TreeEntry>, ObjectError> {
        let before = std::mem::take(&mut self.entries);
        let earlier = std::mem::take(&mut self.bytes);
        let mut leading = Vec::new();
        let mut read: Vec<Stored> = Vec::with_capacity(before.len() + 1);
        let (mut at, mut start) = (0, 0);
        while let Some(rest) = tree.get(start..).filter(|rest| !rest.is_empty()) {
            // One that is gone is stepped over; one that is new leaves the place as it is.
            let same = (at..at + 2).find_map(|at| {
                let entry = before.get(at)?;
                rest.starts_with(earlier.get(entry.start..entry.end)?).then_some((at, *entry))
            });
            let entry = match same {
                Some((place, entry)) => {
                    at = place + 1;
                    Stored { start, end: start + entry.end - entry.start, ..entry }
                }
                None => {
                    let broken = || ObjectError::Broken(folder);
                    let stored = TreeRefIter::from_bytes(rest, folder.kind()).next();
                    let stored = stored.and_then(Result::ok).ok_or_else(broken)?;
                    let name = rest.iter().position(|byte| *byte == 0).ok_or_else(broken)?;
                    let replaced = before.get(at).and_then(|entry| earlier.get(entry.start..entry.end));
                    if replaced.zip(rest.get(..=name)).is_some_and(|(old, name)| old.starts_with(name)) {
                        at += 1;
                    }
                    let entry = TreeEntry::of(&stored);
                    let number = self.roots.0.write().ok().and_then(|mut known| known.number_within(&entry));
                    let end = start + name + 1 + folder.kind().len_in_bytes();
                    Stored { start, end, number, leads: leads(&entry) }
                }
            };
            if entry.leads {
                let stored = TreeRefIter::from_bytes(rest, folder.kind()).next();
                leading.extend(stored.and_then(Result::ok).map(|stored| TreeEntry::of(&stored)));
            }
            start = entry.end;
            read.push(entry);
        }
        if let Ok(mut known) = self.roots.0.write() {
            known.keep(folder, read.iter().map(|entry| entry.number).collect());
        }
        self.entries = read;
        self.bytes = earlier;
        self.bytes.clear();
        self.bytes.extend_from_slice(tree);
        Ok(leading)
    }
}

/// Whether an entry of a top folder can lead to a workflow or an action.
fn leads(entry: &TreeEntry) -> bool {
    let folder = matches!(entry.name.as_str(), ".github" | ".gitea" | ".forgejo");
    (entry.is_tree && folder) || (entry.is_file && crate::source::is_workflow_path(&entry.name))
}

impl Roots {
    /// Reads folders in a thread of its own.
    pub(super) fn reading(&self) -> Reading<'_> {
        Reading { roots: self, bytes: Vec::new(), entries: Vec::new() }
    }

    /// What a name is in a folder; `None` if the folder was not kept.
    pub(crate) fn entry(&self, folder: ObjectId, name: &str) -> Option<Entry> {
        let known = self.0.read().ok()?;
        match known.names.get(name) {
            Some(name) => known.entry(folder, *name),
            None => known.folders.contains_key(&folder).then_some(Entry::Nothing),
        }
    }

    /// What a name is in each of these folders, or `None` for those that were not kept; nothing at all where no folder has
    /// the name.
    pub(crate) fn column(&self, folders: impl Iterator<Item = ObjectId>, name: &str) -> Column {
        let Ok(known) = self.0.read() else { return Column::Of(Vec::new()) };
        let name = known.names.get(name).copied();
        if name.is_none() && !known.is_cut {
            return Column::Nowhere;
        }
        let mut before = None;
        let entry = |folder| match (&before, name) {
            (Some((same, entry)), _) if *same == folder => *entry,
            (_, Some(name)) => {
                let entry = known.entry(folder, name);
                before = Some((folder, entry));
                entry
            }
            (_, None) => known.folders.contains_key(&folder).then_some(Entry::Nothing),
        };
        Column::Of(folders.map(entry).collect())
    }
}

/// What one name is in many folders.
pub(crate) enum Column {
    /// Nothing in all of them.
    Nowhere,
    /// By folder.
    Of(Vec<Option<Entry>>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(last: u8) -> ObjectId {
        ObjectId::Sha1([last; 20])
    }

    fn tree(entries: &[(&str, &str, u8)]) -> Vec<u8> {
        let entries = entries
            .iter()
            .map(|(mode, name, last)| [format!("{mode} {name}\0").as_bytes(), id(*last).as_slice()].concat());
        entries.collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_folder_is_kept_at_the_limit_and_not_past_it() {
        let limits: [fn(&mut Known); 2] = [
            |known| known.kept = KEPT_MAX - 1,
            |known| known.entries = vec![(u32::MAX, Entry::Nothing); DISTINCT_MAX - 1],
        ];
        for fill in limits {
            let roots = Roots::default();
            fill(&mut roots.0.write().unwrap());
            roots.reading().keep(id(1), &tree(&[("100644", "a", 9)])).unwrap();
            assert_eq!(roots.entry(id(1), "a"), Some(Entry::File(id(9))));
            assert!(matches!(roots.column([id(1)].into_iter(), "b"), Column::Nowhere));
            roots.reading().keep(id(2), &tree(&[("100644", "b", 9)])).unwrap();
            assert_eq!(roots.entry(id(2), "b"), None, "to be looked up");
            let Column::Of(column) = roots.column([id(1), id(2)].into_iter(), "b") else {
                panic!("what was not kept is not nowhere")
            };
            assert_eq!(column, [Some(Entry::Nothing), None]);
        }
    }

    #[test]
    fn of_two_of_the_same_name_the_last_counts() {
        let roots = Roots::default();
        let entries = [("100644", "a", 7), ("100644", "b", 1), ("100644", "a", 8)];
        roots.reading().keep(id(1), &tree(&entries)).unwrap();
        assert_eq!(roots.entry(id(1), "a"), Some(Entry::File(id(8))));
    }

    #[test]
    fn a_folder_read_after_another_is_read_as_if_it_were_the_first() {
        let folders: &[&[(&str, &str, u8)]] = &[
            &[("40000", ".github", 1), ("100644", "a", 2), ("100644", "b", 3), ("120000", "c", 4)],
            &[("40000", ".github", 1), ("100644", "a", 9), ("100644", "b", 3), ("120000", "c", 4)],
            &[("40000", ".github", 5), ("100644", "action.yml", 3), ("100644", "b", 3), ("100644", "c", 4)],
            &[("100644", "b", 3), ("100644", "c", 4)],
            &[],
            &[("100644", "action.yml", 3), ("40000", "b", 3), ("100644", "bb", 3), ("160000", "c", 4)],
            &[("40000", ".github", 5), ("40000", "b", 3), ("100644", "bb", 3), ("160000", "c", 4)],
        ];
        let (after, alone) = (Roots::default(), Roots::default());
        let mut reading = after.reading();
        for (number, entries) in (1..).zip(folders) {
            let tree = tree(entries);
            let leading = reading.keep(id(number), &tree).unwrap();
            let expected = alone.reading().keep(id(number), &tree).unwrap();
            let shown = |entries: &[TreeEntry]| format!("{entries:?}");
            assert_eq!(shown(&leading), shown(&expected), "{number}");
            let leads = |name: &str| matches!(name, ".github" | "action.yml");
            assert_eq!(leading.len(), entries.iter().filter(|(_, name, _)| leads(name)).count(), "{number}");
        }
        for number in 1..=folders.len() as u8 {
            for name in [".github", "a", "action.yml", "b", "bb", "c", "d"] {
                assert_eq!(
                    after.entry(id(number), name),
                    alone.entry(id(number), name),
                    "{name} in {number}"
                );
            }
        }
        assert_eq!(after.entry(id(6), "b"), Some(Entry::Folder(id(3))));
        for broken in [&b"100644 a"[..], b"100644 a\0short", b"\0", b"abc a\x001234567890123456789x"] {
            assert!(reading.keep(id(9), broken).is_err(), "{}", broken.escape_ascii());
        }
    }
}
