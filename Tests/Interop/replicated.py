# SPDX-License-Identifier: Apache-2.0
"""Two `pki serve-ca` behind HAProxy, on one inventory on PostgreSQL behind PgBouncer, in the place of one on a directory.

With PKI_TEST_INVENTORY=postgresql, ``enrolling.serving_ca`` does this, so that the tests of one server judge two."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from postgresql import Cluster, haproxy, pgbouncer, secret
from program import INVENTORIES, Pki
from servers import closed_port

WANTED = os.environ.get("PKI_TEST_INVENTORY") == "postgresql"


class Group:
    """Several processes that get the same signals, and the proxy in front, which ends with them."""

    def __init__(self, processes: list[subprocess.Popen[bytes]], proxy: ExitStack):
        self.processes = processes
        self.proxy = proxy

    @property
    def pid(self) -> int:
        return self.processes[0].pid

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        """The worst status, once all have ended."""
        statuses = [process.poll() for process in self.processes]
        return None if None in statuses else max(statuses, key=abs)  # type: ignore[type-var]

    def send_signal(self, with_signal: signal.Signals) -> None:
        for process in self.processes:
            process.send_signal(with_signal)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        for process in self.processes:
            process.wait(timeout)
        self.proxy.close()
        return self.poll()  # type: ignore[return-value]


class Shared:
    """The database server of all the tests of a session, and PgBouncer before it."""

    cluster: Cluster | None = None
    port = 0

    @classmethod
    @contextmanager
    def opened(cls, cluster: Cluster) -> Iterator[None]:
        with pgbouncer(cluster) as cls.port:
            cls.cluster = cluster
            try:
                yield
            finally:
                cls.cluster = None


@contextmanager
def on_postgresql(pki: Pki, directory: Path) -> Iterator[None]:
    """Moves a directory's inventory to a new database, where every command on the directory finds it in the block."""
    place = directory.resolve()
    if place in INVENTORIES:
        yield
        return
    cluster = Shared.cluster
    assert cluster
    plain = Pki(home=pki.home, path=pki.path)
    database = cluster.copied(plain, directory)
    for path in directory.glob("inventory.sqlite*"):
        path.rename(path.with_name(f"was-{path.name}"))
    server, people = (cluster.url(database, port=Shared.port, user=user) for user in ("machine", "person"))
    INVENTORIES[place] = server, people
    yield


def other_machine(directory: Path) -> Path:
    """A copy of the CA's files as another server has it. The key of tokens must be the same; the first token makes it."""
    copy = next(path for number in itertools.count(2) if not (path := directory.with_name(f"{directory.name}-{number}")).exists())
    if not (key := directory / "token-key").exists():
        secret(key, secrets.token_hex(32) + "\n")
    shutil.copytree(directory, copy, symlinks=True, ignore=shutil.ignore_patterns("*inventory.sqlite*"))
    INVENTORIES[copy.resolve()] = INVENTORIES[directory.resolve()]
    return copy


@contextmanager
def two_servers(one_server: Callable[..., Any], pki: Pki, directory: Path, *options: str | Path, port: int = 0) -> Iterator[Any]:
    """As ``enrolling.serving_ca``, with two servers, each with a directory of its own, of which the first is the given one."""
    words = list(options)
    port = port or closed_port()
    with on_postgresql(pki, directory), ExitStack() as proxy, ExitStack() as stack:
        plain = 0
        if "--revocation-listen" in words:
            place = words.index("--revocation-listen") + 1
            plain = int(str(words[place]).rpartition(":")[2]) or closed_port()
            words[place] = "127.0.0.1:0"
        servers = [stack.enter_context(one_server(pki, path, *words)) for path in (directory, other_machine(directory))]
        services = [(port, [server.port for server in servers], True)]
        if plain:
            services.append((plain, [int(server.plain.rpartition(":")[2]) for server in servers], False))
        proxy.enter_context(haproxy(pki.home, directory / "root-cert.pem", *services))
        group = Group([server.process for server in servers], proxy)
        yield replace(servers[0], process=group, url=f"https://127.0.0.1:{port}", plain_port=plain, servers=servers)
