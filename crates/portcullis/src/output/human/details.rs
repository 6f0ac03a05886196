//! What stands below the excerpt of a finding: since when, what it opens, what to do, and why.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use portcullis_scan::reach;
use portcullis_scan::report::{
    AcceptedBy, Basis, Certainty, Exposure, Finding, Moment, ReachedJob, RefSpan, Secret, Standing, Verdict,
};
use portcullis_scan::services;
use portcullis_scan::signal::{self, Signal, Weight};
use portcullis_scan::techniques;
use portcullis_scan::text::RepositoryText;

use super::prose::{HANGING, WIDTH, clip, list, place_of_key, service, wrap};

/// Most references, secrets or pages of one finding that have a line each.
const LINES_MAX: usize = 6;
/// Most names in one line.
const NAMES_MAX: usize = 6;
/// Longest message, name or path of the repository's that is shown.
const TEXT_MAX: usize = 64;

const HEADING: Style = Style::new().bold();
const STRONG: Style = AnsiColor::Red.on_default().bold();

/// Paragraphs that begin with a word in the margin.
pub(super) struct Paragraphs<'o, W: Write> {
    out: &'o mut W,
}

impl<'o, W: Write> Paragraphs<'o, W> {
    pub(super) fn new(out: &'o mut W) -> Self {
        Self { out }
    }

    /// `  name:     text`, broken into lines.
    fn begin(&mut self, name: &str, text: &str) -> io::Result<()> {
        let heading = format!("{name}:");
        let pad = " ".repeat(HANGING.saturating_sub(2 + heading.len()));
        self.lines(&format!("  {HEADING}{heading}{HEADING:#}{pad}"), text)
    }

    /// One more line of the paragraph.
    fn go_on(&mut self, text: &str) -> io::Result<()> {
        self.lines(&" ".repeat(HANGING), text)
    }

    fn lines(&mut self, first: &str, text: &str) -> io::Result<()> {
        for (at, line) in wrap(text, WIDTH - HANGING).iter().enumerate() {
            let margin = if at == 0 { first } else { &" ".repeat(HANGING) };
            writeln!(self.out, "{margin}{line}")?;
        }
        Ok(())
    }

    pub(super) fn write(&mut self, finding: &Finding, alike: &[&Finding], explain: bool) -> io::Result<()> {
        if let Some(reason) = &finding.accepted {
            let whose = match finding.accepted_by {
                Some(AcceptedBy::Comment) => " (a comment in the workflow says so)",
                _ => "",
            };
            self.begin("accepted", &format!("{}{whose}", clip(&reason.for_terminal(), 200)))?;
            self.alike(alike)?;
            return self.begin("finding", &finding.id);
        }
        self.elsewhere(finding)?;
        if let Some(why) = &finding.comment_refused {
            self.begin("note", &why.for_terminal())?;
        }
        self.exposed(finding)?;
        self.opens(finding)?;
        if let Some(job) = &finding.job {
            self.reached(job)?;
        }
        self.what_to_do(finding)?;
        self.why(finding, explain)?;
        self.alike(alike)?;
        self.begin("finding", &format!("{} (portcullis explain {})", finding.id, finding.rule))
    }

    /// Hops in other files: scripts and actions that the workflow calls.
    fn elsewhere(&mut self, finding: &Finding) -> io::Result<()> {
        let mut name = "through";
        let others = finding.flow.iter().filter(|hop| hop.path != finding.path);
        for hop in others.take(LINES_MAX) {
            let what = match hop.what.for_terminal().split_once(" to ") {
                Some((client, key)) if hop.hop == "sink" => format!("{client} to {}", place_of_key(key)),
                _ => hop.what.for_terminal(),
            };
            let path = clip(&hop.path.for_terminal(), TEXT_MAX);
            let text = format!("{path}:{}: {}", hop.span.start.line, clip(&what, TEXT_MAX));
            if name.is_empty() {
                self.go_on(&text)?
            } else {
                self.begin(name, &text)?
            }
            name = "";
        }
        Ok(())
    }

    fn exposed(&mut self, finding: &Finding) -> io::Result<()> {
        let Some(exposure) = finding.exposures.first() else {
            // What is no flow has no time of its own.
            let text = match finding.rule.as_str() {
                "unanalysed-workflow" => "perhaps; nobody can say what this file does",
                _ => "whoever gets in has what the job holds; no secret is sent by the file itself",
            };
            return self.begin("exposed", text);
        };
        self.begin("exposed", &period(exposure))?;
        let (stands, gone): (Vec<&RefSpan>, Vec<&RefSpan>) =
            exposure.refs.iter().partition(|span| span.removed.is_none());
        // A clone has each branch twice: as its own, and as what it fetched.
        let own: Vec<&str> =
            stands.iter().filter_map(|span| span.name.unescaped().strip_prefix("refs/heads/")).collect();
        let is_twin = |span: &&&RefSpan| {
            let fetched =
                span.name.unescaped().strip_prefix("refs/remotes/").and_then(|name| name.split_once('/'));
            fetched.is_some_and(|(_, branch)| own.contains(&branch))
        };
        let names: Vec<String> =
            stands.iter().filter(|span| !is_twin(span)).map(|span| reference(&span.name)).collect();
        if !names.is_empty() {
            self.go_on(&format!("still on {}", list(&names, NAMES_MAX)))?;
        }
        // One commit may have taken it out of many.
        let mut removals: BTreeMap<(&str, &str), (&Moment, Vec<String>)> = BTreeMap::new();
        for span in &gone {
            if let Some(moment) = &span.removed {
                let key = (moment.time.as_str(), moment.commit.as_str());
                removals.entry(key).or_insert((moment, Vec::new())).1.push(reference(&span.name));
            }
        }
        for (moment, names) in removals.values().take(LINES_MAX) {
            let (when, by) = (time(moment), commit(&moment.commit));
            self.go_on(&format!("until {when} on {}, taken out by {by}", list(names, NAMES_MAX)))?;
        }
        if removals.len() > LINES_MAX {
            self.go_on(&format!("and {} more times; --format json has all", removals.len() - LINES_MAX))?;
        }
        if let Some(moment) = &exposure.introduced {
            let author = moment.author.as_ref().map(RepositoryText::for_terminal).unwrap_or_default();
            let message = moment.message.as_ref().map(RepositoryText::for_terminal).unwrap_or_default();
            self.go_on(&format!(
                "brought by {} of {}: \"{}\"",
                commit(&moment.commit),
                clip(&author, TEXT_MAX),
                clip(&message, TEXT_MAX)
            ))?;
        }
        self.go_on(&whether_it_ran(finding, exposure))?;
        if exposure.introduced.is_some() && stands.is_empty() {
            self.go_on(&format!("to see it: git show {}", finding.blob.get(..12).unwrap_or(&finding.blob)))?;
        }
        Ok(())
    }

    fn opens(&mut self, finding: &Finding) -> io::Result<()> {
        // Secrets of which the same is known share a line; the ones that publish come first.
        let mut groups: BTreeMap<(bool, u8, String), Vec<String>> = BTreeMap::new();
        for secret in &finding.secrets {
            let (rank, what) = opened(secret);
            let name = format!("`{}`", clip(&secret.name.for_terminal(), 40));
            groups.entry((secret.certainty == Certainty::Possible, rank, what)).or_default().push(name);
        }
        let mut begun = false;
        for ((possible, _, what), names) in groups.iter().take(LINES_MAX) {
            let perhaps = if *possible { "perhaps " } else { "" };
            let text = format!("{perhaps}{}: {what}", list(names, NAMES_MAX));
            if begun {
                self.go_on(&text)?
            } else {
                self.begin("opens", &text)?
            }
            begun = true;
        }
        let more: usize = groups.values().skip(LINES_MAX).map(Vec::len).sum();
        if more > 0 {
            self.go_on(&format!("and {more} more secrets; --format json has all of them"))?;
        }
        Ok(())
    }

    /// What a job could reach besides its secrets.
    fn reached(&mut self, job: &ReachedJob) -> io::Result<()> {
        let name = clip(&job.id.for_terminal(), TEXT_MAX);
        let environment = job.environment.as_ref().map(|name| clip(&name.for_terminal(), TEXT_MAX));
        let environment = environment.map(|name| format!(", environment `{name}`")).unwrap_or_default();
        if !name.is_empty() {
            self.begin("job", &format!("`{name}`{environment}"))?;
        }
        for reference in job.references.iter().take(LINES_MAX) {
            self.go_on(&format!(
                "uses {} at {}:{}",
                clip(&reference.uses.for_terminal(), TEXT_MAX),
                clip(&reference.path.for_terminal(), TEXT_MAX),
                reference.span.start.line
            ))?;
        }
        let disk = if job.token.persisted { "; actions/checkout left it on the disk" } else { "" };
        self.begin("token", &format!("GITHUB_TOKEN: {}{disk}", reach::rights(&job.token.permissions)))?;
        if job.id_token {
            self.go_on("OIDC: could have identity tokens made (id-token: write)")?;
        }
        Ok(())
    }

    fn what_to_do(&mut self, finding: &Finding) -> io::Result<()> {
        self.begin("do", &remedy(finding))?;
        if finding.verdict < Verdict::Suspicious {
            return Ok(());
        }
        // First what is known to publish here, then what could, then the rest.
        let mut pages: Vec<(u8, &str, Vec<String>)> = Vec::new();
        for secret in finding.secrets.iter().filter(|secret| !secret.rotate.is_empty()) {
            let could =
                services::named(&secret.kind).is_some_and(|service| service.publishes || service.writes_code);
            let rank = if !secret.used_for.is_empty() { 0 } else { 2 - u8::from(could) };
            let name = format!("`{}`", clip(&secret.name.for_terminal(), 40));
            match pages.iter_mut().find(|(_, page, _)| *page == secret.rotate) {
                Some((first, _, names)) => {
                    *first = rank.min(*first);
                    names.push(name);
                }
                None => pages.push((rank, &secret.rotate, vec![name])),
            }
        }
        pages.sort_by_key(|(rank, page, _)| (*rank, *page));
        for (_, page, names) in pages.iter().take(LINES_MAX) {
            self.go_on(&format!("rotate {} at {page}", list(names, 4)))?;
        }
        if pages.len() > LINES_MAX {
            self.go_on(&format!("and at {} more places; --format json has them", pages.len() - LINES_MAX))?;
        }
        let stands = finding.exposures.iter().flat_map(|exposure| &exposure.refs);
        let on_branches =
            stands.filter(|span| span.removed.is_none() && span.name.unescaped().starts_with("refs/heads/"));
        if finding.verdict == Verdict::Malicious && on_branches.count() > 0 {
            self.go_on("take it out of every branch: portcullis fix --remove-malicious")?;
        }
        Ok(())
    }

    /// The signals, each in a few words; the weak ones only by name.
    fn why(&mut self, finding: &Finding, explain: bool) -> io::Result<()> {
        let known: Vec<&Signal> =
            signal::ALL.iter().filter(|signal| finding.signals.iter().any(|id| id == signal.id())).collect();
        if explain {
            self.begin("weighed", &weighed(&known, finding.verdict))?;
        }
        let mut name = "why";
        let mut weak = Vec::new();
        let only_weak = known.iter().all(|signal| signal.weight() == Weight::Weak) && known.len() <= 3;
        for signal in known {
            let text = match (explain, signal.weight()) {
                (true, weight) => {
                    format!("{} ({}): {}", signal.id(), weight.meaning(), signal.meaning())
                }
                (false, Weight::Weak) if !only_weak => {
                    weak.push(signal.id().to_owned());
                    continue;
                }
                (false, Weight::Excuse) => format!("but {}: {}", signal.id(), in_short(signal.meaning())),
                (false, _) => format!("{}: {}", signal.id(), in_short(signal.meaning())),
            };
            if name.is_empty() {
                self.go_on(&text)?
            } else {
                self.begin(name, &text)?
            }
            name = "";
        }
        if !weak.is_empty() {
            let text = format!("weak signs: {}", weak.join(", "));
            if name.is_empty() { self.go_on(&text)? } else { self.begin(name, &text)? }
        }
        Ok(())
    }

    /// Findings that say the same of other files.
    fn alike(&mut self, alike: &[&Finding]) -> io::Result<()> {
        let mut name = "also in";
        for finding in alike.iter().take(LINES_MAX) {
            let path = clip(&finding.path.for_terminal(), TEXT_MAX);
            let text = format!("{path}:{} (finding {})", finding.span.start.line, finding.id);
            if name.is_empty() {
                self.go_on(&text)?
            } else {
                self.begin(name, &text)?
            }
            name = "";
        }
        if alike.len() > LINES_MAX {
            self.go_on(&format!("and {} more files; --format json has them", alike.len() - LINES_MAX))?;
        }
        Ok(())
    }
}

/// What to do, which depends on how sure it is that something happened.
fn remedy(finding: &Finding) -> String {
    let technique = techniques::ALL.iter().find(|technique| technique.id() == finding.rule);
    let remedy = technique.map_or("look at it", |technique| technique.remedy());
    // Rules whose remedy is for a theft, and not for a habit.
    let is_theft = finding.rule.starts_with("secret-to-")
        && !matches!(
            finding.rule.as_str(),
            "secret-to-action" | "secret-to-disk" | "secret-to-unknown-command"
        );
    match finding.verdict {
        // What helps against a stranger's mistake helps nothing against his intent.
        Verdict::Malicious | Verdict::Suspicious if finding.rule == "secret-to-action" => {
            "find out who made this action and who put it there; if nobody can say, invalidate every secret listed and take it \
             out"
                .to_owned()
        }
        Verdict::Suspicious if is_theft => format!(
            "ask whoever wrote it why the secret goes there. If it should: scan with --accept {}=REASON. If nobody can say: {remedy}",
            finding.id
        ),
        Verdict::Exposed if is_theft => format!(
            "nothing, if the place is yours: say so beside it, `# portcullis: accept {} REASON`. If nobody knows it: {remedy}",
            finding.rule
        ),
        _ => remedy.to_owned(),
    }
}

/// Which kinds of signals came together, and what that makes.
fn weighed(signals: &[&Signal], verdict: Verdict) -> String {
    let kinds: Vec<String> = signal::WEIGHTS
        .iter()
        .filter_map(|weight| {
            let ids = signals.iter().filter(|signal| signal.weight() == *weight);
            let ids: Vec<String> = ids.map(|signal| signal.id().to_owned()).collect();
            (!ids.is_empty()).then(|| format!("{} ({})", weight.meaning(), ids.join(", ")))
        })
        .collect();
    format!("{}: together {}", kinds.join(" + "), verdict.name())
}

/// How a verdict stands in the summary.
pub(super) fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Malicious => STRONG,
        Verdict::Suspicious => AnsiColor::Yellow.on_default().bold(),
        Verdict::Exposed => AnsiColor::Yellow.on_default(),
        Verdict::Advice => AnsiColor::Cyan.on_default(),
    }
}

/// From when until when, as a sentence.
fn period(exposure: &Exposure) -> String {
    let Some(since) = &exposure.introduced else {
        return "now; no commit has this version of the file".to_owned();
    };
    let removed: Vec<&Moment> = exposure.refs.iter().filter_map(|span| span.removed.as_ref()).collect();
    let stands = exposure.refs.len() - removed.len();
    let begin = time(since);
    let last = removed.iter().max_by_key(|moment| &moment.time);
    let text = match (stands, last) {
        (0, Some(last)) => format!("since {begin} until {}", time(last)),
        (0, None) => {
            format!("since {begin}; on no branch any more: a force-push or a deleted branch left it")
        }
        _ => format!("since {begin} until now"),
    };
    let claimed =
        since.basis == Basis::Claimed || removed.iter().any(|moment| moment.basis == Basis::Claimed);
    if claimed { format!("{text} (as the commits claim)") } else { format!("{text} (as the forge saw it)") }
}

fn whether_it_ran(finding: &Finding, exposure: &Exposure) -> String {
    let events: Vec<String> = exposure.triggers.iter().map(|event| clip(&event.for_terminal(), 30)).collect();
    let on = if events.is_empty() { String::new() } else { format!(" (on {})", list(&events, 5)) };
    match finding.standing {
        Standing::Ran => format!("it ran{on}"),
        Standing::CouldRun if !exposure.reachable => format!("no run with secrets can have reached it{on}"),
        Standing::CouldRun => format!("it could run{on}"),
        Standing::Foreign => {
            "foreign: no branch or tag of this repository has it with something that starts it, only a pull request, a fork \
             or a lost commit. Anybody can make one: look at it, but nothing follows from it alone"
                .to_owned()
        }
    }
}

/// `refs/heads/main` as a person says it.
fn reference(name: &RepositoryText) -> String {
    let full = clip(&name.for_terminal(), TEXT_MAX);
    for (prefix, kind) in [
        ("refs/heads/", "branch"),
        ("refs/tags/", "tag"),
        ("refs/remotes/", "branch"),
        ("refs/pull/", "pull request"),
    ] {
        if let Some(short) = full.strip_prefix(prefix) {
            return format!("{kind} `{short}`");
        }
    }
    full
}

fn commit(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// `2025-09-02 14:03 UTC`.
fn time(moment: &Moment) -> String {
    moment
        .time
        .parse::<jiff::Timestamp>()
        .map_or_else(|_| moment.time.clone(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// What a secret opens, and how much that matters: publishing first.
fn opened(secret: &Secret) -> (u8, String) {
    if secret.used_for.is_empty() {
        return match secret.kind.as_str() {
            "unknown" => (3, "nothing here says what that opens".to_owned()),
            "github-job-token" => (4, "this repository, only until the job ends".to_owned()),
            kind => (2, format!("{}, judging by the name", service(kind))),
        };
    }
    let uses: Vec<String> = secret
        .used_for
        .iter()
        .map(|used| {
            let package =
                used.package.as_ref().map(|package| format!("`{}`", clip(&package.for_terminal(), 40)));
            let package = package.unwrap_or_else(|| "packages".to_owned());
            let path = clip(&used.path.for_terminal(), TEXT_MAX);
            // An action that takes a service's credential says whose it is, not that there are packages.
            let publishes = used.registry == "testpypi"
                || portcullis_scan::services::named(&used.registry).is_none_or(|service| service.publishes);
            let what = if publishes { format!("publishes {package} on") } else { "used for".to_owned() };
            format!("{what} {} (claimed; {path}:{})", service(&used.registry), used.line)
        })
        .collect();
    let publishes = uses.iter().any(|used| used.starts_with("publishes"));
    (if publishes { 1 } else { 2 }, list(&uses, 2))
}

/// A signal's meaning without its example.
fn in_short(meaning: &str) -> String {
    let is_outside =
        |at: &usize| meaning.get(..*at).is_some_and(|before| before.matches('`').count() % 2 == 0);
    let ends = [": ", ". ", "; "].into_iter().flat_map(|mark| meaning.match_indices(mark));
    let end = ends.map(|(at, _)| at).filter(is_outside).min();
    let short = end.and_then(|at| meaning.get(..at)).unwrap_or(meaning).trim_end_matches('.');
    let mut characters = short.chars();
    let first = characters.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
    format!("{first}{}", characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_in_a_few_words() {
        assert_eq!(in_short("The host is foreign: `curl x`."), "the host is foreign");
        assert_eq!(in_short("It is so. And more."), "it is so");
        assert_eq!(in_short("All by `secrets: inherit`."), "all by `secrets: inherit`");
    }

    #[test]
    fn references_have_the_names_that_people_use() {
        for (full, said) in [
            ("refs/heads/a/b", "branch `a/b`"),
            ("refs/tags/v1", "tag `v1`"),
            ("refs/pull/7/head", "pull request `7/head`"),
            ("HEAD", "HEAD"),
        ] {
            assert_eq!(reference(&RepositoryText::new(full)), said);
        }
    }
}
