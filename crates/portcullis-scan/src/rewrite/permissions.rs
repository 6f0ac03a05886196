//! What a job's token may do: the right to prove who it is for those that publish, and no more than before for the others.

use super::layout::Layout;
use super::place::{Place, uses};
use crate::edit::Edit;
use crate::workflow::Step;
use crate::yaml::{Content, Node};

/// `id-token: write` for the job that publishes where it stands.
pub(super) fn may_publish(place: &Place<'_>) -> Result<Option<Edit>, String> {
    let layout = place.layout();
    let (at, indent) = place.before_steps()?;
    let (unit, newline) = (place.unit(), place.newline());
    let Some((key, value)) = layout.entry(place.job_node, "permissions") else {
        let checks_out = place.job.steps.iter().any(|step| uses(step).starts_with("actions/checkout"));
        let read = if checks_out { format!("{indent}{unit}contents: read{newline}") } else { String::new() };
        return Ok(Some(Edit::insert(
            at,
            format!("{indent}permissions:{newline}{read}{indent}{unit}id-token: write{newline}"),
        )));
    };
    with_identity(layout, key, value, &indent, &unit)
}

/// `id-token: write` in permissions that are there already.
pub(super) fn with_identity(
    layout: &Layout<'_>,
    key: &Node,
    value: &Node,
    indent: &str,
    unit: &str,
) -> Result<Option<Edit>, String> {
    let newline = layout.newline;
    if let Some((_, level)) = layout.entry(value, "id-token") {
        let write = level.text() == Some("write");
        let range = level.bytes.range().start..layout.content_end(level);
        return Ok((!write).then(|| Edit::replace(range, "write")));
    }
    match &value.content {
        Content::Mapping(pairs) if !layout.is_flow(value) => {
            let (first, _) = pairs.first().ok_or("the permissions are empty")?;
            let at = layout.line_start(first.bytes.range().start);
            let indent = " ".repeat(layout.column(first.bytes.range().start));
            Ok(Some(Edit::insert(at, format!("{indent}id-token: write{newline}"))))
        }
        Content::Mapping(pairs) => {
            let kept: Vec<&str> = pairs
                .iter()
                .filter_map(|(key, value)| {
                    layout.text.get(key.bytes.range().start..layout.content_end(value))
                })
                .chain(["id-token: write"])
                .collect();
            let range = value.bytes.range().start..layout.content_end(value);
            Ok(Some(Edit::replace(range, format!("{{{}}}", kept.join(", ")))))
        }
        Content::Scalar(_) => {
            // `write-all` has it already, and far too much else; `read-all` becomes what a publishing job reads.
            let range = key.bytes.range().start..layout.content_end(value).max(key.bytes.range().end);
            let text = format!(
                "permissions:{newline}{indent}{unit}contents: read{newline}{indent}{unit}id-token: write"
            );
            Ok(Some(Edit::replace(range, text)))
        }
        Content::Sequence(_) => Err("the job's permissions are a list".to_owned()),
    }
}

/// Owners and actions that build and need no more of the job's token than to read.
const READERS: &[&str] = &[
    "actions/checkout",
    "actions/setup-",
    "actions/cache",
    "actions/upload-artifact",
    "actions/download-artifact",
    "astral-sh/",
    "pypa/",
    "snok/install-poetry",
    "abatilo/actions-poetry",
    "pdm-project/setup-pdm",
    "docker/setup-qemu-action",
    "pyo3/maturin-action",
    "messense/maturin-action",
    "dtolnay/rust-toolchain",
    "swatinem/rust-cache",
    "prefix-dev/setup-pixi",
    "conda-incubator/setup-miniconda",
    "jrubics/poetry-publish",
    "codecov/codecov-action",
    "slackapi/",
    "8398a7/action-slack",
    "rtcamp/action-slack-notify",
    "ilshidur/action-discord",
    "sarisia/actions-status-discord",
    "dawidd6/action-send-mail",
    "appleboy/telegram-action",
];

/// Actions that write the repository's contents (releases, tags, pages' branch), and nothing else.
const WRITERS: &[&str] = &[
    "softprops/action-gh-release",
    "ncipollo/release-action",
    "actions/create-release",
    "actions/upload-release-asset",
    "svenstaro/upload-release-action",
    "peaceiris/actions-gh-pages",
    "jamesives/github-pages-deploy-action",
    "stefanzweifel/git-auto-commit-action",
    "ad-m/github-push-action",
];

/// What steps need of the job's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// To read the repository, at most.
    Reads,
    /// To write its contents.
    WritesContents,
    /// Something that can't be told.
    Unknown,
}

/// The most that any of these steps needs.
pub(super) fn need(place: &Place<'_>, steps: &[(&Step, &Node)]) -> Need {
    let of_step = |(step, node): &(&Step, &Node)| {
        let text = place.layout().text.get(place.lines(node)).unwrap_or("").to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let name = uses(step);
        if step.uses.is_some() {
            return match () {
                () if WRITERS.iter().any(|known| name.starts_with(known)) => Need::WritesContents,
                () if READERS.iter().any(|known| name.starts_with(known))
                    && !has(&["github_token", "github.token"]) =>
                {
                    Need::Reads
                }
                () => Need::Unknown,
            };
        }
        match () {
            () if has(&[
                "gh pr ",
                "gh issue ",
                "gh api ",
                "gh workflow ",
                "gh run ",
                "ghcr.io",
                "semantic-release",
            ]) =>
            {
                Need::Unknown
            }
            () if has(&["git push", "gh release", "gh-deploy", "mike ", "twine upload --github"]) => {
                Need::WritesContents
            }
            () if has(&["github_token", "github.token", "gh "]) => Need::Unknown,
            () => Need::Reads,
        }
    };
    steps.iter().map(of_step).max().unwrap_or(Need::Reads)
}

/// The workflow's own permissions, which were those of its only job: what it may write there the jobs that need it say
/// themselves, once there are several.
pub(super) fn lowered(place: &Place<'_>) -> Option<(Vec<Edit>, Vec<String>)> {
    let layout = place.layout();
    let (key, value) = layout.entry(place.subject.root, "permissions")?;
    if place.subject.workflow.jobs.len() != 1 || layout.entry(place.job_node, "permissions").is_some() {
        return None;
    }
    if value.text() == Some("write-all") {
        let steps = place.steps();
        let others: Vec<(&Step, &Node)> = steps
            .iter()
            .filter(|(step, _)| step.bytes != place.step.bytes)
            .map(|(step, node)| (*step, node.as_ref()))
            .collect();
        if need(place, &others) == Need::Unknown {
            return None;
        }
        let range = key.bytes.range().start..layout.content_end(value);
        let text = format!("permissions:{}{}contents: read", place.newline(), place.unit());
        return Some((vec![Edit::replace(range, text)], vec!["contents: write".to_owned()]));
    }
    let Content::Mapping(pairs) = &value.content else { return None };
    let others = || pairs.iter().filter(|(key, _)| key.text() != Some("id-token"));
    let edits: Vec<Edit> = others()
        .filter(|(_, level)| level.text() == Some("write"))
        .map(|(_, level)| Edit::replace(level.bytes.range().start..layout.content_end(level), "read"))
        .collect();
    let entries = others().filter_map(|(key, level)| {
        layout.text.get(key.bytes.range().start..layout.entry_end(key, level)).map(str::to_owned)
    });
    let entries: Vec<String> = entries.collect();
    (!edits.is_empty()).then_some((edits, entries))
}

/// What is left of a job builds, and may do no more than read; where it may use its token for more, it keeps what it has.
pub(super) fn builds_only(place: &Place<'_>, left: &[(&Step, &Node)]) -> Vec<Edit> {
    let layout = place.layout();
    let Ok((at, indent)) = place.before_steps() else { return Vec::new() };
    let (unit, newline) = (place.unit(), place.newline());
    let need = need(place, left);
    let Some((key, value)) = layout.entry(place.job_node, "permissions") else {
        let entries = match (lowered(place), need) {
            (Some((_, _)), Need::Reads) => return Vec::new(),
            (Some((_, entries)), _) => entries,
            (None, _) if layout.entry(place.subject.root, "permissions").is_some() => return Vec::new(),
            (None, Need::Reads) => vec!["contents: read".to_owned()],
            (None, Need::WritesContents) => vec!["contents: write".to_owned()],
            (None, Need::Unknown) => return Vec::new(),
        };
        let lines: String = entries.iter().map(|entry| format!("{indent}{unit}{entry}{newline}")).collect();
        return vec![Edit::insert(at, format!("{indent}permissions:{newline}{lines}"))];
    };
    let reads = need == Need::Reads;
    if matches!(value.text(), Some("write-all")) && need != Need::Unknown {
        let range = key.bytes.range().start..layout.content_end(value);
        let level = if reads { "read" } else { "write" };
        return vec![Edit::replace(range, format!("permissions:{newline}{indent}{unit}contents: {level}"))];
    }
    // It was there for the publishing, where nothing else is known to use it.
    let identity = left.iter().any(|(_, node)| may_need_identity(place, node));
    if identity { Vec::new() } else { without_identity(layout, key, value) }
}

/// Takes `id-token: write` out of permissions; what is left may be nothing, which is not the same as none given.
fn without_identity(layout: &Layout<'_>, key: &Node, value: &Node) -> Vec<Edit> {
    if layout.entry(value, "id-token").and_then(|(_, level)| level.text()) != Some("write") {
        return Vec::new();
    }
    let Content::Mapping(pairs) = &value.content else { return Vec::new() };
    if pairs.len() == 1 {
        let range = key.bytes.range().start..layout.content_end(value);
        return vec![Edit::replace(range, "permissions: {}")];
    }
    layout.without(key, value, &|name, _| name.eq_ignore_ascii_case("id-token"))
}

/// What uses the identity token for something other than publishing to PyPI: clouds, vaults, signatures, other registries.
const USES_IDENTITY: &[&str] = &[
    "aws-actions/",
    "role-to-assume",
    "google-github-actions/",
    "workload_identity",
    "azure/",
    "vault",
    "attest",
    "sigstore",
    "slsa",
    "cosign",
    "deploy-pages",
    "oidc",
    "id_token",
    "id-token",
    "idtoken",
    "npm publish",
    "provenance",
    "crates-io-auth",
    "rubygems/",
    "octo-sts",
    "jfrog",
    "chainguard",
    "tailscale/",
    "uv publish",
    "twine upload",
];

/// Whether a step may need the identity token.
fn may_need_identity(place: &Place<'_>, node: &Node) -> bool {
    let text = place.layout().text.get(place.lines(node)).unwrap_or("").to_ascii_lowercase();
    USES_IDENTITY.iter().any(|word| text.contains(word)) || text.contains("pypa/gh-action")
}

/// `id-token: write` for the whole workflow is more than its publishing needs: the other jobs lose it, where they are known
/// not to use it.
pub(super) fn not_for_all(place: &Place<'_>) -> (Vec<Edit>, Option<String>) {
    let layout = place.layout();
    let Some((key, value)) = layout.entry(place.subject.root, "permissions") else {
        return (Vec::new(), None);
    };
    if layout.entry(value, "id-token").and_then(|(_, level)| level.text()) != Some("write") {
        return (Vec::new(), None);
    }
    let is_other = |job: &crate::workflow::Job| job.id != place.job.id && job.permissions.is_none();
    let others = place.subject.workflow.jobs.iter().filter(|job| is_other(job)).any(|job| {
        let text = layout.text.get(job.bytes.range()).unwrap_or("").to_ascii_lowercase();
        job.uses.is_some()
            || text.contains("pypa/gh-action")
            || USES_IDENTITY.iter().any(|word| text.contains(word))
    });
    let steps = place.steps();
    let mut own = steps.iter().filter(|(step, _)| step.bytes != place.step.bytes);
    let others = others || own.any(|(_, node)| may_need_identity(place, node));
    if others {
        let note = "the whole workflow has `id-token: write`; give it to the jobs that need it and take it out at the top";
        return (Vec::new(), Some(note.to_owned()));
    }
    (without_identity(layout, key, value), None)
}
