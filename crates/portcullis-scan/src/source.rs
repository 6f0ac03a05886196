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
    /// One more work tree of a repository that is scanned beside it, with its history.
    WorkTree(PathBuf),
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

/// What there is to scan at or below a path.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Sorted, so that two scans agree; may be empty.
    pub sources: Vec<Source>,
    /// What was not looked into, and why: whoever reads the result may not take it for all there is.
    pub problems: Vec<String>,
}

/// Everything to scan at or below a path.
pub fn find(path: &Path) -> Result<Found, SourceError> {
    find_within(path, DEPTH_MAX, FOLDERS_MAX)
}

/// A folder that is still to be looked into.
struct Open {
    folder: PathBuf,
    depth: usize,
    /// Which of the work trees it lies in; the first stands for what lies in none.
    tree: usize,
}

/// How far one work tree was looked through. Each has its own count, so that a large one doesn't use up what is left for
/// its neighbours.
#[derive(Default)]
struct Looked {
    folders: usize,
    is_cut: bool,
}

fn find_within(path: &Path, deepest: usize, most: usize) -> Result<Found, SourceError> {
    let shown = path.display().to_string();
    // The path that the operator gives may be a link; what lies below may not.
    let metadata = fs::metadata(path).map_err(|error| SourceError::Read { path: shown.clone(), error })?;
    if metadata.is_file() {
        return Ok(Found { sources: vec![Source::File(path.to_owned())], problems: Vec::new() });
    }
    if !metadata.is_dir() {
        return Err(SourceError::Special(shown));
    }
    fs::read_dir(path).map_err(|error| SourceError::Read { path: shown, error })?;
    let given = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut found = Found::default();
    let mut looked = vec![Looked::default()];
    let mut open = vec![Open { folder: path.to_owned(), depth: 0, tree: 0 }];
    while let Some(Open { folder, mut depth, mut tree }) = open.pop() {
        let Some(so_far) = looked.get_mut(tree) else { continue };
        so_far.folders += 1;
        // A clone below so many folders of another's work tree is not a clone that somebody keeps.
        let is_too_deep = depth > deepest;
        if is_too_deep || so_far.folders > most {
            if !so_far.is_cut && (tree == 0 || !is_too_deep) {
                so_far.is_cut = true;
                found.problems.push(format!(
                    "`{}` was not looked into: expected at most {most} folders outside of repositories or in one of \
                     them, {deepest} of them in one another; scan what lies there by itself",
                    named(&folder)
                ));
            }
            continue;
        }
        if repository(&folder, tree > 0, &given, &mut found.sources) {
            looked.push(Looked::default());
            (tree, depth) = (looked.len() - 1, 0);
        }
        if is_git_directory(&folder) {
            continue;
        }
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                found.problems.push(format!("the folder `{}` can't be read: {error}", named(&folder)));
                continue;
            }
        };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let name = entry.file_name();
            if kind.is_dir() && name != ".git" && name != "node_modules" {
                open.push(Open { folder: entry.path(), depth: depth + 1, tree });
            } else if kind.is_file() && tree == 0 && is_loose_workflow(&entry.path()) {
                found.sources.push(Source::File(entry.path()));
            }
        }
    }
    found.sources.sort();
    found.sources.dedup();
    Ok(found)
}

fn named(folder: &Path) -> String {
    crate::text::escape(&folder.display().to_string(), crate::text::Lines::One)
}

/// Deepest folder below `.github` that is looked into for actions.
const ACTION_DEPTH_MAX: usize = 5;
/// Most files looked at below `.github` and its like.
const WORKFLOWS_MAX: usize = 10_000;

/// A kind of problem, where, and what it is.
pub type Unread = (&'static str, PathBuf, String);

/// The workflows and actions in a work tree's own places, sorted, and what there was not looked at. Links are left out:
/// to GitHub, which reads the object, a linked workflow is a file that holds a path.
pub fn workflows(root: &Path) -> (Vec<PathBuf>, Vec<Unread>) {
    let mut paths: Vec<PathBuf> = ["action.yml", "action.yaml"].map(|name| root.join(name)).into();
    paths.retain(|path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()));
    let mut problems: Vec<Unread> = Vec::new();
    let mut open: Vec<(PathBuf, usize)> =
        [".github", ".gitea", ".forgejo"].iter().map(|folder| (root.join(folder), 0)).collect();
    open.retain(|(folder, _)| fs::symlink_metadata(folder).is_ok_and(|metadata| metadata.is_dir()));
    while let Some((folder, depth)) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                problems.push(("unreadable", folder, error.to_string()));
                continue;
            }
        };
        for entry in entries.flatten() {
            if paths.len() >= WORKFLOWS_MAX {
                let what = format!("more than {WORKFLOWS_MAX} files; the rest was not looked at");
                problems.push(("over-limit", folder, what));
                break;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < ACTION_DEPTH_MAX => open.push((entry.path(), depth + 1)),
                Ok(kind) if kind.is_file() => paths.push(entry.path()),
                _ => {}
            }
        }
    }
    paths.retain(|path| is_workflow_path(&path.strip_prefix(root).unwrap_or(path).to_string_lossy()));
    paths.sort();
    (paths, problems)
}

/// Adds the repository whose root this folder is; true if it is one. Within a work tree only a `.git` counts, which git
/// never checks out: whatever else looks like a repository there is a file of the outer one.
fn repository(folder: &Path, within_a_work_tree: bool, given: &Path, found: &mut Vec<Source>) -> bool {
    if is_git_directory(folder) {
        if within_a_work_tree {
            return false;
        }
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
        found.push(elsewhere(folder, &folder.join(target), given));
        return true;
    }
    false
}

/// A work tree whose `.git` is a file that names its git directory: a submodule's, or a second work tree's.
fn elsewhere(folder: &Path, target: &Path, given: &Path) -> Source {
    let target = target.canonicalize().ok().filter(|target| target.starts_with(given));
    let work_tree = folder.to_owned();
    match target {
        Some(git) if is_git_directory(&git) => Source::Repository { git, work_tree: Some(work_tree) },
        // `REPOSITORY/.git/worktrees/NAME`, whose repository lies below the same path.
        Some(git) if git.parent().and_then(Path::parent).is_some_and(is_git_directory) => {
            Source::WorkTree(work_tree)
        }
        _ => {
            let why = "its `gitdir:` leads outside of what was given, which is not followed; scan that repository itself";
            Source::Refused { work_tree, why: why.to_owned() }
        }
    }
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
        assert_eq!(find(folder.path()).unwrap().sources, [Source::File(inside.join("a.yml"))]);
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
        assert!(matches!(find(&tree).unwrap().sources.as_slice(), [Source::Refused { .. }]));
    }

    /// A git directory as far as `is_git_directory` looks.
    fn git_directory(at: &Path) {
        fs::create_dir_all(at.join("objects")).unwrap();
        fs::create_dir_all(at.join("refs")).unwrap();
        fs::write(at.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    }

    #[test]
    fn clones_within_a_work_tree_are_found_and_repositories_among_its_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for at in [".git", "vendor/inner/.git", ".git/modules/part", "tests/sample.git"] {
            git_directory(&root.join(at));
        }
        fs::create_dir_all(root.join("part")).unwrap();
        fs::write(root.join("part/.git"), "gitdir: ../.git/modules/part\n").unwrap();
        fs::create_dir_all(root.join(".git/worktrees/second")).unwrap();
        fs::create_dir_all(root.join("second")).unwrap();
        fs::write(root.join("second/.git"), "gitdir: ../.git/worktrees/second\n").unwrap();
        let of = |git: &str, tree: &str| Source::Repository {
            git: root.join(git),
            work_tree: Some(if tree.is_empty() { root.clone() } else { root.join(tree) }),
        };
        let expected = [
            of(".git", ""),
            of(".git/modules/part", "part"),
            of("vendor/inner/.git", "vendor/inner"),
            Source::WorkTree(root.join("second")),
        ];
        assert_eq!(find(&root).unwrap().sources, expected);
        let alone = find(&root.join("part")).unwrap().sources;
        assert!(matches!(alone.as_slice(), [Source::Refused { .. }]));
    }

    #[test]
    fn a_folder_too_many_or_too_deep_is_said_and_only_that_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        git_directory(&folder.path().join("large/.git"));
        for at in 0..9 {
            fs::create_dir_all(folder.path().join(format!("large/{at}"))).unwrap();
        }
        let workflows = folder.path().join("a/b/.github/workflows");
        fs::create_dir_all(&workflows).unwrap();
        fs::write(workflows.join("w.yml"), "on: push").unwrap();
        let found = |deepest, most| find_within(folder.path(), deepest, most).unwrap();
        // The given folder, a, b, .github, workflows; and the repository's root.
        let all = found(4, 9);
        assert_eq!((all.sources.len(), all.problems.len()), (2, 0), "{:?}", all.problems);
        let shallow = found(3, 9);
        assert_eq!((shallow.sources.len(), shallow.problems.len()), (1, 1));
        assert!(shallow.problems[0].contains("a/b/.github/workflows"), "{:?}", shallow.problems);
        assert_eq!(found(4, 8).problems.len(), 1);
        assert_eq!(found(4, 8).sources.len(), 2);
    }
}
