//! `portcullis scan`: arguments, what is shown of a report, and the outcome. What is found is the library's business.

mod accepted;
mod config;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use portcullis_index::desk::scan_document::is_object_id;
use portcullis_scan::report::Verdict;
use portcullis_scan::text::{Lines, escape};
use portcullis_scan::{Options, Part, Report, Totals};

use crate::Outcome;
use crate::output::{self, Destination, Format, Manner};
use accepted::{Acceptance, Accepted};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  portcullis scan                          the repository in this folder, all versions
  portcullis scan --format json ~/src      every repository below a folder, as one document
  portcullis scan --min-verdict malicious  only what nobody does for themselves
  portcullis scan https://forge.example/owner/name.git   a remote repository, without a clone
  portcullis scan --format jsonl github:example-org      all repositories of an owner at GitHub

Who may silence a finding: `--accept` and `--config`, any finding, from outside the repository. In a workflow the comment
`# portcullis: accept RULE REASON`, on the finding's line or the one above, silences findings that are `exposed` or `advice`, never
what is `malicious` or `suspicious`: a thief can write a comment, too. What is accepted is still listed, and does not count.

Exit code 0: nothing found; 1: something found; 2: nothing could be read.")]
pub(crate) struct Arguments {
    /// Work trees, bare repositories, workflow files, folders that hold any of these, `https://` addresses of repositories,
    /// `github:OWNER` or `github:OWNER/REPO`
    #[arg(value_name = "PATH|URL")]
    paths: Vec<PathBuf>,
    /// How to print what is found
    ///
    /// [default: human]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The mildest verdict that is printed and counts for the exit code
    ///
    /// [default: exposed]
    #[arg(long, value_enum)]
    min_verdict: Option<MinVerdict>,
    /// Look at the present files only
    #[arg(long)]
    no_history: bool,
    /// Only versions that stood at or after a date (2025-09-01, RFC 3339), or that are newer than a commit
    #[arg(long, value_name = "DATE|COMMIT")]
    since: Option<String>,
    /// Only references that match this pattern
    #[arg(long, value_name = "PATTERN")]
    refs: Option<String>,
    /// A file of commit ids to look at besides the references, one a line
    #[arg(long, value_name = "FILE")]
    commits: Option<PathBuf>,
    /// A file of paths to scan, one a line
    #[arg(long, value_name = "FILE")]
    repositories: Option<PathBuf>,
    /// A file of indicators: a STIX bundle, CSV, or one a line (repeatable)
    #[arg(long, value_name = "FILE")]
    indicators: Vec<PathBuf>,
    /// Which repository this is, where the remote's URL doesn't say
    #[arg(long, value_name = "HOST/OWNER/NAME")]
    identity: Option<String>,
    /// Number of threads; one for each core if not given
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Print for each finding what its signals mean and how they weigh
    #[arg(long)]
    explain: bool,
    /// Accept a finding by its id; it is still listed (repeatable)
    #[arg(long, value_name = "ID=REASON")]
    accept: Vec<String>,
    /// Report what is found to the incident desk of a server (its token: PORTCULLIS_TOKEN; none is needed)
    #[arg(long, value_name = "URL")]
    report: Option<String>,
    /// Exit with 2 if anything could not be looked at
    #[arg(long)]
    strict: bool,
    /// Settings under [scan] in a TOML file outside of what is scanned; options given here win over it
    ///
    /// Keys: format, min-verdict, no-history, since, refs, jobs, explain, strict, indicators = [FILE], accept = { ID =
    /// "REASON" }, trusted-hosts = [HOST], trusted-owners = [HOST/OWNER]. The file is never looked for, and refused when it lies
    /// inside a scanned tree: whoever writes to a repository must not decide what is accepted in it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    remote: crate::remote::Arguments,
}

/// The mildest verdict that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MinVerdict {
    Advice,
    Exposed,
    Suspicious,
    Malicious,
}

impl From<MinVerdict> for Verdict {
    fn from(verdict: MinVerdict) -> Self {
        match verdict {
            MinVerdict::Advice => Verdict::Advice,
            MinVerdict::Exposed => Verdict::Exposed,
            MinVerdict::Suspicious => Verdict::Suspicious,
            MinVerdict::Malicious => Verdict::Malicious,
        }
    }
}

/// What is in force: options, then the settings file, then defaults.
struct InForce {
    options: Options,
    accepted: Accepted,
    format: Format,
    mildest: Verdict,
    explain: bool,
    strict: bool,
    /// What is not on this disk.
    addresses: Vec<crate::remote::Address>,
    /// When commits of `--commits` were seen.
    seen: BTreeMap<String, String>,
}

/// Scans and prints.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let InForce { options, accepted, format, mildest, explain, strict, addresses, seen } =
        in_force(arguments)?;
    let mut out = Destination::new(arguments.output.as_deref())?;
    let mut shown = Shown {
        accepted: &accepted,
        mildest,
        counts: false,
        hidden: 0,
        nothing_chosen: 0,
        problems: 0,
        first_problem: None,
    };
    let streams = format == Format::Jsonl;
    let progress = progress();
    let (mut failed, mut parts) = (None, Vec::new());
    let mut take = |mut part: Part| {
        shown.keep(&mut part);
        progress.inc(1);
        if streams && failed.is_none() {
            failed =
                progress.suspend(|| output::json::part(&mut out, &part).and_then(|()| out.flush())).err();
        }
        // The desk takes whole documents; otherwise nothing of what was printed stays in memory.
        if !streams || arguments.report.is_some() {
            parts.push(part);
        }
    };
    let mut totals = portcullis_scan::scan_each(&options, &mut take);
    if !addresses.is_empty() {
        let remote = crate::remote::scan_each(&arguments.remote, &addresses, &options, &seen, &mut take)?;
        crate::remote::add(&mut totals, &remote);
    }
    progress.finish_and_clear();
    if let Some(error) = failed {
        return Err(error).context("writing what was found");
    }
    let Shown { counts, hidden, problems, nothing_chosen, first_problem, .. } = shown;
    let report = Report::new(parts, totals.clone());
    if streams {
        output::json::totals(&mut out, &totals)?;
    } else {
        let log = arguments.output.is_none() && output::actions::is_log();
        output::write(&mut out, format, &report, Manner { explain, log, hidden })?;
    }
    out.flush()?;
    let mut given: Vec<String> = options.paths.iter().map(|path| path.display().to_string()).collect();
    given.extend(addresses.iter().map(crate::remote::Address::shown));
    nothing_read(&given, &totals, first_problem)?;
    if nothing_chosen > 0 && nothing_chosen == totals.stats.repositories {
        let pattern = options.refs.unwrap_or_default();
        bail!(
            "scanning: no reference matches --refs `{pattern}`, in none of {nothing_chosen} repositories; `git for-each-ref` lists them"
        );
    }
    out.finish()?;
    if strict && problems > 0 {
        bail!("{problems} problem(s), and --strict accepts none");
    }
    if let (Some(server), true) = (&arguments.report, counts) {
        let document = serde_json::to_value(&report.document).context("putting the report together")?;
        crate::desk::report_scan(server, &document)?;
    }
    Ok(if counts { Outcome::Found } else { Outcome::Done })
}

/// How many repositories are done; on standard error, and only where that is a terminal.
pub(crate) fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos} repositories scanned, {elapsed}");
    let bar =
        ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Nothing read is no clean result.
fn nothing_read(given: &[String], totals: &Totals, first_problem: Option<String>) -> anyhow::Result<()> {
    let paths = given.len();
    let first = first_problem.unwrap_or_default();
    if totals.paths_read == 0 {
        bail!("scanning {paths} path(s): none could be read ({first})");
    }
    let first_given = given.first().map(String::as_str).unwrap_or_default();
    if paths == 1 && totals.stats.repositories == 0 && first_given.starts_with("github:") {
        bail!(
            "scanning `{first_given}`: this owner has no repository, or --skip-forks and --skip-archived leave out all"
        );
    }
    if paths == 1 && totals.stats.repositories == 0 {
        bail!(
            "scanning `{}`: no repository and no workflow file in it; give a work tree, a bare repository, or a file below `.github`",
            first_given
        );
    }
    if totals.stats.repositories > 0 && totals.repositories_read == 0 {
        bail!("scanning {} repositories: none could be read ({first})", totals.stats.repositories);
    }
    Ok(())
}

fn in_force(arguments: &Arguments) -> anyhow::Result<InForce> {
    let Asked { mut options, addresses, seen } = asked(arguments)?;
    let settings = match &arguments.config {
        Some(file) => config::read(file, &options.paths)?,
        None => config::Settings::default(),
    };
    let mut accepted = Accepted::default();
    for text in &arguments.accept {
        let acceptance = Acceptance::parse(text).context("reading --accept");
        accepted.findings.push(acceptance?);
    }
    if let Some(file) = &arguments.config {
        accepted.findings.extend(settings.acceptances(file)?);
    }
    accepted.hosts.clone_from(&settings.trusted_hosts);
    accepted.owners.clone_from(&settings.trusted_owners);
    options.history = !(arguments.no_history || settings.no_history.unwrap_or(false));
    options.refs = arguments.refs.clone().or(settings.refs);
    options.jobs = arguments.jobs.or(settings.jobs).unwrap_or(0);
    let mut listed = Vec::new();
    for file in arguments.indicators.iter().chain(&settings.indicators) {
        let text = text(file, LIST_MAX).with_context(|| format!("reading `{}`", file.display()))?;
        listed.extend(indicators(&text));
    }
    // All at once: a set that is made of a list costs far less than one that grows.
    options.indicators = listed.into_iter().collect();
    match arguments.since.as_deref().or(settings.since.as_deref()) {
        None => {}
        Some(text) if text.len() >= 7 && text.len() <= 64 && text.chars().all(|c| c.is_ascii_hexdigit()) => {
            options.since_commit = Some(text.to_ascii_lowercase());
        }
        Some(text) => options.since = Some(seconds("--since", text, "a date, a time or a commit id")?),
    }
    Ok(InForce {
        options,
        accepted,
        format: arguments.format.or(settings.format).unwrap_or(Format::Human),
        mildest: arguments.min_verdict.or(settings.min_verdict).unwrap_or(MinVerdict::Exposed).into(),
        explain: arguments.explain || settings.explain.unwrap_or(false),
        strict: arguments.strict || settings.strict.unwrap_or(false),
        addresses,
        seen,
    })
}

/// What is asked for.
struct Asked {
    /// What is on this disk, and how to scan.
    options: Options,
    /// What is not.
    addresses: Vec<crate::remote::Address>,
    /// When commits of `--commits` were seen.
    seen: BTreeMap<String, String>,
}

/// What to scan, by the options alone.
fn asked(arguments: &Arguments) -> anyhow::Result<Asked> {
    let mut options = Options {
        paths: arguments.paths.clone(),
        identity: arguments.identity.as_deref().map(identity).transpose()?,
        ..Options::default()
    };
    if let Some(file) = &arguments.repositories {
        options.paths.extend(lines(file)?.into_iter().map(PathBuf::from));
    }
    let addresses = crate::remote::addresses(&mut options.paths)?;
    if options.paths.is_empty() && addresses.is_empty() {
        options.paths.push(PathBuf::from("."));
    }
    let mut seen = BTreeMap::new();
    if let Some(file) = &arguments.commits {
        for line in lines(file)? {
            // An id, and perhaps when it was seen.
            let (id, time) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
            if !time.trim().is_empty() {
                let time: jiff::Timestamp = time.trim().parse().with_context(|| {
                    format!(
                        "reading `{}`: after a commit id only the time when it was seen (RFC 3339)",
                        file.display()
                    )
                })?;
                seen.insert(id.to_owned(), time.to_string());
            }
            options.heads.push(id.to_owned());
        }
        if let Some(wrong) = options.heads.iter().find(|id| !is_object_id(id)) {
            bail!(
                "reading `{}`: `{wrong}` is no commit id of 40 (SHA-1) or 64 (SHA-256) hexadecimal digits",
                file.display()
            );
        }
    }
    Ok(Asked { options, addresses, seen })
}

/// Reads a date or a time (RFC 3339) that an option gives; `expected` says what else it takes.
pub(crate) fn seconds(option: &str, text: &str, expected: &str) -> anyhow::Result<i64> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.as_second());
    }
    let date: jiff::civil::Date = text.parse().with_context(|| {
        format!("reading {option} `{text}`: expected {expected} (2025-09-01, 2025-09-01T12:00:00Z)")
    })?;
    let midnight: jiff::Timestamp = format!("{date}T00:00:00Z").parse()?;
    Ok(midnight.as_second())
}

fn identity(text: &str) -> anyhow::Result<String> {
    let parts: Vec<&str> = text.split('/').collect();
    if parts.len() < 3 || parts.iter().any(|part| part.is_empty()) {
        bail!("reading --identity `{text}`: expected HOST/OWNER/NAME, as in github.com/owner/name");
    }
    Ok(text.to_ascii_lowercase())
}

/// Host names and addresses in any of the usual forms, also defanged ones (`hxxps://collector[.]example/`).
fn indicators(text: &str) -> Vec<String> {
    let mut text = std::borrow::Cow::Borrowed(text);
    for (defanged, plain) in [("[.]", "."), ("(.)", "."), ("hxxp", "http"), ("[:]", ":")] {
        if text.contains(defanged) {
            text = text.replace(defanged, plain).into();
        }
    }
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let parts = |character: char| {
        matches!(
            character,
            ',' | ';' | '"' | '\'' | '[' | ']' | '{' | '}' | '(' | ')' | '<' | '>' | '=' | '|'
        ) || character.is_whitespace()
    };
    text.split(parts)
        .filter_map(|token| {
            let rest = token.split_once("://").map_or(token, |(_, rest)| rest);
            let host = rest.split(['/', '?', '#', ':', '\\']).next()?.trim_end_matches('.');
            // A name needs a dot; a version number or a file name among the columns does no harm, it matches no host.
            (host.contains('.') && host.split('.').all(is_label)).then(|| host.to_ascii_lowercase())
        })
        .collect()
}

/// Largest list of indicators, commits or paths, in bytes: a million of them fit.
const LIST_MAX: u64 = 64 << 20;

/// A file or a pipe of UTF-8 with at most so many bytes.
fn text(file: &Path, most: u64) -> anyhow::Result<String> {
    use std::io::Read;
    let opened = std::fs::File::open(file)?;
    let mut bytes = Vec::new();
    opened.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        bail!("it has more than {most} bytes");
    }
    String::from_utf8(bytes).context("it is not UTF-8")
}

fn lines(file: &Path) -> anyhow::Result<Vec<String>> {
    let text = text(file, LIST_MAX).with_context(|| format!("reading `{}`", file.display()))?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

/// What is kept of the parts of a scan.
struct Shown<'a> {
    accepted: &'a Accepted,
    mildest: Verdict,
    /// Whether anything was found that nobody accepts.
    counts: bool,
    /// How many are milder than asked for.
    hidden: usize,
    /// Of how many repositories `--refs` chose nothing.
    nothing_chosen: usize,
    problems: usize,
    first_problem: Option<String>,
}

impl Shown<'_> {
    /// Drops what is milder than asked for and marks what is accepted.
    fn keep(&mut self, part: &mut Part) {
        let all = part.findings.len();
        part.findings.retain(|finding| finding.verdict >= self.mildest);
        self.hidden += all - part.findings.len();
        for finding in &mut part.findings {
            self.accepted.mark(finding);
            self.counts |= finding.accepted.is_none();
        }
        self.problems += part.problems.len();
        self.nothing_chosen +=
            usize::from(part.problems.iter().any(|problem| problem.kind == "nothing-chosen"));
        if self.first_problem.is_none() {
            self.first_problem = part.problems.first().map(|problem| escape(&problem.what, Lines::One));
        }
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list.txt");
        std::fs::write(&file, "x".repeat(8)).unwrap();
        assert_eq!(text(&file, 8).unwrap().len(), 8);
        assert!(text(&file, 7).unwrap_err().to_string().contains("more than 7 bytes"));
        assert!(text(folder.path(), 8).is_err() && text(Path::new("/dev/zero"), 8).is_err());
    }

    #[test]
    fn indicators_are_read_from_stix_csv_and_lists() {
        for text in [
            "collector.example\n",
            "type,value\ndomain,hxxps://collector[.]example/x\n",
            r#"{"type":"indicator","pattern":"[domain-name:value = 'collector.example']"}"#,
            "https://Collector.Example:8443/in?x",
        ] {
            assert!(
                indicators(text).contains(&"collector.example".to_owned()),
                "{text}: {:?}",
                indicators(text)
            );
        }
        assert_eq!(indicators("203.0.113.7"), ["203.0.113.7"]);
    }
}
