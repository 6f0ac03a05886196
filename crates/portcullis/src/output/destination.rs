//! Where output goes: standard output, or a file that holds the old contents until the new ones are whole.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tempfile::NamedTempFile;

/// A writer that must be [finished](Destination::finish); one that is dropped instead leaves no trace in a file.
pub(crate) struct Destination {
    out: Box<dyn Write + Send>,
    file: Option<Unfinished>,
}

/// A file beside the one that it will replace.
struct Unfinished {
    written: NamedTempFile,
    path: PathBuf,
}

impl Destination {
    /// Standard output; colours only where it is a terminal that shows them.
    pub(crate) fn stdout() -> Self {
        Self { out: Box::new(anstream::stdout()), file: None }
    }

    /// The file if one is given, else standard output.
    pub(crate) fn new(path: Option<&Path>) -> anyhow::Result<Self> {
        path.map_or_else(|| Ok(Self::stdout()), Self::to_file)
    }

    /// A new file appears, or an old one is replaced, when all is written and on the disk. Devices and pipes are written
    /// to as they are. A link is refused: where a scanned tree is the working folder, it may lead anywhere.
    fn to_file(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("writing `{}`", path.display());
        let old = std::fs::metadata(path).ok();
        if old.as_ref().is_some_and(|old| old.is_dir()) {
            bail!("{}: it is a folder", context());
        }
        if old.as_ref().is_some_and(|old| !old.is_file()) || is_own_stream(path) {
            let device = File::options().write(true).open(path).with_context(context)?;
            return Ok(Self { out: Box::new(anstream::StripStream::new(device)), file: None });
        }
        refuse_link(path).with_context(context)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".portcullis-");
        let written =
            builder.permissions(permissions(old.as_ref())).tempfile_in(folder).with_context(context)?;
        if let Some(old) = old {
            written.as_file().set_permissions(old.permissions()).with_context(context)?;
        }
        // Colours stay out of files.
        let plain = anstream::StripStream::new(written.as_file().try_clone().with_context(context)?);
        let file = Some(Unfinished { written, path: path.to_owned() });
        Ok(Self { out: Box::new(BufWriter::new(plain)), file })
    }

    /// Everything is written: puts a file in its place.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        self.out.flush().context("writing what was found")?;
        if let Some(Unfinished { written, path }) = self.file {
            let context = || format!("writing `{}`", path.display());
            written.as_file().sync_all().with_context(context)?;
            written.persist(&path).with_context(context)?;
        }
        Ok(())
    }
}

/// What a new file gets, before the process's mask takes away from it.
fn permissions(old: Option<&std::fs::Metadata>) -> Permissions {
    use std::os::unix::fs::PermissionsExt;
    old.map_or_else(|| Permissions::from_mode(0o666), std::fs::Metadata::permissions)
}

/// Refuses to write through a link: where a scanned tree is the working folder, it may lead anywhere.
pub(crate) fn refuse_link(path: &Path) -> anyhow::Result<()> {
    if std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        bail!("it is a link, and links are not followed; give the path of the file itself");
    }
    Ok(())
}

/// `/dev/stdout` and its like are links to whatever the process has open.
fn is_own_stream(path: &Path) -> bool {
    let is_one = |name: &str| path == Path::new(name);
    ["/dev/stdout", "/dev/stderr"].into_iter().any(is_one)
        || ["/dev/fd", "/proc/self/fd"].iter().any(|folder| path.starts_with(folder))
}

impl Write for Destination {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.out.write(buffer)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_processs_own_streams_are_links_that_are_followed() {
        for path in ["/dev/stdout", "/dev/stderr", "/dev/fd/3", "/proc/self/fd/1"] {
            assert!(is_own_stream(Path::new(path)), "{path}");
        }
        for path in ["/dev/shm/result.json", "/dev/stdoutx", "dev/stdout", "/proc/1/fd/1"] {
            assert!(!is_own_stream(Path::new(path)), "{path}");
        }
    }
}
