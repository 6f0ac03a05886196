//! What decides what following a step leads to, as one hash.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::flow::value::{Carried, Part, Source, Trail, Value};
use crate::flow::{Tracer, sorted};
use crate::span::Bytes;

/// Most secrets that a step may meet; more are not worth comparing.
const TRAILS_MAX: usize = 256;

pub(super) type Key = [u8; 32];

/// The ways by which the secrets that a step meets have come.
#[derive(Clone)]
pub(super) struct Ways {
    pub(super) trails: Vec<Trail>,
    /// The files whose hops decide nothing: that of the step, and those that called it.
    files: Vec<usize>,
    /// The paths of the trace's files.
    paths: Arc<Vec<String>>,
}

impl Ways {
    /// None yet, for the steps in one of the trace's files that others called.
    pub(super) fn through(tracer: &Tracer<'_>, callers: &[usize], home: usize) -> Self {
        let files = callers.iter().copied().chain([home]).collect();
        let mut ways = Self { trails: Vec::new(), files, paths: Arc::default() };
        ways.note_files(tracer);
        ways
    }

    /// Notes the paths of files that were opened since.
    pub(super) fn note_files(&mut self, tracer: &Tracer<'_>) {
        let files = &tracer.trace.files;
        if files.len() != self.paths.len() {
            self.paths = Arc::new(files.iter().map(|file| file.path.clone()).collect());
        }
    }
}

/// Adds a stretch with its length, so that no two lists of stretches give the same.
pub(super) fn add(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

pub(super) fn add_values(hash: &mut Sha256, met: &mut Ways, values: &HashMap<String, Value>) -> Option<()> {
    for (name, value) in sorted(values) {
        add(hash, name.as_bytes());
        add_value(hash, met, value)?;
    }
    hash.update([u8::MAX; 16]);
    Some(())
}

/// Adds a value. Of a secret's way it adds only which other secrets came the same way; the way itself is noted in `met`.
pub(super) fn add_value(hash: &mut Sha256, met: &mut Ways, value: &Value) -> Option<()> {
    for part in &value.parts {
        let (kind, text) = match part {
            Part::Text(text) => (0, text.as_str()),
            Part::Configured(name) => (1, name.as_str()),
            Part::Untrusted(name) => (2, name.as_str()),
            Part::Run(name) => (3, name.as_str()),
            Part::Remote(address) => (4, address.as_str()),
            Part::Unknown => (5, ""),
            Part::Unset => (7, ""),
            Part::Carried(carried) => {
                add_carried(hash, met, carried)?;
                continue;
            }
        };
        hash.update([kind]);
        add(hash, text.as_bytes());
    }
    hash.update([u8::MAX - 1]);
    Some(())
}

fn add_carried(hash: &mut Sha256, met: &mut Ways, carried: &Carried) -> Option<()> {
    if met.trails.len() >= TRAILS_MAX {
        return None;
    }
    // A hop in another file may be one that this step makes, too, and the same hop twice counts once.
    if !carried.trail.is_in(&met.files) {
        for hop in carried.trail.hops().iter().filter(|hop| !met.files.contains(&hop.file)) {
            add(hash, met.paths.get(hop.file)?.as_bytes());
            add(hash, hop.what.unescaped().as_bytes());
            hash.update([hop.kind as u8]);
            hash.update(hop.bytes.start.to_le_bytes());
            hash.update(hop.bytes.end.to_le_bytes());
        }
        hash.update([u8::MAX; 16]);
    }
    let same = met.trails.iter().position(|trail| trail.is(&carried.trail)).unwrap_or(met.trails.len());
    if same == met.trails.len() {
        met.trails.push(carried.trail.clone());
    }
    let asked_for = carried.source == Source::MintedToken && carried.is_asked_for();
    hash.update([6, u8::from(carried.dropped), u8::from(carried.is_copied()), u8::from(asked_for)]);
    hash.update((same as u64).to_le_bytes());
    add(hash, format!("{:?}", carried.source).as_bytes());
    hash.update((carried.encodings.len() as u64).to_le_bytes());
    for encoding in &carried.encodings {
        hash.update([*encoding as u8]);
    }
    Some(())
}

pub(super) fn digest(text: &str) -> Key {
    Sha256::digest(text.as_bytes()).into()
}

/// The whole lines that a node stands on, and the empty ones after it: those count in block scalars that keep them.
pub(super) fn stretch_of(text: &str, bytes: Bytes) -> Range<u32> {
    let range = bytes.range();
    let start = text.get(..range.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    // A block scalar's bytes may reach into the next line's indentation.
    let content = text.get(start..range.end).map_or(range.end, |own| start + own.trim_end().len());
    let rest = text.get(content..).unwrap_or("");
    let end = rest.find('\n').map_or(text.len(), |at| {
        let line = content + at + 1;
        let after = text.get(line..).unwrap_or("");
        let empty = after.len() - after.trim_start_matches([' ', '\t', '\r', '\n']).len();
        // Back to the start of the line with the next content, whose indentation is its own.
        after.get(..empty).and_then(|empty| empty.rfind('\n')).map_or(line, |at| line + at + 1)
    });
    let bytes = Bytes::new(start..end);
    bytes.start..bytes.end
}

/// Whether a text may have YAML anchors, by which a step has parts elsewhere.
pub(in crate::flow) fn may_have_anchors(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.match_indices('&').any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|at| bytes.get(at)).copied().unwrap_or(b'\n');
        let after = bytes.get(at + 1).copied().unwrap_or(b' ');
        let begins =
            before.is_ascii_whitespace() || matches!(before, b'[' | b'{' | b',' | b':' | b'-' | b'?');
        begins && !after.is_ascii_whitespace() && after != b'&'
    })
}
