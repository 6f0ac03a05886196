//! For people: a diagnostic for each finding as compilers print them, then what is exposed, what it opens, what to do; at the end
//! a table. All of it fits into 80 columns, as far as names and addresses allow.

mod details;
mod excerpt;
mod prose;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use annotate_snippets::{Element, Level, Renderer};
use portcullis_scan::Report;
use portcullis_scan::report::{Certainty, Finding, Verdict};
use portcullis_scan::techniques;
use portcullis_scan::text::{Lines, RepositoryText, escape};

use self::details::Paragraphs;
use self::prose::{WIDTH, clip, count, list, place, wrap};

/// Most problems that are listed.
const PROBLEMS_MAX: usize = 50;

/// Prints a report. `hidden`: how many findings are milder than what was asked for.
pub(super) fn write(out: &mut impl Write, report: &Report, explain: bool, hidden: usize) -> io::Result<()> {
    for (finding, alike) in folded(&report.document.findings) {
        let text = report.texts.get(&finding.blob);
        writeln!(out, "{}", diagnostic(finding, text))?;
        Paragraphs::new(out).write(finding, &alike, explain)?;
        writeln!(out)?;
    }
    problems(out, report)?;
    summary(out, report, hidden)
}

/// Each finding with those that say the same of other files of the repository. What is malicious stands by itself.
fn folded(findings: &[Finding]) -> Vec<(&Finding, Vec<&Finding>)> {
    let mut groups: Vec<(&Finding, Vec<&Finding>)> = Vec::new();
    let mut known: BTreeMap<(String, String, bool), usize> = BTreeMap::new();
    for finding in findings {
        let same = format!("{} {}", finding.rule, headline(finding));
        let key = (finding.repository.given.clone(), same, finding.accepted.is_some());
        match known.get(&key).and_then(|at| groups.get_mut(*at)) {
            Some((_, alike)) if finding.verdict != Verdict::Malicious && finding.job.is_none() => {
                alike.push(finding);
            }
            _ => {
                known.insert(key, groups.len());
                groups.push((finding, Vec::new()));
            }
        }
    }
    groups
}

fn level(verdict: Verdict) -> Level<'static> {
    match verdict {
        Verdict::Malicious => Level::ERROR.with_name("malicious"),
        Verdict::Suspicious => Level::WARNING.with_name("suspicious"),
        Verdict::Exposed => Level::WARNING.with_name("exposed"),
        Verdict::Advice => Level::NOTE.with_name("advice"),
    }
}

/// What happened, in one line.
pub(super) fn headline(finding: &Finding) -> String {
    let technique = techniques::ALL.iter().find(|technique| technique.id() == finding.rule);
    let template = technique.map_or("{secrets}", |technique| technique.headline());
    // Where the words themselves say `may` or `could`, what is possible is named, too.
    let could = finding.rule == "unanalysed-workflow" || finding.job.is_some();
    let certain = |certainty| certainty == Certainty::Certain || could;
    let names: Vec<String> = finding
        .secrets
        .iter()
        .filter(|secret| certain(secret.certainty))
        .map(|secret| format!("`{}`", clip(&secret.name.for_terminal(), 40)))
        .collect();
    let places: BTreeSet<String> = finding.destinations.iter().map(place).collect();
    let places: Vec<String> = places.into_iter().collect();
    let with = |most: usize| {
        let secrets = match (finding.all_secrets, names.as_slice()) {
            (true, _) => "all secrets".to_owned(),
            (false, []) => "the environment".to_owned(),
            (false, names) if names.len() > most + 1 => format!("{} secrets", list(names, most)),
            (false, names) => list(names, most),
        };
        let places = if places.is_empty() { "somewhere".to_owned() } else { list(&places, most.min(3)) };
        template.replace("{secrets}", &secrets).replace("{places}", &places)
    };
    // Names give way to numbers until it fits into two lines.
    let fits = |text: &String| titled(finding, text).len() <= 2;
    (1..=6).rev().map(with).find(fits).unwrap_or_else(|| with(1))
}

/// A headline in lines that fit beside `verdict[rule]: `.
fn titled(finding: &Finding, headline: &str) -> Vec<String> {
    let beside = finding.verdict.name().len() + finding.rule.len() + "[]: ".len();
    wrap(headline, WIDTH.saturating_sub(beside).max(30))
}

fn diagnostic(finding: &Finding, text: Option<&RepositoryText>) -> String {
    let title = titled(finding, &headline(finding)).join("\n");
    let title = level(finding.verdict).primary_title(title).id(finding.rule.clone());
    let mut group = title.elements(Vec::<Element<'_>>::new());
    if let Some((origin, snippet)) = excerpt::of(finding, text) {
        group = group.element(origin).element(snippet);
    } else {
        let path = annotate_snippets::Origin::path(clip(&finding.path.for_terminal(), 60));
        group = group.element(path);
    }
    let drawn = Renderer::styled().term_width(WIDTH * 4).render(&[group]);
    // Columns are those of the file, not of the cut excerpt, so the excerpt has no place of its own, which is drawn as a row of
    // colons below an empty line.
    let rows: Vec<(&str, String)> =
        drawn.lines().map(|row| (row, anstream::adapter::strip_str(row).to_string())).collect();
    let is_colons = |at: usize| rows.get(at).is_some_and(|(_, plain)| plain.trim() == ":::");
    let kept = rows.iter().enumerate().filter(|(at, _)| !is_colons(*at));
    kept.map(|(_, (row, _))| *row).collect::<Vec<_>>().join("\n")
}

fn problems(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for problem in report.document.problems.iter().take(PROBLEMS_MAX) {
        let path = problem.path.as_ref().map(|path| format!("{}: ", clip(&path.for_terminal(), 100)));
        let text = format!(
            "problem[{}]: {}: {}{}",
            problem.kind,
            escape(&problem.repository.given, Lines::One),
            path.unwrap_or_default(),
            escape(&problem.what, Lines::One)
        );
        writeln!(out, "{}", wrap(&text, WIDTH - 2).join("\n  "))?;
    }
    let more = report.document.problems.len().saturating_sub(PROBLEMS_MAX);
    if more > 0 {
        writeln!(out, "and {}; --format json has all of them", count(more, "more problem"))?;
    }
    if !report.document.problems.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

fn summary(out: &mut impl Write, report: &Report, hidden: usize) -> io::Result<()> {
    const VERDICTS: [Verdict; 4] =
        [Verdict::Malicious, Verdict::Suspicious, Verdict::Exposed, Verdict::Advice];
    let document = &report.document;
    let stats = &document.stats;
    let mut rows: BTreeMap<&str, BTreeMap<Verdict, usize>> = BTreeMap::new();
    let counted = document.findings.iter().filter(|finding| finding.accepted.is_none());
    for finding in counted {
        *rows.entry(finding.repository.given.as_str()).or_default().entry(finding.verdict).or_default() += 1;
    }
    if !rows.is_empty() {
        for verdict in VERDICTS {
            let style = details::style(verdict);
            write!(out, "{style}{}{style:#}  ", verdict.name())?;
        }
        writeln!(out, "where")?;
        for (name, counts) in &rows {
            for verdict in VERDICTS {
                let width = verdict.name().len();
                let number = counts.get(&verdict).copied().unwrap_or(0);
                let number = if number == 0 { "-".to_owned() } else { number.to_string() };
                write!(out, "{number:>width$}  ")?;
            }
            writeln!(out, "{}", escape(name, Lines::One))?;
        }
    }
    let accepted = document.findings.iter().filter(|finding| finding.accepted.is_some()).count();
    let mut words = vec![match document.findings.len() - accepted {
        0 => "nothing found".to_owned(),
        number => count(number, "finding"),
    }];
    if accepted > 0 {
        words.push(format!("{accepted} accepted"));
    }
    if hidden > 0 {
        words.push(format!("{hidden} milder not shown (--min-verdict advice shows all)"));
    }
    let versions = count(stats.workflow_versions, "workflow version");
    let read = match stats.commits {
        0 => versions,
        commits => {
            let repositories = count(stats.repositories, "repository");
            format!("{repositories}, {}, {versions}", count(commits, "commit"))
        }
    };
    let read = format!("{}; looked at {read} in {} s", words.join(", "), stats.seconds);
    writeln!(out, "{}", wrap(&read, WIDTH).join("\n"))?;
    if !document.complete {
        let text = "incomplete: something could not be looked at (see the problems above), so nothing here is called clean";
        writeln!(out, "{}", wrap(text, WIDTH).join("\n"))?;
    }
    Ok(())
}
