# SPDX-License-Identifier: Apache-2.0
"""How `pki lab` explains itself: its log, the faults that it recognises in signatures, its events, and who may ask."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from aws import SECRET_ACCESS_KEY, client, creds, denied
from peer import Identity, Reply, create_session, issue, load, pem, root_of
from program import DONE, REFUSED, UNAVAILABLE, USAGE, Lab, Pki, lines_until, running_lab
from servers import closed_port

TRACE_MEMBERS = {
    "number": int,
    "requestId": str,
    "date": str,
    "remoteAddress": str,
    "service": str,
    "operation": str,
    "status": int,
    "checks": list,
}


@pytest.fixture(scope="module")
def shared(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pki, Lab]]:
    """One lab for the tests that only ask it; the CA and its client are in the home's `ca`."""
    pki = Pki(tmp_path_factory.mktemp("explain"), built)
    pki.run("init-ca", "--directory", pki.home / "ca")
    pki.run("issue-client", "--directory", pki.home / "ca")
    with running_lab(pki, "--directory", pki.home / "ca") as lab:
        yield pki, lab


def request(lab: Lab, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Reply:
    """A request with exactly these headers; `Host` is the lab's unless told."""
    connection = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=20)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": lab.address, **(headers or {})}.items():
            connection.putheader(name, value)
        if body or method not in ("GET", "HEAD"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def log(pki: Pki, lab: Lab, *options: str) -> list[dict[str, Any]]:
    """What `pki lab log --format json` prints: one object a line."""
    text = pki.run("lab", "log", "--endpoint", lab.endpoint, "--format", "json", *options).stdout
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def client_of(pki: Pki) -> Identity:
    return Identity.load(pki.home / "ca/client-cert.pem", pki.home / "ca/client-key.pem")


# MARK: Signatures with one fault


@dataclass
class Canonical:
    """The parts of a canonical request, open to the mistakes that signers make."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body_hash: str
    blank_line: bool = True

    @property
    def names(self) -> str:
        return ";".join(sorted(self.headers))

    @property
    def text(self) -> str:
        fields = [f"{name}:{self.headers[name]}" for name in sorted(self.headers)]
        blank = [""] if self.blank_line else []
        return "\n".join([self.method, self.path, self.query, *fields, *blank, self.names, self.body_hash])


def collapse(value: str) -> str:
    return " ".join(value.split())


def canonical_query(raw: str) -> str:
    return "&".join(sorted(raw.split("&"))) if raw else ""


@dataclass
class Wire:
    """What goes over the wire, however it was signed."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""

    def right(self, encoded_path: str) -> Canonical:
        """What both sides should make of it."""
        values = {name.lower(): collapse(value) for name, value in self.headers.items()}
        return Canonical(
            self.method, encoded_path, canonical_query(self.query), values, hashlib.sha256(self.body).hexdigest()
        )

    def send(self, lab: Lab, authorization: str) -> Reply:
        target = f"{self.path}?{self.query}" if self.query else self.path
        return request(lab, self.method, target, {**self.headers, "Authorization": authorization}, self.body)


def string_to_sign(algorithm: str, moment: str, scope: str, canonical: Canonical) -> str:
    return "\n".join([algorithm, moment, scope, hashlib.sha256(canonical.text.encode()).hexdigest()])


def now() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def session_wire(lab: Lab, identity: Identity, query: str) -> Wire:
    made = create_session(identity, lab.address, lab.arns)
    headers = {name: value for name, value in made.headers.items() if name != "Authorization"}
    return Wire("POST", "/sessions", query, headers, made.body)


def sign_with_certificate(lab: Lab, identity: Identity, wire: Wire, canonical: Canonical) -> str:
    moment = wire.headers["X-Amz-Date"]
    scope = f"{moment[:8]}/{lab.region}/rolesanywhere/aws4_request"
    algorithm = identity.sign(b"")[0]
    signature = identity.sign(string_to_sign(algorithm, moment, scope, canonical).encode())[1].hex()
    return (
        f"{algorithm} Credential={identity.certificate.serial_number}/{scope}, "
        f"SignedHeaders={canonical.names}, Signature={signature}"
    )


def sign_with_secret(lab: Lab, wire: Wire, canonical: Canonical, service: str = "rolesanywhere") -> str:
    moment = wire.headers["X-Amz-Date"]
    scope = f"{moment[:8]}/{lab.region}/{service}/aws4_request"
    key = b"AWS4" + SECRET_ACCESS_KEY.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    message = string_to_sign("AWS4-HMAC-SHA256", moment, scope, canonical)
    signature = hmac.new(key, message.encode(), "sha256").hexdigest()
    return (
        f"AWS4-HMAC-SHA256 Credential={lab.exports['AWS_ACCESS_KEY_ID']}/{scope}, "
        f"SignedHeaders={canonical.names}, Signature={signature}"
    )


def no_port(canonical: Canonical) -> None:
    canonical.headers["host"] = canonical.headers["host"].split(":")[0]


def empty_body(canonical: Canonical) -> None:
    canonical.body_hash = hashlib.sha256(b"").hexdigest()


def unsigned_body(canonical: Canonical) -> None:
    canonical.body_hash = "UNSIGNED-PAYLOAD"


def no_query(canonical: Canonical) -> None:
    canonical.query = ""


def plus_for_blank(canonical: Canonical) -> None:
    canonical.query = canonical.query.replace("%20", "+")


def no_blank_line(canonical: Canonical) -> None:
    canonical.blank_line = False


def path_is_root(canonical: Canonical) -> None:
    canonical.path = "/"


# The fault, and words of what the lab should say of it.
FAULTS: dict[str, tuple[Callable[[Canonical], None], str]] = {
    "host-without-port": (no_port, "host without its port"),
    "hash-of-an-empty-body": (empty_body, "hash of an empty body"),
    "unsigned-payload": (unsigned_body, "UNSIGNED-PAYLOAD"),
    "query-left-out": (no_query, "left the query out"),
    "blanks-as-plus": (plus_for_blank, '"+"'),
    "no-empty-line": (no_blank_line, "empty line"),
    "path-is-root": (path_is_root, "path"),
}


def assert_explained(pki: Pki, lab: Lab, right: Canonical, signed: Canonical, words: str) -> None:
    trace = log(pki, lab)[-1]
    assert trace["checks"][-1]["check"] == "signature" and not trace["checks"][-1]["passed"], trace["checks"]
    compared = trace["canonicalRequest"]
    assert compared["lab"] == right.text
    assert compared["client"] == signed.text
    assert words in compared["difference"]
    assert compared["difference"] in trace["checks"][-1]["detail"]
    assert trace["checks"][-1]["hint"]
    assert compared["difference"] in pki.run("lab", "log", "--endpoint", lab.endpoint, "--refused").stdout


class TestSignaturesOfCertificates:
    def query(self, lab: Lab) -> str:
        """Sorted and encoded, with a blank in it."""
        return "&".join(f"{name}={quote(value, safe='-._~')}" for name, value in sorted({**lab.arns, "z": "a b"}.items()))

    def test_without_fault(self, shared: tuple[Pki, Lab]) -> None:
        """The signer of this file is right when it is not made to fail."""
        pki, lab = shared
        identity = client_of(pki)
        wire = session_wire(lab, identity, self.query(lab))
        assert wire.send(lab, sign_with_certificate(lab, identity, wire, wire.right("/sessions"))).status == 201
        assert log(pki, lab)[-1].get("canonicalRequest") is None

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048"])
    def test_with(self, shared: tuple[Pki, Lab], fault: str, key_type: str) -> None:
        pki, lab = shared
        root = Identity.load(pki.home / "ca/root-cert.pem", pki.home / "ca/root-key.pem")
        identity = issue(root, key_type=key_type)
        wire = session_wire(lab, identity, self.query(lab))
        right, signed = wire.right("/sessions"), wire.right("/sessions")
        spoil, words = FAULTS[fault]
        spoil(signed)
        reply = wire.send(lab, sign_with_certificate(lab, identity, wire, signed))
        assert (reply.status, reply.code) == (403, "AccessDeniedException")
        assert reply.document["message"] == "Invalid signature"
        assert_explained(pki, lab, right, signed, words)

    def test_with_the_query_as_it_stands(self, shared: tuple[Pki, Lab]) -> None:
        pki, lab = shared
        identity = client_of(pki)
        backwards = "&".join(reversed(self.query(lab).split("&")))
        wire = session_wire(lab, identity, backwards)
        signed = wire.right("/sessions")
        signed.query = backwards
        wire.send(lab, sign_with_certificate(lab, identity, wire, signed))
        assert_explained(pki, lab, wire.right("/sessions"), signed, "neither sorted nor encoded")

    def test_with_colons_left_alone(self, shared: tuple[Pki, Lab]) -> None:
        pki, lab = shared
        identity = client_of(pki)
        raw = "&".join(f"{name}={value}" for name, value in sorted(lab.arns.items()))
        wire = session_wire(lab, identity, raw)
        right, signed = wire.right("/sessions"), wire.right("/sessions")
        right.query = "&".join(f"{name}={quote(value, safe='-._~')}" for name, value in sorted(lab.arns.items()))
        wire.send(lab, sign_with_certificate(lab, identity, wire, signed))
        assert_explained(pki, lab, right, signed, "neither sorted nor encoded")

    def test_with_blanks_in_a_row(self, shared: tuple[Pki, Lab]) -> None:
        pki, lab = shared
        identity = client_of(pki)
        wire = session_wire(lab, identity, self.query(lab))
        wire.headers["X-Custom"] = "two   words"
        right, signed = wire.right("/sessions"), wire.right("/sessions")
        signed.headers["x-custom"] = "two   words"
        wire.send(lab, sign_with_certificate(lab, identity, wire, signed))
        assert_explained(pki, lab, right, signed, "blanks in a row")

    def test_with_another_key(self, shared: tuple[Pki, Lab]) -> None:
        """No fault of canonicalisation explains it, and none is invented."""
        pki, lab = shared
        identity = client_of(pki)
        wire = session_wire(lab, identity, self.query(lab))
        forger = Identity(identity.certificate, issue(None).key)
        wire.send(lab, sign_with_certificate(lab, forger, wire, wire.right("/sessions")))
        trace = log(pki, lab)[-1]
        assert trace["checks"][-1]["check"] == "signature"
        assert trace["canonicalRequest"]["lab"] == wire.right("/sessions").text
        assert trace["canonicalRequest"].get("client") is None
        assert trace["canonicalRequest"].get("difference") is None


class TestSignaturesOfTheAdministrator:
    def post(self, lab: Lab) -> Wire:
        body = json.dumps({"name": "", "roleArns": []}).encode()
        headers = {"Host": lab.address, "X-Amz-Date": now(), "Content-Type": "application/json"}
        return Wire("POST", "/profiles", "a=1&z=a%20b", headers, body)

    def test_without_fault(self, shared: tuple[Pki, Lab]) -> None:
        _, lab = shared
        wire = self.post(lab)
        reply = wire.send(lab, sign_with_secret(lab, wire, wire.right("/profiles")))
        assert (reply.status, reply.code) == (400, "ValidationException"), "the name is empty, the signature is right"

    @pytest.mark.parametrize("fault", FAULTS)
    def test_with(self, shared: tuple[Pki, Lab], fault: str) -> None:
        pki, lab = shared
        wire = self.post(lab)
        right, signed = wire.right("/profiles"), wire.right("/profiles")
        spoil, words = FAULTS[fault]
        spoil(signed)
        reply = wire.send(lab, sign_with_secret(lab, wire, signed))
        assert (reply.status, reply.code) == (403, "InvalidSignatureException")
        assert_explained(pki, lab, right, signed, words)

    def test_a_path_that_is_encoded_once_only(self, shared: tuple[Pki, Lab]) -> None:
        pki, lab = shared
        once = f"/profile/{quote(lab.profile_arn, safe='-._~')}"
        twice = once.replace("%", "%25")
        wire = Wire("GET", once, "", {"Host": lab.address, "X-Amz-Date": now()})
        assert wire.send(lab, sign_with_secret(lab, wire, wire.right(twice))).status == 200
        assert wire.send(lab, sign_with_secret(lab, wire, wire.right(once))).status == 403
        assert_explained(pki, lab, wire.right(twice), wire.right(once), "path once more")

    def test_a_query_request(self, shared: tuple[Pki, Lab]) -> None:
        """STS reads the same signature; its refusal is XML."""
        pki, lab = shared
        headers = {"Host": lab.address, "X-Amz-Date": now(), "Content-Type": "application/x-www-form-urlencoded"}
        wire = Wire("POST", "/", "", headers, b"Action=GetCallerIdentity&Version=2011-06-15")
        assert wire.send(lab, sign_with_secret(lab, wire, wire.right("/"), "sts")).status == 200
        signed = wire.right("/")
        empty_body(signed)
        reply = wire.send(lab, sign_with_secret(lab, wire, signed, "sts"))
        assert reply.status == 403 and b"<Code>SignatureDoesNotMatch</Code>" in reply.body
        assert_explained(pki, lab, wire.right("/"), signed, "hash of an empty body")


# MARK: pki lab log


class TestLog:
    def test_json_lines(self, pki: Pki, ca: Path, lab: Lab) -> None:
        assert log(pki, lab) == []
        creds(pki, lab, ca)
        with client(lab) as asked:
            asked.list_profiles()
        denied(pki, lab, ca, "client", "--role-session-name", "not-allowed")
        create_session(issue(issue(None, ca=True)), lab.address, lab.arns).send(lab.endpoint)
        traces = log(pki, lab)
        assert [trace["operation"] for trace in traces] == ["CreateSession", "ListProfiles", "CreateSession", "CreateSession"]
        assert [trace["number"] for trace in traces] == [1, 2, 3, 4]
        assert [trace["status"] for trace in traces] == [201, 200, 403, 403]
        for trace in traces:
            for name, kind in TRACE_MEMBERS.items():
                assert isinstance(trace[name], kind), (name, trace)
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", trace["date"])
            assert re.fullmatch(r"127\.0\.0\.1:\d+", trace["remoteAddress"])
            assert [check["passed"] for check in trace["checks"][:-1]] == [True] * (len(trace["checks"]) - 1)
            assert trace["checks"][-1]["passed"] == (trace["status"] < 300)
            for check in trace["checks"]:
                assert check["check"] and check["title"] and check["detail"]
        assert traces[0]["assumedRole"].startswith("arn:aws:sts::123456789012:assumed-role/")
        assert traces[0]["subject"] == "CN=TEST CLIENT"
        assert traces[1]["caller"].startswith("arn:aws:iam::123456789012:")
        assert traces[2]["checks"][-1]["check"] == "namingAllowed"
        assert traces[3]["checks"][-1]["check"] == "path"
        assert traces[3]["code"] == "AccessDeniedException" and "Untrusted" in traces[3]["message"]
        assert [trace["number"] for trace in log(pki, lab, "--refused")] == [3, 4]

    def test_the_order_of_the_checks(self, pki: Pki, ca: Path, lab: Lab) -> None:
        """What the certificate says is looked at before what was set up, and the trust policy last."""
        creds(pki, lab, ca)
        names = [check["check"] for check in log(pki, lab)[-1]["checks"]]
        wanted = ["signature", "trustAnchor", "profile", "role", "path", "revocation", "roleInProfile", "sessionTags", "trustPolicy", "roleDuration"]  # fmt: skip
        assert [name for name in names if name in wanted] == wanted
        assert len(set(names)) == len(names)

    def test_text(self, pki: Pki, ca: Path, lab: Lab) -> None:
        creds(pki, lab, ca)
        with client(lab) as asked:
            asked.disable_profile(profileId=lab.profile_arn)
        denied(pki, lab, ca)
        text = pki.run("lab", "log", "--endpoint", lab.endpoint).stdout
        assert "CN=TEST CLIENT" in text and "CreateSession" in text and "DisableProfile" in text
        refused = pki.run("lab", "log", "--endpoint", lab.endpoint, "--refused").stdout
        assert "is disabled" in refused and "hint: enable it: aws rolesanywhere enable-profile" in refused
        assert "DisableProfile" not in refused

    @pytest.mark.smoke
    def test_the_hint_is_a_command_that_mends(self, pki: Pki, ca: Path, lab: Lab) -> None:
        with client(lab) as asked:
            asked.disable_trust_anchor(trustAnchorId=lab.trust_anchor_arn)
            denied(pki, lab, ca)
            hint = log(pki, lab)[-1]["checks"][-1]["hint"]
            match = re.search(r"aws rolesanywhere enable-trust-anchor --trust-anchor-id (\S+)", hint)
            assert match, hint
            asked.enable_trust_anchor(trustAnchorId=match[1])
        creds(pki, lab, ca)

    def test_what_a_certificate_says_does_not_steer_the_terminal(self, pki: Pki, ca: Path, lab: Lab) -> None:
        root = root_of(ca)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "\x1b[2J\u202egnp.\u2028x")])
        create_session(issue(root, subject=subject), lab.address, lab.arns).send(lab.endpoint)
        for text in (pki.run("lab", "log", "--endpoint", lab.endpoint).stdout, lab.said):
            assert "gnp." in text
            assert not set(text) & {"\x1b", "\u202e", "\u2028"}
        assert len(log(pki, lab)) == 1, "one line for one decision"

    def test_holds_no_secret(self, pki: Pki, ca: Path, lab: Lab) -> None:
        given = creds(pki, lab, ca).json
        session = {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }
        with client(lab, "sts", **session) as asked:
            asked.get_caller_identity()
        with client(lab, "sts", **{**session, "aws_secret_access_key": "x" * 40}) as asked, pytest.raises(Exception):
            asked.get_caller_identity()
        seen = pki.run("lab", "log", "--endpoint", lab.endpoint, "--format", "json").stdout
        seen += pki.run("lab", "log", "--endpoint", lab.endpoint).stdout
        seen += request(lab, "GET", "/lab/state").body.decode() + lab.said
        assert given["AccessKeyId"] in seen
        assert given["SecretAccessKey"] not in seen and SECRET_ACCESS_KEY not in seen
        assert given["SessionToken"] not in seen

    def test_keeps_the_last_200(self, shared: tuple[Pki, Lab]) -> None:
        pki, lab = shared
        connection = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=20)
        for _ in range(205):
            connection.request("GET", "/profiles")
            response = connection.getresponse()
            response.read()
            assert response.status == 403
        connection.close()
        numbers = [trace["number"] for trace in log(pki, lab)]
        assert len(numbers) == 200 and numbers == list(range(numbers[0], numbers[0] + 200))

    def test_finds_the_lab_by_the_environment(self, pki: Pki, ca: Path, lab: Lab) -> None:
        creds(pki, lab, ca)
        assert "CreateSession" in pki.with_environment(PKI_LAB_ENDPOINT=lab.endpoint).run("lab", "log").stdout

    def test_over_tls(self, pki: Pki, ca: Path) -> None:
        with running_lab(pki, "--directory", ca, "--tls") as lab:
            creds(pki, lab, ca)
            assert lab.ca_bundle
            exported = pki.with_environment(**{name: value for name, value in lab.exports.items() if name.startswith("PKI_LAB")})
            assert "CreateSession" in exported.run("lab", "log").stdout
            told = pki.run("lab", "log", "--endpoint", lab.endpoint, "--ca-bundle", lab.ca_bundle)
            assert "CreateSession" in told.stdout
            pki.refuse("lab", "log", "--endpoint", lab.endpoint, status=UNAVAILABLE)

    def test_no_lab(self, pki: Pki) -> None:
        endpoint = f"http://127.0.0.1:{closed_port()}"
        for options in ((), ("--follow",)):
            stderr = pki.refuse("lab", "log", "--endpoint", endpoint, *options, status=UNAVAILABLE)
            assert endpoint.split("://")[1] in stderr

    def test_what_is_no_lab(self, pki: Pki) -> None:
        import http.server
        import threading

        class Other(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: Any) -> None:
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                stderr = pki.refuse("lab", "log", "--endpoint", f"http://127.0.0.1:{server.server_port}")
            finally:
                server.shutdown()
                thread.join()
        assert "not a lab" in stderr and "--endpoint" in stderr

    @pytest.mark.parametrize("endpoint", ["nonsense", "ftp://127.0.0.1", "http://"])
    def test_a_wrong_address(self, pki: Pki, endpoint: str) -> None:
        done = pki.run("lab", "log", "--endpoint", endpoint, status=None)
        assert done.status in (REFUSED, USAGE) and done.stdout == "" and done.stderr, done.describe()


@contextmanager
def following(pki: Pki, lab: Lab, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    with pki.start("lab", "log", "--endpoint", lab.endpoint, "--follow", *options) as process:
        yield process


class TestFollow:
    def test_what_was_and_what_comes(self, pki: Pki, ca: Path, lab: Lab) -> None:
        creds(pki, lab, ca)
        with following(pki, lab, "--format", "json") as process:
            lines = lines_until(process, 30)
            assert json.loads(next(lines))["number"] == 1
            for number in range(2, 5):
                creds(pki, lab, ca)
                assert json.loads(next(lines))["number"] == number

    def test_refusals_only(self, pki: Pki, ca: Path, lab: Lab) -> None:
        with following(pki, lab, "--format", "json", "--refused") as process:
            creds(pki, lab, ca)
            denied(pki, lab, ca, "client", "--role-session-name", "not-allowed")
            creds(pki, lab, ca)
            denied(pki, lab, ca, "client", "--role-session-name", "not-allowed")
            lines = lines_until(process, 30)
            assert [json.loads(next(lines))["number"] for _ in range(2)] == [2, 4]

    def test_ends_when_the_lab_ends(self, pki: Pki, ca: Path, lab: Lab) -> None:
        creds(pki, lab, ca)
        with following(pki, lab) as process:
            assert "CreateSession" in next(lines_until(process, 30))
            lab.stop()
            status = process.wait(timeout=30)
        # The end of what it followed is what was asked for, or else the service that is not there: never a crash.
        assert status == DONE

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_ends_when_it_is_told(self, pki: Pki, ca: Path, lab: Lab, number: signal.Signals) -> None:
        creds(pki, lab, ca)
        with following(pki, lab) as process:
            next(lines_until(process, 30))
            process.send_signal(number)
            assert process.wait(timeout=60) in (DONE, -number, 128 + number)

    def test_a_lab_that_was_started_anew(self, pki: Pki, ca: Path) -> None:
        """A lab counts from one again; who follows, over an interruption or not, sees the new decisions."""
        with running_lab(pki, "--directory", ca) as first:
            for _ in range(3):
                creds(pki, first, ca)
        with running_lab(pki, "--directory", ca, port=first.port) as second:
            creds(pki, second, ca)
            assert [trace["number"] for trace in log(pki, second)] == [1]

    def test_a_reader_that_goes_away(self, pki: Pki, ca: Path, lab: Lab) -> None:
        for _ in range(3):
            creds(pki, lab, ca)
        process = subprocess.Popen(
            pki.command("lab", "log", "--endpoint", lab.endpoint, "--follow"),
            env=pki.variables(),
            cwd=pki.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert process.stdout and process.stdout.readline()
            process.stdout.close()
            creds(pki, lab, ca)
            status = process.wait(timeout=20)
        finally:
            process.kill()
            process.wait()
        assert status in (DONE, REFUSED, -signal.SIGPIPE, 128 + signal.SIGPIPE)


# MARK: Events


@dataclass
class Events:
    """A stream of server-sent events, read as it comes."""

    connection: socket.socket
    rest: bytes = b""
    head: str = ""
    seen: list[dict[str, str]] = field(default_factory=list)

    def read_more(self) -> None:
        chunk = self.connection.recv(65536)
        assert chunk, "the stream ended"
        self.rest += chunk

    def open(self) -> None:
        while b"\r\n\r\n" not in self.rest:
            self.read_more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        self.head = head.decode()

    def next(self) -> dict[str, str]:
        """The next event; comments and the chunks' own lines are passed over."""
        while True:
            while b"\n\n" not in self.rest:
                self.read_more()
            block, self.rest = self.rest.split(b"\n\n", 1)
            fields = dict(
                re.findall(r"^(event|id|data|retry): ?(.*?)\r?$", block.decode(), re.MULTILINE)
            )
            if "event" in fields:
                self.seen.append(fields)
                return fields


@contextmanager
def events(lab: Lab, last: int | None = None) -> Iterator[Events]:
    with socket.create_connection(("127.0.0.1", lab.port), timeout=20) as connection:
        resume = f"Last-Event-ID: {last}\r\n" if last is not None else ""
        connection.sendall(f"GET /lab/events HTTP/1.1\r\nHost: {lab.address}\r\n{resume}\r\n".encode())
        stream = Events(connection)
        stream.open()
        while b"welcome" not in stream.rest:
            stream.read_more()
        yield stream


class TestEvents:
    def test_headers(self, lab: Lab) -> None:
        with events(lab) as stream:
            assert stream.head.startswith("HTTP/1.1 200 ")
            assert re.search(r"(?i)^content-type: text/event-stream", stream.head, re.MULTILINE)
            assert re.search(r"(?i)^cache-control: no-store", stream.head, re.MULTILINE)
            assert not re.search(r"(?i)^access-control-allow-origin", stream.head, re.MULTILINE)

    def test_a_decision_as_it_comes(self, pki: Pki, ca: Path, lab: Lab) -> None:
        with events(lab) as stream:
            creds(pki, lab, ca)
            event = stream.next()
            assert (event["event"], event["id"]) == ("trace", "1")
            assert json.loads(event["data"])["operation"] == "CreateSession"
            denied(pki, lab, ca, "client", "--role-session-name", "not-allowed")
            event = stream.next()
            assert json.loads(event["data"])["status"] == 403 and event["id"] == "2"

    def test_a_change(self, lab: Lab) -> None:
        with events(lab) as stream, client(lab) as asked:
            asked.disable_profile(profileId=lab.profile_arn)
            assert {stream.next()["event"] for _ in range(2)} == {"change", "trace"}
            asked.list_profiles()
            assert stream.next()["event"] == "trace", "a question changes nothing"

    def test_taking_up_where_one_left_off(self, pki: Pki, ca: Path, lab: Lab) -> None:
        for _ in range(4):
            creds(pki, lab, ca)
        with events(lab, last=2) as stream:
            assert [stream.next()["id"] for _ in range(2)] == ["3", "4"]
            creds(pki, lab, ca)
            assert stream.next()["id"] == "5"

    @pytest.mark.parametrize("last", ["99", "-5", "x", ""])
    def test_taking_up_at_a_place_that_is_none(self, pki: Pki, ca: Path, lab: Lab, last: str) -> None:
        creds(pki, lab, ca)
        with socket.create_connection(("127.0.0.1", lab.port), timeout=20) as connection:
            connection.sendall(
                f"GET /lab/events HTTP/1.1\r\nHost: {lab.address}\r\nLast-Event-ID: {last}\r\n\r\n".encode()
            )
            stream = Events(connection)
            stream.open()
            assert stream.head.startswith("HTTP/1.1 200 ")
            while b"welcome" not in stream.rest:
                stream.read_more()
            creds(pki, lab, ca)
            while stream.next().get("id") != "2":
                pass

    def test_many_who_listen_and_leave(self, pki: Pki, ca: Path, lab: Lab) -> None:
        descriptors = Path(f"/proc/{lab.process.pid}/fd")
        before = len(list(descriptors.iterdir()))
        for _ in range(50):
            with events(lab):
                pass
        with events(lab) as stream:
            creds(pki, lab, ca)
            assert stream.next()["id"] == "1"
        end = time.monotonic() + 20
        while len(list(descriptors.iterdir())) > before + 2 and time.monotonic() < end:
            creds(pki, lab, ca)
        assert len(list(descriptors.iterdir())) <= before + 2

    def test_ends_with_the_lab(self, lab: Lab) -> None:
        with events(lab) as stream:
            started = time.monotonic()
            assert lab.stop() == DONE
            assert time.monotonic() - started < 8
            while stream.connection.recv(65536):
                pass


# MARK: The page and its state


class TestState:
    def test_shape(self, pki: Pki, ca: Path, lab: Lab) -> None:
        creds(pki, lab, ca)
        denied(pki, lab, ca, "client", "--role-session-name", "not-allowed")
        reply = request(lab, "GET", "/lab/state")
        assert reply.status == 200 and reply.headers["content-type"] == "application/json"
        assert reply.headers["cache-control"] == "no-store"
        state = reply.document
        assert (state["region"], state["account"]) == (lab.region, lab.account)
        assert state["endpoint"] == lab.endpoint and state["isPersistent"] is False
        [anchor], [profile], [role] = state["trustAnchors"], state["profiles"], state["roles"]
        assert (anchor["trustAnchorArn"], anchor["enabled"]) == (lab.trust_anchor_arn, True)
        root = load(ca / "root-cert.pem")
        [certificate] = anchor["certificates"]
        assert int(certificate["serialNumber"].replace(":", ""), 16) == root.serial_number
        assert datetime.fromisoformat(certificate["notAfter"]) == root.not_valid_after_utc
        assert (profile["profileArn"], profile["roleArns"]) == (lab.profile_arn, [lab.role_arn])
        assert role["roleArn"] == lab.role_arn and role["trustPolicy"]["Version"] == "2012-10-17"
        [subject], [session] = state["subjects"], state["sessions"]
        assert subject["x509Subject"] == "CN=TEST CLIENT"
        assert session["subject"] == "CN=TEST CLIENT" and session["roleArn"] == lab.role_arn
        assert session["tags"]["x509Subject/CN"] == "TEST CLIENT"
        assert not {"secretAccessKey", "sessionToken"} & session.keys()
        assert [trace["status"] for trace in state["traces"]] == [201, 403]
        logged = request(lab, "GET", "/lab/log").document
        assert logged == {"traces": state["traces"], "newest": 2}
        assert request(lab, "GET", "/lab/log?after=1").document == {"traces": state["traces"][1:], "newest": 2}

    def test_the_page_needs_nobody_else(self, lab: Lab) -> None:
        reply = request(lab, "GET", "/")
        assert reply.status == 200 and reply.headers["content-type"] == "text/html; charset=utf-8"
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        page = reply.body.decode()
        assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
        assert not re.search(r"@import|url\((?!['\"]?data:)", page)

    @pytest.mark.parametrize(("method", "path"), [("PUT", "/"), ("DELETE", "/lab/state"), ("GET", "/lab/trust-anchors"), ("GET", "/lab/none")])
    def test_other_ways(self, lab: Lab, method: str, path: str) -> None:
        assert request(lab, method, path).status in (403, 404, 405)


class TestWhoMayAsk:
    """A browser is led here by other sites too (DNS rebinding, forms)."""

    @pytest.mark.parametrize("path", ["/", "/lab/state", "/lab/log", "/lab/events"])
    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:{port}",
            "localhost.evil.example:{port}",
            "127.0.0.1.evil.example:{port}",
            "127.0.0.1@evil.example",
            "notlocalhost",
            "xlocalhost:{port}",
            "127.0.0.1",
            "localhost",
            "127.0.0.1:1",
            "0.0.0.0:{port}",
            "192.0.2.1:{port}",
            "",
        ],
    )
    def test_not_by_another_name(self, shared: tuple[Pki, Lab], host: str, path: str) -> None:
        _, lab = shared
        reply = request(lab, "GET", path, {"Host": host.format(port=lab.port)})
        assert reply.status in ((400, 403) if host in ("", "127.0.0.1@evil.example") else (403,)), reply
        assert b"trustAnchors" not in reply.body and b"<html" not in reply.body

    @pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", "lab.localhost:{port}", "LOCALHOST:{port}"])
    def test_by_a_name_of_this_machine(self, shared: tuple[Pki, Lab], host: str) -> None:
        _, lab = shared
        assert request(lab, "GET", "/lab/state", {"Host": host.format(port=lab.port)}).status == 200

    def post(self, lab: Lab, headers: dict[str, str], body: bytes | None = None) -> Reply:
        made = json.dumps({"name": "pasted", "bundle": pem(issue(None, "pasted", ca=True).certificate).decode()}).encode()
        return request(
            lab, "POST", "/lab/trust-anchors", {"Content-Type": "application/json", **headers}, made if body is None else body
        )

    def names(self, lab: Lab) -> list[str]:
        return [anchor["name"] for anchor in request(lab, "GET", "/lab/state").document["trustAnchors"]]

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "http://evil.example"},
            {"Origin": "https://evil.example:{port}"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1"},
            {"Origin": "http://127.0.0.1:1"},
            {"Origin": ""},
            {"Origin": "http://evil://127.0.0.1:{port}"},
            {"Origin": "https://127.0.0.1:{port}"},
            {"Origin": "http://localhost:{port}"},
            {"Origin": "http://127.0.0.1:{port}/"},
            {"Host": "evil.example"},
            {"Host": "evil.example", "Origin": "http://evil.example"},
        ],
    )
    def test_no_other_site_makes_an_anchor(self, lab: Lab, headers: dict[str, str]) -> None:
        before = self.names(lab)
        reply = self.post(lab, {name: value.format(port=lab.port) for name, value in headers.items()})
        assert reply.status == 403, reply
        assert self.names(lab) == before

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
    def test_no_form_makes_an_anchor(self, lab: Lab, kind: str) -> None:
        before = self.names(lab)
        assert self.post(lab, {"Content-Type": kind}).status in (400, 415)
        assert self.names(lab) == before

    @pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8"])
    def test_the_page_makes_an_anchor(self, lab: Lab, kind: str) -> None:
        reply = self.post(lab, {"Content-Type": kind, "Origin": lab.endpoint})
        assert reply.status == 201, reply
        made = reply.document
        assert made["name"] == "pasted" and made["enabled"] is True
        with client(lab) as asked:
            shown = asked.get_trust_anchor(trustAnchorId=made["trustAnchorId"])["trustAnchor"]
        assert shown["trustAnchorArn"] == made["trustAnchorArn"]
        assert "pasted" in self.names(lab)

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"[]", b"{}", b'{"name":"n"}', b'{"name":"n","bundle":""}', b'{"name":"n","bundle":"x"}', b'{"name":"","bundle":"x"}', b"\xff"],
    )
    def test_what_is_no_bundle(self, lab: Lab, body: bytes) -> None:
        reply = self.post(lab, {}, body)
        assert reply.status == 400 and reply.document["message"], reply
        assert len(self.names(lab)) == 1

    def test_a_leaf_is_refused_with_the_rule(self, lab: Lab) -> None:
        body = json.dumps({"name": "leaf", "bundle": pem(issue(issue(None, ca=True), "leaf").certificate).decode()})
        reply = self.post(lab, {}, body.encode())
        assert reply.status == 400 and "CN=leaf" in reply.document["message"] and reply.document["hint"]
