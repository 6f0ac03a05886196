//! The stage: a fresh database of each kind per test, an application with a clock to turn, requests through the router.
//!
//! Areas use what they need of it.

#![allow(dead_code, reason = "not every area uses every part of the stage")]

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use portcullis_index::app::App;
use portcullis_index::blobs::Blobs;
use portcullis_index::clock::{Clock, Instant};
use portcullis_index::server_key::ServerKey;
use portcullis_index::settings::{Said, Settings};
use portcullis_index::store::Store;
use portcullis_index::web::{self, extract::Peer};
use sqlx::{Connection, Executor};
use tower::ServiceExt;

/// A clock that stands until it is turned.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    /// 2026-01-01T00:00:00Z.
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_767_225_600_000_000)))
    }

    /// Lets so many seconds pass.
    pub(crate) fn pass_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        // A microsecond passes with every look, so that what happens later also is later.
        Instant(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

/// One application on one fresh database.
pub(crate) struct Stage {
    pub(crate) app: App,
    pub(crate) clock: TestClock,
    pub(crate) name: &'static str,
    pub(crate) database_url: String,
    _folder: tempfile::TempDir,
}

/// A stage on each kind of database, with the default settings.
pub(crate) async fn stages() -> Vec<Stage> {
    stages_with("").await
}

/// A stage on each kind of database, with a settings file's text.
pub(crate) async fn stages_with(settings: &str) -> Vec<Stage> {
    vec![stage("sqlite", settings).await, stage("postgres", settings).await]
}

async fn stage(name: &'static str, settings: &str) -> Stage {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let database_url = match name {
        "sqlite" => format!("sqlite:{}", folder.path().join("portcullis.db").display()),
        _ => Postgres::shared().fresh_database().await,
    };
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, settings).unwrap();
    let mut said = Said::read(Some(&file), std::iter::empty()).unwrap();
    said.data = Some(folder.path().to_owned());
    said.database.url = Some(database_url.clone().into());
    said.keys.file = Some(folder.path().join("keys"));
    let settings = Settings::resolve(said).unwrap();
    let store = Store::open(&database_url).await.unwrap();
    store.migrate(TestClock::new().now()).await.unwrap();
    let blobs = Blobs::open(&settings.blobs).unwrap();
    let server_key = ServerKey::load_or_create(&settings.key_file).unwrap();
    let clock = TestClock::new();
    let base_url = settings.url.clone().unwrap_or_else(|| "https://packages.example".parse().unwrap());
    let app = App::new(settings, base_url, store, blobs, server_key, Arc::new(clock.clone())).await.unwrap();
    Stage { app, clock, name, database_url, _folder: folder }
}

/// An answer, its body read whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) reason: Option<String>,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

impl Stage {
    /// Sends a request through the router, from 127.0.0.1.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        self.send_from("127.0.0.1", request).await
    }

    /// Sends a request through the router from an address.
    pub(crate) async fn send_from(&self, address: &str, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(Peer(format!("{address}:40000").parse().unwrap()));
        let response: Response<Body> = web::router(self.app.clone()).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        let reason = parts
            .extensions
            .get::<hyper::ext::ReasonPhrase>()
            .map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned());
        Answer { status: parts.status, reason, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post_json(
        &self,
        path: &str,
        token: Option<&str>,
        body: &serde_json::Value,
    ) -> Answer {
        let mut request = Request::post(path).header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// Runs a statement on the database beside the application, as somebody with access to it could.
    pub(crate) async fn tamper(&self, statement: &str) {
        let mut connection = sqlx::AnyConnection::connect(&self.database_url).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(statement.to_owned())).await.unwrap();
        connection.close().await.unwrap();
    }

    /// One text out of the database beside the application.
    pub(crate) async fn look(&self, query: &str) -> String {
        let mut connection = sqlx::AnyConnection::connect(&self.database_url).await.unwrap();
        let row =
            sqlx::query(sqlx::AssertSqlSafe(query.to_owned())).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        sqlx::Row::get(&row, 0)
    }

    /// Seals everything that was recorded so far.
    pub(crate) async fn seal(&self) -> Option<portcullis_index::history::Checkpoint> {
        let app = &self.app;
        portcullis_index::history::seal(&app.store, &app.checkpoint_signer, &app.node, 10, app.now())
            .await
            .unwrap()
    }
}

/// A PostgreSQL cluster of our own, on a Unix socket in a temporary folder, as an unprivileged user. A shell stands
/// beside it that ends it when this process ends, however that happens: its standard input closes then.
struct Postgres {
    socket: PathBuf,
    databases: AtomicU32,
    _watchdog: Child,
}

impl Postgres {
    fn shared() -> &'static Postgres {
        static CLUSTER: OnceLock<Postgres> = OnceLock::new();
        CLUSTER.get_or_init(Postgres::start)
    }

    fn start() -> Postgres {
        let bin = Self::programs();
        let folder = tempfile::Builder::new().prefix("portcullis-postgres-").tempdir().unwrap().keep();
        let script = r#"
            set -eu
            cd "$FOLDER"
            as=()
            if [ "$(id -u)" = 0 ]; then
                user=nobody; getent passwd postgres >/dev/null && user=postgres
                chown -R "$user" "$FOLDER"; chmod 700 "$FOLDER"
                as=(setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups)
            fi
            "${as[@]}" "$BIN/initdb" --pgdata="$FOLDER/data" --username=test --auth=trust --no-sync --encoding=UTF8 --locale=C >/dev/null
            "${as[@]}" "$BIN/postgres" -D "$FOLDER/data" -k "$FOLDER" -c listen_addresses= -c fsync=off -c max_connections=300 >"$FOLDER/log" 2>&1 </dev/null &
            server=$!
            trap 'kill -INT $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -rf "$FOLDER"' EXIT
            for attempt in $(seq 600); do
                "$BIN/pg_isready" -q -h "$FOLDER" -U test && break
                kill -0 $server || { cat "$FOLDER/log" >&2; exit 1; }
                sleep 0.05
            done
            echo started
            read -r line || true
        "#;
        let mut watchdog = Command::new("bash")
            .args(["-c", script])
            .env("FOLDER", &folder)
            .env("BIN", &bin)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(watchdog.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(
            line.trim(),
            "started",
            "PostgreSQL did not start; is Debian's package postgresql installed?"
        );
        // The write end stays open in `watchdog` for as long as this process lives.
        watchdog.stdin.as_mut().unwrap().flush().unwrap();
        Postgres { socket: folder, databases: AtomicU32::new(0), _watchdog: watchdog }
    }

    fn programs() -> PathBuf {
        let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
            .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
            .unwrap_or_default();
        found.retain(|folder| folder.join("initdb").exists());
        found.sort();
        found.pop().unwrap_or_else(|| {
            panic!("no initdb below /usr/lib/postgresql: install Debian's package postgresql")
        })
    }

    fn url(&self, database: &str) -> String {
        let socket = self.socket.to_string_lossy().replace('/', "%2F");
        format!("postgres://test@{socket}/{database}")
    }

    async fn fresh_database(&self) -> String {
        sqlx::any::install_default_drivers();
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::SeqCst));
        let mut connection = sqlx::AnyConnection::connect(&self.url("postgres")).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        connection.close().await.unwrap();
        self.url(&name)
    }
}
