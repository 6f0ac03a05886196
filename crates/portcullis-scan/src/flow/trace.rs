//! What the tracer found: who received what, and what else happened that means something.

use std::sync::Arc;

use crate::flow::value::{Carried, Value};
use crate::span::Bytes;

/// A file that the trace touched: the workflow itself is the first, then what it calls.
#[derive(Debug)]
pub struct TracedFile {
    /// Path inside the repository.
    pub path: String,
    /// Its text.
    pub text: Arc<str>,
}

/// By which kind of road something left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// A network client with a URL or a host.
    Network,
    /// A name server.
    Dns,
    /// The job's log.
    Log,
    /// An artifact.
    Artifact,
    /// A cache entry.
    Cache,
    /// A git repository, an issue, a comment, a gist, a release.
    Repository,
    /// An action that gets it as an input or variable.
    Action,
    /// A reusable workflow.
    Reusable,
    /// A container image that runs with it.
    Image,
    /// The disk of a self-hosted runner.
    Disk,
    /// A program whose name is only known when it runs.
    Program,
    /// A package registry, as its credential.
    Registry,
}

/// What the secret is to the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It opens the door: a password, a bearer token, a key.
    Authentication,
    /// It is what is being sent.
    Payload,
    /// It is part of the address: a path, a query, a host name.
    Address,
}

/// Secrets that arrived somewhere.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What arrived.
    pub carried: Vec<Carried>,
    /// By which road.
    pub channel: Channel,
    /// As what.
    pub role: Role,
    /// The address, action, repository or artifact.
    pub target: Value,
    /// The program or action that sends.
    pub client: String,
    /// Whether the names of the secrets are sent along as labels.
    pub labelled: bool,
    /// Whether the message is the secret and nothing else.
    pub bare: bool,
    /// Whether the message is a request written by hand: `printf 'GET /%s HTTP/1.0\r\n' "$T" | nc …`.
    pub speaks: bool,
    /// Whether the file holds the address only encoded, reversed or in pieces.
    pub concealed: bool,
    /// Whether the credential that opens the place stands in the file as it is, so that it is none of the repository's.
    pub opened_by_the_file: bool,
    /// Whether this is a verb by which a service takes settings (`gh secret set`).
    pub consumed: bool,
    /// Which of the trace's files it stands in.
    pub file: usize,
    /// Where in that file.
    pub bytes: Bytes,
    /// Index of the job.
    pub job: usize,
    /// Index of the step.
    pub step: usize,
}

/// Something that happened that carries no secret by itself.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What.
    pub kind: ObservationKind,
    /// A detail for people: a host, a path, a name.
    pub detail: Value,
    /// Which of the trace's files it stands in.
    pub file: usize,
    /// Where in that file.
    pub bytes: Bytes,
    /// Index of the job.
    pub job: usize,
    /// Index of the step.
    pub step: usize,
}

/// Kinds of observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObservationKind {
    /// A literal command that stood encoded in the file was decoded and run.
    DecodedCommand,
    /// Code from an address was run; the detail is the address.
    RemoteCode,
    /// A shell was connected to an address.
    ReverseShell,
    /// Text that outsiders write is pasted into a script.
    UntrustedInScript,
    /// A pull request's own code is checked out.
    UntrustedCheckout,
    /// The run, branch or file that did this is deleted afterwards.
    CoversTracks,
    /// A token that registers a runner is asked for.
    RegistersRunner,
    /// The machine itself is made a runner; the detail is of whom.
    StartsRunner,
    /// Somebody gets access: a deploy key, a collaborator, a repository made public.
    GrantsAccess,
    /// Another workflow file is written.
    WritesWorkflow,
    /// A self-hosted runner takes jobs that outsiders start; the detail is the event.
    OwnRunner,
    /// A comment starts a job with secrets, and nobody asks who wrote it.
    CommentCommand,
    /// A program that acts by itself reads what outsiders write, beside secrets.
    AgentReads,
    /// A job that publishes restores a cache.
    RestoresCache,
    /// A job with secrets runs what another run, perhaps a fork's, has built.
    RunsArtifact,
    /// A job uploads, and takes away its own run, branch or file afterwards; the detail is which.
    UploadsAndDeletes,
    /// Code of the checked-out tree is run (`npm install`, `make`).
    RunsTree,
}

/// A credential used to publish a package.
#[derive(Clone, Debug)]
pub struct Publishing {
    /// `pypi`, `testpypi`, `npm`, …
    pub registry: String,
    /// The credential.
    pub carried: Vec<Carried>,
    /// Which of the trace's files it stands in.
    pub file: usize,
    /// Where in that file.
    pub bytes: Bytes,
    /// The working directory, where one is given.
    pub directory: Option<String>,
    /// Index of the job.
    pub job: usize,
}

/// Everything found in one workflow.
#[derive(Debug, Default)]
pub struct Trace {
    /// Files, the workflow first.
    pub files: Vec<TracedFile>,
    /// Arrivals.
    pub deliveries: Vec<Delivery>,
    /// Observations.
    pub observations: Vec<Observation>,
    /// Credentials used to publish.
    pub publishings: Vec<Publishing>,
    /// Per job: number of steps that did something other than sending.
    pub other_work: Vec<usize>,
    /// Paths of the repository that were asked for, found or not: with other contents there, the trace is another.
    pub asked: std::collections::BTreeSet<String>,
    /// Why the trace isn't whole, if it isn't.
    pub incomplete: Option<&'static str>,
    /// Whether a file that is called was not read: it may do anything.
    pub unread: bool,
}
