"""Trusted publishing as PyPA's publish action does it, written from the description of its protocol.

Audience from the index's host (always https), the identity token from the runner for that audience, mint, and the
short-lived token alone on stdout behind a line that masks it; every refusal is printed with its code.
"""

import os
import sys
from http import HTTPStatus
from urllib.parse import urlsplit

import id as identity
import requests


def fail(text: str):
    print(f"::error::Trusted publishing exchange failure: {text}", file=sys.stderr)
    sys.exit(1)


def main():
    host = urlsplit(os.environ["INPUT_REPOSITORY_URL"]).netloc
    asked = requests.get(f"https://{host}/_/oidc/audience", timeout=20)
    match asked.status_code:
        case HTTPStatus.OK:
            audience = asked.json()["audience"]
        case HTTPStatus.FORBIDDEN:
            fail(f"{host} has trusted publishing disabled")
        case HTTPStatus.NOT_FOUND:
            fail(f"{host} does not support trusted publishing")
        case status:
            fail(f"unexpected status {status} for the audience of {host}")

    try:
        token = identity.detect_credential(audience)
    except identity.AmbientCredentialError as problem:
        fail(f"no identity token: {problem}")
    if token is None:
        fail("no identity token: this is no CI job with `id-token: write`")

    answer = requests.post(f"https://{host}/_/oidc/mint-token", json={"token": token}, timeout=20)
    try:
        body = answer.json()
    except requests.JSONDecodeError:
        fail(f"the index answered {answer.status_code} and no JSON")
    if not answer.ok:
        fail("\n".join(f"* `{error['code']}`: {error['description']}" for error in body["errors"]))

    print(f"::add-mask::{body['token']}", file=sys.stderr)
    print(body["token"])


if __name__ == "__main__":
    main()
