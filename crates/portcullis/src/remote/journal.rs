//! The file that a stopped scan of many repositories goes on from: one line for the scan that it belongs to, then one for each
//! repository that is done, with what was found in it.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use portcullis_scan::report::{Finding, Problem, RepositoryName, Stats};
use portcullis_scan::text::RepositoryText;
use portcullis_scan::{Options, Part};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest line that is read, in bytes.
const LINE_LIMIT: u64 = 256 << 20;
const SCHEMA: &str = "portcullis.resume/1";

/// A journal that is open.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    done: HashMap<String, Entry>,
}

/// A repository that is done.
pub(crate) struct Done {
    /// What it shows.
    pub(crate) part: Part,
    /// What was counted.
    pub(crate) stats: Stats,
    /// Whether everything in it could be looked at.
    pub(crate) complete: bool,
}

#[derive(Serialize, Deserialize, PartialEq)]
struct Head {
    schema: String,
    version: String,
    asked: Vec<String>,
    /// Of everything else that decides what is found.
    options: String,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    repository: RepositoryName,
    pushed_at: Option<String>,
    complete: bool,
    stats: Stats,
    findings: Vec<Finding>,
    problems: Vec<Problem>,
    texts: BTreeMap<String, RepositoryText>,
}

impl Journal {
    /// Opens or begins a journal for what is asked.
    ///
    /// # Errors
    /// Where the file can't be read or written, or is of another scan.
    pub(crate) fn open(path: &Path, asked: &[String], options: &Options) -> anyhow::Result<Self> {
        let head = Head {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            asked: asked.to_owned(),
            options: digest(options),
        };
        let doing = || format!("going on from `{}`", path.display());
        crate::output::refuse_link(path).with_context(doing)?;
        let mut file = open_private(path).with_context(doing)?;
        let mut reader = BufReader::new(&file);
        let mut done = HashMap::new();
        let mut whole = 0;
        while let Some(line) = line(&mut reader, LINE_LIMIT).with_context(doing)? {
            if whole == 0 {
                let said: Head = serde_json::from_slice(&line)
                    .map_err(|_| {
                        anyhow::anyhow!("it is no file of an earlier scan; name one that is not there yet")
                    })
                    .with_context(doing)?;
                if said != head {
                    bail!(
                        "going on from `{}`: it is of a scan of other addresses, or with other options or another version; \
                         scan as then, or remove the file to begin anew",
                        path.display()
                    );
                }
            } else {
                let Ok(entry) = serde_json::from_slice::<Entry>(&line) else { break };
                done.insert(entry.repository.given.clone(), entry);
            }
            whole += line.len() as u64 + 1;
        }
        drop(reader);
        if whole == 0 && file.metadata().with_context(doing)?.len() > 0 {
            bail!(
                "going on from `{}`: it is no file of an earlier scan; name one that is not there yet",
                path.display()
            );
        }
        // What a stopped run wrote of its last line is cut off.
        file.set_len(whole).with_context(doing)?;
        file.seek(SeekFrom::End(0)).with_context(doing)?;
        let mut journal = Self { path: path.to_owned(), file, done };
        if whole == 0 {
            journal.write(&head)?;
        }
        Ok(journal)
    }

    /// Whether a repository is done, and nothing was pushed to it since. What doesn't tell when it was pushed to, an address
    /// for one, is never done.
    pub(crate) fn has(&self, name: &RepositoryName, pushed_at: Option<&str>) -> bool {
        let done = self.done.get(&name.given);
        done.is_some_and(|entry| pushed_at.is_some() && entry.pushed_at.as_deref() == pushed_at)
    }

    /// What was found in a repository that is done.
    pub(crate) fn take(&mut self, name: &RepositoryName, pushed_at: Option<&str>) -> Option<Done> {
        if !self.has(name, pushed_at) {
            return None;
        }
        let Entry { repository, complete, stats, findings, problems, texts, .. } =
            self.done.remove(&name.given)?;
        let part = Part { repository, findings, problems, texts, read: true, ..Part::default() };
        Some(Done { part, stats, complete })
    }

    /// Notes that a repository is done.
    pub(crate) fn add(
        &mut self,
        part: &Part,
        stats: &Stats,
        complete: bool,
        pushed_at: Option<&str>,
    ) -> anyhow::Result<()> {
        self.write(&Entry {
            repository: part.repository.clone(),
            pushed_at: pushed_at.map(str::to_owned),
            complete,
            stats: stats.clone(),
            findings: part.findings.clone(),
            problems: part.problems.clone(),
            texts: part.texts.clone(),
        })
    }

    /// Ends the run. A scan that is through leaves nothing to go on from: the next one begins anew.
    pub(crate) fn close(self, through: bool) -> anyhow::Result<()> {
        let Self { path, file, .. } = self;
        drop(file);
        if through {
            std::fs::remove_file(&path).with_context(|| format!("removing `{}`", path.display()))?;
        }
        Ok(())
    }

    fn write(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .and_then(|()| self.file.sync_data())
            .with_context(|| format!("writing `{}`", self.path.display()))
    }
}

/// What is found in private repositories is nobody else's business.
fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // One that was there already, empty, may be everybody's.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// The next whole line, without its end.
fn line(reader: &mut impl BufRead, limit: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.take(limit).read_until(b'\n', &mut line)?;
    Ok((line.pop() == Some(b'\n')).then_some(line))
}

fn digest(options: &Options) -> String {
    let Options { history, identity, heads, refs, since, since_commit, indicators, .. } = options;
    let said = format!("{:?}", (history, identity, heads, refs, since, since_commit, indicators));
    Sha256::digest(said).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(given: &str) -> Part {
        let repository = RepositoryName { given: given.to_owned(), identity: None };
        let problem = Problem {
            repository: repository.clone(),
            path: None,
            kind: String::from("x"),
            what: String::new(),
        };
        Part { repository, problems: vec![problem], read: true, ..Part::default() }
    }

    fn asked() -> Vec<String> {
        vec![String::from("github:example-org")]
    }

    #[test]
    fn a_journal_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let options = Options::default();
        let mut journal = Journal::open(&path, &asked(), &options).unwrap();
        let stats = Stats { commits: 7, ..Stats::default() };
        journal.add(&part("a"), &stats, false, Some("2026-01-01")).unwrap();
        // A line that a stopped run did not finish.
        journal.file.write_all(b"{\"repository\":").unwrap();
        drop(journal);
        let mut journal = Journal::open(&path, &asked(), &options).unwrap();
        let name = part("a").repository;
        assert!(!journal.has(&name, Some("2026-01-02")), "it was pushed to since");
        let done = journal.take(&name, Some("2026-01-01")).unwrap();
        assert_eq!((done.stats.commits, done.complete, done.part.problems.len()), (7, false, 1));
        journal.add(&part("b"), &stats, true, None).unwrap();
        drop(journal);
        let nameless = Journal::open(&path, &asked(), &options).unwrap();
        assert!(!nameless.has(&part("b").repository, None), "nobody knows whether it was pushed to since");
        drop(nameless);
        let journal = Journal::open(&path, &asked(), &options).unwrap();
        assert_eq!(journal.done.len(), 2);
        journal.close(false).unwrap();
        assert!(path.exists());
        Journal::open(&path, &asked(), &options).unwrap().close(true).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_journal_of_another_scan_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        Journal::open(&path, &asked(), &Options::default()).unwrap();
        let other = Options { history: false, ..Options::default() };
        assert!(Journal::open(&path, &asked(), &other).is_err());
        assert!(Journal::open(&path, &[], &Options::default()).is_err());
        for notes in ["somebody's notes\n", "somebody's notes"] {
            std::fs::write(&path, notes).unwrap();
            assert!(Journal::open(&path, &asked(), &Options::default()).is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), notes);
        }
    }

    #[test]
    fn a_line_has_a_limit() {
        assert_eq!(line(&mut b"abc\n".as_slice(), 4).unwrap(), Some(b"abc".to_vec()));
        assert_eq!(line(&mut b"abc\n".as_slice(), 3).unwrap(), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_journal_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        for before in [None, Some(0o644)] {
            if let Some(mode) = before {
                std::fs::write(&path, "").unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            }
            Journal::open(&path, &asked(), &Options::default()).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &link).unwrap();
        assert!(Journal::open(&link, &asked(), &Options::default()).is_err());
        assert!(!folder.path().join("elsewhere").exists());
    }
}
