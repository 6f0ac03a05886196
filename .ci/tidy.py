"""Rules that every file of the repository keeps, whatever its language. Says file, line and rule; exit code 1 if any is broken."""

import re
import subprocess
import sys
from pathlib import Path

LONG = 600  # lines; a file past this is probably two things

# Written in pieces, so that this file does not break its own rules.
RULES = [
    ("a path of somebody's machine", re.compile(r"(?<![\w.$}])/(?:" + "|".join(["work", "root", "home", "Users"]) + r")/[\w.]"), None),
    ("an unfinished piece", re.compile(r"\b(?:" + "|".join(["todo", "unimplemented", "dbg"]) + r")!"), {".rs"}),
    ("a marker of unfinished work", re.compile(r"\b(?:" + "|".join(["FIX" + "ME", "XX" + "X", "TO" + "DO"]) + r")\b"), {".rs", ".py", ".html", ".sql"}),
    ("the host of a package registry", re.compile("|".join([
        r"files\.python" + r"hosted", r"index\.crates" + r"\.io", r"static\.crates" + r"\.io", r"registry\.npm" + r"js",
        r"deb\.deb" + r"ian\.org"])), None),
    ("a skipped test", re.compile(r"#\[ig" + r"nore|pytest\.(?:mark\.)?(?:skip|xfail)"), {".rs", ".py"}),
    ("a conflict marker", re.compile(r"^(?:<{7}|>{7}) "), None),
    ("white space at the end of the line", re.compile(r"[ \t]+$"), {".rs", ".py", ".toml", ".sql", ".html", ".css"}),
]
# The scanner and the index know registries' hosts: as destinations of secrets, as words in messages.
EXEMPT = {"the host of a package registry": ("crates/", "Cargo.lock"), "a path of somebody's machine": ("crates/portcullis-scan/",)}


def main() -> int:
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    broken = 0
    for name in filter(None, listed.split("\0")):
        path = Path(name)
        if not path.is_file() or path.is_symlink():
            continue
        data = path.read_bytes()
        if b"\0" in data or path.name == "Cargo.lock":
            continue
        try:
            text = data.decode()
        except UnicodeDecodeError:
            print(f"{name}: not UTF-8")
            broken += 1
            continue
        if data and not text.endswith("\n"):
            print(f"{name}: no line break at the end")
            broken += 1
        lines = text.splitlines()
        if path.suffix in {".rs", ".py"} and len(lines) > LONG:
            print(f"warning: {name}: {len(lines)} lines; more than {LONG} is probably two things")
        for number, line in enumerate(lines, 1):
            for rule, pattern, suffixes in RULES:
                if suffixes is not None and path.suffix not in suffixes or name.startswith(EXEMPT.get(rule, ())):
                    continue
                if pattern.search(line):
                    print(f"{name}:{number}: {rule}: {line.strip()[:100]}")
                    broken += 1
    print(f"{broken} rules broken" if broken else "every file keeps the rules")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
