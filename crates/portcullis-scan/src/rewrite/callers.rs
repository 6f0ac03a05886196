//! All workflows of a repository together: a workflow that publishes when it is called can have no more rights than the job
//! that calls it, so that job gets them too.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::layout::Layout;
use super::permissions::with_identity;
use super::{Options, Rewritten, rewrite};
use crate::edit::{Edit, apply};
use crate::flow::{LocalFile, LocalFiles};
use crate::workflow::Workflow;
use crate::yaml::{self, Content, Node};

/// Most rounds: each lets the rights go one call further up, and GitHub allows ten levels.
const LEVELS_MAX: usize = 10;

/// Files as they are after the change.
struct Changed<'c> {
    texts: &'c BTreeMap<String, String>,
    rest: &'c dyn LocalFiles,
}

impl LocalFiles for Changed<'_> {
    fn read(&self, path: &str) -> LocalFile {
        match self.texts.get(path) {
            Some(text) => LocalFile::Text(text.as_str().into()),
            None => self.rest.read(path),
        }
    }
}

/// Rewrites files by their path from the repository's root; the answers come in the same order, `None` for what is no
/// workflow.
pub fn rewrite_all(
    files: &[(String, String)],
    local: &dyn LocalFiles,
    options: &Options,
) -> Vec<Option<Rewritten>> {
    let mut texts: BTreeMap<String, String> = files.iter().cloned().collect();
    let mut answers: Vec<Option<Rewritten>> = vec![None; files.len()];
    let is_called = |text: &str| {
        yaml::parse(text).is_ok_and(|root| {
            Workflow::read(&root).triggers.iter().any(|trigger| trigger.event == "workflow_call")
        })
    };
    // The called first: their callers then see that nothing there takes a token any more.
    for called in [true, false] {
        for (at, (path, text)) in files.iter().enumerate() {
            if is_called(text) != called {
                continue;
            }
            let rest = Changed { texts: &texts, rest: local };
            let answer = rewrite(path, text, &rest, options);
            if let (Some(answer), Some(slot)) = (answer, answers.get_mut(at)) {
                texts.insert(path.clone(), answer.text.clone());
                *slot = Some(answer);
            }
        }
    }
    for _ in 0..LEVELS_MAX {
        let mut changed = false;
        for (at, (path, _)) in files.iter().enumerate() {
            let Some(Some(answer)) = answers.get_mut(at) else { continue };
            let edits = granted(&answer.text, &texts).unwrap_or_default();
            let Some(text) = apply(&answer.text, &edits).filter(|_| !edits.is_empty()) else { continue };
            answer.take(text.clone(), &edits);
            texts.insert(path.clone(), text);
            changed = true;
        }
        if !changed {
            break;
        }
    }
    answers
}

/// Edits that give jobs the rights that they need for what they call.
fn granted(text: &str, texts: &BTreeMap<String, String>) -> Option<Vec<Edit>> {
    let root = yaml::parse(text).ok()?;
    let workflow = Workflow::read(&root);
    let layout = Layout::new(text);
    let jobs = root.get("jobs")?;
    let mut edits = Vec::new();
    for job in &workflow.jobs {
        let called = job.uses.as_ref().and_then(|uses| uses.text()).and_then(|uses| uses.strip_prefix("./"));
        let Some(needs) = called.and_then(|path| texts.get(path)).and_then(|text| needed(text)) else {
            continue;
        };
        let Some((key, node)) = layout.entry(jobs, &job.id) else { continue };
        let whole = job.permissions.as_ref().or(workflow.permissions.as_ref());
        let has = whole.is_some_and(|all| {
            all.text() == Some("write-all")
                || all.get("id-token").and_then(|level| level.text()) == Some("write")
        });
        if has || layout.is_flow(node) {
            continue;
        }
        edits.extend(grant(&layout, key, node, &workflow, &needs));
    }
    Some(edits)
}

/// What the jobs of a called workflow ask for, where one of them publishes: scope and level.
fn needed(text: &str) -> Option<BTreeMap<String, String>> {
    let root = yaml::parse(text).ok()?;
    let workflow = Workflow::read(&root);
    let mut scopes = BTreeMap::new();
    for job in &workflow.jobs {
        let given = job.permissions.as_ref().or(workflow.permissions.as_ref());
        let Some(given) = given else {
            scopes.entry("contents".to_owned()).or_insert_with(|| "read".to_owned());
            continue;
        };
        for (scope, level) in given.entries() {
            let (Some(scope), Some(level)) = (scope.text(), level.text()) else { continue };
            let known = scopes.entry(scope.to_owned()).or_insert_with(|| level.to_owned());
            if level == "write" {
                level.clone_into(known);
            }
        }
    }
    (scopes.get("id-token").map(String::as_str) == Some("write")).then_some(scopes)
}

fn grant(
    layout: &Layout<'_>,
    key: &Node,
    node: &Arc<Node>,
    workflow: &Workflow,
    needs: &BTreeMap<String, String>,
) -> Option<Edit> {
    let Content::Mapping(pairs) = &node.content else { return None };
    let (first, _) = pairs.first()?;
    let indent = " ".repeat(layout.column(first.bytes.range().start));
    let unit = " ".repeat(indent.len().saturating_sub(layout.column(key.bytes.range().start)).clamp(1, 8));
    if let Some((key, value)) = layout.entry(node, "permissions") {
        return with_identity(layout, key, value, &indent, &unit).ok()?;
    }
    // Permissions of a job take the place of the workflow's: those are said again.
    let mut scopes = needs.clone();
    for (scope, level) in workflow.permissions.iter().flat_map(|all| all.entries()) {
        if let (Some(scope), Some(level)) = (scope.text(), level.text()) {
            scopes.entry(scope.to_owned()).or_insert_with(|| level.to_owned());
        }
    }
    let (uses, _) = layout.entry(node, "uses")?;
    let at = layout.line_start(uses.bytes.range().start);
    let newline = layout.newline;
    let lines: String =
        scopes.iter().map(|(scope, level)| format!("{indent}{unit}{scope}: {level}{newline}")).collect();
    let text = format!("{indent}permissions:{newline}{lines}");
    Some(Edit::insert(at, text))
}
