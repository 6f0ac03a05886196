//! Which objects are commits, told by the headers of pack entries alone: no object is inflated to learn its kind.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::odb::pack::data::entry::Header;
use gix::odb::pack::{data, index};

use super::CHAIN_MAX;

/// Ids by what is known of their kind.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Commits, pack by pack in the order in which they lie there: neighbours share what their deltas build on.
    pub(super) commits: Vec<ObjectId>,
    /// Loose objects and those whose kind their pack entry doesn't tell.
    pub(super) untold: Vec<ObjectId>,
    /// Objects at the end of longer chains of deltas than are followed.
    pub(super) deep: HashSet<ObjectId>,
    /// What could not be listed.
    pub(super) problems: Vec<String>,
}

/// Lists the commits of all packs below `objects/pack`.
pub(super) fn packed(objects: &Path, hash: gix::hash::Kind) -> Listing {
    let mut listing = Listing::default();
    let mut indices: Vec<PathBuf> = std::fs::read_dir(objects.join("pack"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "idx"))
        .collect();
    indices.sort();
    for path in indices {
        if let Err(what) = pack(&path, hash, &mut listing) {
            listing.problems.push(what);
        }
    }
    let mut seen = HashSet::new();
    listing.commits.retain(|id| seen.insert(*id));
    listing
}

/// What an entry's header says, before deltas are followed to their bases.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Commit,
    Other,
    Nothing,
}

fn pack(path: &Path, hash: gix::hash::Kind, listing: &mut Listing) -> Result<(), String> {
    let named = |error: gix::Error| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        format!("reading the pack of `{}`: {error}", crate::text::escape(&name, crate::text::Lines::One))
    };
    let index = index::File::at(path, hash).map_err(&named)?;
    let pack = data::File::at(path.with_extension("pack"), hash).map_err(named)?;
    let mut entries: Vec<(u64, ObjectId)> =
        index.iter().map(|entry| (entry.pack_offset, entry.oid)).collect();
    entries.sort_unstable_by_key(|(offset, _)| *offset);
    let mut told: Vec<Told> = Vec::with_capacity(entries.len());
    let mut bases: Vec<Option<usize>> = Vec::with_capacity(entries.len());
    for (offset, id) in &entries {
        let header = pack.entry(*offset).map(|entry| entry.header);
        let base = match &header {
            Ok(Header::OfsDelta { base_distance }) => {
                Header::verified_base_pack_offset(*offset, *base_distance)
            }
            Ok(Header::RefDelta { base_id }) => {
                index.lookup(base_id).map(|at| index.pack_offset_at_index(at))
            }
            _ => None,
        };
        let base = base.and_then(|base| entries.binary_search_by_key(&base, |(offset, _)| *offset).ok());
        let this = match header {
            Ok(Header::Commit) => Told::Commit,
            Ok(Header::Tree | Header::Blob | Header::Tag) => Told::Other,
            // A base lies before what builds on it, so it is told already.
            Ok(Header::OfsDelta { .. }) => base.and_then(|at| told.get(at).copied()).unwrap_or(Told::Nothing),
            Ok(Header::RefDelta { .. }) | Err(_) => Told::Nothing,
        };
        match this {
            Told::Commit => listing.commits.push(*id),
            Told::Other => {}
            Told::Nothing => listing.untold.push(*id),
        }
        told.push(this);
        bases.push(base);
    }
    let deep = too_deep(&bases);
    listing.deep.extend(deep.into_iter().filter_map(|at| entries.get(at)).map(|(_, id)| *id));
    Ok(())
}

/// Which entries have longer chains below them than are followed, or one that never ends.
fn too_deep(bases: &[Option<usize>]) -> Vec<usize> {
    let mut depths: Vec<Option<u32>> = vec![None; bases.len()];
    for start in 0..bases.len() {
        // Down to what is known, then up again; a base may lie behind what builds on it.
        let mut chain = Vec::new();
        let mut at = start;
        let mut depth = loop {
            match depths.get(at).copied().flatten() {
                Some(known) => break known,
                None if chain.len() > bases.len() => break CHAIN_MAX,
                None => chain.push(at),
            }
            match bases.get(at).copied().flatten() {
                Some(base) => at = base,
                None => {
                    if let Some(depth) = chain.pop().and_then(|whole| depths.get_mut(whole)) {
                        *depth = Some(0);
                    }
                    break 0;
                }
            }
        };
        for at in chain.into_iter().rev() {
            depth = depth.saturating_add(1);
            if let Some(known) = depths.get_mut(at) {
                *known = Some(depth);
            }
        }
    }
    depths
        .iter()
        .enumerate()
        .filter(|(_, depth)| depth.is_some_and(|depth| depth > CHAIN_MAX))
        .map(|(at, _)| at)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_measured_whatever_the_order() {
        let limit = CHAIN_MAX as usize;
        let forward: Vec<_> = (0..limit + 3).map(|at: usize| at.checked_sub(1)).collect();
        assert_eq!(too_deep(&forward), [limit + 1, limit + 2]);
        let backward: Vec<_> = (0..limit + 2).map(|at| (at <= limit).then_some(at + 1)).collect();
        assert_eq!(too_deep(&backward), [0]);
        assert_eq!(too_deep(&[Some(1), Some(2), Some(0), None, Some(3)]), [0, 1, 2]);
    }
}
