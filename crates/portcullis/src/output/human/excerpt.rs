//! The lines of a workflow that a secret goes through, cut so that they fit, with each hop underlined and labelled.

use std::collections::BTreeMap;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Origin, Snippet};
use portcullis_scan::report::{Finding, FlowHop};
use portcullis_scan::span::Span;
use portcullis_scan::text::{Lines, RepositoryText, escape};

use super::prose::{WIDTH, clip, list, place_of_key};

/// Most hops that are underlined; what leaves comes first.
const HOPS_MAX: usize = 10;
/// Most of them for what leaves.
const SINKS_MAX: usize = 3;
/// Longest label, in characters.
const LABEL_MAX: usize = 52;
/// Width of `123 | ` at the left.
const GUTTER: usize = 7;
/// How much of an underlined text, and how much before it, is kept: the first that fits is taken.
const CUTS: &[(usize, usize)] = &[
    (66, 30),
    (66, 12),
    (56, 12),
    (48, 12),
    (42, 12),
    (36, 12),
    (32, 8),
    (28, 8),
    (24, 8),
    (20, 6),
    (16, 4),
    (12, 2),
    (8, 0),
];
/// What is kept of the end of an underlined text.
const TAIL: usize = 6;

/// A place in the file and what happens there.
#[derive(Default)]
struct Mark {
    span: Span,
    label: String,
    /// Names of secrets that enter here.
    secrets: Vec<String>,
    /// How many more enter like these, elsewhere.
    more: usize,
    /// The program that sends; said where the line doesn't name it.
    client: String,
    leaves: bool,
}

impl Mark {
    fn new(hop: &FlowHop) -> Self {
        let what = hop.what.for_terminal();
        let name = if hop.hop == "source" { what.strip_prefix("secrets.") } else { None };
        let secrets: Vec<String> = name.map(str::to_owned).into_iter().collect();
        let (client, label) = if secrets.is_empty() { label(hop) } else { Default::default() };
        Self { span: hop.span, label, secrets, more: 0, client, leaves: hop.hop == "sink" }
    }

    /// Takes in what another one says of the same place.
    fn join(&mut self, other: Self) {
        self.secrets.extend(
            other.secrets.into_iter().filter(|name| !self.secrets.contains(name)).collect::<Vec<_>>(),
        );
        if self.label.is_empty() {
            self.label = other.label;
        } else if !other.label.is_empty()
            && self.label != other.label
            && !self.leaves
            && !other.label.starts_with("variable ")
        {
            self.label = format!("{}, {}", self.label, other.label);
        }
    }

    fn text(&self, line: &str) -> String {
        let is_named = self.client.rsplit(['.', ' ', '/']).next().is_some_and(|last| line.contains(last));
        let label = if is_named || self.client.is_empty() {
            self.label.clone()
        } else {
            format!("{} {}", self.client, self.label)
        };
        let Some(first) = self.secrets.first() else { return clip(&label, LABEL_MAX) };
        // `env PYPI_TOKEN` of the secret `PYPI_TOKEN` says nothing new.
        let is_new = !label.is_empty() && !label.ends_with(&format!("`{first}`"));
        let way = if is_new { format!(" as {label}") } else { String::new() };
        let with = |most: usize| {
            let more = self.secrets.len().saturating_sub(most) + self.more;
            let kind = if self.secrets.len() > 1 { "secrets" } else { "secret" };
            match self.secrets.get(..most.min(self.secrets.len())) {
                Some(names) if more > 0 => format!("{kind} {}{way} and {more} more", names.join(", ")),
                _ => format!("{kind} {}{way}", list(&self.secrets, usize::MAX)),
            }
        };
        let fits = |text: &String| text.chars().count() <= LABEL_MAX;
        (1..=3).rev().map(with).find(fits).unwrap_or_else(|| clip(&with(1), LABEL_MAX))
    }
}

/// Where it is, and the excerpt; nothing where the text isn't known.
pub(super) fn of<'a>(
    finding: &Finding,
    text: Option<&RepositoryText>,
) -> Option<(Origin<'a>, Snippet<'a, Annotation<'a>>)> {
    let text = text?.unescaped();
    let marks = marks(finding);
    let first = marks.iter().map(|mark| mark.span.start.line).min()?.max(1) as usize;
    let last = marks.iter().map(|mark| mark.span.start.line).max()?.max(1) as usize;
    // Files of Windows end their lines with a carriage return, which is no news.
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let lines: Vec<&str> = lines.skip(first - 1).take(last - first + 1).collect();
    let on = |number: usize| {
        marks.iter().filter(move |mark| mark.span.start.line as usize == number).collect::<Vec<_>>()
    };
    let indent = |line: &str| line.chars().take_while(|c| *c == ' ').count();
    let indents =
        lines.iter().enumerate().filter(|(at, line)| !on(first + at).is_empty() && !line.trim().is_empty());
    let indent = indents.map(|(_, line)| indent(line)).min().unwrap_or(0);
    let hosts: Vec<&str> = finding
        .destinations
        .iter()
        .filter_map(|place| place.host.as_ref())
        .map(RepositoryText::unescaped)
        .collect();
    let mut shown = String::new();
    let mut annotations = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let here = on(first + at);
        let spans: Vec<Range<usize>> = here.iter().map(|mark| columns(mark.span, line)).collect();
        let labels: Vec<usize> = here.iter().map(|mark| mark.text(line).chars().count()).collect();
        let cut = Cut::fitting(line, indent, &spans, &labels, &hosts);
        for (mark, span) in here.iter().zip(&spans) {
            let kind = if mark.leaves { AnnotationKind::Primary } else { AnnotationKind::Context };
            let range = shown.len() + cut.byte(span.start)..shown.len() + cut.byte(span.end);
            annotations.push(kind.span(range).label(mark.text(line)));
        }
        shown.push_str(&cut.text);
        shown.push('\n');
    }
    let path = clip(&finding.path.for_terminal(), 60);
    let short = finding.blob.get(..7).unwrap_or_default();
    let position = marks.iter().find(|mark| mark.leaves).or(marks.first())?.span.start;
    let origin = Origin::path(format!("{path} (version {short})"))
        .line(position.line as usize)
        .char_column(position.column as usize);
    Some((origin, Snippet::source(shown).line_start(first).fold(true).annotations(annotations)))
}

/// Columns of a span in its first line, from 0. A block of several lines is marked at its first: the eye wants the place, not
/// the extent.
fn columns(span: Span, line: &str) -> Range<usize> {
    let all = line.trim_end().chars().count();
    let start = (span.start.column.saturating_sub(1) as usize).min(all);
    let end = if span.end.line > span.start.line { all } else { span.end.column.saturating_sub(1) as usize };
    start..end.clamp(start, all.max(start))
}

/// The hops in the workflow itself, without those that say the same of the same place.
fn marks(finding: &Finding) -> Vec<Mark> {
    let own: Vec<&FlowHop> = finding
        .flow
        .iter()
        .filter(|hop| hop.path == finding.path && hop.span.start.line > 0 && hop.span.end > hop.span.start)
        .collect();
    let (sinks, ways): (Vec<&FlowHop>, Vec<&FlowHop>) = own.into_iter().partition(|hop| hop.hop == "sink");
    let mut marks: Vec<Mark> = Vec::new();
    let (mut more, mut last) = (0, None);
    for hop in sinks.into_iter().take(SINKS_MAX).chain(ways) {
        if marks.len() >= HOPS_MAX {
            more += usize::from(hop.hop == "source");
            continue;
        }
        last = if hop.hop == "source" { Some(marks.len()) } else { last };
        let mark = Mark::new(hop);
        match marks.iter_mut().find(|known| known.span == hop.span) {
            Some(known) => known.join(mark),
            None => marks.push(mark),
        }
    }
    if let Some(mark) = last.and_then(|at| marks.get_mut(at)) {
        mark.more = more;
    }
    if marks.is_empty() {
        marks.push(Mark { span: finding.span, leaves: true, ..Mark::default() });
    }
    joined(marks)
}

/// `env: NAME: ${{ secrets.X }}` is one place with one label, not two.
fn joined(mut marks: Vec<Mark>) -> Vec<Mark> {
    marks.sort_by_key(|mark| (mark.span.start, mark.span.end));
    let mut out: Vec<Mark> = Vec::new();
    for mark in marks {
        if let Some(before) = out.last_mut() {
            let (end, start) = (before.span.end, mark.span.start);
            let is_near = end.line == start.line && end <= start && start.column - end.column <= 4;
            let is_pair = before.label.starts_with("env ") || before.label.starts_with("input ");
            if is_near && is_pair && !before.leaves && !mark.secrets.is_empty() && mark.label.is_empty() {
                before.span.end = mark.span.end;
                before.secrets.extend(mark.secrets);
                before.more = mark.more;
                continue;
            }
        }
        out.push(mark);
    }
    crowded(out)
}

/// Three secrets or more in one line are one mark from the first to the last: each by itself would leave no room for the line.
fn crowded(marks: Vec<Mark>) -> Vec<Mark> {
    let is_plain = |mark: &Mark| !mark.secrets.is_empty() && mark.label.is_empty() && !mark.leaves;
    let mut lines: BTreeMap<u32, usize> = BTreeMap::new();
    for mark in marks.iter().filter(|mark| is_plain(mark)) {
        *lines.entry(mark.span.start.line).or_default() += mark.secrets.len();
    }
    let is_crowded =
        |mark: &Mark| is_plain(mark) && lines.get(&mark.span.start.line).is_some_and(|all| *all >= 3);
    let mut out: Vec<Mark> = Vec::new();
    for mark in marks {
        let known =
            out.iter_mut().find(|known| is_crowded(known) && known.span.start.line == mark.span.start.line);
        match known {
            Some(known) if is_crowded(&mark) => {
                known.span.end = known.span.end.max(mark.span.end);
                known.secrets.extend(mark.secrets);
                known.more += mark.more;
            }
            _ => out.push(mark),
        }
    }
    out
}

/// What happens at a hop, in the words of people, and by which program.
fn label(hop: &FlowHop) -> (String, String) {
    let what = hop.what.for_terminal();
    match what.split_once(" to ") {
        Some((client, key)) if hop.hop == "sink" => {
            let place = place_of_key(key);
            match client {
                "log" => (String::new(), "printed to the job's log".to_owned()),
                "action" | "reusable workflow" => (String::new(), format!("handed to {place}")),
                "program" => (String::new(), format!("sent to {place}")),
                client => (client.to_owned(), format!("to {place}")),
            }
        }
        _ => (String::new(), what),
    }
}

/// Columns at which a line names hosts, inside of what is underlined.
fn named(line: &str, spans: &[Range<usize>], hosts: &[&str]) -> Vec<Range<usize>> {
    let found = hosts.iter().filter(|host| !host.is_empty()).filter_map(|host| {
        let at = line.find(*host)?;
        let start = line.get(..at)?.chars().count();
        Some(start..start + host.chars().count())
    });
    found.filter(|host| spans.iter().any(|span| span.start <= host.start && host.end <= span.end)).collect()
}

/// A line of which only what matters is left, and where its columns have gone.
struct Cut {
    text: String,
    /// For each column of the line the byte in `text`; one more for its end.
    bytes: Vec<usize>,
}

impl Cut {
    /// The most of a line that fits beside and below its labels. The hosts that it names stay where they can.
    fn fitting(line: &str, indent: usize, spans: &[Range<usize>], labels: &[usize], hosts: &[&str]) -> Self {
        let room = WIDTH - GUTTER;
        let whole = Self::new(line, indent, spans, &[], None);
        if whole.fits(spans, labels, room) {
            return whole;
        }
        let named = named(line, spans, hosts);
        let tries =
            CUTS.iter().map(|cut| (cut, named.as_slice())).chain(CUTS.iter().map(|cut| (cut, &[][..])));
        let mut last = whole;
        for (cut, named) in tries {
            last = Self::new(line, indent, spans, named, Some(*cut));
            if last.fits(spans, labels, room) {
                break;
            }
        }
        last
    }

    fn fits(&self, spans: &[Range<usize>], labels: &[usize], room: usize) -> bool {
        let column = |byte: usize| self.text.get(..byte).map_or(0, |text| text.chars().count());
        let last = spans.iter().max_by_key(|span| span.end);
        // Where it lies over another, its label goes below as well.
        let alone = last.filter(|last| spans.iter().filter(|span| span.end > last.start).count() == 1);
        self.text.chars().count() <= room
            && spans.iter().zip(labels).all(|(span, label)| {
                // The last label stands beside its underline, the others below theirs.
                let from = if Some(span) == alone { span.end } else { span.start };
                *label == 0 || column(self.byte(from)) + 1 + label <= room
            })
    }

    fn new(
        line: &str,
        indent: usize,
        spans: &[Range<usize>],
        named: &[Range<usize>],
        limits: Option<(usize, usize)>,
    ) -> Self {
        let characters: Vec<char> = line.chars().collect();
        let mut keep = vec![limits.is_none() || spans.is_empty(); characters.len()];
        let mut mark = |range: Range<usize>| {
            let end = range.end.min(keep.len());
            if let Some(part) = keep.get_mut(range.start.min(end)..end) {
                part.fill(true);
            }
        };
        if let Some((kept, before)) = limits {
            for span in spans {
                mark(span.start..span.end.min(span.start + kept));
                mark(span.end.saturating_sub(TAIL).max(span.start)..span.end);
            }
            named.iter().cloned().for_each(&mut mark);
            if let Some(first) = spans.iter().map(|span| span.start).min() {
                mark(first.saturating_sub(before)..first);
            }
            if spans.is_empty() {
                let room = WIDTH - GUTTER - 2;
                if let Some(part) = keep.get_mut(indent.saturating_add(room).min(characters.len())..) {
                    part.fill(false);
                }
            }
        }
        let blank = characters.iter().take_while(|c| c.is_whitespace()).count();
        let mut cut = Self { text: String::new(), bytes: Vec::with_capacity(characters.len() + 1) };
        let mut at = 0;
        while let Some(character) = characters.get(at) {
            let run = keep.get(at..).unwrap_or(&[]).iter().take_while(|kept| !**kept).count();
            if at < indent.min(blank) {
                cut.bytes.push(cut.text.len());
                at += 1;
            } else if run > 4 || run > 0 && at + run == characters.len() {
                cut.bytes.extend(std::iter::repeat_n(cut.text.len(), run));
                // White space at an end is no loss.
                let left_out = characters.get(at..at + run).unwrap_or(&[]);
                if !left_out.iter().all(|c| c.is_whitespace()) {
                    cut.text.push('…');
                }
                at += run;
            } else {
                cut.bytes.push(cut.text.len());
                let mut one = [0; 4];
                match character {
                    '\t' => cut.text.push_str("    "),
                    character => cut.text.push_str(&escape(character.encode_utf8(&mut one), Lines::One)),
                }
                at += 1;
            }
        }
        let end = cut.text.len();
        cut.bytes.push(end);
        cut
    }

    fn byte(&self, column: usize) -> usize {
        self.bytes.get(column).or(self.bytes.last()).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spans by their first column and the one past their last.
    fn cut(line: &str, spans: &[(usize, usize)], labels: &[usize]) -> (String, Vec<String>) {
        let spans: Vec<Range<usize>> = spans.iter().map(|(start, end)| *start..*end).collect();
        let cut = Cut::fitting(line, 0, &spans, labels, &["collector.example"]);
        let text =
            |span: &Range<usize>| cut.text.get(cut.byte(span.start)..cut.byte(span.end)).unwrap().to_owned();
        (cut.text.clone(), spans.iter().map(text).collect())
    }

    #[test]
    fn positions_survive_escaping() {
        let (text, marked) = cut("a\u{202e}b", &[(2, 3)], &[4]);
        assert_eq!((text.as_str(), marked[0].as_str()), (r"a\u{202e}b", "b"));
        assert_eq!(cut("çdé", &[(1, 2)], &[4]).1[0], "d");
    }

    #[test]
    fn a_long_line_keeps_what_is_marked_and_fits() {
        let line = format!(
            "run: {} curl -d x https://collector.example/{} {}",
            "echo a; ".repeat(40),
            "p".repeat(300),
            "# z".repeat(90)
        );
        let start = line.find("curl").unwrap();
        let end = line.find(" # z").unwrap();
        let (text, marked) = cut(&line, &[(start, end)], &[24]);
        assert!(text.chars().count() + 25 <= WIDTH - GUTTER, "{text}");
        assert!(
            marked[0].starts_with("curl -d x") && marked[0].contains('…') && marked[0].ends_with("ppp"),
            "{marked:?}"
        );
        let (whole, _) = cut("short line", &[(0, 5)], &[10]);
        assert_eq!(whole, "short line");
    }

    #[test]
    fn far_ends_of_a_line_come_together() {
        let line = format!("A={} {} B", "x".repeat(10), "y".repeat(5_000));
        let end = line.len();
        let (text, marked) = cut(&line, &[(0, 1), (end - 1, end)], &[10, 10]);
        assert_eq!(marked, ["A", "B"]);
        assert!(text.chars().count() < 60, "{text}");
    }
}
