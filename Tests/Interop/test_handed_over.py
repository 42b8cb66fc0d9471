# SPDX-License-Identifier: Apache-2.0
"""F7: secrets as systemd, Kubernetes and Docker hand them over. D3, C14: a service without a home."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from program import DONE, REFUSED, Lab, Pki, running_lab
from serving import serving, wait_for

USER, GROUP, OTHER = 12_345, 12_345, 23_456
"""Somebody, with a primary group and one more."""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")

KEY_MODES = [
    # mode, owner, group, accepted
    (0o440, 0, OTHER, True),
    (0o640, 0, OTHER, True),
    (0o400, USER, GROUP, True),
    (0o600, USER, OTHER, True),
    (0o440, 0, GROUP, False),
    (0o640, 0, GROUP, False),
    (0o640, USER, GROUP, False),
    (0o640, USER, OTHER, False),
    (0o660, 0, OTHER, False),
    (0o444, 0, OTHER, False),
    (0o444, 0, 0, False),
    (0o440, 34_567, OTHER, False),
]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody can enter."""
    folder = Path(tempfile.mkdtemp(prefix="pki-handed-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def somebody(pki: Pki, place: Path) -> Pki:
    """The binary, run by a user without rights, in a home of its own."""
    home = place / "home"
    home.mkdir(mode=0o700)
    os.chown(home, USER, GROUP)
    other = Pki(home, place / "pki").with_prefix("setpriv", f"--reuid={USER}", f"--regid={GROUP}", f"--groups={OTHER}")
    shutil.copy2(pki.path, place / "pki")
    (place / "pki").chmod(0o755)
    if other.run("--version", status=None).status != DONE:
        pytest.skip("another user cannot run the binary: its libraries are in a private directory")
    return other


def put(path: Path, text: str, mode: int, owner: int, group: int) -> Path:
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, owner, group)
    return path


def outcomes(pki: Pki, ca: Path, place: Path, put_file) -> list[int]:
    """The status for a key's file, a passphrase's and a token's, each of which is put where it belongs."""
    key = put_file("key", (ca / "client-key.pem").read_text())
    statuses = [pki.run("sign-string", "--private-key", key, status=None).status]
    (ca / "client-cert.pem").chmod(0o644)
    closed = put(place / "closed.pem", "", 0o600, USER, GROUP)
    subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", ca / "client-key.pem", "-out", closed, "-passout", "pass:open"], check=True
    )
    secret = put_file("passphrase", "open\n")
    opened = pki.run("sign-string", "--private-key", closed, "--passphrase-file", secret, status=None)
    return [*statuses, opened.status]


@pytest.mark.parametrize(("mode", "owner", "group", "accepted"), KEY_MODES)
def test_f7_modes_and_owners(
    somebody: Pki, ca: Path, place: Path, mode: int, owner: int, group: int, accepted: bool
) -> None:
    def put_file(name: str, text: str) -> Path:
        return put(place / name, text, mode, owner, group)

    # aws_signing_helper has one status for every failure.
    assert outcomes(somebody, ca, place, put_file) == [DONE if accepted else 1] * 2


def test_f7_the_hint_names_owner_and_mode(somebody: Pki, ca: Path, place: Path) -> None:
    key = put(place / "key", (ca / "client-key.pem").read_text(), 0o444, 0, 0)
    said = somebody.refuse("sign-string", "--private-key", key, status=1)
    assert "0444" in said and "owner user 0" in said
    assert f"chown {USER} {key} && chmod 600 {key}" in said
    key = put(place / "own", (ca / "client-key.pem").read_text(), 0o640, USER, GROUP)
    said = somebody.refuse("sign-string", "--private-key", key, status=1)
    assert f"user {USER}" in said and f"chmod 600 {key}" in said


def test_f7_a_credential_of_systemd(somebody: Pki, ca: Path, place: Path) -> None:
    """LoadCredential gives a file to a user by an ACL: 0440, of which the group's bits are the mask."""
    credentials = place / "credentials"
    credentials.mkdir(mode=0o755)
    entries = [(1, 4, -1), (2, 4, USER), (4, 0, -1), (0x10, 4, -1), (0x20, 0, -1)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)

    def put_file(name: str, text: str) -> Path:
        path = put(credentials / name, text, 0o400, 0, 0)
        try:
            os.setxattr(path, "system.posix_acl_access", acl)
        except OSError:
            pytest.skip("the file system has no ACLs")
        assert path.stat().st_mode & 0o777 == 0o440
        return path

    service = somebody.with_environment(CREDENTIALS_DIRECTORY=str(credentials))
    assert outcomes(service, ca, place, put_file) == [DONE] * 2


def test_f7_only_below_the_credentials_directory(somebody: Pki, ca: Path, place: Path) -> None:
    credentials = place / "credentials"
    credentials.mkdir(mode=0o755)
    text = (ca / "client-key.pem").read_text()
    service = somebody.with_environment(CREDENTIALS_DIRECTORY=str(credentials))
    inside = put(credentials / "key", text, 0o440, 0, GROUP)
    service.run("sign-string", "--private-key", inside)
    outside = put(place / "key", text, 0o440, 0, GROUP)
    service.refuse("sign-string", "--private-key", credentials / "../key", status=1)
    for directory in ("/", "", ".", str(place / "none")):
        other = somebody.with_environment(CREDENTIALS_DIRECTORY=directory)
        other.refuse("sign-string", "--private-key", outside, status=1)
    open_to_all = put(credentials / "all", text, 0o444, 0, 0)
    service.refuse("sign-string", "--private-key", open_to_all, status=1)


def test_f7_a_kubernetes_volume(somebody: Pki, ca: Path, place: Path) -> None:
    """fsGroup may be the primary group of the pod's user; the volume is known by its links."""
    volume = place / "volume"
    data = volume / "..2026_11_30"
    data.mkdir(parents=True)
    (volume / "..data").symlink_to("..2026_11_30")
    for path in (volume, data):
        os.chown(path, 0, GROUP)

    def put_file(name: str, text: str) -> Path:
        put(data / name, text, 0o440, 0, GROUP)
        (volume / name).symlink_to(f"..data/{name}")
        return volume / name

    assert outcomes(somebody, ca, place, put_file) == [DONE] * 2


def test_f7_docker_secrets(somebody: Pki, ca: Path, place: Path) -> None:
    """Docker mounts root's files with mode 0444 below /run/secrets."""
    put(place / "key", (ca / "client-key.pem").read_text(), 0o444, 0, 0)
    script = 'mount -t tmpfs none /run && mkdir /run/secrets && cp -p "$0" /run/secrets/key && exec "$@"'
    prefix = ("unshare", "--mount", "sh", "-c", script, str(place / "key"))
    if subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mounts can be made here")
    inside = somebody.with_prefix(*prefix, *somebody.prefix)
    inside.run("sign-string", "--private-key", "/run/secrets/key")
    inside.run("sign-string", "--private-key", "/var/run/secrets/key")
    inside.refuse("sign-string", "--private-key", place / "key", status=1)


class TestWithoutAHome:
    @pytest.fixture
    def lab(self, pki: Pki, ca: Path) -> Iterator[Lab]:
        with running_lab(pki, "--directory", ca) as lab:
            yield lab

    @pytest.mark.parametrize("home", ["/proc/nonexistent", "/proc"])
    def test_d3_c14_serve_goes_on(self, pki: Pki, ca: Path, lab: Lab, home: str) -> None:
        homeless = pki.with_environment(HOME=home)
        given = ("--certificate", ca / "client-cert.pem", *lab.arguments)
        with homeless.start("serve", *given, "--listen", "0", "--imds", "--print-env") as process:
            log: Path = process.log
            wait_for(lambda: "pki: serving default at " in log.read_text(), log=log)
            assert "warning: " in log.read_text() and "--token-file" in log.read_text()
            lines = [process.stdout.readline().decode() for _ in range(3)]
            assert any(line.startswith("export AWS_CONTAINER_AUTHORIZATION_TOKEN=") for line in lines)
            process.terminate()
            assert process.wait(timeout=10) == 0

    def test_a_token_file_that_was_named_must_be_usable(self, pki: Pki, ca: Path, lab: Lab) -> None:
        given = ("--certificate", ca / "client-cert.pem", *lab.arguments)
        said = pki.refuse("serve", *given, "--listen", "0", "--token-file", "/proc/none/token", status=REFUSED)
        assert "/proc/none" in said

    def test_a_token_as_a_platform_hands_it_over(self, pki: Pki, ca: Path, lab: Lab, tmp_path: Path) -> None:
        token = put(tmp_path / "token", "0123456789abcdef0123456789", 0o440, 0, OTHER)
        pki.run("configure", "--profile", "web", "--certificate", ca / "client-cert.pem", *lab.arguments)
        with serving(pki, "--token-file", token) as served:
            assert served.container().status == 200
