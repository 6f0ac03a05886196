"""A code forge: repositories over git's real smart HTTP (`git http-backend`), and the parts of GitHub's API that say
who owns a repository, what was pushed to it, and which workflow runs there were.

Every push that arrives is recorded as a push event, as on GitHub; that includes forced ones.
"""

import os
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

from .loopback import Handler, Loopback

ZERO = "0" * 40
GIT_ENVIRONMENT = {
    "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0",
}


class Forge(Loopback):
    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="forge-")
        self.root = Path(self._folder.name)
        self.repositories: dict[str, dict] = {}
        self.requests: list[str] = []
        self.lock = threading.RLock()
        return super().__enter__()

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self._folder.cleanup()

    def create(self, name: str, *, repository_id: int = 7001, owner_id: int = 501) -> str:
        """Makes an empty repository `owner/name` and answers its clone URL."""
        path = self.root / f"{name}.git"
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(path))
        for key, value in {
            "http.receivepack": "true", "uploadpack.allowAnySHA1InWant": "true", "uploadpack.allowFilter": "true",
            "receive.denyNonFastForwards": "false", "gc.auto": "0",
        }.items():
            self.git("-C", str(path), "config", key, value)
        self.repositories[name] = {"id": repository_id, "owner_id": owner_id, "activity": [], "runs": []}
        return self.clone_url(name)

    def clone_url(self, name: str) -> str:
        return f"{self.url}/{name}.git"

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], env=GIT_ENVIRONMENT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def refs(self, name: str) -> dict[str, str]:
        listed = self.git("-C", str(self.root / f"{name}.git"), "for-each-ref", "--format=%(refname) %(objectname)")
        return dict(line.split() for line in listed.splitlines())

    @contextmanager
    def run(self, name: str, sha: str, path: str, *, branch: str = "main", event: str = "push"):
        """A workflow run that lasts as long as the `with` block."""
        with self.lock:
            runs = self.repositories[name]["runs"]
            record = {
                "id": 90_000 + len(runs), "head_sha": sha, "head_branch": branch, "event": event,
                "path": f".github/workflows/{path}", "status": "in_progress", "conclusion": None,
                "run_started_at": moment(), "created_at": moment(), "updated_at": moment(),
            }
            runs.insert(0, record)
        yield record
        with self.lock:
            record.update(status="completed", conclusion="success", updated_at=moment())

    class handler(Handler):
        def do_GET(self):
            where = urlsplit(self.path)
            self.owner.requests.append(f"{self.command} {self.path}")
            if ".git/" in where.path:
                return self.serve_git(where)
            match where.path.strip("/").split("/"):
                case ["repos", owner, name]:
                    self.answer_about(f"{owner}/{name}", lambda full, known: {
                        "id": known["id"], "name": full.partition("/")[2], "full_name": full, "default_branch": "main",
                        "private": False, "owner": {"login": full.partition("/")[0], "id": known["owner_id"]}})
                case ["repos", owner, name, "activity"]:
                    self.answer_about(f"{owner}/{name}", lambda _, known: known["activity"])
                case ["repos", owner, name, "actions", "runs"]:
                    self.answer_about(f"{owner}/{name}", lambda _, known: {
                        "total_count": len(known["runs"]), "workflow_runs": known["runs"]})
                case ["users", login]:
                    known = next((v for k, v in self.owner.repositories.items()
                                  if k.partition("/")[0].lower() == login.lower()), None)
                    if known is None:
                        return self.answer_json({"message": "Not Found"}, 404)
                    self.answer_json({"login": login, "id": known["owner_id"], "type": "Organization"})
                case _:
                    self.answer_json({"message": "Not Found"}, 404)

        def do_POST(self):
            self.owner.requests.append(f"{self.command} {self.path}")
            where = urlsplit(self.path)
            if ".git/" not in where.path:
                return self.answer_json({"message": "Not Found"}, 404)
            self.serve_git(where)

        def answer_about(self, asked: str, render):
            with self.owner.lock:
                for full, known in self.owner.repositories.items():
                    if full.lower() == asked.lower():
                        return self.answer_json(render(full, known))
            self.answer_json({"message": "Not Found"}, 404)

        def serve_git(self, where):
            name = where.path.partition(".git/")[0].strip("/")
            name = next((full for full in self.owner.repositories if full.lower() == name.lower()), None)
            if name is None:
                return self.answer_json({"message": "Not Found"}, 404)
            body = self.body()
            with self.owner.lock:
                before = self.owner.refs(name)
                answer = self.backend(f"/{name}.git/{where.path.partition('.git/')[2]}", where.query, body)
                if where.path.endswith("/git-receive-pack"):
                    self.record_pushes(name, before, self.owner.refs(name))
            head, _, content = answer.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n"))
            status = int(fields.pop("Status", "200").split()[0])
            self.send_response(status)
            for key, value in fields.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def backend(self, path: str, query: str, body: bytes) -> bytes:
            environment = {
                **GIT_ENVIRONMENT, "GIT_PROJECT_ROOT": str(self.owner.root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
                "QUERY_STRING": query, "REQUEST_METHOD": self.command, "CONTENT_LENGTH": str(len(body)),
                "CONTENT_TYPE": self.headers.get("Content-Type", ""), "REMOTE_ADDR": self.client_address[0],
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            done = subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True, timeout=60)
            return done.stdout or b"Status: 500 Internal Server Error\r\n\r\n"

        def record_pushes(self, name: str, before: dict[str, str], after: dict[str, str]):
            for ref in sorted(before.keys() | after.keys()):
                old, new = before.get(ref, ZERO), after.get(ref, ZERO)
                if old != new:
                    self.owner.repositories[name]["activity"].insert(0, {
                        "id": len(self.owner.repositories[name]["activity"]) + 1, "ref": ref, "before": old, "after": new,
                        "activity_type": self.kind_of_push(name, old, new), "timestamp": moment(),
                    })

        def kind_of_push(self, name: str, old: str, new: str) -> str:
            if old == ZERO:
                return "branch_creation"
            if new == ZERO:
                return "branch_deletion"
            path = str(self.owner.root / f"{name}.git")
            forward = subprocess.run(["git", "-C", path, "merge-base", "--is-ancestor", old, new], env=GIT_ENVIRONMENT, timeout=60)
            return "push" if forward.returncode == 0 else "force_push"


def moment() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
