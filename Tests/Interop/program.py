# SPDX-License-Identifier: Apache-2.0
"""Runs the pki binary the way a stranger's shell would: in a scrubbed environment, with a home directory of its own."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

MISSING = Path("/proc/nonexistent")
"""Nobody can make a file there."""

DONE = 0
CHECK_FAILED = 1
REFUSED = 2
USAGE = 64
UNAVAILABLE = 69
DENIED = 77


INVENTORIES: dict[Path, tuple[str, str]] = {}
"""The databases that have the inventories of some CA directories: the URL for `pki serve-ca`, and that for people."""


def binary() -> Path:
    """The binary under test: what PKI_BINARY names, or else the debug build."""
    return Path(os.environ.get("PKI_BINARY") or REPOSITORY / ".build/debug/pki").absolute()


def clean_environment(home: Path) -> dict[str, str]:
    """An environment with nothing in it that a test did not put there: no AWS_*, no proxy, no certificate store."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
    }


def is_bookkeeping(path: Path) -> bool:
    """Whether a path in a CA's directory is the inventory, or the directory where files are written before they get names."""
    return path.name.startswith("inventory.sqlite") or path.name == ".new"


@dataclass(frozen=True)
class Result:
    """What one run of a program left behind."""

    arguments: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def error(self) -> str:
        """The text of the one `pki: error:` line."""
        errors = re.findall(r"^pki: error: (.*)$", self.stderr, re.MULTILINE)
        assert len(errors) == 1, f"expected one error line in:\n{self.stderr}"
        return errors[0]

    def describe(self) -> str:
        command = " ".join(self.arguments)
        return f"{command}\nstatus {self.status}\nstdout:\n{self.stdout}\nstderr:\n{self.stderr}"


@dataclass(frozen=True)
class Pki:
    """The binary, the directory it runs in, and the environment it sees."""

    home: Path
    path: Path = field(default_factory=binary)
    environment: Mapping[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()

    def with_environment(self, **variables: str) -> Pki:
        return replace(self, environment={**self.environment, **variables})

    def with_prefix(self, *words: str) -> Pki:
        """The same, started by another program: a wrapper that changes user or limits, say."""
        return replace(self, prefix=words)

    def with_hosts(self, hosts: str) -> Pki:
        """The same in a mount namespace of its own, with another /etc/hosts; skips the test where that cannot be."""
        private = ("--map-root-user", "--mount") if os.geteuid() else ("--mount",)
        if subprocess.run(["unshare", *private, "true"], capture_output=True, check=False).returncode:
            pytest.skip("this machine has no mount namespaces")
        path = self.home / "hosts.txt"
        path.write_text(hosts)
        return self.with_prefix("unshare", *private, "sh", "-c", f'mount --bind {path} /etc/hosts && exec "$@"', "sh")

    def command(self, *arguments: str | Path) -> list[str]:
        return [*self.prefix, str(self.path), *map(str, arguments)]

    def variables(self, *arguments: str | Path) -> dict[str, str]:
        places = [self.home / value for option, value in pairwise(arguments) if option == "--directory"]
        known = INVENTORIES.get(places[0].resolve()) if places and INVENTORIES else None
        inventory = {"PKI_INVENTORY": known[arguments[0] != "serve-ca"]} if known else {}
        return {**clean_environment(self.home), **inventory, **self.environment}

    def run(
        self,
        *arguments: str | Path,
        status: int | None = DONE,
        timeout: float = 60,
        pass_fds: tuple[int, ...] = (),
    ) -> Result:
        """Runs to the end and asserts the exit status, unless that is None. A failure must leave stdout empty."""
        command = self.command(*arguments)
        done = subprocess.run(
            command,
            cwd=self.home,
            env=self.variables(*arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            pass_fds=pass_fds,
            check=False,
        )
        result = Result(tuple(command), done.returncode, done.stdout.decode(), done.stderr.decode())
        if status is not None:
            assert result.status == status, result.describe()
            if status not in (DONE, CHECK_FAILED):
                assert result.stdout == "", result.describe()
                assert "pki: error: " in result.stderr or status == USAGE, result.describe()
        return result

    def refuse(self, *arguments: str | Path, status: int = REFUSED, **options: Any) -> str:
        """Runs what must be refused and returns the whole of stderr."""
        return self.run(*arguments, status=status, **options).stderr

    def popen(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Starts a process that the caller ends or waits for, with pipes for what it prints."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.home,
            env=self.variables(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    @contextmanager
    def start(self, *arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
        """Runs in the background; whatever happens in the block, the process is gone after it."""
        log = self.home / f"background-{time.monotonic_ns()}.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                self.command(*arguments),
                cwd=self.home,
                env=self.variables(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        # Where its words go. The system does not tell anybody but root: the process keeps to itself.
        process.log = log  # type: ignore[attr-defined]
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if process.stdout:
                process.stdout.close()


@dataclass(frozen=True)
class Lab:
    """A running `pki lab` and what it said of itself."""

    process: subprocess.Popen[bytes]
    endpoint: str
    trust_anchor_arn: str
    profile_arn: str
    role_arn: str
    ca_bundle: str | None = None
    exports: Mapping[str, str] = field(default_factory=dict)
    """Every variable that it told the shell to export."""
    log: Path | None = None
    """Where its standard error goes."""

    @property
    def port(self) -> int:
        return int(self.endpoint.rsplit(":", 1)[1])

    @property
    def address(self) -> str:
        """The host with its port."""
        return self.endpoint.split("://")[1]

    @property
    def arns(self) -> dict[str, str]:
        """What CreateSession is asked with."""
        return {"trustAnchorArn": self.trust_anchor_arn, "profileArn": self.profile_arn, "roleArn": self.role_arn}

    @property
    def region(self) -> str:
        return self.exports["AWS_REGION"]

    @property
    def account(self) -> str:
        return self.exports["AWS_ACCOUNT_ID"]

    @property
    def client_environment(self) -> dict[str, str]:
        """What AWS's own clients need to find the lab, with the administrator's key."""
        return {name: value for name, value in self.exports.items() if name.startswith("AWS_")}

    @property
    def said(self) -> str:
        """Its standard error so far."""
        return self.log.read_text() if self.log else ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """What `pki creds` needs to know of it."""
        return (
            "--trust-anchor-arn", self.trust_anchor_arn,
            "--profile-arn", self.profile_arn,
            "--role-arn", self.role_arn,
            "--endpoint", self.endpoint,
            *(("--ca-bundle", self.ca_bundle) if self.ca_bundle else ()),
        )  # fmt: skip

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(with_signal)
        return self.process.wait(timeout=30)


@contextmanager
def running_lab(pki: Pki, *arguments: str | Path, port: int = 0, seconds: float = 60) -> Iterator[Lab]:
    """Starts a lab, on a port that the system chooses unless told, and waits until it says that it listens."""
    with pki.start("lab", "--port", str(port), *arguments) as process:
        said: dict[str, str] = {}
        wanted = {"PKI_LAB_ENDPOINT", "PKI_LAB_TRUST_ANCHOR_ARN", "PKI_LAB_PROFILE_ARN", "PKI_LAB_ROLE_ARN"}
        if "--tls" in arguments:
            wanted.add("AWS_CA_BUNDLE")
        for line in lines_until(process, seconds):
            match = re.fullmatch(r"export ([A-Z_]+)=(.*)", line)
            if match:
                said[match[1]] = match[2].strip("'\"")
            if wanted <= said.keys():
                break
        log: Path = process.log  # type: ignore[attr-defined]
        complaint = log.read_text()
        assert wanted <= said.keys(), f"the lab said only {said}; status {process.poll()}; {complaint}"
        yield Lab(
            process,
            said["PKI_LAB_ENDPOINT"],
            said["PKI_LAB_TRUST_ANCHOR_ARN"],
            said["PKI_LAB_PROFILE_ARN"],
            said["PKI_LAB_ROLE_ARN"],
            said.get("PKI_LAB_CA_BUNDLE"),
            said,
            log,
        )


def lines_until(process: subprocess.Popen[bytes], seconds: float) -> Iterator[str]:
    """The lines a process prints, until it closes its output or the time is over."""
    assert process.stdout
    end = time.monotonic() + seconds
    descriptor = process.stdout.fileno()
    rest = b""
    while (left := end - time.monotonic()) > 0:
        if not select.select([descriptor], [], [], left)[0]:
            return
        chunk = os.read(descriptor, 65536)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode()
