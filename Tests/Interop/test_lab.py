# SPDX-License-Identifier: Apache-2.0
"""`pki lab` before clients that know nothing of pki: AWS's own Python session, and a signer of this directory."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from peer import KEY_TYPES, Identity, Reply, SignedRequest, create_session, issue, key_usage, load, root_of
from program import DONE, Lab, Pki, running_lab
from sampling import scaled
from test_verifier import (
    LEAVES,
    change_body,
    change_date,
    flip_signature,
    uppercase_signature,
)


@pytest.fixture(scope="module")
def shared(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Identity]]:
    """One lab for the tests that only ask it, and the CA that it trusts."""
    home = tmp_path_factory.mktemp("lab")
    pki = Pki(home, built)
    pki.run("init-ca", "--directory", home / "ca")
    with running_lab(pki, "--directory", home / "ca") as lab:
        yield lab, root_of(home / "ca")


def assert_session(reply: Reply, lab: Lab, seconds: int = 3600) -> dict[str, Any]:
    """An answer as CreateSession gives it."""
    assert reply.status == 201, reply
    document = reply.document
    [credential_set] = document["credentialSet"]
    credentials = credential_set["credentials"]
    assert credentials["accessKeyId"].startswith("ASIA") and len(credentials["accessKeyId"]) == 20
    assert len(credentials["secretAccessKey"]) == 40 and len(credentials["sessionToken"]) >= 100
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", credentials["expiration"])
    left = datetime.fromisoformat(credentials["expiration"]) - datetime.now(UTC)
    assert timedelta(seconds=seconds - 60) < left <= timedelta(seconds=seconds + 1)
    assert credential_set["roleArn"] == lab.role_arn
    assert ":assumed-role/" in credential_set["assumedRoleUser"]["arn"]
    assert re.match(r"arn:aws[\w-]*:rolesanywhere:.*:subject/", document["subjectArn"])
    return credential_set


def assert_refused(reply: Reply, status: int, code: str) -> None:
    assert (reply.status, reply.code) == (status, code), reply
    assert reply.document["message"] != ""
    assert "credentialSet" not in reply.document


class TestClientsOfAWS:
    """PyPI's iam-rolesanywhere-session, unmodified. It speaks TLS only."""

    @pytest.mark.parametrize("key_type", KEY_TYPES)
    def test_a_session(self, pki: Pki, ca: Path, key_type: str) -> None:
        from iam_rolesanywhere_session import IAMRolesAnywhereSession

        pki.run("issue-client", "--directory", ca, "--name", "peer", "--key-type", key_type)
        with running_lab(pki, "--directory", ca, "--tls") as lab:
            session = IAMRolesAnywhereSession(
                profile_arn=lab.profile_arn,
                role_arn=lab.role_arn,
                trust_anchor_arn=lab.trust_anchor_arn,
                certificate=str(ca / "peer-cert.pem"),
                private_key=str(ca / "peer-key.pem"),
                region=lab.trust_anchor_arn.split(":")[3],
                endpoint=lab.address,
                verify=lab.ca_bundle,
                session_duration=1800,
            )
            credentials = session.get_refreshable_credentials().get_frozen_credentials()
        assert credentials.access_key.startswith("ASIA")
        assert credentials.secret_key and credentials.token

    def test_with_a_chain(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        from iam_rolesanywhere_session import IAMRolesAnywhereSession

        intermediate = issue(root_of(ca), "intermediate", ca=True)
        certificate, key = issue(intermediate, "leaf").write(tmp_path, "leaf")
        chain, _ = intermediate.write(tmp_path, "intermediate")
        with running_lab(pki, "--directory", ca, "--tls") as lab:
            session = IAMRolesAnywhereSession(
                profile_arn=lab.profile_arn,
                role_arn=lab.role_arn,
                trust_anchor_arn=lab.trust_anchor_arn,
                certificate=str(certificate),
                certificate_chain=str(chain),
                private_key=str(key),
                region=lab.trust_anchor_arn.split(":")[3],
                endpoint=lab.address,
                verify=lab.ca_bundle,
            )
            credentials = session.get_refreshable_credentials().get_frozen_credentials()
        assert credentials.access_key.startswith("ASIA")

    @pytest.mark.smoke
    def test_a_stranger(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        from iam_rolesanywhere_session import IAMRolesAnywhereSession
        from iam_rolesanywhere_session.exceptions import CredentialsRetrievalError

        certificate, key = issue(issue(None, "elsewhere", ca=True)).write(tmp_path, "stranger")
        with running_lab(pki, "--directory", ca, "--tls") as lab:
            session = IAMRolesAnywhereSession(
                profile_arn=lab.profile_arn,
                role_arn=lab.role_arn,
                trust_anchor_arn=lab.trust_anchor_arn,
                certificate=str(certificate),
                private_key=str(key),
                region=lab.trust_anchor_arn.split(":")[3],
                endpoint=lab.address,
                verify=lab.ca_bundle,
            )
            with pytest.raises(CredentialsRetrievalError, match="Untrusted signing certificate"):
                session.get_refreshable_credentials().get_frozen_credentials()


class TestOurClient:
    @pytest.mark.parametrize(
        ("key_type", "tls"),
        [(key_type, ()) for key_type in KEY_TYPES] + [(key_type, ("--tls",)) for key_type in KEY_TYPES[:: scaled(1, 3)]],
    )
    def test_a_session(self, pki: Pki, ca: Path, key_type: str, tls: tuple[str, ...]) -> None:
        pki.run("issue-client", "--directory", ca, "--name", "ours", "--key-type", key_type)
        with running_lab(pki, "--directory", ca, *tls) as lab:
            result = pki.run(
                "creds", "--certificate", ca / "ours-cert.pem", "--private-key", ca / "ours-key.pem", *lab.arguments
            )
        assert result.json["AccessKeyId"].startswith("ASIA") and result.json["Version"] == 1
        assert result.json["AccountId"] == lab.role_arn.split(":")[4]

    @pytest.mark.smoke
    def test_names_the_session_after_the_serial(self, pki: Pki, ca: Path, lab: Lab) -> None:
        client = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
        reply = create_session(client, lab.address, lab.arns).send(lab.endpoint)
        name = assert_session(reply, lab)["assumedRoleUser"]["arn"].rsplit("/", 1)[1]
        assert int(name, 16) == client.certificate.serial_number
        assert reply.document["credentialSet"][0]["sourceIdentity"] == "CN=TEST CLIENT"


class TestRequests:
    @pytest.mark.parametrize("key_type", KEY_TYPES)
    @pytest.mark.parametrize("arns_in_body", [False, True], ids=["query", "body"])
    def test_takes(self, shared: tuple[Lab, Identity], key_type: str, arns_in_body: bool) -> None:
        lab, root = shared
        identity = issue(root, key_type=key_type)
        request = create_session(identity, lab.address, lab.arns, arns_in_body=arns_in_body)
        assert_session(request.send(lab.endpoint), lab)

    @pytest.mark.parametrize("content_type", ["application/json", "application/x-amz-json-1.0"])
    def test_content_types(self, shared: tuple[Lab, Identity], content_type: str) -> None:
        lab, root = shared
        request = create_session(issue(root), lab.address, lab.arns, content_type=content_type)
        assert_session(request.send(lab.endpoint), lab)

    @pytest.mark.parametrize("seconds", [900, 1800, 3600])
    def test_durations(self, shared: tuple[Lab, Identity], seconds: int) -> None:
        lab, root = shared
        request = create_session(issue(root), lab.address, lab.arns, body={"durationSeconds": seconds})
        assert_session(request.send(lab.endpoint), lab, seconds)

    def test_no_duration_is_an_hour(self, shared: tuple[Lab, Identity]) -> None:
        lab, root = shared
        assert_session(create_session(issue(root), lab.address, lab.arns, body={}).send(lab.endpoint), lab)

    def test_extra_signed_headers_in_any_dress(self, shared: tuple[Lab, Identity]) -> None:
        """Canonical values are trimmed and their inner spaces made one; names are lower case."""
        lab, root = shared
        extra = {"X-Custom": "  two   words  ", "accept": "*/*"}
        request = create_session(issue(root), lab.address, lab.arns, extra_headers=extra)
        assert_session(request.send(lab.endpoint), lab)

    def test_an_unsigned_header_is_no_matter(self, shared: tuple[Lab, Identity]) -> None:
        lab, root = shared
        request = create_session(issue(root), lab.address, lab.arns)
        request.headers["User-Agent"] = "anything"
        assert_session(request.send(lab.endpoint), lab)

    def test_a_query_in_any_order(self, shared: tuple[Lab, Identity]) -> None:
        """The signature is over the sorted query; the wire may have it otherwise."""
        lab, root = shared
        request = create_session(issue(root), lab.address, lab.arns)
        path, query = request.target.split("?")
        request.target = f"{path}?{'&'.join(reversed(query.split('&')))}"
        assert_session(request.send(lab.endpoint), lab)

    @pytest.mark.parametrize("depth", [1, 2, 4])
    def test_a_chain(self, pki: Pki, tmp_path: Path, depth: int) -> None:
        root = issue(None, "deep root", ca=True)
        bundle, _ = root.write(tmp_path, "deep")
        chain = [root]
        for number in range(depth):
            chain.append(issue(chain[-1], f"intermediate {number}", ca=True))
        leaf = issue(chain[-1])
        with running_lab(pki, "--trust-anchor", bundle) as lab:
            for sent in (chain[:0:-1], chain[1:]):
                request = create_session(leaf, lab.address, lab.arns, chain=sent)
                assert_session(request.send(lab.endpoint), lab)
            without = create_session(leaf, lab.address, lab.arns)
            assert_refused(without.send(lab.endpoint), 403, "AccessDeniedException")

    def test_a_rollover_pair(self, pki: Pki, tmp_path: Path) -> None:
        old, new = issue(None, "old", ca=True), issue(None, "new", ca=True)
        bundle, _ = old.write(tmp_path, "bundle", [new])
        with running_lab(pki, "--trust-anchor", bundle) as lab:
            for root in (old, new):
                assert_session(create_session(issue(root), lab.address, lab.arns).send(lab.endpoint), lab)


REFUSED: dict[str, tuple[int, str, Callable[[Identity, str, dict[str, str]], SignedRequest]]] = {
    "serial in hexadecimal": (
        403,
        "AccessDeniedException",
        lambda i, a, n: create_session(i, a, n, serial=f"{i.certificate.serial_number:x}"),
    ),
    "another region": (403, "AccessDeniedException", lambda i, a, n: create_session(i, a, n, region="ap-south-2")),
    "another service": (403, "AccessDeniedException", lambda i, a, n: create_session(i, a, n, service="sts")),
    "another algorithm": (
        403,
        "AccessDeniedException",
        lambda i, a, n: create_session(i, a, n, algorithm="AWS4-X509-RSA-SHA256"),
    ),
    "an algorithm with another hash": (
        403,
        "AccessDeniedException",
        lambda i, a, n: create_session(i, a, n, algorithm="AWS4-X509-ECDSA-SHA384"),
    ),
    "content-type not signed": (
        403,
        "AccessDeniedException",
        lambda i, a, n: create_session(i, a, n, signed=["host", "x-amz-date", "x-amz-x509"]),
    ),
    "certificate not signed": (
        403,
        "AccessDeniedException",
        lambda i, a, n: create_session(i, a, n, signed=["content-type", "host", "x-amz-date"]),
    ),
    "chain not signed": (
        403,
        "AccessDeniedException",
        lambda i, a, n: create_session(
            i, a, n, chain=[i], signed=["content-type", "host", "x-amz-date", "x-amz-x509"]
        ),
    ),
    "an old date": (
        403,
        "AccessDeniedException",
        lambda i, a, n: create_session(i, a, n, date=datetime.now(UTC) - timedelta(minutes=20)),
    ),
    "a date to come": (
        403,
        "AccessDeniedException",
        lambda i, a, n: create_session(i, a, n, date=datetime.now(UTC) + timedelta(minutes=20)),
    ),
    "an unknown anchor": (
        404,
        "ResourceNotFoundException",
        lambda i, a, n: create_session(i, a, n | {"trustAnchorArn": n["trustAnchorArn"][:-4] + "ffff"}),
    ),
    "an unknown profile": (
        404,
        "ResourceNotFoundException",
        lambda i, a, n: create_session(i, a, n | {"profileArn": n["profileArn"][:-4] + "ffff"}),
    ),
    "no role": (
        400,
        "ValidationException",
        lambda i, a, n: create_session(i, a, {k: v for k, v in n.items() if k != "roleArn"}),
    ),
    "a malformed role": (
        400,
        "ValidationException",
        lambda i, a, n: create_session(i, a, n | {"roleArn": "nonsense"}),
    ),
    "a duration too short": (
        400,
        "ValidationException",
        lambda i, a, n: create_session(i, a, n, body={"durationSeconds": 899}),
    ),
    "a duration too long": (
        400,
        "ValidationException",
        lambda i, a, n: create_session(i, a, n, body={"durationSeconds": 43201}),
    ),
    "a duration in words": (
        400,
        "ValidationException",
        lambda i, a, n: create_session(i, a, n, body={"durationSeconds": "3600"}),
    ),
    "a session name with a space": (
        400,
        "ValidationException",
        lambda i, a, n: create_session(i, a, n, body={"roleSessionName": "a b"}),
    ),
    "six in the chain": (
        400,
        "ValidationException",
        lambda i, a, n: create_session(i, a, n, chain=[i] * 6),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(shared: tuple[Lab, Identity], case: str) -> None:
    lab, root = shared
    status, code, make = REFUSED[case]
    assert_refused(make(issue(root), lab.address, lab.arns).send(lab.endpoint), status, code)


@pytest.mark.parametrize("tamper", [uppercase_signature, flip_signature, change_body, change_date])
@pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048"])
def test_refuses_after(
    shared: tuple[Lab, Identity], tamper: Callable[[SignedRequest], None], key_type: str
) -> None:
    lab, root = shared
    request = create_session(issue(root, key_type=key_type), lab.address, lab.arns)
    tamper(request)
    assert_refused(request.send(lab.endpoint), 403, "AccessDeniedException")


def drop(name: str) -> Callable[[SignedRequest], None]:
    return lambda request: request.headers.pop(name) and None


def put(name: str, value: str) -> Callable[[SignedRequest], None]:
    return lambda request: request.headers.update({name: value})


@pytest.mark.parametrize(
    "damage",
    [
        drop("Authorization"),
        drop("X-Amz-Date"),
        drop("X-Amz-X509"),
        put("Authorization", "Bearer token"),
        put("Authorization", "AWS4-X509-ECDSA-SHA256 Credential=1/x, SignedHeaders=host, Signature=00"),
        put("X-Amz-Date", "yesterday"),
        put("X-Amz-X509", "AAAA"),
        put("X-Amz-X509", "not base64!"),
        put("X-Amz-X509-Chain", "AAAA"),
        put("X-Amz-X509-Chain", ",,"),
        lambda request: setattr(request, "body", b""),
        lambda request: setattr(request, "body", b"[]"),
        lambda request: setattr(request, "body", b"{" * 5000),
        lambda request: setattr(request, "body", b"\xff\xfe"),
        lambda request: setattr(request, "target", "/sessions?%zz=1"),
        lambda request: setattr(request, "target", "/sessions?" + "a=b&" * 500),
    ],
)
def test_survives(shared: tuple[Lab, Identity], damage: Callable[[SignedRequest], None]) -> None:
    lab, root = shared
    identity = issue(root)
    request = create_session(identity, lab.address, lab.arns)
    damage(request)
    reply = request.send(lab.endpoint)
    assert reply.status in (400, 403) and reply.code in ("ValidationException", "AccessDeniedException"), reply
    assert_session(create_session(identity, lab.address, lab.arns).send(lab.endpoint), lab)


@pytest.mark.parametrize("case", LEAVES)
def test_refuses_a_leaf(shared: tuple[Lab, Identity], case: str) -> None:
    lab, root = shared
    reply = create_session(LEAVES[case](root), lab.address, lab.arns).send(lab.endpoint)
    assert_refused(reply, 403, "AccessDeniedException")


@pytest.mark.parametrize("case", ["path length", "no keyCertSign", "not a CA", "expired"])
def test_refuses_a_chain(shared: tuple[Lab, Identity], case: str) -> None:
    lab, root = shared
    now = datetime.now(UTC)
    usage = None
    options: dict[str, Any] = {"ca": True}
    match case:
        case "no keyCertSign":
            usage = key_usage("crl_sign")
        case "not a CA":
            options = {"ca": False}
            usage = key_usage("key_cert_sign", "digital_signature")
        case "expired":
            options |= {"not_before": now - timedelta(days=2), "not_after": now - timedelta(days=1)}
        case "path length":
            options |= {"path_length": 0}
    upper = issue(root, "upper", usage=usage, **options)
    chain = [upper]
    if case == "path length":
        chain = [issue(upper, "lower", ca=True), upper]
    reply = create_session(issue(chain[0]), lab.address, lab.arns, chain=chain).send(lab.endpoint)
    assert_refused(reply, 403, "AccessDeniedException")


class TestServer:
    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_other_methods(self, shared: tuple[Lab, Identity], method: str) -> None:
        lab, root = shared
        reply = create_session(issue(root), lab.address, lab.arns).send(lab.endpoint, method=method)
        assert reply.status in (403, 404, 405)

    def test_other_paths(self, shared: tuple[Lab, Identity]) -> None:
        lab, root = shared
        assert create_session(issue(root), lab.address, lab.arns, path="/other").send(lab.endpoint).status == 404

    def test_too_much(self, shared: tuple[Lab, Identity]) -> None:
        """A body without end is cut off, and the next client is served."""
        lab, root = shared
        with socket.create_connection(("127.0.0.1", lab.port), timeout=20) as connection:
            connection.sendall(b"POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
            try:
                for _ in range(200):
                    connection.sendall(b"x" * 65536)
                answer = connection.recv(100)
            except OSError:
                answer = b""
        assert answer == b"" or answer.startswith((b"HTTP/1.1 413", b"HTTP/1.1 400")), answer
        assert_session(create_session(issue(root), lab.address, lab.arns).send(lab.endpoint), lab)

    @pytest.mark.parametrize("text", [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00", b"\x00" * 2000])
    def test_what_is_no_http(self, shared: tuple[Lab, Identity], text: bytes) -> None:
        lab, root = shared
        with socket.create_connection(("127.0.0.1", lab.port), timeout=20) as connection:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(1000)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505")), answer
        assert_session(create_session(issue(root), lab.address, lab.arns).send(lab.endpoint), lab)

    def test_keeps_a_connection(self, shared: tuple[Lab, Identity]) -> None:
        import http.client

        lab, root = shared
        connection = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=20)
        for _ in range(3):
            request = create_session(issue(root), lab.address, lab.arns)
            connection.request("POST", request.target, request.body, request.headers)
            response = connection.getresponse()
            assert response.status == 201
            json.loads(response.read())
        connection.close()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    @pytest.mark.parametrize("tls", [(), ("--tls",)], ids=["http", "tls"])
    def test_stops_cleanly(self, pki: Pki, ca: Path, number: signal.Signals, tls: tuple[str, ...]) -> None:
        with running_lab(pki, "--directory", ca, *tls) as lab:
            with socket.create_connection(("127.0.0.1", lab.port), timeout=20):
                started = time.monotonic()
                assert lab.stop(number) == DONE
                assert time.monotonic() - started < 5
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", lab.port), timeout=5)

    @pytest.mark.parametrize("tls", [(), ("--tls",)], ids=["http", "tls"])
    def test_listens_on_loopback_only(self, pki: Pki, ca: Path, tls: tuple[str, ...]) -> None:
        with running_lab(pki, "--directory", ca, *tls) as lab:
            listening = listeners(lab.process.pid)
        assert listening and all(host in ("127.0.0.1", "::1") for host, _ in listening), listening
        assert {port for _, port in listening} == {lab.port}

    def test_a_port_that_is_taken(self, pki: Pki, ca: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            stderr = pki.refuse("lab", "--directory", ca, "--port", port, timeout=20)
        assert port in stderr

    def test_no_anchor(self, pki: Pki, tmp_path: Path) -> None:
        stderr = pki.refuse("lab", "--directory", tmp_path / "none", "--port", "0", timeout=20)
        assert "root-cert.pem" in stderr or "none" in stderr

    def test_an_anchor_that_aws_would_refuse(self, pki: Pki, tmp_path: Path) -> None:
        bundle, _ = issue(issue(None, ca=True)).write(tmp_path, "leaf")
        stderr = pki.refuse("lab", "--trust-anchor", bundle, "--port", "0", timeout=20)
        assert "leaf-cert.pem" in stderr

    def test_the_certificate_of_the_server(self, pki: Pki, ca: Path) -> None:
        """Its TLS certificate satisfies the verifier of web clients, for localhost and the address."""
        with running_lab(pki, "--directory", ca, "--tls") as lab:
            assert lab.ca_bundle
            bundle = Path(lab.ca_bundle).read_bytes()
            context = ssl.create_default_context(cadata=bundle.decode())
            context.verify_flags |= ssl.VERIFY_X509_STRICT
            with (
                socket.create_connection(("127.0.0.1", lab.port), timeout=20) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
            ):
                der = secured.getpeercert(binary_form=True)
                assert secured.version() in ("TLSv1.2", "TLSv1.3")
        assert der
        store = Store(x509.load_pem_x509_certificates(bundle))
        leaf = x509.load_der_x509_certificate(der)
        verifier = PolicyBuilder().store(store).build_server_verifier(x509.DNSName("localhost"))
        assert len(verifier.verify(leaf, [])) == 2
        assert "PRIVATE KEY" not in bundle.decode()

    def test_the_ca_file_goes_where_it_is_told(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        told = tmp_path / "lab-ca.pem"
        with running_lab(pki, "--directory", ca, "--tls", "--tls-ca-file", told) as lab:
            assert lab.ca_bundle == str(told)
            load(told)

    def test_prints_no_secret(self, pki: Pki, ca: Path) -> None:
        client = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
        with running_lab(pki, "--directory", ca) as lab:
            reply = create_session(client, lab.address, lab.arns).send(lab.endpoint)
            credentials = assert_session(reply, lab)["credentials"]
            lab.stop()
            said = lab.process.stdout.read().decode() if lab.process.stdout else ""
        said += "".join(path.read_text() for path in pki.home.glob("background-*.log"))
        assert credentials["secretAccessKey"] not in said and credentials["sessionToken"] not in said

    def test_region_and_account(self, pki: Pki, ca: Path) -> None:
        options = ("--region", "eu-north-1", "--account", "210987654321")
        with running_lab(pki, "--directory", ca, *options) as lab:
            assert lab.trust_anchor_arn.startswith("arn:aws:rolesanywhere:eu-north-1:210987654321:trust-anchor/")
            assert lab.role_arn.startswith("arn:aws:iam::210987654321:role/")
            client = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
            request = create_session(client, lab.address, lab.arns, region="eu-north-1")
            assert_session(request.send(lab.endpoint), lab)


def listeners(process: int) -> set[tuple[str, int]]:
    """The addresses on which a process listens, read from the kernel's tables."""
    inodes = set()
    for entry in Path(f"/proc/{process}/fd").iterdir():
        try:
            match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry))
        except FileNotFoundError:
            continue
        if match:
            inodes.add(match[1])
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                host, port = fields[1].split(":")
                raw = b"".join(bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8))
                found.add((socket.inet_ntop(family, raw), int(port, 16)))
    return found
