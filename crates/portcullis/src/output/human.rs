//! For people: a diagnostic for each finding as compilers print them, then what is exposed, what it opens, what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use portcullis_scan::Report;
use portcullis_scan::reach;
use portcullis_scan::report::{
    AcceptedBy, Basis, Certainty, Finding, Moment, ReachedJob, RefSpan, Standing, Verdict,
};
use portcullis_scan::signal;
use portcullis_scan::span::{Position, Span};
use portcullis_scan::techniques;
use portcullis_scan::text::{Lines, RepositoryText, escape};

/// Longest source line that is shown whole.
const LINE_MAX: usize = 2_000;
/// Most references that are listed of one finding.
const REFS_MAX: usize = 12;

pub(super) fn write(out: &mut impl Write, report: &Report, explain: bool) -> io::Result<()> {
    for finding in &report.document.findings {
        let text = report.texts.get(&finding.blob);
        writeln!(out, "{}", diagnostic(finding, text))?;
        details(out, finding, explain)?;
        writeln!(out)?;
    }
    problems(out, report)?;
    summary(out, report)
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
    let template = techniques::ALL
        .iter()
        .find(|technique| technique.id() == finding.rule)
        .map(|technique| technique.headline());
    let mut names: Vec<String> = finding
        .secrets
        .iter()
        .filter(|secret| secret.certainty == Certainty::Certain)
        .map(|secret| format!("`{}`", secret.name.for_terminal()))
        .collect();
    let more = names.len().saturating_sub(6);
    names.truncate(6);
    let mut secrets = names.join(", ");
    if more > 0 {
        secrets.push_str(&format!(" and {more} more"));
    }
    if finding.all_secrets {
        secrets = "all secrets".to_owned();
    }
    if secrets.is_empty() {
        secrets = "the environment".to_owned();
    }
    let places: BTreeSet<String> = finding
        .destinations
        .iter()
        .map(|destination| match (&destination.host, &destination.name) {
            (Some(host), _) => host.for_terminal(),
            (None, Some(name)) => format!("{} `{}`", destination.class.name(), name.for_terminal()),
            (None, None) => destination.class.name().to_owned(),
        })
        .collect();
    let places = places.into_iter().collect::<Vec<_>>().join(", ");
    template
        .unwrap_or("{secrets}: a workflow that could not be analysed")
        .replace("{secrets}", &secrets)
        .replace("{places}", &places)
}

fn diagnostic(finding: &Finding, text: Option<&RepositoryText>) -> String {
    let title = level(finding.verdict).primary_title(headline(finding)).id(finding.rule.clone());
    let short = finding.blob.get(..7).unwrap_or("").to_owned();
    let path = format!("{} (version {short})", finding.path.for_terminal());
    let mut group = title.elements(Vec::<annotate_snippets::Element<'_>>::new());
    if let Some(text) = text {
        let excerpt = Excerpt::new(text.unescaped());
        let mut snippet = Snippet::source(excerpt.text.clone()).path(path).fold(true);
        let mut marked = BTreeSet::new();
        for hop in finding.flow.iter().filter(|hop| hop.path == finding.path).take(12) {
            let range = excerpt.range(hop.span);
            let sink = hop.hop == "sink";
            if range.is_empty() || !marked.insert((range.start, range.end)) {
                continue;
            }
            let kind = if sink { AnnotationKind::Primary } else { AnnotationKind::Context };
            snippet = snippet.annotation(kind.span(range).label(hop.what.for_terminal()));
        }
        if marked.is_empty() {
            let range = excerpt.range(finding.span);
            snippet = snippet.annotation(AnnotationKind::Primary.span(range));
        }
        group = group.element(snippet);
    }
    Renderer::styled().render(&[group])
}

/// A text made fit for a terminal, with the way from its positions to bytes.
struct Excerpt {
    text: String,
    /// Start of each line in the shown text, and the bytes of each of its characters.
    lines: Vec<(usize, Vec<usize>)>,
}

impl Excerpt {
    fn new(source: &str) -> Self {
        let mut text = String::with_capacity(source.len());
        let mut lines = Vec::new();
        for line in source.split('\n') {
            let start = text.len();
            let mut offsets = Vec::new();
            for (at, character) in line.chars().enumerate() {
                offsets.push(text.len() - start);
                if at < LINE_MAX {
                    let mut one = [0; 4];
                    text.push_str(&escape(character.encode_utf8(&mut one), Lines::Many));
                }
            }
            offsets.push(text.len() - start);
            lines.push((start, offsets));
            text.push('\n');
        }
        Self { text, lines }
    }

    fn byte(&self, position: Position) -> usize {
        let Some((start, offsets)) = self.lines.get(position.line.saturating_sub(1) as usize) else {
            return self.text.len();
        };
        let column = position.column.saturating_sub(1) as usize;
        start + offsets.get(column).or(offsets.last()).copied().unwrap_or(0)
    }

    fn range(&self, span: Span) -> std::ops::Range<usize> {
        let start = self.byte(span.start);
        // A long block is marked at its first line only: the eye wants the place, not the extent.
        let end = if span.end.line > span.start.line + 2 {
            self.text.get(start..).and_then(|rest| rest.find('\n')).map_or(self.text.len(), |at| start + at)
        } else {
            self.byte(span.end)
        };
        start..end.max(start)
    }
}

fn details(out: &mut impl Write, finding: &Finding, explain: bool) -> io::Result<()> {
    if let Some(reason) = &finding.accepted {
        let whose = match finding.accepted_by {
            Some(AcceptedBy::Comment) => " (a comment in the workflow says so)",
            _ => "",
        };
        writeln!(out, "  accepted: {}{whose}", reason.for_terminal())?;
    }
    if let Some(why) = &finding.comment_refused {
        writeln!(out, "  note:     {}", why.for_terminal())?;
    }
    exposed(out, finding)?;
    opens(out, finding)?;
    if let Some(job) = &finding.job {
        reached(out, job)?;
    }
    let remedy = techniques::ALL
        .iter()
        .find(|technique| technique.id() == finding.rule)
        .map(|technique| technique.remedy());
    writeln!(out, "  do:       {}", remedy.unwrap_or("look at it, or make it a file that can be analysed"))?;
    let pages: BTreeSet<&str> = finding
        .secrets
        .iter()
        .filter(|secret| secret.certainty == Certainty::Certain && !secret.rotate.is_empty())
        .map(|secret| secret.rotate.as_str())
        .collect();
    if finding.verdict >= Verdict::Suspicious {
        for page in pages.iter().take(8) {
            writeln!(out, "            rotate: {page}")?;
        }
    }
    writeln!(out, "  signals:  {} (finding {})", finding.signals.join(", "), finding.id)?;
    if explain {
        for signal in signal::ALL.iter().filter(|signal| finding.signals.iter().any(|id| id == signal.id())) {
            writeln!(
                out,
                "            {} [{}]: {}",
                signal.id(),
                signal.weight().meaning(),
                signal.meaning()
            )?;
        }
    }
    Ok(())
}

fn exposed(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let Some(exposure) = finding.exposures.first() else { return Ok(()) };
    let standing = match finding.standing {
        Standing::Ran => "it ran",
        Standing::CouldRun => "it could run",
        Standing::Foreign => {
            "foreign: only a pull request, a fork or an unreachable commit has it, or nothing starts it"
        }
    };
    match &exposure.introduced {
        Some(moment) => {
            writeln!(out, "  exposed:  since {}; {standing}", when(moment))?;
            let person = moment.author.as_ref().map(RepositoryText::for_terminal).unwrap_or_default();
            let message = moment.message.as_ref().map(RepositoryText::for_terminal).unwrap_or_default();
            writeln!(out, "            by {person}: \"{message}\"")?;
        }
        None => writeln!(out, "  exposed:  not committed, or no repository around it; {standing}")?,
    }
    let (standing_now, removed): (Vec<&RefSpan>, Vec<&RefSpan>) =
        exposure.refs.iter().partition(|span| span.removed.is_none());
    for span in standing_now.iter().take(REFS_MAX) {
        writeln!(out, "            {}: still stands", span.name.for_terminal())?;
    }
    for span in removed.iter().take(REFS_MAX) {
        if let Some(moment) = &span.removed {
            writeln!(out, "            {}: removed {}", span.name.for_terminal(), when(moment))?;
        }
    }
    let more = standing_now.len().saturating_sub(REFS_MAX) + removed.len().saturating_sub(REFS_MAX);
    if more > 0 {
        writeln!(out, "            and {more} more references")?;
    }
    if exposure.introduced.is_some() && exposure.refs.is_empty() {
        writeln!(out, "            on no reference any more: a force-push or a deleted branch left it")?;
    }
    Ok(())
}

fn when(moment: &Moment) -> String {
    let basis = match moment.basis {
        Basis::Claimed => "claimed",
        Basis::Observed => "observed",
    };
    format!("{} ({basis}) in {}", moment.time, moment.commit.get(..12).unwrap_or(&moment.commit))
}

fn opens(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let mut label = "opens:  ";
    for secret in finding.secrets.iter().take(40) {
        let name = secret.name.for_terminal();
        let sure = if secret.certainty == Certainty::Possible { " (possibly)" } else { "" };
        if secret.used_for.is_empty() {
            let what = match secret.kind.as_str() {
                "unknown" => "unknown; no workflow here publishes with it".to_owned(),
                "github-job-token" => "this repository, until the job ends".to_owned(),
                kind => format!("{kind}, by its name"),
            };
            writeln!(out, "  {label}  `{name}`{sure}: {what}")?;
        }
        for used in secret.used_for.iter().take(6) {
            let package =
                used.package.as_ref().map_or("a project that can't be read here".to_owned(), |package| {
                    format!("`{}`", package.for_terminal())
                });
            let commit = used.commit.get(..12).unwrap_or("");
            writeln!(
                out,
                "  {label}  `{name}`{sure}: publishes {package} on {} (claimed; {}:{} at {commit})",
                used.registry,
                used.path.for_terminal(),
                used.line
            )?;
            label = "        ";
        }
        label = "        ";
    }
    Ok(())
}

/// What a job could reach besides its secrets.
fn reached(out: &mut impl Write, job: &ReachedJob) -> io::Result<()> {
    let name = job.id.for_terminal();
    let environment = job.environment.as_ref().map(RepositoryText::for_terminal);
    let environment = environment.map(|name| format!(", environment `{name}`")).unwrap_or_default();
    if !name.is_empty() {
        writeln!(out, "  job:      `{name}`{environment}")?;
    }
    for reference in job.references.iter().take(REFS_MAX) {
        writeln!(
            out,
            "            uses {} at {}:{}",
            reference.uses.for_terminal(),
            reference.path.for_terminal(),
            reference.span.start.line
        )?;
    }
    let disk = if job.token.persisted { "; actions/checkout left it on the disk" } else { "" };
    writeln!(out, "  token:    GITHUB_TOKEN: {}{disk}", reach::rights(&job.token.permissions))?;
    if job.id_token {
        writeln!(out, "            OIDC: could have identity tokens made (id-token: write)")?;
    }
    Ok(())
}

fn problems(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for problem in report.document.problems.iter().take(50) {
        let place = problem.path.as_ref().map_or(String::new(), |path| format!("{}: ", path.for_terminal()));
        writeln!(
            out,
            "problem[{}]: {}: {place}{}",
            problem.kind,
            escape(&problem.repository.given, Lines::One),
            escape(&problem.what, Lines::One)
        )?;
    }
    let more = report.document.problems.len().saturating_sub(50);
    if more > 0 {
        writeln!(out, "and {more} more problems")?;
    }
    Ok(())
}

fn summary(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let document = &report.document;
    let stats = &document.stats;
    let mut rows: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for finding in &document.findings {
        let row = rows.entry(finding.repository.given.as_str()).or_default();
        let column = match finding.verdict {
            Verdict::Malicious => 0,
            Verdict::Suspicious => 1,
            Verdict::Exposed => 2,
            Verdict::Advice => 3,
        };
        if let Some(count) = row.get_mut(column) {
            *count += 1;
        }
    }
    if !rows.is_empty() {
        writeln!(out, "malicious  suspicious  exposed  advice  where")?;
        for (name, [malicious, suspicious, exposed, advice]) in rows {
            writeln!(
                out,
                "{malicious:>9}  {suspicious:>10}  {exposed:>7}  {advice:>6}  {}",
                escape(name, Lines::One)
            )?;
        }
    }
    writeln!(
        out,
        "{} finding(s) in {} repositories or files, {} commits, {} workflow versions; {} s",
        document.findings.len(),
        stats.repositories,
        stats.commits,
        stats.workflow_versions,
        stats.seconds
    )?;
    if !document.complete {
        writeln!(
            out,
            "incomplete: something could not be looked at (see the problems above), so nothing here is called clean"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_escaping() {
        let excerpt = Excerpt::new("a\u{202e}b\nçd");
        let at = |line, column| excerpt.byte(Position { line, column });
        assert_eq!(excerpt.text.get(at(1, 3)..at(1, 4)), Some("b"));
        assert_eq!(excerpt.text.get(at(2, 2)..at(2, 3)), Some("d"));
        assert!(!excerpt.text.contains('\u{202e}'));
    }
}
