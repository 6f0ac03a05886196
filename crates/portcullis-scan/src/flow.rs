//! From each secret, hop by hop, to everything that receives it.
//!
//! [`trace`] walks the jobs and steps of one workflow in order, computes what environments, outputs and files may
//! hold, hands scripts to the interpreter of their language, and returns a [`Trace`]: who received what. It judges
//! nothing; that is for techniques and verdict.

pub mod code;
pub mod command;
pub(crate) mod doors;
pub mod job;
pub(crate) mod known;
mod literal;
mod local;
mod own_action;
pub mod script;
pub mod shell;
mod state;
pub mod trace;
pub mod value;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::span::Bytes;
use crate::text::RepositoryText;
use crate::workflow::expression::{self, Contexts};
use crate::yaml::Node;
pub use local::{LocalFile, LocalFiles, NoFiles};
use script::Script;
pub use state::{JobState, settle};
use trace::{Channel, Delivery, Observation, ObservationKind, Publishing, Role, Trace, TracedFile};
use value::{Carried, Hop, HopKind, Part, Source, Trail, Value};

/// Most statements and words computed for one workflow. Real ones need a few thousand.
pub const STEPS_MAX: u32 = 240_000;
/// Most of them for one step of a job: one that takes more hides none of those after it.
const STEPS_OF_ONE_MAX: u32 = 120_000;

/// How many of those that are left one step of a job may take: all that one may, or the half of that, or the half of the half,
/// and never more than half of what is left. In such shares, what became of a step that used all of its own is the same
/// wherever it gets as much.
fn share_of(budget: u32) -> u32 {
    let mut shares = (0..u32::BITS).map(|halvings| STEPS_OF_ONE_MAX >> halvings);
    shares.find(|share| *share <= budget / 2).unwrap_or(0)
}

/// How many of its step's a program of the repository may take: nearly all that one step may, or the half of that, and so on.
/// A little stays for what the step does around it, so that it gets as much in every step that begins alike.
fn share_of_program(budget: u32) -> u32 {
    let mut shares = (0..u32::BITS).map(|halvings| (STEPS_OF_ONE_MAX - STEPS_OF_ONE_MAX / 8) >> halvings);
    shares.find(|share| *share <= budget).unwrap_or(0)
}

const TOO_LONG: &str = "a workflow that takes too many steps to follow";
/// Most deliveries kept of one workflow.
const DELIVERIES_MAX: usize = 2_000;
const TOO_MANY: &str = "a workflow that sends too many things";
const TOO_MANY_FILES: &str = "a workflow that pulls in too many files";
/// Most files that one workflow may pull in.
const FILES_MAX: usize = 64;
/// Deepest chain of local actions and reusable workflows; GitHub allows ten.
pub const CALLS_MAX: usize = 10;

/// The hop of what `tee` shows beside the file that it wrote.
pub const COPIED: &str = "copied by tee";

/// Begins the hop of a secret that an action leaves in a file of logins.
pub const LEFT_LOGIN: &str = "left as a login in ";

/// Stands, among decoded texts, before those that nobody could have read in the file.
const CONCEALED: &str = "\u{1}";

/// Collects a [`Trace`].
pub struct Tracer<'a> {
    local: &'a dyn LocalFiles,
    trace: Trace,
    budget: u32,
    job: usize,
    step: usize,
    /// Whether the current job runs on the owner's own machine, whose disk stays.
    pub self_hosted: bool,
    /// Literal texts that stood encoded in the file, so that running one can be told from running plain text.
    pub decoded: BTreeSet<String>,
    /// Files of the repository that the current step asked for. Whatever else decides what following a step leads to must be
    /// in the key by which `known` puts it back.
    opened: Vec<String>,
    has_anchors: bool,
    /// Whether a limit of the whole workflow cut something off the current step: elsewhere there may be room for it.
    lacked_room: bool,
    /// Whether the current step ran programs, which take shares of what it may.
    parted: bool,
}

/// Variables that the runner sets and that are no secret.
pub fn runner_variable(name: &str) -> Option<Value> {
    let value = match name {
        "GITHUB_ENV" | "GITHUB_OUTPUT" | "GITHUB_STATE" | "GITHUB_PATH" | "GITHUB_STEP_SUMMARY" => {
            Value::text(format!("${name}"))
        }
        "HOME" => Value::text("~"),
        "GITHUB_WORKSPACE" | "PWD" => Value::text("."),
        "RUNNER_TEMP" => Value::text("/runner/temp"),
        "TMPDIR" => Value::text("/tmp"),
        "IFS" => Value::text(" "),
        _ if name.starts_with("GITHUB_") || name.starts_with("RUNNER_") || name == "CI" => {
            Value::part(Part::Run(name.to_owned()))
        }
        "ACTIONS_ID_TOKEN_REQUEST_URL" | "HOSTNAME" | "USER" | "PATH" => {
            Value::part(Part::Run(name.to_owned()))
        }
        _ => return None,
    };
    Some(value)
}

/// Whether a variable is one of those that the runner itself sets.
pub fn is_runner_variable(name: &str) -> bool {
    name.starts_with("GITHUB_") && name != "GITHUB_TOKEN" || name.starts_with("RUNNER_")
}

impl<'a> Tracer<'a> {
    fn new(local: &'a dyn LocalFiles, path: &str, text: &Arc<str>) -> Self {
        let trace = Trace {
            files: vec![TracedFile { path: path.to_owned(), text: Arc::clone(text) }],
            ..Trace::default()
        };
        Self {
            local,
            trace,
            budget: STEPS_MAX,
            job: 0,
            step: 0,
            self_hosted: false,
            decoded: BTreeSet::new(),
            opened: Vec::new(),
            has_anchors: known::may_have_anchors(text),
            lacked_room: false,
            parted: false,
        }
    }

    /// Notes that the trace isn't whole; the first reason counts.
    pub fn incomplete(&mut self, why: &'static str) {
        self.lacked_room |= matches!(why, TOO_MANY | TOO_MANY_FILES);
        self.trace.incomplete.get_or_insert(why);
    }

    /// Takes one unit of work; false when there is none left.
    pub fn spend(&mut self) -> bool {
        match self.budget.checked_sub(1) {
            Some(left) => self.budget = left,
            None => self.incomplete(TOO_LONG),
        }
        self.budget > 0
    }

    /// Takes work in proportion to the size of a value that was built: a variable that doubles itself in a loop costs
    /// what it copies.
    pub fn charge(&mut self, value: &Value) {
        self.charge_all(std::slice::from_ref(value));
    }

    /// The same for a list.
    pub fn charge_all(&mut self, values: &[Value]) {
        self.charge_bytes(values.iter().map(Value::size_copied).sum());
    }

    /// The same for bytes that were read.
    fn charge_bytes(&mut self, size: usize) {
        self.budget = self.budget.saturating_sub((size / 256) as u32);
    }

    /// A secret that enters here.
    pub fn enter(&self, source: Source, what: &str, file: usize, bytes: Bytes) -> Value {
        let hop = Hop { kind: HopKind::Source, what: RepositoryText::new(what), file, bytes };
        Value::part(Part::Carried(Carried {
            source,
            encodings: Vec::new(),
            trail: Trail::default().then(hop),
            dropped: false,
        }))
    }

    /// Variables of the runner that are secrets.
    pub fn runner_secret(&self, name: &str) -> Option<Source> {
        match name {
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN" => Some(Source::IdentityToken),
            "ACTIONS_RUNTIME_TOKEN" | "ACTIONS_CACHE_URL" | "ACTIONS_RESULTS_URL" => {
                Some(Source::RuntimeToken)
            }
            _ => None,
        }
    }

    /// Notes that secrets arrive somewhere; nothing, if there are none in `content`.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call per kind of sink, each naming all of what it knows"
    )]
    pub fn deliver(
        &mut self,
        content: Value,
        channel: Channel,
        role: Role,
        target: Value,
        client: &str,
        file: usize,
        bytes: Bytes,
    ) {
        self.deliver_as(content, channel, role, target, client, file, bytes, false);
    }

    /// As [`Tracer::deliver`], and says whether the receiver takes it as a setting of its own.
    #[expect(clippy::too_many_arguments, reason = "as `deliver`, with one more fact")]
    pub fn deliver_as(
        &mut self,
        content: Value,
        channel: Channel,
        role: Role,
        target: Value,
        client: &str,
        file: usize,
        bytes: Bytes,
        consumed: bool,
    ) {
        let labelled = is_labelled(&content);
        let bare = is_bare(&content);
        let carried: Vec<Carried> = content.only_carried().carried().cloned().collect();
        // What never arrives is worth a word only where it would have left for another machine.
        let leaves = matches!(channel, Channel::Network | Channel::Dns);
        if !leaves && carried.iter().all(|one| one.dropped) {
            return;
        }
        if carried.is_empty() {
            return;
        }
        if self.trace.deliveries.len() >= DELIVERIES_MAX {
            self.incomplete(TOO_MANY);
            return;
        }
        let concealed = leaves && self.is_concealed(&target);
        self.trace.deliveries.push(Delivery {
            carried,
            channel,
            role,
            target,
            client: client.to_owned(),
            labelled,
            bare,
            concealed,
            speaks: speaks_http(&content),
            opened_by_the_file: false,
            consumed,
            file,
            bytes,
            job: self.job,
            step: self.step,
        });
    }

    /// How many deliveries there are so far.
    pub fn delivered(&self) -> usize {
        self.trace.deliveries.len()
    }

    /// Notes that what was delivered since then went through a door to which the file itself has the key.
    pub fn opened_by_the_file(&mut self, since: usize) {
        for delivery in self.trace.deliveries.iter_mut().skip(since) {
            delivery.opened_by_the_file = true;
        }
    }

    /// Notes that what was delivered since then was not to be read in the file.
    pub fn conceals(&mut self, since: usize) {
        for delivery in self.trace.deliveries.iter_mut().skip(since) {
            delivery.concealed = true;
        }
    }

    /// What a line of the log shows: a plain copy of what went into a file is an oversight, not a message.
    fn shown_in_log(mut line: Value) -> Value {
        line.parts.retain(|part| match part {
            Part::Carried(carried) if carried.encodings.is_empty() => !carried.is_copied(),
            _ => true,
        });
        line
    }

    /// Text that reaches the log. Workflow commands (`::add-mask::`) are not shown.
    pub fn log(&mut self, content: &Value, file: usize, bytes: Bytes) {
        for line in lines(content).into_iter().map(Self::shown_in_log) {
            let command = line.prefix().trim_start();
            // Commands to the runner are carried out, not printed; unless it is told to print them as well, and then a
            // plain secret is masked.
            let plain = || line.carried().all(|carried| carried.encodings.is_empty());
            let starts = |names: &[&str]| names.iter().any(|name| command.starts_with(name));
            let to_the_runner = starts(&["::add-mask::", "::set-output"])
                || starts(&["::set-env ", "::save-state ", "::add-path::"]) && plain();
            if line.carries() && !to_the_runner {
                self.deliver(
                    line,
                    Channel::Log,
                    Role::Payload,
                    Value::text("workflow-log"),
                    "log",
                    file,
                    bytes,
                );
            }
        }
    }

    /// Remembers a text that the file holds only in a form nobody can read: encoded, reversed, in single characters.
    pub fn reveals(&mut self, text: &str) {
        let text = text.trim();
        self.decoded.insert(text.to_owned());
        self.decoded.insert(format!("{CONCEALED}{text}"));
    }

    /// Whether the host of an address was one of those.
    fn is_concealed(&self, target: &Value) -> bool {
        let from = CONCEALED.to_owned();
        let mut texts = self.decoded.range(from..).map_while(|text| text.strip_prefix(CONCEALED)).peekable();
        if texts.peek().is_none() {
            return false;
        }
        let host = crate::destination::of_address(target).host;
        host.is_some_and(|host| host.contains('.') && texts.any(|text| text.contains(&host)))
    }

    /// Takes no more than so many things, and says so.
    pub fn cut<T>(&mut self, mut all: Vec<T>, most: usize, why: &'static str) -> Vec<T> {
        if all.len() > most {
            self.incomplete(why);
            all.truncate(most);
        }
        all
    }

    /// Notes something that means something by itself.
    pub fn observe(&mut self, kind: ObservationKind, detail: Value, file: usize, bytes: Bytes) {
        if self.trace.observations.len() < DELIVERIES_MAX {
            let (job, step) = (self.job, self.step);
            self.trace.observations.push(Observation { kind, detail, file, bytes, job, step });
        } else {
            self.incomplete(TOO_MANY);
        }
    }

    /// Notes a credential that publishes a package.
    pub fn publishes(
        &mut self,
        registry: &str,
        with: &Value,
        directory: Option<String>,
        file: usize,
        bytes: Bytes,
    ) {
        let carried: Vec<Carried> = with.only_carried().carried().cloned().collect();
        if self.trace.publishings.len() < DELIVERIES_MAX {
            let job = self.job;
            self.trace.publishings.push(Publishing {
                registry: registry.to_owned(),
                carried,
                file,
                bytes,
                directory,
                job,
            });
        } else {
            self.incomplete(TOO_MANY);
        }
    }

    /// Notes that a tool publishes to its registry, or to the address it is told.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call per publishing tool, each naming all of what it knows"
    )]
    pub fn publish_to(
        &mut self,
        registry: &str,
        address: Option<Value>,
        credential: &Value,
        directory: Option<String>,
        client: &str,
        file: usize,
        bytes: Bytes,
    ) {
        let text = address.as_ref().map(Value::template).unwrap_or_default();
        let host = address.as_ref().and_then(|address| crate::destination::of_address(address).host);
        let host = host.as_deref().unwrap_or("");
        let name = match registry {
            "pypi" if host == "test.pypi.org" || text == "testpypi" => "testpypi",
            other => other,
        };
        let own = text.is_empty()
            || !text.contains("://")
            || matches!(host, "pypi.org" | "upload.pypi.org" | "test.pypi.org");
        if own {
            self.publishes(name, credential, directory, file, bytes);
        }
        let target = address.filter(|_| !own).unwrap_or_else(|| {
            Value::text(match registry {
                "pypi" => "https://upload.pypi.org/legacy/",
                "npm" => "https://registry.npmjs.org/",
                "crates.io" => "https://crates.io/",
                "rubygems" => "https://rubygems.org/",
                "nuget" => "https://api.nuget.org/",
                _ => "https://central.sonatype.com/",
            })
        });
        self.deliver(
            credential.clone(),
            Channel::Registry,
            Role::Authentication,
            target,
            client,
            file,
            bytes,
        );
    }

    /// Notes that this job does something else than handing secrets out.
    pub fn works(&mut self) {
        let job = self.job;
        if let Some(count) = self.trace.other_work.get_mut(job) {
            *count += 1;
        }
    }

    /// A file of the repository, as one of the trace's files.
    pub fn open(&mut self, path: &str) -> Option<(usize, Arc<str>)> {
        let path = path.trim_start_matches("./").trim_start_matches('/');
        if !self.opened.iter().any(|opened| opened == path) {
            self.opened.push(path.to_owned());
        }
        if let Some(at) = self.trace.files.iter().position(|file| file.path == path) {
            return Some((at, self.trace.files.get(at)?.text.clone()));
        }
        if self.trace.files.len() >= FILES_MAX {
            self.trace.unread = true;
            self.incomplete(TOO_MANY_FILES);
            return None;
        }
        self.trace.asked.insert(path.to_owned());
        let text = match self.local.read(path) {
            LocalFile::Text(text) => text,
            LocalFile::Absent => return None,
            LocalFile::Unread(why) => {
                self.trace.unread = true;
                self.incomplete(why);
                return None;
            }
        };
        self.trace.files.push(TracedFile { path: path.to_owned(), text: text.clone() });
        Some((self.trace.files.len() - 1, text))
    }
}

/// Evaluates the text of a scalar with its expressions.
pub fn scalar_value(node: &Arc<Node>, contexts: &dyn Contexts, file: usize) -> Value {
    let mut value = Value::empty();
    for (_, piece) in scalar_pieces(node, contexts, file) {
        value.append(piece);
    }
    value
}

fn scalar_pieces(node: &Arc<Node>, contexts: &dyn Contexts, file: usize) -> Vec<(usize, Value)> {
    let Some(scalar) = node.scalar() else { return Vec::new() };
    expression::pieces(&scalar.text)
        .into_iter()
        .map(|piece| match piece {
            expression::Piece::Text(range) => {
                (range.start, Value::text(scalar.text.get(range).unwrap_or("").to_owned()))
            }
            expression::Piece::Expression(all, inner) => {
                let bytes = scalar.bytes_of(all.clone());
                let text = scalar.text.get(inner).unwrap_or("");
                (all.start, expression::evaluate(text, contexts, file, bytes))
            }
        })
        .collect()
}

/// A `run` text as the shell gets it.
pub fn scalar_script(node: &Arc<Node>, contexts: &dyn Contexts, file: usize) -> Script {
    Script::from_scalar(node, file, scalar_pieces(node, contexts, file))
}

/// The lines of a value. Secrets are taken to be one line each.
pub fn lines(value: &Value) -> Vec<Value> {
    let mut lines = vec![Value::empty()];
    for part in &value.parts {
        let Part::Text(text) = part else {
            if let Some(last) = lines.last_mut() {
                last.push(part.clone());
            }
            continue;
        };
        for (at, piece) in text.split('\n').enumerate() {
            if at > 0 {
                lines.push(Value::empty());
            }
            if let Some(last) = lines.last_mut() {
                last.push_text(piece);
            }
        }
    }
    lines
}

/// Whether a payload names the secrets it carries (`PYPI_TOKEN=<its value>`): nobody who uses a credential sends its
/// name along; who collects many needs it.
fn is_labelled(content: &Value) -> bool {
    content.parts.windows(2).any(|pair| match pair {
        [Part::Text(text), Part::Carried(Carried { source: Source::Secret(name), .. })] => {
            let before: String =
                text.chars().rev().take(name.len() + 24).collect::<Vec<_>>().into_iter().rev().collect();
            let plain = ['=', ':', ' ', '"', '\'', '\\', '>'];
            let label = before.trim_end_matches(plain);
            // `=` as an address has it.
            let label = label.strip_suffix("%3D").unwrap_or(label).trim_end_matches(plain);
            label.len() < before.len() && label.to_ascii_uppercase().ends_with(&name.to_ascii_uppercase())
        }
        _ => false,
    })
}

/// Whether nothing but secrets and white space is in a message.
fn is_bare(content: &Value) -> bool {
    content.parts.iter().all(|part| match part {
        Part::Text(text) => text.chars().all(|character| character.is_whitespace() || character == '&'),
        Part::Carried(_) => true,
        _ => false,
    })
}

/// Whether a message is a request that somebody wrote by hand (RFC 9112, section 3).
fn speaks_http(content: &Value) -> bool {
    let start = content.prefix().trim_start();
    ["GET /", "POST /", "PUT /"].iter().any(|verb| start.starts_with(verb))
        && content.parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains(" HTTP/1")))
}

/// A map by its keys: what is said of it stays the same from one scan to the next.
fn sorted<K: Ord, V>(map: &HashMap<K, V>) -> Vec<(&K, &V)> {
    let mut all: Vec<(&K, &V)> = map.iter().collect();
    all.sort_unstable_by(|a, b| a.0.cmp(b.0));
    all
}

/// Names of variables that carry something, for callers that list an environment.
pub fn carrying_names(environment: &HashMap<String, Value>) -> BTreeSet<&str> {
    environment.iter().filter(|(_, value)| value.carries()).map(|(name, _)| name.as_str()).collect()
}
