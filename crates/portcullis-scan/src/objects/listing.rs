//! Which objects are commits, told by the headers of pack entries alone: no object is inflated to learn its kind.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::odb::pack::data::entry::Header;
use gix::odb::pack::{data, index};

/// Ids by what is known of their kind.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Commits, pack by pack in the order in which they lie there: neighbours share what their deltas build on.
    pub(super) commits: Vec<ObjectId>,
    /// Loose objects and those whose kind their pack entry doesn't tell.
    pub(super) untold: Vec<ObjectId>,
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
    for (offset, id) in &entries {
        let header = pack.entry(*offset).map(|entry| entry.header);
        let this = match header {
            Ok(Header::Commit) => Told::Commit,
            Ok(Header::Tree | Header::Blob | Header::Tag) => Told::Other,
            // A base lies before what builds on it, so it is told already.
            Ok(Header::OfsDelta { base_distance }) => {
                Header::verified_base_pack_offset(*offset, base_distance)
                    .and_then(|base| entries.binary_search_by_key(&base, |(offset, _)| *offset).ok())
                    .and_then(|at| told.get(at).copied())
                    .unwrap_or(Told::Nothing)
            }
            Ok(Header::RefDelta { .. }) | Err(_) => Told::Nothing,
        };
        match this {
            Told::Commit => listing.commits.push(*id),
            Told::Other => {}
            Told::Nothing => listing.untold.push(*id),
        }
        told.push(this);
    }
    Ok(())
}
