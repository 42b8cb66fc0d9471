# SPDX-License-Identifier: Apache-2.0
"""Hosts that ask `pki serve-ca` for certificates all the time, and again until they are answered, and remember each answer."""

from __future__ import annotations

import base64
import http.client
import itertools
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7

from acme import Client, Reply, b64, key, request_for
from enrolled import NO_CHECK_TIME, csr, enrolled
from enrolling import Token

PATIENCE = 5
"""After how many seconds without an answer a host asks again, on another connection."""


@dataclass
class ESTHost:
    """Asks by EST for one certificate, with one request, until it is answered."""

    directory: Path
    name: str
    token: Token
    request: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.request = csr(self.name)

    def ask(self, port: int) -> x509.Certificate | None:
        return enrolled(self.directory, port, self.token, self.request)[1]


@dataclass
class ACMEHost:
    """The same by ACME, with one order."""

    client: Client
    name: str
    request: bytes = field(init=False)
    order: str | None = None

    def __post_init__(self) -> None:
        self.request = request_for([self.name])

    def post(self, path: str, payload: object = None) -> Reply:
        """Once more with a fresh nonce: those of a server that was killed are not known to the next."""
        reply = self.client.post(self.client.base + path, payload)
        if reply.status == 400 and reply.error == "badNonce":
            reply = self.client.post(self.client.base + path, payload)
        return reply

    def ask(self, port: int) -> x509.Certificate | None:
        if not self.order:
            made = self.post("/acme/new-order", {"identifiers": [{"type": "dns", "value": self.name}]})
            if made.status != 201:
                return None
            self.order = made.headers["Location"].removeprefix(self.client.base)
        state = self.post(self.order)
        if state.status == 200 and state.json["status"] == "ready":
            state = self.post(f"{self.order}/finalize", {"csr": b64(self.request)})
        if state.status != 200 or state.json["status"] != "valid":
            return None
        reply = self.post(state.json["certificate"].removeprefix(self.client.base))
        return x509.load_pem_x509_certificates(reply.body)[0] if reply.status == 200 else None


@dataclass
class Connection:
    """A kept connection."""

    address: tuple[str, int]
    root: Path
    source: str | None = None
    """The address that it comes from: servers limit what one may ask."""
    identity: Path | None = None
    """A certificate with its key, by which the host proves itself."""
    patience: float = PATIENCE
    kept: http.client.HTTPSConnection | None = None

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Status 0 if there was no answer."""
        try:
            if not self.kept:
                context = ssl.create_default_context(cafile=str(self.root))
                context.verify_flags |= NO_CHECK_TIME
                if self.identity:
                    context.load_cert_chain(self.identity)
                source = (self.source, 0) if self.source else None
                self.kept = http.client.HTTPSConnection(*self.address, timeout=self.patience, context=context, source_address=source)
            self.kept.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            reply = self.kept.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return 0, b""

    def close(self) -> None:
        if self.kept:
            self.kept.close()
        self.kept = None


@dataclass(frozen=True)
class Answer:
    at: float
    worker: int
    status: int
    """0 if there was none."""


@dataclass
class Hosts:
    """They enrol by EST on kept connections, every fourth renews, and some order by ACME; each name is a new one."""

    root: Path
    address: tuple[str, int]
    token: Token
    folder: Path
    renews: bool = True
    answers: list[Answer] = field(default_factory=list)
    held: dict[tuple[str, bytes], set[int]] = field(default_factory=dict)
    """For each name and request the serial numbers that were received: one, however often it was asked."""
    finished: list[int] = field(default_factory=list)
    """Serial numbers that are not asked about any more."""
    wrong: list[str] = field(default_factory=list)
    """Answers that no fault explains."""
    _over: threading.Event = field(default_factory=threading.Event)
    _gave_up: threading.Event = field(default_factory=threading.Event)
    _count: Iterator[int] = field(default_factory=itertools.count)
    _working: list[Future[None]] = field(default_factory=list)

    def start(self, pool: ThreadPoolExecutor, by_est: int = 4, *by_acme: Client) -> None:
        self._working = [pool.submit(self._by_est, worker) for worker in range(by_est)]
        self._working += [pool.submit(self._by_acme, by_est + number, client) for number, client in enumerate(by_acme)]

    def stop(self) -> None:
        """Returns when everybody has what they asked for."""
        self._over.set()
        for one in self._working:
            one.result()

    def give_up(self) -> None:
        """Hosts that were not answered do not ask again."""
        self._over.set()
        self._gave_up.set()

    def answered(self, since: float) -> list[float]:
        """For each that works when it was first answered after a time; infinite if it was not."""
        found = [float("inf")] * len(self._working)
        for answer in self.answers:
            if answer.at > since and answer.status == 200:
                found[answer.worker] = min(found[answer.worker], answer.at)
        return found

    def _try(self, worker: int, name: str, request: bytes, ask: Callable[[], tuple[int, x509.Certificate | None]]) -> x509.Certificate:
        """Asks until the answer is a certificate."""
        end = time.monotonic() + 90
        while True:
            status, certificate = ask()
            self.answers.append(Answer(time.monotonic(), worker, status))
            if certificate:
                self.held.setdefault((name, request), set()).add(certificate.serial_number)
                # So many hosts do not ask at once that nothing else gets done on this machine.
                self._over.wait(0.01)
                return certificate
            assert time.monotonic() < end and not self._gave_up.wait(0.05), f"{name} was not answered: {status}"

    def _by_est(self, worker: int) -> None:
        own, identity = key(), self.folder / f"identity-{worker}.pem"
        basic = "Basic " + base64.b64encode(f"{self.token.identifier}:{self.token.secret}".encode()).decode()
        kept = Connection(self.address, self.root, source=f"127.9.{worker}.1")

        def enrol(connection: Connection, operation: str, name: str, request: bytes, **headers: str) -> x509.Certificate:
            def ask() -> tuple[int, x509.Certificate | None]:
                status, body = connection.ask("POST", f"/.well-known/est/{operation}", request, Content_Type="application/pkcs10", **headers)
                if status == 200:
                    return status, pkcs7.load_der_pkcs7_certificates(base64.b64decode(body))[0]
                if status not in (0, 503):
                    self.wrong.append(f"{operation} of {name}: {status} {body.decode()}")
                connection.close()
                return status, None

            return self._try(worker, name, request, ask)

        with closing(kept):
            while not self._over.is_set():
                turn = next(self._count)
                name = f"web-{turn}"
                request = csr(name, own)
                certificate = enrol(kept, "simpleenroll", name, request, Authorization=basic)
                if turn % 3 == 0:
                    enrol(kept, "simpleenroll", name, request, Authorization=basic)
                if turn % 10 == 0:
                    # The next connection may be to another server.
                    kept.close()
                if self.renews and turn % 4 == 0:
                    identity.write_bytes(certificate.public_bytes(Encoding.PEM) + own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
                    with closing(Connection(self.address, self.root, source=f"127.9.{worker}.1", identity=identity)) as renewing:
                        certificate = enrol(renewing, "simplereenroll", name, csr(name, own))
                self.finished.append(certificate.serial_number)

    def _by_acme(self, worker: int, client: Client) -> None:
        while not self._over.is_set():
            host = ACMEHost(client, f"web-acme-{next(self._count)}")

            def ask(host: ACMEHost = host) -> tuple[int, x509.Certificate | None]:
                try:
                    found = host.ask(self.address[1])
                except (OSError, http.client.HTTPException):
                    return 0, None
                return 200 if found else 503, found

            self._try(worker, host.name, host.request, ask)
