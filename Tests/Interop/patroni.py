# SPDX-License-Identifier: Apache-2.0
"""Servers of PostgreSQL that Patroni and etcd look after, one of them a synchronous standby. All of it is private to a test."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from postgresql import OWNER, ROLE, private, programs, room, running, secret
from program import clean_environment
from servers import closed_port
from serving import wait_for
from tools import tool


def is_alive(process: int) -> bool:
    """Whether a process runs, or has ended without having been waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def children(parent: int) -> list[int]:
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


@dataclass
class Node:
    """A server, and the Patroni that starts, promotes and stops it."""

    name: str
    directory: Path
    port: int
    api: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def start(self) -> None:
        command = private(shutil.which("patroni") or "", self.directory / "patroni.json")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.directory, env=clean_environment(self.directory), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def ask(self, method: str, path: str, body: Any = None, timeout: float = 2) -> tuple[int, bytes]:
        """Patroni's interface; status 0 if it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.api, timeout=timeout)
        try:
            connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def has(self, role: str) -> bool:
        return self.ask("GET", f"/{role}")[0] == 200

    def servers(self) -> list[int]:
        """PostgreSQL's processes, the parent of the others first."""
        with suppress(OSError, ValueError):
            first = int((self.data / "postmaster.pid").read_text().split()[0])
            # The number may be something else's by now.
            if os.readlink(f"/proc/{first}/cwd") == str(self.data):
                return [first, *children(first)]
        return []

    def kill(self) -> None:
        """As if its machine lost power."""
        if self.process:
            self.process.kill()
            self.process.wait()
        killed = self.servers()
        for process in killed:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        wait_for(lambda: not any(map(is_alive, killed)), log=self.log)

    def psql(self, sql: str, database: str = OWNER, status: int | None = 0) -> str:
        """Runs SQL on the socket, which trusts everybody. Returns unaligned rows; none where it fails and may."""
        where = ("--host", self.directory, "--port", str(self.port), "--username", OWNER, "--dbname", database)
        options = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1")
        return tool("psql", *where, *options, "--command", sql, status=status).stdout.strip()


@dataclass
class Cluster:
    directory: Path
    nodes: list[Node] = field(default_factory=list)

    @property
    def passfile(self) -> Path:
        return self.directory / "pgpass"

    def url(self, database: str, *, user: str = ROLE) -> str:
        """The address of a database on all servers, of which the one that can be written to is taken."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"postgresql://{user}@{hosts}/{database}?passfile={self.passfile}&target_session_attrs=read-write"

    def whose(self, role: str) -> Node:
        """The server that has a role now, or gets it."""
        try:
            return wait_for(lambda: next((node for node in self.nodes if node.has(role)), None))
        except AssertionError:
            raise AssertionError(self.said) from None

    @property
    def said(self) -> str:
        return "\n".join(f"{node.name}:\n{node.log.read_text()[-5000:]}" for node in self.nodes)

    def healed(self) -> tuple[Node, Node]:
        """The primary and its synchronous standby, when both are there again; what was killed is started."""
        for node in self.nodes:
            if not node.process or node.process.poll() is not None:
                node.start()
        return self.whose("primary"), self.whose("synchronous")

    def database(self, name: str) -> str:
        self.whose("primary").psql(f"CREATE DATABASE {name} OWNER {ROLE}")
        # Where a standby has no such database yet, libpq does not go on to the next server.
        known = f"SELECT 1 FROM pg_database WHERE datname = '{name}'"
        wait_for(lambda: all(node.psql(known, status=None) for node in self.nodes))
        return name


def settings(node: Node, etcd: int, password: str) -> dict[str, Any]:
    """Patroni's: as fast as is safe beside other work."""
    rules = ["local all all trust", "host all all 127.0.0.1/32 scram-sha-256", "host replication all 127.0.0.1/32 scram-sha-256"]
    users = {"superuser": OWNER, "replication": "replicator", "rewind": "rewinder"}
    parameters = {
        "shared_buffers": "32MB", "max_wal_size": "64MB", "min_wal_size": "32MB", "wal_log_hints": "on", "wal_keep_size": "32MB", "fsync": "off",
        "wal_retrieve_retry_interval": "200ms",
    }  # fmt: skip
    return {
        "scope": "pki", "name": node.name, "etcd": {"host": f"127.0.0.1:{etcd}"},
        "restapi": {"listen": f"127.0.0.1:{node.api}", "connect_address": f"127.0.0.1:{node.api}"},
        "bootstrap": {
            "dcs": {
                "ttl": 5, "loop_wait": 1, "retry_timeout": 2, "master_start_timeout": 0, "synchronous_mode": True,
                "postgresql": {"use_pg_rewind": True, "parameters": parameters},
            },
            "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "no-sync"],
        },
        "postgresql": {
            "listen": f"127.0.0.1:{node.port}", "connect_address": f"127.0.0.1:{node.port}",
            "data_dir": str(node.data), "bin_dir": str(programs()), "pgpass": str(node.directory / "pgpass"), "pg_hba": rules,
            "authentication": {name: {"username": user, "password": password} for name, user in users.items()},
            "parameters": {"unix_socket_directories": str(node.directory)},
            "basebackup": {"checkpoint": "fast"},
        },
    }  # fmt: skip


@contextmanager
def patroni(count: int = 2) -> Iterator[Cluster]:
    """Starts a primary with a synchronous standby, and further servers beyond two."""
    missing = [name for name in ("etcd", "patroni") if not shutil.which(name)]
    if missing:
        pytest.skip(f"there is no {missing[0]}: run script/bootstrap")
    with room() as directory:
        cluster, password = Cluster(directory), secrets.token_hex()
        secret(cluster.passfile, f"*:*:*:*:{password}\n")
        (client, peer), home = (closed_port(), closed_port()), directory / "etcd"
        home.mkdir()
        urls = {"listen-client": client, "advertise-client": client, "listen-peer": peer, "initial-advertise-peer": peer}
        options = [word for name, port in urls.items() for word in (f"--{name}-urls", f"http://127.0.0.1:{port}")]
        options += ["--data-dir", str(home / "data"), "--enable-v2", "--initial-cluster", f"default=http://127.0.0.1:{peer}"]
        etcd = ["setpriv", "--pdeathsig", "KILL", "etcd", *options]
        with running(etcd, home, client):
            try:
                for number in range(count):
                    node = Node(f"db-{number}", directory / f"db-{number}", closed_port(), closed_port())
                    node.directory.mkdir()
                    file = secret(node.directory / "patroni.json", json.dumps(settings(node, client, password)))
                    if os.geteuid() == 0:
                        for path in (node.directory, file):
                            shutil.chown(path, OWNER, OWNER)
                    cluster.nodes.append(node)
                    node.start()
                primary, _ = cluster.healed()
                primary.psql(f"CREATE ROLE {ROLE} LOGIN CREATEROLE PASSWORD '{password}'")
                yield cluster
            finally:
                for node in cluster.nodes:
                    node.kill()
