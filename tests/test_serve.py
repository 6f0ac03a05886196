"""Starting and stopping the server, its settings, its certificate, and `admin` beside it."""

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import samples
from portcullis import Portcullis


def own_certificate(folder) -> tuple:
    """An authority's certificate, and a server's certificate chain and key issued by it, as files."""
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)

    def certificate(subject, key, issuer, issuer_key, authority):
        builder = (x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer)).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
                   .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True))
        if not authority:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = certificate("An authority of our own", authority_key, "An authority of our own", authority_key, True)
    leaf = certificate("localhost", key, "An authority of our own", authority_key, False)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "authority.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    (folder / "chain.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + authority.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                       serialization.NoEncryption()))
    return folder / "authority.pem", folder / "chain.pem", folder / "key.pem"


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class WithOwnCertificate(Portcullis):
    authority = None


def test_an_operators_own_certificate(tmp_path, attacker, built):
    authority, chain, key = own_certificate(tmp_path / "tls")
    server = WithOwnCertificate(tmp_path / "portcullis", attacker=attacker, settings=f'[tls]\ncert = "{chain}"\nkey = "{key}"\n')
    server.authority = authority
    server.start()
    try:
        server.account("mara")
        server.clients().uv_publish(*built("Demo.Pkg", "1.0").both, token=server.token("mara")).ok()
        assert len(server.offered("demo-pkg")) == 2
    finally:
        server.stop()


def test_with_no_settings_at_all(tmp_path):
    """`portcullis serve` in an empty folder: data below it, the built-in database, plain http on loopback."""
    server = Portcullis(tmp_path / "portcullis")
    server.config.unlink()
    server.url = f"http://127.0.0.1:{server.port}"
    server.environment |= {"PORTCULLIS_SERVE__LISTEN": f"127.0.0.1:{server.port}", "PORTCULLIS_SERVE__URL": server.url}
    server.start(settings=False)
    try:
        assert server.get("/health/ready").status_code == 200
        assert (server.folder / "portcullis-data" / "portcullis.db").exists()
        assert "no administrator yet" in server.log.read_text() and f"{server.url}/welcome/" in server.log.read_text()
    finally:
        server.stop()


def test_the_one_time_link_is_offered_while_there_is_no_administrator(server):
    assert f"{server.url}/welcome/" in server.log.read_text()
    server.account("ada", role="admin")
    server.stop()
    before = len(server.log.read_text())
    server.start()
    assert "/welcome/" not in server.log.read_text()[before:]


def test_everything_is_there_again_after_a_restart(each_server):
    server = each_server
    server.account("mara")
    token = server.token("mara")
    name, content = samples.wheel("Lanternfish", "1.0")
    assert server.upload(token, name, content, samples.upload_form("Lanternfish", "1.0", content)).status_code == 200
    page = server.until(lambda: server.simple("lanternfish"), lambda page: page["meta"]["_last-serial"], "the change has its serial")
    server.stop()
    server.start()
    assert server.simple("lanternfish") == page
    assert server.get(page["files"][0]["url"]).content == content
    again, content = samples.wheel("Lanternfish", "1.1")
    assert server.upload(token, again, content, samples.upload_form("Lanternfish", "1.1", content)).status_code == 200


def test_check_prints_what_is_in_force_without_secrets(tmp_path, postgres):
    database = postgres.database().replace("postgres://portcullis@", "postgres://portcullis:very-secret@")
    server = Portcullis(tmp_path / "portcullis", database=database, settings='[mail]\nsmtp = "smtp://127.0.0.1:2525"\nfrom = "a@example.org"\n')
    said = server.program("serve", "--check", "--config", server.config).ok().output
    assert server.url in said and "very-secret" not in said


@pytest.mark.parametrize(("settings", "named"), [
    ("[unknown]\nx = 1\n", "unknown"), ("[mail]\nsmtp = 7\n", "mail.smtp"), ('[tls]\ncert = "only-one.pem"\n', "tls"),
    ("this is no TOML", "portcullis.toml"),
])
def test_wrong_settings_are_named_and_nothing_starts(tmp_path, settings, named):
    server = Portcullis(tmp_path / "portcullis", settings=settings)
    refused = server.program("serve", "--config", server.config).ended_with(2)
    assert refused.stdout == "" and "panicked" not in refused.stderr
    assert named in refused.stderr
    assert not (server.data / "portcullis.db").exists()


def test_admin_refuses_a_data_folder_that_does_not_exist(tmp_path):
    server = Portcullis(tmp_path / "portcullis")
    refused = server.admin("account", "add", "mara", "--email", "mara@example.org").ended_with(2)
    assert str(server.data) in refused.stderr and not server.data.exists()


def test_passwords_never_authenticate_a_client_and_tokens_never_lie_in_the_data_folder(server):
    server.account("mara")
    token = server.token("mara")
    management = server.token("mara", "--api", "report")
    name, content = samples.wheel("Lanternfish", "1.0")
    with server.session() as session:
        refused = session.post(f"{server.url}/legacy/", auth=("mara", server.password("mara")), timeout=30,
                               data=samples.upload_form("Lanternfish", "1.0", content), files={"content": (name, content)})
    assert refused.status_code == 403
    assert server.upload(token, name, content, samples.upload_form("Lanternfish", "1.0", content)).status_code == 200
    server.stop()
    secrets = [token, token.removeprefix("pypi-")[-40:], management, management.removeprefix("portcullis-"), server.password("mara")]
    for path in [*server.data.rglob("*"), server.log]:
        if path.is_file():
            data = path.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in data], f"a secret lies in {path}"


def test_a_database_that_a_newer_release_made_is_left_alone(each_server):
    server = each_server
    server.stop()
    server.sql("INSERT INTO schema_versions (version, applied_at) VALUES (999, 0)")
    refused = server.program("serve", "--config", server.config).ended_with(2)
    assert "999" in refused.stderr and refused.stdout == ""
    assert "999" in server.admin("verify-history").ended_with(2).stderr
