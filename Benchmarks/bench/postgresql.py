# SPDX-License-Identifier: Apache-2.0
"""A server of PostgreSQL of one's own with Debian's defaults, so that each commit waits for the disk, and PgBouncer before it."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from functools import cache, cached_property
from pathlib import Path

from bench.fixtures import World, wait_for
from bench.process import Failed, free_port

USER = "postgres"
PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=Path("/usr/bin/initdb")).parent

BOUNCER = """[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
ignore_startup_parameters = extra_float_digits
"""


class PostgreSQL:
    """A cluster on the loopback interface, which is gone when the workshop is closed."""

    def __init__(self, world: World) -> None:
        self.world, self.port, self.password = world, free_port(), secrets.token_hex(16)
        self.directory = enterable_directory()
        world.closing.callback(shutil.rmtree, self.directory, ignore_errors=True)
        (self.directory / "password").write_text(self.password)
        for path in (self.directory, self.directory / "password"):
            if os.geteuid() == 0:
                shutil.chown(path, USER, USER)
        self.data = self.directory / "data"
        world.output([*as_user(), PROGRAMS / "initdb", "--pgdata", self.data, "--username", "pki", "--encoding", "UTF8",
                      "--auth", "scram-sha-256", "--pwfile", self.directory / "password"], cwd=self.directory)  # fmt: skip
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        # runuser stays in between and is no server: the server is known by its file.
        self.process = world.start(
            [*as_user(), PROGRAMS / "postgres", "-D", self.data, *(f"--{name}={value}" for name, value in options.items())],
            cwd=self.directory,
        )
        world.closing.callback(self.stop)
        wait_for(self.port, self.process)
        self.wait_until_ready()

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgresql://pki:{self.password}@127.0.0.1:{port or self.port}/{database}"

    def wait_until_ready(self) -> None:
        end = time.monotonic() + 60
        while subprocess.run([PROGRAMS / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode != 0:
            if time.monotonic() > end or self.process.poll() is not None:
                raise Failed("PostgreSQL did not start")
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """The server's first process."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def stop(self) -> None:
        if self.process.poll() is None:
            # Fast: connections are not waited for.
            os.kill(self.pid, signal.SIGINT)
            self.process.wait(timeout=120)

    def query(self, sql: str, database: str) -> list[list[str]]:
        """The rows of the last statement."""
        words = [PROGRAMS / "psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]
        said = self.world.output(
            [*words, "-p", str(self.port), "-U", "pki", "-d", database, "-c", sql], {"PGPASSWORD": self.password}
        )
        return [line.split("\t") for line in said.splitlines()]

    def cpu_seconds(self) -> float:
        """The CPU time of all its processes, also of those that have ended."""
        total, first = 0, self.pid
        for entry in Path("/proc").iterdir():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
            except OSError:
                continue
            if fields and (int(entry.name) == first or int(fields[1]) == first):
                total += sum(map(int, fields[11 : 15 if int(entry.name) == first else 13]))
        return total / os.sysconf("SC_CLK_TCK")

    def transactions(self, script: str, clients: int, seconds: int, database: str) -> float:
        """How many transactions a second so many clients do, by pgbench."""
        file = self.world.directory / "transaction.sql"
        file.write_text(script)
        command = [PROGRAMS / "pgbench", "-n", "-M", "prepared", "-f", file, "-c", str(clients), "-j", "2", "-T", str(seconds)]
        said = self.world.output(
            [*command, "-h", "127.0.0.1", "-p", str(self.port), "-U", "pki", database], {"PGPASSWORD": self.password}
        )
        line = next(line for line in said.splitlines() if line.startswith("tps = "))
        return float(line.split()[2])

    @cached_property
    def bouncer(self) -> int:
        """The port of PgBouncer in transaction mode before it."""
        port = free_port()
        users, configuration = self.directory / "users.txt", self.directory / "pgbouncer.ini"
        users.write_text(f'"pki" "{self.password}"\n')
        configuration.write_text(BOUNCER.format(server=self.port, port=port, users=users))
        process = self.world.background([*as_user(), shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", "-q", configuration])
        wait_for(port, process)
        return port


@cache
def cluster(world: World) -> PostgreSQL:
    """The one that everything in a workshop shares, each with databases of its own."""
    return PostgreSQL(world)


def enterable_directory() -> Path:
    """A directory of one's own on the disk of TMPDIR, if PostgreSQL's user may enter it there; else elsewhere."""
    for place in (tempfile.gettempdir(), "/var/tmp", "/tmp"):
        directory = Path(tempfile.mkdtemp(prefix="pki-postgresql-", dir=place))
        if os.geteuid() != 0:
            return directory
        shutil.chown(directory, USER, USER)
        if subprocess.run([*as_user(), "test", "-x", directory], cwd="/").returncode == 0:
            return directory
        directory.rmdir()
    raise Failed(f"{USER} can enter no temporary directory")


def as_user() -> list[str]:
    """PostgreSQL refuses to run as root."""
    return [shutil.which("runuser") or "/sbin/runuser", "-u", USER, "--"] if os.geteuid() == 0 else []


def is_here() -> bool:
    user = os.geteuid() != 0 or any(entry.pw_name == USER for entry in pwd.getpwall())
    return user and (PROGRAMS / "initdb").exists()
