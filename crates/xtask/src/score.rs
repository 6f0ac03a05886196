//! How well the scanner tells theft from deployment, against a labelled corpus.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use portcullis_scan::report::{Certainty, Class, Finding, Verdict};
use portcullis_scan::{Options, scan};
use serde::Deserialize;

#[derive(Deserialize)]
struct Entry {
    file: String,
    label: String,
    #[serde(default)]
    ambiguous: bool,
    #[serde(default)]
    campaign: Option<String>,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    destinations: Vec<String>,
}

/// Scores a folder and prints the table; with `list` also every file that was judged wrongly.
pub(crate) fn run(folder: &Path, list: bool) -> anyhow::Result<()> {
    let manifest = folder.join("manifest.jsonl");
    let text =
        std::fs::read_to_string(&manifest).with_context(|| format!("reading `{}`", manifest.display()))?;
    let entries: Vec<Entry> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("reading the manifest")?;
    let paths = entries.iter().map(|entry| folder.join(&entry.file)).collect();
    let report = scan(&Options { paths, ..Options::default() });
    let mut found: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in &report.document.findings {
        found.entry(finding.repository.given.as_str()).or_default().push(finding);
    }
    let mut out = std::io::stdout().lock();
    let mut table: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut exact_secrets = [0_usize; 2];
    let mut exact_places = [0_usize; 2];
    let mut wrong = Vec::new();
    for entry in &entries {
        let given = folder.join(&entry.file).display().to_string();
        let findings = found.get(given.as_str()).cloned().unwrap_or_default();
        let worst = findings.iter().map(|finding| finding.verdict).max();
        let label = match (entry.label.as_str(), entry.ambiguous) {
            ("malicious", true) => "malicious, ambiguous",
            ("malicious", false) => "malicious",
            _ => "benign",
        };
        *table.entry((label, worst.map_or("nothing", Verdict::name))).or_default() += 1;
        let missed = label == "malicious" && worst != Some(Verdict::Malicious);
        let accused = label == "benign" && worst >= Some(Verdict::Suspicious);
        if missed || accused {
            wrong.push((label, worst, entry, findings.clone()));
        }
        if label == "malicious" && worst == Some(Verdict::Malicious) {
            let (secrets, places) = said(&findings);
            let wanted: BTreeSet<String> = entry.secrets.iter().cloned().collect();
            let wanted_places: BTreeSet<String> = entry.destinations.iter().map(|text| place(text)).collect();
            let (same_secrets, same_places) = (secrets == wanted, places == wanted_places);
            for (counts, same) in [(&mut exact_secrets, same_secrets), (&mut exact_places, same_places)] {
                let [right, all] = counts;
                *right += usize::from(same);
                *all += 1;
            }
            if list && !(same_secrets && same_places) {
                writeln!(out, "inexact  {}", entry.file)?;
                if !same_secrets {
                    writeln!(out, "         secrets {secrets:?}, wanted {wanted:?}")?;
                }
                if !same_places {
                    writeln!(out, "         places {places:?}, wanted {wanted_places:?}")?;
                }
            }
        }
    }
    if list {
        for (label, worst, entry, findings) in &wrong {
            let campaign = entry.campaign.as_deref().unwrap_or("");
            writeln!(
                out,
                "{label} judged {}: {} {campaign}",
                worst.map_or("nothing", Verdict::name),
                entry.file
            )?;
            for finding in findings
                .iter()
                .filter(|finding| finding.verdict >= Verdict::Suspicious || *label == "malicious")
            {
                let (secrets, places) = said(&[finding]);
                writeln!(
                    out,
                    "         {}[{}] line {} {secrets:?} → {places:?} {:?}",
                    finding.verdict.name(),
                    finding.rule,
                    finding.span.start.line,
                    finding.signals
                )?;
            }
        }
    }
    for ((label, verdict), count) in &table {
        writeln!(out, "{label:<22} {verdict:<12} {count:>4}")?;
    }
    writeln!(
        out,
        "exact secrets {exact_secrets:?}, exact destinations {exact_places:?} (right, of those judged malicious)"
    )?;
    writeln!(
        out,
        "{} files in {} s; {} problems",
        entries.len(),
        report.document.stats.seconds,
        report.document.problems.len()
    )?;
    Ok(())
}

/// Secrets and places of the findings that matter, in the manifest's words.
fn said(findings: &[&Finding]) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut secrets = BTreeSet::new();
    let mut places = BTreeSet::new();
    for finding in
        findings.iter().filter(|finding| finding.verdict == Verdict::Malicious || findings.len() == 1)
    {
        if finding.all_secrets {
            secrets.insert("*".to_owned());
        }
        let certain = finding.secrets.iter().filter(|secret| secret.certainty == Certainty::Certain);
        secrets.extend(certain.map(|secret| secret.name.unescaped().to_owned()));
        for destination in &finding.destinations {
            places.insert(match (&destination.host, destination.class, &destination.name) {
                (Some(host), ..) => host.unescaped().to_owned(),
                (None, Class::Log, _) => "workflow-log".to_owned(),
                (None, Class::Artifact, _) => "actions-artifact".to_owned(),
                (None, class, Some(name)) => format!("{}:{}", class.name(), name.unescaped()),
                (None, class, None) => class.name().to_owned(),
            });
        }
    }
    (secrets, places)
}

/// The host of a destination as the manifest writes it, or its channel.
fn place(text: &str) -> String {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = host.rsplit('@').next().unwrap_or(host);
    host.split(':').next().unwrap_or(host).to_ascii_lowercase()
}
