//! How well the scanner tells theft from deployment, against a labelled corpus.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use portcullis_scan::report::{Certainty, Class, Finding, Verdict};
use portcullis_scan::{Options, scan};
use serde::Deserialize;

/// One line of `manifest.jsonl`.
#[derive(Deserialize)]
struct Entry {
    file: String,
    label: Label,
    /// A careful reader may disagree with the label: shown in the table, left out of every mark.
    #[serde(default)]
    ambiguous: bool,
    origin: Origin,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    destinations: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Label {
    Malicious,
    Benign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Origin {
    Real,
    Written,
}

/// What the scanner says of one file.
struct Judged<'a> {
    entry: &'a Entry,
    text: String,
    worst: Option<Verdict>,
    findings: Vec<&'a Finding>,
}

impl Judged<'_> {
    fn is(&self, label: Label) -> bool {
        !self.entry.ambiguous && self.entry.label == label
    }

    fn verdict(&self) -> &'static str {
        self.worst.map_or("nothing", Verdict::name)
    }

    fn wrong(&self) -> bool {
        self.is(Label::Malicious) && self.worst != Some(Verdict::Malicious)
            || self.is(Label::Benign) && self.worst >= Some(Verdict::Suspicious)
    }

    /// Secrets that surely leave and places that get them, in the manifest's words, by the findings of the worst verdict.
    fn said(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut secrets = BTreeSet::new();
        let mut places = BTreeSet::new();
        for finding in self.findings.iter().filter(|finding| Some(finding.verdict) == self.worst) {
            if finding.all_secrets {
                secrets.insert("*".to_owned());
            }
            let certain = finding.secrets.iter().filter(|secret| secret.certainty == Certainty::Certain);
            secrets.extend(certain.map(|secret| secret.name.unescaped().to_owned()));
            for destination in &finding.destinations {
                places.insert(match (&destination.host, destination.class, &destination.name) {
                    (Some(host), ..) => host.unescaped().trim_start_matches("*.").to_owned(),
                    (None, Class::Log, _) => "workflow-log".to_owned(),
                    (None, Class::Artifact, _) => "actions-artifact".to_owned(),
                    (None, Class::Disk, _) => "self-hosted-disk".to_owned(),
                    (None, class, Some(name)) => format!("{}:{}", class.name(), name.unescaped()),
                    (None, class, None) => class.name().to_owned(),
                });
            }
        }
        (secrets, places)
    }

    /// The names that leave, without those that the manifest took from the name of a file: `secrets.env` in
    /// `cat > secrets.env` is none.
    fn wanted_secrets(&self) -> BTreeSet<String> {
        let is_file = |name: &str| {
            let reference = format!("secrets.{name}");
            let expressions: Vec<&str> =
                self.text.split("${{").skip(1).filter_map(|rest| rest.split("}}").next()).collect();
            self.text.contains(&reference) && !expressions.iter().any(|inside| inside.contains(&reference))
        };
        self.entry.secrets.iter().filter(|name| !is_file(name)).cloned().collect()
    }

    fn same_secrets(&self) -> bool {
        self.said().0 == self.wanted_secrets()
    }

    fn same_places(&self) -> bool {
        self.said().1 == self.entry.destinations.iter().map(|text| place(text)).collect()
    }
}

/// A limit that the scanner keeps to, as a share of some samples.
struct Mark {
    what: &'static str,
    count: usize,
    of: usize,
    limit: Limit,
}

/// In percent.
enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl Mark {
    fn share(&self) -> f64 {
        if self.of == 0 { 0.0 } else { 100.0 * self.count as f64 / self.of as f64 }
    }

    fn kept(&self) -> bool {
        match self.limit {
            _ if self.of == 0 => true,
            Limit::AtLeast(percent) => self.share() >= percent,
            Limit::AtMost(percent) => self.share() <= percent,
        }
    }
}

/// The marks: no benign file accused, nearly every theft called one, and its secrets and places right.
fn marks(judged: &[Judged<'_>]) -> Vec<Mark> {
    let mark = |what, limit, among: &dyn Fn(&Judged<'_>) -> bool, holds: &dyn Fn(&Judged<'_>) -> bool| {
        let samples: Vec<&Judged<'_>> = judged.iter().filter(|judged| among(judged)).collect();
        Mark { what, count: samples.iter().filter(|judged| holds(judged)).count(), of: samples.len(), limit }
    };
    let real = |judged: &Judged<'_>| judged.is(Label::Malicious) && judged.entry.origin == Origin::Real;
    let written = |judged: &Judged<'_>| judged.is(Label::Malicious) && judged.entry.origin == Origin::Written;
    let malicious = |judged: &Judged<'_>| judged.is(Label::Malicious);
    let benign = |judged: &Judged<'_>| judged.is(Label::Benign);
    let called_theft = |judged: &Judged<'_>| judged.worst == Some(Verdict::Malicious);
    let noticed = |judged: &Judged<'_>| judged.worst >= Some(Verdict::Suspicious);
    let doubted = |judged: &Judged<'_>| judged.worst == Some(Verdict::Suspicious);
    vec![
        mark("real thefts called malicious", Limit::AtLeast(100.0), &real, &called_theft),
        mark("written evasions at least suspicious", Limit::AtLeast(95.0), &written, &noticed),
        mark("written evasions called malicious", Limit::AtLeast(85.0), &written, &called_theft),
        mark("benign called malicious", Limit::AtMost(0.0), &benign, &called_theft),
        mark("benign called suspicious", Limit::AtMost(2.0), &benign, &doubted),
        mark(
            "thefts with exactly the right secrets",
            Limit::AtLeast(97.0),
            &malicious,
            &|judged: &Judged<'_>| judged.same_secrets(),
        ),
        mark("thefts with exactly the right places", Limit::AtLeast(95.0), &malicious, &|judged: &Judged<
            '_,
        >| {
            judged.same_places()
        }),
    ]
}

/// Scores a folder and prints table and marks; with `list` also every file that was judged wrongly or inexactly.
/// Returns whether every mark was kept.
pub(crate) fn run(folder: &Path, list: bool) -> anyhow::Result<bool> {
    let entries = entries(folder)?;
    let given = |entry: &Entry| folder.join(&entry.file);
    let report = scan(&Options { paths: entries.iter().map(given).collect(), ..Options::default() });
    let mut found: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in &report.document.findings {
        found.entry(finding.repository.given.as_str()).or_default().push(finding);
    }
    let judged: Vec<Judged<'_>> = entries
        .iter()
        .map(|entry| {
            let text = std::fs::read(given(entry)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let text = text.unwrap_or_default();
            let findings =
                found.get(given(entry).display().to_string().as_str()).cloned().unwrap_or_default();
            Judged { entry, text, worst: findings.iter().map(|finding| finding.verdict).max(), findings }
        })
        .collect();
    let mut out = std::io::stdout().lock();
    if list {
        for judged in &judged {
            write_wrong(&mut out, judged)?;
        }
    }
    let mut table: BTreeMap<(Label, Origin, bool, &str), usize> = BTreeMap::new();
    for judged in &judged {
        let entry = judged.entry;
        *table.entry((entry.label, entry.origin, entry.ambiguous, judged.verdict())).or_default() += 1;
    }
    for ((label, origin, ambiguous, verdict), count) in &table {
        let ambiguous = if *ambiguous { ", ambiguous" } else { "" };
        writeln!(out, "{:<32} {verdict:<12} {count:>4}", format!("{label:?}, {origin:?}{ambiguous}"))?;
    }
    let marks = marks(&judged);
    for mark in &marks {
        let limit = match mark.limit {
            Limit::AtLeast(percent) => format!("at least {percent} %"),
            Limit::AtMost(percent) => format!("at most {percent} %"),
        };
        let kept = if mark.kept() { "kept" } else { "MISSED" };
        let figure = format!("{}/{} = {:.1} %", mark.count, mark.of, mark.share());
        writeln!(out, "{kept:<6} {:<40} {figure:<20} {limit}", mark.what)?;
    }
    let (seconds, problems) = (report.document.stats.seconds, report.document.problems.len());
    writeln!(out, "{} files in {seconds} s; {problems} problems", entries.len())?;
    Ok(marks.iter().all(Mark::kept))
}

fn entries(folder: &Path) -> anyhow::Result<Vec<Entry>> {
    let manifest = folder.join("manifest.jsonl");
    let text =
        std::fs::read_to_string(&manifest).with_context(|| format!("reading `{}`", manifest.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let entries: Vec<Entry> =
        lines.map(serde_json::from_str).collect::<Result<_, _>>().context("reading the manifest")?;
    anyhow::ensure!(!entries.is_empty(), "`{}` names no file: there is nothing to score", manifest.display());
    for entry in &entries {
        let path = folder.join(&entry.file);
        anyhow::ensure!(path.is_file(), "the manifest names `{}`, which is not there", path.display());
    }
    Ok(entries)
}

/// What is wrong with one file's judgement, if anything is.
fn write_wrong(out: &mut impl Write, judged: &Judged<'_>) -> std::io::Result<()> {
    let entry = judged.entry;
    if judged.wrong() {
        writeln!(out, "{:?} judged {}: {}", entry.label, judged.verdict(), entry.file)?;
        for finding in &judged.findings {
            let (name, line) = (finding.verdict.name(), finding.span.start.line);
            writeln!(out, "         {name}[{}] line {line} {:?}", finding.rule, finding.signals)?;
        }
    }
    if judged.is(Label::Malicious) && !(judged.same_secrets() && judged.same_places()) {
        let (secrets, places) = judged.said();
        writeln!(out, "inexact  {}", entry.file)?;
        if !judged.same_secrets() {
            writeln!(out, "         secrets {secrets:?}, wanted {:?}", judged.wanted_secrets())?;
        }
        if !judged.same_places() {
            writeln!(out, "         places {places:?}, wanted {:?}", entry.destinations)?;
        }
    }
    Ok(())
}

/// The host of a destination as the manifest writes it, or its channel.
fn place(text: &str) -> String {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = host.split(" (").next().unwrap_or(host);
    let host = host.rsplit('@').next().unwrap_or(host);
    host.split(':').next().unwrap_or(host).trim_start_matches("*.").to_ascii_lowercase()
}
