# SPDX-License-Identifier: Apache-2.0
"""`pki serve` by the wire: the metadata service, the container endpoint, and what it does when all does not go well."""

from __future__ import annotations

import base64
import json
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from botocore.credentials import ContainerProvider
from botocore.utils import InstanceMetadataFetcher
from prometheus_client.parser import text_string_to_metric_families

from program import REFUSED, REPOSITORY, USAGE, Lab, Pki, lines_until, running_lab
from serving import (
    ROLES_PATH,
    SECONDS,
    TOKEN,
    TOKEN_PATH,
    TTL,
    Served,
    UnixConnection,
    ask,
    configure,
    serving,
    wait_for,
)

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

    @pytest.mark.parametrize(
        "seconds", ["0", "21601", "-1", "", "sixty", "1.5", "0x10", "60 60", "99999999999999999999"]
    )
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

    @pytest.mark.parametrize(
        "role", ["other", "lab-rol", "lab-role2", "LAB-ROLE", "lab-role/x", "..", "%6cab-role/x", "web"]
    )
    def test_another_role_is_not_found(self, shared: Served, role: str) -> None:
        answer = shared.metadata(ROLES_PATH + role)
        assert answer.status == 404
        assert b"SecretAccessKey" not in answer.body

    @pytest.mark.parametrize(
        "path", [ROLES_PATH, ROLES_PATH.removesuffix("/"), ROLES_PATH + ROLE, ROLES_PATH + "other"]
    )
    def test_without_a_token_nothing_is_said(self, shared: Served, path: str) -> None:
        good = shared.session_token()
        middle = len(good) // 2
        altered = [
            good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1 :],
            good[:-1],
            good + "A",
            good.swapcase(),
            ("B" if good[0] == "A" else "A") + good[1:],
            "",
            shared.token,
        ]
        for token in altered:
            answer = shared.metadata(path, token)
            assert answer.status == 401, token
            assert ROLE.encode() not in answer.body
        assert shared.get(path).status == 401
        # The token of the container endpoint is no key to this one, nor the other way round.
        assert shared.get(path, Authorization=shared.token).status == 401
        assert shared.container(token=good).status == 401

    def test_the_expiry_within_a_token_is_sealed(self, shared: Served) -> None:
        """Each single bit counts."""
        raw = bytearray(base64.b64decode(shared.session_token(1)))
        for bit in range(len(raw) * 8):
            forged = bytearray(raw)
            forged[bit // 8] ^= 1 << bit % 8
            assert shared.metadata(token=base64.b64encode(forged).decode()).status == 401, bit

    def test_a_token_that_is_over_is_refused(self, shared: Served) -> None:
        token = shared.session_token(1)
        assert shared.metadata(token=token).status == 200
        wait_for(lambda: shared.metadata(token=token).status == 401)
        assert shared.metadata().status == 200

    def test_tokens_differ(self, shared: Served) -> None:
        assert len({shared.session_token() for _ in range(20)}) == 20

    def test_two_tokens_in_one_request_are_refused(self, shared: Served) -> None:
        good = shared.session_token()
        tokens = f"{TOKEN}: {good}\r\n{TOKEN}: x"
        lines = f"GET {ROLES_PATH} HTTP/1.1\r\nHost: localhost\r\n{tokens}\r\nConnection: close\r\n\r\n"
        assert send(shared, lines.encode()).startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 400 "))

    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH", "OPTIONS"])
    def test_tokens_are_made_by_put_alone(self, shared: Served, method: str) -> None:
        answer = shared.request(method, TOKEN_PATH, {TTL: "60"})
        assert (answer.status, answer.headers["allow"]) == (405, "PUT")

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    @pytest.mark.parametrize("path", [ROLES_PATH, ROLES_PATH + ROLE, "/credentials/web", "/healthz", "/metrics"])
    def test_other_methods_are_refused(self, shared: Served, method: str, path: str) -> None:
        headers = {TOKEN: shared.session_token(), "Authorization": shared.token, "Content-Length": "0"}
        answer = shared.request(method, path, headers)
        assert answer.status == 405 and "GET" in answer.headers["allow"]

    @pytest.mark.parametrize("path", [ROLES_PATH, ROLES_PATH + ROLE, "/credentials/web", "/healthz", "/metrics"])
    def test_head_is_get_without_a_body(self, shared: Served, path: str) -> None:
        headers = {TOKEN: shared.session_token(), "Authorization": shared.token}
        head, get = shared.request("HEAD", path, headers), shared.request("GET", path, headers)
        assert (head.status, head.body) == (200, b"") and get.body
        assert head.headers["content-type"] == get.headers["content-type"]

    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/latest",
            "/latest/",
            "/latest/meta-data/",
            "/latest/meta-data/iam/",
            "/latest/meta-data/iam/security-credentialsX",
            "/latest/meta-data/iam/security-credentials/../../..",
            "/credentials",
            "/CREDENTIALS/web",
            "/latest/user-data",
        ],
    )
    def test_other_paths_are_not_found(self, shared: Served, path: str) -> None:
        headers = {TOKEN: shared.session_token(), "Authorization": shared.token}
        assert shared.request("GET", path, headers).status in (400, 404)

    def test_botocore_takes_it(self, shared: Served) -> None:
        """The AWS SDK's own reader of the metadata service."""
        fetcher = InstanceMetadataFetcher(
            timeout=30, num_attempts=1, config={"ec2_metadata_service_endpoint": shared.url}
        )
        keys = fetcher.retrieve_iam_role_credentials()
        assert keys["role_name"] == ROLE
        assert keys["access_key"] == shared.container().json["AccessKeyId"]


@pytest.mark.smoke
def test_the_first_profiles_role_is_the_machines(pki: Pki, ca: Path, tmp_path: Path) -> None:
    """Two roles in one server: by name each is there, as the machine's own only the first."""
    seed = json.loads((REPOSITORY / "templates/lab.json").read_text())
    [anyone] = [one for one in seed["roles"] if one["name"] == ROLE]
    seed["roles"] = [anyone, {**anyone, "name": "second-role"}]
    seed["profiles"][0]["roles"] = [ROLE, "second-role"]
    file = tmp_path / "seed.json"
    file.write_text(json.dumps(seed))
    with running_lab(pki, "--directory", ca, "--seed", file) as lab:
        second = lab.role_arn.replace(ROLE, "second-role")
        configure(pki, lab, ca, "web")
        configure(pki, lab, ca, "other", "--role-arn", second)
        with serving(pki, profiles=("other", "web")) as served:
            assert served.metadata().text.strip() == "second-role"
            assert served.metadata(ROLES_PATH + ROLE).status == 404
            keys = served.metadata(ROLES_PATH + "second-role").json
            assert served.container("other").json["AccessKeyId"] == keys["AccessKeyId"]
            assert served.container("other").json["RoleArn"] == second
            assert served.container("web").json["RoleArn"] == lab.role_arn


def send(served: Served, octets: bytes) -> bytes:
    """What comes back until the server closes, or says nothing more for 5 seconds."""
    answer = b""
    with socket.create_connection((served.host, served.port), timeout=5) as connection:
        connection.sendall(octets)
        with suppress(TimeoutError, ConnectionResetError):
            while chunk := connection.recv(65536):
                answer += chunk
    return answer


class TestHosts:
    """A page in a browser whose name was made to resolve to loopback has no business here."""

    PATHS = ("/credentials/web", ROLES_PATH, ROLES_PATH + ROLE, "/healthz", "/metrics")

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:9911",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1.",
            "notlocalhost",
            "localhost@evil.example",
            "127.0.0.1@evil.example",
            "2130706433",
            "127.1",
            "0x7f.0.0.1",
            "keys.internal.evil",
            "[evil]",
            "[::1",
            "localhost:",
            "localhost:99999999",
            "localhost evil",
        ],
    )
    def test_another_name_is_refused(self, shared: Served, host: str) -> None:
        headers = {TOKEN: shared.session_token(), "Authorization": shared.token, "Host": host}
        for path in self.PATHS:
            answer = shared.request("GET", path, headers)
            assert answer.status in (400, 403), (path, answer)
            assert b"SecretAccessKey" not in answer.body
        assert shared.request("PUT", TOKEN_PATH, {TTL: "60", "Host": host}).status in (400, 403)

    def test_a_name_that_is_one_is_forbidden_with_a_reason(self, shared: Served) -> None:
        answer = shared.request("PUT", TOKEN_PATH, {TTL: "60", "Host": "evil.example"})
        assert answer.status == 403 and "host" in answer.json["message"].lower()

    @pytest.mark.parametrize(
        "host",
        [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:9911",
            "169.254.169.254",
            "10.1.2.3:9911",
            "keys.internal",
            "KEYS.internal:9911",
        ],
    )
    def test_addresses_localhost_and_what_was_allowed_are_fine(self, shared: Served, host: str) -> None:
        headers = {TOKEN: shared.session_token(), "Authorization": shared.token, "Host": host}
        for path in self.PATHS:
            assert shared.request("GET", path, headers).status == 200, path

    def test_no_host_and_two_hosts_are_refused(self, shared: Served) -> None:
        for lines in ("", "Host: localhost\r\nHost: evil.example\r\n"):
            request = f"PUT {TOKEN_PATH} HTTP/1.1\r\n{lines}{TTL}: 60\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            assert send(shared, request.encode()).split(b" ")[1] in (b"400", b"403")

    def test_the_host_within_the_target_counts(self, shared: Served) -> None:
        request = "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert send(shared, request.encode()).split(b" ")[1] in (b"400", b"403", b"404")


class TestContainer:
    def test_credentials(self, shared: Served) -> None:
        answer = shared.container()
        assert answer.status == 200 and answer.headers["content-type"] == "application/json"
        keys = answer.json
        assert set(keys) == {"AccessKeyId", "SecretAccessKey", "Token", "Expiration", "AccountId", "RoleArn"}
        assert SECONDS.fullmatch(keys["Expiration"]) and keys["AccountId"] == "123456789012"
        assert keys["RoleArn"].endswith(":role/lab-role")

    def test_each_profile_has_its_own(self, shared: Served) -> None:
        web, short = shared.container("web").json, shared.container("short").json
        assert web["AccessKeyId"] != short["AccessKeyId"]
        seconds = expiration(web) - expiration(short)
        assert 2600 < seconds.total_seconds() < 2800, "3600 and 900 seconds were asked for"

    def test_without_the_token_there_is_nothing(self, shared: Served) -> None:
        token = shared.token
        for other in ("", token[:-1], token + "x", token.swapcase(), f"Bearer {token}", "x" * len(token), token[1:]):
            for profile in ("web", "short", "absent"):
                answer = shared.container(profile, other)
                assert answer.status == 401, (profile, other)
                assert b"SecretAccessKey" not in answer.body
        assert shared.get("/credentials/web").status == 401
        assert shared.get(f"/credentials/web?Authorization={token}").status == 401

    @pytest.mark.parametrize(
        "profile", ["absent", "", "we", "web/short", "WEB", "web%00", "%", "..%2fweb", "lab-role"]
    )
    def test_an_unknown_profile_is_not_found(self, shared: Served, profile: str) -> None:
        assert shared.container(profile).status in (400, 404)

    def test_the_name_may_be_percent_encoded(self, shared: Served) -> None:
        assert shared.container("%77eb").status == 200

    def test_botocore_takes_it(self, shared: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        """The AWS SDK's own reader, which refuses a token with a line end and reads its file anew each time."""
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{shared.url}/credentials/web")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(shared.token_file))
        keys = ContainerProvider().load()
        assert keys and keys.access_key == shared.container().json["AccessKeyId"]
        assert keys.account_id == "123456789012"


class TestHealthAndMetrics:
    def test_health(self, shared: Served) -> None:
        answer = shared.get("/healthz")
        assert (answer.status, answer.text.strip()) == (200, "ok")

    def test_metrics_are_what_prometheus_reads(self, shared: Served) -> None:
        before = metrics(shared)
        assert before["pki_refreshes_total", "web"] == before["pki_refreshes_total", "short"] == 1
        assert before["pki_refresh_failures_total", "web"] == 0
        assert 3000 < before["pki_credentials_expiry_seconds", "web"] <= 3600
        assert 300 < before["pki_credentials_expiry_seconds", "short"] <= 900
        assert 364 * 86400 < before["pki_certificate_expiry_seconds", "web"] <= 365 * 86400
        for _ in range(5):
            shared.get("/healthz")
        assert metrics(shared)["pki_requests_total", None] == before["pki_requests_total", None] + 6

    def test_their_types(self, shared: Served) -> None:
        kinds = {one.name: one.type for one in text_string_to_metric_families(shared.get("/metrics").text)}
        assert kinds == {
            "pki_refreshes": "counter",
            "pki_refresh_failures": "counter",
            "pki_requests": "counter",
            "pki_credentials_expiry_seconds": "gauge",
            "pki_certificate_expiry_seconds": "gauge",
        }

    def test_no_secret_was_said_anywhere(self, shared: Served) -> None:
        keys = shared.container().json
        for text in (shared.log.read_text(), shared.get("/metrics").text, shared.get("/healthz").text):
            for secret in (keys["SecretAccessKey"], keys["Token"], shared.token):
                assert secret not in text


def expiration(keys: dict[str, str]) -> datetime:
    return datetime.fromisoformat(keys["Expiration"])


def metrics(served: Served) -> dict[tuple[str, str | None], float]:
    """The samples by name and profile."""
    answer = served.get("/metrics")
    assert answer.status == 200
    return {
        (sample.name, sample.labels.get("profile")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


class TestAddresses:
    """No lab behind these: what is asked is whether the server listens, which it does without credentials."""

    @pytest.fixture
    def web(self, pki: Pki, ca: Path, lab: Lab) -> Pki:
        configure(pki, lab, ca)
        return pki

    def test_a_unix_socket(self, web: Pki, tmp_path: Path) -> None:
        path = tmp_path / "serve.sock"
        with serving(web, listen=(f"unix:{path}",)) as served:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            with closing(UnixConnection(path)) as connection:
                keys = ask(connection, "GET", "/credentials/web", {"Authorization": served.token})
                assert keys.status == 200 and keys.json["AccessKeyId"]
                token = ask(connection, "PUT", TOKEN_PATH, {TTL: "60"})
                assert ask(connection, "GET", ROLES_PATH, {TOKEN: token.text}).text.strip() == ROLE
                assert ask(connection, "GET", "/metrics", {}).status == 200
        assert not path.exists()

    def test_a_unix_socket_that_a_killed_server_left(self, web: Pki, tmp_path: Path) -> None:
        path = tmp_path / "serve.sock"
        with serving(web, listen=(f"unix:{path}",)) as served:
            served.process.kill()
            served.process.wait()
        assert path.exists()
        with serving(web, listen=(f"unix:{path}",)), closing(UnixConnection(path)) as connection:
            assert ask(connection, "GET", "/nothing", {}).status == 404

    def test_a_file_that_is_no_socket_stays(self, web: Pki, tmp_path: Path) -> None:
        path = tmp_path / "precious"
        path.write_text("mine")
        web.run("serve", "--profile", "web", "--listen", f"unix:{path}", status=REFUSED)
        assert path.read_text() == "mine"

    def test_ipv6_and_several_addresses(self, web: Pki) -> None:
        with serving(web, listen=("[::1]:0", "127.0.0.1:0", "0")) as served:
            assert len(served.urls) == 3 and served.url.startswith("http://[::1]:")
            for place in list(served.urls):
                served.urls = [place]
                assert served.container().status == 200
                assert served.metadata(ROLES_PATH + ROLE).status == 200

    def test_port(self, web: Pki) -> None:
        """aws_signing_helper's way of saying it."""
        with serving(web, "--port", "0", listen=()) as served:
            assert served.host == "127.0.0.1" and served.container().status == 200
        refused = web.run("serve", "--profile", "web", "--port", "1", "--listen", "2", status=USAGE)
        assert "--listen" in refused.stderr

    def test_a_port_in_use_is_said(self, web: Pki) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            error = web.run("serve", "--profile", "web", "--port", str(port), status=None)
        assert error.status not in (0, None) and str(port) in error.error

    def test_an_open_address_wants_a_token_file(self, web: Pki, tmp_path: Path) -> None:
        refused = web.run("serve", "--profile", "web", "--listen", "0.0.0.0:0", status=USAGE)
        assert "--token-file" in refused.stderr
        with serving(web, "--token-file", tmp_path / "own-token", listen=("0.0.0.0:0",)) as served:
            # W14: what crosses the network is said.
            assert "in clear" in served.wait_said("^pki: warning: ")
            served.urls = [f"http://127.0.0.1:{served.port}"]
            assert served.container().status == 200
            assert served.metadata(ROLES_PATH + ROLE).status == 200
            assert served.get("/metrics").status == 200
            # By the machine's own address in the network, one is not on loopback.
            if (address := own_address()) is not None:
                served.urls = [f"http://{address}:{served.port}"]
                assert served.request("PUT", TOKEN_PATH, {TTL: "60"}).status == 403
                assert served.metadata(ROLES_PATH, "x").status == 403
                assert served.container().status == 200
                assert served.get("/credentials/web").status == 401
                assert served.get("/metrics").status == 401
                assert served.get("/metrics", Authorization=served.token).status == 200
                assert served.get("/healthz").status == 200

    @pytest.mark.parametrize(("listen", "host"), [("0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "[::1]")])
    def test_the_environment_that_is_printed(self, web: Pki, tmp_path: Path, listen: str, host: str) -> None:
        """SDKs take loopback addresses alone, and nobody connects to the one that stands for all."""
        token = tmp_path / "it's a directory" / "to ken"
        with serving(web, "--print-env", "--token-file", token, listen=(listen,)) as served:
            served.urls = [f"http://{host}:{served.port}"]
            printed = list(lines_until(served.process, 1))
            assert len(printed) == 3 and all(line.startswith("export ") for line in printed)
            script = "\n".join([*printed, "env"])
            shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env={}).stdout
            said = dict(line.split("=", 1) for line in shown.splitlines() if line.startswith("AWS_"))
            assert said == {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{served.url}/credentials/web",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{served.url}/",
            }
            assert served.container().status == 200

    @pytest.mark.parametrize(
        "options",
        [
            ("--listen", "evil.example:80"),
            ("--listen", "65536"),
            ("--listen", "127.0.0.1"),
            ("--listen", "unix:"),
            ("--listen", ""),
            ("--port", "-1"),
            ("--port", "65536"),
            ("--hop-limit", "0"),
            ("--hop-limit", "256"),
            ("--profile", "web", "--profile", "web"),
        ],
        ids=" ".join,
    )
    def test_what_cannot_be_is_refused(self, web: Pki, options: tuple[str, ...]) -> None:
        profile = () if "--profile" in options else ("--profile", "web")
        assert web.run("serve", *profile, *options, status=USAGE).stderr


class TestW3:
    """Every user of the machine can ask the metadata service: it is offered to whoever wants it."""

    @pytest.fixture
    def web(self, pki: Pki, ca: Path, lab: Lab) -> Pki:
        configure(pki, lab, ca)
        return pki

    @pytest.mark.smoke
    def test_it_is_not_offered_unless_asked_for(self, web: Pki) -> None:
        with serving(web, "--print-env", metadata=False) as served:
            printed = list(lines_until(served.process, 1))
            assert [line.split("=")[0] for line in printed] == [
                "export AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "export AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            ]
            for method, path in (("PUT", TOKEN_PATH), ("GET", ROLES_PATH), ("GET", ROLES_PATH + ROLE), ("GET", "/latest/")):
                answer = served.request(method, path, {TTL: "60"})
                assert answer.status == 404 and "--imds" in answer.json["message"]
            assert served.container().status == 200

    def test_aws_signing_helper_offers_it(self, web: Pki, tmp_path: Path) -> None:
        link = tmp_path / "aws_signing_helper"
        link.symlink_to(web.path)
        with serving(replace(web, path=link), metadata=False) as served:
            assert served.metadata(ROLES_PATH + ROLE).status == 200

    def test_exec_offers_it_to_nobody(self, web: Pki) -> None:
        ask = (
            "import os, urllib.parse, http.client as h; u = urllib.parse.urlsplit(os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI']);"
            f" c = h.HTTPConnection(u.netloc); c.request('PUT', '{TOKEN_PATH}', headers={{'{TTL}': '60'}});"
            " print(c.getresponse().status)"
        )
        assert web.run("exec", "--profile", "web", "--server", "--", sys.executable, "-c", ask).stdout == "404\n"

    def test_B4_what_it_prints_is_quoted(self, web: Pki, tmp_path: Path) -> None:
        """An accent behind a quotation mark makes it no other to a shell."""
        token = tmp_path / "x'\u0301;touch PWNED;#'\u0301" / "token"
        with serving(web, "--print-env", "--token-file", token) as served:
            script = "\n".join([*lines_until(served.process, 1), 'printf %s "$AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"'])
            shown = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        assert shown == str(token) and not (tmp_path / "PWNED").exists()


def own_address() -> str | None:
    """This machine's address in its network; none where it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: this only asks for the route.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith("127.") else address


class TestTokenFile:
    @pytest.fixture
    def web(self, pki: Pki, ca: Path, lab: Lab) -> Pki:
        configure(pki, lab, ca)
        return pki

    def test_it_is_made_for_its_owner_alone(self, web: Pki, tmp_path: Path) -> None:
        file = tmp_path / "new" / "token"
        with serving(web, "--token-file", file) as served:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
            assert re.fullmatch(r"[\x21-\x7e]{20,}", served.token), "no line end: botocore would refuse it"
            assert [one.name for one in file.parent.iterdir()] == ["token"]
            first = served.token
        with serving(web, "--token-file", file) as served:
            assert served.token == first and served.container().status == 200

    @pytest.mark.parametrize(("variable", "place"), [("XDG_RUNTIME_DIR", "pki/token"), ("", ".cache/pki/token")])
    def test_where_it_is_unless_told(self, web: Pki, tmp_path: Path, variable: str, place: str) -> None:
        runtime = tmp_path / "run"
        runtime.mkdir(mode=0o700)
        home = runtime if variable else tmp_path
        pki = web.with_environment(**({variable: str(runtime)} if variable else {}))
        with pki.start("serve", "--profile", "web", "--listen", "0") as process:
            # Made before it listens; a signal before that ends any program.
            log: Path = process.log
            wait_for(lambda: "pki: serving web at " in log.read_text(), log=log)
            assert (home / place).stat().st_size > 0
            process.terminate()
            assert process.wait(timeout=60) == 0
        assert stat.S_IMODE((home / place).stat().st_mode) == 0o600

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
    def test_one_that_others_can_reach_is_refused(self, web: Pki, tmp_path: Path, mode: int) -> None:
        file = tmp_path / "token"
        file.write_text("0123456789abcdef0123456789")
        file.chmod(mode)
        stderr = web.refuse("serve", "--profile", "web", "--listen", "0", "--token-file", file)
        assert str(file) in stderr and "0123456789abcdef" not in stderr

    @pytest.mark.parametrize("content", ["", "\n", "short", "\x00" * 40, "spät" * 10])
    def test_one_that_holds_no_token_is_refused(self, web: Pki, tmp_path: Path, content: str) -> None:
        file = tmp_path / "token"
        file.write_text(content)
        file.chmod(0o600)
        assert str(file) in web.refuse("serve", "--profile", "web", "--listen", "0", "--token-file", file)

    def test_a_new_one_counts_within_seconds(self, web: Pki, tmp_path: Path) -> None:
        file = tmp_path / "token"
        with serving(web, "--token-file", file) as served:
            old, new = served.token, "another-token-of-enough-length"
            other = tmp_path / "other"
            other.write_text(new)
            other.chmod(0o600)
            other.replace(file)
            wait_for(lambda: served.container(token=new).status == 200, log=served.log)
            assert served.container(token=old).status == 401
            # One that others can read is not taken, and the last good one stays.
            file.write_text("a-token-that-everybody-reads")
            file.chmod(0o644)
            served.wait_said("warning: .*token")
            assert served.container(token="a-token-that-everybody-reads").status == 401
            assert served.container(token=new).status == 200
            assert "another-token" not in served.log.read_text()
