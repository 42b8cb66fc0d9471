# SPDX-License-Identifier: Apache-2.0
"""What .deb, .rpm and tar.gz hold, what they need, and what they do not tell of the machine that made them."""

from __future__ import annotations

import os
import posixpath
import re
import stat
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from program import REPOSITORY
from release import (
    ARCHIVE, DEB, RPM, VERSION, Entry, archive_entries, built_binary, deb_entries, output, rpm_entries,
)  # fmt: skip

TEMPLATES = [path for path in (REPOSITORY / "templates").rglob("*") if path.is_file() and path.parent.name != "systemd"]
UNITS = sorted(path.name for path in (REPOSITORY / "templates/systemd").iterdir())
LINK = re.compile(rb"\[([^]]*)\]\(([^)\s]+)\)")
DOCUMENTS = [path for path in (REPOSITORY / "docs").rglob("*") if path.is_file()]


def files(entries: dict[str, Entry]) -> set[str]:
    return {path for path, entry in entries.items() if not entry.is_directory}


@cache
def manuals() -> list[str]:
    """The names of the manual pages."""
    with tempfile.TemporaryDirectory() as directory:
        output(REPOSITORY / "script/manuals", directory, "--binary", built_binary())
        return os.listdir(directory)


def expected(prefix: str = "usr/", zsh: str = "vendor-completions") -> set[str]:
    """Every file that a package may hold."""
    share = f"{prefix}share"
    return {
        f"{prefix}bin/pki",
        f"{prefix}lib/pki/aws_signing_helper",
        *(f"{prefix}lib/systemd/system/{name}" for name in UNITS),
        *(f"{prefix}lib/{kind}.d/pki.conf" for kind in ("sysusers", "tmpfiles") if (REPOSITORY / f"packaging/{kind}.conf").exists()),
        f"{share}/bash-completion/completions/pki",
        f"{share}/zsh/{zsh}/_pki",
        f"{share}/fish/vendor_completions.d/pki.fish",
        *(f"{share}/pki/templates/{path.relative_to(REPOSITORY / 'templates')}" for path in TEMPLATES),
        *(f"{share}/doc/pki/{name}" for name in ("copyright", "NOTICE.txt", "README.md", "CHANGELOG.md")),
        *(f"{share}/doc/pki/docs/{path.relative_to(REPOSITORY / 'docs')}" for path in DOCUMENTS),
        *(f"{share}/man/man{page[-1]}/{page}.gz" for page in manuals()),
    }


ALL = pytest.mark.parametrize("entries", [deb_entries, rpm_entries, archive_entries], ids=["deb", "rpm", "tar"])


def test_the_deb_has_exactly_these_files():
    own = {"usr/share/lintian/overrides/pki", "usr/share/doc/pki/changelog.gz"}
    assert files(deb_entries()) == expected() | own


def test_the_rpm_has_exactly_these_files():
    assert files(rpm_entries()) == expected(zsh="site-functions") | {
        "usr/share/doc/pki/changelog.gz", "usr/share/licenses/pki/LICENSE",
    }  # fmt: skip


def test_the_archive_has_exactly_these_files():
    assert files(archive_entries()) == expected("", "site-functions") | {"install.sh", "share/doc/pki/LICENSE"}


@ALL
def test_modes_and_owners(entries):
    programs = {"usr/bin/pki", "bin/pki", "install.sh"}
    for path, entry in entries().items():
        assert (entry.owner, entry.group) in [("root", "root"), ("0", "0")], path
        if stat.S_ISLNK(entry.mode):
            assert entry.target == "../../bin/pki", path
        else:
            assert entry.permissions == (0o755 if entry.is_directory or path in programs else 0o644), path


@ALL
def test_the_files_are_those_of_the_repository(entries):
    found = {path.removeprefix("usr/"): entry.content for path, entry in entries().items()}
    for path in TEMPLATES:
        assert found[f"share/pki/templates/{path.relative_to(REPOSITORY / 'templates')}"] == path.read_bytes()
    for path in (*DOCUMENTS, REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md"):
        # Links lead elsewhere, or are gone.
        expected, packed = path.read_bytes(), found[f"share/doc/pki/{path.relative_to(REPOSITORY)}"]
        assert LINK.sub(rb"\1", packed) == LINK.sub(rb"\1", expected), path


@ALL
def test_links_in_the_documents_lead_to_what_is_installed(entries):
    count = 0
    for path, entry in entries().items():
        for _, target in LINK.findall(entry.content) if path.endswith(".md") else ():
            name = target.decode().partition("#")[0]
            if name and not name.startswith("https:"):
                assert posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) in entries(), (path, name)
                count += 1
    assert count > 10


def test_every_package_has_the_same_program(tmp_path: Path):
    programs = {deb_entries()["usr/bin/pki"].content, rpm_entries()["usr/bin/pki"].content, archive_entries()["bin/pki"].content}
    assert len(programs) == 1
    program = tmp_path / "pki"
    program.write_bytes(programs.pop())
    program.chmod(0o755)
    assert ".symtab" not in output("readelf", "--sections", "--wide", program)
    assert output(program, "--version") == output(built_binary(), "--version") == f"pki {VERSION}\n"


@pytest.mark.parametrize("entries", [deb_entries, rpm_entries], ids=["deb", "rpm"])
def test_the_units_of_a_package_run_its_program(entries):
    for name in UNITS:
        unit = entries()[f"usr/lib/systemd/system/{name}"].content.decode()
        assert "/usr/local/" not in unit, name
        assert unit == (REPOSITORY / "templates/systemd" / name).read_text()


@ALL
def test_no_file_names_a_place_of_the_machine_that_made_it(entries):
    # The path that the compiler saw, and where temporary files and the builder's own are.
    places = [str(REPOSITORY).encode(), b"/tmp/tmp.", str(Path.home()).encode() + b"/."]
    for path, entry in entries().items():
        assert not [place for place in places if place in entry.content], path


# For an inventory on PostgreSQL, which few have.
SUGGESTED = {"libpq.so.5"}
# The C library opens the other when a thread ends.
LIBRARIES_OF_C = {"libc.so.6", "libgcc_s.so.1"}


def opened_libraries() -> set[str]:
    """What the sources open by name."""
    entries = re.findall(r"^\s*library pki_\w+, (lib\S+)$", (REPOSITORY / "Sources/CLibraries/entries.S").read_text(), re.M)
    curl = re.findall(r'"(libcurl\.so\.\d+)"', (REPOSITORY / "Sources/RolesAnywhere/HTTP/CurlHandle.swift").read_text())
    assert len(entries) == 4 and len(curl) == 1
    return {*entries, *curl}


def test_no_other_source_opens_a_library():
    named = set()
    for path in (REPOSITORY / "Sources").rglob("*"):
        if path.suffix in {".swift", ".c", ".S", ".h"}:
            code = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("//"))
            named |= set(re.findall(r"\blib[a-z0-9-]+\.so\.\d+", code))
    assert named == opened_libraries() | {"libp11-kit.so.0"}


def deb_field(name: str) -> list[str]:
    return [part.strip() for part in output("dpkg-deb", "--field", DEB, name).strip().split(",")]


def test_the_deb_depends_on_the_libraries_that_pki_opens():
    wanted = set()
    for library in (opened_libraries() | LIBRARIES_OF_C) - SUGGESTED:
        # Where packages were built before /usr was merged, dpkg knows the file without it.
        found = subprocess.run(
            ["dpkg-query", "--search", f"*/x86_64-linux-gnu/{library}"], capture_output=True, text=True, check=True
        )
        wanted.add(found.stdout.split(":")[0])
    depends = deb_field("Depends")
    names = [[re.sub(r" \(.*", "", name) for name in part.split(" | ")] for part in depends]
    assert {alternatives[0] for alternatives in names} == wanted | {"ca-certificates"}
    # Debian 13 renamed those with times in their interfaces.
    assert [alternatives[1] for alternatives in names if len(alternatives) == 2] == ["libssl3t64", "libcurl4t64"]
    assert {"libp11-kit0", "libpq5"} <= set(deb_field("Suggests"))


def test_the_rpm_requires_the_libraries_that_pki_opens():
    def sonames(kind: str) -> set[str]:
        lines = output("rpm", "--query", "--package", "--nosignature", kind, RPM).split("\n")
        return {match[1] for line in lines if (match := re.fullmatch(r"(lib.*\.so\.\d+)\(.*\)\(64bit\)", line))}

    assert sonames("--requires") == (opened_libraries() | LIBRARIES_OF_C) - SUGGESTED
    assert sonames("--suggests") == SUGGESTED


def test_the_c_library_that_is_asked_for_has_every_symbol():
    versions = re.findall(r"GLIBC_([0-9.]+)", output("readelf", "--version-info", "--wide", built_binary()))
    newest = max(versions, key=lambda version: [int(part) for part in version.split(".")])
    assert f"libc6 (>= {newest})" in deb_field("Depends")
    assert f"libc.so.6(GLIBC_{newest})(64bit)" in output("rpm", "--query", "--package", "--nosignature", "--requires", RPM)
    # Debian 12 has 2.36.
    assert [int(part) for part in newest.split(".")] <= [2, 36]


def test_other_programs_named_pki_are_conflicts():
    assert "strongswan-pki" in deb_field("Conflicts")
    conflicts = output("rpm", "--query", "--package", "--nosignature", "--conflicts", RPM).split()
    assert {"dogtag-pki-tools", "idm-pki-tools"} <= set(conflicts)


def test_version_and_architecture():
    assert output("dpkg-deb", "--field", DEB, "Package", "Version", "Architecture").split() == [
        "Package:", "pki", "Version:", VERSION, "Architecture:", "amd64",
    ]  # fmt: skip
    query = output("rpm", "--query", "--package", "--nosignature", "--queryformat", "%{NAME} %{VERSION} %{ARCH} %{LICENSE}", RPM)
    assert query == f"pki {VERSION} x86_64 Apache-2.0"


def test_lintian_is_content_and_every_override_is_needed_and_explained():
    said = output("lintian", "--allow-root", "--fail-on", "error,warning", "--display-info", DEB)
    assert "unused-override" not in said
    assert not re.findall(r"^[EW]: ", said, re.MULTILINE)
    lines = (REPOSITORY / "packaging/lintian-overrides").read_text().splitlines()
    explained = False
    for line in lines:
        explained = line.startswith("#") or explained
        assert explained, line


def test_the_checksums_verify():
    listed = (DEB.parent / "SHA256SUMS").read_text()
    assert output("sh", "-c", f"cd '{DEB.parent}' && sha256sum --strict --check SHA256SUMS")
    names = {line.split("  ")[1] for line in listed.splitlines()}
    assert names == {path.name for path in ARCHIVE.parent.iterdir()} - {"SHA256SUMS"}
