# SPDX-License-Identifier: Apache-2.0
"""What stands on a terminal and what in a pipe: tables that fit, colours, progress."""

from __future__ import annotations

import csv
import errno
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from program import DONE, USAGE, Pki

ESCAPE = "\x1b"


@dataclass(frozen=True)
class Shown:
    """What a run left on its terminal, and in the pipe that its other stream was."""

    status: int
    screen: str
    piped: str


def on_terminal(pki: Pki, *arguments: str | Path, stream: str = "stdout", columns: int = 80, **environment: str) -> Shown:
    """Runs the program with one stream on a terminal of some width, and the other in a pipe."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    settings = termios.tcgetattr(follower)
    settings[1] &= ~termios.OPOST
    termios.tcsetattr(follower, termios.TCSANOW, settings)
    other = "stderr" if stream == "stdout" else "stdout"
    process = subprocess.Popen(
        pki.command(*arguments), cwd=pki.home, env={**pki.variables(), "TERM": "xterm", **environment},
        stdin=subprocess.DEVNULL, **{stream: follower, other: subprocess.PIPE},
    )  # fmt: skip
    os.close(follower)
    shown = bytearray()

    def read() -> None:
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError as error:
                assert error.errno == errno.EIO
                return
            if not part:
                return
            shown.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    outputs = process.communicate(timeout=60)
    reader.join()
    os.close(leader)
    return Shown(process.returncode, shown.decode(), b"".join(part for part in outputs if part).decode())


@pytest.fixture
def fleet(pki: Pki, ca: Path) -> Path:
    """A CA with certificates that end at various times, and one with long names."""
    for name, days in (("soon", 3), ("later", 20), ("late", 300)):
        pki.run("issue-client", "--directory", ca, "--name", name, "--days", str(days))
    names = [option for number in range(8) for option in ("--dns", f"host-{number}.department.example.com")]
    pki.run("issue-client", "--directory", ca, "--name", "many-names", *names)
    return ca


class TestTable:
    @pytest.mark.parametrize("columns", [60, 80, 132])
    def test_lines_fit_the_terminal(self, pki: Pki, fleet: Path, columns: int) -> None:
        shown = on_terminal(pki, "list", "--directory", fleet, columns=columns)
        assert shown.status == DONE
        plain = re.sub(r"\x1b\[\d+m", "", shown.screen)
        lines = plain.splitlines()
        assert len(lines) == 7
        assert max(map(len, lines)) <= columns
        assert ("…" in plain) == (columns > 60)
        # The name is what one types.
        assert {line.split()[0] for line in lines[1:]} == {"root", "client", "soon", "later", "late", "many-names"}

    @pytest.mark.parametrize("columns", [60, 80])
    def test_b7_names_are_whole_and_audit_does_not_wrap(self, pki: Pki, ca: Path, columns: int) -> None:
        names = [f"payment-gateway-eu-central-{number}" for number in (1, 2, 10)]
        for name in reversed(names):
            pki.run("issue-client", name, "--directory", ca)
        for command in ("list", "audit"):
            shown = on_terminal(pki, command, "--directory", ca, columns=columns)
            lines = re.sub(r"\x1b\[\d+m", "", shown.screen).splitlines()
            assert max(map(len, lines)) <= columns, shown.screen
            assert all(any(name in line.split() for line in lines) for name in names), shown.screen
            # What only repeats the name, and a column without text, are left out.
            assert "dirName" not in shown.screen and "DETAIL" not in shown.screen
        listed = [line.split()[0] for line in pki.run("list", "payment-*", "--directory", ca).stdout.splitlines()[1:]]
        assert listed == names
        tree = pki.run("tree", "--directory", ca).stdout
        assert [tree.index(f"{name} ") for name in names] == sorted(tree.index(f"{name} ") for name in names)

    @pytest.mark.parametrize("arguments", [("tree",), ("list",), ("doctor", "--offline"), ("--help",), ("creds", "--help")])
    @pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LANG": "en_US.ISO-8859-1"}])
    def test_c11_other_locales_get_ascii(
        self, pki: Pki, fleet: Path, locale: dict[str, str], arguments: tuple[str, ...]
    ) -> None:
        folder = () if arguments[-1] == "--help" else ("--directory", fleet)
        shown = on_terminal(pki, *arguments, *folder, columns=60, **locale)
        assert shown.screen.isascii(), shown.screen
        pki.with_environment(**locale).run(*arguments, *folder).stdout.encode("ascii")

    def test_columns_overrules_the_window(self, pki: Pki, fleet: Path) -> None:
        narrow = on_terminal(pki, "list", "--directory", fleet, columns=80).screen
        told = on_terminal(pki, "list", "--directory", fleet, columns=200, COLUMNS="80").screen
        # A day may have begun to be counted in between.
        assert re.sub(r"\d", "9", told) == re.sub(r"\d", "9", narrow)

    def test_a_pipe_gets_all_of_it_without_colours(self, pki: Pki, fleet: Path) -> None:
        output = pki.run("list", "--directory", fleet).stdout
        assert ESCAPE not in output and "…" not in output
        assert "host-7.department.example.com" in output
        assert not [line for line in output.splitlines() if line.endswith(" ")]

    def test_days_are_coloured_by_how_many_are_left(self, pki: Pki, fleet: Path) -> None:
        screen = on_terminal(pki, "list", "--directory", fleet).screen
        assert re.search(r"soon .*\x1b\[31m[23]\x1b\[0m", screen)
        assert re.search(r"later .*\x1b\[33m(19|20)\x1b\[0m", screen)
        assert re.search(r"late .* (299|300)\n", screen)

    @pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
    def test_colours_can_be_left_out(self, pki: Pki, fleet: Path, environment: dict[str, str]) -> None:
        assert ESCAPE not in on_terminal(pki, "list", "--directory", fleet, **environment).screen

    def test_csv_is_read_by_others(self, pki: Pki, fleet: Path) -> None:
        rows = list(csv.DictReader(io.StringIO(pki.run("list", "--directory", fleet, "--format", "csv").stdout)))
        assert {row["name"] for row in rows} == {"root", "client", "soon", "later", "late", "many-names"}
        assert all(None not in row and None not in row.values() for row in rows)


class TestProgress:
    def hosts(self, pki: Pki, count: int) -> Path:
        path = pki.home / "hosts.txt"
        path.write_text("".join(f"web-{number}\n" for number in range(count)))
        return path

    def test_a_terminal_shows_it_and_is_clean_at_the_end(self, pki: Pki, ca: Path) -> None:
        shown = on_terminal(
            pki, "issue-client", "--directory", ca, "--batch", self.hosts(pki, 300), stream="stderr", columns=60
        )  # fmt: skip
        assert shown.status == DONE, shown
        assert "300" in shown.piped
        *drawn, last, rest = shown.screen.split("\r")
        assert rest == f"{ESCAPE}[K" and drawn[0] == ""
        assert re.fullmatch(r"issued +\d+ of 300.*\x1b\[K", last)
        for line in (*drawn[1:], last):
            assert re.fullmatch(r"issued +\d+ of 300( \[#*\.*\])?(, .*)?\x1b\[K", line), line
            assert len(line.removesuffix(f"{ESCAPE}[K")) < 60

    def test_a_command_that_there_is_not(self, pki: Pki) -> None:
        said = pki.refuse("issue-clien", "--name", "web", status=USAGE)
        assert 'unknown command "issue-clien"' in said and "did you mean pki issue-client?" in said
        for wish in ("--help", "-h"):
            assert "did you mean pki issue-client?" in pki.refuse("issue-clien", wish, status=USAGE)
            assert "--name" in pki.run("issue-client", wish).stdout
            assert "issue-client" in pki.run(wish).stdout
        assert "pki --help" in pki.refuse("frobnicate", status=USAGE)

    def test_elsewhere_there_is_one_line(self, pki: Pki, ca: Path) -> None:
        result = pki.run("issue-client", "--directory", ca, "--batch", self.hosts(pki, 50))
        assert re.fullmatch(r"pki: issued 50 of 50 in \d+ s\n", result.stderr)
        result = pki.run("issue-client", "--directory", ca, "--batch", self.hosts(pki, 60))
        assert re.fullmatch(r"pki: issued 10 of 10 in \d+ s\n", result.stderr)

    def test_a_faulty_list_is_told_line_by_line_and_nothing_is_issued(self, pki: Pki, ca: Path) -> None:
        path = pki.home / "hosts.csv"
        path.write_text("name,dns\nweb-1,web-1.example.com\nweb 2,\nweb-3,-\n")
        result = pki.run("issue-client", "--directory", ca, "--batch", "hosts.csv", status=2)
        assert "hosts.csv:3: the name" in result.stderr and "\n  hosts.csv:4: " in result.stderr
        assert not (ca / "web-1-cert.pem").exists()
