# SPDX-License-Identifier: Apache-2.0
"""A running `pki serve-ca`, its join tokens, and what a client of any protocol needs to know of both."""

from __future__ import annotations

import base64
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from program import Pki
from replicated import Shared, two_servers
from serving import wait_for
from tools import openssl, tool


@dataclass(frozen=True)
class Token:
    """A join token by its parts."""

    text: str

    @property
    def identifier(self) -> str:
        return self.text.split(".")[0]

    @property
    def secret(self) -> str:
        return self.text.split(".")[1]

    @property
    def fingerprint(self) -> str:
        return self.text.split(".")[2]


@dataclass
class Authority:
    """A running `pki serve-ca` on a directory, and the other commands beside it."""

    pki: Pki
    directory: Path
    process: subprocess.Popen[bytes]
    log: Path
    url: str = ""
    plain_port: int = 0
    """The port of what stands in front of several servers."""
    servers: list[Authority] = field(default_factory=list)
    """Each of several servers; none if it is one."""

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def root(self) -> Path:
        return self.directory / "root-cert.pem"

    @property
    def est(self) -> str:
        return f"{self.url}/.well-known/est"

    @property
    def said(self) -> str:
        return "".join(server.log.read_text() for server in self.servers or [self])

    @property
    def plain(self) -> str:
        """Where CRLs and OCSP are served without TLS."""
        if self.plain_port:
            return f"http://127.0.0.1:{self.plain_port}"
        return wait_for(lambda: next(iter(re.findall(r"without TLS at (http://\S+:\d+)", self.said)), ""), log=self.log)

    def token(self, name: str, *options: str) -> Token:
        done = self.pki.run("token", "create", "--directory", self.directory, "--name", name, *options)
        return Token(done.stdout.strip())

    def run(self, *arguments: str | Path, **options: object) -> str:
        """Another command on the directory, while the server runs."""
        return self.pki.run(*arguments, "--directory", self.directory, **options).stdout  # type: ignore[arg-type]

    @property
    def each(self) -> list[Authority]:
        """Each server that answers at the URL."""
        return self.servers or [self]

    def metrics(self) -> dict[str, float]:
        """What all servers have counted together; for what is no count, the highest."""
        found: dict[str, float] = {}
        for server in self.each:
            for line in curl(server, "/metrics").body.splitlines():
                if not line.startswith("#"):
                    name, value = line.rsplit(" ", 1)
                    found[name] = (sum if re.match(r"\w+_total\b", name) else max)((found.get(name, 0.0), float(value)))
        return found

    @property
    def hosts(self) -> Path:
        """Where ``issue`` leaves files."""
        return self.pki.home / "hosts" if self.servers else self.directory

    def issue(self, name: str, profile: str = "client", dns: str | None = None) -> tuple[Path, Path]:
        """A certificate and its key, made while the server runs: with `pki issue-client`, or from several servers as a host."""
        if not self.servers:
            self.run("issue-client", name, "--profile", profile, *(("--dns", dns) if dns else ()))
        else:
            token = self.token(name, "--profile", profile, *(("--san", f"dns:{dns}") if dns else ()))
            options = ("--server", self.url, "--directory", self.hosts, *(("--dns", dns) if dns else ()))
            self.pki.with_environment(PKI_TOKEN=token.text).run("enrol", name, *options)
        return self.hosts / f"{name}-cert.pem", self.hosts / f"{name}-key.pem"

    def rows(self) -> list[dict[str, object]]:
        """The certificates that the inventory knows, replaced ones included."""
        return self.pki.run("list", "--all", "--format", "json", "--directory", self.directory).json

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(with_signal)
        return self.process.wait(timeout=30)


@contextmanager
def serving_ca(pki: Pki, directory: Path, *options: str | Path, port: int = 0) -> Iterator[Authority]:
    """A running server, or two of them where the inventories are on PostgreSQL."""
    with two_servers(one_server, pki, directory, *options, port=port) if Shared.cluster else one_server(pki, directory, *options, port=port) as authority:
        yield authority


@contextmanager
def one_server(pki: Pki, directory: Path, *options: str | Path, host: str = "127.0.0.1", port: int = 0) -> Iterator[Authority]:
    """Starts `pki serve-ca`, on a port that the system chooses unless told, and waits until it says that it listens. At
    the end it has to stop at SIGTERM with status 0, if the block has not stopped it."""
    with pki.start("serve-ca", "--directory", directory, "--listen", f"{host}:{port}", *options) as process:
        log: Path = process.log  # type: ignore[attr-defined]
        authority = Authority(pki, directory, process, log)

        def listens() -> str:
            assert process.poll() is None, f"ended with {process.returncode}: {log.read_text()}"
            found = re.search(r" issues at (https://\S+:\d+)", log.read_text())
            return found[1] if found else ""

        authority.url = wait_for(listens, log=log)
        yield authority
        if process.poll() is None:
            assert authority.stop() == 0, log.read_text()


def certificate_request(
    home: Path, subject: str, *extensions: str, name: str = "request", key: Path | None = None
) -> tuple[Path, Path]:
    """Has OpenSSL make a request, and a key unless one is given. Returns the paths of the request in PEM, and of the key."""
    path, key_path = home / f"{name}.csr", key or home / f"{name}.key"
    new = ("-key", key_path) if key else ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", key_path)
    added = [word for extension in extensions for word in ("-addext", extension)]
    openssl("req", "-new", "-nodes", *new, "-subj", subject, *added, "-out", path)
    key_path.chmod(0o600)
    return path, key_path


@dataclass(frozen=True)
class Reply:
    """What curl was answered."""

    status: int
    headers: dict[str, str]
    body: str

    def certificate(self, path: Path) -> Path:
        """Has OpenSSL take the certificate out of the PKCS#7 and writes it to a file."""
        assert self.status == 200, self
        encoded = path.with_suffix(".p7")
        encoded.write_bytes(base64.b64decode(self.body, validate=True))
        openssl("pkcs7", "-inform", "DER", "-in", encoded, "-print_certs", "-out", path)
        return path


def curl(authority: Authority, path: str, *options: str | Path) -> Reply:
    """One request with curl, which trusts the root alone."""
    done = tool("curl", "--silent", "--show-error", "--include", "--http1.1", "--cacert", authority.root, *options, authority.url + path).stdout
    head, _, body = done.partition("\r\n\r\n")
    # A client with a body may be told to go on first.
    while re.match(r"HTTP/1.1 1\d\d", head):
        head, _, body = body.partition("\r\n\r\n")
    lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    return Reply(int(lines[0].split()[1]), {name.lower(): value for name, value in headers.items()}, body)


def enrol(authority: Authority, request: Path, token: Token | None = None, *options: str | Path, path: str = "simpleenroll") -> Reply:
    """Asks for a certificate by EST, with curl."""
    proof = ("--user", f"{token.identifier}:{token.secret}") if token else ()
    content = ("--header", "Content-Type: application/pkcs10", "--data-binary", f"@{request}")
    return curl(authority, f"/.well-known/est/{path}", *proof, *content, *options)
