# SPDX-License-Identifier: Apache-2.0
"""Where secrets come from and where they do not go: the terminal, profiles, stores, the memory of a server."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import termios
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from peer import Identity, issue, pem
from program import REFUSED, USAGE, Lab, Pki
from serving import serving as pki_serving
from test_creds import ARNS, NOWHERE, identity_options
from tools import openssl
from verifier import Verifier, serving


@pytest.fixture(scope="module")
def root() -> Identity:
    return issue(None, "root", ca=True)


@pytest.fixture(scope="module")
def leaf(root: Identity) -> Identity:
    return issue(root, "leaf")


def closed(leaf: Identity, folder: Path, passphrase: str) -> tuple[str | Path, ...]:
    """The options for a key under a passphrase."""
    certificate, key = leaf.write(folder, "leaf")
    path = folder / "closed.pem"
    path.touch(0o600)
    openssl("pkcs8", "-topk8", "-in", key, "-out", path, "-passout", f"pass:{passphrase}")
    key.unlink()
    return identity_options(certificate, path)


class Terminal:
    """A terminal with a program on it."""

    def __init__(self, pki: Pki, *arguments: str | Path):
        self.leader, follower = pty.openpty()
        self.follower = os.ttyname(follower)
        self.before = termios.tcgetattr(follower)
        self.shown = b""

        def take_terminal() -> None:
            os.setsid()
            os.close(os.open(self.follower, os.O_RDWR))

        self.process = subprocess.Popen(
            pki.command(*arguments), cwd=pki.home, env=pki.variables(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=take_terminal,
        )  # fmt: skip
        self.descriptor = follower

    def wait_for(self, text: bytes) -> None:
        end = time.monotonic() + 30
        while text not in self.shown:
            assert time.monotonic() < end and self.process.poll() is None, (self.shown, self.process.communicate())
            if select.select([self.leader], [], [], 0.2)[0]:
                self.shown += os.read(self.leader, 4096)

    def type(self, text: str) -> None:
        os.write(self.leader, text.encode())

    def finish(self) -> tuple[int, bytes, bytes]:
        stdout, stderr = self.process.communicate(timeout=60)
        while select.select([self.leader], [], [], 0.1)[0]:
            self.shown += os.read(self.leader, 4096)
        after = termios.tcgetattr(self.descriptor)
        os.close(self.descriptor)
        os.close(self.leader)
        assert after[:4] == self.before[:4], "the terminal is not as it was"
        return self.process.returncode, stdout, stderr


class TestTerminal:
    @pytest.mark.smoke
    def test_a_passphrase_is_asked_for_and_not_shown(self, pki: Pki, root: Identity, leaf: Identity, tmp_path: Path) -> None:
        options = closed(leaf, tmp_path, "typed by hand")
        with serving(Verifier([root.certificate])) as server:
            terminal = Terminal(pki, "creds", *options, *ARNS, "--endpoint", server.endpoint)
            terminal.wait_for(b"passphrase of the private key: ")
            terminal.type("typed by hand\n")
            status, stdout, stderr = terminal.finish()
        assert status == 0, stderr
        assert b"AccessKeyId" in stdout and len(server.sessions) == 1
        assert b"typed" not in terminal.shown + stdout + stderr

    def test_an_interrupted_question_leaves_the_terminal_as_it_was(
        self, pki: Pki, leaf: Identity, tmp_path: Path
    ) -> None:
        terminal = Terminal(pki, "creds", *closed(leaf, tmp_path, "x"), *ARNS, *NOWHERE)
        terminal.wait_for(b": ")
        terminal.process.send_signal(signal.SIGINT)
        status, stdout, _ = terminal.finish()
        assert status == -signal.SIGINT and stdout == b""

    def test_nobody_is_asked_without_need(self, pki: Pki, root: Identity, leaf: Identity, tmp_path: Path) -> None:
        options = identity_options(*leaf.write(tmp_path, "leaf"))
        with serving(Verifier([root.certificate])) as server:
            terminal = Terminal(pki, "creds", *options, *ARNS, "--endpoint", server.endpoint)
            status, _, stderr = terminal.finish()
        assert status == 0, stderr
        assert terminal.shown == b""

    def test_a_ca_key_is_asked_for(self, pki: Pki, tmp_path: Path) -> None:
        pki.with_environment(SECRET="of the ca").run("init-ca", "--directory", tmp_path / "ca", "--passphrase-env", "SECRET")
        terminal = Terminal(pki, "issue-client", "--directory", tmp_path / "ca")
        terminal.wait_for(b"passphrase of the CA key: ")
        terminal.type("of the ca\n")
        assert terminal.finish()[0] == 0
        assert (tmp_path / "ca/client-cert.pem").exists()


class TestProfiles:
    def test_places_that_last(self, pki: Pki, lab: Lab, ca: Path) -> None:
        variables = {"KEY": (ca / "client-key.pem").read_text(), "CERTIFICATE": (ca / "client-cert.pem").read_text()}
        pki = pki.with_environment(**variables)
        pki.run("configure", "--profile", "web", "--certificate", "env:CERTIFICATE", "--private-key", "env:KEY", *lab.arguments)
        assert "pki_private_key = env:KEY" in (pki.home / ".aws/config").read_text()
        for _ in range(2):
            assert pki.run("creds", "--profile", "web", "--cache").json["AccessKeyId"].startswith("ASIA")

    def test_a_store_takes_the_place_of_a_certificate(self, pki: Pki, lab: Lab, ca: Path) -> None:
        files = identity_options(ca / "client-cert.pem", ca / "client-key.pem")
        pki.run("configure", "--profile", "web", *files, *lab.arguments)
        select = ("--certificate-store", ca, "--cert-selector", "Key=x509Subject,Value=CN=TEST CLIENT")
        pki.run("configure", "--profile", "web", *select)
        config = (pki.home / ".aws/config").read_text()
        assert "pki_certificate_store" in config and "pki_private_key" not in config
        assert pki.run("creds", "--profile", "web").json["AccessKeyId"].startswith("ASIA")

    @pytest.mark.parametrize(
        "options",
        [("--certificate", "-"), ("--private-key", "fd:3"), ("--pkcs8-password", "x"), ("--tpm-key-password", "x")],
        ids=" ".join,
    )
    def test_what_a_profile_cannot_hold(self, pki: Pki, ca: Path, options: tuple[str, ...]) -> None:
        files = dict(zip(("--certificate", "--private-key"), (ca / "client-cert.pem", ca / "client-key.pem"), strict=True))
        files.update([options])
        said = pki.refuse("configure", *(word for pair in files.items() for word in pair), *ARNS, status=USAGE)
        assert "a profile" in said


class TestStores:
    @pytest.fixture
    def store(self, root: Identity, tmp_path: Path) -> Path:
        folder = tmp_path / "store"
        folder.mkdir()
        now = datetime.now(UTC).replace(microsecond=0)
        for name, days in (("web", 3), ("web", 9), ("db", 5)):
            issue(root, name, not_after=now + timedelta(days=days)).write(folder, f"{name}-{days}")
        (folder / "root.pem").write_bytes(pem(root.certificate))
        (folder / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nnothing")
        return folder

    def chosen(self, pki: Pki, root: Identity, store: Path, *options: str) -> str:
        with serving(Verifier([root.certificate])) as server:
            pki.run("creds", "--certificate-store", store, *options, *ARNS, "--endpoint", server.endpoint)
            return server.sessions[0].leaf.subject.rfc4514_string()

    @pytest.mark.parametrize("subject", ["CN=db", "cn = DB", "/CN=db", "CN=\"db\""])
    def test_names_are_names(self, pki: Pki, root: Identity, store: Path, subject: str) -> None:
        assert self.chosen(pki, root, store, "--cert-selector", f"Key=x509Subject,Value={subject}") == "CN=db"

    def test_fingerprint_and_serial(self, pki: Pki, root: Identity, store: Path) -> None:
        shown = openssl("x509", "-in", store / "web-9-cert.pem", "-noout", "-fingerprint", "-sha256", "-serial").stdout
        fingerprint, serial = (line.split("=")[1] for line in shown.splitlines())
        for pair in (f"Key=x509Fingerprint,Value={fingerprint}", f"Key=x509Serial,Value={serial}"):
            assert self.chosen(pki, root, store, "--cert-selector", pair) == "CN=web"

    def test_several(self, pki: Pki, root: Identity, store: Path, tmp_path: Path) -> None:
        selector = ("--cert-selector", "Key=x509Subject,Value=CN=web Key=x509Issuer,Value=CN=root")
        said = pki.refuse("creds", "--certificate-store", store, *selector, *ARNS, *NOWHERE)
        assert "2 certificates" in said and "--use-latest-expiring-certificate" in said
        assert self.chosen(pki, root, store, *selector, "--use-latest-expiring-certificate") == "CN=web"
        described = tmp_path / "selector.json"
        described.write_text('[{"Key": "x509Subject", "Value": "CN=db"}]')
        assert self.chosen(pki, root, store, "--cert-selector", f"file://{described}") == "CN=db"

    def test_none(self, pki: Pki, store: Path) -> None:
        selector = ("--cert-selector", "Key=x509Subject,Value=CN=mail")
        said = pki.refuse("creds", "--certificate-store", store, *selector, *ARNS, *NOWHERE, status=REFUSED)
        assert "CN=db" in said and "CN=web" in said

    @pytest.mark.parametrize("selector", ["", "CN=web", "Key=x509Subject", "Key=x509Serial,Value=xyz", "Key=a,Value=b"])
    def test_selectors_that_are_none(self, pki: Pki, store: Path, selector: str) -> None:
        options = ("--certificate-store", store, "--cert-selector", selector)
        assert "selector" in pki.refuse("creds", *options, *ARNS, *NOWHERE, status=USAGE)


def memory(process: int) -> bytes:
    """All that a process can write to."""
    parts = []
    with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "rb", buffering=0) as contents:
        for line in maps:
            ends, rights, *_ = line.split()
            if not rights.startswith("rw") or "[vvar]" in line:
                continue
            start, end = (int(text, 16) for text in ends.split("-"))
            try:
                contents.seek(start)
                parts.append(contents.read(end - start))
            except OSError:
                continue
    return b"\0".join(parts)


def test_a_server_forgets_what_opened_its_key(pki: Pki, lab: Lab, ca: Path, tmp_path: Path) -> None:
    """Of the key only what signs is kept: not the passphrase, and not the text of its file."""
    key, passphrase = tmp_path / "closed.pem", "sixteen unlikely words"
    key.touch(0o600)
    openssl("pkcs8", "-topk8", "-in", ca / "client-key.pem", "-out", key, "-passout", f"pass:{passphrase}")
    secret = tmp_path / "passphrase"
    secret.touch(0o600)
    secret.write_text(passphrase + "\n")
    options = (*identity_options(ca / "client-cert.pem", key), "--passphrase-file", secret, *lab.arguments)
    pki.run("configure", "--profile", "web", *options)
    with pki_serving(pki) as served:
        access_key = served.container().json["AccessKeyId"]
        held = memory(served.process.pid)
    assert access_key.encode() in held, "the search finds nothing at all"
    assert passphrase.encode() not in held
    plain = (ca / "client-key.pem").read_text().splitlines()
    assert plain[2][:24].encode() not in held
    assert key.read_text().splitlines()[3][:32].encode() not in held


class TestNamesThatAreNotUTF8:
    """Swift reads other octets as U+FFFD: the key would lie in a directory that nobody named."""

    @pytest.mark.parametrize("arguments", [("init-ca", "--directory", b"c\xe9"), (b"init-\xff",), ("inspect", b"\x80.pem")])
    def test_an_argument(self, pki: Pki, arguments: tuple[str | bytes, ...]) -> None:
        done = subprocess.run(
            [str(pki.path), *arguments], cwd=pki.home, env=pki.variables(), capture_output=True, check=False
        )
        assert (done.returncode, done.stdout) == (USAGE, b"")
        assert f"argument {len(arguments)}".encode() in done.stderr
        assert not [name for name in os.listdir(os.fsencode(pki.home)) if b"\xef\xbf\xbd" in name]

    def test_a_variable(self, pki: Pki) -> None:
        for name, status in {"AWS_CONFIG_FILE": USAGE, "HOME": USAGE, "LS_COLORS": 0}.items():
            environment = {**pki.variables(), name: b"/tmp/\xe9"}
            done = subprocess.run([str(pki.path), "--version"], env=environment, capture_output=True, check=False)
            assert done.returncode == status, name
            assert (name.encode() in done.stderr) == (status != 0)
