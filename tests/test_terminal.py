"""What people do with their own tokens and publishers from a terminal, and what the operator stops."""

import json


def ids(listed: dict) -> dict[str, str]:
    return {token["description"]: token["id"] for token in listed["tokens"]}


def test_the_operator_lists_and_revokes_tokens_and_freezes_an_account(each_server, built):
    server = each_server
    server.account("mara", "responder")
    upload = server.token("mara", "--description", "ci")
    desk = server.token("mara", "--api", "desk", "--description", "phone")
    listed = server.admin("token", "list", "mara", "--format", "json").ok()
    assert upload not in listed.stdout and desk not in listed.stdout
    known = ids(json.loads(listed.stdout))
    assert set(known) == {"ci", "phone"}
    assert known["ci"] in server.admin("token", "list", "mara").ok()

    server.desk(desk, "case", "list").ok()
    server.admin("account", "freeze", "mara", "--reason", "taken over").ok()
    assert "frozen" in server.desk(desk, "case", "list").ended_with(1)
    server.admin("account", "freeze", "mara", "--reason", "again").ended_with(2)
    server.admin("account", "unfreeze", "mara", "--reason", "hers again").ok()
    server.desk(desk, "case", "list").ok()

    for name in ("ci", "phone"):
        server.admin("token", "revoke", known[name]).ok()
        server.admin("token", "revoke", known[name]).ended_with(2)
    server.desk(desk, "case", "list").ended_with(2)
    assert {token["state"] for token in json.loads(server.admin("token", "list", "mara", "--format", "json").ok().stdout)["tokens"]} \
        == {"revoked"}
    refused = server.clients().twine_upload(upload, *built("Demo.Pkg", "1.0").both)
    assert refused.code != 0
    for tag in ("account:freeze", "account:unfreeze", "account:api_token:removed", "account:management_token:removed"):
        assert server.events(tag) == 1, tag
    another = server.token("mara", "--api", "desk")
    server.admin("account", "reset", "mara").ok()
    server.desk(another, "case", "list").ended_with(2)


def test_owners_see_and_end_their_tokens_and_manage_publishers(server, issuer, built):
    server.account("mara")
    upload = server.token("mara", "--description", "ci")
    server.clients().twine_upload(upload, *built("Demo.Pkg", "1.0").both).ok()
    manage = server.token("mara", "--api", "manage", "--description", "laptop")
    assert "ci" in server.desk(manage, "token", "list").ok()
    listed = server.desk_json(manage, "token", "list")
    assert [token["description"] for token in listed["management_tokens"]] == ["laptop"]

    # An upload token burns itself and does nothing else here.
    server.desk(upload, "token", "list").ended_with(1)
    server.desk(upload, "token", "burn").ok()
    assert server.desk_json(manage, "token", "list")["tokens"][0]["state"] == "revoked"
    server.desk(upload, "token", "burn", "not-an-id").ended_with(2)

    fields = ["owner=example-org", "owner_id=1", "repository=demo", "workflow=release.yml", f"issuer={issuer.url}"]
    added = server.desk_json(manage, "publisher", "add", "demo-pkg", "github", *fields)
    assert added["id"] in server.desk(manage, "publisher", "list", "demo-pkg").ok()
    server.desk(manage, "publisher", "add", "demo-pkg", "github", *fields).ended_with(1)
    server.desk(manage, "publisher", "remove", "demo-pkg", "--id", added["id"]).ok()
    assert server.desk_json(manage, "publisher", "list", "demo-pkg")["publishers"] == []
    pending = server.desk_json(manage, "publisher", "add", "new-name", "github", *fields, "--pending")
    assert pending["id"] in server.desk(manage, "publisher", "list", "--pending").ok()
    server.desk(manage, "publisher", "remove", "--pending", "--id", pending["id"]).ok()
    assert server.desk_json(manage, "publisher", "list", "--pending")["publishers"] == []
    server.desk(manage, "token", "burn").ok()
    server.desk(manage, "token", "list").ended_with(2)


def test_a_scan_reports_what_it_finds_and_only_that(server, tmp_path):
    from repositories import MALICIOUS_WORKFLOW

    workflows = tmp_path / "found" / ".github" / "workflows"
    workflows.mkdir(parents=True)
    clean = tmp_path / "clean" / ".github" / "workflows"
    clean.mkdir(parents=True)
    (clean / "test.yml").write_text("name: Test\non: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - run: make\n")
    (workflows / "bad.yml").write_text(MALICIOUS_WORKFLOW)
    quiet = server.desk("", "scan", "--report", server.url, tmp_path / "clean").ok()
    assert "reported" not in quiet.stderr
    found = server.desk("", "scan", "--format", "json", "--report", server.url, tmp_path / "found").ended_with(1)
    assert json.loads(found.stdout)["schema"] == "portcullis.scan/1"
    assert "reported as" in found.stderr
    server.account("rosa", "responder")
    reports = server.get("/api/v1/reports", headers={"Authorization": f"Bearer {server.token('rosa', '--api', 'desk')}"}).json()
    assert [(report["kind"], report["scan_document"]) for report in reports["reports"]] == [("compromised-workflow", True)]
    server.desk("", "scan", "--report", "http://127.0.0.1:9", tmp_path / "found").ended_with(2)
