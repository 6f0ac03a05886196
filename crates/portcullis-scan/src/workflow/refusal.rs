//! Whether GitHub would refuse to run a file. What it would refuse is searched all the same: one mended line later it runs.
//!
//! The rules are those of GitHub's workflow syntax reference. Values are not looked into, nor are expressions; what this
//! doesn't know as a reason counts as fit to run.

use std::sync::Arc;

use crate::yaml::{Content, Node};

const WORKFLOW_KEYS: &[&str] =
    &["name", "run-name", "on", "true", "permissions", "env", "defaults", "concurrency", "jobs"];
const JOB_KEYS: &[&str] = &[
    "name",
    "permissions",
    "needs",
    "if",
    "runs-on",
    "snapshot",
    "environment",
    "concurrency",
    "outputs",
    "env",
    "defaults",
    "steps",
    "timeout-minutes",
    "cancel-timeout-minutes",
    "strategy",
    "continue-on-error",
    "container",
    "services",
    "uses",
    "with",
    "secrets",
];
const STEP_KEYS: &[&str] = &[
    "id",
    "if",
    "name",
    "uses",
    "run",
    "shell",
    "with",
    "env",
    "continue-on-error",
    "timeout-minutes",
    "working-directory",
];

/// Why GitHub would refuse a workflow; `None` where nothing speaks against it. Not for actions.
pub fn refusal(root: &Arc<Node>) -> Option<&'static str> {
    if !matches!(root.content, Content::Mapping(_)) {
        return Some("it is not a mapping");
    }
    if root.get("on").or_else(|| root.get("true")).is_none() {
        return Some("no event starts it");
    }
    let jobs = root.get("jobs").map(|jobs| jobs.entries()).unwrap_or_default();
    if jobs.is_empty() {
        return Some("it has no job");
    }
    if has_unknown(root, WORKFLOW_KEYS) {
        return Some("it has a key that workflows don't have");
    }
    let names: Vec<&str> = jobs.iter().filter_map(|(key, _)| key.text()).collect();
    jobs.iter().find_map(|(_, job)| job_refusal(job, &names))
}

fn job_refusal(job: &Arc<Node>, names: &[&str]) -> Option<&'static str> {
    if has_unknown(job, JOB_KEYS) {
        return Some("a job has a key that jobs don't have");
    }
    let calls = job.get("uses").is_some();
    if calls == job.get("runs-on").is_some() {
        return Some("a job needs either a runner or a workflow that it calls");
    }
    let unknown = |need: &&Arc<Node>| {
        need.text().is_none_or(|need| !names.iter().any(|name| name.eq_ignore_ascii_case(need)))
    };
    if job.get("needs").is_some_and(|needs| needs.items().iter().any(unknown)) {
        return Some("a job needs one that there isn't");
    }
    let steps = job.get("steps").map(|steps| steps.items()).unwrap_or_default();
    if steps.is_empty() != calls {
        return Some("a job needs either steps or a workflow that it calls");
    }
    steps.into_iter().find_map(step_refusal)
}

fn step_refusal(step: &Arc<Node>) -> Option<&'static str> {
    if has_unknown(step, STEP_KEYS) {
        return Some("a step has a key that steps don't have");
    }
    if step.get("run").is_some() == step.get("uses").is_some() {
        return Some("a step needs either a command or an action");
    }
    None
}

fn has_unknown(node: &Arc<Node>, known: &[&str]) -> bool {
    let Content::Mapping(pairs) = &node.content else { return true };
    pairs.iter().any(|(key, _)| {
        key.text().is_none_or(|text| !known.iter().any(|known| known.eq_ignore_ascii_case(text.trim())))
    })
}

/// Whether a mapping anywhere below gives one key twice, which GitHub refuses: only the first of them is followed here.
pub fn repeats_a_key(node: &Arc<Node>) -> bool {
    let mut open = vec![node];
    let mut left = crate::yaml::NODES_MAX;
    while let Some(node) = open.pop() {
        // Anchors let one node stand in many places; no file has more nodes than this without them.
        left = left.saturating_sub(1);
        if left == 0 {
            return false;
        }
        match &node.content {
            Content::Mapping(pairs) => {
                let mut keys: Vec<&str> = pairs.iter().filter_map(|(key, _)| key.text()).collect();
                let count = keys.len();
                keys.sort_unstable();
                keys.dedup();
                if keys.len() < count {
                    return true;
                }
                open.extend(pairs.iter().map(|(_, value)| value));
            }
            Content::Sequence(items) => open.extend(items),
            Content::Scalar(_) => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIT: &str = "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n    - run: make\n  b:\n    needs: [A]\n    uses: ./.github/workflows/c.yml\n";

    #[test]
    fn a_fit_workflow_and_what_makes_it_unfit() {
        assert_eq!(refusal(&crate::yaml::parse(FIT).unwrap()), None);
        for (from, to) in [
            ("on: push\n", ""),
            ("on: push", "on: push\nversion: 2"),
            ("    runs-on: x\n", ""),
            ("    runs-on: x\n", "    runs-on: x\n    stages: []\n"),
            ("    uses: ./", "    runs-on: x\n    uses: ./"),
            ("[A]", "[c]"),
            ("    steps:\n    - run: make\n", ""),
            ("- run: make", "- run: make\n      uses: a/b@c"),
            ("- run: make", "- name: make"),
            ("- run: make", "- run: make\n      script: x"),
        ] {
            let text = FIT.replacen(from, to, 1);
            assert_ne!(text, FIT);
            assert!(refusal(&crate::yaml::parse(&text).unwrap()).is_some(), "{text}");
        }
        assert!(refusal(&crate::yaml::parse("on: push\njobs: {}\n").unwrap()).is_some());
        assert!(refusal(&crate::yaml::parse("- a\n").unwrap()).is_some());
    }

    #[test]
    fn a_repeated_key_is_seen_at_any_depth() {
        assert!(!repeats_a_key(&crate::yaml::parse(FIT).unwrap()));
        let text = FIT.replacen("- run: make", "- run: make\n      run: other", 1);
        assert!(repeats_a_key(&crate::yaml::parse(&text).unwrap()));
    }
}
