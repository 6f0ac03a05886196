"""What a scan prints on a real terminal, and what it doesn't elsewhere: colours, progress, NO_COLOR."""

import os
import pty
import re
import select
import subprocess
import time

import pytest

from portcullis import BINARY
from repositories import MALICIOUS_PATH, MALICIOUS_WORKFLOW, WorkTree

DEADLINE_SECONDS = 60
COLOUR = re.compile(rb"\x1b\[[0-9;]*m")


@pytest.fixture
def victim(tmp_path):
    tree = WorkTree(tmp_path / "victim")
    tree.commit("Begin", {"README.md": "x\n"})
    tree.commit("Add security workflow", {MALICIOUS_PATH: MALICIOUS_WORKFLOW})
    return tree


def on_terminals(folder, *arguments, out: bool, err: bool, **environment) -> tuple[int, bytes, bytes]:
    """Runs the program with standard output and standard error on a terminal each, or on a pipe."""
    streams = [pty.openpty() if terminal else os.pipe() for terminal in (out, err)]
    plain = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "xterm-256color"}
    process = subprocess.Popen([BINARY, *arguments], cwd=folder, env={**plain, **environment}, stdin=subprocess.DEVNULL,
                               stdout=streams[0][1], stderr=streams[1][1])
    for _, end in streams:
        os.close(end)
    got = {streams[0][0]: b"", streams[1][0]: b""}
    open_ends, deadline = set(got), time.monotonic() + DEADLINE_SECONDS
    while open_ends:
        assert time.monotonic() < deadline, "the program does not end"
        for end in select.select(list(open_ends), [], [], 1)[0]:
            try:
                piece = os.read(end, 65536)
            except OSError:  # what a terminal says when nobody is at its other end
                piece = b""
            got[end] += piece
            if not piece:
                open_ends.discard(end)
                os.close(end)
    return process.wait(DEADLINE_SECONDS), got[streams[0][0]], got[streams[1][0]]


def test_a_terminal_shows_colours_and_progress(victim):
    code, out, err = on_terminals(victim.folder, "scan", out=True, err=True)
    assert code == 1
    assert COLOUR.search(out) and b"malicious" in out
    assert b"repositories scanned" in err or b"\x1b[2K" in err, err
    assert b"malicious" not in err


def test_neither_goes_into_a_pipe(victim):
    code, out, err = on_terminals(victim.folder, "scan", out=False, err=False)
    assert code == 1
    assert b"malicious" in out and b"\x1b" not in out
    assert err == b""


def test_each_stream_is_asked_for_itself(victim):
    _, out, err = on_terminals(victim.folder, "scan", out=True, err=False)
    assert COLOUR.search(out) and err == b""
    _, out, err = on_terminals(victim.folder, "scan", "--format", "json", out=False, err=True)
    assert b"\x1b" not in out and err != b""


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colours_gets_none(victim, environment):
    code, out, _ = on_terminals(victim.folder, "scan", out=True, err=False, **environment)
    assert code == 1
    assert b"malicious" in out and not COLOUR.search(out)


def test_a_log_of_a_job_is_plain_and_marked(victim):
    _, out, err = on_terminals(victim.folder, "scan", out=False, err=False, GITHUB_ACTIONS="true")
    lines = out.decode().splitlines()
    word = lines[0].removeprefix("::stop-commands::")
    assert lines[0] != word and lines[-1] == f"::{word}::"
    assert err == b"" and b"\x1b" not in out
    assert max(len(line) for line in lines) <= 80


def test_a_file_gets_no_colours_from_a_terminal(victim, tmp_path):
    file = tmp_path / "found.txt"
    code, out, _ = on_terminals(victim.folder, "scan", "--output", str(file), out=True, err=True, CLICOLOR_FORCE="1")
    assert code == 1 and out == b""
    assert b"malicious" in file.read_bytes() and b"\x1b" not in file.read_bytes()
