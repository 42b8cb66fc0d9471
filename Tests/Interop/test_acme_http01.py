# SPDX-License-Identifier: Apache-2.0
"""Tokens that ask for ACME's http-01 (RFC 8555 §8.3) at `pki serve-ca`: hosts prove their names, and nobody makes the server
talk to others."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import socketserver
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from acme import ERROR, Client, Reply, b64, jwk, request_for
from enrolling import Authority, certificate_request, enrol, serving_ca
from program import Pki
from serving import wait_for
from test_acme_clients import checked, free_port, run, running

HOSTS = """127.0.0.1 localhost
127.0.0.1 proven.example.com other.example.com certbot.example.com lego.example.com caddy.example.com mod-md.example.com one.example.com two.example.com
127.0.0.1 mixed.example.com
10.255.255.1 mixed.example.com
10.255.255.1 private.example.com
169.254.169.254 metadata.example.com
::ffff:169.254.169.254 mapped.example.com
::1 six.example.com
127.0.0.2 silent.example.com
"""

# Gets the path that was asked for.
Answer = Callable[[socket.socket, str, "Site"], object]


class Site:
    """A host's web server on one address: it sends what a test tells it to, byte by byte, and remembers what it was asked."""

    def __init__(self, port: int, answer: Answer, address: str = "127.0.0.1") -> None:
        self.asked: list[str] = []
        self.most = 0
        self.proofs: dict[str, str] = {}
        self._lock, self._now = threading.Lock(), 0
        self.over = threading.Event()
        site = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with site._lock:
                    site._now += 1
                    site.most = max(site.most, site._now)
                head = b""
                while b"\r\n\r\n" not in head and (part := self.request.recv(4096)):
                    head += part
                site.asked.append(head.decode())
                try:
                    answer(self.request, head.split()[1].decode(), site)
                except OSError:
                    pass
                with site._lock:
                    site._now -= 1

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self.server = Server((address, port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


def send(connection: socket.socket, body: bytes, status: str = "200 OK", header: str = "") -> None:
    connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{header}Connection: close\r\n\r\n".encode() + body)


def prove(connection: socket.socket, path: str, site: Site) -> None:
    """As a proper client does."""
    token = path.rpartition("/")[2]
    send(connection, site.proofs.get(token, "").encode(), "200 OK" if token in site.proofs else "404 Not Found")


@contextmanager
def site(authority: Authority, answer: Answer = prove, address: str = "127.0.0.1") -> Iterator[Site]:
    made = Site(PORTS[authority.url], answer, address)
    try:
        yield made
    finally:
        made.close()


PORTS: dict[str, int] = {}


@contextmanager
def serving(pki: Pki, home: Path, *options: str | Path, port: int = 0, challenge_port: int = 0) -> Iterator[Authority]:
    """A server that knows some hosts, in a mount namespace of its own."""
    own = pki.with_hosts(HOSTS)
    challenge_port = challenge_port or free_port()
    with serving_ca(own, home / "ca", "--http-01-port", str(challenge_port), *options, port=port) as running:
        # The other commands need no namespace.
        running.pki = pki
        PORTS[running.url] = challenge_port
        yield running


@pytest.fixture(scope="module")
def authority(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    home = tmp_path_factory.mktemp("http-01")
    pki = Pki(home=home, path=built)
    pki.run("init-ca", "--directory", home / "ca")
    with serving(pki, home, "--http-01-network", "127.0.0.0/31", "--http-01-network", "127.0.0.2") as running:
        yield running


def account(authority: Authority, *names: str, **options: Any) -> Client:
    first, *others = names
    words = [word for name in others for word in ("--san", f"{'ip' if name[0].isdigit() else 'dns'}:{name}")]
    return Client(authority).register(authority.token(first, "--challenge", "http-01", "--uses", "10", *words))


def authorization(one: Client, order: Reply, index: int = 0) -> dict[str, Any]:
    return one.post(order.json["authorizations"][index]).json


def thumbprint(one: Client) -> str:
    return b64(hashlib.sha256(json.dumps(jwk(one.key), sort_keys=True, separators=(",", ":")).encode()).digest())


def begin(one: Client, order: Reply, own: Site | None = None, index: int = 0) -> Reply:
    """Puts the proof in its place, and has the server ask for it."""
    challenge = authorization(one, order, index)["challenges"][0]
    if own:
        own.proofs[challenge["token"]] = f"{challenge['token']}.{thumbprint(one)}"
    return one.post(challenge["url"], {})


def decided(one: Client, order: Reply, index: int = 0) -> dict[str, Any]:
    """The authorisation, once it is decided."""
    return wait_for(lambda: (found := authorization(one, order, index))["status"] != "pending" and found)


def outcome(authority: Authority, name: str, answer: Answer = prove) -> str:
    """The type of the error with which a name is refused."""
    one = account(authority, name)
    with site(authority, answer) as own:
        order = one.order(name)
        assert begin(one, order, own).status == 200
        found = decided(one, order)
    assert found["status"] == "invalid", found
    return str(found["challenges"][0]["error"]["type"]).removeprefix(ERROR)


class TestProof:
    def test_from_pending_to_a_certificate(self, authority: Authority) -> None:
        name = "proven.example.com"
        one = account(authority, name)
        with site(authority) as own:
            order = one.order(name)
            assert (order.status, order.json["status"]) == (201, "pending")
            found = authorization(one, order)
            [challenge] = found["challenges"]
            assert (found["status"], challenge["type"], challenge["status"]) == ("pending", "http-01", "pending")
            # 128 bits at least (RFC 8555 §8.3).
            assert re.fullmatch(r"[A-Za-z0-9_-]{22,}", challenge["token"])
            assert one.finalize(order.json, request_for([name])).error == "orderNotReady"
            reply = begin(one, order, own)
            assert reply.status == 200 and reply.json["status"] == "processing" and reply.headers["Retry-After"]
            assert f'<{order.json["authorizations"][0]}>;rel="up"' in reply.headers.get_all("Link")
            found = decided(one, order)
            assert found["status"] == "valid" and found["challenges"][0]["validated"].endswith("Z")
            ready = one.post(order.headers["Location"]).json
            assert ready["status"] == "ready"
            done = one.finalize(ready, request_for([name]))
            assert done.json["status"] == "valid"
            [asked] = own.asked
        lines = asked.split("\r\n")
        assert lines[0] == f"GET /.well-known/acme-challenge/{challenge['token']} HTTP/1.1"
        assert f"Host: {name}:{PORTS[authority.url]}" in lines
        # Who looks into it later finds which host it was.
        rows = authority.pki.run("audit", "--directory", authority.directory, "-o", "json").json
        identifier = (one.kid or "").rpartition("/")[2]
        assert f"DNS:{name} by http-01 at 127.0.0.1, account {identifier}" in [row.get("detail") for row in rows if row["action"] == "prove"]
        # What is decided is not asked again.
        assert one.post(challenge["url"], {}).json["status"] == "valid"

    def test_on_port_80(self, pki: Pki, tmp_path: Path) -> None:
        address = "127.0.0.9"
        try:
            socket.create_server((address, 80)).close()
        except OSError:
            pytest.skip("port 80 cannot be listened on")
        pki.run("init-ca", "--directory", tmp_path / "ca")
        with serving(pki, tmp_path, "--http-01-network", address, challenge_port=80) as server, site(server, address=address) as own:
            one = account(server, address)
            order = one.order(address)
            begin(one, order, own)
            assert decided(one, order)["status"] == "valid"
            assert f"Host: {address}\r\n" in own.asked[0]

    def test_each_name_of_an_order_needs_its_proof(self, authority: Authority) -> None:
        names = ["one.example.com", "two.example.com", "127.0.0.1"]
        one = account(authority, *names)
        with site(authority) as own:
            order = one.order(*names)
            for index in range(2):
                begin(one, order, own, index)
                assert decided(one, order, index)["status"] == "valid"
            assert one.post(order.headers["Location"]).json["status"] == "pending"
            begin(one, order, own, 2)
            assert decided(one, order, 2)["status"] == "valid"
            assert one.post(order.headers["Location"]).json["status"] == "ready"

    def test_a_renewal_is_proven_again(self, authority: Authority) -> None:
        name = "other.example.com"
        one = account(authority, name)
        with site(authority) as own:
            for _ in range(2):
                order = one.order(name)
                assert order.json["status"] == "pending"
                begin(one, order, own)
                decided(one, order)
                assert one.finalize(order.json, request_for([name])).json["status"] == "valid"

    def test_a_challenge_that_is_begun_several_times_at_once_is_asked_once(self, authority: Authority) -> None:
        one = account(authority, "proven.example.com")
        with site(authority) as own, ThreadPoolExecutor(8) as crowd:
            order = one.order("proven.example.com")
            challenge = authorization(one, order)["challenges"][0]
            own.proofs[challenge["token"]] = f"{challenge['token']}.{thumbprint(one)}"
            clients = [Client(authority, one.key, one.kid) for _ in range(8)]
            assert {reply.status for reply in crowd.map(lambda each: each.post(challenge["url"], {}), clients)} == {200}
            assert decided(one, order)["status"] == "valid"
            assert len(own.asked) == 1

    def test_a_proof_for_another_account_is_none(self, authority: Authority) -> None:
        name = "proven.example.com"
        one, other = account(authority, name), account(authority, name)
        with site(authority) as own:
            order = one.order(name)
            token = authorization(one, order)["challenges"][0]["token"]
            own.proofs[token] = f"{token}.{thumbprint(other)}"
            begin(one, order)
            found = decided(one, order)
            assert found["status"] == "invalid"
            error = found["challenges"][0]["error"]
            assert error["type"] == f"{ERROR}incorrectResponse"
            after = one.post(order.headers["Location"]).json
            assert after["status"] == "invalid" and after["error"] == error
            assert one.finalize(after, request_for([name])).error == "orderNotReady"
            # It is not asked a second time.
            own.proofs[token] = f"{token}.{thumbprint(one)}"
            assert one.post(found["challenges"][0]["url"], {}).json["status"] == "invalid"
            assert len(own.asked) == 1

    def test_another_account_sees_no_challenge(self, authority: Authority) -> None:
        one, other = account(authority, "proven.example.com"), account(authority, "proven.example.com")
        challenge = authorization(one, one.order("proven.example.com"))["challenges"][0]
        assert other.post(challenge["url"], {}).status == 404
        assert other.post(challenge["url"]).status == 404
        assert one.post(challenge["url"] + "1", {}).status == 404
        assert one.post(challenge["url"]).json == challenge

    @pytest.mark.directory("changes a row of inventory.sqlite")
    def test_a_restart_loses_no_proof(self, pki: Pki, tmp_path: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path / "ca")
        name = "proven.example.com"
        with serving(pki, tmp_path, "--http-01-network", "127.0.0.1") as first:
            one = account(first, name)
            with site(first, lambda connection, path, own: own.over.wait(60)) as own:
                order = one.order(name)
                begin(one, order, own)
                wait_for(lambda: own.asked)
                first.process.kill()
                first.process.wait()
            port, proofs = PORTS[first.url], own.proofs
        with serving(pki, tmp_path, "--http-01-network", "127.0.0.1", port=first.port, challenge_port=port) as second:
            one.authority, one._nonce = second, None
            challenge = authorization(one, order)["challenges"][0]
            assert challenge["status"] == "processing"
            # Two minutes later the server takes it that nobody is at it any more.
            with sqlite3.connect(tmp_path / "ca" / "inventory.sqlite", timeout=30) as database:
                [stored] = database.execute("SELECT challenges FROM acme_orders").fetchone()
                begun = stored.split(" ")[2]
                database.execute("UPDATE acme_orders SET challenges = ?", [stored.replace(begun, str(int(begun) - 120))])
            database.close()
            with site(second) as again:
                again.proofs = proofs
                begin(one, order)
                assert decided(one, order)["status"] == "valid"


class TestOthers:
    """What an account must not make the server do."""

    @pytest.mark.parametrize(
        "name", ["private.example.com", "mixed.example.com", "metadata.example.com", "mapped.example.com", "six.example.com", "169.254.169.254", "127.0.0.3"]
    )
    def test_an_address_in_no_listed_network_is_not_asked(self, authority: Authority, name: str) -> None:
        assert outcome(authority, name) == "rejectedIdentifier"

    def test_a_name_without_an_address(self, authority: Authority) -> None:
        assert outcome(authority, "nowhere.invalid") == "dns"

    def test_a_redirect_is_not_followed(self, authority: Authority) -> None:
        port = PORTS[authority.url]
        with site(authority, address="127.0.0.2") as other:
            assert outcome(
                authority, "proven.example.com",
                lambda connection, path, own: send(connection, b"", "302 Found", f"Location: http://127.0.0.2:{port}{path}\r\n"),
            ) == "incorrectResponse"  # fmt: skip
            assert not other.asked

    def test_a_host_that_does_not_listen(self, authority: Authority) -> None:
        assert outcome(authority, "silent.example.com") == "connection"

    @pytest.mark.parametrize("kind", ["endless body", "slow body", "endless header", "slow header", "no HTTP", "large body"])
    def test_a_body_without_end_is_given_up(self, authority: Authority, kind: str) -> None:
        def answer(connection: socket.socket, path: str, own: Site) -> None:
            head = b"HTTP/1.1 200 OK\r\n"
            if kind == "no HTTP":
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            elif kind == "large body":
                send(connection, b"x" * 2_000)
            else:
                connection.sendall(head if "header" in kind else head + b"Connection: close\r\n\r\n")
                piece = b"a: " + b"x" * 10_000 + b"\r\n" if kind == "endless header" else b"x" * 10_000
                while not own.over.wait(0.2 if "slow" in kind else 0):
                    connection.sendall(b"x" if "slow" in kind else piece)

        begun = time.monotonic()
        assert outcome(authority, "proven.example.com", answer) == "connection"
        assert time.monotonic() - begun < 40

    def test_an_account_has_a_few_at_once(self, authority: Authority) -> None:
        one = account(authority, "proven.example.com")
        gate = threading.Event()
        with site(authority, lambda connection, path, own: gate.wait(5) and prove(connection, path, own)) as own:
            orders = [one.order("proven.example.com") for _ in range(8)]
            for order in orders:
                begin(one, order, own)
            wait_for(lambda: len(own.asked) == 4)
            gate.set()
            assert {decided(one, order)["status"] for order in orders} == {"valid"}
            assert own.most <= 4


class TestTokens:
    def test_est_is_refused(self, authority: Authority, tmp_path: Path) -> None:
        token = authority.token("est-1", "--challenge", "http-01")
        request, _ = certificate_request(tmp_path, "/CN=est-1")
        assert enrol(authority, request, token).status == 403

    def test_a_wildcard_is_rejected(self, authority: Authority) -> None:
        one = account(authority, "*.example.com", "*.example.com")
        assert one.order("*.example.com").error == "rejectedIdentifier"

    def test_a_token_without_challenge_stays_valid_at_birth(self, authority: Authority) -> None:
        one = Client(authority).register(authority.token("born.example.com"))
        assert one.certificate("born.example.com")

    def test_the_list_names_the_challenge(self, authority: Authority) -> None:
        token = authority.token("listed", "--challenge", "http-01")
        rows = authority.pki.run("token", "list", "--directory", authority.directory, "-o", "json").json
        assert {row["kid"]: row.get("challenge") for row in rows}[token.identifier] == "http-01"

    def test_without_networks_such_a_token_is_refused_until_the_file_lists_one(self, pki: Pki, tmp_path: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path / "ca")
        file = tmp_path / "serve-ca.conf"
        file.write_text("")
        with serving(pki, tmp_path, "--config", file) as own:
            one = account(own, "proven.example.com")
            assert one.order("proven.example.com").error == "unauthorized"
            assert "--http-01-network" in own.said
            file.write_text("http-01-network = 127.0.0.0/8\n")
            own.process.send_signal(signal.SIGHUP)
            wait_for(lambda: one.order("proven.example.com").status == 201, log=own.log)


class TestClients:
    def test_certbot(self, authority: Authority, tmp_path: Path) -> None:
        name = "certbot.example.com"
        token = authority.token(name, "--challenge", "http-01")
        places = [word for kind in ("config", "work", "logs") for word in (f"--{kind}-dir", tmp_path / kind)]

        def certbot(*arguments: str | Path) -> str:
            port = ("--http-01-port", str(PORTS[authority.url]), "--http-01-address", "127.0.0.1")
            return run("certbot", *arguments, *port, "--non-interactive", *places, home=tmp_path, REQUESTS_CA_BUNDLE=authority.root)

        certbot(
            "certonly", "--server", f"https://localhost:{authority.port}/acme/directory", "--agree-tos", "--register-unsafely-without-email",
            "--eab-kid", token.identifier, "--eab-hmac-key", token.secret, "--standalone", "-d", name,
        )  # fmt: skip
        live = tmp_path / "config" / "live" / name
        first = checked(authority, live / "cert.pem", name)
        certbot("renew", "--force-renewal", "--no-random-sleep-on-renew")
        assert checked(authority, live / "cert.pem", name) != first

    def test_caddy(self, authority: Authority, tmp_path: Path) -> None:
        if shutil.which("caddy") is None:
            pytest.skip("there is no caddy: run script/bootstrap")
        name = "caddy.example.com"
        token = authority.token(name, "--challenge", "http-01")
        configuration = tmp_path / "Caddyfile"
        configuration.write_text(
            f"{{\nadmin off\nhttp_port {PORTS[authority.url]}\nhttps_port {free_port()}\ndefault_bind 127.0.0.1\n"
            f"storage file_system {tmp_path}/storage\nacme_ca https://localhost:{authority.port}/acme/directory\nacme_ca_root {authority.root}\n"
            f"acme_eab {{\nkey_id {token.identifier}\nmac_key {token.secret}\n}}\n}}\n{name} {{\nrespond hello\n}}\n"
        )
        with running("caddy", "run", "--config", configuration, "--adapter", "caddyfile", home=tmp_path) as log:
            certificate = wait_for(lambda: next((tmp_path / "storage").glob(f"certificates/*/{name}/{name}.crt"), None), log=log)
            assert checked(authority, certificate, name)

    def test_apache_mod_md(self, authority: Authority) -> None:
        modules = Path("/usr/lib/apache2/modules")
        if not (modules / "mod_md.so").exists():
            pytest.skip("there is no Apache with mod_md: run script/bootstrap")
        name = "mod-md.example.com"
        token = authority.token(name, "--challenge", "http-01")
        # Its own user must reach the directory.
        with tempfile.TemporaryDirectory(prefix="apache-") as made:
            home = Path(made)
            home.chmod(0o711)
            root = Path(shutil.copy(authority.root, home / "root.pem"))
            root.chmod(0o644)
            user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
            plain, secure = PORTS[authority.url], free_port()
            (home / "httpd.conf").write_text(
                "".join(f"LoadModule {one}_module {modules}/mod_{one}.so\n" for one in ["mpm_event", "authz_core", "ssl", "md"])
                + f"ServerRoot {home}\nServerName {name}\nPidFile {home}/pid\nDefaultRuntimeDir {home}\nMutex file:{home}\n{user}"
                f"ErrorLog {home}/server.log\nListen 127.0.0.1:{plain}\nListen 127.0.0.1:{secure} https\nMDStoreDir {home}/md\n"
                f"MDCertificateAuthority https://localhost:{authority.port}/acme/directory\nMDCACertificateFile {root}\n"
                f"MDCertificateAgreement accepted\nMDContactEmail ops@example.com\nMDCAChallenges http-01\n"
                f"MDExternalAccountBinding {token.identifier} {token.secret}\nMDPortMap http:80 https:{secure}\nMDStapling off\nMDomain {name}\n"
                f"<VirtualHost 127.0.0.1:{plain}>\nServerName {name}\n</VirtualHost>\n"
                f"<VirtualHost 127.0.0.1:{secure}>\nServerName {name}\nSSLEngine on\n</VirtualHost>\n"
            )
            job = home / "md" / "staging" / name / "job.json"
            with running("apache2", "-D", "FOREGROUND", "-f", home / "httpd.conf", home=home) as log:
                wait_for(lambda: job.exists() and json.loads(job.read_text()).get("finished"), log=log)
                assert checked(authority, job.parent / "pubcert.pem", name)

    def test_lego(self, authority: Authority, tmp_path: Path) -> None:
        name = "lego.example.com"
        token = authority.token(name, "--challenge", "http-01")
        common = ("--server", f"https://localhost:{authority.port}/acme/directory", "--path", tmp_path / "lego", "--accept-tos", "--email", "ops@example.com", "--domains", name, "--http", "--http.port", f"127.0.0.1:{PORTS[authority.url]}", "--eab", "--kid", token.identifier, "--hmac", token.secret)
        run("lego", *common, "run", home=tmp_path, LEGO_CA_CERTIFICATES=authority.root)
        certificate = tmp_path / "lego" / "certificates" / f"{name}.crt"
        first = checked(authority, certificate, name)
        run("lego", *common, "renew", "--days", "4000", "--no-random-sleep", home=tmp_path, LEGO_CA_CERTIFICATES=authority.root)
        assert checked(authority, certificate, name) != first
