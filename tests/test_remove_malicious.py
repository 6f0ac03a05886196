"""`portcullis fix --remove-malicious` on real repositories: one commit a branch, judged by git itself."""

import json

import pytest

from portcullis import Portcullis
from repositories import MALICIOUS_PATH, MALICIOUS_WORKFLOW, THIEF, WorkTree, project_files

AUTHOR = ("--author", "Mara Example <mara@example.org>")


@pytest.fixture
def program(tmp_path, attacker):
    return Portcullis(tmp_path / "portcullis", attacker=attacker)


@pytest.fixture
def tree(tmp_path) -> WorkTree:
    """The malicious workflow on `main` (checked out) and `dev`; `old` is from before it."""
    tree = WorkTree(tmp_path / "clone")
    tree.commit("Release", project_files("lanternfish"))
    tree.git("branch", "old")
    tree.commit("Add security workflow", {MALICIOUS_PATH: MALICIOUS_WORKFLOW}, author=THIEF)
    tree.git("branch", "dev")
    # Hooks and filters of a repository are its writer's: none may run.
    hooks = tree.folder / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("reference-transaction", "post-commit", "post-index-change", "pre-commit"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch '{tree.folder}/../hook-ran'\n")
        (hooks / name).chmod(0o755)
    return tree


def removals(program, tree, *options) -> dict[str, dict]:
    done = program.program("fix", "--remove-malicious", "--format", "json", *options, tree.folder).ended_with(1)
    return {removal["branch"]: removal for removal in json.loads(done.stdout)["removals"]}


def test_one_commit_a_branch_takes_it_out_and_nothing_else(program, tree):
    hook = tree.folder.parent / "hook-ran"
    hook.unlink(missing_ok=True)
    before = {name: tree.git("rev-parse", name) for name in ("main", "dev", "old")}
    hook.unlink(missing_ok=True)
    done = removals(program, tree, "--write", *AUTHOR)
    assert not hook.exists(), "a hook of the repository ran"
    assert set(done) == {"refs/heads/main", "refs/heads/dev"}
    for name in ("main", "dev"):
        assert tree.git("rev-parse", name) == done[f"refs/heads/{name}"]["commit"]
        assert tree.git("rev-parse", f"{name}~") == before[name]
        assert tree.git("diff-tree", "-r", "--no-commit-id", "--name-status", name) == f"D\t{MALICIOUS_PATH}"
        assert "Mara Example <mara@example.org>" in tree.git("log", "-1", "--format=%an <%ae>", name)
    assert tree.git("rev-parse", "old") == before["old"]
    tree.git("fsck", "--strict", "--no-dangling")
    assert tree.git("status", "--porcelain") == "" and not (tree.folder / MALICIOUS_PATH).exists()
    program.program("fix", "--remove-malicious", "--write", *AUTHOR, tree.folder).ended_with(0)
    program.program("scan", "--no-history", "--min-verdict", "malicious", tree.folder).ok()


def test_without_write_a_patch_that_git_applies(program, tree):
    tip = tree.git("rev-parse", "main")
    done = removals(program, tree, "--branch", "main")
    assert set(done) == {"refs/heads/main"} and done["refs/heads/main"]["commit"] is None
    assert tree.git("rev-parse", "main") == tip and tree.git("status", "--porcelain") == ""
    patch = tree.folder.parent / "out.patch"
    patch.write_text(program.program("fix", "--remove-malicious", "--branch", "main", tree.folder).ended_with(1).stdout)
    tree.git("apply", "--index", str(patch))
    assert tree.git("status", "--porcelain") == f"D  {MALICIOUS_PATH}"


def test_a_changed_work_tree_is_left_alone_and_other_branches_are_not(program, tree):
    path = tree.folder / MALICIOUS_PATH
    path.write_text(MALICIOUS_WORKFLOW + "# being looked at\n")
    tip = tree.git("rev-parse", "main")
    done = removals(program, tree, "--write", *AUTHOR)
    assert done["refs/heads/main"]["commit"] is None and "changed in the work tree" in done["refs/heads/main"]["why_not"]
    assert done["refs/heads/dev"]["commit"] == tree.git("rev-parse", "dev")
    assert tree.git("rev-parse", "main") == tip and path.read_text().endswith("# being looked at\n")


def test_what_can_not_run_says_why(program, tree, tmp_path):
    assert "no branch" in program.program("fix", "--remove-malicious", "--branch", "nope", tree.folder).ended_with(2)
    wrong = program.program("fix", "--remove-malicious", "--write", "--author", "Mara", tree.folder).ended_with(2)
    assert "Name <mail>" in wrong
    clean = WorkTree(tmp_path / "clean")
    clean.commit("Release", project_files("lanternfish"))
    program.program("fix", "--remove-malicious", clean.folder).ok()


def test_a_clone_takes_it_out_of_the_remotes_branches_too(program, tree, tmp_path):
    """`dev` is only the remote's; the fork's branches are another's; `main` is here and there."""
    clone = WorkTree(tmp_path / "copy")
    clone.git("remote", "add", "origin", str(tree.folder))
    clone.git("fetch", "--quiet", "origin")
    clone.git("checkout", "--quiet", "-B", "main", "origin/main")
    clone.git("update-ref", "refs/remotes/fork/theirs", "origin/main")
    clone.git("remote", "add", "fork", "https://github.com/example/fork.git")
    patches = removals(program, clone)
    assert set(patches) == {"refs/heads/main", "refs/remotes/origin/dev"}
    before = clone.git("rev-parse", "origin/dev")
    done = removals(program, clone, "--write", *AUTHOR)
    assert clone.git("rev-parse", "dev") == done["refs/remotes/origin/dev"]["commit"]
    assert clone.git("rev-parse", "origin/dev") == before == clone.git("rev-parse", "dev~")
    assert clone.git("diff-tree", "-r", "--no-commit-id", "--name-status", "dev") == f"D\t{MALICIOUS_PATH}"
    # What is left to do is to push.
    program.program("fix", "--remove-malicious", clone.folder).ended_with(0)
    # A branch of the same name that goes elsewhere is not touched: the patch is all there is.
    clone.git("branch", "--force", "dev", "origin/old")
    apart = removals(program, clone, "--write", *AUTHOR)["refs/remotes/origin/dev"]
    assert apart["commit"] is None and "does not go on from it" in apart["why_not"] and apart["patch"]
    assert clone.git("rev-parse", "dev") == clone.git("rev-parse", "origin/old")


def test_a_bare_repository(program, tree, tmp_path):
    bare = tmp_path / "bare.git"
    tree.git("clone", "--quiet", "--bare", str(tree.folder), str(bare))
    done = json.loads(program.program("fix", "--remove-malicious", "--write", *AUTHOR, "--format", "json", bare).ended_with(1).stdout)
    assert {removal["branch"] for removal in done["removals"]} == {"refs/heads/main", "refs/heads/dev"}
    for removal in done["removals"]:
        assert tree.git("--git-dir", str(bare), "rev-parse", removal["branch"]) == removal["commit"]
    program.program("fix", "--remove-malicious", bare).ok()
