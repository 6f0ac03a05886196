//! The shape of a workflow.

use sha2::Digest;

use crate::yaml::{Content, Node};

/// Deepest walk over a tree whose nodes may be shared.
const WALK_MAX: usize = 20_000;

/// A hash of the workflow's shape: keys stay, names of secrets, hosts and other literals go, so that the waves of one
/// campaign have the same over repositories and hosts. A signal and a search key, never a verdict.
pub(super) fn skeleton(root: &std::sync::Arc<Node>) -> String {
    let mut shape = String::new();
    let mut left = WALK_MAX;
    walk(root, 0, &mut left, &mut shape);
    let digest = sha2::Sha256::digest(shape.as_bytes());
    hex::encode(digest).chars().take(16).collect()
}

fn walk(node: &Node, depth: usize, left: &mut usize, shape: &mut String) {
    *left = left.saturating_sub(1);
    if *left == 0 || depth > crate::yaml::DEPTH_MAX {
        return;
    }
    match &node.content {
        Content::Mapping(pairs) => {
            for (key, value) in pairs {
                let name = key.text().unwrap_or("?");
                // Names of jobs and variables are the author's; keys of the schema say what it does.
                const SCHEMA: &[&str] = &[
                    "on",
                    "push",
                    "jobs",
                    "steps",
                    "run",
                    "uses",
                    "with",
                    "env",
                    "runs-on",
                    "if",
                    "shell",
                    "secrets",
                    "permissions",
                    "pull_request",
                    "pull_request_target",
                    "workflow_dispatch",
                    "schedule",
                    "needs",
                    "outputs",
                    "strategy",
                    "matrix",
                    "branches",
                ];
                shape.push_str(if SCHEMA.contains(&name) { name } else { "k" });
                shape.push('{');
                if name != "name" {
                    walk(value, depth + 1, left, shape);
                }
                shape.push('}');
            }
        }
        Content::Sequence(items) => {
            for item in items {
                shape.push('[');
                walk(item, depth + 1, left, shape);
                shape.push(']');
            }
        }
        Content::Scalar(scalar) => normalise(&scalar.text, shape),
    }
}

/// Words of commands stay; repetitions of `NAME=secret` become one.
fn normalise(text: &str, shape: &mut String) {
    let mut last = String::new();
    for piece in crate::workflow::expression::pieces(text) {
        match piece {
            crate::workflow::expression::Piece::Expression(_, _) => {
                if last != "$" {
                    shape.push('$');
                    last = "$".to_owned();
                }
            }
            crate::workflow::expression::Piece::Text(range) => {
                for word in text.get(range).unwrap_or("").split_whitespace() {
                    let plain = word.len() <= 12
                        && word.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '-' | '|' | '>' | '<'));
                    if plain {
                        shape.push_str(word);
                        shape.push(' ');
                        last = word.to_owned();
                    } else if last != "$" {
                        shape.push('w');
                        last = "$".to_owned();
                    }
                }
            }
        }
    }
}
