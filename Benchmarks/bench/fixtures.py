# SPDX-License-Identifier: Apache-2.0
"""What the measured programs work on: a CA, a lab, a profile with credentials in the cache, a large inventory, load."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import re
import shlex
import shutil
import socket
import sqlite3
import ssl
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from bench.process import Failed, Side, Workshop, free_port

OPENSSL_CONFIGURATION = """
[ca]
default_ca = here
[here]
dir = .
database = index.txt
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
rand_serial = yes
default_md = sha256
default_days = 365
policy = any
x509_extensions = v3
unique_subject = no
[any]
commonName = supplied
[v3]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
"""

CERTTOOL_TEMPLATE = 'cn = "client"\ntls_www_client\nsigning_key\nexpiration_days = 365\n'
EASY_RSA = Path("/usr/share/easy-rsa/easyrsa")


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[str]
    ways: dict[str, tuple[str, str]]
    """For each way to ask for credentials, the address and the header."""


class World(Workshop):
    """A workshop with the binary, and what is made in it when it is first needed."""

    def __init__(self, directory: Path, pki: Path, helper: Path | None = None) -> None:
        super().__init__(directory)
        self.pki = directory / "pki"
        # What users get, and what valgrind can read; a script, which a test may put in the binary's place, is taken as it is.
        if subprocess.run(["strip", "--strip-all", "-o", self.pki, pki], capture_output=True).returncode != 0:
            shutil.copy(pki, self.pki)
        self.helper = helper

    # A CA and its peers

    @cached_property
    def ca(self) -> Path:
        """A CA's directory with the certificate `client`."""
        self.run([self.pki, "init-ca", "--directory", "ca"])
        self.run([self.pki, "issue-client", "--directory", "ca"])
        return self.directory / "ca"

    def issue(self, name: str) -> list[str | Path]:
        return [self.pki, "issue-client", "--directory", self.ca, "--name", name]

    def issuers(self) -> list[Side]:
        """The programs that issue a client certificate with a new P-256 key, as far as they are here."""
        self.output(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                     "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650"])  # fmt: skip
        (self.directory / "openssl.cnf").write_text(OPENSSL_CONFIGURATION)
        (self.directory / "index.txt").touch()
        key = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "o.key"]
        request = ["openssl", "req", "-new", "-key", "o.key", "-subj", "/CN=host-{n}", "-out", "o.csr"]
        sign = ["openssl", "ca", "-batch", "-notext", "-config", "openssl.cnf", "-in", "o.csr", "-out", "o.pem"]
        sides = [Side("pki issue-client", [self.issue("host-{n}")])]
        if shutil.which("mkcert"):
            words = ["mkcert", "-client", "-ecdsa", "-cert-file", "m.pem", "-key-file", "m.key", "host-{n}.example.com"]
            sides.append(Side("mkcert", [words], {"CAROOT": str(self.directory / "mkcert")}))
        if shutil.which("certtool"):
            (self.directory / "client.tmpl").write_text(CERTTOOL_TEMPLATE)
            new = ["certtool", "--generate-privkey", "--key-type", "ecdsa", "--curve", "secp256r1", "--outfile", "g.key"]
            authority = ["--load-ca-certificate", "ca.pem", "--load-ca-privkey", "ca.key", "--template", "client.tmpl"]
            issue = ["certtool", "--generate-certificate", "--load-privkey", "g.key", *authority, "--outfile", "g.pem"]
            sides.append(Side("certtool, 2 processes", [new, issue]))
        sides.append(Side("openssl, 3 processes", [key, request, sign]))
        if EASY_RSA.exists():
            variables = {"EASYRSA_BATCH": "1", "EASYRSA_PKI": str(self.directory / "easy-rsa"), "EASYRSA_ALGO": "ec",
                         "EASYRSA_CURVE": "prime256v1"}  # fmt: skip
            self.output([EASY_RSA, "init-pki"], variables)
            self.output([EASY_RSA, "build-ca", "nopass"], variables)
            sides.append(Side("easy-rsa", [[EASY_RSA, "build-client-full", "host-{n}", "nopass"]], variables))
        return sides

    def fill_inventory(self, ca: str, count: int) -> None:
        """A CA with many rows: one real certificate's row, repeated with other names and serial numbers."""
        self.run([self.pki, "init-ca", "--directory", ca])
        self.run([self.pki, "issue-client", "--directory", ca, "--name", "seed", "--dns", "seed.example.com"])
        database = sqlite3.connect(self.directory / ca / "inventory.sqlite")
        columns = [row[1] for row in database.execute("PRAGMA table_info(certificates)") if row[1] != "id"]
        names = ",".join(columns)
        seed = database.execute(f"SELECT {names} FROM certificates WHERE name='seed'").fetchone()
        row = dict(zip(columns, seed))
        statement = f"INSERT INTO certificates ({names}) VALUES ({','.join('?' * len(columns))})"
        with database:
            for number in range(count):
                name = f"host-{number:06}"
                row |= {
                    "name": name, "serial": os.urandom(20), "fingerprint": os.urandom(32), "subject": f"CN={name}",
                    "alternative_names": f"DNS:{name}.example.com", "subject_key": os.urandom(32),
                    "not_after": seed[columns.index("not_after")] + number // 1000,
                    "certificate_path": f"{name}-cert.pem", "key_path": f"{name}-key.pem",
                }  # fmt: skip
                database.execute(statement, [row[column] for column in columns])
        database.close()

    # The lab, and credentials from it

    def lab(self, *options: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
        """A running lab, with the names and values that it prints."""
        process = self.background([self.pki, "lab", "--directory", self.ca, "--port", "0", *options])
        said: dict[str, str] = {}
        wanted = {"ENDPOINT", "TRUST_ANCHOR_ARN", "PROFILE_ARN", "ROLE_ARN"} | ({"CA_BUNDLE"} if options else set())
        for line in process.stdout or ():
            if match := re.fullmatch(r"export PKI_LAB_([A-Z_]+)=(.*)\n", line):
                said[match[1]] = "".join(shlex.split(match[2]))
            if wanted <= said.keys():
                return process, said
        raise Failed("the lab did not start")

    def identity(self, lab: dict[str, str]) -> list[str | Path]:
        """The options with which pki and aws_signing_helper get credentials from a lab."""
        return [
            "--certificate", self.ca / "client-cert.pem", "--private-key", self.ca / "client-key.pem",
            "--trust-anchor-arn", lab["TRUST_ANCHOR_ARN"], "--profile-arn", lab["PROFILE_ARN"],
            "--role-arn", lab["ROLE_ARN"], "--endpoint", lab["ENDPOINT"],
        ]  # fmt: skip

    @cached_property
    def over_tls(self) -> tuple[list[str | Path], list[str | Path], dict[str, str]]:
        """The identity's options, what pki needs besides to verify the lab over HTTPS, and the helper's variables for it."""
        _, said = self.lab("--tls")
        return self.identity(said), ["--ca-bundle", said["CA_BUNDLE"]], {"SSL_CERT_FILE": said["CA_BUNDLE"]}

    @cached_property
    def cache_hits(self) -> list[Side]:
        """Two spellings of one request whose answer is in the cache."""
        identity, bundle, _ = self.over_tls
        self.run([self.pki, "configure", "--profile", "web", *identity, *bundle])
        sides = [
            Side("creds --profile, from the cache", [[self.pki, "creds", "--profile", "web", "--cache"]]),
            Side("the same, options spelled out", [[self.pki, "creds", *identity, *bundle, "--cache"]]),
        ]
        for side in sides:
            side.each(0, self.run)
        return sides

    # Load

    def served(self, program: Path) -> Server:
        """A running metadata service: pki's, which is the container endpoint too, or the helper's."""
        identity, bundle, variables = self.over_tls
        own = program == self.pki
        port = free_port()
        secret = self.directory / f"token-{port}"
        options = [*bundle, "--imds", "--token-file", secret] if own else []
        process = self.background([program, "serve", "--port", str(port), *identity, *options], {} if own else variables)
        wait_for(port, process)
        address = f"http://127.0.0.1:{port}"
        roles = f"{address}/latest/meta-data/iam/security-credentials/"
        token = asked(f"{address}/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600", "PUT")
        header = f"X-aws-ec2-metadata-token: {token}"
        ways = {"metadata": (roles + asked(roles, header), header)}
        if own:
            ways["container"] = (f"{address}/credentials/default", f"Authorization: {secret.read_text()}")
        return Server(process, ways)

    def load(
        self, address: str, header: str | None, seconds: int, connections: int, script: Path | None = None
    ) -> tuple[float, float, int]:
        """What wrk says: requests a second, the 99th hundredth of their times in milliseconds, and how many there were."""
        options = [*(["-H", header] if header else []), *(["-s", script] if script else [])]
        said = self.output(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "--latency", *options, address]
        )
        rate, count = re.search(r"Requests/sec:\s+([\d.]+)", said), re.search(r"(\d+) requests in", said)
        late = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
        if "Non-2xx" in said or not (rate and count and late):
            raise Failed(f"not every request was answered with 200:\n{said}")
        return float(rate[1]), float(late[1]) * {"us": 0.001, "ms": 1, "s": 1000}[late[2]], int(count[1])

    def sessions(self, lab: dict[str, str], clients: int = 8) -> Path:
        """A script for wrk with a CreateSession of several clients in turn, each signed once by openssl: the lab verifies
        every one of them every time."""
        requests = []
        for number in range(clients):
            certificate, key = (self.ca / f"signer-{number}-{part}.pem" for part in ("cert", "key"))
            if not certificate.exists():
                self.run(self.issue(f"signer-{number}"))
            now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            body = json.dumps({"durationSeconds": 3600})
            arns = {"profileArn": "PROFILE_ARN", "roleArn": "ROLE_ARN", "trustAnchorArn": "TRUST_ANCHOR_ARN"}
            query = "&".join(f"{name}={urllib.parse.quote(lab[said], safe='-._~')}" for name, said in arns.items())
            signed = {
                "content-type": "application/json", "host": lab["ENDPOINT"].partition("://")[2], "x-amz-date": now,
                "x-amz-x509": base64.b64encode(ssl.PEM_cert_to_DER_cert(certificate.read_text())).decode(),
            }  # fmt: skip
            canonical = "\n".join(["POST", "/sessions", query, *(f"{name}:{value}" for name, value in signed.items()), "",
                                   ";".join(signed), hashlib.sha256(body.encode()).hexdigest()])  # fmt: skip
            scope = f"{now[:8]}/us-east-1/rolesanywhere/aws4_request"
            digest = hashlib.sha256(canonical.encode()).hexdigest()
            message = self.directory / "message"
            message.write_text(f"AWS4-X509-ECDSA-SHA256\n{now}\n{scope}\n{digest}")
            signature = self.output(["openssl", "dgst", "-sha256", "-sign", key, "-hex", message]).split()[-1]
            serial = int(self.output(["openssl", "x509", "-noout", "-serial", "-in", certificate]).strip().partition("=")[2], 16)
            signed["authorization"] = (
                f"AWS4-X509-ECDSA-SHA256 Credential={serial}/{scope}, SignedHeaders={';'.join(signed)}, Signature={signature}"
            )
            headers = ", ".join(f'["{name}"] = "{value}"' for name, value in signed.items() if name != "host")
            requests.append(f"wrk.format('POST', '/sessions?{query}', {{{headers}}}, '{body}')")
        script = self.directory / "sessions.lua"
        script.write_text(
            "local requests, turn = {}, 0\n"
            f"init = function() requests = {{ {', '.join(requests)} }} end\n"
            "request = function() turn = turn % #requests + 1; return requests[turn] end\n"
        )
        return script


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    """Waits until a server listens."""
    while True:
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            raise Failed(f"{' '.join(map(str, process.args))} did not start")
        time.sleep(0.05)


def asked(address: str, header: str, method: str = "GET") -> str:
    """The answer to a request."""
    request = urllib.request.Request(address, headers=dict([header.split(": ")]), method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
        return response.read().decode()


def send_rubbish(ways: Iterable[tuple[str, str]], count: int) -> None:
    """Requests that are none: valid ones with bytes changed, cut off, or with the connection's half closed."""
    chance = random.Random(7)
    urls = [(urllib.parse.urlsplit(address), header) for address, header in ways]
    valid = [f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n{header}\r\n\r\n".encode() for url, header in urls]
    for _ in range(count):
        request = bytearray(chance.choice(valid))
        for _ in range(chance.randrange(1, 6)):
            request[chance.randrange(len(request))] = chance.randrange(256)
        if chance.random() < 0.2:
            del request[chance.randrange(len(request)) :]
        with socket.create_connection((urls[0][0].hostname, urls[0][0].port)) as connection:
            connection.sendall(request)
            if chance.random() < 0.5:
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(5)
                try:
                    connection.recv(4096)
                except OSError:
                    pass
