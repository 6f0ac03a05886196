//! What stands in the top folders of a history. Each commit has its own, and they differ in little: an entry is kept once, and
//! a folder is the numbers of its entries.

use std::collections::HashMap;
use std::sync::RwLock;

use gix::ObjectId;

use crate::objects::TreeEntry;

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
}

impl Roots {
    /// Keeps what stands in a folder, as long as there is room.
    pub(super) fn keep(&self, folder: ObjectId, read: &[TreeEntry]) {
        let Ok(mut known) = self.0.write() else { return };
        if known.kept + read.len() > KEPT_MAX || known.entries.len() + read.len() > DISTINCT_MAX {
            known.is_cut = true;
            return;
        }
        known.kept += read.len();
        let numbers = read.iter().map(|entry| known.number(entry)).collect();
        known.folders.insert(folder, numbers);
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

    fn file(name: &str, last: u8) -> TreeEntry {
        TreeEntry { name: name.to_owned(), is_tree: false, is_file: true, is_link: false, id: id(last) }
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
            roots.keep(id(1), &[file("a", 9)]);
            assert_eq!(roots.entry(id(1), "a"), Some(Entry::File(id(9))));
            assert!(matches!(roots.column([id(1)].into_iter(), "b"), Column::Nowhere));
            roots.keep(id(2), &[file("b", 9)]);
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
        roots.keep(id(1), &[file("a", 7), file("b", 1), file("a", 8)]);
        assert_eq!(roots.entry(id(1), "a"), Some(Entry::File(id(8))));
    }
}
