//! What a distribution must hold, found out without unpacking it: every read is bounded, nothing is written or run.

use std::io::Read;
use std::path::Path;

use async_zip::Compression;
use async_zip::tokio::read::seek::ZipFileReader;
use futures::AsyncReadExt as _;
use tokio::io::BufReader;

use crate::upload::UploadError;

/// Most members of an archive.
const MEMBERS_LIMIT: usize = 100_000;
/// Largest METADATA, WHEEL, RECORD or PKG-INFO that is read, in bytes.
const METADATA_LIMIT: u64 = 8 * 1024 * 1024;
/// Archives that unpack to more than this and to more than [`RATIO_LIMIT`] times their size are refused (PyPI's rule).
const UNPACKED_FREE: u64 = 64 * 1024 * 1024;
/// See [`UNPACKED_FREE`].
const RATIO_LIMIT: u64 = 50;

fn refused(detail: impl std::fmt::Display) -> UploadError {
    UploadError::invalid(format!("Invalid distribution file. {detail}"))
}

fn framing(detail: impl std::fmt::Display) -> UploadError {
    refused(format!("ZIP archive not accepted: {detail}."))
}

/// A member's name that would leave the folder it is unpacked into, or that two readers read differently.
fn is_unsafe_name(name: &str) -> bool {
    name.starts_with('/')
        || name.contains('\\')
        || name.chars().any(|character| character.is_control())
        || name.split('/').any(|part| part == "..")
        || name.as_bytes().get(1) == Some(&b':')
}

/// Checks a wheel and returns its METADATA, byte for byte.
///
/// # Errors
/// Why it is no wheel of this name.
pub async fn check_wheel(path: &Path, filename: &str) -> Result<Vec<u8>, UploadError> {
    let file = tokio::fs::File::open(path).await.map_err(UploadError::storage)?;
    let size = file.metadata().await.map_err(UploadError::storage)?.len();
    let mut magic = [0_u8; 4];
    {
        use tokio::io::{AsyncReadExt, AsyncSeekExt};
        let mut file = tokio::fs::File::open(path).await.map_err(UploadError::storage)?;
        let read = file.read_exact(&mut magic).await;
        if read.is_err() || !matches!(&magic, b"PK\x03\x04" | b"PK\x05\x06") {
            return Err(refused("File is not a zipfile"));
        }
        file.rewind().await.map_err(UploadError::storage)?;
    }
    let mut archive = ZipFileReader::with_tokio(BufReader::new(file)).await.map_err(framing)?;
    let dist_info = dist_info(filename)?;
    let mut names = Vec::new();
    let mut unpacked: u64 = 0;
    let mut tiles = Vec::new();
    if archive.file().entries().len() > MEMBERS_LIMIT {
        return Err(framing(format!("more than {MEMBERS_LIMIT} members")));
    }
    for entry in archive.file().entries() {
        let name = entry.filename().as_str().map_err(|_| framing("Filename not valid UTF-8"))?.to_owned();
        if is_unsafe_name(&name) {
            return Err(framing("Invalid character in filename"));
        }
        if !matches!(entry.compression(), Compression::Stored | Compression::Deflate) {
            return Err(refused("File does not use a supported compression type"));
        }
        unpacked = unpacked.saturating_add(entry.uncompressed_size());
        tiles.push((entry.header_offset(), entry.compressed_size()));
        names.push(name);
    }
    check_ratio(unpacked, size)?;
    check_names(&names)?;
    check_tiles(&mut tiles)?;
    let wheel = format!("{dist_info}/WHEEL");
    if !names.contains(&wheel) {
        return Err(refused(format!("WHEEL not found at {wheel}")));
    }
    let record = format!("{dist_info}/RECORD");
    if member(&mut archive, &names, &record).await?.is_none() {
        return Err(UploadError::invalid(format!(
            "Wheel '{filename}' does not contain the required RECORD file: {record}"
        )));
    }
    let metadata = format!("{dist_info}/METADATA");
    member(&mut archive, &names, &metadata).await?.ok_or_else(|| {
        UploadError::invalid(format!(
            "Wheel '{filename}' does not contain the required METADATA file: {metadata}"
        ))
    })
}

fn dist_info(filename: &str) -> Result<String, UploadError> {
    let mut parts = filename.split('-');
    match (parts.next(), parts.next()) {
        (Some(name), Some(version)) => Ok(format!("{name}-{version}.dist-info")),
        _ => Err(refused("Unable to parse name and version from wheel filename")),
    }
}

fn check_ratio(unpacked: u64, size: u64) -> Result<(), UploadError> {
    if unpacked > UNPACKED_FREE && unpacked > size.saturating_mul(RATIO_LIMIT) {
        return Err(refused(format!("File exceeds compression ratio of {RATIO_LIMIT}")));
    }
    Ok(())
}

fn check_names(names: &[String]) -> Result<(), UploadError> {
    let mut seen = std::collections::HashSet::with_capacity(names.len());
    if names.iter().all(|name| seen.insert(name.as_str())) {
        return Ok(());
    }
    Err(framing("Duplicate filename in central directory"))
}

/// The members must begin at byte 0 and must not lie inside each other: a prefix or a hidden member is read by some
/// programs and not by others.
fn check_tiles(tiles: &mut [(u64, u64)]) -> Result<(), UploadError> {
    tiles.sort_unstable();
    if tiles.first().is_some_and(|(start, _)| *start != 0) {
        return Err(framing("Unknown record signature"));
    }
    for pair in tiles.windows(2) {
        if let [(start, size), (next, _)] = pair {
            // A local header is 30 bytes and the name; the gap check is left to the reader, which compares both headers.
            if start.saturating_add(30).saturating_add(*size) > *next {
                return Err(framing("Mis-matched local headers and central directory"));
            }
        }
    }
    Ok(())
}

type Archive = ZipFileReader<BufReader<tokio::fs::File>>;

async fn member(
    archive: &mut Archive,
    names: &[String],
    wanted: &str,
) -> Result<Option<Vec<u8>>, UploadError> {
    let Some(index) = names.iter().position(|name| name == wanted) else { return Ok(None) };
    let too_large = || refused(format!("{wanted} is larger than {METADATA_LIMIT} bytes"));
    let announced = archive.file().entries().get(index).map_or(0, |entry| entry.uncompressed_size());
    if announced > METADATA_LIMIT {
        return Err(too_large());
    }
    let mut reader = archive.reader_with_entry(index).await.map_err(framing)?;
    let mut content = Vec::new();
    let mut chunk = vec![0_u8; 64 * 1024];
    loop {
        let read = reader.read(&mut chunk).await.map_err(framing)?;
        if read == 0 {
            break;
        }
        content.extend_from_slice(chunk.get(..read).unwrap_or_default());
        // What is announced may be a lie: a bomb must be stopped while it unpacks.
        if content.len() as u64 > announced {
            return Err(framing("Mis-matched file size"));
        }
    }
    let crc32 = reader.entry().crc32();
    if content.len() as u64 != announced || reader.compute_hash() != crc32 {
        return Err(framing("Mis-matched file size"));
    }
    Ok(Some(content))
}

/// Checks an sdist and returns its PKG-INFO, byte for byte. Blocking: call it where that may be.
///
/// # Errors
/// Why it is no source distribution.
pub fn check_sdist(path: &Path) -> Result<Vec<u8>, UploadError> {
    let file = std::fs::File::open(path).map_err(UploadError::storage)?;
    let size = file.metadata().map_err(UploadError::storage)?.len();
    let allowed = UNPACKED_FREE.max(size.saturating_mul(RATIO_LIMIT));
    let stream = flate2::read::GzDecoder::new(std::io::BufReader::new(file)).take(allowed.saturating_add(1));
    let mut archive = tar::Archive::new(stream);
    let mut top: Option<String> = None;
    let mut package_info = None;
    let mut members = 0;
    let mut unpacked: u64 = 0;
    for entry in archive.entries().map_err(|_| refused("File is not a tarfile"))? {
        let mut entry = entry.map_err(|_| refused("File is not a tarfile"))?;
        members += 1;
        if members > MEMBERS_LIMIT {
            return Err(refused(format!("tar archive not accepted: more than {MEMBERS_LIMIT} members")));
        }
        unpacked = unpacked.saturating_add(entry.size());
        check_ratio(unpacked, size)?;
        if entry.header().entry_type().is_gnu_sparse() {
            return Err(refused("tar archive not accepted: Sparse members are not allowed."));
        }
        let name = entry.path_bytes().into_owned();
        let name = String::from_utf8(name)
            .map_err(|_| refused("tar archive not accepted: Filename not valid UTF-8"))?;
        if is_unsafe_name(&name) {
            return Err(refused("tar archive not accepted: Invalid character in filename"));
        }
        let first = name.trim_start_matches("./").split('/').next().unwrap_or_default().to_owned();
        if first.is_empty() {
            continue;
        }
        if top.get_or_insert_with(|| first.clone()) != &first {
            return Err(refused("Incorrect number of top-level directories in sdist"));
        }
        if name.trim_start_matches("./") == format!("{first}/PKG-INFO") {
            let mut content = Vec::new();
            entry
                .by_ref()
                .take(METADATA_LIMIT + 1)
                .read_to_end(&mut content)
                .map_err(|_| refused("File is not a tarfile"))?;
            if content.len() as u64 > METADATA_LIMIT {
                return Err(refused(format!("PKG-INFO is larger than {METADATA_LIMIT} bytes")));
            }
            package_info = Some(content);
        }
    }
    let Some(top) = top else { return Err(refused("File is not a tarfile")) };
    package_info.ok_or_else(|| refused(format!("PKG-INFO not found at {top}/PKG-INFO")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_are_unsafe() {
        for name in ["/etc/x", "../x", "a/../b", "a\\b", "c:x", "a\u{1}b"] {
            assert!(is_unsafe_name(name), "{name:?}");
        }
        for name in ["a/b", "a..b/c", "a/.b", "ä/ö"] {
            assert!(!is_unsafe_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_bomb_is_refused_by_its_ratio_and_a_large_file_is_not() {
        assert!(check_ratio(UNPACKED_FREE, 1).is_ok());
        assert!(check_ratio(UNPACKED_FREE + 1, 1).is_err());
        assert!(check_ratio(50 * 2 * UNPACKED_FREE, 2 * UNPACKED_FREE).is_ok());
        assert!(check_ratio(50 * 2 * UNPACKED_FREE + 1, 2 * UNPACKED_FREE).is_err());
    }

    #[test]
    fn members_begin_at_byte_zero_and_do_not_overlap() {
        assert!(check_tiles(&mut [(0, 10), (60, 5)]).is_ok());
        assert!(check_tiles(&mut [(4, 10)]).is_err());
        assert!(check_tiles(&mut [(0, 100), (60, 5)]).is_err());
    }
}
