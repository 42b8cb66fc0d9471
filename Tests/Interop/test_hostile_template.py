# SPDX-License-Identifier: Apache-2.0
"""W10: what a certificate template that somebody else wrote may not do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from program import Pki
from tools import openssl

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.fixture
def template(pki: Pki, tmp_path: Path) -> Path:
    """The client's own, with the subject for the tests to change."""
    path = tmp_path / "own.conf"
    path.write_text(pki.run("print-template", "client").stdout)
    return path


def with_name(template: Path, value: str) -> Path:
    lines = template.read_text().splitlines()
    template.write_text("\n".join(f"CN = {value}" if line.startswith("CN") else line for line in lines) + "\n")
    return template


@pytest.mark.parametrize("value", ["$ENV::AWS_SECRET_ACCESS_KEY", "${ENV::AWS_SECRET_ACCESS_KEY}"])
@pytest.mark.smoke
def test_w10_the_environment_is_not_copied_into_a_certificate(
    pki: Pki, ca: Path, template: Path, tmp_path: Path, value: str
) -> None:
    secretive = pki.with_environment(AWS_SECRET_ACCESS_KEY=SECRET)
    options = ("issue-client", "--directory", ca, "--template", with_name(template, value), "--name", "x")
    said = secretive.refuse(*options)
    assert "ENV::" in said and "line " in said and "--trust-template" in said
    assert SECRET not in said and not (ca / "x-cert.pem").exists()
    secretive.run(*options, "--subject", "CN=x", "--trust-template")
    renewed = pki.refuse("renew", "--directory", ca, "x")
    assert "ENV::" in renewed, "what stands in the inventory is never trusted"


@pytest.mark.parametrize("line", [".include {file}", ".include = {file}", ".pragma = abspath:true", "openssl_conf = x"])
def test_w10_a_template_reads_no_other_file(pki: Pki, ca: Path, template: Path, tmp_path: Path, line: str) -> None:
    other = tmp_path / "other.conf"
    other.write_text("secret = 1\n")
    text = line.format(file=other) + "\n" + template.read_text()
    template.write_text(text)
    said = pki.refuse("issue-client", "--directory", ca, "--template", template, "--name", "x")
    assert "line 1 of " in said and "--trust-template" in said
    pki.run("issue-client", "--directory", ca, "--template", template, "--name", "x", "--trust-template")


def test_w10_a_template_that_is_no_file_does_not_hang(pki: Pki, ca: Path, template: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.conf"
    os.mkfifo(pipe)
    for path, noun in ((pipe, "a pipe"), (Path("/dev/zero"), "a device"), (tmp_path, "a directory")):
        said = pki.run("issue-client", "--directory", ca, "--template", path, "--name", "x", status=2).error
        assert noun in said
    # One that another program writes is read all the same.
    read, write = os.pipe()
    with os.fdopen(write, "wb") as output:
        output.write(template.read_bytes())
    pki.run("issue-client", "--directory", ca, "--template", f"/dev/fd/{read}", "--name", "x", pass_fds=(read,))
    os.close(read)
    assert "CN" in openssl("x509", "-in", ca / "x-cert.pem", "-noout", "-subject").stdout


@pytest.mark.parametrize("line", [
    "proxyCertInfo = language:id-ppl-anyLanguage, policy:file:{file}",
    "proxyCertInfo=critical,language:id-ppl-anyLanguage,policy:fi\\\nle:{file}",
    "proxyCertInfo = critical, @proxy\n[proxy]\nlanguage = id-ppl-anyLanguage\npolicy = file:{file}",
])  # fmt: skip
def test_w10_no_policy_is_read_from_a_file(pki: Pki, ca: Path, tmp_path: Path, line: str) -> None:
    """A pipe as the file: reading it would wait for ever."""
    os.mkfifo(tmp_path / "file")
    text = pki.run("print-template", "client").stdout
    template = tmp_path / "template.conf"
    start = text.index("extendedKeyUsage")
    template.write_text(text[:start] + line.format(file=tmp_path / "file") + "\n" + text[start:])
    for options in ((), ("--trust-template",)):
        said = pki.refuse("issue-client", "--directory", ca, "--name", "a", "--template", template, *options)
        assert "proxyCertInfo" in said
