//! Which files an upload sends, seen from the repository's root, and the artifacts in which they go from job to job.

use super::place::Place;
use super::script::{Script, Sending};

/// Files of one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    /// The folder, without a slash at its end.
    pub(super) folder: String,
    /// Patterns of names in it; `*` is all of them.
    names: Vec<String>,
}

const BY_RUN: &str = "which files are uploaded is known to the run only: write the publishing job by hand";

impl Files {
    /// `path:` of an artifact that keeps them: one line, or several.
    pub(super) fn path(&self, indent: &str, newline: &str) -> String {
        let joined = |name: &String| {
            if self.folder.is_empty() { name.clone() } else { format!("{}/{name}", self.folder) }
        };
        let kind = |end: &str| self.names.iter().any(|name| *name == format!("*{end}"));
        if !self.folder.is_empty() && (kind("") || kind(".*") || (kind(".whl") && kind(".tar.gz"))) {
            return format!(" {}/", self.folder);
        }
        match self.names.as_slice() {
            [one] => format!(" '{}'", joined(one).replace('\'', "''")),
            many => many
                .iter()
                .fold(" |".to_owned(), |text, name| format!("{text}{newline}{indent}{}", joined(name))),
        }
    }

    /// The folder's own name, by which scripts speak of it.
    pub(super) fn last_part(&self) -> &str {
        let last = self.folder.rsplit('/').next().unwrap_or("");
        if last.is_empty() { "dist" } else { last }
    }

    /// The folder of the package, where the files lie in one of its own: `core` in `packages/core/dist`.
    pub(super) fn package(&self) -> Option<&str> {
        let name = self.folder.rsplit('/').nth(1)?;
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        plain.then_some(name)
    }

    /// The folder for a job that has no build: where the files lay, if that can be said without the build.
    pub(super) fn portable_folder(&self) -> String {
        let known = !self.folder.contains("${{") && !self.folder.starts_with('/') && !self.folder.is_empty();
        if known { self.folder.clone() } else { "dist".to_owned() }
    }
}

/// The files of one upload of a script, by folder.
pub(super) fn of(place: &Place<'_>, script: &Script, sending: &Sending) -> Result<Vec<Files>, String> {
    let default = ["dist/*".to_owned()];
    let patterns = if sending.patterns.is_empty() { default.as_slice() } else { &sending.patterns };
    let defaults = |node: &crate::yaml::Node| {
        node.get("defaults")
            .and_then(|all| all.get("run")?.get("working-directory")?.text().map(str::to_owned))
    };
    let given = place.step.working_directory.clone();
    let directory = given.or_else(|| defaults(place.job_node)).or_else(|| defaults(place.subject.root));
    let directory = directory.unwrap_or_default();
    let changed = script.directory.clone().unwrap_or_default();
    let mut files: Vec<Files> = Vec::new();
    for pattern in patterns {
        let pattern = if place.is_powershell() { pattern.replace('\\', "/") } else { pattern.clone() };
        let (folder, name) = from_root(&[&directory, &changed, &pattern])?;
        if folder.contains(['*', '?', '{']) && !folder.contains("${{") {
            return Err("the upload takes files of many folders: write the publishing job by hand".to_owned());
        }
        // Braces and brackets are the shell's; an artifact's patterns know them not.
        let name = if name.contains(['{', '[', '!']) { "*".to_owned() } else { name };
        if folder.is_empty() && !name.contains('.') {
            return Err("the packages lie in no folder of their own: build them into `dist` first".to_owned());
        }
        match files.iter_mut().find(|known| known.folder == folder) {
            Some(known) if known.names.contains(&name) => {}
            Some(known) => known.names.push(name),
            None => files.push(Files { folder, names: vec![name] }),
        }
    }
    Ok(files)
}

/// The files that the publish action sends.
pub(super) fn of_action(place: &Place<'_>) -> Result<Files, String> {
    let with = place.layout().entry(place.step_node, "with").map(|(_, with)| with);
    let given = with.and_then(|with| with.get("packages-dir").or_else(|| with.get("packages_dir")));
    let folder = given.and_then(|node| node.text()).unwrap_or("dist/");
    let (folder, name) = from_root(&[&format!("{}/*", folder.trim_end_matches('/'))])?;
    if folder.is_empty() {
        return Err("the packages lie in no folder of their own: build them into `dist` first".to_owned());
    }
    Ok(Files { folder, names: vec![name] })
}

/// Folder and last part of a path, without `.` and `..`.
fn from_root(parts: &[&str]) -> Result<(String, String), String> {
    let mut kept: Vec<String> = Vec::new();
    let mut absolute = false;
    for part in parts {
        let part =
            ["${{ github.workspace }}", "$GITHUB_WORKSPACE", "${GITHUB_WORKSPACE}", "${{github.workspace}}"]
                .iter()
                .find_map(|root| part.strip_prefix(root).map(|rest| (true, rest)))
                .unwrap_or((false, part));
        let (is_root, text) = part;
        if outside_of_expressions(text).contains(['$', '~', '`']) {
            return Err(BY_RUN.to_owned());
        }
        if is_root || text.starts_with('/') {
            kept.clear();
            absolute = !is_root;
        }
        for piece in pieces(text) {
            match piece.as_str() {
                "" | "." => {}
                ".." if kept.pop().is_some() => {}
                ".." => return Err("the packages lie outside of the repository".to_owned()),
                _ => kept.push(piece),
            }
        }
    }
    let name = kept.pop().ok_or(BY_RUN)?;
    let folder = format!("{}{}", if absolute { "/" } else { "" }, kept.join("/"));
    Ok((folder, name))
}

fn outside_of_expressions(text: &str) -> String {
    let mut outside = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        outside.push_str(before);
        rest = after.split_once("}}").map_or("", |(_, rest)| rest);
    }
    outside + rest
}

/// Split at slashes that stand in no expression.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut depth = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("${{") {
            depth = true;
        } else if rest.starts_with("}}") {
            depth = false;
        }
        if c == '/' && !depth {
            pieces.push(String::new());
        } else if let Some(last) = pieces.last_mut() {
            last.push(c);
        }
        rest = rest.get(c.len_utf8()..).unwrap_or("");
    }
    pieces
}

/// A name that no other job of the workflow keeps something under; artifacts of one run share their names.
pub(super) fn artifact(place: &Place<'_>, registry: &str, also: &[String]) -> String {
    let taken = |name: &str| {
        let steps = place.subject.workflow.jobs.iter().flat_map(|job| &job.steps);
        let mut uploads =
            steps.filter(|step| super::place::uses(step).starts_with("actions/upload-artifact"));
        also.iter().any(|other| other.starts_with(name))
            || uploads.any(|step| {
                step.with.iter().any(|entry| {
                    entry.name == "name" && entry.node.text().is_some_and(|text| text.starts_with(name))
                })
            })
    };
    let wanted = if registry == "pypi" { "dist".to_owned() } else { format!("{registry}-dist") };
    let candidates = [wanted.clone(), format!("{wanted}-of-{}", place.job.id)];
    candidates
        .into_iter()
        .chain((2..100).map(|number| format!("{wanted}{number}-of-{}", place.job.id)))
        .find(|name| !taken(name))
        .unwrap_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_the_root() {
        for (parts, expected) in [
            (&["", "", "dist/*"][..], Some(("dist", "*"))),
            (&["packages/a", "", "./dist/*.whl"], Some(("packages/a/dist", "*.whl"))),
            (&["packages/a", "", "../../dist/*"], Some(("dist", "*"))),
            (&["pkg/${{ matrix.a }}", "", "dist/*"], Some(("pkg/${{ matrix.a }}/dist", "*"))),
            (&["", "", "${{ github.workspace }}/dist/*"], Some(("dist", "*"))),
            (&["x", "", "/tmp/out/*"], Some(("/tmp/out", "*"))),
            (&["", "", "../dist/*"], None),
            (&["", "", "$D/*"], None),
            (&["~", "", "dist/*"], None),
        ] {
            let found = from_root(parts).ok();
            let found = found.as_ref().map(|(folder, name)| (folder.as_str(), name.as_str()));
            assert_eq!(found, expected, "{parts:?}");
        }
    }
}
