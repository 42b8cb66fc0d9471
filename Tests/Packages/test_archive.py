# SPDX-License-Identifier: Apache-2.0
"""The archive's installer: installs below a prefix, replaces only what it installed, and removes nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from program import Pki
from release import ARCHIVE, VERSION, output


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    output("tar", "--extract", "--file", ARCHIVE, "--directory", tmp_path)
    return tmp_path / ARCHIVE.name.removesuffix(".tar.gz")


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tmp_path / "prefix"


def install(script: Path, *arguments: str | Path, status: int = 0) -> str:
    done = subprocess.run([script, *map(str, arguments)], capture_output=True, text=True, check=False, umask=0o077)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}


def test_it_installs_what_the_archive_holds_and_both_names_work(unpacked: Path, prefix: Path):
    install(unpacked / "install.sh", "--prefix", prefix)
    wanted = {path for path in files(unpacked) if path != "install.sh"}
    assert files(prefix) == wanted | {"lib/pki/install.sh", "lib/pki/installed"}
    assert output(prefix / "bin/pki", "--version") == f"pki {VERSION}\n"
    assert output(prefix / "lib/pki/aws_signing_helper", "version") == f"{VERSION}\n"
    # Whatever the installing user's umask is.
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in prefix.rglob("*"))


def test_units_name_the_program_below_the_prefix(unpacked: Path, prefix: Path):
    install(unpacked / "install.sh", "--prefix", prefix)
    for unit in (prefix / "lib/systemd/system").iterdir():
        text = unit.read_text()
        assert "=pki " not in text and "'pki " not in text
    assert f"ExecStart={prefix}/bin/pki " in (prefix / "lib/systemd/system/pki-renew.service").read_text()


def test_a_program_of_that_name_that_it_did_not_install_is_left_alone(unpacked: Path, prefix: Path):
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin/pki").write_text("another")
    said = install(unpacked / "install.sh", "--prefix", prefix, status=2)
    assert f"{prefix}/bin/pki" in said
    assert files(prefix) == {"bin/pki"}
    assert (prefix / "bin/pki").read_text() == "another"


def test_a_newer_version_replaces_an_older_and_what_it_no_longer_has(unpacked: Path, prefix: Path):
    (unpacked / "share/doc/pki/old.md").write_text("old")
    install(unpacked / "install.sh", "--prefix", prefix)
    (unpacked / "share/doc/pki/old.md").unlink()
    (unpacked / "share/doc/pki/new.md").write_text("new")
    install(unpacked / "install.sh", "--prefix", prefix)
    assert not (prefix / "share/doc/pki/old.md").exists()
    assert (prefix / "share/doc/pki/new.md").read_text() == "new"
    install(prefix / "lib/pki/install.sh", "--uninstall")
    assert not any(prefix.iterdir())


def test_removal_leaves_ca_directories_and_files_of_others(unpacked: Path, prefix: Path, tmp_path: Path):
    prefix.mkdir()
    (prefix / "share/man").mkdir(parents=True)
    install(unpacked / "install.sh", "--prefix", prefix)
    Pki(tmp_path, prefix / "bin/pki").run("init-ca", "--directory", prefix / "share/pki/ca")
    authority = {f"share/pki/ca/{path}" for path in files(prefix / "share/pki/ca")}
    assert "share/pki/ca/root-key.pem" in authority
    (prefix / "bin/other").write_text("another")
    install(prefix / "lib/pki/install.sh", "--uninstall")
    assert files(prefix) == authority | {"bin/other"}
    # It was there before.
    assert (prefix / "share/man").is_dir()
    assert not (prefix / "lib").exists()


def test_an_installation_that_was_interrupted_is_completed_or_removed(unpacked: Path, prefix: Path):
    # As when the disk is full: one of the files cannot be copied.
    unit = unpacked / "lib/systemd/system/pki-renew.service"
    content = unit.read_bytes()
    unit.unlink()
    unit.symlink_to("/nonexistent")
    install(unpacked / "install.sh", "--prefix", prefix, status=2)
    assert (prefix / "bin/pki").exists()
    unit.unlink()
    unit.write_bytes(content)
    install(unpacked / "install.sh", "--prefix", prefix)
    assert (prefix / "lib/systemd/system/pki-renew.service").exists()
    install(prefix / "lib/pki/install.sh", "--uninstall")
    assert files(prefix) == set()


def test_a_list_that_names_other_places_removes_nothing_there(unpacked: Path, prefix: Path, tmp_path: Path):
    install(unpacked / "install.sh", "--prefix", prefix)
    precious = tmp_path / "precious"
    precious.write_text("")
    with (prefix / "lib/pki/installed").open("a") as installed:
        installed.write("zz/../../precious\n")
    assert "precious" in install(prefix / "lib/pki/install.sh", "--uninstall", status=2)
    assert precious.exists()


@pytest.mark.parametrize("arguments", [["--prefix"], ["--prefix", ""], ["--help-me"], ["extra"]])
def test_wrong_usage(unpacked: Path, arguments: list[str]):
    assert "usage: install.sh" in install(unpacked / "install.sh", *arguments, status=64)


def test_a_prefix_that_units_cannot_hold_is_refused(unpacked: Path, tmp_path: Path):
    install(unpacked / "install.sh", "--prefix", tmp_path / "with blank", status=2)
    assert not (tmp_path / "with blank").exists()


def test_there_is_nothing_to_remove_where_nothing_was_installed(unpacked: Path, prefix: Path):
    install(unpacked / "install.sh", "--uninstall", "--prefix", prefix, status=2)
