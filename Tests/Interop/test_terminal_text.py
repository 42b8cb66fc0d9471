# SPDX-License-Identifier: Apache-2.0
"""Finding B6 of the review: nothing that others wrote reaches the terminal as anything but text."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from peer import issue, pem, root_of
from program import Pki, Result

# C0 and C1 controls, DEL, bidirectional controls, format characters, separators, tags.
UNRULY = "\x1b]0;x\x07\r\x00\x08\x7f\u0085\u009b31m\u202e\u2066\u200b\u200d\u2028\u2029\ufeff\U000e0041"
FORGED = "\npki: error: forged"
NAME = f"a{UNRULY}{FORGED}b"
# What an IA5String can hold.
ASCII = "a\x1b]0;x\x07\r\x00\x08\x7f\npki: error: forged"


def is_harmless(character: str) -> bool:
    return character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp")


def assert_harmless(result: Result) -> None:
    for stream in (result.stdout, result.stderr):
        assert [hex(ord(one)) for one in stream if not is_harmless(one)] == [], result.describe()
        assert "\npki: error: forged" not in f"\n{stream}", result.describe()


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def test_b6_the_test_knows_what_is_unruly() -> None:
    assert not any(is_harmless(one) for one in UNRULY if one not in "]0;x31m")


def write_request(path: Path, *names: x509.GeneralName, subject: str = "web") -> Path:
    builder = x509.CertificateSigningRequestBuilder().subject_name(named(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    path.write_bytes(builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM))
    return path


@pytest.mark.parametrize(
    "name",
    [x509.DNSName(ASCII), x509.RFC822Name._init_without_validation(f"{ASCII}@example.com"), x509.UniformResourceIdentifier(f"urn:{ASCII}")],
    ids=["dns", "mail", "uri"],
)
@pytest.mark.parametrize("command", ["issue-client", "inspect", "lint"])
def test_b6_names_of_a_request(pki: Pki, ca: Path, command: str, name: x509.GeneralName) -> None:
    file = write_request(pki.home / "r.csr", name)
    options = ("--directory", ca, "--name", "web", "--csr", file) if command == "issue-client" else (file,)
    assert_harmless(pki.run(command, *options, status=None))


def test_b6_the_subject_of_a_request(pki: Pki, ca: Path) -> None:
    for number, subject in enumerate((NAME, UNRULY)):
        file = write_request(pki.home / "r.csr", subject=subject)
        for options in ((), ("--format", "json"), ("--accept-subject",)):
            name = f"web-{number}-{len(options)}"
            assert_harmless(pki.run("issue-client", "--directory", ca, "--name", name, "--csr", file, *options, status=None))
    for format in ("table", "json", "csv"):
        assert_harmless(pki.run("list", "--directory", ca, "--format", format))


@pytest.fixture
def leaf(pki: Pki, ca: Path) -> tuple[Path, Path]:
    """A certificate of the CA whose common name does what it can, and its key."""
    root = root_of(ca)
    return issue(root, subject=named(NAME)).write(pki.home, "hostile")


ARNS = (
    "--trust-anchor-arn", "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/a0000000-0000-4000-8000-000000000001",
    "--profile-arn", "arn:aws:rolesanywhere:us-east-1:123456789012:profile/b0000000-0000-4000-8000-000000000002",
    "--role-arn", "arn:aws:iam::123456789012:role/lab-role",
)  # fmt: skip


def test_b6_the_subject_of_a_certificate(pki: Pki, ca: Path, leaf: tuple[Path, Path]) -> None:
    certificate, key = leaf
    commands: list[tuple[str | Path, ...]] = [
        ("print-trust-policy", "--trust-anchor-arn", ARNS[1], "--certificate", certificate),
        ("print-setup", "--certificate", certificate, "--directory", ca),
        ("print-bundle", certificate),
        ("print-bundle", "--trust-anchor", certificate),
        ("configure", "--profile", "web", *ARNS, "--certificate", certificate, "--private-key", key),
        ("configure", "--profile", "w", *ARNS, "--certificate", certificate, "--private-key", key, "--format", "json"),
        ("doctor", "--offline", *ARNS, "--certificate", certificate, "--private-key", key),
        ("creds", *ARNS, "--certificate", certificate, "--private-key", key, "--endpoint", "http://127.0.0.1:1"),
        ("inspect", certificate),
        ("inspect", "--format", "json", certificate),
        ("lint", certificate),
        ("verify", certificate, "--trust-anchor", ca / "root-cert.pem"),
        ("verify", "--format", "json", certificate, "--trust-anchor", ca / "root-cert.pem"),
        ("export", "--directory", ca, "--name", NAME.replace("\x00", "")),
        ("revoke", "--directory", ca, "--certificate", certificate),
        ("import", pki.home, "--directory", pki.home / "imported"),
        ("creds", f"--{NAME}".replace("\x00", "")),
        (NAME.replace("\x00", ""),),
        ("list", "--directory", pki.home / UNRULY.replace("\x00", "")),
    ]  # fmt: skip
    for command in commands:
        assert_harmless(pki.run(*command, status=None))


@pytest.mark.parametrize("column", ["name", "profile", "subject", "certificate_path", "key_path", "issued_by", "serial"])
def test_b6_columns_of_an_inventory(pki: Pki, ca: Path, column: str) -> None:
    with closing(sqlite3.connect(ca / "inventory.sqlite")) as database, database:
        columns = {row[1] for row in database.execute("PRAGMA table_info(certificates)")}
        if column not in columns:
            pytest.skip(f"this schema has no {column}")
        database.execute(f"UPDATE certificates SET {column} = ? WHERE name = 'client'", (NAME,))
    for command in (
        ("tree",), ("tree", "--format", "json"), ("doctor",), ("doctor", "--repair"), ("doctor", "--format", "json"),
        ("list",), ("list", "--format", "json"), ("list", "--format", "csv"), ("audit",), ("audit", "--format", "json"),
        ("audit", "--format", "csv"), ("print-bundle",), ("crl",), ("renew", "--dry-run"), ("revoke", "--name", "client"),
    ):  # fmt: skip
        result = subprocess.run(
            pki.command(*command, "--directory", ca), cwd=pki.home, env=pki.variables(), stdin=subprocess.DEVNULL,
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert_harmless(Result(command, result.returncode, result.stdout.decode(), result.stderr.decode()))


@contextmanager
def service(arn: str, message: str | None = None) -> Iterator[str]:
    """A service that answers every CreateSession with a session of an ARN, or refuses with a message."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            expiration = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
            keys = {"accessKeyId": "ASIA" + "A" * 16, "secretAccessKey": "s" * 40, "sessionToken": "t" * 80, "expiration": expiration}
            user = {"arn": arn, "assumedRoleId": "AROA:x"}
            entry = {"credentials": keys, "assumedRoleUser": user, "roleArn": ARNS[5], "sourceIdentity": arn}
            body = json.dumps({"message": message} if message else {"credentialSet": [entry], "subjectArn": arn}).encode()
            self.send_response(403 if message else 201)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("message", [None, NAME], ids=["granted", "refused"])
def test_b6_what_a_service_answers(pki: Pki, ca: Path, message: str | None) -> None:
    # A cache holds lines.
    arn = f"arn:aws:sts::123456789012:assumed-role/lab-role/{UNRULY}"
    with service(arn.replace("\r", ""), message) as endpoint:
        identity = ("--certificate", ca / "client-cert.pem", "--private-key", ca / "client-key.pem", "--endpoint", endpoint)
        for command in (
            ("creds", "--cache"), ("creds", "--format", "json"), ("creds", "--format", "env"), ("creds", "--debug"),
            ("doctor", "--session"),
        ):  # fmt: skip
            assert_harmless(pki.run(*command, *ARNS, *identity, status=None))
    for options in ((), ("--format", "json")):
        assert_harmless(pki.run("cache", "list", *options, status=None))


def test_b6_what_a_lab_says(pki: Pki, ca: Path) -> None:
    page = {"traces": [], "newest": 1}
    check = {"check": "a", "title": NAME, "passed": False, "detail": NAME, "hint": NAME}
    page["traces"] = [
        {
            "number": 1, "requestId": "x", "date": NAME, "remoteAddress": NAME, "service": NAME, "operation": NAME, "status": 403,
            "code": NAME, "message": NAME, "subject": NAME, "checks": [check], "assumedRole": NAME,
            "canonicalRequest": {"lab": NAME, "client": NAME, "difference": NAME},
        }
    ]  # fmt: skip

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(page).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        for format in ("text", "json"):
            result = pki.run("lab", "log", "--endpoint", endpoint, "--format", format)
            assert "forged" in result.stdout
            assert_harmless(result)
        server.shutdown()


def test_b6_a_folder_of_certificates_of_others(pki: Pki) -> None:
    """A root whose name does what it can: as trust anchor, in a bundle, in a lab."""
    folder = pki.home / "theirs"
    folder.mkdir()
    root = issue(None, subject=named(NAME), ca=True)
    (folder / "root-cert.pem").write_bytes(pem(root.certificate))
    for command in (
        ("print-bundle", "--directory", folder), ("print-bundle", "--directory", folder, "--format", "json"),
        ("print-setup", "--directory", folder), ("list", "--directory", folder), ("tree", "--directory", folder),
        ("doctor", "--directory", folder), ("inspect", folder / "root-cert.pem"), ("lint", folder / "root-cert.pem"),
        ("import", folder, "--directory", pki.home / "mine"),
    ):  # fmt: skip
        assert_harmless(pki.run(*command, status=None))
