# SPDX-License-Identifier: Apache-2.0
"""`pki serve-ca` when things fail: it is killed, its disk is full, its clock jumps, its key's device dies, a token is revoked."""

from __future__ import annotations

import http.client
import os
import random
import resource
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from acme import Client
from devices import SOFTHSM, Token, softhsm, stopped, wait_for_socket
from enrolled import asked, crl, csr, enrol, enrolled, number, ocsp_answer, serials, server_certificate
from enrolling import Authority, serving_ca
from enrolling import Token as JoinToken
from hosts import ACMEHost, ESTHost
from machines import small_disk
from peer import load
from program import DONE, Pki
from sampling import scaled
from serving import wait_for


# Python leaves a socket to its garbage collector when the other side ends the handshake.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_killed_at_any_moment(pki: Pki, tmp_path: Path) -> None:
    """Hosts ask by EST and ACME, and again until they are answered, while the server is killed again and again: what one
    received is in the inventory, none was issued twice, and who asks again gets the same."""
    directory, chance = tmp_path / "ca", random.Random(1717)
    pki.run("init-ca", "--directory", directory)
    hosts: list[ESTHost | ACMEHost] = []
    received: dict[str, x509.Certificate] = {}
    cut_off = answered = port = 0
    pending: list[ESTHost | ACMEHost] = []
    token: JoinToken | None = None
    client: Client | None = None

    def ask(host: ESTHost | ACMEHost) -> bool:
        try:
            found = host.ask(port)
        except (OSError, http.client.HTTPException):
            return False
        if found:
            received[host.name] = found
        return found is not None

    rounds = scaled(60, 20)
    for turn in range(rounds + 1):
        with serving_ca(pki, directory, port=port) as running:
            port = running.port
            if not token or not client:
                token = running.token("web-*", "--uses", "100000")
                client = Client(running).register(token)
            client.authority = running
            # Each has its own nonces.
            new: list[ESTHost | ACMEHost] = [ESTHost(directory, f"web-{turn}-{index}", token) for index in range(5)]
            new += [ACMEHost(Client(running, client.key, client.kid), f"web-{turn}-acme-{index}") for index in range(3)]
            hosts += new
            pending += new
            for host in pending:
                if isinstance(host, ACMEHost):
                    host.client.authority = running
            with ThreadPoolExecutor(16) as pool:
                asking = {host.name: pool.submit(ask, host) for host in pending}
                if turn < rounds:
                    # From the first bytes to some time after the last.
                    time.sleep(chance.uniform(0.01, 0.3))
                    running.process.kill()
                    running.process.wait(timeout=30)
                done = {name: future.result() for name, future in asking.items()}
            answered += sum(done.values())
            cut_off += len(done) - sum(done.values())
            pending = [host for host in pending if not done[host.name]]
            if turn == rounds:
                wait_for(lambda: all(ask(host) for host in pending), log=running.log)
                for host in hosts:
                    again = host.ask(port)
                    assert again == received[host.name], host.name
                known = serials(running)
    assert known == {name: [certificate.serial_number] for name, certificate in received.items()}
    assert len(received) == len(hosts)
    assert cut_off > rounds // 4 and answered > rounds, (cut_off, answered)


# A disk without room


def judge_without_room(running: Authority, leave: Callable[[int | None], None], sizes: list[int]) -> None:
    token = running.token("web-*", "--uses", "1000")
    client = Client(running).register(token)
    first = enrol(running, token, csr("web-first"))[1]
    assert first and ocsp_answer(running, first).certificate_status == ocsp.OCSPCertStatus.GOOD
    received = {"web-first": first}
    refused: list[ESTHost | ACMEHost] = []
    log = len(running.said.splitlines())
    for step, size in enumerate(sizes):
        leave(size)
        for index in range(3):
            host = ESTHost(running.directory, f"web-{step}-{index}", token)
            status, certificate = enrolled(running.directory, running.port, token, host.request)
            assert status in (200, 503), status
            if certificate:
                received[host.name] = certificate
            else:
                refused.append(host)
        by_acme = ACMEHost(Client(running, client.key, client.kid), f"web-{step}-acme")
        made = by_acme.ask(running.port)
        if made:
            received[by_acme.name] = made
        else:
            refused.append(by_acme)
        assert ocsp_answer(running, first).certificate_status == ocsp.OCSPCertStatus.GOOD
        assert number(crl(running)) >= 1
    assert len(refused) > 3
    # A fault of which every request is told does not fill the log.
    assert len(running.said.splitlines()) - log < 30, running.said
    leave(None)
    assert asked(running.directory, running.port, "GET", "/readyz")[0] == 200
    for host in refused:
        found = host.ask(running.port)
        assert found, running.said
        received[host.name] = found
    assert serials(running) == {name: [certificate.serial_number] for name, certificate in received.items()}
    assert all((running.directory / f"{name}-cert.pem").exists() for name in received)


@pytest.mark.directory("the disk is that of inventory.sqlite")
def test_a_disk_without_room(pki: Pki, tmp_path: Path) -> None:
    """What cannot be stored is not answered; there is room again, and everybody gets what they asked for."""
    with small_disk(tmp_path / "disk") as leave:
        directory = tmp_path / "disk" / "ca"
        pki.run("init-ca", "--directory", directory)
        with serving_ca(pki, directory) as running:
            judge_without_room(running, leave, [256 << 10, 128 << 10, 64 << 10, 32 << 10, 16 << 10, 8 << 10, 4 << 10, 0, 4 << 10, 24 << 10])


@pytest.mark.directory("the file is inventory.sqlite")
def test_a_limit_on_the_size_of_files(pki: Pki, tmp_path: Path) -> None:
    """The same without a file system of one's own: writing fails in the middle of a file."""
    directory = tmp_path / "ca"
    pki.run("init-ca", "--directory", directory)
    with serving_ca(pki, directory) as running:
        unlimited = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE)

        def leave(size: int | None) -> None:
            limit = unlimited if size is None else (size, unlimited[1])
            resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, limit)

        judge_without_room(running, leave, [200_000, 100_000, 40_000, 4_096, 1_000, 600, 100, 1, 0, 500])


# Others beside


@pytest.mark.directory("reads inventory.sqlite")
def test_another_program_that_reads_the_inventory_takes_nothing_away(pki: Pki, tmp_path: Path) -> None:
    """SQLite deletes the log when its last user closes the database: the server must still count as one."""
    directory = tmp_path / "ca"
    pki.run("init-ca", "--directory", directory)
    with serving_ca(pki, directory) as running:
        token = running.token("web-*", "--uses", "10")
        assert enrol(running, token, csr("web-1"))[0] == 200
        # The log is moved into the file once a second.
        wait_for(lambda: (directory / "inventory.sqlite-wal").stat().st_size == 0, log=running.log)
        with closing(sqlite3.connect(directory / "inventory.sqlite")) as other:
            assert other.execute("SELECT count(*) FROM certificates").fetchone()[0] > 2
        _, certificate = enrol(running, token, csr("web-2"))
        running.process.kill()
        running.process.wait()
        assert certificate is not None and serials(running)["web-2"] == [certificate.serial_number]


def test_a_token_is_revoked_while_many_use_it(pki: Pki, tmp_path: Path) -> None:
    """After `token revoke` has ended, nobody gets a certificate by it; who got one before has the one of the inventory."""
    directory = tmp_path / "ca"
    pki.run("init-ca", "--directory", directory)
    with serving_ca(pki, directory) as running:
        token = running.token("web-*", "--uses", "10000")
        received: dict[str, int] = {}
        late: list[int] = []
        over, revoked = threading.Event(), threading.Event()

        def work(worker: int) -> None:
            turn = 0
            while not over.is_set():
                turn += 1
                name, is_late = f"web-{worker}-{turn}", revoked.is_set()
                status, certificate = enrol(running, token, csr(name))
                assert status in (200, 401)
                if certificate:
                    received[name] = certificate.serial_number
                if is_late:
                    late.append(status)

        with ThreadPoolExecutor(8) as pool:
            working = [pool.submit(work, worker) for worker in range(8)]
            wait_for(lambda: len(received) > 20, log=running.log)
            running.run("token", "revoke", token.identifier)
            revoked.set()
            wait_for(lambda: len(late) > 20, log=running.log)
            over.set()
            for one in working:
                one.result()
        assert set(late) == {401}
        assert serials(running) == {name: [serial] for name, serial in received.items()}


@pytest.mark.directory("issues in the directory")
def test_the_other_commands_beside_a_busy_server(pki: Pki, tmp_path: Path) -> None:
    """None waits so long that it fails, and none makes an enrolment fail."""
    directory = tmp_path / "ca"
    pki.run("init-ca", "--directory", directory)
    pki.run("issue-client", "own", "--directory", directory)
    with serving_ca(pki, directory) as running:
        token = running.token("web-*", "--uses", "100000")
        over = threading.Event()
        received: dict[str, int] = {}

        def work(worker: int) -> None:
            turn = 0
            while not over.is_set():
                turn += 1
                name = f"web-{worker}-{turn}"
                status, certificate = enrol(running, token, csr(name))
                assert status == 200 and certificate, running.said
                received[name] = certificate.serial_number

        commands: list[tuple[str | Path, ...]] = [
            ("list", "--all"), ("status",), ("token", "create", "--name", "other"), ("token", "list"), ("crl",), ("renew", "own"),
            ("issue-client", "fresh-{turn}"), ("revoke", "fresh-{turn}"), ("audit",), ("backup", tmp_path / "backup-{turn}"), ("doctor",),
        ]  # fmt: skip
        with ThreadPoolExecutor(6) as pool:
            working = [pool.submit(work, worker) for worker in range(6)]
            for turn in range(scaled(20, 4)):
                for command in commands:
                    words = [str(word).replace("{turn}", str(turn)) for word in command]
                    done = pki.run(*words, "--directory", directory, status=None)
                    assert done.status in (DONE, *((1,) if words[0] in ("doctor", "status") else ())), done.describe()
                    assert "locked" not in done.stderr and "busy" not in done.stderr, done.describe()
            over.set()
            for one in working:
                one.result()
        known = serials(running)
        assert {name: [serial] for name, serial in received.items()}.items() <= known.items()


# The key's device


@contextmanager
def remote_token(token: Token, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Gives a token to other processes over a socket; when this ends, every session is lost."""
    path.unlink(missing_ok=True)
    process = subprocess.Popen(
        ["/usr/bin/p11-kit", "server", "--foreground", "--name", str(path), "--provider", str(SOFTHSM), f"pkcs11:token={token.label}"],
        env={**os.environ, **token.environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    with stopped(process):
        wait_for_socket(path, process)
        yield process
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """With the processes that it has started, one for each client."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)


def test_a_device_whose_sessions_die(pki: Pki, tmp_path: Path) -> None:
    """The CA's key is in a token over a socket. The socket's server dies: 503, and OCSP and CRL go on; it comes back: 200."""
    client = next(Path("/usr/lib").glob("*/pkcs11/p11-kit-client.so"), None)
    if not client:
        pytest.skip("p11-kit's client module is not installed")
    with softhsm("ca") as (token,):
        path = token.folder / "p11"
        remote = pki.with_environment(P11_KIT_SERVER_ADDRESS=f"unix:path={path}", **token.environment)
        key = ("--key", "pkcs11:token=ca;object=root", "--generate-key")
        device = ("--pkcs11-lib", client, "--passphrase-file", token.pin_file)
        directory = tmp_path / "ca"
        with remote_token(token, path):
            remote.run("init-ca", "--directory", directory, *key, *device)
        with remote_token(token, path) as first:
            with serving_ca(remote, directory, *device) as running:
                join = running.token("web-*", "--uses", "100")
                status, certificate = enrol(running, join, csr("web-1"))
                assert status == 200 and certificate
                ocsp_answer(running, certificate)
                kill(first)
                request = csr("web-2")
                assert enrol(running, join, request)[0] == 503
                assert ocsp_answer(running, certificate).certificate_status == ocsp.OCSPCertStatus.GOOD
                assert number(crl(running)) >= 1
                wait_for(lambda: asked(directory, running.port, "GET", "/readyz")[0] == 503, log=running.log)
                with remote_token(token, path):
                    wait_for(lambda: enrol(running, join, request)[0] == 200, log=running.log)
                    wait_for(lambda: asked(directory, running.port, "GET", "/readyz")[0] == 200, log=running.log)
                assert token.pin not in running.said


@pytest.mark.directory("the server keeps its own keys in memory")
def test_a_server_that_starts_again_has_the_same_certificates(pki: Pki, tmp_path: Path) -> None:
    """Those for TLS and OCSP are used until a third of their life is left, unless other names are wanted or they were revoked."""
    directory = tmp_path / "ca"
    pki.run("init-ca", "--directory", directory)
    pki.run("issue-client", "web-1", "--directory", directory)
    certificate = load(directory / "web-1-cert.pem")

    def own(*options: str) -> tuple[int, int]:
        with serving_ca(pki, directory, *options) as running:
            return server_certificate(running).serial_number, ocsp_answer(running, certificate).certificates[0].serial_number

    first = own()
    assert own() == first
    assert all((directory / f"{name}-key.pem").stat().st_mode & 0o777 == 0o600 for name in ("serve-ca", "serve-ca-ocsp"))
    other = own("--host", "127.0.0.1", "--host", "ca.example.com")
    assert other[0] != first[0] and other[1] == first[1]
    pki.run("revoke", "serve-ca-ocsp", "--directory", directory)
    again = own("--host", "127.0.0.1", "--host", "ca.example.com")
    assert again[0] == other[0] and again[1] != other[1]
    (directory / "serve-ca-key.pem").unlink()
    assert own("--host", "127.0.0.1", "--host", "ca.example.com")[0] != again[0]


@pytest.mark.directory("each server has a certificate of its own")
def test_a_revoked_certificate_of_the_server_is_replaced_at_once(pki: Pki, tmp_path: Path) -> None:
    directory = tmp_path / "ca"
    pki.run("init-ca", "--directory", directory)
    pki.run("issue-client", "web-1", "--directory", directory)
    certificate = load(directory / "web-1-cert.pem")
    with serving_ca(pki, directory) as running:

        def signer() -> int:
            return ocsp_answer(running, certificate).certificates[0].serial_number

        tls, ocsp = server_certificate(running).serial_number, signer()
        running.run("revoke", "serve-ca")
        running.run("revoke", "serve-ca-ocsp")
        wait_for(lambda: server_certificate(running).serial_number != tls, log=running.log)
        wait_for(lambda: signer() != ocsp, log=running.log)
        assert "the server's certificate was revoked" in running.said and "the certificate of OCSP was revoked" in running.said
        current = [row["name"] for row in running.rows() if row["status"] == "valid"]
        assert {"serve-ca", "serve-ca-ocsp"} <= set(current)
