"""What happens at the same moment: an upload and the decision against it, a body that breaks off, two who want the same.

An upload that began before the decision and ends after it is refused: the committing transaction looks again.
"""

import base64
import secrets
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor

import incident
import samples

BOUNDARY = "frontier"


def multipart(form: dict[str, str], filename: str, content: bytes) -> bytes:
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode() for key, value in form.items()]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="content"; filename="{filename}"\r\n' \
           "Content-Type: application/octet-stream\r\n\r\n"
    return b"".join([*parts, head.encode(), content, f"\r\n--{BOUNDARY}--\r\n".encode()])


class SlowUpload:
    """An upload over one TLS connection whose body is sent piece by piece, when the test says so.

    `Expect: 100-continue` makes the beginning observable: the server answers `100 Continue` when it begins to read the
    body, which is after it has accepted the credentials.
    """

    def __init__(self, server, token: str, project: str, version: str, size: int):
        self.filename, content = samples.wheel(project, version, padding=size)
        self.body = multipart(samples.upload_form(project, version, content), self.filename, content)
        context = ssl.create_default_context(cafile=server.authority)
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        self.connection = context.wrap_socket(plain, server_hostname="localhost")
        credentials = base64.b64encode(f"__token__:{token}".encode()).decode()
        self.connection.sendall((
            f"POST /legacy/ HTTP/1.1\r\nHost: localhost:{server.port}\r\nAuthorization: Basic {credentials}\r\nAccept: text/plain\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(self.body)}\r\n"
            "Expect: 100-continue\r\nConnection: close\r\n\r\n").encode())
        self.answers = self.connection.makefile("rb")

    def begin(self, share: float):
        """Waits until the server reads the body, and sends a share of it."""
        assert self.answers.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert self.answers.readline() == b"\r\n"
        self.sent = int(len(self.body) * share)
        self.connection.sendall(self.body[:self.sent])

    def break_off(self):
        self.connection.close()
        self.answers.close()

    def finish(self) -> tuple[str, str]:
        """Sends the rest; answers the status line and the body."""
        self.connection.sendall(self.body[self.sent:])
        answer = self.answers.read().decode("latin-1")
        self.connection.close()
        head, _, body = answer.partition("\r\n\r\n")
        return head.splitlines()[0], body


def test_a_body_still_streaming_when_containment_commits_is_refused(each_server, forge, tmp_path):
    server = each_server
    case = incident.open_case(server, forge, tmp_path)
    stored_before = server.sql("SELECT COUNT(*) FROM files")
    upload = SlowUpload(server, case.token, case.project, "1.1", size=300_000)
    upload.begin(share=0.5)

    incident.contain(server, case)

    status, body = upload.finish()
    assert status.startswith("HTTP/1.1 403 Invalid API Token: token was suspended on "), status
    assert f"in case {case.case}" in status and "security@packages.example.org" in status
    assert "token was suspended on" in body
    assert upload.filename not in server.offered("lanternfish")
    assert server.sql("SELECT COUNT(*) FROM files") == stored_before
    assert server.sql("SELECT COUNT(*) FROM releases WHERE version = '1.1'") == [("0",)]
    server.admin("verify-history").ok()


def test_the_same_slow_upload_without_a_decision_is_stored(each_server):
    """The counterpart: what is refused above is not refused for being slow."""
    server = each_server
    server.account("mara")
    token = server.token("mara")
    upload = SlowUpload(server, token, "Lanternfish", f"1.{secrets.randbelow(100)}", size=300_000)
    upload.begin(share=0.5)
    status, body = upload.finish()
    assert status == "HTTP/1.1 200 OK" and body == ""
    assert server.offered("lanternfish") == [upload.filename]


def test_a_body_that_breaks_off_leaves_nothing_and_reserves_no_name(each_server):
    server = each_server
    server.account("mara")
    token = server.token("mara")
    upload = SlowUpload(server, token, "Lanternfish", "1.0", size=300_000)
    upload.begin(share=0.5)
    upload.break_off()
    name, content = samples.wheel("Lanternfish", "1.0")
    assert name == upload.filename
    assert server.upload(token, name, content, samples.upload_form("Lanternfish", "1.0", content)).status_code == 200
    assert server.offered("lanternfish") == [name]
    assert server.sql("SELECT COUNT(*) FROM files") == [("1",)]


def test_identical_uploads_at_the_same_time_make_one_file(each_server):
    server = each_server
    server.account("mara")
    token = server.token("mara")
    name, content = samples.wheel("Lanternfish", "1.0", padding=100_000)
    form = samples.upload_form("Lanternfish", "1.0", content)
    with ThreadPoolExecutor(6) as people:
        answers = list(people.map(lambda _: server.upload(token, name, content, form), range(6)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 200 and set(statuses) <= {200, 400, 409}, [(answer.status_code, answer.reason) for answer in answers]
    for table in ("projects", "releases", "files"):
        assert server.sql(f"SELECT COUNT(*) FROM {table}") == [("1",)], table
    server.alive()


def test_one_identity_presented_many_times_at_once_is_exchanged_once(each_server, issuer):
    server = each_server
    server.account("mara")
    server.admin("publisher", "add", "Lanternfish", "github", "owner=example-org", "owner_id=501", "repository=lanternfish",
                 "workflow=release.yml", f"issuer={issuer.url}", "--pending", "--account", "mara").ok()
    token = issuer.sign(issuer.claims(issuer.job("example-org/lanternfish"), "portcullis:localhost"))
    with ThreadPoolExecutor(6) as runners:
        answers = list(runners.map(lambda _: server.post("/_/oidc/mint-token", json={"token": token}), range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [422] * 5
    assert {answer.json()["errors"][0]["code"] for answer in answers if answer.status_code == 422} == {"invalid-reuse-token"}
    for table in ("projects", "used_jti", "tokens"):
        assert server.sql(f"SELECT COUNT(*) FROM {table}") == [("1",)], table
