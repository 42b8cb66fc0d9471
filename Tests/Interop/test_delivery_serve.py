# SPDX-License-Identifier: Apache-2.0
"""`pki serve` by the wire: the metadata service, the container endpoint, and what it does when all does not go well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from program import Lab, Pki, running_lab
from serving import ROLES_PATH, SECONDS, TOKEN, TOKEN_PATH, TTL, Served, configure, serving, wait_for

ROLE = "lab-role"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def shared(built: Path, home: Path) -> Iterator[Served]:
    """A server with two profiles that all tests share which only ask."""
    pki = Pki(home=home, path=built)
    ca = home / "ca"
    pki.run("init-ca", "--directory", ca)
    pki.run("issue-client", "--directory", ca)
    with running_lab(pki, "--directory", ca) as lab:
        configure(pki, lab, ca, "web")
        configure(pki, lab, ca, "short", "--session-duration", "900")
        with serving(pki, "--allow-host", "keys.internal", profiles=("web", "short")) as served:
            wait_for(lambda: served.get("/healthz").status == 200)
            yield served


class TestMetadataService:
    @pytest.mark.parametrize("seconds", ["1", "60", "21600"])
    def test_a_token_lives_as_long_as_was_asked(self, shared: Served, seconds: str) -> None:
        answer = shared.request("PUT", TOKEN_PATH, {TTL: seconds})
        assert answer.status == 200 and answer.headers["content-type"] == "text/plain"
        assert answer.headers[TTL.lower()] == seconds
        assert re.fullmatch(r"[A-Za-z0-9+/=_-]{20,}", answer.text)

    @pytest.mark.parametrize("seconds", ["0", "21601", "-1", "", "sixty", "1.5", "0x10", "60 60", "99999999999999999999"])
    def test_a_token_of_another_lifetime_is_refused(self, shared: Served, seconds: str) -> None:
        answer = shared.request("PUT", TOKEN_PATH, {TTL: seconds})
        assert answer.status == 400 and answer.json["message"]

    def test_a_token_without_a_lifetime_is_refused(self, shared: Served) -> None:
        assert shared.request("PUT", TOKEN_PATH).status == 400

    @pytest.mark.parametrize("value", ["10.0.0.1", ""])
    def test_no_token_goes_through_a_proxy(self, shared: Served, value: str) -> None:
        assert shared.request("PUT", TOKEN_PATH, {TTL: "60", "X-Forwarded-For": value}).status == 403

    @pytest.mark.parametrize("path", [ROLES_PATH, ROLES_PATH.removesuffix("/")])
    def test_the_role_has_a_name(self, shared: Served, path: str) -> None:
        answer = shared.metadata(path)
        assert (answer.status, answer.text.strip()) == (200, ROLE)
        assert answer.text == answer.text.splitlines()[0], "botocore takes the whole body for the name"
        assert 0 < int(answer.headers[TTL.lower()]) <= 60

    def test_credentials(self, shared: Served) -> None:
        answer = shared.metadata(ROLES_PATH + ROLE)
        assert answer.status == 200
        keys = answer.json
        assert keys["Code"] == "Success" and keys["Type"] == "AWS-HMAC"
        assert re.fullmatch(r"ASIA[A-Z0-9]{16}", keys["AccessKeyId"])
        assert len(keys["SecretAccessKey"]) == 40 and len(keys["Token"]) > 100
        for moment in ("Expiration", "LastUpdated"):
            assert SECONDS.fullmatch(keys[moment]), keys[moment]
        assert keys["LastUpdated"] < keys["Expiration"]
        assert 0 < int(answer.headers[TTL.lower()]) <= 60
        # Both ways hand out the same session.
        assert shared.container().json["AccessKeyId"] == keys["AccessKeyId"]

    @pytest.mark.parametrize("role", ["other", "lab-rol", "lab-role2", "LAB-ROLE", "lab-role/", "..", "%6cab-role/x", "web"])
    def test_another_role_is_not_found(self, shared: Served, role: str) -> None:
        answer = shared.metadata(ROLES_PATH + role)
        assert answer.status == 404
        assert b"SecretAccessKey" not in answer.body
