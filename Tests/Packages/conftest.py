# SPDX-License-Identifier: Apache-2.0
"""Machines for the packages that script/package wrote."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import roots
from release import DEB
from roots import Machine

# A shell without job control ignores SIGINT in what it starts in the background, and nohup SIGHUP: so would all that is
# started here.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler)
os.umask(0o022)


@pytest.fixture(scope="session")
def deb() -> Path:
    if not DEB.exists():
        pytest.fail(f"there is no {DEB}: run script/gates/packages, or script/package", pytrace=False)
    return DEB


@pytest.fixture(params=list(roots.SUITES), ids=[f"debian-{version}" for version in roots.SUITES.values()])
def suite(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def machine(suite: str, deb: Path) -> Iterator[Machine]:
    """A machine that nothing was done to, with the package in root's home directory, and no systemd."""
    with roots.running(suite) as machine:
        machine.write(f"/root/{deb.name}", deb.read_bytes())
        yield machine


@pytest.fixture
def booted(suite: str, deb: Path) -> Iterator[Machine]:
    """The same, booted by systemd, with what the package depends on."""
    with roots.running(suite, booted=True) as machine:
        machine.write(f"/root/{deb.name}", deb.read_bytes())
        yield machine
