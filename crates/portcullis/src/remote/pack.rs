//! A pack that a stranger sent: measured before anything of it is decoded, then given an index.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use flate2::bufread::ZlibDecoder;

use super::error::RemoteError;

/// Most objects of a pack.
const OBJECT_LIMIT: u64 = 50_000_000;
/// Largest object, as its head says.
const SIZE_LIMIT: u64 = 256 << 20;
/// Most bytes of all objects together once they are unpacked. Trees unpack to many times their size.
const UNPACKED_LIMIT: u64 = 256 << 30;
/// Most deltas one upon another. `git` makes 50 at most by itself and can be told to make 4,095.
const DEPTH_LIMIT: u32 = 4_096;
/// Most memory for one object while the index is made.
const MEMORY_LIMIT: usize = 512 << 20;

/// What a pack may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    objects: u64,
    size: u64,
    unpacked: u64,
    depth: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { objects: OBJECT_LIMIT, size: SIZE_LIMIT, unpacked: UNPACKED_LIMIT, depth: DEPTH_LIMIT }
    }
}

/// Checks a pack and writes it with its index to `folder`. Blocking.
pub(crate) fn keep(pack: &Path, folder: &Path, hash: gix::hash::Kind, host: &str) -> Result<(), RemoteError> {
    let open = || std::fs::File::open(pack).map(|file| BufReader::with_capacity(1 << 16, file));
    if measure(&mut open().map_err(RemoteError::disk)?, hash, Bounds::default(), host)? == 0 {
        return Ok(());
    }
    let options = gix_pack::bundle::write::Options {
        thread_limit: Some(2),
        alloc_limit_bytes: Some(MEMORY_LIMIT),
        ..gix_pack::bundle::write::Options::default()
    };
    gix_pack::Bundle::write_to_directory(
        &mut open().map_err(RemoteError::disk)?,
        Some(folder),
        &mut gix::progress::Discard,
        &AtomicBool::new(false),
        None::<gix::objs::find::Never>,
        hash,
        options,
    )
    .map_err(|error| RemoteError::answer(host, format!("its pack is broken: {error}")))?;
    Ok(())
}

/// Walks a pack from head to trailer without keeping anything of it, and says how many objects it has.
fn measure(
    pack: &mut impl BufRead,
    hash: gix::hash::Kind,
    bounds: Bounds,
    host: &str,
) -> Result<u64, RemoteError> {
    let mut pack = Counted { inner: pack, at: 0 };
    let broken = |what: &str| RemoteError::answer(host, format!("its pack is broken: {what}"));
    let cut = |_: std::io::Error| broken("it breaks off");
    let mut head = [0; 12];
    pack.read_exact(&mut head).map_err(cut)?;
    let [b'P', b'A', b'C', b'K', 0, 0, 0, 2, count @ ..] = head else {
        return Err(broken("it is no pack of version 2"));
    };
    let count = u64::from(u32::from_be_bytes(count));
    within("the objects of a repository", count, bounds.objects)?;
    let mut unpacked = 0_u64;
    // How deep the delta at an offset is. Those whose base has a name instead of a place are counted as one more than the
    // deepest so far: the server is asked for places, so there are none as a rule.
    let mut depths: HashMap<u64, u32> = HashMap::new();
    let mut deepest = 0;
    for _ in 0..count {
        let start = pack.at;
        let (kind, size) = object_head(&mut pack).map_err(cut)?;
        within("the bytes of one object", size, bounds.size)?;
        let depth = match kind {
            1..=4 => 0,
            6 => {
                let distance = offset(&mut pack).map_err(cut)?;
                let base = start.checked_sub(distance).filter(|_| distance > 0);
                let base = base.ok_or_else(|| broken("a delta builds on what is not there"))?;
                depths.get(&base).copied().unwrap_or(0) + 1
            }
            7 => {
                let mut base = vec![0; hash.len_in_bytes()];
                pack.read_exact(&mut base).map_err(cut)?;
                deepest + 1
            }
            _ => return Err(broken("an object of an unknown kind")),
        };
        deepest = deepest.max(depth);
        within("deltas one upon another", u64::from(depth), u64::from(bounds.depth))?;
        if depth > 0 {
            depths.insert(start, depth);
        }
        let result =
            inflate(&mut pack, size, depth > 0).map_err(|_| broken("an object can't be unpacked"))?;
        within("the bytes of one object", result, bounds.size)?;
        unpacked = unpacked.saturating_add(result);
        within("the unpacked bytes of a repository", unpacked, bounds.unpacked)?;
    }
    let mut trailer = vec![0; hash.len_in_bytes()];
    pack.read_exact(&mut trailer).map_err(cut)?;
    if pack.read(&mut [0]).map_err(cut)? != 0 {
        return Err(broken("something follows its end"));
    }
    Ok(count)
}

fn within(what: &'static str, value: u64, limit: u64) -> Result<(), RemoteError> {
    if value > limit { Err(RemoteError::TooLarge { what, limit }) } else { Ok(()) }
}

/// Unpacks `size` bytes, no more, keeping none; how large the object is in the end, which a delta says at its beginning.
fn inflate(pack: &mut Counted<'_, impl BufRead>, size: u64, is_delta: bool) -> std::io::Result<u64> {
    let mut inflated = ZlibDecoder::new(pack);
    let result = if is_delta {
        let mut delta = Counted { inner: &mut BufReader::with_capacity(4_096, &mut inflated), at: 0 };
        let _base = size_in_delta(&mut delta)?;
        let result = size_in_delta(&mut delta)?;
        let read = delta.at;
        let rest =
            std::io::copy(&mut delta.inner.take((size + 1).saturating_sub(read)), &mut std::io::sink())?;
        if read + rest != size {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        result
    } else {
        let read = std::io::copy(&mut (&mut inflated).take(size + 1), &mut std::io::sink())?;
        if read != size {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        size
    };
    Ok(result)
}

/// Kind and size, as pack-format.txt has them.
fn object_head(from: &mut impl Read) -> std::io::Result<(u8, u64)> {
    let first = byte(from)?;
    let (mut size, mut shift, mut last) = (u64::from(first & 15), 4, first);
    while last & 0x80 != 0 {
        last = byte(from)?;
        size |= bits(last, shift)?;
        shift += 7;
    }
    Ok(((first >> 4) & 7, size))
}

fn size_in_delta(from: &mut impl Read) -> std::io::Result<u64> {
    let (mut size, mut shift) = (0, 0);
    loop {
        let last = byte(from)?;
        size |= bits(last, shift)?;
        shift += 7;
        if last & 0x80 == 0 {
            return Ok(size);
        }
    }
}

fn bits(byte: u8, shift: u32) -> std::io::Result<u64> {
    if shift > 56 {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    Ok(u64::from(byte & 0x7f) << shift)
}

fn offset(from: &mut impl Read) -> std::io::Result<u64> {
    let mut last = byte(from)?;
    let mut value = u64::from(last & 0x7f);
    while last & 0x80 != 0 {
        last = byte(from)?;
        value = value
            .checked_add(1)
            .filter(|value| value >> 56 == 0)
            .map(|value| value << 7 | u64::from(last & 0x7f))
            .ok_or(std::io::ErrorKind::InvalidData)?;
    }
    Ok(value)
}

fn byte(from: &mut impl Read) -> std::io::Result<u8> {
    let mut one = [0];
    from.read_exact(&mut one)?;
    let [byte] = one;
    Ok(byte)
}

/// Knows where in the pack it is.
struct Counted<'r, R> {
    inner: &'r mut R,
    at: u64,
}

impl<R: BufRead> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<'_, R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.at += count as u64;
        self.inner.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const SHA1: gix::hash::Kind = gix::hash::Kind::Sha1;

    fn deflated(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn head(kind: u8, mut size: usize) -> Vec<u8> {
        let mut bytes = vec![kind << 4 | (size & 15) as u8];
        size >>= 4;
        while size > 0 {
            *bytes.last_mut().unwrap() |= 0x80;
            bytes.push((size & 0x7f) as u8);
            size >>= 7;
        }
        bytes
    }

    fn blob(content: &[u8]) -> Vec<u8> {
        [head(3, content.len()), deflated(content)].concat()
    }

    /// A delta on the object that begins `distance` bytes before it.
    fn delta(distance: u8, from: u8, to: u8, claimed: u64) -> Vec<u8> {
        let mut claim = Vec::new();
        let mut rest = claimed;
        while rest > 0x7f {
            claim.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        claim.push(rest as u8);
        let instructions = [vec![from], claim, vec![0x90, to]].concat();
        [head(6, instructions.len()), vec![distance], deflated(&instructions)].concat()
    }

    fn pack(objects: &[Vec<u8>]) -> Vec<u8> {
        let count = (objects.len() as u32).to_be_bytes();
        [b"PACK\0\0\0\x02".to_vec(), count.to_vec(), objects.concat(), vec![0; 20]].concat()
    }

    fn measured(pack: &[u8], bounds: Bounds) -> Result<u64, RemoteError> {
        measure(&mut &*pack, SHA1, bounds, "forge.example")
    }

    #[test]
    fn what_is_within_the_bounds_passes_and_one_more_does_not() {
        let bounds = Bounds { objects: 2, size: 100, unpacked: 150, depth: 1 };
        let good = pack(&[blob(&[7; 100]), blob(&[8; 50])]);
        assert_eq!(measured(&good, bounds), Ok(2));
        for too_much in [
            pack(&[blob(&[7; 101])]),
            pack(&[blob(&[7; 100]), blob(&[8; 51])]),
            pack(&[blob(b"a"), blob(b"b"), blob(b"c")]),
        ] {
            assert!(matches!(measured(&too_much, bounds), Err(RemoteError::TooLarge { .. })));
        }
    }

    #[test]
    fn deltas_are_bounded_by_what_they_make_and_by_their_depth() {
        let bounds = Bounds { objects: 9, size: 100, unpacked: 1_000, depth: 1 };
        let base = blob(&[7; 10]);
        let first = delta(base.len() as u8, 10, 10, 10);
        let second = delta(first.len() as u8, 10, 10, 10);
        assert_eq!(measured(&pack(&[base.clone(), first.clone()]), bounds), Ok(2));
        let deep = pack(&[base.clone(), first, second]);
        assert!(matches!(measured(&deep, bounds), Err(RemoteError::TooLarge { .. })));
        assert_eq!(measured(&deep, Bounds { depth: 2, ..bounds }), Ok(3));
        for (claimed, passes) in [(100, true), (101, false), (1 << 40, false)] {
            let bomb = pack(&[base.clone(), delta(base.len() as u8, 10, 10, claimed)]);
            assert_eq!(measured(&bomb, bounds).is_ok(), passes, "{claimed}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_sent_is_measured_to_an_end(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400), count in 0_u32..4) {
            let _ = measured(&bytes, Bounds::default());
            let begun = [b"PACK\0\0\0\x02".to_vec(), count.to_be_bytes().to_vec(), bytes].concat();
            let _ = measured(&begun, Bounds::default());
        }

        #[test]
        fn a_good_pack_with_a_changed_byte_is_measured_to_an_end(at in 12_usize..200, to in proptest::num::u8::ANY) {
            let base = blob(&[7; 100]);
            let mut good = pack(&[base.clone(), delta(base.len() as u8, 100, 100, 100), blob(b"x")]);
            if let Some(byte) = good.get_mut(at) {
                *byte = to;
            }
            let _ = measured(&good, Bounds { objects: 9, size: 1_000, unpacked: 2_000, depth: 2 });
        }
    }

    #[test]
    fn a_head_that_lies_about_a_size_is_a_broken_pack() {
        for (said, real) in [(10, 11), (11, 10)] {
            let lie = [head(3, said), deflated(&vec![7; real])].concat();
            assert!(matches!(measured(&pack(&[lie]), Bounds::default()), Err(RemoteError::Answer { .. })));
        }
        for wrong in [b"PACK".to_vec(), pack(&[blob(b"x")])[..20].to_vec(), [pack(&[]), vec![0]].concat()] {
            assert!(measured(&wrong, Bounds::default()).is_err());
        }
    }
}
