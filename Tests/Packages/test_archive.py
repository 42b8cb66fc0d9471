# SPDX-License-Identifier: Apache-2.0
"""The archive's installer: installs below a prefix, replaces only what it installed, and removes nothing else."""

from __future__ import annotations

import os
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


def install(script: Path, *arguments: str | Path, status: int = 0, programs: Path | None = None) -> str:
    path = f"{programs}:{os.environ['PATH']}" if programs else os.environ["PATH"]
    done = subprocess.run(
        [script, *map(str, arguments)],
        env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False, umask=0o077,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def of_systemd(path: str) -> bool:
    return path.startswith("lib/") and not path.startswith("lib/pki/")


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_symlink() or not path.is_dir()}


def test_it_installs_what_the_archive_holds_and_both_names_work(unpacked: Path, prefix: Path):
    install(unpacked / "install.sh", "--prefix", prefix)
    wanted = {path for path in files(unpacked) if path != "install.sh" and not of_systemd(path)}
    assert files(prefix) == wanted | {"lib/pki/install.sh", "lib/pki/installed"}
    assert output(prefix / "bin/pki", "--version") == f"pki {VERSION}\n"
    assert output(prefix / "lib/pki/aws_signing_helper", "version") == f"{VERSION}\n"
    # Whatever the installing user's umask is.
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in prefix.rglob("*"))


def test_units_are_where_systemd_reads_them_and_name_the_program(unpacked: Path, prefix: Path):
    shown = output(
        "unshare", "--mount", "sh", "-euc",
        f"mount -t tmpfs -o mode=755 local /usr/local; {unpacked}/install.sh >&2; cd /usr/local/lib; find . -type f; cat systemd/system/*",
    )  # fmt: skip
    units = {path for path in files(unpacked) if of_systemd(path)}
    assert units <= {line.replace("./", "lib/", 1) for line in shown.splitlines()}
    assert "/usr/bin/pki" not in shown
    assert "ExecStart=/usr/local/bin/pki " in shown
    # No directory of a user is one that systemd reads as the system's.
    said = install(unpacked / "install.sh", "--prefix", prefix)
    assert "/usr/local" in said
    assert not (prefix / "lib/systemd").exists()


def test_it_says_that_the_program_is_not_on_the_path(unpacked: Path, prefix: Path):
    line = f"{prefix}/bin is not on the PATH\n"
    assert line in install(unpacked / "install.sh", "--prefix", prefix)
    assert line not in install(unpacked / "install.sh", f"--prefix={prefix}/", programs=prefix / "bin")


def test_modes_are_those_of_the_release_whatever_the_archive_was_unpacked_with(unpacked: Path, prefix: Path):
    output("chmod", "--recursive", "u=rwx,go=", unpacked)
    install(unpacked / "install.sh", "--prefix", prefix)
    programs = {"bin/pki", "lib/pki/install.sh"}
    modes = {path: (prefix / path).stat().st_mode & 0o777 for path in files(prefix) - {"lib/pki/aws_signing_helper"}}
    assert {path for path, mode in modes.items() if mode == 0o755} == programs
    assert {mode for path, mode in modes.items() if path not in programs} == {0o644}
    assert all(path.stat().st_mode & 0o777 == 0o755 for path in prefix.rglob("*") if path.is_dir())


def test_names_beside_what_is_installed_are_left_alone(unpacked: Path, prefix: Path, tmp_path: Path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (prefix / "bin").mkdir(parents=True)
    (prefix / "lib/pki").mkdir(parents=True)
    (prefix / "bin/pki.new").symlink_to(precious)
    (prefix / "lib/pki/installed.new").write_text("another")
    install(unpacked / "install.sh", "--prefix", prefix)
    assert (prefix / "bin/pki.new").readlink() == precious
    assert (prefix / "lib/pki/installed.new").read_text() == "another"
    assert precious.read_text() == "precious"
    assert not list(prefix.glob(".pki*"))


@pytest.mark.parametrize("link", ["lib/pki/installed", "lib/pki", "share/doc"])
def test_links_on_the_way_are_refused(unpacked: Path, prefix: Path, tmp_path: Path, link: str):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (prefix / link).parent.mkdir(parents=True)
    (prefix / link).symlink_to(elsewhere / "list" if link.endswith("installed") else elsewhere)
    assert f"{prefix}/{link}" in install(unpacked / "install.sh", "--prefix", prefix, status=2)
    assert not any(elsewhere.iterdir())
    assert files(prefix) == {link}


@pytest.mark.parametrize("place", ["", "prefix", "prefix/share"])
@pytest.mark.parametrize(("owner", "mode"), [(65534, 0o755), (0, 0o777), (0, 0o775)], ids=["foreign", "public", "group"])
def test_root_does_not_install_where_others_can_write(unpacked: Path, tmp_path: Path, place: str, owner: int, mode: int):
    way = tmp_path / "way"
    (way / "prefix/share").mkdir(parents=True)
    os.chown(way / place, owner, 65534)
    (way / place).chmod(mode)
    assert str(way / place) in install(unpacked / "install.sh", "--prefix", way / "prefix", status=2)
    assert files(way) == set()


def test_removal_leaves_what_was_changed_and_what_is_below_a_link(unpacked: Path, prefix: Path, tmp_path: Path):
    install(unpacked / "install.sh", "--prefix", prefix)
    (prefix / "bin/pki").write_text("another")
    (prefix / "lib/pki/aws_signing_helper").unlink()
    (prefix / "lib/pki/aws_signing_helper").symlink_to("/usr/bin/true")
    (prefix / "share/doc").rename(tmp_path / "elsewhere")
    (prefix / "share/doc").symlink_to(tmp_path / "elsewhere")
    before = files(tmp_path / "elsewhere")
    said = install(prefix / "lib/pki/install.sh", "--uninstall")
    assert files(prefix) == {"bin/pki", "lib/pki/aws_signing_helper", "share/doc"}
    assert files(tmp_path / "elsewhere") == before
    assert f"{prefix}/bin/pki" in said and f"{prefix}/lib/pki/aws_signing_helper" in said


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


def test_an_installation_that_was_interrupted_is_completed_or_removed(unpacked: Path, prefix: Path, tmp_path: Path):
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "mv").write_text('#!/bin/sh\ncase $* in *share/pki*) exit 1 ;; esac\nexec /bin/mv "$@"\n')
    (programs / "mv").chmod(0o755)
    for again in (False, True):
        install(unpacked / "install.sh", "--prefix", prefix, status=1, programs=programs)
        assert (prefix / "bin/pki").exists() and not list(prefix.glob(".pki*"))
        if again:
            install(unpacked / "install.sh", "--prefix", prefix)
            assert (prefix / "share/pki/templates/root.conf").exists()
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


@pytest.mark.parametrize("arguments", [["--prefix"], ["--prefix", ""], ["--prefix="], ["--help-me"], ["extra"]])
def test_wrong_usage(unpacked: Path, arguments: list[str]):
    assert "usage: install.sh" in install(unpacked / "install.sh", *arguments, status=64)


def test_help(unpacked: Path):
    assert install(unpacked / "install.sh", "--help").startswith("usage: install.sh")


def test_a_prefix_can_have_blanks(unpacked: Path, tmp_path: Path):
    install(unpacked / "install.sh", "--prefix", tmp_path / "with blank")
    assert output(tmp_path / "with blank/lib/pki/aws_signing_helper", "version") == f"{VERSION}\n"
    install(tmp_path / "with blank/lib/pki/install.sh", "--uninstall")
    assert not any((tmp_path / "with blank").iterdir())


def test_there_is_nothing_to_remove_where_nothing_was_installed(unpacked: Path, prefix: Path):
    install(unpacked / "install.sh", "--uninstall", "--prefix", prefix, status=2)
