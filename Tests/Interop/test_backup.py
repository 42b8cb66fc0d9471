# SPDX-License-Identifier: Apache-2.0
"""`pki backup` and `pki restore`: whole, verified, read by SQLite's own archives, and hostile where somebody else wrote it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from cryptography import x509

from program import REFUSED, Pki

COVERED = (
    "templates", "certificates", "certificate_contents", "revocation_lists", "audit", "file_moves", "sqlar",
    "common_name_parts", "tokens", "enrolments", "name_locks", "pending_requests", "acme_accounts", "acme_orders",
)  # fmt: skip


def rows(pki: Pki, folder: Path) -> list[dict]:
    """The certificates, without the directory in their files' paths."""
    return json.loads(pki.run("list", "--all", "--directory", folder, "--format", "json").stdout.replace(f"{folder}/", ""))


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """The modes and contents of all files but the inventory's."""
    return {
        str(path.relative_to(folder)): (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(("inventory.sqlite", "."))
    }


def digest(connection: sqlite3.Connection) -> bytes:
    """The digest of a backup, as the documentation of the format has it."""
    ((seconds,),) = connection.execute("SELECT made_at FROM backup")
    value = hashlib.sha256(b"%d" % seconds).digest()
    for table in COVERED:
        value = hashlib.sha256(value + table.encode()).digest()
        for row in connection.execute(f"SELECT * FROM {table} ORDER BY rowid"):
            for column in row:
                kind, octets = {
                    type(None): lambda _: (b"n", b""), int: lambda n: (b"i", b"%d" % n),
                    str: lambda text: (b"t", text.encode()), bytes: lambda octets: (b"b", octets),
                }[type(column)](column)  # fmt: skip
                value += b"%s%d:" % (kind, len(octets)) + octets
            value = hashlib.sha256(value).digest()
    return value


def forge(path: Path, *statements: str) -> None:
    """Changes a backup and makes its digest right again."""
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
        if connection.execute("SELECT COUNT(*) FROM backup").fetchone() == (1,):
            connection.execute("UPDATE backup SET digest = ?", (digest(connection),))


@pytest.fixture
def used(pki: Pki, ca: Path) -> Path:
    """A CA with a renewed, a revoked and a held certificate, an archive and a CRL."""
    here = ("--directory", ca)
    for name in ("web", "mail", "db"):
        pki.run("issue-client", "--name", name, *here)
    pki.run("renew", "web", "--force", *here, status=None)
    pki.run("issue-client", "--name", "web", "--force", *here)
    pki.run("revoke", "mail", *here)
    pki.run("revoke", "db", "--reason", "certificateHold", *here)
    pki.run("crl", *here)
    pki.run("token", "create", "--name", "host-*", *here)
    return ca


def crl_number(folder: Path) -> int:
    crl = x509.load_pem_x509_crl((folder / "root-crl.pem").read_bytes())
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_a_backup_is_the_whole_directory(pki: Pki, used: Path, tmp_path: Path) -> None:
    file, back = tmp_path / "ca.backup", tmp_path / "back"
    summary = json.loads(pki.run("backup", file, "--directory", used, "--format", "json").stdout)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert summary["files"] == len(files(used)) and summary["certificates"] == len(rows(pki, used))
    # SQLite's own archive has the same files.
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        archive = {name: (mode & 0o777, data) for name, mode, data in connection.execute("SELECT name, mode, data FROM sqlar")}
        assert archive == files(used)
        assert digest(connection).hex() == summary["digest"]
    pki.run("restore", "--verify", file, "--directory", back)
    assert not back.exists()
    pki.run("restore", file, "--directory", back)
    assert stat.S_IMODE(back.stat().st_mode) == 0o700
    assert files(back) == files(used)
    assert rows(pki, back) == rows(pki, used)
    pki.run("doctor", "--directory", back)
    pki.run("audit", "--verify", "--directory", back)
    # The pages that held the keys are not left in the inventory.
    key = (used / "web-key.pem").read_bytes().splitlines()[1]
    assert key not in (back / "inventory.sqlite").read_bytes()
    pki.run("issue-client", "--name", "later", "--directory", back)


def test_crl_numbers_never_go_back(pki: Pki, used: Path, tmp_path: Path) -> None:
    file, back = tmp_path / "ca.backup", tmp_path / "back"
    pki.run("backup", file, "--directory", used)
    for _ in range(3):
        pki.run("crl", "--directory", used)
    pki.run("restore", file, "--directory", back)
    pki.run("crl", "--directory", back)
    assert crl_number(back) > crl_number(used)
    first = crl_number(back)
    pki.run("crl", "--directory", back)
    assert crl_number(back) == first + 1
    notices = json.loads(pki.run("doctor", "--directory", back, "--format", "json").stdout)
    assert "restored" in json.dumps(notices)


def test_it_is_consistent_while_others_write(pki: Pki, ca: Path, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.csv"
    hosts.write_text("name\n" + "".join(f"host-{number}\n" for number in range(300)))
    writer = pki.popen("issue-client", "--batch", hosts, "--directory", ca)
    for number in range(4):
        pki.run("backup", tmp_path / f"{number}.backup", "--directory", ca)
    writer.communicate(timeout=120)
    assert writer.returncode == 0
    for number in range(4):
        back = tmp_path / str(number)
        pki.run("restore", tmp_path / f"{number}.backup", "--directory", back)
        pki.run("doctor", "--directory", back)
        names = {row["name"] for row in rows(pki, back)}
        assert names == {path.name.removesuffix("-cert.pem") for path in back.glob("*-cert.pem")}


def test_nothing_is_overwritten(pki: Pki, used: Path, tmp_path: Path) -> None:
    file = tmp_path / "ca.backup"
    pki.run("backup", file, "--directory", used)
    before = file.read_bytes()
    pki.refuse("backup", file, "--directory", used)
    pki.refuse("backup", used / "in-itself", "--directory", used)
    assert file.read_bytes() == before and not (used / "in-itself").exists()
    for name in ("empty", "file", "link"):
        target = tmp_path / name
        {"empty": target.mkdir, "file": target.touch, "link": lambda t=target: t.symlink_to(tmp_path / "gone")}[name]()
        pki.refuse("restore", file, "--directory", target)
    assert not (tmp_path / "gone").exists()
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".pki-new")]


def test_a_changed_backup_is_refused(pki: Pki, used: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    pki.run("backup", good, "--directory", used)
    contents = good.read_bytes()
    chance = random.Random(7)
    # What SQLite does not read, such as unused octets of a page, changes nothing: only what would be restored counts.
    pki.run("restore", good, "--directory", tmp_path / "reference")
    reference = (files(tmp_path / "reference"), rows(pki, tmp_path / "reference"))
    # One bit anywhere, and one in each file.
    places = [chance.randrange(100, len(contents)) for _ in range(24)]
    inside = [contents.index(data[:64]) + chance.randrange(64) for _, data in files(used).values()]
    for number, place in enumerate(places + inside):
        changed = bytearray(contents)
        changed[place] ^= 1 << chance.randrange(8)
        bad.write_bytes(changed)
        target = tmp_path / f"changed-{number}"
        if pki.run("restore", bad, "--directory", target, status=None).status == 0:
            assert place not in inside and (files(target), rows(pki, target)) == reference
        else:
            assert not target.exists()
    for size in (0, 1, 100, 4096, len(contents) - 1, len(contents) - 4096):
        bad.write_bytes(contents[:size])
        pki.refuse("restore", "--verify", bad)
    shutil.copy(used / "inventory.sqlite", bad)
    pki.refuse("restore", "--verify", bad)
    shutil.copy(good, bad)
    with closing(sqlite3.connect(bad)) as connection, connection:
        connection.execute("UPDATE tokens SET uses = uses + 1")
    pki.refuse("restore", "--verify", bad)


@pytest.mark.parametrize(
    "statement",
    [
        *(f"UPDATE sqlar SET name = '{name}' WHERE name = 'web-cert.pem'" for name in (
            "../web-cert.pem", "/tmp/web-cert.pem", "archive/../../x", "archive/a/b", "inventory.sqlite", ".bashrc",
            "inventory.sqlite-wal", ".new/x", "archive", "", "..", "archive/", "a/b",
        )),
        "UPDATE sqlar SET sz = 1 WHERE name = 'web-cert.pem'",
        "UPDATE sqlar SET data = NULL WHERE name = 'web-cert.pem'",
        "CREATE TRIGGER t AFTER INSERT ON audit BEGIN DELETE FROM sqlar; END",
        "CREATE VIEW v AS SELECT 1",
        "DROP TRIGGER audit_is_never_changed",
        "PRAGMA user_version = 99",
        "PRAGMA application_id = 7",
        "DELETE FROM backup",
        "UPDATE backup SET made_at = -1",
        "INSERT INTO file_moves VALUES (1, 2, 'web-key.pem', 'mail-key.pem', 1, NULL)",
        "INSERT INTO audit VALUES (99, 0, 'x', 'issue', NULL, NULL, NULL, zeroblob(32))",
        "UPDATE certificates SET place = 7 WHERE name = 'web'",
        "UPDATE certificates SET name = '../x' WHERE name = 'web'",
        "UPDATE sqlar SET name = 'a' || char(27) || '.pem' WHERE name = 'web-cert.pem'",
    ],
)  # fmt: skip
def test_a_backup_of_a_stranger_writes_nothing_elsewhere(pki: Pki, used: Path, tmp_path: Path, statement: str) -> None:
    file, folder = tmp_path / "bad", tmp_path / "target"
    folder.mkdir()
    pki.run("backup", file, "--directory", used)
    forge(file, statement)
    pki.refuse("restore", file, "--directory", folder / "ca", status=REFUSED)
    assert os.listdir(folder) == []
    assert not (tmp_path / "web-cert.pem").exists()


def test_the_time_of_a_backup_is_in_its_digest(pki: Pki, used: Path, tmp_path: Path) -> None:
    file = tmp_path / "bad"
    pki.run("backup", file, "--directory", used)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE backup SET made_at = made_at - 86400")
    pki.refuse("restore", "--verify", file)


def test_a_backup_that_others_can_use_is_told(pki: Pki, used: Path, tmp_path: Path) -> None:
    file = tmp_path / "open"
    pki.run("backup", file, "--directory", used)
    assert "warning" not in pki.run("restore", "--verify", file).stderr
    file.chmod(0o644)
    assert "warning" in pki.run("restore", "--verify", file).stderr


def test_modes_are_never_wider_than_a_ca_s(pki: Pki, used: Path, tmp_path: Path) -> None:
    file = tmp_path / "bad"
    pki.run("backup", file, "--directory", used)
    forge(file, "UPDATE sqlar SET mode = 33279")
    pki.run("restore", file, "--directory", tmp_path / "back")
    modes = {name: mode for name, (mode, _) in files(tmp_path / "back").items()}
    assert modes["web-key.pem"] == 0o600 and modes["web-cert.pem"] == 0o644


def test_a_kill_leaves_no_backup(pki: Pki, ca: Path, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.csv"
    hosts.write_text("name\n" + "".join(f"host-{number}\n" for number in range(400)))
    pki.run("issue-client", "--batch", hosts, "--directory", ca)
    for number, delay in enumerate((0.02, 0.05, 0.1, 0.2)):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = subprocess.Popen(
            pki.command("backup", folder / "f", "--directory", ca), cwd=pki.home, env=pki.variables(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if (folder / "f").exists():
            pki.run("restore", "--verify", folder / "f")
    pki.run("doctor", "--directory", ca)
