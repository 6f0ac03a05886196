//! Words of the scanner's documents that are neither rule nor signal: verdicts, standings, kinds of places and of problems.

/// Word, what kind of word it is, what it means.
pub(super) const WORDS: &[(&str, &str, &str)] = &[
    (
        "malicious",
        "verdict",
        "Nobody does this for themselves. Treat the secrets as stolen: invalidate them, and take the workflow out of every branch.",
    ),
    (
        "suspicious",
        "verdict",
        "A secret goes where there is no known reason for it. A person must look: it is a theft, or something to accept.",
    ),
    (
        "exposed",
        "verdict",
        "A secret is handed in the ordinary way to somebody who could take it, or there is a door through which an outsider gets at it.",
    ),
    (
        "advice",
        "verdict",
        "A long-lived publishing token where Trusted Publishing would do, or a publisher that is not pinned: a habit to change.",
    ),
    ("ran", "standing", "A run, a minted token or a push that the forge saw proves that this version ran."),
    (
        "could-run",
        "standing",
        "A branch or tag of the repository itself holds this version, and something starts it.",
    ),
    (
        "foreign",
        "standing",
        "Only a pull request, a fork or an unreachable commit holds this version, or nothing starts it. Anybody can make one, so it is shown and never acted on.",
    ),
    ("raw-address", "kind of place", "An IP address without a name."),
    ("request-bin", "kind of place", "A service that shows whoever asks what was sent to it."),
    ("tunnel", "kind of place", "A name at a tunnelling service, which leads to anybody's own machine."),
    ("paste", "kind of place", "A place where anybody leaves a text or a file."),
    (
        "chat",
        "kind of place",
        "A chat service. It belongs to a secret only where the address itself is that secret.",
    ),
    ("free-hosting", "kind of place", "A host under a name that anybody gets for nothing."),
    (
        "look-alike",
        "kind of place",
        "A name made to be taken for a known one, by a letter or by another owner.",
    ),
    (
        "unknown",
        "kind of place",
        "A host that is written in the file and that nothing is known about; or an address that only the run knows.",
    ),
    ("service", "kind of place", "A service that is known, with its hosts and the secrets that it issues."),
    (
        "configured",
        "kind of place",
        "A place that the owner set outside of the file: a secret or a variable.",
    ),
    (
        "repository",
        "kind of place",
        "A repository, an action or an image: what gets the secret is code that its owner can change.",
    ),
    ("artifact", "kind of place", "An artifact or a cache of the run."),
    ("log", "kind of place", "The log of the job, which everybody reads who may read the repository."),
    ("disk", "kind of place", "The disk of a self-hosted runner."),
    ("dns", "kind of place", "A zone of a name server: what is asked for is sent there."),
    ("unreadable", "problem", "A path, a file or a reference could not be read. What it holds is not known."),
    (
        "refused",
        "problem",
        "A repository's history was not read, because something in it leads out of it or asks for a program. Scan the other place by itself, if it is yours.",
    ),
    (
        "unreachable",
        "problem",
        "A remote could not be asked, or refused to answer. A private repository looks the same as none: give a token that may read it.",
    ),
    (
        "rate-limited",
        "problem",
        "A forge asked to be left alone for longer than --wait allows. What it is about was not looked at; with --resume the same scan goes on later.",
    ),
    (
        "broken-answer",
        "problem",
        "A remote answered something that is not what was asked for: no git repository, an older protocol, or a pack that is broken.",
    ),
    (
        "over-limit",
        "problem",
        "More of something than is read: a bound that keeps the scanner alive. What lies past it was not analysed; a coarse search stands in where it can.",
    ),
    (
        "too-large",
        "problem",
        "A file has more bytes than a workflow may have. It was searched, not analysed.",
    ),
    (
        "invalid-yaml",
        "problem",
        "A workflow is no valid YAML. The forge refuses it, too; it was searched all the same.",
    ),
    ("invalid-utf8", "problem", "A workflow is not UTF-8. It was analysed with the broken bytes replaced."),
    (
        "internal-error",
        "problem",
        "The analysis of one file broke off, by a mistake of this program. Please report it. The file was searched instead.",
    ),
    (
        "missing-object",
        "problem",
        "An object that the history names is not in the repository: a partial clone, or a broken one.",
    ),
    ("broken-object", "problem", "An object of the repository can't be read."),
    ("broken-reference", "problem", "A reference of the repository can't be read."),
    (
        "history-incomplete",
        "problem",
        "Something of the history is not here: a shallow clone, commits that the forge no longer hands out, or a choice that matches nothing. Nothing may be called clean.",
    ),
    (
        "ignored-replacements",
        "problem",
        "The repository pretends another history by grafts or refs/replace. It was ignored, and the true one read.",
    ),
    (
        "nothing-chosen",
        "problem",
        "--refs chose nothing: no reference of the repository has such a name. None of its commits was looked at, so nothing is clean.",
    ),
    (
        "unknown-commit",
        "problem",
        "--since names a commit that the repository does not have. Nothing was left out for it: all versions were looked at.",
    ),
];
