# SPDX-License-Identifier: Apache-2.0
"""The root of a served CA is replaced: hosts follow by `pki renew --server`, whose server the old root has verified."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from enrolled import ocsp_answer
from enrolling import Authority, certificate_request, serving_ca
from enrolling import enrol as ask
from peer import load
from program import CHECK_FAILED, DONE, UNAVAILABLE, Pki, running_lab
from tools import openssl


def enrol(pki: Pki, ca: Authority, host: Path, name: str) -> None:
    pki.with_environment(PKI_TOKEN=ca.token(name).text).run("enrol", name, "--server", ca.url, "--directory", host)


def renew(pki: Pki, ca: Authority, host: Path, name: str, *options: str | Path, status: int = DONE) -> None:
    pki.run("renew", name, "--server", ca.url, "--directory", host, *options, status=status)


def roots(host: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((host / "root-cert.pem").read_bytes())


@pytest.mark.directory("rotates the CA in the directory")
def test_hosts_follow_a_new_root(pki: Pki, tmp_path: Path) -> None:
    directory, host, idle = tmp_path / "ca", tmp_path / "host", tmp_path / "idle"
    pki.run("init-ca", "--directory", directory)
    old = load(directory / "root-cert.pem")
    with serving_ca(pki, directory) as ca:
        enrol(pki, ca, host, "web-1")
        enrol(pki, ca, idle, "web-2")
        token = ca.token("web-3")
        ocsp_answer(ca, load(host / "web-1-cert.pem"))
    (tmp_path / "old.pem").write_bytes((host / "root-cert.pem").read_bytes())

    pki.run("rotate-ca", "--directory", directory)
    new = load(directory / "root-cert.pem")
    with serving_ca(pki, directory) as ca:
        renew(pki, ca, host, "web-1")
        assert roots(host) == [old, new]
        for root in (tmp_path / "old.pem", directory / "root-cert.pem"):
            openssl("verify", "-CAfile", root, "-untrusted", host / "web-1-chain.pem", host / "web-1-cert.pem")
        # Once more, by the certificate of the new root, and with roots of which the user is in charge.
        renew(pki, ca, host, "web-1")
        assert roots(host) == [old, new] and (host / "web-1-chain.pem").exists()
        renew(pki, ca, idle, "web-2", "--ca-bundle", tmp_path / "old.pem")
        assert roots(idle) == [old]
        renew(pki, ca, idle, "web-2")
        # A token that was made before.
        pki.with_environment(PKI_TOKEN=token.text).run("enrol", "web-3", "--server", ca.url, "--directory", tmp_path / "late")
        renew(pki, ca, tmp_path / "late", "web-3")
        with running_lab(pki, "--directory", directory) as lab:
            identity = ("--certificate", host / "web-1-cert.pem", "--private-key", host / "web-1-key.pem", *lab.arguments)
            assert pki.run("creds", *identity).json["AccessKeyId"].startswith("ASIA")

    pki.run("rotate-ca", "--finish", "--directory", directory)
    with serving_ca(pki, directory) as ca:
        renew(pki, ca, host, "web-1")
        assert roots(host) == [new] and not (host / "web-1-chain.pem").exists()
        openssl("verify", "-CAfile", host / "root-cert.pem", host / "web-1-cert.pem")
        assert len(list((host / "archive").glob("root-cert-*.pem"))) == 2


def test_hosts_follow_another_intermediate_ca(pki: Pki, tmp_path: Path) -> None:
    """Also one that has its certificate alone, and so sends no chain; but none below a CA that was revoked."""
    directory, host = tmp_path / "ca", tmp_path / "host"
    pki.run("init-ca", "--directory", directory)
    for number in (1, 2):
        pki.run("issue-intermediate", f"issuing-{number}", "--directory", directory)
    request, key = certificate_request(tmp_path, "/CN=web-2")
    with serving_ca(pki, directory, "--issuer", "issuing-1") as ca:
        enrol(pki, ca, host, "web-1")
        certificate = ask(ca, request, ca.token("web-2")).certificate(tmp_path / "web-2.pem")
    with serving_ca(pki, directory, "--issuer", "issuing-2") as ca:
        renew(pki, ca, host, "web-1")
        assert (host / "web-1-chain.pem").read_bytes() == (directory / "issuing-2-cert.pem").read_bytes()
        openssl("verify", "-CAfile", ca.root, "-untrusted", host / "web-1-chain.pem", host / "web-1-cert.pem")
        reply = ask(ca, request, None, "--cert", certificate, "--key", key, path="simplereenroll")
        assert reply.status == 200
        other, other_key = certificate_request(tmp_path, "/CN=web-3", name="web-3")
    with serving_ca(pki, directory, "--issuer", "issuing-1") as ca:
        certificate = ask(ca, other, ca.token("web-3")).certificate(tmp_path / "web-3.pem")
    pki.run("revoke", "issuing-1", "--directory", directory)
    with serving_ca(pki, directory, "--issuer", "issuing-2") as ca:
        words = ("--cert", certificate, "--key", other_key, "--header", "Content-Type: application/pkcs10", "--data-binary", f"@{other}")
        command = ["curl", "--silent", "--fail", "--cacert", ca.root, *words, f"{ca.est}/simplereenroll"]
        assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode != 0


def test_a_root_is_not_taken_from_a_server_that_the_old_one_does_not_verify(pki: Pki, tmp_path: Path) -> None:
    host = tmp_path / "host"
    for name in ("ca", "other"):
        pki.run("init-ca", "--directory", tmp_path / name)
    with serving_ca(pki, tmp_path / "ca") as ca:
        enrol(pki, ca, host, "web-1")
    before = {path.name: path.read_bytes() for path in host.iterdir() if path.is_file()}
    with serving_ca(pki, tmp_path / "other") as other:
        renew(pki, other, host, "web-1", status=UNAVAILABLE)
    assert {path.name: path.read_bytes() for path in host.iterdir() if path.is_file()} == before


def test_a_period_longer_than_the_life_does_not_renew_at_each_run(pki: Pki, tmp_path: Path) -> None:
    """As with --all: the timer of a host whose certificates became shorter than its period."""
    pki.run("init-ca", "--directory", tmp_path / "ca")
    with serving_ca(pki, tmp_path / "ca") as ca:
        enrol(pki, ca, tmp_path / "host", "web-1")
        renew(pki, ca, tmp_path / "host", "web-1", "--if-expires-within", "3650d", "--exit-code", status=CHECK_FAILED)
