//! What to read: repositories, `.git` folders and loose workflow files at or below a path.
//!
//! Follows no symlink and opens nothing but regular files, so that a scanned tree can't lead out of itself or block.

use std::fs;
use std::path::{Path, PathBuf};

/// Deepest folder below the given path that is looked into.
const DEPTH_MAX: usize = 24;
/// Most folders looked into for one path.
const FOLDERS_MAX: usize = 200_000;

/// Something to scan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A git directory, and the work tree around it where there is one.
    Repository {
        /// The `.git` folder or bare repository.
        git: PathBuf,
        /// The work tree.
        work_tree: Option<PathBuf>,
    },
    /// A work tree whose git directory may not be read, and why.
    Refused {
        /// The work tree.
        work_tree: PathBuf,
        /// Why its history is not read.
        why: String,
    },
    /// A workflow file outside any repository.
    File(PathBuf),
}

/// Why a path has nothing to scan.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Not there, or not readable.
    #[error("reading `{path}`: {error}")]
    Read {
        /// The path as given.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// Not a file or folder.
    #[error("`{0}` is neither a file nor a folder; nothing that could block or lead elsewhere is opened")]
    Special(String),
}

/// Everything to scan at or below a path; sorted, so that two scans agree. May be empty.
pub fn find(path: &Path) -> Result<Vec<Source>, SourceError> {
    let shown = path.display().to_string();
    // The path that the operator gives may be a link; what lies below may not.
    let metadata = fs::metadata(path).map_err(|error| SourceError::Read { path: shown.clone(), error })?;
    if metadata.is_file() {
        return Ok(vec![Source::File(path.to_owned())]);
    }
    if !metadata.is_dir() {
        return Err(SourceError::Special(shown));
    }
    fs::read_dir(path).map_err(|error| SourceError::Read { path: shown, error })?;
    let mut found = Vec::new();
    let mut open = vec![(path.to_owned(), 0, false)];
    let mut visited = 0;
    while let Some((folder, depth, inside)) = open.pop() {
        visited += 1;
        if visited > FOLDERS_MAX || depth > DEPTH_MAX {
            continue;
        }
        let in_repository = inside || repository(&folder, &mut found);
        if is_git_directory(&folder) {
            continue;
        }
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let name = entry.file_name();
            if kind.is_dir() && name != ".git" && name != "node_modules" {
                open.push((entry.path(), depth + 1, in_repository));
            } else if kind.is_file() && !in_repository && is_loose_workflow(&entry.path()) {
                found.push(Source::File(entry.path()));
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Adds the repository whose root this folder is; true if it is one.
fn repository(folder: &Path, found: &mut Vec<Source>) -> bool {
    if is_git_directory(folder) {
        let work_tree = folder
            .file_name()
            .is_some_and(|name| name == ".git")
            .then(|| folder.parent().map(Path::to_owned))
            .flatten();
        found.push(Source::Repository { git: folder.to_owned(), work_tree });
        return true;
    }
    let dot_git = folder.join(".git");
    let Ok(metadata) = fs::symlink_metadata(&dot_git) else { return false };
    if metadata.is_dir() && is_git_directory(&dot_git) {
        found.push(Source::Repository { git: dot_git, work_tree: Some(folder.to_owned()) });
        return true;
    }
    if metadata.is_symlink() {
        let why = "its `.git` is a symbolic link, which is not followed".to_owned();
        found.push(Source::Refused { work_tree: folder.to_owned(), why });
        return true;
    }
    if metadata.is_file() && metadata.len() < 4_096 {
        let text = fs::read_to_string(&dot_git).unwrap_or_default();
        let Some(target) = text.trim().strip_prefix("gitdir:").map(str::trim) else { return false };
        let target = folder.join(target);
        let inside = match (target.canonicalize(), folder.canonicalize()) {
            (Ok(target), Ok(folder)) => target.starts_with(folder),
            _ => false,
        };
        if inside && is_git_directory(&target) {
            found.push(Source::Repository { git: target, work_tree: Some(folder.to_owned()) });
        } else {
            let why =
                "its `gitdir:` leads outside the tree, which is not followed; scan that repository itself"
                    .to_owned();
            found.push(Source::Refused { work_tree: folder.to_owned(), why });
        }
        return true;
    }
    false
}

/// Whether a folder is a git directory: git itself asks for the same three.
fn is_git_directory(folder: &Path) -> bool {
    let is = |name: &str, folder_wanted: bool| {
        fs::symlink_metadata(folder.join(name))
            .is_ok_and(|metadata| if folder_wanted { metadata.is_dir() } else { metadata.is_file() })
    };
    is("HEAD", false) && is("objects", true) && is("refs", true)
}

/// YAML files below a `.github` (or another forge's) folder count where no repository is.
fn is_loose_workflow(path: &Path) -> bool {
    let is_yaml = path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
    is_yaml
        && path
            .components()
            .any(|part| matches!(part.as_os_str().to_str(), Some(".github" | ".gitea" | ".forgejo")))
}

/// Whether a path inside a repository is a workflow or an action.
pub fn is_workflow_path(path: &str) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else { return is_action_name(path) };
    let is_yaml = name.ends_with(".yml") || name.ends_with(".yaml");
    is_yaml && matches!(folder, ".github/workflows" | ".gitea/workflows" | ".forgejo/workflows")
        || is_action_name(name)
}

fn is_action_name(name: &str) -> bool {
    matches!(name, "action.yml" | "action.yaml")
}

/// Reads a regular file of at most `limit` bytes; an error says which of the two it isn't.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let metadata = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("not a regular file; links, pipes and devices are not opened".to_owned());
    }
    if metadata.len() > limit {
        return Err(format!("{} bytes, more than the {limit} that are read", metadata.len()));
    }
    fs::read(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workflow_paths() {
        for path in [
            ".github/workflows/a.yml",
            ".github/workflows/b.yaml",
            "action.yml",
            ".github/actions/x/action.yml",
        ] {
            assert!(is_workflow_path(path), "{path}");
        }
        for path in ["a.yml", ".github/dependabot.yml", ".github/workflows/sub/a.yml", "docs/action.md"] {
            assert!(!is_workflow_path(path), "{path}");
        }
    }

    #[test]
    fn links_and_pipes_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join(".github/workflows");
        fs::create_dir_all(&inside).unwrap();
        fs::write(inside.join("a.yml"), "on: push").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", inside.join("b.yml")).unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("root")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(inside.join("c.yml")).status().unwrap();
        assert!(made.success());
        assert_eq!(find(folder.path()).unwrap(), [Source::File(inside.join("a.yml"))]);
        assert!(read_file(&inside.join("b.yml"), 10).is_err());
        assert!(read_file(&inside.join("c.yml"), 10).is_err());
        assert!(read_file(&inside.join("a.yml"), 8).is_ok());
        assert!(read_file(&inside.join("a.yml"), 7).is_err());
    }

    #[test]
    fn a_gitdir_outside_the_tree_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        let tree = folder.path().join("tree");
        fs::create_dir_all(outside.join("objects")).unwrap();
        fs::create_dir_all(outside.join("refs")).unwrap();
        fs::write(outside.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::create_dir_all(&tree).unwrap();
        fs::write(tree.join(".git"), "gitdir: ../outside\n").unwrap();
        assert!(matches!(find(&tree).unwrap().as_slice(), [Source::Refused { .. }]));
    }
}
