# SPDX-License-Identifier: Apache-2.0
"""The rows of `fleet`: what `pki serve-ca` does in a second, and what limits it."""

from __future__ import annotations

import os
import re
import sqlite3
import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.fixtures import World, wait_for
from bench.process import HERE, Failed, compiled, cpu_seconds, free_port, memory
from bench.rows import Extent, Row, row
from bench.table import Figure, Goal

FLEET: dict[str, Row] = {}
HOSTS = 64
ISSUER = "issuing-1"

CADDY = """{
    admin off
    skip_install_trust
    auto_https disable_redirects
    storage file_system DIRECTORY
}
localhost:PORT {
    tls internal
    acme_server
}
"""


@dataclass
class FleetExtent(Extent):
    enrolments: int
    """Certificates of each round, and renewals."""
    certificates: int
    """Over so many the memory is watched."""
    rows: int
    """The large inventory."""
    idle: int
    """For so many seconds idle servers are watched."""


@dataclass(frozen=True)
class Load:
    """What a load took: requests a second, milliseconds, and how many cores each side was busy."""

    rate: float
    median: float
    late: float
    cores: dict[str, float]


class Authority:
    """A CA below a root that serves hosts, with a token for as many as there are."""

    def __init__(self, world: World, name: str, rows: int = 0) -> None:
        self.world, self.name, self.port, self.plain = world, name, free_port(), free_port()
        self.directory = world.directory / name
        self.root = self.directory / "root-cert.pem"
        world.run([world.pki, "init-ca", "--directory", name])
        world.run([world.pki, "issue-intermediate", ISSUER, "--directory", name])
        # What the names in the inventory are like does not matter.
        words = [world.pki, "token", "create", "--directory", name, "--name", "*", "--uses", "1000000", "--expires", "1d"]
        self.kid, self.secret, _ = world.output(words).strip().split(".")
        self.rounds = 0
        if rows:
            self.fill(rows)
        listen = ["--listen", f"127.0.0.1:{self.port}", "--revocation-listen", f"127.0.0.1:{self.plain}"]
        self.process = world.background([world.pki, "serve-ca", "--directory", name, "--issuer", ISSUER, *listen])
        wait_for(self.port, self.process)

    def fill(self, rows: int) -> None:
        """Rows of certificates that hosts got by the token: one real one's with other names, serial numbers and keys."""
        world = self.world
        world.run([world.pki, "issue-client", "--directory", self.name, "--issuer", ISSUER, "--name", "seed"])
        database = sqlite3.connect(self.directory / "inventory.sqlite")
        columns = [column[1] for column in database.execute("PRAGMA table_info(certificates)")]
        other = {
            "id": "n.value", "name": "'host-' || n.value", "subject": "'CN=host-' || n.value", "serial": "randomblob(20)",
            "fingerprint": "randomblob(32)", "subject_key": "randomblob(32)", "common_name": "'host-' || n.value",
            "certificate_path": "'host-' || n.value || '-cert.pem'", "not_after": "not_after + n.value / 1000",
        }  # fmt: skip
        with database:
            first = database.execute("SELECT max(id) + 1 FROM certificates").fetchone()[0]
            numbers = f"WITH n(value) AS (SELECT {first} UNION ALL SELECT value + 1 FROM n WHERE value < {first + rows - 1})"
            values = ", ".join(other.get(column, column) for column in columns)
            database.execute(
                f"INSERT INTO certificates ({', '.join(columns)}) {numbers} SELECT {values} FROM n, certificates "
                "WHERE name = 'seed'"
            )
            database.execute(
                f"INSERT INTO certificate_contents (id, der) {numbers} SELECT n.value, der FROM n, certificate_contents "
                "WHERE certificate_contents.id = (SELECT id FROM certificates WHERE name = 'seed')"
            )
            database.execute(
                f"INSERT INTO enrolments (proof, request, certificate) {numbers} "
                f"SELECT 'token:{self.kid}', randomblob(32), n.value FROM n"
            )
        database.close()

    def load(self, count: int, *kind: str) -> list[Load]:
        """Enrols hosts of new names, and says what each part of it took."""
        self.rounds += 1
        words = [kind[0], *(["/acme"] if kind[0] == "acme" else []), self.kid, self.secret, f"{kind[0]}-{self.rounds}-"]
        return loaded(self.world, {"server": lambda: cpu_seconds(self.process)}, str(self.port), self.root, count, words)


def loaded(
    world: World, sides: Mapping[str, Callable[[], float]], ports: str, root: Path, count: int, words: list[str],
    pace: Sequence[float] = (),
) -> list[Load]:  # fmt: skip
    """Runs the client. `sides` are those whose CPU time is watched; `pace` is how many a second of each part are begun."""
    program = built(world, "enrolment_load")
    option = ["-r", ",".join(f"{rate:.3f}" for rate in pace)] if pace else []
    client = world.start(
        [program, *option, ports, root, str(HOSTS), str(count), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    loads, before = [], {}
    assert client.stdout and client.stderr
    for line in client.stdout:
        # A line `begin` when everything is made, and one with figures when it is done.
        if line == "begin\n":
            before = {name: seconds() for name, seconds in sides.items()}
            continue
        number, seconds, busy, median, late = map(float, line.split())
        cores = {name: (value() - before[name]) / seconds for name, value in sides.items()}
        loads.append(Load(number / seconds, median, late, {**cores, "client": busy / seconds}))
    complaint = client.stderr.read()
    if client.wait() != 0:
        raise Failed(complaint.strip()[-1000:])
    return loads


def built(world: World, name: str) -> Path:
    """A client in C."""
    program = world.directory / name
    if not program.exists():
        compiled(HERE / f"{name}.c", program, "-lssl", "-lcrypto", "-lpthread", "-lm")
    return program


def middle(loads: list[Load]) -> Load:
    rates, medians, lates = ([getattr(load, name) for load in loads] for name in ("rate", "median", "late"))
    cores = {side: statistics.median(load.cores[side] for load in loads) for side in loads[0].cores}
    return Load(*map(statistics.median, (rates, medians, lates)), cores)


def rate(title: str, loads: list[Load], goal: Goal | None = None, peer: str | None = None, other: float | None = None) -> Figure:
    load = middle(loads)
    cores = ", ".join(f"{side} {value:.2f}" for side, value in load.cores.items())
    note = f"half within {load.median:,.0f} ms, 99 of 100 within {load.late:,.0f} ms; cores: {cores}"
    return Figure(title, load.rate, "/s", f"{peer}; {note}" if peer else None, other, goal, note=note)


@row("est", rows=FLEET)
def est(world: World, extent: FleetExtent) -> Iterator[Figure]:
    """Enrolments by a token on kept connections, then a renewal of each by its certificate."""
    authority = Authority(world, "est")
    taken = [authority.load(extent.enrolments, "est") for _ in range(extent.rounds)]
    yield rate("EST, kept connections", [loads[0] for loads in taken], Goal("value", "≥", 800))
    yield rate("EST renewal, a handshake each", [loads[1] for loads in taken], Goal("value", "≥", 300))


@row("acme", peers=("caddy",), rows=FLEET)
def acme(world: World, extent: FleetExtent) -> Iterator[Figure]:
    """Orders, beside Caddy's `acme_server`, which wants a challenge besides."""
    authority = Authority(world, "acme")
    port = free_port()
    (world.directory / "Caddyfile").write_text(
        CADDY.replace("PORT", str(port)).replace("DIRECTORY", str(world.directory / "caddy"))
    )
    caddy = None
    try:
        caddy = world.background(["caddy", "run", "--config", world.directory / "Caddyfile", "--adapter", "caddyfile"])
        wait_for(port, caddy)
    except (Failed, FileNotFoundError):
        caddy = None
    own, theirs = [], []
    for _ in range(extent.rounds):
        own += authority.load(max(HOSTS, extent.enrolments // 2), "acme")
        if caddy and os.geteuid() == 0:
            root = world.directory / "caddy/pki/authorities/local/root.crt"
            words = ["acme", "/acme/local", "-", "-", "-"]
            sides = {"server": lambda: cpu_seconds(caddy)}
            theirs += loaded(world, sides, str(port), root, max(HOSTS, extent.enrolments // 10), words)
    peer = middle(theirs).rate if theirs else None
    yield rate("ACME orders", own, Goal("value", "≥", 150), peer and "Caddy's acme_server, with http-01", peer)


@row("ocsp", "openssl", "wrk", "ab", rows=FLEET)
def ocsp(world: World, extent: FleetExtent) -> Iterator[Figure]:
    """Answers over HTTP: to requests with a nonce, each of which is signed, and without."""
    authority = Authority(world, "ocsp")
    world.run([world.pki, "issue-client", "--directory", "ocsp", "--issuer", ISSUER, "--name", "host"])
    names = {part: authority.directory / f"{part}-cert.pem" for part in (ISSUER, "host")}
    address = f"http://127.0.0.1:{authority.plain}/ocsp"
    chain = ["-CAfile", authority.root, "-verify_other", names[ISSUER]]
    asked = ["openssl", "ocsp", "-issuer", names[ISSUER], "-cert", names["host"]]
    if ": good" not in world.output([*asked, "-url", address, *chain]):
        raise Failed("the responder does not say that the certificate is good")
    for title, option, goal in (
        ("OCSP, signed", "-nonce", Goal("value", "≥", 5_000)),
        ("OCSP, kept", "-no_nonce", None),
    ):
        request, script = world.directory / f"request{option}", world.directory / f"request{option}.lua"
        world.output([*asked, option, "-reqout", request])
        script.write_text(
            f"local file = io.open('{request}', 'rb')\n"
            "wrk.method, wrk.body = 'POST', file:read('*a')\nwrk.headers['Content-Type'] = 'application/ocsp-request'\n"
        )
        if goal:
            # The server limits the answers that it signs for an address, and wrk has one address.
            rates = [signed_rate(address, request, extent.seconds) for _ in range(extent.rounds)]
            yield Figure(title, statistics.median(rates), "/s", goal=goal, note="16 addresses")
            continue
        loads = [world.load(address, None, extent.seconds, 16, script) for _ in range(extent.rounds)]
        late = statistics.median(load[1] for load in loads)
        yield Figure(title, statistics.median(load[0] for load in loads), "/s", note=f"99 of 100 within {late:.1f} ms")


def signed_rate(address: str, request: Path, seconds: int) -> float:
    """How many requests a second 16 hosts have answered, each with an address of its own."""
    command = ["ab", "-q", "-k", "-c", "1", "-t", str(seconds), "-n", "10000000", "-p", request, "-T", "application/ocsp-request"]
    hosts = [
        subprocess.Popen([*map(str, command), "-B", f"127.2.0.{number}", address], stdout=subprocess.PIPE, text=True)
        for number in range(1, 17)
    ]
    total = 0.0
    for host in hosts:
        said = host.communicate()[0]
        found = re.search(r"^Requests per second: +([0-9.]+)", said, re.MULTILINE)
        if not found or re.search(r"^Non-2xx responses: +[1-9]", said, re.MULTILINE):
            raise Failed(f"not every request was answered with 200:\n{said}")
        total += float(found[1])
    return total


@row("memory", rows=FLEET)
def peak(world: World, extent: FleetExtent) -> Iterator[Figure]:
    """The server's memory at its highest, half of it by renewals."""
    authority = Authority(world, "memory")
    first = max(HOSTS, min(extent.certificates // 20, 5_000))
    authority.load(first, "est")
    early, done = memory(authority.process, "VmHWM"), 2 * first
    while done < extent.certificates:
        count = max(HOSTS, min(10_000, (extent.certificates - done) // 2))
        authority.load(count, "est")
        done += 2 * count
    yield Figure(
        f"memory over {done:,} certificates", memory(authority.process, "VmHWM"), "MB", goal=Goal("value", "≤", 60),
        note=f"{early:.1f} MB after {2 * first:,}",
    )  # fmt: skip


@row("inventory", rows=FLEET)
def inventory(world: World, extent: FleetExtent) -> Iterator[Figure]:
    """Enrolments with a large inventory beside an empty one, in turn."""
    large, empty = Authority(world, "large", extent.rows), Authority(world, "empty")
    sides: dict[str, list[list[Load]]] = {"large": [], "empty": []}
    for number in range(extent.rounds):
        turn = [large, empty]
        for authority in turn if number % 2 else reversed(turn):
            sides[authority.name].append(authority.load(extent.enrolments, "est"))
    for part, title in enumerate(("EST", "EST renewal")):
        own, other = ([loads[part] for loads in sides[name]] for name in ("large", "empty"))
        yield rate(f"{title}, {extent.rows:,} rows", own, Goal("ratio", "≥", 0.9), "no rows", middle(other).rate)
