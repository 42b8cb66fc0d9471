# SPDX-License-Identifier: Apache-2.0
"""Mutated requests, a hundred thousand with PKI_TEST_FULL, leave the lab answering, and leak nothing.

The seeds are requests that the lab grants: mutations then reach deep. Everything follows from one number, so that a
failure can be run again: PKI_HOSTILE_SEED.
"""

from __future__ import annotations

import json
import os
import random
import re
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from peer import Identity, create_session
from program import Lab, Pki, running_lab
from sampling import FULL, scaled

# Until the tables that have a bound are full, and malloc's arenas as large as they become.
WARM_UP = scaled(120_000, 10_000)
PIECE = 10_000
REQUESTS = int(os.environ.get("PKI_HOSTILE_REQUESTS") or scaled(100_000, 20_000))
SEED = int(os.environ.get("PKI_HOSTILE_SEED", "20261123"))
CONNECTIONS = 6
BATCH = 40
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
# What a server may say to hostile bytes: it never fails.
REFUSED_BEFORE_THE_HANDLER = {400, 408, 411, 413, 414, 417, 431, 501, 505}


def raw(method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def seeds(lab: Lab, ca: Path) -> list[bytes]:
    """Requests of every kind, signed by others' code, that the lab grants or would, but for the state it is in."""
    host = f"127.0.0.1:{lab.port}"
    client = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
    arns = {"profileArn": lab.profile_arn, "roleArn": lab.role_arn, "trustAnchorArn": lab.trust_anchor_arn}
    found = []
    for options in ({}, {"arns_in_body": True}, {"body": {"instanceProperties": {"host": "a"}}}, {"chain": [client]}):
        request = create_session(client, host, arns, **options)
        found.append(raw("POST", request.target, request.headers, request.body))
    keys = Credentials(lab.exports["AWS_ACCESS_KEY_ID"], lab.exports["AWS_SECRET_ACCESS_KEY"])

    def signed(service: str, method: str, target: str, body: str = "", kind: str = "application/json") -> bytes:
        request = AWSRequest(method, f"http://{host}{target}", headers={"Content-Type": kind, "Host": host}, data=body)
        SigV4Auth(keys, service, "us-east-1").add_auth(request)
        return raw(method, target, dict(request.headers.items()), body.encode())

    bundle = (ca / "root-cert.pem").read_text()
    source = {"sourceType": "CERTIFICATE_BUNDLE", "sourceData": {"x509CertificateData": bundle}}
    profile = lab.profile_arn.rsplit("/", 1)[1]
    found += [
        signed("rolesanywhere", "GET", "/trustanchors?pageSize=5"),
        signed("rolesanywhere", "POST", "/trustanchors", json.dumps({"name": "a", "source": source, "tags": []})),
        signed("rolesanywhere", "POST", "/profiles", json.dumps({"name": "p", "roleArns": [lab.role_arn]})),
        signed("rolesanywhere", "PATCH", f"/profile/{profile}", json.dumps({"durationSeconds": 3600})),
        signed("rolesanywhere", "GET", f"/profile/{profile}"),
        signed("rolesanywhere", "POST", "/crls", json.dumps({"name": "c", "crlData": "eA==", "trustAnchorArn": lab.trust_anchor_arn})),
        signed("rolesanywhere", "GET", f"/ListTagsForResource?resourceArn={lab.profile_arn.replace(':', '%3A').replace('/', '%2F')}"),
        signed("rolesanywhere", "GET", "/subjects"),
    ]
    policy = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole",
         "Condition": {"StringLike": {"aws:PrincipalTag/x509Subject/CN": ["a*", "${aws:userid}"]}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}]}
    )  # fmt: skip
    forms: list[tuple[str, dict[str, str]]] = [
        ("sts", {"Action": "GetCallerIdentity", "Version": "2011-06-15"}),
        ("sts", {"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": lab.role_arn, "RoleSessionName": "x"}),
        ("iam", {"Action": "GetRole", "Version": "2010-05-08", "RoleName": "lab-role"}),
        ("iam", {"Action": "UpdateAssumeRolePolicy", "Version": "2010-05-08", "RoleName": "none", "PolicyDocument": policy}),
        ("iam", {"Action": "CreateRole", "Version": "2010-05-08", "RoleName": "lab-role", "AssumeRolePolicyDocument": policy}),
        ("iam", {"Action": "ListRoles", "Version": "2010-05-08", "MaxItems": "5"}),
    ]
    for service, form in forms:
        found.append(signed(service, "POST", "/", urlencode(form), "application/x-www-form-urlencoded; charset=utf-8"))
    for target in ("/", "/lab/state", "/lab/log?after=3"):
        found.append(raw("GET", target, {"Host": host}, b""))
    found.append(
        raw("POST", "/lab/trust-anchors", {"Host": host, "Content-Type": "application/json"}, b'{"name":"x","bundle":"y"}')
    )
    return found


def mutated(request: bytes, chance: random.Random) -> bytes:
    """One request with one to three faults."""
    data = bytearray(request)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        place = chance.randrange(len(data)) if data else 0
        match chance.randrange(12):
            case 0 | 1 | 2:
                data[place] ^= 1 << chance.randrange(8)
            case 3:
                data[place : place + chance.randrange(1, 20)] = b""
            case 4:
                data[place:place] = chance.randbytes(chance.randrange(1, 20))
            case 5:
                lines = bytes(data).split(b"\r\n")
                line = chance.randrange(len(lines))
                data = bytearray(b"\r\n".join([*lines[: line + 1], *lines[line:]]))
            case 6:
                end = bytes(data).find(b"\r\n") + 2
                data[end:end] = b"X-Long: " + b"a" * chance.choice((10, 5_000, 140_000)) + b"\r\n"
            case 7:
                end = bytes(data).find(b"\r\n") + 2
                data[end:end] = chance.choice(
                    (b"Transfer-Encoding: chunked\r\n", b"Content-Length: 7\r\n", b"Expect: 100-continue\r\n",
                     b"Connection: close\r\n", b"Host: elsewhere\r\n", b" folded\r\n", b"X-Amz-Security-Token: x\r\n")
                )  # fmt: skip
            case 8:
                data[:] = data[:place]
            case 9:
                head = bytes(data).find(b"\r\n\r\n")
                data[head + 4 :] = chance.choice((b"", b"{" * 3_000, b"[" * 40, b'{"a":' * 70, chance.randbytes(60)))
            case 10:
                data[:] = chance.randbytes(chance.randrange(1, 400))
            case 11:
                words = (b"%00", b"%ff", b"\xff\xfe", b"..", b"//", b"'", b"1e999", b"null", b'"', b"\\ud800", b"${", b"&&")
                data[place:place] = chance.choice(words)
        if not data:
            break
    return bytes(data)


def deliver(port: int, requests: list[bytes]) -> Counter[int]:
    """Sends requests one behind the other without waiting; where the lab hangs up, goes on with the next on a new connection."""
    answers: Counter[int] = Counter()
    rest = requests
    while rest:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            try:
                connection.sendall(b"".join(rest))
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            received = bytearray()
            try:
                while chunk := connection.recv(262_144):
                    received += chunk
            except ConnectionResetError:
                pass
        statuses = [int(status) for status in STATUS.findall(bytes(received))]
        answers.update(statuses)
        # At least the first was dealt with, if only by hanging up.
        rest = rest[max(1, len(statuses)) :]
    return answers


def resident(process: int) -> int:
    """Kilobytes of the process in memory."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1])


def descriptors(process: int) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


def storm(lab: Lab, ca: Path, count: int, seed: int) -> Counter[int]:
    chance = random.Random(seed)
    answers: Counter[int] = Counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        while count > 0:
            # Signed anew now and then: a signature is good for five minutes only.
            fresh = seeds(lab, ca)
            batches = []
            for _ in range(min(count, 5_000) // BATCH):
                batch = [mutated(chance.choice(fresh), chance) for _ in range(BATCH)]
                # Some that are as they should be, so that hostile and good share connections.
                batch[chance.randrange(BATCH)] = chance.choice(fresh)
                batches.append(batch)
            for found in pool.map(lambda batch: deliver(lab.port, batch), batches):
                answers.update(found)
            count -= 5_000
    return answers


@pytest.fixture
def hostile_lab(pki: Pki, ca: Path):
    with running_lab(pki, "--directory", ca) as lab:
        yield lab


def test_mutated_requests(pki: Pki, ca: Path, hostile_lab: Lab) -> None:
    lab = hostile_lab
    process = lab.process.pid
    begun = time.monotonic()

    def pelted(count: int, seed: int) -> list[int]:
        """What is resident after each piece: it goes up and down by a megabyte with what the moment needs."""
        sizes = []
        for piece in range(count // PIECE):
            answers.update(storm(lab, ca, PIECE, seed + piece))
            sizes.append(resident(process))
        return sizes

    answers: Counter[int] = Counter()
    before = max(pelted(WARM_UP, SEED))
    open_before = descriptors(process)
    answers.clear()
    # Of a leak nothing is given back, and it goes on; what malloc takes at a time is 3 MB once in some 400,000 requests. The
    # least of the last pieces shows a leak of 200 bytes a request that is answered, and in a longer run a smaller one.
    after = min(pelted(REQUESTS, SEED + 1_000)[-3:])
    print(f"{sum(answers.values())} answers in {time.monotonic() - begun:.0f} s, {before} kB -> {after} kB: {sorted(answers.items())}")

    assert lab.process.poll() is None, "the lab has ended"
    failures = {status: n for status, n in answers.items() if status >= 500 and status not in REFUSED_BEFORE_THE_HANDLER}
    assert not failures
    # The storm reached the services, and was not all turned away at the door.
    for status in (200, 201, 400, 403, 404):
        assert answers[status] > 50, answers
    # After a short warm-up memory still grows for good reasons.
    assert not FULL or after <= before * 1.2, f"{before} kB became {after} kB"
    deadline = time.monotonic() + 60
    while descriptors(process) > open_before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert descriptors(process) <= open_before
    pki.run("creds", *lab.arguments, "--certificate", ca / "client-cert.pem", "--private-key", ca / "client-key.pem")


def test_slow_clients_do_not_keep_others_waiting(pki: Pki, ca: Path, hostile_lab: Lab) -> None:
    lab = hostile_lab
    slow = [socket.create_connection(("127.0.0.1", lab.port), timeout=30) for _ in range(200)]
    try:
        for connection in slow:
            connection.sendall(b"POST /sessions HTTP/1.1\r\nHost: x\r\n")
        begun = time.monotonic()
        while time.monotonic() - begun < 12:
            pki.run("creds", *lab.arguments, "--certificate", ca / "client-cert.pem", "--private-key", ca / "client-key.pem")
            for connection in slow:
                try:
                    connection.sendall(b"X: y\r\n"[:1])
                except OSError:
                    pass
            time.sleep(1)
        # Whoever takes more than ten seconds for a head is told so.
        told = [connection.recv(4_096) for connection in slow]
    finally:
        for connection in slow:
            connection.close()
    assert all(STATUS.match(answer)[1] == b"408" for answer in told)
