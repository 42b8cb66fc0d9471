# SPDX-License-Identifier: Apache-2.0
"""RFC 6960, 5019 and 9654 in docs/conformance.md: the requirements that no other file proves."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import ocsp

from enrolling import serving_ca
from program import Pki
from serving import wait_for
from test_ocsp import Authority, ask, authority, certificate, get, post, request  # noqa: F401
from tools import openssl

NONCE_OF_128 = bytes(range(128))


def test_every_answer_is_signed_and_names_its_signer(authority: Authority) -> None:  # noqa: F811
    for name in ("web-1", "web-2", "web-3"):
        answer = post(authority, request(authority, name))
        [signer] = answer.certificates
        assert answer.signature and answer.responder_name is None
        assert answer.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(signer.public_key()).digest
        signer.verify_directly_issued_by(certificate(authority, "root"))
        now = datetime.now(UTC)
        assert signer.not_valid_before_utc <= now <= answer.next_update_utc <= signer.not_valid_after_utc


def test_a_refusal_is_not_signed(authority: Authority) -> None:  # noqa: F811
    content = ask(authority, "POST", "/ocsp", b"x")[1]
    # A status alone: RFC 6960 §2.3.
    assert content == b"\x30\x03\x0a\x01\x01"


def test_times_are_in_whole_seconds_of_utc(authority: Authority) -> None:  # noqa: F811
    """RFC 5019 §2.2.4. A GeneralizedTime is found by its tag and length; those of the certificate have no such tag."""
    content = ask(authority, "POST", "/ocsp", request(authority, "web-2"))[1]
    # producedAt, revocationTime, thisUpdate and nextUpdate.
    assert len(re.findall(rb"\x18\x0f\d{14}Z", content)) == len(re.findall(rb"\x18[\x0b-\x18]\d{10}", content)) == 4


@pytest.mark.parametrize("options", [(), ("-no_nonce",)], ids=" ".join)
def test_a_signed_request_is_answered_like_another(authority: Authority, tmp_path: Path, options: tuple[str, ...]) -> None:  # noqa: F811
    signer = ("-signer", authority.directory / "web-1-cert.pem", "-signkey", authority.directory / "web-1-key.pem")
    shown = openssl(
        "ocsp", "-issuer", authority.root, "-cert", authority.directory / "web-2-cert.pem", *signer, *options,
        "-url", f"{authority.plain}/ocsp", "-CAfile", authority.root,
    )  # fmt: skip
    assert "Response verify OK" in shown.stderr and "revoked" in shown.stdout


def test_what_is_signed_may_be_kept(authority: Authority) -> None:  # noqa: F811
    """RFC 5019 §6.2 forbids no-cache and no-store in what the responder has the authority to say."""
    [good, revoked, fresh] = [request(authority, "web-1"), request(authority, "web-2"), request(authority, "web-1", nonce=b"n" * 16)]
    known = ocsp.load_der_ocsp_request(good)
    unknown = ocsp.OCSPRequestBuilder().add_certificate_by_hash(known.issuer_name_hash, known.issuer_key_hash, 77, known.hash_algorithm).build()
    for body in (good, revoked, fresh, unknown.public_bytes(serialization.Encoding.DER)):
        for answer, content in (get(authority, body), ask(authority, "POST", "/ocsp", body)):
            assert ocsp.load_der_ocsp_response(content).response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
            assert not re.search("no-cache|no-store", f"{answer.getheader('Cache-Control')} {answer.getheader('Pragma')}")


def test_what_is_not_signed_is_not_kept(authority: Authority) -> None:  # noqa: F811
    assert ask(authority, "GET", f"/ocsp/{base64.b64encode(b'x').decode()}")[0].getheader("Cache-Control") == "no-store"


@pytest.mark.parametrize(("length", "status"), [(0, 1), (1, 0), (32, 0), (33, 0), (128, 0), (129, 1), (4_000, 1)])
def test_a_nonce_has_1_to_128_octets(authority: Authority, length: int, status: int) -> None:  # noqa: F811
    """RFC 9654 §2.1."""
    nonce = (NONCE_OF_128 * 32)[:length]
    answer = post(authority, request(authority, "web-1", nonce=nonce))
    assert answer.response_status.value == status
    assert status or answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce


@pytest.mark.directory("libpq's time for a connection is over at once")
def test_a_kept_answer_is_signed_again_before_it_ends(pki: Pki, tmp_path: Path) -> None:
    """RFC 5019 §6.1. The server's clock goes 200 times as fast, so that half of the hour is nine seconds."""
    faketime = shutil.which("faketime", path="/usr/bin")
    if faketime is None:
        pytest.skip("there is no faketime: run script/bootstrap")
    pki.run("init-ca", "--directory", tmp_path / "ca")
    pki.run("issue-client", "web-1", "--directory", tmp_path / "ca")
    fast = pki.with_prefix(faketime, "--exclude-monotonic", "-f", "+0 x200")
    with serving_ca(fast, tmp_path / "ca", "--revocation-listen", "127.0.0.1:0") as own:
        produced: set[datetime] = set()

        def asked() -> bool:
            answer, content = get(own, request(own, "web-1"))
            parsed = ocsp.load_der_ocsp_response(content)
            produced.add(parsed.produced_at_utc)
            assert parsed.next_update_utc > parsedate_to_datetime(answer.getheader("Date") or "")
            return max(produced) - min(produced) > timedelta(minutes=40)

        try:
            wait_for(asked, log=own.log)
            times = sorted(produced)
            assert all(later - earlier < timedelta(minutes=50) for earlier, later in zip(times, times[1:], strict=False))
        finally:
            # The program that tells another time does not pass signals on to the server.
            os.kill(int(Path(f"/proc/{own.process.pid}/task/{own.process.pid}/children").read_text()), signal.SIGTERM)
            assert own.process.wait(timeout=30) == 0
