"""What the tests stand on: the built server on SQLite and on PostgreSQL, and the servers it talks to.

    server       a running Portcullis on SQLite, with issuer, forge and mail wired in
    each_server  the same, once on SQLite and once on PostgreSQL
    issuer, forge, mailbox, attacker   the loopback servers (tests/servers)
    built        builds sample distributions with `python -m build`, each once a session
    page         a page of headless Chromium (Debian's), with a profile of its own

Every server is stopped by its process id, must end with exit code 0, must not have panicked, and nothing may ever
have visited the attacker's host.
"""

import pytest
from playwright.sync_api import sync_playwright

import samples
from portcullis import Portcullis
from postgres import Cluster
from servers.attacker import Attacker
from servers.forge import Forge
from servers.issuer import Issuer
from servers.mail import Mailbox


@pytest.fixture(scope="session")
def postgres():
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def issuer():
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def forge():
    with Forge() as forge:
        yield forge


@pytest.fixture
def mailbox():
    with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def attacker():
    with Attacker() as attacker:
        yield attacker
        assert attacker.visits == [], "something was sent to a host that only hostile text names"


@pytest.fixture
def settings(issuer, forge, mailbox) -> str:
    """The operator's settings that wire in the loopback servers."""
    return f"""\
[[issuer]]
provider = "github"
url = "{issuer.url}"

[github]
api = "{forge.url}"

[mail]
smtp = "{mailbox.url}"
from = "security@packages.example.org"
"""


@pytest.fixture
def server(tmp_path, settings, attacker):
    yield from _running(Portcullis(tmp_path / "portcullis", attacker=attacker, settings=settings))


@pytest.fixture(params=["sqlite", "postgresql"])
def each_server(request, tmp_path, settings, attacker):
    cluster = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    database = cluster.database() if cluster else None
    yield from _running(Portcullis(tmp_path / "portcullis", database=database, cluster=cluster, attacker=attacker, settings=settings))


def _running(server):
    server.start()
    try:
        yield server
    except BaseException:
        server.kill()
        raise
    server.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of its server's log."""
    report = yield
    if report.failed and "tmp_path" in item.funcargs:
        for log in item.funcargs["tmp_path"].rglob("server.log"):
            report.sections.append((f"end of {log.name}", log.read_text(errors="replace")[-6000:]))
    return report


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    folder, done = tmp_path_factory.mktemp("samples"), {}

    def build(project: str, version: str, says: str = "hello") -> samples.Built:
        key = (project, version, says)
        if key not in done:
            done[key] = samples.build(folder / f"{len(done)}", project, version, says)
        return done[key]

    return build


@pytest.fixture
def page():
    """Debian's Chromium by remote control. It trusts the test server's authority by not asking: what is tested is the page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=[
            "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"])
        context = browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 900})
        context.set_default_timeout(15_000)
        try:
            yield context.new_page()
        finally:
            browser.close()
