# SPDX-License-Identifier: Apache-2.0
"""The inventory under load: many processes at once, and processes killed at any moment, lose nothing."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from moments import KILLED, KillMoments
from peer import load
from program import CHECK_FAILED, DONE, Pki
from sampling import FULL, scaled
from tools import openssl

ROUNDS = int(os.environ.get("PKI_TEST_KILLS") or scaled(1000, 320))
EACH = scaled(25, 6)


def rows(folder: Path, query: str = "SELECT name, serial FROM certificates") -> list[tuple[object, ...]]:
    """What Python's own SQLite reads from the inventory."""
    connection = sqlite3.connect(f"file:{folder / 'inventory.sqlite'}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_forty_processes_at_once(pki: Pki, ca: Path) -> None:
    """As many serial numbers and rows as certificates, while others renew, revoke, list and make lists."""
    complaints: list[str] = []
    reported: dict[str, int] = {}
    lock = threading.Lock()
    for number in range(10):
        pki.run("issue-client", "--directory", ca, "--name", f"other-{number}")

    def issue(worker: int) -> None:
        for number in range(EACH):
            name = f"host-{worker}-{number}"
            process = pki.popen("issue-client", "--directory", ca, "--name", name, "--format", "json")
            output, errors = process.communicate(timeout=300)
            with lock:
                if process.returncode == DONE and not errors:
                    reported[name] = int(json.loads(output)["serialNumber"], 16)
                else:
                    complaints.append(errors.decode())

    stopped = threading.Event()

    def repeat(allowed: tuple[int, ...], arguments: Callable[[int], Sequence[str | Path]]) -> None:
        number = 0
        while not stopped.is_set():
            process = pki.popen(*arguments(number))
            _, errors = process.communicate(timeout=300)
            if process.returncode not in allowed:
                with lock:
                    complaints.append(errors.decode())
            number += 1

    directory = ("--directory", ca)
    others = [
        threading.Thread(target=repeat, args=arguments)
        for arguments in (
            ((DONE,), lambda n: ("renew", f"other-{n % 5}", *directory)),
            ((DONE, CHECK_FAILED), lambda n: ("revoke", f"other-{5 + n % 5}", *directory)),
            ((DONE,), lambda n: ("list", *directory, "--format", "json")),
            ((DONE,), lambda n: ("crl", *directory)),
        )
    ]
    workers = [threading.Thread(target=issue, args=(number,)) for number in range(40)]
    for thread in [*others, *workers]:
        thread.start()
    for thread in workers:
        thread.join()
    stopped.set()
    for thread in others:
        thread.join()

    assert not complaints, complaints[:3]
    assert len(reported) == len(set(reported.values())) == 40 * EACH
    recorded = {str(name): int.from_bytes(bytes(serial)) for name, serial in rows(ca) if str(name).startswith("host-")}  # type: ignore[call-overload]
    assert recorded == reported
    for name, serial in reported.items():
        assert load(ca / f"{name}-cert.pem").serial_number == serial
    every = [bytes(serial) for _, serial in rows(ca)]  # type: ignore[call-overload]
    assert len(set(every)) == len(every)
    assert rows(ca, "PRAGMA integrity_check") == [("ok",)]
    pki.run("doctor", "--directory", ca)
    # Every list got a number of its own, and openssl reads the last.
    numbers = [number for (number,) in rows(ca, "SELECT number FROM revocation_lists ORDER BY number")]
    assert numbers == list(range(1, len(numbers) + 1))
    shown = openssl("crl", "-noout", "-crlnumber", "-in", ca / "root-crl.pem").stdout
    assert int(shown.split("=")[1], 16) == numbers[-1]


class Killed:
    """Runs commands against a directory and kills them at random moments."""

    def __init__(self, pki: Pki, folder: Path, seed: int) -> None:
        self.pki = pki
        self.folder = folder
        self.seed = seed
        self.chance = random.Random(seed)
        self.names = 0
        self.known = ["client"]
        self.moments: dict[str, KillMoments] = {}

    def command(self, kind: str) -> list[str | Path]:
        directory: list[str | Path] = ["--directory", self.folder]
        match kind:
            case "issue":
                self.names += 1
                return ["issue-client", "--name", f"new-{self.names}", *directory]
            case "force":
                return ["issue-client", "--name", self.chance.choice(self.known), "--force", *directory]
            case "renew":
                return ["renew", self.chance.choice(self.known), *directory]
            case "rekey":
                return ["renew", self.chance.choice(self.known), "--rekey", *directory]
            case "hold":
                return ["revoke", "--hold", self.chance.choice(self.known), *directory]
            case "release":
                return ["revoke", "--release", self.chance.choice(self.known), *directory]
            case "crl":
                return ["crl", *directory]
            case "batch":
                self.names += 1
                file = self.folder.parent / "batch.txt"
                file.write_text("".join(f"batch-{self.names}-{number}\n" for number in range(20)))
                return ["issue-client", "--batch", file, *directory]
        raise AssertionError(kind)

    def round(self, kind: str) -> None:
        process = self.pki.popen(*self.command(kind))
        if kind in self.moments:
            status, _, errors = self.moments[kind].kill(process)
        else:
            began = time.monotonic()
            _, errors = process.communicate(timeout=60)
            status = process.returncode
            self.moments[kind] = KillMoments(time.monotonic() - began, self.seed)
        if status in (DONE, CHECK_FAILED) and kind == "issue":
            self.known.append(f"new-{self.names}")
        # What is on hold is not renewed; anything else would be a lock, a file or a row that was left behind.
        held = b"certificateHold" in errors
        assert status in (DONE, CHECK_FAILED, KILLED) or held, errors.decode()


KINDS = ("issue", "force", "renew", "rekey", "hold", "release", "crl", "batch")


@pytest.mark.parametrize("part", range(4))
def test_killed_at_any_moment(pki: Pki, ca: Path, part: int) -> None:
    killed = Killed(pki, ca, 6000 + part)
    for number in range(ROUNDS // 4):
        killed.round(killed.chance.choice(KINDS))
        if number % 25 == 24:
            assert_nothing_is_lost(pki, ca)
    assert_nothing_is_lost(pki, ca)
    # The moments were spread: in many rounds every command was killed, and every command came to its end.
    for moments in killed.moments.values() if FULL else ():
        moments.assert_spread()
    assert sum(one.killed for one in killed.moments.values()) and sum(one.ended for one in killed.moments.values())


def assert_nothing_is_lost(pki: Pki, folder: Path) -> None:
    assert rows(folder, "PRAGMA integrity_check") == [("ok",)]
    # Before anything is finished, and after: what waits to be finished is no failure.
    for options in ((), ("--repair",)):
        found = pki.run("doctor", "--directory", folder, "--format", "json", *options, status=None)
        assert found.status in (DONE, CHECK_FAILED), found.describe()
        failed = [check for check in found.json["checks"] if check["verdict"] == "failed"]
        assert not failed, failed
    assert not list((folder / ".new").iterdir())
    # Every certificate in the directory is known, and every one that is known and in its place is there, with its key.
    known = {
        str(path): bytes(serial)  # type: ignore[call-overload]
        for path, serial in rows(folder, "SELECT certificate_path, serial FROM certificates")
    }
    there = {
        str(path.relative_to(folder)): load(path).serial_number
        for path in folder.rglob("*-cert*.pem")
    }
    assert there == {path: int.from_bytes(serial) for path, serial in known.items()}


def test_full_disk(pki: Pki, tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: whatever cannot be written, nothing is half there."""
    folder = tmp_path / "ca"
    pki.run("init-ca", "--directory", folder)
    pki.run("issue-client", "--directory", folder)
    for limit in (0, 1, 100, 500, 1000, 4096, 20000, 40000, 60000, 80000, 100000):
        limited = pki.with_prefix("prlimit", f"--fsize={limit}", "--")
        for command in (
            ("issue-client", "--name", f"more-{limit}"),
            ("renew", "client", "--rekey"),
            ("crl",),
            ("revoke", "client", "--hold"),
        ):
            result = limited.run(*command, "--directory", folder, status=None)
            assert result.status in (DONE, 1, 2), result.describe()
            if result.status == 2:
                assert "error: " in result.stderr
            pki.run("revoke", "client", "--release", "--directory", folder, status=None)
        assert_nothing_is_lost(pki, folder)
        assert {path.name for path in folder.glob("*-cert.pem")} == {
            f"{name}-cert.pem" for (name,) in rows(folder, "SELECT name FROM certificates WHERE place = 0")
        }


def test_a_disk_without_room(pki: Pki, tmp_path: Path) -> None:
    """A real file system of one megabyte, filled to its end and freed again."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        folder = disk / "ca"
        pki.run("init-ca", "--directory", folder)
        issued = 0
        while pki.run("issue-client", "--name", f"h-{issued}", "--directory", folder, status=None).status == DONE:
            issued += 1
            assert issued < 2000
        assert issued > 10
        refused = pki.refuse("issue-client", "--name", "one-more", "--directory", folder)
        assert "full" in refused or "space" in refused
        for path in (folder / "h-0-key.pem", folder / "h-1-key.pem", folder / "h-2-key.pem"):
            path.unlink()
        (filler,) = [disk / "filler"]
        filler.unlink(missing_ok=True)
        subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
        pki.run("issue-client", "--name", "after", "--directory", folder)
        assert_nothing_is_lost(pki, folder)
    finally:
        subprocess.run(["umount", disk], check=False)
