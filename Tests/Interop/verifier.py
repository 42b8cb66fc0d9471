# SPDX-License-Identifier: Apache-2.0
"""A strict IAM Roles Anywhere of its own: CreateSession verified with Python's cryptography, from the received bytes.

It shares nothing with pki. Where AWS would be lenient and a client has no reason to need it, this verifier refuses.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

REGION = "us-east-1"
ACCOUNT = "123456789012"
TRUST_ANCHOR_ARN = f"arn:aws:rolesanywhere:{REGION}:{ACCOUNT}:trust-anchor/7d0d8a70-3e2c-4b6f-8a7c-0a6d2a1c9f01"
PROFILE_ARN = f"arn:aws:rolesanywhere:{REGION}:{ACCOUNT}:profile/2f0c9b1e-94a4-4f7e-8a61-3d0b5f7b6c02"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/batch/one+two=3,four.five@six_seven-8"

CLOCK_TOLERANCE = timedelta(minutes=5)
REQUIRED_SIGNED = {"content-type", "host", "x-amz-date", "x-amz-x509"}
NEVER_SIGNED = {"authorization", "user-agent", "x-amzn-trace-id"}
MLDSA_KEYS = (mldsa.MLDSA44PublicKey, mldsa.MLDSA65PublicKey, mldsa.MLDSA87PublicKey)
AUTHORIZATION = re.compile(
    r"(AWS4-X509-[A-Z0-9-]+) Credential=([^/ ,]+)/([^ ,]+), SignedHeaders=([^ ,]+), Signature=([^ ,]+)"
)


class Refusal(Exception):
    """An answer that is not a session."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


def invalid(message: str) -> Refusal:
    return Refusal(400, "ValidationException", message)


def denied(message: str) -> Refusal:
    return Refusal(403, "AccessDeniedException", message)


@dataclass
class Received:
    """One request as it came, and what became of it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    outcome: Session | Refusal | None = None

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]

    def only(self, name: str) -> str:
        values = self.values(name)
        if len(values) != 1:
            raise invalid(f"{len(values)} headers named {name}")
        return values[0]

    @property
    def signature(self) -> str:
        return self.only("authorization").rsplit("Signature=", 1)[1]


@dataclass(frozen=True)
class Session:
    """What a verified request asked for, and the credentials it is given."""

    algorithm: str
    leaf: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    signed_headers: tuple[str, ...]
    parameters: dict[str, str]
    duration: int
    role_session_name: str | None
    signed_at: datetime
    access_key_id: str = field(default_factory=lambda: "ASIA" + secrets.token_hex(8).upper())
    secret_access_key: str = field(default_factory=lambda: secrets.token_urlsafe(30))
    session_token: str = field(default_factory=lambda: secrets.token_urlsafe(300))

    @property
    def expiration(self) -> str:
        return (self.signed_at + timedelta(seconds=self.duration)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def document(self) -> dict[str, Any]:
        role = self.parameters["roleArn"]
        account = role.split(":")[4]
        region = self.parameters["trustAnchorArn"].split(":")[3]
        name = role.rsplit("/", 1)[1]
        session = self.role_session_name or f"{self.leaf.serial_number:x}"
        return {
            "credentialSet": [
                {
                    "assumedRoleUser": {
                        "arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
                        "assumedRoleId": f"AROAEXAMPLE:{session}",
                    },
                    "credentials": {
                        "accessKeyId": self.access_key_id,
                        "secretAccessKey": self.secret_access_key,
                        "sessionToken": self.session_token,
                        "expiration": self.expiration,
                    },
                    "packedPolicySize": 10,
                    "roleArn": role,
                    "sourceIdentity": self.leaf.subject.rfc4514_string(),
                }
            ],
            "subjectArn": f"arn:aws:rolesanywhere:{region}:{account}:subject/00000000-0000-0000-0000-000000000000",
        }


@dataclass(frozen=True)
class Verifier:
    """The rules: which certificates are trusted, and what the request must be addressed to."""

    anchors: Sequence[x509.Certificate]
    region: str = REGION
    path: str = "/sessions"
    trust_anchor_arn: str = TRUST_ANCHOR_ARN
    profile_arn: str = PROFILE_ARN
    role_arn: str = ROLE_ARN

    def verify(self, request: Received, host: str, now: datetime) -> Session:
        """Returns the session that the request is due, or raises the refusal.

        `now` is what the request's date is held against; certificates are held against the real time.
        """
        path, _, query = request.target.partition("?")
        if request.method != "POST":
            raise Refusal(404, "UnknownOperationException", f"method {request.method}")
        if path != self.path:
            raise Refusal(404, "UnknownOperationException", f"path {path}")
        if request.only("host") != host:
            raise invalid(f"host {request.only('host')}, not {host}")
        if request.only("content-type") not in ("application/json", "application/x-amz-json-1.0"):
            raise invalid(f"content type {request.only('content-type')}")

        leaf = decode_certificate(request.only("x-amz-x509"))
        chain = decode_chain(request.values("x-amz-x509-chain"))
        date = request.only("x-amz-date")
        signed_at = decode_date(date)
        if abs(signed_at - now) > CLOCK_TOLERANCE:
            raise denied("Signature expired")

        match = AUTHORIZATION.fullmatch(request.only("authorization"))
        if not match:
            raise invalid("malformed authorization header")
        algorithm, serial, scope, signed, signature = match.groups()
        if serial != str(leaf.serial_number):
            raise denied(f"serial {serial} is not the certificate's, {leaf.serial_number}, in decimal")
        if scope != f"{date[:8]}/{self.region}/rolesanywhere/aws4_request":
            raise denied(f"scope {scope}")
        signed_headers = self.check_signed_headers(request, signed)

        parameters = decode_query(query)
        canonical = "\n".join(
            [
                "POST",
                path,
                "&".join(f"{encode(name)}={encode(value)}" for name, value in parameters),
                *(f"{name}:{','.join(canonical_value(v) for v in request.values(name))}" for name in signed_headers),
                "",
                signed,
                hashlib.sha256(request.body).hexdigest(),
            ]
        )
        to_sign = "\n".join([algorithm, date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        check_signature(leaf, algorithm, signature, to_sign.encode())
        self.check_path(leaf, chain)
        return self.session(request, dict(parameters), algorithm, leaf, chain, signed_headers, signed_at)

    def check_signed_headers(self, request: Received, signed: str) -> tuple[str, ...]:
        names = tuple(signed.split(";"))
        if list(names) != sorted(set(names)) or signed != signed.lower():
            raise denied(f"signed headers not lower case, sorted and distinct: {signed}")
        present = {name.lower() for name, _ in request.headers}
        required = REQUIRED_SIGNED | {name for name in present if name.startswith("x-amz-")}
        if missing := required - set(names):
            raise denied(f"not signed: {sorted(missing)}")
        if absent := set(names) - present:
            raise denied(f"signed but not sent: {sorted(absent)}")
        if wrong := NEVER_SIGNED & set(names):
            raise denied(f"must not be signed: {sorted(wrong)}")
        return names

    def check_path(self, leaf: x509.Certificate, chain: Sequence[x509.Certificate]) -> None:
        """The leaf's own rules, and each link up to an anchor: the chain is sent in order and without the root."""
        check_leaf(leaf)
        current = leaf
        for depth, issuer in enumerate(chain):
            if issuer.subject == issuer.issuer:
                raise denied("the chain contains a root")
            check_issued(current, issuer, depth)
            current = issuer
        for anchor in self.anchors:
            if current.issuer == anchor.subject:
                check_issued(current, anchor, len(chain))
                return
        raise denied("Untrusted signing certificate")

    def session(
        self,
        request: Received,
        parameters: dict[str, str],
        algorithm: str,
        leaf: x509.Certificate,
        chain: tuple[x509.Certificate, ...],
        signed_headers: tuple[str, ...],
        signed_at: datetime,
    ) -> Session:
        try:
            body = json.loads(request.body)
        except ValueError as error:
            raise invalid("the body is not JSON") from error
        if not isinstance(body, dict):
            raise invalid("the body is not an object")
        for name in ("trustAnchorArn", "profileArn", "roleArn"):
            if name in body:
                if name in parameters:
                    raise invalid(f"{name} stands both in the query and in the body")
                parameters[name] = body.pop(name)
        expected = {
            "trustAnchorArn": self.trust_anchor_arn,
            "profileArn": self.profile_arn,
            "roleArn": self.role_arn,
        }
        if parameters != expected:
            raise Refusal(404, "ResourceNotFoundException", f"no such resources: {parameters}")
        duration = body.pop("durationSeconds", 3600)
        if type(duration) is not int or not 900 <= duration <= 43200:
            raise invalid(f"durationSeconds {duration!r}")
        name = body.pop("roleSessionName", None)
        if name is not None and not re.fullmatch(r"[\w+=,.@-]{2,64}", name, re.ASCII):
            raise invalid(f"roleSessionName {name!r}")
        if body:
            raise invalid(f"unknown members {sorted(body)}")
        return Session(algorithm, leaf, chain, signed_headers, parameters, duration, name, signed_at)


def decode_certificate(text: str) -> x509.Certificate:
    try:
        der = base64.b64decode(text, validate=True)
        certificate = x509.load_der_x509_certificate(der)
    except (binascii.Error, ValueError) as error:
        raise invalid("not the base64 of a certificate") from error
    if base64.b64encode(der).decode() != text or certificate.public_bytes(Encoding.DER) != der:
        raise invalid("not the plain base64 of one DER certificate")
    return certificate


def decode_chain(values: list[str]) -> tuple[x509.Certificate, ...]:
    if len(values) > 1:
        raise invalid("more than one chain header")
    if not values:
        return ()
    chain = tuple(decode_certificate(text) for text in values[0].split(","))
    if len(chain) > 5:
        raise invalid(f"{len(chain)} certificates in the chain")
    return chain


def decode_date(text: str) -> datetime:
    if not re.fullmatch(r"\d{8}T\d{6}Z", text, re.ASCII):
        raise invalid(f"date {text}")
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def decode_query(query: str) -> list[tuple[str, str]]:
    """The decoded pairs of a query that must come sorted, percent-encoded throughout, with no name twice."""
    if not query:
        return []
    pairs = [pair.partition("=")[::2] for pair in query.split("&")]
    for part in (part for pair in pairs for part in pair):
        if not re.fullmatch(r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})*", part):
            raise denied(f"query not percent-encoded: {part}")
    if pairs != sorted(pairs) or len({name for name, _ in pairs}) != len(pairs):
        raise denied("query not sorted, or a name twice")
    try:
        return [(unquote_to_bytes(n).decode(), unquote_to_bytes(v).decode()) for n, v in pairs]
    except UnicodeDecodeError as error:
        raise invalid("query not UTF-8") from error


def encode(text: str) -> str:
    return quote(text, safe="-._~")


def canonical_value(value: str) -> str:
    return re.sub(" +", " ", value.strip())


def check_signature(leaf: x509.Certificate, algorithm: str, signature: str, message: bytes) -> None:
    """The algorithm is the one of the key's type, and the signature is the key's."""
    if not re.fullmatch(r"(?:[0-9a-f]{2})+", signature):
        raise denied("signature not in lower-case hexadecimal")
    raw = bytes.fromhex(signature)
    key = leaf.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            expected = "AWS4-X509-RSA-SHA256"
            if algorithm == expected:
                key.verify(raw, message, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            expected = "AWS4-X509-ECDSA-SHA256"
            if algorithm == expected:
                key.verify(raw, message, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, MLDSA_KEYS):
            expected = "AWS4-X509-MLDSA"
            if algorithm == expected:
                key.verify(raw, message)
        else:
            raise denied(f"key of type {type(key).__name__}")
    except InvalidSignature as error:
        raise denied("Invalid signature") from error
    if algorithm != expected:
        raise denied(f"algorithm {algorithm}, but the key wants {expected}")


def check_leaf(leaf: x509.Certificate) -> None:
    extensions = leaf.extensions
    if leaf.version is not x509.Version.v3 or not leaf.subject.rdns:
        raise denied("Untrusted signing certificate: not v3, or without a subject")
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    if not usage.digital_signature:
        raise denied("Untrusted signing certificate: no digitalSignature")
    try:
        if extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            raise denied("Untrusted signing certificate: a CA")
    except x509.ExtensionNotFound:
        pass


def check_issued(certificate: x509.Certificate, issuer: x509.Certificate, depth: int) -> None:
    now = datetime.now(UTC)
    for one in (certificate, issuer):
        if not one.not_valid_before_utc <= now <= one.not_valid_after_utc:
            raise denied("Untrusted signing certificate: outside its validity")
    try:
        certificate.verify_directly_issued_by(issuer)
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound) as error:
        raise denied(f"Untrusted signing certificate: {error!r}") from error
    if not constraints.ca or not usage.key_cert_sign:
        raise denied("Untrusted signing certificate: the issuer is no CA")
    if constraints.path_length is not None and depth > constraints.path_length:
        raise denied("Untrusted signing certificate: the path is too long")
    algorithm = certificate.signature_hash_algorithm
    if algorithm is not None and algorithm.digest_size < 32:
        raise denied("Untrusted signing certificate: weak hash")


@dataclass(frozen=True)
class Answer:
    """An answer given in place of the verifier's own: a status, headers and a body, or a line that goes dead."""

    status: int = 500
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    body: bytes = b"{}"
    drop: bool = False


class VerifierServer(ThreadingHTTPServer):
    """The verifier on a loopback port. It keeps every request it was sent, in order, with its outcome."""

    daemon_threads = True

    def __init__(
        self, verifier: Verifier, clock_offset: timedelta, tls: tuple[Path, Path] | None, host: str | None
    ) -> None:
        self.verifier = verifier
        self.clock_offset = clock_offset
        self.script: deque[Answer] = deque()
        self.requests: list[Received] = []
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.expected_host = host or self.address
        self.scheme = "http"
        if tls:
            self.scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(*tls)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://{self.address}{self.verifier.path.removesuffix('/sessions')}"

    def now(self) -> datetime:
        return datetime.now(UTC) + self.clock_offset

    @property
    def sessions(self) -> list[Session]:
        return [request.outcome for request in self.requests if isinstance(request.outcome, Session)]

    def handle_error(self, request: socket.socket, client_address: Any) -> None:
        """A client that hangs up, or that does not trust the certificate, is no event."""


class Handler(BaseHTTPRequestHandler):
    server: VerifierServer
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(20)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(self.server.now(), usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the tests look at the recorded requests."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = Received(self.command, self.path, list(self.headers.items()), body)
        try:
            request.outcome = self.server.verifier.verify(request, self.server.expected_host, self.server.now())
        except Refusal as refusal:
            request.outcome = refusal
        self.server.requests.append(request)
        if self.server.script:
            answer = self.server.script.popleft()
            if answer.drop:
                self.close_connection = True
                return
            self.reply(answer.status, answer.headers, answer.body)
        elif isinstance(request.outcome, Session):
            self.reply(201, (("Content-Type", "application/json"),), json.dumps(request.outcome.document()).encode())
        else:
            document = json.dumps({"message": request.outcome.message}).encode()
            headers = (("Content-Type", "application/json"), ("X-Amzn-ErrorType", request.outcome.code))
            self.reply(request.outcome.status, headers, document)

    def do_GET(self) -> None:
        self.reply(404, (("X-Amzn-ErrorType", "UnknownOperationException"),), b"{}")

    def reply(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(
    verifier: Verifier,
    *script: Answer,
    clock_offset: timedelta = timedelta(),
    tls: tuple[Path, Path] | None = None,
    host: str | None = None,
) -> Iterator[VerifierServer]:
    """Serves until the block ends; the scripted answers are given first, one a request.

    `tls` is a certificate file and its key file; `host` the Host header to insist on, when it is not the address.
    """
    server = VerifierServer(verifier, clock_offset, tls, host)
    server.script.extend(script)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
