# SPDX-License-Identifier: Apache-2.0
"""`fleet --simulate`: a day of a fleet in less time, against two servers on PostgreSQL, and what follows for a million hosts."""

from __future__ import annotations

import queue
import random
import re
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from bench.fixtures import World
from bench.fleet import Load, built
from bench.fleet_postgresql import Servers
from bench.process import Failed, cpu_seconds, memory

THREADS = 64
DAY = 86_400
# A host of a day's life renews when two thirds are over.
RENEWALS_A_DAY = 1.5
# IAM Roles Anywhere User Guide, Quotas: octets of a CRL, and CRLs of a trust anchor.
CRL_OCTETS, CRL_COUNT = 300_000, 2


@dataclass
class State:
    """What is compared between the beginning of the day and its end."""

    memory: list[float]
    database: float
    wal: float
    rows: float
    servers: float
    postgresql: float


@dataclass
class Day:
    world: World
    hosts: int
    seconds: int
    servers: Servers
    complaints: list[str] = field(default_factory=list)
    highest: float = 0
    processor: float = 0
    lists: dict[int, int] = field(default_factory=dict)
    restarts: int = 0

    def __post_init__(self) -> None:
        self.name = f"{self.servers.name}-host-"
        self.found = self.world.directory / "hosts"
        kid, secret = self.servers.token("*", uses=self.hosts, days=1)
        ports = ",".join(map(str, self.servers.ports))
        words = [built(self.world, "fleet_day"), ports, self.servers.root, str(THREADS), str(self.hosts), str(self.seconds)]
        self.client = self.world.start(
            [*words, kid, secret, self.name, self.found], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.world.closing.callback(self.client.kill)
        self.lines: queue.Queue[list[str] | None] = queue.Queue()
        self.waiting: dict[tuple[str, int], Future[str]] = {}
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        assert self.client.stdout
        for line in self.client.stdout:
            words = line.split()
            if words[0] in ("left", "refused", "enrolled") and (waiter := self.waiting.pop((words[0], int(float(words[1]))), None)):
                waiter.set_result(words[-1])
            elif words[0] != "enrolled" or "." in words[1]:
                self.lines.put(words)
        for waiter in list(self.waiting.values()):
            waiter.set_exception(Failed("the hosts ended"))
        self.lines.put(None)

    def tell(self, *words: object) -> None:
        assert self.client.stdin
        self.client.stdin.write(" ".join(map(str, words)) + "\n")
        self.client.stdin.flush()

    def ask(self, answer: str, *words: object) -> str:
        """Tells the hosts something, and waits for the line that answers it."""
        waiter = self.waiting[answer, int(str(words[1]))] = Future()
        self.tell(*words)
        return waiter.result(timeout=120)

    def line(self) -> list[str]:
        """The next line that no other call waits for."""
        words = self.lines.get()
        if words is None:
            assert self.client.stderr
            raise Failed(f"the hosts ended with status {self.client.wait()}: {self.client.stderr.read().strip()[-1000:]}")
        return words

    def state(self) -> State:
        servers = self.servers
        query = "SELECT pg_database_size(current_database()), pg_current_wal_lsn() - '0/0', (SELECT count(*) FROM certificates)"
        size, wal, rows = map(float, servers.query(query)[0])
        resident = [memory(process) for process in servers.processes]
        return State(resident, size, wal, rows, self.processor + servers.cpu_seconds(), servers.database.cpu_seconds())

    # What happens during the day

    def revoke(self, number: int) -> None:
        """A host's certificate is revoked: it cannot renew, and gets another by a token."""
        servers, name = self.servers, f"{self.name}{number}"
        self.ask("left", "leave", number)
        self.world.output(servers.command("revoke", name, "--reason", "superseded"))
        status = self.ask("refused", "refused", number)
        if status != "403":
            self.complaints.append(f"{name} was revoked and asked for a renewal: {status}")
        kid, secret = servers.token(name, days=1)
        self.ask("enrolled", "enrol", number, kid, secret)

    def add(self, first: int, count: int) -> None:
        """New hosts, by one token."""
        kid, secret = self.servers.token(f"{self.name}*", uses=count, days=1)
        for number in range(first, first + count):
            self.ask("enrolled", "enrol", number, kid, secret)

    def restart(self, number: int, end: signal.Signals) -> None:
        process = self.servers.processes[number]
        self.highest = max(self.highest, memory(process, "VmHWM"))
        self.processor += cpu_seconds(process)
        process.send_signal(end)
        process.wait(timeout=60)
        self.servers.processes[number] = self.servers.start(number)
        self.restarts += 1

    def fetch(self) -> None:
        """The CRLs are fetched: the number of a server's never falls."""
        for number in range(len(self.servers.ports)):
            try:
                found = self.servers.list_number(number)
            except OSError:
                continue
            if found < self.lists.get(number, 0):
                self.complaints.append(f"the CRL of server {number} fell from {self.lists[number]} to {found}")
            self.lists[number] = found

    def entry_octets(self) -> float:
        """What an entry adds to a CRL in PEM, whose lines have 64 characters of base64 and an end."""
        file = self.servers.list_of(0)
        said = self.world.output(["openssl", "asn1parse", "-inform", "DER", "-in", file]).splitlines()
        # The entries, and the extensions, are the SEQUENCEs at this depth.
        sizes = [int(found[1]) + int(found[2]) for line in said if (found := re.search(r"d=3 +hl=(\d) +l= *(\d+) cons: SEQUENCE", line))]
        return statistics.median_low(sizes) * 4 / 3 * 65 / 64

    def plan(self) -> list[tuple[float, str, Callable[[], None]]]:
        """What happens when, in parts of the day."""
        chance = random.Random(7)
        revoked = max(3, self.hosts // 1_000)
        tokens, each = 10, max(1, self.hosts // 1_000)
        plan = [
            (0.02 + 0.9 * turn / revoked, "revocations", lambda number=number: self.revoke(number))
            for turn, number in enumerate(chance.sample(range(self.hosts), revoked))
        ]
        plan += [
            (0.05 + 0.9 * turn / tokens, "tokens", lambda first=self.hosts + turn * each: self.add(first, each)) for turn in range(tokens)
        ]
        for part, number, end in ((0.25, 0, signal.SIGTERM), (0.5, 1, signal.SIGKILL), (0.75, 1, signal.SIGTERM)):
            plan.append((part, "restarts", lambda number=number, end=end: self.restart(number, end)))
        return sorted(plan, key=lambda event: event[0])

    def live(self) -> Iterator[list[str]]:
        """The day; yields the client's lines."""
        self.tell("day")
        dawn, plan = time.monotonic(), self.plan()
        kinds = {kind: ThreadPoolExecutor(1) for kind in ("revocations", "tokens", "restarts", "lists")}
        done: list[tuple[str, Future[None]]] = []
        is_said = False
        try:
            while True:
                now = (time.monotonic() - dawn) / self.seconds
                while plan and plan[0][0] <= now:
                    _, kind, event = plan.pop(0)
                    done.append((kind, kinds[kind].submit(event)))
                if now < 1 and not any(kind == "lists" for kind, _ in done):
                    done.append(("lists", kinds["lists"].submit(self.fetch)))
                for event in [event for event in done if event[1].done()]:
                    done.remove(event)
                    event[1].result()
                if not plan and not done and not is_said:
                    self.tell("end")
                    is_said = True
                try:
                    words = self.lines.get(timeout=min(1, self.seconds / 100))
                except queue.Empty:
                    continue
                if words is None:
                    self.lines.put(None)
                    self.line()
                yield words
                if words[0] == "day":
                    return
        finally:
            for pool in kinds.values():
                pool.shutdown(wait=False, cancel_futures=True)

    def check(self, count: int) -> None:
        """What hosts hold is what the inventory has, and nothing was issued besides."""
        held = {name: (digest, away) for name, away, digest in (line.split("\t") for line in self.found.read_text().splitlines())}
        query = f"SELECT name, encode(fingerprint, 'hex') FROM certificates WHERE place = 0 AND revoked_at IS NULL AND name LIKE '{self.name}%'"
        current = dict(self.servers.query(query))
        wrong = [name for name, (digest, _) in held.items() if current.get(name) != digest] + sorted(current.keys() - held.keys())
        if wrong:
            self.complaints.append(f"{len(wrong)} hosts do not hold the inventory's current certificate, such as {', '.join(wrong[:5])}")
        issued = self.servers.value("SELECT count(*) FROM enrolments WHERE proof <> 'server'")
        if issued != count:
            self.complaints.append(f"{count:,} certificates were delivered, and {issued:,.0f} issued")
        self.world.output(self.servers.command("audit", "--verify"))


def simulate(world: World, hosts: int, minutes: float) -> int:
    """Prints what the day was like; returns 1 if something was not as it must be."""
    say(f"a day of {hosts:,} hosts with certificates of a day, in {minutes:g} minutes")
    servers = Servers(world, "day")
    day = Day(world, hosts, max(1, round(minutes * 60)), servers)
    enrolled = list(map(float, day.line()[1:]))
    say(f"every host enrolled by a token: {hosts / enrolled[0]:,.0f}/s; half within {enrolled[3]:,.0f} ms, 99 of 100 within {enrolled[4]:,.0f} ms")
    before = day.state()
    say(f"at the start: {described(before)}")
    say(f"{'hour':>4} {'certificates':>12} {'a second':>9} {'half, ms':>9} {'99 %, ms':>9} {'longest':>9} {'failed tries':>12} {'servers, MB':>12}")
    troubles, total = 0, []
    for words in day.live():
        if words[0] == "trouble":
            troubles += 1
            day.complaints.append(f"host {words[1]} was answered with {' '.join(words[2:])}")
            continue
        if words[0] == "day":
            total = list(map(float, words[1:]))
            continue
        hour, count, failed, median, late, longest = map(float, words[1:])
        used = "/".join(map(resident, servers.processes))
        rate = count * 24 / day.seconds
        say(f"{hour:4.0f} {count:12,.0f} {rate:9.1f} {median:9.1f} {late:9.1f} {longest:9.1f} {failed:12,.0f} {used:>12}")
    seconds, client, others, count, failed, median, late, longest = total
    after = day.state()
    highest = max([day.highest, *(memory(process, "VmHWM") for process in servers.processes)])
    day.check(round(hosts + count))
    say(f"at the end: {described(after)}; the most that a server had: {highest:.1f} MB")
    say(f"{count:,.0f} certificates, {count / seconds:.1f}/s, {others:,.0f} of them by tokens; half within {median:.1f} ms, "
        f"99 of 100 within {late:.1f} ms, the longest {longest:,.0f} ms; {failed:,.0f} tries failed, {day.restarts} restarts; "
        f"CRL number {max(day.lists.values(), default=0)}")  # fmt: skip
    _, renewals = servers.load(max(THREADS, min(4_000, hosts // 5)), "est")
    extrapolate(day, before, after, count, renewals)
    for complaint in day.complaints[:20]:
        say(f"WRONG: {complaint}")
    if not day.complaints:
        say("every host holds the inventory's current certificate, none was issued besides, and the audit is whole")
    return 1 if day.complaints else 0


def resident(process: subprocess.Popen[str]) -> str:
    try:
        return f"{memory(process):.0f}"
    except (OSError, TypeError):
        # It is being restarted.
        return "-"


def say(text: str) -> None:
    print(text, flush=True)


def described(state: State) -> str:
    used = " and ".join(f"{megabytes:.1f}" for megabytes in state.memory)
    return f"servers {used} MB, database {state.database / 1e6:,.1f} MB, {state.rows:,.0f} rows, WAL {state.wal / 1e6:,.1f} MB"


def extrapolate(day: Day, before: State, after: State, count: float, renewals: Load) -> None:
    """A million hosts, from what was measured."""
    fleet, rows = 1_000_000, after.rows - before.rows
    octets, wal = (after.database - before.database) / rows, (after.wal - before.wal) / rows
    server, store = ((getattr(after, side) - getattr(before, side)) / count * 1e3 for side in ("servers", "postgresql"))
    entry = day.entry_octets()
    most = renewals.rate
    say(f"a certificate takes {server:.2f} ms of CPU of the servers and {store:.2f} ms of PostgreSQL, {octets:,.0f} octets of disk and "
        f"{wal:,.0f} of WAL; renewals as fast as they go: {most:,.0f}/s")  # fmt: skip
    say(f"{fleet:,} hosts from these figures, on this machine:")
    for life, per_day in ((1, RENEWALS_A_DAY), (7, RENEWALS_A_DAY / 7)):
        rate = fleet * per_day / DAY
        say(f"  certificates of {life} d: {rate:.1f} renewals/s, {rate * (server + store) / 1e3:.2f} cores, {rate / most:.0%} of what goes; a day "
            f"{fleet * per_day * octets / 1e9:,.1f} GB of disk and {fleet * per_day * wal / 1e9:,.1f} of WAL")  # fmt: skip
    late = fleet / 2
    say(f"  CA down for 8 h, 1 d: none has expired, {late:,.0f} are due; hosts look every 4 h: {fleet / (4 * 3600):.0f}/s, {verdict(fleet / (4 * 3600), most)}; "
        f"all at once: {late / most / 60:,.0f} min")  # fmt: skip
    say(f"  CA down for 8 h, 7 d: {fleet * 8 / (7 * 16):,.0f} are due, with 56 h left")
    stolen = fleet // 10
    limit = (CRL_OCTETS - 600) / entry
    say(f"  10 % stolen at once: {stolen:,} entries of {entry:.0f} octets are {stolen * entry / 1e6:.1f} MB, AWS takes {limit:,.0f} in a CRL and "
        f"{CRL_COUNT} CRLs of a trust anchor: the intermediate goes, and all enrol again in {fleet / most / 60:,.0f} min")  # fmt: skip
    say(f"  everyone renews in an hour: {fleet / 3600:.0f}/s, {verdict(fleet / 3600, most)}")
    share = limit / fleet
    say(f"  where AWS ends it: a CRL of {CRL_OCTETS:,} octets takes {limit:,.0f} entries, {share:.2%} of a million hosts; certificates of 7 d, of which an "
        f"entry stays listed 4.7 d, allow {limit * 365 / 4.7 / fleet:.0%} revoked a year, of 365 d {limit / (2 / 3) / fleet:.2%}")  # fmt: skip
    say(f"  CreateSession by each host once an hour: {fleet / 3600:.0f}/s; that is a quota of the account, and to be asked for first")


def verdict(wanted: float, most: float) -> str:
    return f"{most / wanted:.1f} times that goes" if most >= wanted else f"only {most:,.0f}/s go: {wanted / most:.1f} such machines"
