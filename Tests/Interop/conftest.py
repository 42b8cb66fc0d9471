# SPDX-License-Identifier: Apache-2.0
"""Fixtures of all the suites."""

from __future__ import annotations

import importlib.util
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# A shell that starts the tests in the background has them ignore SIGINT, and what they start would too.
signal.signal(signal.SIGINT, signal.default_int_handler)

from program import Lab, Pki, binary, running_lab
from tools import openssl


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
    """The binary, with the test's own directory as its home and working directory."""
    return Pki(home=tmp_path, path=built)


@pytest.fixture
def ca(pki: Pki, tmp_path: Path) -> Path:
    """A directory with a CA and one client certificate, `client`."""
    folder = tmp_path / "ca"
    pki.run("init-ca", "--directory", folder)
    pki.run("issue-client", "--directory", folder)
    return folder


@pytest.fixture
def lab(pki: Pki, ca: Path) -> Iterator[Lab]:
    """A lab over plain HTTP that trusts `ca`."""
    with running_lab(pki, "--directory", ca) as lab:
        yield lab


@pytest.fixture(scope="session")
def newer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables under which a program of this machine runs on OpenSSL 3.5."""
    found = importlib.util.find_spec("psycopg_binary")
    if found is None or found.origin is None:
        pytest.skip("psycopg-binary is not installed: run script/bootstrap")
    folder = tmp_path_factory.mktemp("openssl")
    for library in (Path(found.origin).parents[1] / "psycopg_binary.libs").iterdir():
        (folder / library.name).symlink_to(library)
        if match := re.fullmatch(r"(libcrypto|libssl)-[0-9a-f]+\.so\.3", library.name):
            (folder / f"{match[1]}.so.3").symlink_to(library)
    configuration = folder / "empty.cnf"
    configuration.touch()
    variables = {"LD_LIBRARY_PATH": str(folder), "OPENSSL_CONF": str(configuration)}
    version = openssl("version", environment=variables).stdout
    assert "Library: OpenSSL 3.5" in version, version
    return variables


@pytest.fixture
def modern(pki: Pki, newer: dict[str, str]) -> Pki:
    return pki.with_environment(**newer)
