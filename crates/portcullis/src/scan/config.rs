//! `--config FILE`: the operator's settings for scans, which lie outside of what is scanned.
//!
//! The file is never looked for. It decides what is accepted, so nobody who can write to a scanned tree may have a hand
//! in it: a file inside the tree is refused, and so is one that is reached through a link in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::MinVerdict;
use super::accepted::Acceptance;
use crate::output::Format;

/// Largest settings file that is read, in bytes. Ten thousand acceptances with a sentence each fit.
const SIZE_MAX: u64 = 1 << 20;
/// Most links on the way to the file; as many as Linux follows.
const LINKS_MAX: usize = 40;

/// What stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    scan: Settings,
}

/// The keys under `[scan]`: the long names of the command line's options, and what only a file can say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Settings {
    pub(super) format: Option<Format>,
    #[serde(alias = "min_verdict")]
    pub(super) min_verdict: Option<MinVerdict>,
    #[serde(alias = "no_history")]
    pub(super) no_history: Option<bool>,
    pub(super) since: Option<String>,
    pub(super) refs: Option<String>,
    pub(super) jobs: Option<usize>,
    pub(super) explain: Option<bool>,
    pub(super) strict: Option<bool>,
    /// Files of indicators; relative to this file.
    pub(super) indicators: Vec<PathBuf>,
    /// Findings that the operator accepts.
    accept: Accept,
    /// Hosts of the operator's own; each covers what lies below it.
    #[serde(alias = "trusted_hosts")]
    pub(super) trusted_hosts: BTreeSet<String>,
    /// Owners of repositories and actions that may receive secrets: `HOST/OWNER`.
    #[serde(alias = "trusted_owners")]
    pub(super) trusted_owners: BTreeSet<String>,
}

/// `{ "ID" = "reason" }`, a list of `"ID=reason"` as on the command line, or tables with more to say.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Accept {
    Reasons(BTreeMap<String, String>),
    Words(Vec<String>),
    Tables(Vec<AcceptTable>),
}

impl Default for Accept {
    fn default() -> Self {
        Accept::Words(Vec::new())
    }
}

/// One acceptance with the repository that it is limited to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptTable {
    id: String,
    reason: String,
    repository: Option<String>,
}

impl Settings {
    /// The acceptances, checked.
    pub(super) fn acceptances(&self, file: &Path) -> anyhow::Result<Vec<Acceptance>> {
        let acceptances = match &self.accept {
            Accept::Reasons(reasons) => {
                reasons.iter().map(|(id, reason)| Acceptance::new(id, reason, None)).collect()
            }
            Accept::Words(words) => words.iter().map(|text| Acceptance::parse(text)).collect(),
            Accept::Tables(tables) => tables
                .iter()
                .map(|table| Acceptance::new(&table.id, &table.reason, table.repository.as_deref()))
                .collect::<anyhow::Result<Vec<_>>>(),
        };
        acceptances.with_context(|| format!("reading `accept` in `{}`", file.display()))
    }
}

/// Reads the file, which must lie outside every tree that is scanned.
pub(super) fn read(file: &Path, scanned: &[PathBuf]) -> anyhow::Result<Settings> {
    let stops = way_to(file).with_context(|| format!("reading --config `{}`", file.display()))?;
    for path in scanned {
        let Some(tree) = tree_of(path) else { continue };
        if stops.iter().any(|stop| stop.starts_with(&tree)) {
            bail!(
                "reading --config `{}`: it lies inside `{}`, which is scanned; whoever writes to that repository could accept \
                 their own theft with it. Keep the settings outside, and give that path",
                file.display(),
                path.display()
            );
        }
    }
    if !std::fs::metadata(file).is_ok_and(|metadata| metadata.is_file()) {
        bail!("reading --config `{}`: it is no regular file", file.display());
    }
    let text =
        super::text(file, SIZE_MAX).with_context(|| format!("reading --config `{}`", file.display()))?;
    let parsed: File = toml::from_str(&text).with_context(|| {
        format!("reading --config `{}`: expected a table `[scan]` with its keys", file.display())
    })?;
    let mut settings = parsed.scan;
    let folder = file.parent().unwrap_or(Path::new(""));
    for path in &mut settings.indicators {
        *path = folder.join(&path);
    }
    settings.trusted_hosts = settings.trusted_hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
    settings.trusted_owners =
        settings.trusted_owners.iter().map(|owner| owner.to_ascii_lowercase()).collect();
    if let Some(host) = settings.trusted_hosts.iter().find(|host| !is_host(host)) {
        bail!(
            "reading --config `{}`: trusted host `{host}`: expected a name as in `deploy.example.org`",
            file.display()
        );
    }
    if let Some(owner) = settings
        .trusted_owners
        .iter()
        .find(|owner| owner.split('/').filter(|part| !part.is_empty()).count() != 2)
    {
        bail!(
            "reading --config `{}`: trusted owner `{owner}`: expected HOST/OWNER, as in `github.com/owner`",
            file.display()
        );
    }
    Ok(settings)
}

fn is_host(host: &str) -> bool {
    host.contains('.')
        && host
            .split('.')
            .all(|label| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
}

/// Every place that decides what the file is: itself, and each link on the way to it, without links in any of them.
fn way_to(file: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut stops = Vec::new();
    let mut links = 0;
    let mut at = PathBuf::new();
    let mut left: Vec<PathBuf> = vec![std::path::absolute(file)?];
    while let Some(path) = left.pop() {
        let mut parts = path.components();
        let Some(part) = parts.next() else { continue };
        let rest = parts.as_path();
        if !rest.as_os_str().is_empty() {
            left.push(rest.to_owned());
        }
        match part {
            Component::Prefix(_) | Component::RootDir => at = PathBuf::from(part.as_os_str()),
            Component::CurDir => {}
            Component::ParentDir => {
                at.pop();
            }
            Component::Normal(name) => {
                let next = at.join(name);
                if std::fs::symlink_metadata(&next)?.is_symlink() {
                    links += 1;
                    if links > LINKS_MAX {
                        bail!("more than {LINKS_MAX} links lead to it");
                    }
                    left.push(std::fs::read_link(&next)?);
                    stops.push(next);
                } else {
                    at = next;
                }
            }
        }
    }
    stops.push(at);
    Ok(stops)
}

/// The tree that a scanned path belongs to: the repository around it, or the path itself. None for what isn't there.
fn tree_of(path: &Path) -> Option<PathBuf> {
    let real = path.canonicalize().ok()?;
    let repository = real.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok());
    if let Some(repository) = repository {
        return Some(repository.to_owned());
    }
    if real.is_file() {
        return portcullis_scan::scan::root_of(&real).or_else(|| real.parent().map(Path::to_owned));
    }
    Some(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(file: &Path, scanned: &Path) -> Option<String> {
        read(file, &[scanned.to_owned()]).err().map(|error| format!("{error:#}"))
    }

    #[test]
    fn a_file_at_the_limit_is_read_and_one_past_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let file = folder.path().join("scan.toml");
        let start = "[scan]\n#";
        let fill = |size: usize| format!("{start}{}", "x".repeat(size - start.len()));
        std::fs::write(&file, fill(SIZE_MAX as usize)).unwrap();
        assert_eq!(refusal(&file, &tree), None);
        std::fs::write(&file, fill(SIZE_MAX as usize + 1)).unwrap();
        assert!(refusal(&file, &tree).unwrap().contains("more than 1048576 bytes"));
    }

    /// By itself, through `..`, through a link outside that leads in, and through a link inside that leads out.
    #[test]
    fn no_way_leads_through_the_scanned_tree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let tree = path.join("tree");
        std::fs::create_dir_all(tree.join(".git")).unwrap();
        std::fs::create_dir_all(tree.join("below")).unwrap();
        let (inside, outside) = (tree.join("scan.toml"), path.join("scan.toml"));
        for file in [&inside, &outside] {
            std::fs::write(file, "[scan]\n").unwrap();
        }
        std::os::unix::fs::symlink(&inside, path.join("in.toml")).unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("out.toml")).unwrap();
        std::os::unix::fs::symlink(tree.join("out.toml"), path.join("through.toml")).unwrap();
        std::os::unix::fs::symlink(&tree, path.join("other-name")).unwrap();
        for file in [
            inside,
            path.join("tree/../tree/scan.toml"),
            path.join("in.toml"),
            tree.join("out.toml"),
            path.join("through.toml"),
            path.join("other-name/out.toml"),
            path.join("other-name/scan.toml"),
        ] {
            for scanned in [&tree, &tree.join("below"), &tree.join(".git"), &path.join("other-name")] {
                let said = refusal(&file, scanned);
                assert!(said.as_ref().is_some_and(|said| said.contains("lies inside")), "{file:?} {said:?}");
            }
        }
        assert_eq!(refusal(&outside, &tree), None);
        assert_eq!(refusal(&tree.join("../scan.toml"), &tree), None);
    }

    #[test]
    fn what_it_says_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let file = folder.path().join("scan.toml");
        for (text, wrong) in [
            ("[scan]\nmin-verdict = \"exposed\"\nformat = \"json\"\n", None),
            ("[scan]\naccept = [\"0123456789abcdef=why\"]\n", None),
            ("[scan]\nmin-verdikt = \"exposed\"\n", Some("min-verdikt")),
            ("[scan]\nmin-verdict = \"bad\"\n", Some("bad")),
            ("[scam]\n", Some("scam")),
            ("", Some("scan")),
            ("[scan]\n[serve]\n", Some("serve")),
            ("[scan]\ntrusted-hosts = [\"*\"]\n", Some("trusted host `*`")),
            ("[scan]\ntrusted-owners = [\"owner\"]\n", Some("trusted owner `owner`")),
            ("[scan]\naccept = 1\n", Some("accept")),
        ] {
            std::fs::write(&file, text).unwrap();
            let said = refusal(&file, &tree);
            match wrong {
                None => assert_eq!(said, None, "{text}"),
                Some(word) => {
                    assert!(said.as_ref().is_some_and(|said| said.contains(word)), "{text}: {said:?}")
                }
            }
        }
        for (text, wrong) in [
            ("[scan]\naccept = { \"0123456789abcdef\" = \" \" }\n", "reason"),
            ("[scan]\naccept = { \"0123456789abcdex\" = \"why\" }\n", "0123456789abcdex"),
            ("[scan]\naccept = [{ id = \"0123456789abcdef\", reason = \"\" }]\n", "reason"),
        ] {
            std::fs::write(&file, text).unwrap();
            let settings = read(&file, std::slice::from_ref(&tree)).unwrap();
            let said = format!("{:#}", settings.acceptances(&file).unwrap_err());
            assert!(said.contains(wrong), "{text}: {said}");
        }
    }
}
