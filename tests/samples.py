"""Distributions to publish: built by the real build front end, or made by hand where they must be wrong."""

import base64
import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Built:
    wheel: Path
    sdist: Path

    @property
    def both(self) -> list[Path]:
        return [self.wheel, self.sdist]


def module_name(project: str) -> str:
    return project.lower().replace("-", "_").replace(".", "_")


def build(folder: Path, project: str, version: str, says: str = "hello") -> Built:
    """A pure Python project with a Markdown README and a licence file, built by `python -m build`."""
    module = module_name(project)
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(f"""\
[build-system]
requires = ["flit_core"]
build-backend = "flit_core.buildapi"

[project]
name = "{project}"
version = "{version}"
description = "A sample that says {says}"
readme = "README.md"
requires-python = ">=3.8"
license = "MIT"
license-files = ["LICENSE"]
authors = [{{name = "Mara Example", email = "mara@example.org"}}]
classifiers = ["Programming Language :: Python :: 3"]
urls.Homepage = "https://{module.replace('_', '-')}.example.org/"

[tool.flit.module]
name = "{module}"
""")
    (folder / "README.md").write_text(f"# {project}\n\nIt says *{says}*.\n")
    (folder / "LICENSE").write_text("Do as you like.\n")
    (folder / f"{module}.py").write_text(f'"""A sample."""\n\nVERSION = "{version}"\nSAYS = "{says}"\n')
    done = subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--skip-dependency-check", "--outdir", "dist", "."],
                          cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return Built(wheel=next((folder / "dist").glob("*.whl")), sdist=next((folder / "dist").glob("*.tar.gz")))


def wheel(project: str, version: str, says: str = "hello", padding: int = 0) -> tuple[str, bytes]:
    """A wheel's name and bytes, by hand; `padding` makes it that many bytes larger (stored, not compressed)."""
    module = module_name(project)
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}.py": f'VERSION = "{version}"\nSAYS = "{says}"\n'.encode(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: by-hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if padding:
        files[f"{module}.bin"] = hashlib.shake_128(version.encode()).digest(padding)
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.writerow([name, f"sha256={digest}", len(content)])
    rows.writerow([f"{info}/RECORD", "", ""])
    files[f"{info}/RECORD"] = record.getvalue().encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), content)
    return f"{module}-{version}-py3-none-any.whl", out.getvalue()


def upload_form(project: str, version: str, content: bytes, **changed: str) -> dict[str, str]:
    """The form fields of an upload of a wheel, as twine fills them; `changed` overrides or adds (None removes)."""
    form = {
        ":action": "file_upload", "protocol_version": "1", "metadata_version": "2.1", "name": project, "version": version,
        "filetype": "bdist_wheel", "pyversion": "py3", "sha256_digest": hashlib.sha256(content).hexdigest(),
        "blake2_256_digest": hashlib.blake2b(content, digest_size=32).hexdigest(),
    }
    form.update(changed)
    return {key: value for key, value in form.items() if value is not None}
