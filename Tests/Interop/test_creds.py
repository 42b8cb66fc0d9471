# SPDX-License-Identifier: Apache-2.0
"""`pki creds` before the verifier of this directory, which knows the protocol and nothing of pki."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from peer import KEY_TYPES, Identity, issue, key_usage, pem, root_of
from program import DENIED, REFUSED, UNAVAILABLE, USAGE, Pki, Result
from servers import closed_port, proxy, silent
from tools import openssl
from verifier import ACCOUNT, PROFILE_ARN, REGION, ROLE_ARN, TRUST_ANCHOR_ARN, Answer, Session, Verifier, serving

# Nobody listens on the discard port: a request that should not be made fails, and with another status than a refusal.
NOWHERE = ("--endpoint", "http://127.0.0.1:9", "--attempts", "1")
ARNS = ("--trust-anchor-arn", TRUST_ANCHOR_ARN, "--profile-arn", PROFILE_ARN, "--role-arn", ROLE_ARN)


@pytest.fixture(scope="module")
def root() -> Identity:
    return issue(None, "root", ca=True)


@pytest.fixture(scope="module")
def leaf(root: Identity) -> Identity:
    return issue(root, "leaf")


@pytest.fixture
def files(leaf: Identity, tmp_path: Path) -> tuple[str | Path, ...]:
    """The options that name the leaf's certificate and key."""
    return identity_options(*leaf.write(tmp_path, "leaf"))


def identity_options(certificate: Path, key: Path) -> tuple[str | Path, ...]:
    return ("--certificate", certificate, "--private-key", key)


def assert_is_session(result: Result, session: Session) -> None:
    """The output is the credential_process form of exactly this session, and stderr holds none of it."""
    assert result.json == {
        "Version": 1,
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret_access_key,
        "SessionToken": session.session_token,
        "Expiration": session.expiration,
        "AccountId": ACCOUNT,
    }
    assert_no_secret(result, session)


def assert_no_secret(result: Result, session: Session) -> None:
    for secret in (session.secret_access_key, session.session_token):
        assert secret not in result.stderr and secret[:12] not in result.stderr


class TestIdentities:
    @pytest.mark.parametrize("issuer", KEY_TYPES[:3])
    @pytest.mark.parametrize("key_type", KEY_TYPES)
    def test_every_key_type(self, pki: Pki, tmp_path: Path, issuer: str, key_type: str) -> None:
        """The algorithm follows the key, whatever signed the certificate."""
        root = issue(None, "root", ca=True, key_type=issuer)
        identity = issue(root, key_type=key_type, digest=hashes.SHA384())
        with serving(Verifier([root.certificate])) as server:
            options = identity_options(*identity.write(tmp_path, "leaf"))
            result = pki.run("creds", *options, *ARNS, "--endpoint", server.endpoint)
        [session] = server.sessions
        assert_is_session(result, session)
        assert session.algorithm == ("AWS4-X509-RSA-SHA256" if "rsa" in key_type else "AWS4-X509-ECDSA-SHA256")
        assert session.duration == 3600 and session.role_session_name is None and session.chain == ()

    @pytest.mark.parametrize("key_type", KEY_TYPES)
    def test_our_own_certificates(self, pki: Pki, tmp_path: Path, key_type: str) -> None:
        folder = tmp_path / "ca"
        pki.run("init-ca", "--directory", folder)
        pki.run("issue-client", "--directory", folder, "--key-type", key_type)
        root = root_of(folder)
        with serving(Verifier([root.certificate])) as server:
            options = identity_options(folder / "client-cert.pem", folder / "client-key.pem")
            result = pki.run("creds", *options, *ARNS, "--endpoint", server.endpoint)
        assert_is_session(result, server.sessions[0])

    @pytest.mark.parametrize("serial", [1, 0x7F, 0x80, 0xFFFFFFFFFFFFFFFF, (1 << 159) - 1], ids=hex)
    def test_serials_of_every_size(self, pki: Pki, root: Identity, tmp_path: Path, serial: int) -> None:
        options = identity_options(*issue(root, serial=serial).write(tmp_path, "leaf"))
        with serving(Verifier([root.certificate])) as server:
            pki.run("creds", *options, *ARNS, "--endpoint", server.endpoint)
        assert f"Credential={serial}/" in server.requests[0].only("authorization")

    @pytest.mark.parametrize("key_type", ["rsa-2048", "ec-p256"])
    def test_a_key_in_its_traditional_form(self, pki: Pki, root: Identity, tmp_path: Path, key_type: str) -> None:
        identity = issue(root, key_type=key_type)
        certificate, key = identity.write(tmp_path, "leaf")
        key.write_bytes(identity.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        with serving(Verifier([root.certificate])) as server:
            pki.run("creds", *identity_options(certificate, key), *ARNS, "--endpoint", server.endpoint)
        assert len(server.sessions) == 1

    def test_a_closed_key_is_no_question_to_the_terminal(self, pki: Pki, leaf: Identity, tmp_path: Path) -> None:
        certificate, key = leaf.write(tmp_path, "leaf")
        closed = BestAvailableEncryption(b"secret")
        key.write_bytes(leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, closed))
        stderr = pki.refuse("creds", *identity_options(certificate, key), *ARNS, *NOWHERE)
        assert "leaf-key.pem" in stderr and "passphrase" in stderr


@pytest.fixture(scope="module")
def chain() -> list[Identity]:
    """Root, upper, lower, leaf."""
    root = issue(None, "root", ca=True)
    upper = issue(root, "upper", ca=True)
    lower = issue(upper, "lower", ca=True, key_type="rsa-2048")
    return [root, upper, lower, issue(lower, "leaf")]


class TestChains:
    @pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=lambda o: "".join(map(str, o)))
    def test_a_full_chain_in_any_order(
        self, pki: Pki, chain: list[Identity], tmp_path: Path, order: tuple[int, ...]
    ) -> None:
        certificate, key = chain[3].write(tmp_path, "leaf")
        certificate.write_bytes(b"".join(pem(chain[number].certificate) for number in order))
        with serving(Verifier([chain[0].certificate])) as server:
            result = pki.run("creds", *identity_options(certificate, key), *ARNS, "--endpoint", server.endpoint)
        [session] = server.sessions
        assert_is_session(result, session)
        assert session.chain == (chain[2].certificate, chain[1].certificate)

    def test_intermediates_in_a_file_of_their_own(self, pki: Pki, chain: list[Identity], tmp_path: Path) -> None:
        certificate, key = chain[3].write(tmp_path, "leaf")
        others = tmp_path / "others.pem"
        others.write_bytes(b"".join(pem(chain[number].certificate) for number in (1, 0, 2)))
        with serving(Verifier([chain[0].certificate])) as server:
            options = (*identity_options(certificate, key), "--intermediates", others)
            pki.run("creds", *options, *ARNS, "--endpoint", server.endpoint)
        assert server.sessions[0].chain == (chain[2].certificate, chain[1].certificate)
        assert "x-amz-x509-chain" in server.sessions[0].signed_headers

    def test_no_chain_header_without_intermediates(self, pki: Pki, chain: list[Identity], tmp_path: Path) -> None:
        certificate, key = issue(chain[0]).write(tmp_path, "leaf")
        with certificate.open("ab") as file:
            file.write(pem(chain[0].certificate))
        with serving(Verifier([chain[0].certificate])) as server:
            pki.run("creds", *identity_options(certificate, key), *ARNS, "--endpoint", server.endpoint)
        assert server.requests[0].values("x-amz-x509-chain") == []
        assert len(server.sessions) == 1

    def test_six_intermediates_are_too_many(self, pki: Pki, tmp_path: Path) -> None:
        chain = [issue(None, "root", ca=True)]
        for number in range(6):
            chain.append(issue(chain[-1], f"intermediate {number}", ca=True))
        certificate, key = issue(chain[-1]).write(tmp_path, "leaf", chain[:0:-1])
        assert "5" in pki.refuse("creds", *identity_options(certificate, key), *ARNS, *NOWHERE)

    @pytest.mark.smoke
    def test_a_missing_link_is_named(self, pki: Pki, chain: list[Identity], tmp_path: Path) -> None:
        """The file holds the leaf and the CA above its issuer: without the issuer between them nobody can verify it."""
        certificate, key = chain[3].write(tmp_path, "leaf", [chain[1]])
        stderr = pki.refuse("creds", *identity_options(certificate, key), *ARNS, *NOWHERE)
        assert "lower" in stderr or "upper" in stderr


class TestRequests:
    @pytest.mark.smoke
    def test_headers_on_the_wire(self, pki: Pki, root: Identity, files: tuple) -> None:
        with serving(Verifier([root.certificate])) as server:
            pki.run("creds", *files, *ARNS, "--endpoint", server.endpoint)
        [request] = server.requests
        assert request.only("content-type") == "application/json"
        assert set(server.sessions[0].signed_headers) >= {"content-type", "host", "x-amz-date", "x-amz-x509"}
        assert request.values("expect") == [] and request.values("transfer-encoding") == []
        assert request.only("user-agent").startswith("pki/")
        assert json.loads(request.body)["durationSeconds"] == 3600

    @pytest.mark.parametrize(
        "arns",
        [
            (
                "arn:aws:rolesanywhere:us-east-1:123456789012:alias/trust-anchor/An anchor_1-2",
                "arn:aws:rolesanywhere:us-east-1:123456789012:alias/profile/a profile",
                "arn:aws:iam::123456789012:role/a/b/c/plain",
            ),
            (TRUST_ANCHOR_ARN, PROFILE_ARN, "arn:aws:iam::123456789012:role/x=1&y=2/A+b,c.d@e_f-g"),
            (TRUST_ANCHOR_ARN, PROFILE_ARN, "arn:aws:iam::123456789012:role/50%25 !*'()~/tilde"),
        ],
        ids=["alias", "separators", "reserved"],
    )
    def test_query_encodings(self, pki: Pki, root: Identity, files: tuple, arns: tuple[str, str, str]) -> None:
        verifier = Verifier(
            [root.certificate], trust_anchor_arn=arns[0], profile_arn=arns[1], role_arn=arns[2]
        )
        options = ("--trust-anchor-arn", arns[0], "--profile-arn", arns[1], "--role-arn", arns[2])
        with serving(verifier) as server:
            pki.run("creds", *files, *options, "--endpoint", server.endpoint)
        assert len(server.sessions) == 1

    @pytest.mark.parametrize("path", ["/proxy", "/a/b.c/~d"])
    @pytest.mark.parametrize("slash", ["", "/"])
    def test_an_endpoint_with_a_path(self, pki: Pki, root: Identity, files: tuple, path: str, slash: str) -> None:
        with serving(Verifier([root.certificate], path=f"{path}/sessions")) as server:
            assert server.endpoint.endswith(path)
            pki.run("creds", *files, *ARNS, "--endpoint", server.endpoint + slash)
        assert len(server.sessions) == 1

    @pytest.mark.parametrize("duration", [900, 43200])
    def test_duration(self, pki: Pki, root: Identity, files: tuple, duration: int) -> None:
        with serving(Verifier([root.certificate])) as server:
            options = ("--endpoint", server.endpoint, "--session-duration", str(duration))
            result = pki.run("creds", *files, *ARNS, *options)
        assert_is_session(result, server.sessions[0])
        assert server.sessions[0].duration == duration

    @pytest.mark.parametrize("name", ["ab", "batch_7+x=1,y.z@w-v", "n" * 64])
    def test_role_session_name(self, pki: Pki, root: Identity, files: tuple, name: str) -> None:
        with serving(Verifier([root.certificate])) as server:
            pki.run("creds", *files, *ARNS, "--endpoint", server.endpoint, "--role-session-name", name)
        assert server.sessions[0].role_session_name == name

    def test_region_of_the_scope(self, pki: Pki, root: Identity, files: tuple) -> None:
        """From the anchor's ARN, or as told."""
        moved = {
            "trust_anchor_arn": TRUST_ANCHOR_ARN.replace(REGION, "eu-north-1"),
            "profile_arn": PROFILE_ARN.replace(REGION, "eu-north-1"),
        }
        options = ("--trust-anchor-arn", moved["trust_anchor_arn"], "--profile-arn", moved["profile_arn"])
        with serving(Verifier([root.certificate], region="eu-north-1", **moved)) as server:
            pki.run("creds", *files, *options, "--role-arn", ROLE_ARN, "--endpoint", server.endpoint)
            pki.run(
                "creds", *files, *options, "--role-arn", ROLE_ARN, "--endpoint", server.endpoint, "--region", "eu-north-1"
            )
        assert len(server.sessions) == 2


class TestOutput:
    def test_env_is_read_by_a_shell(self, pki: Pki, root: Identity, files: tuple) -> None:
        with serving(Verifier([root.certificate])) as server:
            text = pki.run("creds", *files, *ARNS, "--endpoint", server.endpoint, "--format", "env").stdout
        said = dict(word.split("=", 1) for word in shlex.split(text) if "=" in word)
        [session] = server.sessions
        assert {
            "AWS_ACCESS_KEY_ID": session.access_key_id,
            "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
            "AWS_SESSION_TOKEN": session.session_token,
        }.items() <= said.items()
        assert set(said) - {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} <= {
            "AWS_CREDENTIAL_EXPIRATION",
            "AWS_ACCOUNT_ID",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
        }

    @pytest.mark.smoke
    def test_json_holds_the_session(self, pki: Pki, root: Identity, files: tuple) -> None:
        with serving(Verifier([root.certificate])) as server:
            result = pki.run("creds", *files, *ARNS, "--endpoint", server.endpoint, "--format", "json")
        text = json.dumps(result.json)
        [session] = server.sessions
        for value in (session.access_key_id, session.secret_access_key, session.session_token, session.expiration):
            assert value in text

    @pytest.mark.parametrize("format", ["process", "env", "json"])
    def test_debug_tells_no_secret(self, pki: Pki, root: Identity, files: tuple, format: str) -> None:
        with serving(Verifier([root.certificate]), Answer(429)) as server:
            options = ("--endpoint", server.endpoint, "--debug", "--format", format)
            result = pki.run("creds", *files, *ARNS, *options)
        assert result.stderr != ""
        [session] = server.sessions[1:]
        assert_no_secret(result, session)
        key = Path(files[3]).read_text().splitlines()[1]
        assert key not in result.stderr
        for request in server.requests:
            assert request.signature not in result.stderr


class TestRetries:
    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_tries_again_and_signs_afresh(self, pki: Pki, root: Identity, files: tuple, status: int) -> None:
        with serving(Verifier([root.certificate]), Answer(status)) as server:
            result = pki.run("creds", *files, *ARNS, "--endpoint", server.endpoint)
        assert_is_session(result, server.sessions[-1])
        assert len(server.sessions) == len(server.requests) == 2
        assert len({request.signature for request in server.requests}) == 2

    def test_throttling_that_says_400(self, pki: Pki, root: Identity, files: tuple) -> None:
        throttled = Answer(400, (("X-Amzn-ErrorType", "ThrottlingException"),), b'{"message":"Rate exceeded"}')
        with serving(Verifier([root.certificate]), throttled) as server:
            pki.run("creds", *files, *ARNS, "--endpoint", server.endpoint)
        assert len(server.sessions) == 2

    def test_a_line_that_goes_dead(self, pki: Pki, root: Identity, files: tuple) -> None:
        with serving(Verifier([root.certificate]), Answer(drop=True)) as server:
            pki.run("creds", *files, *ARNS, "--endpoint", server.endpoint)
        assert len(server.sessions) == 2

    def test_gives_up(self, pki: Pki, root: Identity, files: tuple) -> None:
        answer = Answer(503, (("X-Amzn-ErrorType", "ServiceUnavailableException"),), b'{"message":"Not now, sorry"}')
        with serving(Verifier([root.certificate]), *[answer] * 20) as server:
            options = ("--endpoint", server.endpoint, "--attempts", "3")
            stderr = pki.refuse("creds", *files, *ARNS, *options, status=UNAVAILABLE)
        assert len(server.requests) == 3
        assert "ServiceUnavailableException" in stderr and "Not now, sorry" in stderr

    @pytest.mark.parametrize("status", [400, 403, 404])
    def test_does_not_repeat_what_was_refused(self, pki: Pki, root: Identity, files: tuple, status: int) -> None:
        with serving(Verifier([root.certificate]), Answer(status, body=b'{"message":"no"}')) as server:
            pki.run("creds", *files, *ARNS, "--endpoint", server.endpoint, status=None)
        assert len(server.requests) == 1

    def test_nobody_listens(self, pki: Pki, files: tuple) -> None:
        address = f"http://127.0.0.1:{closed_port()}"
        started = time.monotonic()
        stderr = pki.refuse("creds", *files, *ARNS, "--endpoint", address, "--attempts", "2", status=UNAVAILABLE)
        assert address.removeprefix("http://") in stderr
        assert time.monotonic() - started < 15

    def test_nobody_answers(self, pki: Pki, files: tuple) -> None:
        with silent() as port:
            started = time.monotonic()
            options = ("--endpoint", f"http://127.0.0.1:{port}", "--timeout", "1", "--attempts", "1")
            stderr = pki.refuse("creds", *files, *ARNS, *options, status=UNAVAILABLE)
        assert 0.9 < time.monotonic() - started < 5
        assert f"127.0.0.1:{port}" in stderr

    def test_nobody_greets_over_tls(self, pki: Pki, files: tuple) -> None:
        with silent() as port:
            started = time.monotonic()
            options = ("--endpoint", f"https://127.0.0.1:{port}", "--connect-timeout", "1", "--attempts", "1")
            pki.refuse("creds", *files, *ARNS, *options, status=UNAVAILABLE)
        assert time.monotonic() - started < 5

    def test_an_answer_without_end(self, pki: Pki, root: Identity, files: tuple) -> None:
        body = b'{"credentialSet":[' + b" " * 20_000_000 + b"]}"
        with serving(Verifier([root.certificate]), Answer(201, body=body)) as server:
            pki.refuse("creds", *files, *ARNS, "--endpoint", server.endpoint, "--attempts", "1", status=None)

    @pytest.mark.parametrize(
        "body", [b"", b"<html>", b"[]", b'{"credentialSet":[]}', b'{"credentialSet":[{"credentials":{}}]}', b"\xff\xfe"]
    )
    def test_a_success_that_is_none(self, pki: Pki, root: Identity, files: tuple, body: bytes) -> None:
        with serving(Verifier([root.certificate]), *[Answer(201, body=body)] * 9) as server:
            result = pki.run("creds", *files, *ARNS, "--endpoint", server.endpoint, "--attempts", "1", status=None)
        assert result.status in (REFUSED, UNAVAILABLE) and result.stdout == ""
        assert "pki: error: " in result.stderr


class TestSessions:
    """W8: a session of another account or role, one that is over, and one that never ends are not used and not kept."""

    @pytest.mark.parametrize(
        "session",
        [
            {"roleArn": "arn:aws:iam::999999999999:role/Admin"},
            {"roleArn": ROLE_ARN.replace(ACCOUNT, "999999999999")},
            {"roleArn": ROLE_ARN + "\r\n"},
            {"assumedRoleUser": {"arn": "arn:aws:sts::999999999999:assumed-role/Admin/x"}},
            {"subjectArn": f"arn:aws:rolesanywhere:{REGION}:999999999999:subject/x"},
            {"expiration": "2020-01-01T00:00:00Z"},
            {"expiration": "9999-12-31T23:59:59Z"},
            {"hours": 13},
        ],
        ids=str,
    )
    def test_w8_another_session_than_was_asked_for(
        self, pki: Pki, root: Identity, files: tuple, session: dict[str, Any]
    ) -> None:
        answer = Answer(201, body=session_document(**session))
        with serving(Verifier([root.certificate]), answer, answer, answer) as server:
            for options in (), ("--cache",), ("--format", "env"):
                said = pki.refuse(
                    "creds", *files, *ARNS, "--endpoint", server.endpoint, *options, status=UNAVAILABLE
                )
                assert "pki: error: the service's answer " in said and "SECRET" not in said
            assert len(server.requests) == 3
        assert not list(pki.home.rglob("*.credentials"))

    @pytest.mark.parametrize("identity", ["CN=x\r", "CN=x\r\n", "a\nend\n", "\x1b[2J\u202e"])
    def test_w17_no_source_identity_spoils_the_cache(
        self, pki: Pki, root: Identity, files: tuple, identity: str
    ) -> None:
        answer = Answer(201, body=session_document(sourceIdentity=identity))
        with serving(Verifier([root.certificate]), answer) as server:
            ask = ("creds", *files, *ARNS, "--endpoint", server.endpoint, "--cache", "--format", "json")
            first = pki.run(*ask)
            assert pki.run(*ask).stdout == first.stdout and len(server.requests) == 1
        assert first.json["sourceIdentity"] == identity
        assert first.stdout.rstrip("\n").isprintable()

    @pytest.mark.parametrize("name", ["x\n[evil]", "x\ry", "a]b", "DEFAULT", "x ; y"])
    def test_w17_no_name_forges_a_section(self, pki: Pki, root: Identity, files: tuple, name: str) -> None:
        config = pki.home / "config"
        config.write_text("")
        named = pki.with_environment(AWS_CONFIG_FILE=str(config))
        with serving(Verifier([root.certificate])) as server:
            said = named.refuse(
                "creds", *files, *ARNS, "--endpoint", server.endpoint, "--format", "ini", "--profile", name, status=USAGE
            )
        assert "section" in said


def session_document(**changes: Any) -> bytes:
    """A success as the service gives it, with some members of it changed."""
    expiration = (datetime.now(UTC) + timedelta(hours=changes.pop("hours", 1))).strftime("%Y-%m-%dT%H:%M:%SZ")
    own = {
        "assumedRoleUser": {"arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE_ARN.rsplit('/', 1)[1]}/x"},
        "credentials": {
            "accessKeyId": "ASIAEXAMPLE",
            "secretAccessKey": "a-SECRET",
            "sessionToken": "t-SECRET",
            "expiration": changes.pop("expiration", expiration),
        },
        "roleArn": ROLE_ARN,
    }
    subject = changes.pop("subjectArn", f"arn:aws:rolesanywhere:{REGION}:{ACCOUNT}:subject/x")
    return json.dumps({"credentialSet": [own | changes], "subjectArn": subject}).encode()


class TestClock:
    @pytest.fixture
    def files(self, root: Identity, tmp_path: Path) -> tuple[str | Path, ...]:
        """A certificate that is valid for days in both directions."""
        leaf = issue(root, "old", not_before=datetime.now(UTC) - timedelta(days=9))
        return identity_options(*leaf.write(tmp_path, "old"))

    @pytest.mark.parametrize("hours", [25, -25, 24 * 365 * 70])
    def test_w9_a_clock_that_is_more_than_a_day_away_is_not_believed(
        self, pki: Pki, root: Identity, files: tuple, hours: int
    ) -> None:
        with serving(Verifier([root.certificate]), clock_offset=timedelta(hours=hours)) as server:
            said = pki.refuse("creds", *files, *ARNS, "--endpoint", server.endpoint, status=DENIED)
        assert len(server.requests) == 1
        there = datetime.now(UTC) + timedelta(hours=hours)
        assert there.strftime("%Y-%m-%dT%H:") in said
        assert datetime.now(UTC).strftime("%Y-%m-%dT%H:") in said

    def test_w9_nor_one_at_which_the_certificate_is_not_valid(self, pki: Pki, root: Identity, tmp_path: Path) -> None:
        files = identity_options(*issue(root, "young").write(tmp_path, "young"))
        with serving(Verifier([root.certificate]), clock_offset=timedelta(hours=-3)) as server:
            said = pki.refuse("creds", *files, *ARNS, "--endpoint", server.endpoint, status=DENIED)
        assert len(server.requests) == 1 and "not valid then" in said

    @pytest.mark.parametrize("hours", [2, -3, 23])
    def test_takes_the_servers_time_once(self, pki: Pki, root: Identity, files: tuple, hours: int) -> None:
        with serving(Verifier([root.certificate]), clock_offset=timedelta(hours=hours)) as server:
            result = pki.run("creds", *files, *ARNS, "--endpoint", server.endpoint)
        assert len(server.requests) == 2
        [session] = server.sessions
        assert_is_session(result, session)
        assert abs(session.signed_at - datetime.now(UTC) - timedelta(hours=hours)) < timedelta(minutes=1)

    def test_not_for_a_small_difference(self, pki: Pki, root: Identity, files: tuple) -> None:
        answer = Answer(403, (("X-Amzn-ErrorType", "AccessDeniedException"),), b'{"message":"Untrusted"}')
        with serving(Verifier([root.certificate]), answer, clock_offset=timedelta(minutes=4)) as server:
            pki.refuse("creds", *files, *ARNS, "--endpoint", server.endpoint, status=DENIED)
        assert len(server.requests) == 1

    def test_once_only(self, pki: Pki, root: Identity, files: tuple) -> None:
        answer = Answer(403, (("X-Amzn-ErrorType", "AccessDeniedException"),), b'{"message":"Signature expired"}')
        with serving(Verifier([root.certificate]), *[answer] * 9, clock_offset=timedelta(hours=1)) as server:
            pki.refuse("creds", *files, *ARNS, "--endpoint", server.endpoint, status=DENIED)
        assert len(server.requests) == 2


class TestErrors:
    TEXT = "Ünwanted, “really” <no>"
    ESCAPED = json.dumps(TEXT).encode()

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(403, (("X-Amzn-ErrorType", "AccessDeniedException"),), b'{"message":%s}' % ESCAPED),
            Answer(403, (("x-amzn-errortype", "AccessDeniedException:http://internal/"),), b'{"Message":%s}' % ESCAPED),
            Answer(403, (("X-Amzn-ErrorType", "com.amazon#AccessDeniedException"),), b'{"message":%s}' % ESCAPED),
            Answer(403, (), b'{"code":"AccessDeniedException","message":%s}' % ESCAPED),
            Answer(403, (), b'{"__type":"com.amazon.rolesanywhere#AccessDeniedException","Message":%s}' % ESCAPED),
            Answer(403, (), b'{"__type":"AccessDeniedException","message":"%s"}' % TEXT.replace('"', '\\"').encode()),
        ],
        ids=["header", "header with address", "header with namespace", "code", "type", "raw UTF-8"],
    )
    def test_code_and_text_verbatim(self, pki: Pki, root: Identity, files: tuple, answer: Answer) -> None:
        with serving(Verifier([root.certificate]), answer) as server:
            stderr = pki.refuse("creds", *files, *ARNS, "--endpoint", server.endpoint, status=DENIED)
        assert "AccessDeniedException" in stderr and self.TEXT in stderr
        assert "namespace" not in stderr and "internal" not in stderr and "com.amazon" not in stderr

    @pytest.mark.parametrize(
        ("text", "cause"),
        [
            ("Untrusted signing certificate", "trust anchor"),
            ("Invalid signature", "clock"),
            ("Not authorized to set roleSessionName.", "acceptRoleSessionName"),
            ("Unable to assume role arn", "trust policy"),
        ],
    )
    def test_likely_cause(self, pki: Pki, root: Identity, files: tuple, text: str, cause: str) -> None:
        answer = Answer(403, (("X-Amzn-ErrorType", "AccessDeniedException"),), json.dumps({"message": text}).encode())
        with serving(Verifier([root.certificate]), answer) as server:
            stderr = pki.refuse("creds", *files, *ARNS, "--endpoint", server.endpoint, status=DENIED)
        assert text in stderr
        hints = re.findall("^pki: hint: .*$", stderr, re.MULTILINE)
        assert cause in " ".join(hints), stderr

    @pytest.mark.parametrize(
        ("status", "code", "exit_status"),
        [
            (400, "ValidationException", DENIED),
            (404, "ResourceNotFoundException", DENIED),
            (403, "AccessDeniedException", DENIED),
            (500, "InternalFailure", UNAVAILABLE),
            (429, "ThrottlingException", UNAVAILABLE),
        ],
    )
    def test_exit_status(
        self, pki: Pki, root: Identity, files: tuple, status: int, code: str, exit_status: int
    ) -> None:
        answer = Answer(status, (("X-Amzn-ErrorType", code),), b'{"message":"as it is"}')
        with serving(Verifier([root.certificate]), *[answer] * 3) as server:
            options = ("--endpoint", server.endpoint, "--attempts", "1")
            stderr = pki.refuse("creds", *files, *ARNS, *options, status=exit_status)
        assert code in stderr and "as it is" in stderr

    @pytest.mark.parametrize("body", [b"", b"<html><h1>Blocked</h1></html>", b"[1]", b'"text"', b"{", b"\xff"])
    def test_a_body_that_is_not_from_aws(self, pki: Pki, root: Identity, files: tuple, body: bytes) -> None:
        with serving(Verifier([root.certificate]), Answer(403, (("Content-Type", "text/html"),), body)) as server:
            stderr = pki.refuse("creds", *files, *ARNS, "--endpoint", server.endpoint, status=DENIED)
        assert "403" in stderr
        if b"Blocked" in body:
            assert "Blocked" in stderr

    def test_control_characters_do_not_reach_the_terminal(self, pki: Pki, root: Identity, files: tuple) -> None:
        answer = Answer(403, (), json.dumps({"message": "\x1b]0;owned\x07 red\x1b[31m\r\nnew line"}).encode())
        with serving(Verifier([root.certificate]), answer) as server:
            stderr = pki.refuse("creds", *files, *ARNS, "--endpoint", server.endpoint, status=DENIED)
        assert "\x1b" not in stderr and "\x07" not in stderr

    def test_a_redirect_is_not_followed(self, pki: Pki, root: Identity, files: tuple) -> None:
        with serving(Verifier([root.certificate])) as other:
            answer = Answer(307, (("Location", f"{other.endpoint}/sessions"),))
            with serving(Verifier([root.certificate]), answer) as server:
                pki.refuse("creds", *files, *ARNS, "--endpoint", server.endpoint, "--attempts", "1", status=None)
            assert other.requests == []


@pytest.fixture(scope="module")
def web() -> Identity:
    """The CA of a web server, which nothing on this machine trusts."""
    return issue(None, "web root", ca=True)


@pytest.fixture
def tls(web: Identity, tmp_path: Path) -> tuple[Path, Path]:
    """A server's certificate and key files; `web-cert.pem` beside them is the CA's."""
    web.write(tmp_path, "web")
    names = ("127.0.0.1", "localhost", f"rolesanywhere.{REGION}.amazonaws.com")
    return issue(web, "server", hosts=names).write(tmp_path, "server")


class TestTLS:
    def test_a_named_bundle(self, pki: Pki, root: Identity, files: tuple, tls: tuple, tmp_path: Path) -> None:
        with serving(Verifier([root.certificate]), tls=tls) as server:
            options = ("--endpoint", server.endpoint, "--ca-bundle", tmp_path / "web-cert.pem")
            result = pki.run("creds", *files, *ARNS, *options)
        assert_is_session(result, server.sessions[0])

    @pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
    def test_a_bundle_in_the_environment(
        self, pki: Pki, root: Identity, files: tuple, tls: tuple, tmp_path: Path, variable: str
    ) -> None:
        with serving(Verifier([root.certificate]), tls=tls) as server:
            trusting = pki.with_environment(**{variable: str(tmp_path / "web-cert.pem")})
            trusting.run("creds", *files, *ARNS, "--endpoint", server.endpoint)
        assert len(server.sessions) == 1

    def test_a_folder_of_hashes_in_the_environment(
        self, pki: Pki, root: Identity, files: tuple, tls: tuple, tmp_path: Path
    ) -> None:
        folder = tmp_path / "hashed"
        folder.mkdir()
        name = openssl("x509", "-in", tmp_path / "web-cert.pem", "-noout", "-hash").stdout.strip()
        (folder / f"{name}.0").write_bytes((tmp_path / "web-cert.pem").read_bytes())
        with serving(Verifier([root.certificate]), tls=tls) as server:
            trusting = pki.with_environment(SSL_CERT_DIR=str(folder))
            trusting.run("creds", *files, *ARNS, "--endpoint", server.endpoint)
        assert len(server.sessions) == 1

    def test_the_option_goes_before_the_environment(
        self, pki: Pki, root: Identity, files: tuple, tls: tuple, tmp_path: Path
    ) -> None:
        root.write(tmp_path, "wrong")
        confused = pki.with_environment(AWS_CA_BUNDLE=str(tmp_path / "wrong-cert.pem"))
        with serving(Verifier([root.certificate]), tls=tls) as server:
            options = ("--endpoint", server.endpoint, "--ca-bundle", tmp_path / "web-cert.pem")
            confused.run("creds", *files, *ARNS, *options)

    def test_an_untrusted_server(self, pki: Pki, root: Identity, files: tuple, tls: tuple) -> None:
        with serving(Verifier([root.certificate]), tls=tls) as server:
            result = pki.run("creds", *files, *ARNS, "--endpoint", server.endpoint, status=None)
        assert result.status in (REFUSED, UNAVAILABLE) and result.stdout == "", result.describe()
        assert server.requests == []
        assert "certificate" in result.stderr

    def test_a_name_that_is_not_the_servers(
        self, pki: Pki, root: Identity, files: tuple, web: Identity, tmp_path: Path
    ) -> None:
        web.write(tmp_path, "web")
        other = issue(web, "server", hosts=("other.example.test",)).write(tmp_path, "server")
        with serving(Verifier([root.certificate]), tls=other) as server:
            options = ("--endpoint", server.endpoint, "--ca-bundle", tmp_path / "web-cert.pem")
            result = pki.run("creds", *files, *ARNS, *options, status=None)
        assert result.status in (REFUSED, UNAVAILABLE) and server.requests == []

    def test_unverified_on_request_with_a_warning(self, pki: Pki, root: Identity, files: tuple, tls: tuple) -> None:
        with serving(Verifier([root.certificate]), tls=tls) as server:
            result = pki.run("creds", *files, *ARNS, "--endpoint", server.endpoint, "--no-verify-ssl")
        assert "pki: warning: " in result.stderr
        assert_is_session(result, server.sessions[0])

    @pytest.mark.parametrize("content", [None, "", "no certificate\n"])
    def test_a_bundle_that_is_none(
        self, pki: Pki, root: Identity, files: tuple, tls: tuple, tmp_path: Path, content: str | None
    ) -> None:
        bundle = tmp_path / "bundle.pem"
        if content is not None:
            bundle.write_text(content)
        with serving(Verifier([root.certificate]), tls=tls) as server:
            options = ("--endpoint", server.endpoint, "--ca-bundle", bundle, "--attempts", "1")
            result = pki.run("creds", *files, *ARNS, *options, status=None)
        assert result.status in (REFUSED, UNAVAILABLE) and "bundle.pem" in result.stderr, result.describe()
        assert server.requests == []

    def test_plain_http_is_for_loopback(self, pki: Pki, files: tuple) -> None:
        stderr = pki.refuse("creds", *files, *ARNS, "--endpoint", "http://192.0.2.1:9", status=None)
        assert "https" in stderr


class TestProxies:
    """The default endpoint, reached through a proxy that leads to a server on this machine."""

    HOST = f"rolesanywhere.{REGION}.amazonaws.com"

    @pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
    def test_default_endpoint(
        self, pki: Pki, root: Identity, files: tuple, tls: tuple, tmp_path: Path, variable: str
    ) -> None:
        with (
            serving(Verifier([root.certificate]), tls=tls, host=self.HOST) as server,
            proxy(server.server_address[1]) as way,
        ):
            through = pki.with_environment(**{variable: way.url, "AWS_CA_BUNDLE": str(tmp_path / "web-cert.pem")})
            result = through.run("creds", *files, *ARNS)
        assert_is_session(result, server.sessions[0])
        assert way.asked == [f"CONNECT {self.HOST}:443 HTTP/1.1"]

    @pytest.mark.parametrize("exception", ["127.0.0.1", "*", "localhost,127.0.0.1"])
    def test_no_proxy(
        self, pki: Pki, root: Identity, files: tuple, tls: tuple, tmp_path: Path, exception: str
    ) -> None:
        with serving(Verifier([root.certificate]), tls=tls) as server:
            dead = f"http://127.0.0.1:{closed_port()}"
            around = pki.with_environment(HTTPS_PROXY=dead, NO_PROXY=exception)
            options = ("--endpoint", server.endpoint, "--ca-bundle", tmp_path / "web-cert.pem")
            around.run("creds", *files, *ARNS, *options)
        assert len(server.sessions) == 1

    def test_a_dead_proxy(self, pki: Pki, files: tuple) -> None:
        port = closed_port()
        through = pki.with_environment(HTTPS_PROXY=f"http://127.0.0.1:{port}")
        stderr = through.refuse("creds", *files, *ARNS, "--attempts", "1", status=UNAVAILABLE)
        assert str(port) in stderr or self.HOST in stderr

    def test_a_secret_in_the_proxys_address_is_not_told(self, pki: Pki, files: tuple) -> None:
        through = pki.with_environment(HTTPS_PROXY=f"http://user:hunter2@127.0.0.1:{closed_port()}")
        stderr = through.refuse("creds", *files, *ARNS, "--attempts", "1", "--debug", status=UNAVAILABLE)
        assert "hunter2" not in stderr


class TestLocalChecks:
    """What can be known before a request is refused before it."""

    CASES = {
        "expired": (
            lambda root: issue(
                root,
                not_before=datetime.now(UTC) - timedelta(days=2),
                not_after=datetime.now(UTC) - timedelta(days=1),
            ),
            "expired",
        ),
        "not yet valid": (lambda root: issue(root, not_before=datetime.now(UTC) + timedelta(days=1)), "not valid before|not yet"),
        "no digitalSignature": (lambda root: issue(root, usage=key_usage("key_agreement")), "digitalSignature"),
        "a CA": (lambda root: issue(root, ca=True, usage=key_usage("digital_signature", "key_cert_sign")), "CA"),
        "a weak hash": (lambda root: issue(root, digest=hashes.SHA224()), "SHA-?(224|256)"),
    }

    @pytest.mark.parametrize("case", CASES)
    def test_certificate(self, pki: Pki, root: Identity, tmp_path: Path, case: str) -> None:
        make, rule = self.CASES[case]
        options = identity_options(*make(root).write(tmp_path, "leaf"))
        stderr = pki.refuse("creds", *options, *ARNS, *NOWHERE)
        assert "leaf-cert.pem" in stderr and re.search(rule, stderr), stderr

    def test_key_of_another_certificate(self, pki: Pki, root: Identity, tmp_path: Path) -> None:
        certificate, _ = issue(root).write(tmp_path, "one")
        _, key = issue(root).write(tmp_path, "two")
        stderr = pki.refuse("creds", *identity_options(certificate, key), *ARNS, *NOWHERE)
        assert "one-cert.pem" in stderr and "two-key.pem" in stderr

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("--trust-anchor-arn", "arn:aws:rolesanywhere:us-east-1:123456789012:profile/x"),
            ("--trust-anchor-arn", "trust-anchor"),
            ("--profile-arn", "arn:aws:rolesanywhere:eu-west-1:123456789012:profile/x"),
            ("--profile-arn", TRUST_ANCHOR_ARN),
            ("--role-arn", "arn:aws:iam::123456789012:user/x"),
            ("--role-arn", "arn:aws:iam::12345:role/x"),
            ("--session-duration", "899"),
            ("--session-duration", "43201"),
            ("--role-session-name", "a"),
            ("--role-session-name", "a b"),
            ("--role-session-name", "n" * 65),
            ("--endpoint", "ftp://127.0.0.1"),
            ("--endpoint", "nonsense"),
        ],
    )
    def test_options(self, pki: Pki, files: tuple, option: str, value: str) -> None:
        arguments = [*files, *ARNS, *NOWHERE]
        if option in arguments:
            arguments[arguments.index(option) + 1] = value
        else:
            arguments += [option, value]
        result = pki.run("creds", *arguments, status=None)
        assert result.status in (REFUSED, 64) and result.stdout == "", result.describe()
        said = result.stderr.replace("-", " ")
        assert option.removeprefix("--").removesuffix("-arn").replace("-", " ") in said or value in result.stderr

    @pytest.mark.parametrize("missing", ["certificate", "key"])
    def test_files_that_are_not_there(self, pki: Pki, files: tuple, missing: str) -> None:
        path = Path(files[1 if missing == "certificate" else 3])
        path.unlink()
        stderr = pki.refuse("creds", *files, *ARNS, *NOWHERE)
        assert path.name in stderr

    def test_a_key_in_the_certificates_place(self, pki: Pki, files: tuple) -> None:
        _, certificate, _, key = files
        stderr = pki.refuse("creds", "--certificate", key, "--private-key", certificate, *ARNS, *NOWHERE)
        assert Path(key).read_text().splitlines()[1] not in stderr

    def test_a_pipe_that_is_closed(self, pki: Pki, root: Identity, files: tuple) -> None:
        """No credentials into nowhere, and no crash: the status says that the output was lost."""
        with serving(Verifier([root.certificate])) as server:
            words = " ".join(shlex.quote(w) for w in pki.command("creds", *files, *ARNS, "--endpoint", server.endpoint))
            script = f"{words} | true; exit ${{PIPESTATUS[0]}}"
            result = Pki(pki.home, Path("/bin/bash")).run("-c", script, status=None)
        assert result.status in (0, 2, 141), result.describe()
