# SPDX-License-Identifier: Apache-2.0
"""The judge judged: the verifier takes what is right and refuses each way of being wrong, before pki is put before it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from peer import KEY_TYPES, MLDSA_TYPES, Identity, SignedRequest, create_session, issue, key_usage
from verifier import PROFILE_ARN, ROLE_ARN, TRUST_ANCHOR_ARN, Verifier, VerifierServer, serving

ARNS = {"trustAnchorArn": TRUST_ANCHOR_ARN, "profileArn": PROFILE_ARN, "roleArn": ROLE_ARN}


@pytest.fixture(scope="module")
def root() -> Identity:
    return issue(None, "root", ca=True)


@pytest.fixture(scope="module")
def leaf(root: Identity) -> Identity:
    return issue(root, "leaf")


@pytest.fixture(scope="module")
def server(root: Identity) -> Iterator[VerifierServer]:
    with serving(Verifier([root.certificate])) as server:
        yield server


@pytest.mark.parametrize("key_type", [*KEY_TYPES, *MLDSA_TYPES])
@pytest.mark.parametrize("arns_in_body", [False, True])
def test_takes_every_key_type(root: Identity, server: VerifierServer, key_type: str, arns_in_body: bool) -> None:
    identity = issue(root, key_type=key_type)
    reply = create_session(identity, server.address, ARNS, arns_in_body=arns_in_body).send(server.endpoint)
    assert reply.status == 201, reply
    assert reply.document["credentialSet"][0]["credentials"]["accessKeyId"].startswith("ASIA")


def test_takes_a_chain_in_order_only(root: Identity, server: VerifierServer) -> None:
    upper = issue(root, "upper", ca=True)
    lower = issue(upper, "lower", ca=True)
    identity = issue(lower)
    status = {
        name: create_session(identity, server.address, ARNS, chain=chain).send(server.endpoint).status
        for name, chain in {
            "in order": [lower, upper],
            "out of order": [upper, lower],
            "incomplete": [lower],
            "with the root": [lower, upper, root],
            "absent": [],
        }.items()
    }
    assert status == {"in order": 201, "out of order": 403, "incomplete": 403, "with the root": 403, "absent": 403}


REFUSED: dict[str, tuple[int, Callable[[Identity, str], SignedRequest]]] = {
    "serial in hexadecimal": (
        403,
        lambda i, a: create_session(i, a, ARNS, serial=f"{i.certificate.serial_number:x}"),
    ),
    "another region": (403, lambda i, a: create_session(i, a, ARNS, region="eu-west-1")),
    "another service": (403, lambda i, a: create_session(i, a, ARNS, service="sts")),
    "another algorithm": (403, lambda i, a: create_session(i, a, ARNS, algorithm="AWS4-X509-RSA-SHA256")),
    "content-type not signed": (
        403,
        lambda i, a: create_session(i, a, ARNS, signed=["host", "x-amz-date", "x-amz-x509"]),
    ),
    "signed but not sent": (
        403,
        lambda i, a: create_session(
            i, a, ARNS, signed=["content-type", "host", "x-amz-date", "x-amz-x509", "x-amz-x509-chain"]
        ),
    ),
    "user-agent signed": (403, lambda i, a: create_session(i, a, ARNS, extra_headers={"User-Agent": "x"})),
    "an old date": (
        403,
        lambda i, a: create_session(i, a, ARNS, date=datetime.now(UTC) - timedelta(minutes=6)),
    ),
    "a date to come": (
        403,
        lambda i, a: create_session(i, a, ARNS, date=datetime.now(UTC) + timedelta(minutes=6)),
    ),
    "another content type": (400, lambda i, a: create_session(i, a, ARNS, content_type="text/plain")),
    "another path": (404, lambda i, a: create_session(i, a, ARNS, path="/session")),
    "another anchor": (
        404,
        lambda i, a: create_session(i, a, ARNS | {"trustAnchorArn": TRUST_ANCHOR_ARN[:-1] + "2"}),
    ),
    "no role": (404, lambda i, a: create_session(i, a, {k: v for k, v in ARNS.items() if k != "roleArn"})),
    "a duration too short": (400, lambda i, a: create_session(i, a, ARNS, body={"durationSeconds": 899})),
    "a duration in words": (400, lambda i, a: create_session(i, a, ARNS, body={"durationSeconds": "3600"})),
    "a session name with a space": (400, lambda i, a: create_session(i, a, ARNS, body={"roleSessionName": "a b"})),
    "an unknown member": (400, lambda i, a: create_session(i, a, ARNS, body={"sessionname": "ab"})),
    "another host": (400, lambda i, a: create_session(i, "localhost:1", ARNS)),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(leaf: Identity, server: VerifierServer, case: str) -> None:
    status, make = REFUSED[case]
    assert make(leaf, server.address).send(server.endpoint).status == status


def reverse_query(request: SignedRequest) -> None:
    path, query = request.target.split("?")
    request.target = path + "?" + "&".join(reversed(query.split("&")))


def loosen_query(request: SignedRequest) -> None:
    request.target = request.target.replace("%3A", ":")


def uppercase_signature(request: SignedRequest) -> None:
    head, signature = request.headers["Authorization"].rsplit("=", 1)
    request.headers["Authorization"] = f"{head}={signature.upper()}"


def flip_signature(request: SignedRequest) -> None:
    value = request.headers["Authorization"]
    request.headers["Authorization"] = value[:-1] + ("0" if value[-1] != "0" else "1")


def change_body(request: SignedRequest) -> None:
    request.body = request.body.replace(b"3600", b"3601")


def change_date(request: SignedRequest) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=90)
    request.headers["X-Amz-Date"] = moment.strftime("%Y%m%dT%H%M%SZ")


def unwrap_certificate(request: SignedRequest) -> None:
    request.headers["X-Amz-X509"] = request.headers["X-Amz-X509"].rstrip("=")[:-4]


def add_chain(request: SignedRequest) -> None:
    request.headers["X-Amz-X509-Chain"] = request.headers["X-Amz-X509"]


@pytest.mark.parametrize(
    ("tamper", "status"),
    [
        (reverse_query, 403),
        (loosen_query, 403),
        (uppercase_signature, 403),
        (flip_signature, 403),
        (change_body, 403),
        (change_date, 403),
        (unwrap_certificate, 400),
        (add_chain, 403),
    ],
)
def test_refuses_after(
    leaf: Identity, server: VerifierServer, tamper: Callable[[SignedRequest], None], status: int
) -> None:
    request = create_session(leaf, server.address, ARNS)
    tamper(request)
    assert request.send(server.endpoint).status == status


LEAVES: dict[str, Callable[[Identity], Identity]] = {
    "expired": lambda root: issue(
        root,
        not_before=datetime.now(UTC) - timedelta(days=2),
        not_after=datetime.now(UTC) - timedelta(days=1),
    ),
    "not yet valid": lambda root: issue(root, not_before=datetime.now(UTC) + timedelta(days=1)),
    "a CA": lambda root: issue(root, ca=True, usage=key_usage("digital_signature", "key_cert_sign")),
    "no digitalSignature": lambda root: issue(root, usage=key_usage("key_encipherment")),
    "no subject": lambda root: issue(root, subject=x509.Name([])),
    "of another root": lambda root: issue(issue(None, "root", ca=True)),
    "signed by a leaf": lambda root: issue(issue(root, "root")),
    "a hash below SHA-256": lambda root: issue(root, digest=hashes.SHA224()),
}


@pytest.mark.parametrize("case", LEAVES)
def test_refuses_a_leaf(root: Identity, server: VerifierServer, case: str) -> None:
    request = create_session(LEAVES[case](root), server.address, ARNS)
    assert request.send(server.endpoint).status == 403


def test_records_each_request_as_it_came(leaf: Identity, root: Identity) -> None:
    with serving(Verifier([root.certificate])) as server:
        request = create_session(leaf, server.address, ARNS)
        request.send(server.endpoint)
    [received] = server.requests
    assert received.target == request.target and received.body == request.body
    assert base64.b64decode(received.only("x-amz-x509"))[:1] == b"\x30"
    assert received.only("authorization") == request.headers["Authorization"]
