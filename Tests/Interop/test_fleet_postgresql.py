# SPDX-License-Identifier: Apache-2.0
"""The chapter of docs/fleet.md about two servers on PostgreSQL, as a reader follows it, and what it promises."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from enrolling import serving_ca
from postgresql import OWNER, ROLE, Cluster, postgresql, private, programs, room, running, secret
from program import DENIED, REPOSITORY, UNAVAILABLE, Pki
from servers import closed_port
from serving import wait_for
from tools import openssl, tool
from walkthrough import Shell, Step, Walk, steps

PAGE = REPOSITORY / "docs/fleet.md"
CHAPTER = "Two servers on PostgreSQL"
BEFORE = "From a laptop to a served intermediate"


def chapter() -> str:
    [text] = re.findall(rf"^## {CHAPTER}\n(.*?)^## ", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return text


def block(language: str, word: str) -> str:
    """The chapter's block in that language with that word."""
    [text] = [text for text in re.findall(rf"```{language}\n(.*?)```", chapter(), re.DOTALL) if word in text]
    return text


def replaced(text: str, values: dict[str, object]) -> str:
    """The text with each of these, which must be in it, replaced."""
    for shown, value in values.items():
        assert shown in text, f"the page does not show {shown}"
        text = text.replace(shown, str(value))
    return text


class Reader(Walk):
    """Follows the first chapter without starting its server, and then the one about PostgreSQL."""

    def __init__(self, home: Path, binary: Path, cluster: Cluster):
        super().__init__(PAGE, home, binary)
        text = PAGE.read_text()
        self.steps = [step for step in steps(text, BEFORE) if step.terminal != "ca"] + steps(text, CHAPTER)
        self.cluster = cluster
        self.environment |= {"PGHOST": str(cluster.directory), "PGPORT": str(cluster.port), "PGUSER": OWNER}
        self.place = self.home / "fleet"
        self.ports = {"5432": str(cluster.port), **{port: str(closed_port()) for port in ("6432", "8443", "8451", "8452")}}
        self.meanwhile: dict[str, Callable[[], None]] = {}
        """What happens before the command that has these words."""

    def prepare(self, step: Step) -> None:
        for words in [words for words in self.meanwhile if words in step.command]:
            self.meanwhile.pop(words)()

    def run_in(self, shell: Shell, step: Step) -> None:
        self.prepare(step)
        super().run_in(shell, step)

    def run_in_terminal(self, step: Step) -> None:
        self.prepare(step)
        super().run_in_terminal(step)

    def haproxy(self) -> list[str]:
        (self.place / "root-cert.pem").write_bytes((self.place / "server/root-cert.pem").read_bytes())
        values = {f"10.0.0.{number}:8443": f"127.0.0.1:{self.ports[f'845{number}']}" for number in (1, 2)}
        text = replaced(block("haproxy", "listen ca"), {**values, "bind :8443": f"bind 127.0.0.1:{self.ports['8443']}"})
        (self.place / "haproxy.cfg").write_text(text)
        return ["setpriv", "--pdeathsig", "TERM", "haproxy", "-db", "-f", "haproxy.cfg"]

    def pgbouncer(self, home: Path) -> list[str]:
        text = replaced(block("ini", "[pgbouncer]"), {"5432": self.cluster.port, "6432": self.ports["6432"], "userlist.txt": home / "userlist.txt"})
        [password] = re.findall(r"^\*:\*:pki:ca_2:(\w+)$", (self.place / "pgpass").read_text(), re.MULTILINE)
        for path in (secret(home / "userlist.txt", f'"ca_2" "{password}"\n'), secret(home / "pgbouncer.ini", text + "unix_socket_dir =\n")):
            if os.geteuid() == 0:
                shutil.chown(path, OWNER, OWNER)
        return private("pgbouncer", home / "pgbouncer.ini")


def test_every_command_of_the_chapter_works(built: Path, tmp_path: Path) -> None:
    for program in ("haproxy", "pgbouncer", "jq"):
        if not shutil.which(program, path="/usr/local/bin:/usr/sbin:/usr/bin"):
            pytest.skip(f"there is no {program}: run script/bootstrap")
    with postgresql() as cluster, ExitStack() as stack:
        reader = Reader(tmp_path, built, cluster)
        dump = cluster.directory / "before"
        where = ("--host", cluster.directory, "--port", str(cluster.port), "--username", OWNER)

        def start_pgbouncer() -> None:
            home = stack.enter_context(room())
            stack.enter_context(running(reader.pgbouncer(home), home, int(reader.ports["6432"])))

        def start_haproxy() -> None:
            stack.enter_context(running(reader.haproxy(), reader.place, int(reader.ports["8443"])))
            ready = ("curl", "--silent", "--fail", "--cacert", reader.place / "root-cert.pem", f"https://127.0.0.1:{reader.ports['8443']}/readyz")
            end = time.monotonic() + 30
            while tool(*ready, status=None).status != 0:
                assert time.monotonic() < end

        def set_back() -> None:
            for name in ("ca-1", "ca-2"):
                reader.terminals[name].interrupt()
            cluster.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'pki'")
            cluster.psql("DROP DATABASE pki")
            cluster.psql("CREATE DATABASE pki TEMPLATE template0")
            tool("pg_restore", *where, "--dbname", "pki", dump)

        aws: list[int] = []

        def number_in_aws() -> None:
            aws.append(int(openssl("crl", "-in", reader.place / "server/issuing-1-crl.pem", "-noout", "-crlnumber").stdout.split("=")[1], 16))

        reader.meanwhile = {
            "--directory server-2 --listen": start_pgbouncer,
            "for name in": start_haproxy,
            "pki revoke": lambda: tool("pg_dump", *where, "--format", "custom", "--file", dump, "pki") and None,
            "list-crls": set_back,
            "rm server/issuing-1-crl.pem": number_in_aws,
        }
        reader.run()
        assert not reader.meanwhile
        # After the inventory was set back, what AWS knew is revoked, and numbers go on from there.
        assert cluster.psql("SELECT name FROM certificates WHERE revoked_at IS NOT NULL", "pki") == "app-2"
        assert cluster.psql("SELECT detail FROM audit WHERE action = 'crl' ORDER BY id DESC LIMIT 1", "pki") == f"number {aws[0] + 1}, 1 revoked"


def other_address() -> str:
    """An address of this machine that is not loopback."""
    found = [address for address in tool("hostname", "--all-ip-addresses").stdout.split() if ":" not in address]
    if not found:
        pytest.skip("this machine has loopback alone")
    return found[0]


def test_the_certificate_of_a_database_elsewhere_is_verified(pki: Pki, tmp_path: Path) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    for name in ("right", "wrong"):
        pki.run("init-ca", "--directory", tmp_path / name)
    pki.run("issue-client", "db-1", "--directory", tmp_path / "right", "--profile", "server", "--dns", "db-1.example.com")
    here = ("list", "--directory", tmp_path / "ca")
    with postgresql() as cluster:
        def url(root: str, host: str = "db-1.example.com", **more: str) -> str:
            return cluster.url("ca", host=host, hostaddr=other_address(), sslrootcert=str(tmp_path / root / "root-cert.pem"), **more)

        cluster.psql(f"CREATE DATABASE ca OWNER {ROLE}")
        pki.run("inventory", "init", "--inventory", cluster.url("ca"))
        # A server without TLS is no server.
        pki.run(*here, "--inventory", url("right"), status=UNAVAILABLE)
        pki.run(*here, "--inventory", url("right", sslmode="disable"))
        for name in ("cert", "key"):
            path = secret(cluster.directory / f"{name}.pem", (tmp_path / f"right/db-1-{name}.pem").read_text())
            if os.geteuid() == 0:
                shutil.chown(path, OWNER, OWNER)
            cluster.psql(f"ALTER SYSTEM SET ssl_{name}_file = '{path}'")
        cluster.psql("ALTER SYSTEM SET ssl = on")
        cluster.psql("SELECT pg_reload_conf()")
        pki.run(*here, "--inventory", url("right"))
        pki.run(*here, "--inventory", url("wrong"), status=UNAVAILABLE)
        pki.run(*here, "--inventory", url("right", host="db-2.example.com"), status=UNAVAILABLE)


def test_no_message_has_the_password(pki: Pki, tmp_path: Path) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    for path in (tmp_path / "ca").glob("inventory.sqlite*"):
        path.unlink()
    for address in (
        f"postgresql://pki:hunter2@127.0.0.1:{closed_port()}/pki", "postgresql://pki:hunter2@127.0.0.1:x/pki",
        "postgresql://pki:hunter2@127.0.0.1/pki?nothing=1", f"host=127.0.0.1 port={closed_port()} password=hunter2", "password=hunter2 host",
    ):  # fmt: skip
        for how in ({"PKI_INVENTORY": address}, {}):
            options = () if how else ("--inventory", address)
            done = pki.with_environment(**how).run("list", "--directory", tmp_path / "ca", *options, status=None)
            assert done.status != 0 and "hunter2" not in done.stdout + done.stderr, address
    with postgresql() as cluster:
        address = f"postgresql://{ROLE}:hunter2@127.0.0.1:{cluster.port}/{OWNER}"
        done = pki.run("list", "--directory", tmp_path / "ca", "--inventory", address, status=None)
        assert done.status != 0 and "hunter2" not in done.stdout + done.stderr


class Node:
    """A machine of the database, as the page configures it: Patroni, and PostgreSQL below it."""

    def __init__(self, name: str, home: Path, etcd: int, files: dict[str, Path]):
        self.name, self.home, self.port, self.rest = name, home, closed_port(), closed_port()
        given = yaml.safe_load(block("yml", "scope: pki"))
        assert given["postgresql"]["bin_dir"].endswith("/bin") and given["bootstrap"]["dcs"]["synchronous_mode"] is True
        given["name"] = name
        given["etcd3"]["hosts"] = [f"127.0.0.1:{etcd}"]
        given["restapi"] = {kind: f"127.0.0.1:{self.rest}" for kind in given["restapi"]}
        given["bootstrap"]["pg_hba"] = [line.replace("10.0.0.0/24", "127.0.0.0/8") for line in given["bootstrap"]["pg_hba"]]
        place = {"listen": f"127.0.0.1:{self.port}", "connect_address": f"127.0.0.1:{self.port}", "data_dir": str(home / "data"), "bin_dir": str(programs())}
        assert given["postgresql"].keys() >= place.keys()
        parameters = {"unix_socket_directories": str(home), "ssl": given["postgresql"]["parameters"]["ssl"], **{name: str(path) for name, path in files.items()}}
        assert parameters.keys() == {"unix_socket_directories", *given["postgresql"]["parameters"]}
        given["postgresql"] |= place | {"parameters": parameters, "pgpass": str(home / "pgpass")}
        self.password: str = given["postgresql"]["authentication"]["superuser"]["password"]
        self.file = secret(home / "config.yml", yaml.safe_dump(given))
        if os.geteuid() == 0:
            shutil.chown(self.file, OWNER, OWNER)

    @contextmanager
    def started(self) -> Iterator[None]:
        try:
            with running(private("patroni", self.file), self.home, self.rest) as self.process:
                yield
        finally:
            self.kill()

    def kill(self) -> None:
        """As a loss of power does."""
        if self.process.poll() is None:
            self.process.kill()
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((self.home / "data/postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def is_(self, role: str) -> bool:
        """What Patroni says at its health checks: primary, replica, synchronous."""
        return tool("curl", "--silent", "--fail", f"http://127.0.0.1:{self.rest}/{role}", status=None).status == 0


def test_a_failover_of_its_patroni_loses_nothing(pki: Pki, tmp_path: Path) -> None:
    for program in ("patroni", "etcd"):
        if not shutil.which(program, path="/usr/local/bin:/usr/sbin:/usr/bin"):
            pytest.skip(f"there is no {program}: run script/bootstrap")
    for name in ("ca", "database"):
        pki.run("init-ca", "--directory", tmp_path / name)
    pki.run("issue-client", "db", "--directory", tmp_path / "database", "--profile", "server", "--dns", "localhost")
    with ExitStack() as stack:
        homes = [stack.enter_context(room()) for _ in range(3)]
        client, between = closed_port(), closed_port()
        urls = [word for kind, port in (("client", client), ("peer", between)) for word in (f"--listen-{kind}-urls", f"http://127.0.0.1:{port}")]
        etcd = ("etcd", "--data-dir", homes[0] / "etcd", *urls, "--advertise-client-urls", f"http://127.0.0.1:{client}",
                "--initial-advertise-peer-urls", f"http://127.0.0.1:{between}", "--initial-cluster", f"default=http://127.0.0.1:{between}")  # fmt: skip
        stack.enter_context(running(private(*etcd), homes[0], client))
        nodes = []
        for name, home in zip(("db-1", "db-2"), homes[1:], strict=True):
            files = {f"ssl_{kind}_file": secret(home / f"{kind}.pem", (tmp_path / f"database/db-{kind}.pem").read_text()) for kind in ("cert", "key")}
            if os.geteuid() == 0:
                for path in files.values():
                    shutil.chown(path, OWNER, OWNER)
            nodes.append(node := Node(name, home, client, files))
            stack.enter_context(node.started())
            wait_for(lambda node=node, role=("synchronous" if name == "db-2" else "primary"): node.is_(role), 90, log=home / "log")
        first, second = nodes
        [shown] = re.findall(r"^(postgresql://ca_1@db-1\S+)$", chapter(), re.MULTILINE)
        root = tmp_path / "database/root-cert.pem"
        url = replaced(shown, {
            "db-1.example.com,db-2.example.com": f"localhost:{first.port},localhost:{second.port}",
            "/etc/pki/roles-anywhere/database-ca.pem": root,
        }) + "&sslmode=verify-full"  # fmt: skip
        owner = url.replace("ca_1@", f"postgres:{first.password}@")
        tool("psql", owner.replace("/pki?", "/postgres?"), "--command", "CREATE DATABASE pki")
        pki.run("inventory", "init", "--inventory", owner)
        tool("psql", owner, "--command", "CREATE ROLE ca_1 LOGIN PASSWORD 'secret' IN ROLE pki_server, pki_admin")
        pki.run("inventory", "copy", "--from", tmp_path / "ca", "--to", owner)
        for path in (tmp_path / "ca").glob("inventory.sqlite*"):
            path.unlink()
        server = pki.with_environment(PGPASSFILE=str(secret(tmp_path / "pgpass", "*:*:pki:ca_1:secret\n")), PKI_INVENTORY=url)
        with serving_ca(server, tmp_path / "ca") as authority:
            made = pki.run("token", "create", "--name", "web-*", "--uses", "4", "--directory", tmp_path / "ca", "--inventory", owner)
            host = pki.with_environment(PKI_TOKEN=made.stdout.strip())

            def enrols(name: str) -> bool:
                return host.run("enrol", name, "--server", authority.url, "--directory", tmp_path / "host", status=None).status == 0

            assert enrols("web-1")
            first.kill()
            wait_for(lambda: enrols("web-2"), 90, log=authority.log)
            assert second.is_("primary")
            pki.run("renew", "web-1", "--server", authority.url, "--directory", tmp_path / "host")
            listed = server.run("list", "web-*", "--directory", tmp_path / "ca", "--format", "json").json
            assert sorted(entry["name"] for entry in listed) == ["web-1", "web-2"]


def test_its_roles_do_what_its_table_says(pki: Pki, tmp_path: Path) -> None:
    roles = re.findall(r"^\| `(pki_\w+)` \|", chapter(), re.MULTILINE)
    assert roles == ["pki_server", "pki_admin", "pki_reader"]
    place = tmp_path / "ca"
    pki.run("init-ca", "--directory", place)
    pki.run("issue-client", "web-1", "--directory", place)
    with postgresql() as cluster:
        owner = cluster.url(cluster.database())
        name = owner.partition("?")[0].rpartition("/")[2]
        pki.run("inventory", "init", "--inventory", owner)
        pki.run("inventory", "copy", "--from", place, "--to", owner)
        for path in place.glob("inventory.sqlite*"):
            path.unlink()
        for role in roles:
            cluster.psql(f"CREATE ROLE login_{role} LOGIN PASSWORD '{cluster.password}' IN ROLE {role}")

        def as_(role: str) -> tuple[Pki, tuple[str, str | Path]]:
            return pki.with_environment(PKI_INVENTORY=owner.replace(f"{ROLE}@", f"login_{role}@")), ("--directory", place)

        for role in roles:
            one, here = as_(role)
            for command in (("list",), ("audit", "--verify"), ("status",), ("pending",), ("token", "list")):
                one.run(*command, *here)
            for sql in (
                "DELETE FROM certificates", "DELETE FROM audit", "UPDATE audit SET who = 'nobody'", "TRUNCATE audit", "DROP TABLE audit",
                "ALTER TABLE audit DISABLE TRIGGER ALL", "DELETE FROM certificate_contents", "UPDATE inventory_version SET version = 1",
            ):  # fmt: skip
                assert "denied" in (said := cluster.psql(sql, name, user=f"login_{role}", status=1)) or "must be owner" in said, (role, sql)
        reader, here = as_("pki_reader")
        for command in (("token", "create", "--name", "web-2"), ("revoke", "web-1"), ("crl",)):
            reader.run(*command, *here, status=DENIED)
        admin, here = as_("pki_admin")
        token = admin.run("token", "create", "--name", "web-2", *here).stdout.strip()
        admin.run("revoke", "web-1", *here)
        admin.run("crl", *here)
        server, here = as_("pki_server")
        server.run("token", "create", "--name", "web-3", *here, status=DENIED)
        with serving_ca(server, place) as authority:
            pki.with_environment(PKI_TOKEN=token).run("enrol", "web-2", "--server", authority.url, "--directory", tmp_path / "host")
