# SPDX-License-Identifier: Apache-2.0
"""The rpm installs into a root of its own that `rpm --root` makes, verifies there, and is removed without a trace.

A system of the Red Hat family cannot be made here: there is no mirror of one. What such a system brings is played by a
package that provides the names of the libraries and nothing else; programs are not run in the root.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from program import REPOSITORY
from release import RPM, output, rpm_entries

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="rpm --root changes the root directory, which needs root")

SYSTEM = """\
name: system
version: 1.0.0
arch: amd64
maintainer: nobody
description: Has what a Linux distribution has.
provides:
  - libc.so.6(GLIBC_{libc})(64bit)
  - libgcc_s.so.1()(64bit)
  - libcrypto.so.3()(64bit)
  - libssl.so.3()(64bit)
  - libsqlite3.so.0()(64bit)
  - libcurl.so.4()(64bit)
  - ca-certificates
  - /bin/sh
"""
DOGTAG = """\
name: {name}
version: 1.0.0
arch: amd64
maintainer: nobody
description: Has another program of the name.
"""


class Root:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.run("--initdb")

    def run(self, *arguments: str | Path, status: int = 0) -> str:
        done = subprocess.run(
            ["rpm", "--root", self.directory, "--dbpath", "/var/lib/rpm", *map(str, arguments)], capture_output=True, text=True, check=False
        )
        # How many packages it refuses, when it refuses.
        assert (done.returncode == 0) == (status == 0), done.stdout + done.stderr
        return done.stdout + done.stderr

    def install(self, *packages: Path, status: int = 0) -> str:
        # Scripts need the programs of a whole system.
        return self.run("--install", "--nosignature", "--noscripts", *packages, status=status)


def make(directory: Path, text: str) -> Path:
    """A package without files."""
    configuration = directory / f"{text.split()[1]}.yaml"
    configuration.write_text(text)
    target = directory / f"{text.split()[1]}.rpm"
    output(REPOSITORY / ".venv/bin/nfpm", "package", "--config", configuration, "--packager", "rpm", "--target", target)
    return target


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


@pytest.fixture
def system(tmp_path: Path) -> Path:
    libc = output("rpm", "--query", "--package", "--nosignature", "--requires", RPM).split("GLIBC_")[1].split(")")[0]
    return make(tmp_path, SYSTEM.format(libc=libc))


def test_it_installs_verifies_and_is_removed(root: Root, system: Path):
    root.install(system, RPM)
    assert root.run("--query", "--list", "pki").split() == [f"/{path}" for path in sorted(rpm_entries())]
    assert root.run("--verify", "--nodeps", "pki") == ""
    installed = root.directory / "usr/bin/pki"
    assert output(installed, "--version").startswith("pki ")
    assert os.readlink(root.directory / "usr/lib/pki/aws_signing_helper") == "../../bin/pki"
    authority = root.directory / "var/lib/pki/ca"
    output(installed, "init-ca", "--directory", authority)
    root.run("--erase", "--noscripts", "pki")
    left = {str(path.relative_to(root.directory)) for path in root.directory.rglob("*") if not path.is_dir()}
    assert {path for path in left if not path.startswith(("var/lib/rpm/", "var/lib/pki/"))} == set()
    assert (authority / "root-key.pem").exists()


def test_without_the_libraries_it_is_refused(root: Root):
    said = root.install(RPM, status=1)
    for name in ("libcrypto.so.3()(64bit)", "libcurl.so.4()(64bit)", "libsqlite3.so.0()(64bit)", "ca-certificates"):
        assert f"{name} is needed by pki" in said


@pytest.mark.parametrize("name", ["pki-tools", "dogtag-pki-tools", "idm-pki-tools"])
def test_it_conflicts_with_the_other_program(root: Root, system: Path, tmp_path: Path, name: str):
    root.install(system, make(tmp_path, DOGTAG.format(name=name)))
    assert f"{name} conflicts with pki" in root.install(RPM, status=1)
