"""A PostgreSQL cluster of the test's own: an unprivileged user, a Unix socket in a temporary folder, no TCP port."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

_numbers = itertools.count(1)


class Cluster:
    """Started with `with`; every database that it hands out is new."""

    def __enter__(self):
        self.programs = _programs()
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._as_user = {}
        if os.geteuid() == 0:
            # initdb refuses to run as root, rightly
            user = _unprivileged()
            self._as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        data = self.folder / "data"
        self._run("initdb", "--pgdata", str(data), "--username", "portcullis", "--auth", "trust", "--encoding", "UTF8",
                  "--locale", "C.UTF-8", "--no-sync")
        # durability is PostgreSQL's business, not what is tested here
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.folder), "fsync": "off",
                    "shared_buffers": "32MB", "max_connections": "60"}
        self._log = open(self.folder / "log", "wb")
        self._server = subprocess.Popen(
            [self.programs / "postgres", "-D", data, *[f"--{key}={value}" for key, value in settings.items()]],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env=_environment(), **self._as_user)
        self._wait_until_it_answers()
        return self

    def __exit__(self, *_):
        # immediate: what is in it is thrown away anyway
        self._server.send_signal(signal.SIGQUIT)
        try:
            self._server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait(timeout=20)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self) -> str:
        """The URL of a fresh, empty database."""
        name = f"portcullis_{next(_numbers)}"
        self.sql("postgres", f'CREATE DATABASE "{name}"')
        return f"postgres://portcullis@localhost/{name}?host={self.folder}"

    def sql(self, database: str, statement: str) -> str:
        """Runs one statement and answers its rows, one a line, columns separated by tabs."""
        return self._run("psql", "--host", str(self.folder), "--username", "portcullis", "--dbname", database, "--no-psqlrc",
                         "--quiet", "--tuples-only", "--no-align", "--field-separator", "\t", "--set", "ON_ERROR_STOP=1",
                         "--command", statement)

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run([self.programs / program, *arguments], cwd=self.folder, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=120, env=_environment(), **self._as_user)
        assert done.returncode == 0, f"{program}: {done.stderr or done.stdout}"
        return done.stdout.strip("\n")

    def _wait_until_it_answers(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                self.sql("postgres", "SELECT 1")
                return
            except AssertionError as problem:
                assert self._server.poll() is None, f"postgres ended: {(self.folder / 'log').read_text()}"
                assert time.monotonic() < deadline, f"postgres did not answer within 60 s: {problem}"
                time.sleep(0.05)


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    assert found, "no initdb below /usr/lib/postgresql; install Debian's package `postgresql` (tests/run does)"
    return found[-1].parent


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("neither a user `postgres` nor `nobody` to run PostgreSQL as")


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
