"""Unmodified clients against the index. The names in brackets are the scenarios of the compatibility list."""

import hashlib
import re
import time
import uuid

import pypitoken
import pytest
from pymacaroons import MACAROON_V1, Macaroon

import samples

PROJECT, NORMALISED, MODULE = "Demo.Pkg", "demo-pkg", "demo_pkg"
WHEEL, SDIST = "demo_pkg-1.0-py3-none-any.whl", "demo_pkg-1.0.tar.gz"
JSON = "application/vnd.pypi.simple.v1+json"
HTML_V1 = "application/vnd.pypi.simple.v1+html"


@pytest.fixture
def clients(server):
    server.account("mara")
    return server.clients()


@pytest.fixture
def token(server, clients):
    return server.token("mara")


@pytest.fixture
def published(server, clients, token, built):
    """The sample, published by twine."""
    sample = built(PROJECT, "1.0")
    clients.twine_upload(token, *sample.both).ok()
    return sample


def upload(server, token, project=PROJECT, version="2.0", **options):
    name, content = samples.wheel(project, version)
    return server.upload(token, name, content, samples.upload_form(project, version, content), **options)


# --- uploading


def test_twine_publishes_and_repeats_itself_without_effect(server, clients, token, built):
    """[T1, T2]"""
    sample = built(PROJECT, "1.0")
    done = clients.twine_upload(token, *sample.both).ok()
    assert done.output.count("200 OK") == 2
    assert server.offered(NORMALISED) == [WHEEL, SDIST]
    assert server.sql("SELECT role FROM roles") == [("owner",)]

    # evidence keeps each use of a token, also one that changes nothing
    changes = "SELECT COUNT(*) FROM events WHERE tag <> 'token:use'"
    server.until(lambda: server.sql("SELECT COUNT(*) FROM events WHERE position IS NULL"), lambda rows: rows == [("0",)],
                 "every change has its serial")
    before, events = server.simple(NORMALISED), server.sql(changes)
    again = clients.twine_upload(token, *sample.both).ok()
    assert again.output.count("200 OK") == 2
    assert server.sql("SELECT COUNT(*) FROM events WHERE position IS NULL AND journal = 1") == [("0",)]
    assert (server.simple(NORMALISED), server.sql(changes)) == (before, events)


def test_other_bytes_under_the_same_name_are_refused_in_words_that_clients_know(server, clients, published, token, built):
    """[T3, U2]"""
    other = built(PROJECT, "1.0", "something else")
    reason = f"File already exists ('{WHEEL}', with blake2_256 hash '"
    twine = clients.twine_upload(token, other.wheel).ended_with(1)
    assert "400" in twine and reason in twine
    uv = clients.uv_publish(other.wheel, token=token).ended_with(2)
    assert reason in uv
    [offered] = [file for file in server.simple(NORMALISED)["files"] if file["filename"] == WHEEL]
    assert offered["hashes"]["sha256"] == hashlib.sha256(published.wheel.read_bytes()).hexdigest()


def test_a_line_break_after_the_token_does_no_harm(clients, token, built):
    """[T5]"""
    clients.twine_upload(token + "\n", *built(PROJECT, "1.0").both).ok()


def test_wrong_credentials_read_why(server, clients, built, token):
    """[T6, T7]"""
    sample = built(PROJECT, "1.0")
    last = "A" if token[-1] != "A" else "B"
    unknown = clients.twine_upload(f"pypi-{'A' * 100}", *sample.both).ended_with(1)
    assert "403" in unknown and "Invalid or non-existent authentication information." in unknown
    damaged = clients.twine_upload(token[:-5] + last * 5, *sample.both).ended_with(1)
    assert "403" in damaged
    person = clients.twine("upload", "--non-interactive", "--verbose", "--repository-url", clients.upload_url, *sample.both,
                           TWINE_USERNAME="alice", TWINE_PASSWORD="secret").ended_with(1)
    assert "Username/Password authentication is no longer supported." in person
    assert server.offered(NORMALISED) == []


def test_an_upload_url_without_its_slash_is_a_redirect_that_twine_refuses(server, clients, token, built):
    """[T8]"""
    answer = server.post("/legacy", allow_redirects=False)
    assert answer.status_code == 308 and answer.headers["Location"].endswith("/legacy/")
    refused = clients.twine_upload(token, *built(PROJECT, "1.0").both, url=f"{server.url}/legacy").ended_with(1)
    assert "/legacy/" in refused
    assert server.offered(NORMALISED) == []


def test_uv_publishes_and_skips_what_is_there(server, clients, token, built):
    """[U1, U3]"""
    sample = built(PROJECT, "1.0")
    clients.uv_publish(*sample.both, token=token).ok()
    assert server.offered(NORMALISED) == [WHEEL, SDIST]
    uses = server.sql("SELECT COUNT(*) FROM token_uses")
    again = clients.uv_publish(*sample.both, token=token, options=("--check-url", clients.index_url)).ok()
    assert again.output.count("already exists, skipping") == 2
    assert server.sql("SELECT COUNT(*) FROM token_uses") == uses, "something was posted"


def test_all_three_forms_of_the_authorization_header_are_read(server, token):
    """[C2]"""
    for number, scheme in enumerate(("Bearer", "token", "bearer")):
        name, content = samples.wheel(PROJECT, f"3.{number}")
        with server.session() as session:
            answer = session.post(f"{server.url}/legacy/", data=samples.upload_form(PROJECT, f"3.{number}", content), timeout=30,
                                  headers={"Authorization": f"{scheme} {token}"},
                                  files={"content": (name, content, "application/octet-stream")})
        assert answer.status_code == 200, answer.text


def test_a_project_token_is_held_to_its_project(server, token, published):
    """[T13]"""
    narrow = server.token("mara", "--project", PROJECT)
    assert upload(server, narrow).status_code == 200
    other = upload(server, narrow, project="Other.Pkg")
    assert other.status_code == 403
    assert "project-scoped token is not valid for project: 'Other.Pkg'" in other.reason
    assert server.offered("other-pkg") == []


def test_an_unsupported_platform_and_an_image_are_refused(server, token):
    """[T14, C1]"""
    name, content = samples.wheel(PROJECT, "2.0")
    linux = name.replace("none-any", "none-linux_x86_64")
    answer = server.upload(token, linux, content, samples.upload_form(PROJECT, "2.0", content))
    assert (answer.status_code, answer.reason) == (
        400, f"Binary wheel '{linux}' has an unsupported platform tag 'linux_x86_64'.")
    image = server.upload(token, name, content, samples.upload_form(PROJECT, "2.0", content), content_type="image/png")
    assert (image.status_code, image.reason) == (400, "Invalid distribution file.")


# --- reading


def test_pip_installs_downloads_lists_and_checks_hashes(server, clients, published):
    """[R1-R5]"""
    done, target = clients.pip_install(PROJECT)
    done.ok()
    assert clients.imported(target, MODULE) == "1.0 hello"

    folder = clients.folder / "downloads"
    clients.pip("download", "--no-deps", "--index-url", clients.index_url, "--dest", folder, f"{NORMALISED}==1.0").ok()
    assert (folder / WHEEL).read_bytes() == published.wheel.read_bytes()

    versions = clients.pip("index", "versions", "--index-url", clients.index_url, NORMALISED).ok()
    assert "Available versions: 1.0" in versions

    digest = hashlib.sha256(published.wheel.read_bytes()).hexdigest()
    requirements = clients.folder / "requirements.txt"
    requirements.write_text(f"{NORMALISED}==1.0 --hash=sha256:{digest}\n")
    clients.pip_install("--require-hashes", "-r", str(requirements))[0].ok()
    requirements.write_text(f"{NORMALISED}==1.0 --hash=sha256:{'0' * 64}\n")
    refused, _ = clients.pip_install("--require-hashes", "-r", str(requirements))
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in refused.ended_with(1)


def test_versions_stand_newest_first(server, clients, token):
    """[R3]"""
    for version in ("1.9", "1.10", "1.2"):
        assert upload(server, token, version=version).status_code == 200
    assert "Available versions: 1.10, 1.9, 1.2" in clients.pip("index", "versions", "--index-url", clients.index_url, NORMALISED).ok()


def test_uv_installs(clients, published):
    """[R14]"""
    done, target = clients.uv_install(NORMALISED)
    done.ok()
    assert clients.imported(target, MODULE) == "1.0 hello"


def test_other_spellings_are_redirected_to_the_normalised_one(server, published):
    """[R19]"""
    for path in ("/simple/Demo_Pkg/", "/simple/demo-pkg", "/simple/DEMO.PKG"):
        answer = server.get(path, allow_redirects=False)
        assert answer.status_code == 301, path
        assert answer.headers["Location"].endswith("/simple/demo-pkg/"), answer.headers["Location"]


@pytest.mark.parametrize(("accept", "expected"), [
    (JSON, JSON), (HTML_V1, HTML_V1), ("text/html", "text/html"), ("*/*", "text/html"), ("image/png", "text/html"),
    (f"{JSON};q=0.2, {HTML_V1};q=0.9, text/html;q=0.1", HTML_V1),
])
def test_the_form_of_a_page_is_negotiated_and_never_refused(server, published, accept, expected):
    """[R20]"""
    answer = server.get("/simple/demo-pkg/", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].partition(";")[0] == expected
    assert "Accept" in answer.headers["Vary"]


def test_an_unchanged_page_is_not_sent_again(server, published):
    """[R21]"""
    first = server.get("/simple/demo-pkg/", headers={"Accept": JSON})
    again = server.get("/simple/demo-pkg/", headers={"Accept": JSON, "If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304 and again.content == b""
    assert again.headers["X-PyPI-Last-Serial"] == first.headers["X-PyPI-Last-Serial"]


def test_the_json_page_is_complete_sorted_and_compact(server, published):
    """[R22]"""
    answer = server.get("/simple/demo-pkg/", headers={"Accept": JSON})
    page = answer.json()
    assert page["meta"]["api-version"] == "1.4" and page["project-status"] == {"status": "active"}
    assert page["name"] == NORMALISED and page["versions"] == ["1.0"]
    keys = {"filename", "url", "hashes", "requires-python", "size", "upload-time", "yanked", "core-metadata",
            "data-dist-info-metadata", "provenance"}
    assert all(file.keys() == keys for file in page["files"])
    assert list(page) == sorted(page) and all(list(file) == sorted(file) for file in page["files"])
    assert '": ' not in answer.text and answer.text.endswith("}\n")


def test_metadata_is_served_beside_the_wheel(server, published):
    """[R23]"""
    import zipfile
    [wheel] = [file for file in server.simple(NORMALISED)["files"] if file["filename"] == WHEEL]
    metadata = server.get(wheel["url"] + ".metadata").content
    with zipfile.ZipFile(published.wheel) as archive:
        assert metadata == archive.read("demo_pkg-1.0.dist-info/METADATA")
    assert hashlib.sha256(metadata).hexdigest() == wheel["core-metadata"]["sha256"]


# --- Trusted Publishing


def test_the_publish_actions_exchange_and_uv_publish_without_a_secret(server, clients, issuer, published, built):
    """[O1, O6]"""
    publisher(server, issuer)
    job = issuer.job("example-org/demo-pkg")
    done = clients.exchange(**issuer.runner_environment(job)).ok()
    minted = done.stdout.strip()
    assert minted.startswith("pypi-") and len(done.stdout.split()) == 1
    assert issuer.audiences_asked == ["portcullis:localhost"]
    clients.twine_upload(minted, *built(PROJECT, "1.1").both).ok()

    uv = clients.uv_publish(*built(PROJECT, "1.2").both, options=("--trusted-publishing", "always"), **issuer.runner_environment(job))
    assert "Failed to invalidate" not in uv.ok()
    assert set(server.simple(NORMALISED)["versions"]) == {"1.0", "1.1", "1.2"}


def test_uv_gives_its_token_back(server, clients, issuer, published):
    """[O6, O9] the last request of a trusted publish burns the token; a burnt one is dead."""
    publisher(server, issuer)
    minted = clients.exchange(**issuer.runner_environment(issuer.job("example-org/demo-pkg"))).ok().stdout.strip()
    assert server.post("/_/oidc/burn-token", json={"token": minted}).status_code == 202
    assert upload(server, minted).status_code == 403


def test_a_minted_token_publishes_its_own_project_only(server, clients, issuer, published, token):
    """[O13]"""
    assert upload(server, token, project="Other.Pkg", version="1.0").status_code == 200
    publisher(server, issuer)
    minted = clients.exchange(**issuer.runner_environment(issuer.job("example-org/demo-pkg"))).ok().stdout.strip()
    other = upload(server, minted, project="Other.Pkg")
    assert other.status_code == 403
    assert "Invalid API Token: OIDC scoped token is not valid for project 'Other.Pkg'" in other.reason
    new = upload(server, minted, project="Brand.New")
    assert new.status_code == 400
    assert new.reason.startswith("Non-user identities cannot create new projects.")


def test_a_pending_publisher_makes_the_project_once(server, clients, issuer, built):
    """[O14]"""
    server.admin("publisher", "add", PROJECT, "github", "owner=example-org", "owner_id=501", "repository=demo-pkg",
                 "workflow=release.yml", f"issuer={issuer.url}", "--pending", "--account", "mara").ok()
    job = issuer.job("example-org/demo-pkg")
    minted = clients.exchange(**issuer.runner_environment(job)).ok().stdout.strip()
    assert server.sql("SELECT name FROM projects") == [(PROJECT,)]
    assert server.sql("SELECT role FROM roles") == [("owner",)]
    clients.twine_upload(minted, *built(PROJECT, "1.0").both).ok()
    clients.exchange(**issuer.runner_environment(job)).ok()
    assert server.sql("SELECT COUNT(*) FROM projects") == [("1",)]


def test_a_refusal_says_what_differs(server, clients, issuer, published):
    """[O2] PyPI's text first, then what differs; and nothing of it where the repository is somebody else's."""
    publisher(server, issuer)
    wrong = clients.exchange(**issuer.runner_environment(issuer.job("example-org/demo-pkg", "other.yml"))).ended_with(1)
    assert "`invalid-publisher`: valid token, but no corresponding publisher (" in wrong
    assert "expected release.yml, got other.yml" in wrong.output.replace("'", "")
    stranger = clients.exchange(**issuer.runner_environment(issuer.job("stranger/demo-pkg", owner_id="999"))).ended_with(1)
    assert "(Publisher with matching claims was not found)" in stranger
    assert "expected" not in stranger.output


def publisher(server, issuer):
    server.admin("publisher", "add", PROJECT, "github", "owner=example-org", "owner_id=501", "repository=demo-pkg",
                 "workflow=release.yml", f"issuer={issuer.url}").ok()


# --- tokens, with other people's libraries


def test_pypitoken_reads_our_tokens(server, token, published):
    """[M1, M8]"""
    loaded = pypitoken.Token.load(token)
    assert (loaded.prefix, loaded.domain) == ("pypi", "localhost")
    uuid.UUID(loaded.identifier)
    [account] = server.sql("SELECT id FROM accounts WHERE name = 'mara'")
    assert [restriction.dump() for restriction in loaded.restrictions] == [[3, account[0]]]

    narrow = pypitoken.Token.load(server.token("mara", "--project", PROJECT))
    [project] = server.sql("SELECT id FROM projects")
    assert [1, [NORMALISED]] in [r.dump() for r in narrow.restrictions]
    assert [2, [project[0]]] in [r.dump() for r in narrow.restrictions]
    assert re.fullmatch(r"pypi-[A-Za-z0-9-_]{85,}", token)


def test_a_holder_can_narrow_a_token_offline(server, token, published):
    """[M2, M3]"""
    now = int(time.time())
    inside = pypitoken.Token.load(token)
    inside.restrict(not_before=now - 60, not_after=now + 600)
    assert upload(server, inside.dump(), version="2.0").status_code == 200
    past = pypitoken.Token.load(token)
    past.restrict(not_before=now - 600, not_after=now - 60)
    expired = upload(server, past.dump(), version="2.1")
    assert (expired.status_code, expired.reason) == (403, "Invalid API Token: token is expired")
    elsewhere = pypitoken.Token.load(token)
    elsewhere.restrict(project_names=["other"])
    refused = upload(server, elsewhere.dump(), version="2.2")
    assert refused.status_code == 403 and "project-scoped token is not valid for project" in refused.reason
    assert set(server.simple(NORMALISED)["versions"]) == {"1.0", "2.0"}


def test_pymacaroons_reads_our_tokens_and_the_old_text_form_still_works(server, token, published):
    """[M6]"""
    macaroon = Macaroon.deserialize(token.removeprefix("pypi-"))
    assert macaroon.location == "localhost" and len(macaroon.caveats) == 1
    old = Macaroon(location=macaroon.location, identifier=macaroon.identifier, version=MACAROON_V1, signature=macaroon.signature,
                   caveats=macaroon.caveats)
    assert upload(server, f"pypi-{old.serialize()}").status_code == 200


def test_a_changed_caveat_breaks_the_signature(server, token, published):
    """[M7]"""
    narrow = pypitoken.Token.load(token)
    narrow.restrict(not_before=1, not_after=int(time.time()) + 600)
    macaroon = Macaroon.deserialize(narrow.dump().removeprefix("pypi-"))
    macaroon.caveats[-1].caveat_id = macaroon.caveats[-1].caveat_id.replace(b", 1]", b", 2]")
    refused = upload(server, f"pypi-{macaroon.serialize()}")
    assert (refused.status_code, refused.reason) == (403, "Invalid API Token: signatures do not match")
