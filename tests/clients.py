"""Real programs, run as a person or a CI job runs them: own home, no settings from outside, a time limit."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(sys.executable).parent


@dataclass
class Finished:
    command: list[str]
    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    def ok(self) -> "Finished":
        return self.ended_with(0)

    def ended_with(self, code: int) -> "Finished":
        assert self.code == code, f"{' '.join(self.command)}\nended with {self.code}, expected {code}\n{self.output}"
        return self

    def __contains__(self, text: str) -> bool:
        # twine and pip wrap their lines to a terminal's width
        return _unwrapped(text) in _unwrapped(self.output)


def _unwrapped(text: str) -> str:
    return " ".join(text.split())


def run(command, *, environment: dict[str, str], folder: Path | None = None, seconds: float = 120, stdin: str = "") -> Finished:
    command = [str(part) for part in command]
    done = subprocess.run(command, env=environment, cwd=folder, input=stdin, capture_output=True, text=True, timeout=seconds)
    return Finished(command, done.returncode, done.stdout, done.stderr)


def base_environment(home: Path) -> dict[str, str]:
    """Nothing of the surrounding settings (indexes, proxies, keyrings) reaches a client under test."""
    home.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "HOME": str(home), "LANG": "C.UTF-8", "TERM": "dumb", "COLUMNS": "400",
        "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1", "PIP_CONFIG_FILE": "/dev/null", "PIP_NO_CACHE_DIR": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1", "UV_NO_CONFIG": "1", "UV_NO_CACHE": "1", "UV_PYTHON_DOWNLOADS": "never",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }


class Clients:
    """The clients of one index, trusting its authority's certificate."""

    def __init__(self, url: str, authority: Path, folder: Path):
        self.url, self.upload_url, self.index_url = url, f"{url}/legacy/", f"{url}/simple/"
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.environment = {
            **base_environment(folder / "home"), "SSL_CERT_FILE": str(authority), "REQUESTS_CA_BUNDLE": str(authority),
            "PIP_CERT": str(authority),
        }
        self._installs = 0

    def twine(self, *arguments, **environment: str) -> Finished:
        return run([PROGRAMS / "twine", *arguments], environment={**self.environment, **environment})

    def twine_upload(self, token: str, *files: Path, url: str | None = None) -> Finished:
        return self.twine("upload", "--non-interactive", "--disable-progress-bar", "--verbose", "--repository-url",
                          url or self.upload_url, *files, TWINE_USERNAME="__token__", TWINE_PASSWORD=token)

    def pip(self, *arguments, **environment: str) -> Finished:
        return run([sys.executable, "-m", "pip", *arguments], environment={**self.environment, **environment}, folder=self.folder)

    def pip_install(self, *requirements: str, options: tuple = ()) -> tuple[Finished, Path]:
        """Installs into a new folder; answers what pip said, and the folder."""
        target = self._target()
        return self.pip("install", "--index-url", self.index_url, "--no-deps", "--target", target, *options, *requirements), target

    def uv(self, *arguments, **environment: str) -> Finished:
        return run([PROGRAMS / "uv", *arguments], environment={**self.environment, **environment}, folder=self.folder)

    def uv_install(self, *requirements: str) -> tuple[Finished, Path]:
        target = self._target()
        done = self.uv("pip", "install", "--python", sys.executable, "--index-url", self.index_url, "--no-deps", "--target", target,
                       *requirements)
        return done, target

    def uv_publish(self, *files: Path, token: str | None = None, options: tuple = (), **environment: str) -> Finished:
        credentials = ["--token", token] if token else []
        return self.uv("publish", "--publish-url", self.upload_url, *credentials, *options, *files, **environment)

    def exchange(self, **runner: str) -> Finished:
        """The protocol of PyPA's publish action: a CI identity against a short-lived token on stdout."""
        return run([sys.executable, Path(__file__).with_name("exchange.py")],
                   environment={**self.environment, **runner, "INPUT_REPOSITORY_URL": self.upload_url})

    def imported(self, target: Path, module: str) -> str:
        """What the installed sample says of itself: `VERSION SAYS`."""
        return run([sys.executable, "-c", f"import {module} as m; print(m.VERSION, m.SAYS)"],
                   environment={**self.environment, "PYTHONPATH": str(target)}).ok().stdout.strip()

    def _target(self) -> Path:
        self._installs += 1
        return self.folder / f"installed-{self._installs}"
