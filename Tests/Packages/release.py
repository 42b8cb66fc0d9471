# SPDX-License-Identifier: Apache-2.0
"""The files of a release, as script/package wrote them to the directory that PKI_DIST names."""

from __future__ import annotations

import io
import os
import re
import stat
import subprocess
import tarfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from program import REPOSITORY

DIST = Path(os.environ.get("PKI_DIST") or REPOSITORY / "dist").absolute()
VERSION = re.search(r'static let text = "([0-9.]+)"', (REPOSITORY / "Sources/pki/PKI.swift").read_text())[1]
DEB = DIST / f"pki_{VERSION}_amd64.deb"
RPM = DIST / f"pki-{VERSION}-1.x86_64.rpm"
ARCHIVE = DIST / f"pki-{VERSION}-linux-amd64.tar.gz"
IMAGE = DIST / f"pki-{VERSION}-oci.tar"
SBOM = DIST / f"pki-{VERSION}.spdx.json"
PROVENANCE = DIST / f"pki-{VERSION}.intoto.jsonl"


def built_binary() -> Path:
    """What script/package packed."""
    return Path(os.environ.get("PKI_BINARY") or REPOSITORY / ".build/release/pki").absolute()


def output(*command: str | Path) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout.decode()}{done.stderr.decode()}"
    return done.stdout.decode()


class Entry(NamedTuple):
    mode: int
    owner: str
    group: str
    target: str
    """Of a symbolic link."""
    content: bytes

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def permissions(self) -> int:
        return stat.S_IMODE(self.mode)


def entries_of_tar(data: bytes) -> dict[str, Entry]:
    """What a tar holds, by path without `./` and slashes at the ends."""
    kinds = {tarfile.DIRTYPE: stat.S_IFDIR, tarfile.REGTYPE: stat.S_IFREG, tarfile.SYMTYPE: stat.S_IFLNK}
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            content = archive.extractfile(member).read() if member.isreg() else b""
            owner, group = member.uname or str(member.uid), member.gname or str(member.gid)
            path = member.name.removeprefix("./").strip("/")
            found[path] = Entry(kinds[member.type] | member.mode, owner, group, member.linkname, content)
    found.pop(".", None)
    found.pop("", None)
    return found


@cache
def deb_entries() -> dict[str, Entry]:
    return entries_of_tar(subprocess.run(["dpkg-deb", "--fsys-tarfile", DEB], capture_output=True, check=True).stdout)


@cache
def archive_entries() -> dict[str, Entry]:
    """Without the archive's own directory."""
    top = ARCHIVE.name.removesuffix(".tar.gz")
    found = entries_of_tar(ARCHIVE.read_bytes())
    assert all(path == top or path.startswith(f"{top}/") for path in found)
    return {path.removeprefix(f"{top}/"): entry for path, entry in found.items() if path != top}


@cache
def rpm_entries() -> dict[str, Entry]:
    """Modes and owners as rpm will set them, the contents from the payload."""
    contents = subprocess.run(["rpm2cpio", RPM], capture_output=True, check=True).stdout
    found = {}
    listed = output(
        "rpm", "--query", "--package", "--nosignature", "--queryformat",
        "[%{FILENAMES}\t%{FILEMODES}\t%{FILEUSERNAME}\t%{FILEGROUPNAME}\t%{FILELINKTOS}\n]", RPM,
    )  # fmt: skip
    payload = cpio_contents(contents)
    for line in listed.splitlines():
        path, mode, owner, group, target = line.split("\t")
        path = path.strip("/")
        found[path] = Entry(int(mode), owner, group, target, payload.get(path, b""))
    return found


def cpio_contents(data: bytes) -> dict[str, bytes]:
    """The regular files in a cpio archive of the kind `newc`."""
    found, position = {}, 0
    while data[position : position + 6] == b"070701":
        fields = [int(data[position + 6 + 8 * i : position + 14 + 8 * i], 16) for i in range(13)]
        size, name_size = fields[6], fields[11]
        name = data[position + 110 : position + 110 + name_size - 1].decode()
        start = (position + 110 + name_size + 3) & ~3
        if name == "TRAILER!!!":
            break
        if stat.S_ISREG(fields[1]):
            found[name.removeprefix(".").strip("/")] = data[start : start + size]
        position = (start + size + 3) & ~3
    return found
