# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of a Markdown document in the order they stand and compares what they print with what it shows.

Blocks marked `console` hold commands after "$ " and their output; blocks marked `sh` hold commands only. A comment on
the line before a block changes how it is run:

    <!-- skip: REASON -->       the block is not run
    <!-- status: 0 2 -->        the exit statuses of its commands; 0 where nothing is said
    <!-- terminal: NAME -->     its one command runs in another terminal, which begins in the home directory, and keeps
                                running; a later block with the same name stops it with SIGINT first

In the shown output `…` stands for any text of a line, and alone on a line for any lines. Times, serial numbers, ids,
ports and the like (see PLACEHOLDERS) are compared by their shape, everything else character by character. A port that a
document shows is replaced, in the commands that follow, by the one that the system chose.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import secrets
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from program import clean_environment

HOME_IN_DOCUMENTS = "/home/alex"
USER_IN_DOCUMENTS = "alex@rack-7"
LAB_PORT = "9912"
"""The lab's default port."""

PORT = r"(\d+)"
DURATION = r"\d+ (?:ms|s|min|h|d)\b"

PLACEHOLDERS = [
    (re.compile(shown), shown if printed is None else printed)
    for shown, printed in (
        ("…", ".*"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", None),
        (r"\d{8}T\d{6}Z(?:-\d+)?", None),
        # The expiry in a table, and the days until then.
        (r"\d{4}-\d\d-\d\d +\d+(?=$| {2})", r"\d{4}-\d\d-\d\d +\d+"),
        (r"\d{4}-\d\d-\d\d", None),
        (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", None),
        # Serial numbers, key identifiers and digests.
        (r"\b[0-9a-f]{36,}\b", "[0-9a-f]{36,}"),
        (r"\b[0-9A-F]{30,}\b", "[0-9A-F]{30,}"),
        (r"\b\d{35,}\b", r"\d{35,}"),
        (r"\bA[A-Z]{3}[A-Z0-9]{13,17}\b", None),
        (rf"{DURATION}(?: {DURATION})*", None),
        (r"\d+ days left", None),
        # The number of a request in the lab's log.
        (r"(?<!\S)#\d+", r"#\d+"),
        (r"\d+ bytes", None),
        # The number of a CRL that begins with the time.
        (r"(?<=CRL )\d{10}", None),
        # The value of a metric that has labels.
        (r"(?<=\} )\d+$", r"\d+"),
        (r"(?<=127\.0\.0\.1:)\d+", PORT),
        (re.escape(USER_IN_DOCUMENTS), r"[^\s@]+@[^\s@]+"),
        # Between columns, whose widths depend on the values.
        (r"(?<=\S) {2,}", " {2,}"),
    )
]
"""Patterns in a document, and what may be printed there; None is the same pattern. The only group is a port."""


@dataclass(frozen=True)
class Step:
    """A command of a document."""

    line: int
    command: str
    output: str | None
    """What the document shows; None if it shows no output."""
    status: int = 0
    terminal: str | None = None


def steps(document: str, chapter: str | None = None) -> list[Step]:
    """The commands of a document, or of the chapter whose heading has that text."""
    found: list[Step] = []
    directives: dict[str, str] = {}
    inside = chapter is None
    lines = document.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if fence := re.fullmatch(r"( *)```(\w*)", line):
            end = next(number for number in range(at, len(lines)) if lines[number] == f"{fence[1]}```")
            body = [text.removeprefix(fence[1]) for text in lines[at:end]]
            if inside and fence[2] in ("console", "sh") and "skip" not in directives:
                found += commands(body, at + 1, fence[2] == "sh", directives)
            directives = {}
            at = end + 1
        elif comment := re.fullmatch(r" *<!-- (skip|status|terminal): (.+) -->", line):
            directives[comment[1]] = comment[2]
        else:
            if heading := re.fullmatch(r"## (.+)", line):
                inside = chapter in (None, heading[1])
            if line.strip():
                assert not directives, f"line {at}: {directives} stands before no block"
    return found


def chapters(document: str) -> list[str]:
    """The headings of the chapters that have commands to run."""
    return [name for name in re.findall(r"^## (.+)$", document, re.MULTILINE) if steps(document, name)]


def commands(body: list[str], first: int, bare: bool, directives: Mapping[str, str]) -> Iterator[Step]:
    """The commands of one block whose first line has the number `first`."""
    found: list[tuple[int, str, str | None]] = []
    at = 0
    while at < len(body):
        assert bare or body[at].startswith("$ "), f"line {first + at}: {body[at]!r} is neither a command nor output"
        start = at
        command = body[at] if bare else body[at][2:]
        at += 1
        while is_unfinished(command):
            assert at < len(body), f"line {first + start}: the command does not end: {command}"
            command += f"\n{body[at]}"
            at += 1
        shown: list[str] = []
        while not bare and at < len(body) and not body[at].startswith("$ "):
            shown.append(body[at])
            at += 1
        if command.strip():
            found.append((first + start, command, None if bare else "\n".join(shown)))
    statuses = [int(word) for word in directives.get("status", "").split()]
    assert len(statuses) in (0, len(found)), f"line {first}: {len(found)} commands, {len(statuses)} statuses"
    terminal = directives.get("terminal")
    assert terminal is None or len(found) == 1, f"line {first}: a terminal runs one command"
    for number, (line, command, output) in enumerate(found):
        yield Step(line, command, output, statuses[number] if statuses else 0, terminal)


def is_unfinished(command: str) -> bool:
    """Whether a shell would ask for another line."""
    if command.endswith("\\"):
        return True
    if (here := re.search(r"<<-?\s*['\"]?(\w+)", command)) and here[1] not in command.splitlines()[1:]:
        return True
    checked = subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True, check=False)
    return "unexpected end of file" in checked.stderr or "unexpected EOF" in checked.stderr


class Shape:
    """What the shown output of a command matches."""

    def __init__(self, shown: str, home: Path):
        self.lines = shown.replace(HOME_IN_DOCUMENTS, str(home)).strip("\n").splitlines()
        self.ports: list[str] = []
        inside_pem = False
        self.patterns: list[str] = []
        for line in self.lines:
            if line.strip() == "…":
                self.patterns.append(r"(?:.*\n)*?")
            elif inside_pem and not line.startswith("-----"):
                self.patterns.append("[A-Za-z0-9+/=]*\n?")
            else:
                inside_pem = line.startswith("-----BEGIN ")
                self.patterns.append(self.pattern(line.rstrip()) + r"\n")

    def pattern(self, line: str) -> str:
        found = ""
        at = 0
        while at < len(line):
            for shown, printed in PLACEHOLDERS:
                if match := shown.match(line, at):
                    if printed == PORT:
                        self.ports.append(match[0])
                    found += printed
                    at = match.end()
                    break
            else:
                found += re.escape(line[at])
                at += 1
        return found

    def learn(self, printed: str, goes_on: bool = False) -> dict[str, str] | None:
        """The ports that stand for those of the document, or None if the output has another shape."""
        if goes_on:
            printed = printed[: printed.rfind("\n") + 1]
        match = re.match("".join(self.patterns) + ("" if goes_on else r"\Z"), tidied(printed))
        return dict(zip(self.ports, match.groups(), strict=True)) if match else None

    def difference(self, printed: str) -> str:
        """Where the output first differs."""
        text = tidied(printed)
        for count in range(1, len(self.lines) + 1):
            if not re.match("".join(self.patterns[:count]), text):
                end = re.match("".join(self.patterns[: count - 1]), text)
                rest = text[end.end() if end else 0 :]
                return f"the document shows: {self.lines[count - 1]!r}\nand it printed:     {rest.split(chr(10))[0]!r}"
        return "it printed more than the document shows"


def tidied(text: str) -> str:
    """Output without blanks at the ends of lines and blank lines at both ends."""
    lines = "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")
    return f"{lines}\n" if lines else ""


class Shell:
    """A bash that runs one command after the other."""

    def __init__(self, directory: Path, environment: Mapping[str, str], seconds: float):
        self.seconds = seconds
        self.mark = f"--{secrets.token_hex(16)}--"
        self.printed = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.send("set -o pipefail")
        self.wait()

    def send(self, command: str) -> None:
        """Has the shell run a command, without input, and print the mark with its status."""
        assert self.process.stdin
        text = f"{{ eval {shlex.quote(command)}\n}} </dev/null; printf '\\n%s %d\\n' {self.mark} $?\n"
        self.printed = ""
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def read(self, end: float) -> bool:
        """Waits for more output; false if there is none."""
        assert self.process.stdout
        descriptor = self.process.stdout.fileno()
        if not select.select([descriptor], [], [], max(0, end - time.monotonic()))[0]:
            return False
        chunk = os.read(descriptor, 65536)
        self.printed += self.decoder.decode(chunk)
        return bool(chunk)

    def ended(self) -> tuple[int, str] | None:
        """The status and the output of the command, if it has ended."""
        match = re.search(rf"\n{self.mark} (\d+)\n", self.printed)
        return (int(match[1]), self.printed[: match.start()]) if match else None

    def wait(self) -> tuple[int, str]:
        end = time.monotonic() + self.seconds
        while not (found := self.ended()):
            assert self.read(end), f"no end after {self.seconds} s; printed so far:\n{self.printed}"
        return found

    def interrupt(self) -> None:
        """Ctrl-C for the command that runs."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        end = time.monotonic() + self.seconds
        while not self.ended() and time.monotonic() < end:
            for child in children.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGINT)
            self.read(time.monotonic() + 0.5)
        assert self.ended(), f"it does not end on SIGINT; printed so far:\n{self.printed}"

    def close(self) -> None:
        """Ends the shell and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
            # What it started has the other end of this pipe.
            end = time.monotonic() + 30
            while self.read(end):
                pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            assert self.process.stdin and self.process.stdout
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
            self.process.stdout.close()


class Walk:
    """A reader who types what a document says: one shell, and the terminals that the document names."""

    def __init__(self, document: Path, home: Path, binary: Path, chapter: str | None = None, seconds: float = 180):
        self.document = document
        self.seconds = seconds
        self.steps = steps(document.read_text(), chapter)
        self.home = home / "home"
        self.terminals: dict[str, Shell] = {}
        self.ports: dict[str, str] = {}
        programs = home / "programs"
        for directory in (self.home, programs, home / "tmp"):
            directory.mkdir()
        (programs / "pki").symlink_to(binary)
        self.environment = clean_environment(self.home) | {"TMPDIR": str(home / "tmp")}
        # The AWS CLI is beside this Python.
        self.environment["PATH"] = f"{programs}:{Path(sys.executable).parent}:{self.environment['PATH']}"

    def run(self) -> None:
        assert self.steps, f"there is nothing to run in {self.document}"
        shell = Shell(self.home, self.environment, self.seconds)
        try:
            for step in self.steps:
                if step.terminal:
                    self.run_in_terminal(step)
                else:
                    self.run_in(shell, step)
        finally:
            for one in (shell, *self.terminals.values()):
                one.close()

    def run_in(self, shell: Shell, step: Step) -> None:
        shell.send(self.adapted(step.command))
        status, printed = shell.wait()
        assert status == step.status, self.fault(step, printed, f"status {status} instead of {step.status}")
        self.compare(step, printed)

    def run_in_terminal(self, step: Step) -> None:
        """Starts a command and waits for what the document shows of it."""
        assert step.terminal and step.output, self.fault(step, "", "a terminal shows what its command prints at first")
        if step.terminal in self.terminals:
            self.terminals[step.terminal].interrupt()
        else:
            self.terminals[step.terminal] = Shell(self.home, self.environment, self.seconds)
        shell = self.terminals[step.terminal]
        command = re.sub(r"\bpki (lab|serve)\b(?!-)", r"pki \1 --port 0", self.adapted(step.command))
        shell.send(command if "--listen" in command else command.replace("pki serve-ca", "pki serve-ca --listen 0"))
        shape = Shape(step.output, self.home)
        end = time.monotonic() + shell.seconds
        while shape.learn(shell.printed, goes_on=True) is None:
            if shell.ended() or not shell.read(end):
                raise AssertionError(self.fault(step, shell.printed, shape.difference(shell.printed)))
        self.compare(step, shell.printed, goes_on=True)

    def adapted(self, command: str) -> str:
        """The command with the ports of this run."""
        if port := self.ports.get(LAB_PORT):
            command = command.replace("pki lab env", f"pki lab env --endpoint http://127.0.0.1:{port}")
        return re.sub(r"\b\d{4,5}\b", lambda match: self.ports.get(match[0], match[0]), command)

    def compare(self, step: Step, printed: str, goes_on: bool = False) -> None:
        if step.output is not None:
            shape = Shape(step.output, self.home)
            learned = shape.learn(printed, goes_on)
            assert learned is not None, self.fault(step, printed, shape.difference(printed))
            self.ports |= learned

    def fault(self, step: Step, printed: str, what: str) -> str:
        return f"{self.document.name}:{step.line}: {what}\n$ {step.command}\n{printed}"
