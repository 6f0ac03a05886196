"""Bad input through the built binary: a clear error of the right shape, nothing stored, nothing lost, no panic."""

import hashlib
import json
import time
import zlib

import pypitoken
import pytest
from pymacaroons import Macaroon

import incident
import repositories
import samples
from repositories import MALICIOUS_PATH, MALICIOUS_WORKFLOW, WorkTree

NOT_YAML = "name: [unclosed\non: {push\n\tjobs: -\n: : :\n"


# --- the scanner


def scan_document(server, *arguments, code: int) -> dict:
    done = server.program("scan", *arguments, "--format", "json").ended_with(code)
    assert "panicked" not in done.stderr, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def scanner(tmp_path, attacker):
    """The binary alone: no server, no settings, no network."""
    from portcullis import Portcullis
    return Portcullis(tmp_path / "portcullis", attacker=attacker)


@pytest.fixture
def victim(tmp_path):
    tree = WorkTree(tmp_path / "victim")
    tree.commit("Version 1.0", repositories.project_files("lanternfish"))
    tree.commit("Add", {MALICIOUS_PATH: MALICIOUS_WORKFLOW})
    return tree


def the_malicious_one(document: dict) -> list[str]:
    return [finding["path"] for finding in document["findings"] if finding["verdict"] == "malicious"]


def test_a_workflow_that_is_no_yaml_is_a_problem_and_hides_nothing(scanner, victim):
    victim.commit("Break", {".github/workflows/broken.yml": NOT_YAML})
    document = scan_document(scanner, victim.folder, code=1)
    problems = [problem for problem in document["problems"] if problem.get("path") == ".github/workflows/broken.yml"]
    assert problems and "not valid YAML" in problems[0]["what"], document["problems"]
    assert the_malicious_one(document) == [MALICIOUS_PATH]
    scan_document(scanner, victim.folder, "--strict", code=2)


def test_a_file_that_is_no_workflow_at_all_is_no_crash(scanner, tmp_path):
    path = tmp_path / ".github" / "workflows" / "noise.yml"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(range(256)) * 64)
    document = scan_document(scanner, tmp_path / ".github", "--min-verdict", "malicious", code=0)
    assert document["problems"], document


@pytest.mark.parametrize("damage", ["overwritten", "truncated", "lying about its size", "missing"])
def test_a_broken_object_is_a_problem_and_hides_nothing(scanner, victim, damage):
    blob = victim.git("rev-parse", "HEAD:.github/workflows/image.yml")
    path = victim.folder / ".git" / "objects" / blob[:2] / blob[2:]
    path.chmod(0o644)
    match damage:
        case "overwritten":
            path.write_bytes(b"this is no object")
        case "truncated":
            path.write_bytes(path.read_bytes()[:20])
        case "lying about its size":
            path.write_bytes(zlib.compress(b"blob 99999999999\0small"))
        case "missing":
            path.unlink()
    (victim.folder / ".github/workflows/image.yml").unlink()
    document = scan_document(scanner, victim.folder, code=1)
    assert the_malicious_one(document) == [MALICIOUS_PATH]
    assert document["problems"], "the broken object is passed over in silence"
    assert not document["complete"]


def test_a_path_that_is_nothing_could_not_be_scanned(scanner, tmp_path):
    done = scanner.program("scan", tmp_path / "nowhere").ended_with(2)
    assert "nowhere" in done.stderr and "panicked" not in done.stderr


def test_a_report_about_a_broken_repository_is_kept_and_the_desk_goes_on(server, forge, tmp_path):
    case = incident.open_case(server, forge, tmp_path)
    broken = "example-org/broken"
    tree = WorkTree(tmp_path / "broken", forge.create(broken, repository_id=7002))
    tree.commit("Start", repositories.project_files("broken"))
    tree.git("push", "--quiet", "origin", "main")
    for path in (forge.root / f"{broken}.git" / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"garbage")
    answer = server.post("/api/v1/reports", json={"kind": "compromised-workflow", "subject": f"repository:github.com/{broken}"})
    assert answer.status_code == 201, answer.text
    assert server.get(answer.json()["status_url"]).status_code == 200
    second = server.desk_json(case.responder, "case", "open", "--report", answer.json()["id"])["id"]
    examined = server.until(lambda: server.sql(f"SELECT state, problem FROM examinations WHERE case_id = '{second}'"),
                            lambda rows: rows and all(row[1] for row in rows), "the look at it failed with a sentence")
    assert examined[0][0] in ("waiting", "failed"), "a look that failed is tried again or given up, never called done"
    assert server.desk_json(case.responder, "case", "radius", case.case)["exposures"]
    server.alive()


def test_a_report_that_is_no_json_is_a_problem_document(server):
    for body in (b"{", b"[]", b'{"kind": "gossip", "subject": "project:x"}', b"\xff\xfe", json.dumps({"kind": "malware"}).encode()):
        answer = server.post("/api/v1/reports", data=body, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["Content-Type"].startswith("application/problem+json"), body
        assert answer.json()["status"] == answer.status_code and answer.json()["title"]
    assert server.sql("SELECT COUNT(*) FROM reports") == [("0",)]
    server.alive()


# --- uploads


@pytest.fixture
def token(server):
    server.account("mara")
    return server.token("mara")


def refused_upload(server, answer, status: int, reason: str, project: str = "lanternfish"):
    """Status, reason phrase, and the same text in the JSON body; no trace of a project, a release or a file."""
    assert (answer.status_code, answer.reason) == (status, reason), answer.text
    assert reason in answer.json()["message"] and answer.json()["code"].startswith(str(status))
    nothing_published(server, project)


def nothing_published(server, project: str = "lanternfish"):
    assert server.get(f"/simple/{project}/").status_code == 404
    for table in ("projects", "releases", "files", "blobs"):
        assert server.sql(f"SELECT COUNT(*) FROM {table}") == [("0",)], table
    assert server.events("file:add") == 0 and server.events("project:create") == 0
    server.alive()
    server.admin("verify-history").ok()


def test_a_wheel_that_is_no_zip(server, token):
    content = b"PK this is not a zip file"
    answer = server.upload(token, "lanternfish-1.0-py3-none-any.whl", content, samples.upload_form("Lanternfish", "1.0", content))
    refused_upload(server, answer, 400, "Invalid distribution file. File is not a zipfile")


def test_a_wheel_cut_in_the_middle(server, token):
    name, content = samples.wheel("Lanternfish", "1.0", padding=5000)
    answer = server.upload(token, name, content[:2500], samples.upload_form("Lanternfish", "1.0", content[:2500]))
    assert answer.status_code == 400 and answer.reason.startswith("Invalid distribution file. "), answer.reason
    nothing_published(server)


@pytest.mark.parametrize("field", ["sha256_digest", "blake2_256_digest", "md5_digest"])
def test_a_wrong_digest(server, token, field):
    name, content = samples.wheel("Lanternfish", "1.0")
    wrong = {"sha256_digest": "0" * 64, "blake2_256_digest": "0" * 64, "md5_digest": "0" * 32}[field]
    answer = server.upload(token, name, content, samples.upload_form("Lanternfish", "1.0", content, **{field: wrong}))
    refused_upload(server, answer, 400, "The digest supplied does not match a digest calculated from the uploaded file.")


def test_a_form_field_of_ten_megabytes(server, token):
    name, content = samples.wheel("Lanternfish", "1.0")
    form = samples.upload_form("Lanternfish", "1.0", content, description="x" * 10_000_000)
    answer = server.upload(token, name, content, form)
    assert answer.status_code in (400, 413), answer.status_code
    assert "description" in answer.reason and answer.reason.encode("latin-1") and len(answer.reason) <= 1000
    assert answer.reason in answer.json()["message"]
    nothing_published(server)


def test_ten_thousand_form_fields(server, token):
    name, content = samples.wheel("Lanternfish", "1.0")
    form = samples.upload_form("Lanternfish", "1.0", content) | {f"field_{number}": "x" for number in range(10_000)}
    answer = server.upload(token, name, content, form)
    assert answer.status_code in (400, 413), answer.status_code
    nothing_published(server)


# --- tokens


def test_a_macaroon_with_a_caveat_cut_off(server, token):
    name, content = samples.wheel("Lanternfish", "1.0")
    narrow = pypitoken.Token.load(token)
    narrow.restrict(not_before=1, not_after=int(time.time()) - 60)
    macaroon = Macaroon.deserialize(narrow.dump().removeprefix("pypi-"))
    macaroon.caveats = macaroon.caveats[:-1]
    answer = server.upload(f"pypi-{macaroon.serialize()}", name, content, samples.upload_form("Lanternfish", "1.0", content))
    refused_upload(server, answer, 403, "Invalid API Token: signatures do not match")


def test_an_issued_caveat_cut_off_does_not_widen_a_token(server, token):
    """A project token without its project caveats: the stored copies hold, and the chain is broken besides."""
    name, content = samples.wheel("Demo.Pkg", "1.0")
    assert server.upload(token, name, content, samples.upload_form("Demo.Pkg", "1.0", content)).status_code == 200
    macaroon = Macaroon.deserialize(server.token("mara", "--project", "Demo.Pkg").removeprefix("pypi-"))
    macaroon.caveats = []
    files = server.sql("SELECT COUNT(*) FROM files")
    for project in ("Demo.Pkg", "Lanternfish"):
        name, content = samples.wheel(project, "2.0")
        answer = server.upload(f"pypi-{macaroon.serialize()}", name, content, samples.upload_form(project, "2.0", content))
        assert answer.status_code == 403 and answer.reason.startswith("Invalid API Token: "), answer.reason
    assert server.sql("SELECT COUNT(*) FROM files") == files
    assert server.offered("lanternfish") == []
    server.alive()


@pytest.mark.parametrize("text", ["pypi-", "pypi-AAAA", "pypi-!!!!", "npm-AgEI", "pypi-" + "A" * 20_000, "", "pypi-AgE" + "_" * 300])
def test_what_is_no_token_reads_the_neutral_text(server, text):
    name, content = samples.wheel("Lanternfish", "1.0")
    answer = server.upload(text, name, content, samples.upload_form("Lanternfish", "1.0", content))
    assert answer.status_code == 403
    assert answer.reason.startswith("Invalid or non-existent authentication information."), answer.reason
    nothing_published(server)


# --- identities of CI jobs


@pytest.fixture
def mint(server, issuer):
    """Presents a JWT; there is a pending publisher that would make a project at the first good one."""
    server.account("mara")
    server.admin("publisher", "add", "Lanternfish", "github", "owner=example-org", "owner_id=501", "repository=lanternfish",
                 "workflow=release.yml", f"issuer={issuer.url}", "--pending", "--account", "mara").ok()

    def post(token):
        return server.post("/_/oidc/mint-token", json={"token": token})

    return post


def refused_mint(server, answer, code: str, description: str):
    assert answer.status_code == 422, answer.text
    body = answer.json()
    assert body["message"] == "Token request failed"
    assert body["errors"] == [{"code": code, "description": description}]
    nothing_minted(server)


def nothing_minted(server):
    for table in ("tokens", "used_jti", "projects"):
        assert server.sql(f"SELECT COUNT(*) FROM {table}") == [("0",)], table
    server.alive()


AUDIENCE = "portcullis:localhost"


def hostile_tokens(issuer) -> dict[str, str]:
    job = issuer.job("example-org/lanternfish")
    good = issuer.claims(job, AUDIENCE)
    now = int(time.time())
    without = {key: {k: v for k, v in good.items() if k != key} for key in ("exp", "iat", "aud")}
    return {
        "algorithm none": issuer.unsigned(good),
        "HS256 with the public key": issuer.signed_with_public_key(good),
        "expired": issuer.sign(issuer.claims(job, AUDIENCE, now=now - 1000)),
        "expired exactly at the leeway": issuer.sign({**good, "exp": now - 30}),
        "not yet valid": issuer.sign({**good, "nbf": now + 120}),
        "issued in the future": issuer.sign({**good, "iat": now + 120}),
        "another audience": issuer.sign(issuer.claims(job, "pypi")),
        "a list of audiences": issuer.sign(issuer.claims(job, AUDIENCE, aud=[AUDIENCE])),
        "no expiry": issuer.sign(without["exp"]),
        "no time of issue": issuer.sign(without["iat"]),
        "no audience": issuer.sign(without["aud"]),
        "a changed claim": _with_changed_claim(issuer.sign(good)),
        "an unknown key": issuer.sign(good, kid="somebody-elses"),
        "no key id": issuer.sign(good, kid=""),
        "an unknown critical header": issuer.sign(good, crit=["exotic"], exotic=True),
    }


def _with_changed_claim(token: str) -> str:
    import base64
    head, claims, signature = token.split(".")
    text = base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)).replace(b"example-org/", b"example-orq/")
    return f"{head}.{base64.urlsafe_b64encode(text).rstrip(b'=').decode()}.{signature}"


def test_every_forged_or_stale_identity_is_refused_and_leaves_nothing(server, issuer, mint):
    for name, token in hostile_tokens(issuer).items():
        print(name)
        refused_mint(server, mint(token), "invalid-token", "malformed or invalid token")
    assert mint(issuer.sign(issuer.claims(issuer.job("example-org/lanternfish"), AUDIENCE))).status_code == 200, "the good one"


def test_an_identity_used_twice_is_refused_the_second_time(server, issuer, mint):
    token = issuer.sign(issuer.claims(issuer.job("example-org/lanternfish"), AUDIENCE))
    assert mint(token).json()["success"] is True
    tokens = server.sql("SELECT COUNT(*) FROM tokens")
    again = mint(token)
    assert again.status_code == 422
    assert again.json()["errors"] == [{"code": "invalid-reuse-token", "description": "invalid token: already used"}]
    assert server.sql("SELECT COUNT(*) FROM tokens") == tokens
    assert server.sql("SELECT COUNT(*) FROM used_jti") == [("1",)]
    server.alive()


def test_a_refused_identity_is_not_used_up(server, issuer, mint):
    """Only a token that was exchanged counts as used: a refusal can be mended and tried again."""
    token = issuer.sign(issuer.claims(issuer.job("example-org/lanternfish", "other.yml"), AUDIENCE))
    assert mint(token).json()["errors"][0]["code"] == "invalid-publisher"
    nothing_minted(server)
    server.admin("publisher", "add", "Second", "github", "owner=example-org", "owner_id=501", "repository=lanternfish",
                 "workflow=other.yml", f"issuer={issuer.url}", "--pending", "--account", "mara").ok()
    assert mint(token).status_code == 200


def test_an_issuer_nobody_configured_is_unknown_and_never_asked(server, issuer, attacker, mint):
    """Neither the issuer that a token names nor the key address in its header is visited: `attacker` checks it."""
    job = issuer.job("example-org/lanternfish")
    refused_mint(server, mint(issuer.sign(issuer.claims(job, AUDIENCE, iss=attacker.url))), "invalid-payload",
                 "unknown trusted publishing issuer")
    refused_mint(server, mint(issuer.sign(issuer.claims(job, AUDIENCE, exp=1), jku=f"{attacker.url}/keys")), "invalid-token",
                 "malformed or invalid token")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"token": 7}', b'{"token": null}', b'{"token": ["a"]}'])
def test_what_is_no_mint_request(server, body):
    answer = server.post("/_/oidc/mint-token", data=body)
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["code"] == "invalid-payload" and error["description"]
    nothing_minted(server)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "..", "é.é.é", "A" * 100_000])
def test_what_is_no_jwt(server, token):
    refused_mint(server, server.post("/_/oidc/mint-token", json={"token": token}), "invalid-payload", "malformed JWT")


def test_digests_are_what_they_say(server, token):
    """The counterpart of the refusals above: the same form, right, is stored."""
    name, content = samples.wheel("Lanternfish", "1.0")
    form = samples.upload_form("Lanternfish", "1.0", content, md5_digest=hashlib.md5(content).hexdigest())
    assert server.upload(token, name, content, form).status_code == 200
    assert server.offered("lanternfish") == [name]
