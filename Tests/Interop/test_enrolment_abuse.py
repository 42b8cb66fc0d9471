# SPDX-License-Identifier: Apache-2.0
"""`pki serve-ca` under abuse: tokens guessed by the thousand, clients that stall, requests that smuggle. Others are served."""

from __future__ import annotations

import base64
import http.client
import os
import resource
import secrets
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from acme import Client, Reply, client, key, request_for
from enrolling import Authority, certificate_request, curl, enrol, serving_ca
from peer import load
from program import Pki
from sampling import scaled
from serving import wait_for

ATTACKER = "127.0.0.2"
"""Another address than that of the hosts, which is 127.0.0.1."""


@pytest.fixture
def own(pki: Pki, tmp_path: Path) -> Iterator[Authority]:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    with serving_ca(pki, tmp_path / "ca") as running:
        yield running


def memory(authority: Authority) -> int:
    """In kilobytes."""
    lines = Path(f"/proc/{authority.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


def connection(authority: Authority, source: str) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(authority.root))
    return http.client.HTTPSConnection("127.0.0.1", authority.port, timeout=60, context=context, source_address=(source, 0))


def attack(authority: Authority, count: int, wrong: Callable[[http.client.HTTPSConnection], int], source: Callable[[int], str]) -> Counter[int]:
    """Sends wrong requests by eight threads, twenty on a connection, and counts the statuses of the answers."""
    statuses: Counter[int] = Counter()

    def one(number: int) -> list[int]:
        own = connection(authority, source(number))
        try:
            return [wrong(own) for _ in range(20)]
        finally:
            own.close()

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(one, range(count // 20)):
            statuses.update(found)
    return statuses


@contextmanager
def hosts_at_work(authority: Authority, home: Path) -> Iterator[list[int]]:
    """Hosts enrol one after the other, and more than one while the block runs; every answer must be a certificate."""
    token = authority.token("host-*", "--uses", "1000")
    statuses: list[int] = []
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            number = len(statuses)
            request, _ = certificate_request(home, f"/CN=host-{number}", name=f"host-{number}")
            statuses.append(enrol(authority, request, token).status)

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        try:
            wait_for(lambda: statuses or working.done(), log=authority.log)
            yield statuses
            count = len(statuses)
            wait_for(lambda: len(statuses) > count + 1 or working.done(), log=authority.log)
        finally:
            over.set()
        working.result()
    assert set(statuses) == {200}, authority.said


@pytest.mark.directory("each server counts for itself")
class TestGuessing:
    """Ten thousand wrong tokens: metrics count them, memory, log and inventory do not grow, hosts get their certificates."""

    COUNT = scaled(10_000, 2_000)

    def judge(self, own: Authority, home: Path, wrong: Callable[[http.client.HTTPSConnection], int], source: Callable[[int], str], name: str) -> Counter[int]:
        attack(own, 400, wrong, lambda number: f"127.9.{number}.1")
        before, audited, log = memory(own), len(own.run("audit").splitlines()), len(own.said)
        counted = own.metrics().get(f'pki_wrong_secrets_total{{protocol="{name}"}}', 0)
        with hosts_at_work(own, home) as issued:
            statuses = attack(own, self.COUNT, wrong, source)
        # What was refused before its secret was looked at is counted, too.
        hurried = own.metrics().get('pki_throttled_total{limit="enrolment"}', 0)
        assert own.metrics()[f'pki_wrong_secrets_total{{protocol="{name}"}}'] - counted + hurried == self.COUNT
        assert memory(own) - before < 16_000
        assert len(own.said) - log < 2_000, own.said
        assert len(own.run("audit").splitlines()) - audited <= 4 * len(issued) + 20
        assert sum(statuses.values()) == self.COUNT and set(statuses) <= {401, 403, 429}
        return statuses

    @staticmethod
    def basic(own: Authority, home: Path) -> Callable[[http.client.HTTPSConnection], int]:
        token = own.token("guessed")
        body = certificate_request(home, "/CN=guessed", name="guessed")[0].read_bytes()

        def wrong(to: http.client.HTTPSConnection) -> int:
            words = base64.b64encode(f"{token.identifier}:{secrets.token_urlsafe(32)}".encode()).decode()
            to.request("POST", "/.well-known/est/simpleenroll", body, {"Authorization": f"Basic {words}", "Content-Type": "application/pkcs10"})
            response = to.getresponse()
            response.read()
            return response.status

        return wrong

    def test_as_est_basic_from_one_address(self, own: Authority, tmp_path: Path) -> None:
        statuses = self.judge(own, tmp_path, self.basic(own, tmp_path), lambda _: ATTACKER, "est")
        assert statuses[429] > statuses[401]
        assert own.metrics()['pki_throttled_total{limit="secrets"}'] > 0

    def test_as_est_basic_from_many_addresses(self, own: Authority, tmp_path: Path) -> None:
        statuses = self.judge(own, tmp_path, self.basic(own, tmp_path), lambda number: f"127.1.{number // 200}.{number % 200 + 1}", "est")
        assert statuses[401] == self.COUNT

    def test_as_external_account_binding(self, own: Authority, tmp_path: Path) -> None:
        token = own.token("guessed")
        url = f"https://127.0.0.1:{own.port}/acme/new-account"
        local = threading.local()

        def wrong(to: http.client.HTTPSConnection) -> int:
            if getattr(local, "to", None) is not to:
                to.request("HEAD", "/acme/new-nonce")
                response = to.getresponse()
                response.read()
                local.to, local.client, local.nonce = to, Client(own), response.headers["Replay-Nonce"]
            guess = local.client.binding(token, url, secrets.token_bytes(32))
            message = local.client.message(url, {"externalAccountBinding": guess}, nonce=local.nonce)
            to.request("POST", "/acme/new-account", message, {"Content-Type": "application/jose+json"})
            response = to.getresponse()
            response.read()
            local.nonce = response.headers["Replay-Nonce"]
            return response.status

        self.judge(own, tmp_path, wrong, lambda number: f"127.2.{number // 200}.{number % 200 + 1}", "acme")

    def test_a_right_secret_is_taken_from_an_address_that_guesses(self, own: Authority, tmp_path: Path) -> None:
        """A site has one address for all of its hosts, of which one may have a wrong token."""
        right, certified = own.token("web-1"), own.token("web-2")
        request, key_path = certificate_request(tmp_path, "/CN=web-2", name="web-2")
        certificate = enrol(own, request, certified).certificate(tmp_path / "web-2.pem")
        wrong = self.basic(own, tmp_path)
        assert attack(own, 60, wrong, lambda _: "127.0.0.1")[429] > 0
        assert enrol(own, certificate_request(tmp_path, "/CN=web-1")[0], right).status == 200
        assert Client(own).register(own.token("web-3")).certificate("web-3")
        proof = ("--cert", certificate, "--key", key_path)
        assert enrol(own, request, None, *proof, path="simplereenroll").status == 200


@contextmanager
def many_files() -> Iterator[int]:
    """Lets this process have enough connections open; returns how many the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4_096)), hard))
    try:
        yield resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.directory("HAProxy has the connections")
class TestStalling:
    """More connections than the server takes, all of which stall; a host comes through each time."""

    COUNT = 1_400

    @staticmethod
    def plain(own: Authority) -> socket.socket:
        return socket.create_connection(("127.0.0.1", own.port), 60, source_address=(ATTACKER, 0))

    def hello(self, own: Authority) -> socket.socket:
        """A part of a TLS record."""
        stalled = self.plain(own)
        stalled.sendall(b"\x16\x03\x01\x02\x00\x01")
        return stalled

    def encrypted(self, own: Authority, sent: bytes) -> socket.socket:
        context = ssl.create_default_context(cafile=str(own.root))
        stalled = context.wrap_socket(self.plain(own), server_hostname="127.0.0.1")
        stalled.sendall(sent)
        return stalled

    # Python leaves a socket to its garbage collector when the other side ends the handshake.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    @pytest.mark.parametrize("how", ["silence", "handshake", "head", "body"])
    def test_connections(self, own: Authority, tmp_path: Path, how: str) -> None:
        head = b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: ca\r\nContent-Type: application/pkcs10\r\n"
        stall: Callable[[], socket.socket] = {
            "silence": lambda: self.plain(own),
            "handshake": lambda: self.hello(own),
            "head": lambda: self.encrypted(own, head),
            "body": lambda: self.encrypted(own, head + b"Content-Length: 2000\r\n\r\nMII"),
        }[how]
        with many_files() as allowed, ExitStack() as stack:
            if allowed < self.COUNT + 200:
                pytest.skip("the system does not allow so many connections")
            before = memory(own)
            with hosts_at_work(own, tmp_path):
                with ThreadPoolExecutor(8) as pool:
                    for stalled in pool.map(lambda _: self.opened(stall), range(self.COUNT)):
                        if stalled:
                            stack.callback(stalled.close)
            open_now = len(os.listdir(f"/proc/{own.process.pid}/fd"))
            assert open_now < 1_200
            assert memory(own) - before < 150_000

    @staticmethod
    def opened(stall: Callable[[], socket.socket]) -> socket.socket | None:
        """`None` if the server has closed it already."""
        try:
            return stall()
        except (OSError, ssl.SSLError):
            return None


@pytest.mark.directory("each server counts for itself")
class TestRevocationLimits:
    """Whoever asks about revocations without end is told to wait; what was signed before is given all the same."""

    def ask(self, own: Authority, count: int, source: str, *requests: tuple[str, str, bytes | None]) -> Counter[int]:
        statuses: Counter[int] = Counter()

        def one(_: int) -> list[int]:
            to = connection(own, source)
            found = []
            try:
                for method, path, body in requests * (count // 8 // len(requests)):
                    to.request(method, path, body)
                    response = to.getresponse()
                    response.read()
                    found.append(response.status)
            finally:
                to.close()
            return found

        with ThreadPoolExecutor(8) as pool:
            for found in pool.map(one, range(8)):
                statuses.update(found)
        return statuses

    def test_crls(self, own: Authority) -> None:
        statuses = self.ask(own, 6_000, ATTACKER, ("GET", "/crl/root.crl", None))
        assert set(statuses) == {200, 429} and statuses[200] >= 2_000
        assert set(self.ask(own, 80, "127.0.0.1", ("GET", "/crl/root.crl", None))) == {200}

    def test_ocsp(self, own: Authority, tmp_path: Path) -> None:
        own.run("issue-client", "web-1")
        root, certificate = load(own.root), load(own.directory / "web-1-cert.pem")
        builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, root, hashes.SHA256())
        plain = builder.build().public_bytes(serialization.Encoding.DER)
        signed = builder.add_extension(x509.OCSPNonce(b"n" * 32), critical=False).build().public_bytes(serialization.Encoding.DER)
        statuses = self.ask(own, 8_000, ATTACKER, ("POST", "/ocsp", signed))
        assert set(statuses) == {200, 429}
        assert set(self.ask(own, 800, "127.0.0.1", ("POST", "/ocsp", plain))) == {200}
        assert set(self.ask(own, 800, ATTACKER, ("POST", "/ocsp", plain))) == {200}


class TestRelaying:
    """What a client signs for a false server is worth nothing here, whatever Host the false server sends."""

    @staticmethod
    def relayed(account: Client, host: str) -> Reply:
        message = account.message(f"https://{host}/acme/new-order", {"identifiers": [{"type": "dns", "value": "web"}]})
        return account.send("POST", "/acme/new-order", message, host=host)

    @pytest.mark.parametrize("host", ["evil.example", "evil.example:8443", "192.0.2.1", "localhost.evil.example", "[::1]"])
    def test_a_message_for_another_host_is_refused(self, own: Authority, host: str) -> None:
        account = client(own, "web")
        reply = self.relayed(account, host)
        assert (reply.status, reply.error) == (421, "malformed")
        directory = account.send("GET", "/acme/directory", host=host)
        assert (directory.status, directory.error) == (421, "malformed")
        assert "Link" not in directory.headers and b"https://" not in directory.body

    @pytest.mark.directory("the server keeps its own keys in memory")
    def test_the_names_of_the_certificate_and_those_of_host_are_taken_on_any_port(self, pki: Pki, own: Authority, tmp_path: Path) -> None:
        account = client(own, "web")
        identifier = str(account.kid).rpartition("/")[2]
        for host in ["localhost", "LOCALHOST:443", f"127.0.0.1:{own.port}"]:
            account.kid = f"https://{host.lower()}/acme/account/{identifier}"
            message = account.message(f"https://{host.lower()}/acme/new-order", {"identifiers": [{"type": "dns", "value": "web"}]})
            assert account.send("POST", "/acme/new-order", message, host=host).status == 201
        # A proxy has names that the certificate does not have.
        assert own.stop() == 0
        pair = ("--certificate", own.directory / "serve-ca-cert.pem", "--private-key", own.directory / "serve-ca-key.pem")
        with serving_ca(pki, own.directory, *pair, "--host", "ca.example.com") as behind:
            proxied = Client(behind, account.key)
            for host, status in {"ca.example.com": 200, "localhost": 200, "evil.example": 421}.items():
                assert proxied.send("GET", "/acme/directory", host=host).status == status


class TestRows:
    """What one token, or one address, can make the inventory keep."""

    def test_accounts_of_a_token(self, own: Authority) -> None:
        token = own.token("web-*")
        first = Client(own).register(token)
        for _ in range(10):
            Client(own).register(token)
        more = Client(own)
        url = more.directory["newAccount"]
        reply = more.post(url, {"externalAccountBinding": more.binding(token, url)})
        assert (reply.status, reply.error) == (429, "rateLimited")
        # Those that exist work, and come back.
        url = first.directory["newAccount"]
        assert Client(own, first.key).post(url, {"onlyReturnExisting": True}).status == 200
        assert first.certificate("web-1")

    def test_requests_that_wait(self, own: Authority, tmp_path: Path) -> None:
        token = own.token("web-*", "--approve", "--uses", "2")
        requests = [certificate_request(tmp_path, f"/CN=web-{number}", name=f"web-{number}")[0] for number in range(3)]
        assert [enrol(own, request, token).status for request in requests] == [202, 202, 429]
        account = Client(own).register(token)
        order = account.order("web-4").json
        assert account.finalize(order, request_for(["web-4"])).error == "rateLimited"
        assert [enrol(own, request, token).status for request in requests[:2]] == [202, 202]
        assert len(own.pki.run("pending", "--format", "json", "--directory", own.directory).json) == 2

    @pytest.mark.directory("each server counts for itself")
    def test_orders_of_an_address(self, own: Authority) -> None:
        def order(connection: http.client.HTTPSConnection) -> int:
            connection.request("POST", "/acme/new-order", b"{}", {"Content-Type": "application/jose+json"})
            response = connection.getresponse()
            response.read()
            return response.status

        statuses = attack(own, 3_000, order, lambda _: ATTACKER)
        assert set(statuses) == {400, 429} and statuses[400] >= 1_000
        assert own.metrics()['pki_throttled_total{limit="orders"}'] == statuses[429]
        assert client(own, "web").certificate("web")


class TestSmugglingByACME:
    """A request to finalize has the names of the order and nothing else that counts; what asks for more is refused."""

    @pytest.mark.parametrize(
        "extension",
        [
            x509.BasicConstraints(ca=True, path_length=None),
            x509.KeyUsage(False, False, False, False, False, True, True, False, False),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
            x509.NameConstraints([x509.DNSName("example.com")], None),
            x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
        ],
    )
    def test_extensions(self, own: Authority, extension: x509.ExtensionType) -> None:
        asking = client(own, "smuggler")
        order = asking.order("smuggler").json
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("smuggler")]), critical=False)
        smuggling = builder.add_extension(extension, critical=True).sign(key(), hashes.SHA256())
        reply = asking.finalize(order, smuggling.public_bytes(serialization.Encoding.DER))
        assert reply.error == "badCSR"
        assert not [row for row in own.rows() if row["name"] == "smuggler"]

    @pytest.mark.parametrize(
        "extra",
        [
            x509.DNSName("other.example.com"), x509.IPAddress(IPv4Address("10.0.0.1")), x509.RFC822Name("root@example.com"),
            x509.UniformResourceIdentifier("spiffe://example.com/admin"), x509.OtherName(ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
        ],
    )  # fmt: skip
    def test_names(self, own: Authority, extra: x509.GeneralName) -> None:
        asking = client(own, "smuggler")
        order = asking.order("smuggler").json
        reply = asking.finalize(order, request_for(["smuggler"], extra=[extra]))
        assert reply.error == "badCSR"
        assert not [row for row in own.rows() if row["name"] == "smuggler"]

    def test_the_subject_is_not_copied(self, own: Authority) -> None:
        asking = client(own, "modest")
        order = asking.order("modest").json
        attributes = [(NameOID.ORGANIZATION_NAME, "Administrators"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "root"), (NameOID.COMMON_NAME, "modest")]
        subject = x509.Name([x509.NameAttribute(kind, value) for kind, value in attributes])
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("modest")]), critical=False)
        done = asking.finalize(order, builder.sign(key(), hashes.SHA256()).public_bytes(serialization.Encoding.DER))
        assert done.status == 200, done.body
        issued = x509.load_pem_x509_certificates(asking.post(done.json["certificate"]).body)[0]
        assert issued.subject.rfc4514_string() == "CN=modest"
