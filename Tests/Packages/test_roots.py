# SPDX-License-Identifier: Apache-2.0
"""The machines themselves: what a test leaves behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import roots
from roots import is_running, wait_until

SCRIPT = """
import pathlib, sys, time
import roots
with roots.running("bookworm", booted=True, binds={pathlib.Path(sys.argv[1]): "/shared"}) as machine:
    print(machine.process, flush=True)
    time.sleep(600)
"""


def groups() -> set[Path]:
    return set(Path("/sys/fs/cgroup").glob("**/pki-machine-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_machine_ends_with_who_made_it(number: signal.Signals, tmp_path: Path) -> None:
    roots.cached_root("bookworm", booted=True)
    maker = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, tmp_path],
        cwd=roots.HERE, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert maker.stdout is not None
    first = int(maker.stdout.readline())
    beside = {path for path in groups() if path.name.split("-")[2] == str(maker.pid)}
    assert len(beside) == 1 and is_running(first)
    maker.send_signal(number)
    maker.communicate(timeout=60)
    wait_until(lambda: not is_running(first), "its first process ended")
    # Its mounts were in its own namespace. What a killed maker could not remove, the next removes.
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    with roots.running("bookworm"):
        assert not beside & groups()


def test_a_machine_is_alone(tmp_path: Path) -> None:
    """Two of one root share nothing, and the host sees nothing of them."""
    with roots.running("bookworm") as one, roots.running("bookworm") as other:
        one.write("/root/mine", "x")
        assert not (other.root / "root/mine").exists()
        assert not (roots.cached_root("bookworm", booted=False) / "root/mine").exists()
        assert int(one.shell("ls /proc | grep -c '^[0-9]'").stdout) < 8
        assert one.shell("ls /sys/class/net").stdout == "lo\n"
        one.shell("! echo 1 > /proc/sys/kernel/panic")
