# SPDX-License-Identifier: Apache-2.0
"""Fixtures of all the suites."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from program import Lab, Pki, binary, running_lab


def pytest_report_header() -> str:
    return f"pki: {binary()}"


@pytest.fixture(scope="session")
def built() -> Path:
    path = binary()
    if not path.exists():
        pytest.fail(f"there is no {path}: run script/gates/build, or set PKI_BINARY", pytrace=False)
    return path


@pytest.fixture
def pki(built: Path, tmp_path: Path) -> Pki:
    """The binary, with the test's own folder as its home and working folder."""
    return Pki(home=tmp_path, path=built)


@pytest.fixture
def ca(pki: Pki, tmp_path: Path) -> Path:
    """A folder with a CA and one client certificate, `client`."""
    folder = tmp_path / "ca"
    pki.run("init-ca", "--directory", folder)
    pki.run("issue-client", "--directory", folder)
    return folder


@pytest.fixture
def lab(pki: Pki, ca: Path) -> Iterator[Lab]:
    """A lab over plain HTTP that trusts `ca`."""
    with running_lab(pki, "--directory", ca) as lab:
        yield lab
