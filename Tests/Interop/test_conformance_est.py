# SPDX-License-Identifier: Apache-2.0
"""RFC 7030, 8951 and 9440 in docs/conformance.md: the requirements that no other file proves."""

from __future__ import annotations

import base64
import http.client
import re
import socket
import ssl
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from enrolling import Authority, certificate_request, curl, enrol, serving_ca
from program import DENIED, UNAVAILABLE, USAGE, Pki
from serving import wait_for
from test_enrol import Stage, lying, message, stage  # noqa: F401
from test_enrol import enrol as host_enrol
from tools import openssl


@pytest.fixture(scope="module")
def authority(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """A server of an intermediate CA that tests share: each has names of its own."""
    home = tmp_path_factory.mktemp("est")
    pki = Pki(home=home, path=built)
    pki.run("init-ca", "--directory", home / "ca")
    pki.run("issue-intermediate", "issuing", "--directory", home / "ca")
    with serving_ca(pki, home / "ca", "--issuer", "issuing", "--revocation-listen", "127.0.0.1:0") as running:
        yield running


def der(path: Path) -> bytes:
    return subprocess.run(["openssl", "req", "-in", path, "-outform", "DER"], capture_output=True, check=True).stdout


def key_of(what: str, path: Path) -> str:
    return openssl(what, "-in", path, "-noout", "-pubkey").stdout


class TestTransport:
    """RFC 7030 §3."""

    def test_there_is_no_est_without_tls(self, authority: Authority) -> None:
        host = urllib.parse.urlsplit(authority.plain)
        for method, path in [("GET", "cacerts"), ("GET", "csrattrs"), ("POST", "simpleenroll"), ("POST", "simplereenroll")]:
            connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=60)
            connection.request(method, f"/.well-known/est/{path}")
            assert connection.getresponse().status == 404
            connection.close()

    @pytest.mark.parametrize(("version", "works"), [("TLSv1", False), ("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
    def test_old_versions_of_tls_are_refused(self, authority: Authority, version: str, works: bool) -> None:
        option = {"TLSv1": "-tls1", "TLSv1_1": "-tls1_1", "TLSv1_2": "-tls1_2", "TLSv1_3": "-tls1_3"}[version]
        done = openssl(
            "s_client", "-connect", f"127.0.0.1:{authority.port}", option, "-cipher", "DEFAULT@SECLEVEL=0", "-CAfile", authority.root,
            "-verify_return_error", input=b"Q\n", status=None,
        )  # fmt: skip
        assert ("Verify return code: 0 (ok)" in done.stdout and "Cipher is (NONE)" not in done.stdout) == works

    @pytest.mark.parametrize("cipher", ["NULL", "aNULL", "ADH-AES256-GCM-SHA384"])
    def test_a_cipher_without_a_certificate_or_without_secrecy_is_refused(self, authority: Authority, cipher: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode, context.maximum_version = False, ssl.CERT_NONE, ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{cipher}:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(socket.create_connection(("127.0.0.1", authority.port), timeout=60))

    def test_a_label_changes_nothing_of_the_service(self, authority: Authority, tmp_path: Path) -> None:
        for number, path in enumerate(["simpleenroll", "issuing/simpleenroll", "client/simpleenroll"]):
            token = authority.token(f"label-{number}")
            request, _ = certificate_request(tmp_path, f"/CN=label-{number}")
            assert enrol(authority, request, token, path=path).status == 200
        for path in ["cacerts", "issuing/cacerts", "client/cacerts"]:
            assert curl(authority, f"/.well-known/est/{path}").status == 200

    def test_no_operation_is_a_label(self, pki: Pki, tmp_path: Path) -> None:
        """Not even where the issuer has its name."""
        pki.run("init-ca", "--directory", tmp_path / "ca")
        pki.run("issue-intermediate", "cacerts", "--directory", tmp_path / "ca")
        with serving_ca(pki, tmp_path / "ca", "--issuer", "cacerts") as own:
            for label in ["cacerts", "simpleenroll", "simplereenroll", "fullcmc", "serverkeygen", "csrattrs"]:
                assert curl(own, f"/.well-known/est/{label}/cacerts").status == 404
            assert curl(own, "/.well-known/est/cacerts").status == curl(own, "/.well-known/est/client/cacerts").status == 200


class TestCACertificates:
    """RFC 7030 §4.1."""

    def test_they_lead_from_a_certificate_to_the_root_and_need_no_proof(self, authority: Authority, tmp_path: Path) -> None:
        reply = curl(authority, "/.well-known/est/cacerts")
        assert reply.status == 200
        bag = reply.certificate(tmp_path / "bag.pem")
        assert bag.read_text().count("-----BEGIN CERTIFICATE") == 2
        roots = tmp_path / "roots"
        roots.mkdir()
        request, _ = certificate_request(tmp_path, "/CN=chained")
        certificate = enrol(authority, request, authority.token("chained")).certificate(tmp_path / "c.pem")
        shown = authority.root.read_text()
        assert "".join(shown.split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0].split()) in "".join(bag.read_text().split())
        openssl("verify", "-CAfile", authority.root, "-untrusted", bag, certificate)


class TestEnrolment:
    """RFC 7030 §4.2, RFC 8951 §3."""

    def test_the_answer_has_the_certificate_alone(self, authority: Authority, tmp_path: Path) -> None:
        request, _ = certificate_request(tmp_path, "/CN=alone")
        certificate = enrol(authority, request, authority.token("alone")).certificate(tmp_path / "c.pem")
        assert certificate.read_text().count("-----BEGIN CERTIFICATE") == 1

    @pytest.mark.parametrize("encoding", ["base64", "binary", "8bit", "quoted-printable", "gzip", "x", ""])
    @pytest.mark.parametrize("form", ["base64", "der"])
    def test_the_transfer_encoding_is_ignored(self, authority: Authority, tmp_path: Path, encoding: str, form: str) -> None:
        name = f"cte-{form}-{encoding or 'empty'}"
        request, _ = certificate_request(tmp_path, f"/CN={name}")
        sent = tmp_path / "body"
        sent.write_bytes(base64.b64encode(der(request)) if form == "base64" else der(request))
        header = f"Content-Transfer-Encoding: {encoding}" if encoding else "Content-Transfer-Encoding;"
        assert enrol(authority, sent, authority.token(name), "--header", header).status == 200

    @pytest.mark.parametrize("blank", [" ", "\t", "\r\n", "\n", " \t\r\n "], ids=range(5))
    def test_white_space_between_letters_is_passed_over(self, authority: Authority, tmp_path: Path, blank: str) -> None:
        name = f"blank-{blank.encode().hex()}"
        request, _ = certificate_request(tmp_path, f"/CN={name}")
        text = base64.b64encode(der(request)).decode()
        sent = tmp_path / "body"
        sent.write_bytes(blank.join([text[:1], text[1:9], text[9:]]).encode())
        assert enrol(authority, sent, authority.token(name)).status == 200

    def test_a_refusal_is_a_sentence_with_a_status_of_4xx(self, authority: Authority, tmp_path: Path) -> None:
        request, _ = certificate_request(tmp_path, "/CN=somebody")
        garbage = tmp_path / "garbage"
        garbage.write_bytes(b"garbage")
        token = authority.token("nobody")
        for reply in [enrol(authority, request), enrol(authority, request, token), enrol(authority, garbage, token)]:
            assert 400 <= reply.status < 500
            assert reply.headers["content-type"].startswith("text/plain") and len(reply.body.split()) > 3

    def test_who_waits_is_told_how_long_and_is_recognised(self, authority: Authority, tmp_path: Path) -> None:
        token = authority.token("patient", "--approve")
        request, _ = certificate_request(tmp_path, "/CN=patient")
        for _ in range(2):
            reply = enrol(authority, request, token)
            assert (reply.status, int(reply.headers["retry-after"]) > 0, len(reply.body.split()) > 3) == (202, True, True)
        numbers = re.findall(r"request +(\d+)", authority.run("pending"))
        assert len(numbers) == 1
        authority.run("approve", numbers[0])
        first, second = enrol(authority, request, token), enrol(authority, request, token)
        assert first.status == second.status == 200 and first.body == second.body

    @pytest.mark.parametrize("has_new_key", [False, True])
    def test_a_renewal_keeps_subject_and_names_and_takes_the_key(self, authority: Authority, tmp_path: Path, has_new_key: bool) -> None:
        name = f"renewed-{has_new_key}".lower()
        san = f"subjectAltName=DNS:{name},DNS:{name}.example.com"
        request, key = certificate_request(tmp_path, f"/CN={name}", san)
        token = authority.token(name, "--san", "dns:{name}.example.com")
        first = enrol(authority, request, token).certificate(tmp_path / "first.pem")
        following, _ = certificate_request(tmp_path, f"/CN={name}", san, name="following", key=None if has_new_key else key)
        proof = ("--cert", first, "--key", key)
        second = enrol(authority, following, None, *proof, path="simplereenroll").certificate(tmp_path / "second.pem")

        def shown(path: Path) -> str:
            return openssl("x509", "-in", path, "-noout", "-subject", "-ext", "subjectAltName").stdout

        assert shown(first) == shown(second)
        assert key_of("x509", second) == key_of("req", following)
        assert (key_of("x509", second) == key_of("x509", first)) != has_new_key

    def test_a_renewal_without_names_keeps_them(self, authority: Authority, tmp_path: Path) -> None:
        san = "subjectAltName=DNS:kept,DNS:kept.example.com"
        request, key = certificate_request(tmp_path, "/CN=kept", san)
        first = enrol(authority, request, authority.token("kept", "--san", "dns:{name}.example.com")).certificate(tmp_path / "first.pem")
        following, _ = certificate_request(tmp_path, "/CN=kept", name="following", key=key)
        second = enrol(authority, following, None, "--cert", first, "--key", key, path="simplereenroll").certificate(tmp_path / "second.pem")
        shown = openssl("x509", "-in", second, "-noout", "-ext", "subjectAltName").stdout
        assert "DNS:kept, DNS:kept.example.com" in shown

    @pytest.mark.parametrize(
        ("subject", "extension"),
        [("/CN=other", "subjectAltName=DNS:steady"), ("/O=x/CN=steady", "subjectAltName=DNS:steady"), ("/CN=steady", "subjectAltName=DNS:steady,DNS:other")],
        ids=range(3),
    )  # fmt: skip
    def test_a_renewal_for_other_names_is_refused(self, authority: Authority, tmp_path: Path, subject: str, extension: str) -> None:
        san = "subjectAltName=DNS:steady"
        request, key = certificate_request(tmp_path, "/CN=steady", san)
        first = enrol(authority, request, authority.token("steady", "--replace")).certificate(tmp_path / "first.pem")
        following, _ = certificate_request(tmp_path, subject, extension, name="following")
        assert enrol(authority, following, None, "--cert", first, "--key", key, path="simplereenroll").status == 403


@pytest.mark.parametrize("field", ["x", ":", "::", ":not base64:", ":AAAA:", ":AAAA:, :AAAA:", '"AAAA"'])
def test_a_malformed_header_of_a_proxy_is_no_proof(pki: Pki, tmp_path: Path, field: str) -> None:
    """RFC 9440 §2."""
    pki.run("init-ca", "--directory", tmp_path / "ca")
    request, _ = certificate_request(tmp_path, "/CN=web-1")
    with serving_ca(pki, tmp_path / "ca", "--proxy", "127.0.0.1") as behind:
        reply = enrol(behind, request, None, "--header", f"Client-Cert: {field}", path="simplereenroll")
        assert 400 <= reply.status < 500


class TestClient:
    """What RFC 7030 wants of a client, of `pki enrol`."""

    def test_only_https_is_asked(self, stage: Stage, tmp_path: Path) -> None:  # noqa: F811
        with lying(*stage.issue("liar", "--profile", "server", "--ip", "127.0.0.1")) as liar:
            url = liar.url.replace("https:", "http:")
            assert host_enrol(stage.pki, url, stage.token, tmp_path / "host", status=None).status in (2, USAGE)
            assert liar.seen == []

    def test_a_server_with_a_certificate_for_another_host_gets_no_secret(self, stage: Stage, tmp_path: Path) -> None:  # noqa: F811
        with lying(*stage.issue("liar", "--profile", "server", "--ip", "192.0.2.1", "--dns", "ca.example.com")) as liar:
            liar.answer("cacerts", message(stage.home, stage.root))
            host_enrol(stage.pki, liar.url, stage.token, tmp_path / "host", status=UNAVAILABLE)
            assert liar.secrets == [] and {path for path, _ in liar.seen} == {"cacerts"}

    @pytest.mark.parametrize("status", [201, 204, 404, 500])
    def test_certificates_with_another_status_than_200_are_not_taken(self, stage: Stage, tmp_path: Path, status: int) -> None:  # noqa: F811
        with lying(*stage.issue("liar", "--profile", "server", "--ip", "127.0.0.1")) as liar:
            liar.answer("cacerts", message(stage.home, stage.root), status)
            host_enrol(stage.pki, liar.url, stage.token, tmp_path / "host", status=UNAVAILABLE)
            assert liar.secrets == []

    def test_it_waits_as_long_as_it_is_told(self, stage: Stage, tmp_path: Path) -> None:  # noqa: F811
        times: list[float] = []

        class Seen(list[tuple[str, dict[str, str]]]):
            def append(self, request: tuple[str, dict[str, str]]) -> None:
                super().append(request)
                if request[0] == "simpleenroll":
                    times.append(time.monotonic())

        with lying(*stage.issue("liar", "--profile", "server", "--ip", "127.0.0.1")) as liar, ThreadPoolExecutor() as pool:
            liar.seen = Seen()
            liar.answer("cacerts", message(stage.home, stage.root))
            liar.answer("simpleenroll", b"wait\n", 202, **{"Retry-After": "2"})
            running = pool.submit(host_enrol, stage.pki, liar.url, stage.token, tmp_path / "host", status=DENIED)
            wait_for(lambda: len(times) >= 2)
            liar.answer("simpleenroll", b"no\n", 403)
            running.result()
        assert all(later - earlier > 1.9 for earlier, later in zip(times, times[1:], strict=False))

    def test_other_certificates_of_the_ca_are_no_hindrance(self, stage: Stage, tmp_path: Path) -> None:  # noqa: F811
        """A root that follows, and one that the former root signed for it: RFC 7030 §4.1.3."""
        host, home = tmp_path / "host", stage.home
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=Following", "-keyout", home / "f.key", "-out", home / "f.pem")
        openssl("req", "-new", "-key", home / "f.key", "-subj", "/CN=Following", "-out", home / "f.csr")
        (home / "ca-ext").write_text("basicConstraints=critical,CA:TRUE\n")
        openssl("x509", "-req", "-in", home / "f.csr", "-CA", stage.root, "-CAkey", home / "ca/root-key.pem", "-CAcreateserial",
                "-extfile", home / "ca-ext", "-out", home / "cross.pem")  # fmt: skip
        with lying(*stage.issue("liar", "--profile", "server", "--ip", "127.0.0.1")) as liar:
            liar.answer("cacerts", message(home, home / "f.pem", home / "cross.pem", stage.root))
            liar.answer("simpleenroll", b"", 503)
            host_enrol(stage.pki, liar.url, stage.token, host, status=UNAVAILABLE)
            [draft] = [path for path in host.iterdir() if path.name.endswith(".enrolment")]
            openssl("req", "-in", draft, "-out", home / "web-1.csr")
            stage.pki.run("issue-client", "--directory", home / "ca", "--csr", home / "web-1.csr", "--name", "web-1")
            liar.answer("simpleenroll", message(home, home / "ca/web-1-cert.pem"))
            host_enrol(stage.pki, liar.url, stage.token, host)
        assert (host / "root-cert.pem").read_text().strip() == stage.root.read_text().strip()
