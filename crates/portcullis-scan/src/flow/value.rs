//! What a string may hold while a workflow runs: literal text, secrets on their way, and what only the run knows.
//!
//! The tracer computes with these instead of strings. Concatenation keeps the order, so that the literal part of
//! a URL stays readable around a secret in it; an encoder keeps the secret and notes itself on it.

use std::collections::BTreeSet;
use std::sync::Arc;

pub use super::literal::Text;
use crate::span::Bytes;
use crate::text::RepositoryText;

/// Most parts of one value; beyond it the rest is [`Part::Unknown`], secrets excepted.
pub const PARTS_MAX: usize = 2_000;
/// Most bytes of literal text in one value. A longer one is cut: it is data, not a command or an address.
pub const TEXT_MAX: usize = 256 * 1024;
/// Fewest bytes of a text that is looked for before it is added again: shorter ones cost less than the look.
const REPEATED_MIN: usize = 64;
/// Bytes from which on an object is no command or address any more, but what a program keeps.
const LARGE_MIN: usize = 16 * 1024;

/// Where something that must stay inside comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// `secrets.NAME`.
    Secret(String),
    /// The whole `secrets` context: `toJSON(secrets)`, `secrets: inherit`, `secrets.*`, an index nobody can know.
    AllSecrets,
    /// `github.token`, `secrets.GITHUB_TOKEN`: dies with the job.
    JobToken,
    /// The environment of the process as a whole.
    Environment,
    /// The request token or URL for OIDC tokens, or a token got with it.
    IdentityToken,
    /// An OIDC token that the job minted: the mask does not know it.
    MintedToken,
    /// `ACTIONS_RUNTIME_TOKEN` and its siblings: the runner's own credentials for caches and artifacts.
    RuntimeToken,
    /// What `actions/checkout` leaves in the git configuration.
    CheckoutCredentials,
    /// A cloud session that an action logged in for, by the name of its variable.
    Session(String),
    /// A credential file of the runner's user, by its path.
    CredentialFile(String),
    /// Memory of the runner process.
    RunnerMemory,
    /// The cloud's metadata service.
    CloudMetadata,
}

/// What was done to a secret on its way. Each one is a signal; several hide it from the runner's mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encoding {
    /// Base64 without line breaks.
    Base64,
    /// Base64 with line breaks, which the mask doesn't know.
    Base64Wrapped,
    /// Base32, uuencode and the like.
    OtherBase,
    /// Hexadecimal, octal, decimal dumps.
    Hex,
    /// Character order reversed.
    Reversed,
    /// Characters inserted, or lines broken in between.
    Spaced,
    /// Only parts of it, one by one.
    Split,
    /// A prefix or a few characters.
    Partial,
    /// Characters replaced by others (`tr`, rot13).
    Substituted,
    /// gzip and the like.
    Compressed,
    /// Encrypted for somebody.
    Encrypted,
    /// JSON, URL or XML escapes.
    Escaped,
    /// A field out of a secret that is JSON: the mask knows only the whole.
    Field,
}

/// What kind of hop a value took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HopKind {
    /// The secret enters.
    Source,
    /// It is handed on.
    Carry,
    /// It is encoded.
    Encode,
    /// It leaves.
    Sink,
}

/// One step of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Kind of step.
    pub kind: HopKind,
    /// What happens there, in a few words.
    pub what: RepositoryText,
    /// Which of the trace's files it stands in.
    pub file: usize,
    /// Where in that file.
    pub bytes: Bytes,
}

#[derive(Debug)]
struct Link {
    hop: Hop,
    before: Trail,
    length: usize,
}

/// The hops so far, shared between the values that came the same way.
#[derive(Clone, Debug, Default)]
pub struct Trail(Option<Arc<Link>>);

/// Longest trail kept; a longer one has gone in circles.
const TRAIL_MAX: usize = 64;

impl Trail {
    /// This trail with one more hop, unless it is the same as the last one or the trail is too long.
    #[must_use]
    pub fn then(&self, hop: Hop) -> Self {
        match &self.0 {
            Some(last) if last.length >= TRAIL_MAX || last.hop == hop => self.clone(),
            last => {
                let length = last.as_ref().map_or(1, |link| link.length + 1);
                Self(Some(Arc::new(Link { hop, before: self.clone(), length })))
            }
        }
    }

    /// The last hop.
    pub fn last(&self) -> Option<&Hop> {
        self.0.as_ref().map(|link| &link.hop)
    }

    /// The hops from the first to the last.
    pub fn hops(&self) -> Vec<Hop> {
        let mut hops = Vec::new();
        let mut at = self;
        while let Some(link) = &at.0 {
            hops.push(link.hop.clone());
            at = &link.before;
        }
        hops.reverse();
        hops
    }
}

/// Tells the new place of what stood in a file.
pub type Place<'p> = dyn FnMut(usize, Bytes) -> (usize, Bytes) + 'p;

impl Trail {
    /// This trail, where its hops since one of `from` come after the same of `onto`, at the places that `place` tells.
    #[must_use]
    pub fn rebased(&self, from: &[Trail], onto: &[Trail], place: &mut Place<'_>) -> Self {
        if let Some(at) = from.iter().position(|trail| trail.is(self)) {
            return onto.get(at).cloned().unwrap_or_default();
        }
        let Some(link) = &self.0 else { return Self(None) };
        let before = link.before.rebased(from, onto, place);
        let (file, bytes) = place(link.hop.file, link.hop.bytes);
        before.then(Hop { kind: link.hop.kind, what: link.hop.what.clone(), file, bytes })
    }

    /// Whether it is the very same trail, and not only one like it.
    pub fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether all its hops are in these of the trace's files.
    pub fn is_in(&self, files: &[usize]) -> bool {
        let mut at = self;
        while let Some(link) = &at.0 {
            if !files.contains(&link.hop.file) {
                return false;
            }
            at = &link.before;
        }
        true
    }
}

/// A secret on its way.
#[derive(Clone, Debug)]
pub struct Carried {
    /// What it is.
    pub source: Source,
    /// What was done to it, in order.
    pub encodings: Vec<Encoding>,
    /// How it got here.
    pub trail: Trail,
    /// Whether the runner takes it out on the way, so that sending it is only an attempt: a job output that holds a secret
    /// as it is (GitHub, "Passing information between jobs").
    pub dropped: bool,
}

impl Carried {
    /// Whether it is what `tee` shows beside the file that it wrote.
    pub fn is_copied(&self) -> bool {
        self.trail.last().is_some_and(|hop| hop.what.unescaped() == super::COPIED)
    }

    /// Whether it is a token that the job asked its forge for, and not what another gave for one.
    pub fn is_asked_for(&self) -> bool {
        let hops = self.trail.hops();
        let first = hops.first().map_or("", |hop| hop.what.unescaped());
        first.starts_with(crate::flow::command::MINTED) || first == "core.getIDToken"
    }
}

/// A piece of a value.
#[derive(Clone, Debug)]
pub enum Part {
    /// Literal text.
    Text(Text),
    /// A secret.
    Carried(Carried),
    /// A value that the repository's owner or the person who starts the run sets outside this file: `vars.X`, `inputs.X`.
    Configured(String),
    /// Text that an outsider may write: a pull request's title, an issue's body.
    Untrusted(String),
    /// A fact of the run that is no secret: `github.repository`, `github.sha`.
    Run(String),
    /// What a request to this address answered: code or data that is not in the repository.
    Remote(String),
    /// A variable that nothing in the file sets: whoever sets up the machine or an earlier action does.
    Unset,
    /// Anything else.
    Unknown,
}

/// A string as the tracer knows it.
#[derive(Clone, Debug, Default)]
pub struct Value {
    /// Its pieces in order; adjacent texts are merged.
    pub parts: Vec<Part>,
}

impl Value {
    /// The empty string.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Literal text.
    pub fn text(text: impl Into<String>) -> Self {
        let mut value = Self::default();
        value.push(Part::Text(Text::new(text.into())));
        value
    }

    /// One part.
    pub fn part(part: Part) -> Self {
        Self { parts: vec![part] }
    }

    /// Something nothing is known about.
    pub fn unknown() -> Self {
        Self::part(Part::Unknown)
    }

    /// Appends a part.
    pub fn push(&mut self, part: Part) {
        match (self.parts.last_mut(), &part) {
            (_, Part::Text(text)) if text.is_empty() => return,
            (Some(Part::Text(last)), Part::Text(text)) => {
                if last.len() + text.len() <= TEXT_MAX {
                    last.push_str(text);
                }
                return;
            }
            (Some(Part::Unknown), Part::Unknown) => return,
            _ => {}
        }
        // A secret is never dropped for want of room.
        let room = self.parts.len() < PARTS_MAX;
        if room || part.source().is_some_and(|source| !self.carries_from(source)) {
            self.parts.push(part);
        }
    }

    /// Appends literal text.
    pub fn push_text(&mut self, text: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(last)) => {
                if last.len() + text.len() <= TEXT_MAX {
                    last.push_str(text);
                }
            }
            _ => self.push(Part::Text(Text::new(text.to_owned()))),
        }
    }

    /// Appends another value.
    pub fn append(&mut self, other: Value) {
        if self.parts.is_empty() {
            *self = other;
            return;
        }
        for part in other.parts {
            self.push(part);
        }
    }

    /// Appends what another value holds and this one doesn't: for a place that may hold either, such as an object's fields.
    /// A long text that is written into what is large already is only noted: objects that are built from each other
    /// would double with every line of a program that does it. Secrets and short texts are always kept.
    pub fn append_new(&mut self, other: Value) {
        for part in other.parts {
            match part {
                Part::Text(new) if new.len() >= REPEATED_MIN => self.push_new_text(&new),
                other => self.push(other),
            }
        }
    }

    fn push_new_text(&mut self, new: &Text) {
        let texts = || {
            self.parts
                .iter()
                .filter_map(|part| if let Part::Text(text) = part { Some(&**text) } else { None })
        };
        if texts().any(|text| text.contains(&**new)) {
            return;
        }
        self.push(if self.size() < LARGE_MIN { Part::Text(new.clone()) } else { Part::Unknown });
    }

    /// The whole as literal text, if it is nothing but that.
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The literal text at the beginning.
    pub fn prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// Its size: bytes of text, and something for each part.
    pub fn size(&self) -> usize {
        self.parts.iter().map(|part| if let Part::Text(text) = part { text.len() } else { 64 }).sum()
    }

    /// What of its size was copied to build it: texts that others hold too were not.
    pub fn size_copied(&self) -> usize {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) if text.is_shared() => 0,
                Part::Text(text) => text.len(),
                _ => 64,
            })
            .sum()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Literal text with every other part as `⟨…⟩`, for comparing and showing.
    pub fn template(&self) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Carried(carried) => out.push_str(&format!("${{{}}}", carried.source.name())),
                Part::Configured(name) | Part::Untrusted(name) | Part::Run(name) => {
                    out.push_str(&format!("${{{name}}}"));
                }
                Part::Remote(_) | Part::Unset | Part::Unknown => out.push_str("${…}"),
            }
        }
        out
    }

    /// The secrets in it.
    pub fn carried(&self) -> impl Iterator<Item = &Carried> {
        self.parts.iter().filter_map(|part| match part {
            Part::Carried(carried) => Some(carried),
            _ => None,
        })
    }

    /// Whether a secret is in it.
    pub fn carries(&self) -> bool {
        self.carried().next().is_some()
    }

    /// Whether all that is secret in it are identity tokens as the job asked for them: header, claims and signature between dots
    /// (RFC 7515, section 3.1). Without its signature such a token opens nothing, and what it claims is no secret.
    pub fn is_identity(&self) -> bool {
        self.carries()
            && self.carried().all(|carried| {
                carried.source == Source::MintedToken
                    && carried.encodings.iter().all(|one| matches!(one, Encoding::Field | Encoding::Escaped))
                    && carried.is_asked_for()
            })
    }

    fn carries_from(&self, source: &Source) -> bool {
        self.carried().any(|carried| carried.source == *source)
    }

    /// Only its secrets, once each per source and encoding.
    #[must_use]
    pub fn only_carried(&self) -> Value {
        let mut seen = BTreeSet::new();
        let parts = self
            .carried()
            .filter(|carried| {
                seen.insert((carried.source.clone(), carried.encodings.clone(), carried.dropped))
            })
            .cloned()
            .map(Part::Carried)
            .collect();
        Value { parts }
    }

    /// The same with a hop added to every secret in it.
    #[must_use]
    pub fn hop(mut self, hop: &Hop) -> Self {
        for part in &mut self.parts {
            if let Part::Carried(carried) = part {
                carried.trail = carried.trail.then(hop.clone());
            }
        }
        self
    }

    /// Whether it is the same with secrets that came the very same way.
    pub fn is_same(&self, other: &Self) -> bool {
        self.parts.len() == other.parts.len()
            && self.parts.iter().zip(&other.parts).all(|(one, other)| match (one, other) {
                (Part::Carried(one), Part::Carried(other)) => {
                    one.source == other.source
                        && one.encodings == other.encodings
                        && one.dropped == other.dropped
                        && one.trail.is(&other.trail)
                }
                (Part::Text(one), Part::Text(other)) => one == other,
                (Part::Configured(one), Part::Configured(other))
                | (Part::Untrusted(one), Part::Untrusted(other))
                | (Part::Run(one), Part::Run(other))
                | (Part::Remote(one), Part::Remote(other)) => one == other,
                (Part::Unknown, Part::Unknown) | (Part::Unset, Part::Unset) => true,
                _ => false,
            })
    }

    /// The same after a field was taken out of it. Of `toJSON(secrets)` the fields are secrets, which the mask knows.
    #[must_use]
    pub fn field(mut self, hop: &Hop) -> Self {
        for part in &mut self.parts {
            if let Part::Carried(carried) = part
                && matches!(carried.source, Source::Secret(_))
                && !carried.encodings.contains(&Encoding::Field)
            {
                carried.encodings.push(Encoding::Field);
                carried.trail = carried.trail.then(hop.clone());
            }
        }
        self
    }

    /// The same after an encoder: secrets keep it in mind, literal text becomes unknown.
    #[must_use]
    pub fn encoded(self, encoding: Encoding, hop: &Hop) -> Self {
        let mut value = Value::empty();
        for part in self.parts {
            match part {
                Part::Carried(mut carried) => {
                    if carried.encodings.len() < 8 {
                        carried.encodings.push(encoding);
                    }
                    carried.trail = carried.trail.then(hop.clone());
                    value.push(Part::Carried(carried));
                }
                Part::Text(_) | Part::Unknown => value.push(Part::Unknown),
                other => value.push(other),
            }
        }
        value
    }
}

impl Part {
    fn source(&self) -> Option<&Source> {
        match self {
            Part::Carried(carried) => Some(&carried.source),
            _ => None,
        }
    }
}

impl Source {
    /// The name by which findings list it: the secret's own, or that of the runner's value.
    pub fn name(&self) -> String {
        match self {
            Source::Secret(name) => name.clone(),
            Source::AllSecrets => "*".to_owned(),
            Source::JobToken => "GITHUB_TOKEN".to_owned(),
            Source::Environment => "environment".to_owned(),
            Source::IdentityToken | Source::MintedToken => "ACTIONS_ID_TOKEN_REQUEST_TOKEN".to_owned(),
            Source::RuntimeToken => "ACTIONS_RUNTIME_TOKEN".to_owned(),
            Source::CheckoutCredentials => "GITHUB_TOKEN".to_owned(),
            Source::CredentialFile(name) | Source::Session(name) => name.clone(),
            Source::RunnerMemory => "runner-memory".to_owned(),
            Source::CloudMetadata => "cloud-metadata".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str) -> Part {
        Part::Carried(Carried {
            source: Source::Secret(name.to_owned()),
            encodings: Vec::new(),
            trail: Trail::default(),
            dropped: false,
        })
    }

    #[test]
    fn a_secret_is_not_lost_in_a_flood_of_parts() {
        let mut value = Value::empty();
        for _ in 0..PARTS_MAX {
            value.push(Part::Run("github.sha".to_owned()));
        }
        value.push(secret("TOKEN"));
        assert!(value.carries());
    }

    #[test]
    fn what_an_object_holds_already_is_not_added_again() {
        let long = |of: &str| Value::text(of.repeat(REPEATED_MIN));
        let mut value = long("a");
        value.append_new(long("a"));
        assert_eq!(value.size(), REPEATED_MIN);
        value.append_new(Value::text("a"));
        assert_eq!(value.size(), REPEATED_MIN + 1, "short texts cost less than the look");
        // At the limit and past it.
        for (before, kept) in [(LARGE_MIN - 1, true), (LARGE_MIN, false)] {
            let mut value = Value::text("a".repeat(before));
            value.append_new(long("b"));
            assert_eq!(value.template().contains('b'), kept, "{before}");
            value.append_new(Value::part(secret("TOKEN")));
            value.append_new(Value::text("https://collector.example"));
            assert!(value.carries() && value.template().contains("collector.example"), "{before}");
        }
    }

    #[test]
    fn the_template_shows_what_stands_around_a_secret() {
        let mut value = Value::text("https://collector.example/");
        value.push(secret("TOKEN"));
        assert_eq!(value.template(), "https://collector.example/${TOKEN}");
        assert_eq!(value.prefix(), "https://collector.example/");
        assert_eq!(value.literal(), None);
    }
}
