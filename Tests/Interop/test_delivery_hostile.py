# SPDX-License-Identifier: Apache-2.0
"""Mutated requests and slow clients leave `pki serve` answering, give nothing away, and leak nothing.

Everything follows from one number, so that a failure can be run again: PKI_HOSTILE_SEED.
"""

from __future__ import annotations

import os
import random
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from program import Pki, running_lab
from serving import ROLES_PATH, TOKEN, TOKEN_PATH, TTL, Served, configure, serving, wait_for

REQUESTS = int(os.environ.get("PKI_SERVE_HOSTILE_REQUESTS", "20000"))
SEED = int(os.environ.get("PKI_HOSTILE_SEED", "20261123"))
WARM_UP = 2_000
CONNECTIONS = 4
BATCH = 40
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
# What a server may say to hostile bytes: it never fails.
EXPECTED = {200, 400, 401, 403, 404, 405, 408, 411, 413, 414, 417, 431, 501, 505}


@pytest.fixture
def served(pki: Pki, ca: Path) -> Iterator[Served]:
    with running_lab(pki, "--directory", ca) as lab:
        configure(pki, lab, ca)
        with serving(pki) as served:
            wait_for(lambda: served.get("/healthz").status == 200)
            yield served


def raw(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode() + body


def seeds(served: Served) -> list[bytes]:
    """Requests that are answered with 200, of every kind."""
    token, authorization = f"{TOKEN}: {served.session_token(21600)}", f"Authorization: {served.token}"
    return [
        raw("PUT", TOKEN_PATH, f"{TTL}: 60", "Content-Length: 0"),
        raw("GET", ROLES_PATH, token),
        raw("GET", ROLES_PATH + "lab-role", token, "Accept: */*"),
        raw("HEAD", ROLES_PATH + "lab-role", token),
        raw("GET", "/credentials/web", authorization, "User-Agent: aws-sdk"),
        raw("GET", "/credentials/%77eb?a=b", authorization),
        raw("GET", "/healthz"),
        raw("GET", "/metrics", "Accept: text/plain"),
        raw("PUT", TOKEN_PATH, f"{TTL}: 60", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n"),
    ]


def mutate(request: bytes, rng: random.Random) -> bytes:
    """The request with one kind of harm done to it."""
    octets = bytearray(request)
    lines = request.split(b"\r\n")
    match rng.randrange(12):
        case 0 | 1 | 2:
            for _ in range(rng.choice((1, 1, 1, 2, 8))):
                octets[rng.randrange(len(octets))] ^= 1 << rng.randrange(8)
        case 3:
            del octets[rng.randrange(1, len(octets)) :]
        case 4:
            lines.insert(rng.randrange(1, len(lines) - 1), rng.choice(lines[1:-2]))
            return b"\r\n".join(lines)
        case 5:
            size = rng.choice((300, 9_000, 70_000, 200_000))
            lines.insert(1, b"X-Filler: " + b"a" * size)
            return b"\r\n".join(lines)
        case 6:
            lines[1:1] = [b"X-%d: y" % number for number in range(rng.choice((50, 150, 3_000)))]
            return b"\r\n".join(lines)
        case 7:
            at = rng.randrange(len(octets))
            octets[at:at] = rng.randbytes(rng.choice((1, 2, 30, 500)))
        case 8:
            return request + rng.choice(
                (rng.randbytes(200), b"\0" * 50, b"\r\n" * 40, request[: rng.randrange(len(request))])
            )
        case 9:
            size = rng.choice((b"ffffffffffffffff", b"-1", b"0x10", b"5;a=b", b"100000", b"", b"zz", b"3"))
            chunked = request.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n", 1)
            return chunked + size + b"\r\n" + rng.randbytes(rng.choice((0, 3, 40))) + b"\r\n0\r\n\r\n"
        case 10:
            length = rng.choice((b"-1", b"99999999999999999999", b"1000000", b"+0", b"0, 0", b"3"))
            return request.replace(b"\r\n\r\n", b"\r\nContent-Length: " + length + b"\r\n\r\n", 1) + rng.randbytes(3)
        case _:
            target = rng.choice(
                (
                    b"/" + b"a" * 20_000,
                    b"/credentials/" + b"%2e" * 50,
                    b"//",
                    b"*",
                    b"http://evil/",
                    b"/\xff\xfe",
                    b"/%",
                )
            )
            return request.replace(request.split(b" ")[1], target, 1)
    return bytes(octets)


def exchange(served: Served, requests: list[bytes]) -> Counter[int]:
    """Sends requests one after another, each on a connection of its own when the server closes; counts the answers."""
    seen: Counter[int] = Counter()
    for request in requests:
        with socket.create_connection((served.host, served.port), timeout=20) as connection:
            answer = b""
            try:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                while chunk := connection.recv(1 << 20):
                    answer += chunk
            except (ConnectionResetError, BrokenPipeError):
                pass
        seen.update(int(status) for status in STATUS.findall(answer))
    return seen


def pelt(served: Served, count: int, first: int) -> Counter[int]:
    """Mutated requests over several connections at once."""
    valid = seeds(served)

    def batch(number: int) -> Counter[int]:
        rng = random.Random(SEED * 1_000_003 + number)
        return exchange(served, [mutate(rng.choice(valid), rng) for _ in range(BATCH)])

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return sum(pool.map(batch, range(first, first + count // BATCH)), Counter())


def descriptors(served: Served) -> int:
    return len(os.listdir(f"/proc/{served.process.pid}/fd"))


def memory(served: Served) -> int:
    """Its resident memory in KiB."""
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)[1])


def test_mutated_requests(served: Served) -> None:
    seen = pelt(served, WARM_UP, 0)
    wait_for(lambda: served.get("/healthz").status == 200)
    open_before, size = descriptors(served), memory(served)
    seen += pelt(served, REQUESTS, WARM_UP)
    assert seen.total() > REQUESTS / 2, "most of them are answered"
    assert set(seen) <= EXPECTED, f"seed {SEED}: {seen}"
    assert seen[200] and seen[401] and seen[400], seen
    assert served.container().status == 200 and served.metadata(ROLES_PATH + "lab-role").status == 200
    wait_for(lambda: descriptors(served) <= open_before, 15)
    assert memory(served) < 2 * size, f"{size} KiB became {memory(served)}"
    secret = served.container().json["SecretAccessKey"]
    said = served.log.read_text()
    assert secret not in said and served.token not in said
    assert "rror" not in said, said


def test_a_bit_of_the_token_opens_nothing(served: Served) -> None:
    """Whatever is flipped in the value of the token, credentials do not come."""
    octets = served.token.encode()
    for bit in range(len(octets) * 8):
        forged = bytearray(octets)
        forged[bit // 8] ^= 1 << bit % 8
        request = raw("GET", "/credentials/web", "Connection: close").replace(
            b"\r\n\r\n", b"\r\nAuthorization: " + bytes(forged) + b"\r\n\r\n"
        )
        assert set(exchange(served, [request])) <= {400, 401}, bit


def assert_prompt(served: Served) -> None:
    """Both endpoints answer while others dawdle, who are not waited for: they go on until they are told to stop."""
    start = time.monotonic()
    assert served.container().status == 200
    assert served.metadata(ROLES_PATH).status == 200
    assert time.monotonic() - start < 5


def test_slow_clients_hold_up_nobody(served: Served) -> None:
    """Fifty that send a byte now and then."""
    open_before = descriptors(served)
    slow = raw("GET", "/credentials/web", f"Authorization: {served.token}")
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection((served.host, served.port))) for _ in range(50)]
        for position in range(len(slow)):
            for client in clients:
                client.sendall(slow[position : position + 1])
            if position % 10 == 0:
                assert_prompt(served)
        # Slow is no crime: they are answered too.
        for client in clients:
            client.settimeout(10)
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    wait_for(lambda: descriptors(served) <= open_before, 15)


def test_deaf_clients_hold_up_nobody(served: Served) -> None:
    """Those that ask on and on and read nothing are waited for, and what is kept for them has a bound."""
    open_before, size = descriptors(served), memory(served)
    many = raw("GET", "/credentials/web", f"Authorization: {served.token}") * 200
    with ExitStack() as stack:
        for _ in range(5):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(0.5)
            client.connect((served.host, served.port))
            try:
                for _ in range(1_000):
                    client.sendall(many)
            except (TimeoutError, ConnectionError):
                continue
            pytest.fail("200,000 requests were read of a client that takes no answers")
        assert_prompt(served)
        assert memory(served) < size + 32 * 1024
    wait_for(lambda: descriptors(served) <= open_before, 15)


def test_one_that_asks_without_end_leaves_the_others_their_turn(served: Served) -> None:
    """Twenty thousand requests in one breath on each of two connections: another waits no longer for that."""
    many = raw("GET", "/healthz") * 20_000 + raw("GET", "/healthz", "Connection: close")

    def flood(_: int) -> float:
        start = time.monotonic()
        with (
            socket.create_connection((served.host, served.port), timeout=60) as connection,
            ThreadPoolExecutor(1) as pool,
        ):
            sending = pool.submit(connection.sendall, many)
            answers = 0
            while chunk := connection.recv(1 << 20):
                answers += chunk.count(b" 200 OK")
            sending.result()
        # One or another is cut in two by the pieces in which they come.
        assert answers > 19_000
        return time.monotonic() - start

    waits = []
    with ThreadPoolExecutor(2) as pool:
        floods = [pool.submit(flood, number) for number in range(2)]
        while not any(one.done() for one in floods):
            start = time.monotonic()
            assert served.get("/healthz").status == 200
            waits.append(time.monotonic() - start)
        shortest = min(one.result() for one in floods)
    assert max(waits) < max(0.1, shortest / 2), f"{max(waits):.2f} s, and the flood was over after {shortest:.2f} s"


def test_more_connections_than_descriptors(pki: Pki, ca: Path) -> None:
    """Who opens all that there are does not end the server, nor keep it from its next refresh."""
    with running_lab(pki, "--directory", ca, "--expires-in", "6") as lab:
        configure(pki, lab, ca)
        limited = pki.with_prefix("sh", "-c", 'ulimit -n 64 && exec "$@"', "sh")
        with serving(limited) as served:
            wait_for(lambda: served.container().status == 200)
            with ExitStack() as stack:
                for _ in range(200):
                    stack.enter_context(socket.create_connection((served.host, served.port), timeout=5))
                time.sleep(0.5)
                assert served.process.poll() is None, served.log.read_text()
            wait_for(lambda: served.get("/healthz").status == 200, 20, served.log)
            assert served.container().status == 200
