# SPDX-License-Identifier: Apache-2.0
"""CRLs over HTTP from `pki serve-ca`: made on a schedule and after revocations, whoever revokes, and never twice with one number."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509

from enrolling import Authority, curl, serving_ca
from moments import KillMoments
from program import Pki
from sampling import scaled
from serving import wait_for
from tools import openssl, tool


@pytest.fixture
def own(pki: Pki, tmp_path: Path) -> Iterator[Authority]:
    """A server of one test."""
    pki.run("init-ca", "--directory", tmp_path / "ca")
    with serving_ca(pki, tmp_path / "ca") as running:
        yield running


def served(authority: Authority, name: str = "root") -> x509.CertificateRevocationList:
    reply = curl(authority, f"/crl/{name}.pem")
    assert reply.status == 200, reply
    return x509.load_pem_x509_crl(reply.body.encode())


def number(revoked: x509.CertificateRevocationList) -> int:
    return revoked.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def wait_for_entries(authority: Authority, count: int) -> None:
    """Waits until every server has a list with so many entries."""
    wait_for(lambda: all(len(served(one)) == count for one in authority.each), log=authority.log)


def metric(authority: Authority, name: str) -> float:
    return authority.metrics()[name]


def serial(authority: Authority, name: str) -> int:
    return next(int(str(row["serialNumber"]), 16) for row in authority.rows() if row["name"] == name)


class TestServing:
    def test_a_list_is_there_when_the_server_says_that_it_listens(self, own: Authority, tmp_path: Path) -> None:
        path = tmp_path / "root.crl"
        done = tool("curl", "--silent", "--fail", "--cacert", own.root, "--output", path, "--write-out", "%{content_type}", f"{own.url}/crl/root.crl")
        assert done.stdout == "application/pkix-crl"
        assert "verify OK" in openssl("crl", "-inform", "DER", "-in", path, "-noout", "-CAfile", own.root).stderr
        assert served(own).is_signature_valid(x509.load_pem_x509_certificate(own.root.read_bytes()).public_key())

    def test_a_client_that_has_the_list_gets_304(self, own: Authority) -> None:
        first = curl(own, "/crl/root.pem")
        assert "max-age=60" in first.headers["cache-control"]
        for header in (f"If-None-Match: {first.headers['etag']}", f"If-None-Match: \"x\", W/{first.headers['etag']}",
                       f"If-Modified-Since: {first.headers['last-modified']}"):  # fmt: skip
            reply = curl(own, "/crl/root.pem", "--header", header)
            assert (reply.status, reply.body, reply.headers["etag"]) == (304, "", first.headers["etag"]), header
        assert curl(own, "/crl/root.pem", "--header", 'If-None-Match: "another"').status == 200
        assert curl(own, "/crl/root.pem", "--header", "If-None-Match: *").status == 304

    @pytest.mark.directory("makes a CA while the server runs")
    def test_every_ca_of_the_directory_has_its_own(self, own: Authority) -> None:
        assert curl(own, "/crl/issuing-1.pem").status == 404
        own.run("issue-intermediate", "--name", "issuing-1")
        own.run("crl", "--issuer", "issuing-1")
        assert "issuing-1" in str(served(own, "issuing-1").issuer)
        assert "issuing-1" not in str(served(own).issuer)

    @pytest.mark.parametrize("name", ["", "nobody.crl", "root", "root.der", "..%2Froot.crl", "root%00.crl", "%2e%2e.crl", "-.pem", "a" * 300 + ".crl"])
    def test_there_is_nothing_else(self, own: Authority, name: str) -> None:
        assert curl(own, f"/crl/{name}").status in (400, 404)

    @pytest.mark.directory("the list is in the inventory, not in a file")
    def test_a_list_that_the_ca_did_not_sign_is_not_served(self, own: Authority, pki: Pki, tmp_path: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path / "other")
        pki.run("crl", "--directory", tmp_path / "other")
        (own.directory / "root-crl.pem").write_bytes((tmp_path / "other" / "root-crl.pem").read_bytes())
        assert curl(own, "/crl/root.pem").status in (200, 503)
        # The next list, which is soon made, replaces it.
        own.issue("web-1")
        own.run("revoke", "web-1")
        wait_for(lambda: curl(own, "/crl/root.pem").status == 200 and len(served(own)) == 1, log=own.log)

    def test_lists_can_be_had_without_tls_and_nothing_else(self, pki: Pki, tmp_path: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path / "ca")
        with serving_ca(pki, tmp_path / "ca", "--revocation-listen", "127.0.0.1:0") as running:
            plain = Authority(pki, running.directory, running.process, running.log, running.plain)
            assert curl(plain, "/crl/root.pem").status == 200
            assert curl(plain, "/.well-known/est/cacerts").status == 404
            assert curl(plain, "/metrics").status == 404


class TestRevoking:
    def test_what_another_process_revokes_is_in_the_list_within_5_seconds(self, own: Authority) -> None:
        own.issue("web-1")
        before = number(served(own))
        own.run("revoke", "web-1", "--reason", "superseded")
        start = time.monotonic()
        wait_for_entries(own, 1)
        assert time.monotonic() - start < 5
        entry = served(own).get_revoked_certificate_by_serial_number(serial(own, "web-1"))
        assert entry
        assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.superseded
        assert number(served(own)) == before + 1
        assert metric(own, "pki_crl_entries") == 1
        assert 0 <= metric(own, "pki_crl_age_seconds") < 60

    def test_what_is_released_from_hold_leaves_the_list(self, own: Authority) -> None:
        own.issue("web-1")
        own.run("revoke", "web-1", "--hold")
        wait_for_entries(own, 1)
        own.run("revoke", "web-1", "--release")
        wait_for_entries(own, 0)

    @pytest.mark.directory("makes a CA while the server runs")
    def test_revocations_of_another_ca_make_no_list(self, own: Authority) -> None:
        own.run("issue-intermediate", "--name", "issuing-1")
        own.run("issue-client", "--name", "web-1", "--issuer", "issuing-1")
        own.issue("web-2")
        before = number(served(own))
        own.run("revoke", "web-1")
        own.run("revoke", "web-2")
        wait_for_entries(own, 1)
        assert number(served(own)) == before + 1

    @pytest.mark.directory("the list is in the inventory, not in a file")
    def test_a_list_that_cannot_be_made_is_told(self, own: Authority) -> None:
        own.issue("web-1")
        path = own.directory / "root-crl.pem"
        path.unlink()
        path.mkdir()
        own.run("revoke", "web-1")
        wait_for(lambda: curl(own, "/readyz").status == 503, log=own.log)
        assert "the CRL of root is overdue" in curl(own, "/readyz").body
        assert "pki_crl_builds_total{outcome=\"failed\"}" in curl(own, "/metrics").body
        assert own.said.count("root-crl.pem") == 1
        path.rmdir()
        wait_for(lambda: curl(own, "/readyz").status == 200, log=own.log)
        assert len(served(own)) == 1


@pytest.mark.directory("renews certificates in the directory")
def test_a_timer_that_renews_leaves_the_servers_own_certificates(own: Authority) -> None:
    own.issue("web-1")
    before = serial(own, "serve-ca")
    own.run("renew", "--all")
    assert len([row for row in own.rows() if row["name"] == "web-1"]) == 2
    assert [int(str(row["serialNumber"]), 16) for row in own.rows() if row["name"] == "serve-ca"] == [before]


class TestNumbers:
    """A number is never used twice (RFC 5280 section 5.2.3)."""

    @staticmethod
    def numbers(authority: Authority) -> list[int]:
        rows = authority.pki.run("audit", "--format", "json", "--directory", authority.directory).json
        return [int(row["detail"].split()[1].rstrip(",")) for row in rows if row["action"] == "crl"]

    def test_two_processes_at_once_number_their_lists_in_turn(self, own: Authority) -> None:
        own.issue("web-1")

        def make(_: int) -> int:
            own.run("revoke", "web-1", "--hold")
            made = number(x509.load_pem_x509_crl(own.run("crl").encode()))
            own.run("revoke", "web-1", "--release")
            return made

        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(make, range(8)))
        assert len(set(made)) == 8
        numbers = self.numbers(own)
        assert numbers == sorted(set(numbers))
        assert set(made) <= set(numbers)

    def test_what_a_killed_pki_crl_left_is_finished_by_the_server(self, own: Authority) -> None:
        moments = KillMoments.of(lambda: own.run("crl"), 5280)
        last = 0
        for _ in range(scaled(60, 25)):
            moments.kill(own.pki.popen("crl", "--directory", own.directory))
            # The newest is served within seconds. What the server knows counts: who was killed after the commit was written to the
            # log, and before the log's index told of it, has committed nothing for those who are running. A command that only reads
            # has an index of its own, and sees it until the next change.
            wait_for(lambda: number(served(own)) == metric(own, "pki_crl_number"), seconds=10, log=own.log)
            seen = number(served(own))
            assert seen >= last
            last = seen
        moments.assert_spread()
        own.run("crl")
        numbers = self.numbers(own)
        assert numbers == sorted(set(numbers))
        assert "cannot be made" not in own.said

    def test_a_killed_server_leaves_no_gap_that_is_used_again(self, pki: Pki, tmp_path: Path) -> None:
        directory = tmp_path / "ca"
        pki.run("init-ca", "--directory", directory)
        pki.run("issue-client", "--name", "web-1", "--directory", directory)
        last = 0
        for attempt in range(6):
            with serving_ca(pki, directory) as running:
                seen = number(served(running))
                assert seen > last, running.said
                last = seen
                running.run("revoke", "web-1", "--release" if attempt % 2 else "--hold")
                # Each time a bit later in the seconds in which the next list is made.
                for _ in range(4 * attempt):
                    served(running)
                running.stop(signal.SIGKILL)
        with serving_ca(pki, directory) as running:
            assert number(served(running)) > last
            numbers = self.numbers(running)
            assert numbers == sorted(set(numbers))
            running.run("audit", "--verify")
