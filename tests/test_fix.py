"""`portcullis fix`: another tool's opinion of what it writes, and a publisher that a real server then trusts."""

import codecs
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from portcullis import Portcullis
from repositories import WorkTree

SAMPLES = Path(__file__).parent.parent / "crates/portcullis-scan/tests/publishing"
ZIZMOR = Path(sys.executable).parent / "zizmor"


def opinion(folder: Path) -> Counter:
    """What zizmor finds, by rule and severity; without the network, in its ordinary persona."""
    ran = subprocess.run([ZIZMOR, "--offline", "--format", "json", "--no-exit-codes", folder], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return Counter((finding["ident"], finding["determinations"]["severity"]) for finding in json.loads(ran.stdout))


@pytest.fixture
def program(tmp_path, attacker):
    return Portcullis(tmp_path / "portcullis", attacker=attacker)


def test_a_linter_finds_nothing_new_in_what_is_written(program, tmp_path):
    samples = sorted(path for path in SAMPLES.glob("*.yml") if not path.name.endswith(".fixed.yml"))
    assert len(samples) >= 20
    for sample in samples:
        folder = tmp_path / sample.stem
        workflow = folder / ".github/workflows/publish.yml"
        workflow.parent.mkdir(parents=True)
        # zizmor reads no byte order mark; that it stays is tested in the library.
        workflow.write_bytes(sample.read_bytes().removeprefix(codecs.BOM_UTF8))
        before = opinion(folder)
        program.program("fix", "--write", folder).ended_with(1)
        after = opinion(folder)
        assert not after - before, f"{sample.name}: new: {after - before}\n{workflow.read_text()}"
        assert not any(rule == "use-trusted-publishing" for rule, _ in after), sample.name


def test_a_registered_publisher_is_the_servers(server, forge, tmp_path):
    forge.create("Example-Org/Lanternfish")
    tree = WorkTree(tmp_path / "clone", "https://github.com/Example-Org/Lanternfish.git")
    workflow = (SAMPLES / "action-with-build.yml").read_text()
    tree.commit("Release", {".github/workflows/release.yml": workflow, "pyproject.toml": '[project]\nname = "lanternfish"\nversion = "1"\n'})
    server.account("ada")
    manage = server.token("ada", "--api", "manage")
    finished = server.desk(manage, "fix", "--write", "--register", server.url, "--pending", tree.folder).ended_with(1)
    assert "registered with" in finished.stderr
    [publisher] = server.desk_json(manage, "publisher", "list", "--pending")["publishers"]
    text = json.dumps(publisher)
    for value in ["lanternfish", "Example-Org", "Lanternfish", "release.yml", "pypi"]:
        assert value in text, text
