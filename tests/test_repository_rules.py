"""The checks of `.ci` fail when what they guard is broken: each is broken once in a copy of the sources."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
INDEX = "crates/portcullis-index/src"


@pytest.fixture
def copy(tmp_path):
    """The workspace's sources, without anything built."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in ("Cargo.toml", "Cargo.lock"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "crates", folder / "crates")
    return folder


def architecture(folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, ROOT / ".ci" / "architecture.py"], cwd=folder, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "CARGO_NET_OFFLINE": "true"})


def depend(folder: Path, crate: str, line: str):
    manifest = folder / "crates" / crate / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace("[dependencies]\n", f"[dependencies]\n{line}\n", 1))


def add(folder: Path, path: str, code: str):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    text = (folder / path).read_text() if (folder / path).exists() else ""
    (folder / path).write_text(f"{code}\n{text}")


def test_the_sources_as_they_are_keep_the_invariants(copy):
    done = architecture(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("crate", "line", "sentence"), [
    ("portcullis-trust", "tokio.workspace = true", "portcullis-trust depends on tokio"),
    ("portcullis-trust", "rand.workspace = true", "portcullis-trust depends on rand"),
    ("portcullis-scan", "reqwest.workspace = true", "portcullis-scan depends on reqwest"),
    ("portcullis-scan", "portcullis-trust.workspace = true", "portcullis-scan depends on portcullis-trust"),
    ("portcullis-index", "portcullis-scan.workspace = true", "portcullis-index depends on portcullis-scan"),
])
def test_a_forbidden_dependency_is_named(copy, crate, line, sentence):
    depend(copy, crate, line)
    done = architecture(copy)
    assert done.returncode == 1 and sentence in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(("path", "code", "sentence"), [
    (f"{INDEX}/store/reports.rs", 'const Q: &str = "DELETE FROM reports";', "nothing is ever deleted"),
    (f"{INDEX}/project.rs", "fn now() -> jiff::Timestamp { jiff::Timestamp::now() }", "the time comes from clock.rs"),
    (f"{INDEX}/upload.rs", 'fn f() { sqlx::query("x"); }', "SQL stands only in store/"),
    (f"{INDEX}/web/pages/x.rs", 'const Q: &str = "SELECT 1 FROM tokens";', "SQL stands only in store/"),
    (f"{INDEX}/store/x.rs", "use crate::web::error;", "store never names web"),
    (f"{INDEX}/minting.rs", "use http::StatusCode;", "HTTP status codes stand only in web/"),
    ("crates/portcullis-trust/src/lib.rs", "fn f() { std::time::SystemTime::now(); }", "trust reads no clock"),
])
def test_a_line_in_the_wrong_place_is_named(copy, path, code, sentence):
    add(copy, path, code)
    done = architecture(copy)
    assert done.returncode == 1 and sentence in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(("name", "text", "rule"), [
    ("docs/x.md", "see /" + "root/x\n", "a path of somebody's machine"),
    ("src/x.rs", "fn f() { to" + "do!() }\n", "an unfinished piece"),
    ("tests/test_x.py", "@pytest.mark." + "skip\n", "a skipped test"),
    ("Dockerfile", "FROM https://static.crates" + ".io\n", "the host of a package registry"),
    ("x.md", "no end", "no line break at the end"),
])
def test_a_rule_broken_in_any_file_is_named(tmp_path, name, text, rule):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True, timeout=30)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    subprocess.run(["git", "-C", tmp_path, "add", "."], check=True, timeout=30)
    done = subprocess.run([sys.executable, ROOT / ".ci" / "tidy.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and rule in done.stdout, done.stdout + done.stderr
