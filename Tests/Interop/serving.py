# SPDX-License-Identifier: Apache-2.0
"""A running `pki serve`, and HTTP with every header in the test's own hand."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peer import load
from program import Lab, Pki

TOKEN_PATH = "/latest/api/token"
ROLES_PATH = "/latest/meta-data/iam/security-credentials/"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"
SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True)
class Answer:
    """What came back from one request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def ask(connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str]) -> Answer:
    """One request with exactly these headers, and a Host unless they hold one."""
    connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


@dataclass
class Served:
    """A running `pki serve` and what it said of itself."""

    process: subprocess.Popen[bytes]
    log: Path
    token_file: Path
    urls: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://").rsplit(":", 1)[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def token(self) -> str:
        return self.token_file.read_text()

    @property
    def said(self) -> list[str]:
        """The lines of its standard error so far, without their times."""
        return re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (?=pki: )", "", self.log.read_text(), flags=re.MULTILINE).splitlines()

    def connect(self, timeout: float = 60) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def request(self, method: str, path: str, headers: dict[str, str] | None = None) -> Answer:
        connection = self.connect()
        try:
            return ask(connection, method, path, headers or {})
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, headers)

    def container(self, profile: str = "web", token: str | None = None) -> Answer:
        """What the container endpoint has for a profile."""
        return self.get(f"/credentials/{profile}", Authorization=self.token if token is None else token)

    def session_token(self, seconds: int = 60) -> str:
        """A token of the metadata service."""
        answer = self.request("PUT", TOKEN_PATH, {TTL: str(seconds)})
        assert answer.status == 200, answer
        return answer.text

    def metadata(self, path: str = ROLES_PATH, token: str | None = None) -> Answer:
        return self.request("GET", path, {TOKEN: self.session_token() if token is None else token})

    def wait_said(self, pattern: str, seconds: float = 60) -> str:
        """The first line that the pattern is found in."""
        return wait_for(lambda: next((line for line in self.said if re.search(pattern, line)), None), seconds, self.log)

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(with_signal)
        return self.process.wait(timeout=30)


def wait_for(condition: Callable[[], Any], seconds: float = 60, log: Path | None = None) -> Any:
    """What the condition gives once it is true; fails when it does not become so in time."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        said = f"; it said:\n{log.read_text()}" if log and log.exists() else ""
        assert time.monotonic() < end, f"waited {seconds} s for what did not come{said}"
        time.sleep(0.05)
    return value


@contextmanager
def serving(
    pki: Pki,
    *options: str | Path,
    profiles: tuple[str, ...] = ("web",),
    listen: tuple[str, ...] = ("0",),
    metadata: bool = True,
) -> Iterator[Served]:
    """Starts `pki serve`, on a port that the system chooses unless told, and waits until it says that it listens. The
    metadata service is offered unless told otherwise.

    At the end it has to stop at SIGTERM with status 0, if the block has not stopped it."""
    token_file = pki.home / "serve-token"
    arguments: list[str | Path] = ["serve", *options, *(("--imds",) if metadata else ())]
    for one in profiles:
        arguments += ["--profile", one]
    for address in listen:
        arguments += ["--listen", address]
    if "--token-file" in options:
        token_file = Path(options[options.index("--token-file") + 1])
    else:
        arguments += ["--token-file", token_file]
    with pki.start(*arguments) as process:
        log: Path = process.log  # type: ignore[attr-defined]
        served = Served(process, log, token_file)

        def listens() -> bool:
            assert process.poll() is None, f"ended with {process.returncode}: {log.read_text()}"
            line = next((line for line in served.said if line.startswith("pki: serving ")), "")
            served.urls = re.findall(r"(?:http://\S+:\d+|unix:[^\s,]+)", line)
            return bool(served.urls)

        wait_for(listens, log=log)
        yield served
        if process.poll() is None:
            assert served.stop() == 0, log.read_text()


def configure(pki: Pki, lab: Lab, ca: Path, profile: str = "web", *options: str | Path, name: str = "client") -> None:
    """Writes a profile with a client certificate of the directory."""
    given = {str(one) for one in options if str(one).startswith("--")}
    arguments: list[str | Path] = [*options]
    known = {
        "--certificate": ca / f"{name}-cert.pem",
        "--private-key": ca / f"{name}-key.pem",
        **dict(zip(lab.arguments[::2], lab.arguments[1::2], strict=True)),
    }
    for option, value in known.items():
        if option not in given:
            arguments += [option, value]
    pki.run("configure", "--profile", profile, *arguments)


def decisions(pki: Pki, lab: Lab, *options: str) -> list[dict[str, Any]]:
    """The lab's decisions on CreateSession, of the last 200 of all."""
    lines = pki.run("lab", "log", "--format", "json", "--endpoint", lab.endpoint, *options).stdout.splitlines()
    return [one for one in map(json.loads, lines) if one["operation"] == "CreateSession"]


def serial(certificate: Path) -> str:
    """A certificate's serial number in decimal, as the lab's checks show it."""
    return str(load(certificate).serial_number)


def serials(log: list[dict[str, Any]]) -> list[str]:
    """The serial numbers that were seen, in order."""
    return [check["detail"] for one in log for check in one["checks"] if check["check"] == "serialNumber"]
