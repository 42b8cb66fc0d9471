# SPDX-License-Identifier: Apache-2.0
"""OCSP from `pki serve-ca` (RFC 6960, 5019), judged by OpenSSL, GnuTLS, python cryptography, nginx and curl."""

from __future__ import annotations

import base64
import http.client
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

from enrolling import Authority, curl, serving_ca
from program import Pki
from serving import wait_for
from tools import openssl, tool

CONTENT = {"Content-Type": "application/ocsp-request"}


@pytest.fixture(scope="module")
def authority(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """A server with three certificates: web-1 is good, web-2 revoked and web-3 on hold."""
    home = tmp_path_factory.mktemp("ocsp")
    pki = Pki(home=home, path=built)
    pki.run("init-ca", "--directory", home / "ca")
    pki.run("init-ca", "--directory", home / "other")
    pki.run("issue-client", "--directory", home / "other", "--name", "web-1")
    for name in ("web-1", "web-2", "web-3"):
        pki.run("issue-client", "--directory", home / "ca", "--name", name)
    pki.run("revoke", "--directory", home / "ca", "web-2", "--reason", "keyCompromise")
    pki.run("revoke", "--directory", home / "ca", "web-3", "--hold")
    with serving_ca(pki, home / "ca", "--revocation-listen", "127.0.0.1:0") as running:
        yield running


def certificate(authority: Authority, name: str) -> x509.Certificate:
    path = next(path for place in (authority.directory, authority.hosts) if (path := place / f"{name}-cert.pem").exists())
    return x509.load_pem_x509_certificate(path.read_bytes())


def request(authority: Authority, name: str, algorithm: hashes.HashAlgorithm | None = None, nonce: bytes | None = None) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate(authority, name), certificate(authority, "root"), algorithm or hashes.SHA1())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(serialization.Encoding.DER)


def ask(authority: Authority, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    address = urllib.parse.urlsplit(authority.plain)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    connection.request(method, path, body, {**CONTENT, **headers} if body is not None else headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def post(authority: Authority, body: bytes) -> ocsp.OCSPResponse:
    answer, content = ask(authority, "POST", "/ocsp", body)
    assert (answer.status, answer.getheader("Content-Type")) == (200, "application/ocsp-response")
    return ocsp.load_der_ocsp_response(content)


def get(authority: Authority, body: bytes, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    return ask(authority, "GET", f"/ocsp/{urllib.parse.quote(base64.b64encode(body).decode(), safe='')}", **headers)


class TestOpenSSL:
    """`openssl ocsp`, which verifies the signature and the responder's certificate."""

    @staticmethod
    def status(authority: Authority, name: str, *options: str) -> str:
        shown = openssl(
            "ocsp", "-issuer", authority.root, *options, "-cert", authority.directory / f"{name}-cert.pem",
            "-url", f"{authority.plain}/ocsp", "-CAfile", authority.root,
        )  # fmt: skip
        assert "Response verify OK" in shown.stderr
        return shown.stdout.split("-cert.pem: ")[1].split("\n")[0]

    @pytest.mark.parametrize("options", [(), ("-no_nonce",), ("-sha256",), ("-sha256", "-no_nonce")], ids=" ".join)
    def test_every_status(self, authority: Authority, options: tuple[str, ...]) -> None:
        assert self.status(authority, "web-1", *options) == "good"
        assert self.status(authority, "web-2", *options) == "revoked"
        assert self.status(authority, "web-3", *options) == "revoked"

    def test_over_tls_and_a_nonce_that_comes_back(self, authority: Authority) -> None:
        shown = openssl(
            "ocsp", "-issuer", authority.root, "-cert", authority.directory / "web-2-cert.pem", "-url", f"{authority.url}/ocsp",
            "-CAfile", authority.root, "-resp_text", "-nonce",
        )  # fmt: skip
        assert "Nonce Verify error" not in shown.stderr and "no nonce in response" not in shown.stderr
        assert "OCSP Nonce:" in shown.stdout
        assert "Reason: keyCompromise" in shown.stdout

    def test_what_the_ca_never_issued_is_unknown(self, authority: Authority) -> None:
        shown = openssl("ocsp", "-issuer", authority.root, "-serial", "0x1234", "-url", f"{authority.plain}/ocsp", "-CAfile", authority.root)
        assert "0x1234: unknown" in shown.stdout

    def test_several_certificates_in_one_request(self, authority: Authority) -> None:
        certificates = [word for name in ("web-1", "web-2", "web-3") for word in ("-cert", authority.directory / f"{name}-cert.pem")]
        shown = openssl(
            "ocsp", "-issuer", authority.root, *certificates, "-serial", "0x99", "-url", f"{authority.plain}/ocsp", "-CAfile", authority.root
        ).stdout
        assert [line.split(": ")[1] for line in shown.splitlines() if ": " in line and not line.startswith("\t")] == ["good", "revoked", "revoked", "unknown"]

    def test_a_certificate_of_another_ca_is_not_answered_for(self, authority: Authority) -> None:
        other = authority.directory.parent / "other"
        shown = openssl(
            "ocsp", "-issuer", other / "root-cert.pem", "-cert", other / "web-1-cert.pem", "-url", f"{authority.plain}/ocsp", status=None
        )
        assert "unauthorized (6)" in shown.stdout + shown.stderr


class TestGnuTLS:
    def test_ocsptool_verifies_the_answer(self, authority: Authority) -> None:
        for name, status in (("web-1", "good"), ("web-2", "revoked")):
            shown = tool(
                "ocsptool", f"--ask={authority.plain}/ocsp", "--nonce", "--load-issuer", authority.root, "--load-trust", authority.root,
                "--load-cert", authority.directory / f"{name}-cert.pem",
            ).stdout  # fmt: skip
            assert f"Certificate Status: {status}" in shown
            assert "Verifying OCSP Response: Success" in shown
            assert "Nonce" in shown


class TestCryptography:
    def test_the_answer_has_what_rfc_6960_and_5019_want(self, authority: Authority) -> None:
        answer = post(authority, request(authority, "web-2", hashes.SHA256()))
        assert answer.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
        assert answer.certificate_status is ocsp.OCSPCertStatus.REVOKED
        assert answer.revocation_reason is x509.ReasonFlags.key_compromise
        assert answer.serial_number == certificate(authority, "web-2").serial_number
        assert isinstance(answer.hash_algorithm, hashes.SHA256)
        # The responder is named by its key, and its certificate is there.
        [signer] = answer.certificates
        assert answer.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(signer.public_key()).digest
        signer.verify_directly_issued_by(certificate(authority, "root"))
        assert list(signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [x509.ExtendedKeyUsageOID.OCSP_SIGNING]
        assert signer.extensions.get_extension_for_class(x509.OCSPNoCheck)
        assert (signer.not_valid_after_utc - signer.not_valid_before_utc).days == 7
        algorithm = answer.signature_hash_algorithm
        assert algorithm
        signer.public_key().verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(algorithm))
        now = datetime.now(UTC)
        assert answer.this_update_utc <= now < answer.next_update_utc
        assert answer.produced_at_utc >= answer.this_update_utc

    def test_the_responder_is_in_the_inventory(self, authority: Authority) -> None:
        [signer] = post(authority, request(authority, "web-1")).certificates
        assert signer.serial_number in [int(str(row["serialNumber"]), 16) for row in authority.rows()]

    @pytest.mark.parametrize("length", [1, 16, 32, 33, 128])
    def test_a_nonce_comes_back(self, authority: Authority, length: int) -> None:
        for _ in range(2):
            answer = post(authority, request(authority, "web-1", nonce=b"n" * length))
            assert answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * length

    @pytest.mark.parametrize("length", [0, 129, 40_000])
    def test_a_nonce_of_another_length_is_refused(self, authority: Authority, length: int) -> None:
        assert post(authority, request(authority, "web-1", nonce=b"n" * length)).response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST

    def test_without_a_nonce_there_is_none(self, authority: Authority) -> None:
        assert not list(post(authority, request(authority, "web-1")).extensions)

    @pytest.mark.parametrize("body", [b"", b"\0", b"0\x80\0\0", b"0" * 60_000, b"\x30\x84\xff\xff\xff\xff", b"0\x82\xff\xff" * 100], ids=range(6))
    def test_garbage_is_malformed(self, authority: Authority, body: bytes) -> None:
        assert post(authority, body).response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST

    def test_more_than_a_body_may_have_is_refused(self, authority: Authority) -> None:
        assert ask(authority, "POST", "/ocsp", b"0" * 70_000)[0].status == 413


class TestCaching:
    """What RFC 5019 wants of answers to GET."""

    def test_the_headers_fit_the_answer(self, authority: Authority) -> None:
        answer, content = get(authority, request(authority, "web-1"))
        parsed = ocsp.load_der_ocsp_response(content)
        assert answer.getheader("Content-Length") == str(len(content))
        form = "%a, %d %b %Y %H:%M:%S GMT"
        assert answer.getheader("Last-Modified") == parsed.produced_at_utc.strftime(form)
        assert answer.getheader("Expires") == parsed.next_update_utc.strftime(form)
        words = (answer.getheader("Cache-Control") or "").split(", ")
        assert {"public", "no-transform", "must-revalidate"} < set(words)
        age = int(next(word for word in words if word.startswith("max-age=")).split("=")[1])
        assert 0 < age <= (parsed.next_update_utc - datetime.now(UTC)).total_seconds() + 1

    @pytest.mark.directory("each server signs answers of its own")
    def test_the_same_answer_is_given_again_and_not_sent_twice(self, authority: Authority) -> None:
        first, content = get(authority, request(authority, "web-1"))
        assert get(authority, request(authority, "web-1"))[1] == content
        again, nothing = get(authority, request(authority, "web-1"), **{"If-None-Match": first.getheader("ETag") or ""})
        assert (again.status, nothing) == (304, b"")

    def test_slashes_of_base64_may_stand_as_they_are(self, authority: Authority) -> None:
        # A serial number of ones is written with slashes.
        builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(b"\xff" * 20, b"\xff" * 20, (1 << 152) - 1, hashes.SHA1())
        encoded = base64.b64encode(builder.build().public_bytes(serialization.Encoding.DER)).decode()
        assert "//" in encoded
        answer, content = ask(authority, "GET", f"/ocsp/{encoded}")
        assert ocsp.load_der_ocsp_response(content).response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED
        assert answer.getheader("Cache-Control") == "no-store"

    def test_unknown_and_nonces_are_not_kept(self, authority: Authority) -> None:
        passed_on = "private, max-age=0, must-revalidate"
        assert get(authority, request(authority, "web-1", nonce=b"n" * 8))[0].getheader("Cache-Control") == passed_on
        unknown = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
            ocsp.load_der_ocsp_request(request(authority, "web-1")).issuer_name_hash,
            ocsp.load_der_ocsp_request(request(authority, "web-1")).issuer_key_hash, 77, hashes.SHA1(),
        ).build()  # fmt: skip
        answer, content = get(authority, unknown.public_bytes(serialization.Encoding.DER))
        assert ocsp.load_der_ocsp_response(content).certificate_status is ocsp.OCSPCertStatus.UNKNOWN
        assert answer.getheader("Cache-Control") == passed_on

    def test_a_revocation_of_another_process_changes_the_answer_within_seconds(self, authority: Authority) -> None:
        authority.issue("web-9")
        status = lambda: post(authority, request(authority, "web-9")).certificate_status  # noqa: E731
        assert status() is ocsp.OCSPCertStatus.GOOD
        authority.run("revoke", "web-9", "--hold")
        wait_for(lambda: status() is ocsp.OCSPCertStatus.REVOKED, seconds=5, log=authority.log)
        authority.run("revoke", "web-9", "--release")
        wait_for(lambda: status() is ocsp.OCSPCertStatus.GOOD, seconds=5, log=authority.log)

    def test_many_clients_at_once(self, authority: Authority) -> None:
        bodies = [request(authority, name, nonce=nonce) for name in ("web-1", "web-2") for nonce in (None, b"12345678")]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda body: post(authority, body), bodies * 25))
        assert all(answer.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL for answer in answers)
        assert authority.metrics()['pki_ocsp_answers_total{status="revoked"}'] > 0


@contextmanager
def nginx(home: Path, root: Path, certificate: Path, key: Path, responder: str = "") -> Iterator[tuple[str | Path, ...]]:
    """nginx with a certificate of the CA, which asks a responder, that of the certificate unless told, and staples the answer. Gives
    the command that looks at it."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("there is no nginx: run script/bootstrap")
    (home / "chain.pem").write_bytes(certificate.read_bytes() + root.read_bytes())
    (home / "nginx.conf").write_text(
        f"""
        daemon off; user root; pid {home}/pid; error_log {home}/error.log info; worker_processes 1;
        events {{ }}
        http {{
            access_log off; client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
            server {{
                listen unix:{home}/socket ssl; server_name localhost;
                ssl_certificate {home}/chain.pem; ssl_certificate_key {key};
                ssl_stapling on; ssl_stapling_verify on; ssl_trusted_certificate {root};
                {f"ssl_stapling_responder {responder};" if responder else ""}
                return 200 ok;
            }}
        }}
        """
    )
    process = subprocess.Popen([program, "-e", home / "error.log", "-c", home / "nginx.conf", "-p", home], stdin=subprocess.DEVNULL)
    try:
        yield ("curl", "--silent", "--show-error", "--cert-status", "--cacert", root, "--unix-socket", home / "socket", "https://localhost/")
    finally:
        process.terminate()
        process.wait(timeout=30)


def stapling(authority: Authority, home: Path, name: str) -> AbstractContextManager[tuple[str | Path, ...]]:
    return nginx(home, authority.root, *authority.issue(name, "server", "localhost"), f"{authority.plain}/ocsp")


class TestStapling:
    def test_nginx_staples_the_answer_and_curl_asks_for_it(self, authority: Authority, tmp_path: Path) -> None:
        with stapling(authority, tmp_path, "www-1") as command:
            # The first handshake makes nginx ask.
            wait_for(lambda: tool(*command, status=None).status == 0, log=tmp_path / "error.log")
            assert tool(*command).stdout == "ok"
        assert "OCSP" not in (tmp_path / "error.log").read_text()

    def test_curl_refuses_a_revoked_certificate(self, authority: Authority, tmp_path: Path) -> None:
        with stapling(authority, tmp_path, "www-2") as command:
            authority.run("revoke", "www-2")
            # 91: no status, or a wrong one.
            wait_for(lambda: "revoked" in (tool(*command, status=None).stderr + (tmp_path / "error.log").read_text()), log=tmp_path / "error.log")
