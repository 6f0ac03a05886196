//! Scanning what is not on this disk: a repository by its address, and an owner's repositories by GitHub's API.
//!
//! Only commits, trees, workflows and what these call are fetched, into a folder that vanishes, over https, by a client of our
//! own: no `git` runs, and no hook, filter or configuration of anybody is read. What can't be had is a problem, and then the
//! scan is not complete. A remote never hands out what nothing leads to any more: see `--commits`.

mod address;
mod client;
mod conversation;
mod copy;
mod error;
mod github;
mod journal;
mod pack;
mod packet;
mod store;
mod vanishing;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use portcullis_scan::report::{Problem, RepositoryName, Stats};
use portcullis_scan::{Options, Part, Totals};
use secrecy::SecretString;
use tokio::runtime::Runtime;
use url::Url;

pub(crate) use address::Address;
use client::{Client, authority};
use copy::{Copy, Heads};
use error::RemoteError;
use github::{Github, Listing};
use journal::Journal;
use vanishing::Vanishing;

/// How many repositories are fetched at the same time, while another is scanned.
const AHEAD: usize = 4;
/// How often a scan may ask for further files: each script that calls another takes one time, and the scanner follows no more
/// than 64 of them.
const ROUND_LIMIT: usize = 72;

/// How remotes are asked.
#[derive(clap::Args)]
#[command(next_help_heading = "Remote repositories")]
#[group(skip)]
pub(crate) struct Arguments {
    /// Where GitHub's API is, for `github:OWNER` (its token: GITHUB_TOKEN)
    #[arg(
        long,
        value_name = "URL",
        env = "GITHUB_API_URL",
        hide_env_values = true,
        default_value = "https://api.github.com"
    )]
    github_api: String,
    /// Where its repositories are, if that can't be told from the API's address
    #[arg(long, value_name = "URL", env = "GITHUB_SERVER_URL", hide_env_values = true, hide = true)]
    github_server: Option<String>,
    /// Leave out repositories that are forks
    #[arg(long)]
    skip_forks: bool,
    /// Leave out archived repositories
    #[arg(long)]
    skip_archived: bool,
    /// Keep what is done in this file, and go on from it where it is there already
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// How long to wait altogether where a server asks for patience, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    wait: u64,
    /// How much may be fetched of one repository, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = copy::SIZE_LIMIT)]
    max_fetch: u64,
    /// Also ask private addresses
    #[arg(long)]
    private_hosts: bool,
}

/// Parts the given paths into addresses and paths on this disk.
///
/// # Errors
/// Where one is an address that is not asked.
pub(crate) fn addresses(paths: &mut Vec<PathBuf>) -> anyhow::Result<Vec<Address>> {
    let mut found = Vec::new();
    for path in std::mem::take(paths) {
        match path.to_str().and_then(Address::parse) {
            Some(address) => found.push(address.context("reading an address to scan")?),
            None => paths.push(path),
        }
    }
    Ok(found)
}

/// Scans addresses and hands over each repository's part as soon as it is done. `seen` says when commits of the options'
/// heads were seen, where somebody knows.
///
/// # Errors
/// Where the settings can't be used, or the file to resume from is of another scan.
pub(crate) fn scan_each(
    arguments: &Arguments,
    addresses: &[Address],
    options: &Options,
    seen: &BTreeMap<String, String>,
    take: &mut (dyn FnMut(Part) + Send),
) -> anyhow::Result<Totals> {
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting what waits for remotes")?;
    // It stays to the program's end: the signals that it took over from the system are answered by nobody else.
    let runtime: &'static Runtime = Box::leak(Box::new(runtime));
    let api = base(&arguments.github_api, "--github-api (GITHUB_API_URL)")?;
    let server = match arguments.github_server.as_deref().filter(|text| !text.is_empty()) {
        Some(text) if has_api_of_its_own(&api) => base(text, "GITHUB_SERVER_URL")?,
        _ => github::server_of(&api),
    };
    let tokens = tokens(&[&api, &server], |name| std::env::var(name).ok());
    let client = Client::new(arguments.private_hosts, tokens, Duration::from_secs(arguments.wait))
        .context("starting what asks remotes")?;
    let asked: Vec<String> = addresses.iter().map(Address::shown).collect();
    let journal = arguments.resume.as_deref().map(|file| Journal::open(file, &asked, options)).transpose()?;
    let folder = Vanishing::new(runtime).context("making a folder for what is fetched")?;
    let mut run = Run {
        folder,
        github: Arc::new(Github { client, api, server }),
        arguments,
        options: options.clone(),
        heads: Heads { cited: options.heads.clone(), pushed: BTreeMap::new(), seen: seen.clone() },
        cited: options.heads.clone(),
        runtime,
        journal,
        stopped: BTreeMap::new(),
        is_left: false,
        totals: Totals { complete: true, stats: Stats::default(), paths_read: 0, repositories_read: 0 },
        take,
    };
    for address in addresses {
        let works = run.works(address);
        run.scan(works, !matches!(address, Address::Owner(_)))?;
    }
    let Run { mut totals, journal, is_left, .. } = run;
    if let Some(journal) = journal {
        journal.close(!is_left)?;
    }
    totals.stats.seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    Ok(totals)
}

/// Adds one scan's totals to another's.
pub(crate) fn add(totals: &mut Totals, other: &Totals) {
    totals.complete &= other.complete;
    totals.paths_read += other.paths_read;
    totals.repositories_read += other.repositories_read;
    totals.stats.repositories += other.stats.repositories;
    totals.stats.commits += other.stats.commits;
    totals.stats.workflow_versions += other.stats.workflow_versions;
    totals.stats.files_failed += other.stats.files_failed;
    totals.stats.seconds += other.stats.seconds;
}

/// One repository to be scanned.
#[derive(Clone, Debug)]
struct Work {
    name: RepositoryName,
    clone: Url,
    /// Where it is known by GitHub's API: its owner and name there.
    at_github: Option<(String, String)>,
    /// When it last changed, as the API says.
    pushed_at: Option<String>,
}

/// What is fetched, and since when pushes were seen.
type Fetching = tokio::task::JoinHandle<Result<(Copy, Heads), RemoteError>>;

struct Run<'r> {
    /// Where all copies are.
    folder: Vanishing,
    github: Arc<Github>,
    arguments: &'r Arguments,
    options: Options,
    heads: Heads,
    cited: Vec<String>,
    runtime: &'static Runtime,
    journal: Option<Journal>,
    /// Servers that want to be left alone for longer than may be waited.
    stopped: BTreeMap<String, RemoteError>,
    /// Whether something could not be had that may be had another time.
    is_left: bool,
    totals: Totals,
    take: &'r mut (dyn FnMut(Part) + Send),
}

impl Run<'_> {
    /// The repositories of an address.
    fn works(&mut self, address: &Address) -> Vec<Work> {
        let given = address.shown();
        let listed = match address {
            Address::Repository(url) => {
                let identity = self.options.identity.clone().or_else(|| identity_of(url));
                let name = RepositoryName { given, identity };
                return vec![Work { name, clone: url.clone(), at_github: None, pushed_at: None }];
            }
            Address::Owner(owner) => self.runtime.block_on(self.github.list(owner)),
            Address::Named { owner, name } => match self.runtime.block_on(self.github.one(owner, name)) {
                Ok(repository) => Listing { repositories: vec![repository], problems: Vec::new() },
                Err(error) => Listing { repositories: Vec::new(), problems: vec![error] },
            },
        };
        let name = RepositoryName { given, identity: None };
        for error in &listed.problems {
            if let RemoteError::RateLimited { .. } = error {
                self.stopped.insert(authority(&self.github.api), error.clone());
            }
            let what = match (address, listed.repositories.len()) {
                (Address::Owner(_), count) if count > 0 => {
                    format!("only {count} repositories could be listed: {error}")
                }
                _ => error.to_string(),
            };
            self.is_left |= passes(error.kind());
            self.hand_over(problem(&name, error.kind(), what), &Stats::default(), false);
        }
        let all = !matches!(address, Address::Owner(_));
        let any = listed.problems.is_empty() || !listed.repositories.is_empty();
        self.totals.paths_read += usize::from(!all && any);
        listed
            .repositories
            .into_iter()
            .filter(|repository| all || !(repository.fork && self.arguments.skip_forks))
            .filter(|repository| all || !(repository.archived && self.arguments.skip_archived))
            .map(|repository| Work {
                name: RepositoryName {
                    given: format!("github:{}/{}", repository.owner, repository.name),
                    identity: self
                        .options
                        .identity
                        .clone()
                        .filter(|_| all)
                        .or_else(|| identity_of(&repository.clone)),
                },
                clone: repository.clone,
                at_github: Some((repository.owner, repository.name)),
                pushed_at: repository.pushed_at,
            })
            .collect()
    }

    /// Fetches some repositories ahead and scans them one by one; each counts as a path of its own, or all as one.
    fn scan(&mut self, works: Vec<Work>, single: bool) -> anyhow::Result<()> {
        let mut waiting: VecDeque<Work> = works.into();
        let mut fetching: VecDeque<(Work, Option<Fetching>)> = VecDeque::new();
        while !(waiting.is_empty() && fetching.is_empty()) {
            while fetching.len() < AHEAD
                && let Some(work) = waiting.pop_front()
            {
                let known = self
                    .journal
                    .as_ref()
                    .is_some_and(|journal| journal.has(&work.name, work.pushed_at.as_deref()));
                let stopped = self.stopped.contains_key(&authority(&work.clone));
                let fetch = (!known && !stopped).then(|| self.fetch(&work));
                fetching.push_back((work, fetch));
            }
            let Some((work, fetch)) = fetching.pop_front() else { continue };
            if let Some(done) =
                self.journal.as_mut().and_then(|journal| journal.take(&work.name, work.pushed_at.as_deref()))
            {
                self.totals.paths_read += usize::from(single);
                self.hand_over(done.part, &done.stats, done.complete);
                continue;
            }
            let fetched = match fetch {
                Some(fetch) => self.runtime.block_on(fetch).unwrap_or_else(|_| {
                    Err(RemoteError::Disk(String::from("fetching met a fault of its own")))
                }),
                None => Err(self
                    .stopped
                    .get(&authority(&work.clone))
                    .cloned()
                    .unwrap_or(RemoteError::TimedOut(0))),
            };
            match fetched {
                Ok((copy, heads)) => {
                    self.totals.paths_read += usize::from(single);
                    self.scan_copy(&work, copy, &heads)?;
                }
                Err(error) => {
                    if let RemoteError::RateLimited { .. } = error {
                        self.stopped.insert(authority(&work.clone), error.clone());
                        if work.at_github.is_some() {
                            self.stopped.insert(authority(&self.github.api), error.clone());
                        }
                    }
                    self.is_left |= passes(error.kind());
                    let part = problem(&work.name, error.kind(), format!("not scanned: {error}"));
                    self.hand_over(part, &Stats { repositories: 1, ..Stats::default() }, false);
                }
            }
        }
        Ok(())
    }

    fn fetch(&self, work: &Work) -> Fetching {
        let (github, work) = (Arc::clone(&self.github), work.clone());
        let mut heads = self.heads.clone();
        let limit = self.arguments.max_fetch;
        let below = self.folder.path().to_owned();
        let present = !self.options.history && self.options.refs.is_none();
        self.runtime.spawn(async move {
            let untold = match work.at_github.as_ref().filter(|_| !present) {
                Some((owner, name)) => github.pushes(owner, name, &mut heads).await?,
                None => None,
            };
            let mut copy = Copy::begin(&github.client, &work.clone, &heads, limit, present, &below).await?;
            copy.gaps.extend(untold);
            Ok((copy, heads))
        })
    }

    /// Scans a copy; what the scan asks for is fetched and it is scanned again, until it has asked for everything.
    fn scan_copy(&mut self, work: &Work, mut copy: Copy, heads: &Heads) -> anyhow::Result<()> {
        let here = |id: &&String| copy.extra.contains(*id);
        self.options.paths = vec![copy.path().to_owned()];
        self.options.identity.clone_from(&work.name.identity);
        self.options.heads = self.cited.iter().filter(here).cloned().collect();
        self.options.pushed_heads = heads.pushed.keys().filter(here).cloned().collect();
        self.options.push_times =
            heads.pushed.iter().filter(|(id, _)| here(id)).map(|(id, at)| (id.clone(), *at)).collect();
        let mut rounds = 0;
        let (mut part, totals) = loop {
            let mut parts = Vec::new();
            let totals = portcullis_scan::scan_each(&self.options, &mut |part| parts.push(part));
            let part = parts.into_iter().next().unwrap_or_default();
            rounds += 1;
            let more = !part.missing.is_empty()
                && rounds < ROUND_LIMIT
                && self.runtime.block_on(copy.complete(&self.github.client, &part.missing));
            if !more {
                break (part, totals);
            }
        };
        if rounds == ROUND_LIMIT && !part.missing.is_empty() {
            let what =
                format!("scripts call each other more than {ROUND_LIMIT} deep; the rest was not fetched");
            part.problems.extend(problem(&work.name, "over-limit", what).problems);
        }
        let missing = part.missing.len();
        for gap in &copy.gaps {
            part.problems.extend(problem(&work.name, gap.kind, gap.what.clone()).problems);
        }
        rename(&mut part, &work.name, &copy.path().display().to_string());
        let complete = totals.complete && copy.gaps.is_empty() && missing == 0;
        // What failed in passing is asked for again by the scan that goes on from here.
        let passing = copy.gaps.iter().any(|gap| passes(gap.kind));
        self.is_left |= passing;
        if let (Some(journal), true) = (&mut self.journal, part.read && !passing) {
            journal.add(&part, &totals.stats, complete, work.pushed_at.as_deref())?;
        }
        self.hand_over(part, &totals.stats, complete);
        Ok(())
    }

    fn hand_over(&mut self, part: Part, stats: &Stats, complete: bool) {
        self.totals.complete &= complete;
        self.totals.stats.repositories += stats.repositories;
        self.totals.stats.commits += stats.commits;
        self.totals.stats.workflow_versions += stats.workflow_versions;
        self.totals.stats.files_failed += stats.files_failed;
        self.totals.repositories_read += usize::from(part.read);
        (self.take)(part);
    }
}

/// Whether a problem of this kind may be gone the next time.
fn passes(kind: &str) -> bool {
    matches!(kind, "unreachable" | "rate-limited" | "broken-answer" | "unreadable")
}

/// Gives a part the name that it was asked for by.
fn rename(part: &mut Part, name: &RepositoryName, folder: &str) {
    part.repository = name.clone();
    for finding in &mut part.findings {
        finding.repository = name.clone();
    }
    for problem in &mut part.problems {
        problem.repository = name.clone();
        problem.what = problem.what.replace(folder, &name.given);
    }
}

fn problem(name: &RepositoryName, kind: &str, what: String) -> Part {
    let problem = Problem { repository: name.clone(), path: None, kind: kind.to_owned(), what };
    Part { repository: name.clone(), problems: vec![problem], ..Part::default() }
}

fn identity_of(url: &Url) -> Option<String> {
    portcullis_scan::objects::identity_of(url.as_str())
}

/// Reads an address that the operator set.
fn base(text: &str, setting: &str) -> anyhow::Result<Url> {
    let text = if text.trim().is_empty() { "https://api.github.com" } else { text.trim() };
    match Address::parse(&format!("{}/x", text.trim_end_matches('/'))) {
        Some(Ok(Address::Repository(mut url))) => {
            let path = url.path().trim_end_matches('x').to_owned();
            url.set_path(&path);
            Ok(url)
        }
        Some(Err(error)) => Err(error).with_context(|| format!("reading {setting}")),
        _ => anyhow::bail!("reading {setting}: expected an https address"),
    }
}

/// `GITHUB_SERVER_URL` stands for the server whose API stands beside it; where the API was set by itself, it is another's.
fn has_api_of_its_own(api: &Url) -> bool {
    std::env::var("GITHUB_API_URL").ok().and_then(|text| base(&text, "").ok()).is_none_or(|said| said == *api)
}

/// Tokens of the environment, each for its own servers alone.
fn tokens(github: &[&Url], said: impl Fn(&str) -> Option<String>) -> BTreeMap<String, SecretString> {
    let said = |name: &str| said(name).filter(|value| !value.trim().is_empty());
    let mut tokens = BTreeMap::new();
    if let Some(token) = said("GITHUB_TOKEN") {
        for url in github {
            tokens.insert(authority(url), SecretString::from(token.trim()));
        }
    }
    if let Some(token) = said("GITLAB_TOKEN") {
        let server = said("CI_SERVER_URL").and_then(|text| base(&text, "CI_SERVER_URL").ok());
        let host = server.map_or_else(|| String::from("gitlab.com:443"), |url| authority(&url));
        tokens.insert(host, SecretString::from(token.trim()));
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_of_an_enterprise_are_told_from_its_api() {
        let server = |api: &str| github::server_of(&base(api, "api").unwrap()).to_string();
        assert_eq!(server("https://api.github.com"), "https://github.com/");
        assert_eq!(server("https://ghes.example/api/v3/"), "https://ghes.example/");
        assert_eq!(server("http://127.0.0.1:7001"), "http://127.0.0.1:7001/");
        assert!(base("http://ghes.example", "api").is_err());
        assert_eq!(base("", "api").unwrap().as_str(), "https://api.github.com/");
    }

    #[test]
    fn tokens_go_to_their_own_servers_alone() {
        let hosts = |said: &[(&str, &str)]| -> Vec<String> {
            let (api, server) =
                (base("https://api.github.com", "").unwrap(), base("https://github.com", "").unwrap());
            let of =
                |name: &str| said.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            tokens(&[&api, &server], of).into_keys().collect()
        };
        assert_eq!(hosts(&[("GITHUB_TOKEN", "a")]), ["api.github.com:443", "github.com:443"]);
        assert_eq!(hosts(&[("GITLAB_TOKEN", "b")]), ["gitlab.com:443"]);
        let own = [("GITLAB_TOKEN", "b"), ("CI_SERVER_URL", "https://gitlab.example:8443")];
        assert_eq!(hosts(&own), ["gitlab.example:8443"]);
        assert!(hosts(&[("GITHUB_TOKEN", " "), ("CI_SERVER_URL", "https://gitlab.example")]).is_empty());
    }

    #[test]
    fn a_part_is_named_as_it_was_asked_for() {
        let name = RepositoryName { given: String::from("github:o/n"), identity: None };
        let mut part = problem(&RepositoryName::default(), "x", String::from("opening /temporary/x: broken"));
        rename(&mut part, &name, "/temporary/x");
        assert_eq!(part.problems[0].what, "opening github:o/n: broken");
        assert_eq!(part.problems[0].repository, name);
    }
}
