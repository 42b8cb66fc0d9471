# SPDX-License-Identifier: Apache-2.0
"""CA directories that somebody else prepared, or that are damaged: no command touches a file outside of them, loads anything,
is ended by a signal or hangs; a command that reads changes no byte inside either."""

from __future__ import annotations

import os
import random
import shutil
import socket
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from program import Pki
from sampling import FULL, scaled

SECONDS = 30
"""A hang, on a machine that is busy with other tests; an honest run takes hundredths of a second."""

READING: dict[str, tuple[str, ...]] = {
    "list": ("list", "--directory", "{ca}"),
    "list all": ("list", "--all", "--format", "json", "--directory", "{ca}"),
    "list csv": ("list", "--revoked", "--format", "csv", "--directory", "{ca}"),
    "tree": ("tree", "--all", "--directory", "{ca}"),
    "audit": ("audit", "--directory", "{ca}"),
    "audit verify": ("audit", "--verify", "--directory", "{ca}"),
    "doctor": ("doctor", "--directory", "{ca}"),
    "print-bundle": ("print-bundle", "--directory", "{ca}"),
    "export": ("export", "web-1", "--format", "kubernetes-secret", "--output", "-", "--directory", "{ca}"),
    "inspect": ("inspect", "{ca}/root-cert.pem"),
    "verify": ("verify", "{ca}/web-1-cert.pem", "--bundle", "{ca}/root-cert.pem"),
}

WRITING: dict[str, tuple[str, ...]] = {
    "doctor repair": ("doctor", "--repair", "--directory", "{ca}"),
    "issue-client": ("issue-client", "--name", "new", "--directory", "{ca}"),
    "renew": ("renew", "web-1", "--directory", "{ca}"),
    "revoke": ("revoke", "web-2", "--directory", "{ca}"),
    "crl": ("crl", "--directory", "{ca}"),
    "import": ("import", "{ca}"),
    "issue-intermediate": ("issue-intermediate", "--name", "below", "--directory", "{ca}"),
    "rotate-ca": ("rotate-ca", "--directory", "{ca}"),
    "init-ca": ("init-ca", "--force", "--directory", "{ca}"),
}


@dataclass(frozen=True)
class Ground:
    """A CA directory, and everything outside of it that must stay as it is."""

    outside: Path
    ca: Path

    def statement(self, *statements: str, values: tuple[object, ...] = ()) -> None:
        """Changes the inventory as its owner can: no rule of the schema is in the way."""
        with sqlite3.connect(self.ca / "inventory.sqlite") as database:
            database.execute("PRAGMA ignore_check_constraints = ON")
            database.create_function("raise", 2, lambda *_: None)
            for trigger in ("audit_is_never_changed", "audit_is_never_deleted", "audit_is_never_replaced"):
                database.execute(f"DROP TRIGGER IF EXISTS {trigger}")
            for statement in statements:
                database.execute(statement, values)
            self.restore_triggers(database)
        database.close()

    @staticmethod
    def restore_triggers(database: sqlite3.Connection) -> None:
        for name, event in (("changed", "UPDATE"), ("deleted", "DELETE")):
            database.execute(
                f"CREATE TRIGGER audit_is_never_{name} BEFORE {event} ON audit\n"
                "BEGIN SELECT RAISE(ABORT, 'the audit table only grows'); END"
            )
        database.execute(
            "CREATE TRIGGER audit_is_never_replaced BEFORE INSERT ON audit\n"
            "WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)\n"
            "BEGIN SELECT RAISE(ABORT, 'the audit table only grows'); END"
        )


Attack = Callable[[Ground], None]
ATTACKS: dict[str, Attack] = {}


def attack(name: str, function: Attack) -> None:
    assert name not in ATTACKS
    ATTACKS[name] = function


def define_paths() -> None:
    """B1: every column that holds a path or a name, with every way out of the directory."""
    ways = {
        "absolute": "{outside}/home/.bashrc",
        "up": "../outside/home/.bashrc",
        "up by archive": "archive/../../outside/home/.bashrc",
        "up by drafts": ".new/../../outside/home/.bashrc",
        "below": "sub/x-cert.pem",
        "empty": "",
        "dot": ".",
        "dots": "..",
        "archive itself": "archive",
        "hidden": ".bashrc",
        "option": "-x",
        "the inventory": "inventory.sqlite",
        "the CA's key": "root-key.pem",
        "its log": "inventory.sqlite-wal",
        "two lines": "x\ny",
        "escape": "x\x1b]0;y\x07",
        "zero": "x\0y",
        "long": "x" * 300,
    }
    columns = {
        "move name": "INSERT OR REPLACE INTO file_moves VALUES (0, 1, ?, '.new/77-0', 1, NULL)",
        "move draft": "INSERT OR REPLACE INTO file_moves VALUES (0, 1, 'x-cert.pem', ?, 1, NULL)",
        "move copy": "INSERT OR REPLACE INTO file_moves VALUES (0, 3, 'web-1-cert.pem', NULL, 0, ?)",
        "removed name": "INSERT OR REPLACE INTO file_moves VALUES (0, 3, ?, NULL, 0, 'archive/x.pem')",
        "certificate_path": "UPDATE certificates SET certificate_path = ? WHERE name = 'web-1'",
        "key_path": "UPDATE certificates SET key_path = ? WHERE name = 'web-1'",
        "chain_path": "UPDATE certificates SET chain_path = ? WHERE name = 'web-1'",
        "name": "UPDATE certificates SET name = ? WHERE name = 'web-1'",
    }
    for column, statement in columns.items():
        for way, path in ways.items():

            def act(ground: Ground, statement: str = statement, path: str = path) -> None:
                (ground.ca / ".new").mkdir(exist_ok=True)
                (ground.ca / ".new/77-0").write_text("owned\n")
                ground.statement(statement, values=(path.format(outside=ground.outside),))

            attack(f"{column}: {way}", act)


def define_numbers() -> None:
    """W11: numbers that no honest program writes."""
    for table, columns in {
        "certificates": ("not_before", "not_after", "revoked_at", "issued_at", "place", "revocation_reason", "lifetime"),
        "audit": ("at",),
        "revocation_lists": ("number", "this_update", "next_update", "entries"),
        "file_moves": ("stage", "replaces"),
    }.items():
        for column in columns:
            for number in (2**63 - 1, -(2**63), 2**53, -1, "text"):
                statement = f"UPDATE {table} SET {column} = ? WHERE rowid = (SELECT max(rowid) FROM {table})"
                attack(
                    f"{table}.{column} = {number}",
                    lambda ground, statement=statement, number=number: ground.statement(statement, values=(number,)),
                )
    for version in (-1, -(2**31), 0, 1, 2, 3, 99, 2**31 - 1):
        attack(f"user_version {version}", lambda ground, version=version: ground.statement(f"PRAGMA user_version = {version}"))
    attack("another program's", lambda ground: ground.statement("PRAGMA application_id = 7"))
    attack("serial of a megabyte", lambda ground: ground.statement("UPDATE certificates SET serial = zeroblob(1000000 + id)"))
    attack("texts of ten megabytes", lambda ground: ground.statement("UPDATE certificates SET subject = hex(zeroblob(5000000))"))
    attack("contents that are none", lambda ground: ground.statement("UPDATE certificate_contents SET der = x'3003020101'"))


def define_schema() -> None:
    """Anything in the schema that is not ours."""
    statements = {
        "a trigger": "CREATE TRIGGER t AFTER INSERT ON certificates BEGIN DELETE FROM audit; END",
        "a trigger on moves": "CREATE TRIGGER t AFTER DELETE ON file_moves BEGIN INSERT INTO file_moves VALUES (0, 1, 'x', 'y', 1, NULL); END",
        "a view": "CREATE VIEW v AS SELECT * FROM certificates",
        "an endless view": "CREATE VIEW v AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
        "a table": "CREATE TABLE t (x)",
        "a virtual table": "CREATE VIRTUAL TABLE t USING fts5(x)",
        "an index": "CREATE INDEX i ON certificates (lower(name))",
        "a generated column": "ALTER TABLE templates ADD COLUMN g AS (hex(content))",
        "no templates": "DROP TABLE templates",
        "no audit": "DROP TABLE audit",
        "no moves": "DROP TABLE file_moves",
    }
    for name, statement in statements.items():

        def act(ground: Ground, statement: str = statement) -> None:
            with sqlite3.connect(ground.ca / "inventory.sqlite") as database:
                database.execute(statement)
            database.close()

        attack(f"schema with {name}", act)

    def endless_certificates(ground: Ground) -> None:
        with sqlite3.connect(ground.ca / "inventory.sqlite") as database:
            database.execute("ALTER TABLE certificates RENAME TO real")
            database.execute(
                "CREATE VIEW certificates AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
                "SELECT real.* FROM real, c WHERE c.x < 0"
            )
        database.close()

    attack("certificates are an endless view", endless_certificates)
    for trigger in ("audit_is_never_changed", "audit_is_never_deleted"):

        def drop(ground: Ground, trigger: str = trigger) -> None:
            with sqlite3.connect(ground.ca / "inventory.sqlite") as database:
                database.execute(f"DROP TRIGGER {trigger}")
            database.close()

        attack(f"without {trigger}", drop)


FILES = ("inventory.sqlite", "root-cert.pem", "root-key.pem", "web-1-cert.pem", "web-1-key.pem", "root-crl.pem")
BESIDE = ("inventory.sqlite-wal", "inventory.sqlite-shm", "inventory.sqlite-journal", "root-key.uri", "root-previous-cert.pem")


def put(path: Path, make: Callable[[Path], None]) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    make(path)


def define_kinds() -> None:
    """B1, B2: links, devices, pipes, sockets and directories where files are wanted."""
    kinds: dict[str, Callable[[Ground, Path], None]] = {
        "a link to .bashrc": lambda ground, path: path.symlink_to(ground.outside / "home/.bashrc"),
        "a dangling link": lambda ground, path: path.symlink_to(ground.outside / "home/.profile"),
        "a pipe": lambda _, path: os.mkfifo(path),
        "a directory": lambda _, path: path.mkdir(),
        "a socket": lambda _, path: listen(path),
    }
    if os.geteuid() == 0:
        kinds["/dev/zero"] = lambda _, path: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
        kinds["/dev/tty"] = lambda _, path: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(5, 0))
    for file in FILES + BESIDE:
        for kind, make in kinds.items():
            attack(f"{file} is {kind}", lambda ground, file=file, make=make: put(ground.ca / file, lambda path: make(ground, path)))
    for name in (".new", "archive"):
        for kind, target in {"home": "home/.ssh", "the directory itself": "."}.items():

            def link(ground: Ground, name: str = name, target: str = target) -> None:
                put(ground.ca / name, lambda path: path.symlink_to(ground.outside / target))

            attack(f"{name} is a link to {kind}", link)
        attack(f"{name} is a pipe", lambda ground, name=name: put(ground.ca / name, os.mkfifo))
        attack(f"{name} is a file", lambda ground, name=name: put(ground.ca / name, Path.touch))


def listen(path: Path) -> None:
    # The path of a socket has at most 107 bytes: it is made beside and moved.
    with socket.socket(socket.AF_UNIX) as listener:
        short = Path(f"/tmp/pki-socket-{os.getpid()}-{random.randrange(10**9)}")
        listener.bind(str(short))
    shutil.move(short, path)


def define_owners() -> None:
    """W15, W16: what belongs to others, or can be written by them."""
    for name in (".", "inventory.sqlite", ".new", "archive", "root-key.pem"):
        for mode in (0o777, 0o770, 0o722):

            def widen(ground: Ground, name: str = name, mode: int = mode) -> None:
                (ground.ca / name).chmod(mode)

            attack(f"{name} has mode {mode:o}", widen)
        if os.geteuid() == 0:
            attack(f"{name} belongs to nobody", lambda ground, name=name: os.chown(ground.ca / name, 65534, 65534))


def define_journals() -> None:
    """B1: SQLite rolls a journal back, and deletes the file that it names."""

    def journal(ground: Ground) -> None:
        name = str(ground.outside / "home/.bashrc").encode()
        total = sum(name) & 0xFFFFFFFF
        header = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + (0).to_bytes(4) + bytes(4) + (1).to_bytes(4) + (512).to_bytes(4) + (4096).to_bytes(4)
        super_journal = (1).to_bytes(4) + name + len(name).to_bytes(4) + total.to_bytes(4) + b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
        (ground.ca / "inventory.sqlite-journal").write_bytes(header.ljust(512, b"\0") + super_journal)

    attack("a journal that names .bashrc", journal)
    for seed in range(6):

        def log(ground: Ground, seed: int = seed) -> None:
            chance = random.Random(seed)
            path = ground.ca / "inventory.sqlite-wal"
            old = path.read_bytes() if path.exists() else b""
            path.write_bytes(old[: len(old) // 2] + chance.randbytes(5000) if seed % 2 else chance.randbytes(40000))

        attack(f"a log of nonsense {seed}", log)
    for seed in range(40):

        def damage(ground: Ground, seed: int = seed) -> None:
            ground.statement("PRAGMA wal_checkpoint(TRUNCATE)")
            path = ground.ca / "inventory.sqlite"
            chance = random.Random(seed)
            data = bytearray(path.read_bytes())
            for _ in range(1 + seed):
                data[chance.randrange(len(data))] = chance.randrange(256)
            path.write_bytes(bytes(data[: len(data) // 2] if seed % 10 == 9 else data))

        attack(f"an inventory with {seed + 1} wrong bytes", damage)


def define_names() -> None:
    def drafts(ground: Ground) -> None:
        (ground.ca / ".new").mkdir(exist_ok=True)
        (ground.ca / ".new/9223372036854775807-1").touch()
        (ground.ca / ".new/-").touch()
        ground.statement("INSERT OR REPLACE INTO file_moves VALUES (0, 1, 'x-cert.pem', '.new/9223372036854775807-1', 1, NULL)")

    attack("a draft of the last generation", drafts)

    def names(ground: Ground) -> None:
        for name in (b"\x1b[2J-cert.pem", b"\xff\xfe-cert.pem", b"-rf-cert.pem", b"$(touch x)-cert.pem", b"a\nb-cert.pem", b"archive-cert.pem"):
            (ground.ca / os.fsdecode(name)).write_bytes((ground.ca / "web-1-cert.pem").read_bytes())

    attack("names that mean something to others", names)

    def without_inventory(ground: Ground) -> None:
        for path in ground.ca.glob("inventory.sqlite*"):
            path.unlink()
        (ground.ca / "linked-cert.pem").symlink_to(ground.outside / "home/.bashrc")
        os.mkfifo(ground.ca / "pipe-cert.pem")

    attack("no inventory, with links and pipes", without_inventory)

    def library(ground: Ground, address: str) -> None:
        (ground.ca / "root-key.pem").unlink()
        (ground.ca / "root-key.uri").write_text(address.format(library=ground.outside / "module.so", outside=ground.outside) + "\n")
        (ground.ca / "root-key.uri").chmod(0o600)

    for name, address in {
        "a library": "pkcs11:object=root?module-path={library}",
        "a library by its name": "pkcs11:object=root?module-name=../../../../{library}",
        "a PIN file": "pkcs11:object=root?pin-source=file:{outside}/home/.bashrc",
        "a PIN program": "pkcs11:object=root?pin-source=|touch%20{outside}/owned",
        "a file": "{outside}/home/.bashrc",
        "a variable": "env:HOME",
        "a descriptor": "fd:0",
    }.items():
        attack(f"B3: the key is at {name}", lambda ground, address=address: library(ground, address))

    def link(ground: Ground) -> None:
        moved = ground.outside / "moved"
        ground.ca.rename(moved)
        ground.ca.symlink_to(moved)

    attack("the directory is a link", link)


for define in (define_paths, define_numbers, define_schema, define_kinds, define_owners, define_journals, define_names):
    define()


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a directory: kind, mode, owner, time of the last change, and the contents of files."""
    found: dict[str, tuple[object, ...]] = {}
    for base, folders, files in os.walk(os.fsencode(folder)):
        for name in [b"."] + folders + files:
            path = os.path.join(base, name)
            status = os.lstat(path)
            contents: object = None
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    contents = file.read()
            elif stat.S_ISLNK(status.st_mode):
                contents = os.readlink(path)
            found[os.fsdecode(path)] = (status.st_mode, status.st_uid, status.st_ino, status.st_mtime_ns, contents)
    return found


@pytest.fixture(scope="module")
def original(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A CA directory with everything in it: certificates of today and former ones, a CRL, an archive."""
    home = tmp_path_factory.mktemp("home")
    pki = Pki(home=home, path=built)
    ca = tmp_path_factory.mktemp("original") / "ca"
    pki.run("init-ca", "--directory", ca)
    for name in ("web-1", "web-2", "web-3"):
        pki.run("issue-client", "--name", name, "--directory", ca)
    pki.run("renew", "web-3", "--rekey", "--directory", ca)
    pki.run("revoke", "web-3", "--directory", ca)
    pki.run("crl", "--directory", ca)
    return ca


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shared library that leaves a file beside itself when it is loaded."""
    folder = tmp_path_factory.mktemp("module")
    (folder / "m.c").write_text(
        '#include <stdio.h>\n#include <stdlib.h>\n'
        '__attribute__((constructor)) static void run(void) { FILE *f = fopen(getenv("PKI_TEST_LOADED"), "w"); if (f) fclose(f); }\n'
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "module.so", folder / "m.c"], check=True)
    return folder / "module.so"


def prepare(folder: Path, original: Path, module: Path, name: str) -> Ground:
    ground = Ground(folder / "outside", folder / "ca")
    (ground.outside / "home/.ssh").mkdir(parents=True)
    (ground.outside / "home/.bashrc").write_text("# mine\n")
    (ground.outside / "home/.ssh/authorized_keys").write_text("ssh-ed25519 AAAA mine\n")
    (ground.outside / "home/.ssh/1-1").write_text("mine\n")
    shutil.copy(module, ground.outside / "module.so")
    shutil.copytree(original, ground.ca, symlinks=True)
    ATTACKS[name](ground)
    return ground


PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_hostile_directory(built: Path, tmp_path: Path, original: Path, module: Path, part: int) -> None:
    """Every attack against commands that read and that write, in turns: with PKI_TEST_FULL against all that read.

    In a sample each attack meets three commands that read and two that write. Its neighbours, which do the same with another
    value or put another thing into the same place, meet the next ones: each that reads meets each column, value, file and kind."""
    names = list(ATTACKS)[part::PARTS]
    reading, writing = list(READING), list(WRITING)
    with ThreadPoolExecutor(4) as pool:
        jobs = []
        for number, name in enumerate(names):
            place = number * PARTS + part
            chosen = [writing[(place * 2 + place // 18 + turn) % len(writing)] for turn in range(scaled(3, 2))]
            read = reading if FULL else [reading[(place * 4 + turn) % len(reading)] for turn in range(3)]
            jobs.append(pool.submit(run_attack, built, tmp_path / str(number), original, module, name, read, chosen))
        problems = [problem for job in jobs for problem in job.result()]
    assert not problems, "\n".join(problems)


def test_there_are_enough_of_them() -> None:
    assert len(ATTACKS) >= 300


def run_attack(built: Path, folder: Path, original: Path, module: Path, name: str, reading: list[str], writing: list[str]) -> list[str]:
    problems: list[str] = []
    ground = prepare(folder / "r", original, module, name)
    before = snapshot(folder)
    for command in reading:
        problems += run(built, ground, name, command, READING[command])
        after = snapshot(folder)
        problems += [f"{name}: {command} changed {path}" for path in differing(before, after)]
        before = after
    for command in writing:
        ground = prepare(folder / command.replace(" ", "-"), original, module, name)
        outside = snapshot(ground.outside)
        linked = ground.ca.is_symlink()
        problems += run(built, ground, name, command, WRITING[command])
        after = snapshot(ground.outside)
        problems += [f"{name}: {command} changed {path}" for path in differing(outside, after)]
        assert not linked or ground.ca.is_symlink()
    shutil.rmtree(folder, ignore_errors=True)
    return problems


def differing(before: dict[str, tuple[object, ...]], after: dict[str, tuple[object, ...]]) -> list[str]:
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def run(built: Path, ground: Ground, name: str, command: str, arguments: tuple[str, ...]) -> list[str]:
    home = ground.outside / "home"
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PKI_TEST_LOADED": str(ground.outside / "loaded"),
    }
    words = [str(built), *(word.format(ca=ground.ca) for word in arguments)]
    try:
        done = subprocess.run(words, env=environment, cwd=ground.outside, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return [f"{name}: {command} hangs"]
    problems = []
    if done.returncode not in (0, 1, 2):
        problems.append(f"{name}: {command} ends with {done.returncode}: {done.stderr[-300:]!r}")
    if done.returncode == 2 and b"pki: error: " not in done.stderr:
        problems.append(f"{name}: {command} does not say what is wrong")
    for stream in (done.stdout, done.stderr):
        if any(ord(character) < 32 and character not in "\n" for character in stream.decode(errors="replace")):
            problems.append(f"{name}: {command} prints control characters")
    return problems
