# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with a machine: its disk is full, its clock jumps, its network drops packets."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving import wait_for


@contextmanager
def small_disk(folder: Path, megabytes: int = 8) -> Iterator[Callable[[int | None], None]]:
    """A file system of a few megabytes. Gives what leaves so many bytes of it free; None for all."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    filler = folder / "filler"

    def leave(size: int | None) -> None:
        filler.unlink(missing_ok=True)
        if size is not None:
            state = os.statvfs(folder)
            # Who writes meanwhile leaves less.
            with suppress(OSError):
                filler.write_bytes(b"\0" * max(0, state.f_bavail * state.f_frsize - size))

    try:
        yield leave
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@dataclass
class Clock:
    """The wall clock of a program, set while it runs."""

    library: Path
    file: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "PKI_TEST_CLOCK": str(self.file)}

    def set(self, ahead: timedelta) -> datetime:
        """So far ahead of the right time; returns what the program's clock says."""
        with self.file.open("r+b" if self.file.exists() else "wb") as file:
            file.write(int(ahead.total_seconds()).to_bytes(8, "little", signed=True))
        return datetime.now(UTC) + ahead


@dataclass
class Network:
    """A network of its own for some program on this machine, which reaches the rest by a link."""

    holder: subprocess.Popen[bytes]
    near: str
    """The link's address outside."""
    far: str
    """Its address inside."""

    @property
    def prefix(self) -> tuple[str, ...]:
        """What a command is started with."""
        return ("nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--")

    def drop(self, port: int, *, drops: bool = True) -> None:
        """Every packet to and from a port outside is lost, without an error."""
        for chain, side in (("OUTPUT", "--dport"), ("INPUT", "--sport")):
            run(*self.prefix, "iptables", "--append" if drops else "--delete", chain, "-p", "tcp", side, str(port), "-j", "DROP")


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


@contextmanager
def network() -> Iterator[Network]:
    for tool in ("ip", "iptables", "nsenter"):
        if not shutil.which(tool):
            pytest.skip(f"there is no {tool}: run script/bootstrap")
    number = secrets.randbelow(1 << 14)
    near, far = (f"169.254.{number >> 6}.{number % 64 * 4 + host}" for host in (1, 2))
    # The link goes with the last process inside.
    with subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity"], stderr=subprocess.DEVNULL) as holder:
        try:
            wait_for(lambda: holder.poll() is not None or Path(f"/proc/{holder.pid}/comm").read_text() == "sleep\n")
            if holder.poll() is not None:
                pytest.skip("no network of one's own can be made here")
            inner = Network(holder, near, far)
            run("ip", "link", "add", f"pki{number}", "type", "veth", "peer", "name", "outside", "netns", str(holder.pid))
            run("ip", "address", "add", f"{near}/30", "dev", f"pki{number}")
            run("ip", "link", "set", f"pki{number}", "up")
            run(*inner.prefix, "ip", "address", "add", f"{far}/30", "dev", "outside")
            for link in ("lo", "outside"):
                run(*inner.prefix, "ip", "link", "set", link, "up")
            yield inner
        finally:
            holder.kill()
