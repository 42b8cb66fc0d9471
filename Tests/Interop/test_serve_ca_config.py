# SPDX-License-Identifier: Apache-2.0
"""`pki serve-ca --config`: options from a file, which SIGHUP reads again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

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


def test_a_file_with_secrets_is_not_repeated(pki: Pki, tmp_path: Path) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    token = pki.run("token", "create", "--directory", tmp_path / "ca", "--name", "web").stdout.strip()
    file = tmp_path / "secret"
    options = ("serve-ca", "--directory", tmp_path / "ca", "--listen", "0", "--config", file)
    for line in [token, "root:$y$j9T$SECRET:19000:0:99999:7:::", "host = a\nSECRET = 1", "retry-after = SECRET", "proxy = SECRET"]:
        file.write_text(line + "\n")
        said = pki.refuse(*options)
        assert str(file) in said
        assert not any(part in said for part in [*token.split("."), "SECRET", "root:"])


@pytest.fixture
def open_pipe() -> Iterator[Callable[[Path], Path]]:
    """Makes a pipe that has a line in it and does not end."""
    with ExitStack() as opened:

        def make(path: Path) -> Path:
            os.mkfifo(path)
            end = os.open(path, os.O_RDWR)
            opened.callback(os.close, end)
            os.write(end, b"# and more\n")
            return path

        yield make


def test_only_a_regular_file_is_read(pki: Pki, tmp_path: Path, open_pipe: Callable[[Path], Path]) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    options = ("serve-ca", "--directory", tmp_path / "ca", "--listen", "0", "--config")
    for path in [open_pipe(tmp_path / "pipe"), "/dev/null", tmp_path]:
        said = pki.refuse(*options, path)
        assert str(path) in said and "chmod" not in said


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_a_link_of_somebody_else_is_not_followed(pki: Pki, tmp_path: Path) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    file = tmp_path / "serve-ca.conf"
    file.write_text("no-such = 1\n")
    link = tmp_path / "link"
    link.symlink_to(file)
    options = ("serve-ca", "--directory", tmp_path / "ca", "--listen", "0", "--config", link)
    assert f"line 1 of {link}" in pki.refuse(*options)
    os.chown(link, 4321, 4321, follow_symlinks=False)
    said = pki.refuse(*options)
    assert "4321" in said and "line 1" not in said


def test_a_signal_does_not_wait_for_a_pipe(pki: Pki, tmp_path: Path, open_pipe: Callable[[Path], Path]) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    file = tmp_path / "serve-ca.conf"
    file.write_text("retry-after = 7\n")
    with serving_ca(pki, tmp_path / "ca", "--config", file) as authority:
        file.unlink()
        open_pipe(file)
        authority.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "the options stay as they were" in authority.said, log=authority.log)
        assert retry_after(authority, tmp_path, "one") == "7"
