# SPDX-License-Identifier: Apache-2.0
"""When to kill a process that is to be killed at any moment of its work."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

KILLED = -9


class KillMoments:
    """Moments that are spread over the whole of a work, and stay so while a machine becomes faster or slower.

    What a process takes is measured once and then corrected by every outcome: later moments when a process was killed,
    earlier ones when it had come to its end. Six in ten are killed in the long run, however wrong the first measure was.
    """

    LATER, EARLIER = 1.1, 0.87

    def __init__(self, seconds: float, seed: int, *, earliest: float = 0, latest: float = 1.3) -> None:
        self.seconds = seconds
        self.earliest = earliest
        self.latest = latest
        self.chance = random.Random(seed)
        self.killed = 0
        self.ended = 0

    @classmethod
    def of(cls, work: Callable[[], object], seed: int, *, earliest: float = 0, latest: float = 1.3) -> KillMoments:
        """Measures a piece of work by doing it."""
        began = time.monotonic()
        work()
        return cls(time.monotonic() - began, seed, earliest=earliest, latest=latest)

    def next(self) -> float:
        """Seconds from a process's start to its end by another's hand."""
        return self.chance.uniform(self.seconds * self.earliest, self.seconds * self.latest)

    def kill(self, process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
        """Lets a process run until the next moment, then kills it: its status, and what it had said and complained of."""
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=self.next())
        process.kill()
        output, errors = process.communicate(timeout=60)
        self.learn(process.returncode)
        return process.returncode, output, errors

    def learn(self, status: int) -> None:
        """Takes note of how a process ended."""
        if status == KILLED:
            self.killed += 1
            self.seconds *= self.LATER
        else:
            self.ended += 1
            self.seconds *= self.EARLIER

    def assert_spread(self) -> None:
        """Some were killed and some were not: else the test has seen nothing."""
        assert self.killed and self.ended, f"{self.ended} came to their end, {self.killed} were killed"
