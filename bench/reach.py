#!/usr/bin/env python3
"""How `portcullis reach` grows with the number of repositories: makes small ones from a seed, asks over a tenth of them and over
all, and prints CPU time and peak memory of each. A third of their workflows lead to each other's actions.

    python3 bench/reach.py target/release/portcullis [COUNT]
"""

import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VERSIONS = 20
DAY = 86_400
START = 1_700_000_000


def make(folder: Path, number: int, count: int, choose: random.Random) -> None:
    """A bare repository with a workflow and an action, each in 20 versions."""
    folder.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "-b", "main", "--bare", folder], check=True)
    with open(folder / "config", "a", encoding="utf-8") as config:
        config.write(f'[remote "origin"]\n\turl = https://github.com/example/r{number:05}.git\n')
    stream = []
    for version in range(VERSIONS):
        used = choose.choice(["actions/checkout@v4", "owner/changed-files@v45", f"example/r{choose.randrange(count):05}/setup@main"])
        inner = "owner/changed-files@v45" if number % 3 == 0 else "actions/cache@v4"
        workflow = (f"on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env: {{V: '{version}'}}\n    steps:\n      - uses: {used}\n"
                    f"      - run: make\n        env: {{T: '${{{{ secrets.T{number % 7} }}}}'}}\n")
        action = f"runs:\n  using: composite\n  steps:\n    - uses: {inner}\n"
        stream.append(f"commit refs/heads/main\ncommitter T <t@example.test> {START + version * DAY} +0000\ndata 1\nx\n"
                      f"M 100644 inline .github/workflows/ci.yml\ndata {len(workflow)}\n{workflow}\n"
                      f"M 100644 inline setup/action.yml\ndata {len(action)}\n{action}\n")
    subprocess.run(["git", "fast-import", "--quiet"], input="".join(stream).encode(), cwd=folder, check=True)


def ask(program: str, folder: Path) -> None:
    """One question over a folder of repositories; its own process, so that the peak is its own."""
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [program, "reach", "--action", "owner/changed-files@v45", "--between", "2023-11-16", "2023-11-20", "--format", "jsonl"]
    found = subprocess.run([*command, folder], stdout=subprocess.PIPE, check=False).stdout.count(b'"type":"finding"')
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    repositories = sum(1 for _ in folder.iterdir())
    print(f"{repositories} repositories: {found} jobs, {cpu / repositories * 1000:.1f} ms of CPU each, "
          f"peak so far {after.ru_maxrss // 1024} MiB, {time.monotonic() - started:.1f} s")


def main() -> None:
    program, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000
    choose = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        few, all_of_them = Path(folder, "few"), Path(folder, "all")
        for number in range(count):
            make(all_of_them / f"r{number:05}", number, count, choose)
        few.mkdir()
        for number in range(count // 10):
            (all_of_them / f"r{number:05}").rename(few / f"r{number:05}")
        ask(program, few)
        for repository in list(few.iterdir()):
            repository.rename(all_of_them / repository.name)
        ask(program, all_of_them)


main()
