"""Makes the README's pictures anew, from the built program: `.venv/bin/python tests/pictures.py`.

scan.png is a scan of the incident's repository as a terminal shows it, case.png the desk's page of the same incident.
"""

import html
import re
import subprocess
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import incident
import samples
from portcullis import BINARY, REPOSITORY, Portcullis
from servers.forge import Forge
from servers.mail import Mailbox
from test_pages import sign_in

PICTURES = REPOSITORY / "docs" / "pictures"
LIMIT_BYTES = 200_000
COLOURS = {"31": "#e06c75", "32": "#98c379", "33": "#e5c07b", "34": "#61afef", "35": "#c678dd", "36": "#56b6c2",
           "91": "#ff7b72", "92": "#a5d6a7", "93": "#ffd580", "94": "#79c0ff", "95": "#d2a8ff", "96": "#76e3ea"}


def as_html(text: str) -> str:
    """A terminal's output with its colours (ECMA-48, SGR) as HTML."""
    out, opened = [], False
    style: dict[str, str] = {}
    for part in re.split(r"(\x1b\[[0-9;]*m)", text):
        if not part.startswith("\x1b["):
            out.append(html.escape(part))
            continue
        for code in part[2:-1].split(";"):
            if code in ("", "0"):
                style = {}
            elif code == "1":
                style["font-weight"] = "bold"
            elif code == "2":
                style["opacity"] = "0.7"
            elif code in COLOURS:
                style["color"] = COLOURS[code]
        out.append("</span>" if opened else "")
        opened = bool(style)
        out.append(f'<span style="{";".join(f"{key}:{value}" for key, value in style.items())}">' if opened else "")
    return "".join(out) + ("</span>" if opened else "")


def scan_picture(page, clone: Path):
    done = subprocess.run([BINARY, "scan", "."], cwd=clone, capture_output=True, text=True, timeout=60,
                          env={"CLICOLOR_FORCE": "1", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "COLUMNS": "80"})
    assert done.returncode == 1, done.stderr
    page.set_content(f"""<body style="margin:0"><pre style="margin:0; padding:18px 22px; background:#11161a; color:#d7dde2;
        font:14px/1.45 'DejaVu Sans Mono', monospace; display:inline-block; vertical-align:top; min-width:700px"><span style="opacity:.7">$</span> <b>portcullis scan</b>\n\n{as_html(done.stdout).strip()}</pre></body>""")
    page.locator("pre").screenshot(path=PICTURES / "scan.png")


def case_picture(page, server, case):
    sign_in(page, server, "rosa")
    page.set_viewport_size({"width": 1100, "height": 1240})
    page.goto(f"{server.url}/desk/cases/{case.case}")
    page.screenshot(path=PICTURES / "case.png")


def main():
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Forge() as forge, Mailbox() as mailbox, sync_playwright() as playwright:
        folder = Path(folder)
        server = Portcullis(folder / "portcullis", settings=f"""
[github]
api = "{forge.url}"

[mail]
smtp = "{mailbox.url}"
from = "security@packages.example.org"
""").start()
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        try:
            page = browser.new_context(ignore_https_errors=True, viewport={"width": 1100, "height": 900}).new_page()
            case = incident.open_case(server, forge, folder)
            thief_uploads(server, case)
            scan_picture(page, folder / "victim")
            case_picture(page, server, case)
        finally:
            browser.close()
            server.stop()
    for picture in ("scan.png", "case.png"):
        size = (PICTURES / picture).stat().st_size
        assert size < LIMIT_BYTES, f"{picture} has {size} bytes"
        print(f"{picture}: {size} bytes")


def thief_uploads(server, case):
    name, content = samples.wheel(case.project, "1.1")
    answer = server.upload(case.token, name, content, samples.upload_form(case.project, "1.1", content), address="127.0.0.2")
    assert answer.status_code == 200, answer.text
    responder = case.responder
    report = {"kind": "compromised-workflow", "subject": f"repository:{case.identity}", "text": "it is still there"}
    assert server.post("/api/v1/reports", json=report).status_code == 201
    server.until(lambda: server.desk_json(responder, "case", "radius", case.case)["files"], bool, "the desk sees the thief's file")


if __name__ == "__main__":
    main()
