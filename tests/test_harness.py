"""The stand-ins work by themselves: without this, a failing story could be the fault of its stage."""

import subprocess
import sys

import jwt
import pytest
import requests

import clients
import repositories
import samples
from servers.mail import words


def test_the_issuer_signs_what_its_own_key_set_verifies(issuer):
    job = issuer.job("example-org/lanternfish")
    runner = issuer.runner_environment(job)
    answer = requests.get(runner["ACTIONS_ID_TOKEN_REQUEST_URL"] + "&audience=portcullis:localhost", timeout=10,
                          headers={"Authorization": f"bearer {runner['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"})
    discovered = requests.get(f"{issuer.url}/.well-known/openid-configuration", timeout=10).json()
    keys = jwt.PyJWKSet.from_dict(requests.get(discovered["jwks_uri"], timeout=10).json())
    token = answer.json()["value"]
    claims = jwt.decode(token, keys[jwt.get_unverified_header(token)["kid"]], algorithms=["RS256"],
                        audience="portcullis:localhost", issuer=issuer.url)
    assert claims["repository"] == "example-org/lanternfish"
    with pytest.raises(jwt.InvalidTokenError):
        jwt.decode(issuer.unsigned(claims), keys[issuer.key_id], algorithms=["RS256"], audience="portcullis:localhost")


def test_the_forge_serves_git_and_remembers_pushes_even_forced_ones(forge, tmp_path):
    url = forge.create("example-org/lanternfish")
    tree = repositories.WorkTree(tmp_path / "clone", url)
    first = tree.commit("Start", repositories.project_files("lanternfish"))
    tree.git("push", "--quiet", "origin", "main")
    second = tree.commit("Add", {repositories.MALICIOUS_PATH: repositories.MALICIOUS_WORKFLOW})
    tree.git("push", "--quiet", "origin", "main")
    tree.git("reset", "--quiet", "--hard", first)
    tree.git("push", "--quiet", "--force", "origin", "main")
    activity = requests.get(f"{forge.url}/repos/Example-Org/lanternfish/activity?per_page=100", timeout=10).json()
    assert [(event["activity_type"], event["after"]) for event in activity] == [
        ("force_push", first), ("push", second), ("branch_creation", first)]
    # the hidden commit is still handed out to whoever knows its id
    other = repositories.WorkTree(tmp_path / "other", url)
    other.git("fetch", "--quiet", "origin", second)
    assert other.git("rev-parse", "FETCH_HEAD") == second


def test_the_mailbox_keeps_what_is_sent(mailbox):
    import smtplib
    with smtplib.SMTP("127.0.0.1", mailbox.port, timeout=10) as smtp:
        smtp.sendmail("a@example.org", ["b@example.org"], "Subject: hello\r\n\r\nthere\r\n")
    assert "there" in words(mailbox.wait_for("b@example.org", "hello"))


def test_the_database_cluster_hands_out_empty_databases(postgres):
    name = postgres.database().rpartition("/portcullis_")[2].partition("?")[0]
    assert postgres.sql(f"portcullis_{name}", "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'") == "0"


def test_samples_made_by_hand_are_accepted_by_twine_check_and_pip(tmp_path, built):
    name, content = samples.wheel("Demo.Pkg", "2.0", padding=1000)
    (tmp_path / name).write_bytes(content)
    environment = clients.base_environment(tmp_path / "home")
    clients.run([sys.executable, "-m", "twine", "check", "--strict", *built("Demo.Pkg", "1.0").both], environment=environment).ok()
    clients.run([sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--target", tmp_path / "target", tmp_path / name],
                environment=environment).ok()
    assert subprocess.run([sys.executable, "-c", "import demo_pkg; print(demo_pkg.VERSION)"], capture_output=True, text=True,
                          env={"PYTHONPATH": str(tmp_path / "target")}, timeout=30).stdout == "2.0\n"


def test_the_browser_shows_a_page(page, issuer):
    page.goto(f"{issuer.url}/.well-known/openid-configuration")
    assert "jwks_uri" in page.inner_text("body")
