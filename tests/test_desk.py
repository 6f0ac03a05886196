"""The desk from outside: what a report may cause, what containment does and takes back, and what nobody can make it do."""

import json

import pytest

import incident
import repositories
import samples
from repositories import MALICIOUS_PATH, MALICIOUS_WORKFLOW, WorkTree


def upload(server, token, project, version):
    name, content = samples.wheel(project, version)
    return server.upload(token, name, content, samples.upload_form(project, version, content))


def test_a_report_outlives_the_death_of_the_server(each_server):
    """It is on disk before the sender has the receipt: the process is killed at once, without a farewell."""
    server = each_server
    answer = server.post("/api/v1/reports", json={"kind": "malware", "subject": "project:lanternfish", "text": "it steals"})
    server.kill()
    assert answer.status_code == 201
    assert set(answer.json()) >= {"id", "receipt", "status_url"}
    server.start()
    page = server.get(answer.json()["status_url"])
    assert page.status_code == 200 and "it steals" not in page.text
    server.account("rosa", role="responder")
    listed = server.get("/api/v1/reports", headers={"Authorization": f"Bearer {server.token('rosa', '--api', 'desk')}"})
    assert answer.json()["id"] in listed.text and "it steals" in listed.text


def test_containment_is_taken_back_as_a_whole(each_server, forge, issuer, tmp_path):
    server = each_server
    case = incident.open_case(server, forge, tmp_path)
    server.admin("publisher", "add", case.project, "github", "owner=example-org", "owner_id=501", "repository=lanternfish",
                 "workflow=release.yml", f"issuer={issuer.url}").ok()
    job = issuer.job(case.repository)
    minted = server.clients().exchange(**issuer.runner_environment(job)).ok().stdout.strip()
    incident.contain(server, case)
    assert upload(server, case.token, case.project, "1.1").status_code == 403
    assert upload(server, minted, case.project, "1.1").status_code == 403, "a live minted token outlived its publisher"
    paused = server.clients().exchange(**issuer.runner_environment(job)).ended_with(1)
    assert "publisher-paused" in paused

    server.desk(case.responder, "case", "release", case.case, "--reason", "the token was rotated").ok()
    assert upload(server, case.token, case.project, "1.1").status_code == 200
    server.clients().exchange(**issuer.runner_environment(job)).ok()
    server.admin("verify-history").ok()


def test_a_stale_digest_is_refused_and_nothing_is_done(server, forge, tmp_path):
    case = incident.open_case(server, forge, tmp_path)
    refused = server.desk(case.responder, "case", "contain", case.case, "--apply", "0" * 64).ended_with(1)
    assert "digest" in refused.output
    assert upload(server, case.token, case.project, "1.1").status_code == 200


def test_the_same_plan_twice_has_one_digest_and_applies_once(server, forge, tmp_path):
    case = incident.open_case(server, forge, tmp_path)
    plans = [server.desk_json(case.responder, "case", "contain", case.case) for _ in range(2)]
    assert plans[0]["digest"] == plans[1]["digest"] and plans[0]["actions"]
    assert "applied_at" not in plans[0] or plans[0]["applied_at"] is None
    incident.contain(server, case)
    assert server.sql("SELECT COUNT(*) FROM tokens WHERE state = 'suspended'") == [("1",)]


def test_a_bystander_is_not_touched(server, forge, tmp_path):
    """Another owner's project and token, beside the incident."""
    case = incident.open_case(server, forge, tmp_path)
    server.account("olu")
    bystanders = server.token("olu", "--for", "github:example-org/another#PYPI_API_TOKEN")
    assert upload(server, bystanders, "Seahorse", "1.0").status_code == 200
    incident.contain(server, case)
    assert upload(server, bystanders, "Seahorse", "1.1").status_code == 200
    assert server.offered("seahorse")


def forged_document() -> dict:
    """What a scan of somebody's clean repository never said."""
    secret = {"name": "PYPI_API_TOKEN", "kind": "pypi", "certainty": "certain", "rotate": None, "used_for": [
        {"registry": "pypi", "package": "lanternfish", "basis": "claimed", "path": "pyproject.toml", "line": 2, "commit": "a" * 40}]}
    span = {"start": {"line": 1, "column": 1}, "end": {"line": 1, "column": 2}}
    exposure = {"secret": "PYPI_API_TOKEN", "destination": "192.0.2.66", "reachable": True, "triggers": ["push"],
                "introduced": {"commit": "a" * 40, "time": "2025-09-02T12:00:00Z", "basis": "claimed", "author": "x", "message": "x"},
                "refs": [{"ref": "refs/heads/main", "introduced": "a" * 40, "removed": None}], "versions": ["b" * 40]}
    finding = {"id": "0123456789abcdef", "rule": "http-exfiltration", "verdict": "malicious", "standing": "could-run",
               "signals": ["foreign-destination"], "repository": {"given": ".", "identity": "github.com/example-org/lanternfish"},
               "path": MALICIOUS_PATH, "blob": "b" * 40, "skeleton": "0" * 16, "span": span, "secrets": [secret], "all_secrets": False,
               "destinations": [{"host": "192.0.2.66", "url": "http://192.0.2.66/", "class": "raw-address"}], "flow": [],
               "exposures": [exposure]}
    return {"schema": "portcullis.scan/1", "complete": True, "findings": [finding], "problems": [],
            "stats": {"repositories": 1, "commits": 1, "workflow_versions": 1, "files_failed": 0, "seconds": 0.1}}


def clean_project(server, forge, tmp_path) -> tuple[str, str, WorkTree]:
    server.account("mara")
    server.account("rosa", role="responder")
    token = server.token("mara", "--for", "github:example-org/lanternfish#PYPI_API_TOKEN")
    assert upload(server, token, "Lanternfish", "1.0").status_code == 200
    tree = WorkTree(tmp_path / "clean", forge.create("example-org/lanternfish"))
    tree.commit("Version 1.0", repositories.project_files("lanternfish"))
    tree.git("push", "--quiet", "origin", "main")
    return token, server.token("rosa", "--api", "desk"), tree


def examined(server, case: str):
    server.until(lambda: server.sql(f"SELECT state FROM examinations WHERE case_id = '{case}'"),
                 lambda rows: rows and all(row == ("done",) for row in rows), "the repository was looked at")


@pytest.mark.parametrize("lie", ["a forged document", "a pull request"])
def test_nobody_but_the_incident_itself_makes_the_desk_act(server, forge, tmp_path, lie):
    """A sent document is no proof, and a pull request that anybody can open is not the repository's own."""
    token, responder, tree = clean_project(server, forge, tmp_path)
    report = {"kind": "compromised-workflow", "subject": "repository:github.com/example-org/lanternfish"}
    if lie == "a forged document":
        report["scan"] = forged_document()
    else:
        tree.git("checkout", "--quiet", "-b", "attack")
        tree.commit("Add", {MALICIOUS_PATH: MALICIOUS_WORKFLOW})
        tree.git("push", "--quiet", "origin", "attack:refs/pull/1/head")
    answer = server.post("/api/v1/reports", json=report)
    assert answer.status_code == 201, answer.text
    case = server.desk_json(responder, "case", "open", "--report", answer.json()["id"])["id"]
    examined(server, case)
    plan = server.desk_json(responder, "case", "contain", case)
    assert [action for action in plan["actions"] if action["type"] == "suspend-token"] == [], json.dumps(plan, indent=1)
    assert upload(server, token, "Lanternfish", "1.1").status_code == 200


def test_only_the_desks_people_may_ask_and_act(server, forge, tmp_path):
    case = incident.open_case(server, forge, tmp_path)
    manage = server.token("mara", "--api", "manage")
    for method, path in (("GET", "/api/v1/cases"), ("GET", f"/api/v1/cases/{case.case}/radius"),
                         ("POST", f"/api/v1/cases/{case.case}/plan"), ("POST", f"/api/v1/cases/{case.case}/contain"),
                         ("GET", "/api/v1/reports"), ("GET", "/api/v1/notices")):
        for token, expected in ((None, 401), (manage, 403), (case.token, 403)):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            with server.session() as session:
                answer = session.request(method, server.url + path, headers=headers, json={"digest": "0"} if method == "POST" else None,
                                         timeout=30)
            assert answer.status_code == expected, f"{method} {path} with {'no token' if token is None else token[:12]}: {answer.text}"
            assert answer.headers["Content-Type"].startswith("application/problem+json")


def test_a_notice_is_tracked_until_it_is_delivered(server, forge, tmp_path, mailbox):
    case = incident.open_case(server, forge, tmp_path)
    incident.contain(server, case)
    mailbox.wait_for("mara@example.org", "was suspended")
    notices = server.until(lambda: server.desk(case.responder, "notice", "list", "--format", "json").ok().stdout,
                           lambda text: "delivered" in text, "the notice is delivered")
    assert "mara@example.org" in notices or "mara" in notices
