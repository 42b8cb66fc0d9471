# SPDX-License-Identifier: Apache-2.0
"""`pki serve-ca` on a machine whose clock jumps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from acme import Client
from enrolled import asked, crl, csr, enrol, number, ocsp_answer, serials, server_certificate
from enrolling import serving_ca
from machines import Clock
from program import Pki
from serving import wait_for


def is_valid(certificate: x509.Certificate, at: datetime) -> bool:
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


MINUTE = timedelta(minutes=1)


class TestClock:
    @pytest.mark.parametrize("days", [[0, 3, 0], [20, 0, 20], [0, -20, 0], [0, 40, -40, 0]])
    def test_jumps(self, pki: Pki, tmp_path: Path, clock: Clock, days: list[int]) -> None:
        """Wherever the clock goes: what is issued is valid then, the CRL and OCSP too, and the CRL's number grows."""
        directory = tmp_path / "ca"
        faked = pki.with_environment(**clock.environment)
        clock.set(timedelta(days=-100))
        faked.run("init-ca", "--directory", directory)
        clock.set(timedelta(days=days[0]))
        numbers: list[int] = []
        with serving_ca(faked, directory) as running:
            token = running.token("web-*", "--uses", "100", "--expires", "365d", "--days", "5")
            for step, day in enumerate(days):
                now = clock.set(timedelta(days=day))
                status, certificate = enrol(running, token, csr(f"web-{step}"))
                assert status == 200 and certificate, running.said
                assert certificate.not_valid_before_utc < certificate.not_valid_after_utc and is_valid(certificate, now + MINUTE)
                faked.run("revoke", f"web-{step}", "--directory", directory)
                wait_for(lambda serial=certificate.serial_number: crl(running).get_revoked_certificate_by_serial_number(serial), log=running.log)
                numbers.append(number(crl(running)))
                assert crl(running).last_update_utc <= now + MINUTE < (crl(running).next_update_utc or now)
                answer = ocsp_answer(running, certificate)
                assert answer.certificate_status == ocsp.OCSPCertStatus.REVOKED
                assert answer.this_update_utc <= now + MINUTE < (answer.next_update_utc or now)
                assert all(is_valid(one, now + MINUTE) for one in answer.certificates)
                wait_for(lambda now=now: is_valid(server_certificate(running), now + MINUTE), log=running.log)
        assert numbers == sorted(set(numbers))

    def test_a_crl_from_the_future_is_made_again(self, pki: Pki, tmp_path: Path, clock: Clock) -> None:
        directory = tmp_path / "ca"
        pki.run("init-ca", "--directory", directory)
        clock.set(timedelta(days=2))
        with serving_ca(pki.with_environment(**clock.environment), directory) as running:
            before = number(crl(running))
            assert crl(running).last_update_utc > datetime.now(UTC) + timedelta(days=1)
            clock.set(timedelta())
            wait_for(lambda: crl(running).last_update_utc <= datetime.now(UTC), log=running.log)
            assert number(crl(running)) > before

    @pytest.mark.parametrize("protocol", ["est", "acme"])
    def test_a_token_that_has_expired_stays_so(self, pki: Pki, tmp_path: Path, clock: Clock, protocol: str) -> None:
        directory = tmp_path / "ca"
        pki.run("init-ca", "--directory", directory)
        with serving_ca(pki.with_environment(**clock.environment), directory) as running:
            token = running.token("web-1", "--expires", "1h")

            def status() -> int:
                if protocol == "est":
                    return enrol(running, token, csr("web-1"))[0]
                asking = Client(running)
                url = f"{asking.base}/acme/new-account"
                return asking.post(url, {"externalAccountBinding": asking.binding(token, url)}).status

            clock.set(timedelta(hours=2))
            refused = status()
            assert refused in (401, 403)
            clock.set(timedelta())
            assert status() == refused
            assert not serials(running)

    def test_a_clock_before_the_cas_certificate(self, pki: Pki, tmp_path: Path, clock: Clock) -> None:
        directory = tmp_path / "ca"
        pki.run("init-ca", "--directory", directory)
        with serving_ca(pki.with_environment(**clock.environment), directory) as running:
            token = running.token("web-*", "--uses", "2")
            clock.set(timedelta(days=-30))
            assert enrol(running, token, csr("web-1"))[0] == 503
            assert asked(directory, running.port, "GET", "/readyz")[0] == 503
            clock.set(timedelta())
            assert enrol(running, token, csr("web-1"))[0] == 200
