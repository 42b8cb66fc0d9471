# SPDX-License-Identifier: Apache-2.0
"""Fixtures of all the suites."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest


def forget_the_caller() -> None:
    """Nothing that a terminal, a shell or its user left to this process reaches what the tests start."""
    kept = ("PKI_BINARY", "PKI_TEST_", "PKI_HOSTILE_")
    mine = ("PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "JAVA_HOME", *kept, "PYTEST_", "PYTHON", "COV", "VIRTUAL_ENV")
    for name in list(os.environ):
        if not name.startswith(mine):
            del os.environ[name]
    # AWS's own libraries in this process read no file of the user's.
    os.environ.update(LANG="C.UTF-8", TZ="UTC", AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    time.tzset()
    os.umask(0o022)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    # A signal that is ignored stays so in every program that is started, and one with a handler does not: `nohup` ignores
    # SIGHUP, and a shell without job control SIGINT in what it starts in the background.
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


forget_the_caller()

import sampling
from machines import Clock
from postgresql import Cluster, postgresql
from program import Lab, Pki, binary, running_lab
from replicated import WANTED, Shared
from tools import openssl

# Files that take longest begin first, so that none of them is left alone at the end.
SLOWEST = (
    "test_several_roles.py", "test_gates.py", "test_export.py", "test_delivery_sdks.py", "test_lab_state.py",
    "test_credential_process.py", "test_profiles.py", "test_certificates.py", "test_lab_road.py", "test_setup.py",
    "test_lab_terraform.py", "test_inventory.py", "test_hostile_directory.py", "test_lab.py", "test_aws_files.py",
    "test_key_matrix.py", "test_delivery_failures.py", "test_delivery_cache.py", "test_secret_sources.py",
    "test_lab_control_plane.py", "test_key_failures.py", "test_backup.py", "test_delivery_files.py", "test_page.py",
    "test_names.py", "test_corpus.py", "test_aws_settings.py", "test_lab_iam.py", "test_damage.py",
    "test_delivery_exec.py", "test_creds.py",
)  # fmt: skip


# What judges `pki serve-ca` and means the same where the inventory is on PostgreSQL.
SERVERS = (
    "test_enrol.py", "test_est.py", "test_crl_service.py", "test_enrolment_abuse.py", "test_acme_http01.py", "test_acme_clients.py",
    "test_enrolment_clock.py", "test_acme.py", "test_enrol_rotation.py", "test_enrol_devices.py", "test_revocation_url.py",
    "test_serve_ca_config.py", "test_ocsp.py", "test_enrolment_faults.py", "test_conformance_acme.py", "test_conformance_est.py",
    "test_conformance_http01.py", "test_conformance_ocsp.py",
)  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if WANTED:
        left_out = [item for item in items if item.path.name not in SERVERS or item.get_closest_marker("directory")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    if not sampling.FULL and not any("::" in word for word in config.args):
        left_out = sampling.left_out(items)
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: SLOWEST.index(item.path.name) if item.path.name in SLOWEST else len(SLOWEST))


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


@pytest.fixture(scope="session")
def first_ca(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA's directory as `ca` has it, which no test changes."""
    home = tmp_path_factory.mktemp("first")
    pki = Pki(home=home, path=built)
    pki.run("init-ca", "--directory", home / "ca")
    pki.run("issue-client", "--directory", home / "ca")
    return home / "ca"


@pytest.fixture
def ca(first_ca: Path, tmp_path: Path) -> Path:
    """A directory of the test's own with a CA and one client certificate, `client`."""
    return shutil.copytree(first_ca, tmp_path / "ca")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """PostgreSQL, in which each test makes a database of its own."""
    with postgresql() as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def inventories(request: pytest.FixtureRequest) -> Iterator[None]:
    """With PKI_TEST_INVENTORY=postgresql, every `pki serve-ca` of the tests is two, on PostgreSQL."""
    if WANTED:
        with Shared.opened(request.getfixturevalue("cluster")):
            yield
    else:
        yield


@pytest.fixture(scope="session")
def clock_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("clock") / "clock.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", built, Path(__file__).with_name("clock.c")], check=True)
    return built


@pytest.fixture
def clock(clock_library: Path, tmp_path: Path) -> Clock:
    clock = Clock(clock_library, tmp_path / "clock")
    clock.set(timedelta())
    return clock


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
