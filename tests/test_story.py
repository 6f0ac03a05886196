"""The whole story, from the pushed workflow to the dead token, on real repositories, clients and databases.

One test, to be read from top to bottom. Each chapter is a sentence of it; how a chapter is done stands below.
"""

import json
import time

import pytest

import incident
import repositories
import samples
from repositories import MALICIOUS_PATH, MALICIOUS_WORKFLOW, MAINTAINER, STOLEN_SECRETS, THIEF, THIEF_ADDRESS, WorkTree
from servers.mail import words
from website import Website

PROJECT = "Lanternfish"
REPOSITORY = "example-org/lanternfish"
IDENTITY = f"github.com/{REPOSITORY}"
LABEL = f"github:{REPOSITORY}#PYPI_API_TOKEN"
THIEFS_COMPUTER = "127.0.0.2"


@pytest.mark.parametrize("registration", ["publisher by command", "publisher by page"])
def test_a_stolen_token_from_the_pushed_workflow_to_its_death(each_server, registration, forge, issuer, mailbox, built, tmp_path):
    server = each_server
    clients = server.clients()
    owners_mail = server.account("mara")
    server.account("rosa", role="responder")
    responder = server.token("rosa", "--api", "desk")

    # A project is published with a long-lived token by twine, in a run of its repository, and installed by pip.
    token = server.token("mara", "--description", "release", "--for", LABEL)
    clone, release = the_projects_repository(forge, tmp_path)
    with forge.run(REPOSITORY, release, "release.yml", branch="v1.0"):
        clients.twine_upload(token, *built(PROJECT, "1.0", "good morning").both).ok()
    pip, installed = clients.pip_install(PROJECT)
    pip.ok()
    assert clients.imported(installed, "lanternfish") == "1.0 good morning"
    the_forges_clock_moves_on(server)

    # The repository gets the malicious workflow: one pushed commit; it runs; a force-push hides it.
    injected = the_workflow_is_pushed(forge, tmp_path)
    with forge.run(REPOSITORY, injected, "github_actions_security.yml"):
        pass
    the_forges_clock_moves_on(server)
    clone.git("fetch", "--quiet", "origin")
    it_is_hidden_by_a_force_push(forge, clone, release)
    clone.git("fetch", "--quiet", "origin")
    assert forge.refs(REPOSITORY)["refs/heads/main"] == release

    # A thief uses the stolen token, once, from another address.
    assert the_thief_uploads(server, token, "1.1").status_code == 200
    [stolen_release] = [file["url"] for file in server.simple("lanternfish")["files"] if "-1.1-" in file["filename"]]

    # The scan finds it in what the force-push left behind.
    document = the_scan_finds_it(server, clone, injected, tmp_path)

    # A report; a case.
    receipt = a_researcher_reports_it(server, document)
    case = server.desk_json(responder, "case", "open", "--report", receipt["id"])["id"]
    radius = the_servers_own_scan_confirms_it(server, responder, case)

    # The evidence shows exactly that use.
    the_evidence_shows_exactly_one_use_by_the_thief(radius)

    # Contain.
    plan = server.desk_json(responder, "case", "contain", case)
    the_plan_names_what_it_will_do(plan)
    applied = server.desk_json(responder, "case", "contain", case, "--apply", plan["digest"])
    assert applied["applied_at"] and applied["digest"] == plan["digest"]

    # The thief's next upload is refused, and says why and whom to ask.
    refused = the_thief_uploads(server, token, "1.2")
    assert refused.status_code == 403
    assert refused.reason.startswith("Invalid API Token: token was suspended on ")
    assert f"in case {case}" in refused.reason and "security@packages.example.org" in refused.reason

    # The owner got the mail.
    mail = mailbox.wait_for(owners_mail, "was suspended")
    assert case in words(mail) and "lanternfish-1.1-py3-none-any.whl" in words(mail)
    assert token not in words(mail) and f"http://{THIEF_ADDRESS}" not in words(mail)

    # The file that the thief uploaded is no longer offered; the owner's is.
    assert server.offered("lanternfish") == ["lanternfish-1.0-py3-none-any.whl", "lanternfish-1.0.tar.gz"]
    assert [server.get(stolen_release + part).status_code for part in ("", ".metadata")] == [403, 403]
    pip, installed = clients.pip_install(PROJECT)
    pip.ok()
    assert clients.imported(installed, "lanternfish") == "1.0 good morning"

    # The owner registers a Trusted Publisher.
    if registration == "publisher by command":
        server.admin("publisher", "add", PROJECT, "github", "owner=example-org", "owner_id=501", "repository=lanternfish",
                     "workflow=release.yml", f"issuer={issuer.url}").ok()
    else:
        the_owner_registers_a_publisher_on_the_page(server, issuer)

    # uv publishes with it, and so does the exchange of PyPA's action.
    job = issuer.job(REPOSITORY, sha=release, ref="refs/tags/v1.2")
    uv = clients.uv_publish(*built(PROJECT, "1.2", "safe again").both, options=("--trusted-publishing", "always"),
                            **issuer.runner_environment(job))
    uv.ok()
    assert issuer.audiences_asked[-1] == "portcullis:localhost"
    job = issuer.job(REPOSITORY, sha=release, ref="refs/tags/v1.3")
    minted = clients.exchange(**issuer.runner_environment(job)).ok().stdout.strip()
    clients.twine_upload(minted, *built(PROJECT, "1.3", "and again").both).ok()
    somebody_elses_workflow_gets_no_token(clients, issuer, release)

    # pip installs it.
    pip, installed = clients.pip_install(PROJECT)
    pip.ok()
    assert clients.imported(installed, "lanternfish") == "1.3 and again"

    # The history verifies.
    assert "consistent" in server.admin("verify-history").ok().output


# --- the chapters


def the_projects_repository(forge, tmp_path) -> tuple[WorkTree, str]:
    """A repository that publishes by token; the maintainer's clone of it, and the released commit."""
    clone = WorkTree(tmp_path / "maintainers-clone", forge.create(REPOSITORY))
    release = clone.commit("Version 1.0", repositories.project_files("lanternfish"))
    clone.git("tag", "v1.0")
    clone.git("push", "--quiet", "origin", "main", "v1.0")
    return clone, release


def the_workflow_is_pushed(forge, tmp_path) -> str:
    """With a stolen account: the commit claims to be the maintainer's."""
    thiefs = WorkTree(tmp_path / "thiefs-clone", forge.clone_url(REPOSITORY))
    thiefs.git("pull", "--quiet", "origin", "main")
    injected = thiefs.commit("Add Github Actions Security workflow", {MALICIOUS_PATH: MALICIOUS_WORKFLOW}, author=THIEF)
    thiefs.git("push", "--quiet", "origin", "main")
    return injected


def it_is_hidden_by_a_force_push(forge, clone, release):
    clone.git("push", "--quiet", "--force", "origin", f"{release}:refs/heads/main", author=MAINTAINER)


def the_forges_clock_moves_on(server):
    """Forges tell whole seconds: what lies in the next one lies outside of that run for certain."""
    moment = int(time.time())
    server.until(lambda: int(time.time()), lambda now: now > moment + 1, "two seconds have passed")


def the_thief_uploads(server, token, version):
    name, content = samples.wheel(PROJECT, version, says="gotcha")
    return server.upload(token, name, content, samples.upload_form(PROJECT, version, content), address=THIEFS_COMPUTER)


def the_scan_finds_it(server, clone, injected, tmp_path):
    """Which secrets, where to, since when, what one of them opens: for people, and as a document."""
    human = server.program("scan", clone.folder, "--identity", IDENTITY).ended_with(1)
    for said in (MALICIOUS_PATH, "malicious", THIEF_ADDRESS, "curl -s -X P", *STOLEN_SECRETS, "lanternfish"):
        assert said in human.stdout, f"{said!r} is missing from:\n{human.stdout}"

    path = tmp_path / "scan.json"
    server.program("scan", clone.folder, "--identity", IDENTITY, "--format", "json", "--output", path).ended_with(1)
    document = json.loads(path.read_text())
    assert document["schema"] == "portcullis.scan/1"
    [finding] = [finding for finding in document["findings"] if finding["verdict"] == "malicious"]
    assert finding["path"] == MALICIOUS_PATH and finding["repository"]["identity"] == IDENTITY
    assert sorted(secret["name"] for secret in finding["secrets"]) == STOLEN_SECRETS
    assert [destination["host"] for destination in finding["destinations"]] == [THIEF_ADDRESS]
    assert [hop["hop"] for hop in finding["flow"]][0] == "source" and finding["flow"][-1]["hop"] == "sink"
    [opens] = [secret["used_for"] for secret in finding["secrets"] if secret["name"] == "PYPI_API_TOKEN"]
    assert ("pypi", "lanternfish", "claimed") in [(use["registry"], use["package"], use["basis"]) for use in opens]
    assert {exposure["introduced"]["commit"] for exposure in finding["exposures"]} == {injected}
    return path


def a_researcher_reports_it(server, document) -> dict:
    """Without an account; what comes back is the receipt."""
    done = server.program("report", "--server", server.url, "--kind", "compromised-workflow", "--subject", f"repository:{IDENTITY}",
                          "--scan", document, "--text", "-", "--format", "json", stdin="Their secrets were sent away.\n",
                          SSL_CERT_FILE=str(server.authority)).ok()
    receipt = json.loads(done.stdout)
    assert receipt["id"] and receipt["receipt"]
    page = server.get(receipt["status_url"])
    assert page.status_code == 200 and "sent away" not in page.text
    return receipt


def the_servers_own_scan_confirms_it(server, responder, case) -> dict:
    """A sent document is no proof: the server fetches the repository, hidden commit and all, and scans it again."""
    radius = incident.radius(server, responder, case)
    assert {exposure["secret"] for exposure in radius["exposures"]} == set(STOLEN_SECRETS), radius["exposures"]
    for exposure in radius["exposures"]:
        assert exposure["repository"] == IDENTITY and exposure["path"] == MALICIOUS_PATH
        assert THIEF_ADDRESS in exposure["destination"] and exposure["from"]["basis"] == "observed"
    assert [project["name"] for project in radius["projects"]] == [PROJECT]
    assert all(edge["reason"] for edge in radius["edges"])
    return radius


def the_evidence_shows_exactly_one_use_by_the_thief(radius):
    [token] = radius["tokens"]
    assert token["rank"] == "certain" and token["account"]["name"] == "mara", token
    [use] = [use for use in token["evidence"]["uses"] if use["verdict"] == "thief's"]
    assert (use["kind"], use["filename"], use["network"]) == ("upload", "lanternfish-1.1-py3-none-any.whl", THIEFS_COMPUTER)
    assert use["runs"].startswith(("outside every run", "inside run ")), use
    assert not [use for use in token["evidence"]["uses"] if use["verdict"] == "unexplained"]
    assert token["evidence"]["sentence"].startswith("Used by a thief: 1 use since "), token["evidence"]["sentence"]


def the_plan_names_what_it_will_do(plan):
    assert plan["digest"] and "applied_at" not in plan
    targets = {action["type"]: action["target"] for action in plan["actions"]}
    assert targets["suspend-token"].startswith("token:")
    assert targets.keys() & {"hold-file", "hold-release"}, plan
    assert all(action["reason"] and action["reversible"] for action in plan["actions"])


def the_owner_registers_a_publisher_on_the_page(server, issuer):
    website = Website(server)
    website.sign_in("mara", server.password("mara"))
    page = website.get("/project/lanternfish")
    website.submit(page, having="workflow", owner="example-org", owner_id="501", repository="lanternfish", workflow="release.yml",
                   issuer=issuer.url)


def somebody_elses_workflow_gets_no_token(clients, issuer, sha):
    """The same repository, another workflow: what a thief who can push would try."""
    job = issuer.job(REPOSITORY, "github_actions_security.yml", sha=sha)
    refused = clients.exchange(**issuer.runner_environment(job)).ended_with(1)
    assert "`invalid-publisher`: valid token, but no corresponding publisher" in refused
