# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on a machine: a clear refusal, the documented status, and a directory that is as it was before."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from peer import Identity, issue, key_usage, load
from program import DONE, REFUSED, USAGE, Pki, is_bookkeeping

Tree = dict[str, tuple[int, bytes | None]]


def tree(folder: Path) -> Tree:
    """Every path below a directory with its mode and content, but for the inventory and the place of drafts."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
        if not is_bookkeeping(path)
    }


def files(folder: Path) -> list[str]:
    """The names of the files below a directory, hidden ones too, but for the inventory."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and not is_bookkeeping(path)
    )


def assert_pair(folder: Path, name: str) -> x509.Certificate:
    """The certificate and the key are both there, and belong together."""
    certificate = load(folder / f"{name}-cert.pem")
    key = load_pem_private_key((folder / f"{name}-key.pem").read_bytes(), None)
    assert key.public_key() == certificate.public_key()
    return certificate


class TestTwice:
    COMMANDS = (("init-ca", "root"), ("issue-client", "client"))

    @pytest.mark.parametrize(("command", "name"), COMMANDS)
    def test_refuses_and_changes_nothing(self, pki: Pki, ca: Path, command: str, name: str) -> None:
        before = tree(ca)
        stderr = pki.refuse(command, "--directory", ca)
        assert tree(ca) == before
        assert f"{name}-" in stderr and "--force" in stderr

    @pytest.mark.parametrize(
        ("command", "name", "left"),
        [("init-ca", "root", "cert"), ("init-ca", "root", "key"), ("issue-client", "client", "cert")],
    )
    def test_refuses_when_one_of_the_pair_is_there(
        self, pki: Pki, ca: Path, command: str, name: str, left: str
    ) -> None:
        (ca / f"{name}-{'key' if left == 'cert' else 'cert'}.pem").unlink()
        before = tree(ca)
        stderr = pki.refuse(command, "--directory", ca)
        assert tree(ca) == before
        assert f"{name}-{left}.pem" in stderr

    def test_a_key_that_a_killed_run_left_is_kept(self, pki: Pki, ca: Path) -> None:
        """A client's key without a certificate names nothing: it goes to the archive, and the name is free."""
        left = (ca / "client-key.pem").read_bytes()
        (ca / "client-cert.pem").unlink()
        pki.run("issue-client", "--directory", ca)
        assert_pair(ca, "client")
        assert [path.read_bytes() for path in (ca / "archive").iterdir()] == [left]

    @pytest.mark.parametrize(("command", "name"), COMMANDS)
    def test_force_moves_the_old_ones_to_the_archive(self, pki: Pki, ca: Path, command: str, name: str) -> None:
        kept = {(ca / f"{name}-{kind}.pem").read_bytes() for kind in ("cert", "key")}
        for _ in range(3):
            pki.run(command, "--directory", ca, "--force")
            now = {(ca / f"{name}-{kind}.pem").read_bytes() for kind in ("cert", "key")}
            assert not now & kept
            assert {path.read_bytes() for path in (ca / "archive").iterdir()} == kept
            kept |= now
        assert_pair(ca, name)
        for path in (ca / "archive").iterdir():
            assert path.stat().st_mode & 0o777 == (0o600 if "key" in path.name else path.stat().st_mode & 0o777)
        assert (ca / "archive").stat().st_mode & 0o777 == 0o700

    def test_force_with_nothing_there(self, pki: Pki, tmp_path: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path / "ca", "--force")
        assert_pair(tmp_path / "ca", "root")

    def test_a_failed_force_leaves_the_old_ones(self, pki: Pki, ca: Path) -> None:
        before = tree(ca)
        pki.refuse("issue-client", "--directory", ca, "--force", "--template", "absent.conf")
        pki.refuse("issue-client", "--directory", ca, "--force", "--days", "99999")
        assert tree(ca) == before


class TestAuthority:
    """A CA directory that is not fit to issue from."""

    def put(self, folder: Path, identity: Identity) -> Path:
        folder.mkdir(mode=0o700)
        identity.write(folder, "root")
        return folder

    def refused(self, pki: Pki, folder: Path, *arguments: str) -> str:
        before = tree(folder)
        stderr = pki.refuse("issue-client", "--directory", folder, *arguments)
        assert tree(folder) == before
        return stderr

    def test_expired(self, pki: Pki, tmp_path: Path) -> None:
        now = datetime.now(UTC)
        root = issue(None, ca=True, not_before=now - timedelta(days=9), not_after=now - timedelta(seconds=5))
        stderr = self.refused(pki, self.put(tmp_path / "ca", root))
        assert "root-cert.pem" in stderr and "expired" in stderr

    def test_not_yet_valid(self, pki: Pki, tmp_path: Path) -> None:
        now = datetime.now(UTC)
        root = issue(None, ca=True, not_before=now + timedelta(days=1), not_after=now + timedelta(days=900))
        assert "root-cert.pem" in self.refused(pki, self.put(tmp_path / "ca", root))

    @pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048"])
    def test_key_of_another(self, pki: Pki, ca: Path, key_type: str) -> None:
        _, key = issue(None, ca=True, key_type=key_type).write(ca.parent, "other")
        shutil.copy(key, ca / "root-key.pem")
        stderr = self.refused(pki, ca, "--name", "second")
        assert "root-key.pem" in stderr and "root-cert.pem" in stderr

    @pytest.mark.parametrize(
        ("usage", "is_ca", "rule"),
        [(("crl_sign",), True, "keyCertSign"), (("key_cert_sign", "digital_signature"), False, "CA")],
    )
    def test_no_authority(self, pki: Pki, tmp_path: Path, usage: tuple[str, ...], is_ca: bool, rule: str) -> None:
        root = issue(None, ca=is_ca, usage=key_usage(*usage))
        stderr = self.refused(pki, self.put(tmp_path / "ca", root))
        assert "root-cert.pem" in stderr and rule in stderr

    @pytest.mark.parametrize("name", ["root-cert.pem", "root-key.pem"])
    @pytest.mark.parametrize("damage", ["gone", "empty", "cut", "noise", "a directory", "huge"])
    def test_damaged_files(self, pki: Pki, ca: Path, name: str, damage: str) -> None:
        path = ca / name
        content = path.read_bytes()
        path.unlink()
        match damage:
            case "empty":
                path.touch(0o600)
            case "cut":
                path.write_bytes(content[: len(content) // 2])
            case "noise":
                path.write_bytes(os.urandom(500))
            case "a directory":
                path.mkdir(0o700)
            case "huge":
                with path.open("wb") as file:
                    file.truncate(1 << 33)
        if path.is_file():
            path.chmod(0o600)
        before = sorted(ca.iterdir())
        stderr = pki.refuse("issue-client", "--directory", ca, "--name", "second", timeout=20)
        assert name in stderr
        assert sorted(ca.iterdir()) == before

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666])
    def test_a_key_that_others_can_read(self, pki: Pki, ca: Path, mode: int) -> None:
        (ca / "root-key.pem").chmod(mode)
        stderr = self.refused(pki, ca, "--name", "second")
        assert "root-key.pem" in stderr and "chmod" in stderr

    def test_no_authority_at_all(self, pki: Pki, tmp_path: Path) -> None:
        stderr = pki.refuse("issue-client", "--directory", tmp_path / "none")
        assert str(tmp_path / "none") in stderr and "init-ca" in stderr
        assert not (tmp_path / "none").exists()


class TestNames:
    @pytest.mark.filterwarnings("ignore:Attribute's length must be:UserWarning")
    def test_a_common_name_of_64_characters(self, pki: Pki, ca: Path) -> None:
        pki.run("issue-client", "--directory", ca, "--name", "long", "--subject", f"CN={'é' * 64}", "--dns", "a.test")
        name = assert_pair(ca, "long").subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        assert name == "é" * 64

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("--subject", f"CN={'n' * 65}"), "64"),
            (("--name", "n" * 65), "64"),
            (("--subject", ""), "subject"),
            (("--subject", "CN="), "CN"),
            (("--subject", "nonsense"), "nonsense"),
            (("--subject", "XX=1"), "XX"),
            (("--subject", "CN=a,C=SWE"), "C"),
            (("--dns", "not a name"), "not a name"),
            (("--dns", ""), "dns"),
            (("--dns", "a..b"), "a..b"),
            (("--dns", "ünion.test"), "ünion.test"),
            (("--dns", f"{'l' * 64}.test"), "l" * 64),
            (("--ip", "192.0.2.256"), "192.0.2.256"),
            (("--ip", "192.0.2.0/24"), "192.0.2.0/24"),
            (("--uri", "no scheme"), "no scheme"),
            (("--email", "nobody"), "nobody"),
            (("--days", "0"), "days"),
            (("--days", "-1"), "days"),
            (("--days", "many"), "many"),
            (("--name", ""), "name"),
            (("--name", "../outside"), "../outside"),
            (("--name", "a/b"), "a/b"),
            (("--name", ".hidden"), ".hidden"),
            (("--name", "root"), "root"),
            (("--name", "new\nline"), "name"),
            (("--key-type", "dsa-1024"), "dsa-1024"),
            (("--template", "absent.conf"), "absent.conf"),
            (("--csr", "absent.pem"), "absent.pem"),
            (("--passphrase-file", "absent"), "absent"),
        ],
    )
    def test_refused(self, pki: Pki, ca: Path, arguments: tuple[str, ...], says: str) -> None:
        before, outside = tree(ca), sorted(ca.parent.iterdir())
        name = () if "--name" in arguments else ("--name", "second")
        result = pki.run("issue-client", "--directory", ca, *name, *arguments, status=None)
        assert result.status in (REFUSED, USAGE), result.describe()
        assert result.stdout == "" and says in result.stderr, result.describe()
        assert tree(ca) == before and sorted(ca.parent.iterdir()) == outside

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("--permit", "example.test"), "example.test"),
            (("--permit", "dns:not a name"), "not a name"),
            (("--exclude", "ip:192.0.2.1/33"), "192.0.2.1/33"),
            (("--permit", "color:blue"), "color"),
            (("--path-length", "-1"), "path-length"),
            (("--not-after", "2001-01-01T00:00:00Z"), "2001-01-01T00:00:00Z, which is in the past"),
            (("--not-after", "soon"), "soon"),
            (("--days", "99999999999"), "9999"),
        ],
    )
    def test_refused_for_a_root(self, pki: Pki, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
        result = pki.run("init-ca", "--directory", tmp_path / "ca", *arguments, status=None)
        assert result.status in (REFUSED, USAGE) and result.stdout == "", result.describe()
        assert says in result.stderr
        assert not (tmp_path / "ca").exists()


class TestUsage:
    @pytest.mark.parametrize(
        "arguments",
        [("nonsense",), ("init-ca", "--nonsense"), ("init-ca", "surplus"), ("creds",), ("print-bundle", "--format", "xml")],
    )
    def test_status_64(self, pki: Pki, arguments: tuple[str, ...]) -> None:
        result = pki.run(*arguments, status=USAGE)
        assert result.stderr != ""

    def test_help_and_version_are_results(self, pki: Pki) -> None:
        for arguments in (("--help",), ("--version",), ("init-ca", "--help"), ("help", "issue-client")):
            result = pki.run(*arguments)
            assert result.stdout != "" and result.stderr == ""


class TestOutput:
    @pytest.mark.parametrize("command", [("print-bundle",), ("issue-client", "--name", "second")])
    def test_a_full_device(self, pki: Pki, ca: Path, command: tuple[str, ...]) -> None:
        """What could not be printed is no success."""
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                pki.command(*command, "--directory", ca),
                cwd=pki.home,
                env=pki.variables(),
                stdin=subprocess.DEVNULL,
                stdout=full,
                stderr=subprocess.PIPE,
                timeout=20,
                check=False,
            )
        assert done.returncode == REFUSED, done.stderr.decode()
        assert b"pki: error: " in done.stderr

    def test_no_terminal_no_question(self, pki: Pki, tmp_path: Path) -> None:
        """With standard input closed altogether, nothing is asked and nothing breaks."""
        script = '"$0" "$@" <&-'
        pki.with_prefix("/bin/sh", "-c", script).run("init-ca", "--directory", tmp_path / "ca")
        assert_pair(tmp_path / "ca", "root")


@pytest.fixture
def open_folder(built: Path) -> Iterator[Path]:
    """A temporary directory that every user can enter, with a copy of the binary in it."""
    folder = Path(tempfile.mkdtemp(prefix="pki-interop-"))
    try:
        folder.chmod(0o755)
        shutil.copy(built, folder / "pki")
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def unprivileged(open_folder: Path) -> Pki:
    """The binary run by a user whom permissions bind."""
    home = open_folder / "home"
    home.mkdir()
    pki = Pki(home, open_folder / "pki")
    if os.geteuid() != 0:
        return pki
    if shutil.which("setpriv") is None:
        pytest.skip("root is above permissions, and there is no setpriv to be someone else")
    os.chown(home, 65534, 65534)
    pki = pki.with_prefix("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    if pki.run("--version", status=None).status != DONE:
        pytest.skip("another user cannot run the binary: its libraries are in a private directory")
    return pki


class TestPermissions:
    def test_a_folder_that_cannot_be_made(self, unprivileged: Pki, open_folder: Path) -> None:
        (open_folder / "closed").mkdir(mode=0o555)
        stderr = unprivileged.refuse("init-ca", "--directory", open_folder / "closed/ca")
        assert "closed/ca" in stderr and "ermission denied" in stderr

    def test_a_folder_that_cannot_be_written(self, unprivileged: Pki) -> None:
        folder = unprivileged.home / "ca"
        unprivileged.run("init-ca", "--directory", folder)
        folder.chmod(0o500)
        before = tree(folder)
        stderr = unprivileged.refuse("issue-client", "--directory", folder)
        assert str(folder) in stderr and "ermission denied" in stderr
        assert tree(folder) == before
        folder.chmod(0o700)

    @pytest.mark.parametrize("name", ["root-key.pem", "root-cert.pem"])
    def test_a_file_that_cannot_be_read(self, unprivileged: Pki, name: str) -> None:
        folder = unprivileged.home / "ca"
        unprivileged.run("init-ca", "--directory", folder)
        (folder / name).chmod(0)
        stderr = unprivileged.refuse("issue-client", "--directory", folder)
        assert name in stderr and "ermission denied" in stderr
        assert not (folder / "client-key.pem").exists()

    def test_a_file_in_the_folders_place(self, pki: Pki, tmp_path: Path) -> None:
        (tmp_path / "ca").write_text("not a directory")
        assert str(tmp_path / "ca") in pki.refuse("init-ca", "--directory", tmp_path / "ca")
        assert (tmp_path / "ca").read_text() == "not a directory"

    def test_a_key_that_others_can_read_does_not_sign_requests(self, pki: Pki, ca: Path) -> None:
        (ca / "client-key.pem").chmod(0o644)
        stderr = pki.refuse(
            "creds",
            "--certificate", ca / "client-cert.pem",
            "--private-key", ca / "client-key.pem",
            "--trust-anchor-arn", "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/a",
            "--profile-arn", "arn:aws:rolesanywhere:us-east-1:123456789012:profile/a",
            "--role-arn", "arn:aws:iam::123456789012:role/a",
            "--endpoint", "http://127.0.0.1:9", "--attempts", "1",
        )  # fmt: skip
        assert "client-key.pem" in stderr and "chmod" in stderr


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[tuple[Path, subprocess.CompletedProcess[str] | None]]:
    """Mount points of little file systems, unmounted at the end."""
    folder = tmp_path / "disk"
    folder.mkdir()
    yield folder, None
    while folder.is_mount():
        subprocess.run(["umount", folder], check=True)


def mount(folder: Path, options: str) -> None:
    """Mounts an empty file system over whatever is there; skips the test where that is not allowed."""
    if folder.is_mount():
        subprocess.run(["umount", folder], check=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"mode=0700,{options}", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")


class TestFullDisk:
    """The disk is full at every step in turn: the pair is whole, or there is nothing of it."""

    def sweep(self, pki: Pki, folder: Path, command: str, name: str, limits: list[str]) -> None:
        outcomes = []
        for limit in limits:
            mount(folder, limit)
            if command == "issue-client":
                root = folder.parent / "root-of-all"
                if not root.exists():
                    pki.run("init-ca", "--directory", root)
                try:
                    for file in root.glob("root-*.pem"):
                        shutil.copy2(file, folder)
                except OSError:
                    outcomes.append("no room for the CA")
                    continue
            before = tree(folder)
            result = pki.run(command, "--directory", folder, status=None)
            if result.status == DONE:
                assert_pair(folder, name)
                outcomes.append("done")
                continue
            assert result.status == REFUSED and result.stdout == "", f"{limit}: {result.describe()}"
            said = result.stderr
            assert "o space left" in said or "disk is full" in said, f"{limit}: {result.describe()}"
            assert str(folder) in said, f"{limit}: {result.describe()}"
            assert {path: kept for path, kept in tree(folder).items() if kept[1] != b""} == before, limit
            outcomes.append("refused")
        assert {"refused", "done"} <= set(outcomes), outcomes

    @pytest.mark.parametrize(("command", "name"), [("init-ca", "root"), ("issue-client", "client")])
    def test_no_bytes_left(
        self, pki: Pki, tiny_disk: tuple[Path, None], command: str, name: str
    ) -> None:
        page = os.sysconf("SC_PAGESIZE")
        self.sweep(pki, tiny_disk[0], command, name, [f"size={page * pages},nr_inodes=64" for pages in range(1, 110, 4)])

    @pytest.mark.parametrize(("command", "name"), [("init-ca", "root"), ("issue-client", "client")])
    def test_no_files_left(
        self, pki: Pki, tiny_disk: tuple[Path, None], command: str, name: str
    ) -> None:
        self.sweep(pki, tiny_disk[0], command, name, [f"size=1m,nr_inodes={number}" for number in range(1, 16)])

    def test_force_on_a_full_disk_keeps_the_old_pair(self, pki: Pki, tiny_disk: tuple[Path, None]) -> None:
        folder = tiny_disk[0]
        page = os.sysconf("SC_PAGESIZE")
        for pages in range(50, 110, 5):
            mount(folder, f"size={page * pages},nr_inodes=64")
            if pki.run("init-ca", "--directory", folder, status=None).status != DONE:
                continue
            if pki.run("issue-client", "--directory", folder, status=None).status != DONE:
                continue
            old = assert_pair(folder, "client")
            result = pki.run("issue-client", "--directory", folder, "--force", status=None)
            new = assert_pair(folder, "client")
            assert (new == old) == (result.status != DONE), f"{pages} pages: {result.describe()}"

    @pytest.mark.parametrize("blocks", [0, 1])
    def test_a_limit_on_the_size_of_files(self, pki: Pki, tmp_path: Path, blocks: int) -> None:
        """A key of RSA-4096 and its certificate are both larger than one block of 1024 bytes."""
        limited = pki.with_prefix("/bin/bash", "-c", f'ulimit -f {blocks}; exec "$0" "$@"')
        stderr = limited.refuse("init-ca", "--directory", tmp_path / "ca", "--key-type", "rsa-4096")
        assert str(tmp_path / "ca") in stderr
        assert not (tmp_path / "ca").exists() or files(tmp_path / "ca") == []
