"""The built binary: a running server with its settings, its `admin` commands, and its desk commands."""

import json
import os
import queue
import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter

from clients import Clients, Finished, base_environment, run
from servers.loopback import free_port

REPOSITORY = Path(__file__).resolve().parents[1]
BINARY = Path(os.environ.get("PORTCULLIS_BINARY") or
              Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target") / "debug" / "portcullis")
START_SECONDS = 60
STOP_SECONDS = 30


class Portcullis:
    """One server below its own folder. `settings` are whole TOML sections beside those every test needs."""

    def __init__(self, folder: Path, *, database: str | None = None, cluster=None, attacker=None, settings: str = ""):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.data, self.cluster = folder, folder / "data", cluster
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.database = database or f"sqlite:{self.data / 'portcullis.db'}"
        self.config = folder / "portcullis.toml"
        self.log = folder / "server.log"
        self.config.write_text(f"""\
data = "{self.data}"
listen = "127.0.0.1:{self.port}"
url = "{self.url}"

[database]
url = "{self.database}"

[keys]
file = "{self.data / 'keys'}"

{settings if "[tls]" in settings else "[tls]" + chr(10) + "self_signed = true" + chr(10) + settings}
""")
        self.environment = base_environment(folder / "home") | {"RUST_BACKTRACE": "1"}
        if attacker is not None:
            # what is not loopback goes to the attacker's host, which writes it down
            self.environment |= {
                **{name: attacker.url for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")},
                **{name: "127.0.0.1,localhost" for name in ("no_proxy", "NO_PROXY")},
            }
        self._process = None
        self._people: dict[str, dict[str, str]] = {}

    # --- the process

    def start(self, settings: bool = True) -> "Portcullis":
        assert BINARY.exists(), f"{BINARY} is missing: build it with `cargo build --workspace`, or set PORTCULLIS_BINARY"
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen([BINARY, "serve", *(["--config", self.config] if settings else [])], cwd=self.folder, env=self.environment,
                                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        self._lines: queue.Queue = queue.Queue()
        self._reader = threading.Thread(target=_read_lines, args=(self._process.stdout, self._lines), daemon=True)
        self._reader.start()
        try:
            line = self._lines.get(timeout=START_SECONDS)
        except queue.Empty:
            self.kill()
            raise AssertionError(f"the server was not ready within {START_SECONDS} s:\n{self.log.read_text()}") from None
        assert line == f"ready: {self.url}\n", f"expected `ready: {self.url}`, got {line!r}:\n{self.log.read_text()}"
        return self

    def stop(self):
        """Ends the server gracefully, and holds it to what it owes: exit code 0, a quiet stdout, no panic."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the server did not end within {STOP_SECONDS} s of SIGTERM:\n{self.log.read_text()}") from None
        self._reader.join(timeout=5)
        rest = "".join(self._lines.queue)
        log = self.log.read_text(errors="replace")
        assert "panicked" not in log, f"the server panicked:\n{log}"
        assert code == 0, f"the server ended with {code}:\n{log}"
        assert rest == "", f"stdout carries more than the ready line: {rest!r}"

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def alive(self):
        """Still there, and still answering."""
        assert self.running, f"the server ended:\n{self.log.read_text()}"
        answer = self.get("/health/ready")
        assert answer.status_code == 200, answer.text

    @staticmethod
    def until(look, is_it, what: str, seconds: float = 60):
        """Looks again until `is_it` holds of what is seen, and answers that."""
        deadline = time.monotonic() + seconds
        while not is_it(seen := look()):
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}; last seen: {seen}"
            time.sleep(0.1)
        return seen

    # --- over HTTP

    @property
    def authority(self) -> Path:
        return self.data / "tls" / "ca.pem"

    def session(self, address: str | None = None) -> requests.Session:
        """An HTTP client, from another address of the loopback network if one is given."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.authority)
        if address:
            session.mount("https://", FromAddress(address))
        return session

    def get(self, path: str, **options) -> requests.Response:
        with self.session() as session:
            return session.get(path if path.startswith("http") else self.url + path, timeout=30, **options)

    def post(self, path: str, **options) -> requests.Response:
        with self.session() as session:
            return session.post(self.url + path, timeout=60, **options)

    def upload(self, token: str, filename: str, content: bytes, form: dict, *, address: str | None = None,
               content_type: str = "application/octet-stream", accept: str = "application/json") -> requests.Response:
        with self.session(address) as session:
            return session.post(self.url + "/legacy/", auth=("__token__", token), data=form, headers={"Accept": accept},
                                files={"content": (filename, content, content_type)}, timeout=60)

    def simple(self, project: str) -> dict:
        """The project's page of the simple index as JSON; no files where the project does not exist."""
        answer = self.get(f"/simple/{project}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
        if answer.status_code == 404:
            return {"files": [], "versions": []}
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return answer.json()

    def offered(self, project: str) -> list[str]:
        return [file["filename"] for file in self.simple(project)["files"]]

    def clients(self) -> Clients:
        return Clients(self.url, self.authority, self.folder / "clients")

    # --- the binary's commands

    def program(self, *arguments, stdin: str = "", **environment: str) -> Finished:
        return run([BINARY, *arguments], environment={**self.environment, **environment}, folder=self.folder, stdin=stdin)

    def admin(self, *arguments, stdin: str = "") -> Finished:
        """`portcullis admin …`, with this server's settings; the caller says what it expects (`.ok()`)."""
        return self.program("admin", *arguments, "--config", self.config, stdin=stdin)

    def account(self, name: str, role: str = "user", password: str | None = None) -> str:
        """Adds an account `name@example.org`; answers its mail address."""
        password = password or f"correct horse {name} staple"
        email = f"{name}@example.org"
        self.admin("account", "add", name, "--email", email, "--role", role, "--password-stdin", stdin=password + "\n").ok()
        self._people[name] = {"email": email, "password": password}
        return email

    def password(self, name: str) -> str:
        return self._people[name]["password"]

    def token(self, account: str, *options: str) -> str:
        """A token of an account: the only thing on stdout."""
        done = self.admin("token", "add", account, *options).ok()
        assert len(done.stdout.split()) == 1, f"expected the token alone on stdout, got {done.stdout!r}"
        return done.stdout.strip()

    def desk(self, token: str, *arguments, stdin: str = "") -> Finished:
        """A desk command, as a responder types it elsewhere: only the server's address and a token."""
        return self.program(*arguments, stdin=stdin, PORTCULLIS_URL=self.url, PORTCULLIS_TOKEN=token,
                            SSL_CERT_FILE=str(self.authority))

    def desk_json(self, token: str, *arguments, stdin: str = ""):
        done = self.desk(token, *arguments, "--format", "json", stdin=stdin).ok()
        return json.loads(done.stdout)

    # --- the database, past the program

    def sql(self, statement: str) -> list[tuple]:
        """Runs one statement in the database itself, as somebody with access to the disk would; rows as text."""
        if self.database.startswith("sqlite:"):
            with sqlite3.connect(self.database.removeprefix("sqlite:"), timeout=30) as connection:
                rows = connection.execute(statement).fetchall()
            connection.close()
            return [tuple("" if value is None else str(value) for value in row) for row in rows]
        name = self.database.rpartition("/portcullis_")[2].partition("?")[0]
        rows = self.cluster.sql(f"portcullis_{name}", statement)
        return [tuple(line.split("\t")) for line in rows.splitlines()]

    def events(self, tag: str) -> int:
        return int(self.sql(f"SELECT COUNT(*) FROM events WHERE tag = '{tag}'")[0][0])


def _read_lines(stream, lines: queue.Queue):
    for line in stream:
        lines.put(line)
    lines.put("")


class FromAddress(HTTPAdapter):
    """Sends from one local address."""

    def __init__(self, address: str):
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments, **options):
        super().init_poolmanager(*arguments, source_address=(self._address, 0), **options)
