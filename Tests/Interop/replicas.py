# SPDX-License-Identifier: Apache-2.0
"""Two `pki serve-ca` on one inventory, hosts that ask them through HAProxy, and what must be true whatever fails meanwhile."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography import x509

from acme import Client
from enrolled import number
from enrolling import Authority, Token, one_server
from hosts import Connection, Hosts
from postgresql import haproxy
from program import DONE, Pki
from servers import closed_port
from serving import wait_for

NEVER = float("inf")


@dataclass(frozen=True)
class Readiness:
    """An answer to GET /readyz; status 0 if there was none."""

    asked: float
    answered: float
    status: int


@dataclass
class Replica:
    """A server, and what it said all the time."""

    start: Callable[[int], Authority]
    """Starts it at a port."""
    host: str
    authority: Authority
    readiness: list[Readiness] = field(default_factory=list)
    lists: list[tuple[int, bytes]] = field(default_factory=list)
    """The CRLs that it served, with their numbers."""

    def connection(self, patience: float = 10) -> Connection:
        return Connection((self.host, self.authority.port), self.authority.root, patience=patience)

    def watch(self, over: threading.Event) -> None:
        with closing(self.connection(2)) as asking:
            while not over.wait(0.05):
                begin = time.monotonic()
                status, _ = asking.ask("GET", "/readyz")
                self.readiness.append(Readiness(begin, time.monotonic(), status))
                status, body = asking.ask("GET", "/crl/root.crl")
                if status == 200 and (not self.lists or self.lists[-1][1] != body):
                    self.lists.append((number(x509.load_der_x509_crl(body)), body))

    def crl(self) -> x509.CertificateRevocationList:
        with closing(self.connection()) as asking:
            status, body = asking.ask("GET", "/crl/root.crl")
        assert status == 200, (status, body)
        return x509.load_der_x509_crl(body)

    def said_ready(self, since: float, until: float) -> list[Readiness]:
        """The answers that it is ready between two times."""
        return [one for one in self.readiness if one.status == 200 and since < one.asked and one.answered < until]

    def ready_after(self, moment: float) -> float:
        """When it first said that it is ready to who asked after a time."""
        return min((one.answered for one in self.readiness if one.status == 200 and one.asked > moment), default=NEVER)

    def kill(self) -> None:
        self.authority.process.kill()
        self.authority.process.wait()

    def restart(self) -> None:
        self.kill()
        self.authority = self.start(self.authority.port)


@dataclass
class Replicas:
    pki: Pki
    """With the inventory's address in its environment."""
    directory: Path
    hosts: Hosts
    each: list[Replica]
    revoked: set[int] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)

    def client(self) -> Client:
        """An ACME client with an account, which asks through HAProxy."""
        through = replace(self.each[0].authority, url=f"https://localhost:{self.hosts.address[1]}")
        return Client(through).register(self.hosts.token)

    @contextmanager
    def busy(self, *by_acme: Client, by_est: int = 4, revokes: bool = True) -> Iterator[None]:
        """Hosts ask, certificates are revoked and the servers are watched. At the end everybody has been answered, nothing was
        lost, and nothing is there twice."""
        with ThreadPoolExecutor(32) as pool:
            try:
                watching = [pool.submit(one.watch, self._over) for one in self.each]
                if revokes:
                    watching.append(pool.submit(self._revoke))
                self.hosts.start(pool, by_est, *by_acme)
                self.wait_issued(30)
                yield
                self.hosts.stop()
            except BaseException:
                self.hosts.give_up()
                raise
            finally:
                self._over.set()
            for one in watching:
                one.result()
        self._judge()

    def _revoke(self) -> None:
        """One certificate after the other, so that CRLs are made all the time."""
        while not self._over.wait(0.3):
            if self.hosts.finished:
                serial = self.hosts.finished.pop(0)
                while self.pki.run("revoke", f"{serial:040x}", "--directory", self.directory, status=None).status != DONE:
                    if self._over.wait(0.3):
                        return
                self.revoked.add(serial)

    def wait_issued(self, count: int) -> None:
        """Until there are so many certificates more."""
        before = len(self.hosts.held)
        self._wait(lambda: len(self.hosts.held) >= before + count)

    def wait_answered(self, since: float, ready: list[Replica] | None = None) -> float:
        """Until every host was answered after a time, and servers, all unless told, were ready. Returns how many seconds after."""

        def last() -> float:
            return max(*self.hosts.answered(since), *(one.ready_after(since) for one in (self.each if ready is None else ready)))

        self._wait(lambda: last() < NEVER)
        return last() - since

    def _wait(self, condition: Callable[[], bool]) -> None:
        try:
            wait_for(condition, 90)
        except AssertionError as error:
            last = [Counter(answer.status for answer in self.hosts.answers[-50:]), *(one.readiness[-1:] for one in self.each)]
            raise AssertionError(f"{error}; {last}; {[one.authority.said for one in self.each]}") from None

    def _judge(self) -> None:
        """Nothing that a host holds is missing, and nothing is there twice."""

        def asked(*words: str) -> list[dict[str, object]]:
            return self.pki.run(*words, "--directory", self.directory, "--format", "json").json

        def certificates(rows: list[dict[str, object]]) -> list[tuple[str, int]]:
            return sorted((str(row["name"]), int(str(row["serialNumber"]), 16)) for row in rows)

        held = self.hosts.held
        assert not self.hosts.wrong, self.hosts.wrong[:10]
        assert all(len(serials) == 1 for serials in held.values()), [item for item in held.items() if len(item[1]) != 1]
        received = sorted((name, serial) for (name, _), serials in held.items() for serial in serials)
        rows = [row for row in asked("list", "--all") if row["profile"] == "client"]
        listed = certificates(rows)
        assert listed == received, f"not listed: {set(received) - set(listed)}, not received: {set(listed) - set(received)}"
        current = Counter(row["name"] for row in rows if row["status"] != "replaced")
        assert set(current.values()) == {1}, current.most_common(3)

        audit = asked("audit")
        assert certificates([row for row in audit if row["action"] in ("issue", "renew") and row["name"] in current]) == received
        self.pki.run("audit", "--verify", "--directory", self.directory)
        [used] = [token["used"] for token in asked("token", "list")]
        assert used == len({name for name, _ in held})

        numbers = [int(str(row["detail"]).split()[1].rstrip(",")) for row in audit if row["action"] == "crl"]
        assert all(one < next for one, next in itertools.pairwise(numbers)), numbers
        served: dict[int, bytes] = {}
        for replica in self.each:
            assert [one for one, _ in replica.lists] == sorted(one for one, _ in replica.lists)
            for one, body in replica.lists:
                assert one in numbers and served.setdefault(one, body) == body, f"two CRLs have the number {one}"
            wait_for(lambda replica=replica: self.revoked <= {one.serial_number for one in replica.crl()}, 30, replica.authority.log)


@contextmanager
def replicas(pki: Pki, home: Path, database: str, *places: tuple[Pki, str]) -> Iterator[Replicas]:
    """Starts two servers of a CA whose inventory is in an empty database, with HAProxy before them, and no load yet.

    Unless told otherwise they run at 127.0.0.1 and have the same address of the database."""
    served = pki.with_environment(PKI_INVENTORY=database)
    first = home / "ca-0"
    pki.run("init-ca", "--directory", first)
    pki.run("inventory", "init", "--inventory", database)
    pki.run("inventory", "copy", "--from", first, "--to", database)
    for path in first.glob("inventory.sqlite*"):
        path.unlink()
    words = ("--name", "web-*", "--uses", "1000000", "--expires", "365d")
    token = Token(served.run("token", "create", "--directory", first, *words).stdout.strip())
    port = closed_port()
    with ExitStack() as stack:
        each = []
        for index, (own, host) in enumerate(places or [(served, "127.0.0.1")] * 2):
            directory = home / f"ca-{index}"
            if index:
                shutil.copytree(first, directory)

            def start(port: int, own: Pki = own, host: str = host, directory: Path = directory) -> Authority:
                return stack.enter_context(one_server(own, directory, "--host", "localhost", "--host", host, host=host, port=port))

            each.append(Replica(start, host, start(0)))
        servers = [f"{one.host}:{one.authority.port}" for one in each]
        stack.enter_context(haproxy(home, first / "root-cert.pem", (port, servers, True), patience=1))
        yield Replicas(served, first, Hosts(first / "root-cert.pem", ("127.0.0.1", port), token, home), each)
