# SPDX-License-Identifier: Apache-2.0
"""Processes, and what they cost: started in an environment that has nothing of the caller's, and ended by their ids."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"}

# For callgrind: the seeds of Swift's hash tables differ from run to run, and it cannot bear that Go interrupts itself.
PINNED = {"SWIFT_DETERMINISTIC_HASHING": "1", "GODEBUG": "asyncpreemptoff=1"}

Command = Sequence[str | Path]


class Failed(Exception):
    """A program did not do what a measurement needs."""


def failure(command: Command, status: int, said: str) -> Failed:
    return Failed(f"failed with status {status}: {' '.join(map(str, command))}\n{said.strip()[-2000:]}")


@dataclass(frozen=True)
class Sample:
    """What a process cost, or several after another."""

    milliseconds: float
    cpu_milliseconds: float
    megabytes: float
    faults: int

    def __add__(self, other: Sample) -> Sample:
        return Sample(
            self.milliseconds + other.milliseconds,
            self.cpu_milliseconds + other.cpu_milliseconds,
            max(self.megabytes, other.megabytes),
            self.faults + other.faults,
        )


@dataclass(frozen=True)
class Side:
    """One side of a comparison: commands that run after another. `{n}` in a word is the number of the round."""

    name: str
    commands: Sequence[Command]
    variables: Mapping[str, str] = field(default_factory=dict)

    def each(self, number: int, measure: Callable[..., Sample | int]) -> Sample | int:
        """Measures each command of a round and adds up."""
        first, *others = (
            measure([str(word).replace("{n}", str(number)) for word in command], self.variables)
            for command in self.commands
        )
        for other in others:
            first += other  # type: ignore[operator]
        return first


class Workshop:
    """A directory of one's own, and the processes that run in it. Everything is gone when it is closed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.closing = ExitStack()
        self.stopwatch = directory / "stopwatch"
        compiled(HERE / "stopwatch.c", self.stopwatch)

    def start(self, command: Command, variables: Mapping[str, str] = {}, **options: object) -> subprocess.Popen[str]:
        """A process in a session of its own, so that a signal for this program does not end it halfway."""
        words = [shutil.which(command[0], path=ENVIRONMENT["PATH"]) or command[0], *command[1:]]
        environment = {"HOME": str(self.directory), "TMPDIR": str(self.directory), **ENVIRONMENT, **variables}
        kept = {"cwd": self.directory, "stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
        return subprocess.Popen(words, env=environment, text=True, start_new_session=True, **kept)

    def output(self, command: Command, variables: Mapping[str, str] = {}, **options: object) -> str:
        """What a command prints; it must succeed."""
        with self.start(command, variables, stdout=subprocess.PIPE, **{"stderr": subprocess.PIPE, **options}) as process:
            try:
                said, complaint = process.communicate()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        if process.returncode != 0:
            raise failure(command, process.returncode, f"{said}\n{complaint or ''}")
        return said

    def background(self, command: Command, variables: Mapping[str, str] = {}, **options: object) -> subprocess.Popen[str]:
        """A server, which is stopped when the workshop is closed."""
        process = self.start(command, variables, stdout=subprocess.PIPE, **options)
        self.closing.callback(stop, process)
        return process

    def run(self, command: Command, variables: Mapping[str, str] = {}) -> Sample:
        """One process from before it is made until it is collected, output to /dev/null."""
        program = shutil.which(command[0], path=ENVIRONMENT["PATH"]) or command[0]
        log = self.directory / "stderr"
        with log.open("w") as stderr:
            said = self.output([self.stopwatch, program, *command[1:]], variables, stderr=stderr)
        status, nanoseconds, microseconds, kilobytes, faults = map(int, said.split())
        if status != 0:
            raise failure(command, status, log.read_text())
        return Sample(nanoseconds / 1e6, microseconds / 1e3, kilobytes / 1024, faults)

    def instructions(self, command: Command, variables: Mapping[str, str] = {}) -> int:
        """The instructions of one run, its children's included, on the CPU that callgrind makes up."""
        logs = self.directory / "callgrind"
        logs.mkdir()
        options = ["--tool=callgrind", "--trace-children=yes", "--callgrind-out-file=/dev/null", f"--log-file={logs}/%p"]
        try:
            self.output(["valgrind", *options, *command], {**PINNED, **variables})
            texts = [log.read_text() for log in logs.iterdir()]
        finally:
            shutil.rmtree(logs)
        counts = [int(count) for text in texts for count in re.findall(r"Collected : (\d+)", text)]
        if not counts:
            raise failure(["valgrind", *command], 0, "\n".join(texts))
        return sum(counts)

    def interleaved(self, sides: Sequence[Side], runs: int, warm_up: int = 3) -> list[list[Sample]]:
        """The samples of each side, taken in turn, so that all of them see the machine in the same mood."""
        taken: list[list[Sample]] = [[] for _ in sides]
        for number in range(warm_up + runs):
            turn = list(zip(sides, taken))
            for side, samples in turn if number % 2 else reversed(turn):
                sample = side.each(number, self.run)
                if number >= warm_up:
                    samples.append(sample)  # type: ignore[arg-type]
        return taken


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def compiled(source: Path, program: Path, *flags: str) -> None:
    compiler = shutil.which("clang") or "cc"
    subprocess.run([compiler, "-O2", "-o", program, source, *flags], check=True)


def free_port() -> int:
    """A TCP port that the system has just had to spare: not every server can be asked which one it chose."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def memory(process: subprocess.Popen[str], field: str = "VmRSS") -> float:
    """Megabytes of memory that a process has now, or had at most (VmHWM)."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+)", text)[1]) / 1024  # type: ignore[index]


def cpu_seconds(process: subprocess.Popen[str]) -> float:
    """The CPU time that a process has taken, the kernel's included."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
