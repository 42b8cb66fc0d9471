# SPDX-License-Identifier: Apache-2.0
"""The rows of `fleet` about an inventory on PostgreSQL, which two servers share on the same machine."""

from __future__ import annotations

import shutil
import statistics
import time
import urllib.request
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from bench.fixtures import World, wait_for
from bench.fleet import FLEET, HOSTS, ISSUER, FleetExtent, Load, loaded, middle, rate
from bench.postgresql import cluster
from bench.process import Failed, cpu_seconds, free_port, memory
from bench.rows import row
from bench.table import Figure, Goal

# What differs from one certificate to the next; everything else is as in the one that is there.
OTHER = {"name": "'host-' || {n}", "subject": "'CN=host-' || {n}", "serial": "substr({random}, 1, 20)", "fingerprint": "{random}",
         "subject_key": "{random}", "common_name": "'host-' || {n}", "certificate_path": "'host-' || {n} || '-cert.pem'"}  # fmt: skip
RANDOM = "sha256(('{salt}' || {n} || random())::bytea)"


class Servers:
    """A CA below a root with several servers, an inventory on PostgreSQL, and a token for as many hosts as there are."""

    def __init__(self, world: World, name: str, rows: int = 0, count: int = 2) -> None:
        self.world, self.name, self.database = world, name, cluster(world)
        self.database.query(f"CREATE DATABASE {name}", "postgres")
        self.url = self.database.url(name)
        first = world.directory / f"{name}-1"
        world.run([world.pki, "init-ca", "--directory", first])
        world.run([world.pki, "issue-intermediate", ISSUER, "--directory", first])
        world.run([world.pki, "issue-client", "--directory", first, "--issuer", ISSUER, "--name", "seed"])
        world.run([world.pki, "inventory", "init", "--inventory", self.url])
        world.run([world.pki, "inventory", "copy", "--from", first, "--to", self.url])
        self.directories = [first]
        self.kid, self.secret = self.token("*", uses=10_000_000)
        if rows:
            self.fill(rows)
        for number in range(2, count + 1):
            self.directories.append(world.directory / f"{name}-{number}")
            shutil.copytree(first, self.directories[-1], ignore=shutil.ignore_patterns("inventory.sqlite*"))
        self.root = first / "root-cert.pem"
        self.ports = [free_port() for _ in self.directories]
        self.plain = [free_port() for _ in self.directories]
        self.processes = [self.start(number) for number in range(count)]
        self.rounds = 0

    def start(self, number: int):
        listen = ["--listen", f"127.0.0.1:{self.ports[number]}", "--revocation-listen", f"127.0.0.1:{self.plain[number]}"]
        words = ["serve-ca", "--directory", self.directories[number], "--issuer", ISSUER, *listen]
        process = self.world.background([self.world.pki, *words], {"PKI_INVENTORY": self.url})
        wait_for(self.ports[number], process)
        return process

    def query(self, sql: str) -> list[list[str]]:
        return self.database.query(sql, self.name)

    def value(self, sql: str) -> float:
        return float(self.query(sql)[0][0])

    def move(self, port: int) -> None:
        """Starts the servers again on another port of PostgreSQL."""
        self.url = self.database.url(self.name, port)
        for number, process in enumerate(self.processes):
            process.terminate()
            process.wait(timeout=60)
            self.processes[number] = self.start(number)

    def command(self, *words: str | Path) -> list[str | Path]:
        return [self.world.pki, *words, "--directory", self.directories[0], "--inventory", self.url]

    def token(self, name: str, uses: int = 1, days: int = 7) -> tuple[str, str]:
        words = self.command("token", "create", "--name", name, "--uses", str(uses), "--days", str(days), "--expires", "1d")
        kid, secret, _ = self.world.output(words).strip().split(".")
        return kid, secret

    def cpu_seconds(self) -> float:
        return sum(map(cpu_seconds, self.processes))

    def load(self, count: int, *kind: str, pace: Sequence[float] = ()) -> list[Load]:
        """Enrols hosts of new names, and says what each part of it took."""
        self.rounds += 1
        words = [kind[0], *(["/acme"] if kind[0] == "acme" else []), self.kid, self.secret, f"{self.name}-{self.rounds}-"]
        sides = {"servers": self.cpu_seconds, "PostgreSQL": self.database.cpu_seconds}
        return loaded(self.world, sides, ",".join(map(str, self.ports)), self.root, count, words, pace)

    @cached_property
    def seed(self) -> dict[str, dict[str, str]]:
        """The columns of a certificate's rows with their values in SQL."""
        tables = {}
        for table, condition in (
            ("certificates", "name = 'seed'"),
            ("certificate_contents", "id = (SELECT id FROM certificates WHERE name = 'seed')"),
            ("audit", "name = 'seed'"),
            ("templates", "digest = (SELECT template FROM certificates WHERE name = 'seed')"),
        ):
            columns = [name for (name,) in self.query(
                f"SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"
            )]  # fmt: skip
            values = " || chr(9) || ".join(f"quote_nullable({column}::text)" for column in columns)
            found = self.query(f"SELECT {values} FROM {table} WHERE {condition} LIMIT 1")[0]
            tables[table] = dict(zip(columns, found))
        return tables

    def row_of(self, n: str) -> dict[str, str]:
        values = {key: value for key, value in self.seed["certificates"].items() if key != "id"}
        return values | {
            key: value.format(n=n, random=RANDOM.format(n=n, salt=key)) for key, value in OTHER.items() if key in values
        }

    def fill(self, rows: int) -> None:
        """Rows of certificates that hosts got by the token."""
        values = self.row_of("n")
        values["not_after"] = f"{values['not_after']}::bigint + n / 1000"
        der = self.seed["certificate_contents"]["der"]
        self.query(
            f"WITH new AS (INSERT INTO certificates ({', '.join(values)}) SELECT {', '.join(values.values())} "
            f"FROM generate_series(1, {rows}) AS n RETURNING id), "
            f"contents AS (INSERT INTO certificate_contents (id, der) SELECT id, {der} FROM new) "
            "INSERT INTO enrolments (proof, request, certificate) "
            f"SELECT 'token:{self.kid}', sha256(id::text::bytea), id FROM new"
        )
        # As the server's own process does after so many rows, a minute later.
        self.query("VACUUM ANALYZE")

    def written(self, size: int, clients: int, seconds: int) -> float:
        """Of how many certificates a second pgbench writes the rows, so many in a transaction, in a database that has nothing else."""
        database, plain = self.database, f"{self.name}_plain"
        if not self.query(f"SELECT 1 FROM pg_database WHERE datname = '{plain}'"):
            self.query(f"CREATE DATABASE {plain}")
            self.world.run([self.world.pki, "inventory", "init", "--inventory", database.url(plain)])
            database.query(insert("templates", self.seed["templates"]), plain)
        n = "random()"
        audit = {key: value for key, value in self.seed["audit"].items() if key != "id"}
        rows = {
            "certificates": self.row_of(n),
            "certificate_contents": {"id": ":id", "der": self.seed["certificate_contents"]["der"]},
            "enrolments": {"proof": f"'token-{self.kid}'", "request": RANDOM.format(n=n, salt=""), "certificate": ":id"},
            "audit": audit | {"name": f"'host-' || {n}", "previous": RANDOM.format(n=n, salt="audit")},
        }
        # pgbench takes a colon for the beginning of a variable.
        statements = [
            insert(table, {key: value.replace(":", "' || chr(58) || '") if value[0] == "'" else value for key, value in values.items()})
            for table, values in rows.items()
        ]
        one = f"{statements[0]} RETURNING id \\gset\n" + "".join(f"{statement};\n" for statement in statements[1:])
        return size * database.transactions(f"BEGIN;\n{one * size}COMMIT;\n", clients, seconds, plain)

    @property
    def commits(self) -> float:
        """Of the transactions that changed something."""
        return self.value("SELECT n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE relname = 'inventory_writers'")

    def list_of(self, number: int) -> Path:
        """The file with the CRL that a server has."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.plain[number]}/crl/{ISSUER}.crl", timeout=60) as answer:
            file = self.world.directory / f"{self.name}-{number}.crl"
            file.write_bytes(answer.read())
            return file

    def list_number(self, number: int) -> int:
        said = self.world.output(["openssl", "crl", "-inform", "DER", "-in", self.list_of(number), "-noout", "-crlnumber"])
        return int(said.strip().partition("=")[2], 16)


def insert(table: str, values: dict[str, str]) -> str:
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(values.values())})"


@row("postgresql", "initdb", "pgbouncer", rows=FLEET)
def postgresql(world: World, extent: FleetExtent) -> Iterator[Figure]:
    """Enrolments and renewals at two servers, beside what the machine can write; at half the rate; through PgBouncer."""
    servers = Servers(world, "shared")
    limits, taken, groups = [], [], []
    for _ in range(extent.rounds):
        limits.append(servers.written(1, 32, extent.seconds))
        before = servers.commits
        taken.append(servers.load(extent.enrolments, "est"))
        # Statistics come a second late.
        time.sleep(1.1)
        groups.append(2 * extent.enrolments / (servers.commits - before))
    limit, size = statistics.median(limits), statistics.median(groups)
    plain = "rows that pgbench writes, 32 clients, one commit each"
    whole = [middle([loads[part] for loads in taken]).rate for part in (0, 1)]
    yield rate("EST, two servers", [loads[0] for loads in taken], Goal("value", "≥", 1_500), plain, limit)
    yield rate("EST renewal, two servers", [loads[1] for loads in taken], Goal("value", "≥", 500), plain, limit)
    grouped = max(2, round(size))
    yield Figure("rows in groups of the same size", servers.written(grouped, 2, extent.seconds),
                 "/s", note=f"pgbench, 2 clients, {size:.1f} certificates a commit")  # fmt: skip
    count = max(HOSTS, extent.enrolments // 2)
    paced = [servers.load(count, "est", pace=[rate / 2 for rate in whole]) for _ in range(extent.rounds)]
    for part, title in enumerate(("EST", "EST renewal")):
        load = middle([loads[part] for loads in paced])
        yield Figure(f"{title}, 99 of 100, at half the rate", load.late, "ms", goal=Goal("value", "≤", 50),
                     note=f"{load.rate:,.0f}/s; half within {load.median:.1f} ms")  # fmt: skip
    servers.move(servers.database.bouncer)
    behind = [servers.load(extent.enrolments, "est") for _ in range(extent.rounds)]
    for part, title in enumerate(("EST", "EST renewal")):
        yield rate(f"{title}, through PgBouncer", [loads[part] for loads in behind], None, "without", whole[part])


@row("postgresql-acme", "initdb", rows=FLEET)
def postgresql_acme(world: World, extent: FleetExtent) -> Iterator[Figure]:
    """Orders at two servers."""
    servers = Servers(world, "orders")
    loads = [servers.load(max(HOSTS, extent.enrolments // 2), "acme")[0] for _ in range(extent.rounds)]
    yield rate("ACME orders, two servers", loads, Goal("value", "≥", 250))


@row("postgresql-rows", "initdb", "openssl", rows=FLEET)
def postgresql_rows(world: World, extent: FleetExtent) -> Iterator[Figure]:
    """A large inventory beside an empty one, in turn: rates, memory, what reads the table, and a long CRL."""
    large, empty = Servers(world, "large", extent.rows), Servers(world, "empty")
    early = most_memory(large)
    yield from idle(large, extent)
    sides: dict[str, list[list[Load]]] = {"large": [], "empty": []}
    for number in range(extent.rounds):
        turn = [large, empty]
        for servers in turn if number % 2 else reversed(turn):
            sides[servers.name].append(servers.load(extent.enrolments, "est"))
    for part, title in enumerate(("EST", "EST renewal")):
        own, other = ([loads[part] for loads in sides[name]] for name in ("large", "empty"))
        yield rate(f"{title}, {extent.rows:,} rows", own, Goal("ratio", "≥", 0.9), "no rows", middle(other).rate)
    goal = Goal("value", "≤", 150)
    note = f"{early:.1f} MB at the start; then {2 * extent.rounds * extent.enrolments:,} certificates at two servers"
    yield Figure(f"memory with {extent.rows:,} rows", most_memory(large), "MB", goal=goal, note=note)
    yield from revocation(large, extent)
    yield Figure("memory after such CRLs", most_memory(large), "MB", goal=goal, note="DER, PEM and what they are made of")


def most_memory(servers: Servers) -> float:
    return max(memory(process, "VmHWM") for process in servers.processes)


def idle(servers: Servers, extent: FleetExtent) -> Iterator[Figure]:
    """What the servers read of the table without requests."""
    columns = ("seq_scan", "seq_tup_read", "idx_scan", "idx_tup_fetch")
    query = f"SELECT {', '.join(columns)} FROM pg_stat_user_tables WHERE relname = 'certificates'"
    time.sleep(1.1)
    before = list(map(int, servers.query(query)[0]))
    time.sleep(extent.idle)
    after = list(map(int, servers.query(query)[0]))
    difference = {name: late - early for name, early, late in zip(columns, before, after)}
    read = difference["seq_tup_read"] + difference["idx_tup_fetch"]
    yield Figure(
        f"rows read in {extent.idle} s of rest", read, "", goal=Goal("value", "≤", 10 * extent.idle),
        note=f"of {extent.rows:,}; " + ", ".join(f"{name} {value}" for name, value in difference.items()),
    )  # fmt: skip


def revocation(servers: Servers, extent: FleetExtent) -> Iterator[Figure]:
    """A CRL of many entries: made by a command, and by a server after a revocation."""
    entries = extent.rows // 10
    hosts = "name LIKE 'host-%' AND revoked_at IS NULL ORDER BY id LIMIT"
    servers.query("UPDATE certificates SET revoked_at = issued_at, revocation_reason = 1 WHERE id IN "
                  f"(SELECT id FROM certificates WHERE {hosts} {entries})")  # fmt: skip
    goal = Goal("value", "≤", 1_000)
    samples = [servers.world.run(servers.command("crl", "--issuer", ISSUER)) for _ in range(max(3, extent.rounds))]
    taken = statistics.median(sample.milliseconds for sample in samples)
    busy = statistics.median(sample.cpu_milliseconds for sample in samples)
    largest = max(sample.megabytes for sample in samples)
    yield Figure(f"pki crl, {entries:,} entries", taken, "ms", goal=goal, note=f"{busy:,.0f} ms of CPU, {largest:.0f} MB")
    waited, octets = [], 0
    for (name,) in servers.query(f"SELECT name FROM certificates WHERE {hosts} {extent.rounds}"):
        before = max(map(servers.list_number, (0, 1)))
        servers.world.run(servers.command("revoke", name, "--reason", "superseded"))
        start = time.monotonic()
        while min(map(servers.list_number, (0, 1))) <= before:
            if time.monotonic() > start + 60:
                raise Failed("the servers have not made a CRL after a revocation")
            time.sleep(0.05)
        waited.append(time.monotonic() - start)
        octets = servers.list_of(0).stat().st_size
    yield Figure(
        "a revocation is in both CRLs after", statistics.median(waited), "s", goal=Goal("value", "≤", 5),
        note=f"{octets:,} octets",
    )  # fmt: skip
