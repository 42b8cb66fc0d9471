# SPDX-License-Identifier: Apache-2.0
"""`pki serve-ca --config`: options from a file, which SIGHUP reads again."""

from __future__ import annotations

import signal
from pathlib import Path

from enrolling import Authority, certificate_request, enrol, serving_ca
from program import USAGE, Pki
from serving import wait_for
from tools import openssl


def names(authority: Authority) -> str:
    """The names of the server's certificate."""
    shown = openssl("s_client", "-connect", f"127.0.0.1:{authority.port}", "-CAfile", authority.root, input=b"Q\n").stdout
    return openssl("x509", "-noout", "-ext", "subjectAltName", input=shown.encode()).stdout


def retry_after(authority: Authority, tmp_path: Path, name: str) -> str:
    request, _ = certificate_request(tmp_path, f"/CN={name}", name=name)
    return enrol(authority, request, authority.token(name, "--approve")).headers["retry-after"]


def test_options_come_from_the_file_and_a_signal_reads_it_again(pki: Pki, tmp_path: Path) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    file = tmp_path / "serve-ca.conf"
    # Nobody may listen there; the option of the command line takes its place.
    file.write_text("# a CA\nlisten = 192.0.2.1:1\nhost = 127.0.0.1\nhost = first.example.com\nretry-after = 7\n")
    with serving_ca(pki, tmp_path / "ca", "--config", file) as authority:
        assert "first.example.com" in names(authority)
        assert retry_after(authority, tmp_path, "one") == "7"
        file.write_text("host = 127.0.0.1\nhost = second.example.com\nretry-after = 8\nissuer = other\n")
        authority.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "second.example.com" in names(authority), log=authority.log)
        assert retry_after(authority, tmp_path, "two") == "8"
        assert "--issuer has another value" in authority.said and "--listen" not in authority.said
        # What cannot be read changes nothing.
        file.write_text("host = 127.0.0.1\nretry-after = never\n")
        authority.process.send_signal(signal.SIGHUP)
        wait_for(lambda: f"line 2 of {file}" in authority.said, log=authority.log)
        assert retry_after(authority, tmp_path, "three") == "8"
        assert "second.example.com" in names(authority)


def test_a_file_that_cannot_be_used_is_refused(pki: Pki, tmp_path: Path) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    file = tmp_path / "serve-ca.conf"
    file.write_text("host = a.example\nno-such = 1\n")
    options = ("serve-ca", "--directory", tmp_path / "ca", "--listen", "0", "--config")
    assert f"line 2 of {file}" in pki.refuse(*options, file)
    assert str(tmp_path / "none") in pki.refuse(*options, tmp_path / "none")
    file.write_text("role = r\n")
    pki.run(*options, file, status=USAGE)
