# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL in a private directory, and what stands before it in production: PgBouncer, and HAProxy before the servers."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from program import Pki, clean_environment
from servers import closed_port
from serving import wait_for
from tools import tool

OWNER = "postgres"
"""The superuser, who has no password on the socket."""

ROLE = "pki"
"""Who owns the databases, with a password in ``Cluster.passfile``."""

LOGINS = {"machine": "pki_server", "person": "pki_admin", "reader": "pki_reader"}
"""Logins with the same password, and the role of each, which `pki inventory init` makes."""


def programs() -> Path:
    """Where Debian keeps the programs of the newest PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not found:
        pytest.skip("there is no PostgreSQL: run script/bootstrap")
    return found[-1].parent


def private(*command: str | Path, end: signal.Signals = signal.SIGTERM) -> list[str]:
    """A command that root starts as another user, because PostgreSQL and PgBouncer refuse root. It ends with its parent."""
    other = ("--reuid", OWNER, "--regid", OWNER, "--clear-groups") if os.geteuid() == 0 else ()
    return ["setpriv", *other, "--pdeathsig", end.name.removeprefix("SIG"), *map(str, command)]


@contextmanager
def room() -> Iterator[Path]:
    """A directory that those programs may enter, with a path that is short enough for the names of sockets."""
    directory = Path(tempfile.mkdtemp(prefix="pki-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(directory, OWNER, OWNER)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def secret(path: Path, text: str) -> Path:
    """Writes a file that its owner alone reads."""
    path.touch(0o600)
    path.write_text(text)
    return path


@dataclass
class Cluster:
    """A PostgreSQL server. It listens at a socket in its directory, and at one port of every address of this machine."""

    directory: Path
    port: int
    settings: dict[str, str]
    password: str = field(default_factory=secrets.token_hex)
    process: subprocess.Popen[bytes] | None = None
    count: Iterator[int] = field(default_factory=itertools.count)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def passfile(self) -> Path:
        return self.directory / "pgpass"

    def url(self, database: str, *, host: str = "127.0.0.1", port: int | None = None, user: str = ROLE, **settings: str) -> str:
        """The address of a database, with the password in a file."""
        query = "&".join(f"{name}={value}" for name, value in {"passfile": str(self.passfile), **settings}.items())
        return f"postgresql://{user}@{host}:{port or self.port}/{database}?{query}"

    def psql(self, sql: str, database: str = OWNER, *, user: str = OWNER, status: int | None = 0) -> str:
        """Runs SQL on the socket, which trusts everybody. Returns unaligned rows, or what was said with another status than 0."""
        where = ("--host", self.directory, "--port", str(self.port), "--username", user, "--dbname", database)
        done = tool("psql", *where, "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1", "--command", sql, status=status)
        return (done.stdout if done.status == 0 else done.stderr).removesuffix("\n")

    def restart(self) -> None:
        """Starts it again at its port, which a client's connection may have meanwhile: then it would start without the address."""
        for _ in range(60):
            size = self.log.stat().st_size
            self.start()
            if b"could not bind" not in self.log.read_bytes()[size:]:
                return
            self.stop()
            time.sleep(0.5)
        raise AssertionError(self.log.read_text())

    def start(self) -> None:
        options = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        command = private(programs() / "postgres", "-D", self.data, "-p", str(self.port), "-k", self.directory, *options, end=signal.SIGINT)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.directory, env=clean_environment(self.directory), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def is_ready() -> bool:
            assert self.process and self.process.poll() is None, self.log.read_text()
            ready = (programs() / "pg_isready", "--quiet", "--host", self.directory, "--port", str(self.port))
            return subprocess.run(ready, env=clean_environment(self.directory), check=False).returncode == 0

        wait_for(is_ready, log=self.log)

    def stop(self, with_signal: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends the connections, as `pg_ctl stop` does; SIGQUIT is `--mode immediate`."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(with_signal)
            self.process.wait(timeout=60)

    def database(self, template: str = "template0") -> str:
        """A new database, which the role owns."""
        name = f"ca{next(self.count)}"
        self.psql(f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {template}")
        return name

    def copied(self, pki: Pki, directory: Path) -> str:
        """A new database with the inventory of a directory."""
        name = self.inventory(pki)
        pki.run("inventory", "copy", "--from", directory, "--to", self.url(name))
        return name

    def inventory(self, pki: Pki) -> str:
        """A new database with the tables of an empty inventory."""
        if not self.psql("SELECT 1 FROM pg_database WHERE datname = 'inventory'"):
            self.psql(f"CREATE DATABASE inventory OWNER {ROLE}")
            pki.run("inventory", "init", "--inventory", self.url("inventory"))
            for login, role in LOGINS.items():
                self.psql(f"CREATE ROLE {login} LOGIN PASSWORD '{self.password}' IN ROLE {role}")
        return self.database("inventory")


@contextmanager
def postgresql(directory: Path | None = None, **settings: str) -> Iterator[Cluster]:
    """Starts a server, which writes nothing through to the disk unless `fsync="on"` is given."""
    with room() as own:
        place = directory or own
        defaults = {"listen_addresses": "*", "max_connections": "200", "shared_buffers": "32MB", "fsync": "off", "max_wal_size": "256MB"}
        cluster = Cluster(place, closed_port(), {**defaults, **settings})
        initialize = ("--pgdata", cluster.data, "--auth", "trust", "--username", OWNER, "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync")
        done = subprocess.run(private(programs() / "initdb", *initialize), cwd=place, env=clean_environment(place), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        lines = [f"{kind} {what} all {method}\n" for kind, method in [("local", "trust"), ("host", "all scram-sha-256")] for what in ("all", "replication")]
        (cluster.data / "pg_hba.conf").write_text("".join(lines))
        secret(cluster.passfile, f"*:*:*:*:{cluster.password}\n")
        try:
            cluster.start()
            # It starts without an address whose port was taken meanwhile.
            while "could not bind" in cluster.log.read_text():
                cluster.stop()
                cluster.log.unlink()
                cluster.port = closed_port()
                cluster.start()
            cluster.psql(f"CREATE ROLE {ROLE} LOGIN CREATEROLE PASSWORD '{cluster.password}'")
            yield cluster
        finally:
            cluster.stop()


@contextmanager
def standby(primary: Cluster) -> Iterator[Cluster]:
    """A copy of a server, which follows it. Nothing is committed there until it is here too."""
    with room() as home:
        copy = Cluster(home, closed_port(), primary.settings, primary.password)
        source = ("--host", primary.directory, "--port", str(primary.port), "--username", OWNER)
        copying = private(programs() / "pg_basebackup", *source, "--pgdata", copy.data, "--write-recovery-conf", "--checkpoint", "fast", "--no-sync")
        done = subprocess.run(copying, cwd=home, env=clean_environment(home), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        secret(copy.passfile, primary.passfile.read_text())
        try:
            copy.start()
            primary.psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
            primary.psql("SELECT pg_reload_conf()")
            wait_for(lambda: primary.psql("SELECT sync_state FROM pg_stat_replication") == "sync", log=copy.log)
            yield copy
        finally:
            copy.stop()


@contextmanager
def running(command: Sequence[str], home: Path, port: int, descriptors: Sequence[int] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program in the background until it listens at a port; it is gone after the block."""
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=home, env=clean_environment(home), stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=tuple(descriptors)
        )

    def listens() -> bool:
        assert process.poll() is None, (home / "log").read_text()
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_for(listens, log=home / "log")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def pgbouncer(cluster: Cluster, *, pool: int = 4, port: int | None = None, **settings: str) -> Iterator[int]:
    """PgBouncer in transaction mode before a server, with few connections for each database. Gives its port."""
    port = port or closed_port()
    with room() as home:
        secret(home / "users", "".join(f'"{login}" "{cluster.password}"\n' for login in (ROLE, *LOGINS)))
        options = {
            "listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": "", "auth_type": "scram-sha-256", "auth_file": home / "users",
            "pool_mode": "transaction", "default_pool_size": pool, "max_client_conn": 500, "server_idle_timeout": 5,
            **settings,
        }  # fmt: skip
        lines = "".join(f"{name} = {value}\n" for name, value in options.items())
        secret(home / "ini", f"[databases]\n* = host={cluster.directory} port={cluster.port}\n[pgbouncer]\n{lines}")
        if os.geteuid() == 0:
            for name in ("users", "ini"):
                shutil.chown(home / name, OWNER, OWNER)
        with running(private("pgbouncer", home / "ini"), home, port):
            yield port


@contextmanager
def haproxy(home: Path, root: Path, *services: tuple[int, Sequence[int | str], bool], patience: int = 10) -> Iterator[None]:
    """HAProxy, which passes the connections to a port on to the servers that are ready, one after the other.

    A service is the port, the ports of the servers or their addresses, and whether they speak TLS, which is verified with the root. One that
    does not say within some seconds that it is ready is not."""
    if not shutil.which("haproxy", path=clean_environment(home)["PATH"]):
        pytest.skip("there is no haproxy: run script/bootstrap")
    text = f"defaults\n    mode tcp\n    timeout connect 5s\n    timeout check {patience}s\n    timeout client 5m\n    timeout server 5m\n"
    # It would share a port with another HAProxy that was given the same.
    sockets = [socket.create_server(("127.0.0.1", port)) for port, _, _ in services]
    for own, (_, servers, is_tls) in zip(sockets, services, strict=True):
        name, check, request = own.fileno(), "check inter 1s fastinter 200ms fall 2 rise 1", ""
        if is_tls:
            check += f" check-ssl verify required ca-file {root}"
            request = "    option httpchk GET /readyz\n"
        # Where none is ready, any of them says why.
        text += f"frontend {name}\n    bind fd@{name}\n    use_backend any-{name} if {{ nbsrv(ready-{name}) eq 0 }}\n    default_backend ready-{name}\n"
        for backend, options in ((f"ready-{name}", check), (f"any-{name}", "")):
            text += f"backend {backend}\n    option redispatch\n    retries 3\n{request if options else ''}"
            addresses = [one if isinstance(one, str) else f"127.0.0.1:{one}" for one in servers]
            text += "".join(f"    server ca-{one} {one} {options}\n" for one in addresses)
    place = home / f"haproxy-{services[0][0]}"
    place.mkdir(exist_ok=True)
    (place / "haproxy.cfg").write_text(text)
    command = ["setpriv", "--pdeathsig", "TERM", "haproxy", "-db", "-f", "haproxy.cfg"]
    with running(command, place, services[0][0], [own.fileno() for own in sockets]):
        for own in sockets:
            own.close()
        yield
