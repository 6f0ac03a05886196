"""A CI provider's identity issuer: discovery document, key set, RS256, and the runner's identity-token endpoint.

The shapes are GitHub's: `GET …&audience=A` with the runner's bearer token answers `{"value": "<jwt>"}`.
Hostile tokens are made here too, since each of them needs the issuer's key or its public half.
"""

import base64
import hashlib
import hmac
import itertools
import json
import secrets
import time
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .loopback import Handler, Loopback


class Issuer(Loopback):
    def __enter__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.key_id = f"key-{secrets.token_hex(4)}"
        self.jobs: dict[str, dict] = {}
        self.audiences_asked: list[str] = []
        self._numbers = itertools.count(1000)
        return super().__enter__()

    class handler(Handler):
        def do_GET(self):
            where = urlsplit(self.path)
            if where.path == "/.well-known/openid-configuration":
                return self.answer_json({
                    "issuer": self.owner.url,
                    "jwks_uri": f"{self.owner.url}/.well-known/jwks",
                    "id_token_signing_alg_values_supported": ["RS256"],
                    "response_types_supported": ["id_token"],
                    "subject_types_supported": ["public", "pairwise"],
                })
            if where.path == "/.well-known/jwks":
                return self.answer_json({"keys": [self.owner.public_key()]})
            bearer = (self.headers.get("Authorization") or "").partition(" ")[2]
            job = self.owner.jobs.get(bearer)
            if where.path != "/identity-token" or job is None:
                return self.answer_json({"message": "no such job"}, 404)
            audience = parse_qs(where.query).get("audience", ["https://github.com/example-org"])[0]
            self.owner.audiences_asked.append(audience)
            self.answer_json({"value": self.owner.sign(self.owner.claims(job, audience))})

    def public_key(self) -> dict:
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {**jwk, "kid": self.key_id, "alg": "RS256", "use": "sig"}

    def job(self, repository: str, workflow: str = "release.yml", *, sha: str = "a" * 40, ref: str = "refs/heads/main",
            event: str = "push", repository_id: str = "7001", owner_id: str = "501", **more) -> dict:
        """The claims of one CI job, as GitHub words them: every value is text."""
        owner = repository.partition("/")[0]
        path = f"{repository}/.github/workflows/{workflow}@{ref}"
        return {
            "sub": f"repo:{repository}:ref:{ref}", "repository": repository, "repository_id": repository_id,
            "repository_owner": owner, "repository_owner_id": owner_id, "repository_visibility": "public",
            "workflow": "Release", "workflow_ref": path, "workflow_sha": sha, "job_workflow_ref": path, "job_workflow_sha": sha,
            "ref": ref, "ref_type": "tag" if ref.startswith("refs/tags/") else "branch", "ref_protected": "true", "sha": sha,
            "event_name": event, "runner_environment": "github-hosted", "run_id": str(next(self._numbers)),
            "run_number": "1", "run_attempt": "1", "actor": "maintainer", "actor_id": "601", "head_ref": "", "base_ref": "",
            **more,
        }

    def claims(self, job: dict, audience: str, *, now: int | None = None, **changed) -> dict:
        """A job's claims with a fresh id and five minutes of life, for one audience."""
        now = int(time.time()) if now is None else now
        return {**job, "iss": self.url, "aud": audience, "jti": secrets.token_hex(16),
                "iat": now, "nbf": now - 5, "exp": now + 300, **changed}

    def sign(self, claims: dict, **headers) -> str:
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.key_id, **headers})

    def unsigned(self, claims: dict) -> str:
        """The classic: algorithm `none`, empty signature."""
        return f"{_part({'alg': 'none', 'typ': 'JWT', 'kid': self.key_id})}.{_part(claims)}."

    def signed_with_public_key(self, claims: dict) -> str:
        """The other classic: HS256, keyed with the PEM text of the public key that everybody can read."""
        pem = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        text = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': self.key_id})}.{_part(claims)}"
        return f"{text}.{_base64(hmac.digest(pem, text.encode(), hashlib.sha256))}"

    def runner_environment(self, job: dict) -> dict[str, str]:
        """What a runner gives a job with `id-token: write`."""
        bearer = secrets.token_urlsafe(24)
        self.jobs[bearer] = job
        return {
            "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": job["repository"],
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/identity-token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": bearer,
        }


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _part(value: dict) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())
