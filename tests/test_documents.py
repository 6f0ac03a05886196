"""The documents are true: what they name is there, and the verifier that docs/history.md prints finds what it says."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import samples

ROOT = Path(__file__).resolve().parents[1]
VERIFIER = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "history.md").read_text(), re.DOTALL)[1]


@pytest.fixture
def copy(tmp_path):
    """The tracked files, in a repository of their own."""
    folder = tmp_path / "copy"
    for name in subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=True, timeout=30).stdout.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, folder / name)
    subprocess.run(["git", "init", "--quiet", folder], check=True, timeout=30)
    subprocess.run(["git", "-C", folder, "add", "--all"], check=True, timeout=30)
    return folder


def documents(folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, ROOT / ".ci" / "documents.py"], cwd=folder, capture_output=True, text=True, timeout=60)


def test_the_documents_name_what_is_there(copy):
    done = documents(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("path", "old", "new", "sentence"), [
    ("README.md", "(docs/operator.md)", "(docs/operators.md)", "the link to docs/operators.md leads nowhere"),
    ("ARCHITECTURE.md", "\nxtask ", "\n      ", "the crate xtask is missing"),
    ("ARCHITECTURE.md", "a_newer_schema_is_refused", "a_newer_schema_is_taken", "store.rs has no a_newer_schema_is_taken"),
    ("CONTRIBUTING.md", "store.rs::MIGRATIONS", "stores.rs::MIGRATIONS", "there is no file stores.rs"),
    ("docs/operator.md", "`[tls] self_signed`", "`[tls] self`", "the setting self_signed of SaidTls is missing"),
])
def test_a_document_that_is_no_longer_true_is_named(copy, path, old, new, sentence):
    text = (copy / path).read_text()
    assert old in text, f"{path} does not say {old!r} any more: bring this test up to date"
    (copy / path).write_text(text.replace(old, new))
    done = documents(copy)
    assert done.returncode == 1 and sentence in done.stdout, done.stdout + done.stderr


@pytest.fixture
def sealed(server):
    """A stopped server whose history is sealed to its end, and its newest checkpoint as an operator would keep it."""
    server.account("mara")
    name, content = samples.wheel("Lanternfish", "1.0")
    assert server.upload(server.token("mara"), name, content, samples.upload_form("Lanternfish", "1.0", content)).status_code == 200
    newest = server.data / "checkpoints" / "newest.json"
    server.until(lambda: server.sql("SELECT COUNT(*) FROM events WHERE position IS NULL"), lambda rows: rows == [("0",)], "every event is sealed")
    server.stop()
    return server, json.loads(newest.read_text())


def verify(server, checkpoint: dict) -> str:
    kept = server.folder / "kept-elsewhere.json"
    kept.write_text(json.dumps(checkpoint))
    done = subprocess.run([sys.executable, "-c", VERIFIER, server.database.removeprefix("sqlite:"), kept], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def test_the_printed_verifier_agrees_with_the_server(sealed):
    server, checkpoint = sealed
    assert verify(server, checkpoint) == f"consistent: {checkpoint['position']} events\n"


@pytest.mark.parametrize(("statement", "says"), [
    ("UPDATE events SET details = '{}' WHERE position = 2", "event 2 is not what was sealed"),
    ("DELETE FROM events WHERE position = 2", "event 2 is missing"),
    ("UPDATE checkpoints SET at = at + 1", "InvalidSignature"),
])
def test_the_printed_verifier_finds_what_was_done_to_the_history(sealed, statement, says):
    server, checkpoint = sealed
    server.sql(statement)
    assert says in verify(server, checkpoint)


def test_the_printed_verifier_finds_a_cut_by_the_checkpoint_outside(sealed):
    server, checkpoint = sealed
    last = checkpoint["position"]
    first = int(server.sql("SELECT MAX(first_position) FROM checkpoints")[0][0])
    server.sql(f"DELETE FROM events WHERE position >= {first}")
    server.sql(f"DELETE FROM checkpoints WHERE last_position >= {first}")
    assert f"does not hold the checkpoint at event {last}" in verify(server, checkpoint)
