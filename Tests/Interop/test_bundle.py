# SPDX-License-Identifier: Apache-2.0
"""`pki print-bundle`: exactly what the trust anchor takes, and a refusal for all that it would not."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from cryptography import x509

from peer import issue
from program import Pki


@pytest.mark.smoke
def test_prints_the_root_and_nothing_else(pki: Pki, ca: Path) -> None:
    result = pki.run("print-bundle", "--directory", ca)
    assert result.stdout == (ca / "root-cert.pem").read_text()
    assert result.stderr == ""


@pytest.mark.smoke
def test_json_is_the_source_of_a_trust_anchor(pki: Pki, ca: Path) -> None:
    source = pki.run("print-bundle", "--directory", ca, "--format", "json").json
    assert source == {
        "sourceType": "CERTIFICATE_BUNDLE",
        "sourceData": {"x509CertificateData": (ca / "root-cert.pem").read_text()},
    }


def test_aws_cli_is_a_command_that_a_shell_reads_back(pki: Pki, ca: Path) -> None:
    text = pki.run("print-bundle", "--directory", ca, "--format", "aws-cli").stdout
    words = shlex.split(text.replace("\\\n", " "))
    assert words[:3] == ["aws", "rolesanywhere", "create-trust-anchor"]
    source = words[words.index("--source") + 1]
    pem_text = (ca / "root-cert.pem").read_text()
    try:
        assert json.loads(source)["sourceData"]["x509CertificateData"] == pem_text
    except json.JSONDecodeError:
        assert pem_text.strip() in source and "CERTIFICATE_BUNDLE" in source


def test_a_rollover_pair(pki: Pki, ca: Path, tmp_path: Path) -> None:
    issue(None, "Next root", ca=True).write(tmp_path, "next")
    bundle = pki.run("print-bundle", "--certificate", ca / "root-cert.pem", tmp_path / "next-cert.pem").stdout
    subjects = [one.subject.rfc4514_string() for one in x509.load_pem_x509_certificates(bundle.encode())]
    assert subjects == ["CN=TEST ROOT", "CN=Next root"]
    assert bundle.count("-----BEGIN CERTIFICATE-----") == 2 and "-----END CERTIFICATE----------BEGIN" not in bundle


def test_tidies_what_it_reads(pki: Pki, ca: Path, tmp_path: Path) -> None:
    """Text before a certificate, CRLF and a missing last newline do not reach the console."""
    clean = (ca / "root-cert.pem").read_text()
    untidy = tmp_path / "untidy.pem"
    untidy.write_bytes(b"subject: a root\r\n" + clean.strip().replace("\n", "\r\n").encode())
    assert pki.run("print-bundle", "--certificate", untidy).stdout == clean


def test_refuses_what_is_no_ca(pki: Pki, tmp_path: Path) -> None:
    path, _ = issue(issue(None, ca=True)).write(tmp_path, "leaf")
    assert str(path) in pki.refuse("print-bundle", "--certificate", path)


def test_refuses_a_private_key_without_showing_it(pki: Pki, ca: Path, tmp_path: Path) -> None:
    key = (ca / "root-key.pem").read_text()
    path = tmp_path / "both.pem"
    path.write_text((ca / "root-cert.pem").read_text() + key)
    stderr = pki.refuse("print-bundle", "--certificate", path)
    assert "both.pem" in stderr and "private key" in stderr
    assert key.splitlines()[1] not in stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "no certificate"), ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "damaged.pem")],
)
def test_refuses_what_is_no_certificate(pki: Pki, tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "damaged.pem"
    path.write_text(text)
    stderr = pki.refuse("print-bundle", "--certificate", path)
    assert says in stderr and "damaged.pem" in stderr


def test_refuses_a_folder_without_a_ca(pki: Pki, tmp_path: Path) -> None:
    stderr = pki.refuse("print-bundle", "--directory", tmp_path / "nowhere")
    assert "nowhere" in stderr and "init-ca" in stderr
