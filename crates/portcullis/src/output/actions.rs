//! The log of a GitHub Actions job, where a line can be a command to the runner.
//!
//! `::name::` at the start of a line, after any white space, and `##[name]` anywhere in it are commands
//! (docs.github.com, "Workflow commands for GitHub Actions"). Text of a repository would forge them, so it stands between marks that switch commands off, with
//! a word that nobody can know before.

use std::io::{self, Write};

/// Whether this is a job of GitHub Actions.
fn in_job() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// Whether standard output is such a log. A file that it is directed into is none.
pub(crate) fn is_log() -> bool {
    use std::os::fd::AsFd;
    let own = std::io::stdout().as_fd().try_clone_to_owned().map(std::fs::File::from);
    in_job() && !own.and_then(|file| file.metadata()).is_ok_and(|metadata| metadata.is_file())
}

/// Prints for people: what `write` prints, between marks where it goes into the log of a job.
pub(crate) fn marked<W: Write>(
    out: &mut W,
    is_log: bool,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    if !is_log {
        return write(out);
    }
    // Whole before the first byte is printed: whatever fails on the way leaves no mark open.
    let mut text = Vec::new();
    write(&mut text)?;
    let word = uuid::Uuid::new_v4().simple().to_string();
    writeln!(out, "::stop-commands::{word}")?;
    out.write_all(&without_brackets(&text))?;
    if !text.ends_with(b"\n") {
        writeln!(out)?;
    }
    writeln!(out, "::{word}::")
}

/// The old form, `##[name]`, also colours and folds lines where the log is shown, whatever the marks say.
fn without_brackets(text: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(text).replace("##[", "##\\u{5b}").into_bytes()
}

/// Standard error, for lines that no marks protect: the runner reads it beside standard output, in no order that is known.
pub(crate) fn stderr() -> impl Write {
    Neutral { out: anstream::stderr(), line: Vec::new(), in_job: in_job() }
}

/// Lines that are no command, whatever they hold.
struct Neutral<W: Write> {
    out: W,
    line: Vec<u8>,
    in_job: bool,
}

impl<W: Write> Write for Neutral<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        for piece in buffer.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.flush()?;
            }
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        if self.in_job {
            // The runner trims what Unicode calls white space.
            if String::from_utf8_lossy(&line).trim_start().starts_with("::") {
                self.out.write_all(b"| ")?;
            }
            self.out.write_all(&without_brackets(&line))
        } else {
            self.out.write_all(&line)
        }
    }
}

impl<W: Write> Drop for Neutral<W> {
    fn drop(&mut self) {
        // Nobody is left to tell that standard error is gone.
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_off_while_the_text_stands() {
        let printed = |is_log| {
            let mut out = Vec::new();
            marked(&mut out, is_log, |out| out.write_all(b"::error::x\n##[group]y")).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(printed(false), "::error::x\n##[group]y");
        let (one, other) = (printed(true), printed(true));
        assert_ne!(one, other, "the word is known before");
        let lines: Vec<&str> = one.lines().collect();
        let word = lines[0].strip_prefix("::stop-commands::").unwrap();
        assert!(word.len() == 32 && word.chars().all(|c| c.is_ascii_hexdigit()));
        assert_eq!(lines[1..], ["::error::x", "##\\u{5b}group]y", &format!("::{word}::")]);
    }

    #[test]
    fn what_fails_leaves_no_mark() {
        let mut out = Vec::new();
        let failed = marked(&mut out, true, |out| {
            out.write_all(b"x")?;
            Err(io::Error::other("broken"))
        });
        assert!(failed.is_err() && out.is_empty());
    }

    #[test]
    fn an_error_is_no_command() {
        let printed = |in_job| {
            let mut out = Vec::new();
            let mut neutral = Neutral { out: &mut out, line: Vec::new(), in_job };
            neutral.write_all(b"a\n  :").unwrap();
            neutral.write_all(b":error::b\n##[c]").unwrap();
            drop(neutral);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(printed(true), "a\n|   ::error::b\n##\\u{5b}c]");
        assert_eq!(printed(false), "a\n  ::error::b\n##[c]");
    }
}
