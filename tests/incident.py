"""The incident in short, for tests that begin where the story already is: a contained or containable case."""

import json
from dataclasses import dataclass

import repositories
import samples
from repositories import MALICIOUS_PATH, MALICIOUS_WORKFLOW, THIEF, WorkTree


@dataclass
class Incident:
    owner: str
    project: str
    repository: str
    token: str
    responder: str
    case: str

    @property
    def identity(self) -> str:
        return f"github.com/{self.repository}"


def open_case(server, forge, tmp_path, *, project: str = "Lanternfish", repository: str = "example-org/lanternfish") -> Incident:
    """A project that publishes with a token, its repository with the malicious workflow standing on `main`, and a case
    whose exposure the server's own scan has confirmed. Nothing is contained yet."""
    server.account("mara")
    server.account("rosa", role="responder")
    responder = server.token("rosa", "--api", "desk")
    token = server.token("mara", "--description", "release", "--for", f"github:{repository}#PYPI_API_TOKEN")
    name, content = samples.wheel(project, "1.0")
    answer = server.upload(token, name, content, samples.upload_form(project, "1.0", content))
    assert answer.status_code == 200, answer.text

    tree = WorkTree(tmp_path / "victim", forge.create(repository))
    tree.commit("Version 1.0", repositories.project_files(project.lower()))
    tree.git("push", "--quiet", "origin", "main")
    head = tree.commit("Add Github Actions Security workflow", {MALICIOUS_PATH: MALICIOUS_WORKFLOW}, author=THIEF)
    tree.git("push", "--quiet", "origin", "main")
    with forge.run(repository, head, "github_actions_security.yml"):
        pass

    report = server.post("/api/v1/reports", json={"kind": "compromised-workflow", "subject": f"repository:github.com/{repository}",
                                                  "text": "see the workflow"})
    assert report.status_code == 201, report.text
    case = server.desk_json(responder, "case", "open", "--report", report.json()["id"])["id"]
    assert radius(server, responder, case)["exposures"], "the server's own scan confirms nothing"
    return Incident("mara", project, repository, token, responder, case)


def radius(server, responder: str, case: str) -> dict:
    """The blast radius, once the server has looked at the repository itself."""
    asked = server.until(lambda: server.desk(responder, "case", "radius", case, "--format", "json"), lambda done: done.code == 0,
                         "the server has looked at the repository")
    return json.loads(asked.stdout)


def contain(server, incident: Incident) -> dict:
    plan = server.desk_json(incident.responder, "case", "contain", incident.case)
    return server.desk_json(incident.responder, "case", "contain", incident.case, "--apply", plan["digest"])
