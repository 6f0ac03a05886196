"""The documents name what is there: links, crates, files, tests, settings. Exit code 1 and a sentence for each that is not."""

import re
import subprocess
import sys
from pathlib import Path

DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/operator.md", "docs/responder.md", "docs/history.md",
             "docs/threat-model.md"]
SETTINGS = Path("crates/portcullis-index/src/settings.rs")
# What stands for any name: `techniques/ID.rs`, `NNNN_what.sql`.
PLACEHOLDER = re.compile(r"NAME|NNNN|TABLE|\bID\b|[*…{]")
wrong: list[str] = []


def tracked() -> list[str]:
    return subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()


def named(files: list[str], path: str) -> list[str]:
    """The files that a document means by a path, or by the end of one."""
    return [file for file in files if file == path or file.endswith("/" + path)]


def check_links(document: Path, text: str):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target and not (document.parent / target).exists():
            wrong.append(f"{document}: the link to {target} leads nowhere")


def check_names(document: Path, text: str, files: list[str]):
    for path in sorted(set(re.findall(r"[\w/.*{},…-]+\.(?:rs|py|sql|html|toml)\b", text))):
        if not PLACEHOLDER.search(path) and path != "portcullis.toml" and not named(files, path.removeprefix("./").removeprefix("../")):
            wrong.append(f"{document}: there is no file {path}")
    for path, name in sorted(set(re.findall(r"`([\w/.-]+\.(?:rs|py))::(\w+)`", text))):
        if not any(re.search(rf"\b{name}\b", Path(file).read_text()) for file in named(files, path)):
            wrong.append(f"{document}: {path} has no {name}")


def check_crates(files: list[str]):
    text = Path("ARCHITECTURE.md").read_text()
    for manifest in files:
        if match := re.fullmatch(r"crates/([\w-]+)/Cargo\.toml", manifest):
            if not re.search(rf"^{match[1]} ", text, re.MULTILINE):
                wrong.append(f"ARCHITECTURE.md: the crate {match[1]} is missing from the list at its head")


def check_settings():
    """Every key that the server knows stands in the operator's guide."""
    source, guide = SETTINGS.read_text(), Path("docs/operator.md").read_text()
    for name, body in re.findall(r"pub struct (Said\w*) \{\n(.*?)^\}", source, re.MULTILINE | re.DOTALL):
        for key, kind in re.findall(r"^\s+pub (\w+): ([\w<>]+),", body, re.MULTILINE):
            if "Said" not in kind and not re.search(rf"[`\s]{key}`", guide):
                wrong.append(f"docs/operator.md: the setting {key} of {name} is missing")


def main() -> int:
    files = tracked()
    for name in DOCUMENTS:
        document = Path(name)
        if not document.exists():
            wrong.append(f"{name} is missing")
            continue
        text = document.read_text()
        check_links(document, text)
        check_names(document, text, files)
    check_crates(files)
    check_settings()
    for sentence in wrong:
        print(sentence)
    print(f"{len(wrong)} things are not as the documents say" if wrong else "the documents name what is there")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
