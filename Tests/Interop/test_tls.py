# SPDX-License-Identifier: Apache-2.0
"""What other people's TLS makes of the server's, and what a hostile client may do to it. A program asks for one page."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator

import pytest

from program import Lab, Pki, running_lab
from tools import openssl, tool

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture(scope="module")
def lab(built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home = tmp_path_factory.mktemp("tls")
    pki = Pki(home=home, path=built)
    pki.run("init-ca", "--directory", home / "ca")
    with running_lab(pki, "--directory", home / "ca", "--tls") as lab:
        yield lab
        assert serves(lab)
        assert lab.stop() == 0


def request(lab: Lab, *fields: str) -> bytes:
    return "\r\n".join(("GET /lab/state HTTP/1.1", f"Host: {lab.address}", *fields, "", "")).encode()


def context(lab: Lab, version: str | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=lab.ca_bundle)
    # Debian's Python takes an end without close_notify for one with it.
    made.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    if version:
        made.minimum_version = made.maximum_version = VERSIONS[version]
    return made


def plain(lab: Lab) -> socket.socket:
    return socket.create_connection(("127.0.0.1", lab.port), timeout=30)


def connect(lab: Lab, version: str | None = None) -> ssl.SSLSocket:
    return context(lab, version).wrap_socket(plain(lab), server_hostname="127.0.0.1", suppress_ragged_eofs=False)


def everything(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def serves(lab: Lab) -> bool:
    with connect(lab) as connection:
        connection.sendall(request(lab, "Connection: close"))
        return everything(connection).startswith(b"HTTP/1.1 200 ")


class TestClients:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_python(self, lab: Lab, version: str) -> None:
        with connect(lab, version) as connection:
            assert connection.version() == f"TLSv{version}"
            for _ in range(20):
                connection.sendall(request(lab))
                assert connection.recv(12) == b"HTTP/1.1 200"
                connection.recv(65536)
            connection.sendall(request(lab, "Connection: close"))
            everything(connection)
            # Both send close_notify.
            connection.unwrap()

    @pytest.mark.parametrize("version", VERSIONS)
    def test_curl(self, lab: Lab, version: str) -> None:
        result = tool(
            "curl", "--silent", "--show-error", "--cacert", lab.ca_bundle, f"--tlsv{version}", "--tls-max", version,
            "--write-out", "\n%{http_version} %{num_connects}\n", f"{lab.endpoint}/lab/state", f"{lab.endpoint}/",
        )  # fmt: skip
        # The second request came over the connection of the first.
        assert [line for line in result.stdout.splitlines() if line.startswith("1.1 ")] == ["1.1 1", "1.1 0"]

    @pytest.mark.parametrize("version", VERSIONS)
    def test_gnutls(self, lab: Lab, version: str) -> None:
        result = tool(
            "gnutls-cli", "--x509cafile", lab.ca_bundle, "--alpn", "http/1.1",
            "--priority", f"NORMAL:-VERS-ALL:+VERS-TLS{version}", "--port", str(lab.port), "127.0.0.1",
            input=request(lab, "Connection: close"),
        )  # fmt: skip
        assert "HTTP/1.1 200 OK" in result.stdout
        assert "Application protocol: http/1.1" in result.stdout
        assert "Peer has closed the GnuTLS connection" in result.stdout

    @pytest.mark.parametrize("version", VERSIONS)
    def test_openssl(self, lab: Lab, version: str) -> None:
        result = openssl(
            "s_client", f"-tls{version.replace('.', '_')}", "-connect", lab.address, "-CAfile", lab.ca_bundle,
            "-verify_return_error", "-ign_eof", "-alpn", "h2,http/1.1",
            input=request(lab, "Connection: close"),
        )  # fmt: skip
        assert "HTTP/1.1 200 OK" in result.stdout
        assert "Verification: OK" in result.stdout
        assert "ALPN protocol: http/1.1" in result.stdout


class TestWhatIsNotSpoken:
    @pytest.mark.parametrize("version", ["tls1", "tls1_1"])
    def test_an_old_version(self, lab: Lab, version: str) -> None:
        options = (f"-{version}", "-cipher", "ALL:@SECLEVEL=0", "-connect", lab.address)
        assert "alert protocol version" in openssl("s_client", *options, status=1).stderr

    @pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "aNULL", "eNULL", "RC4", "3DES"])
    def test_a_weak_cipher(self, lab: Lab, cipher: str) -> None:
        options = ("-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0", "-connect", lab.address)
        openssl("s_client", *options, status=1)

    def test_renegotiation(self, lab: Lab) -> None:
        # s_client renegotiates on a line with an R, and a handshake that is refused ends it.
        result = openssl("s_client", "-tls1_2", "-connect", lab.address, input=b"R\n", status=1)
        assert "no renegotiation" in result.stderr
        assert "Secure Renegotiation IS supported" in result.stdout

    def test_new_keys(self, lab: Lab) -> None:
        result = openssl("s_client", "-tls1_3", "-connect", lab.address, "-CAfile", lab.ca_bundle, input=b"K\n")
        assert result.stderr.count("KEYUPDATE") == 1

    def test_an_old_session(self, lab: Lab, tmp_path) -> None:
        session = tmp_path / "session"
        assert "New, TLSv1.3" in openssl("s_client", "-connect", lab.address, "-sess_out", session).stdout
        assert not session.exists()


class TestHostileClients:
    def hello(self, lab: Lab) -> bytes:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context(lab).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        return outgoing.read()

    def test_many_handshakes_that_are_cut(self, lab: Lab) -> None:
        hello = self.hello(lab)
        for end in range(0, len(hello), 7):
            with plain(lab) as connection:
                connection.sendall(hello[:end])
        assert serves(lab)

    def test_a_handshake_that_is_reset(self, lab: Lab) -> None:
        for end in (0, 50, None):
            connection = plain(lab)
            connection.sendall(self.hello(lab)[:end])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        assert serves(lab)

    def test_a_byte_at_a_time(self, lab: Lab) -> None:
        with plain(lab) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = context(lab).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")

            def trickle() -> None:
                for byte in outgoing.read():
                    connection.send(bytes([byte]))

            def until_done(step):
                while True:
                    try:
                        done = step()
                        trickle()
                        return done
                    except ssl.SSLWantReadError:
                        trickle()
                        incoming.write(connection.recv(1))

            until_done(client.do_handshake)
            client.write(request(lab))
            trickle()
            assert until_done(lambda: client.read(12)) == b"HTTP/1.1 200"

    def test_plain_http(self, lab: Lab) -> None:
        with plain(lab) as connection:
            connection.sendall(request(lab))
            connection.shutdown(socket.SHUT_WR)
            assert b"HTTP" not in everything(connection)

    @pytest.mark.parametrize(
        "record",
        [
            pytest.param(b"\x17\x03\x03\x48\x01" + bytes(0x4801), id="too-long"),
            pytest.param(b"\x17\x03\x03\x00\x40" + bytes(0x40), id="forged"),
            pytest.param(b"\x16\x03\x03\x00\x04\x01\x00\x00\x00", id="plain-hello"),
            pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="plain-http"),
        ],
    )
    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_bad_record(self, lab: Lab, version: str, record: bytes) -> None:
        connection = connect(lab, version)
        connection.sendall(request(lab))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        # Past the client's own TLS, which is not told.
        with socket.socket(fileno=connection.fileno()) as below:
            below.sendall(record)
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                while connection.recv(65536):
                    pass
            below.detach()
        connection.close()

    @pytest.mark.parametrize("version", VERSIONS)
    def test_an_end_without_close_notify(self, lab: Lab, version: str) -> None:
        with connect(lab, version) as connection:
            connection.sendall(request(lab)[:20])
            with socket.socket(fileno=connection.fileno()) as below:
                below.shutdown(socket.SHUT_WR)
                below.detach()
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                connection.recv(65536)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_half_closed_by_close_notify(self, lab: Lab, version: str) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context(lab, version).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        with plain(lab) as connection:
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    incoming.write(connection.recv(65536))
            client.write(request(lab))
            with pytest.raises(ssl.SSLWantReadError):
                client.unwrap()
            connection.sendall(outgoing.read())
            # The answer, and close_notify after it.
            answer = everything(connection)
            assert len(answer) > 200

    def test_many_connections_that_wait(self, lab: Lab) -> None:
        waiting = [plain(lab) for _ in range(200)]
        hello = self.hello(lab)
        for index, connection in enumerate(waiting):
            connection.sendall(hello[: index % len(hello)])
        assert serves(lab)
        for connection in waiting:
            connection.close()
