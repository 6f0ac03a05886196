"""The invariants of ARCHITECTURE.md that a build does not check by itself. Exit code 1 and a sentence for each broken one."""

import re
import subprocess
import sys
from pathlib import Path

SOURCES = Path("crates")
INDEX = SOURCES / "portcullis-index" / "src"
TESTS = re.compile(r"/tests?(?:_\w+)?\.rs$|/tests/")
broken: list[str] = []


def tree(crate: str, *options: str) -> str:
    done = subprocess.run(["cargo", "tree", "--package", crate, "--prefix", "none", "--target", "all", *options],
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"cargo tree failed: {done.stderr}")
    return done.stdout


def dependencies(crate: str) -> set[str]:
    """Everything that is linked into a crate, at any depth."""
    return {line.split()[0] for line in tree(crate, "--edges", "normal").splitlines() if line.strip()}


def must_not_depend(crate: str, forbidden: set[str], why: str):
    for name in sorted(dependencies(crate) & forbidden):
        broken.append(f"{crate} depends on {name}: {why}")


def must_not_contain(folder: Path, pattern: str, why: str, *, allowed: tuple[str, ...] = ()):
    """No line of code below `folder` matches, but in `allowed` (paths from `folder`); comments and tests' modules do not count."""
    files = sorted(folder.rglob("*.rs")) if folder.is_dir() else sorted(folder.parent.glob(folder.name))
    for path in files:
        if str(path.relative_to(folder if folder.is_dir() else folder.parent)).startswith(allowed):
            continue
        if TESTS.search(str(path)):
            continue
        # a module of tests stands at the end of its file
        text = re.split(r"^#\[cfg\(test\)\]\nmod \w+ \{", path.read_text(), flags=re.MULTILINE)[0]
        for number, line in enumerate(text.splitlines(), 1):
            code = line.split("//")[0]
            if re.search(pattern, code):
                broken.append(f"{path}:{number}: {why}: {line.strip()}")


def main() -> int:
    network = {"tokio", "axum", "sqlx", "sqlx-core", "reqwest", "hyper", "lettre"}
    for crate in ("portcullis-trust", "portcullis-scan"):
        must_not_depend(crate, network, "it has no async runtime, no HTTP, no database (invariant 2)")
    must_not_depend("portcullis-trust", {"rand"}, "randomness is an argument (invariant 2)")
    if "network-client" in tree("portcullis-scan", "--edges", "features,normal"):
        broken.append("portcullis-scan turns on a network client of gix: it reads local object databases only (invariant 2)")
    must_not_depend("portcullis-scan", {"portcullis-index", "portcullis-trust", "portcullis"}, "the scanner knows nothing of ours (invariant 1)")
    must_not_depend("portcullis-index", {"portcullis-scan", "portcullis"}, "index and scanner do not know each other (invariant 1)")
    must_not_depend("portcullis-trust", {"portcullis-index", "portcullis-scan", "portcullis"}, "trust knows nothing of ours")

    store, web = INDEX / "store", INDEX / "web"
    must_not_contain(SOURCES / "portcullis-trust" / "src", r"SystemTime::now|Instant::now|Timestamp::now|Zoned::now|std::env|rand::",
                     "trust reads no clock, no environment, no random source (invariant 2)")
    if store.is_dir():
        must_not_contain(store, r"\bweb::|crate::web\b", "store never names web (invariant 3)")
        must_not_contain(INDEX / "store.rs", r"\bweb::|crate::web\b", "store never names web (invariant 3)")
    must_not_contain(INDEX, r"sqlx::query|\bquery_as\s*[(:]|\bquery_scalar\s*[(:]|\"\s*(?:SELECT|INSERT INTO|UPDATE|DELETE FROM)\s",
                     "SQL stands only in store/ (invariant 3)", allowed=("store.rs", "store/"))
    must_not_contain(SOURCES / "portcullis" / "src", r"\bsqlx::", "SQL stands only in the index's store/ (invariant 3)")
    must_not_contain(INDEX, r"\bStatusCode\b", "HTTP status codes stand only in web/ (invariant 3)", allowed=("web.rs", "web/"))
    if web.is_dir():
        must_not_contain(web, r"\bsqlx::", "a handler decides nothing and reads no database (invariant 3)")

    must_not_contain(INDEX, r"\bDELETE FROM\b", "nothing is ever deleted but leases and contents that no file names (invariant 8)",
                     allowed=("store/blobs.rs",))
    must_not_contain(INDEX, r"SystemTime::now|Timestamp::now|Zoned::now", "the time comes from clock.rs, so that tests can turn it (invariant 14)",
                     allowed=("clock.rs",))

    for sentence in broken:
        print(sentence)
    print(f"{len(broken)} invariants broken" if broken else "the invariants hold")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
