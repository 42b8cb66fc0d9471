# SPDX-License-Identifier: Apache-2.0
"""`pki serve-ca --revocation-url`: certificates name OCSP, the CRL and the CA's certificate, and clients follow them."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from enrolling import Authority, certificate_request, enrol, serving_ca
from program import USAGE, Pki, running_lab
from serving import wait_for
from test_acme_clients import free_port
from test_ocsp import nginx
from tools import openssl, tool


@pytest.fixture(scope="module")
def authority(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    home = tmp_path_factory.mktemp("revocation-url")
    pki = Pki(home=home, path=built)
    pki.run("init-ca", "--directory", home / "ca")
    port = free_port()
    with serving_ca(pki, home / "ca", "--revocation-listen", str(port), "--revocation-url", f"http://127.0.0.1:{port}/") as running:
        yield running


def issued(authority: Authority, home: Path, name: str, *options: str | Path) -> Path:
    request, _ = certificate_request(home, f"/CN={name}", f"subjectAltName=DNS:{name}", name=name)
    return enrol(authority, request, authority.token(name, *map(str, options))).certificate(home / f"{name}.pem")


def addresses(path: Path) -> tuple[dict[str, str], str]:
    """Those of authority information access, and of the CRL."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints)
    assert not access.critical and not points.critical
    [point] = points.value
    assert point.full_name and not point.reasons and not point.crl_issuer
    methods = {AuthorityInformationAccessOID.OCSP: "ocsp", AuthorityInformationAccessOID.CA_ISSUERS: "issuer"}
    return {methods[one.access_method]: one.access_location.value for one in access.value}, point.full_name[0].value


def test_all_that_is_named_is_there(authority: Authority, tmp_path: Path) -> None:
    access, crl = addresses(issued(authority, tmp_path, "web-1"))
    assert access == {"ocsp": f"{authority.plain}/ocsp", "issuer": f"{authority.plain}/ca/root.cer"}
    assert crl == f"{authority.plain}/crl/root.crl"
    with urllib.request.urlopen(access["issuer"], timeout=60) as answer:
        assert answer.headers["Content-Type"] == "application/pkix-cert"
        (tmp_path / "issuer.cer").write_bytes(answer.read())
    shown = openssl("x509", "-inform", "DER", "-in", tmp_path / "issuer.cer", "-noout", "-fingerprint").stdout
    assert shown == openssl("x509", "-in", authority.root, "-noout", "-fingerprint").stdout


def test_openssl_downloads_the_crl_and_asks_the_responder(authority: Authority, tmp_path: Path) -> None:
    certificate = issued(authority, tmp_path, "web-2")
    assert openssl("x509", "-in", certificate, "-noout", "-ocsp_uri").stdout.strip() == f"{authority.plain}/ocsp"
    check = ("verify", "-crl_download", "-crl_check", "-CAfile", authority.root, certificate)
    assert openssl(*check).stdout.endswith(": OK\n")
    authority.run("revoke", "web-2")

    def revoked() -> bool:
        return "certificate revoked" in openssl(*check, status=None).stderr

    wait_for(revoked, log=authority.log)


def test_strongswan_finds_both(authority: Authority, tmp_path: Path) -> None:
    certificate = issued(authority, tmp_path, "web-7")
    command = ("/usr/bin/pki", "--verify", "--online", "--in", certificate, "--cacert", authority.root)
    shown = tool(*command)
    assert "certificate status is good" in shown.stdout + shown.stderr
    authority.run("revoke", "web-7", "--reason", "keyCompromise")

    def revoked() -> bool:
        shown = tool(*command, status=None)
        return shown.status != 0 and "certificate was revoked" in shown.stdout + shown.stderr

    wait_for(revoked, log=authority.log)


def test_gnutls_finds_the_responder(authority: Authority, tmp_path: Path) -> None:
    certificate = issued(authority, tmp_path, "web-3")
    shown = tool("ocsptool", "--ask", "--load-issuer", authority.root, "--load-trust", authority.root, "--load-cert", certificate).stdout
    assert "Certificate Status: good" in shown and "Verifying OCSP Response: Success" in shown


def test_nginx_finds_the_responder_and_staples(authority: Authority, tmp_path: Path) -> None:
    certificate = issued(authority, tmp_path, "localhost", "--profile", "server")
    with nginx(tmp_path, authority.root, certificate, tmp_path / "localhost.key") as command:
        # The first handshake makes nginx ask.
        wait_for(lambda: tool(*command, status=None).status == 0, log=tmp_path / "error.log")
        assert tool(*command).stdout == "ok"


def test_a_renewed_certificate_names_them_as_well(authority: Authority, tmp_path: Path) -> None:
    first = issued(authority, tmp_path, "web-4")
    request, _ = certificate_request(tmp_path, "/CN=web-4", name="again")
    identity = ("--cert", first, "--key", tmp_path / "web-4.key")
    second = enrol(authority, request, None, *identity, path="simplereenroll").certificate(tmp_path / "second.pem")
    assert addresses(second) == addresses(first)


def test_what_a_template_says_goes_first(authority: Authority, tmp_path: Path) -> None:
    text = authority.pki.run("print-template", "client").stdout
    (tmp_path / "own.conf").write_text(f"{text}\nauthorityInfoAccess = OCSP;URI:http://ocsp.example.com\n")
    access, crl = addresses(issued(authority, tmp_path, "web-5", "--template", tmp_path / "own.conf"))
    assert access == {"ocsp": "http://ocsp.example.com"}
    assert crl == f"{authority.plain}/crl/root.crl"


def test_aws_takes_such_a_certificate(authority: Authority, tmp_path: Path) -> None:
    certificate = issued(authority, tmp_path, "web-6")
    with running_lab(authority.pki, "--directory", authority.directory) as lab:
        identity = ("--certificate", certificate, "--private-key", tmp_path / "web-6.key", *lab.arguments)
        assert authority.pki.run("creds", *identity).json["AccessKeyId"].startswith("ASIA")


def test_without_the_option_nothing_is_named(pki: Pki, tmp_path: Path) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    with serving_ca(pki, tmp_path / "ca") as own:
        shown = openssl("x509", "-in", issued(own, tmp_path, "web-1"), "-noout", "-text").stdout
        assert "Authority Information Access" not in shown and "CRL Distribution" not in shown


@pytest.mark.parametrize("url", ["https://ca.example.com", "ca.example.com", "http://ca.example.com?x", "http://"])
def test_only_a_url_of_http_is_taken(pki: Pki, tmp_path: Path, url: str) -> None:
    pki.run("serve-ca", "--directory", tmp_path / "ca", "--revocation-url", url, status=USAGE)
