//! `portcullis fix --remove-malicious`: a malicious workflow leaves every branch on which it stands, as one commit a
//! branch or as patches. Nothing is checked out; where a branch is, its work tree follows only if the file is untouched.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use portcullis_scan::Options;
use portcullis_scan::objects::{self, Objects};
use portcullis_scan::removal::{self, Branch};
use portcullis_scan::report::Verdict;
use portcullis_scan::source::{self, Source};
use portcullis_scan::text::{Lines, escape};
use serde_json::{Value, json};

use crate::{Outcome, TextFormat};

/// The options of `fix` that are about malicious workflows.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// Take workflows with a malicious finding out of the branches on which they stand: patches, or commits with --write
    #[arg(long, conflicts_with = "register")]
    pub(super) remove_malicious: bool,
    /// Only this branch (repeatable)
    #[arg(long, value_name = "NAME", requires = "remove_malicious")]
    branch: Vec<String>,
    /// Who takes them out [default: GIT_AUTHOR_NAME and GIT_AUTHOR_EMAIL, else your own git settings]
    #[arg(long, value_name = "NAME <MAIL>", requires = "remove_malicious")]
    author: Option<String>,
}

/// What happens, or would, to one branch.
struct Removal {
    branch: Branch,
    patch: Vec<u8>,
    commit: Option<String>,
    /// Why there is only a patch.
    why_not: Option<String>,
}

/// Prints patches, or makes one commit a branch.
pub(super) fn run(
    arguments: &Arguments,
    path: &Path,
    writes: bool,
    format: TextFormat,
) -> anyhow::Result<Outcome> {
    let mut sources = source::find(path)?.sources;
    // Clones that lie in its work tree have branches of their own, which are not asked for.
    sources.retain(|source| {
        !matches!(source, Source::Repository { work_tree: Some(tree), .. } | Source::WorkTree(tree) if tree != path)
    });
    let [Source::Repository { git, work_tree }] = sources.as_slice() else {
        bail!("taking malicious workflows out of `{}`: expected one repository there", path.display());
    };
    let report = portcullis_scan::scan(&Options { paths: vec![path.to_owned()], ..Options::default() });
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for finding in report.document.findings.iter().filter(|one| one.verdict == Verdict::Malicious) {
        let known = versions.entry(finding.path.unescaped().to_owned()).or_default();
        known.insert(finding.blob.clone());
        known.extend(finding.exposures.iter().flat_map(|exposure| exposure.versions.iter().cloned()));
    }
    let objects = objects::open(git).with_context(|| format!("opening `{}`", git.display()))?;
    let mut branches = removal::standing(&objects, &versions);
    let short = |branch: &Branch| match branch.of_remote() {
        Some(name) => name.to_owned(),
        None => branch.name.trim_start_matches("refs/heads/").to_owned(),
    };
    if !arguments.branch.is_empty() {
        let (references, _) = objects.references();
        if let Some(unknown) = arguments.branch.iter().find(|name| {
            let remote = format!("refs/remotes/{}/{name}", objects.own_remote());
            !references.iter().any(|one| {
                one.name == format!("refs/heads/{name}") || one.name == remote || one.name == **name
            })
        }) {
            bail!("taking malicious workflows out: there is no branch {unknown:?}");
        }
        branches.retain(|one| arguments.branch.contains(&short(one)) || arguments.branch.contains(&one.name));
    }
    let author = if writes { author(arguments)? } else { String::new() };
    let seconds = jiff::Timestamp::now().as_second();
    let checked_out = checked_out(git, &objects);
    let mut removals = Vec::new();
    for branch in branches {
        let patch = patch(&objects, &branch)?;
        let mut removal = Removal { branch, patch, commit: None, why_not: None };
        if writes {
            make(&objects, git, work_tree.as_deref(), &checked_out, &mut removal, &author, seconds)?;
        }
        removals.push(removal);
    }
    show(format, &removals)?;
    Ok(if removals.is_empty() { Outcome::Done } else { Outcome::Found })
}

/// `Name <mail>`. The repository's own settings don't say who this is: they come with the repository.
fn author(arguments: &Arguments) -> anyhow::Result<String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    arguments
        .author
        .clone()
        .or_else(|| Some(format!("{} <{}>", variable("GIT_AUTHOR_NAME")?, variable("GIT_AUTHOR_EMAIL")?)))
        .or_else(|| Some(format!("{} <{}>", users("user.name")?, users("user.email")?)))
        .context("making commits: give --author 'NAME <MAIL>', or set GIT_AUTHOR_NAME and GIT_AUTHOR_EMAIL")
}

/// A setting of the user's own git, not of the repository's.
fn users(key: &str) -> Option<String> {
    let mut command = Command::new("git");
    command.args(["config", "--global", "--get", key]).current_dir("/");
    let done = command.output().ok().filter(|done| done.status.success())?;
    Some(String::from_utf8(done.stdout).ok()?.trim().to_owned()).filter(|value| !value.is_empty())
}

/// The branches that a work tree has checked out: `HEAD`, and those of linked work trees.
fn checked_out(git: &Path, objects: &Objects) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = objects.symbolic("HEAD").into_iter().collect();
    for entry in std::fs::read_dir(git.join("worktrees")).into_iter().flatten().flatten() {
        let head = source::read_file(&entry.path().join("HEAD"), 4_096).unwrap_or_default();
        let head = String::from_utf8_lossy(&head).trim().to_owned();
        names.extend(head.strip_prefix("ref:").map(|name| format!("linked:{}", name.trim())));
    }
    names
}

fn make(
    objects: &Objects,
    git: &Path,
    work_tree: Option<&Path>,
    checked_out: &BTreeSet<String>,
    removal: &mut Removal,
    author: &str,
    seconds: i64,
) -> anyhow::Result<()> {
    let branch = &removal.branch;
    if let Some(name) = branch.of_remote()
        && objects.references().0.iter().any(|one| one.name == format!("refs/heads/{name}"))
    {
        let why =
            format!("your branch `{name}` does not go on from it; bring them together, then apply the patch");
        removal.why_not = Some(why);
        return Ok(());
    }
    if checked_out.contains(&format!("linked:{}", branch.name)) {
        removal.why_not = Some("another work tree has it checked out; apply the patch there".to_owned());
        return Ok(());
    }
    let tree = work_tree.filter(|_| checked_out.contains(&branch.name));
    if let Some(tree) = tree
        && let Some(why) = dirty(git, tree, branch)
    {
        removal.why_not = Some(format!("{why}; apply the patch there"));
        return Ok(());
    }
    let paths: Vec<&str> = branch.files.iter().map(|(path, _)| path.as_str()).collect();
    let shown = escape(&paths.join(", "), Lines::One);
    let message = format!(
        "Take out {shown}\n\nIt carries secrets away. What it had access to has to be rotated; `portcullis scan` lists it."
    );
    match removal::remove(objects, branch, author, &message, seconds) {
        Ok(commit) => removal.commit = Some(commit.to_string()),
        Err(removal::RemovalError::Author) => return Err(removal::RemovalError::Author.into()),
        // One branch that can't be mended must not keep the theft on the others.
        Err(error) => {
            removal.why_not = Some(error.to_string());
            return Ok(());
        }
    }
    if let Some(tree) = tree {
        for path in paths {
            let followed = std::fs::remove_file(tree.join(path))
                .map_err(anyhow::Error::from)
                .and_then(|()| plumbing(git, tree, &["update-index", "--force-remove", "--", path]));
            if let Err(error) = followed {
                removal.why_not = Some(format!("the work tree still has `{path}`: {error:#}"));
            }
        }
    }
    Ok(())
}

/// Why the work tree can't follow its branch: one of the files is not what the branch has, in the tree or in the index.
fn dirty(git: &Path, tree: &Path, branch: &Branch) -> Option<String> {
    for (path, id) in &branch.files {
        let mut at = PathBuf::from(tree);
        for part in path.split('/') {
            at.push(part);
            if std::fs::symlink_metadata(&at).is_ok_and(|metadata| metadata.is_symlink()) {
                return Some(format!("`{path}` goes through a link in the work tree"));
            }
        }
        let staged = plumbing(git, tree, &["ls-files", "--stage", "--", path]).ok();
        let staged = staged.as_deref().and_then(|line| line.split_whitespace().nth(1));
        if staged != Some(id.to_string().as_str()) {
            return Some(format!("`{path}` is staged differently"));
        }
        let bytes = source::read_file(&at, objects::BLOB_MAX).ok();
        if bytes.is_none_or(|bytes| !removal::is_blob(&bytes, *id)) {
            return Some(format!("`{path}` is changed in the work tree"));
        }
    }
    None
}

/// A command of git that touches the index alone, without the machine's settings and without hooks.
fn plumbing(git: &Path, tree: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let (git, tree) = (std::path::absolute(git)?, std::path::absolute(tree)?);
    let mut command = Command::new("git");
    command.env_clear().current_dir(&tree);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
        .env("GIT_DIR", &git)
        .env("GIT_WORK_TREE", &tree)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_LITERAL_PATHSPECS", "1")
        .env("LC_ALL", "C");
    command.args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"]).args(arguments);
    let done = command.output().context("running git")?;
    if !done.status.success() {
        bail!("git said: {}", escape(String::from_utf8_lossy(&done.stderr).trim(), Lines::One));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The removal as `git apply` takes it.
fn patch(objects: &Objects, branch: &Branch) -> anyhow::Result<Vec<u8>> {
    let mut patch = Vec::new();
    for (path, id) in &branch.files {
        let content = objects.blob(*id).with_context(|| format!("reading `{path}`"))?;
        let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
        let (old, new) = (quoted(&format!("a/{path}")), quoted(&format!("b/{path}")));
        write!(
            patch,
            "diff --git {old} {new}\ndeleted file mode 100644\nindex {id}..{}\n",
            "0".repeat(id.to_string().len())
        )?;
        if lines.is_empty() {
            continue;
        }
        write!(patch, "--- {old}\n+++ /dev/null\n@@ -1,{} +0,0 @@\n", lines.len())?;
        for line in lines {
            patch.push(b'-');
            patch.extend_from_slice(line);
            if !line.ends_with(b"\n") {
                patch.extend_from_slice(b"\n\\ No newline at end of file\n");
            }
        }
    }
    Ok(patch)
}

/// A path as git writes it into a patch: whoever named the file must not be able to add lines to the patch.
fn quoted(path: &str) -> String {
    let plain = |byte: u8| (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    if path.bytes().all(plain) {
        return path.to_owned();
    }
    let escaped: String = path
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("\\{byte:03o}") })
        .collect();
    format!("\"{escaped}\"")
}

fn show(format: TextFormat, removals: &[Removal]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if format == TextFormat::Json {
        let removals: Vec<Value> = removals
            .iter()
            .map(|one| {
                let paths: Vec<&str> = one.branch.files.iter().map(|(path, _)| path.as_str()).collect();
                json!({
                    "branch": one.branch.name, "tip": one.branch.tip.to_string(), "paths": paths,
                    "commit": one.commit, "why_not": one.why_not, "patch": String::from_utf8_lossy(&one.patch),
                })
            })
            .collect();
        let document = json!({"edits": [], "publishers": [], "removals": removals});
        writeln!(out, "{}", crate::output::escaped(&serde_json::to_string_pretty(&document)?))?;
        return Ok(());
    }
    let log = crate::output::actions::is_log();
    let is_read = out.is_terminal() || log;
    let mut say = crate::output::actions::stderr();
    for one in removals {
        let name = escape(&one.branch.name, Lines::One);
        match (&one.commit, &one.why_not) {
            (Some(commit), why) => {
                match one.branch.of_remote().map(|local| escape(local, Lines::One)) {
                    Some(local) => writeln!(
                        say,
                        "{name}: commit {commit} takes it out, on the new branch `{local}`; push that, and rotate what it had"
                    )?,
                    None => {
                        writeln!(
                            say,
                            "{name}: commit {commit} takes it out; push it, and rotate what it had"
                        )?;
                    }
                }
                if let Some(why) = why {
                    writeln!(say, "{name}: {}", escape(why, Lines::One))?;
                }
                continue;
            }
            (None, Some(why)) => writeln!(say, "{name}: left as it is: {}", escape(why, Lines::One))?,
            (None, None) => writeln!(say, "{name}: this patch takes it out; --write commits it")?,
        }
        // One patch a branch: `git apply` leaves lines before the first `diff` alone.
        crate::output::actions::marked(&mut out, log, |out| {
            writeln!(out, "# {name} at {}", one.branch.tip)?;
            if is_read {
                write!(out, "{}", escape(&String::from_utf8_lossy(&one.patch), Lines::Many))
            } else {
                out.write_all(&one.patch)
            }
        })?;
    }
    out.flush()?;
    if removals.is_empty() {
        writeln!(say, "no branch holds a malicious workflow")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_adds_no_line_to_a_patch() {
        assert_eq!(quoted("a/.github/workflows/x.yml"), "a/.github/workflows/x.yml");
        assert_eq!(quoted("a/x\n+++ b/y.yml"), "\"a/x\\012+++ b/y.yml\"");
        assert_eq!(quoted("a/\"é\\"), "\"a/\\042\\303\\251\\134\"");
    }
}
