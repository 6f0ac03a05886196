"""The pages in a real browser: a responder signs in with a second factor and contains a case, by keyboard and by mouse."""

import base64
import hashlib
import hmac
import re
import struct
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

import incident

PICTURES = Path(__file__).parent / "output"


def code_of(secret: str, step: int) -> str:
    """The six digits of a time step (RFC 6238)."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1)
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset:offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


class Authenticator:
    """What a telephone shows. Each code is another step's, since a step is taken only once.

    The first is the present step's: it is still taken when the next has begun before the form arrives."""

    def __init__(self, secret: str):
        self.secret, self.step = secret.replace(" ", ""), 0

    def code(self) -> str:
        self.step = max(int(time.time() // 30), self.step + 1)
        return code_of(self.secret, self.step)


def picture(page, name: str):
    """Keeps the page as it looks on a desk and on a telephone, where nothing may reach past the edge."""
    PICTURES.mkdir(exist_ok=True)
    for label, size in (("desk", {"width": 1280, "height": 900}), ("phone", {"width": 360, "height": 740})):
        page.set_viewport_size(size)
        page.screenshot(path=PICTURES / f"{name}-{label}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], f"{name} is wider than a {label}"
    page.set_viewport_size({"width": 1280, "height": 900})


def press_tab_until(page, name: str):
    """Moves the focus as somebody without a mouse does, until it is on what has this name. It must be seen there."""
    for _ in range(60):
        page.keyboard.press("Tab")
        at = page.evaluate("""() => { const e = document.activeElement; const s = getComputedStyle(e);
            return { name: (e.labels?.[0] ?? e).innerText?.trim() ?? "", seen: s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0 } }""")
        if at["name"].startswith(name):
            assert at["seen"], f"the focus on {name!r} can't be seen"
            return
    raise AssertionError(f"no Tab leads to {name!r} on {page.url}")


def sign_in(page, server, name: str) -> Authenticator:
    """By mouse; the first sign-in leads to setting up the second factor."""
    page.goto(server.url)
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Account name").fill(name)
    page.get_by_label("Password").fill(server.password(name))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Set up a second factor")
    authenticator = Authenticator(page.locator("#secret").inner_text())
    page.get_by_label("Code").fill(authenticator.code())
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    assert page.get_by_role("list", name="Recovery codes").get_by_role("listitem").count() == 10
    page.get_by_role("link", name="I have kept them").click()
    return authenticator


@pytest.fixture
def watched(page):
    """A page on which nothing may be refused by the policy, and nothing fetched from elsewhere."""
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    yield page
    assert complaints == []
    hosts = {re.match(r"[a-z]+://[^/]+", url).group() for url in requests}
    assert len(hosts) <= 1, f"something was fetched from elsewhere: {hosts}"


def test_a_responder_contains_a_case_by_mouse(server, forge, tmp_path, watched):
    case, page = incident.open_case(server, forge, tmp_path), watched
    sign_in(page, server, "rosa")
    expect(page).to_have_url(f"{server.url}/desk")
    picture(page, "desk")
    page.get_by_role("link", name="example-org/lanternfish").first.click()
    expect(page).to_have_url(f"{server.url}/desk/cases/{case.case}")
    for seen in ("PYPI_API_TOKEN", "Lanternfish", "mara", "certain"):
        expect(page.locator("main")).to_contain_text(seen)
    picture(page, "case")
    page.get_by_role("button", name="Contain: show the plan").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Containment plan")
    expect(page.locator("main")).to_contain_text("Suspend the token")
    picture(page, "plan")
    assert server.sql("SELECT COUNT(*) FROM tokens WHERE state = 'suspended'") == [("0",)]
    page.get_by_role("button", name="Contain now").click()
    expect(page.get_by_role("status")).to_contain_text("Contained.")
    assert server.sql("SELECT COUNT(*) FROM tokens WHERE state = 'suspended'") == [("1",)]
    picture(page, "contained")

    page.get_by_label("Why it is taken back").fill("the token was rotated")
    page.get_by_role("button", name="Take back what is chosen").click()
    expect(page.get_by_role("status")).to_contain_text("Taken back")
    assert server.sql("SELECT COUNT(*) FROM tokens WHERE state = 'suspended'") == [("0",)]


def test_a_responder_contains_a_case_by_keyboard_alone(server, forge, tmp_path, watched):
    case, page = incident.open_case(server, forge, tmp_path), watched
    authenticator = sign_in(page, server, "rosa")
    press_tab_until(page, "Sign out")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("signed out")

    # The name's field has the focus already; the rest is typed as it comes.
    page.keyboard.type("rosa")
    page.keyboard.press("Tab")
    page.keyboard.type(server.password("rosa"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Second factor")
    page.keyboard.type(authenticator.code())
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{server.url}/desk")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    page.keyboard.press("Enter")
    press_tab_until(page, "Secrets sent away from")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{server.url}/desk/cases/{case.case}")
    press_tab_until(page, "Contain: show the plan")
    page.keyboard.press("Space")
    expect(page.get_by_role("heading", level=1)).to_have_text("Containment plan")
    press_tab_until(page, "Contain now")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Contained.")
    assert server.sql("SELECT COUNT(*) FROM tokens WHERE state = 'suspended'") == [("1",)]


def test_a_code_that_was_seen_over_a_shoulder_is_worth_nothing(server, page):
    server.account("rosa", role="responder")
    authenticator = sign_in(page, server, "rosa")
    used = code_of(authenticator.secret, authenticator.step)
    page.context.clear_cookies()
    page.goto(f"{server.url}/sign-in")
    page.get_by_label("Account name").fill("rosa")
    page.get_by_label("Password").fill(server.password("rosa"))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Code").fill(used)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("not right or was used before")
    page.goto(f"{server.url}/desk")
    expect(page.get_by_role("heading", level=1)).to_have_text("Second factor")


def test_an_owner_finds_what_was_done_and_registers_a_publisher(server, forge, tmp_path, issuer, watched):
    case, page = incident.open_case(server, forge, tmp_path), watched
    incident.contain(server, case)
    page.goto(f"{server.url}/sign-in")
    page.get_by_label("Account name").fill("mara")
    page.get_by_label("Password").fill(server.password("mara"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{server.url}/account")
    expect(page.get_by_role("region", name="API tokens")).to_contain_text("suspended")
    expect(page.get_by_role("region", name="Security history")).to_contain_text("API token suspended")
    page.locator("details.notice summary").first.click()
    expect(page.locator("details.notice pre").first).to_be_visible()
    picture(page, "account")
    page.get_by_role("link", name=case.project).click()
    picture(page, "project")
    for label, value in (("owner", "example-org"), ("repository", "lanternfish"), ("workflow", "release.yml"), ("owner id (optional)", "501")):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_label("issuer", exact=True).select_option(issuer.url)
    page.get_by_role("button", name="Add it").click()
    expect(page.locator("#publishers + ul")).to_contain_text("release.yml")
    expect(page.locator("#publishers + ul .tag.warn")).to_have_text("open")


def test_the_link_that_serve_prints_makes_the_first_administrator(server, page):
    """And the log of the requests never holds its secret."""
    links = re.findall(r"https://\S+/welcome/\S+", server.log.read_text())
    assert len(links) == 1, server.log.read_text()
    page.goto(links[0])
    page.get_by_label("Account name").fill("ada")
    page.get_by_label("Mail address").fill("ada@example.org")
    page.get_by_label("Password").fill("correct horse ada staple")
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("status")).to_contain_text("The account is made")
    page.goto(links[0])
    expect(page.get_by_role("heading", level=1)).to_have_text("This link no longer works")
    secret = links[0].rpartition("/")[2]
    assert server.log.read_text().count(secret) == 1, "the secret stands in the log of requests"
    assert secret not in str(server.sql("SELECT secret_hash FROM one_time_links"))
