//! A forge on loopback: real repositories over git's smart HTTP (`git http-backend`), whatever a test answers as the API,
//! and a record of what was asked and which objects were handed out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        let headers = vec![(String::from("Content-Type"), String::from("application/json"))];
        Self { status: 200, headers, body: value.to_string().into_bytes() }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: b"{\"message\": \"no\"}".to_vec() }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

type Api = dyn Fn(&Request) -> Option<Answer> + Send + Sync;

/// Threads that end with it.
pub(crate) struct StandIn {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    packs: Arc<Mutex<Vec<Vec<u8>>>>,
    ended: Arc<AtomicBool>,
    port: u16,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Serves repositories below a folder; the API answers first.
    pub(crate) fn new(root: &Path, api: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, packs, ended) = (Arc::default(), Arc::default(), Arc::new(AtomicBool::new(false)));
        let shared = Shared {
            root: root.to_owned(),
            api: Box::new(api),
            seen: Arc::clone(&seen),
            packs: Arc::clone(&packs),
        };
        let (shared, stop) = (Arc::new(shared), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            let mut threads = Vec::new();
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&shared);
                threads.push(std::thread::spawn(move || serve(&shared, stream.unwrap())));
            }
            for thread in threads {
                let _ = thread.join();
            }
        });
        Self { url: format!("http://127.0.0.1:{port}"), seen, packs, ended, port, thread: Some(thread) }
    }

    /// Everything that was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// How often a path was asked for.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.requests().iter().filter(|request| request.path.contains(part)).count()
    }

    /// Forgets what was asked and handed out.
    pub(crate) fn forget(&self) {
        self.seen.lock().unwrap().clear();
        self.packs.lock().unwrap().clear();
    }

    /// Bytes of all packs that were handed out.
    pub(crate) fn pack_bytes(&self) -> usize {
        self.packs.lock().unwrap().iter().map(Vec::len).sum()
    }

    /// Ids of the objects of a kind in all packs that were handed out, as git reads them.
    pub(crate) fn handed_out(&self, kind: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for pack in self.packs.lock().unwrap().iter() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.pack");
            std::fs::write(&path, pack).unwrap();
            git(folder.path(), &["index-pack", "x.pack"]);
            for line in git(folder.path(), &["verify-pack", "-v", "x.idx"]).lines() {
                let mut words = line.split_whitespace();
                if let (Some(id), Some(what)) = (words.next(), words.next())
                    && what == kind
                {
                    found.insert(id.to_owned());
                }
            }
        }
        found
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// `git` without anybody's configuration.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = git_command(folder)
        .args(["-c", "user.name=Mara", "-c", "user.email=mara@example.test", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn git_command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_COMMITTER_DATE", "2026-03-01T12:00:00Z").env("GIT_AUTHOR_DATE", "2026-03-01T12:00:00Z");
    command
}

struct Shared {
    root: PathBuf,
    api: Box<Api>,
    seen: Arc<Mutex<Vec<Request>>>,
    packs: Arc<Mutex<Vec<Vec<u8>>>>,
}

fn serve(shared: &Shared, stream: TcpStream) {
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let mut reader = BufReader::new(&stream);
    let Some(request) = read(&mut reader) else { return };
    shared.seen.lock().unwrap().push(request.clone());
    let answer = (shared.api)(&request)
        .or_else(|| request.path.contains(".git/").then(|| backend(shared, &request)))
        .unwrap_or_else(|| Answer::status(404));
    let mut head = format!(
        "HTTP/1.1 {} x\r\nConnection: close\r\nContent-Length: {}\r\n",
        answer.status,
        answer.body.len()
    );
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = &stream;
    // Whoever has read enough goes away.
    let _ = stream.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| stream.write_all(&answer.body));
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body })
}

fn backend(shared: &Shared, request: &Request) -> Answer {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
    let mut child = git_command(&shared.root)
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &shared.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("CONTENT_TYPE", header("content-type"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let body = request.body.clone();
    let feed = std::thread::spawn(move || {
        let _ = stdin.write_all(&body);
    });
    let output = child.wait_with_output().unwrap().stdout;
    let _ = feed.join();
    let split = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let (head, body) = (String::from_utf8_lossy(&output[..split]).into_owned(), output[split + 4..].to_vec());
    let mut answer = Answer { status: 200, headers: Vec::new(), body };
    for line in head.lines() {
        match line.split_once(':').unwrap() {
            ("Status", value) => answer.status = value.split_whitespace().next().unwrap().parse().unwrap(),
            (name, value) => answer.headers.push((name.to_owned(), value.trim().to_owned())),
        }
    }
    if let Some(pack) = pack_in(&answer.body) {
        shared.packs.lock().unwrap().push(pack);
    }
    answer
}

/// The pack in an answer of `git-upload-pack`.
fn pack_in(body: &[u8]) -> Option<Vec<u8>> {
    let (mut rest, mut pack, mut inside) = (body, Vec::new(), false);
    while let Some((digits, after)) = rest.split_at_checked(4) {
        let length = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        if length < 4 {
            rest = after;
            continue;
        }
        let (line, after) = after.split_at_checked(length - 4)?;
        if inside && line.first() == Some(&1) {
            pack.extend(&line[1..]);
        }
        inside |= line == b"packfile\n";
        rest = after;
    }
    inside.then_some(pack)
}
