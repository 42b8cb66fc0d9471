# SPDX-License-Identifier: Apache-2.0
"""`pki serve` under a service manager: its sockets, what it is told, and the units of templates/systemd."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from program import REFUSED, REPOSITORY, USAGE, Lab, Pki, running_lab
from serving import Served, configure, serving, wait_for
from tools import tool

# What systemd does between fork and exec: the socket is number 3, and LISTEN_PID is the process itself.
ACTIVATE = """
import os, socket, sys
kind, place, pid = sys.argv[1:4]
if kind == "tcp":
    listener = socket.create_server((place, 0))
    print(listener.getsockname()[1], flush=True)
else:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place)
    listener.listen()
    print(place, flush=True)
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=pid or str(os.getpid()))
os.execv(sys.argv[4], sys.argv[4:])
"""


@pytest.fixture
def web(pki: Pki, ca: Path, lab: Lab) -> Pki:
    configure(pki, lab, ca)
    return pki


def activated(pki: Pki, place: str, pid: str = "") -> Pki:
    kind = "unix" if place.startswith("/") else "tcp"
    return pki.with_prefix(sys.executable, "-c", ACTIVATE, kind, place, pid)


class TestSocketActivation:
    def test_the_socket_that_is_handed_over_is_served(self, web: Pki) -> None:
        with serving(activated(web, "127.0.0.1"), listen=()) as served:
            port = int(served.process.stdout.readline())
            assert served.url == f"http://127.0.0.1:{port}"
            assert served.container().status == 200

    def test_so_is_a_unix_socket_which_stays(self, web: Pki, tmp_path: Path) -> None:
        """Who made it removes it: systemd keeps the port while the service is restarted."""
        path = tmp_path / "handed.sock"
        with serving(activated(web, str(path)), listen=()) as served:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(60)
                client.connect(str(path))
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 ")
            assert served.urls == [f"unix:{path}"]
        assert path.exists()

    def test_sockets_for_another_process_are_not_touched(self, web: Pki) -> None:
        """LISTEN_PID names another: its child, say, which inherited the environment."""
        with serving(activated(web, "127.0.0.1", "1"), "--port", "0", listen=()) as served:
            assert served.port != int(served.process.stdout.readline())

    @pytest.mark.parametrize(("count", "words"), [("many", "LISTEN_FDS"), ("-1", "LISTEN_FDS"), ("1", "descriptor 3")])
    def test_sockets_that_are_not_there_are_refused(self, web: Pki, count: str, words: str) -> None:
        """Listening somewhere else instead would hide the mistake."""
        script = f'LISTEN_PID=$$ LISTEN_FDS={count} exec "$@" 3<&-'
        broken = web.with_prefix("sh", "-c", script, "sh")
        assert words in broken.run("serve", "--profile", "web", status=USAGE if count == "1" else REFUSED).error


class Manager:
    """The end of NOTIFY_SOCKET that a service manager holds."""

    def __init__(self, path: Path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.messages: list[str] = []

    def heard(self, pattern: str) -> str | None:
        """The first message that has a line which the pattern matches."""
        try:
            while True:
                self.messages.append(self.socket.recv(65536).decode())
        except BlockingIOError:
            pass
        return next((one for one in self.messages if re.search(rf"^(?:{pattern})$", one, re.MULTILINE)), None)

    def wait(self, pattern: str) -> str:
        return wait_for(lambda: self.heard(pattern))

    def forget(self) -> None:
        self.heard("")
        self.messages.clear()


@contextmanager
def managed(pki: Pki, **variables: str) -> Iterator[tuple[Manager, Served]]:
    manager = Manager(pki.home / "notify")
    try:
        with serving(pki.with_environment(NOTIFY_SOCKET=str(manager.path), **variables)) as served:
            yield manager, served
    finally:
        manager.socket.close()


class TestNotices:
    def test_ready_comes_with_the_credentials(self, pki: Pki, ca: Path) -> None:
        with running_lab(pki, "--directory", ca, "--delay", "1.5") as lab:
            configure(pki, lab, ca)
            with managed(pki) as (manager, served):
                # The first that comes: without the credentials it would come at once, and say none of 1.
                message = manager.wait("READY=1")
                assert served.get("/healthz").status == 200
                assert re.search("^STATUS=1 of 1 ", message, re.MULTILINE)

    def test_ready_comes_after_a_first_attempt_that_failed(self, pki: Pki, ca: Path) -> None:
        """A machine may start before its network: the service is up, and says how it is."""
        with running_lab(pki, "--directory", ca) as lab:
            configure(pki, lab, ca, "web", "--attempts", "1")
        with managed(pki) as (manager, served):
            message = manager.wait("READY=1")
            assert re.search("^STATUS=0 of 1 ", message, re.MULTILINE)
            assert served.get("/healthz").status == 503

    def test_the_watchdog_is_fed_in_half_its_time(self, web: Pki) -> None:
        with managed(web, WATCHDOG_USEC="3000000") as (manager, _):
            manager.wait("WATCHDOG=1")
            intervals = []
            for _ in range(3):
                manager.forget()
                start = time.monotonic()
                manager.wait("WATCHDOG=1")
                intervals.append(time.monotonic() - start)
            # A machine under load makes one late, not all.
            assert min(intervals) < 2.5

    def test_nobody_feeds_a_watchdog_that_is_not_there(self, web: Pki) -> None:
        with managed(web, WATCHDOG_USEC="200000", WATCHDOG_PID="1") as (manager, served):
            manager.wait("READY=1")
            served.process.send_signal(signal.SIGHUP)
            manager.wait("RELOADING=1")
            assert not manager.heard("WATCHDOG=1")

    def test_reloading_and_stopping(self, web: Pki) -> None:
        with managed(web) as (manager, served):
            manager.wait("READY=1")
            manager.forget()
            before = time.monotonic_ns() // 1000
            served.process.send_signal(signal.SIGHUP)
            message = manager.wait("RELOADING=1")
            moment = re.search(r"^MONOTONIC_USEC=(\d+)$", message, re.MULTILINE)
            assert moment and before <= int(moment[1]) <= time.monotonic_ns() // 1000
            manager.wait("READY=1")
            order = "\n".join(manager.messages)
            assert order.index("RELOADING=1") < order.index("READY=1")
            assert served.stop() == 0
            manager.wait("STOPPING=1")

    def test_a_name_in_the_abstract_namespace(self, web: Pki) -> None:
        name = f"pki-test-{os.getpid()}-{time.monotonic_ns()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"\0{name}")
            manager.settimeout(60)
            with serving(web.with_environment(NOTIFY_SOCKET=f"@{name}")):
                assert b"READY=1" in manager.recv(65536)

    def test_a_manager_that_is_gone_is_no_matter(self, web: Pki, tmp_path: Path) -> None:
        with serving(web.with_environment(NOTIFY_SOCKET=str(tmp_path / "absent"))) as served:
            assert served.container().status == 200


def complaints(unit: Path) -> list[str]:
    """What systemd has against a unit of ours; the machine's own are none of our business."""
    path = f"{unit.parent}:/usr/lib/systemd/system:/lib/systemd/system"
    done = tool("systemd-analyze", "verify", "--man=no", unit, status=None, environment={"SYSTEMD_UNIT_PATH": path})
    return [line for line in done.stderr.splitlines() if "pki" in line]


class TestUnits:
    @pytest.mark.parametrize("unit", sorted(file.name for file in (REPOSITORY / "templates/systemd").iterdir()))
    def test_systemd_has_nothing_against_them(self, pki: Pki, tmp_path: Path, unit: str) -> None:
        """The binary's place is the one thing that differs from an installation."""
        folder = tmp_path / "units"
        folder.mkdir()
        for file in (REPOSITORY / "templates/systemd").iterdir():
            text = file.read_text()
            (folder / file.name).write_text(text.replace("/usr/bin/pki ", f"{pki.path} "))
        name = unit.replace("@.", "@root.")
        if name != unit:
            (folder / unit).rename(folder / name)
        assert complaints(folder / name) == []
        # The judge is one: it sees a setting that does not exist.
        with (folder / name).open("a") as file:
            file.write("[Unit]\nRequiresNothing=yes\n")
        assert any("RequiresNothing" in line for line in complaints(folder / name))

    def test_what_the_units_run_is_a_command(self, pki: Pki) -> None:
        """Every option in them is one that the binary has."""
        for file in (REPOSITORY / "templates/systemd").glob("*.service"):
            for line in re.findall(r"^ExecStart=.*/usr/bin/pki (.*)$", file.read_text(), re.MULTILINE):
                command, *words = line.split()
                told = pki.run(command, "--help").stdout
                for option in (word for word in words if word.startswith("--")):
                    assert re.search(rf"^  (-\w, )?{option}\b", told, re.MULTILINE), (file.name, option)

    def test_no_program_is_one_that_the_search_path_finds_first(self) -> None:
        """An older one in /usr/local/bin, for instance; but for the AWS CLI, which is there often."""
        for file in (REPOSITORY / "templates/systemd").iterdir():
            commands = re.findall(r"^Exec\w+=(.*)$", file.read_text(), re.MULTILINE)
            assert all(re.match(r"/(usr/)?bin/", command) for command in commands), file
            assert not re.search(r"[' ]pki ", " ".join(commands)), file
